//! What ends a batch: rows, bytes, or that nothing more is waiting.

use headwater_core::Event;
use headwater_queue_source::{Objective, QueueSource};
use headwater_testkit::{MemoryQueueOptions, Operation};

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
