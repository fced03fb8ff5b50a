//! The options of the `csv` format.

use std::collections::BTreeMap;

use super::scan::Dialect;
use crate::FormatErrors;
use crate::coerce::java_trim;
use crate::options::{OptionKind, OptionReader, OptionSpec};

/// Every option of `csv`: Flink's, and `framing`, which is ours.
pub static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "field-delimiter",
        OptionKind::Text,
        Some(","),
        "The character between fields. Java escapes are understood: \\t, \\u0001.",
    ),
    OptionSpec::new(
        "disable-quote-character",
        OptionKind::Boolean,
        Some("false"),
        "No character quotes. Excludes quote-character.",
    ),
    OptionSpec::new(
        "quote-character",
        OptionKind::Text,
        Some("\""),
        "The character around a field that holds delimiters or line ends; doubled within. It counts at the start of a \
         field only.",
    ),
    OptionSpec::new(
        "allow-comments",
        OptionKind::Boolean,
        Some("false"),
        "Lines that begin with #, after blanks or not, are passed over, and so are empty ones.",
    ),
    OptionSpec::new(
        "ignore-parse-errors",
        OptionKind::Boolean,
        Some("false"),
        "A value that cannot be converted and a missing column become NULL; a row that is no CSV or has too many \
         columns is passed over.",
    ),
    OptionSpec::new(
        "array-element-delimiter",
        OptionKind::Text,
        Some(";"),
        "The character between the elements of an ARRAY and the fields of a ROW. Java escapes are not understood.",
    ),
    OptionSpec::new(
        "escape-character",
        OptionKind::Text,
        None,
        "The character that takes the meaning from the next one, within quotes or without; with n, t, r and 0 it \
         stands for a control character.",
    ),
    OptionSpec::new(
        "null-literal",
        OptionKind::Text,
        None,
        "A field, element or nested field with exactly this text is NULL, quoted or not. It may be empty.",
    ),
    OptionSpec::new(
        "write-bigdecimal-in-scientific-notation",
        OptionKind::Boolean,
        Some("true"),
        "When writing, decimals may have an exponent.",
    ),
    OptionSpec::new(
        "trim-spaces",
        OptionKind::Boolean,
        Some("false"),
        "Blanks and control characters around fields without quotes, and around elements, are cut off.",
    ),
    OptionSpec::new(
        "ignore-trailing-unmappable",
        OptionKind::Boolean,
        Some("false"),
        "Fields beyond the last column are passed over instead of an error.",
    ),
    OptionSpec::new(
        "allow-trailing-comma",
        OptionKind::Boolean,
        Some("true"),
        "One delimiter after the last column is no further field.",
    ),
    OptionSpec::new(
        "fail-on-missing-columns",
        OptionKind::Boolean,
        Some("false"),
        "A row with too few columns is broken as a whole: with ignore-parse-errors it is passed over instead of \
         filled with NULL.",
    ),
    OptionSpec::new(
        "empty-string-as-null",
        OptionKind::Boolean,
        Some("false"),
        "Empty fields, quoted or not, and empty elements are NULL. An empty ARRAY column is an empty list all the same.",
    ),
    OptionSpec::new(
        "framing",
        OptionKind::OneOf(&["message", "lines"]),
        Some("message"),
        "message: the first line of a body is its one row and the others are not looked at, as in Flink. lines: every \
         line that is not empty is a row.",
    ),
];

/// The options of `csv`, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CsvOptions {
    pub(super) dialect: Dialect,
    /// `array-element-delimiter`, encoded
    pub(super) element_delimiter: Box<[u8]>,
    /// `null-literal`
    pub null_literal: Option<String>,
    /// `ignore-parse-errors`
    pub ignore_parse_errors: bool,
    /// `ignore-trailing-unmappable`
    pub ignore_trailing_unmappable: bool,
    /// `allow-trailing-comma`
    pub allow_trailing_comma: bool,
    /// `fail-on-missing-columns`
    pub fail_on_missing_columns: bool,
    /// `empty-string-as-null`
    pub empty_string_as_null: bool,
    /// `framing`
    pub framing: Framing,
}

/// What of a body is rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// Its first line.
    Message,
    /// Every line that is not empty.
    Lines,
}

impl CsvOptions {
    /// Reads options as they stand in `WITH`, each key with `csv.` in front.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(given: &BTreeMap<String, String>) -> Result<Self, FormatErrors> {
        let mut reader = OptionReader::new("csv", OPTIONS, given);
        let delimiter = delimiter(&mut reader);
        let element_delimiter = character(&mut reader, "array-element-delimiter").unwrap_or(';');
        let (quote, escape) = (character(&mut reader, "quote-character"), character(&mut reader, "escape-character"));
        let unquoted = reader.boolean("disable-quote-character");
        if unquoted && reader.given("quote-character").is_some() {
            let reason = "one names the character that the other says there is none of; leave one of them out";
            reader.conflict("quote-character", "disable-quote-character", reason);
        }
        // It concerns writing alone, and must be a boolean all the same.
        reader.boolean("write-bigdecimal-in-scientific-notation");
        let dialect = Dialect::new(delimiter, quote.filter(|_| !unquoted), escape)
            .trimming(reader.boolean("trim-spaces"))
            .with_comments(reader.boolean("allow-comments"));
        let options = Self {
            dialect,
            element_delimiter: element_delimiter.encode_utf8(&mut [0; 4]).as_bytes().into(),
            null_literal: reader.text("null-literal").map(str::to_owned),
            ignore_parse_errors: reader.boolean("ignore-parse-errors"),
            ignore_trailing_unmappable: reader.boolean("ignore-trailing-unmappable"),
            allow_trailing_comma: reader.boolean("allow-trailing-comma"),
            fail_on_missing_columns: reader.boolean("fail-on-missing-columns"),
            empty_string_as_null: reader.boolean("empty-string-as-null"),
            framing: if reader.text("framing") == Some("lines") { Framing::Lines } else { Framing::Message },
        };
        if reader.errors.is_empty() { Ok(options) } else { Err(FormatErrors(reader.errors)) }
    }

    /// Whether the text of a field, element or nested field stands for NULL.
    #[inline]
    pub(super) fn is_null(&self, text: &[u8]) -> bool {
        self.null_literal.as_ref().is_some_and(|null| null.as_bytes() == text)
            || self.empty_string_as_null && text.is_empty()
    }

    /// The elements of a list in a field. Blanks alone are an empty list.
    pub(super) fn parts<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        let mut rest = Some(text);
        let mut first = true;
        std::iter::from_fn(move || {
            let text = rest?;
            let end = find(text, &self.element_delimiter);
            rest = end.map(|end| &text[end + self.element_delimiter.len()..]);
            let alone = std::mem::take(&mut first) && end.is_none();
            if alone && java_trim(text).is_empty() {
                return None;
            }
            let part = &text[..end.unwrap_or(text.len())];
            Some(if self.dialect.trims() { java_trim(part) } else { part })
        })
    }
}

fn find(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    match delimiter {
        [byte] => text.iter().position(|b| b == byte),
        _ => memchr::memmem::find(text, delimiter),
    }
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            dialect: Dialect::new(',', Some('"'), None),
            element_delimiter: b";"[..].into(),
            null_literal: None,
            ignore_parse_errors: false,
            ignore_trailing_unmappable: false,
            allow_trailing_comma: true,
            fail_on_missing_columns: false,
            empty_string_as_null: false,
            framing: Framing::Message,
        }
    }
}

/// Java holds characters beyond U+FFFF as two, so to Flink they are no single character.
fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|c| chars.next().is_none() && c.len_utf16() == 1)
}

fn character(reader: &mut OptionReader<'_>, key: &'static str) -> Option<char> {
    let text = reader.text(key)?;
    let character = single(text);
    if character.is_none() {
        reader.bad_value(key, "it takes exactly one character, and no escape such as \\t");
    }
    character
}

fn delimiter(reader: &mut OptionReader<'_>) -> char {
    let text = reader.text("field-delimiter").unwrap_or(",");
    unescape(text).as_deref().and_then(single).unwrap_or_else(|| {
        reader.bad_value("field-delimiter", "it takes exactly one character, or a Java escape such as \\t or \\u0001");
        ','
    })
}

/// The text with Java's escapes replaced, as Apache Commons does it: an unknown one is what comes after the backslash.
/// `None` when a `\u` is followed by less than four digits, or stands for half a character.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (code, taken) = escaped(after)?;
        out.extend(code);
        rest = &after[taken..];
    }
    out.push_str(rest);
    Some(out)
}

/// What an escape stands for, and how many bytes it takes behind its backslash.
fn escaped(after: &str) -> Option<(Option<char>, usize)> {
    let first = after.bytes().next();
    if first == Some(b'u') {
        let digits = after.trim_start_matches('u');
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let code = digits.get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(code, 16).ok().and_then(char::from_u32)?;
        return Some((Some(code), after.len() - digits.len() + 4));
    }
    // Up to three octal digits, the third only when the first is 0 to 3.
    let most = if matches!(first, Some(b'0'..=b'3')) { 3 } else { 2 };
    let octal = after.bytes().take(most).take_while(|b| matches!(b, b'0'..=b'7')).count();
    if octal > 0 {
        return Some((u32::from_str_radix(&after[..octal], 8).ok().and_then(char::from_u32), octal));
    }
    let code = match first {
        Some(b'b') => '\u{8}',
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'f') => '\u{c}',
        Some(b'r') => '\r',
        Some(quoted @ (b'\\' | b'"' | b'\'')) => char::from(quoted),
        _ => return Some((None, 0)),
    };
    Some((Some(code), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Result<CsvOptions, String> {
        let given = given.iter().map(|(k, v)| (format!("csv.{k}"), (*v).to_owned())).collect();
        CsvOptions::read(&given).map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_are_what_the_table_says() {
        let given: Vec<(&str, &str)> = OPTIONS.iter().filter_map(|o| Some((o.key, o.default?))).collect();
        let without_conflict: Vec<_> = given.into_iter().filter(|(k, _)| *k != "disable-quote-character").collect();
        assert_eq!(read(&without_conflict), Ok(CsvOptions::default()));
        assert_eq!(read(&[]), Ok(CsvOptions::default()));
    }

    #[test]
    fn delimiters_are_one_character_after_unescaping() {
        for (text, delimiter) in [
            (";", ';'),
            ("\t", '\t'),
            (r"\t", '\t'),
            (r"\n", '\n'),
            (r"\u0001", '\u{1}'),
            (r"\uuu+007C", '|'),
            (r"\1", '\u{1}'),
            (r"\174", '|'),
            (r"\\", '\\'),
            (r"\'", '\''),
            (r"\q", 'q'),
            ("，", '，'),
        ] {
            let options = read(&[("field-delimiter", text)]).expect(text);
            assert_eq!(options.dialect, Dialect::new(delimiter, Some('"'), None), "{text}");
        }
        for text in ["", "||", r"\", r"\u12", r"\u00zz", r"\ud83d", "🎉", r"\400", r"\t\t", r"\8\8"] {
            let error = read(&[("field-delimiter", text)]).expect_err(text);
            assert!(error.contains("'csv.field-delimiter'"), "{error}");
        }
        for key in ["array-element-delimiter", "quote-character", "escape-character"] {
            assert!(read(&[(key, "§")]).is_ok(), "{key}");
            for text in ["", "::", r"\t", "🎉"] {
                let error = read(&[(key, text)]).expect_err(text);
                assert!(error.contains(key), "{error}");
            }
        }
    }

    #[test]
    fn mistakes_come_all_at_once() {
        let errors = read(&[
            ("disable-quote-character", "true"),
            ("quote-character", "\""),
            ("field-delimiter", "::"),
            ("ignore-parse-errors", "maybe"),
            ("write-bigdecimal-in-scientific-notation", "no"),
            ("framing", "line"),
            ("line-delimiter", "\n"),
        ])
        .expect_err("six mistakes");
        assert_eq!(errors.lines().filter(|l| l.contains("csv.")).count(), 6, "{errors}");
        assert!(read(&[("disable-quote-character", "false"), ("quote-character", "'")]).is_ok());
    }
}
