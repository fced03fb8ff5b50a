//! No loop without a pause, no pause without an end; and when a source calls itself idle.

use std::time::Duration;

use headwater_core::{Capabilities, Clock, Event, QueueErrorKind, Source};
use headwater_queue_source::{QueueSource, SourceConfig};
use headwater_testkit::{MemoryQueueOptions, Operation, settle};

use crate::hooked::Act;
use crate::world::{SECOND, World};

/// Receives within a minute of `next` on an empty queue.
async fn receives_in_a_minute(world: &World, config: SourceConfig) -> u64 {
    let mut source = world.source(config).await;
    assert!(world.next(&mut source, SECOND * 60).await.is_none());
    world.hooks.calls(Operation::Receive)
}

#[tokio::test]
async fn a_queue_that_cannot_wait_is_not_asked_without_pause() {
    for wait in [Duration::ZERO, Duration::from_millis(600)] {
        // A wait below one second is none for a service that counts in seconds.
        let mut capabilities = Capabilities::mns();
        capabilities.max_wait = Duration::ZERO;
        let mut options = MemoryQueueOptions::default();
        options.capabilities = if wait.is_zero() { capabilities } else { Capabilities::mns() };
        let world = World::with(options);
        if !wait.is_zero() {
            world.hooks.make(Operation::Receive, Act::Empty);
        }
        let mut config = World::config();
        config.wait = wait;
        let calls = receives_in_a_minute(&world, config).await;
        assert!((60..400).contains(&calls), "{calls} receives by two pollers in a minute, wait {wait:?}");
    }
}

#[tokio::test]
async fn a_short_poll_finds_a_message_soon_and_can_be_idle() {
    let world = World::new();
    let mut config = World::config();
    config.wait = Duration::ZERO;
    let mut source = world.source(config).await;
    assert!(world.next(&mut source, SECOND * 30).await.is_none());
    let idle = source.status().idle_since.expect("an empty poll without a wait has waited in full");
    assert!(world.clock.now().since(idle) >= SECOND * 29);
    world.queue.send("a");
    assert_eq!(world.lines(&mut source).await, ["a"], "within a second");
}

#[tokio::test]
async fn polls_answered_too_early_are_paced_and_not_idle() {
    let world = World::new();
    world.hooks.make(Operation::Receive, Act::Empty);
    let mut source = world.source(World::config()).await;
    assert!(world.next(&mut source, SECOND * 60).await.is_none());
    let calls = world.hooks.calls(Operation::Receive);
    assert!((10..60).contains(&calls), "{calls} receives by two pollers in a minute");
    assert_eq!(source.status().idle_since, None, "no poll has lasted");
    world.hooks.mend(Operation::Receive);
    assert!(world.next(&mut source, SECOND * 20).await.is_none());
    assert!(source.status().idle_since.is_some());
}

#[tokio::test]
async fn a_consumer_does_not_spin_for_retries_that_wait_for_a_deleter() {
    let world = World::new();
    let mut config = World::config();
    config.limits.delete_max = 1;
    let mut source = world.source(config).await;
    world.queue.send("0");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Delete, Act::Fail(QueueErrorKind::Transient));
    world.checkpoint(&mut source, 1).await;
    // Its retry is due in half a second; by then both deleters are stuck in a call.
    let mut seen = 0;
    (1..3).for_each(|n| _ = world.queue.send(format!("{n}")));
    while seen < 2 {
        seen += world.lines(&mut source).await.len();
    }
    world.hooks.make(Operation::Delete, Act::Hang);
    world.checkpoint(&mut source, 2).await;
    assert_eq!(world.hooks.calls(Operation::Delete), 3);
    assert!(world.next(&mut source, SECOND * 5).await.is_none(), "the busy loop is noticed by the clock");
}

#[tokio::test]
async fn a_blocked_poller_waits() {
    let world = World::new();
    let mut config = World::config();
    config.limits.undeleted_max = 1;
    config.limits.checkpoint_max_messages = 1;
    let mut source = world.source(config).await;
    (0..2).for_each(|n| _ = world.queue.send(format!("{n}")));
    world.lines(&mut source).await;
    let due = world.next(&mut source, SECOND).await;
    assert!(matches!(due, Some(Ok(Some(Event::CheckpointDue(_))))), "{due:?}");
    // The caller ignores it: no second message, no loop, and the permit comes back with the commit.
    let calls = world.hooks.calls(Operation::Receive);
    assert!(world.next(&mut source, SECOND * 5).await.is_none());
    assert_eq!(world.hooks.calls(Operation::Receive), calls);
    world.checkpoint(&mut source, 1).await;
    world.lines(&mut source).await;
}

#[tokio::test]
async fn a_short_lease_does_not_make_a_checkpoint_of_every_batch() {
    let mut options = MemoryQueueOptions::default();
    options.lease = SECOND * 4;
    let world = World::with(options);
    let mut config = World::config();
    config.limits.checkpoint_interval = SECOND * 2;
    let mut source = world.source(config).await;
    let (mut due, mut rows) = (0, 0);
    for n in 0..100 {
        world.queue.send(format!("{n}"));
        match world.next(&mut source, Duration::from_millis(100)).await {
            Some(Ok(Some(Event::CheckpointDue(_)))) => {
                due += 1;
                world.checkpoint(&mut source, due).await;
            }
            Some(Ok(Some(Event::Batch(batch)))) => rows += batch.records().num_rows(),
            other => assert!(other.is_none(), "{other:?}"),
        }
        world.clock.advance(Duration::from_millis(100));
        settle().await;
    }
    assert!(rows > 80, "{rows} rows");
    assert!((3..=8).contains(&due), "{due} checkpoints in 10 s with an interval of 2 s");
}

async fn quiet(world: &World, source: &mut QueueSource, time: Duration) {
    assert!(world.next(source, time).await.is_none());
}

#[tokio::test]
async fn a_source_that_has_not_polled_is_not_idle() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.clock.advance(SECOND * 100);
    assert_eq!(source.status().idle_since, None);
    quiet(&world, &mut source, SECOND * 3).await;
    let idle = source.status().idle_since.expect("both polls are parked");
    assert_eq!(world.clock.now().since(idle), SECOND * 3);
}

#[tokio::test]
async fn a_poller_that_pauses_after_a_failure_is_not_idle() {
    let world = World::new();
    let mut config = World::config();
    (config.backoff_min, config.backoff_max) = (SECOND * 60, SECOND * 60);
    let mut source = world.source(config).await;
    world.hooks.make(Operation::Receive, Act::Fail(QueueErrorKind::Throttled));
    quiet(&world, &mut source, SECOND * 20).await;
    world.hooks.mend(Operation::Receive);
    assert_eq!(source.status().idle_since, None, "nobody has asked for 20 s");
    quiet(&world, &mut source, SECOND * 50).await;
    let idle = source.status().idle_since.expect("the polls are parked");
    assert!(world.clock.now().since(idle) < SECOND * 45, "idle only since the pauses are over");
}

#[tokio::test]
async fn an_answer_that_was_lost_may_have_leased_so_one_lease_is_waited_out() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.hooks.make(Operation::Receive, Act::Fail(QueueErrorKind::Transient));
    quiet(&world, &mut source, SECOND).await;
    world.hooks.mend(Operation::Receive);
    quiet(&world, &mut source, SECOND * 5).await;
    let idle = source.status().idle_since.expect("the polls are parked");
    assert!(idle.since(world.clock.now()) >= SECOND * 24, "hidden messages come back within a lease of 30 s");
}
