//! Writing XML: every text is escaped, every element closed.

use std::fmt::{Display, Write as _};

use crate::numbers::NAMESPACE;
use crate::xml::plain::is_plain;

/// A document being written.
#[derive(Debug)]
pub(crate) struct Document {
    text: String,
}

impl Document {
    /// A whole document: declaration and root element in the service's namespace, filled by `content`.
    pub(crate) fn write(root: &str, content: impl FnOnce(&mut Self)) -> String {
        // Sixteen receipt handles with their tags take 1.5 KB.
        let mut document = Self { text: String::with_capacity(2_048) };
        for part in ["<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<", root, " xmlns=\"", NAMESPACE, "\">"] {
            document.text.push_str(part);
        }
        content(&mut document);
        for part in ["</", root, ">"] {
            document.text.push_str(part);
        }
        document.text
    }

    /// An element that holds elements.
    pub(crate) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.push(format_args!("<{name}>"));
        content(self);
        self.push(format_args!("</{name}>"));
    }

    /// An element that holds text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        for part in ["<", name, ">"] {
            self.text.push_str(part);
        }
        if is_plain(text.as_bytes()) {
            self.text.push_str(text)
        } else {
            self.escaped(text)
        }
        for part in ["</", name, ">"] {
            self.text.push_str(part);
        }
    }

    /// Text that is known to need no escaping, tags included.
    #[inline]
    pub(crate) fn plain(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// An element that holds a number or another value whose text needs no escaping.
    pub(crate) fn value(&mut self, name: &str, value: impl Display) {
        self.push(format_args!("<{name}>{value}</{name}>"));
    }

    /// As [`Document::value`], if there is one.
    pub(crate) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// A carriage return is written as a reference: literal ones are normalised away by readers.
    fn escaped(&mut self, text: &str) {
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\r' => "&#13;",
                _ => continue,
            };
            self.text.push_str(&text[plain..at]);
            self.text.push_str(escape);
            plain = at + 1;
        }
        self.text.push_str(&text[plain..]);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a String does not fail");
    }
}

/// The first character of a text that XML 1.0 cannot carry, not even escaped, with its position counted from 1.
pub(crate) fn forbidden_character(text: &str) -> Option<(char, usize)> {
    if is_plain(text.as_bytes()) {
        return None;
    }
    let forbidden = |c: char| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().enumerate().find(|(_, c)| forbidden(*c)).map(|(index, c)| (c, index + 1))
}
