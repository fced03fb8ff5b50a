//! A source over a memory queue on a manual clock, and what a test does with it.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use headwater_core::{CheckpointId, Clock, DrainReport, Event, ManualClock, Source, SourceError, WallMs};
use headwater_formats::MessageEncoding;
use headwater_queue_source::{QueueSource, SourceConfig};
use headwater_testkit::{MemoryQueue, MemoryQueueOptions, pass, settle};

use crate::hooked::{Hooked, SpinClock};
use crate::lines;

pub(crate) const START: WallMs = WallMs(1_700_000_000_000);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) queue: MemoryQueue,
    pub(crate) hooks: Arc<Hooked>,
    pub(crate) spin: SpinClock,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(MemoryQueueOptions::default())
    }

    pub(crate) fn with(options: MemoryQueueOptions) -> Self {
        let clock = ManualClock::new(START);
        let queue = MemoryQueue::new(&clock, options);
        let hooks = Arc::new(Hooked::new(queue.clone(), &clock));
        let spin = SpinClock::new(&clock);
        Self { clock, queue, hooks, spin }
    }

    pub(crate) fn config() -> SourceConfig {
        let mut config = SourceConfig::new("t", lines::Lines::factory());
        config.pollers = 2;
        config.encoding = MessageEncoding::Raw;
        config
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.spin.clone())
    }

    pub(crate) async fn source(&self, config: SourceConfig) -> QueueSource {
        let hooks = Arc::clone(&self.hooks);
        QueueSource::open(hooks, self.clock(), config).await.expect("a source")
    }

    /// Calls `next` while time passes, for at most `patience`.
    pub(crate) async fn next(
        &self,
        source: &mut QueueSource,
        patience: Duration,
    ) -> Option<Result<Option<Event>, SourceError>> {
        tokio::select! { biased; event = source.next() => Some(event), () = pass(&self.clock, patience) => None }
    }

    /// Drains with this deadline, which must be kept.
    pub(crate) async fn drain_within(
        &self,
        source: &mut QueueSource,
        deadline: Duration,
    ) -> Result<DrainReport, SourceError> {
        tokio::select! {
            biased;
            report = source.drain(deadline) => report,
            () = pass(&self.clock, deadline + SECOND) => panic!("the drain has not kept its deadline"),
        }
    }

    pub(crate) async fn drain(&self, source: &mut QueueSource) -> Result<DrainReport, SourceError> {
        self.drain_within(source, Duration::from_secs(40)).await
    }

    pub(crate) async fn lines(&self, source: &mut QueueSource) -> Vec<String> {
        match self.next(source, SECOND).await {
            Some(Ok(Some(Event::Batch(batch)))) => {
                batch.records().column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
            }
            other => panic!("expected rows, got {other:?}"),
        }
    }

    /// The failure that comes within `patience`; checkpoints that fall due before are left to the test.
    pub(crate) async fn failure(&self, source: &mut QueueSource, patience: Duration) -> SourceError {
        loop {
            match self.next(source, patience).await.expect("an event") {
                Ok(Some(Event::CheckpointDue(_))) => {}
                other => return other.expect_err("a failure"),
            }
        }
    }

    pub(crate) async fn checkpoint(&self, source: &mut QueueSource, id: u64) {
        source.checkpoint(CheckpointId(id)).await.expect("a checkpoint");
        source.commit(CheckpointId(id)).await.expect("a commit");
        settle().await;
    }

    /// What is visible once the shortest lease is over.
    pub(crate) fn visible_soon(&self) -> usize {
        self.clock.advance(SECOND);
        self.queue.visible().len()
    }
}
