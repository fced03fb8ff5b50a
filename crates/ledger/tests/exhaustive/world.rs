//! The world: one process with its ledger and its driver, the queue, the store and the sink; and what must hold in it.

use std::sync::Arc;
use std::time::Duration;

use headwater_ledger::{CheckpointId, DeleteOutcome, DeleteToken, Ledger, Limits, MessageKey, Mono, Ticket};

use crate::broken::Broken;
use crate::queue::{Handle, Queue};
use crate::store::{File, Saved, Sink, Store};
use crate::trap::{self, Trapped};

/// The clock stands still, but for the minutes that the rules let pass: no decision about safety reads it, and pauses are off.
pub(crate) const START: Mono = Mono(Duration::ZERO);

/// A minute and a bit.
pub(crate) const MINUTE: Duration = Duration::from_secs(61);

/// What may go wrong, each at most once in a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Crash,
    /// A save is reported failed, and did not happen.
    SaveLost,
    /// A save is reported failed, and happened.
    SaveLate,
    ManifestLost,
    ManifestLate,
    DeleteAnswerLost,
    DeleteRefused,
    /// A receive is abandoned; what it was answered is never read.
    ReceiveLost,
    /// A crash after the first, also in the middle of the start after it.
    SecondCrash,
    ExtendAnswerLost,
    ExtendRefused,
}

pub(crate) const FAULTS: [Fault; 11] = [
    Fault::Crash,
    Fault::SaveLost,
    Fault::SaveLate,
    Fault::ManifestLost,
    Fault::ManifestLate,
    Fault::DeleteAnswerLost,
    Fault::DeleteRefused,
    Fault::ReceiveLost,
    Fault::SecondCrash,
    Fault::ExtendAnswerLost,
    Fault::ExtendRefused,
];

/// The size of a world, and what is broken in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) messages: u8,
    pub(crate) deliveries: u8,
    pub(crate) receives: usize,
    /// Whether receives wait at the queue, or are answered at once. An older ticket only holds forgetting back.
    pub(crate) parked: bool,
    pub(crate) barriers: u8,
    /// How many faults one history may have, of any kind, each kind once.
    pub(crate) faults: u32,
    pub(crate) crashes: u8,
    /// `ledgerMaxIds`: with 1, the ledger is full after one unconfirmed delete.
    pub(crate) ledger_ids: u32,
    /// Shards of the saved state; with more than one, every barrier but the first writes the base of one.
    pub(crate) shards: u32,
    /// `undeletedMax`: with 1, nothing more is received while one message is held.
    pub(crate) undeleted: u32,
    /// Whether leases are extended.
    pub(crate) extends: bool,
    /// How often a minute passes.
    pub(crate) minutes: u8,
    /// How often the consumer gives a message back that it was handed.
    pub(crate) returns: u8,
    /// What is broken about driver, store or sink.
    pub(crate) broken: Option<Broken>,
    /// The mistake that is switched on in the ledger itself.
    pub(crate) trap: Trapped,
}

impl Rules {
    pub(crate) fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let mut limits = Limits::default();
        limits.batch_max = 2;
        limits.delete_max = 2;
        limits.undeleted_max = self.undeleted;
        limits.checkpoint_max_messages = self.undeleted;
        limits.grace = Duration::ZERO;
        limits.delete_max_retries = 1;
        limits.delete_retry_pause = Duration::ZERO;
        limits.checkpoint_retry = Duration::ZERO;
        limits.ledger_max_ids = self.ledger_ids;
        limits.deltas_max = u32::from(self.shards == 1);
        limits.shards = self.shards;
        limits.extend_lease = self.extends.then_some(Duration::from_secs(1));
        trap::set(&mut limits, self.trap);
        Ledger::new(limits, START).unwrap()
    }
}

/// A receive call: parked at the queue, or answered and on its way back.
#[derive(Clone)]
pub(crate) struct Receive {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) room: usize,
    pub(crate) answer: Option<Vec<Handle>>,
}

/// A delete call: on its way to the queue, or answered and on its way back.
#[derive(Clone)]
pub(crate) struct Delete {
    pub(crate) token: DeleteToken,
    pub(crate) entries: Vec<Handle>,
    pub(crate) outcomes: Option<Vec<DeleteOutcome>>,
}

/// An extend call: on its way to the queue, or answered (with the new handle, or that the old one is dead) and on its way back.
#[derive(Clone)]
pub(crate) struct Extend {
    pub(crate) handle: Handle,
    pub(crate) outcome: Option<Option<Handle>>,
}

/// How far the running checkpoint is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    Idle,
    /// Its barrier is cut, its rows are staged.
    Cut,
    Saved,
    /// The manifest names it.
    Named,
    /// As `Named`, after a restart.
    Restored,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    // The queue and what is on the wire.
    pub(crate) queue: Queue,
    pub(crate) receives: Vec<Receive>,
    pub(crate) deletes: Vec<Delete>,
    pub(crate) extends: Vec<Extend>,
    /// Requests nobody waits for any more, which may still arrive; and, if that is broken, late answers.
    pub(crate) strays: Vec<Handle>,
    pub(crate) stray_extends: Vec<Handle>,
    pub(crate) late_answers: Vec<Handle>,
    // The process.
    pub(crate) ledger: Ledger,
    pub(crate) now: Mono,
    /// The newest snapshot: its segments are in the ledger, for the next one.
    pub(crate) chain: Option<Arc<Saved>>,
    /// Of each message that the ledger knows, the newest handle that it was told of.
    pub(crate) newest: [u8; 2],
    /// Received and not handed out, as bits.
    pub(crate) buffered: u8,
    pub(crate) open_rows: u8,
    /// Given back, as bits: since the last barrier, waiting for a commit, free to be made visible; and the calls that do so.
    pub(crate) returned: [u8; 3],
    pub(crate) releases: Vec<Handle>,
    pub(crate) phase: Phase,
    pub(crate) checkpoint: Option<CheckpointId>,
    pub(crate) taken: Option<Arc<Saved>>,
    /// Files staged whose commit has not returned.
    pub(crate) files: Vec<File>,
    pub(crate) life: u8,
    // What is durable.
    pub(crate) store: Store,
    pub(crate) sink: Sink,
    // What the rest of the history may still do.
    pub(crate) barriers_left: u8,
    pub(crate) minutes_left: u8,
    pub(crate) returns_left: u8,
    pub(crate) faults_seen: u16,
}

pub(crate) fn key(message: u8) -> MessageKey {
    MessageKey(u128::from(message) + 1)
}

pub(crate) fn message(key: MessageKey) -> u8 {
    key.0 as u8 - 1
}

pub(crate) fn text((message, handle): Handle) -> headwater_ledger::Handle {
    headwater_ledger::Handle::new(&format!("{message}.{handle}"))
}

/// The message and the number that a handle's text names.
pub(crate) fn parse(handle: &str) -> Handle {
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + (digit - b'0'));
    let (message, handle) = handle.as_bytes().split_at(1);
    (number(message), number(&handle[1..]))
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            queue: Queue::new(rules.messages, rules.deliveries),
            receives: Vec::new(),
            deletes: Vec::new(),
            extends: Vec::new(),
            strays: Vec::new(),
            stray_extends: Vec::new(),
            late_answers: Vec::new(),
            ledger: rules.ledger(),
            now: START,
            chain: None,
            newest: [0; 2],
            buffered: 0,
            open_rows: 0,
            returned: [0; 3],
            releases: Vec::new(),
            phase: Phase::Idle,
            checkpoint: None,
            taken: None,
            files: Vec::new(),
            life: 0,
            store: Store::default(),
            sink: Sink::default(),
            barriers_left: rules.barriers,
            minutes_left: rules.minutes,
            returns_left: rules.returns,
            faults_seen: 0,
        }
    }

    pub(crate) fn may_fail(&self, fault: Fault) -> bool {
        self.faults_seen & (1 << fault as u8) == 0 && self.faults_seen.count_ones() < self.rules.faults
    }

    /// Everything is deleted, so, by the invariants, in exactly one committed file.
    pub(crate) fn done(&self) -> bool {
        self.queue.messages.iter().all(|m| m.deleted)
    }

    /// What this state shows, for telling that a search goes everywhere.
    pub(crate) fn sights(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let full = self.ledger.full_for(self.now).map(|_| ("ledger", "full"));
        let restored = (self.phase == Phase::Restored).then_some(("ledger", "restored"));
        let dead = |id: &headwater_ledger::IdView| id.stage == "committed" && id.handle.is_none();
        let ids =
            self.ledger.ids().into_iter().map(move |id| (id.stage, if dead(&id) { "unconfirmed" } else { id.doing }));
        ids.chain(full).chain(restored)
    }

    /// What must hold after every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.ledger.check().map_err(|violation| violation.to_string())?;
        // The grace is over at once in this world, and the last step ended with a tick.
        if self.receives.is_empty() && self.ledger.counts().deleted > 0 {
            return Err("G4: a deleted id is remembered that no receive can carry any more".into());
        }
        let running = |message: u8| {
            let deletes = self.deletes.iter().flat_map(|delete| &delete.entries);
            let extends = self.extends.iter().map(|extend| &extend.handle);
            deletes.chain(extends).chain(&self.releases).filter(|handle| handle.0 == message).count()
        };
        if let Some(message) = (0..self.rules.messages).find(|message| running(*message) > 1) {
            return Err(format!("L2: two calls are running for message {message}"));
        }
        for (message, state) in (0..).zip(&self.queue.messages) {
            let times = self.sink.times(message);
            if times > 1 {
                return Err(format!("G2: message {message} is in {times} committed epochs"));
            }
            if state.deleted && times == 0 {
                return Err(format!("G3: message {message} is deleted and in no committed epoch"));
            }
        }
        Ok(())
    }

    /// G1: a delete may be sent only for what a durable, committed checkpoint holds.
    pub(crate) fn may_delete(&self, message: u8) -> bool {
        let durable = |file: &&File| Some(file.checkpoint) <= self.store.manifest;
        self.sink.committed.iter().filter(durable).any(|file| file.messages & (1 << message) != 0)
    }

    /// The faults that may still come, as bits; without those that find no place any more.
    pub(crate) fn faults_left(&self) -> u16 {
        let mut left = !self.faults_seen & ((1 << FAULTS.len()) - 1);
        if self.barriers_left == 0 && !matches!(self.phase, Phase::Cut | Phase::Saved) {
            for fault in [Fault::SaveLost, Fault::SaveLate, Fault::ManifestLost, Fault::ManifestLate] {
                left &= !(1 << fault as u16);
            }
        }
        if self.life >= self.rules.crashes {
            left &= !(1 << Fault::Crash as u16 | 1 << Fault::SecondCrash as u16);
        }
        if !self.rules.extends {
            left &= !(1 << Fault::ExtendAnswerLost as u16 | 1 << Fault::ExtendRefused as u16);
        }
        if self.done() && self.deletes.is_empty() {
            left &= !(1 << Fault::DeleteAnswerLost as u16 | 1 << Fault::DeleteRefused as u16);
        }
        left
    }
}
