//! Intervals: `time + INTERVAL '1' DAY`, TIMESTAMPADD and TIMESTAMPDIFF.

use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::DataType as ArrowType;
use chrono::{Datelike, Duration, Months, NaiveDate, NaiveDateTime};
use datafusion_common::ScalarValue;
use headwater_formats::LogicalType;

use super::fields::{Unit, times, wall};
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::functions::call::{Binding, Call, Env, Function, build};
use crate::functions::cast;
use crate::functions::kernel::RowError;
use crate::types::{Family, family};

/// Stands for `TIMESTAMPADD(unit, number, time)`, whose unit is a word.
pub(crate) static TIMESTAMPADD: Function = Function {
    name: "TIMESTAMPADD",
    usage: "TIMESTAMPADD(unit, number, time)",
    arity: 2..=2,
    bind: |c| add(c, Unit::Day),
};

/// Stands for `TIMESTAMPDIFF(unit, from, to)`.
pub(crate) static TIMESTAMPDIFF: Function = Function {
    name: "TIMESTAMPDIFF",
    usage: "TIMESTAMPDIFF(unit, from, to)",
    arity: 2..=2,
    bind: |c| difference(c, Unit::Day),
};

const OUT_OF_RANGE: &str = "the time is out of range";

/// A length of time: months, or milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    Months(i64),
    Millis(i64),
}

impl Interval {
    /// Reads `INTERVAL 'text' from [TO to]` with the units as words.
    pub(crate) fn parse(text: &str, from: &str, to: Option<&str>) -> Option<Self> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (from, to) = (Unit::parse(from)?, to.map_or(Some(None), |to| Unit::parse(to).map(Some))?);
        let units = units(from, to)?;
        // Between units stand `-` (years and months), a blank (days) and `:`.
        let numbers: Vec<&str> = text.split(['-', ' ', ':']).collect();
        if numbers.len() != units.len() {
            return None;
        }
        let mut total = if units[0].is_months() { Self::Months(0) } else { Self::Millis(0) };
        for (unit, number) in units.iter().zip(numbers) {
            total = total.plus(*unit, number)?;
        }
        Some(if negative { total.negated() } else { total })
    }

    /// So many of a unit.
    fn of(unit: Unit, number: i64) -> Option<Self> {
        Some(match unit {
            Unit::Year => Self::Months(number.checked_mul(12)?),
            Unit::Quarter => Self::Months(number.checked_mul(3)?),
            Unit::Month => Self::Months(number),
            unit => Self::Millis(number.checked_mul(unit.millis()?)?),
        })
    }

    fn plus(self, unit: Unit, number: &str) -> Option<Self> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || (!fraction.is_empty() && unit != Unit::Second) {
            return None;
        }
        let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
        match (self, Self::of(unit, whole.parse().ok()?)?) {
            (Self::Months(a), Self::Months(b)) => Some(Self::Months(a.checked_add(b)?)),
            (Self::Millis(a), Self::Millis(b)) => Some(Self::Millis(a.checked_add(b)?.checked_add(millis)?)),
            _ => None,
        }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::Months(n) => Self::Months(-n),
            Self::Millis(n) => Self::Millis(-n),
        }
    }

    /// As Flink: the 31st of a month becomes the last day of a shorter one.
    fn add_to(self, t: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Months(n) => {
                let months = Months::new(u32::try_from(n.unsigned_abs()).ok()?);
                if n < 0 { t.checked_sub_months(months) } else { t.checked_add_months(months) }
            }
            Self::Millis(n) => t.checked_add_signed(Duration::try_milliseconds(n)?),
        }
    }
}

impl Unit {
    fn is_months(self) -> bool {
        matches!(self, Self::Year | Self::Quarter | Self::Month)
    }

    fn millis(self) -> Option<i64> {
        Some(match self {
            Self::Week => 7 * 86_400_000,
            Self::Day => 86_400_000,
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1000,
            Self::Millisecond => 1,
            _ => return None,
        })
    }
}

/// The units from one to the other, as in `DAY TO SECOND`.
fn units(from: Unit, to: Option<Unit>) -> Option<Vec<Unit>> {
    const MONTHS: [Unit; 2] = [Unit::Year, Unit::Month];
    const TIMES: [Unit; 4] = [Unit::Day, Unit::Hour, Unit::Minute, Unit::Second];
    let Some(to) = to else {
        return (from.is_months() || from.millis().is_some()).then(|| vec![from]);
    };
    let all: &[Unit] = if from.is_months() { &MONTHS } else { &TIMES };
    let place = |unit| all.iter().position(|u| *u == unit);
    let (start, end) = (place(from)?, place(to)?);
    (start < end).then(|| all[start..=end].to_vec())
}

/// `time + interval`; the type of the time stays. A DATE takes no part of a day.
pub(crate) fn plus(time: Bound, interval: Interval, env: Env, position: Position) -> Binding {
    let Some(logical) = time.logical.clone() else { return cast::implicit(time, &LogicalType::Timestamp(3), env) };
    let family = family(&logical);
    let wrong = match (family, interval) {
        (Family::Timestamp | Family::TimestampLtz, _) | (Family::Date, Interval::Months(_)) => None,
        (Family::Time, Interval::Millis(_)) => None,
        (Family::Date, Interval::Millis(n)) if n % 86_400_000 == 0 => None,
        (Family::Date, _) => Some("a DATE moves by whole days; write CAST(… AS TIMESTAMP(3)) first".to_owned()),
        _ => Some(format!("an interval cannot be added to {logical}")),
    };
    if let Some(message) = wrong {
        return Err(ScriptError::new(ScriptErrorKind::Type, position, message));
    }
    let zone = env.zone;
    let target = logical.clone();
    build("interval", vec![time], logical, true, position, env, move |args| {
        let values = args.array(0);
        times(args.rows(), &target, zone, |i| {
            let moved = |at| {
                // An instant moves by real time, but by months on the wall clock.
                let (t, back) = match (family, interval) {
                    (Family::TimestampLtz, Interval::Millis(_)) => (super::moment::moment_at(values.array, at)?, true),
                    _ => (wall(values.array, family, at, zone)?, false),
                };
                let moved = interval.add_to(t).ok_or(RowError::from(OUT_OF_RANGE))?;
                Ok(if back { zone.local(moved) } else { moved })
            };
            values.index(i).map(moved).transpose()
        })
    })
}

/// `TIMESTAMPADD(unit, number, time)`; the number may differ by row.
pub(crate) fn add(mut call: Call, unit: Unit) -> Binding {
    call.whole(0)?;
    let family = call.temporal(1)?;
    // A DATE with a part of a day becomes a TIMESTAMP.
    if family == Family::Date && !unit.is_months() && !matches!(unit, Unit::Day | Unit::Week) {
        call.convert(1, &LogicalType::Timestamp(3))?;
        return add(call, unit);
    }
    if family == Family::Time || Interval::of(unit, 1).is_none() {
        return Err(call.error(call.position, "this unit cannot be added to this type"));
    }
    if let Some(ScalarValue::Int64(Some(number))) = call.args[0].constant() {
        let interval = Interval::of(unit, *number).ok_or_else(|| call.error(call.position, OUT_OF_RANGE))?;
        let (env, position) = (call.env, call.position);
        let time = call.args.pop().unwrap_or_else(|| Bound::null(position));
        return plus(time, interval, env, position);
    }
    let logical = call.args[1].logical.clone().unwrap_or(LogicalType::Timestamp(3));
    let (zone, target) = (call.env.zone, logical.clone());
    call.result(2, logical, true, move |args| {
        let (numbers, values) = (args.numbers::<Int64Type>(0), args.array(1));
        times(args.rows(), &target, zone, |i| {
            let Some((number, at)) = numbers.get(i).zip(values.index(i)) else { return Ok(None) };
            let interval = Interval::of(unit, number).ok_or(RowError::from(OUT_OF_RANGE))?;
            let t = wall(values.array, family, at, zone)?;
            interval.add_to(t).map(Some).ok_or(RowError::from(OUT_OF_RANGE))
        })
    })
}

/// `TIMESTAMPDIFF(unit, from, to)`: whole units between two times, negative when `to` is earlier.
pub(crate) fn difference(mut call: Call, unit: Unit) -> Binding {
    if !unit.is_months() && unit.millis().is_none() {
        return Err(call.error(call.position, "the units are SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER and YEAR"));
    }
    let families = (call.temporal(0)?, call.temporal(1)?);
    if (families.0 == Family::Time) != (families.1 == Family::Time) {
        return Err(call.error(call.position, "a TIME and a date have no difference"));
    }
    let zone = call.env.zone;
    call.result(2, LogicalType::Int, true, move |args| {
        let (from, to) = (args.array(0), args.array(1));
        args.to_numbers::<Int32Type>(&ArrowType::Int32, |i| {
            let Some((a, b)) = from.index(i).zip(to.index(i)) else { return Ok(None) };
            let a = wall(from.array, families.0, a, zone)?;
            let b = wall(to.array, families.1, b, zone)?;
            let units = match unit {
                Unit::Year => months_between(a, b) / 12,
                Unit::Quarter => months_between(a, b) / 3,
                Unit::Month => months_between(a, b),
                unit => (b - a).num_milliseconds() / unit.millis().unwrap_or(1),
            };
            // Flink's result is an INT, whose low bits it keeps.
            Ok(Some(units as i32))
        })
    })
}

/// Whole months from one time to the other.
fn months_between(from: NaiveDateTime, to: NaiveDateTime) -> i64 {
    if to < from {
        return -months_between(to, from);
    }
    let months = |d: NaiveDate| i64::from(d.year()) * 12 + i64::from(d.month0());
    let estimate = months(to.date()) - months(from.date());
    let reached = Interval::Months(estimate).add_to(from);
    estimate - i64::from(reached.is_none_or(|t| t > to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read() {
        for (text, from, to, expected) in [
            ("5", "SECOND", None, Some(Interval::Millis(5000))),
            ("1.5", "SECOND", None, Some(Interval::Millis(1500))),
            ("-2", "day", None, Some(Interval::Millis(-172_800_000))),
            ("10 00:00:00.004", "DAY", Some("SECOND"), Some(Interval::Millis(864_000_004))),
            ("2-10", "YEAR", Some("MONTH"), Some(Interval::Months(34))),
            ("3", "MONTH", None, Some(Interval::Months(3))),
            ("1:30", "HOUR", Some("MINUTE"), Some(Interval::Millis(5_400_000))),
            ("1.5", "DAY", None, None),
            ("x", "DAY", None, None),
            ("1", "DAY", Some("HOUR"), None),
            ("1", "CENTURY", None, None),
        ] {
            assert_eq!(Interval::parse(text, from, to), expected, "{text} {from} {to:?}");
        }
    }

    #[test]
    fn whole_months_between() {
        let at = |s: &str| s.parse::<NaiveDateTime>().expect(s);
        for (from, to, expected) in [
            ("2024-01-31T00:00:00", "2024-02-29T00:00:00", 1),
            ("2024-01-15T12:00:00", "2024-02-15T11:59:59", 0),
            ("2024-02-15T12:00:00", "2023-02-15T12:00:00", -12),
            ("2024-01-01T00:00:00", "2024-01-01T00:00:00", 0),
        ] {
            assert_eq!(months_between(at(from), at(to)), expected, "{from} {to}");
        }
    }
}
