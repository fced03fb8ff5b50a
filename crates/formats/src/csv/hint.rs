//! What to do about a bad row, where the row itself shows it.

use super::options::CsvOptions;
use super::scan::Broken;
use crate::coerce::java_trim;
use crate::column::{Column, Data};

const HEADER: &str = "the line looks like a header, which must not be in the message";

/// For a row, whose text begins with `line`, with another number of columns than expected.
pub(super) fn columns(line: &[u8], expected: usize, actual: usize, options: &CsvOptions) -> &'static str {
    let line = line.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    if line.is_empty() {
        return "the line is empty; set 'csv.framing' to lines to pass over empty lines";
    }
    if actual < expected {
        return other_delimiter(line, expected, options).unwrap_or(if options.fail_on_missing_columns {
            "set 'csv.ignore-parse-errors' to true and 'csv.fail-on-missing-columns' to false to read NULL for missing \
             columns"
        } else {
            "set 'csv.ignore-parse-errors' to true to read NULL for missing columns"
        });
    }
    let holds = |pattern: &[u8]| memchr::memmem::find(line, pattern).is_some();
    if holds(b" \"") && !options.dialect.trims() {
        return "a quote counts at the very start of a field; set 'csv.trim-spaces' to true if blanks stand before it";
    }
    "set 'csv.ignore-trailing-unmappable' to true to pass over fields beyond the last column"
}

/// The delimiter with which the number of columns would be right.
fn other_delimiter(line: &[u8], expected: usize, options: &CsvOptions) -> Option<&'static str> {
    let candidates: [(u8, &'static str); 5] = [
        (b';', "the fields seem to stand between semicolons: set 'csv.field-delimiter' to ';'"),
        (b'\t', "the fields seem to stand between tabs: set 'csv.field-delimiter' to '\\t'"),
        (b'|', "the fields seem to stand between bars: set 'csv.field-delimiter' to '|'"),
        (b',', "the fields seem to stand between commas: set 'csv.field-delimiter' to ','"),
        (1, "the fields seem to stand between U+0001: set 'csv.field-delimiter' to '\\u0001'"),
    ];
    let others = candidates.into_iter().filter(|(c, _)| options.dialect.delimiter() != [*c]);
    let mut fitting = others.filter(|(c, _)| memchr::memchr_iter(*c, line).count() + 1 == expected);
    fitting.next().filter(|_| expected > 1).map(|(_, hint)| hint)
}

/// For a row that breaks off.
pub(super) fn syntax(why: Broken) -> Option<&'static str> {
    match why {
        Broken::Unclosed => {
            Some("if quotes are part of the text, set 'csv.disable-quote-character' to true or choose another one")
        }
        Broken::AfterQuote { backslash: true } => {
            Some("set 'csv.escape-character' to '\\' if a backslash takes the meaning from the quote behind it")
        }
        Broken::AfterQuote { .. } => Some("a quote within quotes is doubled"),
        Broken::EscapeAtEnd => None,
        Broken::Encoding(_) => Some("bodies are UTF-8, or UTF-16 or UTF-32 with a byte order mark"),
    }
}

/// For a value that does not fit.
pub(super) fn value(text: &[u8], name: &str, column: &Column) -> &'static str {
    if text.eq_ignore_ascii_case(name.as_bytes()) {
        return HEADER;
    }
    let trimmed = java_trim(text);
    if text.is_empty() {
        return "set 'csv.empty-string-as-null' to true to read empty fields as NULL";
    }
    let nulls: [&[u8]; 6] = [b"null", b"\\N", b"nil", b"none", b"n/a", b"-"];
    if nulls.iter().any(|null| null.eq_ignore_ascii_case(trimmed)) {
        return "set 'csv.null-literal' to that text if it stands for NULL";
    }
    if trimmed.len() < text.len() && matches!(column.data, Data::Decimal { .. } | Data::Date(_) | Data::Time(_)) {
        return "set 'csv.trim-spaces' to true to cut off the blanks around it";
    }
    "set 'csv.ignore-parse-errors' to true to read NULL"
}
