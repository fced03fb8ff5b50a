//! The arrays of a file to the arrays of a table, nested ones included.
//!
//! A value that does not fit becomes a placeholder and a [`Bad`]; on the way out each level says which of its values
//! that part belongs to, until it is a row of the table.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int32Array, ListArray, MapArray, StructArray, new_null_array};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType, FieldRef};

use super::plan::{Plan, RowPlan};
use super::{broken, exceeds, leaf};
use crate::{DecodeError, DecodeErrorKind};

/// Values that do not fit are noted up to this number for one batch; a batch has far fewer rows. It bounds what a list
/// of millions of bad elements takes.
const MAX_BAD: usize = 100_000;

/// A value that does not fit the column.
#[derive(Debug)]
pub(super) struct Bad {
    /// Its position in the array at hand.
    pub(super) at: usize,
    pub(super) error: DecodeError,
}

/// What goes along with a conversion.
#[derive(Debug)]
pub(super) struct Conversion {
    pub(super) bad: Vec<Bad>,
    /// Bytes that text and bytes may still take, and the limit they come from.
    pub(super) room: usize,
    pub(super) limit: usize,
}

impl Conversion {
    /// Takes so many bytes of the room before they are allocated.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.room = self.room.checked_sub(bytes).ok_or_else(|| exceeds("decoded_bytes", self.limit))?;
        Ok(())
    }

    pub(super) fn bad(&mut self, at: usize, reason: &'static str, expected: &str) -> Result<(), DecodeError> {
        if self.bad.len() >= MAX_BAD {
            return Err(broken("more values than can be listed do not fit their columns"));
        }
        let error = DecodeError::new(DecodeErrorKind::Value(reason)).expecting(expected);
        self.bad.push(Bad { at, error });
        Ok(())
    }

    /// Converts a part with its own list of bad values and says where in this array they are.
    fn part(
        &mut self,
        convert: impl FnOnce(&mut Self) -> Result<ArrayRef, DecodeError>,
        owner: impl Fn(usize) -> Option<(usize, String)>,
    ) -> Result<ArrayRef, DecodeError> {
        let before = std::mem::take(&mut self.bad);
        let array = convert(self)?;
        let found = std::mem::replace(&mut self.bad, before);
        for Bad { at, error } in found {
            if let Some((at, segment)) = owner(at) {
                self.bad.push(Bad { at, error: error.within(&segment) });
            }
        }
        Ok(array)
    }
}

/// An array that the reader made is not as its schema says.
pub(super) fn odd(error: &ArrowError) -> DecodeError {
    broken(format!("its columns do not fit together: {error}"))
}

impl RowPlan {
    /// One array for each field of the table, of `len` values, from the file's columns.
    pub(super) fn convert(
        &self,
        columns: &[ArrayRef],
        len: usize,
        valid: Option<&NullBuffer>,
        to: &mut Conversion,
    ) -> Result<Vec<ArrayRef>, DecodeError> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter().zip(&self.fields) {
            arrays.push(match &column.source {
                None => new_null_array(field.data_type(), len),
                Some((at, plan)) => {
                    let source = columns.get(*at).ok_or_else(|| broken("a column is missing that its schema has"))?;
                    let here = |at: usize| valid.is_none_or(|v| v.is_valid(at)).then(|| (at, column.name.to_string()));
                    to.part(|to| plan.convert(source, to), here)?
                }
            });
        }
        Ok(arrays)
    }
}

impl Plan {
    pub(super) fn convert(&self, array: &ArrayRef, to: &mut Conversion) -> Result<ArrayRef, DecodeError> {
        if array.data_type() == &ArrowType::Null {
            return Ok(new_null_array(&self.arrow_type(), array.len()));
        }
        match self {
            Self::Leaf(leaf) => leaf::convert(leaf, array, to),
            Self::Row(plan) => {
                let source = array.as_struct_opt().ok_or_else(|| broken("a row of another type than its schema"))?;
                let nulls = source.nulls().cloned();
                let arrays = plan.convert(source.columns(), source.len(), nulls.as_ref(), to)?;
                let row = StructArray::try_new_with_length(plan.fields.clone(), arrays, nulls, source.len());
                Ok(Arc::new(row.map_err(|e| odd(&e))?))
            }
            Self::Array { item, field } => {
                let source = array.as_list_opt::<i32>().ok_or_else(|| broken("a list of another type"))?;
                let parts = Parts::new(source.offsets(), source.nulls());
                let items = parts.of(source.values());
                let items = to.part(|to| item.convert(&items, to), |at| parts.owner(at, |n| format!("[{n}]")))?;
                let list = ListArray::try_new(field.clone(), parts.offsets, items, parts.nulls);
                Ok(Arc::new(list.map_err(|e| odd(&e))?))
            }
            Self::Map { key, value, entries } => {
                let source = array.as_map_opt().ok_or_else(|| broken("a map of another type"))?;
                convert_map(key, value, entries, source, to)
            }
        }
    }

    fn arrow_type(&self) -> ArrowType {
        match self {
            Self::Leaf(leaf) => leaf.arrow.clone(),
            Self::Row(plan) => ArrowType::Struct(plan.fields.clone()),
            Self::Array { field, .. } => ArrowType::List(field.clone()),
            Self::Map { entries, .. } => ArrowType::Map(entries.clone(), false),
        }
    }
}

fn convert_map(
    key: &Plan,
    value: &Plan,
    entries: &FieldRef,
    source: &MapArray,
    to: &mut Conversion,
) -> Result<ArrayRef, DecodeError> {
    let parts = Parts::new(source.offsets(), source.nulls());
    let (keys, values) = (parts.of(source.keys()), parts.of(source.values()));
    let keys = to.part(
        |to| {
            let keys = key.convert(&keys, to)?;
            without_nulls(keys, to)
        },
        |at| parts.owner(at, |_| "{key}".to_owned()),
    )?;
    let values = to.part(|to| value.convert(&values, to), |at| parts.owner(at, |_| "{}".to_owned()))?;
    let ArrowType::Struct(fields) = entries.data_type() else { unreachable!("the entries of a Map are a Struct") };
    let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(|e| odd(&e))?;
    let map = MapArray::try_new(entries.clone(), parts.offsets, pairs, parts.nulls, false);
    Ok(Arc::new(map.map_err(|e| odd(&e))?))
}

/// Keys that are NULL are bad, and Arrow's maps cannot hold them even until the row is dropped: another key stands in.
fn without_nulls(keys: ArrayRef, to: &mut Conversion) -> Result<ArrayRef, DecodeError> {
    let Some(nulls) = keys.nulls().filter(|nulls| nulls.null_count() > 0).cloned() else { return Ok(keys) };
    for at in (0..keys.len()).filter(|at| nulls.is_null(*at)) {
        to.bad(at, "a key that is NULL", "a value")?;
    }
    let Some(stand_in) = nulls.valid_indices().next() else {
        return Err(broken("a map whose keys are all NULL"));
    };
    let index = |at| i32::try_from(if nulls.is_valid(at) { at } else { stand_in }).unwrap_or(0);
    let indices: Int32Array = (0..keys.len()).map(index).collect::<Vec<i32>>().into();
    arrow_select::take::take(&keys, &indices, None).map_err(|e| odd(&e))
}

/// The elements of lists or maps, with offsets that begin at the first one in use.
struct Parts {
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    first: usize,
    len: usize,
}

impl Parts {
    fn new(offsets: &OffsetBuffer<i32>, nulls: Option<&NullBuffer>) -> Self {
        // There is always a first offset, and none is negative.
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let rebased = if first == 0 {
            offsets.clone()
        } else {
            OffsetBuffer::new(offsets.iter().map(|end| end - first).collect::<ScalarBuffer<i32>>())
        };
        Self { offsets: rebased, nulls: nulls.cloned(), first: first as usize, len: (last - first) as usize }
    }

    fn of(&self, values: &ArrayRef) -> ArrayRef {
        if self.first == 0 && values.len() == self.len { values.clone() } else { values.slice(self.first, self.len) }
    }

    /// The list an element belongs to, and the segment of the path for its place in there. Elements of a list that is
    /// NULL belong to nobody.
    fn owner(&self, element: usize, segment: impl Fn(usize) -> String) -> Option<(usize, String)> {
        let element = i32::try_from(element).ok()?;
        // Empty lists end where they begin, so the last that begins here or before is the one.
        let list = self.offsets.partition_point(|start| *start <= element).checked_sub(1)?;
        let valid = list + 1 < self.offsets.len() && self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(list));
        // Not negative: the list begins at the element or before.
        valid.then(|| (list, segment((element - self.offsets[list]) as usize)))
    }
}
