//! The queue suite on the queues of this crate.

use futures::executor::block_on;
use headwater_testkit::queue_conformance::{MemoryHarness, run_all, trials};
use headwater_testkit::{FaultRates, Report};

fn passed(report: &Report) -> usize {
    report.assert_passed();
    report.results().len() - report.skipped().len()
}

#[test]
fn the_memory_queue_keeps_every_promise() {
    let report = block_on(run_all(&MemoryHarness::plain()));
    assert_eq!(passed(&report), trials().len(), "skipped: {:?}", report.skipped());
}

#[test]
fn the_fault_wrapper_without_faults_keeps_every_promise() {
    let report = block_on(run_all(&MemoryHarness::faulty(1, FaultRates::none())));
    assert_eq!(passed(&report), trials().len(), "skipped: {:?}", report.skipped());
}

#[test]
fn under_faults_the_promises_that_hold_are_kept() {
    for seed in 1..=10 {
        let report = block_on(run_all(&MemoryHarness::faulty(seed, FaultRates::even(60))));
        let robust = trials().iter().filter(|trial| trial.under_faults()).count();
        assert_eq!(passed(&report), robust);
    }
}
