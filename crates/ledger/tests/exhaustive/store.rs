//! The durable half of the world: what survives a crash. A checkpoint store with its manifest, and a two-phase sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_ledger::{CheckpointId, Ledger, Snapshot};

use crate::queue::number;
use crate::world::message;

/// A file of rows: written by which life of the process, under which checkpoint, and the messages in it (one bit each).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct File {
    pub(crate) life: u8,
    pub(crate) checkpoint: CheckpointId,
    pub(crate) messages: u8,
}

/// What is stored under a checkpoint.
pub(crate) struct Saved {
    pub(crate) snapshot: Snapshot,
    /// Files of this epoch and of every earlier one whose commit has not returned.
    pub(crate) files: Vec<File>,
    /// Recognises the snapshot: what a restore makes of it.
    pub(crate) content: Content,
}

/// What a snapshot says, by which two of them are compared.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) committed: Option<CheckpointId>,
    pub(crate) rows: Vec<Row>,
}

/// One id of a snapshot.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) message: u8,
    pub(crate) stage: u8,
    pub(crate) checkpoint: Option<CheckpointId>,
    pub(crate) live: bool,
    /// Its handle, or the last it had.
    pub(crate) handle: u8,
}

impl Content {
    pub(crate) fn of(restored: &Ledger) -> Self {
        let rows = restored.ids().into_iter().map(|id| Row {
            message: message(id.key),
            stage: id.stage.as_bytes()[0],
            checkpoint: id.checkpoint,
            live: id.handle.is_some(),
            handle: number(id.rank.0 as u8, id.rank.1 > 0),
        });
        Self { committed: restored.committed_through(), rows: rows.collect() }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Store {
    pub(crate) saved: BTreeMap<CheckpointId, Arc<Saved>>,
    pub(crate) manifest: Option<CheckpointId>,
}

#[derive(Clone, Default)]
pub(crate) struct Sink {
    pub(crate) staged: Vec<File>,
    pub(crate) committed: Vec<File>,
}

impl Sink {
    pub(crate) fn stage(&mut self, file: File) {
        if file.messages != 0 {
            self.staged.push(file);
            self.staged.sort_unstable();
        }
    }

    /// Publishes a staged file; again, if it was published before: idempotent.
    pub(crate) fn commit(&mut self, file: File) -> Result<(), String> {
        if file.messages == 0 || self.committed.contains(&file) {
            return Ok(());
        }
        if !self.staged.contains(&file) {
            return Err(format!("G3: {file:?} is to be committed and is gone"));
        }
        self.staged.retain(|staged| *staged != file);
        self.committed.push(file);
        self.committed.sort_unstable();
        Ok(())
    }

    /// In how many committed files a message is.
    pub(crate) fn times(&self, message: u8) -> usize {
        self.committed.iter().filter(|file| file.messages & (1 << message) != 0).count()
    }
}
