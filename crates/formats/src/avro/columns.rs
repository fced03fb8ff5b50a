//! The columns that hold what a schema describes.

use super::container::Container;
use super::schema::{Kind, Logical, NodeId, ROOT, Schema, Unit};
use crate::types::MAX_DECIMAL_PRECISION;
use crate::{DataType, Field, Limits, LogicalType, RowType};

/// The columns for the records of a container file, and what cannot be told or held.
///
/// # Errors
/// What is wrong with the file or its schema.
pub(crate) fn columns_of_file(body: &[u8]) -> Result<(RowType, Vec<String>), String> {
    let container = Container::open(body).map_err(|error| error.to_string())?;
    let schema = Schema::parse(container.schema, Limits::default().columns)?;
    let mut columns = Columns { schema: &schema, open: Vec::new(), notes: Vec::new() };
    let row = columns.record(ROOT, "");
    Ok((row, columns.notes))
}

struct Columns<'a> {
    schema: &'a Schema,
    /// The records that are being described: one that holds itself has no type.
    open: Vec<NodeId>,
    notes: Vec<String>,
}

impl Columns<'_> {
    fn record(&mut self, id: NodeId, path: &str) -> RowType {
        let mut fields = Vec::new();
        self.open.push(id);
        for field in self.schema.fields(id) {
            let path = if path.is_empty() { field.name.to_string() } else { format!("{path}.{}", field.name) };
            if let Some(data_type) = self.data_type(field.node, &path) {
                fields.push(Field::new(field.name.to_string(), data_type));
            }
        }
        self.open.pop();
        RowType::new(fields)
    }

    fn data_type(&mut self, id: NodeId, path: &str) -> Option<DataType> {
        let Kind::Union(branches, _) = &self.schema.node(id).kind else {
            return Some(DataType::not_null(self.logical(id, path)?));
        };
        let null = |id: &&NodeId| matches!(self.schema.node(**id).kind, Kind::Null);
        let nullable = branches.iter().any(|id| null(&id));
        let others: Vec<NodeId> = branches.iter().filter(|id| !null(id)).copied().collect();
        let [branch] = others[..] else {
            return self.none(path, "it is a union of several types");
        };
        let logical = self.logical(branch, path)?;
        Some(DataType { logical, nullable })
    }

    fn none<T>(&mut self, path: &str, why: &str) -> Option<T> {
        self.notes.push(format!("the field `{path}` has no column: {why}"));
        None
    }

    fn logical(&mut self, id: NodeId, path: &str) -> Option<LogicalType> {
        let schema = self.schema;
        let node = schema.node(id);
        Some(match (&node.kind, node.logical) {
            (Kind::Boolean, _) => LogicalType::Boolean,
            (Kind::Int, Some(Logical::Date)) => LogicalType::Date,
            (Kind::Int, Some(Logical::TimeMillis)) => LogicalType::Time(3),
            (Kind::Long, Some(Logical::TimeMicros)) => LogicalType::Time(3),
            (Kind::Long, Some(Logical::Moment(unit))) => LogicalType::Timestamp(match unit {
                Unit::Millis => 3,
                Unit::Micros => 6,
                Unit::Nanos => 9,
            }),
            (Kind::Int, _) => LogicalType::Int,
            (Kind::Long, _) => LogicalType::BigInt,
            (Kind::Float, _) => LogicalType::Float,
            (Kind::Double, _) => LogicalType::Double,
            (Kind::Bytes | Kind::Fixed(_), Some(Logical::Decimal { scale })) => {
                // The digits are not kept: as many as there can be.
                let scale = u8::try_from(scale).unwrap_or(MAX_DECIMAL_PRECISION).min(MAX_DECIMAL_PRECISION);
                LogicalType::Decimal { precision: MAX_DECIMAL_PRECISION, scale }
            }
            (Kind::Fixed(_), Some(Logical::Uuid)) | (Kind::String | Kind::Enum(_), _) => LogicalType::String,
            (Kind::Bytes | Kind::Fixed(_), _) => LogicalType::Bytes,
            (Kind::Array(element), _) => LogicalType::Array(Box::new(self.data_type(*element, &format!("{path}[]"))?)),
            (Kind::Map(value), _) => {
                let value = self.data_type(*value, &format!("{path}{{}}"))?;
                LogicalType::Map(Box::new(DataType::not_null(LogicalType::String)), Box::new(value))
            }
            (Kind::Record(_), _) if self.open.contains(&id) => return self.none(path, "it holds itself"),
            (Kind::Record(_), _) => {
                let row = self.record(id, path);
                if row.fields().is_empty() {
                    return self.none(path, "it is a record without fields");
                }
                LogicalType::Row(row)
            }
            (Kind::Null | Kind::Union(..), _) => return self.none(path, "it is always null, or a union in a union"),
        })
    }
}
