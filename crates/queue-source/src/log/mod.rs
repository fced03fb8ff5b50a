//! The source's own durable log (`commit = log`): bodies are written to it first, deleted from the queue at once, and handed
//! out in its order; what no committed checkpoint covers is handed out again after a crash.
//!
//! ```text
//! screened ► incoming ► writer: one frame, one fsync ─► ledger.log_durable ─┬► deletes
//!                                                                            └► inbox ► next() ► Batch ► position in the snapshot
//! start: lock ► check every file, cut a torn tail ► restore: ids behind the snapshot into the ledger ► replay ► first poll
//! ```
//! format.rs (the bytes; pure), dir.rs (files, names, lock), open.rs (a start), writer.rs and task.rs (writing), replay.rs
//! (reading back), recent.rs (what may still be rejected), part.rs (what the snapshot holds), side.rs (the consumer's side).

mod config;
mod dir;
mod format;
mod open;
mod part;
mod recent;
mod replay;
mod side;
mod task;
mod writer;

pub use config::LogConfig;

pub(crate) use open::open;
pub(crate) use part::{LogPart, is_log};
pub(crate) use side::LogSide;
pub(crate) use task::{Incoming, LogState, run, written};

/// A place in the log: a segment and a byte in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {}, byte {}", self.segment, self.offset)
    }
}

/// Where a record lies: its first byte, and the first one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: Position,
    pub(crate) end: Position,
}
