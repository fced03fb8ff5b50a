//! The ids at work: each in a slot that it keeps for as long as it is here, and an index by key.
//!
//! What waits in a list is listed by its slot, so that a key is looked up when a message comes in from outside and not at each step
//! of its life. Slots are numbered and used again in an order that depends on the history alone.

use crate::entry::Entry;
use crate::ids::MessageKey;
use crate::parts::hash;

/// Where an entry is, as long as it is not removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Slot(u32);

/// A slot that may have been given to another id since: it counts only while it holds this key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    pub(crate) slot: Slot,
    pub(crate) key: MessageKey,
}

/// Where an entry is, and what says so: good until an entry is added or removed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    at: usize,
    pub(crate) slot: Slot,
}

/// Slots of the index when there is anything in it. 16: a small ledger costs little.
const SMALLEST: usize = 16;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    cells: Vec<Option<(MessageKey, Entry)>>,
    free: Vec<u32>,
    /// Open addressing with linear probing, at most half full: 0, or the mark of a key above the number of its slot plus 1.
    index: Vec<u64>,
}

/// Half of a key's hash: where the index looks first, and what it compares before it looks at the key.
const fn mark(key: MessageKey) -> u32 {
    let hash = hash(key);
    (hash ^ (hash >> 32)) as u32
}

const fn place(mark: u32, slot: u32) -> u64 {
    (mark as u64) << 32 | (slot as u64 + 1)
}

impl Entries {
    pub(crate) const fn len(&self) -> usize {
        self.cells.len() - self.free.len()
    }

    #[inline]
    pub(crate) fn seek(&self, key: MessageKey) -> Option<Seat> {
        let mask = self.index.len().checked_sub(1)?;
        let mark = mark(key);
        let mut at = mark as usize & mask;
        loop {
            let found = self.index[at];
            if found == 0 {
                return None;
            }
            let slot = Slot((found as u32) - 1);
            if (found >> 32) as u32 == mark && self.key(slot) == Some(key) {
                return Some(Seat { at, slot });
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    pub(crate) fn find(&self, key: MessageKey) -> Option<Slot> {
        self.seek(key).map(|seat| seat.slot)
    }

    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> Option<&Entry> {
        self.cells.get(slot.0 as usize)?.as_ref().map(|(_, entry)| entry)
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: Slot) -> Option<(MessageKey, &mut Entry)> {
        self.cells.get_mut(slot.0 as usize)?.as_mut().map(|(key, entry)| (*key, entry))
    }

    /// Whose slot it is now.
    #[inline]
    pub(crate) fn key(&self, slot: Slot) -> Option<MessageKey> {
        self.cells.get(slot.0 as usize)?.as_ref().map(|(key, _)| *key)
    }

    /// The entry of a spot, if it is still there.
    #[inline]
    pub(crate) fn there(&self, spot: Spot) -> Option<&Entry> {
        self.at(spot.slot).filter(|_| self.key(spot.slot) == Some(spot.key))
    }

    #[inline]
    pub(crate) fn get(&self, key: &MessageKey) -> Option<&Entry> {
        self.find(*key).and_then(|slot| self.at(slot))
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: &MessageKey) -> Option<&mut Entry> {
        let slot = self.find(*key)?;
        self.at_mut(slot).map(|(_, entry)| entry)
    }

    pub(crate) fn contains_key(&self, key: &MessageKey) -> bool {
        self.find(*key).is_some()
    }

    /// Adds an id that is not in here.
    pub(crate) fn insert(&mut self, key: MessageKey, entry: Entry) -> Slot {
        debug_assert!(self.find(key).is_none(), "G2: {key:?} is known and was taken for new");
        if (self.len() + 1) * 2 > self.index.len() {
            self.grow();
        }
        let slot = match self.free.pop() {
            Some(slot) => {
                self.cells[slot as usize] = Some((key, entry));
                slot
            }
            None => {
                self.cells.push(Some((key, entry)));
                // Limits are of 32 bits, and what may exceed them by a little is packed long before.
                self.cells.len() as u32 - 1
            }
        };
        self.enter(mark(key), slot);
        Slot(slot)
    }

    pub(crate) fn remove(&mut self, key: &MessageKey) -> Option<Entry> {
        let seat = self.seek(*key)?;
        let (_, entry) = self.cells[seat.slot.0 as usize].take()?;
        self.free.push(seat.slot.0);
        self.close(seat.at);
        Some(entry)
    }

    /// Removes what was just found.
    #[inline]
    pub(crate) fn vacate(&mut self, seat: Seat) {
        self.cells[seat.slot.0 as usize] = None;
        self.free.push(seat.slot.0);
        self.close(seat.at);
    }

    fn enter(&mut self, mark: u32, slot: u32) {
        let mask = self.index.len() - 1;
        let mut at = mark as usize & mask;
        while self.index[at] != 0 {
            at = (at + 1) & mask;
        }
        self.index[at] = place(mark, slot);
    }

    /// Empties a place, and moves what was put behind it only because it was taken.
    fn close(&mut self, mut hole: usize) {
        let mask = self.index.len() - 1;
        let mut next = (hole + 1) & mask;
        while self.index[next] != 0 {
            let home = (self.index[next] >> 32) as usize & mask;
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.index[hole] = self.index[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.index[hole] = 0;
    }

    fn grow(&mut self) {
        let size = (self.index.len() * 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.index, vec![0; size]);
        for found in old.into_iter().filter(|found| *found != 0) {
            self.enter((found >> 32) as u32, found as u32 - 1);
        }
    }

    /// Every id, in the order of slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&MessageKey, &Entry)> {
        self.cells.iter().flatten().map(|(key, entry)| (key, entry))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&MessageKey, &mut Entry)> {
        self.cells.iter_mut().flatten().map(|(key, entry)| (&*key, entry))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Entry> {
        self.iter().map(|(_, entry)| entry)
    }

    /// The bytes it takes, but for the allocator's own.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Option<(MessageKey, Entry)>>()
            + self.free.capacity() * size_of::<u32>()
            + self.index.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::entry::{Operation, Stage, Wait};
    use crate::{Mono, ServerMs};

    fn entry(bytes: u64) -> Entry {
        Entry {
            stage: Stage::Buffered,
            handle: None,
            rank: crate::entry::HandleRank::default(),
            enqueued: ServerMs(0),
            lease_end: crate::entry::Point::NONE,
            held_since: Mono::default().into(),
            bytes,
            operation: Operation::None,
            wait: Wait::None,
            attempts: 0,
            persisted: false,
            changed: false,
            retracted: false,
            left: false,
        }
    }

    /// Against a map, with keys that all look for the same few places, and with keys that are spread.
    #[test]
    fn it_is_a_map_whose_slots_stay() {
        for spread in [1_u128, 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835] {
            let mut entries = Entries::default();
            let mut model: BTreeMap<MessageKey, (Slot, u64)> = BTreeMap::new();
            let mut random = 9_u64;
            for step in 0..60_000_u64 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let n = (random >> 33) % 1_500;
                // Keys 64 bits apart have one mark.
                let key = MessageKey((u128::from(n) << 64 | u128::from(n % 7)).wrapping_mul(spread));
                let growing = (step / 6_000) % 2 == 0;
                match model.get(&key) {
                    Some((slot, bytes)) if !growing || n.is_multiple_of(3) => {
                        assert_eq!(entries.key(*slot), Some(key));
                        assert_eq!(entries.remove(&key).map(|entry| entry.bytes), Some(*bytes));
                        model.remove(&key);
                    }
                    Some((slot, bytes)) => {
                        assert_eq!(
                            (entries.find(key), entries.at(*slot).map(|e| e.bytes)),
                            (Some(*slot), Some(*bytes))
                        );
                    }
                    None if growing => {
                        model.insert(key, (entries.insert(key, entry(step)), step));
                    }
                    None => assert!(entries.remove(&key).is_none() && entries.get(&key).is_none()),
                }
                assert_eq!(entries.len(), model.len());
                if step % 1_000 == 0 {
                    assert!(model.iter().all(|(key, (slot, _))| entries.find(*key) == Some(*slot)));
                    let all: BTreeMap<_, _> = entries.iter().map(|(key, entry)| (*key, entry.bytes)).collect();
                    assert_eq!(all, model.iter().map(|(key, (_, bytes))| (*key, *bytes)).collect());
                }
            }
        }
    }

    #[test]
    fn a_spot_does_not_outlive_its_id() {
        let mut entries = Entries::default();
        let key = MessageKey(1);
        let spot = Spot { slot: entries.insert(key, entry(1)), key };
        assert!(entries.there(spot).is_some());
        entries.remove(&key);
        assert!(entries.there(spot).is_none());
        assert_eq!(entries.insert(MessageKey(2), entry(2)), spot.slot);
        assert!(entries.there(spot).is_none());
    }
}
