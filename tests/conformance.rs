//! The conformance suites on every implementation: the queue suite on the memory queue, on it behind the fault wrapper,
//! and on the MNS client against the local MNS server over HTTP; the source suite on the queue source over each of them.

mod conformance_mns;

use std::time::Duration;

use futures::FutureExt;
use futures::executor::block_on;
use headwater_core::Source;
use headwater_formats::Format;
use headwater_queue_source::{QueueSource, SourceConfig};
use headwater_testkit::queue_conformance::{self, MemoryHarness, QueueHarness};
use headwater_testkit::source_conformance::{self, MemorySourceHarness, OpenOn};
use headwater_testkit::{FaultRates, HarnessError, Report};

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

/// A queue source whose rows are one `BIGINT` column.
async fn open_queue_source(on: OpenOn) -> Result<Box<dyn Source>, HarnessError> {
    let decoder = Format::json().factory(&"n BIGINT".parse()?)?;
    let mut config = SourceConfig::new("numbers", decoder);
    config.limits.undeleted_max = on.undeleted_max;
    config.limits.checkpoint_max_messages = on.undeleted_max / 2;
    config.limits.checkpoint_interval = Duration::from_secs(5);
    Ok(Box::new(QueueSource::open(on.queue, on.clock, config).await?))
}

/// Rows as a JSON array of objects; none as an empty array.
fn encode(rows: &[i64]) -> bytes::Bytes {
    let rows: Vec<String> = rows.iter().map(|row| format!("{{\"n\":{row}}}")).collect();
    format!("[{}]", rows.join(",")).into()
}

fn queue_source() -> MemorySourceHarness {
    MemorySourceHarness::new("queue source", |on| open_queue_source(on).boxed(), encode)
}

#[tokio::test]
async fn the_queue_source_is_a_source() {
    judge(&source_conformance::run_all(&queue_source()).await, &[]);
}
