//! The world: one process with its ledger and its driver, the queue, the store and the sink; and what must hold in it.

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use headwater_ledger::{CheckpointId, DeleteOutcome, DeleteToken, Ledger, Limits, MessageKey, Mono, Ticket};

use crate::broken::Broken;
use crate::queue::{Handle, Queue};
use crate::store::{File, Saved, Sink, Store};

/// The clock stands still: no decision about safety reads it, and pauses are off.
pub(crate) const NOW: Mono = Mono(Duration::ZERO);

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
}

pub(crate) const FAULTS: [Fault; 9] = [
    Fault::Crash,
    Fault::SaveLost,
    Fault::SaveLate,
    Fault::ManifestLost,
    Fault::ManifestLate,
    Fault::DeleteAnswerLost,
    Fault::DeleteRefused,
    Fault::ReceiveLost,
    Fault::SecondCrash,
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
    pub(crate) broken: Option<Broken>,
}

impl Rules {
    pub(crate) fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let mut limits = Limits::default();
        limits.batch_max = 2;
        limits.delete_max = 2;
        limits.undeleted_max = 4;
        limits.checkpoint_max_messages = 4;
        limits.grace = Duration::ZERO;
        limits.delete_max_retries = 1;
        limits.delete_retry_pause = Duration::ZERO;
        limits.checkpoint_retry = Duration::ZERO;
        limits.ledger_max_ids = self.ledger_ids;
        limits.deltas_max = 1;
        Ledger::new(limits, NOW).unwrap()
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
    /// Delete requests nobody waits for any more, which may still arrive; and, if that is broken, late answers.
    pub(crate) strays: Vec<Handle>,
    pub(crate) late_answers: Vec<Handle>,
    // The process.
    pub(crate) ledger: Ledger,
    /// Received and not handed out, as bits.
    pub(crate) buffered: u8,
    pub(crate) open_rows: u8,
    pub(crate) phase: Phase,
    pub(crate) checkpoint: Option<CheckpointId>,
    pub(crate) taken: Option<Saved>,
    /// Files staged whose commit has not returned.
    pub(crate) files: Vec<File>,
    pub(crate) life: u8,
    // What is durable.
    pub(crate) store: Store,
    pub(crate) sink: Sink,
    // What the rest of the history may still do.
    pub(crate) barriers_left: u8,
    pub(crate) faults_seen: u16,
}

pub(crate) fn key(message: u8) -> MessageKey {
    MessageKey(u128::from(message) + 1)
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            queue: Queue::new(rules.messages, rules.deliveries),
            receives: Vec::new(),
            deletes: Vec::new(),
            strays: Vec::new(),
            late_answers: Vec::new(),
            ledger: rules.ledger(),
            buffered: 0,
            open_rows: 0,
            phase: Phase::Idle,
            checkpoint: None,
            taken: None,
            files: Vec::new(),
            life: 0,
            store: Store::default(),
            sink: Sink::default(),
            barriers_left: rules.barriers,
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
        let full = self.ledger.full_for(NOW).map(|_| ("ledger", "full"));
        let restored = (self.phase == Phase::Restored).then_some(("ledger", "restored"));
        let dead = |id: &headwater_ledger::IdView| id.stage == "committed" && id.handle.is_none();
        let ids =
            self.ledger.ids().into_iter().map(move |id| (id.stage, if dead(&id) { "unconfirmed" } else { id.doing }));
        ids.chain(full).chain(restored)
    }

    /// What must hold after every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.ledger.check().map_err(|violation| violation.to_string())?;
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

    /// The faults that may still come, as bits, and how many of them; without those that find no place any more.
    fn faults_left(&self) -> [u8; 3] {
        let mut left = !self.faults_seen & ((1 << FAULTS.len()) - 1);
        if self.barriers_left == 0 && !matches!(self.phase, Phase::Cut | Phase::Saved) {
            for fault in [Fault::SaveLost, Fault::SaveLate, Fault::ManifestLost, Fault::ManifestLate] {
                left &= !(1 << fault as u8);
            }
        }
        if self.life >= self.rules.crashes {
            left &= !(1 << Fault::Crash as u8 | 1 << Fault::SecondCrash as u8);
        }
        let number = self.rules.faults.saturating_sub(self.faults_seen.count_ones()).min(left.count_ones());
        let [low, high] = left.to_le_bytes();
        if number == 0 { [0; 3] } else { [low, high, number as u8] }
    }

    /// A number by which a state is recognised, whatever history led to it.
    pub(crate) fn fingerprint(&self) -> u128 {
        let mut out: Vec<u8> = Vec::with_capacity(1024);
        for m in &self.queue.messages {
            out.extend([u8::from(m.deleted), m.deliveries, u8::from(m.lapsed)]);
        }
        let handles = |out: &mut Vec<u8>, list: &[Handle]| list.iter().for_each(|(m, d)| out.extend([*m, *d]));
        for receive in &self.receives {
            out.extend([250, receive.room as u8, u8::from(receive.answer.is_some())]);
            handles(&mut out, receive.answer.as_deref().unwrap_or_default());
        }
        for delete in &self.deletes {
            out.push(251);
            handles(&mut out, &delete.entries);
            delete.outcomes.iter().flatten().for_each(|outcome| out.push(*outcome as u8 + 100));
        }
        for list in [&self.strays, &self.late_answers] {
            out.push(252);
            list.iter().for_each(|handle| handles(&mut out, &[*handle]));
        }
        out.push(253);
        let number = |id: Option<CheckpointId>| id.map_or(0, |c| c.0 as u8 + 1);
        out.extend([self.buffered, self.open_rows, self.phase as u8, number(self.checkpoint), self.life]);
        out.extend([number(self.store.manifest), self.barriers_left]);
        out.extend(self.faults_left());
        for files in [&self.files, &self.sink.staged, &self.sink.committed] {
            out.push(254);
            files.iter().for_each(|f| out.extend([f.life, f.checkpoint.0 as u8, f.messages]));
        }
        for saved in self.taken.iter().chain(self.store.saved.values()) {
            out.push(255);
            out.extend(saved.print.to_le_bytes());
            saved.files.iter().for_each(|f| out.extend([f.life, f.checkpoint.0 as u8, f.messages]));
        }
        self.ledger.fingerprint(&mut out);
        hash(&out)
    }
}

/// 128 bits, so that among millions of states two never look alike by chance.
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    let [high, low] = [1u8, 2].map(|half| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(half);
        hasher.write(bytes);
        u128::from(hasher.finish())
    });
    high << 64 | low
}
