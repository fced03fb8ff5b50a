//! Two kinds of a bucket: rows as they are, and numbers of rows kept elsewhere.

/// Some tens of rows, searched from one end to the other.
pub(crate) trait Bucket: Clone + Default {
    type Row: Copy;

    /// Makes room for so many more, and for no others.
    fn reserve(&mut self, rows: usize);
    fn push(&mut self, hash: u64, row: Self::Row);
    fn find(&self, hash: u64, is: impl Fn(&Self::Row) -> bool) -> Option<Self::Row>;
    /// Takes a row out; another may take its place.
    fn take(&mut self, hash: u64, is: impl Fn(&Self::Row) -> bool) -> Option<Self::Row>;
    /// Adds all rows of another one.
    fn merge(&mut self, other: &Self);
    fn rows(&self) -> impl Iterator<Item = Self::Row>;
    /// The bytes it has memory for.
    fn bytes(&self) -> usize;
}

/// Rows by which a bucket grows. 2: on average one of 48 is free.
const STEP: usize = 2;

impl<T: Copy> Bucket for Vec<T> {
    type Row = T;

    fn reserve(&mut self, rows: usize) {
        self.reserve_exact(rows);
    }

    fn push(&mut self, _: u64, row: T) {
        if self.len() == self.capacity() {
            self.reserve_exact(STEP);
        }
        Self::push(self, row);
    }

    fn find(&self, _: u64, is: impl Fn(&T) -> bool) -> Option<T> {
        self.iter().find(|row| is(row)).copied()
    }

    fn take(&mut self, _: u64, is: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.iter().position(is)?;
        let row = self.swap_remove(at);
        if self.capacity() - self.len() > 2 * STEP {
            self.shrink_to(self.len() + STEP);
        }
        Some(row)
    }

    fn merge(&mut self, other: &Self) {
        self.reserve_exact(other.len());
        self.extend(other);
    }

    fn rows(&self) -> impl Iterator<Item = T> {
        self.iter().copied()
    }

    fn bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

/// Tags in a word.
const LANES: usize = 8;

/// Words for eight numbers of four bytes and their tags.
const WORDS: usize = 5;

/// Numbers of rows kept elsewhere, each with a byte of its hash: a search seldom looks at a row that is not the one, and passes over
/// eight at a time. First all tags, of which 0 says that there is none, then all numbers; filled without a gap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(Box<[u64]>);

/// Of the bits that a table does not place by.
const fn tag(hash: u64) -> u8 {
    let tag = (hash >> 56) as u8;
    if tag == 0 { 1 } else { tag }
}

const ONES: u64 = u64::from_ne_bytes([1; LANES]);
const HIGH: u64 = ONES << 7;

/// A high bit for each lane that has this tag, and perhaps for some above the first such.
const fn having(tags: u64, tag: u8) -> u64 {
    let differing = tags ^ (ONES * tag as u64);
    differing.wrapping_sub(ONES) & !differing & HIGH
}

impl Numbers {
    /// Words of tags.
    const fn words(&self) -> usize {
        self.0.len() / WORDS
    }

    fn tag(&self, at: usize) -> u8 {
        (self.0[at / LANES] >> (at % LANES * 8)) as u8
    }

    fn number(&self, at: usize) -> u32 {
        (self.0[self.words() + at / 2] >> (at % 2 * 32)) as u32
    }

    fn set(&mut self, at: usize, tag: u8, number: u32) {
        let put =
            |word: &mut u64, shift: usize, mask: u64, value: u64| *word = *word & !(mask << shift) | value << shift;
        put(&mut self.0[at / LANES], at % LANES * 8, 0xff, tag.into());
        let word = self.words() + at / 2;
        put(&mut self.0[word], at % 2 * 32, u32::MAX.into(), number.into());
    }

    fn len(&self) -> usize {
        let full = self.0[..self.words()].iter().rposition(|tags| *tags != 0);
        full.map_or(0, |last| (last + 1) * LANES - (self.0[last].leading_zeros() / 8) as usize)
    }

    fn resize(&mut self, words: usize) {
        let mut new = vec![0; words * WORDS].into_boxed_slice();
        let (kept, before) = (words.min(self.words()), self.words());
        new[..kept].copy_from_slice(&self.0[..kept]);
        let numbers = kept * (WORDS - 1);
        new[words..words + numbers].copy_from_slice(&self.0[before..before + numbers]);
        self.0 = new;
    }

    #[inline]
    fn position(&self, hash: u64, is: impl Fn(&u32) -> bool) -> Option<usize> {
        let tag = tag(hash);
        for (word, tags) in self.0[..self.words()].iter().enumerate() {
            let mut found = having(*tags, tag);
            while found != 0 {
                let at = word * LANES + (found.trailing_zeros() / 8) as usize;
                if self.tag(at) == tag && is(&self.number(at)) {
                    return Some(at);
                }
                found &= found - 1;
            }
        }
        None
    }

    fn add(&mut self, tag: u8, number: u32) {
        let len = self.len();
        if len == self.words() * LANES {
            self.resize(self.words() + 1);
        }
        self.set(len, tag, number);
    }
}

impl Bucket for Numbers {
    type Row = u32;

    fn reserve(&mut self, rows: usize) {
        self.resize((self.len() + rows).div_ceil(LANES));
    }

    fn push(&mut self, hash: u64, number: u32) {
        self.add(tag(hash), number);
    }

    #[inline]
    fn find(&self, hash: u64, is: impl Fn(&u32) -> bool) -> Option<u32> {
        self.position(hash, is).map(|at| self.number(at))
    }

    fn take(&mut self, hash: u64, is: impl Fn(&u32) -> bool) -> Option<u32> {
        let at = self.position(hash, is)?;
        let number = self.number(at);
        // The last one takes its place.
        let last = self.len() - 1;
        self.set(at, self.tag(last), self.number(last));
        self.set(last, 0, 0);
        // Room for one word more than is needed, so that what comes and goes does not move them all.
        if self.words() > last.div_ceil(LANES) + 1 {
            self.resize(self.words() - 1);
        }
        Some(number)
    }

    fn merge(&mut self, other: &Self) {
        self.reserve(other.len());
        (0..other.len()).for_each(|at| self.add(other.tag(at), other.number(at)));
    }

    fn rows(&self) -> impl Iterator<Item = u32> {
        (0..self.len()).map(|at| self.number(at))
    }

    fn bytes(&self) -> usize {
        self.0.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// With hashes of few tags, some of them 0.
    #[test]
    fn numbers_are_found_by_their_tags() {
        let hash = |n: u32| u64::from(n % 5) << 56;
        let mut numbers = Numbers::default();
        let mut model = BTreeSet::new();
        for n in 0..100 {
            numbers.push(hash(n), n);
            model.insert(n);
            if n % 3 == 0 {
                let gone = n / 2;
                assert_eq!(numbers.take(hash(gone), |m| *m == gone).is_some(), model.remove(&gone), "{gone}");
            }
            assert_eq!(numbers.rows().collect::<BTreeSet<_>>(), model);
            assert!((0..=n).all(|m| numbers.find(hash(m), |found| *found == m).is_some() == model.contains(&m)));
            assert!(numbers.bytes() <= (model.len().div_ceil(LANES) + 1) * 40);
        }
        let mut both = numbers.clone();
        for n in 200..230 {
            numbers.push(hash(n), n);
        }
        for n in model {
            assert_eq!(numbers.take(hash(n), |m| *m == n), Some(n));
        }
        both.merge(&numbers);
        assert_eq!(both.rows().count(), 30 + both.rows().filter(|n| *n < 200).count());
    }
}
