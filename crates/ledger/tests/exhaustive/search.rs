//! Breadth first through every state of a world, on all cores.
//!
//! A generation is taken in rounds: the states of a round are expanded side by side, then what they led to is sorted in, in
//! their order. So the result does not depend on the number of cores, and the first violation has a shortest history.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::action::Action;
use crate::print::Budget;
use crate::world::{Rules, World};

/// States expanded side by side, and how many a core takes at a time.
const ROUND: usize = 1 << 14;
const SHARE: usize = 64;

/// States of a generation from which on its size is printed: somebody is waiting.
const LARGE: usize = 100_000;

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

/// A state that is to be expanded. `origin` is how it was reached.
struct Node {
    world: World,
    print: u128,
    budget: Budget,
    origin: u32,
    depth: usize,
}

/// What one state led to.
#[derive(Default)]
struct Expanded {
    origin: u32,
    next: Vec<(World, u128, Budget, Action)>,
    steps: usize,
    settled: bool,
    sights: BTreeSet<(&'static str, &'static str)>,
    /// What is broken, and what was done to this state until then.
    violation: Option<(String, Vec<Action>)>,
}

/// A place in a round: what is to be expanded, then what came of it.
enum Place {
    Node(Box<Node>),
    Done(Box<Expanded>),
    /// Nothing: the state was reached again with more to spend.
    Skipped,
}

/// Every state seen, with the largest budgets it was seen with.
#[derive(Default)]
struct Seen {
    first: HashMap<[u64; 2], Budget, BuildHasherDefault<Low>>,
    more: HashMap<[u64; 2], Vec<Budget>, BuildHasherDefault<Low>>,
}

impl Seen {
    fn key(print: u128) -> [u64; 2] {
        [print as u64, (print >> 64) as u64]
    }

    fn covers(&self, print: u128, which: impl Fn(Budget) -> bool) -> bool {
        let key = Self::key(print);
        self.first.get(&key).is_some_and(|first| {
            which(*first) || self.more.get(&key).is_some_and(|more| more.iter().any(|budget| which(*budget)))
        })
    }

    /// Notes a state; false if it was seen with as much to spend.
    fn insert(&mut self, print: u128, budget: Budget) -> bool {
        if self.covers(print, |seen| seen.covers(budget)) {
            return false;
        }
        let key = Self::key(print);
        match self.first.get_mut(&key) {
            None => _ = self.first.insert(key, budget),
            Some(first) if budget.covers(*first) => *first = budget,
            Some(_) => {
                let more = self.more.entry(key).or_default();
                more.retain(|seen| !budget.covers(*seen));
                more.push(budget);
            }
        }
        true
    }
}

/// Prints are hashes already.
#[derive(Default)]
struct Low(u64);

impl Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().take(8).fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }
}

/// Explores every history of a world. A fair run to the end is tried from one state in `settle_every`, and from every eighth
/// in which nothing but waiting is possible.
pub(crate) fn search(rules: Rules, settle_every: u128) -> Found {
    let mut found = Found::default();
    let mut seen = Seen::default();
    // How each state was reached, for telling the history.
    let mut origins: Vec<(u32, Action)> = Vec::new();
    let world = World::new(rules);
    let (print, budget) = world.print();
    seen.insert(print, budget);
    let mut queue = VecDeque::from([Node { world, print, budget, origin: u32::MAX, depth: 0 }]);
    while let Some(depth) = queue.front().map(|node| node.depth) {
        if found.depth < depth && queue.len() >= LARGE {
            println!("depth {depth}: {} to expand, {} states, {} steps", queue.len(), found.states, found.steps);
        }
        found.depth = depth;
        let here = queue.iter().take(ROUND).take_while(|node| node.depth == depth).count();
        let round = queue.drain(..here).map(|node| Mutex::new(Place::Node(Box::new(node)))).collect();
        for expanded in expand(round, &seen, settle_every) {
            found.states += 1;
            found.steps += expanded.steps;
            found.settled += usize::from(expanded.settled);
            found.sights.extend(expanded.sights);
            if let Some((violation, last)) = expanded.violation {
                found.violation = Some((violation, tell(&origins, expanded.origin, last)));
                return found;
            }
            for (world, print, budget, action) in expanded.next {
                if seen.insert(print, budget) {
                    origins.push((expanded.origin, action));
                    let origin = origins.len() as u32 - 1;
                    queue.push_back(Node { world, print, budget, origin, depth: depth + 1 });
                }
            }
        }
    }
    found
}

/// The history that leads to a state, and what was done to it.
fn tell(origins: &[(u32, Action)], mut at: u32, last: Vec<Action>) -> Vec<Action> {
    let mut history = Vec::new();
    while let Some((before, action)) = origins.get(at as usize) {
        history.push(*action);
        at = *before;
    }
    history.reverse();
    history.extend(last);
    history
}

/// Expands the states of a round on all cores.
fn expand(round: Vec<Mutex<Place>>, seen: &Seen, settle_every: u128) -> impl Iterator<Item = Expanded> + use<> {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let from = next.fetch_add(SHARE, Ordering::Relaxed);
            let Some(share) = round.get(from..).map(|rest| &rest[..rest.len().min(SHARE)]) else { return };
            for place in share {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                if let Place::Node(node) = std::mem::replace(&mut *place, Place::Skipped) {
                    let better = |other: Budget| other != node.budget && other.covers(node.budget);
                    if !seen.covers(node.print, better) {
                        *place = Place::Done(Box::new(step(*node, seen, settle_every)));
                    }
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if round.len() <= SHARE {
        work();
    } else {
        std::thread::scope(|scope| (0..cores).for_each(|_| _ = scope.spawn(work)));
    }
    round.into_iter().filter_map(|place| match place.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Place::Done(expanded) => Some(*expanded),
        Place::Node(_) | Place::Skipped => None,
    })
}

fn step(node: Node, seen: &Seen, settle_every: u128) -> Expanded {
    let mut out = Expanded { origin: node.origin, ..Expanded::default() };
    out.sights.extend(node.world.sights());
    let enabled = node.world.enabled();
    let settle_every = if enabled.iter().all(Action::waits) { settle_every.min(8) } else { settle_every };
    if node.print.is_multiple_of(settle_every) {
        out.settled = true;
        let mut run = Vec::new();
        if let Err(violation) = asserted(|| node.world.settle(&mut run)) {
            // A run that goes in circles shows enough in its first steps.
            run.truncate(40);
            out.violation = Some((violation, run));
            return out;
        }
    }
    let (mut world, last) = (Some(node.world), enabled.len().saturating_sub(1));
    for (i, action) in enabled.into_iter().enumerate() {
        out.steps += 1;
        // The last action may have the world itself.
        let Some(mut next) = (if i == last { world.take() } else { world.clone() }) else { break };
        if let Err(violation) = asserted(|| next.act(action)) {
            out.violation = Some((violation, vec![action]));
            return out;
        }
        let (print, budget) = next.print();
        if !seen.covers(print, |seen| seen.covers(budget)) {
            out.next.push((next, print, budget, action));
        }
    }
    out
}

/// A failed assertion of the ledger is a violation as well; its text starts with the invariant's id.
fn asserted<T>(step: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
    })
}
