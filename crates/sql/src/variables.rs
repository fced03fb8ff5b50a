//! `${name}` in option and `SET` values: where the values come from, and how they stay unseen.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

/// Where the values of `${name}` come from. The command line implements it over `-D`, a secrets file and the
/// environment. It may be asked from another thread, one with room for what people nest.
pub trait Variables: Sync {
    /// The value of a variable. `name` is the text between the braces as written, `secret_values.ak_id` included.
    fn value(&self, name: &str) -> Option<String>;
}

/// No variables: every `${…}` in an option is an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoVariables;

impl Variables for NoVariables {
    fn value(&self, _name: &str) -> Option<String> {
        None
    }
}

/// Variables from a map; its `Debug` shows names only.
#[derive(Clone, Default)]
pub struct MapVariables(BTreeMap<String, String>);

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for MapVariables {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl Debug for MapVariables {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Variables for MapVariables {
    fn value(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// The text of an option or `SET` value after substitution. `Debug` never shows it: keys stand in scripts as plain
/// text too.
#[derive(Clone, PartialEq, Eq)]
pub struct OptionValue {
    text: String,
    /// What the variables in it held.
    substituted: Vec<String>,
}

impl OptionValue {
    /// The value itself. Do not print it where [`OptionValue::is_substituted`] is true.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether any part of it came from a variable.
    pub fn is_substituted(&self) -> bool {
        !self.substituted.is_empty()
    }

    /// The values of the variables in it.
    pub(crate) fn substituted(&self) -> impl Iterator<Item = &str> {
        self.substituted.iter().map(String::as_str)
    }

    /// Replaces every `${name}` in a quoted value. What a variable holds is not looked into again.
    ///
    /// # Errors
    /// A sentence for each `${…}` that is empty, not closed or not known.
    pub(crate) fn substitute(quoted: &str, variables: &dyn Variables) -> Result<Self, Vec<String>> {
        let mut text = String::with_capacity(quoted.len());
        let mut errors = Vec::new();
        let mut rest = quoted;
        let mut substituted = Vec::new();
        while let Some(start) = rest.find("${") {
            text.push_str(&rest[..start]);
            let Some(len) = rest[start + 2..].find('}') else {
                errors.push("`${` without a closing brace".to_owned());
                rest = "";
                break;
            };
            let name = &rest[start + 2..start + 2 + len];
            rest = &rest[start + len + 3..];
            match variables.value(name) {
                Some(value) => {
                    text.push_str(&value);
                    substituted.push(value);
                }
                None => errors.push(unknown(name)),
            }
        }
        text.push_str(rest);
        if errors.is_empty() { Ok(Self { text, substituted }) } else { Err(errors) }
    }
}

fn unknown(name: &str) -> String {
    match name.strip_prefix("secret_values.") {
        _ if name.is_empty() => "`${}` names no variable".to_owned(),
        Some(_) => format!("the secret `${{{name}}}` has no value: give it in the secrets file or in the environment"),
        None => format!("the variable `${{{name}}}` has no value: give it with -D {name}=… or in the environment"),
    }
}

impl Debug for OptionValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> MapVariables {
        [("a", "1"), ("secret_values.key", "s3cr3t"), ("nested", "${a}")].into_iter().collect()
    }

    #[test]
    fn variables_are_replaced_once() {
        for (quoted, expected) in [
            ("plain", "plain"),
            ("${a}", "1"),
            ("x${a}y${a}", "x1y1"),
            ("${nested}", "${a}"),
            ("$a {a} $", "$a {a} $"),
            ("${secret_values.key}", "s3cr3t"),
        ] {
            let value = OptionValue::substitute(quoted, &variables()).expect(quoted);
            assert_eq!(value.reveal(), expected);
            assert_eq!(value.is_substituted(), quoted.contains("${"));
        }
    }

    #[test]
    fn every_missing_variable_is_named() {
        let errors = OptionValue::substitute("${b} ${secret_values.x} ${} ${open", &variables()).expect_err("four");
        assert_eq!(errors.len(), 4);
        assert!(errors[0].contains("-D b="), "{errors:?}");
        assert!(errors[1].contains("secrets file"), "{errors:?}");
        assert!(errors[2].contains("names no variable"), "{errors:?}");
        assert!(errors[3].contains("closing brace"), "{errors:?}");
    }

    #[test]
    fn values_are_never_printed() {
        let value = OptionValue::substitute("${secret_values.key}", &variables()).expect("known");
        assert!(!format!("{value:?} {:?}", variables()).contains("s3cr3t"));
    }
}
