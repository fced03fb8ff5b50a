//! What a simulation is asked to do: everything else follows from the seed.

use std::fmt;
use std::time::Duration;

use super::faults::FaultSet;

/// How a seed is simulated. The default is everything the seed draws.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The kinds of faults that may happen.
    pub faults: FaultSet,
    /// How often, in hundredths of what the seed draws.
    pub rates: u16,
    /// At most so many messages; `None`: as many as the seed draws (about 50 to 250).
    pub messages: Option<u32>,
    /// At most so many lives of the process before the quiet one at the end; `None`: as many as the seed draws.
    pub lives: Option<u32>,
    /// The trouble ends after this virtual time; `None`: when the drawn lives are over.
    pub cut: Option<Duration>,
    /// Keep the lines of the trace.
    pub trace: bool,
    /// A part that breaks its promise, to see whether it is seen.
    pub sabotage: Option<Sabotage>,
    /// The source is told to skip what is sent in the first so much of the history; those messages have no rows.
    pub skip_before: Option<Duration>,
    /// Test-only: a known mistake of the ledger or the source that is switched on.
    #[cfg(feature = "traps")]
    #[doc(hidden)]
    pub trap: Option<headwater_ledger::Trap>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            faults: FaultSet::ALL,
            rates: 100,
            messages: None,
            lives: None,
            cut: None,
            trace: false,
            sabotage: None,
            skip_before: None,
            #[cfg(feature = "traps")]
            trap: None,
        }
    }
}

impl fmt::Display for Options {
    /// As arguments of the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.faults != FaultSet::ALL {
            write!(f, " --only {}", self.faults)?;
        }
        if self.rates != 100 {
            write!(f, " --rates {}", self.rates)?;
        }
        if let Some(messages) = self.messages {
            write!(f, " --messages {messages}")?;
        }
        if let Some(lives) = self.lives {
            write!(f, " --lives {lives}")?;
        }
        if let Some(cut) = self.cut {
            write!(f, " --cut {}", cut.as_millis())?;
        }
        if let Some(sabotage) = self.sabotage {
            write!(f, " --break {}", sabotage.name())?;
        }
        if let Some(skip) = self.skip_before {
            write!(f, " --skip-before {}", skip.as_millis())?;
        }
        Ok(())
    }
}

/// A part of the world that breaks its promise: the simulator must see each of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Sabotage {
    /// The queue deletes some messages as soon as they are received.
    DeleteEarly,
    /// The queue says that a delete worked whose handle was dead.
    ConfirmBlindly,
    /// Syncing a file or a directory does nothing and says that all is well.
    SkipSync,
    /// The store says that a checkpoint is saved, and has saved nothing.
    AcknowledgeUnsaved,
    /// The store forgets what sinks have staged.
    ForgetStaged,
    /// The sink shows rows that were not committed.
    ShowEarly,
    /// The sink writes some rows twice.
    WriteTwice,
    /// The sink leaves some rows out.
    DropRows,
    /// The queue of dead letters takes them, and has nothing.
    DropLetters,
    /// The disk gives a lock to whoever asks.
    LockNothing,
    /// Directories cannot be told apart.
    NoIdentities,
}

impl Sabotage {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::DeleteEarly,
        Self::ConfirmBlindly,
        Self::SkipSync,
        Self::AcknowledgeUnsaved,
        Self::ForgetStaged,
        Self::ShowEarly,
        Self::WriteTwice,
        Self::DropRows,
        Self::DropLetters,
        Self::LockNothing,
        Self::NoIdentities,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeleteEarly => "delete-early",
            Self::ConfirmBlindly => "confirm-blindly",
            Self::SkipSync => "skip-sync",
            Self::AcknowledgeUnsaved => "acknowledge-unsaved",
            Self::ForgetStaged => "forget-staged",
            Self::ShowEarly => "show-early",
            Self::WriteTwice => "write-twice",
            Self::DropRows => "drop-rows",
            Self::DropLetters => "drop-letters",
            Self::LockNothing => "lock-nothing",
            Self::NoIdentities => "no-identities",
        }
    }
}
