//! Avro's JSON encoding, as Avro for Java reads it.
//!
//! Java reads no further than the schema asks: what is behind the last value is not looked at, but for the one token
//! that it always is ahead. The ends of records and unions are passed when the next value is read, and whatever stands
//! before such an end is dropped with it. Fields may come in any order; those that come too early wait.

use super::source::{Outcome, Source};
use super::tokens::{Token, Tokens, scan_error};
use crate::coerce::{float, integer};
use crate::json::Number;
use crate::{DecodeError, DecodeErrorKind, Limits};

/// A body in the JSON encoding.
#[derive(Debug, Clone)]
pub(super) struct Json<'a> {
    tokens: Tokens<'a>,
    /// The record being read, and the ones around it.
    record: Waiting<'a>,
    outer: Vec<Waiting<'a>>,
    /// What ends with the value just read.
    ends: Vec<End>,
    /// For each union being read whether its value is within an object.
    unions: Vec<bool>,
    scratch: Vec<u8>,
}

/// Fields of a record that came before their turn.
#[derive(Debug, Clone, Default)]
struct Waiting<'a> {
    fields: Vec<(Vec<u8>, Tokens<'a>)>,
    /// The tokens of the record itself while such a field is read.
    own: Option<Tokens<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Field,
    Record,
    Union,
}

const NO_BRANCH: &str = "no null and no object that names a branch of the union";

impl<'a> Json<'a> {
    /// A text in UTF-8.
    pub(super) fn new(text: &'a [u8], limits: &Limits) -> Outcome<Self> {
        Ok(Self {
            tokens: Tokens::new(text, limits)?,
            record: Waiting::default(),
            outer: Vec::new(),
            ends: Vec::new(),
            unions: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Passes the ends that are due, and gives the token at which the next value begins.
    fn token(&mut self) -> Outcome<Token<'a>> {
        for end in std::mem::take(&mut self.ends) {
            match end {
                End::Field => {
                    if let Some(own) = self.record.own.take() {
                        self.tokens = own;
                    }
                }
                End::Record | End::Union => self.close(end)?,
            }
        }
        self.tokens.current().ok_or_else(|| self.bad("the text ends where a value is expected"))
    }

    /// Goes behind the next closing brace, whatever comes before it.
    fn close(&mut self, end: End) -> Outcome<()> {
        while !matches!(self.tokens.current(), Some(Token::EndObject)) {
            if self.tokens.current().is_none() {
                return Err(self.bad("the text ends within an object"));
            }
            self.tokens.next()?;
        }
        if end == End::Record {
            if !self.record.fields.is_empty() {
                return Err(self.bad("a field that the record does not have, before one that it has"));
            }
            self.record = self.outer.pop().unwrap_or_default();
        }
        self.tokens.next()
    }

    #[cold]
    fn bad(&self, what: &'static str) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Value(what)).at_byte(self.tokens.position())
    }

    fn number(&mut self) -> Outcome<Number<'a>> {
        match self.token()? {
            Token::Number(number) => Ok(number),
            token => Err(self.bad(name(token))),
        }
    }

    /// A number with a fraction is cut toward zero, as Jackson does.
    fn whole(&mut self, min: i64, max: i64) -> Outcome<i64> {
        let number = self.number()?;
        let value = if number.integer {
            integer::parse(number.raw, min, max)
        } else {
            float::parse_f64(number.raw).and_then(|value| integer::from_f64(value, min, max))
        };
        let value = value.map_err(|reason| self.bad(reason))?;
        self.tokens.next()?;
        Ok(value)
    }

    /// The text of a string, in `scratch`.
    fn text(&mut self) -> Outcome<()> {
        match self.token()? {
            Token::String(text) => {
                self.scratch.clear();
                text.decode(&mut self.scratch).map_err(scan_error)?;
                self.tokens.next()
            }
            token => Err(self.bad(name(token))),
        }
    }

    /// The bytes that a string's characters stand for, in `scratch`; a question mark for characters beyond Latin-1.
    fn latin(&mut self) -> Outcome<()> {
        self.text()?;
        let text = String::from_utf8_lossy(&self.scratch);
        let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        self.scratch = bytes;
        Ok(())
    }

    fn begin(&mut self, array: bool) -> Outcome<u64> {
        match (self.token()?, array) {
            (Token::BeginArray, true) | (Token::BeginObject, false) => self.tokens.next()?,
            (token, _) => return Err(self.bad(name(token))),
        }
        self.more()
    }

    fn more(&mut self) -> Outcome<u64> {
        match self.token()? {
            Token::EndArray | Token::EndObject => {
                self.tokens.next()?;
                Ok(0)
            }
            _ => Ok(1),
        }
    }
}

impl Source for Json<'_> {
    fn position(&self) -> usize {
        self.tokens.position()
    }

    fn null(&mut self) -> Outcome<()> {
        match self.token()? {
            Token::Null => self.tokens.next(),
            token => Err(self.bad(name(token))),
        }
    }

    fn boolean(&mut self) -> Outcome<bool> {
        match self.token()? {
            Token::Boolean(value) => {
                self.tokens.next()?;
                Ok(value)
            }
            token => Err(self.bad(name(token))),
        }
    }

    fn int(&mut self) -> Outcome<i32> {
        // Within the range that was asked for.
        self.whole(i32::MIN.into(), i32::MAX.into()).map(|value| value as i32)
    }

    fn long(&mut self) -> Outcome<i64> {
        self.whole(i64::MIN, i64::MAX)
    }

    fn float(&mut self) -> Outcome<f32> {
        let value = float::parse_f32(self.number()?.raw).map_err(|reason| self.bad(reason))?;
        self.tokens.next()?;
        Ok(value)
    }

    fn double(&mut self) -> Outcome<f64> {
        let value = float::parse_f64(self.number()?.raw).map_err(|reason| self.bad(reason))?;
        self.tokens.next()?;
        Ok(value)
    }

    fn bytes(&mut self) -> Outcome<&[u8]> {
        self.latin()?;
        Ok(&self.scratch)
    }

    fn string(&mut self) -> Outcome<&[u8]> {
        self.text()?;
        Ok(&self.scratch)
    }

    fn fixed(&mut self, size: usize) -> Outcome<&[u8]> {
        self.latin()?;
        if self.scratch.len() != size {
            return Err(self.bad("a string of another length than the fixed type has"));
        }
        Ok(&self.scratch)
    }

    fn symbol(&mut self, symbols: &[Box<str>]) -> Outcome<usize> {
        self.text()?;
        let found = symbols.iter().position(|symbol| symbol.as_bytes() == self.scratch);
        found.ok_or_else(|| self.bad("a symbol that the enum does not have"))
    }

    fn branch(&mut self, labels: &[Box<str>]) -> Outcome<usize> {
        let within = match self.token()? {
            Token::Null => {
                self.scratch.clear();
                self.scratch.extend_from_slice(b"null");
                false
            }
            Token::BeginObject => {
                self.tokens.next()?;
                let Some(Token::Key(key)) = self.tokens.current() else { return Err(self.bad(NO_BRANCH)) };
                self.scratch.clear();
                key.decode(&mut self.scratch).map_err(scan_error)?;
                true
            }
            _ => return Err(self.bad(NO_BRANCH)),
        };
        let found = labels.iter().position(|label| label.as_bytes() == self.scratch);
        let found = found.ok_or_else(|| self.bad("a branch that the union does not have"))?;
        if within {
            self.tokens.next()?;
        }
        self.unions.push(within);
        Ok(found)
    }

    fn end_branch(&mut self) {
        if self.unions.pop() == Some(true) {
            self.ends.push(End::Union);
        }
    }

    fn begin_record(&mut self) -> Outcome<()> {
        match self.token()? {
            Token::BeginObject => self.tokens.next()?,
            token => return Err(self.bad(name(token))),
        }
        self.outer.push(std::mem::take(&mut self.record));
        Ok(())
    }

    fn field(&mut self, wanted: &str, aliases: &[Box<str>]) -> Outcome<()> {
        self.token()?;
        if let Some(i) = self.record.fields.iter().position(|(key, _)| key == wanted.as_bytes()) {
            let (_, tokens) = self.record.fields.swap_remove(i);
            self.record.own = Some(std::mem::replace(&mut self.tokens, tokens));
            return Ok(());
        }
        if !matches!(self.tokens.current(), Some(Token::Key(_))) {
            // The value that is read next finds that it is not there.
            return Ok(());
        }
        while let Some(Token::Key(key)) = self.tokens.current() {
            let mut name = Vec::new();
            key.decode(&mut name).map_err(scan_error)?;
            self.tokens.next()?;
            if name == wanted.as_bytes() || aliases.iter().any(|alias| alias.as_bytes() == name) {
                return Ok(());
            }
            let value = self.tokens.split_off()?;
            self.record.fields.retain(|(other, _)| *other != name);
            self.record.fields.push((name, value));
        }
        Err(self.bad("the field is missing"))
    }

    fn end_field(&mut self) {
        self.ends.push(End::Field);
    }

    fn end_record(&mut self) {
        self.ends.push(End::Record);
    }

    fn begin_array(&mut self) -> Outcome<u64> {
        self.begin(true)
    }

    fn next_items(&mut self) -> Outcome<u64> {
        self.more()
    }

    fn begin_map(&mut self) -> Outcome<u64> {
        self.begin(false)
    }

    fn next_entries(&mut self) -> Outcome<u64> {
        self.more()
    }

    fn key(&mut self) -> Outcome<&[u8]> {
        match self.token()? {
            Token::Key(key) => {
                self.scratch.clear();
                key.decode(&mut self.scratch).map_err(scan_error)?;
                self.tokens.next()?;
                Ok(&self.scratch)
            }
            token => Err(self.bad(name(token))),
        }
    }
}

/// What a token is, for errors.
fn name(token: Token<'_>) -> &'static str {
    match token {
        Token::BeginObject => "a JSON object",
        Token::EndObject => "the end of a JSON object",
        Token::BeginArray => "a JSON array",
        Token::EndArray => "the end of a JSON array",
        Token::Key(_) => "a JSON key",
        Token::String(_) => "a JSON string",
        Token::Number(_) => "a JSON number",
        Token::Boolean(_) => "a JSON boolean",
        Token::Null => "a JSON null",
    }
}
