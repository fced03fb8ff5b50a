//! Dates, times of day, timestamps and instants into one another.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Time32MillisecondType};
use arrow_array::{Array, ArrayRef};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use headwater_formats::LogicalType;

use super::Options;
use crate::functions::kernel::{KernelResult, RowError, numbers};
use crate::functions::time::moment::{cut, from_day_millis, from_days, moment_at, moments, to_day_millis, to_days};
use crate::types::precision_of;

pub(super) fn convert(values: &ArrayRef, from: &LogicalType, to: &LogicalType, options: Options) -> KernelResult {
    let (rows, arrow) = (values.len(), to.to_arrow());
    let get = |row: usize| {
        let local = values.is_valid(row).then(|| local(values, from, row, options));
        options.outcome(local.transpose())
    };
    match to {
        LogicalType::Date => numbers::<Date32Type>(rows, &arrow, |i| Ok(get(i)?.map(|t| to_days(t.date())))),
        LogicalType::Time(p) => {
            numbers::<Time32MillisecondType>(rows, &arrow, |i| Ok(get(i)?.map(|t| to_day_millis(cut(t, *p).time()))))
        }
        LogicalType::Timestamp(_) => moments(rows, &arrow, precision_of(to), get),
        LogicalType::TimestampLtz(_) => {
            moments(rows, &arrow, precision_of(to), |i| Ok(get(i)?.map(|t| options.zone.instant(t))))
        }
        other => Err(format!("no conversion from {from} to {other}").into()),
    }
}

/// A value as a wall clock in the session's zone. A time of day is one of 1970-01-01, as in Flink.
fn local(values: &ArrayRef, from: &LogicalType, row: usize, options: Options) -> Result<NaiveDateTime, RowError> {
    Ok(match from {
        LogicalType::Date => from_days(values.as_primitive::<Date32Type>().value(row))?.and_time(NaiveTime::MIN),
        LogicalType::Time(_) => {
            let time = from_day_millis(values.as_primitive::<Time32MillisecondType>().value(row))?;
            NaiveDate::default().and_time(time)
        }
        LogicalType::TimestampLtz(_) => options.zone.local(moment_at(values, row)?),
        _ => moment_at(values, row)?,
    })
}
