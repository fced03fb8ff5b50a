//! Expressions: names and types are looked up, Flink's meaning is written out in DataFusion's terms.

use datafusion_common::ScalarValue;
use datafusion_expr::expr::InList;
use datafusion_expr::{Expr as Plan, Operator};
use headwater_formats::LogicalType;
use sqlparser::ast::{AccessExpr, CaseWhen, CastKind, CeilFloorKind, DataType, Expr, Ident, Subscript, TrimWhereField};

use super::calls;
use super::literal;
use super::operators;
use super::place;
use super::scope::Scope;
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::functions::access;
use crate::functions::call::{Binding, Env};
use crate::functions::conditional::case;
use crate::functions::{cast, compare};
use crate::parse::read_type;
use crate::types::{Family, common, family};

/// How deep expressions may nest. They are planned and evaluated by recursion; people write less than ten levels.
/// Chains of AND, OR and `||` count as one level.
const MAX_DEPTH: usize = 100;

/// Why queries inside expressions are refused.
const SUBQUERY: &str = "a subquery looks at rows of other messages, and every row is handled by itself here";

/// Binds the expressions of one query against its columns.
#[derive(Debug)]
pub(crate) struct Binder<'s> {
    pub(crate) scope: &'s Scope,
    pub(crate) env: Env,
    /// Where the expression around stands, for parts that do not know their place.
    pub(crate) around: Position,
    depth: usize,
}

impl<'s> Binder<'s> {
    pub(crate) fn new(scope: &'s Scope, env: Env, around: Position) -> Self {
        Self { scope, env, around, depth: 0 }
    }

    /// Binds an expression.
    pub(crate) fn bind(&mut self, expr: &Expr) -> Binding {
        let outer = self.around;
        self.around = self.position(expr);
        self.depth += 1;
        let bound = if self.depth > MAX_DEPTH {
            let message = format!("the expression nests deeper than {MAX_DEPTH}; split it with a view");
            Err(ScriptError::new(ScriptErrorKind::Unsupported, self.around, message))
        } else {
            self.bind_inner(expr)
        };
        self.depth -= 1;
        self.around = outer;
        bound
    }

    /// Binds an expression that is not reached by every row.
    pub(crate) fn bind_conditional(&mut self, expr: &Expr) -> Binding {
        let outer = std::mem::replace(&mut self.env.conditional, true);
        let bound = self.bind(expr);
        self.env.conditional = outer;
        bound
    }

    /// Where an expression begins.
    pub(crate) fn position(&self, expr: &Expr) -> Position {
        place::of_expr(expr).unwrap_or(self.around)
    }

    pub(crate) fn unsupported(&self, message: impl Into<String>) -> ScriptError {
        ScriptError::new(ScriptErrorKind::Unsupported, self.around, message)
    }

    pub(crate) fn type_error(&self, message: impl Into<String>) -> ScriptError {
        ScriptError::new(ScriptErrorKind::Type, self.around, message)
    }

    fn bind_inner(&mut self, expr: &Expr) -> Binding {
        match expr {
            Expr::Identifier(ident) => self.scope.column(&ident.value, self.around),
            Expr::CompoundIdentifier(parts) => self.path(parts),
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Expr::Nested(inner) => self.bind(inner),
            Expr::Value(value) => literal::literal(&value.value, false, self.around),
            Expr::TypedString(typed) => match typed.value.value.clone().into_string() {
                Some(text) => literal::typed(&type_word(&typed.data_type), &text, self.around),
                None => Err(self.unsupported("a text in quotes is needed")),
            },
            Expr::Cast { kind, expr, data_type, .. } => self.cast(kind, expr, data_type),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_) => self.is(expr),
            Expr::IsDistinctFrom(a, b) => self.compare(Operator::IsDistinctFrom, a, b),
            Expr::IsNotDistinctFrom(a, b) => self.compare(Operator::IsNotDistinctFrom, a, b),
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                operators::like(self, expr, pattern, escape_char.as_ref(), *negated)
            }
            Expr::BinaryOp { left, op, right } => operators::binary(self, expr, left, op, right),
            Expr::UnaryOp { op, expr } => operators::unary(self, *op, expr),
            Expr::Function(function) => calls::function(self, function),
            other => self.special(other),
        }
    }

    /// Functions with a grammar of their own, and what is refused.
    fn special(&mut self, expr: &Expr) -> Binding {
        match expr {
            Expr::Extract { field, expr, .. } => calls::extract(self, &field.to_string(), expr),
            Expr::Ceil { expr, field } => self.round(expr, field, true),
            Expr::Floor { expr, field } => self.round(expr, field, false),
            Expr::Position { expr, r#in } => calls::named(self, "POSITION", &[expr, r#in]),
            Expr::Substring { expr, substring_from, substring_for, .. } => match (substring_from, substring_for) {
                (Some(from), None) => calls::named(self, "SUBSTRING", &[expr, from]),
                (Some(from), Some(length)) => calls::named(self, "SUBSTRING", &[expr, from, length]),
                _ => Err(self.unsupported("SUBSTRING needs a start: SUBSTRING(text FROM start [FOR length])")),
            },
            Expr::Trim { expr, trim_where, trim_what, trim_characters: None } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "TRIM",
                    Some(TrimWhereField::Leading) => "LTRIM",
                    Some(TrimWhereField::Trailing) => "RTRIM",
                };
                match trim_what {
                    None => calls::named(self, name, &[expr]),
                    Some(what) => calls::named(self, name, &[expr, what]),
                }
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => Err(self.unsupported(SUBQUERY)),
            Expr::Interval(_) => {
                Err(self.unsupported("an INTERVAL stands after + or - of a time, as in ts - INTERVAL '5' SECOND"))
            }
            Expr::Array(_) | Expr::Map(_) | Expr::Struct { .. } | Expr::Tuple(_) => {
                Err(self.unsupported("ROW, ARRAY and MAP values cannot be built in an expression"))
            }
            Expr::SimilarTo { .. } | Expr::RLike { .. } => {
                Err(self.unsupported("SIMILAR TO and RLIKE are not supported; use REGEXP(text, pattern)"))
            }
            Expr::ILike { .. } => Err(self.unsupported("ILIKE is not Flink's; write LOWER(text) LIKE '…'")),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                Err(self.unsupported("`*` stands alone in a SELECT list"))
            }
            other => Err(self.unsupported(format!("the expression `{other}` is not supported"))),
        }
    }

    fn round(&mut self, expr: &Expr, field: &CeilFloorKind, up: bool) -> Binding {
        match field {
            CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime) => {
                calls::named(self, if up { "CEIL" } else { "FLOOR" }, &[expr])
            }
            CeilFloorKind::DateTimeField(field) => calls::round_to(self, &field.to_string(), expr, up),
            CeilFloorKind::Scale(_) => Err(self.unsupported("CEIL and FLOOR take one number; use ROUND for places")),
        }
    }

    /// `a.b.c`: a column and fields of it, or a table's name, a column and fields.
    fn path(&mut self, parts: &[Ident]) -> Binding {
        let [first, rest @ ..] = parts else { return Err(self.unsupported("an empty name")) };
        let qualified = self.scope.qualifier.as_ref().is_some_and(|q| *q == first.value);
        let (column, fields) = match rest {
            [column, fields @ ..] if qualified && (self.scope.has(&column.value) || !self.scope.has(&first.value)) => {
                (column, fields)
            }
            _ if self.scope.has(&first.value) || self.scope.qualifier.is_none() => (first, rest),
            _ => {
                let qualifier = self.scope.qualifier.as_deref().unwrap_or_default();
                let message = format!(
                    "there is no column or table `{}` here; the table is `{qualifier}`{}",
                    first.value,
                    crate::error::did_you_mean(&first.value, [qualifier]),
                );
                return Err(ScriptError::new(ScriptErrorKind::Name, first.span.start.into(), message));
            }
        };
        let mut bound = self.scope.column(&column.value, column.span.start.into())?;
        for field in fields {
            bound = access::field(bound, &field.value, self.env, field.span.start.into())?;
        }
        Ok(bound)
    }

    /// `a[1].b['c']`.
    fn access(&mut self, root: &Expr, chain: &[AccessExpr]) -> Binding {
        // The parser keeps `t.a[1]` as root `t` with the names in the chain.
        let mut names: Vec<Ident> = match root {
            Expr::Identifier(ident) => vec![ident.clone()],
            Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => Vec::new(),
        };
        let mut chain = chain;
        if !names.is_empty() {
            while let [AccessExpr::Dot(Expr::Identifier(name)), rest @ ..] = chain {
                names.push(name.clone());
                chain = rest;
            }
        }
        let mut bound = if names.is_empty() { self.bind(root)? } else { self.path(&names)? };
        for link in chain {
            bound = match link {
                AccessExpr::Dot(Expr::Identifier(name)) => {
                    access::field(bound, &name.value, self.env, name.span.start.into())?
                }
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let key = self.bind(index)?;
                    access::element(bound, key, self.env, self.around)?
                }
                _ => return Err(self.unsupported("`[…]` takes one position or key")),
            };
        }
        Ok(bound)
    }

    fn cast(&mut self, kind: &CastKind, expr: &Expr, data_type: &DataType) -> Binding {
        let value = self.bind(expr)?;
        let attempt = match kind {
            CastKind::Cast => false,
            CastKind::TryCast => true,
            _ => return Err(self.unsupported("write CAST(value AS type)")),
        };
        let to = read_type(&type_word(data_type), self.around)?;
        cast::explicit(value, &to.logical, attempt, self.env, self.around)
    }

    /// Only the branch that is chosen is evaluated. The types of all results must have one in common.
    fn case(&mut self, operand: Option<&Expr>, conditions: &[CaseWhen], otherwise: Option<&Expr>) -> Binding {
        let position = self.around;
        let mut branches = Vec::new();
        for (i, CaseWhen { condition, result }) in conditions.iter().enumerate() {
            let when = match (operand, i) {
                (Some(operand), _) => self.compare(Operator::Eq, operand, condition)?,
                (None, 0) => self.bind(condition)?,
                (None, _) => self.bind_conditional(condition)?,
            };
            branches.push((self.boolean(when)?, self.bind_conditional(result)?));
        }
        let otherwise = otherwise.map(|e| self.bind_conditional(e)).transpose()?;
        let mut logical: Option<LogicalType> = None;
        for value in branches.iter().map(|(_, then)| then).chain(&otherwise) {
            let Some(t) = &value.logical else { continue };
            logical = Some(match &logical {
                None => t.clone(),
                Some(found) => common(found, t).ok_or_else(|| {
                    let message =
                        format!("the results of CASE are {found} and {t}, which have no type in common; write a CAST");
                    ScriptError::new(ScriptErrorKind::Type, value.position, message)
                })?,
            });
        }
        let Some(logical) = logical else { return Ok(Bound::null(position)) };
        let env = Env { conditional: true, ..self.env };
        let typed = |value| cast::implicit(value, &logical, env);
        let branches = branches.into_iter().map(|(when, then)| Ok((when, typed(then)?)));
        let branches = branches.collect::<Result<Vec<_>, ScriptError>>()?;
        let otherwise = otherwise.map(typed).transpose()?;
        Ok(case(branches, otherwise, logical.clone(), position))
    }

    /// A value that stands where a truth value is needed.
    pub(crate) fn boolean(&self, value: Bound) -> Binding {
        match value.logical.as_ref().map(family) {
            Some(Family::Boolean) => Ok(value),
            None => cast::implicit(value, &LogicalType::Boolean, self.env),
            Some(_) => {
                let message = format!("a condition is BOOLEAN, this is {}", value.type_name());
                Err(ScriptError::new(ScriptErrorKind::Type, value.position, message))
            }
        }
    }

    fn is(&mut self, expr: &Expr) -> Binding {
        let (inner, wrap): (&Expr, fn(Box<Plan>) -> Plan) = match expr {
            Expr::IsNull(e) => (e, Plan::IsNull),
            Expr::IsNotNull(e) => (e, Plan::IsNotNull),
            Expr::IsTrue(e) => (e, Plan::IsTrue),
            Expr::IsNotTrue(e) => (e, Plan::IsNotTrue),
            Expr::IsFalse(e) => (e, Plan::IsFalse),
            Expr::IsNotFalse(e) => (e, Plan::IsNotFalse),
            Expr::IsUnknown(e) => (e, Plan::IsNull),
            Expr::IsNotUnknown(e) => (e, Plan::IsNotNull),
            other => return Err(self.unsupported(format!("the expression `{other}` is not supported"))),
        };
        let mut value = self.bind(inner)?;
        if !matches!(expr, Expr::IsNull(_) | Expr::IsNotNull(_)) {
            value = self.boolean(value)?;
        }
        if value.logical.is_none() {
            value = cast::implicit(value, &LogicalType::Boolean, self.env)?;
        }
        let position = self.around;
        Ok(Bound {
            expr: wrap(Box::new(value.expr)),
            logical: Some(LogicalType::Boolean),
            fallible: value.fallible,
            position,
        })
    }

    fn compare(&mut self, op: Operator, left: &Expr, right: &Expr) -> Binding {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        compare::compare(op, left, right, self.env, self.around)
    }

    /// `low <= value AND value <= high`.
    fn between(&mut self, value: &Expr, negated: bool, low: &Expr, high: &Expr) -> Binding {
        let value = self.bind(value)?;
        let (low, high) = (self.bind(low)?, self.bind(high)?);
        let (env, at) = (self.env, self.around);
        let (first, second) = if negated { (Operator::Lt, Operator::Gt) } else { (Operator::GtEq, Operator::LtEq) };
        let left = compare::compare(first, value.clone(), low, env, at)?;
        let right = compare::compare(second, value, high, env, at)?;
        Ok(operators::both(left, right, !negated, at))
    }

    fn in_list(&mut self, value: &Expr, list: &[Expr], negated: bool) -> Binding {
        let value = self.bind(value)?;
        let list = list.iter().map(|e| self.bind(e)).collect::<Result<Vec<_>, _>>()?;
        let (env, at) = (self.env, self.around);
        let exact = |b: &Bound| !b.logical.as_ref().is_some_and(|t| family(t) == Family::Float);
        let fixed = list.iter().all(|item| item.logical.is_none() || item.constant().is_some());
        let shared = if fixed && exact(&value) && list.iter().all(exact) { shared_type(&list) } else { None };
        let Some(shared) = shared else { return self.in_comparisons(value, list, negated) };
        // A set of constants of one type, which is looked up at once however long it is.
        let typed = |item| cast::implicit(item, &shared, env);
        let list = list.into_iter().map(typed).collect::<Result<Vec<_>, ScriptError>>()?;
        let [first, ..] = list.as_slice() else { return self.in_comparisons(value, list, negated) };
        let (left, first, _) = compare::unify(value.clone(), first.clone(), env, at)?;
        if left.logical != first.logical || !exact(&left) {
            return self.in_comparisons(value, list, negated);
        }
        let items = list.into_iter().map(|item| Ok(compare::unify(left.clone(), item, env, at)?.1.expr));
        let items = items.collect::<Result<Vec<_>, ScriptError>>()?;
        let fallible = left.fallible;
        let expr = Plan::InList(InList::new(Box::new(left.expr), items, negated));
        Ok(Bound { expr, logical: Some(LogicalType::Boolean), fallible, position: at })
    }

    /// `value = a OR value = b …`, or `value <> a AND value <> b …`.
    fn in_comparisons(&self, value: Bound, list: Vec<Bound>, negated: bool) -> Binding {
        let op = if negated { Operator::NotEq } else { Operator::Eq };
        let comparisons = list.into_iter().map(|item| compare::compare(op, value.clone(), item, self.env, self.around));
        let comparisons = comparisons.collect::<Result<Vec<_>, _>>()?;
        let neutral = Bound::literal(ScalarValue::Boolean(Some(negated)), LogicalType::Boolean, self.around);
        Ok(operators::balanced(comparisons, negated, self.around).unwrap_or(neutral))
    }
}

/// The type that all items of a list have in common; texts of any length are one.
fn shared_type(list: &[Bound]) -> Option<LogicalType> {
    let mut types = list.iter().filter_map(|item| item.logical.clone());
    let first = types.next()?;
    let shared = types.try_fold(first, |shared, t| common(&shared, &t))?;
    match family(&shared) {
        Family::Text => Some(LogicalType::String),
        Family::Nested => None,
        _ => Some(shared),
    }
}

/// The name of a type in an expression: ours are custom types whose name is Flink's text, see `parse::dialect`.
fn type_word(data_type: &DataType) -> String {
    match data_type {
        DataType::Custom(name, _) => match name.0.first().and_then(|part| part.as_ident()) {
            Some(ident) => ident.value.clone(),
            None => name.to_string(),
        },
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        other => other.to_string(),
    }
}
