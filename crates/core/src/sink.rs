//! Where rows go: two-phase commit.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use headwater_ledger::CheckpointId;

use crate::delivery::Delivery;

/// A sink that shows rows to the world only with their checkpoint.
///
/// # Contract
/// ```text
/// newest_shown recover(pending) commit*   ( write* pre_commit(N) [checkpoint N is made durable] commit(N) )*   close
/// ```
/// * [`pre_commit`](Self::pre_commit) makes everything written since the last one durable but not visible, and returns what
///   [`commit`](Self::commit) will need. The runner stores that inside checkpoint N and in every later one until the commit
///   has returned.
/// * `commit` makes it visible. It is idempotent, and works in a process that never wrote: after a crash it is called again.
/// * Rows of the next epoch may be written between `pre_commit(N)` and `commit(N)`.
/// * If saving checkpoint N fails, nothing staged for N is discarded: its fate is unknown. The next checkpoint lists it
///   again, so nothing needs to be written twice.
/// * [`recover`](Self::recover) is called once, before any write: everything staged and not in `pending` is removed.
///
/// A sink that shows rows at once says [`Delivery::AtLeastOnce`] and does nothing in these calls.
///
/// # Cancellation
/// The runner does not drop these futures except when it ends for good; a restart then recovers.
///
/// # Errors
/// All are fatal for the job; the rows are not lost, since their messages are not deleted.
#[async_trait]
pub trait Sink: Send + fmt::Debug {
    /// What it promises across a crash.
    fn delivery(&self) -> Delivery;

    /// Removes what an earlier process staged and no checkpoint lists.
    ///
    /// # Errors
    /// When the destination cannot be read or cleaned; [`refused`](SinkError::refused), and nothing is removed, when
    /// `pending` cannot be used.
    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError>;

    /// The newest checkpoint of its lineage whose output it shows, as far as it can tell. A state that knows of none so new
    /// was set back. Asked before [`recover`](Self::recover); a sink that cannot tell says `None`.
    ///
    /// # Errors
    /// When the destination cannot be read.
    async fn newest_shown(&mut self) -> Result<Option<CheckpointId>, SinkError> {
        Ok(None)
    }

    /// Takes rows.
    ///
    /// # Errors
    /// When they cannot be written.
    async fn write(&mut self, records: &RecordBatch) -> Result<(), SinkError>;

    /// Stages everything written since the last call durably. `None` when there is nothing to commit.
    ///
    /// # Errors
    /// When it cannot be made durable.
    async fn pre_commit(&mut self, id: CheckpointId) -> Result<Option<Committable>, SinkError>;

    /// Makes what was staged visible. Idempotent.
    ///
    /// # Errors
    /// When it cannot be made visible, or something else is already there.
    async fn commit(&mut self, committable: &Committable) -> Result<(), SinkError>;

    /// Ends the sink. What is written and not staged may be discarded.
    ///
    /// # Errors
    /// When the last output could not be flushed.
    async fn close(&mut self) -> Result<(), SinkError>;
}

/// What a sink needs in order to commit one epoch. Opaque to everyone else; stored inside checkpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committable {
    /// The checkpoint it belongs to.
    pub checkpoint: CheckpointId,
    /// The sink's own words.
    pub bytes: Arc<[u8]>,
}

/// A failed sink. `Display` says what happened, where, and the way out; `source()` the cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    message: String,
    denied: bool,
    refused: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SinkError {
    /// An error with its whole text.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), denied: false, refused: false, source: None }
    }

    /// Says that the target denies access: starting again does not help before somebody grants it.
    #[must_use]
    pub fn denied(mut self) -> Self {
        self.denied = true;
        self
    }

    /// Whether the target denies access.
    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// Says that what an earlier run left to commit must not be used: it is damaged, or of a later release.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Whether it is the saved state that is refused.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// Adds the cause, which `Display` does not repeat.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}
