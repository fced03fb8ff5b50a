//! What the author of a queue provides: a way to make one, to feed it, and to let its time pass.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{ManualClock, Queue, WallMs};

use crate::trial::HarnessError;
use crate::{FaultRates, Faulty, MemoryQueue, MemoryQueueOptions, Operation};

/// Makes queues for the suite.
#[async_trait]
pub trait QueueHarness: Send + Sync {
    /// The name under which results are printed.
    fn name(&self) -> String;

    /// What the suite must know of the queues this makes.
    fn settings(&self) -> QueueSettings;

    /// A new empty queue that no other trial sees, with its own time if time is manual.
    ///
    /// # Errors
    /// When it cannot be made; the trial fails.
    async fn fresh(&self) -> Result<Box<dyn TestQueue>, HarnessError>;
}

/// One queue on trial, from behind the counter.
#[async_trait]
pub trait TestQueue: Send + Sync {
    /// The queue as its consumer sees it.
    fn queue(&self) -> Arc<dyn Queue>;

    /// Sends a message and returns its id.
    ///
    /// # Errors
    /// When it cannot be sent.
    async fn send(&self, body: &str) -> Result<String, HarnessError>;

    /// Returns when `time` has passed for the queue: waits for it, or makes it pass ([`pass`](crate::pass) on a manual
    /// clock).
    async fn pass(&self, time: Duration);

    /// How many messages are not deleted, if the harness can tell.
    ///
    /// # Errors
    /// When looking fails.
    async fn left(&self) -> Result<Option<u64>, HarnessError> {
        Ok(None)
    }

    /// The same queue over a second connection, if the harness can make one.
    fn second_client(&self) -> Option<Arc<dyn Queue>> {
        None
    }

    /// The same queue for a caller who may receive and delete but not read attributes, if the harness can make one.
    fn client_without_describe(&self) -> Option<Arc<dyn Queue>> {
        None
    }

    /// A queue that does not exist, at the same service, if the harness can name one.
    fn missing(&self) -> Option<Arc<dyn Queue>> {
        None
    }
}

/// What the suite must know of the queues a harness makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueSettings {
    /// The lease of a received message. Trials take up to three of them; what must happen within one takes a few calls. On
    /// wall time 4 s is short enough to be quick and long enough for a loaded machine.
    pub lease: Duration,
    /// The wait of long polls: a length that the queue can express.
    pub wait: Duration,
    /// How much later than promised something may happen: 1 s on a manual clock, more on a loaded machine.
    pub slack: Duration,
    /// Whether a message may have an empty body.
    pub empty_bodies: bool,
    /// Whether calls fail at random: only promises that hold nevertheless are tried.
    pub faults: bool,
    /// Trials at a time: 1 on one thread with manual clocks, many on wall time.
    pub parallel: usize,
    /// The real time after which a trial that has not ended is given up.
    pub patience: Duration,
}

impl QueueSettings {
    /// For a queue on a manual clock.
    #[must_use]
    pub const fn manual(lease: Duration) -> Self {
        Self {
            lease,
            wait: Duration::from_secs(5),
            slack: Duration::from_secs(1),
            empty_bodies: true,
            faults: false,
            parallel: 1,
            patience: Duration::from_secs(60),
        }
    }

    /// For a queue on the machine's clock.
    #[must_use]
    pub const fn wall(lease: Duration) -> Self {
        Self {
            lease,
            wait: Duration::from_secs(2),
            slack: Duration::from_secs(2),
            empty_bodies: true,
            faults: false,
            parallel: 64,
            patience: Duration::from_secs(120),
        }
    }
}

/// The harness of [`MemoryQueue`], plain or behind [`Faulty`]; an example for others.
#[derive(Clone)]
#[non_exhaustive]
pub struct MemoryHarness {
    name: String,
    options: MemoryQueueOptions,
    faults: bool,
    wrap: Wrap,
}

type Wrap = Arc<dyn Fn(MemoryQueue, &ManualClock) -> Arc<dyn Queue> + Send + Sync>;

impl fmt::Debug for MemoryHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryHarness({})", self.name)
    }
}

impl MemoryHarness {
    /// Tries the memory queue as it is.
    #[must_use]
    pub fn plain() -> Self {
        Self::wrapped("memory queue", |queue, _| Arc::new(queue))
    }

    /// Tries a wrapper around the memory queue. `wrap` is called for every client that a trial asks for.
    #[must_use]
    pub fn wrapped(
        name: impl Into<String>,
        wrap: impl Fn(MemoryQueue, &ManualClock) -> Arc<dyn Queue> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), options: MemoryQueueOptions::default(), faults: false, wrap: Arc::new(wrap) }
    }

    /// Tries the memory queue behind [`Faulty`].
    #[must_use]
    pub fn faulty(seed: u64, rates: FaultRates) -> Self {
        let faults = rates != FaultRates::none();
        let wrap = move |queue, clock: &ManualClock| -> Arc<dyn Queue> {
            Arc::new(Faulty::new(queue, clock, seed, rates.clone()))
        };
        Self { faults, ..Self::wrapped(format!("faulty memory queue, seed {seed}"), wrap) }
    }
}

#[async_trait]
impl QueueHarness for MemoryHarness {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn settings(&self) -> QueueSettings {
        QueueSettings { faults: self.faults, ..QueueSettings::manual(self.options.lease) }
    }

    async fn fresh(&self) -> Result<Box<dyn TestQueue>, HarnessError> {
        let clock = ManualClock::new(WallMs(1_700_000_000_000));
        let memory = MemoryQueue::new(&clock, self.options.clone());
        let queue = (self.wrap)(memory.clone(), &clock);
        Ok(Box::new(MemoryTestQueue { harness: self.clone(), clock, memory, queue }))
    }
}

struct MemoryTestQueue {
    harness: MemoryHarness,
    clock: ManualClock,
    memory: MemoryQueue,
    queue: Arc<dyn Queue>,
}

#[async_trait]
impl TestQueue for MemoryTestQueue {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue)
    }

    async fn send(&self, body: &str) -> Result<String, HarnessError> {
        Ok(self.memory.send(body.to_owned()).to_string())
    }

    async fn pass(&self, time: Duration) {
        crate::pass(&self.clock, time).await;
    }

    async fn left(&self) -> Result<Option<u64>, HarnessError> {
        Ok(Some(self.memory.remaining().len() as u64))
    }

    fn second_client(&self) -> Option<Arc<dyn Queue>> {
        Some((self.harness.wrap)(self.memory.clone(), &self.clock))
    }

    fn client_without_describe(&self) -> Option<Arc<dyn Queue>> {
        self.memory.deny(Operation::Describe);
        Some(Arc::clone(&self.queue))
    }

    fn missing(&self) -> Option<Arc<dyn Queue>> {
        let memory = MemoryQueue::new(&self.clock, self.harness.options.clone());
        memory.remove_queue();
        Some((self.harness.wrap)(memory, &self.clock))
    }
}
