//! Dates and times, as the `DateTimeFormatter`s of Flink's formats read them.
//!
//! Two rules of Java matter. A formatter *resolves* strictly or smartly: smart makes February 30 the last day of
//! February and 24:00:00 the start of the next day, strict refuses both. `DATE` and ISO-8601 `TIMESTAMP` use Java's
//! own, strict formatters; the others are composed by Flink and therefore smart.

mod plain;

use super::Reason;
use super::calendar::{DAY_MILLIS, DAY_SECONDS, days_from_date, days_of_month};
use crate::types::timestamp_unit;

const NO_DATE: Reason = "a string that is no date of the form 2024-12-31";
const NO_TIME: Reason = "a string that is no time of the form 12:34:56";
#[cfg(feature = "csv")]
const NO_LOCAL_TIME: Reason = "a string that is no time of the form 12:34 or 12:34:56";
const NO_SQL_TIMESTAMP: Reason = "a string that is no timestamp of the form 2024-12-31 12:34:56";
const NO_SQL_INSTANT: Reason = "a string that is no timestamp of the form 2024-12-31 12:34:56Z";
const NO_ISO_TIMESTAMP: Reason = "a string that is no timestamp of the form 2024-12-31T12:34:56";
const NO_ISO_INSTANT: Reason = "a string that is no timestamp of the form 2024-12-31T12:34:56Z";
const NO_OFFSET_TIMESTAMP: Reason = "a string that is no timestamp of the form 2024-12-31T12:34:56+08:00";
const DATE_RANGE: Reason = "a date that 32 bits of days do not reach";
const MILLIS_RANGE: Reason = "a timestamp that 64 bits of milliseconds do not reach";
const NANOS_RANGE: Reason =
    "a timestamp before 1677 or after 2262, which nanoseconds do not reach (TIMESTAMP(3) reaches every year)";

/// How timestamps are written (`timestamp-format.standard`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampStandard {
    /// `2024-12-31 12:34:56.123`, with a `Z` at the end for TIMESTAMP_LTZ.
    Sql,
    /// `2024-12-31T12:34:56.123`, with a `Z` at the end for TIMESTAMP_LTZ; the seconds may be left out.
    Iso8601,
    /// `2024-12-31T12:34:56.123+08:00` or with `Z`, for both types; the value is the instant in UTC.
    Iso8601WithOffset,
}

/// A point on the time line, or on a clock without a zone: seconds since 1970-01-01T00:00:00, and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) seconds: i64,
    pub(crate) nanos: u32,
}

impl Moment {
    /// The value in Arrow for a timestamp of that precision. Digits below the unit are cut, as Flink's binary rows do.
    #[inline]
    pub(crate) fn to_arrow(self, precision: u8) -> Result<i64, Reason> {
        if timestamp_unit(precision) == arrow_schema::TimeUnit::Millisecond {
            let millis = self.seconds.checked_mul(1_000).and_then(|s| s.checked_add(i64::from(self.nanos / 1_000_000)));
            return millis.ok_or(MILLIS_RANGE);
        }
        // In 128 bits: the seconds alone may be below the range that seconds and nanoseconds together are in.
        let nanos = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
        i64::try_from(nanos).map_err(|_| NANOS_RANGE)
    }
}

/// A DATE, strictly ISO: days since 1970-01-01.
pub(crate) fn parse_date(text: &[u8]) -> Result<i32, Reason> {
    if let Some(days) = text.try_into().ok().and_then(plain::date) {
        return Ok(days);
    }
    let mut reader = Reader { rest: text };
    let date = reader.date().filter(|_| reader.rest.is_empty()).ok_or(NO_DATE)?;
    let days = date.strict().ok_or(NO_DATE)?;
    i32::try_from(days).map_err(|_| DATE_RANGE)
}

/// A TIME: milliseconds of the day. Fractions beyond milliseconds are cut; 24:00:00 is midnight.
pub(crate) fn parse_time(text: &[u8]) -> Result<i32, Reason> {
    let mut reader = Reader { rest: text };
    let clock = reader.clock(false).filter(|_| reader.rest.is_empty()).ok_or(NO_TIME)?;
    let seconds = clock.smart().ok_or(NO_TIME)? % DAY_SECONDS;
    // Below the milliseconds of a day.
    Ok(((seconds * 1_000 + i64::from(clock.nanos / 1_000_000)) % DAY_MILLIS) as i32)
}

/// A TIME as `LocalTime.parse` reads it: milliseconds of the day. The seconds may be left out, fractions beyond
/// milliseconds are cut, 24:00:00 is none.
#[cfg(feature = "csv")]
pub(crate) fn parse_local_time(text: &[u8]) -> Result<i32, Reason> {
    let mut reader = Reader { rest: text };
    let clock = reader.clock(true).filter(|_| reader.rest.is_empty()).ok_or(NO_LOCAL_TIME)?;
    let seconds = clock.strict().ok_or(NO_LOCAL_TIME)?;
    // Below the milliseconds of a day.
    Ok((seconds * 1_000 + i64::from(clock.nanos / 1_000_000)) as i32)
}

/// A TIMESTAMP, or with `ltz` a TIMESTAMP_LTZ.
pub(crate) fn parse_timestamp(text: &[u8], standard: TimestampStandard, ltz: bool) -> Result<Moment, Reason> {
    if let Some(moment) = plain::timestamp(text, standard, ltz) {
        return Ok(moment);
    }
    let mut reader = Reader { rest: text };
    let (parsed, reason) = match (standard, ltz) {
        (TimestampStandard::Sql, false) => (sql(&mut reader), NO_SQL_TIMESTAMP),
        (TimestampStandard::Sql, true) => (sql(&mut reader).filter(|_| reader.eat(b'Z')), NO_SQL_INSTANT),
        (TimestampStandard::Iso8601, false) => (iso(&mut reader, true), NO_ISO_TIMESTAMP),
        (TimestampStandard::Iso8601, true) => (iso(&mut reader, false).filter(|_| reader.eat(b'Z')), NO_ISO_INSTANT),
        (TimestampStandard::Iso8601WithOffset, _) => (iso_with_offset(&mut reader), NO_OFFSET_TIMESTAMP),
    };
    parsed.filter(|_| reader.rest.is_empty()).ok_or(reason)
}

/// What [`parse_timestamp`] reads, or without a standard [`parse_any_iso`], of what a text begins with; and its length. That it
/// ends there is for the caller to see. `None` unless it is written as nearly all are.
#[inline(always)]
pub(crate) fn leading_timestamp(
    text: &[u8],
    standard: Option<TimestampStandard>,
    ltz: bool,
) -> Option<(Moment, usize)> {
    plain::leading(text.first_chunk()?, standard, ltz)
}

/// An ISO-8601 timestamp with `T`, with or without seconds, fraction, and a `Z` or offset at the end; without one it
/// counts as UTC. For event formats whose producers agree on no more than that.
pub(crate) fn parse_any_iso(text: &[u8]) -> Result<Moment, Reason> {
    // With a Z at the end or without: both are UTC.
    let plain = plain::timestamp(text, TimestampStandard::Iso8601, text.last() == Some(&b'Z'));
    plain.map_or_else(|| any_iso(text), Ok)
}

fn any_iso(text: &[u8]) -> Result<Moment, Reason> {
    let mut reader = Reader { rest: text };
    let mut moment = iso(&mut reader, true).ok_or(NO_ISO_TIMESTAMP)?;
    if !reader.rest.is_empty() {
        moment.seconds -= reader.offset().ok_or(NO_ISO_TIMESTAMP)?;
    }
    if reader.rest.is_empty() { Ok(moment) } else { Err(NO_ISO_TIMESTAMP) }
}

fn sql(reader: &mut Reader<'_>) -> Option<Moment> {
    let date = reader.date()?;
    let clock = reader.eat(b' ').then(|| reader.clock(false))??;
    Some(Moment { seconds: date.smart()? * DAY_SECONDS + clock.smart()?, nanos: clock.nanos })
}

/// `strict` is Java's ISO_LOCAL_DATE_TIME, which also takes a small `t`; otherwise the formatter that Flink composes.
fn iso(reader: &mut Reader<'_>, strict: bool) -> Option<Moment> {
    let date = reader.date()?;
    let separator = reader.eat(b'T') || strict && reader.eat(b't');
    let clock = separator.then(|| reader.clock(true))??;
    let seconds = if strict {
        date.strict()? * DAY_SECONDS + clock.strict()?
    } else {
        date.smart()? * DAY_SECONDS + clock.smart()?
    };
    Some(Moment { seconds, nanos: clock.nanos })
}

fn iso_with_offset(reader: &mut Reader<'_>) -> Option<Moment> {
    let moment = iso(reader, true)?;
    Some(Moment { seconds: moment.seconds - reader.offset()?, ..moment })
}

struct Date {
    year: i64,
    month: u32,
    day: u32,
}

impl Date {
    fn strict(&self) -> Option<i64> {
        (self.day <= days_of_month(self.year, self.month)).then(|| self.smart())?
    }

    fn smart(&self) -> Option<i64> {
        let day = self.day.min(days_of_month(self.year, self.month));
        Some(days_from_date(self.year, self.month, day))
    }
}

struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

impl Clock {
    fn strict(&self) -> Option<i64> {
        (self.hour < 24).then(|| self.smart())?
    }

    /// Seconds of the day; those of 24:00:00 belong to the next.
    fn smart(&self) -> Option<i64> {
        let end_of_day = self.hour == 24 && (self.minute, self.second, self.nanos) == (0, 0, 0);
        let seconds = i64::from(self.hour * 3_600 + self.minute * 60 + self.second);
        (self.hour < 24 || end_of_day).then_some(seconds)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.rest.first() == Some(&wanted);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Exactly two digits that make a number up to `max`.
    fn two(&mut self, max: u32) -> Option<u32> {
        let (&[tens, ones], rest) = self.rest.split_first_chunk::<2>()?;
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return None;
        }
        self.rest = rest;
        let value = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
        (value <= max).then_some(value)
    }

    fn digits(&mut self, most: usize) -> &[u8] {
        let len = self.rest.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        digits
    }

    /// Four digits, or a sign and up to ten: a plus only and always beyond four digits, and no minus zero.
    fn year(&mut self) -> Option<i64> {
        let (plus, minus) = (self.eat(b'+'), self.eat(b'-'));
        let digits = self.digits(10);
        let long = digits.len() > 4;
        let value = digits.iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        let fits = digits.len() >= 4 && (minus || plus == long) && !(plus && minus) && !(minus && value == 0);
        (fits && value <= 999_999_999).then_some(if minus { -value } else { value })
    }

    fn date(&mut self) -> Option<Date> {
        let year = self.year()?;
        let month = self.eat(b'-').then(|| self.two(12))??;
        let day = self.eat(b'-').then(|| self.two(31))??;
        (month > 0 && day > 0).then_some(Date { year, month, day })
    }

    fn clock(&mut self, seconds_optional: bool) -> Option<Clock> {
        let hour = self.two(24)?;
        let minute = self.eat(b':').then(|| self.two(59))??;
        if seconds_optional && self.rest.first() != Some(&b':') {
            return Some(Clock { hour, minute, second: 0, nanos: 0 });
        }
        let second = self.eat(b':').then(|| self.two(59))??;
        let nanos = if self.eat(b'.') { self.fraction() } else { 0 };
        Some(Clock { hour, minute, second, nanos })
    }

    /// Up to nine digits of a fraction, none is fine.
    fn fraction(&mut self) -> u32 {
        let digits = self.digits(9);
        let value = digits.iter().fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        value * 10u32.pow(9 - digits.len() as u32)
    }

    /// `Z`, or an offset of at most 18 hours with minutes and perhaps seconds: seconds east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        if self.eat(b'Z') || self.eat(b'z') {
            return Some(0);
        }
        let negative = self.eat(b'-');
        if !negative && !self.eat(b'+') {
            return None;
        }
        let hours = self.two(18)?;
        let minutes = self.eat(b':').then(|| self.two(59))??;
        let seconds = if self.eat(b':') { self.two(59)? } else { 0 };
        let total = i64::from(hours * 3_600 + minutes * 60 + seconds);
        (total <= 18 * 3_600).then_some(if negative { -total } else { total })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_strict() {
        for (text, days) in [
            ("1970-01-01", Ok(0)),
            ("2024-02-29", Ok(19_782)),
            ("0000-01-01", Ok(-719_528)),
            ("-0001-01-01", Ok(-719_893)),
            ("+10000-01-01", Ok(2_932_897)),
            ("1582-10-10", Ok(-141_432)),
            ("+999999999-01-01", Err(DATE_RANGE)),
            ("2023-02-29", Err(NO_DATE)),
            ("2024-13-01", Err(NO_DATE)),
            ("2024-00-01", Err(NO_DATE)),
            ("2024-01-00", Err(NO_DATE)),
            ("2024-01-32", Err(NO_DATE)),
            ("2024-1-1", Err(NO_DATE)),
            ("10000-01-01", Err(NO_DATE)),
            ("+2024-01-01", Err(NO_DATE)),
            ("-0000-01-01", Err(NO_DATE)),
            ("+-12024-01-01", Err(NO_DATE)),
            ("+9999999999-01-01", Err(NO_DATE)),
            ("024-01-01", Err(NO_DATE)),
            ("2024-01-01 ", Err(NO_DATE)),
            (" 2024-01-01", Err(NO_DATE)),
            ("2024-01-01T00:00:00", Err(NO_DATE)),
            ("20240101", Err(NO_DATE)),
            ("", Err(NO_DATE)),
        ] {
            assert_eq!(parse_date(text.as_bytes()), days, "{text:?}");
        }
    }

    #[test]
    fn times_need_seconds() {
        for (text, millis) in [
            ("00:00:00", Ok(0)),
            ("12:34:56", Ok(45_296_000)),
            ("12:34:56.", Ok(45_296_000)),
            ("12:34:56.7", Ok(45_296_700)),
            ("12:34:56.123456789", Ok(45_296_123)),
            ("23:59:59.999999999", Ok(86_399_999)),
            ("24:00:00", Ok(0)),
            ("24:00:01", Err(NO_TIME)),
            ("24:00:00.1", Err(NO_TIME)),
            ("25:00:00", Err(NO_TIME)),
            ("12:60:00", Err(NO_TIME)),
            ("12:34:60", Err(NO_TIME)),
            ("12:34", Err(NO_TIME)),
            ("1:02:03", Err(NO_TIME)),
            ("12:34:56Z", Err(NO_TIME)),
            ("12:34:56.1234567890", Err(NO_TIME)),
            (" 12:34:56", Err(NO_TIME)),
        ] {
            assert_eq!(parse_time(text.as_bytes()), millis, "{text:?}");
        }
    }

    fn at(text: &str, standard: TimestampStandard, ltz: bool) -> Result<(i64, u32), Reason> {
        parse_timestamp(text.as_bytes(), standard, ltz).map(|m| (m.seconds, m.nanos))
    }

    #[test]
    fn sql_timestamps() {
        let local = |text| at(text, TimestampStandard::Sql, false);
        assert_eq!(local("2024-03-10 12:34:56"), Ok((1_710_074_096, 0)));
        assert_eq!(local("2024-03-10 12:34:56.123456789"), Ok((1_710_074_096, 123_456_789)));
        assert_eq!(local("1969-12-31 23:59:59.5"), Ok((-1, 500_000_000)));
        assert_eq!(local("2023-02-29 00:00:00"), local("2023-02-28 00:00:00"));
        assert_eq!(local("2024-04-31 00:00:00"), local("2024-04-30 00:00:00"));
        assert_eq!(local("2024-03-10 24:00:00"), local("2024-03-11 00:00:00"));
        for text in [
            "2024-03-10T12:34:56",
            "2024-03-10  12:34:56",
            "2024-03-10 12:34",
            "2024-03-10",
            "2024-03-10 12:34:56Z",
            "2016-12-31 23:59:60",
            "2024-02-32 00:00:00",
            "",
        ] {
            assert_eq!(local(text), Err(NO_SQL_TIMESTAMP), "{text}");
        }
        let instant = |text| at(text, TimestampStandard::Sql, true);
        assert_eq!(instant("2024-03-10 12:34:56.789Z"), Ok((1_710_074_096, 789_000_000)));
        for text in
            ["2024-03-10 12:34:56", "2024-03-10 12:34:56z", "2024-03-10 12:34:56+08:00", "2024-03-10 12:34:56 Z"]
        {
            assert_eq!(instant(text), Err(NO_SQL_INSTANT), "{text}");
        }
    }

    #[test]
    fn iso_timestamps() {
        let local = |text| at(text, TimestampStandard::Iso8601, false);
        assert_eq!(local("2024-03-10T12:34:56"), Ok((1_710_074_096, 0)));
        assert_eq!(local("2024-03-10t12:34"), Ok((1_710_074_040, 0)));
        for text in
            ["2024-03-10 12:34:56", "2024-03-10T12:34Z", "2023-02-29T00:00:00", "2024-03-10T24:00:00", "2024-03-10T12:"]
        {
            assert_eq!(local(text), Err(NO_ISO_TIMESTAMP), "{text}");
        }
        let instant = |text| at(text, TimestampStandard::Iso8601, true);
        assert_eq!(instant("2024-03-10T12:34Z"), Ok((1_710_074_040, 0)));
        assert_eq!(instant("2023-02-29T24:00:00Z"), instant("2023-03-01T00:00:00Z"));
        for text in ["2024-03-10t12:34:56Z", "2024-03-10T12:34:56", "2024-03-10T12:34:56+00:00"] {
            assert_eq!(instant(text), Err(NO_ISO_INSTANT), "{text}");
        }
        let offset = |text| at(text, TimestampStandard::Iso8601WithOffset, false);
        assert_eq!(offset("2024-03-10T20:34:56+08:00"), Ok((1_710_074_096, 0)));
        assert_eq!(offset("2024-03-10T12:34:56Z"), Ok((1_710_074_096, 0)));
        assert_eq!(offset("2024-03-10T07:04:56-05:30"), Ok((1_710_074_096, 0)));
        for text in
            ["2024-03-10T12:34:56", "2024-03-10T12:34:56+0800", "2024-03-10T12:34:56+18:01", "2024-03-10T12:34:56+08"]
        {
            assert_eq!(offset(text), Err(NO_OFFSET_TIMESTAMP), "{text}");
        }
    }

    #[test]
    fn event_times_need_no_zone_and_may_have_one() {
        let any = |text: &str| parse_any_iso(text.as_bytes()).map(|m| (m.seconds, m.nanos));
        for text in ["2024-03-10T12:34:56", "2024-03-10T12:34:56Z", "2024-03-10T20:34:56.000+08:00"] {
            assert_eq!(any(text), Ok((1_710_074_096, 0)), "{text}");
        }
        assert!(any("2020-08-17T16:04:46.149Asia/Shanghai").is_err());
        assert!(any("2024-03-10 12:34:56").is_err());
    }

    #[test]
    fn values_beyond_a_unit_are_errors() {
        let moment =
            parse_timestamp(b"9999-12-31 23:59:59.999999", TimestampStandard::Sql, false).expect("a timestamp");
        assert_eq!(moment.to_arrow(3), Ok(253_402_300_799_999));
        assert_eq!(moment.to_arrow(6), Err(NANOS_RANGE));
        let first = Moment { seconds: -9_223_372_037, nanos: 145_224_192 };
        assert_eq!(first.to_arrow(9), Ok(i64::MIN));
        let far = Moment { seconds: i64::MAX / 100, nanos: 0 };
        assert_eq!(far.to_arrow(3), Err(MILLIS_RANGE));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9TZtz:. ]{0,32}") {
            for standard in [TimestampStandard::Sql, TimestampStandard::Iso8601, TimestampStandard::Iso8601WithOffset] {
                for ltz in [false, true] {
                    if let Ok(moment) = parse_timestamp(text.as_bytes(), standard, ltz) {
                        let _ = (moment.to_arrow(3), moment.to_arrow(9));
                    }
                }
            }
            let _ = (parse_date(text.as_bytes()), parse_time(text.as_bytes()), parse_any_iso(text.as_bytes()));
        }
    }
}
