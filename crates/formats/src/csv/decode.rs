//! The decoder of the `csv` format: lines into rows.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::field::{Part, Stop, spend, write};
use super::options::{CsvOptions, Framing};
use super::scan::{Broken, Scanner, SyntaxError};
use super::text::{self, Text};
use super::{hint, quick};
use crate::coerce::{Reason, java_trim};
use crate::column::{BufferPool, Column, Data, Row};
use crate::{
    DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, FormatError, FormatErrors, Limits, LogicalType,
    OnBadRow, RowType,
};

/// How often one body is taken up again at the line after a quote that is never closed. Each time costs a walk to the
/// end of the body, so that without a limit a body of quotes would take the square of its length; what is behind the
/// sixteenth is one bad row.
const MAX_UNCLOSED: usize = 16;

/// Makes CSV decoders.
#[derive(Debug)]
pub(crate) struct CsvFactory {
    row_type: RowType,
    shared: Arc<Shared>,
    pool: BufferPool,
}

/// What all decoders of a table have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: CsvOptions,
    pub(super) limits: Limits,
    /// The delimiter, where shortcuts are allowed.
    quick: Option<u8>,
}

impl CsvFactory {
    pub(crate) fn create(
        row_type: &RowType,
        given: &BTreeMap<String, String>,
        limits: Limits,
    ) -> Result<Arc<Self>, FormatErrors> {
        let (options, mut errors) = match CsvOptions::read(given) {
            Ok(options) => (options, Vec::new()),
            Err(errors) => (CsvOptions::default(), errors.0),
        };
        errors.extend(unsupported(row_type));
        if errors.is_empty() {
            Ok(Arc::new(Self {
                pool: BufferPool::default(),
                row_type: row_type.clone(),
                shared: Arc::new(Shared { quick: quick::delimiter(&options), options, limits }),
            }))
        } else {
            Err(FormatErrors(errors))
        }
    }
}

/// The columns whose type CSV cannot give: a field is text, and is split once.
fn unsupported(row_type: &RowType) -> Vec<FormatError> {
    fn leaf(t: &LogicalType, path: &str, nested: bool, errors: &mut Vec<FormatError>) {
        // A TIME of any precision is none of them: Flink's SQL makes TIME(3) of what is more precise.
        let reason = match t {
            LogicalType::Map(..) | LogicalType::Multiset(_) => "use STRING for it",
            LogicalType::Array(_) | LogicalType::Row(_) if nested => {
                "an ARRAY or a ROW holds simple types only, use STRING within it"
            }
            LogicalType::Array(item) => return leaf(&item.logical, &format!("{path}[]"), true, errors),
            LogicalType::Row(row) => {
                for field in row.fields() {
                    leaf(&field.data_type.logical, &format!("{path}.{}", field.name), true, errors);
                }
                return;
            }
            _ => return,
        };
        let (column, data_type, reason) = (path.to_owned(), t.to_string(), reason.to_owned());
        errors.push(FormatError::UnsupportedType { format: "csv", column, data_type, reason });
    }
    let mut errors = Vec::new();
    for field in row_type.fields() {
        leaf(&field.data_type.logical, &field.name, false, &mut errors);
    }
    errors
}

impl DecoderFactory for CsvFactory {
    fn row_type(&self) -> &RowType {
        &self.row_type
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        let rows =
            Rows { row: Row::pooled(&self.row_type, &self.pool), rows: 0, bytes: 0, spent: 0, scratch: Vec::new() };
        let schema = self.row_type.to_arrow();
        Box::new(CsvDecoder { shared: self.shared.clone(), rows, schema, buffer: Vec::new() })
    }
}

#[derive(Debug)]
struct CsvDecoder {
    shared: Arc<Shared>,
    rows: Rows,
    schema: SchemaRef,
    /// A body that is not UTF-8 as UTF-8.
    buffer: Vec<u8>,
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        if self.rows.bytes > Limits::MAX_DECODED_BYTES {
            return Err(DecodeError::new(DecodeErrorKind::BufferFull));
        }
        let before = (self.rows.rows, self.rows.bytes);
        self.rows.spent = 0;
        let mut message = Message {
            shared: &self.shared,
            out: &mut self.rows,
            on_bad,
            seen: 0,
            bad: Vec::new(),
            ignored: 0,
            unclosed: 0,
            places: Places::default(),
        };
        match message.body(body, &mut self.buffer) {
            Ok(()) => {
                let (bad, ignored) = (message.bad, message.ignored);
                self.rows.bytes = before.1 + self.rows.spent;
                Ok(Decoded { rows: self.rows.rows - before.0, bad, ignored })
            }
            Err(stop) => {
                self.rows.row.truncate(before.0);
                (self.rows.rows, self.rows.bytes) = before;
                match (stop, on_bad) {
                    (Stop::Limit { name, limit }, OnBadRow::Salvage) => {
                        let error = DecodeError::new(DecodeErrorKind::Limit { name, limit });
                        Ok(Decoded { bad: vec![error], ..Decoded::default() })
                    }
                    (Stop::Limit { name, limit }, _) => Err(DecodeError::new(DecodeErrorKind::Limit { name, limit })),
                    (Stop::Bad(error), _) => Err(error),
                }
            }
        }
    }

    fn rows(&self) -> usize {
        self.rows.rows
    }

    fn bytes(&self) -> usize {
        self.rows.bytes
    }

    fn flush(&mut self) -> RecordBatch {
        self.rows.bytes = 0;
        self.rows.row.finish_batch(&self.schema, take(&mut self.rows.rows))
    }
}

/// Why a row is none.
enum RowError {
    Syntax(SyntaxError),
    Columns { actual: usize },
    Misfit(Misfit),
    Stop(Stop),
}

impl From<SyntaxError> for RowError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<Stop> for RowError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// A value that does not fit its column.
struct Misfit {
    column: usize,
    part: Option<Part>,
    at: usize,
    reason: Reason,
    hint: &'static str,
}

/// The rows since the last flush.
#[derive(Debug)]
struct Rows {
    row: Row,
    rows: usize,
    bytes: usize,
    /// Bytes that the current message has added, approximately; rows taken back still count.
    spent: usize,
    /// The text of a field with doubled quotes or escapes.
    scratch: Vec<u8>,
}

/// A message on its way into the rows.
struct Message<'d> {
    shared: &'d Shared,
    out: &'d mut Rows,
    on_bad: OnBadRow,
    /// Rows so far, good, bad or passed over.
    seen: usize,
    bad: Vec<DecodeError>,
    ignored: usize,
    unclosed: usize,
    places: Places,
}

impl Message<'_> {
    fn body(&mut self, body: &[u8], buffer: &mut Vec<u8>) -> Result<(), Stop> {
        let limit = self.shared.limits.body_bytes;
        if body.len() > limit {
            return Err(Stop::Limit { name: "body_bytes", limit });
        }
        let dialect = &self.shared.options.dialect;
        let Text { text, cut, mark } = match text::read(body, buffer) {
            Ok(text) => text,
            Err(what) => return self.bad_row(DecodeError::new(DecodeErrorKind::Encoding(what)).at_byte(0)),
        };
        self.places = Places::new(1, mark);
        let mut scanner = Scanner::new(text, cut.map(|cut| cut.why), dialect);
        if self.shared.options.framing == Framing::Message {
            return self.first_line(&mut scanner);
        }
        self.lines(&mut scanner)?;
        // The line with bytes that are not text is bad; what comes after it is read like another body.
        let (mut start, mut line) = (0, 1);
        let mut bad = cut.and_then(|cut| cut.at).map(|at| mark + at);
        while let Some(at) = bad {
            let Some(end) = memchr::memchr(b'\n', &body[at..]) else { return Ok(()) };
            let next = at + end + 1;
            line += memchr::memchr_iter(b'\n', &body[start..next]).count();
            start = next;
            let Text { text, cut, .. } = text::utf8(&body[start..], buffer);
            self.places = Places::new(line, 0);
            self.lines(&mut Scanner::new(text, cut.map(|cut| cut.why), dialect))?;
            bad = cut.and_then(|cut| cut.at).map(|at| start + at);
        }
        Ok(())
    }

    /// The one row of a message, with nothing behind it but what Flink's parser looks at all the same.
    fn first_line(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        let comments = self.shared.options.dialect.comments;
        if comments {
            scanner.skip_comments();
        }
        let start = scanner.position();
        let result = match scanner.at_end() {
            Ok(true) => {
                let empty = DecodeError::new(DecodeErrorKind::NotARow("a body without a row, expected a line of CSV"));
                return self.bad_row(empty);
            }
            Ok(false) => self.row(scanner),
            Err(error) => Err(error.into()),
        };
        let result = result.and_then(|()| {
            if comments {
                scanner.skip_comments();
            }
            scanner.at_end()?;
            Ok(())
        });
        self.end_row(scanner, start, result)
    }

    fn lines(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Stop> {
        loop {
            if self.shared.options.dialect.comments {
                scanner.skip_comments();
            } else {
                scanner.skip_empty_lines();
            }
            let start = scanner.position();
            let limit = self.shared.limits.rows;
            let result = match scanner.at_end() {
                Ok(true) => return Ok(()),
                Ok(false) if self.seen >= limit => return Err(Stop::Limit { name: "rows", limit }),
                Ok(false) => self.row(scanner),
                Err(error) => Err(error.into()),
            };
            let broken = match &result {
                Err(RowError::Syntax(error)) => Some(*error),
                _ => None,
            };
            self.end_row(scanner, start, result)?;
            if broken.is_some_and(|error| !self.resume(scanner, start, error)) {
                return Ok(());
            }
        }
    }

    /// Goes to the line behind a broken row, if there can be one.
    fn resume(&mut self, scanner: &mut Scanner<'_>, start: usize, error: SyntaxError) -> bool {
        match error.why {
            Broken::AfterQuote { .. } => scanner.seek(error.at),
            Broken::Unclosed if self.unclosed < MAX_UNCLOSED => {
                self.unclosed += 1;
                scanner.seek(start);
            }
            Broken::Unclosed | Broken::EscapeAtEnd | Broken::Encoding(_) => return false,
        }
        scanner.skip_line();
        true
    }

    /// Reads the row that begins here into one more value of each column. After an error some columns may have it and
    /// others not.
    fn row(&mut self, scanner: &mut Scanner<'_>) -> Result<(), RowError> {
        let Shared { options, limits, quick } = self.shared;
        let out = &mut *self.out;
        spend(&mut out.spent, out.row.width, limits)?;
        let (start, expected) = (scanner.position(), out.row.fields.len());
        let (mut count, mut misfit) = (0, None);
        loop {
            // The last column mostly has no delimiter behind it, so that the shortcut would look for it in vain.
            if let (Some(delimiter), Some([column, _, ..])) = (*quick, out.row.fields.get_mut(count..))
                && quick::field(column, scanner, delimiter)
            {
                count += 1;
                continue;
            }
            let field = scanner.field(&mut out.scratch)?;
            let text = field.text(scanner.text(), &out.scratch);
            match out.row.fields.get_mut(count) {
                Some(column) if misfit.is_none() => {
                    if let Some((part, reason)) = write(column, text, self.shared, &mut out.spent)? {
                        let hint = hint::value(text, out.row.names.name(count), column);
                        misfit = Some(Misfit { column: count, part, at: field.start, reason, hint });
                    }
                }
                Some(_) => {}
                None if count == expected && field.last && options.allow_trailing_comma && is_blank(text) => break,
                None => {}
            }
            count += 1;
            if field.last {
                break;
            }
        }
        if count < expected && (options.fail_on_missing_columns || !options.ignore_parse_errors)
            || count > expected && expected > 0 && !options.ignore_trailing_unmappable
        {
            return Err(RowError::Columns { actual: count });
        }
        if let Some(misfit) = misfit {
            return Err(RowError::Misfit(misfit));
        }
        out.row.fields[count.min(expected)..].iter_mut().for_each(Column::append_null);
        spend(&mut out.spent, scanner.position() - start, limits)?;
        Ok(())
    }

    fn end_row(&mut self, scanner: &Scanner<'_>, start: usize, result: Result<(), RowError>) -> Result<(), Stop> {
        let error = match result {
            Ok(()) => {
                self.out.rows += 1;
                self.seen += 1;
                return Ok(());
            }
            Err(RowError::Stop(stop)) => return Err(stop),
            Err(error) => error,
        };
        self.out.row.truncate(self.out.rows);
        let error = self.describe(scanner.text(), start, error);
        self.bad_row(error)
    }

    fn bad_row(&mut self, error: DecodeError) -> Result<(), Stop> {
        let error = error.at_row(self.seen);
        self.seen += 1;
        match self.on_bad {
            _ if self.shared.options.ignore_parse_errors => self.ignored += 1,
            OnBadRow::Fail => return Err(Stop::Bad(error)),
            OnBadRow::Salvage => self.bad.push(error),
        }
        Ok(())
    }

    fn describe(&mut self, text: &[u8], start: usize, error: RowError) -> DecodeError {
        let options = &self.shared.options;
        let fields = &self.out.row.fields;
        let (error, at, hint) = match error {
            RowError::Syntax(SyntaxError { at, why }) => {
                let kind = match why {
                    Broken::Unclosed => DecodeErrorKind::Syntax("a quote that is never closed"),
                    Broken::AfterQuote { .. } => DecodeErrorKind::Syntax(
                        "text behind a closing quote, expected a delimiter or the end of the line",
                    ),
                    Broken::EscapeAtEnd => DecodeErrorKind::Syntax("an escape character with nothing behind it"),
                    Broken::Encoding(what) => DecodeErrorKind::Encoding(what),
                };
                (DecodeError::new(kind), at, hint::syntax(why))
            }
            RowError::Columns { actual } => {
                let expected = fields.len();
                let hint = hint::columns(&text[start..], expected, actual, options);
                (DecodeError::new(DecodeErrorKind::Columns { expected, actual }), start, Some(hint))
            }
            RowError::Misfit(Misfit { column, part, at, reason, hint }) => {
                let error = DecodeError::new(DecodeErrorKind::Value(reason));
                let name = self.out.row.names.name(column);
                (place_in_column(error, &fields[column], part).within(name), at, Some(hint))
            }
            RowError::Stop(_) => unreachable!("a stop is no error of a row"),
        };
        let (line, column) = self.places.find(text, at);
        let error = error.at_line(line, column);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

fn place_in_column(error: DecodeError, column: &Column, part: Option<Part>) -> DecodeError {
    match (part, &column.data) {
        (Some(Part::Item(i)), Data::Array { items, .. }) => {
            error.expecting(&*items.type_text).within(&format!("[{i}]"))
        }
        (Some(Part::Field(i)), Data::Row(row)) => error.expecting(&*row.fields[i].type_text).within(row.names.name(i)),
        _ => error.expecting(&*column.type_text),
    }
}

fn is_blank(text: &[u8]) -> bool {
    java_trim(text).is_empty()
}

/// Turns offsets into lines and columns, going forward.
#[derive(Debug, Default)]
struct Places {
    first: usize,
    mark: usize,
    /// Up to where lines are counted, and the line there with its start.
    counted: usize,
    line: usize,
    start: usize,
}

impl Places {
    /// For a text that begins in that line, behind a mark of so many bytes.
    fn new(line: usize, mark: usize) -> Self {
        Self { first: line, mark, counted: 0, line, start: 0 }
    }

    /// Line and column, both from 1, the column in bytes.
    fn find(&mut self, text: &[u8], at: usize) -> (usize, usize) {
        if at < self.counted {
            *self = Self::new(self.first, self.mark);
        }
        for end in memchr::memchr_iter(b'\n', &text[self.counted..at]) {
            self.line += 1;
            self.start = self.counted + end + 1;
        }
        self.counted = at;
        let before = if self.line == self.first { self.mark } else { 0 };
        (self.line, at - self.start + 1 + before)
    }
}
