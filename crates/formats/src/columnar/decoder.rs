//! The decoder of every format whose body is a file of columns.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::Intake;
use super::exceeds;
use crate::column::Row;
use crate::{DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, Limits, OnBadRow, RowType};

/// Reads one kind of file.
pub(crate) trait FileFormat: Debug + Send + Sync + 'static {
    /// Hands the rows of a file to the intake.
    ///
    /// # Errors
    /// The first thing that is wrong with the file. The rows that the intake took until then are good.
    fn read(&self, body: &[u8], table: &Table, intake: &mut Intake) -> Result<(), DecodeError>;
}

/// The table that a file is read for.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) row_type: RowType,
    pub(crate) limits: Limits,
    schema: SchemaRef,
    row_width: usize,
}

/// Makes the decoders.
#[derive(Debug)]
pub(crate) struct FileFactory<F> {
    table: Arc<Table>,
    format: Arc<F>,
}

impl<F: FileFormat> FileFactory<F> {
    pub(crate) fn new(row_type: &RowType, limits: Limits, format: F) -> Arc<Self> {
        let decoded_bytes = limits.decoded_bytes.min(Limits::MAX_DECODED_BYTES);
        let table = Table {
            row_type: row_type.clone(),
            limits: Limits { decoded_bytes, ..limits },
            schema: row_type.to_arrow(),
            row_width: Row::new(row_type).width,
        };
        Arc::new(Self { table: Arc::new(table), format: Arc::new(format) })
    }
}

impl<F: FileFormat> DecoderFactory for FileFactory<F> {
    fn row_type(&self) -> &RowType {
        &self.table.row_type
    }

    fn is_binary(&self) -> bool {
        true
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        let (table, format) = (self.table.clone(), self.format.clone());
        Box::new(FileDecoder { table, format, batches: Vec::new(), rows: 0, bytes: 0 })
    }
}

#[derive(Debug)]
struct FileDecoder<F> {
    table: Arc<Table>,
    format: Arc<F>,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl<F: FileFormat> Decoder for FileDecoder<F> {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        if self.bytes > Limits::MAX_DECODED_BYTES {
            return Err(DecodeError::new(DecodeErrorKind::BufferFull));
        }
        let Table { schema, row_width, limits, .. } = &*self.table;
        let mut intake = Intake::new(schema.clone(), *row_width, *limits, on_bad);
        let result = self.read(body, &mut intake);
        match (result, on_bad) {
            (Err(error), OnBadRow::Fail) => return Err(error),
            // A body beyond a limit is never decoded in part.
            (Err(error), OnBadRow::Salvage) if matches!(error.kind(), DecodeErrorKind::Limit { .. }) => {
                return Ok(Decoded { bad: vec![error], ..Decoded::default() });
            }
            (Err(error), OnBadRow::Salvage) => intake.bad.push(error),
            (Ok(()), _) => {}
        }
        let rows = intake.batches.iter().map(RecordBatch::num_rows).sum();
        self.rows += rows;
        self.bytes += intake.bytes;
        self.batches.append(&mut intake.batches);
        Ok(Decoded { rows, bad: intake.bad, ignored: 0 })
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn flush(&mut self) -> RecordBatch {
        (self.rows, self.bytes) = (0, 0);
        let mut batches = std::mem::take(&mut self.batches);
        match batches.len() {
            1 => batches.remove(0),
            _ => arrow_select::concat::concat_batches(&self.table.schema, &batches)
                .expect("all batches have the table's schema, and MAX_DECODED_BYTES keeps offsets within 32 bits"),
        }
    }
}

impl<F: FileFormat> FileDecoder<F> {
    fn read(&self, body: &[u8], intake: &mut Intake) -> Result<(), DecodeError> {
        let limit = self.table.limits.body_bytes;
        if body.len() > limit {
            return Err(exceeds("body_bytes", limit));
        }
        if body.is_empty() {
            return Ok(());
        }
        self.format.read(body, &self.table, intake).map_err(|error| match error.kind() {
            // Where a file breaks is best said by the row, unless it is one from the start.
            DecodeErrorKind::File(_) if error.row().is_none() && intake.rows() > 0 => error.at_row(intake.rows()),
            _ => error,
        })
    }
}
