//! Deleted ids, remembered in about 40 bytes each: a row per id in the order of confirmation, an index by key, and what
//! neighbours share (when, under which ticket, of which checkpoint) once per group.
//!
//! There are far more of them than of ids that can still change, and all that is ever asked of one is whether it is known
//! and whether a delivery of it is newer.

use std::collections::VecDeque;

use hashbrown::HashTable;

use crate::entry::HandleRank;
use crate::ids::{CheckpointId, MessageKey, Mono, Ticket};

/// Rows allocated at a time. 256, or 8 KiB: little for a small ledger, and no slack that grows with a large one.
const CHUNK: usize = 256;

/// Why and since when a deleted id is remembered: it may go once every receive with a ticket below `ticket` has ended, and
/// the grace is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Burial {
    pub(crate) ticket: Ticket,
    pub(crate) at: Mono,
    pub(crate) checkpoint: CheckpointId,
}

#[derive(Clone, Debug)]
struct Row {
    key: MessageKey,
    rank: HandleRank,
}

/// Rows that follow each other and share their burial; `end` is the number after the last of them.
#[derive(Clone, Debug)]
struct Group {
    burial: Burial,
    end: u64,
}

/// See the module. Rows are numbered in their order; a row whose id came back stays until it is the oldest, unindexed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graves {
    chunks: VecDeque<Vec<Row>>,
    groups: VecDeque<Group>,
    /// The number of the first row of the first chunk, of the oldest row, and of the next one.
    base: u64,
    front: u64,
    end: u64,
    /// The low halves of row numbers: there are never 2^32 rows at once.
    index: HashTable<u32>,
}

/// A key is a hash already.
const fn hash(key: MessageKey) -> u64 {
    (key.0 ^ (key.0 >> 64)) as u64
}

fn row(chunks: &VecDeque<Vec<Row>>, base: u64, number: u32) -> &Row {
    let at = number.wrapping_sub(base as u32) as usize;
    &chunks[at / CHUNK][at % CHUNK]
}

impl Graves {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    fn find(&self, key: MessageKey) -> Option<u64> {
        let number = self.index.find(hash(key), |number| row(&self.chunks, self.base, *number).key == key)?;
        Some(self.base + u64::from(number.wrapping_sub(self.base as u32)))
    }

    fn burial(&self, number: u64) -> Option<Burial> {
        let group = self.groups.partition_point(|group| group.end <= number);
        self.groups.get(group).map(|group| group.burial)
    }

    /// The rank under which an id was deleted, and its burial.
    pub(crate) fn get(&self, key: MessageKey) -> Option<(HandleRank, Burial)> {
        let number = self.find(key)?;
        Some((row(&self.chunks, self.base, number as u32).rank, self.burial(number)?))
    }

    /// Adds an id that is not in here.
    pub(crate) fn bury(&mut self, key: MessageKey, rank: HandleRank, burial: Burial) {
        match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(Row { key, rank }),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(Row { key, rank });
                self.chunks.push_back(chunk);
            }
        }
        let number = self.end;
        self.end += 1;
        match self.groups.back_mut().filter(|group| group.burial == burial) {
            Some(group) => group.end = self.end,
            None => self.groups.push_back(Group { burial, end: self.end }),
        }
        let (chunks, base) = (&self.chunks, self.base);
        self.index.insert_unique(hash(key), number as u32, |number| hash(row(chunks, base, *number).key));
    }

    /// Takes an id out because it came back.
    pub(crate) fn raise(&mut self, key: MessageKey) {
        self.unindex(key);
        self.skip_unindexed();
    }

    /// The burial of the oldest id.
    pub(crate) fn oldest(&self) -> Option<Burial> {
        if self.index.is_empty() { None } else { self.groups.front().map(|group| group.burial) }
    }

    /// Takes the oldest id out for good.
    pub(crate) fn forget_oldest(&mut self) -> Option<MessageKey> {
        if self.index.is_empty() {
            return None;
        }
        let key = row(&self.chunks, self.base, self.front as u32).key;
        self.unindex(key);
        self.skip_unindexed();
        Some(key)
    }

    fn unindex(&mut self, key: MessageKey) {
        let (chunks, base) = (&self.chunks, self.base);
        if let Ok(found) = self.index.find_entry(hash(key), |number| row(chunks, base, *number).key == key) {
            found.remove();
        }
    }

    /// So that the oldest row is always an id.
    fn skip_unindexed(&mut self) {
        while self.front < self.end && !self.is_indexed(self.front) {
            self.front += 1;
            if self.front - self.base == CHUNK as u64 {
                self.chunks.pop_front();
                self.base = self.front;
            }
            while self.groups.front().is_some_and(|group| group.end <= self.front) {
                self.groups.pop_front();
            }
        }
        if self.index.is_empty() {
            *self = Self { base: self.end, front: self.end, end: self.end, ..Self::default() };
        } else if self.index.capacity() > 8 * self.index.len().max(CHUNK) {
            let (chunks, base) = (&self.chunks, self.base);
            self.index.shrink_to_fit(|number| hash(row(chunks, base, *number).key));
        }
    }

    fn is_indexed(&self, number: u64) -> bool {
        let key = row(&self.chunks, self.base, number as u32).key;
        self.index.find(hash(key), |found| *found == number as u32).is_some()
    }

    /// Every id, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageKey, HandleRank, Burial)> {
        let mut groups = self.groups.iter().peekable();
        (self.front..self.end).filter_map(move |number| {
            while groups.peek().is_some_and(|group| group.end <= number) {
                groups.next();
            }
            let Row { key, rank } = row(&self.chunks, self.base, number as u32);
            self.is_indexed(number).then_some((*key, *rank, groups.peek()?.burial))
        })
    }

    /// The bytes it takes, but for the allocator's own.
    pub(crate) fn memory_bytes(&self) -> usize {
        // The table keeps one control byte per slot, and an eighth of its slots free.
        let index = self.index.capacity() * 8 / 7 * (size_of::<u32>() + 1);
        self.chunks.len() * CHUNK * size_of::<Row>() + self.groups.capacity() * size_of::<Group>() + index
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn key(n: u64) -> MessageKey {
        MessageKey::of(&n.to_string())
    }

    fn burial(at: u64) -> Burial {
        Burial { ticket: Ticket(at / 3), at: Mono::from_millis(at), checkpoint: CheckpointId(at / 7) }
    }

    const fn rank(n: u64) -> HandleRank {
        HandleRank { dequeue_count: n as u32, own_changes: 0, next_visible: crate::ServerMs(n as i64) }
    }

    /// Against a list kept in order, over some thousand mixed steps across chunk borders.
    #[test]
    fn it_is_an_ordered_list_with_an_index() {
        let mut graves = Graves::default();
        let mut model: BTreeMap<u64, (MessageKey, HandleRank, Burial)> = BTreeMap::new();
        let mut random = 7_u64;
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = random >> 33;
            // Grows to beyond some chunks, shrinks to nothing, and again.
            let growing = (step / 4_000) % 2 == 0;
            match choice % 10 {
                0..=1 => {
                    let some = model.keys().nth((choice / 10) as usize % model.len().max(1)).copied();
                    if let Some(some) = some {
                        let (key, ..) = model.remove(&some).unwrap();
                        graves.raise(key);
                        assert!(graves.get(key).is_none());
                    }
                }
                2..=4 if !growing => {
                    assert_eq!(graves.forget_oldest(), model.pop_first().map(|(_, (key, ..))| key));
                }
                _ if growing => {
                    graves.bury(key(step), rank(step), burial(step / 5));
                    model.insert(step, (key(step), rank(step), burial(step / 5)));
                }
                _ => {}
            }
            assert_eq!(graves.len(), model.len());
            assert_eq!(graves.oldest(), model.first_key_value().map(|(_, (.., burial))| *burial));
            if step % 500 == 0 {
                assert!(graves.iter().eq(model.values().copied()));
                for (key, rank, burial) in model.values() {
                    assert_eq!(graves.get(*key), Some((*rank, *burial)));
                }
            }
        }
    }

    #[test]
    fn an_id_costs_about_forty_bytes_and_nothing_once_it_is_gone() {
        let mut graves = Graves::default();
        for n in 0..200_000 {
            graves.bury(key(n), rank(1), burial(n / 16));
        }
        let each = graves.memory_bytes() / 200_000;
        assert!(each <= 45, "{each} bytes");
        while graves.forget_oldest().is_some() {}
        assert_eq!(graves.memory_bytes(), 0);
    }
}
