//! Deleted ids, remembered in about 30 bytes each: a row per id in the order of confirmation, an index by key, and what
//! neighbours share (when, under which ticket, of which checkpoint) once per group.
//!
//! There are far more of them than of ids that can still change, and all that is ever asked of one is whether it is known
//! and whether a delivery of it is newer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::buckets::Buckets;
use crate::entry::HandleRank;
use crate::ids::{CheckpointId, MessageKey, Mono, Ticket};
use crate::parts::{Parts, hash};
use crate::unconfirmed::{pack, unpack};

/// Rows allocated at a time. 256, or 6 KiB: little for a small ledger, and no slack that grows with a large one.
const CHUNK: usize = 256;

/// Why and since when a deleted id is remembered: it may go once every receive with a ticket below `ticket` has ended, and
/// the grace is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Burial {
    pub(crate) ticket: Ticket,
    pub(crate) at: Mono,
    pub(crate) checkpoint: CheckpointId,
}

#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(8))]
struct Row {
    key: u128,
    /// Packed; or [`ODD`], and then it is kept beside.
    rank: u64,
}

/// A rank that does not fit a row. No packed one is this number: it has its upper two bits clear.
const ODD: u64 = u64::MAX;

/// Where a row is: the low half of its number (there are never 2^32 at once), and enough of its hash that a search seldom looks at
/// a row that is not the one.
#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed)]
struct Place {
    number: u32,
    tag: u8,
}

/// Rows that follow each other and share their burial, the latest of theirs; `end` is the number after the last of them.
#[derive(Clone, Debug)]
struct Group {
    burial: Burial,
    since: Mono,
    end: u64,
}

/// Groups up to which every burial is kept as it was: 1,024, or 64 KiB. Beyond, those that follow each other
/// within 1/1,024 of the time remembered share the last of them, so that ids deleted one by one cost no group each: some
/// are remembered that much longer.
const EXACT_GROUPS: usize = 1_024;

/// See the module. Rows are numbered in their order; a row whose id came back stays until it is the oldest, unindexed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graves {
    chunks: VecDeque<Vec<Row>>,
    groups: VecDeque<Group>,
    /// The number of the first row of the first chunk, of the oldest row, and of the next one.
    base: u64,
    front: u64,
    end: u64,
    index: Buckets<Place>,
    odd: BTreeMap<MessageKey, HandleRank>,
}

/// Of the bits that the index does not place by.
const fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8
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
        let place = self.index.find(hash(key), |place| self.is_at(key, *place))?;
        Some(self.base + u64::from(place.number.wrapping_sub(self.base as u32)))
    }

    fn is_at(&self, key: MessageKey, place: Place) -> bool {
        place.tag == tag(hash(key)) && row(&self.chunks, self.base, place.number).key == key.0
    }

    fn rank(&self, row: &Row) -> HandleRank {
        let odd = (row.rank == ODD).then(|| self.odd.get(&MessageKey(row.key)).copied()).flatten();
        odd.unwrap_or_else(|| unpack(row.rank))
    }

    fn burial(&self, number: u64) -> Option<Burial> {
        let group = self.groups.partition_point(|group| group.end <= number);
        self.groups.get(group).map(|group| group.burial)
    }

    /// The rank under which an id was deleted, and its burial.
    pub(crate) fn get(&self, key: MessageKey) -> Option<(HandleRank, Burial)> {
        let number = self.find(key)?;
        Some((self.rank(row(&self.chunks, self.base, number as u32)), self.burial(number)?))
    }

    /// Adds an id that is not in here.
    pub(crate) fn bury(&mut self, key: MessageKey, rank: HandleRank, burial: Burial) {
        let packed = pack(rank).unwrap_or(ODD);
        if packed == ODD {
            self.odd.insert(key, rank);
        }
        let new = Row { key: key.0, rank: packed };
        match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => chunk.push(new),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(new);
                self.chunks.push_back(chunk);
            }
        }
        let number = self.end;
        self.end += 1;
        let share = match self.groups.front() {
            Some(oldest) if self.groups.len() >= EXACT_GROUPS => burial.at.since(oldest.since) / EXACT_GROUPS as u32,
            _ => Duration::ZERO,
        };
        let shares = |group: &Group| {
            let near = !share.is_zero() && burial.at.since(group.since) <= share;
            group.burial == burial || (near && group.burial.checkpoint == burial.checkpoint)
        };
        match self.groups.back_mut().filter(|group| shares(group)) {
            Some(group) => (group.burial, group.end) = (burial, self.end),
            None => self.groups.push_back(Group { burial, since: burial.at, end: self.end }),
        }
        let (chunks, base) = (&self.chunks, self.base);
        let place = Place { number: number as u32, tag: tag(hash(key)) };
        self.index.insert(hash(key), place, |place| hash(MessageKey(row(chunks, base, place.number).key)));
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
        let key = MessageKey(row(&self.chunks, self.base, self.front as u32).key);
        self.unindex(key);
        self.skip_unindexed();
        Some(key)
    }

    fn unindex(&mut self, key: MessageKey) {
        let Some(number) = self.find(key) else { return };
        self.index.remove(hash(key), |place| place.number == number as u32);
        self.odd.remove(&key);
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
        }
    }

    fn is_indexed(&self, number: u64) -> bool {
        let key = MessageKey(row(&self.chunks, self.base, number as u32).key);
        self.index.find(hash(key), |place| place.number == number as u32).is_some()
    }

    /// Every id, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageKey, HandleRank, Burial)> {
        let mut groups = self.groups.iter().peekable();
        (self.front..self.end).filter_map(move |number| {
            while groups.peek().is_some_and(|group| group.end <= number) {
                groups.next();
            }
            let row = row(&self.chunks, self.base, number as u32);
            self.is_indexed(number).then_some((MessageKey(row.key), self.rank(row), groups.peek()?.burial))
        })
    }

    /// The ids of some parts, in no order.
    pub(crate) fn keys_of(&self, parts: Parts) -> impl Iterator<Item = MessageKey> {
        let key = |place: &Place| MessageKey(row(&self.chunks, self.base, place.number).key);
        self.index.iter_parts(parts.0).map(key).filter(move |key| parts.has(*key))
    }

    /// The bytes it takes, but for the allocator's own.
    pub(crate) fn memory_bytes(&self) -> usize {
        let rows = self.chunks.len() * CHUNK * size_of::<Row>() + self.chunks.capacity() * size_of::<Vec<Row>>();
        // A tree's nodes are at least half full.
        let odd = self.odd.len() * 2 * size_of::<(MessageKey, HandleRank)>();
        rows + self.groups.capacity() * size_of::<Group>() + self.index.memory_bytes() + odd
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

    /// One in eleven fits no row.
    /// One in eleven fits no row.
    const fn rank(n: u64) -> HandleRank {
        let own_changes = if n.is_multiple_of(11) { 300 } else { 3 };
        HandleRank { dequeue_count: n as u32 % 9, own_changes, next_visible: crate::ServerMs(n as i64) }
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
                    graves.bury(key(step), rank(step), burial(step / 16));
                    model.insert(step, (key(step), rank(step), burial(step / 16)));
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

    /// Also if each was deleted by itself.
    #[test]
    fn an_id_costs_about_thirty_bytes_and_nothing_once_it_is_gone() {
        let mut graves = Graves::default();
        let rank = HandleRank::default();
        for n in 0..200_000 {
            let burial =
                Burial { ticket: Ticket(n), at: Mono::from_millis(60 * n), checkpoint: CheckpointId(n / 2_000) };
            graves.bury(key(n), rank, burial);
        }
        let each = graves.memory_bytes() as f64 / 200_000.0;
        assert!(each <= 32.0, "{each} bytes");
        // None goes sooner than it may, nor much later.
        for (n, (found, _, burial)) in (0..).zip(graves.iter()) {
            assert_eq!((found, burial.checkpoint), (key(n), CheckpointId(n / 2_000)));
            let late = burial.at.since(Mono::from_millis(60 * n));
            assert!(
                burial.ticket >= Ticket(n) && burial.at >= Mono::from_millis(60 * n) && late.as_secs() <= 12,
                "{n}"
            );
        }
        while graves.forget_oldest().is_some() {}
        assert_eq!(graves.memory_bytes(), 0);
    }
}
