//! A queue in memory, a source on the real ledger that reads it, and an executor that lets time pass when nothing else can
//! happen. All of it deterministic.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, unreachable_pub, reason = "helpers of tests")]

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use headwater_core::{
    Batch, CheckpointId, Clock, Delivery, DrainReport, Event, ManualClock, Message, MessageKey, MessageMeta,
    MessageRows, Mono, Source, SourceError, SourceErrorKind, SourceState, SourceStatus, StatePart, StoredPart, WallMs,
};
use headwater_formats::RowType;
use headwater_job::fs::MemoryFs;
use headwater_ledger::{DeleteOutcome, Handle, Ledger, Limits, Segment, ServerMs, Verdict};

/// How long a message stays hidden after it was received.
pub const LEASE: Duration = Duration::from_secs(30);

pub fn columns() -> RowType {
    "id BIGINT".parse().unwrap()
}

#[derive(Debug)]
struct Stored {
    rows: Vec<i64>,
    visible_at: Mono,
    deliveries: u32,
}

/// The queue: outlives every process that reads it.
#[derive(Clone, Debug)]
pub struct TestQueue {
    pub name: &'static str,
    stored: Arc<Mutex<BTreeMap<String, Stored>>>,
    /// Every how many deletes the answer is lost; 0 for never.
    lost_answers: u64,
    deletes: Arc<Mutex<u64>>,
    power: MemoryFs,
    pub clock: ManualClock,
    /// Told the id of each message that is deleted.
    pub deleted: Option<fn(&str)>,
}

impl TestQueue {
    /// A queue whose reader dies with the power of `power`.
    pub fn new(name: &'static str, power: &MemoryFs, lost_answers: u64) -> Self {
        let (stored, deletes) = Default::default();
        Self {
            name,
            stored,
            lost_answers,
            deletes,
            power: power.clone(),
            clock: ManualClock::new(WallMs(0)),
            deleted: None,
        }
    }

    fn stored(&self) -> MutexGuard<'_, BTreeMap<String, Stored>> {
        self.stored.lock().unwrap()
    }

    /// Puts one message per entry, each with its rows.
    pub fn put(&self, messages: impl IntoIterator<Item = Vec<i64>>) {
        let mut stored = self.stored();
        for rows in messages {
            let id = format!("{}-{:05}", self.name, stored.len());
            stored.insert(id, Stored { rows, visible_at: Mono::default(), deliveries: 0 });
        }
    }

    /// Puts a message that was delivered so often before.
    pub fn put_again(&self, id: &str, rows: Vec<i64>, deliveries: u32) {
        self.stored().insert(id.into(), Stored { rows, visible_at: Mono::default(), deliveries });
    }

    /// Messages that were not deleted.
    pub fn len(&self) -> usize {
        self.stored().len()
    }

    fn receive(&self, max: u32) -> Vec<(Message, Vec<i64>)> {
        let now = self.clock.now();
        let mut out = Vec::new();
        if self.power.crashed() {
            return out;
        }
        for (id, stored) in self.stored().iter_mut().filter(|(_, s)| s.visible_at <= now).take(max as usize) {
            stored.visible_at = now + LEASE;
            stored.deliveries += 1;
            let mut message =
                Message::new(id.as_str(), Handle::new(&format!("{id}/{}", stored.deliveries)), bytes::Bytes::new());
            message.dequeue_count = stored.deliveries;
            out.push((message, stored.rows.clone()));
        }
        out
    }

    fn current<'a>(&self, stored: &'a mut BTreeMap<String, Stored>, handle: &Handle) -> Option<&'a mut Stored> {
        let (id, delivery) = handle.as_str().split_once('/')?;
        let found = stored.get_mut(id)?;
        (found.deliveries.to_string() == delivery && found.visible_at > self.clock.now()).then_some(found)
    }

    fn delete(&self, handle: &Handle) -> DeleteOutcome {
        if self.power.crashed() {
            return DeleteOutcome::Unknown;
        }
        let mut stored = self.stored();
        if self.current(&mut stored, handle).is_none() {
            return DeleteOutcome::Stale;
        }
        let id = handle.as_str().split_once('/').unwrap().0;
        stored.remove(id);
        if let Some(told) = self.deleted {
            told(id);
        }
        let mut deletes = self.deletes.lock().unwrap();
        *deletes += 1;
        if self.lost_answers > 0 && deletes.is_multiple_of(self.lost_answers) {
            return DeleteOutcome::Unknown;
        }
        DeleteOutcome::Deleted
    }

    fn release(&self, handle: &Handle) {
        let now = self.clock.now();
        if let Some(stored) = self.current(&mut self.stored(), handle) {
            stored.visible_at = now;
        }
    }
}

/// What a test may do to a source.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// `next` fails after this many batches.
    pub fail_after: Option<(usize, SourceErrorKind)>,
    /// What the runner called, in order.
    pub calls: Arc<Mutex<Vec<String>>>,
}

/// A source on the real ledger. It polls inside `next` alone: enough for what a runner can see.
#[derive(Debug)]
pub struct LedgerSource {
    queue: TestQueue,
    ledger: Ledger,
    buffered: VecDeque<(Message, Vec<i64>)>,
    stopped: bool,
    store_keeps_parts: bool,
    empty_since: Option<Mono>,
    batches: usize,
    totals: SourceStatus,
    script: Script,
}

pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.checkpoint_interval = Duration::from_secs(2);
    limits.checkpoint_max_messages = 5;
    limits.batch_max = 4;
    limits.delete_max = 4;
    limits
}

impl LedgerSource {
    pub fn new(queue: &TestQueue, script: Script) -> Self {
        Self {
            ledger: Ledger::new(limits(), queue.clock.now()).unwrap(),
            queue: queue.clone(),
            buffered: VecDeque::new(),
            stopped: false,
            store_keeps_parts: false,
            empty_since: None,
            batches: 0,
            totals: SourceStatus::default(),
            script,
        }
    }

    fn called(&self, call: impl Into<String>) {
        self.script.calls.lock().unwrap().push(call.into());
    }

    fn delete_what_may_be(&mut self) {
        let now = self.queue.clock.now();
        while let Some(batch) = self.ledger.next_deletes(now) {
            let outcomes: Vec<_> = batch.handles.iter().map(|handle| self.queue.delete(handle)).collect();
            self.totals.deleted += u64::from(self.ledger.delete_done(batch.token, &outcomes, now).confirmed);
        }
    }

    fn poll_queue(&mut self) {
        let now = self.queue.clock.now();
        let Ok(grant) = self.ledger.begin_receive(now) else { return };
        let received = self.queue.receive(grant.max_messages);
        let deliveries: Vec<_> = received.iter().map(|(message, _)| delivery(message, now)).collect();
        let verdicts = self.ledger.screen(grant.ticket, deliveries);
        self.totals.received += received.len() as u64;
        self.totals.duplicates += verdicts.iter().filter(|verdict| **verdict == Verdict::Duplicate).count() as u64;
        if received.is_empty() {
            self.empty_since.get_or_insert(now);
        } else {
            self.empty_since = None;
        }
        let fresh = received.into_iter().zip(verdicts).filter(|(_, verdict)| *verdict == Verdict::Fresh);
        self.buffered.extend(fresh.map(|(message, _)| message));
    }

    fn hand_out(&mut self) -> Option<Batch> {
        if self.buffered.is_empty() {
            return None;
        }
        let taken: Vec<_> = self.buffered.drain(..self.buffered.len().min(3)).collect();
        self.ledger.hand_out(&taken.iter().map(|(message, _)| MessageKey::of(&message.id)).collect::<Vec<_>>());
        let (mut rows, mut messages) = (Vec::new(), Vec::new());
        for (message, own) in taken {
            let start = rows.len();
            rows.extend(own);
            let meta = MessageMeta::of(&message, &Arc::from(self.queue.name), WallMs(0));
            messages.push(MessageRows { meta, rows: start..rows.len() });
        }
        self.totals.rows += rows.len() as u64;
        self.batches += 1;
        let records = RecordBatch::try_new(self.schema(), vec![Arc::new(Int64Array::from(rows))]).unwrap();
        Some(Batch::new(records, messages))
    }
}

fn delivery(message: &Message, now: Mono) -> headwater_ledger::Delivery {
    headwater_ledger::Delivery {
        key: MessageKey::of(&message.id),
        handle: message.handle.clone(),
        dequeue_count: message.dequeue_count,
        next_visible: ServerMs(0),
        enqueued: ServerMs(0),
        lease_end: Some(now + LEASE),
        bytes: 10,
    }
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError::new(SourceErrorKind::State, error.to_string())
}

#[async_trait]
impl Source for LedgerSource {
    fn schema(&self) -> SchemaRef {
        columns().to_arrow()
    }

    fn delivery(&self) -> Delivery {
        Delivery::ExactlyOnce
    }

    fn guarantee(&self) -> String {
        "exactly-once".into()
    }

    fn identity(&self) -> String {
        format!("test:{}", self.queue.name)
    }

    async fn restore(&mut self, id: CheckpointId, state: SourceState) -> Result<(), SourceError> {
        self.called(format!("restore {id}"));
        let segments: Result<Vec<_>, _> = state.parts.iter().map(|part| Segment::from_bytes(&part.bytes)).collect();
        self.ledger.restore(id, &segments.map_err(refused)?, self.queue.clock.now()).map_err(refused)
    }

    async fn next(&mut self) -> Result<Option<Event>, SourceError> {
        loop {
            let now = self.queue.clock.now();
            self.delete_what_may_be();
            self.ledger.tick(now, None);
            if let Some((after, kind)) = self.script.fail_after
                && self.batches >= after
            {
                return Err(SourceError::new(kind, "the queue said so"));
            }
            if !self.stopped
                && let Some(reason) = self.ledger.announce_checkpoint(now)
            {
                return Ok(Some(Event::CheckpointDue(reason)));
            }
            if let Some(batch) = self.hand_out() {
                return Ok(Some(Event::Batch(batch)));
            }
            if self.stopped {
                return Ok(None);
            }
            self.poll_queue();
            if self.buffered.is_empty() {
                self.queue.clock.sleep(Duration::from_millis(500)).await;
            }
        }
    }

    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError> {
        self.called(format!("checkpoint {id}"));
        let snapshot = self.ledger.barrier(id, self.queue.clock.now()).map_err(refused)?;
        let parts = snapshot.segments.iter().map(|s| StatePart { name: s.name(), bytes: Arc::clone(s.bytes()) });
        // Two sources of one job must not give one name to different parts.
        let parts = parts.map(|part| StatePart { name: format!("{}-{}", self.queue.name, part.name), ..part });
        let stored =
            snapshot.stored.into_iter().map(|s| StoredPart::new(format!("{}-{}", self.queue.name, s.name), s.len));
        Ok(SourceState::new(self.identity(), parts.collect()).with_stored(stored.collect()))
    }

    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.called(format!("commit {id}"));
        self.ledger.commit(id).map_err(refused)?;
        if self.store_keeps_parts {
            self.ledger.release_stored();
        }
        Ok(())
    }

    fn rely_on_stored_parts(&mut self) {
        self.store_keeps_parts = true;
    }

    async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.called(format!("abort {id}"));
        self.ledger.abort(id, self.queue.clock.now());
        Ok(())
    }

    async fn stop(&mut self) {
        self.called("stop");
        self.stopped = true;
    }

    async fn drain(&mut self, deadline: Duration) -> Result<DrainReport, SourceError> {
        self.called(format!("drain {deadline:?}"));
        let before = self.totals.deleted;
        self.delete_what_may_be();
        let released = self.ledger.release_all();
        for release in &released {
            self.queue.release(&release.handle);
            self.ledger.release_done(release.key);
        }
        let unconfirmed = self.ledger.counts().unconfirmed;
        Ok(DrainReport::new(self.totals.deleted - before, unconfirmed, released.len() as u64, 0))
    }

    fn status(&self) -> SourceStatus {
        let counts = self.ledger.counts();
        let mut status = self.totals;
        status.buffered = counts.buffered;
        status.uncommitted = counts.uncommitted;
        status.deletable = counts.deletable;
        status.unconfirmed = counts.unconfirmed;
        // What another process held comes back at the end of its lease: quiet for that long is quiet.
        let quiet = counts.buffered + counts.uncommitted + counts.deletable == 0;
        status.idle_since = self.empty_since.filter(|_| quiet);
        status
    }
}

/// Runs a future to its end and lets the clock jump to the next deadline whenever nothing else can happen. `None` when the
/// power of `power` failed: the future is dropped where it stood.
pub fn drive<T>(clock: &ManualClock, power: &MemoryFs, future: impl Future<Output = T>) -> Option<T> {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = pin!(future);
    let end = clock.now() + Duration::from_secs(3600);
    loop {
        let done = future.as_mut().poll(&mut Context::from_waker(&waker));
        if power.crashed() {
            return None;
        }
        if let Poll::Ready(done) = done {
            return Some(done);
        }
        if !flag.0.swap(false, Ordering::SeqCst) {
            let next = clock.next_deadline().expect("it waits for nothing: it hangs");
            assert!(next < end, "an hour has passed: it does not come to its end");
            clock.advance(next.since(clock.now()));
        }
    }
}
