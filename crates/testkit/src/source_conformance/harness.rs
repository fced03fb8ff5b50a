//! What the author of a source provides: a way to open it on a queue, to feed that queue, and to look behind it.

use std::time::Duration;

use async_trait::async_trait;
use headwater_core::Source;

use crate::Operation;
use crate::trial::HarnessError;

/// Makes queues with a source on them for the suite.
#[async_trait]
pub trait SourceHarness: Send + Sync {
    /// The name under which results are printed.
    fn name(&self) -> String;

    /// What the suite must know of the sources this makes.
    fn settings(&self) -> SourceSettings;

    /// A new empty queue that no other trial sees, with its own time if time is manual. No source is open on it yet.
    ///
    /// # Errors
    /// When it cannot be made; the trial fails.
    async fn fresh(&self) -> Result<Box<dyn TestSource>, HarnessError>;
}

/// One queue, and the sources a trial opens on it one after the other.
#[async_trait]
pub trait TestSource: Send + Sync {
    /// Opens a source on the queue, as a process does when it starts. The one before was dropped.
    ///
    /// # Errors
    /// When it cannot be opened.
    async fn open(&self) -> Result<Box<dyn Source>, HarnessError>;

    /// Sends a message that decodes to these rows (none: to no row) and returns its id. The source's first column is
    /// `BIGINT` and holds the numbers.
    ///
    /// # Errors
    /// When it cannot be sent.
    async fn send(&self, rows: &[i64]) -> Result<String, HarnessError>;

    /// Returns when `time` has passed for queue and source.
    async fn pass(&self, time: Duration);

    /// The messages that are not deleted.
    ///
    /// # Errors
    /// When looking fails.
    async fn left(&self) -> Result<Vec<String>, HarnessError>;

    /// How many messages are leased.
    ///
    /// # Errors
    /// When looking fails.
    async fn leased(&self) -> Result<u64, HarnessError>;

    /// Makes a leased message visible now, as if its lease had ended: it is delivered again, its handle is dead. False if
    /// the harness cannot; the trial is skipped.
    ///
    /// # Errors
    /// When it fails.
    async fn redeliver(&self, _id: &str) -> Result<bool, HarnessError> {
        Ok(false)
    }

    /// Breaks the queue in one way until told otherwise; `None` mends it. False if the harness cannot.
    fn disturb(&self, _disturbance: Option<Disturbance>) -> bool {
        false
    }

    /// A source of another queue, if the harness can make one.
    ///
    /// # Errors
    /// When it cannot be opened.
    async fn open_other(&self) -> Result<Option<Box<dyn Source>>, HarnessError> {
        Ok(None)
    }

    /// A source of a queue whose ids change with every delivery, if the harness can make one.
    ///
    /// # Errors
    /// When it cannot be opened.
    async fn open_without_stable_ids(&self) -> Result<Option<Box<dyn Source>>, HarnessError> {
        Ok(None)
    }
}

/// A way in which the queue is broken for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disturbance {
    /// Deletes are lost on their way: nothing happens and nobody is told.
    DeletesLost,
    /// Deletes happen, and their answers are lost.
    DeleteAnswersLost,
    /// Receives fail in a way that passes.
    ReceivesFail,
    /// The caller has lost the right to do this.
    Denied(Operation),
}

/// What the suite must know of the sources a harness makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceSettings {
    /// The queue's lease. The sources' polls must be a good deal shorter: a stop lets them run out, and what is held must
    /// still be leased when it is committed then.
    pub lease: Duration,
    /// The time in which anything that is promised must happen: several leases and checkpoint intervals, on a manual clock
    /// generously so.
    pub eventually: Duration,
    /// The time for which the suite watches that nothing happens; at most half a lease.
    pub quiet: Duration,
    /// The most messages that the sources are configured to hold received and not deleted: small, so that the suite can
    /// reach it.
    pub undeleted_max: u32,
    /// The seed of random histories.
    pub seed: u64,
    /// Steps of a random history.
    pub history_steps: u32,
    /// Whether the queue's calls fail at random: only promises that hold nevertheless are tried.
    pub faults: bool,
    /// Trials at a time: 1 on one thread with manual clocks, many on wall time.
    pub parallel: usize,
    /// The real time after which a trial that has not ended is given up.
    pub patience: Duration,
}

impl SourceSettings {
    /// For a source and a queue on a manual clock, holding at most `undeleted_max` messages.
    #[must_use]
    pub const fn manual(lease: Duration, undeleted_max: u32) -> Self {
        Self {
            lease,
            eventually: Duration::from_secs(600),
            quiet: Duration::from_secs(14),
            undeleted_max,
            seed: 1,
            history_steps: 300,
            faults: false,
            parallel: 1,
            patience: Duration::from_secs(60),
        }
    }

    /// For a source and a queue on the machine's clock, holding at most `undeleted_max` messages.
    #[must_use]
    pub const fn wall(lease: Duration, undeleted_max: u32) -> Self {
        Self {
            lease,
            eventually: Duration::from_secs(60),
            quiet: Duration::from_secs(1),
            undeleted_max,
            seed: 1,
            history_steps: 60,
            faults: false,
            parallel: 64,
            patience: Duration::from_secs(180),
        }
    }
}
