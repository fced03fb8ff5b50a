//! Committed ids without a live handle, in about 31 bytes each: all that is asked of one is whether it is known, whether a
//! delivery of it is newer, and whether its queue must have dropped it by now.
//!
//! A row keeps every value exactly or is not made: what does not fit (a message delivered more than 4,095 times, a time before
//! 1970 or after 2109) stays among the entries, which hold anything. So no order of handles is ever changed by packing.

use std::collections::BTreeMap;

use crate::buckets::Buckets;
use crate::entry::{Entry, HandleRank, Operation, Point, Stage, Wait};
use crate::ids::{CheckpointId, MessageKey, ServerMs};
use crate::parts::{Parts, hash};

/// Bits of a time in milliseconds since 1970: until the year 2109.
const TIME_BITS: u32 = 42;
/// Bits of a dequeue count: a lease of 30 s that ends 4,095 times in a row is a day and a half.
const COUNT_BITS: u32 = 12;
const COUNT_AT: u32 = TIME_BITS;
const OWN_AT: u32 = COUNT_AT + COUNT_BITS;
/// Above the 8 bits of our own changes: extending every 15 s for as long as any message is held (25 minutes) makes 100.
const CHANGED: u64 = 1 << 62;
/// The queue says nothing of the next visibility: the time is that of the sending.
const TIMELESS: u64 = 1 << 63;
/// In place of the time between sending and next visibility: the queue does not say when it took the message.
const UNSENT: i32 = i32::MIN;

/// A rank in the lower 62 bits; `None` if it does not fit.
pub(crate) fn pack(rank: HandleRank) -> Option<u64> {
    let time = u64::try_from(rank.next_visible.0).ok().filter(|time| time >> TIME_BITS == 0)?;
    let count = u64::from(rank.dequeue_count);
    let own = u64::from(u8::try_from(rank.own_changes).ok()?);
    (count >> COUNT_BITS == 0).then_some(time | count << COUNT_AT | own << OWN_AT)
}

pub(crate) const fn unpack(packed: u64) -> HandleRank {
    HandleRank {
        dequeue_count: (packed >> COUNT_AT) as u32 & ((1 << COUNT_BITS) - 1),
        own_changes: (packed >> OWN_AT) as u32 & 0xff,
        next_visible: ServerMs((packed & ((1 << TIME_BITS) - 1)) as i64),
    }
}

#[derive(Clone, Copy, Debug)]
#[repr(Rust, packed(2))]
struct Row {
    key: u128,
    rank: u64,
    /// From the sending to the next visibility, in milliseconds: 24 days either way.
    lived: i32,
    epoch: u16,
}

/// What is known of an id in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unhandled {
    pub(crate) key: MessageKey,
    pub(crate) rank: HandleRank,
    pub(crate) enqueued: ServerMs,
    pub(crate) checkpoint: CheckpointId,
    /// Listed in the changes for the next segment.
    pub(crate) changed: bool,
}

impl Unhandled {
    /// What an entry comes to; `None` while it is anything but committed, at rest and without a handle.
    pub(crate) fn of(key: MessageKey, entry: &Entry) -> Option<Self> {
        let Stage::Committed(checkpoint) = entry.stage else { return None };
        let rests = entry.handle.is_none() && entry.operation == Operation::None && entry.wait == Wait::None;
        let Entry { rank, enqueued, changed, .. } = *entry;
        (rests && (entry.persisted || entry.changed)).then_some(Self { key, rank, enqueued, checkpoint, changed })
    }

    /// The entry again, without a handle. Some segment holds it, or the next one will: to list it as forgotten in either case costs
    /// the room of a key.
    pub(crate) const fn entry(self) -> Entry {
        Entry {
            stage: Stage::Committed(self.checkpoint),
            handle: None,
            rank: self.rank,
            enqueued: self.enqueued,
            lease_end: Point::NONE,
            held_since: Point::START,
            bytes: 0,
            operation: Operation::None,
            wait: Wait::None,
            attempts: 0,
            persisted: true,
            changed: self.changed,
            retracted: false,
            left: false,
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unconfirmed {
    rows: Buckets<Vec<Row>>,
    epochs: Epochs,
}

impl Unconfirmed {
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn get(&self, key: MessageKey) -> Option<Unhandled> {
        self.rows.find(hash(key), |row| row.key == key.0).map(|row| self.read(&row))
    }

    /// Adds an id that is not in here. False, and nothing changes, if a row cannot hold it exactly.
    pub(crate) fn insert(&mut self, id: &Unhandled) -> bool {
        let row = Self::write(id).and_then(|row| Some(Row { epoch: self.epochs.enter(id.checkpoint)?, ..row }));
        if let Some(row) = row {
            self.rows.insert(hash(id.key), row, |_| None, |row| hash(MessageKey(row.key)));
        }
        row.is_some()
    }

    pub(crate) fn remove(&mut self, key: MessageKey) -> Option<Unhandled> {
        let row = self.rows.remove(hash(key), |row| row.key == key.0)?;
        let id = self.read(&row);
        self.epochs.leave(row.epoch);
        Some(id)
    }

    /// If an id has changed, notes that the segment under way carries it, and says what it is to say.
    pub(crate) fn settle(&mut self, key: MessageKey) -> Option<Unhandled> {
        let row = self.rows.bucket_of(hash(key))?.iter_mut().find(|row| row.key == key.0)?;
        let changed = row.rank & CHANGED != 0;
        row.rank &= !CHANGED;
        changed.then_some(*row).map(|row| self.read(&row))
    }

    /// Notes that the segment under way carries every id of some parts, and says what it is to say.
    pub(crate) fn settle_parts(&mut self, parts: Parts, mut say: impl FnMut(Unhandled)) {
        let Self { rows, epochs } = self;
        for row in rows.buckets_mut(parts.0).flatten().filter(|row| parts.has(MessageKey(row.key))) {
            row.rank &= !CHANGED;
            say(read(row, epochs));
        }
    }

    /// Every id, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Unhandled> {
        self.rows.iter().map(|row| self.read(&row))
    }

    /// The bytes it takes, but for the allocator's own.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.rows.memory_bytes() + self.epochs.memory_bytes()
    }

    fn write(id: &Unhandled) -> Option<Row> {
        let timeless = id.rank.next_visible == ServerMs(0);
        let (next_visible, lived) = if timeless {
            (id.enqueued, 0)
        } else if id.enqueued == ServerMs(0) {
            (id.rank.next_visible, UNSENT)
        } else {
            let lived = id.rank.next_visible.0.checked_sub(id.enqueued.0)?;
            (id.rank.next_visible, i32::try_from(lived).ok().filter(|lived| *lived != UNSENT)?)
        };
        let rank = pack(HandleRank { next_visible, ..id.rank })?;
        let flags = if timeless { TIMELESS } else { 0 } | if id.changed { CHANGED } else { 0 };
        Some(Row { key: id.key.0, rank: rank | flags, lived, epoch: 0 })
    }

    fn read(&self, row: &Row) -> Unhandled {
        read(row, &self.epochs)
    }
}

fn read(row: &Row, epochs: &Epochs) -> Unhandled {
    let mut rank = unpack(row.rank);
    let mut enqueued = ServerMs(rank.next_visible.0 - i64::from(row.lived));
    if row.rank & TIMELESS != 0 {
        rank.next_visible = ServerMs(0);
    } else if row.lived == UNSENT {
        enqueued = ServerMs(0);
    }
    let checkpoint = epochs.checkpoint(row.epoch);
    Unhandled { key: MessageKey(row.key), rank, enqueued, checkpoint, changed: row.rank & CHANGED != 0 }
}

/// The checkpoints that rows belong to, by a number of two bytes: at one every ten seconds, 65,536 are a week of them in which each
/// left an id unconfirmed; the ids of any more stay among the entries.
#[derive(Clone, Debug, Default)]
struct Epochs {
    slots: Vec<(CheckpointId, u32)>,
    by_checkpoint: BTreeMap<CheckpointId, u16>,
    free: Vec<u16>,
}

impl Epochs {
    fn enter(&mut self, checkpoint: CheckpointId) -> Option<u16> {
        let slot = match self.by_checkpoint.get(&checkpoint) {
            Some(slot) => *slot,
            None => {
                let slot = match self.free.pop() {
                    Some(slot) => slot,
                    None => {
                        let slot = u16::try_from(self.slots.len()).ok()?;
                        self.slots.push((checkpoint, 0));
                        slot
                    }
                };
                self.slots[usize::from(slot)] = (checkpoint, 0);
                self.by_checkpoint.insert(checkpoint, slot);
                slot
            }
        };
        self.slots[usize::from(slot)].1 += 1;
        Some(slot)
    }

    fn leave(&mut self, slot: u16) {
        let (checkpoint, ids) = &mut self.slots[usize::from(slot)];
        *ids -= 1;
        if *ids == 0 {
            self.by_checkpoint.remove(checkpoint);
            self.free.push(slot);
        }
        if self.by_checkpoint.is_empty() {
            *self = Self::default();
        }
    }

    fn checkpoint(&self, slot: u16) -> CheckpointId {
        self.slots[usize::from(slot)].0
    }

    fn memory_bytes(&self) -> usize {
        // The tree's nodes are at least half full.
        let tree = self.by_checkpoint.len() * 2 * size_of::<(CheckpointId, u16)>();
        self.slots.capacity() * size_of::<(CheckpointId, u32)>() + self.free.capacity() * size_of::<u16>() + tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: i64 = 1_642_865_171_557;

    fn id(n: u64, next_visible: i64, enqueued: i64) -> Unhandled {
        let rank = HandleRank { dequeue_count: n as u32 % 9, own_changes: 3, next_visible: ServerMs(next_visible) };
        let key = MessageKey::of(&n.to_string());
        Unhandled {
            key,
            rank,
            enqueued: ServerMs(enqueued),
            checkpoint: CheckpointId(n / 100),
            changed: n.is_multiple_of(2),
        }
    }

    #[test]
    fn a_row_is_30_bytes() {
        assert_eq!(size_of::<Row>(), 30);
    }

    /// Against a map, over some thousand mixed steps.
    #[test]
    fn it_is_a_map() {
        let mut ids = Unconfirmed::default();
        let mut model: BTreeMap<MessageKey, Unhandled> = BTreeMap::new();
        let mut random = 7_u64;
        for step in 0..40_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = random >> 33;
            let growing = (step / 10_000) % 2 == 0;
            let some = model.range(MessageKey(u128::from(random) << 64)..).next().map(|(key, _)| *key);
            match (choice % 10, some) {
                (0..=2, Some(key)) => {
                    let row = model.get_mut(&key).unwrap();
                    let changed = std::mem::take(&mut row.changed);
                    assert_eq!(ids.settle(key), changed.then_some(*row));
                }
                (3.., Some(key)) if !growing => {
                    assert_eq!(ids.remove(key), model.remove(&key));
                    assert_eq!((ids.get(key), ids.remove(key), ids.settle(key)), (None, None, None));
                }
                _ if growing => {
                    let row = id(step, SENT + (choice % 1_000_000) as i64, SENT);
                    assert!(ids.insert(&row));
                    model.insert(row.key, row);
                }
                _ => {}
            }
            assert_eq!(ids.len(), model.len());
            if step % 5_000 == 0 {
                let parts = Parts::of_shard(random as u32 % 4, 4);
                let mut said = BTreeMap::new();
                ids.settle_parts(parts, |row| assert!(said.insert(row.key, row).is_none()));
                let settled = model.values_mut().filter(|row| parts.has(row.key));
                settled.for_each(|row| row.changed = false);
                assert!(said.values().eq(model.values().filter(|row| parts.has(row.key))));
            }
            if step % 1_000 == 0 {
                let all: BTreeMap<_, _> = ids.iter().map(|row| (row.key, row)).collect();
                assert_eq!(all, model);
                assert!(model.iter().all(|(key, row)| ids.get(*key) == Some(*row)));
            }
        }
        for key in model.into_keys() {
            ids.remove(key);
        }
        assert_eq!((ids.len(), ids.memory_bytes()), (0, 0));
    }

    /// Every border of every field: what is taken is given back unchanged, and the next value is not taken.
    #[test]
    fn a_value_is_kept_exactly_or_not_taken() {
        let far = (1 << TIME_BITS) - 1;
        let days = i64::from(i32::MAX);
        for (next_visible, enqueued, fits) in [
            (0, 0, true),
            (0, SENT, true),
            (0, far, true),
            (0, far + 1, false),
            (0, -1, false),
            (SENT, 0, true),
            (far, far, true),
            (far + 1, far, false),
            (-1, SENT, false),
            (SENT, SENT - days, true),
            (SENT, SENT - days - 1, false),
            (SENT, SENT + days, true),
            (SENT, SENT + days + 1, false),
            (SENT, i64::MIN, false),
        ] {
            let mut ids = Unconfirmed::default();
            let row = id(8, next_visible, enqueued);
            assert_eq!(ids.insert(&row), fits, "{row:?}");
            assert_eq!(ids.get(row.key), fits.then_some(row));
        }
        for (dequeue_count, own_changes, fits) in
            [(4_095, 255, true), (4_096, 0, false), (0, 256, false), (u32::MAX, u32::MAX, false)]
        {
            let rank = HandleRank { dequeue_count, own_changes, next_visible: ServerMs(far) };
            assert_eq!(pack(rank).map(unpack), fits.then_some(rank));
        }
    }

    #[test]
    fn there_are_as_many_epochs_as_two_bytes_can_name_and_numbers_are_used_again() {
        let mut ids = Unconfirmed::default();
        let of = |checkpoint: u64| Unhandled { checkpoint: CheckpointId(checkpoint), ..id(checkpoint, 0, 0) };
        assert!((0..65_536).all(|n| ids.insert(&of(n))));
        assert!(!ids.insert(&of(65_536)));
        assert_eq!(ids.remove(of(7).key), Some(of(7)));
        assert!(ids.insert(&of(65_536)));
        assert_eq!((ids.get(of(8).key), ids.get(of(65_536).key)), (Some(of(8)), Some(of(65_536))));
    }
}
