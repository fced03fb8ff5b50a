//! The files of a state directory: their names, and the one way in which they are written.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use headwater_core::{CheckpointId, StoreError, StoreErrorKind};
use twox_hash::XxHash3_128;

use crate::fs::{FileLimits, FileSystem, ReadError, lasts, way_out};

pub(super) const LOCK: &str = "lock";
pub(super) const ENDED: &str = "ended";
const SEGMENT: &str = "segment-";
const CHECKPOINT: &str = "checkpoint-";
const TEMPORARY: &str = "tmp-";

/// Length and hash (XXH3, 128 bits, unseeded) of some bytes: enough to notice every accident, not an attacker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sum {
    pub(super) len: u64,
    pub(super) hash: u128,
}

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u64, hash: XxHash3_128::oneshot(bytes) }
    }
}

/// A checkpoint as the manifest names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Named {
    pub(super) id: CheckpointId,
    pub(super) sum: Sum,
}

impl Named {
    /// The hash is part of the name: a checkpoint that is saved again under its id never replaces the file that a
    /// manifest may already name.
    pub(super) fn file(&self) -> String {
        format!("{CHECKPOINT}{:016}-{:032x}", self.id.0, self.sum.hash)
    }
}

pub(super) fn segment(name: &str) -> String {
    format!("{SEGMENT}{name}")
}

/// What a name stands for; `None` for what is none of ours and is left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind<'a> {
    Segment(&'a str),
    Checkpoint(CheckpointId),
    Temporary,
}

pub(super) fn kind(name: &str) -> Option<Kind<'_>> {
    if let Some(rest) = name.strip_prefix(SEGMENT) {
        Some(Kind::Segment(rest))
    } else if let Some(rest) = name.strip_prefix(CHECKPOINT) {
        let id = rest.split('-').next()?.parse().ok()?;
        Some(Kind::Checkpoint(CheckpointId(id)))
    } else if name.starts_with(TEMPORARY) {
        Some(Kind::Temporary)
    } else {
        None
    }
}

/// What stands under a name.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Whole(Vec<u8>),
    /// More than may be read; how much, and how much may.
    TooLarge(String),
}

/// The directory and the way to write in it.
pub(super) struct Dir {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) path: PathBuf,
    pub(super) limits: FileLimits,
    // Temporary names are not used twice by one process.
    written: u64,
}

impl Dir {
    pub(super) const fn new(fs: Arc<dyn FileSystem>, path: PathBuf, limits: FileLimits) -> Self {
        Self { fs, path, limits, written: 0 }
    }

    /// Writes a file, syncs it, and gives it its name. The name is durable after [`sync`](Self::sync).
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let target = self.path.join(name);
        let temporary = loop {
            let temporary = self.path.join(format!("{TEMPORARY}{}-{name}", self.written));
            self.written += 1;
            match self.write_synced(&temporary, bytes) {
                Ok(()) => break temporary,
                // Left over by an earlier process.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    // Never synced or used again; whether it goes now or at the next start does not matter.
                    let _ = self.fs.remove(&temporary);
                    return Err(failed("write", &target, error));
                }
            }
        };
        self.fs.rename(&temporary, &target).map_err(|error| failed("write", &target, error))
    }

    fn write_synced(&self, path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.fs.create(path)?;
        file.write_all(bytes)?;
        file.sync()
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.fs.sync_dir(&self.path).map_err(|error| failed("sync", &self.path, error))
    }

    /// A file of at most `max` bytes.
    pub(super) fn read(&self, name: &str, max: u64) -> Result<Found, StoreError> {
        let path = self.path.join(name);
        match crate::fs::read(&*self.fs, &path, max) {
            Ok(bytes) => Ok(Found::Whole(bytes)),
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(ReadError::Io(error)) => Err(failed("read", &path, error)),
            Err(too_large) => Ok(Found::TooLarge(too_large.to_string())),
        }
    }

    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let all = self.fs.list(&self.path).map_err(|error| failed("read", &self.path, error))?;
        Ok(all.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect())
    }

    /// Removes the files that are not to be kept, as far as that works.
    pub(super) fn clean(&self, keep: impl Fn(&str) -> bool) {
        for name in self.names().unwrap_or_default() {
            if !keep(&name)
                && let Err(error) = self.fs.remove(&self.path.join(&name))
            {
                tracing::warn!(%error, file = name, "an unneeded state file could not be removed; the next checkpoint tries again");
            }
        }
    }
}

pub(super) fn failed(verb: &str, path: &std::path::Path, error: io::Error) -> StoreError {
    let text = format!("cannot {verb} `{}`: {}", path.display(), way_out(&error));
    let kind = if lasts(&error) { StoreErrorKind::Unusable } else { StoreErrorKind::Io };
    StoreError::new(kind, text).with_source(error)
}
