//! The decoder of the `json` format: one object is a row, a list of objects several.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::options::JsonOptions;
use super::read::Stop;
use super::rows::RowBuilder;
use super::scan::{Kind, ScanError, Scanner};
use crate::column::BufferPool;
use crate::unicode::to_utf8;
use crate::{
    DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, FormatError, FormatErrors, Limits, LogicalType,
    OnBadRow, RowType, looks_like_json,
};

/// Makes JSON decoders.
#[derive(Debug)]
pub(crate) struct JsonFactory {
    row_type: RowType,
    options: JsonOptions,
    limits: Limits,
    pool: BufferPool,
}

impl JsonFactory {
    pub(crate) fn create(row_type: &RowType, options: JsonOptions, limits: Limits) -> Result<Arc<Self>, FormatErrors> {
        let errors = unsupported(row_type);
        if errors.is_empty() {
            Ok(Arc::new(Self { row_type: row_type.clone(), options, limits, pool: BufferPool::default() }))
        } else {
            Err(FormatErrors(errors))
        }
    }
}

impl DecoderFactory for JsonFactory {
    fn row_type(&self) -> &RowType {
        &self.row_type
    }

    fn plausible(&self, body: &[u8]) -> bool {
        looks_like_json(body)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        let rows = RowBuilder::pooled(&self.row_type, self.options.clone(), self.limits, &self.pool);
        Box::new(JsonDecoder { rows, buffer: Vec::new() })
    }
}

/// The columns whose type JSON cannot give: maps whose keys are not text, since JSON has no other keys.
pub(super) fn unsupported(row_type: &RowType) -> Vec<FormatError> {
    fn visit(t: &LogicalType, path: &str, errors: &mut Vec<FormatError>) {
        match t {
            LogicalType::Map(key, _) | LogicalType::Multiset(key) if !is_text(&key.logical) => {
                errors.push(FormatError::UnsupportedType {
                    format: "json",
                    column: path.to_owned(),
                    data_type: t.to_string(),
                    reason: "the keys of JSON objects are text, use STRING for them".to_owned(),
                });
            }
            LogicalType::Map(_, value) => visit(&value.logical, &format!("{path}{{}}"), errors),
            LogicalType::Array(item) => visit(&item.logical, &format!("{path}[]"), errors),
            LogicalType::Row(row) => {
                for field in row.fields() {
                    visit(&field.data_type.logical, &format!("{path}.{}", field.name), errors);
                }
            }
            _ => {}
        }
    }
    let mut errors = Vec::new();
    for field in row_type.fields() {
        visit(&field.data_type.logical, &field.name, &mut errors);
    }
    errors
}

fn is_text(t: &LogicalType) -> bool {
    matches!(t, LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String)
}

#[derive(Debug)]
struct JsonDecoder {
    rows: RowBuilder,
    /// A body in UTF-16 or UTF-32 as UTF-8.
    buffer: Vec<u8>,
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        let Self { rows, buffer } = self;
        let result = rows.begin(body.len(), on_bad).and_then(|()| read(rows, body, buffer));
        rows.end(result)
    }

    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    fn flush(&mut self) -> RecordBatch {
        self.rows.flush()
    }
}

fn read(rows: &mut RowBuilder, body: &[u8], buffer: &mut Vec<u8>) -> Result<(), Stop> {
    if body.is_empty() {
        return Ok(());
    }
    let bad = |what| Stop::Scan(ScanError { at: 0, what, encoding: true });
    read_text(rows, to_utf8(body, buffer).map_err(bad)?)
}

/// Reads the first value of the text and nothing behind it.
fn read_text(rows: &mut RowBuilder, text: &[u8]) -> Result<(), Stop> {
    let tree = rows.options().tree;
    let mut scanner = Scanner::new(text, rows.limits());
    if tree && scanner.at_end() {
        return Ok(());
    }
    match scanner.peek()? {
        Kind::Object => read_row(rows, &mut scanner),
        Kind::Array => read_list(rows, &mut scanner),
        Kind::Null if tree => Ok(scanner.word(Kind::Null)?),
        kind => {
            let at = scanner.position();
            scanner.skip()?;
            no_row(rows, kind, at)
        }
    }
}

fn read_list(rows: &mut RowBuilder, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
    let mut first = true;
    scanner.enter()?;
    while scanner.next_item(first)? {
        first = false;
        match scanner.peek()? {
            Kind::Object => read_row(rows, scanner)?,
            // As for a whole body that is null.
            Kind::Null if rows.options().tree => scanner.word(Kind::Null)?,
            kind => {
                let at = scanner.position();
                scanner.skip()?;
                no_row(rows, kind, at)?;
            }
        }
    }
    Ok(())
}

fn read_row(rows: &mut RowBuilder, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
    rows.object(scanner)?;
    rows.end_row()
}

#[cold]
fn no_row(rows: &mut RowBuilder, kind: Kind, at: usize) -> Result<(), Stop> {
    let error = DecodeError::new(DecodeErrorKind::NotARow(match kind {
        Kind::Array | Kind::Object => "a JSON array within the list of rows, expected an object",
        Kind::String => "a JSON string, expected an object or a list of objects",
        Kind::Number => "a JSON number, expected an object or a list of objects",
        Kind::True | Kind::False => "a JSON boolean, expected an object or a list of objects",
        Kind::Null => "a JSON null, expected an object or a list of objects",
    }));
    rows.bad_row(error.at_byte(at))
}
