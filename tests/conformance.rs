//! The conformance suites on every implementation: the queue suite on the memory queue, on it behind the fault wrapper,
//! and on the MNS client against the local MNS server over HTTP.

mod conformance_mns;

use futures::executor::block_on;
use headwater_testkit::queue_conformance::{self, MemoryHarness, QueueHarness};
use headwater_testkit::{FaultRates, Report};

/// Passes unless a trial failed, or other trials were skipped than those named.
fn judge(report: &Report, skipped: &[&str]) {
    report.assert_passed();
    assert_eq!(report.skipped(), skipped);
}

#[test]
fn the_memory_queue_is_a_queue() {
    judge(&block_on(queue_conformance::run_all(&MemoryHarness::plain())), &[]);
}

#[test]
fn the_fault_wrapper_is_a_queue() {
    judge(&block_on(queue_conformance::run_all(&MemoryHarness::faulty(1, FaultRates::none()))), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mns_over_http_is_a_queue() {
    let harness = conformance_mns::MnsHarness::start().await;
    let report = queue_conformance::run_all(&harness as &dyn QueueHarness).await;
    // The local server knows no rights: everybody may read attributes.
    judge(&report, &["denied_describe_is_not_fatal"]);
}
