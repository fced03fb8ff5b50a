//! Answers: what a server writes, and what a client reads back.

pub mod read;
mod scan;
mod usual;
mod write;

pub use write::WireAnswer;

use crate::attributes::{AccountAttributes, QueueAttributes};
use crate::code::{ErrorClass, ErrorCode};
use crate::failure::ServiceError;
use crate::message::{Message, Received, SentMessage};
use crate::operation::Operation;

/// One message of a batch send that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendFailure {
    /// The code.
    pub code: ErrorCode,
    /// The sentence of the service.
    pub message: String,
}

impl SendFailure {
    /// What to do about this entry.
    pub fn class(&self) -> ErrorClass {
        self.code.class(Operation::BatchSendMessage, self.code.status())
    }
}

/// One handle of a batch delete whose message was not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteFailure {
    /// The handle, as it was sent.
    pub receipt_handle: String,
    /// The code.
    pub code: ErrorCode,
    /// The sentence of the service.
    pub message: String,
}

impl DeleteFailure {
    /// What to do about this entry. A status belongs to the whole answer, so an unknown code is judged as fatal.
    pub fn class(&self) -> ErrorClass {
        self.code.class(Operation::BatchDeleteMessage, self.code.status())
    }
}

/// A lease after its end was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedVisibility {
    /// The new handle; the one used for the change is dead.
    pub receipt_handle: String,
    /// The lease's new end; milliseconds since 1970, the server's clock.
    pub next_visible_time: u64,
}

/// One queue of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedQueue {
    /// Its address. The scheme may differ from the one the caller uses.
    pub url: String,
    /// Its attributes, if they were asked for.
    pub attributes: Option<QueueAttributes>,
}

impl ListedQueue {
    /// Its name: the last segment of the address.
    pub fn name(&self) -> &str {
        self.url.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }
}

/// A page of queues.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueList {
    /// The queues.
    pub queues: Vec<ListedQueue>,
    /// Where the next page starts; `None` on the last.
    pub next_marker: Option<String>,
}

/// What came of creating a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueCreation {
    /// It was made.
    Created,
    /// It existed with the same settings.
    Existed,
}

/// An answer of the queue API, as a server gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// 201: the queue was made, at this address.
    QueueCreated {
        /// The address.
        location: String,
    },
    /// 204: the queue exists with the same settings, at this address.
    QueueExists {
        /// The address.
        location: String,
    },
    /// 204: done; there is nothing to say.
    Done,
    /// 200: the attributes of a queue.
    QueueAttributes(QueueAttributes),
    /// 200: a page of queues.
    QueueList(QueueList),
    /// 201: the message was taken.
    Sent(SentMessage),
    /// One outcome per message, in the order sent: 201, or 500 if any failed.
    BatchSent(Vec<Result<SentMessage, SendFailure>>),
    /// 200: a message and its lease.
    Received(Received<'a>),
    /// 200: messages and their leases, at least one.
    BatchReceived(Vec<Received<'a>>),
    /// 200: a message.
    Peeked(Message<'a>),
    /// 200: messages, at least one.
    BatchPeeked(Vec<Message<'a>>),
    /// 404: the handles of a batch delete that failed; the others' messages were deleted.
    DeleteFailures(Vec<DeleteFailure>),
    /// 200: the new lease.
    VisibilityChanged(ChangedVisibility),
    /// 200: the account's settings.
    AccountAttributes(AccountAttributes),
    /// An error, with its own status.
    Error(ServiceError),
}
