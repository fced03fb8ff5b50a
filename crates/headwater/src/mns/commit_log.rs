//! The options of `commit = log`, and where the log lives.

use std::path::PathBuf;

use headwater_core::{JobContext, QueueIdentity, SourceError, SourceErrorKind};
use headwater_ledger::{Limits, LogLimits};
use headwater_queue_source::LogConfig;

use super::config::Reader;

/// What the options say about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitLog {
    bytes_max: u64,
}

impl CommitLog {
    /// Reads them; everything wrong goes to the reader.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let log = reader.word("commit") == "log";
        let bytes_max = reader.integer("logMaxBytes").and_then(|n| u64::try_from(n).ok());
        if !log {
            if reader.given("logMaxBytes").is_some() {
                reader.notice("`logMaxBytes` has no effect without `commit` = `log`".into());
            }
            return None;
        }
        if !cfg!(feature = "job") {
            reader.wrong("commit", "`log` needs the feature `job` of the crate `headwater`");
        }
        reader.notice(
            "`commit` is `log`: messages are deleted from the queue as soon as they are in the log, and until their checkpoint they \
             live on this disk only"
                .into(),
        );
        Some(Self { bytes_max: bytes_max? })
    }

    /// Uncommitted messages are limited by the size of the log, not by what the queue allows to be held.
    pub(super) fn limit(self, limits: &mut Limits, checkpoint_max_messages: Option<u32>) {
        limits.log = Some(LogLimits::new(self.bytes_max));
        limits.checkpoint_max_messages = checkpoint_max_messages.unwrap_or(u32::MAX);
    }

    /// The log itself: in the directory that was given for it, or in the job's own.
    pub(crate) fn config(self, queue: &QueueIdentity, context: &JobContext) -> Result<LogConfig, SourceError> {
        let Some(state) = &context.state_dir else {
            let text =
                "`commit` is `log`, and nothing says where the log is to live: give the builder a `state_directory`";
            return Err(SourceError::new(SourceErrorKind::Configuration, text));
        };
        let mut config = open::config(state.join(directory(queue)))?;
        config.bytes_max = self.bytes_max;
        Ok(config)
    }
}

/// One name per queue. Both parts have letters, digits and hyphens only.
fn directory(queue: &QueueIdentity) -> PathBuf {
    let account = if queue.account.is_empty() { String::new() } else { format!("{}.", queue.account) };
    PathBuf::from(format!("log-{account}{}", queue.name))
}

#[cfg(feature = "job")]
mod open {
    use std::hash::{BuildHasher as _, RandomState};
    use std::path::PathBuf;
    use std::sync::Arc;

    use headwater_job::fs::LocalFs;

    use super::{LogConfig, SourceError};

    /// Files that only their owner may read; the id from the keys that the standard library draws for its hash maps.
    #[expect(clippy::unnecessary_wraps, reason = "as it is without the feature")]
    pub(super) fn config(dir: PathBuf) -> Result<LogConfig, SourceError> {
        let keys = RandomState::new();
        let id = u128::from(keys.hash_one(0)) << 64 | u128::from(keys.hash_one(1));
        Ok(LogConfig::new(Arc::new(LocalFs::private()), dir, id))
    }
}

#[cfg(not(feature = "job"))]
mod open {
    use std::path::PathBuf;

    use super::{LogConfig, SourceError, SourceErrorKind};

    pub(super) fn config(_: PathBuf) -> Result<LogConfig, SourceError> {
        let text = "`commit` = `log` needs the feature `job` of the crate `headwater`";
        Err(SourceError::new(SourceErrorKind::Configuration, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_two_accounts_have_logs_of_their_own() {
        let queue = |account: &str| QueueIdentity { account: account.into(), name: "orders".into() };
        assert_eq!(directory(&queue("")), PathBuf::from("log-orders"));
        assert_eq!(directory(&queue("123")), PathBuf::from("log-123.orders"));
    }
}
