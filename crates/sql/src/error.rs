//! What can be wrong with a script, and what is worth a word about it: always with line and column.

use std::fmt::{self, Display, Formatter};

use headwater_core::nearest;
use thiserror::Error;

/// A place in a script. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1, in characters.
    pub column: u64,
}

impl Display for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What sort of mistake a [`ScriptError`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScriptErrorKind {
    /// The connector refused the table: an option, a column, a format.
    Connector,
    /// A table, column or function that is not there.
    Name,
    /// A `SET` key or value.
    Setting,
    /// Text that is no statement of this dialect.
    Syntax,
    /// Types that do not fit, or an argument that a function does not take.
    Type,
    /// Flink SQL that a stateless job cannot mean, or that is not built.
    Unsupported,
    /// A `${…}` without a value.
    Variable,
}

/// One mistake in a script.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{position}: {message}")]
#[non_exhaustive]
pub struct ScriptError {
    /// Where.
    pub position: Position,
    /// What sort.
    pub kind: ScriptErrorKind,
    /// What is wrong and what to write instead. Holds no option values: they may be secret.
    pub message: String,
}

impl ScriptError {
    pub(crate) fn new(kind: ScriptErrorKind, position: Position, message: impl Into<String>) -> Self {
        Self { position, kind, message: message.into() }
    }
}

/// Every mistake found in a script, in the order of the text. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ScriptErrors(Vec<ScriptError>);

impl ScriptErrors {
    /// `Ok` when there is no error, else all of them, sorted by position.
    pub(crate) fn check(mut errors: Vec<ScriptError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|e| e.position);
        errors.dedup();
        Err(Self(errors))
    }

    /// The mistakes, in the order of the text.
    pub fn errors(&self) -> &[ScriptError] {
        &self.0
    }
}

impl From<ScriptError> for ScriptErrors {
    fn from(error: ScriptError) -> Self {
        Self(vec![error])
    }
}

/// Something that is accepted but does less, or other, than a reader of the script may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// Where.
    pub position: Position,
    /// One sentence.
    pub message: String,
}

impl Display for Notice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

/// ` Did you mean …?` with the candidate nearest to `name`, or nothing when none is near.
pub(crate) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map(|c| format!(" Did you mean `{c}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_sorted_and_once() {
        let at = |line, message: &str| ScriptError::new(ScriptErrorKind::Name, Position { line, column: 1 }, message);
        let errors = ScriptErrors::check(vec![at(3, "c"), at(1, "a"), at(3, "c")]).expect_err("two mistakes");
        assert_eq!(errors.to_string(), "line 1, column 1: a\nline 3, column 1: c");
        assert!(ScriptErrors::check(Vec::new()).is_ok());
    }
}
