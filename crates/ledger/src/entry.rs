//! One message's place in its life.

use crate::ids::{CheckpointId, Handle, Mono, ServerMs};

/// Where a message stands; it only ever moves downward. Once its delete is confirmed it leaves the entries for the
/// [graves](crate::graves), and a redelivery brings it back as `Committed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Received, its rows wait in the source.
    Buffered,
    /// Handed out; in the open epoch (`None`) or behind the barrier of a checkpoint that is not committed.
    Emitted(Option<CheckpointId>),
    /// In a durable, committed checkpoint: may be deleted.
    Committed(CheckpointId),
}

/// The one operation that may be in flight for an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Operation {
    #[default]
    None,
    Delete,
    Extend,
    Release,
}

/// Where an id waits for its next operation: a delete once it is committed, an extension before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Wait {
    #[default]
    None,
    /// In the queue of deletes.
    Ready,
    /// In the queue of retries, until then.
    Retry(Mono),
    /// In the schedule of extensions, for then.
    Extend(Mono),
    /// Held for so long that its lease is not extended any more.
    Held,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) stage: Stage,
    /// The newest handle, as long as nothing has shown it to be dead.
    pub(crate) handle: Option<Handle>,
    pub(crate) rank: HandleRank,
    /// When the queue took the message, for the one bound that is exact: retention.
    pub(crate) enqueued: ServerMs,
    /// A hint for scheduling; no decision about safety reads it.
    pub(crate) lease_end: Option<Mono>,
    /// When the receive began that brought it first: it has been held since then, or less.
    pub(crate) held_since: Mono,
    /// Bytes of permit held until the epoch is committed.
    pub(crate) bytes: u64,
    pub(crate) operation: Operation,
    /// Whether it waits in the queue of deletes, in that of retries, or in the schedule of extensions.
    pub(crate) wait: Wait,
    /// Failed tries of the present operation (deleting, or extending before it) with the present handle.
    pub(crate) attempts: u32,
    /// Some segment of the chain holds this id.
    pub(crate) persisted: bool,
    /// Listed in the changes for the next segment.
    pub(crate) changed: bool,
    /// Buffered because it was taken back, and waiting for the commit after which it may be released.
    pub(crate) retracted: bool,
    /// To be dropped as soon as the answer to its extension is there.
    pub(crate) left: bool,
}

/// What orders the handles of one message: by dequeue count, then by our own changes, then by NextVisibleTime; never
/// by arrival, since answers overtake each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct HandleRank {
    pub(crate) dequeue_count: u32,
    pub(crate) own_changes: u32,
    pub(crate) next_visible: ServerMs,
}

impl Entry {
    /// Takes over a delivery's handle unless the one at hand is newer. True if it did.
    ///
    /// Equal ranks come from a queue that counts nothing. Then the later answer wins: a wrong guess costs one refused
    /// delete, whereas keeping the older handle could leave the message circling for ever.
    pub(crate) fn take_handle(&mut self, handle: &Handle, rank: HandleRank, lease_end: Option<Mono>) -> bool {
        if rank < self.rank || (rank == self.rank && self.handle.as_ref() == Some(handle)) {
            return false;
        }
        self.handle = Some(handle.clone());
        self.rank = rank;
        self.lease_end = lease_end;
        self.attempts = 0;
        true
    }
}
