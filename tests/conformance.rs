//! The conformance suites on every implementation: the queue suite on the memory queue, on it behind the fault wrapper,
//! and on the MNS client against the local MNS server over HTTP; the source suite on the queue source over each of them.

mod conformance_mns;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use headwater_core::{Clock, Queue, Source};
use headwater_formats::Format;
use headwater_queue_source::{LeasePolicy, QueueSource, SourceConfig};
use headwater_testkit::queue_conformance::{self, MemoryHarness, QueueHarness};
use headwater_testkit::source_conformance::{self, MemorySourceHarness, OpenOn};
use headwater_testkit::{FaultRates, HarnessError, Outcome, Report};

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

/// Histories: a few seconds' worth.
const SEEDS: u64 = 60;

/// A queue source whose rows are one `BIGINT` column. It polls for `wait`, which is what a stop may take, and takes a
/// checkpoint every `wait`: a fraction of the lease, so that what is held is still leased when it is committed.
async fn open_queue_source(
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    undeleted_max: u32,
    wait: Duration,
    lease_policy: LeasePolicy,
) -> Result<Box<dyn Source>, HarnessError> {
    let mut config = SourceConfig::new("numbers", Format::json().factory(&"n BIGINT".parse()?)?);
    config.limits.undeleted_max = undeleted_max;
    config.limits.checkpoint_max_messages = undeleted_max / 2;
    config.limits.checkpoint_interval = wait;
    config.wait = wait;
    config.lease_policy = lease_policy;
    Ok(Box::new(QueueSource::open(queue, clock, config).await?))
}

/// Rows as a JSON array of objects; none as an empty array.
fn encode(rows: &[i64]) -> bytes::Bytes {
    let rows: Vec<String> = rows.iter().map(|row| format!("{{\"n\":{row}}}")).collect();
    format!("[{}]", rows.join(",")).into()
}

fn queue_source() -> MemorySourceHarness {
    under(LeasePolicy::Auto)
}

fn under(policy: LeasePolicy) -> MemorySourceHarness {
    let wait = Duration::from_secs(5);
    let open = move |on: OpenOn| open_queue_source(on.queue, on.clock, on.undeleted_max, wait, policy).boxed();
    MemorySourceHarness::new("queue source", open, encode)
}

#[tokio::test]
async fn the_queue_source_is_a_source() {
    judge(&source_conformance::run_all(&queue_source()).await, &[]);
}

#[tokio::test]
async fn the_queue_source_is_a_source_whatever_becomes_of_leases() {
    for policy in [LeasePolicy::Absorb, LeasePolicy::Extend] {
        judge(&source_conformance::run_all(&under(policy)).await, &[]);
    }
}

#[tokio::test]
async fn the_queue_source_is_a_source_under_faults() {
    for seed in 1..=5 {
        source_conformance::run_all(&queue_source().seed(seed).faults(FaultRates::even(40))).await.assert_passed();
    }
}

/// Crashes, failed saves, redeliveries and faults in any order, by many seeds; a failure names its seed.
#[tokio::test]
async fn the_queue_source_is_exactly_once_in_random_histories() {
    let trials = source_conformance::trials();
    let history = trials.iter().find(|trial| trial.name() == "random_histories_are_exactly_once").expect("the trial");
    for seed in 1..=SEEDS {
        let rates = FaultRates::even([0, 10, 40, 100][seed as usize % 4]);
        let outcome = history.run(&queue_source().seed(seed).faults(rates), Duration::from_secs(60)).await;
        assert_eq!(outcome, Outcome::Passed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_source_on_mns_over_http_is_a_source() {
    let report = source_conformance::run_all(&conformance_mns::MnsSourceHarness).await;
    // The local server ends no lease on demand, knows no rights, and its ids are always stable.
    let skipped = [
        "without_stable_ids_it_promises_less",
        "a_redelivery_before_its_checkpoint_is_suppressed",
        "a_redelivery_between_checkpoint_and_commit_is_suppressed",
        "a_redelivery_of_what_waits_for_the_consumer_is_suppressed",
        "a_message_redelivered_many_times_is_deleted_in_the_end",
        "a_denied_receive_ends_the_source_for_good",
        "a_denied_delete_ends_the_source",
        "what_was_handed_out_may_be_committed_after_a_failure",
    ];
    judge(&report, &skipped);
}
