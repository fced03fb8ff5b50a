//! Functions on numbers.

use arrow_array::ArrayRef;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_buffer::i256;
use headwater_formats::LogicalType;

use super::arith;
use super::call::{Binding, Call, Env, Function};
use super::cast;
use super::digits::{Digits, Rounding, rescale};
use super::kernel::{Args, KernelResult};
use crate::bound::Bound;
use crate::error::{Position, ScriptError};
use crate::types::{DecimalOp, Family, common, family, rounded};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "ABS", usage: "ABS(number)", arity: 1..=1, bind: abs },
    Function { name: "SIGN", usage: "SIGN(number)", arity: 1..=1, bind: sign },
    Function { name: "CEIL", usage: "CEIL(number)", arity: 1..=1, bind: ceil },
    Function { name: "CEILING", usage: "CEILING(number)", arity: 1..=1, bind: ceil },
    Function { name: "FLOOR", usage: "FLOOR(number)", arity: 1..=1, bind: floor },
    Function { name: "ROUND", usage: "ROUND(number[, places])", arity: 1..=2, bind: |c| round(c, Rounding::HalfUp) },
    Function {
        name: "TRUNCATE",
        usage: "TRUNCATE(number[, places])",
        arity: 1..=2,
        bind: |c| round(c, Rounding::Down),
    },
    Function { name: "MOD", usage: "MOD(number, by)", arity: 2..=2, bind: modulo },
    Function { name: "POWER", usage: "POWER(base, exponent)", arity: 2..=2, bind: |c| two(c, f64::powf) },
    Function { name: "SQRT", usage: "SQRT(number)", arity: 1..=1, bind: |c| one(c, f64::sqrt) },
    Function { name: "EXP", usage: "EXP(number)", arity: 1..=1, bind: |c| one(c, f64::exp) },
    Function { name: "LN", usage: "LN(number)", arity: 1..=1, bind: |c| one(c, f64::ln) },
    Function { name: "LOG10", usage: "LOG10(number)", arity: 1..=1, bind: |c| one(c, f64::log10) },
    Function { name: "LOG2", usage: "LOG2(number)", arity: 1..=1, bind: |c| one(c, f64::log2) },
    Function { name: "LOG", usage: "LOG([base, ]number)", arity: 1..=2, bind: log },
    Function { name: "SIN", usage: "SIN(number)", arity: 1..=1, bind: |c| one(c, f64::sin) },
    Function { name: "COS", usage: "COS(number)", arity: 1..=1, bind: |c| one(c, f64::cos) },
    Function { name: "TAN", usage: "TAN(number)", arity: 1..=1, bind: |c| one(c, f64::tan) },
    Function { name: "ASIN", usage: "ASIN(number)", arity: 1..=1, bind: |c| one(c, f64::asin) },
    Function { name: "ACOS", usage: "ACOS(number)", arity: 1..=1, bind: |c| one(c, f64::acos) },
    Function { name: "ATAN", usage: "ATAN(number)", arity: 1..=1, bind: |c| one(c, f64::atan) },
    Function { name: "ATAN2", usage: "ATAN2(y, x)", arity: 2..=2, bind: |c| two(c, f64::atan2) },
    Function { name: "DEGREES", usage: "DEGREES(radians)", arity: 1..=1, bind: |c| one(c, f64::to_degrees) },
    Function { name: "RADIANS", usage: "RADIANS(degrees)", arity: 1..=1, bind: |c| one(c, f64::to_radians) },
];

fn one(mut call: Call, f: fn(f64) -> f64) -> Binding {
    call.double(0)?;
    call.result(1, LogicalType::Double, false, move |args| {
        let values = args.numbers::<Float64Type>(0);
        args.to_numbers::<Float64Type>(&LogicalType::Double.to_arrow(), |i| Ok(values.get(i).map(f)))
    })
}

fn two(mut call: Call, f: fn(f64, f64) -> f64) -> Binding {
    call.double(0)?;
    call.double(1)?;
    call.result(2, LogicalType::Double, false, move |args| {
        let (a, b) = (args.numbers::<Float64Type>(0), args.numbers::<Float64Type>(1));
        args.to_numbers::<Float64Type>(&LogicalType::Double.to_arrow(), |i| {
            Ok(a.get(i).zip(b.get(i)).map(|(a, b)| f(a, b)))
        })
    })
}

fn log(call: Call) -> Binding {
    match call.args.len() {
        1 => one(call, f64::ln),
        _ => two(call, |base, number| number.ln() / base.ln()),
    }
}

/// What a function does to each kind of number; the type stays.
#[derive(Clone, Copy)]
struct PerType {
    whole: fn(i64) -> i64,
    double: fn(f64) -> f64,
    /// On the unscaled value, given 10^scale.
    decimal: fn(i128, i128) -> i128,
}

fn per_type(mut call: Call, f: PerType, result: fn(LogicalType) -> LogicalType) -> Binding {
    let t = call.numeric(0)?;
    let logical = result(t.clone());
    let arrow = logical.to_arrow();
    call.result(1, logical, false, move |args| match &t {
        LogicalType::TinyInt => map::<Int8Type>(args, &arrow, |v| (f.whole)(v.into()) as i8),
        LogicalType::SmallInt => map::<Int16Type>(args, &arrow, |v| (f.whole)(v.into()) as i16),
        LogicalType::Int => map::<Int32Type>(args, &arrow, |v| (f.whole)(v.into()) as i32),
        LogicalType::Float => map::<Float32Type>(args, &arrow, |v| (f.double)(v.into()) as f32),
        LogicalType::Double => map::<Float64Type>(args, &arrow, f.double),
        LogicalType::Decimal { scale, .. } => {
            let unit = 10_i128.pow((*scale).into());
            map::<Decimal128Type>(args, &arrow, |v| (f.decimal)(v, unit))
        }
        _ => map::<Int64Type>(args, &arrow, f.whole),
    })
}

fn map<T: arrow_array::ArrowPrimitiveType>(
    args: &Args,
    arrow: &arrow_schema::DataType,
    f: impl Fn(T::Native) -> T::Native,
) -> KernelResult {
    let values = args.numbers::<T>(0);
    args.to_numbers::<T>(arrow, |i| Ok(values.get(i).map(&f)))
}

/// As in Java, the lowest whole number of a type has no positive one and stays.
fn abs(call: Call) -> Binding {
    per_type(call, PerType { whole: i64::wrapping_abs, double: f64::abs, decimal: |v, _| v.abs() }, |t| t)
}

fn sign(call: Call) -> Binding {
    let double = |v: f64| if v == 0.0 || v.is_nan() { v } else { v.signum() };
    per_type(call, PerType { whole: i64::signum, double, decimal: |v, unit| v.signum() * unit }, |t| t)
}

/// A rounded decimal has no places after the point.
fn no_scale(t: LogicalType) -> LogicalType {
    match t {
        LogicalType::Decimal { precision, .. } => LogicalType::Decimal { precision, scale: 0 },
        other => other,
    }
}

fn ceil(call: Call) -> Binding {
    let decimal = |v: i128, unit: i128| v.div_euclid(unit) + i128::from(v.rem_euclid(unit) != 0);
    per_type(call, PerType { whole: |v| v, double: f64::ceil, decimal }, no_scale)
}

fn floor(call: Call) -> Binding {
    per_type(call, PerType { whole: |v| v, double: f64::floor, decimal: i128::div_euclid }, no_scale)
}

/// Doubles are rounded by the digits they print with, as `BigDecimal.valueOf` has them.
fn round(mut call: Call, rounding: Rounding) -> Binding {
    let t = call.numeric(0)?;
    let places = match call.args.len() {
        1 => Some(0),
        _ => call.fixed_whole(1, "the number of places")?,
    };
    let logical = |places: i64| match &t {
        LogicalType::Decimal { precision, scale } => {
            let (precision, scale) = rounded(*precision, *scale, places.clamp(-39, 39) as i32);
            LogicalType::Decimal { precision, scale }
        }
        other => other.clone(),
    };
    let Some(places) = places else { return call.null(logical(0)) };
    let logical = logical(places);
    let arrow = logical.to_arrow();
    let target = logical.clone();
    call.result(1, logical, false, move |args| {
        let double = |v: f64| Digits::of_f64(v).map_or(v, |d| d.round(places, rounding).to_f64());
        let whole = |v: i64| {
            let digits = Digits::parse(&v.to_string()).map(|d| d.round(places, rounding));
            // As BigDecimal.longValue: what does not fit keeps its low bits.
            digits.and_then(|d| d.unscaled(38, 0)).map_or(v, |n| n as i64)
        };
        match &t {
            LogicalType::TinyInt => map::<Int8Type>(args, &arrow, |v| whole(v.into()) as i8),
            LogicalType::SmallInt => map::<Int16Type>(args, &arrow, |v| whole(v.into()) as i16),
            LogicalType::Int => map::<Int32Type>(args, &arrow, |v| whole(v.into()) as i32),
            LogicalType::Float => map::<Float32Type>(args, &arrow, |v| {
                Digits::of_f32(v).map_or(v, |d| d.round(places, rounding).to_f64() as f32)
            }),
            LogicalType::Double => map::<Float64Type>(args, &arrow, double),
            LogicalType::Decimal { scale, .. } => round_decimal(args, *scale, places, rounding, &target),
            _ => map::<Int64Type>(args, &arrow, whole),
        }
    })
}

fn round_decimal(args: &Args, from: u8, places: i64, rounding: Rounding, target: &LogicalType) -> KernelResult {
    let LogicalType::Decimal { precision, scale } = *target else { return Err("not a decimal".into()) };
    let values = args.numbers::<Decimal128Type>(0);
    let result: ArrayRef = args.to_numbers::<Decimal128Type>(&target.to_arrow(), |i| {
        Ok(values.get(i).and_then(|v| {
            // Places before the point: round there, then write the zeros again.
            let cut = u8::try_from(-places.clamp(-38, 0)).unwrap_or(0);
            if cut == 0 {
                return rescale(i256::from_i128(v), from, precision, scale, rounding);
            }
            let unit = 10_i128.checked_pow(u32::from(from) + u32::from(cut));
            let Some(unit) = unit else { return Some(0) };
            let half = i128::from(
                rounding == Rounding::HalfUp
                    && v.unsigned_abs() % unit.unsigned_abs() >= unit.unsigned_abs().div_ceil(2),
            );
            (v / unit + half * v.signum()).checked_mul(10_i128.checked_pow(cut.into())?)
        }))
    })?;
    Ok(result)
}

fn modulo(mut call: Call) -> Binding {
    call.numeric(0)?;
    call.numeric(1)?;
    let (env, position) = (call.env, call.position);
    let mut args = std::mem::take(&mut call.args).into_iter();
    match (args.next(), args.next()) {
        (Some(a), Some(b)) => remainder(a, b, env, position),
        _ => Err(call.error(position, "two arguments are needed")),
    }
}

/// `left % right`. Of whole numbers, the result has the type of the divisor.
pub(crate) fn remainder(left: Bound, right: Bound, env: Env, at: Position) -> Result<Bound, ScriptError> {
    let (Some(a), Some(b)) = (left.logical.clone(), right.logical.clone()) else {
        return cast::implicit(Bound::null(at), &LogicalType::Int, env);
    };
    let t = common(&a, &b).unwrap_or(LogicalType::Double);
    match family(&t) {
        Family::Integer => {
            let result = arith::divide_whole(
                cast::implicit(left, &t, env)?,
                cast::implicit(right, &t, env)?,
                &t,
                true,
                env,
                at,
            )?;
            cast::explicit(result, &b, false, env, at)
        }
        Family::Decimal => arith::decimal(DecimalOp::Modulo, left, right, env, at),
        _ => {
            let args = vec![
                cast::implicit(left, &LogicalType::Double, env)?,
                cast::implicit(right, &LogicalType::Double, env)?,
            ];
            super::call::build("MOD", args, LogicalType::Double, false, at, env, |args| {
                let (a, b) = (args.numbers::<Float64Type>(0), args.numbers::<Float64Type>(1));
                let arrow = LogicalType::Double.to_arrow();
                args.to_numbers::<Float64Type>(&arrow, |i| Ok(a.get(i).zip(b.get(i)).map(|(a, b)| a % b)))
            })
        }
    }
}
