//! The two encodings of text whose lengths are numbers in a packed form: what those numbers say is looked at before
//! the library allocates as many lengths as a page claims, or builds each value from the one before it.

use crate::columnar::varint;

/// Bytes that the values of a page have, of which `most` is the largest number there can be; `None` when the lengths
/// make no sense. `prefixes` says that values share a prefix with the one before, so that a page of a few bytes can
/// stand for any amount of text.
pub(super) fn text_bytes(values: &[u8], most: usize, prefixes: bool) -> Option<usize> {
    let mut rest = values;
    let shared = if prefixes { sum(&mut rest, most)? } else { 0 };
    let own = sum(&mut rest, most)?;
    (own <= rest.len()).then(|| shared.saturating_add(own))
}

/// Reads packed numbers and adds them up. None may be negative, and there may be `most` of them.
fn sum(rest: &mut &[u8], most: usize) -> Option<usize> {
    let block = usize::try_from(varint(rest)?).ok()?;
    let parts = usize::try_from(varint(rest)?).ok().filter(|parts| *parts > 0)?;
    let count = usize::try_from(varint(rest)?).ok().filter(|count| *count <= most)?;
    let mut value = zigzag(rest)?;
    // As the format and the library have it.
    let part = block / parts;
    if block == 0 || part == 0 || part % 32 != 0 || block % parts != 0 {
        return None;
    }
    let mut sum = if count > 0 { usize::try_from(value).ok()? } else { 0 };
    let mut left = count.saturating_sub(1);
    while left > 0 {
        let least = zigzag(rest)?;
        let (widths, after) = rest.split_at_checked(parts)?;
        *rest = after;
        for width in widths {
            if left == 0 {
                break;
            }
            let width = usize::from(*width);
            let (packed, after) = rest.split_at_checked(part.checked_mul(width)?.div_ceil(8))?;
            *rest = after;
            for at in 0..left.min(part) {
                // The library computes in 32 bits and lets numbers wrap; such are refused by their sign.
                value = i64::from(value.wrapping_add(least).wrapping_add(bits(packed, at * width, width)?) as i32);
                sum = sum.checked_add(usize::try_from(value).ok()?)?;
            }
            left = left.saturating_sub(part);
        }
    }
    Some(sum)
}

/// The number of `width` bits that begins at a bit, the lowest bit first.
fn bits(packed: &[u8], start: usize, width: usize) -> Option<i64> {
    if width > 32 {
        return None;
    }
    let mut window = [0; 8];
    let from = start / 8;
    let bytes = packed.get(from..packed.len().min(from + 8)).unwrap_or_default();
    window[..bytes.len()].copy_from_slice(bytes);
    // At most 32 + 7 bits of the window are looked at.
    Some((u64::from_le_bytes(window) >> (start % 8) & ((1 << width) - 1)) as i64)
}

fn zigzag(rest: &mut &[u8]) -> Option<i64> {
    let value = varint(rest)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of 128 in 4 parts; 5 numbers: 7, then steps of 1 + {0, 1, 2, 3} in 2 bits.
    fn packed(count: u8) -> Vec<u8> {
        let mut bytes = vec![0x80, 1, 4, count, 14, 2, 2, 0, 0, 0, 0b1110_0100];
        bytes.resize(11 + 7, 0);
        bytes
    }

    #[test]
    fn lengths_are_added_up() {
        let mut page = packed(5);
        // 7, 8, 10, 13, 17
        page.extend([b'x'; 55]);
        assert_eq!(text_bytes(&page, 5, false), Some(55));
        assert_eq!(text_bytes(&page[..page.len() - 1], 5, false), None, "text is missing");
        assert_eq!(text_bytes(&page, 4, false), None, "more values than the page has");
        let mut shared = packed(5);
        shared.extend(packed(5));
        shared.extend([b'x'; 55]);
        assert_eq!(text_bytes(&shared, 5, true), Some(110));
    }

    #[test]
    fn a_page_of_a_few_bytes_says_how_much_it_stands_for() {
        // 100,000 values that share 1,000,000 bytes each with the one before.
        let numbers = |first: u64, steps: usize| {
            let mut bytes = vec![0x80, 1, 4];
            let mut put = |mut value: u64| {
                while value >= 0x80 {
                    bytes.push(value as u8 | 0x80);
                    value >>= 7;
                }
                bytes.push(value as u8);
            };
            put(steps as u64 + 1);
            put(first << 1);
            bytes.extend([0; 5].repeat(steps.div_ceil(128)));
            bytes
        };
        let page = [numbers(1_000_000, 99_999), numbers(0, 99_999)].concat();
        assert_eq!(text_bytes(&page, 100_000, true), Some(100_000_000_000));
        let endless = [0x80, 1, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0];
        assert_eq!(text_bytes(&endless, 100_000, false), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), twice: bool) {
            let _ = text_bytes(&bytes, 1_000, twice);
        }
    }
}
