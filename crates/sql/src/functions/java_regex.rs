//! Java's regular expressions in the syntax of the `regex` crate.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// What a compiled pattern may take, in bytes: ten times the crate's need for a long list of words.
const SIZE_LIMIT: usize = 4 << 20;

/// Every character but Java's line ends.
const NO_LINE_END: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";

/// Translates and compiles.
///
/// # Errors
/// A sentence on what Java's syntax says and this one cannot, or on what is wrong with the pattern.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    Translator { chars: pattern.chars().peekable(), out: &mut out, dot_all: vec![false] }.run()?;
    RegexBuilder::new(&out).size_limit(SIZE_LIMIT).build().map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
        // The crate's own text quotes the translated pattern over several lines; its last line says what is wrong.
        e => format!("the pattern is not valid: {}", e.to_string().lines().last().unwrap_or_default().trim()),
    })
}

struct Translator<'p, 'o> {
    chars: Peekable<Chars<'p>>,
    out: &'o mut String,
    /// Whether `.` matches line ends, for each open group.
    dot_all: Vec<bool>,
}

impl Translator<'_, '_> {
    fn run(mut self) -> Result<(), String> {
        let mut repeatable = false;
        while let Some(c) = self.chars.next() {
            let quantifier = matches!(c, '*' | '+' | '?') || (c == '{' && repeatable);
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '.' if *self.dot_all.last().unwrap_or(&false) => self.out.push_str(r"[\s\S]"),
                '.' => self.out.push_str(NO_LINE_END),
                '(' => self.group()?,
                ')' => {
                    self.dot_all.pop();
                    self.out.push(')');
                }
                c if quantifier => self.quantifier(c)?,
                c => self.out.push(c),
            }
            repeatable = !quantifier;
        }
        Ok(())
    }

    fn quantifier(&mut self, c: char) -> Result<(), String> {
        self.out.push(c);
        if c == '{' {
            for c in self.chars.by_ref() {
                self.out.push(c);
                if c == '}' {
                    break;
                }
            }
        }
        if self.chars.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        match self.chars.peek() {
            Some('+') => Err("possessive quantifiers (`a++`) are not supported".to_owned()),
            _ => Ok(()),
        }
    }

    /// What follows an opening bracket: nothing, `?:`, `?<name>`, or flags.
    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        let outer = *self.dot_all.last().unwrap_or(&false);
        self.dot_all.push(outer);
        if self.chars.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        let mut flags = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphabetic() || *c == '-') {
            flags.push(c);
        }
        if let Some(unknown) = flags.chars().find(|c| !matches!(c, 'i' | 's' | 'm' | '-')) {
            return Err(format!("the flag `{unknown}` is not supported in patterns"));
        }
        self.out.push_str(&flags);
        let (on, off) = flags.split_once('-').unwrap_or((&flags, ""));
        let dot_all = !off.contains('s') && (outer || on.contains('s'));
        match self.chars.next() {
            Some(':') => {
                self.out.push(':');
                self.set_dot_all(dot_all, 1);
            }
            // `(?s)` holds to the end of the group around it.
            Some(')') if !flags.is_empty() => {
                self.out.push(')');
                self.dot_all.pop();
                self.set_dot_all(dot_all, 1);
            }
            Some('<') if flags.is_empty() && !matches!(self.chars.peek(), Some('=' | '!')) => self.out.push('<'),
            _ => return Err("look-around and atomic groups are not supported in patterns".to_owned()),
        }
        Ok(())
    }

    fn set_dot_all(&mut self, value: bool, depth: usize) {
        let at = self.dot_all.len().checked_sub(depth);
        if let Some(slot) = at.and_then(|at| self.dot_all.get_mut(at)) {
            *slot = value;
        }
    }

    /// `[…]`, which may hold further ones.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.chars.next() else { return Err("a `[` of the pattern is not closed".to_owned()) };
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                ']' => self.out.push_str(r"\]"),
                '[' => self.class()?,
                '\\' => self.escape(true)?,
                '-' | '~' if self.chars.peek() == Some(&c) => {
                    return Err(format!("`{c}{c}` inside `[…]` is not supported in patterns; write `\\{c}`"));
                }
                c => self.out.push(c),
            }
            first = false;
        }
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let Some(c) = self.chars.next() else { return Err("the pattern ends with a backslash".to_owned()) };
        let class = |inside: &str, out: &mut String| match in_class {
            true => out.push_str(inside),
            false => {
                out.push('[');
                out.push_str(inside);
                out.push(']');
            }
        };
        match c {
            'd' => class("0-9", self.out),
            'w' => class("a-zA-Z0-9_", self.out),
            's' => class(r"\t\n\x0B\x0C\r ", self.out),
            'D' => self.out.push_str("[^0-9]"),
            'W' => self.out.push_str("[^a-zA-Z0-9_]"),
            'S' => self.out.push_str(r"[^\t\n\x0B\x0C\r ]"),
            'b' if !in_class => self.out.push_str(r"(?-u:\b)"),
            'A' | 'z' if !in_class => {
                self.out.push('\\');
                self.out.push(c);
            }
            't' | 'n' | 'r' | 'f' | 'a' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'e' => self.out.push_str(r"\x1B"),
            'x' => self.hex(2)?,
            'u' => self.hex(4)?,
            'p' | 'P' => self.property(c)?,
            '1'..='9' | 'k' => return Err("back references are not supported in patterns".to_owned()),
            c if c.is_ascii_alphanumeric() => return Err(format!("`\\{c}` is not supported in patterns")),
            c => {
                self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
            }
        }
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<(), String> {
        let text: String = self.chars.by_ref().take(digits).collect();
        if text.len() != digits || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("a `\\x` or `\\u` of the pattern needs {digits} hexadecimal digits"));
        }
        self.out.push_str(&format!("\\x{{{text}}}"));
        Ok(())
    }

    /// General categories of one or two letters are the same in both; Java's other names differ.
    fn property(&mut self, c: char) -> Result<(), String> {
        let mut name = String::new();
        match self.chars.next() {
            Some('{') => name.extend(self.chars.by_ref().take_while(|c| *c != '}')),
            Some(letter) => name.push(letter),
            None => {}
        }
        let known = matches!(name.len(), 1 | 2) && name.starts_with(['L', 'M', 'N', 'P', 'S', 'Z', 'C']);
        if !known {
            return Err(format!("`\\{c}{{{name}}}` is not supported in patterns; categories such as `\\p{{L}}` are"));
        }
        self.out.push_str(&format!("\\{c}{{{name}}}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_java() {
        for (pattern, text, expected) in [
            ("foo(.*?)(bar)", "foothebar", Some("foothebar")),
            (r"\d+", "a١23", Some("23")),
            (r"\w+", "é_9", Some("_9")),
            (r"[\w-]+", "é_-9", Some("_-9")),
            (r"[^\d]", "12a", Some("a")),
            (r"[\D]", "12a", Some("a")),
            (r"a.b", "a\rb", None),
            (r"(?s)a.b", "a\nb", Some("a\nb")),
            (r"(?s:a.)b.", "a\nb\n", None),
            (r"\bfoo\b", "a foo b", Some("foo")),
            (r"[a&&[^b]]+", "ba", Some("a")),
            (r"[]a]+", "]a", Some("]a")),
            (r"x{2,3}?", "xxx", Some("xx")),
            (r"(?<y>\d{4})", "in 2024", Some("2024")),
            (r"\x41\u0042", "AB", Some("AB")),
            (r"\p{L}+", "1é", Some("é")),
            (r"\$\{a\}", "${a}", Some("${a}")),
            (r"(?i)AbC", "xABc", Some("ABc")),
            ("", "x", Some("")),
        ] {
            let regex = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert_eq!(regex.find(text).map(|m| m.as_str()), expected, "{pattern}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (pattern, part) in [
            ("a(?=b)", "look-around"),
            ("(?<!a)b", "look-around"),
            ("(?>a)", "look-around"),
            (r"(a)\1", "back references"),
            ("a++", "possessive"),
            ("a*+", "possessive"),
            ("a{1,2}+", "possessive"),
            (r"\p{Alpha}", "not supported"),
            (r"\Qa\E", r"`\Q`"),
            (r"[a--b]", "inside `[…]`"),
            ("(?x)a", "flag `x`"),
            ("[a", "not closed"),
            ("(a", "not valid"),
            ("a\\", "backslash"),
            (r"\xZZ", "hexadecimal"),
        ] {
            let error = compile(pattern).expect_err(pattern);
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }
}
