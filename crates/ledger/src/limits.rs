//! Every bound of the ledger, in one struct, each with the reason for its number.

use std::time::Duration;

use crate::entry::{Entry, Point, Stage};
use crate::ids::Mono;
use crate::times::Run;

/// The bounds under which a [`Ledger`](crate::Ledger) works.
///
/// Memory follows from them: at most `undeleted_max` ids with a handle, `ledger_max_ids` ids without, `grace_max_ids`
/// deleted ones, and `bytes_max` bytes of bodies. An id without a handle takes 31 to 32 bytes and a deleted one 30, at any number of them;
/// in the saved state 36 and 28 each time it is said. The saved state takes at most about five times what its ids take when each is said
/// once, and what one checkpoint adds to it is there twice while it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages asked for in one receive at most. 16 is the most the service takes.
    pub batch_max: u32,
    /// Messages deleted in one call at most. 16 is the most the service takes.
    pub delete_max: u32,
    /// Messages received and not deleted: running receives × batch + buffered + uncommitted + committed with a live
    /// handle. 4,000, below the 5,000 at which the service throttles a consumer.
    pub undeleted_max: u32,
    /// Bytes of bodies from the receive that may carry them until their epoch is committed. 64 MiB: room for
    /// four pollers' worst answers (4 MiB) and a thousand messages of the largest size.
    pub bytes_max: u64,
    /// The largest body the queue may hand over, for reserving bytes before an answer is known. 64 KiB, the
    /// service's own limit; lowered to the queue's `MaximumMessageSize` where that could be read.
    pub message_bytes_max: u64,
    /// Uncommitted messages at which a checkpoint is due. Half of `undeleted_max`, so that the next epoch can
    /// flow while this one is being stored and deleted.
    pub checkpoint_max_messages: u32,
    /// Uncommitted bytes at which a checkpoint is due. Half of `bytes_max`, for the same reason.
    pub checkpoint_max_bytes: u64,
    /// The time between checkpoints while anything changes. 10 s, a third of the service's default lease.
    pub checkpoint_interval: Duration,
    /// How long a checkpoint is not asked for again after one failed, and after any for the sake of a lease. 1 s, so that
    /// neither a broken disk nor a slow consumer makes it spin.
    pub checkpoint_retry: Duration,
    /// How long before the end of the oldest uncommitted lease a checkpoint is due. 5 s: storing a checkpoint and
    /// one delete call fit well inside.
    pub lease_margin: Duration,
    /// What extensions set a lease to: the queue's own, since a longer one would only keep a lost message away for longer. `None`, the
    /// default: leases are not extended, and the queue delivers again what is held for longer.
    pub extend_lease: Option<Duration>,
    /// The longest time that a message is held: after that its lease is not extended any more, and a checkpoint is due. 25 min: the
    /// service throttles a consumer that keeps messages for 30, and five are left for the checkpoint and the deletes.
    pub hold_max: Duration,
    /// Committed ids whose delete is unconfirmed and that have no live handle, at which nothing new is received. 1,000,000: the
    /// service's default retention of four days with three deletes a second left unconfirmed. What was received before may
    /// still join them, so there are at most `ledger_max_ids + undeleted_max - 1`, and as many more as deleted ids come back, of
    /// which at most `grace_max_ids` are remembered.
    pub ledger_max_ids: u32,
    /// How long the ledger may stay full without one id being freed before it reports a failure. 10 min.
    pub full_patience: Duration,
    /// How long a deleted id is remembered for service-side duplicates. 60 s, twice the longest poll.
    pub grace: Duration,
    /// Deleted ids remembered at most. 200,000: what the service's limit of 20,000 messages a second deletes during one
    /// poll of the default length, since an answer on its way may carry any of them.
    pub grace_max_ids: u32,
    /// Retries of a delete that failed or got no answer, with the same handle. 3, as `deleteMaxRetries`.
    pub delete_max_retries: u32,
    /// The pause before the first such retry; doubled for each further one. 500 ms, the service's own hold time
    /// for throttled calls.
    pub delete_retry_pause: Duration,
    /// How long the queue keeps a message from its send. 1,296,000 s, the largest figure any page of the
    /// service names, until [`Ledger::note_retention`](crate::Ledger::note_retention) raises or an attribute confirms it.
    pub retention: Duration,
    /// Whether deleting with an outdated handle is an error (MNS) or may be accepted and do nothing (SQS). If it may
    /// be accepted, a confirmation for an outdated handle proves nothing; nor is it known to be outdated if the answer that
    /// brought the newer one was lost. There `grace` has to outlast the longest lease, which this crate does not know.
    pub stale_delete_is_error: bool,
    /// Segments behind the first one up to which nothing is said again only for their number. 64, so that a restore reads few files:
    /// these, and up to two for each shard.
    pub deltas_max: u32,
    /// Bytes of the saved state up to which nothing is said again only for the sake of its size. 64 KiB, a few writes of a disk.
    pub delta_bytes_min: u64,
    /// Shards of the ids (by hash), which are said again one at a time: no checkpoint waits for more than a shard of what is remembered.
    /// A power of two up to 64. 16: a checkpoint with a shard of a million ids takes some 30 ms. A state can be restored with any number,
    /// whatever it was written with.
    pub shards: u32,
    /// The bounds of the source's own durable log, where it keeps one. None: messages are deleted after a checkpoint.
    pub log: Option<LogLimits>,
    /// Test-only: the mistake that is switched on.
    #[cfg(feature = "traps")]
    #[doc(hidden)]
    pub trap: Option<crate::Trap>,
}

/// The bounds of a durable log of the source's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLimits {
    /// Bytes of the log at most: a receive has to have room in it for the worst answer.
    pub bytes_max: u64,
    /// Bytes handed out of the log and not committed at which a checkpoint is due. Half of `bytes_max`, so that the log goes on
    /// filling while one is being stored.
    pub checkpoint_bytes: u64,
    /// What a message takes in the log beside its body, at most. 4 KiB: an id, a handle, and properties of the usual size.
    pub record_overhead: u64,
}

impl LogLimits {
    /// The bounds of a log of at most so many bytes.
    #[must_use]
    pub const fn new(bytes_max: u64) -> Self {
        Self { bytes_max, checkpoint_bytes: bytes_max.div_ceil(2), record_overhead: 4 << 10 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_max: 16,
            delete_max: 16,
            undeleted_max: 4_000,
            bytes_max: 64 << 20,
            message_bytes_max: 64 << 10,
            checkpoint_max_messages: 2_000,
            checkpoint_max_bytes: 32 << 20,
            checkpoint_interval: Duration::from_secs(10),
            checkpoint_retry: Duration::from_secs(1),
            lease_margin: Duration::from_secs(5),
            extend_lease: None,
            hold_max: Duration::from_secs(1_500),
            ledger_max_ids: 1_000_000,
            full_patience: Duration::from_secs(600),
            grace: Duration::from_secs(60),
            grace_max_ids: 200_000,
            delete_max_retries: 3,
            delete_retry_pause: Duration::from_millis(500),
            retention: Duration::from_secs(1_296_000),
            stale_delete_is_error: true,
            deltas_max: 64,
            delta_bytes_min: 64 << 10,
            shards: 16,
            log: None,
            #[cfg(feature = "traps")]
            trap: None,
        }
    }
}

/// Why a set of limits cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {problem}")]
pub struct LimitError {
    /// The option's public name.
    pub option: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Limits {
    /// Checks the limits against each other.
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub fn check(&self) -> Result<(), Vec<LimitError>> {
        let mut errors = Vec::new();
        let mut need = |ok: bool, option: &'static str, problem: String| {
            if !ok {
                errors.push(LimitError { option, problem });
            }
        };
        need(self.batch_max >= 1, "batchSize", "must be at least 1".into());
        need(self.delete_max >= 1, "deleteMax", "must be at least 1".into());
        need(self.undeleted_max >= 1, "undeletedMax", "not one message fits: must be at least 1".into());
        need(self.message_bytes_max >= 1, "messageBytesMax", "must be at least 1 byte".into());
        need(
            self.bytes_max >= self.message_bytes_max,
            "bytesMax",
            format!("{} bytes do not hold one message of {} bytes", self.bytes_max, self.message_bytes_max),
        );
        // What is in a log is deleted, so it does not count among the undeleted.
        need(
            self.checkpoint_max_messages >= 1
                && (self.checkpoint_max_messages <= self.undeleted_max || self.log.is_some()),
            "checkpointMaxMessages",
            format!("must lie between 1 and undeletedMax ({})", self.undeleted_max),
        );
        if let Some(log) = &self.log {
            let one = self.message_bytes_max.saturating_add(log.record_overhead);
            let text = format!("{} bytes do not hold one message: use at least {one}", log.bytes_max);
            need(log.bytes_max >= one, "logMaxBytes", text);
        }
        need(
            self.checkpoint_max_bytes >= 1 && self.checkpoint_max_bytes <= self.bytes_max,
            "checkpointMaxBytes",
            format!("must lie between 1 and {} bytes", self.bytes_max),
        );
        need(!self.checkpoint_interval.is_zero(), "checkpointInterval", "must be longer than 0".into());
        need(self.extend_lease.is_none_or(|lease| !lease.is_zero()), "extendLease", "must be longer than 0".into());
        need(!self.hold_max.is_zero(), "holdMax", "must be longer than 0".into());
        let shards = self.shards.is_power_of_two() && self.shards <= 64;
        need(shards, "shards", "must be a power of two from 1 to 64".into());
        need(self.ledger_max_ids >= 1, "ledgerMaxIds", "must be at least 1".into());
        need(self.grace_max_ids >= 1, "graceMaxIds", "must be at least 1".into());
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// What [`Entry::presses_at`] needs.
    pub(crate) fn pressure(&self) -> Pressure {
        let margin = self.extend_lease.map_or(self.lease_margin, |lease| self.lease_margin.min(lease / 4));
        Pressure { margin, hold_max: self.hold_max }
    }
}

/// How long before the end of its lease a message presses for a checkpoint, and after which time it does in any case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pressure {
    margin: Duration,
    hold_max: Duration,
}

impl Entry {
    /// When a message that is not committed presses for a checkpoint: before its lease ends, and before it is held for too long. Not
    /// before an extension that is in time has had its chance, however short the lease.
    #[inline]
    pub(crate) fn presses_at(&self, pressure: Pressure) -> Option<Mono> {
        let Stage::Emitted(_) = self.stage else { return None };
        let held = self.held_since.or_start() + pressure.hold_max;
        Some(self.lease_end.get().map_or(held, |end| (end - pressure.margin).min(held)))
    }
}

/// When messages press for a checkpoint, of many that follow each other: those of one answer share it.
#[derive(Debug)]
pub(crate) struct Pressing {
    pressure: Pressure,
    /// What the last one had that tells it.
    last: Option<(Point, Point)>,
    run: Run<Mono>,
}

impl Pressing {
    pub(crate) fn new(pressure: Pressure) -> Self {
        Self { pressure, last: None, run: Run::default() }
    }

    /// Counts one that is handed out and not committed; what came before it, if that presses at another time.
    #[inline]
    pub(crate) fn next(&mut self, entry: &Entry) -> Option<(Mono, u32)> {
        let Stage::Emitted(_) = entry.stage else { return None };
        let tells = Some((entry.lease_end, entry.held_since));
        if self.last == tells {
            self.run.again();
            return None;
        }
        let at = entry.presses_at(self.pressure)?;
        self.last = tells;
        self.run.next(at)
    }

    pub(crate) fn end(self) -> Option<(Mono, u32)> {
        self.run.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_reported_at_once() {
        assert_eq!(Limits::default().check(), Ok(()));
        let limits =
            Limits { undeleted_max: 0, bytes_max: 10, checkpoint_interval: Duration::ZERO, ..Limits::default() };
        let options: Vec<_> = limits.check().unwrap_err().iter().map(|e| e.option).collect();
        assert_eq!(
            options,
            ["undeletedMax", "bytesMax", "checkpointMaxMessages", "checkpointMaxBytes", "checkpointInterval"]
        );
    }
}
