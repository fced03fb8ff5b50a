//! From any state, a fair run without further faults must end with every message shown once and deleted.

use crate::action::{Action, Step};
use crate::world::World;

/// More than any fair run of these small worlds needs; a run that takes longer goes in circles.
const STEPS_MAX: usize = 100;

impl World {
    /// Runs fairly to the end, and notes the steps.
    pub(crate) fn settle(&self, run: &mut Vec<Action>) -> Result<(), String> {
        let mut world = self.clone();
        world.queue.deliveries_max = u8::MAX;
        world.rules.faults = 0;
        for step in 0..STEPS_MAX {
            if world.done() {
                return Ok(());
            }
            world.barriers_left = 1;
            let action =
                world.fair().ok_or_else(|| format!("G4: nothing can happen any more, after {step} fair steps"))?;
            run.push(action);
            world.act(action)?;
        }
        Err(format!("G3: not every message is shown and deleted after {STEPS_MAX} fair steps"))
    }

    /// The next step: whatever is under way is finished first, a message is delivered only when nothing else is left.
    fn fair(&self) -> Option<Action> {
        let uncommitted = self.buffered != 0 || self.ledger.counts().uncommitted > 0;
        let rank = |action: &Action| match action {
            Action::Read(_) => 0,
            Action::ReportDelete(_) => 1,
            Action::DeleteArrives { lapsed: 0, .. } => 2,
            Action::SendDelete => 3,
            Action::Does(Step::Start | Step::Save | Step::CommitSink) | Action::CommitSource => 4,
            Action::Does(Step::Barrier { hand_out }) if *hand_out == self.buffered && uncommitted => 5,
            Action::Poll { bits } => 10 - bits.count_ones(),
            // No lease needs to end before its delete arrives, a stray request may never arrive, and a checkpoint of
            // nothing but the ledger helps no message.
            _ => u32::MAX,
        };
        let best = self.enabled().into_iter().min_by_key(rank)?;
        (rank(&best) < u32::MAX).then_some(best)
    }
}
