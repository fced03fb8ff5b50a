//! How many polls run side by side: a state machine without I/O, clock or randomness of its own.
//!
//! Pollers share seats. Whoever has one polls again and again and says how each poll ended; that moves the number of seats:
//!
//! ```text
//!   many messages ─► one more (so the number doubles with every round trip)      few ─► one less
//!   nothing, after the full wait ─► half as many, down to the scout              failed ─► half as many, and a pause
//!   nothing, much too soon: the account has too many polls parked ─► as many as are parked, or a pause of the only one
//! ```
//! A poller that pauses keeps its seat: another one would only meet the same trouble.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::config::{Objective, SourceConfig};

/// The longest pause between polls that are not parked: of a queue that does not wait, of a scout that may not park although
/// latency counts, of a full ledger's scout that finds nothing known. 1 s, so that a message is still found soon.
const SHORT_POLL_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long messages may gather before the next receive when cost counts. 5 s, half of the default time between checkpoints:
/// what waits for a checkpoint anyway does not notice.
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(5);

/// The first such pause, times what was missing to a full answer. 50 ms, some round trips: less would gather nothing.
const LINGER_MIN: Duration = Duration::from_millis(50);

/// How a poll ended, as far as the number of polls depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With so many messages of so many asked for.
    Messages { got: u32, asked: u32 },
    /// With messages of which a full ledger takes only the known ones, and whether there were any.
    Screened { known: bool },
    /// Empty after its full wait.
    Empty,
    /// Empty at once, because the queue does not wait or was not asked to.
    EmptyAtOnce,
    /// Empty much too early, as when too many polls of an account are parked.
    EmptyEarly,
    /// Without an answer that could be read.
    Failed,
}

/// A pause between two polls on a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) time: Duration,
    /// Nobody can say that the queue is empty because this seat saw nothing: it did not look.
    pub(crate) blind: bool,
}

/// The number of a poll, in the order in which they began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PollNumber(u64);

/// See the module.
#[derive(Debug)]
pub(crate) struct Pace {
    objective: Objective,
    /// Seats at most, and at least while nothing is wrong.
    most: u32,
    least: u32,
    batch: u32,
    wanted: u32,
    taken: u32,
    /// Polls that have begun and not ended.
    polling: u32,
    begun: u64,
    /// Polls with a lower number belong to a trouble that has been answered.
    answered: PollNumber,
    trouble: Backoff,
    early: Backoff,
    short: Backoff,
    linger: Duration,
    full_before: bool,
}

impl Pace {
    pub(crate) fn new(config: &SourceConfig) -> Self {
        let (min, max) = (config.backoff_min, config.backoff_max);
        let most = u32::try_from(config.pollers).unwrap_or(u32::MAX).max(1);
        let short = max.min(SHORT_POLL_PAUSE_MAX);
        // A scout that may not park asks as often as one that may, unless latency counts more than its calls.
        let early = if config.objective == Objective::Latency { short } else { max.min(config.wait.max(min)) };
        let least = if config.objective == Objective::Latency { most.min(2) } else { 1 };
        Self {
            objective: config.objective,
            most,
            least,
            batch: config.limits.batch_max.max(1),
            wanted: least,
            taken: 0,
            polling: 0,
            begun: 0,
            answered: PollNumber(0),
            trouble: Backoff::new(min, max, config.seed.wrapping_add(1)),
            early: Backoff::new(min, early, config.seed.wrapping_add(2)),
            short: Backoff::new(min, short, config.seed.wrapping_add(3)),
            linger: Duration::ZERO,
            full_before: false,
        }
    }

    /// Takes a seat, if there is one.
    pub(crate) fn enter(&mut self) -> bool {
        let free = self.has_free();
        self.taken += u32::from(free);
        free
    }

    /// Gives a seat back.
    pub(crate) fn leave(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Whether a seat is free.
    pub(crate) fn has_free(&self) -> bool {
        self.taken < self.wanted
    }

    /// Whether there are more pollers seated than wanted: the one that asks is to leave.
    pub(crate) fn is_crowded(&self) -> bool {
        self.taken > self.wanted
    }

    /// Seats taken.
    pub(crate) fn taken(&self) -> u32 {
        self.taken
    }

    /// Polls on their way.
    pub(crate) fn polling(&self) -> u32 {
        self.polling
    }

    /// A seated poller begins a poll. It ends in one [`ended`](Self::ended) or [`cut`](Self::cut).
    pub(crate) fn begin(&mut self) -> PollNumber {
        self.polling += 1;
        self.begun += 1;
        PollNumber(self.begun)
    }

    /// A poll ends without an outcome, because its poller does.
    pub(crate) fn cut(&mut self) {
        self.polling = self.polling.saturating_sub(1);
    }

    /// A poll has ended. Says what its poller pauses for, on its seat.
    pub(crate) fn ended(&mut self, number: PollNumber, outcome: Outcome) -> Option<Pause> {
        self.polling = self.polling.saturating_sub(1);
        if !matches!(outcome, Outcome::Failed | Outcome::EmptyEarly) {
            self.trouble.reset();
            self.early.reset();
        }
        if !matches!(outcome, Outcome::EmptyAtOnce | Outcome::Screened { known: false }) {
            self.short.reset();
        }
        match outcome {
            Outcome::Messages { got, asked } => self.messages(got, asked),
            Outcome::Screened { known } => {
                // One receive at a time is all that a full ledger allows. What it leaves to lapse is leased all the same, and
                // counts as undeleted with the service: it must not go through a whole queue like that.
                self.wanted = 1;
                (!known).then(|| Pause { time: self.short.next(), blind: true })
            }
            Outcome::Empty => {
                self.nothing();
                None
            }
            Outcome::EmptyAtOnce => {
                self.wanted = (self.wanted / 2).max(1);
                // It has looked, for all that this queue looks.
                Some(Pause { time: self.short.next(), blind: false })
            }
            Outcome::EmptyEarly => self.too_many_parked(),
            Outcome::Failed => Some(Pause { time: self.step_down(number), blind: true }),
        }
    }

    fn messages(&mut self, got: u32, asked: u32) -> Option<Pause> {
        // A receive that asked for less, for want of permits, says nothing of what is there.
        let limited = asked < self.batch;
        match self.objective {
            // Several at once: the first of them waited for a poll.
            Objective::Latency if got > 1 || self.batch == 1 => self.more(),
            Objective::Latency => {}
            Objective::Throughput if got >= self.batch.div_ceil(2) => self.more(),
            // With so few in an answer, fewer polls bring as much.
            Objective::Throughput if !limited && got < self.batch.div_ceil(4) => self.fewer(),
            Objective::Throughput => {}
            Objective::Cost => return self.gather(got, asked),
        }
        None
    }

    /// When cost counts: after an answer that was not full, messages gather for as long as a full one might take.
    fn gather(&mut self, got: u32, asked: u32) -> Option<Pause> {
        if got >= asked {
            // Two in a row are a backlog.
            self.linger = if self.full_before { Duration::ZERO } else { self.linger / 2 };
            self.full_before = true;
            if self.linger < LINGER_MIN {
                self.linger = Duration::ZERO;
                self.more();
            }
        } else {
            self.full_before = false;
            self.linger = (self.linger.max(LINGER_MIN) * asked / got.max(1)).min(LINGER_MAX);
            self.fewer();
        }
        (!self.linger.is_zero()).then_some(Pause { time: self.linger, blind: true })
    }

    fn nothing(&mut self) {
        (self.linger, self.full_before) = (Duration::ZERO, false);
        self.wanted = match self.objective {
            // One at a time: who was there a moment ago is likely to be there again.
            Objective::Latency => self.wanted - 1,
            Objective::Throughput => self.wanted / 2,
            Objective::Cost => 1,
        }
        .max(self.least);
    }

    /// An answer that came too soon says how many polls may be parked: those that are.
    fn too_many_parked(&mut self) -> Option<Pause> {
        self.wanted = self.wanted.min(self.polling).max(1);
        (self.polling == 0).then(|| Pause { time: self.early.next(), blind: true })
    }

    /// Polls that began before the last step failed with the one that made it: they pause as long, and change nothing.
    fn step_down(&mut self, number: PollNumber) -> Duration {
        if number < self.answered {
            return self.trouble.again();
        }
        self.answered = PollNumber(self.begun + 1);
        self.wanted = (self.wanted / 2).max(1);
        self.trouble.next()
    }

    fn more(&mut self) {
        self.wanted = (self.wanted + 1).min(self.most);
    }

    fn fewer(&mut self) {
        self.wanted = (self.wanted - 1).max(self.least.min(self.wanted));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_formats::{Format, RowType};

    use super::Outcome::{Empty, EmptyAtOnce, EmptyEarly, Failed, Screened};
    use super::*;

    fn pace(objective: Objective, pollers: usize) -> Pace {
        let columns: RowType = "a STRING".parse().expect("a row type");
        let mut config = SourceConfig::new("t", Arc::clone(&Format::json().factory(&columns).expect("a decoder")));
        (config.objective, config.pollers, config.seed) = (objective, pollers, 7);
        Pace::new(&config)
    }

    fn got(got: u32) -> Outcome {
        Outcome::Messages { got, asked: 16 }
    }

    impl Pace {
        /// Every free seat is taken and begins to poll.
        fn fill(&mut self) -> Vec<PollNumber> {
            std::iter::from_fn(|| self.enter().then(|| self.begin())).collect()
        }

        /// One poll of the only poller there is for a moment.
        fn poll(&mut self, outcome: Outcome) -> Option<Pause> {
            let number = self.begin();
            self.ended(number, outcome)
        }
    }

    /// The number of seats before the first outcome and after each, the pauses left out.
    fn seats(objective: Objective, pollers: usize, outcomes: &[Outcome]) -> Vec<u32> {
        let mut pace = pace(objective, pollers);
        let mut seats = vec![pace.wanted];
        for outcome in outcomes {
            pace.poll(*outcome);
            seats.push(pace.wanted);
        }
        seats
    }

    /// What it shows, the objective, the pollers, how polls end, and the seats before the first and after each of them.
    type Case<'a> = (&'a str, Objective, usize, &'a [Outcome], &'a [u32]);

    #[test]
    fn the_number_of_polls_follows_what_they_bring() {
        use Objective::{Cost, Latency, Throughput};
        let limited = Outcome::Messages { got: 1, asked: 2 };
        let table: &[Case<'_>] = &[
            ("full answers, up to the most", Throughput, 4, &[got(16); 5], &[1, 2, 3, 4, 4, 4]),
            ("half full is a hit", Throughput, 4, &[got(8), got(7)], &[1, 2, 2]),
            (
                "few are a miss",
                Throughput,
                4,
                &[got(16), got(16), got(4), got(3), got(1), got(1)],
                &[1, 2, 3, 3, 2, 1, 1],
            ),
            ("few for want of permits say nothing", Throughput, 4, &[got(16), limited], &[1, 2, 2]),
            (
                "nothing halves",
                Throughput,
                8,
                &[got(16), got(16), got(16), got(16), Empty, Empty, Empty],
                &[1, 2, 3, 4, 5, 2, 1, 1],
            ),
            ("latency keeps two parked", Latency, 8, &[Empty, got(1), Empty], &[2, 2, 2, 2]),
            ("latency: several waited for a poll", Latency, 4, &[got(2), got(2), got(2)], &[2, 3, 4, 4]),
            (
                "latency: one step back at a time",
                Latency,
                8,
                &[got(9), got(9), Empty, Empty, Empty],
                &[2, 3, 4, 3, 2, 2],
            ),
            ("latency with one poller has one", Latency, 1, &[got(16), Empty, Failed], &[1, 1, 1, 1]),
            ("cost: a backlog is worth more polls", Cost, 4, &[got(16), got(16), got(16)], &[1, 2, 3, 4]),
            ("cost: what is not full is not", Cost, 4, &[got(16), got(16), got(4), got(16)], &[1, 2, 3, 2, 2]),
            ("cost: nothing leaves the scout", Cost, 4, &[got(16), got(16), Empty], &[1, 2, 3, 1]),
            (
                "trouble halves",
                Throughput,
                8,
                &[got(16), got(16), got(16), got(16), Failed, Failed],
                &[1, 2, 3, 4, 5, 2, 1],
            ),
            (
                "a queue that does not wait has one asker",
                Throughput,
                8,
                &[got(16), got(16), EmptyAtOnce],
                &[1, 2, 3, 1],
            ),
            ("a full ledger has a scout", Throughput, 8, &[got(16), Screened { known: true }], &[1, 2, 1]),
            ("after trouble latency gets its second back", Latency, 8, &[Failed, Empty], &[2, 1, 2]),
        ];
        for (what, objective, pollers, outcomes, expected) in table {
            assert_eq!(seats(*objective, *pollers, outcomes), *expected, "{what}");
        }
    }

    #[test]
    fn hits_of_all_polls_double_them_in_one_round_trip() {
        let mut pace = pace(Objective::Throughput, 64);
        let mut running = pace.fill();
        let mut seen = Vec::new();
        for _ in 0..8 {
            seen.push(pace.taken());
            for number in std::mem::take(&mut running) {
                assert_eq!(pace.ended(number, got(16)), None);
                running.push(pace.begin());
            }
            running.extend(pace.fill());
        }
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 64, 64]);
    }

    /// 64 polls of an account that may park 5: the others leave at once and without a pause.
    #[test]
    fn as_many_polls_stay_as_may_be_parked() {
        let mut pace = pace(Objective::Throughput, 64);
        pace.wanted = 64;
        let running = pace.fill();
        for number in &running[5..] {
            assert_eq!(pace.ended(*number, EmptyEarly), None);
            assert!(pace.is_crowded());
            pace.leave();
        }
        assert_eq!((pace.wanted, pace.taken()), (5, 5));
        assert!(!pace.is_crowded() && !pace.has_free());
    }

    #[test]
    fn the_only_poll_that_may_not_park_backs_off() {
        for (objective, longest) in [(Objective::Throughput, 10_000), (Objective::Latency, 1_000)] {
            let mut pace = pace(objective, 64);
            let pauses: Vec<_> = (0..12).filter_map(|_| pace.poll(EmptyEarly)).collect();
            assert_eq!(pauses.len(), 12);
            assert!(pauses.iter().all(|pause| pause.blind), "nobody has looked");
            let millis: Vec<_> = pauses.iter().map(|pause| pause.time.as_millis()).collect();
            assert!((50..=100).contains(&millis[0]) && (100..=200).contains(&millis[1]), "{millis:?}");
            assert!(millis[8..].iter().all(|m| (longest / 2..=longest).contains(m)), "{millis:?}");
            assert!(millis[8..].windows(2).any(|w| w[0] != w[1]), "with jitter: {millis:?}");
            pace.poll(Empty);
            assert!(pace.poll(EmptyEarly).is_some_and(|pause| pause.time <= Duration::from_millis(100)), "begins anew");
        }
    }

    #[test]
    fn polls_that_fail_together_are_one_trouble() {
        let mut pace = pace(Objective::Throughput, 64);
        pace.wanted = 64;
        let running = pace.fill();
        let (mut longest, mut wanted) = (Duration::ZERO, Vec::new());
        for number in running {
            let pause = pace.ended(number, Failed).expect("a pause");
            assert!(pause.blind);
            longest = longest.max(pause.time);
            wanted.push(pace.wanted);
        }
        assert_eq!(wanted, [32; 64]);
        assert!(longest <= Duration::from_millis(100), "{longest:?}");
        // The next one is another step.
        let pause = pace.poll(Failed).expect("a pause");
        assert_eq!(pace.wanted, 16);
        assert!(pause.time >= Duration::from_millis(100));
    }

    #[test]
    fn a_poller_that_pauses_keeps_its_seat() {
        let mut pace = pace(Objective::Throughput, 64);
        let number = pace.fill()[0];
        pace.ended(number, Failed);
        assert!(!pace.enter(), "another one would meet the same trouble");
    }

    #[test]
    fn a_full_ledgers_scout_does_not_go_through_the_queue() {
        let mut pace = pace(Objective::Throughput, 64);
        let pauses: Vec<_> = (0..9).filter_map(|_| pace.poll(Screened { known: false })).collect();
        assert_eq!(pauses.len(), 9);
        assert!(pauses.iter().all(|pause| pause.blind && pause.time <= Duration::from_secs(1)));
        assert!(pauses[8].time >= Duration::from_millis(500));
        assert_eq!(pace.poll(Screened { known: true }), None, "a known id is worth the next receive at once");
        assert!(pace.poll(Screened { known: false }).is_some_and(|pause| pause.time <= Duration::from_millis(100)));
    }

    /// Messages come at an even rate, a round trip takes 20 ms: what a receive costs, and how long a message waits for it.
    #[test]
    fn cost_gathers_full_answers_within_its_bound() {
        for (per_second, at_least) in [(2, 8), (10, 12), (100, 11), (400, 11)] {
            let mut pace = pace(Objective::Cost, 1);
            let (mut now, mut taken, mut calls, mut longest) = (0u64, 0u64, 0u64, 0u64);
            while now < 600_000 {
                let there = now * per_second / 1000;
                if there == taken {
                    // Parked until the next message comes.
                    now = (taken + 1) * 1000 / per_second + 1;
                    continue;
                }
                let some = (there - taken).min(16);
                longest = longest.max(now - taken * 1000 / per_second);
                (taken, calls) = (taken + some, calls + 1);
                let pause =
                    pace.poll(got(u32::try_from(some).expect("few"))).map_or(0, |pause| pause.time.as_millis() as u64);
                now += 20 + pause;
            }
            assert!(taken / calls >= at_least, "{per_second}/s: {taken} messages in {calls} receives");
            assert!(longest <= 7_600, "{per_second}/s: a message waited for {longest} ms");
        }
    }

    #[test]
    fn cost_does_not_gather_while_there_is_a_backlog_or_nothing() {
        let mut pace = pace(Objective::Cost, 8);
        assert_eq!(pace.poll(got(1)).map(|pause| pause.time), Some(Duration::from_millis(800)));
        assert_eq!(pace.poll(got(1)).map(|pause| (pause.time, pause.blind)), Some((LINGER_MAX, true)));
        assert_eq!(pace.poll(got(16)).map(|pause| pause.time), Some(LINGER_MAX / 2));
        assert_eq!(pace.poll(got(16)), None, "two full ones in a row");
        pace.poll(got(1));
        assert_eq!(pace.poll(Empty), None, "the next poll is parked");
        assert_eq!(pace.poll(got(8)).map(|pause| pause.time), Some(LINGER_MIN * 2), "and begins anew");
    }

    /// Whatever happens, somebody polls or will: at least one seat, never more than there are pollers, no pause without end.
    #[test]
    fn there_is_always_a_seat_and_never_too_many() {
        let mut random = 1u64;
        let mut draw = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for objective in [Objective::Latency, Objective::Throughput, Objective::Cost] {
            for pollers in [1, 2, 5, 64] {
                let mut pace = pace(objective, pollers);
                let mut running = Vec::new();
                for _ in 0..5_000 {
                    running.extend(pace.fill());
                    assert!(!running.is_empty() && running.len() <= pollers);
                    let number = running.swap_remove(draw(running.len() as u64) as usize);
                    let some = draw(16) as u32 + 1;
                    let outcome = match draw(9) {
                        0 => Empty,
                        1 => EmptyAtOnce,
                        2 => EmptyEarly,
                        3 => Failed,
                        4 => Screened { known: draw(2) == 0 },
                        5 => Outcome::Messages { got: some.min(4), asked: 4 },
                        _ => got(some),
                    };
                    let pause = pace.ended(number, outcome);
                    assert!(pause.is_none_or(|pause| pause.time <= Duration::from_secs(10)));
                    assert!((1..=pollers).contains(&(pace.wanted as usize)), "{objective:?} {}", pace.wanted);
                    assert_eq!(pace.polling as usize, running.len());
                    if pace.is_crowded() {
                        pace.leave();
                    } else {
                        running.push(pace.begin());
                    }
                }
            }
        }
    }
}
