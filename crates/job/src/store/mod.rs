//! Checkpoints on a local disk.
//!
//! # Layout
//! One directory, owned by one process at a time, private to its user (files 0600, directories 0700):
//!
//! | file | is |
//! |---|---|
//! | `lock` | what the operating system locks for the life of the process; holds its id |
//! | `manifest` | the name of the newest checkpoint and its checksum: what it names is durable, nothing else is |
//! | `checkpoint-N-HASH` | one checkpoint: the parts of each source's state and their checksums, what sinks have pending |
//! | `segment-NAME` | one part of a source's state, written once and shared by all checkpoints that list it |
//! | `ended` | how often the directory had been opened when a run ended with nothing received and not deleted |
//! | `tmp-…` | being written; left over by a crash, removed by the next start |
//!
//! # Order
//! segments (write, sync, rename) → checkpoint (write, sync, rename) → sync the directory → manifest (write, sync, rename,
//! sync the directory) → remove what the newest three checkpoints do not list. A crash at any point leaves a manifest that
//! names a whole checkpoint. After a failed sync the file is written anew under a new name.
//!
//! # A copy
//! Two jobs on one state would emit rows twice, so a copied directory is refused; [`Identity`](crate::fs::Identity) tells
//! it. Not detected: a disk rolled back or cloned as a whole, and every file put back in place from a backup.
//!
//! # Damage
//! A start uses what the manifest names or refuses. What is missing, cut off or changed is found by the checksums: each file's
//! is in the file that names it.
//!
//! # Accepting a loss
//! [`StoreOptions::accept_loss`] goes on all the same, under a new lineage. Of a damaged state it takes the newest checkpoint
//! that is whole, or none:
//! * Rows that were delivered after that checkpoint are **repeated** if their messages are still in the queue. If they are
//!   deleted, the rows are in the output and nowhere else: whoever sets back the output too **loses** them.
//! * Output that was staged after that checkpoint and not completed stays under its hidden name; its messages come again.
//!
//! Of a copy it takes what the copy holds. What that means:
//! * Messages that the original took after the copy was made and did not delete from the queue for certain come again, and
//!   their rows are **repeated**.
//! * Messages that the original deleted after the copy was made are gone from the queue: their rows are only in the output
//!   of the original, and are **lost** if that output was set back too.
//! * Output that the original had staged under the copied checkpoint is completed by whichever of the two comes first.
//!
//! If the original is gone and did not run after the copy was made (a directory moved to another disk), nothing is lost or
//! repeated.

mod files;
mod format;
mod manifest;
mod open;
mod salvage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use headwater_core::{CheckpointId, CheckpointStore, EarlierRun, JobState, StoreError, StoreErrorKind};

use crate::fs::{FileLimits, FileSystem, Lock};
use files::{Dir, Sum};
use manifest::Manifest;

/// Checkpoints kept. The newest is all that is ever restored; two more are for whoever has to find out what happened.
pub const KEPT_CHECKPOINTS: usize = 3;

/// How far beyond the newest durable checkpoint ids may have been used. Every manifest reserves that many, and a restart
/// begins after them: an id whose save failed or was cut off is not given out again, so that a sink may name what it stages
/// by it. 16, more than the checkpoints that may fail in a row before a job ends.
pub const RESERVED_IDS: u64 = 16;

/// The chain of durable checkpoints of one job: a random number, part of the names of what sinks make.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lineage(pub u128);

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a state directory is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The lineage to begin if there is none yet, or if a copy is adopted. Random, 128 bits.
    pub fresh_lineage: Lineage,
    /// Adopt a copied or damaged directory. The module's page says what may be lost or repeated. It helps neither against
    /// another owner nor with a state that a later release wrote.
    pub accept_loss: bool,
    /// What is left in the lock file for whoever comes second.
    pub owner: String,
    /// How large its files may be. Whoever lowers that refuses what was written before.
    pub limits: FileLimits,
}

impl StoreOptions {
    /// Options with a new random lineage, nothing accepted, and this process as the owner.
    #[must_use]
    pub fn new(fresh_lineage: Lineage) -> Self {
        let owner = std::process::id().to_string();
        Self { fresh_lineage, accept_loss: false, owner, limits: FileLimits::default() }
    }
}

/// A [`CheckpointStore`] in a directory.
pub struct LocalStore {
    fs: Arc<dyn FileSystem>,
    path: PathBuf,
    lineage: Lineage,
    notices: Vec<String>,
    next_id: AtomicU64,
    // Behind a mutex because a save runs on a thread of its own and outlives a dropped future.
    inner: Arc<Mutex<Inner>>,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("LocalStore");
        out.field("path", &self.path).field("lineage", &self.lineage).field("next_id", &self.next_id);
        // All that it remembers, but not while a save runs: that may wait for a disk.
        if let Ok(inner) = self.inner.try_lock() {
            out.field("manifest", &inner.manifest).field("durable", &inner.durable).field("kept", &inner.kept);
            out.field("earlier_run", &inner.earlier_run).field("settled", &inner.settled);
        }
        out.finish_non_exhaustive()
    }
}

struct Inner {
    dir: Dir,
    // What the manifest on disk says, as far as this process knows.
    manifest: Manifest,
    // The first id of this process.
    next_id: u64,
    // Segments known to be durable under their names.
    durable: BTreeMap<String, Sum>,
    // The files of the newest checkpoints, oldest first, and the segments each lists.
    kept: Vec<Kept>,
    earlier_run: EarlierRun,
    // The checkpoint of an earlier run whose pending commits have all been done.
    settled: Option<CheckpointId>,
    // Read at the start in order to check it; given away once.
    newest: Option<JobState>,
    _lock: Box<dyn Lock>,
}

#[derive(Debug)]
struct Kept {
    file: String,
    segments: Vec<String>,
}

impl LocalStore {
    /// Opens a state directory, making it if need be. Blocks: to be called before anything else runs.
    ///
    /// # Errors
    /// * [`StoreErrorKind::Owned`]: another process has it open.
    /// * [`StoreErrorKind::Refused`]: it is damaged, a copy, or of a later release; the text says what to do.
    /// * [`StoreErrorKind::Io`]: it cannot be read or written.
    pub fn open(fs: Arc<dyn FileSystem>, path: impl Into<PathBuf>, options: &StoreOptions) -> Result<Self, StoreError> {
        let path = path.into();
        let (inner, notices) = open::open(&fs, &path, options)?;
        let next_id = AtomicU64::new(inner.next_id);
        let lineage = inner.manifest.lineage;
        Ok(Self { fs, path, lineage, notices, next_id, inner: Arc::new(Mutex::new(inner)) })
    }

    /// The lineage, part of the names of what sinks make.
    #[must_use]
    pub const fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// How often this state was opened, this time included.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        lock(&self.inner).manifest.epoch
    }

    /// How the run before this one ended. (After a crash nothing says that it ended, and every start opens the directory once
    /// more, which makes what an earlier end left behind void.)
    #[must_use]
    pub fn earlier_run(&self) -> EarlierRun {
        lock(&self.inner).earlier_run
    }

    /// What the user should know of the opening, each in a sentence.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Inner) -> T + Send + 'static) -> T {
        let inner = Arc::clone(&self.inner);
        crate::fs::run(&self.fs, move |_| work(&mut lock(&inner))).await
    }
}

fn lock(inner: &Mutex<Inner>) -> std::sync::MutexGuard<'_, Inner> {
    // After a panic in a save the manifest on disk decides, as after a crash: `Inner` only grows on success.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl CheckpointStore for LocalStore {
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError> {
        self.with(|inner| match inner.newest.take() {
            Some(state) => Ok(Some(state)),
            None => match open::load(&inner.dir, &inner.manifest) {
                Ok(loaded) => Ok(loaded.map(|loaded| open::settle(loaded.state, inner.settled))),
                Err(refusal) => Err(refusal.of(&inner.dir.path)),
            },
        })
        .await
    }

    /// Each call gives another id.
    fn next_id(&self) -> CheckpointId {
        CheckpointId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn keeps_parts(&self) -> bool {
        true
    }

    async fn save(&mut self, state: &JobState) -> Result<(), StoreError> {
        self.next_id.fetch_max(state.checkpoint.0.saturating_add(1), Ordering::Relaxed);
        let state = state.clone();
        self.with(move |inner| inner.save(&state)).await
    }

    async fn note_clean_end(&mut self) -> Result<(), StoreError> {
        self.with(Inner::note_clean_end).await
    }
}

impl Inner {
    fn save(&mut self, state: &JobState) -> Result<(), StoreError> {
        self.newest = None;
        self.check_fence()?;
        self.forget_removed(state)?;
        let format::Encoded { bytes, parts, stored } = format::encode(state, &self.durable).map_err(|problem| {
            StoreError::new(
                StoreErrorKind::Refused,
                format!("checkpoint {} cannot be stored: {problem}", state.checkpoint),
            )
        })?;
        self.check_size(state, bytes.len() as u64)?;
        let named = files::Named { id: state.checkpoint, sum: Sum::of(&bytes) };
        match self.manifest.checkpoint {
            Some(newest) if newest.id == named.id && newest.sum == named.sum => return Ok(()),
            Some(newest) if newest.id >= named.id => {
                let problem = format!("checkpoint {} is not later than {}, the newest one", named.id, newest.id);
                return Err(StoreError::new(StoreErrorKind::Refused, problem));
            }
            _ => {}
        }
        let fresh = self.write_parts(&parts)?;
        let file = named.file();
        self.dir.write(&file, &bytes)?;
        self.dir.sync()?;
        // From here on the parts are durable, whatever becomes of this checkpoint.
        self.durable.extend(fresh);
        let last_id = self.manifest.last_id.max(named.id.0.saturating_add(RESERVED_IDS));
        let manifest = Manifest { checkpoint: Some(named), last_id, ..self.manifest.clone() };
        self.dir.write(manifest::FILE, &manifest.encode())?;
        self.dir.sync()?;
        self.manifest = manifest;
        self.kept.push(Kept { file, segments: parts.into_keys().chain(stored).collect() });
        self.clean();
        Ok(())
    }

    fn note_clean_end(&mut self) -> Result<(), StoreError> {
        self.check_fence()?;
        self.dir.write(files::ENDED, &self.manifest.end_note())?;
        self.dir.sync()
    }

    /// Somebody may have removed a part. It is written again if the state brings its bytes; if it only names it, no checkpoint
    /// can be whole any more, and nothing must be deleted under one that is not.
    fn forget_removed(&mut self, state: &JobState) -> Result<(), StoreError> {
        let present: BTreeSet<String> = self.dir.names()?.into_iter().collect();
        let gone = |name: &&String| !present.contains(&files::segment(name));
        let removed: BTreeSet<String> = self.durable.keys().filter(gone).cloned().collect();
        self.durable.retain(|name, _| !removed.contains(name));
        match state.sources.iter().flat_map(|source| &source.stored).find(|part| removed.contains(&part.name)) {
            Some(part) => {
                let what = format!("`{}` was removed while the job ran", files::segment(&part.name));
                Err(open::Refusal::damaged(what).of(&self.dir.path))
            }
            None => Ok(()),
        }
    }

    /// What a restart would refuse to read is not written.
    fn check_size(&self, state: &JobState, checkpoint: u64) -> Result<(), StoreError> {
        let stored = state.sources.iter().flat_map(|source| &source.stored).map(|part| part.len);
        let parts = state.sources.iter().flat_map(|source| &source.parts).map(|part| part.bytes.len() as u64);
        let parts = stored.chain(parts).fold(0, u64::saturating_add);
        let limits = &self.dir.limits;
        for (what, len, max) in [("its list", checkpoint, limits.checkpoint), ("its parts", parts, limits.parts)] {
            if len > max {
                let problem = format!(
                    "checkpoint {} cannot be stored: {what} would have {len} bytes, and no more than {max} would be read again",
                    state.checkpoint
                );
                return Err(StoreError::new(StoreErrorKind::Refused, problem));
            }
        }
        Ok(())
    }

    fn write_parts(&mut self, parts: &format::Parts) -> Result<BTreeMap<String, Sum>, StoreError> {
        let mut fresh = BTreeMap::new();
        for (name, bytes) in parts {
            match self.durable.get(name) {
                // A part is immutable and its name unique to it: comparing the length is enough to notice a source
                // that breaks this, at no cost.
                Some(sum) if sum.len == bytes.len() as u64 => continue,
                Some(_) => {
                    let problem = format!("two different parts of a source's state are both named `{name}`");
                    return Err(StoreError::new(StoreErrorKind::Refused, problem));
                }
                None => {}
            }
            self.dir.write(&files::segment(name), bytes)?;
            fresh.insert(name.clone(), Sum::of(bytes));
        }
        Ok(fresh)
    }

    /// Where locks do not work (some network disks), this notices a second owner at the latest one checkpoint on.
    fn check_fence(&self) -> Result<(), StoreError> {
        let found = open::read_manifest(&self.dir).map_err(|refusal| refusal.of(&self.dir.path))?;
        match found {
            Some(found) if found.lineage == self.manifest.lineage && found.epoch == self.manifest.epoch => Ok(()),
            Some(found) if found.lineage == self.manifest.lineage && found.epoch > self.manifest.epoch => {
                let text = format!(
                    "another process has taken over the state in `{}`: this one must not go on. Run one job per state \
                     directory, and keep the directory on a disk with working locks",
                    self.dir.path.display()
                );
                Err(StoreError::new(StoreErrorKind::Owned, text))
            }
            _ => {
                let text = format!(
                    "the state in `{}` was removed or replaced while the job ran: nothing can be added to it. Put it \
                     back, or start anew with another state directory",
                    self.dir.path.display()
                );
                Err(StoreError::new(StoreErrorKind::Refused, text))
            }
        }
    }

    /// Removes what no kept checkpoint lists. The new manifest is durable, so failing to is not an error: the next
    /// save tries again.
    fn clean(&mut self) {
        let surplus = self.kept.len().saturating_sub(KEPT_CHECKPOINTS);
        self.kept.drain(..surplus);
        let kept = &self.kept;
        let listed = |name: &str| kept.iter().any(|kept| kept.segments.iter().any(|segment| segment == name));
        self.durable.retain(|name, _| listed(name));
        self.dir.clean(|name| match files::kind(name) {
            Some(files::Kind::Segment(name)) => listed(name),
            Some(files::Kind::Checkpoint(_)) => kept.iter().any(|kept| kept.file == name),
            Some(files::Kind::Temporary) => false,
            None => true,
        });
    }
}
