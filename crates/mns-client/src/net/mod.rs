//! Connections: made, kept, used for one call at a time.

mod answer;
mod connect;
mod connection;
mod pool;
mod proxy;
mod tls;

pub(crate) use answer::Body;
pub(crate) use connect::Connector;
pub(crate) use connection::Reply;
pub(crate) use pool::Pool;
pub use proxy::{Proxies, ProxyError};
pub use tls::{TlsError, TlsRoots};

use std::sync::Arc;
use std::time::Duration;

use answer::AnswerError;

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NetError {
    /// No connection could be made: the request never left.
    #[error("cannot connect to {to}")]
    Connect { to: String, source: Arc<dyn std::error::Error + Send + Sync> },
    /// The other side is not who it should be, by its certificate.
    #[error("the certificate of {to} is not trusted")]
    Untrusted { to: String, source: Arc<dyn std::error::Error + Send + Sync> },
    /// The proxy would not connect.
    #[error("the proxy {proxy} refused to connect to {to}: HTTP {status}")]
    ProxyRefused { proxy: String, to: String, status: String },
    /// No answer in time. The request may have left.
    #[error("no answer within {after:?}")]
    Timeout { after: Duration },
    /// The connection ended before the answer did. The request may have been carried out.
    #[error("the connection broke before the answer was complete")]
    Broken { source: Arc<dyn std::error::Error + Send + Sync> },
    /// The answer is longer than any valid one.
    #[error("the answer is longer than {limit} bytes")]
    TooLong { limit: usize },
    /// The request target is longer than servers take (64 KiB).
    #[error("the request target is too long")]
    Target,
    /// A header cannot be sent.
    #[error("the {name} header has a character that HTTP does not allow")]
    Header { name: &'static str },
}

impl NetError {
    pub(crate) fn connect(to: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Connect { to: to.into(), source: Arc::from(source.into()) }
    }

    pub(crate) fn broken(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Broken { source: Arc::new(source) }
    }

    /// Whether the request certainly never left.
    pub(crate) fn never_sent(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Untrusted { .. }
            | Self::ProxyRefused { .. }
            | Self::Target
            | Self::Header { .. } => true,
            Self::Timeout { .. } | Self::Broken { .. } | Self::TooLong { .. } => false,
        }
    }
}

impl From<AnswerError> for NetError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::TooLong { limit } => Self::TooLong { limit },
            error => Self::broken(error),
        }
    }
}
