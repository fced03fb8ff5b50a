//! Regular expressions: Java's syntax, matched by the `regex` crate.
//!
//! The pattern is translated so that it means what it means in Java (`\d` is ASCII, `.` stops at every line end). What
//! cannot be said (look-around, back references, possessive quantifiers) is refused when the script is planned.
//! One difference stays: `$` without `(?m)` matches only at the very end, not before a last line end.

use headwater_formats::LogicalType;
use regex::Regex;

use super::call::{Binding, Call, Function};
use super::java_regex;
use crate::error::ScriptError;

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "REGEXP", usage: "REGEXP(text, pattern)", arity: 2..=2, bind: regexp },
    Function { name: "REGEXP_EXTRACT", usage: "REGEXP_EXTRACT(text, pattern[, group])", arity: 2..=3, bind: extract },
    Function { name: "REGEXP_REPLACE", usage: "REGEXP_REPLACE(text, pattern, with)", arity: 3..=3, bind: replace },
];

/// The pattern, which must be literal. `None` is NULL.
fn pattern(call: &mut Call) -> Result<Option<Regex>, ScriptError> {
    let Some(text) = call.fixed_text(1, "the pattern")? else { return Ok(None) };
    java_regex::compile(&text).map(Some).map_err(|e| call.error(call.args[1].position, e))
}

fn regexp(mut call: Call) -> Binding {
    call.text(0)?;
    let Some(regex) = pattern(&mut call)? else { return call.null(LogicalType::Boolean) };
    call.result(1, LogicalType::Boolean, false, move |args| {
        let texts = args.strings(0);
        // Flink answers FALSE to an empty pattern.
        args.to_booleans(|i| Ok(texts.get(i).map(|s| !regex.as_str().is_empty() && regex.is_match(s))))
    })
}

fn extract(mut call: Call) -> Binding {
    call.text(0)?;
    let Some(regex) = pattern(&mut call)? else { return call.null(LogicalType::String) };
    let group = match call.args.len() {
        2 => Some(0),
        _ => call.fixed_whole(2, "the group")?,
    };
    let Some(group) = group else { return call.null(LogicalType::String) };
    let group = usize::try_from(group).ok().filter(|g| *g < regex.captures_len());
    let Some(group) = group else {
        let groups = regex.captures_len() - 1;
        return Err(call.error(call.args[2].position, format!("the pattern has {groups} groups, counted from 1")));
    };
    call.result(1, LogicalType::String, false, move |args| {
        let texts = args.strings(0);
        args.to_strings(|i| {
            let found = texts.get(i).and_then(|s| regex.captures(s));
            Ok(found.and_then(|c| c.get(group)).map(|m| m.as_str()))
        })
    })
}

fn replace(mut call: Call) -> Binding {
    call.texts([0, 2])?;
    let Some(regex) = pattern(&mut call)? else { return call.null(LogicalType::String) };
    call.args.swap(1, 2);
    call.result(2, LogicalType::String, false, move |args| {
        let (texts, with) = (args.strings(0), args.strings(1));
        args.to_strings(|i| Ok(texts.get(i).zip(with.get(i)).map(|(text, with)| replace_all(&regex, text, with))))
    })
}

/// As `Matcher.replaceAll` with a quoted replacement: an empty match right after another match counts.
fn replace_all(regex: &Regex, text: &str, with: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut copied, mut from) = (0, 0);
    while let Some(found) = (from <= text.len()).then(|| regex.find_at(text, from)).flatten() {
        out.push_str(&text[copied..found.start()]);
        out.push_str(with);
        copied = found.end();
        from = match found.is_empty() {
            true => found.end() + text[found.end()..].chars().next().map_or(1, char::len_utf8),
            false => found.end(),
        };
    }
    out.push_str(&text[copied..]);
    out
}
