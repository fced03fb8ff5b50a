//! Extending: which leases are to be made longer, when, and what an answer to that means.
//!
//! A lease is extended while its message is received and not committed, and not for longer than
//! [`Limits::hold_max`](crate::Limits::hold_max). Nothing here decides about safety: whatever becomes of an extension, the worst is
//! that the message comes back, which [`screen`](Ledger::screen) suppresses.

use std::time::Duration;

use crate::entries::{Entries, Slot, Spot};
use crate::entry::{Entry, HandleRank, Operation, Point, Stage, Wait};
use crate::ids::{Handle, MessageKey, Mono, ServerMs};
use crate::ledger::Ledger;
use crate::limits::Limits;

/// The pause before a failed extension is tried again: this, or a sixteenth of the lease where that is shorter; doubled for each
/// further failure up to an eighth of the lease. There is half a lease left at the first try: that makes room for four more.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Leave to make one extend call. Every one ends in one [`Ledger::extend_done`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The message.
    pub key: MessageKey,
    /// Its newest handle.
    pub handle: Handle,
    /// What to set the lease to, from now.
    pub lease: Duration,
}

/// What is known of one extension after the call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtendOutcome {
    /// The queue said that it did.
    Extended {
        /// The handle to use from now on; the same one where extending leaves it as it is.
        handle: Handle,
        /// When the message becomes visible again by the queue's clock; 0 if the queue does not say. Orders handles.
        next_visible: ServerMs,
        /// The end of the new lease on the monotonic clock, with margin. A hint for scheduling only.
        lease_end: Option<Mono>,
    },
    /// The queue does not take this handle, or knows no such message: the handle is dead.
    Gone,
    /// The queue said that it did not, and that trying again may help.
    Failed,
    /// No readable answer: it may have happened, and then the handle is dead and the new one unknown.
    Unknown,
    /// This consumer may not extend: nothing is extended any more.
    Denied,
}

impl Ledger {
    /// At most `max` leases that are to be extended at `now`, the most urgent first. Due by the half of each lease, so that there is
    /// time to try again.
    pub fn next_extends(&mut self, now: Mono, max: usize) -> Vec<Extension> {
        let mut out = Vec::new();
        let Some(lease) = self.limits.extend_lease else { return out };
        while out.len() < max
            && let Some(spot) = self.extends.pop(now, |at, spot| waits(&self.entries, at, spot))
        {
            let Some((key, entry)) = self.entries.at_mut(spot.slot) else { continue };
            entry.wait = Wait::None;
            let Some(handle) = entry.handle.clone() else { continue };
            if now >= entry.held_since.or_start() + self.limits.hold_max {
                entry.wait = Wait::Held;
                continue;
            }
            entry.operation = Operation::Extend;
            self.extending.insert(key, (handle.clone(), entry.rank));
            out.push(Extension { key, handle, lease });
        }
        out
    }

    /// Takes the outcome of an extension. Without one in flight for this id it does nothing.
    ///
    /// A redelivery that was screened meanwhile has the newer handle, whatever the answer says. What waited for the answer follows: the
    /// delete of a message that was committed meanwhile, with the newest handle.
    pub fn extend_done(&mut self, key: MessageKey, outcome: ExtendOutcome, now: Mono) {
        let Some((used, rank)) = self.extending.remove(&key) else { return };
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.operation = Operation::None;
        if entry.left {
            return self.forget(key);
        }
        let renewed = entry.handle.as_ref() != Some(&used);
        let pause = match outcome {
            ExtendOutcome::Extended { handle, next_visible, lease_end } => {
                let taken = self.extended(key, (&used, rank), (&handle, next_visible), lease_end);
                self.limits.extend_lease.filter(|_| taken).map(|lease| extended_pause(lease, now, lease_end))
            }
            ExtendOutcome::Gone if !renewed => {
                self.update(key, |entry| entry.handle = None);
                self.mark_changed(key);
                None
            }
            ExtendOutcome::Failed | ExtendOutcome::Unknown if !renewed => self.failed_pause(key),
            ExtendOutcome::Denied => {
                self.set_extend_lease(None);
                None
            }
            _ => None,
        };
        self.queue_delete(key);
        self.schedule_extend(key, pause.map(|pause| now + pause));
        self.pack(key);
    }

    /// Takes over what an extension brought, unless the handle at hand is newer. True if it did.
    fn extended(
        &mut self,
        key: MessageKey,
        used: (&Handle, HandleRank),
        new: (&Handle, ServerMs),
        end: Option<Mono>,
    ) -> bool {
        let (used, mut rank) = used;
        let (handle, next_visible) = new;
        #[cfg(feature = "traps")]
        if self.limits.has_trap(crate::traps::Trap::OldHandleKept) {
            return false;
        }
        let current = self.entries.get(&key).and_then(|entry| entry.handle.as_ref());
        if current == Some(used) && handle == used {
            return self.update(key, |entry| (entry.lease_end, entry.attempts) = (end.into(), 0)).is_some();
        }
        rank.next_visible = next_visible;
        if rank.dequeue_count > 0 {
            rank.own_changes += 1;
        } else if current != Some(used) {
            // A queue that does not count its deliveries: what came in between is newer.
            return false;
        }
        let taken = self.update(key, |entry| entry.take_handle(handle, rank, end)) == Some(true);
        if taken {
            self.mark_changed(key);
        }
        taken
    }

    /// Counts a failed try before the commit, and says when to try again. After it deleting has tries of its own.
    fn failed_pause(&mut self, key: MessageKey) -> Option<Duration> {
        let lease = self.limits.extend_lease?;
        let entry = self.entries.get_mut(&key).filter(|entry| !matches!(entry.stage, Stage::Committed(_)))?;
        let pause = shortest_pause(lease).saturating_mul(2u32.saturating_pow(entry.attempts.into())).min(lease / 8);
        entry.attempts = entry.attempts.saturating_add(1);
        Some(pause)
    }

    /// Changes what extensions set a lease to; `None` ends extending. For a lease that is learnt late.
    pub fn set_extend_lease(&mut self, lease: Option<Duration>) {
        self.limits.extend_lease = lease.filter(|lease| !lease.is_zero());
        let pressure = self.limits.pressure();
        self.leases = self.entries.values().filter_map(|entry| entry.presses_at(pressure)).collect();
        let uncommitted = self.entries.iter().filter(|(_, entry)| !matches!(entry.stage, Stage::Committed(_)));
        let keys: Vec<_> = uncommitted.map(|(key, _)| *key).collect();
        for key in keys {
            self.schedule_extend(key, None);
        }
    }

    /// When the next lease is to be extended, if any is.
    #[must_use]
    pub fn next_extend(&self) -> Option<Mono> {
        self.extends.first()
    }

    /// Extensions whose answer is not there yet.
    #[must_use]
    pub fn extends_running(&self) -> usize {
        self.extending.len()
    }

    /// Whether an extension of this id is in flight. Until its answer is there, it can be neither deleted nor released.
    #[must_use]
    pub fn is_extending(&self, key: MessageKey) -> bool {
        self.extending.contains_key(&key)
    }

    /// Puts an id into the schedule of extensions, anew, if its lease is to be extended; not before `floor`.
    pub(crate) fn schedule_extend(&mut self, key: MessageKey, floor: Option<Mono>) {
        self.cancel_extend(key);
        if self.limits.extend_lease.is_some()
            && let Some(slot) = self.entries.find(key)
        {
            self.schedule_slot(slot, floor);
        }
    }

    /// As [`schedule_extend`](Self::schedule_extend), for an id that is not scheduled.
    fn schedule_slot(&mut self, slot: Slot, floor: Option<Mono>) {
        let Some((key, entry)) = self.entries.at_mut(slot) else { return };
        let Some(wait) = self.limits.extension(entry, floor) else { return };
        entry.wait = wait;
        if let Wait::Extend(at) = wait {
            self.extends.insert(at.or_start(), Spot { slot, key });
        }
    }

    /// The same for all fresh ids of an answer, of which those whose leases end together wait for the same time.
    pub(crate) fn schedule_fresh(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        // One that came twice in the answer may be scheduled already.
        fresh.retain(|spot| self.entries.at(spot.slot).is_some_and(|entry| entry.wait == Wait::None));
        let mut left = &fresh[..];
        while let Some(first) = left.first().and_then(|spot| self.entries.at(spot.slot)) {
            let (end, wait) = (first.lease_end, self.limits.extension(first, None));
            let run = left.iter().take_while(|spot| {
                let entry = self.entries.at_mut(spot.slot).filter(|(_, entry)| entry.lease_end == end);
                entry.map(|(_, entry)| entry.wait = wait.unwrap_or_default()).is_some()
            });
            let (run, rest) = left.split_at(run.count());
            if let Some(Wait::Extend(at)) = wait {
                self.extends.insert_all(at.or_start(), run);
            }
            left = rest;
        }
        fresh.clear();
        self.fresh = fresh;
    }

    /// Takes an id out of the schedule of extensions.
    pub(crate) fn cancel_extend(&mut self, key: MessageKey) {
        if let Some(entry) = self.entries.get_mut(&key)
            && let Wait::Extend(_) | Wait::Held = entry.wait
            && let Wait::Extend(at) = std::mem::take(&mut entry.wait)
        {
            self.unschedule(at.or_start(), 1);
        }
    }

    /// Takes so many ids out of the schedule, whose entries say so already.
    pub(crate) fn unschedule(&mut self, at: Mono, count: u32) {
        self.extends.cancel(at, count, |spot| waits(&self.entries, at, spot));
    }
}

/// Whether an id that is listed in the schedule is still to be extended at that time.
pub(crate) fn waits(entries: &Entries, at: Mono, spot: Spot) -> bool {
    entries.there(spot).is_some_and(|entry| entry.wait == Wait::Extend(at.into()))
}

impl Limits {
    /// What an id is to wait for that is to be extended: the half of its lease, and not before `floor`; or nothing, if that would hold it for
    /// too long. `None` if it is not to be extended.
    fn extension(&self, entry: &Entry, floor: Option<Mono>) -> Option<Wait> {
        let half = entry.extendable()? - self.extend_lease? / 2;
        let at = Point::from(floor.map_or(half, |floor| floor.max(half)));
        let held = at.or_start() >= entry.held_since.or_start() + self.hold_max;
        Some(if held { Wait::Held } else { Wait::Extend(at) })
    }
}

impl Entry {
    /// The end of a lease that is to be made longer.
    pub(crate) fn extendable(&self) -> Option<Mono> {
        let held = matches!(self.stage, Stage::Buffered | Stage::Emitted(_)) && !self.retracted && !self.left;
        (held && self.operation == Operation::None && self.handle.is_some()).then(|| self.lease_end.get()).flatten()
    }
}

fn shortest_pause(lease: Duration) -> Duration {
    RETRY_PAUSE.min(lease / 16).max(Duration::from_millis(1))
}

/// Half of what was got, should that be less than what was asked for: a queue whose leases are short is not asked without end.
fn extended_pause(lease: Duration, now: Mono, end: Option<Mono>) -> Duration {
    end.map_or(Duration::ZERO, |end| end.since(now) / 2).max(shortest_pause(lease))
}
