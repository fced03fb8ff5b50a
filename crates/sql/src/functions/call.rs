//! A call of a function while the script is planned: its arguments, and how the result is put together.

use std::ops::RangeInclusive;

use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, Expr};
use headwater_formats::LogicalType;

use super::cast;
use super::kernel::{Args, KernelResult, udf};
use super::time::zone::Zone;
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::types::{Family, common, family, is_numeric};

pub(crate) type Binding = Result<Bound, ScriptError>;

/// What an expression needs to know besides its arguments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Env {
    /// `table.local-time-zone`.
    pub(crate) zone: Zone,
    /// Whether the expression may never be reached (a branch of `CASE`, the right of `AND`): then a constant that fails
    /// is left to the rows that reach it.
    pub(crate) conditional: bool,
}

/// A function of the allow-list.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// How it is written, for messages and the reference.
    pub(crate) usage: &'static str,
    /// How many arguments it takes.
    pub(crate) arity: RangeInclusive<usize>,
    pub(crate) bind: fn(Call) -> Binding,
}

/// A call of a [`Function`].
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: &'static Function,
    pub(crate) args: Vec<Bound>,
    pub(crate) position: Position,
    pub(crate) env: Env,
}

impl Call {
    /// Checks the number of arguments and binds.
    pub(crate) fn bind(self) -> Binding {
        if !self.function.arity.contains(&self.args.len()) {
            let given = match self.args.len() {
                1 => "1 argument".to_owned(),
                n => format!("{n} arguments"),
            };
            return Err(self.error(self.position, format!("given {given}")));
        }
        (self.function.bind)(self)
    }

    /// An error that shows how the function is written.
    pub(crate) fn error(&self, position: Position, message: impl AsRef<str>) -> ScriptError {
        let message = format!("{}: {}", self.function.usage, message.as_ref());
        ScriptError::new(ScriptErrorKind::Type, position, message)
    }

    fn wrong(&self, arg: usize, wanted: &str, way_out: &str) -> ScriptError {
        let given = &self.args[arg];
        self.error(given.position, format!("argument {} is {}, not {wanted}{way_out}", arg + 1, given.type_name()))
    }

    pub(crate) fn family(&self, arg: usize) -> Option<Family> {
        self.args[arg].logical.as_ref().map(family)
    }

    /// Takes an argument as text.
    pub(crate) fn text(&mut self, arg: usize) -> Result<(), ScriptError> {
        match self.family(arg) {
            Some(Family::Text) => Ok(()),
            None => self.convert(arg, &LogicalType::String),
            Some(_) => Err(self.wrong(arg, "a text", "; write CAST(… AS STRING)")),
        }
    }

    pub(crate) fn texts(&mut self, args: impl IntoIterator<Item = usize>) -> Result<(), ScriptError> {
        args.into_iter().try_for_each(|arg| self.text(arg))
    }

    /// Takes an argument as a whole number of 64 bits.
    pub(crate) fn whole(&mut self, arg: usize) -> Result<(), ScriptError> {
        match self.family(arg) {
            Some(Family::Integer) | None => self.convert(arg, &LogicalType::BigInt),
            Some(_) => Err(self.wrong(arg, "a whole number", "")),
        }
    }

    /// Takes an argument as a number of any kind.
    pub(crate) fn numeric(&mut self, arg: usize) -> Result<LogicalType, ScriptError> {
        match &self.args[arg].logical {
            Some(t) if is_numeric(t) => Ok(t.clone()),
            Some(_) => Err(self.wrong(arg, "a number", "; write CAST(… AS DOUBLE), or what number it is")),
            None => self.convert(arg, &LogicalType::Int).map(|()| LogicalType::Int),
        }
    }

    /// Takes a number as a double.
    pub(crate) fn double(&mut self, arg: usize) -> Result<(), ScriptError> {
        self.numeric(arg)?;
        self.convert(arg, &LogicalType::Double)
    }

    /// Takes an argument that has a date, a time of day or both.
    pub(crate) fn temporal(&mut self, arg: usize) -> Result<Family, ScriptError> {
        match self.family(arg) {
            Some(f @ (Family::Date | Family::Time | Family::Timestamp | Family::TimestampLtz)) => Ok(f),
            None => self.convert(arg, &LogicalType::Timestamp(3)).map(|()| Family::Timestamp),
            Some(_) => Err(self.wrong(arg, "a date or time", "; write TO_TIMESTAMP(…), or CAST(… AS TIMESTAMP(3))")),
        }
    }

    /// Takes an argument of this very type.
    pub(crate) fn convert(&mut self, arg: usize, to: &LogicalType) -> Result<(), ScriptError> {
        let given = std::mem::replace(&mut self.args[arg], Bound::null(self.position));
        self.args[arg] = cast::implicit(given, to, self.env)?;
        Ok(())
    }

    /// Takes arguments as the type they have in common.
    pub(crate) fn unify(&mut self, args: impl IntoIterator<Item = usize> + Clone) -> Result<LogicalType, ScriptError> {
        let mut found: Option<LogicalType> = None;
        for arg in args.clone() {
            let Some(t) = &self.args[arg].logical else { continue };
            found = Some(match &found {
                None => t.clone(),
                Some(f) => common(f, t).ok_or_else(|| {
                    let message = format!("{} and {} have no type in common; write a CAST", f, t);
                    self.error(self.args[arg].position, message)
                })?,
            });
        }
        let found = found.ok_or_else(|| self.error(self.position, "NULL needs a type; write CAST(NULL AS …)"))?;
        args.into_iter().try_for_each(|arg| self.convert(arg, &found))?;
        Ok(found)
    }

    /// A text that must be the same for every row, since it is looked at when the script is planned. `None` is NULL.
    pub(crate) fn fixed_text(&mut self, arg: usize, what: &str) -> Result<Option<String>, ScriptError> {
        self.text(arg)?;
        match self.args[arg].constant() {
            Some(ScalarValue::Utf8(text)) => Ok(text.clone()),
            _ => Err(self.error(self.args[arg].position, format!("{what} must be a literal text"))),
        }
    }

    /// A whole number that must be the same for every row. `None` is NULL.
    pub(crate) fn fixed_whole(&mut self, arg: usize, what: &str) -> Result<Option<i64>, ScriptError> {
        self.whole(arg)?;
        match self.args[arg].constant() {
            Some(ScalarValue::Int64(number)) => Ok(*number),
            _ => Err(self.error(self.args[arg].position, format!("{what} must be a literal number"))),
        }
    }

    /// The result: `run` on the first `args` arguments.
    pub(crate) fn result(
        mut self,
        args: usize,
        logical: LogicalType,
        can_fail: bool,
        run: impl Fn(&Args) -> KernelResult + Send + Sync + 'static,
    ) -> Binding {
        self.args.truncate(args);
        build(self.function.name, self.args, logical, can_fail, self.position, self.env, run)
    }

    /// NULL, typed.
    pub(crate) fn null(&self, logical: LogicalType) -> Binding {
        cast::implicit(Bound::null(self.position), &logical, self.env)
    }
}

/// An expression that calls `run`; a constant when all arguments are.
pub(crate) fn build(
    name: &'static str,
    args: Vec<Bound>,
    logical: LogicalType,
    can_fail: bool,
    position: Position,
    env: Env,
    run: impl Fn(&Args) -> KernelResult + Send + Sync + 'static,
) -> Binding {
    let arrow = logical.to_arrow();
    let constants: Option<Vec<ScalarValue>> = args.iter().map(|a| a.constant().cloned()).collect();
    if let Some(constants) = constants {
        let values: Vec<ColumnarValue> = constants.into_iter().map(ColumnarValue::Scalar).collect();
        let internal = |e| ScriptError::new(ScriptErrorKind::Type, position, format!("{name}: {e}"));
        match run(&Args::new(&values, 1).map_err(internal)?) {
            Ok(array) => {
                let value = ScalarValue::try_from_array(&array, 0).map_err(internal)?;
                return Ok(Bound::literal(value, logical, position));
            }
            Err(e) if !env.conditional => {
                return Err(ScriptError::new(ScriptErrorKind::Type, position, format!("{name}: {e}")));
            }
            Err(_) => {}
        }
    }
    let fallible = can_fail || args.iter().any(|a| a.fallible);
    let expr: Expr = udf(name, arrow, run).call(args.into_iter().map(|a| a.expr).collect());
    Ok(Bound { expr, logical: Some(logical), fallible, position })
}
