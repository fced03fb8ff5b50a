//! Which format bodies are in, and the formats whose columns are plain to see.

use super::{InferError, Inferred, json};
use crate::encoding::{is_text, looks_like_json};
use crate::{Field, LogicalType, RowType};

const AVRO_FILE: &[u8] = b"Obj\x01";
const AVRO_OBJECT: &[u8] = &[0xC3, 0x01];
const PARQUET: &[u8] = b"PAR1";
const ORC: &[u8] = b"ORC";

const NO_SCHEMA: &str = "an Avro value does not say what it holds: take the writer's schema, and give it with 'avro.schema' \
    (and 'avro.framing' for single-object or registry messages); only a container file can be inferred";

/// Whether bytes look like a message of some kind rather than an accident of base64.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    let magic = [AVRO_FILE, AVRO_OBJECT, PARQUET, ORC].iter().any(|magic| bytes.starts_with(magic));
    !bytes.is_empty() && (magic || is_text(bytes))
}

/// The format that all bodies can be in.
pub(super) fn format(bodies: &[&[u8]], header: bool) -> Result<&'static str, InferError> {
    let all = |magic: &[u8]| bodies.iter().all(|body| body.starts_with(magic));
    if all(AVRO_FILE) {
        return Ok("avro");
    }
    if all(AVRO_OBJECT) {
        return Err(InferError::NoSchema(NO_SCHEMA));
    }
    for (magic, name) in [(PARQUET, "parquet"), (ORC, "orc")] {
        if all(magic) {
            return super::Format::spec(name).map(|spec| spec.name).map_err(|error| InferError::Table(error.into()));
        }
    }
    // One that merely begins like JSON is better told what is wrong with it than called something else.
    if !header && bodies.iter().any(|body| looks_like_json(body) && json::is_json(body)) {
        return Ok("json");
    }
    #[cfg(feature = "csv")]
    if super::csv::delimiter(bodies).is_some() || header {
        return Ok("csv");
    }
    Ok("raw")
}

/// The whole body as one column.
pub(super) fn raw(bodies: &[&[u8]]) -> Inferred {
    let text = bodies.iter().all(|body| std::str::from_utf8(body).is_ok());
    let logical = if text { LogicalType::String } else { LogicalType::Bytes };
    let mut table = Inferred::new("raw", RowType::new([Field::new("body", logical)]));
    table.notes.push("the samples are in no format that is known: each body is one value".to_owned());
    if bodies.iter().all(|body| body.len() > 5 && body[0] == 0) {
        let note = "each begins with a zero byte: if they are Avro from a schema registry, use 'format' = 'avro' with \
            'avro.framing' = 'confluent' and 'avro.schema'";
        table.notes.push(note.to_owned());
    }
    table
}

/// The columns that the schema in the first file has.
#[cfg(feature = "avro")]
pub(super) fn avro(bodies: &[&[u8]]) -> Result<Inferred, InferError> {
    let first = bodies.iter().find(|body| !body.is_empty()).ok_or(InferError::NoSample)?;
    if !first.starts_with(AVRO_FILE) {
        return Err(InferError::NoSchema(NO_SCHEMA));
    }
    let (columns, notes) =
        crate::avro::columns_of_file(first).map_err(|reason| InferError::Sample { number: 1, reason })?;
    let mut table = Inferred::new("avro", columns);
    // Whatever the precision, the schema that is derived from the columns must be allowed; the file's own is used.
    table.set("timestamp_mapping.legacy", "false");
    table.notes = notes;
    Ok(table)
}
