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
         reading; without effect otherwise, since Arrow's maps have no NULL keys.",
    ),
    OptionSpec::new(
        "map-null-key.literal",
        OptionKind::Text,
        Some("null"),
        "When writing, the key that stands for NULL with map-null-key.mode LITERAL; without effect as well.",
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

impl JsonOptions {
    /// Reads options as they stand in `WITH`, each key with `json.` in front.
    ///
    /// # Errors
    /// Everything that is wrong with them, apart from a bad `map-null-key.mode`: as in Flink, reading does not mind.
    pub fn read(given: &BTreeMap<String, String>) -> Result<Self, FormatErrors> {
        Self::read_for(given, false)
    }

    /// [`JsonOptions::read`] for a table that is written to.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read_for_writing(given: &BTreeMap<String, String>) -> Result<Self, FormatErrors> {
        Self::read_for(given, true)
    }

    fn read_for(given: &BTreeMap<String, String>, writing: bool) -> Result<Self, FormatErrors> {
        let mut reader = OptionReader::new("json", OPTIONS, given);
        let options = Self {
            fail_on_missing_field: reader.boolean("fail-on-missing-field"),
            ignore_parse_errors: reader.boolean("ignore-parse-errors"),
            timestamps: timestamps(&mut reader),
            tree: !reader.boolean("decode.json-parser.enabled"),
            decimal_as_plain_number: reader.boolean("encode.decimal-as-plain-number"),
            ignore_null_fields: reader.boolean("encode.ignore-null-fields"),
        };
        if options.fail_on_missing_field && options.ignore_parse_errors {
            let reason = "one asks for an error where the other asks for NULL; set one of them to false";
            reader.conflict("fail-on-missing-field", "ignore-parse-errors", reason);
        }
        let mode = reader.text("map-null-key.mode").unwrap_or_default();
        if writing && !["FAIL", "DROP", "LITERAL"].iter().any(|known| known.eq_ignore_ascii_case(mode)) {
            reader.bad_value("map-null-key.mode", "it takes one of FAIL, DROP, LITERAL");
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
        // Only writing looks at it.
        let nonsense = [("json.map-null-key.mode".to_owned(), "nonsense".to_owned())].into();
        assert!(JsonOptions::read(&nonsense).is_ok());
        let errors = JsonOptions::read_for_writing(&nonsense).expect_err("no such mode").to_string();
        assert!(errors.contains("one of FAIL, DROP, LITERAL"), "{errors}");
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
