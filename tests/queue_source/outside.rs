//! What outlives a crash, as a model: a store of checkpoints and a sink that commits in two phases.

use std::collections::{BTreeMap, BTreeSet};

use headwater_core::{CheckpointId, SourceState};

/// A durable checkpoint: the source's state, and the epochs of the sink that were staged and not committed by then.
#[derive(Clone)]
pub(crate) struct Saved {
    pub(crate) id: CheckpointId,
    pub(crate) state: SourceState,
    pending: Vec<CheckpointId>,
}

/// The disk: what is staged, what is committed, and the newest durable checkpoint.
#[derive(Default)]
pub(crate) struct Outside {
    staged: BTreeMap<CheckpointId, Vec<String>>,
    committed: BTreeMap<String, u32>,
    epochs: BTreeSet<CheckpointId>,
    durable: Option<Saved>,
    used: u64,
}

impl Outside {
    /// An id later than every one used, durable or not.
    pub(crate) fn next_id(&mut self) -> CheckpointId {
        self.used += 1;
        CheckpointId(self.used)
    }

    /// Phase one: the rows of an epoch are safe, and not visible.
    pub(crate) fn stage(&mut self, id: CheckpointId, rows: Vec<String>) {
        self.staged.insert(id, rows);
    }

    /// Makes a checkpoint the newest durable one.
    pub(crate) fn save(&mut self, id: CheckpointId, state: SourceState) {
        let pending = self.staged.keys().copied().collect();
        self.durable = Some(Saved { id, state, pending });
    }

    /// Phase two, for everything up to `id`. An epoch that was committed before is not committed again.
    ///
    /// # Errors
    /// When a row becomes visible that is visible already (G2).
    pub(crate) fn commit(&mut self, id: CheckpointId) -> Result<(), String> {
        let epochs: Vec<_> = self.staged.range(..=id).map(|(epoch, _)| *epoch).collect();
        for epoch in epochs {
            let rows = self.staged.remove(&epoch).unwrap_or_default();
            if !self.epochs.insert(epoch) {
                return Err(format!("epoch {epoch} was staged again after its commit"));
            }
            for row in rows {
                let times = self.committed.entry(row.clone()).or_default();
                *times += 1;
                if *times > 1 {
                    return Err(format!("G2: row {row} is committed {times} times, the last time in epoch {epoch}"));
                }
            }
        }
        Ok(())
    }

    /// A restart: what was staged and is not listed in the newest durable checkpoint is thrown away. What it lists is to be
    /// committed next, before `commit` is called on the restored source.
    pub(crate) fn recover(&mut self) -> Option<Saved> {
        let listed: BTreeSet<_> = self.durable.iter().flat_map(|saved| saved.pending.iter().copied()).collect();
        self.staged.retain(|epoch, _| listed.contains(epoch));
        self.durable.clone()
    }

    pub(crate) fn has(&self, row: &str) -> bool {
        self.committed.contains_key(row)
    }

    pub(crate) fn rows(&self) -> usize {
        self.committed.len()
    }
}
