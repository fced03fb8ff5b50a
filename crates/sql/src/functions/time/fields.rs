//! Parts of times: EXTRACT and its short forms, rounding to a unit.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, Time32MillisecondType};
use arrow_schema::DataType as ArrowType;
use chrono::{Datelike, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use headwater_formats::LogicalType;

use super::moment::{from_day_millis, from_days, moment_at, moments, to_day_millis, to_days};
use super::zone::Zone;
use crate::error::ScriptError;
use crate::functions::call::{Binding, Call, Function};
use crate::functions::kernel::{KernelResult, RowError, numbers};
use crate::types::{Family, precision_of};

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    Function { name: "YEAR", usage: "YEAR(time)", arity: 1..=1, bind: |c| extract(c, Unit::Year) },
    Function { name: "QUARTER", usage: "QUARTER(time)", arity: 1..=1, bind: |c| extract(c, Unit::Quarter) },
    Function { name: "MONTH", usage: "MONTH(time)", arity: 1..=1, bind: |c| extract(c, Unit::Month) },
    Function { name: "WEEK", usage: "WEEK(time)", arity: 1..=1, bind: |c| extract(c, Unit::Week) },
    Function { name: "DAYOFYEAR", usage: "DAYOFYEAR(time)", arity: 1..=1, bind: |c| extract(c, Unit::DayOfYear) },
    Function { name: "DAYOFMONTH", usage: "DAYOFMONTH(time)", arity: 1..=1, bind: |c| extract(c, Unit::Day) },
    Function { name: "DAYOFWEEK", usage: "DAYOFWEEK(time)", arity: 1..=1, bind: |c| extract(c, Unit::DayOfWeek) },
    Function { name: "HOUR", usage: "HOUR(time)", arity: 1..=1, bind: |c| extract(c, Unit::Hour) },
    Function { name: "MINUTE", usage: "MINUTE(time)", arity: 1..=1, bind: |c| extract(c, Unit::Minute) },
    Function { name: "SECOND", usage: "SECOND(time)", arity: 1..=1, bind: |c| extract(c, Unit::Second) },
];

/// Stands for `EXTRACT(unit FROM time)`, which has a grammar of its own.
pub(crate) static EXTRACT: Function =
    Function { name: "EXTRACT", usage: "EXTRACT(unit FROM time)", arity: 1..=1, bind: |c| extract(c, Unit::Year) };

/// Stands for `FLOOR(time TO unit)`.
pub(crate) static FLOOR_TO: Function =
    Function { name: "FLOOR", usage: "FLOOR(time TO unit)", arity: 1..=1, bind: |c| round_to(c, Unit::Day, false) };

/// Stands for `CEIL(time TO unit)`.
pub(crate) static CEIL_TO: Function =
    Function { name: "CEIL", usage: "CEIL(time TO unit)", arity: 1..=1, bind: |c| round_to(c, Unit::Day, true) };

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    DayOfYear,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    Hour,
    Minute,
    Second,
    Millisecond,
    Epoch,
}

impl Unit {
    /// The unit of that name, in any letter case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "YEAR" => Self::Year,
            "QUARTER" => Self::Quarter,
            "MONTH" => Self::Month,
            "WEEK" => Self::Week,
            "DOY" => Self::DayOfYear,
            "DAY" => Self::Day,
            "DOW" => Self::DayOfWeek,
            "ISODOW" => Self::IsoDayOfWeek,
            "HOUR" => Self::Hour,
            "MINUTE" => Self::Minute,
            "SECOND" => Self::Second,
            "MILLISECOND" => Self::Millisecond,
            "EPOCH" => Self::Epoch,
            _ => return None,
        })
    }

    /// Whether a date is needed to know it.
    fn of_date(self) -> bool {
        !matches!(self, Self::Hour | Self::Minute | Self::Second | Self::Millisecond)
    }

    fn of(self, t: NaiveDateTime) -> i64 {
        match self {
            Self::Year => t.year().into(),
            Self::Quarter => (t.month0() / 3 + 1).into(),
            Self::Month => t.month().into(),
            Self::Week => t.iso_week().week().into(),
            Self::DayOfYear => t.ordinal().into(),
            Self::Day => t.day().into(),
            Self::DayOfWeek => (t.weekday().num_days_from_sunday() + 1).into(),
            Self::IsoDayOfWeek => t.weekday().number_from_monday().into(),
            Self::Hour => t.hour().into(),
            Self::Minute => t.minute().into(),
            Self::Second => t.second().into(),
            Self::Millisecond => (t.second() * 1000 + t.nanosecond() / 1_000_000).into(),
            Self::Epoch => t.and_utc().timestamp(),
        }
    }
}

/// A column of times as wall clock times: instants in the session's zone, a time of day on 1970-01-01.
pub(crate) fn wall(values: &ArrayRef, family: Family, at: usize, zone: Zone) -> Result<NaiveDateTime, RowError> {
    Ok(match family {
        Family::Date => from_days(values.as_primitive::<Date32Type>().value(at))?.and_time(NaiveTime::MIN),
        Family::Time => {
            NaiveDate::default().and_time(from_day_millis(values.as_primitive::<Time32MillisecondType>().value(at))?)
        }
        Family::TimestampLtz => zone.local(moment_at(values, at)?),
        _ => moment_at(values, at)?,
    })
}

/// A part of a time as a BIGINT.
pub(crate) fn extract(mut call: Call, unit: Unit) -> Binding {
    let family = call.temporal(0)?;
    if family == Family::Time && unit.of_date() {
        return Err(call.error(call.args[0].position, "a TIME has no date"));
    }
    let zone = call.env.zone;
    call.result(1, LogicalType::BigInt, true, move |args| {
        let values = args.array(0);
        args.to_numbers::<Int64Type>(&ArrowType::Int64, |i| {
            let at = values.index(i);
            at.map(|at| wall(values.array, family, at, zone).map(|t| unit.of(t))).transpose()
        })
    })
}

/// Rounds a time down (or up) to the start of a unit. A week starts on Sunday, as in Flink.
pub(crate) fn round_to(mut call: Call, unit: Unit, up: bool) -> Binding {
    let family = call.temporal(0)?;
    let logical = call.args[0].logical.clone().unwrap_or(LogicalType::Timestamp(3));
    if !fits(unit, family) {
        return Err(unit_error(&call));
    }
    let zone = call.env.zone;
    let target = logical.clone();
    call.result(1, logical, true, move |args| {
        let values = args.array(0);
        let get = |i: usize| {
            let rounded = |at| {
                let t = wall(values.array, family, at, zone)?;
                let floor = floor(unit, t);
                let t = match floor {
                    Some(start) if up && start < t => next(unit, start),
                    other => other,
                };
                t.ok_or(RowError::from("the time is out of range"))
            };
            values.index(i).map(rounded).transpose()
        };
        times(args.rows(), &target, zone, get)
    })
}

fn fits(unit: Unit, family: Family) -> bool {
    match unit {
        Unit::Year | Unit::Quarter | Unit::Month | Unit::Week | Unit::Day => family != Family::Time,
        Unit::Hour | Unit::Minute | Unit::Second => family != Family::Date,
        _ => false,
    }
}

fn unit_error(call: &Call) -> ScriptError {
    call.error(call.position, format!("this unit does not round {}", call.args[0].type_name()))
}

/// Wall clock times as values of a type.
pub(crate) fn times(
    rows: usize,
    logical: &LogicalType,
    zone: Zone,
    get: impl Fn(usize) -> Result<Option<NaiveDateTime>, RowError>,
) -> KernelResult {
    let arrow = logical.to_arrow();
    match logical {
        LogicalType::Date => numbers::<Date32Type>(rows, &arrow, |i| Ok(get(i)?.map(|t| to_days(t.date())))),
        LogicalType::Time(_) => {
            numbers::<Time32MillisecondType>(rows, &arrow, |i| Ok(get(i)?.map(|t| to_day_millis(t.time()))))
        }
        LogicalType::TimestampLtz(p) => moments(rows, &arrow, *p, |i| Ok(get(i)?.map(|t| zone.instant(t)))),
        _ => moments(rows, &arrow, precision_of(logical), get),
    }
}

fn floor(unit: Unit, t: NaiveDateTime) -> Option<NaiveDateTime> {
    let day = t.date();
    let date = match unit {
        Unit::Year => NaiveDate::from_ymd_opt(t.year(), 1, 1)?,
        Unit::Quarter => NaiveDate::from_ymd_opt(t.year(), t.month0() / 3 * 3 + 1, 1)?,
        Unit::Month => day.with_day(1)?,
        Unit::Week => day.checked_sub_signed(Duration::days(t.weekday().num_days_from_sunday().into()))?,
        Unit::Day => day,
        Unit::Hour => return day.and_hms_opt(t.hour(), 0, 0),
        Unit::Minute => return day.and_hms_opt(t.hour(), t.minute(), 0),
        _ => return day.and_hms_opt(t.hour(), t.minute(), t.second()),
    };
    Some(date.and_time(NaiveTime::MIN))
}

fn next(unit: Unit, start: NaiveDateTime) -> Option<NaiveDateTime> {
    match unit {
        Unit::Year => start.checked_add_months(Months::new(12)),
        Unit::Quarter => start.checked_add_months(Months::new(3)),
        Unit::Month => start.checked_add_months(Months::new(1)),
        Unit::Week => start.checked_add_signed(Duration::days(7)),
        Unit::Day => start.checked_add_signed(Duration::days(1)),
        Unit::Hour => start.checked_add_signed(Duration::hours(1)),
        Unit::Minute => start.checked_add_signed(Duration::minutes(1)),
        _ => start.checked_add_signed(Duration::seconds(1)),
    }
}
