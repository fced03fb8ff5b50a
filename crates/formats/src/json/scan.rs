//! A pull parser for JSON, as liberal and as strict as the one in Flink.
//!
//! Strict: RFC 8259's grammar of values and numbers, no comments, no single quotes, no trailing commas. Liberal: raw
//! control characters in strings are fine, and nobody looks beyond the end of the first value. It builds nothing:
//! strings and numbers come back as pieces of the text.

use memchr::memchr2;

use super::plain::plain_len;
use super::text::{self, TextError};
use crate::Limits;
use crate::column::Texts;

/// The longest key in bytes and the most digits of a number that Flink's JSON library accepts.
const MAX_KEY_BYTES: usize = 50_000;
const MAX_DIGITS: usize = 1_000;

/// Where and why a text is not JSON. The text cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanError {
    /// Bytes from the start of the text.
    pub at: usize,
    /// What was found, or what was expected there.
    pub what: &'static str,
    /// True when the bytes are not UTF-8.
    pub encoding: bool,
}

impl ScanError {
    pub(crate) fn new(at: usize, what: &'static str) -> Self {
        Self { at, what, encoding: false }
    }
}

/// What a value is, as its first character tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// A digit or `-`
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// The inside of a string as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// The bytes between the quotes.
    pub raw: &'a [u8],
    /// True when they are ASCII without escapes, so that they are the value.
    pub plain: bool,
    /// Where they begin.
    pub at: usize,
}

impl Text<'_> {
    /// Appends the text that this stands for, as UTF-8.
    ///
    /// # Errors
    /// Where an escape is none of JSON's, or bytes are not UTF-8.
    pub fn decode(&self, out: &mut Vec<u8>) -> Result<(), ScanError> {
        if self.plain {
            out.extend_from_slice(self.raw);
            return Ok(());
        }
        text::decode(self.raw, out).map_err(|e| Scanner::text_error(*self, e))
    }
}

/// A number as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a> {
    /// All of it, as ASCII.
    pub raw: &'a [u8],
    /// True without fraction and exponent.
    pub integer: bool,
}

/// Reads one JSON text from front to back.
///
/// A container is read by [`enter`](Self::enter), then [`next_key`](Self::next_key) or
/// [`next_item`](Self::next_item) until it answers that there is none, each followed by reading or
/// [skipping](Self::skip) the value. Any error ends the reading.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    max_depth: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of the text, which is UTF-8 (or breaks off with an error where it is not).
    pub fn new(text: &'a [u8], limits: &Limits) -> Self {
        Self { text, at: 0, depth: 0, max_depth: limits.nesting }
    }

    /// The same text again from an offset where a value begins, as deep as this scanner is.
    pub fn again(&self, at: usize) -> Self {
        Self { at, ..self.clone() }
    }

    /// Bytes from the start of the text to what is read next; blanks are passed over first.
    pub fn position(&mut self) -> usize {
        self.skip_blanks();
        self.at
    }

    /// True when only blanks are left.
    pub fn at_end(&mut self) -> bool {
        self.position() == self.text.len()
    }

    /// What kind of value comes next.
    ///
    /// # Errors
    /// When no value begins there.
    pub fn peek(&mut self) -> Result<Kind, ScanError> {
        match self.next_byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => self.fail("no JSON value begins here"),
            None => self.fail("the text ends where a JSON value is expected"),
        }
    }

    /// Steps into the object or array that comes next.
    ///
    /// # Errors
    /// When the text nests deeper than the limit.
    pub fn enter(&mut self) -> Result<(), ScanError> {
        self.depth += 1;
        if self.depth > self.max_depth {
            return self.fail("the JSON text nests deeper than the limit");
        }
        self.at += 1;
        Ok(())
    }

    /// Whether the end of the object entered last is what comes next, without blanks before it; it is passed over then.
    #[inline]
    pub(super) fn closes_object(&mut self) -> bool {
        let closes = self.text.get(self.at) == Some(&b'}');
        if closes {
            self.leave::<()>();
        }
        closes
    }

    /// Appends a plain text of this scanner.
    #[inline]
    pub(super) fn copy(&self, text: Text<'_>, out: &mut Texts) {
        out.push_part(self.text, text.at, text.raw.len());
    }

    /// The next key of the object entered last, or `None` after its end. `first` is true for the first call.
    ///
    /// # Errors
    /// When neither a key nor the end is there.
    #[inline]
    pub fn next_key(&mut self, first: bool) -> Result<Option<Text<'a>>, ScanError> {
        if let Some(key) = self.plain_key(first) {
            return Ok(Some(key));
        }
        self.any_key(first)
    }

    /// A key that is plain and has no blanks around it.
    #[inline]
    fn plain_key(&mut self, first: bool) -> Option<Text<'a>> {
        let comma = if first { 0 } else { usize::from(*self.text.get(self.at)? == b',') };
        let at = self.at + comma + 1;
        if !first && comma == 0 || self.text.get(at - 1) != Some(&b'"') {
            return None;
        }
        let rest = &self.text[at..];
        let len = plain_len(rest).filter(|len| *len <= MAX_KEY_BYTES)?;
        if rest.get(len + 1) != Some(&b':') {
            return None;
        }
        self.at = at + len + 2;
        Some(Text { raw: &rest[..len], plain: true, at })
    }

    fn any_key(&mut self, first: bool) -> Result<Option<Text<'a>>, ScanError> {
        match self.next_byte() {
            Some(b'}') => return Ok(self.leave()),
            Some(b',') if !first => self.at += 1,
            _ if first => {}
            _ => return self.fail("expected `,` or `}`"),
        }
        if self.next_byte() != Some(b'"') {
            return self.fail("expected a key in double quotes");
        }
        let key = self.string()?;
        if key.raw.len() > MAX_KEY_BYTES {
            return Err(ScanError::new(key.at, "a key of more than 50000 bytes"));
        }
        if self.next_byte() != Some(b':') {
            return self.fail("expected `:`");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the array entered last has a next item. `first` is true for the first call.
    ///
    /// # Errors
    /// When neither a comma nor the end is there.
    #[inline]
    pub fn next_item(&mut self, first: bool) -> Result<bool, ScanError> {
        if !first && self.text.get(self.at) == Some(&b',') {
            self.at += 1;
            return Ok(true);
        }
        match self.next_byte() {
            Some(b']') => Ok(self.leave::<()>().is_some()),
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            _ if first => Ok(true),
            _ => self.fail("expected `,` or `]`"),
        }
    }

    /// The text, and where in it what is read next begins.
    #[inline]
    pub(super) fn rest(&self) -> (&'a [u8], usize) {
        (self.text, self.at)
    }

    /// Goes on at an offset that is behind a key or a value.
    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Reads the string that comes next.
    ///
    /// # Errors
    /// When it is not closed.
    pub fn string(&mut self) -> Result<Text<'a>, ScanError> {
        self.skip_blanks();
        let start = self.at + 1;
        let rest = self.text.get(start..).unwrap_or_default();
        if let Some(len) = plain_len(rest) {
            self.at = start + len + 1;
            return Ok(Text { raw: &rest[..len], plain: true, at: start });
        }
        self.other_string(start, rest)
    }

    /// A string with escapes, beyond ASCII, or without an end.
    fn other_string(&mut self, start: usize, rest: &'a [u8]) -> Result<Text<'a>, ScanError> {
        let mut len = 0;
        loop {
            len += memchr2(b'"', b'\\', &rest[len..]).unwrap_or(rest.len() - len);
            match rest.get(len) {
                Some(b'"') => break,
                Some(_) => len = (len + 2).min(rest.len()),
                None => {
                    self.at = self.text.len();
                    return self.fail("the text ends within a string");
                }
            }
        }
        self.at = start + len + 1;
        Ok(Text { raw: &rest[..len], plain: false, at: start })
    }

    /// Reads the number that comes next.
    ///
    /// # Errors
    /// When it is not one by JSON's grammar, or has more than 1000 digits.
    pub fn number(&mut self) -> Result<Number<'a>, ScanError> {
        self.skip_blanks();
        let start = self.at;
        self.at += usize::from(self.text.get(start) == Some(&b'-'));
        let whole = self.digits();
        if whole == 0 {
            return self.fail("expected a digit");
        }
        if whole > 1 && self.text[self.at - whole] == b'0' {
            self.at -= whole;
            return self.fail("a number with a leading zero");
        }
        let (mut integer, mut digits) = (true, whole);
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            digits += self.some_digits()?;
            integer = false;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            digits += self.some_digits()?;
            integer = false;
        }
        if digits > MAX_DIGITS {
            return Err(ScanError::new(start, "a number of more than 1000 digits"));
        }
        Ok(Number { raw: &self.text[start..self.at], integer })
    }

    /// Reads the word that comes next, which begins as `true`, `false` or `null` does.
    ///
    /// # Errors
    /// When it is another word.
    pub fn word(&mut self, kind: Kind) -> Result<(), ScanError> {
        let word: &[u8] = match kind {
            Kind::True => b"true",
            Kind::False => b"false",
            _ => b"null",
        };
        let rest = &self.text[self.position()..];
        let ends = !rest.get(word.len()).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'$');
        if !rest.starts_with(word) || !ends {
            return self.fail("a word that is not true, false or null");
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes over the value that comes next, checking it as strictly as if it were read.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn skip(&mut self) -> Result<(), ScanError> {
        match self.peek()? {
            Kind::String => {
                let text = self.string()?;
                self.check(text)
            }
            Kind::Number => self.number().map(|_| ()),
            Kind::Object | Kind::Array => self.skip_container(),
            word => self.word(word),
        }
    }

    /// Fails where the string is not good text.
    pub(crate) fn check(&self, text: Text<'_>) -> Result<(), ScanError> {
        if text.plain { Ok(()) } else { text::check(text.raw).map_err(|e| Self::text_error(text, e)) }
    }

    pub(crate) fn text_error(text: Text<'_>, error: TextError) -> ScanError {
        ScanError { at: text.at + error.at, what: error.what, encoding: error.encoding }
    }

    /// Without recursion: which containers are open is a bit each, at most as many as the nesting limit.
    fn skip_container(&mut self) -> Result<(), ScanError> {
        let outside = self.depth;
        let mut objects: Vec<bool> = Vec::new();
        loop {
            let mut first;
            // Before a value: a container that opens is gone into, everything else is passed over.
            match self.peek()? {
                kind @ (Kind::Object | Kind::Array) => {
                    self.enter()?;
                    objects.push(kind == Kind::Object);
                    first = true;
                }
                _ => {
                    self.skip()?;
                    first = false;
                }
            }
            // After it: on to the next value of the innermost container that has one.
            loop {
                let more = match objects.last() {
                    Some(true) => self.next_key(first)?.map(|key| self.check(key)).transpose()?.is_some(),
                    Some(false) => self.next_item(first)?,
                    None => return Ok(()),
                };
                if more {
                    break;
                }
                objects.pop();
                first = false;
            }
            debug_assert!(self.depth > outside, "within the container until it returns");
        }
    }

    fn leave<T>(&mut self) -> Option<T> {
        self.at += 1;
        self.depth -= 1;
        None
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, ScanError> {
        Err(ScanError::new(self.at, what))
    }

    /// What comes next behind blanks.
    #[inline]
    pub(super) fn next_byte(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    fn some_digits(&mut self) -> Result<usize, ScanError> {
        match self.digits() {
            0 => self.fail("expected a digit"),
            n => Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skip(text: &[u8]) -> Result<usize, ScanError> {
        let mut scanner = Scanner::new(text, &Limits::default());
        scanner.skip()?;
        assert_eq!(scanner.depth, 0, "{}", text.escape_ascii());
        Ok(scanner.at)
    }

    #[test]
    fn values_are_passed_over_up_to_their_end() {
        for (text, end) in [
            ("1", 1),
            (" \t\r\n-0.5e+3 ", 11),
            ("[]x", 2),
            ("{}}", 2),
            (r#"{"a":[1,{"b":"]}"},[[]]],"c":null} {"#, 34),
            ("\"a\u{1}\n\"", 5),
            (r#""\"\\\/\b\f\n\r\t\u00e9\ud83c\udf89""#, 36),
            ("true,", 4),
            ("[true,false,null]", 17),
        ] {
            assert_eq!(skip(text.as_bytes()), Ok(end), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_stops_to_be() {
        for (text, at, what) in [
            ("", 0, "the text ends where a JSON value is expected"),
            ("01", 0, "a number with a leading zero"),
            ("-", 1, "expected a digit"),
            ("1.", 2, "expected a digit"),
            ("1e", 2, "expected a digit"),
            (".5", 0, "no JSON value begins here"),
            ("+5", 0, "no JSON value begins here"),
            ("NaN", 0, "no JSON value begins here"),
            ("nul", 0, "a word that is not true, false or null"),
            ("True", 0, "no JSON value begins here"),
            ("truex", 0, "a word that is not true, false or null"),
            ("[1L]", 2, "expected `,` or `]`"),
            ("[1,]", 3, "no JSON value begins here"),
            ("[1 2]", 3, "expected `,` or `]`"),
            ("[1", 2, "expected `,` or `]`"),
            (r#"{"a":1,}"#, 7, "expected a key in double quotes"),
            (r#"{"a":1,,"b":2}"#, 7, "expected a key in double quotes"),
            (r#"{,"b":2}"#, 1, "expected a key in double quotes"),
            (r#"{"a" 1}"#, 5, "expected `:`"),
            ("{a:1}", 1, "expected a key in double quotes"),
            ("{'a':1}", 1, "expected a key in double quotes"),
            ("{/* */}", 1, "expected a key in double quotes"),
            ("\"abc", 4, "the text ends within a string"),
            ("\"abc\\\"", 6, "the text ends within a string"),
            ("\"abc\\", 5, "the text ends within a string"),
            (r#""\x41""#, 1, "an escape that JSON does not have"),
            (r#""\u00g1""#, 1, "an escape that JSON does not have"),
        ] {
            assert_eq!(skip(text.as_bytes()), Err(ScanError::new(at, what)), "{text}");
        }
        assert_eq!(skip(b"\"\xff\"").map_err(|e| (e.at, e.encoding)), Err((1, true)));
        assert_eq!(skip(b"{\"\xff\":1}").map_err(|e| (e.at, e.encoding)), Err((2, true)));
    }

    #[test]
    fn limits_hold() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert_eq!(skip(&nested(1_000)), Ok(2_000));
        assert!(skip(&nested(1_001)).is_err());
        assert!(skip(&[b'['; 1_000_000]).is_err());
        assert_eq!(skip(&[b'1'; 1_000]), Ok(1_000));
        assert!(skip(&[b'1'; 1_001]).is_err());
        let key = |n: usize| format!("{{\"{}\":1}}", "k".repeat(n)).into_bytes();
        assert!(skip(&key(50_000)).is_ok());
        assert!(skip(&key(50_001)).is_err());
    }

    proptest! {
        #[test]
        fn what_serde_reads_is_passed_over_whole(text in any_json()) {
            prop_assert_eq!(skip(text.as_bytes()), Ok(text.len()));
        }

        #[test]
        fn any_bytes_are_passed_over_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = skip(&bytes);
        }

        #[test]
        fn nearly_json_is_refused_exactly_when_serde_refuses_it(text in "[\\[\\]{}\",:0-9a-c\\\\tue.-]{0,24}") {
            // One value and nothing behind it, so that both read the same.
            let ours = skip(text.as_bytes()).is_ok_and(|end| end == text.len());
            prop_assert_eq!(ours, serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn short_strings_end_where_long_ones_do(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut text = vec![b'"'];
            text.extend(bytes.iter().filter(|b| !matches!(b, b'"' | b'\\')));
            let len = text.len() - 1;
            text.extend_from_slice(b"\"        ");
            let read = Scanner::new(&text, &Limits::default()).string();
            let long = Scanner::new(&text, &Limits::default()).other_string(1, &text[1..]);
            prop_assert_eq!(read.map(|t| (t.raw, t.at)), long.map(|t| (t.raw, t.at)));
            prop_assert_eq!(read.map(|t| (t.raw.len(), t.plain)), Ok((len, text[1..=len].is_ascii())));
        }
    }

    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 64, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((".{0,5}", inner), 0..5)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
        .prop_map(|value| value.to_string())
    }
}
