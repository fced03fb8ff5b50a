//! A failed job: what it means for the user, as a kind and an exit code.

use headwater_core::{PlanError, SinkError, SourceError, SourceErrorKind, StoreError, StoreErrorKind};

/// What a failed job means for its user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum JobErrorKind {
    /// A restart may help.
    Failed,
    /// The configuration is wrong.
    Configuration,
    /// The saved state is refused.
    State,
    /// Access is denied.
    Denied,
    /// Data cannot be processed, and the policy is to fail.
    BadData,
}

impl JobErrorKind {
    /// The exit code of a process that ends with it.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Configuration => 2,
            Self::State => 3,
            Self::Denied => 4,
            Self::BadData => 5,
        }
    }
}

/// A failed job. `Display` says what happened and the way out, `source()` the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A sink failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The checkpoint store failed or refuses its state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Checkpoints could not be saved, too often in a row.
    #[error(
        "{failures} checkpoints in a row could not be saved: mend what the cause names and start again. Nothing is lost: \
         what they covered comes again"
    )]
    Saves {
        /// How many in a row.
        failures: u32,
        /// Why the last one.
        #[source]
        error: StoreError,
    },
    /// The plan cannot run.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The job itself.
    #[error("{message}")]
    Job {
        /// What it means for the user.
        kind: JobErrorKind,
        /// What happened and the way out.
        message: String,
    },
}

impl JobError {
    /// An error of the job itself.
    #[must_use]
    pub fn new(kind: JobErrorKind, message: impl Into<String>) -> Self {
        Self::Job { kind, message: message.into() }
    }

    /// What it means for the user.
    #[must_use]
    pub fn kind(&self) -> JobErrorKind {
        match self {
            Self::Source(error) => match error.kind {
                SourceErrorKind::Configuration => JobErrorKind::Configuration,
                SourceErrorKind::State => JobErrorKind::State,
                SourceErrorKind::Denied => JobErrorKind::Denied,
                SourceErrorKind::BadData => JobErrorKind::BadData,
                _ => JobErrorKind::Failed,
            },
            Self::Store(error) => match error.kind {
                StoreErrorKind::Refused | StoreErrorKind::Owned => JobErrorKind::State,
                _ => JobErrorKind::Failed,
            },
            Self::Sink(error) if error.is_refused() => JobErrorKind::State,
            Self::Sink(_) | Self::Plan(_) | Self::Saves { .. } => JobErrorKind::Failed,
            Self::Job { kind, .. } => *kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn a_chain_says_each_thing_once() {
        let io = std::io::Error::other("the disk is full");
        let error = JobError::from(SinkError::new("`/data/x` cannot be written").with_source(io));
        let mut texts = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            texts.push(error.to_string());
            cause = error.source();
        }
        assert_eq!(texts, ["`/data/x` cannot be written", "the disk is full"]);
    }
}
