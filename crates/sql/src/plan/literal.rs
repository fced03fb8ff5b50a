//! Literals with the types Flink gives them.

use datafusion_common::ScalarValue;
use headwater_formats::LogicalType;
use headwater_formats::types::MAX_DECIMAL_PRECISION;
use sqlparser::ast::Value;

use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::functions::call::{Binding, Env};
use crate::functions::cast;

/// A literal: `1` is INT, `3000000000` BIGINT, `1.5` DECIMAL(2, 1), `1e3` DOUBLE, `'abc'` CHAR(3).
pub(crate) fn literal(value: &Value, negative: bool, position: Position) -> Binding {
    match value {
        Value::Number(text, false) => number(text, negative, position),
        Value::SingleQuotedString(text) | Value::UnicodeStringLiteral(text) => {
            let logical = match u32::try_from(text.chars().count()) {
                Ok(n) if n > 0 => LogicalType::Char(n),
                _ => LogicalType::String,
            };
            Ok(Bound::literal(ScalarValue::Utf8(Some(text.clone())), logical, position))
        }
        Value::HexStringLiteral(text) => bytes(text, position),
        Value::Boolean(value) => Ok(Bound::literal(ScalarValue::Boolean(Some(*value)), LogicalType::Boolean, position)),
        Value::Null => Ok(Bound::null(position)),
        other => {
            let message = format!("the literal {other} is not supported");
            Err(ScriptError::new(ScriptErrorKind::Unsupported, position, message))
        }
    }
}

fn number(text: &str, negative: bool, position: Position) -> Binding {
    let wrong = |message: String| ScriptError::new(ScriptErrorKind::Type, position, message);
    let signed = if negative { format!("-{text}") } else { text.to_owned() };
    if text.contains(['e', 'E']) {
        let value: f64 = signed.parse().map_err(|_| wrong(format!("`{text}` is not a number")))?;
        return Ok(Bound::literal(ScalarValue::Float64(Some(value)), LogicalType::Double, position));
    }
    let Some((whole, fraction)) = text.split_once('.') else {
        let value: i64 =
            signed.parse().map_err(|_| wrong(format!("{signed} does not fit into BIGINT; write {signed}.0")))?;
        return Ok(match i32::try_from(value) {
            Ok(value) => Bound::literal(ScalarValue::Int32(Some(value)), LogicalType::Int, position),
            Err(_) => Bound::literal(ScalarValue::Int64(Some(value)), LogicalType::BigInt, position),
        });
    };
    let digits = format!("{whole}{fraction}");
    let fits = u8::try_from(digits.len()).ok().filter(|n| (1..=MAX_DECIMAL_PRECISION).contains(n));
    let (Some(precision), Ok(value)) = (fits, digits.parse::<i128>()) else {
        return Err(wrong(format!("a decimal has at most {MAX_DECIMAL_PRECISION} digits")));
    };
    // At most as many as there are digits.
    let scale = fraction.len() as u8;
    let value = if negative { -value } else { value };
    let scalar = ScalarValue::Decimal128(Some(value), precision, scale as i8);
    Ok(Bound::literal(scalar, LogicalType::Decimal { precision, scale }, position))
}

fn bytes(text: &str, position: Position) -> Binding {
    let wrong = || ScriptError::new(ScriptErrorKind::Type, position, "x'…' takes pairs of hexadecimal digits");
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
        pair.and_then(|p| u8::from_str_radix(p, 16).ok())
    });
    let value: Vec<u8> = pairs.collect::<Option<_>>().ok_or_else(wrong)?;
    let logical = match u32::try_from(value.len()) {
        Ok(n) if n > 0 => LogicalType::Binary(n),
        _ => LogicalType::Bytes,
    };
    Ok(Bound::literal(ScalarValue::Binary(Some(value)), logical, position))
}

/// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`. A timestamp has as many digits of a fraction as are written.
pub(crate) fn typed(type_name: &str, text: &str, position: Position) -> Binding {
    let logical = match type_name.to_ascii_uppercase().as_str() {
        "DATE" => LogicalType::Date,
        "TIME" => LogicalType::Time(0),
        "TIMESTAMP" => {
            let digits = text.rsplit_once('.').map_or(0, |(_, fraction)| fraction.len());
            LogicalType::Timestamp(u8::try_from(digits).unwrap_or(9).min(9))
        }
        other => {
            let message = format!("literals of {other} are not supported; write CAST('…' AS {other})");
            return Err(ScriptError::new(ScriptErrorKind::Unsupported, position, message));
        }
    };
    let value = Bound::literal(ScalarValue::Utf8(Some(text.to_owned())), LogicalType::String, position);
    cast::explicit(value, &logical, false, Env::default(), position)
}
