//! Flink's logical types: what a column is, before any question of how a format or Arrow holds it.

mod arrow;
mod text;

pub(crate) use arrow::timestamp_unit;

use thiserror::Error;

/// How deep types may nest, counted in `ARRAY`, `MAP`, `MULTISET` and `ROW` around a leaf. Decoders walk a type by
/// recursion, so the depth is what bounds their stack; real schemas stay below ten.
pub const MAX_TYPE_DEPTH: usize = 64;

/// The largest precision of `DECIMAL` in Flink, and of Arrow's `Decimal128`.
pub const MAX_DECIMAL_PRECISION: u8 = 38;

/// A type of Flink SQL, without nullability (that is [`DataType`]).
///
/// The lengths of `CHAR`, `VARCHAR`, `BINARY` and `VARBINARY` and the precision of times are declarations only:
/// Flink's decoders neither pad nor cut by them, with the exceptions that each format documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogicalType {
    /// `BOOLEAN`
    Boolean,
    /// `TINYINT`, 8 bits signed
    TinyInt,
    /// `SMALLINT`, 16 bits signed
    SmallInt,
    /// `INT`, 32 bits signed
    Int,
    /// `BIGINT`, 64 bits signed
    BigInt,
    /// `FLOAT`, 32 bits IEEE 754
    Float,
    /// `DOUBLE`, 64 bits IEEE 754
    Double,
    /// `DECIMAL(precision, scale)`: `precision` digits in all (1 to 38), `scale` of them after the point.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// `CHAR(n)`, n characters
    Char(u32),
    /// `VARCHAR(n)`, at most n characters
    VarChar(u32),
    /// `STRING`, which Flink also writes `VARCHAR(2147483647)`
    String,
    /// `BINARY(n)`, n bytes
    Binary(u32),
    /// `VARBINARY(n)`, at most n bytes
    VarBinary(u32),
    /// `BYTES`, which Flink also writes `VARBINARY(2147483647)`
    Bytes,
    /// `DATE`, days since 1970-01-01
    Date,
    /// `TIME(p)`, time of day. Flink holds milliseconds whatever the precision.
    Time(u8),
    /// `TIMESTAMP(p)`, a date and time of day without a zone
    Timestamp(u8),
    /// `TIMESTAMP_LTZ(p)`, an instant
    TimestampLtz(u8),
    /// `ARRAY<t>`
    Array(Box<DataType>),
    /// `MAP<k, v>`
    Map(Box<DataType>, Box<DataType>),
    /// `MULTISET<t>`: each element with its count, an `INT`
    Multiset(Box<DataType>),
    /// `ROW<…>`
    Row(RowType),
}

/// A type and whether its values may be NULL.
///
/// `NOT NULL` is a declaration: as in Flink, decoders do not enforce it, and a missing value arrives as NULL. Checking
/// it is the sink's task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DataType {
    /// The type without nullability.
    pub logical: LogicalType,
    /// False for `NOT NULL`.
    pub nullable: bool,
}

impl DataType {
    /// The type as columns have it unless declared otherwise: NULL is allowed.
    pub fn nullable(logical: LogicalType) -> Self {
        Self { logical, nullable: true }
    }

    /// The type declared `NOT NULL`.
    pub fn not_null(logical: LogicalType) -> Self {
        Self { logical, nullable: false }
    }
}

impl From<LogicalType> for DataType {
    fn from(logical: LogicalType) -> Self {
        Self::nullable(logical)
    }
}

/// A named column, or a named field of a `ROW`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name, case-sensitive as in Flink.
    pub name: String,
    /// The type and its nullability.
    pub data_type: DataType,
}

impl Field {
    /// A field of that name and type; a bare [`LogicalType`] means a nullable one.
    pub fn new(name: impl Into<String>, data_type: impl Into<DataType>) -> Self {
        Self { name: name.into(), data_type: data_type.into() }
    }
}

/// The columns of a table, or the fields of a `ROW`, in order.
///
/// Its text form (`Display`, `FromStr`) is the list as it stands between the brackets of `CREATE TABLE` or `ROW<…>`:
/// `` `id` BIGINT NOT NULL, `name` STRING ``.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RowType {
    fields: Vec<Field>,
}

impl RowType {
    /// A row of these fields, in this order. Nothing is checked here: see [`RowType::check`].
    pub fn new(fields: impl IntoIterator<Item = Field>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }

    /// The fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The position of the field with exactly this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }

    /// Every place where this row breaks a rule of Flink's type system: a name used twice, a precision, scale or
    /// length out of range, types nested deeper than [`MAX_TYPE_DEPTH`]. Empty when all is well.
    pub fn check(&self) -> Vec<TypeError> {
        let mut errors = Vec::new();
        self.check_into("", 0, &mut errors);
        errors
    }

    fn check_into(&self, path: &str, depth: usize, errors: &mut Vec<TypeError>) {
        for (i, field) in self.fields.iter().enumerate() {
            let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            if self.fields[..i].iter().any(|f| f.name == field.name) {
                errors.push(TypeError::at(&path, "the name is used twice"));
            }
            field.data_type.logical.check_into(&path, depth, errors);
        }
    }
}

impl LogicalType {
    fn check_into(&self, path: &str, depth: usize, errors: &mut Vec<TypeError>) {
        if depth > MAX_TYPE_DEPTH {
            errors.push(TypeError::at(path, format!("types may nest {MAX_TYPE_DEPTH} deep, this one nests deeper")));
            return;
        }
        let mut wrong = |message: String| errors.push(TypeError::at(path, message));
        match self {
            Self::Decimal { precision, scale } => {
                if !(1..=MAX_DECIMAL_PRECISION).contains(precision) {
                    wrong(format!("the precision of DECIMAL is 1 to {MAX_DECIMAL_PRECISION}, not {precision}"));
                }
                if scale > precision {
                    wrong(format!("the scale of DECIMAL is 0 to its precision {precision}, not {scale}"));
                }
            }
            Self::Char(0) | Self::VarChar(0) | Self::Binary(0) | Self::VarBinary(0) => {
                wrong("a length is at least 1".to_owned());
            }
            Self::Time(p) | Self::Timestamp(p) | Self::TimestampLtz(p) if *p > 9 => {
                wrong(format!("the precision of a time is 0 to 9, not {p}"));
            }
            Self::Array(t) | Self::Multiset(t) => t.logical.check_into(&format!("{path}[]"), depth + 1, errors),
            Self::Map(k, v) => {
                k.logical.check_into(&format!("{path}{{key}}"), depth + 1, errors);
                v.logical.check_into(&format!("{path}{{value}}"), depth + 1, errors);
            }
            Self::Row(row) => row.check_into(path, depth + 1, errors),
            _ => {}
        }
    }
}

/// A type that cannot be: where it stands, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("column `{path}`: ") })]
#[non_exhaustive]
pub struct TypeError {
    /// Column path, such as `order.items[].price`; empty when the type stands alone.
    pub path: String,
    /// What is wrong and, where known, what to write instead.
    pub message: String,
}

impl TypeError {
    fn at(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_reports_every_broken_rule_with_its_path() {
        let row = RowType::new([
            Field::new("a", LogicalType::Decimal { precision: 39, scale: 40 }),
            Field::new("a", LogicalType::Int),
            Field::new(
                "r",
                LogicalType::Row(RowType::new([Field::new(
                    "t",
                    LogicalType::Array(Box::new(LogicalType::Timestamp(10).into())),
                )])),
            ),
            Field::new("c", LogicalType::Char(0)),
        ]);
        let texts: Vec<String> = row.check().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "column `a`: the precision of DECIMAL is 1 to 38, not 39",
                "column `a`: the scale of DECIMAL is 0 to its precision 39, not 40",
                "column `a`: the name is used twice",
                "column `r.t[]`: the precision of a time is 0 to 9, not 10",
                "column `c`: a length is at least 1",
            ]
        );
    }

    #[test]
    fn check_stops_at_the_nesting_limit() {
        let mut t = LogicalType::Int;
        for _ in 0..MAX_TYPE_DEPTH {
            t = LogicalType::Array(Box::new(t.into()));
        }
        assert!(RowType::new([Field::new("a", t.clone())]).check().is_empty());
        let too_deep = RowType::new([Field::new("a", LogicalType::Array(Box::new(t.into())))]);
        assert_eq!(too_deep.check().len(), 1);
    }
}
