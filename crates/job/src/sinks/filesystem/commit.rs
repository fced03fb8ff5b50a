//! Making staged files visible, and tidying up after an earlier process. Both work in a process that never wrote.
//!
//! # SUBTLE: a file that is not there
//! A commit that is repeated after a crash may find neither the staged file nor the finished one. Either the first try
//! renamed it and a reader has already taken it away, which is what readers do; or somebody removed the hidden file, and
//! rows are lost. So before its first rename a commit leaves a **marker**, an empty hidden file: with it, a missing file
//! was delivered; without it, it is an error. The marker stays until a checkpoint is durable that no longer lists this one:
//! after a save that failed, one checkpoint lists several epochs, which are committed one after the other (see [`Markers`]).

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use headwater_core::{CheckpointId, Committable, SinkError};
use twox_hash::xxhash3_128::Hasher;

use super::failed;
use super::names::Names;
use super::part::Staged;
use crate::codec::{Reader, Unusable, Writer};
use crate::fs::FileSystem;

const MAGIC: [u8; 4] = *b"HWFC";
const VERSION: u16 = 1;

/// What one checkpoint has staged: the content of a committable. Holds whole paths, so that a table whose `path` has
/// changed since still completes what it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) checkpoint: CheckpointId,
    pub(super) base: PathBuf,
    pub(super) marker: String,
    pub(super) files: Vec<(Staged, String)>,
}

impl Epoch {
    pub(super) fn encode(&self) -> Result<Committable, SinkError> {
        let mut out = Writer::new(MAGIC, VERSION);
        let base = self.base.to_str().ok_or_else(|| SinkError::new("the path is not UTF-8"))?;
        let fill = |out: &mut Writer| {
            out.bytes(base.as_bytes())?;
            out.bytes(self.marker.as_bytes())?;
            out.count(self.files.len())?;
            for (staged, done) in &self.files {
                out.bytes(staged.dir.as_bytes())?;
                out.bytes(staged.name.as_bytes())?;
                out.bytes(done.as_bytes())?;
                out.u64(staged.len);
                out.u128(staged.hash);
            }
            Ok(())
        };
        fill(&mut out).map_err(|problem: String| SinkError::new(format!("too much is staged: {problem}")))?;
        Ok(Committable { checkpoint: self.checkpoint, bytes: out.into_bytes().into() })
    }

    pub(super) fn decode(committable: &Committable) -> Result<Self, SinkError> {
        Self::read(committable).map_err(|unusable| {
            let why = match unusable {
                Unusable::Newer(found) => format!("is of version {found}, written by a later release: use that one"),
                Unusable::Damaged(why) => format!(
                    "is not a filesystem sink's ({why}): if the table had another connector before, run the job once with it"
                ),
            };
            SinkError::new(format!("what checkpoint {} left to commit {why}", committable.checkpoint)).refused()
        })
    }

    fn read(committable: &Committable) -> Result<Self, Unusable> {
        let mut input = Reader::new(&committable.bytes, MAGIC, VERSION)?;
        let base = input.text()?.into();
        let marker = input.text()?;
        let mut files = Vec::new();
        for _ in 0..input.u32()? {
            let (dir, name, done) = (input.text()?, input.text()?, input.text()?);
            files.push((Staged { dir, name, len: input.u64()?, hash: input.u128()? }, done));
        }
        input.end()?;
        Ok(Self { checkpoint: committable.checkpoint, base, marker, files })
    }

    /// The file that says that a try has renamed files and may not have synced their names.
    fn trying(&self) -> PathBuf {
        self.base.join(Names::trying(&self.marker))
    }

    fn dirs(&self) -> BTreeSet<PathBuf> {
        self.files.iter().map(|(staged, _)| self.base.join(&staged.dir)).collect()
    }
}

/// Makes an epoch's files visible, durably. Repeating it changes nothing.
///
/// SUBTLE: after a sync of a directory that failed, the next one says that all is well, and the renames are lost with the power
/// all the same. Whether one failed, only the process knows that made it, and it may have died at once. So a try that renames
/// leaves a file that says so until its syncs are done, and the next try that finds it makes the names **anew**, for its own
/// syncs to cover: of each finished file a copy is written, under a name of its own, and takes the final one over. At no moment
/// is a file hidden that an earlier run has shown, and deleted the messages of; nor is the staged name touched, which may be the
/// file's only durable one. The file that says so need not be durable: with the power, names that were not synced are gone too.
pub(super) fn commit(fs: &dyn FileSystem, epoch: &Epoch) -> Result<(), SinkError> {
    let marker = epoch.base.join(&epoch.marker);
    let begun = len(fs, &marker)?.is_some();
    let trying = epoch.trying();
    let tried = len(fs, &trying)?.is_some();
    let mut renames = Vec::new();
    for (staged, done) in &epoch.files {
        let dir = epoch.base.join(&staged.dir);
        let (from, to) = (dir.join(&staged.name), dir.join(done));
        match (len(fs, &from)?, len(fs, &to)?) {
            // Where a commit has begun before, a reader may have taken the finished file away; then this one is another.
            (Some(found), None) if found == staged.len && (!begun || hash(fs, &from)? == (found, staged.hash)) => {
                renames.push((from, to));
            }
            (Some(_), None) => return Err(changed(&from, epoch.checkpoint)),
            (None, Some(found)) if found == staged.len && tried => {
                let again = dir.join(Names::again(&staged.name));
                copy(fs, &to, &again).map_err(|error| failed("write", &again, error))?;
                renames.push((again, to));
            }
            (None, Some(found)) if found == staged.len => {}
            (Some(_), Some(found)) if found == staged.len && hash(fs, &to)? == (staged.len, staged.hash) => {
                fs.remove(&from).map_err(|error| failed("remove", &from, error))?;
            }
            (_, Some(_)) => return Err(occupied(&to, epoch.checkpoint)),
            (None, None) if begun => {}
            (None, None) => return Err(missing(&from, &marker, epoch.checkpoint)),
        }
    }
    if !renames.is_empty() && !begun {
        mark(fs, &epoch.base, &marker)?;
    }
    if !renames.is_empty() && !tried {
        fs.create(&trying).map_err(|error| failed("write", &trying, error))?;
    }
    for (from, to) in &renames {
        fs.rename(from, to).map_err(|error| failed("complete", to, error))?;
    }
    // Also when nothing was renamed: an earlier process may have died between its renames and this.
    for dir in epoch.dirs() {
        match fs.sync_dir(&dir) {
            Ok(()) => {}
            // A reader may take away a directory with its files.
            Err(error) if error.kind() == io::ErrorKind::NotFound && renames.is_empty() => {}
            Err(error) => return Err(failed("sync", &dir, error)),
        }
    }
    if tried || !renames.is_empty() {
        fs.remove(&trying).map_err(|error| failed("remove", &trying, error))?;
    }
    Ok(())
}

/// Copies a file. One that an interrupted try has left is begun again.
fn copy(fs: &dyn FileSystem, from: &Path, to: &Path) -> io::Result<()> {
    match fs.remove(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (mut input, mut output) = (fs.open(from)?, fs.create(to)?);
    io::copy(&mut input, &mut output)?;
    output.sync()
}

fn mark(fs: &dyn FileSystem, base: &Path, marker: &Path) -> Result<(), SinkError> {
    let make = || {
        fs.create(marker)?.sync()?;
        fs.sync_dir(base)
    };
    make().map_err(|error| failed("write", marker, error))
}

/// The markers that this process has left, until no durable checkpoint can list their epochs.
///
/// A checkpoint lists what was not committed when it was staged, and an epoch is committed only once a checkpoint that lists
/// it is durable. So the commit of an epoch says that whatever was committed before that epoch was staged is listed no more.
/// As many as there are commits between two checkpoints: one, and one more for each save that failed.
#[derive(Debug, Default)]
pub(super) struct Markers {
    /// Of commits since the newest checkpoint was staged.
    fresh: Vec<PathBuf>,
    /// Of commits before, by the checkpoint that was staged next.
    older: Vec<(CheckpointId, PathBuf)>,
}

impl Markers {
    /// Checkpoint `id` is being staged.
    pub(super) fn staged(&mut self, id: CheckpointId) {
        self.older.extend(self.fresh.drain(..).map(|marker| (id, marker)));
    }

    /// Takes the markers that are of no use once an epoch of checkpoint `id` is being committed.
    pub(super) fn useless(&mut self, id: CheckpointId) -> Vec<PathBuf> {
        self.older.extract_if(.., |(staged, _)| *staged <= id).map(|(_, marker)| marker).collect()
    }

    /// An epoch is committed.
    pub(super) fn committed(&mut self, epoch: &Epoch) {
        let own = epoch.base.join(&epoch.marker);
        if !self.fresh.contains(&own) {
            self.fresh.push(own);
        }
    }
}

/// Removes what an earlier process of this lineage and sink staged and no checkpoint lists. Other lineages' files stay:
/// their job may be alive.
pub(super) fn recover(fs: &dyn FileSystem, base: &Path, names: &Names, pending: &[Epoch]) -> Result<(), SinkError> {
    let mut listed: BTreeSet<PathBuf> = BTreeSet::new();
    for epoch in pending {
        listed.extend([epoch.base.join(&epoch.marker), epoch.trying()]);
        for (staged, _) in &epoch.files {
            let dir = epoch.base.join(&staged.dir);
            listed.extend([dir.join(&staged.name), dir.join(Names::again(&staged.name))]);
        }
    }
    in_every_dir(fs, base, |dir, files| {
        let left = |name: &&String| names.is_staged(name) || names.is_marker(name);
        let left: Vec<_> = files.iter().filter(left).map(|name| dir.join(name)).collect();
        let mut removed = false;
        for path in left.iter().filter(|path| !listed.contains(*path)) {
            fs.remove(path).map_err(|error| failed("remove", path, error))?;
            removed = true;
        }
        if removed { fs.sync_dir(dir).map_err(|error| failed("sync", dir, error)) } else { Ok(()) }
    })
}

/// The newest checkpoint of which a finished file of this lineage and sink is there. Readers may have taken some away.
pub(super) fn newest_shown(fs: &dyn FileSystem, base: &Path, names: &Names) -> Result<Option<CheckpointId>, SinkError> {
    let mut newest = None;
    in_every_dir(fs, base, |_, files| {
        newest = newest.max(files.iter().filter_map(|name| names.shown(name)).max());
        Ok(())
    })?;
    Ok(newest)
}

/// Calls `look` with the files of the sink's directory and of every partition.
fn in_every_dir(
    fs: &dyn FileSystem,
    base: &Path,
    mut look: impl FnMut(&Path, &[String]) -> Result<(), SinkError>,
) -> Result<(), SinkError> {
    let mut dirs = vec![base.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        let entries = fs.list(&dir).map_err(|error| failed("read", &dir, error))?;
        let (below, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.is_dir);
        // Only partitions are ours; what else lies below may be anybody's, and large.
        dirs.extend(below.iter().filter(|entry| entry.name.contains('=')).map(|entry| dir.join(&entry.name)));
        look(&dir, &files.into_iter().map(|entry| entry.name).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn len(fs: &dyn FileSystem, path: &Path) -> Result<Option<u64>, SinkError> {
    match fs.metadata(path) {
        Ok(found) => Ok(Some(found.len)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("examine", path, error)),
    }
}

fn hash(fs: &dyn FileSystem, path: &Path) -> Result<(u64, u128), SinkError> {
    let read = || {
        let (mut hasher, mut len) = (Hasher::new(), 0);
        let mut file = fs.open(path)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok((len, hasher.finish_128())),
                n => {
                    hasher.write(&buffer[..n]);
                    len += n as u64;
                }
            }
        }
    };
    read().map_err(|error| failed("read", path, error))
}

fn occupied(path: &Path, checkpoint: CheckpointId) -> SinkError {
    SinkError::new(format!(
        "`{}` exists and is not what checkpoint {checkpoint} wrote: it is not replaced. Move it away and start again",
        path.display()
    ))
}

fn changed(path: &Path, checkpoint: CheckpointId) -> SinkError {
    SinkError::new(format!(
        "`{}` is not as long as when checkpoint {checkpoint} staged it: the disk or somebody has changed it. Put it back \
         as it was and start again",
        path.display()
    ))
}

fn missing(path: &Path, marker: &Path, checkpoint: CheckpointId) -> SinkError {
    SinkError::new(format!(
        "`{}` is gone: checkpoint {checkpoint} staged it, and it was removed before it was committed, so its rows are \
         missing from the output. Put it back and start again; to go on without these rows, make an empty file `{}`",
        path.display(),
        marker.display()
    ))
}
