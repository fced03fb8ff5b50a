//! The columns for a type, learnt from the type itself.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use headwater_formats::{RowType, TypeError};
use serde::de::DeserializeOwned;
use serde_arrow::schema::{SchemaLike, TracingOptions};

/// The columns that hold a `T`: its fields by name, `NOT NULL` unless they are an `Option`.
///
/// Integers become the smallest type that holds them (`u64` becomes `BIGINT`), an enum without data `STRING`. Types that read a
/// text of a certain form (dates and times of `chrono`, decimals) cannot be traced, or turn out as `STRING`: write those columns
/// by hand.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: u32,
///     note: Option<String>,
///     items: Vec<Item>,
/// }
/// #[derive(serde::Deserialize)]
/// struct Item {
///     sku: String,
///     price: f64,
/// }
/// assert_eq!(
///     headwater_core::row_type_of::<Order>()?.to_string(),
///     "`id` BIGINT NOT NULL, `note` STRING, \
///      `items` ARRAY<ROW<`sku` STRING NOT NULL, `price` DOUBLE NOT NULL> NOT NULL> NOT NULL"
/// );
/// # Ok::<(), headwater_core::SchemaError>(())
/// ```
///
/// # Errors
/// When the type does not show its fields (a map, `serde_json::Value`, a type that is read by looking at the data), or has one
/// that no column can hold.
pub fn row_type_of<T: DeserializeOwned>() -> Result<RowType, SchemaError> {
    let options = TracingOptions::default().map_as_struct(false).enums_without_data_as_strings(true);
    let fields = Vec::<FieldRef>::from_type::<T>(options).map_err(|cause| SchemaError::Traced(Box::new(cause)))?;
    let fields: Fields = fields.iter().map(flink_field).collect();
    Ok(RowType::from_arrow(&Schema::new(fields))?)
}

/// Why a type has no columns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Its fields cannot be learnt.
    #[error("the columns cannot be learnt from the type: write them out")]
    Traced(#[source] Box<serde_arrow::Error>),
    /// A field is of a type that no column has.
    #[error(transparent)]
    Type(#[from] TypeError),
}

fn flink_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), flink_type(field.data_type()), field.is_nullable()))
}

/// Flink has no unsigned integers and no dictionaries.
fn flink_type(traced: &DataType) -> DataType {
    match traced {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Dictionary(_, values) => flink_type(values),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(flink_field).collect()),
        DataType::List(element) | DataType::LargeList(element) => DataType::List(flink_field(element)),
        DataType::Map(entries, sorted) => DataType::Map(flink_field(entries), *sorted),
        other => other.clone(),
    }
}
