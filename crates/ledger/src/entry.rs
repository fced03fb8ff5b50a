//! One message's place in its life.

use std::time::Duration;

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
    Retry(Point),
    /// In the schedule of extensions, for then.
    Extend(Point),
    /// Held for so long that its lease is not extended any more.
    Held,
}

/// A point in time, or none, in eight bytes, so that an id at work takes two lines of a cache: seconds above 30 bits of nanoseconds. What
/// is later than 544 years after the start is then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Point(u64);

const NANOS_BITS: u32 = 30;
const SECONDS_MAX: u64 = (1 << (64 - NANOS_BITS)) - 2;

impl Point {
    pub(crate) const NONE: Self = Self(u64::MAX);
    pub(crate) const START: Self = Self(0);

    #[inline]
    pub(crate) fn get(self) -> Option<Mono> {
        (self != Self::NONE).then(|| self.or_start())
    }

    /// The point, where there is one.
    #[inline]
    pub(crate) fn or_start(self) -> Mono {
        let nanos = self.0 as u32 & ((1 << NANOS_BITS) - 1);
        Mono(Duration::new(self.0 >> NANOS_BITS, nanos))
    }
}

impl From<Mono> for Point {
    #[inline]
    fn from(Mono(time): Mono) -> Self {
        Self(time.as_secs().min(SECONDS_MAX) << NANOS_BITS | u64::from(time.subsec_nanos()))
    }
}

impl From<Option<Mono>> for Point {
    #[inline]
    fn from(time: Option<Mono>) -> Self {
        time.map_or(Self::NONE, Self::from)
    }
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
    pub(crate) lease_end: Point,
    /// When the receive began that brought it first: it has been held since then, or less.
    pub(crate) held_since: Point,
    /// Bytes of permit held until the epoch is committed.
    pub(crate) bytes: u64,
    pub(crate) operation: Operation,
    /// Whether it waits in the queue of deletes, in that of retries, or in the schedule of extensions.
    pub(crate) wait: Wait,
    /// Failed tries of the present operation (deleting, or extending before it) with the present handle.
    pub(crate) attempts: u16,
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
        self.lease_end = lease_end.into();
        self.attempts = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_kept_to_the_nanosecond() {
        assert_eq!((Point::from(None), Point::NONE.get()), (Point::NONE, None));
        for time in [Duration::ZERO, Duration::new(7, 999_999_999), Duration::new(SECONDS_MAX, 1)] {
            assert_eq!(Point::from(Mono(time)).get(), Some(Mono(time)));
        }
        let far = Point::from(Mono(Duration::MAX)).get();
        assert_eq!(far.map(|far| far.0.as_secs()), Some(SECONDS_MAX));
        assert_eq!(size_of::<Option<(crate::MessageKey, Entry)>>(), 128);
    }
}
