//! Opening a state directory: take the lock, check everything the manifest names, or refuse and say what to do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use headwater_core::{CheckpointId, EarlierRun, JobState, SourceState, StatePart, StoreError, StoreErrorKind};

use super::files::{self, Dir, Found, Kind, Named, Sum, failed};
use super::format::{self, Listing};
use super::manifest::{self, Manifest, STATE_VERSION};
use super::{Inner, KEPT_CHECKPOINTS, Kept, RESERVED_IDS, StoreOptions, salvage};
use crate::codec::Unusable;
use crate::fs::{FileSystem, Identity, LockError, create_dirs};

pub(super) fn open(
    fs: &Arc<dyn FileSystem>,
    path: &Path,
    options: &StoreOptions,
) -> Result<(Inner, Vec<String>), StoreError> {
    create_dirs(&**fs, path).map_err(|error| failed("make the state directory", path, error))?;
    let lock = take_lock(&**fs, path, &options.owner)?;
    let mut dir = Dir::new(Arc::clone(fs), path.to_path_buf(), options.limits);
    let identity = fs.metadata(path).map_err(|error| failed("examine", path, error))?.identity;
    let names = dir.names()?;
    let Origin { previous, loaded, notices } = origin(&dir, &names, identity, options)?;
    let earlier_run = earlier_run(&dir, &previous, notices.is_empty())?;
    // Also of checkpoints that were written and never named: their ids may be part of other files' names.
    let used = names.iter().filter_map(|name| match files::kind(name) {
        Some(Kind::Checkpoint(CheckpointId(id))) => Some(id),
        _ => None,
    });
    let used = used.chain([previous.last_id]).max().unwrap_or(0);
    let last_id = used.saturating_add(RESERVED_IDS);
    let manifest = Manifest { epoch: previous.epoch.saturating_add(1), last_id, identity, ..previous };
    dir.write(manifest::FILE, &manifest.encode())?;
    dir.sync()?;
    let kept = kept(&dir, &names, &manifest);
    // A clean end says that every sink had committed: nothing of the list is left to do, or can be missed.
    let settled = manifest.checkpoint.map(|named| named.id).filter(|_| earlier_run == EarlierRun::Clean);
    let (newest, durable) = match loaded {
        Some(loaded) => (Some(settle(loaded.state, settled)), loaded.parts),
        None => (None, BTreeMap::new()),
    };
    let next_id = used.saturating_add(1);
    let mut inner = Inner { dir, manifest, next_id, durable, kept, earlier_run, settled, newest, _lock: lock };
    // What is damaged stays until the next checkpoint is durable: a source may still refuse what is left of the state.
    if notices.is_empty() {
        inner.clean();
    }
    Ok((inner, notices))
}

/// Takes off a state's list what is known to be committed.
pub(super) fn settle(mut state: JobState, settled: Option<CheckpointId>) -> JobState {
    if settled == Some(state.checkpoint) {
        state.pending.clear();
    }
    state
}

/// What a start goes on from.
struct Origin {
    /// The manifest as it was, or as it is to be where the user has accepted that something is lost.
    previous: Manifest,
    loaded: Option<Loaded>,
    /// What was accepted.
    notices: Vec<String>,
}

fn origin(dir: &Dir, names: &[String], identity: Identity, options: &StoreOptions) -> Result<Origin, StoreError> {
    let fresh = Manifest { lineage: options.fresh_lineage, epoch: 0, checkpoint: None, last_id: 0, identity };
    let (found, damage) = match whole(dir, names) {
        Ok(Some((previous, _))) if !previous.identity.is(&identity) && !options.accept_loss => {
            return Err(refused(&dir.path, COPIED));
        }
        Ok(found) => (found, None),
        Err(Refusal::Final(error)) => return Err(error),
        Err(Refusal::Damaged { manifest, what }) => {
            let left = salvage::newest_whole(dir, names)?;
            if !options.accept_loss {
                return Err(refused(&dir.path, &salvage::offer(&what, left.as_ref())));
            }
            let (named, loaded) = left.unzip();
            let manifest = manifest.map_or_else(|| fresh.clone(), |manifest| *manifest);
            (Some((Manifest { checkpoint: named, ..manifest }, loaded)), Some(what))
        }
    };
    let Some((previous, loaded)) = found else {
        return Ok(Origin { previous: fresh, loaded: None, notices: Vec::new() });
    };
    let notice = match &damage {
        Some(what) => salvage::accepted(what, loaded.as_ref()),
        None if previous.identity.is(&identity) => return Ok(Origin { previous, loaded, notices: Vec::new() }),
        None => "the state is a copy, and was adopted as asked".into(),
    };
    let lineage = options.fresh_lineage;
    let notices = vec![format!("{notice}; `{}` goes on as lineage {lineage}", dir.path.display())];
    Ok(Origin { previous: Manifest { lineage, ..previous }, loaded, notices })
}

/// The state that the manifest names, with everything that belongs to it; `None` where there was none yet.
fn whole(dir: &Dir, names: &[String]) -> Result<Option<(Manifest, Option<Loaded>)>, Refusal> {
    let Some(manifest) = read_manifest(dir)? else {
        refuse_orphans(names)?;
        return Ok(None);
    };
    match load(dir, &manifest) {
        Ok(loaded) => Ok(Some((manifest, loaded))),
        Err(Refusal::Damaged { what, .. }) => Err(Refusal::Damaged { manifest: Some(Box::new(manifest)), what }),
        Err(other) => Err(other),
    }
}

/// Why a state is not used as it is.
pub(super) enum Refusal {
    /// Something is missing or changed. Whoever accepts that goes on from what is left.
    Damaged {
        /// Where it can be read.
        manifest: Option<Box<Manifest>>,
        what: String,
    },
    /// Nothing that accepting could help.
    Final(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl Refusal {
    pub(super) const fn damaged(what: String) -> Self {
        Self::Damaged { manifest: None, what }
    }

    /// As an error of a state that is in use.
    pub(super) fn of(self, path: &Path) -> StoreError {
        match self {
            Self::Damaged { what, .. } => refused(path, &salvage::later(&what)),
            Self::Final(error) => error,
        }
    }
}

/// The run before was clean if there was none, or if its note says so. Whoever accepted a loss knows nothing of it.
fn earlier_run(dir: &Dir, previous: &Manifest, as_it_was: bool) -> Result<EarlierRun, StoreError> {
    if previous.epoch == 0 && as_it_was {
        return Ok(EarlierRun::Clean);
    }
    let found = dir.read(files::ENDED, dir.limits.note)?;
    let noted = matches!(found, Found::Whole(note) if note == previous.end_note());
    Ok(if noted && as_it_was { EarlierRun::Clean } else { EarlierRun::Unclean })
}

const COPIED: &str = "it is a copy: it was made somewhere else. If the original still exists, use that one. If this \
                      directory was moved here and the original did not run since, nothing is lost: start once with \
                      --accept-loss. If the original did run since, --accept-loss repeats the rows it took and had not \
                      deleted from the queue, and misses the rows it took and deleted";

fn take_lock(fs: &dyn FileSystem, path: &Path, owner: &str) -> Result<Box<dyn crate::fs::Lock>, StoreError> {
    let file = path.join(files::LOCK);
    fs.lock(&file, owner).map_err(|error| match error {
        LockError::Held { owner } => {
            let who = if owner.is_empty() { "another process".into() } else { format!("process {owner}") };
            let text = format!(
                "{who} is using the state in `{}`: stop it first, or give this job a state directory of its own",
                path.display()
            );
            StoreError::new(StoreErrorKind::Owned, text)
        }
        LockError::Io(error) => failed("lock", &file, error),
    })
}

/// State files that no manifest names: which of them was durable cannot be known.
fn refuse_orphans(names: &[String]) -> Result<(), Refusal> {
    let orphan = names.iter().find(|name| matches!(files::kind(name), Some(Kind::Checkpoint(_) | Kind::Segment(_))));
    match orphan {
        Some(name) => {
            let what = format!(
                "it holds `{name}` but no manifest, which is never left so by a crash: the manifest was removed"
            );
            Err(Refusal::damaged(what))
        }
        None => Ok(()),
    }
}

pub(super) fn read_manifest(dir: &Dir) -> Result<Option<Manifest>, Refusal> {
    let bytes = match dir.read(manifest::FILE, dir.limits.note)? {
        Found::Nothing => return Ok(None),
        Found::Whole(bytes) => bytes,
        Found::TooLarge(why) => return Err(damaged(manifest::FILE, &why)),
    };
    match Manifest::decode(&bytes) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(manifest::Unusable::Newer(found)) => {
            Err(newer(&dir.path, manifest::FILE, u64::from(found), u64::from(STATE_VERSION)).into())
        }
        Err(manifest::Unusable::Damaged(why)) => Err(damaged(manifest::FILE, why)),
    }
}

/// A checkpoint read and checked.
pub(super) struct Loaded {
    pub(super) state: JobState,
    pub(super) parts: BTreeMap<String, Sum>,
}

/// Reads what the manifest names, and nothing else.
pub(super) fn load(dir: &Dir, manifest: &Manifest) -> Result<Option<Loaded>, Refusal> {
    manifest.checkpoint.map(|named| load_named(dir, named)).transpose()
}

/// Reads one checkpoint with all its parts.
pub(super) fn load_named(dir: &Dir, named: Named) -> Result<Loaded, Refusal> {
    let file = named.file();
    within(&file, "it has", named.sum.len, dir.limits.checkpoint)?;
    let bytes = checked(dir, &file, named.sum)?;
    let listing = decode(dir, &file, &bytes)?;
    if listing.checkpoint != named.id {
        return Err(damaged(&file, "it is of another checkpoint"));
    }
    let listed = listing.sources.iter().flat_map(|(_, parts)| parts);
    let all = listed.fold(0_u64, |all, (_, sum)| all.saturating_add(sum.len));
    within(&file, "its parts have", all, dir.limits.parts)?;
    let mut parts = BTreeMap::new();
    let mut sources = Vec::with_capacity(listing.sources.len());
    for (identity, listed) in listing.sources {
        let mut state = Vec::with_capacity(listed.len());
        for (name, sum) in listed {
            let bytes = checked(dir, &files::segment(&name), sum)?;
            parts.insert(name.clone(), sum);
            state.push(StatePart { name, bytes: bytes.into() });
        }
        sources.push(SourceState::new(identity, state));
    }
    let state = JobState { checkpoint: listing.checkpoint, sources, pending: listing.pending };
    Ok(Loaded { state, parts })
}

fn decode(dir: &Dir, file: &str, bytes: &[u8]) -> Result<Listing, Refusal> {
    format::decode(bytes).map_err(|unusable| match unusable {
        Unusable::Newer(found) => newer(&dir.path, file, u64::from(found), u64::from(format::VERSION)).into(),
        Unusable::Damaged(why) => damaged(file, why),
    })
}

/// Reads no more than there should be.
fn checked(dir: &Dir, file: &str, sum: Sum) -> Result<Vec<u8>, Refusal> {
    match dir.read(file, sum.len)? {
        Found::Whole(bytes) if Sum::of(&bytes) == sum => Ok(bytes),
        Found::Whole(_) => Err(damaged(file, "its checksum is wrong")),
        Found::Nothing => Err(damaged(file, "it is missing")),
        Found::TooLarge(why) => Err(damaged(file, &format!("it is longer than it was written: {why}"))),
    }
}

fn within(file: &str, what: &str, len: u64, max: u64) -> Result<(), Refusal> {
    if len <= max {
        Ok(())
    } else {
        Err(damaged(file, &format!("{what} {len} bytes, and no more than {max} are read")))
    }
}

/// The checkpoints to keep, oldest first. Only the newest is ever restored, so an older one that cannot be read is let go.
fn kept(dir: &Dir, names: &[String], manifest: &Manifest) -> Vec<Kept> {
    let Some(newest) = manifest.checkpoint else { return Vec::new() };
    let older = |name: &&String| match files::kind(name) {
        Some(Kind::Checkpoint(id)) => id < newest.id || **name == newest.file(),
        _ => false,
    };
    // Names sort by id: it is written with leading zeros.
    let mut kept: Vec<Kept> = names
        .iter()
        .filter(older)
        .filter_map(|file| {
            let Found::Whole(bytes) = dir.read(file, dir.limits.checkpoint).ok()? else { return None };
            let listing = format::decode(&bytes).ok()?;
            let segments = listing.sources.into_iter().flat_map(|(_, parts)| parts).map(|(name, _)| name).collect();
            Some(Kept { file: file.clone(), segments })
        })
        .collect();
    kept.drain(..kept.len().saturating_sub(KEPT_CHECKPOINTS));
    kept
}

fn refused(path: &Path, why: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, format!("the state in `{}` is refused: {why}", path.display()))
}

fn damaged(file: &str, why: &str) -> Refusal {
    Refusal::damaged(format!("`{file}` is damaged: {why}"))
}

fn newer(path: &Path, file: &str, found: u64, known: u64) -> StoreError {
    let text = format!(
        "`{file}` was written in version {found} by a later release, and this one reads up to version {known}: use the \
         release that wrote it, or a later one (--accept-loss does not help)"
    );
    refused(path, &text)
}
