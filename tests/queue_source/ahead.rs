//! Decoding by pollers: the same rows in the same order, no more than is allowed of it, and nothing after a drain.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use futures::FutureExt;
use headwater_core::{Event, Source, SourceErrorKind};
use headwater_formats::DecoderFactory;
use headwater_queue_source::{Objective, QueueSource, SourceConfig};
use headwater_testkit::{Operation, settle};

use crate::hooked::Act;
use crate::watched::{Watched, Work};
use crate::world::{SECOND, World};

/// How many bodies are decoded and how many decoders made, and a factory that counts them.
fn counted() -> (Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<dyn DecoderFactory>) {
    let (bodies, decoders): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let counts = (Arc::clone(&bodies), Arc::clone(&decoders));
    let factory = Watched::factory(move |work| match work {
        Work::Make => _ = counts.1.fetch_add(1, Ordering::Relaxed),
        Work::Decode => _ = counts.0.fetch_add(1, Ordering::Relaxed),
        Work::Decoded | Work::Flush => {}
    });
    (bodies, decoders, factory)
}

fn config(ahead: usize) -> SourceConfig {
    let mut config = World::config();
    config.pollers = 1;
    config.decode_ahead = Some(ahead);
    config
}

async fn rows(world: &World, source: &mut QueueSource) -> Option<Vec<String>> {
    loop {
        return match world.next(source, SECOND).await {
            Some(Ok(Some(Event::Batch(batch)))) => {
                assert_eq!(batch.messages().len(), batch.records().num_rows());
                Some(batch.records().column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect())
            }
            Some(Ok(Some(Event::CheckpointDue(_)))) => continue,
            None => None,
            other => panic!("expected rows, got {other:?}"),
        };
    }
}

/// Answers of 16, batches of as many messages as do not go into them evenly, and a consumer that is now late, now early.
#[tokio::test]
async fn the_rows_of_one_poller_are_in_order_whoever_decodes_them() {
    for ahead in 0..4 {
        for (most, patience) in [(1, 1), (7, 3), (16, 2), (23, 5), (8_192, 4)] {
            let world = World::new();
            let mut config = config(ahead);
            config.batch_rows = most;
            let mut source = world.source(config).await;
            let (mut sent, mut seen) = (0, Vec::new());
            for turn in 0..60 {
                for _ in 0..(turn * 7) % 40 {
                    world.queue.send(format!("{sent}"));
                    sent += 1;
                }
                if turn % patience == 0 {
                    seen.extend(rows(&world, &mut source).await.unwrap_or_default());
                } else {
                    // The poller goes on by itself.
                    settle().await;
                }
            }
            while let Some(more) = rows(&world, &mut source).await {
                assert!(more.len() <= most);
                seen.extend(more);
            }
            let wanted: Vec<String> = (0..sent).map(|n| format!("{n}")).collect();
            assert_eq!(seen, wanted, "{ahead} ahead, {most} rows a batch, {patience} turns");
        }
    }
}

#[tokio::test]
async fn no_more_batches_are_decoded_than_may_wait() {
    for (ahead, most, decoded) in [(0, 10, 1), (1, 10, 11), (2, 10, 21), (3, 16, 49), (8, 8_192, 201)] {
        let world = World::new();
        let (bodies, decoders, factory) = counted();
        let mut config = config(ahead);
        (config.decoder, config.batch_rows) = (factory, most);
        let mut source = world.source(config).await;
        world.queue.send("first");
        assert_eq!(rows(&world, &mut source).await, Some(vec!["first".to_owned()]));
        (0..200).for_each(|n| _ = world.queue.send(format!("{n}")));
        for _ in 0..100 {
            world.clock.advance(SECOND);
            settle().await;
        }
        assert_eq!(source.status().received, 201);
        assert_eq!(bodies.load(Ordering::Relaxed), decoded, "{ahead} batches of {most} rows");
        let mut left = 200;
        while let Some(rows) = rows(&world, &mut source).await {
            left -= rows.len();
        }
        assert_eq!(left, 0);
        assert_eq!(bodies.load(Ordering::Relaxed), 201, "each once");
        assert!(decoders.load(Ordering::Relaxed) <= ahead + 1, "one is the consumer's");
    }
}

/// Two small bodies are two large rows, and a batch. Polls that bring more and more would keep it back with what gathers.
#[tokio::test]
async fn a_full_batch_does_not_wait_for_others_to_gather() {
    let world = World::new();
    let mut config = config(64);
    (config.pollers, config.batch_bytes, config.objective) = (2, 2_000, Objective::Latency);
    world.hooks.make(Operation::Receive, Act::Soon);
    (0..640).for_each(|_| _ = world.queue.send("blow"));
    let mut source = world.source(config).await;
    assert_eq!(rows(&world, &mut source).await.map(|rows| rows.len()), Some(2));
    assert!(source.status().received <= 64, "{} were received first", source.status().received);
}

#[tokio::test]
async fn what_is_decoded_and_not_handed_out_is_dropped_by_a_drain() {
    // Full batches, one that has begun, and what had no room in a batch of the consumer.
    for (ahead, taken) in [(4, 0), (1, 0), (0, 0), (0, 1), (2, 1)] {
        let world = World::new();
        let mut config = config(ahead);
        config.batch_rows = 10;
        let mut source = world.source(config).await;
        (0..29).for_each(|n| _ = world.queue.send(format!("{n}")));
        if taken == 0 {
            // The first call has the poller begin, and is dropped before there is anything.
            assert!(source.next().now_or_never().is_none());
            settle().await;
        } else {
            assert_eq!(rows(&world, &mut source).await.map(|rows| rows.len()), Some(10));
        }
        let report = world.drain(&mut source).await.expect("a drain");
        assert_eq!((report.released, report.left), (29, 0), "{ahead} ahead");
        assert!(matches!(world.next(&mut source, SECOND).await, Some(Ok(None))), "{ahead} ahead: it has ended");
        assert_eq!(world.visible_soon(), 29);
    }
}

/// Rows before a message that fails the source are handed out.
#[tokio::test]
async fn a_message_that_fails_the_source_comes_after_the_rows_before_it() {
    for ahead in 0..3 {
        let world = World::new();
        let mut source = world.source(config(ahead)).await;
        ["a", "b", "bad", "c"].into_iter().for_each(|body| _ = world.queue.send(body));
        assert_eq!(rows(&world, &mut source).await, Some(vec!["a".to_owned(), "b".to_owned()]), "{ahead} ahead");
        assert_eq!(world.failure(&mut source, SECOND).await.kind, SourceErrorKind::BadData);
        let report = world.drain(&mut source).await.expect("a drain");
        assert_eq!((report.released, report.left), (4, 0), "{ahead} ahead");
    }
}

/// It is the poller that it takes down, not whoever calls the source.
#[tokio::test]
async fn a_decoder_that_panics_in_a_poller_ends_the_source() {
    let world = World::new();
    let mut source = world.source(config(2)).await;
    ["a", "panic", "b"].into_iter().for_each(|body| _ = world.queue.send(body));
    let error = world.failure(&mut source, SECOND).await;
    assert_eq!(error.kind, SourceErrorKind::Failed);
    assert!(error.to_string().contains("the decoder"), "{error}");
    let report = world.drain(&mut source).await.expect("a drain");
    assert_eq!((report.released, report.left), (3, 0));
}

/// Of what it had begun nothing would ever be handed out, and nothing said of it.
#[tokio::test]
async fn a_decoder_that_panics_when_its_rows_are_taken_ends_the_source() {
    for ahead in 0..2 {
        let world = World::new();
        let mut config = config(ahead);
        config.decoder =
            Watched::factory(|work| assert!(work != Work::Flush, "the decoder panics as the test wants it"));
        let mut source = world.source(config).await;
        world.queue.send("a");
        let panic = AssertUnwindSafe(world.next(&mut source, SECOND)).catch_unwind().await;
        assert!(panic.is_err(), "{ahead} ahead");
        let error = world.failure(&mut source, SECOND).await;
        assert!(error.to_string().contains("the decoder"), "{ahead} ahead: {error}");
        let report = world.drain(&mut source).await.expect("a drain");
        assert_eq!((report.released, report.left), (1, 0), "{ahead} ahead");
    }
}
