//! The segments of the newest snapshot: with their bytes, or by name alone once the store has them for certain.

use crate::checkpoint::Snapshot;
use crate::ids::CheckpointId;
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
enum Link {
    Kept(CheckpointId, Segment),
    Released { stored: StoredSegment, hash: u128 },
}

impl Link {
    fn len(&self) -> u64 {
        match self {
            Self::Kept(_, segment) => segment.bytes().len() as u64,
            Self::Released { stored, .. } => stored.len,
        }
    }
}

/// A base and the deltas after it, oldest first. Released ones come before kept ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    links: Vec<Link>,
}

impl Chain {
    /// A chain read from a store, as of checkpoint `id`.
    pub(crate) fn of(id: CheckpointId, segments: &[Segment]) -> Self {
        Self { links: segments.iter().map(|segment| Link::Kept(id, segment.clone())).collect() }
    }

    /// Whether the next segment had better be a base: when the deltas outweigh it (so that a checkpoint costs what changed,
    /// amortised) or are many.
    pub(crate) fn base_due(&self, deltas_max: u32) -> bool {
        let Some((base, deltas)) = self.links.split_first() else { return true };
        let delta_bytes: u64 = deltas.iter().map(Link::len).sum();
        deltas.len() >= deltas_max as usize || delta_bytes > base.len().max(64 << 10)
    }

    pub(crate) fn clear(&mut self) {
        self.links.clear();
    }

    /// The hash of the newest segment; 0 if there is none.
    pub(crate) fn hash(&self) -> u128 {
        self.links.last().map_or(0, |link| match link {
            Link::Kept(_, segment) => segment.hash(),
            Link::Released { hash, .. } => *hash,
        })
    }

    pub(crate) fn push(&mut self, id: CheckpointId, segment: Segment) {
        self.links.push(Link::Kept(id, segment));
    }

    pub(crate) fn snapshot(&self, checkpoint: CheckpointId) -> Snapshot {
        let mut snapshot = Snapshot { checkpoint, stored: Vec::new(), segments: Vec::new() };
        for link in &self.links {
            match link {
                Link::Kept(_, segment) => snapshot.segments.push(segment.clone()),
                Link::Released { stored, .. } => snapshot.stored.push(stored.clone()),
            }
        }
        snapshot
    }

    /// Lets go of the bytes of all that checkpoints up to `done` listed first.
    pub(crate) fn release(&mut self, done: CheckpointId) {
        for link in &mut self.links {
            if let Link::Kept(id, segment) = link
                && *id <= done
            {
                let stored = StoredSegment { name: segment.name(), len: segment.bytes().len() as u64 };
                *link = Link::Released { stored, hash: segment.hash() };
            }
        }
    }

    /// The bytes of what is kept.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.kept().map(|segment| segment.bytes().len() as u64).sum()
    }

    /// What is kept, oldest first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Segment> {
        self.links.iter().filter_map(|link| match link {
            Link::Kept(_, segment) => Some(segment),
            Link::Released { .. } => None,
        })
    }
}
