//! A `CREATE TABLE` as far as decoding goes: columns, format, options. What a queue would do with it is ignored.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater::OptionErrors;
use headwater::mns::{ENVELOPE_MODES, EnvelopeMode, read_documents};
use headwater_formats::{
    BodyLayer, DecoderFactory, Field, Format, FormatError, FormatErrors, MessageEncoding, RowType,
};
use headwater_oss::{OssEvents, OssFactory};
use headwater_sql::{ColumnKind, NoVariables, Script, TableDef};

use crate::exit::{Exit, Failure};

/// What a table says about the format of its messages, to be changed and tried.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) format: String,
    pub(super) columns: RowType,
    pub(super) options: BTreeMap<String, String>,
    pub(super) encoding: MessageEncoding,
}

impl Spec {
    /// The same with another value for an option of the format.
    pub(super) fn with(&self, key: &str, value: &str) -> Self {
        let mut spec = self.clone();
        spec.options.insert(format!("{}.{key}", self.format), value.to_owned());
        spec
    }

    pub(super) fn factory(&self) -> Result<Factory, FormatErrors> {
        Format::create(&self.format, &self.columns, &self.options)
    }
}

/// What a table says about the bodies of its messages.
#[derive(Debug)]
pub(super) struct Table {
    /// How it was said; `None` for OSS events, which are no format of their own.
    pub(super) spec: Option<Spec>,
    pub(super) factory: Arc<dyn DecoderFactory>,
    /// What is undone before the format.
    pub(super) layer: BodyLayer,
    /// Whether errors show a piece of the body: `badRecordsExcerpt`, here on unless it is given.
    pub(super) excerpt: bool,
    /// Things in the statement that decoding passes over.
    pub(super) notices: Vec<String>,
}

/// Why a table cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// The format is one that is not built in.
    Unsupported(String),
    /// It is wrong.
    Wrong(String),
}

impl From<Unusable> for Failure {
    fn from(unusable: Unusable) -> Self {
        let (Unusable::Unsupported(text) | Unusable::Wrong(text)) = unusable;
        Self::new(Exit::Usage, text)
    }
}

impl From<FormatErrors> for Unusable {
    fn from(errors: FormatErrors) -> Self {
        Self::Wrong(errors.to_string())
    }
}

/// Formats that Flink has and that are not built in.
const NOT_BUILT: [&str; 7] = [
    "avro-confluent",
    "canal-json",
    "debezium-avro-confluent",
    "debezium-json",
    "maxwell-json",
    "ogg-json",
    "protobuf",
];

impl Table {
    /// Reads a statement.
    pub(super) fn read(statement: &str) -> Result<Self, Unusable> {
        let script = Script::parse(statement, &NoVariables).map_err(|errors| Unusable::Wrong(errors.to_string()))?;
        let mut tables = script.tables();
        match (tables.next(), tables.next()) {
            (Some(table), None) => Self::of(table),
            _ => Err(Unusable::Wrong("one CREATE TABLE statement is wanted".into())),
        }
    }

    fn of(table: &TableDef) -> Result<Self, Unusable> {
        let mut columns = Vec::new();
        let mut notices = Vec::new();
        for column in &table.columns {
            match &column.kind {
                ColumnKind::Physical(data_type) => columns.push(Field::new(&column.name, data_type.clone())),
                _ => notices.push(format!("column `{}` does not come from the body and is left out", column.name)),
            }
        }
        let option = |name: &str| table.options.iter().find(|o| o.key == name).map(|o| o.value.reveal());
        let name = option("format").ok_or_else(|| Unusable::Wrong("the option `format` is missing".into()))?;
        let given = table.options.iter().filter(|o| o.key.contains('.'));
        let mut given: BTreeMap<String, String> = given.map(|o| (o.key.clone(), o.value.reveal().to_owned())).collect();
        let unread = read_documents(&mut given);
        if !unread.is_empty() {
            return Err(Unusable::Wrong(OptionErrors(unread).to_string()));
        }
        let encoding = option("messageEncoding").unwrap_or(MessageEncoding::default().name());
        let encoding = MessageEncoding::named(encoding)
            .ok_or_else(|| Unusable::Wrong(format!("`messageEncoding` is auto, base64 or raw, not `{encoding}`")))?;
        let envelope = option("envelope").unwrap_or("auto");
        let envelope = EnvelopeMode::named(envelope)
            .ok_or_else(|| Unusable::Wrong(format!("`envelope` is {}, not `{envelope}`", ENVELOPE_MODES.join(", "))))?;
        let excerpt = match option("badRecordsExcerpt").map(str::to_ascii_lowercase).as_deref() {
            None | Some("true") => true,
            Some("false") => false,
            Some(other) => {
                return Err(Unusable::Wrong(format!("`badRecordsExcerpt` is true or false, not `{other}`")));
            }
        };
        let columns = RowType::new(columns);
        let layer = BodyLayer::new(encoding, envelope.opener(encoding, &columns));
        let mut spec = None;
        let factory = if option("messageType").is_some_and(|value| value.eq_ignore_ascii_case("OSS")) {
            let events = option("ossEvents").unwrap_or(OssEvents::default().name());
            let events = OssEvents::named(events)
                .ok_or_else(|| Unusable::Wrong(format!("`ossEvents` is first or all, not `{events}`")))?;
            oss(name, &columns, &given, events)?
        } else {
            let said = Spec { format: name.to_owned(), columns, options: given, encoding };
            let factory = format(&said)?;
            spec = Some(said);
            factory
        };
        Ok(Self { spec, factory, layer, excerpt, notices })
    }
}

type Factory = Arc<dyn DecoderFactory>;

fn oss(
    name: &str,
    columns: &RowType,
    given: &BTreeMap<String, String>,
    events: OssEvents,
) -> Result<Factory, Unusable> {
    if name != "json" {
        return Err(Unusable::Wrong(format!(
            "OSS events are JSON: `messageType` = `OSS` needs the format json, not {name}"
        )));
    }
    Ok(OssFactory::create(columns, given, events)?)
}

fn format(spec: &Spec) -> Result<Factory, Unusable> {
    spec.factory().map_err(|errors| {
        let unknown = errors.0.iter().any(|error| matches!(error, FormatError::UnknownFormat { .. }));
        match NOT_BUILT.iter().find(|known| unknown && **known == spec.format) {
            Some(known) => Unusable::Unsupported(format!("the format `{known}` is not built into this release")),
            None => errors.into(),
        }
    })
}
