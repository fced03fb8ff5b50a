//! Properties of random histories with a durable log of the source's own, against a model of the queue and of the log: nothing
//! is deleted before it is in the log, nothing gets into the log twice, it is handed out in order, and a quiet world ends with
//! everything handed out and deleted.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::BTreeSet;
use std::time::Duration;

use headwater_ledger::{
    CheckpointId, DeleteBatch, DeleteOutcome, Delivery, Grant, Handle, Ledger, Limits, LogLimits, MessageKey, Mono,
    ServerMs, Snapshot, Verdict,
};
use proptest::prelude::*;

const MESSAGES: usize = 8;
const RECORD: u64 = 10;

#[derive(Clone, Debug)]
enum Step {
    Advance(u16),
    Receive,
    /// Which receive, and which messages it brings.
    Answer(u8, u16),
    Abandon(u8),
    /// How many of those that wait are written as one group.
    Log(u8),
    HandOut(u8),
    Barrier,
    /// The newest checkpoint is saved, or given up.
    Save(bool),
    Commit,
    Deletes,
    /// Which call, and whether its answer is lost.
    Deleted(u8, bool),
    /// The log says which deletes are confirmed.
    Note,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..20_000u16).prop_map(Step::Advance),
        4 => Just(Step::Receive),
        5 => (any::<u8>(), any::<u16>()).prop_map(|(which, messages)| Step::Answer(which, messages)),
        1 => any::<u8>().prop_map(Step::Abandon),
        5 => any::<u8>().prop_map(Step::Log),
        4 => any::<u8>().prop_map(Step::HandOut),
        2 => Just(Step::Barrier),
        2 => any::<bool>().prop_map(Step::Save),
        2 => Just(Step::Commit),
        3 => Just(Step::Deletes),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(which, lost)| Step::Deleted(which, lost)),
        1 => Just(Step::Note),
        1 => Just(Step::Crash),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..5u32, 1..9u32, 1..4u32, 1..6u32, 3..9u64).prop_map(|(batch, undeleted, ids, grace_ids, log)| {
        let mut limits = Limits::default();
        (limits.batch_max, limits.delete_max) = (batch, batch);
        limits.undeleted_max = undeleted;
        (limits.message_bytes_max, limits.bytes_max) = (RECORD, 5 * RECORD);
        limits.checkpoint_max_messages = u32::MAX;
        limits.checkpoint_max_bytes = RECORD;
        limits.ledger_max_ids = ids;
        limits.grace_max_ids = grace_ids;
        limits.grace = Duration::from_secs(7);
        limits.full_patience = Duration::from_secs(1_000_000);
        let mut bounds = LogLimits::new(log * RECORD);
        bounds.record_overhead = 0;
        limits.log = Some(bounds);
        limits
    })
}

enum Entry {
    Message(Delivery),
    Deleted(Vec<MessageKey>),
}

/// What survives a crash: the queue, the log, the newest saved checkpoint; and what does not.
struct World {
    limits: Limits,
    now: Mono,
    /// How often each message was delivered; `None` once it is deleted.
    queue: [Option<u32>; MESSAGES],
    log: Vec<Entry>,
    /// Records before this one are removed.
    removed: usize,
    saved: Option<(Snapshot, usize, usize)>,
    /// Records handed out in durable epochs.
    durable: usize,
    ledger: Ledger,
    receives: Vec<Grant>,
    buffered: Vec<Delivery>,
    /// The next record to hand out.
    next: usize,
    taken: Option<(Snapshot, usize, usize)>,
    deleting: Vec<DeleteBatch>,
    confirmed: Vec<MessageKey>,
}

fn key(message: usize) -> MessageKey {
    MessageKey::of(&message.to_string())
}

fn pick<T>(from: &mut Vec<T>, which: u8) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(usize::from(which) % from.len()))
}

impl World {
    fn new(limits: Limits) -> Self {
        let now = Mono::from_millis(1);
        Self {
            ledger: Ledger::new(limits.clone(), now).unwrap(),
            limits,
            now,
            queue: [Some(0); MESSAGES],
            log: Vec::new(),
            removed: 0,
            saved: None,
            durable: 0,
            receives: Vec::new(),
            buffered: Vec::new(),
            next: 0,
            taken: None,
            deleting: Vec::new(),
            confirmed: Vec::new(),
        }
    }

    fn used(&self) -> u64 {
        (self.log[self.removed..].iter().filter(|entry| matches!(entry, Entry::Message(_))).count() as u64) * RECORD
    }

    fn logged(&self) -> BTreeSet<MessageKey> {
        self.log.iter().filter_map(|entry| if let Entry::Message(d) = entry { Some(d.key) } else { None }).collect()
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Advance(ms) => {
                self.now = self.now + Duration::from_millis(u64::from(*ms));
                self.ledger.tick(self.now, None);
            }
            Step::Receive => self.receives.extend(self.ledger.begin_receive(self.now).ok()),
            Step::Answer(which, messages) => self.answer(*which, *messages),
            Step::Abandon(which) => {
                if let Some(grant) = pick(&mut self.receives, *which) {
                    self.ledger.abandon(grant.ticket);
                }
            }
            Step::Log(many) => self.write(usize::from(*many)),
            Step::HandOut(many) => self.hand_out(usize::from(*many)),
            Step::Barrier => self.barrier(),
            Step::Save(true) => {
                if let Some(taken) = self.taken.take() {
                    self.durable = taken.1;
                    self.saved = Some(taken);
                }
            }
            Step::Save(false) => {
                if let Some((snapshot, ..)) = self.taken.take() {
                    self.ledger.abort(snapshot.checkpoint, self.now);
                }
            }
            Step::Commit => self.commit(),
            Step::Deletes => {
                if let Some(batch) = self.ledger.next_deletes(self.now) {
                    let logged = self.logged();
                    assert!(batch.keys.iter().all(|key| logged.contains(key)), "G1: not in the log");
                    self.deleting.push(batch);
                }
            }
            Step::Deleted(which, lost) => self.deleted(*which, *lost),
            Step::Note => {
                let confirmed = std::mem::take(&mut self.confirmed);
                self.log.push(Entry::Deleted(confirmed));
            }
            Step::Crash => self.crash(),
        }
        self.ledger.check().unwrap();
        assert!(self.used() <= self.limits.log.as_ref().unwrap().bytes_max, "G4: the log is larger than it may be");
    }

    fn answer(&mut self, which: u8, messages: u16) {
        let Some(grant) = pick(&mut self.receives, which) else { return };
        let mut deliveries = Vec::new();
        for (message, count) in self.queue.iter_mut().enumerate() {
            if deliveries.len() < grant.max_messages as usize
                && messages >> message & 1 == 1
                && let Some(count) = count
            {
                *count += 1;
                deliveries.push(Delivery {
                    key: key(message),
                    handle: Handle::new(&format!("{message}.{count}")),
                    dequeue_count: *count,
                    next_visible: ServerMs(0),
                    enqueued: ServerMs(1),
                    lease_end: None,
                    bytes: RECORD,
                });
            }
        }
        let verdicts = self.ledger.screen(grant.ticket, deliveries.clone());
        let fresh = deliveries.into_iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Fresh);
        self.buffered.extend(fresh.map(|(delivery, _)| delivery));
    }

    fn write(&mut self, many: usize) {
        let many = many.min(self.buffered.len());
        let logged = self.logged();
        let group: Vec<Delivery> = self.buffered.drain(..many).collect();
        assert!(group.iter().all(|delivery| !logged.contains(&delivery.key)), "G2: in the log already");
        let weighed: Vec<_> = group.iter().map(|delivery| (delivery.key, RECORD)).collect();
        self.log.extend(group.into_iter().map(Entry::Message));
        let used = self.used();
        self.ledger.log_durable(&weighed, used);
    }

    fn hand_out(&mut self, many: usize) {
        for _ in 0..=many % 4 {
            let next = self.log.iter().enumerate().skip(self.next);
            let mut messages =
                next.filter_map(|(at, entry)| if let Entry::Message(d) = entry { Some((at, d)) } else { None });
            let Some((at, delivery)) = messages.next() else { return };
            // Not before it was written; the ledger panics if it is not the oldest that waits.
            self.ledger.hand_out_logged(&[delivery.key]);
            self.next = at + 1;
        }
    }

    fn barrier(&mut self) {
        let id = CheckpointId(self.ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
        let snapshot = self.ledger.barrier(id, self.now).unwrap();
        self.taken = Some((snapshot, self.next, self.log.len()));
    }

    fn commit(&mut self) {
        let Some((snapshot, next, _)) = &self.saved else { return };
        if self.ledger.last_checkpoint() >= Some(snapshot.checkpoint) {
            self.ledger.commit(snapshot.checkpoint).unwrap();
            self.removed = self.removed.max(*next);
            let used = self.used();
            self.ledger.note_log_used(used);
        }
    }

    fn deleted(&mut self, which: u8, lost: bool) {
        let Some(batch) = pick(&mut self.deleting, which) else { return };
        let mut outcomes = Vec::new();
        for (deleted, handle) in batch.entries() {
            let message = (0..MESSAGES).find(|message| key(*message) == deleted).unwrap();
            let newest = self.queue[message].map(|count| format!("{message}.{count}"));
            let current = newest.as_deref() == Some(handle.as_str());
            if current {
                self.queue[message] = None;
            }
            outcomes.push(match (lost, current) {
                (true, _) => DeleteOutcome::Unknown,
                (false, true) => DeleteOutcome::Deleted,
                (false, false) => DeleteOutcome::Stale,
            });
        }
        self.ledger.delete_done(batch.token, &outcomes, self.now);
        let gone = batch.keys.iter().copied().filter(|key| self.ledger.is_deleted(*key));
        self.confirmed.extend(gone);
    }

    fn crash(&mut self) {
        self.ledger = Ledger::new(self.limits.clone(), self.now).unwrap();
        self.receives.clear();
        self.buffered.clear();
        self.deleting.clear();
        self.confirmed.clear();
        self.taken = None;
        let known = match &self.saved {
            Some((snapshot, next, known)) => {
                self.ledger.restore(snapshot.checkpoint, &snapshot.segments, self.now).unwrap();
                self.next = *next;
                *known
            }
            None => {
                self.next = 0;
                0
            }
        };
        assert_eq!(
            self.next, self.durable,
            "what is in a durable epoch is not handed out again, and nothing else is passed over"
        );
        assert!(self.removed <= self.next, "what is to be handed out again is still there");
        for entry in &self.log[known..] {
            match entry {
                Entry::Message(delivery) => self.ledger.recall(delivery, self.now),
                Entry::Deleted(keys) => keys.iter().for_each(|key| self.ledger.recall_deleted(*key, self.now)),
            }
        }
        self.ledger.recall_done();
        let used = self.used();
        self.ledger.note_log_used(used);
        let again = self.log[self.next..].iter();
        let again: Vec<_> = again
            .filter_map(|entry| if let Entry::Message(d) = entry { Some((d.key, RECORD)) } else { None })
            .collect();
        self.ledger.log_replayed(&again);
        if let Some((snapshot, ..)) = &self.saved {
            let id = snapshot.checkpoint;
            self.ledger.commit(id).unwrap();
            // As after any commit: what is behind its position goes, which may be what a full log waits for.
            self.removed = self.removed.max(self.next);
            let used = self.used();
            self.ledger.note_log_used(used);
        }
    }

    /// No more trouble: everything gets into the log, out of it, and out of the queue.
    fn quiet_end(&mut self) {
        // The way out of a full ledger is to raise its limit.
        self.limits.ledger_max_ids = 1_000;
        self.run(&Step::Crash);
        for _ in 0..400 {
            self.now = self.now + Duration::from_secs(8);
            self.ledger.tick(self.now, None);
            while !self.deleting.is_empty() {
                self.run(&Step::Deleted(0, false));
            }
            while !self.receives.is_empty() {
                self.run(&Step::Answer(0, u16::MAX));
            }
            for step in [Step::Log(255), Step::HandOut(3), Step::Deletes, Step::Receive] {
                self.run(&step);
            }
            if self.ledger.checkpoint_due(self.now).is_some() {
                for step in [Step::Barrier, Step::Save(true), Step::Commit] {
                    self.run(&step);
                }
            } else if self.taken.is_some() {
                self.run(&Step::Save(false));
            }
            let done = self.queue.iter().all(Option::is_none) && self.ledger.log_counts().waiting == 0;
            if done && self.logged().len() == MESSAGES {
                return;
            }
        }
        panic!("G3: {:?} {:?} {:?}", self.queue, self.ledger.counts(), self.ledger.log_counts());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_log_keeps_every_promise(limits in limits(), steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new(limits);
        for step in &steps {
            world.run(step);
        }
        world.quiet_end();
        let last = world.logged().len();
        prop_assert_eq!(last, MESSAGES);
    }
}
