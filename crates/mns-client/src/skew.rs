//! How far the service's clock is from this machine's, learnt from the `Date` of its answers.

use std::sync::{Mutex, PoisonError};

use headwater_core::{ServerMs, WallMs};

/// The service's clock, compared with this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// Add this to this machine's time of day to get the service's; milliseconds.
    pub offset_ms: i64,
    /// How far off that may be: half a second, since dates have no fraction, and half of the call's duration.
    pub uncertainty_ms: i64,
}

impl ClockOffset {
    /// Measures by the date of an answer to a call that was sent and answered at these times.
    pub(crate) fn measure(date: ServerMs, sent: WallMs, answered: WallMs) -> Self {
        let duration = answered.0.saturating_sub(sent.0).max(0);
        let middle = sent.0.saturating_add(duration / 2);
        Self {
            // The date is cut to whole seconds: on average half a second is missing.
            offset_ms: date.0.saturating_add(500).saturating_sub(middle),
            uncertainty_ms: 500_i64.saturating_add(duration / 2),
        }
    }

    /// Whether both cannot be true: a clock was set in between.
    fn contradicts(self, other: Self) -> bool {
        let apart = self.offset_ms.abs_diff(other.offset_ms);
        apart > self.uncertainty_ms.saturating_add(other.uncertainty_ms).unsigned_abs()
    }
}

/// The best measurement of late: the one with the smallest uncertainty among those not too old.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    best: Mutex<Option<(WallMs, ClockOffset)>>,
}

/// After five minutes a good measurement gives way to any newer one: clocks drift and are set.
const BEST_FOR_MS: i64 = 5 * 60 * 1_000;

impl ServerClock {
    /// Takes in a measurement that ended at `at`.
    pub(crate) fn learn(&self, measured: ClockOffset, at: WallMs) {
        let mut best = self.lock();
        match *best {
            Some((since, have))
                if have.uncertainty_ms < measured.uncertainty_ms
                    && at.0.saturating_sub(since.0).abs() < BEST_FOR_MS
                    && !have.contradicts(measured) => {}
            _ => *best = Some((at, measured)),
        }
    }

    pub(crate) fn offset(&self) -> Option<ClockOffset> {
        self.lock().map(|(_, offset)| offset)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(WallMs, ClockOffset)>> {
        self.best.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says an offset in words: `20 min 3 s behind`.
pub(crate) fn in_words(offset_ms: i64) -> String {
    let seconds = offset_ms.unsigned_abs() / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let amount = match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    };
    // What must be added to this machine's clock is what it is behind by.
    format!("{amount} {}", if offset_ms >= 0 { "behind" } else { "ahead of" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_call_measures_best_until_it_is_old_or_contradicted() {
        let clock = ServerClock::default();
        assert_eq!(clock.offset(), None);
        // Server 1 s ahead: 10.0 s here, date 10 or 11 there.
        let learn = |date, sent, answered| {
            let measured = ClockOffset::measure(ServerMs(date), WallMs(sent), WallMs(answered));
            clock.learn(measured, WallMs(answered));
        };
        learn(11_000, 10_000, 10_100);
        let first = clock.offset().unwrap();
        assert_eq!((first.offset_ms, first.uncertainty_ms), (1_450, 550));
        learn(12_000, 10_000, 12_000);
        assert_eq!(clock.offset(), Some(first), "a slow call measures worse");
        learn(21_000, 20_000, 20_020);
        assert_eq!(clock.offset().unwrap().uncertainty_ms, 510, "a quick one better");
        learn(400_000, 398_000, 400_000);
        assert_eq!(clock.offset().unwrap().uncertainty_ms, 1_500, "the old one is too old");
        learn(9_000_000, 401_000, 404_000);
        assert!(clock.offset().unwrap().offset_ms > 8_000_000, "a clock was set");
    }

    #[test]
    fn offsets_are_said_in_words() {
        for (ms, words) in [
            (1_203_000, "20 min 3 s behind"),
            (-5_000, "5 s ahead of"),
            (3_600_000 * 25, "25 h 0 min behind"),
            (0, "0 s behind"),
        ] {
            assert_eq!(in_words(ms), words);
        }
    }
}
