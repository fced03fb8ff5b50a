//! Messages as they are sent, stored and delivered.

use std::fmt;
use std::sync::Arc;

use headwater_mns_proto::{NewMessage, Property, message_body_md5};

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

/// What a message carries and no operation changes. `Debug` leaves the body out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The body as the request carried it, XML escapes resolved.
    pub body: String,
    /// The MD5 of the body, as the service reports it.
    pub body_md5: String,
    /// The FIFO group; stored and returned, without effect on order here.
    pub message_group_id: Option<String>,
    /// User properties, in the order sent.
    pub user_properties: Vec<Property>,
    /// System properties, in the order sent.
    pub system_properties: Vec<Property>,
}

impl From<NewMessage> for Content {
    fn from(message: NewMessage) -> Self {
        Self {
            body_md5: message_body_md5(&message.body),
            body: message.body,
            message_group_id: message.message_group_id,
            user_properties: message.user_properties,
            system_properties: message.system_properties,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
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
    pub priority: u32,
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
