//! Numbers and truth values into one another, as Java converts them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::i256;
use headwater_formats::LogicalType;

use super::Options;
use crate::functions::digits::{Digits, Rounding, plain, rescale};
use crate::functions::kernel::{KernelResult, RowError, booleans, numbers};

const NOT_FINITE: &str = "NaN and infinities are no decimals";

/// A number of any type.
#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(i64),
    Decimal(i128, u8),
    Float(f32),
    Double(f64),
}

pub(super) fn convert(values: &ArrayRef, from: &LogicalType, to: &LogicalType, options: Options) -> KernelResult {
    let rows = values.len();
    let arrow = to.to_arrow();
    let get = |row| values.is_valid(row).then(|| read(values, from, row));
    match to {
        LogicalType::Boolean => booleans(rows, |i| Ok(get(i).map(|n| matches!(n, Number::Whole(v) if v != 0)))),
        LogicalType::TinyInt => numbers::<Int8Type>(rows, &arrow, |i| Ok(get(i).map(|n| n.to_i32() as i8))),
        LogicalType::SmallInt => numbers::<Int16Type>(rows, &arrow, |i| Ok(get(i).map(|n| n.to_i32() as i16))),
        LogicalType::Int => numbers::<Int32Type>(rows, &arrow, |i| Ok(get(i).map(Number::to_i32))),
        LogicalType::BigInt => numbers::<Int64Type>(rows, &arrow, |i| Ok(get(i).map(Number::to_i64))),
        LogicalType::Float => numbers::<Float32Type>(rows, &arrow, |i| Ok(get(i).map(Number::to_f32))),
        LogicalType::Double => numbers::<Float64Type>(rows, &arrow, |i| Ok(get(i).map(Number::to_f64))),
        LogicalType::Decimal { precision, scale } => numbers::<Decimal128Type>(rows, &arrow, |i| {
            let Some(number) = get(i) else { return Ok(None) };
            options.outcome(number.to_decimal(*precision, *scale))
        }),
        other => Err(format!("no conversion to {other}").into()),
    }
}

fn read(values: &ArrayRef, from: &LogicalType, row: usize) -> Number {
    match from {
        LogicalType::Boolean => Number::Whole(values.as_boolean().value(row).into()),
        LogicalType::TinyInt => Number::Whole(values.as_primitive::<Int8Type>().value(row).into()),
        LogicalType::SmallInt => Number::Whole(values.as_primitive::<Int16Type>().value(row).into()),
        LogicalType::Int => Number::Whole(values.as_primitive::<Int32Type>().value(row).into()),
        LogicalType::Float => Number::Float(values.as_primitive::<Float32Type>().value(row)),
        LogicalType::Double => Number::Double(values.as_primitive::<Float64Type>().value(row)),
        LogicalType::Decimal { scale, .. } => {
            Number::Decimal(values.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        _ => Number::Whole(values.as_primitive::<Int64Type>().value(row)),
    }
}

impl Number {
    /// Java's conversions to int: whole numbers keep their low bits, fractions stop at the ends of the range.
    fn to_i32(self) -> i32 {
        match self {
            Self::Float(v) => v as i32,
            Self::Double(v) => v as i32,
            _ => self.to_i64() as i32,
        }
    }

    fn to_i64(self) -> i64 {
        match self {
            Self::Whole(v) => v,
            Self::Decimal(v, scale) => (v / 10_i128.pow(scale.into())) as i64,
            Self::Float(v) => v as i64,
            Self::Double(v) => v as i64,
        }
    }

    fn to_f32(self) -> f32 {
        match self {
            Self::Whole(v) => v as f32,
            Self::Float(v) => v,
            Self::Double(v) => v as f32,
            Self::Decimal(v, scale) => plain(v, scale).parse().unwrap_or(f32::NAN),
        }
    }

    fn to_f64(self) -> f64 {
        match self {
            Self::Whole(v) => v as f64,
            Self::Float(v) => v.into(),
            Self::Double(v) => v,
            // A decimal's text is a valid number, and reading it rounds correctly.
            Self::Decimal(v, scale) => plain(v, scale).parse().unwrap_or(f64::NAN),
        }
    }

    /// `None` when it does not fit.
    fn to_decimal(self, precision: u8, scale: u8) -> Result<Option<i128>, RowError> {
        Ok(match self {
            Self::Whole(v) => rescale(i256::from_i128(v.into()), 0, precision, scale, Rounding::HalfUp),
            Self::Decimal(v, from) => rescale(i256::from_i128(v), from, precision, scale, Rounding::HalfUp),
            Self::Float(v) => Digits::of_f64(v.into()).ok_or(NOT_FINITE)?.unscaled(precision, scale),
            Self::Double(v) => Digits::of_f64(v).ok_or(NOT_FINITE)?.unscaled(precision, scale),
        })
    }
}
