//! Shortcuts of the reader: what nearly every body looks like, without looking at it twice.
//!
//! A shortcut either reads what comes next exactly as the long way would, or leaves everything as it was and says so.
//! So it decides nothing, and no error comes from here.

use super::options::TimestampFormat;
use super::read::Reader;
use super::scan::{Scanner, plain_len};
use crate::coerce::digits::Short;
use crate::coerce::time::{parse_any_iso, parse_date, parse_timestamp};
use crate::column::{Column, Data, Texts};
use crate::names::NameIndex;

/// Passes over the key of that field, if it comes next without blanks, or with one behind the comma.
#[inline(always)]
pub(super) fn key(scanner: &mut Scanner<'_>, first: bool, names: &NameIndex, field: usize) -> bool {
    let (text, mut at) = scanner.rest();
    if !first {
        if text.get(at) != Some(&b',') {
            return false;
        }
        at += 1;
    }
    let Some(end) = names.key_at(field, text, at) else { return spaced_key(scanner, at, names, field) };
    scanner.go_to(end);
    true
}

/// Out of line, so that whether there is a blank is a branch that is foreseen and not a sum that is waited for.
#[cold]
fn spaced_key(scanner: &mut Scanner<'_>, at: usize, names: &NameIndex, field: usize) -> bool {
    let (text, _) = scanner.rest();
    let blank = text.get(at) == Some(&b' ');
    let Some(end) = names.key_at(field, text, at + 1).filter(|_| blank) else { return false };
    scanner.go_to(end);
    true
}

/// Reads the value that comes next into one more value of a column that does not nest: numbers of a usual length,
/// strings without escapes and mostly ASCII, and booleans, where they are what the column holds. One blank before it is fine.
#[inline(always)]
pub(super) fn value(reader: &mut Reader, scanner: &mut Scanner<'_>, column: &mut Column) -> bool {
    let (text, at) = scanner.rest();
    leaf(reader, scanner, column, text, at) || text.get(at) == Some(&b' ') && spaced_value(reader, scanner, column)
}

#[cold]
fn spaced_value(reader: &mut Reader, scanner: &mut Scanner<'_>, column: &mut Column) -> bool {
    let (text, at) = scanner.rest();
    leaf(reader, scanner, column, text, at + 1)
}

#[inline(always)]
fn leaf(reader: &mut Reader, scanner: &mut Scanner<'_>, column: &mut Column, text: &[u8], at: usize) -> bool {
    let end = match &mut column.data {
        Data::Text(values) => string(text, at, values),
        Data::Int(values) => number(text, at, values, |n| i32::try_from(n.integer()?).ok()),
        Data::BigInt(values) => number(text, at, values, Short::integer),
        Data::Double(values) => number(text, at, values, Short::double),
        Data::Float(values) => number(text, at, values, Short::float),
        Data::Decimal { precision, scale, values } => number(text, at, values, |n| n.decimal(*precision, *scale)),
        Data::Boolean(values) => boolean(text, at).map(|(value, end)| {
            values.append(value);
            end
        }),
        Data::Date(values) => plain(text, at).and_then(|(raw, end)| {
            values.push(parse_date(raw).ok()?);
            Some(end)
        }),
        Data::Timestamp { precision, ltz, values } => plain(text, at).and_then(|(raw, end)| {
            let moment = match reader.options.timestamps {
                TimestampFormat::Standard(standard) => parse_timestamp(raw, standard, *ltz),
                TimestampFormat::AnyIso => parse_any_iso(raw),
                TimestampFormat::Pattern(_) => return None,
            };
            values.push(moment.ok()?.to_arrow(*precision).ok()?);
            Some(end)
        }),
        _ => None,
    };
    let Some(end) = end else { return false };
    scanner.go_to(end);
    reader.spent += end - at;
    column.valid();
    true
}

/// The inside of a string that is ASCII without escapes, and where the text goes on.
#[inline(always)]
fn plain(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (b'"', rest) = text.get(at..)?.split_first()? else { return None };
    let len = plain_len(rest)?;
    Some((&rest[..len], at + len + 2))
}

#[inline(always)]
fn string(text: &[u8], at: usize, values: &mut Texts) -> Option<usize> {
    if values.are_long() {
        return long_string(text, at, values);
    }
    let (raw, end) = plain(text, at)?;
    values.push_part(text, at + 1, raw.len());
    Some(end)
}

/// A string without escapes.
fn long_string(text: &[u8], at: usize, values: &mut Texts) -> Option<usize> {
    let (b'"', rest) = text.get(at..)?.split_first()? else { return None };
    let len = memchr::memchr2(b'"', b'\\', rest)?;
    (rest[len] == b'"' && values.push_utf8(&rest[..len])).then_some(at + len + 2)
}

/// A number, in quotes or not, if it fits as it is.
#[inline(always)]
fn number<T>(text: &[u8], at: usize, values: &mut Vec<T>, fit: impl FnOnce(Short) -> Option<T>) -> Option<usize> {
    if text.get(at) == Some(&b'"') {
        let (short, end) = Short::read(text, at + 1).filter(|(_, end)| text.get(*end) == Some(&b'"'))?;
        values.push(fit(short)?);
        return Some(end + 1);
    }
    let (short, end) = Short::read(text, at)?;
    values.push(fit(short)?);
    Some(end)
}

#[inline(always)]
fn boolean(text: &[u8], at: usize) -> Option<(bool, usize)> {
    let (value, len) = match text.get(at..)?.first_chunk::<5>()? {
        [b't', b'r', b'u', b'e', _] => (true, 4),
        b"false" => (false, 5),
        _ => return None,
    };
    // What else may follow a word is for the long way to say.
    matches!(text.get(at + len), Some(b',' | b'}' | b']')).then_some((value, at + len))
}
