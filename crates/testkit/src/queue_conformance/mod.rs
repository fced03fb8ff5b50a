//! The conformance suite of [`Queue`](headwater_core::Queue): run it on every implementation and every wrapper.

mod bench;
mod body;
mod delete;
mod extend;
mod faults;
mod harness;
mod lease;
mod receive;
mod whole;

pub use self::harness::{MemoryHarness, QueueHarness, QueueSettings, TestQueue};
use crate::trial::{self, Plan, Report, Trial};

/// Every promise of a queue, one trial each.
#[must_use]
pub fn trials() -> Vec<Trial<dyn QueueHarness>> {
    let groups = [
        whole::trials(),
        receive::trials(),
        body::trials(),
        lease::trials(),
        delete::trials(),
        extend::trials(),
        faults::trials(),
    ];
    groups.into_iter().flatten().collect()
}

/// Runs every trial on a fresh queue each, prints each with its outcome, and collects the failures, so that one does not
/// hide the others.
pub async fn run_all(harness: &(dyn QueueHarness + 'static)) -> Report {
    let settings = harness.settings();
    let plan = Plan {
        subject: harness.name(),
        faults: settings.faults,
        patience: settings.patience,
        parallel: settings.parallel,
    };
    trial::run_all(trials(), harness, plan).await
}
