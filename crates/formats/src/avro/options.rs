//! The options of the `avro` format.

use std::collections::BTreeMap;

use super::schema::Schema;
use crate::options::{OptionKind, OptionReader, OptionSpec};
use crate::{FormatError, Limits};

/// Every option of `avro`.
pub static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "encoding",
        OptionKind::OneOfAnyCase(&["binary", "json"]),
        Some("binary"),
        "Avro's binary encoding or its JSON encoding, in which a value that may be NULL is `null` or an object that \
         names its type, as in `{\"int\": 1}`.",
    ),
    OptionSpec::new(
        "timestamp_mapping.legacy",
        OptionKind::Boolean,
        Some("true"),
        "How the schema is derived from the columns. `true`: TIMESTAMP(0) to TIMESTAMP(3) is timestamp-millis, higher \
         precisions and TIMESTAMP_LTZ are refused. `false`: TIMESTAMP is local-timestamp-millis, from precision 4 on \
         local-timestamp-micros, TIMESTAMP_LTZ is timestamp-millis or -micros, up to precision 6.",
    ),
    OptionSpec::new(
        "schema",
        OptionKind::Document,
        None,
        "Not in Flink: the schema that the messages were written with, as JSON; columns are its fields by name or \
         alias. Without it the schema is derived from the columns.",
    ),
    OptionSpec::new(
        "framing",
        OptionKind::OneOfAnyCase(&["none", "single-object", "confluent"]),
        Some("none"),
        "Not in Flink: what stands before each value. `single-object`: the bytes C3 01 and the fingerprint of the \
         schema, which is checked. `confluent`: a zero byte and the schema's id in a registry, which is not asked. A \
         whole container file in a body is recognised with `none`.",
    ),
    OptionSpec::new(
        "schema-id",
        OptionKind::Text,
        None,
        "Not in Flink: the only schema id that messages with `confluent` framing may have. Without it every message \
         is read with the same schema, whatever its id.",
    ),
];

/// What stands before a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    SingleObject,
    Confluent { id: Option<u32> },
}

/// The options as given, checked.
#[derive(Debug)]
pub(super) struct AvroOptions {
    pub(super) json: bool,
    pub(super) legacy_timestamps: bool,
    pub(super) schema: Option<Schema>,
    pub(super) framing: Framing,
}

impl AvroOptions {
    /// Reads them; with mistakes, everything that is wrong and what the rest says.
    pub(super) fn read(given: &BTreeMap<String, String>, limits: Limits) -> (Self, Vec<FormatError>) {
        let mut reader = OptionReader::new("avro", OPTIONS, given);
        let is = |value: Option<&str>, wanted: &str| value.is_some_and(|value| value.eq_ignore_ascii_case(wanted));
        let json = is(reader.text("encoding"), "json");
        let legacy_timestamps = reader.boolean("timestamp_mapping.legacy");
        let framing = reader.text("framing");
        let framing = match () {
            () if is(framing, "single-object") => Framing::SingleObject,
            () if is(framing, "confluent") => Framing::Confluent { id: schema_id(&mut reader) },
            () => Framing::None,
        };
        if json && framing != Framing::None {
            reader.conflict("encoding", "framing", "framed messages are binary");
        }
        if reader.given("schema-id").is_some() && !matches!(framing, Framing::Confluent { .. }) {
            reader.conflict("schema-id", "framing", "only messages with the framing 'confluent' have a schema id");
        }
        let schema = reader.given("schema").and_then(|text| schema(&mut reader.errors, text, limits));
        (Self { json, legacy_timestamps, schema, framing }, reader.errors)
    }
}

fn schema_id(reader: &mut OptionReader<'_>) -> Option<u32> {
    let id = reader.given("schema-id")?.parse();
    if id.is_err() {
        reader.bad_value("schema-id", "it takes a number from 0 to 4294967295");
    }
    id.ok()
}

fn schema(errors: &mut Vec<FormatError>, text: &str, limits: Limits) -> Option<Schema> {
    match Schema::parse(text, limits.columns) {
        Ok(schema) => Some(schema),
        Err(error) => {
            // Schemas are long, and whoever gave it has it.
            let mut value: String = text.chars().take(40).collect();
            if value.len() < text.len() {
                value.push('…');
            }
            let expected = format!("it takes an Avro schema in JSON: {error}");
            errors.push(FormatError::BadValue { option: "avro.schema".to_owned(), value, expected });
            None
        }
    }
}
