//! The segments of the newest snapshot: with their bytes, or by name alone once the store has them for certain.
//!
//! Every segment says what has changed, and from which segment on the others still count. The oldest goes when everything it says
//! has been said again or is forgotten. Deleted ids are forgotten in the order in which they were said, so most segments go by
//! themselves; where one does not in time, a later one says again what of it still holds, a piece at a time, so that no checkpoint
//! takes as long as the whole history.

use std::ops::Range;

use crate::checkpoint::Snapshot;
use crate::ids::CheckpointId;
use crate::limits::Limits;
use crate::parts::Parts;
use crate::segment::Segment;

/// A segment that a committed checkpoint listed, by its name alone: whoever keeps segments by name still has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSegment {
    /// Unique to its content, as [`Segment::name`].
    pub name: String,
    /// The number of its bytes.
    pub len: u64,
}

/// How many times as many bytes as its ids would take if each were said once a state may have. 3: an id is said with its handle, as
/// deleted and as forgotten before it is gone, and more is then said again for half of what changes.
const LARGE: u64 = 3;

#[derive(Clone, Debug)]
struct Link {
    sequence: u64,
    /// The deleted ids of which it says the newest, by the numbers of their rows, in order. Some may have gone since.
    rows: Vec<Range<u64>>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Kept(CheckpointId, Segment),
    Released { stored: StoredSegment, hash: u128 },
}

impl Link {
    fn len(&self) -> u64 {
        match &self.place {
            Place::Kept(_, segment) => segment.bytes().len() as u64,
            Place::Released { stored, .. } => stored.len,
        }
    }

    /// What is left of its rows when those before `front` have gone.
    fn rows_from(&self, front: u64) -> impl Iterator<Item = Range<u64>> {
        self.rows.iter().map(move |rows| rows.start.max(front)..rows.end).filter(|rows| !rows.is_empty())
    }
}

/// What there is to be said at a barrier.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// Ids that are not deleted: changed ones at most, those at work, packed ones.
    pub(crate) changed: usize,
    pub(crate) entries: usize,
    pub(crate) packed: usize,
    /// The rows of deleted ids that some segment holds.
    pub(crate) rows: Range<u64>,
}

impl Live {
    /// About as many bytes as they take when each is said once, with handles of the usual length.
    fn bytes(&self) -> u64 {
        28 * (self.rows.end - self.rows.start) + 37 * self.packed as u64 + 112 * self.entries as u64
    }
}

/// What the next segment is to say again although it has not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Again {
    /// The parts whose undeleted ids it says all of.
    pub(crate) parts: Parts,
    /// Rows of deleted ids.
    pub(crate) rows: Vec<Range<u64>>,
    /// So many segments count no more after that; of the next one, the rows before this.
    gone: usize,
    partly: u64,
}

/// Oldest first. Released ones come before kept ones.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    links: Vec<Link>,
    /// Of each part, the first segment that may say the newest of an undeleted id.
    since: [u64; Parts::COUNT],
    /// Bytes of what has changed, less those of what was said again.
    credit: i64,
}

impl Default for Chain {
    fn default() -> Self {
        Self { links: Vec::new(), since: [0; Parts::COUNT], credit: 0 }
    }
}

impl Chain {
    /// A chain read from a store, as of checkpoint `id`.
    pub(crate) fn of(id: CheckpointId, segments: &[Segment]) -> Self {
        let link = |segment: &Segment| {
            let place = Place::Kept(id, segment.clone());
            Link { sequence: segment.sequence(), rows: Vec::new(), place }
        };
        let links: Vec<_> = segments.iter().map(link).collect();
        let first = links.first().map_or(0, |link| link.sequence);
        Self { links, since: [first; Parts::COUNT], credit: 0 }
    }

    /// Notes the rows of what was read: any of them may be in any segment, so the first one keeps them all.
    pub(crate) fn note_rows(&mut self, rows: Range<u64>) {
        if let Some(first) = self.links.first_mut() {
            first.rows = vec![rows];
        }
    }

    /// What the next segment had better say again. Nothing, until the state has more segments or bytes than it should; then a shard's
    /// worth at most, from the oldest on, so that a checkpoint costs what changed, amortised. What is said for the sake of bytes never
    /// exceeds what has changed, whatever that comes to.
    pub(crate) fn next(&self, limits: &Limits, live: &Live) -> Again {
        let Some(first) = self.links.first() else { return Again { parts: Parts::ALL, ..Again::default() } };
        let many = self.links.len() > limits.deltas_max as usize;
        let large = self.bytes() > (LARGE * live.bytes()).max(limits.delta_bytes_min) && self.credit >= 0;
        let front = live.rows.start;
        let parts = if !(many || large) || self.oldest_besides(Parts::NONE) > first.sequence {
            Parts::NONE
        } else if live.entries + live.packed <= 2 * live.changed {
            // No more than twice what is written anyway.
            Parts::ALL
        } else {
            let shards = (0..limits.shards).map(|shard| Parts::of_shard(shard, limits.shards));
            shards.min_by_key(|shard| self.oldest_besides(Parts::ALL.without(*shard))).unwrap_or(Parts::ALL)
        };
        let mut again = Again { parts, ..Again::default() };
        let share = (live.rows.end - front).div_ceil(u64::from(limits.shards));
        let mut left = if many || large { share } else { 0 };
        let since = self.oldest_besides(parts);
        for link in self.links.iter().take_while(|link| link.sequence < since) {
            for rows in link.rows_from(front) {
                let end = rows.end.min(rows.start + left);
                left -= end - rows.start;
                if end > rows.start {
                    again.rows.push(rows.start..end);
                }
                if end < rows.end {
                    again.partly = end;
                    return again;
                }
            }
            again.gone += 1;
        }
        again
    }

    /// The first segment that may say the newest of an undeleted id of other parts than these.
    fn oldest_besides(&self, parts: Parts) -> u64 {
        let since = (0..).zip(&self.since).filter(|(part, _)| !parts.has_part(*part));
        since.map(|(_, since)| *since).min().unwrap_or(u64::MAX)
    }

    fn bytes(&self) -> u64 {
        self.links.iter().map(Link::len).sum()
    }

    /// The sequence number of the first segment that counts beside the next one, if any will.
    pub(crate) fn first_after(&self, again: &Again) -> Option<u64> {
        self.links.get(again.gone).map(|link| link.sequence)
    }

    /// The hash of the newest segment; 0 if there is none.
    pub(crate) fn hash(&self) -> u128 {
        self.links.last().map_or(0, |link| match &link.place {
            Place::Kept(_, segment) => segment.hash(),
            Place::Released { hash, .. } => *hash,
        })
    }

    /// Adds the newest segment, which says for the first time what `new` rows are and `again` what it was asked to, in so many bytes;
    /// and drops what does not count any more.
    pub(crate) fn push(&mut self, id: CheckpointId, segment: Segment, new: Range<u64>, again: Again, said: u64) {
        self.links.drain(..again.gone);
        if let Some(first) = self.links.first_mut() {
            first.rows = first.rows_from(again.partly).collect();
        }
        let sequence = segment.sequence();
        for (part, since) in (0..).zip(&mut self.since) {
            if again.parts.has_part(part) {
                *since = sequence;
            }
        }
        let mut rows = again.rows;
        rows.push(new);
        rows.retain(|rows| !rows.is_empty());
        rows.sort_unstable_by_key(|rows| rows.start);
        rows.dedup_by(|next, rows| {
            let adjacent = rows.end == next.start;
            if adjacent {
                rows.end = next.end;
            }
            adjacent
        });
        let bytes = segment.bytes().len() as u64;
        self.links.push(Link { sequence, rows, place: Place::Kept(id, segment) });
        // Of what is not used, no more is kept than all of it could need.
        let most = i64::try_from(self.bytes()).unwrap_or(i64::MAX);
        self.credit = self.credit.saturating_add_unsigned(bytes - said).saturating_sub_unsigned(said).min(most);
    }

    pub(crate) fn snapshot(&self, checkpoint: CheckpointId) -> Snapshot {
        let mut snapshot = Snapshot { checkpoint, stored: Vec::new(), segments: Vec::new() };
        for link in &self.links {
            match &link.place {
                Place::Kept(_, segment) => snapshot.segments.push(segment.clone()),
                Place::Released { stored, .. } => snapshot.stored.push(stored.clone()),
            }
        }
        snapshot
    }

    /// Lets go of the bytes of all that checkpoints up to `done` listed first.
    pub(crate) fn release(&mut self, done: CheckpointId) {
        for link in &mut self.links {
            if let Place::Kept(id, segment) = &link.place
                && *id <= done
            {
                let stored = StoredSegment { name: segment.name(), len: segment.bytes().len() as u64 };
                link.place = Place::Released { stored, hash: segment.hash() };
            }
        }
    }

    /// What decides which segments will be said again: of each how many rows are left, and where each part's oldest is.
    pub(crate) fn fingerprint(&self, front: u64, out: &mut Vec<u8>) {
        let rows = |link: &Link| link.rows_from(front).map(|rows| rows.end - rows.start).sum::<u64>() as u8;
        out.push(self.links.len() as u8);
        out.extend(self.links.iter().map(rows));
        let place = |since: &u64| self.links.partition_point(|link| link.sequence < *since) as u8;
        out.extend(self.since.iter().map(place));
    }

    /// The bytes of what is kept.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.kept().map(|segment| segment.bytes().len() as u64).sum()
    }

    /// What is kept, oldest first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Segment> {
        self.links.iter().filter_map(|link| match &link.place {
            Place::Kept(_, segment) => Some(segment),
            Place::Released { .. } => None,
        })
    }
}
