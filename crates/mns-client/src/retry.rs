//! When to make a call again, and how long to wait before.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::settings::ClientSettings;

/// Which failures a call may be repeated after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// After every passing failure: making the call twice is the same as making it once, or leaves only an error that
    /// is understood (a second delete finds its message gone).
    Always,
    /// Only when the first attempt certainly did nothing: it never left, or was turned away for rate. Sends (a message
    /// would be there twice) and visibility changes (the new handle would be lost).
    IfUndone,
}

/// The retry policy with its state, shared by all calls of a client.
#[derive(Debug)]
pub(crate) struct Retries {
    max_attempts: u32,
    first_backoff: Duration,
    max_backoff: Duration,
    state: Mutex<State>,
    budget_tenths: u32,
}

#[derive(Debug)]
struct State {
    /// What is left of the budget, in tenths of a repetition.
    left: u32,
    random: u64,
}

impl Retries {
    pub(crate) fn new(settings: &ClientSettings, seed: u64) -> Self {
        let budget_tenths = settings.retry_budget.saturating_mul(10);
        Self {
            max_attempts: settings.max_attempts,
            first_backoff: settings.first_backoff,
            max_backoff: settings.max_backoff,
            state: Mutex::new(State { left: budget_tenths, random: seed }),
            budget_tenths,
        }
    }

    /// The pause before the next attempt, after `attempts` have failed; `None` to give up.
    pub(crate) fn next_pause(&self, attempts: u32) -> Option<Duration> {
        if attempts >= self.max_attempts {
            return None;
        }
        let mut state = self.lock();
        state.left = state.left.checked_sub(10)?;
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        let longest = self.first_backoff.saturating_mul(doubled).min(self.max_backoff);
        // Between half and all of it: clients that failed together do not return together.
        Some(longest.mul_f64(0.5 + 0.5 * state.next_unit()))
    }

    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        state.left = state.left.saturating_add(1).min(self.budget_tenths);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A number in [0, 1) (SplitMix64, whose 53 upper bits fill a double).
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
    fn next_unit(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_their_limits_and_end() {
        let settings = ClientSettings { max_attempts: 9, ..ClientSettings::default() };
        let retries = Retries::new(&settings, 1);
        for attempts in 1..9 {
            let longest = Duration::from_millis(200 << (attempts - 1)).min(Duration::from_secs(5));
            let pause = retries.next_pause(attempts).unwrap();
            assert!(pause >= longest / 2 && pause <= longest, "{attempts}: {pause:?}");
        }
        assert_eq!(retries.next_pause(9), None);
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let pauses = |seed| {
            let retries = Retries::new(&ClientSettings::default(), seed);
            (1..4).map(|attempts| retries.next_pause(attempts)).collect::<Vec<_>>()
        };
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
    }

    #[test]
    fn an_empty_budget_ends_retries_until_calls_succeed() {
        let settings = ClientSettings { retry_budget: 2, ..ClientSettings::default() };
        let retries = Retries::new(&settings, 1);
        assert!(retries.next_pause(1).is_some() && retries.next_pause(1).is_some());
        assert_eq!(retries.next_pause(1), None);
        (0..9).for_each(|_| retries.succeeded());
        assert_eq!(retries.next_pause(1), None);
        retries.succeeded();
        assert!(retries.next_pause(1).is_some());
        assert_eq!(retries.next_pause(1), None);
    }
}
