//! The log's directory: its lock, its files and their names.
//!
//! `lock`; `segment-N`, N with leading zeros; `committed`, the newest checkpoint that was committed with a position in this
//! log; `tmp-…`, being written, left over by a crash.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_core::fs::{self, FileLimits, FileSystem, Lock, LockError, NewFile, ReadError};
use headwater_core::{CheckpointId, SourceError, SourceErrorKind};

use super::config::LogConfig;
use super::format::short_sum;

const SEGMENT: &str = "segment-";
const COMMITTED: &str = "committed";
const TEMPORARY: &str = "tmp-";
const MAGIC: [u8; 4] = *b"HWSC";
const VERSION: u16 = 1;

/// An open log directory. Whoever has it, has its lock.
#[derive(Debug)]
pub(crate) struct LogDir {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) path: PathBuf,
    limits: FileLimits,
    /// Numbers the names of what is being written: a file whose sync failed is never written or synced again.
    written: AtomicU64,
    _lock: Box<dyn Lock>,
}

impl LogDir {
    /// Makes the directory if need be, and takes its lock.
    pub(super) fn open(config: &LogConfig) -> Result<Self, SourceError> {
        let (fs, path) = (Arc::clone(&config.fs), config.dir.clone());
        fs::create_dirs(&*fs, &path).map_err(|error| failed("make", &path, error))?;
        let file = path.join("lock");
        let lock = fs.lock(&file, &config.owner).map_err(|error| match error {
            LockError::Held { owner } => {
                let who = if owner.is_empty() { "another process".into() } else { format!("process {owner}") };
                let text = format!(
                    "{who} is using the log in `{}`: stop it first, or give this source a log of its own",
                    path.display()
                );
                SourceError::new(SourceErrorKind::State, text)
            }
            LockError::Io(error) => failed("lock", &file, error),
        })?;
        let dir = Self { fs, path, limits: config.limits, written: AtomicU64::new(0), _lock: lock };
        for name in dir.names()?.iter().filter(|name| name.starts_with(TEMPORARY)) {
            let path = dir.path.join(name);
            dir.fs.remove(&path).map_err(|error| failed("remove", &path, error))?;
        }
        Ok(dir)
    }

    /// Runs file work where it may wait: on a blocking thread for a real disk; in place for a simulated one, so that one
    /// seed gives one trace.
    pub(super) async fn run<T: Send + 'static>(self: &Arc<Self>, work: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        run(&self.fs, {
            let dir = Arc::clone(self);
            move || work(&dir)
        })
        .await
    }

    fn names(&self) -> Result<Vec<String>, SourceError> {
        let all = self.fs.list(&self.path).map_err(|error| failed("read", &self.path, error))?;
        Ok(all.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
    }

    /// The numbers of the segments that are there, in order.
    pub(super) fn segments(&self) -> Result<Vec<u64>, SourceError> {
        let names = self.names()?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix(SEGMENT)?.parse().ok());
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("{SEGMENT}{number:016}"))
    }

    pub(super) fn read_segment(&self, number: u64) -> Result<Vec<u8>, SourceError> {
        let path = self.segment(number);
        fs::read(&*self.fs, &path, self.limits.log_segment).map_err(|error| unread(&path, error))
    }

    /// Makes a segment, or makes it anew, with these bytes: durable, with its name, before anything else is written to it.
    pub(super) fn make_segment(&self, number: u64, bytes: &[u8]) -> Result<Box<dyn NewFile>, SourceError> {
        let path = self.segment(number);
        self.write(&path, bytes).map_err(|error| failed("write", &path, error))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn NewFile>> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let temporary = self.path.join(format!("{TEMPORARY}{number}"));
        let mut file = self.fs.create(&temporary)?;
        file.write_all(bytes)?;
        file.sync()?;
        self.fs.rename(&temporary, path)?;
        self.fs.sync_dir(&self.path)?;
        Ok(file)
    }

    /// Removes segments, as far as that works; says which are gone.
    pub(super) fn remove_segments(&self, numbers: &[u64]) -> Vec<u64> {
        let mut gone = Vec::with_capacity(numbers.len());
        for &number in numbers {
            match self.fs.remove(&self.segment(number)) {
                Ok(()) => gone.push(number),
                Err(error) if error.kind() == io::ErrorKind::NotFound => gone.push(number),
                Err(error) => {
                    let dir = self.path.display();
                    tracing::warn!(%error, number, %dir, "a segment of the log could not be removed; the next checkpoint tries again");
                }
            }
        }
        // Should a name come back after a loss of power, the next start removes it again.
        if let Err(error) = self.fs.sync_dir(&self.path) {
            tracing::warn!(%error, dir = %self.path.display(), "the directory of the log could not be synced after segments were removed");
        }
        gone
    }

    /// The newest checkpoint that is noted as committed.
    pub(super) fn committed(&self) -> Result<Option<(u128, CheckpointId)>, SourceError> {
        let path = self.path.join(COMMITTED);
        let bytes = match fs::read(&*self.fs, &path, self.limits.note) {
            Ok(bytes) => bytes,
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unread(&path, error)),
        };
        let version = bytes.get(4..6).and_then(|v| v.try_into().ok()).map(u16::from_le_bytes);
        if bytes.get(..4) == Some(&MAGIC) && version.is_some_and(|version| version > VERSION) {
            return Err(newer(&path, version.unwrap_or_default(), VERSION));
        }
        let whole = bytes.len() == 34 && bytes[..4] == MAGIC && bytes[30..] == short_sum(&bytes[..30]).to_le_bytes();
        let log = bytes.get(6..22).and_then(|log| log.try_into().ok()).map(u128::from_le_bytes);
        let id = bytes.get(22..30).and_then(|id| id.try_into().ok()).map(u64::from_le_bytes);
        match (log, id) {
            (Some(log), Some(id)) if whole => Ok(Some((log, CheckpointId(id)))),
            _ => Err(damaged(&path, "its checksum does not match")),
        }
    }

    /// Notes that a checkpoint with a position in this log is committed.
    pub(super) fn note_committed(&self, log: u128, id: CheckpointId) -> Result<(), SourceError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(log.to_le_bytes());
        bytes.extend(id.0.to_le_bytes());
        bytes.extend(short_sum(&bytes).to_le_bytes());
        let path = self.path.join(COMMITTED);
        self.write(&path, &bytes).map(drop).map_err(|error| failed("write", &path, error))
    }
}

/// As [`LogDir::run`], before there is one.
pub(super) async fn run<T: Send + 'static>(fs: &Arc<dyn FileSystem>, work: impl FnOnce() -> T + Send + 'static) -> T {
    if !fs.blocks() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down cancels; whoever waits here is being dropped with it.
            Err(_) => std::future::pending().await,
        },
    }
}

pub(super) fn failed(verb: &str, path: &Path, error: io::Error) -> SourceError {
    let text = format!("cannot {verb} `{}` of the source's log: {}", path.display(), fs::way_out(&error));
    SourceError::new(SourceErrorKind::Failed, text).with_source(error)
}

/// A file that is larger than any that is written is no matter of trying again.
fn unread(path: &Path, error: ReadError) -> SourceError {
    match error {
        ReadError::Io(error) => failed("read", path, error),
        too_large => damaged(path, &too_large.to_string()),
    }
}

pub(super) fn newer(path: &Path, found: u16, known: u16) -> SourceError {
    let text = format!(
        "`{}` of the source's log was written in version {found} by a later release, and this one reads up to version {known}: \
         use the release that wrote it, or a later one",
        path.display()
    );
    SourceError::new(SourceErrorKind::State, text)
}

pub(super) fn damaged(path: &Path, what: &str) -> SourceError {
    let text = format!(
        "`{}` of the source's log is damaged: {what}. The messages in it may be deleted from the queue, so it is not passed \
         over. Put the file back from a copy of exactly this log; or give up the messages that are in it and in no checkpoint: \
         move the directory away, and start once with --accept-loss",
        path.display()
    );
    SourceError::new(SourceErrorKind::State, text)
}
