//! Into the order of keys, in time proportional to their number: keys are hashes, so their upper bits spread them evenly over as
//! many small lists as are wanted, each of which is then put in order by itself.

use crate::ids::MessageKey;

/// Below this, an ordinary sort is as quick.
const FEW: usize = 64;

/// Lists at most: 4,096, whose ends take 16 KiB.
const LISTS_BITS: u32 = 12;

/// Sorts by key; equal keys in no particular order. Right for any keys, quick for those that are spread, and without other memory than
/// the ends of the lists.
pub(crate) fn by_key<T: Copy>(items: &mut [T], key: impl Fn(&T) -> MessageKey) {
    if items.len() < FEW {
        return items.sort_unstable_by_key(key);
    }
    // About four in a list.
    let bits = (items.len().ilog2() - 2).min(LISTS_BITS);
    let list = |item: &T| (key(item).0 >> (128 - bits)) as usize;
    let mut counts = vec![0_usize; 1 << bits];
    items.iter().for_each(|item| counts[list(item)] += 1);
    // Where the next item of each list goes, and where the list ends.
    let mut lists: Vec<(usize, usize)> = Vec::with_capacity(counts.len());
    let mut end = 0;
    for count in counts {
        lists.push((end, end + count));
        end += count;
    }
    let mut begin = 0;
    for at in 0..lists.len() {
        let end = lists[at].1;
        while lists[at].0 < end {
            // An item goes where it belongs, and what was there comes here.
            let here = lists[at].0;
            let there = &mut lists[list(&items[here])].0;
            items.swap(here, *there);
            *there += 1;
        }
        let one = &mut items[begin..end];
        if one.len() > 1 {
            one.sort_unstable_by_key(&key);
        }
        begin = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sorts_whatever_the_keys_are() {
        let spread = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
        for count in [0_u32, 1, 63, 64, 65, 1_000, 40_000] {
            let keys: [fn(u128, u128) -> u128; 4] = [
                |n, spread| n.wrapping_mul(spread),
                |n, _| n.wrapping_mul(0x9e37) % 977,
                |_, _| 7,
                |n, spread| u128::MAX - (n.wrapping_mul(spread) >> 100),
            ];
            for of in keys {
                let mut items: Vec<_> = (0..count).map(|n| (MessageKey(of(n.into(), spread)), n)).collect();
                let mut sorted = items.clone();
                by_key(&mut items, |item| item.0);
                assert!(items.is_sorted_by_key(|item| item.0), "{count}");
                // Nothing lost.
                items.sort_unstable();
                sorted.sort_unstable();
                assert_eq!(items, sorted);
            }
        }
    }
}
