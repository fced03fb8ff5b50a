//! Writing what has changed: the next segment of the durable state.

use crate::chain::{Again, Live};
use crate::entries::Spot;
use crate::entry::{Entry, Stage};
use crate::ids::{CheckpointId, MessageKey};
use crate::ledger::Ledger;
use crate::parts::Parts;
use crate::segment::{Content, Line, Scope};
use crate::unconfirmed::Unhandled;
use crate::writer::Writer;

/// The most memory that one segment leaves to the next. 1.5 MiB: what a checkpoint of two thousand messages takes, with a shard of a
/// few hundred thousand ids that are said again.
const SCRATCH_MAX: usize = 3 << 19;

impl Ledger {
    pub(crate) fn append_segment(&mut self, id: CheckpointId) {
        let live = self.live();
        let again = self.chain.next(&self.limits, &live);
        let mut forgotten = std::mem::take(&mut self.forgotten);
        let first = self.chain.first_after(&again);
        if first.is_none() {
            // Nothing before this says anything of them.
            forgotten.clear();
        }
        let head = Content {
            scope: Scope::From(first.unwrap_or(self.next_sequence)),
            sequence: self.next_sequence,
            checkpoint: id,
            committed_through: self.committed_through,
            retention_secs: self.limits.retention.as_secs(),
            previous: if first.is_some() { self.chain.hash() } else { 0 },
            forgotten,
            entries: Vec::new(),
        };
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.reserve(self.about_bytes(&live, &again) + (head.forgotten.len() + 8) * size_of::<MessageKey>());
        let mut writer = Writer::new(&head, bytes);
        self.write_changed(again.parts, &mut writer);
        let new = self.graves.unsaved_rows();
        let graves = |rows, writer: &mut Writer| {
            for (key, rank, checkpoint) in self.graves.lines(rows) {
                writer.push(&Line { key, checkpoint, rank, undeleted: None });
            }
        };
        graves(new.clone(), &mut writer);
        let before = writer.len();
        again.rows.iter().for_each(|rows| graves(rows.clone(), &mut writer));
        self.write_parts(again.parts, &mut writer);
        // All of them, where they are no more than what has changed.
        let said = if again.parts == Parts::ALL { 0 } else { writer.len() - before };
        let (segment, bytes) = writer.finish();
        self.scratch = if bytes.capacity() > SCRATCH_MAX { Vec::new() } else { bytes };
        self.graves.note_saved();
        self.next_sequence += 1;
        self.chain.push(id, segment, new, again, said as u64);
    }

    /// What there is to be said.
    pub(crate) fn live(&self) -> Live {
        Live {
            changed: self.changed.len(),
            entries: self.entries.len(),
            packed: self.compact.len(),
            rows: self.graves.saved_rows(),
        }
    }

    /// About how many bytes the ids of the next segment take, with handles of the usual length.
    fn about_bytes(&self, live: &Live, again: &Again) -> usize {
        let rows = again.rows.iter().cloned().chain([self.graves.unsaved_rows()]);
        let rows: u64 = rows.map(|rows| rows.end - rows.start).sum();
        let parts = (112 * live.entries + 37 * live.packed) * again.parts.len() / Parts::COUNT;
        112 * live.changed + 28 * rows as usize + parts
    }

    /// What has changed of the ids that are not deleted, but for those of parts that are written whole.
    fn write_changed(&mut self, besides: Parts, writer: &mut Writer) {
        // What is of a later epoch is in no segment yet.
        let later = self.open.iter().filter_map(|slot| Some(Spot { slot: *slot, key: self.entries.key(*slot)? }));
        let later = later.collect();
        let left_out = self.left_out();
        for Spot { slot, key } in std::mem::replace(&mut self.changed, later) {
            if besides.has(key) {
                continue;
            }
            // It may have been packed, or be in another slot, or have gone.
            let there = self.entries.at_mut(slot).filter(|(there, _)| *there == key);
            if let Some((_, entry)) = there {
                write_entry(key, entry, left_out, true, writer);
            } else if let Some(id) = self.compact.settle(key) {
                write_packed(&id, writer);
            } else if let Some(entry) = self.entries.get_mut(&key) {
                write_entry(key, entry, left_out, true, writer);
            }
        }
    }

    /// Every id of these parts that is not deleted.
    fn write_parts(&mut self, parts: Parts, writer: &mut Writer) {
        if parts == Parts::NONE {
            return;
        }
        let left_out = self.left_out();
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| parts.has(**key)) {
            write_entry(*key, entry, left_out, false, writer);
        }
        self.compact.settle_parts(parts, |id| write_packed(&id, writer));
    }

    /// The checkpoint whose ids a trapped ledger does not write.
    fn left_out(&self) -> Option<CheckpointId> {
        #[cfg(feature = "traps")]
        if self.limits.has_trap(crate::traps::Trap::OwnEpochLeftOut) {
            return self.last_barrier;
        }
        None
    }
}

/// An entry that a checkpoint holds, if it has changed or need not have. What belongs to `left_out` is passed over.
#[inline]
fn write_entry(
    key: MessageKey,
    entry: &mut Entry,
    left_out: Option<CheckpointId>,
    if_changed: bool,
    writer: &mut Writer,
) {
    let checkpoint = match entry.stage {
        Stage::Buffered | Stage::Emitted(None) => return,
        Stage::Emitted(Some(checkpoint)) | Stage::Committed(checkpoint) => checkpoint,
    };
    if if_changed && !entry.changed {
        return;
    }
    entry.persisted = true;
    entry.changed = false;
    if left_out != Some(checkpoint) {
        let undeleted = Some((entry.enqueued, entry.handle.as_ref()));
        writer.push(&Line { key, checkpoint, rank: entry.rank, undeleted });
    }
}

fn write_packed(id: &Unhandled, writer: &mut Writer) {
    let Unhandled { key, checkpoint, rank, enqueued, .. } = *id;
    writer.push(&Line { key, checkpoint, rank, undeleted: Some((enqueued, None)) });
}
