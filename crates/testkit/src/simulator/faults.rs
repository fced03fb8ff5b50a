//! What can go wrong in a simulated world, by name, and how often.

use std::fmt;
use std::str::FromStr;

/// One kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
#[repr(u8)]
#[expect(missing_docs, reason = "each has its sentence in the table below, which `simulate --list` prints")]
pub enum Fault {
    RequestLost,
    ResponseLost,
    ServerError,
    Throttled,
    Unreadable,
    EmptyEarly,
    Slow,
    Stuck,
    Duplicate,
    ShortLease,
    DeadHandle,
    EarlyReturn,
    Ghost,
    PartialDelete,
    WrongDelete,
    Denied,
    Consumption,
    ParkedPolls,
    ServerClock,
    WallClock,
    Crash,
    PowerLoss,
    DiskFull,
    SyncError,
    FileError,
    SlowSink,
    SlowStore,
    Stop,
    Restart,
    BadRecord,
    FailingRow,
    Rejected,
    GivenBack,
    TooOften,
    LetterLost,
    SecondStart,
    CopiedState,
    SetBack,
}

/// Every kind: its name on the command line, and what happens.
pub const FAULTS: [(Fault, &str, &str); 38] = [
    (Fault::RequestLost, "request-lost", "a call never arrives: no effect, and no answer"),
    (Fault::ResponseLost, "response-lost", "a call takes effect and its answer is lost, at once or until the deadline"),
    (Fault::ServerError, "server-error", "a call is answered with 5xx, without effect"),
    (Fault::Throttled, "throttled", "a call is held for 500 ms and answered with 429"),
    (Fault::Unreadable, "unreadable", "a call takes effect and is answered with a page of HTML"),
    (Fault::EmptyEarly, "empty-early", "a receive is answered empty at once, whatever is there"),
    (Fault::Slow, "slow", "a call is held up on its way there or back, for up to a minute"),
    (Fault::Stuck, "stuck", "a call is never answered; it may take effect long after its caller gave up"),
    (Fault::Duplicate, "duplicate", "a receive brings messages that are leased to somebody else"),
    (Fault::ShortLease, "short-lease", "a lease ends earlier than promised, or is shorter and says so"),
    (Fault::DeadHandle, "dead-handle", "a handle dies while its lease runs"),
    (Fault::EarlyReturn, "early-return", "a message is visible again while its first delivery is in flight"),
    (
        Fault::Ghost,
        "ghost",
        "a message is delivered once more after its delete was confirmed, within the grace for that",
    ),
    (Fault::PartialDelete, "partial-delete", "entries of a delete are not tried and reported as failed"),
    (Fault::WrongDelete, "wrong-delete", "entries of a delete are deleted and reported as failed"),
    (Fault::Denied, "denied", "for a while a kind of call is denied: the job ends, and is started again"),
    (Fault::Consumption, "consumption", "who holds too many messages, or for too long, gets one receive a second"),
    (Fault::ParkedPolls, "parked-polls", "more than so many parked polls are answered empty at once"),
    (Fault::ServerClock, "server-clock", "the service's clock jumps, forwards or back"),
    (Fault::WallClock, "wall-clock", "this machine's wall clock jumps, forwards or back"),
    (Fault::Crash, "crash", "the process dies at an await point; the disk keeps everything"),
    (Fault::PowerLoss, "power-loss", "the power fails before a file operation: what was not synced is lost or torn"),
    (Fault::DiskFull, "disk-full", "the disk is full for a while"),
    (Fault::SyncError, "sync-error", "syncing a file or a directory fails, and what it should have kept is lost"),
    (Fault::FileError, "file-error", "making, renaming or removing a file fails"),
    (Fault::SlowSink, "slow-sink", "the consumer stops for up to some minutes"),
    (Fault::SlowStore, "slow-store", "saving a checkpoint takes up to some minutes"),
    (Fault::Stop, "stop", "the job is told to stop, and drains"),
    (Fault::Restart, "restart", "a restart changes pollers, batches and limits"),
    (
        Fault::BadRecord,
        "bad-record",
        "bodies do not decode, whole or in part; the policy skips, dead-letters, or ends the job",
    ),
    (Fault::FailingRow, "failing-row", "an expression of the job fails on a row"),
    (
        Fault::Rejected,
        "rejected",
        "the consumer rejects a message that was handed out, at once or before the checkpoint",
    ),
    (Fault::GivenBack, "given-back", "the consumer gives a message back, to have it again later"),
    (Fault::TooOften, "too-often", "what was delivered too often goes to the dead letters unread"),
    (Fault::LetterLost, "letter-lost", "a letter to a queue is lost, refused, or taken and not confirmed"),
    (
        Fault::SecondStart,
        "second-start",
        "another process starts on the state of one that runs; now and then there are no locks",
    ),
    (
        Fault::CopiedState,
        "copied-state",
        "somebody starts on a copy of the state; or the job goes on from one, as asked",
    ),
    (Fault::SetBack, "set-back", "an old state is put back in its place, and somebody starts"),
];

/// The kinds that came first. Each later one draws from generators of its own, so that a seed without it is what it was.
pub(crate) const FIRST_FAULTS: usize = Fault::Restart as usize + 1;

impl Fault {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        FAULTS[self as usize].1
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultSet(u64);

impl FaultSet {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self((1 << FAULTS.len()) - 1);

    /// Whether `fault` is in it.
    #[must_use]
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u8) != 0
    }

    /// This with `fault`.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | (1 << fault as u8))
    }

    /// This without `fault`.
    #[must_use]
    pub const fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u8))
    }

    /// Its kinds.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        FAULTS.iter().map(|(fault, ..)| *fault).filter(move |fault| self.has(*fault))
    }
}

impl fmt::Display for FaultSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        for (i, fault) in self.iter().enumerate() {
            write!(f, "{}{fault}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for FaultSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        text.split(',').try_fold(Self::NONE, |set, name| {
            let known = FAULTS.iter().find(|(_, known, _)| *known == name.trim());
            let (fault, ..) = known.ok_or_else(|| {
                let near = headwater_core::nearest(name, FAULTS.iter().map(|(_, name, _)| *name));
                let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                format!("`{name}` is no kind of fault{hint} (`--list` prints them)")
            })?;
            Ok(set.with(*fault))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_sets_are_read_as_written() {
        for (at, (fault, name, _)) in FAULTS.iter().enumerate() {
            assert_eq!((*fault as usize, fault.name()), (at, *name));
            assert_eq!(FaultSet::ALL.without(*fault).with(*fault), FaultSet::ALL);
        }
        let set = FaultSet::NONE.with(Fault::Crash).with(Fault::Slow);
        assert_eq!((set.to_string().as_str(), set.to_string().parse()), ("slow,crash", Ok(set)));
        let error = "slw".parse::<FaultSet>().unwrap_err();
        assert!(error.contains("did you mean `slow`"), "{error}");
    }
}
