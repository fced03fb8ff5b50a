//! Integers, as `Byte.parseByte` to `Long.parseLong` read them.

use super::{Reason, ascii_digits, java_trim};

const NO_INTEGER: Reason = "a string that is no integer";
const OUT_OF_RANGE: Reason = "a number out of range";

/// An integer between `min` and `max` from text, trimmed first: an optional sign and decimal digits of any script.
pub(crate) fn parse(text: &[u8], min: i64, max: i64) -> Result<i64, Reason> {
    let text = java_trim(text);
    if let Some(plain) = ascii_digits(text) {
        return parse_ascii(&plain, min, max);
    }
    parse_ascii(text, min, max)
}

fn parse_ascii(text: &[u8], min: i64, max: i64) -> Result<i64, Reason> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NO_INTEGER);
    }
    let value = from_digits(negative, digits).ok_or(OUT_OF_RANGE)?;
    if (min..=max).contains(&value) { Ok(value) } else { Err(OUT_OF_RANGE) }
}

/// The value of decimal digits, or `None` beyond 64 bits.
pub(crate) fn from_digits(negative: bool, digits: &[u8]) -> Option<i64> {
    // Up to 18 digits cannot overflow, which is nearly every number there is.
    if digits.len() <= 18 {
        let value = digits.iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        return Some(if negative { -value } else { value });
    }
    digits.iter().try_fold(0i64, |value, digit| {
        let digit = i64::from(digit - b'0');
        value.checked_mul(10)?.checked_add(if negative { -digit } else { digit })
    })
}

/// An INT or BIGINT from a number with a point or an exponent: through a double and cut toward zero, as Jackson does.
/// `min` and `max` are the bounds of the type; those of BIGINT round to doubles, so 2^63 itself becomes the maximum.
pub(crate) fn from_f64(value: f64, min: i64, max: i64) -> Result<i64, Reason> {
    if value >= min as f64 && value <= max as f64 { Ok(value as i64) } else { Err(OUT_OF_RANGE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_java_parses() {
        for (text, value) in [
            ("7", Ok(7)),
            (" 7\t\n", Ok(7)),
            ("+5", Ok(5)),
            ("-5", Ok(-5)),
            ("007", Ok(7)),
            ("٣", Ok(3)),
            ("-0", Ok(0)),
            ("0000000000000000000000000000001", Ok(1)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(OUT_OF_RANGE)),
            ("-9223372036854775809", Err(OUT_OF_RANGE)),
            ("", Err(NO_INTEGER)),
            ("+", Err(NO_INTEGER)),
            ("--5", Err(NO_INTEGER)),
            ("5.0", Err(NO_INTEGER)),
            ("1e2", Err(NO_INTEGER)),
            ("0x10", Err(NO_INTEGER)),
            ("1_0", Err(NO_INTEGER)),
            ("\u{a0}7", Err(NO_INTEGER)),
            ("é", Err(NO_INTEGER)),
        ] {
            assert_eq!(parse(text.as_bytes(), i64::MIN, i64::MAX), value, "{text:?}");
        }
        assert_eq!(parse(b"127", -128, 127), Ok(127));
        assert_eq!(parse(b"128", -128, 127), Err(OUT_OF_RANGE));
    }

    #[test]
    fn doubles_are_cut_toward_zero() {
        let int = |v| from_f64(v, i64::from(i32::MIN), i64::from(i32::MAX));
        assert_eq!(int(1.9), Ok(1));
        assert_eq!(int(-1.9), Ok(-1));
        assert_eq!(int(2147483647.0), Ok(2147483647));
        assert_eq!(int(2147483647.5), Err(OUT_OF_RANGE));
        assert_eq!(int(f64::NAN), Err(OUT_OF_RANGE));
        let long = |v| from_f64(v, i64::MIN, i64::MAX);
        assert_eq!(long(9223372036854775808.0), Ok(i64::MAX));
        assert_eq!(long(1e30), Err(OUT_OF_RANGE));
    }
}
