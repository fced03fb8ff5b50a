//! What a request can end in instead of an answer.

use std::fmt;
use std::fmt::Write as _;

use crate::code::{ErrorClass, ErrorCode, is_passing};
use crate::numbers::MAX_SHOWN;
use crate::operation::Operation;

/// An `<Error>` of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceError {
    /// The HTTP status it came with, or is to be sent with.
    pub status: u16,
    /// The code, which decides what it means.
    pub code: ErrorCode,
    /// The sentence of the service.
    pub message: String,
    /// The request's id, to be quoted to the service's support.
    pub request_id: Option<String>,
    /// The address of the service.
    pub host_id: Option<String>,
}

impl ServiceError {
    /// An error with the status and text the service uses for `code`.
    pub fn new(code: ErrorCode) -> Self {
        let message = code.text().to_owned();
        Self { status: code.status(), code, message, request_id: None, host_id: None }
    }

    /// An error with a text of its own.
    pub fn with_message(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// What to do about it.
    pub fn class(&self, operation: Operation) -> ErrorClass {
        self.code.class(operation, self.status)
    }
}

/// A text of somebody else's on a line of ours: so many characters of it, control characters as blanks, so that it can
/// neither end the line nor speak to a terminal.
struct Shown<'a>(&'a str, usize);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        for shown in rest.by_ref().take(self.1) {
            f.write_char(if shown.is_control() { ' ' } else { shown })?;
        }
        if rest.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, message) = (Shown(self.code.as_str(), 100), Shown(&self.message, MAX_SHOWN));
        write!(f, "{code} (HTTP {}): {message}", self.status)?;
        match &self.request_id {
            Some(id) => write!(f, " (request id {})", Shown(id, 100)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ServiceError {}

/// Why there is no answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The service said no, in its own words.
    #[error("{0}")]
    Service(ServiceError),
    /// The answer is not from the service but from something in between (a gateway's HTML page, an empty 502): only
    /// its status can be judged.
    #[error("HTTP {status} without an error of the service in it: {excerpt:?}")]
    Foreign {
        /// The HTTP status.
        status: u16,
        /// The beginning of the body, for the reader of a log.
        excerpt: String,
    },
    /// The status says success but the body cannot be understood.
    #[error("unreadable answer (HTTP {status}): {cause}")]
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it, with the position. Never quotes the body: it may hold messages.
        cause: String,
    },
}

impl Failure {
    /// What to do about it.
    pub fn class(&self, operation: Operation) -> ErrorClass {
        match self {
            Self::Service(error) => error.class(operation),
            Self::Foreign { status, .. } if is_passing(*status) => ErrorClass::Retry,
            // A redirect, or a door-keeper in front of the service: settings must change.
            Self::Foreign { status, .. } if (300..400).contains(status) || matches!(status, 401 | 403 | 407) => {
                ErrorClass::Fatal
            }
            Self::Foreign { .. } | Self::Unreadable { .. } => ErrorClass::Unreadable,
        }
    }

    /// The error of the service, if it is one.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(error) => Some(error),
            _ => None,
        }
    }
}

/// The part of a foreign body that is worth showing: 200 characters hold the title of any gateway's page.
pub(crate) fn excerpt(body: &[u8]) -> String {
    const SHOWN: usize = 200;
    // A character takes at most four bytes, so no more than this need be looked at.
    let head = &body[..body.len().min(4 * SHOWN)];
    String::from_utf8_lossy(head).chars().take(SHOWN).collect()
}
