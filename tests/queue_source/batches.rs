//! What ends a batch: rows, bytes, or that nothing more is waiting.

use headwater_core::{Event, Source};
use headwater_queue_source::{Objective, QueueSource};
use headwater_testkit::{MemoryQueueOptions, Operation, settle};

use crate::hooked::Act;
use crate::world::{SECOND, World};

/// Rows and messages of the next batch, which must come without waiting.
async fn batch(world: &World, source: &mut QueueSource) -> (usize, usize) {
    match world.next(source, SECOND).await {
        Some(Ok(Some(Event::Batch(batch)))) => (batch.records().num_rows(), batch.messages().len()),
        other => panic!("expected rows, got {other:?}"),
    }
}

#[tokio::test]
async fn the_bounds_are_those_of_the_documentation() {
    let config = World::config();
    assert_eq!((config.batch_rows, config.batch_bytes), (8_192, 1 << 20));
}

#[tokio::test]
async fn a_batch_ends_with_the_message_that_reaches_8192_rows() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    // Five messages of 2,048 rows and few bytes, all received at once: four fill a batch.
    (0..5).for_each(|_| _ = world.queue.send("x\n".repeat(2_048)));
    assert_eq!(batch(&world, &mut source).await, (8_192, 4));
    assert_eq!(batch(&world, &mut source).await, (2_048, 1));
}

#[tokio::test]
async fn a_batch_ends_with_the_message_that_reaches_a_mebibyte() {
    let mut options = MemoryQueueOptions::default();
    options.capabilities.max_message_bytes = 1 << 17;
    let world = World::with(options);
    let mut source = world.source(World::config()).await;
    // Bodies of 120,000 bytes, 16 in one receive: nine reach 1,048,576 bytes.
    let body = "y".repeat(120_000);
    (0..16).for_each(|_| _ = world.queue.send(body.clone()));
    assert_eq!(batch(&world, &mut source).await, (9, 9));
    assert_eq!(batch(&world, &mut source).await, (7, 7));
    // Small bodies whose rows are large (`blow` is a row of a thousand bytes): eleven times 100,000 bytes.
    (0..16).for_each(|_| _ = world.queue.send("blow\n".repeat(100)));
    assert_eq!(batch(&world, &mut source).await, (1_100, 11));
    assert_eq!(batch(&world, &mut source).await, (500, 5));
}

/// Bodies that nobody asks for would only take memory, and their leases run.
#[tokio::test]
async fn with_two_batches_waiting_nothing_more_is_received() {
    // What fits, and one answer for each poller: they ask once more before they see that it is full.
    for (pollers, bytes, most) in [(1, 1_000, 32), (1, 8_000, 32 + 16 * 8), (4, 1_000, 16 * 8)] {
        let world = World::new();
        let mut config = World::config();
        (config.pollers, config.batch_bytes, config.decode_ahead) = (pollers, bytes, Some(0));
        let mut source = world.source(config).await;
        world.queue.send("first");
        assert_eq!(batch(&world, &mut source).await, (1, 1));
        (0..400).for_each(|_| _ = world.queue.send("x".repeat(100)));
        for _ in 0..100 {
            world.clock.advance(SECOND / 100);
            settle().await;
        }
        let received = source.status().received - 1;
        assert!(received * 100 >= 2 * bytes as u64 && received <= most, "{received} of {bytes} bytes a batch");
        // Whoever asks has the pollers go on, and gets all the others at once.
        let mut left = 400 - batch(&world, &mut source).await.0;
        settle().await;
        assert!(source.status().received - 1 > received, "{received}");
        while left > 0 {
            left -= batch(&world, &mut source).await.0;
        }
    }
}

#[tokio::test]
async fn answers_that_come_one_close_behind_the_other_are_one_batch() {
    let world = World::new();
    let mut config = World::config();
    // Two polls from the start.
    config.objective = Objective::Latency;
    world.hooks.make(Operation::Receive, Act::Soon);
    (0..320).for_each(|_| _ = world.queue.send("one"));
    let mut source = world.source(config).await;
    assert_eq!(batch(&world, &mut source).await, (320, 320));
}

#[tokio::test]
async fn nothing_lingers_when_the_queue_is_empty() {
    let world = World::new();
    let mut source = world.source(World::config()).await;
    for round in 0..3 {
        world.queue.send("one");
        // `batch` waits one second of the ten that a poll may take.
        assert_eq!(batch(&world, &mut source).await, (1, 1), "round {round}");
    }
}
