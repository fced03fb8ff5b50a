//! The few file operations that durability is made of, behind a trait, so that tests can lose, tear and fail them.
//!
//! Only the words are here: what touches a disk, and what plays one, is in `headwater-job`.

mod limits;

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::path::Path;

pub use limits::{FileLimits, ReadError, read};

/// A file system, as far as durable state needs one.
///
/// # Contract
/// * What was written to a file survives a loss of power only once [`NewFile::sync`] has returned.
/// * A name (of a new, renamed or removed file or directory) survives only once [`sync_dir`](Self::sync_dir) of its
///   directory has returned.
/// * A rename is atomic: after a loss of power there is the old name or the new one.
/// * After a failed sync nothing is known: the caller writes anew under another name and never syncs the same file again
///   (Linux reports the loss once, drops the pages, and says that all is well the next time).
///
/// All calls block; see [`blocks`](Self::blocks).
pub trait FileSystem: Send + Sync + Debug {
    /// Makes one directory.
    ///
    /// # Errors
    /// `AlreadyExists`, or why it cannot be made.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a new, empty file.
    ///
    /// # Errors
    /// `AlreadyExists`, or why it cannot be made.
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// `NotFound`, or why it cannot be opened.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    /// Gives a file another name in the same directory, replacing what bore it.
    ///
    /// # Errors
    /// Why it cannot be renamed.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, or why it cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound`, `DirectoryNotEmpty`, or why it cannot be removed.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// When that is not certain.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// What is in a directory, by name. Names that are not UTF-8 are left out: none of ours is.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>>;

    /// What is known of a file or directory.
    ///
    /// # Errors
    /// `NotFound`, or why it cannot be asked.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Takes the lock at `path`, a file made for it, for as long as the answer lives. `owner` is left there for whoever
    /// comes second. The end of the process gives the lock back, however it comes.
    ///
    /// # Errors
    /// [`LockError::Held`] with the owner's note, or why there can be no lock.
    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError>;

    /// Whether calls can take long. Those that wait for a disk are then made on a thread of their own.
    fn blocks(&self) -> bool {
        true
    }
}

/// A file being written, from its beginning to its end.
pub trait NewFile: Write + Send + Debug {
    /// Makes everything written durable. Not to be called again after a failure.
    ///
    /// # Errors
    /// When that is not certain.
    fn sync(&mut self) -> io::Result<()>;
}

impl NewFile for std::fs::File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A lock that is held until dropped.
pub trait Lock: Send + Sync + Debug {}

/// Once locked, a file stays so until it is closed.
impl Lock for std::fs::File {}

/// Why a lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process, or another part of this one, holds it.
    Held {
        /// What it left there, usually its process id; may be empty.
        owner: String,
    },
    /// There is no locking here.
    Io(io::Error),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name, without the directory.
    pub name: String,
    /// Whether it is a directory (a link to one is not).
    pub is_dir: bool,
}

/// What is known of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Which one it is.
    pub identity: Identity,
}

/// What tells a directory from a copy of it. A rename keeps it, a copy does not get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The number of its device.
    pub device: u64,
    /// Its number on the device. May be given again after the directory is gone.
    pub inode: u64,
    /// When it was made, nanoseconds since 1970; `None` where the file system does not say.
    pub born: Option<u64>,
}

impl Identity {
    /// Whether both are the same directory.
    ///
    /// Inode and time of birth decide. The device number does only where the time of birth is unknown: many file
    /// systems (btrfs, NFS, anything in a container) get another one at every mount, and a restart of the machine must
    /// not look like a copy.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.inode == other.inode
            && match (self.born, other.born) {
                (Some(a), Some(b)) => a == b,
                _ => self.device == other.device,
            }
    }
}

/// Makes the missing directories of a path, each durable before the next.
///
/// # Errors
/// Why one cannot be made, or that a file stands in its place.
pub fn create_dirs(fs: &dyn FileSystem, dir: &Path) -> io::Result<()> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs.metadata(dir) {
        Ok(found) if !found.is_dir => {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "there is a file of that name"));
        }
        // An earlier process may have made it and died before the next line: its name is made durable again. Where
        // the parent may not be read, it was not ours to make.
        Ok(_) => {
            return match sync_name(fs, dir, parent) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                other => other,
            };
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if parent != Path::new(".") {
        create_dirs(fs, parent)?;
    }
    match fs.create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_name(fs, dir, parent)
}

/// Makes a directory's name durable. If that fails, the directory is taken back where nothing is in it yet: the next sync of
/// its parent would say that all is well (the loss is reported once), and the name with all that was put there could be
/// gone after a loss of power. Made anew, it is synced anew. One with something in it had a durable name before that was
/// put there.
fn sync_name(fs: &dyn FileSystem, dir: &Path, parent: &Path) -> io::Result<()> {
    fs.sync_dir(parent).inspect_err(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            // Whether or not that works, the failure is what counts.
            let _ = fs.remove_dir(dir);
        }
    })
}

/// Whether a failed file operation fails again until somebody mends what is wrong.
#[must_use]
pub fn lasts(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::NotFound
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::Unsupported
    )
}

/// What a user can do about a failed file operation.
#[must_use]
pub fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "there is no room left: free some, or move it to a larger disk, and start again; no message was deleted from \
             its queue for what could not be written"
        }
        io::ErrorKind::FileTooLarge => {
            "files may not grow so large here (`ulimit -f`, or a limit of the file system): raise it, and start again; no \
             message was deleted from its queue for what could not be written"
        }
        io::ErrorKind::PermissionDenied => "this user may not: change the permissions or choose another place",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: remount it or choose another place",
        io::ErrorKind::NotFound => "it is not there: was it removed while the job ran?",
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            "a file stands where a directory should, or the other way round: choose another place"
        }
        io::ErrorKind::Unsupported => "this file system cannot do that: use a local disk",
        _ => "check the disk, then start again",
    }
}
