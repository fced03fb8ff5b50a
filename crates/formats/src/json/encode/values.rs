//! Single values as text: numbers, bytes, dates and times.

use arrow_schema::TimeUnit;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::options::TimestampFormat;
use crate::coerce::calendar::{DAY_SECONDS, date_from_days};
use crate::coerce::time::{Moment, TimestampStandard};

/// Appends a whole number.
pub(super) fn integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(value.unsigned_abs(), out);
}

/// Appends a whole number without a sign.
pub(super) fn unsigned(value: u64, out: &mut Vec<u8>) {
    padded(value, 1, out);
}

/// Appends a whole number with at least `width` digits, which is at most 20.
pub(in crate::json) fn padded(value: u64, width: usize, out: &mut Vec<u8>) {
    // 20 digits hold every 64-bit number.
    let mut digits = [b'0'; 20];
    let (mut rest, mut at) = (value, digits.len());
    while rest > 0 {
        at -= 1;
        // Below ten.
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

/// Appends what `write` writes, in quotes unless it stands for itself.
pub(super) fn maybe_quoted(plain: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if plain { write(out) } else { in_quotes(out, write) }
}

/// Appends what `write` writes in quotes. It must write nothing that JSON would have escaped.
pub(super) fn in_quotes(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// Appends bytes as base64 in quotes.
pub(super) fn bytes(value: &[u8], out: &mut Vec<u8>) {
    in_quotes(out, |out| {
        let start = out.len();
        out.resize(start + value.len().div_ceil(3) * 4, 0);
        let written =
            STANDARD.encode_slice(value, &mut out[start..]).expect("room for four characters per three bytes");
        out.truncate(start + written);
    });
}

/// Appends a decimal of unscaled digits, with a minus perhaps, as `BigDecimal.toString` does: with an exponent when
/// the scale is negative or the number is below 10^-6. `plain` never has one.
pub(super) fn decimal(unscaled: &str, scale: i8, plain: bool, out: &mut Vec<u8>) {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    out.extend_from_slice(sign.as_bytes());
    let digits = digits.as_bytes();
    let scale = i64::from(scale);
    // The exponent of the first digit; there are at most 77 digits.
    let exponent = digits.len() as i64 - 1 - scale;
    if scale < 0 && plain {
        out.extend_from_slice(digits);
        let zeros = if digits == b"0" { 0 } else { scale.unsigned_abs() as usize };
        out.extend(std::iter::repeat_n(b'0', zeros));
    } else if scale >= 0 && (plain || exponent >= -6) {
        let point = digits.len() as i64 - scale;
        let whole = point.max(0) as usize;
        out.extend_from_slice(if whole == 0 { b"0" } else { &digits[..whole] });
        if scale > 0 {
            out.push(b'.');
            out.extend(std::iter::repeat_n(b'0', point.min(0).unsigned_abs() as usize));
            out.extend_from_slice(&digits[whole..]);
        }
    } else {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        if exponent != 0 {
            out.push(b'E');
            out.push(if exponent < 0 { b'-' } else { b'+' });
            unsigned(exponent.unsigned_abs(), out);
        }
    }
}

/// Appends a date as Java's ISO_LOCAL_DATE prints it: years beyond 9999 with a plus.
pub(super) fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = date_from_days(days);
    match year {
        ..0 => out.push(b'-'),
        10_000.. => out.push(b'+'),
        _ => {}
    }
    padded(year.unsigned_abs(), 4, out);
    for part in [month, day] {
        out.push(b'-');
        padded(part.into(), 2, out);
    }
}

/// A count of a unit, as days, seconds of the day and nanoseconds.
pub(super) struct Clock {
    moment: Moment,
}

impl Clock {
    pub(super) fn new(count: i64, unit: TimeUnit) -> Self {
        let per_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        // The remainder is below a second.
        let nanos = (count.rem_euclid(per_second) * (1_000_000_000 / per_second)) as u32;
        Self { moment: Moment { seconds: count.div_euclid(per_second), nanos } }
    }

    /// Appends the time of day: seconds always, and as many fraction digits as there are.
    pub(super) fn time(&self, out: &mut Vec<u8>) {
        // Below the seconds of a day.
        let second = self.moment.seconds.rem_euclid(DAY_SECONDS) as u64;
        for (i, part) in [second / 3_600, second / 60 % 60, second % 60].into_iter().enumerate() {
            if i > 0 {
                out.push(b':');
            }
            padded(part, 2, out);
        }
        if self.moment.nanos > 0 {
            out.push(b'.');
            padded(self.moment.nanos.into(), 9, out);
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
    }

    /// Appends date and time in that format; `zone` says that it is an instant.
    pub(super) fn timestamp(&self, format: &TimestampFormat, zone: bool, out: &mut Vec<u8>) {
        let (separator, z) = match format {
            TimestampFormat::Standard(TimestampStandard::Sql) => (b' ', zone),
            TimestampFormat::Standard(TimestampStandard::Iso8601) | TimestampFormat::AnyIso => (b'T', zone),
            TimestampFormat::Standard(TimestampStandard::Iso8601WithOffset) => (b'T', true),
            TimestampFormat::Pattern(pattern) => return pattern.print(self.moment, out),
        };
        date(self.moment.seconds.div_euclid(DAY_SECONDS), out);
        out.push(separator);
        self.time(out);
        if z {
            out.push(b'Z');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn integers() {
        for value in [0, 7, -7, 1_000, i64::MAX, i64::MIN] {
            assert_eq!(text(|out| integer(value, out)), value.to_string());
        }
        assert_eq!(text(|out| unsigned(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(text(|out| padded(7, 4, out)), "0007");
    }

    #[test]
    fn decimals_as_java_prints_them() {
        for (unscaled, scale, scientific, plain) in [
            ("1234", 2, "12.34", "12.34"),
            ("-5", 2, "-0.05", "-0.05"),
            ("0", 0, "0", "0"),
            ("0", 2, "0.00", "0.00"),
            ("10000", 2, "100.00", "100.00"),
            ("1", 6, "0.000001", "0.000001"),
            ("1", 7, "1E-7", "0.0000001"),
            ("27", 9, "2.7E-8", "0.000000027"),
            ("-27", 9, "-2.7E-8", "-0.000000027"),
            ("0", 18, "0E-18", "0.000000000000000000"),
            ("1", -2, "1E+2", "100"),
            ("12", -2, "1.2E+3", "1200"),
        ] {
            assert_eq!(text(|out| decimal(unscaled, scale, false, out)), scientific, "{unscaled} {scale}");
            assert_eq!(text(|out| decimal(unscaled, scale, true, out)), plain, "{unscaled} {scale}");
        }
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(text(|out| date(19_792, out)), "2024-03-10");
        assert_eq!(text(|out| date(-719_893, out)), "-0001-01-01");
        assert_eq!(text(|out| date(2_932_897, out)), "+10000-01-01");
        let sql = TimestampFormat::Standard(TimestampStandard::Sql);
        let iso = TimestampFormat::Standard(TimestampStandard::Iso8601);
        let offset = TimestampFormat::Standard(TimestampStandard::Iso8601WithOffset);
        for (count, unit, format, zone, expected) in [
            (1_710_074_096, TimeUnit::Second, &sql, false, "2024-03-10 12:34:56"),
            (1_710_074_096_500, TimeUnit::Millisecond, &sql, true, "2024-03-10 12:34:56.5Z"),
            (-500_000, TimeUnit::Microsecond, &iso, false, "1969-12-31T23:59:59.5"),
            (1, TimeUnit::Nanosecond, &iso, true, "1970-01-01T00:00:00.000000001Z"),
            (0, TimeUnit::Nanosecond, &offset, false, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(text(|out| Clock::new(count, unit).timestamp(format, zone, out)), expected);
        }
        assert_eq!(text(|out| Clock::new(45_296_789, TimeUnit::Millisecond).time(out)), "12:34:56.789");
    }
}
