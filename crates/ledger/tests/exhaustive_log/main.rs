//! Exhaustive search with `commit = log`: every history of a small world over the real ledger, with a queue and a source's own log,
//! whose unsynced end a crash cuts off anywhere.
//!
//! After every step: the ledger's own check; G1, a delete is sent only for what is durable in the log; G2, no message is in the log
//! twice, and what a durable epoch holds is not handed out again; G3, none is deleted that is not durable in the log, and a crash
//! passes over none of it. From a sample of all states a fair run must end with everything deleted and handed out. The queue
//! and the search itself are those of `../exhaustive`. Reading order: world.rs, action.rs, act.rs, print.rs, settle.rs.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod act;
mod action;
mod print;
#[expect(dead_code, reason = "leases are not extended here")]
#[path = "../exhaustive/queue.rs"]
mod queue;
#[path = "../exhaustive/search.rs"]
mod search;
mod settle;
mod world;

use std::collections::BTreeSet;

use search::{Found, search};
use world::{Broken, FAULTS, Rules};

/// One message, every fault once.
const ONE: Rules =
    Rules { messages: 1, deliveries: 2, receives: 2, barriers: 2, faults: FAULTS, crashes: 2, broken: None };

/// Two messages: groups of records, epochs that end between two of them.
const TWO: Rules = Rules { messages: 2, deliveries: 1, receives: 1, faults: 1, crashes: 1, ..ONE };

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
    let expected = [
        ("buffered", ""),
        // As it is restored, until its checkpoint is committed once more.
        ("uncommitted", ""),
        ("committed", "ready"),
        ("committed", "delete"),
        ("committed", "retry"),
        ("committed", "unconfirmed"),
        ("deleted", ""),
        ("log", "not yet synced"),
        ("log", "handed out again"),
    ];
    assert_eq!(*sights, BTreeSet::from(expected));
}

#[test]
fn every_history_of_one_message() {
    holds(ONE, 25_000);
}

#[test]
fn every_history_of_two_messages() {
    holds(TWO, 5_000);
}

/// As long as all the others: `cargo test -p headwater-ledger --test exhaustive_log -- --ignored --nocapture`.
#[test]
#[ignore = "takes longer"]
fn every_history_of_two_messages_with_two_faults() {
    holds(Rules { faults: 2, ..TWO }, 400_000);
}

/// Each broken rule is found, and by the promise it breaks.
#[test]
fn every_broken_rule_is_found() {
    let mut missed = Vec::new();
    for (broken, promise) in [
        (Broken::DurableAtWrite, "G1"),
        (Broken::NotRecalled, "G2"),
        (Broken::HandedOutFromTheStart, "G2"),
        (Broken::PositionAtTheEnd, "G"),
        (Broken::UnknownIsDeleted, "G2"),
    ] {
        let found = search(Rules { broken: Some(broken), ..ONE }, 1);
        match &found.violation {
            Some((violation, history)) if violation.starts_with(promise) => {
                println!("{broken:?}: {violation} ({} steps, {} states)", history.len(), found.states);
            }
            other => missed.push(format!("{broken:?}: {other:?} in {} states, expected {promise}", found.states)),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
