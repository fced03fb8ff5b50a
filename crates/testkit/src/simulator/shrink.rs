//! From a failing seed to the shortest history that still fails.

use std::time::Duration;

use super::faults::FaultSet;
use super::options::Options;
use super::{Outcome, simulate};

/// Histories tried before the shortest so far is taken. 400: half a minute.
const TRIES_MAX: u32 = 400;

/// The shortest failing history that was found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// Under which options it fails.
    pub options: Options,
    /// What happens then, with its trace.
    pub outcome: Outcome,
    /// Histories tried.
    pub tries: u32,
}

/// Looks for the shortest history of `seed` that breaks the same promise: fewer lives, kinds of faults, messages, rarer
/// faults, an earlier end.
///
/// `None` if the seed does not fail under `options`.
#[must_use]
pub fn shrink(seed: u64, options: &Options) -> Option<Shrunk> {
    let mut search = Search { seed, id: "", best: options.clone(), events: u64::MAX, tries: 0 };
    let first = simulate(seed, options);
    search.id = first.violation.as_ref()?.id;
    search.events = first.figures.events;
    let end = Duration::from_secs(first.figures.virtual_seconds + 1);
    loop {
        let before = search.events;
        search.fewer_lives(u32::try_from(first.figures.lives).unwrap_or(u32::MAX));
        search.fewer_faults();
        search.fewer_messages(u32::try_from(first.figures.messages).unwrap_or(u32::MAX));
        search.earlier_end(end);
        search.rarer_faults();
        if search.events >= before || search.tries >= TRIES_MAX {
            break;
        }
    }
    let mut options = search.best;
    options.trace = true;
    let outcome = simulate(seed, &options);
    Some(Shrunk { options, outcome, tries: search.tries })
}

struct Search {
    seed: u64,
    id: &'static str,
    best: Options,
    events: u64,
    tries: u32,
}

impl Search {
    /// Takes these options if they fail in the same way, and not later.
    fn accept(&mut self, options: Options) -> bool {
        if self.tries >= TRIES_MAX || options == self.best {
            return false;
        }
        self.tries += 1;
        let outcome = simulate(self.seed, &options);
        let fails = outcome.violation.is_some_and(|violation| violation.id == self.id);
        let better = fails && outcome.figures.events <= self.events;
        if better {
            (self.best, self.events) = (options, outcome.figures.events);
        }
        better
    }

    fn fewer_lives(&mut self, lives: u32) {
        let most = self.best.lives.unwrap_or(lives);
        for lives in 0..most {
            if self.accept(Options { lives: Some(lives), ..self.best.clone() }) {
                return;
            }
        }
    }

    fn fewer_faults(&mut self) {
        if self.accept(Options { faults: FaultSet::NONE, ..self.best.clone() }) {
            return;
        }
        let kinds: Vec<_> = self.best.faults.iter().collect();
        for half in kinds.chunks(kinds.len().div_ceil(4).max(1)) {
            let fewer = half.iter().fold(self.best.faults, |set, fault| set.without(*fault));
            self.accept(Options { faults: fewer, ..self.best.clone() });
        }
        for fault in self.best.faults.iter() {
            self.accept(Options { faults: self.best.faults.without(fault), ..self.best.clone() });
        }
    }

    fn fewer_messages(&mut self, messages: u32) {
        let mut step = self.best.messages.unwrap_or(messages) / 2;
        while step > 0 {
            let now = self.best.messages.unwrap_or(messages);
            let fewer = now.saturating_sub(step).max(1);
            if !self.accept(Options { messages: Some(fewer), ..self.best.clone() }) {
                step /= 2;
            }
        }
    }

    fn earlier_end(&mut self, end: Duration) {
        let mut step = self.best.cut.unwrap_or(end) / 2;
        while step > Duration::from_millis(100) {
            let cut = self.best.cut.unwrap_or(end).saturating_sub(step);
            let cut = Duration::from_millis(u64::try_from(cut.as_millis()).unwrap_or(0));
            if !self.accept(Options { cut: Some(cut), ..self.best.clone() }) {
                step /= 2;
            }
        }
    }

    fn rarer_faults(&mut self) {
        for rates in [0, 25, 50] {
            if rates < self.best.rates && self.accept(Options { rates, ..self.best.clone() }) {
                return;
            }
        }
    }
}
