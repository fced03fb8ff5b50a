//! Messages that cannot be processed, or that the consumer does not want: what a seed draws of them, and what they are made of.
//!
//! Every message draws from a generator of its own. A seed without any of this is what it was before there was any.

use std::time::Duration;

use super::books;
use super::faults::{Fault, FaultSet};
use super::options::Options;
use super::plan::{between, fork, one_of, random_bit};
use crate::random::Random;

/// A body that begins with this cannot be read at all.
pub(crate) const GARBAGE: &str = "%";
/// A line that begins with this cannot be decoded.
pub(crate) const BAD: &str = "bad ";
/// A row that ends with this makes an expression of the job fail.
pub(crate) const FAILING: &str = "!";

/// What becomes of messages that cannot be processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Policy {
    Skip,
    /// `deadLetterPath`.
    Directory,
    /// `deadLetterQueue`.
    Queue,
}

/// What a seed draws.
#[derive(Clone, Debug)]
pub(crate) struct DataPlan {
    pub(crate) policy: Policy,
    pub(crate) max_dequeue_count: Option<u32>,
    /// Letters out of a thousand with which something goes wrong on their way to the queue.
    pub(crate) letters_lost: u16,
    kinds: FaultSet,
    /// Messages out of a thousand that each kind hits.
    share: u16,
    lease: Duration,
}

/// How a life departs from the policy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strictness {
    /// The job ends at the first bad message.
    pub(crate) fails: bool,
    /// The job ends after so many.
    pub(crate) budget: Option<u64>,
}

/// What a message is made of, and what is to become of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) body: String,
    /// Rows that are to be shown.
    pub(crate) rows: u32,
    /// Rows that the source makes of it.
    pub(crate) decoded: u32,
    /// What is wrong with it before anybody complains.
    pub(crate) bad: u32,
    pub(crate) failing: u32,
    pub(crate) wish: Wish,
}

/// What the consumer does with a message that is handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Wish {
    #[default]
    Keep,
    /// Rejects it: at once, and drops its rows; or `late`, before the checkpoint, with its rows written.
    Reject { late: bool },
    /// Gives it back, so many times, each for so long.
    GiveBack { times: u8, delay: Duration },
}

impl Content {
    /// Only rows.
    pub(crate) fn rows(number: usize, rows: u32) -> Self {
        let lines: Vec<String> = (0..rows).map(|row| books::row(number, row)).collect();
        Self { body: lines.join("\n"), rows, decoded: rows, ..Self::default() }
    }

    /// Whether something is wrong with it that the policy is about.
    pub(crate) const fn is_bad(&self) -> bool {
        self.bad > 0 || self.failing > 0
    }

    /// Whether a letter is to be written where letters are.
    pub(crate) const fn has_letter(&self) -> bool {
        self.is_bad() || matches!(self.wish, Wish::Reject { .. })
    }
}

impl DataPlan {
    /// For two seeds in five.
    pub(crate) fn draw(seed: u64, lease: Duration, options: &Options) -> Option<Self> {
        let mut random = fork(seed, 8);
        let (drawn, policy) =
            (random.chance(400), one_of(&mut random, &[Policy::Skip, Policy::Directory, Policy::Queue]));
        let (share, lost) = (one_of(&mut random, &[10, 60, 60, 300]), one_of(&mut random, &[0, 50, 300]));
        let most = 3 + u32::try_from(random.below(8)).unwrap_or(0);
        let has = |fault: &Fault| options.faults.has(*fault) && random_bit(seed, *fault);
        let all = [Fault::BadRecord, Fault::FailingRow, Fault::Rejected, Fault::GivenBack, Fault::TooOften];
        let kinds = all.into_iter().filter(has).fold(FaultSet::NONE, FaultSet::with);
        if !drawn || kinds == FaultSet::NONE {
            return None;
        }
        let lost = if options.faults.has(Fault::LetterLost) { lost } else { 0 };
        Some(Self {
            policy,
            max_dequeue_count: (kinds.has(Fault::TooOften) && policy != Policy::Skip).then_some(most),
            letters_lost: lost * options.rates.min(100) / 100,
            kinds,
            share,
            lease,
        })
    }

    /// One life in eight ends at the first bad message, one in eight after some.
    pub(crate) fn strictness(seed: u64, life: u64) -> Strictness {
        let mut random = fork(seed, 3_000 + life);
        let (drawn, budget) = (random.below(8), random.below(20));
        Strictness { fails: drawn == 0, budget: (drawn == 1).then_some(budget) }
    }

    fn hits(&self, random: &mut Random, fault: Fault) -> bool {
        random.chance(self.share) && self.kinds.has(fault)
    }

    /// What message number `number` is made of, which has so many good rows.
    pub(crate) fn content(&self, seed: u64, number: usize, rows: u32) -> Content {
        let mut random = fork(seed, 1 << 40 | number as u64);
        let whole = random.chance(300);
        let mut content = Content::rows(number, rows);
        if self.hits(&mut random, Fault::BadRecord) {
            content.bad = 1;
            if whole {
                return Content { body: format!("{GARBAGE} m{number}"), rows: 0, decoded: 0, ..content };
            }
            content.insert(&mut random, format!("{BAD}m{number}"));
        }
        if self.hits(&mut random, Fault::FailingRow) {
            (content.failing, content.decoded) = (1, content.decoded + 1);
            content.insert(&mut random, format!("m{number}{FAILING}"));
        }
        let (late, times) = (random.chance(400), 1 + u8::try_from(random.below(3)).unwrap_or(0));
        let delay = between(&mut random, Duration::ZERO, self.lease * 2);
        if content.decoded == 0 {
            // What has no row is not seen by the consumer.
        } else if self.hits(&mut random, Fault::Rejected) {
            content.wish = Wish::Reject { late };
            content.rows = if late { rows } else { 0 };
        } else if self.hits(&mut random, Fault::GivenBack) {
            content.wish = Wish::GiveBack { times, delay };
        }
        content
    }
}

impl Content {
    fn insert(&mut self, random: &mut Random, line: String) {
        let mut lines: Vec<&str> = self.body.lines().collect();
        let at = usize::try_from(random.below(lines.len() as u64 + 1)).unwrap_or(0);
        lines.insert(at, &line);
        self.body = lines.join("\n");
    }
}
