//! Leases that are shorter than the time a message is held: extended, or absorbed; and whatever comes between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use headwater_core::{
    Capabilities, CheckpointId, Clock, DueReason, Event, Queue, QueueErrorKind, SharedStr, Source, SourceError,
    SourceErrorKind,
};
use headwater_queue_source::{LeasePolicy, QueueSource, SourceConfig};
use headwater_testkit::{MemoryQueueOptions, Operation, QueueEvent, pass, settle};

use crate::hooked::Act;
use crate::world::{SECOND, World};

fn config(policy: LeasePolicy) -> SourceConfig {
    let mut config = World::config();
    config.lease_policy = policy;
    config
}

/// A lease of this length, checkpoints only when they are asked for.
fn world(lease: Duration) -> World {
    let mut options = MemoryQueueOptions::default();
    options.lease = lease;
    World::with(options)
}

/// How often each message was delivered.
fn deliveries(world: &World) -> BTreeMap<SharedStr, u64> {
    let mut times = BTreeMap::new();
    for entry in world.queue.journal() {
        if let QueueEvent::Received(ids) = entry.event {
            ids.into_iter().for_each(|id| *times.entry(id).or_default() += 1);
        }
    }
    times
}

/// Handles that were told to be deleted, one by one.
fn deletes_asked(world: &World) -> usize {
    let asked = world.queue.journal().into_iter().map(|entry| match entry.event {
        QueueEvent::Deleted(all) => all.len(),
        _ => 0,
    });
    asked.sum()
}

/// When extensions were made, in seconds since the start.
fn extended_at(world: &World) -> Vec<u64> {
    let extended = |entry: &headwater_testkit::Entry| matches!(entry.event, QueueEvent::Extended { .. });
    world.queue.journal().iter().filter(|entry| extended(entry)).map(|entry| entry.at.0.as_secs()).collect()
}

/// Takes rows and checkpoints until the queue is empty, at most an hour; the rows, and how many checkpoints there were.
async fn to_the_end(world: &World, source: &mut QueueSource, first: u64) -> Vec<String> {
    let (mut rows, mut checkpoint) = (Vec::new(), first);
    let end = world.clock.now() + SECOND * 3_600;
    while !world.queue.remaining().is_empty() {
        assert!(world.clock.now() < end, "{} messages are left: {:?}", world.queue.remaining().len(), source.status());
        match world.next(source, SECOND * 20).await {
            Some(Ok(Some(Event::Batch(batch)))) => {
                rows.extend(batch.records().column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
            }
            Some(Ok(Some(Event::CheckpointDue(_)))) => {
                world.checkpoint(source, checkpoint).await;
                checkpoint += 1;
            }
            None => {}
            other => panic!("{other:?}"),
        }
        source.check().expect("the invariants hold");
    }
    rows
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:04}")).collect()
}

async fn opening_fails(world: &World, config: SourceConfig) -> String {
    let hooks = Arc::clone(&world.hooks) as Arc<dyn Queue>;
    let error = QueueSource::open(hooks, world.clock(), config).await.expect_err("a refusal");
    assert_eq!(error.kind, SourceErrorKind::Configuration, "{error}");
    error.to_string()
}

/// Receives, hands out one message, and then nobody calls the source for `pause`.
async fn stalled(world: &World, config: SourceConfig, pause: Duration) -> (QueueSource, Vec<String>) {
    let mut config = config;
    config.batch_rows = 1;
    let mut source = world.source(config).await;
    names(100).into_iter().for_each(|name| _ = world.queue.send(name));
    let rows = world.lines(&mut source).await;
    pass(&world.clock, pause).await;
    source.check().expect("the invariants hold");
    (source, rows)
}

#[tokio::test]
async fn a_consumer_that_stalls_for_minutes_keeps_its_messages() {
    for policy in [LeasePolicy::Auto, LeasePolicy::Extend] {
        let world = World::new();
        let (mut source, mut rows) = stalled(&world, config(policy), SECOND * 600).await;
        assert_eq!(world.queue.leased().len(), 100, "nothing has come back in ten minutes");
        rows.extend(to_the_end(&world, &mut source, 1).await);
        rows.sort();
        assert_eq!(rows, names(100));
        assert!(deliveries(&world).values().all(|times| *times == 1), "nothing was delivered twice");
        assert_eq!((deletes_asked(&world), world.queue.deleted().len()), (100, 100), "each deleted once");
        assert_eq!(source.status().duplicates, 0);
        // By the half of the lease, and not more often than that.
        let at = extended_at(&world);
        assert!(at[0] <= 15 && at.len() <= 100 * 600 / 13, "{} extensions, the first at {}", at.len(), at[0]);
    }
}

#[tokio::test]
async fn a_consumer_that_stalls_under_absorb_neither_loses_nor_repeats() {
    let world = World::new();
    let (mut source, mut rows) = stalled(&world, config(LeasePolicy::Absorb), SECOND * 600).await;
    rows.extend(to_the_end(&world, &mut source, 1).await);
    rows.sort();
    assert_eq!(rows, names(100));
    assert_eq!(world.queue.deleted().len(), 100);
    assert!(source.status().duplicates >= 100, "leases have ended, and what came back was suppressed");
    assert_eq!(world.hooks.calls(Operation::Extend), 0);
}

#[tokio::test]
async fn a_lease_shorter_than_the_interval_is_allowed_where_it_is_extended() {
    let world = world(SECOND * 6);
    let mut config = config(LeasePolicy::Auto);
    config.limits.checkpoint_interval = SECOND * 60;
    config.limits.undeleted_max = 1_000;
    config.limits.checkpoint_max_messages = 500;
    let mut source = world.source(config).await;
    names(40).into_iter().for_each(|name| _ = world.queue.send(name));
    let rows = to_the_end(&world, &mut source, 1).await;
    assert_eq!(rows.len(), 40);
    assert!(deliveries(&world).values().all(|times| *times == 1));
    assert!(world.clock.now().0 >= SECOND * 55, "the interval is what made the checkpoint due");
}

#[tokio::test]
async fn after_25_minutes_a_lease_ends_and_a_checkpoint_is_due() {
    let world = World::new();
    let mut config = config(LeasePolicy::Extend);
    config.limits.checkpoint_interval = SECOND * 4 * 3_600;
    let mut source = world.source(config).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    let minutes = |n: u64| SECOND * u32::try_from(n * 60).expect("minutes");
    assert!(world.next(&mut source, minutes(25) - SECOND * 2).await.is_none(), "no reason before");
    let due = world.next(&mut source, SECOND * 4).await;
    assert!(matches!(due, Some(Ok(Some(Event::CheckpointDue(DueReason::Lease))))), "{due:?}");
    // The caller ignores it.
    pass(&world.clock, minutes(20)).await;
    let last = *extended_at(&world).last().expect("extensions");
    assert!((24 * 60..25 * 60).contains(&last), "the last extension was made after {last} s");
    assert!(source.status().duplicates > 20, "it comes back, and is suppressed");
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 1);
}

#[tokio::test]
async fn what_is_held_stays_under_the_service_s_limits_by_default() {
    let world = World::new();
    let mut config = config(LeasePolicy::Auto);
    config.limits.checkpoint_interval = SECOND * 3_600;
    config.pollers = 4;
    let mut source = world.source(config).await;
    names(6_000).into_iter().for_each(|name| _ = world.queue.send(name));
    let mut reason = None;
    while reason.is_none() {
        match world.next(&mut source, SECOND).await {
            Some(Ok(Some(Event::CheckpointDue(due)))) => reason = Some((due, source.status().uncommitted)),
            Some(Ok(Some(Event::Batch(_)))) => {}
            other => panic!("{other:?}"),
        }
    }
    let (due, uncommitted) = reason.expect("a reason");
    assert_eq!(due, DueReason::Count, "brought forward by count, an hour before the interval is over");
    assert!((2_000..=4_000).contains(&uncommitted), "{uncommitted}");
    // Nobody takes the checkpoint for longer than a lease.
    pass(&world.clock, SECOND * 45).await;
    assert!(world.queue.most_leased() <= 4_000, "{} were held at once", world.queue.most_leased());
    assert!(deliveries(&world).values().all(|times| *times == 1), "and all of them were kept");
}

/// One message, handed out, at the moment before its first extension (the lease is 30 s, the margin 1 s).
async fn before_an_extension(world: &World, config: SourceConfig) -> QueueSource {
    let mut source = world.source(config).await;
    world.queue.send("a");
    assert_eq!(world.lines(&mut source).await, ["a"]);
    pass(&world.clock, Duration::from_millis(13_900)).await;
    assert_eq!(world.hooks.calls(Operation::Extend), 0);
    source
}

/// The next checkpoint deletes the message, by its newest handle, and nothing was handed out again.
async fn deletes_once(world: &World, source: &mut QueueSource) {
    let rows = to_the_end(world, source, 1).await;
    assert!(rows.is_empty(), "{rows:?} came a second time");
    assert_eq!(world.queue.deleted().len(), 1);
}

#[tokio::test]
async fn a_redelivery_in_the_middle_of_an_extension_brings_the_handle() {
    for answer in [Act::AnswerLate(SECOND * 3), Act::Late(SECOND * 3)] {
        let world = World::new();
        let mut source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
        world.hooks.make(Operation::Extend, answer);
        pass(&world.clock, SECOND).await;
        let id = world.queue.remaining()[0].clone();
        assert!(world.queue.reveal(&id), "the lease ends early");
        pass(&world.clock, SECOND * 4).await;
        world.hooks.mend(Operation::Extend);
        assert_eq!(deliveries(&world)[&id], 2);
        deletes_once(&world, &mut source).await;
        assert_eq!(deletes_asked(&world), 1, "{answer:?}: by the handle of the redelivery");
        assert_eq!(deliveries(&world)[&id], 2);
    }
}

#[tokio::test]
async fn a_lost_answer_is_tried_again_and_the_redelivery_deletes() {
    let world = World::new();
    let mut source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
    world.hooks.make(Operation::Extend, Act::AnswerLost);
    pass(&world.clock, SECOND).await;
    world.hooks.mend(Operation::Extend);
    pass(&world.clock, SECOND).await;
    // The old handle is dead, and the new one unknown.
    assert_eq!(world.hooks.calls(Operation::Extend), 2);
    deletes_once(&world, &mut source).await;
    assert_eq!(source.status().duplicates, 1);
}

#[tokio::test]
async fn a_dead_handle_waits_for_its_redelivery() {
    let world = World::new();
    let mut config = config(LeasePolicy::Extend);
    config.limits.undeleted_max = 1;
    config.limits.checkpoint_max_messages = 1;
    config.limits.checkpoint_interval = SECOND * 60;
    let mut source = before_an_extension(&world, config).await;
    // It is visible, and nobody receives: the one permit is taken.
    let id = world.queue.remaining()[0].clone();
    assert!(world.queue.reveal(&id));
    pass(&world.clock, SECOND * 10).await;
    assert_eq!(world.hooks.calls(Operation::Extend), 1, "a dead handle is not tried again");
    deletes_once(&world, &mut source).await;
    assert_eq!(deliveries(&world)[&id], 2);
}

#[tokio::test]
async fn a_delete_waits_for_the_extension_and_uses_its_handle() {
    let world = World::new();
    let mut source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
    world.hooks.make(Operation::Extend, Act::AnswerLate(SECOND * 5));
    pass(&world.clock, SECOND).await;
    world.checkpoint(&mut source, 1).await;
    pass(&world.clock, SECOND * 3).await;
    assert_eq!(deletes_asked(&world), 0, "one operation per message");
    pass(&world.clock, SECOND * 2).await;
    assert_eq!((deletes_asked(&world), world.queue.deleted().len()), (1, 1));
    assert_eq!(world.hooks.calls(Operation::Extend), 1, "nothing is extended after its commit");
}

#[tokio::test]
async fn a_state_taken_in_the_middle_of_an_extension_holds_a_handle_that_may_be_dead() {
    let world = World::new();
    let mut source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
    world.hooks.make(Operation::Extend, Act::AnswerLate(SECOND * 5));
    pass(&world.clock, SECOND).await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    drop(source);
    let mut again = world.source(config(LeasePolicy::Extend)).await;
    again.restore(CheckpointId(1), state).await.expect("a restore");
    again.commit(CheckpointId(1)).await.expect("a commit");
    let rows = to_the_end(&world, &mut again, 2).await;
    assert!(rows.is_empty(), "{rows:?}");
    assert_eq!(world.queue.deleted().len(), 1);
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_the_others_go_on() {
    let world = World::new();
    let mut config = config(LeasePolicy::Extend);
    config.extends_at_once = 2;
    config.limits.checkpoint_interval = SECOND * 600;
    let mut source = before_an_extension(&world, config).await;
    world.hooks.make(Operation::Extend, Act::Hang);
    pass(&world.clock, SECOND).await;
    world.hooks.mend(Operation::Extend);
    world.queue.send("b");
    assert_eq!(world.lines(&mut source).await, ["b"]);
    pass(&world.clock, SECOND * 120).await;
    assert!(deliveries(&world).values().all(|times| *times == 1), "half a lease was left for another try");
    assert_eq!(source.status().duplicates, 0);
}

#[tokio::test]
async fn transient_failures_are_tried_again_within_the_lease() {
    let world = World::new();
    let source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
    world.hooks.make(Operation::Extend, Act::Fail(QueueErrorKind::Throttled));
    pass(&world.clock, SECOND * 9).await;
    let calls = world.hooks.calls(Operation::Extend);
    assert_eq!(calls, 4, "tries in 9 s");
    world.hooks.mend(Operation::Extend);
    pass(&world.clock, SECOND * 60).await;
    assert_eq!(source.status().duplicates, 0);
    assert_eq!(deliveries(&world).into_values().collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn auto_goes_on_without_the_right_and_says_so() {
    let world = World::new();
    world.queue.deny(Operation::Extend);
    let (mut source, mut rows) = stalled(&world, config(LeasePolicy::Auto), SECOND * 120).await;
    let sentence = source.guarantee();
    assert!(sentence.contains("leasePolicy auto; extending is denied"), "{sentence}");
    assert!(world.hooks.calls(Operation::Extend) <= 16, "no more than were on their way");
    rows.extend(to_the_end(&world, &mut source, 1).await);
    rows.sort();
    assert_eq!(rows, names(100));
    assert!(source.status().duplicates > 0);
}

#[tokio::test]
async fn extend_without_the_right_ends_the_source() {
    let world = World::new();
    world.queue.deny(Operation::Extend);
    let mut source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
    let error = world.failure(&mut source, SECOND).await;
    assert_eq!(error.kind, SourceErrorKind::Denied, "{error}");
    for part in ["mns:ChangeMessageVisibility", "leasePolicy = auto or absorb", "orders"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_signature_at_an_extension_ends_the_source_whatever_the_policy() {
    let world = World::new();
    let mut source = before_an_extension(&world, config(LeasePolicy::Auto)).await;
    world.hooks.make(Operation::Extend, Act::Fail(QueueErrorKind::Credentials));
    let error: SourceError = world.failure(&mut source, SECOND).await;
    assert_eq!(error.kind, SourceErrorKind::Denied, "{error}");
}

#[tokio::test]
async fn a_panic_in_an_extension_ends_the_source_and_a_drain_still_works() {
    let world = World::new();
    let mut source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
    world.hooks.make(Operation::Extend, Act::Panic);
    let error = world.failure(&mut source, SECOND).await;
    assert!(error.to_string().contains("the extender"), "{error}");
    world.hooks.mend(Operation::Extend);
    world.drain(&mut source).await.expect("a drain");
    assert_eq!(world.visible_soon(), 1);
}

#[tokio::test]
async fn a_queue_that_cannot_extend_is_absorbed_unless_extending_was_asked_for() {
    let mut options = MemoryQueueOptions::default();
    options.capabilities = Capabilities::mns();
    options.capabilities.can_extend = false;
    let world = World::with(options);
    let text = opening_fails(&world, config(LeasePolicy::Extend)).await;
    assert!(text.contains("leasePolicy") && text.contains("use auto or absorb"), "{text}");
    let (mut source, _) = stalled(&world, config(LeasePolicy::Auto), SECOND * 120).await;
    assert!(
        source.guarantee().contains("leasePolicy auto; this queue cannot extend a lease"),
        "{}",
        source.guarantee()
    );
    assert_eq!(world.hooks.calls(Operation::Extend), 0);
    to_the_end(&world, &mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 100);
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_ways_out() {
    let with = |policy, interval: u32, undeleted: u32| {
        let mut config = config(policy);
        config.limits.checkpoint_interval = SECOND * interval;
        (config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (undeleted, undeleted / 2);
        config
    };
    let short = world(SECOND * 10);
    let text = opening_fails(&short, with(LeasePolicy::Absorb, 6, 100)).await;
    for part in [
        "execution.checkpointing.interval",
        "is 6s",
        "VisibilityTimeout is 10s",
        "at most 5s",
        "at least 12s",
        "leasePolicy = auto",
    ] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    short.source(with(LeasePolicy::Absorb, 5, 100)).await;

    // 10 s: 400 a second are enough for 2,000 messages.
    let text = opening_fails(&short, with(LeasePolicy::Extend, 5, 2_001)).await;
    for part in [
        "leasePolicy",
        "2001 messages",
        "lease of 10s",
        "need 401 extensions a second",
        "at most 400 are made",
        "undeletedMax to at most 2000",
        "at least 11 s",
        "use leasePolicy = absorb",
    ] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    short.source(with(LeasePolicy::Extend, 60, 2_000)).await;
    // Auto takes what works; and where nothing does, it says that of both.
    let source = short.source(with(LeasePolicy::Auto, 5, 2_001)).await;
    assert!(source.guarantee().contains("need 401 extensions a second"), "{}", source.guarantee());
    for policy in [LeasePolicy::Auto, LeasePolicy::Extend] {
        let text = opening_fails(&short, with(policy, 60, 2_001)).await;
        assert!(text.contains("absorb with at most 5s between checkpoints (now 60s)"), "{text}");
    }
    // The defaults fit each other.
    let source = World::new().source(config(LeasePolicy::Extend)).await;
    let sentence = source.guarantee();
    assert!(sentence.contains("leases are extended for up to 25 min (leasePolicy extend)"), "{sentence}");
    let sentence = World::new().source(config(LeasePolicy::Absorb)).await.guarantee();
    assert!(sentence.contains("comes back and is suppressed (leasePolicy absorb)"), "{sentence}");
}

#[tokio::test]
async fn without_attributes_the_first_delivery_tells_the_lease() {
    let world = world(SECOND * 8);
    world.queue.deny(Operation::Describe);
    let mut config = config(LeasePolicy::Extend);
    config.limits.checkpoint_interval = SECOND * 60;
    let mut source = world.source(config.clone()).await;
    assert!(source.guarantee().contains("as soon as a first delivery tells"), "{}", source.guarantee());
    names(20).into_iter().for_each(|name| _ = world.queue.send(name));
    world.lines(&mut source).await;
    assert!(source.guarantee().contains("leases are extended for up to"), "{}", source.guarantee());
    pass(&world.clock, SECOND * 40).await;
    assert!(deliveries(&world).values().all(|times| *times == 1));
    // The default margin would be most of such a lease: it must not press.
    assert!(world.next(&mut source, SECOND * 10).await.is_none_or(|event| matches!(event, Ok(Some(Event::Batch(_))))));

    config.declared_lease = Some(SECOND * 8);
    let text = opening_fails(&world, config).await;
    assert!(text.contains("need 1000 extensions a second"), "a declared lease is checked: {text}");
}

#[tokio::test]
async fn extensions_keep_to_their_budget_and_go_before_receives() {
    let world = World::new();
    let mut config = config(LeasePolicy::Extend);
    config.extends_per_second = 2;
    config.extends_at_once = 1;
    (config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (30, 30);
    config.limits.checkpoint_interval = SECOND * 600;
    config.wait = SECOND;
    let mut source = world.source(config).await;
    names(20).into_iter().for_each(|name| _ = world.queue.send(name));
    while source.status().uncommitted < 20 {
        world.lines(&mut source).await;
    }
    pass(&world.clock, SECOND * 15).await;
    let receives = world.hooks.calls(Operation::Receive);
    pass(&world.clock, SECOND * 5).await;
    assert_eq!(world.hooks.calls(Operation::Receive), receives, "20 extensions take ten seconds: nothing is received");
    pass(&world.clock, SECOND * 6).await;
    assert!(world.hooks.calls(Operation::Receive) > receives, "and then receives go on");
    let mut per_second = BTreeMap::<u64, u32>::new();
    extended_at(&world).into_iter().for_each(|at| *per_second.entry(at).or_default() += 1);
    assert!(per_second.values().all(|calls| *calls <= 2), "{per_second:?}");
    pass(&world.clock, SECOND * 120).await;
    assert!(deliveries(&world).values().all(|times| *times == 1), "the budget is enough for all");
}

#[tokio::test]
async fn only_so_many_extensions_run_side_by_side() {
    let world = World::new();
    let mut config = config(LeasePolicy::Extend);
    config.extends_at_once = 3;
    let mut source = world.source(config).await;
    names(9).into_iter().for_each(|name| _ = world.queue.send(name));
    world.lines(&mut source).await;
    world.hooks.make(Operation::Extend, Act::Late(SECOND));
    pass(&world.clock, SECOND * 20).await;
    assert_eq!((world.hooks.side_by_side(Operation::Extend), world.hooks.calls(Operation::Extend)), (3, 9));
}

/// Three extensions fall due together and are made one after the other. A receive waits for that, and begins with the last of them: not
/// when its poller looks again by itself, which it does every second.
#[tokio::test]
async fn a_receive_begins_as_soon_as_no_extension_is_left_to_begin() {
    let world = World::new();
    let mut config = config(LeasePolicy::Extend);
    (config.pollers, config.extends_at_once) = (1, 1);
    let mut source = world.source(config).await;
    names(3).into_iter().for_each(|name| _ = world.queue.send(name));
    assert_eq!(world.lines(&mut source).await.len(), 3);
    world.hooks.make(Operation::Extend, Act::Late(SECOND / 5));
    while world.hooks.calls(Operation::Extend) == 0 {
        pass(&world.clock, SECOND / 100).await;
    }
    let receives = world.hooks.calls(Operation::Receive);
    world.queue.send("ends the poll that is parked");
    pass(&world.clock, SECOND / 4).await;
    let calls = |operation| world.hooks.calls(operation);
    assert_eq!((calls(Operation::Extend), calls(Operation::Receive)), (2, receives), "the third has not begun");
    pass(&world.clock, SECOND / 4).await;
    assert_eq!((calls(Operation::Extend), calls(Operation::Receive)), (3, receives + 1));
}

#[tokio::test]
async fn a_drain_waits_for_extensions_and_releases_with_their_handles() {
    let world = World::new();
    let mut config = config(LeasePolicy::Extend);
    config.wait = SECOND;
    let mut source = before_an_extension(&world, config).await;
    world.hooks.make(Operation::Extend, Act::AnswerLate(SECOND * 2));
    pass(&world.clock, SECOND).await;
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.released, report.left), (1, 0), "{report:?}");
    assert_eq!(world.visible_soon(), 1);
    let extends = world.hooks.calls(Operation::Extend);
    pass(&world.clock, SECOND * 60).await;
    assert_eq!(world.hooks.calls(Operation::Extend), extends, "nothing is extended after a drain");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever_for_an_extension() {
    let world = World::new();
    let mut source = before_an_extension(&world, config(LeasePolicy::Extend)).await;
    world.hooks.make(Operation::Extend, Act::Hang);
    pass(&world.clock, SECOND).await;
    world.hooks.mend(Operation::Extend);
    let report = world.drain_within(&mut source, SECOND * 4).await.expect("a drain");
    assert_eq!((report.released, report.left), (1, 0), "it never arrived, so the old handle works: {report:?}");
}

#[tokio::test]
async fn what_is_given_back_in_the_middle_of_its_extension_waits_for_the_handle() {
    let world = World::new();
    let mut source = world.source(config(LeasePolicy::Extend)).await;
    world.queue.send("a");
    let Some(Ok(Some(Event::Batch(batch)))) = world.next(&mut source, SECOND).await else { panic!("expected rows") };
    pass(&world.clock, Duration::from_millis(13_900)).await;
    world.hooks.make(Operation::Extend, Act::AnswerLate(SECOND * 5));
    pass(&world.clock, SECOND).await;
    source.retry_later(&batch.messages()[0].meta, SECOND).expect("given back");
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.hooks.calls(Operation::Extend), 1, "its release waits");
    pass(&world.clock, SECOND * 5).await;
    assert_eq!(world.hooks.calls(Operation::Extend), 2);
    assert_eq!(world.lines(&mut source).await, ["a"], "visible again after a second, and new");
    assert_eq!(source.status().uncommitted, 1);
    settle().await;
}
