//! From any state, a fair run without further faults must end with every message handed out, durable and deleted.

use crate::action::Action;
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
        Err(format!("G3: not every message is handed out and deleted after {STEPS_MAX} fair steps"))
    }

    /// The next step: whatever is under way is finished first, a message is delivered only when nothing else is left.
    fn fair(&self) -> Option<Action> {
        let waiting = self.ledger.log_counts().waiting as u8;
        let rank = |action: &Action| match action {
            Action::Read(_) => 0,
            Action::ReportDelete(_) => 1,
            Action::DeleteArrives { lapsed: 0, .. } => 2,
            Action::SendDelete => 3,
            Action::Synced => 4,
            Action::Write(many) if usize::from(*many) == self.buffered.len() => 5,
            Action::Save | Action::Commit => 6,
            Action::Barrier { hand_out } if *hand_out == waiting && (waiting > 0 || self.log_is_open()) => 7,
            Action::Poll { bits } => 20 - bits.count_ones(),
            // No lease needs to end before its delete arrives, and a stray request may never arrive.
            _ => u32::MAX,
        };
        let best = self.enabled().into_iter().min_by_key(rank)?;
        (rank(&best) < u32::MAX).then_some(best)
    }

    /// Something was handed out that no durable checkpoint holds.
    fn log_is_open(&self) -> bool {
        self.handed_out != self.saved.as_ref().map_or(0, |saved| saved.messages)
    }
}
