//! Opening a state directory: take the lock, check everything the manifest names, or refuse and say what to do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use headwater_core::{CheckpointId, EarlierRun, JobState, SourceState, StatePart, StoreError, StoreErrorKind};

use super::files::{self, Dir, Kind, Sum, failed};
use super::format::{self, Listing};
use super::manifest::{self, Manifest, STATE_VERSION};
use super::{Inner, KEPT_CHECKPOINTS, Kept, Lineage, RESERVED_IDS, StoreOptions};
use crate::codec::Unusable;
use crate::fs::{FileSystem, LockError, create_dirs};

pub(super) fn open(
    fs: &Arc<dyn FileSystem>,
    path: &Path,
    options: &StoreOptions,
) -> Result<(Inner, Vec<String>), StoreError> {
    create_dirs(&**fs, path).map_err(|error| failed("make the state directory", path, error))?;
    let lock = take_lock(&**fs, path, &options.owner)?;
    let mut dir = Dir::new(Arc::clone(fs), path.to_path_buf());
    let identity = fs.metadata(path).map_err(|error| failed("examine", path, error))?.identity;
    let names = dir.names()?;
    let mut notices = Vec::new();
    let previous = match read_manifest(&dir)? {
        Some(found) => found,
        None => {
            refuse_orphans(path, &names)?;
            Manifest { lineage: options.fresh_lineage, epoch: 0, checkpoint: None, last_id: 0, identity }
        }
    };
    let mut lineage = previous.lineage;
    if !previous.identity.is(&identity) {
        if !options.accept_loss {
            return Err(refused(path, COPIED));
        }
        lineage = options.fresh_lineage;
        notices.push(format!("the copied state in `{}` was adopted as lineage {lineage}, as asked", path.display()));
    }
    let earlier_run = earlier_run(&dir, &previous, lineage)?;
    let loaded = load(&dir, &previous)?;
    // Also of checkpoints that were written and never named: their ids may be part of other files' names.
    let used = names.iter().filter_map(|name| match files::kind(name) {
        Some(Kind::Checkpoint(CheckpointId(id))) => Some(id),
        _ => None,
    });
    let used = used.chain([previous.last_id]).max().unwrap_or(0);
    let last_id = used.saturating_add(RESERVED_IDS);
    let manifest = Manifest { lineage, epoch: previous.epoch + 1, last_id, identity, ..previous };
    dir.write(manifest::FILE, &manifest.encode())?;
    dir.sync()?;
    let kept = kept(&dir, &names, &manifest);
    let (newest, durable) = match loaded {
        Some(loaded) => (Some(loaded.state), loaded.parts),
        None => (None, BTreeMap::new()),
    };
    let mut inner =
        Inner { dir, manifest, next_id: used.saturating_add(1), durable, kept, earlier_run, newest, _lock: lock };
    inner.clean();
    Ok((inner, notices))
}

/// The run before was clean if there was none, or if its note says so. Whoever adopts a copy knows nothing of the original.
fn earlier_run(dir: &Dir, previous: &Manifest, lineage: Lineage) -> Result<EarlierRun, StoreError> {
    if previous.epoch == 0 {
        return Ok(EarlierRun::Clean);
    }
    let noted = dir.read(files::ENDED)?.is_some_and(|note| note == previous.end_note());
    Ok(if noted && lineage == previous.lineage { EarlierRun::Clean } else { EarlierRun::Unclean })
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
fn refuse_orphans(path: &Path, names: &[String]) -> Result<(), StoreError> {
    let orphan = names.iter().find(|name| matches!(files::kind(name), Some(Kind::Checkpoint(_) | Kind::Segment(_))));
    match orphan {
        Some(name) => {
            let text = format!(
                "it holds `{name}` but no manifest, which is never left so by a crash: the manifest was removed. Put it \
                 back, or start anew with another state directory: rows of messages that are still in the queue may then \
                 be repeated"
            );
            Err(refused(path, &text))
        }
        None => Ok(()),
    }
}

pub(super) fn read_manifest(dir: &Dir) -> Result<Option<Manifest>, StoreError> {
    let Some(bytes) = dir.read(manifest::FILE)? else { return Ok(None) };
    match Manifest::decode(&bytes) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(manifest::Unusable::Newer(found)) => Err(newer(&dir.path, u64::from(found), u64::from(STATE_VERSION))),
        Err(manifest::Unusable::Damaged(why)) => Err(damaged(&dir.path, manifest::FILE, why)),
    }
}

/// A checkpoint read and checked.
pub(super) struct Loaded {
    pub(super) state: JobState,
    pub(super) parts: BTreeMap<String, Sum>,
}

/// Reads what the manifest names, and nothing else.
pub(super) fn load(dir: &Dir, manifest: &Manifest) -> Result<Option<Loaded>, StoreError> {
    let Some(named) = manifest.checkpoint else { return Ok(None) };
    let file = named.file();
    let bytes = checked(dir, &file, named.sum)?;
    let listing = decode(dir, &file, &bytes)?;
    if listing.checkpoint != named.id {
        return Err(damaged(&dir.path, &file, "it is of another checkpoint"));
    }
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
    Ok(Some(Loaded { state, parts }))
}

fn decode(dir: &Dir, file: &str, bytes: &[u8]) -> Result<Listing, StoreError> {
    format::decode(bytes).map_err(|unusable| match unusable {
        Unusable::Newer(found) => newer(&dir.path, u64::from(found), u64::from(format::VERSION)),
        Unusable::Damaged(why) => damaged(&dir.path, file, why),
    })
}

fn checked(dir: &Dir, file: &str, sum: Sum) -> Result<Vec<u8>, StoreError> {
    let bytes = dir.read(file)?.ok_or_else(|| damaged(&dir.path, file, "it is missing"))?;
    if Sum::of(&bytes) == sum { Ok(bytes) } else { Err(damaged(&dir.path, file, "its checksum is wrong")) }
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
            let listing = format::decode(&dir.read(file).ok()??).ok()?;
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

fn damaged(path: &Path, file: &str, why: &str) -> StoreError {
    let text = format!(
        "`{file}` is damaged: {why}. An older checkpoint is never used in its place, since rows that are already delivered \
         would be delivered again. Put the file back from a copy of exactly this state, or start anew with another \
         state directory: rows of messages that are still in the queue may then be repeated"
    );
    refused(path, &text)
}

fn newer(path: &Path, found: u64, known: u64) -> StoreError {
    let text = format!(
        "it was written in version {found} by a later release, and this one reads up to version {known}: use the release \
         that wrote it, or a later one"
    );
    refused(path, &text)
}
