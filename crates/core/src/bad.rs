//! What is wrong with a record: where in its message, what was expected, and why.

use std::fmt::{self, Display, Formatter, Write};

use headwater_formats::{DecodeError, Place};

/// What is wrong with a row, or with a whole message: coordinates and a cause, never the data itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BadRecord {
    /// The row's index within its message, from 0; `None` when the whole message is meant.
    pub row: Option<usize>,
    /// Where in the body.
    pub place: Option<Place>,
    /// The column, or the expression that failed; empty when none is meant.
    pub column: String,
    /// The type that the value should have had, as Flink SQL text.
    pub expected: Option<String>,
    /// What is wrong, in a sentence without the data.
    pub cause: String,
}

impl BadRecord {
    /// Something wrong with a message as a whole; coordinates to be added.
    #[must_use]
    pub fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), ..Self::default() }
    }

    /// With the index of the row within its message, from 0.
    #[must_use]
    pub fn at_row(mut self, row: usize) -> Self {
        self.row = Some(row);
        self
    }

    /// With the column, or the expression that failed.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<String>) -> Self {
        self.column = column.into();
        self
    }
}

impl From<&DecodeError> for BadRecord {
    fn from(error: &DecodeError) -> Self {
        Self {
            row: error.row(),
            place: error.place(),
            column: error.path().to_owned(),
            expected: error.expected().map(str::to_owned),
            cause: error.cause(),
        }
    }
}

impl Display for BadRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut lead = String::new();
        if let Some(row) = self.row {
            write!(lead, "row {row}, ")?;
        }
        match self.place {
            Some(Place::Byte(at)) => write!(lead, "byte {at}, ")?,
            Some(Place::Line(line, column)) => write!(lead, "line {line} column {column}, ")?,
            _ => {}
        }
        if !self.column.is_empty() {
            write!(lead, "column `{}`, ", self.column)?;
        }
        let lead = lead.trim_end_matches(", ");
        if lead.is_empty() { f.write_str(&self.cause) } else { write!(f, "{lead}: {}", self.cause) }
    }
}

#[cfg(test)]
mod tests {
    use headwater_formats::DecodeErrorKind;

    use super::*;

    #[test]
    fn it_says_what_the_decoder_said() {
        let error = DecodeError::new(DecodeErrorKind::Value("a string that is no integer"))
            .within("price")
            .at_row(1)
            .at_byte(47)
            .expecting("INT")
            .with_hint("declare it STRING");
        let bad = BadRecord::from(&error);
        assert_eq!(bad.to_string(), error.to_string());
        assert_eq!((bad.row, bad.column.as_str(), bad.expected.as_deref()), (Some(1), "price", Some("INT")));
        assert_eq!(bad.cause, "a string that is no integer, expected INT; declare it STRING");
        assert_eq!(BadRecord::new("is refused").to_string(), "is refused");
    }
}
