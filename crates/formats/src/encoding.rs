//! The layer before the format: a body as it lies in the queue to the bytes that the format reads.
//!
//! SMQ's clients do not agree on whether a body is base64 (the Java SDK always encodes, the Go SDK never did, events
//! arrive encoded, topics forward what they get), so one queue can hold both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{DecodeError, DecodeErrorKind};

/// How bodies are encoded (`messageEncoding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MessageEncoding {
    /// Told from each body: one that begins with `{`, `[` or `<`, or has only digits, is plain; otherwise, what is strict
    /// base64 of something that can be a body of the format is decoded, and all else is plain. A plain word that happens
    /// to be base64 (`TEST`, `abcd`) is decoded only if the format could read what comes out: for a text format
    /// UTF-8 without control characters, for JSON a text that begins with `{` or `[`. For a binary format anything can:
    /// where that matters, name the encoding.
    #[default]
    Auto,
    /// Every body is base64; another one is a bad record.
    Base64,
    /// Every body is taken as it is.
    Raw,
}

/// What was done to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyForm {
    /// It was taken as it is.
    Plain,
    /// It was decoded from base64.
    Base64,
}

/// The option values of [`MessageEncoding`].
pub const MESSAGE_ENCODINGS: &[&str] = &["auto", "base64", "raw"];

impl MessageEncoding {
    /// The encoding that an option value names, in any letter case; see [`MESSAGE_ENCODINGS`].
    pub fn named(name: &str) -> Option<Self> {
        [Self::Auto, Self::Base64, Self::Raw].into_iter().find(|e| e.name().eq_ignore_ascii_case(name))
    }

    /// The option value that names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Base64 => "base64",
            Self::Raw => "raw",
        }
    }

    /// The bytes for the format: the body itself, or what it decodes to, in `buffer`. `plausible` says whether
    /// decoded bytes can be a body of the format, for [`MessageEncoding::Auto`]: see
    /// [`DecoderFactory::plausible`](crate::DecoderFactory::plausible).
    ///
    /// # Errors
    /// With [`MessageEncoding::Base64`], a body that is not strict, padded base64 of the standard alphabet. Blanks and
    /// line ends around it are fine.
    pub fn decode<'a>(
        self,
        body: &'a [u8],
        plausible: impl FnOnce(&[u8]) -> bool,
        buffer: &'a mut Vec<u8>,
    ) -> Result<(&'a [u8], BodyForm), DecodeError> {
        let trimmed = trimmed(body);
        match self {
            Self::Raw => Ok((body, BodyForm::Plain)),
            Self::Base64 => match strict(trimmed, buffer) {
                Ok(bytes) => Ok((bytes, BodyForm::Base64)),
                Err(at) => Err(not_base64(body.len() - body.trim_ascii_start().len() + at)),
            },
            Self::Auto if is_surely_plain(trimmed) => Ok((body, BodyForm::Plain)),
            Self::Auto => match strict(trimmed, buffer) {
                Ok(bytes) if plausible(bytes) => Ok((bytes, BodyForm::Base64)),
                _ => Ok((body, BodyForm::Plain)),
            },
        }
    }
}

/// A body without the blanks around it, of which nearly none has any.
#[inline]
fn trimmed(body: &[u8]) -> &[u8] {
    match body {
        [b'!'..=0xFF, .., b'!'..=0xFF] => body,
        _ => body.trim_ascii(),
    }
}

/// Whether a body without the blanks around it is no base64, whatever it looks like.
#[inline]
fn is_surely_plain(trimmed: &[u8]) -> bool {
    match trimmed.first() {
        None | Some(b'{' | b'[' | b'<') => true,
        // Base64 of ASCII begins with a letter, so a number is far more likely to be one than to be base64.
        Some(b'0'..=b'9') => trimmed.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

/// The error for a body that should be base64 and is not, from that byte on.
pub(crate) fn not_base64(at: usize) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Encoding("the body is not base64")).at_byte(at).with_hint(BASE64_HINT)
}

/// Whether bytes look like text: UTF-8 without control characters besides tab and line ends.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let control = |b: &u8| *b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r');
    !bytes.iter().any(control) && std::str::from_utf8(bytes).is_ok()
}

/// Whether bytes can be a JSON object or list, by their first character: blanks, a byte order mark and the zeros of
/// UTF-16 and UTF-32 are passed over.
pub fn looks_like_json(bytes: &[u8]) -> bool {
    let passed = |b: &u8| matches!(b, 0 | b' ' | b'\t' | b'\n' | b'\r' | 0xEF | 0xBB | 0xBF | 0xFE | 0xFF);
    matches!(bytes.iter().find(|b| !passed(b)), Some(b'{' | b'['))
}

const BASE64_HINT: &str = "set 'messageEncoding' to auto or raw if bodies are sent as they are";

/// What the text decodes to, in `out`, or where it is not base64. One function, so that the library behind it can be
/// exchanged. `out` only grows: what it gets longer by is filled with zeros, and what is left over in it overwritten.
///
/// `base64_turbo` is ten to twenty times as fast as `base64`. It is a young library: whatever it refuses is asked again of the
/// other, which says where and has the last word, and a test compares the two.
pub(crate) fn strict<'a>(text: &[u8], out: &'a mut Vec<u8>) -> Result<&'a [u8], usize> {
    // Cheap and right for nearly every text that is not base64.
    if !text.len().is_multiple_of(4) {
        return Err(text.len());
    }
    let most = text.len() / 4 * 3;
    if out.len() < most {
        out.resize(most, 0);
    }
    match base64_turbo::STANDARD.decode_slice(text, &mut out[..most]) {
        Ok(len) => Ok(&out[..len]),
        Err(_) => slowly(text, out),
    }
}

#[cold]
fn slowly<'a>(text: &[u8], out: &'a mut Vec<u8>) -> Result<&'a [u8], usize> {
    out.clear();
    let decoded = STANDARD.decode_vec(text, out).map_err(|error| match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len(),
    });
    decoded.map(|()| &**out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: MessageEncoding, body: &[u8], binary: bool) -> Result<(Vec<u8>, BodyForm), String> {
        let mut buffer = b"left over".to_vec();
        encoding
            .decode(body, |b| binary || is_text(b), &mut buffer)
            .map(|(b, f)| (b.to_vec(), f))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn auto_tells_plain_from_base64() {
        use BodyForm::{Base64, Plain};
        for (body, binary, out, form) in [
            (&b"{\"a\":1}"[..], false, &b"{\"a\":1}"[..], Plain),
            (b" \n[1]", false, b" \n[1]", Plain),
            (b"<xml/>", true, b"<xml/>", Plain),
            (b"eyJhIjoxfQ==", false, b"{\"a\":1}", Base64),
            (b" eyJhIjoxfQ==\n", false, b"{\"a\":1}", Base64),
            (b"eyJhIjoxfQ", false, b"eyJhIjoxfQ", Plain),
            (b"eyJh-joxfQ==", false, b"eyJh-joxfQ==", Plain),
            (b"hello world!", false, b"hello world!", Plain),
            // Base64 by accident, of bytes that are not UTF-8.
            (b"TEST", false, b"TEST", Plain),
            (b"TEST", true, b"LD\x93", Base64),
            // By accident UTF-8, of control characters.
            (b"Mike", false, b"Mike", Plain),
            // By accident a Cyrillic letter and a digit.
            (b"0400", false, b"0400", Plain),
            // The rest of the ambiguity: only a named encoding helps.
            (b"04A0", false, b"\xd3\x804", Base64),
            (b"0L/RgNC40LLQtdGC", false, "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}".as_bytes(), Base64),
            (b"", false, b"", Plain),
            (b"  ", false, b"  ", Plain),
            (b"a,b,c", false, b"a,b,c", Plain),
        ] {
            let text = body.escape_ascii();
            assert_eq!(decoded(MessageEncoding::Auto, body, binary), Ok((out.to_vec(), form)), "{text}");
        }
    }

    #[test]
    fn a_named_encoding_is_not_guessed() {
        let raw = decoded(MessageEncoding::Raw, b"eyJhIjoxfQ==", false);
        assert_eq!(raw, Ok((b"eyJhIjoxfQ==".to_vec(), BodyForm::Plain)));
        let base64 = decoded(MessageEncoding::Base64, b" //79\n", false);
        assert_eq!(base64, Ok((b"\xff\xfe\xfd".to_vec(), BodyForm::Base64)));
        assert_eq!(
            decoded(MessageEncoding::Base64, b" {\"a\":12}  ", false),
            Err("byte 1: the body is not base64; set 'messageEncoding' to auto or raw if bodies are sent as they are"
                .to_owned())
        );
        assert!(decoded(MessageEncoding::Base64, b"eyJhIjoxfQ", false).is_err());
        assert!(decoded(MessageEncoding::Base64, b"eyJhIjoxfR==", false).is_err());
        for name in MESSAGE_ENCODINGS {
            assert_eq!(MessageEncoding::named(&name.to_uppercase()).map(MessageEncoding::name), Some(*name));
        }
        assert_eq!(MessageEncoding::named("utf-8"), None);
    }

    /// The verdict, the bytes and the place are those of the library that has the last word.
    fn same_as_slowly(text: &[u8]) -> Result<(), TestCaseError> {
        let (mut out, mut slow) = (b"left over from the body before".to_vec(), Vec::new());
        let expected = if text.len().is_multiple_of(4) { slowly(text, &mut slow) } else { Err(text.len()) };
        prop_assert_eq!(strict(text, &mut out), expected, "{}", text.escape_ascii());
        Ok(())
    }

    #[test]
    fn every_last_group_is_judged_as_before() {
        let symbols: Vec<u8> = (b' '..=b'~').collect();
        // Behind nothing, and behind as much as any vector of the fast library takes at once.
        for before in ["", "AAAA", &"Zm9v".repeat(64)] {
            for &third in &symbols {
                for &last in &symbols {
                    same_as_slowly(&[before.as_bytes(), &[b'Q', b'Q', third, last]].concat()).unwrap();
                    same_as_slowly(&[before.as_bytes(), &[b'Q', third, last, b'=']].concat()).unwrap();
                    same_as_slowly(&[before.as_bytes(), &[third, last, b'=', b'=']].concat()).unwrap();
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_with_some_foreign_bytes_is_judged_as_before(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            foreign in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut text = STANDARD.encode(&bytes).into_bytes();
            for (at, byte) in foreign {
                if !text.is_empty() {
                    let at = at.index(text.len());
                    text[at] = byte;
                }
            }
            same_as_slowly(&text)?;
        }

        #[test]
        fn any_bytes_are_judged_as_before(text in prop::collection::vec(any::<u8>(), 0..80)) {
            same_as_slowly(&text)?;
        }

        #[test]
        fn what_is_encoded_comes_back(bytes in prop::collection::vec(any::<u8>(), 1..64)) {
            let body = STANDARD.encode(&bytes);
            let expected = Ok((bytes, BodyForm::Base64));
            prop_assert_eq!(&decoded(MessageEncoding::Base64, body.as_bytes(), false), &expected);
            prop_assert_eq!(&decoded(MessageEncoding::Auto, body.as_bytes(), true), &expected);
        }
    }
}
