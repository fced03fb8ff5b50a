//! A source with one flaw: the queue source between a wrapper that sees its calls and one that sees its queue's.

mod tap;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{Either, select};
use headwater_core::{
    Batch, CheckpointId, Clock, Delivery, DrainReport, DueReason, Event, MessageKey, MessageRows, Source, SourceError,
    SourceErrorKind, SourceState, SourceStatus,
};
use headwater_formats::Format;
use headwater_queue_source::{LeasePolicy, QueueSource, SourceConfig};
use headwater_testkit::source_conformance::OpenOn;
use headwater_testkit::{HarnessError, settle};

use tap::Tap;

/// The promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    AbortSilences,
    AcceptsAnyState,
    AcceptsOldIds,
    AcceptsUnknownCommits,
    AlwaysIdle,
    AnnouncesAlways,
    Boasts,
    CheckpointRecuts,
    CommitDroppedIsDone,
    CommitOnlyOnce,
    CommitsItsOwnEpochOnly,
    CommitsTheOpenEpoch,
    CutsBehindTheBatch,
    DeletesOnAbort,
    DeletesOnCheckpoint,
    DeletesOnHandOut,
    DeletesOnlyInNext,
    DiesWhole,
    DrainCommits,
    DrainDoesNothing,
    DrainOnlyOnce,
    DropsOnCancel,
    DroppedCheckpointIsStuck,
    DroppedDrainIsStuck,
    EmitsRedeliveries,
    EmptyCheckpointFails,
    FailsOnTransient,
    ForgetsItsFailure,
    HidesDenied,
    IdentityChanges,
    LosesEmptyMessages,
    NamesRepeat,
    NeverAnnounces,
    NeverRearms,
    None,
    OutlivesItsDrop,
    ReleasesNothing,
    RestoreCommits,
    RestoreForgetsDeletes,
    RestoreIsIgnored,
    ReversesRows,
    SaysNothing,
    SchemaLies,
    SplitsMessages,
    StallsOnLostAnswers,
    StatusStands,
    StopBeforeTheStartHangs,
    StopDropsWhatIsBuffered,
    StopGoesOn,
    TrustsTheDequeueCount,
    Unbounded,
}

/// Rows as a JSON array of objects; none as an empty array.
pub(crate) fn encode(rows: &[i64]) -> Bytes {
    let rows: Vec<String> = rows.iter().map(|row| format!("{{\"n\":{row}}}")).collect();
    format!("[{}]", rows.join(",")).into()
}

/// The queue source, with a flaw.
pub(crate) async fn open(on: OpenOn, flaw: Flaw) -> Result<Box<dyn Source>, HarnessError> {
    let tap = Arc::new(Tap::new(on.queue, flaw));
    let max = if flaw == Flaw::Unbounded { on.undeleted_max * 100 } else { on.undeleted_max };
    let mut config = SourceConfig::new("numbers", Format::json().factory(&"n BIGINT".parse()?)?);
    config.limits.undeleted_max = max;
    config.limits.checkpoint_max_messages = max / 2;
    config.limits.checkpoint_interval = Duration::from_secs(5);
    // Leases that end are what some flaws need in order to show.
    config.lease_policy = LeasePolicy::Absorb;
    let inner = QueueSource::open(Arc::<Tap>::clone(&tap), Arc::clone(&on.clock), config).await?;
    Ok(Box::new(Broken { inner: Some(Box::new(inner)), clock: on.clock, tap, flaw, seen: Seen::default() }))
}

struct Broken {
    inner: Option<Box<dyn Source>>,
    clock: Arc<dyn Clock>,
    tap: Arc<Tap>,
    flaw: Flaw,
    seen: Seen,
}

/// What the wrapper has seen so far.
#[derive(Default)]
struct Seen {
    calls: u32,
    begun: bool,
    stopped: bool,
    silent: bool,
    failed: bool,
    drained: bool,
    undecided: bool,
    fresh: bool,
    /// Rows split off a batch, still to be handed out.
    split: Vec<Batch>,
    /// The batch of each message.
    batches: BTreeMap<String, Batch>,
    handed: Vec<String>,
    /// What was handed out before each checkpoint.
    cut: BTreeMap<CheckpointId, BTreeSet<String>>,
    committed: BTreeSet<CheckpointId>,
    entered: BTreeSet<CheckpointId>,
    draining: bool,
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({:?})", self.flaw)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        if self.flaw == Flaw::OutlivesItsDrop {
            std::mem::forget(self.inner.take());
        }
    }
}

fn error(kind: SourceErrorKind) -> SourceError {
    SourceError::new(kind, "broken on purpose")
}

impl Broken {
    fn inner(&mut self) -> &mut dyn Source {
        &mut **self.inner.as_mut().expect("the inner source lives as long as the wrapper")
    }

    fn shown(&self) -> &dyn Source {
        &**self.inner.as_ref().expect("the inner source lives as long as the wrapper")
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    async fn pend<T>() -> T {
        std::future::pending().await
    }

    /// An event as the flaw would have it; `None` if it hides it.
    async fn show(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Batch(batch) => {
                let batch = self.reshape(batch);
                let ids: Vec<String> = batch.messages().iter().map(|m| m.meta.id.to_string()).collect();
                for id in &ids {
                    self.seen.batches.insert(id.clone(), one_message(&batch, id));
                }
                self.seen.handed.extend(ids);
                self.seen.fresh = true;
                if self.is(Flaw::DeletesOnHandOut) {
                    self.tap.delete_all(&self.seen.handed).await;
                }
                Some(Event::Batch(batch))
            }
            Event::CheckpointDue(_) if self.is(Flaw::NeverAnnounces) || self.seen.silent => None,
            event => Some(event),
        }
    }

    fn reshape(&mut self, batch: Batch) -> Batch {
        let rows = batch.records().num_rows();
        match self.flaw {
            Flaw::ReversesRows => {
                let columns = batch.records().columns().iter().map(|column| {
                    let parts: Vec<_> = (0..rows).rev().map(|row| column.slice(row, 1)).collect();
                    let parts: Vec<_> = parts.iter().map(|part| &**part).collect();
                    arrow_select::concat::concat(&parts).expect("slices of one column")
                });
                let records = RecordBatch::try_new(batch.records().schema(), columns.collect()).expect("same columns");
                Batch::new(records, batch.messages().to_vec())
            }
            Flaw::SplitsMessages => {
                let mut split: Vec<Batch> = (0..rows).map(|row| one_row(&batch, row)).collect();
                let first = split.remove(0);
                self.seen.split.append(&mut split);
                first
            }
            _ => batch,
        }
    }

    async fn next_from_inner(&mut self) -> Result<Option<Event>, SourceError> {
        self.tap.in_next(true);
        if self.is(Flaw::AnnouncesAlways) {
            let alarm = self.clock.sleep(Duration::from_secs(7));
            return match select(self.inner().next(), alarm).await {
                Either::Left((event, _)) => event,
                Either::Right(_) => Ok(Some(Event::CheckpointDue(DueReason::Interval))),
            };
        }
        if self.is(Flaw::EmitsRedeliveries) {
            loop {
                let redelivered = self.tap.take_redelivered().and_then(|id| self.seen.batches.get(&id).cloned());
                if let Some(batch) = redelivered {
                    return Ok(Some(Event::Batch(batch)));
                }
                let alarm = self.clock.sleep(Duration::from_secs(1));
                if let Either::Left((event, _)) = select(self.inner().next(), alarm).await {
                    return event;
                }
            }
        }
        let event = self.inner().next().await;
        if self.is(Flaw::DropsOnCancel) {
            settle().await;
        }
        event
    }

    async fn delete_handed_out(&mut self) {
        self.tap.delete_all(&self.seen.handed).await;
    }
}

/// The rows of one message of a batch, by themselves.
fn one_message(batch: &Batch, id: &str) -> Batch {
    let message = batch.messages().iter().find(|message| &*message.meta.id == id).expect("a message of the batch");
    let rows = message.rows.clone();
    let records = batch.records().slice(rows.start, rows.len());
    Batch::new(records, vec![MessageRows { meta: message.meta.clone(), rows: 0..rows.len() }])
}

fn one_row(batch: &Batch, row: usize) -> Batch {
    let message = batch.messages().iter().find(|message| message.rows.contains(&row)).expect("a message of the row");
    Batch::new(batch.records().slice(row, 1), vec![MessageRows { meta: message.meta.clone(), rows: 0..1 }])
}

#[async_trait]
impl Source for Broken {
    fn schema(&self) -> SchemaRef {
        if self.is(Flaw::SchemaLies) { Arc::new(Schema::empty()) } else { self.shown().schema() }
    }

    fn delivery(&self) -> Delivery {
        if self.is(Flaw::Boasts) { Delivery::ExactlyOnce } else { self.shown().delivery() }
    }

    fn guarantee(&self) -> String {
        match self.flaw {
            Flaw::SaysNothing => String::new(),
            Flaw::Boasts => "exactly-once".into(),
            _ => self.shown().guarantee(),
        }
    }

    fn identity(&self) -> String {
        let calls = if self.is(Flaw::IdentityChanges) { self.seen.calls.to_string() } else { String::new() };
        self.shown().identity() + &calls
    }

    async fn restore(&mut self, id: CheckpointId, state: SourceState) -> Result<(), SourceError> {
        match self.flaw {
            Flaw::RestoreIsIgnored => return Ok(()),
            Flaw::RestoreForgetsDeletes => self.tap.hold_deletes(true),
            _ => {}
        }
        let answer = self.inner().restore(id, state).await;
        if self.is(Flaw::RestoreCommits) && answer.is_ok() {
            self.inner().commit(id).await?;
        }
        if self.is(Flaw::AcceptsAnyState) { Ok(()) } else { answer }
    }

    async fn next(&mut self) -> Result<Option<Event>, SourceError> {
        self.seen.calls += 1;
        if self.is(Flaw::StopBeforeTheStartHangs) && self.seen.stopped && !self.seen.begun {
            return Self::pend().await;
        }
        self.seen.begun = true;
        loop {
            if let Some(batch) = self.seen.split.pop() {
                return Ok(Some(Event::Batch(batch)));
            }
            if self.seen.stopped && matches!(self.flaw, Flaw::StopDropsWhatIsBuffered | Flaw::StopGoesOn) {
                return Ok(None);
            }
            if self.is(Flaw::StallsOnLostAnswers) && self.tap.answers_lost() {
                return Self::pend().await;
            }
            if self.is(Flaw::ForgetsItsFailure) && self.seen.failed {
                return Self::pend().await;
            }
            let event = match self.next_from_inner().await {
                Err(_) if self.is(Flaw::HidesDenied) => Self::pend().await,
                Err(cause) => {
                    self.seen.failed = true;
                    return Err(cause);
                }
                Ok(None) => return Ok(None),
                Ok(Some(event)) => event,
            };
            if let Some(event) = self.show(event).await {
                return Ok(Some(event));
            }
        }
    }

    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError> {
        self.seen.calls += 1;
        if self.is(Flaw::DiesWhole) && self.seen.failed {
            return Err(error(SourceErrorKind::Failed));
        }
        if self.is(Flaw::EmptyCheckpointFails) && !self.seen.fresh {
            return Err(error(SourceErrorKind::Failed));
        }
        if self.is(Flaw::DroppedCheckpointIsStuck) {
            if !self.seen.entered.insert(id) {
                return Err(error(SourceErrorKind::Failed));
            }
            settle().await;
        }
        let again = self.is(Flaw::CheckpointRecuts) && self.seen.cut.contains_key(&id);
        let used = if again { CheckpointId(id.0 + 1_000) } else { id };
        let state = self.inner().checkpoint(used).await;
        self.seen.cut.insert(id, self.seen.handed.iter().cloned().collect());
        (self.seen.undecided, self.seen.fresh) = (true, false);
        if self.is(Flaw::DeletesOnCheckpoint) {
            self.delete_handed_out().await;
        }
        match state {
            Err(_) if self.is(Flaw::AcceptsOldIds) => Ok(SourceState::new(self.identity(), Vec::new())),
            Ok(mut state) if self.is(Flaw::NamesRepeat) => {
                state.parts.iter_mut().for_each(|part| part.name = "part".into());
                Ok(state)
            }
            state => state,
        }
    }

    async fn checkpoint_before(&mut self, id: CheckpointId, later: &[MessageKey]) -> Result<SourceState, SourceError> {
        if self.is(Flaw::CutsBehindTheBatch) {
            return self.inner().checkpoint(id).await;
        }
        self.inner().checkpoint_before(id, later).await
    }

    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.seen.calls += 1;
        let repeated = !self.seen.committed.insert(id);
        match self.flaw {
            Flaw::DiesWhole if self.seen.failed => return Err(error(SourceErrorKind::Failed)),
            Flaw::CommitOnlyOnce if repeated => return Err(error(SourceErrorKind::Failed)),
            Flaw::CommitDroppedIsDone if repeated => return Ok(()),
            Flaw::CommitDroppedIsDone => settle().await,
            Flaw::CommitsTheOpenEpoch => self.delete_handed_out().await,
            Flaw::RestoreForgetsDeletes => self.tap.hold_deletes(false),
            Flaw::CommitsItsOwnEpochOnly => {
                let committed = self.seen.committed.clone();
                let skipped = self.seen.cut.iter().filter(|(other, _)| **other < id && !committed.contains(other));
                self.tap.never_delete(skipped.flat_map(|(_, ids)| ids.iter().cloned()).collect());
            }
            _ => {}
        }
        self.seen.undecided = false;
        match self.inner().commit(id).await {
            Err(_) if matches!(self.flaw, Flaw::AcceptsUnknownCommits | Flaw::RestoreIsIgnored) => Ok(()),
            answer => answer,
        }
    }

    async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.seen.undecided = false;
        match self.flaw {
            Flaw::AbortSilences => self.seen.silent = true,
            Flaw::DeletesOnAbort => self.delete_handed_out().await,
            _ => {}
        }
        self.inner().abort(id).await
    }

    async fn stop(&mut self) {
        self.seen.stopped = true;
        if !self.is(Flaw::StopGoesOn) {
            self.inner().stop().await;
        }
    }

    async fn drain(&mut self, deadline: Duration) -> Result<DrainReport, SourceError> {
        let repeated = std::mem::replace(&mut self.seen.drained, true);
        match self.flaw {
            Flaw::DrainDoesNothing => return Ok(DrainReport::default()),
            Flaw::DrainOnlyOnce if repeated => return Err(error(SourceErrorKind::Failed)),
            Flaw::DrainCommits => self.delete_handed_out().await,
            Flaw::DroppedDrainIsStuck => {
                if std::mem::replace(&mut self.seen.draining, true) {
                    return Err(error(SourceErrorKind::Failed));
                }
                settle().await;
            }
            _ => {}
        }
        self.inner().drain(deadline).await
    }

    fn status(&self) -> SourceStatus {
        let mut status = self.shown().status();
        match self.flaw {
            Flaw::StatusStands => status = SourceStatus::default(),
            Flaw::AlwaysIdle => status.idle_since = Some(headwater_core::Mono::default()),
            _ => {}
        }
        status
    }
}
