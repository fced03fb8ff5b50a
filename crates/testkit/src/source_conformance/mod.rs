//! The conformance suite of [`Source`](headwater_core::Source): run it on every source that engines shall rely on.

mod bench;
mod cancel;
mod commit;
mod duplicates;
mod end;
mod flow;
mod harness;
mod history;
mod job;
mod memory;
mod restart;
mod rows;

pub use self::harness::{Disturbance, SourceHarness, SourceSettings, TestSource};
pub use self::memory::{MemorySourceHarness, OpenOn};
use crate::trial::{self, Plan, Report, Trial};

/// Every promise of a source, one trial each.
#[must_use]
pub fn trials() -> Vec<Trial<dyn SourceHarness>> {
    let groups = [
        rows::trials(),
        commit::trials(),
        duplicates::trials(),
        cancel::trials(),
        restart::trials(),
        flow::trials(),
        end::trials(),
        history::trials(),
    ];
    groups.into_iter().flatten().collect()
}

/// Runs every trial on a fresh queue each, prints each with its outcome, and collects the failures, so that one does not
/// hide the others.
pub async fn run_all(harness: &(dyn SourceHarness + 'static)) -> Report {
    let settings = harness.settings();
    let plan = Plan {
        subject: harness.name(),
        faults: settings.faults,
        patience: settings.patience,
        parallel: settings.parallel,
    };
    trial::run_all(trials(), harness, plan).await
}
