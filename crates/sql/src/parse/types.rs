//! Types in a script: this module finds where a type ends, `headwater_formats` reads it.

use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

/// Takes the tokens of one type, `NOT NULL` included, and gives them back as text for
/// [`headwater_formats::DataType`]'s `FromStr`, and where they stood.
///
/// # Errors
/// There is no word to begin with, or a bracket is not closed.
pub(super) fn type_text(parser: &mut Parser<'_>) -> Result<(String, Span), ParserError> {
    let first = parser.next_token();
    if !matches!(first.token, Token::Word(_)) {
        return parser.expected("a type", first);
    }
    let mut text = TypeText { text: String::new(), span: first.span };
    text.push(&first);
    brackets(parser, &mut text)?;
    loop {
        let words = suffix(parser);
        if words == 0 {
            return Ok((text.text, text.span));
        }
        for _ in 0..words {
            text.push(&parser.next_token());
        }
    }
}

/// Whether a token is this word, unquoted, in any letter case.
pub(super) fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(wanted))
}

struct TypeText {
    text: String,
    span: Span,
}

impl TypeText {
    fn push(&mut self, token: &TokenWithSpan) {
        self.span = self.span.union(&token.span);
        // A field of a ROW may carry a comment in quotes, which is no part of the type.
        if matches!(token.token, Token::SingleQuotedString(_)) {
            return;
        }
        let next = token.token.to_string();
        let wordy = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '`' | ')' | '>'));
        if wordy(self.text.chars().next_back()) && wordy(next.chars().next().filter(|c| !matches!(c, ')' | '>'))) {
            self.text.push(' ');
        }
        self.text.push_str(&next);
    }
}

fn brackets(parser: &mut Parser<'_>, text: &mut TypeText) -> Result<(), ParserError> {
    if !matches!(parser.peek_token_ref().token, Token::LParen | Token::Lt | Token::Neq) {
        return Ok(());
    }
    let mut open = Vec::new();
    loop {
        let token = parser.next_token();
        let closed = match token.token {
            Token::LParen => {
                open.push(')');
                true
            }
            Token::Lt => {
                open.push('>');
                true
            }
            Token::RParen => open.pop() == Some(')'),
            Token::Gt => open.pop() == Some('>'),
            Token::ShiftRight => open.pop() == Some('>') && open.pop() == Some('>'),
            Token::EOF => false,
            _ => true,
        };
        if !closed {
            return parser.expected("the end of a type", token);
        }
        text.push(&token);
        if open.is_empty() {
            return Ok(());
        }
    }
}

/// How many of the next tokens belong to the type that was just read.
fn suffix(parser: &Parser<'_>) -> usize {
    let next = parser.peek_tokens_ref::<4>();
    let words = |wanted: &[&str]| wanted.iter().zip(next).all(|(w, t)| is_word(t, w));
    for wanted in [
        &["WITH", "LOCAL", "TIME", "ZONE"][..],
        &["WITHOUT", "TIME", "ZONE"],
        &["WITH", "TIME", "ZONE"],
        &["NOT", "NULL"],
        &["NULL"],
        &["PRECISION"],
        &["ARRAY"],
        &["MULTISET"],
    ] {
        if words(wanted) {
            return wanted.len();
        }
    }
    0
}
