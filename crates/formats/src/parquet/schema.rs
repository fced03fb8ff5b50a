//! How the columns of a file are read, as opposed to what they are.
//!
//! Two kinds of columns are read as plainer ones, so that a value which does not fit is an error of its row instead of
//! the end of the file or, worse, a wrong value: text as bytes, since the library refuses a batch with bytes that are
//! not UTF-8; and INT96 as its 12 bytes, since the library lets dates outside of 1677 to 2262 wrap around. Bytes are
//! read as views, which refer to the pages: a dictionary entry of a megabyte can be the value of every row.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, FieldRef, Fields};
use parquet::arrow::{
    FieldLevels, ProjectionMask, parquet_to_arrow_field_levels, parquet_to_arrow_schema,
    parquet_to_arrow_schema_by_columns,
};
use parquet::basic::{ConvertedType, LogicalType as Annotation, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

/// The columns of the file whose name could be meant by one of these, which are in lower case: positions and Arrow
/// types. Columns that nobody asked for may be of types that Arrow does not have.
pub(super) fn candidates(
    schema: &SchemaDescriptor,
    lower_case: &[String],
) -> Result<(Vec<usize>, Fields), ParquetError> {
    let roots = schema.root_schema().get_fields().iter().enumerate();
    let meant = roots.filter(|(_, field)| lower_case.contains(&field.name().to_lowercase())).map(|(i, _)| i);
    let meant: Vec<usize> = meant.collect();
    // Without the file's key-value metadata, so that the schema which Arrow's writers embed plays no part.
    let columns =
        parquet_to_arrow_schema_by_columns(schema, ProjectionMask::roots(schema, meant.iter().copied()), None)?;
    Ok((meant, columns.fields))
}

/// How to read a file's columns.
pub(super) struct Reading {
    pub(super) levels: FieldLevels,
    /// For each leaf that is read, its position among all the file's leaves.
    pub(super) leaves: Vec<usize>,
}

/// How to read these columns, which are not none.
pub(super) fn reading(schema: &SchemaDescriptor, roots: &[usize]) -> Result<Reading, ParquetError> {
    let all = schema.root_schema();
    let needed = roots.iter().filter_map(|root| all.get_fields().get(*root));
    let needed = needed.map(|field| plain(field)).collect::<Result<Vec<_>, _>>()?;
    let plain = SchemaDescriptor::new(Arc::new(Type::group_type_builder(all.name()).with_fields(needed).build()?));
    let hint: Fields = parquet_to_arrow_schema(&plain, None)?.fields.iter().map(as_views).collect();
    let levels = parquet_to_arrow_field_levels(&plain, ProjectionMask::all(), Some(&hint))?;
    let leaves = (0..schema.num_columns()).filter(|leaf| roots.contains(&schema.get_column_root_idx(*leaf)));
    Ok(Reading { levels, leaves: leaves.collect() })
}

fn plain(t: &Type) -> Result<TypePtr, ParquetError> {
    let info = t.get_basic_info();
    let id = info.has_id().then(|| info.id());
    match t {
        Type::GroupType { fields, .. } => {
            let fields = fields.iter().map(|field| plain(field)).collect::<Result<Vec<_>, _>>()?;
            let mut group = Type::group_type_builder(info.name())
                .with_fields(fields)
                .with_id(id)
                .with_logical_type(info.logical_type_ref().cloned())
                .with_converted_type(info.converted_type());
            if info.has_repetition() {
                group = group.with_repetition(info.repetition());
            }
            Ok(Arc::new(group.build()?))
        }
        Type::PrimitiveType { physical_type, .. } => {
            let (physical, length) = match physical_type {
                Physical::INT96 => (Physical::FIXED_LEN_BYTE_ARRAY, 12),
                Physical::BYTE_ARRAY if !is_decimal(t) => (Physical::BYTE_ARRAY, -1),
                _ => return Ok(Arc::new(t.clone())),
            };
            let leaf = Type::primitive_type_builder(info.name(), physical).with_length(length).with_id(id);
            let leaf = if info.has_repetition() { leaf.with_repetition(info.repetition()) } else { leaf };
            Ok(Arc::new(leaf.build()?))
        }
    }
}

/// Also of columns that are NULL throughout by their type, which need to stay what they are.
fn is_decimal(t: &Type) -> bool {
    let info = t.get_basic_info();
    let annotated = matches!(info.logical_type_ref(), Some(Annotation::Decimal { .. } | Annotation::Unknown));
    annotated || info.converted_type() == ConvertedType::DECIMAL
}

fn as_views(field: &FieldRef) -> FieldRef {
    let views = |fields: &Fields| fields.iter().map(as_views).collect::<Fields>();
    let data_type = match field.data_type() {
        ArrowType::Binary => ArrowType::BinaryView,
        ArrowType::List(item) => ArrowType::List(as_views(item)),
        ArrowType::Map(entries, sorted) => ArrowType::Map(as_views(entries), *sorted),
        ArrowType::Struct(fields) => ArrowType::Struct(views(fields)),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}
