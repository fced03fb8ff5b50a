//! A look inside, for tests and tools: one row per id, and a fingerprint by which a search recognises a state.
//!
//! Nothing here decides anything, and nothing in production reads it.

use std::collections::BTreeSet;

use crate::delete::DeleteBatch;
use crate::entry::{Operation, Stage, Wait};
use crate::ids::{CheckpointId, Handle, MessageKey, ServerMs, Ticket};
use crate::ledger::Ledger;

/// One id as it stands.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdView {
    /// The hash of its id.
    pub key: MessageKey,
    /// `buffered`, `uncommitted`, `committed` or `deleted`.
    pub stage: &'static str,
    /// The checkpoint it belongs to; `None` in the open epoch.
    pub checkpoint: Option<CheckpointId>,
    /// The newest handle not known to be dead.
    pub handle: Option<Handle>,
    /// What orders its handles: dequeue count, own changes, next visible.
    pub rank: (u32, u32, ServerMs),
    /// When the queue took it; 0 for a deleted one.
    pub enqueued: ServerMs,
    /// The operation in flight (`delete`, `extend`, `release`), or the queue it waits in (`ready`, `retry`; `leased`, until it is
    /// extended; `held`, too long for that), or nothing.
    pub doing: &'static str,
    /// Failed tries with this handle.
    pub attempts: u32,
    /// Whether some segment holds it, and whether the next one must.
    pub saved: (bool, bool),
}

impl Ledger {
    /// Every id, in the order of keys.
    #[doc(hidden)]
    #[must_use]
    pub fn ids(&self) -> Vec<IdView> {
        let packed: Vec<_> = self.compact.iter().map(|id| (id.key, id.entry())).collect();
        let mut out: Vec<IdView> = self
            .entries
            .iter()
            .chain(packed.iter().map(|(key, entry)| (key, entry)))
            .map(|(key, entry)| {
                let (stage, checkpoint) = match entry.stage {
                    Stage::Buffered => ("buffered", None),
                    Stage::Emitted(checkpoint) => ("uncommitted", checkpoint),
                    Stage::Committed(checkpoint) => ("committed", Some(checkpoint)),
                };
                let doing = match (entry.operation, entry.wait) {
                    (Operation::Delete, _) => "delete",
                    (Operation::Extend, _) => "extend",
                    (Operation::Release, _) => "release",
                    (Operation::None, Wait::Ready) => "ready",
                    (Operation::None, Wait::Retry(_)) => "retry",
                    (Operation::None, Wait::Extend(_)) => "leased",
                    (Operation::None, Wait::Held) => "held",
                    (Operation::None, Wait::None) => "",
                };
                IdView {
                    key: *key,
                    stage,
                    checkpoint,
                    handle: entry.handle.clone(),
                    rank: (entry.rank.dequeue_count, entry.rank.own_changes, entry.rank.next_visible),
                    enqueued: entry.enqueued,
                    doing,
                    attempts: entry.attempts.into(),
                    saved: (entry.persisted, entry.changed),
                }
            })
            .collect();
        let changed: BTreeSet<_> = self.graves.unsaved().collect();
        out.extend(self.graves.iter().map(|(key, rank, burial)| IdView {
            key,
            stage: "deleted",
            checkpoint: Some(burial.checkpoint),
            handle: None,
            rank: (rank.dequeue_count, rank.own_changes, rank.next_visible),
            enqueued: ServerMs::default(),
            doing: "",
            attempts: 0,
            saved: (true, changed.contains(&key)),
        }));
        out.sort_unstable_by_key(|view| view.key);
        out
    }

    /// Calls `see` with every handle and every delivery count in this state, for whoever gives them shorter names.
    #[doc(hidden)]
    pub fn see_handles(&self, see: &mut dyn FnMut(MessageKey, u32, Option<&Handle>)) {
        for (key, entry) in self.entries.iter() {
            see(*key, entry.rank.dequeue_count, entry.handle.as_ref());
        }
        for id in self.compact.iter() {
            see(id.key, id.rank.dequeue_count, None);
        }
        for (key, handle) in self.deleting.values().flat_map(DeleteBatch::entries) {
            see(key, 0, Some(handle));
        }
        for (key, (handle, rank)) in &self.extending {
            see(*key, rank.dequeue_count, Some(handle));
        }
        for (key, rank, _) in self.graves.iter() {
            see(key, rank.dequeue_count, None);
        }
    }

    /// How many ids wait for nothing but a delete call, and how many calls are running.
    #[doc(hidden)]
    #[must_use]
    pub fn delete_calls(&self) -> (usize, usize) {
        (self.ready.len(), self.deleting.len())
    }

    /// How many deleted ids a running receive may still carry, by its ticket.
    #[doc(hidden)]
    #[must_use]
    pub fn may_carry(&self, ticket: Ticket) -> usize {
        self.graves.iter().filter(|(.., burial)| burial.ticket > ticket).count()
    }

    /// Appends everything by which two states can behave differently while the clock stands still, deliveries tell no lease or
    /// all the same one, a log has room for all that may come, and one delete call takes all that is ready (so that the order in which ids wait does not show); but for
    /// running receives and stored segments, which the caller knows. Tickets and tokens do not appear, and ids and handles by
    /// the names that `names` gives them: two histories which lead to the same place are seen to.
    #[doc(hidden)]
    pub fn fingerprint(&self, names: &dyn Names, out: &mut Vec<u8>) {
        let id = |checkpoint: Option<CheckpointId>| checkpoint.map_or(0, |c| c.0 as u8 + 1);
        let packed: Vec<_> = self.compact.iter().map(|id| (id.key, id.entry())).collect();
        let all = self.entries.iter().chain(packed.iter().map(|(key, entry)| (key, entry)));
        let mut entries: Vec<_> = all.map(|(key, entry)| (names.key(*key), *key, entry)).collect();
        entries.sort_unstable_by_key(|(name, ..)| *name);
        for (name, key, entry) in entries {
            let stage = match entry.stage {
                Stage::Buffered => [1, 0],
                Stage::Emitted(checkpoint) => [2, id(checkpoint)],
                Stage::Committed(checkpoint) => [3, id(Some(checkpoint))],
            };
            let wait = match entry.wait {
                Wait::None => 0,
                Wait::Ready => 1,
                Wait::Retry(_) => 2,
                Wait::Extend(_) => 3,
                Wait::Held => 4,
            };
            let handle = entry.handle.as_ref().map_or(0, |handle| names.handle(key, handle));
            let count = names.count(key, entry.rank.dequeue_count);
            let flags = [entry.persisted, entry.changed, entry.retracted, entry.left].map(u8::from);
            out.extend([200, name, handle, count, entry.rank.own_changes as u8]);
            out.extend([entry.operation as u8, wait, entry.attempts as u8]);
            out.extend(stage);
            out.extend(flags);
        }
        let mut graves: Vec<_> = self
            .graves
            .iter()
            .map(|(key, rank, burial)| {
                let carriers = self.receives.range(..burial.ticket).count() as u8;
                let count = names.count(key, rank.dequeue_count);
                [201, names.key(key), count, rank.own_changes as u8, burial.checkpoint.0 as u8, carriers]
            })
            .collect();
        graves.sort_unstable();
        out.extend(graves.concat());
        let mut calls: Vec<Vec<u8>> = Vec::with_capacity(self.deleting.len());
        for call in self.deleting.values() {
            let mut entries: Vec<_> = call.entries().map(|(key, h)| [names.key(key), names.handle(key, h)]).collect();
            entries.sort_unstable();
            calls.push(entries.concat());
        }
        for (key, (handle, rank)) in &self.extending {
            let count = names.count(*key, rank.dequeue_count);
            calls.push(vec![206, names.key(*key), names.handle(*key, handle), count, rank.own_changes as u8]);
        }
        calls.sort_unstable();
        for call in calls {
            out.push(202);
            out.extend(call);
        }
        let changed = self.changed.iter().map(|spot| spot.key).chain(self.graves.unsaved());
        for keys in [changed.collect(), self.forgotten.clone()] {
            let mut keys: Vec<u8> = keys.iter().map(|key| names.key(*key)).collect();
            keys.sort_unstable();
            keys.dedup();
            out.push(203);
            out.extend(keys);
        }
        self.fingerprint_epochs(names, out);
        out.extend([205, id(self.last_barrier), id(self.in_flight), id(self.committed_through)]);
        out.extend([self.unsaved, self.graves.has_unsaved(), self.full_since.is_some()].map(u8::from));
        self.chain.fingerprint(self.graves.saved_rows().start, out);
    }

    /// What waits in the log, in its order, what of it was handed out and is not committed, and the sealed epochs.
    fn fingerprint_epochs(&self, names: &dyn Names, out: &mut Vec<u8>) {
        out.push(207);
        out.extend(self.log.waiting.iter().map(|(key, _)| names.key(*key)));
        out.extend([208, self.log.open.messages as u8]);
        out.extend(self.log.sealed.iter().flat_map(|(checkpoint, sealed)| [checkpoint.0 as u8, sealed.messages as u8]));
        out.push(204);
        out.extend(self.sealed.keys().map(|checkpoint| checkpoint.0 as u8));
    }
}

/// How a search calls what it sees, so that states which differ in names alone are one. Small worlds only: a name is a byte.
#[doc(hidden)]
pub trait Names {
    /// A name for an id.
    fn key(&self, key: MessageKey) -> u8;
    /// A name for a handle, not 0.
    fn handle(&self, key: MessageKey, handle: &Handle) -> u8;
    /// A name for a delivery of this message; in the order of the counts.
    fn count(&self, key: MessageKey, dequeue_count: u32) -> u8;
}
