//! A simulated disk: it keeps only what was synced, tears what was not, fails and fills up when told to.

mod disk;
mod picture;

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::{Change, Dice, Disk, Node, ROOT, empty_dir, names, power_failed};

use super::{FileSystem, Identity, Listed, Lock, LockError, Metadata, NewFile};

/// A disk in memory, for tests and simulations. Clones share it. Deterministic: the same calls leave the same bytes.
///
/// It is as unkind as POSIX allows: names and contents that were not synced survive a loss of power or do not, each for
/// itself; a failed sync loses what it should have kept, and the next sync says that all is well.
#[derive(Clone, Default)]
pub struct MemoryFs {
    inner: Arc<Mutex<Disk>>,
}

impl std::fmt::Debug for MemoryFs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryFs({} operations)", self.operations())
    }
}

/// What a loss of power does to what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing is lost: only the process died.
    Nothing,
    /// Everything that was not synced is lost.
    Unsynced,
    /// Each unsynced name survives or not, each unsynced content survives, is torn, or is filled with zeros; the seed
    /// says which.
    Seeded(u64),
    /// Each unsynced name and each unsynced content survives whole, or is lost whole: bit `n`, from the lowest, says so of the
    /// `n`-th of them ([`MemoryFs::unsynced`]).
    Chosen(u64),
}

/// A kind of operation that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Making a file.
    Create,
    /// Syncing a file: what was written since the last good sync will not survive, whatever later syncs say.
    Sync,
    /// Renaming.
    Rename,
    /// Syncing a directory: changes of names since the last good sync will not survive.
    SyncDir,
    /// Removing.
    Remove,
}

impl MemoryFs {
    /// An empty disk with a root directory.
    #[must_use]
    pub fn new() -> Self {
        let fs = Self::default();
        fs.disk().nodes.push(empty_dir());
        fs
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // A panic elsewhere cannot leave the disk half changed: every operation is one call.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many changing operations were asked for so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// The power fails just before changing operation number `operation` (counted from 0, see
    /// [`operations`](Self::operations)): from then on everything fails until [`restart`](Self::restart).
    pub fn crash_before(&self, operation: u64) {
        self.disk().crash_before = Some(operation);
    }

    /// Whether the power has failed.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.disk().crashed()
    }

    /// Switches the power off and on: loses what `loss` says, and every lock and open file.
    pub fn restart(&self, loss: Loss) {
        let mut disk = self.disk();
        disk.boots += 1;
        disk.crash_before = None;
        disk.faults.clear();
        disk.locks.clear();
        let mut dice = match loss {
            Loss::Seeded(seed) | Loss::Chosen(seed) => Dice(seed),
            Loss::Nothing | Loss::Unsynced => Dice(0),
        };
        for node in &mut disk.nodes {
            node.lose(loss, &mut dice);
        }
    }

    /// Makes the `nth` operation of a kind from now on fail (0 is the next) with an error of that kind.
    pub fn fail(&self, fault: Fault, nth: u64, kind: ErrorKind) {
        self.disk().faults.push((fault, nth, kind));
    }

    /// Limits the bytes on the disk, or lifts the limit. A write beyond it writes what fits and fails.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().capacity = bytes;
    }

    /// Bytes in all files that have a name.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.disk().used()
    }

    /// Every file with its content, as a reader sees it now.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let disk = self.disk();
        let mut out = BTreeMap::new();
        disk.walk(ROOT, &mut PathBuf::from("/"), &mut |path, bytes| {
            out.insert(path.to_path_buf(), bytes.to_vec());
        });
        out
    }

    /// Every file that would be there after a loss of power that takes everything unsynced, with what would be in it.
    #[must_use]
    pub fn durable_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let disk = self.disk();
        let mut out = BTreeMap::new();
        disk.walk_durable(ROOT, &mut PathBuf::from("/"), &mut |path, bytes| {
            out.insert(path.to_path_buf(), bytes.to_vec());
        });
        out
    }

    /// Puts a durable file there, with its directories, as if it had always been there. Replaces what it finds.
    ///
    /// # Panics
    /// When a file stands where a directory is needed.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut disk = self.disk();
        let names = names(path);
        let (name, parents) = names.split_last().expect("a file has a name");
        let mut at = ROOT;
        for parent in parents {
            let known = disk.dir(at).expect("a directory").0.get(parent).copied();
            at = known.unwrap_or_else(|| {
                let new = disk.add(empty_dir());
                disk.enter(at, parent, new);
                new
            });
        }
        let file = disk.add(Node::File { now: bytes.to_vec(), durable: bytes.to_vec(), lost: false });
        disk.enter(at, name, file);
    }

    fn change<T>(&self, fault: Option<Fault>, work: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk();
        disk.begin()?;
        if let Some(kind) = fault.and_then(|fault| disk.due(fault)) {
            return Err(kind.into());
        }
        work(&mut disk)
    }

    fn look<T>(&self, work: impl FnOnce(&Disk) -> io::Result<T>) -> io::Result<T> {
        let disk = self.disk();
        if disk.crashed() { Err(power_failed()) } else { work(&disk) }
    }
}

impl FileSystem for MemoryFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(None, |disk| {
            let (parent, name) = disk.parent(dir)?;
            let new = disk.add(empty_dir());
            disk.link(parent, name, new)
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        self.change(Some(Fault::Create), |disk| {
            let (parent, name) = disk.parent(path)?;
            let node = disk.add(Node::File { now: Vec::new(), durable: Vec::new(), lost: false });
            disk.link(parent, name, node)?;
            Ok(Box::new(MemoryFile { fs: self.clone(), node, boot: disk.boots }) as Box<dyn NewFile>)
        })
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.look(|disk| match &disk.nodes[disk.find(path)?] {
            Node::File { now, .. } => Ok(Box::new(Cursor::new(now.clone())) as Box<dyn Read + Send>),
            Node::Dir { .. } => Err(ErrorKind::IsADirectory.into()),
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Some(Fault::Rename), |disk| {
            let (parent, old) = disk.parent(from)?;
            let (other, new) = disk.parent(to)?;
            if parent != other {
                return Err(io::Error::new(ErrorKind::Unsupported, "only within one directory"));
            }
            let (now, unsynced) = disk.dir_mut(parent)?;
            let node = now.remove(&old).ok_or(ErrorKind::NotFound)?;
            now.insert(new.clone(), node);
            unsynced.push(Change::Rename(old, new, node));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(Some(Fault::Remove), |disk| {
            let (parent, name) = disk.parent(path)?;
            let (now, unsynced) = disk.dir_mut(parent)?;
            now.remove(&name).ok_or(ErrorKind::NotFound)?;
            unsynced.push(Change::Remove(name));
            Ok(())
        })
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(Some(Fault::Remove), |disk| {
            let at = disk.find(dir)?;
            if !disk.dir(at)?.0.is_empty() {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            let (parent, name) = disk.parent(dir)?;
            let (now, unsynced) = disk.dir_mut(parent)?;
            now.remove(&name);
            unsynced.push(Change::Remove(name));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(None, |disk| {
            let failure = disk.due(Fault::SyncDir);
            let at = disk.find(dir)?;
            let Node::Dir { durable, unsynced, .. } = &mut disk.nodes[at] else {
                return Err(ErrorKind::NotADirectory.into());
            };
            let changes = std::mem::take(unsynced);
            if let Some(kind) = failure {
                return Err(kind.into());
            }
            for change in &changes {
                change.apply(durable);
            }
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.look(|disk| {
            let (now, _) = disk.dir(disk.find(dir)?)?;
            let is_dir = |node: &usize| matches!(disk.nodes[*node], Node::Dir { .. });
            Ok(now.iter().map(|(name, node)| Listed { name: name.clone(), is_dir: is_dir(node) }).collect())
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.look(|disk| {
            let at = disk.find(path)?;
            let (len, is_dir) = match &disk.nodes[at] {
                Node::File { now, .. } => (now.len() as u64, false),
                Node::Dir { .. } => (0, true),
            };
            Ok(Metadata { len, is_dir, identity: Identity { device: 1, inode: at as u64, born: Some(at as u64) } })
        })
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        if let Err(error) = self.metadata(path).map(|_| ()) {
            if error.kind() != ErrorKind::NotFound {
                return Err(LockError::Io(error));
            }
            self.create(path).map_err(LockError::Io)?;
        }
        let mut disk = self.disk();
        if let Some(owner) = disk.locks.get(path) {
            return Err(LockError::Held { owner: owner.clone() });
        }
        disk.locks.insert(path.to_path_buf(), owner.to_owned());
        Ok(Box::new(MemoryLock { fs: self.clone(), path: path.to_path_buf(), boot: disk.boots }))
    }

    fn blocks(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct MemoryFile {
    fs: MemoryFs,
    node: usize,
    boot: u64,
}

impl MemoryFile {
    fn change<T>(&self, work: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        self.fs.change(None, |disk| if disk.boots == self.boot { work(disk) } else { Err(power_failed()) })
    }
}

impl Write for MemoryFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.change(|disk| {
            let free = disk.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(disk.used()));
            let fits = buf.len().min(usize::try_from(free).unwrap_or(usize::MAX));
            if fits == 0 && !buf.is_empty() {
                return Err(ErrorKind::StorageFull.into());
            }
            if let Node::File { now, .. } = &mut disk.nodes[self.node] {
                now.extend_from_slice(&buf[..fits]);
            }
            Ok(fits)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for MemoryFile {
    fn sync(&mut self) -> io::Result<()> {
        self.change(|disk| {
            let failure = disk.due(Fault::Sync);
            if let Node::File { now, durable, lost } = &mut disk.nodes[self.node] {
                if failure.is_some() {
                    *lost = true;
                } else if !*lost {
                    durable.clone_from(now);
                }
            }
            failure.map_or(Ok(()), |kind| Err(kind.into()))
        })
    }
}

#[derive(Debug)]
struct MemoryLock {
    fs: MemoryFs,
    path: PathBuf,
    boot: u64,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut disk = self.fs.disk();
        if disk.boots == self.boot {
            disk.locks.remove(&self.path);
        }
    }
}
