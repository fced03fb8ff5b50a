//! A hash table that grows and shrinks by one bucket at a time (linear hashing), for tables of millions of small rows.
//!
//! A table that doubles is between seven eighths and seven sixteenths full, and holds the old and the new one while it moves:
//! a limit on rows is then no limit on memory worth the name. Here a row costs its size and about a byte, at any number of rows, and no
//! single insertion moves more than one bucket.

/// Rows a bucket holds on average when the table grows. 48: a search reads about a kilobyte in sequence, and what a bucket
/// costs by itself (its vector of 24 bytes) is half a byte a row.
const FULL: usize = 48;

/// Rows a bucket holds on average when the table shrinks. 32, two thirds of `FULL`, so that growing and shrinking do not alternate.
const SPARSE: usize = 32;

/// Rows by which a bucket grows. 2: on average one of 48 is free.
const STEP: usize = 2;

/// Buckets listed together. 512, or 12 KiB: the list of buckets does not double either.
const BLOCK: usize = 512;

/// See the module. Equal rows are not told apart: whoever inserts knows that the row is not in here.
#[derive(Clone, Debug)]
pub(crate) struct Buckets<T> {
    blocks: Vec<Vec<Vec<T>>>,
    buckets: usize,
    len: usize,
    /// Rows there is memory for, in all buckets.
    room: usize,
}

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), buckets: 0, len: 0, room: 0 }
    }
}

impl<T: Copy> Buckets<T> {
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

    fn bucket(&self, place: usize) -> &Vec<T> {
        &self.blocks[place / BLOCK][place % BLOCK]
    }

    fn bucket_mut(&mut self, place: usize) -> &mut Vec<T> {
        &mut self.blocks[place / BLOCK][place % BLOCK]
    }

    pub(crate) fn find(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<&T> {
        // Nothing is deleted or unconfirmed most of the time.
        if self.is_empty() { None } else { self.bucket(self.place(hash)).iter().find(|row| is(row)) }
    }

    /// The row, to be changed in anything but its hash.
    pub(crate) fn find_mut(&mut self, hash: u64, is: impl Fn(&T) -> bool) -> Option<&mut T> {
        if self.is_empty() {
            return None;
        }
        let place = self.place(hash);
        self.bucket_mut(place).iter_mut().find(|row| is(row))
    }

    pub(crate) fn insert(&mut self, hash: u64, row: T, hash_of: impl Fn(&T) -> u64) {
        if self.buckets == 0 {
            self.add_bucket(Vec::new());
        }
        let place = self.place(hash);
        let bucket = self.bucket_mut(place);
        let before = bucket.capacity();
        if bucket.len() == before {
            bucket.reserve_exact(STEP);
        }
        bucket.push(row);
        let grown = bucket.capacity() - before;
        self.room += grown;
        self.len += 1;
        if self.len > self.buckets * FULL {
            self.split(hash_of);
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, is: impl Fn(&T) -> bool) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let place = self.place(hash);
        let bucket = self.bucket_mut(place);
        let at = bucket.iter().position(is)?;
        let row = bucket.swap_remove(at);
        let before = bucket.capacity();
        if before - bucket.len() > 2 * STEP {
            bucket.shrink_to(bucket.len() + STEP);
        }
        let freed = before - bucket.capacity();
        self.room -= freed;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        } else if self.len < (self.buckets - 1) * SPARSE {
            self.merge();
        }
        Some(row)
    }

    /// Every row, in an order that depends on the history of the table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten().flatten()
    }

    /// Every row whose hash ends in six bits that `parts` has, and perhaps some others: as many rows are passed over as a small
    /// table has, and none in a large one.
    pub(crate) fn iter_parts(&self, parts: u64) -> impl Iterator<Item = &T> {
        let told_apart = self.buckets >= 64;
        let wanted = move |place: usize| !told_apart || parts >> (place % 64) & 1 == 1;
        let buckets = self.blocks.iter().flatten().enumerate();
        buckets.filter(move |(place, _)| wanted(*place)).flat_map(|(_, bucket)| bucket)
    }

    /// The bytes it takes, but for the allocator's own.
    pub(crate) fn memory_bytes(&self) -> usize {
        let lists: usize = self.blocks.iter().map(Vec::capacity).sum();
        self.blocks.capacity() * size_of::<Vec<Vec<T>>>() + lists * size_of::<Vec<T>>() + self.room * size_of::<T>()
    }

    fn add_bucket(&mut self, bucket: Vec<T>) {
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

    fn split(&mut self, hash_of: impl Fn(&T) -> u64) {
        let new = self.buckets;
        self.add_bucket(Vec::new());
        let rows = std::mem::take(self.bucket_mut(Self::parent(new)));
        self.room -= rows.capacity();
        let go = rows.iter().filter(|row| self.place(hash_of(row)) == new).count();
        let (mut stay, mut gone) = (Vec::with_capacity(rows.len() - go), Vec::with_capacity(go));
        for row in rows {
            if self.place(hash_of(&row)) == new { gone.push(row) } else { stay.push(row) }
        }
        self.room += stay.capacity() + gone.capacity();
        *self.bucket_mut(Self::parent(new)) = stay;
        *self.bucket_mut(new) = gone;
    }

    fn merge(&mut self) {
        let Some(rows) = self.blocks.last_mut().and_then(Vec::pop) else { return };
        if self.blocks.last().is_some_and(Vec::is_empty) {
            self.blocks.pop();
        }
        self.buckets -= 1;
        let freed = rows.capacity();
        let parent = self.bucket_mut(Self::parent(self.buckets));
        let before = parent.capacity();
        parent.reserve_exact(rows.len());
        parent.extend(rows);
        let grown = parent.capacity() - before;
        self.room = self.room + grown - freed;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Spreads a number as a hash does.
    const fn hash(n: &u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    /// Against a set, through growth over many buckets, decay to nothing, and growth again.
    #[test]
    fn it_is_a_set() {
        let mut table = Buckets::<u64>::default();
        let mut model = BTreeSet::new();
        let mut random = 3_u64;
        for step in 0..200_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = (random >> 33) % 50_000;
            let growing = (step / 50_000) % 2 == 0;
            if growing || (random >> 20).is_multiple_of(10) {
                if model.insert(n) {
                    table.insert(hash(&n), n, hash);
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
                    let found: BTreeSet<_> = table.iter_parts(parts).filter(part).collect();
                    assert_eq!(found, model.iter().filter(part).collect());
                    assert!(table.len() < 5_000 || table.iter_parts(parts).all(|n| part(&n)), "rows of other parts");
                }
                assert_eq!(table.room, table.blocks.iter().flatten().map(Vec::capacity).sum());
                assert_eq!(table.iter().copied().collect::<BTreeSet<_>>(), model);
                for n in &model {
                    assert_eq!(table.find(hash(n), |row| row == n), Some(n));
                    assert_eq!(table.find_mut(hash(n), |row| row == n).copied(), Some(*n));
                }
            }
        }
        for n in std::mem::take(&mut model) {
            table.remove(hash(&n), |row| *row == n);
        }
        assert_eq!((table.is_empty(), table.memory_bytes()), (true, 0));
    }

    /// At every size on the way up to some thousand rows and beyond, and on the way down.
    #[test]
    fn a_row_costs_its_size_and_an_eighth_of_it_at_any_number() {
        let mut table = Buckets::<[u64; 2]>::default();
        let hash_of = |row: &[u64; 2]| hash(&row[0]);
        let most = |table: &Buckets<_>| table.memory_bytes() as u64 - 12_288 <= 18 * table.len() as u64;
        for n in 0..300_000 {
            table.insert(hash(&n), [n, n], hash_of);
            assert!(n % 1_000 != 999 || table.memory_bytes() < 12_288 || most(&table), "{n}: {}", table.memory_bytes());
        }
        for n in 0..290_000 {
            table.remove(hash(&n), |row| row[0] == n);
            let left = table.len() as u64;
            assert!(table.memory_bytes() as u64 <= 12_288 + 20 * left, "{left}: {}", table.memory_bytes());
        }
    }
}
