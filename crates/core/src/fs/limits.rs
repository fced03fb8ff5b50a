//! How large durable state may be, and a reader that reads no more than that.

use std::io::{self, Read};
use std::path::Path;

use super::FileSystem;

/// The most bytes that the files of a durable state may have. What is larger is refused before a byte of it is read or room is
/// made for it, and is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileLimits {
    /// A manifest, a note of an end or of a commit. 64 KiB: each is under 600 bytes, and what a later release adds is to be
    /// recognised as such.
    pub note: u64,
    /// The file of one checkpoint. 256 MiB: it lists the parts of each source and what sinks have staged, some 300 bytes a
    /// staged file, so that is a million of them.
    pub checkpoint: u64,
    /// The parts of one checkpoint together. 64 GiB: a billion ids, the most that a source can be told to remember, in 36 bytes
    /// each come to half of that.
    pub parts: u64,
    /// A segment of a source's own log. 1 GiB: a new one is begun at a quarter of that at the latest (at 16 MiB unless told
    /// otherwise), and the last write to one is no larger.
    pub log_segment: u64,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self { note: 64 << 10, checkpoint: 256 << 20, parts: 64 << 30, log_segment: 1 << 30 }
    }
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is larger than the reader takes.
    #[error("it has {len} bytes, and no more than {max} are read")]
    TooLarge {
        /// Its length in bytes, as far as it was looked at.
        len: u64,
        /// The limit in bytes.
        max: u64,
    },
}

/// Reads a whole file of at most `max` bytes. A larger one is not opened; of one that grows meanwhile no more is read either.
///
/// # Errors
/// Why it cannot be read, or that it is larger.
pub fn read(fs: &dyn FileSystem, path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    let len = fs.metadata(path)?.len;
    if len > max {
        return Err(ReadError::TooLarge { len, max });
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(len).unwrap_or(usize::MAX)).map_err(io::Error::from)?;
    fs.open(path)?.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        len if len > max => Err(ReadError::TooLarge { len, max }),
        _ => Ok(bytes),
    }
}
