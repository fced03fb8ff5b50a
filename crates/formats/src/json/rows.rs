//! One message to rows: what happens to a row, and to its message, when something is wrong.

use std::mem::take;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::fit::Plain;
use super::options::JsonOptions;
use super::quick;
use super::read::{Reader, Stop};
use super::scan::Scanner;
use crate::column::{BufferPool, Row};
use crate::{DecodeError, DecodeErrorKind, Decoded, Limits, OnBadRow, RowType};

/// Rows under construction from JSON values, by Flink's coercions.
///
/// For decoders that find their values in JSON: one calls [`begin`](Self::begin) for a message, fills rows, each with
/// [`object`](Self::object) or column by column, ends each with [`end_row`](Self::end_row), and hands whatever came of
/// it to [`end`](Self::end), which makes the message whole or takes it back.
#[derive(Debug)]
pub struct RowBuilder {
    reader: Reader,
    row: Row,
    schema: SchemaRef,
    rows: usize,
    bytes: usize,
    message: Message,
}

/// What is known about the message being read.
#[derive(Debug)]
struct Message {
    on_bad: OnBadRow,
    /// Rows and bytes before it.
    rows: usize,
    bytes: usize,
    /// Rows of it so far, good, bad or passed over.
    seen: usize,
    bad: Vec<DecodeError>,
    ignored: usize,
}

impl RowBuilder {
    /// A builder for these columns, which must have passed the checks of the `json` format. It has a [`BufferPool`] of its own.
    pub fn new(row_type: &RowType, options: JsonOptions, limits: Limits) -> Self {
        Self::pooled(row_type, options, limits, &BufferPool::default())
    }

    /// The same, with large buffers from a pool that other builders share.
    pub fn pooled(row_type: &RowType, options: JsonOptions, limits: Limits, pool: &BufferPool) -> Self {
        let message = Message { on_bad: OnBadRow::Fail, rows: 0, bytes: 0, seen: 0, bad: Vec::new(), ignored: 0 };
        let (row, schema) = (Row::pooled(row_type, pool), row_type.to_arrow());
        Self { reader: Reader::new(options, limits), row, schema, rows: 0, bytes: 0, message }
    }

    /// The limits the builder was made with.
    pub fn limits(&self) -> &Limits {
        &self.reader.limits
    }

    /// The options the builder was made with.
    pub fn options(&self) -> &JsonOptions {
        &self.reader.options
    }

    /// Rows since the last flush.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that those rows take, approximately.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands out the rows since the last flush.
    pub fn flush(&mut self) -> RecordBatch {
        self.bytes = 0;
        self.row.finish_batch(&self.schema, take(&mut self.rows))
    }

    /// Begins a message with a body of that length.
    ///
    /// # Errors
    /// When the body is too long, or the builder must be flushed first.
    #[inline]
    pub fn begin(&mut self, body_len: usize, on_bad: OnBadRow) -> Result<(), Stop> {
        let (rows, bytes) = (self.rows, self.bytes);
        let message = &mut self.message;
        (message.on_bad, message.rows, message.bytes, message.seen, message.ignored) = (on_bad, rows, bytes, 0, 0);
        message.bad.clear();
        self.reader.begin();
        if bytes > Limits::MAX_DECODED_BYTES {
            return Err(Stop::Bad(DecodeError::new(DecodeErrorKind::BufferFull)));
        }
        let limit = self.reader.limits.body_bytes;
        if body_len > limit { Err(Stop::Limit { name: "body_bytes", limit }) } else { Ok(()) }
    }

    /// Reads the object that comes next into the columns by name.
    ///
    /// # Errors
    /// When the text breaks off or becomes too much. A value that does not fit is noted until the row ends.
    pub fn object(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        self.check_rows()?;
        self.reader.object(scanner, &mut self.row, self.rows)
    }

    /// Begins a row that is filled column by column.
    ///
    /// # Errors
    /// When the message has too many rows or bytes.
    pub fn begin_row(&mut self) -> Result<(), Stop> {
        self.check_rows()?;
        self.reader.spend(self.row.width)
    }

    /// Reads the value that stands at an offset of a scanner's text into a column, which must have none in this row yet.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    ///
    /// # Panics
    /// When there is no such column.
    pub fn value(&mut self, scanner: &Scanner<'_>, at: usize, column: usize) -> Result<(), Stop> {
        if quick::value_at(&mut self.reader, scanner, at, &mut self.row.fields[column]) {
            return Ok(());
        }
        self.any_value(&mut scanner.again(at), column)
    }

    /// [`Self::value`] for a string that is known to be plain in that text, if the column takes it without looking at it: one of
    /// text. Otherwise nothing is done.
    ///
    /// # Panics
    /// When there is no such column, or no such text; at the latest in [`flush`](Self::flush) when it is not plain.
    #[inline]
    #[must_use]
    pub fn plain(&mut self, scanner: &Scanner<'_>, text: Plain, column: usize) -> bool {
        quick::plain_text(&mut self.reader, scanner, text, &mut self.row.fields[column])
    }

    #[inline(never)]
    fn any_value(&mut self, scanner: &mut Scanner<'_>, column: usize) -> Result<(), Stop> {
        let before = self.reader.error.take();
        self.reader.value(scanner, &mut self.row.fields[column])?;
        let error = self.reader.error.take().map(|e| e.within(self.row.names.name(column)));
        self.reader.error = before.or(error);
        Ok(())
    }

    /// Writes NULL to a column because nothing stands for it; an error of the row when the options say so.
    ///
    /// # Panics
    /// When there is no such column.
    pub fn missing(&mut self, column: usize) {
        self.row.fields[column].append_null();
        if self.reader.options.fail_on_missing_field && self.reader.error.is_none() {
            let error = DecodeError::new(DecodeErrorKind::MissingField).within(self.row.names.name(column));
            self.reader.error = Some(error.with_hint(super::read::MISSING_HINT));
        }
    }

    /// Writes NULL to a column because what is at that place cannot be its value; an error of the row unless the
    /// options say otherwise.
    ///
    /// # Panics
    /// When there is no such column.
    pub fn misfit(&mut self, column: usize, at: usize, reason: &'static str) {
        let before = self.reader.error.take();
        self.reader.reject(&mut self.row.fields[column], at, reason);
        let error = self.reader.error.take().map(|e| e.within(self.row.names.name(column)));
        self.reader.error = before.or(error);
    }

    /// Ends a row: it stays if every value fitted.
    ///
    /// # Errors
    /// The row's error, when one bad row is enough; or the limit that it reached.
    #[inline]
    pub fn end_row(&mut self) -> Result<(), Stop> {
        // What was read without looking at the limit at once.
        self.reader.spend(0)?;
        if let Some(error) = self.reader.error.take() {
            self.row.truncate(self.rows);
            return self.bad_row(error);
        }
        self.rows += 1;
        self.message.seen += 1;
        self.bytes = self.message.bytes + self.reader.spent;
        Ok(())
    }

    /// Notes a row that cannot be read at all, or passes it over if the options say so.
    ///
    /// # Errors
    /// That error, when one bad row is enough.
    pub fn bad_row(&mut self, error: DecodeError) -> Result<(), Stop> {
        self.check_rows()?;
        let error = error.at_row(self.message.seen);
        self.message.seen += 1;
        if self.reader.options.ignore_parse_errors {
            self.message.ignored += 1;
            return Ok(());
        }
        match self.message.on_bad {
            OnBadRow::Fail => Err(Stop::Bad(error)),
            OnBadRow::Salvage => {
                self.message.bad.push(error);
                Ok(())
            }
        }
    }

    /// Ends the message. Its rows stay if `result` is good; otherwise the row in progress is taken back, and with it
    /// the whole message unless its good rows are to be kept.
    ///
    /// # Errors
    /// As [`Decoder::decode`](crate::Decoder::decode).
    #[inline]
    pub fn end(&mut self, result: Result<(), Stop>) -> Result<Decoded, DecodeError> {
        let Err(stop) = result else { return Ok(self.decoded()) };
        self.reader.error = None;
        self.row.truncate(self.rows);
        let options = &self.reader.options;
        match stop {
            Stop::Scan(_) if options.ignore_parse_errors => {
                // The older decoder reads the whole text before it makes the first row.
                if options.tree {
                    self.take_back();
                }
                self.message.ignored += 1;
                return Ok(self.decoded());
            }
            Stop::Scan(_) if self.message.on_bad == OnBadRow::Salvage => {}
            Stop::Limit { .. } if self.message.on_bad == OnBadRow::Salvage => self.take_back(),
            Stop::Scan(_) => {
                self.take_back();
                return Err(stop.into_error().at_row(self.message.seen));
            }
            Stop::Limit { .. } | Stop::Bad(_) => {
                self.take_back();
                return Err(stop.into_error());
            }
        }
        let whole_body = matches!(stop, Stop::Limit { .. });
        let error = stop.into_error();
        self.message.bad.push(if whole_body { error } else { error.at_row(self.message.seen) });
        Ok(self.decoded())
    }

    fn decoded(&mut self) -> Decoded {
        let rows = self.rows - self.message.rows;
        Decoded { rows, bad: take(&mut self.message.bad), ignored: self.message.ignored }
    }

    fn take_back(&mut self) {
        self.row.truncate(self.message.rows);
        (self.rows, self.bytes) = (self.message.rows, self.message.bytes);
    }

    fn check_rows(&self) -> Result<(), Stop> {
        let limit = self.reader.limits.rows;
        if self.message.seen >= limit { Err(Stop::Limit { name: "rows", limit }) } else { Ok(()) }
    }
}
