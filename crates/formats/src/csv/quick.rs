//! Shortcuts: fields as nearly all of them are, read where they stand, without looking for their end first.
//!
//! A shortcut either reads the field exactly as the long way would, or writes nothing and says so. So it decides
//! nothing, and no error comes from here.

use super::options::CsvOptions;
use super::scan::Scanner;
use crate::coerce::digits::Short;
use crate::coerce::time::{TimestampStandard, leading_timestamp, parse_date, parse_timestamp};
use crate::column::{Column, Data};

/// The delimiter, if the options leave fields their plain meaning: it and the quote are one byte each that no number,
/// date or boolean holds, and nothing else has a meaning.
pub(super) fn delimiter(options: &CsvOptions) -> Option<u8> {
    let harmless = |c: u8| c.is_ascii() && !c.is_ascii_alphanumeric() && !b"+-.: \r\n".contains(&c);
    let &[delimiter] = options.dialect.delimiter() else { return None };
    let quote = options.dialect.quote();
    let plain = options.null_literal.is_none() && !options.empty_string_as_null && options.dialect.is_plain();
    (plain && harmless(delimiter) && quote.is_none_or(|q| matches!(q, [q] if harmless(*q)))).then_some(delimiter)
}

/// Reads the field that begins here, if another one follows, into one more value of the column.
#[inline(always)]
pub(super) fn field(column: &mut Column, scanner: &mut Scanner<'_>, delimiter: u8) -> bool {
    let (text, at) = (scanner.text(), scanner.position());
    let end = match &mut column.data {
        Data::Text(values) => match scanner.plain_end(delimiter) {
            Some(end) => {
                values.push_part(text, at, end - at);
                Some(end)
            }
            None => None,
        },
        Data::Int(values) => number(text, at, delimiter, values, |n| i32::try_from(n.integer()?).ok()),
        Data::BigInt(values) => number(text, at, delimiter, values, Short::integer),
        Data::Double(values) => number(text, at, delimiter, values, Short::double),
        Data::Float(values) => number(text, at, delimiter, values, Short::float),
        Data::Decimal { precision, scale, values } => {
            number(text, at, delimiter, values, |n| n.decimal(*precision, *scale))
        }
        Data::Boolean(values) => boolean(text, at, delimiter).map(|(value, end)| {
            values.append(value);
            end
        }),
        Data::Date(values) => date(text, at, delimiter).map(|days| {
            values.push(days);
            at + DATE
        }),
        Data::Timestamp { precision, ltz, values } => {
            timestamp(text, at, delimiter, *precision, *ltz).map(|(v, end)| {
                values.push(v);
                end
            })
        }
        _ => None,
    };
    let Some(end) = end else { return false };
    column.valid();
    scanner.seek(end + 1);
    true
}

#[inline(always)]
fn number<T>(
    text: &[u8],
    at: usize,
    delimiter: u8,
    values: &mut Vec<T>,
    fit: impl FnOnce(Short) -> Option<T>,
) -> Option<usize> {
    let (short, end) = Short::read(text, at).filter(|(_, end)| text.get(*end) == Some(&delimiter))?;
    values.push(fit(short)?);
    Some(end)
}

#[inline(always)]
fn boolean(text: &[u8], at: usize, delimiter: u8) -> Option<(bool, usize)> {
    let (value, len) = match text.get(at..)?.first_chunk::<5>()? {
        [b't', b'r', b'u', b'e', _] => (true, 4),
        b"false" => (false, 5),
        _ => return None,
    };
    (text.get(at + len) == Some(&delimiter)).then_some((value, at + len))
}

/// How long a date is.
const DATE: usize = 10;

/// 1583-01-01. From then on both calendars agree.
const GREGORIAN: i32 = -141_349;

#[inline(always)]
fn date(text: &[u8], at: usize, delimiter: u8) -> Option<i32> {
    if text.get(at + DATE) != Some(&delimiter) {
        return None;
    }
    parse_date(&text[at..at + DATE]).ok().filter(|days| *days >= GREGORIAN)
}

/// With seconds, and with or without milliseconds.
#[inline(always)]
fn timestamp(text: &[u8], at: usize, delimiter: u8, precision: u8, ltz: bool) -> Option<(i64, usize)> {
    let rest = text.get(at..)?;
    if let Some((moment, len)) = leading_timestamp(rest, Some(TimestampStandard::Sql), ltz)
        && rest.get(len) == Some(&delimiter)
    {
        return Some((moment.to_arrow(precision).ok()?, at + len));
    }
    let end =
        [23, 19].into_iter().map(|len| at + len + usize::from(ltz)).find(|end| text.get(*end) == Some(&delimiter));
    let end = end?;
    let moment = parse_timestamp(&text[at..end], TimestampStandard::Sql, ltz).ok()?;
    Some((moment.to_arrow(precision).ok()?, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_dates_go_the_long_way() {
        assert_eq!(date(b"1583-01-01,", 0, b','), Some(GREGORIAN));
        assert_eq!(date(b"1582-12-31,", 0, b','), None);
        assert_eq!(date(b"2023-02-29,", 0, b','), None);
        assert_eq!(date(b"2023-02-28", 0, b','), None);
    }
}
