//! One log line, before it is text.

use std::fmt::Write as _;

use serde_json::Value;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// A line: when, how grave, from where, and fields in order. The field `message` is what happened.
#[derive(Debug)]
pub(super) struct Line {
    time: String,
    level: &'static str,
    target: String,
    fields: Vec<(String, Value)>,
}

impl Line {
    /// A line of this moment.
    pub(super) fn new(level: &'static str, target: &str) -> Self {
        let mut time = String::new();
        // Fails only where the text cannot be written, and a String takes any.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        Self { time, level, target: target.to_owned(), fields: Vec::new() }
    }

    /// Sets a field, in place of what it held.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        match self.fields.iter_mut().find(|(own, _)| own == name) {
            Some((_, own)) => *own = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    /// Sets a field that is not there yet, if there is a value.
    pub(super) fn set_missing(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value
            && !self.fields.iter().any(|(own, _)| own == name)
        {
            self.fields.push((name.to_owned(), value));
        }
    }

    /// `TIME LEVEL message name=value …`
    pub(super) fn text(&self) -> String {
        let mut text = format!("{} {:>5}", self.time, self.level);
        let message = self.fields.iter().find(|(name, _)| name == "message");
        if let Some((_, Value::String(message))) = message {
            text.push(' ');
            push_printable(&mut text, message);
        }
        for (name, value) in self.fields.iter().filter(|(name, _)| name != "message") {
            let _ = write!(text, " {name}=");
            match value {
                Value::String(value) if is_plain(value) => text.push_str(value),
                Value::String(value) => {
                    text.push('"');
                    push_printable(&mut text, value);
                    text.push('"');
                }
                other => {
                    let _ = write!(text, "{other}");
                }
            }
        }
        text.push('\n');
        text
    }

    /// One JSON object with `time`, `level`, `target` and every field.
    pub(super) fn json(&self) -> String {
        let head = [("time", self.time.as_str()), ("level", self.level), ("target", &self.target)];
        let head = head.into_iter().map(|(name, value)| (name, Value::from(value)));
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let mut text = String::from("{");
        for (name, value) in head.chain(fields) {
            if text.len() > 1 {
                text.push(',');
            }
            let _ = write!(text, "{}:{value}", Value::from(name));
        }
        text.push_str("}\n");
        text
    }
}

/// Whether a value reads unambiguously without quotes.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=')
}

/// Adds text whose control characters cannot forge a line or move a cursor; further lines are indented.
fn push_printable(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\n    "),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let mut line = Line::new("INFO", "headwater_job");
        line.set("message", "checkpoint saved\x1b[2J".into());
        line.set("took_ms", 3.into());
        line.set("queue", "/orders".into());
        line.set_missing("queue", Some("other".into()));
        line.set_missing("path", Some("a b".into()));
        line
    }

    #[test]
    fn text_is_one_line_that_nothing_can_forge() {
        let text = line().text();
        assert!(text.ends_with("  INFO checkpoint saved\\u{1b}[2J took_ms=3 queue=/orders path=\"a b\"\n"), "{text}");
        let mut forged = Line::new("INFO", "x");
        forged.set("message", "a\n2026-01-01T00:00:00Z ERROR b".into());
        assert!(forged.text().contains("a\n    2026-01-01"), "{}", forged.text());
    }

    #[test]
    fn json_is_one_object_with_its_types() {
        let text = line().json();
        assert_eq!(text.lines().count(), 1);
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["level"], &read["took_ms"]), (&Value::from("INFO"), &Value::from(3)));
        assert_eq!(read["message"], "checkpoint saved\u{1b}[2J");
        assert!(read["time"].as_str().unwrap().ends_with('Z'));
    }
}
