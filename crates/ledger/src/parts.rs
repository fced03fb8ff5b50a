//! Parts of all ids, by which a state is written anew piece by piece: 64 of them, however many are taken together as a shard.

use crate::ids::MessageKey;

/// A key is a hash already.
pub(crate) const fn hash(key: MessageKey) -> u64 {
    (key.0 ^ (key.0 >> 64)) as u64
}

/// A set of parts, a bit for each. An id is in the part that the lower six bits of its two halves' exclusive or say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Parts(pub(crate) u64);

impl Parts {
    /// How many parts there are. A state names parts, never shards, so that it can be read with any number of shards.
    pub(crate) const COUNT: usize = 64;
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u64::MAX);

    /// The parts of one of so many shards, a power of two up to 64.
    pub(crate) fn of_shard(shard: u32, shards: u32) -> Self {
        Self((shard..Self::COUNT as u32).step_by(shards as usize).fold(0, |parts, part| parts | 1 << part))
    }

    pub(crate) const fn part(key: MessageKey) -> usize {
        (hash(key) % Self::COUNT as u64) as usize
    }

    pub(crate) const fn has(self, key: MessageKey) -> bool {
        self.has_part(Self::part(key))
    }

    pub(crate) const fn has_part(self, part: usize) -> bool {
        self.0 >> part & 1 == 1
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many parts it has.
    pub(crate) const fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_of_any_number_share_all_parts_out() {
        for shards in [1, 2, 4, 8, 16, 32, 64] {
            let all: Vec<_> = (0..shards).map(|shard| Parts::of_shard(shard, shards)).collect();
            assert_eq!(all.iter().fold(0, |sum, parts| sum + parts.0), u64::MAX, "each part once");
            assert!(all.iter().all(|parts| parts.0.count_ones() == 64 / shards));
        }
        // Part of the saved state: a key must stay in its part for ever.
        assert_eq!(Parts::part(MessageKey(5 << 64 | 0x43)), 6);
    }
}
