//! The coordinator: sources → plan → sinks → commit, epoch by epoch.
//!
//! The order is the promise. Per epoch: rows are written to sinks as they come → **barrier** of all sources → sinks
//! **pre-commit** (durable, not visible) → the checkpoint is **saved** (sources' states and everything sinks have staged)
//! → sinks **commit** → sources **commit** → sources delete. On a start: sinks recover → sources restore → sinks commit what
//! the checkpoint lists → sources commit.
//!
//! At most one checkpoint is in flight; while it is being saved, the next epoch's rows flow. A save that fails is
//! indeterminate: nothing staged is discarded, and the next checkpoint lists it again.

mod checkpoint;
mod error;
mod finish;
mod guarantee;
mod report;
mod rows;
mod start;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, select_all};
use headwater_core::{
    Alarm, CheckpointId, CheckpointStore, Clock, Committable, Event, Mono, Plan, Sink, Source, SourceError, StoreError,
};
use tokio::sync::watch;

use crate::store::RESERVED_IDS;

pub use error::{JobError, JobErrorKind};
pub use guarantee::{Guarantee, Part};
pub use report::{JobReport, Progress};

/// What happens to a row on which an expression fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum BadRows {
    /// The job ends with an error that names the message and the expression. Nothing is lost.
    #[default]
    Fail,
    /// The row is left out and counted.
    Skip,
    /// The row is left out, and its whole message goes to the dead letters of its source; its other rows are kept.
    DeadLetter,
}

/// One input of a job.
#[derive(Debug)]
pub struct Input {
    /// The table's name.
    pub table: String,
    /// Where its rows come from.
    pub source: Box<dyn Source>,
    /// What happens to its rows when an expression fails on them.
    pub bad_rows: BadRows,
}

/// How a job runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions {
    /// The job's name, a label of its metrics.
    pub job: String,
    /// End when nothing has come for this long and nothing is left to do. `None`: run until stopped.
    pub until_idle: Option<Duration>,
    /// Checkpoints that may fail in a row before the job ends. 10: with a pause of a second or more between them, a
    /// disk that is full for a moment does not end a job, one that stays so does. What cannot go better by itself (no
    /// permission, a read-only disk, a directory that is gone) ends it at once.
    pub failed_saves_max: u32,
    /// Go on although the state speaks of a sink or a queue that this job does not have: what is staged for such a sink is
    /// given up, what is known of such a queue is forgotten.
    pub accept_loss: bool,
    /// How long the end of a run may take, from the stop on. Polls may run out for half of it; the last checkpoint may take
    /// until three quarters of it are over; deletes and releases have what is left, a quarter of it at least. 25 s: within the
    /// 30 s that Kubernetes gives a pod between SIGTERM and SIGKILL, and more than twice the default poll.
    pub drain_deadline: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            job: String::new(),
            until_idle: None,
            failed_saves_max: 10,
            accept_loss: false,
            drain_deadline: Duration::from_secs(25),
        }
    }
}

/// Ends a job from outside: the first call drains it.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Ends receiving; what was received is finished, checkpointed and deleted.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// A job, ready to run.
pub struct Runner {
    inputs: Vec<Input>,
    plan: Box<dyn Plan>,
    sinks: Vec<(String, Box<dyn Sink>)>,
    /// Away while a save is running: the save owns it.
    store: Option<Box<dyn CheckpointStore>>,
    clock: Arc<dyn Clock>,
    /// For looking around, which nearly every event forestalls.
    look: Alarm,
    options: RunOptions,
    stop: watch::Receiver<bool>,
    stopper: Stopper,
    observer: Box<dyn FnMut(&Progress) + Send>,
    // The state of a run.
    live: Vec<bool>,
    turn: usize,
    /// Since when the job is coming to its end, and what each source had deleted by then.
    stopping: Option<(Mono, Vec<u64>)>,
    /// What sinks have staged and not committed for certain.
    pending: Vec<(String, Committable)>,
    wanted: Option<&'static str>,
    /// No checkpoint gets an earlier id.
    first_id: CheckpointId,
    failed_saves: u32,
    /// A checkpoint was taken after the last row, and committed.
    saved_all: bool,
    quiet_since: Mono,
    /// When the observer was last told where the sources stand.
    told: Mono,
    report: JobReport,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("inputs", &self.inputs).field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// A checkpoint whose barrier is cut.
struct Taken {
    id: CheckpointId,
    begun: Mono,
    reason: &'static str,
}

/// A save on its way.
struct Saving {
    taken: Taken,
    done: BoxFuture<'static, (Box<dyn CheckpointStore>, Result<(), StoreError>)>,
}

/// What the loop woke up for.
enum Wake {
    Stop,
    Saved(Box<dyn CheckpointStore>, Result<(), StoreError>),
    Event(usize, Result<Option<Event>, SourceError>),
    /// Polls had their time to run out.
    Overdue,
    Look,
}

impl Runner {
    /// A job of these parts. The plan's inputs are `inputs` by position, its outputs are `sinks` by name.
    ///
    /// # Errors
    /// Everything about the parts that cannot work: an output without a sink, two sinks of one name, two inputs that share
    /// a state, no input at all, an impossible option.
    pub fn new(
        inputs: Vec<Input>,
        plan: Box<dyn Plan>,
        sinks: Vec<(String, Box<dyn Sink>)>,
        store: Box<dyn CheckpointStore>,
        clock: Arc<dyn Clock>,
        options: RunOptions,
    ) -> Result<Self, JobError> {
        let wrong = problems(&inputs, &*plan, &sinks, &options);
        if !wrong.is_empty() {
            return Err(JobError::new(JobErrorKind::Configuration, wrong.join("\n")));
        }
        let (sender, stop) = watch::channel(false);
        Ok(Self {
            live: vec![true; inputs.len()],
            inputs,
            plan,
            sinks,
            store: Some(store),
            quiet_since: clock.now(),
            told: clock.now(),
            look: Alarm::new(Arc::clone(&clock)),
            clock,
            options,
            stop,
            stopper: Stopper(sender),
            observer: Box::new(|_| {}),
            turn: 0,
            stopping: None,
            pending: Vec::new(),
            wanted: None,
            first_id: CheckpointId(0),
            failed_saves: 0,
            saved_all: false,
            report: JobReport::default(),
        })
    }

    /// Tells `observer` what happens. It must return at once.
    #[must_use]
    pub fn observed(mut self, observer: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// What ends the job from outside.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Runs the job to its end: until stopped, until idle, or until it fails.
    ///
    /// # Errors
    /// Why it failed. Rows that were not committed are not lost: their messages are still in the queue.
    pub async fn run(mut self) -> Result<JobReport, JobError> {
        // One for both: a stop in the middle of a start that hangs counts from then.
        let mut limit = std::pin::pin!(self.time_after_stop());
        let restored = tokio::select! {
            biased;
            restored = self.restore() => restored,
            () = &mut limit => Err(self.overdue()),
        };
        restored?;
        let outcome = tokio::select! {
            biased;
            outcome = self.work() => outcome,
            // All of it is saved and committed: only the checkpoint that lists no output is missing, for a clean end.
            () = limit => if self.saved_all { Ok(()) } else { Err(self.overdue()) },
        };
        self.finish(outcome).await
    }

    /// Everything up to the last checkpoint. What it awaits of stores and sinks may hang with the disk, so whoever stops
    /// the job does not wait for it beyond its time; dropped, it is as if the process had been killed here.
    async fn work(&mut self) -> Result<(), JobError> {
        let mut saving = None;
        let outcome = self.turn_over(&mut saving).await;
        self.note_stop();
        self.complete(saving, outcome).await
    }

    /// The loop. Returns when every source has ended, or had its time to.
    async fn turn_over(&mut self, saving: &mut Option<Saving>) -> Result<(), JobError> {
        while self.live.iter().any(|live| *live) {
            match self.wait(saving).await {
                Wake::Stop => self.stop_sources("stopped").await,
                Wake::Saved(store, result) => {
                    self.store = Some(store);
                    if let Some(save) = saving.take() {
                        self.saved(save.taken, result).await?;
                    }
                }
                Wake::Event(input, event) => self.take(input, event?).await?,
                Wake::Overdue => return Ok(()),
                Wake::Look => {}
            }
            self.tell_status();
            if saving.is_none() {
                self.look_for_idleness().await;
                if let Some(reason) = self.wanted.take() {
                    *saving = Some(self.begin(reason).await?);
                }
            }
        }
        Ok(())
    }

    async fn wait(&mut self, saving: &mut Option<Saving>) -> Wake {
        // Each source gets its turn to be asked first, so that a busy one does not starve the others.
        self.turn = (self.turn + 1) % self.inputs.len().max(1);
        let turn = self.turn;
        let polls_end = self.stopping.as_ref().map(|(since, _)| self.polls_end(*since));
        let live = &self.live;
        let mut asked: Vec<(usize, BoxFuture<'_, _>)> = Vec::with_capacity(self.inputs.len());
        for (i, input) in self.inputs.iter_mut().enumerate().filter(|(i, _)| live[*i]) {
            asked.push((i, input.source.next().boxed()));
        }
        asked.sort_by_key(|(i, _)| (*i + live.len() - turn) % live.len());
        let numbers: Vec<usize> = asked.iter().map(|(i, _)| *i).collect();
        let look = self.options.until_idle.map_or(LOOK_MAX, |period| (period / 10).clamp(LOOK_MIN, LOOK_MAX));
        let look = self.clock.now() + look;
        let stopping = polls_end.is_some();
        let clock = Arc::clone(&self.clock);
        let stop = &mut self.stop;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if !stopping => Wake::Stop,
            (store, result) = async { match saving { Some(save) => (&mut save.done).await, None => std::future::pending().await } } => {
                Wake::Saved(store, result)
            }
            () = async { match polls_end { Some(at) => clock.sleep_until(at).await, None => std::future::pending().await } } => {
                Wake::Overdue
            }
            (event, at, _) = select_all(asked.into_iter().map(|(_, next)| next)) => Wake::Event(numbers[at], event),
            () = self.look.until(look) => Wake::Look,
        }
    }

    async fn take(&mut self, input: usize, event: Option<Event>) -> Result<(), JobError> {
        match event {
            Some(Event::Batch(batch)) => {
                self.quiet_since = self.clock.now();
                self.write(input, &batch).await
            }
            Some(Event::CheckpointDue(reason)) => {
                self.wanted = Some(reason.as_str());
                Ok(())
            }
            Some(_) => Ok(()),
            None => {
                self.live[input] = false;
                Ok(())
            }
        }
    }

    fn tell_status(&mut self) {
        let now = self.clock.now();
        if now.since(self.told) >= LOOK_MAX {
            self.told = now;
            let sources = self.inputs.iter().map(|input| (input.table.clone(), input.source.status()));
            (self.observer)(&Progress::Status { sources: sources.collect() });
        }
    }

    async fn stop_sources(&mut self, reason: &'static str) {
        if self.stopping.is_some() {
            return;
        }
        self.note_stop();
        (self.observer)(&Progress::Stopping { reason, within: self.options.drain_deadline });
        for input in &mut self.inputs {
            input.source.stop().await;
        }
        // What is written needs not wait for polls to run out: whoever ends a job may not wait as long.
        if self.inputs.iter().any(|input| input.source.status().uncommitted > 0) {
            self.wanted = Some("stop");
        }
    }

    /// Ends an idle job, and brings the last checkpoint forward when only that stands in the way.
    async fn look_for_idleness(&mut self) {
        let Some(period) = self.options.until_idle else { return };
        if self.stopping.is_some() || !self.pending.is_empty() {
            return;
        }
        let now = self.clock.now();
        let statuses: Vec<_> = self.inputs.iter().map(|input| input.source.status()).collect();
        if statuses.iter().all(|status| status.idle_since.is_some_and(|since| now.since(since) >= period)) {
            self.stop_sources("idle").await;
        } else if self.wanted.is_none()
            && now.since(self.quiet_since) >= period.min(QUIET)
            && statuses.iter().all(|status| status.buffered == 0)
            && statuses.iter().any(|status| status.uncommitted > 0)
        {
            self.quiet_since = now;
            self.wanted = Some("idle");
        }
    }
}

fn problems(inputs: &[Input], plan: &dyn Plan, sinks: &[(String, Box<dyn Sink>)], options: &RunOptions) -> Vec<String> {
    let mut wrong = Vec::new();
    if inputs.is_empty() {
        wrong.push("the job reads nothing: it needs at least one input".into());
    }
    for (i, input) in inputs.iter().enumerate() {
        let identity = input.source.identity();
        if let Some(other) = inputs[..i].iter().find(|other| other.source.identity() == identity) {
            wrong.push(format!(
                "`{}` and `{}` read the same queue ({identity}), and a queue is read once: use one table for both",
                other.table, input.table
            ));
        }
    }
    for (i, (name, _)) in sinks.iter().enumerate() {
        if sinks[..i].iter().any(|(other, _)| other == name) {
            wrong.push(format!("two sinks are named `{name}`: what each has staged could not be told apart"));
        }
    }
    for output in plan.outputs().iter().filter(|output| !sinks.iter().any(|(name, _)| *name == output.sink)) {
        wrong.push(format!("the plan writes to `{}`, which is no sink of this job", output.sink));
    }
    // An id is used by each try; those that were used and never saved must not come again after a restart.
    if !(1..RESERVED_IDS).contains(&u64::from(options.failed_saves_max)) {
        let most = RESERVED_IDS - 1;
        wrong.push(format!("failed_saves_max is between 1 and {most}, not {}", options.failed_saves_max));
    }
    wrong
}

/// How long the loop waits before it looks around: for idleness a tenth of the period within these bounds, and for
/// telling the status the longer one.
const LOOK_MIN: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_secs(1);

/// With `until_idle`, a checkpoint is brought forward after this long without a row.
const QUIET: Duration = Duration::from_secs(1);
