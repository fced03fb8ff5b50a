//! Exhaustive search: every history of a small world, over the real ledger together with pure models of the queue, the
//! checkpoint store and a two-phase sink, with every fault at every moment at which it can happen.
//!
//! After every step: the ledger's own check; G1, a delete is sent only for what a durable, committed checkpoint holds; G2,
//! no message is in two committed epochs; G3, none is deleted that is in no committed epoch. From a sample of all states,
//! and of those in which only waiting is possible, a fair run must end with every message committed once and deleted
//! (G3 again, and G4: something can always happen). Reading order: queue.rs, store.rs, world.rs, action.rs, act.rs, checkpoint.rs, settle.rs, print.rs,
//! search.rs; broken.rs lists what the search must find when it is broken on purpose.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod act;
mod action;
mod broken;
mod checkpoint;
mod print;
mod queue;
mod search;
mod settle;
mod store;
mod trap;
mod world;

use std::collections::BTreeSet;

use search::{Found, search};
use world::{FAULTS, Rules};

/// One message, seen in full: receives that wait, three faults of any kind.
const ONE: Rules = Rules {
    messages: 1,
    deliveries: 3,
    receives: 2,
    parked: true,
    barriers: 2,
    faults: 3,
    crashes: 1,
    ledger_ids: 1000,
    shards: 1,
    undeleted: 4,
    extends: false,
    minutes: 0,
    returns: 0,
    broken: None,
    trap: trap::NONE,
};

/// Two messages: batches, epochs that differ, one overtaking the other.
const TWO: Rules = Rules { messages: 2, deliveries: 2, parked: false, faults: 2, ..ONE };

/// Every fault once, and a second crash, also in the middle of the start after the first.
const RECOVERY: Rules = Rules { parked: false, faults: FAULTS.len() as u32, crashes: 2, ..ONE };

/// A ledger that is full after one unconfirmed delete.
const FULL: Rules = Rules { ledger_ids: 1, faults: 1, ..TWO };

/// Each message in a shard of its own, and checkpoints enough for a base of both.
const SHARDS: Rules = Rules { shards: 2, barriers: 3, faults: 1, ..TWO };

/// Leases that are extended: the answer and its new handle against a redelivery, a commit and a delete.
const LEASED: Rules = Rules { extends: true, ..ONE };

/// A message that its consumer gives back, with its lease extended: it is in no epoch, and comes again as if it were new.
const RETURNED: Rules = Rules { returns: 1, parked: false, faults: 2, ..LEASED };

/// One state in how many a fair run is tried from.
const SAMPLE: u128 = 64;

#[track_caller]
fn holds(rules: Rules, at_least: usize) {
    let found = search(rules, SAMPLE);
    let Found { states, steps, depth, settled, violation, sights } = &found;
    println!("{states} states, {steps} steps, up to {depth} deep, {settled} fair runs to the end: {rules:?}");
    if let Some((violation, history)) = violation {
        panic!("{violation}\nafter:\n{history:#?}");
    }
    assert!(*states >= at_least, "only {states} states: the search has become empty");
    assert!(*settled * 100 >= *states, "only {settled} fair runs were tried");
    let mut expected = BTreeSet::from([
        ("buffered", ""),
        ("uncommitted", ""),
        ("committed", "ready"),
        ("committed", "delete"),
        ("committed", "retry"),
        ("committed", "unconfirmed"),
        ("deleted", ""),
        ("ledger", "restored"),
    ]);
    if rules.ledger_ids == 1 {
        expected.insert(("ledger", "full"));
    }
    if rules.extends {
        expected.extend([("buffered", "leased"), ("uncommitted", "leased")]);
        expected.extend([("buffered", "extend"), ("uncommitted", "extend"), ("committed", "extend")]);
    }
    if rules.returns > 0 {
        expected.insert(("buffered", "release"));
    }
    assert_eq!(*sights, expected);
}

#[test]
fn every_history_of_one_message() {
    holds(ONE, 20_000);
}

#[test]
fn every_history_of_one_message_with_two_crashes() {
    holds(RECOVERY, 12_000);
}

#[test]
fn every_history_of_two_messages_with_two_faults() {
    holds(TWO, 80_000);
}

#[test]
fn every_history_of_one_message_whose_lease_is_extended() {
    holds(LEASED, 20_000);
}

#[test]
fn every_history_of_one_message_that_is_given_back() {
    holds(RETURNED, 10_000);
}

#[test]
fn every_history_of_a_full_ledger() {
    holds(FULL, 12_000);
}

#[test]
fn every_history_of_two_shards() {
    holds(SHARDS, 120_000);
}

/// A minute each, optimised: to be run when the ledger changes (`cargo test --test exhaustive -- --ignored`).
#[test]
#[ignore = "takes minutes"]
fn every_history_of_two_messages_delivered_three_times() {
    holds(Rules { deliveries: 3, faults: 1, ..TWO }, 200_000);
}

/// As above.
#[test]
#[ignore = "takes minutes"]
fn every_history_of_one_message_with_every_fault() {
    holds(Rules { faults: RECOVERY.faults, ..ONE }, 24_000);
}

/// As above.
#[test]
#[ignore = "takes minutes"]
fn every_history_of_one_message_with_two_crashes_and_three_checkpoints() {
    holds(Rules { barriers: 3, ..RECOVERY }, 70_000);
}

/// As above.
#[test]
#[ignore = "takes minutes"]
fn every_history_of_two_messages_with_every_fault() {
    holds(Rules { faults: RECOVERY.faults, ..TWO }, 100_000);
}

/// The whole of a small world: two messages, each delivered up to three times, two pollers that wait at the queue, two
/// checkpoints, one crash, and every fault once. Two minutes on two cores:
/// `cargo test --release -p headwater-ledger --test exhaustive -- --ignored --nocapture the_whole_world`.
#[test]
#[ignore = "takes minutes"]
fn every_history_of_the_whole_world() {
    holds(Rules { messages: 2, faults: RECOVERY.faults, ..ONE }, 3_000_000);
}

/// As above, with leases that are extended.
#[test]
#[ignore = "takes minutes"]
fn every_history_of_two_messages_whose_leases_are_extended() {
    holds(Rules { extends: true, ..TWO }, 200_000);
}

/// Each broken rule is found, and by the promise it breaks.
#[test]
fn every_broken_rule_is_found() {
    let mut missed = Vec::new();
    for (broken, rules, promise) in broken::table() {
        let found = search(Rules { broken: Some(broken), ..rules }, 1);
        match &found.violation {
            Some((violation, history)) if violation.starts_with(promise) => {
                println!("{broken:?}: {violation} ({} steps, {} states)", history.len(), found.states);
            }
            other => missed.push(format!("{broken:?}: {other:?} in {} states, expected {promise}", found.states)),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Each mistake in the ledger itself is found, and by the promise it breaks.
#[cfg(feature = "traps")]
#[test]
fn every_trap_of_the_ledger_is_found() {
    let mut missed = Vec::new();
    for (trap, rules, promise) in trap::table() {
        let found = search(Rules { trap: Some(trap), ..rules }, 1);
        match &found.violation {
            Some((violation, history)) if violation.starts_with(promise) => {
                println!("{trap:?}: {violation} ({} steps, {} states)\n    {history:?}", history.len(), found.states);
            }
            other => missed.push(format!("{trap:?}: {other:?} in {} states, expected {promise}", found.states)),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
