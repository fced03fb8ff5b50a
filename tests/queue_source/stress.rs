//! Seeded histories of a source over a queue that fails, with crashes, failed saves and an unreliable consumer: every row is
//! committed exactly once, the queue is empty in the end, nothing is deleted early, and the ledger's invariants hold.
//!
//! `HEADWATER_STRESS_SEEDS=1000..2000 cargo test --test queue_source stress` tries others. One seed gives one trace.

#[path = "stress/history.rs"]
mod history;
#[path = "stress/options.rs"]
mod options;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::history::{Commit, Trace, history};

fn run(seed: u64, commit: Commit) -> Result<Trace, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    match catch_unwind(AssertUnwindSafe(|| runtime.block_on(history(seed, commit)))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
        }
    }
}

fn seeds() -> std::ops::Range<u64> {
    let text = std::env::var("HEADWATER_STRESS_SEEDS").unwrap_or_else(|_| "0..200".into());
    let (from, to) = text.split_once("..").expect("FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn every_row_exactly_once_whatever_happens() {
    let mut sum = Trace::default();
    for seed in seeds() {
        match run(seed, Commit::Checkpoint) {
            Ok(trace) => sum.add(&trace),
            Err(why) => panic!("seed {seed} (HEADWATER_STRESS_SEEDS={seed}..{}): {why}", seed + 1),
        }
    }
    println!("{sum:?}");
    // Histories in which nothing happens prove nothing.
    let runs = seeds().end - seeds().start;
    if runs >= 50 {
        assert!(sum.crashes > runs && sum.failed_saves > runs && sum.drains > runs / 4, "{sum:?}");
        assert!(sum.duplicates > runs && sum.lost_deletes > runs && sum.dropped_nexts > 5 * runs, "{sum:?}");
        assert!(sum.rows > 20 * runs && sum.failures > runs / 10, "{sum:?}");
        assert!(sum.letters > runs && sum.given_back > runs / 4 && sum.extended > 5 * runs, "{sum:?}");
    }
}

/// With `commit = log`: the power fails at any file operation and takes what was not synced, or half of it.
#[test]
fn every_row_exactly_once_with_a_log() {
    let mut sum = Trace::default();
    for seed in seeds() {
        match run(seed, Commit::Log) {
            Ok(trace) => sum.add(&trace),
            Err(why) => panic!("seed {seed} (HEADWATER_STRESS_SEEDS={seed}..{}): {why}", seed + 1),
        }
    }
    println!("{sum:?}");
    let runs = seeds().end - seeds().start;
    if runs >= 50 {
        assert!(sum.crashes > runs && sum.power_failures > runs / 2 && sum.failed_saves > runs, "{sum:?}");
        assert!(sum.replayed > runs && sum.cuts > runs && sum.removed > runs / 4, "{sum:?}");
        assert!(sum.rows > 20 * runs && sum.drains > runs / 8 && sum.lost_deletes > runs, "{sum:?}");
    }
}

#[test]
fn one_seed_gives_one_trace() {
    for seed in [3, 11] {
        for commit in [Commit::Checkpoint, Commit::Log] {
            let (first, second) = (run(seed, commit).expect("a history"), run(seed, commit).expect("a history"));
            assert_eq!(first, second);
            assert_ne!(first.hash, 0);
        }
    }
}
