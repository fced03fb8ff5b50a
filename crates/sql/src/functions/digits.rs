//! Decimal digits: numbers of any size as Java's `BigDecimal` has them, and Java's text of floating point numbers.

use arrow_buffer::i256;

/// A number as digits and exponent: `negative 0.DIGITS × 10^exponent`. No leading or trailing zero digits; zero has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digits {
    negative: bool,
    digits: Vec<u8>,
    /// Where the point stands, counted from before the first digit.
    exponent: i64,
}

/// How digits that do not fit are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Half away from zero.
    HalfUp,
    /// Toward zero.
    Down,
}

impl Digits {
    /// Reads `[+-]digits[.digits][e[+-]digits]` as `BigDecimal` does.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            None => (rest, 0),
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(Self::new(negative, digits, i64::from(exponent) + whole.len() as i64))
    }

    /// The shortest digits that give this number back. `None` for NaN and infinities.
    pub(crate) fn of_f64(value: f64) -> Option<Self> {
        if value.is_finite() { Self::parse(&format!("{value:e}")) } else { None }
    }

    pub(crate) fn of_f32(value: f32) -> Option<Self> {
        if value.is_finite() { Self::parse(&format!("{value:e}")) } else { None }
    }

    fn new(negative: bool, digits: Vec<u8>, mut exponent: i64) -> Self {
        let leading = digits.iter().take_while(|d| **d == b'0').count();
        let mut digits = digits[leading..].to_vec();
        exponent -= leading as i64;
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            exponent = 0;
        }
        Self { negative, digits, exponent }
    }

    /// Rounds to so many places after the point (before it when negative).
    pub(crate) fn round(&self, places: i64, rounding: Rounding) -> Self {
        let kept = self.exponent.saturating_add(places);
        if kept >= self.digits.len() as i64 {
            return self.clone();
        }
        // `kept` is less than the number of digits.
        let up = rounding == Rounding::HalfUp && kept >= 0 && self.digits[kept as usize] >= b'5';
        let mut digits = self.digits[..kept.max(0) as usize].to_vec();
        let mut exponent = self.exponent;
        if up {
            match digits.iter().rposition(|d| *d != b'9') {
                Some(at) => {
                    digits.truncate(at + 1);
                    digits[at] += 1;
                }
                None => {
                    digits = vec![b'1'];
                    exponent += 1;
                }
            }
        }
        Self::new(self.negative, digits, exponent)
    }

    /// The number times 10^scale, rounded half up, if that has at most `precision` digits.
    pub(crate) fn unscaled(&self, precision: u8, scale: u8) -> Option<i128> {
        let rounded = self.round(i64::from(scale), Rounding::HalfUp);
        let length = if rounded.digits.is_empty() { 0 } else { rounded.exponent + i64::from(scale) };
        if length > i64::from(precision) {
            return None;
        }
        let mut value: i128 = 0;
        for i in 0..length.max(0) as usize {
            // At most 38 digits, which fit.
            value = value * 10 + i128::from(rounded.digits.get(i).map_or(0, |d| d - b'0'));
        }
        Some(if rounded.negative { -value } else { value })
    }

    /// The nearest floating point number.
    pub(crate) fn to_f64(&self) -> f64 {
        if self.digits.is_empty() {
            return if self.negative { -0.0 } else { 0.0 };
        }
        let digits = String::from_utf8_lossy(&self.digits);
        let sign = if self.negative { "-" } else { "" };
        // The text is a valid number by construction.
        format!("{sign}0.{digits}e{}", self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// As `Double.toString`: plain from 0.001 to ten million, else with an exponent.
    fn java(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let text = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
        if self.digits.is_empty() {
            return format!("{sign}0.0");
        }
        let point = self.exponent;
        let or_zero = |text: String| if text.is_empty() { "0".to_owned() } else { text };
        if (-2..=7).contains(&point) {
            let split = point.clamp(0, self.digits.len() as i64) as usize;
            let whole = text(&self.digits[..split]) + &"0".repeat((point - split as i64).max(0) as usize);
            let fraction = "0".repeat((-point).max(0) as usize) + &text(&self.digits[split..]);
            return format!("{sign}{}.{}", or_zero(whole), or_zero(fraction));
        }
        format!("{sign}{}.{}E{}", text(&self.digits[..1]), or_zero(text(&self.digits[1..])), point - 1)
    }
}

/// `Double.toString`.
pub(crate) fn java_f64(value: f64) -> String {
    java(Digits::of_f64(value), value.is_nan(), value < 0.0)
}

/// `Float.toString`.
pub(crate) fn java_f32(value: f32) -> String {
    java(Digits::of_f32(value), value.is_nan(), value < 0.0)
}

fn java(digits: Option<Digits>, nan: bool, negative: bool) -> String {
    match digits {
        Some(digits) => digits.java(),
        None if nan => "NaN".to_owned(),
        None if negative => "-Infinity".to_owned(),
        None => "Infinity".to_owned(),
    }
}

/// A decimal as plain text, all digits of its scale shown.
pub(crate) fn plain(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// 10^n. `None` from 10^77 on.
pub(crate) fn pow10(n: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(n)
}

/// Changes the scale of a wide number, and gives it back if it has at most `precision` digits.
pub(crate) fn rescale(value: i256, from: u8, precision: u8, to: u8, rounding: Rounding) -> Option<i128> {
    let value = match to.checked_sub(from) {
        Some(up) => value.checked_mul(pow10(up.into())?)?,
        None => {
            let unit = pow10((from - to).into())?;
            divide(value, unit, rounding)?
        }
    };
    let limit = pow10(precision.into())?;
    if value.checked_abs()? < limit { value.to_i128() } else { None }
}

/// A quotient, rounded.
pub(crate) fn divide(value: i256, by: i256, rounding: Rounding) -> Option<i256> {
    let quotient = value.checked_div(by)?;
    let rest = value.checked_rem(by)?.checked_abs()?;
    if rounding == Rounding::HalfUp && rest >= by.checked_abs()?.checked_sub(rest)? {
        let one = if (value < i256::ZERO) == (by < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
        return quotient.checked_add(one);
    }
    Some(quotient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_in_java() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1234567.0, "1234567.0"),
            (12345678.0, "1.2345678E7"),
            (1e7, "1.0E7"),
            (100.5, "100.5"),
            (1e23, "1.0E23"),
            (-123.456, "-123.456"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_f64(value), expected);
        }
        assert_eq!(java_f32(1.1), "1.1");
        assert_eq!(java_f32(3.276914e12), "3.276914E12");
    }

    #[test]
    fn digits_round_half_away_from_zero() {
        for (text, places, expected) in [
            ("2.5", 0, 3.0),
            ("-2.5", 0, -3.0),
            ("1.005", 2, 1.01),
            ("9.99", 1, 10.0),
            ("0.04", 1, 0.0),
            ("0.05", 1, 0.1),
            ("1234", -2, 1200.0),
            ("5", -1, 10.0),
            ("4", -1, 0.0),
            ("5", -2, 0.0),
            ("1e3", 5, 1000.0),
        ] {
            let digits = Digits::parse(text).expect(text);
            assert_eq!(digits.round(places, Rounding::HalfUp).to_f64(), expected, "{text} to {places}");
        }
        assert_eq!(Digits::parse("42.329").expect("number").round(2, Rounding::Down).to_f64(), 42.32);
    }

    #[test]
    fn decimals_fit_or_do_not() {
        for (text, precision, scale, expected) in [
            ("1.2345", 5, 3, Some(1235)),
            ("99.9995", 5, 3, None),
            ("1e2", 5, 2, Some(10000)),
            ("1e400000", 38, 0, None),
            ("-0.0004", 5, 3, Some(0)),
            ("+12", 2, 0, Some(12)),
            (".5", 2, 1, Some(5)),
            ("5.", 2, 1, Some(50)),
        ] {
            assert_eq!(Digits::parse(text).expect(text).unscaled(precision, scale), expected, "{text}");
        }
        for text in ["", "-", ".", "1e", "1.2.3", "x", "1_0", "٣"] {
            assert_eq!(Digits::parse(text), None, "{text}");
        }
        assert_eq!(plain(-5, 2), "-0.05");
        assert_eq!(plain(1234, 0), "1234");
        assert_eq!(rescale(i256::from_i128(-125), 2, 5, 1, Rounding::HalfUp), Some(-13));
        assert_eq!(rescale(i256::from_i128(1250), 0, 5, 2, Rounding::HalfUp), None);
    }
}
