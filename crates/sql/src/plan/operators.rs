//! `AND OR NOT + - * / % || LIKE` with Flink's rules.

use datafusion_expr::expr::Like;
use datafusion_expr::{Expr as Plan, Operator, binary_expr};
use headwater_formats::LogicalType;
use sqlparser::ast::{BinaryOperator, Expr, Interval as AstInterval, UnaryOperator, Value, ValueWithSpan};

use super::bind::Binder;
use super::literal;
use crate::bound::Bound;
use crate::error::{Position, ScriptError};
use crate::functions::call::{Binding, build};
use crate::functions::time::interval::{self, Interval};
use crate::functions::{arith, cast, compare, conditional, number};
use crate::types::{DecimalOp, Family, common, family};

pub(crate) fn binary(binder: &mut Binder<'_>, whole: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> Binding {
    let comparison = match op {
        BinaryOperator::And => return junction(binder, whole, true),
        BinaryOperator::Or => return junction(binder, whole, false),
        BinaryOperator::StringConcat => return concat(binder, whole),
        BinaryOperator::Plus | BinaryOperator::Minus if is_interval(left) || is_interval(right) => {
            return moved(binder, left, *op == BinaryOperator::Minus, right);
        }
        BinaryOperator::Plus
        | BinaryOperator::Minus
        | BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Modulo => {
            let (left, right) = (binder.bind(left)?, binder.bind(right)?);
            return arithmetic(binder, op, left, right);
        }
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        other => return Err(binder.unsupported(format!("the operator {other} is not Flink's"))),
    };
    let (left, right) = (binder.bind(left)?, binder.bind(right)?);
    compare::compare(comparison, left, right, binder.env, binder.around)
}

/// `a AND b AND …` or `a OR b OR …`, however long. Operands to the right are reached only if those before do not decide,
/// which matters where they can fail.
fn junction(binder: &mut Binder<'_>, whole: &Expr, and: bool) -> Binding {
    let op = if and { BinaryOperator::And } else { BinaryOperator::Or };
    let mut bound = Vec::new();
    for (i, operand) in chain(whole, &op).into_iter().enumerate() {
        let value = if i == 0 { binder.bind(operand)? } else { binder.bind_conditional(operand)? };
        bound.push(binder.boolean(value)?);
    }
    let at = binder.around;
    balanced(bound, and, at).ok_or_else(|| binder.unsupported("an empty condition"))
}

/// The operands of a chain of one operator, from left to right. The parser nests them to the left, as deep as the chain
/// is long.
pub(crate) fn chain<'e>(whole: &'e Expr, wanted: &BinaryOperator) -> Vec<&'e Expr> {
    let mut operands = Vec::new();
    let mut rest = whole;
    while let Expr::BinaryOp { left, op, right } = rest
        && op == wanted
    {
        operands.push(right.as_ref());
        rest = left;
    }
    operands.push(rest);
    operands.reverse();
    operands
}

/// Joins conditions in a tree of little depth. `None` if there are none.
pub(crate) fn balanced(mut conditions: Vec<Bound>, and: bool, at: Position) -> Option<Bound> {
    if conditions.len() < 2 {
        return conditions.pop();
    }
    let right = conditions.split_off(conditions.len() / 2);
    Some(both(balanced(conditions, and, at)?, balanced(right, and, at)?, and, at))
}

/// `left AND right` or `left OR right`.
pub(crate) fn both(left: Bound, right: Bound, and: bool, position: Position) -> Bound {
    if right.fallible {
        return conditional::lazy(left, right, and, position);
    }
    let fallible = left.fallible;
    let expr = if and { left.expr.and(right.expr) } else { left.expr.or(right.expr) };
    Bound { expr, logical: Some(LogicalType::Boolean), fallible, position }
}

fn concat(binder: &mut Binder<'_>, whole: &Expr) -> Binding {
    let mut args = Vec::new();
    for operand in chain(whole, &BinaryOperator::StringConcat) {
        let value = binder.bind(operand)?;
        if !matches!(value.logical.as_ref().map(family), Some(Family::Text) | None) {
            return Err(
                binder.type_error(format!("|| joins texts, this is {}; write CAST(… AS STRING)", value.type_name()))
            );
        }
        args.push(cast::implicit(value, &LogicalType::String, binder.env)?);
    }
    build("||", args, LogicalType::String, false, binder.around, binder.env, |args| {
        let texts: Vec<_> = (0..args.len()).map(|a| args.strings(a)).collect();
        args.to_strings(|i| Ok(texts.iter().map(|t| t.get(i)).collect::<Option<String>>()))
    })
}

fn is_interval(expr: &Expr) -> bool {
    match expr {
        Expr::Interval(_) => true,
        Expr::Nested(inner) => is_interval(inner),
        _ => false,
    }
}

/// `time + INTERVAL`, `time - INTERVAL`, `INTERVAL + time`.
fn moved(binder: &mut Binder<'_>, left: &Expr, minus: bool, right: &Expr) -> Binding {
    let (time, interval) = if is_interval(right) { (left, right) } else { (right, left) };
    if is_interval(time) || (minus && is_interval(left)) {
        return Err(binder.unsupported("an interval is added to a time or taken from one"));
    }
    let mut interval = interval;
    while let Expr::Nested(inner) = interval {
        interval = inner;
    }
    let Expr::Interval(ast) = interval else { return Err(binder.unsupported("an interval is needed")) };
    let interval = read_interval(binder, ast)?;
    let time = binder.bind(time)?;
    interval::plus(time, if minus { interval.negated() } else { interval }, binder.env, binder.around)
}

fn read_interval(binder: &Binder<'_>, ast: &AstInterval) -> Result<Interval, ScriptError> {
    let text = match ast.value.as_ref() {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        _ => None,
    };
    let from = ast.leading_field.as_ref().map(ToString::to_string);
    let to = ast.last_field.as_ref().map(ToString::to_string);
    let interval = text.zip(from).and_then(|(text, from)| Interval::parse(text, &from, to.as_deref()));
    interval.ok_or_else(|| {
        binder.type_error("an interval is written INTERVAL '5' SECOND or INTERVAL '1 12:30' DAY TO MINUTE")
    })
}

fn arithmetic(binder: &Binder<'_>, op: &BinaryOperator, left: Bound, right: Bound) -> Binding {
    let (env, at) = (binder.env, binder.around);
    let (Some(a), Some(b)) = (left.logical.clone(), right.logical.clone()) else {
        // NULL makes the result NULL; its type is that of the other side.
        let t = left.logical.or(right.logical).unwrap_or(LogicalType::Int);
        return cast::implicit(Bound::null(at), &t, env);
    };
    let numbers = crate::types::is_numeric(&a) && crate::types::is_numeric(&b);
    let Some(t) = common(&a, &b).filter(|_| numbers) else {
        return Err(binder.type_error(wrong_operands(op, &a, &b)));
    };
    match (family(&t), op) {
        (Family::Decimal, _) => {
            let op = match op {
                BinaryOperator::Plus => DecimalOp::Add,
                BinaryOperator::Minus => DecimalOp::Subtract,
                BinaryOperator::Multiply => DecimalOp::Multiply,
                BinaryOperator::Divide => DecimalOp::Divide,
                _ => DecimalOp::Modulo,
            };
            arith::decimal(op, left, right, env, at)
        }
        (_, BinaryOperator::Modulo) => number::remainder(left, right, env, at),
        (Family::Integer, BinaryOperator::Divide) => {
            let (left, right) = (cast::implicit(left, &t, env)?, cast::implicit(right, &t, env)?);
            arith::divide_whole(left, right, &t, false, env, at)
        }
        _ => {
            let op = match op {
                BinaryOperator::Plus => Operator::Plus,
                BinaryOperator::Minus => Operator::Minus,
                BinaryOperator::Multiply => Operator::Multiply,
                _ => Operator::Divide,
            };
            let (left, right) = (cast::implicit(left, &t, env)?, cast::implicit(right, &t, env)?);
            let fallible = left.fallible || right.fallible;
            Ok(Bound { expr: binary_expr(left.expr, op, right.expr), logical: Some(t), fallible, position: at })
        }
    }
}

fn wrong_operands(op: &BinaryOperator, a: &LogicalType, b: &LogicalType) -> String {
    let way_out = match (family(a), family(b)) {
        (Family::Text, _) | (_, Family::Text) if *op == BinaryOperator::Plus => "; texts are joined by ||",
        (Family::Text, _) | (_, Family::Text) => "; write CAST(… AS DOUBLE), or what number it is",
        (Family::Date | Family::Timestamp | Family::TimestampLtz, Family::Integer) => {
            "; add an interval, as in + INTERVAL '1' DAY"
        }
        (
            Family::Date | Family::Timestamp | Family::TimestampLtz,
            Family::Date | Family::Timestamp | Family::TimestampLtz,
        ) => "; use TIMESTAMPDIFF(SECOND, from, to)",
        _ => "",
    };
    format!("{a} {op} {b} is not defined{way_out}")
}

pub(crate) fn unary(binder: &mut Binder<'_>, op: UnaryOperator, expr: &Expr) -> Binding {
    let at = binder.around;
    if let (UnaryOperator::Minus, Expr::Value(value)) = (op, expr)
        && matches!(value.value, Value::Number(..))
    {
        return literal::literal(&value.value, true, at);
    }
    let value = binder.bind(expr)?;
    match op {
        UnaryOperator::Not => {
            let value = binder.boolean(value)?;
            let expr = Plan::Not(Box::new(value.expr));
            Ok(Bound { expr, logical: value.logical, fallible: value.fallible, position: at })
        }
        UnaryOperator::Plus | UnaryOperator::Minus => {
            if value.logical.as_ref().is_some_and(|t| !crate::types::is_numeric(t)) {
                return Err(binder.type_error(format!("{op}{} is not defined", value.type_name())));
            }
            if op == UnaryOperator::Plus || value.logical.is_none() {
                return Ok(value);
            }
            let expr = Plan::Negative(Box::new(value.expr));
            Ok(Bound { expr, logical: value.logical, fallible: value.fallible, position: at })
        }
        other => Err(binder.unsupported(format!("the operator {other} is not Flink's"))),
    }
}

/// `text LIKE pattern [ESCAPE 'c']`: without ESCAPE, nothing is one.
pub(crate) fn like(
    binder: &mut Binder<'_>,
    text: &Expr,
    pattern: &Expr,
    escape: Option<&ValueWithSpan>,
    negated: bool,
) -> Binding {
    let value = binder.bind(text)?;
    if !matches!(value.logical.as_ref().map(family), Some(Family::Text) | None) {
        return Err(
            binder.type_error(format!("LIKE needs a text, this is {}; write CAST(… AS STRING)", value.type_name()))
        );
    }
    let value = cast::implicit(value, &LogicalType::String, binder.env)?;
    let bound = binder.bind(pattern)?;
    let escape = match escape.map(|e| &e.value) {
        None => None,
        Some(Value::SingleQuotedString(e)) if e.chars().count() == 1 => e.chars().next(),
        Some(_) => return Err(binder.type_error("ESCAPE takes one character")),
    };
    let pattern = match bound.constant() {
        Some(datafusion_common::ScalarValue::Utf8(Some(p))) => {
            like_pattern(p, escape).map_err(|e| binder.type_error(e))?
        }
        Some(null) if null.is_null() => {
            return cast::implicit(Bound::null(binder.around), &LogicalType::Boolean, binder.env);
        }
        _ => return Err(binder.unsupported("the pattern of LIKE must be a literal text")),
    };
    let expr = Plan::Like(Like::new(
        negated,
        Box::new(value.expr),
        Box::new(Plan::Literal(datafusion_common::ScalarValue::Utf8(Some(pattern)), None)),
        None,
        false,
    ));
    Ok(Bound { expr, logical: Some(LogicalType::Boolean), fallible: value.fallible, position: binder.around })
}

/// The pattern with a backslash as its escape character, which is what the evaluation takes.
fn like_pattern(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let plain = if Some(c) == escape {
            match chars.next() {
                Some(next) if matches!(next, '%' | '_') || Some(next) == escape => next,
                _ => return Err("in LIKE, the escape character stands before %, _ or itself".to_owned()),
            }
        } else if matches!(c, '%' | '_') {
            out.push(c);
            continue;
        } else {
            c
        };
        if matches!(plain, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(plain);
    }
    Ok(out)
}
