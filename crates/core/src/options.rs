//! Options by name, and errors that name them.

use std::collections::BTreeMap;
use std::fmt;

/// Options as given: name and value, both text. Values may be secrets: `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// The value of an option.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets an option; returns the value it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }

    /// All options, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Options {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(iter: T) -> Self {
        Self(iter.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// One option that cannot be used. Its value is only in the text when the option is not a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OptionError {
    /// The option's name as given, or as it should be given.
    pub option: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl OptionError {
    /// An error on one option.
    #[must_use]
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { option: option.into(), problem: problem.into() }
    }

    /// An option that does not exist, with the nearest that does.
    #[must_use]
    pub fn unknown<'a>(option: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let problem = match nearest(option, known) {
            Some(name) => format!("is no option here; did you mean `{name}`?"),
            None => "is no option here".into(),
        };
        Self::new(option, problem)
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.option, self.problem)
    }
}

/// Everything wrong with a configuration, at once.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct OptionErrors(pub Vec<OptionError>);

impl fmt::Display for OptionErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

pub use headwater_formats::nearest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_nonsense_is_not() {
        let known = ["queueName", "endpoint", "batchSize"];
        assert_eq!(nearest("queuename", known), Some("queueName"));
        assert_eq!(nearest("enpoint", known), Some("endpoint"));
        assert_eq!(nearest("zzzzzzzzzzzz", known), None);
        assert_eq!(
            OptionError::unknown("queue.name", known).to_string(),
            "`queue.name` is no option here; did you mean `queueName`?"
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let options: Options = [("accessKeySecret", "hunter2")].into_iter().collect();
        assert_eq!(format!("{options:?}"), r#"{"accessKeySecret"}"#);
    }
}
