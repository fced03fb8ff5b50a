//! Functions between texts, numbers and times.

use arrow_array::types::{Date32Type, Int64Type};
use arrow_schema::DataType as ArrowType;
use chrono::{NaiveDateTime, NaiveTime};
use headwater_formats::LogicalType;

use super::moment::{from_days, moment_at, moments, to_days};
use super::parse;
use super::pattern::{Pattern, Purpose, Style};
use super::zone::from_millis;
use crate::error::ScriptError;
use crate::functions::call::{Binding, Call, Function};
use crate::functions::kernel::RowError;
use crate::types::Family;

/// The pattern of functions to which none is given.
const DEFAULT: &str = "yyyy-MM-dd HH:mm:ss";

/// The years 0 to 9999 in seconds and milliseconds since 1970, all that TO_TIMESTAMP_LTZ takes.
const SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
const MILLIS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

pub(in crate::functions) const FUNCTIONS: &[Function] = &[
    Function { name: "DATE_FORMAT", usage: "DATE_FORMAT(time, pattern)", arity: 2..=2, bind: date_format },
    Function { name: "TO_TIMESTAMP", usage: "TO_TIMESTAMP(text[, pattern])", arity: 1..=2, bind: to_timestamp },
    Function {
        name: "TO_TIMESTAMP_LTZ",
        usage: "TO_TIMESTAMP_LTZ(number, 0 or 3)",
        arity: 2..=2,
        bind: to_timestamp_ltz,
    },
    Function { name: "TO_DATE", usage: "TO_DATE(text[, pattern])", arity: 1..=2, bind: to_date },
    Function { name: "FROM_UNIXTIME", usage: "FROM_UNIXTIME(seconds[, pattern])", arity: 1..=2, bind: from_unixtime },
    Function { name: "UNIX_TIMESTAMP", usage: "UNIX_TIMESTAMP([text[, pattern]])", arity: 0..=2, bind: unix_timestamp },
];

/// The pattern in argument `arg`, or the default one. `None` is NULL.
fn pattern(call: &mut Call, arg: usize, style: Style, purpose: Purpose) -> Result<Option<Pattern>, ScriptError> {
    let text = match call.args.len() > arg {
        true => call.fixed_text(arg, "the date pattern")?,
        false => Some(DEFAULT.to_owned()),
    };
    let Some(text) = text else { return Ok(None) };
    let position = call.args.get(arg).map_or(call.position, |a| a.position);
    Pattern::new(&text, style, purpose).map(Some).map_err(|e| call.error(position, e))
}

/// Timestamps are written by `DateTimeFormatter`, dates and texts by `SimpleDateFormat`, which matters for `S` alone.
fn date_format(mut call: Call) -> Binding {
    if call.family(0) == Some(Family::Text) {
        return reformat(call);
    }
    let family = call.temporal(0)?;
    let style = if family == Family::Date { Style::Lenient } else { Style::Strict };
    if family == Family::Time {
        return Err(call.error(call.args[0].position, "a TIME has no date to be written"));
    }
    let Some(pattern) = pattern(&mut call, 1, style, Purpose::Format)? else { return call.null(LogicalType::String) };
    let zone = call.env.zone;
    call.result(1, LogicalType::String, true, move |args| {
        let values = args.array(0);
        args.to_strings(|i| {
            let Some(at) = values.index(i) else { return Ok(None) };
            let t = match family {
                Family::Date => from_days(args.numbers::<Date32Type>(0).array.value(at))?.and_time(NaiveTime::MIN),
                Family::TimestampLtz => zone.local(moment_at(values.array, at)?),
                _ => moment_at(values.array, at)?,
            };
            Ok(Some(pattern.format(t)))
        })
    })
}

/// A text in the default form, written in another; NULL if it is not in the default form.
fn reformat(mut call: Call) -> Binding {
    let Some(to) = pattern(&mut call, 1, Style::Lenient, Purpose::Format)? else {
        return call.null(LogicalType::String);
    };
    let from = Pattern::new(DEFAULT, Style::Lenient, Purpose::Parse).map_err(|e| call.error(call.position, e))?;
    call.result(1, LogicalType::String, false, move |args| {
        let texts = args.strings(0);
        args.to_strings(|i| Ok(texts.get(i).and_then(|s| from.parse(s)).map(|p| to.format(p.local))))
    })
}

/// How a text becomes a timestamp.
type Read = dyn Fn(&str) -> Option<NaiveDateTime> + Send + Sync;

/// NULL where the text is not a timestamp.
fn to_timestamp(mut call: Call) -> Binding {
    call.text(0)?;
    let read: Box<Read> = match call.args.len() {
        1 => Box::new(parse::timestamp),
        _ => match pattern(&mut call, 1, Style::Strict, Purpose::Parse)? {
            Some(p) => Box::new(move |s| p.parse(s).map(|p| p.local).or_else(|| parse::sql_timestamp(s))),
            None => return call.null(LogicalType::Timestamp(3)),
        },
    };
    let logical = LogicalType::Timestamp(3);
    let arrow = logical.to_arrow();
    call.result(1, logical, false, move |args| {
        let texts = args.strings(0);
        moments(args.rows(), &arrow, 3, |i| Ok(texts.get(i).and_then(&read)))
    })
}

/// NULL outside of the years 0 to 9999.
fn to_timestamp_ltz(mut call: Call) -> Binding {
    call.whole(0)?;
    let logical = LogicalType::TimestampLtz(3);
    let (range, factor) = match call.fixed_whole(1, "the precision")? {
        Some(0) => (SECONDS, 1000),
        Some(3) => (MILLIS, 1),
        Some(_) => {
            let message = "the precision is 0 for seconds or 3 for milliseconds";
            return Err(call.error(call.args[1].position, message));
        }
        None => return call.null(logical),
    };
    let arrow = logical.to_arrow();
    call.result(1, logical, false, move |args| {
        let numbers = args.numbers::<Int64Type>(0);
        moments(args.rows(), &arrow, 3, |i| {
            let number = numbers.get(i).filter(|n| range.contains(n));
            Ok(number.and_then(|n| from_millis(n * factor)))
        })
    })
}

/// NULL where the text is not a date.
fn to_date(mut call: Call) -> Binding {
    call.text(0)?;
    let pattern = match call.args.len() {
        1 => None,
        _ => match pattern(&mut call, 1, Style::Lenient, Purpose::Parse)? {
            None => return call.null(LogicalType::Date),
            pattern => pattern,
        },
    };
    call.result(1, LogicalType::Date, false, move |args| {
        let texts = args.strings(0);
        args.to_numbers::<Date32Type>(&ArrowType::Date32, |i| {
            let read = |text: &str| match &pattern {
                None => parse::date(text),
                // With an offset in the text, the day is the one in UTC.
                Some(p) => p.parse(text).and_then(|p| utc(p.local, p.offset)).map(|t| t.date()),
            };
            Ok(texts.get(i).and_then(read).map(to_days))
        })
    })
}

/// A wall clock time with the offset it came with, in UTC; without one it is taken as UTC.
fn utc(local: NaiveDateTime, offset: Option<i32>) -> Option<NaiveDateTime> {
    local.checked_sub_signed(chrono::Duration::seconds(offset.unwrap_or(0).into()))
}

fn from_unixtime(mut call: Call) -> Binding {
    call.whole(0)?;
    let Some(pattern) = pattern(&mut call, 1, Style::Lenient, Purpose::Format)? else {
        return call.null(LogicalType::String);
    };
    let zone = call.env.zone;
    call.result(1, LogicalType::String, true, move |args| {
        let seconds = args.numbers::<Int64Type>(0);
        args.to_strings(|i| {
            let Some(seconds) = seconds.get(i) else { return Ok(None) };
            let instant = seconds.checked_mul(1000).and_then(from_millis);
            let instant = instant.ok_or(RowError::from("the number of seconds is out of range"))?;
            Ok(Some(pattern.format(zone.local(instant))))
        })
    })
}

/// What cannot be read is the lowest number, as Flink documents it.
fn unix_timestamp(mut call: Call) -> Binding {
    if call.args.is_empty() {
        let (env, position) = (call.env, call.position);
        let now = super::now(call)?;
        return crate::functions::call::build(
            "UNIX_TIMESTAMP",
            vec![now],
            LogicalType::BigInt,
            true,
            position,
            env,
            |args| {
                let now = args.array(0);
                args.to_numbers::<Int64Type>(&ArrowType::Int64, |i| {
                    let at = now.index(i);
                    at.map(|at| moment_at(now.array, at).map(|t| t.and_utc().timestamp())).transpose()
                })
            },
        );
    }
    call.text(0)?;
    let Some(pattern) = pattern(&mut call, 1, Style::Lenient, Purpose::Parse)? else {
        return call.null(LogicalType::BigInt);
    };
    let zone = call.env.zone;
    call.result(1, LogicalType::BigInt, false, move |args| {
        let texts = args.strings(0);
        args.to_numbers::<Int64Type>(&ArrowType::Int64, |i| {
            let read = |text: &str| {
                let parsed = pattern.parse(text)?;
                let instant = match parsed.offset {
                    Some(_) => utc(parsed.local, parsed.offset)?,
                    None => zone.instant(parsed.local),
                };
                // Java divides milliseconds by 1000 toward zero.
                Some(instant.and_utc().timestamp_millis() / 1000)
            };
            Ok(texts.get(i).map(|s| read(s).unwrap_or(i64::MIN)))
        })
    })
}
