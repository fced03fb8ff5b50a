//! [`QueueSource`]: a queue, a ledger and a decoder, seen as a [`Source`].

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use futures::StreamExt;
use headwater_core::{
    CheckpointId, Clock, Delivery, Description, DrainReport, Event, OptionError, OptionErrors, Queue, QueueErrorKind,
    Source, SourceError, SourceErrorKind, SourceState, SourceStatus, StatePart,
};
use headwater_ledger::{Ledger, Mono, Segment};
use tokio::task::JoinSet;

use crate::backoff::Backoff;
use crate::config::SourceConfig;
use crate::decode::Decoding;
use crate::state::{Shared, State};
use crate::{deleter, poller};

/// Releases running side by side during a drain. 8: a queue of 4,000 messages is released in seconds, and the service's
/// budget for single calls is not spent at once.
const RELEASES_AT_ONCE: usize = 8;

/// Any queue as an exactly-once source. See the crate's page.
#[derive(Debug)]
pub struct QueueSource {
    shared: Arc<Shared>,
    decoding: Decoding,
    tasks: JoinSet<()>,
    polling: bool,
    deleting: bool,
    idle_floor: Mono,
    drained: Option<DrainReport>,
}

impl QueueSource {
    /// Reads what the queue says of itself and makes a source. Nothing is received before the first [`next`](Source::next).
    ///
    /// # Errors
    /// [`SourceErrorKind::Configuration`] with everything wrong at once; [`SourceErrorKind::Denied`] and others when the queue
    /// cannot be used. A denied read of the attributes is no error: a consumer may only be allowed to receive and delete.
    pub async fn open(
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
        mut config: SourceConfig,
    ) -> Result<Self, SourceError> {
        let description = describe(&*queue, &*clock, &config).await?;
        let capabilities = queue.capabilities();
        let limits = &mut config.limits;
        limits.message_bytes_max = description.max_message_bytes.unwrap_or(capabilities.max_message_bytes).max(1);
        limits.retention = description.retention.unwrap_or(capabilities.max_retention);
        limits.stale_delete_is_error = capabilities.stale_delete_is_error;
        limits.batch_max = limits.batch_max.min(capabilities.max_receive).min(capabilities.max_delete);
        config.wait = config.wait.min(capabilities.max_wait);

        let mut errors = Vec::new();
        let interval = config.limits.checkpoint_interval;
        let lease = description.lease.or(config.declared_lease);
        if let Some(lease) = lease
            && lease < interval * 2
        {
            errors.push(OptionError::new("execution.checkpointing.interval", short_lease(lease, interval)));
        }
        if config.pollers == 0 || config.pollers > 64 {
            errors.push(OptionError::new("pollers", format!("is {}: use 1 to 64", config.pollers)));
        }
        let decoding = Decoding::new(&config).map_err(|found| errors.extend(found)).ok();
        let ledger = Ledger::new(config.limits.clone(), clock.now())
            .map_err(|found| errors.extend(found.into_iter().map(|e| OptionError::new(e.option, e.problem))))
            .ok();
        let (Some(decoding), Some(ledger), true) = (decoding, ledger, errors.is_empty()) else {
            let errors = OptionErrors(errors);
            return Err(SourceError::new(SourceErrorKind::Configuration, errors.to_string()));
        };
        let now = clock.now();
        let idle_floor = if config.unclean_start { now + known_lease(lease) } else { now };
        let shared = Arc::new(Shared::new(queue, clock, config, ledger, lease));
        Ok(Self { shared, decoding, tasks: JoinSet::new(), polling: false, deleting: false, idle_floor, drained: None })
    }

    /// Pollers start with the first `next`: a restore must come before anything is received.
    fn start_polling(&mut self) {
        self.start_deleting();
        let config = &self.shared.config;
        let mut state = self.shared.lock();
        if std::mem::replace(&mut self.polling, true) || state.stopping {
            return;
        }
        state.polling = config.pollers;
        drop(state);
        for number in 0..config.pollers {
            self.tasks.spawn(poller::run(Arc::clone(&self.shared), number as u64));
        }
    }

    /// Deletes may start earlier: a restored state says what is committed.
    fn start_deleting(&mut self) {
        if std::mem::replace(&mut self.deleting, true) {
            return;
        }
        for _ in 0..self.shared.config.delete_workers.max(1) {
            self.tasks.spawn(deleter::run(Arc::clone(&self.shared)));
        }
    }

    /// What can be said without waiting.
    fn step(&mut self) -> Result<Option<Step>, SourceError> {
        let config = &self.shared.config;
        let mut state = self.shared.lock();
        let now = self.shared.clock.now();
        if let Some(error) = &state.failure {
            // What waits in the inbox stays in the queue: a drain releases it.
            return Err(error.clone());
        }
        if let Some(reason) = state.ledger.announce_checkpoint(now) {
            return Ok(Some(Step::Event(Event::CheckpointDue(reason))));
        }
        if state.inbox.is_empty() {
            let ended = state.stopping && state.polling == 0;
            return Ok(Some(if ended { Step::End } else { Step::Wait(state.ledger.next_deadline()) }));
        }
        // The inbox is drained under the lock message by message, decoded, and handed out before this poll returns:
        // no await lies between, so a dropped `next` cannot lose what it took.
        let mut bytes = 0;
        let mut waiting = std::mem::take(&mut state.inbox);
        drop(state);
        let bytes_max = config.batch_bytes;
        let take = std::iter::from_fn(|| {
            let full = bytes > 0 && bytes >= bytes_max;
            let inbound = if full { None } else { waiting.pop_front() }?;
            bytes += inbound.body.len().max(1);
            Some(inbound)
        });
        let mut decoded = self.decoding.run(config, &self.shared.meter, take)?;
        let mut state = self.shared.lock();
        // What pollers brought meanwhile comes after what was waiting.
        waiting.append(&mut state.inbox);
        if let Some(back) = decoded.back.take() {
            waiting.push_front(back);
        }
        state.inbox = waiting;
        Ok(self.hand_out(state, decoded, bytes))
    }

    fn hand_out(
        &self,
        mut state: std::sync::MutexGuard<'_, State>,
        decoded: crate::decode::Decoded,
        bytes: usize,
    ) -> Option<Step> {
        let keys: Vec<_> = decoded.batch.messages().iter().map(|m| m.meta.key).collect();
        state.ledger.hand_out(&keys);
        for key in decoded.left {
            state.ledger.leave(key);
        }
        let rows = decoded.batch.records().num_rows();
        state.totals.rows += rows as u64;
        state.last_activity = self.shared.clock.now();
        self.shared.meter.gauges(&state.ledger.counts());
        let newest = decoded.batch.messages().iter().filter_map(|m| m.meta.enqueued).max();
        if let (Some(now), Some(enqueued)) = (state.server_now, newest) {
            let lag = Duration::from_millis(u64::try_from(now.0 - enqueued.0).unwrap_or(0));
            state.totals.lag = Some(lag);
            self.shared.meter.lag.set(lag.as_secs_f64());
        }
        drop(state);
        if let Some(error) = decoded.failure {
            self.shared.fail(error);
        }
        let meter = &self.shared.meter;
        meter.emitted_rows.increment(rows as u64);
        meter.emitted_bytes.increment(bytes as u64);
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
        let limits = &self.shared.config.limits;
        if self.delivery() == Delivery::AtLeastOnce {
            return format!(
                "queue {}: at-least-once, because its message ids change on redelivery",
                self.shared.queue_name
            );
        }
        format!(
            "queue {}: exactly-once by message id; deleted only after a checkpoint (every {:?} or {} messages), at most {} \
             undeleted and {} unconfirmed ids remembered; rewind of a saved state is not detected by the source",
            self.shared.queue_name,
            limits.checkpoint_interval,
            limits.checkpoint_max_messages,
            limits.undeleted_max,
            limits.ledger_max_ids
        )
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
        let mut segments = Vec::with_capacity(state.parts.len());
        for part in &state.parts {
            let segment = Segment::from_bytes(&part.bytes)
                .map_err(|e| refused(format!("part {} of the state cannot be read", part.name)).with_source(e))?;
            segments.push(segment);
        }
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        let restored = state.ledger.restore(id, &segments, now);
        restored.map_err(|e| refused(format!("checkpoint {id} cannot be restored")).with_source(e))?;
        self.shared.meter.gauges(&state.ledger.counts());
        // What the state holds may still be leased to the process that saved it.
        self.idle_floor = self.idle_floor.max(now + known_lease(state.lease));
        drop(state);
        self.start_deleting();
        self.shared.deleters.notify_waiters();
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Event>, SourceError> {
        self.start_polling();
        let shared = Arc::clone(&self.shared);
        loop {
            let woken = shared.consumer.notified();
            match self.step()? {
                Some(Step::Event(event)) => return Ok(Some(event)),
                Some(Step::End) => return Ok(None),
                Some(Step::Wait(deadline)) => match deadline {
                    Some(at) => tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(at) => {} },
                    None => woken.await,
                },
                None => {}
            }
            let mut state = shared.lock();
            let (now, server_now) = (shared.clock.now(), state.server_now);
            state.ledger.tick(now, server_now);
        }
    }

    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError> {
        let now = self.shared.clock.now();
        let snapshot = self.shared.lock().ledger.barrier(id, now).map_err(|error| {
            SourceError::new(SourceErrorKind::Failed, format!("checkpoint {id} is refused")).with_source(error)
        })?;
        let parts = snapshot.segments.iter().map(|s| StatePart { name: s.name(), bytes: Arc::clone(s.bytes()) });
        Ok(SourceState::new(self.identity(), parts.collect()))
    }

    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.start_deleting();
        let mut state = self.shared.lock();
        state.ledger.commit(id).map_err(|error| {
            SourceError::new(SourceErrorKind::Failed, format!("commit of checkpoint {id} is refused"))
                .with_source(error)
        })?;
        state.last_activity = self.shared.clock.now();
        self.shared.meter.gauges(&state.ledger.counts());
        drop(state);
        self.shared.deleters.notify_waiters();
        self.shared.pollers.notify_waiters();
        Ok(())
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
        let before = self.shared.lock().totals.deleted;
        let deadline = self.shared.clock.now() + deadline;
        pollers_end(&self.shared, deadline).await;
        deletes_end(&self.shared, deadline).await;
        let (released, left) = release(&self.shared, deadline).await;
        self.tasks.shutdown().await;
        let state = self.shared.lock();
        if let Some(error) = state.failure.as_ref().filter(|error| deleter::is_denied(error)) {
            return Err(error.clone());
        }
        let counts = state.ledger.counts();
        let deleted = state.totals.deleted - before;
        let report = DrainReport::new(deleted, counts.deletable + counts.unconfirmed, released, left);
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
        status.buffered = counts.buffered;
        status.uncommitted = counts.uncommitted;
        status.deletable = counts.deletable;
        status.unconfirmed = counts.unconfirmed;
        status.lag = state.totals.lag;
        if counts.buffered == 0 && counts.uncommitted == 0 && counts.deletable == 0 && state.failure.is_none() {
            let leases = state.ledger.latest_lease_end().unwrap_or_default();
            status.idle_since = Some(state.last_activity.max(self.idle_floor).max(leases));
        }
        status
    }
}

/// Waits until every poller has ended or the deadline has come. Pollers end after their running receive.
async fn pollers_end(shared: &Shared, deadline: Mono) {
    loop {
        let woken = shared.consumer.notified();
        if shared.lock().polling == 0 || shared.clock.now() >= deadline {
            return;
        }
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(deadline) => return }
    }
}

async fn deletes_end(shared: &Shared, deadline: Mono) {
    loop {
        let woken = shared.consumer.notified();
        {
            let state = shared.lock();
            let dead = state.failure.as_ref().is_some_and(deleter::is_denied);
            if dead || !state.ledger.deletes_pending() || shared.clock.now() >= deadline {
                return;
            }
        }
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(deadline) => return }
    }
}

async fn release(shared: &Shared, deadline: Mono) -> (u64, u64) {
    let releases = shared.lock().ledger.release_all();
    let total = releases.len() as u64;
    if total == 0 || !shared.queue.capabilities().can_extend {
        return (0, total);
    }
    let shortest = shared.queue.capabilities().lease_range.0;
    let calls = futures::stream::iter(releases).map(|release| async move {
        shared.meter.calls_extend.increment(1);
        let released = shared.queue.extend(&release.handle, shortest).await.is_ok();
        shared.lock().ledger.release_done(release.key);
        u64::from(released)
    });
    let mut calls = std::pin::pin!(calls.buffer_unordered(RELEASES_AT_ONCE));
    let mut released = 0;
    loop {
        tokio::select! {
            biased;
            done = calls.next() => match done { Some(n) => released += n, None => break },
            () = shared.clock.sleep_until(deadline) => break,
        }
    }
    (released, total - released)
}

fn known_lease(lease: Option<Duration>) -> Duration {
    // 30 s is the service's default VisibilityTimeout (CreateQueue page).
    lease.unwrap_or(Duration::from_secs(30))
}

fn short_lease(lease: Duration, interval: Duration) -> String {
    format!(
        "is {interval:?}, and the queue's VisibilityTimeout is {lease:?}: every message would come back before its delete. \
         Use at most {:?} between checkpoints, or raise the queue's VisibilityTimeout to at least {:?}",
        lease / 2,
        interval * 2
    )
}

/// Asks the queue for its attributes; transient failures are retried for as long as it takes.
async fn describe(queue: &dyn Queue, clock: &dyn Clock, config: &SourceConfig) -> Result<Description, SourceError> {
    let mut backoff = Backoff::new(config.backoff_min, config.backoff_max, config.seed);
    loop {
        match queue.describe().await {
            Ok(description) => return Ok(description),
            Err(error) if error.kind == QueueErrorKind::Denied => {
                tracing::info!(
                    queue = %queue.identity(),
                    "the queue's attributes may not be read (mns:GetQueueAttributes): its lease is learnt from the first message, \
                     its largest message and retention are taken as the service's maximum"
                );
                return Ok(Description::default());
            }
            Err(error) if error.kind.is_fatal() => return Err(poller::fatal(error)),
            Err(error) => {
                let pause = backoff.next();
                tracing::warn!(queue = %queue.identity(), %error, ?pause, "the queue does not answer, trying again");
                clock.sleep(pause).await;
            }
        }
    }
}
