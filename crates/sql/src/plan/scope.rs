//! What is known where an expression stands: the columns of one relation.

use datafusion_common::Column;
use datafusion_expr::Expr;
use headwater_formats::LogicalType;

use crate::bound::Bound;
use crate::error::{Position, ScriptError, ScriptErrorKind, did_you_mean};

/// A column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelationColumn {
    pub(crate) name: String,
    /// `None` for a bare `NULL` that was selected.
    pub(crate) logical: Option<LogicalType>,
}

/// The columns that an expression may name.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The name of the table, view or alias.
    pub(crate) qualifier: Option<String>,
    pub(crate) columns: Vec<RelationColumn>,
}

/// The name under which column `index` of the relation below is known to DataFusion. Names of the script are not used:
/// they may be used twice, and hold dots.
pub(crate) fn input_name(index: usize) -> String {
    format!("c{index}")
}

/// The column that `name` is a name of, if it is one of [`input_name`].
pub(crate) fn input_index(name: &str) -> Option<usize> {
    name.strip_prefix('c')?.parse().ok()
}

impl Scope {
    /// The column of that name.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub(crate) fn column(&self, name: &str, position: Position) -> Result<Bound, ScriptError> {
        let mut found = self.columns.iter().enumerate().filter(|(_, c)| c.name == name);
        let first = found.next().ok_or_else(|| self.unknown(name, position))?;
        if found.next().is_some() {
            let message = format!("there are several columns `{name}`; give them aliases below");
            return Err(ScriptError::new(ScriptErrorKind::Name, position, message));
        }
        Ok(self.at(first.0, position))
    }

    /// Column `index` as an expression.
    pub(crate) fn at(&self, index: usize, position: Position) -> Bound {
        let expr = Expr::Column(Column::new_unqualified(input_name(index)));
        Bound { expr, logical: self.columns[index].logical.clone(), fallible: false, position }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|c| c.name == name)
    }

    fn unknown(&self, name: &str, position: Position) -> ScriptError {
        let names = self.columns.iter().map(|c| c.name.as_str());
        let hint = did_you_mean(name, names.clone());
        let list = match (hint.is_empty(), self.columns.len()) {
            (true, 1..=20) => format!(" The columns are {}", names.collect::<Vec<_>>().join(", ")),
            _ => String::new(),
        };
        let place = self.qualifier.as_ref().map(|q| format!(" in `{q}`")).unwrap_or_default();
        ScriptError::new(ScriptErrorKind::Name, position, format!("there is no column `{name}`{place}.{hint}{list}"))
    }
}
