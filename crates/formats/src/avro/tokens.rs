//! JSON as a row of tokens, one of which is current: how Avro for Java looks at it, and so the way to stop reading, to
//! look ahead and to come back exactly where it does.

use super::source::Outcome;
use crate::json::{Kind, Number, ScanError, Scanner, Text};
use crate::{DecodeError, DecodeErrorKind, Limits};

/// A piece of JSON.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'a> {
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    Key(Text<'a>),
    String(Text<'a>),
    Number(Number<'a>),
    Boolean(bool),
    Null,
}

/// The tokens of one value, or of a body; `None` is current before and after them.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    scanner: Scanner<'a>,
    current: Option<Token<'a>>,
    /// Where the current token begins.
    at: usize,
    /// A number or word that is a field's value: read together with its key.
    ahead: Option<(Token<'a>, usize)>,
    /// Open objects (true) and arrays, each with whether nothing of it has been read.
    open: Vec<(bool, bool)>,
    begun: bool,
}

impl<'a> Tokens<'a> {
    /// The tokens of a text, the first being current.
    pub(super) fn new(text: &'a [u8], limits: &Limits) -> Outcome<Self> {
        let scanner = Scanner::new(text, limits);
        let mut tokens = Self { scanner, current: None, at: 0, ahead: None, open: Vec::new(), begun: false };
        if !tokens.scanner.at_end() {
            tokens.next()?;
        }
        Ok(tokens)
    }

    pub(super) fn current(&self) -> Option<Token<'a>> {
        self.current
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Makes the next token current.
    pub(super) fn next(&mut self) -> Outcome<()> {
        self.advance().map_err(scan_error)
    }

    fn advance(&mut self) -> Result<(), ScanError> {
        if let Some((token, at)) = self.ahead.take() {
            (self.current, self.at) = (Some(token), at);
            return Ok(());
        }
        let behind_key = matches!(self.current, Some(Token::Key(_)));
        self.at = self.scanner.position();
        self.current = match self.open.last_mut() {
            None if self.begun => None,
            Some((true, first)) if !behind_key => match self.scanner.next_key(std::mem::take(first))? {
                Some(key) => {
                    plain(key)?;
                    if let Kind::Number | Kind::True | Kind::False | Kind::Null = self.scanner.peek()? {
                        let at = self.scanner.position();
                        self.ahead = Some((self.value()?, at));
                    }
                    self.at = key.at - 1;
                    Some(Token::Key(key))
                }
                None => {
                    self.open.pop();
                    Some(Token::EndObject)
                }
            },
            Some((false, first)) => {
                if self.scanner.next_item(std::mem::take(first))? {
                    Some(self.value()?)
                } else {
                    self.open.pop();
                    Some(Token::EndArray)
                }
            }
            _ => Some(self.value()?),
        };
        self.begun = true;
        Ok(())
    }

    fn value(&mut self) -> Result<Token<'a>, ScanError> {
        self.at = self.scanner.position();
        Ok(match self.scanner.peek()? {
            kind @ (Kind::Object | Kind::Array) => {
                self.scanner.enter()?;
                self.open.push((kind == Kind::Object, true));
                if kind == Kind::Object { Token::BeginObject } else { Token::BeginArray }
            }
            Kind::String => {
                let text = self.scanner.string()?;
                plain(text)?;
                Token::String(text)
            }
            Kind::Number => Token::Number(self.scanner.number()?),
            word => {
                self.scanner.word(word)?;
                if word == Kind::Null { Token::Null } else { Token::Boolean(word == Kind::True) }
            }
        })
    }

    /// The tokens of the value that begins here, on their own; these go on behind it.
    pub(super) fn split_off(&mut self) -> Outcome<Self> {
        let mut value = self.clone();
        value.open.clear();
        match self.current {
            Some(Token::BeginObject) => value.open.push((true, true)),
            Some(Token::BeginArray) => value.open.push((false, true)),
            _ => {}
        }
        let outside = self.open.len() - value.open.len();
        loop {
            if let Some(Token::String(text) | Token::Key(text)) = self.current {
                self.scanner.check(text).map_err(scan_error)?;
            }
            if self.open.len() <= outside {
                break;
            }
            self.next()?;
        }
        self.next()?;
        Ok(value)
    }
}

/// Control characters must be escaped.
fn plain(text: Text<'_>) -> Result<(), ScanError> {
    match text.raw.iter().position(|byte| *byte < b' ') {
        Some(i) => Err(ScanError { at: text.at + i, what: "a control character within a string", encoding: false }),
        None => Ok(()),
    }
}

pub(super) fn scan_error(error: ScanError) -> DecodeError {
    let kind = if error.encoding { DecodeErrorKind::Encoding(error.what) } else { DecodeErrorKind::Syntax(error.what) };
    DecodeError::new(kind).at_byte(error.at)
}
