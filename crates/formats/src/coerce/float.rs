//! Floating point: reading as `Double.parseDouble` does, printing as `Double.toString` does.

use std::io::Write;

use super::{Reason, java_trim};

const NO_NUMBER: Reason = "a string that is no number";

/// A DOUBLE from text, trimmed first.
pub(crate) fn parse_f64(text: &[u8]) -> Result<f64, Reason> {
    let (negative, body) = sign_and_body(text);
    let value = match body {
        b"NaN" => f64::NAN,
        b"Infinity" => f64::INFINITY,
        [b'0', b'x' | b'X', hex @ ..] => hexadecimal(hex, Shape::DOUBLE)?,
        _ => decimal(body)?.parse().map_err(|_| NO_NUMBER)?,
    };
    Ok(if negative { -value } else { value })
}

/// A FLOAT from text, trimmed first; rounded once, not through a double.
pub(crate) fn parse_f32(text: &[u8]) -> Result<f32, Reason> {
    let (negative, body) = sign_and_body(text);
    let value = match body {
        b"NaN" => f32::NAN,
        b"Infinity" => f32::INFINITY,
        // A value that is rounded to 24 bits is exact as a double, so this cast rounds no second time.
        [b'0', b'x' | b'X', hex @ ..] => hexadecimal(hex, Shape::FLOAT)? as f32,
        _ => decimal(body)?.parse().map_err(|_| NO_NUMBER)?,
    };
    Ok(if negative { -value } else { value })
}

fn sign_and_body(text: &[u8]) -> (bool, &[u8]) {
    match java_trim(text) {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// The text of a decimal number that Java and Rust read alike: Java's suffix `f` or `d` is cut off, and what only Rust
/// would read (`inf`, `nan`) is refused.
fn decimal(body: &[u8]) -> Result<&str, Reason> {
    let body = match body {
        [rest @ .., b'f' | b'F' | b'd' | b'D'] => rest,
        _ => body,
    };
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if !body.iter().all(plain) || body.first().is_some_and(|b| matches!(b, b'+' | b'-')) {
        return Err(NO_NUMBER);
    }
    std::str::from_utf8(body).map_err(|_| NO_NUMBER)
}

/// Bits of the significand and the exponent range of a binary format.
struct Shape {
    bits: i32,
    least: i32,
    most: i32,
}

impl Shape {
    const DOUBLE: Self = Self { bits: 53, least: -1074, most: 1023 };
    const FLOAT: Self = Self { bits: 24, least: -149, most: 127 };
}

/// `1.8p1` and its like, without the `0x`: hexadecimal digits with a point somewhere, and a binary exponent that must
/// be there. The result is rounded half to even to the shape.
fn hexadecimal(text: &[u8], shape: Shape) -> Result<f64, Reason> {
    let text = match text {
        [rest @ .., b'f' | b'F' | b'd' | b'D'] if rest.iter().any(|b| matches!(b, b'p' | b'P')) => rest,
        _ => text,
    };
    let p = text.iter().position(|b| matches!(b, b'p' | b'P')).ok_or(NO_NUMBER)?;
    let exponent: i64 = exponent(&text[p + 1..])?;
    // The first 15 significant digits (60 bits), and whether anything but zeros follows.
    let (mut mantissa, mut taken, mut sticky, mut shift) = (0u64, 0, false, 0i64);
    let (mut seen_point, mut any) = (false, false);
    for b in &text[..p] {
        if *b == b'.' && !seen_point {
            seen_point = true;
            continue;
        }
        let digit = u64::from(char::from(*b).to_digit(16).ok_or(NO_NUMBER)?);
        any = true;
        if taken < 15 {
            mantissa = mantissa << 4 | digit;
            taken += i32::from(mantissa != 0);
            shift -= i64::from(seen_point) * 4;
        } else {
            sticky |= digit != 0;
            shift += i64::from(!seen_point) * 4;
        }
    }
    if !any {
        return Err(NO_NUMBER);
    }
    Ok(round(mantissa, sticky, exponent.saturating_add(shift).clamp(-1_000_000, 1_000_000) as i32, shape))
}

fn exponent(text: &[u8]) -> Result<i64, Reason> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NO_NUMBER);
    }
    // Far outside of every format's range already; the sum with the shift must not overflow.
    let value = super::integer::from_digits(false, digits).unwrap_or(i64::MAX).min(1 << 40);
    Ok(if negative { -value } else { value })
}

/// `mantissa * 2^exponent` rounded half to even; `sticky` says that something below the mantissa was cut off.
fn round(mantissa: u64, sticky: bool, exponent: i32, shape: Shape) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let length = 64 - mantissa.leading_zeros() as i32;
    // How many low bits must go: those beyond the significand, and those below the least exponent.
    let drop = (length - shape.bits).max(shape.least - exponent).max(0);
    if drop > 62 {
        return 0.0;
    }
    let (kept, rest) = (mantissa >> drop, mantissa & ((1 << drop) - 1));
    let half = if drop == 0 { 0 } else { 1u64 << (drop - 1) };
    let up = drop > 0 && (rest > half || rest == half && (sticky || kept & 1 == 1));
    let (kept, exponent) = (kept + u64::from(up), exponent + drop);
    if kept != 0 && 63 - kept.leading_zeros() as i32 + exponent > shape.most {
        return f64::INFINITY;
    }
    // At most 54 bits and an exponent in range: both factors and the product are exact. In two steps, since 2^-1074
    // is representable and 2^1023 is, but an exponent between them may need both.
    let half_exponent = exponent / 2;
    kept as f64 * 2f64.powi(half_exponent) * 2f64.powi(exponent - half_exponent)
}

/// Appends a number as `Double.toString` prints it: at least one digit after the point, and from 10^7 on and below
/// 10^-3 with an exponent. The digits are the shortest that read back; Java before 19 prints one more here and there.
pub(crate) fn print_f64(value: f64, out: &mut Vec<u8>) {
    print(
        value.is_nan(),
        value.is_infinite(),
        value.is_sign_negative(),
        value == 0.0,
        &format!("{:e}", value.abs()),
        out,
    );
}

/// As [`print_f64`], for `Float.toString`.
pub(crate) fn print_f32(value: f32, out: &mut Vec<u8>) {
    print(
        value.is_nan(),
        value.is_infinite(),
        value.is_sign_negative(),
        value == 0.0,
        &format!("{:e}", value.abs()),
        out,
    );
}

fn print(nan: bool, infinite: bool, negative: bool, zero: bool, scientific: &str, out: &mut Vec<u8>) {
    if nan {
        return out.extend_from_slice(b"NaN");
    }
    if negative {
        out.push(b'-');
    }
    if infinite {
        return out.extend_from_slice(b"Infinity");
    }
    if zero {
        return out.extend_from_slice(b"0.0");
    }
    // Rust writes d.ddde-n with as many digits as needed.
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let (whole, fraction) = digits.split_at(1);
    match exponent {
        0..=6 => {
            let point = exponent as usize + 1;
            out.extend((0..point).map(|i| digits.get(i).copied().unwrap_or(b'0')));
            out.push(b'.');
            out.extend_from_slice(digits.get(point..).filter(|rest| !rest.is_empty()).unwrap_or(b"0"));
        }
        -3..=-1 => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
            out.extend_from_slice(&digits);
        }
        _ => {
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(if fraction.is_empty() { b"0" } else { fraction });
            // Writing to a Vec cannot fail.
            let _ = write!(out, "E{exponent}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_java_parses() {
        for (text, value) in [
            ("1.5", 1.5),
            (" 7 ", 7.0),
            ("+2.5", 2.5),
            ("1E3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1.5f", 1.5),
            ("1.5D", 1.5),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e400", f64::INFINITY),
            ("0x1p3", 8.0),
            ("0x1.8p1", 3.0),
            ("0X.8P0f", 0.5),
            ("-0x1.fffffffffffff8p1023", f64::NEG_INFINITY),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x0.8p-1074", 0.0),
            ("0x0.8000000000000000000001p-1074", f64::from_bits(1)),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080001p0", 1.0000000000000002),
            ("0x10000000000000000000p-76", 1.0),
            ("0x0p999999999999", 0.0),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Ok(value), "{text}");
        }
        assert!(parse_f64(b"NaN").expect("a number").is_nan());
        assert_eq!(parse_f64(b"-0").expect("a number").to_bits(), (-0.0f64).to_bits());
        for text in
            ["", "abc", "inf", "nan", "infinity", "1_0", "1e", "0x10", "0xp1", "0x1p", "--1", "1 2", "f", ".", "é"]
        {
            assert_eq!(parse_f64(text.as_bytes()), Err(NO_NUMBER), "{text:?}");
            assert_eq!(parse_f32(text.as_bytes()), Err(NO_NUMBER), "{text:?}");
        }
        assert_eq!(parse_f32(b"3.5e38"), Ok(f32::INFINITY));
        assert_eq!(parse_f32(b"1.4e-45"), Ok(f32::from_bits(1)));
        assert_eq!(parse_f32(b"0x1.000001p0"), Ok(1.0));
        assert_eq!(parse_f32(b"0x1.000001000000000000000001p0"), Ok(1.000_000_1));
        assert_eq!(parse_f32(b"0x1p-149"), Ok(f32::from_bits(1)));
        assert_eq!(parse_f32(b"0x1p128"), Ok(f32::INFINITY));
    }

    #[test]
    fn what_java_prints() {
        for (value, text) in [
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1000.0, "1000.0"),
            (12_345_678.9, "1.23456789E7"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (0.0123, "0.0123"),
            (0.000_1, "1.0E-4"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let mut out = Vec::new();
            print_f64(value, &mut out);
            assert_eq!(String::from_utf8(out).expect("ASCII"), text);
        }
        let mut out = Vec::new();
        print_f32(0.1, &mut out);
        assert_eq!(out, b"0.1");
    }

    proptest! {
        #[test]
        fn printed_doubles_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let mut out = Vec::new();
            print_f64(value, &mut out);
            let back = parse_f64(&out).expect("a number");
            prop_assert!(back == value || back.is_nan() && value.is_nan());
        }

        #[test]
        fn hexadecimal_doubles_read_exactly(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i64);
            let sign = if value.is_sign_negative() { "-" } else { "" };
            let lead = i32::from(exponent > 0);
            let text = format!("{sign}0x{lead}.{fraction:013x}p{}", exponent.max(1) - 1023);
            prop_assert_eq!(parse_f64(text.as_bytes()).expect("a number").to_bits(), bits);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9a-fxpeE.NI ]{0,24}") {
            let _ = parse_f64(text.as_bytes());
            let _ = parse_f32(text.as_bytes());
        }
    }
}
