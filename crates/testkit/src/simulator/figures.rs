//! What happened, in numbers: a simulation in which nothing happens proves nothing.

use std::fmt;
use std::ops::AddAssign;

use super::faults::{FAULTS, Fault};

/// Sums over one seed or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Seeds simulated.
    pub seeds: u64,
    /// Messages sent.
    pub messages: u64,
    /// Rows in them.
    pub rows: u64,
    /// Lives of the process.
    pub lives: u64,
    /// Lives that ended with an error, for a reason that they were given.
    pub failures: u64,
    /// Lives that drained.
    pub drains: u64,
    /// Checkpoints that were saved.
    pub checkpoints: u64,
    /// Checkpoints whose saving failed.
    pub failed_checkpoints: u64,
    /// Calls to the queue.
    pub calls: u64,
    /// Deliveries that reached the process.
    pub deliveries: u64,
    /// Of them, those of a message that had been delivered before.
    pub redeliveries: u64,
    /// Redeliveries that the source suppressed.
    pub suppressed: u64,
    /// Entries of deletes that were asked for.
    pub delete_requests: u64,
    /// Messages that the queue deleted.
    pub deleted: u64,
    /// Dead letters that were found in their place, each time one was seen first.
    pub letters: u64,
    /// File operations.
    pub file_operations: u64,
    /// Lines of the trace.
    pub events: u64,
    /// Virtual time, in seconds.
    pub virtual_seconds: u64,
    /// Faults that happened, by kind.
    pub faults: Hits,
}

/// A number for each kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hits(pub [u64; FAULTS.len()]);

impl Default for Hits {
    fn default() -> Self {
        Self([0; FAULTS.len()])
    }
}

impl Figures {
    /// Counts a fault.
    pub(crate) const fn hit(&mut self, fault: Fault) {
        self.hit_often(fault, 1);
    }

    /// Counts a fault that hit so many at once.
    pub(crate) const fn hit_often(&mut self, fault: Fault, many: u64) {
        self.faults.0[fault as usize] += many;
    }

    /// How often a fault happened.
    #[must_use]
    pub const fn of(&self, fault: Fault) -> u64 {
        self.faults.0[fault as usize]
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        let sums = [
            (&mut self.seeds, other.seeds),
            (&mut self.messages, other.messages),
            (&mut self.rows, other.rows),
            (&mut self.lives, other.lives),
            (&mut self.failures, other.failures),
            (&mut self.drains, other.drains),
            (&mut self.checkpoints, other.checkpoints),
            (&mut self.failed_checkpoints, other.failed_checkpoints),
            (&mut self.calls, other.calls),
            (&mut self.deliveries, other.deliveries),
            (&mut self.redeliveries, other.redeliveries),
            (&mut self.suppressed, other.suppressed),
            (&mut self.delete_requests, other.delete_requests),
            (&mut self.deleted, other.deleted),
            (&mut self.letters, other.letters),
            (&mut self.file_operations, other.file_operations),
            (&mut self.events, other.events),
            (&mut self.virtual_seconds, other.virtual_seconds),
        ];
        for (sum, more) in sums {
            *sum += more;
        }
        for (sum, more) in self.faults.0.iter_mut().zip(other.faults.0) {
            *sum += more;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds, {} messages, {} rows; {} lives, {} of them failed as they were made to, {} drained",
            self.seeds, self.messages, self.rows, self.lives, self.failures, self.drains
        )?;
        writeln!(
            f,
            "{} checkpoints, {} failed saves; {} calls, {} deliveries, {} of them redeliveries, {} suppressed; {} deletes asked for, {} done",
            self.checkpoints,
            self.failed_checkpoints,
            self.calls,
            self.deliveries,
            self.redeliveries,
            self.suppressed,
            self.delete_requests,
            self.deleted
        )?;
        writeln!(
            f,
            "{} dead letters; {} file operations; {} events; {:.1} virtual hours",
            self.letters,
            self.file_operations,
            self.events,
            self.virtual_seconds as f64 / 3_600.0
        )?;
        f.write_str("faults:")?;
        for (fault, ..) in FAULTS {
            write!(f, " {fault} {}", self.of(fault))?;
        }
        Ok(())
    }
}
