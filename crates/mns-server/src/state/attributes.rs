//! Queue attributes in force: the defaults with what create and set requests changed.

use headwater_mns_proto::{QueueSettings, numbers};

/// The settable attributes of a queue, each with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// How long a received message stays hidden, in seconds.
    pub visibility_timeout: u32,
    /// The largest body a send may carry, in bytes.
    pub maximum_message_size: u32,
    /// How long a message lives, counted from its send, in seconds.
    pub message_retention_period: u32,
    /// How long a sent message stays hidden when the send does not say, in seconds.
    pub delay_seconds: u32,
    /// How long a receive waits when the request does not say, in seconds.
    pub polling_wait_seconds: u32,
    /// Whether the service would write logs; stored and returned, without effect here.
    pub logging_enabled: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            visibility_timeout: numbers::DEFAULT_VISIBILITY_TIMEOUT,
            maximum_message_size: numbers::DEFAULT_MAXIMUM_MESSAGE_SIZE,
            message_retention_period: numbers::DEFAULT_MESSAGE_RETENTION_PERIOD,
            delay_seconds: numbers::DEFAULT_DELAY_SECONDS,
            polling_wait_seconds: numbers::DEFAULT_POLLING_WAIT_SECONDS,
            logging_enabled: false,
        }
    }
}

impl Attributes {
    /// These, with what `settings` names. The ranges are the caller's to check ([`QueueSettings::check`]).
    #[must_use]
    pub fn with(&self, settings: &QueueSettings) -> Self {
        Self {
            visibility_timeout: settings.visibility_timeout.unwrap_or(self.visibility_timeout),
            maximum_message_size: settings.maximum_message_size.unwrap_or(self.maximum_message_size),
            message_retention_period: settings.message_retention_period.unwrap_or(self.message_retention_period),
            delay_seconds: settings.delay_seconds.unwrap_or(self.delay_seconds),
            polling_wait_seconds: settings.polling_wait_seconds.unwrap_or(self.polling_wait_seconds),
            logging_enabled: settings.logging_enabled.unwrap_or(self.logging_enabled),
        }
    }
}
