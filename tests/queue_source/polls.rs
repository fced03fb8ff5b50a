//! How many receives and deletes run side by side, by what the queue brings.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};
use std::time::Duration;

use headwater_core::{CheckpointId, Clock, Event, QueueErrorKind, Source};
use headwater_queue_source::{Objective, QueueSource};
use headwater_testkit::{Operation, settle};

use crate::hooked::Act;
use crate::world::{SECOND, World};

const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Takes and commits until the queue is empty; how long that took, and the rows.
async fn consume(world: &World, source: &mut QueueSource) -> (Duration, usize) {
    let (began, mut rows) = (world.clock.now(), 0);
    for checkpoint in 1.. {
        if let Some(Ok(Some(Event::Batch(batch)))) = world.next(source, SECOND / 4).await {
            rows += batch.records().num_rows();
        }
        let id = CheckpointId(checkpoint);
        source.checkpoint(id).await.expect("a checkpoint");
        source.commit(id).await.expect("a commit");
        if world.queue.remaining().is_empty() {
            break;
        }
    }
    (world.clock.now().since(began), rows)
}

#[tokio::test]
async fn receives_and_deletes_follow_the_load_and_one_scout_is_left() {
    for (pollers, workers, deletes, within) in [(64, 0, 64, SECOND), (64, 3, 3, SECOND * 4), (1, 0, 2, SECOND * 9)] {
        let world = World::new();
        let mut config = World::config();
        (config.pollers, config.delete_workers) = (pollers, workers);
        let mut source = world.source(config).await;
        (0..6_000).for_each(|n| _ = world.queue.send(format!("{n}")));
        world.hooks.make(Operation::Receive, Act::Late(ROUND_TRIP));
        world.hooks.make(Operation::Delete, Act::Late(ROUND_TRIP));
        let (took, rows) = consume(&world, &mut source).await;
        assert_eq!(rows, 6_000);
        assert!(took < within, "{pollers} pollers: {took:?}");
        assert_eq!(world.hooks.side_by_side(Operation::Receive), pollers as u64);
        let most = world.hooks.side_by_side(Operation::Delete);
        assert!(most <= deletes && most * 2 >= deletes, "{most} deletes side by side, {deletes} at most");
        // What is still parked runs out, and one is left.
        assert!(world.next(&mut source, SECOND * 25).await.is_none());
        assert_eq!(world.hooks.running(Operation::Receive), 1);
        world.hooks.mend(Operation::Receive);
        world.queue.send("first");
        assert_eq!(world.next(&mut source, ROUND_TRIP).await.map(|event| event.is_ok()), Some(true), "at once");
    }
}

#[tokio::test]
async fn latency_keeps_a_poll_parked_while_another_is_on_its_way() {
    let world = World::new();
    let mut config = World::config();
    (config.pollers, config.objective) = (8, Objective::Latency);
    let mut source = world.source(config).await;
    assert!(world.next(&mut source, SECOND).await.is_none());
    assert_eq!(world.hooks.running(Operation::Receive), 2);
    world.hooks.make(Operation::Receive, Act::Late(SECOND * 5));
    for n in 0..2 {
        // The first one's poller needs five seconds to ask again; the second message does not wait for that.
        world.queue.send(format!("{n}"));
        assert!(world.next(&mut source, SECOND / 10).await.is_some(), "message {n}");
    }
}

#[tokio::test]
async fn cost_makes_few_receives_and_bounds_the_delay() {
    let mut calls = Vec::new();
    for objective in [Objective::Throughput, Objective::Cost] {
        let world = World::new();
        let mut config = World::config();
        config.objective = objective;
        let mut source = world.source(config).await;
        let (mut rows, mut checkpoint) = (0, 0);
        // Five messages a second for two minutes.
        for n in 0..600 {
            world.queue.send(format!("{n}"));
            match world.next(&mut source, SECOND / 5).await {
                Some(Ok(Some(Event::Batch(batch)))) => rows += batch.records().num_rows(),
                Some(Ok(Some(Event::CheckpointDue(_)))) => {
                    checkpoint += 1;
                    world.checkpoint(&mut source, checkpoint).await;
                }
                other => assert!(other.is_none(), "{other:?}"),
            }
            world.clock.advance(SECOND / 5);
            settle().await;
        }
        let waiting = world.queue.visible().len();
        assert!(waiting <= 5 * 8, "{objective:?}: {waiting} messages wait, more than 7.5 s' worth");
        assert!(rows + waiting + source.status().buffered as usize >= 600, "{rows} rows, {waiting} waiting");
        calls.push(world.hooks.calls(Operation::Receive));
    }
    assert!(calls[0] >= 300, "throughput takes a message as it comes: {calls:?}");
    assert!(calls[1] <= 75, "cost gathers at least eight: {calls:?}");
}

#[tokio::test]
async fn a_pause_to_gather_messages_is_not_idle_and_a_stop_ends_it() {
    let world = World::new();
    let mut config = World::config();
    config.objective = Objective::Cost;
    let mut source = world.source(config).await;
    for n in 0..3 {
        world.queue.send(format!("{n}"));
        while !matches!(world.next(&mut source, SECOND * 6).await, Some(Ok(Some(Event::Batch(_))))) {}
    }
    world.checkpoint(&mut source, 1).await;
    assert!(world.queue.remaining().is_empty());
    assert_eq!(source.status().idle_since, None, "nobody looks");
    let began = world.clock.now();
    source.stop().await;
    assert!(matches!(world.next(&mut source, SECOND).await, Some(Ok(None))), "no poller is left");
    assert_eq!(world.clock.now(), began);
}

/// 64 pollers wait for permits, and each delete frees what one of them can take: one is woken, not all of them.
#[tokio::test]
async fn what_one_poller_can_take_wakes_one() {
    let world = World::new();
    let mut config = World::config();
    (config.pollers, config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (64, 4_096, 4_096);
    config.delete_workers = 1;
    let mut source = world.source(config).await;
    (0..9_000).for_each(|n| _ = world.queue.send(format!("{n}")));
    world.hooks.make(Operation::Receive, Act::Late(ROUND_TRIP));
    world.hooks.make(Operation::Delete, Act::Late(ROUND_TRIP));
    let mut rows = 0;
    while rows < 4_096 {
        if let Some(Ok(Some(Event::Batch(batch)))) = world.next(&mut source, SECOND).await {
            rows += batch.records().num_rows();
        }
    }
    let (before, calls) = (world.spin.readings(), world.hooks.calls(Operation::Receive));
    world.checkpoint(&mut source, 1).await;
    for _ in 0..4_096 / 16 + 1 {
        world.clock.advance(ROUND_TRIP);
        settle().await;
    }
    let receives = world.hooks.calls(Operation::Receive) - calls;
    assert!(receives >= 256, "every permit is used again: {receives} receives");
    let each = (world.spin.readings() - before) / receives;
    assert!(each <= 24, "{each} looks at the clock for one delete and one receive");
}

/// A consumer that waits in another thread is woken by a system call.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// More is remembered than may be, so that each delete has something forgotten.
#[tokio::test]
async fn deletes_forget_by_themselves_and_leave_the_consumer_alone() {
    let world = World::new();
    let mut config = World::config();
    (config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (64, 64);
    (config.limits.grace_max_ids, config.delete_workers) = (1, 1);
    let mut source = world.source(config).await;
    (0..64).for_each(|n| _ = world.queue.send(format!("{n}")));
    while source.status().rows < 64 {
        assert!(world.next(&mut source, SECOND).await.is_some());
    }
    world.hooks.make(Operation::Delete, Act::Late(ROUND_TRIP));
    // What a receive that is on its way may bring is not forgotten.
    world.hooks.make(Operation::Receive, Act::Fail(QueueErrorKind::Transient));
    world.checkpoint(&mut source, 1).await;
    let wakes = Arc::new(Wakes::default());
    let waker = Arc::clone(&wakes).into();
    let mut cx = Context::from_waker(&waker);
    {
        let mut next = pin!(source.next());
        assert!(next.as_mut().poll(&mut cx).is_pending());
        for _ in 0..64 / 16 {
            world.clock.advance(ROUND_TRIP);
            settle().await;
            assert!(next.as_mut().poll(&mut cx).is_pending());
        }
    }
    assert_eq!(source.status().deleted, 64);
    // The first one has it look when that is to be saved.
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
}

/// There is one permit, and two pollers for it. A receive that kept it would be the last one.
#[tokio::test]
async fn a_receive_gives_its_permit_back_however_it_ends() {
    let transient = Act::Fail(QueueErrorKind::Transient);
    for act in [transient, Act::FailLate(QueueErrorKind::Throttled), Act::Empty, Act::Hang] {
        let world = World::new();
        let mut config = World::config();
        (config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (1, 1);
        (config.wait, config.backoff_max) = (SECOND, SECOND);
        let mut source = world.source(config).await;
        world.hooks.make(Operation::Receive, act);
        assert!(world.next(&mut source, SECOND * 10).await.is_none(), "{act:?}");
        if matches!(act, Act::Hang) {
            assert!(source.footprint().bytes > 0, "a receive that is on its way holds its permit");
        } else {
            assert!(world.hooks.calls(Operation::Receive) > 2, "{act:?}");
            world.hooks.mend(Operation::Receive);
            world.queue.send("a");
            let found = world.next(&mut source, SECOND * 3).await;
            assert!(matches!(found, Some(Ok(Some(Event::Batch(_))))), "{act:?}: {found:?}");
            world.checkpoint(&mut source, 1).await;
        }
        world.drain(&mut source).await.expect("a drain");
        assert_eq!(source.footprint().bytes, 0, "{act:?}");
    }
}
