//! Messages as they are sent, stored and delivered.

use std::fmt;
use std::sync::Arc;

use super::error::SendError;

/// Milliseconds since the Unix epoch, on the server's clock.
pub type Millis = u64;

/// The identity of a message: stable over redeliveries, unique within a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(super) u128);

impl fmt::Display for MessageId {
    /// 32 upper-case hexadecimal digits, as the service writes them today.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032X}", self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One user or system property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Up to 256 characters of `[A-Za-z0-9_.-]`, case-sensitive.
    pub name: String,
    /// Up to 4096 characters; base64 text for `BINARY`.
    pub value: String,
    /// `STRING`, `NUMBER`, `BOOLEAN` or `BINARY`.
    pub kind: String,
}

/// What a message carries and no operation changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The body as the request carried it, XML escapes resolved.
    pub body: String,
    /// The MD5 of the body's bytes, as the service reports it.
    pub body_md5: String,
    /// The FIFO group; stored and returned, without effect on order here.
    pub group_id: Option<String>,
    /// User properties, in the order sent.
    pub user_properties: Vec<Property>,
    /// System properties, in the order sent.
    pub system_properties: Vec<Property>,
}

/// A message as a send brings it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// What it carries.
    pub content: Content,
    /// Seconds it stays hidden, 0..=604800; the queue's DelaySeconds when absent.
    pub delay_seconds: Option<u32>,
    /// 1 (first) to 16 (last); 8 when absent.
    pub priority: Option<u8>,
}

/// The answer to a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The new message.
    pub id: MessageId,
    /// See [`Content::body_md5`].
    pub body_md5: String,
    /// A handle, for a delayed message only: it can be deleted or changed until its delay ends.
    pub handle: Option<String>,
}

/// What a peek shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// The message.
    pub id: MessageId,
    /// What it carries.
    pub content: Arc<Content>,
    /// 1 (first) to 16 (last).
    pub priority: u8,
    /// When it was sent.
    pub enqueued: Millis,
    /// When it was first received, 0 before that.
    pub first_dequeued: Millis,
    /// How many times it was received.
    pub dequeue_count: u32,
}

/// What a receive hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message and its counters, this receive included.
    pub message: Peeked,
    /// The only handle that deletes or changes this message, until `next_visible`.
    pub handle: String,
    /// When the message becomes visible again.
    pub next_visible: Millis,
}

/// At most 50 user properties per message (message properties page).
const MAX_USER_PROPERTIES: usize = 50;
/// Characters in a property's name (same page).
const MAX_PROPERTY_NAME: usize = 256;
/// Characters in a property's value (same page).
const MAX_PROPERTY_VALUE: usize = 4_096;
const PROPERTY_TYPES: [&str; 4] = ["STRING", "NUMBER", "BOOLEAN", "BINARY"];

impl Content {
    /// Checks the documented limits of properties.
    pub(super) fn check_properties(&self) -> Result<(), SendError> {
        if self.user_properties.len() > MAX_USER_PROPERTIES {
            return Err(SendError::Property(format!(
                "The number of UserProperties should not be larger than {MAX_USER_PROPERTIES}."
            )));
        }
        for property in self.user_properties.iter().chain(&self.system_properties) {
            let name = &property.name;
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if name.is_empty() || name.len() > MAX_PROPERTY_NAME || !name.chars().all(legal) {
                return Err(SendError::Property(format!(
                    "The name of a property should be 1 to {MAX_PROPERTY_NAME} characters of A-Z, a-z, 0-9, _, . and -."
                )));
            }
            if property.value.chars().count() > MAX_PROPERTY_VALUE {
                return Err(SendError::Property(format!(
                    "The value of property {name} should not be longer than {MAX_PROPERTY_VALUE} characters."
                )));
            }
            if !PROPERTY_TYPES.contains(&property.kind.as_str()) {
                return Err(SendError::Property(format!(
                    "The type of property {name} should be one of {}.",
                    PROPERTY_TYPES.join(", ")
                )));
            }
        }
        Ok(())
    }
}
