//! The simulator: one seed gives one trace, every promise is kept over some hundred seeds, and each part that is broken on
//! purpose is found.

#![cfg(feature = "simulator")]

use std::process::Command;

use headwater_testkit::simulator::{Fault, Figures, Options, Sabotage, shrink, simulate};

fn hash_in_another_process(seed: u64) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_simulate")).args(["--seed", &seed.to_string(), "--trace-hash"]).output();
    let output = output.expect("the simulator runs");
    assert!(output.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn one_seed_gives_one_trace_in_every_process() {
    for seed in [3, 17, 40] {
        let [first, second] = [(); 2].map(|()| format!("{:016x}", simulate(seed, &Options::default()).trace_hash));
        assert_eq!(first, second, "seed {seed} in one process");
        let [third, fourth] = [(); 2].map(|()| hash_in_another_process(seed));
        assert_eq!((&first, &first), (&third, &fourth), "seed {seed} in other processes");
        let other = simulate(seed + 1, &Options::default()).trace_hash;
        assert_ne!(first, format!("{other:016x}"), "another seed is another history");
    }
}

#[test]
fn every_promise_is_kept() {
    let mut sum = Figures::default();
    for seed in 0..60 {
        let outcome = simulate(seed, &Options::default());
        assert_eq!(outcome.violation, None, "seed {seed}");
        sum += outcome.figures;
    }
    println!("{sum}");
    // Histories in which nothing happens prove nothing.
    for fault in
        [Fault::Crash, Fault::PowerLoss, Fault::ResponseLost, Fault::Duplicate, Fault::ShortLease, Fault::Stuck]
    {
        assert!(sum.of(fault) > 10, "{fault}: {sum}");
    }
    for fault in [Fault::BadRecord, Fault::FailingRow, Fault::Rejected, Fault::GivenBack] {
        assert!(sum.of(fault) > 10, "{fault}: {sum}");
    }
    for fault in [Fault::SecondStart, Fault::CopiedState] {
        assert!(sum.of(fault) > 0, "{fault}: {sum}");
    }
    assert!(sum.letters > 100, "{sum}");
    assert!(sum.redeliveries > 500 && sum.suppressed > 100 && sum.failures > 10 && sum.drains > 60, "{sum}");
}

/// The first seed on which a broken part is seen.
fn first_seen(sabotage: Sabotage) -> Option<(u64, Options)> {
    let mut options = Options::default();
    options.sabotage = Some(sabotage);
    (0..60).find(|seed| simulate(*seed, &options).violation.is_some()).map(|seed| (seed, options))
}

#[test]
fn every_broken_part_is_seen() {
    for sabotage in Sabotage::ALL {
        let seen = first_seen(sabotage);
        assert!(seen.is_some(), "{} is not seen in 60 seeds", sabotage.name());
    }
}

#[test]
fn a_failing_seed_is_shrunk_to_a_short_history_that_fails_in_the_same_way() {
    let (seed, options) = first_seen(Sabotage::ForgetStaged).expect("a seed on which it is seen");
    let first = simulate(seed, &options);
    let shrunk = shrink(seed, &options).expect("it fails");
    let (found, before) = (shrunk.outcome.violation.expect("it still fails"), first.violation.expect("it failed"));
    assert_eq!(found.id, before.id);
    assert!(
        shrunk.outcome.figures.events * 2 < first.figures.events,
        "{} of {}",
        shrunk.outcome.figures,
        first.figures
    );
    assert!(shrunk.outcome.trace.iter().any(|line| line.contains("VIOLATION")), "the trace shows it");
    // The printed arguments repeat it.
    let again = simulate(seed, &shrunk.options);
    assert_eq!(again.trace_hash, shrunk.outcome.trace_hash);
}
