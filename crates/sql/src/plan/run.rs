//! The plan of a job as it runs: every batch goes through every INSERT that reads from its source.

use std::fmt::{self, Debug, Formatter};

use arrow_array::RecordBatch;
use arrow_schema::{DataType as ArrowType, SchemaRef};
use headwater_core::{BadRow, Batch, Plan, PlanError, PlanOutput, Processed, WallMs};

use super::stage::{Failure, RunStage};

/// All INSERTs of a script, planned. Stateless: what a batch gives depends on the batch and the time alone, and nothing
/// is held back.
pub struct StatelessPlan {
    inputs: Vec<PlanInput>,
    outputs: Vec<PlanOutput>,
    branches: Vec<PlanBranch>,
}

/// What the plan knows of a source.
#[derive(Debug)]
pub(super) struct PlanInput {
    pub(super) table: String,
    pub(super) types: Vec<ArrowType>,
    /// The schema that was found to be right last; batches of a source share theirs.
    pub(super) checked: Option<SchemaRef>,
}

/// The way of rows from one input to one output.
#[derive(Debug)]
pub(super) struct PlanBranch {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) stages: Vec<RunStage>,
}

impl StatelessPlan {
    pub(super) fn new(inputs: Vec<PlanInput>, outputs: Vec<PlanOutput>, branches: Vec<PlanBranch>) -> Self {
        Self { inputs, outputs, branches }
    }
}

impl Debug for StatelessPlan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sinks: Vec<&str> = self.outputs.iter().map(|o| o.sink.as_str()).collect();
        f.debug_struct("StatelessPlan").field("inputs", &self.inputs).field("sinks", &sinks).finish_non_exhaustive()
    }
}

impl Plan for StatelessPlan {
    fn outputs(&self) -> &[PlanOutput] {
        &self.outputs
    }

    fn process(&mut self, input: usize, batch: &Batch, now: WallMs) -> Result<Processed, PlanError> {
        let records = batch.records();
        let known = self.inputs.get_mut(input);
        known.ok_or_else(|| PlanError(format!("the plan has no input {input}")))?.check(records)?;
        let mut processed = Processed::default();
        for branch in self.branches.iter().filter(|b| b.input == input) {
            branch.run(records, 0, now, &mut processed);
        }
        Ok(processed)
    }
}

impl PlanInput {
    fn check(&mut self, records: &RecordBatch) -> Result<(), PlanError> {
        let schema = records.schema_ref();
        if self.checked.as_ref().is_some_and(|known| std::sync::Arc::ptr_eq(known, schema)) {
            return Ok(());
        }
        let given = schema.fields();
        let same = given.len() == self.types.len() && given.iter().zip(&self.types).all(|(g, t)| g.data_type() == t);
        if !same {
            let given: Vec<String> = given.iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
            let planned: Vec<String> = self.types.iter().map(ToString::to_string).collect();
            return Err(PlanError(format!(
                "the source of `{}` gives ({}), planned was ({})",
                self.table,
                given.join(", "),
                planned.join(", ")
            )));
        }
        self.checked = Some(std::sync::Arc::clone(schema));
        Ok(())
    }
}

impl PlanBranch {
    /// Runs rows that begin at `first` of the batch. When some row fails, the halves are run again, until the rows that
    /// fail stand alone: twice as many runs as there are rows at worst, and none more when all is well.
    fn run(&self, records: &RecordBatch, first: usize, now: WallMs, processed: &mut Processed) {
        let rows = records.num_rows();
        if rows == 0 {
            return;
        }
        match self.attempt(records, now) {
            Ok(made) if made.num_rows() == 0 => {}
            Ok(made) => processed.rows.push((self.output, made)),
            Err(Failure { expression, cause }) if rows == 1 => {
                let expression = expression.to_string();
                processed.bad.push(BadRow { row: first, output: self.output, expression, cause });
            }
            Err(_) => {
                let half = rows / 2;
                self.run(&records.slice(0, half), first, now, processed);
                self.run(&records.slice(half, rows - half), first + half, now, processed);
            }
        }
    }

    fn attempt(&self, records: &RecordBatch, now: WallMs) -> Result<RecordBatch, Failure> {
        let mut records = records.clone();
        for stage in &self.stages {
            records = stage.run(&records, now)?;
        }
        Ok(records)
    }
}
