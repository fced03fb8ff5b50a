//! Breadth first through every state of a world.

use std::collections::{BTreeSet, HashSet, VecDeque};

use crate::act::Action;
use crate::world::{Rules, World};

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    pub(crate) depth: usize,
    /// States from which a fair run to the end was tried.
    pub(crate) settled: usize,
    /// What was to be seen in some state.
    pub(crate) sights: BTreeSet<(&'static str, &'static str)>,
    /// The first broken promise, and a shortest history that leads to it.
    pub(crate) violation: Option<(String, Vec<Action>)>,
}

/// Explores every history of a world. A fair run to the end is tried from one state in `settle_every`, and from every state
/// in which nothing but waiting is possible.
pub(crate) fn search(rules: Rules, settle_every: u128) -> Found {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    // How each state was reached, for telling the history.
    let mut origins: Vec<(u32, Action)> = Vec::new();
    let start = World::new(rules);
    let print = start.fingerprint();
    seen.insert(print);
    let mut queue = VecDeque::from([(start, print, u32::MAX, 0)]);
    while let Some((world, print, origin, depth)) = queue.pop_front() {
        found.states += 1;
        found.depth = depth;
        found.sights.extend(world.sights());
        let enabled = world.enabled();
        let tell = |origins: &[(u32, Action)], last: Option<Action>| {
            let mut history: Vec<Action> = last.into_iter().collect();
            let mut at = origin;
            while let Some((before, action)) = origins.get(at as usize) {
                history.push(*action);
                at = *before;
            }
            history.reverse();
            history
        };
        let waits = |a: &Action| {
            matches!(
                a,
                Action::Serve { .. } | Action::Poll { .. } | Action::Receive | Action::EndEmpty(_) | Action::Fails(..)
            )
        };
        let settle_every = if enabled.iter().all(waits) { settle_every.min(8) } else { settle_every };
        if print % settle_every == 0 {
            found.settled += 1;
            if let Err(violation) = world.settle() {
                found.violation = Some((violation, tell(&origins, None)));
                return found;
            }
        }
        for action in enabled {
            found.steps += 1;
            let mut next = world.clone();
            if let Err(violation) = next.act(action) {
                found.violation = Some((violation, tell(&origins, Some(action))));
                return found;
            }
            let print = next.fingerprint();
            if seen.insert(print) {
                origins.push((origin, action));
                queue.push_back((next, print, origins.len() as u32 - 1, depth + 1));
            }
        }
    }
    found
}
