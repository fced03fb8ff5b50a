//! The state itself, its counters, and the one place where an entry changes its stage.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::chain::Chain;
use crate::delete::{Buried, DeleteBatch};
use crate::entries::{Entries, Seat, Slot, Spot};
use crate::entry::{Entry, HandleRank, Operation, Stage, Wait};
use crate::graves::{Burial, Graves};
use crate::ids::{CheckpointId, DeleteToken, Handle, MessageKey, Mono, ServerMs, Ticket};
use crate::limits::{LimitError, Limits};
use crate::log::Log;
use crate::times::{Schedule, Times};
use crate::unconfirmed::{Unconfirmed, Unhandled};

/// Decides what may be emitted, deleted and forgotten. See the crate's page for the protocol.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) limits: Limits,
    pub(crate) entries: Entries,
    pub(crate) counts: Counts,
    // Receives that have begun and not ended: what each may bring.
    pub(crate) receives: BTreeMap<Ticket, Reservation>,
    pub(crate) next_ticket: u64,
    // Deletes: ready now, waiting for a retry, in flight.
    pub(crate) ready: VecDeque<Slot>,
    pub(crate) retries: BTreeSet<(Mono, MessageKey)>,
    pub(crate) deleting: BTreeMap<DeleteToken, DeleteBatch>,
    pub(crate) next_token: u64,
    // Extensions: when each is due, and those in flight with the handle they use.
    pub(crate) extends: Schedule,
    pub(crate) extending: BTreeMap<MessageKey, (Handle, HandleRank)>,
    // Committed ids without a live handle, as far as they can be packed; the others are entries.
    pub(crate) compact: Unconfirmed,
    // The latest lease of those, as a hint: kept while there are any.
    pub(crate) compact_lease_end: Option<Mono>,
    // Ids whose delete is confirmed, until they may be forgotten. No id is in two of these three.
    pub(crate) graves: Graves,
    // Checkpoints.
    pub(crate) open: Vec<Slot>,
    // When the uncommitted ids press for a checkpoint.
    pub(crate) leases: Times,
    pub(crate) sealed: BTreeMap<CheckpointId, Vec<Slot>>,
    pub(crate) last_barrier: Option<CheckpointId>,
    pub(crate) in_flight: Option<CheckpointId>,
    pub(crate) committed_through: Option<CheckpointId>,
    pub(crate) last_barrier_at: Mono,
    pub(crate) barrier_before_at: Mono,
    pub(crate) not_before: Mono,
    pub(crate) announced_until: Option<Mono>,
    // Buffered ids that wait for a commit, not for the consumer.
    pub(crate) retracted: u64,
    // With a durable log of the source's own.
    pub(crate) log: Log,
    // What the next segment has to say, beside which ids were deleted: the graves know that.
    pub(crate) changed: Vec<Spot>,
    pub(crate) forgotten: Vec<MessageKey>,
    // The newest checkpoint was aborted: what its segment says may be in no durable state.
    pub(crate) unsaved: bool,
    // Room for what one call works on: a segment, the fresh ids of an answer, what is to be deleted, and what was.
    pub(crate) scratch: Vec<u8>,
    pub(crate) fresh: Vec<Spot>,
    pub(crate) picked: Vec<(MessageKey, Handle)>,
    pub(crate) confirmed: Vec<Buried>,
    pub(crate) chain: Chain,
    pub(crate) next_sequence: u64,
    // Since when the ledger has been full without anything leaving it.
    pub(crate) full_since: Option<Mono>,
    // Time as seen by the scan for the end of retention.
    pub(crate) last_scan: Mono,
    pub(crate) server_now: ServerMs,
    // What a restore brought, which may be more than the limits of this run allow.
    pub(crate) restored: Counts,
    // How often a deleted id came back although its delete was confirmed.
    pub(crate) ghosts: u64,
    #[cfg(feature = "traps")]
    pub(crate) trapped: crate::traps::Restored,
}

/// What a running receive may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) messages: u32,
    pub(crate) bytes: u64,
    pub(crate) screening: bool,
    pub(crate) began: Mono,
}

/// How many ids stand where, and what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Receives that have begun and not ended.
    pub receives: u64,
    /// Messages those receives may bring.
    pub reserved: u64,
    /// Bytes those receives may bring.
    pub reserved_bytes: u64,
    /// Received, not handed out.
    pub buffered: u64,
    /// Handed out, not committed.
    pub uncommitted: u64,
    /// Bytes of buffered and uncommitted messages.
    pub held_bytes: u64,
    /// Bytes of uncommitted messages alone.
    pub uncommitted_bytes: u64,
    /// Committed, with a handle that is not known to be dead: being deleted, or about to be.
    pub deletable: u64,
    /// Committed, delete unconfirmed, no live handle: waiting for a redelivery or for the end of retention.
    pub unconfirmed: u64,
    /// Deleted, remembered against late answers and duplicates.
    pub deleted: u64,
}

impl Counts {
    /// Messages received and not deleted, as the service counts them, plus those a receive may still bring.
    #[must_use]
    pub const fn undeleted(&self) -> u64 {
        self.reserved + self.buffered + self.uncommitted + self.deletable
    }

    /// All ids remembered.
    #[must_use]
    pub const fn ids(&self) -> u64 {
        self.buffered + self.uncommitted + self.deletable + self.unconfirmed + self.deleted
    }

    fn shift(&mut self, entry: &Entry, up: bool) {
        let step = |slot: &mut u64, by: u64| *slot = if up { *slot + by } else { slot.saturating_sub(by) };
        match entry.stage {
            Stage::Buffered => {
                step(&mut self.buffered, 1);
                step(&mut self.held_bytes, entry.bytes);
            }
            Stage::Emitted(_) => {
                step(&mut self.uncommitted, 1);
                step(&mut self.held_bytes, entry.bytes);
                step(&mut self.uncommitted_bytes, entry.bytes);
            }
            Stage::Committed(_) if entry.handle.is_some() => step(&mut self.deletable, 1),
            Stage::Committed(_) => step(&mut self.unconfirmed, 1),
        }
    }

    pub(crate) fn add(&mut self, entry: &Entry) {
        self.shift(entry, true);
    }

    pub(crate) fn remove(&mut self, entry: &Entry) {
        self.shift(entry, false);
    }
}

impl Ledger {
    /// An empty ledger.
    ///
    /// # Errors
    /// Every limit that cannot work.
    pub fn new(limits: Limits, now: Mono) -> Result<Self, Vec<LimitError>> {
        limits.check()?;
        Ok(Self {
            limits,
            entries: Entries::default(),
            counts: Counts::default(),
            receives: BTreeMap::new(),
            next_ticket: 0,
            ready: VecDeque::new(),
            retries: BTreeSet::new(),
            deleting: BTreeMap::new(),
            next_token: 0,
            extends: Schedule::default(),
            extending: BTreeMap::new(),
            compact: Unconfirmed::default(),
            compact_lease_end: None,
            graves: Graves::default(),
            open: Vec::new(),
            leases: Times::default(),
            sealed: BTreeMap::new(),
            last_barrier: None,
            in_flight: None,
            committed_through: None,
            last_barrier_at: now,
            barrier_before_at: now,
            not_before: now,
            announced_until: None,
            retracted: 0,
            log: Log::default(),
            changed: Vec::new(),
            forgotten: Vec::new(),
            unsaved: false,
            scratch: Vec::new(),
            fresh: Vec::new(),
            picked: Vec::new(),
            confirmed: Vec::new(),
            chain: Chain::default(),
            next_sequence: 0,
            full_since: None,
            last_scan: now,
            server_now: ServerMs(0),
            restored: Counts::default(),
            ghosts: 0,
            #[cfg(feature = "traps")]
            trapped: crate::traps::Restored::default(),
        })
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many ids stand where.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The newest checkpoint whose barrier was cut or restored.
    #[must_use]
    pub const fn last_checkpoint(&self) -> Option<CheckpointId> {
        self.last_barrier
    }

    /// The newest checkpoint known to be committed.
    #[must_use]
    pub const fn committed_through(&self) -> Option<CheckpointId> {
        self.committed_through
    }

    /// Whether what belongs to this checkpoint may be deleted (G1).
    pub(crate) fn is_committed(&self, checkpoint: CheckpointId) -> bool {
        let logged = self.limits.log.is_some() && checkpoint == crate::log::BEFORE_THE_FIRST;
        logged || self.committed_through.is_some_and(|done| checkpoint <= done)
    }

    /// Whether an id may be deleted (G1).
    pub(crate) fn may_delete(&self, key: MessageKey) -> bool {
        let stage = self.entries.get(&key).map(|entry| entry.stage);
        matches!(stage, Some(Stage::Committed(checkpoint)) if self.is_committed(checkpoint))
    }

    /// About how many bytes the ledger takes: its tables and lists, handles at 64 bytes each, and the state it keeps for snapshots (all of it,
    /// unless what is stored is [released](Self::release_stored)).
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let slots = (self.open.capacity() + self.ready.capacity()) * size_of::<Slot>();
        let keys = self.forgotten.capacity() * size_of::<MessageKey>();
        let lists = slots + keys + self.changed.capacity() * size_of::<Spot>();
        let handles = self.counts.buffered + self.counts.uncommitted + self.counts.deletable;
        let waiting = self.log.waiting.capacity() * size_of::<(MessageKey, u64)>();
        let packed = self.compact.memory_bytes() + self.graves.memory_bytes();
        let room = self.scratch.capacity() + self.fresh.capacity() * size_of::<Spot>();
        // Nodes of a tree are between half full and full.
        let schedules = self.leases.len() * size_of::<(Mono, u32)>() * 3 / 2 + self.extends.memory_bytes();
        (self.entries.memory_bytes() + lists + packed + waiting + schedules + room) as u64
            + self.chain.memory_bytes()
            + handles * 64
    }

    /// Raises the retention after which an unconfirmed id cannot come back any more. Never lowers it: an id may have
    /// been sent under the longer one.
    pub fn note_retention(&mut self, retention: Duration) {
        self.limits.retention = self.limits.retention.max(retention);
    }

    /// Changes one entry and keeps the counters and the pressure of leases in step. The way in which a stage, a handle, a lease
    /// or bytes change; where that is done for many at once (hand-out, barrier, commit), the same is done for all of them together.
    pub(crate) fn update<T>(&mut self, key: MessageKey, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&key)?;
        let pressure = self.limits.pressure();
        let before = entry.presses_at(pressure);
        self.counts.remove(entry);
        let out = change(entry);
        self.counts.add(entry);
        let after = entry.presses_at(pressure);
        if before != after {
            before.into_iter().for_each(|at| self.leases.remove(at, 1));
            after.into_iter().for_each(|at| self.leases.add(at, 1));
        }
        Some(out)
    }

    /// Adds an id that is not in here.
    pub(crate) fn place(&mut self, key: MessageKey, entry: Entry) -> Slot {
        self.counts.add(&entry);
        if matches!(entry.stage, Stage::Emitted(_)) {
            entry.presses_at(self.limits.pressure()).into_iter().for_each(|at| self.leases.add(at, 1));
        }
        self.entries.insert(key, entry)
    }

    /// Notes that the next segment must carry this id.
    pub(crate) fn mark_changed(&mut self, key: MessageKey) {
        if let Some(slot) = self.entries.find(key)
            && let Some((_, entry)) = self.entries.at_mut(slot)
            && !entry.changed
            && entry.stage != Stage::Buffered
        {
            entry.changed = true;
            self.changed.push(Spot { slot, key });
        }
    }

    /// Queues a committed id with a handle for deletion, unless it is queued or in the middle of an operation.
    pub(crate) fn queue_delete(&mut self, key: MessageKey) {
        if let Some(slot) = self.entries.find(key)
            && let Some((_, entry)) = self.entries.at_mut(slot)
            && matches!(entry.stage, Stage::Committed(_))
            && entry.handle.is_some()
            && entry.operation == Operation::None
            && entry.wait == Wait::None
        {
            entry.wait = Wait::Ready;
            self.ready.push_back(slot);
        }
    }

    /// Takes an id out of the queue of retries: a newer handle need not wait for what the older one has coming.
    pub(crate) fn cancel_retry(&mut self, key: MessageKey) {
        if let Some(entry) = self.entries.get_mut(&key)
            && let Wait::Retry(at) = entry.wait
        {
            entry.wait = Wait::None;
            self.retries.remove(&(at.or_start(), key));
        }
    }

    /// Notes that an id left the unconfirmed ones for good, which is what a full ledger waits for.
    pub(crate) fn note_freed(&mut self, now: Mono) {
        let full = self.counts.unconfirmed >= u64::from(self.limits.ledger_max_ids);
        self.full_since = self.full_since.filter(|_| full).map(|since| since.max(now));
    }

    /// Whether an id is remembered, whatever it is.
    pub(crate) fn knows(&self, key: MessageKey) -> bool {
        self.entries.contains_key(&key) || self.compact.get(key).is_some() || self.graves.get(key).is_some()
    }

    /// Packs an id that is committed, at rest and without a live handle, if it can be packed.
    pub(crate) fn pack(&mut self, key: MessageKey) {
        let Some(entry) = self.entries.get(&key) else { return };
        if Unhandled::of(key, entry).is_some_and(|id| self.compact.insert(&id)) {
            self.compact_lease_end = self.compact_lease_end.max(entry.lease_end.get());
            self.entries.remove(&key);
        }
    }

    /// Makes an id an entry again. Its lease ends no later than any of theirs.
    pub(crate) fn unpack(&mut self, key: MessageKey) {
        if let Some(id) = self.compact.remove(key) {
            self.entries.insert(key, Entry { lease_end: self.compact_lease_end.into(), ..id.entry() });
            self.compact_lease_end = self.compact_lease_end.filter(|_| self.compact.len() > 0);
        }
    }

    /// Drops an id for good.
    pub(crate) fn forget(&mut self, key: MessageKey) {
        self.unpack(key);
        if self.remove(key) {
            self.forgotten.push(key);
        }
    }

    /// True if some segment holds it.
    pub(crate) fn remove(&mut self, key: MessageKey) -> bool {
        self.entries.seek(key).is_some_and(|seat| self.remove_from(seat))
    }

    /// As [`remove`](Self::remove), of what was just found.
    #[inline]
    pub(crate) fn remove_from(&mut self, seat: Seat) -> bool {
        let Some(entry) = self.entries.at(seat.slot) else { return false };
        let (persisted, wait) = (entry.persisted, entry.wait);
        self.counts.remove(entry);
        if matches!(entry.stage, Stage::Emitted(_)) {
            entry.presses_at(self.limits.pressure()).into_iter().for_each(|at| self.leases.remove(at, 1));
        }
        self.retracted -= u64::from(entry.retracted);
        self.entries.vacate(seat);
        if let Wait::Extend(at) = wait {
            self.unschedule(at.or_start(), 1);
        }
        persisted
    }

    /// Remembers an id as deleted.
    pub(crate) fn bury(&mut self, key: MessageKey, rank: HandleRank, burial: Burial) {
        debug_assert!(!self.entries.contains_key(&key), "L5: {key:?} is deleted and is not");
        self.graves.bury(key, rank, burial);
        self.counts.deleted += 1;
    }
}
