//! Points in time between Arrow's numbers and calendar fields.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMillisecondType, TimestampNanosecondType};
use arrow_schema::{DataType as ArrowType, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::functions::kernel::{KernelResult, RowError, numbers};
use crate::functions::time::zone::from_millis;

/// Days from 0001-01-01 to 1970-01-01, chrono's way of counting.
const EPOCH_DAY: i32 = 719_163;

const OUT_OF_RANGE: &str = "the time is outside of what its type can hold";
const OUT_OF_NANOS: &str =
    "the time is outside of the years 1677 to 2262, all that a precision above 3 can hold; use TIMESTAMP(3)";

/// One value of a column of `TIMESTAMP` or `TIMESTAMP_LTZ` (then in UTC), of either unit.
pub(crate) fn moment_at(values: &dyn Array, row: usize) -> Result<NaiveDateTime, RowError> {
    match values.data_type() {
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => {
            Ok(DateTime::from_timestamp_nanos(values.as_primitive::<TimestampNanosecondType>().value(row)).naive_utc())
        }
        _ => from_millis(values.as_primitive::<TimestampMillisecondType>().value(row)).ok_or(OUT_OF_RANGE.into()),
    }
}

/// A `TIMESTAMP` or `TIMESTAMP_LTZ` (then in UTC) for each row, cut to so many digits of a fraction.
pub(crate) fn moments(
    rows: usize,
    arrow: &ArrowType,
    precision: u8,
    mut row: impl FnMut(usize) -> Result<Option<NaiveDateTime>, RowError>,
) -> KernelResult {
    if matches!(arrow, ArrowType::Timestamp(TimeUnit::Nanosecond, _)) {
        return numbers::<TimestampNanosecondType>(rows, arrow, |i| {
            row(i)?.map(|t| cut(t, precision).and_utc().timestamp_nanos_opt().ok_or(OUT_OF_NANOS.into())).transpose()
        });
    }
    numbers::<TimestampMillisecondType>(rows, arrow, |i| {
        Ok(row(i)?.map(|t| cut(t, precision).and_utc().timestamp_millis()))
    })
}

/// Cuts a fraction to so many digits.
pub(crate) fn cut(t: NaiveDateTime, digits: u8) -> NaiveDateTime {
    let unit = 10_u32.pow(9 - u32::from(digits.min(9)));
    // A leap second (nanoseconds beyond 1e9) does not come out of Arrow, and no parser here makes one.
    t.with_nanosecond(t.nanosecond() / unit * unit).unwrap_or(t)
}

/// A date as Arrow keeps it: days since 1970-01-01.
pub(crate) fn to_days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - EPOCH_DAY
}

pub(crate) fn from_days(days: i32) -> Result<NaiveDate, RowError> {
    days.checked_add(EPOCH_DAY).and_then(NaiveDate::from_num_days_from_ce_opt).ok_or(OUT_OF_RANGE.into())
}

/// A time of day as Arrow keeps it: milliseconds.
pub(crate) fn to_day_millis(time: NaiveTime) -> i32 {
    // A day has 86,400,000 milliseconds, which fit.
    (time.num_seconds_from_midnight() * 1000 + time.nanosecond() / 1_000_000) as i32
}

pub(crate) fn from_day_millis(millis: i32) -> Result<NaiveTime, RowError> {
    let millis = u32::try_from(millis).map_err(|_| OUT_OF_RANGE)?;
    NaiveTime::from_num_seconds_from_midnight_opt(millis / 1000, millis % 1000 * 1_000_000).ok_or(OUT_OF_RANGE.into())
}
