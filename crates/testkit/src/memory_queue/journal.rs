//! What was asked of a [`MemoryQueue`](crate::MemoryQueue) and what it answered, in order.

use std::collections::VecDeque;
use std::time::Duration;

use headwater_core::{DeleteOutcome, Mono, SharedStr};

/// Entries kept; the oldest go first. 100,000 is about 10 MB and longer than any trace a person reads.
const JOURNAL_MAX: usize = 100_000;

/// One event at a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, on the queue's clock.
    pub at: Mono,
    /// What.
    pub event: QueueEvent,
}

/// What happened at a queue. Messages are named by id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueEvent {
    /// A message was sent.
    Sent(SharedStr),
    /// A receive began.
    ReceiveBegan {
        /// The most messages it takes.
        max: u32,
        /// How long it waits for the first.
        wait: Duration,
    },
    /// A receive was answered with these messages, possibly none.
    Received(Vec<SharedStr>),
    /// A receive was dropped by its caller before it was answered. It leased nothing.
    ReceiveDropped,
    /// A delete was answered: the message that each handle was issued for, if any, and its outcome.
    Deleted(Vec<(Option<SharedStr>, DeleteOutcome)>),
    /// A lease was set anew.
    Extended {
        /// The message.
        id: SharedStr,
        /// Its new lease.
        lease: Duration,
    },
    /// An extend named a dead handle; the message it was issued for, if any.
    ExtendRefused(Option<SharedStr>),
    /// The attributes were read.
    Described,
    /// A call was refused as a whole.
    Refused {
        /// Which.
        operation: Operation,
        /// Why.
        why: String,
    },
}

/// The operations of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`Queue::delete`](headwater_core::Queue::delete).
    Delete,
    /// [`Queue::describe`](headwater_core::Queue::describe).
    Describe,
    /// [`Queue::extend`](headwater_core::Queue::extend).
    Extend,
    /// [`Queue::receive`](headwater_core::Queue::receive).
    Receive,
}

impl Operation {
    /// Its name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Describe => "describe",
            Self::Extend => "extend",
            Self::Receive => "receive",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
}

impl Journal {
    pub(super) fn note(&mut self, at: Mono, event: QueueEvent) {
        if self.entries.len() == JOURNAL_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { at, event });
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }
}
