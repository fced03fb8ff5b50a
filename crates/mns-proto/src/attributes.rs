//! Settings and counters of queues and of the account.

use std::ops::RangeInclusive;

use crate::code::ErrorCode;
use crate::failure::ServiceError;
use crate::numbers;
use crate::xml::read::{Cursor, XmlError};
use crate::xml::write::Document;

/// The six settings of a queue that the XML API can change. What is `None` is left at its default (when a queue is
/// made) or as it is (when it is changed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueSettings {
    /// Seconds until a sent message becomes visible.
    pub delay_seconds: Option<u32>,
    /// Largest body in bytes.
    pub maximum_message_size: Option<u32>,
    /// Seconds a message is kept, from its sending.
    pub message_retention_period: Option<u32>,
    /// Seconds a received message is leased.
    pub visibility_timeout: Option<u32>,
    /// Seconds a receive waits that does not say how long.
    pub polling_wait_seconds: Option<u32>,
    /// Whether the service writes logs of the queue.
    pub logging_enabled: Option<bool>,
}

impl QueueSettings {
    /// Checks every setting against its documented range.
    ///
    /// # Errors
    /// `InvalidArgument` naming the first setting that is outside, as the service answers.
    pub fn check(&self) -> Result<(), ServiceError> {
        check_range("DelaySeconds", self.delay_seconds, &numbers::DELAY_SECONDS)?;
        check_range("MaximumMessageSize", self.maximum_message_size, &numbers::MAXIMUM_MESSAGE_SIZE)?;
        check_range("MessageRetentionPeriod", self.message_retention_period, &numbers::MESSAGE_RETENTION_PERIOD)?;
        check_range("VisibilityTimeout", self.visibility_timeout, &numbers::VISIBILITY_TIMEOUT)?;
        check_range("PollingWaitSeconds", self.polling_wait_seconds, &numbers::POLLING_WAIT_SECONDS)
    }

    pub(crate) fn write(&self, out: &mut Document) {
        out.optional("VisibilityTimeout", self.visibility_timeout);
        out.optional("MaximumMessageSize", self.maximum_message_size);
        out.optional("MessageRetentionPeriod", self.message_retention_period);
        out.optional("DelaySeconds", self.delay_seconds);
        out.optional("PollingWaitSeconds", self.polling_wait_seconds);
        out.optional("LoggingEnabled", self.logging_enabled.map(logging_text));
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, XmlError> {
        let mut settings = Self::default();
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "DelaySeconds" => settings.delay_seconds = Some(number(tag.name(), &cursor.text(&tag)?)?),
                "MaximumMessageSize" => settings.maximum_message_size = Some(number(tag.name(), &cursor.text(&tag)?)?),
                "MessageRetentionPeriod" => {
                    settings.message_retention_period = Some(number(tag.name(), &cursor.text(&tag)?)?);
                }
                "VisibilityTimeout" => settings.visibility_timeout = Some(number(tag.name(), &cursor.text(&tag)?)?),
                "PollingWaitSeconds" => settings.polling_wait_seconds = Some(number(tag.name(), &cursor.text(&tag)?)?),
                "LoggingEnabled" => settings.logging_enabled = Some(logging(&cursor.text(&tag)?)?),
                _ => cursor.skip()?,
            }
        }
        Ok(settings)
    }
}

/// All twelve attributes of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueAttributes {
    /// The queue's name.
    pub queue_name: String,
    /// When it was made; seconds since 1970.
    pub create_time: u64,
    /// When its settings last changed; seconds since 1970.
    pub last_modify_time: u64,
    /// Seconds until a sent message becomes visible.
    pub delay_seconds: u32,
    /// Largest body in bytes.
    pub maximum_message_size: u32,
    /// Seconds a message is kept, from its sending.
    pub message_retention_period: u32,
    /// Seconds a received message is leased.
    pub visibility_timeout: u32,
    /// Seconds a receive waits that does not say how long.
    pub polling_wait_seconds: u32,
    /// About how many messages can be received. The service is retiring the three counters: they can be 0 whatever
    /// the queue holds, so nothing must be decided by them.
    pub active_messages: u64,
    /// About how many messages are leased.
    pub inactive_messages: u64,
    /// About how many messages are delayed.
    pub delay_messages: u64,
    /// Whether the service writes logs of the queue.
    pub logging_enabled: bool,
}

impl QueueAttributes {
    pub(crate) fn write(&self, out: &mut Document) {
        out.text("QueueName", &self.queue_name);
        out.value("CreateTime", self.create_time);
        out.value("LastModifyTime", self.last_modify_time);
        out.value("DelaySeconds", self.delay_seconds);
        out.value("MaximumMessageSize", self.maximum_message_size);
        out.value("MessageRetentionPeriod", self.message_retention_period);
        out.value("VisibilityTimeout", self.visibility_timeout);
        out.value("PollingWaitSeconds", self.polling_wait_seconds);
        out.value("ActiveMessages", self.active_messages);
        out.value("InactiveMessages", self.inactive_messages);
        out.value("DelayMessages", self.delay_messages);
        out.value("LoggingEnabled", logging_text(self.logging_enabled));
    }

    /// The name and the five numbers that say how the queue behaves must be there; counters, times and logging are
    /// only shown, so an answer without them is read all the same.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, XmlError> {
        let mut read = Self::default();
        let mut required = Required::default();
        while let Some(tag) = cursor.child()? {
            read.read_element(tag.name(), cursor, &tag)?;
            required.seen(tag.name());
        }
        required.check()?;
        Ok(read)
    }

    pub(crate) fn read_element(
        &mut self,
        name: &str,
        cursor: &mut Cursor<'_>,
        tag: &crate::xml::read::Tag<'_>,
    ) -> Result<(), XmlError> {
        match name {
            "QueueName" => self.queue_name = cursor.text(tag)?.into_owned(),
            "CreateTime" => self.create_time = number(name, &cursor.text(tag)?)?,
            "LastModifyTime" => self.last_modify_time = number(name, &cursor.text(tag)?)?,
            "DelaySeconds" => self.delay_seconds = number(name, &cursor.text(tag)?)?,
            "MaximumMessageSize" => self.maximum_message_size = number(name, &cursor.text(tag)?)?,
            "MessageRetentionPeriod" => self.message_retention_period = number(name, &cursor.text(tag)?)?,
            "VisibilityTimeout" => self.visibility_timeout = number(name, &cursor.text(tag)?)?,
            "PollingWaitSeconds" => self.polling_wait_seconds = number(name, &cursor.text(tag)?)?,
            "ActiveMessages" => self.active_messages = number(name, &cursor.text(tag)?)?,
            "InactiveMessages" => self.inactive_messages = number(name, &cursor.text(tag)?)?,
            "DelayMessages" => self.delay_messages = number(name, &cursor.text(tag)?)?,
            "LoggingEnabled" => self.logging_enabled = logging(&cursor.text(tag)?)?,
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

/// Which of the attributes that a reader cannot do without have been seen.
#[derive(Default)]
struct Required {
    seen: [bool; Self::NAMES.len()],
}

impl Required {
    const NAMES: [&'static str; 6] = [
        "QueueName",
        "DelaySeconds",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "VisibilityTimeout",
        "PollingWaitSeconds",
    ];

    fn seen(&mut self, name: &str) {
        if let Some(at) = Self::NAMES.iter().position(|required| *required == name) {
            self.seen[at] = true;
        }
    }

    fn check(&self) -> Result<(), XmlError> {
        match self.seen.iter().position(|seen| !seen) {
            None => Ok(()),
            Some(at) => Err(XmlError::shape(format!("<{}> is missing", Self::NAMES[at]))),
        }
    }
}

/// Settings of the account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountAttributes {
    /// The bucket that logs are pushed to; empty for none.
    pub logging_bucket: String,
}

impl AccountAttributes {
    pub(crate) fn write(&self, out: &mut Document) {
        out.text("LoggingBucket", &self.logging_bucket);
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, XmlError> {
        let mut read = Self::default();
        while let Some(tag) = cursor.child()? {
            match tag.name() {
                "LoggingBucket" => read.logging_bucket = cursor.text(&tag)?.into_owned(),
                _ => cursor.skip()?,
            }
        }
        Ok(read)
    }
}

/// `InvalidArgument` unless the value, if given, is in the range.
pub(crate) fn check_range(name: &str, value: Option<u32>, range: &RangeInclusive<u32>) -> Result<(), ServiceError> {
    match value {
        Some(value) if !range.contains(&value) => Err(out_of_range(name, range)),
        _ => Ok(()),
    }
}

pub(crate) fn out_of_range(name: &str, range: &RangeInclusive<u32>) -> ServiceError {
    let text = format!("The value of {name} should between {} and {}.", range.start(), range.end());
    ServiceError::with_message(ErrorCode::InvalidArgument, text)
}

/// Reads a number; blanks around it do not matter.
pub(crate) fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, XmlError> {
    // The text is not quoted: a misplaced element could hold anything.
    text.trim().parse().map_err(|_| XmlError::shape(format!("<{name}> is not a number in range")))
}

/// Clients write it in several cases.
fn logging(text: &str) -> Result<bool, XmlError> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(XmlError::shape("<LoggingEnabled> is neither True nor False"))
    }
}

fn logging_text(enabled: bool) -> &'static str {
    if enabled { "True" } else { "False" }
}
