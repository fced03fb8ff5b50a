//! Dates as `java.sql.Date.valueOf` reads them, which the `csv` format uses: lenient, and on the calendar that changes
//! from Julian to Gregorian in October 1582.

use super::calendar::{days_from_date, days_of_month};
use super::{Reason, ascii_digits};

const NO_DATE: Reason = "a string that is no date such as 2024-03-10";

/// A DATE: days since 1970-01-01.
///
/// The year has four digits, month and day one or two; each may have a plus. A day beyond the end of its month counts
/// on into the next. Before 1582-10-15 the date is one of the Julian calendar, and the day with the same name in the
/// Gregorian calendar is meant by it; where there is none (1500-02-29) the text is no date. The ten days that the
/// reform left out are those ten days later, and the year 0 is read as the year 1.
pub(crate) fn parse(text: &[u8]) -> Result<i32, Reason> {
    let days = match ascii_digits(text) {
        Some(plain) => parse_ascii(&plain),
        None => parse_ascii(text),
    };
    days.and_then(|days| i32::try_from(days).ok()).ok_or(NO_DATE)
}

fn parse_ascii(text: &[u8]) -> Option<i64> {
    let (year, rest) = text.split_at_checked(4)?;
    let rest = rest.strip_prefix(b"-")?;
    let dash = rest.iter().position(|b| *b == b'-')?;
    let (month, day) = (&rest[..dash], &rest[dash + 1..]);
    if !(1..=2).contains(&month.len()) || !(1..=2).contains(&day.len()) {
        return None;
    }
    let (year, month, day) = (i64::from(number(year)?), number(month)?, number(day)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    match (year, month, day) {
        (1582, 10, 5..=14) => Some(days_from_date(1582, 10, day + 10)),
        (1582.., ..) => Some(days_from_date(year, month, day)),
        _ => julian(year, month, day),
    }
}

/// The day of the Gregorian calendar that has the name of this one of the Julian.
fn julian(year: i64, month: u32, day: u32) -> Option<i64> {
    let length =
        if month == 2 && year % 4 == 0 { 29 } else { days_of_month(year, month).min(if month == 2 { 28 } else { 31 }) };
    let (month, day) = if day > length { (month + 1, day - length) } else { (month, day) };
    let year = year.max(1);
    (day <= days_of_month(year, month)).then(|| days_from_date(year, month, day))
}

/// As `Integer.parseInt`, without a minus: a dash cannot come here.
fn number(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let value = digits.iter().try_fold(0, |value, b| Some(value * 10 + char::from(*b).to_digit(10)?));
    value.filter(|_| !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::calendar::date_from_days;

    #[test]
    fn what_java_reads() {
        for (text, date) in [
            ("2024-02-29", (2024, 2, 29)),
            ("2024-1-1", (2024, 1, 1)),
            ("2023-02-29", (2023, 3, 1)),
            ("2023-02-31", (2023, 3, 3)),
            ("2023-04-31", (2023, 5, 1)),
            ("9999-12-31", (9999, 12, 31)),
            ("2024-+1-1", (2024, 1, 1)),
            ("+024-1-1", (24, 1, 1)),
            ("٢٠٢٤-٠١-٠١", (2024, 1, 1)),
            ("1582-10-04", (1582, 10, 4)),
            ("1582-10-05", (1582, 10, 15)),
            ("1582-10-14", (1582, 10, 24)),
            ("1582-10-15", (1582, 10, 15)),
            ("1582-09-31", (1582, 10, 1)),
            ("1582-02-29", (1582, 3, 1)),
            ("1580-02-29", (1580, 2, 29)),
            ("1500-02-28", (1500, 2, 28)),
            ("1500-02-30", (1500, 3, 1)),
            ("1501-04-31", (1501, 5, 1)),
            ("0000-01-01", (1, 1, 1)),
            ("0000-02-30", (1, 3, 1)),
        ] {
            let days = parse(text.as_bytes()).expect(text);
            assert_eq!(date_from_days(days.into()), date, "{text}");
        }
    }

    #[test]
    fn what_it_refuses() {
        for text in [
            "",
            "-",
            "--",
            "2024",
            "2024-01",
            "2024-01-",
            "2024--01",
            "24-01-01",
            "12024-01-01",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-01-32",
            "2024-001-01",
            "2024-01-001",
            "2024-01-1-",
            " 2024-1-1",
            "2024-1-1 ",
            "2024-1- 1",
            "2024/01/01",
            "20240101",
            "-024-01-01",
            "2024-+-1",
            "1500-02-29",
            "0000-02-29",
            "2024-01-01T00:00:00",
            "𝟐024-1-1",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(NO_DATE), "{text:?}");
        }
    }
}
