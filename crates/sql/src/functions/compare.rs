//! Comparisons, after both sides have been brought to one type by Flink's rules.
//!
//! A text that is compared with something else is read as that. Floating point numbers are compared as Java does: NaN
//! equals nothing, and the two zeros are equal (Arrow orders NaN above everything and -0.0 below 0.0).

use arrow_array::types::{Decimal128Type, Float64Type};
use arrow_buffer::i256;
use datafusion_expr::{Operator, binary_expr};
use headwater_formats::LogicalType;
use headwater_formats::types::MAX_DECIMAL_PRECISION;

use super::call::{Binding, Env, build};
use super::cast;
use super::digits::pow10;
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::types::{Family, common, digits, family};

/// `left op right`.
pub(crate) fn compare(op: Operator, left: Bound, right: Bound, env: Env, at: Position) -> Binding {
    let (left, right, t) = unify(left, right, env, at)?;
    if family(&t) == Family::Float {
        return floats(op, left, right, env, at);
    }
    if let (Some(a), Some(b)) = (left.logical.as_ref().and_then(digits), right.logical.as_ref().and_then(digits))
        && a != b
    {
        return decimals(op, left, a, right, b, env, at);
    }
    let fallible = left.fallible || right.fallible;
    Ok(Bound {
        expr: binary_expr(left.expr, op, right.expr),
        logical: Some(LogicalType::Boolean),
        fallible,
        position: at,
    })
}

/// Brings two values to the type in which they are compared. Decimals that only a wider type could hold stay as they
/// are.
pub(crate) fn unify(
    left: Bound,
    right: Bound,
    env: Env,
    at: Position,
) -> Result<(Bound, Bound, LogicalType), ScriptError> {
    let t = match (&left.logical, &right.logical) {
        (Some(a), Some(b)) => comparable(a, b).ok_or_else(|| {
            let message = format!("{a} and {b} cannot be compared; write a CAST");
            ScriptError::new(ScriptErrorKind::Type, at, message)
        })?,
        (Some(t), None) | (None, Some(t)) => t.clone(),
        (None, None) => LogicalType::Boolean,
    };
    if family(&t) == Family::Nested {
        let message = format!("{t} cannot be compared; compare its parts");
        return Err(ScriptError::new(ScriptErrorKind::Type, at, message));
    }
    let exact = |b: &Bound| b.logical.as_ref().and_then(digits);
    if let (Some((pa, sa)), Some((pb, sb))) = (exact(&left), exact(&right))
        && family(&t) == Family::Decimal
        && (pa - sa).max(pb - sb) + sa.max(sb) > MAX_DECIMAL_PRECISION
    {
        return Ok((left, right, t));
    }
    let convert = |value: Bound| match value.logical.as_ref().map(family) {
        Some(Family::Text) if family(&t) != Family::Text => {
            let position = value.position;
            cast::explicit(value, &t, false, env, position)
        }
        _ => cast::implicit(value, &t, env),
    };
    Ok((convert(left)?, convert(right)?, t))
}

fn comparable(a: &LogicalType, b: &LogicalType) -> Option<LogicalType> {
    match (family(a), family(b)) {
        (Family::Text, Family::Text) => Some(LogicalType::String),
        (Family::Text, _) => read_as(b),
        (_, Family::Text) => read_as(a),
        _ => common(a, b),
    }
}

/// As what a text is read that is compared with this.
fn read_as(t: &LogicalType) -> Option<LogicalType> {
    match family(t) {
        Family::Integer => Some(LogicalType::BigInt),
        Family::Decimal => common(t, &LogicalType::BigInt),
        Family::Float => Some(LogicalType::Double),
        Family::Text | Family::Bytes | Family::Nested => None,
        Family::Boolean | Family::Date | Family::Time | Family::Timestamp | Family::TimestampLtz => Some(t.clone()),
    }
}

fn holds(op: Operator, order: Option<std::cmp::Ordering>) -> bool {
    match op {
        Operator::Eq | Operator::IsNotDistinctFrom => order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::NotEq | Operator::IsDistinctFrom => !order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::Lt => order.is_some_and(std::cmp::Ordering::is_lt),
        Operator::LtEq => order.is_some_and(std::cmp::Ordering::is_le),
        Operator::Gt => order.is_some_and(std::cmp::Ordering::is_gt),
        _ => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

/// The answer for two values of which either may be NULL; `order` is `None` where there is no order (NaN).
fn answer<T>(
    op: Operator,
    left: Option<T>,
    right: Option<T>,
    order: impl FnOnce(T, T) -> Option<std::cmp::Ordering>,
) -> Option<bool> {
    match (left, right) {
        (Some(a), Some(b)) => Some(holds(op, order(a, b))),
        (a, b) => match op {
            Operator::IsDistinctFrom => Some(a.is_some() || b.is_some()),
            Operator::IsNotDistinctFrom => Some(a.is_none() && b.is_none()),
            _ => None,
        },
    }
}

fn floats(op: Operator, left: Bound, right: Bound, env: Env, at: Position) -> Binding {
    let double = |value| cast::implicit(value, &LogicalType::Double, env);
    build("compare", vec![double(left)?, double(right)?], LogicalType::Boolean, false, at, env, move |args| {
        let (left, right) = (args.numbers::<Float64Type>(0), args.numbers::<Float64Type>(1));
        args.to_booleans(|i| Ok(answer(op, left.get(i), right.get(i), |a, b| a.partial_cmp(&b))))
    })
}

/// Exact numbers that no decimal type holds both of.
fn decimals(op: Operator, left: Bound, a: (u8, u8), right: Bound, b: (u8, u8), env: Env, at: Position) -> Binding {
    let typed = |value, (precision, scale)| cast::implicit(value, &LogicalType::Decimal { precision, scale }, env);
    build("compare", vec![typed(left, a)?, typed(right, b)?], LogicalType::Boolean, false, at, env, move |args| {
        let (left, right) = (args.numbers::<Decimal128Type>(0), args.numbers::<Decimal128Type>(1));
        let scale = a.1.max(b.1);
        // 38 digits times at most 10^38 fit into 256 bits.
        let widen =
            |v: i128, from: u8| pow10((scale - from).into()).and_then(|unit| i256::from_i128(v).checked_mul(unit));
        args.to_booleans(|i| {
            Ok(answer(op, left.get(i), right.get(i), |x, y| widen(x, a.1).zip(widen(y, b.1)).map(|(x, y)| x.cmp(&y))))
        })
    })
}
