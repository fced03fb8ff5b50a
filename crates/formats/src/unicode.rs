//! The encoding of a text body: UTF-8 unless its first four bytes say otherwise.

use crate::utf16;

/// Why a body in a wide encoding cannot be read.
pub(crate) type BadEncoding = &'static str;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16 { little: bool },
    Utf32 { little: bool },
}

/// What a body in UTF-32 ends with when its length is no multiple of four.
pub(crate) const CUT_UTF32: BadEncoding = "a UTF-32 body that ends within a character";

/// The body as UTF-8 without its byte order mark: the body itself, or `buffer` filled with the converted text. A body
/// in UTF-8 is not checked here.
///
/// The rule is Jackson's: a byte order mark decides, and without one the places of the zero bytes do, since a
/// text begins with an ASCII character. Fewer than four bytes can only be told apart as UTF-16 by their first two.
#[inline]
pub(crate) fn to_utf8<'a>(body: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<&'a [u8], BadEncoding> {
    if is_plain(body) { Ok(body) } else { converted(body, buffer) }
}

/// Whether a body is UTF-8 without a mark, without further questions, as nearly all are: at least four bytes, no zero among
/// the first four, and the first below those that a mark begins with.
#[inline]
fn is_plain(body: &[u8]) -> bool {
    body.first_chunk::<4>().is_some_and(|head| {
        let word = u32::from_le_bytes(*head);
        let zeros = word.wrapping_sub(0x0101_0101) & !word & 0x8080_8080;
        zeros == 0 && head[0] < 0xEF
    })
}

fn converted<'a>(body: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<&'a [u8], BadEncoding> {
    let (encoding, mark) = detect(body)?;
    let text = &body[mark..];
    buffer.clear();
    match encoding {
        Encoding::Utf8 => return Ok(text),
        Encoding::Utf16 { little } => utf16::decode(text, little, buffer),
        Encoding::Utf32 { little } => utf32(text, little, buffer)?,
    }
    Ok(buffer)
}

/// The encoding and the length of the mark.
pub(crate) fn detect(body: &[u8]) -> Result<(Encoding, usize), BadEncoding> {
    if is_plain(body) {
        return Ok((Encoding::Utf8, 0));
    }
    const ODD: BadEncoding = "a UTF-32 body in a byte order that is neither big- nor little-endian";
    Ok(match body {
        [0x00, 0x00, 0xFE, 0xFF, ..] => (Encoding::Utf32 { little: false }, 4),
        [0xFF, 0xFE, 0x00, 0x00, ..] => (Encoding::Utf32 { little: true }, 4),
        [0x00, 0x00, 0xFF, 0xFE, ..] | [0xFE, 0xFF, 0x00, 0x00, ..] => return Err(ODD),
        [0xFE, 0xFF, _, _, ..] => (Encoding::Utf16 { little: false }, 2),
        [0xFF, 0xFE, _, _, ..] => (Encoding::Utf16 { little: true }, 2),
        [0xEF, 0xBB, 0xBF, _, ..] => (Encoding::Utf8, 3),
        [0x00, 0x00, 0x00, _, ..] => (Encoding::Utf32 { little: false }, 0),
        [_, 0x00, 0x00, 0x00, ..] => (Encoding::Utf32 { little: true }, 0),
        [0x00, _, 0x00, 0x00, ..] | [0x00, 0x00, _, 0x00, ..] => return Err(ODD),
        [0x00, _, ..] => (Encoding::Utf16 { little: false }, 0),
        [_, 0x00, ..] => (Encoding::Utf16 { little: true }, 0),
        _ => (Encoding::Utf8, 0),
    })
}

fn utf32(text: &[u8], little: bool, out: &mut Vec<u8>) -> Result<(), BadEncoding> {
    let (words, rest) = text.as_chunks::<4>();
    for word in words {
        let code = if little { u32::from_le_bytes(*word) } else { u32::from_be_bytes(*word) };
        let c = match code {
            0xD800..0xE000 => '?',
            _ => char::from_u32(code).ok_or("bytes that are not UTF-32")?,
        };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    if rest.is_empty() { Ok(()) } else { Err(CUT_UTF32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"a":"é🎉"}"#;

    fn bytes(units: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
        units.flatten().collect()
    }

    #[test]
    fn every_encoding_with_and_without_a_mark() {
        let utf16be = bytes(TEXT.encode_utf16().map(|u| u.to_be_bytes().to_vec()));
        let utf16le = bytes(TEXT.encode_utf16().map(|u| u.to_le_bytes().to_vec()));
        let utf32be = bytes(TEXT.chars().map(|c| u32::from(c).to_be_bytes().to_vec()));
        let utf32le = bytes(TEXT.chars().map(|c| u32::from(c).to_le_bytes().to_vec()));
        for (mark, body) in [
            (&b"\xef\xbb\xbf"[..], TEXT.as_bytes().to_vec()),
            (b"\xfe\xff", utf16be),
            (b"\xff\xfe", utf16le),
            (b"\0\0\xfe\xff", utf32be),
            (b"\xff\xfe\0\0", utf32le),
        ] {
            for body in [body.clone(), [mark, &body].concat()] {
                let mut buffer = Vec::new();
                assert_eq!(to_utf8(&body, &mut buffer), Ok(TEXT.as_bytes()), "{}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_plain_has_no_zeros_and_no_mark() {
        let bytes = [0, 1, 0x7F, 0x80, 0x81, 0xEE, 0xEF, 0xFF];
        for places in 0..8usize.pow(4) {
            let [a, b, c, d] = [0, 3, 6, 9].map(|shift| bytes[places >> shift & 7]);
            assert_eq!(is_plain(&[a, b, c, d, 7]), a < 0xEF && ![a, b, c, d].contains(&0), "{a} {b} {c} {d}");
        }
        assert!(!is_plain(b"abc"));
    }

    #[test]
    fn short_and_odd_bodies() {
        let read = |body: &[u8]| to_utf8(body, &mut Vec::new()).map(<[u8]>::to_vec);
        assert_eq!(read(b"").as_deref(), Ok(&b""[..]));
        assert_eq!(read(b"1").as_deref(), Ok(&b"1"[..]));
        assert_eq!(read(b"\x001").as_deref(), Ok(&b"1"[..]));
        assert_eq!(read(b"1\0").as_deref(), Ok(&b"1"[..]));
        // Three bytes are too few for Jackson to take them for a mark.
        assert_eq!(read(b"\xef\xbb\xbf").as_deref(), Ok(&b"\xef\xbb\xbf"[..]));
        assert_eq!(read(b"1\x002\x003").as_deref(), Ok("12\u{fffd}".as_bytes()));
        assert!(read(b"\0\x31\0\0").is_err());
        assert!(read(b"\0\0\0\x31\0").is_err());
        assert!(read(b"\0\0\0\x31\xff\xff\xff\xff").is_err());
    }
}
