//! Where checkpoints are kept.

use async_trait::async_trait;
use headwater_ledger::CheckpointId;

use crate::sink::Committable;
use crate::source::SourceState;

/// Keeps a job's checkpoints.
///
/// # Contract
/// * When [`save`](Self::save) returns `Ok`, the checkpoint is durable and is the one a restart restores.
/// * When it returns an error, that is *not known*: the next `save`, or a restart, decides. It is never rolled back.
/// * A restart restores the newest durable checkpoint or refuses; it never falls back to an older one.
/// * One owner at a time.
#[async_trait]
pub trait CheckpointStore: Send {
    /// The newest durable checkpoint, if there ever was one.
    ///
    /// # Errors
    /// When there is one and it cannot be restored; with the way out.
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError>;

    /// An id later than every one used so far, durable or not.
    fn next_id(&self) -> CheckpointId;

    /// Whether this store keeps every part of a saved state under its name for as long as the newest checkpoint lists it. Then a source
    /// need not hold what it has handed over ([`SourceState::stored`]), and [`save`](Self::save) refuses a state that names
    /// a part the store does not have. False for a store that must be given the whole state each time.
    fn keeps_parts(&self) -> bool {
        false
    }

    /// Makes a checkpoint durable and the newest.
    ///
    /// # Errors
    /// When that is not certain.
    async fn save(&mut self, state: &JobState) -> Result<(), StoreError>;

    /// Notes durably that this run ended with nothing received and not deleted, so that the next one need not wait for
    /// leases, and with everything committed that sinks had staged, so that no sink is missed. It must not outlive the next start. A store that cannot note it does nothing.
    ///
    /// # Errors
    /// When it is not noted for certain; the next run then waits.
    async fn note_clean_end(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Everything a job needs to continue from a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobState {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Each source's state, in the job's order.
    pub sources: Vec<SourceState>,
    /// What sinks have staged and not committed for certain: sink name and committable, in the order of checkpoints.
    pub pending: Vec<(String, Committable)>,
}

/// What a refused store means for its user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Reading or writing failed, and may go better the next time: a full disk, a failed sync.
    Io,
    /// Reading or writing failed, and trying again does not help: no permission, a read-only disk, a directory that is gone.
    Unusable,
    /// The state must not be used: damaged, of a later release, copied, of another job.
    Refused,
    /// Another process owns it.
    Owned,
}

/// A failed or refusing store. `Display` names the path and the way out; `source()` is the cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What it means for the user.
    pub kind: StoreErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error with its whole text.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the cause, which `Display` does not repeat.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}
