//! Queries to relations: `WITH`, `UNION ALL`, and around them what no stream can answer. `select` has the SELECT itself.
//!
//! Every clause of the grammar is either handled or refused by name; none is passed over.

use std::collections::BTreeMap;

use headwater_formats::LogicalType;
use sqlparser::ast::{LimitClause, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier};

use super::catalog::Catalog;
use super::place;
use super::relation::{MAX_BRANCHES, Output, Relation, Stage};
use super::scope::RelationColumn;
use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind};
use crate::functions::call::Env;
use crate::functions::cast;
use crate::types::common;

/// How deep queries may stand inside queries.
const MAX_DEPTH: usize = 32;

/// Plans the queries of a script. Mistakes are collected; a query with a mistake has no relation.
#[derive(Debug)]
pub(crate) struct Queries<'c> {
    pub(crate) catalog: &'c mut Catalog,
    pub(crate) env: Env,
    pub(crate) errors: &'c mut Vec<ScriptError>,
    /// What `WITH` defines around the query at hand.
    pub(super) named: BTreeMap<String, Option<Relation>>,
    depth: usize,
}

impl<'c> Queries<'c> {
    pub(crate) fn new(catalog: &'c mut Catalog, env: Env, errors: &'c mut Vec<ScriptError>) -> Self {
        Self { catalog, env, errors, named: BTreeMap::new(), depth: 0 }
    }

    /// The rows of a query, or `None` when it has a mistake. `at` is where the statement stands.
    pub(crate) fn query(&mut self, query: &Query, at: Position) -> Option<Relation> {
        if self.depth >= MAX_DEPTH {
            return self.refuse(at, "queries nest too deep; split them into views");
        }
        self.depth += 1;
        let outer = self.named.clone();
        let relation = self.query_inner(query, at);
        self.named = outer;
        self.depth -= 1;
        relation
    }

    fn query_inner(&mut self, query: &Query, at: Position) -> Option<Relation> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if let Some(with) = with {
            if with.recursive {
                return self.refuse(at, "a recursive query never ends on a stream");
            }
            for cte in &with.cte_tables {
                let relation = self.query(&cte.query, place::known(cte.alias.name.span).unwrap_or(at));
                let relation = relation.and_then(|r| self.rename(r, &cte.alias));
                self.named.insert(cte.alias.name.value.clone(), relation);
            }
        }
        let refused = if let Some(order) = order_by {
            let first = match &order.kind {
                OrderByKind::Expressions(exprs) => exprs.first().and_then(|o| place::of_expr(&o.expr)),
                OrderByKind::All(_) => None,
            };
            Some((first, "ORDER BY waits for the last row, and a stream has none; sort downstream"))
        } else if let Some(limit) = limit_clause {
            let first = match limit {
                LimitClause::LimitOffset { limit: Some(e), .. } | LimitClause::OffsetCommaLimit { limit: e, .. } => {
                    Some(e)
                }
                LimitClause::LimitOffset { offset, .. } => offset.as_ref().map(|o| &o.value),
            };
            let message = "LIMIT and OFFSET count rows over the whole stream, and every row is handled by itself here";
            Some((first.and_then(place::of_expr), message))
        } else if fetch.is_some() {
            Some((None, "FETCH counts rows over the whole stream, and every row is handled by itself here"))
        } else if !locks.is_empty()
            || for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            Some((None, "the query ends in a clause that is not Flink's"))
        } else {
            None
        };
        if let Some((position, message)) = refused {
            return self.refuse(position.unwrap_or(at), message);
        }
        self.body(body, at)
    }

    fn body(&mut self, body: &SetExpr, at: Position) -> Option<Relation> {
        match body {
            SetExpr::Select(select) => self.select(select, place::known(select.select_token.0.span).unwrap_or(at)),
            SetExpr::Query(query) => self.query(query, at),
            SetExpr::SetOperation { .. } => self.union(body, at),
            SetExpr::Values(_) => {
                self.refuse(at, "VALUES are rows without a stream; select from a table whose connector is a source")
            }
            _ => self.refuse(at, "only SELECT, UNION ALL and WITH make a query here"),
        }
    }

    /// A chain of UNION ALLs, which the parser nests to the left.
    fn union(&mut self, body: &SetExpr, at: Position) -> Option<Relation> {
        let mut parts = Vec::new();
        let mut rest = body;
        while let SetExpr::SetOperation { left, op, set_quantifier, right } = rest {
            let here = place::of_set_expr(right).unwrap_or(at);
            match (op, set_quantifier) {
                (SetOperator::Union, SetQuantifier::All) => {}
                (SetOperator::Union, _) => {
                    return self
                        .refuse(here, "UNION drops rows that came before, which needs all of them; use UNION ALL");
                }
                _ => {
                    return self
                        .refuse(here, "INTERSECT, EXCEPT and MINUS compare whole streams; only UNION ALL is possible");
                }
            }
            parts.push((right.as_ref(), here));
            rest = left;
        }
        parts.push((rest, place::of_set_expr(rest).unwrap_or(at)));
        // All are planned before any is given up, so that their mistakes come at once.
        let parts: Vec<(Option<Relation>, Position)> =
            parts.into_iter().rev().map(|(part, here)| (self.body(part, here), here)).collect();
        let mut parts = parts.into_iter();
        let mut all = parts.next()?.0;
        for (part, here) in parts {
            all = match (all, part) {
                (Some(all), Some(part)) => self.unite(all, part, here),
                _ => None,
            };
        }
        all
    }

    fn unite(&mut self, left: Relation, right: Relation, at: Position) -> Option<Relation> {
        if left.columns.len() != right.columns.len() {
            let message = format!(
                "the queries of UNION ALL have {} and {} columns; they need as many",
                left.columns.len(),
                right.columns.len()
            );
            return self.error(ScriptErrorKind::Type, at, message);
        }
        if left.branches.len() + right.branches.len() > MAX_BRANCHES {
            return self.refuse(at, &format!("a query may unite {MAX_BRANCHES} SELECTs"));
        }
        let mut columns = Vec::new();
        for (i, (a, b)) in left.columns.iter().zip(&right.columns).enumerate() {
            let logical = match (&a.logical, &b.logical) {
                (Some(a), Some(b)) => match common(a, b) {
                    Some(t) => Some(t),
                    None => {
                        let message = format!("column {} of UNION ALL is {a} and {b}; write a CAST", i + 1);
                        return self.error(ScriptErrorKind::Type, at, message);
                    }
                },
                (a, b) => a.clone().or_else(|| b.clone()),
            };
            columns.push(RelationColumn { name: a.name.clone(), logical });
        }
        let mut left = self.retype(left, &columns, at)?;
        left.branches.extend(self.retype(right, &columns, at)?.branches);
        Some(left)
    }

    /// Converts the columns to these types, where they are not yet.
    fn retype(&mut self, relation: Relation, columns: &[RelationColumn], at: Position) -> Option<Relation> {
        if relation.columns.iter().zip(columns).all(|(a, b)| a.logical == b.logical) {
            return Some(Relation { columns: columns.to_vec(), ..relation });
        }
        let scope = relation.scope(None);
        let mut outputs = Vec::new();
        for (i, column) in columns.iter().enumerate() {
            let value = scope.at(i, at);
            let value = match &column.logical {
                Some(t) => cast::implicit(value, t, self.env),
                None => Ok(value),
            };
            let value = self.keep(value)?;
            outputs.push(output(value, &scope.columns[i].name));
        }
        Some(relation.then(&Stage { filters: Vec::new(), outputs }, columns.to_vec()))
    }

    pub(super) fn refuse<T>(&mut self, at: Position, message: &str) -> Option<T> {
        self.error(ScriptErrorKind::Unsupported, at, message)
    }

    pub(super) fn error<T>(&mut self, kind: ScriptErrorKind, at: Position, message: impl Into<String>) -> Option<T> {
        self.errors.push(ScriptError::new(kind, at, message));
        None
    }

    /// Collects a mistake.
    pub(crate) fn keep<T>(&mut self, result: Result<T, ScriptError>) -> Option<T> {
        result.map_err(|e| self.errors.push(e)).ok()
    }
}

pub(super) fn output(bound: Bound, text: &str) -> Output {
    Output::new(bound.expr, text, bound.logical)
}

/// The types of columns without a type of their own, for messages.
pub(crate) fn type_name(logical: Option<&LogicalType>) -> String {
    logical.map_or_else(|| "NULL".to_owned(), ToString::to_string)
}
