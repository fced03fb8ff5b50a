//! `headwater decode`: what a table definition makes of message bodies, without any queue.

mod cases;
mod table;
mod value;

use std::path::Path;

use headwater_formats::json::{JsonEncoder, JsonOptions};
use headwater_formats::{BodyBuffers, DecodeError, Decoder, OnBadRow, Place};

use self::table::Table;
use crate::args::DecodeArgs;
use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::{self, Stop};

/// The largest body read: what the formats take at most.
const BODY_MAX: u64 = 16 << 20;

/// Bytes shown to each side of a mistake.
const EXCERPT_RADIUS: usize = 40;

/// Prints what becomes of each body.
pub(crate) async fn run(args: DecodeArgs) -> Result<Exit, Stop> {
    if let Some(cases) = &args.cases {
        output::line(&cases::answers(cases)?)?;
        return Ok(Exit::Done);
    }
    // Clap lets one of the two through.
    let statement = args.table.as_deref().unwrap_or_default();
    let table = Table::read(&statement_of(statement)?).map_err(Failure::from)?;
    for notice in &table.notices {
        tracing::info!("{notice}");
    }
    let schema = table.factory.row_type().to_arrow();
    let encoder = JsonEncoder::new(&schema, JsonOptions::default())
        .map_err(|error| Failure::because(Exit::Usage, "rows of this table cannot be shown as JSON", &error))?;
    let decoder = table.factory.decoder();
    let mut attempt = Attempt { table, decoder, encoder, buffers: BodyBuffers::default(), bad: 0 };
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
    Ok(if attempt.bad == 0 { Exit::Done } else { Exit::BadData })
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
}

impl Attempt {
    fn body(&mut self, input: &str, body: &[u8]) -> Result<(), Stop> {
        let Self { table, decoder, encoder, buffers, .. } = self;
        // Whoever decodes has the bodies at hand.
        let excerpt = |error: &DecodeError, read: &[u8]| table.excerpt.then(|| error.excerpt(read, EXCERPT_RADIUS));
        let found = match table.layer.open(body, &*table.factory, buffers) {
            Ok(opened) => {
                let decoded = match opened.body {
                    Some(read) => decoder.decode(read, OnBadRow::Salvage),
                    None => Ok(decoder.decode_absent()),
                };
                let errors = decoded.map_or_else(|error| vec![error], |decoded| decoded.bad);
                let read = opened.body.unwrap_or_default();
                errors.iter().map(|error| shown(error, excerpt(error, read))).collect()
            }
            Err(error) => vec![shown(&error, excerpt(&error, body))],
        };
        let errors: Vec<serde_json::Value> = found;
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
        if !errors.is_empty() {
            self.bad += 1;
            line.push_str(",\"errors\":[");
            for (i, error) in errors.iter().enumerate() {
                if i > 0 {
                    line.push(',');
                }
                line.push_str(&error.to_string());
            }
            line.push(']');
        }
        line.push('}');
        output::line(&line)
    }
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
