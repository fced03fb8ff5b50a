//! One history: a queue, a source that is restarted again and again, and everything that can go wrong between them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use futures::FutureExt;
use headwater::job::fs::{Loss, MemoryFs};
use headwater_core::{Batch, Clock, Event, ManualClock, MessageKey, Queue, SharedStr, Source, SourceError};
use headwater_queue_source::QueueSource;
use headwater_testkit::{Entry, FaultRates, Faulty, MemoryQueue, Operation, QueueEvent, Random, pass, settle};

use super::options::{self, Options, one_of};
use crate::deletes::Watch;
use crate::hooked::SpinClock;
use crate::letters;
use crate::outside::Outside;
use crate::world::{SECOND, START};

/// Virtual time that the quiet end of a history may take. Two hours: hundreds of the longest leases.
const END_MAX: Duration = Duration::from_secs(7_200);

/// What happened, to be summed over histories; `hash` tells two traces apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) rows: u64,
    pub(super) crashes: u64,
    pub(super) failures: u64,
    pub(super) failed_saves: u64,
    pub(super) drains: u64,
    pub(super) duplicates: u64,
    pub(super) lost_deletes: u64,
    pub(super) dropped_nexts: u64,
    pub(super) letters: u64,
    pub(super) given_back: u64,
    pub(super) power_failures: u64,
    pub(super) replayed: u64,
    pub(super) cuts: u64,
    pub(super) removed: u64,
    pub(super) extended: u64,
    pub(super) hash: u64,
}

impl Trace {
    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.crashes += other.crashes;
        self.failures += other.failures;
        self.failed_saves += other.failed_saves;
        self.drains += other.drains;
        self.duplicates += other.duplicates;
        self.lost_deletes += other.lost_deletes;
        self.dropped_nexts += other.dropped_nexts;
        self.letters += other.letters;
        self.given_back += other.given_back;
        self.power_failures += other.power_failures;
        self.replayed += other.replayed;
        self.cuts += other.cuts;
        self.removed += other.removed;
        self.extended += other.extended;
        self.hash ^= other.hash;
    }
}

/// Why a run of the source ended before its time. Only `Broken` is a finding.
enum Ended {
    /// The process died, or the source failed as it was made to.
    Crash,
    /// A call of the source failed: a finding, unless the power has.
    Failed(String),
    Broken(String),
}

/// When messages are deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Commit {
    Checkpoint,
    Log,
}

impl From<String> for Ended {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

fn broken(what: &str, error: &SourceError) -> Ended {
    Ended::Failed(format!("{what}: {error}: {:?}", std::error::Error::source(error).map(ToString::to_string)))
}

struct World {
    random: Random,
    clock: ManualClock,
    queue: MemoryQueue,
    lease: Duration,
    faulty: Arc<Faulty<MemoryQueue>>,
    watch: Arc<Watch>,
    options: Options,
    outside: Outside,
    /// The rows of every message sent, by its id.
    sent: BTreeMap<SharedStr, Vec<String>>,
    /// The disk that dead letters go to, and the messages that belong there.
    fs: MemoryFs,
    bad: BTreeSet<SharedStr>,
    deleted_seen: usize,
    denied: bool,
    quiet: bool,
    trace: Trace,
}

/// One life of the source, and the rows handed out since its last barrier: what a crash takes with it.
struct Life {
    source: QueueSource,
    open: Vec<String>,
    /// The messages of the last batch since the barrier, and how many rows of each are at the end of `open`.
    tail: Vec<(MessageKey, usize)>,
    stopped: bool,
}

pub(super) async fn history(seed: u64, commit: Commit) -> Result<Trace, String> {
    let mut random = Random::new(seed);
    let clock = ManualClock::new(START);
    let queue_options = options::queue(&mut random);
    let lease = queue_options.lease;
    let queue = MemoryQueue::new(&clock, queue_options);
    let rates = options::rates(&mut random);
    let faulty = Arc::new(Faulty::new(queue.clone(), &clock, random.draw(), rates));
    let mut options = Options::new(&mut random, lease);
    let fs = MemoryFs::new();
    let watch = Arc::new(Watch::new(Arc::clone(&faulty) as Arc<dyn Queue>, &fs));
    if commit == Commit::Log {
        options.commit_log(&mut random, &fs);
    }
    let mut world = World {
        random,
        clock,
        queue,
        lease,
        faulty,
        watch,
        options,
        outside: Outside::default(),
        sent: BTreeMap::new(),
        fs,
        bad: BTreeSet::new(),
        deleted_seen: 0,
        denied: false,
        quiet: false,
        trace: Trace::default(),
    };
    let lives = 1 + world.random.below(5);
    for _ in 0..lives {
        let ended = world.live().await;
        let failed = world.fs.crashed();
        world.trace.power_failures += u64::from(failed);
        match ended {
            Err(Ended::Failed(_)) if failed => world.trace.crashes += 1,
            Err(Ended::Broken(why) | Ended::Failed(why)) => return Err(format!("{why}; at {:?}", world.clock.now())),
            Err(Ended::Crash) => world.trace.crashes += 1,
            Ok(()) => {}
        }
    }
    world.finish().await?;
    Ok(world.trace)
}

impl World {
    /// From start to crash or clean end.
    async fn live(&mut self) -> Result<(), Ended> {
        let mut life = self.start().await?;
        for _ in 0..10 + self.random.below(110) {
            self.act(&mut life).await?;
            self.judge(&life)?;
        }
        if self.random.chance(300) {
            return Err(Ended::Crash);
        }
        self.end(life).await
    }

    async fn act(&mut self, life: &mut Life) -> Result<(), Ended> {
        match self.random.below(100) {
            0..15 => self.send(),
            15..60 => self.next(life).await?,
            60..75 => self.poll_and_drop(life)?,
            75..85 => {
                let longest = one_of(&mut self.random, &[500, 5_000, 40_000]);
                let pause = self.random.below(longest);
                pass(&self.clock, Duration::from_millis(pause)).await;
            }
            85..94 => self.checkpoint(life).await?,
            94..96 => self.faulty.set_rates(options::rates(&mut self.random)),
            96..97 if self.random.chance(300) => self.deny(),
            97..98 => _ = self.reveal_one(),
            _ if self.random.chance(200) => return Err(Ended::Crash),
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self) {
        for _ in 0..1 + self.random.below(6) {
            let number = self.sent.len();
            let rows: Vec<String> = (0..self.random.below(4)).map(|row| format!("m{number}-{row}")).collect();
            let mut lines = rows.clone();
            let bad = self.random.chance(100);
            if bad {
                lines.push("bad".into());
            }
            let id = self.queue.send(lines.join("\n"));
            if bad && self.options.dead_letters() {
                self.bad.insert(id.clone());
            }
            self.sent.insert(id, rows);
        }
    }

    /// For a while the caller may not do one thing: the source fails.
    fn deny(&mut self) {
        let operation = one_of(&mut self.random, &[Operation::Receive, Operation::Delete, Operation::Extend]);
        self.queue.deny(operation);
        self.denied = true;
    }

    /// A lease ends early, as after a fail-over of the service.
    fn reveal_one(&mut self) -> bool {
        let leased = self.queue.leased();
        let at = usize::try_from(self.random.below(leased.len() as u64)).unwrap_or(0);
        leased.get(at).is_some_and(|id| self.queue.reveal(id))
    }

    fn take(&mut self, life: &mut Life, event: Result<Option<Event>, SourceError>) -> Result<bool, Ended> {
        match event {
            Ok(Some(Event::Batch(batch))) => {
                let rows: Vec<String> =
                    batch.records().column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
                self.note(&rows);
                self.keep_most(life, &batch, &rows)?;
                Ok(false)
            }
            Ok(Some(Event::CheckpointDue(_))) => Ok(true),
            Ok(None) if life.stopped => Ok(false),
            Ok(other) => Err(Ended::Broken(format!("not stopped, and got {other:?}"))),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Notes the rows of a batch, and now and then gives a message of it back.
    fn keep_most(&mut self, life: &mut Life, batch: &Batch, rows: &[String]) -> Result<(), Ended> {
        life.tail.clear();
        for message in batch.messages() {
            if self.random.chance(30) && !self.options.has_log() {
                let delay = Duration::from_millis(self.random.below(20_000));
                life.source.retry_later(&message.meta, delay).map_err(|e| broken("giving back", &e))?;
                self.trace.given_back += 1;
            } else {
                life.open.extend_from_slice(&rows[message.rows.clone()]);
                life.tail.push((message.meta.key, message.rows.len()));
            }
        }
        Ok(())
    }

    /// A failure must have been made: a denied call, or a ledger that stayed full.
    fn failed(&mut self, error: &SourceError) -> Ended {
        self.trace.failures += 1;
        if self.denied || self.fs.crashed() || error.to_string().contains("ledgerMaxIds") {
            Ended::Crash
        } else {
            broken("the source failed by itself", error)
        }
    }

    async fn next(&mut self, life: &mut Life) -> Result<(), Ended> {
        let patience = Duration::from_millis(self.random.below(4_000));
        let event = tokio::select! {
            biased;
            event = life.source.next() => event,
            () = pass(&self.clock, patience) => {
                self.trace.dropped_nexts += 1;
                return Ok(());
            }
        };
        if self.take(life, event)? && self.random.chance(800) {
            self.checkpoint(life).await?;
        }
        Ok(())
    }

    fn poll_and_drop(&mut self, life: &mut Life) -> Result<(), Ended> {
        match life.source.next().now_or_never() {
            Some(event) => _ = self.take(life, event)?,
            None => self.trace.dropped_nexts += 1,
        }
        Ok(())
    }

    async fn checkpoint(&mut self, life: &mut Life) -> Result<(), Ended> {
        let id = self.outside.next_id();
        let (later, kept) = self.cut(life);
        let state = life.source.checkpoint_before(id, &later).await.map_err(|e| broken("checkpoint", &e))?;
        if self.random.chance(100) {
            let again = life.source.checkpoint(id).await.map_err(|e| broken("the same checkpoint", &e))?;
            if again != state {
                return Err(Ended::Broken(format!("checkpoint {id} differs from itself")));
            }
        }
        self.outside.stage(id, std::mem::replace(&mut life.open, kept));
        self.perhaps_crash()?;
        let luck = self.random.below(100);
        if luck < 25 {
            // A failed save is indeterminate: it may be durable all the same.
            self.trace.failed_saves += 1;
            if luck < 10 {
                self.outside.save(id, state);
            }
            if self.random.chance(800) {
                life.source.abort(id).await.map_err(|e| broken("abort", &e))?;
            }
            return Ok(());
        }
        self.outside.save(id, state);
        self.perhaps_crash()?;
        self.outside.commit(id)?;
        self.perhaps_crash()?;
        // The next epoch's rows flow while this one is being committed.
        while self.random.chance(300) {
            let event = life.source.next().now_or_never();
            settle().await;
            if let Some(event) = event {
                self.take(life, event)?;
            }
        }
        for _ in 0..1 + self.random.below(2) {
            life.source.commit(id).await.map_err(|e| broken("commit", &e))?;
        }
        Ok(())
    }

    /// Where the barrier goes: mostly after everything, with a log now and then before the last messages of the last batch.
    fn cut(&mut self, life: &mut Life) -> (Vec<MessageKey>, Vec<String>) {
        if !self.options.has_log() || self.random.chance(500) {
            life.tail.clear();
            return (Vec::new(), Vec::new());
        }
        let at = usize::try_from(self.random.below(life.tail.len() as u64 + 1)).unwrap_or(0);
        life.tail.drain(..at);
        self.trace.cuts += u64::from(!life.tail.is_empty());
        let rows: usize = life.tail.iter().map(|(_, rows)| rows).sum();
        let kept = life.open.split_off(life.open.len() - rows);
        (life.tail.iter().map(|(key, _)| *key).collect(), kept)
    }

    fn perhaps_crash(&mut self) -> Result<(), Ended> {
        if self.random.chance(15) { Err(Ended::Crash) } else { Ok(()) }
    }

    /// Opens a source and restores it as an embedder does.
    async fn start(&mut self) -> Result<Life, Ended> {
        self.queue.allow(Operation::Receive);
        self.queue.allow(Operation::Delete);
        self.queue.allow(Operation::Extend);
        self.denied = false;
        let config = self.options.of_a_run(&mut self.random);
        let clock: Arc<dyn Clock> = Arc::new(SpinClock::new(&self.clock));
        self.fs.restart(Loss::Seeded(self.random.draw()));
        let segments = |fs: &MemoryFs| fs.files().keys().filter(|path| path.starts_with("/log")).count() as u64;
        let found = segments(&self.fs);
        let target = if self.options.dead_letters() { Some(letters::target(&self.fs).await) } else { None };
        if self.options.has_log() && !self.quiet && self.random.chance(600) {
            self.fs.crash_before(self.fs.operations() + self.random.below(120));
        }
        let queue = Arc::clone(&self.watch) as Arc<dyn Queue>;
        let opening = QueueSource::open_with(queue, clock, config, target);
        let mut source = tokio::select! {
            biased;
            source = opening => source.map_err(|e| broken("open", &e))?,
            () = pass(&self.clock, END_MAX) => return Err(Ended::Broken("it never opened".into())),
        };
        let saved = self.outside.recover();
        let id = saved.as_ref().map(|saved| saved.id);
        if let Some(saved) = saved {
            source.restore(saved.id, saved.state).await.map_err(|e| broken("restore", &e))?;
        }
        self.trace.replayed += source.status().buffered;
        let mut life = Life { source, open: Vec::new(), tail: Vec::new(), stopped: false };
        if let Some(id) = id {
            // The sinks take their time: until they are done, nothing of this checkpoint may be deleted.
            settle().await;
            self.judge(&life)?;
            self.outside.commit(id)?;
            if self.random.chance(50) {
                return Err(Ended::Crash);
            }
            life.source.commit(id).await.map_err(|e| broken("commit after restore", &e))?;
        }
        self.trace.removed += found.saturating_sub(segments(&self.fs));
        Ok(life)
    }

    /// A clean end: stop, hand out the rest, the last checkpoint, drain.
    async fn end(&mut self, mut life: Life) -> Result<(), Ended> {
        self.trace.drains += 1;
        life.source.stop().await;
        life.stopped = true;
        loop {
            let event = tokio::select! {
                biased;
                event = life.source.next() => event,
                () = pass(&self.clock, END_MAX) => return Err(Ended::Broken("stopped, and never ended".into())),
            };
            match event {
                Ok(None) => break,
                event => _ = self.take(&mut life, event)?,
            }
        }
        if self.random.chance(800) {
            self.checkpoint(&mut life).await?;
        }
        let deadline = SECOND * one_of(&mut self.random, &[0, 2, 30]);
        if self.random.chance(300) {
            let patience = Duration::from_millis(self.random.below(3_000));
            tokio::select! { biased; _ = life.source.drain(deadline) => {}, () = pass(&self.clock, patience) => {} }
        }
        tokio::select! {
            biased;
            report = life.source.drain(deadline) => match report {
                Ok(report) => self.note(&report_numbers(&report)),
                Err(error) => return Err(self.failed(&error)),
            },
            () = pass(&self.clock, deadline + SECOND) => {
                return Err(Ended::Broken(format!("the drain has not kept its deadline of {deadline:?}")));
            }
        }
        match life.source.next().now_or_never() {
            Some(Ok(None | Some(Event::CheckpointDue(_))) | Err(_)) => {}
            other => return Err(Ended::Broken(format!("drained, and then {other:?}"))),
        }
        self.judge(&life)
    }

    /// What must hold at any time.
    fn judge(&mut self, life: &Life) -> Result<(), Ended> {
        life.source.check().map_err(|violation| violation.to_string())?;
        let (mut held, bound) = (life.source.footprint(), life.source.bound());
        if self.options.has_log() {
            // What a start finds in the log may be more than is received at once.
            held.ids = 0;
        }
        if !held.fits(&bound) {
            return Err(Ended::Broken(format!("G4: {held:?} is more than {bound:?}")));
        }
        let deleted = self.queue.deleted();
        if self.options.has_log() {
            // What a committed checkpoint covers may be gone from the log.
            let mut early = self.watch.early();
            early.retain(|id| self.sent[id].iter().any(|row| !self.outside.has(row)));
            return if early.is_empty() {
                Ok(())
            } else {
                Err(Ended::Broken(format!(
                    "G1: deletes of {early:?} were asked for before they were durable in the log"
                )))
            };
        }
        for id in &deleted[self.deleted_seen..] {
            if let Some(row) = self.sent[id].iter().find(|row| !self.outside.has(row)) {
                return Err(Ended::Broken(format!("G1: message {id} is deleted, and its row {row} is not committed")));
            }
        }
        if deleted[self.deleted_seen..].iter().any(|id| self.bad.contains(id)) {
            let there = letters::ids(&self.fs);
            let early = deleted.iter().find(|id| self.bad.contains(*id) && !there.iter().any(|there| **there == ***id));
            if let Some(id) = early {
                return Err(Ended::Broken(format!("message {id} is deleted, and its dead letter is not in its place")));
            }
        }
        self.deleted_seen = deleted.len();
        Ok(())
    }

    /// No more trouble: what is in the queue must come out, once, and the queue must become empty.
    async fn finish(&mut self) -> Result<(), String> {
        let faults = self.faulty.counts();
        self.faulty.set_rates(FaultRates::none());
        self.options.raise_the_limit();
        self.quiet = true;
        let finding = |ended| match ended {
            Ended::Broken(why) | Ended::Failed(why) => why,
            Ended::Crash => "it crashed at the end".into(),
        };
        self.random = Random::new(0);
        let mut life = loop {
            match self.start().await {
                Err(Ended::Crash) => {}
                other => break other.map_err(finding)?,
            }
        };
        let end = self.clock.now() + END_MAX;
        // What is in a log shows with the first `next`: the queue alone may be empty before.
        let mut asked = false;
        while !(asked && self.queue.remaining().is_empty() && settled(&life)) {
            asked = true;
            if self.clock.now() >= end {
                let (left, status) = (self.queue.remaining().len(), life.source.status());
                return Err(format!("G3: after {END_MAX:?} without faults {left} messages are left; {status:?}"));
            }
            let event = tokio::select! {
                biased;
                event = life.source.next() => event,
                () = pass(&self.clock, SECOND * 5) => continue,
            };
            if self.take(&mut life, event).map_err(finding)? {
                self.sure_checkpoint(&mut life).await.map_err(finding)?;
            }
            self.judge(&life).map_err(finding)?;
        }
        let rows = self.sent.values().flatten();
        let (mut expected, mut missing) = (0, Vec::new());
        for row in rows {
            expected += 1;
            if !self.outside.has(row) {
                missing.push(row.clone());
            }
        }
        if !missing.is_empty() || expected != self.outside.rows() {
            return Err(format!("G3: of {expected} rows {} are committed, missing {missing:?}", self.outside.rows()));
        }
        let mut there = letters::ids(&self.fs);
        there.sort_unstable();
        let belong: Vec<String> = self.bad.iter().map(ToString::to_string).collect();
        if there != belong {
            return Err(format!("dead letters: {} belong there, there are {there:?}", belong.len()));
        }
        self.trace.letters = belong.len() as u64;
        self.note(&(self.clock.now(), faults.calls));
        self.trace.rows = expected as u64;
        self.trace.duplicates = faults.duplicates + life.source.status().duplicates;
        self.trace.extended = self.extended().saturating_sub(faults.duplicates);
        self.trace.lost_deletes = faults.response_lost + faults.request_lost;
        Ok(())
    }

    /// Leases set anew to their full length: by extensions, and by duplicates.
    fn extended(&self) -> u64 {
        let full = |entry: &Entry| matches!(entry.event, QueueEvent::Extended { lease, .. } if lease == self.lease);
        self.queue.journal().iter().filter(|entry| full(entry)).count() as u64
    }

    async fn sure_checkpoint(&mut self, life: &mut Life) -> Result<(), Ended> {
        let id = self.outside.next_id();
        let state = life.source.checkpoint(id).await.map_err(|e| broken("checkpoint", &e))?;
        self.outside.stage(id, std::mem::take(&mut life.open));
        self.outside.save(id, state);
        self.outside.commit(id)?;
        life.source.commit(id).await.map_err(|e| broken("commit", &e))
    }

    fn note(&mut self, what: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.trace.hash, self.clock.now()).hash(&mut hasher);
        what.hash(&mut hasher);
        self.trace.hash = hasher.finish();
    }
}

fn settled(life: &Life) -> bool {
    let status = life.source.status();
    status.buffered == 0 && status.uncommitted == 0 && status.deletable == 0
}

fn report_numbers(report: &headwater_core::DrainReport) -> [u64; 4] {
    [report.deleted, report.unconfirmed, report.released, report.left]
}
