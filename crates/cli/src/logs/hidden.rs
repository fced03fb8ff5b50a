//! Texts that no line may show: whatever an error quotes, the values of secrets leave the process in requests only.

/// Shorter values are no secrets, and hiding them would garble everything.
const SHORTEST: usize = 4;
const SHOWN: &str = "***";

/// The texts, in every form in which a line may quote them.
#[derive(Debug, Default)]
pub(super) struct Hidden(Vec<Text>);

/// `Debug` shows nothing of it.
struct Text(String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SHOWN)
    }
}

impl Hidden {
    /// Hides a text from here on: as it is, in small letters, and as it stands in quotes.
    pub(super) fn add(&mut self, text: &str) {
        if text.len() < SHORTEST {
            return;
        }
        let quoted = |text: String| text.get(1..text.len().saturating_sub(1)).unwrap_or_default().to_owned();
        let json = quoted(serde_json::Value::from(text).to_string());
        let debug = quoted(format!("{text:?}"));
        // An error that quotes an error in a line of JSON.
        let both = quoted(serde_json::Value::from(debug.as_str()).to_string());
        for form in [text.to_owned(), text.to_lowercase(), json, debug, both] {
            if !self.0.iter().any(|Text(have)| *have == form) {
                self.0.push(Text(form));
            }
        }
        // The longest first: one may be a part of another.
        self.0.sort_by_key(|Text(text)| std::cmp::Reverse(text.len()));
    }

    /// The line without them.
    pub(super) fn hide<'a>(&self, line: &'a str) -> std::borrow::Cow<'a, str> {
        let mut line = std::borrow::Cow::Borrowed(line);
        for Text(text) in &self.0 {
            if line.contains(text.as_str()) {
                line = line.replace(text.as_str(), SHOWN).into();
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_disappears_and_nothing_else() {
        let mut hidden = Hidden::default();
        hidden.add("Pass\"w\\ord");
        hidden.add("abc");
        for (line, shown) in [
            ("it is Pass\"w\\ord.", "it is ***."),
            ("it is pass\"w\\ord.", "it is ***."),
            (r#"{"message":"it is Pass\"w\\ord"}"#, r#"{"message":"it is ***"}"#),
            (r#"{"message":"it is \"Pass\\\"w\\\\ord\""}"#, r#"{"message":"it is \"***\""}"#),
            ("abc is no secret", "abc is no secret"),
            ("", ""),
        ] {
            assert_eq!(hidden.hide(line), shown);
        }
        assert!(!format!("{hidden:?}").contains("ord"));
    }
}
