//! Reading a file: metadata, the plan of its columns, and then one row group after another.

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::Schema;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::file::metadata::ParquetMetaData;

use super::footer::{self, unreadable};
use super::pages::{Budget, RowGroup};
use super::schema::{self, Reading};
use crate::DecodeError;
use crate::columnar::{FileFormat, Intake, RowPlan, Table, broken, guarded};

/// What a factory of the format keeps.
#[derive(Debug)]
pub(super) struct ParquetFormat {
    pub(super) batch_rows: usize,
}

impl FileFormat for ParquetFormat {
    fn read(&self, body: &[u8], table: &Table, intake: &mut Intake) -> Result<(), DecodeError> {
        let metadata = footer::read(body, &table.limits)?;
        let groups = rows(&metadata)?;
        intake.expect_rows(groups.iter().map(|rows| *rows as u64).sum())?;
        let file = metadata.file_metadata().schema_descr();
        let names: Vec<String> = table.row_type.fields().iter().map(|field| field.name.to_lowercase()).collect();
        let (roots, fields) = guarded(|| schema::candidates(file, &names).map_err(|e| unreadable(&e)))?;
        let mut plan = RowPlan::new(&table.row_type, &fields)?;
        let roots: Vec<usize> = plan.project().into_iter().filter_map(|at| roots.get(at).copied()).collect();
        if roots.is_empty() {
            return groups.into_iter().try_for_each(|rows| self.nulls(rows, &plan, intake));
        }
        let reading = guarded(|| schema::reading(file, &roots).map_err(|e| unreadable(&e)))?;
        let body = Bytes::copy_from_slice(body);
        let mut budget = Budget::new(table.limits.decoded_bytes);
        for (index, rows) in groups.into_iter().enumerate() {
            if rows > 0 {
                let group = RowGroup::new(&body, &metadata, index, rows, &reading.leaves, &mut budget)?;
                self.group(&group, rows, &reading, &plan, intake)?;
            }
        }
        Ok(())
    }
}

impl ParquetFormat {
    fn group(
        &self,
        group: &RowGroup<'_>,
        rows: usize,
        reading: &Reading,
        plan: &RowPlan,
        intake: &mut Intake,
    ) -> Result<(), DecodeError> {
        let batch_rows = self.batch_rows.min(rows);
        let mut reader = guarded(|| {
            ParquetRecordBatchReader::try_new_with_row_groups(&reading.levels, group, batch_rows, None)
                .map_err(|e| unreadable(&e))
        })?;
        let before = intake.rows();
        while let Some(batch) = guarded(|| reader.next().transpose().map_err(|e| unreadable(&e)))? {
            intake.take(plan, &batch)?;
        }
        match intake.rows() - before {
            read if read == rows => Ok(()),
            read => Err(broken(format!("the Parquet file is corrupt: it has {read} rows where it says {rows}"))),
        }
    }

    /// Rows of a file that has none of the table's columns.
    fn nulls(&self, mut rows: usize, plan: &RowPlan, intake: &mut Intake) -> Result<(), DecodeError> {
        while rows > 0 {
            let now = rows.min(self.batch_rows);
            let options = RecordBatchOptions::new().with_row_count(Some(now));
            let batch = RecordBatch::try_new_with_options(Schema::empty().into(), Vec::new(), &options);
            intake.take(plan, &batch.map_err(|e| unreadable(&e))?)?;
            rows -= now;
        }
        Ok(())
    }
}

/// The rows of each row group.
fn rows(metadata: &ParquetMetaData) -> Result<Vec<usize>, DecodeError> {
    let groups = metadata.row_groups().iter().map(|group| usize::try_from(group.num_rows()));
    let groups: Result<Vec<usize>, _> = groups.collect();
    groups.map_err(|_| broken("the Parquet file is corrupt: a row group of less than no rows"))
}
