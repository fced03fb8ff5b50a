//! What each operation of the machine can refuse. The router turns these into the service's codes and texts.

use std::ops::RangeInclusive;

use headwater_mns_proto::{QueueNameError, ServiceError};
use thiserror::Error;

/// A number outside the range the service documents.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("The value of {name} should between {low} and {high}.")]
#[non_exhaustive]
pub struct OutOfRange {
    /// The element or parameter as the wire spells it.
    pub name: &'static str,
    /// The smallest value allowed.
    pub low: u32,
    /// The largest value allowed.
    pub high: u32,
}

impl OutOfRange {
    pub(super) fn check(name: &'static str, value: u32, range: &RangeInclusive<u32>) -> Result<(), Self> {
        if range.contains(&value) { Ok(()) } else { Err(Self { name, low: *range.start(), high: *range.end() }) }
    }
}

/// Why a queue was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CreateQueueError {
    /// The name is not one the service accepts.
    #[error("{0}")]
    Name(QueueNameError),
    /// A setting is outside its range.
    #[error("{0}")]
    Settings(ServiceError),
    /// The queue exists with other attributes.
    #[error("the queue exists with other attributes; delete it first, or set its attributes")]
    ExistsWithOtherAttributes,
    /// The name was freed too short a time ago (only where that was asked for).
    #[error("a queue of that name was deleted a short time ago; wait, or take another name")]
    DeletedRecently,
    /// The account is full.
    #[error("the account has {0} queues, which is the limit; delete one first")]
    TooManyQueues(usize),
}

/// Why attributes were not set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetAttributesError {
    /// There is no such queue.
    #[error(transparent)]
    Queue(#[from] QueueNotExist),
    /// A setting is outside its range; nothing was changed.
    #[error("{0}")]
    Settings(ServiceError),
}

/// There is no queue of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there is no queue of that name; create it first")]
pub struct QueueNotExist;

/// Why a send was refused; nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// A delay, a priority or the number of messages is outside its range.
    #[error("{0}")]
    Range(#[from] OutOfRange),
    /// A body is longer than the queue's MaximumMessageSize. The sentence is the service's.
    #[error("The length of message should not be larger than MaximumMessageSize.")]
    TooLarge,
    /// The bodies of a batch are too long together.
    #[error("The total length of messages should not be larger than {limit} bytes.", limit = headwater_mns_proto::numbers::MAX_BATCH_SEND_BYTES)]
    BatchTooLarge,
}

/// Why a handle did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The text was never a handle of this queue.
    #[error("the text is no receipt handle of this queue")]
    Malformed,
    /// The message was received again or its visibility changed.
    #[error("a newer receipt handle exists for the message")]
    Superseded,
    /// The lease of this handle, or the delay it was given out for, has ended.
    #[error("the lease of the receipt handle has ended")]
    Expired,
    /// The message was deleted or its retention is over.
    #[error("the message of the receipt handle does not exist any more")]
    Gone,
}

/// Why a visibility change was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeVisibilityError {
    /// The new timeout is outside its range.
    #[error("{0}")]
    Range(#[from] OutOfRange),
    /// The handle is not live.
    #[error(transparent)]
    Handle(#[from] HandleError),
}
