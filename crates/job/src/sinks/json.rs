//! Rows as JSON lines, by the `json` format's own encoder.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use headwater_core::SinkError;
use headwater_formats::json::{JsonEncoder, JsonOptions, OPTIONS};
use headwater_formats::{FormatError, FormatErrors, RowType};

use super::options::Reading;

/// The prefix of the format's options, which are in [`headwater_formats::json::OPTIONS`].
pub(crate) const PREFIX: &str = "json.";

/// Makes the encoder that the options ask for; `None` when something is wrong, which is then in `reading`.
pub(crate) fn read(columns: &RowType, reading: &mut Reading<'_>) -> Option<JsonEncoder> {
    let given: BTreeMap<String, String> =
        reading.iter().filter(|(name, _)| name.starts_with(PREFIX)).map(|(n, v)| (n.into(), v.into())).collect();
    let reads_only: Vec<String> = OPTIONS
        .iter()
        .filter(|option| {
            matches!(option.key, "fail-on-missing-field" | "ignore-parse-errors" | "decode.json-parser.enabled")
        })
        .map(|option| format!("{PREFIX}{}", option.key))
        .collect();
    reading.without_effect(&reads_only.iter().map(String::as_str).collect::<Vec<_>>());
    let encoder =
        JsonOptions::read_for_writing(&given).and_then(|options| JsonEncoder::new(&columns.to_arrow(), options));
    match encoder {
        Ok(encoder) => Some(encoder),
        Err(FormatErrors(errors)) => {
            for error in errors {
                report(error, reading);
            }
            None
        }
    }
}

/// The encoder of `print`: the format with all its defaults.
pub(crate) fn plain(columns: &RowType) -> Result<JsonEncoder, FormatErrors> {
    JsonEncoder::new(&columns.to_arrow(), JsonOptions::default())
}

/// Appends a line for each row.
pub(crate) fn encode(encoder: &JsonEncoder, records: &RecordBatch, out: &mut Vec<u8>) -> Result<(), SinkError> {
    encoder
        .encode_lines(records, out)
        .map_err(|error| SinkError::new("rows cannot be written as JSON").with_source(error))
}

fn report(error: FormatError, reading: &mut Reading<'_>) {
    match error {
        FormatError::UnknownOption { option, nearest } => {
            let hint = nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            reading.wrong(&option, format!("is no option here{hint}"));
        }
        FormatError::BadValue { option, expected, .. } => reading.wrong(&option, format!("cannot be that: {expected}")),
        FormatError::Conflict { first, second, reason } => {
            reading.wrong(&first, format!("excludes `{second}`: {reason}"));
        }
        other => reading.wrong("format", other.to_string()),
    }
}
