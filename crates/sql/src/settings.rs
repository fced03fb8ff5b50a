//! `SET 'key' = 'value'`: the four keys that work, the Flink keys that only warn, and everything else.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_core::{Delivery, nearest, parse_duration};

use crate::error::{Notice, Position, ScriptError, ScriptErrorKind, did_you_mean};
use crate::functions::time::zone::Zone;
use crate::hidden::hide;
use crate::variables::OptionValue;

const NAME: &str = "pipeline.name";
const INTERVAL: &str = "execution.checkpointing.interval";
const ZONE: &str = "table.local-time-zone";
const DELIVERY: &str = "delivery";

/// The keys that do something here.
const WORKING: [&str; 4] = [NAME, INTERVAL, ZONE, DELIVERY];

/// How the keys begin that Flink's documentation lists (configuration page, table configuration, SQL client). They
/// speak of a cluster, of state or of a planner that is not here.
const FLINK_PREFIXES: [&str; 37] = [
    "akka.",
    "blob.",
    "classloader.",
    "client.",
    "cluster.",
    "compiler.",
    "containerized.",
    "env.",
    "execution.",
    "external-resource.",
    "fs.",
    "heartbeat.",
    "high-availability",
    "historyserver.",
    "io.",
    "job.",
    "jobmanager.",
    "jobstore.",
    "kubernetes.",
    "metrics.",
    "parallelism.",
    "pekko.",
    "pipeline.",
    "python.",
    "queryable-state.",
    "resourcemanager.",
    "rest",
    "s3.",
    "security.",
    "slot",
    "sql-client.",
    "sql-gateway.",
    "state",
    "table.",
    "taskmanager.",
    "web.",
    "yarn.",
];

/// What the `SET` statements of a script say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `pipeline.name`: the job's name.
    pub pipeline_name: Option<String>,
    /// `execution.checkpointing.interval`: how often a checkpoint is taken.
    pub checkpoint_interval: Option<Duration>,
    /// `delivery`: the least that every part of the job must guarantee.
    pub delivery: Option<Delivery>,
    /// `table.local-time-zone`: in which zone `TIMESTAMP_LTZ` is read and written; UTC unless set.
    pub(crate) zone: Zone,
    /// Where `delivery` is set.
    pub(crate) delivery_at: Option<Position>,
}

impl Settings {
    /// `table.local-time-zone` as Flink spells it; `UTC` unless set.
    pub fn local_time_zone(&self) -> String {
        self.zone.to_string()
    }
}

/// Takes the statements one by one, so that each error has its place.
#[derive(Debug, Default)]
pub(crate) struct SettingsReader {
    values: Settings,
    /// Keys that were warned of, so that each is mentioned once.
    mentioned: BTreeMap<String, Position>,
}

impl SettingsReader {
    pub(crate) fn set(
        &mut self,
        key: &str,
        value: &OptionValue,
        key_position: Position,
        value_position: Position,
    ) -> Result<Option<Notice>, ScriptError> {
        let bad = |message: String| {
            let message = format!("SET '{key}': {}", hide(message, [value]));
            ScriptError::new(ScriptErrorKind::Setting, value_position, message)
        };
        let text = value.reveal().trim();
        match key {
            NAME if text.is_empty() => return Err(bad("the name is empty".to_owned())),
            NAME => self.values.pipeline_name = Some(text.to_owned()),
            INTERVAL => self.values.checkpoint_interval = Some(interval(text).map_err(bad)?),
            ZONE => self.values.zone = Zone::parse(text).map_err(bad)?,
            DELIVERY => {
                self.values.delivery = Some(text.to_ascii_lowercase().parse().map_err(bad)?);
                self.values.delivery_at = Some(key_position);
            }
            _ => return self.other(key, key_position),
        }
        Ok(None)
    }

    pub(crate) fn reset(&mut self, key: Option<&str>) {
        match key {
            None => self.values = Settings::default(),
            Some(NAME) => self.values.pipeline_name = None,
            Some(INTERVAL) => self.values.checkpoint_interval = None,
            Some(ZONE) => self.values.zone = Zone::default(),
            Some(DELIVERY) => {
                self.values.delivery = None;
                self.values.delivery_at = None;
            }
            Some(_) => {}
        }
    }

    pub(crate) fn finish(self) -> Settings {
        self.values
    }

    /// A key that does nothing here: known to Flink, or a mistake. A slip in a working key must not pass as one of
    /// Flink's, since then the setting would silently not hold.
    fn other(&mut self, key: &str, position: Position) -> Result<Option<Notice>, ScriptError> {
        let slip = WORKING.iter().any(|w| strsim::damerau_levenshtein(w, &key.to_lowercase()) <= 2);
        if !slip && FLINK_PREFIXES.iter().any(|p| key.starts_with(p)) {
            let first = self.mentioned.insert(key.to_owned(), position).is_none();
            let message = format!("the setting '{key}' is Flink's and has no effect here");
            return Ok(first.then_some(Notice { position, message }));
        }
        let way_out = match nearest(key, WORKING) {
            Some(_) => did_you_mean(key, WORKING),
            None => format!(" These work: {}.", WORKING.join(", ")),
        };
        Err(ScriptError::new(ScriptErrorKind::Setting, position, format!("there is no setting '{key}'.{way_out}")))
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("the interval must be longer than 0".to_owned()),
        interval => Ok(interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::NoVariables;

    const HERE: Position = Position { line: 1, column: 1 };

    fn set(reader: &mut SettingsReader, key: &str, value: &str) -> Result<Option<Notice>, ScriptError> {
        let value = OptionValue::substitute(value, &NoVariables).expect("no variables");
        reader.set(key, &value, HERE, HERE)
    }

    #[test]
    fn working_settings_work() {
        let mut reader = SettingsReader::default();
        for (key, value) in [
            ("pipeline.name", "orders"),
            ("execution.checkpointing.interval", "10s"),
            ("table.local-time-zone", "Asia/Shanghai"),
            ("delivery", "Exactly-Once"),
        ] {
            assert_eq!(set(&mut reader, key, value), Ok(None), "{key}");
        }
        let settings = reader.finish();
        assert_eq!(settings.pipeline_name.as_deref(), Some("orders"));
        assert_eq!(settings.checkpoint_interval, Some(Duration::from_secs(10)));
        assert_eq!(settings.local_time_zone(), "Asia/Shanghai");
        assert_eq!(settings.delivery, Some(Delivery::ExactlyOnce));
    }

    #[test]
    fn bad_values_and_unknown_keys_are_errors() {
        for (key, value, part) in [
            ("pipeline.name", " ", "empty"),
            ("execution.checkpointing.interval", "soon", "whole number"),
            ("execution.checkpointing.interval", "0s", "longer than 0"),
            ("execution.checkpointing.intervall", "10s", "Did you mean `execution.checkpointing.interval`?"),
            ("table.local-time-zone", "Mars/Olympus", "time zone"),
            ("delivery", "twice", "no delivery level"),
            ("deliverey", "exactly-once", "Did you mean `delivery`?"),
            ("foo", "1", "These work:"),
        ] {
            let error = set(&mut SettingsReader::default(), key, value).expect_err(key);
            assert!(error.message.contains(part), "{key}: {error}");
        }
    }

    #[test]
    fn flink_keys_warn_once() {
        let mut reader = SettingsReader::default();
        for key in ["parallelism.default", "restart-strategy.type", "state.backend.type", "sql-client.verbose"] {
            let notice = set(&mut reader, key, "1").expect(key).expect("a notice");
            assert!(notice.message.contains(key), "{notice}");
            assert_eq!(set(&mut reader, key, "2"), Ok(None));
        }
    }
}
