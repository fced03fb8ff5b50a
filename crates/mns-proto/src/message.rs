//! Messages as they travel: put in, leased, looked at.

use std::borrow::Cow;
use std::fmt;

use crate::attributes::number;
use crate::numbers::{
    BATCH, MAX_MESSAGE_GROUP_ID, MAX_MESSAGE_ID, MAX_PROPERTIES_BYTES, MAX_PROPERTIES_READ, MAX_RECEIPT_HANDLE,
};
use crate::xml::read::{Cursor, XmlError};
use crate::xml::write::Document;

/// The type of a property's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PropertyType {
    /// Text.
    String,
    /// A decimal number as text.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Bytes as base64 text.
    Binary,
    /// A type this crate does not know.
    Other(String),
}

impl PropertyType {
    /// Reads a type. Never fails.
    pub fn from_wire(text: &str) -> Self {
        match text {
            "STRING" => Self::String,
            "NUMBER" => Self::Number,
            "BOOLEAN" => Self::Boolean,
            "BINARY" => Self::Binary,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The type as written on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::String => "STRING",
            Self::Number => "NUMBER",
            Self::Boolean => "BOOLEAN",
            Self::Binary => "BINARY",
            Self::Other(text) => text,
        }
    }
}

/// A named value that travels beside a message's body. `Debug` leaves the value out, as that of a message does its body.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Property {
    /// Its name; up to 256 of `[A-Za-z0-9_.-]`, case-sensitive.
    pub name: String,
    /// Its value as text, up to 4,096 characters; base64 for [`PropertyType::Binary`].
    pub value: String,
    /// What the text means.
    pub kind: PropertyType,
}

impl Property {
    /// A property with a text value.
    pub fn string(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), kind: PropertyType::String }
    }
}

/// A message to be sent.
///
/// `Debug` leaves the body out: bodies are the users' data and do not belong in logs.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NewMessage {
    /// The body, as text. The wire has no flag for base64: it is a matter between sender and receiver.
    pub body: String,
    /// Seconds until it becomes visible; the queue's `DelaySeconds` if not given.
    pub delay_seconds: Option<u32>,
    /// 1 (first) to 16; 8 if not given.
    pub priority: Option<u32>,
    /// The group within which a FIFO queue keeps the order; required there.
    pub message_group_id: Option<String>,
    /// The sender's properties, at most 50.
    pub user_properties: Vec<Property>,
    /// Properties with a meaning of their own (`traceparent`, `tracestate`, `baggage`).
    pub system_properties: Vec<Property>,
}

impl NewMessage {
    /// A message with nothing but a body.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }
}

impl fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewMessage")
            .field("body", &Hidden(self.body.as_bytes()))
            .field("delay_seconds", &self.delay_seconds)
            .field("priority", &self.priority)
            .field("message_group_id", &self.message_group_id)
            .finish_non_exhaustive()
    }
}

/// A message as a peek shows it, and the part of a received message that does not change while it is leased.
///
/// The texts are borrowed from the answer where it holds them unescaped. `Debug` leaves the body out.
#[derive(Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// The id: stable over redeliveries.
    pub id: Cow<'a, str>,
    /// Upper-case hexadecimal MD5 of the body as transmitted.
    pub body_md5: Cow<'a, str>,
    /// The body as transmitted, unescaped, blanks kept. It is text, but nobody has looked whether it is UTF-8: most bodies are base64,
    /// and what the others should be is known to who decodes them.
    pub body: Cow<'a, [u8]>,
    /// When it was sent; milliseconds since 1970, the server's clock.
    pub enqueue_time: u64,
    /// When it was first received; milliseconds since 1970, 0 for never.
    pub first_dequeue_time: u64,
    /// How often it was received, this time included.
    pub dequeue_count: u32,
    /// 1 (first) to 16.
    pub priority: u32,
    /// The group of a message in a FIFO queue.
    pub message_group_id: Option<Cow<'a, str>>,
    /// The sender's properties.
    pub user_properties: Vec<Property>,
    /// Properties with a meaning of their own.
    pub system_properties: Vec<Property>,
}

impl Message<'_> {
    /// The same message, owning its texts.
    pub fn into_owned(self) -> Message<'static> {
        Message {
            id: Cow::Owned(self.id.into_owned()),
            body_md5: Cow::Owned(self.body_md5.into_owned()),
            body: Cow::Owned(self.body.into_owned()),
            message_group_id: self.message_group_id.map(|group| Cow::Owned(group.into_owned())),
            ..self
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("body", &Hidden(&self.body))
            .field("enqueue_time", &self.enqueue_time)
            .field("first_dequeue_time", &self.first_dequeue_time)
            .field("dequeue_count", &self.dequeue_count)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

/// A received message: the message and its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<'a> {
    /// Names this delivery. Opaque; dies at the lease's end, at the next receive and at every change of visibility.
    pub receipt_handle: Cow<'a, str>,
    /// When the lease ends; milliseconds since 1970, the server's clock.
    pub next_visible_time: u64,
    /// The message.
    pub message: Message<'a>,
}

impl Received<'_> {
    /// The same message, owning its texts.
    pub fn into_owned(self) -> Received<'static> {
        Received {
            receipt_handle: Cow::Owned(self.receipt_handle.into_owned()),
            next_visible_time: self.next_visible_time,
            message: self.message.into_owned(),
        }
    }
}

/// What the service says of a message it has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// The id it was given.
    pub id: String,
    /// Upper-case hexadecimal MD5 of the body as the service understood it.
    pub body_md5: String,
    /// A handle to delete or change it with before it becomes visible; only if it was delayed.
    pub receipt_handle: Option<String>,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property")
            .field("name", &self.name)
            .field("value", &Hidden(self.value.as_bytes()))
            .field("kind", &self.kind)
            .finish()
    }
}

struct Hidden<'a>(&'a [u8]);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

const PROPERTY_ELEMENT: [(&str, &str); 2] =
    [("UserProperties", "PropertyValue"), ("SystemProperties", "SystemPropertyValue")];

pub(crate) fn write_properties(out: &mut Document, user: &[Property], system: &[Property]) {
    for ((list, item), properties) in PROPERTY_ELEMENT.into_iter().zip([user, system]) {
        if properties.is_empty() {
            continue;
        }
        out.element(list, |out| {
            for property in properties {
                out.element(item, |out| {
                    out.text("Name", &property.name);
                    out.text("Value", &property.value);
                    out.text("Type", property.kind.as_str());
                });
            }
        });
    }
}

/// Reads the children of `<UserProperties>` or `<SystemProperties>`; their own names are not compared, so that both
/// lists are read by one rule.
pub(crate) fn read_properties(cursor: &mut Cursor<'_>) -> Result<Vec<Property>, XmlError> {
    let mut properties = Vec::new();
    while cursor.child()?.is_some() {
        let (mut name, mut value, mut kind) = (None, None, None);
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "Name" => name = Some(cursor.text(&tag)?.into_owned()),
                "Value" => value = Some(cursor.text(&tag)?.into_owned()),
                "Type" => kind = Some(PropertyType::from_wire(&cursor.text(&tag)?)),
                _ => cursor.skip()?,
            }
        }
        let name = name.ok_or_else(|| XmlError::shape("a property has no <Name>"))?;
        let value = value.ok_or_else(|| XmlError::shape("a property has no <Value>"))?;
        if properties.len() == MAX_PROPERTIES_READ {
            return Err(XmlError::shape(format!("a message has more than {MAX_PROPERTIES_READ} properties")));
        }
        properties.push(Property { name, value, kind: kind.unwrap_or(PropertyType::String) });
    }
    Ok(properties)
}

/// Checks that nothing in a message is larger or stranger than any valid one's. Ids and handles are the service's own; they
/// are kept, sent back and shown, so they must be short and free of control characters, which XML could not carry back.
pub(crate) fn check_read(message: &Message<'_>, receipt_handle: Option<&str>) -> Result<(), XmlError> {
    check_name("MessageId", &message.id, MAX_MESSAGE_ID)?;
    receipt_handle.map_or(Ok(()), check_handle)?;
    // A sender makes it up, and it is never sent back: what it consists of is no reason to refuse the message.
    if message.message_group_id.as_ref().is_some_and(|group| group.len() > MAX_MESSAGE_GROUP_ID) {
        return Err(XmlError::shape(format!("<MessageGroupId> is longer than {MAX_MESSAGE_GROUP_ID} bytes")));
    }
    let properties = || message.user_properties.iter().chain(&message.system_properties);
    if properties().map(|property| property.name.len() + property.value.len()).sum::<usize>() > MAX_PROPERTIES_BYTES {
        return Err(XmlError::shape(format!(
            "the properties of a message are longer than {MAX_PROPERTIES_BYTES} bytes"
        )));
    }
    Ok(())
}

/// As [`check_read`], for a handle alone.
pub(crate) fn check_handle(handle: &str) -> Result<(), XmlError> {
    check_name("ReceiptHandle", handle, MAX_RECEIPT_HANDLE)
}

fn check_name(name: &str, text: &str, longest: usize) -> Result<(), XmlError> {
    if text.len() > longest {
        return Err(XmlError::shape(format!("<{name}> is longer than {longest} bytes")));
    }
    // Nearly all are of printable ASCII, which all bytes together tell quicker than one after the other.
    let printable = text.bytes().fold(true, |printable, byte| printable & (b' '..=b'~').contains(&byte));
    if !printable && text.contains(|c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return Err(XmlError::shape(format!("<{name}> holds a control character")));
    }
    Ok(())
}

/// Checks that there is room for another message in an answer: none has more than may be asked for.
pub(crate) fn check_room(have: usize) -> Result<(), XmlError> {
    let most = *BATCH.end() as usize;
    if have < most { Ok(()) } else { Err(XmlError::shape(format!("more than {most} messages"))) }
}

/// The two elements of a received message that a peeked one lacks.
#[derive(Default)]
pub(crate) struct LeaseElements<'a> {
    pub(crate) receipt_handle: Option<Cow<'a, str>>,
    pub(crate) next_visible_time: Option<u64>,
}

impl<'a> Message<'a> {
    /// Reads the children of a `<Message>` of a receive or peek. The seven elements every message has are required,
    /// as they are by the official Python client; a repeated one means that the answer is damaged.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<(Self, LeaseElements<'a>), XmlError> {
        let (mut id, mut body_md5, mut body) = (None, None, None);
        let (mut enqueued, mut first_dequeued, mut count, mut priority) = (None, None, None, None);
        let (mut group, mut user, mut system) = (None, None, None);
        let mut lease = LeaseElements::default();
        while let Some(tag) = cursor.child()? {
            let name = tag.name();
            match name {
                "MessageId" => once(name, &mut id, cursor.text(&tag)?)?,
                "MessageBodyMD5" => once(name, &mut body_md5, cursor.text(&tag)?)?,
                "MessageBody" => once(name, &mut body, cursor.text(&tag)?)?,
                "ReceiptHandle" => once(name, &mut lease.receipt_handle, cursor.text(&tag)?)?,
                "EnqueueTime" => once(name, &mut enqueued, number(name, &cursor.text(&tag)?)?)?,
                "NextVisibleTime" => once(name, &mut lease.next_visible_time, number(name, &cursor.text(&tag)?)?)?,
                "FirstDequeueTime" => once(name, &mut first_dequeued, number(name, &cursor.text(&tag)?)?)?,
                "DequeueCount" => once(name, &mut count, number(name, &cursor.text(&tag)?)?)?,
                "Priority" => once(name, &mut priority, number(name, &cursor.text(&tag)?)?)?,
                "MessageGroupId" => once(name, &mut group, cursor.text(&tag)?)?,
                "UserProperties" => once(name, &mut user, read_properties(cursor)?)?,
                "SystemProperties" => once(name, &mut system, read_properties(cursor)?)?,
                _ => cursor.skip()?,
            }
        }
        let message = Self {
            id: required("MessageId", id.filter(|id| !id.is_empty()))?,
            body_md5: required("MessageBodyMD5", body_md5)?,
            body: bytes(required("MessageBody", body)?),
            enqueue_time: required("EnqueueTime", enqueued)?,
            first_dequeue_time: required("FirstDequeueTime", first_dequeued)?,
            dequeue_count: required("DequeueCount", count)?,
            priority: required("Priority", priority)?,
            message_group_id: group.filter(|group| !group.is_empty()),
            user_properties: user.unwrap_or_default(),
            system_properties: system.unwrap_or_default(),
        };
        check_read(&message, lease.receipt_handle.as_deref())?;
        Ok((message, lease))
    }
}

/// The bytes of a text.
pub(crate) fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), XmlError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(XmlError::shape(format!("<{name}> appears twice in a message"))),
    }
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, XmlError> {
    value.ok_or_else(|| XmlError::shape(format!("<{name}> is missing from a message")))
}
