//! Texts into everything else.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType as ArrowType;
use headwater_formats::LogicalType;

use super::Options;
use crate::functions::digits::Digits;
use crate::functions::kernel::{self, KernelResult, RowError, booleans, numbers};
use crate::functions::time::moment::{moments, to_day_millis, to_days};
use crate::functions::time::parse;
use crate::types::precision_of;

pub(super) fn convert(values: &ArrayRef, to: &LogicalType, options: Options) -> KernelResult {
    let texts = values.as_string::<i32>();
    let (rows, arrow) = (texts.len(), to.to_arrow());
    let get = |row: usize| texts.is_valid(row).then(|| texts.value(row));
    macro_rules! read {
        ($type:ty, $read:expr) => {
            numbers::<$type>(rows, &arrow, |i| options.outcome(get(i).map($read).transpose()))
        };
    }
    match to {
        LogicalType::Boolean => booleans(rows, |i| options.outcome(get(i).map(boolean).transpose())),
        LogicalType::TinyInt => read!(Int8Type, whole),
        LogicalType::SmallInt => read!(Int16Type, whole),
        LogicalType::Int => read!(Int32Type, whole),
        LogicalType::BigInt => read!(Int64Type, whole),
        LogicalType::Float => read!(Float32Type, float),
        LogicalType::Double => read!(Float64Type, float),
        LogicalType::Decimal { precision, scale } => numbers::<Decimal128Type>(rows, &arrow, |i| {
            let Some(text) = get(i) else { return Ok(None) };
            let digits = Digits::parse(text.trim_matches([' ', '\n', '\t']));
            options.outcome(digits.map(|d| d.unscaled(*precision, *scale)).ok_or("the text is not a number".into()))
        }),
        LogicalType::Date => read!(Date32Type, |s| parse::date(s).map(to_days).ok_or("the text is not a date".into())),
        LogicalType::Time(_) => {
            read!(Time32MillisecondType, |s| parse::time(s).map(to_day_millis).ok_or("the text is not a time".into()))
        }
        LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => {
            let local = matches!(to, LogicalType::TimestampLtz(_));
            let read = |text: &str| -> Result<_, RowError> {
                let t = parse::timestamp(text).ok_or("the text is not a timestamp (yyyy-MM-dd HH:mm:ss.SSS)")?;
                Ok(if local { options.zone.instant(t) } else { t })
            };
            moments(rows, &arrow, precision_of(to), |i| options.outcome(get(i).map(read).transpose()))
        }
        other => Err(format!("no conversion to {other}").into()),
    }
}

/// Texts or bytes into bytes: the text in UTF-8, cut or filled up with zeros.
pub(super) fn bytes(values: &ArrayRef, to: &LogicalType) -> KernelResult {
    let get = |row: usize| match values.data_type() {
        ArrowType::Utf8 => values.as_string::<i32>().value(row).as_bytes(),
        _ => values.as_binary::<i32>().value(row),
    };
    kernel::bytes(values.len(), |i| {
        Ok(values.is_valid(i).then(|| {
            let mut bytes = get(i).to_vec();
            match to {
                LogicalType::Binary(n) => bytes.resize(*n as usize, 0),
                LogicalType::VarBinary(n) => bytes.truncate(*n as usize),
                _ => {}
            }
            bytes
        }))
    })
}

fn boolean(text: &str) -> Result<bool, RowError> {
    match text.trim_matches(' ').to_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Ok(true),
        "f" | "false" | "n" | "no" | "0" => Ok(false),
        _ => Err("the text is not a truth value".into()),
    }
}

/// A whole number; a fraction is cut off if it is made of digits.
fn whole<T: TryFrom<i64>>(text: &str) -> Result<T, RowError> {
    const WRONG: &str = "the text is not a whole number that fits";
    let text = text.trim_matches(' ');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if !unsigned.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        || text.len() == whole.len() - unsigned.len()
    {
        return Err(WRONG.into());
    }
    let number: i64 = if unsigned.is_empty() { 0 } else { whole.parse().map_err(|_| WRONG)? };
    T::try_from(number).map_err(|_| WRONG.into())
}

/// As `Double.valueOf`, hexadecimal floating point numbers left out.
fn float<T: std::str::FromStr>(text: &str) -> Result<T, RowError> {
    let text = text.trim_matches(|c| c <= ' ');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = match unsigned {
        "NaN" | "Infinity" => text,
        _ => {
            let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
            if !number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
                return Err("the text is not a number".into());
            }
            number
        }
    };
    number.parse().map_err(|_| "the text is not a number".into())
}
