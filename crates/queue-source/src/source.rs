//! [`QueueSource`]: a queue, a ledger and a decoder, seen as a [`Source`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use futures::future::join;
use headwater_core::{
    Alarm, BadRecord, CheckpointId, Clock, Delivery, DrainReport, EarlierRun, Event, MarkerError, MessageMeta, Queue,
    Source, SourceError, SourceErrorKind, SourceState, SourceStatus,
};
#[cfg(feature = "traps")]
use headwater_ledger::Trap;
use headwater_ledger::{MessageKey, Mono, Violation};
use tokio::task::JoinSet;

use crate::ahead::{Blame, Taken};
use crate::bad::Bad;
use crate::bound::Footprint;
use crate::config::{Rewind, SourceConfig};
use crate::decode::{Decoded, Decoding};
use crate::letters::{DeadLetterTarget, Letters};
use crate::log::{self, LogSide};
use crate::returns::{self, Returns};
use crate::state::{Inbound, Shared};
use crate::{deleter, drain, durable, epochs, extender, gather, open, poller};

/// Any queue as an exactly-once source. See the crate's page.
#[derive(Debug)]
pub struct QueueSource {
    pub(crate) shared: Arc<Shared>,
    decoding: Decoding,
    pub(crate) bad: Bad,
    pub(crate) letters: Option<Letters>,
    pub(crate) returns: Returns,
    pub(crate) log: Option<LogSide>,
    pub(crate) logger: JoinSet<()>,
    pollers: JoinSet<()>,
    deleters: JoinSet<()>,
    extender: JoinSet<()>,
    gatherer: JoinSet<()>,
    restored: bool,
    pub(crate) returner: JoinSet<()>,
    polling: bool,
    deleting: bool,
    /// Deletes confirmed when a drain began.
    drain_began: Option<u64>,
    /// Polls that a drain cut short.
    polls_cut: u64,
    drained: Option<DrainReport>,
    /// For the waits of `next`.
    alarm: Alarm,
    /// Messages that are taken from the shared inbox and had no room in the batch before: older than all that waits there.
    pub(crate) inbox: VecDeque<Inbound>,
    /// Room for keys, used again for every batch.
    keys: Vec<MessageKey>,
}

impl QueueSource {
    /// Reads what the queue says of itself and makes a source. Nothing is received before the first [`next`](Source::next).
    ///
    /// # Errors
    /// [`SourceErrorKind::Configuration`] with everything wrong at once; [`SourceErrorKind::Denied`] and others when the queue
    /// cannot be used. A denied read of the attributes is no error: a consumer may only be allowed to receive and delete.
    pub async fn open(queue: Arc<dyn Queue>, clock: Arc<dyn Clock>, config: SourceConfig) -> Result<Self, SourceError> {
        Self::open_with(queue, clock, config, None).await
    }

    /// As [`open`](Self::open), with a place for the messages that cannot be processed.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open_with(
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
        config: SourceConfig,
        target: Option<DeadLetterTarget>,
    ) -> Result<Self, SourceError> {
        let (shared, decoding) = open::open(queue, clock, config, target.is_some()).await?;
        let log = match &shared.config.log {
            Some(config) => Some(log::open(config, shared.config.accept_loss).await?),
            None => None,
        };
        let alarm = Alarm::new(Arc::clone(&shared.clock));
        let config = &shared.config;
        Ok(Self {
            bad: Bad::new(config.bad_records_window),
            letters: target.map(|target| Letters::new(target, &config.job, &config.table)),
            returns: Returns::default(),
            log,
            logger: JoinSet::new(),
            shared: Arc::new(shared),
            decoding,
            pollers: JoinSet::new(),
            deleters: JoinSet::new(),
            extender: JoinSet::new(),
            gatherer: JoinSet::new(),
            restored: false,
            returner: JoinSet::new(),
            polling: false,
            deleting: false,
            drain_began: None,
            polls_cut: 0,
            drained: None,
            alarm,
            inbox: VecDeque::new(),
            keys: Vec::new(),
        })
    }

    /// Whether the ledger's invariants hold, for tests; costs time in proportion to all ids.
    ///
    /// # Errors
    /// The first that does not.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), Violation> {
        self.shared.lock().ledger.check()
    }

    /// The most that this source remembers and holds, as [`SourceConfig::bound`] says it, with what the queue said of itself.
    #[must_use]
    pub fn bound(&self) -> Footprint {
        self.shared.config.bound()
    }

    /// What this source remembers and holds now, what receives on their way may bring included.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let state = self.shared.lock();
        let counts = state.ledger.counts();
        Footprint { ids: counts.ids(), bytes: state.ledger.held_bytes() + counts.reserved_bytes }
    }

    /// Pollers start with the first `next`: a restore must come before anything is received.
    pub(crate) fn start_polling(&mut self) {
        if self.polling {
            return;
        }
        self.start_deleting();
        self.start_logging();
        let pollers = self.shared.config.pollers;
        let mut state = self.shared.lock();
        if std::mem::replace(&mut self.polling, true) || state.stopping {
            return;
        }
        state.polling = pollers;
        state.last_activity = self.shared.clock.now();
        extender::begin(&mut state);
        drop(state);
        self.extender.spawn(extender::run(Arc::clone(&self.shared)));
        self.gatherer.spawn(gather::run(Arc::clone(&self.shared)));
        for _ in 0..pollers {
            self.pollers.spawn(poller::run(Arc::clone(&self.shared)));
        }
    }

    /// Deletes may start earlier: a restored state says what is committed.
    pub(crate) fn start_deleting(&mut self) {
        if std::mem::replace(&mut self.deleting, true) {
            return;
        }
        let workers = self.shared.config.deleters();
        self.shared.lock().deleting = workers;
        for _ in 0..workers {
            self.deleters.spawn(deleter::run(Arc::clone(&self.shared)));
        }
    }

    /// What can be said without waiting.
    fn step(&mut self) -> Result<Option<Step>, SourceError> {
        let mut state = self.shared.lock();
        let now = self.shared.clock.now();
        if let Some(error) = &state.failure {
            // What waits in the inbox stays in the queue: a drain releases it.
            return Err(error.clone());
        }
        if let Some(reason) = state.ledger.announce_checkpoint(now) {
            return Ok(Some(Step::Event(Event::CheckpointDue(reason))));
        }
        let waits = !self.inbox.is_empty() || state.ahead.has_full();
        if !waits && (!state.has_waiting() || state.holds_back()) {
            let ended = state.stopping && state.polling == 0 && state.log.idle();
            let deadline = state.ledger.next_deadline_besides_deletes();
            state.consumer_looks = deadline.unwrap_or(Mono(Duration::MAX));
            self.shared.meter.gauges_if_stale(&mut state, &*self.shared.clock);
            return Ok(Some(if ended { Step::End } else { Step::Wait(deadline) }));
        }
        // Made without the lock, so that screening never waits for it, and handed out before this poll returns: no await lies
        // between, so a dropped `next` cannot lose what it took.
        let taken = if self.inbox.is_empty() { state.ahead.take() } else { None };
        if taken.is_none() && self.inbox.is_empty() && state.inbox.take(&mut self.inbox) {
            self.shared.pollers.notify_one();
        }
        drop(state);
        let mut idle = None;
        let blame = Blame(&self.shared);
        let decoded = match taken {
            Some(Taken::Full(decoded)) => Ok(decoded),
            Some(Taken::Begun(mut decoding)) => {
                let decoded = decoding.finish();
                idle = Some(decoding);
                decoded
            }
            None => {
                self.decoding.take(&self.shared.config, &self.shared.meter, &mut self.inbox);
                self.decoding.finish()
            }
        };
        drop(blame);
        let decoded = decoded.inspect_err(|error| self.shared.fail(error.clone()))?;
        Ok(self.hand_out(decoded, idle))
    }

    fn hand_out(&mut self, decoded: Decoded, idle: Option<Decoding>) -> Option<Step> {
        let now = self.shared.clock.now();
        let exceeded = self.note(&decoded, now);
        let rows = decoded.batch.records().num_rows();
        let mut keys = std::mem::take(&mut self.keys);
        keys.extend(decoded.batch.messages().iter().map(|m| m.meta.key));
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        if let Some(decoding) = idle {
            state.ahead.rest(decoding);
        }
        Self::hand_out_keys(self.log.is_some(), &mut state, &keys);
        #[cfg(feature = "traps")]
        crate::traps::delete_skipped(&self.shared, &state.ledger, decoded.batch.messages(), &mut self.deleters);
        if !keys.is_empty() {
            state.ages.handed_out(now);
        }
        for key in &decoded.left {
            state.ledger.leave(*key);
        }
        state.totals.rows += rows as u64;
        state.last_activity = now;
        let newest = decoded.batch.messages().iter().filter_map(|m| m.meta.enqueued).max();
        if let (Some(now), Some(enqueued)) = (state.server_clock.likely(now), newest) {
            let lag = Duration::from_millis(u64::try_from(now.0.saturating_sub(enqueued.0)).unwrap_or(0));
            state.totals.lag = Some(lag);
            self.shared.meter.lag.set(lag.as_secs_f64());
        }
        self.shared.meter.gauges(&mut state, now);
        drop(state);
        keys.clear();
        self.keys = keys;
        self.note_handed_out(&decoded);
        if let Some(error) = exceeded.or(decoded.failure) {
            self.shared.fail(error);
        }
        if !decoded.left.is_empty() {
            self.shared.pollers.notify_one();
        }
        let meter = &self.shared.meter;
        meter.emitted_rows.increment(rows as u64);
        meter.emitted_bytes.increment(decoded.bytes as u64);
        (rows > 0).then_some(Step::Event(Event::Batch(decoded.batch)))
    }
}

enum Step {
    Event(Event),
    Wait(Option<Mono>),
    End,
}

#[async_trait]
impl Source for QueueSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.decoding.schema())
    }

    fn delivery(&self) -> Delivery {
        if self.shared.queue.capabilities().stable_ids { Delivery::ExactlyOnce } else { Delivery::AtLeastOnce }
    }

    fn guarantee(&self) -> String {
        self.sentence()
    }

    fn identity(&self) -> String {
        self.shared.queue.identity().to_string()
    }

    async fn restore(&mut self, id: CheckpointId, state: SourceState) -> Result<(), SourceError> {
        if state.identity != self.identity() {
            let (own, other) = (self.identity(), state.identity);
            let text = format!(
                "the saved state belongs to queue {other}, this source reads {own}: use the state of {own}, or none"
            );
            return Err(SourceError::new(SourceErrorKind::State, text));
        }
        let refused = |what: String| SourceError::new(SourceErrorKind::State, what);
        if let Rewind::Marked(Some(marker)) = &self.shared.config.rewind {
            marker.check(id, &state).map_err(|e| refused(e.to_string()))?;
        }
        if self.polling {
            return Err(refused(format!("checkpoint {id} cannot be restored: this source is already receiving")));
        }
        let (segments, staged, logged) = durable::read(&state)?;
        #[cfg(feature = "traps")]
        let staged = if self.has_trap(Trap::StagedLettersForgotten) { Vec::new() } else { staged };
        // On a copy: what an earlier process staged is removed only for a state that will do, and a dropped restore may be
        // repeated. Nothing else touches the ledger before the first `next`.
        let now = self.shared.clock.now();
        let mut ledger = self.shared.lock().ledger.clone();
        let restored = ledger.restore(id, &segments, now);
        restored.map_err(|e| refused(format!("checkpoint {id} cannot be restored")).with_source(e))?;
        let log = self.read_log(&mut ledger, Some(id), logged).await?;
        match &mut self.letters {
            Some(letters) => letters.recover(staged).await?,
            None if staged.is_empty() => {}
            None => {
                let text = format!(
                    "dead letters of checkpoint {id} are on their way to where they belong, and this source keeps none: start it \
                     once more with the `deadLetterPath` it had, until a checkpoint is committed"
                );
                return Err(refused(text));
            }
        }
        let mut state = self.shared.lock();
        state.ledger = ledger;
        self.shared.found_log(&mut state, log);
        self.shared.meter.gauges(&mut state, self.shared.clock.now());
        if self.shared.config.earlier_run != EarlierRun::Clean {
            // What the state holds may still be leased to the process that saved it.
            state.maybe_leased(now);
        }
        drop(state);
        self.restored = true;
        self.start_deleting();
        self.shared.deleters.notify_one();
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Event>, SourceError> {
        if let (Rewind::Marked(Some(marker)), false) = (&self.shared.config.rewind, self.restored) {
            let missing = MarkerError::Missing { marked: marker.checkpoint() };
            return Err(SourceError::new(SourceErrorKind::State, missing.to_string()));
        }
        if let Some(letters) = &mut self.letters {
            // Where nothing was restored, everything that is staged is left over.
            letters.recover(Vec::new()).await.inspect_err(|error| self.shared.fail(error.clone()))?;
        }
        self.begin_log().await?;
        let shared = Arc::clone(&self.shared);
        loop {
            self.replay_or_poll().await?;
            let woken = shared.consumer.notified();
            match self.step()? {
                Some(Step::Event(event)) => return Ok(Some(event)),
                Some(Step::End) => return Ok(None),
                Some(Step::Wait(deadline)) => match deadline {
                    Some(at) => tokio::select! { biased; () = woken => {}, () = self.alarm.until(at) => {} },
                    None => woken.await,
                },
                None => {}
            }
            let now = shared.clock.now();
            let mut state = shared.lock();
            if state.tick(now) > 0 {
                shared.meter.gauges(&mut state, now);
            }
        }
    }

    fn reject(&mut self, message: &MessageMeta, reason: BadRecord) -> Result<(), SourceError> {
        self.refuse(message, reason)
    }

    fn retry_later(&mut self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        self.give_back(message, delay)
    }

    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError> {
        self.checkpoint_before(id, &[]).await
    }

    async fn checkpoint_before(&mut self, id: CheckpointId, later: &[MessageKey]) -> Result<SourceState, SourceError> {
        self.begin_log().await?;
        let cut = self.log.as_ref().map_or(Ok(None), |log| log.cut(id, later))?;
        let later = cut.as_ref().map_or(later, |cut| cut.later.as_slice());
        let (snapshot, logged, new) = self.barrier(id, later, cut.as_ref().map(|cut| cut.position))?;
        if new {
            self.seal(id, later);
        }
        let letters = match &mut self.letters {
            Some(letters) => letters.stage().await.inspect_err(|error| self.shared.fail(error.clone()))?,
            None => None,
        };
        self.note_kept();
        Ok(durable::state(self.identity(), snapshot, logged.into_iter().chain(letters)))
    }

    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.start_deleting();
        self.shared.lock().ledger.may_commit(id).map_err(|error| epochs::commit_refused(id, error))?;
        #[cfg(feature = "traps")]
        if self.has_trap(Trap::DeletedBeforeLetter) {
            self.committed(id)?;
        }
        if let Some(letters) = &mut self.letters {
            letters.may_commit(id)?;
            let delivered = letters.commit(id).await.inspect_err(|error| self.shared.fail(error.clone()))?;
            self.shared.meter.dead_letters.increment(delivered);
        }
        self.note_committed(id).await?;
        self.committed(id)?;
        self.release_log(id).await;
        self.shared.pollers.notify_one();
        Ok(())
    }

    fn rely_on_stored_parts(&mut self) {
        self.shared.lock().store_keeps_parts = true;
    }

    async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        let now = self.shared.clock.now();
        self.shared.lock().ledger.abort(id, now);
        Ok(())
    }

    async fn stop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.wake_all();
    }

    async fn drain(&mut self, deadline: Duration) -> Result<DrainReport, SourceError> {
        if let Some(report) = self.drained {
            return Ok(report);
        }
        self.stop().await;
        self.start_deleting();
        let confirmed = self.shared.lock().totals.deleted;
        let before = *self.drain_began.get_or_insert(confirmed);
        let now = self.shared.clock.now();
        drain::pollers_end(&self.shared, drain::polls_until(now, deadline)).await;
        self.polls_cut += self.shared.lock().polling as u64;
        self.pollers.shutdown().await;
        let deadline = now + deadline;
        self.end_log(deadline).await;
        let in_log = self.left_in_log(&self.shared.lock());
        extender::end(&self.shared, deadline).await;
        self.extender.shutdown().await;
        returns::end(&self.shared, drain::polls_until(now, deadline.since(now))).await;
        self.returner.shutdown().await;
        returns::give_up(&self.shared);
        join(drain::deletes_end(&self.shared, deadline), drain::release(&self.shared, &mut self.inbox, deadline)).await;
        self.deleters.shutdown().await;
        if let Some(letters) = &mut self.letters
            && let Err(error) = letters.close().await
        {
            // What it could not do is known already, or is the next run's.
            tracing::debug!(%error, "the sink of the dead letters did not close");
        }
        let (released, left) = drain::give_up_releases(&self.shared);
        let state = self.shared.lock();
        if let Some(error) = &state.delete_refused {
            return Err(error.clone());
        }
        let counts = state.ledger.counts();
        let deleted = state.totals.deleted - before;
        let report = DrainReport::new(deleted, counts.deletable + counts.unconfirmed, released, left);
        let report = report.with_polls_cut(self.polls_cut).with_in_log(in_log);
        drop(state);
        self.drained = Some(report);
        Ok(report)
    }

    fn status(&self) -> SourceStatus {
        let state = self.shared.lock();
        let counts = state.ledger.counts();
        let mut status = SourceStatus::default();
        status.received = state.totals.received;
        status.duplicates = state.totals.duplicates;
        status.rows = state.totals.rows;
        status.deleted = state.totals.deleted;
        status.bad = self.bad.total();
        status.dead_letters = self.letters.as_ref().map_or(0, Letters::delivered);
        status.buffered = counts.buffered + self.left_in_log(&state);
        status.uncommitted = counts.uncommitted + state.ledger.log_counts().uncommitted;
        status.deletable = counts.deletable;
        status.unconfirmed = counts.unconfirmed;
        status.lag = state.totals.lag;
        status.busy_until = Some(state.idle_floor);
        let settled = status.buffered == 0 && status.uncommitted == 0 && counts.deletable == 0;
        if settled && self.polling && state.pausing == 0 && state.failure.is_none() {
            let leases = state.ledger.latest_lease_end().unwrap_or_default();
            status.idle_since = Some(state.last_activity.max(state.idle_floor).max(leases));
            status.busy_until = Some(state.idle_floor.max(leases));
        }
        status
    }
}
