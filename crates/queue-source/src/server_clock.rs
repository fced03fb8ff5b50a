//! The queue's clock, believed no further than its answers agree.
//!
//! One decision about safety rests on a time: an id whose delete nobody confirmed is forgotten once the queue itself must
//! have dropped its message, which is said on the queue's clock. A time that is too *late* forgets an id that can still come
//! back, and its message would be emitted twice. A time that is too *early* only keeps the id longer. So the lowest of many
//! answers is believed, carried on by our monotonic clock: one machine with a wrong clock, or a gateway that makes up a
//! `Date`, is outvoted by a single right answer.

use std::time::Duration;

use headwater_ledger::{Mono, ServerMs};

/// Answers before anything is believed. A poller has them within four minutes of empty polls at the longest; ids are
/// compared with the end of retention ten minutes after the start for the first time.
const ENOUGH: u32 = 8;

/// After this long the lowest answers of the time before are let go: one that was too early by days must not keep ids for
/// ever. Between one and two of these periods are looked at.
const PERIOD: Duration = Duration::from_secs(12 * 3_600);

/// What the queue's answers say of its clock, compared with our monotonic one.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    before: Period,
    now: Period,
}

/// The answers of one period.
#[derive(Debug, Default, Clone, Copy)]
struct Period {
    since: Mono,
    answers: u32,
    /// The queue's time minus ours, in milliseconds, where it is least. In 128 bits nothing an answer says overflows.
    lowest: Option<i128>,
}

impl ServerClock {
    /// Takes in the time that an answer read at `read` gives.
    pub(crate) fn learn(&mut self, read: Mono, said: ServerMs) {
        if read.since(self.now.since) >= PERIOD && self.now.answers > 0 {
            self.before = self.now;
            self.now = Period { since: read, ..Period::default() };
        }
        let offset = i128::from(said.0) - millis(read);
        self.now.answers = self.now.answers.saturating_add(1);
        self.now.lowest = Some(self.now.lowest.map_or(offset, |lowest| lowest.min(offset)));
    }

    /// The time that it certainly is at the queue, for what cannot be undone; `None` until enough answers were seen.
    pub(crate) fn certain(&self, now: Mono) -> Option<ServerMs> {
        let answers = self.before.answers.saturating_add(self.now.answers);
        self.likely(now).filter(|_| answers >= ENOUGH)
    }

    /// The best guess at the queue's time, for showing.
    pub(crate) fn likely(&self, now: Mono) -> Option<ServerMs> {
        let lowest = self.before.lowest.into_iter().chain(self.now.lowest).min()?;
        let time = lowest + millis(now);
        Some(ServerMs(i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })))
    }
}

/// When a message received at `now` was sent, as far as that can be believed: not longer ago than the queue keeps one (and an
/// hour, for clocks that differ). A message that is older by its own word has a wrong send time, and its id would be forgotten
/// too early: it counts as just sent, and so does one without a send time. A send time that is too late only keeps the id
/// longer, so it is taken as it is. Zero, when nothing is known, keeps it until its delete is confirmed.
pub(crate) fn sent_at(said: Option<ServerMs>, now: Option<ServerMs>, retention: Duration) -> ServerMs {
    let kept = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX).saturating_add(3_600_000);
    match (said, now) {
        (Some(said), Some(now)) if said.0 >= now.0.saturating_sub(kept) => said,
        (said, now) => now.or(said).unwrap_or_default(),
    }
}

fn millis(at: Mono) -> i128 {
    i128::try_from(at.0.as_millis()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_161_600_000;
    const DAY: i64 = 86_400_000;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    /// A clock that got these answers, one a second: how far each is from the truth, in milliseconds.
    fn told(errors: impl IntoIterator<Item = i64>) -> (ServerClock, Mono) {
        let mut clock = ServerClock::default();
        let mut now = at(0);
        for error in errors {
            now = now + Duration::from_secs(1);
            let truth = START + i64::try_from(now.0.as_millis()).unwrap();
            clock.learn(now, ServerMs(truth.saturating_add(error)));
        }
        (clock, now)
    }

    /// How far the belief is from the truth an hour later.
    fn error(clock: &ServerClock, now: Mono) -> Option<i64> {
        let later = now + Duration::from_secs(3_600);
        let truth = START + i64::try_from(later.0.as_millis()).unwrap();
        clock.certain(later).map(|time| time.0.saturating_sub(truth))
    }

    #[test]
    fn answers_that_agree_are_believed_and_carried_on() {
        let (clock, now) = told([0; 8]);
        assert_eq!(error(&clock, now), Some(0));
        let (clock, now) = told([-900, 0, -300, -999, -1, -500, -20, -400]);
        assert_eq!(error(&clock, now), Some(-999), "dates are cut to whole seconds");
    }

    #[test]
    fn too_few_answers_are_not_believed() {
        let (clock, now) = told([0; 7]);
        assert_eq!(error(&clock, now), None);
        assert!(clock.likely(now).is_some(), "but shown");
        assert_eq!(ServerClock::default().likely(now), None);
    }

    #[test]
    fn a_date_in_the_far_future_changes_nothing_wherever_it_comes() {
        for place in 0..12 {
            for wrong in [DAY, 400 * DAY, i64::MAX] {
                let (clock, now) = told((0..12).map(|number| if number == place { wrong } else { 0 }));
                assert_eq!(error(&clock, now), Some(0), "{wrong} at {place}");
            }
        }
        let (clock, now) = told([i64::MAX, i64::MAX, i64::MAX, 0, i64::MAX, i64::MAX, i64::MAX, i64::MAX]);
        assert_eq!(error(&clock, now), Some(0), "one right answer is enough");
    }

    #[test]
    fn a_date_in_the_past_delays_for_a_day_and_no_longer() {
        let (mut clock, _) = told((0..12).map(|number| if number == 5 { i64::MIN } else { 0 }));
        for hour in 1..=23 {
            clock.learn(at(hour * 3_600), ServerMs(START + i64::try_from(hour).unwrap() * 3_600_000));
            assert!(
                clock.certain(at(hour * 3_600)).is_some_and(|time| time.0 < START),
                "hour {hour}: too early is safe"
            );
        }
        clock.learn(at(24 * 3_600), ServerMs(START + DAY));
        assert_eq!(clock.certain(at(24 * 3_600)), Some(ServerMs(START + DAY)));
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        let mut clock = ServerClock::default();
        for said in [i64::MAX, i64::MIN, 0].repeat(4) {
            clock.learn(Mono(Duration::MAX), ServerMs(said));
        }
        assert_eq!(clock.certain(at(0)), Some(ServerMs(i64::MIN)));
        let mut clock = ServerClock::default();
        (0..8).for_each(|_| clock.learn(at(0), ServerMs(i64::MAX)));
        assert_eq!(clock.certain(Mono(Duration::MAX)), Some(ServerMs(i64::MAX)));
    }

    #[test]
    fn a_send_time_longer_ago_than_messages_are_kept_is_not_believed() {
        let retention = Duration::from_secs(4 * 86_400);
        let now = Some(ServerMs(START));
        for (said, believed) in [
            (START - 4 * DAY, START - 4 * DAY),
            (START - 4 * DAY - 3_600_000, START - 4 * DAY - 3_600_000),
            (START - 4 * DAY - 3_600_001, START),
            (1, START),
            (i64::MIN, START),
            (START + DAY, START + DAY),
            (i64::MAX, i64::MAX),
        ] {
            assert_eq!(sent_at(Some(ServerMs(said)), now, retention), ServerMs(believed), "{said}");
        }
        assert_eq!(sent_at(None, now, retention), ServerMs(START), "just received, so not sent later");
        assert_eq!(sent_at(Some(ServerMs(5)), None, retention), ServerMs(5));
        assert_eq!(sent_at(Some(ServerMs(5)), Some(ServerMs(i64::MIN)), Duration::MAX), ServerMs(5));
        assert_eq!(sent_at(None, None, retention), ServerMs(0));
    }
}
