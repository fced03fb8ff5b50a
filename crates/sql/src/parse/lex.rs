//! Text to statements: tokens, split at semicolons.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::dialect::FlinkDialect;
use super::types::is_word;
use crate::error::{Notice, Position, ScriptError, ScriptErrorKind};

/// The longest script. People write scripts of a few kilobytes, generators of a few hundred; this bounds the memory
/// that a wrong file can take (tokens cost some fifty times their text).
const MAX_SCRIPT_BYTES: usize = 4 << 20;

/// The tokens of one statement without white space and comments, an end marker last.
pub(super) struct Chunk {
    pub(super) start: Position,
    pub(super) tokens: Vec<TokenWithSpan>,
}

impl Chunk {
    /// Texts of a query that look as if a variable were replaced in them.
    pub(super) fn unreplaced(&self) -> Vec<Notice> {
        let suspects =
            self.tokens.iter().filter(|t| matches!(&t.token, Token::SingleQuotedString(s) if s.contains("${")));
        let notice = |t: &TokenWithSpan| Notice {
            position: t.span.start.into(),
            message: "`${…}` is replaced in option and SET values only; in a query it stays as it is".to_owned(),
        };
        suspects.map(notice).collect()
    }

    /// Where it joins more queries than it may.
    fn one_query_too_many(&self) -> Option<&TokenWithSpan> {
        let joins = |token: &&TokenWithSpan| JOINING.iter().any(|word| is_word(token, word));
        self.tokens.iter().filter(joins).nth(MAX_JOINED)
    }
}

/// What joins two queries to one.
const JOINING: [&str; 4] = ["UNION", "EXCEPT", "INTERSECT", "MINUS"];
/// Queries that one statement may join. Joined, they are a tree as deep as they are many, and trees are walked, and dropped,
/// by recursion. People join a handful.
const MAX_JOINED: usize = 200;

/// The statements of a script, and what is wrong with its tokens.
pub(super) fn chunks(text: &str) -> (Vec<Chunk>, Vec<ScriptError>) {
    if text.len() > MAX_SCRIPT_BYTES {
        let message = format!("a script may be {} MiB long", MAX_SCRIPT_BYTES >> 20);
        return (Vec::new(), vec![syntax(Location::new(1, 1), message)]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tokens = match Tokenizer::new(&FlinkDialect::default(), text).tokenize_with_location() {
        Ok(tokens) => tokens,
        Err(e) => return (Vec::new(), vec![syntax(e.location, e.message)]),
    };
    let mut chunks = Vec::new();
    let mut errors = Vec::new();
    let mut current = Vec::new();
    let mut end = Location::new(1, 1);
    for token in tokens {
        end = token.span.end;
        match &token.token {
            Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+') => {
                errors.push(hint(&token));
            }
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => finish(&mut current, token.span.start, &mut chunks),
            _ => current.push(token),
        }
    }
    finish(&mut current, end, &mut chunks);
    for chunk in &chunks {
        check(chunk, &mut errors);
    }
    chunks.retain(|chunk| chunk.one_query_too_many().is_none());
    (chunks, errors)
}

fn finish(current: &mut Vec<TokenWithSpan>, end: Location, chunks: &mut Vec<Chunk>) {
    let Some(first) = current.first() else { return };
    let start = first.span.start.into();
    current.push(TokenWithSpan::at(Token::EOF, end, end));
    chunks.push(Chunk { start, tokens: std::mem::take(current) });
}

/// The table functions that cut a stream into windows; the parser does not know their syntax.
const WINDOWS: [&str; 4] = ["TUMBLE", "HOP", "CUMULATE", "SESSION"];

/// What must not reach the parser, which would pass over it in silence or complain of something else.
fn check(chunk: &Chunk, errors: &mut Vec<ScriptError>) {
    for pair in chunk.tokens.windows(2) {
        let start = pair[0].span.start;
        match (&pair[0].token, &pair[1].token) {
            (Token::Placeholder(_), Token::LBrace) => {
                let message =
                    "variables are replaced only inside quoted option and SET values, as in 'key' = '${name}'";
                errors.push(ScriptError::new(ScriptErrorKind::Variable, start.into(), message));
            }
            (Token::DoubleQuotedString(_), _) => {
                errors.push(syntax(start, "text stands in single quotes ('…'), names in backticks (`…`)"));
            }
            _ => {}
        }
    }
    if let Some(one) = chunk.one_query_too_many() {
        let message = format!("one statement may join {MAX_JOINED} queries; use a view per step");
        errors.push(ScriptError::new(ScriptErrorKind::Unsupported, one.span.start.into(), message));
    }
    for three in chunk.tokens.windows(3) {
        let window = WINDOWS.iter().any(|w| is_word(&three[2], w));
        if is_word(&three[0], "TABLE") && three[1].token == Token::LParen && window {
            let message =
                "windows collect rows over time, and every row is handled by itself here; aggregate downstream";
            errors.push(ScriptError::new(ScriptErrorKind::Unsupported, three[0].span.start.into(), message));
        }
    }
}

fn hint(token: &TokenWithSpan) -> ScriptError {
    let message = "hints (/*+ … */) are not supported, and to drop one could read the wrong queue; \
                   write the options into the WITH (…) of the table";
    ScriptError::new(ScriptErrorKind::Unsupported, token.span.start.into(), message)
}

fn syntax(at: Location, message: impl Into<String>) -> ScriptError {
    ScriptError::new(ScriptErrorKind::Syntax, at.into(), message)
}
