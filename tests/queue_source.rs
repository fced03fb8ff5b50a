//! What the conformance suite does not ask of every source: bad data, metadata, start time, idleness, pacing.

#[path = "queue_source/ahead.rs"]
mod ahead;
#[path = "queue_source/batches.rs"]
mod batches;
#[path = "queue_source/commit_log.rs"]
mod commit_log;
#[path = "queue_source/deletes.rs"]
mod deletes;
#[path = "queue_source/drain.rs"]
mod drain;
#[path = "queue_source/failures.rs"]
mod failures;
#[path = "queue_source/gauges.rs"]
mod gauges;
#[path = "queue_source/hooked.rs"]
mod hooked;
#[path = "queue_source/leases.rs"]
mod leases;
#[path = "queue_source/letters.rs"]
mod letters;
#[path = "queue_source/lines.rs"]
mod lines;
#[path = "queue_source/outside.rs"]
mod outside;
#[path = "queue_source/pacing.rs"]
mod pacing;
#[path = "queue_source/polls.rs"]
mod polls;
#[path = "queue_source/screening.rs"]
mod screening;
#[path = "queue_source/stress.rs"]
mod stress;
#[path = "queue_source/threads.rs"]
mod threads;
#[path = "queue_source/watched.rs"]
mod watched;
#[path = "queue_source/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use headwater_core::{
    CheckpointId, Clock, EarlierRun, Event, LineageMarker, MetadataColumn, Mono, Source, SourceErrorKind,
};
use headwater_formats::RowType;
use headwater_queue_source::{BadRecords, QueueSource, Rewind, SkippedByTime};
use headwater_testkit::{FaultRates, Faulty, Operation, pass};

use crate::world::{START, World};

#[tokio::test]
async fn one_message_then_silence_is_checkpointed_and_deleted() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    let id = world.queue.send("a\nb");
    assert_eq!(world.lines(&mut source).await, ["a", "b"]);
    assert!(world.queue.deleted().is_empty(), "nothing early");
    let due = world.next(&mut source, Duration::from_secs(11)).await;
    assert!(matches!(due, Some(Ok(Some(Event::CheckpointDue(_))))), "the idle consumer is woken: {due:?}");
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted(), [id]);
}

#[tokio::test]
async fn a_bad_message_fails_the_source_by_name_and_loses_nothing() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("good");
    let bad = world.queue.send("x\nbad");
    assert_eq!(world.lines(&mut source).await, ["good"]);
    let error = world.next(&mut source, Duration::from_secs(1)).await.expect("an event").expect_err("a failure");
    assert_eq!(error.kind, SourceErrorKind::BadData);
    let text = error.to_string();
    for part in [&*bad, "queue orders", "delivered 1 times", "badRecords", "row 1", "line"] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    // What was handed out can still be committed; the bad message stays.
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 1);
    world.drain(&mut source).await.expect("a drain");
    assert_eq!(world.queue.remaining(), [bad]);
}

#[tokio::test]
async fn skip_keeps_the_good_rows_of_a_bad_message_and_deletes_it_in_the_end() {
    let world = World::new();
    let mut config = World::config();
    config.bad_records = BadRecords::Skip;
    let mut source = world.source(config).await;
    world.queue.send("a\nbad\nb");
    world.queue.send("bad");
    assert_eq!(world.lines(&mut source).await, ["a", "b"]);
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 2, "the message without rows belongs to the epoch too");
}

#[tokio::test]
async fn metadata_columns_follow_the_body_columns() {
    let world = World::new();
    let mut config = World::config();
    let metadata: RowType = "id STRING, tries INT".parse().expect("a row type");
    let keys = ["message-id", "dequeue-count"];
    config.metadata = metadata
        .fields()
        .iter()
        .zip(keys)
        .map(|(f, key)| MetadataColumn { name: f.name.clone(), key: key.into(), data_type: f.data_type.clone() })
        .collect();
    let mut source = world.source(config).await;
    let id = world.queue.send("a\nb");
    let Some(Ok(Some(Event::Batch(batch)))) = world.next(&mut source, Duration::from_secs(1)).await else {
        panic!("expected rows")
    };
    assert_eq!(batch.records().schema(), source.schema());
    let ids: Vec<_> = batch.records().column(1).as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, [&*id, &*id]);
    assert_eq!(batch.records().column(2).as_primitive::<Int32Type>().values(), &[1, 1]);
}

#[tokio::test]
async fn old_messages_are_skipped_and_deleted_only_with_a_commit() {
    for (how, deleted) in [(SkippedByTime::Delete, 2), (SkippedByTime::Leave, 1)] {
        let world = World::new();
        world.queue.send("old");
        world.clock.advance(Duration::from_secs(60));
        world.queue.send("new");
        let mut config = World::config();
        config.start_time = Some(START.0 + 30_000);
        config.skipped_by_time = how;
        let mut source = world.source(config).await;
        assert_eq!(world.lines(&mut source).await, ["new"]);
        assert!(world.queue.deleted().is_empty());
        world.checkpoint(&mut source, 1).await;
        assert_eq!(world.queue.deleted().len(), deleted, "{how:?}");
    }
}

#[tokio::test]
async fn a_denied_delete_ends_the_source() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    world.queue.deny(Operation::Delete);
    world.checkpoint(&mut source, 1).await;
    let error = world.next(&mut source, Duration::from_secs(1)).await.expect("an event").expect_err("a failure");
    assert_eq!(error.kind, SourceErrorKind::Denied, "{error}");
    assert!(world.drain(&mut source).await.is_err(), "a drain must not hide it");
}

#[tokio::test]
async fn transient_failures_never_end_a_run_and_are_paced() {
    let world = World::new();
    let mut rates = FaultRates::none();
    rates.request_lost = 1_000;
    let faulty = Faulty::new(world.queue.clone(), &world.clock, 7, rates);
    let faulty = Arc::new(faulty);
    let opening =
        QueueSource::open(Arc::clone(&faulty) as Arc<dyn headwater_core::Queue>, world.clock(), World::config());
    tokio::pin!(opening);
    tokio::select! { biased; _ = &mut opening => panic!("opened without an answer"), () = pass(&world.clock, Duration::from_secs(60)) => {} }
    let calls = faulty.counts().calls;
    assert!((3..60).contains(&calls), "{calls} calls in a minute of failures");
    faulty.set_rates(FaultRates::none());
    let mut source = tokio::select! { biased; s = &mut opening => s.expect("a source"), () = pass(&world.clock, Duration::from_secs(30)) => panic!("never opened") };
    world.queue.send("a");
    assert_eq!(world.lines(&mut source).await, ["a"]);
}

#[tokio::test]
async fn idleness_begins_after_the_last_lease() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    assert_eq!(source.status().idle_since, None, "a message is uncommitted");
    world.checkpoint(&mut source, 1).await;
    let idle = source.status().idle_since.expect("idle");
    assert!(idle <= world.clock.now(), "its delete is confirmed, no lease is left");

    let mut config = World::config();
    config.earlier_run = EarlierRun::Unclean;
    let mut again = world.source(config).await;
    assert!(world.next(&mut again, Duration::ZERO).await.is_none());
    let floor = again.status().idle_since.expect("a floor");
    assert_eq!(floor, world.clock.now() + Duration::from_secs(30), "an unclean start waits for one lease");
    assert!(floor > Mono::default());
}

#[tokio::test]
async fn a_restore_waits_for_a_lease_unless_the_run_before_ended_cleanly() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    for (earlier_run, lease) in [(EarlierRun::Unknown, 30), (EarlierRun::Unclean, 30), (EarlierRun::Clean, 0)] {
        let mut config = World::config();
        config.earlier_run = earlier_run;
        let mut again = world.source(config).await;
        again.restore(CheckpointId(1), state.clone()).await.expect("a restore");
        let busy_until = again.status().busy_until.expect("a time");
        assert_eq!(busy_until.since(world.clock.now()), Duration::from_secs(lease), "{earlier_run:?}");
    }
}

#[tokio::test]
async fn a_state_that_was_set_back_is_refused_by_its_marker() {
    let world = World::new();
    let marked = |marker| {
        let mut config = World::config();
        config.rewind = Rewind::Marked(marker);
        config
    };
    assert!(world.source(World::config()).await.guarantee().contains("rewind of a saved state is not detected"));
    let mut source = world.source(marked(None)).await;
    assert!(source.guarantee().contains("set back is refused"), "{}", source.guarantee());
    let mut states = Vec::new();
    for id in [1, 2] {
        world.queue.send("a");
        world.lines(&mut source).await;
        states.push(source.checkpoint(CheckpointId(id)).await.expect("a checkpoint"));
    }
    let marker = LineageMarker::of(CheckpointId(2), &states[1]);
    drop(source);

    let mut again = world.source(marked(Some(marker))).await;
    let missing = again.next().await.expect_err("nothing was restored");
    let rewound = again.restore(CheckpointId(1), states[0].clone()).await.expect_err("an old state");
    for (error, part) in [(missing, "no saved state"), (rewound, "set back")] {
        assert_eq!(error.kind, SourceErrorKind::State);
        assert!(error.to_string().contains(part), "{error}");
    }
    again.restore(CheckpointId(2), states[1].clone()).await.expect("the newest state");
    assert!(world.next(&mut again, Duration::ZERO).await.is_none(), "it works");
}

#[tokio::test]
async fn a_poll_that_a_drain_cuts_may_have_leased_messages() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    assert!(world.next(&mut source, Duration::from_secs(1)).await.is_none(), "the polls are parked");
    world.drain_within(&mut source, Duration::from_secs(2)).await.expect("a drain");
    assert!(source.status().busy_until > Some(world.clock.now()));
}
