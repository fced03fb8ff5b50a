//! Where the log lives and how large it may grow.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_core::fs::{FileLimits, FileSystem};

/// A durable log of the source's own, for [`SourceConfig::log`](crate::SourceConfig::log).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogConfig {
    /// The file system it is on.
    pub fs: Arc<dyn FileSystem>,
    /// Its directory, of which it is the only user. Made if need be.
    pub dir: PathBuf,
    /// The id of a log that is begun: 128 random bits. They keep bodies from passing for frames of the log, and tell one log
    /// from another.
    pub fresh_id: u128,
    /// Bytes on disk at most. 1 GiB: about an hour of 1,000 messages a second of 300 bytes. (Properties of a message that are
    /// longer than 4 KiB come on top.)
    pub bytes_max: u64,
    /// Bytes at which a new file is begun; at most an eighth of `bytes_max`, and a quarter of what `limits` lets a file have.
    /// 16 MiB: the newest file is written anew at every start, and files are read whole.
    pub segment_bytes: u64,
    /// Bytes of records at which a write begins although more are waiting. 1 MiB: a disk writes that about as fast as it
    /// syncs.
    pub group_bytes: u64,
    /// What is left in the lock file for whoever comes second. This process's id.
    pub owner: String,
    /// How large its files may be. Whoever lowers that refuses what was written before.
    pub limits: FileLimits,
}

impl LogConfig {
    /// A log with all defaults.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>, dir: impl Into<PathBuf>, fresh_id: u128) -> Self {
        Self {
            fs,
            dir: dir.into(),
            fresh_id,
            bytes_max: 1 << 30,
            segment_bytes: 16 << 20,
            group_bytes: 1 << 20,
            owner: std::process::id().to_string(),
            limits: FileLimits::default(),
        }
    }

    /// A new file is begun at so many bytes, so that a log with everything committed is mostly free.
    pub(crate) fn segment_max(&self) -> u64 {
        self.segment_bytes.min(self.bytes_max / 8).min(self.limits.log_segment / 4).max(1)
    }

    pub(crate) fn group_max(&self) -> u64 {
        self.group_bytes.min(self.segment_max())
    }
}
