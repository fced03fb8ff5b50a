//! Named trials, how they are run side by side, and what became of each.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::future::{BoxFuture, Either, select};
use futures::stream::{self, StreamExt};
use futures::{FutureExt, pin_mut};
use headwater_core::{Clock, QueueError, SourceError, SystemClock};

/// What goes wrong in a harness itself: the subject could not be set up or looked at.
pub type HarnessError = Box<dyn Error + Send + Sync>;

/// Characters of a failure that are shown. 1,000: a subject may put a whole body where an id belongs.
const WHY_MAX: usize = 1_000;

/// One promise, tried on one fresh subject.
pub struct Trial<H: ?Sized + 'static> {
    name: &'static str,
    under_faults: bool,
    run: Run<H>,
}

type Run<H> = for<'a> fn(&'a H) -> BoxFuture<'a, Result<(), Halt>>;

impl<H: ?Sized> fmt::Debug for Trial<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trial({})", self.name)
    }
}

impl<H: ?Sized + Sync> Trial<H> {
    pub(crate) const fn new(name: &'static str, under_faults: bool, run: Run<H>) -> Self {
        Self { name, under_faults, run }
    }

    /// The promise in words, joined by underscores.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the promise holds on a subject whose calls fail at random.
    #[must_use]
    pub const fn under_faults(&self) -> bool {
        self.under_faults
    }

    /// Tries the promise on a fresh subject. A panic is a failure, and so is a trial that has not ended after `patience` of
    /// real time.
    pub async fn run(&self, harness: &H, patience: Duration) -> Outcome {
        let trial = AssertUnwindSafe((self.run)(harness)).catch_unwind();
        let alarm = SystemClock::new().sleep(patience);
        pin_mut!(trial);
        match select(trial, alarm).await {
            Either::Left((Ok(Ok(())), _)) => Outcome::Passed,
            Either::Left((Ok(Err(Halt::Skipped(why))), _)) => Outcome::Skipped(why),
            Either::Left((Ok(Err(Halt::Failed(why))), _)) => Outcome::Failed(why.chars().take(WHY_MAX).collect()),
            Either::Left((Err(panic), _)) => Outcome::Failed(format!("panicked: {}", panic_text(&*panic))),
            Either::Right(_) => Outcome::Failed(format!("no end after {patience:?}: what it waited for never came")),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a text").to_owned()
}

/// What became of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The promise was kept.
    Passed,
    /// The subject does not make this promise, or the harness cannot try it; why.
    Skipped(String),
    /// The promise was broken; how.
    Failed(String),
}

/// What became of all trials of a run.
#[derive(Clone, Debug)]
pub struct Report {
    subject: String,
    results: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Every trial and its outcome, in the order of the suite.
    #[must_use]
    pub fn results(&self) -> &[(&'static str, Outcome)] {
        &self.results
    }

    /// The trials that failed, and how.
    #[must_use]
    pub fn failures(&self) -> Vec<(&'static str, &str)> {
        self.results
            .iter()
            .filter_map(|(name, outcome)| match outcome {
                Outcome::Failed(why) => Some((*name, why.as_str())),
                Outcome::Passed | Outcome::Skipped(_) => None,
            })
            .collect()
    }

    /// The trials that were skipped.
    #[must_use]
    pub fn skipped(&self) -> Vec<&'static str> {
        let skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
        self.results.iter().filter(|(_, outcome)| skipped(outcome)).map(|(name, _)| *name).collect()
    }

    /// Ends the test unless every trial passed or was skipped.
    ///
    /// # Panics
    /// With all failures, when there is one.
    pub fn assert_passed(&self) {
        assert!(self.failures().is_empty(), "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failures, skipped) = (self.failures(), self.skipped().len());
        let passed = self.results.len() - failures.len() - skipped;
        write!(f, "{}: {passed} passed, {skipped} skipped, {} failed", self.subject, failures.len())?;
        failures.iter().try_for_each(|(name, why)| write!(f, "\n  {name}: {why}"))
    }
}

/// How a run goes.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) subject: String,
    pub(crate) faults: bool,
    pub(crate) patience: Duration,
    pub(crate) parallel: usize,
}

/// Runs every trial, `parallel` at a time, prints each with its outcome in the order of the list, and collects them.
#[expect(clippy::print_stdout, reason = "the names of trials are the output of a suite; a test runner captures it")]
pub(crate) async fn run_all<H: ?Sized + Sync>(trials: Vec<Trial<H>>, harness: &H, plan: Plan) -> Report {
    let plan_ref = &plan;
    // One at a time, a name is printed before its trial: a subject that never returns is known by it.
    let alone = plan.parallel <= 1;
    let run_one = |trial: Trial<H>| async move {
        if alone {
            print!("{}: {} ... ", plan_ref.subject, trial.name);
            _ = std::io::stdout().flush();
        }
        let outcome = if plan_ref.faults && !trial.under_faults {
            Outcome::Skipped("makes no promise under faults".into())
        } else {
            trial.run(harness, plan_ref.patience).await
        };
        (trial.name, outcome)
    };
    let mut running = stream::iter(trials).map(run_one).buffered(plan.parallel.max(1));
    let mut results = Vec::new();
    while let Some((name, outcome)) = running.next().await {
        let said = match &outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::Failed(why) => format!("FAILED: {why}"),
        };
        if alone {
            println!("{said}");
        } else {
            println!("{}: {name} ... {said}", plan.subject);
        }
        results.push((name, outcome));
    }
    drop(running);
    Report { subject: plan.subject, results }
}

/// Why a trial ends early.
#[derive(Debug)]
pub(crate) enum Halt {
    Failed(String),
    Skipped(String),
}

impl Halt {
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::Skipped(why.into())
    }
}

impl From<HarnessError> for Halt {
    fn from(error: HarnessError) -> Self {
        Self::Failed(format!("the harness failed: {}", chain(&*error)))
    }
}

impl From<QueueError> for Halt {
    fn from(error: QueueError) -> Self {
        Self::Failed(format!("an unexpected {:?} error of the queue: {}", error.kind, chain(&error)))
    }
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Failed(format!("an unexpected {:?} error of the source: {}", error.kind, chain(&error)))
    }
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Ends a trial as failed unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err($crate::trial::Halt::Failed(format!($($why)+)));
        }
    };
}

/// The trials of one module: functions that take a bench. Those after `even under faults` hold on a faulty subject too.
macro_rules! trials {
    ($harness:ty, $bench:ty: [$($name:ident),* $(,)?]) => {
        trials!($harness, $bench: [$($name),*] even under faults []);
    };
    ($harness:ty, $bench:ty: [$($name:ident),* $(,)?] even under faults [$($robust:ident),* $(,)?]) => {
        pub(super) fn trials() -> Vec<$crate::trial::Trial<$harness>> {
            vec![
                $($crate::trial::Trial::new(stringify!($name), false, |harness| Box::pin(async move {
                    $name(&<$bench>::fresh(harness).await?).await
                })),)*
                $($crate::trial::Trial::new(stringify!($robust), true, |harness| Box::pin(async move {
                    $robust(&<$bench>::fresh(harness).await?).await
                })),)*
            ]
        }
    };
}

pub(crate) use {ensure, trials};

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(20);

    fn list() -> Vec<Trial<str>> {
        vec![
            Trial::new("passes", true, |_| Box::pin(async { Ok(()) })),
            Trial::new("fails", true, |subject| Box::pin(async move { Err(Halt::failed(format!("no {subject}"))) })),
            Trial::new("panics", true, |_| Box::pin(async { panic!("number {}", 7) })),
            Trial::new("hangs", true, |_| Box::pin(std::future::pending())),
            Trial::new("skips", true, |_| Box::pin(async { Err(Halt::skipped("cannot")) })),
            Trial::new("breaks under faults", false, |_| Box::pin(async { Err(Halt::failed("as it may")) })),
        ]
    }

    #[test]
    fn one_failure_hides_no_other_and_a_trial_that_hangs_is_one() {
        let plan = Plan { subject: "subject".into(), faults: true, patience: PATIENCE, parallel: 2 };
        let report = block_on(run_all(list(), "subject", plan));
        let failures = [
            ("fails", "no subject"),
            ("panics", "panicked: number 7"),
            ("hangs", "no end after 20ms: what it waited for never came"),
        ];
        assert_eq!(report.failures(), failures);
        assert_eq!(report.skipped(), ["skips", "breaks under faults"]);
        assert!(report.to_string().starts_with("subject: 1 passed, 2 skipped, 3 failed\n  fails: no subject\n"));
    }

    #[test]
    #[should_panic(expected = "fails: no subject")]
    fn a_failure_ends_the_test() {
        let plan = Plan { subject: "subject".into(), faults: false, patience: PATIENCE, parallel: 1 };
        block_on(run_all(list(), "subject", plan)).assert_passed();
    }

    #[test]
    fn an_error_is_shown_with_its_causes() {
        let cause = QueueError::new(headwater_core::QueueErrorKind::Transient, "reset");
        let error = QueueError::new(headwater_core::QueueErrorKind::Denied, "no right").with_source(cause);
        let Halt::Failed(why) = Halt::from(error) else { panic!("a failure") };
        assert_eq!(why, "an unexpected Denied error of the queue: no right: reset");
    }
}
