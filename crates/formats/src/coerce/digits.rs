//! Decimal digits eight at a time: eight bytes of text as one word, the first in its lowest byte.

/// `byte` in every byte of a word.
pub(crate) const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The word that the text has at an offset, or `None` where fewer than eight bytes are left.
#[inline]
pub(crate) fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// How many digits a word begins with, 0 to 8.
#[inline]
pub(crate) fn leading(word: u64) -> u32 {
    let values = word ^ each(b'0');
    // A byte above 9 has its high bit set in one of the two. A carry can only disturb the bytes behind such a one.
    let others = (values | values.wrapping_add(each(0x7F - 9))) & each(0x80);
    others.trailing_zeros() / 8
}

/// The value of the first `count` bytes of a word, 1 to 8, which are digits.
#[inline]
pub(crate) fn value(word: u64, count: u32) -> u64 {
    // The last digit goes to the highest byte and zeros come before the first; then neighbours are joined, three times.
    let digits = (word ^ each(b'0')) << (64 - 8 * count);
    let pairs = (digits & each(0x0F)).wrapping_mul(0x0A01) >> 8;
    let fours = (pairs & 0x00FF_00FF_00FF_00FF).wrapping_mul(0x0064_0001) >> 16;
    (fours & 0x0000_FFFF_0000_FFFF).wrapping_mul(0x2710_0000_0001) >> 32
}

/// The powers of ten below 2^63.
pub(crate) const POWERS: [u64; 19] = {
    let mut powers = [1; 19];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// A decimal number of up to 18 digits without an exponent, as nearly all are: `mantissa / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) negative: bool,
    pub(crate) mantissa: u64,
    pub(crate) scale: u32,
}

impl Short {
    /// The number that stands at an offset by JSON's grammar, and where it ends; `None` for one that is longer, has an
    /// exponent, or stands within eight bytes of the end of the text.
    #[inline(always)]
    pub(crate) fn read(text: &[u8], at: usize) -> Option<(Self, usize)> {
        let negative = *text.get(at)? == b'-';
        let start = at + usize::from(negative);
        let (mantissa, whole) = run(text, start)?;
        if whole == 0 || whole > 1 && text[start] == b'0' {
            return None;
        }
        let end = start + whole as usize;
        match *text.get(end)? {
            b'.' => {}
            b'e' | b'E' => return None,
            _ => return Some((Self { negative, mantissa, scale: 0 }, end)),
        }
        let (fraction, scale) = run(text, end + 1)?;
        let end = end + 1 + scale as usize;
        if scale == 0 || whole + scale > 18 || matches!(text.get(end), Some(b'e' | b'E')) {
            return None;
        }
        Some((Self { negative, mantissa: mantissa * POWERS[scale as usize] + fraction, scale }, end))
    }

    /// It as an integer, if it is one.
    #[inline]
    pub(crate) fn integer(self) -> Option<i64> {
        // Below 10^18.
        let value = self.mantissa as i64;
        (self.scale == 0).then_some(if self.negative { -value } else { value })
    }

    /// It as a double, if one division gives it exactly rounded: 2^53 and 10^22 are the last that are exact themselves.
    /// A minus before zero is left to others.
    #[inline]
    pub(crate) fn double(self) -> Option<f64> {
        if self.mantissa > 1 << 53 || self.negative && self.mantissa == 0 {
            return None;
        }
        let value = self.mantissa as f64 / *DOUBLES.get(self.scale as usize)?;
        Some(if self.negative { -value } else { value })
    }

    /// [`Self::double`] for a float, where 2^24 and 10^10 are the last.
    #[inline]
    pub(crate) fn float(self) -> Option<f32> {
        if self.mantissa > 1 << 24 || self.scale > 10 || self.negative && self.mantissa == 0 {
            return None;
        }
        // Powers up to 10^10 fit 24 bits of significand.
        let value = self.mantissa as f32 / DOUBLES[self.scale as usize] as f32;
        Some(if self.negative { -value } else { value })
    }

    /// Its unscaled value with so many digits after the point, if that takes no rounding and no more than `precision`
    /// digits.
    #[inline]
    pub(crate) fn decimal(self, precision: u8, scale: u8) -> Option<i128> {
        let more = u32::from(scale).checked_sub(self.scale)?;
        // Below 10^36 in all.
        let value = i128::from(self.mantissa) * i128::from(*POWERS.get(more as usize)?);
        let fits = value < super::decimal::POWERS[usize::from(precision)];
        fits.then_some(if self.negative { -value } else { value })
    }
}

/// The integer of at most seven digits that stands at an offset of a JSON text, and where it ends: without a sign, and with a
/// comma or a closing bracket right behind it. `None` for any other, which [`Short::read`] may read.
#[inline(always)]
pub(crate) fn small_integer(text: &[u8], at: usize) -> Option<(i32, usize)> {
    let word = word(text, at)?;
    let count = leading(word);
    if !(1..8).contains(&count) || count > 1 && word as u8 == b'0' {
        return None;
    }
    if !matches!((word >> (8 * count)) as u8, b',' | b'}' | b']') {
        return None;
    }
    // Below 10^7.
    Some((value(word, count) as i32, at + count as usize))
}

/// Powers of ten that doubles hold exactly, as far as [`Short`] has digits.
const DOUBLES: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// Up to 15 digits at an offset: their value and how many.
#[inline(always)]
fn run(text: &[u8], at: usize) -> Option<(u64, u32)> {
    let first = word(text, at)?;
    let count = leading(first);
    match count {
        0 => Some((0, 0)),
        8 => {
            let second = word(text, at + 8)?;
            match leading(second) {
                0 => Some((value(first, 8), 8)),
                8 => None,
                more => Some((value(first, 8) * POWERS[more as usize] + value(second, more), 8 + more)),
            }
        }
        _ => Some((value(first, count), count)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_counted_and_read() {
        for text in ["", "0", "7/", "12345678", "1234567:", "9a999999", "99999999", "\u{ff}1234"] {
            let bytes: Vec<u8> = text.bytes().chain(*b"/:a\xff\x80\x00AB").take(8).collect();
            let count = text.bytes().take_while(u8::is_ascii_digit).count() as u32;
            let word = word(&bytes, 0).expect("eight bytes");
            assert_eq!(leading(word), count, "{text}");
            if count > 0 {
                assert_eq!(value(word, count), text[..count as usize].parse::<u64>().expect("digits"), "{text}");
            }
        }
        assert_eq!(word(b"1234567", 0), None);
        assert_eq!(word(b"12345678", 9), None);
    }

    #[test]
    fn short_numbers_and_others() {
        for (text, read) in [
            ("7,", Some(("7", 1))),
            ("-0.50}", Some(("-0.50", 5))),
            ("123456789012345,", Some(("123456789012345", 15))),
            ("12345678.87654321]", Some(("12345678.87654321", 17))),
            ("1234567890.12345678]", Some(("1234567890.12345678", 19))),
            ("1234567890.123456789]", None),
            ("1234567890123456,", None),
            ("01,", None),
            ("1.,", None),
            (".5,", None),
            ("-,", None),
            ("1e5,", None),
            ("1.5E5,", None),
            ("+1,", None),
        ] {
            let padded = format!("{text}                ");
            let short = Short::read(padded.as_bytes(), 0);
            let shown = short.map(|(s, end)| {
                let digits = format!("{:0width$}", s.mantissa, width = s.scale as usize + 1);
                let (whole, fraction) = digits.split_at(digits.len() - s.scale as usize);
                let (sign, point) = (if s.negative { "-" } else { "" }, if s.scale > 0 { "." } else { "" });
                (format!("{sign}{whole}{point}{fraction}"), end)
            });
            assert_eq!(shown.as_ref().map(|(s, end)| (s.as_str(), *end)), read, "{text}");
        }
        assert_eq!(Short::read(b"1,", 0), None);
    }

    proptest! {
        #[test]
        fn small_integers_are_read_as_any_other(text in "-?[0-9]{0,9}[,}\\]e. \"][0-9,]{0,9}") {
            let short = Short::read(text.as_bytes(), 0).and_then(|(short, end)| Some((short.integer()?, end)));
            let small = small_integer(text.as_bytes(), 0);
            if let Some((integer, end)) = small {
                prop_assert_eq!(Some((i64::from(integer), end)), short);
            } else if let Some((_, end)) = short {
                let closed = matches!(text.as_bytes()[end], b',' | b'}' | b']');
                prop_assert!(!closed || end > 7 || text.starts_with('-'), "{}", text);
            }
        }

        #[test]
        fn short_numbers_are_exact(whole in 0u64..1_000_000_000_000_000, digits in 0u32..12, fraction: u64, negative: bool) {
            let fraction = match digits {
                0 => String::new(),
                _ => format!(".{:0width$}", fraction % POWERS[digits as usize], width = digits as usize),
            };
            let text = format!("{}{whole}{fraction}", if negative { "-" } else { "" });
            let padded = format!("{text},               ");
            if let Some((short, end)) = Short::read(padded.as_bytes(), 0) {
                prop_assert_eq!(end, text.len());
                if let Some(double) = short.double() {
                    prop_assert_eq!(double.to_bits(), text.parse::<f64>().expect("a number").to_bits());
                }
                if let Some(float) = short.float() {
                    prop_assert_eq!(float.to_bits(), text.parse::<f32>().expect("a number").to_bits());
                }
                if let Some(decimal) = short.decimal(20, 9) {
                    prop_assert_eq!(super::super::decimal::parse(text.as_bytes(), 20, 9), Ok(Some(decimal)));
                }
                if let Some(integer) = short.integer() {
                    prop_assert_eq!(Ok(integer), text.parse::<i64>());
                }
            } else {
                prop_assert!(whole.to_string().len() + digits as usize > 18);
            }
        }
    }
}
