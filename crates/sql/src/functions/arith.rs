//! `+ - * / %` where DataFusion's meaning is not Flink's: decimals, and whole numbers that are divided.

use arrow_array::ArrowNativeTypeOp;
use arrow_array::types::{ArrowPrimitiveType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_buffer::i256;
use headwater_formats::LogicalType;

use super::call::{Binding, Env, build};
use super::cast;
use super::digits::{Rounding, divide, pow10, rescale};
use super::kernel::{Args, KernelResult};
use crate::bound::Bound;
use crate::error::Position;
use crate::types::{DecimalOp, decimal_result, digits};

const DIVISION_BY_ZERO: &str = "division by zero";
const TOO_WIDE: &str = "the decimals have too many digits for this operation";

/// Whole numbers of one type, divided as in Java: toward zero, the lowest number by -1 wraps around.
pub(crate) fn divide_whole(
    left: Bound,
    right: Bound,
    t: &LogicalType,
    modulo: bool,
    env: Env,
    at: Position,
) -> Binding {
    let name = if modulo { "MOD" } else { "/" };
    let run: fn(&Args, bool) -> KernelResult = match t {
        LogicalType::TinyInt => whole::<Int8Type>,
        LogicalType::SmallInt => whole::<Int16Type>,
        LogicalType::Int => whole::<Int32Type>,
        _ => whole::<Int64Type>,
    };
    build(name, vec![left, right], t.clone(), true, at, env, move |args| run(args, modulo))
}

fn whole<T: ArrowPrimitiveType>(args: &Args, modulo: bool) -> KernelResult
where
    T::Native: ArrowNativeTypeOp,
{
    let (left, right) = (args.numbers::<T>(0), args.numbers::<T>(1));
    args.to_numbers::<T>(&T::DATA_TYPE, |i| {
        let Some((a, b)) = left.get(i).zip(right.get(i)) else { return Ok(None) };
        if b.is_zero() {
            return Err(DIVISION_BY_ZERO.into());
        }
        Ok(Some(if modulo { a.mod_wrapping(b) } else { a.div_wrapping(b) }))
    })
}

/// Exact numbers of which at least one is a decimal. A result that does not fit is NULL.
pub(crate) fn decimal(op: DecimalOp, left: Bound, right: Bound, env: Env, at: Position) -> Binding {
    let exact = |b: &Bound| b.logical.as_ref().and_then(digits).unwrap_or((10, 0));
    let (a, b) = (exact(&left), exact(&right));
    let (precision, scale) = decimal_result(op, a, b);
    let typed = |value, (precision, scale)| cast::implicit(value, &LogicalType::Decimal { precision, scale }, env);
    let args = vec![typed(left, a)?, typed(right, b)?];
    let logical = LogicalType::Decimal { precision, scale };
    let arrow = logical.to_arrow();
    let can_fail = matches!(op, DecimalOp::Divide | DecimalOp::Modulo);
    build("decimal", args, logical, can_fail, at, env, move |args| {
        let (left, right) = (args.numbers::<Decimal128Type>(0), args.numbers::<Decimal128Type>(1));
        args.to_numbers::<Decimal128Type>(&arrow, |i| {
            let Some((x, y)) = left.get(i).zip(right.get(i)) else { return Ok(None) };
            if can_fail && y == 0 {
                return Err(DIVISION_BY_ZERO.into());
            }
            let (value, from) = exact_result(op, x, a.1, y, b.1, scale).ok_or(TOO_WIDE)?;
            Ok(rescale(value, from, precision, scale, Rounding::HalfUp))
        })
    })
}

/// The result and its scale; division is already rounded to the scale that is wanted.
fn exact_result(op: DecimalOp, x: i128, sx: u8, y: i128, sy: u8, scale: u8) -> Option<(i256, u8)> {
    let (x, y) = (i256::from_i128(x), i256::from_i128(y));
    let both = sx.max(sy);
    let aligned = || {
        let x = x.checked_mul(pow10((both - sx).into())?)?;
        Some((x, y.checked_mul(pow10((both - sy).into())?)?))
    };
    Some(match op {
        DecimalOp::Add => aligned().and_then(|(x, y)| Some((x.checked_add(y)?, both)))?,
        DecimalOp::Subtract => aligned().and_then(|(x, y)| Some((x.checked_sub(y)?, both)))?,
        DecimalOp::Modulo => aligned().and_then(|(x, y)| Some((x.checked_rem(y)?, both)))?,
        DecimalOp::Multiply => (x.checked_mul(y)?, sx + sy),
        DecimalOp::Divide => {
            // x/10^sx : y/10^sy, times 10^scale.
            let shift = i32::from(scale) + i32::from(sy) - i32::from(sx);
            let unit = pow10(shift.unsigned_abs())?;
            let (x, y) = if shift >= 0 { (x.checked_mul(unit)?, y) } else { (x, y.checked_mul(unit)?) };
            (divide(x, y, Rounding::HalfUp)?, scale)
        }
    })
}
