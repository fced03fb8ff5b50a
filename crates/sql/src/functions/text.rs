//! Functions on text. Positions and lengths count characters, from 1.

use std::borrow::Cow;

use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::DataType as ArrowType;
use headwater_formats::LogicalType;

use super::call::{Binding, Call, Function};
use super::kernel::{Args, KernelResult, RowError};

/// The longest text that REPEAT, LPAD and RPAD may make, in bytes. Without a limit one row could ask for gigabytes; a
/// message of the queue holds 64 KiB.
const MAX_TEXT: usize = 16 << 20;

const TOO_LONG: &str = "the result would be longer than 16 MiB";

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "UPPER", usage: "UPPER(text)", arity: 1..=1, bind: |c| map(c, |s| s.to_uppercase().into()) },
    Function { name: "LOWER", usage: "LOWER(text)", arity: 1..=1, bind: |c| map(c, |s| s.to_lowercase().into()) },
    Function { name: "INITCAP", usage: "INITCAP(text)", arity: 1..=1, bind: |c| map(c, |s| initcap(s).into()) },
    Function {
        name: "REVERSE",
        usage: "REVERSE(text)",
        arity: 1..=1,
        bind: |c| map(c, |s| s.chars().rev().collect::<String>().into()),
    },
    Function { name: "CONCAT", usage: "CONCAT(text, …)", arity: 1..=64, bind: concat },
    Function { name: "CONCAT_WS", usage: "CONCAT_WS(separator, text, …)", arity: 1..=64, bind: concat_ws },
    Function { name: "CHAR_LENGTH", usage: "CHAR_LENGTH(text)", arity: 1..=1, bind: char_length },
    Function { name: "CHARACTER_LENGTH", usage: "CHARACTER_LENGTH(text)", arity: 1..=1, bind: char_length },
    Function { name: "SUBSTRING", usage: "SUBSTRING(text, start[, length])", arity: 2..=3, bind: substring },
    Function { name: "SUBSTR", usage: "SUBSTR(text, start[, length])", arity: 2..=3, bind: substring },
    Function { name: "LEFT", usage: "LEFT(text, length)", arity: 2..=2, bind: left },
    Function { name: "RIGHT", usage: "RIGHT(text, length)", arity: 2..=2, bind: right },
    Function {
        name: "TRIM",
        usage: "TRIM([BOTH | LEADING | TRAILING] [characters FROM] text)",
        arity: 1..=2,
        bind: trim,
    },
    Function { name: "LTRIM", usage: "LTRIM(text[, characters])", arity: 1..=2, bind: ltrim },
    Function { name: "RTRIM", usage: "RTRIM(text[, characters])", arity: 1..=2, bind: rtrim },
    Function { name: "LPAD", usage: "LPAD(text, length, pad)", arity: 3..=3, bind: |c| pad(c, true) },
    Function { name: "RPAD", usage: "RPAD(text, length, pad)", arity: 3..=3, bind: |c| pad(c, false) },
    Function { name: "REPEAT", usage: "REPEAT(text, times)", arity: 2..=2, bind: repeat },
    Function { name: "REPLACE", usage: "REPLACE(text, what, with)", arity: 3..=3, bind: replace },
    Function { name: "POSITION", usage: "POSITION(what IN text)", arity: 2..=2, bind: position },
    Function { name: "LOCATE", usage: "LOCATE(what, text[, from])", arity: 2..=3, bind: position },
    Function { name: "INSTR", usage: "INSTR(text, what)", arity: 2..=2, bind: instr },
    Function { name: "SPLIT_INDEX", usage: "SPLIT_INDEX(text, separator, index)", arity: 3..=3, bind: split_index },
];

/// A function of one text that cannot fail.
fn map(mut call: Call, f: fn(&str) -> Cow<'_, str>) -> Binding {
    call.text(0)?;
    call.result(1, LogicalType::String, false, move |args| {
        let texts = args.strings(0);
        args.to_strings(|i| Ok(texts.get(i).map(f)))
    })
}

/// A whole number out of texts.
fn to_int(args: &Args, mut row: impl FnMut(usize) -> Option<usize>) -> KernelResult {
    args.to_numbers::<Int32Type>(&ArrowType::Int32, |i| {
        row(i).map(|n| i32::try_from(n).map_err(|_| RowError::from(TOO_LONG))).transpose()
    })
}

fn initcap(text: &str) -> String {
    let mut inside = false;
    let word = |c: char| {
        let out = if inside { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
        inside = c.is_ascii_alphanumeric();
        out
    };
    text.chars().map(word).collect()
}

fn concat(mut call: Call) -> Binding {
    let n = call.args.len();
    call.texts(0..n)?;
    call.result(n, LogicalType::String, false, |args| {
        let texts: Vec<_> = (0..args.len()).map(|a| args.strings(a)).collect();
        args.to_strings(|i| Ok(texts.iter().map(|t| t.get(i)).collect::<Option<String>>()))
    })
}

/// NULL texts are left out; a NULL separator gives NULL.
fn concat_ws(mut call: Call) -> Binding {
    let n = call.args.len();
    call.texts(0..n)?;
    call.result(n, LogicalType::String, false, |args| {
        let separators = args.strings(0);
        let texts: Vec<_> = (1..args.len()).map(|a| args.strings(a)).collect();
        args.to_strings(|i| {
            let join = |separator| texts.iter().filter_map(|t| t.get(i)).collect::<Vec<_>>().join(separator);
            Ok(separators.get(i).map(join))
        })
    })
}

fn char_length(mut call: Call) -> Binding {
    call.text(0)?;
    call.result(1, LogicalType::Int, false, |args| {
        let texts = args.strings(0);
        to_int(args, |i| texts.get(i).map(|s| s.chars().count()))
    })
}

fn substring(mut call: Call) -> Binding {
    let n = call.args.len();
    call.text(0)?;
    (1..n).try_for_each(|arg| call.whole(arg))?;
    call.result(n, LogicalType::String, false, |args| {
        let (texts, starts) = (args.strings(0), args.numbers::<Int64Type>(1));
        let lengths = (args.len() > 2).then(|| args.numbers::<Int64Type>(2));
        args.to_strings(|i| {
            let Some((text, start)) = texts.get(i).zip(starts.get(i)) else { return Ok(None) };
            Ok(match lengths.map(|l| l.get(i)) {
                None => Some(slice(text, start, i64::MAX)),
                Some(None) => None,
                Some(Some(length)) if length < 0 => None,
                Some(Some(length)) => Some(slice(text, start, length)),
            })
        })
    })
}

/// Characters from `start` on: 1 is the first, 0 is too, -1 the last.
fn slice(text: &str, start: i64, length: i64) -> &str {
    let skip = match start {
        1.. => usize::try_from(start - 1).unwrap_or(usize::MAX),
        0 => 0,
        _ => match usize::try_from(start.unsigned_abs()).ok().and_then(|n| text.chars().count().checked_sub(n)) {
            Some(skip) => skip,
            None => return "",
        },
    };
    let from = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
    let rest = &text[from..];
    let take = usize::try_from(length).unwrap_or(usize::MAX);
    &rest[..rest.char_indices().nth(take).map_or(rest.len(), |(at, _)| at)]
}

fn left(call: Call) -> Binding {
    ends(call, |text, length| slice(text, 1, length))
}

fn right(call: Call) -> Binding {
    ends(call, |text, length| {
        let skip = text.chars().count().saturating_sub(usize::try_from(length).unwrap_or(usize::MAX));
        &text[text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at)..]
    })
}

fn ends(mut call: Call, f: fn(&str, i64) -> &str) -> Binding {
    call.text(0)?;
    call.whole(1)?;
    call.result(2, LogicalType::String, false, move |args| {
        let (texts, lengths) = (args.strings(0), args.numbers::<Int64Type>(1));
        args.to_strings(|i| Ok(texts.get(i).zip(lengths.get(i)).map(|(t, n)| if n <= 0 { "" } else { f(t, n) })))
    })
}

fn trim(call: Call) -> Binding {
    strip(call, |text, set| text.trim_matches(|c| set.contains(c)))
}

fn ltrim(call: Call) -> Binding {
    strip(call, |text, set| text.trim_start_matches(|c| set.contains(c)))
}

fn rtrim(call: Call) -> Binding {
    strip(call, |text, set| text.trim_end_matches(|c| set.contains(c)))
}

/// The second argument is a set of characters; without it, blanks alone are taken off (not tabs or line ends).
fn strip(mut call: Call, f: for<'t> fn(&'t str, &str) -> &'t str) -> Binding {
    let n = call.args.len();
    call.texts(0..n)?;
    call.result(n, LogicalType::String, false, move |args| {
        let texts = args.strings(0);
        let sets = (args.len() > 1).then(|| args.strings(1));
        args.to_strings(|i| {
            let set = sets.map_or(Some(" "), |s| s.get(i));
            Ok(texts.get(i).zip(set).map(|(text, set)| f(text, set)))
        })
    })
}

/// A pad without characters, or a negative length, gives NULL.
fn pad(mut call: Call, before: bool) -> Binding {
    call.texts([0, 2])?;
    call.whole(1)?;
    call.result(3, LogicalType::String, true, move |args| {
        let (texts, lengths, pads) = (args.strings(0), args.numbers::<Int64Type>(1), args.strings(2));
        args.to_strings(|i| {
            let (Some(text), Some(length), Some(pad)) = (texts.get(i), lengths.get(i), pads.get(i)) else {
                return Ok(None);
            };
            let Ok(length) = usize::try_from(length) else { return Ok(None) };
            if pad.is_empty() {
                return Ok(None);
            }
            if length > MAX_TEXT / 4 {
                return Err(TOO_LONG.into());
            }
            let missing = length.saturating_sub(text.chars().count());
            let padding = pad.chars().cycle().take(missing);
            let kept = text.chars().take(length);
            Ok(Some(if before { padding.chain(kept).collect::<String>() } else { kept.chain(padding).collect() }))
        })
    })
}

fn repeat(mut call: Call) -> Binding {
    call.text(0)?;
    call.whole(1)?;
    call.result(2, LogicalType::String, true, |args| {
        let (texts, times) = (args.strings(0), args.numbers::<Int64Type>(1));
        args.to_strings(|i| {
            let Some((text, times)) = texts.get(i).zip(times.get(i)) else { return Ok(None) };
            let times = usize::try_from(times.max(0)).map_err(|_| TOO_LONG)?;
            match text.len().checked_mul(times) {
                Some(length) if length <= MAX_TEXT => Ok(Some(text.repeat(times))),
                _ => Err(TOO_LONG.into()),
            }
        })
    })
}

/// As Java, an empty `what` stands between all characters.
fn replace(mut call: Call) -> Binding {
    call.texts(0..3)?;
    call.result(3, LogicalType::String, false, |args| {
        let (texts, what, with) = (args.strings(0), args.strings(1), args.strings(2));
        args.to_strings(|i| {
            let (Some(text), Some(what), Some(with)) = (texts.get(i), what.get(i), with.get(i)) else {
                return Ok(None);
            };
            Ok(Some(text.replace(what, with)))
        })
    })
}

/// Where `what` first stands in `text` at or after character `from`; 0 if nowhere.
fn find(what: &str, text: &str, from: i64) -> usize {
    let skip = usize::try_from(from.max(1) - 1).unwrap_or(usize::MAX);
    let Some(start) = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skip) else { return 0 };
    text[start..].find(what).map_or(0, |at| text[..start + at].chars().count() + 1)
}

fn position(mut call: Call) -> Binding {
    let n = call.args.len();
    call.texts(0..2)?;
    (2..n).try_for_each(|arg| call.whole(arg))?;
    call.result(n, LogicalType::Int, false, |args| {
        let (what, texts) = (args.strings(0), args.strings(1));
        let from = (args.len() > 2).then(|| args.numbers::<Int64Type>(2));
        to_int(args, |i| {
            let from = from.map_or(Some(1), |f| f.get(i))?;
            Some(find(what.get(i)?, texts.get(i)?, from))
        })
    })
}

fn instr(mut call: Call) -> Binding {
    call.texts(0..2)?;
    call.result(2, LogicalType::Int, false, |args| {
        let (texts, what) = (args.strings(0), args.strings(1));
        to_int(args, |i| Some(find(what.get(i)?, texts.get(i)?, 1)))
    })
}

/// The index counts from 0. An empty text has no parts; an empty separator splits at white space.
fn split_index(mut call: Call) -> Binding {
    call.texts(0..2)?;
    call.whole(2)?;
    call.result(3, LogicalType::String, false, |args| {
        let (texts, separators, indexes) = (args.strings(0), args.strings(1), args.numbers::<Int64Type>(2));
        args.to_strings(|i| {
            let (Some(text), Some(separator), Some(index)) = (texts.get(i), separators.get(i), indexes.get(i)) else {
                return Ok(None);
            };
            let Ok(index) = usize::try_from(index) else { return Ok(None) };
            Ok(match separator {
                _ if text.is_empty() => None,
                "" => text.split(char::is_whitespace).nth(index),
                _ => text.split(separator).nth(index),
            })
        })
    })
}
