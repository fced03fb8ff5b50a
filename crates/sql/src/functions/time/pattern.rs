//! Java's date patterns (`yyyy-MM-dd HH:mm:ss`), as `DATE_FORMAT` and its relatives take them.
//!
//! Flink uses two of Java's classes, which differ: `java.time.format.DateTimeFormatter` ([`Style::Strict`]) and
//! `java.text.SimpleDateFormat` ([`Style::Lenient`]). Letters in common use are known; every other letter is refused when
//! the script is planned. Names of months and days are English, whatever the machine's language.

use std::fmt::Write;

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::pattern_parse;

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Which of Java's classes a function uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `DateTimeFormatter`: whole texts, exact widths; `[…]` is optional; `S` is a fraction.
    Strict,
    /// `SimpleDateFormat`: what follows the date is ignored, fields out of range carry over; `S` is milliseconds.
    Lenient,
}

/// What a pattern is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Format,
    Parse,
}

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) items: Vec<Item>,
    pub(crate) style: Style,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Text(String),
    Field(char, usize),
    Optional(Vec<Self>),
}

impl Pattern {
    /// Reads a pattern for one purpose.
    ///
    /// # Errors
    /// A sentence on the letter or bracket that cannot be used.
    pub(crate) fn new(text: &str, style: Style, purpose: Purpose) -> Result<Self, String> {
        let mut reader = Reader { chars: text.chars().peekable(), style, purpose };
        let items = reader.items(0)?;
        Ok(Self { items, style })
    }

    /// Writes a wall clock time.
    pub(crate) fn format(&self, t: NaiveDateTime) -> String {
        let mut out = String::with_capacity(24);
        self.write(&self.items, t, &mut out);
        out
    }

    /// Reads a text; see [`pattern_parse`].
    pub(crate) fn parse(&self, text: &str) -> Option<pattern_parse::Parsed> {
        pattern_parse::parse(self, text)
    }

    fn write(&self, items: &[Item], t: NaiveDateTime, out: &mut String) {
        for item in items {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Optional(items) => self.write(items, t, out),
                Item::Field(letter, width) => self.field(*letter, *width, t, out),
            }
        }
    }

    fn field(&self, letter: char, width: usize, t: NaiveDateTime, out: &mut String) {
        let number = match letter {
            'y' | 'u' if width == 2 => i64::from(t.year().rem_euclid(100)),
            'y' | 'u' => i64::from(t.year()),
            'M' if width > 2 => return out.push_str(name(MONTHS[t.month0() as usize], width)),
            'M' => i64::from(t.month()),
            'd' => i64::from(t.day()),
            'D' => i64::from(t.ordinal()),
            'E' => return out.push_str(name(DAYS[t.weekday().num_days_from_monday() as usize], width)),
            'a' => return out.push_str(if t.hour() < 12 { "AM" } else { "PM" }),
            'H' => i64::from(t.hour()),
            'k' => i64::from(if t.hour() == 0 { 24 } else { t.hour() }),
            'K' => i64::from(t.hour() % 12),
            'h' => i64::from(t.hour12().1),
            'm' => i64::from(t.minute()),
            's' => i64::from(t.second()),
            'S' if self.style == Style::Strict => {
                let nine = format!("{:09}", t.nanosecond());
                return out.push_str(&nine[..width.min(9)]);
            }
            // Only `S` is left: the reader takes no other letter.
            _ => i64::from(t.nanosecond() / 1_000_000),
        };
        // As java.time does, a year with more digits than the pattern has letters carries a plus sign.
        let plus = self.style == Style::Strict && matches!(letter, 'y' | 'u') && width >= 4 && t.year() > 9999;
        let sign = if number < 0 {
            "-"
        } else if plus {
            "+"
        } else {
            ""
        };
        // Writing to a String does not fail.
        let _ = write!(out, "{sign}{:0width$}", number.unsigned_abs());
    }
}

/// A name in its short or long form.
fn name(long: &'static str, width: usize) -> &'static str {
    if width < 4 { &long[..3] } else { long }
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    style: Style,
    purpose: Purpose,
}

impl Reader<'_> {
    fn items(&mut self, depth: usize) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        while let Some(c) = self.chars.next() {
            match c {
                '\'' => push_text(&mut items, &self.quoted()?),
                '[' if self.style == Style::Strict && depth < 8 => {
                    items.push(Item::Optional(self.items(depth + 1)?));
                }
                ']' if self.style == Style::Strict && depth > 0 => return Ok(items),
                '[' | ']' | '{' | '}' | '#' if self.style == Style::Strict => {
                    return Err(format!("`{c}` has no place in a date pattern; quote it: '{c}'"));
                }
                c if c.is_ascii_alphabetic() => {
                    let mut width = 1;
                    while self.chars.next_if_eq(&c).is_some() {
                        width += 1;
                    }
                    self.check(c, width)?;
                    items.push(Item::Field(c, width));
                }
                c => push_text(&mut items, c.encode_utf8(&mut [0; 4])),
            }
        }
        if depth > 0 { Err("a `[` of the date pattern is not closed".to_owned()) } else { Ok(items) }
    }

    /// The text up to the closing quote; two quotes stand for one.
    fn quoted(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'\'').is_some() {
            return Ok("'".to_owned());
        }
        let mut text = String::new();
        loop {
            match self.chars.next() {
                None => return Err("a quote of the date pattern is not closed".to_owned()),
                Some('\'') if self.chars.next_if_eq(&'\'').is_some() => text.push('\''),
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    fn check(&self, letter: char, width: usize) -> Result<(), String> {
        let strict = self.style == Style::Strict;
        let most = match letter {
            'y' => 9,
            'u' if strict => 9,
            'M' | 'E' => 4,
            'd' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' => 2,
            'D' => 3,
            'a' => 1,
            'S' => 9,
            'X' if !strict && self.purpose == Purpose::Parse => 3,
            'Z' if !strict && self.purpose == Purpose::Parse => 1,
            'Y' => return Err("`Y` is the year of the week, which differs around New Year; use `yyyy`".to_owned()),
            _ => {
                return Err(format!(
                    "the letter `{letter}` of the date pattern is not supported; known are y M d D E a H h K k m s S{}; \
                     text stands in quotes, as in 'T'",
                    if strict { " u" } else { "" },
                ));
            }
        };
        if width > most {
            return Err(format!("`{}` is too long for a date pattern", letter.to_string().repeat(width)));
        }
        if letter == 'y' && width == 2 && !strict && self.purpose == Purpose::Parse {
            return Err("`yy` is read relative to today's date; use `yyyy`".to_owned());
        }
        Ok(())
    }
}

fn push_text(items: &mut Vec<Item>, text: &str) {
    match items.last_mut() {
        Some(Item::Text(last)) => last.push_str(text),
        _ => items.push(Item::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_as_java_does() {
        let t: NaiveDateTime = "2024-03-05T14:07:09.012345678".parse().expect("a time");
        for (pattern, style, expected) in [
            ("yyyy-MM-dd HH:mm:ss", Style::Strict, "2024-03-05 14:07:09"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSS", Style::Strict, "2024-03-05T14:07:09.012"),
            ("yyyyMMddHHmmssSSSSSS", Style::Strict, "20240305140709012345"),
            ("yy/M/d h:m:s a", Style::Strict, "24/3/5 2:7:9 PM"),
            ("EEE, d MMM uuuu", Style::Strict, "Tue, 5 Mar 2024"),
            ("EEEE MMMM DDD K k", Style::Strict, "Tuesday March 065 2 14"),
            ("'it''s' ''yyyy", Style::Strict, "it's '2024"),
            ("yyyy[-MM]", Style::Strict, "2024-03"),
            ("SSS S SSSSS", Style::Lenient, "012 12 00012"),
            ("yyyy年MM月", Style::Lenient, "2024年03月"),
        ] {
            let p = Pattern::new(pattern, style, Purpose::Format).expect(pattern);
            assert_eq!(p.format(t), expected, "{pattern}");
        }
    }

    #[test]
    fn unknown_letters_are_refused_at_planning() {
        for (pattern, style, purpose, part) in [
            ("YYYY-MM-dd", Style::Strict, Purpose::Format, "use `yyyy`"),
            ("yyyy-MM-ddTHH", Style::Strict, Purpose::Format, "letter `T`"),
            ("%Y", Style::Strict, Purpose::Format, "use `yyyy`"),
            ("yyyy-MM-dd XXX", Style::Strict, Purpose::Format, "letter `X`"),
            ("HHH", Style::Strict, Purpose::Format, "too long"),
            ("'open", Style::Strict, Purpose::Format, "quote"),
            ("[yyyy", Style::Strict, Purpose::Parse, "not closed"),
            ("yyyy}", Style::Strict, Purpose::Parse, "no place"),
            ("yy", Style::Lenient, Purpose::Parse, "use `yyyy`"),
            ("uuuu", Style::Lenient, Purpose::Parse, "letter `u`"),
        ] {
            let error = Pattern::new(pattern, style, purpose).expect_err(pattern);
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }
}
