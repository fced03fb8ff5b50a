//! Reading a file: its end, the plan of its columns, and then one stripe after another.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Fields, Schema, SchemaRef};
use bytes::Bytes;
use orc_rust::ArrowReaderBuilder;
use orc_rust::projection::ProjectionMask;

use super::stripe;
use super::tail::{Tail, corrupt};
use super::types::{Timestamps, arrow_type, with_parts};
use crate::DecodeError;
use crate::columnar::{FileFormat, Intake, RowPlan, Table, broken, guarded};

/// Rows that are read at a time: limits are checked between, and beyond some thousand rows nothing gets faster.
const BATCH_ROWS: usize = 2_048;

/// What a factory of the format keeps.
#[derive(Debug)]
pub(super) struct OrcFormat;

/// The columns of a file that are read.
struct Reading {
    /// The numbers of the columns at the top.
    roots: Vec<usize>,
    /// The numbers of those and all their parts.
    columns: Vec<usize>,
    /// As the library shall give them.
    schema: SchemaRef,
}

impl FileFormat for OrcFormat {
    fn read(&self, body: &[u8], table: &Table, intake: &mut Intake) -> Result<(), DecodeError> {
        let tail = Tail::read(body, &table.limits)?;
        intake.expect_rows(tail.stripes.iter().fold(0, |sum, stripe| stripe.rows.saturating_add(sum)) as u64)?;
        let (mut plan, candidates) = plan(&tail, table)?;
        let roots: Vec<usize> = plan.project().into_iter().filter_map(|at| candidates.get(at).copied()).collect();
        let reading = Reading::new(&tail, roots);
        for stripe in tail.stripes.iter().filter(|stripe| stripe.rows > 0) {
            let before = intake.rows();
            if reading.roots.is_empty() {
                nulls(stripe.rows, &plan, intake)?;
            } else {
                let limit = table.limits.decoded_bytes;
                let file = stripe::file(&tail, stripe, &reading.columns, limit - intake.bytes(), limit)?;
                reading.rows(file, &plan, intake)?;
            }
            if intake.rows() - before != stripe.rows {
                return Err(corrupt("a stripe has another number of rows than it says"));
            }
        }
        Ok(())
    }
}

/// The plan, and the numbers of the columns it is made for: those whose name could be meant.
fn plan(tail: &Tail<'_>, table: &Table) -> Result<(RowPlan, Vec<usize>), DecodeError> {
    let names: Vec<String> = table.row_type.fields().iter().map(|field| field.name.to_lowercase()).collect();
    let root = &tail.types[0];
    let meant = root.names.iter().zip(&root.subtypes).filter(|(name, _)| names.contains(&name.to_lowercase()));
    let (fields, columns): (Vec<Field>, Vec<usize>) =
        meant.map(|(name, at)| (Field::new(name, arrow_type(&tail.types, *at, Timestamps::Named), true), *at)).unzip();
    Ok((RowPlan::new(&table.row_type, &Fields::from(fields))?, columns))
}

impl Reading {
    fn new(tail: &Tail<'_>, roots: Vec<usize>) -> Self {
        let columns = roots.iter().flat_map(|root| with_parts(&tail.types, *root)).collect();
        let fields = roots.iter().enumerate().map(|(i, root)| {
            // Names are of no use any more, and two might be equal.
            Field::new(i.to_string(), arrow_type(&tail.types, *root, Timestamps::Wide), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { roots, columns, schema }
    }

    fn rows(&self, file: Vec<u8>, plan: &RowPlan, intake: &mut Intake) -> Result<(), DecodeError> {
        let mut reader = guarded(|| {
            let builder = ArrowReaderBuilder::try_new(Bytes::from(file)).map_err(|e| unreadable(&e))?;
            let mask = ProjectionMask::roots(builder.file_metadata().root_data_type(), self.roots.iter().copied());
            Ok(builder.with_projection(mask).with_schema(self.schema.clone()).with_batch_size(BATCH_ROWS).build())
        })?;
        while let Some(batch) = guarded(|| reader.next().transpose().map_err(|e| unreadable(&e)))? {
            intake.take(plan, &batch)?;
        }
        Ok(())
    }
}

/// An error of the library.
fn unreadable(error: &dyn std::error::Error) -> DecodeError {
    broken(format!("the ORC file cannot be read: {error}"))
}

/// Rows of a file that has none of the table's columns.
fn nulls(mut rows: usize, plan: &RowPlan, intake: &mut Intake) -> Result<(), DecodeError> {
    while rows > 0 {
        let now = rows.min(BATCH_ROWS);
        let options = RecordBatchOptions::new().with_row_count(Some(now));
        let batch = RecordBatch::try_new_with_options(Schema::empty().into(), Vec::new(), &options);
        intake.take(plan, &batch.map_err(|e| unreadable(&e))?)?;
        rows -= now;
    }
    Ok(())
}
