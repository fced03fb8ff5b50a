//! The segments of the newest snapshot: with their bytes, or by name alone once the store has them for certain.
//!
//! Of every part of the ids there is a base, and after it deltas. Bases are written a shard at a time, each together with what
//! changed in the others, so that no checkpoint takes as long as the whole history; the oldest segments go when all they
//! say has been said again.

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

#[derive(Clone, Debug)]
struct Link {
    /// Of which parts it is a base.
    base: Parts,
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
}

/// Oldest first. Released ones come before kept ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    links: Vec<Link>,
}

impl Chain {
    /// A chain read from a store, as of checkpoint `id`, and of which parts each is a base.
    pub(crate) fn of(id: CheckpointId, segments: &[Segment], bases: Vec<Parts>) -> Self {
        let link = |(segment, base): (&Segment, Parts)| Link { base, place: Place::Kept(id, segment.clone()) };
        Self { links: segments.iter().zip(bases).map(link).collect() }
    }

    /// Of which parts the next segment had better be a base: of one shard, the one whose base is oldest, when the deltas outweigh
    /// the bases (so that a checkpoint costs what changed, amortised) or are many; of all when there is none yet.
    pub(crate) fn next_base(&self, limits: &Limits) -> Parts {
        if self.links.is_empty() {
            return Parts::ALL;
        }
        let (deltas, bases): (Vec<_>, Vec<_>) = self.links.iter().partition(|link| link.base == Parts::NONE);
        let bytes = |links: &[&Link]| links.iter().map(|link| link.len()).sum::<u64>();
        if deltas.len() < limits.deltas_max as usize && bytes(&deltas) <= bytes(&bases).max(limits.delta_bytes_min) {
            return Parts::NONE;
        }
        let shards = (0..limits.shards).map(|shard| Parts::of_shard(shard, limits.shards));
        shards.min_by_key(|shard| self.oldest_base(*shard)).unwrap_or(Parts::ALL)
    }

    /// Where the oldest of the newest bases of these parts is.
    fn oldest_base(&self, mut parts: Parts) -> usize {
        for (at, link) in self.links.iter().enumerate().rev() {
            if link.base.meets(parts) {
                parts = parts.without(link.base);
                if parts == Parts::NONE {
                    return at;
                }
            }
        }
        0
    }

    /// The hash of the newest segment; 0 if there is none.
    pub(crate) fn hash(&self) -> u128 {
        self.links.last().map_or(0, |link| match &link.place {
            Place::Kept(_, segment) => segment.hash(),
            Place::Released { hash, .. } => *hash,
        })
    }

    /// Adds the newest segment, and drops what is before the oldest base that still counts.
    pub(crate) fn push(&mut self, id: CheckpointId, base: Parts, segment: Segment) {
        self.links.push(Link { base, place: Place::Kept(id, segment) });
        let first = self.oldest_base(Parts::ALL);
        self.links.drain(..first);
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

    /// Of which parts each segment is a base.
    pub(crate) fn bases(&self) -> impl Iterator<Item = Parts> {
        self.links.iter().map(|link| link.base)
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
