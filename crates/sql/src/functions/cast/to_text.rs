//! Everything into texts, as `CAST(… AS STRING)` writes it.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType,
};
use arrow_array::{Array, ArrayRef};
use chrono::{NaiveDateTime, NaiveTime, Timelike};
use headwater_formats::LogicalType;

use super::Options;
use crate::functions::digits::{java_f32, java_f64, plain};
use crate::functions::kernel::{KernelResult, RowError, strings};
use crate::functions::time::moment::{from_day_millis, from_days, moment_at};

pub(super) fn convert(values: &ArrayRef, from: &LogicalType, options: Options) -> KernelResult {
    strings(values.len(), |i| {
        if !values.is_valid(i) {
            return Ok(None);
        }
        let mut text = String::new();
        write_value(values, i, from, options, &mut text)?;
        Ok(Some(text))
    })
}

/// Cuts texts to a `VARCHAR(n)`, cuts or pads them to a `CHAR(n)`.
pub(super) fn fit(values: &ArrayRef, to: &LogicalType) -> KernelResult {
    let (length, pad) = match to {
        LogicalType::VarChar(n) => (*n as usize, false),
        LogicalType::Char(n) => (*n as usize, true),
        _ => return Ok(ArrayRef::clone(values)),
    };
    let texts = values.as_string::<i32>();
    strings(texts.len(), |i| {
        Ok(texts.is_valid(i).then(|| {
            let mut text: String = texts.value(i).chars().take(length).collect();
            if pad {
                let missing = length - text.chars().count();
                text.extend(std::iter::repeat_n(' ', missing));
            }
            text
        }))
    })
}

fn write_value(
    values: &dyn Array,
    row: usize,
    from: &LogicalType,
    options: Options,
    out: &mut String,
) -> Result<(), RowError> {
    let number = |text: String, out: &mut String| out.push_str(&text);
    match from {
        LogicalType::Boolean => out.push_str(if values.as_boolean().value(row) { "TRUE" } else { "FALSE" }),
        LogicalType::TinyInt => number(values.as_primitive::<Int8Type>().value(row).to_string(), out),
        LogicalType::SmallInt => number(values.as_primitive::<Int16Type>().value(row).to_string(), out),
        LogicalType::Int => number(values.as_primitive::<Int32Type>().value(row).to_string(), out),
        LogicalType::BigInt => number(values.as_primitive::<Int64Type>().value(row).to_string(), out),
        LogicalType::Float => number(java_f32(values.as_primitive::<Float32Type>().value(row)), out),
        LogicalType::Double => number(java_f64(values.as_primitive::<Float64Type>().value(row)), out),
        LogicalType::Decimal { scale, .. } => {
            number(plain(values.as_primitive::<Decimal128Type>().value(row), *scale), out);
        }
        LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => {
            out.push_str(values.as_string::<i32>().value(row));
        }
        LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => {
            out.push_str(&String::from_utf8_lossy(values.as_binary::<i32>().value(row)));
        }
        LogicalType::Date => {
            let date = from_days(values.as_primitive::<Date32Type>().value(row))?;
            number(date.format("%Y-%m-%d").to_string(), out);
        }
        LogicalType::Time(p) => {
            let time = from_day_millis(values.as_primitive::<Time32MillisecondType>().value(row))?;
            write_time(time, *p, out);
        }
        LogicalType::Timestamp(p) => write_timestamp(moment_at(values, row)?, *p, out),
        LogicalType::TimestampLtz(p) => write_timestamp(options.zone.local(moment_at(values, row)?), *p, out),
        nested => write_nested(values, row, nested, options, out)?,
    }
    Ok(())
}

/// `[1, 2]`, `{a=1, b=2}`, `(1, x)`; NULL inside is written out.
fn write_nested(
    values: &dyn Array,
    row: usize,
    from: &LogicalType,
    options: Options,
    out: &mut String,
) -> Result<(), RowError> {
    let element = |values: &dyn Array, row: usize, t: &LogicalType, out: &mut String| match values.is_valid(row) {
        true => write_value(values, row, t, options, out),
        false => {
            out.push_str("NULL");
            Ok(())
        }
    };
    let separate = |i: usize, out: &mut String| {
        if i > 0 {
            out.push_str(", ")
        }
    };
    match from {
        LogicalType::Array(t) => {
            let items = values.as_list::<i32>().value(row);
            out.push('[');
            for i in 0..items.len() {
                separate(i, out);
                element(&items, i, &t.logical, out)?;
            }
            out.push(']');
        }
        LogicalType::Map(..) | LogicalType::Multiset(_) => {
            let (key, value) = match from {
                LogicalType::Map(k, v) => (&k.logical, &v.logical),
                LogicalType::Multiset(t) => (&t.logical, &LogicalType::Int),
                _ => return Ok(()),
            };
            let entries = values.as_map().value(row);
            out.push('{');
            for i in 0..entries.len() {
                separate(i, out);
                element(entries.column(0), i, key, out)?;
                out.push('=');
                element(entries.column(1), i, value, out)?;
            }
            out.push('}');
        }
        LogicalType::Row(fields) => {
            out.push('(');
            for (i, field) in fields.fields().iter().enumerate() {
                separate(i, out);
                element(values.as_struct().column(i), row, &field.data_type.logical, out)?;
            }
            out.push(')');
        }
        _ => {}
    }
    Ok(())
}

/// Up to `precision` digits of a fraction, at least one, trailing zeros left out.
fn write_time(time: NaiveTime, precision: u8, out: &mut String) {
    // Writing to a String does not fail.
    let _ = write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if precision > 0 {
        let millis = format!("{:03}", time.nanosecond() / 1_000_000);
        let shown = millis[..usize::from(precision.min(3))].trim_end_matches('0');
        let _ = write!(out, ".{}", if shown.is_empty() { "0" } else { shown });
    }
}

/// `precision` digits of a fraction, and more where there are more.
fn write_timestamp(t: NaiveDateTime, precision: u8, out: &mut String) {
    let _ = write!(out, "{}", t.format("%Y-%m-%d %H:%M:%S"));
    let mut fraction = format!("{:09}", t.nanosecond());
    while fraction.len() > usize::from(precision) && fraction.ends_with('0') {
        fraction.pop();
    }
    if !fraction.is_empty() {
        let _ = write!(out, ".{fraction}");
    }
}
