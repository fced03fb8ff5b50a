//! What Flink writes otherwise than the parser's own dialects: identifiers, literals, and the expressions that hold a
//! type or a clause of their own (`CAST`, `TRY_CAST`, `JSON_VALUE`, `JSON_EXISTS`, `JSON_QUERY`).
//!
//! `CAST(x AS <type>)` becomes an ordinary cast whose type is a custom name holding Flink's type text; a clause of a
//! JSON function becomes a named argument: `RETURNING => 'INT'`, `ON EMPTY => ERROR`, `DEFAULT ON ERROR => 0`.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Value, ValueWithSpan,
};
use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token};

use super::types::{is_word, type_text};

/// Operators in one statement. A chain `a OR b OR c …` is a tree as deep as it is long, and trees are walked by
/// recursion: this keeps the walk far from the end of a 2 MiB thread stack. `IN (…)` is flat and not limited.
const MAX_OPERATORS: usize = 1_000;

/// Flink's dialect for one statement (it counts operators).
#[derive(Debug, Default)]
pub(super) struct FlinkDialect {
    operators: Cell<usize>,
}

impl Dialect for FlinkDialect {
    /// The parser asks for dialects by type in many places; what is open to the generic one is open to us.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('`')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        false
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn require_interval_qualifier(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let [first, second] = parser.peek_tokens_ref::<2>();
        if second.token != Token::LParen {
            return None;
        }
        let Token::Word(word) = &first.token else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        match word.value.to_ascii_uppercase().as_str() {
            "CAST" => Some(cast(parser, CastKind::Cast)),
            "TRY_CAST" => Some(cast(parser, CastKind::TryCast)),
            "JSON_VALUE" | "JSON_EXISTS" | "JSON_QUERY" => Some(json_function(parser)),
            _ => None,
        }
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, _: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        self.operators.set(self.operators.get() + 1);
        if self.operators.get() <= MAX_OPERATORS {
            return None;
        }
        let at = parser.peek_token_ref().span.start;
        Some(Err(ParserError::ParserError(format!(
            "one statement may hold {MAX_OPERATORS} operators; use IN (…) or a view per step{at}"
        ))))
    }
}

fn cast(parser: &mut Parser<'_>, kind: CastKind) -> Result<Expr, ParserError> {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_keyword_is(Keyword::AS)?;
    let (text, span) = type_text(parser)?;
    parser.expect_token(&Token::RParen)?;
    let data_type = DataType::Custom(ObjectName::from(vec![Ident::with_span(span, text)]), Vec::new());
    Ok(Expr::Cast { kind, expr, data_type, array: false, format: None })
}

fn json_function(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let mut args = Vec::new();
    for i in 0..2 {
        if i > 0 {
            parser.expect_token(&Token::Comma)?;
        }
        args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(parser.parse_expr()?)));
    }
    while !parser.consume_token(&Token::RParen) {
        args.push(json_clause(parser)?);
    }
    Ok(Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }))
}

fn json_clause(parser: &mut Parser<'_>) -> Result<FunctionArg, ParserError> {
    let start = parser.peek_token_ref().span;
    if is_word(parser.peek_token_ref(), "RETURNING") {
        parser.advance_token();
        let (text, span) = type_text(parser)?;
        let value = Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span });
        return Ok(named("RETURNING", start, value));
    }
    let mut default = false;
    let answer = if is_word(parser.peek_token_ref(), "DEFAULT") {
        parser.advance_token();
        default = true;
        parser.parse_expr()?
    } else {
        let mut words = Vec::new();
        while let Some(word) =
            ["NULL", "ERROR", "TRUE", "FALSE", "UNKNOWN", "EMPTY", "ARRAY", "OBJECT", "WITH", "WITHOUT", "WRAPPER"]
                .into_iter()
                .find(|w| is_word(parser.peek_token_ref(), w))
        {
            parser.advance_token();
            words.push(word);
        }
        if words.is_empty() {
            return parser.expected("`)` or a clause of the JSON function", parser.peek_token());
        }
        Expr::Identifier(Ident::with_span(start, words.join(" ")))
    };
    parser.expect_keyword_is(Keyword::ON)?;
    let event = ["EMPTY", "ERROR"].into_iter().find(|w| is_word(parser.peek_token_ref(), w));
    let Some(event) = event else { return parser.expected("EMPTY or ERROR", parser.peek_token()) };
    parser.advance_token();
    let name = if default { format!("DEFAULT ON {event}") } else { format!("ON {event}") };
    Ok(named(&name, start, answer))
}

fn named(name: &str, span: Span, value: Expr) -> FunctionArg {
    FunctionArg::Named {
        name: Ident::with_span(span, name),
        arg: FunctionArgExpr::Expr(value),
        operator: FunctionArgOperator::RightArrow,
    }
}
