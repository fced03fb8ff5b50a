//! Test-only (feature `traps`): mistakes that other connectors made, to be switched on one at a time, so that the tests can
//! show that the checkers see each of them. Where a mistake is made, the code says so: look for `Trap::`.
//!
//! Nothing of this is compiled into a build without the feature, and no crate enables it by default.

use std::time::Duration;

use crate::entry::{Entry, Stage};
use crate::ids::{MessageKey, Mono, ServerMs};
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::segment::Stored;

/// One mistake. Those of a driver are listed too, so that one value is the whole switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Trap {
    /// An id is forgotten when its delete is confirmed, whatever receive may still carry it.
    ForgottenAtAck,
    /// A known id is dropped from an answer, and its new handle with it.
    DuplicateDropped,
    /// A handle is kept until it fails, though a redelivery has replaced it.
    OldHandleKept,
    /// One entry of a delete call fails, and the whole call is repeated.
    WholeBatchRetried,
    /// An id is queued for deletion again while its delete is running.
    ListedTwice,
    /// Driver: deletes are sent when the consumer has taken what was received, not before.
    DeletesAfterRows,
    /// Deleted ids are remembered for ever.
    NeverPruned,
    /// Restored ids do not know when they expire, so they do not.
    RestoredForEver,
    /// Restored ids are forgotten a minute after the restore, whatever the retention is.
    RestoredForAMinute,
    /// What is uncommitted does not count against the cap on undeleted messages.
    UncommittedUncounted,
    /// Driver: messages older than the start time are deleted when they are skipped.
    SkippedDeletedAtOnce,
    /// "Does not exist" is read as "deleted".
    NotExistIsDeleted,
    /// A snapshot leaves out the ids of its own epoch: they are not committed yet, after all.
    OwnEpochLeftOut,
    /// Driver: a commit lets deletes begin before dead letters are in their place.
    DeletedBeforeLetter,
    /// Driver: a restart does not know of dead letters that are staged.
    StagedLettersForgotten,
    /// Driver: what is given back stays in its epoch.
    GivenBackCommitted,
    /// Driver: what a barrier has sealed can still be rejected.
    SealedRejected,
}

/// How long a trapped ledger remembers what it restored.
const A_MINUTE: Duration = Duration::from_secs(60);

/// What a trapped ledger restored, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restored {
    ids: Vec<MessageKey>,
    at: Option<Mono>,
}

impl Limits {
    /// Whether this mistake is switched on.
    #[doc(hidden)]
    #[must_use]
    pub fn has_trap(&self, trap: Trap) -> bool {
        self.trap == Some(trap)
    }
}

impl Ledger {
    /// [`Trap::RestoredForEver`]: what tells an id's end of retention is lost.
    pub(crate) fn spoil(&self, mut stored: Stored) -> Stored {
        if self.limits.has_trap(Trap::RestoredForEver) {
            stored.enqueued = ServerMs::default();
        }
        stored
    }

    /// [`Trap::DuplicateDropped`], [`Trap::OldHandleKept`]: whether this delivery of a known id is passed over.
    pub(crate) fn is_dropped_by_trap(&self, key: MessageKey) -> bool {
        let known = self.entries.get(&key);
        self.limits.has_trap(Trap::DuplicateDropped) && self.knows(key)
            || self.limits.has_trap(Trap::OldHandleKept) && known.is_some_and(|entry| entry.handle.is_some())
    }

    /// [`Trap::RestoredForAMinute`]: notes what came with a restore.
    pub(crate) fn note_restored(&mut self, now: Mono) {
        if !self.limits.has_trap(Trap::RestoredForAMinute) {
            return;
        }
        self.trapped.ids = self.ids().iter().map(|id| id.key).collect();
        self.trapped.at = Some(now);
    }

    /// [`Trap::RestoredForAMinute`]: forgets it.
    pub(crate) fn forget_restored(&mut self, now: Mono) {
        if self.trapped.at.is_some_and(|at| now >= at + A_MINUTE) {
            self.trapped.at = None;
            for key in std::mem::take(&mut self.trapped.ids) {
                let waits = |entry: &Entry| matches!(entry.stage, Stage::Committed(_)) && entry.handle.is_none();
                if self.compact.get(key).is_some() || self.entries.get(&key).is_some_and(waits) {
                    self.forget(key);
                } else if self.graves.get(key).is_some() {
                    self.graves.raise(key);
                    self.counts.deleted -= 1;
                    self.forgotten.push(key);
                }
            }
        }
    }
}
