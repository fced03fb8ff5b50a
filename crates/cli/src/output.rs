//! Standard output: rows and machine-readable answers, nothing else. A reader that has gone away ends the command
//! quietly, as it ends `cat`.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use crate::exit::{Exit, Failure};

/// Why a command stopped before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody reads standard output any more: nothing to say, and nobody to say it to.
    Unread,
    /// It failed.
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for Stop {
    fn from(failure: F) -> Self {
        Self::Failure(failure.into())
    }
}

/// Writes one line and flushes it: whoever reads through a pipe is waiting for it.
pub(crate) fn line(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    written.map_err(stop)
}

/// What a failed write to standard output means.
pub(crate) fn stop(error: io::Error) -> Stop {
    if error.kind() == ErrorKind::BrokenPipe {
        return Stop::Unread;
    }
    Stop::Failure(Failure::because(Exit::Failed, "cannot write to standard output", &error))
}

/// Whether an error, or one of its causes, is a closed pipe.
pub(crate) fn is_unread(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
            return true;
        }
        next = error.source();
    }
    false
}
