//! An expression whose names and types are known: DataFusion's expression with Flink's type.

use datafusion_common::ScalarValue;
use datafusion_expr::Expr;
use headwater_formats::LogicalType;

use crate::error::Position;

/// A typed expression. Its values have the Arrow type [`LogicalType::to_arrow`] says.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// Evaluated by DataFusion.
    pub(crate) expr: Expr,
    /// Flink's type; `None` for a bare `NULL`, which takes the type of its surroundings.
    pub(crate) logical: Option<LogicalType>,
    /// Whether it can fail on a row. Then it must not be evaluated where SQL says it is not reached.
    pub(crate) fallible: bool,
    /// Where it begins.
    pub(crate) position: Position,
}

impl Bound {
    /// A literal.
    pub(crate) fn literal(value: ScalarValue, logical: LogicalType, position: Position) -> Self {
        Self { expr: Expr::Literal(value, None), logical: Some(logical), fallible: false, position }
    }

    /// A bare `NULL`.
    pub(crate) fn null(position: Position) -> Self {
        Self { expr: Expr::Literal(ScalarValue::Null, None), logical: None, fallible: false, position }
    }

    /// The value, when it is the same for every row.
    pub(crate) fn constant(&self) -> Option<&ScalarValue> {
        match &self.expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        }
    }

    /// The type as text, for messages.
    pub(crate) fn type_name(&self) -> String {
        self.logical.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string)
    }
}
