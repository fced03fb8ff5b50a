//! Shortcuts of the reader: what nearly every body looks like, without looking at it twice.
//!
//! A shortcut either reads what comes next exactly as the long way would, or leaves everything as it was and says so.
//! So it decides nothing, and no error comes from here.

use super::fit::Plain;
use super::options::TimestampFormat;
use super::plain::{WINDOW, first_mark, plain_len};
use super::read::Reader;
use super::scan::Scanner;
use crate::coerce::digits::{Short, small_integer};
use crate::coerce::time::{Moment, TimestampStandard, leading_timestamp, parse_any_iso, parse_date, parse_timestamp};
use crate::column::{Column, Data, Row, Texts};

/// How far an object has been read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    /// 0 before the first field, i + 1 behind field i.
    pub(super) place: usize,
    /// How many fields have a value.
    pub(super) filled: usize,
}

/// Reads fields as long as each comes where it came the last time, with a value for shortcuts. Stops before anything else:
/// behind the key of the field that it returns, or else behind a value (or where it began).
#[inline(always)]
pub(super) fn fields(
    reader: &mut Reader,
    scanner: &mut Scanner<'_>,
    row: &mut Row,
    index: usize,
    seen: &mut Seen,
) -> Option<usize> {
    let (text, mut at) = scanner.rest();
    let Seen { mut place, mut filled } = *seen;
    let mut spent = 0;
    let stopped = loop {
        let (lead, i) = row.names.expected(place);
        let Some(start) = lead.end_in(text, at) else { break None };
        at = start;
        let column = &mut row.fields[i];
        if column.len() != index {
            break Some(i);
        }
        let Some(end) = leaf(&reader.options.timestamps, column, text, at) else { break Some(i) };
        spent += end - at;
        column.valid();
        (at, place, filled) = (end, i + 1, filled + 1);
    };
    scanner.go_to(at);
    reader.spent += spent;
    *seen = Seen { place, filled };
    stopped
}

/// Reads the value that comes next into one more value of a column that does not nest: numbers of a usual length,
/// strings without escapes and mostly ASCII, and booleans, where they are what the column holds. One blank before it is fine.
#[inline(always)]
pub(super) fn value(reader: &mut Reader, scanner: &mut Scanner<'_>, column: &mut Column) -> bool {
    let (text, mut at) = scanner.rest();
    let timestamps = &reader.options.timestamps;
    let mut end = leaf(timestamps, column, text, at);
    if end.is_none() && text.get(at) == Some(&b' ') {
        at += 1;
        end = spaced_leaf(timestamps, column, text, at);
    }
    let Some(end) = end else { return false };
    scanner.go_to(end);
    reader.spent += end - at;
    column.valid();
    true
}

/// [`value`] for the one that stands at an offset, without a blank.
#[inline(always)]
pub(super) fn value_at(reader: &mut Reader, scanner: &Scanner<'_>, at: usize, column: &mut Column) -> bool {
    let Some(end) = leaf(&reader.options.timestamps, column, scanner.rest().0, at) else { return false };
    reader.spent += end - at;
    column.valid();
    true
}

/// [`value_at`] for a string that is known to be plain, and a column that takes it as it is.
#[inline(always)]
pub(super) fn plain_text(reader: &mut Reader, scanner: &Scanner<'_>, text: Plain, column: &mut Column) -> bool {
    let Data::Text(values) = &mut column.data else { return false };
    values.push_part(scanner.rest().0, text.at, text.len);
    // With its quotes, as elsewhere.
    reader.spent += text.len + 2;
    column.valid();
    true
}

/// Out of line, so that whether there is a blank is a branch that is foreseen and not a sum that is waited for.
#[cold]
fn spaced_leaf(timestamps: &TimestampFormat, column: &mut Column, text: &[u8], at: usize) -> Option<usize> {
    leaf(timestamps, column, text, at)
}

/// Where the value ends that begins at an offset, if it has been appended to the column's.
#[inline(always)]
fn leaf(timestamps: &TimestampFormat, column: &mut Column, text: &[u8], at: usize) -> Option<usize> {
    match &mut column.data {
        Data::Text(values) => string(text, at, values),
        Data::Int(values) => integer(text, at, values, |n| i32::try_from(n).ok()),
        Data::BigInt(values) => integer(text, at, values, Some),
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
        Data::Timestamp { precision, ltz, values } => {
            let standard = match timestamps {
                TimestampFormat::Standard(standard) => Some(*standard),
                TimestampFormat::AnyIso => None,
                TimestampFormat::Pattern(_) => return None,
            };
            let (moment, end) =
                quoted_timestamp(text, at, standard, *ltz).or_else(|| other_timestamp(text, at, standard, *ltz))?;
            values.push(moment.to_arrow(*precision).ok()?);
            Some(end)
        }
        _ => None,
    }
}

/// The inside of a string that is ASCII without escapes, and where the text goes on.
#[inline(always)]
fn plain(text: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (b'"', rest) = text.get(at..)?.split_first()? else { return None };
    let len = plain_len(rest)?;
    Some((&rest[..len], at + len + 2))
}

/// A timestamp as nearly all are written, and where the text goes on.
#[inline(always)]
fn quoted_timestamp(text: &[u8], at: usize, standard: Option<TimestampStandard>, ltz: bool) -> Option<(Moment, usize)> {
    let (b'"', inside) = text.get(at..)?.split_first()? else { return None };
    let (moment, len) = leading_timestamp(inside, standard, ltz)?;
    (inside.get(len) == Some(&b'"')).then_some((moment, at + len + 2))
}

/// A timestamp, and where the text goes on.
#[inline(never)]
fn other_timestamp(text: &[u8], at: usize, standard: Option<TimestampStandard>, ltz: bool) -> Option<(Moment, usize)> {
    let (raw, end) = plain(text, at)?;
    let moment = standard.map_or_else(|| parse_any_iso(raw), |standard| parse_timestamp(raw, standard, ltz));
    Some((moment.ok()?, end))
}

#[inline(always)]
fn string(text: &[u8], at: usize, values: &mut Texts) -> Option<usize> {
    let (b'"', rest) = text.get(at..)?.split_first()? else { return None };
    if values.are_long() {
        return long_string(rest, values).map(|len| at + len + 2);
    }
    let Some(window) = rest.first_chunk::<WINDOW>() else { return last_string(rest, values).map(|len| at + len + 2) };
    let len = first_mark(window);
    match window.get(len) {
        Some(b'"') => values.push_short(window, len),
        Some(_) => return None,
        None => return longer_string(rest, values).map(|len| at + len + 2),
    }
    Some(at + len + 2)
}

/// The length of a string so near the end of the text that there is no window.
#[inline(never)]
fn last_string(rest: &[u8], values: &mut Texts) -> Option<usize> {
    let mut window = [0; WINDOW];
    window[..rest.len()].copy_from_slice(rest);
    let len = first_mark(&window);
    let closed = window.get(len) == Some(&b'"');
    closed.then(|| {
        values.push_short(&window, len);
        len
    })
}

/// The length of a string of which a window is not all.
#[inline(never)]
fn longer_string(rest: &[u8], values: &mut Texts) -> Option<usize> {
    let len = plain_len(rest)?;
    values.push(&rest[..len]);
    Some(len)
}

/// The length of a string without escapes, of a column of long ones.
#[inline(never)]
fn long_string(rest: &[u8], values: &mut Texts) -> Option<usize> {
    let len = memchr::memchr2(b'"', b'\\', rest)?;
    (rest[len] == b'"' && values.push_utf8(&rest[..len])).then_some(len)
}

#[inline(always)]
fn integer<T: From<i32>>(
    text: &[u8],
    at: usize,
    values: &mut Vec<T>,
    fit: impl FnOnce(i64) -> Option<T>,
) -> Option<usize> {
    let Some((value, end)) = small_integer(text, at) else {
        return other_integer(text, at, values, fit);
    };
    values.push(T::from(value));
    Some(end)
}

#[inline(never)]
fn other_integer<T>(text: &[u8], at: usize, values: &mut Vec<T>, fit: impl FnOnce(i64) -> Option<T>) -> Option<usize> {
    number(text, at, values, |n| fit(n.integer()?))
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
