//! How long one step of the ledger takes, by the number of shards; and what one lock around it is worth to many pollers.
//!
//! Figures, not promises: `cargo test --release -p headwater-ledger --test pause -- --ignored --nocapture --test-threads 1`

#![allow(clippy::unwrap_used)] // In a test a panic is the report.
#![allow(clippy::disallowed_methods)] // Here the time it takes is what is asked for.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use headwater_ledger::{CheckpointId, DeleteOutcome, Delivery, Handle, Ledger, Limits, MessageKey, Mono, ServerMs};

const START: Mono = Mono(Duration::ZERO);
const EPOCH: u64 = 2_000;

fn ledger(ids: u64, shards: u32) -> Ledger {
    let mut limits = Limits::default();
    limits.ledger_max_ids = u32::try_from(ids).unwrap() + 4_000;
    limits.shards = shards;
    Ledger::new(limits, START).unwrap()
}

fn delivery(n: u64) -> Delivery {
    Delivery {
        key: MessageKey(u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        handle: Handle::new(&format!("1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA=={n:016}")),
        dequeue_count: 1,
        next_visible: ServerMs(1_642_865_202_119),
        enqueued: ServerMs(1_642_865_171_557),
        lease_end: None,
        bytes: 300,
    }
}

/// Receives and commits so many messages, none of whose deletes is ever confirmed; the time of each barrier goes to `barriers`.
fn fill(ledger: &mut Ledger, ids: u64, barriers: &mut Vec<Duration>) {
    let first = ledger.counts().ids();
    for epoch in 0..ids / EPOCH {
        let mut left = EPOCH;
        while left > 0 {
            let grant = ledger.begin_receive(START).unwrap();
            let count = left.min(grant.max_messages.into());
            let deliveries: Vec<_> = (left - count..left).map(|n| delivery(first + epoch * EPOCH + n)).collect();
            left -= count;
            let keys: Vec<_> = deliveries.iter().map(|delivery| delivery.key).collect();
            ledger.screen(grant.ticket, deliveries);
            ledger.hand_out(&keys);
        }
        let id = CheckpointId(ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
        let began = Instant::now();
        ledger.barrier(id, START).unwrap();
        barriers.push(began.elapsed());
        ledger.commit(id).unwrap();
        ledger.release_stored();
        while let Some(batch) = ledger.next_deletes(START) {
            ledger.delete_done(batch.token, &vec![DeleteOutcome::Stale; batch.keys.len()], START);
        }
    }
}

#[test]
#[ignore = "takes a minute in a release build: see the head of this file"]
fn barriers() {
    let ids = 1_000_000;
    for shards in [1, 4, 16, 64] {
        let mut ledger = ledger(2 * ids, shards);
        fill(&mut ledger, ids, &mut Vec::new());
        let mut times = Vec::new();
        fill(&mut ledger, 400_000, &mut times);
        times.sort_unstable();
        let (most, median) = (times[times.len() - 1], times[times.len() / 2]);
        let sum: Duration = times.iter().sum();
        println!(
            "{shards:2} shards, 1.0 to 1.4 million ids: barrier at most {most:.1?}, median {median:.1?}, {sum:.1?} in all"
        );
    }
}

/// What pollers do under the lock, at once and with nothing between: an upper bound of what more locks could bring.
#[test]
#[ignore = "takes a minute in a release build: see the head of this file"]
fn pollers_and_one_lock() {
    const CALLS: u64 = 400_000;
    for pollers in [1_u64, 4, 16, 64] {
        let ledger = Mutex::new(ledger(1_000_000, 16));
        fill(&mut ledger.lock().unwrap(), 100_000, &mut Vec::new());
        let calls = CALLS / 16 / pollers;
        let began = Instant::now();
        let waited: Vec<Duration> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..pollers)
                .map(|poller| {
                    scope.spawn({
                        let ledger = &ledger;
                        move || {
                            let mut waited = Duration::ZERO;
                            for call in 0..calls {
                                let first = 10_000_000 + (poller * calls + call) * 16;
                                let deliveries: Vec<_> = (first..first + 16).map(delivery).collect();
                                let keys: Vec<_> = deliveries.iter().map(|delivery| delivery.key).collect();
                                let asked = Instant::now();
                                let mut ledger = ledger.lock().unwrap();
                                waited += asked.elapsed();
                                let grant = ledger.begin_receive(START).unwrap();
                                ledger.screen(grant.ticket, deliveries);
                                keys.iter().for_each(|key| ledger.leave(*key));
                            }
                            waited
                        }
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let each = began.elapsed().as_secs_f64() / CALLS as f64;
        let waited = waited.iter().sum::<Duration>().as_secs_f64() / CALLS as f64;
        println!(
            "{pollers:2} pollers: {:.0} messages a second through one lock, {:.2} us each, waited {:.2} us for it",
            1.0 / each,
            each * 1e6,
            waited * 1e6
        );
    }
}
