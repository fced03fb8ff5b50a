//! Requests: all operations on queues and messages, as one type that a client writes and a server reads.

mod read;
mod write;

pub use write::WriteError;

use crate::attributes::{AccountAttributes, QueueSettings};
use crate::message::NewMessage;
use crate::operation::Operation;

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say all")]
pub enum Method {
    Get,
    Put,
    Post,
    Delete,
}

impl Method {
    /// As on the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A request ready to be signed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireRequest {
    /// The method.
    pub method: Method,
    /// Path and query, encoded; to be signed and sent as they are.
    pub target: String,
    /// Headers of this operation, `content-type` included where there is a body. Signing adds the rest.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Option<String>,
}

/// Which queues to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQueues {
    /// Only names that begin with this.
    pub prefix: Option<String>,
    /// At most so many, 1 to 1,000; the service's default is 1,000.
    pub limit: Option<u32>,
    /// Where the page before this one ended: its `next_marker`.
    pub marker: Option<String>,
    /// Whether to add each queue's attributes.
    pub with_attributes: bool,
}

/// A request of the queue API.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Make a queue. Answer: [`QueueCreated`](crate::Answer::QueueCreated) or
    /// [`QueueExists`](crate::Answer::QueueExists).
    CreateQueue {
        /// The queue.
        queue: String,
        /// Its settings.
        settings: QueueSettings,
    },
    /// Change settings of a queue. Answer: [`Done`](crate::Answer::Done).
    SetQueueAttributes {
        /// The queue.
        queue: String,
        /// What to change.
        settings: QueueSettings,
    },
    /// Read a queue's attributes. Answer: [`QueueAttributes`](crate::Answer::QueueAttributes).
    GetQueueAttributes {
        /// The queue.
        queue: String,
    },
    /// Remove a queue. Answer: [`Done`](crate::Answer::Done).
    DeleteQueue {
        /// The queue.
        queue: String,
    },
    /// List queues. Answer: [`QueueList`](crate::Answer::QueueList).
    ListQueues(ListQueues),
    /// Send a message. Answer: [`Sent`](crate::Answer::Sent).
    SendMessage {
        /// The queue.
        queue: String,
        /// The message.
        message: NewMessage,
    },
    /// Send up to 16 messages. Answer: [`BatchSent`](crate::Answer::BatchSent).
    BatchSendMessage {
        /// The queue.
        queue: String,
        /// The messages.
        messages: Vec<NewMessage>,
    },
    /// Lease messages. Answer: [`Received`](crate::Answer::Received), for a batch
    /// [`BatchReceived`](crate::Answer::BatchReceived), or the error `MessageNotExist` if there is none.
    ReceiveMessage {
        /// The queue.
        queue: String,
        /// At most so many, 1 to 16, as a batch; `None` asks for one in the form of a single answer.
        batch: Option<u32>,
        /// How long to wait for a message, 0 to 30 seconds; `None` for the queue's `PollingWaitSeconds`.
        wait_seconds: Option<u32>,
    },
    /// Look at messages. Answer: [`Peeked`](crate::Answer::Peeked), for a batch
    /// [`BatchPeeked`](crate::Answer::BatchPeeked), or the error `MessageNotExist` if there is none.
    PeekMessage {
        /// The queue.
        queue: String,
        /// At most so many, 1 to 16, as a batch; `None` asks for one in the form of a single answer.
        batch: Option<u32>,
    },
    /// Delete a message. Answer: [`Done`](crate::Answer::Done).
    DeleteMessage {
        /// The queue.
        queue: String,
        /// The message's newest handle.
        receipt_handle: String,
    },
    /// Delete up to 16 messages. Answer: [`Done`](crate::Answer::Done), or
    /// [`DeleteFailures`](crate::Answer::DeleteFailures) if any of them could not be deleted.
    BatchDeleteMessage {
        /// The queue.
        queue: String,
        /// The messages' newest handles.
        receipt_handles: Vec<String>,
    },
    /// Let a lease end so many seconds from now. Answer:
    /// [`VisibilityChanged`](crate::Answer::VisibilityChanged) with a new handle.
    ChangeMessageVisibility {
        /// The queue.
        queue: String,
        /// The message's newest handle.
        receipt_handle: String,
        /// Seconds from now, 1 to 43,200.
        visibility_timeout: u32,
    },
    /// Read the account's settings. Answer: [`AccountAttributes`](crate::Answer::AccountAttributes).
    GetAccountAttributes,
    /// Change the account's settings. Answer: [`Done`](crate::Answer::Done).
    SetAccountAttributes(AccountAttributes),
}

impl Request {
    /// The operation it asks for.
    pub fn operation(&self) -> Operation {
        match self {
            Self::CreateQueue { .. } => Operation::CreateQueue,
            Self::SetQueueAttributes { .. } => Operation::SetQueueAttributes,
            Self::GetQueueAttributes { .. } => Operation::GetQueueAttributes,
            Self::DeleteQueue { .. } => Operation::DeleteQueue,
            Self::ListQueues(_) => Operation::ListQueue,
            Self::SendMessage { .. } => Operation::SendMessage,
            Self::BatchSendMessage { .. } => Operation::BatchSendMessage,
            Self::ReceiveMessage { batch: None, .. } => Operation::ReceiveMessage,
            Self::ReceiveMessage { batch: Some(_), .. } => Operation::BatchReceiveMessage,
            Self::PeekMessage { batch: None, .. } => Operation::PeekMessage,
            Self::PeekMessage { batch: Some(_), .. } => Operation::BatchPeekMessage,
            Self::DeleteMessage { .. } => Operation::DeleteMessage,
            Self::BatchDeleteMessage { .. } => Operation::BatchDeleteMessage,
            Self::ChangeMessageVisibility { .. } => Operation::ChangeMessageVisibility,
            Self::GetAccountAttributes => Operation::GetAccountAttributes,
            Self::SetAccountAttributes(_) => Operation::SetAccountAttributes,
        }
    }

    /// The queue it is about, if about one.
    pub fn queue(&self) -> Option<&str> {
        match self {
            Self::CreateQueue { queue, .. }
            | Self::SetQueueAttributes { queue, .. }
            | Self::GetQueueAttributes { queue }
            | Self::DeleteQueue { queue }
            | Self::SendMessage { queue, .. }
            | Self::BatchSendMessage { queue, .. }
            | Self::ReceiveMessage { queue, .. }
            | Self::PeekMessage { queue, .. }
            | Self::DeleteMessage { queue, .. }
            | Self::BatchDeleteMessage { queue, .. }
            | Self::ChangeMessageVisibility { queue, .. } => Some(queue),
            Self::ListQueues(_) | Self::GetAccountAttributes | Self::SetAccountAttributes(_) => None,
        }
    }
}
