//! The encoding of a CSV body, as Jackson's reader for CSV takes it.
//!
//! That reader decodes UTF-8 by hand and on demand: bytes that are not UTF-8 matter only when the parser comes to them,
//! so what stands behind the row does no harm. It accepts overlong forms and surrogates as three bytes each; a
//! surrogate without its other half becomes `?` when Flink makes bytes of the string.

use simdutf8::basic::from_utf8;

use crate::unicode::{self, BadEncoding, CUT_UTF32, Encoding};

const NOT_UTF8: BadEncoding = "bytes that are not UTF-8";

/// A body, or the rest of one, as text.
#[derive(Debug)]
pub(super) struct Text<'a> {
    /// UTF-8.
    pub(super) text: &'a [u8],
    /// Why the text is shorter than the body.
    pub(super) cut: Option<Cut>,
    /// Bytes of the mark before it.
    pub(super) mark: usize,
}

/// Why the rest of a body is no text, and where it begins if bytes stand for themselves there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) why: BadEncoding,
    pub(super) at: Option<usize>,
}

/// The text of a body: the body itself, or `buffer` filled with it.
pub(super) fn read<'a>(body: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<Text<'a>, BadEncoding> {
    let (encoding, mark) = unicode::detect(body)?;
    let whole = match encoding {
        Encoding::Utf8 => return Ok(Text { mark, ..utf8(&body[mark..], buffer) }),
        Encoding::Utf16 { .. } => body.len(),
        Encoding::Utf32 { .. } => body.len() / 4 * 4,
    };
    let text = unicode::to_utf8(&body[..whole], buffer)?;
    Ok(Text { text, cut: (whole < body.len()).then_some(Cut { why: CUT_UTF32, at: None }), mark: 0 })
}

/// The text of a body in UTF-8 without its mark.
pub(super) fn utf8<'a>(body: &'a [u8], buffer: &'a mut Vec<u8>) -> Text<'a> {
    if body.is_ascii() || from_utf8(body).is_ok() {
        return Text { text: body, cut: None, mark: 0 };
    }
    buffer.clear();
    let read = tolerant(body, buffer);
    let cut = (read < body.len()).then_some(Cut { why: NOT_UTF8, at: Some(read) });
    Text { text: buffer, cut, mark: 0 }
}

/// Appends the text up to the first bytes that Jackson refuses, and returns where they are.
fn tolerant(body: &[u8], out: &mut Vec<u8>) -> usize {
    let mut high = None;
    let mut at = 0;
    while let Some((first, second, len)) = units(&body[at..]) {
        unit(&mut high, first, out);
        if let Some(second) = second {
            unit(&mut high, second, out);
        }
        at += len;
    }
    if high.is_some() {
        out.push(b'?');
    }
    at
}

/// The one or two UTF-16 units of the character that comes next, and its length. The arithmetic is Jackson's, so that
/// four bytes that stand for no character make the same two units.
fn units(rest: &[u8]) -> Option<(u16, Option<u16>, usize)> {
    let first = u32::from(*rest.first()?);
    let (lead, len) = match first {
        0x00..0x80 => return Some((first as u16, None, 1)),
        0xC0..0xE0 => (first & 0x1F, 2),
        0xE0..0xF0 => (first & 0x0F, 3),
        0xF0..0xF8 => (first & 0x0F, 4),
        _ => return None,
    };
    let follow = rest.get(1..len)?;
    let code = follow.iter().try_fold(lead, |code, b| (b & 0xC0 == 0x80).then(|| code << 6 | u32::from(b & 0x3F)))?;
    if len < 4 {
        // At most 16 bits.
        return Some((code as u16, None, len));
    }
    let code = code.wrapping_sub(0x1_0000) as i32;
    Some(((0xD800 + (code >> 10)) as u16, Some((0xDC00 | code & 0x3FF) as u16), len))
}

fn unit(high: &mut Option<u16>, unit: u16, out: &mut Vec<u8>) {
    let mut push = |code: u32| {
        let c = char::from_u32(code).unwrap_or('?');
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    };
    match (high.take(), unit) {
        (Some(first), 0xDC00..0xE000) => {
            push(0x1_0000 + (u32::from(first - 0xD800) << 10) + u32::from(unit - 0xDC00));
        }
        (lone, _) => {
            if lone.is_some() {
                push(u32::from(b'?'));
            }
            match unit {
                0xD800..0xDC00 => *high = Some(unit),
                // The other halves are no characters.
                _ => push(u32::from(unit)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(body: &[u8]) -> (String, Option<usize>) {
        let mut buffer = b"left over".to_vec();
        let text = utf8(body, &mut buffer);
        (String::from_utf8(text.text.to_vec()).expect("UTF-8"), text.cut.and_then(|cut| cut.at))
    }

    #[test]
    fn what_jackson_takes_for_utf8() {
        for (body, text, cut) in [
            ("é日🎉".as_bytes(), "é日🎉", None),
            (b"a\xc0\xafb", "a/b", None),
            (b"\xe0\x80\xaf", "/", None),
            (b"\xed\xa0\xbc", "?", None),
            (b"\xed\xa0\xbcx", "?x", None),
            (b"\xed\xa0\xbc\xed\xbe\x89", "🎉", None),
            (b"\xf0\x80\x80\x80", "\u{d7c0}?", None),
            (b"\xf4\x90\x80\x80", "??", None),
            (b"ab\xffcd", "ab", Some(2)),
            (b"ab\x80", "ab", Some(2)),
            (b"a\xe4\xb8", "a", Some(1)),
            (b"a\xe4\xb8,b", "a", Some(1)),
            (b"\xf8\x80\x80\x80\x80", "", Some(0)),
        ] {
            assert_eq!(decoded(body), (text.to_owned(), cut), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn a_mark_is_no_text() {
        let mut buffer = Vec::new();
        let text = read(b"\xef\xbb\xbf1,x", &mut buffer).expect("UTF-8");
        assert_eq!((text.text, text.mark), (&b"1,x"[..], 3));
        let text = read(b"\xff\xfe1\0,\0", &mut buffer).expect("UTF-16");
        assert_eq!((text.text, text.mark), (&b"1,"[..], 0));
        let text = read(b"1\0\0\0\n\0\0\0x\0", &mut buffer).expect("UTF-32");
        assert_eq!((text.text, text.cut), (&b"1\n"[..], Some(Cut { why: CUT_UTF32, at: None })));
        assert!(read(b"\0\x31\0\0", &mut buffer).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_make_utf8(body in prop::collection::vec(any::<u8>(), 0..32)) {
            let (_, cut) = decoded(&body);
            prop_assert!(cut.is_none_or(|at| at < body.len()));
        }
    }
}
