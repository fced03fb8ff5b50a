//! A consumer that stalls, and a ledger that is full of deletes nobody confirmed: the source goes on by itself, or says why not.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow_array::cast::AsArray;
use headwater_core::{CheckpointId, Clock, Event, Mono, QueueErrorKind, Source, SourceState};
use headwater_queue_source::{Objective, QueueSource, SourceConfig};
use headwater_testkit::{MemoryQueueOptions, Operation, settle};

use crate::hooked::Act;
use crate::world::{SECOND, World};

const LEASE: Duration = Duration::from_secs(10);

/// A queue with leases of ten seconds that cannot be extended: they lapse.
fn world() -> World {
    let mut options = MemoryQueueOptions::default();
    options.lease = LEASE;
    options.capabilities.can_extend = false;
    World::with(options)
}

/// Eight pollers that would all be parked if they might.
fn config() -> SourceConfig {
    let mut config = World::config();
    (config.pollers, config.objective, config.wait) = (8, Objective::Latency, SECOND);
    config.limits.checkpoint_interval = SECOND * 5;
    config.limits.delete_max_retries = 0;
    config
}

/// Takes rows, each at most once, and commits what is due.
struct Consumer {
    source: QueueSource,
    rows: BTreeSet<String>,
    checkpoint: u64,
    state: Option<SourceState>,
}

impl Consumer {
    fn new(source: QueueSource) -> Self {
        Self { source, rows: BTreeSet::new(), checkpoint: 0, state: None }
    }

    /// One event, or `patience` goes by.
    async fn step(&mut self, world: &World, patience: Duration) {
        match world.next(&mut self.source, patience).await {
            Some(Ok(Some(Event::Batch(batch)))) => {
                for row in batch.records().column(0).as_string::<i32>().iter().flatten() {
                    assert!(self.rows.insert(row.to_owned()), "{row} twice");
                }
            }
            Some(Ok(Some(Event::CheckpointDue(_)))) => self.commit(world).await,
            other => assert!(other.is_none(), "{other:?}"),
        }
        self.source.check().expect("the ledger's invariants");
        let (held, bound) = (self.source.footprint(), self.source.bound());
        assert!(held.fits(&bound), "{held:?} is more than {bound:?}");
    }

    async fn commit(&mut self, world: &World) {
        self.checkpoint += 1;
        self.state = Some(self.source.checkpoint(CheckpointId(self.checkpoint)).await.expect("a checkpoint"));
        world.checkpoint(&mut self.source, self.checkpoint).await;
    }

    /// Goes on until nothing is left in the queue.
    async fn finish(&mut self, world: &World) {
        let end = world.clock.now() + SECOND * 600;
        while !world.queue.remaining().is_empty() {
            assert!(world.clock.now() < end, "{} are left, {:?}", world.queue.remaining().len(), self.source.status());
            self.step(world, SECOND).await;
        }
    }
}

#[tokio::test]
async fn a_consumer_that_stalls_for_minutes_loses_and_repeats_nothing() {
    // With room for all, redeliveries are screened while it stalls; without, nothing can be received before it goes on.
    for (undeleted, stalled) in [(4_000, 500..3_000), (40, 0..10)] {
        let world = world();
        let mut config = config();
        (config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (undeleted, undeleted);
        let mut consumer = Consumer::new(world.source(config).await);
        (0..100).for_each(|n| _ = world.queue.send(format!("{n}")));
        consumer.step(&world, SECOND).await;
        let calls = world.hooks.calls(Operation::Receive);
        for _ in 0..300 {
            // It holds what it has, and neither asks for more nor commits.
            world.clock.advance(SECOND);
            settle().await;
            assert!(consumer.source.footprint().fits(&consumer.source.bound()));
        }
        let calls = world.hooks.calls(Operation::Receive) - calls;
        assert!(stalled.contains(&calls), "{calls} receives in five minutes, at most {undeleted} undeleted");
        assert_eq!(consumer.source.status().duplicates > 500, undeleted == 4_000, "{:?}", consumer.source.status());
        assert!(world.queue.deleted().is_empty(), "nothing early");
        consumer.finish(&world).await;
        assert_eq!((consumer.rows.len(), world.queue.deleted().len()), (100, 100));
    }
}

/// Deletes come to nothing for an hour, but for twelve seconds in nearly ten minutes; some of them have happened all the same.
#[tokio::test]
async fn a_full_ledger_goes_on_for_an_hour_and_recovers_by_itself() {
    let world = world();
    let mut config = config();
    (config.limits.ledger_max_ids, config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (20, 24, 12);
    let mut consumer = Consumer::new(world.source(config).await);
    let mut sent = 8;
    (0..sent).for_each(|n| _ = world.queue.send(format!("{n}")));
    world.hooks.make(Operation::Delete, Act::AnswerLost);
    while consumer.source.status().unconfirmed < 8 {
        consumer.step(&world, SECOND).await;
    }
    assert!(world.queue.remaining().is_empty(), "they are deleted, and nobody knows");

    let (mut full_for, mut longest, mut receives, mut full, mut crowded) = (0, 0, 0, 0, 0);
    for second in 0..3_600 {
        if second % 4 == 0 {
            world.queue.send(format!("{sent}"));
            sent += 1;
        }
        // A lease and a pause of the scout: what is known comes back at any moment of that, often all at once.
        if second % 580 >= 568 {
            world.hooks.mend(Operation::Delete);
        } else {
            world.hooks.make(Operation::Delete, Act::Fail(QueueErrorKind::Transient));
        }
        let calls = world.hooks.calls(Operation::Receive);
        let until = world.clock.now() + SECOND;
        while world.clock.now() < until {
            consumer.step(&world, until.since(world.clock.now())).await;
        }
        full_for = if consumer.source.status().unconfirmed >= 20 { full_for + 1 } else { 0 };
        longest = longest.max(full_for);
        // Polls that began before it was full run out within their wait.
        if full_for > 3 {
            crowded += u64::from(world.hooks.side_by_side(Operation::Receive) > 1);
            receives += world.hooks.calls(Operation::Receive) - calls;
            full += 1;
        } else {
            world.hooks.side_by_side(Operation::Receive);
        }
    }
    assert!(longest > 300, "it was full for {longest} s at the longest");
    assert!(receives <= full * 3, "{receives} receives in {full} s: it must not go through the queue");
    // While the last known id that came back is being deleted, the ledger is not full, and others may poll.
    assert!(crowded < full / 10, "a scout at a time, but for {crowded} of {full} s");
    let (rows, deleted) = (consumer.rows.len(), world.queue.deleted().len());
    assert!(
        rows <= deleted + 20 + 23 && rows + 20 < sent,
        "unknown ones are left to lapse: {rows} rows of {sent}, {deleted} deleted"
    );
    assert!(deleted > 20, "known ones are deleted by their new handles whenever deletes work: {deleted}");
    world.hooks.mend(Operation::Delete);
    consumer.finish(&world).await;
    assert_eq!((consumer.rows.len(), world.queue.deleted().len()), (sent, sent));
    assert_eq!(
        consumer.source.status().unconfirmed,
        8,
        "what was deleted without an answer stays until retention ends"
    );
}

#[tokio::test]
async fn a_ledger_that_stays_full_fails_after_ten_minutes_and_its_limit_is_the_way_out() {
    let world = world();
    let mut config = config();
    config.limits.ledger_max_ids = 5;
    let mut consumer = Consumer::new(world.source(config.clone()).await);
    (0..5).for_each(|n| _ = world.queue.send(format!("{n}")));
    world.hooks.make(Operation::Delete, Act::Fail(QueueErrorKind::Transient));
    while consumer.source.status().unconfirmed < 5 {
        consumer.step(&world, SECOND).await;
    }
    let full = world.clock.now();
    // Polls that began before it was full run out.
    consumer.step(&world, SECOND * 2).await;
    world.queue.send("unknown");
    let error = world.failure(&mut consumer.source, SECOND * 700).await;
    let text = error.to_string();
    for part in [
        "queue orders",
        "5 deletes are unconfirmed",
        "600 s",
        "`ledgerMaxIds`",
        "second consumer",
        "checkpoint interval",
    ] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    let patience = world.clock.now().since(full);
    assert!((SECOND * 600..SECOND * 605).contains(&patience), "{patience:?}");
    assert!(world.clock.now() > Mono::from_millis(600_000));
    assert!(
        consumer.source.status().duplicates > 50,
        "known ids are screened meanwhile: {:?}",
        consumer.source.status()
    );
    world.drain(&mut consumer.source).await.expect("a drain");

    world.hooks.mend(Operation::Delete);
    config.limits.ledger_max_ids = 100;
    let mut again = Consumer::new(world.source(config).await);
    (again.rows, again.checkpoint) = (consumer.rows, consumer.checkpoint);
    let state = consumer.state.expect("a state");
    again.source.restore(CheckpointId(again.checkpoint), state).await.expect("a restore");
    again.source.commit(CheckpointId(again.checkpoint)).await.expect("a commit");
    again.finish(&world).await;
    assert_eq!((again.rows.len(), world.queue.deleted().len()), (6, 6), "nothing lost, nothing repeated");
}
