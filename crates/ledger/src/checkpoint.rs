//! Checkpoints: when one is due, the barrier, commit, abort, restore.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::chain::{Chain, StoredSegment};
use crate::entries::Slot;
use crate::entry::{Entry, Operation, Point, Stage, Wait};
use crate::graves::Burial;
use crate::ids::{CheckpointId, MessageKey, Mono, Ticket};
use crate::ledger::Ledger;
use crate::limits::Pressing;
use crate::receive::earlier;
use crate::replay::{Replayed, replay};
use crate::segment::{Segment, SegmentError, Stored};
use crate::times::Run;

/// Why a checkpoint is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DueReason {
    /// The interval is over and something has changed.
    Interval,
    /// Enough messages are uncommitted.
    Count,
    /// Enough bytes are uncommitted.
    Bytes,
    /// The oldest uncommitted lease is about to end and not extended, or a message has been held for as long as may be.
    Lease,
    /// Nothing can be received before something is committed.
    Blocked,
}

impl DueReason {
    /// A short lower-case name, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Lease => "lease",
            Self::Blocked => "blocked",
        }
    }
}

/// A durable state: what to store under a checkpoint, oldest segment first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The checkpoint whose barrier this is.
    pub checkpoint: CheckpointId,
    /// What comes before the segments and was [released](Ledger::release_stored): the store has it. Empty unless that was called.
    pub stored: Vec<StoredSegment>,
    /// A base and the deltas after it. Segments stored under an earlier checkpoint come again by the same name.
    pub segments: Vec<Segment>,
}

/// Why a checkpoint call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Ids must grow.
    #[error("checkpoint {asked} is not later than {last}: use ids that grow")]
    NotLater {
        /// The id asked for.
        asked: CheckpointId,
        /// The newest id seen.
        last: CheckpointId,
    },
    /// Nothing was cut under this id.
    #[error("checkpoint {asked} was never taken or restored here")]
    Unknown {
        /// The id asked for.
        asked: CheckpointId,
    },
    /// A restore must come first.
    #[error("restore must be the first call: this source has already received, restored or taken a checkpoint")]
    NotEmpty,
    /// The state belongs to another checkpoint.
    #[error("the state was taken at checkpoint {found}, not at {asked}")]
    OtherCheckpoint {
        /// The id asked for.
        asked: CheckpointId,
        /// The id in the state.
        found: CheckpointId,
    },
    /// The state cannot be read.
    #[error("the state cannot be read")]
    Segment(#[from] SegmentError),
}

impl Ledger {
    /// Whether a checkpoint is due, and why. At most one is in flight: none is due between
    /// [`barrier`](Self::barrier) and [`commit`](Self::commit) or [`abort`](Self::abort).
    #[must_use]
    pub fn checkpoint_due(&self, now: Mono) -> Option<DueReason> {
        if self.in_flight.is_some() || now < self.not_before || self.announced_until.is_some_and(|until| now < until) {
            return None;
        }
        self.pressing().or_else(|| {
            if self.lease_deadline().is_some_and(|at| now >= at) {
                Some(DueReason::Lease)
            } else if self.interval_deadline().is_some_and(|at| now >= at) {
                Some(DueReason::Interval)
            } else {
                None
            }
        })
    }

    /// The reasons that hold whatever the time is.
    fn pressing(&self) -> Option<DueReason> {
        let counts = &self.counts;
        let log = self.log.uncommitted();
        let bytes_max = self.limits.log.as_ref().map_or(self.limits.checkpoint_max_bytes, |log| log.checkpoint_bytes);
        // With a full log only known ids are looked for, which frees nothing of it.
        let stuck = self.log_full() || (counts.receives == 0 && self.can_receive().is_err());
        if counts.uncommitted + log.messages >= u64::from(self.limits.checkpoint_max_messages) {
            Some(DueReason::Count)
        } else if counts.uncommitted_bytes + log.bytes >= bytes_max {
            Some(DueReason::Bytes)
        } else if counts.uncommitted + log.messages + self.retracted > 0
            && counts.buffered == self.retracted
            && self.log.waiting.is_empty()
            && stuck
        {
            Some(DueReason::Blocked)
        } else {
            None
        }
    }

    /// When the first lease on an uncommitted message ends, by the margin, or has been held for the longest time. A lease that is
    /// extended in time moves on before that. Not sooner than a pause after the last barrier: leases that have ended are not saved by
    /// haste, and a slow consumer must not get a checkpoint for every batch.
    fn lease_deadline(&self) -> Option<Mono> {
        let floor = self.last_barrier_at + self.limits.checkpoint_retry;
        self.leases.first().map(|at| at.max(floor))
    }

    fn interval_deadline(&self) -> Option<Mono> {
        self.dirty().then(|| self.last_barrier_at + self.limits.checkpoint_interval)
    }

    /// As [`checkpoint_due`](Self::checkpoint_due), and holds the next announcement back for one interval, so that a
    /// caller that ignores it still gets its rows.
    pub fn announce_checkpoint(&mut self, now: Mono) -> Option<DueReason> {
        let reason = self.checkpoint_due(now)?;
        self.announced_until = Some(now + self.limits.checkpoint_interval);
        Some(reason)
    }

    /// Whether the next checkpoint would differ from the last one.
    #[must_use]
    pub fn dirty(&self) -> bool {
        let logged = self.log.open.messages > 0 || !self.log.sealed.is_empty();
        let listed = !self.changed.is_empty() || !self.forgotten.is_empty() || self.graves.has_unsaved();
        self.counts.uncommitted > 0 || logged || self.unsaved || listed
    }

    /// When to look again although nothing happened: the earliest moment at which a checkpoint is due, a delete is to
    /// be retried, a lease is to be extended, or [`tick`](Self::tick) has something to do. In the past if that is so now.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        earlier(self.next_deadline_besides_deletes(), earlier(self.next_retry(), self.next_extend()))
    }

    /// As [`next_deadline`](Self::next_deadline), without the retries of deletes and the extensions: for a driver where both run
    /// by themselves. (All of them may be busy when one is due, and whoever waited for it could only wait again.)
    #[must_use]
    pub fn next_deadline_besides_deletes(&self) -> Option<Mono> {
        let scan = (self.counts.unconfirmed > 0).then(|| self.last_scan + crate::forget::RETENTION_SCAN_PERIOD);
        [self.checkpoint_deadline(), self.forget_deadline(), scan].into_iter().flatten().min()
    }

    fn checkpoint_deadline(&self) -> Option<Mono> {
        if self.in_flight.is_some() {
            return None;
        }
        let floor = self.announced_until.map_or(self.not_before, |until| until.max(self.not_before));
        if self.pressing().is_some() {
            return Some(floor);
        }
        earlier(self.lease_deadline(), self.interval_deadline()).map(|at| at.max(floor))
    }

    /// Cuts the barrier of checkpoint `id`: the snapshot holds every id handed out before and not yet forgotten.
    /// Repeating the newest id gives the same snapshot again; if it was aborted, it is in flight again.
    ///
    /// # Errors
    /// When `id` is older than the newest one.
    pub fn barrier(&mut self, id: CheckpointId, now: Mono) -> Result<Snapshot, CheckpointError> {
        self.barrier_before(id, &[], now)
    }

    /// As [`barrier`](Self::barrier), but `later` stays in the open epoch: messages that were handed out in one batch with
    /// others, and that their consumer has not looked at. The snapshot does not hold them; after a crash they come again.
    /// An id of `later` that is not in the open epoch is passed over.
    ///
    /// # Errors
    /// As [`barrier`](Self::barrier).
    pub fn barrier_before(
        &mut self,
        id: CheckpointId,
        later: &[MessageKey],
        now: Mono,
    ) -> Result<Snapshot, CheckpointError> {
        match self.last_barrier {
            Some(last) if last == id => {
                if self.committed_through.is_none_or(|done| done < id) {
                    self.in_flight = Some(id);
                }
                return Ok(self.chain.snapshot(id));
            }
            Some(last) if last > id => return Err(CheckpointError::NotLater { asked: id, last }),
            _ => {}
        }
        let later: BTreeSet<_> = later.iter().copied().collect();
        self.log.seal(id, later.len() as u64);
        let open = std::mem::take(&mut self.open);
        let (later, sealed): (Vec<_>, Vec<_>) = if later.is_empty() {
            (Vec::new(), open)
        } else {
            open.into_iter().partition(|slot| self.entries.key(*slot).is_some_and(|key| later.contains(&key)))
        };
        for slot in &sealed {
            if let Some((_, entry)) = self.entries.at_mut(*slot) {
                entry.stage = Stage::Emitted(Some(id));
            }
        }
        self.sealed.insert(id, sealed);
        self.open = later;
        self.last_barrier = Some(id);
        self.barrier_before_at = std::mem::replace(&mut self.last_barrier_at, now);
        self.in_flight = Some(id);
        self.announced_until = None;
        self.unsaved = false;
        self.append_segment(id);
        Ok(self.chain.snapshot(id))
    }

    /// Notes that checkpoint `id` is durable and its sinks have committed. Implies every earlier one. Only from here
    /// on may its messages be deleted (G1). Idempotent.
    ///
    /// # Errors
    /// When no barrier was cut or restored under `id`.
    pub fn commit(&mut self, id: CheckpointId) -> Result<(), CheckpointError> {
        self.may_commit(id)?;
        if self.committed_through.is_some_and(|done| done >= id) {
            return Ok(());
        }
        if self.in_flight.is_some_and(|running| running <= id) {
            self.in_flight = None;
        }
        self.committed_through = Some(id);
        while let Some(oldest) = self.sealed.first_entry().filter(|oldest| *oldest.key() <= id) {
            let (checkpoint, slots) = oldest.remove_entry();
            self.commit_all(checkpoint, &slots);
        }
        self.log.commit(id);
        Ok(())
    }

    /// What [`update`](Self::update) and the rest would do for one after the other.
    fn commit_all(&mut self, checkpoint: CheckpointId, slots: &[Slot]) {
        let (mut pressing, mut scheduled) = (Pressing::new(self.limits.pressure()), Run::default());
        let mut packable = Vec::new();
        for &slot in slots {
            let Some((key, entry)) = self.entries.at_mut(slot) else { continue };
            if let Some((at, count)) = pressing.next(entry) {
                self.leases.remove(at, count);
            }
            let before = match entry.wait {
                Wait::Extend(at) => scheduled.next(at),
                _ => None,
            };
            if matches!(entry.wait, Wait::Extend(_) | Wait::Held) {
                entry.wait = Wait::None;
            }
            self.counts.remove(entry);
            entry.stage = Stage::Committed(checkpoint);
            entry.attempts = 0;
            self.counts.add(entry);
            if entry.handle.is_none() {
                packable.push(key);
            } else if entry.operation == Operation::None && entry.wait == Wait::None {
                entry.wait = Wait::Ready;
                self.ready.push_back(slot);
            }
            if let Some((at, count)) = before {
                self.unschedule(at.or_start(), count);
            }
        }
        if let Some((at, count)) = pressing.end() {
            self.leases.remove(at, count);
        }
        if let Some((at, count)) = scheduled.end() {
            self.unschedule(at.or_start(), count);
        }
        packable.into_iter().for_each(|key| self.pack(key));
    }

    /// Lets go of the bytes of every segment that a committed checkpoint listed: later snapshots name those as
    /// [`stored`](Snapshot::stored). For a driver whose store keeps segments by name for as long as the newest checkpoint lists them, to be
    /// called after [`commit`](Self::commit); without it the ledger holds its whole durable state, so that any store may save all of it each
    /// time.
    pub fn release_stored(&mut self) {
        if let Some(done) = self.committed_through {
            self.chain.release(done);
        }
    }

    /// Whether [`commit`](Self::commit) would take `id`, without committing it: for whoever has something to finish first.
    ///
    /// # Errors
    /// As `commit`.
    pub fn may_commit(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        let done = self.committed_through.is_some_and(|done| done >= id);
        // An id in a gap was never taken: whoever commits it holds another state than this one.
        if done || self.last_barrier == Some(id) || self.sealed.contains_key(&id) {
            Ok(())
        } else {
            Err(CheckpointError::Unknown { asked: id })
        }
    }

    /// Gives checkpoint `id` up: its messages stay uncommitted and are part of the next one. Idempotent.
    pub fn abort(&mut self, id: CheckpointId, now: Mono) {
        if self.in_flight == Some(id) {
            self.in_flight = None;
            self.not_before = now + self.limits.checkpoint_retry;
            // As if its barrier had not been: what made it due makes the next one due.
            self.unsaved = true;
            self.last_barrier_at = self.barrier_before_at;
        }
    }

    /// Loads the state of checkpoint `id` into an empty ledger. Deletes start at once for what the state holds as
    /// committed before `id`; the rest waits for [`commit`](Self::commit).
    ///
    /// # Errors
    /// When the ledger is not empty, or the state is not whole, not of this checkpoint, or of a later version.
    pub fn restore(&mut self, id: CheckpointId, segments: &[Segment], now: Mono) -> Result<(), CheckpointError> {
        if self.counts.ids() > 0 || self.last_barrier.is_some() || !self.receives.is_empty() {
            return Err(CheckpointError::NotEmpty);
        }
        let replayed = replay(segments)?;
        let Replayed { last, .. } = &replayed;
        if last.checkpoint != id {
            return Err(CheckpointError::OtherCheckpoint { asked: id, found: last.checkpoint });
        }
        // Half of all numbers are left for what is written from here on.
        let next_sequence = Some(last.sequence).filter(|last| *last < u64::MAX / 2).map(|last| last + 1);
        let next_sequence = next_sequence
            .ok_or(SegmentError::Damaged("its sequence number is larger than any that was ever written"))?;
        self.note_retention(Duration::from_secs(last.retention_secs));
        self.last_barrier = Some(id);
        self.last_barrier_at = now;
        self.barrier_before_at = now;
        self.committed_through = last.committed_through;
        self.chain = Chain::of(id, segments);
        self.next_sequence = next_sequence;
        for stored in replayed.ids() {
            let stored = stored?;
            if stored.confirmed {
                // Those of one checkpoint follow each other, and share what is known of their burial.
                let Stored { key, rank, checkpoint, .. } = stored;
                self.bury(key, rank, Burial { ticket: Ticket(0), at: now, checkpoint });
                continue;
            }
            #[cfg(feature = "traps")]
            let stored = self.spoil(stored);
            self.revive(&stored, now);
        }
        self.graves.note_saved();
        self.chain.note_rows(self.graves.saved_rows());
        self.restored = self.counts;
        #[cfg(feature = "traps")]
        self.note_restored(now);
        Ok(())
    }

    fn revive(&mut self, stored: &Stored, now: Mono) {
        let key = stored.key;
        let committed = self.committed_through.is_some_and(|done| stored.checkpoint <= done);
        let stage =
            if committed { Stage::Committed(stored.checkpoint) } else { Stage::Emitted(Some(stored.checkpoint)) };
        let entry = Entry {
            stage,
            handle: stored.handle.clone(),
            rank: stored.rank,
            enqueued: stored.enqueued,
            lease_end: Point::NONE,
            held_since: now.into(),
            bytes: 0,
            operation: Operation::None,
            wait: Wait::None,
            attempts: 0,
            persisted: true,
            changed: false,
            retracted: false,
            left: false,
        };
        let slot = self.place(key, entry);
        if !committed {
            self.sealed.entry(stored.checkpoint).or_default().push(slot);
        }
        self.queue_delete(key);
        self.pack(key);
    }
}
