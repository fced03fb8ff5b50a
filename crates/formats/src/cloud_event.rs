//! CloudEvents as envelopes: the structured form in JSON (CloudEvents 1.0, JSON event format, section 3).

use std::borrow::Cow;

use crate::encoding::strict;
use crate::json::{Kind, ScanError, Scanner};
use crate::{DecodeError, DecodeErrorKind, Envelope, EnvelopeFields, EnvelopeKind, Limits, Unwrapped};

/// CloudEvents in structured JSON form, one a body. A body that is not one is an error.
///
/// `data` is handed on as it stands: an object or a list as its own JSON text, a string as the text it stands for.
/// `data_base64` is handed on as the bytes it stands for. An event without either, or with `null` for it, has no message.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloudEvents;

impl Envelope for CloudEvents {
    fn open<'a>(&self, body: &'a [u8]) -> Result<Option<Unwrapped<'a>>, DecodeError> {
        let mut scanner = Scanner::new(body, &Limits::default());
        if scanner.peek() != Ok(Kind::Object) {
            return Ok(None);
        }
        let event = Event::read(body, &mut scanner)?;
        event.checked()
    }

    fn missing(&self) -> Option<DecodeError> {
        let error = DecodeError::new(DecodeErrorKind::Envelope("the body is not a CloudEvent in JSON"));
        Some(error.with_hint("set 'envelope' to none if bodies are sent as they are"))
    }
}

struct Event<'a> {
    fields: EnvelopeFields,
    version: bool,
    data: Option<Cow<'a, [u8]>>,
    both: bool,
}

impl<'a> Event<'a> {
    fn read(body: &'a [u8], scanner: &mut Scanner<'a>) -> Result<Self, DecodeError> {
        let fields = EnvelopeFields::new(EnvelopeKind::CloudEvents);
        let mut event = Self { fields, version: false, data: None, both: false };
        let mut first = true;
        scanner.enter().map_err(broken)?;
        while let Some(key) = scanner.next_key(first).map_err(broken)? {
            first = false;
            let fields = &mut event.fields;
            match key.raw {
                b"specversion" => event.version = text(scanner)?.is_some(),
                b"id" => fields.event_id = text(scanner)?,
                b"type" => fields.event_type = text(scanner)?,
                b"source" => fields.event_source = text(scanner)?,
                b"subject" => fields.event_subject = text(scanner)?,
                b"time" => fields.event_time = text(scanner)?,
                b"data" => {
                    let data = data(body, scanner)?;
                    event.hold(data);
                }
                b"data_base64" => {
                    let data = bytes(scanner)?;
                    event.hold(data);
                }
                _ => scanner.skip().map_err(broken)?,
            }
        }
        Ok(event)
    }

    fn hold(&mut self, data: Option<Cow<'a, [u8]>>) {
        self.both |= data.is_some() && self.data.is_some();
        if data.is_some() {
            self.data = data;
        }
    }

    fn checked(self) -> Result<Option<Unwrapped<'a>>, DecodeError> {
        let Self { fields, version, data, both } = self;
        let what = if !version {
            "the body is not a CloudEvent: it has no `specversion`"
        } else if fields.event_id.is_none() || fields.event_type.is_none() || fields.event_source.is_none() {
            "a CloudEvent without `id`, `type` or `source`"
        } else if both {
            "a CloudEvent that holds data twice"
        } else {
            return Ok(Some(Unwrapped::new(data, false, fields)));
        };
        Err(DecodeError::new(DecodeErrorKind::Envelope(what)))
    }
}

/// A text; `None` for a value of another type.
fn text(scanner: &mut Scanner<'_>) -> Result<Option<String>, DecodeError> {
    if scanner.peek().map_err(broken)? != Kind::String {
        scanner.skip().map_err(broken)?;
        return Ok(None);
    }
    let text = scanner.string().map_err(broken)?;
    let mut out = Vec::with_capacity(text.raw.len());
    text.decode(&mut out).map_err(broken)?;
    Ok(Some(String::from_utf8_lossy(&out).into_owned()))
}

fn data<'a>(body: &'a [u8], scanner: &mut Scanner<'a>) -> Result<Option<Cow<'a, [u8]>>, DecodeError> {
    let start = scanner.position();
    match scanner.peek().map_err(broken)? {
        Kind::Null => {
            scanner.skip().map_err(broken)?;
            Ok(None)
        }
        Kind::String => {
            let text = scanner.string().map_err(broken)?;
            if text.plain {
                return Ok(Some(Cow::Borrowed(text.raw)));
            }
            let mut out = Vec::with_capacity(text.raw.len());
            text.decode(&mut out).map_err(broken)?;
            Ok(Some(Cow::Owned(out)))
        }
        _ => {
            scanner.skip().map_err(broken)?;
            Ok(Some(Cow::Borrowed(body[start..scanner.position()].trim_ascii_end())))
        }
    }
}

fn bytes<'a>(scanner: &mut Scanner<'_>) -> Result<Option<Cow<'a, [u8]>>, DecodeError> {
    let at = scanner.position();
    let wrong =
        || DecodeError::new(DecodeErrorKind::Encoding("`data_base64` of a CloudEvent is not base64")).at_byte(at);
    match scanner.peek().map_err(broken)? {
        Kind::Null => {
            scanner.skip().map_err(broken)?;
            Ok(None)
        }
        Kind::String => {
            let text = text(scanner)?.unwrap_or_default();
            let mut out = Vec::new();
            let len = strict(text.as_bytes(), &mut out).map_err(|_| wrong())?.len();
            out.truncate(len);
            Ok(Some(Cow::Owned(out)))
        }
        _ => Err(wrong()),
    }
}

fn broken(error: ScanError) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Envelope("the CloudEvent is not JSON from here on")).at_byte(error.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""specversion": "1.0", "id": "i", "type": "t", "source": "s""#;

    fn event(data: &str) -> String {
        format!("{{{HEAD}{data}}}")
    }

    #[test]
    fn data_is_handed_on_as_it_stands() {
        for (data, expected) in [
            (r#", "data": {"b": 1.0, "a" : [ ]} "#, Some(r#"{"b": 1.0, "a" : [ ]}"#)),
            (r#", "data" : [1,2]"#, Some("[1,2]")),
            (r#", "data": 1e3"#, Some("1e3")),
            (r#", "data": "plain""#, Some("plain")),
            (r#", "data": "a\n\"é\"""#, Some("a\n\"é\"")),
            (r#", "data": """#, Some("")),
            (r#", "data": null"#, None),
            (r#", "data_base64": "aGk=""#, Some("hi")),
            (r#", "data_base64": null, "data": "x", "ext": {"data": 1}"#, Some("x")),
            ("", None),
        ] {
            let body = event(data);
            let unwrapped = CloudEvents.open(body.as_bytes()).unwrap().unwrap();
            assert_eq!(unwrapped.message.as_deref(), expected.map(str::as_bytes), "{body}");
            assert!(!unwrapped.as_sent);
            let fields = &unwrapped.fields;
            let named = [&fields.event_id, &fields.event_type, &fields.event_source].map(Option::as_deref);
            assert_eq!(named, [Some("i"), Some("t"), Some("s")]);
            assert_eq!((&fields.event_subject, &fields.event_time, &fields.topic), (&None, &None, &None));
        }
        let body = event(r#", "subject": "a/b", "time": "2026-11-20T08:00:00.149Asia/Shanghai", "data": {}"#);
        let fields = CloudEvents.open(body.as_bytes()).unwrap().unwrap().fields;
        assert_eq!(fields.event_subject.as_deref(), Some("a/b"));
        assert_eq!(fields.event_time.as_deref(), Some("2026-11-20T08:00:00.149Asia/Shanghai"));
    }

    #[test]
    fn what_is_no_event_is_said() {
        for body in ["", "[]", "hello", "\"x\"", "<xml/>"] {
            assert_eq!(CloudEvents.open(body.as_bytes()), Ok(None), "{body}");
        }
        for (body, says) in [
            ("{}".to_owned(), "the body is not a CloudEvent: it has no `specversion`"),
            (r#"{"specversion": 1}"#.to_owned(), "it has no `specversion`"),
            (r#"{"specversion": "1.0", "id": "1", "type": 7}"#.to_owned(), "without `id`, `type` or `source`"),
            (event(r#", "data": 1, "data_base64": "aGk=""#), "holds data twice"),
            (event(r#", "data_base64": "?""#), "byte 77: `data_base64` of a CloudEvent is not base64"),
            (event(r#", "data_base64": {}"#), "is not base64"),
            (event(r#", "data": {"a":}"#), "byte 75: the CloudEvent is not JSON from here on"),
        ] {
            let error = CloudEvents.open(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{body}: {error}");
        }
        assert!(CloudEvents.missing().is_some());
        let body = event(r#", "data": {"a": ["b", 1]}"#);
        for end in 1..body.len() {
            assert!(CloudEvents.open(&body.as_bytes()[..end]).is_err(), "{}", &body[..end]);
        }
    }
}
