//! Mistakes in the ledger itself, switched on one at a time (feature `traps`): the search must find each, or it sees nothing.

use headwater_ledger::Limits;

#[cfg(feature = "traps")]
pub(crate) use found::table;

#[cfg(feature = "traps")]
pub(crate) type Trapped = Option<headwater_ledger::Trap>;

#[cfg(feature = "traps")]
pub(crate) const NONE: Trapped = None;

#[cfg(feature = "traps")]
pub(crate) const fn set(limits: &mut Limits, trap: Trapped) {
    limits.trap = trap;
}

#[cfg(not(feature = "traps"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trapped;

#[cfg(not(feature = "traps"))]
pub(crate) const NONE: Trapped = Trapped;

#[cfg(not(feature = "traps"))]
pub(crate) const fn set(_: &mut Limits, _: Trapped) {}

#[cfg(feature = "traps")]
mod found {
    use headwater_ledger::Trap;

    use crate::world::{FAULTS, Rules};
    use crate::{FULL, LEASED, ONE, TWO};

    /// Every mistake in the ledger, a world that is large enough to see it, and the promise that the first history found breaks.
    pub(crate) fn table() -> Vec<(Trap, Rules, &'static str)> {
        let small = Rules { parked: false, ..ONE };
        let tight = Rules { undeleted: 1, ..TWO };
        let slow = Rules { minutes: 1, faults: FAULTS.len() as u32, ..small };
        vec![
            (Trap::ForgottenAtAck, small, "G2"),
            (Trap::DuplicateDropped, small, "L9"),
            (Trap::OldHandleKept, small, "L9"),
            (Trap::OldHandleKept, Rules { deliveries: 1, ..LEASED }, "L9"),
            (Trap::WholeBatchRetried, TWO, "L10"),
            (Trap::ListedTwice, small, "L2"),
            (Trap::NeverPruned, small, "G4"),
            (Trap::RestoredForEver, FULL, "G3"),
            (Trap::RestoredForAMinute, slow, "G2"),
            (Trap::UncommittedUncounted, tight, "G4"),
            (Trap::NotExistIsDeleted, small, "G2"),
            (Trap::OwnEpochLeftOut, small, "G2"),
        ]
    }
}
