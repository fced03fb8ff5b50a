//! A small seeded generator: the same seed gives the same ids, handles and faults on every machine and release.

/// A SplitMix64 generator (Steele, Lea and Flood 2014).
///
/// It is here, rather than taken from a crate, because one seed must give one trace for as long as somebody keeps a
/// seed in a bug report; it is not fit for secrets.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator whose whole sequence follows from `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator of its own for `label`: what is drawn from one does not move the other.
    #[must_use]
    pub fn fork(&self, label: u64) -> Self {
        Self { state: scramble(self.state ^ scramble(label.wrapping_add(GOLDEN))) }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        scramble(self.state)
    }

    /// A number in `0..bound`, or 0 when `bound` is 0. The bias is below 2⁻³² for every bound used here.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.bits()) * bound as u128;
        (wide >> 64) as usize
    }

    /// True with probability `rate`; never for 0, always for 1. Draws nothing for those two, so that switching a
    /// fault off leaves the other draws where they were.
    pub fn chance(&mut self, rate: f64) -> bool {
        if rate <= 0.0 {
            return false;
        }
        if rate >= 1.0 {
            return true;
        }
        // 53 bits are what an f64 holds exactly.
        ((self.bits() >> 11) as f64) < rate * (1u64 << 53) as f64
    }
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of SplitMix64: a bijection on 64 bits, so that distinct inputs stay distinct.
pub(crate) fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_never_changes() {
        // Published first outputs of SplitMix64 for seed 1234567.
        let mut random = Random::seeded(1_234_567);
        assert_eq!([random.bits(), random.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn chance_is_exact_at_its_ends_and_fair_between() {
        let mut random = Random::seeded(7);
        assert!((0..1000).all(|_| !random.chance(0.0) && random.chance(1.0)));
        let hits = (0..10_000).filter(|_| random.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits} of 10000 at 0.25");
    }

    #[test]
    fn below_stays_below_and_forks_differ() {
        let mut random = Random::seeded(7);
        assert!((0..1000).all(|_| random.below(16) < 16));
        assert_eq!(random.below(0), 0);
        assert_ne!(random.fork(1).bits(), random.fork(2).bits());
    }
}
