//! What a barrier and a commit do in one step, under the lock.

use std::sync::Arc;

use headwater_core::{CheckpointId, SourceError, SourceErrorKind, StatePart};
use headwater_ledger::{CheckpointError, MessageKey, Snapshot};

use crate::log::Position;
use crate::returns;
use crate::source::QueueSource;

impl QueueSource {
    /// Everything that a commit needs is durable: the ledger may have its messages deleted.
    pub(crate) fn committed(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        let mut state = self.shared.lock();
        state.commit(id).map_err(|error| commit_refused(id, error))?;
        self.returns.due(id, &mut state);
        let returning = !state.returning.is_empty() || !state.extends.returns.is_empty();
        state.ages.committed(id);
        state.last_activity = self.shared.clock.now();
        self.shared.meter.gauges(&mut state, self.shared.clock.now());
        drop(state);
        if returning {
            if self.returner.is_empty() {
                self.returner.spawn(returns::run(Arc::clone(&self.shared)));
            }
            self.shared.returner.notify_one();
        }
        self.shared.deleters.notify_one();
        Ok(())
    }

    /// Cuts the ledger's barrier, and says whether it is a new one.
    pub(crate) fn barrier(
        &mut self,
        id: CheckpointId,
        later: &[MessageKey],
        cut: Option<Position>,
    ) -> Result<(Snapshot, Option<StatePart>, bool), SourceError> {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        let new = state.ledger.last_checkpoint() != Some(id);
        let snapshot = state.ledger.barrier_before(id, later, now).map_err(|error| {
            SourceError::new(SourceErrorKind::Failed, format!("checkpoint {id} is refused")).with_source(error)
        })?;
        state.ages.sealed(id, !later.is_empty());
        let part = Self::log_part(self.log.as_mut(), id, cut, &state);
        Ok((snapshot, part, new))
    }
}

pub(crate) fn commit_refused(id: CheckpointId, error: CheckpointError) -> SourceError {
    SourceError::new(SourceErrorKind::Failed, format!("commit of checkpoint {id} is refused")).with_source(error)
}
