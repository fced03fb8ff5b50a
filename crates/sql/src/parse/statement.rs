//! What a script says, statement by statement, before any name is looked up.

use headwater_formats::DataType;
use sqlparser::ast::{Expr, Ident, Query};

use crate::error::Position;
use crate::variables::OptionValue;

/// A statement that planning has to look at. `SET` and statement sets are already dealt with.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Table(TableDef),
    View(ViewDef),
    Insert(InsertDef),
    Drop(DropDef),
}

/// A `CREATE TABLE` statement.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableDef {
    /// The table's name.
    pub name: String,
    /// Where the name stands.
    pub position: Position,
    /// The columns in order, of every kind.
    pub columns: Vec<ColumnDef>,
    /// The options of `WITH (…)`, in order, variables replaced.
    pub options: Vec<OptionDef>,
    pub(crate) if_not_exists: bool,
    pub(crate) primary_key: Option<Position>,
    pub(crate) watermark: Option<Position>,
    pub(crate) partitioned_by: Option<Position>,
}

/// A column of a `CREATE TABLE`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ColumnDef {
    /// The column's name, case-sensitive.
    pub name: String,
    /// Where the name stands.
    pub position: Position,
    /// Where its values come from.
    pub kind: ColumnKind,
}

/// Where the values of a column come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ColumnKind {
    /// From the body of the message.
    Physical(DataType),
    /// From the message around the body: `METADATA [FROM 'key'] [VIRTUAL]`.
    Metadata {
        /// The declared type.
        data_type: DataType,
        /// The key: the text after `FROM`, or the column's name.
        key: String,
        /// Not written when the table is a sink.
        is_virtual: bool,
    },
    /// From the other columns: `name AS expression`.
    Computed(Box<Expr>),
}

/// An option of `WITH (…)`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OptionDef {
    /// The name of the option.
    pub key: String,
    /// Where the name stands.
    pub position: Position,
    /// The value, variables replaced.
    pub value: OptionValue,
}

/// `CREATE VIEW name [(columns)] AS query`.
#[derive(Debug, Clone)]
pub(crate) struct ViewDef {
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Box<Query>,
}

/// `INSERT INTO table [(columns)] query`.
#[derive(Debug, Clone)]
pub(crate) struct InsertDef {
    /// Where the statement begins.
    pub(crate) position: Position,
    pub(crate) table: String,
    pub(crate) table_position: Position,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Box<Query>,
}

/// `DROP TABLE` or `DROP VIEW`.
#[derive(Debug, Clone)]
pub(crate) struct DropDef {
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) view: bool,
    pub(crate) if_exists: bool,
}
