//! The harness for a source on [`MemoryQueue`](crate::MemoryQueue): say how to open the source and how to encode rows.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_core::{
    Capabilities, Clock, DeleteOutcome, Description, Extended, Handle, ManualClock, Queue, QueueError, QueueErrorKind,
    QueueIdentity, ReceiveRequest, Received, Source, WallMs,
};

use super::harness::{Disturbance, SourceHarness, SourceSettings, TestSource};
use crate::trial::HarnessError;
use crate::{FaultRates, Faulty, MemoryQueue, MemoryQueueOptions};

/// What a source is opened on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOn {
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// The clock that the queue is on too.
    pub clock: Arc<dyn Clock>,
    /// The most messages that the source may hold received and not deleted.
    pub undeleted_max: u32,
}

type Open = Arc<dyn Fn(OpenOn) -> BoxFuture<'static, Result<Box<dyn Source>, HarnessError>> + Send + Sync>;
type Encode = Arc<dyn Fn(&[i64]) -> Bytes + Send + Sync>;

/// Tries a source on the memory queue, with or without random faults. Runs on a single-threaded executor.
#[derive(Clone)]
pub struct MemorySourceHarness {
    name: String,
    open: Open,
    encode: Encode,
    seed: u64,
    steps: u32,
    rates: FaultRates,
}

impl fmt::Debug for MemorySourceHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemorySourceHarness({})", self.name)
    }
}

/// Messages a source may hold in this harness: two full answers and a bit, so that trials reach the bound.
const UNDELETED_MAX: u32 = 40;

/// Steps of a random history: some ten crashes and thirty checkpoints.
const HISTORY_STEPS: u32 = 300;

impl MemorySourceHarness {
    /// A harness for sources made by `open`, whose queue carries rows as `encode` writes them. The source's first column
    /// is `BIGINT` and holds the numbers; a body of no numbers decodes to no row.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        open: impl Fn(OpenOn) -> BoxFuture<'static, Result<Box<dyn Source>, HarnessError>> + Send + Sync + 'static,
        encode: impl Fn(&[i64]) -> Bytes + Send + Sync + 'static,
    ) -> Self {
        let (open, encode) = (Arc::new(open), Arc::new(encode));
        Self { name: name.into(), open, encode, seed: 1, steps: HISTORY_STEPS, rates: FaultRates::none() }
    }

    /// Another seed, for the random histories and the faults.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// So many steps in a random history; 300 unless told otherwise.
    #[must_use]
    pub fn history_steps(mut self, steps: u32) -> Self {
        self.steps = steps;
        self
    }

    /// Calls of the queue fail at these rates.
    #[must_use]
    pub fn faults(mut self, rates: FaultRates) -> Self {
        self.rates = rates;
        self
    }
}

#[async_trait]
impl SourceHarness for MemorySourceHarness {
    fn name(&self) -> String {
        let faults = if self.rates == FaultRates::none() { "" } else { " under faults" };
        format!("{}{faults}, seed {}", self.name, self.seed)
    }

    fn settings(&self) -> SourceSettings {
        let manual = SourceSettings::manual(MemoryQueueOptions::default().lease, UNDELETED_MAX);
        let faults = self.rates != FaultRates::none();
        SourceSettings { seed: self.seed, history_steps: self.steps, faults, ..manual }
    }

    async fn fresh(&self) -> Result<Box<dyn TestSource>, HarnessError> {
        let clock = ManualClock::new(WallMs(1_700_000_000_000));
        let memory = MemoryQueue::new(&clock, MemoryQueueOptions::default());
        let disturbed = self.disturbed(&memory, &clock);
        Ok(Box::new(MemoryTestSource { harness: self.clone(), clock, memory, disturbed }))
    }
}

impl MemorySourceHarness {
    fn disturbed(&self, memory: &MemoryQueue, clock: &ManualClock) -> Disturbed {
        let faulty = Faulty::new(memory.clone(), clock, self.seed, self.rates.clone());
        Disturbed { inner: Arc::new(faulty), disturbance: Arc::default() }
    }
}

struct MemoryTestSource {
    harness: MemorySourceHarness,
    clock: ManualClock,
    memory: MemoryQueue,
    disturbed: Disturbed,
}

impl MemoryTestSource {
    async fn open_on(&self, queue: Arc<dyn Queue>) -> Result<Box<dyn Source>, HarnessError> {
        let clock = Arc::new(self.clock.clone());
        (self.harness.open)(OpenOn { queue, clock, undeleted_max: UNDELETED_MAX }).await
    }

    fn queue_with(&self, change: impl FnOnce(&mut MemoryQueueOptions)) -> Arc<dyn Queue> {
        let mut options = MemoryQueueOptions::default();
        change(&mut options);
        Arc::new(MemoryQueue::new(&self.clock, options))
    }
}

#[async_trait]
impl TestSource for MemoryTestSource {
    async fn open(&self) -> Result<Box<dyn Source>, HarnessError> {
        self.open_on(Arc::new(self.disturbed.clone())).await
    }

    async fn send(&self, rows: &[i64]) -> Result<String, HarnessError> {
        Ok(self.memory.send((self.harness.encode)(rows)).to_string())
    }

    async fn pass(&self, time: Duration) {
        crate::pass(&self.clock, time).await;
    }

    async fn left(&self) -> Result<Vec<String>, HarnessError> {
        Ok(self.memory.remaining().iter().map(ToString::to_string).collect())
    }

    async fn leased(&self) -> Result<u64, HarnessError> {
        Ok(self.memory.leased().len() as u64)
    }

    async fn redeliver(&self, id: &str) -> Result<bool, HarnessError> {
        self.memory.reveal(id);
        Ok(true)
    }

    fn disturb(&self, disturbance: Option<Disturbance>) -> bool {
        self.disturbed.set(disturbance);
        true
    }

    async fn open_other(&self) -> Result<Option<Box<dyn Source>>, HarnessError> {
        let other = self.queue_with(|options| options.identity.name += "-other");
        self.open_on(other).await.map(Some)
    }

    async fn open_without_stable_ids(&self) -> Result<Option<Box<dyn Source>>, HarnessError> {
        let unstable = self.queue_with(|options| options.capabilities.stable_ids = false);
        self.open_on(unstable).await.map(Some)
    }
}

/// A queue that can be broken in one way at a time.
#[derive(Clone, Debug)]
struct Disturbed {
    inner: Arc<Faulty<MemoryQueue>>,
    disturbance: Arc<Mutex<Option<Disturbance>>>,
}

impl Disturbed {
    fn set(&self, disturbance: Option<Disturbance>) {
        let mut current = self.disturbance.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Disturbance::Denied(operation)) = *current {
            self.inner.inner().allow(operation);
        }
        if let Some(Disturbance::Denied(operation)) = disturbance {
            self.inner.inner().deny(operation);
        }
        *current = disturbance;
    }

    fn is(&self, disturbance: Disturbance) -> bool {
        *self.disturbance.lock().unwrap_or_else(PoisonError::into_inner) == Some(disturbance)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Queue for Disturbed {
    fn identity(&self) -> QueueIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        self.inner.describe().await
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        if self.is(Disturbance::ReceivesFail) {
            return Err(QueueError::new(QueueErrorKind::Transient, "disturbed: receives fail for a while"));
        }
        self.inner.receive(request).await
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        let unknown = vec![DeleteOutcome::Unknown; handles.len()];
        if self.is(Disturbance::DeletesLost) {
            return Ok(unknown);
        }
        let outcomes = self.inner.delete(handles).await?;
        Ok(if self.is(Disturbance::DeleteAnswersLost) { unknown } else { outcomes })
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        self.inner.extend(handle, lease).await
    }
}
