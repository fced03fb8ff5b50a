//! What can be wrong with a record, with a checkpoint between records, and with a stream of records.

use std::fmt;
use std::sync::Arc;

use crate::batch::{Batch, MessageMeta};
use crate::queue::SharedStr;
use crate::source::SourceError;
use crate::store::StoreError;

/// A row that is no value of the type asked for. `Display` has no content of the message; its `source()` may quote the value.
#[derive(Clone, Debug)]
pub struct RecordError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    message: Option<MessageMeta>,
    row: usize,
    column: String,
    cause: Arc<serde_arrow::Error>,
}

impl RecordError {
    /// For the row `at` of a batch.
    pub(super) fn new(batch: &Batch, at: usize, column: String, cause: &Arc<serde_arrow::Error>) -> Self {
        let message = batch.messages().iter().find(|message| message.rows.contains(&at));
        let row = at - message.map_or(0, |message| message.rows.start);
        let message = message.map(|message| message.meta.detached());
        Self(Box::new(Inner { message, row, column, cause: Arc::clone(cause) }))
    }

    /// The message it came from; every row of a well-formed batch has one.
    #[must_use]
    pub fn message(&self) -> Option<&MessageMeta> {
        self.0.message.as_ref()
    }

    /// The row within the message, from 0.
    #[must_use]
    pub fn row(&self) -> usize {
        self.0.row
    }

    /// The column, such as `items[2].price`, or `limits{}` for any value of a MAP; empty when the row as a whole does not fit, as when a column is missing.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.0.column
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = self.message() {
            write!(f, "message {}, ", message.id)?;
        }
        write!(f, "row {}", self.row())?;
        if self.column().is_empty() {
            return f.write_str(": the row does not fit the record's type");
        }
        write!(f, ", column `{}`: the value does not fit the field's type", self.column())
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0.cause)
    }
}

/// Why no checkpoint was cut.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// A message was returned in part. Nothing has happened; take its other rows first.
    #[error(
        "message {message} has {rows_left} more rows: a checkpoint cuts between messages, take the rows up to the one marked last first"
    )]
    InsideMessage {
        /// The message's id.
        message: SharedStr,
        /// Its rows that were not returned yet.
        rows_left: usize,
    },
    /// The source refuses.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// An item of a stream that is no record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A row that does not fit; the stream goes on behind it.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The source has failed; the stream ends.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A checkpoint was not saved for certain; the stream goes on, and a later one covers its records.
    #[error(transparent)]
    Store(#[from] StoreError),
}
