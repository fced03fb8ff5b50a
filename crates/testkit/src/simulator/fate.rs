//! What becomes of a call, drawn when it is made, from a generator of its own: what one call draws does not shift the next.

use std::time::Duration;

use headwater_core::QueueErrorKind;

use super::calls::Asked;
use super::faults::Fault;
use super::plan::fork;
use super::world::World;
use crate::random::Random;

/// What becomes of one call.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) random: Random,
    pub(super) there: Duration,
    pub(super) back: Duration,
    /// The request does not arrive.
    pub(super) lost: bool,
    pub(super) refused: Option<(Fault, QueueErrorKind)>,
    pub(super) spoilt: Option<Fault>,
    /// No word reaches the caller: it waits until its own deadline.
    pub(super) silent: bool,
}

impl World {
    pub(super) fn draw_fate(&mut self, label: u64, asked: &Asked) -> Fate {
        let mut random = fork(self.plan.seed, 1_000_000 + label);
        let mut there = Duration::from_millis(1 + random.below(20));
        let mut back = Duration::from_millis(1 + random.below(20));
        let quiet = self.now.quiet;
        let plan = self.plan.clone();
        let mut figures = std::mem::take(&mut self.figures);
        let mut hit = |random: &mut Random, fault: Fault| {
            let hit = random.chance(plan.rate(fault)) && !quiet;
            if hit {
                figures.hit(fault);
            }
            hit
        };
        let slow = Duration::from_millis(random.below(u64::try_from(plan.slow_max.as_millis()).unwrap_or(0)));
        match (hit(&mut random, Fault::Slow), random.chance(500)) {
            (true, true) => there += slow,
            (true, false) => back += slow,
            _ => {}
        }
        let mut silent = random.chance(300);
        let mut lost = hit(&mut random, Fault::RequestLost);
        let refused = if hit(&mut random, Fault::ServerError) {
            Some((Fault::ServerError, QueueErrorKind::Transient))
        } else if hit(&mut random, Fault::Throttled) {
            back += Duration::from_millis(500);
            Some((Fault::Throttled, QueueErrorKind::Throttled))
        } else {
            None
        };
        let mut spoilt = None;
        for fault in [Fault::Unreadable, Fault::ResponseLost] {
            if hit(&mut random, fault) {
                spoilt = Some(fault);
            }
        }
        if hit(&mut random, Fault::Stuck) {
            silent = true;
            spoilt = Some(Fault::ResponseLost);
            lost = random.chance(300);
            there += Duration::from_millis(random.below(90_000));
        }
        if let Asked::Receive(_) = asked
            && hit(&mut random, Fault::EmptyEarly)
        {
            spoilt = spoilt.or(Some(Fault::EmptyEarly));
        }
        self.figures = figures;
        Fate { random, there, back, lost, refused, spoilt, silent }
    }
}
