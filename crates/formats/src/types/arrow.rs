//! Flink types to Arrow types and back.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit};

use super::{DataType, Field, LogicalType, MAX_DECIMAL_PRECISION, RowType, TypeError};

/// The zone that `TIMESTAMP_LTZ` columns carry in Arrow. A plain offset needs no time zone database.
const UTC: &str = "+00:00";

/// `CREATE TABLE` cannot say more than this in a precision, and `VARCHAR(MAX)` is `STRING`.
pub(super) const MAX_LENGTH: u32 = i32::MAX as u32;

impl RowType {
    /// The Arrow schema of decoded batches.
    ///
    /// How types map:
    ///
    /// | Flink | Arrow |
    /// |---|---|
    /// | `BOOLEAN` | `Boolean` |
    /// | `TINYINT SMALLINT INT BIGINT` | `Int8 Int16 Int32 Int64` |
    /// | `FLOAT DOUBLE` | `Float32 Float64` |
    /// | `DECIMAL(p, s)` | `Decimal128(p, s)` |
    /// | `CHAR VARCHAR STRING` | `Utf8` (Flink neither pads nor cuts) |
    /// | `BINARY VARBINARY BYTES` | `Binary` |
    /// | `DATE` | `Date32` |
    /// | `TIME(p)` | `Time32(Millisecond)` for every p: that is what Flink holds |
    /// | `TIMESTAMP(0..3)` | `Timestamp(Millisecond)` |
    /// | `TIMESTAMP(4..9)` | `Timestamp(Nanosecond)` |
    /// | `TIMESTAMP_LTZ(p)` | as `TIMESTAMP(p)`, with the zone `+00:00` |
    /// | `ARRAY<t>` | `List`, element field `item` |
    /// | `MAP<k, v>` | `Map`, entries `entries{keys, values}` |
    /// | `MULTISET<t>` | as `MAP<t, INT>` |
    /// | `ROW<…>` | `Struct` |
    ///
    /// Every Arrow field is nullable (map keys excepted), also for `NOT NULL` columns: decoders do not enforce
    /// `NOT NULL`, and an Arrow array must not say what it does not keep.
    ///
    /// **Why nanoseconds from precision 4 on.** Flink keeps all nine fractional digits of a value whatever precision
    /// above 3 is declared, so microseconds would drop digits that Flink shows. The price is the range of a 64-bit
    /// nanosecond count, the years 1677 to 2262: a value outside of it is an error of that row, which names
    /// `TIMESTAMP(3)` as the way out (milliseconds reach every year). A value is never wrapped or clamped.
    pub fn to_arrow(&self) -> SchemaRef {
        Arc::new(Schema::new(self.to_arrow_fields()))
    }

    /// The fields of [`RowType::to_arrow`].
    pub fn to_arrow_fields(&self) -> Fields {
        self.fields.iter().map(|f| ArrowField::new(&f.name, f.data_type.logical.to_arrow(), true)).collect()
    }

    /// The row that holds what this Arrow schema holds. Field metadata is ignored.
    ///
    /// This is not the inverse of [`RowType::to_arrow`]: several Arrow types stand for one Flink type (`LargeUtf8` and
    /// `Utf8View` are `STRING`, `Timestamp(Microsecond)` is `TIMESTAMP(6)`, `FixedSizeBinary(n)` is `BINARY(n)`), and
    /// decoded batches always have the types of the table above.
    ///
    /// # Errors
    /// The first column whose Arrow type Flink has no type for (unsigned integers, intervals, unions …).
    pub fn from_arrow(schema: &Schema) -> Result<Self, TypeError> {
        fields_from_arrow(schema.fields(), "")
    }
}

impl LogicalType {
    /// The Arrow type of decoded values; see the table at [`RowType::to_arrow`].
    pub fn to_arrow(&self) -> ArrowType {
        match self {
            Self::Boolean => ArrowType::Boolean,
            Self::TinyInt => ArrowType::Int8,
            Self::SmallInt => ArrowType::Int16,
            Self::Int => ArrowType::Int32,
            Self::BigInt => ArrowType::Int64,
            Self::Float => ArrowType::Float32,
            Self::Double => ArrowType::Float64,
            // Both are at most 38, see RowType::check.
            Self::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale as i8),
            Self::Char(_) | Self::VarChar(_) | Self::String => ArrowType::Utf8,
            Self::Binary(_) | Self::VarBinary(_) | Self::Bytes => ArrowType::Binary,
            Self::Date => ArrowType::Date32,
            Self::Time(_) => ArrowType::Time32(TimeUnit::Millisecond),
            Self::Timestamp(p) => ArrowType::Timestamp(timestamp_unit(*p), None),
            Self::TimestampLtz(p) => ArrowType::Timestamp(timestamp_unit(*p), Some(UTC.into())),
            Self::Array(t) => ArrowType::new_list(t.logical.to_arrow(), true),
            Self::Map(k, v) => map_to_arrow(&k.logical, &v.logical),
            Self::Multiset(t) => map_to_arrow(&t.logical, &Self::Int),
            Self::Row(row) => ArrowType::Struct(row.to_arrow_fields()),
        }
    }
}

/// The unit that holds `TIMESTAMP(precision)`; see the table at [`RowType::to_arrow`].
pub(crate) fn timestamp_unit(precision: u8) -> TimeUnit {
    if precision <= 3 { TimeUnit::Millisecond } else { TimeUnit::Nanosecond }
}

fn map_to_arrow(key: &LogicalType, value: &LogicalType) -> ArrowType {
    let entries = Fields::from(vec![
        ArrowField::new("keys", key.to_arrow(), false),
        ArrowField::new("values", value.to_arrow(), true),
    ]);
    ArrowType::Map(Arc::new(ArrowField::new("entries", ArrowType::Struct(entries), false)), false)
}

fn fields_from_arrow(fields: &Fields, path: &str) -> Result<RowType, TypeError> {
    let fields = fields.iter().map(|f| {
        let path = if path.is_empty() { f.name().clone() } else { format!("{path}.{}", f.name()) };
        Ok(Field::new(f.name(), field_from_arrow(f, &path)?))
    });
    Ok(RowType { fields: fields.collect::<Result<_, _>>()? })
}

fn field_from_arrow(field: &ArrowField, path: &str) -> Result<DataType, TypeError> {
    Ok(DataType { logical: type_from_arrow(field.data_type(), path)?, nullable: field.is_nullable() })
}

fn type_from_arrow(t: &ArrowType, path: &str) -> Result<LogicalType, TypeError> {
    Ok(match t {
        ArrowType::Boolean => LogicalType::Boolean,
        ArrowType::Int8 => LogicalType::TinyInt,
        ArrowType::Int16 => LogicalType::SmallInt,
        ArrowType::Int32 => LogicalType::Int,
        ArrowType::Int64 => LogicalType::BigInt,
        ArrowType::Float32 => LogicalType::Float,
        ArrowType::Float64 => LogicalType::Double,
        ArrowType::Decimal128(p, s) => decimal_from_arrow(*p, *s, path)?,
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => LogicalType::String,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => LogicalType::Bytes,
        ArrowType::FixedSizeBinary(n) if *n > 0 => LogicalType::Binary(n.unsigned_abs()),
        ArrowType::Date32 => LogicalType::Date,
        ArrowType::Time32(unit) | ArrowType::Time64(unit) => LogicalType::Time(precision_of(*unit)),
        ArrowType::Timestamp(unit, None) => LogicalType::Timestamp(precision_of(*unit)),
        ArrowType::Timestamp(unit, Some(_)) => LogicalType::TimestampLtz(precision_of(*unit)),
        ArrowType::List(f) | ArrowType::LargeList(f) => {
            LogicalType::Array(Box::new(field_from_arrow(f, &format!("{path}[]"))?))
        }
        ArrowType::Struct(fields) => LogicalType::Row(fields_from_arrow(fields, path)?),
        ArrowType::Map(entries, _) => map_from_arrow(entries, path)?,
        other => {
            return Err(TypeError::at(path, format!("Flink SQL has no type for Arrow's {other}{}", advice(other))));
        }
    })
}

fn decimal_from_arrow(p: u8, s: i8, path: &str) -> Result<LogicalType, TypeError> {
    match u8::try_from(s) {
        Ok(scale) if (1..=MAX_DECIMAL_PRECISION).contains(&p) && scale <= p => {
            Ok(LogicalType::Decimal { precision: p, scale })
        }
        _ => Err(TypeError::at(path, format!("Flink's DECIMAL has a scale of 0 to its precision, not ({p}, {s})"))),
    }
}

fn map_from_arrow(entries: &ArrowField, path: &str) -> Result<LogicalType, TypeError> {
    let ArrowType::Struct(fields) = entries.data_type() else {
        return Err(TypeError::at(path, "an Arrow map needs a struct of keys and values"));
    };
    let [key, value] = &fields[..] else {
        return Err(TypeError::at(path, "an Arrow map needs a struct of keys and values"));
    };
    let key = field_from_arrow(key, &format!("{path}{{key}}"))?;
    let value = field_from_arrow(value, &format!("{path}{{value}}"))?;
    Ok(LogicalType::Map(Box::new(key), Box::new(value)))
}

fn precision_of(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn advice(t: &ArrowType) -> &'static str {
    match t {
        ArrowType::UInt8 => ": use Int16",
        ArrowType::UInt16 => ": use Int32",
        ArrowType::UInt32 => ": use Int64",
        ArrowType::UInt64 => ": use Decimal128(20, 0)",
        ArrowType::Float16 => ": use Float32",
        ArrowType::Date64 => ": use Date32",
        ArrowType::Decimal32(..) | ArrowType::Decimal64(..) | ArrowType::Decimal256(..) => ": use Decimal128",
        ArrowType::Dictionary(..) => ": use the type of its values",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow_of(t: &str) -> String {
        let row: RowType = format!("c {t}").parse().expect("a type");
        row.to_arrow().field(0).data_type().to_string()
    }

    #[test]
    fn the_mapping_table() {
        for (flink, arrow) in [
            ("BOOLEAN", "Boolean"),
            ("TINYINT", "Int8"),
            ("SMALLINT", "Int16"),
            ("INT", "Int32"),
            ("BIGINT", "Int64"),
            ("FLOAT", "Float32"),
            ("DOUBLE", "Float64"),
            ("DECIMAL(10, 2)", "Decimal128(10, 2)"),
            ("CHAR(3)", "Utf8"),
            ("VARCHAR(3)", "Utf8"),
            ("STRING", "Utf8"),
            ("BINARY(3)", "Binary"),
            ("VARBINARY(3)", "Binary"),
            ("BYTES", "Binary"),
            ("DATE", "Date32"),
            ("TIME(0)", "Time32(ms)"),
            ("TIME(9)", "Time32(ms)"),
            ("TIMESTAMP(0)", "Timestamp(ms)"),
            ("TIMESTAMP(3)", "Timestamp(ms)"),
            ("TIMESTAMP(4)", "Timestamp(ns)"),
            ("TIMESTAMP(9)", "Timestamp(ns)"),
            ("TIMESTAMP_LTZ(3)", "Timestamp(ms, \"+00:00\")"),
            ("TIMESTAMP_LTZ(9)", "Timestamp(ns, \"+00:00\")"),
            ("ARRAY<INT NOT NULL>", "List(Int32)"),
        ] {
            assert_eq!(arrow_of(flink), arrow, "{flink}");
        }
        assert!(arrow_of("MAP<STRING, BIGINT>").starts_with("Map(\"entries\""));
        assert_eq!(arrow_of("MULTISET<STRING>"), arrow_of("MAP<STRING, INT>"));
        assert!(arrow_of("ROW<a INT, b STRING>").starts_with("Struct("));
    }

    #[test]
    fn arrow_schemas_come_back() {
        let text = "`a` BOOLEAN, `b` DECIMAL(10, 2), `c` STRING, `d` TIMESTAMP(3), `e` TIMESTAMP_LTZ(9), \
                    `f` ARRAY<INT>, `g` MAP<STRING NOT NULL, ROW<`x` BYTES>>, `h` TIME(3)";
        let row: RowType = text.parse().expect("a row");
        let back = RowType::from_arrow(&row.to_arrow()).expect("every type has its Flink type");
        assert_eq!(back.to_string(), text);
    }

    #[test]
    fn types_that_flink_lacks_are_refused_with_their_path() {
        let inner = Fields::from(vec![ArrowField::new("n", ArrowType::UInt64, true)]);
        let schema = Schema::new(vec![ArrowField::new("r", ArrowType::Struct(inner), true)]);
        let error = RowType::from_arrow(&schema).expect_err("unsigned");
        assert_eq!(error.to_string(), "column `r.n`: Flink SQL has no type for Arrow's UInt64: use Decimal128(20, 0)");
    }
}
