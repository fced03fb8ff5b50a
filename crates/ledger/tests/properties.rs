//! Properties of random histories: the whole ledger holds together after every step, its deadlines are honest, its bounds
//! hold, and what is restored is what was there.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headwater_ledger::{
    CheckpointId, DeleteOutcome, DeleteToken, Delivery, ExtendOutcome, Extension, Grant, Handle, IdView, Ledger,
    Limits, MessageKey, Mono, Segment, ServerMs, Snapshot,
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// One step. Numbers choose among what is there (running receives, buffered ids …), modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Advance(u16),
    Receive,
    /// Which receive; per message: which id, how much later than its last delivery, how long its lease.
    Answer(u8, Vec<(u8, u8, u8)>),
    Abandon(u8),
    HandOut(u8),
    Leave(u8),
    /// A bit for each id that is kept for the next epoch.
    Barrier(u16),
    Commit(u8),
    Abort,
    Deletes,
    Deleted(u8, Vec<u8>),
    Tick,
    Announce,
    Retract(u8),
    GiveBack(u8),
    Extends(u8),
    /// Which extension, its outcome, how long its lease.
    Extended(u8, u8, u8),
    ExtendLease(bool),
    Release(bool),
    Restart(u8),
    /// Everything buffered is committed, and every handle of it found dead.
    Unconfirm,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..20_000u16).prop_map(Step::Advance),
        4 => Just(Step::Receive),
        6 => (any::<u8>(), prop::collection::vec((0..12u8, 0..4u8, 0..40u8), 0..5)).prop_map(|(r, d)| Step::Answer(r, d)),
        1 => any::<u8>().prop_map(Step::Abandon),
        5 => any::<u8>().prop_map(Step::HandOut),
        1 => any::<u8>().prop_map(Step::Leave),
        2 => Just(Step::Barrier(0)),
        1 => any::<u16>().prop_map(Step::Barrier),
        3 => any::<u8>().prop_map(Step::Commit),
        1 => Just(Step::Abort),
        4 => Just(Step::Deletes),
        4 => (any::<u8>(), prop::collection::vec(0..4u8, 0..5)).prop_map(|(w, o)| Step::Deleted(w, o)),
        2 => Just(Step::Tick),
        2 => Just(Step::Announce),
        1 => any::<u8>().prop_map(Step::Retract),
        1 => any::<u8>().prop_map(Step::GiveBack),
        4 => (1..4u8).prop_map(Step::Extends),
        4 => (any::<u8>(), 0..12u8, 0..40u8).prop_map(|(w, o, l)| Step::Extended(w, o, l)),
        1 => any::<bool>().prop_map(Step::ExtendLease),
        1 => any::<bool>().prop_map(Step::Release),
        1 => any::<u8>().prop_map(Step::Restart),
        2 => Just(Step::Unconfirm),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..5u32, 1..9u32, 0..3u32, 1..4u32, 0..4u32, any::<bool>(), 1..6u32, 0..30u64, 0..4u32).prop_map(
        |(batch, undeleted, retries, ids, deltas, strict, grace_ids, lease, shards)| {
            let mut limits = Limits::default();
            limits.batch_max = batch;
            limits.delete_max = batch;
            limits.undeleted_max = undeleted;
            limits.message_bytes_max = 10;
            limits.bytes_max = 50;
            limits.checkpoint_max_messages = undeleted.div_ceil(2);
            limits.checkpoint_max_bytes = 25;
            limits.delete_max_retries = retries;
            limits.ledger_max_ids = ids;
            limits.deltas_max = deltas;
            limits.shards = 1 << shards;
            limits.stale_delete_is_error = strict;
            limits.grace_max_ids = grace_ids;
            limits.grace = 7 * SECOND;
            limits.retention = 60 * SECOND;
            // Half of the histories extend.
            limits.extend_lease = lease.checked_sub(15).filter(|lease| *lease > 0).map(Duration::from_secs);
            limits.hold_max = 40 * SECOND;
            limits
        },
    )
}

/// A ledger, and what the caller of it has to remember.
struct World {
    ledger: Ledger,
    limits: Limits,
    now: Mono,
    receives: Vec<Grant>,
    delivered: [u32; 12],
    buffered: BTreeSet<MessageKey>,
    deleting: Vec<(DeleteToken, usize)>,
    released: Vec<MessageKey>,
    retracted: Vec<MessageKey>,
    extending: Vec<Extension>,
    // Given names, so that no two handles are alike.
    extended: u32,
    snapshots: Vec<Snapshot>,
    store: Store,
    // Ids of all committed snapshots: what may be deleted (G1).
    committed: BTreeSet<MessageKey>,
    restored: bool,
}

fn pick<T: Clone>(from: &[T], which: u8) -> Option<T> {
    (!from.is_empty()).then(|| from[usize::from(which) % from.len()].clone())
}

fn key(message: u8) -> MessageKey {
    MessageKey::of(&message.to_string())
}

/// What a restart must bring back of an id.
fn durable(id: &IdView) -> impl PartialEq + std::fmt::Debug + use<> {
    (id.key, id.stage, id.checkpoint, id.handle.as_ref().map(|h| h.as_str().to_owned()), id.rank, id.enqueued)
}

fn extended(handle: Handle, now: Mono, lease: u8) -> ExtendOutcome {
    let lease_end = (lease > 0).then(|| now + u32::from(lease) * SECOND);
    ExtendOutcome::Extended { handle, next_visible: ServerMs(0), lease_end }
}

/// What a store holds that keeps segments by name, and whether a committed checkpoint listed each.
type Store = BTreeMap<String, (Segment, bool)>;

/// What is only named comes from the store, and must have been listed by a committed checkpoint.
fn restored(limits: &Limits, snapshot: &Snapshot, store: &Store, now: Mono) -> Ledger {
    let mut limits = limits.clone();
    // With any number of shards, whatever it was written with.
    if limits.shards > 1 {
        limits.shards = [limits.shards, 1, 2, 64][snapshot.checkpoint.0 as usize % 4];
    }
    let mut ledger = Ledger::new(limits, now).unwrap();
    let stored = snapshot.stored.iter().map(|named| {
        let (segment, committed) = &store[&named.name];
        assert!(*committed && segment.bytes().len() as u64 == named.len, "{named:?} was let go of too soon");
        segment
    });
    let segments = stored.chain(&snapshot.segments).map(|s| Segment::from_bytes(s.bytes()).unwrap());
    let segments: Vec<_> = segments.collect();
    ledger.restore(snapshot.checkpoint, &segments, now).unwrap();
    ledger
}

impl World {
    fn new(limits: Limits) -> Self {
        let now = Mono::from_millis(1);
        Self {
            ledger: Ledger::new(limits.clone(), now).unwrap(),
            limits,
            now,
            receives: Vec::new(),
            delivered: [0; 12],
            buffered: BTreeSet::new(),
            deleting: Vec::new(),
            released: Vec::new(),
            retracted: Vec::new(),
            extending: Vec::new(),
            extended: 0,
            snapshots: Vec::new(),
            store: Store::new(),
            committed: BTreeSet::new(),
            restored: false,
        }
    }

    fn next_checkpoint(&self) -> CheckpointId {
        CheckpointId(self.ledger.last_checkpoint().map_or(1, |last| last.0 + 1))
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Advance(ms) => self.now = self.now + Duration::from_millis(u64::from(*ms)),
            Step::Receive => {
                if let Ok(grant) = self.ledger.begin_receive(self.now) {
                    self.receives.push(grant);
                }
            }
            Step::Answer(which, messages) => self.answer(*which, messages),
            Step::Abandon(which) => {
                if let Some(grant) = pick(&self.receives, *which) {
                    self.ledger.abandon(grant.ticket);
                    self.receives.retain(|g| *g != grant);
                }
            }
            Step::HandOut(which) => {
                let all: Vec<_> = self.buffered.iter().copied().collect();
                if let Some(key) = pick(&all, *which) {
                    self.buffered.remove(&key);
                    self.ledger.hand_out(&[key]);
                }
            }
            Step::Leave(which) => {
                let all: Vec<_> = self.buffered.iter().copied().collect();
                if let Some(key) = pick(&all, *which) {
                    self.buffered.remove(&key);
                    self.ledger.leave(key);
                }
            }
            Step::Barrier(later) => self.barrier(*later),
            Step::Commit(which) => self.commit(*which),
            Step::Abort => {
                if let Some(last) = self.ledger.last_checkpoint() {
                    self.ledger.abort(last, self.now);
                }
            }
            Step::Deletes => self.deletes(),
            Step::Deleted(which, outcomes) => {
                let Some(call) = pick(&self.deleting, *which) else { return };
                self.deleting.retain(|c| *c != call);
                let all = [DeleteOutcome::Deleted, DeleteOutcome::Stale, DeleteOutcome::Failed, DeleteOutcome::Unknown];
                let outcomes: Vec<_> = outcomes.iter().map(|o| all[usize::from(*o)]).take(call.1).collect();
                self.ledger.delete_done(call.0, &outcomes, self.now);
            }
            Step::Tick => {
                self.tick();
            }
            Step::Announce => {
                self.ledger.announce_checkpoint(self.now);
            }
            Step::Retract(which) => {
                let open = |id: &IdView| id.stage == "uncommitted" && id.checkpoint.is_none();
                let all: Vec<_> = self.ledger.ids().into_iter().filter(open).map(|id| id.key).collect();
                if let Some(key) = pick(&all, *which) {
                    assert!(self.ledger.retract(key));
                    self.retracted.push(key);
                }
            }
            Step::GiveBack(which) => {
                let Some(key) = pick(&self.retracted, *which) else { return };
                let release = self.ledger.release(key);
                assert!(
                    release.is_none() || !self.ledger.is_extending(key),
                    "given back in the middle of an extension"
                );
                if !self.ledger.is_extending(key) {
                    self.retracted.retain(|other| *other != key);
                    self.released.extend(release.map(|release| release.key));
                }
            }
            Step::Extends(max) => self.extends(usize::from(*max)),
            Step::Extended(which, outcome, lease) => self.extended(*which, *outcome, *lease),
            Step::ExtendLease(on) => self.ledger.set_extend_lease(on.then_some(10 * SECOND)),
            Step::Release(true) => {
                let released = self.ledger.release_all();
                self.released.extend(released.iter().map(|release| release.key));
            }
            Step::Release(false) => {
                for key in self.released.drain(..) {
                    self.buffered.remove(&key);
                    self.ledger.release_done(key);
                }
            }
            Step::Restart(which) => self.restart(*which),
            Step::Unconfirm => self.unconfirm(),
        }
    }

    fn tick(&mut self) -> u64 {
        let server = i64::try_from(self.now.0.as_millis()).unwrap();
        self.ledger.tick(self.now, Some(ServerMs(server)))
    }

    fn answer(&mut self, which: u8, messages: &[(u8, u8, u8)]) {
        let Some(grant) = pick(&self.receives, which) else { return };
        self.receives.retain(|g| *g != grant);
        let now = self.now;
        let deliveries: Vec<Delivery> = messages
            .iter()
            .take(grant.max_messages as usize)
            .map(|(message, later, lease)| {
                // Mostly a new delivery; now and then an older one whose answer was slow.
                let count = &mut self.delivered[usize::from(*message)];
                *count = (*count + u32::from(*later)).saturating_sub(1).max(1);
                Delivery {
                    key: key(*message),
                    handle: Handle::new(&format!("{message}.{count}")),
                    dequeue_count: *count,
                    next_visible: ServerMs(0),
                    enqueued: ServerMs(i64::try_from(now.0.as_millis()).unwrap()),
                    lease_end: (*lease > 0).then(|| now + u32::from(*lease) * SECOND),
                    bytes: 10,
                }
            })
            .collect();
        let before: BTreeSet<_> = self.ledger.ids().iter().map(|id| id.key).collect();
        let verdicts = self.ledger.screen(grant.ticket, deliveries.clone());
        assert_eq!(verdicts.len(), deliveries.len());
        for (delivery, verdict) in deliveries.iter().zip(verdicts) {
            if verdict == headwater_ledger::Verdict::Fresh {
                assert!(!before.contains(&delivery.key), "G2: a known id is fresh");
                assert!(self.buffered.insert(delivery.key), "G2: fresh twice in one answer");
            }
        }
    }

    fn barrier(&mut self, later: u16) {
        let id = self.next_checkpoint();
        let later: Vec<_> = (0..12u8).filter(|message| later >> message & 1 == 1).map(key).collect();
        let open = |id: &IdView| id.stage == "uncommitted" && id.checkpoint.is_none();
        let handed_out: Vec<_> = self.ledger.ids().into_iter().filter(open).map(|id| id.key).collect();
        let snapshot = self.ledger.barrier_before(id, &later, self.now).unwrap();
        for segment in &snapshot.segments {
            self.store.entry(segment.name()).or_insert_with(|| (segment.clone(), false));
        }
        // Still open is what was to be left open, and nothing else.
        let kept: Vec<_> = self.ledger.ids().into_iter().filter(open).map(|id| id.key).collect();
        assert_eq!(kept, handed_out.into_iter().filter(|key| later.contains(key)).collect::<Vec<_>>());
        // What a restart brings back is what was there, except what is only buffered, or handed out behind the barrier.
        let saved = |id: &&IdView| id.stage != "buffered" && !open(id);
        let there: Vec<_> = self.ledger.ids().iter().filter(saved).map(durable).collect();
        let mut again = restored(&self.limits, &snapshot, &self.store, self.now);
        assert_eq!(again.ids().iter().map(durable).collect::<Vec<_>>(), there);
        assert_eq!(again.check(), Ok(()));
        assert_eq!(again.committed_through(), self.ledger.committed_through());
        // A delta after the chain says the same as a new base.
        let mut bases = self.limits.clone();
        (bases.deltas_max, bases.shards) = (0, 1);
        let next = CheckpointId(id.0 + 1);
        let base = restored(&bases, &snapshot, &self.store, self.now).barrier(next, self.now).unwrap();
        assert_eq!(base.segments.len(), 1);
        let chain = again.barrier(next, self.now).unwrap();
        let [base, chain] = [base, chain].map(|s| restored(&self.limits, &s, &self.store, self.now).ids());
        assert_eq!(base, chain);
        self.snapshots.push(snapshot);
    }

    fn commit(&mut self, which: u8) {
        let open: Vec<_> = self.snapshots.iter().map(|s| s.checkpoint).collect();
        let Some(id) = pick(&open, which) else { return };
        if self.ledger.commit(id).is_ok() {
            for segment in self.snapshots.iter().filter(|s| s.checkpoint == id).flat_map(|s| &s.segments) {
                self.store.get_mut(&segment.name()).unwrap().1 = true;
            }
            if which >= 128 {
                self.ledger.release_stored();
            }
            for snapshot in self.snapshots.iter().filter(|s| s.checkpoint <= id) {
                self.committed
                    .extend(restored(&self.limits, snapshot, &self.store, self.now).ids().iter().map(|i| i.key));
            }
        }
    }

    fn extends(&mut self, max: usize) {
        let lease = self.ledger.limits().extend_lease;
        for extension in self.ledger.next_extends(self.now, max) {
            let id = self.ledger.ids().into_iter().find(|id| id.key == extension.key).unwrap();
            assert!(["buffered", "uncommitted"].contains(&id.stage), "{id:?} is extended");
            assert_eq!((id.doing, id.handle.as_ref()), ("extend", Some(&extension.handle)));
            assert_eq!(Some(extension.lease), lease);
            assert!(self.extending.iter().all(|other| other.key != extension.key), "{id:?} is extended twice");
            self.extending.push(extension);
        }
    }

    fn extended(&mut self, which: u8, outcome: u8, lease: u8) {
        let Some(extension) = pick(&self.extending, which) else { return };
        self.extending.retain(|other| *other != extension);
        let before = self.ledger.ids().into_iter().find(|id| id.key == extension.key).unwrap();
        self.extended += 1;
        let handle = Handle::new(&format!("{}+{}", extension.handle.as_str(), self.extended));
        let outcome = match outcome {
            0 | 1 => ExtendOutcome::Gone,
            2 | 3 => ExtendOutcome::Failed,
            4 | 5 => ExtendOutcome::Unknown,
            6 => ExtendOutcome::Denied,
            // Where extending leaves the handle as it is.
            7 => extended(extension.handle.clone(), self.now, lease),
            _ => extended(handle, self.now, lease),
        };
        self.ledger.extend_done(extension.key, outcome.clone(), self.now);
        let after = self.ledger.ids().into_iter().find(|id| id.key == extension.key);
        if let Some(after) = after
            && before.handle.as_ref() != Some(&extension.handle)
            && before.rank.0 > 0
        {
            assert_eq!(after.handle, before.handle, "a redelivery wins over the answer {outcome:?}");
        }
    }

    fn unconfirm(&mut self) {
        let all: Vec<_> = std::mem::take(&mut self.buffered).into_iter().collect();
        self.ledger.hand_out(&all);
        self.barrier(0);
        self.commit(u8::try_from(self.snapshots.len() - 1).unwrap_or(0));
        self.deletes();
        for (token, entries) in std::mem::take(&mut self.deleting) {
            self.ledger.delete_done(token, &vec![DeleteOutcome::Stale; entries], self.now);
        }
    }

    fn deletes(&mut self) {
        let Some(batch) = self.ledger.next_deletes(self.now) else { return };
        assert!(!batch.keys.is_empty() && batch.keys.len() <= self.limits.delete_max as usize);
        for key in batch.keys.iter() {
            assert!(self.extending.iter().all(|other| other.key != *key), "{key:?} is deleted while it is extended");
            assert!(self.committed.contains(key), "G1: {key:?} is deleted, no committed snapshot holds it");
        }
        self.deleting.push((batch.token, batch.keys.len()));
    }

    /// A crash, and a start from some snapshot: the newest, or one before it.
    fn restart(&mut self, which: u8) {
        let Some(snapshot) = pick(&self.snapshots, which) else { return };
        self.ledger = restored(&self.limits, &snapshot, &self.store, self.now);
        self.snapshots.retain(|s| s.checkpoint <= snapshot.checkpoint);
        self.committed.clear();
        for earlier in self.snapshots.iter().filter(|s| Some(s.checkpoint) <= self.ledger.committed_through()) {
            self.committed.extend(restored(&self.limits, earlier, &self.store, self.now).ids().iter().map(|i| i.key));
        }
        self.receives.clear();
        self.buffered.clear();
        self.deleting.clear();
        self.released.clear();
        self.retracted.clear();
        self.extending.clear();
        self.restored = true;
    }

    fn check(&self) {
        assert_eq!(self.ledger.check(), Ok(()));
        let (counts, limits) = (self.ledger.counts(), &self.limits);
        if !self.restored {
            // A start may find a state that was written under larger limits.
            assert!(counts.undeleted() <= u64::from(limits.undeleted_max), "G4: {counts:?}");
            let most = limits.undeleted_max + limits.ledger_max_ids + limits.grace_max_ids - 2;
            assert!(counts.ids() <= u64::from(most), "G4: {counts:?}");
            assert!(counts.held_bytes + counts.reserved_bytes <= limits.bytes_max, "G4: {counts:?}");
        }
        for ahead in [0, 400, 1_000, 6_000, 11_000, 700_000] {
            self.check_deadline(self.now + Duration::from_millis(ahead));
        }
    }

    /// If there is something to do at `then` that is not to be done now, the deadline is not later than `then`.
    fn check_deadline(&self, then: Mono) {
        let deadline = self.ledger.next_deadline();
        let in_time = deadline.is_some_and(|at| at <= then);
        let reason = self.ledger.checkpoint_due(then);
        assert!(reason.is_none() || in_time, "{reason:?} is due at {then:?}, the deadline is {deadline:?}");
        let mut later =
            Self { ledger: self.ledger.clone(), limits: self.limits.clone(), ..Self::new(self.limits.clone()) };
        while later.ledger.next_deletes(self.now).is_some() {}
        let retry = later.ledger.next_deletes(then).is_some();
        assert!(!retry || in_time, "a delete is to be retried at {then:?}, the deadline is {deadline:?}");
        later.ledger.next_extends(self.now, usize::MAX);
        let extend = !later.ledger.next_extends(then, usize::MAX).is_empty();
        assert!(!extend || in_time, "a lease is to be extended at {then:?}, the deadline is {deadline:?}");
        later.now = then;
        later.ledger = self.ledger.clone();
        let forgotten = later.tick();
        assert!(forgotten == 0 || in_time, "{forgotten} are to be forgotten at {then:?}, the deadline is {deadline:?}");
    }

    /// Whoever does at its deadline what is due then does not find the same deadline again.
    fn check_no_spin(&self) {
        let Some(at) = self.ledger.next_deadline() else { return };
        let now = at.max(self.now);
        let mut later = Self { ledger: self.ledger.clone(), now, ..Self::new(self.limits.clone()) };
        later.tick();
        while later.ledger.next_deletes(now).is_some() {}
        later.ledger.next_extends(now, usize::MAX);
        later.ledger.announce_checkpoint(now);
        let next = later.ledger.next_deadline();
        assert!(next.is_none_or(|next| next > now), "after the work of {now:?} the deadline is {next:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_hold_together(limits in limits(), steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new(limits);
        for step in &steps {
            world.run(step);
            world.check();
            world.check_no_spin();
        }
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Segment::from_bytes(&bytes);
        let with_magic = [b"HWLG\x01\0", bytes.as_slice()].concat();
        let _ = Segment::from_bytes(&with_magic);
    }

    /// Changed bytes with a checksum that fits: refused, or a state that holds together.
    #[test]
    fn forged_bytes_are_refused_or_make_sense(at in any::<prop::sample::Index>(), byte: u8, cut in 0..12usize, pad in 0..12usize) {
        let golden = include_bytes!("golden/v1-base.seg");
        let mut bytes = golden[..golden.len() - 4 - cut].to_vec();
        bytes.resize(bytes.len() + pad, byte);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        if let Ok(segment) = Segment::from_bytes(&bytes) {
            let mut ledger = Ledger::new(Limits::default(), Mono::default()).unwrap();
            for id in [1, 2] {
                if ledger.restore(CheckpointId(id), std::slice::from_ref(&segment), Mono::default()).is_ok() {
                    prop_assert_eq!(ledger.check(), Ok(()));
                    prop_assert!(ledger.commit(CheckpointId(id)).is_ok());
                    while ledger.next_deletes(Mono::default()).is_some() {}
                    prop_assert_eq!(ledger.check(), Ok(()));
                    prop_assert!(ledger.barrier(CheckpointId(id + 1), Mono::default()).is_ok());
                }
            }
        }
    }
}
