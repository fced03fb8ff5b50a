//! Decimals, as `new BigDecimal(text)` reads them and `DecimalData.fromBigDecimal` fits them.

use super::{Reason, ascii_digits};

const NO_DECIMAL: Reason = "a string that is no decimal number";
const EXPONENT: Reason = "a number with an exponent out of range";

/// The powers of ten that a `DECIMAL` can reach.
pub(super) const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The unscaled value of a decimal number, rounded half up (away from zero) to `scale` digits. `None` when it needs
/// more than `precision` digits: Flink makes that NULL without an error.
pub(crate) fn parse(text: &[u8], precision: u8, scale: u8) -> Result<Option<i128>, Reason> {
    if let Some(plain) = ascii_digits(text) {
        return parse_ascii(&plain, precision, scale);
    }
    parse_ascii(text, precision, scale)
}

fn parse_ascii(text: &[u8], precision: u8, scale: u8) -> Result<Option<i128>, Reason> {
    let (negative, body) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (body, exponent) = match body.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(e) => (&body[..e], parse_exponent(&body[e + 1..])?),
        None => (body, 0),
    };
    let point = body.iter().position(|b| *b == b'.');
    let (whole, fraction) = point.map_or((body, &[][..]), |p| (&body[..p], &body[p + 1..]));
    let count = whole.len() + fraction.len();
    if count == 0 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(NO_DECIMAL);
    }
    let fraction_len = i64::try_from(fraction.len()).map_err(|_| NO_DECIMAL)?;
    if i32::try_from(fraction_len - exponent).is_err() {
        return Err(EXPONENT);
    }
    // The value is digits * 10^(exponent - fraction_len); times 10^scale it is the unscaled value.
    let shift = exponent - fraction_len + i64::from(scale);
    let digits = whole.iter().chain(fraction).skip_while(|b| **b == b'0').map(|b| b - b'0');
    Ok(unscaled(digits, shift, precision).map(|value| if negative { -value } else { value }))
}

/// `digits * 10^shift`, rounded half up and below `10^precision`.
fn unscaled(digits: impl Iterator<Item = u8> + Clone, shift: i64, precision: u8) -> Option<i128> {
    let count = i64::try_from(digits.clone().count()).unwrap_or(i64::MAX);
    if count == 0 {
        return Some(0);
    }
    let kept = count.saturating_add(shift);
    if kept > i64::from(precision) {
        return None;
    }
    if kept < 0 {
        return Some(0);
    }
    // At most 38 from here on.
    let mut digits = digits;
    let mut value = 0i128;
    for _ in 0..kept.min(count) {
        value = value * 10 + i128::from(digits.next()?);
    }
    if shift > 0 {
        value *= POWERS[shift as usize];
    } else if digits.next().is_some_and(|first_cut| first_cut >= 5) {
        value += 1;
    }
    (value < POWERS[usize::from(precision)]).then_some(value)
}

/// Java reads at most ten digits after leading zeros, and what they say must fit 32 bits.
fn parse_exponent(text: &[u8]) -> Result<i64, Reason> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NO_DECIMAL);
    }
    let value = super::integer::from_digits(negative, digits).ok_or(EXPONENT)?;
    i32::try_from(value).map(i64::from).map_err(|_| EXPONENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting() {
        for (text, precision, scale, value) in [
            ("12.34", 10, 2, Ok(Some(1234))),
            ("42", 10, 2, Ok(Some(4200))),
            ("-1.5", 10, 2, Ok(Some(-150))),
            ("1.015", 10, 2, Ok(Some(102))),
            ("-1.015", 10, 2, Ok(Some(-102))),
            ("1.014999", 10, 2, Ok(Some(101))),
            ("15e-1", 10, 2, Ok(Some(150))),
            ("1E4", 5, 0, Ok(Some(10_000))),
            ("1e5", 5, 0, Ok(None)),
            (".5", 10, 2, Ok(Some(50))),
            ("5.", 10, 2, Ok(Some(500))),
            ("99999999.99", 10, 2, Ok(Some(9_999_999_999))),
            ("99999999.995", 10, 2, Ok(None)),
            ("100000000", 10, 2, Ok(None)),
            ("4e-19", 38, 18, Ok(Some(0))),
            ("5e-19", 38, 18, Ok(Some(1))),
            ("5e-20", 38, 18, Ok(Some(0))),
            ("0e2147483647", 10, 2, Ok(Some(0))),
            ("1e2147483647", 10, 2, Ok(None)),
            ("1e-2147483647", 10, 2, Ok(Some(0))),
            ("1e2147483648", 10, 2, Err(EXPONENT)),
            ("1.0e-2147483648", 10, 2, Err(EXPONENT)),
            ("٣.٥", 10, 2, Ok(Some(350))),
            ("000000000000000000000000000000000000000000000000001", 10, 2, Ok(Some(100))),
            ("", 10, 2, Err(NO_DECIMAL)),
            (".", 10, 2, Err(NO_DECIMAL)),
            ("-", 10, 2, Err(NO_DECIMAL)),
            (" 1", 10, 2, Err(NO_DECIMAL)),
            ("1e", 10, 2, Err(NO_DECIMAL)),
            ("1.2.3", 10, 2, Err(NO_DECIMAL)),
            ("0x10", 10, 2, Err(NO_DECIMAL)),
            ("NaN", 10, 2, Err(NO_DECIMAL)),
        ] {
            assert_eq!(parse(text.as_bytes(), precision, scale), value, "{text:?}");
        }
        let widest = "99999999999999999999999999999999999999";
        assert_eq!(parse(widest.as_bytes(), 38, 0), Ok(widest.parse().ok()));
        assert_eq!(parse(format!("{widest}.5").as_bytes(), 38, 0), Ok(None));
    }
}
