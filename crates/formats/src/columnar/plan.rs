//! What is to be done with the columns of a file, found once for each file and before any value is read.

use arrow_schema::{DataType as ArrowType, Field, FieldRef, Fields, Schema};

use super::names;
use crate::{DecodeError, DecodeErrorKind, LogicalType, RowType};

/// The columns of a table, or the fields of a `ROW`, and where in the file each comes from.
#[derive(Debug)]
pub(crate) struct RowPlan {
    pub(super) columns: Vec<ColumnPlan>,
    pub(super) fields: Fields,
}

#[derive(Debug)]
pub(super) struct ColumnPlan {
    pub(super) name: Box<str>,
    /// The position among the file's columns and what to do with it; `None` for a column that the file lacks.
    pub(super) source: Option<(usize, Plan)>,
}

/// What to do with one column, or one part of a nested column.
#[derive(Debug)]
pub(super) enum Plan {
    Leaf(Leaf),
    Array { item: Box<Self>, field: FieldRef },
    Map { key: Box<Self>, value: Box<Self>, entries: FieldRef },
    Row(RowPlan),
}

/// A column without parts: the file's value becomes the table's.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) logical: LogicalType,
    pub(super) arrow: ArrowType,
    /// The type as Flink SQL text, for errors.
    pub(super) text: Box<str>,
}

impl RowPlan {
    /// Finds each field of `row` among the columns of the file, whose types are given as Arrow types.
    ///
    /// # Errors
    /// A column whose type in the file is not one that widens to the table's, or a name that several columns of the
    /// file could mean.
    pub(crate) fn new(row: &RowType, file: &Fields) -> Result<Self, DecodeError> {
        let mut columns = Vec::with_capacity(row.fields().len());
        for field in row.fields() {
            let found = names::find(&field.name, file, |name| row.index_of(name).is_some()).map_err(|candidates| {
                DecodeError::new(DecodeErrorKind::AmbiguousColumn { candidates }).within(&field.name)
            })?;
            let source = match found {
                Some(i) => {
                    let plan = Plan::new(&field.data_type.logical, &file[i]).map_err(|e| e.within(&field.name))?;
                    Some((i, plan))
                }
                None => None,
            };
            columns.push(ColumnPlan { name: field.name.as_str().into(), source });
        }
        Ok(Self { columns, fields: row.to_arrow_fields() })
    }

    /// The file's columns that are needed, in the file's order. From now on the plan is for batches of these alone.
    pub(crate) fn project(&mut self) -> Vec<usize> {
        let mut needed: Vec<usize> = self.columns.iter().filter_map(|c| Some(c.source.as_ref()?.0)).collect();
        needed.sort_unstable();
        needed.dedup();
        for (at, _) in self.columns.iter_mut().filter_map(|c| c.source.as_mut()) {
            // Every source is among those that are needed.
            *at = needed.binary_search(at).unwrap_or_default();
        }
        needed
    }
}

impl Plan {
    fn new(table: &LogicalType, file: &Field) -> Result<Self, DecodeError> {
        let mismatch = || Err(mismatch(table, file));
        match (table, file.data_type()) {
            (LogicalType::Array(item), ArrowType::List(element)) => {
                let item = Self::new(&item.logical, element).map_err(|e| e.within("[]"))?;
                let ArrowType::List(field) = table.to_arrow() else { return mismatch() };
                Ok(Self::Array { item: Box::new(item), field })
            }
            (LogicalType::Map(key, value), ArrowType::Map(entries, _)) => {
                Self::map(table, &key.logical, &value.logical, entries).unwrap_or_else(mismatch)
            }
            (LogicalType::Multiset(element), ArrowType::Map(entries, _)) => {
                Self::map(table, &element.logical, &LogicalType::Int, entries).unwrap_or_else(mismatch)
            }
            (LogicalType::Row(row), ArrowType::Struct(fields)) => Ok(Self::Row(RowPlan::new(row, fields)?)),
            (_, ArrowType::Null) => Ok(Self::leaf(table)),
            (_, file) if widens(file, table) => Ok(Self::leaf(table)),
            _ => mismatch(),
        }
    }

    fn leaf(table: &LogicalType) -> Self {
        Self::Leaf(Leaf { logical: table.clone(), arrow: table.to_arrow(), text: table.to_string().into() })
    }

    fn map(
        table: &LogicalType,
        key: &LogicalType,
        value: &LogicalType,
        file: &Field,
    ) -> Option<Result<Self, DecodeError>> {
        let (ArrowType::Struct(parts), ArrowType::Map(entries, _)) = (file.data_type(), table.to_arrow()) else {
            return None;
        };
        let [file_key, file_value] = &parts[..] else { return None };
        let parts = Self::new(key, file_key)
            .map_err(|e| e.within("{key}"))
            .and_then(|key| Ok((key, Self::new(value, file_value).map_err(|e| e.within("{}"))?)));
        Some(parts.map(|(key, value)| Self::Map { key: Box::new(key), value: Box::new(value), entries }))
    }
}

fn mismatch(table: &LogicalType, file: &Field) -> DecodeError {
    let schema = Schema::new(vec![Field::new("c", file.data_type().clone(), true)]);
    let file = match RowType::from_arrow(&schema) {
        Ok(row) => row.fields().first().map_or_else(String::new, |field| field.data_type.logical.to_string()),
        Err(_) => file.data_type().to_string(),
    };
    DecodeError::new(DecodeErrorKind::ColumnType { file }).expecting(table.to_string())
}

/// Whether every value of the file's type is one of the table's type. Timestamps count as such whatever their unit:
/// digits that the column does not hold are cut, as Flink does it.
fn widens(file: &ArrowType, table: &LogicalType) -> bool {
    use ArrowType as A;
    match table {
        LogicalType::Boolean => matches!(file, A::Boolean),
        LogicalType::TinyInt => matches!(file, A::Int8),
        LogicalType::SmallInt => matches!(file, A::Int8 | A::UInt8 | A::Int16),
        LogicalType::Int => matches!(file, A::Int8 | A::UInt8 | A::Int16 | A::UInt16 | A::Int32),
        LogicalType::BigInt => {
            matches!(file, A::Int8 | A::UInt8 | A::Int16 | A::UInt16 | A::Int32 | A::UInt32 | A::Int64)
        }
        // A float has 24 bits for the digits, a double 53.
        LogicalType::Float => matches!(file, A::Int8 | A::UInt8 | A::Int16 | A::UInt16 | A::Float16 | A::Float32),
        LogicalType::Double => matches!(
            file,
            A::Int8 | A::UInt8 | A::Int16 | A::UInt16 | A::Int32 | A::UInt32 | A::Float16 | A::Float32 | A::Float64
        ),
        LogicalType::Decimal { precision, scale } => decimal_digits(file).is_some_and(|(whole, fraction)| {
            fraction <= i16::from(*scale) && whole <= i16::from(*precision) - i16::from(*scale)
        }),
        LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => {
            matches!(file, A::Utf8 | A::Utf8View | A::Binary | A::BinaryView)
        }
        LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => {
            matches!(file, A::Utf8 | A::Utf8View | A::Binary | A::BinaryView | A::FixedSizeBinary(_))
        }
        LogicalType::Date => matches!(file, A::Date32),
        LogicalType::Time(_) => matches!(file, A::Time32(_) | A::Time64(_)),
        LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => matches!(file, A::Timestamp(..)),
        LogicalType::Array(_) | LogicalType::Map(..) | LogicalType::Multiset(_) | LogicalType::Row(_) => false,
    }
}

/// Digits before and after the point that a number of this type can have.
fn decimal_digits(file: &ArrowType) -> Option<(i16, i16)> {
    Some(match file {
        ArrowType::Int8 | ArrowType::UInt8 => (3, 0),
        ArrowType::Int16 | ArrowType::UInt16 => (5, 0),
        ArrowType::Int32 | ArrowType::UInt32 => (10, 0),
        ArrowType::Int64 => (19, 0),
        ArrowType::UInt64 => (20, 0),
        ArrowType::Decimal128(precision, scale) | ArrowType::Decimal256(precision, scale) => {
            (i16::from(*precision) - i16::from(*scale), i16::from(*scale))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::TimeUnit;

    use super::*;

    fn plan(table: &str, file: Vec<Field>) -> Result<RowPlan, String> {
        let table: RowType = table.parse().expect("columns");
        RowPlan::new(&table, &file.into()).map_err(|e| e.to_string())
    }

    /// Which types of a file a column takes, in full.
    #[test]
    fn the_widening_matrix() {
        use ArrowType as A;
        let files = [
            A::Boolean,
            A::Int8,
            A::UInt8,
            A::Int16,
            A::UInt16,
            A::Int32,
            A::UInt32,
            A::Int64,
            A::UInt64,
            A::Float32,
            A::Float64,
            A::Decimal128(5, 2),
            A::Decimal128(20, 0),
            A::Utf8,
            A::Binary,
            A::FixedSizeBinary(4),
            A::Date32,
            A::Time32(TimeUnit::Millisecond),
            A::Time64(TimeUnit::Nanosecond),
            A::Timestamp(TimeUnit::Microsecond, None),
            A::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            A::Interval(arrow_schema::IntervalUnit::DayTime),
        ];
        for (table, taken) in [
            ("BOOLEAN", "b_____________________"),
            ("TINYINT", "_1____________________"),
            ("SMALLINT", "_111__________________"),
            ("INT", "_11111________________"),
            ("BIGINT", "_1111111______________"),
            ("FLOAT", "_1111____1____________"),
            ("DOUBLE", "_111111__11___________"),
            ("DECIMAL(20, 0)", "_11111111___1_________"),
            ("DECIMAL(19, 0)", "_1111111______________"),
            ("DECIMAL(12, 2)", "_111111____1__________"),
            ("DECIMAL(4, 2)", "______________________"),
            ("DECIMAL(5, 1)", "_11___________________"),
            ("STRING", "_____________11_______"),
            ("CHAR(3)", "_____________11_______"),
            ("BYTES", "_____________111______"),
            ("DATE", "________________1_____"),
            ("TIME(0)", "_________________11___"),
            ("TIMESTAMP(3)", "___________________11_"),
            ("TIMESTAMP_LTZ(9)", "___________________11_"),
            ("ARRAY<INT>", "______________________"),
            ("ROW<a INT>", "______________________"),
        ] {
            let got: String = files
                .iter()
                .map(|file| plan(&format!("c {table}"), vec![Field::new("c", file.clone(), true)]).is_ok())
                .map(|ok| if ok { '1' } else { '_' })
                .collect();
            assert_eq!(got, taken.replace('b', "1"), "{table}");
        }
    }

    #[test]
    fn a_mismatch_names_the_column_and_both_types() {
        let item = Arc::new(Field::new("element", ArrowType::Int64, true));
        let inner = Fields::from(vec![Field::new("Items", ArrowType::List(item), true)]);
        let file = vec![Field::new("order", ArrowType::Struct(inner), true), Field::new("u", ArrowType::UInt64, true)];
        assert_eq!(
            plan("`order` ROW<items ARRAY<INT>>", file.clone()).expect_err("narrowing"),
            "column `order.items[]`: the file has BIGINT, expected INT"
        );
        assert_eq!(
            plan("u BIGINT", file.clone()).expect_err("narrowing"),
            "column `u`: the file has UInt64, expected BIGINT"
        );
        assert_eq!(
            plan("`order` STRING", file).expect_err("a row"),
            "column `order`: the file has ROW<`Items` ARRAY<BIGINT>>, expected STRING"
        );
        let twice = vec![Field::new("A", ArrowType::Int32, true), Field::new("a", ArrowType::Int32, true)];
        assert!(plan("a INT", twice).is_ok());
        let twice = vec![Field::new("Ab", ArrowType::Int32, true), Field::new("aB", ArrowType::Int32, true)];
        assert_eq!(
            plan("ab INT", twice).expect_err("ambiguous"),
            "column `ab`: the file has several columns of that name in other letter case: `Ab`, `aB`; \
             declare the one that is meant by its exact name"
        );
    }

    #[test]
    fn only_the_needed_columns_are_read() {
        let file = ["a", "b", "c", "d"].map(|name| Field::new(name, ArrowType::Int32, true)).to_vec();
        let mut plan = plan("d INT, x INT, b BIGINT", file).expect("a plan");
        assert_eq!(plan.project(), [1, 3]);
        let sources: Vec<Option<usize>> = plan.columns.iter().map(|c| Some(c.source.as_ref()?.0)).collect();
        assert_eq!(sources, [Some(1), None, Some(0)]);
    }
}
