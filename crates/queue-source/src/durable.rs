//! The ledger's snapshot as a state to save, and back.

use std::sync::Arc;

use headwater_core::{CheckpointId, SourceError, SourceErrorKind, SourceState, StatePart, StoredPart};
use headwater_ledger::{CheckpointError, Segment, Snapshot};

use crate::letter_state::{self, Staged};
use crate::log::{self, LogPart};
use crate::state::State;

/// The state of a snapshot, with the parts about the source's own log and about dead letters that are on their way.
pub(crate) fn state(identity: String, snapshot: Snapshot, more: impl Iterator<Item = StatePart>) -> SourceState {
    let parts = snapshot.segments.iter().map(|s| StatePart { name: s.name(), bytes: Arc::clone(s.bytes()) });
    let stored = snapshot.stored.into_iter().map(|s| StoredPart::new(s.name, s.len)).collect();
    SourceState::new(identity, parts.chain(more).collect()).with_stored(stored)
}

/// What the parts of a state say.
type Read = (Vec<Segment>, Vec<Staged>, Option<LogPart>);

/// The segments of a state, the dead letters that were on their way, and its place in the source's own log.
pub(crate) fn read(state: &SourceState) -> Result<Read, SourceError> {
    let (mut segments, mut letters, mut log) = (Vec::with_capacity(state.parts.len()), Vec::new(), None);
    for part in &state.parts {
        if log::is_log(part) {
            log = Some(LogPart::decode(part)?);
            continue;
        }
        if letter_state::is_letters(part) {
            letters.extend(letter_state::read(part)?);
            continue;
        }
        let unreadable = format!("part {} of the state cannot be read", part.name);
        let segment = Segment::from_shared(Arc::clone(&part.bytes));
        segments.push(segment.map_err(|e| SourceError::new(SourceErrorKind::State, unreadable).with_source(e))?);
    }
    Ok((segments, letters, log))
}

impl State {
    /// Commits in the ledger, and lets go of what the store holds, if it keeps it by name.
    pub(crate) fn commit(&mut self, id: CheckpointId) -> Result<(), CheckpointError> {
        self.ledger.commit(id)?;
        if self.store_keeps_parts {
            self.ledger.release_stored();
        }
        Ok(())
    }
}
