//! The world: a process with the real ledger, store and sink on a disk, the queue it reads; and what must hold in it.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::Committable;
use headwater_ledger::{CheckpointId, DeleteOutcome, DeleteToken, Ledger, Limits, MessageKey, Mono, Ticket};

use crate::broken::Broken;
use crate::disk::{Disk, Disks, Image, Shown};
use crate::process::Op;
use crate::queue::{Handle, Queue};
use crate::trap::{self, Trapped};

/// The clock stands still: no decision about safety reads it, and pauses are off.
pub(crate) const NOW: Mono = Mono(Duration::ZERO);

/// What may go wrong, each at most once in a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The process dies, or the power goes off.
    Death,
    /// … also in the middle of the start after the first.
    SecondDeath,
    /// One operation on the disk fails.
    DiskFails,
    DeleteAnswerLost,
    DeleteRefused,
    /// A receive is abandoned; what it was answered is never read.
    ReceiveLost,
}

pub(crate) const FAULTS: u32 = 6;

/// The size of a world, and what is broken in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) messages: u8,
    pub(crate) deliveries: u8,
    /// Pollers: receives that may be on their way at a time.
    pub(crate) receives: usize,
    pub(crate) barriers: u8,
    /// How many faults one history may have, of any kind, each kind once.
    pub(crate) faults: u32,
    pub(crate) deaths: u8,
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
        limits.undeleted_max = 4;
        limits.checkpoint_max_messages = 4;
        limits.grace = Duration::ZERO;
        limits.delete_max_retries = 1;
        limits.delete_retry_pause = Duration::ZERO;
        limits.checkpoint_retry = Duration::ZERO;
        limits.ledger_max_ids = 1000;
        limits.deltas_max = 1;
        limits.shards = 1;
        limits.extend_lease = None;
        trap::set(&mut limits, self.trap);
        Ledger::new(limits, NOW).expect("limits of a small world")
    }
}

/// A receive call that was answered, on its way back.
#[derive(Clone)]
pub(crate) struct Receive {
    pub(crate) ticket: Ticket,
    pub(crate) answer: Vec<Handle>,
}

/// A delete call: on its way to the queue, or answered and on its way back.
#[derive(Clone)]
pub(crate) struct Delete {
    pub(crate) token: DeleteToken,
    pub(crate) entries: Vec<Handle>,
    pub(crate) outcomes: Option<Vec<DeleteOutcome>>,
}

/// The disk, with a process or without.
#[derive(Clone)]
pub(crate) enum Machine {
    Up(Arc<Disk>),
    Down(Arc<Image>),
}

/// How far the running checkpoint is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    Idle,
    /// Its barrier is cut, its rows are staged.
    Cut,
    /// The store has it.
    Saved,
    /// As `Saved`, after a restart.
    Restored,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) disks: Arc<Disks>,
    // The queue and what is on the wire.
    pub(crate) queue: Queue,
    pub(crate) receives: Vec<Receive>,
    pub(crate) deletes: Vec<Delete>,
    /// Delete requests that nobody waits for any more, which may still arrive.
    pub(crate) strays: Vec<Handle>,
    // The process.
    pub(crate) machine: Machine,
    pub(crate) ledger: Ledger,
    /// Recognises the segments of the newest snapshot, which the ledger holds for the next one.
    pub(crate) chain: u128,
    /// Received and not handed out, as bits.
    pub(crate) buffered: u8,
    pub(crate) phase: Phase,
    pub(crate) checkpoint: Option<CheckpointId>,
    /// What is to be saved.
    pub(crate) save: Option<Arc<Op>>,
    /// What is staged, and its commit has not returned.
    pub(crate) pending: Vec<Committable>,
    pub(crate) life: u8,
    // What the rest of the history may still do.
    pub(crate) barriers_left: u8,
    pub(crate) faults_seen: u8,
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
    /// A job that was never started.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            disks: Arc::new(Disks::new(rules.broken)),
            queue: Queue::new(rules.messages, rules.deliveries),
            receives: Vec::new(),
            deletes: Vec::new(),
            strays: Vec::new(),
            machine: Machine::Down(Arc::new(Image::empty())),
            ledger: rules.ledger(),
            chain: 0,
            buffered: 0,
            phase: Phase::Idle,
            checkpoint: None,
            save: None,
            pending: Vec::new(),
            life: 0,
            barriers_left: rules.barriers,
            faults_seen: 0,
        }
    }

    pub(crate) fn may_fail(&self, fault: Fault) -> bool {
        let may = match fault {
            Fault::Death => self.rules.deaths > 0,
            Fault::SecondDeath => self.rules.deaths > 1 && !self.may_fail(Fault::Death),
            _ => true,
        };
        may && self.faults_seen & (1 << fault as u8) == 0 && self.faults_seen.count_ones() < self.rules.faults
    }

    /// The faults that may still come, as bits; without those that find no place any more.
    pub(crate) fn faults_left(&self) -> u8 {
        let mut left = !self.faults_seen & ((1 << FAULTS) - 1);
        if self.rules.deaths < 2 {
            left &= !(1 << Fault::SecondDeath as u8);
        }
        if self.done() && self.deletes.is_empty() {
            left &= !(1 << Fault::DeleteAnswerLost as u8 | 1 << Fault::DeleteRefused as u8);
        }
        left
    }

    /// Everything is deleted, so, by the invariants, shown exactly once.
    pub(crate) fn done(&self) -> bool {
        self.queue.messages.iter().all(|m| m.deleted)
    }

    pub(crate) fn shown(&self) -> Shown {
        match &self.machine {
            Machine::Up(disk) => disk.shown,
            Machine::Down(image) => image.shown,
        }
    }

    /// What this state shows, for telling that a search goes everywhere.
    pub(crate) fn sights(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let dead = |id: &headwater_ledger::IdView| id.stage == "committed" && id.handle.is_none();
        let ids = self.ledger.ids().into_iter();
        let ids = ids.map(move |id| (id.stage, if dead(&id) { "unconfirmed" } else { id.doing }));
        let restored = (self.phase == Phase::Restored).then_some(match self.pending.len() {
            0 => "nothing pending",
            1 => "one epoch pending",
            _ => "two epochs pending",
        });
        let shown = self.shown();
        let ahead = (shown.now != shown.durable).then_some(("shown", "not yet durable"));
        ids.chain(restored.map(|pending| ("restored", pending))).chain(ahead)
    }

    /// What must hold after every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.ledger.check().map_err(|violation| violation.to_string())?;
        let shown = self.shown();
        for (m, state) in self.queue.messages.iter().enumerate() {
            for (times, to) in [(shown.now[m], "now"), (shown.durable[m], "after a loss of power")] {
                if times > 1 {
                    return Err(format!("G2: message {m} is shown {times} times {to}"));
                }
                if state.deleted && times == 0 {
                    return Err(format!("G3: message {m} is deleted and not shown {to}"));
                }
            }
        }
        Ok(())
    }

    /// G1: a delete may be sent only for what a durable checkpoint holds, and is shown durably.
    pub(crate) fn may_delete(&self, message: u8) -> Result<(), String> {
        let Machine::Up(disk) = &self.machine else { return Ok(()) };
        let started = self.disks.secured(disk).map_err(|refused| format!("S1: a start is refused: {refused}"))?;
        let held = self.restored(started.state.as_ref())?.ids().iter().any(|id| id.key == key(message));
        if !held {
            return Err(format!("G1: a delete is sent for message {message}, which no durable checkpoint holds"));
        }
        if disk.shown.durable[usize::from(message)] == 0 {
            return Err(format!("G1: a delete is sent for message {message}, which is not shown durably"));
        }
        Ok(())
    }
}
