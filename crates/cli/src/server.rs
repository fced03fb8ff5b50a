//! `headwater server`: the local MNS as a process.

use std::path::Path;

use headwater_core::{Clock, SystemClock, nearest};
use headwater_mns_proto::{AccessKey, QueueSettings, check_queue_name};
use headwater_mns_server::{Faults, Server, Span};

use crate::args::ServerArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Stop};
use crate::signals::Signals;

/// A faults file is a page of JSON; more than this is some other file.
const FAULTS_MAX: u64 = 1 << 20;

/// A queue to start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueSpec {
    pub(crate) name: String,
    pub(crate) settings: QueueSettings,
}

/// Serves until a signal.
pub(crate) async fn run(args: ServerArgs) -> Result<Exit, Stop> {
    let mut signals = Signals::listen().map_err(|e| Failure::because(Exit::Failed, "cannot listen for signals", &e))?;
    let mut faults = args.faults.as_deref().map(read_faults).transpose()?.unwrap_or_default();
    if let Some(latency) = args.latency {
        faults.latency_millis = Span::exactly(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
    }
    // Ids must not repeat over restarts: a consumer that kept its state would take new messages for old ones.
    let seed = SystemClock::new().wall().0.unsigned_abs();
    let mut server = Server::builder().listen(args.listen).seed(seed).faults(faults);
    server = if args.no_auth {
        server.no_auth()
    } else {
        server.key(AccessKey::new(args.access_key_id, args.access_key_secret.0))
    };
    for queue in args.queues {
        server = server.queue_with(queue.name, queue.settings);
    }
    let server = server.start().await.map_err(|error| Failure::of(Exit::Failed, &error))?;
    output::line(&server.endpoint())?;
    let signal = signals.next().await;
    tracing::info!(signal, "ending");
    tokio::select! {
        biased;
        _ = signals.next() => Ok(Exit::Interrupted),
        () = server.shutdown() => Ok(Exit::Done),
    }
}

fn read_faults(path: &Path) -> Result<Faults, Failure> {
    let text = crate::input::read_text(path, FAULTS_MAX)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::because(Exit::Usage, format!("the faults file {}", path.display()), &error))
}

/// Reads `NAME[,SETTING=VALUE…]`.
pub(crate) fn queue_spec(text: &str) -> Result<QueueSpec, String> {
    let mut parts = text.split(',');
    let name = parts.next().unwrap_or_default().trim().to_owned();
    check_queue_name(&name).map_err(|error| error.to_string())?;
    let mut settings = QueueSettings::default();
    for part in parts {
        let (setting, value) = part.split_once('=').ok_or_else(|| {
            format!("`{part}` is no setting: write NAME,SETTING=VALUE, as in orders,VisibilityTimeout=5")
        })?;
        set(&mut settings, setting.trim(), value.trim())?;
    }
    settings.check().map_err(|error| error.to_string())?;
    Ok(QueueSpec { name, settings })
}

fn set(settings: &mut QueueSettings, name: &str, value: &str) -> Result<(), String> {
    const NAMES: [&str; 6] = [
        "DelaySeconds",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "VisibilityTimeout",
        "PollingWaitSeconds",
        "LoggingEnabled",
    ];
    if name == "LoggingEnabled" {
        let parsed = value.to_ascii_lowercase().parse();
        settings.logging_enabled = Some(parsed.map_err(|_| format!("{name} is true or false, not `{value}`"))?);
        return Ok(());
    }
    let slot = match name {
        "DelaySeconds" => &mut settings.delay_seconds,
        "MaximumMessageSize" => &mut settings.maximum_message_size,
        "MessageRetentionPeriod" => &mut settings.message_retention_period,
        "VisibilityTimeout" => &mut settings.visibility_timeout,
        "PollingWaitSeconds" => &mut settings.polling_wait_seconds,
        _ => {
            let hint = match nearest(name, NAMES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", NAMES.join(", ")),
            };
            return Err(format!("a queue has no setting `{name}`: {hint}"));
        }
    };
    *slot = Some(value.parse().map_err(|_| format!("{name} is a whole number, not `{value}`"))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_read_with_their_settings() {
        let spec = queue_spec("orders,VisibilityTimeout=5, LoggingEnabled=True").unwrap();
        assert_eq!(spec.name, "orders");
        assert_eq!(spec.settings.visibility_timeout, Some(5));
        assert_eq!(spec.settings.logging_enabled, Some(true));
        assert_eq!(spec.settings.delay_seconds, None);
        for (text, says) in [
            ("", "1 to 120"),
            ("a_b", "'_' at character 2"),
            ("a,VisibilityTimeout", "write NAME,SETTING=VALUE"),
            ("a,visibilitytimeout=5", "did you mean `VisibilityTimeout`?"),
            ("a,Colour=red", "there are DelaySeconds"),
            ("a,VisibilityTimeout=soon", "a whole number"),
            ("a,VisibilityTimeout=0", "VisibilityTimeout should between 1 and 43200"),
            ("a,LoggingEnabled=maybe", "true or false"),
        ] {
            let error = queue_spec(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
