//! A prepared job from its state directory to its end: store, sources, sinks, runner, signals.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use headwater::job::fs::LocalFs;
use headwater::job::{
    BadRows, Guarantee, Input, JobError, JobErrorKind, JobReport, Lineage, LocalStore, Part, Progress, RunOptions,
    Runner, StoreOptions,
};
use headwater_core::{Clock, EarlierRun, Sink, Source, SourceRequest};
use tokio::task::JoinSet;

use super::prepare::Prepared;
use super::watchdog::Watchdog;
use crate::exit::{Exit, Failure};
use crate::output::{self, Stop};
use crate::signals::Signals;

/// How a job is to be run, apart from what the script says.
#[derive(Debug)]
pub(crate) struct Drive {
    /// Its state directory.
    pub(crate) state: PathBuf,
    /// Go on from a copied, damaged or partly foreign state.
    pub(crate) accept_loss: bool,
    /// How long the end may take from a signal on.
    pub(crate) drain_deadline: Duration,
    /// End when idle for so long.
    pub(crate) until_idle: Option<Duration>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// How a run came to its end.
#[derive(Debug)]
pub(crate) enum Ending {
    /// By itself.
    Done(JobReport),
    /// In order, after a signal.
    Stopped,
    /// A signal came before anything was received.
    NotBegun,
    /// A second signal came before everything was finished.
    Interrupted,
}

impl Drive {
    /// Runs the job until it ends, fails, or is stopped, and tells `observer` how it goes.
    pub(crate) async fn run(
        self,
        prepared: Prepared,
        signals: &mut Signals,
        observer: impl FnMut(&Progress) + Send + 'static,
    ) -> Result<Ending, Stop> {
        let _watchdog = Watchdog::start(Arc::clone(&self.clock), self.drain_deadline)
            .map_err(|e| Failure::because(Exit::Failed, "cannot listen for signals", &e))?;
        // Opening asks queues for their attributes, for as long as they do not answer.
        let opened = tokio::select! {
            biased;
            signal = signals.next() => {
                tracing::info!(signal, "ending before anything was received");
                return Ok(Ending::NotBegun);
            }
            opened = self.open(prepared) => opened?,
        };
        let runner = opened.observed(observer);
        let stopper = runner.stopper();
        // A task of its own runs where its sources' tasks run: waking this thread for each batch would cost a system call.
        let mut running = JoinSet::new();
        running.spawn(runner.run());
        let mut stopped = false;
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if stopped {
                        tracing::warn!(signal, "ending at once; what is not finished comes again");
                        return Ok(Ending::Interrupted);
                    }
                    tracing::info!(signal, "stopping; a second signal ends at once");
                    stopper.stop();
                    stopped = true;
                }
                Some(ended) = running.join_next() => {
                    let ended = ended.unwrap_or_else(|error| match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        // Nobody cancels it before it is dropped.
                        Err(error) => Err(JobError::new(JobErrorKind::Failed, error.to_string())),
                    });
                    let report = ended.map_err(failed)?;
                    say(&report);
                    return Ok(if stopped { Ending::Stopped } else { Ending::Done(report) });
                }
            }
        }
    }

    /// Opens the store first: whoever has its lock owns the job.
    async fn open(&self, prepared: Prepared) -> Result<Runner, Stop> {
        let Prepared { planned, mut context } = prepared;
        let mut options = StoreOptions::new(fresh_lineage());
        options.accept_loss = self.accept_loss;
        let store = LocalStore::open(Arc::new(LocalFs::private()), &self.state, &options)?;
        for notice in store.notices() {
            tracing::warn!("{notice}");
        }
        context.earlier_run = store.earlier_run();
        context.lineage = store.lineage().to_string();
        context.state_dir = Some(self.state.clone());
        context.accept_loss = self.accept_loss;
        let (mut inputs, mut sources) = (Vec::new(), Vec::new());
        for planned in planned.sources {
            let request = SourceRequest { context: context.clone(), ..planned.request };
            let source = planned.factory.create(&request).await?;
            self.warn_of_leases(&request, source.as_ref());
            let (name, delivery, sentence) = (request.table.clone(), source.delivery(), source.guarantee());
            sources.push(Part { name, delivery, sentence });
            inputs.push(Input { bad_rows: bad_rows(&request), table: request.table, source });
        }
        let mut sinks: Vec<(String, Box<dyn Sink>)> = Vec::new();
        let mut sink_parts = Vec::new();
        for planned in planned.sinks {
            let mut request = planned.request;
            request.context = context.clone();
            request.lineage = store.lineage().to_string();
            let sink = planned.factory.create(&request).await.map_err(|e| failed(JobError::from(e)))?;
            let (name, delivery, sentence) = (request.table.clone(), sink.delivery(), planned.check.guarantee);
            sink_parts.push(Part { name, delivery, sentence });
            sinks.push((request.table, sink));
        }
        let guarantee = Guarantee::of(&sources, &sink_parts);
        for sentence in &guarantee.sentences {
            tracing::info!("{sentence}");
        }
        if let Some(demanded) = planned.settings.delivery {
            guarantee.demand(demanded, &sources, &sink_parts).map_err(failed)?;
        }
        tracing::info!(state = %self.state.display(), "the job starts");
        let mut options = RunOptions::default();
        options.job.clone_from(&context.job);
        options.until_idle = self.until_idle;
        options.accept_loss = self.accept_loss;
        options.drain_deadline = self.drain_deadline;
        let (plan, clock) = (Box::new(planned.plan), Arc::clone(&self.clock));
        Runner::new(inputs, plan, sinks, Box::new(store), clock, options).map_err(failed)
    }

    /// After an unclean end the source is not idle before its leases have run out, however short the period.
    fn warn_of_leases(&self, request: &SourceRequest, source: &dyn Source) {
        let unclean = request.context.earlier_run == EarlierRun::Unclean;
        let (Some(period), true) = (self.until_idle, unclean) else { return };
        let leases = source.status().busy_until.map_or(Duration::ZERO, |until| until.since(self.clock.now()));
        if leases > period {
            tracing::warn!(
                table = %request.table,
                "--until-idle {period:?} is shorter than the queue's VisibilityTimeout: an earlier run may hold messages, so \
                 the job is not called idle before {} s have passed",
                leases.as_secs_f64().ceil()
            );
        }
    }
}

fn bad_rows(request: &SourceRequest) -> BadRows {
    match request.options.get("badRecords") {
        Some(policy) if policy.eq_ignore_ascii_case("skip") => BadRows::Skip,
        Some(policy) if policy.eq_ignore_ascii_case("dead-letter") => BadRows::DeadLetter,
        _ => BadRows::Fail,
    }
}

/// 128 random bits from the keys that the standard library draws for its hash maps.
fn fresh_lineage() -> Lineage {
    let keys = RandomState::new();
    Lineage(u128::from(keys.hash_one(0)) << 64 | u128::from(keys.hash_one(1)))
}

fn failed(error: JobError) -> Stop {
    if output::is_unread(&error) {
        return Stop::Unread;
    }
    let exit = match error.kind() {
        JobErrorKind::Configuration => Exit::Usage,
        JobErrorKind::State => Exit::State,
        JobErrorKind::Denied => Exit::Denied,
        JobErrorKind::BadData => Exit::BadData,
        _ => Exit::Failed,
    };
    Stop::Failure(Failure::of(exit, &error))
}

fn say(report: &JobReport) {
    for (queue, status, _) in &report.sources {
        tracing::info!(
            queue = %queue,
            received = status.received,
            duplicates = status.duplicates,
            rows = status.rows,
            bad = status.bad,
            dead_letters = status.dead_letters,
            deleted = status.deleted,
            "the source has ended"
        );
    }
    for (sink, rows) in &report.rows {
        tracing::info!(sink = %sink, rows, "written");
    }
    tracing::info!(checkpoints = report.checkpoints, "done");
}
