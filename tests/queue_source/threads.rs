//! Pollers, deleters and the consumer in threads of their own: nobody waits for a wake-up that does not come, and every row is
//! committed exactly once. What interleaves how is up to the machine; the seeds only choose the options.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use futures::FutureExt;
use headwater_core::{Batch, CheckpointId, Clock, Event, ManualClock, Source, SourceState, SystemClock};
use headwater_formats::MessageEncoding;
use headwater_queue_source::{Objective, QueueSource, SourceConfig};
use headwater_testkit::{MemoryQueue, MemoryQueueOptions, Random};
use tokio::task::{JoinSet, yield_now};

use crate::watched::Watched;
use crate::world::{SECOND, START};

/// What takes longer has stopped: a hundred times what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    let at = usize::try_from(random.below(choices.len() as u64)).unwrap_or(0);
    choices[at]
}

fn config(random: &mut Random) -> SourceConfig {
    // Other threads are let in before and after every body.
    let mut config = SourceConfig::new("t", Watched::factory(|_| std::thread::yield_now()));
    config.encoding = MessageEncoding::Raw;
    config.pollers = one_of(random, &[1, 2, 4, 8]);
    config.objective = one_of(random, &[Objective::Latency, Objective::Throughput]);
    config.decode_ahead = one_of(random, &[None, None, Some(1), Some(2), Some(0)]);
    config.batch_rows = one_of(random, &[1, 7, 50, 8_192]);
    config.batch_bytes = one_of(random, &[1, 100, 1 << 20]);
    config.delete_workers = one_of(random, &[0, 1]);
    config.limits.batch_max = one_of(random, &[1, 5, 16]);
    config.limits.undeleted_max = one_of(random, &[32, 300, 4_000]);
    config.limits.checkpoint_max_messages = config.limits.undeleted_max / 2;
    config.limits.grace_max_ids = one_of(random, &[1, 1_000]);
    config
}

/// The rows of a batch, which are those of its messages: each has one, or two if its number can be divided by three.
fn rows_of(batch: &Batch) -> Vec<u64> {
    let column = batch.records().column(0).as_string::<i32>();
    let mut messages = Vec::new();
    let mut at = 0;
    for message in batch.messages() {
        let rows: Vec<u64> =
            message.rows.clone().map(|row| column.value(row).parse().expect("the number of a message")).collect();
        assert_eq!(message.rows.start, at, "rows of no message");
        assert!(rows.iter().all(|row| *row == rows[0]), "rows of several messages: {rows:?}");
        assert_eq!(rows.len(), if rows[0].is_multiple_of(3) { 2 } else { 1 }, "all rows of a message are in one batch");
        at = message.rows.end;
        messages.push(rows[0]);
    }
    assert_eq!(at, batch.records().num_rows());
    messages
}

fn body(number: u64) -> String {
    if number.is_multiple_of(3) { format!("{number}\n{number}") } else { number.to_string() }
}

/// Sends so many messages, a few at a time.
async fn send(queue: MemoryQueue, total: u64, mut random: Random) {
    let mut sent = 0;
    while sent < total {
        for _ in 0..(1 + random.below(60)).min(total - sent) {
            queue.send(body(sent));
            sent += 1;
        }
        for _ in 0..random.below(20) {
            yield_now().await;
        }
    }
}

async fn in_time<T>(what: &str, seed: u64, work: impl Future<Output = T>) -> T {
    let over = SystemClock::new().sleep(PATIENCE);
    tokio::select! { biased; done = work => done, () = over => panic!("seed {seed}: {what} has stopped") }
}

async fn commit(source: &mut QueueSource, id: u64) -> SourceState {
    let id = CheckpointId(id);
    let state = source.checkpoint(id).await.expect("a checkpoint");
    source.commit(id).await.expect("a commit");
    state
}

/// The clock stands still, so no timer helps whoever was not woken.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_a_wake_up_that_does_not_come() {
    for seed in 0..40 {
        in_time("a source whose clock stands still", seed, Box::pin(woken(seed))).await;
    }
}

async fn woken(seed: u64) {
    const TOTAL: u64 = 600;
    let mut random = Random::new(seed);
    let clock = ManualClock::new(START);
    let queue = MemoryQueue::new(&clock, MemoryQueueOptions::default());
    let config = config(&mut random);
    let in_order = config.pollers == 1;
    let mut source =
        QueueSource::open(Arc::new(queue.clone()), Arc::new(clock.clone()), config).await.expect("a source");
    let mut sender = JoinSet::new();
    sender.spawn(send(queue.clone(), TOTAL, Random::new(random.draw())));
    let (mut seen, mut checkpoint) = (Vec::new(), 0);
    while (seen.len() as u64) < TOTAL {
        let event = match random.below(10) {
            0 => {
                // Late, so that what waits for it is much.
                for _ in 0..random.below(200) {
                    yield_now().await;
                }
                continue;
            }
            1..3 => match source.next().now_or_never() {
                Some(event) => event,
                None => continue,
            },
            _ => source.next().await,
        };
        match event.expect("no failure").expect("no end") {
            Event::Batch(batch) => seen.extend(rows_of(&batch)),
            _ => {
                checkpoint += 1;
                commit(&mut source, checkpoint).await;
            }
        }
    }
    if !in_order {
        seen.sort_unstable();
    }
    assert!(seen.iter().copied().eq(0..TOTAL), "seed {seed}: {seen:?}");
    commit(&mut source, checkpoint + 1).await;
    while queue.deleted().len() < TOTAL as usize {
        yield_now().await;
    }
    source.check().expect("a ledger whose invariants hold");
    // Parked polls end when time passes.
    let time = async {
        loop {
            clock.advance(SECOND);
            yield_now().await;
        }
    };
    let report = tokio::select! { biased; report = source.drain(SECOND * 40) => report, () = time => unreachable!() };
    let report = report.expect("a drain");
    assert_eq!((report.unconfirmed, report.released, report.left), (0, 0, 0), "seed {seed}");
}

/// What is outside of the source, and outlives it.
struct Outside {
    queue: MemoryQueue,
    /// The newest committed checkpoint.
    saved: Option<(u64, SourceState)>,
    committed: BTreeMap<u64, u32>,
}

/// Sources that end in the middle of everything, by a drain that has time or none, or as a crash; leases that end early.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_is_committed_once_over_drains_and_crashes() {
    for seed in 0..20 {
        in_time("a history", seed, Box::pin(lives(seed))).await;
    }
}

async fn lives(seed: u64) {
    const TOTAL: u64 = 500;
    let mut random = Random::new(seed);
    let queue = MemoryQueue::new(&SystemClock::new(), MemoryQueueOptions::default());
    let mut sender = JoinSet::new();
    sender.spawn(send(queue.clone(), TOTAL, Random::new(random.draw())));
    let mut outside = Outside { queue, saved: None, committed: BTreeMap::new() };
    while outside.committed.len() < TOTAL as usize {
        live(&mut outside, &mut random).await;
    }
    assert!(outside.committed.values().all(|times| *times == 1), "seed {seed}: {:?}", outside.committed);
    // What is committed is deleted, whoever asks for it.
    while !outside.queue.remaining().is_empty() {
        live(&mut outside, &mut random).await;
    }
    assert_eq!(outside.committed.len(), TOTAL as usize, "seed {seed}");
    assert!(outside.committed.values().all(|times| *times == 1), "seed {seed}: {:?}", outside.committed);
}

async fn live(outside: &mut Outside, random: &mut Random) {
    let clock = SystemClock::shared();
    let mut config = config(random);
    (config.wait, config.backoff_min, config.backoff_max) = (SECOND / 200, SECOND / 1_000, SECOND / 500);
    let queue = Arc::new(outside.queue.clone());
    let mut source = QueueSource::open(queue, Arc::clone(&clock), config).await.expect("a source");
    if let Some((id, state)) = &outside.saved {
        source.restore(CheckpointId(*id), state.clone()).await.expect("a state");
        source.commit(CheckpointId(*id)).await.expect("a commit");
    }
    // What was left leased to the one before.
    reveal(&outside.queue);
    let mut open = Vec::new();
    for _ in 0..5 + random.below(60) {
        let pause = clock.sleep(SECOND / 500);
        let event = tokio::select! { biased; event = source.next() => Some(event), () = pause => None };
        let due = match event.map(|event| event.expect("no failure").expect("no end")) {
            Some(Event::Batch(batch)) => {
                open.extend(rows_of(&batch));
                random.chance(100)
            }
            Some(_) => true,
            None => random.chance(500),
        };
        if due {
            let id = outside.saved.as_ref().map_or(1, |(id, _)| id + 1);
            outside.saved = Some((id, commit(&mut source, id).await));
            open.drain(..).for_each(|row| *outside.committed.entry(row).or_default() += 1);
        }
        if random.chance(30) {
            reveal(&outside.queue);
        }
    }
    source.check().expect("a ledger whose invariants hold");
    match random.below(3) {
        0 => drop(source),
        time => {
            source.drain(if time == 1 { Duration::ZERO } else { SECOND }).await.expect("a drain");
            assert!(matches!(source.next().await, Ok(None | Some(Event::CheckpointDue(_)))), "after a drain");
        }
    }
}

/// Ends all leases, as a fail-over of the service may.
fn reveal(queue: &MemoryQueue) {
    queue.leased().iter().for_each(|id| _ = queue.reveal(id));
}
