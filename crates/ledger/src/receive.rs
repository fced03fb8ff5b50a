//! Receiving: permits before a call, screening after it, hand-out.

use std::time::Duration;

use crate::entries::{Slot, Spot};
use crate::entry::{Entry, HandleRank, Operation, Stage, Wait};
use crate::ids::{Handle, MessageKey, Mono, ServerMs, Ticket};
use crate::ledger::{Ledger, Reservation};
use crate::limits::Pressing;

/// Leave to make one receive call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To be given back with [`Ledger::screen`] or [`Ledger::abandon`].
    pub ticket: Ticket,
    /// Messages to ask for: min(batch, free permits, free bytes / largest message).
    pub max_messages: u32,
    /// The ledger or the log is full: only known ids are taken from the answer, the others are left to lapse.
    pub screening: bool,
}

/// Why no receive may start now. Each ends by itself: by a commit, by deletes, by answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocked {
    /// `undeletedMax` messages are received and not deleted.
    Undeleted,
    /// `bytesMax` bytes are received and not committed.
    Bytes,
    /// The ledger is full and its one screening receive is running.
    Full,
    /// Too many deleted ids wait for older receives to end.
    Grace,
    /// The source's own log has no room for one more message: it is full, and there is no unconfirmed id that a screening receive
    /// could settle; or what is left is reserved for receives on their way.
    Log,
}

/// One message of an answer, as far as the ledger cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The hash of its id.
    pub key: MessageKey,
    /// The handle of this delivery.
    pub handle: Handle,
    /// How often it was delivered, this time included; 0 if the queue does not say.
    pub dequeue_count: u32,
    /// When it becomes visible again by the queue's clock; 0 if the queue does not say. Orders handles.
    pub next_visible: ServerMs,
    /// When the queue took it, by the queue's clock.
    pub enqueued: ServerMs,
    /// The end of its lease on the monotonic clock, with margin. A hint for scheduling only.
    pub lease_end: Option<Mono>,
    /// Size of its body and properties in bytes.
    pub bytes: u64,
}

/// What to do with one message of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// New: decode it and offer it to the consumer.
    Fresh,
    /// Known: drop the body; the ledger has taken what it needs.
    Duplicate,
    /// New, but the ledger is full, or the answer is longer than what was asked for: drop it without a trace; it
    /// becomes visible again by itself.
    Lapse,
}

/// Messages of an answer that are looked up among the deleted ids together, so that the memory of one is on its way while the next is
/// looked up. 16, an answer.
const LOOKED_UP: usize = 16;

impl Ledger {
    /// Asks for leave to make a receive call. Every grant ends in exactly one [`screen`](Self::screen) or
    /// [`abandon`](Self::abandon).
    ///
    /// # Errors
    /// What stands against it; ask again after the next change.
    pub fn begin_receive(&mut self, now: Mono) -> Result<Grant, Blocked> {
        let (messages, screening) = self.admissible()?;
        if screening && self.counts.unconfirmed >= u64::from(self.limits.ledger_max_ids) {
            self.full_since.get_or_insert(now);
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let bytes = u64::from(messages) * self.limits.message_bytes_max;
        self.receives.insert(ticket, Reservation { messages, bytes, screening, began: now });
        self.counts.receives += 1;
        self.counts.reserved += u64::from(messages);
        self.counts.reserved_bytes += bytes;
        Ok(Grant { ticket, max_messages: messages, screening })
    }

    /// Whether a receive could start, without starting it.
    ///
    /// # Errors
    /// What stands against it.
    pub fn can_receive(&self) -> Result<(), Blocked> {
        self.admissible().map(|_| ())
    }

    fn admissible(&self) -> Result<(u32, bool), Blocked> {
        let limits = &self.limits;
        let undeleted = self.counts.undeleted();
        #[cfg(feature = "traps")]
        let undeleted = match self.limits.has_trap(crate::traps::Trap::UncommittedUncounted) {
            true => undeleted - self.counts.uncommitted,
            false => undeleted,
        };
        let free = u64::from(limits.undeleted_max).saturating_sub(undeleted);
        let free_bytes = limits.bytes_max.saturating_sub(self.held_bytes() + self.counts.reserved_bytes);
        let messages = u64::from(limits.batch_max).min(free).min(free_bytes / limits.message_bytes_max);
        let log_room = self.log_room();
        let log_full = self.log_full();
        let messages = log_room.filter(|_| !log_full).map_or(messages, |room| messages.min(room));
        let messages = u32::try_from(messages).unwrap_or(limits.batch_max);
        if self.counts.deleted >= u64::from(limits.grace_max_ids) {
            Err(Blocked::Grace)
        } else if free == 0 {
            Err(Blocked::Undeleted)
        } else if log_room == Some(0) && (!log_full || self.counts.unconfirmed == 0) {
            Err(Blocked::Log)
        } else if messages == 0 {
            Err(Blocked::Bytes)
        // Known ids that came back to a full ledger do not count until their deletes have failed too, so new ones may come in meanwhile,
        // as far as the bound allows. Counted, a ledger whose deletes fail for long would end its job where this one recovers.
        } else if self.counts.unconfirmed < u64::from(limits.ledger_max_ids) && !log_full {
            Ok((messages, false))
        } else if self.receives.is_empty() {
            Ok((messages, true))
        } else {
            Err(Blocked::Full)
        }
    }

    /// How long the ledger has been full without becoming free. Past [`Limits::full_patience`](crate::Limits::full_patience)
    /// the source fails and names the ways out.
    #[must_use]
    pub fn full_for(&self, now: Mono) -> Option<Duration> {
        let full = self.counts.unconfirmed >= u64::from(self.limits.ledger_max_ids);
        self.full_since.filter(|_| full).map(|since| now.since(since))
    }

    /// Ends a receive whose answer was read: says for each message, in order, what to do with it.
    ///
    /// A known id gives its permit back, renews its handle if the delivery is newer, and is queued for deletion if it
    /// is committed. An unknown ticket (ended before) yields no verdict: an answer after abandonment is never read.
    pub fn screen(&mut self, ticket: Ticket, mut deliveries: Vec<Delivery>) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(deliveries.len());
        self.screen_into(ticket, &mut deliveries, &mut verdicts);
        verdicts
    }

    /// As [`screen`](Self::screen), for a driver that keeps the memory of both lists for its next answer: takes all deliveries, and adds as
    /// many verdicts or none.
    pub fn screen_into(&mut self, ticket: Ticket, deliveries: &mut Vec<Delivery>, verdicts: &mut Vec<Verdict>) {
        let Some(reservation) = self.end_receive(ticket) else { return deliveries.clear() };
        let permits = if reservation.screening { 0 } else { reservation.messages as usize };
        let (began, before) = (reservation.began, verdicts.len());
        let mut deliveries = deliveries.drain(..);
        while !deliveries.as_slice().is_empty() {
            let mut buried = [false; LOOKED_UP];
            self.graves.touch(deliveries.as_slice().iter().take(LOOKED_UP).map(|delivery| delivery.key));
            self.graves.may_hold(deliveries.as_slice().iter().map(|delivery| delivery.key), &mut buried);
            for (delivery, buried) in deliveries.by_ref().take(LOOKED_UP).zip(buried) {
                let permitted = verdicts.len() - before < permits;
                verdicts.push(self.screen_one(delivery, began, permitted, buried));
            }
        }
        self.schedule_fresh();
    }

    /// Ends a receive whose answer will never be read: an error, a deadline, a stop.
    pub fn abandon(&mut self, ticket: Ticket) {
        self.end_receive(ticket);
    }

    fn end_receive(&mut self, ticket: Ticket) -> Option<Reservation> {
        let reservation = self.receives.remove(&ticket)?;
        self.counts.receives -= 1;
        self.counts.reserved -= u64::from(reservation.messages);
        self.counts.reserved_bytes -= reservation.bytes;
        Some(reservation)
    }

    /// Nothing is buried by screening, so what was not buried when it began is not.
    fn screen_one(&mut self, delivery: Delivery, began: Mono, permitted: bool, buried: bool) -> Verdict {
        let rank =
            HandleRank { dequeue_count: delivery.dequeue_count, own_changes: 0, next_visible: delivery.next_visible };
        let key = delivery.key;
        #[cfg(feature = "traps")]
        if self.is_dropped_by_trap(key) {
            return Verdict::Duplicate;
        }
        if self.compact.len() > 0 {
            self.unpack(key);
        }
        let newer = self.update(key, |entry| entry.take_handle(&delivery.handle, rank, delivery.lease_end));
        let newer = newer.or_else(|| if buried { self.exhume(&delivery, rank, began) } else { None });
        let Some(newer) = newer else {
            if !permitted {
                return Verdict::Lapse;
            }
            let slot = self.insert(delivery, rank, Stage::Buffered, began);
            self.fresh.push(Spot { slot, key });
            return Verdict::Fresh;
        };
        if newer {
            self.mark_changed(key);
            self.cancel_retry(key);
            self.queue_delete(key);
            self.schedule_extend(key, None);
        } else {
            self.pack(key);
        }
        Verdict::Duplicate
    }

    /// A deleted id came back although its delete was confirmed: it is deleted again, never emitted. `None` if it is not
    /// known as deleted, false if this delivery is older (then its answer was merely slower than the delete).
    fn exhume(&mut self, delivery: &Delivery, rank: HandleRank, began: Mono) -> Option<bool> {
        let (known, burial) = self.graves.get(delivery.key)?;
        if rank < known {
            return Some(false);
        }
        self.graves.raise(delivery.key);
        self.counts.deleted -= 1;
        self.ghosts += 1;
        self.insert(delivery.clone(), rank, Stage::Committed(burial.checkpoint), began);
        Some(true)
    }

    fn insert(&mut self, delivery: Delivery, rank: HandleRank, stage: Stage, held_since: Mono) -> Slot {
        let entry = Entry {
            stage,
            handle: Some(delivery.handle),
            rank,
            enqueued: delivery.enqueued,
            lease_end: delivery.lease_end.into(),
            held_since: held_since.into(),
            bytes: delivery.bytes,
            operation: Operation::None,
            wait: Wait::None,
            attempts: 0,
            persisted: stage != Stage::Buffered,
            changed: false,
            retracted: false,
            left: false,
        };
        self.place(delivery.key, entry)
    }

    /// Notes that messages were handed to the consumer, in the open epoch. This is the linearisation point: call it
    /// in the same step that gives the rows away. Messages without rows are handed out like any other.
    ///
    /// # Panics
    /// In debug builds, when an id is not buffered: the caller handed out something twice, or something it never
    /// received (G2). In release builds such an id keeps the stage it has.
    pub fn hand_out(&mut self, keys: &[MessageKey]) {
        let mut pressing = Pressing::new(self.limits.pressure());
        self.open.reserve(keys.len());
        self.changed.reserve(keys.len());
        for &key in keys {
            let found = self.entries.find(key).and_then(|slot| Some((slot, self.entries.at_mut(slot)?.1)));
            let buffered = found.filter(|(_, entry)| entry.stage == Stage::Buffered);
            debug_assert!(buffered.is_some(), "G2: {key:?} handed out twice, or never received");
            let Some((slot, entry)) = buffered else { continue };
            self.counts.remove(entry);
            entry.stage = Stage::Emitted(None);
            self.counts.add(entry);
            if let Some((at, count)) = pressing.next(entry) {
                self.leases.add(at, count);
            }
            self.open.push(slot);
            if !std::mem::replace(&mut entry.changed, true) {
                self.changed.push(Spot { slot, key });
            }
        }
        if let Some((at, count)) = pressing.end() {
            self.leases.add(at, count);
        }
    }

    /// Whether a message is in the open epoch: handed out, with no barrier cut since.
    #[must_use]
    pub fn is_open(&self, key: MessageKey) -> bool {
        self.entries.get(&key).is_some_and(|entry| entry.stage == Stage::Emitted(None))
    }

    /// Takes a message out of the open epoch, as if it had not been handed out: no snapshot will hold it. It keeps its
    /// permit, and redeliveries of it stay suppressed, until it is given back with [`release`](Self::release). False, and
    /// nothing changes, if it is not in the open epoch: what a barrier has cut cannot be taken back.
    pub fn retract(&mut self, key: MessageKey) -> bool {
        let Some(slot) = self.entries.find(key).filter(|_| self.is_open(key)) else { return false };
        self.open.retain(|other| *other != slot);
        self.cancel_extend(key);
        self.update(key, |entry| {
            entry.stage = Stage::Buffered;
            // It stays listed as a change, so that a checkpoint comes after which it may be given back.
            entry.changed = false;
            entry.retracted = true;
        });
        self.retracted += 1;
        true
    }

    /// Drops a buffered message that shall not be handed out: it becomes visible again at the end of its lease. If that is being
    /// extended, it is dropped when the answer is there.
    pub fn leave(&mut self, key: MessageKey) {
        match self.entries.get_mut(&key).filter(|entry| entry.stage == Stage::Buffered) {
            // Its next delivery would be new, and there is one operation per id.
            Some(entry) if entry.operation == Operation::Extend => entry.left = true,
            Some(_) => self.forget(key),
            None => {}
        }
    }
}

/// The earlier of two points, where there are two.
pub(crate) fn earlier(a: Option<Mono>, b: Option<Mono>) -> Option<Mono> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn delivery(n: u8) -> Delivery {
        Delivery {
            key: MessageKey(n.into()),
            handle: Handle::new(&n.to_string()),
            dequeue_count: 1,
            next_visible: ServerMs(0),
            enqueued: ServerMs(0),
            lease_end: None,
            bytes: 1,
        }
    }

    /// Whatever is left in a list would be taken for a part of the next answer.
    #[test]
    fn a_kept_list_of_deliveries_is_always_emptied_and_one_of_verdicts_added_to() {
        let limits = Limits { batch_max: 2, ..Limits::default() };
        let mut ledger = Ledger::new(limits, Mono::default()).unwrap();
        let ticket = |ledger: &mut Ledger| ledger.begin_receive(Mono::default()).unwrap().ticket;
        let (mut deliveries, mut verdicts) = (Vec::new(), Vec::new());
        let (first, second) = (ticket(&mut ledger), ticket(&mut ledger));
        deliveries.extend([1, 2, 3].map(delivery));
        ledger.screen_into(first, &mut deliveries, &mut verdicts);
        assert_eq!(verdicts, [Verdict::Fresh, Verdict::Fresh, Verdict::Lapse], "more than was asked for");
        for ended in [first, Ticket(9)] {
            deliveries.extend([3, 4].map(delivery));
            ledger.screen_into(ended, &mut deliveries, &mut verdicts);
            assert_eq!((deliveries.len(), verdicts.len()), (0, 3), "{ended:?} has ended, or never began");
        }
        deliveries.extend([1, 3].map(delivery));
        ledger.screen_into(second, &mut deliveries, &mut verdicts);
        assert_eq!(verdicts[3..], [Verdict::Duplicate, Verdict::Fresh], "by its own leave, whatever is listed already");
        assert_eq!((deliveries.len(), ledger.counts().buffered), (0, 3));
        assert_eq!(ledger.check(), Ok(()));
    }

    /// Also where they share some of what tells when they press for a checkpoint, and when they are to be extended.
    #[test]
    fn an_answer_is_taken_as_if_its_messages_came_one_by_one() {
        let mut random = 5_u64;
        let mut random = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for round in 0..400 {
            let extend_lease = (round % 3 > 0).then(|| Duration::from_secs(1 + random(20)));
            let hold_max = Duration::from_secs(10 + random(20));
            let limits = Limits { batch_max: 40, extend_lease, hold_max, ..Limits::default() };
            let one = Limits { batch_max: 1, ..limits.clone() };
            let mut together = Ledger::new(limits, Mono::default()).unwrap();
            let mut apart = Ledger::new(one, Mono::default()).unwrap();
            for answer in 0..3 {
                let now = Mono::from_millis(4_000 * answer);
                let deliveries: Vec<_> = (0..random(40))
                    .map(|_| Delivery {
                        dequeue_count: 1 + random(3) as u32,
                        lease_end: [None, Some(5), Some(9), Some(30)][random(4) as usize]
                            .map(|s| Mono::from_millis(s * 1_000)),
                        ..delivery(random(60) as u8)
                    })
                    .collect();
                let ticket = together.begin_receive(now).unwrap().ticket;
                let verdicts = together.screen(ticket, deliveries.clone());
                let each = deliveries.into_iter().map(|delivery| {
                    let ticket = apart.begin_receive(now).unwrap().ticket;
                    apart.screen(ticket, vec![delivery])[0]
                });
                assert_eq!(verdicts, each.collect::<Vec<_>>(), "round {round}");
                let buffered = |(key, entry): (&MessageKey, &Entry)| (entry.stage == Stage::Buffered).then_some(*key);
                let mut keys: Vec<_> = together.entries.iter().filter_map(buffered).collect();
                keys.sort_unstable();
                keys.retain(|_| random(3) > 0);
                together.hand_out(&keys);
                keys.iter().for_each(|key| apart.hand_out(&[*key]));
                assert_eq!((together.ids(), together.counts()), (apart.ids(), apart.counts()), "round {round}");
                assert_eq!(
                    (together.next_deadline(), together.check()),
                    (apart.next_deadline(), Ok(())),
                    "round {round}"
                );
            }
            while let Some(at) = together.next_extend() {
                assert_eq!(together.next_extends(at, 3), apart.next_extends(at, 3), "round {round}");
            }
            assert_eq!(apart.next_extend(), None);
        }
    }
}
