//! What might help a body that does not decode: the table is changed in one place, and if the body decodes then, that is
//! said. Decoding in a job has no time for this; a person who tries a schema has.

use headwater_formats::infer::{Hints, infer};
use headwater_formats::{BodyForm, DecodeError, Field, Format, LogicalType, MessageEncoding, OnBadRow, RowType};

use super::table::Spec;

/// Ways out for a body with an error, the likeliest first. `raw` is the body as it came, `body` what the format got, if it
/// came to that.
pub(super) fn for_error(spec: &Spec, raw: &[u8], body: Option<&[u8]>, error: &DecodeError) -> Vec<String> {
    let mut ways: Vec<String> = encoding(spec, raw).into_iter().collect();
    let body = body.unwrap_or(raw);
    if ways.is_empty() {
        ways.extend(other_option(spec, body));
        ways.extend(other_type(spec, body, error));
    }
    if ways.is_empty() {
        ways.extend(other_format(spec, body));
    }
    if ways.is_empty() {
        ways.extend(ignoring(spec, body));
    }
    ways
}

/// What to say of rows that have nothing but NULL: most often the names differ.
pub(super) fn for_empty_rows(spec: &Spec, body: &[u8]) -> Option<String> {
    let found = infer(&[body], Hints::default().with_format("json")).ok().filter(|_| spec.format == "json")?;
    let names = |row: &RowType| row.fields().iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    let (there, wanted) = (names(&found.columns), names(&spec.columns));
    let pairs = wanted.iter().filter_map(|name| {
        let other = there.iter().find(|other| *other != name && other.to_lowercase() == name.to_lowercase())?;
        Some(format!("the body has `{other}`, the table `{name}`"))
    });
    let pairs: Vec<String> = pairs.take(NAMES_SHOWN).collect();
    if there.iter().any(|name| wanted.contains(name)) {
        // The columns are there and null.
        return None;
    }
    if pairs.is_empty() {
        let shown: Vec<String> = there.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
        return Some(format!("no column matched: the body has {}", shown.join(", ")));
    }
    Some(format!("no column matched, names are compared with their letter case: {}", pairs.join("; ")))
}

/// Names of a body that are listed: a line of them.
const NAMES_SHOWN: usize = 8;

fn encoding(spec: &Spec, raw: &[u8]) -> Option<String> {
    let mut buffer = Vec::new();
    let (text, other) = match spec.encoding {
        MessageEncoding::Raw => ("the body is base64 of a message that decodes", MessageEncoding::Base64),
        MessageEncoding::Base64 => ("the body is not base64, and decodes as it is", MessageEncoding::Raw),
        _ => return None,
    };
    let factory = spec.factory().ok()?;
    let (body, form) = other.decode(raw, |bytes| factory.plausible(bytes), &mut buffer).ok()?;
    let changed = form == BodyForm::Base64 || other == MessageEncoding::Raw;
    let ways = format!("{text}: set 'messageEncoding' to '{}', or to auto where both kinds come", other.name());
    (changed && reads(spec, body)).then_some(ways)
}

/// Options that change how a body is read, with their other values.
const OPTIONS: &[(&str, &str, &[&str])] = &[
    ("json", "timestamp-format.standard", &["ISO-8601", "SQL"]),
    ("csv", "field-delimiter", &[",", ";", "\\t", "|", "\\u0001"]),
    ("csv", "framing", &["lines"]),
    ("csv", "null-literal", &[""]),
    ("csv", "trim-spaces", &["true"]),
    ("csv", "allow-comments", &["true"]),
    ("csv", "disable-quote-character", &["true"]),
    ("avro", "framing", &["single-object", "confluent", "none"]),
    ("avro", "encoding", &["json", "binary"]),
    ("avro", "timestamp_mapping.legacy", &["false", "true"]),
];

fn other_option(spec: &Spec, body: &[u8]) -> Option<String> {
    let options = OPTIONS.iter().filter(|(format, ..)| *format == spec.format);
    let mut tries = options.flat_map(|(_, key, values)| values.iter().map(move |value| (*key, *value)));
    let (key, value) = tries.find(|(key, value)| {
        let other = spec.with(key, value);
        other.options != spec.options && reads(&other, body)
    })?;
    Some(format!("it decodes with '{}.{key}' = '{value}'", spec.format))
}

/// A time with a `Z` is an instant, and what is no value of a column's type is a text.
fn other_type(spec: &Spec, body: &[u8], error: &DecodeError) -> Option<String> {
    let at = spec.columns.fields().iter().position(|field| field.name == error.path())?;
    let was = &spec.columns.fields()[at];
    if let LogicalType::Timestamp(precision) = was.data_type.logical {
        let instant = with_type(spec, at, LogicalType::TimestampLtz(precision));
        if reads(&instant, body) {
            return Some(format!("it decodes with the column `{}` as TIMESTAMP_LTZ({precision})", was.name));
        }
        if spec.format == "json"
            && let iso = instant.with("timestamp-format.standard", "ISO-8601")
            && reads(&iso, body)
        {
            return Some(format!(
                "it decodes with the column `{}` as TIMESTAMP_LTZ({precision}) and 'json.timestamp-format.standard' = \
                 'ISO-8601'",
                was.name
            ));
        }
    }
    let text = with_type(spec, at, LogicalType::String);
    reads(&text, body).then(|| format!("it decodes with the column `{}` as STRING", was.name))
}

fn with_type(spec: &Spec, at: usize, logical: LogicalType) -> Spec {
    let mut fields = spec.columns.fields().to_vec();
    fields[at] = Field::new(fields[at].name.clone(), logical);
    Spec { columns: RowType::new(fields), ..spec.clone() }
}

fn other_format(spec: &Spec, body: &[u8]) -> Option<String> {
    let found = infer(&[body], Hints::default()).ok()?;
    let other = found.format != spec.format && found.format != "raw";
    other.then(|| format!("the body looks like {}: set 'format' to '{0}'", found.format))
}

fn ignoring(spec: &Spec, body: &[u8]) -> Option<String> {
    let key = "ignore-parse-errors";
    let known = Format::spec(&spec.format).is_ok_and(|format| format.options.iter().any(|option| option.key == key));
    let ways = format!("'{}.{key}' = 'true' makes a bad value NULL and passes over a bad body", spec.format);
    (known && reads(&spec.with(key, "true"), body)).then_some(ways)
}

/// Whether a body decodes whole, into rows if it has any.
fn reads(spec: &Spec, body: &[u8]) -> bool {
    spec.factory().is_ok_and(|factory| factory.decoder().decode(body, OnBadRow::Fail).is_ok())
}
