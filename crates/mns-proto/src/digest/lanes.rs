//! MD5 (RFC 1321) of several bodies side by side: each step is made for all of them at once, which the compiler turns into vector
//! instructions. What is left of the longest bodies, and bodies with little company, is for the crate `md-5`.

use std::array::from_fn;

use md5::block_api::compress;
use md5::{Digest as _, Md5};

/// Bodies side by side: as many as an answer holds. With the instructions of any 64-bit x86 that is four times as quick as one by
/// one; with four or eight it is not, for their steps wait for each other.
const LANES: usize = 16;

/// Fewer are quicker one by one.
const FEWEST: usize = 5;

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
pub(super) fn digests(texts: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut digests = vec![[0; 16]; texts.len()];
    let mut order: Vec<usize> = (0..texts.len()).collect();
    // Neighbours are of like length, so that few wait for others.
    order.sort_unstable_by_key(|at| texts[*at].len());
    for group in order.chunks(LANES) {
        if group.len() < FEWEST {
            group.iter().for_each(|at| digests[*at] = Md5::digest(texts[*at]).into());
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

    fn of(text: &'a [u8]) -> Self {
        let (whole, rest) = text.as_chunks();
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

/// The states in the end of texts of growing length, of which the first `used` count, [`FEWEST`] or more.
fn side_by_side(texts: &[Padded<'_>; LANES], used: usize) -> [[u32; 4]; LANES] {
    let mut states: [Words; 4] = START.map(|word| [word; LANES]);
    let mut ends = [START; LANES];
    let together = texts[used - FEWEST].blocks;
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
    for (lane, text) in texts.iter().enumerate().filter(|(_, text)| text.blocks > together) {
        let end = &mut ends[lane];
        *end = states.map(|words| words[lane]);
        let whole = text.whole.get(together..).unwrap_or_default();
        compress(end, whole);
        (together + whole.len()..text.blocks).for_each(|at| compress(end, &[*text.block(at)]));
    }
    ends
}

/// One block of each lane: four rounds of sixteen steps.
fn digest_block(states: &mut [Words; 4], block: &[Words; 16]) {
    let before = *states;
    round::<0, 7, 12, 17, 22>(states, block, |step| step);
    round::<1, 5, 9, 14, 20>(states, block, |step| 5 * step + 1);
    round::<2, 4, 11, 16, 23>(states, block, |step| 3 * step + 5);
    round::<3, 6, 10, 15, 21>(states, block, |step| 7 * step);
    for (after, before) in states.iter_mut().zip(before) {
        *after = from_fn(|lane| after[lane].wrapping_add(before[lane]));
    }
}

/// Sixteen steps, four at a time, by the word that each takes and how far it turns.
fn round<const ROUND: usize, const T0: u32, const T1: u32, const T2: u32, const T3: u32>(
    [a, b, c, d]: &mut [Words; 4],
    block: &[Words; 16],
    word: impl Fn(usize) -> usize,
) {
    for step in (0..16).step_by(4) {
        turn::<ROUND, T0>(a, [b, c, d], &block[word(step) % 16], SINES[16 * ROUND + step]);
        turn::<ROUND, T1>(d, [a, b, c], &block[word(step + 1) % 16], SINES[16 * ROUND + step + 1]);
        turn::<ROUND, T2>(c, [d, a, b], &block[word(step + 2) % 16], SINES[16 * ROUND + step + 2]);
        turn::<ROUND, T3>(b, [c, d, a], &block[word(step + 3) % 16], SINES[16 * ROUND + step + 3]);
    }
}

/// One step. A function of its own, for a compiler that sees several at once makes scalars of them; its bits are turned by a constant, as
/// vectors need it.
#[inline(never)]
fn turn<const ROUND: usize, const BY: u32>(a: &mut Words, [b, c, d]: [&Words; 3], words: &Words, add: u32) {
    for lane in 0..LANES {
        let (x, y, z) = (b[lane], c[lane], d[lane]);
        let mixed = match ROUND {
            0 => z ^ (x & (y ^ z)),
            1 => y ^ (z & (x ^ y)),
            2 => x ^ y ^ z,
            _ => y ^ (x | !z),
        };
        let sum = a[lane].wrapping_add(mixed).wrapping_add(words[lane]).wrapping_add(add);
        a[lane] = sum.rotate_left(BY).wrapping_add(x);
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
        let borrowed: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let expected: Vec<[u8; 16]> = texts.iter().map(|text| Md5::digest(text).into()).collect();
        let lengths: Vec<usize> = texts.iter().map(String::len).collect();
        assert_eq!(digests(&borrowed), expected, "{lengths:?}");
    }

    #[test]
    fn every_length_in_every_company_is_as_the_crate_has_it() {
        // Each length beside its like, around every block's end.
        for length in 0..300 {
            for company in [1, FEWEST - 1, FEWEST, LANES - 1, LANES, LANES + 1, 2 * LANES + FEWEST] {
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
            check([1, 65_536, 2, from, 9_000, 9_001 + from, 3 * from, 4].into_iter());
        }
        check(std::iter::empty());
    }
}
