//! Reading the tokens of one statement: words by their text, every error with its position.

use sqlparser::ast::Ident;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::lex::Chunk;
use super::types::is_word;
use crate::error::{Position, ScriptError, ScriptErrorKind};

/// The namespaces that Flink puts around every table unless told otherwise.
const DEFAULT_NAMESPACES: [&[&str]; 2] = [&["default_catalog", "default_database"], &["default_database"]];

pub(super) struct Cursor<'a> {
    parser: Parser<'a>,
    start: Position,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(parser: Parser<'a>, chunk: Chunk) -> Self {
        Self { start: chunk.start, parser: parser.with_tokens_with_locations(chunk.tokens) }
    }

    /// Where the next token stands.
    pub(super) fn position(&self) -> Position {
        self.parser.peek_token_ref().span.start.into()
    }

    pub(super) fn at_end(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::EOF)
    }

    pub(super) fn peek_words(&self, wanted: &[&str]) -> bool {
        wanted.iter().enumerate().all(|(i, w)| is_word(self.parser.peek_nth_token_ref(i), w))
    }

    pub(super) fn eat_words(&mut self, wanted: &[&str]) -> bool {
        let found = self.peek_words(wanted);
        if found {
            wanted.iter().for_each(|_| self.parser.advance_token());
        }
        found
    }

    pub(super) fn expect_words(&mut self, wanted: &[&str]) -> Result<(), ScriptError> {
        if self.eat_words(wanted) { Ok(()) } else { self.expected(&format!("`{}`", wanted.join(" "))) }
    }

    pub(super) fn eat(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    pub(super) fn expect(&mut self, token: &Token) -> Result<(), ScriptError> {
        if self.eat(token) { Ok(()) } else { self.expected(&format!("`{token}`")) }
    }

    pub(super) fn expect_end(&mut self) -> Result<(), ScriptError> {
        if self.at_end() { Ok(()) } else { self.expected("the end of the statement (`;`)") }
    }

    /// A syntax error at the next token.
    pub(super) fn expected<T>(&self, what: &str) -> Result<T, ScriptError> {
        let found = found(self.parser.peek_token_ref());
        Err(self.error(ScriptErrorKind::Syntax, format!("expected {what}, found {found}")))
    }

    /// An error at the next token.
    pub(super) fn error(&self, kind: ScriptErrorKind, message: impl Into<String>) -> ScriptError {
        ScriptError::new(kind, self.position(), message)
    }

    pub(super) fn identifier(&mut self) -> Result<Ident, ScriptError> {
        let token = self.parser.peek_token_ref();
        let Token::Word(word) = &token.token else { return self.expected("a name") };
        let ident = Ident { value: word.value.clone(), quote_style: word.quote_style, span: token.span };
        self.parser.advance_token();
        Ok(ident)
    }

    /// The name of a table or view. There are no catalogs or databases but Flink's default ones, which may be written.
    pub(super) fn table_name(&mut self) -> Result<Ident, ScriptError> {
        let mut parts = vec![self.identifier()?];
        while self.eat(&Token::Period) {
            parts.push(self.identifier()?);
        }
        let name = parts.remove(parts.len() - 1);
        check_namespace(&parts, &name)?;
        Ok(name)
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, ScriptError> {
        let text = match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(s) | Token::UnicodeStringLiteral(s) => s.clone(),
            _ => return self.expected(what),
        };
        self.parser.advance_token();
        Ok(text)
    }

    /// `(a, b, …)`, each read by `item`.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ScriptError>,
    ) -> Result<Vec<T>, ScriptError> {
        self.expect(&Token::LParen)?;
        let mut items = vec![item(self)?];
        while self.eat(&Token::Comma) {
            items.push(item(self)?);
        }
        if self.eat(&Token::RParen) { Ok(items) } else { self.expected("`,` or `)`") }
    }

    /// Lets the parser read something, and gives its error a position.
    pub(super) fn parse<T>(
        &mut self,
        read: impl FnOnce(&mut Parser<'a>) -> Result<T, ParserError>,
    ) -> Result<T, ScriptError> {
        read(&mut self.parser).map_err(|e| self.parser_error(e))
    }

    /// The parser puts the place into its text; this takes it out again.
    fn parser_error(&self, error: ParserError) -> ScriptError {
        let text = match error {
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => text,
            ParserError::RecursionLimitExceeded => {
                let message = "the expression nests too deep; split it into views";
                return ScriptError::new(ScriptErrorKind::Syntax, self.start, message);
            }
        };
        let (message, position) = match text.rsplit_once(" at Line: ") {
            Some((message, place)) => (message, read_place(place)),
            // No place in the text: the parser complains of what it took last.
            None => (text.as_str(), Some(self.parser.get_current_token().span.start.into())),
        };
        let expected = message.strip_prefix("Expected").map(|m| m.trim_start_matches([':', ' ']));
        let message = match expected.and_then(|m| m.split_once(", found: ")) {
            Some((wanted, "EOF")) => format!("expected {wanted}, found the end of the statement"),
            Some((wanted, found)) => format!("expected {wanted}, found `{found}`"),
            None => message.to_owned(),
        };
        ScriptError::new(ScriptErrorKind::Syntax, position.unwrap_or_else(|| self.position()), message)
    }
}

/// Refuses namespaces other than Flink's default ones.
pub(crate) fn check_namespace(parts: &[Ident], name: &Ident) -> Result<(), ScriptError> {
    let known = parts.is_empty()
        || DEFAULT_NAMESPACES.iter().any(|n| n.iter().copied().eq(parts.iter().map(|p| p.value.as_str())));
    if known {
        return Ok(());
    }
    let message = format!("there are no catalogs or databases: write `{}` alone", name.value);
    Err(ScriptError::new(ScriptErrorKind::Name, parts[0].span.start.into(), message))
}

fn found(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::EOF => "the end of the statement".to_owned(),
        other => format!("`{other}`"),
    }
}

fn read_place(place: &str) -> Option<Position> {
    let (line, column) = place.split_once(", Column: ")?;
    Some(Position { line: line.parse().ok()?, column: column.parse().ok()? })
}

impl From<Location> for Position {
    fn from(location: Location) -> Self {
        Self { line: location.line, column: location.column }
    }
}
