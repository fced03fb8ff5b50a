//! Arrow values in the notation of `expected.json`.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, RecordBatch};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use headwater_formats::{LogicalType, RowType};
use serde_json::{Map, Value, json};

pub(crate) fn rows(batch: &RecordBatch, row_type: &RowType) -> Vec<Value> {
    let columns: Vec<&dyn Array> = batch.columns().iter().map(AsRef::as_ref).collect();
    (0..batch.num_rows()).map(|row| fields(&columns, row_type, row)).collect()
}

fn fields(columns: &[&dyn Array], row_type: &RowType, row: usize) -> Value {
    let fields = row_type.fields().iter().zip(columns);
    let fields = fields.map(|(f, column)| (f.name.clone(), value(*column, &f.data_type.logical, row)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value(array: &dyn Array, t: &LogicalType, i: usize) -> Value {
    if array.is_null(i) {
        return Value::Null;
    }
    match t {
        LogicalType::Boolean => json!(array.as_boolean().value(i)),
        LogicalType::TinyInt => json!(array.as_primitive::<Int8Type>().value(i)),
        LogicalType::SmallInt => json!(array.as_primitive::<Int16Type>().value(i)),
        LogicalType::Int => json!(array.as_primitive::<Int32Type>().value(i)),
        LogicalType::BigInt => json!(array.as_primitive::<Int64Type>().value(i)),
        LogicalType::Float => float(array.as_primitive::<Float32Type>().value(i).into()),
        LogicalType::Double => float(array.as_primitive::<Float64Type>().value(i)),
        LogicalType::Decimal { .. } => json!(array.as_primitive::<Decimal128Type>().value_as_string(i)),
        LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => {
            json!(array.as_string::<i32>().value(i))
        }
        LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => {
            json!(STANDARD.encode(array.as_binary::<i32>().value(i)))
        }
        LogicalType::Date => json!(date(array.as_primitive::<Date32Type>().value(i))),
        LogicalType::Time(_) => {
            let millis = array.as_primitive::<Time32MillisecondType>().value(i);
            let seconds = u32::try_from(millis.div_euclid(1_000)).unwrap_or(u32::MAX);
            let nanos = millis.rem_euclid(1_000) as u32 * 1_000_000;
            match NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos) {
                Some(time) => json!(time.format("%H:%M:%S%.3f").to_string()),
                None => json!(format!("ms:{millis}")),
            }
        }
        LogicalType::Timestamp(p) => json!(timestamp(array, *p, i)),
        LogicalType::TimestampLtz(p) => json!(timestamp(array, *p, i) + "Z"),
        LogicalType::Array(t) => {
            let items = array.as_list::<i32>().value(i);
            (0..items.len()).map(|i| value(&items, &t.logical, i)).collect()
        }
        LogicalType::Map(k, v) => entries(array, &k.logical, &v.logical, i),
        LogicalType::Multiset(t) => entries(array, &t.logical, &LogicalType::Int, i),
        LogicalType::Row(row_type) => {
            let columns: Vec<&dyn Array> = array.as_struct().columns().iter().map(AsRef::as_ref).collect();
            fields(&columns, row_type, i)
        }
        other => panic!("the corpus has no {other}"),
    }
}

fn entries(array: &dyn Array, key: &LogicalType, val: &LogicalType, i: usize) -> Value {
    let entries = array.as_map().value(i);
    let (keys, values) = (entries.column(0), entries.column(1));
    (0..entries.len()).map(|i| json!([value(keys, key, i), value(values, val, i)])).collect()
}

fn float(value: f64) -> Value {
    json!(match value {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        finite => format!("{finite:?}"),
    })
}

fn date(days: i32) -> String {
    let date = NaiveDate::from_epoch_days(days).expect("a date that chrono holds");
    match date.year() {
        0..=9999 => date.to_string(),
        year => format!("{year:+05}-{:02}-{:02}", date.month(), date.day()),
    }
}

fn timestamp(array: &dyn Array, precision: u8, i: usize) -> String {
    let moment: NaiveDateTime = if precision <= 3 {
        let millis = array.as_primitive::<TimestampMillisecondType>().value(i);
        DateTime::from_timestamp_millis(millis).expect("a moment that chrono holds").naive_utc()
    } else {
        DateTime::from_timestamp_nanos(array.as_primitive::<TimestampNanosecondType>().value(i)).naive_utc()
    };
    let days = moment.date().to_epoch_days();
    format!("{}T{}", date(days), moment.time().format("%H:%M:%S%.9f"))
}
