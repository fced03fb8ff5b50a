//! Ways to drive the ledger wrongly, or to keep its state wrongly. Each breaks one sentence of the protocol at the boundary
//! of the ledger; the search must find each, or it sees nothing.

use crate::world::Rules;
use crate::{ONE, TWO};

/// One broken rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// The ticket is taken when the answer is read, not when the call begins: an id is forgotten as soon as its delete is
    /// confirmed, whatever receive may still carry it.
    TicketAtAnswer,
    /// "Does not exist" is taken for "deleted".
    StaleIsDeleted,
    /// A lost answer to a delete is taken for "deleted".
    UnknownIsDeleted,
    /// The source is told that a checkpoint is committed when its barrier is cut.
    CommitAtBarrier,
    /// … when it is saved, before the manifest names it.
    CommitAtSave,
    /// … although its save failed.
    CommitAfterFailedSave,
    /// … before the sinks have committed, at a restart.
    CommitBeforeSinks,
    /// The sinks commit what is saved, before the manifest names it.
    SinksBeforeManifest,
    /// The manifest names a checkpoint that is not saved yet.
    ManifestBeforeSave,
    /// Rows flow when they are received, and are only later reported as handed out: a snapshot lacks ids of its own epoch.
    RowsBeforeHandOut,
    /// Known ids are dropped from an answer before the ledger sees them: nothing re-arms their handles.
    DuplicatesIgnored,
    /// Deletes use the first handle ever seen.
    OldestHandle,
    /// The answer of an abandoned receive is read after all, under a new ticket.
    LateAnswerRead,
    /// A failed checkpoint's staged rows are discarded, though the ledger's ids go into the next one.
    StagedDiscarded,
    /// A checkpoint lists only the files of its own epoch.
    EarlierFilesUnlisted,
    /// A restart does not commit the files its checkpoint lists.
    RestartSkipsSinks,
    /// A restart loads the checkpoint before the one the manifest names.
    OlderRestored,
    /// A message in the consumer's hands is reported as handed out, its rows are dropped.
    RowsDropped,
}

/// Every broken rule, a world that is large enough to see it, and the promise that the first history found breaks.
pub(crate) fn table() -> Vec<(Broken, Rules, &'static str)> {
    let small = Rules { parked: false, ..ONE };
    vec![
        (Broken::TicketAtAnswer, small, "G2"),
        (Broken::StaleIsDeleted, small, "G2"),
        (Broken::UnknownIsDeleted, small, "G2"),
        (Broken::CommitAtBarrier, small, "G1"),
        (Broken::CommitAtSave, small, "G1"),
        (Broken::CommitAfterFailedSave, small, "G1"),
        (Broken::CommitBeforeSinks, small, "G1"),
        (Broken::SinksBeforeManifest, small, "G2"),
        (Broken::ManifestBeforeSave, small, "S1"),
        (Broken::RowsBeforeHandOut, TWO, "G2"),
        (Broken::DuplicatesIgnored, small, "G3"),
        (Broken::OldestHandle, small, "G3"),
        (Broken::LateAnswerRead, small, "G2"),
        (Broken::StagedDiscarded, small, "G1"),
        (Broken::EarlierFilesUnlisted, small, "G1"),
        (Broken::RestartSkipsSinks, small, "G1"),
        (Broken::OlderRestored, TWO, "G2"),
        (Broken::RowsDropped, small, "G1"),
    ]
}
