//! What happens to rows between source and sinks.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::batch::Batch;
use crate::clock::WallMs;

/// A stateless transformation: rows of one input in, rows for some outputs out, at once. Planned once, run on every batch.
///
/// # Contract
/// * `process` must not keep rows: what comes in goes out in the same call, so that a checkpoint between two calls cuts
///   cleanly and nothing waits for the end of an epoch.
/// * The same batch and `now` give the same rows.
/// * A row on which an expression fails is reported, not dropped silently and not fatal: the runner applies the policy.
pub trait Plan: Send + fmt::Debug {
    /// The outputs: a sink's name and the schema of the rows it gets. A batch goes to any number of them.
    fn outputs(&self) -> &[PlanOutput];

    /// Transforms one batch of input number `input`. `now` is the time of functions like CURRENT_TIMESTAMP.
    ///
    /// # Errors
    /// Only what is not about single rows: a schema that is not the planned one.
    fn process(&mut self, input: usize, batch: &Batch, now: WallMs) -> Result<Processed, PlanError>;
}

/// One output of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOutput {
    /// The sink's table name.
    pub sink: String,
    /// The schema of the rows.
    pub schema: SchemaRef,
}

/// What became of one batch.
#[derive(Clone, Debug, Default)]
pub struct Processed {
    /// Rows by output number. Empty batches may be left out.
    pub rows: Vec<(usize, RecordBatch)>,
    /// Rows left out because an expression failed on them.
    pub bad: Vec<BadRow>,
}

/// A row on which an expression failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its number in the incoming batch; [`Batch::message_of`] names the message.
    pub row: usize,
    /// The output it was meant for.
    pub output: usize,
    /// The expression, as SQL.
    pub expression: String,
    /// What went wrong; without the row's data.
    pub cause: String,
}

/// A plan that cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(pub String);

/// The plan that sends every row of input 0 to one sink, unchanged.
#[derive(Debug, Clone)]
pub struct PassThrough {
    outputs: [PlanOutput; 1],
}

impl PassThrough {
    /// A pass-through to `sink`.
    #[must_use]
    pub fn new(sink: impl Into<String>, schema: SchemaRef) -> Self {
        Self { outputs: [PlanOutput { sink: sink.into(), schema }] }
    }
}

impl Plan for PassThrough {
    fn outputs(&self) -> &[PlanOutput] {
        &self.outputs
    }

    fn process(&mut self, _input: usize, batch: &Batch, _now: WallMs) -> Result<Processed, PlanError> {
        Ok(Processed { rows: vec![(0, batch.records().clone())], bad: Vec::new() })
    }
}
