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

    /// A barrier was cut; again for the same id changes nothing.
    pub(crate) fn sealed(&mut self, id: CheckpointId) {
        if let Some(since) = self.open.take() {
            self.sealed.entry(id).or_insert(since);
        }
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
        ages.sealed(CheckpointId(1));
        ages.handed_out(t(3));
        assert_eq!(ages.oldest(), Some(t(1)), "a sealed epoch is not committed yet");
        ages.committed(CheckpointId(1));
        assert_eq!(ages.oldest(), Some(t(3)));
        ages.sealed(CheckpointId(4));
        ages.sealed(CheckpointId(4));
        ages.committed(CheckpointId(4));
        assert_eq!(ages.oldest(), None);
    }
}
