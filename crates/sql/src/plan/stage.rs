//! Stages as they run: DataFusion's physical expressions on one batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::filter_record_batch;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow_schema::{DataType as ArrowType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use datafusion_common::{DFSchema, DataFusionError, Result as DataFusionResult};
use datafusion_expr::Expr;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use headwater_core::WallMs;
use headwater_formats::LogicalType;

use super::relation::{Output, Stage};
use super::scope::{input_index, input_name};
use crate::functions::kernel::RowError;
use crate::functions::time::NOW;

/// What a row fails on. Says nothing of the row's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) expression: Arc<str>,
    pub(super) cause: String,
}

/// Filters and a projection, ready to run.
#[derive(Debug)]
pub(super) struct RunStage {
    filters: Vec<RunExpr>,
    outputs: Vec<RunExpr>,
    /// The schema of the outputs, named as the stage above names them.
    schema: SchemaRef,
    /// Whether an expression asks for the time.
    uses_now: bool,
}

#[derive(Debug)]
struct RunExpr {
    expr: Arc<dyn PhysicalExpr>,
    text: Arc<str>,
}

/// Makes stages ready that follow one another. `source` are the types of the source's columns; `schema` is what the last
/// stage must give. Columns that no stage above asks for are left out, so they cannot fail either.
pub(super) fn compile(stages: &[Stage], source: &[ArrowType], schema: &SchemaRef) -> DataFusionResult<Vec<RunStage>> {
    let mut wanted: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); stages.len()];
    for (i, stage) in stages.iter().enumerate().rev() {
        if i + 1 == stages.len() {
            wanted[i] = (0..stage.outputs.len()).collect();
        }
        if i > 0 {
            let below = asked_for(stage, &wanted[i]);
            wanted[i - 1] = below;
        }
    }
    let mut inputs: Vec<(usize, ArrowType)> = source.iter().cloned().enumerate().collect();
    let mut compiled = Vec::with_capacity(stages.len());
    for (i, (stage, wanted)) in stages.iter().zip(&wanted).enumerate() {
        let outputs: Vec<(usize, ArrowType)> = wanted.iter().map(|o| (*o, arrow_type(&stage.outputs[*o]))).collect();
        let last = i + 1 == stages.len();
        let schema = if last { Arc::clone(schema) } else { Arc::new(Schema::new(fields(&outputs))) };
        compiled.push(compile_stage(stage, wanted, &inputs, schema)?);
        inputs = outputs;
    }
    Ok(compiled)
}

fn arrow_type(output: &Output) -> ArrowType {
    output.logical.as_ref().map_or(ArrowType::Null, LogicalType::to_arrow)
}

fn fields(columns: &[(usize, ArrowType)]) -> Vec<ArrowField> {
    columns.iter().map(|(i, t)| ArrowField::new(input_name(*i), t.clone(), true)).collect()
}

/// The columns below that a stage needs for these outputs.
fn asked_for(stage: &Stage, outputs: &BTreeSet<usize>) -> BTreeSet<usize> {
    let exprs = outputs.iter().map(|o| &stage.outputs[*o]).chain(&stage.filters);
    exprs.flat_map(|o| o.expr.column_refs()).filter_map(|c| input_index(&c.name)).collect()
}

fn uses_now(expr: &Expr) -> bool {
    expr.column_refs().iter().any(|c| c.name == NOW)
}

fn compile_stage(
    stage: &Stage,
    wanted: &BTreeSet<usize>,
    inputs: &[(usize, ArrowType)],
    schema: SchemaRef,
) -> DataFusionResult<RunStage> {
    let outputs: Vec<&Output> = wanted.iter().map(|o| &stage.outputs[*o]).collect();
    let uses_now = outputs.iter().copied().chain(&stage.filters).any(|o| uses_now(&o.expr));
    let mut fields = fields(inputs);
    if uses_now {
        fields.push(now_field());
    }
    let below = DFSchema::try_from(Schema::new(fields))?;
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let run = |output: &Output| {
        let expr = create_physical_expr(&output.expr, &below, &props, &context)?;
        Ok::<_, DataFusionError>(RunExpr { expr, text: output.text.as_str().into() })
    };
    let filters = stage.filters.iter().map(run).collect::<DataFusionResult<_>>()?;
    let outputs = outputs.into_iter().map(run).collect::<DataFusionResult<_>>()?;
    Ok(RunStage { filters, outputs, schema, uses_now })
}

fn now_field() -> ArrowField {
    ArrowField::new(NOW, LogicalType::TimestampLtz(3).to_arrow(), true)
}

impl RunStage {
    /// Filters and projects. Fails as a whole when any row fails.
    pub(super) fn run(&self, batch: &RecordBatch, now: WallMs) -> Result<RecordBatch, Failure> {
        let mut input = if self.uses_now { with_now(batch, now)? } else { batch.clone() };
        for filter in &self.filters {
            if input.num_rows() == 0 {
                break;
            }
            let mask = filter.array(&input)?;
            let mask = mask.as_boolean();
            if mask.null_count() > 0 || mask.has_false() {
                input = filter_record_batch(&input, mask).map_err(|e| internal(&e))?;
            }
        }
        let rows = input.num_rows();
        let columns = if rows == 0 {
            self.schema.fields().iter().map(|f| arrow_array::new_empty_array(f.data_type())).collect()
        } else {
            self.outputs.iter().map(|output| output.array(&input)).collect::<Result<Vec<ArrayRef>, Failure>>()?
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(|e| internal(&e))
    }
}

impl RunExpr {
    fn array(&self, batch: &RecordBatch) -> Result<ArrayRef, Failure> {
        let value = self.expr.evaluate(batch).and_then(|v| v.into_array(batch.num_rows()));
        value.map_err(|e| Failure { expression: Arc::clone(&self.text), cause: cause(&e) })
    }
}

/// What went wrong, without data of the row: only our own functions promise that of their texts.
fn cause(error: &DataFusionError) -> String {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = source {
        if let Some(own) = e.downcast_ref::<RowError>() {
            return own.to_string();
        }
        source = e.source();
    }
    match error.find_root() {
        DataFusionError::External(e) if e.is::<RowError>() => e.to_string(),
        _ => "the expression cannot be evaluated on this row".to_owned(),
    }
}

fn internal(_: &arrow_schema::ArrowError) -> Failure {
    Failure { expression: "the row".into(), cause: "its columns do not have the planned types".to_owned() }
}

/// The batch with the time as one more column.
fn with_now(batch: &RecordBatch, now: WallMs) -> Result<RecordBatch, Failure> {
    let field = now_field();
    let zone = match field.data_type() {
        ArrowType::Timestamp(TimeUnit::Millisecond, zone) => zone.clone(),
        _ => None,
    };
    let times = TimestampMillisecondArray::from_value(now.0, batch.num_rows()).with_timezone_opt(zone);
    let fields = batch.schema().fields().iter().cloned().chain([Arc::new(field)]).collect::<Vec<_>>();
    let columns = batch.columns().iter().cloned().chain([Arc::new(times) as ArrayRef]).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(|e| internal(&e))
}
