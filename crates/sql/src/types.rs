//! Flink's rules about types: what converts by itself, what converts on request, what several have in common.
//!
//! The tables are those of `LogicalTypeCasts` and `LogicalTypeMerging` in Flink 1.20.

use headwater_formats::types::MAX_DECIMAL_PRECISION;
use headwater_formats::{DataType, Field, LogicalType, RowType};

/// Digits after the point that a decimal result keeps at least when its precision is cut to 38.
const MIN_ADJUSTED_SCALE: u8 = 6;

/// What kind of value a type holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Text,
    Bytes,
    Boolean,
    Integer,
    Decimal,
    Float,
    Date,
    Time,
    Timestamp,
    TimestampLtz,
    Nested,
}

pub(crate) fn family(t: &LogicalType) -> Family {
    match t {
        LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => Family::Text,
        LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => Family::Bytes,
        LogicalType::Boolean => Family::Boolean,
        LogicalType::TinyInt | LogicalType::SmallInt | LogicalType::Int | LogicalType::BigInt => Family::Integer,
        LogicalType::Decimal { .. } => Family::Decimal,
        LogicalType::Float | LogicalType::Double => Family::Float,
        LogicalType::Date => Family::Date,
        LogicalType::Time(_) => Family::Time,
        LogicalType::Timestamp(_) => Family::Timestamp,
        LogicalType::TimestampLtz(_) => Family::TimestampLtz,
        _ => Family::Nested,
    }
}

pub(crate) fn is_numeric(t: &LogicalType) -> bool {
    matches!(family(t), Family::Integer | Family::Decimal | Family::Float)
}

/// Whether Flink converts `from` to `to` without being asked, as when a query's columns meet those of a sink.
pub(crate) fn converts_implicitly(from: &LogicalType, to: &LogicalType) -> bool {
    use Family as F;
    if from == to {
        return true;
    }
    match (family(from), family(to)) {
        (F::Text, F::Text) => !matches!(to, LogicalType::Char(_)) || matches!(from, LogicalType::Char(_)),
        (F::Bytes, F::Bytes) => !matches!(to, LogicalType::Binary(_)) || matches!(from, LogicalType::Binary(_)),
        (F::Integer, F::Integer) => width(from) <= width(to),
        (F::Integer | F::Decimal | F::Float, F::Decimal) | (F::Integer | F::Decimal, F::Float) => true,
        (F::Float, F::Float) => *to == LogicalType::Double,
        (F::Timestamp, F::Date | F::Time) | (F::Time, F::Time) => true,
        (F::Timestamp | F::TimestampLtz, F::Timestamp | F::TimestampLtz) => true,
        (F::Nested, F::Nested) => nested(from, to, converts_implicitly),
        _ => false,
    }
}

/// Whether `CAST(from AS to)` exists.
pub(crate) fn converts_explicitly(from: &LogicalType, to: &LogicalType) -> bool {
    use Family as F;
    if converts_implicitly(from, to) {
        return true;
    }
    match (family(from), family(to)) {
        (_, F::Text) | (F::Bytes, F::Bytes) => true,
        (F::Text, to) => to != F::Nested,
        (F::Integer | F::Decimal | F::Float | F::Boolean, F::Integer | F::Decimal | F::Float) => true,
        (F::Integer, F::Boolean) => true,
        (F::TimestampLtz, F::Date | F::Time) => true,
        (F::Date | F::Time, F::Timestamp | F::TimestampLtz) => true,
        (F::Nested, F::Nested) => nested(from, to, converts_explicitly),
        _ => false,
    }
}

fn nested(from: &LogicalType, to: &LogicalType, rule: fn(&LogicalType, &LogicalType) -> bool) -> bool {
    let fits = |a: &DataType, b: &DataType| rule(&a.logical, &b.logical);
    match (from, to) {
        (LogicalType::Array(a), LogicalType::Array(b)) | (LogicalType::Multiset(a), LogicalType::Multiset(b)) => {
            fits(a, b)
        }
        (LogicalType::Map(ka, va), LogicalType::Map(kb, vb)) => fits(ka, kb) && fits(va, vb),
        (LogicalType::Row(a), LogicalType::Row(b)) => {
            a.fields().len() == b.fields().len()
                && a.fields().iter().zip(b.fields()).all(|(a, b)| fits(&a.data_type, &b.data_type))
        }
        _ => false,
    }
}

/// The type that both convert to, as in `CASE`, `UNION ALL` and comparisons.
pub(crate) fn common(a: &LogicalType, b: &LogicalType) -> Option<LogicalType> {
    use Family as F;
    if a == b {
        return Some(a.clone());
    }
    Some(match (family(a), family(b)) {
        (F::Text, F::Text) => {
            length_of(a).zip(length_of(b)).map_or(LogicalType::String, |(a, b)| LogicalType::VarChar(a.max(b)))
        }
        (F::Bytes, F::Bytes) => {
            length_of(a).zip(length_of(b)).map_or(LogicalType::Bytes, |(a, b)| LogicalType::VarBinary(a.max(b)))
        }
        (F::Integer, F::Integer) => if width(a) < width(b) { b } else { a }.clone(),
        (F::Integer | F::Decimal, F::Integer | F::Decimal) => {
            let ((pa, sa), (pb, sb)) = (digits(a)?, digits(b)?);
            let scale = sa.max(sb);
            let precision = ((pa - sa).max(pb - sb) + scale).min(MAX_DECIMAL_PRECISION);
            LogicalType::Decimal { precision, scale }
        }
        (F::Float, F::Float) | (F::Decimal, F::Float) | (F::Float, F::Decimal) => LogicalType::Double,
        (F::Integer, F::Float) => b.clone(),
        (F::Float, F::Integer) => a.clone(),
        (F::Time, F::Time) => LogicalType::Time(precision_of(a).max(precision_of(b))),
        (F::Timestamp, F::Timestamp) => LogicalType::Timestamp(precision_of(a).max(precision_of(b))),
        (F::Timestamp | F::TimestampLtz, F::Timestamp | F::TimestampLtz) => {
            LogicalType::TimestampLtz(precision_of(a).max(precision_of(b)))
        }
        (F::Date, F::Timestamp) => b.clone(),
        (F::Timestamp, F::Date) => a.clone(),
        (F::Nested, F::Nested) => return common_nested(a, b),
        _ => return None,
    })
}

fn common_nested(a: &LogicalType, b: &LogicalType) -> Option<LogicalType> {
    let both = |a: &DataType, b: &DataType| {
        Some(DataType { logical: common(&a.logical, &b.logical)?, nullable: a.nullable || b.nullable })
    };
    match (a, b) {
        (LogicalType::Array(a), LogicalType::Array(b)) => Some(LogicalType::Array(Box::new(both(a, b)?))),
        (LogicalType::Multiset(a), LogicalType::Multiset(b)) => Some(LogicalType::Multiset(Box::new(both(a, b)?))),
        (LogicalType::Map(ka, va), LogicalType::Map(kb, vb)) => {
            Some(LogicalType::Map(Box::new(both(ka, kb)?), Box::new(both(va, vb)?)))
        }
        (LogicalType::Row(a), LogicalType::Row(b)) if a.fields().len() == b.fields().len() => {
            let fields = a.fields().iter().zip(b.fields());
            let fields = fields.map(|(a, b)| Some(Field::new(a.name.clone(), both(&a.data_type, &b.data_type)?)));
            Some(LogicalType::Row(RowType::new(fields.collect::<Option<Vec<_>>>()?)))
        }
        _ => None,
    }
}

/// The type of `a op b` on exact numbers of which at least one is a decimal.
pub(crate) fn decimal_result(op: DecimalOp, a: (u8, u8), b: (u8, u8)) -> (u8, u8) {
    let ((p1, s1), (p2, s2)) = (a, b);
    let (precision, scale) = match op {
        DecimalOp::Add | DecimalOp::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        DecimalOp::Multiply => (p1 + p2 + 1, s1 + s2),
        DecimalOp::Divide => {
            let scale = MIN_ADJUSTED_SCALE.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        DecimalOp::Modulo => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    if precision <= MAX_DECIMAL_PRECISION {
        return (precision, scale);
    }
    let kept = MAX_DECIMAL_PRECISION.saturating_sub(precision - scale).max(scale.min(MIN_ADJUSTED_SCALE));
    (MAX_DECIMAL_PRECISION, kept)
}

/// An operation on decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// The type of `ROUND(x, places)` and `TRUNCATE(x, places)` on a decimal.
pub(crate) fn rounded(precision: u8, scale: u8, places: i32) -> (u8, u8) {
    match u8::try_from(places) {
        Ok(places) if places >= scale => (precision, scale),
        Ok(places) => (1 + precision - scale + places, places),
        Err(_) if places < 0 => (MAX_DECIMAL_PRECISION.min(1 + precision - scale), 0),
        Err(_) => (precision, scale),
    }
}

/// Precision and scale of an exact number: those of a decimal, or of the decimal that holds every such integer.
pub(crate) fn digits(t: &LogicalType) -> Option<(u8, u8)> {
    Some(match t {
        LogicalType::TinyInt => (3, 0),
        LogicalType::SmallInt => (5, 0),
        LogicalType::Int => (10, 0),
        LogicalType::BigInt => (19, 0),
        LogicalType::Decimal { precision, scale } => (*precision, *scale),
        _ => return None,
    })
}

/// The fractional digits of a type of time.
pub(crate) fn precision_of(t: &LogicalType) -> u8 {
    match t {
        LogicalType::Time(p) | LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => *p,
        _ => 0,
    }
}

fn length_of(t: &LogicalType) -> Option<u32> {
    match t {
        LogicalType::Char(n) | LogicalType::VarChar(n) | LogicalType::Binary(n) | LogicalType::VarBinary(n) => Some(*n),
        _ => None,
    }
}

fn width(t: &LogicalType) -> u8 {
    match t {
        LogicalType::TinyInt => 1,
        LogicalType::SmallInt => 2,
        LogicalType::Int => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> LogicalType {
        text.parse::<DataType>().expect(text).logical
    }

    #[test]
    fn implicit_conversions_are_flinks() {
        for (from, to, expected) in [
            ("INT", "BIGINT", true),
            ("BIGINT", "INT", false),
            ("BIGINT", "STRING", false),
            ("STRING", "BIGINT", false),
            ("STRING", "VARCHAR(3)", true),
            ("STRING", "CHAR(3)", false),
            ("CHAR(2)", "STRING", true),
            ("DOUBLE", "DECIMAL(10, 2)", true),
            ("DOUBLE", "FLOAT", false),
            ("BIGINT", "FLOAT", true),
            ("TIMESTAMP(3)", "DATE", true),
            ("TIMESTAMP_LTZ(3)", "DATE", false),
            ("TIMESTAMP_LTZ(3)", "TIMESTAMP(6)", true),
            ("DATE", "TIMESTAMP(3)", false),
            ("BOOLEAN", "INT", false),
            ("ARRAY<INT>", "ARRAY<BIGINT>", true),
            ("ARRAY<BIGINT>", "ARRAY<INT>", false),
            ("ROW<a INT>", "ROW<b BIGINT>", true),
            ("ROW<a INT>", "ROW<a INT, b INT>", false),
        ] {
            assert_eq!(converts_implicitly(&t(from), &t(to)), expected, "{from} to {to}");
        }
    }

    #[test]
    fn casts_exist_as_in_flink() {
        for (from, to, expected) in [
            ("BIGINT", "STRING", true),
            ("ROW<a INT>", "STRING", true),
            ("STRING", "ROW<a INT>", false),
            ("STRING", "BYTES", true),
            ("BYTES", "STRING", true),
            ("BYTES", "INT", false),
            ("BOOLEAN", "INT", true),
            ("INT", "BOOLEAN", true),
            ("DOUBLE", "BOOLEAN", false),
            ("DATE", "TIMESTAMP_LTZ(3)", true),
            ("DATE", "INT", false),
            ("TIMESTAMP(3)", "BIGINT", false),
            ("TIMESTAMP_LTZ(3)", "TIME", true),
            ("TIME", "DATE", false),
            ("ARRAY<STRING>", "ARRAY<INT>", true),
            ("ARRAY<STRING>", "INT", false),
        ] {
            assert_eq!(converts_explicitly(&t(from), &t(to)), expected, "{from} to {to}");
        }
    }

    #[test]
    fn common_types_are_flinks() {
        for (a, b, expected) in [
            ("INT", "BIGINT", Some("BIGINT")),
            ("INT", "DECIMAL(2, 2)", Some("DECIMAL(12, 2)")),
            ("BIGINT", "FLOAT", Some("FLOAT")),
            ("DECIMAL(10, 2)", "FLOAT", Some("DOUBLE")),
            ("CHAR(1)", "CHAR(3)", Some("VARCHAR(3)")),
            ("CHAR(1)", "STRING", Some("STRING")),
            ("DATE", "TIMESTAMP(3)", Some("TIMESTAMP(3)")),
            ("TIMESTAMP(6)", "TIMESTAMP_LTZ(3)", Some("TIMESTAMP_LTZ(6)")),
            ("ARRAY<INT>", "ARRAY<BIGINT>", Some("ARRAY<BIGINT>")),
            ("INT", "STRING", None),
            ("BOOLEAN", "INT", None),
        ] {
            assert_eq!(common(&t(a), &t(b)).map(|t| t.to_string()).as_deref(), expected, "{a}, {b}");
        }
    }

    #[test]
    fn decimal_results_are_flinks() {
        for (op, a, b, expected) in [
            (DecimalOp::Divide, (32, 8), (38, 8), (38, 6)),
            (DecimalOp::Divide, (30, 20), (30, 20), (38, 8)),
            (DecimalOp::Multiply, (10, 2), (5, 1), (16, 3)),
            (DecimalOp::Multiply, (30, 10), (30, 10), (38, 6)),
            (DecimalOp::Add, (10, 2), (5, 3), (12, 3)),
            (DecimalOp::Add, (32, 8), (38, 8), (38, 7)),
            (DecimalOp::Modulo, (10, 2), (5, 3), (5, 3)),
        ] {
            assert_eq!(decimal_result(op, a, b), expected, "{op:?} {a:?} {b:?}");
        }
        assert_eq!(rounded(10, 4, 2), (9, 2));
        assert_eq!(rounded(10, 4, 7), (10, 4));
        assert_eq!(rounded(10, 4, -2), (7, 0));
    }
}
