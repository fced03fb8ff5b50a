//! `JSON_VALUE` and `JSON_EXISTS`.

mod path;
mod read;

use arrow_array::types::{Float64Type, Int32Type};
use arrow_schema::DataType as ArrowType;
use datafusion_common::ScalarValue;
use headwater_formats::LogicalType;

use self::path::JsonPath;
use self::read::{Found, find, number_text};
use super::call::{Binding, Call, Function};
use super::cast;
use super::kernel::{Args, KernelResult, RowError};
use crate::bound::Bound;
use crate::error::{Position, ScriptError};
use crate::types::converts_implicitly;

/// Both have a grammar of their own: see [`Clauses`].
pub(crate) static JSON_VALUE: Function = Function {
    name: "JSON_VALUE",
    usage: "JSON_VALUE(text, path [RETURNING type] [NULL | ERROR | DEFAULT value ON EMPTY] [… ON ERROR])",
    arity: 2..=2,
    bind: |c| value(c, Clauses::default()),
};
pub(crate) static JSON_EXISTS: Function = Function {
    name: "JSON_EXISTS",
    usage: "JSON_EXISTS(text, path [TRUE | FALSE | UNKNOWN | ERROR ON ERROR])",
    arity: 2..=2,
    bind: |c| exists(c, Clauses::default()),
};

const NO_VALUE: &str = "there is no value at the JSON path";
const NOT_JSON: &str = "the text is not JSON, or has no single value at the path";
const WRONG_TYPE: &str = "the JSON value is not of the type after RETURNING";

/// What stands between the path and the closing bracket.
#[derive(Debug, Default)]
pub(crate) struct Clauses {
    pub(crate) returning: Option<LogicalType>,
    pub(crate) on_empty: Option<Behaviour>,
    pub(crate) on_error: Option<Behaviour>,
}

/// What to answer instead of a value.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// A word: `NULL`, `ERROR`, `TRUE`, `FALSE`, `UNKNOWN`.
    Word(String, Position),
    Default(Bound),
}

/// The answer of a row that has no value of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    Null,
    Error,
    /// The value of this argument.
    Argument(usize),
}

fn fixed_path(call: &mut Call) -> Result<Option<JsonPath>, ScriptError> {
    call.text(0)?;
    let Some(text) = call.fixed_text(1, "the path")? else { return Ok(None) };
    let path = JsonPath::parse(&text).map_err(|e| call.error(call.args[1].position, e))?;
    call.args.truncate(1);
    Ok(Some(path))
}

pub(crate) fn value(mut call: Call, clauses: Clauses) -> Binding {
    let logical = match clauses.returning {
        None => LogicalType::String,
        Some(t @ (LogicalType::Boolean | LogicalType::Int | LogicalType::Double)) => t,
        Some(LogicalType::String | LogicalType::VarChar(_) | LogicalType::Char(_)) => LogicalType::String,
        Some(other) => {
            let message =
                format!("RETURNING takes STRING, BOOLEAN, INT or DOUBLE, not {other}; CAST the result instead");
            return Err(call.error(call.position, message));
        }
    };
    let Some(path) = fixed_path(&mut call)? else { return call.null(logical) };
    let on_empty = instead(&mut call, clauses.on_empty, &logical)?;
    let on_error = instead(&mut call, clauses.on_error, &logical)?;
    let answers = Answers { path, on_empty, on_error };
    let args = call.args.len();
    call.result(args, logical.clone(), true, move |args| match logical {
        LogicalType::Boolean => args.to_booleans(|i| answers.get(args, i, boolean, |a| args.booleans(a).get(i))),
        LogicalType::Int => args.to_numbers::<Int32Type>(&ArrowType::Int32, |i| {
            answers.get(args, i, whole, |a| args.numbers::<Int32Type>(a).get(i))
        }),
        LogicalType::Double => args.to_numbers::<Float64Type>(&ArrowType::Float64, |i| {
            answers.get(args, i, double, |a| args.numbers::<Float64Type>(a).get(i))
        }),
        _ => args.to_strings(|i| answers.get(args, i, text, |a| args.strings(a).get(i).map(str::to_owned))),
    })
}

/// Makes an argument of a default, and an [`Instead`] of it.
fn instead(call: &mut Call, behaviour: Option<Behaviour>, logical: &LogicalType) -> Result<Instead, ScriptError> {
    match behaviour {
        None => Ok(Instead::Null),
        Some(Behaviour::Word(word, _)) if word == "NULL" => Ok(Instead::Null),
        Some(Behaviour::Word(word, _)) if word == "ERROR" => Ok(Instead::Error),
        Some(Behaviour::Word(word, position)) => {
            Err(call.error(position, format!("`{word}` is not an answer of JSON_VALUE")))
        }
        Some(Behaviour::Default(value)) => {
            let value = default_value(call, value, logical)?;
            call.args.push(value);
            Ok(Instead::Argument(call.args.len() - 1))
        }
    }
}

/// A default of another type is written as text where text is wanted: `DEFAULT FALSE` is `'false'`.
fn default_value(call: &Call, value: Bound, logical: &LogicalType) -> Binding {
    let position = value.position;
    match (&value.logical, logical) {
        (Some(from), to) if converts_implicitly(from, to) => cast::implicit(value, to, call.env),
        (None, to) => cast::implicit(value, to, call.env),
        (Some(LogicalType::Boolean), LogicalType::String) => match value.constant() {
            Some(ScalarValue::Boolean(Some(v))) => {
                Ok(Bound::literal(ScalarValue::Utf8(Some(v.to_string())), LogicalType::String, position))
            }
            _ => Err(call.error(position, "write the default as a text")),
        },
        (Some(_), LogicalType::String) => cast::explicit(value, logical, false, call.env, position),
        (Some(from), to) => Err(call.error(position, format!("the default is {from}, not {to}"))),
    }
}

#[derive(Debug)]
struct Answers {
    path: JsonPath,
    on_empty: Instead,
    on_error: Instead,
}

impl Answers {
    /// The answer for a row: the value read by `read`, or what stands for it.
    fn get<T>(
        &self,
        args: &Args,
        row: usize,
        read: fn(Found<'_>) -> Result<T, RowError>,
        default: impl Fn(usize) -> Option<T>,
    ) -> Result<Option<T>, RowError> {
        let Some(json) = args.strings(0).get(row) else { return Ok(None) };
        let other = |instead, error: &'static str| match instead {
            Instead::Null => Ok(None),
            Instead::Error => Err(error.into()),
            Instead::Argument(arg) => Ok(default(arg)),
        };
        match (find(json, &self.path), self.path.lax) {
            (Found::Invalid | Found::Missing | Found::Nested, true) | (Found::Null, _) => {
                other(self.on_empty, NO_VALUE)
            }
            (Found::Invalid | Found::Missing | Found::Nested, false) => other(self.on_error, NOT_JSON),
            (found, _) => read(found).map(Some),
        }
    }
}

fn text(found: Found<'_>) -> Result<String, RowError> {
    match found {
        Found::Text(text) => Ok(text.into_owned()),
        Found::Number(raw) => Ok(number_text(raw).into_owned()),
        Found::Boolean(value) => Ok(value.to_string()),
        _ => Err(WRONG_TYPE.into()),
    }
}

fn boolean(found: Found<'_>) -> Result<bool, RowError> {
    match found {
        Found::Boolean(value) => Ok(value),
        _ => Err(WRONG_TYPE.into()),
    }
}

fn whole(found: Found<'_>) -> Result<i32, RowError> {
    match found {
        Found::Number(raw) => raw.parse().map_err(|_| WRONG_TYPE.into()),
        _ => Err(WRONG_TYPE.into()),
    }
}

fn double(found: Found<'_>) -> Result<f64, RowError> {
    match found {
        Found::Number(raw) => raw.parse().map_err(|_| WRONG_TYPE.into()),
        _ => Err(WRONG_TYPE.into()),
    }
}

pub(crate) fn exists(mut call: Call, clauses: Clauses) -> Binding {
    if clauses.returning.is_some() || clauses.on_empty.is_some() {
        return Err(call.error(call.position, "only ON ERROR may follow the path"));
    }
    let Some(path) = fixed_path(&mut call)? else { return call.null(LogicalType::Boolean) };
    let on_error = match clauses.on_error {
        None => Ok(Some(false)),
        Some(Behaviour::Word(word, position)) => match word.as_str() {
            "TRUE" => Ok(Some(true)),
            "FALSE" => Ok(Some(false)),
            "UNKNOWN" => Ok(None),
            "ERROR" => Err(()),
            _ => return Err(call.error(position, format!("`{word}` is not an answer of JSON_EXISTS"))),
        },
        Some(Behaviour::Default(value)) => return Err(call.error(value.position, "JSON_EXISTS has no DEFAULT")),
    };
    call.result(1, LogicalType::Boolean, on_error.is_err(), move |args| answer_exists(args, &path, on_error))
}

fn answer_exists(args: &Args, path: &JsonPath, on_error: Result<Option<bool>, ()>) -> KernelResult {
    let texts = args.strings(0);
    args.to_booleans(|i| {
        let Some(json) = texts.get(i) else { return Ok(None) };
        match find(json, path) {
            Found::Invalid | Found::Missing if path.lax => Ok(Some(false)),
            Found::Invalid | Found::Missing => on_error.map_err(|()| NOT_JSON.into()),
            Found::Null => Ok(Some(false)),
            _ => Ok(Some(true)),
        }
    })
}
