//! The envelopes that messages in an SMQ queue come in: a topic's, in XML or JSON, and CloudEvents. And the bodies that only
//! point to a message too large for the queue.

use std::borrow::Cow;
use std::sync::Arc;

use headwater_formats::{
    CloudEvents, DecodeError, DecodeErrorKind, Envelope, EnvelopeFields, EnvelopeKind, MessageEncoding, RowType,
    Unwrapped,
};
use headwater_mns_proto::{Notification, NotificationError, OVERSIZED_PREFIX};

/// Which envelopes are opened (`envelope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EnvelopeMode {
    /// A topic's envelope, told from each body; everything else is a message as it stands. CloudEvents stay as they are:
    /// a table may well have their attributes as columns.
    #[default]
    Auto,
    /// None: every body is a message as it stands.
    None,
    /// Every message comes in a topic's envelope in XML; another body is a bad record.
    TopicXml,
    /// The same in JSON.
    TopicJson,
    /// Every message is the data of a CloudEvent in JSON; another body is a bad record.
    CloudEvents,
}

/// The option values of [`EnvelopeMode`].
pub const ENVELOPE_MODES: &[&str] = &["auto", "none", "topic-xml", "topic-json", "cloudevents"];

impl EnvelopeMode {
    /// The mode that an option value names, in any letter case; see [`ENVELOPE_MODES`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Auto, Self::None, Self::TopicXml, Self::TopicJson, Self::CloudEvents];
        ENVELOPE_MODES.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|at| all[at])
    }

    /// What opens the envelopes of a table's messages. `None` if bodies are to be left alone altogether: `none` with an
    /// encoding of `raw`. Otherwise pointers to oversized messages are recognised in every mode.
    #[must_use]
    pub fn opener(self, encoding: MessageEncoding, columns: &RowType) -> Option<Arc<dyn Envelope>> {
        if self == Self::None && encoding == MessageEncoding::Raw {
            return None;
        }
        let mode = if self == Self::Auto && Self::envelope_column(columns).is_some() { Self::None } else { self };
        Some(Arc::new(MnsEnvelope(mode)))
    }

    /// The first column that only a topic's envelope has: such a table reads the envelope itself, so `auto` leaves it.
    #[must_use]
    pub fn envelope_column(columns: &RowType) -> Option<&str> {
        const OWN: [&str; 4] = ["TopicName", "TopicOwner", "SubscriptionName", "MessageMD5"];
        columns.fields().iter().map(|field| &*field.name).find(|name| OWN.contains(name))
    }
}

#[derive(Debug)]
struct MnsEnvelope(EnvelopeMode);

impl Envelope for MnsEnvelope {
    fn open<'a>(&self, body: &'a [u8]) -> Result<Option<Unwrapped<'a>>, DecodeError> {
        match self.0 {
            EnvelopeMode::None => Ok(None),
            EnvelopeMode::CloudEvents => CloudEvents.open(body),
            EnvelopeMode::TopicXml => named_xml(body),
            EnvelopeMode::TopicJson => named_json(body),
            EnvelopeMode::Auto => match first(body) {
                Some(b'<') => told_xml(body),
                Some(b'{') if Notification::resembles_json(body) => told_json(body),
                _ => Ok(None),
            },
        }
    }

    fn missing(&self) -> Option<DecodeError> {
        let what = match self.0 {
            EnvelopeMode::TopicXml => "the body is not a topic's envelope in XML",
            EnvelopeMode::TopicJson => "the body is not a topic's envelope in JSON",
            EnvelopeMode::CloudEvents => return CloudEvents.missing(),
            EnvelopeMode::Auto | EnvelopeMode::None => return None,
        };
        Some(wrong(what).with_hint("set 'envelope' to auto or none if messages come in none, or in another"))
    }

    fn check(&self, message: &[u8]) -> Result<(), DecodeError> {
        if !message.starts_with(OVERSIZED_PREFIX.as_bytes()) {
            return Ok(());
        }
        let error = DecodeError::new(DecodeErrorKind::Pointer(
            "the body is a pointer to an oversized message, which lies in OSS (the body names bucket and key)",
        ));
        Err(error.at_byte(0).with_hint(POINTER_HINT))
    }
}

const POINTER_HINT: &str = "fetching it is not supported; to read pointers as rows set 'format' to raw, \
                            'messageEncoding' to raw and 'envelope' to none";
const BROKEN_HINT: &str = "set 'envelope' to none if it is a message like others";

/// Where topics write XML: what begins with `<` is an envelope, good or bad.
#[inline(never)]
fn named_xml(body: &[u8]) -> Result<Option<Unwrapped<'_>>, DecodeError> {
    if first(body) != Some(b'<') {
        return Ok(None);
    }
    opened(Notification::from_xml(text(body)?), EnvelopeKind::TopicXml).map(Some)
}

#[inline(never)]
fn named_json(body: &[u8]) -> Result<Option<Unwrapped<'_>>, DecodeError> {
    if first(body) != Some(b'{') {
        return Ok(None);
    }
    opened(Notification::from_json(text(body)?), EnvelopeKind::TopicJson).map(Some)
}

/// XML whose root element and fields are a topic's is an envelope, even a broken one.
#[inline(never)]
fn told_xml(body: &[u8]) -> Result<Option<Unwrapped<'_>>, DecodeError> {
    match std::str::from_utf8(body) {
        Ok(text) if Notification::resembles_xml(text) => {
            opened(Notification::from_xml(text), EnvelopeKind::TopicXml).map(Some)
        }
        _ => Ok(None),
    }
}

/// Of what resembles one, an object with every field of a topic's is an envelope. So is what names them all and cannot be
/// read. Out of line as the others: what has no envelope should not pay for their room on the stack.
#[inline(never)]
fn told_json(body: &[u8]) -> Result<Option<Unwrapped<'_>>, DecodeError> {
    let Ok(text) = std::str::from_utf8(body) else { return Ok(None) };
    match Notification::from_json(text) {
        Ok(notification) if notification.is_complete() => opened(Ok(notification), EnvelopeKind::TopicJson).map(Some),
        Err(error @ NotificationError::Json { .. }) if Notification::names_all_fields(body) => Err(broken(&error)),
        _ => Ok(None),
    }
}

fn opened(read: Result<Notification<'_>, NotificationError>, kind: EnvelopeKind) -> Result<Unwrapped<'_>, DecodeError> {
    let notification = read.and_then(|n| n.check_md5().map(|()| n)).map_err(|error| broken(&error))?;
    let mut fields = EnvelopeFields::new(kind);
    fields.topic = notification.topic_name.map(Cow::into_owned);
    fields.topic_message_id = notification.message_id.map(Cow::into_owned);
    fields.tag = notification.message_tag.map(Cow::into_owned);
    fields.publish_time = notification.publish_time;
    let message = match notification.message {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Ok(Unwrapped::new(Some(message), true, fields))
}

fn broken(error: &NotificationError) -> DecodeError {
    let error = match *error {
        NotificationError::Xml { at } => wrong("the topic's envelope is not well-formed XML from here on")
            .at_byte(usize::try_from(at).unwrap_or(usize::MAX)),
        NotificationError::Json { at } => wrong("the topic's envelope is not JSON from here on").at_byte(at),
        NotificationError::Md5 => wrong("the topic's envelope is damaged: its MessageMD5 does not fit its Message"),
        _ => wrong("the body is not a topic's envelope, which has a Message and texts for fields"),
    };
    error.with_hint(BROKEN_HINT)
}

fn wrong(what: &'static str) -> DecodeError {
    DecodeError::new(DecodeErrorKind::Envelope(what))
}

fn text(body: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(body)
        .map_err(|e| wrong("the topic's envelope is not UTF-8 from here on").at_byte(e.valid_up_to()))
}

/// The first byte that says something.
fn first(body: &[u8]) -> Option<u8> {
    // Nearly always the very first: no blank, and not of a byte order mark.
    if let Some(first @ b'!'..=b'~') = body.first() {
        return Some(*first);
    }
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start().first().copied()
}
