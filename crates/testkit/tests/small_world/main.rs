//! Exhaustive search with nothing durable left to models: every history of a small world over the real ledger, the real
//! checkpoint store and the real filesystem sink, on a disk that dies before any file operation and then keeps any choice of
//! what was not synced.
//!
//! After every step: the ledger's own check; G1, a delete is sent only for what a durable checkpoint holds and a reader sees
//! durably; G2, no message is shown twice; G3, none is deleted that is not shown; S1, a start never refuses what a death left;
//! S2, nothing fails without a fault. From a sample of all states a fair run must end with every message shown once and
//! deleted (G3, G4). Reading order: world.rs, action.rs, act.rs, process.rs, disk.rs, watched.rs, print.rs, settle.rs;
//! broken.rs lists what the search must find when it is broken on purpose. The queue and the search itself are those of the
//! ledger's own search, which has more of everything but the disk.

#![cfg(feature = "simulator")]
#![expect(clippy::expect_used, reason = "in a test a panic is the report")]

mod act;
mod action;
mod broken;
mod disk;
mod print;
mod process;
#[expect(dead_code, reason = "leases that are extended are left to the ledger's own search")]
#[path = "../../../ledger/tests/exhaustive/queue.rs"]
mod queue;
#[path = "../../../ledger/tests/exhaustive/search.rs"]
mod search;
mod settle;
mod trap;
mod watched;
mod world;

use std::collections::BTreeSet;

use search::{Found, search};
use world::{FAULTS, Rules};

/// One message, any two faults.
const ONE: Rules = Rules {
    messages: 1,
    deliveries: 2,
    receives: 1,
    barriers: 2,
    faults: 2,
    deaths: 1,
    broken: None,
    trap: trap::NONE,
};

/// Every fault once, and a second death, also in the middle of the start after the first.
const RECOVERY: Rules = Rules { faults: FAULTS, deaths: 2, ..ONE };

/// Two messages: batches, epochs that differ.
const TWO: Rules = Rules { messages: 2, deliveries: 1, faults: 1, ..ONE };

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
        ("restored", "nothing pending"),
        ("restored", "one epoch pending"),
        ("shown", "not yet durable"),
    ]);
    if rules.messages > 1 || rules.receives > 1 {
        expected.insert(("deleted", ""));
    }
    if rules.messages > 1 && rules.faults > 1 {
        expected.insert(("restored", "two epochs pending"));
    }
    assert_eq!(*sights, expected);
}

#[test]
fn every_history_of_one_message() {
    holds(ONE, 6_000);
}

#[test]
fn every_history_of_one_message_with_two_deaths() {
    holds(RECOVERY, 40_000);
}

#[test]
fn every_history_of_two_messages_with_one_fault() {
    holds(TWO, 6_000);
}

#[test]
#[ignore = "takes longer"]
fn every_history_of_two_messages_delivered_twice() {
    holds(Rules { deliveries: 2, ..TWO }, 100_000);
}

/// The whole of a small world: two messages, each delivered twice, two pollers, two checkpoints, and any three faults, one of
/// which may be a death: `cargo test --release -p headwater-testkit --test small_world -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn every_history_of_the_whole_world() {
    holds(Rules { messages: 2, faults: 3, receives: 2, ..ONE }, 2_000_000);
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

/// Each mistake in the ledger itself that can show here is found, and by the promise it breaks.
#[cfg(feature = "traps")]
#[test]
fn every_trap_of_the_ledger_is_found() {
    // A failed assertion of the ledger is a finding like any other.
    let mut missed = Vec::new();
    for (trap, promise) in trap::TABLE {
        let found = search(Rules { trap: Some(*trap), receives: 2, ..ONE }, 1);
        match &found.violation {
            Some((violation, history)) if violation.starts_with(promise) => {
                println!("{trap:?}: {violation} ({} steps, {} states)", history.len(), found.states);
            }
            other => missed.push(format!("{trap:?}: {other:?} in {} states, expected {promise}", found.states)),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
