//! `CREATE TABLE`: columns of every kind, constraints, options.

use std::collections::BTreeSet;

use headwater_formats::{DataType, TypeError};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::statement::{ColumnDef, ColumnKind, OptionDef, TableDef};
use super::types::type_text;
use crate::error::{Position, ScriptError, ScriptErrorKind, did_you_mean};
use crate::variables::{OptionValue, Variables};

/// What follows `CREATE [TEMPORARY] TABLE`.
pub(super) fn create_table(cursor: &mut Cursor<'_>, variables: &dyn Variables) -> Result<TableDef, Vec<ScriptError>> {
    let mut table = TableReader::new(cursor, variables)?;
    table.elements(cursor)?;
    table.clauses(cursor)?;
    table.finish()
}

struct TableReader<'v> {
    variables: &'v dyn Variables,
    def: TableDef,
    /// Columns that a constraint names, to be looked up when all columns are known.
    mentioned: Vec<(String, Position)>,
    errors: Vec<ScriptError>,
}

impl<'v> TableReader<'v> {
    fn new(cursor: &mut Cursor<'_>, variables: &'v dyn Variables) -> Result<Self, ScriptError> {
        let if_not_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
        let name = cursor.table_name()?;
        let def = TableDef {
            name: name.value,
            position: name.span.start.into(),
            columns: Vec::new(),
            options: Vec::new(),
            if_not_exists,
            primary_key: None,
            watermark: None,
            partitioned_by: Vec::new(),
        };
        Ok(Self { variables, def, mentioned: Vec::new(), errors: Vec::new() })
    }

    fn elements(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
        cursor.list(|cursor| {
            let position = cursor.position();
            if cursor.peek_words(&["PRIMARY", "KEY"]) {
                self.primary_key(cursor)
            } else if cursor.eat_words(&["CONSTRAINT"]) {
                cursor.identifier()?;
                self.primary_key(cursor)
            } else if cursor.eat_words(&["WATERMARK", "FOR"]) {
                self.watermark(cursor, position)
            } else {
                self.column(cursor)
            }
        })?;
        Ok(())
    }

    fn column(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
        let name = cursor.identifier()?;
        let position = name.span.start.into();
        let kind = if cursor.eat_words(&["AS"]) {
            ColumnKind::Computed(Box::new(cursor.parse(Parser::parse_expr)?))
        } else {
            let data_type = self.data_type(cursor)?;
            if cursor.eat_words(&["METADATA"]) {
                let key = match cursor.eat_words(&["FROM"]) {
                    true => cursor.string("the metadata key in quotes")?,
                    false => name.value.clone(),
                };
                ColumnKind::Metadata { data_type, key, is_virtual: cursor.eat_words(&["VIRTUAL"]) }
            } else {
                if cursor.peek_words(&["PRIMARY", "KEY"]) {
                    self.inline_key(cursor)?;
                }
                ColumnKind::Physical(data_type)
            }
        };
        comment(cursor)?;
        self.def.columns.push(ColumnDef { name: name.value, position, kind });
        Ok(())
    }

    /// A type that cannot be read is remembered, so that the rest of the statement is still looked at.
    fn data_type(&mut self, cursor: &mut Cursor<'_>) -> Result<DataType, ScriptError> {
        let position = cursor.position();
        let (text, _) = cursor.parse(type_text)?;
        Ok(read_type(&text, position).unwrap_or_else(|e| {
            self.errors.push(e);
            DataType::nullable(headwater_formats::LogicalType::String)
        }))
    }

    fn primary_key(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
        let position = cursor.position();
        cursor.expect_words(&["PRIMARY", "KEY"])?;
        let columns = cursor.list(Cursor::identifier)?;
        self.mentioned.extend(columns.into_iter().map(|c| (c.value, c.span.start.into())));
        self.key_at(cursor, position)
    }

    fn inline_key(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
        let position = cursor.position();
        cursor.expect_words(&["PRIMARY", "KEY"])?;
        self.key_at(cursor, position)
    }

    fn key_at(&mut self, cursor: &mut Cursor<'_>, position: Position) -> Result<(), ScriptError> {
        if !cursor.eat_words(&["NOT", "ENFORCED"]) {
            let message = "a primary key is not checked: write PRIMARY KEY … NOT ENFORCED";
            return Err(ScriptError::new(ScriptErrorKind::Unsupported, position, message));
        }
        if self.def.primary_key.replace(position).is_some() {
            let message = "the table has two primary keys";
            return Err(ScriptError::new(ScriptErrorKind::Syntax, position, message));
        }
        Ok(())
    }

    /// The expression is read, so that a mistake in it is found, and then has no meaning: rows are not held back.
    fn watermark(&mut self, cursor: &mut Cursor<'_>, position: Position) -> Result<(), ScriptError> {
        let column = cursor.identifier()?;
        while cursor.eat(&Token::Period) {
            cursor.identifier()?;
        }
        self.mentioned.push((column.value, column.span.start.into()));
        cursor.expect_words(&["AS"])?;
        cursor.parse(Parser::parse_expr)?;
        if self.def.watermark.replace(position).is_some() {
            return Err(ScriptError::new(ScriptErrorKind::Syntax, position, "the table has two watermarks"));
        }
        Ok(())
    }

    fn clauses(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
        comment(cursor)?;
        if cursor.eat_words(&["PARTITIONED", "BY"]) {
            let columns = cursor.list(Cursor::identifier)?;
            let columns: Vec<_> = columns.into_iter().map(|c| (c.value, c.span.start.into())).collect();
            self.mentioned.extend(columns.iter().cloned());
            self.def.partitioned_by = columns;
        }
        for (words, way_out) in [
            (&["DISTRIBUTED"][..], "leave DISTRIBUTED out: there are no buckets"),
            (&["LIKE"], "CREATE TABLE … LIKE is not supported: write the columns and options out"),
            (&["AS"], "CREATE TABLE … AS SELECT is not supported: create the table, then INSERT INTO it"),
        ] {
            if cursor.peek_words(words) {
                return Err(cursor.error(ScriptErrorKind::Unsupported, way_out));
            }
        }
        if cursor.eat_words(&["WITH"]) {
            cursor.list(|cursor| self.option(cursor))?;
        }
        if cursor.peek_words(&["LIKE"]) || cursor.peek_words(&["AS"]) {
            let message = "CREATE TABLE … LIKE and … AS SELECT are not supported: write the table out";
            return Err(cursor.error(ScriptErrorKind::Unsupported, message));
        }
        Ok(())
    }

    fn option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
        let position = cursor.position();
        let key = cursor.string("an option, as in 'connector' = 'mns'")?;
        cursor.expect(&Token::Eq)?;
        let value_position = cursor.position();
        let quoted = cursor.string("the value of the option in single quotes")?;
        if self.def.options.iter().any(|o| o.key == key) {
            let message = format!("the option '{key}' is given twice");
            self.errors.push(ScriptError::new(ScriptErrorKind::Connector, position, message));
        }
        match OptionValue::substitute(&quoted, self.variables) {
            Ok(value) => self.def.options.push(OptionDef { key, position, value }),
            Err(messages) => {
                self.errors.extend(messages.into_iter().map(|m| {
                    ScriptError::new(ScriptErrorKind::Variable, value_position, format!("option '{key}': {m}"))
                }))
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<TableDef, Vec<ScriptError>> {
        let mut names = BTreeSet::new();
        for column in &self.def.columns {
            if !names.insert(column.name.as_str()) {
                let message = format!("the column `{}` is there twice", column.name);
                self.errors.push(ScriptError::new(ScriptErrorKind::Name, column.position, message));
            }
        }
        for (name, position) in &self.mentioned {
            if !names.contains(name.as_str()) {
                let message = format!("the table has no column `{name}`.{}", did_you_mean(name, names.iter().copied()));
                self.errors.push(ScriptError::new(ScriptErrorKind::Name, *position, message));
            }
        }
        if names.is_empty() && self.errors.is_empty() {
            self.errors.push(ScriptError::new(ScriptErrorKind::Syntax, self.def.position, "the table has no column"));
        }
        if self.errors.is_empty() { Ok(self.def) } else { Err(self.errors) }
    }
}

/// Reads a type in Flink's spelling and checks its precisions and depth.
pub(crate) fn read_type(text: &str, position: Position) -> Result<DataType, ScriptError> {
    let wrong = |e: TypeError| ScriptError::new(ScriptErrorKind::Type, position, format!("in the type `{text}`: {e}"));
    let data_type: DataType = text.parse().map_err(wrong)?;
    let row = headwater_formats::RowType::new([headwater_formats::Field::new("", data_type.clone())]);
    row.check().into_iter().next().map_or(Ok(data_type), |e| Err(wrong(e)))
}

fn comment(cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
    if cursor.eat_words(&["COMMENT"]) {
        cursor.string("the comment in single quotes")?;
    }
    Ok(())
}

impl From<ScriptError> for Vec<ScriptError> {
    fn from(error: ScriptError) -> Self {
        vec![error]
    }
}
