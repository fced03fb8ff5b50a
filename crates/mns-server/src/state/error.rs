//! What each operation of the machine can refuse. The router turns these into the service's codes and texts.

use thiserror::Error;

/// A number outside the range the service documents.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("The value of {name} should between {low} and {high}{}{unit}.", if unit.is_empty() { "" } else { " " })]
#[non_exhaustive]
pub struct OutOfRange {
    /// The element or parameter as the wire spells it.
    pub name: &'static str,
    /// The smallest value allowed.
    pub low: u64,
    /// The largest value allowed.
    pub high: u64,
    /// `seconds`, `bytes` or nothing.
    pub unit: &'static str,
}

impl OutOfRange {
    /// Checks `low <= value <= high`.
    ///
    /// # Errors
    /// The range, when `value` is outside it.
    pub fn check(name: &'static str, value: u64, low: u64, high: u64, unit: &'static str) -> Result<(), Self> {
        if (low..=high).contains(&value) { Ok(()) } else { Err(Self { name, low, high, unit }) }
    }
}

/// Why a queue was not created.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CreateQueueError {
    /// The name is empty or too long.
    #[error("The length of queue name should between 1 and 120.")]
    NameLength,
    /// The name holds a character other than letters, digits and hyphens, or starts with a hyphen.
    #[error(
        "The queue name you provided is invalid. QueueName should start with alphabet or digit and contain only alphabet, digit and -."
    )]
    NameCharacters,
    /// An attribute is outside its range.
    #[error("{0}")]
    Attribute(OutOfRange),
    /// The queue exists with other attributes.
    #[error("The queue you want to create is already exist.")]
    ExistsWithOtherAttributes,
    /// The name was freed too short a time ago (only where the option asks for it).
    #[error("The queue you want to create is deleted recently.")]
    DeletedRecently,
    /// The account is full.
    #[error("The number of queues should not be larger than {0}.")]
    TooManyQueues(usize),
}

/// There is no queue of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("The queue name you provided is not exist.")]
pub struct QueueNotExist;

/// Why a send was refused; nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// A delay, a priority or the number of entries is outside its range.
    #[error("{0}")]
    Range(OutOfRange),
    /// A body is longer than the queue's MaximumMessageSize.
    #[error("The length of message should not be larger than MaximumMessageSize.")]
    TooLarge,
    /// The bodies of a batch together exceed 64 KB.
    #[error("The total length of messages should not be larger than 65536 bytes.")]
    BatchTooLarge,
    /// A property breaks a documented limit.
    #[error("{0}")]
    Property(String),
}

/// Why a handle did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The text was never a handle of this queue.
    #[error("The receipt handle you provide is not valid.")]
    Malformed,
    /// The message was received again or its visibility changed: a newer handle exists.
    #[error("The receipt handle you provide is not valid.")]
    Superseded,
    /// The lease of this handle, or the delay it was given out for, has ended.
    #[error("The receipt handle you provided has expired.")]
    Expired,
    /// The message was deleted or its retention is over.
    #[error("Message not exist.")]
    Gone,
}

/// Why a visibility change was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeVisibilityError {
    /// The new timeout is outside 1..=43200 seconds.
    #[error("{0}")]
    Range(OutOfRange),
    /// The handle is not live.
    #[error("{0}")]
    Handle(#[from] HandleError),
}
