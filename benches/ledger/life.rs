//! A driver that does what a source does, with answers that were made beforehand.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use headwater_ledger::{
    CheckpointId, DeleteOutcome, Delivery, Grant, Handle, Ledger, Limits, MessageKey, Mono, ServerMs, SharedStr,
};

use crate::cpu_time::now;

/// Messages of a checkpoint.
pub(crate) const EPOCH: u64 = 2_000;
const ANSWER: u64 = 16;
/// Messages handed out at a time.
const BATCH: usize = 64;
/// Between two answers: 3,200 messages a second.
const PAUSE: Duration = Duration::from_millis(5);
const LEASE: Duration = Duration::from_secs(30);
const HANDLE: &str = "1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA==";
const RECEIVED: i64 = 1_642_865_202_119;

/// The parts of a message's life, in the order of [`Life::epoch_by_phases`].
pub(crate) const PHASES: [&str; 7] =
    ["receive", "hand out", "barrier", "commit", "next deletes", "delete done", "tick"];

/// Whether keys are at hand, or hashed from ids of 32 bytes each time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    Keys,
    Text,
}

/// Answers of 16, one after the other, with the ids to be hashed.
#[derive(Clone, Default)]
pub(crate) struct Answers {
    answers: Vec<Vec<Delivery>>,
    ids: Vec<Vec<String>>,
}

#[derive(Clone)]
pub(crate) struct Life {
    ledger: Ledger,
    ids: Ids,
    receives: VecDeque<Grant>,
    in_flight: usize,
    next: u64,
    time: Mono,
    buffered: Vec<MessageKey>,
}

impl Life {
    pub(crate) fn new(ids: Ids, extend: bool, in_flight: usize) -> Self {
        let mut limits = Limits::default();
        limits.retention = Duration::from_secs(345_600);
        limits.extend_lease = extend.then_some(LEASE);
        Self::with(limits, ids, in_flight)
    }

    fn with(limits: Limits, ids: Ids, in_flight: usize) -> Self {
        let time = Mono::from_millis(0);
        // Limits that are the defaults, or larger.
        let ledger = Ledger::new(limits, time).expect("they can work");
        Self { ledger, ids, receives: VecDeque::new(), in_flight, next: 0, time, buffered: Vec::new() }
    }

    /// A ledger that remembers so many ids for longer than this takes.
    pub(crate) fn remembering(ids: u64, stale: bool) -> Self {
        let mut limits = Limits::default();
        // What is remembered here is beyond what a job allows, but for one that asks for it.
        limits.grace_max_ids = 20_000_000;
        limits.ledger_max_ids = 20_000_000;
        limits.grace = Duration::from_secs(1_000_000_000);
        let mut life = Self::with(limits, Ids::Keys, 1);
        let outcome = if stale { DeleteOutcome::Stale } else { DeleteOutcome::Deleted };
        for _ in 0..ids.div_ceil(EPOCH) {
            let answers = life.answers();
            life.live(answers, outcome);
        }
        life
    }

    /// Lets so many messages pass, in whole epochs.
    pub(crate) fn pass(&mut self, messages: u64) {
        for _ in 0..messages.div_ceil(EPOCH) {
            self.epoch();
        }
    }

    fn key(n: u64) -> MessageKey {
        // The two halves spread as those of a hash do.
        let mix = |n: u64| {
            let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            n ^ (n >> 31)
        };
        MessageKey(u128::from(mix(n.wrapping_add(0x9e37_79b9))) << 64 | u128::from(mix(!n)))
    }

    fn delivery(&self, n: u64, handle: Handle) -> Delivery {
        Delivery {
            key: Self::key(n),
            handle,
            dequeue_count: 1,
            next_visible: ServerMs(RECEIVED + n as i64 / 4),
            enqueued: ServerMs(RECEIVED - 1_000 + n as i64 / 4),
            lease_end: Some(self.time + LEASE),
            bytes: 300,
        }
    }

    /// The answers of an epoch.
    fn answers(&mut self) -> Answers {
        let mut out = Answers::default();
        for answer in 0..EPOCH / ANSWER {
            let numbers = self.next..self.next + ANSWER;
            self.next += ANSWER;
            // As a queue makes them: slices of one text.
            let text: String = numbers.clone().map(|n| format!("{HANDLE}{n:016}")).collect();
            let (text, each) = (SharedStr::from(text.as_str()), HANDLE.len() + 16);
            let handle = |at: usize| Handle(text.slice(at * each..(at + 1) * each));
            let mut deliveries: Vec<_> =
                numbers.clone().enumerate().map(|(at, n)| self.delivery(n, handle(at))).collect();
            let then = PAUSE * answer as u32;
            deliveries.iter_mut().for_each(|d| d.lease_end = d.lease_end.map(|end| end + then));
            out.answers.push(deliveries);
            out.ids.push(match self.ids {
                Ids::Keys => Vec::new(),
                Ids::Text => numbers.map(|n| format!("5F290C926D472878-2-{n:014X}")).collect(),
            });
        }
        out
    }

    /// One epoch of messages in the order in which a source does it; the time it takes.
    pub(crate) fn epoch(&mut self) -> Duration {
        let mut answers = self.answers();
        let began = now();
        if self.ids == Ids::Text {
            for (deliveries, ids) in answers.answers.iter_mut().zip(&answers.ids) {
                deliveries.iter_mut().zip(ids).for_each(|(delivery, id)| delivery.key = MessageKey::of(id));
            }
        }
        self.live(answers, DeleteOutcome::Deleted);
        now() - began
    }

    fn live(&mut self, answers: Answers, outcome: DeleteOutcome) {
        for deliveries in answers.answers {
            self.time = self.time + PAUSE;
            self.receive(deliveries);
            if self.buffered.len() >= BATCH {
                self.hand_out();
            }
            self.delete(outcome);
            self.ledger.tick(self.time, None);
            if self.ledger.checkpoint_due(self.time).is_some() {
                self.barrier();
                self.commit();
            }
        }
        // What the last answers brought is of the next checkpoint, as it happens.
        self.delete(outcome);
    }

    /// The same, one phase after the other; the time of each.
    pub(crate) fn epoch_by_phases(&mut self) -> [Duration; PHASES.len()] {
        let answers = self.answers();
        let mut spent = [Duration::ZERO; PHASES.len()];
        let mut last = now();
        let mut lap = |at: usize| {
            let now = now();
            spent[at] = now - std::mem::replace(&mut last, now);
        };
        answers.answers.into_iter().for_each(|deliveries| self.receive(deliveries));
        lap(0);
        self.hand_out();
        lap(1);
        self.barrier();
        lap(2);
        self.commit();
        lap(3);
        let mut calls = Vec::new();
        while let Some(batch) = self.ledger.next_deletes(self.time) {
            calls.push(batch);
        }
        lap(4);
        for batch in calls {
            self.ledger.delete_done(batch.token, &[DeleteOutcome::Deleted; ANSWER as usize], self.time);
        }
        lap(5);
        for _ in 0..EPOCH / ANSWER {
            self.time = self.time + PAUSE;
            self.ledger.tick(self.time, None);
        }
        lap(6);
        spent
    }

    /// Answers come in the order in which they were asked for.
    fn receive(&mut self, deliveries: Vec<Delivery>) {
        while self.receives.len() < self.in_flight {
            self.receives.push_back(self.ledger.begin_receive(self.time).expect("there is room"));
        }
        let grant = self.receives.pop_front().expect("one was begun");
        self.buffered.extend(deliveries.iter().map(|delivery| delivery.key));
        black_box(self.ledger.screen(grant.ticket, deliveries));
    }

    fn hand_out(&mut self) {
        self.buffered.chunks(BATCH).for_each(|keys| self.ledger.hand_out(keys));
        self.buffered.clear();
    }

    fn barrier(&mut self) {
        let id = CheckpointId(self.ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
        black_box(self.ledger.barrier(id, self.time).expect("its number grows"));
    }

    fn commit(&mut self) {
        let id = self.ledger.last_checkpoint().expect("one was cut");
        self.ledger.commit(id).expect("it was cut");
        self.ledger.release_stored();
    }

    fn delete(&mut self, outcome: DeleteOutcome) {
        while let Some(batch) = self.ledger.next_deletes(self.time) {
            self.ledger.delete_done(batch.token, &[outcome; ANSWER as usize], self.time);
        }
    }

    /// Answers with new ids, or with ids that are remembered.
    pub(crate) fn answers_for_screening(&mut self, answers: &mut Answers, known: bool) {
        let upto = self.next;
        *answers = self.answers();
        if known {
            let step = 1_000_003;
            for (i, delivery) in (0..).zip(answers.answers.iter_mut().flatten()) {
                *delivery = self.delivery((upto + i) * step % upto, delivery.handle.clone());
                // Older than what is known, so that nothing changes.
                delivery.dequeue_count = 0;
            }
        }
    }

    /// Screens each answer, and leaves what is new in the queue.
    pub(crate) fn screen_only(&mut self, answers: Answers) {
        for deliveries in answers.answers {
            let keys: Vec<_> = deliveries.iter().map(|delivery| delivery.key).collect();
            let grant = self.ledger.begin_receive(self.time).expect("there is room");
            black_box(self.ledger.screen(grant.ticket, deliveries));
            keys.into_iter().for_each(|key| self.ledger.leave(key));
        }
    }
}
