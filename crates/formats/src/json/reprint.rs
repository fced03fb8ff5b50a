//! Objects and arrays read into a STRING column: printed again without blanks, as Jackson prints its tree.

use std::collections::HashMap;
use std::ops::Range;

use super::scan::{Kind, Number, ScanError, Scanner, Text};
use super::text;
use crate::coerce::float;

/// Beyond so many keys of one object repeated ones are looked for by hash instead of one by one.
const FEW_KEYS: usize = 16;

/// Reads the value that comes next and appends it to `out` as compact JSON: numbers with a fraction or exponent as
/// Java prints doubles, the last of repeated keys in the place of the first, escapes only where JSON needs them.
///
/// Without recursion, since it is the body that says how deep it nests.
pub(crate) fn reprint(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), ScanError> {
    let mut open: Vec<Container> = Vec::new();
    loop {
        match scanner.peek()? {
            Kind::Object => {
                scanner.enter()?;
                open.push(Container::Object(Object { start: out.len(), ..Object::default() }));
            }
            Kind::Array => {
                scanner.enter()?;
                open.push(Container::Array { first: true });
            }
            scalar => self::scalar(scanner, scalar, out)?,
        }
        // On to the next value of the innermost container that has one.
        loop {
            let more = match open.last_mut() {
                Some(Container::Object(object)) => object.next(scanner, out)?,
                Some(Container::Array { first }) => next_item(scanner, first, out)?,
                None => return Ok(()),
            };
            if more {
                break;
            }
            open.pop();
        }
    }
}

fn scalar(scanner: &mut Scanner<'_>, kind: Kind, out: &mut Vec<u8>) -> Result<(), ScanError> {
    match kind {
        Kind::String => {
            let text = scanner.string()?;
            string(text, out)
        }
        Kind::Number => {
            let number = scanner.number()?;
            let finite = number.integer || f64_of(number).is_finite();
            let quote: &[u8] = if finite { b"" } else { b"\"" };
            out.extend_from_slice(quote);
            tree_number(number, out);
            out.extend_from_slice(quote);
            Ok(())
        }
        word => {
            scanner.word(word)?;
            out.extend_from_slice(word_text(word));
            Ok(())
        }
    }
}

/// A container that is open in the output.
enum Container {
    Array { first: bool },
    Object(Object),
}

fn next_item(scanner: &mut Scanner<'_>, first: &mut bool, out: &mut Vec<u8>) -> Result<bool, ScanError> {
    let more = scanner.next_item(*first)?;
    match (more, *first) {
        (true, true) => out.push(b'['),
        (true, false) => out.push(b','),
        (false, true) => out.extend_from_slice(b"[]"),
        (false, false) => out.push(b']'),
    }
    *first = false;
    Ok(more)
}

/// A number as Jackson's tree prints it: an integer of any length without a minus before zero, anything else through
/// a double.
pub(crate) fn tree_number(number: Number<'_>, out: &mut Vec<u8>) {
    match number.raw {
        b"-0" => out.push(b'0'),
        raw if number.integer => out.extend_from_slice(raw),
        _ => float::print_f64(f64_of(number), out),
    }
}

/// The text of `true`, `false` and `null`.
pub(crate) fn word_text(word: Kind) -> &'static [u8] {
    match word {
        Kind::True => b"true",
        Kind::False => b"false",
        _ => b"null",
    }
}

fn f64_of(number: Number<'_>) -> f64 {
    float::parse_f64(number.raw).expect("JSON's numbers are all numbers to Java")
}

/// An object that is open in the output, and what it holds so far.
#[derive(Default)]
struct Object {
    start: usize,
    members: Vec<Member>,
    /// The positions in `members`, once they are many.
    by_key: HashMap<Vec<u8>, usize>,
    /// The key whose value is being printed.
    pending: Option<Range<usize>>,
    repeated: bool,
}

impl Object {
    /// Takes note of the value printed last, and prints the next key, or the end.
    fn next(&mut self, scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<bool, ScanError> {
        let first = self.pending.is_none();
        if let Some(key) = self.pending.take() {
            self.member(key, out);
        }
        let Some(key) = scanner.next_key(first)? else {
            self.close(out);
            return Ok(false);
        };
        // Either the opening brace or a comma, so that without repeated keys the text is right as it grows.
        out.push(if first { b'{' } else { b',' });
        let start = out.len();
        string(key, out)?;
        self.pending = Some(start..out.len());
        out.push(b':');
        Ok(true)
    }

    fn member(&mut self, key: Range<usize>, out: &[u8]) {
        let value = key.end + 1..out.len();
        let earlier = if self.members.len() <= FEW_KEYS {
            self.members.iter().position(|m| out[m.key.clone()] == out[key.clone()])
        } else {
            if self.by_key.is_empty() {
                self.by_key.extend(self.members.iter().enumerate().map(|(i, m)| (out[m.key.clone()].to_vec(), i)));
            }
            self.by_key.get(&out[key.clone()]).copied()
        };
        if let Some(i) = earlier {
            self.members[i].value = value;
            self.repeated = true;
            return;
        }
        if !self.by_key.is_empty() {
            self.by_key.insert(out[key.clone()].to_vec(), self.members.len());
        }
        self.members.push(Member { key, value });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.members.is_empty() {
            out.push(b'{');
        }
        if self.repeated {
            let mut text = Vec::with_capacity(out.len() - self.start);
            for member in &self.members {
                text.push(if text.is_empty() { b'{' } else { b',' });
                text.extend_from_slice(&out[member.key.clone()]);
                text.push(b':');
                text.extend_from_slice(&out[member.value.clone()]);
            }
            out.truncate(self.start);
            out.extend_from_slice(&text);
        }
        out.push(b'}');
    }
}

/// Where a member's key, in quotes, and the last value it had stand in the output.
struct Member {
    key: Range<usize>,
    value: Range<usize>,
}

fn string(text: Text<'_>, out: &mut Vec<u8>) -> Result<(), ScanError> {
    if text.plain {
        quoted(text.raw, out);
        return Ok(());
    }
    let mut decoded = Vec::with_capacity(text.raw.len());
    text::decode(text.raw, &mut decoded).map_err(|e| Scanner::text_error(text, e))?;
    quoted(&decoded, out);
    Ok(())
}

/// Appends text in quotes, with the escapes that Jackson writes: quote, backslash and the control characters.
pub(crate) fn quoted(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b < b' ' || matches!(b, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                let (high, low) = (HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Limits;

    fn printed(text: &str) -> String {
        let mut out = Vec::new();
        reprint(&mut Scanner::new(text.as_bytes(), &Limits::default()), &mut out).expect("JSON");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn compact_with_the_last_of_repeated_keys() {
        for (text, out) in [
            ("[ 1 , 2 ]", "[1,2]"),
            ("[]", "[]"),
            ("{ }", "{}"),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":[1,2,3],"b":true,"a":null,"c":"x","b":{"z":0}}"#, r#"{"a":null,"b":{"z":0},"c":"x"}"#),
            (r#"{"a":1,"a":[2,3],"b":4,"\u0061":5}"#, r#"{"a":5,"b":4}"#),
            (
                "[1.10,1e3,-0,-0.0,1e400,123456789012345678901234567890]",
                r#"[1.1,1000.0,0,-0.0,"Infinity",123456789012345678901234567890]"#,
            ),
            (r#"{"é":"\u00e9","q":"\"","s":"\/","n":"\n\u001f"}"#, r#"{"é":"é","q":"\"","s":"/","n":"\n\u001F"}"#),
        ] {
            assert_eq!(printed(text), out, "{text}");
        }
    }

    #[test]
    fn repeated_keys_among_many() {
        let object = |value: fn(usize) -> usize| {
            let members: Vec<String> = (0..100).map(|i| format!("\"k{i}\":{}", value(i))).collect();
            members.join(",")
        };
        let twice = format!("{{{},{}}}", object(|i| i), object(|i| i + 1_000));
        assert_eq!(printed(&twice), format!("{{{}}}", object(|i| i + 1_000)));
    }

    proptest! {
        #[test]
        fn printing_again_changes_nothing(keys in prop::collection::vec(("[a-d]", 0u8..4, ".*"), 0..24)) {
            let members = keys.iter().map(|(key, n, text)| {
                let text = serde_json::to_string(text).expect("text");
                match n {
                    0 => format!("\"{key}\": {text}"),
                    1 => format!("\"{key}\": [ {text} , 1.5]"),
                    2 => format!("\"{key}\": {{\"{key}\": {text}}}"),
                    _ => format!("\"{key}\": null"),
                }
            });
            let text = format!("{{{}}}", members.collect::<Vec<_>>().join(" , "));
            let once = printed(&text);
            prop_assert_eq!(&printed(&once), &once);
            let values = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            prop_assert_eq!(values(&once), values(&text));
        }
    }
}
