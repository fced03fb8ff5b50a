//! Known mistakes, switched on one at a time in the real source or its ledger, are seen by the simulator: those of the driver,
//! which only it can see, and those of the ledger that show within a few seeds. All of the ledger's are seen by the exhaustive
//! search (`crates/ledger/tests/exhaustive/trap.rs`).
//!
//! `cargo test -p headwater-testkit --features traps --test traps -- --nocapture` prints what docs/checkers.md says.

#![cfg(feature = "traps")]

use std::time::Duration;

use headwater_ledger::Trap;
use headwater_testkit::simulator::{Options, shrink, simulate};

/// Seeds tried before a mistake counts as unseen.
const SEEDS: u64 = 20;

/// … where the process has to die between a save and the commit of what it has staged.
const MANY_SEEDS: u64 = 1_000;

/// Each mistake, the promise that is seen to be broken, and whether the shortest history is looked for.
const TABLE: &[(Trap, &str, bool)] = &[
    (Trap::DeletesAfterRows, "G4", true),
    (Trap::SkippedDeletedAtOnce, "G1", true),
    (Trap::DeletedBeforeLetter, "G1", true),
    (Trap::StagedLettersForgotten, "G1", false),
    (Trap::GivenBackCommitted, "G1", false),
    (Trap::SealedRejected, "G1", false),
    (Trap::ListedTwice, "L2", false),
    (Trap::NeverPruned, "G4", false),
    (Trap::UncommittedUncounted, "G4", false),
    (Trap::NotExistIsDeleted, "G5", false),
    (Trap::OwnEpochLeftOut, "G1", false),
];

fn options(trap: Option<Trap>) -> Options {
    let mut options = Options::default();
    options.trap = trap;
    options
}

/// What is sent in the first minute is skipped.
fn skipping(trap: Option<Trap>) -> Options {
    let mut options = options(trap);
    options.skip_before = Some(Duration::from_secs(60));
    options
}

#[test]
fn every_trap_of_the_source_is_seen() {
    // A failed assertion is a finding like any other; its text is in the outcome.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (trap, promise, short) in TABLE {
        let options = if *trap == Trap::SkippedDeletedAtOnce { skipping(Some(*trap)) } else { options(Some(*trap)) };
        let seeds = if *trap == Trap::StagedLettersForgotten { MANY_SEEDS } else { SEEDS };
        let found = (0..seeds).find_map(|seed| Some((seed, simulate(seed, &options).violation?)));
        match found {
            Some((seed, violation)) if violation.id == *promise => {
                println!("{trap:?}: {violation} (seed {seed})");
                if let Some(shrunk) = short.then(|| shrink(seed, &options)).flatten() {
                    println!("    the shortest history found, {} events:", shrunk.outcome.trace.len());
                    shrunk.outcome.trace.iter().for_each(|line| println!("    {line}"));
                }
            }
            other => missed.push(format!("{trap:?}: {other:?}, expected {promise}")),
        }
    }
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn without_a_trap_nothing_is_seen() {
    for seed in 0..6 {
        assert_eq!(simulate(seed, &skipping(None)).violation, None, "seed {seed}");
    }
}
