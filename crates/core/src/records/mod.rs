//! Rows as values of a type: [`Records`] over any [`Source`].

mod error;
mod place;
mod schema;
mod stream;

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

pub use self::error::{CutError, RecordError, StreamError};
pub use self::schema::{SchemaError, row_type_of};
use crate::bad::BadRecord;
use crate::batch::{Batch, MessageMeta, MessageRef};
use crate::source::{CheckpointId, DrainReport, DueReason, Event, Source, SourceError, SourceState, SourceStatus};
use crate::store::{CheckpointStore, StoreError};

/// Adds [`records`](Self::records) to every source.
pub trait SourceRecords: Source + Sized {
    /// The rows as values of `T`, one by one.
    fn records<T: DeserializeOwned>(self) -> Records<Self, T> {
        Records::new(self)
    }
}

impl<S: Source> SourceRecords for S {}

/// A source whose rows come as values of `T`, one by one, with the same checkpoints.
///
/// # Which column becomes what
/// Fields of `T` are matched with columns by name; columns that `T` does not name are passed over. `NULL` is `None`, and a
/// bad record for a field that is no `Option`.
///
/// | column | field |
/// |---|---|
/// | `BOOLEAN` | `bool` |
/// | `TINYINT` … `BIGINT` | any integer type the value fits into |
/// | `FLOAT DOUBLE` | `f32`, `f64` |
/// | `DECIMAL` | text: `String`, or a decimal type that reads it |
/// | `CHAR VARCHAR STRING` | `String`, `char`, an enum by the names of its variants |
/// | `BINARY VARBINARY BYTES` | `Vec<u8>`, or what `serde_bytes` fills |
/// | `DATE` | text `2024-02-29`, so also `chrono::NaiveDate`; days as `i32` |
/// | `TIME` | text `12:34:56.789`, so also `chrono::NaiveTime`; milliseconds as `i32` |
/// | `TIMESTAMP` | text `2024-02-29T12:34:56.789`, so also `chrono::NaiveDateTime`; as `i64` what Arrow holds: milliseconds up to precision 3, else nanoseconds |
/// | `TIMESTAMP_LTZ` | the same with `Z` at the end, so also `chrono::DateTime<Utc>` |
/// | `ARRAY` | `Vec`, tuples |
/// | `MAP`, `MULTISET` | maps |
/// | `ROW` | a struct |
///
/// # Checkpoints
/// The barrier cuts at a message: [`checkpoint`](Self::checkpoint) covers every message of which all rows were returned by
/// [`next`](Self::next), and no other. In the middle of a message it is refused, since neither answer would be right: the rows
/// returned so far would be lost, or come twice. [`Record::last`] says when a message is whole.
///
/// An announced checkpoint comes between batches, so its barrier is always a message's end. Whoever takes long for a record may
/// also cut by its own clock, at any message's end.
///
/// # Cost
/// The values of one batch are made at once and held besides it. Looking up the columns is done once a batch, so a
/// row costs least in large ones; most of its time went into decoding before.
pub struct Records<S, T> {
    source: S,
    open: Option<Open<T>>,
    /// A checkpoint whose fate was not decided when the future that took it was dropped.
    unsettled: Option<CheckpointId>,
    value: PhantomData<fn() -> T>,
}

/// The batch that is being handed on.
struct Open<T> {
    batch: Batch,
    rows: VecDeque<Result<T, RecordError>>,
    /// The next row.
    at: usize,
}

/// What [`Records::next`] yields.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordEvent<T> {
    /// A record, or a row that is not one.
    Record(Result<Record<T>, RecordError>),
    /// A checkpoint should be taken now. Every message handed out is whole.
    CheckpointDue(DueReason),
}

/// A value, and the message it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record<T> {
    /// The value.
    pub value: T,
    /// The message.
    pub message: MessageRef,
    /// The row within the message, from 0.
    pub row: usize,
    /// Whether it is the message's last row, so that a checkpoint can be taken.
    pub last: bool,
}

impl<S: Source, T: DeserializeOwned> Records<S, T> {
    /// The rows of `source` as values of `T`.
    #[must_use]
    pub const fn new(source: S) -> Self {
        Self { source, open: None, unsettled: None, value: PhantomData }
    }

    /// Continues from the newest checkpoint of a store, if there is one: restores it and commits it. The first call, if it is
    /// made, and for a job of this one source: its first state is taken.
    ///
    /// # Errors
    /// When the state cannot be read or is refused.
    pub async fn resume(&mut self, store: &mut dyn CheckpointStore) -> Result<Option<CheckpointId>, StreamError> {
        let Some(saved) = store.newest().await? else { return Ok(None) };
        let Some(state) = saved.sources.into_iter().next() else {
            let text = format!("checkpoint {} holds no state of a source: it belongs to another job", saved.checkpoint);
            return Err(StoreError::new(crate::StoreErrorKind::Refused, text).into());
        };
        self.source.restore(saved.checkpoint, state).await?;
        self.source.commit(saved.checkpoint).await?;
        Ok(Some(saved.checkpoint))
    }

    /// Continues from a saved checkpoint, as [`Source::restore`].
    ///
    /// # Errors
    /// As [`Source::restore`].
    pub async fn restore(&mut self, id: CheckpointId, state: SourceState) -> Result<(), SourceError> {
        self.source.restore(id, state).await
    }

    /// The next record or announcement; `None` after [`stop`](Self::stop) when everything buffered was handed out. A row that
    /// does not fit `T` is an `Err` of its own, and the next call goes on behind it.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the source has failed, as [`Source::next`].
    pub async fn next(&mut self) -> Result<Option<RecordEvent<T>>, SourceError> {
        if let Some(id) = self.unsettled {
            self.source.abort(id).await?;
            self.unsettled = None;
        }
        loop {
            if let Some(record) = self.open.as_mut().and_then(Open::next) {
                return Ok(Some(RecordEvent::Record(record)));
            }
            self.open = None;
            match self.source.next().await? {
                Some(Event::Batch(batch)) => self.open = Some(Open::new(batch)),
                Some(Event::CheckpointDue(reason)) => return Ok(Some(RecordEvent::CheckpointDue(reason))),
                None => return Ok(None),
            }
        }
    }

    /// Cuts the barrier of checkpoint `id` behind the last message whose rows were all returned, and returns the state to save.
    ///
    /// # Errors
    /// [`CutError::InsideMessage`] when only some rows of a message were returned; otherwise as [`Source::checkpoint_before`].
    pub async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, CutError> {
        let later = match &self.open {
            Some(open) => open.messages_to_come()?,
            None => Vec::new(),
        };
        Ok(self.source.checkpoint_before(id, &later).await?)
    }

    /// Refuses a message whose record is no good, as [`Source::reject`]. Its other rows still come.
    ///
    /// # Errors
    /// As [`Source::reject`].
    pub fn reject(&mut self, message: &MessageMeta, reason: BadRecord) -> Result<(), SourceError> {
        self.source.reject(message, reason)
    }

    /// Gives a message back to the queue, as [`Source::retry_later`]. Rows of it that were not returned yet do not come before
    /// all of them come again.
    ///
    /// # Errors
    /// As [`Source::retry_later`].
    pub fn retry_later(&mut self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        self.source.retry_later(message, delay)?;
        if let Some(open) = &mut self.open {
            open.pass_over(message.key);
        }
        Ok(())
    }

    /// Says that checkpoint `id` is durable, as [`Source::commit`].
    ///
    /// # Errors
    /// As [`Source::commit`].
    pub async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.source.commit(id).await
    }

    /// Says that checkpoint `id` was not saved for certain, as [`Source::abort`].
    ///
    /// # Errors
    /// As [`Source::abort`].
    pub async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        self.source.abort(id).await
    }

    /// Ends receiving, as [`Source::stop`]. What was received is still returned by [`next`](Self::next).
    pub async fn stop(&mut self) {
        self.source.stop().await;
    }

    /// Ends the source, as [`Source::drain`]: what no committed checkpoint covers becomes visible in the queue again.
    ///
    /// # Errors
    /// As [`Source::drain`].
    pub async fn drain(&mut self, deadline: Duration) -> Result<DrainReport, SourceError> {
        self.source.drain(deadline).await
    }

    /// Where the source stands.
    pub fn status(&self) -> SourceStatus {
        self.source.status()
    }

    /// The source. Its `next` would take batches past this, and its `checkpoint` covers records that were not returned yet.
    pub const fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The source by itself. It has handed out every record of the last batch, those too that were not returned yet: its
    /// next checkpoint covers them, and they are lost. Take them first, or end without another checkpoint: then they come again.
    pub fn into_source(self) -> S {
        self.source
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Records<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.open.as_ref().map_or(0, |open| open.rows.len());
        f.debug_struct("Records").field("source", &self.source).field("rows_left", &left).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Open<T> {
    fn new(batch: Batch) -> Self {
        // All at once: the deserializer borrows the batch, and setting it up costs more than a row does.
        let count = batch.records().num_rows();
        let rows = match serde_arrow::Deserializer::from_record_batch(batch.records()) {
            Ok(rows) => {
                let read = |(at, row)| T::deserialize(row).or_else(|_| again(&rows, &batch, at));
                rows.iter().enumerate().map(read).collect()
            }
            // A column of a type that serde has no word for.
            Err(error) => {
                let cause = Arc::new(error);
                (0..count).map(|at| Err(RecordError::new(&batch, at, String::new(), &cause))).collect()
            }
        };
        Self { batch, rows, at: 0 }
    }
}

impl<T> Open<T> {
    fn next(&mut self) -> Option<Result<Record<T>, RecordError>> {
        let row = self.rows.pop_front()?;
        let at = self.at;
        self.at += 1;
        let of = self.message_at(at);
        let (rows, message) = (&self.batch.messages().get(of)?.rows, self.batch.message(of)?);
        let (row_of_it, last) = (at - rows.start, at + 1 == rows.end);
        Some(row.map(|value| Record { value, message, row: row_of_it, last }))
    }

    /// Drops the rest of the message that is being returned, if it is this one.
    fn pass_over(&mut self, key: crate::MessageKey) {
        let at = self.message_at(self.at);
        if let Some(message) = self.batch.messages().get(at)
            && message.meta.key == key
            && message.rows.start <= self.at
        {
            self.rows.drain(..message.rows.end - self.at);
            self.at = message.rows.end;
        }
    }

    /// The first message that ends behind this row: the row's own, unless the row is past the last.
    fn message_at(&self, row: usize) -> usize {
        self.batch.messages().partition_point(|message| message.rows.end <= row)
    }

    /// The messages no row of which was returned. Those without rows are taken as returned with the one in front of them.
    fn messages_to_come(&self) -> Result<Vec<crate::MessageKey>, CutError> {
        let first = self.message_at(self.at);
        match self.batch.messages().get(first) {
            Some(message) if message.rows.start < self.at => Err(CutError::InsideMessage {
                message: message.meta.id.detached(),
                rows_left: message.rows.end - self.at,
            }),
            _ => Ok(self.batch.messages()[first..].iter().map(|message| message.meta.key).collect()),
        }
    }
}

/// Reads a row that did not fit a second time, to learn where. (To keep track of it costs too much for rows that do.)
fn again<T: DeserializeOwned>(
    rows: &serde_arrow::Deserializer<'_>,
    batch: &Batch,
    at: usize,
) -> Result<T, RecordError> {
    let row = rows.get(at).expect("a row that was read before");
    serde_path_to_error::deserialize(row).map_err(|error| {
        let place = place::place(error.path(), batch.records().schema_ref());
        RecordError::new(batch, at, place, &Arc::new(error.into_inner()))
    })
}

#[cfg(test)]
mod tests;
