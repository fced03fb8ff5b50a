//! Rows to JSON texts, as Flink's `json` format writes them.

mod arrays;
mod values;

use arrays::Values;
use arrow_array::RecordBatch;
use arrow_schema::Schema;
use thiserror::Error;
pub(super) use values::padded;

use super::options::JsonOptions;
use super::reprint::quoted;
use crate::FormatErrors;

/// Writes rows as JSON objects, one text a row, fields in the order of the columns.
///
/// What Flink writes: dates and times as `timestamp-format.standard` says, with as many fraction digits as there are;
/// decimals as Java's `BigDecimal` prints itself (`1E-7`) unless `encode.decimal-as-plain-number`; bytes as base64;
/// maps as objects; NaN and infinities in quotes; text escaped where JSON demands it and nowhere else.
///
/// It takes any Arrow schema made of the types in the table at [`RowType::to_arrow`](crate::RowType::to_arrow), the
/// large and view forms of text and bytes, unsigned integers, every unit of time, and columns of NULL. Floats have the
/// shortest digits that read back, where Java before 19 prints another one here and there.
///
/// ```
/// use headwater_formats::json::{JsonEncoder, JsonOptions};
/// use headwater_formats::{Format, OnBadRow, RowType};
///
/// let columns: RowType = "id BIGINT, at TIMESTAMP(3), price DECIMAL(10, 2)".parse()?;
/// let mut decoder = Format::json().factory(&columns)?.decoder();
/// decoder.decode(br#"{"at":"2024-03-10 12:34:56.500","id":7,"price":1.5}"#, OnBadRow::Fail)?;
///
/// let encoder = JsonEncoder::new(&columns.to_arrow(), JsonOptions::default())?;
/// let mut lines = Vec::new();
/// encoder.encode_lines(&decoder.flush(), &mut lines)?;
/// assert_eq!(lines, b"{\"id\":7,\"at\":\"2024-03-10 12:34:56.5\",\"price\":1.50}\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct JsonEncoder {
    /// The names in quotes.
    names: Vec<Box<[u8]>>,
    options: JsonOptions,
}

/// A batch that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The batch does not have the schema of the encoder.
    #[error("the batch does not have the {expected} columns of the encoder's schema, with the same types")]
    OtherSchema {
        /// The columns of the encoder's schema.
        expected: usize,
    },
}

impl JsonEncoder {
    /// An encoder for batches of that schema.
    ///
    /// # Errors
    /// Every column whose type JSON cannot hold.
    pub fn new(schema: &Schema, options: JsonOptions) -> Result<Self, FormatErrors> {
        let mut errors = Vec::new();
        for field in schema.fields() {
            arrays::check(field.data_type(), field.name(), &mut errors);
        }
        if !errors.is_empty() {
            return Err(FormatErrors(errors));
        }
        let names = schema.fields().iter().map(|field| key(field.name()));
        Ok(Self { names: names.collect(), options })
    }

    /// The rows of a batch, ready to be written in any order.
    ///
    /// # Errors
    /// When the batch has another schema.
    pub fn rows<'a>(&'a self, batch: &'a RecordBatch) -> Result<JsonRows<'a>, EncodeError> {
        let expected = self.names.len();
        let columns: Option<Vec<Values<'a>>> = batch.columns().iter().map(|c| Values::of(c.as_ref())).collect();
        match columns {
            Some(columns) if columns.len() == expected => {
                Ok(JsonRows { encoder: self, rows: batch.num_rows(), columns })
            }
            _ => Err(EncodeError::OtherSchema { expected }),
        }
    }

    /// Appends every row of a batch, each with a line end.
    ///
    /// # Errors
    /// When the batch has another schema.
    pub fn encode_lines(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let rows = self.rows(batch)?;
        for row in 0..rows.len() {
            rows.encode(row, out);
            out.push(b'\n');
        }
        Ok(())
    }
}

/// The rows of one batch; see [`JsonEncoder::rows`].
#[derive(Debug)]
pub struct JsonRows<'a> {
    encoder: &'a JsonEncoder,
    rows: usize,
    columns: Vec<Values<'a>>,
}

impl JsonRows<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends one row, without a line end.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (name, column) in self.encoder.names.iter().zip(&self.columns) {
            column.member(name, row, &self.encoder.options, out);
        }
        out.push(b'}');
    }
}

/// A name in quotes.
fn key(name: &str) -> Box<[u8]> {
    let mut key = Vec::with_capacity(name.len() + 2);
    quoted(name.as_bytes(), &mut key);
    key.into()
}
