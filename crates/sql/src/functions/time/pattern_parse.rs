//! Reading a text by a date pattern: exactly as `DateTimeFormatter`, or with the leniency of `SimpleDateFormat`.

use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime};

use super::parse::{resolve_date, resolve_time};
use super::pattern::{DAYS, Item, MONTHS, Pattern, Style};

/// What a text said: a wall clock time, and the offset that came with it if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) local: NaiveDateTime,
    /// Seconds east of UTC.
    pub(crate) offset: Option<i32>,
}

/// Reads a text. `None` when it does not fit.
pub(super) fn parse(pattern: &Pattern, text: &str) -> Option<Parsed> {
    let mut fields = Fields::default();
    match pattern.style {
        Style::Strict => {
            let rest = strict(&pattern.items, text, &mut fields)?;
            if !rest.is_empty() {
                return None;
            }
            Some(Parsed { local: fields.resolve_strict()?, offset: None })
        }
        Style::Lenient => {
            lenient(&pattern.items, text, &mut fields)?;
            Some(Parsed { local: fields.resolve_lenient()?, offset: fields.offset })
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    weekday: Option<i64>,
    /// Hours by letter `H` and `k`.
    hour: Option<i64>,
    /// Hours by letter `h` and `K`, 0 to 11.
    hour12: Option<i64>,
    pm: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: Option<i64>,
    offset: Option<i32>,
}

impl Fields {
    fn set(&mut self, letter: char, value: i64) {
        match letter {
            'y' | 'u' => self.year = Some(value),
            'M' => self.month = Some(value),
            'd' => self.day = Some(value),
            'D' => self.day_of_year = Some(value),
            'H' => self.hour = Some(value),
            'k' => self.hour = Some(if value == 24 { 0 } else { value }),
            'K' => self.hour12 = Some(value),
            'h' => self.hour12 = Some(if value == 12 { 0 } else { value }),
            'm' => self.minute = Some(value),
            _ => self.second = Some(value),
        }
    }

    fn hours(&self) -> Option<i64> {
        let half = self.hour12.zip(self.pm).map(|(hour, pm)| hour + if pm { 12 } else { 0 });
        self.hour.or(half)
    }

    /// What is missing is 1970-01-01 00:00:00; what is out of range makes the text unreadable.
    fn resolve_strict(&self) -> Option<NaiveDateTime> {
        let number = |value: Option<i64>, missing: u32| value.map_or(Some(missing), |v| u32::try_from(v).ok());
        let year = i32::try_from(self.year.unwrap_or(1970)).ok()?;
        let date = match (self.day_of_year, self.month) {
            (Some(day), None) if self.year.is_some() => NaiveDate::from_yo_opt(year, u32::try_from(day).ok()?)?,
            _ => resolve_date(year, number(self.month, 1)?, number(self.day, 1)?)?,
        };
        let complete = self.year.is_some() && self.month.is_some() && self.day.is_some();
        if complete && self.weekday.is_some_and(|w| w != i64::from(date.weekday().num_days_from_monday())) {
            return None;
        }
        if self.hour12.is_some_and(|h| h > 11) {
            return None;
        }
        resolve_time(
            date,
            number(self.hours(), 0)?,
            number(self.minute, 0)?,
            number(self.second, 0)?,
            number(self.nanos, 0)?,
        )
    }

    /// What is out of range carries over, as `java.util.Calendar` does. A half of the day that is not given is AM.
    fn resolve_lenient(&self) -> Option<NaiveDateTime> {
        let months = self.month.unwrap_or(1) - 1;
        let year = i32::try_from(self.year.unwrap_or(1970) + months.div_euclid(12)).ok()?;
        let date = match (self.day_of_year, self.month) {
            (Some(day), None) => NaiveDate::from_yo_opt(year, 1)?.checked_add_signed(Duration::try_days(day - 1)?)?,
            _ => {
                // The remainder of a division by 12 fits.
                let first = NaiveDate::from_ymd_opt(year, months.rem_euclid(12) as u32 + 1, 1)?;
                first.checked_add_signed(Duration::try_days(self.day.unwrap_or(1) - 1)?)?
            }
        };
        let half = if self.pm == Some(true) { 12 } else { 0 };
        let hours = self.hour.or(self.hour12.map(|h| h + half)).unwrap_or(0);
        let seconds = hours.checked_mul(3600)?.checked_add(self.minute.unwrap_or(0).checked_mul(60)?)?;
        let seconds = seconds.checked_add(self.second.unwrap_or(0))?;
        let time = Duration::try_seconds(seconds)?.checked_add(&Duration::nanoseconds(self.nanos.unwrap_or(0)))?;
        date.and_hms_opt(0, 0, 0)?.checked_add_signed(time)
    }
}

/// Reads the items and gives back what is left of the text.
fn strict<'t>(items: &[Item], mut text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    for (i, item) in items.iter().enumerate() {
        text = match item {
            Item::Text(wanted) => text.strip_prefix(wanted.as_str())?,
            Item::Optional(inner) => {
                let mut tried = fields.clone();
                match strict(inner, text, &mut tried) {
                    Some(rest) => {
                        *fields = tried;
                        rest
                    }
                    None => text,
                }
            }
            Item::Field('M', width @ (3 | 4)) => one_of(&MONTHS, *width, text, false, |n| fields.month = Some(n + 1))?,
            Item::Field('E', width) => one_of(&DAYS, *width, text, false, |n| fields.weekday = Some(n))?,
            Item::Field('a', _) => one_of(&["AM", "PM"], 2, text, false, |n| fields.pm = Some(n == 1))?,
            Item::Field('S', width) => {
                let (value, rest) = number(text, *width, *width)?;
                // At most nine digits.
                fields.nanos = Some(value * 10_i64.pow(9 - *width as u32));
                rest
            }
            Item::Field('y' | 'u', 2) => {
                let (value, rest) = number(text, 2, 2)?;
                fields.year = Some(2000 + value);
                rest
            }
            Item::Field(letter, width) => {
                let (least, most) = match letter {
                    'y' | 'u' => (*width, 9),
                    _ if *width == 1 => (1, 9),
                    _ => (*width, *width),
                };
                let (value, rest) = number(text, least, most.min(available(items, i, text)))?;
                fields.set(*letter, value);
                rest
            }
        };
    }
    Some(text)
}

/// How many digits a number may take when numbers of fixed width follow at once, as in `yyyyMMdd`.
fn available(items: &[Item], at: usize, text: &str) -> usize {
    let reserved: usize = items[at + 1..]
        .iter()
        .map_while(|item| match item {
            Item::Field('M', 3..) | Item::Field('E' | 'a', _) | Item::Text(_) | Item::Optional(_) => None,
            Item::Field(_, width) => Some(*width),
        })
        .sum();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits.saturating_sub(reserved)
}

fn lenient<'t>(items: &[Item], mut text: &'t str, fields: &mut Fields) -> Option<&'t str> {
    for (i, item) in items.iter().enumerate() {
        if let Item::Text(wanted) = item {
            text = text.strip_prefix(wanted.as_str())?;
            continue;
        }
        text = text.trim_start_matches([' ', '\t']);
        text = match item {
            Item::Text(_) | Item::Optional(_) => text,
            Item::Field('M', width @ (3 | 4)) => one_of(&MONTHS, *width, text, true, |n| fields.month = Some(n + 1))?,
            Item::Field('E', width) => one_of(&DAYS, *width, text, true, |n| fields.weekday = Some(n))?,
            Item::Field('a', _) => one_of(&["AM", "PM"], 2, text, true, |n| fields.pm = Some(n == 1))?,
            Item::Field('X', width) => zone(text, Some(*width), fields)?,
            Item::Field('Z', _) => zone(text, None, fields)?,
            Item::Field(letter, width) => {
                let next_is_number = match items.get(i + 1) {
                    Some(Item::Field('M', 3..) | Item::Field('E' | 'a' | 'X' | 'Z', _)) => false,
                    next => matches!(next, Some(Item::Field(..))),
                };
                let (value, rest) = number(text, 1, if next_is_number { *width } else { 9 })?;
                match letter {
                    'S' => fields.nanos = Some(value * 1_000_000),
                    _ => fields.set(*letter, value),
                }
                rest
            }
        };
    }
    Some(text)
}

/// A number of `least` to `most` digits at the start of the text, as many as there are.
fn number(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let len = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if len < least || len == 0 {
        return None;
    }
    Some((text[..len].parse().ok()?, &text[len..]))
}

/// One of some names at the start of the text, long or in three letters.
fn one_of<'t>(
    names: &[&'static str],
    width: usize,
    text: &'t str,
    any_case: bool,
    mut set: impl FnMut(i64),
) -> Option<&'t str> {
    for (name, n) in names.iter().zip(0..) {
        // The lenient style takes the long name where the short one is asked for, and the other way round.
        let forms = if any_case {
            [*name, &name[..name.len().min(3)]]
        } else {
            [if width < 4 { &name[..name.len().min(3)] } else { name }; 2]
        };
        for form in forms {
            let head = text.get(..form.len());
            if head.is_some_and(|h| if any_case { h.eq_ignore_ascii_case(form) } else { h == form }) {
                set(n);
                return Some(&text[form.len()..]);
            }
        }
    }
    None
}

/// An offset: `Z` or `+hh`, `+hhmm`, `+hh:mm` by the number of `X`; `+hhmm` for `Z`.
fn zone<'t>(text: &'t str, width: Option<usize>, fields: &mut Fields) -> Option<&'t str> {
    if let (Some(_), Some(rest)) = (width, text.strip_prefix('Z')) {
        fields.offset = Some(0);
        return Some(rest);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, rest) = number(rest, 2, 2)?;
    let (minutes, rest) = match width {
        Some(1) => (0, rest),
        Some(3) => number(rest.strip_prefix(':')?, 2, 2)?,
        _ => number(rest, 2, 2)?,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    fields.offset = Some(sign * i32::try_from(hours * 3600 + minutes * 60).ok()?);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::time::pattern::Purpose;

    fn read(pattern: &str, style: Style, text: &str) -> Option<String> {
        let pattern = Pattern::new(pattern, style, Purpose::Parse).expect(pattern);
        let parsed = pattern.parse(text)?;
        let offset = parsed.offset.map(|o| format!(" {o:+}")).unwrap_or_default();
        Some(format!("{}{offset}", parsed.local))
    }

    #[test]
    fn strict_patterns_take_exact_texts() {
        for (pattern, text, expected) in [
            ("yyyy-MM-dd HH:mm:ss", "2024-03-05 14:07:09", Some("2024-03-05 14:07:09")),
            ("yyyyMMddHHmmss", "20240305140709", Some("2024-03-05 14:07:09")),
            ("yyyyMMddHHmmssSSS", "20240305140709123", Some("2024-03-05 14:07:09.123")),
            ("yyyy-MM-dd'T'HH:mm:ss'Z'", "2024-03-05T14:07:09Z", Some("2024-03-05 14:07:09")),
            ("yyyy-MM-dd[ HH:mm]", "2024-03-05", Some("2024-03-05 00:00:00")),
            ("yyyy-MM-dd[ HH:mm]", "2024-03-05 14:07", Some("2024-03-05 14:07:00")),
            ("d/M/yyyy h:mm a", "5/3/2024 2:07 PM", Some("2024-03-05 14:07:00")),
            ("EEE d MMM yyyy", "Tue 5 Mar 2024", Some("2024-03-05 00:00:00")),
            ("yyyy-MM-dd", "2023-02-30", Some("2023-02-28 00:00:00")),
            ("HH:mm", "14:07", Some("1970-01-01 14:07:00")),
            ("yy", "24", Some("2024-01-01 00:00:00")),
            ("yyyy DDD", "2024 065", Some("2024-03-05 00:00:00")),
            ("EEE d MMM yyyy", "Wed 5 Mar 2024", None),
            ("yyyy-MM-dd", "2024-3-5", None),
            ("yyyy-MM-dd", "2024-03-05 ", None),
            ("yyyy-MM-dd", "2024-13-05", None),
            ("yyyy-MM-dd HH", "2024-03-05 25", None),
            ("SSS", "12", None),
        ] {
            assert_eq!(read(pattern, Style::Strict, text).as_deref(), expected, "{pattern}: {text}");
        }
    }

    #[test]
    fn lenient_patterns_ignore_the_rest_and_carry_over() {
        for (pattern, text, expected) in [
            ("yyyy-MM-dd HH:mm:ss", "2024-3-5 4:7:9.5 and more", Some("2024-03-05 04:07:09")),
            ("yyyy-MM-dd", "2023-02-30", Some("2023-03-02 00:00:00")),
            ("yyyy-MM-dd", "2023-13-01", Some("2024-01-01 00:00:00")),
            ("yyyyMMdd", "20240305", Some("2024-03-05 00:00:00")),
            ("d MMMM yyyy", "5 mar 2024", Some("2024-03-05 00:00:00")),
            ("hh:mm a", "02:07 pm", Some("1970-01-01 14:07:00")),
            ("HH:mm:ss.SSS", "0:0:1.5", Some("1970-01-01 00:00:01.005")),
            ("yyyy-MM-dd HH:mm:ss.SSS X", "1970-01-01 08:00:01.001 +0800", Some("1970-01-01 08:00:01.001 +28800")),
            ("yyyy-MM-dd HH:mm:ss XXX", "1970-01-01 08:00:01 +08:00", Some("1970-01-01 08:00:01 +28800")),
            ("HH:mm X", "08:00 Z", Some("1970-01-01 08:00:00 +0")),
            ("yyyy-MM-dd HH:mm:ss.SSS X", "1970-01-01 08:00:01.001", None),
            ("yyyy-MM-dd", "x", None),
        ] {
            assert_eq!(read(pattern, Style::Lenient, text).as_deref(), expected, "{pattern}: {text}");
        }
    }
}
