//! The layer before the format: from a body as it lies in the queue to the bytes that the format reads.
//!
//! In order: is it only a pointer, is it an envelope, is it base64, is there an envelope in the base64, is the message in
//! the envelope base64.

use std::borrow::Cow;
use std::sync::Arc;

use crate::encoding::{is_text, not_base64};
use crate::{
    BodyForm, DecodeError, DecoderFactory, Envelope, EnvelopeFields, EnvelopeKind, MessageEncoding, Unwrapped,
};

/// What is undone before the format: encoding and envelope.
///
/// The encoding is that of what a producer wrote: the body itself, or the message in its envelope.
///
/// - [`MessageEncoding::Raw`]: no base64 anywhere.
/// - [`MessageEncoding::Base64`]: exactly one layer of base64, around the body or around the message in its envelope. An
///   envelope that says itself how its message is encoded (a CloudEvent) must be inside the base64.
/// - [`MessageEncoding::Auto`]: at most one layer in each of the two places, told from each body.
///
/// ```
/// use headwater_formats::{BodyBuffers, BodyLayer, CloudEvents, Format, MessageEncoding};
/// use std::sync::Arc;
///
/// let factory = Format::json().factory(&"a INT".parse()?)?;
/// let layer = BodyLayer::new(MessageEncoding::Auto, Some(Arc::new(CloudEvents)));
/// let body = br#"{"specversion": "1.0", "id": "1", "type": "t", "source": "s", "data": {"a": 1}}"#;
/// let mut buffers = BodyBuffers::default();
/// let opened = layer.open(body, &*factory, &mut buffers)?;
/// assert_eq!(opened.body, Some(&br#"{"a": 1}"#[..]));
/// assert_eq!(opened.fields.and_then(|fields| fields.event_type).as_deref(), Some("t"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct BodyLayer {
    encoding: MessageEncoding,
    envelope: Option<Arc<dyn Envelope>>,
}

/// Room for what is undone, to be used again for the next body.
#[derive(Debug, Default)]
pub struct BodyBuffers {
    outer: Vec<u8>,
    message: Vec<u8>,
    inner: Vec<u8>,
}

/// A body for a format, and what was undone to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenedBody<'a> {
    /// What the format reads; `None` if the message has no body, which is not the same as an empty one.
    pub body: Option<&'a [u8]>,
    /// Whether base64 was undone, wherever it was.
    pub form: BodyForm,
    /// What the envelope says, if there was one.
    pub fields: Option<Box<EnvelopeFields>>,
}

impl OpenedBody<'_> {
    /// The kind of envelope that there was.
    pub fn envelope(&self) -> Option<EnvelopeKind> {
        self.fields.as_ref().map(|fields| fields.kind)
    }
}

impl BodyLayer {
    /// A layer for this encoding, and for these envelopes if any.
    pub fn new(encoding: MessageEncoding, envelope: Option<Arc<dyn Envelope>>) -> Self {
        Self { encoding, envelope }
    }

    /// Undoes what is around a body for this format.
    ///
    /// # Errors
    /// A body that is not base64 or in no envelope where it should be, one whose envelope is broken, and one that only
    /// says where the message lies. The place in an error counts in what was to be undone: the body, or the message in
    /// its envelope.
    pub fn open<'a>(
        &self,
        body: &'a [u8],
        format: &dyn DecoderFactory,
        buffers: &'a mut BodyBuffers,
    ) -> Result<OpenedBody<'a>, DecodeError> {
        let BodyBuffers { outer, message, inner } = buffers;
        let Some(envelope) = self.envelope.as_deref() else {
            let (body, form) = self.encoding.decode(body, |bytes| format.plausible(bytes), outer)?;
            return Ok(OpenedBody { body: Some(body), form, fields: None });
        };
        envelope.check(body)?;
        if let Some(unwrapped) = envelope.open(body)? {
            if self.encoding == MessageEncoding::Base64 && !unwrapped.as_sent {
                return Err(not_base64(body.len() - body.trim_ascii_start().len()));
            }
            let inside = Inside { envelope, format, encoding: self.encoding, form: BodyForm::Plain };
            return inside.open(unwrapped, message, inner);
        }
        let plausible = |bytes: &[u8]| format.plausible(bytes) || may_be_envelope(bytes);
        let (bytes, form) = self.encoding.decode(body, plausible, outer)?;
        if form == BodyForm::Base64
            && let Some(unwrapped) = envelope.open(bytes)?
        {
            // The one layer of a fixed `base64` is used up.
            let encoding = if self.encoding == MessageEncoding::Auto { self.encoding } else { MessageEncoding::Raw };
            return Inside { envelope, format, encoding, form }.open(unwrapped, message, inner);
        }
        match envelope.missing() {
            Some(error) => Err(error),
            None => Ok(OpenedBody { body: Some(bytes), form, fields: None }),
        }
    }
}

fn may_be_envelope(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'<')) && is_text(bytes)
}

/// What is known once an envelope is open.
struct Inside<'l> {
    envelope: &'l dyn Envelope,
    format: &'l dyn DecoderFactory,
    encoding: MessageEncoding,
    /// What was undone around the envelope.
    form: BodyForm,
}

impl Inside<'_> {
    fn open<'a>(
        self,
        unwrapped: Unwrapped<'a>,
        room: &'a mut Vec<u8>,
        buffer: &'a mut Vec<u8>,
    ) -> Result<OpenedBody<'a>, DecodeError> {
        let Unwrapped { message, as_sent, fields } = unwrapped;
        let message: Option<&'a [u8]> = match message {
            Some(Cow::Borrowed(message)) => Some(message),
            Some(Cow::Owned(message)) => {
                *room = message;
                Some(room)
            }
            None => None,
        };
        let (body, form) = match message {
            Some(message) if as_sent => {
                self.envelope.check(message)?;
                let (body, form) = self.encoding.decode(message, |bytes| self.format.plausible(bytes), buffer)?;
                (Some(body), if form == BodyForm::Plain { self.form } else { form })
            }
            other => (other, self.form),
        };
        Ok(OpenedBody { body, form, fields: Some(fields) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CloudEvents, DecodeErrorKind, Format};

    /// `<…>` is an envelope, which must be closed; `!` is a pointer.
    #[derive(Debug)]
    struct Angles {
        fixed: bool,
        as_sent: bool,
    }

    impl Envelope for Angles {
        fn open<'a>(&self, body: &'a [u8]) -> Result<Option<Unwrapped<'a>>, DecodeError> {
            let Some(rest) = body.strip_prefix(b"<") else { return Ok(None) };
            let broken = || DecodeError::new(DecodeErrorKind::Envelope("not closed"));
            let message = rest.strip_suffix(b">").ok_or_else(broken)?;
            let message = (!message.is_empty()).then(|| Cow::Owned(message.to_vec()));
            Ok(Some(Unwrapped::new(message, self.as_sent, EnvelopeFields::new(EnvelopeKind::TopicXml))))
        }

        fn missing(&self) -> Option<DecodeError> {
            self.fixed.then(|| DecodeError::new(DecodeErrorKind::Envelope("not in angles")))
        }

        fn check(&self, message: &[u8]) -> Result<(), DecodeError> {
            let pointer = || DecodeError::new(DecodeErrorKind::Pointer("elsewhere"));
            if message.starts_with(b"!") { Err(pointer()) } else { Ok(()) }
        }
    }

    /// What comes out: body, `+64` if base64 was undone, `+env` if an envelope was.
    fn opened(layer: &BodyLayer, format: &str, body: &str) -> String {
        let columns = "a STRING".parse().unwrap();
        let factory = Format::named(format).factory(&columns).unwrap();
        let mut buffers = BodyBuffers::default();
        match layer.open(body.as_bytes(), &*factory, &mut buffers) {
            Ok(opened) => {
                let body = opened.body.map_or("nothing".into(), |body| body.escape_ascii().to_string());
                let form = if opened.form == BodyForm::Base64 { " +64" } else { "" };
                let envelope = if opened.envelope().is_some() { " +env" } else { "" };
                format!("{body}{form}{envelope}")
            }
            Err(error) => format!("error: {}", error.to_string().split("; ").next().unwrap_or_default()),
        }
    }

    fn layer(encoding: MessageEncoding, fixed: bool, as_sent: bool) -> BodyLayer {
        BodyLayer::new(encoding, Some(Arc::new(Angles { fixed, as_sent })))
    }

    #[test]
    fn each_mode_undoes_what_it_says() {
        use MessageEncoding::{Auto, Base64, Raw};
        // aGVsbG8= is hello; PGhlbGxvPg== is <hello>; PGFHVnNiRzg9Pg== is <aGVsbG8=>.
        for (body, auto, base64, raw) in [
            ("hello", "hello", "error: byte 5: the body is not base64", "hello"),
            ("aGVsbG8=", "hello +64", "hello +64", "aGVsbG8="),
            ("<hello>", "hello +env", "error: byte 5: the body is not base64", "hello +env"),
            ("<aGVsbG8=>", "hello +64 +env", "hello +64 +env", "aGVsbG8= +env"),
            ("PGhlbGxvPg==", "hello +64 +env", "hello +64 +env", "PGhlbGxvPg=="),
            ("PGFHVnNiRzg9Pg==", "hello +64 +env", "aGVsbG8= +64 +env", "PGFHVnNiRzg9Pg=="),
            ("<hello", "error: not closed", "error: not closed", "error: not closed"),
            ("<>", "nothing +env", "nothing +env", "nothing +env"),
            ("!there", "error: elsewhere", "error: elsewhere", "error: elsewhere"),
            ("<!there>", "error: elsewhere", "error: elsewhere", "error: elsewhere"),
            ("TEST", "TEST", "LD\\x93 +64", "TEST"),
            ("", "", " +64", ""),
        ] {
            for (encoding, expected) in [(Auto, auto), (Base64, base64), (Raw, raw)] {
                assert_eq!(opened(&layer(encoding, false, true), "raw", body), expected, "{encoding:?} {body}");
            }
        }
    }

    #[test]
    fn a_fixed_envelope_must_be_there() {
        use MessageEncoding::{Auto, Base64, Raw};
        for (encoding, body, expected) in [
            (Auto, "hello", "error: not in angles"),
            (Auto, "aGVsbG8=", "error: not in angles"),
            (Auto, "PGhlbGxvPg==", "hello +64 +env"),
            (Raw, "PGhlbGxvPg==", "error: not in angles"),
            (Base64, "aGVsbG8=", "error: not in angles"),
            (Base64, "hello", "error: byte 5: the body is not base64"),
            (Auto, "<hello>", "hello +env"),
        ] {
            assert_eq!(opened(&layer(encoding, true, true), "raw", body), expected, "{encoding:?} {body}");
        }
    }

    #[test]
    fn an_envelope_that_says_how_its_message_is_encoded_is_believed() {
        use MessageEncoding::{Auto, Base64, Raw};
        for (encoding, body, expected) in [
            (Auto, "<aGVsbG8=>", "aGVsbG8= +env"),
            (Raw, "<aGVsbG8=>", "aGVsbG8= +env"),
            (Base64, "<aGVsbG8=>", "error: byte 0: the body is not base64"),
            (Base64, "PGFHVnNiRzg9Pg==", "aGVsbG8= +64 +env"),
            (Auto, "PGFHVnNiRzg9Pg==", "aGVsbG8= +64 +env"),
        ] {
            assert_eq!(opened(&layer(encoding, true, false), "raw", body), expected, "{encoding:?} {body}");
        }
        let event = r#"{"specversion": "1.0", "id": "1", "type": "t", "source": "s", "data": "aGVsbG8="}"#;
        let events = BodyLayer::new(Auto, Some(Arc::new(CloudEvents)));
        assert_eq!(opened(&events, "raw", event), "aGVsbG8= +env");
    }

    #[test]
    fn base64_is_believed_where_the_format_could_read_it() {
        // hello is text and no JSON; the bytes of //79 are neither.
        for (format, body, expected) in [
            ("raw", "aGVsbG8=", "hello +64"),
            ("json", "aGVsbG8=", "aGVsbG8="),
            ("json", "eyJhIjoxfQ==", r#"{\"a\":1} +64"#),
            ("json", "IFtd", " [] +64"),
            ("raw", "//79", "//79"),
            // Envelopes are believed whatever the format is.
            ("json", "PGhlbGxvPg==", "hello +64 +env"),
        ] {
            assert_eq!(opened(&layer(MessageEncoding::Auto, false, true), format, body), expected, "{format} {body}");
        }
        let plain = BodyLayer::new(MessageEncoding::Auto, None);
        assert_eq!(opened(&plain, "json", "eyJhIjoxfQ=="), r#"{\"a\":1} +64"#);
        assert_eq!(opened(&plain, "raw", "!there"), "!there");
        // UTF-16 with a byte order mark, and without.
        assert_eq!(opened(&plain, "json", "/v8AewB9"), "\\xfe\\xff\\x00{\\x00} +64");
        assert_eq!(opened(&plain, "json", "ewB9AA=="), "{\\x00}\\x00 +64");
    }
}
