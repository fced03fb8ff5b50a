//! Writing what has changed: the next segment of the durable state, in the order of keys.

use crate::entries::{Slot, Spot};
use crate::entry::{Entry, Stage};
use crate::graves::Grave;
use crate::ids::{CheckpointId, MessageKey};
use crate::ledger::Ledger;
use crate::order;
use crate::parts::Parts;
use crate::segment::{Content, Line};
use crate::unconfirmed::Unhandled;
use crate::writer::Writer;

/// An id to be listed, and where what is to be said of it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    key: MessageKey,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Entry(Slot),
    Packed,
    Grave { number: u32, rank: u64 },
}

impl Listed {
    /// About how many bytes it takes in a segment.
    const fn bytes(&self) -> usize {
        match self.place {
            // With a handle of the usual length.
            Place::Entry(_) => 112,
            Place::Packed => 37,
            Place::Grave { .. } => 28,
        }
    }
}

impl From<Grave> for Listed {
    fn from(Grave { key, rank, number }: Grave) -> Self {
        Self { key, place: Place::Grave { number, rank } }
    }
}

/// Memory that one segment leaves to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    listed: Vec<Listed>,
    bytes: Vec<u8>,
}

/// The most that is left. 1.5 MiB: what a checkpoint of two thousand messages takes with the base of a shard of 200,000 ids.
const SCRATCH_MAX: usize = 3 << 19;

impl Scratch {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.listed.capacity() * size_of::<Listed>() + self.bytes.capacity()
    }

    fn cleared(mut self) -> Self {
        if self.memory_bytes() > SCRATCH_MAX {
            return Self::default();
        }
        self.listed.clear();
        self.bytes.clear();
        self
    }
}

impl Ledger {
    pub(crate) fn append_segment(&mut self, id: CheckpointId) {
        let base = self.chain.next_base(&self.limits);
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut forgotten = std::mem::take(&mut self.forgotten);
        forgotten.retain(|key| !base.has(*key));
        order::by_key(&mut forgotten, |key| *key);
        forgotten.dedup();
        self.list(base, &mut scratch.listed);
        order::by_key(&mut scratch.listed, |listed| listed.key);
        scratch.listed.dedup_by_key(|listed| listed.key);
        let bytes: usize = scratch.listed.iter().map(Listed::bytes).sum();
        scratch.bytes.reserve_exact(bytes + (forgotten.len() + 8) * size_of::<MessageKey>());
        let head = Content {
            base,
            sequence: self.next_sequence,
            checkpoint: id,
            committed_through: self.committed_through,
            retention_secs: self.limits.retention.as_secs(),
            previous: if base == Parts::ALL { 0 } else { self.chain.hash() },
            forgotten,
            entries: Vec::new(),
        };
        let mut writer = Writer::new(&head, std::mem::take(&mut scratch.bytes));
        let grave = self.graves.reader();
        let newest = self.last_barrier;
        for &Listed { key, place } in &scratch.listed {
            match place {
                Place::Entry(slot) => {
                    let Some((_, entry)) = self.entries.at_mut(slot) else { continue };
                    #[cfg(feature = "traps")]
                    let left_out = self.limits.has_trap(crate::traps::Trap::OwnEpochLeftOut);
                    #[cfg(not(feature = "traps"))]
                    let left_out = false;
                    write_entry(key, entry, newest.filter(|_| left_out), &mut writer);
                }
                Place::Packed => {
                    if let Some(Unhandled { checkpoint, rank, enqueued, .. }) = self.compact.settle(key) {
                        writer.push(&Line { key, checkpoint, rank, undeleted: Some((enqueued, None)) });
                    }
                }
                Place::Grave { number, rank } => {
                    let (rank, checkpoint) = grave(key, rank, number);
                    writer.push(&Line { key, checkpoint, rank, undeleted: None });
                }
            }
        }
        drop(grave);
        let (segment, bytes) = writer.finish();
        scratch.bytes = bytes;
        self.scratch = scratch.cleared();
        self.graves.note_saved();
        self.next_sequence += 1;
        self.chain.push(id, base, segment);
    }

    /// What the next segment lists: all of some parts, and of the others what has changed. Some may be listed twice.
    fn list(&mut self, base: Parts, out: &mut Vec<Listed>) {
        // What is of a later epoch is in no segment yet.
        let later = self.open.iter().filter_map(|slot| Some(Spot { slot: *slot, key: self.entries.key(*slot)? }));
        let later = later.collect();
        let changed = std::mem::replace(&mut self.changed, later);
        // A shard has its share of the ids, give or take a sixteenth.
        let parts = (self.entries.len() + self.compact.len() + self.graves.len()) * base.len() / Parts::COUNT;
        out.reserve_exact(changed.len() + self.graves.unsaved_len() + parts + parts / 16);
        for spot in changed.into_iter().filter(|spot| !base.has(spot.key)) {
            out.extend(self.place_of(spot).map(|place| Listed { key: spot.key, place }));
        }
        out.extend(self.graves.unsaved().filter(|grave| !base.has(grave.key)).map(Listed::from));
        if base != Parts::NONE {
            let spots = self.entries.spots().filter(|spot| base.has(spot.key));
            out.extend(spots.map(|spot| Listed { key: spot.key, place: Place::Entry(spot.slot) }));
            out.extend(self.compact.keys_of(base).map(|key| Listed { key, place: Place::Packed }));
            out.extend(self.graves.of_parts(base).map(Listed::from));
        }
    }

    /// Where an id that has changed is now: it may have been packed, or have gone, or be listed as deleted.
    fn place_of(&self, spot: Spot) -> Option<Place> {
        if self.entries.there(spot).is_some() {
            return Some(Place::Entry(spot.slot));
        }
        if self.compact.get(spot.key).is_some() {
            return Some(Place::Packed);
        }
        self.entries.find(spot.key).map(Place::Entry)
    }
}

/// An entry that a checkpoint holds. What belongs to `left_out` is passed over.
fn write_entry(key: MessageKey, entry: &mut Entry, left_out: Option<CheckpointId>, writer: &mut Writer) {
    let checkpoint = match entry.stage {
        Stage::Buffered | Stage::Emitted(None) => return,
        Stage::Emitted(Some(checkpoint)) | Stage::Committed(checkpoint) => checkpoint,
    };
    entry.persisted = true;
    entry.changed = false;
    if left_out != Some(checkpoint) {
        let undeleted = Some((entry.enqueued, entry.handle.as_ref()));
        writer.push(&Line { key, checkpoint, rank: entry.rank, undeleted });
    }
}
