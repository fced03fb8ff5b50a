//! Sinks: rows to the terminal, to nowhere, to files.
//!
//! | connector | promises | shows a row |
//! |---|---|---|
//! | `print` | at-least-once | at once, and perhaps again after a crash |
//! | `blackhole` | at-least-once | never; it counts |
//! | `filesystem` | exactly-once | with its checkpoint, in exactly one file |
//!
//! Every option is in a public table ([`print::OPTIONS`], [`blackhole::OPTIONS`], [`filesystem::OPTIONS`],
//! [`csv::OPTIONS`], [`filesystem::PARQUET_OPTIONS`], and [`headwater_formats::json::OPTIONS`]).

pub mod blackhole;
pub mod csv;
pub mod filesystem;
mod json;
mod options;
pub mod print;

use std::sync::Arc;

use headwater_core::{Committable, SinkError, SinkFactory, SinkRequest};
use headwater_formats::RowType;

use arrow_array::{Array, RecordBatch};
pub use options::SinkOption;

/// The sinks of this crate, on the machine's own standard output and files.
#[must_use]
pub fn factories() -> Vec<Arc<dyn SinkFactory>> {
    vec![
        Arc::new(print::PrintFactory::default()),
        Arc::new(blackhole::BlackholeFactory),
        Arc::new(filesystem::FilesystemFactory::default()),
    ]
}

/// A sink that stages nothing cannot commit anything: the table must have had another connector before.
pub(crate) fn refuse_pending(table: &str, connector: &str, pending: &[Committable]) -> Result<(), SinkError> {
    match pending.first() {
        None => Ok(()),
        Some(committable) => Err(SinkError::new(format!(
            "checkpoint {} left output of table `{table}` to commit, and a {connector} sink has none: the table had \
             another connector before. Run the job once with that one, or give this table another name",
            committable.checkpoint
        ))),
    }
}

pub(crate) fn refuse_partitions(reading: &mut options::Reading<'_>, request: &SinkRequest) {
    if !request.partitioned_by.is_empty() {
        reading.wrong("PARTITIONED BY", "has no meaning for this connector: it writes no directories");
    }
}

/// `NOT NULL` is a promise to whoever reads the sink, and decoders do not enforce it: this is where it is kept.
pub(crate) fn check_not_null(table: &str, columns: &RowType, records: &RecordBatch) -> Result<(), SinkError> {
    for (field, column) in columns.fields().iter().zip(records.columns()) {
        if !field.data_type.nullable && column.null_count() > 0 {
            return Err(SinkError::new(format!(
                "column `{}` of table `{table}` is NOT NULL, and a row for it has no value there: filter such rows out \
                 (WHERE … IS NOT NULL), give them a value (COALESCE), or drop NOT NULL from the column",
                field.name
            )));
        }
    }
    Ok(())
}
