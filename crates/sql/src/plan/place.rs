//! Where parts of a statement begin.
//!
//! The parser's own spans join those of all parts, by recursion with large frames; a chain of a few hundred operators
//! would overflow a thread's stack. The beginning is found by going down the left edge.

use sqlparser::ast::{Expr, Query, SetExpr, Spanned, TableFactor};
use sqlparser::tokenizer::Span;

use crate::error::Position;

/// Where an expression begins; a keyword in front (`NOT`, `CAST`) may be left out. `None` if the parser does not say.
pub(super) fn of_expr(expr: &Expr) -> Option<Position> {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::BinaryOp { left: inner, .. }
            | Expr::CompoundFieldAccess { root: inner, .. }
            | Expr::IsDistinctFrom(inner, _)
            | Expr::IsNotDistinctFrom(inner, _)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::InList { expr: inner, .. }
            | Expr::InSubquery { expr: inner, .. }
            | Expr::Between { expr: inner, .. }
            | Expr::Like { expr: inner, .. }
            | Expr::ILike { expr: inner, .. }
            | Expr::SimilarTo { expr: inner, .. }
            | Expr::RLike { expr: inner, .. }
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Cast { expr: inner, .. }
            | Expr::Extract { expr: inner, .. }
            | Expr::Ceil { expr: inner, .. }
            | Expr::Floor { expr: inner, .. }
            | Expr::Position { expr: inner, .. }
            | Expr::Substring { expr: inner, .. }
            | Expr::Trim { expr: inner, .. }
            | Expr::Nested(inner) => inner,
            Expr::Interval(interval) => &interval.value,
            Expr::Identifier(ident) => return known(ident.span),
            Expr::CompoundIdentifier(parts) => return known(parts.first()?.span),
            Expr::Value(value) => return known(value.span),
            Expr::TypedString(typed) => return known(typed.value.span),
            Expr::Function(function) => return known(function.name.0.first()?.span()),
            Expr::Case { case_token, .. } => return known(case_token.0.span),
            Expr::Wildcard(token) => return known(token.0.span),
            Expr::Subquery(query) | Expr::Exists { subquery: query, .. } => return of_query(query),
            _ => return None,
        };
    }
}

/// Where a query begins.
pub(super) fn of_query(query: &Query) -> Option<Position> {
    match &query.with {
        Some(with) => known(with.with_token.0.span),
        None => of_set_expr(&query.body),
    }
}

/// Where a SELECT, or the first of several, begins.
pub(super) fn of_set_expr(body: &SetExpr) -> Option<Position> {
    let mut body = body;
    loop {
        body = match body {
            SetExpr::Select(select) => return known(select.select_token.0.span),
            SetExpr::SetOperation { left, .. } => left,
            SetExpr::Query(query) => match &query.with {
                Some(with) => return known(with.with_token.0.span),
                None => &query.body,
            },
            _ => return None,
        };
    }
}

/// Where what stands in FROM begins.
pub(super) fn of_table(table: &TableFactor) -> Option<Position> {
    match table {
        TableFactor::Table { name, .. } => known(name.0.first()?.span()),
        TableFactor::Derived { subquery, .. } => of_query(subquery),
        TableFactor::UNNEST { array_exprs, .. } => of_expr(array_exprs.first()?),
        TableFactor::TableFunction { expr, .. } => of_expr(expr),
        TableFactor::Function { name, .. } => known(name.0.first()?.span()),
        TableFactor::NestedJoin { table_with_joins, .. } => of_table(&table_with_joins.relation),
        _ => None,
    }
}

/// Where a span begins, if it says so.
pub(super) fn known(span: Span) -> Option<Position> {
    (span.start.line > 0).then(|| span.start.into())
}
