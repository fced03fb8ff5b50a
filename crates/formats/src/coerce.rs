//! Text to values by Java's rules, as Flink's formats apply them. Shared by every format that reads text.
//!
//! All functions take the text as bytes of UTF-8 and return the reason of a failure as a phrase that says what the
//! text is ("a string that is no integer"), never the text.

pub(crate) mod base64;
pub(crate) mod calendar;
pub(crate) mod decimal;
pub(crate) mod digits;
pub(crate) mod float;
pub(crate) mod integer;
#[cfg(feature = "csv")]
pub(crate) mod sql_date;
pub(crate) mod time;

/// Why a value does not fit its type.
pub(crate) type Reason = &'static str;

/// Java's `String.trim`: everything up to the blank is cut off both ends, U+00A0 and the like are not.
pub(crate) fn java_trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| *b > b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|b| *b > b' ').map_or(start, |i| i + 1);
    &text[start..end]
}

/// The zeros of the digit blocks that Java's `Character.digit` knows in the Basic Multilingual Plane (Unicode 13 to
/// 14, category Nd); each block has ten digits. Others (mathematical digits …) are surrogate pairs to Java: no digits.
const DIGIT_ZEROS: [u32; 36] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

/// The text with digits of other scripts replaced by ASCII ones, or `None` when nothing is to be replaced.
pub(crate) fn ascii_digits(text: &[u8]) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return None;
    }
    let mut plain = Vec::with_capacity(text.len());
    for c in std::str::from_utf8(text).ok()?.chars() {
        let code = u32::from(c);
        match DIGIT_ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)) {
            // Less than ten, see the range above.
            Some(zero) => plain.push(b'0' + (code - zero) as u8),
            None => plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trimming_is_javas() {
        assert_eq!(java_trim(b" \t\n\x007 8\x1f "), b"7 8");
        assert_eq!(java_trim(b"   "), b"");
        assert_eq!(java_trim("\u{a0}7".as_bytes()), "\u{a0}7".as_bytes());
    }

    #[test]
    fn digits_of_other_scripts() {
        assert_eq!(ascii_digits("-٣४９".as_bytes()), Some(b"-349".to_vec()));
        assert_eq!(ascii_digits(b"349"), None);
        assert_eq!(ascii_digits("é".as_bytes()), Some("é".as_bytes().to_vec()));
    }
}
