//! A look inside, for tests and tools: one row per id, and a fingerprint by which a search recognises a state.
//!
//! Nothing here decides anything, and nothing in production reads it.

use std::collections::BTreeSet;

use crate::entry::{Operation, Stage, Wait};
use crate::ids::{CheckpointId, Handle, MessageKey, ServerMs};
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
                    attempts: entry.attempts,
                    saved: (entry.persisted, entry.changed),
                }
            })
            .collect();
        let changed: BTreeSet<_> = self.changed.iter().collect();
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

    /// Appends everything by which two states can behave differently while the clock stands still and leases do not tell when they
    /// end, or all tell the same. Tickets and tokens appear by their order alone, so that two histories which lead to the same
    /// place are seen to.
    #[doc(hidden)]
    pub fn fingerprint(&self, out: &mut Vec<u8>) {
        let put = |out: &mut Vec<u8>, numbers: &[u128]| {
            numbers.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        };
        let id = |checkpoint: Option<CheckpointId>| checkpoint.map_or(0, |c| u128::from(c.0) + 1);
        for view in self.ids() {
            let (count, own, ServerMs(visible)) = view.rank;
            put(out, &[view.key.0, id(view.checkpoint), count.into(), own.into(), view.attempts.into()]);
            out.extend_from_slice(&visible.to_le_bytes());
            for text in [view.stage, view.doing, view.handle.as_ref().map_or("", Handle::as_str)] {
                out.extend_from_slice(text.as_bytes());
                out.push(0);
            }
            out.extend([view.saved.0, view.saved.1].map(u8::from));
        }
        for (kind, list) in [(1, self.ready.iter().collect::<Vec<_>>()), (2, self.open.iter().collect())] {
            out.push(kind);
            list.iter().for_each(|key| put(out, &[key.0]));
        }
        let mut retracted: Vec<_> = self.entries.iter().filter(|(_, e)| e.retracted).map(|(key, _)| key.0).collect();
        retracted.sort_unstable();
        put(out, &[10]);
        put(out, &retracted);
        let mut left: Vec<_> = self.entries.iter().filter(|(_, e)| e.left).map(|(key, _)| key.0).collect();
        left.sort_unstable();
        put(out, &[11]);
        put(out, &left);
        self.extends.iter().for_each(|(at, key)| put(out, &[12, at.0.as_nanos(), key.0]));
        for (key, (handle, rank)) in &self.extending {
            put(out, &[13, key.0, rank.dequeue_count.into(), rank.own_changes.into()]);
            out.extend_from_slice(&rank.next_visible.0.to_le_bytes());
            out.extend_from_slice(handle.as_str().as_bytes());
        }
        for reservation in self.receives.values() {
            put(out, &[3, reservation.messages.into(), u128::from(reservation.screening)]);
        }
        for call in self.deleting.values() {
            put(out, &[4]);
            for (key, handle) in call {
                put(out, &[key.0]);
                out.extend_from_slice(handle.as_str().as_bytes());
            }
        }
        for (key, _, burial) in self.graves.iter() {
            put(out, &[5, key.0, self.receives.range(..burial.ticket).count() as u128]);
        }
        for (checkpoint, keys) in &self.sealed {
            put(out, &[6, checkpoint.0.into()]);
            keys.iter().for_each(|key| put(out, &[key.0]));
        }
        let [barrier, flight, done] = [self.last_barrier, self.in_flight, self.committed_through].map(id);
        put(out, &[7, barrier, flight, done, u128::from(self.unsaved)]);
        for keys in [&self.changed, &self.forgotten] {
            put(out, &[8]);
            sorted(keys).iter().for_each(|key| put(out, &[key.0]));
        }
        let log = self.log.uncommitted();
        put(out, &[11, self.log.used.into(), self.log.kept.into(), log.messages.into(), log.bytes.into()]);
        self.log.waiting.iter().for_each(|(key, bytes)| put(out, &[key.0, (*bytes).into()]));
        for segment in self.chain.kept() {
            put(out, &[9]);
            segment.meaning(out);
        }
    }
}

fn sorted(keys: &[MessageKey]) -> Vec<MessageKey> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    keys
}
