//! What a job tells while it runs and when it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_core::{CheckpointId, DrainReport, SourceStatus};

/// Something worth showing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// The job goes on from a saved checkpoint.
    Restored {
        /// Which one.
        checkpoint: CheckpointId,
        /// Sink commits that were repeated.
        recommitted: usize,
    },
    /// Rows were written to a sink (staged, if it commits with checkpoints).
    Rows {
        /// The sink's table name.
        sink: String,
        /// How many.
        rows: usize,
    },
    /// A checkpoint is being taken.
    CheckpointBegun {
        /// Which one.
        checkpoint: CheckpointId,
        /// Why.
        reason: &'static str,
    },
    /// A checkpoint is durable, its sinks have committed, and its messages may be deleted.
    CheckpointCommitted {
        /// Which one.
        checkpoint: CheckpointId,
        /// From its barrier to its commit.
        took: Duration,
    },
    /// A checkpoint could not be saved for certain; the next one covers it.
    CheckpointFailed {
        /// Which one.
        checkpoint: CheckpointId,
        /// Why.
        error: String,
    },
    /// Where the sources stand, about once a second.
    Status {
        /// Each source's table and status, in the job's order.
        sources: Vec<(String, SourceStatus)>,
    },
    /// The job is coming to its end.
    Stopping {
        /// Why.
        reason: &'static str,
        /// How long that may take at most.
        within: Duration,
    },
    /// A source has come to its end, also where the job has failed.
    Drained {
        /// Its identity.
        source: String,
        /// Deletes confirmed since the stop (since the drain, where nothing stopped the job but its failure).
        deleted: u64,
        /// What became of the rest.
        report: DrainReport,
    },
}

/// How a job ended.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct JobReport {
    /// Rows by sink.
    pub rows: BTreeMap<String, u64>,
    /// Rows left out because an expression failed on them.
    pub bad_rows: u64,
    /// Checkpoints committed.
    pub checkpoints: u64,
    /// The newest committed checkpoint.
    pub last_checkpoint: Option<CheckpointId>,
    /// Each source: its identity, its totals, its drain.
    pub sources: Vec<(String, SourceStatus, DrainReport)>,
}

impl JobReport {
    /// Redeliveries dropped, over all sources.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.sources.iter().map(|(_, status, _)| status.duplicates).sum()
    }

    /// Deletes confirmed, over all sources.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        self.sources.iter().map(|(_, status, _)| status.deleted).sum()
    }
}
