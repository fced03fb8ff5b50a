//! Ways to join ledger, store and sink wrongly, or to write a store or a sink wrongly. The search must find each, or it sees
//! nothing.

use crate::world::Rules;
use crate::{ONE, TWO};

/// One broken rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// The source is told that a checkpoint is committed when its barrier is cut: messages are deleted before the store is durable.
    CommitAtBarrier,
    /// … although its save failed.
    CommitAfterFailedSave,
    /// … before the sinks have committed, at a restart.
    CommitBeforeSinks,
    /// The sink shows what is staged, before the store holds it.
    SinksBeforeSave,
    /// Rows flow when they are received, and are only later reported as handed out: a snapshot lacks ids of its own epoch.
    RowsBeforeHandOut,
    /// What a failed checkpoint staged is dropped, though the ledger's ids go into the next one.
    StagedForgotten,
    /// A checkpoint lists only what its own epoch staged.
    EarlierFilesUnlisted,
    /// A restart does not commit what its checkpoint lists.
    RestartSkipsSinks,
    /// A restart removes what is staged, though its checkpoint lists it.
    StagedRemoved,
    /// The sink's commit is not idempotent: repeated, it shows the rows again.
    ShownAgain,
    /// A lost answer to a delete is taken for "deleted".
    UnknownIsDeleted,
    /// The `n`-th sync of a file or directory is left out when the sink stages.
    StageUnsynced(u8),
    /// … when the store saves.
    SaveUnsynced(u8),
    /// … when the sink commits.
    CommitUnsynced(u8),
}

/// Every broken rule, a world that is large enough to see it, and the promise that the first history found breaks.
pub(crate) fn table() -> Vec<(Broken, Rules, &'static str)> {
    vec![
        (Broken::CommitAtBarrier, ONE, "G1"),
        (Broken::CommitAfterFailedSave, ONE, "G1"),
        (Broken::CommitBeforeSinks, ONE, "G1"),
        (Broken::SinksBeforeSave, ONE, "S1"),
        (Broken::RowsBeforeHandOut, ONE, "G2"),
        (Broken::StagedForgotten, TWO, "G1"),
        (Broken::EarlierFilesUnlisted, Rules { faults: 2, ..TWO }, "G1"),
        (Broken::RestartSkipsSinks, ONE, "G1"),
        (Broken::StagedRemoved, ONE, "S2"),
        (Broken::ShownAgain, ONE, "G2"),
        (Broken::UnknownIsDeleted, ONE, "G2"),
        // The first is of the directory, which the start has made durable. The file with the rows; its name.
        (Broken::StageUnsynced(1), ONE, "G1"),
        (Broken::StageUnsynced(2), ONE, "S2"),
        // The segment; the checkpoint's file; their names; the manifest; its name.
        (Broken::SaveUnsynced(0), ONE, "S1"),
        (Broken::SaveUnsynced(1), ONE, "S1"),
        (Broken::SaveUnsynced(2), ONE, "S1"),
        (Broken::SaveUnsynced(3), ONE, "S1"),
        (Broken::SaveUnsynced(4), ONE, "S1"),
        // The first two are of the marker, which matters only where readers take files away. The final name.
        (Broken::CommitUnsynced(2), ONE, "G1"),
    ]
}
