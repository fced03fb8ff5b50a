//! Deleting: the one code path that says which messages may be deleted, and what an answer to a delete means.

use std::sync::Arc;
use std::time::Duration;

use crate::entry::{Entry, HandleRank, Operation, Point, Stage, Wait};
use crate::graves::Burial;
use crate::ids::{CheckpointId, DeleteToken, Handle, MessageKey, Mono, Ticket};
use crate::ledger::Ledger;

/// The longest pause before a retry. 30 s, the service's default lease: after that the handle is most likely dead.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Leave to make one delete call. Every id in it is committed (G1) and listed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteBatch {
    /// To be given back with [`Ledger::delete_done`].
    pub token: DeleteToken,
    /// The handles to delete by; at most `delete_max`.
    pub handles: Arc<[Handle]>,
    /// Whose they are, in the same order.
    pub keys: Arc<[MessageKey]>,
}

impl DeleteBatch {
    /// Every message in it, with the handle to delete it by.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (MessageKey, &Handle)> {
        self.keys.iter().copied().zip(&*self.handles)
    }
}

/// What is known of one delete after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteOutcome {
    /// The queue said that it deleted the message.
    Deleted,
    /// The queue does not take this handle, or knows no such message: it may be gone, or come back with a new handle.
    Stale,
    /// The queue said that it did not delete this entry, and that trying again may help.
    Failed,
    /// No readable answer: it may have happened.
    Unknown,
}

/// What the answers to one delete call changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteReport {
    /// Deletes confirmed.
    pub confirmed: u32,
    /// Handles found dead: the id waits for its redelivery or for the end of retention.
    pub stale: u32,
    /// Tries that will be repeated with the same handle.
    pub retried: u32,
    /// Given up with this handle after `deleteMaxRetries`.
    pub given_up: u32,
}

/// A message to be made visible again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The message.
    pub key: MessageKey,
    /// Its newest handle.
    pub handle: Handle,
}

/// An id whose delete is confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buried {
    key: MessageKey,
    rank: HandleRank,
    checkpoint: CheckpointId,
}

impl Ledger {
    /// The next messages to delete, or `None` when nothing is ready at `now`.
    pub fn next_deletes(&mut self, now: Mono) -> Option<DeleteBatch> {
        while let Some(&(at, key)) = self.retries.first()
            && at <= now
        {
            self.retries.pop_first();
            if let Some(slot) = self.entries.find(key)
                && let Some((_, entry)) = self.entries.at_mut(slot)
            {
                entry.wait = Wait::Ready;
                self.ready.push_back(slot);
            }
        }
        let max = self.limits.delete_max as usize;
        let mut picked = std::mem::take(&mut self.picked);
        while picked.len() < max
            && let Some(slot) = self.ready.pop_front()
        {
            // A slot whose id has gone may be another's by now.
            let waiting = self.entries.at_mut(slot).filter(|(_, entry)| entry.wait == Wait::Ready);
            let Some((key, entry)) = waiting else { continue };
            entry.wait = Wait::None;
            // G1 is decided here and nowhere else.
            if let (Stage::Committed(_), Operation::None, Some(handle)) = (entry.stage, entry.operation, &entry.handle)
            {
                picked.push((key, handle.clone()));
                entry.operation = Operation::Delete;
            }
        }
        if picked.is_empty() {
            self.picked = picked;
            return None;
        }
        #[cfg(feature = "traps")]
        if self.limits.has_trap(crate::traps::Trap::ListedTwice) && picked.len() < max {
            picked.push(picked[0].clone());
        }
        let keys: Arc<[_]> = picked.iter().map(|(key, _)| *key).collect();
        let handles = picked.drain(..).map(|(_, handle)| handle).collect();
        self.picked = picked;
        debug_assert!(keys.iter().all(|key| self.may_delete(*key)), "G1: {keys:?} are not all committed");
        let token = DeleteToken(self.next_token);
        self.next_token += 1;
        let batch = DeleteBatch { token, handles, keys };
        self.deleting.insert(token, batch.clone());
        Some(batch)
    }

    /// Takes the outcomes of a delete call, in the order of its entries. Missing outcomes count as unknown.
    pub fn delete_done(&mut self, token: DeleteToken, outcomes: &[DeleteOutcome], now: Mono) -> DeleteReport {
        let mut report = DeleteReport::default();
        let Some(batch) = self.deleting.remove(&token) else { return report };
        #[cfg(feature = "traps")]
        let outcomes = if self.limits.has_trap(crate::traps::Trap::WholeBatchRetried)
            && outcomes.iter().any(|outcome| *outcome != DeleteOutcome::Deleted)
        {
            &[][..]
        } else {
            outcomes
        };
        let mut confirmed = std::mem::take(&mut self.confirmed);
        for (i, (key, used)) in batch.entries().enumerate() {
            let outcome = outcomes.get(i).copied().unwrap_or(DeleteOutcome::Unknown);
            confirmed.extend(self.settle(key, used, outcome, now, &mut report));
        }
        self.bury_all(&confirmed, now);
        confirmed.clear();
        self.confirmed = confirmed;
        report
    }

    /// What is to be remembered as deleted, if that is what the outcome means.
    fn settle(
        &mut self,
        key: MessageKey,
        used: &Handle,
        outcome: DeleteOutcome,
        now: Mono,
        report: &mut DeleteReport,
    ) -> Option<Buried> {
        let seat = self.entries.seek(key)?;
        let (_, entry) = self.entries.at_mut(seat.slot)?;
        entry.operation = Operation::None;
        #[cfg(feature = "traps")]
        let outcome = match outcome {
            DeleteOutcome::Stale if self.limits.has_trap(crate::traps::Trap::NotExistIsDeleted) => {
                DeleteOutcome::Deleted
            }
            outcome => outcome,
        };
        // Where an outdated handle is refused, a confirmation needs no comparison.
        let certain = outcome == DeleteOutcome::Deleted && self.limits.stale_delete_is_error;
        let renewed = !certain && entry.handle.as_ref().is_some_and(|handle| handle != used);
        match outcome {
            DeleteOutcome::Deleted if !renewed => {
                report.confirmed += 1;
                let Stage::Committed(checkpoint) = entry.stage else { return None };
                let rank = entry.rank;
                self.remove_from(seat);
                return Some(Buried { key, rank, checkpoint });
            }
            // A redelivery brought a newer handle meanwhile: delete with that one.
            _ if renewed => self.queue_delete(key),
            DeleteOutcome::Failed | DeleteOutcome::Unknown
                if u32::from(entry.attempts) < self.limits.delete_max_retries =>
            {
                report.retried += 1;
                let doubled = self.limits.delete_retry_pause.saturating_mul(2u32.saturating_pow(entry.attempts.into()));
                let at = Point::from(now + doubled.min(RETRY_PAUSE_MAX)).or_start();
                entry.attempts = entry.attempts.saturating_add(1);
                entry.wait = Wait::Retry(at.into());
                self.retries.insert((at, key));
            }
            _ => {
                if outcome == DeleteOutcome::Stale {
                    report.stale += 1;
                } else {
                    report.given_up += 1;
                }
                self.update(key, |entry| entry.handle = None);
                self.mark_changed(key);
                self.pack(key);
            }
        }
        None
    }

    /// Remembers as deleted what has left the entries.
    fn bury_all(&mut self, confirmed: &[Buried], now: Mono) {
        if confirmed.is_empty() {
            return;
        }
        self.graves.touch(confirmed.iter().map(|buried| buried.key));
        for &Buried { key, rank, checkpoint } in confirmed {
            #[cfg(feature = "traps")]
            if self.limits.has_trap(crate::traps::Trap::ForgottenAtAck) {
                self.forgotten.push(key);
                continue;
            }
            // Every receive begun so far may still carry the message: the next ticket is the bound. The next segment says that it is deleted.
            self.bury(key, rank, Burial { ticket: Ticket(self.next_ticket), at: now, checkpoint });
        }
        self.note_freed(now);
    }

    /// Everything that is neither committed nor in the middle of an operation, to be made visible again at the end of
    /// a run. Each item ends in one [`release_done`](Self::release_done). What is being extended comes once that has ended.
    pub fn release_all(&mut self) -> Vec<Release> {
        let mut out: Vec<Release> = Vec::new();
        for (&key, entry) in self.entries.iter_mut() {
            if let (Stage::Buffered | Stage::Emitted(_), Operation::None, Some(handle)) =
                (entry.stage, entry.operation, &entry.handle)
            {
                out.push(Release { key, handle: handle.clone() });
                entry.operation = Operation::Release;
            }
        }
        out.sort_unstable_by_key(|release| release.key);
        for release in &out {
            self.cancel_extend(release.key);
        }
        out
    }

    /// One received message that is not handed out (any more), to be given back to the queue. Ends in one
    /// [`release_done`](Self::release_done), after which a redelivery of it is new. `None` if there is no such message, or its
    /// handle is dead: then it is back already, and a redelivery is new from now on. Also while it
    /// [is being extended](Self::is_extending): then ask again.
    pub fn release(&mut self, key: MessageKey) -> Option<Release> {
        let entry = self.entries.get(&key)?;
        let (Stage::Buffered, Operation::None) = (entry.stage, entry.operation) else { return None };
        self.cancel_extend(key);
        let entry = self.entries.get_mut(&key)?;
        let Some(handle) = entry.handle.clone() else {
            self.forget(key);
            return None;
        };
        entry.operation = Operation::Release;
        self.retracted -= u64::from(std::mem::take(&mut entry.retracted));
        Some(Release { key, handle })
    }

    /// Ends a release. Whatever the answer, the handle is dead or of no further use to this run. Without a release in
    /// flight for this id it does nothing.
    pub fn release_done(&mut self, key: MessageKey) {
        if self.entries.get(&key).is_none_or(|entry| entry.operation != Operation::Release) {
            return;
        }
        let Some(stage) = self.update(key, |entry| {
            entry.operation = Operation::None;
            entry.handle = None;
            entry.stage
        }) else {
            return;
        };
        if stage == Stage::Buffered {
            self.forget(key);
        } else {
            self.mark_changed(key);
            self.pack(key);
        }
    }

    /// When the next delete is tried again, if any waits for that.
    #[must_use]
    pub fn next_retry(&self) -> Option<Mono> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// The latest end of a lease on an undeleted id, as far as hints tell; of those without a live handle the latest there has been
    /// while there were any. Costs time in proportion to the ids with a handle.
    #[must_use]
    pub fn latest_lease_end(&self) -> Option<Mono> {
        self.entries.values().filter_map(|entry| entry.lease_end.get()).max().max(self.compact_lease_end)
    }

    /// Whether a delete is waiting (for an extension, too) or running.
    #[must_use]
    pub fn deletes_pending(&self) -> bool {
        let committed =
            |key| self.entries.get(key).is_some_and(|entry: &Entry| matches!(entry.stage, Stage::Committed(_)));
        let waits = self.extending.keys().any(committed);
        waits || !self.ready.is_empty() || !self.retries.is_empty() || !self.deleting.is_empty()
    }
}
