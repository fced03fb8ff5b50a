//! Text to statements. Start with [`Script::parse`]; below it `lex` splits, `cursor` reads, `table` knows
//! `CREATE TABLE`, `dialect` and `types` what Flink writes otherwise than the parser does.

mod cursor;
mod dialect;
mod lex;
mod statement;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod types;

use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use self::cursor::Cursor;
pub(crate) use self::cursor::check_namespace;
use self::dialect::FlinkDialect;
use self::lex::Chunk;
pub use self::statement::{ColumnDef, ColumnKind, OptionDef, TableDef};
pub(crate) use self::statement::{DropDef, InsertDef, Statement, ViewDef};
pub(crate) use self::table::read_type;
use crate::error::{Notice, Position, ScriptError, ScriptErrorKind, ScriptErrors};
use crate::settings::{Settings, SettingsReader};
use crate::stack::with_room;
use crate::variables::{OptionValue, Variables};

/// What a statement may be. Printed where it is something else.
const STATEMENTS: &str = "CREATE [TEMPORARY] TABLE or VIEW, DROP TABLE or VIEW, INSERT INTO, SET, RESET, \
                          BEGIN STATEMENT SET … END";

/// A script that has been read: its statements in order, its settings, and what is worth a word.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) statements: Vec<Statement>,
    pub(crate) settings: Settings,
    pub(crate) notices: Vec<Notice>,
}

impl Script {
    /// Reads a script. Names are not looked up yet: that is [`Job::plan`](crate::Job::plan).
    ///
    /// # Errors
    /// Every mistake, each with line and column: a statement that is wrong does not hide those after it.
    pub fn parse(text: &str, variables: &dyn Variables) -> Result<Self, ScriptErrors> {
        with_room(|| Self::read(text, variables))
    }

    fn read(text: &str, variables: &dyn Variables) -> Result<Self, ScriptErrors> {
        let (chunks, errors) = lex::chunks(text);
        let mut reader = ScriptReader::new(variables, errors);
        for chunk in chunks {
            if let Err(errors) = reader.statement(chunk) {
                reader.errors.extend(errors);
            }
        }
        reader.finish()
    }

    /// What the `SET` statements say.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The `CREATE TABLE` statements, in order.
    pub fn tables(&self) -> impl Iterator<Item = &TableDef> {
        self.statements.iter().filter_map(|s| match s {
            Statement::Table(table) => Some(table),
            _ => None,
        })
    }

    /// What reading the script was worth a word. Planning adds its own.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}

struct ScriptReader<'v> {
    variables: &'v dyn Variables,
    statements: Vec<Statement>,
    settings: SettingsReader,
    notices: Vec<Notice>,
    errors: Vec<ScriptError>,
    /// Where the statement set began that is open.
    set: Option<Position>,
    inserted: bool,
}

impl<'v> ScriptReader<'v> {
    fn new(variables: &'v dyn Variables, errors: Vec<ScriptError>) -> Self {
        Self {
            variables,
            statements: Vec::new(),
            settings: SettingsReader::default(),
            notices: Vec::new(),
            errors,
            set: None,
            inserted: false,
        }
    }

    fn statement(&mut self, chunk: Chunk) -> Result<(), Vec<ScriptError>> {
        let dialect = FlinkDialect::default();
        let position = chunk.start;
        let unreplaced = chunk.unreplaced();
        let mut cursor = Cursor::new(Parser::new(&dialect), chunk);
        if cursor.eat_words(&["BEGIN", "STATEMENT", "SET"]) {
            self.begin_set(position)?;
        } else if cursor.eat_words(&["EXECUTE", "STATEMENT", "SET"]) {
            cursor.expect_words(&["BEGIN"])?;
            self.begin_set(position)?;
            let position = cursor.position();
            self.insert(&mut cursor, position)?;
        } else if cursor.eat_words(&["END"]) {
            if self.set.take().is_none() {
                return Err(unsupported(position, "END without BEGIN STATEMENT SET").into());
            }
        } else if cursor.eat_words(&["EXECUTE"]) || cursor.peek_words(&["INSERT"]) {
            self.insert(&mut cursor, position)?;
            self.notices.extend(unreplaced);
        } else if self.set.is_some() {
            return Err(unsupported(position, "a statement set holds INSERT INTO statements only").into());
        } else if cursor.eat_words(&["CREATE"]) {
            self.create(&mut cursor)?;
        } else if cursor.eat_words(&["DROP"]) {
            self.drop(&mut cursor)?;
        } else if cursor.eat_words(&["SET"]) {
            self.set(&mut cursor, position)?;
        } else if cursor.eat_words(&["RESET"]) {
            self.reset(&mut cursor, position)?;
        } else {
            return Err(unknown_statement(&cursor).into());
        }
        Ok(cursor.expect_end()?)
    }

    fn begin_set(&mut self, position: Position) -> Result<(), ScriptError> {
        match self.set.replace(position) {
            None => Ok(()),
            Some(open) => Err(unsupported(position, format!("the statement set of line {} is still open", open.line))),
        }
    }

    fn create(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Vec<ScriptError>> {
        if cursor.eat_words(&["OR", "REPLACE"]) {
            return Err(cursor.error(ScriptErrorKind::Unsupported, "OR REPLACE is not supported: DROP first").into());
        }
        cursor.eat_words(&["TEMPORARY"]);
        if cursor.eat_words(&["TABLE"]) {
            let table = table::create_table(cursor, self.variables)?;
            self.statements.push(Statement::Table(table));
        } else if cursor.eat_words(&["VIEW"]) {
            let view = create_view(cursor)?;
            self.statements.push(Statement::View(view));
        } else {
            return Err(unknown_statement(cursor).into());
        }
        Ok(())
    }

    fn drop(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ScriptError> {
        cursor.eat_words(&["TEMPORARY"]);
        let view = cursor.eat_words(&["VIEW"]);
        if !view && !cursor.eat_words(&["TABLE"]) {
            return Err(unknown_statement(cursor));
        }
        let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
        let name = cursor.table_name()?;
        let position = name.span.start.into();
        self.statements.push(Statement::Drop(DropDef { name: name.value, position, view, if_exists }));
        Ok(())
    }

    fn insert(&mut self, cursor: &mut Cursor<'_>, position: Position) -> Result<(), ScriptError> {
        self.inserted = true;
        let insert = insert(cursor, position)?;
        self.statements.push(Statement::Insert(insert));
        Ok(())
    }

    /// `SET 'key' = 'value'`, and the bare `SET` that lists what is set.
    fn set(&mut self, cursor: &mut Cursor<'_>, position: Position) -> Result<(), Vec<ScriptError>> {
        if cursor.at_end() {
            self.notices
                .push(Notice { position, message: "SET alone lists settings; here it does nothing".to_owned() });
            return Ok(());
        }
        let key_position = cursor.position();
        let key = cursor.string("a key in single quotes, as in SET 'pipeline.name' = 'orders'")?;
        cursor.expect(&Token::Eq)?;
        let value_position = cursor.position();
        let quoted = cursor.string("the value in single quotes")?;
        let value = OptionValue::substitute(&quoted, self.variables).map_err(|messages| {
            let error = |m| ScriptError::new(ScriptErrorKind::Variable, value_position, format!("SET '{key}': {m}"));
            messages.into_iter().map(error).collect::<Vec<_>>()
        })?;
        self.before_inserts(position)?;
        let notice = self.settings.set(&key, &value, key_position, value_position)?;
        self.notices.extend(notice);
        Ok(())
    }

    fn reset(&mut self, cursor: &mut Cursor<'_>, position: Position) -> Result<(), ScriptError> {
        let key = if cursor.at_end() { None } else { Some(cursor.string("a key in single quotes")?) };
        self.before_inserts(position)?;
        self.settings.reset(key.as_deref());
        Ok(())
    }

    fn before_inserts(&self, position: Position) -> Result<(), ScriptError> {
        if !self.inserted {
            return Ok(());
        }
        let message = "all INSERTs of a script are one job with one set of settings: put this before the first INSERT";
        Err(ScriptError::new(ScriptErrorKind::Setting, position, message))
    }

    fn finish(mut self) -> Result<Script, ScriptErrors> {
        if let Some(open) = self.set {
            self.errors.push(unsupported(open, "the statement set is not closed with END"));
        }
        ScriptErrors::check(self.errors)?;
        Ok(Script { statements: self.statements, settings: self.settings.finish(), notices: self.notices })
    }
}

/// What follows `CREATE [TEMPORARY] VIEW`.
fn create_view(cursor: &mut Cursor<'_>) -> Result<ViewDef, ScriptError> {
    let if_not_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.table_name()?;
    let mut columns = Vec::new();
    if !cursor.peek_words(&["COMMENT"]) && !cursor.peek_words(&["AS"]) {
        columns = cursor.list(Cursor::identifier)?;
    }
    if cursor.eat_words(&["COMMENT"]) {
        cursor.string("the comment in single quotes")?;
    }
    cursor.expect_words(&["AS"])?;
    let query = cursor.parse(Parser::parse_query)?;
    Ok(ViewDef { position: name.span.start.into(), name: name.value, if_not_exists, columns, query })
}

fn insert(cursor: &mut Cursor<'_>, position: Position) -> Result<InsertDef, ScriptError> {
    cursor.expect_words(&["INSERT"])?;
    if cursor.peek_words(&["OVERWRITE"]) {
        let message = "INSERT OVERWRITE replaces what a batch job wrote; a stream only adds: use INSERT INTO";
        return Err(cursor.error(ScriptErrorKind::Unsupported, message));
    }
    cursor.expect_words(&["INTO"])?;
    cursor.eat_words(&["TABLE"]);
    let table = cursor.table_name()?;
    if cursor.peek_words(&["PARTITION"]) {
        let message = "PARTITION (…) is not supported: select the value of the column instead";
        return Err(cursor.error(ScriptErrorKind::Unsupported, message));
    }
    let columns = cursor.parse(|parser| {
        let [open, word] = parser.peek_tokens_ref::<2>();
        let query = matches!(&word.token, Token::Word(w) if matches!(w.keyword, Keyword::SELECT | Keyword::WITH))
            || matches!(word.token, Token::LParen);
        Ok(open.token == Token::LParen && !query)
    })?;
    let columns = if columns { cursor.list(Cursor::identifier)? } else { Vec::new() };
    let query = cursor.parse(Parser::parse_query)?;
    Ok(InsertDef { position, table_position: table.span.start.into(), table: table.value, columns, query })
}

fn unknown_statement(cursor: &Cursor<'_>) -> ScriptError {
    cursor.error(
        ScriptErrorKind::Unsupported,
        format!("this statement is not supported; a script is made of {STATEMENTS}"),
    )
}

fn unsupported(position: Position, message: impl Into<String>) -> ScriptError {
    ScriptError::new(ScriptErrorKind::Unsupported, position, message)
}
