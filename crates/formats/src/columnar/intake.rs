//! Where the batches of a file go: converted, counted, and freed of bad rows.

use arrow_array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use super::convert::{Conversion, odd};
use super::{RowPlan, exceeds};
use crate::{DecodeError, Limits, OnBadRow};

/// The rows of one body until it is clear whether they count.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) bad: Vec<DecodeError>,
    /// Rows so far, good and bad.
    pub(super) rows: usize,
    pub(super) bytes: usize,
    schema: SchemaRef,
    /// What a row of NULLs takes; every row takes at least that.
    row_width: usize,
    limits: Limits,
    on_bad: OnBadRow,
}

impl Intake {
    pub(super) fn new(schema: SchemaRef, row_width: usize, limits: Limits, on_bad: OnBadRow) -> Self {
        Self { batches: Vec::new(), bad: Vec::new(), rows: 0, bytes: 0, schema, row_width, limits, on_bad }
    }

    /// Refuses rows that cannot fit before any is read.
    pub(crate) fn expect_rows(&self, rows: u64) -> Result<(), DecodeError> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        if self.rows.saturating_add(rows) > self.limits.rows {
            return Err(exceeds("rows", self.limits.rows));
        }
        if self.bytes.saturating_add(rows.saturating_mul(self.row_width)) > self.limits.decoded_bytes {
            return Err(exceeds("decoded_bytes", self.limits.decoded_bytes));
        }
        Ok(())
    }

    /// Rows that were taken so far, good and bad.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that the rows so far take.
    #[cfg(feature = "orc")]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next rows of the file: its columns as the plan was made for.
    ///
    /// # Errors
    /// A limit, an array that is not as the plan expects it, and with [`OnBadRow::Fail`] the first bad row.
    pub(crate) fn take(&mut self, plan: &RowPlan, batch: &RecordBatch) -> Result<(), DecodeError> {
        let rows = batch.num_rows();
        self.expect_rows(rows as u64)?;
        let room = self.limits.decoded_bytes - self.bytes;
        let mut to = Conversion { bad: Vec::new(), room, limit: self.limits.decoded_bytes };
        let arrays = plan.convert(batch.columns(), rows, None, &mut to)?;
        // Stable, so that of several bad values of a row the first column's stays in front.
        to.bad.sort_by_key(|bad| bad.at);
        to.bad.dedup_by_key(|bad| bad.at);
        if let (OnBadRow::Fail, Some(first)) = (self.on_bad, to.bad.first()) {
            return Err(first.error.clone().at_row(self.rows + first.at));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch =
            RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options).map_err(|e| odd(&e))?;
        if !to.bad.is_empty() {
            let mut good = vec![true; rows];
            for bad in to.bad {
                good[bad.at] = false;
                self.bad.push(bad.error.at_row(self.rows + bad.at));
            }
            batch =
                arrow_select::filter::filter_record_batch(&batch, &BooleanArray::from(good)).map_err(|e| odd(&e))?;
        }
        self.bytes += memory(&batch);
        if self.bytes > self.limits.decoded_bytes {
            return Err(exceeds("decoded_bytes", self.limits.decoded_bytes));
        }
        self.rows += rows;
        self.batches.push(batch);
        Ok(())
    }
}

/// Bytes of the values, without what buffers have spare.
fn memory(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|array| array.to_data().get_slice_memory_size().unwrap_or(usize::MAX >> 8)).sum()
}
