//! Format options: what there is, and reading what was given so that every mistake is reported at once.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use thiserror::Error;

use crate::TypeError;

/// One option of a format, as the documentation and SQL errors print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The key without the format's name: `ignore-parse-errors` is given as `json.ignore-parse-errors`.
    pub key: &'static str,
    /// What values it takes.
    pub kind: OptionKind,
    /// The value when it is not given; `None` when that means something no value says.
    pub default: Option<&'static str>,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

impl OptionSpec {
    pub(crate) const fn new(
        key: &'static str,
        kind: OptionKind,
        default: Option<&'static str>,
        doc: &'static str,
    ) -> Self {
        Self { key, kind, default, doc }
    }
}

/// The values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionKind {
    /// `true` or `false`, in any letter case.
    Boolean,
    /// Any text.
    Text,
    /// A text too long to be typed: itself, or, where options are read by something that may read files (this crate may
    /// not), `file:` and a path.
    Document,
    /// One of these, spelt exactly so.
    OneOf(&'static [&'static str]),
    /// One of these, in any letter case.
    OneOfAnyCase(&'static [&'static str]),
}

impl Display for OptionKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("true or false"),
            Self::Text => f.write_str("text"),
            Self::Document => f.write_str("text, or `file:` and a path"),
            Self::OneOf(values) | Self::OneOfAnyCase(values) => write!(f, "one of {}", values.join(", ")),
        }
    }
}

/// Something wrong with a format, its options or its schema, found before any message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// There is no such format.
    #[error("there is no format '{name}'{}", suggestion(nearest.as_deref()))]
    UnknownFormat {
        /// As given.
        name: String,
        /// The nearest one there is.
        nearest: Option<String>,
    },
    /// The format has no such option.
    #[error("there is no option '{option}'{}", suggestion(nearest.as_deref()))]
    UnknownOption {
        /// As given.
        option: String,
        /// The nearest one there is, with the format's name in front.
        nearest: Option<String>,
    },
    /// An option of another format.
    #[error("the option '{option}' belongs to the format '{format}', but the format of this table is '{table}'")]
    OtherFormat {
        /// As given.
        option: String,
        /// The format it belongs to.
        format: String,
        /// The format in use.
        table: String,
    },
    /// A value the option does not take.
    #[error("the option '{option}' cannot be '{value}': {expected}")]
    BadValue {
        /// The option, with the format's name in front.
        option: String,
        /// As given.
        value: String,
        /// What it takes.
        expected: String,
    },
    /// Options that cannot be together.
    #[error("the options '{first}' and '{second}' exclude each other: {reason}")]
    Conflict {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A column whose type the format cannot give.
    #[error("the format '{format}' cannot give column `{column}` of type {data_type}: {reason}")]
    UnsupportedType {
        /// The format.
        format: &'static str,
        /// The column path.
        column: String,
        /// Its type as Flink SQL text.
        data_type: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A column that does not exist in a format whose columns have given names.
    #[error("the format '{format}' has no column `{column}`{}", suggestion(nearest.as_deref()))]
    UnknownColumn {
        /// The format.
        format: &'static str,
        /// As declared.
        column: String,
        /// The nearest one there is.
        nearest: Option<String>,
    },
    /// The columns as a whole do not suit the format.
    #[error("the format '{format}' cannot give these columns: {reason}")]
    UnsupportedColumns {
        /// The format.
        format: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// A type that cannot be.
    #[error(transparent)]
    Type(#[from] TypeError),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(": did you mean '{nearest}'?"))
}

/// Everything that is wrong with a format's options and schema, at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", lines(.0))]
pub struct FormatErrors(pub Vec<FormatError>);

fn lines(errors: &[FormatError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl From<FormatError> for FormatErrors {
    fn from(error: FormatError) -> Self {
        Self(vec![error])
    }
}

impl IntoIterator for FormatErrors {
    type Item = FormatError;
    type IntoIter = std::vec::IntoIter<FormatError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The candidate a person most likely meant by `name`, if any is near: the same in another letter case, the same
/// behind a prefix (`ignore-parse-errors` for `json.ignore-parse-errors`), or one that differs by few letters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_ascii_lowercase();
    let score = |candidate: &str| {
        let candidate = candidate.to_ascii_lowercase();
        let tail = candidate.rsplit_once('.').map_or("", |(_, tail)| tail);
        if candidate == wanted || (!tail.is_empty() && candidate.ends_with(&format!(".{wanted}"))) {
            return 1.0;
        }
        strsim::normalized_damerau_levenshtein(&wanted, &candidate)
            .max(strsim::normalized_damerau_levenshtein(&wanted, tail) * 0.99)
    };
    // Below 0.55 a suggestion misleads more often than it helps (tried on the options of this project).
    let best = candidates.into_iter().map(|c| (score(c), c)).filter(|(score, _)| *score >= 0.55);
    best.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}

/// The names that stand in front of option keys in Flink, whether this release has the format or not.
pub(crate) const FLINK_FORMATS: &[&str] = &["avro", "csv", "json", "orc", "parquet", "raw"];

/// Reads the options of one format out of what was given and collects every mistake.
#[derive(Debug)]
pub(crate) struct OptionReader<'a> {
    format: &'static str,
    specs: &'static [OptionSpec],
    given: &'a BTreeMap<String, String>,
    pub(crate) errors: Vec<FormatError>,
}

impl<'a> OptionReader<'a> {
    pub(crate) fn new(format: &'static str, specs: &'static [OptionSpec], given: &'a BTreeMap<String, String>) -> Self {
        let mut reader = Self { format, specs, given, errors: Vec::new() };
        for option in given.keys() {
            let known = |key: &str| specs.iter().any(|spec| spec.key == key);
            match option.split_once('.') {
                Some((prefix, key)) if prefix == format && known(key) => {}
                Some((prefix, _)) if prefix != format && FLINK_FORMATS.contains(&prefix) => {
                    let (option, table) = (option.clone(), format.to_owned());
                    reader.errors.push(FormatError::OtherFormat { option, format: prefix.to_owned(), table });
                }
                _ => {
                    let names: Vec<String> = specs.iter().map(|spec| reader.name(spec.key)).collect();
                    let nearest = nearest(option, names.iter().map(String::as_str)).map(str::to_owned);
                    reader.errors.push(FormatError::UnknownOption { option: option.clone(), nearest });
                }
            }
        }
        reader
    }

    /// The key as it is given, with the format's name in front.
    pub(crate) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.format)
    }

    /// What was given, unchecked.
    pub(crate) fn given(&self, key: &str) -> Option<&'a str> {
        self.given.get(&self.name(key)).map(String::as_str)
    }

    /// What was given or the default, checked against the option's kind; a value that fails counts as the default.
    pub(crate) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let spec = self.specs.iter().find(|spec| spec.key == key)?;
        let Some(value) = self.given(key) else { return spec.default };
        let fits = match spec.kind {
            OptionKind::Boolean => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            OptionKind::Text | OptionKind::Document => true,
            OptionKind::OneOf(values) => values.contains(&value),
            OptionKind::OneOfAnyCase(values) => values.iter().any(|v| v.eq_ignore_ascii_case(value)),
        };
        if fits {
            return Some(value);
        }
        self.bad_value(key, format!("it takes {}", spec.kind));
        spec.default
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> bool {
        self.text(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn bad_value(&mut self, key: &str, expected: impl Into<String>) {
        let value = self.given(key).unwrap_or_default().to_owned();
        self.errors.push(FormatError::BadValue { option: self.name(key), value, expected: expected.into() });
    }

    pub(crate) fn conflict(&mut self, first: &str, second: &str, reason: &'static str) {
        self.errors.push(FormatError::Conflict { first: self.name(first), second: self.name(second), reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SPECS: &[OptionSpec] = &[
        OptionSpec::new("ignore-parse-errors", OptionKind::Boolean, Some("false"), ""),
        OptionSpec::new("standard", OptionKind::OneOf(&["SQL", "ISO-8601"]), Some("SQL"), ""),
    ];

    fn read(given: &[(&str, &str)]) -> (bool, Option<String>, Vec<String>) {
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut reader = OptionReader::new("json", SPECS, &given);
        let (ignore, standard) = (reader.boolean("ignore-parse-errors"), reader.text("standard").map(str::to_owned));
        (ignore, standard, reader.errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn values_and_defaults() {
        assert_eq!(read(&[]), (false, Some("SQL".to_owned()), vec![]));
        let given = [("json.ignore-parse-errors", "TRUE"), ("json.standard", "ISO-8601")];
        assert_eq!(read(&given), (true, Some("ISO-8601".to_owned()), vec![]));
    }

    #[test]
    fn every_mistake_is_reported_with_what_was_meant() {
        let (_, _, errors) = read(&[
            ("csv.ignore-parse-errors", "true"),
            ("ignore-parse-errors", "true"),
            ("json.Ignore-Parse-Errors", "true"),
            ("json.ignore-parse-error", "true"),
            ("json.ignore-parse-errors", "yes"),
            ("json.standard", "iso-8601"),
            ("zzz", "1"),
        ]);
        assert_eq!(
            errors,
            [
                "the option 'csv.ignore-parse-errors' belongs to the format 'csv', but the format of this table is 'json'",
                "there is no option 'ignore-parse-errors': did you mean 'json.ignore-parse-errors'?",
                "there is no option 'json.Ignore-Parse-Errors': did you mean 'json.ignore-parse-errors'?",
                "there is no option 'json.ignore-parse-error': did you mean 'json.ignore-parse-errors'?",
                "there is no option 'zzz'",
                "the option 'json.ignore-parse-errors' cannot be 'yes': it takes true or false",
                "the option 'json.standard' cannot be 'iso-8601': it takes one of SQL, ISO-8601",
            ]
        );
    }
}
