//! The schema that Flink derives from the columns of a table.
//!
//! The root record has a fixed name, a nested one the name of what it is in, an underscore and the column's name; names
//! of fields are the columns'. A column that may be NULL is a union of null and its type, in that order.

use std::collections::HashMap;

use super::schema::{Field, Kind, Logical, Node, NodeId, Schema, Unit, union_of};
use crate::coerce::ascii_digits;
use crate::{DataType, FormatError, LogicalType, RowType};

/// The name of the root record in Flink.
const ROOT_NAME: &str = "org.apache.flink.avro.generated.record";

/// The schema of a table's columns, or everything that keeps Flink from deriving one.
pub(super) fn derive(row: &RowType, legacy_timestamps: bool) -> Result<Schema, Vec<FormatError>> {
    let mut derived = Derived { nodes: Vec::new(), records: HashMap::new(), errors: Vec::new() };
    derived.row(row, ROOT_NAME, "", Spot::Table { legacy: legacy_timestamps });
    if derived.errors.is_empty() { Ok(Schema::of(derived.nodes)) } else { Err(derived.errors) }
}

/// What a type is in. `timestamp_mapping.legacy` counts for columns, for `TIMESTAMP` also in nested rows, but within
/// arrays and maps the legacy mapping is all there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spot {
    Table { legacy: bool },
    Row { legacy: bool },
    Collection,
}

impl Spot {
    fn nested(self) -> Self {
        match self {
            Self::Table { legacy } | Self::Row { legacy } => Self::Row { legacy },
            Self::Collection => self,
        }
    }
}

struct Derived {
    nodes: Vec<Node>,
    /// Record names with the rows they stand for.
    records: HashMap<String, RowType>,
    errors: Vec<FormatError>,
}

impl Derived {
    fn row(&mut self, row: &RowType, name: &str, path: &str, spot: Spot) -> NodeId {
        if self.records.get(name).is_some_and(|other| other != row) {
            let reason = format!(
                "column `{path}` and another one would both be records named '{name}' in the Avro schema; rename one"
            );
            self.errors.push(FormatError::UnsupportedColumns { format: "avro", reason });
        }
        self.records.insert(name.to_owned(), row.clone());
        let id = self.push(Kind::Null, None, name);
        let mut fields = Vec::with_capacity(row.fields().len());
        for field in row.fields() {
            let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            if !is_name(&field.name) {
                let reason = format!(
                    "`{path}` is no name in Avro: a letter or an underscore, then letters, digits and underscores"
                );
                self.errors.push(FormatError::UnsupportedColumns { format: "avro", reason });
            }
            let node = self.value(&field.data_type, &format!("{name}_{}", field.name), &path, spot);
            fields.push(Field { name: field.name.as_str().into(), aliases: Vec::new(), node });
        }
        self.nodes[id].kind = Kind::Record(fields);
        id
    }

    fn value(&mut self, t: &DataType, name: &str, path: &str, spot: Spot) -> NodeId {
        if !t.nullable {
            return self.not_null(&t.logical, name, path, spot);
        }
        let union = self.push(Kind::Null, None, "union");
        let null = self.push(Kind::Null, None, "null");
        let node = self.not_null(&t.logical, name, path, spot);
        self.nodes[union].kind = union_of(&self.nodes, vec![null, node]);
        union
    }

    fn not_null(&mut self, t: &LogicalType, name: &str, path: &str, spot: Spot) -> NodeId {
        let (kind, logical, label) = match t {
            LogicalType::Boolean => (Kind::Boolean, None, "boolean"),
            LogicalType::TinyInt | LogicalType::SmallInt | LogicalType::Int => (Kind::Int, None, "int"),
            LogicalType::BigInt => (Kind::Long, None, "long"),
            LogicalType::Float => (Kind::Float, None, "float"),
            LogicalType::Double => (Kind::Double, None, "double"),
            LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => (Kind::String, None, "string"),
            LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => (Kind::Bytes, None, "bytes"),
            LogicalType::Decimal { scale, .. } => {
                (Kind::Bytes, Some(Logical::Decimal { scale: usize::from(*scale) }), "bytes")
            }
            LogicalType::Date => (Kind::Int, Some(Logical::Date), "int"),
            // Flink holds milliseconds whatever the precision.
            LogicalType::Time(_) => (Kind::Int, Some(Logical::TimeMillis), "int"),
            LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => {
                (Kind::Long, self.timestamp(t, path, spot), "long")
            }
            LogicalType::Array(items) => {
                let id = self.push(Kind::Null, None, "array");
                let items = self.value(items, name, &format!("{path}[]"), Spot::Collection);
                self.nodes[id].kind = Kind::Array(items);
                return id;
            }
            LogicalType::Map(key, value) => return self.map(t, key, value, name, path),
            LogicalType::Multiset(key) => return self.map(t, key, &LogicalType::Int.into(), name, path),
            LogicalType::Row(row) => return self.row(row, name, path, spot.nested()),
        };
        self.push(kind, logical, label)
    }

    fn map(&mut self, t: &LogicalType, key: &DataType, value: &DataType, name: &str, path: &str) -> NodeId {
        if !matches!(key.logical, LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String) {
            self.unsupported(t, path, "the keys of Avro maps are strings, use STRING for them");
        }
        let id = self.push(Kind::Null, None, "map");
        let values = self.value(value, name, &format!("{path}{{}}"), Spot::Collection);
        self.nodes[id].kind = Kind::Map(values);
        id
    }

    fn timestamp(&mut self, t: &LogicalType, path: &str, spot: Spot) -> Option<Logical> {
        let (precision, ltz) = match t {
            LogicalType::TimestampLtz(p) => (*p, true),
            LogicalType::Timestamp(p) => (*p, false),
            _ => return None,
        };
        let reason = match (spot, ltz, precision) {
            (Spot::Table { legacy: false }, _, 0..=6)
            | (Spot::Row { legacy: false }, false, 0..=6)
            | (_, false, 0..=3) => None,
            (Spot::Table { legacy: true }, _, 0..=6) | (Spot::Row { legacy: true }, false, 0..=6) => {
                Some("set 'avro.timestamp_mapping.legacy' to false, or use TIMESTAMP(3)")
            }
            (Spot::Table { .. }, ..) | (Spot::Row { legacy: false }, false, _) => {
                Some("use a precision of 6 at most, or give the schema with 'avro.schema'")
            }
            _ => Some("within other types use TIMESTAMP(3), or give the schema with 'avro.schema'"),
        };
        if let Some(reason) = reason {
            self.unsupported(t, path, reason);
        }
        Some(Logical::Moment(if precision <= 3 { Unit::Millis } else { Unit::Micros }))
    }

    fn unsupported(&mut self, t: &LogicalType, path: &str, reason: &str) {
        let (column, data_type) = (path.to_owned(), t.to_string());
        self.errors.push(FormatError::UnsupportedType { format: "avro", column, data_type, reason: reason.to_owned() });
    }

    fn push(&mut self, kind: Kind, logical: Option<Logical>, label: &str) -> NodeId {
        self.nodes.push(Node { kind, logical, label: label.into() });
        self.nodes.len() - 1
    }
}

/// A name by Java's rule, which takes letters and digits of every script in the Basic Multilingual Plane.
fn is_name(name: &str) -> bool {
    let letter = |c: char| c == '_' || u32::from(c) < 0x1_0000 && c.is_alphabetic();
    let digit = |c: char| {
        let ascii = ascii_digits(c.encode_utf8(&mut [0; 4]).as_bytes());
        c.is_ascii_digit() || ascii.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
    };
    let mut chars = name.chars();
    chars.next().is_some_and(letter) && chars.all(|c| letter(c) || digit(c))
}
