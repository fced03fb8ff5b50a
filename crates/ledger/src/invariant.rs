//! What must hold after every step: a table of named checks, walked by the tests, by the exhaustive search and by simulators.
//!
//! Those that cost nothing are asserted in debug builds too, at the line that could break them (look for `debug_assert`).
//! Checks of whole worlds (rows in sinks, messages in queues) belong to whoever knows such a world.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Operation, Stage, Wait};
use crate::ids::{CheckpointId, MessageKey, Mono};
use crate::ledger::{Counts, Ledger};
use crate::times::Times;

/// A broken promise: its id, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id}: {seen}")]
pub struct Violation {
    /// `G1`, `L1` …
    pub id: &'static str,
    /// What was found.
    pub seen: String,
}

/// One sentence that holds in every state of a ledger.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// `G1`, `G2`, `G4` for the ledger's part of a guarantee, `L1` … for what the guarantees rest on.
    pub id: &'static str,
    /// What holds.
    pub sentence: &'static str,
    holds: fn(&Ledger) -> Result<(), String>,
}

impl Invariant {
    /// Checks it; costs time in proportion to all ids.
    ///
    /// # Errors
    /// What was found instead.
    pub fn check(&self, ledger: &Ledger) -> Result<(), Violation> {
        (self.holds)(ledger).map_err(|seen| Violation { id: self.id, seen })
    }
}

/// Every invariant of the ledger, those that others rest on first.
pub const INVARIANTS: &[Invariant] = &[
    Invariant { id: "L1", sentence: "The counters equal a recount.", holds: counters_equal_a_recount },
    Invariant {
        id: "L2",
        sentence: "One operation per id: an id is in a running delete exactly if it is marked so, and in one only, once.",
        holds: one_operation_per_id,
    },
    Invariant {
        id: "G1",
        sentence: "What is being deleted, or is about to be, is of a committed checkpoint, or in the source's own durable log.",
        holds: only_the_committed_is_deleted,
    },
    Invariant {
        id: "L3",
        sentence: "Nothing is stuck: a committed id with a live handle is queued, waits for its retry, or is in an operation.",
        holds: nothing_is_stuck,
    },
    Invariant {
        id: "G2",
        sentence: "Every id that was handed out and is not committed is in exactly one epoch, and in the one it is marked with.",
        holds: one_epoch_per_id,
    },
    Invariant {
        id: "L4",
        sentence: "Checkpoints are in order: committed ≤ newest, what waits for a commit is not committed, at most one is in flight.",
        holds: checkpoints_are_in_order,
    },
    Invariant {
        id: "L5",
        sentence: "A deleted id, and a packed one, is nothing else beside and found by its key; the deleted are in the order of tickets.",
        holds: packed_ids_are_apart,
    },
    Invariant {
        id: "L6",
        sentence: "The next snapshot is complete: every id but a buffered one is in a stored segment or listed for the next one.",
        holds: the_next_snapshot_is_complete,
    },
    Invariant {
        id: "G4",
        sentence: "Bounded: undeleted messages, reserved bytes and remembered ids stay within the limits, or within what a restore brought.",
        holds: bounds_hold,
    },
    Invariant {
        id: "L7",
        sentence: "What is to be extended is scheduled and nothing else is; the leases that press for a checkpoint are those of \
                   uncommitted ids.",
        holds: extensions_are_scheduled,
    },
    Invariant {
        id: "L8",
        sentence: "Nothing waits for itself: there is an answer to come, a call to make, or a deadline.",
        holds: something_is_enabled,
    },
];

impl Ledger {
    /// Checks every one of [`INVARIANTS`]; costs time in proportion to all ids.
    ///
    /// # Errors
    /// The first violation found.
    pub fn check(&self) -> Result<(), Violation> {
        INVARIANTS.iter().try_for_each(|invariant| invariant.check(self))
    }
}

fn require(ok: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(seen()) }
}

fn counters_equal_a_recount(ledger: &Ledger) -> Result<(), String> {
    let mut counts = Counts::default();
    for entry in ledger.entries.values() {
        counts.add(entry);
    }
    counts.unconfirmed += ledger.compact.len() as u64;
    counts.deleted = ledger.graves.len() as u64;
    counts.receives = ledger.receives.len() as u64;
    counts.reserved = ledger.receives.values().map(|r| u64::from(r.messages)).sum();
    counts.reserved_bytes = ledger.receives.values().map(|r| r.bytes).sum();
    require(counts == ledger.counts, || format!("counted {counts:?}, kept {:?}", ledger.counts))?;
    let waiting: u64 = ledger.log.waiting.iter().map(|(_, bytes)| bytes).sum();
    let kept = ledger.log.waiting_bytes;
    require(waiting == kept, || format!("counted {waiting} bytes that wait in the log, kept {kept}"))?;
    let retracted = ledger.entries.values().filter(|entry| entry.retracted).count() as u64;
    require(retracted == ledger.retracted, || format!("counted {retracted} retracted, kept {}", ledger.retracted))
}

fn one_operation_per_id(ledger: &Ledger) -> Result<(), String> {
    let mut running: Vec<_> = ledger.deleting.values().flat_map(|batch| batch.keys.iter().copied()).collect();
    running.sort_unstable();
    let before = running.len();
    running.dedup();
    require(running.len() == before, || "an id is listed twice in running deletes".into())?;
    for key in &running {
        let marked = ledger.entries.get(key).is_none_or(|entry| entry.operation == Operation::Delete);
        require(marked, || format!("{key:?} is being deleted without its mark"))?;
    }
    for (key, entry) in ledger.entries.iter() {
        let marked = entry.operation == Operation::Delete;
        require(!marked || running.binary_search(key).is_ok(), || format!("{key:?} is marked and not being deleted"))?;
    }
    Ok(())
}

fn only_the_committed_is_deleted(ledger: &Ledger) -> Result<(), String> {
    for (key, entry) in ledger.entries.iter() {
        let held = match entry.stage {
            Stage::Committed(checkpoint) => ledger.is_committed(checkpoint),
            Stage::Buffered | Stage::Emitted(_) => {
                entry.operation != Operation::Delete && !matches!(entry.wait, Wait::Ready | Wait::Retry(_))
            }
        };
        require(held, || format!("{key:?} may be deleted and is {:?}", entry.stage))?;
    }
    Ok(())
}

fn nothing_is_stuck(ledger: &Ledger) -> Result<(), String> {
    for (key, entry) in ledger.entries.iter() {
        let ready = matches!(entry.stage, Stage::Committed(_)) && entry.handle.is_some();
        let scheduled = entry.wait != Wait::None || entry.operation != Operation::None;
        require(!ready || scheduled, || format!("{key:?} could be deleted and is not scheduled"))?;
    }
    let mut ready: Vec<_> = ledger.ready.iter().filter_map(|slot| ledger.entries.key(*slot)).collect();
    ready.sort_unstable();
    let mut marked: Vec<_> = ledger.entries.iter().filter(|(_, e)| e.wait == Wait::Ready).map(|(k, _)| *k).collect();
    marked.sort_unstable();
    require(ready == marked, || format!("queued for deletion {ready:?}, marked so {marked:?}"))?;
    let retries = ledger.entries.iter().filter_map(|(key, entry)| match entry.wait {
        Wait::Retry(at) => Some((at.or_start(), *key)),
        _ => None,
    });
    let marked: BTreeSet<_> = retries.collect();
    require(ledger.retries == marked, || format!("queued for retry {:?}, marked so {marked:?}", ledger.retries))
}

fn one_epoch_per_id(ledger: &Ledger) -> Result<(), String> {
    let open = ledger.open.iter().map(|slot| (slot, Stage::Emitted(None)));
    let sealed =
        ledger.sealed.iter().flat_map(|(id, slots)| slots.iter().map(|slot| (slot, Stage::Emitted(Some(*id)))));
    let mut listed = Vec::with_capacity(ledger.open.len());
    for (slot, stage) in open.chain(sealed) {
        let (key, found) = (ledger.entries.key(*slot), ledger.entries.at(*slot).map(|entry| entry.stage));
        require(found == Some(stage), || format!("{key:?} is listed as {stage:?} and is {found:?}"))?;
        listed.push(*slot);
    }
    let before = listed.len();
    listed.sort_unstable();
    listed.dedup();
    require(listed.len() == before, || "an id is in two epochs".into())?;
    let uncommitted = ledger.entries.values().filter(|e| matches!(e.stage, Stage::Emitted(_))).count();
    require(uncommitted == before, || format!("{uncommitted} are uncommitted, {before} are in an epoch"))
}

fn checkpoints_are_in_order(ledger: &Ledger) -> Result<(), String> {
    let (newest, done) = (ledger.last_barrier, ledger.committed_through);
    require(done <= newest, || format!("committed through {done:?}, the newest is {newest:?}"))?;
    let ordered = |id: &CheckpointId| Some(*id) > done && Some(*id) <= newest;
    require(ledger.sealed.keys().all(ordered), || {
        format!("{:?} wait for a commit, committed through {done:?}, the newest is {newest:?}", ledger.sealed.keys())
    })?;
    require(ledger.in_flight.is_none_or(|id| ordered(&id)), || format!("{:?} is in flight", ledger.in_flight))
}

fn packed_ids_are_apart(ledger: &Ledger) -> Result<(), String> {
    let sorted = ledger.graves.iter().zip(ledger.graves.iter().skip(1)).all(|(a, b)| a.2.ticket <= b.2.ticket);
    require(sorted, || "deleted ids are not in the order of tickets".into())?;
    require(ledger.graves.iter().count() == ledger.graves.len(), || "deleted ids and their index differ".into())?;
    for (key, ..) in ledger.graves.iter() {
        require(ledger.graves.get(key).is_some(), || format!("{key:?} is deleted and is not found"))?;
        require(!ledger.entries.contains_key(&key), || format!("{key:?} is deleted and is not"))?;
    }
    for id in ledger.compact.iter() {
        let key = id.key;
        require(ledger.compact.get(key) == Some(id), || format!("{key:?} is unconfirmed and is not found"))?;
        let twice = ledger.entries.contains_key(&key) || ledger.graves.get(key).is_some();
        require(!twice, || format!("{key:?} is unconfirmed and is something else beside"))?;
    }
    Ok(())
}

fn the_next_snapshot_is_complete(ledger: &Ledger) -> Result<(), String> {
    let changed: BTreeSet<_> = ledger.changed.iter().map(|spot| &spot.key).collect();
    for (key, entry) in ledger.entries.iter() {
        require(!entry.changed || changed.contains(key), || format!("{key:?} is marked as changed and not listed"))?;
        let saved = entry.persisted || entry.changed || entry.stage == Stage::Buffered;
        require(saved, || format!("{key:?} is in no segment and not in the next"))?;
    }
    for id in ledger.compact.iter() {
        require(!id.changed || changed.contains(&id.key), || {
            format!("{:?} is marked as changed and not listed", id.key)
        })?;
    }
    Ok(())
}

fn bounds_hold(ledger: &Ledger) -> Result<(), String> {
    let (counts, limits) = (&ledger.counts, &ledger.limits);
    let undeleted_max = u64::from(limits.undeleted_max).max(ledger.restored.undeleted());
    require(counts.undeleted() <= undeleted_max, || {
        format!("{} undeleted, {undeleted_max} allowed: {counts:?}", counts.undeleted())
    })?;
    // Only what is reserved: a queue may hand over a larger body than it said it would.
    require(counts.reserved_bytes <= limits.bytes_max, || format!("{} bytes reserved", counts.reserved_bytes))?;
    // What was received before a limit was reached may still pass it, one cap's worth at most.
    let most = |limit: u32, restored: u64| undeleted_max + u64::from(limit).max(restored);
    // A deleted id that comes back needs no permit: it only changes its place, and of those there are so many.
    let ghosts = ledger.ghosts.min(u64::from(limits.grace_max_ids).max(ledger.restored.ids()));
    let unconfirmed_max =
        most(limits.ledger_max_ids, ledger.restored.unconfirmed + ledger.restored.undeleted()) + ghosts;
    require(counts.unconfirmed <= unconfirmed_max, || {
        format!("{} unconfirmed, {unconfirmed_max} allowed", counts.unconfirmed)
    })?;
    let deleted_max = most(limits.grace_max_ids, ledger.restored.ids());
    require(counts.deleted <= deleted_max, || format!("{} deleted ids, {deleted_max} allowed", counts.deleted))
}

fn extensions_are_scheduled(ledger: &Ledger) -> Result<(), String> {
    let mut scheduled: BTreeMap<Mono, BTreeSet<MessageKey>> = BTreeMap::new();
    for (key, entry) in ledger.entries.iter() {
        let running = ledger.extending.contains_key(key);
        require(running == (entry.operation == Operation::Extend), || format!("{key:?}: marked or running"))?;
        require(running || !entry.left, || format!("{key:?} is left and waits for nothing"))?;
        let waits = matches!(entry.wait, Wait::Extend(_) | Wait::Held);
        let wanted = ledger.limits.extend_lease.is_some() && entry.extendable().is_some();
        require(waits == wanted, || format!("{key:?} is to be extended: {wanted}; waits: {waits}"))?;
        if let Wait::Extend(at) = entry.wait {
            scheduled.entry(at.or_start()).or_default().insert(*key);
        }
    }
    let counts = ledger.extends.iter().map(|(at, live, _)| (at, live as usize));
    let counted = counts.eq(scheduled.iter().map(|(at, keys)| (*at, keys.len())));
    let kept = ledger.extends.iter().map(|(at, _, spots)| {
        let live = spots.iter().filter(|spot| crate::extend::waits(&ledger.entries, at, **spot));
        (at, live.map(|spot| spot.key).collect())
    });
    let kept: BTreeMap<Mono, BTreeSet<MessageKey>> = kept.collect();
    require(counted && scheduled == kept, || {
        format!("scheduled {kept:?}, marked so {scheduled:?}; counted: {counted}")
    })?;
    let lost = ledger.extending.keys().find(|key| !ledger.entries.contains_key(key));
    require(lost.is_none(), || format!("{lost:?} is being extended and forgotten"))?;
    let pressure = ledger.limits.pressure();
    let leases: Times = ledger.entries.values().filter_map(|entry| entry.presses_at(pressure)).collect();
    require(leases == ledger.leases, || format!("leases {leases:?}, kept {:?}", ledger.leases))
}

fn something_is_enabled(ledger: &Ledger) -> Result<(), String> {
    let counts = &ledger.counts;
    let call = ledger.can_receive().is_ok() || counts.buffered > 0 || ledger.deletes_pending();
    // What waits in the log is handed out; what is committed of it is removed by its owner.
    let removal = ledger.log.used > 0 && ledger.log.uncommitted().messages == 0;
    let call = call || !ledger.log.waiting.is_empty() || removal;
    let answer = counts.receives > 0 || ledger.in_flight.is_some() || !ledger.extending.is_empty();
    let releasing = ledger.entries.values().any(|entry| entry.operation == Operation::Release);
    let enabled = call || answer || releasing || ledger.next_deadline().is_some();
    require(enabled, || format!("nothing is enabled: {counts:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_invariant() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checkers.md");
        let page = std::fs::read_to_string(page).unwrap();
        let missing: Vec<_> =
            INVARIANTS.iter().filter(|i| !page.contains(&format!("| `{}` | {} |", i.id, i.sentence))).collect();
        assert!(missing.is_empty(), "not in docs/checkers.md as it stands here: {missing:?}");
    }

    #[test]
    fn every_invariant_has_an_id_of_its_own_and_a_sentence() {
        let ids: BTreeSet<_> = INVARIANTS.iter().map(|invariant| invariant.id).collect();
        assert_eq!(ids.len(), INVARIANTS.len());
        for Invariant { id, sentence, .. } in INVARIANTS {
            assert!(id.starts_with(['G', 'L']) && sentence.ends_with('.'), "{id}: {sentence}");
        }
    }
}
