//! What a query is: rows of some source tables, taken through stages of filter and projection.

use datafusion_expr::Expr;
use headwater_formats::LogicalType;

use super::scope::{RelationColumn, Scope, input_name};

/// Rows with named columns. Every branch gives these columns; `UNION ALL` has several.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) columns: Vec<RelationColumn>,
    pub(crate) branches: Vec<Branch>,
}

/// The way of rows from one source table.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// The table, by its number in the catalog.
    pub(crate) table: usize,
    pub(crate) stages: Vec<Stage>,
}

/// Filters, then a projection. Expressions name the columns below by [`input_name`].
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    /// Applied one after another: a row that one leaves out does not reach the next, and cannot fail there.
    pub(crate) filters: Vec<Output>,
    pub(crate) outputs: Vec<Output>,
}

/// An expression of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) expr: Expr,
    /// As SQL, for the rows on which it fails.
    pub(crate) text: String,
    /// `None` for a bare NULL.
    pub(crate) logical: Option<LogicalType>,
}

/// How many branches one query may have: views of UNION ALLs of each other double with every level, and each branch is
/// run on every batch.
pub(crate) const MAX_BRANCHES: usize = 256;

impl Relation {
    /// The columns as an expression sees them, under the name of the table or alias.
    pub(crate) fn scope(&self, qualifier: Option<String>) -> Scope {
        Scope { qualifier, columns: self.columns.clone() }
    }

    /// Puts a stage on top of every branch.
    pub(crate) fn then(mut self, stage: &Stage, columns: Vec<RelationColumn>) -> Self {
        for branch in &mut self.branches {
            branch.stages.push(stage.clone());
        }
        Self { columns, branches: self.branches }
    }
}

/// The longest text of an expression that is kept: it goes into logs, one line for each row that fails.
const MAX_TEXT: usize = 200;

impl Output {
    pub(crate) fn new(expr: Expr, text: &str, logical: Option<LogicalType>) -> Self {
        let text = match text.char_indices().nth(MAX_TEXT) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        Self { expr, text, logical }
    }

    /// Column `index` of the relation below, unchanged.
    pub(crate) fn pass(index: usize, column: &RelationColumn) -> Self {
        let expr = Expr::Column(datafusion_common::Column::new_unqualified(input_name(index)));
        Self::new(expr, &column.name, column.logical.clone())
    }
}
