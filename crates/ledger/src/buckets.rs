//! A hash table that grows and shrinks by one bucket at a time (linear hashing), for tables of millions of small rows.
//!
//! A table that doubles is between seven eighths and seven sixteenths full, and holds the old and the new one while it moves:
//! a limit on rows is then no limit on memory worth the name. Here a row costs its size and about a byte, at any number of rows, and no
//! single insertion moves more than one bucket.

use crate::bucket::{Bucket, take};

/// Rows a bucket holds on average when the table grows. 64: a search reads about a kilobyte in sequence, and what a bucket
/// costs by itself (its vector of 24 bytes) is less than half a byte a row.
const FULL: usize = 64;

/// Rows a bucket holds on average when the table shrinks. 42, two thirds of `FULL`, so that growing and shrinking do not alternate.
const SPARSE: usize = 42;

/// Buckets listed together. 512, or 12 KiB: the list of buckets does not double either.
const BLOCK: usize = 512;

/// See the module. Equal rows are not told apart: whoever inserts knows that the row is not in here. Rows may go by themselves: `age` says
/// when a row has, and otherwise its place in the order of all; it counts as one here until its bucket is next written to.
#[derive(Clone, Debug)]
pub(crate) struct Buckets<B> {
    blocks: Vec<Vec<B>>,
    buckets: usize,
    len: usize,
    /// The bucket that is swept next although nothing is written to it.
    hand: usize,
    /// Bytes of all buckets.
    bytes: usize,
}

impl<B> Default for Buckets<B> {
    fn default() -> Self {
        Self { blocks: Vec::new(), buckets: 0, len: 0, hand: 0, bytes: 0 }
    }
}

impl<B: Bucket> Buckets<B> {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bucket of a hash: as many of its low bits as make a number below the number of buckets.
    const fn place(&self, hash: u64) -> usize {
        let mask = self.buckets.next_power_of_two() - 1;
        let place = hash as usize & mask;
        if place < self.buckets { place } else { place & (mask >> 1) }
    }

    fn bucket(&self, place: usize) -> &B {
        &self.blocks[place / BLOCK][place % BLOCK]
    }

    fn bucket_mut(&mut self, place: usize) -> &mut B {
        &mut self.blocks[place / BLOCK][place % BLOCK]
    }

    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(&B::Row) -> bool) -> Option<B::Row> {
        // Nothing is deleted or unconfirmed most of the time.
        if self.is_empty() { None } else { self.bucket(self.place(hash)).find(hash, is) }
    }

    /// The bucket in which a row of this hash is, if it is in here.
    #[inline]
    pub(crate) fn near(&self, hash: u64) -> Option<&B> {
        if self.is_empty() { None } else { Some(self.bucket(self.place(hash))) }
    }

    /// The bucket in which a row of this hash would be.
    pub(crate) fn bucket_of(&mut self, hash: u64) -> Option<&mut B> {
        if self.is_empty() {
            return None;
        }
        let place = self.place(hash);
        Some(self.bucket_mut(place))
    }

    #[inline]
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        row: B::Row,
        age: impl Fn(&B::Row) -> Option<u32>,
        hash_of: impl Fn(&B::Row) -> u64,
    ) {
        if self.buckets == 0 {
            self.add_bucket(B::default());
        }
        let place = self.place(hash);
        let bucket = self.bucket_mut(place);
        let before = bucket.bytes();
        let swept = bucket.sweep(&age);
        bucket.push(hash, row);
        let after = bucket.bytes();
        self.bytes = self.bytes + after - before;
        self.len = self.len + 1 - swept;
        if self.len > self.buckets * FULL {
            self.split(age, hash_of);
        }
    }

    /// Notes that so many rows have gone by themselves and so many are left: gives memory back when that is much less than there is.
    pub(crate) fn note_gone(&mut self, gone: u64, left: usize, age: impl Fn(&B::Row) -> Option<u32>) {
        if left == 0 {
            *self = Self::default();
        }
        for _ in 0..gone {
            if self.len > left + left / 8 + FULL {
                self.hand = if self.hand + 1 < self.buckets { self.hand + 1 } else { 0 };
                let bucket = self.bucket_mut(self.hand);
                let before = bucket.bytes();
                let swept = bucket.sweep(&age);
                let freed = before - bucket.bytes();
                self.bytes -= freed;
                self.len -= swept;
            } else if self.buckets > 1 && left < (self.buckets - 1) * SPARSE {
                self.merge(&age);
            } else {
                break;
            }
        }
    }

    /// Every row, in an order that depends on the history of the table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = B::Row> {
        self.blocks.iter().flatten().flat_map(B::rows)
    }

    /// The buckets of every row whose hash ends in six bits that `parts` has, and perhaps of some others: as many rows are passed over
    /// as a small table has, and none in a large one. No row may be added or taken out.
    pub(crate) fn buckets_mut(&mut self, parts: u64) -> impl Iterator<Item = &mut B> {
        let told_apart = self.buckets >= 64;
        let wanted = move |place: usize| !told_apart || parts >> (place % 64) & 1 == 1;
        let buckets = self.blocks.iter_mut().flatten().enumerate();
        buckets.filter(move |(place, _)| wanted(*place)).map(|(_, bucket)| bucket)
    }

    /// The bytes it takes, but for the allocator's own.
    pub(crate) fn memory_bytes(&self) -> usize {
        let lists: usize = self.blocks.iter().map(Vec::capacity).sum();
        self.blocks.capacity() * size_of::<Vec<B>>() + lists * size_of::<B>() + self.bytes
    }

    fn add_bucket(&mut self, bucket: B) {
        match self.blocks.last_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => block.push(bucket),
            None => self.blocks.push(vec![bucket]),
        }
        self.buckets += 1;
    }

    /// The bucket that a later one was split from, and goes back to.
    const fn parent(place: usize) -> usize {
        place & !(1 << place.ilog2())
    }

    #[cold]
    fn split(&mut self, age: impl Fn(&B::Row) -> Option<u32>, hash_of: impl Fn(&B::Row) -> u64) {
        let new = self.buckets;
        let parent = self.bucket_mut(Self::parent(new));
        let before = parent.bytes();
        let swept = parent.sweep(age);
        // Of all bits by which the new bucket and its parent are told, theirs differ in the highest. What the hashes are read from lies
        // anywhere: a loop that decides nothing has all of it on its way at once.
        let bit = 1 << new.ilog2();
        let goes: Vec<bool> = parent.rows().map(|row| hash_of(&row) & bit != 0).collect();
        let gone = parent.divide(&goes);
        let after = parent.bytes() + gone.bytes();
        self.add_bucket(gone);
        self.bytes = self.bytes + after - before;
        self.len -= swept;
    }

    fn merge(&mut self, age: impl Fn(&B::Row) -> Option<u32>) {
        let Some(mut rows) = self.blocks.last_mut().and_then(Vec::pop) else { return };
        if self.blocks.last().is_some_and(Vec::is_empty) {
            self.blocks.pop();
        }
        self.buckets -= 1;
        let freed = rows.bytes();
        let parent = self.bucket_mut(Self::parent(self.buckets));
        let before = parent.bytes();
        let swept = rows.sweep(&age) + parent.sweep(&age);
        parent.merge(&rows, age);
        let after = parent.bytes();
        self.bytes = self.bytes + after - before - freed;
        self.len -= swept;
    }
}

/// Of rows that never go by themselves.
impl<T: Copy> Buckets<Vec<T>> {
    pub(crate) fn remove(&mut self, hash: u64, is: impl Fn(&T) -> bool) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let place = self.place(hash);
        let bucket = self.bucket_mut(place);
        let before = bucket.bytes();
        let row = take(bucket, is)?;
        let freed = before - bucket.bytes();
        self.bytes -= freed;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        } else if self.len < (self.buckets - 1) * SPARSE {
            self.merge(|_| None);
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bucket::Numbers;

    /// Spreads a number as a hash does.
    const fn hash(n: &u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    /// Against a set, through growth over many buckets, decay to nothing, and growth again.
    #[test]
    fn it_is_a_set() {
        let mut table = Buckets::<Vec<u64>>::default();
        let mut model = BTreeSet::new();
        let mut random = 3_u64;
        for step in 0..200_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = (random >> 33) % 50_000;
            let growing = (step / 50_000) % 2 == 0;
            if growing || (random >> 20).is_multiple_of(10) {
                if model.insert(n) {
                    table.insert(hash(&n), n, |_| None, hash);
                }
            } else {
                let n = model.range(n..).next().copied().unwrap_or(n);
                assert_eq!(table.remove(hash(&n), |row| *row == n).is_some(), model.remove(&n));
                assert_eq!(table.find(hash(&n), |row| *row == n), None);
            }
            assert_eq!(table.len(), model.len());
            if step % 5_000 == 0 {
                for parts in [0, 1 << (random % 64), random, u64::MAX] {
                    let part = |n: &&u64| parts >> (hash(n) % 64) & 1 == 1;
                    let found: BTreeSet<_> =
                        table.buckets_mut(parts).flatten().map(|n| *n).filter(|n| part(&n)).collect();
                    assert_eq!(found, model.iter().copied().filter(|n| part(&n)).collect());
                    assert!(
                        table.len() < 5_000 || table.buckets_mut(parts).flatten().all(|n| part(&&*n)),
                        "rows of other parts"
                    );
                }
                assert_eq!(table.bytes, table.blocks.iter().flatten().map(Bucket::bytes).sum::<usize>());
                assert_eq!(table.iter().collect::<BTreeSet<_>>(), model);
                for n in &model {
                    assert_eq!(table.find(hash(n), |row| row == n), Some(*n));
                    let bucket = table.bucket_of(hash(n)).unwrap();
                    assert_eq!(bucket.iter_mut().find(|row| *row == n).copied(), Some(*n));
                }
            }
        }
        for n in std::mem::take(&mut model) {
            table.remove(hash(&n), |row| *row == n);
        }
        assert_eq!((table.is_empty(), table.memory_bytes()), (true, 0));
    }

    /// Half as many have gone as came: whoever looks for room in a bucket, or divides it, lets go of them.
    #[test]
    fn rows_that_have_gone_are_counted_for_as_long_as_they_are_kept() {
        let mut table = Buckets::<Numbers>::default();
        let hash_of = |n: &u32| hash(&u64::from(*n));
        for n in 0..20_000_u32 {
            let age = |row: &u32| row.checked_sub(n / 2);
            table.insert(hash_of(&n), n, age, hash_of);
            if n % 500 == 0 {
                assert_eq!(table.len(), table.iter().count());
                assert_eq!(table.bytes, table.blocks.iter().flatten().map(Bucket::bytes).sum::<usize>());
                assert!((n / 2..=n).all(|row| table.find(hash_of(&row), |found| *found == row).is_some()));
            }
        }
    }

    /// At every size on the way up to some thousand rows and beyond, and on the way down.
    #[test]
    fn a_row_costs_its_size_and_an_eighth_of_it_at_any_number() {
        let mut table = Buckets::<Vec<[u64; 2]>>::default();
        let hash_of = |row: &[u64; 2]| hash(&row[0]);
        let most = |table: &Buckets<_>| table.memory_bytes() as u64 - 12_288 <= 18 * table.len() as u64;
        for n in 0..300_000 {
            table.insert(hash(&n), [n, n], |_| None, hash_of);
            assert!(n % 1_000 != 999 || table.memory_bytes() < 12_288 || most(&table), "{n}: {}", table.memory_bytes());
        }
        for n in 0..290_000 {
            table.remove(hash(&n), |row| row[0] == n);
            let left = table.len() as u64;
            assert!(table.memory_bytes() as u64 <= 12_288 + 20 * left, "{left}: {}", table.memory_bytes());
        }
    }
}
