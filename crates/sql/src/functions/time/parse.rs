//! Dates and times out of text as Flink's `CAST` and default formats read them.

use chrono::{Duration, NaiveDate, NaiveDateTime, NaiveTime};

/// A date of `CAST(text AS DATE)`: `2024-02-29`, also `2024-2`, `2024`, blanks around the numbers, and anything after
/// the first blank.
pub(crate) fn date(text: &str) -> Option<NaiveDate> {
    let text = match text.find(' ') {
        Some(blank) if blank > 0 => &text[..blank],
        _ => text,
    };
    let mut parts = text.splitn(3, '-');
    let year = digits(parts.next()?)?;
    let month = parts.next().map_or(Some(1), digits)?;
    let day = parts.next().map_or(Some(1), digits)?;
    if year > 9999 {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// A time of `CAST(text AS TIME)`: `12:34:56.789`, also `12:34` and `12`. Fractions are cut to milliseconds. What Flink
/// would carry over into another day (`123:45`, offsets) is refused.
pub(crate) fn time(text: &str) -> Option<NaiveTime> {
    let mut parts = text.splitn(3, ':');
    let hour = digits(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), digits)?;
    let (second, millis) = match parts.next() {
        None => (0, 0),
        Some(rest) => match rest.split_once('.') {
            None => (digits(rest)?, 0),
            Some((second, fraction)) => (digits(second)?, nanos(fraction.trim())? / 1_000_000),
        },
    };
    NaiveTime::from_hms_milli_opt(hour, minute, second, millis)
}

/// A timestamp of `CAST(text AS TIMESTAMP)` and `TO_TIMESTAMP(text)`: `2024-02-29 12:34:56.789`, where month, day, hour,
/// minute and second may have one digit and the time may be left out. Days that a month does not have become its last
/// one, and `24:00:00` the next day, as java.time resolves them.
pub(crate) fn timestamp(text: &str) -> Option<NaiveDateTime> {
    let (date, time) = match text.split_once(' ') {
        None => (text, None),
        Some((date, time)) => (date, Some(time)),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() < 4 {
        return None;
    }
    let date =
        resolve_date(i32::try_from(digits_of(year, 4, 9)?).ok()?, digits_of(month, 1, 2)?, digits_of(day, 1, 2)?)?;
    let Some(time) = time else { return Some(date.and_time(NaiveTime::MIN)) };
    let mut parts = time.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (second, nanos) = match second.split_once('.') {
        None => (second, 0),
        Some((second, fraction)) if fraction.len() <= 9 => (second, nanos(fraction)?),
        Some(_) => return None,
    };
    let (hour, minute, second) = (digits_of(hour, 1, 2)?, digits_of(minute, 1, 2)?, digits_of(second, 1, 2)?);
    resolve_time(date, hour, minute, second, nanos)
}

/// The form that `java.sql.Timestamp.valueOf` and `java.sql.Date.valueOf` take, to which `TO_TIMESTAMP(text, format)`
/// falls back where the format does not fit.
pub(crate) fn sql_timestamp(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    let (date, time) = text.split_once(' ').map_or((text, None), |(d, t)| (d, Some(t)));
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let year = i32::try_from(digits_of(year, 4, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, digits_of(month, 1, 2)?, digits_of(day, 1, 2)?)?;
    match time {
        None => Some(date.and_time(NaiveTime::MIN)),
        Some(time) => {
            let full = timestamp(&format!("2000-01-01 {time}"))?;
            Some(date.and_time(full.time()))
        }
    }
}

/// A date of fields in their ranges; the 29th to 31st of a shorter month become its last day.
pub(crate) fn resolve_date(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    if !(1..=31).contains(&day) {
        return None;
    }
    (day.saturating_sub(3)..=day).rev().find_map(|day| NaiveDate::from_ymd_opt(year, month, day))
}

/// A date and the time of day of fields in their ranges; 24:00:00 is the next day.
pub(crate) fn resolve_time(date: NaiveDate, hour: u32, minute: u32, second: u32, nanos: u32) -> Option<NaiveDateTime> {
    if (hour, minute, second, nanos) == (24, 0, 0, 0) {
        return date.and_time(NaiveTime::MIN).checked_add_signed(Duration::days(1));
    }
    date.and_hms_nano_opt(hour, minute, second, nanos)
}

/// A number of digits only, blanks around them allowed.
fn digits(text: &str) -> Option<u32> {
    digits_of(text.trim(), 1, 9)
}

fn digits_of(text: &str, least: usize, most: usize) -> Option<u32> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// The nanoseconds of a fraction; digits after the ninth are cut.
fn nanos(fraction: &str) -> Option<u32> {
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    nine.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_by_cast() {
        for (text, expected) in [
            ("2021-09-27", Some("2021-09-27")),
            ("123", Some("0123-01-01")),
            ("2021-9", Some("2021-09-01")),
            ("2021-09-27 12:34:56.123456789", Some("2021-09-27")),
            ("2021 -09", Some("2021-01-01")),
            ("2023-02-29", None),
            ("2021/09/27", None),
            ("foo", None),
            ("", None),
            ("2021-09-27x", None),
            ("10000-01-01", None),
            ("2021-01-01-01", None),
        ] {
            assert_eq!(date(text).map(|d| d.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_read_as_by_cast() {
        for (text, expected) in [
            ("12:34:56.123456789", Some("12:34:56.123")),
            ("12:34", Some("12:34:00")),
            ("7", Some("07:00:00")),
            (" 1 : 2 : 3 ", Some("01:02:03")),
            ("24:00:00", None),
            ("123:45", None),
            ("2021-09-27", None),
            ("Flink", None),
        ] {
            assert_eq!(time(text).map(|t| t.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn timestamps_are_read_as_by_cast() {
        for (text, expected) in [
            ("2021-09-27", Some("2021-09-27 00:00:00")),
            ("2021-09-27 12:34:56.123456789", Some("2021-09-27 12:34:56.123456789")),
            ("2021-9-7 1:2:3", Some("2021-09-07 01:02:03")),
            ("2021-09-27 12:34:56.", Some("2021-09-27 12:34:56")),
            ("2023-02-29 00:00:00", Some("2023-02-28 00:00:00")),
            ("2023-02-27 24:00:00", Some("2023-02-28 00:00:00")),
            ("2023-02-27 24:00:01", None),
            ("2021-09-27T12:34:56", None),
            ("2021-09-27 12:34", None),
            ("2021-09-27 12:34:56.1234567890", None),
            ("2021-09-27 12:34:56Z", None),
            (" 2021-09-27", None),
            ("123", None),
            ("2021-13-01", None),
            ("2021-01-32", None),
        ] {
            assert_eq!(timestamp(text).map(|t| t.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(
            sql_timestamp(" 1999-9-10 05:20:10 ").map(|t| t.to_string()).as_deref(),
            Some("1999-09-10 05:20:10")
        );
        assert_eq!(sql_timestamp("1999-9-10").map(|t| t.to_string()).as_deref(), Some("1999-09-10 00:00:00"));
        assert_eq!(sql_timestamp("99-9-10"), None);
    }
}
