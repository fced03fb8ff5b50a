//! The embedder's side of a source: its loop, its durable store, and what it may hold the source to at any moment.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use futures::future::{Either, select};
use headwater_core::{
    Batch, CheckpointId, DrainReport, DueReason, Event, MessageKey, Source, SourceError, SourceErrorKind, SourceState,
};

use super::bench::Bench;
use crate::trial::{Halt, ensure};

/// Events without any time passing before a source is called a spinning one.
const EVENTS_MAX: usize = 10_000;

/// Steps into which a wait for a promise is cut, to look whether it is kept.
const LOOKS: u32 = 100;

/// A job: a source, a durable store of checkpoints, and the books. Every batch is checked against them as it comes.
pub(super) struct Job<'a> {
    pub(super) bench: &'a Bench,
    source: Option<Box<dyn Source>>,
    last: u64,
    /// Handed out, and in no durable checkpoint.
    pending: BTreeSet<String>,
    /// Those of them that are behind some barrier.
    sealed: BTreeSet<String>,
    /// In a durable checkpoint.
    durable: BTreeSet<String>,
    /// In a committed checkpoint: may be deleted.
    committed: BTreeSet<String>,
    /// Commits that were begun.
    commits: u64,
    /// The newest durable checkpoint.
    saved: Option<(CheckpointId, SourceState)>,
    /// Checkpoints that were announced.
    pub(super) due: Vec<DueReason>,
}

/// A checkpoint that was cut and not decided.
pub(super) struct Cut {
    pub(super) id: CheckpointId,
    pub(super) state: SourceState,
    content: BTreeSet<String>,
}

impl<'a> Job<'a> {
    pub(super) fn new(bench: &'a Bench, source: Box<dyn Source>) -> Self {
        Self {
            bench,
            source: Some(source),
            last: 0,
            pending: BTreeSet::new(),
            sealed: BTreeSet::new(),
            durable: BTreeSet::new(),
            committed: BTreeSet::new(),
            commits: 0,
            saved: None,
            due: Vec::new(),
        }
    }

    pub(super) fn source(&mut self) -> Result<&mut Box<dyn Source>, Halt> {
        self.source.as_mut().ok_or_else(|| Halt::failed("the trial uses a source it has dropped"))
    }

    /// The newest checkpoint id that was used.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) const fn pending(&self) -> &BTreeSet<String> {
        &self.pending
    }

    pub(super) const fn durable(&self) -> &BTreeSet<String> {
        &self.durable
    }

    pub(super) const fn saved(&self) -> Option<&(CheckpointId, SourceState)> {
        self.saved.as_ref()
    }

    // Rows.

    /// The next event; it must come.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Halt> {
        let bench = self.bench;
        let event = bench.ended("next", self.source()?.next()).await??;
        self.note(event.as_ref())?;
        Ok(event)
    }

    /// Everything that comes while `time` passes.
    pub(super) async fn watch(&mut self, time: Duration) -> Result<Vec<Event>, Halt> {
        let bench = self.bench;
        let mut pass = pin!(bench.test.pass(time));
        let mut events = Vec::new();
        while events.len() < EVENTS_MAX {
            let event = match select(self.source()?.next(), &mut pass).await {
                Either::Left((event, _)) => event?,
                Either::Right(_) => return Ok(events),
            };
            self.note(event.as_ref())?;
            match event {
                Some(event) => events.push(event),
                None => return Ok(events),
            }
        }
        Err(Halt::failed(format!("{EVENTS_MAX} events and no time has passed")))
    }

    /// Takes rows until `count` messages with rows are pending, whatever checkpoints are announced.
    pub(super) async fn take(&mut self, count: usize) -> Result<(), Halt> {
        for _ in 0..EVENTS_MAX {
            if self.pending.len() >= count {
                return Ok(());
            }
            let got = self.pending.len();
            let more = self.next().await.map_err(|halt| match halt {
                Halt::Failed(why) => Halt::Failed(format!("{got} of {count} messages came, then: {why}")),
                skipped @ Halt::Skipped(_) => skipped,
            })?;
            ensure!(more.is_some(), "the stream ended after {got} of {count} messages, and nobody has stopped it");
        }
        Err(Halt::failed(format!("{EVENTS_MAX} events and {} of {count} messages", self.pending.len())))
    }

    /// Waits, taking rows, until a checkpoint is announced.
    pub(super) async fn until_due(&mut self) -> Result<(), Halt> {
        let announced = self.due.len();
        for _ in 0..EVENTS_MAX {
            if self.due.len() > announced {
                return Ok(());
            }
            let more = self.next().await?;
            ensure!(more.is_some(), "the stream ended, and nobody has stopped it");
        }
        Err(Halt::failed(format!("{EVENTS_MAX} events and no announcement of a checkpoint")))
    }

    /// Enters what a call of `next` outside of this job answered.
    pub(super) fn note_answer(&mut self, answer: Result<Option<Event>, SourceError>) -> Result<(), Halt> {
        self.note(answer?.as_ref())
    }

    /// Enters an event in the books, and holds a batch against them.
    fn note(&mut self, event: Option<&Event>) -> Result<(), Halt> {
        match event {
            Some(Event::Batch(batch)) => self.note_batch(batch),
            Some(Event::CheckpointDue(reason)) => {
                self.due.push(*reason);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note_batch(&mut self, batch: &Batch) -> Result<(), Halt> {
        let schema = self.source()?.schema();
        ensure!(batch.records().schema() == schema, "a batch of another schema: {:?}", batch.records().schema());
        let numbers = numbers(batch)?;
        let mut at = 0;
        for message in batch.messages() {
            let id = message.meta.id.to_string();
            ensure!(message.rows.start == at, "the rows of {id} begin at {}, not at {at}", message.rows.start);
            at = message.rows.end;
            let rows = numbers.values().get(message.rows.clone()).unwrap_or_default();
            let expected = self.bench.sent().get(&id).cloned();
            let expected = expected.ok_or_else(|| Halt::failed(format!("{id} was never sent")))?;
            ensure!(rows == expected, "{id} was sent with rows {expected:?}; handed out were {rows:?}");
            if rows.is_empty() {
                continue;
            }
            ensure!(!self.durable.contains(&id), "{id} is in a durable checkpoint and was handed out again");
            ensure!(self.pending.insert(id.clone()), "{id} was handed out twice");
        }
        ensure!(at == numbers.len(), "{} rows, and the messages account for {at}", numbers.len());
        Ok(())
    }

    // Checkpoints.

    /// Cuts a checkpoint under a new id. Whether it becomes durable is decided by [`save`](Self::save).
    pub(super) async fn cut(&mut self) -> Result<Cut, Halt> {
        self.last += 1;
        let id = CheckpointId(self.last);
        let bench = self.bench;
        let state = bench.ended("checkpoint", self.source()?.checkpoint(id)).await??;
        let own = self.source()?.identity();
        ensure!(state.identity == own, "the state says it belongs to {}, the source is {own}", state.identity);
        self.sealed.clone_from(&self.pending);
        Ok(Cut { id, state, content: self.pending.clone() })
    }

    /// As [`cut`](Self::cut), with `later` left to the next epoch, as far as it is in the open one; `None` from a source
    /// that cannot do it.
    pub(super) async fn cut_before(&mut self, later: &BTreeSet<String>) -> Result<Option<Cut>, Halt> {
        let later: BTreeSet<_> = later.difference(&self.sealed).cloned().collect();
        self.last += 1;
        let id = CheckpointId(self.last);
        let keys: Vec<_> = later.iter().map(|id| MessageKey::of(id)).collect();
        let bench = self.bench;
        let state = match bench.ended("checkpoint_before", self.source()?.checkpoint_before(id, &keys)).await? {
            Err(error) if error.kind == SourceErrorKind::Unsupported => return Ok(None),
            state => state?,
        };
        let content: BTreeSet<_> = self.pending.difference(&later).cloned().collect();
        self.sealed.clone_from(&content);
        Ok(Some(Cut { id, state, content }))
    }

    /// The store has made it durable.
    pub(super) fn save(&mut self, cut: &Cut) {
        self.saved = Some((cut.id, cut.state.clone()));
        self.durable.extend(cut.content.iter().cloned());
        self.pending.retain(|id| !cut.content.contains(id));
    }

    /// The checkpoint is durable and the sinks have committed.
    pub(super) async fn commit(&mut self, id: CheckpointId) -> Result<(), Halt> {
        self.allow_deletes();
        let bench = self.bench;
        bench.ended("commit", self.source()?.commit(id)).await??;
        Ok(())
    }

    /// From here on what is durable may be deleted.
    pub(super) fn allow_deletes(&mut self) {
        self.committed.clone_from(&self.durable);
        self.commits += 1;
    }

    /// The save has failed, as far as the job knows.
    pub(super) async fn abort(&mut self, id: CheckpointId) -> Result<(), Halt> {
        let bench = self.bench;
        bench.ended("abort", self.source()?.abort(id)).await??;
        Ok(())
    }

    /// Cuts, saves and commits.
    pub(super) async fn checkpoint(&mut self) -> Result<(), Halt> {
        let cut = self.cut().await?;
        self.save(&cut);
        self.commit(cut.id).await
    }

    /// The embedder's loop, while `time` passes: takes rows, and takes and commits a checkpoint whenever one is announced.
    pub(super) async fn run(&mut self, time: Duration) -> Result<(), Halt> {
        let bench = self.bench;
        let mut pass = pin!(bench.test.pass(time));
        for _ in 0..EVENTS_MAX {
            let event = match select(self.source()?.next(), &mut pass).await {
                Either::Left((event, _)) => event?,
                Either::Right(_) => return Ok(()),
            };
            self.note(event.as_ref())?;
            match event {
                Some(Event::CheckpointDue(_)) => self.checkpoint().await?,
                Some(_) => {}
                None => return Ok(()),
            }
        }
        Err(Halt::failed(format!("{EVENTS_MAX} events and no time has passed")))
    }

    /// Runs until every message sent is in a durable checkpoint and deleted.
    pub(super) async fn finish(&mut self) -> Result<(), Halt> {
        let total = self.bench.with_rows();
        for _ in 0..LOOKS {
            if self.durable.len() == total && self.bench.test.left().await?.is_empty() {
                return Ok(());
            }
            self.run(self.bench.settings.eventually / LOOKS).await?;
            self.check_deletes().await?;
        }
        let (done, limit, left) = (self.durable.len(), self.bench.settings.eventually, self.bench.test.left().await?);
        ensure!(done == total, "after {limit:?} only {done} of {total} messages with rows are in a durable checkpoint");
        ensure!(left.is_empty(), "after {limit:?} every row is durable, and {} messages are not deleted", left.len());
        Ok(())
    }

    /// G1: what is deleted was in a committed checkpoint. (A message without rows may be in any epoch; it may go once
    /// anything was committed.)
    pub(super) async fn check_deletes(&mut self) -> Result<(), Halt> {
        let left = self.bench.test.left().await?;
        let sent = self.bench.sent().clone();
        for (id, rows) in sent.iter().filter(|(id, _)| !left.contains(id)) {
            let allowed = if rows.is_empty() { self.commits > 0 } else { self.committed.contains(id) };
            ensure!(allowed, "{id} was deleted, and no committed checkpoint holds it");
        }
        Ok(())
    }

    // The end of a process.

    /// The process dies.
    pub(super) fn crash(&mut self) {
        self.source = None;
        self.pending.clear();
        self.sealed.clear();
    }

    /// A new process opens a source and restores it from what the store holds; the sinks have not committed yet.
    pub(super) async fn reopen(&mut self) -> Result<(), Halt> {
        self.source = Some(self.bench.open().await?);
        if let Some((id, state)) = self.saved.clone() {
            self.restore(id, state).await??;
            self.last = self.last.max(id.0);
        }
        Ok(())
    }

    /// As [`reopen`](Self::reopen), and commits what was restored.
    pub(super) async fn restart(&mut self) -> Result<(), Halt> {
        self.crash();
        self.reopen().await?;
        match self.saved.as_ref().map(|(id, _)| *id) {
            Some(id) => self.commit(id).await,
            None => Ok(()),
        }
    }

    pub(super) async fn restore(
        &mut self,
        id: CheckpointId,
        state: SourceState,
    ) -> Result<Result<(), SourceError>, Halt> {
        let bench = self.bench;
        bench.ended("restore", self.source()?.restore(id, state)).await
    }

    pub(super) async fn stop(&mut self) -> Result<(), Halt> {
        let bench = self.bench;
        bench.ended("stop", self.source()?.stop()).await
    }

    /// Takes what a stopped source still hands out.
    pub(super) async fn take_rest(&mut self) -> Result<(), Halt> {
        for _ in 0..EVENTS_MAX {
            if self.next().await?.is_none() {
                return Ok(());
            }
        }
        Err(Halt::failed(format!("{EVENTS_MAX} events after a stop, and no end")))
    }

    pub(super) async fn drain(&mut self) -> Result<DrainReport, Halt> {
        let (bench, limit) = (self.bench, self.bench.settings.eventually / 2);
        Ok(bench.ended("drain", self.source()?.drain(limit)).await??)
    }
}

fn numbers(batch: &Batch) -> Result<Int64Array, Halt> {
    let column = batch.records().columns().first();
    let numbers = column.and_then(|column| column.as_primitive_opt::<Int64Type>()).cloned();
    numbers.ok_or_else(|| Halt::failed("the first column is not BIGINT"))
}
