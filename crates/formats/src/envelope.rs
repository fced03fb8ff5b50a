//! Envelopes: what a service or an event broker puts around a message on its way into a queue.

use std::borrow::Cow;
use std::fmt::Debug;

use crate::DecodeError;

/// Takes messages out of their envelopes. Which envelopes there are, and whether a body without one is an error, is
/// the implementation's business; [`CloudEvents`](crate::CloudEvents) is one.
///
/// # Obligations
/// - Bodies are independent of each other.
/// - No body makes it panic or take time out of proportion to its length: it is asked for every message.
/// - An envelope that is broken is an error, never a message.
pub trait Envelope: Send + Sync + Debug {
    /// The message in the envelope; `None` if the body is no envelope of a kind that this looks for.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Envelope`](crate::DecodeErrorKind::Envelope) and others, for an envelope that is broken.
    fn open<'a>(&self, body: &'a [u8]) -> Result<Option<Unwrapped<'a>>, DecodeError>;

    /// The error for a body for which [`open`](Self::open) has found no envelope; `None` if such a body is a message
    /// like others.
    fn missing(&self) -> Option<DecodeError>;

    /// Looks at a message before anything is undone: the queue's body, and the text in an envelope.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Pointer`](crate::DecodeErrorKind::Pointer), if it is none but says where one lies.
    fn check(&self, message: &[u8]) -> Result<(), DecodeError> {
        let _ = message;
        Ok(())
    }
}

/// What came out of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unwrapped<'a> {
    /// The message; `None` if the envelope holds none, which is not the same as an empty one.
    pub message: Option<Cow<'a, [u8]>>,
    /// Whether [`MessageEncoding`](crate::MessageEncoding) is about this message. False where the envelope itself says how
    /// its message is encoded.
    pub as_sent: bool,
    /// What the envelope says of the message. In a box: nearly every message has none, and to be asked should cost it little.
    pub fields: Box<EnvelopeFields>,
}

impl<'a> Unwrapped<'a> {
    /// A message and what its envelope says of it.
    pub fn new(message: Option<Cow<'a, [u8]>>, as_sent: bool, fields: EnvelopeFields) -> Self {
        Self { message, as_sent, fields: Box::new(fields) }
    }
}

/// The kinds of envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EnvelopeKind {
    /// What a topic puts around a message that it passes on to a queue, as XML.
    TopicXml,
    /// The same as JSON.
    TopicJson,
    /// A CloudEvent in the structured JSON form.
    CloudEvents,
}

impl EnvelopeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::TopicXml, Self::TopicJson, Self::CloudEvents];

    /// Its name in options and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TopicXml => "topic-xml",
            Self::TopicJson => "topic-json",
            Self::CloudEvents => "cloudevents",
        }
    }
}

/// What an envelope says of its message, as far as it is of use in metadata columns; `None` where it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvelopeFields {
    /// Which kind of envelope it was.
    pub kind: EnvelopeKind,
    /// The topic that the message was published to.
    pub topic: Option<String>,
    /// The id that the topic gave it; the message in the queue has another.
    pub topic_message_id: Option<String>,
    /// The tag that it was published with.
    pub tag: Option<String>,
    /// When it was published, in milliseconds since 1970.
    pub publish_time: Option<i64>,
    /// A CloudEvent's `id`.
    pub event_id: Option<String>,
    /// A CloudEvent's `type`.
    pub event_type: Option<String>,
    /// A CloudEvent's `source`.
    pub event_source: Option<String>,
    /// A CloudEvent's `subject`.
    pub event_subject: Option<String>,
    /// A CloudEvent's `time`, as it is written: EventBridge is known to write times that are no RFC 3339.
    pub event_time: Option<String>,
}

impl EnvelopeFields {
    /// An envelope that says nothing.
    pub const fn new(kind: EnvelopeKind) -> Self {
        Self {
            kind,
            topic: None,
            topic_message_id: None,
            tag: None,
            publish_time: None,
            event_id: None,
            event_type: None,
            event_source: None,
            event_subject: None,
            event_time: None,
        }
    }
}
