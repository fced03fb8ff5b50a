//! What must hold after every step, as one named check: used by tests, by the exhaustive search and by simulators.

use std::collections::BTreeSet;

use crate::entry::{Operation, Stage, Wait};
use crate::ledger::{Counts, Ledger};

/// A broken promise: its id, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id}: {seen}")]
pub struct Violation {
    /// `G1`, `L1` …
    pub id: &'static str,
    /// What was found.
    pub seen: String,
}

fn require(ok: bool, id: &'static str, seen: impl FnOnce() -> String) -> Result<(), Violation> {
    if ok { Ok(()) } else { Err(Violation { id, seen: seen() }) }
}

impl Ledger {
    /// Checks the whole state; costs time in proportion to it.
    ///
    /// * `G1` every id in a running delete is committed or beyond.
    /// * `L1` the counters equal a recount.
    /// * `L2` one operation per id: an id is in a running delete exactly if its operation says so, and only once.
    /// * `L3` what can be deleted is queued, waiting for a retry or running: nothing is stuck.
    /// * `L7` what is to be extended is scheduled, and nothing else is; what is being extended is marked so. The leases that press for a
    ///   checkpoint are those of the uncommitted ids.
    /// * `L4` every uncommitted id is in exactly one epoch.
    /// * `L5` every deleted id, and every packed one, is nothing else beside, and found by its key; the deleted are in the order of
    ///   tickets.
    /// * `L6` the changes for the next segment are complete: what is marked is listed.
    /// * `G4` the bounds hold, and nothing waits for itself: there is an answer to come, a call to make, or a deadline.
    ///
    /// # Errors
    /// The first violation found.
    pub fn check(&self) -> Result<(), Violation> {
        self.check_counts()?;
        self.check_deletes()?;
        self.check_waits()?;
        self.check_extends()?;
        self.check_epochs()?;
        self.check_graves()?;
        self.check_bounds()
    }

    fn check_counts(&self) -> Result<(), Violation> {
        let mut counts = Counts::default();
        for entry in self.entries.values() {
            counts.add(entry);
        }
        counts.unconfirmed += self.compact.len() as u64;
        counts.deleted = self.graves.len() as u64;
        counts.receives = self.receives.len() as u64;
        counts.reserved = self.receives.values().map(|r| u64::from(r.messages)).sum();
        counts.reserved_bytes = self.receives.values().map(|r| r.bytes).sum();
        require(counts == self.counts, "L1", || format!("counted {counts:?}, kept {:?}", self.counts))?;
        let waiting: u64 = self.log.waiting.iter().map(|(_, bytes)| bytes).sum();
        require(waiting == self.log.waiting_bytes, "L1", || {
            format!("counted {waiting} bytes that wait in the log, kept {}", self.log.waiting_bytes)
        })?;
        let retracted = self.entries.values().filter(|entry| entry.retracted).count() as u64;
        require(retracted == self.retracted, "L1", || format!("counted {retracted} retracted, kept {}", self.retracted))
    }

    fn check_deletes(&self) -> Result<(), Violation> {
        let mut running: Vec<_> = self.deleting.values().flatten().map(|(key, _)| *key).collect();
        running.sort_unstable();
        let before = running.len();
        running.dedup();
        require(running.len() == before, "L2", || "an id is listed twice in running deletes".into())?;
        for key in &running {
            let Some(entry) = self.entries.get(key) else { continue };
            let committed = matches!(entry.stage, Stage::Committed(_));
            require(committed, "G1", || format!("{key:?} is being deleted but is {:?}", entry.stage))?;
            require(entry.operation == Operation::Delete, "L2", || format!("{key:?} runs without its mark"))?;
        }
        for (key, entry) in &self.entries {
            let marked = entry.operation == Operation::Delete;
            require(!marked || running.binary_search(key).is_ok(), "L2", || format!("{key:?} marked, not running"))?;
            let ready = matches!(entry.stage, Stage::Committed(_)) && entry.handle.is_some();
            let scheduled = entry.wait != Wait::None || entry.operation != Operation::None;
            require(!ready || scheduled, "L3", || format!("{key:?} could be deleted and is not scheduled"))?;
        }
        Ok(())
    }

    fn check_waits(&self) -> Result<(), Violation> {
        let mut ready: Vec<_> = self.ready.iter().copied().collect();
        ready.sort_unstable();
        let mut marked: Vec<_> = self.entries.iter().filter(|(_, e)| e.wait == Wait::Ready).map(|(k, _)| *k).collect();
        marked.sort_unstable();
        require(ready == marked, "L3", || format!("queued for deletion {ready:?}, marked so {marked:?}"))?;
        let retries = self.entries.iter().filter_map(|(key, entry)| match entry.wait {
            Wait::Retry(at) => Some((at, *key)),
            _ => None,
        });
        let marked: BTreeSet<_> = retries.collect();
        require(self.retries == marked, "L3", || format!("queued for retry {:?}, marked so {marked:?}", self.retries))
    }

    fn check_extends(&self) -> Result<(), Violation> {
        let mut scheduled = BTreeSet::new();
        for (key, entry) in &self.entries {
            let running = self.extending.contains_key(key);
            require(running == (entry.operation == Operation::Extend), "L7", || format!("{key:?}: marked or running"))?;
            require(running || !entry.left, "L7", || format!("{key:?} is left and waits for nothing"))?;
            let waits = matches!(entry.wait, Wait::Extend(_) | Wait::Held);
            let wanted = self.limits.extend_lease.is_some() && entry.extendable().is_some();
            require(waits == wanted, "L7", || format!("{key:?} is to be extended: {wanted}; waits: {waits}"))?;
            scheduled.extend(if let Wait::Extend(at) = entry.wait { Some((at, *key)) } else { None });
        }
        require(scheduled == self.extends, "L7", || format!("scheduled {:?}, marked so {scheduled:?}", self.extends))?;
        let lost = self.extending.keys().find(|key| !self.entries.contains_key(key));
        require(lost.is_none(), "L7", || format!("{lost:?} is being extended and forgotten"))?;
        let leases = self.entries.iter().filter_map(|(key, entry)| Some((self.limits.presses_at(entry)?, *key)));
        let leases: BTreeSet<_> = leases.collect();
        require(leases == self.leases, "L7", || format!("leases {leases:?}, kept {:?}", self.leases))
    }

    fn check_graves(&self) -> Result<(), Violation> {
        let sorted = self.graves.iter().zip(self.graves.iter().skip(1)).all(|(a, b)| a.2.ticket <= b.2.ticket);
        require(sorted, "L5", || "deleted ids are not in the order of tickets".into())?;
        let indexed = self.graves.iter().count() == self.graves.len();
        require(indexed, "L5", || "deleted ids and their index differ".into())?;
        for (key, ..) in self.graves.iter() {
            let found = self.graves.get(key).is_some();
            require(found, "L5", || format!("{key:?} is deleted and is not found"))?;
            require(!self.entries.contains_key(&key), "L5", || format!("{key:?} is deleted and is not"))?;
        }
        let changed: BTreeSet<_> = self.changed.iter().collect();
        for id in self.compact.iter() {
            let key = id.key;
            require(self.compact.get(key) == Some(id), "L5", || format!("{key:?} is unconfirmed and is not found"))?;
            let twice = self.entries.contains_key(&key) || self.graves.get(key).is_some();
            require(!twice, "L5", || format!("{key:?} is unconfirmed and is something else beside"))?;
            require(!id.changed || changed.contains(&key), "L6", || format!("{key:?} is marked, not listed"))?;
        }
        for (key, entry) in &self.entries {
            require(!entry.changed || changed.contains(key), "L6", || format!("{key:?} is marked, not listed"))?;
            let saved = entry.persisted || entry.changed || entry.stage == Stage::Buffered;
            require(saved, "L6", || format!("{key:?} is in no segment and not in the next"))?;
        }
        Ok(())
    }

    fn check_epochs(&self) -> Result<(), Violation> {
        let mut listed: Vec<_> = self.open.iter().chain(self.sealed.values().flatten()).copied().collect();
        listed.sort_unstable();
        let before = listed.len();
        listed.dedup();
        require(listed.len() == before, "L4", || "an id is in two epochs".into())?;
        let uncommitted = self.entries.values().filter(|e| matches!(e.stage, Stage::Emitted(_))).count();
        require(uncommitted == listed.len(), "L4", || format!("{uncommitted} uncommitted, {} listed", listed.len()))
    }

    fn check_bounds(&self) -> Result<(), Violation> {
        let counts = &self.counts;
        require(counts.reserved <= u64::from(self.limits.undeleted_max), "G4", || {
            "reserved above undeletedMax".into()
        })?;
        let call = self.can_receive().is_ok() || counts.buffered > 0 || self.deletes_pending();
        let call = call || !self.log.waiting.is_empty();
        let answer = counts.receives > 0 || self.in_flight.is_some() || !self.extending.is_empty();
        let releasing = self.entries.values().any(|entry| entry.operation == Operation::Release);
        let enabled = call || answer || releasing || self.next_deadline().is_some();
        require(enabled, "G4", || format!("nothing is enabled: {counts:?}"))
    }
}
