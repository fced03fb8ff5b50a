//! Parts of nested values: `row.field`, `array[1]`, `map['key']`, `CARDINALITY`.

use arrow::compute::{SortOptions, take};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, UInt64Array, make_array};
use arrow_buffer::NullBuffer;
use arrow_ord::ord::make_comparator;
use arrow_schema::DataType as ArrowType;
use headwater_formats::LogicalType;

use super::call::{Binding, Call, Env, Function, build};
use super::cast;
use super::kernel::{Args, KernelResult};
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind, did_you_mean};
use crate::types::{Family, converts_implicitly, family};

pub(super) const FUNCTIONS: &[Function] =
    &[Function { name: "CARDINALITY", usage: "CARDINALITY(array or map)", arity: 1..=1, bind: cardinality }];

const DAMAGED: &str = "the nested value cannot be read";

/// `value.name`; NULL of a NULL row.
pub(crate) fn field(value: Bound, name: &str, env: Env, position: Position) -> Binding {
    let Some(LogicalType::Row(row)) = &value.logical else {
        let message = format!("`.{name}` needs a ROW, this is {}", value.type_name());
        return Err(ScriptError::new(ScriptErrorKind::Type, position, message));
    };
    let Some(index) = row.index_of(name) else {
        let names = row.fields().iter().map(|f| f.name.as_str());
        let message = format!("the row has no field `{name}`.{}", did_you_mean(name, names));
        return Err(ScriptError::new(ScriptErrorKind::Name, position, message));
    };
    let logical = row.fields()[index].data_type.logical.clone();
    build("field", vec![value], logical, false, position, env, move |args| {
        let row = args.array(0).array.as_struct();
        let column = row.column(index);
        if row.null_count() == 0 {
            return Ok(ArrayRef::clone(column));
        }
        let nulls = NullBuffer::union(column.nulls(), row.nulls());
        let data = column.to_data().into_builder().nulls(nulls).build().map_err(|_| DAMAGED)?;
        Ok(make_array(data))
    })
}

/// `value[key]`: an element of an array counted from 1, or the value of a map. NULL where there is none.
pub(crate) fn element(value: Bound, key: Bound, env: Env, position: Position) -> Binding {
    match value.logical.clone() {
        Some(LogicalType::Array(t)) => {
            if !matches!(key.logical.as_ref().map(family), Some(Family::Integer) | None) {
                let message = format!("an array is read by a whole number from 1, not by {}", key.type_name());
                return Err(ScriptError::new(ScriptErrorKind::Type, key.position, message));
            }
            let key = cast::implicit(key, &LogicalType::BigInt, env)?;
            build("element", vec![value, key], t.logical, false, position, env, array_element)
        }
        Some(LogicalType::Map(k, v)) => {
            if key.logical.as_ref().is_some_and(|t| !converts_implicitly(t, &k.logical)) {
                let message = format!("the keys of the map are {}, not {}", k.logical, key.type_name());
                return Err(ScriptError::new(ScriptErrorKind::Type, key.position, message));
            }
            let key = cast::implicit(key, &k.logical, env)?;
            build("element", vec![value, key], v.logical, false, position, env, map_element)
        }
        _ => {
            let message = format!("`[…]` needs an ARRAY or a MAP, this is {}", value.type_name());
            Err(ScriptError::new(ScriptErrorKind::Type, position, message))
        }
    }
}

fn array_element(args: &Args) -> KernelResult {
    let (lists, keys) = (args.array(0), args.numbers::<Int64Type>(1));
    let list = lists.array.as_list::<i32>();
    let place = |row: usize| {
        let (at, key) = lists.index(row).zip(keys.get(row))?;
        let (start, end) = (list.value_offsets()[at] as u64, list.value_offsets()[at + 1] as u64);
        let place = start.checked_add(u64::try_from(key).ok()?.checked_sub(1)?)?;
        (place < end).then_some(place)
    };
    let places: UInt64Array = (0..args.rows()).map(place).collect();
    take(list.values(), &places, None).map_err(|_| DAMAGED.into())
}

fn map_element(args: &Args) -> KernelResult {
    let (maps, keys) = (args.array(0), args.array(1));
    let map = maps.array.as_map();
    let compare = make_comparator(map.keys(), keys.array, SortOptions::default()).map_err(|_| DAMAGED)?;
    let place = |row: usize| {
        let (at, key) = maps.index(row).zip(keys.index(row))?;
        let (start, end) = (map.value_offsets()[at] as usize, map.value_offsets()[at + 1] as usize);
        // Of equal keys the last one counts, as in a Java map that was filled in order.
        (start..end).rev().find(|entry| compare(*entry, key).is_eq()).map(|entry| entry as u64)
    };
    let places: UInt64Array = (0..args.rows()).map(place).collect();
    take(map.values(), &places, None).map_err(|_| DAMAGED.into())
}

fn cardinality(call: Call) -> Binding {
    let map = match &call.args[0].logical {
        Some(LogicalType::Array(_)) => false,
        Some(LogicalType::Map(..) | LogicalType::Multiset(_)) => true,
        _ => return Err(call.error(call.args[0].position, format!("the argument is {}", call.args[0].type_name()))),
    };
    call.result(1, LogicalType::Int, false, move |args| {
        let values = args.array(0);
        args.to_numbers::<Int32Type>(&ArrowType::Int32, |i| {
            Ok(values.index(i).map(|at| match map {
                true => values.array.as_map().value_length(at),
                false => values.array.as_list::<i32>().value_length(at),
            }))
        })
    })
}
