//! The world: one process with its ledger, the queue, the source's own log, and the checkpoints; and what must hold in it.

use std::sync::Arc;
use std::time::Duration;

use headwater_ledger::{DeleteOutcome, DeleteToken, Ledger, Limits, LogLimits, MessageKey, Mono, Snapshot, Ticket};

use crate::queue::{Handle, Queue};

/// The clock stands still: no decision about safety reads it, and pauses are off.
pub(crate) const NOW: Mono = Mono(Duration::ZERO);

/// What a message takes in the log.
pub(crate) const RECORD: u64 = 1;

/// What may go wrong, each at most once in a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Crash,
    SecondCrash,
    /// A save is reported failed, and did not happen.
    SaveLost,
    /// A save is reported failed, and happened.
    SaveLate,
    DeleteAnswerLost,
    DeleteRefused,
    /// A receive is abandoned; what it was answered is never read.
    ReceiveLost,
}

pub(crate) const FAULTS: u32 = 7;

/// Ways to drive the ledger wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// The ledger is told that records are durable when they are written, before the sync has returned.
    DurableAtWrite,
    /// A start does not enter what the log holds: a redelivery of it is a new message.
    NotRecalled,
    /// A start hands out again what a durable epoch holds.
    HandedOutFromTheStart,
    /// A checkpoint notes the end of the log as handed out, not how far that has come.
    PositionAtTheEnd,
    /// A lost answer to a delete is taken for "deleted".
    UnknownIsDeleted,
}

/// The size of a world, and what is broken in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) messages: u8,
    pub(crate) deliveries: u8,
    /// Receives that may be on their way at a time.
    pub(crate) receives: usize,
    pub(crate) barriers: u8,
    /// How many faults one history may have, of any kind, each kind once.
    pub(crate) faults: u32,
    pub(crate) crashes: u8,
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
        limits.message_bytes_max = RECORD;
        limits.grace = Duration::ZERO;
        limits.delete_max_retries = 1;
        limits.delete_retry_pause = Duration::ZERO;
        limits.checkpoint_retry = Duration::ZERO;
        limits.ledger_max_ids = 1000;
        limits.deltas_max = 1;
        limits.shards = 1;
        limits.extend_lease = None;
        // Room for all that a history can bring: what a full log does is for the properties (log_properties.rs).
        let mut log = LogLimits::new(1000 * RECORD);
        log.record_overhead = 0;
        limits.log = Some(log);
        Ledger::new(limits, NOW).unwrap()
    }
}

/// A record of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    Message(Handle),
    /// The deletes of these messages (as bits) are confirmed.
    Deleted(u8),
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

/// A checkpoint: the ledger's snapshot, how many records of the log were handed out, and how many there were.
#[derive(Clone)]
pub(crate) struct Taken {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) handed_out: usize,
    pub(crate) known: usize,
    /// The messages of this epoch and of all before it, as bits.
    pub(crate) messages: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Idle,
    /// A barrier is cut.
    Cut,
    /// Its checkpoint is durable, or restored.
    Durable,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    // The queue and what is on the wire.
    pub(crate) queue: Queue,
    pub(crate) receives: Vec<Receive>,
    pub(crate) deletes: Vec<Delete>,
    pub(crate) strays: Vec<Handle>,
    // The process.
    pub(crate) ledger: Ledger,
    /// Received and not written, in their order.
    pub(crate) buffered: Vec<Handle>,
    /// Confirmed deletes that the log does not tell yet, as bits.
    pub(crate) confirmed: u8,
    /// Records passed by what was handed out.
    pub(crate) next: usize,
    /// The messages that were handed out, as bits; after a crash those of durable epochs.
    pub(crate) handed_out: u8,
    pub(crate) phase: Phase,
    pub(crate) taken: Option<Taken>,
    pub(crate) chain: Option<Arc<Snapshot>>,
    // The log, of which so many records are durable, and the newest durable checkpoint.
    pub(crate) log: Vec<Record>,
    pub(crate) synced: usize,
    pub(crate) saved: Option<Taken>,
    /// A start has read messages of the log that were not handed out in a durable epoch.
    pub(crate) replayed: bool,
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

/// The messages that bits stand for.
pub(crate) fn bits_of(bits: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |m| bits & 1 << m != 0)
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        let mut ledger = rules.ledger();
        ledger.recall_done();
        Self {
            rules,
            queue: Queue::new(rules.messages, rules.deliveries),
            receives: Vec::new(),
            deletes: Vec::new(),
            strays: Vec::new(),
            ledger,
            buffered: Vec::new(),
            confirmed: 0,
            next: 0,
            handed_out: 0,
            phase: Phase::Idle,
            taken: None,
            chain: None,
            log: Vec::new(),
            synced: 0,
            saved: None,
            replayed: false,
            barriers_left: rules.barriers,
            faults_seen: 0,
        }
    }

    pub(crate) fn may_fail(&self, fault: Fault) -> bool {
        let may = match fault {
            Fault::Crash => self.rules.crashes > 0,
            Fault::SecondCrash => self.rules.crashes > 1 && self.faults_seen & (1 << Fault::Crash as u8) != 0,
            _ => true,
        };
        may && self.faults_seen & (1 << fault as u8) == 0 && self.faults_seen.count_ones() < self.rules.faults
    }

    /// Everything is deleted and in a durable epoch.
    pub(crate) fn done(&self) -> bool {
        let durable = self.saved.as_ref().map_or(0, |saved| saved.messages);
        self.queue.messages.iter().all(|m| m.deleted) && durable.count_ones() == u32::from(self.rules.messages)
    }

    pub(crate) fn sights(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let dead = |id: &headwater_ledger::IdView| id.stage == "committed" && id.handle.is_none();
        let ids = self.ledger.ids().into_iter();
        let ids = ids.map(move |id| (id.stage, if dead(&id) { "unconfirmed" } else { id.doing }));
        let unsynced = (self.log.len() > self.synced).then_some(("log", "not yet synced"));
        ids.chain(unsynced).chain(self.replayed.then_some(("log", "handed out again")))
    }

    /// What must hold after every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.ledger.check().map_err(|violation| violation.to_string())?;
        for (m, state) in (0..).zip(&self.queue.messages) {
            let times = |records: &[Record]| {
                records.iter().filter(|record| matches!(record, Record::Message((of, _)) if *of == m)).count()
            };
            if times(&self.log) > 1 {
                return Err(format!("G2: message {m} is in the log twice"));
            }
            if state.deleted && times(&self.log[..self.synced]) == 0 {
                return Err(format!("G3: message {m} is deleted and not durable in the log"));
            }
        }
        Ok(())
    }

    /// G1: a delete may be sent only for what is durable in the log.
    pub(crate) fn may_delete(&self, message: u8) -> bool {
        self.log[..self.synced].iter().any(|record| matches!(record, Record::Message((of, _)) if *of == message))
    }
}
