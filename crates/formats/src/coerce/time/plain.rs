//! Dates and timestamps as nearly all are written, eight characters at a time: four digits of year, an existing day, an
//! hour below 24. What is written otherwise, right or wrong, is `None` here and read by the rules.

use super::{Moment, TimestampStandard};
use crate::coerce::calendar::{DAY_SECONDS, days_of_month};
use crate::coerce::digits::{each, word};

/// The longest that [`leading`] looks at is 25 bytes.
pub(super) const ROOM: usize = 25;

/// Eight characters of which some are digits and the others known.
struct Layout {
    /// The characters, with `0` for a digit.
    base: u64,
    /// What carries into the high bit of a byte that is not 0, or, for a digit, above 9.
    slack: u64,
}

impl Layout {
    const fn new(text: &[u8; 8]) -> Self {
        let mut slack = [0x7F; 8];
        let mut i = 0;
        while i < slack.len() {
            if text[i] == b'0' {
                slack[i] = 0x7F - 9;
            }
            i += 1;
        }
        Self { base: u64::from_le_bytes(*text), slack: u64::from_le_bytes(slack) }
    }

    /// In each byte the number that the digit there and the next one make.
    #[inline]
    fn pairs(&self, word: u64) -> Option<[u8; 8]> {
        let values = word ^ self.base;
        let strange = (values | values.wrapping_add(self.slack)) & each(0x80);
        (strange == 0).then(|| (values * 10 + (values >> 8)).to_le_bytes())
    }
}

const YEAR_MONTH: Layout = Layout::new(b"0000-00-");
const CLOCK: Layout = Layout::new(b"00:00:00");

/// `2024-12-31`: days since 1970-01-01.
#[inline(always)]
pub(super) fn date(text: &[u8; 10]) -> Option<i32> {
    let pairs = YEAR_MONTH.pairs(word(text, 0)?)?;
    let (tens, ones) = (text[8].wrapping_sub(b'0'), text[9].wrapping_sub(b'0'));
    if tens > 3 || ones > 9 {
        return None;
    }
    let (year, month) = (i32::from(pairs[0]) * 100 + i32::from(pairs[2]), u32::from(pairs[5]));
    let day = u32::from(tens * 10 + ones);
    if !(1..=12).contains(&month) || day == 0 || day > 28 && day > days_of_month(year.into(), month) {
        return None;
    }
    // Years are counted from March, so that the leap day is the last; 400 years more, so that none is negative.
    let (year, from_march) = if month <= 2 { (year + 399, month + 9) } else { (year + 400, month - 3) };
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    // At most 366.
    let century = year / 100;
    Some(year * 365 + year / 4 - century + century / 4 + day_of_year as i32 - 719_468 - 146_097)
}

/// A timestamp that a text begins with, and its length: `2024-12-31 12:34:56` with no or three digits of a fraction. What
/// follows is for the caller to look at. Without a standard it is ISO-8601's, and whether there is a `Z` does not matter.
#[inline(always)]
pub(super) fn leading(text: &[u8; ROOM], standard: Option<TimestampStandard>, ltz: bool) -> Option<(Moment, usize)> {
    let separator = match standard {
        Some(TimestampStandard::Sql) => b' ',
        Some(TimestampStandard::Iso8601) | None => b'T',
        Some(TimestampStandard::Iso8601WithOffset) => return None,
    };
    let [hour, _, _, minute, _, _, second, _] = CLOCK.pairs(word(text, 11)?)?;
    if text[10] != separator || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, end) = if text[19] == b'.' { (millis(text[20], text[21], text[22])? * 1_000_000, 23) } else { (0, 19) };
    let has_z = text[end] == b'Z';
    if standard.is_some() && has_z != ltz {
        return None;
    }
    let of_day = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    let moment = Moment { seconds: i64::from(date(text.first_chunk()?)?) * DAY_SECONDS + of_day, nanos };
    Some((moment, end + usize::from(has_z)))
}

/// `2024-12-31 12:34:56` with up to nine digits of a fraction.
#[inline]
pub(super) fn timestamp(text: &[u8], standard: TimestampStandard, ltz: bool) -> Option<Moment> {
    let separator = match standard {
        TimestampStandard::Sql => b' ',
        TimestampStandard::Iso8601 => b'T',
        TimestampStandard::Iso8601WithOffset => return None,
    };
    let text = if ltz { text.strip_suffix(b"Z")? } else { text };
    let (day, rest) = text.split_first_chunk::<10>()?;
    let (found, rest) = rest.split_first()?;
    let [hour, _, _, minute, _, _, second, _] = CLOCK.pairs(word(rest, 0)?)?;
    if *found != separator || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = fraction(&rest[8..])?;
    let of_day = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    Some(Moment { seconds: i64::from(date(day)?) * DAY_SECONDS + of_day, nanos })
}

#[inline(always)]
fn millis(a: u8, b: u8, c: u8) -> Option<u32> {
    let [a, b, c] = [a, b, c].map(|digit| u32::from(digit.wrapping_sub(b'0')));
    (a.max(b).max(c) <= 9).then_some(a * 100 + b * 10 + c)
}

#[inline]
fn fraction(text: &[u8]) -> Option<u32> {
    match text {
        [] => Some(0),
        [b'.', a, b, c] => Some(millis(*a, *b, *c)? * 1_000_000),
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            let value = digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
            Some(value * 10u32.pow(9 - digits.len() as u32))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{DAY_SECONDS, Reader, any_iso, iso, parse_any_iso, parse_timestamp, sql};
    use super::*;
    use crate::coerce::calendar::date_from_days;

    /// What the rules say, without the shortcut.
    fn by_rule(text: &str, standard: TimestampStandard, ltz: bool) -> Option<Moment> {
        let mut reader = Reader { rest: text.as_bytes() };
        let moment = match standard {
            TimestampStandard::Sql => sql(&mut reader)?,
            _ => iso(&mut reader, !ltz)?,
        };
        ((!ltz || reader.eat(b'Z')) && reader.rest.is_empty()).then_some(moment)
    }

    #[test]
    fn every_day_of_four_digit_years_is_read_as_by_the_rules() {
        let (first, last) = (-719_528, 2_932_896);
        for days in (first..=last).step_by(7).chain([first, last]) {
            let (year, month, day) = date_from_days(days);
            let text = format!("{year:04}-{month:02}-{day:02}");
            assert_eq!(date(text.as_bytes().try_into().expect("ten characters")).map(i64::from), Some(days), "{text}");
        }
        for text in ["2023-02-29", "2024-04-31", "2024-00-10", "2024-13-10", "2024-01-00", "2024-01-32", "2024-1-010"] {
            assert_eq!(date(text.as_bytes().try_into().expect("ten characters")), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_here_is_what_the_rules_say(
            text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?Z?",
            other in any::<(prop::sample::Index, char)>(),
            ltz: bool,
        ) {
            let mut changed: Vec<char> = text.chars().collect();
            let at = other.0.index(changed.len());
            changed[at] = other.1;
            for text in [text, changed.into_iter().collect()] {
                prop_assert_eq!(parse_any_iso(text.as_bytes()), any_iso(text.as_bytes()), "{}", text);
                for standard in [TimestampStandard::Sql, TimestampStandard::Iso8601] {
                    let quick = timestamp(text.as_bytes(), standard, ltz);
                    if quick.is_some() {
                        prop_assert_eq!(quick, by_rule(&text, standard, ltz), "{}", text);
                    }
                    // A midnight may have been written 24:00:00, which is not for here.
                    let existing = by_rule(&text, standard, ltz).filter(|m| m.seconds % DAY_SECONDS > 0);
                    prop_assert!(quick.is_some() || existing.is_none() || !text.is_ascii() || is_odd(&text), "{}", text);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_begins_a_text_is_read_as_by_itself(
            text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{2,4})?Z?[,\"]",
            change in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            ltz: bool,
        ) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.resize(ROOM, b',');
            let end = bytes.iter().position(|b| matches!(b, b',' | b'"')).unwrap_or(ROOM);
            let text = &bytes[..end];
            for standard in [None, Some(TimestampStandard::Sql), Some(TimestampStandard::Iso8601)] {
                let expected = match standard {
                    Some(standard) => parse_timestamp(text, standard, ltz).ok(),
                    None => parse_any_iso(text).ok(),
                };
                let quick = leading(bytes.first_chunk().expect("enough bytes"), standard, ltz);
                // Where a delimiter or quote follows.
                let read = quick.filter(|(_, len)| *len == end).map(|(moment, _)| moment);
                if read.is_some() {
                    prop_assert_eq!(read, expected);
                }
                // It is not only right, but reads what it is for.
                let text = std::str::from_utf8(text).unwrap_or_default();
                let usual = text.get(19..).is_some_and(|rest| matches!(rest.trim_end_matches('Z').len(), 0 | 4));
                if let Some(moment) = expected.filter(|_| usual) {
                    let odd = !text.is_ascii() || is_odd(text);
                    prop_assert!(read.is_some() || odd || moment.seconds % DAY_SECONDS == 0, "{}", text);
                }
            }
            let offset = Some(TimestampStandard::Iso8601WithOffset);
            prop_assert_eq!(leading(bytes.first_chunk().expect("enough bytes"), offset, ltz), None);
        }
    }

    /// Right by the rules, but not as nearly all are written: a day that does not exist, an end without digits.
    fn is_odd(text: &str) -> bool {
        let day = text.get(..10).and_then(|day| day.as_bytes().try_into().ok());
        day.is_none_or(|day| date(day).is_none()) || text.trim_end_matches('Z').ends_with('.')
    }
}
