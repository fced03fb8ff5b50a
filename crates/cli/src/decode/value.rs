//! Values of decoded rows as JSON that loses nothing: doubles and decimals as text, nine decimals of a second, bytes in
//! base64, maps as sorted pairs. The encoding of the corpus of format cases.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::{DataType as ArrowType, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_formats::{LogicalType, RowType};
use serde_json::Value;

const MS_PER_DAY: i64 = 86_400_000;

/// Adds a JSON list of the batch's rows, each an object of the columns in order.
pub(super) fn push_rows(out: &mut String, columns: &RowType, batch: &RecordBatch) {
    let rows = StructArray::from(batch.clone());
    out.push('[');
    for row in 0..batch.num_rows() {
        if row > 0 {
            out.push(',');
        }
        push_row(out, columns, &rows, row);
    }
    out.push(']');
}

/// Adds text as a JSON string.
pub(super) fn push_text(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", Value::from(text));
}

fn push_row(out: &mut String, columns: &RowType, rows: &StructArray, row: usize) {
    out.push('{');
    for (i, (field, column)) in columns.fields().iter().zip(rows.columns()).enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_text(out, &field.name);
        out.push(':');
        push_value(out, &field.data_type.logical, column.as_ref(), row);
    }
    out.push('}');
}

fn push_value(out: &mut String, logical: &LogicalType, array: &dyn Array, at: usize) {
    if array.is_null(at) {
        out.push_str("null");
        return;
    }
    // Writing to a String cannot fail.
    let _ = match logical {
        LogicalType::Boolean => write!(out, "{}", array.as_boolean().value(at)),
        LogicalType::TinyInt => write!(out, "{}", array.as_primitive::<Int8Type>().value(at)),
        LogicalType::SmallInt => write!(out, "{}", array.as_primitive::<Int16Type>().value(at)),
        LogicalType::Int => write!(out, "{}", array.as_primitive::<Int32Type>().value(at)),
        LogicalType::BigInt => write!(out, "{}", array.as_primitive::<Int64Type>().value(at)),
        LogicalType::Float => {
            let value = array.as_primitive::<Float32Type>().value(at);
            write!(out, "\"{}\"", float(f64::from(value), format!("{value:?}")))
        }
        LogicalType::Double => {
            let value = array.as_primitive::<Float64Type>().value(at);
            write!(out, "\"{}\"", float(value, format!("{value:?}")))
        }
        LogicalType::Decimal { scale, .. } => {
            write!(out, "\"{}\"", decimal(array.as_primitive::<Decimal128Type>().value(at), *scale))
        }
        LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => {
            write!(out, "\"{}\"", STANDARD.encode(array.as_binary::<i32>().value(at)))
        }
        LogicalType::Date => {
            write!(out, "\"{}\"", date(i64::from(array.as_primitive::<Date32Type>().value(at))))
        }
        LogicalType::Time(_) => {
            write!(out, "\"{}\"", time(i64::from(array.as_primitive::<Time32MillisecondType>().value(at))))
        }
        LogicalType::Timestamp(_) => write!(out, "\"{}\"", timestamp(array, at)),
        LogicalType::TimestampLtz(_) => write!(out, "\"{}Z\"", timestamp(array, at)),
        LogicalType::Array(element) => {
            push_list(out, &element.logical, array.as_list::<i32>().value(at).as_ref());
            Ok(())
        }
        LogicalType::Map(key, value) => {
            push_pairs(out, &key.logical, &value.logical, &array.as_map().value(at));
            Ok(())
        }
        LogicalType::Multiset(element) => {
            push_pairs(out, &element.logical, &LogicalType::Int, &array.as_map().value(at));
            Ok(())
        }
        LogicalType::Row(row) => {
            push_row(out, row, array.as_struct(), at);
            Ok(())
        }
        // CHAR, VARCHAR, STRING; a type of a later release has a text form as well.
        _ => {
            push_text(out, array.as_string::<i32>().value(at));
            Ok(())
        }
    };
}

fn push_list(out: &mut String, element: &LogicalType, elements: &dyn Array) {
    out.push('[');
    for i in 0..elements.len() {
        if i > 0 {
            out.push(',');
        }
        push_value(out, element, elements, i);
    }
    out.push(']');
}

/// Pairs sorted by key, since a map has no order.
fn push_pairs(out: &mut String, key: &LogicalType, value: &LogicalType, entries: &StructArray) {
    let mut pairs: Vec<String> = (0..entries.len())
        .map(|i| {
            let mut pair = String::from("[");
            push_value(&mut pair, key, entries.column(0).as_ref(), i);
            pair.push(',');
            push_value(&mut pair, value, entries.column(1).as_ref(), i);
            pair.push(']');
            pair
        })
        .collect();
    pairs.sort();
    out.push('[');
    out.push_str(&pairs.join(","));
    out.push(']');
}

fn float(value: f64, text: String) -> String {
    if value.is_infinite() { if value > 0.0 { "Infinity".into() } else { "-Infinity".into() } } else { text }
}

fn decimal(unscaled: i128, scale: u8) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let sign = if unscaled < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A date of the proleptic Gregorian calendar, with a sign before years that are not four digits.
fn date(days: i64) -> String {
    // Days to year, month and day by eras of 400 years that begin on 1 March (H. Hinnant, "chrono-compatible
    // low-level date algorithms").
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let sign = match year {
        10_000.. => "+",
        ..0 => "-",
        _ => "",
    };
    format!("{sign}{:04}-{month:02}-{day:02}", year.abs())
}

fn time(ms: i64) -> String {
    if !(0..MS_PER_DAY).contains(&ms) {
        return format!("ms:{ms}");
    }
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ms % 1_000)
}

fn timestamp(array: &dyn Array, at: usize) -> String {
    let (seconds, nanos) = match array.data_type() {
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => {
            let value = array.as_primitive::<TimestampNanosecondType>().value(at);
            (value.div_euclid(1_000_000_000), value.rem_euclid(1_000_000_000))
        }
        // The other unit of RowType::to_arrow.
        _ => {
            let value = array.as_primitive::<TimestampMillisecondType>().value(at);
            (value.div_euclid(1_000), value.rem_euclid(1_000) * 1_000_000)
        }
    };
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    format!("{}T{:02}:{:02}:{:02}.{nanos:09}", date(days), second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use headwater_formats::{Format, OnBadRow};

    use super::*;

    #[test]
    fn values_lose_nothing() {
        let columns: RowType = "a BIGINT, b DOUBLE, c DECIMAL(5, 2), d BYTES, e TIMESTAMP(3), f TIMESTAMP_LTZ(9), \
             g MAP<STRING, INT>, h ARRAY<ROW<x TIME>>, i FLOAT, j STRING"
            .parse()
            .unwrap();
        let factory = Format::json().factory(&columns).unwrap();
        let mut decoder = factory.decoder();
        let body = r#"{"a": 9223372036854775807, "b": -0.0, "c": -0.5, "d": "AQI=", "e": "2024-03-10 12:34:56.7",
            "f": "2024-03-10 12:34:56.000000001Z", "g": {"b": 2, "a": null}, "h": [{"x": "01:02:03"}, null], "i": 0.1,
            "j": "\u0001\""}"#;
        decoder.decode(body.as_bytes(), OnBadRow::Fail).unwrap();
        let mut out = String::new();
        push_rows(&mut out, &columns, &decoder.flush());
        assert_eq!(
            out,
            r#"[{"a":9223372036854775807,"b":"-0.0","c":"-0.50","d":"AQI=","e":"2024-03-10T12:34:56.700000000","#
                .to_owned()
                + r#""f":"2024-03-10T12:34:56.000000001Z","g":[["a",null],["b",2]],"h":[{"x":"01:02:03.000"},null],"#
                + r#""i":"0.1","j":"\u0001\""}]"#
        );
    }

    #[test]
    fn dates_reach_every_year() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (2_932_897, "+10000-01-01"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
        ] {
            assert_eq!(date(days), text);
        }
        assert_eq!(time(90_000_000), "ms:90000000");
        assert_eq!((decimal(5, 2), decimal(-1234, 0)), ("0.05".into(), "-1234".into()));
    }
}
