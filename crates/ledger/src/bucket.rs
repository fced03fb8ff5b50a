//! Two kinds of a bucket: rows as they are, and numbers of rows kept elsewhere.

/// Some tens of rows, searched from one end to the other.
pub(crate) trait Bucket: Clone + Default {
    type Row: Copy;

    /// Takes out the rows of which it is said that they go, in the order of [`rows`](Self::rows), and has room for no others then.
    fn divide(&mut self, goes: &[bool]) -> Self;
    fn push(&mut self, hash: u64, row: Self::Row);
    fn find(&self, hash: u64, is: impl Fn(&Self::Row) -> bool) -> Option<Self::Row>;
    /// Lets go of its oldest rows as far as they have gone, which `age` says; of how many.
    fn sweep(&mut self, age: impl Fn(&Self::Row) -> Option<u32>) -> usize;
    /// Adds all rows of another one, in the order of their ages.
    fn merge(&mut self, other: &Self, age: impl Fn(&Self::Row) -> Option<u32>);
    /// Every row, in the order in which they came if none was taken out.
    fn rows(&self) -> impl Iterator<Item = Self::Row>;
    /// The bytes it has memory for.
    fn bytes(&self) -> usize;
}

/// Rows by which a bucket grows. 2: on average one of some sixty is free.
const STEP: usize = 2;

/// Takes a row out; another may take its place.
pub(crate) fn take<T: Copy>(rows: &mut Vec<T>, is: impl Fn(&T) -> bool) -> Option<T> {
    let at = rows.iter().position(is)?;
    let row = rows.swap_remove(at);
    if rows.capacity() - rows.len() > 2 * STEP {
        rows.shrink_to(rows.len() + STEP);
    }
    Some(row)
}

/// Rows that are taken out one by one, and never go by themselves.
impl<T: Copy> Bucket for Vec<T> {
    type Row = T;

    fn divide(&mut self, goes: &[bool]) -> Self {
        let count = goes.iter().filter(|goes| **goes).count();
        let (mut gone, mut kept) = (Self::with_capacity(count), Self::with_capacity(self.len() - count));
        for (row, goes) in self.iter().zip(goes) {
            if *goes { &mut gone } else { &mut kept }.push(*row);
        }
        *self = kept;
        gone
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

    fn sweep(&mut self, _: impl Fn(&T) -> Option<u32>) -> usize {
        0
    }

    fn merge(&mut self, other: &Self, _: impl Fn(&T) -> Option<u32>) {
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
const LANES: usize = 4;

/// Words for four numbers of four bytes and their tags.
const WORDS: usize = 3;

/// Words of tags by which there is more room than is needed at most: what is added moves all the others, and what moves lies where no
/// cache has it. 2, or eight rows: half as many moves as with one word, and on average four of some sixty rows are free.
const ROOM: usize = 2;

/// Numbers of rows kept elsewhere, each with two bytes of its hash: a search all but never looks at a row that is not the one, and passes
/// over four at a time. First all tags, of which 0 says that there is none, then all numbers. A ring: they go in the order in which they
/// came, and whoever adds one lets go of those that have gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    words: Box<[u64]>,
    head: u32,
    len: u32,
}

/// Of the bits that a table does not place by.
const fn tag(hash: u64) -> u16 {
    let tag = (hash >> 48) as u16;
    if tag == 0 { 1 } else { tag }
}

const ONES: u64 = 0x0001_0001_0001_0001;
const HIGH: u64 = ONES << 15;

/// A high bit for each lane that has this tag, and perhaps for some above the first such.
const fn having(tags: u64, tag: u16) -> u64 {
    let differing = tags ^ (ONES * tag as u64);
    differing.wrapping_sub(ONES) & !differing & HIGH
}

impl Numbers {
    /// Words of tags.
    #[inline]
    const fn tags(&self) -> usize {
        self.words.len() / WORDS
    }

    fn tag(&self, at: usize) -> u16 {
        (self.words[at / LANES] >> (at % LANES * 16)) as u16
    }

    #[inline]
    fn number(&self, at: usize) -> u32 {
        (self.words[self.tags() + at / 2] >> (at % 2 * 32)) as u32
    }

    #[inline]
    fn set_tag(&mut self, at: usize, tag: u16) {
        let (word, shift) = (&mut self.words[at / LANES], at % LANES * 16);
        *word = *word & !(0xffff << shift) | u64::from(tag) << shift;
    }

    fn set_number(&mut self, at: usize, number: u32) {
        let (at, shift) = (self.tags() + at / 2, at % 2 * 32);
        let word = &mut self.words[at];
        *word = *word & !(u64::from(u32::MAX) << shift) | u64::from(number) << shift;
    }

    /// Where the so-manieth is.
    #[inline]
    fn place(&self, nth: u32) -> usize {
        let (at, all) = ((self.head + nth) as usize, self.tags() * LANES);
        if at < all { at } else { at - all }
    }

    /// Into room for so many words of tags, which take all. Whole words move, the first row's to the front; it stays in its lane of that word.
    fn resize(&mut self, tags: usize) {
        let (first, lane) = (self.head as usize / LANES, self.head as usize % LANES);
        let whole = (lane + self.len as usize).div_ceil(LANES).min(self.tags()).min(tags);
        let ahead = whole.min(self.tags() - first);
        // Filled by hand: many allocators have nothing at hand for who asks for zeros.
        let mut words = Vec::with_capacity(tags * WORDS);
        words.extend_from_slice(&self.words[first..first + ahead]);
        words.extend_from_slice(&self.words[..whole - ahead]);
        words.resize(tags, 0);
        let numbers = &self.words[self.tags()..];
        words.extend_from_slice(&numbers[2 * first..2 * (first + ahead)]);
        words.extend_from_slice(&numbers[..2 * (whole - ahead)]);
        words.resize(tags * WORDS, 0);
        // A ring that is all but full has its newest rows in the word of the oldest; they are added below.
        if whole > 0 {
            words[0] &= u64::MAX << (lane * 16);
        }
        let len = self.len.min((whole * LANES).saturating_sub(lane) as u32);
        let old = std::mem::replace(self, Self { words: words.into(), head: lane as u32, len });
        for at in (len..old.len).map(|nth| old.place(nth)) {
            self.add(old.tag(at), old.number(at));
        }
    }

    /// Reads a little of all that a search reads, and an addition, so that it is at hand for them. Nothing of it means anything.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        let tags = self.tags();
        let word = |at: usize| self.words.get(at).copied().unwrap_or_default();
        word(0) ^ word(tags / 2) ^ word(tags) ^ word(tags + self.head as usize / 2)
    }

    fn all(&self) -> impl Iterator<Item = (u16, u32)> {
        (0..self.len).map(|nth| self.place(nth)).map(|at| (self.tag(at), self.number(at)))
    }

    fn with_room(rows: usize) -> Self {
        let mut numbers = Self::default();
        numbers.resize(rows.div_ceil(LANES));
        numbers
    }

    fn add(&mut self, tag: u16, number: u32) {
        if self.len as usize == self.tags() * LANES {
            self.resize(self.tags() + ROOM);
        }
        self.put(tag, number);
    }

    /// As [`add`](Self::add), where there is room.
    #[inline]
    fn put(&mut self, tag: u16, number: u32) {
        let at = self.place(self.len);
        self.set_tag(at, tag);
        self.set_number(at, number);
        self.len += 1;
    }
}

impl Bucket for Numbers {
    type Row = u32;

    fn divide(&mut self, goes: &[bool]) -> Self {
        let gone = goes.iter().filter(|goes| **goes).count();
        let mut parts = [Self::with_room(self.len as usize - gone), Self::with_room(gone)];
        for ((tag, number), goes) in self.all().zip(goes) {
            // By an index and not by a branch, for which way it goes is anybody's guess.
            parts[usize::from(*goes)].put(tag, number);
        }
        let [kept, gone] = parts;
        *self = kept;
        gone
    }

    fn push(&mut self, hash: u64, number: u32) {
        self.add(tag(hash), number);
    }

    #[inline]
    fn find(&self, hash: u64, is: impl Fn(&u32) -> bool) -> Option<u32> {
        let (tag, words) = (tag(hash), &self.words[..self.tags()]);
        // Nearly always there is none: a loop without a branch says so.
        if words.iter().fold(0, |found, tags| found | having(*tags, tag)) == 0 {
            return None;
        }
        for (word, tags) in words.iter().enumerate() {
            let mut found = having(*tags, tag);
            while found != 0 {
                let at = word * LANES + (found.trailing_zeros() / 16) as usize;
                if self.tag(at) == tag && is(&self.number(at)) {
                    return Some(self.number(at));
                }
                found &= found - 1;
            }
        }
        None
    }

    #[inline]
    fn sweep(&mut self, age: impl Fn(&u32) -> Option<u32>) -> usize {
        let before = self.len;
        while self.len > 0 && age(&self.number(self.head as usize)).is_none() {
            self.set_tag(self.head as usize, 0);
            self.head = self.place(1) as u32;
            self.len -= 1;
        }
        // What comes and goes does not move them all either.
        let needed = (self.len as usize).div_ceil(LANES);
        if self.tags() > needed + ROOM {
            self.resize(needed);
        }
        (before - self.len) as usize
    }

    fn merge(&mut self, other: &Self, age: impl Fn(&u32) -> Option<u32>) {
        let mut all: Vec<_> = self.all().chain(other.all()).collect();
        all.sort_by_key(|(_, number)| age(number));
        *self = Self::with_room(all.len());
        all.into_iter().for_each(|(tag, number)| self.put(tag, number));
    }

    fn rows(&self) -> impl Iterator<Item = u32> {
        self.all().map(|(_, number)| number)
    }

    fn bytes(&self) -> usize {
        self.words.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// With hashes of few tags, some of them 0, and the oldest going now and then.
    #[test]
    fn numbers_are_found_by_their_tags_and_go_in_their_order() {
        let hash = |n: u32| u64::from(n % 5) << 48;
        let mut numbers = Numbers::default();
        let mut model = VecDeque::new();
        let mut front = 0;
        for n in 0..2_000_u32 {
            let age = |n: &u32| n.checked_sub(front);
            let gone = model.iter().take_while(|n| **n < front).count();
            assert_eq!(numbers.sweep(age), gone);
            model.drain(..gone);
            numbers.push(hash(n), n);
            model.push_back(n);
            assert!(numbers.rows().eq(model.iter().copied()));
            let tagged = (0..numbers.tags() * LANES).filter(|at| numbers.tag(*at) != 0);
            assert_eq!(tagged.count(), model.len(), "no tag but of a row that is there");
            let near = front.saturating_sub(3)..=n + 3;
            assert!(
                near.into_iter()
                    .all(|m| { numbers.find(hash(m), |found| *found == m).is_some() == model.contains(&m) })
            );
            assert!(numbers.bytes() <= (model.len().div_ceil(LANES) + 3) * 24);
            // Between nothing and some hundreds of them.
            front = match n / 200 % 3 {
                0 => front,
                1 => front + 1,
                _ => (front + 3).min(n),
            };
        }
        let odd = |numbers: &Numbers| -> Vec<u32> { numbers.rows().filter(|n| n % 2 == 1).collect() };
        let (mut low, mut high) = (Numbers::default(), Numbers::default());
        for n in 0..50 {
            if n % 3 == 0 { &mut low } else { &mut high }.push(hash(n), n);
        }
        low.merge(&high, |n| Some(*n));
        assert!(low.rows().eq(0..50), "{:?}", odd(&low));
        assert!((0..50).all(|n| low.find(hash(n), |found| *found == n).is_some()));
    }

    /// Rings of up to four words, with every head and length, into room for as many and for more.
    #[test]
    fn a_ring_moves_whole_from_wherever_it_begins() {
        let hash = |n: u32| u64::from(n % 7) << 48;
        let rings = (0..5_usize).flat_map(|words| (0..words.max(1) * LANES).map(move |head| (words, head)));
        for (words, head) in rings {
            for len in 0..=words * LANES {
                for room in len.div_ceil(LANES)..words + 3 {
                    let mut ring = Numbers { head: head as u32, ..Numbers::with_room(words * LANES) };
                    (0..len as u32).for_each(|n| ring.put(tag(hash(n)), n));
                    ring.resize(room);
                    let seen = format!("{len} from {head} of {words} words into {room}");
                    assert!(ring.tags() == room && ring.rows().eq(0..len as u32), "{seen}");
                    let tagged = (0..room * LANES).filter(|at| ring.tag(*at) != 0).count();
                    assert_eq!(tagged, len, "{seen}");
                    (len as u32..len as u32 + 5).for_each(|n| ring.push(hash(n), n));
                    let all = len as u32 + 5;
                    assert!((0..all).all(|n| ring.find(hash(n), |found| *found == n).is_some()), "{seen}");
                    let gone = ring.divide(&(0..all).map(|n| n % 3 == 1).collect::<Vec<_>>());
                    assert!(gone.rows().eq((0..all).filter(|n| n % 3 == 1)), "{seen}");
                    assert!(ring.rows().eq((0..all).filter(|n| n % 3 != 1)), "{seen}");
                }
            }
        }
    }
}
