//! Mistakes in the ledger itself, switched on one at a time (feature `traps`): those that show only together with the store
//! and the sink must be found, or the search sees nothing.

use headwater_ledger::Limits;

#[cfg(feature = "traps")]
pub(crate) type Trapped = Option<headwater_ledger::Trap>;

#[cfg(feature = "traps")]
pub(crate) const NONE: Trapped = None;

#[cfg(feature = "traps")]
pub(crate) const fn set(limits: &mut Limits, trap: Trapped) {
    limits.trap = trap;
}

/// Every mistake of the ledger that this search can see, and the promise that the first history found breaks.
#[cfg(feature = "traps")]
pub(crate) const TABLE: &[(headwater_ledger::Trap, &str)] = &[
    (headwater_ledger::Trap::ForgottenAtAck, "G2"),
    (headwater_ledger::Trap::DuplicateDropped, "G3"),
    (headwater_ledger::Trap::ListedTwice, "L2"),
    (headwater_ledger::Trap::NotExistIsDeleted, "G2"),
    (headwater_ledger::Trap::OwnEpochLeftOut, "G1"),
];

#[cfg(not(feature = "traps"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trapped;

#[cfg(not(feature = "traps"))]
pub(crate) const NONE: Trapped = Trapped;

#[cfg(not(feature = "traps"))]
pub(crate) const fn set(_: &mut Limits, _: Trapped) {}
