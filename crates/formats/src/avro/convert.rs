//! Avro values to Flink's: decimals, timestamps, text.

use super::schema::Unit;
use crate::coerce::Reason;
use crate::coerce::time::Moment;
use crate::column::Texts;

/// Java has no number for it.
const NO_BYTES: Reason = "a decimal without bytes";
const TIME_RANGE: Reason = "a time that 32 bits of milliseconds do not reach";

/// A decimal of that scale as the unscaled value of `DECIMAL(precision, scale)`, rounded half up. `None` when it needs
/// more digits: Flink makes that NULL without an error.
pub(super) fn decimal(bytes: &[u8], from_scale: usize, precision: u8, scale: u8) -> Result<Option<i128>, Reason> {
    if bytes.is_empty() {
        return Err(NO_BYTES);
    }
    let fitted = unscaled(bytes).and_then(|value| rescale(value, from_scale, usize::from(scale)));
    Ok(fitted.filter(|value| value.unsigned_abs() < 10u128.pow(u32::from(precision))))
}

/// Two's complement, most significant byte first.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xFF };
    let (head, tail) = bytes.split_at(bytes.len().saturating_sub(16));
    // What is cut off must say no more than the sign, which the rest must say as well.
    let fits = head.is_empty() || head.iter().all(|byte| *byte == sign) && (tail[0] ^ sign) & 0x80 == 0;
    let mut wide = [sign; 16];
    wide[16 - tail.len()..].copy_from_slice(tail);
    fits.then(|| i128::from_be_bytes(wide))
}

fn rescale(value: i128, from: usize, to: usize) -> Option<i128> {
    let power = |digits: usize| u32::try_from(digits).ok().and_then(|digits| 10i128.checked_pow(digits));
    if from == to {
        return Some(value);
    }
    if from < to {
        return if value == 0 { Some(0) } else { value.checked_mul(power(to - from)?) };
    }
    // More digits than there can be leave nothing, not even to round.
    let Some(divisor) = power(from - to) else { return Some(0) };
    let (kept, cut) = (value / divisor, value % divisor);
    // Not doubled, which could overflow: the half itself rounds away from zero.
    let away = cut.unsigned_abs() >= divisor.unsigned_abs() - cut.unsigned_abs();
    Some(if away { kept + value.signum() } else { kept })
}

/// A timestamp as Arrow holds one of that precision. Digits below the unit are cut.
pub(super) fn moment(value: i64, unit: Unit, precision: u8) -> Result<i64, Reason> {
    let per_second = match unit {
        Unit::Millis if precision <= 3 => return Ok(value),
        Unit::Millis => 1_000,
        Unit::Micros => 1_000_000,
        Unit::Nanos => 1_000_000_000,
    };
    // Less than a second, which 32 bits of nanoseconds hold.
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    Moment { seconds: value.div_euclid(per_second), nanos: nanos as u32 }.to_arrow(precision)
}

/// Milliseconds of a day from microseconds.
pub(super) fn time_of_micros(micros: i64) -> Result<i32, Reason> {
    i32::try_from(micros.div_euclid(1_000)).map_err(|_| TIME_RANGE)
}

/// Appends text; bytes that are not UTF-8 become U+FFFD.
#[inline]
pub(super) fn push_text(values: &mut Texts, text: &[u8]) {
    if !values.push_utf8(text) {
        values.put(|out| replace_bad(text, out));
    }
}

/// As Java replaces: each longest piece that could have begun a character becomes one U+FFFD, and so does a surrogate
/// that is encoded as if it were a character.
fn replace_bad(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let Err(error) = std::str::from_utf8(rest) else { return out.extend_from_slice(rest) };
        let (good, bad) = rest.split_at(error.valid_up_to());
        out.extend_from_slice(good);
        out.extend_from_slice("\u{FFFD}".as_bytes());
        let len = match bad {
            [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
            [0xED, 0xA0..=0xBF, ..] => 2,
            _ => error.error_len().unwrap_or(bad.len()),
        };
        rest = &bad[len..];
    }
}

/// Appends a UUID of 16 bytes as text.
pub(super) fn push_uuid(values: &mut Texts, uuid: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    values.put(|out| {
        for (i, byte) in uuid.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                out.push(b'-');
            }
            out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_twos_complement_and_rounded_half_up() {
        for (bytes, from, precision, scale, value) in [
            (&[0x04, 0xD2][..], 2, 10, 2, Ok(Some(1234))),
            (&[0xFB, 0x2E], 2, 10, 2, Ok(Some(-1234))),
            (&[0x00], 2, 10, 2, Ok(Some(0))),
            (&[0xFF; 20], 0, 10, 0, Ok(Some(-1))),
            (&[0x01, 0xE2, 0x40], 2, 4, 2, Ok(None)),
            (&[0x27, 0x10], 0, 4, 0, Ok(None)),
            (&[0x27, 0x0F], 0, 4, 0, Ok(Some(9999))),
            (&[0x00, 0x04, 0xD2], 2, 10, 0, Ok(Some(12))),
            (&[0x04, 0xE2], 2, 10, 1, Ok(Some(125))),
            (&[0x04, 0xE1], 2, 10, 1, Ok(Some(125))),
            (&[0xFB, 0x1F], 2, 10, 1, Ok(Some(-125))),
            (&[0x05], 1, 10, 0, Ok(Some(1))),
            (&[0xFB], 1, 10, 0, Ok(Some(-1))),
            (&[0x04], 1, 10, 0, Ok(Some(0))),
            (&[0x04, 0xD2], 2, 38, 30, Ok(Some(1234 * 10i128.pow(28)))),
            (&[0x01], 0, 38, 38, Ok(None)),
            (&[0x00], 0, 38, 38, Ok(Some(0))),
            (&[0x7F; 16], 60, 38, 2, Ok(Some(0))),
            (&[0x7F; 17], 0, 38, 0, Ok(None)),
            (&[0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, 38, 0, Ok(None)),
            (&[], 0, 10, 0, Err(NO_BYTES)),
        ] {
            assert_eq!(decimal(bytes, from, precision, scale), value, "{bytes:x?} {from} to ({precision}, {scale})");
        }
    }

    #[test]
    fn moments_are_cut_toward_the_past_and_never_wrap() {
        assert_eq!(moment(i64::MIN, Unit::Millis, 0), Ok(i64::MIN));
        assert_eq!(moment(-1, Unit::Micros, 3), Ok(-1));
        assert_eq!(moment(1_999, Unit::Micros, 3), Ok(1));
        assert_eq!(moment(-1, Unit::Micros, 6), Ok(-1_000));
        assert_eq!(moment(-1, Unit::Nanos, 9), Ok(-1));
        assert_eq!(moment(i64::MIN, Unit::Nanos, 9), Ok(i64::MIN));
        assert_eq!(moment(1_999_999, Unit::Nanos, 3), Ok(1));
        assert!(moment(i64::MAX / 1_000 + 1, Unit::Micros, 6).is_err());
        assert_eq!(moment(1_710_074_096_789, Unit::Millis, 6), Ok(1_710_074_096_789_000_000));
    }

    #[test]
    fn bad_text_is_replaced_as_java_does() {
        for (bytes, text) in [
            (&b"a\xffb"[..], "a\u{FFFD}b"),
            (b"\xe4\xb8", "\u{FFFD}"),
            (b"\xe4\xb8A", "\u{FFFD}A"),
            (b"\xf0\x9f\x98", "\u{FFFD}"),
            (b"\xc0\xaf", "\u{FFFD}\u{FFFD}"),
            (b"\xed\xa0\x80x", "\u{FFFD}x"),
            (b"\xed\xa0", "\u{FFFD}"),
            (b"\xed\xa0A", "\u{FFFD}A"),
            (b"\xed\xa0\xbd\xed\xb8\x80", "\u{FFFD}\u{FFFD}"),
            (b"\xf4\x90\x80\x80", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
            (b"\x80\x80", "\u{FFFD}\u{FFFD}"),
        ] {
            let mut out = Vec::new();
            replace_bad(bytes, &mut out);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(text), "{}", bytes.escape_ascii());
        }
    }
}
