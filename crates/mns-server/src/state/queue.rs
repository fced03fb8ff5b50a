//! One queue: where each message is, when that changes, and which handle is live.
//!
//! A message is in exactly one place: hidden until its delay ends, visible, or leased until its lease ends. Each place
//! is a set ordered by what leaves it first, so no operation scans. `messages` is ordered by send, which is also the
//! order of retention, so expiry needs no index of its own and follows a changed retention period at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_mns_proto::{NewMessage, numbers};

use super::attributes::Attributes;
use super::error::{ChangeVisibilityError, HandleError, OutOfRange, SendError};
use super::handle::{self, Ticket};
use super::message::{Content, Delivery, MessageId, Millis, Peeked, Sent};
use crate::random::{Random, scramble};

/// How many messages are in each place. The three are what the service calls Active, Inactive and Delay messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Ready to be received.
    pub visible: usize,
    /// Received, neither deleted nor visible again.
    pub leased: usize,
    /// Sent with a delay that has not ended.
    pub delayed: usize,
    /// Received at least once and not deleted, wherever they are now: what the service's throttle counts.
    pub undeleted: usize,
}

/// How one receive departs from the ordinary, for fault injection; the default departs in nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// So many of the messages come from those leased to somebody else: they are delivered a second time.
    pub duplicates: usize,
    /// The lease really ends after so many milliseconds.
    pub lease: Option<Millis>,
    /// With a changed lease: whether NextVisibleTime tells the truth about it.
    pub lease_told: bool,
}

/// One queue.
#[derive(Debug)]
pub struct Queue {
    attributes: Attributes,
    created: Millis,
    modified: Millis,
    /// The latest time seen. Time never goes back here, whatever the caller's clock does.
    now: Millis,
    /// Blurs handles; drawn per queue, so that a queue created anew does not honour the old one's handles.
    key: u64,
    random: Random,
    /// The low half of the ids, before scrambling, so that no two messages of a server share it.
    id_base: u64,
    next_sequence: u64,
    messages: BTreeMap<u64, Stored>,
    /// Priority, then send order.
    visible: BTreeSet<(u32, u64)>,
    /// Until when, then send order.
    leased: BTreeSet<(Millis, u64)>,
    delayed: BTreeSet<(Millis, u64)>,
    undeleted: usize,
}

#[derive(Debug)]
struct Stored {
    id: MessageId,
    content: Arc<Content>,
    priority: u32,
    enqueued: Millis,
    first_dequeued: Millis,
    dequeue_count: u32,
    place: Place,
    /// The nonce of the newest handle. It stays after the handle died, to tell expired from superseded.
    nonce: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Delayed(Millis),
    Visible,
    Leased(Millis),
}

/// A duplicate is drawn from so many of the leases that end first: enough to vary, few enough to walk.
const SPREAD: usize = 16;

/// Sequences fit the 48 bits a handle has for them; queues get the rest of the id's low half.
const SEQUENCE_BITS: u32 = 48;

impl Queue {
    /// An empty queue. `serial` numbers the queues of one server, from 0.
    pub(super) fn new(now: Millis, attributes: Attributes, mut random: Random, serial: u16) -> Self {
        Self {
            attributes,
            created: now,
            modified: now,
            now,
            key: random.bits(),
            random,
            id_base: u64::from(serial) << SEQUENCE_BITS,
            next_sequence: 0,
            messages: BTreeMap::new(),
            visible: BTreeSet::new(),
            leased: BTreeSet::new(),
            delayed: BTreeSet::new(),
            undeleted: 0,
        }
    }

    /// The settable attributes.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// When the queue was created.
    #[must_use]
    pub fn created(&self) -> Millis {
        self.created
    }

    /// When its attributes were last set.
    #[must_use]
    pub fn modified(&self) -> Millis {
        self.modified
    }

    pub(super) fn set_attributes(&mut self, now: Millis, attributes: Attributes) {
        self.advance(now);
        self.attributes = attributes;
        self.modified = self.now;
    }

    /// Moves what is due at `now`: delays and leases that ended, messages whose retention is over.
    pub fn advance(&mut self, now: Millis) {
        self.now = self.now.max(now);
        let retention = u64::from(self.attributes.message_retention_period) * 1_000;
        while let Some((&sequence, stored)) = self.messages.first_key_value() {
            if stored.enqueued + retention > self.now {
                break;
            }
            self.remove(sequence);
        }
        while let Some(&(until, sequence)) = self.delayed.first().filter(|&&(until, _)| until <= self.now) {
            self.delayed.remove(&(until, sequence));
            self.show(sequence);
        }
        while let Some(&(until, sequence)) = self.leased.first().filter(|&&(until, _)| until <= self.now) {
            self.leased.remove(&(until, sequence));
            self.show(sequence);
        }
    }

    /// Stores `batch`, in order, all or nothing.
    ///
    /// # Errors
    /// The first limit broken.
    pub fn send(&mut self, now: Millis, batch: Vec<NewMessage>) -> Result<Vec<Sent>, SendError> {
        self.advance(now);
        self.check_batch(&batch)?;
        Ok(batch.into_iter().map(|message| self.store(message)).collect())
    }

    /// Up to `max` visible messages, most urgent first, then in send order; each leased under a new handle.
    pub fn receive(&mut self, now: Millis, max: usize, quirks: Quirks) -> Vec<Delivery> {
        self.advance(now);
        let mut chosen = self.pick_duplicates(quirks.duplicates.min(max));
        while chosen.len() < max {
            let Some((_, sequence)) = self.visible.pop_first() else { break };
            chosen.push(sequence);
        }
        let told = u64::from(self.attributes.visibility_timeout) * 1_000;
        let real = quirks.lease.unwrap_or(told);
        let told = if quirks.lease_told { real } else { told };
        chosen.into_iter().filter_map(|sequence| self.lease(sequence, real, told)).collect()
    }

    /// Up to `max` visible messages, in the order a receive would take them; nothing changes.
    pub fn peek(&mut self, now: Millis, max: usize) -> Vec<Peeked> {
        self.advance(now);
        self.visible.iter().take(max).filter_map(|(_, sequence)| Some(self.messages.get(sequence)?.peeked())).collect()
    }

    /// Deletes the message whose newest, live handle this is.
    ///
    /// # Errors
    /// Why the handle is dead; nothing is deleted then.
    pub fn delete(&mut self, now: Millis, handle: &str) -> Result<MessageId, HandleError> {
        self.advance(now);
        let sequence = self.live(handle)?;
        self.remove(sequence).ok_or(HandleError::Gone)
    }

    /// Hides the message for `seconds` from now, under a new handle; the old one is dead.
    ///
    /// # Errors
    /// A timeout outside 1..=43200, or why the handle is dead.
    pub fn change_visibility(
        &mut self,
        now: Millis,
        handle: &str,
        seconds: u32,
    ) -> Result<(String, Millis), ChangeVisibilityError> {
        OutOfRange::check("VisibilityTimeout", seconds, &numbers::VISIBILITY_TIMEOUT)?;
        self.advance(now);
        let sequence = self.live(handle)?;
        let until = self.now + u64::from(seconds) * 1_000;
        let nonce = self.random.bits();
        let stored = self.messages.get_mut(&sequence).ok_or(HandleError::Gone)?;
        stored.nonce = Some(nonce);
        let old = stored.place;
        // A message that was never received stays a delayed one: its counters must not change.
        stored.place = if stored.dequeue_count == 0 { Place::Delayed(until) } else { Place::Leased(until) };
        let (new, priority) = (stored.place, stored.priority);
        self.unlink(sequence, priority, old);
        self.link(sequence, priority, new);
        Ok((handle::encode(self.key, priority, Ticket { sequence, nonce }), until))
    }

    /// How many messages are where.
    pub fn counts(&mut self, now: Millis) -> Counts {
        self.advance(now);
        Counts {
            visible: self.visible.len(),
            leased: self.leased.len(),
            delayed: self.delayed.len(),
            undeleted: self.undeleted,
        }
    }

    /// Whether a receive at `now` would find something.
    pub fn has_visible(&mut self, now: Millis) -> bool {
        self.advance(now);
        !self.visible.is_empty()
    }

    /// When the next message becomes visible by the clock alone: the earliest end of a lease or a delay.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        let firsts = [self.leased.first(), self.delayed.first()];
        firsts.into_iter().flatten().map(|&(until, _)| until).min()
    }

    fn check_batch(&self, batch: &[NewMessage]) -> Result<(), SendError> {
        OutOfRange::check("numOfMessages", u32::try_from(batch.len()).unwrap_or(u32::MAX), &numbers::BATCH)?;
        for message in batch {
            OutOfRange::check("DelaySeconds", message.delay_seconds.unwrap_or(0), &numbers::DELAY_SECONDS)?;
            OutOfRange::check("Priority", message.priority.unwrap_or(numbers::DEFAULT_PRIORITY), &numbers::PRIORITY)?;
            if message.body.len() > self.attributes.maximum_message_size as usize {
                return Err(SendError::TooLarge);
            }
        }
        let total: usize = batch.iter().map(|message| message.body.len()).sum();
        if total > numbers::MAX_BATCH_SEND_BYTES { Err(SendError::BatchTooLarge) } else { Ok(()) }
    }

    fn store(&mut self, message: NewMessage) -> Sent {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        // The low half is a bijection of queue and sequence, so ids cannot collide; the high half is drawn.
        let id = MessageId(u128::from(self.random.bits()) << 64 | u128::from(scramble(self.id_base | sequence)));
        let priority = message.priority.unwrap_or(numbers::DEFAULT_PRIORITY);
        let delay = u64::from(message.delay_seconds.unwrap_or(self.attributes.delay_seconds)) * 1_000;
        let place = if delay == 0 { Place::Visible } else { Place::Delayed(self.now + delay) };
        let nonce = (delay > 0).then(|| self.random.bits());
        let content = Content::from(message);
        let body_md5 = content.body_md5.clone();
        let stored = Stored {
            id,
            content: Arc::new(content),
            priority,
            enqueued: self.now,
            first_dequeued: 0,
            dequeue_count: 0,
            place,
            nonce,
        };
        self.messages.insert(sequence, stored);
        self.link(sequence, priority, place);
        let handle = nonce.map(|nonce| handle::encode(self.key, priority, Ticket { sequence, nonce }));
        Sent { id, body_md5, handle }
    }

    /// Takes up to `wanted` leased messages out of their place, spread over the first leases to end.
    fn pick_duplicates(&mut self, wanted: usize) -> Vec<u64> {
        let mut chosen = Vec::new();
        for _ in 0..wanted {
            let skip = self.random.below(self.leased.len().min(SPREAD));
            let Some(&entry) = self.leased.iter().nth(skip) else { break };
            self.leased.remove(&entry);
            chosen.push(entry.1);
        }
        chosen
    }

    /// Leases a message that was just taken out of its place.
    fn lease(&mut self, sequence: u64, real: Millis, told: Millis) -> Option<Delivery> {
        let nonce = self.random.bits();
        let stored = self.messages.get_mut(&sequence)?;
        if stored.dequeue_count == 0 {
            stored.first_dequeued = self.now;
            self.undeleted += 1;
        }
        stored.dequeue_count += 1;
        stored.nonce = Some(nonce);
        stored.place = Place::Leased(self.now + real);
        let delivery = Delivery {
            message: stored.peeked(),
            handle: handle::encode(self.key, stored.priority, Ticket { sequence, nonce }),
            next_visible: self.now + told,
        };
        self.leased.insert((self.now + real, sequence));
        Some(delivery)
    }

    /// The message `handle` may act on.
    fn live(&self, handle: &str) -> Result<u64, HandleError> {
        let ticket = handle::decode(self.key, handle).ok_or(HandleError::Malformed)?;
        let stored = self.messages.get(&ticket.sequence).ok_or(HandleError::Gone)?;
        if stored.nonce != Some(ticket.nonce) {
            return Err(HandleError::Superseded);
        }
        if stored.place == Place::Visible { Err(HandleError::Expired) } else { Ok(ticket.sequence) }
    }

    /// Makes visible a message that was just taken out of its place.
    fn show(&mut self, sequence: u64) {
        if let Some(stored) = self.messages.get_mut(&sequence) {
            stored.place = Place::Visible;
            self.visible.insert((stored.priority, sequence));
        }
    }

    fn remove(&mut self, sequence: u64) -> Option<MessageId> {
        let stored = self.messages.remove(&sequence)?;
        self.unlink(sequence, stored.priority, stored.place);
        if stored.dequeue_count > 0 {
            self.undeleted -= 1;
        }
        Some(stored.id)
    }

    fn link(&mut self, sequence: u64, priority: u32, place: Place) {
        match place {
            Place::Visible => self.visible.insert((priority, sequence)),
            Place::Delayed(until) => self.delayed.insert((until, sequence)),
            Place::Leased(until) => self.leased.insert((until, sequence)),
        };
    }

    fn unlink(&mut self, sequence: u64, priority: u32, place: Place) {
        match place {
            Place::Visible => self.visible.remove(&(priority, sequence)),
            Place::Delayed(until) => self.delayed.remove(&(until, sequence)),
            Place::Leased(until) => self.leased.remove(&(until, sequence)),
        };
    }
}

impl Stored {
    fn peeked(&self) -> Peeked {
        Peeked {
            id: self.id,
            content: Arc::clone(&self.content),
            priority: self.priority,
            enqueued: self.enqueued,
            first_dequeued: self.first_dequeued,
            dequeue_count: self.dequeue_count,
        }
    }
}
