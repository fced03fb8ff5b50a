//! `headwater decode`: what a table definition makes of message bodies, without any queue.

mod cases;
mod suggest;
mod table;
mod value;

use std::path::Path;

use arrow_array::{Array as _, RecordBatch};
use headwater_formats::infer::Hints;
use headwater_formats::json::{JsonEncoder, JsonOptions};
use headwater_formats::{BodyBuffers, DecodeError, Decoder, OnBadRow, Place};

use self::table::Table;
use crate::args::DecodeArgs;
use crate::exit::{Exit, Failure};
use crate::infer;
use crate::input;
use crate::output::{self, Stop};

/// The largest body read: what the formats take at most.
const BODY_MAX: u64 = 16 << 20;

/// Bodies for which a way out is looked for: it costs some twenty decodings each, and the later ones are most likely bad for
/// the same reason.
const SUGGESTED: u64 = 100;

/// Bytes shown to each side of a mistake.
const EXCERPT_RADIUS: usize = 40;

/// Prints what becomes of each body.
pub(crate) async fn run(args: DecodeArgs) -> Result<Exit, Stop> {
    if let Some(cases) = &args.cases {
        output::line(&cases::answers(cases)?)?;
        return Ok(Exit::Done);
    }
    // Clap lets one of the two through.
    let statement = statement_of(args.table.as_deref().unwrap_or_default())?;
    if args.infer {
        let samples = infer::samples(&args.files).await?;
        let found = infer::table(&samples, Hints::default())?;
        let statement = infer::statement("messages", &found);
        tracing::info!("decoding with the table that the bodies suggest:\n{statement}");
        let mut attempt = Attempt::new(&statement)?;
        for sample in &samples {
            attempt.body(&sample.input, &sample.body)?;
        }
        return Ok(attempt.exit());
    }
    let mut attempt = Attempt::new(&statement)?;
    for path in &args.files {
        let body = input::read_bytes(path, BODY_MAX)?;
        attempt.body(&path.display().to_string(), &body)?;
    }
    if args.files.is_empty() {
        let mut lines = input::lines_of_stdin(BODY_MAX);
        while let Some(line) = lines.recv().await {
            let line = line?;
            attempt.body(&format!("line {}", line.number), &line.bytes)?;
        }
    }
    Ok(attempt.exit())
}

/// A statement, or the file that holds it: `@schema.sql`.
fn statement_of(text: &str) -> Result<String, Failure> {
    match text.strip_prefix('@') {
        Some(path) => input::read_text(Path::new(path), BODY_MAX),
        None => Ok(text.to_owned()),
    }
}

struct Attempt {
    table: Table,
    decoder: Box<dyn Decoder>,
    encoder: JsonEncoder,
    buffers: BodyBuffers,
    bad: u64,
    suggested: u64,
}

impl Attempt {
    fn new(statement: &str) -> Result<Self, Failure> {
        let table = Table::read(statement)?;
        for notice in &table.notices {
            tracing::info!("{notice}");
        }
        let schema = table.factory.row_type().to_arrow();
        let encoder = JsonEncoder::new(&schema, JsonOptions::default())
            .map_err(|error| Failure::because(Exit::Usage, "rows of this table cannot be shown as JSON", &error))?;
        let decoder = table.factory.decoder();
        Ok(Self { table, decoder, encoder, buffers: BodyBuffers::default(), bad: 0, suggested: 0 })
    }

    fn exit(&self) -> Exit {
        if self.bad == 0 { Exit::Done } else { Exit::BadData }
    }

    fn body(&mut self, input: &str, raw: &[u8]) -> Result<(), Stop> {
        let Self { table, decoder, encoder, buffers, .. } = self;
        let (body, decoded) = match table.layer.open(raw, &*table.factory, buffers) {
            Ok(opened) => match opened.body {
                Some(body) => (Some(body), decoder.decode(body, OnBadRow::Salvage)),
                None => (None, Ok(decoder.decode_absent())),
            },
            Err(error) => (None, Err(error)),
        };
        let errors = decoded.map_or_else(|error| vec![error], |decoded| decoded.bad);
        let batch = decoder.flush();
        let rows = encoder
            .rows(&batch)
            .map_err(|error| Failure::because(Exit::Failed, "a row cannot be shown as JSON", &error))?;
        let mut shown_rows = Vec::new();
        for row in 0..rows.len() {
            if row > 0 {
                shown_rows.push(b',');
            }
            rows.encode(row, &mut shown_rows);
        }
        let mut line = String::from("{\"input\":");
        value::push_text(&mut line, input);
        line.push_str(",\"rows\":[");
        // The encoder writes UTF-8: JSON knows nothing else.
        line.push_str(&String::from_utf8_lossy(&shown_rows));
        line.push(']');
        let mut ways = Vec::new();
        if let Some(spec) = table.spec.as_ref().filter(|_| self.suggested < SUGGESTED) {
            match errors.first() {
                Some(error) => ways = suggest::for_error(spec, raw, body, error),
                None if only_null(&batch) => ways.extend(suggest::for_empty_rows(spec, body.unwrap_or(raw))),
                None => {}
            }
            self.suggested += u64::from(!errors.is_empty() || !ways.is_empty());
        }
        if !errors.is_empty() {
            self.bad += 1;
            line.push_str(",\"errors\":[");
            for (i, error) in errors.iter().enumerate() {
                if i > 0 {
                    line.push(',');
                }
                // Whoever decodes has the bodies at hand.
                let excerpt = table.excerpt.then(|| error.excerpt(body.unwrap_or(raw), EXCERPT_RADIUS));
                line.push_str(&shown(error, excerpt).to_string());
            }
            line.push(']');
        }
        if !ways.is_empty() {
            line.push_str(",\"suggestions\":");
            line.push_str(&serde_json::Value::from(ways).to_string());
        }
        line.push('}');
        output::line(&line)
    }
}

/// Rows, and nothing but NULL in them.
fn only_null(batch: &RecordBatch) -> bool {
    batch.num_rows() > 0 && batch.columns().iter().all(|column| column.null_count() == column.len())
}

/// An error with its coordinates, each by its name.
fn shown(error: &DecodeError, excerpt: Option<String>) -> serde_json::Value {
    let mut shown = serde_json::json!({ "message": error.to_string() });
    if let Some(row) = error.row() {
        shown["row"] = row.into();
    }
    match error.place() {
        Some(Place::Byte(at)) => shown["byte"] = at.into(),
        Some(Place::Line(line, column)) => {
            shown["line"] = line.into();
            shown["lineColumn"] = column.into();
        }
        _ => {}
    }
    if !error.path().is_empty() {
        shown["column"] = error.path().into();
    }
    if let Some(expected) = error.expected() {
        shown["expected"] = expected.into();
    }
    if let Some(excerpt) = excerpt {
        shown["excerpt"] = excerpt.into();
    }
    shown
}
