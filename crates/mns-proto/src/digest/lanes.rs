//! MD5 (RFC 1321) of several bodies side by side: each step is made for all of them at once, which a compiler turns into vector
//! instructions. What is left of the longest body, and a body without company, is for the crate `md-5`.

use std::array::from_fn;

use md5::block_api::compress;
use md5::{Digest as _, Md5};

/// Bodies side by side. Four words fill a register of every 64-bit x86 and ARM, and eight are slower there: they do not fit into the
/// registers. Where the build may assume AVX2 (nothing is looked for at run time), sixteen are the quickest.
const LANES: usize = if cfg!(target_feature = "avx2") { 16 } else { 4 };

type Words = [u32; LANES];
type Block = [u8; 64];

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// What is added in each step: the first 32 bits behind the point of |sin(step)|, steps counted from 1, in radians.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// The MD5 of each text, in their order.
pub(super) fn digests(texts: &[&str]) -> Vec<[u8; 16]> {
    let mut digests = vec![[0; 16]; texts.len()];
    let mut order: Vec<usize> = (0..texts.len()).collect();
    // Neighbours are of like length: a group takes as long as its second longest.
    order.sort_unstable_by_key(|at| texts[*at].len());
    for group in order.chunks(LANES) {
        if let [alone] = group {
            digests[*alone] = Md5::digest(texts[*alone]).into();
            continue;
        }
        let padded: [Padded<'_>; LANES] =
            from_fn(|lane| group.get(lane).map_or(Padded::NONE, |at| Padded::of(texts[*at])));
        for (at, state) in group.iter().zip(side_by_side(&padded, group.len())) {
            digests[*at].as_chunks_mut().0.copy_from_slice(&state.map(u32::to_le_bytes));
        }
    }
    digests
}

/// A text in blocks, the last one or two of which hold its rest, its end mark and its length.
struct Padded<'a> {
    whole: &'a [Block],
    last: [Block; 2],
    blocks: usize,
}

impl<'a> Padded<'a> {
    /// A lane that is not used.
    const NONE: Self = Self { whole: &[], last: [[0; 64]; 2], blocks: 0 };

    fn of(text: &'a str) -> Self {
        let (whole, rest) = text.as_bytes().as_chunks();
        let mut last = [[0; 64]; 2];
        last[0][..rest.len()].copy_from_slice(rest);
        last[0][rest.len()] = 0x80;
        // The length takes eight bytes of the last block.
        let more = usize::from(rest.len() >= 56);
        last[more][56..].copy_from_slice(&(text.len() as u64 * 8).to_le_bytes());
        Self { whole, last, blocks: whole.len() + 1 + more }
    }

    /// A block; behind the last one any, for lanes that wait for others.
    fn block(&self, at: usize) -> &Block {
        self.whole.get(at).unwrap_or_else(|| &self.last[usize::from(at > self.whole.len())])
    }
}

/// The states in the end of texts of growing length, of which the first `used` count.
fn side_by_side(texts: &[Padded<'_>; LANES], used: usize) -> [[u32; 4]; LANES] {
    let mut states: [Words; 4] = START.map(|word| [word; LANES]);
    let mut ends = [START; LANES];
    let longest = used - 1;
    let together = texts[longest - 1].blocks;
    for at in 0..together {
        let mut words = [[0; LANES]; 16];
        for (lane, text) in texts.iter().enumerate() {
            for (word, bytes) in words.iter_mut().zip(text.block(at).as_chunks().0) {
                word[lane] = u32::from_le_bytes(*bytes);
            }
        }
        digest_block(&mut states, &words);
        for (lane, end) in ends.iter_mut().enumerate() {
            if texts[lane].blocks == at + 1 {
                *end = states.map(|words| words[lane]);
            }
        }
    }
    let last = &texts[longest];
    if last.blocks > together {
        ends[longest] = states.map(|words| words[longest]);
        let whole = last.whole.get(together..).unwrap_or_default();
        compress(&mut ends[longest], whole);
        for at in together + whole.len()..last.blocks {
            compress(&mut ends[longest], &[*last.block(at)]);
        }
    }
    ends
}

/// One block of each lane: four rounds of sixteen steps.
fn digest_block(states: &mut [Words; 4], block: &[Words; 16]) {
    let before = *states;
    round(states, block, 0, [7, 12, 17, 22], |step| step, |x, y, z| z ^ (x & (y ^ z)));
    round(states, block, 1, [5, 9, 14, 20], |step| 5 * step + 1, |x, y, z| y ^ (z & (x ^ y)));
    round(states, block, 2, [4, 11, 16, 23], |step| 3 * step + 5, |x, y, z| x ^ y ^ z);
    round(states, block, 3, [6, 10, 15, 21], |step| 7 * step, |x, y, z| y ^ (x | !z));
    for (after, before) in states.iter_mut().zip(before) {
        *after = from_fn(|lane| after[lane].wrapping_add(before[lane]));
    }
}

/// Sixteen steps, four at a time: `turns` must be constants where they are used, since vectors turn by constants only.
#[inline(always)]
fn round(
    [a, b, c, d]: &mut [Words; 4],
    block: &[Words; 16],
    number: usize,
    turns: [u32; 4],
    word: impl Fn(usize) -> usize,
    mix: impl Fn(u32, u32, u32) -> u32,
) {
    let step = |a: &mut Words, [b, c, d]: [&Words; 3], step: usize, turn: u32| {
        let (add, words) = (SINES[16 * number + step], &block[word(step) % 16]);
        for lane in 0..LANES {
            let sum = a[lane].wrapping_add(mix(b[lane], c[lane], d[lane])).wrapping_add(words[lane]).wrapping_add(add);
            a[lane] = sum.rotate_left(turn).wrapping_add(b[lane]);
        }
    };
    for first in (0..16).step_by(4) {
        step(a, [b, c, d], first, turns[0]);
        step(d, [a, b, c], first + 1, turns[1]);
        step(c, [d, a, b], first + 2, turns[2]);
        step(b, [c, d, a], first + 3, turns[3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize, salt: usize) -> String {
        (0..length).map(|at| char::from(b' ' + ((at * at + 31 * at + 7 * salt) % 95) as u8)).collect()
    }

    fn check(lengths: impl Iterator<Item = usize>) {
        let texts: Vec<String> = lengths.enumerate().map(|(salt, length)| text(length, salt)).collect();
        let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
        let expected: Vec<[u8; 16]> = texts.iter().map(|text| Md5::digest(text).into()).collect();
        let lengths: Vec<usize> = texts.iter().map(String::len).collect();
        assert_eq!(digests(&borrowed), expected, "{lengths:?}");
    }

    #[test]
    fn every_length_in_every_company_is_as_the_crate_has_it() {
        // Each length beside its like, around every block's end.
        for length in 0..300 {
            for company in 1..=2 * LANES + 1 {
                check((0..company).map(|_| length));
            }
        }
        // Each length beside others: growing, shrinking, and far apart.
        for from in 0..140 {
            check((0..16).map(|n| from + n));
            check((0..16).rev().map(|n| from + 9 * n));
            check((0..17).map(|n| (from * 37 + n * n * 53) % 1_500));
            check([from, 5_000 + from, 0, 64, 1].into_iter());
            check([65_536 - from, from].into_iter());
        }
        check(std::iter::empty());
    }
}
