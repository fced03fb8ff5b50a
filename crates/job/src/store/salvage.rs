//! What is left of a damaged state, for a user who accepts what that costs.

use headwater_core::{CheckpointId, StoreError};

use super::files::{self, Dir, Found, Kind, Named, Sum};
use super::open::{Loaded, Refusal, load_named};

/// The newest checkpoint that is there with everything that belongs to it. Checkpoint files carry their checksum in their
/// name, so this needs no manifest.
///
/// # Errors
/// Files that cannot be read now, or that a later release wrote: both may be worth more than what is older.
pub(super) fn newest_whole(dir: &Dir, names: &[String]) -> Result<Option<(Named, Loaded)>, StoreError> {
    let mut files: Vec<(CheckpointId, &String)> = names
        .iter()
        .filter_map(|name| match files::kind(name) {
            Some(Kind::Checkpoint(id)) => Some((id, name)),
            _ => None,
        })
        .collect();
    files.sort_unstable();
    for (id, name) in files.into_iter().rev() {
        let Found::Whole(bytes) = dir.read(name, dir.limits.checkpoint)? else { continue };
        let named = Named { id, sum: Sum::of(&bytes) };
        if named.file() != *name {
            continue;
        }
        match load_named(dir, named) {
            Ok(loaded) => return Ok(Some((named, loaded))),
            Err(Refusal::Damaged { .. }) => {}
            Err(Refusal::Final(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// What is wrong, and the ways out.
pub(super) fn offer(what: &str, left: Option<&(Named, Loaded)>) -> String {
    let (from, later) = match left {
        Some((named, _)) => (
            format!("checkpoint {}, the newest one that is whole here", named.id),
            format!("rows that were delivered after checkpoint {}", named.id),
        ),
        None => ("nothing, for no checkpoint is whole here".into(), "rows that were delivered".into()),
    };
    format!(
        "{what}. An older state than the newest durable one is never used unasked, since rows that are already delivered \
         would be delivered again. Put the file back from a copy of exactly this state; or start once with --accept-loss, \
         which goes on from {from}: {later} are repeated if their messages are still in the queue, and are not if their \
         messages are deleted (keep the output: those are nowhere else)"
    )
}

/// What is wrong with a state in use, and the ways out; what is left of it is found by the next start.
pub(super) fn later(what: &str) -> String {
    format!(
        "{what}. Nothing is deleted from a queue under a state that is not whole. Put the file back and start again; without it, \
         the next start says what --accept-loss would go on from"
    )
}

/// What was accepted.
pub(super) fn accepted(what: &str, left: Option<&Loaded>) -> String {
    match left {
        Some(left) => format!("{what}; as asked, the job goes on from checkpoint {}", left.state.checkpoint),
        None => format!("{what}; as asked, the job begins anew"),
    }
}
