//! What a call can fail with: what happened, where, and the way out.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use headwater_core::{QueueError, QueueErrorKind};
use headwater_mns_proto::{ErrorClass, ErrorCode, Failure, Operation, ServiceError, WriteError};

use crate::credentials::CredentialsError;
use crate::net::NetError;
use crate::skew::in_words;

/// A failed call. `Display` names operation, queue, endpoint, code and request id, and what to do about it.
#[derive(Debug, Clone)]
pub struct MnsError {
    pub(crate) operation: Operation,
    pub(crate) queue: Option<String>,
    pub(crate) endpoint: String,
    pub(crate) cause: Box<Cause>,
    pub(crate) may_have_happened: bool,
}

/// What went wrong.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// There was an answer, and it is no.
    Answer {
        failure: Failure,
        /// Where a redirect points to.
        location: Option<String>,
        /// The id in the answer's head, which foreign answers may have, too.
        request_id: Option<String>,
        /// What to add to this machine's clock to get the service's, by this answer; milliseconds.
        offset_ms: Option<i64>,
    },
    /// There was no answer.
    Net(NetError),
    /// There was nothing to sign with.
    Credentials(Arc<CredentialsError>),
    /// The request cannot be written.
    Write(WriteError),
}

impl MnsError {
    /// What the caller can do.
    pub fn kind(&self) -> QueueErrorKind {
        match &*self.cause {
            Cause::Answer { failure, .. } => failure_kind(failure, self.operation),
            Cause::Net(NetError::TooLong { .. }) => QueueErrorKind::Unreadable,
            Cause::Net(NetError::Header { .. } | NetError::Target | NetError::Untrusted { .. }) | Cause::Write(_) => {
                QueueErrorKind::Refused
            }
            Cause::Net(_) => QueueErrorKind::Transient,
            Cause::Credentials(error) if error.is_transient() => QueueErrorKind::Transient,
            Cause::Credentials(_) => QueueErrorKind::Credentials,
        }
    }

    /// The operation that failed.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The error of the service, if it gave one.
    pub fn service(&self) -> Option<&ServiceError> {
        match &*self.cause {
            Cause::Answer { failure, .. } => failure.service(),
            _ => None,
        }
    }

    /// The code of the service's error, if it gave one.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.service().map(|error| &error.code)
    }

    /// Whether the request may have been carried out all the same, by this or an earlier attempt of the call.
    pub fn may_have_happened(&self) -> bool {
        self.may_have_happened
    }

    /// Whether the service does not know the key: a temporary one may have ended.
    pub(crate) fn is_unknown_key(&self) -> bool {
        match self.code() {
            Some(ErrorCode::InvalidAccessKeyId) => true,
            // The codes of the STS service itself, which gateways pass on ("InvalidSecurityToken.Expired").
            Some(ErrorCode::Other(code)) => code.contains("SecurityToken"),
            _ => false,
        }
    }

    fn way_out(&self) -> Option<String> {
        match &*self.cause {
            Cause::Answer { failure: Failure::Service(error), offset_ms, .. } => {
                self.way_out_of_code(&error.code, *offset_ms)
            }
            Cause::Answer { failure: Failure::Foreign { status, .. }, location, .. } => {
                way_out_of_status(*status, location.as_deref())
            }
            Cause::Net(NetError::Connect { .. }) => Some(
                "check the endpoint and the network; -internal endpoints are reached from inside a VPC only".to_owned(),
            ),
            Cause::Net(NetError::Untrusted { .. }) => Some(
                "check the endpoint's name; if it has a certificate authority of its own, name its file in SSL_CERT_FILE"
                    .to_owned(),
            ),
            Cause::Net(NetError::ProxyRefused { .. }) => {
                Some("check HTTPS_PROXY, or add the endpoint's host to NO_PROXY".to_owned())
            }
            _ => None,
        }
    }

    fn way_out_of_code(&self, code: &ErrorCode, offset_ms: Option<i64>) -> Option<String> {
        let queue = self.queue.as_deref().unwrap_or("*");
        Some(match code {
            ErrorCode::QueueNotExist => format!(
                "check the queue's name and that it is in the account and region of {}; or create it",
                self.endpoint
            ),
            ErrorCode::SignatureDoesNotMatch => {
                "the access key secret is not the one of this access key id; check it for missing or extra characters"
                    .to_owned()
            }
            ErrorCode::InvalidAccessKeyId => "check the access key id and that it is enabled; a temporary key (STS) \
                needs its security token and ends after some hours"
                .to_owned(),
            ErrorCode::AccessDenied | ErrorCode::AccessDeniedByRamPolicy => format!(
                "the key needs the RAM action {} on acs:mns:*:*:/queues/{queue}{}, the endpoint must be that of the \
                 key's account, and public access must be allowed for this address",
                self.operation.ram_action(),
                if self.operation.uses_handles() || self.operation.reads_messages() { "/messages" } else { "" },
            ),
            ErrorCode::TimeExpired => match offset_ms {
                Some(ms) => {
                    format!("this machine's clock is {} the service's; set it (NTP). Limit: 15 min", in_words(ms))
                }
                None => "this machine's clock differs by more than 15 min from the service's; set it (NTP)".to_owned(),
            },
            ErrorCode::TooManyRequests | ErrorCode::QpsLimitExceeded => {
                "the account calls too often; use batches, fewer pollers, or ask for a higher limit".to_owned()
            }
            _ => return None,
        })
    }
}

fn way_out_of_status(status: u16, location: Option<&str>) -> Option<String> {
    Some(match (status, location) {
        (300..=399, Some(location)) => {
            format!("it redirects to {location:?}, and redirects are not followed; correct the endpoint")
        }
        (300..=399, None) => "redirects are not followed; correct the endpoint".to_owned(),
        (407, _) => "the proxy wants a user and password: http://user:password@host:port".to_owned(),
        (401 | 403, _) => "something in front of the service denies access; check the endpoint, proxies and whether \
            public access is allowed for this address"
            .to_owned(),
        (400..=499, _) => "this does not look like the service; check the endpoint".to_owned(),
        _ => return None,
    })
}

fn failure_kind(failure: &Failure, operation: Operation) -> QueueErrorKind {
    let status = match failure {
        Failure::Service(error) => error.status,
        Failure::Foreign { status, .. } | Failure::Unreadable { status, .. } => *status,
        _ => 0,
    };
    match failure.service().map(|error| &error.code) {
        Some(ErrorCode::QueueNotExist) => return QueueErrorKind::NoSuchQueue,
        Some(ErrorCode::TooManyRequests | ErrorCode::QpsLimitExceeded) => return QueueErrorKind::Throttled,
        Some(ErrorCode::TimeExpired) => return QueueErrorKind::ClockSkew,
        Some(ErrorCode::AccessDenied | ErrorCode::AccessDeniedByRamPolicy) => return QueueErrorKind::Denied,
        Some(
            ErrorCode::SignatureDoesNotMatch
            | ErrorCode::InvalidAccessKeyId
            | ErrorCode::InvalidAuthorizationHeader
            | ErrorCode::MissingAuthorizationHeader,
        ) => return QueueErrorKind::Credentials,
        _ => {}
    }
    match failure.class(operation) {
        ErrorClass::Retry if status == 429 => QueueErrorKind::Throttled,
        ErrorClass::Retry => QueueErrorKind::Transient,
        ErrorClass::Gone => QueueErrorKind::Gone,
        ErrorClass::Fatal if matches!(status, 401 | 407) => QueueErrorKind::Credentials,
        ErrorClass::Fatal if status == 403 => QueueErrorKind::Denied,
        ErrorClass::Fatal => QueueErrorKind::Refused,
        _ => QueueErrorKind::Unreadable,
    }
}

/// Whether a request may have been carried out although it failed in this way.
pub(crate) fn may_have_happened(cause: &Cause, operation: Operation) -> bool {
    match cause {
        Cause::Answer { failure, .. } => match failure_kind(failure, operation) {
            // Broken off half-way, or answered by somebody who cannot know.
            QueueErrorKind::Transient | QueueErrorKind::Unreadable => true,
            _ => false,
        },
        Cause::Net(error) => !error.never_sent(),
        Cause::Credentials(_) | Cause::Write(_) => false,
    }
}

impl fmt::Display for MnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(queue) = &self.queue {
            write!(f, " on queue {queue:?}")?;
        }
        write!(f, " at {}: ", self.endpoint)?;
        match &*self.cause {
            Cause::Answer { failure, request_id, .. } => {
                write!(f, "{failure}")?;
                let said = failure.service().is_some_and(|error| error.request_id.is_some());
                if let (Some(id), false) = (request_id, said) {
                    write!(f, " (request id {id})")?;
                }
            }
            Cause::Net(error) => write!(f, "{error}")?,
            Cause::Credentials(error) => write!(f, "{error}")?,
            Cause::Write(error) => write!(f, "{error}")?,
        }
        match self.way_out() {
            Some(way_out) => write!(f, "; {way_out}"),
            None => Ok(()),
        }
    }
}

impl Error for MnsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // `Display` has said what the cause says, so the cause's own cause comes next.
        match &*self.cause {
            Cause::Answer { .. } => None,
            Cause::Net(error) => error.source(),
            Cause::Credentials(error) => error.source(),
            Cause::Write(error) => error.source(),
        }
    }
}

impl From<MnsError> for QueueError {
    fn from(error: MnsError) -> Self {
        let queue_error = Self::new(error.kind(), error.to_string());
        match *error.cause {
            Cause::Net(
                NetError::Connect { source, .. } | NetError::Untrusted { source, .. } | NetError::Broken { source },
            ) => queue_error.with_source(SharedError(source)),
            _ => queue_error,
        }
    }
}

/// A cause behind an `Arc`, as an error of its own.
#[derive(Debug)]
struct SharedError(Arc<dyn Error + Send + Sync>);

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SharedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
