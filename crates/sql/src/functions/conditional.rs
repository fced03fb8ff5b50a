//! Functions that choose. Only the branch that is chosen is evaluated, as in Flink.

use arrow::compute::SortOptions;
use arrow_array::ArrayRef;
use arrow_ord::ord::make_comparator;
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use datafusion_expr::expr::Case;
use headwater_formats::LogicalType;

use super::call::{Binding, Call, Function};
use super::kernel::{Args, KernelResult};
use crate::bound::Bound;
use crate::error::Position;
use crate::types::Family;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "IF", usage: "IF(condition, then, else)", arity: 3..=3, bind: if_else },
    Function { name: "COALESCE", usage: "COALESCE(value, …)", arity: 1..=64, bind: coalesce },
    Function { name: "IFNULL", usage: "IFNULL(value, replacement)", arity: 2..=2, bind: coalesce },
    Function { name: "NULLIF", usage: "NULLIF(value, other)", arity: 2..=2, bind: null_if },
    Function { name: "GREATEST", usage: "GREATEST(value, …)", arity: 1..=64, bind: |c| extreme(c, true) },
    Function { name: "LEAST", usage: "LEAST(value, …)", arity: 1..=64, bind: |c| extreme(c, false) },
];

/// The arguments of these functions that are reached only if another one says so.
pub(crate) fn is_conditional(function: &str, arg: usize) -> bool {
    matches!(function, "IF" | "COALESCE" | "IFNULL") && arg > 0
}

fn if_else(mut call: Call) -> Binding {
    if !matches!(call.family(0), Some(Family::Boolean) | None) {
        return Err(
            call.error(call.args[0].position, format!("the condition is {}, not BOOLEAN", call.args[0].type_name()))
        );
    }
    call.convert(0, &LogicalType::Boolean)?;
    let logical = call.unify(1..3)?;
    let position = call.position;
    let mut args = call.args.into_iter();
    match (args.next(), args.next(), args.next()) {
        (Some(condition), Some(then), otherwise) => Ok(case(vec![(condition, then)], otherwise, logical, position)),
        _ => Ok(Bound::null(position)),
    }
}

fn coalesce(mut call: Call) -> Binding {
    let logical = call.unify(0..call.args.len())?;
    let position = call.position;
    let last = call.args.pop();
    let branches = call.args.into_iter().map(|value| (is_not_null(&value), value)).collect();
    Ok(case(branches, last, logical, position))
}

fn is_not_null(value: &Bound) -> Bound {
    let expr = Expr::IsNotNull(Box::new(value.expr.clone()));
    Bound { expr, logical: Some(LogicalType::Boolean), fallible: value.fallible, position: value.position }
}

fn null_if(call: Call) -> Binding {
    let Call { args, position, env, .. } = call;
    let mut args = args.into_iter();
    let (Some(value), Some(other)) = (args.next(), args.next()) else { return Ok(Bound::null(position)) };
    let Some(logical) = value.logical.clone() else { return Ok(Bound::null(position)) };
    let same = super::compare::compare(datafusion_expr::Operator::Eq, value.clone(), other, env, position)?;
    let null = super::cast::implicit(Bound::null(position), &logical, env)?;
    Ok(case(vec![(same, null)], Some(value), logical, position))
}

/// `CASE WHEN … THEN … ELSE … END` of branches that have one type.
pub(crate) fn case(
    branches: Vec<(Bound, Bound)>,
    otherwise: Option<Bound>,
    logical: LogicalType,
    position: Position,
) -> Bound {
    let Some(otherwise) = otherwise.or_else(|| null_of(&logical, position)) else { return Bound::null(position) };
    if branches.is_empty() {
        return otherwise;
    }
    let fallible = otherwise.fallible || branches.iter().any(|(when, then)| when.fallible || then.fallible);
    let branches = branches.into_iter().map(|(when, then)| (Box::new(when.expr), Box::new(then.expr))).collect();
    let expr = Expr::Case(Case::new(None, branches, Some(Box::new(otherwise.expr))));
    Bound { expr, logical: Some(logical), fallible, position }
}

fn null_of(logical: &LogicalType, position: Position) -> Option<Bound> {
    let null = ScalarValue::try_new_null(&logical.to_arrow()).ok()?;
    Some(Bound::literal(null, logical.clone(), position))
}

/// NULL if any argument is.
fn extreme(mut call: Call, greatest: bool) -> Binding {
    let n = call.args.len();
    let logical = call.unify(0..n)?;
    if crate::types::family(&logical) == Family::Nested {
        return Err(call.error(call.position, format!("{logical} has no order")));
    }
    call.result(n, logical, false, move |args| pick(args, greatest))
}

fn pick(args: &Args, greatest: bool) -> KernelResult {
    let columns: Vec<ArrayRef> = (0..args.len()).map(|a| ArrayRef::clone(args.array(a).array)).collect();
    let arrays: Vec<&dyn arrow_array::Array> = columns.iter().map(AsRef::as_ref).collect();
    let compare = |a: usize, b: usize| {
        make_comparator(&columns[a], &columns[b], SortOptions::default()).map_err(|_| "the values have no order")
    };
    let mut comparators = Vec::new();
    for a in 0..columns.len() {
        let row: Result<Vec<_>, _> = (0..columns.len()).map(|b| compare(a, b)).collect();
        comparators.push(row?);
    }
    let mut chosen = Vec::with_capacity(args.rows());
    for row in 0..args.rows() {
        let indexes: Option<Vec<usize>> = (0..args.len()).map(|a| args.array(a).index(row)).collect();
        let best = indexes.map(|indexes| {
            let better = |best: usize, next: usize| {
                let order = comparators[next][best](indexes[next], indexes[best]);
                if (greatest && order.is_gt()) || (!greatest && order.is_lt()) { next } else { best }
            };
            let best = (1..args.len()).fold(0, better);
            (best, indexes[best])
        });
        chosen.push(best);
    }
    interleave(&arrays, &chosen)
}

/// The chosen values; `None` is NULL.
fn interleave(arrays: &[&dyn arrow_array::Array], chosen: &[Option<(usize, usize)>]) -> KernelResult {
    let null = arrow_array::new_null_array(arrays[0].data_type(), 1);
    let mut all = arrays.to_vec();
    all.push(null.as_ref());
    let indexes: Vec<(usize, usize)> = chosen.iter().map(|c| c.unwrap_or((arrays.len(), 0))).collect();
    arrow::compute::interleave(&all, &indexes).map_err(|_| "the values do not fit together".into())
}

/// `left AND right` or `left OR right`, where `right` is reached only if `left` does not decide.
pub(crate) fn lazy(left: Bound, right: Bound, and: bool, position: Position) -> Bound {
    let decided =
        if and { Expr::IsFalse(Box::new(left.expr.clone())) } else { Expr::IsTrue(Box::new(left.expr.clone())) };
    let decided = Bound { expr: decided, logical: Some(LogicalType::Boolean), fallible: left.fallible, position };
    let answer = Bound::literal(ScalarValue::Boolean(Some(!and)), LogicalType::Boolean, position);
    let fallible = left.fallible || right.fallible;
    let both = if and { left.expr.and(right.expr) } else { left.expr.or(right.expr) };
    let both = Bound { expr: both, logical: Some(LogicalType::Boolean), fallible, position };
    case(vec![(decided, answer)], Some(both), LogicalType::Boolean, position)
}
