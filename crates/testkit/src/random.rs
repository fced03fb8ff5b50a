//! Seeded pseudo-randomness: one seed, one sequence, on every machine.

/// The splitmix64 generator: small, fast, and good enough to choose faults and histories. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that gives the sequence of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, or 0 if `bound` is 0. The bias of the division is below 2^-32 for bounds below 2^32.
    pub const fn below(&mut self, bound: u64) -> u64 {
        let bits = self.draw();
        if bound == 0 { 0 } else { bits % bound }
    }

    /// True `permille` times in a thousand. Draws once whatever the rate, so that one rate does not shift another's luck.
    pub const fn chance(&mut self, permille: u16) -> bool {
        self.below(1_000) < permille as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        // The first numbers of splitmix64 for seed 0, as its author published them.
        let mut random = Random::new(0);
        let drawn: Vec<u64> = (0..3).map(|_| random.draw()).collect();
        assert_eq!(drawn, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn rates_are_kept() {
        let mut random = Random::new(7);
        let hits = (0..100_000).filter(|_| random.chance(50)).count();
        assert!((4_500..5_500).contains(&hits), "{hits} of 100,000 at 50 per mille");
        assert!((0..1_000).all(|_| !random.chance(0)));
        assert!((0..1_000).all(|_| random.chance(1_000)));
    }
}
