//! What breaks inside or below a source: it fails by name, gives back what it holds, and loses nothing.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use headwater_core::{
    CheckpointId, Clock, Delivery, Event, Handle, Mono, QueueErrorKind, ServerMs, Source, SourceErrorKind, SourceState,
};
use headwater_queue_source::{BadRecords, Objective};
use headwater_testkit::{MemoryQueueOptions, Operation, settle};

use crate::hooked::Act;
use crate::lines::Lines;
use crate::world::{SECOND, World};

#[tokio::test]
async fn a_panic_in_a_receive_fails_the_source_and_frees_its_permits() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.hooks.make(Operation::Receive, Act::Panic);
    let error = world.failure(&mut source, SECOND).await;
    assert_eq!(error.kind, SourceErrorKind::Failed, "{error}");
    let began = world.clock.now();
    world.drain(&mut source).await.expect("a drain");
    assert_eq!(world.clock.now(), began, "no poller is left to be waited for");
}

#[tokio::test]
async fn a_panic_in_a_delete_fails_the_source_and_the_message_is_deleted_by_the_next_run() {
    let world = World::new();
    let mut config = World::config();
    config.wait = SECOND;
    config.delete_workers = 1;
    let mut source = world.source(config).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Delete, Act::Panic);
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    source.commit(CheckpointId(1)).await.expect("a commit");
    assert_eq!(world.failure(&mut source, SECOND).await.kind, SourceErrorKind::Failed);
    let began = world.clock.now();
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.deleted, report.unconfirmed), (0, 1));
    assert!(world.clock.now().since(began) <= SECOND, "no deleter is left to be waited for");

    world.hooks.mend(Operation::Delete);
    let mut again = world.source(World::config()).await;
    again.restore(CheckpointId(1), state).await.expect("a restore");
    world.checkpoint(&mut again, 1).await;
    assert!(world.queue.remaining().is_empty());
}

#[tokio::test]
async fn a_panic_in_the_decoder_strands_nothing() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    ["a", "panic", "b"].into_iter().for_each(|body| _ = world.queue.send(body));
    let panicked = AssertUnwindSafe(world.next(&mut source, SECOND)).catch_unwind().await;
    assert!(panicked.is_err());
    assert_eq!(world.failure(&mut source, SECOND).await.kind, SourceErrorKind::Failed, "it stays failed");
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.released, report.left), (3, 0));
}

#[tokio::test]
async fn a_missing_queue_ends_the_run_and_what_was_handed_out_can_be_committed() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Receive, Act::FailLate(QueueErrorKind::NoSuchQueue));
    let error = world.failure(&mut source, SECOND * 30).await;
    assert_eq!(error.kind, SourceErrorKind::Configuration);
    assert_eq!(world.failure(&mut source, SECOND).await.to_string(), error.to_string(), "it stays failed");
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 1);
}

#[tokio::test]
async fn a_restore_after_polling_has_begun_is_refused() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    let mut other = world.source(World::config()).await;
    world.hooks.make(Operation::Receive, Act::Fail(QueueErrorKind::Transient));
    // Every poller pauses: nothing runs, nothing is held, and yet it is too late.
    assert!(world.next(&mut other, SECOND).await.is_none());
    let error = other.restore(CheckpointId(1), state).await.expect_err("too late");
    assert_eq!(error.kind, SourceErrorKind::State);
}

#[tokio::test]
async fn a_restored_source_goes_on_and_one_without_a_commit_does_too() {
    for commit in [true, false] {
        let world = World::new();
        let mut source = world.source(World::config()).await;
        world.queue.send("a");
        world.lines(&mut source).await;
        let state = source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
        drop(source);
        let mut source = world.source(World::config()).await;
        source.restore(CheckpointId(1), state).await.expect("a restore");
        settle().await;
        assert!(world.queue.deleted().is_empty(), "checkpoint 1 is not committed by being restored");
        if commit {
            world.checkpoint(&mut source, 1).await;
            assert_eq!(world.queue.deleted().len(), 1, "at once, by the handle in the state");
        }
        world.queue.send("b");
        assert_eq!(world.lines(&mut source).await, ["b"]);
        world.checkpoint(&mut source, 2).await;
        assert_eq!(world.queue.deleted().len(), 2, "committing 2 commits 1");
    }
}

/// Parts of a committed checkpoint are let go of only where the store was said to keep them; with what it kept the state is whole.
#[tokio::test]
async fn a_store_that_keeps_parts_is_not_given_them_again() {
    for kept in [false, true] {
        let world = World::new();
        let mut source = world.source(World::config()).await;
        if kept {
            source.rely_on_stored_parts();
        }
        let mut states = Vec::new();
        for id in 1..=3 {
            world.queue.send(format!("message {id}"));
            world.lines(&mut source).await;
            let state = source.checkpoint(CheckpointId(id)).await.expect("a checkpoint");
            // The second is given up: nothing says that the store has it.
            if id == 2 {
                source.abort(CheckpointId(id)).await.expect("an abort");
            } else {
                source.commit(CheckpointId(id)).await.expect("a commit");
            }
            states.push(state);
        }
        drop(source);
        let names = |state: &SourceState| state.stored.iter().map(|part| part.name.clone()).collect::<Vec<_>>();
        let first = states[0].parts[0].clone();
        let expected = if kept { vec![first.name.clone()] } else { vec![] };
        assert_eq!([names(&states[1]), names(&states[2])], [expected.clone(), expected]);
        let mut whole = states.pop().expect("three states");
        if kept {
            assert_eq!(whole.stored[0].len, first.bytes.len() as u64);
            assert_eq!(whole.parts.len(), 2, "what the second said comes again");
            whole.stored.clear();
            whole.parts.insert(0, first);
        }
        let mut source = world.source(World::config()).await;
        source.restore(CheckpointId(3), whole).await.expect("a restore");
        source.commit(CheckpointId(3)).await.expect("a commit");
        settle().await;
        assert_eq!(world.queue.deleted().len(), 3);
    }
}

#[tokio::test]
async fn numbers_out_of_the_world_do_no_harm() {
    for extreme in [i64::MIN, i64::MAX] {
        let world = World::new();
        let other = if extreme == i64::MIN { i64::MAX } else { i64::MIN };
        world.hooks.edit(move |received| {
            received.server_time = Some(ServerMs(other));
            for message in &mut received.messages {
                message.next_visible = Some(ServerMs(extreme));
                message.first_dequeued = Some(ServerMs(other));
                message.enqueued = Some(ServerMs(extreme));
                message.dequeue_count = 1;
            }
        });
        world.hooks.make(Operation::Describe, Act::Fail(QueueErrorKind::Denied));
        let mut source = world.source(World::config()).await;
        world.queue.send("a");
        assert_eq!(world.lines(&mut source).await, ["a"]);
        world.checkpoint(&mut source, 1).await;
        assert_eq!(world.queue.deleted().len(), 1);
        assert!(source.status().idle_since.is_some());
    }
}

#[tokio::test]
async fn a_message_twice_in_one_answer_is_one_message_with_its_newer_handle() {
    let world = World::new();
    world.hooks.edit(|received| {
        // The live handle belongs to the later delivery; the stale one comes first or last.
        for mut stale in received.messages.clone() {
            stale.handle = Handle::new("1-stale");
            stale.dequeue_count = 0;
            received.messages.insert(0, stale.clone());
            received.messages.push(stale);
        }
    });
    let mut source = world.source(World::config()).await;
    world.queue.send("a");
    assert_eq!(world.lines(&mut source).await, ["a"]);
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 1);
    assert_eq!((source.status().duplicates, source.status().rows), (2, 1));
}

#[tokio::test]
async fn an_answer_slower_than_a_whole_life_is_not_handed_out_again() {
    let mut options = MemoryQueueOptions::default();
    options.lease = SECOND * 4;
    let world = World::with(options);
    let mut config = World::config();
    (config.limits.checkpoint_interval, config.limits.grace) = (SECOND * 2, Duration::ZERO);
    // Two polls side by side although the queue is empty.
    config.objective = Objective::Latency;
    let mut source = world.source(config).await;
    world.queue.send("a");
    // The first receive leases it and is answered after 30 s; until then the other one receives, and it is deleted.
    world.hooks.make(Operation::Receive, Act::AnswerLate(SECOND * 30));
    let (mut rows, mut checkpoint) = (0, 0);
    for _ in 0..60 {
        match world.next(&mut source, SECOND).await {
            Some(Ok(Some(Event::Batch(batch)))) => rows += batch.records().num_rows(),
            Some(Ok(Some(Event::CheckpointDue(_)))) => {
                checkpoint += 1;
                world.checkpoint(&mut source, checkpoint).await;
            }
            other => assert!(other.is_none(), "{other:?}"),
        }
    }
    assert_eq!((rows, world.queue.deleted().len()), (1, 1));
    assert_eq!(source.status().duplicates, 1, "the late answer was read");
}

#[tokio::test]
async fn receives_that_fail_give_their_permits_back() {
    let world = World::new();
    let mut config = World::config();
    (config.limits.undeleted_max, config.limits.checkpoint_max_messages) = (32, 16);
    let mut source = world.source(config).await;
    world.hooks.make(Operation::Receive, Act::Fail(QueueErrorKind::Transient));
    assert!(world.next(&mut source, SECOND * 60).await.is_none());
    assert!(world.hooks.calls(Operation::Receive) > 4, "more than there are permits for");
    world.hooks.mend(Operation::Receive);
    assert!(world.next(&mut source, SECOND * 15).await.is_none());
    world.queue.send("a");
    assert_eq!(world.lines(&mut source).await, ["a"]);
}

#[tokio::test]
async fn a_message_larger_than_the_queue_promised_is_taken_and_counted() {
    let world = World::new();
    let mut config = World::config();
    (config.limits.bytes_max, config.limits.checkpoint_max_bytes) = (70_000, 70_000);
    let mut source = world.source(config).await;
    let longer = "x".repeat(200_000);
    world.hooks.edit(move |received| {
        received.messages.iter_mut().for_each(|message| message.body = longer.clone().into());
    });
    world.queue.send("a");
    world.queue.send("b");
    assert_eq!(world.lines(&mut source).await[0].len(), 200_000);
    let due = world.next(&mut source, SECOND).await;
    assert!(matches!(due, Some(Ok(Some(Event::CheckpointDue(_))))), "{due:?}");
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.lines(&mut source).await[0].len(), 200_000, "the bytes came back with the commit");
}

#[tokio::test]
async fn a_full_decoder_starts_a_new_batch_and_counts_the_message_once() {
    let world = World::new();
    let mut config = World::config();
    config.decoder = Lines::capped(5);
    let mut source = world.source(config).await;
    ["abc", "def", "gh"].into_iter().for_each(|body| _ = world.queue.send(body));
    assert_eq!(world.lines(&mut source).await, ["abc"]);
    assert_eq!(world.lines(&mut source).await, ["def", "gh"]);
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 3);
}

#[tokio::test]
async fn rows_larger_than_their_bodies_end_a_batch_too() {
    let world = World::new();
    let mut config = World::config();
    config.batch_bytes = 100;
    let mut source = world.source(config).await;
    // `blow` is a row of a thousand bytes.
    (0..3).for_each(|_| _ = world.queue.send("blow"));
    for _ in 0..3 {
        assert_eq!(world.lines(&mut source).await.len(), 1);
    }
}

#[tokio::test]
async fn messages_without_rows_are_committed_and_deleted_like_others() {
    let world = World::new();
    let mut config = World::config();
    config.bad_records = BadRecords::Skip;
    let mut source = world.source(config).await;
    ["", "bad", ""].into_iter().for_each(|body| _ = world.queue.send(body));
    let due = world.next(&mut source, SECOND * 11).await;
    assert!(matches!(due, Some(Ok(Some(Event::CheckpointDue(_))))), "an epoch of no rows: {due:?}");
    assert_eq!(source.status().uncommitted, 3);
    world.checkpoint(&mut source, 1).await;
    assert_eq!(world.queue.deleted().len(), 3);
}

#[tokio::test]
async fn a_dropped_next_leaves_its_batch_in_place() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    (0..3).for_each(|n| _ = world.queue.send(format!("{n}")));
    let mut rows = Vec::new();
    for _ in 0..50 {
        // Polled once and dropped, whether it was ready or not.
        if let Some(event) = source.next().now_or_never()
            && let Ok(Some(Event::Batch(batch))) = event
        {
            rows.push(batch.records().num_rows());
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(rows.iter().sum::<usize>(), 3);
}

#[tokio::test]
async fn a_full_ledger_screens_fails_in_the_end_and_says_how_to_go_on() {
    let world = World::new();
    let mut config = World::config();
    (config.limits.ledger_max_ids, config.limits.delete_max_retries) = (1, 0);
    let mut source = world.source(config).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Delete, Act::Fail(QueueErrorKind::Transient));
    world.checkpoint(&mut source, 1).await;
    let error = world.failure(&mut source, SECOND * 700).await;
    assert!(error.to_string().contains("ledgerMaxIds"), "{error}");
    assert!(world.clock.now() >= Mono::from_millis(600_000), "not before the patience is over");
    assert!(source.status().duplicates > 5, "known ids are screened meanwhile");
}

#[tokio::test]
async fn a_full_ledger_recovers_by_screening() {
    let world = World::new();
    let mut config = World::config();
    (config.limits.ledger_max_ids, config.limits.delete_max_retries) = (1, 0);
    let mut source = world.source(config).await;
    world.queue.send("a");
    world.lines(&mut source).await;
    world.hooks.make(Operation::Delete, Act::Fail(QueueErrorKind::Transient));
    world.checkpoint(&mut source, 1).await;
    assert_eq!(source.status().unconfirmed, 1);
    world.hooks.mend(Operation::Delete);
    // One lease later `a` comes back, is deleted by its new handle, and `b` is received again.
    world.clock.advance(SECOND * 10);
    settle().await;
    world.queue.send("b");
    let mut rows = 0;
    for _ in 0..100 {
        if let Some(Ok(Some(Event::Batch(batch)))) = world.next(&mut source, SECOND).await {
            rows += batch.records().num_rows();
        }
    }
    assert_eq!((rows, world.queue.deleted().len()), (1, 1));
}

#[tokio::test]
async fn the_guarantee_is_what_the_queue_allows() {
    for (stable_ids, delivery) in [(true, Delivery::ExactlyOnce), (false, Delivery::AtLeastOnce)] {
        let mut options = MemoryQueueOptions::default();
        options.capabilities.stable_ids = stable_ids;
        let source = World::with(options).source(World::config()).await;
        assert_eq!(source.delivery(), delivery);
        let sentence = source.guarantee();
        assert!(sentence.contains(&delivery.to_string()), "{sentence}");
    }
}
