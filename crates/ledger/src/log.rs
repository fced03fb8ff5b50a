//! A durable log of the source's own (`commit = log`): what is in it counts as committed, so it may be deleted before any
//! checkpoint holds it; it is handed out in the order of the log, and what was handed out since the last committed
//! checkpoint would be handed out again after a crash.
//!
//! The ledger knows of the log what bounds and checkpoints depend on: how full it is, what waits in it, in which order.

use std::collections::{BTreeMap, VecDeque};

use crate::entry::{Entry, HandleRank, Operation, Point, Stage, Wait};
use crate::graves::Burial;
use crate::ids::{CheckpointId, MessageKey, Mono, Ticket};
use crate::ledger::Ledger;
use crate::receive::Delivery;

/// What is in the log, and what of it has been handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogCounts {
    /// Bytes of the log, as last told.
    pub used: u64,
    /// Messages in the log that are in memory and not handed out.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Messages handed out of the log and not committed.
    pub uncommitted: u64,
    /// Their bytes.
    pub uncommitted_bytes: u64,
}

/// Stands for the source's own log where no checkpoint is committed yet.
pub(crate) const BEFORE_THE_FIRST: CheckpointId = CheckpointId(0);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) used: u64,
    /// In the log and not handed out, in the order of the log.
    pub(crate) waiting: VecDeque<(MessageKey, u64)>,
    pub(crate) waiting_bytes: u64,
    /// Bytes of bodies that the source keeps after handing them out.
    pub(crate) kept: u64,
    /// Handed out since the last barrier, and behind the barriers that are not committed.
    pub(crate) open: Amount,
    pub(crate) sealed: BTreeMap<CheckpointId, Amount>,
}

impl Log {
    pub(crate) fn uncommitted(&self) -> Amount {
        self.sealed.values().fold(self.open, |sum, sealed| Amount {
            messages: sum.messages + sealed.messages,
            bytes: sum.bytes + sealed.bytes,
        })
    }

    /// A barrier was cut; so many messages, the last that were handed out, stay in the open epoch. (Their bytes only
    /// schedule a checkpoint, so they need not be known.)
    pub(crate) fn seal(&mut self, id: CheckpointId, later: u64) {
        let later = self.open.messages.min(later);
        let open = std::mem::replace(&mut self.open, Amount { messages: later, bytes: 0 });
        let messages = open.messages - later;
        if messages > 0 {
            self.sealed.insert(id, Amount { messages, bytes: open.bytes });
        }
    }

    pub(crate) fn commit(&mut self, id: CheckpointId) {
        self.sealed.retain(|sealed, _| *sealed > id);
    }
}

impl Ledger {
    /// Notes that received messages are durable in the source's own log, which now takes `used` bytes: they may be deleted
    /// at once (G1), are part of the next snapshot, and wait to be handed out in this order. Each comes with the bytes of
    /// memory that it takes meanwhile. An id that is not buffered (any more) is passed over.
    pub fn log_durable(&mut self, messages: &[(MessageKey, u64)], used: u64) {
        self.log.used = used;
        let stage = Stage::Committed(self.logged_under());
        for &(key, bytes) in messages {
            if self.entries.get(&key).is_none_or(|entry| entry.stage != Stage::Buffered || entry.left) {
                continue;
            }
            self.cancel_extend(key);
            self.update(key, |entry| {
                entry.stage = stage;
                entry.attempts = 0;
            });
            self.mark_changed(key);
            self.queue_delete(key);
            self.pack(key);
            self.wait_for_hand_out(key, bytes);
        }
    }

    /// The checkpoint under which a snapshot lists what the log made deletable: the newest that is committed, or before the
    /// first one the number 0.
    fn logged_under(&self) -> CheckpointId {
        self.committed_through.unwrap_or(BEFORE_THE_FIRST)
    }

    fn wait_for_hand_out(&mut self, key: MessageKey, bytes: u64) {
        self.log.waiting.push_back((key, bytes));
        self.log.waiting_bytes += bytes;
    }

    /// Notes that messages were read back from the log, in its order, to be handed out again after a restart. Each comes
    /// with the bytes of memory that it takes.
    pub fn log_replayed(&mut self, messages: &[(MessageKey, u64)]) {
        for &(key, bytes) in messages {
            self.wait_for_hand_out(key, bytes);
        }
    }

    /// As [`hand_out`](Self::hand_out), for messages that come out of the log.
    ///
    /// # Panics
    /// In debug builds, when these are not the oldest that wait, in the order of the log: something would be handed out
    /// twice, or be passed over (G2, G3).
    pub fn hand_out_logged(&mut self, keys: &[MessageKey]) {
        for key in keys {
            let oldest = self.log.waiting.front().copied();
            debug_assert!(oldest.is_some_and(|(oldest, _)| oldest == *key), "G3: {key:?} is not the oldest in the log");
            let Some((_, bytes)) = oldest.filter(|(oldest, _)| oldest == key) else { continue };
            self.log.waiting.pop_front();
            self.log.waiting_bytes -= bytes;
            self.log.open.messages += 1;
            self.log.open.bytes += bytes;
        }
    }

    /// How many bytes the log takes now, after parts of it were removed or found at a start.
    pub fn note_log_used(&mut self, used: u64) {
        self.log.used = used;
    }

    /// How many bytes of bodies the source keeps after handing them out of the log. They count as held.
    pub fn note_kept(&mut self, bytes: u64) {
        self.log.kept = bytes;
    }

    /// Enters a message that the log holds, at a start: a redelivery of it is a duplicate. Nothing changes if it is known.
    /// To be called after a restore, before anything is received; [`recall_done`](Self::recall_done) ends it.
    pub fn recall(&mut self, delivery: &Delivery, now: Mono) {
        if self.knows(delivery.key) {
            return;
        }
        let rank =
            HandleRank { dequeue_count: delivery.dequeue_count, own_changes: 0, next_visible: delivery.next_visible };
        let entry = Entry {
            stage: Stage::Committed(self.logged_under()),
            handle: Some(delivery.handle.clone()),
            rank,
            enqueued: delivery.enqueued,
            lease_end: Point::NONE,
            held_since: now.into(),
            bytes: 0,
            operation: Operation::None,
            wait: Wait::None,
            attempts: 0,
            persisted: false,
            changed: false,
            retracted: false,
            left: false,
        };
        self.place(delivery.key, entry);
        self.mark_changed(delivery.key);
    }

    /// Notes, at a start, that the log says that the delete of a recalled message was confirmed. Nothing changes for others.
    pub fn recall_deleted(&mut self, key: MessageKey, now: Mono) {
        let recalled = self.entries.get(&key).filter(|entry| !entry.persisted && entry.wait == Wait::None);
        let Some((Stage::Committed(checkpoint), rank)) = recalled.map(|entry| (entry.stage, entry.rank)) else {
            return;
        };
        self.remove(key);
        self.bury(key, rank, Burial { ticket: Ticket(0), at: now, checkpoint });
    }

    /// Everything was recalled: what is not known as deleted is deleted, with the handle that the log holds.
    pub fn recall_done(&mut self) {
        let recalled = self.entries.iter().filter(|(_, entry)| !entry.persisted && entry.wait == Wait::None);
        let mut keys: Vec<_> = recalled.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        for key in keys {
            self.queue_delete(key);
        }
        self.restored = self.counts;
    }

    /// Whether an id of the log that was committed under `checkpoint` is in no segment yet. (One that a restored segment holds
    /// may be taken for such an id. Then it stays there until the next base, which costs room and nothing else.)
    pub(crate) fn unlisted(&self, checkpoint: CheckpointId) -> bool {
        self.limits.log.is_some() && checkpoint >= self.logged_under()
    }

    /// Between two barriers that are hours apart, ids of the log come and go by the million: what is forgotten before a
    /// segment was to hold it must not stay listed for that.
    pub(crate) fn compact_changed(&mut self) {
        if self.changed.len() > 1024.max(2 * (self.entries.len() + self.compact.len())) {
            let mut changed = std::mem::take(&mut self.changed);
            changed.retain(|spot| self.entries.contains_key(&spot.key) || self.compact.get(spot.key).is_some());
            self.changed = changed;
        }
    }

    /// Whether the delete of a message is confirmed, and the id still remembered.
    #[must_use]
    pub fn is_deleted(&self, key: MessageKey) -> bool {
        self.graves.get(key).is_some()
    }

    /// Where the log stands.
    #[must_use]
    pub fn log_counts(&self) -> LogCounts {
        let uncommitted = self.log.uncommitted();
        LogCounts {
            used: self.log.used,
            waiting: self.log.waiting.len() as u64,
            waiting_bytes: self.log.waiting_bytes,
            uncommitted: uncommitted.messages,
            uncommitted_bytes: uncommitted.bytes,
        }
    }

    /// Bytes of bodies in memory: received and not committed, or in the log and not handed out, or kept after that.
    #[must_use]
    pub const fn held_bytes(&self) -> u64 {
        self.counts.held_bytes + self.log.waiting_bytes + self.log.kept
    }

    /// How many more messages of the largest size have room in the log, with everything that was received or may still be
    /// written first; `None` without a log.
    pub(crate) fn log_room(&self) -> Option<u64> {
        let overhead = self.limits.log.as_ref()?.record_overhead;
        let reserved = self.receives.values().filter(|receive| !receive.screening);
        self.log_room_besides(reserved.map(|r| r.bytes + u64::from(r.messages) * overhead).sum())
    }

    fn log_room_besides(&self, reserved: u64) -> Option<u64> {
        let limits = self.limits.log.as_ref()?;
        let buffered = self.counts.held_bytes - self.counts.uncommitted_bytes;
        let unwritten = buffered + self.counts.buffered * limits.record_overhead;
        let free = limits.bytes_max.saturating_sub(self.log.used + reserved + unwritten);
        Some(free / (self.limits.message_bytes_max + limits.record_overhead))
    }

    /// Whether the log has no room for one more message, whatever the receives on their way bring: only known ids are looked
    /// for until something is committed.
    pub(crate) fn log_full(&self) -> bool {
        self.log_room_besides(0) == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeleteOutcome, Handle, Limits, MessageKey, ServerMs};

    #[test]
    fn a_message_of_the_log_that_is_known_without_a_handle_is_not_entered_again() {
        let now = Mono::from_millis(0);
        let mut ledger = Ledger::new(Limits::default(), now).unwrap();
        let delivery = Delivery {
            key: MessageKey(7),
            handle: Handle::new("1-a"),
            dequeue_count: 1,
            next_visible: ServerMs(0),
            enqueued: ServerMs(1),
            lease_end: None,
            bytes: 1,
        };
        let grant = ledger.begin_receive(now).unwrap();
        ledger.screen(grant.ticket, vec![delivery.clone()]);
        ledger.hand_out(&[delivery.key]);
        ledger.barrier(CheckpointId(1), now).unwrap();
        ledger.commit(CheckpointId(1)).unwrap();
        let batch = ledger.next_deletes(now).unwrap();
        ledger.delete_done(batch.token, &[DeleteOutcome::Stale], now);
        ledger.recall(&delivery, now);
        ledger.recall_done();
        assert_eq!((ledger.counts().unconfirmed, ledger.counts().ids(), ledger.check()), (1, 1, Ok(())));
    }
}
