//! Calls of functions: which arguments are expressions and which are words, and what no function may be called with.

use headwater_formats::LogicalType;
use sqlparser::ast::{
    Expr, Function as Ast, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Value, ValueWithSpan,
};

use super::bind::Binder;
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::functions::call::{Binding, Call, Function};
use crate::functions::conditional::is_conditional;
use crate::functions::json::{Behaviour, Clauses, JSON_EXISTS, JSON_VALUE, exists, value};
use crate::functions::time::fields::{self, CEIL_TO, EXTRACT, FLOOR_TO, Unit};
use crate::functions::time::interval::{self, TIMESTAMPADD, TIMESTAMPDIFF};
use crate::functions::{lookup, refusal};
use crate::parse::read_type;

pub(crate) fn function(binder: &mut Binder<'_>, ast: &Ast) -> Binding {
    let name = match ast.name.0.as_slice() {
        [part] => part.as_ident().map(|ident| ident.value.to_ascii_uppercase()),
        _ => None,
    };
    let Some(name) = name else { return Err(binder.unsupported(format!("there is no function {}", ast.name))) };
    check(binder, &name, ast)?;
    let args = arguments(binder, &name, ast)?;
    match (name.as_str(), args.as_slice()) {
        ("JSON_VALUE", args) => json(binder, &JSON_VALUE, args, value),
        ("JSON_EXISTS", args) => json(binder, &JSON_EXISTS, args, exists),
        ("TIMESTAMPADD", [unit, number, time]) => {
            let unit = unit_of(binder, unit)?;
            let call = call(binder, &TIMESTAMPADD, &[plain(binder, number)?, plain(binder, time)?])?;
            interval::add(call, unit)
        }
        ("TIMESTAMPDIFF", [unit, from, to]) => {
            let unit = unit_of(binder, unit)?;
            let call = call(binder, &TIMESTAMPDIFF, &[plain(binder, from)?, plain(binder, to)?])?;
            interval::difference(call, unit)
        }
        ("TIMESTAMPADD" | "TIMESTAMPDIFF", _) => {
            Err(binder.type_error(format!("{name} takes a unit and two values, as in {name}(SECOND, …, …)")))
        }
        _ => {
            let args = args.into_iter().map(|a| plain(binder, a)).collect::<Result<Vec<_>, _>>()?;
            named(binder, &name, &args)
        }
    }
}

/// Calls a function of the allow-list with expressions.
pub(crate) fn named(binder: &mut Binder<'_>, name: &str, args: &[&Expr]) -> Binding {
    let Some(function) = lookup(name) else {
        return Err(ScriptError::new(ScriptErrorKind::Name, binder.around, refusal(name)));
    };
    call(binder, function, args)?.bind()
}

/// `EXTRACT(unit FROM time)`.
pub(crate) fn extract(binder: &mut Binder<'_>, unit: &str, time: &Expr) -> Binding {
    let unit = unit_named(binder, unit)?;
    fields::extract(call(binder, &EXTRACT, &[time])?, unit)
}

/// `FLOOR(time TO unit)` and `CEIL(time TO unit)`.
pub(crate) fn round_to(binder: &mut Binder<'_>, unit: &str, time: &Expr, up: bool) -> Binding {
    let unit = unit_named(binder, unit)?;
    fields::round_to(call(binder, if up { &CEIL_TO } else { &FLOOR_TO }, &[time])?, unit, up)
}

fn call(binder: &mut Binder<'_>, function: &'static Function, args: &[&Expr]) -> Result<Call, ScriptError> {
    let mut bound = Vec::with_capacity(args.len());
    for (i, arg) in args.iter().enumerate() {
        bound.push(if is_conditional(function.name, i) { binder.bind_conditional(arg)? } else { binder.bind(arg)? });
    }
    Ok(Call { function, args: bound, position: binder.around, env: binder.env })
}

/// Refuses what only functions over many rows have.
fn check(binder: &Binder<'_>, name: &str, ast: &Ast) -> Result<(), ScriptError> {
    if ast.over.is_some() {
        let message = "OVER (…) looks at other rows, and every row is handled by itself here";
        return Err(binder.unsupported(message));
    }
    let plain = ast.filter.is_none()
        && ast.within_group.is_empty()
        && ast.null_treatment.is_none()
        && !ast.uses_odbc_syntax
        && matches!(ast.parameters, FunctionArguments::None);
    if !plain {
        return Err(binder.unsupported(format!("{name} takes nothing but arguments in brackets")));
    }
    Ok(())
}

fn arguments<'a>(binder: &Binder<'_>, name: &str, ast: &'a Ast) -> Result<Vec<&'a FunctionArg>, ScriptError> {
    match &ast.args {
        FunctionArguments::None => Ok(Vec::new()),
        FunctionArguments::Subquery(_) => Err(binder.unsupported(format!("{name} does not take a query"))),
        FunctionArguments::List(list) => {
            let star = list.args.iter().any(|a| matches!(a, FunctionArg::Unnamed(FunctionArgExpr::Wildcard)));
            if list.duplicate_treatment.is_some() || !list.clauses.is_empty() || star {
                // Only functions over many rows have these; `refusal` says so for those that it knows.
                let message = match lookup(name) {
                    Some(_) => format!("{name} takes nothing but arguments in brackets"),
                    None => refusal(name),
                };
                return Err(binder.unsupported(message));
            }
            Ok(list.args.iter().collect())
        }
    }
}

fn plain<'a>(binder: &Binder<'_>, arg: &'a FunctionArg) -> Result<&'a Expr, ScriptError> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        other => Err(binder.unsupported(format!("the argument `{other}` is not supported"))),
    }
}

fn unit_of(binder: &Binder<'_>, arg: &FunctionArg) -> Result<Unit, ScriptError> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident))) => unit_named(binder, &ident.value),
        other => {
            Err(binder.type_error(format!("`{other}` is no unit; units are words such as SECOND, HOUR, DAY, MONTH")))
        }
    }
}

fn unit_named(binder: &Binder<'_>, name: &str) -> Result<Unit, ScriptError> {
    Unit::parse(name).ok_or_else(|| binder.type_error(format!("`{name}` is not a supported unit of time")))
}

/// The first two arguments are expressions, the rest are the clauses that `parse::dialect` made named arguments of.
fn json(
    binder: &mut Binder<'_>,
    function: &'static Function,
    args: &[&FunctionArg],
    bind: fn(Call, Clauses) -> Binding,
) -> Binding {
    let (values, clauses) = args.split_at(args.len().min(2));
    let values = values.iter().map(|a| plain(binder, a)).collect::<Result<Vec<_>, _>>()?;
    let call = call(binder, function, &values)?;
    let mut read = Clauses::default();
    for clause in clauses {
        let FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } = clause else {
            return Err(binder.unsupported(format!("`{clause}` is no clause of {}", function.name)));
        };
        let at: Position = name.span.start.into();
        let twice = match name.value.as_str() {
            "RETURNING" => read.returning.replace(returning(binder, value, at)?).is_some(),
            "ON EMPTY" | "DEFAULT ON EMPTY" => read.on_empty.replace(behaviour(binder, name, value)?).is_some(),
            _ => read.on_error.replace(behaviour(binder, name, value)?).is_some(),
        };
        if twice {
            return Err(ScriptError::new(ScriptErrorKind::Syntax, at, format!("{} is given twice", name.value)));
        }
    }
    bind(call, read)
}

fn returning(binder: &Binder<'_>, value: &Expr, at: Position) -> Result<LogicalType, ScriptError> {
    match value {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Ok(read_type(text, at)?.logical),
        other => Err(binder.unsupported(format!("`{other}` is no type"))),
    }
}

fn behaviour(binder: &mut Binder<'_>, name: &Ident, value: &Expr) -> Result<Behaviour, ScriptError> {
    if name.value.starts_with("DEFAULT") {
        let value: Bound = binder.bind_conditional(value)?;
        return Ok(Behaviour::Default(value));
    }
    Ok(Behaviour::Word(value.to_string(), name.span.start.into()))
}
