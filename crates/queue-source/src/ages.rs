//! Since when the oldest uncommitted message has been handed out. For a gauge; no decision reads it.

use std::collections::BTreeMap;

use headwater_ledger::{CheckpointId, Mono};

/// When the first message of each uncommitted epoch was handed out.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    open: Option<Mono>,
    sealed: BTreeMap<CheckpointId, Mono>,
}

impl Ages {
    /// Something was handed out.
    pub(crate) fn handed_out(&mut self, now: Mono) {
        self.open.get_or_insert(now);
    }

    /// A barrier was cut; again for the same id changes nothing. What it left open is taken to be as old as the rest.
    pub(crate) fn sealed(&mut self, id: CheckpointId, left_open: bool) {
        if let Some(since) = self.open {
            self.sealed.entry(id).or_insert(since);
        }
        self.open = self.open.filter(|_| left_open);
    }

    /// Everything up to `id` is committed.
    pub(crate) fn committed(&mut self, id: CheckpointId) {
        self.sealed.retain(|sealed, _| *sealed > id);
    }

    /// When the oldest uncommitted message was handed out.
    pub(crate) fn oldest(&self) -> Option<Mono> {
        self.sealed.values().chain(&self.open).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_of_the_first_epoch_that_is_not_committed() {
        let t = Mono::from_millis;
        let mut ages = Ages::default();
        assert_eq!(ages.oldest(), None);
        ages.handed_out(t(1));
        ages.handed_out(t(2));
        ages.sealed(CheckpointId(1), false);
        ages.handed_out(t(3));
        assert_eq!(ages.oldest(), Some(t(1)), "a sealed epoch is not committed yet");
        ages.committed(CheckpointId(1));
        assert_eq!(ages.oldest(), Some(t(3)));
        ages.sealed(CheckpointId(4), true);
        ages.committed(CheckpointId(4));
        assert_eq!(ages.oldest(), Some(t(3)), "the barrier was cut inside a batch");
        ages.sealed(CheckpointId(5), false);
        ages.sealed(CheckpointId(5), false);
        ages.committed(CheckpointId(5));
        assert_eq!(ages.oldest(), None);
    }
}
