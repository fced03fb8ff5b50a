//! The inside of JSON strings: escapes, and UTF-8 as Jackson reads it.
//!
//! Jackson decodes UTF-8 by hand, into Java's UTF-16, and so accepts four things that Rust does not: overlong forms
//! (`C0 AF` is `/`), surrogates as three bytes each (a pair of them is its character), a lone surrogate, which becomes
//! `?` when Flink makes bytes of the string, and four bytes that stand for no character, which it takes for two units
//! all the same (`F4 90 80 80` is `??`). Everything else that is no UTF-8 is an error.

use memchr::memchr;
use simdutf8::basic::from_utf8;

/// What is wrong with the inside of a string, and how many bytes into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextError {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
    /// True for bytes that are not UTF-8, false for a bad escape.
    pub(crate) encoding: bool,
    /// True when a character is cut off by the closing quote.
    pub(crate) cut: bool,
}

/// Appends the text that `raw` stands for. After an error `out` holds the part before it.
pub(crate) fn decode(raw: &[u8], out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut units = Units { out, high: None };
    let mut at = 0;
    while at < raw.len() {
        let run = memchr(b'\\', &raw[at..]).unwrap_or(raw.len() - at);
        units.bytes(&raw[at..at + run]).map_err(|e| TextError { at: at + e.at, ..e })?;
        at += run;
        if at < raw.len() {
            let bad = TextError { at, what: "an escape that JSON does not have", encoding: false, cut: false };
            at += units.escape(&raw[at + 1..]).ok_or(bad)? + 1;
        }
    }
    units.flush();
    Ok(())
}

/// Fails where [`decode`] would.
pub(crate) fn check(raw: &[u8]) -> Result<(), TextError> {
    if memchr(b'\\', raw).is_none() && from_utf8(raw).is_ok() {
        return Ok(());
    }
    decode(raw, &mut Vec::with_capacity(raw.len()))
}

/// UTF-16 code units on their way to UTF-8.
struct Units<'o> {
    out: &'o mut Vec<u8>,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

impl Units<'_> {
    /// Bytes without escapes.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), TextError> {
        if self.high.is_none() && from_utf8(bytes).is_ok() {
            self.out.extend_from_slice(bytes);
            return Ok(());
        }
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let at = bytes.len() - rest.len();
            let bad = |cut| TextError { at, what: "bytes that are not UTF-8", encoding: true, cut };
            let (len, lead) = match first {
                0x00..0x80 => (1, u32::from(*first)),
                0xC0..0xE0 => (2, u32::from(first & 0x1F)),
                0xE0..0xF0 => (3, u32::from(first & 0x0F)),
                0xF0..0xF8 => (4, u32::from(first & 0x07)),
                _ => return Err(bad(false)),
            };
            let mut code = lead;
            for i in 1..len {
                match rest.get(i) {
                    Some(byte) if byte & 0xC0 == 0x80 => code = code << 6 | u32::from(byte & 0x3F),
                    Some(_) => return Err(bad(false)),
                    None => return Err(bad(true)),
                }
            }
            if len == 4 {
                // A pair of surrogates, whatever the four bytes say: Jackson does not look whether they are a character.
                let code = code.wrapping_sub(0x1_0000) as i32;
                self.code((0xD800 | code >> 10) as u32 & 0xFFFF);
                self.code((0xDC00 | code & 0x3FF) as u32);
            } else {
                self.code(code);
            }
            rest = &rest[len..];
        }
        Ok(())
    }

    /// What comes after a backslash; the number of bytes it takes.
    fn escape(&mut self, rest: &[u8]) -> Option<usize> {
        let code = match rest.first()? {
            b'"' => b'"',
            b'\\' => b'\\',
            b'/' => b'/',
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let digits = rest.get(1..5)?;
                let digit = |code: u32, b: &u8| Some(code << 4 | char::from(*b).to_digit(16)?);
                self.code(digits.iter().try_fold(0, digit)?);
                return Some(5);
            }
            _ => return None,
        };
        self.code(u32::from(code));
        Some(1)
    }

    /// A code point, or half of one.
    fn code(&mut self, code: u32) {
        match (self.high.take(), code) {
            (Some(high), 0xDC00..0xE000) => self.push(0x1_0000 + ((high - 0xD800) << 10) + (code - 0xDC00)),
            (lone, _) => {
                if lone.is_some() {
                    self.out.push(b'?');
                }
                match code {
                    0xD800..0xDC00 => self.high = Some(code),
                    0xDC00..0xE000 => self.out.push(b'?'),
                    _ => self.push(code),
                }
            }
        }
    }

    fn push(&mut self, code: u32) {
        let c = char::from_u32(code).expect("surrogates and codes beyond U+10FFFF do not come here");
        self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn flush(&mut self) {
        if self.high.take().is_some() {
            self.out.push(b'?');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(raw: &[u8]) -> Result<String, (usize, bool)> {
        let mut out = Vec::new();
        decode(raw, &mut out).map_err(|e| (e.at, e.cut))?;
        assert!(check(raw).is_ok());
        Ok(String::from_utf8(out).expect("what comes out is UTF-8"))
    }

    #[test]
    fn what_jackson_reads() {
        for (raw, text) in [
            (&b"abc"[..], "abc"),
            ("é日🎉".as_bytes(), "é日🎉"),
            (br#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (br"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
            (br"\u0061\u00E9\u65e5", "aé日"),
            (br"\ud83c\udf89", "🎉"),
            (br"\ud83cx", "?x"),
            (br"\ud83c\ud83c\udf89", "?🎉"),
            (br"\udf89\ud83c", "??"),
            (br"\u0000", "\0"),
            (b"\xc0\xaf", "/"),
            (b"\xe0\x80\xaf", "/"),
            (b"\xed\xa0\xbc", "?"),
            (b"\xed\xa0\xbc\xed\xbe\x89", "🎉"),
            (b"\\ud83c\xed\xbe\x89", "🎉"),
            (b"\xf4\x90\x80\x80", "??"),
            (b"x\xf7\xbf\xbf\xbfy", "x??y"),
            (b"\xf0\x80\x80\x80", "\u{ffc0}?"),
        ] {
            assert_eq!(decoded(raw).as_deref(), Ok(text), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn what_it_refuses() {
        for (raw, at, cut) in [
            (&b"a\xff"[..], 1, false),
            (b"ab\x80", 2, false),
            (b"\xe4\xb8", 0, true),
            (b"\xe4\xb8x", 0, false),
            (b"\xf0\x80\x80A", 0, false),
            (b"\xf4\x90\x80", 0, true),
            (b"\xf8\x80\x80\x80\x80", 0, false),
            (br"ab\x41", 2, false),
            (br"\'", 0, false),
            (br"\u12", 0, false),
            (br"\u12g4", 0, false),
            (br"\", 0, false),
        ] {
            assert_eq!(decoded(raw), Err((at, cut)), "{}", raw.escape_ascii());
            assert!(check(raw).is_err());
        }
    }

    proptest! {
        #[test]
        fn good_utf8_is_taken_over(text in "[^\\\\]*") {
            prop_assert_eq!(decoded(text.as_bytes()), Ok(text));
        }

        #[test]
        fn any_bytes_make_utf8_or_an_error(raw in prop::collection::vec(any::<u8>(), 0..32)) {
            let _ = decoded(&raw);
        }
    }
}
