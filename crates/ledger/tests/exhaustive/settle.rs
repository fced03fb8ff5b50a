//! From any state, a fair run without further faults must end with every message committed once and deleted.

use std::time::Duration;

use headwater_ledger::ServerMs;

use crate::action::Action;
use crate::world::{Phase, World};

/// More than any fair run of these small worlds needs; a run that takes longer goes in circles.
const STEPS_MAX: usize = 150;

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
            if step == STEPS_MAX / 2 {
                world.retention_ends();
            }
        }
        Err(format!("G3: not every message is committed and deleted after {STEPS_MAX} fair steps"))
    }

    /// The next step: whatever is under way is finished first, a message is delivered only when nothing else is left.
    fn fair(&self) -> Option<Action> {
        let enabled = self.enabled();
        let rank = |action: &Action| match action {
            Action::Read(_) | Action::ReadLate => 0,
            Action::ReportDelete(_) => 1,
            Action::DeleteArrives { lapsed: 0, .. } => 2,
            Action::ReportExtend(_) => 1,
            Action::ExtendArrives { lapsed: false, .. } => 2,
            Action::EndRelease { visible: true, .. } => 2,
            Action::SendDelete | Action::SendRelease(_) => 3,
            Action::Save | Action::Name | Action::CommitSink | Action::CommitSource => 4,
            Action::Barrier { hand_out } if *hand_out == self.buffered && self.uncommitted() => 5,
            Action::Serve { bits, .. } | Action::Poll { bits } if self.idle() => 10 - bits.count_ones(),
            Action::Receive if self.receives.is_empty() => 11,
            Action::EndEmpty(_) => 12,
            // No lease needs to end before its delete arrives, a stray request may never arrive, and a checkpoint of
            // nothing but the ledger helps no message.
            Action::Serve { .. }
            | Action::Poll { .. }
            | Action::DeleteArrives { .. }
            | Action::ExtendArrives { .. }
            | Action::StrayExtendArrives(_)
            | Action::SendExtends
            | Action::GiveBack(_)
            | Action::EndRelease { .. }
            | Action::StrayDeleteArrives(_)
            | Action::Barrier { .. }
            | Action::Receive
            | Action::Minute
            | Action::Fails(..) => u32::MAX,
        };
        let best = enabled.into_iter().min_by_key(rank)?;
        (rank(&best) < u32::MAX).then_some(best)
    }

    fn idle(&self) -> bool {
        self.receives.iter().all(|receive| receive.answer.is_none())
    }

    fn uncommitted(&self) -> bool {
        self.buffered != 0 || self.ledger.counts().uncommitted > 0 || self.returned[0] | self.returned[1] != 0
    }

    /// A full ledger may wait for ids whose message is gone for good: only the end of retention frees them.
    fn retention_ends(&mut self) {
        let waiting = self.ledger.ids().into_iter().filter(|id| id.stage == "committed" && id.handle.is_none());
        let gone = |key: u128| self.queue.messages.get(key as usize - 1).is_some_and(|m| m.deleted);
        if self.phase == Phase::Idle && waiting.map(|id| id.key.0).all(gone) {
            self.now = self.now + Duration::from_secs(86_400);
            self.ledger.tick(self.now, Some(ServerMs(i64::MAX)));
        }
    }
}
