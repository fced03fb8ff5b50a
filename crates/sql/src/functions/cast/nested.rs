//! Arrays, maps and rows into one another, element by element.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType as ArrowType;
use headwater_formats::LogicalType;

use super::{Options, array};
use crate::functions::kernel::{KernelResult, RowError};

/// Converts nested values. Types of the same arrow layout may still differ in the names of their fields.
pub(super) fn convert(values: &ArrayRef, from: &LogicalType, to: &LogicalType, options: Options) -> KernelResult {
    let arrow = to.to_arrow();
    let child = |values: &ArrayRef, from: &LogicalType, to: &LogicalType| {
        if from == to { Ok(Arc::clone(values)) } else { array(values, from, to, options) }
    };
    match (from, to, &arrow) {
        (LogicalType::Array(a), LogicalType::Array(b), ArrowType::List(field)) => {
            let list = values.as_list::<i32>();
            let (items, offsets) = trim(list.values(), list.offsets());
            let items = child(&items, &a.logical, &b.logical)?;
            wrap(ListArray::try_new(Arc::clone(field), offsets, items, list.nulls().cloned()))
        }
        (LogicalType::Map(ka, va), LogicalType::Map(kb, vb), ArrowType::Map(field, sorted)) => {
            let map = values.as_map();
            let (keys, offsets) = trim(map.keys(), map.offsets());
            let keys = child(&keys, &ka.logical, &kb.logical)?;
            let items = child(&trim(map.values(), map.offsets()).0, &va.logical, &vb.logical)?;
            let entries = entries(field.data_type(), keys, items)?;
            wrap(MapArray::try_new(Arc::clone(field), offsets, entries, map.nulls().cloned(), *sorted))
        }
        (LogicalType::Multiset(a), LogicalType::Multiset(b), ArrowType::Map(field, sorted)) => {
            let map = values.as_map();
            let (keys, offsets) = trim(map.keys(), map.offsets());
            let keys = child(&keys, &a.logical, &b.logical)?;
            let entries = entries(field.data_type(), keys, trim(map.values(), map.offsets()).0)?;
            wrap(MapArray::try_new(Arc::clone(field), offsets, entries, map.nulls().cloned(), *sorted))
        }
        (LogicalType::Row(a), LogicalType::Row(b), ArrowType::Struct(fields)) => {
            let row = values.as_struct();
            let columns = a.fields().iter().zip(b.fields()).zip(row.columns());
            let columns = columns.map(|((a, b), column)| child(column, &a.data_type.logical, &b.data_type.logical));
            wrap(StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, row.nulls().cloned()))
        }
        _ => Err(format!("no conversion from {from} to {to}").into()),
    }
}

/// `TRY_CAST`: a row in which anything fails is NULL as a whole.
pub(super) fn attempt(values: &ArrayRef, from: &LogicalType, to: &LogicalType, options: Options) -> KernelResult {
    let options = Options { attempt: false, ..options };
    if let Ok(converted) = convert(values, from, to, options) {
        return Ok(converted);
    }
    let null = arrow_array::new_null_array(&to.to_arrow(), 1);
    let rows: Vec<ArrayRef> = (0..values.len())
        .map(|i| convert(&values.slice(i, 1), from, to, options).unwrap_or_else(|_| Arc::clone(&null)))
        .collect();
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    arrow::compute::concat(&rows).map_err(|_| "the converted rows do not fit together".into())
}

/// The items of these rows alone. A slice of an array shares all items of the whole one, and one that fails there must
/// not fail here.
fn trim(items: &ArrayRef, offsets: &OffsetBuffer<i32>) -> (ArrayRef, OffsetBuffer<i32>) {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return (Arc::clone(items), offsets.clone());
    };
    let own = items.slice(*first as usize, (last - first) as usize);
    (own, OffsetBuffer::new(offsets.iter().map(|o| o - first).collect()))
}

fn entries(entry: &ArrowType, keys: ArrayRef, values: ArrayRef) -> Result<StructArray, RowError> {
    let ArrowType::Struct(fields) = entry else { return Err("a map without entries".into()) };
    StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(|_| "a map key is NULL".into())
}

fn wrap<A: Array + 'static>(built: Result<A, arrow_schema::ArrowError>) -> KernelResult {
    built.map(|a| Arc::new(a) as ArrayRef).map_err(|_| "a part of the value is NULL that may not be".into())
}
