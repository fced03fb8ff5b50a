//! Deleted ids, remembered in about 30 bytes each: a row per id in the order of confirmation, an index by key, and what
//! neighbours share (when, under which ticket, of which checkpoint) once per group.
//!
//! There are far more of them than of ids that can still change, and all that is ever asked of one is whether it is known
//! and whether a delivery of it is newer.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use crate::bucket::Numbers;
use crate::buckets::Buckets;
use crate::entry::HandleRank;
use crate::ids::{CheckpointId, MessageKey, Mono, Ticket};
use crate::parts::hash;
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
    /// Packed; or [`ODD`], and then it is kept beside; or [`RAISED`].
    rank: u64,
}

/// A rank that does not fit a row. No packed one is this number: it has its upper two bits clear.
const ODD: u64 = u64::MAX;

/// In place of a rank: the id came back, and the row says nothing any more.
const RAISED: u64 = u64::MAX - 1;

/// Rows that follow each other and share their burial, the latest of theirs; `end` is the number after the last of them.
#[derive(Clone, Debug)]
struct Group {
    burial: Burial,
    since: Mono,
    end: u64,
}

/// Groups up to which every burial is kept as it was: 512, or 28 KiB. Beyond, those that follow each other
/// within 1/512 of the time remembered share the last of them, so that ids deleted one by one cost no group each: some
/// are remembered that much longer.
const EXACT_GROUPS: usize = 512;

/// See the module. Rows are numbered in their order; a row whose id came back stays until it is the oldest, and is passed over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graves {
    chunks: VecDeque<Vec<Row>>,
    groups: VecDeque<Group>,
    /// The number of the first row of the first chunk, of the oldest row, and of the next one.
    base: u64,
    front: u64,
    end: u64,
    /// The number of the first row that is in no segment yet.
    unsaved: u64,
    /// How many rows are ids.
    len: usize,
    /// The low halves of the numbers of rows: there are never 2^32 at once. Of rows that have gone, too, until their bucket is next written
    /// to, so that forgetting an id looks nothing up.
    index: Buckets<Numbers>,
    odd: BTreeMap<MessageKey, HandleRank>,
}

fn row(chunks: &VecDeque<Vec<Row>>, base: u64, number: u32) -> &Row {
    let at = number.wrapping_sub(base as u32) as usize;
    &chunks[at / CHUNK][at % CHUNK]
}

/// How many rows there are before this one; `None` if it has gone.
fn age(front: u64, end: u64) -> impl Fn(&u32) -> Option<u32> {
    let (front, rows) = (front as u32, (end - front) as u32);
    move |number| Some(number.wrapping_sub(front)).filter(|age| *age < rows)
}

impl Graves {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn find(&self, key: MessageKey) -> Option<u64> {
        let age = age(self.front, self.end);
        let is = |row: &Row| row.key == key.0 && row.rank != RAISED;
        let found = |number: &u32| age(number).is_some() && is(row(&self.chunks, self.base, *number));
        self.index.find(hash(key), found).map(|number| self.number(number))
    }

    /// The number of which this is the low half.
    fn number(&self, half: u32) -> u64 {
        self.base + u64::from(half.wrapping_sub(self.base as u32))
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
        self.len += 1;
        self.group(burial);
        let (chunks, base) = (&self.chunks, self.base);
        let hash_of = |number: &u32| hash(MessageKey(row(chunks, base, *number).key));
        self.index.insert(hash(key), number as u32, age(self.front, self.end), hash_of);
    }

    /// Puts the newest row into the last group, or into one of its own.
    fn group(&mut self, burial: Burial) {
        if let Some(last) = self.groups.back_mut().filter(|last| last.burial == burial) {
            last.end = self.end;
            return;
        }
        let share = match self.groups.front() {
            Some(oldest) if self.groups.len() >= EXACT_GROUPS => burial.at.since(oldest.since) / EXACT_GROUPS as u32,
            _ => Duration::ZERO,
        };
        let shares = |group: &Group| {
            let near = !share.is_zero() && burial.at.since(group.since) <= share;
            near && group.burial.checkpoint == burial.checkpoint
        };
        match self.groups.back_mut().filter(|group| shares(group)) {
            Some(group) => (group.burial, group.end) = (burial, self.end),
            None => {
                if self.groups.len() == self.groups.capacity() && self.groups.len() >= EXACT_GROUPS {
                    self.groups.reserve_exact(EXACT_GROUPS);
                }
                self.groups.push_back(Group { burial, since: burial.at, end: self.end });
            }
        }
    }

    /// Takes an id out because it came back.
    pub(crate) fn raise(&mut self, key: MessageKey) {
        let Some(number) = self.find(key) else { return };
        self.len -= 1;
        self.odd.remove(&key);
        let at = (number - self.base) as usize;
        self.chunks[at / CHUNK][at % CHUNK].rank = RAISED;
        self.skip_raised();
    }

    /// Reads what is about to be looked up, so that the memory of one is on its way while the next is asked for: a search waits for what it
    /// finds before it goes on.
    pub(crate) fn touch(&self, keys: impl Iterator<Item = MessageKey>) {
        let touched = keys.filter_map(|key| self.index.near(hash(key))).map(Numbers::touch);
        std::hint::black_box(touched.fold(0, std::ops::BitXor::bitxor));
    }

    /// Says of each key whether it may be in here: false is certain.
    pub(crate) fn may_hold(&self, keys: impl Iterator<Item = MessageKey>, out: &mut [bool]) {
        if self.len > 0 {
            for (key, out) in keys.zip(out) {
                *out = self.index.find(hash(key), |_| true).is_some();
            }
        }
    }

    /// The burial of the oldest id.
    pub(crate) fn oldest(&self) -> Option<Burial> {
        if self.len == 0 { None } else { self.groups.front().map(|group| group.burial) }
    }

    /// Takes the oldest ids out for good, at most so many and only such as share the burial of the oldest; how many.
    pub(crate) fn forget_oldest(&mut self, most: u64, out: &mut Vec<MessageKey>) -> u64 {
        let before = out.len();
        let end = self.groups.front().map_or(self.front, |group| group.end);
        while self.front < end && ((out.len() - before) as u64) < most {
            let Row { key, rank } = *row(&self.chunks, self.base, self.front as u32);
            if rank != RAISED {
                if rank == ODD {
                    self.odd.remove(&MessageKey(key));
                }
                out.push(MessageKey(key));
            }
            self.pass();
        }
        let gone = out.len() - before;
        self.len -= gone;
        self.skip_raised();
        self.index.note_gone(gone as u64, self.len, age(self.front, self.end));
        gone as u64
    }

    /// Lets go of the oldest row.
    #[inline]
    fn pass(&mut self) {
        self.front += 1;
        if self.front - self.base == CHUNK as u64 {
            self.chunks.pop_front();
            self.base = self.front;
        }
        while self.groups.front().is_some_and(|group| group.end <= self.front) {
            self.groups.pop_front();
        }
    }

    /// So that the oldest row is always an id.
    fn skip_raised(&mut self) {
        while self.front < self.end && row(&self.chunks, self.base, self.front as u32).rank == RAISED {
            self.pass();
        }
        if self.len == 0 {
            *self = Self { base: self.end, front: self.end, end: self.end, unsaved: self.unsaved, ..Self::default() };
        }
    }

    /// Whether an id was added that is in no segment yet (it may have gone since).
    pub(crate) const fn has_unsaved(&self) -> bool {
        self.unsaved < self.end
    }

    /// The rows of the ids that are in no segment yet.
    pub(crate) fn unsaved_rows(&self) -> Range<u64> {
        self.unsaved.max(self.front)..self.end
    }

    /// The rows of the others.
    pub(crate) fn saved_rows(&self) -> Range<u64> {
        self.front..self.unsaved.max(self.front)
    }

    /// Notes that all are in some segment.
    pub(crate) const fn note_saved(&mut self) {
        self.unsaved = self.end;
    }

    /// The ids that are in no segment yet, oldest first.
    pub(crate) fn unsaved(&self) -> impl Iterator<Item = MessageKey> {
        self.rows(self.unsaved.max(self.front)).map(|(_, row)| MessageKey(row.key))
    }

    fn rows(&self, from: u64) -> impl Iterator<Item = (u64, &Row)> {
        let first = (from - self.base) as usize;
        let chunks = self.chunks.range((first / CHUNK).min(self.chunks.len())..);
        let rows = chunks.flatten().skip(first % CHUNK);
        (from..).zip(rows).filter(|(_, row)| row.rank != RAISED)
    }

    /// Every id, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageKey, HandleRank, Burial)> {
        let mut groups = self.groups.iter().peekable();
        self.rows(self.front).filter_map(move |(number, row)| {
            while groups.peek().is_some_and(|group| group.end <= number) {
                groups.next();
            }
            Some((MessageKey(row.key), self.rank(row), groups.peek()?.burial))
        })
    }

    /// What a segment says of each of some rows: the rank under which it was deleted, and its checkpoint.
    pub(crate) fn lines(&self, rows: Range<u64>) -> impl Iterator<Item = (MessageKey, HandleRank, CheckpointId)> {
        let first = self.groups.partition_point(|group| group.end <= rows.start);
        let mut groups = self.groups.range(first..);
        let (mut end, mut checkpoint) = (0, CheckpointId(0));
        let found = self.rows(rows.start).take_while(move |(number, _)| *number < rows.end);
        found.map(move |(number, row)| {
            while end <= number
                && let Some(group) = groups.next()
            {
                (end, checkpoint) = (group.end, group.burial.checkpoint);
            }
            (MessageKey(row.key), self.rank(row), checkpoint)
        })
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
    const fn rank(n: u64) -> HandleRank {
        let own_changes = if n.is_multiple_of(11) { 300 } else { 3 };
        HandleRank { dequeue_count: n as u32 % 9, own_changes, next_visible: crate::ServerMs(n as i64) }
    }

    /// Against a list kept in order, over some thousand mixed steps across chunk borders.
    #[test]
    fn it_is_an_ordered_list_with_an_index() {
        let mut graves = Graves::default();
        let mut model: BTreeMap<u64, (MessageKey, HandleRank, Burial)> = BTreeMap::new();
        let (mut random, mut saved) = (7_u64, 0);
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
                    let mut gone = Vec::new();
                    assert_eq!(graves.forget_oldest(choice % 4, &mut gone), gone.len() as u64);
                    let shared = model.first_key_value().map(|(_, (.., burial))| *burial);
                    let few = model.values().take_while(|(.., burial)| Some(*burial) == shared).count();
                    assert_eq!(gone.len(), few.min((choice % 4) as usize));
                    assert!(gone.into_iter().all(|key| model.pop_first().is_some_and(|(_, (first, ..))| first == key)));
                }
                _ if growing => {
                    graves.bury(key(step), rank(step), burial(step / 16));
                    model.insert(step, (key(step), rank(step), burial(step / 16)));
                }
                _ => {}
            }
            assert_eq!(graves.len(), model.len());
            assert_eq!(graves.oldest(), model.first_key_value().map(|(_, (.., burial))| *burial));
            if step % 1_000 == 0 {
                graves.note_saved();
                saved = step;
            }
            assert_eq!(graves.unsaved().count(), model.range(saved + 1..).count());
            if step % 500 == 0 {
                assert!(graves.iter().eq(model.values().copied()));
                let (saved, new) = (graves.saved_rows(), graves.unsaved_rows());
                let middle = saved.start.midpoint(saved.end);
                let rows = [saved.start..middle, middle..saved.end, new];
                let lines = rows.into_iter().flat_map(|rows| graves.lines(rows));
                assert!(lines.eq(model.values().map(|(key, rank, burial)| (*key, *rank, burial.checkpoint))));
                let keys = || model.values().map(|(key, ..)| *key);
                let mut held = vec![false; model.len()];
                graves.may_hold(keys(), &mut held);
                assert!(held.iter().all(|held| *held));
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
                burial.ticket >= Ticket(n) && burial.at >= Mono::from_millis(60 * n) && late.as_secs() <= 24,
                "{n}"
            );
        }
        while graves.forget_oldest(u64::MAX, &mut Vec::new()) > 0 {}
        assert_eq!(graves.memory_bytes(), 0);
    }
}
