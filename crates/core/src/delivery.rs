//! The delivery level as a type: what a part of a pipeline promises across a crash.

use std::fmt;

/// A promise about rows across failures. Ordered: a pipeline promises the least of its parts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Delivery {
    /// No row is lost; after a crash a row may appear again.
    AtLeastOnce,
    /// No row is lost and none appears twice.
    ExactlyOnce,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeastOnce => "at-least-once",
            Self::ExactlyOnce => "exactly-once",
        })
    }
}

impl std::str::FromStr for Delivery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "at-least-once" => Ok(Self::AtLeastOnce),
            "exactly-once" => Ok(Self::ExactlyOnce),
            other => Err(format!("`{other}` is no delivery level: use at-least-once or exactly-once")),
        }
    }
}
