//! `timestamp-format.pattern`: timestamps in a form of one's own, by the common letters of Java's patterns.

use super::encode::padded;
use crate::coerce::Reason;
use crate::coerce::calendar::{DAY_SECONDS, date_from_days, days_from_date, days_of_month};
use crate::coerce::time::Moment;

const NO_MATCH: Reason = "a string that does not match timestamp-format.pattern";

/// A pattern of `y M d H m s S X` and literals, such as `yyyy-MM-dd'T'HH:mm:ss.SSSXXX`.
///
/// Letters mean what they mean in Java's `DateTimeFormatter`: `yyyy` (or `uuuu`) is a year of at least four digits,
/// two letters are two digits, one letter is one or two, `S` is one fraction digit each, `X` to `XXX` an offset or
/// `Z`. Text between single quotes and other punctuation stands for itself. Year, month and day must be there; a time
/// of day that is not counts as zero. Without an offset a value is read as UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampPattern {
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(Vec<u8>),
    Year,
    Number(Part, usize, usize),
    Fraction(usize),
    Offset(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

impl TimestampPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, and which letters there are.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.contains(|c: char| c < ' ' || c == '"' || c == '\\') {
            return Err("it cannot hold double quotes, backslashes or control characters".to_owned());
        }
        let mut items = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            let len = rest.find(|c| c != letter).unwrap_or(rest.len());
            let count = rest[..len].chars().count();
            match letter {
                '\'' => {
                    let (literal, after) = quoted(&rest[1..]).ok_or("a quote in the pattern is not closed")?;
                    items.push(Item::Literal(literal));
                    rest = after;
                    continue;
                }
                'a'..='z' | 'A'..='Z' => items.push(Item::of(letter, count)?),
                '[' | ']' | '{' | '}' | '#' => {
                    return Err(format!("`{letter}` has no meaning here, write it in single quotes"));
                }
                _ => items.push(Item::Literal(rest.as_bytes()[..len].to_vec())),
            }
            rest = &rest[len..];
        }
        let has = |part| items.iter().any(|i| matches!(i, Item::Number(p, ..) if *p == part));
        if items.contains(&Item::Year) && has(Part::Month) && has(Part::Day) {
            Ok(Self { items })
        } else {
            Err("the pattern needs a year, a month and a day (yyyy, MM, dd)".to_owned())
        }
    }

    /// The moment that a text in this form stands for.
    pub(crate) fn read(&self, text: &[u8]) -> Result<Moment, Reason> {
        self.read_all(text).ok_or(NO_MATCH)
    }

    /// Appends the moment in this form, in UTC. Fraction digits beyond the pattern's are cut.
    pub(super) fn print(&self, moment: Moment, out: &mut Vec<u8>) {
        let (year, month, day) = date_from_days(moment.seconds.div_euclid(DAY_SECONDS));
        // Below the seconds of a day.
        let second = moment.seconds.rem_euclid(DAY_SECONDS) as u64;
        for item in &self.items {
            match item {
                Item::Literal(literal) => out.extend_from_slice(literal),
                Item::Year => {
                    if year < 0 {
                        out.push(b'-');
                    }
                    padded(year.unsigned_abs(), 4, out);
                }
                Item::Number(part, least, _) => {
                    let value = match part {
                        Part::Month => month.into(),
                        Part::Day => day.into(),
                        Part::Hour => second / 3_600,
                        Part::Minute => second / 60 % 60,
                        Part::Second => second % 60,
                    };
                    padded(value, *least, out);
                }
                Item::Fraction(digits) => {
                    let start = out.len();
                    padded(moment.nanos.into(), 9, out);
                    out.truncate(start + digits);
                }
                Item::Offset(_) => out.push(b'Z'),
            }
        }
    }

    fn read_all(&self, text: &[u8]) -> Option<Moment> {
        let mut rest = text;
        let (mut year, mut offset, mut nanos) = (0i64, 0i64, 0u32);
        let [mut month, mut day, mut hour, mut minute, mut second] = [1u32, 1, 0, 0, 0];
        for (i, item) in self.items.iter().enumerate() {
            match item {
                Item::Literal(literal) => rest = rest.strip_prefix(literal.as_slice())?,
                Item::Year => {
                    // Digits of a number that follows at once are its own: yyyyMMdd has years of four digits.
                    let most = if matches!(self.items.get(i + 1), Some(Item::Number(..))) { 4 } else { 9 };
                    year = i64::from(number(&mut rest, 4, most)?);
                }
                Item::Number(part, least, most) => {
                    let value = number(&mut rest, *least, *most)?;
                    match part {
                        Part::Month => month = value,
                        Part::Day => day = value,
                        Part::Hour => hour = value,
                        Part::Minute => minute = value,
                        Part::Second => second = value,
                    }
                }
                Item::Fraction(digits) => {
                    let value = number(&mut rest, *digits, *digits)?;
                    nanos = value * 10u32.pow(9 - u32::try_from(*digits).ok()?);
                }
                Item::Offset(letters) => offset = read_offset(&mut rest, *letters)?,
            }
        }
        let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && minute < 60 && second < 60;
        let end_of_day = hour == 24 && (minute, second, nanos) == (0, 0, 0);
        if !rest.is_empty() || !fits || hour > 23 && !end_of_day {
            return None;
        }
        // As smart as Flink's own formatters: February 30 is the last day of February.
        let days = days_from_date(year, month, day.min(days_of_month(year, month)));
        let seconds = days * DAY_SECONDS + i64::from(hour * 3_600 + minute * 60 + second);
        Some(Moment { seconds: seconds - offset, nanos })
    }
}

impl Item {
    fn of(letter: char, count: usize) -> Result<Self, String> {
        let part = match letter {
            'M' | 'L' => Part::Month,
            'd' => Part::Day,
            'H' => Part::Hour,
            'm' => Part::Minute,
            's' => Part::Second,
            'y' | 'u' if count == 4 => return Ok(Self::Year),
            'S' if count <= 9 => return Ok(Self::Fraction(count)),
            'X' if count <= 3 => return Ok(Self::Offset(count)),
            _ => {
                let given = letter.to_string().repeat(count.min(12));
                return Err(format!("`{given}` is none of yyyy, MM, dd, HH, mm, ss, S to SSSSSSSSS, X, XX, XXX"));
            }
        };
        match count {
            1 => Ok(Self::Number(part, 1, 2)),
            2 => Ok(Self::Number(part, 2, 2)),
            _ => {
                Err(format!("`{}` is not supported, use one or two letters", letter.to_string().repeat(count.min(12))))
            }
        }
    }
}

/// The text up to the closing quote and what follows; two quotes stand for one, also right at the beginning.
fn quoted(text: &str) -> Option<(Vec<u8>, &str)> {
    if let Some(after) = text.strip_prefix('\'') {
        return Some((b"'".to_vec(), after));
    }
    let mut literal = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('\'')?;
        literal.extend_from_slice(part.as_bytes());
        match after.strip_prefix('\'') {
            Some(after) => {
                literal.push(b'\'');
                rest = after;
            }
            None => return Some((literal, after)),
        }
    }
}

fn number(rest: &mut &[u8], least: usize, most: usize) -> Option<u32> {
    let len = rest.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    let (digits, after) = rest.split_at(len);
    *rest = after;
    // At most nine digits.
    (len >= least).then(|| digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

/// `Z`, or `+08` (X, and its minutes if any), `+0800` (XX), `+08:00` (XXX): seconds east of Greenwich.
fn read_offset(rest: &mut &[u8], letters: usize) -> Option<i64> {
    if let Some(after) = rest.strip_prefix(b"Z") {
        *rest = after;
        return Some(0);
    }
    let (sign, after) = rest.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    *rest = after;
    let hours = number(rest, 2, 2)?;
    let minutes = match letters {
        1 if !rest.first().is_some_and(u8::is_ascii_digit) => 0,
        1 | 2 => number(rest, 2, 2)?,
        _ => {
            *rest = rest.strip_prefix(b":")?;
            number(rest, 2, 2)?
        }
    };
    let seconds = i64::from(hours * 3_600 + minutes * 60);
    (minutes < 60 && seconds <= 18 * 3_600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(pattern: &str, text: &str) -> Option<(i64, u32)> {
        let pattern = TimestampPattern::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        pattern.read(text.as_bytes()).ok().map(|m| (m.seconds, m.nanos))
    }

    #[test]
    fn common_patterns() {
        let moment = Some((1_710_074_096, 0));
        for (pattern, text) in [
            ("yyyy-MM-dd HH:mm:ss", "2024-03-10 12:34:56"),
            ("yyyy/M/d H:m:s", "2024/3/10 12:34:56"),
            ("yyyyMMddHHmmss", "20240310123456"),
            ("dd.MM.uuuu 'at' HH:mm:ss", "10.03.2024 at 12:34:56"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", "2024-03-10T20:34:56+08:00"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", "2024-03-10T12:34:56Z"),
            ("yyyy-MM-dd'T'HH:mm:ssXX", "2024-03-10T20:34:56+0800"),
            ("yyyy-MM-dd'T'HH:mm:ssX", "2024-03-10T20:34:56+08"),
            ("yyyy-MM-dd'T'HH:mm:ss'Z'", "2024-03-10T12:34:56Z"),
            ("yyyy''MM''dd HH:mm:ss", "2024'03'10 12:34:56"),
            ("yyyy年MM月dd日 HH:mm:ss", "2024年03月10日 12:34:56"),
        ] {
            assert_eq!(seconds(pattern, text), moment, "{pattern}");
            let (form, mut out) = (TimestampPattern::parse(pattern).expect("a pattern"), Vec::new());
            form.print(Moment { seconds: 1_710_074_096, nanos: 789_000_000 }, &mut out);
            assert_eq!(seconds(pattern, std::str::from_utf8(&out).expect("UTF-8")), moment, "{pattern}");
        }
        assert_eq!(seconds("yyyy-MM-dd HH:mm:ss.SSS", "2024-03-10 12:34:56.789"), Some((1_710_074_096, 789_000_000)));
        assert_eq!(seconds("yyyy-MM-dd", "1970-01-02"), Some((86_400, 0)));
    }

    #[test]
    fn texts_that_do_not_match() {
        for (pattern, text) in [
            ("yyyy-MM-dd", "2024-3-10"),
            ("yyyy-MM-dd", "2024-13-10"),
            ("yyyy-MM-dd", "2024-03-10 "),
            ("yyyy-MM-dd HH:mm:ss", "2024-03-10 24:00:01"),
            ("yyyy-MM-dd HH:mm:ss.SSS", "2024-03-10 12:34:56.78"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", "2024-03-10T12:34:56"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", "2024-03-10T12:34:56+19:00"),
        ] {
            assert_eq!(seconds(pattern, text), None, "{text}");
        }
    }

    #[test]
    fn patterns_that_are_refused() {
        for (pattern, part) in [
            ("HH:mm", "needs a year"),
            ("yy-MM-dd", "`yy` is none of"),
            ("yyyy-MMM-dd", "`MMM` is not supported"),
            ("yyyy-MM-dd EEE", "`EEE` is none of"),
            ("yyyy-MM-dd'T", "not closed"),
            ("yyyy-MM-dd[ HH]", "`[` has no meaning"),
            ("", "needs a year"),
            ("yyyy\"MM'\"'dd", "cannot hold double quotes"),
        ] {
            let error = TimestampPattern::parse(pattern).expect_err(pattern);
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_and_text_are_fine_or_refused(pattern in "[yMdHmsSX'年 :-]{0,24}", text in "[0-9Z+:' -]{0,32}") {
            if let Ok(pattern) = TimestampPattern::parse(&format!("yyyyMMdd{pattern}")) {
                let _ = pattern.read(text.as_bytes());
            }
        }
    }
}
