//! The decoder of the `avro` format: one value is a row, a container file many.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::binary::Binary;
use super::codec::{Broken, Codec};
use super::container::{Block, Container};
use super::derive::derive;
use super::fingerprint::fingerprints;
use super::options::{AvroOptions, Framing};
use super::plan::{Mismatch, What, plan};
use super::read::{Compiled, Reader};
use super::schema::Schema;
use super::source::{Outcome, Source as _};
use super::text::Json;
use crate::column::{BufferPool, Row};
use crate::unicode::to_utf8;
use crate::{
    DecodeError, DecodeErrorKind, Decoded, Decoder, DecoderFactory, FormatError, FormatErrors, Limits, OnBadRow,
    RowType,
};

/// The most values that a plan has for each column it may have: unions of many records within each other multiply.
const VALUES_PER_COLUMN: usize = 4;

/// Makes Avro decoders.
#[derive(Debug)]
pub(crate) struct AvroFactory {
    row_type: RowType,
    table: Arc<Compiled>,
    json: bool,
    framing: Framing,
    fingerprints: Arc<[[u8; 8]]>,
    limits: Limits,
    pool: BufferPool,
}

impl AvroFactory {
    pub(crate) fn create(
        row_type: &RowType,
        given: &BTreeMap<String, String>,
        limits: Limits,
    ) -> Result<Arc<Self>, FormatErrors> {
        let (options, mut errors) = AvroOptions::read(given, limits);
        let AvroOptions { json, framing, .. } = options;
        match compile(row_type, options, limits) {
            Ok(table) if errors.is_empty() => {
                let text = given.get("avro.schema").filter(|_| framing == Framing::SingleObject);
                let fingerprints = fingerprints(&table.schema, text.map(String::as_str)).into();
                let (row_type, table) = (row_type.clone(), Arc::new(table));
                Ok(Arc::new(Self { row_type, table, json, framing, fingerprints, limits, pool: BufferPool::default() }))
            }
            Ok(_) => Err(FormatErrors(errors)),
            Err(more) => {
                errors.extend(more);
                Err(FormatErrors(errors))
            }
        }
    }
}

fn compile(row_type: &RowType, options: AvroOptions, limits: Limits) -> Result<Compiled, Vec<FormatError>> {
    let schema = match options.schema {
        Some(schema) => schema,
        None => derive(row_type, options.legacy_timestamps)?,
    };
    let plan = plan(&schema, row_type, limits.columns * VALUES_PER_COLUMN)
        .map_err(|mismatches| mismatches.into_iter().map(unsupported).collect::<Vec<_>>())?;
    Ok(Compiled { schema, plan })
}

fn unsupported(mismatch: Mismatch) -> FormatError {
    let reason = match mismatch.what {
        What::Other(what) => format!("the schema has {what} there"),
        What::Missing(None) => "the schema has no such field, and the column is NOT NULL".to_owned(),
        What::Missing(Some(nearest)) => {
            format!("the schema has no such field, and the column is NOT NULL: did you mean '{nearest}'?")
        }
        What::TooLarge => "the schema has too many unions within each other".to_owned(),
    };
    FormatError::UnsupportedType { format: "avro", column: mismatch.path, data_type: mismatch.data_type, reason }
}

impl DecoderFactory for AvroFactory {
    fn row_type(&self) -> &RowType {
        &self.row_type
    }

    fn is_binary(&self) -> bool {
        !self.json
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(AvroDecoder {
            table: self.table.clone(),
            json: self.json,
            framing: self.framing,
            fingerprints: self.fingerprints.clone(),
            row_type: self.row_type.clone(),
            row: Row::pooled(&self.row_type, &self.pool),
            schema: self.row_type.to_arrow(),
            reader: Reader::new(self.limits),
            rows: 0,
            bytes: 0,
            file: None,
            buffer: Vec::new(),
        })
    }
}

#[derive(Debug)]
struct AvroDecoder {
    table: Arc<Compiled>,
    json: bool,
    framing: Framing,
    fingerprints: Arc<[[u8; 8]]>,
    row_type: RowType,
    row: Row,
    schema: SchemaRef,
    reader: Reader,
    rows: usize,
    bytes: usize,
    /// The schema of the last container file, as it stood there: the next one mostly has the same.
    file: Option<(Box<str>, Arc<Compiled>)>,
    /// A block without its compression, or a JSON text as UTF-8.
    buffer: Vec<u8>,
}

/// What is known about the message being read.
struct Message {
    on_bad: OnBadRow,
    /// Rows so far, good and bad.
    seen: usize,
    bad: Vec<DecodeError>,
    /// Bytes of the blocks so far, decompressed.
    inflated: usize,
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        if self.bytes > Limits::MAX_DECODED_BYTES {
            return Err(DecodeError::new(DecodeErrorKind::BufferFull));
        }
        let before = self.rows;
        self.reader.spent = 0;
        let mut message = Message { on_bad, seen: 0, bad: Vec::new(), inflated: 0 };
        let mut buffer = take(&mut self.buffer);
        let result = self.message(body, &mut buffer, &mut message);
        self.buffer = buffer;
        if let Err(error) = result {
            let limit = matches!(error.kind(), DecodeErrorKind::Limit { .. });
            if limit || on_bad == OnBadRow::Fail {
                self.rows = before;
            }
            self.row.truncate(self.rows);
            let error = if limit { error } else { error.at_row(message.seen) };
            if on_bad == OnBadRow::Fail {
                return Err(error);
            }
            message.bad.push(error);
        }
        if self.rows > before {
            self.bytes += self.reader.spent;
        }
        Ok(Decoded { rows: self.rows - before, bad: message.bad, ignored: 0 })
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn flush(&mut self) -> RecordBatch {
        self.bytes = 0;
        self.row.finish_batch(&self.schema, take(&mut self.rows))
    }
}

impl AvroDecoder {
    fn message(&mut self, body: &[u8], buffer: &mut Vec<u8>, message: &mut Message) -> Outcome<()> {
        let limit = self.reader.limits.body_bytes;
        if body.len() > limit {
            return Err(DecodeError::new(DecodeErrorKind::Limit { name: "body_bytes", limit }));
        }
        if self.json {
            return self.text(body, buffer);
        }
        match self.framing {
            Framing::None if Container::is(body) => return self.container(body, buffer, message),
            Framing::None => {
                let datum = self.datum(body, 0);
                return datum.map_err(|error| match hint(body) {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                });
            }
            Framing::SingleObject => {
                self.check_fingerprint(body)?;
                self.datum(body, 10)?;
            }
            Framing::Confluent { id } => {
                let found = check_id(body, id)?;
                self.datum(body, 5).map_err(|error| error.with_hint(id_hint(found)))?;
            }
        }
        Ok(())
    }

    /// What is behind the value is not looked at.
    fn datum(&mut self, body: &[u8], offset: usize) -> Outcome<()> {
        let mut source = Binary::new(&body[offset..], offset);
        self.reader.row(&mut source, &self.table, &mut self.row)?;
        self.rows += 1;
        Ok(())
    }

    fn text(&mut self, body: &[u8], buffer: &mut Vec<u8>) -> Outcome<()> {
        let bad = |what| DecodeError::new(DecodeErrorKind::Encoding(what)).at_byte(0);
        let text = to_utf8(body, buffer).map_err(bad)?;
        let mut source = Json::new(text, &self.reader.limits)?;
        self.reader.row(&mut source, &self.table, &mut self.row).map_err(|error| error.with_hint(JSON_HINT))?;
        self.rows += 1;
        Ok(())
    }

    fn check_fingerprint(&self, body: &[u8]) -> Outcome<()> {
        let bad = |what, at| DecodeError::new(DecodeErrorKind::Syntax(what)).at_byte(at);
        match body {
            [0xC3, 0x01, rest @ ..] => match rest.first_chunk::<8>() {
                Some(found) if self.fingerprints.contains(found) => Ok(()),
                Some(_) => {
                    Err(bad("the message was written with another schema than the table's", 2).with_hint(SCHEMA_HINT))
                }
                None => Err(bad("the body ends within the fingerprint of the schema", body.len())),
            },
            _ => Err(bad("no single-object message, which begins with the bytes C3 01", 0).with_hint(FRAMING_HINT)),
        }
    }

    fn container(&mut self, body: &[u8], buffer: &mut Vec<u8>, message: &mut Message) -> Outcome<()> {
        let mut file = Container::open(body)?;
        let compiled = self.file_plan(file.schema)?;
        while let Some(block) = file.next_block()? {
            let rows = self.block(file.codec, &block, buffer, &compiled, message);
            rows.or_else(|error| self.bad_row(error, message))?;
        }
        Ok(())
    }

    /// Reads a block. Without compression its rows are read where they are, so that errors can say where.
    fn block(
        &mut self,
        codec: Codec,
        block: &Block<'_>,
        buffer: &mut Vec<u8>,
        compiled: &Compiled,
        message: &mut Message,
    ) -> Outcome<()> {
        if codec == Codec::Null {
            return self.block_rows(Binary::new(block.data, block.at), block.rows, compiled, message);
        }
        let limit = self.reader.limits.decoded_bytes;
        let left = limit.saturating_sub(message.inflated);
        codec.decompress(block.data, left, buffer).map_err(|broken| match broken {
            Broken::TooLong => DecodeError::new(DecodeErrorKind::Limit { name: "decoded_bytes", limit }),
            Broken::Data(what) => DecodeError::new(DecodeErrorKind::Syntax(what)).at_byte(block.at),
        })?;
        message.inflated += buffer.len();
        let noted = message.bad.len();
        let rows = self.block_rows(Binary::new(buffer, 0), block.rows, compiled, message);
        // An offset in the decompressed block is none in the body.
        for error in &mut message.bad[noted..] {
            *error = error.clone().at_byte(block.at);
        }
        rows.map_err(|error| error.at_byte(block.at))
    }

    /// Reads the rows of a block. After an error that leaves the bytes in step the next row is read, after another one
    /// the rest of the block is lost.
    fn block_rows(
        &mut self,
        mut source: Binary<'_>,
        rows: u64,
        compiled: &Compiled,
        message: &mut Message,
    ) -> Outcome<()> {
        for _ in 0..rows {
            let limit = self.reader.limits.rows;
            if message.seen >= limit {
                return Err(DecodeError::new(DecodeErrorKind::Limit { name: "rows", limit }));
            }
            let before = source.clone();
            match self.reader.row(&mut source, compiled, &mut self.row) {
                Ok(()) => {
                    self.rows += 1;
                    message.seen += 1;
                }
                Err(error) if self.reader.misfit => {
                    self.bad_row(error, message)?;
                    source = before;
                    self.reader.skip_row(&mut source, &compiled.schema)?;
                }
                Err(error) => return Err(error),
            }
        }
        if source.rest().is_empty() {
            return Ok(());
        }
        let more = DecodeErrorKind::Syntax("a block with more bytes than its rows have");
        Err(DecodeError::new(more).at_byte(source.position()))
    }

    /// Notes a row that cannot be read, or fails with it when one is enough.
    fn bad_row(&mut self, error: DecodeError, message: &mut Message) -> Outcome<()> {
        if message.on_bad == OnBadRow::Fail || matches!(error.kind(), DecodeErrorKind::Limit { .. }) {
            return Err(error);
        }
        self.row.truncate(self.rows);
        message.bad.push(error.at_row(message.seen));
        message.seen += 1;
        Ok(())
    }

    /// The plan for a file's own schema.
    fn file_plan(&mut self, text: &str) -> Outcome<Arc<Compiled>> {
        if let Some((known, compiled)) = &self.file
            && **known == *text
        {
            return Ok(compiled.clone());
        }
        let limits = self.reader.limits;
        let bad = |what| DecodeError::new(DecodeErrorKind::Syntax(what)).at_byte(4);
        let schema = Schema::parse(text, limits.columns)
            .map_err(|_| bad("a container file whose schema is no record that can be read"))?;
        let plan = plan(&schema, &self.row_type, limits.columns * VALUES_PER_COLUMN).map_err(|mismatches| {
            let Some(Mismatch { path, data_type, what }) = mismatches.into_iter().next() else {
                return bad("a container file whose schema does not suit the table");
            };
            let kind = match what {
                What::Other(what) => DecodeErrorKind::Value(what),
                What::Missing(_) => DecodeErrorKind::MissingField,
                What::TooLarge => DecodeErrorKind::Value("a schema with too many unions within each other"),
            };
            DecodeError::new(kind).within(&path).expecting(data_type).with_hint(FILE_HINT)
        })?;
        let compiled = Arc::new(Compiled { schema, plan });
        self.file = Some((text.into(), compiled.clone()));
        Ok(compiled)
    }
}

const JSON_HINT: &str = "a value that may be NULL names its type in Avro's JSON, as in {\"int\": 1}; for other JSON use \
                         the format 'json'";
const SCHEMA_HINT: &str = "set 'avro.schema' to the schema it was written with";
const FRAMING_HINT: &str = "set 'avro.framing' to what stands before the values";
const FILE_HINT: &str = "the schema of the container file does not suit the columns of the table";

/// What a body that is not as declared may be instead.
fn hint(body: &[u8]) -> Option<&'static str> {
    match body {
        [0xC3, 0x01, ..] if body.len() >= 10 => {
            Some("it begins as single-object messages do: set 'avro.framing' to 'single-object' if it is one")
        }
        [0x00, _, _, _, _, _, ..] => {
            Some("it begins as Confluent's messages do: set 'avro.framing' to 'confluent' if it is one")
        }
        [b'{', ..] => Some("it looks like JSON: set 'avro.encoding' to 'json', or use the format 'json'"),
        _ => None,
    }
}

fn id_hint(id: u32) -> String {
    format!("the message names the schema id {id}: set 'avro.schema' to that schema")
}

/// The schema id of a message with Confluent's framing.
fn check_id(body: &[u8], wanted: Option<u32>) -> Outcome<u32> {
    let bad = |what| DecodeError::new(DecodeErrorKind::Syntax(what)).at_byte(0);
    let [0, id @ ..] = body else {
        return Err(bad("no message with Confluent's framing, which begins with a zero byte").with_hint(FRAMING_HINT));
    };
    let Some(id) = id.first_chunk::<4>() else { return Err(bad("the body ends within the schema id")) };
    let id = u32::from_be_bytes(*id);
    if wanted.is_some_and(|wanted| wanted != id) {
        return Err(bad("another schema id than 'avro.schema-id' says").with_hint(id_hint(id)));
    }
    Ok(id)
}
