//! `headwater demo`: the main job on a local server, with two things going wrong on purpose, and what came of it counted
//! on both ends.

mod events;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headwater::job::sinks::print::PrintFactory;
use headwater::job::{JobReport, Progress, RunOptions};
use headwater_core::{Clock, SystemClock};
use headwater_mns_proto::{Operation, QueueSettings};
use headwater_mns_server::{Dose, Faults, PerOperation, Server, ServerHandle};
use tokio::task::JoinSet;

use crate::connectors::connectors;
use crate::exit::{Exit, Failure};
use crate::logs::Logs;
use crate::output::{self, Stop};
use crate::run::{Drive, Ending, JobText, prepare};
use crate::secrets::ScriptVariables;
use crate::signals::Signals;

const QUEUE: &str = "oss-events-queue";
/// The lease of the demo's queue in seconds: short, since the job ends only when the last one has.
const LEASE: u32 = 2;
/// Half the lease, the most that the source accepts.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
const UNTIL_IDLE: Duration = Duration::from_secs(1);
/// Receives that carry a message a second time. The first receive finds nothing to repeat, so all but one of them do.
const DUPLICATES: u64 = 4;

/// The OSS example of the SMQ connector's page, as it stands there but for the endpoint.
const SCRIPT: &str = include_str!("demo/job.sql");

/// Runs the demo and checks what it promises.
pub(crate) async fn run(logs: &Logs) -> Result<Exit, Stop> {
    let mut signals = Signals::listen().map_err(|e| Failure::because(Exit::Failed, "cannot listen for signals", &e))?;
    let directory = tempfile::Builder::new()
        .prefix("headwater-demo-")
        .tempdir()
        .map_err(|error| Failure::because(Exit::Failed, "cannot make a temporary directory", &error))?;
    let server = Arc::new(start_server().await?);
    let sent = events::messages().len();
    server.put(QUEUE, events::messages()).map_err(|error| Failure::of(Exit::Failed, &error))?;
    introduce(&server, sent)?;
    let rows = Rows::default();
    let mut watcher = JoinSet::new();
    watcher.spawn(show_deletes(Arc::clone(&server), sent));
    let ending = run_job(&server, directory.path(), &rows, &mut signals, logs).await?;
    let report = match ending {
        Ending::Done(report) => report,
        Ending::Stopped | Ending::NotBegun => return Ok(Exit::Done),
        Ending::Interrupted => return Ok(Exit::Interrupted),
    };
    watcher.shutdown().await;
    conclude(&Facts::of(&server, &report, &rows, sent)?)
}

async fn start_server() -> Result<ServerHandle, Failure> {
    let faults = Faults {
        duplicate: Dose::Count(DUPLICATES),
        lose_answer: PerOperation::default().on(Operation::BatchDeleteMessage, Dose::Count(1)),
        ..Faults::default()
    };
    let settings = QueueSettings { visibility_timeout: Some(LEASE), ..QueueSettings::default() };
    let server = Server::builder().queue_with(QUEUE, settings).faults(faults).start().await;
    server.map_err(|error| Failure::of(Exit::Failed, &error))
}

fn introduce(server: &ServerHandle, sent: usize) -> Result<(), Stop> {
    output::line(&format!(
        "1. A local MNS server listens on {}. No account, no network beyond this machine.",
        server.endpoint()
    ))?;
    output::line(&format!(
        "2. {sent} OSS events are in its queue `{QUEUE}`: {} uploads, half of the bodies in base64.",
        events::uploads()
    ))?;
    output::line(
        "   Two things will go wrong: some messages are delivered twice, and the answer to a delete is lost.",
    )?;
    output::line("3. The job, as the SMQ connector's documentation has it:")?;
    for line in SCRIPT.lines() {
        output::line(&format!("     {line}"))?;
    }
    output::line("4. It runs. A row is shown at once; its message is deleted once a durable checkpoint holds it.")
}

async fn run_job(
    server: &ServerHandle,
    directory: &Path,
    rows: &Rows,
    signals: &mut Signals,
    logs: &Logs,
) -> Result<Ending, Stop> {
    let clock: Arc<dyn Clock> = SystemClock::shared();
    let text = JobText {
        script: SCRIPT,
        shown: "the demo's script".into(),
        fallback_name: "demo".into(),
        checkpoint_interval: Some(CHECKPOINT_INTERVAL),
        until_idle: Some(UNTIL_IDLE),
        variables: ScriptVariables::of(
            [("endpoint", server.endpoint().as_str())],
            [("ak_id", "testid"), ("ak_secret", "testsecret")],
        ),
    };
    let prepared = prepare(&text, &connectors(&clock, PrintFactory::new(rows.clone(), io::stderr())))?;
    logs.belong_to(&prepared.context.job, prepared.only_queue());
    let drive = Drive {
        state: directory.join("state"),
        accept_loss: false,
        drain_deadline: RunOptions::default().drain_deadline,
        until_idle: Some(UNTIL_IDLE),
        clock,
    };
    drive.run(prepared, signals, show_progress).await
}

/// Nobody reading is found out by the rows, so it is no matter here.
fn show_progress(progress: &Progress) {
    let line = match progress {
        Progress::CheckpointCommitted { checkpoint, took } => {
            format!(
                "   checkpoint {checkpoint} is durable after {} ms: the messages it holds may be deleted",
                took.as_millis()
            )
        }
        Progress::Stopping { .. } => {
            "   nothing has come for a while and no lease is open: the job ends by itself".into()
        }
        _ => return,
    };
    let _ = output::line(&line);
}

/// Says how far deleting is, a few times at most.
async fn show_deletes(server: Arc<ServerHandle>, sent: usize) {
    let clock = SystemClock::new();
    let mut seen = 0;
    while seen < sent {
        server.until(|server| server.deleted(QUEUE).len() > seen).await;
        // Deletes come close together; one line for those of a moment is enough.
        clock.sleep(Duration::from_millis(100)).await;
        seen = server.deleted(QUEUE).len();
        if output::line(&format!("   the server has deleted {seen} of {sent} messages")).is_err() {
            return;
        }
    }
}

/// Standard output that keeps what was printed.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<Vec<u8>>>);

impl Rows {
    fn lines(&self) -> Vec<String> {
        let printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect()
    }
}

impl Write for Rows {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(lines).lines() {
            writeln!(io::stdout(), "   row {line}")?;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// What was counted at the end.
#[derive(Debug)]
struct Facts {
    sent: usize,
    deliveries: u64,
    rows: usize,
    /// Rows that are not a copy of another.
    different: usize,
    suppressed: u64,
    lost_answers: usize,
    deleted: usize,
    left: usize,
}

impl Facts {
    fn of(server: &ServerHandle, report: &JobReport, rows: &Rows, sent: usize) -> Result<Self, Failure> {
        let journal = server.journal();
        let counts = server.counts(QUEUE).map_err(|error| Failure::of(Exit::Failed, &error))?;
        let lines = rows.lines();
        Ok(Self {
            sent,
            deliveries: journal.messages(Operation::BatchReceiveMessage),
            rows: lines.len(),
            different: lines.iter().collect::<BTreeSet<_>>().len(),
            suppressed: report.sources.iter().map(|(_, status, _)| status.duplicates).sum(),
            lost_answers: journal.entries().filter(|entry| entry.lost).count(),
            deleted: server.deleted(QUEUE).iter().collect::<BTreeSet<_>>().len(),
            left: counts.visible + counts.leased + counts.delayed,
        })
    }

    /// What does not hold of what was promised.
    fn broken(&self) -> Vec<&'static str> {
        let uploads = events::uploads();
        let promises = [
            (self.rows == uploads && self.different == uploads, "every upload is one row"),
            (self.deliveries > self.sent as u64, "the server delivered some messages twice"),
            (
                self.suppressed == self.deliveries.saturating_sub(self.sent as u64),
                "every second delivery was suppressed",
            ),
            (self.lost_answers > 0, "the answer to a delete was lost"),
            (self.deleted == self.sent, "every message was deleted"),
            (self.left == 0, "the queue is empty"),
        ];
        promises.iter().filter(|(holds, _)| !holds).map(|(_, promise)| *promise).collect()
    }
}

fn conclude(facts: &Facts) -> Result<Exit, Stop> {
    let Facts { sent, deliveries, rows, suppressed, lost_answers, deleted, left, .. } = facts;
    output::line("5. Counted on both ends:")?;
    output::line(&format!(
        "   sent {sent} messages ({} uploads), delivered {deliveries} times, delete answers lost {lost_answers}",
        events::uploads()
    ))?;
    output::line(&format!("   rows {rows}, each upload once"))?;
    output::line(&format!("   duplicates suppressed {suppressed}"))?;
    output::line(&format!("   deleted {deleted}"))?;
    output::line(&format!("   left in the queue {left}"))?;
    let broken = facts.broken();
    if broken.is_empty() {
        return Ok(Exit::Done);
    }
    let text = format!("the demo's promise does not hold: not true that {}", broken.join(", that "));
    Err(Failure::new(Exit::Failed, text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_can_break_the_promise() {
        let good = || Facts {
            sent: 12,
            deliveries: 15,
            rows: 10,
            different: 10,
            suppressed: 3,
            lost_answers: 1,
            deleted: 12,
            left: 0,
        };
        assert!(good().broken().is_empty());
        for bad in [
            Facts { rows: 11, ..good() },
            Facts { different: 9, ..good() },
            Facts { deliveries: 12, suppressed: 0, ..good() },
            Facts { suppressed: 2, ..good() },
            Facts { lost_answers: 0, ..good() },
            Facts { deleted: 11, ..good() },
            Facts { left: 1, ..good() },
        ] {
            assert_eq!(bad.broken().len(), 1, "{bad:?}");
        }
    }
}
