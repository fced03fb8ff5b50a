//! The options of the `json` format.

use std::collections::BTreeMap;

use super::pattern::TimestampPattern;
use crate::FormatErrors;
use crate::coerce::time::TimestampStandard;
use crate::options::{OptionKind, OptionReader, OptionSpec};

/// Every option of `json`: Flink's, and `timestamp-format.pattern`, which the SMQ connector adds.
pub static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "fail-on-missing-field",
        OptionKind::Boolean,
        Some("false"),
        "A column without a field in the object is an error instead of NULL; inside ROW too. Excludes \
         ignore-parse-errors.",
    ),
    OptionSpec::new(
        "ignore-parse-errors",
        OptionKind::Boolean,
        Some("false"),
        "A value that cannot be converted becomes NULL, a body that is not JSON is passed over.",
    ),
    OptionSpec::new(
        "timestamp-format.standard",
        OptionKind::OneOf(&["SQL", "ISO-8601", "ISO-8601-WITH-OFFSET"]),
        Some("SQL"),
        "How TIMESTAMP and TIMESTAMP_LTZ are written: a blank between date and time (SQL), a T (ISO-8601), or a T and \
         an offset, read as the instant in UTC. DATE and TIME are not affected.",
    ),
    OptionSpec::new(
        "timestamp-format.pattern",
        OptionKind::Text,
        None,
        "How TIMESTAMP and TIMESTAMP_LTZ are written, as a Java pattern of y M d H m s S X and literals \
         (yyyy/MM/dd HH:mm:ss.SSS); overrides timestamp-format.standard.",
    ),
    OptionSpec::new(
        "decode.json-parser.enabled",
        OptionKind::Boolean,
        Some("true"),
        "false reads corner cases as Flink's older decoder does: a STRING gets numbers as Java prints doubles, a \
         DECIMAL in a string is not trimmed, BYTES from anything but a string are NULL, a MAP from a list is empty.",
    ),
    OptionSpec::new(
        "map-null-key.mode",
        OptionKind::Text,
        Some("FAIL"),
        "When writing, what becomes of a NULL key: FAIL, DROP or LITERAL, in any letter case. Not looked at when \
         reading.",
    ),
    OptionSpec::new(
        "map-null-key.literal",
        OptionKind::Text,
        Some("null"),
        "When writing, the key that stands for NULL with map-null-key.mode LITERAL.",
    ),
    OptionSpec::new(
        "encode.decimal-as-plain-number",
        OptionKind::Boolean,
        Some("false"),
        "When writing, decimals never have an exponent.",
    ),
    OptionSpec::new(
        "encode.ignore-null-fields",
        OptionKind::Boolean,
        Some("false"),
        "When writing, fields that are NULL are left out.",
    ),
];

/// The options of `json`, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonOptions {
    /// `fail-on-missing-field`
    pub fail_on_missing_field: bool,
    /// `ignore-parse-errors`
    pub ignore_parse_errors: bool,
    /// `timestamp-format.standard` and `timestamp-format.pattern`
    pub timestamps: TimestampFormat,
    /// `decode.json-parser.enabled` is false
    pub tree: bool,
    /// `map-null-key.mode`, `None` for a value that only writing would refuse
    pub map_null_key: Option<MapNullKey>,
    /// `encode.decimal-as-plain-number`
    pub decimal_as_plain_number: bool,
    /// `encode.ignore-null-fields`
    pub ignore_null_fields: bool,
}

/// How timestamps are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampFormat {
    /// One of Flink's standards.
    Standard(TimestampStandard),
    /// ISO-8601 with `Z`, with an offset or with neither, read as UTC, for TIMESTAMP and TIMESTAMP_LTZ alike. No
    /// option says so: event formats use it whose producers do not agree.
    AnyIso,
    /// A pattern of one's own.
    Pattern(TimestampPattern),
}

/// What becomes of a NULL key when a map is written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapNullKey {
    /// An error.
    Fail,
    /// The entry is left out.
    Drop,
    /// The key is this text.
    Literal(String),
}

impl JsonOptions {
    /// Reads options as they stand in `WITH`, each key with `json.` in front.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(given: &BTreeMap<String, String>) -> Result<Self, FormatErrors> {
        let mut reader = OptionReader::new("json", OPTIONS, given);
        let options = Self {
            fail_on_missing_field: reader.boolean("fail-on-missing-field"),
            ignore_parse_errors: reader.boolean("ignore-parse-errors"),
            timestamps: timestamps(&mut reader),
            tree: !reader.boolean("decode.json-parser.enabled"),
            map_null_key: map_null_key(&mut reader),
            decimal_as_plain_number: reader.boolean("encode.decimal-as-plain-number"),
            ignore_null_fields: reader.boolean("encode.ignore-null-fields"),
        };
        if options.fail_on_missing_field && options.ignore_parse_errors {
            let reason = "one asks for an error where the other asks for NULL; set one of them to false";
            reader.conflict("fail-on-missing-field", "ignore-parse-errors", reason);
        }
        if reader.errors.is_empty() { Ok(options) } else { Err(FormatErrors(reader.errors)) }
    }
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            fail_on_missing_field: false,
            ignore_parse_errors: false,
            timestamps: TimestampFormat::Standard(TimestampStandard::Sql),
            tree: false,
            map_null_key: Some(MapNullKey::Fail),
            decimal_as_plain_number: false,
            ignore_null_fields: false,
        }
    }
}

fn timestamps(reader: &mut OptionReader<'_>) -> TimestampFormat {
    let standard = match reader.text("timestamp-format.standard") {
        Some("ISO-8601") => TimestampStandard::Iso8601,
        Some("ISO-8601-WITH-OFFSET") => TimestampStandard::Iso8601WithOffset,
        _ => TimestampStandard::Sql,
    };
    match reader.text("timestamp-format.pattern").map(TimestampPattern::parse) {
        Some(Ok(pattern)) => TimestampFormat::Pattern(pattern),
        Some(Err(reason)) => {
            reader.bad_value("timestamp-format.pattern", reason);
            TimestampFormat::Standard(standard)
        }
        None => TimestampFormat::Standard(standard),
    }
}

fn map_null_key(reader: &mut OptionReader<'_>) -> Option<MapNullKey> {
    let literal = reader.text("map-null-key.literal").unwrap_or_default();
    match reader.text("map-null-key.mode").unwrap_or_default().to_ascii_uppercase().as_str() {
        "FAIL" => Some(MapNullKey::Fail),
        "DROP" => Some(MapNullKey::Drop),
        "LITERAL" => Some(MapNullKey::Literal(literal.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<JsonOptions, String> {
        let given = given.iter().map(|(k, v)| (format!("json.{k}"), (*v).to_owned())).collect();
        JsonOptions::read(&given).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_and_values() {
        assert_eq!(read(&[]), Ok(JsonOptions::default()));
        let options = read(&[
            ("ignore-parse-errors", "True"),
            ("timestamp-format.standard", "ISO-8601"),
            ("decode.json-parser.enabled", "FALSE"),
            ("map-null-key.mode", "literal"),
            ("map-null-key.literal", "NIL"),
            ("encode.ignore-null-fields", "true"),
        ])
        .expect("good options");
        assert!(options.ignore_parse_errors && options.tree && options.ignore_null_fields);
        assert_eq!(options.timestamps, TimestampFormat::Standard(TimestampStandard::Iso8601));
        assert_eq!(options.map_null_key, Some(MapNullKey::Literal("NIL".to_owned())));
        // Only writing looks at it.
        assert_eq!(read(&[("map-null-key.mode", "nonsense")]).map(|o| o.map_null_key), Ok(None));
        let options = read(&[("timestamp-format.pattern", "yyyy/MM/dd HH:mm:ss")]).expect("a good pattern");
        assert!(matches!(options.timestamps, TimestampFormat::Pattern(_)));
    }

    #[test]
    fn mistakes_come_all_at_once() {
        let errors = read(&[
            ("fail-on-missing-field", "true"),
            ("ignore-parse-errors", "true"),
            ("timestamp-format.standard", "RFC-3339"),
            ("timestamp-format.pattern", "yyyy-QQ"),
            ("encode.decimal-as-plain-numbers", "true"),
        ])
        .expect_err("four mistakes");
        assert_eq!(errors.lines().count(), 4, "{errors}");
        for part in
            ["one asks for an error", "'RFC-3339'", "yyyy-QQ", "did you mean 'json.encode.decimal-as-plain-number'"]
        {
            assert!(errors.contains(part), "{errors}");
        }
    }
}
