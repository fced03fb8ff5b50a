//! The simulated disk as a process of the search sees it: notes what is asked of it and what it was like before each change,
//! and leaves out one sync if it is told to.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headwater_core::fs::{FileSystem, Listed, Lock, LockError, Metadata, NewFile};
use headwater_job::fs::{Fault, MemoryFs};

#[derive(Clone, Default)]
pub(crate) struct Watched {
    pub(crate) fs: MemoryFs,
    notes: Arc<Mutex<Notes>>,
}

/// What was noted since [`Watched::watch`].
#[derive(Default)]
pub(crate) struct Notes {
    /// The operations that can be made to fail, in their order.
    pub(crate) asked: Vec<Fault>,
    /// The disk before each operation that changes something, if that is wanted.
    pub(crate) before: Option<Vec<MemoryFs>>,
    /// Which sync is left out, of the files and directories that are synced from now on.
    left_out: Option<usize>,
    syncs: usize,
}

/// Two processes are told apart by what they remember, not by the disk that they use.
impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    pub(crate) fn new(fs: MemoryFs) -> Self {
        Self { fs, notes: Arc::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew to take notes.
    pub(crate) fn watch(&self, copies: bool, left_out: Option<usize>) {
        *self.notes() = Notes { before: copies.then(Vec::new), left_out, ..Notes::default() };
    }

    /// What was noted.
    pub(crate) fn noted(&self) -> Notes {
        std::mem::take(&mut *self.notes())
    }

    fn changes(&self, kind: Option<Fault>) {
        let mut notes = self.notes();
        notes.asked.extend(kind);
        if let Some(before) = &mut notes.before {
            before.push(self.fs.fork());
        }
    }

    /// Whether this sync is the one that is left out.
    fn is_left_out(&self) -> bool {
        let mut notes = self.notes();
        notes.syncs += 1;
        notes.left_out.is_some_and(|left_out| left_out + 1 == notes.syncs)
    }
}

impl FileSystem for Watched {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.changes(None);
        self.fs.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        self.changes(Some(Fault::Create));
        Ok(Box::new(WatchedFile { file: self.fs.create(path)?, disk: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.fs.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changes(Some(Fault::Rename));
        self.fs.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.changes(Some(Fault::Remove));
        self.fs.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.changes(Some(Fault::Remove));
        self.fs.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.is_left_out() {
            return Ok(());
        }
        self.changes(Some(Fault::SyncDir));
        self.fs.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.fs.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.fs.metadata(path)
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        self.changes(None);
        self.fs.lock(path, owner)
    }

    fn blocks(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn NewFile>,
    disk: Watched,
}

impl Write for WatchedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.disk.changes(None);
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl NewFile for WatchedFile {
    fn sync(&mut self) -> io::Result<()> {
        if self.disk.is_left_out() {
            return Ok(());
        }
        self.disk.changes(Some(Fault::Sync));
        self.file.sync()
    }
}
