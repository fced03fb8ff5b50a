//! What a script says, statement by statement, before any name is looked up.

use headwater_core::{MetadataColumn, Options};
use headwater_formats::{DataType, Field, RowType};
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
    /// The columns of `PARTITIONED BY`, with where each is named.
    pub(crate) partitioned_by: Vec<(String, Position)>,
}

impl TableDef {
    /// The columns that come from message bodies, or go into a sink, in order.
    pub fn physical_columns(&self) -> RowType {
        RowType::new(self.columns.iter().filter_map(|c| match &c.kind {
            ColumnKind::Physical(data_type) => Some(Field::new(c.name.clone(), data_type.clone())),
            _ => None,
        }))
    }

    /// The columns that come from the messages around the bodies, in order.
    pub fn metadata_columns(&self) -> Vec<MetadataColumn> {
        let column = |c: &ColumnDef| match &c.kind {
            ColumnKind::Metadata { data_type, key, .. } => {
                Some(MetadataColumn { name: c.name.clone(), key: key.clone(), data_type: data_type.clone() })
            }
            _ => None,
        };
        self.columns.iter().filter_map(column).collect()
    }

    /// The value of `'connector'`.
    pub fn connector(&self) -> Option<&str> {
        self.option("connector").map(|o| o.value.reveal())
    }

    /// The options without `'connector'`.
    pub fn connector_options(&self) -> Options {
        let others = self.options.iter().filter(|o| o.key != "connector");
        others.map(|o| (o.key.as_str(), o.value.reveal())).collect()
    }

    pub(crate) fn option(&self, key: &str) -> Option<&OptionDef> {
        self.options.iter().find(|o| o.key == key)
    }
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
