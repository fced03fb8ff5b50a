//! Pauses that grow, with jitter from a seed.

use std::time::Duration;

/// A growing pause. Deterministic for a seed.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, seed: u64) -> Self {
        // A pause of nothing would be a loop without an end.
        let min = min.max(Duration::from_millis(1));
        Self { min, max: max.max(min), failures: 0, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The next pause: between half of and all of `min × 2^failures`, at most `max`.
    pub(crate) fn next(&mut self) -> Duration {
        let full = self.min.saturating_mul(2u32.saturating_pow(self.failures)).min(self.max);
        self.failures = (self.failures + 1).min(20);
        self.spread(full)
    }

    /// A pause like the one before, for what failed together with it: one trouble is one step.
    pub(crate) fn again(&mut self) -> Duration {
        self.failures = self.failures.saturating_sub(1);
        self.next()
    }

    /// Between half of and all of `full`.
    fn spread(&mut self, full: Duration) -> Duration {
        // xorshift64: a seedable spread is all that is needed here.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        full / 2 + full.mul_f64((self.random >> 11) as f64 / (1u64 << 53) as f64) / 2
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_differ_by_seed() {
        let pauses = |seed| {
            let mut b = Backoff::new(Duration::from_millis(100), Duration::from_secs(1), seed);
            (0..8).map(|_| b.next().as_millis()).collect::<Vec<_>>()
        };
        let (a, b) = (pauses(1), pauses(2));
        assert!((50..=100).contains(&a[0]) && (100..=200).contains(&a[1]), "{a:?}");
        assert!(a[4..].iter().all(|p| (500..=1000).contains(p)), "{a:?}");
        assert_ne!(a, b);
        assert_eq!(a, pauses(1));
    }

    #[test]
    fn what_fails_together_is_one_step() {
        let mut b = Backoff::new(Duration::from_millis(100), Duration::from_secs(1), 1);
        b.next();
        assert!((0..50).all(|_| b.again() <= Duration::from_millis(100)));
        assert!(b.next() > Duration::from_millis(100));
    }
}
