//! A look inside, for tests and tools: one row per id, and a fingerprint by which a search recognises a state.
//!
//! Nothing here decides anything, and nothing in production reads it.

use std::fmt::Write;

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
    /// When the queue took it.
    pub enqueued: ServerMs,
    /// The operation in flight or the queue it waits in: `delete`, `release`, `ready`, `retry`, or nothing.
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
        let mut out: Vec<IdView> = self
            .entries
            .iter()
            .map(|(key, entry)| {
                let (stage, checkpoint) = match entry.stage {
                    Stage::Buffered => ("buffered", None),
                    Stage::Emitted(checkpoint) => ("uncommitted", checkpoint),
                    Stage::Committed(checkpoint) => ("committed", Some(checkpoint)),
                    Stage::Deleted { checkpoint, .. } => ("deleted", Some(checkpoint)),
                };
                let doing = match (entry.operation, entry.wait) {
                    (Operation::Delete, _) => "delete",
                    (Operation::Release, _) => "release",
                    (Operation::None, Wait::Ready) => "ready",
                    (Operation::None, Wait::Retry(_)) => "retry",
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
        out.sort_unstable_by_key(|view| view.key);
        out
    }

    /// Everything by which two states can behave differently while the clock stands still. Tickets, tokens and stays
    /// appear by their order alone, so that two histories which lead to the same place are seen to.
    #[doc(hidden)]
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        let mut text = String::with_capacity(1024);
        // Writing to a String cannot fail. A handle is written whole: its Debug form shows only its head.
        for view in self.ids() {
            let handle = view.handle.as_ref().map(Handle::as_str);
            let _ = write!(text, "{:?}{}{:?}{handle:?}", view.key, view.stage, view.checkpoint);
            let _ = write!(text, "{:?}{}{}{:?};", view.rank, view.doing, view.attempts, view.saved);
        }
        let _ = write!(text, "{:?}{:?}{:?}", self.receives.values(), self.ready, self.retries);
        for (key, handle) in self.deleting.values().flatten() {
            let _ = write!(text, "{key:?}{}", handle.as_str());
        }
        let _ = write!(text, "{:?}", self.deleting.values().map(Vec::len).collect::<Vec<_>>());
        for stone in &self.deleted {
            let current = matches!(self.entries.get(&stone.key).map(|e| e.stage),
                Some(Stage::Deleted { stay, .. }) if stay == stone.stay);
            let _ = write!(text, "{:?}{current}{};", stone.key, self.receives.range(..stone.ticket).count());
        }
        let _ = write!(text, "{:?}{:?}{:?}", self.open, self.sealed, self.last_barrier);
        let _ = write!(text, "{:?}{:?}{}", self.in_flight, self.committed_through, self.unsaved);
        let _ = write!(text, "{:?}{:?}", sorted(&self.changed), sorted(&self.forgotten));
        for segment in &self.chain {
            let _ = write!(text, "{:x}", segment.meaning());
        }
        twox_hash::XxHash3_128::oneshot(text.as_bytes())
    }
}

fn sorted(keys: &[MessageKey]) -> Vec<MessageKey> {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    keys
}
