//! `CAST` and `TRY_CAST`, and the conversions that happen by themselves.
//!
//! What exists is in [`crate::types`]; here is what it does, as Flink does it: whole numbers that do not fit wrap around,
//! decimals that do not fit become NULL, texts that cannot be read are an error of their row.

mod from_text;
mod nested;
mod numbers;
mod time;
mod to_text;

use arrow_array::ArrayRef;
use datafusion_common::ScalarValue;
use headwater_formats::LogicalType;

use super::call::{Binding, Env, build};
use super::kernel::{KernelResult, RowError};
use super::time::zone::Zone;
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::types::{Family, converts_explicitly, family};

/// `CAST(value AS to)` or `TRY_CAST`.
pub(crate) fn explicit(value: Bound, to: &LogicalType, attempt: bool, env: Env, position: Position) -> Binding {
    if let Some(from) = &value.logical
        && !converts_explicitly(from, to)
    {
        let message = format!("{from} cannot be cast to {to}{}", way_out(from, to));
        return Err(ScriptError::new(ScriptErrorKind::Type, position, message));
    }
    let options = Options { zone: env.zone, attempt, lengths: true };
    convert(value, to, options, env)
}

/// A conversion that Flink makes by itself. Lengths are not enforced then.
pub(crate) fn implicit(value: Bound, to: &LogicalType, env: Env) -> Binding {
    convert(value, to, Options { zone: env.zone, attempt: false, lengths: false }, env)
}

fn way_out(from: &LogicalType, to: &LogicalType) -> &'static str {
    match (family(from), family(to)) {
        (Family::Timestamp | Family::TimestampLtz, Family::Integer | Family::Decimal | Family::Float) => {
            "; use UNIX_TIMESTAMP(CAST(… AS STRING))"
        }
        (Family::Integer | Family::Decimal | Family::Float, Family::Timestamp | Family::TimestampLtz) => {
            "; use TO_TIMESTAMP_LTZ(…, 0) for seconds or TO_TIMESTAMP_LTZ(…, 3) for milliseconds"
        }
        _ => "",
    }
}

/// How to convert.
#[derive(Debug, Clone, Copy)]
struct Options {
    zone: Zone,
    /// `TRY_CAST`: what fails is NULL.
    attempt: bool,
    /// Whether `VARCHAR(n)` cuts and `CHAR(n)` pads.
    lengths: bool,
}

impl Options {
    /// The outcome for one value.
    fn outcome<T>(self, value: Result<Option<T>, RowError>) -> Result<Option<T>, RowError> {
        if self.attempt { Ok(value.unwrap_or(None)) } else { value }
    }
}

fn convert(value: Bound, to: &LogicalType, options: Options, env: Env) -> Binding {
    let position = value.position;
    let Some(from) = value.logical.clone() else {
        let null = ScalarValue::try_new_null(&to.to_arrow());
        let null = null.map_err(|e| ScriptError::new(ScriptErrorKind::Type, position, e.to_string()))?;
        return Ok(Bound::literal(null, to.clone(), position));
    };
    if is_relabel(&from, to, options) {
        return Ok(Bound { logical: Some(to.clone()), ..value });
    }
    let can_fail = !options.attempt && can_fail(&from, to);
    let target = to.clone();
    let name = if options.attempt { "TRY_CAST" } else { "CAST" };
    build(name, vec![value], to.clone(), can_fail, position, env, move |args| {
        array(args.array(0).array, &from, &target, options)
    })
}

/// Whether the values are the same under both types.
fn is_relabel(from: &LogicalType, to: &LogicalType, options: Options) -> bool {
    let cuts = |n: u32| match from {
        LogicalType::Char(have) | LogicalType::VarChar(have) => *have > n,
        LogicalType::Binary(have) | LogicalType::VarBinary(have) => *have > n,
        _ => true,
    };
    match to {
        _ if from == to => true,
        LogicalType::String => family(from) == Family::Text,
        LogicalType::Bytes => family(from) == Family::Bytes,
        LogicalType::VarChar(n) if family(from) == Family::Text => !options.lengths || !cuts(*n),
        LogicalType::VarBinary(n) if family(from) == Family::Bytes => !options.lengths || !cuts(*n),
        LogicalType::Char(_) if family(from) == Family::Text => !options.lengths,
        LogicalType::Binary(_) if family(from) == Family::Bytes => !options.lengths,
        LogicalType::Timestamp(p) => {
            matches!(from, LogicalType::Timestamp(q) if q <= p && from.to_arrow() == to.to_arrow())
        }
        LogicalType::TimestampLtz(p) => {
            matches!(from, LogicalType::TimestampLtz(q) if q <= p && from.to_arrow() == to.to_arrow())
        }
        LogicalType::Time(p) => matches!(from, LogicalType::Time(q) if q <= p),
        _ => false,
    }
}

/// Whether some value makes the conversion fail (not merely NULL).
fn can_fail(from: &LogicalType, to: &LogicalType) -> bool {
    match (family(from), family(to)) {
        (Family::Integer | Family::Decimal | Family::Boolean, to) => {
            !matches!(to, Family::Integer | Family::Decimal | Family::Float | Family::Boolean | Family::Text)
        }
        (Family::Float, to) => !matches!(to, Family::Integer | Family::Float | Family::Text),
        (Family::Text | Family::Bytes, Family::Text | Family::Bytes) => false,
        _ => true,
    }
}

/// Converts a whole array.
fn array(values: &ArrayRef, from: &LogicalType, to: &LogicalType, options: Options) -> KernelResult {
    use Family as F;
    match (family(from), family(to)) {
        (F::Nested, F::Nested) if options.attempt => nested::attempt(values, from, to, options),
        (F::Nested, F::Nested) => nested::convert(values, from, to, options),
        (F::Text, F::Text) => to_text::fit(values, to),
        (_, F::Text) => to_text::fit(&to_text::convert(values, from, options)?, to),
        (F::Text | F::Bytes, F::Bytes) => from_text::bytes(values, to),
        (F::Text, _) => from_text::convert(values, to, options),
        (F::Integer | F::Decimal | F::Float | F::Boolean, _) => numbers::convert(values, from, to, options),
        _ => time::convert(values, from, to, options),
    }
}
