//! Exit codes, and failures that know theirs.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use headwater_core::{SourceError, SourceErrorKind, StoreError, StoreErrorKind};

/// What the process ends with. Scripts and supervisors decide by it, so the numbers never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything asked for was done; also after a first signal, when the job drained.
    Done = 0,
    /// It failed, and starting it again may help.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The saved state is refused.
    State = 3,
    /// The queue denies access.
    Denied = 4,
    /// A message cannot be decoded, or too many could not.
    BadData = 5,
    /// A second signal: ended without draining.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The exit codes for the help text.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done (also after a first signal, when the job drained)
  1    failed, and starting again may help
  2    wrong usage or configuration
  3    saved state refused
  4    access denied
  5    bad data
  130  ended by a second signal";

/// Why a command failed. `Display` of the cause is the message; its `source()` chain is printed below it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    causes: Vec<String>,
}

impl Failure {
    /// A failure with its whole text.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new() }
    }

    /// A failure with a cause that the text does not repeat.
    pub(crate) fn because(exit: Exit, message: impl Into<String>, cause: &(dyn Error + 'static)) -> Self {
        let message = message.into();
        Self { exit, causes: chain(&message, Some(cause)), message }
    }

    /// A failure whose text is the error's own.
    pub(crate) fn of(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let message = error.to_string();
        Self { exit, causes: chain(&message, error.source()), message }
    }

    /// Message and causes, one a line.
    pub(crate) fn text(&self) -> String {
        let mut text = self.message.clone();
        for cause in &self.causes {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  because: {cause}");
        }
        text
    }
}

fn chain(message: &str, mut next: Option<&(dyn Error + 'static)>) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    while let Some(error) = next {
        let text = error.to_string();
        // Wrappers that only change the type say what they wrap; once is enough.
        if causes.last().map_or(message, String::as_str) != text {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let exit = match error.kind {
            SourceErrorKind::Configuration => Exit::Usage,
            SourceErrorKind::State => Exit::State,
            SourceErrorKind::Denied => Exit::Denied,
            SourceErrorKind::BadData => Exit::BadData,
            _ => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error.kind {
            StoreErrorKind::Refused | StoreErrorKind::Owned => Exit::State,
            _ => Exit::Failed,
        };
        Self::of(exit, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        for (kind, exit) in [
            (SourceErrorKind::Failed, Exit::Failed),
            (SourceErrorKind::Configuration, Exit::Usage),
            (SourceErrorKind::State, Exit::State),
            (SourceErrorKind::Denied, Exit::Denied),
            (SourceErrorKind::BadData, Exit::BadData),
        ] {
            assert_eq!(Failure::from(SourceError::new(kind, "x")).exit, exit);
        }
        for (kind, exit) in [
            (StoreErrorKind::Io, Exit::Failed),
            (StoreErrorKind::Refused, Exit::State),
            (StoreErrorKind::Owned, Exit::State),
        ] {
            assert_eq!(Failure::from(StoreError::new(kind, "x")).exit, exit);
        }
    }

    #[test]
    fn causes_stand_below_the_message() {
        let cause = std::io::Error::other("the disk is full");
        let error = StoreError::new(StoreErrorKind::Io, "cannot write a checkpoint").with_source(cause);
        assert_eq!(Failure::from(error).text(), "cannot write a checkpoint\n  because: the disk is full");
        let cause = StoreError::new(StoreErrorKind::Io, "the same");
        let wrapper = StoreError::new(StoreErrorKind::Io, "the same").with_source(cause);
        assert_eq!(Failure::from(wrapper).text(), "the same");
    }
}
