//! Values without parts: the file's to the table's.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal256Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray, StringArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType as ArrowType, TimeUnit};

use super::broken;
use super::convert::{Conversion, odd};
use super::plan::Leaf;
use crate::types::timestamp_unit;
use crate::{DecodeError, LogicalType};

const OUT_OF_RANGE: &str = "a timestamp out of the range of 64 bits";
const NO_TIME: &str = "a time of day out of the range of a day";
const DIGITS: &str = "a number with more digits than its type in the file allows";
const NO_UTF8: &str = "bytes that are not UTF-8";

const NANOS_PER_MILLI: i128 = 1_000_000;
const NANOS_PER_DAY: i128 = 86_400 * 1_000_000_000;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// The Julian day of 1970-01-01, from which INT96 timestamps count.
const JULIAN_EPOCH: i128 = 2_440_588;

pub(super) fn convert(leaf: &Leaf, array: &ArrayRef, to: &mut Conversion) -> Result<ArrayRef, DecodeError> {
    match &leaf.logical {
        LogicalType::Timestamp(precision) | LogicalType::TimestampLtz(precision) => {
            timestamp(leaf, *precision, array, to)
        }
        LogicalType::Time(_) => time(leaf, array, to),
        LogicalType::Decimal { precision, scale } => decimal(leaf, *precision, *scale, array, to),
        LogicalType::Char(_) | LogicalType::VarChar(_) | LogicalType::String => text(leaf, array, to),
        LogicalType::Binary(_) | LogicalType::VarBinary(_) | LogicalType::Bytes => {
            to.take(text_bytes(array))?;
            cast(leaf, array)
        }
        _ => cast(leaf, array),
    }
}

/// Conversions that cannot fail for any value.
fn cast(leaf: &Leaf, array: &ArrayRef) -> Result<ArrayRef, DecodeError> {
    if array.data_type() == &leaf.arrow {
        return Ok(array.clone());
    }
    arrow_cast::cast(array, &leaf.arrow).map_err(|e| odd(&e))
}

/// Applies `f` to each value that is there; what it refuses is bad.
fn each<T: Copy, O: ArrowPrimitiveType>(
    leaf: &Leaf,
    values: impl Iterator<Item = T>,
    nulls: Option<&NullBuffer>,
    reason: &'static str,
    to: &mut Conversion,
    f: impl Fn(T) -> Option<O::Native>,
) -> Result<ArrayRef, DecodeError> {
    let mut out = Vec::with_capacity(values.size_hint().0);
    for (at, value) in values.enumerate() {
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(at));
        out.push(match f(value) {
            Some(value) => value,
            None => {
                if valid {
                    to.bad(at, reason, &leaf.text)?;
                }
                O::Native::default()
            }
        });
    }
    let array = PrimitiveArray::<O>::try_new(out.into(), nulls.cloned()).map_err(|e| odd(&e))?;
    Ok(Arc::new(array.with_data_type(leaf.arrow.clone())))
}

/// Timestamps of any unit, those that a reader gives as 128-bit counts of nanoseconds, and INT96 as its 12 bytes.
fn timestamp(leaf: &Leaf, precision: u8, array: &ArrayRef, to: &mut Conversion) -> Result<ArrayRef, DecodeError> {
    let millis = timestamp_unit(precision) == TimeUnit::Millisecond;
    let per_nanos = if millis { NANOS_PER_MILLI } else { 1 };
    let fit = |nanos: i128| i64::try_from(nanos.div_euclid(per_nanos)).ok();
    let nulls = array.nulls();
    macro_rules! of {
        ($values:expr, $f:expr) => {
            if millis {
                each::<_, TimestampMillisecondType>(leaf, $values, nulls, OUT_OF_RANGE, to, $f)
            } else {
                each::<_, TimestampNanosecondType>(leaf, $values, nulls, OUT_OF_RANGE, to, $f)
            }
        };
    }
    macro_rules! scaled {
        ($t:ty, $nanos:expr) => {
            of!(array.as_primitive::<$t>().values().iter(), |value: &i64| fit(i128::from(*value) * $nanos))
        };
    }
    match array.data_type() {
        ArrowType::Timestamp(unit, _) if *unit == timestamp_unit(precision) => relabel(leaf, array),
        ArrowType::Timestamp(TimeUnit::Second, _) => scaled!(TimestampSecondType, 1_000_000_000),
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => scaled!(TimestampMillisecondType, 1_000_000),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => scaled!(TimestampMicrosecondType, 1_000),
        ArrowType::Timestamp(TimeUnit::Nanosecond, _) => scaled!(TimestampNanosecondType, 1),
        ArrowType::Decimal128(..) => of!(array.as_primitive::<Decimal128Type>().values().iter(), |n: &i128| fit(*n)),
        ArrowType::FixedSizeBinary(12) => {
            let values = array.as_fixed_size_binary();
            of!((0..values.len()).map(|at| values.value(at)), |bytes: &[u8]| fit(int96(bytes)?))
        }
        other => Err(broken(format!("timestamps given as {other}"))),
    }
}

/// The same numbers under the table's type, which may have another zone: a zone is a label, the numbers are UTC.
fn relabel(leaf: &Leaf, array: &ArrayRef) -> Result<ArrayRef, DecodeError> {
    let data = array.to_data().into_builder().data_type(leaf.arrow.clone()).build().map_err(|e| odd(&e))?;
    Ok(arrow_array::make_array(data))
}

/// Nanoseconds since 1970 of an INT96: nanoseconds of the day, then the Julian day, little-endian.
fn int96(bytes: &[u8]) -> Option<i128> {
    let (nanos, day) = bytes.split_first_chunk::<8>()?;
    let day = u32::from_le_bytes(day.try_into().ok()?);
    Some((i128::from(day) - JULIAN_EPOCH) * NANOS_PER_DAY + i128::from(i64::from_le_bytes(*nanos)))
}

fn time(leaf: &Leaf, array: &ArrayRef, to: &mut Conversion) -> Result<ArrayRef, DecodeError> {
    // Flink's times end before midnight.
    let millis = |value: i64, per_unit: i64, units: i64| {
        let value = value.checked_mul(per_unit)?.div_euclid(units);
        if (0..MILLIS_PER_DAY).contains(&value) { i32::try_from(value).ok() } else { None }
    };
    let nulls = array.nulls();
    macro_rules! of {
        ($t:ty, $per_unit:expr, $units:expr) => {{
            let values = array.as_primitive::<$t>().values().iter().map(|value| i64::from(*value));
            each::<_, Time32MillisecondType>(leaf, values, nulls, NO_TIME, to, |v: i64| millis(v, $per_unit, $units))
        }};
    }
    match array.data_type() {
        ArrowType::Time32(TimeUnit::Second) => of!(Time32SecondType, 1_000, 1),
        ArrowType::Time32(TimeUnit::Millisecond) => of!(Time32MillisecondType, 1, 1),
        ArrowType::Time64(TimeUnit::Microsecond) => of!(Time64MicrosecondType, 1, 1_000),
        ArrowType::Time64(TimeUnit::Nanosecond) => of!(Time64NanosecondType, 1, 1_000_000),
        other => Err(broken(format!("times of day given as {other}"))),
    }
}

fn decimal(
    leaf: &Leaf,
    precision: u8,
    scale: u8,
    array: &ArrayRef,
    to: &mut Conversion,
) -> Result<ArrayRef, DecodeError> {
    // Integers first become decimals without a fraction, of as many digits as any of them has.
    let whole = |digits| arrow_cast::cast(array, &ArrowType::Decimal128(digits, 0)).map_err(|e| odd(&e));
    let array = match array.data_type() {
        ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => array.clone(),
        _ => whole(20)?,
    };
    let bound = 10i128.pow(u32::from(precision));
    let widen = |value: i128, from: i8| {
        let factor = 10i128.checked_pow(u32::try_from(i16::from(scale) - i16::from(from)).ok()?)?;
        value.checked_mul(factor).filter(|value| (1 - bound..bound).contains(value))
    };
    let nulls = array.nulls();
    match array.data_type() {
        ArrowType::Decimal256(_, from) => {
            let values = array.as_primitive::<Decimal256Type>().values().iter().map(|value| value.to_i128());
            each::<_, Decimal128Type>(leaf, values, nulls, DIGITS, to, |value| widen(value?, *from))
        }
        ArrowType::Decimal128(_, from) => {
            let values = array.as_primitive::<Decimal128Type>().values().iter().copied();
            each::<_, Decimal128Type>(leaf, values, nulls, DIGITS, to, |value| widen(value, *from))
        }
        other => Err(broken(format!("decimals given as {other}"))),
    }
}

/// Text, and bytes that are text: files of old writers do not say which is which.
fn text(leaf: &Leaf, array: &ArrayRef, to: &mut Conversion) -> Result<ArrayRef, DecodeError> {
    to.take(text_bytes(array))?;
    match array.data_type() {
        ArrowType::Binary => checked_text(leaf, array.as_binary::<i32>().iter(), array.nulls(), to),
        ArrowType::BinaryView => checked_text(leaf, array.as_binary_view().iter(), array.nulls(), to),
        _ => cast(leaf, array),
    }
}

fn checked_text<'a>(
    leaf: &Leaf,
    values: impl Iterator<Item = Option<&'a [u8]>>,
    nulls: Option<&NullBuffer>,
    to: &mut Conversion,
) -> Result<ArrayRef, DecodeError> {
    let mut lengths = Vec::with_capacity(values.size_hint().0);
    let mut bytes = Vec::new();
    for (at, value) in values.enumerate() {
        let value = value.unwrap_or_default();
        let valid = std::str::from_utf8(value).is_ok();
        if valid {
            bytes.extend_from_slice(value);
        } else {
            to.bad(at, NO_UTF8, &leaf.text)?;
        }
        lengths.push(if valid { value.len() } else { 0 });
    }
    let array = StringArray::try_new(OffsetBuffer::from_lengths(lengths), bytes.into(), nulls.cloned());
    Ok(Arc::new(array.map_err(|e| odd(&e))?))
}

/// What the values of an array take that refers to them and does not hold them; such values may be one and the same,
/// a million times. Other arrays are as large as what they hold.
fn text_bytes(array: &ArrayRef) -> usize {
    // The length of a view is its first four bytes.
    let total = |views: &[u128]| views.iter().map(|view| (*view as u32) as usize).sum();
    match array.data_type() {
        ArrowType::Utf8View => total(array.as_string_view().views()),
        ArrowType::BinaryView => total(array.as_binary_view().views()),
        _ => 0,
    }
}
