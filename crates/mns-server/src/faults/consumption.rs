//! The service's throttle of abnormal consumption: who receives and does not delete is slowed down hard.

use super::AbnormalConsumption;
use crate::state::Millis;

/// What one queue's consumers did lately.
#[derive(Debug, Default)]
pub(super) struct Consumption {
    /// The first receive since the last delete.
    receiving_since: Option<Millis>,
    /// The second the following three count in.
    second: u64,
    received: u64,
    deleted: u64,
    admitted: u64,
}

impl Consumption {
    /// Whether a receive may go through, with so many messages received and not deleted by now.
    pub(super) fn admit(&mut self, limits: &AbnormalConsumption, now: Millis, undeleted: u64) -> bool {
        self.turn(now);
        let long = self.receiving_since.is_some_and(|since| now.saturating_sub(since) > limits.max_seconds * 1_000);
        let fast = self.received.saturating_sub(self.deleted) > limits.max_per_second;
        let abnormal = long || fast || undeleted > limits.max_undeleted;
        if abnormal && self.admitted >= limits.admitted_per_second {
            return false;
        }
        self.admitted += 1;
        true
    }

    pub(super) fn received(&mut self, now: Millis, messages: u64) {
        self.turn(now);
        self.received += messages;
        if messages > 0 {
            self.receiving_since.get_or_insert(now);
        }
    }

    pub(super) fn deleted(&mut self, now: Millis, messages: u64) {
        self.turn(now);
        self.deleted += messages;
        if messages > 0 {
            self.receiving_since = None;
        }
    }

    fn turn(&mut self, now: Millis) {
        if now / 1_000 != self.second {
            (self.second, self.received, self.deleted, self.admitted) = (now / 1_000, 0, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AbnormalConsumption =
        AbnormalConsumption { max_undeleted: 100, max_seconds: 60, max_per_second: 32, admitted_per_second: 1 };

    #[test]
    fn each_limit_alone_is_enough() {
        let admitted = |consumption: &mut Consumption, now, undeleted| {
            (0..3).filter(|_| consumption.admit(&LIMITS, now, undeleted)).count()
        };
        let mut many = Consumption::default();
        assert_eq!((admitted(&mut many, 0, 100), admitted(&mut many, 1_000, 101)), (3, 1));

        let mut long = Consumption::default();
        long.received(0, 1);
        assert_eq!((admitted(&mut long, 60_000, 1), admitted(&mut long, 61_000, 1)), (3, 1));
        long.deleted(61_000, 1);
        assert_eq!(admitted(&mut long, 62_000, 0), 3, "a delete ends it");

        let mut fast = Consumption::default();
        fast.received(500, 33);
        assert_eq!(admitted(&mut fast, 900, 33), 1);
        fast.deleted(950, 1);
        assert_eq!(admitted(&mut fast, 990, 32), 3, "what is deleted within the second does not count");
        fast.received(1_500, 33);
        assert_eq!(admitted(&mut fast, 2_000, 65), 3, "the next second starts anew");
    }
}
