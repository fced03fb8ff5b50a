//! The machine's own file system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::{FileSystem, Identity, Listed, Lock, LockError, Metadata, NewFile};

/// The file system of the machine.
#[derive(Clone, Copy, Debug)]
pub struct LocalFs {
    private: bool,
}

impl LocalFs {
    /// Makes what only its owner may read: files 0600, directories 0700. For state.
    #[must_use]
    pub const fn private() -> Self {
        Self { private: true }
    }

    /// Makes what the umask allows. For output.
    #[must_use]
    pub const fn shared() -> Self {
        Self { private: false }
    }

    fn options(self) -> OpenOptions {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        if self.private {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        options
    }
}

impl FileSystem for LocalFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        if self.private {
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        }
        builder.create(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(self.options().write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // Elsewhere a directory cannot be opened, and a rename is durable by itself or not at all.
        if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                all.push(Listed { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        all.sort();
        Ok(all)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = std::fs::metadata(path)?;
        Ok(Metadata { len: found.len(), is_dir: found.is_dir(), identity: identity(&found) })
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        let mut file =
            self.options().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                // The note is a courtesy: without it the lock is held all the same.
                let _ = file.take(64).read_to_string(&mut note);
                return Err(LockError::Held { owner: note.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{owner}")).map_err(LockError::Io)?;
        Ok(Box::new(file))
    }
}

fn identity(found: &std::fs::Metadata) -> Identity {
    let born = found.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.and_then(|since| u64::try_from(since.as_nanos()).ok());
    #[cfg(unix)]
    let (device, inode) = (std::os::unix::fs::MetadataExt::dev(found), std::os::unix::fs::MetadataExt::ino(found));
    #[cfg(not(unix))]
    let (device, inode) = (0, 0);
    Identity { device, inode, born }
}
