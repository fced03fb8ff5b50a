//! What a run shows of itself: log lines, health, and the live line of a terminal.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use headwater::job::Progress;
use headwater_core::{DrainReport, Mono, SourceStatus};

use super::live::{Live, Reading};
use crate::logs::Logs;
use crate::metrics::{Health, Phase};

/// Takes what the runner tells. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    logs: Logs,
    health: Health,
    live: Option<Arc<Mutex<Live>>>,
}

impl Watch {
    /// A watch that shows a live line where a person is looking.
    pub(crate) fn new(logs: Logs, health: Health, now: Mono) -> Self {
        let live = logs.is_text() && std::io::stderr().is_terminal();
        Self { logs, health, live: live.then(|| Arc::new(Mutex::new(Live::from(now)))) }
    }

    /// The run is over.
    pub(crate) fn ended(&self) {
        if self.live.is_some() {
            self.logs.live("");
        }
    }

    /// Takes one event. Returns at once.
    pub(crate) fn take(&self, progress: &Progress, now: Mono) {
        match progress {
            Progress::Restored { checkpoint, .. } => {
                self.logs.checkpoint(checkpoint.0);
                self.health.checkpoint(checkpoint.0);
            }
            Progress::CheckpointCommitted { checkpoint, took } => {
                self.logs.checkpoint(checkpoint.0);
                self.health.checkpoint(checkpoint.0);
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(took_ms, "checkpoint committed");
            }
            Progress::CheckpointFailed { error, .. } => self.health.problem(error.clone()),
            Progress::Stopping { reason, within } => {
                self.health.enter(Phase::Stopping);
                tracing::info!(reason, ?within, "finishing: no more messages are received");
            }
            Progress::Drained { source, deleted, report } => drained(source, *deleted, report),
            Progress::Status { sources } => {
                self.health.alive();
                self.show(sources, now);
            }
            _ => {}
        }
    }

    fn show(&self, sources: &[(String, SourceStatus)], now: Mono) {
        let Some(live) = &self.live else { return };
        let mut reading = Reading::default();
        for (_, status) in sources {
            reading.rows += status.rows;
            reading.uncommitted += status.uncommitted;
            reading.ledger += status.uncommitted + status.deletable + status.unconfirmed;
            reading.lag = reading.lag.max(status.lag);
        }
        // A line is made in one go, whatever happened to another one.
        let line = live.lock().unwrap_or_else(PoisonError::into_inner).line(now, &reading);
        self.logs.live(&line);
    }
}

/// What became of everything that was held at the stop.
fn drained(queue: &str, deleted: u64, report: &DrainReport) {
    let DrainReport { unconfirmed, released, left, polls_cut, in_log, .. } = *report;
    tracing::info!(%queue, deleted, released, left, unconfirmed, "drained: deleted since the stop, released, left");
    if unconfirmed > 0 {
        tracing::info!(%queue, unconfirmed, "deletes are not confirmed: what comes back is deleted by the next run, not delivered again");
    }
    if left > 0 {
        tracing::info!(%queue, left, "messages are left to the end of their lease; nothing is lost");
    }
    if in_log > 0 {
        tracing::info!(%queue, in_log, "messages stay in the source's log, and are deleted from the queue: the next start delivers them first");
    }
    if polls_cut > 0 {
        tracing::info!(
            %queue, polls_cut,
            "polls outlasted the deadline: messages that the queue gave them meanwhile come back at the end of their lease. A \
             longer --drain-timeout or a shorter pollingWaitTime avoids that"
        );
    }
}
