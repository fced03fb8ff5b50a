//! Columns for the Arrow fields of a file.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field as ArrowField, Fields, Schema};

use super::{InferError, Inferred};
use crate::{DecodeError, RowType};

/// The table for a file whose fields are read by `fields`.
pub(super) fn table(
    format: &'static str,
    body: &[u8],
    fields: impl FnOnce(&[u8]) -> Result<Fields, DecodeError>,
) -> Result<Inferred, InferError> {
    let fields = fields(body).map_err(|error| InferError::Sample { number: 1, reason: error.to_string() })?;
    let mut notes = Vec::new();
    let mut columns = Vec::new();
    for field in &fields {
        match RowType::from_arrow(&Schema::new(vec![widened(field)])) {
            Ok(row) => columns.extend(row.fields().iter().cloned()),
            Err(error) => notes.push(format!("left out: {error}")),
        }
    }
    let mut table = Inferred::new(format, RowType::new(columns));
    table.notes = notes;
    Ok(table)
}

/// Flink has no unsigned integers: the next larger type holds them.
fn widened(field: &ArrowField) -> ArrowField {
    let part = |field: &Arc<ArrowField>| Arc::new(widened(field));
    let wider = match field.data_type() {
        ArrowType::UInt8 => ArrowType::Int16,
        ArrowType::UInt16 => ArrowType::Int32,
        ArrowType::UInt32 => ArrowType::Int64,
        ArrowType::UInt64 => ArrowType::Decimal128(20, 0),
        ArrowType::List(element) | ArrowType::LargeList(element) => ArrowType::List(part(element)),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(part).collect()),
        ArrowType::Map(entries, sorted) => ArrowType::Map(part(entries), *sorted),
        other => other.clone(),
    };
    ArrowField::new(field.name(), wider, field.is_nullable())
}
