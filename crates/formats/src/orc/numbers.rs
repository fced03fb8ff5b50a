//! ORC's run-length encodings of whole numbers that are not negative, both versions: what counts and lengths are
//! stored in. The library decodes them as well, but allocates what they add up to before it has seen that much data.

use crate::columnar::varint;

/// How many bits the codes of version 2 stand for, beyond 24.
const WIDE: [u32; 8] = [26, 28, 30, 32, 40, 48, 56, 64];

/// Hands numbers to `take` until it says `None`, the bytes end, or they make no sense; what the library makes of the
/// latter is its own affair, it has no more numbers than these. Whether `take` stopped it.
pub(super) fn each(bytes: &[u8], version_2: bool, mut take: impl FnMut(u64) -> Option<()>) -> bool {
    let mut rest = bytes;
    let mut stopped = false;
    let mut pass = |value: u64| {
        let goes_on = take(value);
        stopped |= goes_on.is_none();
        goes_on
    };
    while !rest.is_empty() {
        let run = if version_2 { run_2(&mut rest, &mut pass) } else { run_1(&mut rest, &mut pass) };
        if run.is_none() {
            break;
        }
    }
    stopped
}

fn run_1(rest: &mut &[u8], take: &mut impl FnMut(u64) -> Option<()>) -> Option<()> {
    match byte(rest)? as i8 {
        control @ 0.. => {
            let delta = i64::from(byte(rest)? as i8);
            let base = varint(rest)?;
            (0..i64::from(control) + 3).try_for_each(|i| take(base.wrapping_add_signed(i.wrapping_mul(delta))))
        }
        control => (0..-i16::from(control)).try_for_each(|_| take(varint(rest)?)),
    }
}

fn run_2(rest: &mut &[u8], take: &mut impl FnMut(u64) -> Option<()>) -> Option<()> {
    let head = byte(rest)?;
    if head >> 6 == 0 {
        let value = big_endian(rest, usize::from(head >> 3 & 7) + 1)?;
        return (0..usize::from(head & 7) + 3).try_for_each(|_| take(value));
    }
    let code = head >> 1 & 31;
    let len = (usize::from(head & 1) << 8 | usize::from(byte(rest)?)) + 1;
    match head >> 6 {
        1 => {
            let mut values = Packed::split(rest, width(code), len)?;
            (0..len).try_for_each(|_| take(values.next()?))
        }
        2 => patched(rest, width(code), len, take),
        _ => delta(rest, if code == 0 { 0 } else { width(code) }, len, take),
    }
}

fn patched(rest: &mut &[u8], width: u32, len: usize, take: &mut impl FnMut(u64) -> Option<()>) -> Option<()> {
    let (third, fourth) = (byte(rest)?, byte(rest)?);
    let base_bytes = usize::from(third >> 5) + 1;
    let patch_width = self::width(third & 31);
    let gap_width = u32::from(fourth >> 5) + 1;
    let patches = usize::from(fourth & 31);
    let base = big_endian(rest, base_bytes)?;
    // The sign is the highest bit of the base.
    let sign = 1u64 << (base_bytes * 8 - 1);
    let base = if base & sign == 0 { base } else { (base & !sign).wrapping_neg() };
    let mut values = Packed::split(rest, width, len)?;
    let mut list = Packed::split(rest, fixed_width(gap_width + patch_width), patches)?;
    let mut next_patch = |at: usize| {
        let mut at = at;
        loop {
            let entry = list.next()?;
            let (gap, patch) = (shift_right(entry, patch_width), entry & mask(patch_width));
            at += usize::try_from(gap).ok()?;
            // A gap that does not fit its bits goes on in the next entry, whose patch is then the first that counts.
            if patch != 0 || gap != 255 {
                return Some((at, patch));
            }
        }
    };
    let mut left = patches;
    let mut patch = if left > 0 { next_patch(0) } else { None };
    for at in 0..len {
        let mut value = values.next()?;
        if let Some((_, bits)) = patch.filter(|(index, _)| *index == at) {
            value |= if width >= 64 { 0 } else { bits << width };
            left -= 1;
            patch = if left > 0 { next_patch(at) } else { None };
        }
        take(base.wrapping_add(value))?;
    }
    Some(())
}

fn delta(rest: &mut &[u8], width: u32, len: usize, take: &mut impl FnMut(u64) -> Option<()>) -> Option<()> {
    let mut value = varint(rest)?;
    let first = varint(rest)?;
    // Zigzag: the sign is the lowest bit.
    let first = (first >> 1) as i64 ^ -((first & 1) as i64);
    take(value)?;
    if width == 0 {
        return (1..len).try_for_each(|_| {
            value = value.wrapping_add_signed(first);
            take(value)
        });
    }
    if len > 1 {
        value = value.wrapping_add_signed(first);
        take(value)?;
    }
    let steps = len.saturating_sub(2);
    let mut packed = Packed::split(rest, width, steps)?;
    (0..steps).try_for_each(|_| {
        let step = packed.next()?;
        value = if first < 0 { value.wrapping_sub(step) } else { value.wrapping_add(step) };
        take(value)
    })
}

/// Numbers of so many bits each, the highest bit first.
struct Packed<'a> {
    bytes: &'a [u8],
    width: u32,
    bit: usize,
}

impl<'a> Packed<'a> {
    fn split(rest: &mut &'a [u8], width: u32, len: usize) -> Option<Self> {
        let (bytes, after) = rest.split_at_checked((len * width as usize).div_ceil(8))?;
        *rest = after;
        Some(Self { bytes, width, bit: 0 })
    }

    fn next(&mut self) -> Option<u64> {
        let mut value = 0u64;
        let mut wanted = self.width;
        while wanted > 0 {
            let left = 8 - (self.bit % 8) as u32;
            let now = left.min(wanted);
            let byte = u64::from(*self.bytes.get(self.bit / 8)?);
            value = value << now | byte >> (left - now) & mask(now);
            self.bit += now as usize;
            wanted -= now;
        }
        Some(value)
    }
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some(*byte)
}

fn big_endian(rest: &mut &[u8], bytes: usize) -> Option<u64> {
    let (number, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn width(code: u8) -> u32 {
    match code {
        0..24 => u32::from(code) + 1,
        _ => WIDE[usize::from(code - 24) % WIDE.len()],
    }
}

/// The narrowest width there is a code for.
fn fixed_width(bits: u32) -> u32 {
    if bits <= 24 { bits } else { WIDE.into_iter().find(|wide| *wide >= bits).unwrap_or(64) }
}

fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

fn shift_right(value: u64, bits: u32) -> u64 {
    if bits >= 64 { 0 } else { value >> bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8], version_2: bool) -> Vec<u64> {
        let mut got = Vec::new();
        each(bytes, version_2, |value| {
            got.push(value);
            (got.len() < 10_000).then_some(())
        });
        got
    }

    /// The examples of the ORC specification.
    #[test]
    fn the_examples_of_the_specification() {
        assert_eq!(numbers(&[0x61, 0x00, 0x07], false), [7; 100]);
        assert_eq!(numbers(&[0x61, 0xff, 0x64], false), (1..=100).rev().collect::<Vec<_>>());
        assert_eq!(numbers(&[0xfb, 0x02, 0x03, 0x06, 0x07, 0xb], false), [2, 3, 6, 7, 11]);
        assert_eq!(numbers(&[0x0a, 0x27, 0x10], true), [10_000; 5]);
        let direct = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
        assert_eq!(numbers(&direct, true), [23713, 43806, 57005, 48879]);
        let patched = [
            0x8e, 0x09, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0xfc, 0xe8,
        ];
        assert_eq!(numbers(&patched, true), [2030, 2000, 2020, 1_000_000, 2040, 2050, 2060, 2070, 2080, 2090]);
        let delta = [0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46];
        assert_eq!(numbers(&delta, true), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    }

    #[test]
    fn a_few_bytes_of_many_numbers_stop_when_told() {
        // A thousand runs of 512 times the number 2^40.
        let run = [0xc1, 0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x00];
        let mut total = 0u64;
        let stopped = each(&run.repeat(1_000), true, |value| {
            total += value;
            (total < 1 << 50).then_some(())
        });
        assert!(stopped && total == 1 << 50);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), v2: bool) {
            let got = numbers(&bytes, v2);
            proptest::prop_assert!(got.len() <= bytes.len() * 512);
        }
    }
}
