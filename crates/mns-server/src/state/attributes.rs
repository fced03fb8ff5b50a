//! Queue attributes: their ranges and defaults, and what a create or set request may change.

use super::error::OutOfRange;

/// The settable attributes of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// How long a received message stays hidden, in seconds, 1..=43200, default 30.
    pub visibility_timeout: u32,
    /// The largest body a send may carry, in bytes, 1024..=65536, default 65536.
    pub maximum_message_size: u32,
    /// How long a message lives, counted from its send, in seconds, 60..=604800, default 345600.
    pub message_retention_period: u32,
    /// How long a sent message stays hidden when the send does not say, in seconds, 0..=604800, default 0.
    pub delay_seconds: u32,
    /// How long a receive waits when the request does not say, in seconds, 0..=30, default 0.
    pub polling_wait_seconds: u32,
    /// Whether the service would write logs; stored and returned, without effect here.
    pub logging_enabled: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            visibility_timeout: 30,
            maximum_message_size: 65_536,
            message_retention_period: 345_600,
            delay_seconds: 0,
            polling_wait_seconds: 0,
            logging_enabled: false,
        }
    }
}

/// Attributes a request names; the absent ones keep the default (create) or the present value (set).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    /// See [`Attributes::visibility_timeout`].
    pub visibility_timeout: Option<u32>,
    /// See [`Attributes::maximum_message_size`].
    pub maximum_message_size: Option<u32>,
    /// See [`Attributes::message_retention_period`].
    pub message_retention_period: Option<u32>,
    /// See [`Attributes::delay_seconds`].
    pub delay_seconds: Option<u32>,
    /// See [`Attributes::polling_wait_seconds`].
    pub polling_wait_seconds: Option<u32>,
    /// See [`Attributes::logging_enabled`].
    pub logging_enabled: Option<bool>,
}

impl AttributeChanges {
    /// `base` with these changes.
    ///
    /// # Errors
    /// The first value outside its range; nothing is changed then.
    pub fn applied_to(&self, base: &Attributes) -> Result<Attributes, OutOfRange> {
        let pick = |name, wanted: Option<u32>, current, low, high, unit| match wanted {
            Some(value) => OutOfRange::check(name, u64::from(value), low, high, unit).map(|()| value),
            None => Ok(current),
        };
        Ok(Attributes {
            visibility_timeout: pick(
                "VisibilityTimeout",
                self.visibility_timeout,
                base.visibility_timeout,
                1,
                43_200,
                "seconds",
            )?,
            maximum_message_size: pick(
                "MaximumMessageSize",
                self.maximum_message_size,
                base.maximum_message_size,
                1_024,
                65_536,
                "bytes",
            )?,
            message_retention_period: pick(
                "MessageRetentionPeriod",
                self.message_retention_period,
                base.message_retention_period,
                60,
                604_800,
                "seconds",
            )?,
            delay_seconds: pick("DelaySeconds", self.delay_seconds, base.delay_seconds, 0, 604_800, "seconds")?,
            polling_wait_seconds: pick(
                "PollingWaitSeconds",
                self.polling_wait_seconds,
                base.polling_wait_seconds,
                0,
                30,
                "seconds",
            )?,
            logging_enabled: self.logging_enabled.unwrap_or(base.logging_enabled),
        })
    }
}
