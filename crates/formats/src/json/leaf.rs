//! JSON values into columns that do not nest, by Flink's coercions.

use super::options::TimestampFormat;
use super::read::{Reader, Stop, kind_name};
use super::reprint::{reprint, tree_number, word_text};
use super::scan::{Kind, Number, Scanner, Text};
use super::text;
use crate::coerce::time::{Moment, parse_any_iso, parse_date, parse_time, parse_timestamp};
use crate::coerce::{Reason, base64, decimal, float, integer, java_trim};
use crate::column::{Column, Data};

/// A value that becomes no value of its column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Misfit {
    /// It does not fit, for that reason.
    Error(Reason),
    /// Flink makes it NULL and never an error of it: a decimal with more digits than its type has, and, to the older
    /// decoder, BYTES that are no string.
    Null,
}

impl From<Reason> for Misfit {
    fn from(reason: Reason) -> Self {
        Self::Error(reason)
    }
}

/// Reads the value that comes next, which is not null, into one more value of the column. After `Ok(Err(_))` the
/// scanner is behind it and nothing was written.
pub(super) fn read(
    reader: &mut Reader,
    scanner: &mut Scanner<'_>,
    kind: Kind,
    column: &mut Column,
) -> Result<Result<(), Misfit>, Stop> {
    let written = match kind {
        Kind::String => {
            let text = scanner.string()?;
            // With its quotes, as the shortcut counts it.
            reader.spend(text.raw.len() + 2)?;
            from_string(reader, text, column)?
        }
        Kind::Number => {
            let number = scanner.number()?;
            reader.spend(number.raw.len())?;
            from_number(reader, number, column)
        }
        Kind::Object | Kind::Array => from_container(reader, scanner, kind, column)?,
        word => {
            scanner.word(word)?;
            from_word(reader, word, column)
        }
    };
    if written.is_ok() {
        column.valid();
    }
    Ok(written)
}

fn from_string(reader: &mut Reader, text: Text<'_>, column: &mut Column) -> Result<Result<(), Misfit>, Stop> {
    if text.plain {
        return Ok(from_text(reader, text.raw, &mut column.data));
    }
    if let Data::Text(values) = &mut column.data
        && values.try_put(|out| text::decode(text.raw, out)).is_ok()
    {
        return Ok(Ok(()));
    }
    let mut decoded = std::mem::take(&mut reader.scratch);
    decoded.clear();
    let written = match text::decode(text.raw, &mut decoded) {
        Ok(()) => Ok(from_text(reader, &decoded, &mut column.data)),
        // Jackson finds a character that the closing quote cuts off only when it is behind the quote, so that the
        // rest of the body is still in step and the value alone is lost.
        Err(e) if e.cut && !reader.options.tree => Ok(Err(Misfit::Error("a string that ends within a character"))),
        Err(e) => Err(Scanner::text_error(text, e).into()),
    };
    reader.scratch = decoded;
    written
}

fn from_text(reader: &Reader, text: &[u8], data: &mut Data) -> Result<(), Misfit> {
    match data {
        Data::Text(values) => values.push(text),
        Data::Boolean(values) => values.append(java_trim(text).eq_ignore_ascii_case(b"true")),
        Data::TinyInt(values) => values.push(integer::parse(text, i8::MIN.into(), i8::MAX.into())? as i8),
        Data::SmallInt(values) => values.push(integer::parse(text, i16::MIN.into(), i16::MAX.into())? as i16),
        Data::Int(values) => values.push(integer::parse(text, i32::MIN.into(), i32::MAX.into())? as i32),
        Data::BigInt(values) => values.push(integer::parse(text, i64::MIN, i64::MAX)?),
        Data::Float(values) => values.push(float::parse_f32(text)?),
        Data::Double(values) => values.push(float::parse_f64(text)?),
        Data::Decimal { precision, scale, values } => {
            // The older decoder does not trim.
            let text = if reader.options.tree { text } else { java_trim(text) };
            from_decimal(text, *precision, *scale, values)?;
        }
        Data::Bytes(values) => {
            let start = values.bytes.len();
            base64::decode(text, &mut values.bytes).inspect_err(|_| values.bytes.truncate(start))?;
            values.close();
        }
        Data::Date(values) => values.push(parse_date(text)?),
        Data::Time(values) => values.push(parse_time(text)?),
        Data::Timestamp { precision, ltz, values } => {
            values.push(timestamp(text, &reader.options.timestamps, *ltz)?.to_arrow(*precision)?);
        }
        Data::Array { .. } | Data::Map { .. } | Data::Row(_) => return Err(kind_name(Kind::String).into()),
    }
    Ok(())
}

fn timestamp(text: &[u8], format: &TimestampFormat, ltz: bool) -> Result<Moment, Reason> {
    match format {
        TimestampFormat::Standard(standard) => parse_timestamp(text, *standard, ltz),
        TimestampFormat::AnyIso => parse_any_iso(text),
        TimestampFormat::Pattern(pattern) => pattern.read(text),
    }
}

fn from_decimal(text: &[u8], precision: u8, scale: u8, values: &mut Vec<i128>) -> Result<(), Misfit> {
    values.push(decimal::parse(text, precision, scale)?.ok_or(Misfit::Null)?);
    Ok(())
}

fn from_number(reader: &Reader, number: Number<'_>, column: &mut Column) -> Result<(), Misfit> {
    let Number { raw, integer } = number;
    match &mut column.data {
        Data::Text(values) if reader.options.tree => {
            values.put(|out| tree_number(number, out));
        }
        Data::Text(values) => values.push(raw),
        Data::Boolean(values) => values.append(false),
        Data::TinyInt(values) if integer => values.push(integer::parse(raw, i8::MIN.into(), i8::MAX.into())? as i8),
        Data::SmallInt(values) if integer => values.push(integer::parse(raw, i16::MIN.into(), i16::MAX.into())? as i16),
        Data::TinyInt(_) | Data::SmallInt(_) => return Err(Misfit::Error("a number with a fraction or an exponent")),
        Data::Int(values) => values.push(whole(number, i32::MIN.into(), i32::MAX.into())? as i32),
        Data::BigInt(values) => values.push(whole(number, i64::MIN, i64::MAX)?),
        Data::Float(values) if raw == b"-0" && reader.options.tree => values.push(0.0),
        Data::Double(values) if raw == b"-0" && reader.options.tree => values.push(0.0),
        Data::Float(values) => values.push(float::parse_f32(raw)?),
        Data::Double(values) => values.push(float::parse_f64(raw)?),
        Data::Decimal { precision, scale, values } => from_decimal(raw, *precision, *scale, values)?,
        Data::Bytes(_) if reader.options.tree => return Err(Misfit::Null),
        _ => return Err(kind_name(Kind::Number).into()),
    }
    Ok(())
}

fn whole(number: Number<'_>, min: i64, max: i64) -> Result<i64, Reason> {
    if number.integer {
        return integer::parse(number.raw, min, max);
    }
    integer::from_f64(float::parse_f64(number.raw)?, min, max)
}

fn from_word(reader: &Reader, word: Kind, column: &mut Column) -> Result<(), Misfit> {
    match &mut column.data {
        Data::Boolean(values) => values.append(word == Kind::True),
        Data::Text(values) => values.push(word_text(word)),
        Data::Bytes(_) if reader.options.tree => return Err(Misfit::Null),
        _ => return Err(kind_name(word).into()),
    }
    Ok(())
}

fn from_container(
    reader: &mut Reader,
    scanner: &mut Scanner<'_>,
    kind: Kind,
    column: &mut Column,
) -> Result<Result<(), Misfit>, Stop> {
    let tree = reader.options.tree;
    match &mut column.data {
        Data::Text(values) => {
            let printed = values.try_put(|out| reprint(scanner, out))?;
            reader.spend(printed)?;
            Ok(Ok(()))
        }
        // Flink asks for the text of the opening bracket, which is not "true".
        Data::Boolean(values) if tree || kind == Kind::Object => {
            scanner.skip()?;
            values.append(false);
            Ok(Ok(()))
        }
        Data::Bytes(_) if tree => {
            scanner.skip()?;
            Ok(Err(Misfit::Null))
        }
        _ => {
            scanner.skip()?;
            Ok(Err(kind_name(kind).into()))
        }
    }
}
