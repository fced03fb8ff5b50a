//! What is wrong with a row: where, what was expected, and what to do about it. Never what the body said.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};

/// A row, or a body, that could not be decoded.
///
/// It carries coordinates and no content, so it can be logged and stored: message bodies hold other people's data.
/// Whoever may see the body gets a piece of it from [`DecodeError::excerpt`].
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: DecodeErrorKind,
    row: Option<usize>,
    place: Option<Place>,
    path: String,
    expected: Option<String>,
    hint: Option<Cow<'static, str>>,
}

/// Where in a body something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Bytes from the start of the body, as the format reads it (a UTF-16 body counts as its UTF-8 text).
    Byte(usize),
    /// Line and column, both from 1, the column in bytes.
    Line(usize, usize),
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The body is not in its format: what was found or expected there.
    Syntax(&'static str),
    /// The bytes are not text in the encoding they should have.
    Encoding(&'static str),
    /// The body is not in the envelope it should be in, or the envelope is broken: what is wrong.
    Envelope(&'static str),
    /// The body only says where the message lies: what it is.
    Pointer(&'static str),
    /// The body is well-formed, but is not a row or a list of rows.
    NotARow(&'static str),
    /// A value that the column's type does not take: what it is or why it does not fit.
    Value(&'static str),
    /// A field that the body lacks, while missing fields are an error.
    MissingField,
    /// The row has another number of columns than the table.
    Columns {
        /// Columns of the table.
        expected: usize,
        /// Fields that came.
        actual: usize,
    },
    /// The body has another length than the type needs.
    Length {
        /// Bytes that the type takes.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// The body is a file that cannot be read, for this reason. The reason speaks of the file's structure and not of
    /// its values.
    File(String),
    /// A column whose type in the file is not one that widens to the table's without loss; the table's is
    /// [`DecodeError::expected`].
    ColumnType {
        /// The type in the file, as Flink SQL text where Flink has it.
        file: String,
    },
    /// A column name that several columns of the file could mean.
    AmbiguousColumn {
        /// Their names.
        candidates: Vec<String>,
    },
    /// A limit of [`Limits`](crate::Limits) is exceeded.
    Limit {
        /// The field of `Limits`.
        name: &'static str,
        /// Its value.
        limit: usize,
    },
    /// The decoder holds as much as it can: the caller must flush before it decodes more. Nothing is wrong with the
    /// message.
    BufferFull,
}

impl DecodeError {
    /// An error of that kind, coordinates to be added.
    pub fn new(kind: DecodeErrorKind) -> Self {
        Self(Box::new(Inner { kind, row: None, place: None, path: String::new(), expected: None, hint: None }))
    }

    /// With the index of the row within its message, from 0.
    #[must_use]
    pub fn at_row(mut self, row: usize) -> Self {
        self.0.row = Some(row);
        self
    }

    /// With the byte offset in the body.
    #[must_use]
    pub fn at_byte(mut self, offset: usize) -> Self {
        self.0.place = Some(Place::Byte(offset));
        self
    }

    /// With line and column in the body, both from 1.
    #[must_use]
    pub fn at_line(mut self, line: usize, column: usize) -> Self {
        self.0.place = Some(Place::Line(line, column));
        self
    }

    /// With the type that the value should have had, as Flink SQL text.
    #[must_use]
    pub fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    /// With a sentence about the way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Puts `segment` in front of the column path: a name, `[3]` for an element, `{}` for a map's value.
    #[must_use]
    pub fn within(mut self, segment: &str) -> Self {
        let path = &mut self.0.path;
        if !path.is_empty() && !path.starts_with(['[', '{']) {
            path.insert(0, '.');
        }
        path.insert_str(0, segment);
        self
    }

    /// What kind of thing is wrong.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }

    /// The index of the row within its message, from 0; `None` when the whole body is meant.
    pub fn row(&self) -> Option<usize> {
        self.0.row
    }

    /// Where in the body.
    pub fn place(&self) -> Option<Place> {
        self.0.place
    }

    /// The column, such as `order.items[2].price`; empty when no column is meant.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The type that the value should have had, as Flink SQL text.
    pub fn expected(&self) -> Option<&str> {
        self.0.expected.as_deref()
    }

    /// What is wrong, what was expected and the way out: the text without the coordinates.
    pub fn cause(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.0.say_cause(&mut text);
        text
    }

    /// The body around the place of this error, `radius` bytes to each side, with what is not printable ASCII
    /// escaped. This is the one way to get content out of an error: print it only where bodies may be seen.
    pub fn excerpt(&self, body: &[u8], radius: usize) -> String {
        let at = match self.0.place {
            Some(Place::Byte(at)) => at,
            Some(Place::Line(line, column)) => line_start(body, line) + column.saturating_sub(1),
            None => 0,
        };
        let at = at.min(body.len());
        body[at.saturating_sub(radius)..body.len().min(at.saturating_add(radius))].escape_ascii().to_string()
    }
}

fn line_start(body: &[u8], line: usize) -> usize {
    let ends = body.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1);
    std::iter::once(0).chain(ends).nth(line.saturating_sub(1)).unwrap_or(body.len())
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Inner { row, place, path, .. } = &*self.0;
        let mut lead = String::new();
        if let Some(row) = row {
            write!(lead, "row {row}, ")?;
        }
        match place {
            Some(Place::Byte(at)) => write!(lead, "byte {at}, ")?,
            Some(Place::Line(line, column)) => write!(lead, "line {line} column {column}, ")?,
            None => {}
        }
        if !path.is_empty() {
            write!(lead, "column `{path}`, ")?;
        }
        let lead = lead.trim_end_matches(", ");
        if !lead.is_empty() {
            write!(f, "{lead}: ")?;
        }
        self.0.say_cause(f)
    }
}

impl Inner {
    /// What is wrong and the way out, without where.
    fn say_cause(&self, f: &mut impl Write) -> fmt::Result {
        let Self { kind, expected, hint, .. } = self;
        match kind {
            DecodeErrorKind::Syntax(what)
            | DecodeErrorKind::Encoding(what)
            | DecodeErrorKind::Envelope(what)
            | DecodeErrorKind::Pointer(what)
            | DecodeErrorKind::NotARow(what) => f.write_str(what)?,
            DecodeErrorKind::Value(what) => {
                f.write_str(what)?;
                if let Some(expected) = expected {
                    write!(f, ", expected {expected}")?;
                }
            }
            DecodeErrorKind::MissingField => f.write_str("the field is missing")?,
            DecodeErrorKind::Columns { expected: n, actual } => {
                let plural = if *actual == 1 { "" } else { "s" };
                write!(f, "the row has {actual} column{plural}, expected {n}")?;
            }
            DecodeErrorKind::Length { expected: n, actual } => {
                write!(f, "the body has {actual} bytes, expected {n}")?;
                if let Some(expected) = expected {
                    write!(f, " for {expected}")?;
                }
            }
            DecodeErrorKind::File(why) => f.write_str(why)?,
            DecodeErrorKind::ColumnType { file } => {
                write!(f, "the file has {file}")?;
                if let Some(expected) = expected {
                    write!(f, ", expected {expected}")?;
                }
            }
            DecodeErrorKind::AmbiguousColumn { candidates } => {
                let names = candidates.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "the file has several columns of that name in other letter case: {names}; declare the one \
                           that is meant by its exact name"
                )?;
            }
            DecodeErrorKind::Limit { name, limit } => write!(f, "the message exceeds the limit {name} = {limit}")?,
            DecodeErrorKind::BufferFull => f.write_str("the decoder is full and must be flushed first")?,
        }
        hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "DecodeError({self})")
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_row_place_column_type_and_way_out() {
        let error = DecodeError::new(DecodeErrorKind::Value("a string that is no integer"))
            .within("[2]")
            .within("items")
            .within("order")
            .at_row(1)
            .at_byte(47)
            .expecting("INT")
            .with_hint("declare it STRING");
        assert_eq!(
            error.to_string(),
            "row 1, byte 47, column `order.items[2]`: a string that is no integer, expected INT; declare it STRING"
        );
        assert_eq!(error.path(), "order.items[2]");
    }

    #[test]
    fn an_excerpt_is_cut_from_the_body_and_escaped() {
        let error = DecodeError::new(DecodeErrorKind::Syntax("expected `,`")).at_byte(4);
        assert_eq!(error.excerpt(b"ab\ncd\xffef", 2), "\\ncd\\xff");
        assert_eq!(error.excerpt(b"", 2), "");
        let error = DecodeError::new(DecodeErrorKind::Syntax("expected `,`")).at_line(2, 2);
        assert_eq!(error.excerpt(b"ab\ncd\nef", 1), "cd");
    }
}
