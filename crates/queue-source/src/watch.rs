//! A look inside a running source, for simulators: it outlives the call that the source is in.

use std::sync::Arc;

use headwater_ledger::{Counts, Violation};

use crate::QueueSource;
use crate::state::Shared;

/// What a simulator asks of a source between two steps. Nothing here changes anything.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Watch(Arc<Shared>);

impl QueueSource {
    /// A look inside that can be kept while the source is at work.
    #[doc(hidden)]
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
    }
}

impl Watch {
    /// Whether the ledger's invariants hold; costs time in proportion to all ids.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), Violation> {
        self.0.lock().ledger.check()
    }

    /// Whether all is done that can be done without waiting; to be asked when no task can go on by itself.
    ///
    /// # Errors
    /// Deletes that are ready and not sent: they wait for something else, such as the consumer.
    pub fn check_idle(&self) -> Result<(), Violation> {
        let state = self.0.lock();
        let (ready, running) = state.ledger.delete_calls();
        if state.deleting > 0 && ready > 0 && running == 0 {
            let seen = format!("{ready} messages can be deleted, nothing is on its way, and no delete is sent");
            return Err(Violation { id: "G4", seen });
        }
        Ok(())
    }

    /// What the ledger holds.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.lock().ledger.counts()
    }

    /// Deletes confirmed so far.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        self.0.lock().totals.deleted
    }

    /// Redeliveries dropped so far.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.0.lock().totals.duplicates
    }
}
