//! A program between the source and the runner, as an embedder writes it: it rejects some messages and gives others back.

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use headwater_core::{
    BadRecord, Batch, CheckpointId, Delivery, DrainReport, Event, MessageKey, MessageMeta, Source, SourceError,
    SourceErrorKind, SourceState, SourceStatus,
};

use super::data::{Policy, Wish};
use super::faults::Fault;
use super::invariants;
use super::rows;
use super::world::{Sim, note};

/// How often it tries to take back a message whose epoch is sealed, in hundredths.
const TOO_LATE: u16 = 50;

/// The source, as the runner sees it.
#[derive(Debug)]
pub(crate) struct Consumer {
    sim: Arc<Sim>,
    inner: Box<dyn Source>,
    /// To be rejected before the next checkpoint.
    late: Vec<MessageMeta>,
    /// A message of the open epoch, and one of the epoch before.
    kept: Option<MessageMeta>,
    sealed: Option<MessageMeta>,
}

impl Consumer {
    pub(crate) fn new(sim: &Arc<Sim>, inner: Box<dyn Source>) -> Self {
        Self { sim: Arc::clone(sim), inner, late: Vec::new(), kept: None, sealed: None }
    }

    /// What is done with the messages of a batch; the rows that are left.
    fn take(&mut self, batch: &Batch) -> Result<Batch, SourceError> {
        let mut dropped = Vec::new();
        for (at, message) in batch.messages().iter().enumerate().filter(|(_, message)| !message.rows.is_empty()) {
            let meta = &message.meta;
            let wish = self.sim.lock().books.wish(meta.key);
            match wish {
                Wish::Keep => self.kept = Some(meta.clone()),
                Wish::Reject { late: true } if self.sim.lock().plan.log.is_none() => self.late.push(meta.clone()),
                Wish::Reject { late } => {
                    self.refuse(meta)?;
                    dropped.extend((!late).then_some(at));
                }
                Wish::GiveBack { delay, .. } => dropped.extend(self.give_back(meta, delay).then_some(at)),
            }
        }
        Ok(if dropped.is_empty() { batch.clone() } else { rows::without(batch, &dropped) })
    }

    /// Rejects a message of the open epoch, now and then twice.
    fn refuse(&mut self, meta: &MessageMeta) -> Result<(), SourceError> {
        let (times, refused) = {
            let mut world = self.sim.lock();
            world.figures.hit(Fault::Rejected);
            let name = world.books.name(meta.key);
            note!(world, "consumer", "rejects {name}");
            let nowhere = world.plan.data.as_ref().is_some_and(|data| data.policy == Policy::Skip);
            (1 + u8::from(world.data_luck.chance(200)), nowhere && world.now.strict.fails)
        };
        for _ in 0..times {
            match self.inner.reject(meta, BadRecord::new("is not wanted")) {
                // Too many: the source has failed.
                Err(error) if error.kind == SourceErrorKind::BadData => return Err(error),
                Err(error) if refused && error.kind == SourceErrorKind::Configuration => {}
                result => self.must(meta, "rejected", &result),
            }
        }
        Ok(())
    }

    /// Gives a message of the open epoch back. With a log there is nothing to give back: that is refused, and it is kept.
    fn give_back(&mut self, meta: &MessageMeta, delay: Duration) -> bool {
        let logs = {
            let mut world = self.sim.lock();
            world.figures.hit(Fault::GivenBack);
            let name = world.books.name(meta.key);
            note!(world, "consumer", "gives back {name} for {delay:?}");
            world.plan.log.is_some()
        };
        match self.inner.retry_later(meta, delay) {
            Err(error) if logs && error.kind == SourceErrorKind::Unsupported => false,
            result => {
                self.must(meta, "given back", &result);
                true
            }
        }
    }

    fn must(&self, meta: &MessageMeta, what: &str, result: &Result<(), SourceError>) {
        let mut world = self.sim.lock();
        let problem = result.as_ref().err().map(ToString::to_string);
        let found = invariants::complaint_is_heard(&world.books, meta.key, what, problem.as_deref());
        world.violate(found);
    }

    /// What a barrier has sealed can neither be rejected nor given back.
    fn complain_too_late(&mut self) {
        let Some(meta) = self.sealed.clone().filter(|_| self.sim.lock().data_luck.chance(TOO_LATE)) else { return };
        let rejected = self.inner.reject(&meta, BadRecord::new("comes too late"));
        let given_back = self.inner.retry_later(&meta, Duration::ZERO);
        let mut world = self.sim.lock();
        let name = world.books.name(meta.key);
        note!(world, "consumer", "complains too late of {name}");
        for result in [rejected, given_back] {
            let refused = result.is_err_and(|error| error.kind == SourceErrorKind::Unsupported);
            let found = invariants::sealed_is_sealed(&world.books, meta.key, refused);
            world.violate(found);
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Source for Consumer {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn delivery(&self) -> Delivery {
        self.inner.delivery()
    }

    fn guarantee(&self) -> String {
        self.inner.guarantee()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn restore(&mut self, id: CheckpointId, state: SourceState) -> Result<(), SourceError> {
        self.inner.restore(id, state).await
    }

    async fn next(&mut self) -> Result<Option<Event>, SourceError> {
        self.complain_too_late();
        match self.inner.next().await? {
            // Nothing is awaited after this: a dropped `next` has not taken it.
            Some(Event::Batch(batch)) => Ok(Some(Event::Batch(self.take(&batch)?))),
            other => Ok(other),
        }
    }

    fn reject(&mut self, message: &MessageMeta, reason: BadRecord) -> Result<(), SourceError> {
        self.inner.reject(message, reason)
    }

    fn retry_later(&mut self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        self.inner.retry_later(message, delay)
    }

    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError> {
        for meta in std::mem::take(&mut self.late) {
            self.refuse(&meta)?;
        }
        let state = self.inner.checkpoint(id).await?;
        if let Some(kept) = self.kept.take() {
            self.sealed = Some(kept);
        }
        Ok(state)
    }

    async fn checkpoint_before(&mut self, id: CheckpointId, later: &[MessageKey]) -> Result<SourceState, SourceError> {
        self.inner.checkpoint_before(id, later).await
    }

    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.inner.commit(id).await
    }

    fn rely_on_stored_parts(&mut self) {
        self.inner.rely_on_stored_parts();
    }

    async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.inner.abort(id).await
    }

    async fn stop(&mut self) {
        self.inner.stop().await;
    }

    async fn drain(&mut self, deadline: Duration) -> Result<DrainReport, SourceError> {
        self.inner.drain(deadline).await
    }

    fn status(&self) -> SourceStatus {
        self.inner.status()
    }
}
