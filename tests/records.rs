//! Records one by one, exactly once: processes that die in the middle of a batch, of a message, of a checkpoint.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use headwater::{
    CheckpointId, CheckpointStore, Clock, CutError, Format, JobState, ManualClock, Queue, QueueSource, RecordEvent,
    Records, SourceConfig, SourceRecords, SourceState, StoreError, StreamError, WallMs,
};
use headwater_testkit::{MemoryQueue, MemoryQueueOptions, Random, pass};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Row {
    n: i64,
}

struct World {
    clock: ManualClock,
    queue: MemoryQueue,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new(WallMs(1_700_000_000_000));
        let queue = MemoryQueue::new(&clock, MemoryQueueOptions::default());
        Self { clock, queue }
    }

    fn send(&self, rows: std::ops::Range<i64>) {
        let rows: Vec<String> = rows.map(|n| format!("{{\"n\":{n}}}")).collect();
        self.queue.send(format!("[{}]", rows.join(",")));
    }

    async fn records(&self) -> Records<QueueSource, Row> {
        let format = Format::json().factory(&"n BIGINT".parse().expect("columns")).expect("a format");
        let mut config = SourceConfig::new("numbers", format);
        config.limits.checkpoint_interval = Duration::from_secs(5);
        config.wait = Duration::from_secs(5);
        let (queue, clock): (Arc<dyn Queue>, Arc<dyn Clock>) =
            (Arc::new(self.queue.clone()), Arc::new(self.clock.clone()));
        QueueSource::open(queue, clock, config).await.expect("a source").records()
    }

    /// What `future` gives while `time` passes.
    async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        match select(pin!(future), pin!(pass(&self.clock, time))).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        }
    }
}

/// A consumer whose own state is saved in one step with the source's.
struct Consumer {
    records: Records<QueueSource, Row>,
    rows: Vec<i64>,
    last: u64,
    saved: Option<(CheckpointId, SourceState, Vec<i64>)>,
    /// How often a checkpoint fell inside of a message, and inside of a batch.
    refused: u32,
    inside: u32,
    whole: bool,
}

impl Consumer {
    async fn take(&mut self, world: &World, time: Duration) {
        let event = world.within(time, self.records.next()).await;
        match event.map(|event| event.expect("the source works")) {
            Some(Some(RecordEvent::Record(record))) => {
                let record = record.expect("a row that fits");
                self.whole = record.last;
                self.rows.push(record.value.n);
            }
            Some(Some(RecordEvent::CheckpointDue(_))) => self.checkpoint(3).await,
            _ => {}
        }
    }

    /// Cuts (1), saves (2) and commits (3), as far as it gets.
    async fn checkpoint(&mut self, steps: u64) {
        let id = CheckpointId(self.last + 1);
        let state = match self.records.checkpoint(id).await {
            Ok(state) => state,
            Err(CutError::InsideMessage { rows_left, .. }) => {
                assert!(rows_left > 0 && !self.whole);
                self.refused += 1;
                return;
            }
            Err(error) => panic!("{error}"),
        };
        self.last = id.0;
        self.inside += u32::from(!format!("{:?}", self.records).contains("rows_left: 0"));
        if steps >= 2 {
            self.saved = Some((id, state, self.rows.clone()));
        }
        if steps >= 3 {
            self.records.commit(id).await.expect("a commit");
        } else if steps == 1 {
            self.records.abort(id).await.expect("an abort");
        }
    }

    async fn die_and_restart(&mut self, world: &World) {
        self.records = world.records().await;
        self.rows.clear();
        self.whole = true;
        if let Some((id, state, rows)) = self.saved.clone() {
            self.records.restore(id, state).await.expect("a restore");
            self.records.commit(id).await.expect("a commit");
            self.rows = rows;
        }
    }
}

#[tokio::test]
async fn every_record_is_used_once_whatever_dies_when() {
    let (mut refused, mut inside) = (0, 0);
    for seed in 1..=60 {
        let world = World::new();
        let mut random = Random::new(seed);
        let mut sent = 0;
        let records = world.records().await;
        let mut consumer =
            Consumer { records, rows: Vec::new(), last: 0, saved: None, refused: 0, inside: 0, whole: true };
        for _ in 0..400 {
            match random.below(100) {
                0..10 => {
                    for _ in 0..random.below(8) {
                        let rows = i64::try_from(random.below(4)).expect("a small number");
                        world.send(sent..sent + rows);
                        sent += rows;
                    }
                }
                10..80 => consumer.take(&world, Duration::from_millis(random.below(3_000))).await,
                80..94 => consumer.checkpoint(1 + random.below(3)).await,
                94..97 => consumer.die_and_restart(&world).await,
                _ => pass(&world.clock, Duration::from_secs(random.below(20))).await,
            }
        }
        // A checkpoint that was saved and not committed is decided by the restart.
        consumer.die_and_restart(&world).await;
        for _ in 0..10_000 {
            if consumer.rows.len() as i64 == sent && world.queue.remaining().is_empty() {
                break;
            }
            consumer.take(&world, Duration::from_secs(10)).await;
        }
        consumer.die_and_restart(&world).await;
        let mut rows = consumer.rows;
        rows.sort_unstable();
        assert_eq!(rows, (0..sent).collect::<Vec<_>>(), "seed {seed}");
        assert!(world.queue.remaining().is_empty(), "seed {seed}");
        refused += consumer.refused;
        inside += consumer.inside;
    }
    // Else nothing of interest was tried.
    assert!(refused > 60 && inside > 60, "{refused} checkpoints were refused, {inside} were inside a batch");
}

/// Keeps the newest checkpoint, and fails now and then.
#[derive(Default)]
struct Store {
    newest: Option<JobState>,
    last: u64,
    tries: u64,
}

#[async_trait::async_trait]
impl CheckpointStore for Store {
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError> {
        Ok(self.newest.clone())
    }
    fn next_id(&self) -> CheckpointId {
        CheckpointId(self.last + 1)
    }
    async fn save(&mut self, state: &JobState) -> Result<(), StoreError> {
        (self.last, self.tries) = (state.checkpoint.0, self.tries + 1);
        if self.tries.is_multiple_of(3) {
            return Err(StoreError::new(headwater::StoreErrorKind::Io, "the disk is busy"));
        }
        self.newest = Some(state.clone());
        Ok(())
    }
}

/// The stream counts a value as used when the next one is asked for, so an idempotent consumer sees each at least once, and
/// sees none again that a checkpoint covers.
#[tokio::test]
async fn a_stream_that_is_dropped_and_resumed_gives_every_value() {
    for seed in 1..=20 {
        let world = World::new();
        let mut random = Random::new(seed);
        let (mut store, mut seen) = (Store::default(), BTreeMap::<i64, u32>::new());
        for message in 0..40 {
            world.send(message * 3..message * 3 + 3);
        }
        let mut runs = 0;
        while !world.queue.remaining().is_empty() {
            runs += 1;
            assert!(runs < 200, "seed {seed}: {:?} are left", world.queue.remaining());
            let mut records = world.records().await;
            records.resume(&mut store).await.expect("a state");
            let mut left = random.below(400);
            {
                let mut stream = pin!(records.stream(&mut store));
                while left > 0 {
                    left -= 1;
                    match world.within(Duration::from_secs(8), stream.next()).await {
                        Some(Some(Ok(row))) => *seen.entry(row.n).or_default() += 1,
                        Some(Some(Err(StreamError::Store(_)))) | None => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), (0..120).collect::<Vec<_>>(), "seed {seed}");
    }
}
