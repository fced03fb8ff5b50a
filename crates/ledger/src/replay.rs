//! Bases and deltas laid over each other: what a state says.
//!
//! A state of millions of ids is never there in any other form than its bytes: what is made of it is a list of places in them,
//! 32 bytes an id.

use crate::ids::{CheckpointId, MessageKey};
use crate::parts::Parts;
use crate::segment::{Content, Scope, Segment, SegmentError, Stored};

/// What a state says: its ids, and the newest segment without its ids.
pub(crate) struct Replayed<'s> {
    segments: &'s [Segment],
    places: Vec<Place>,
    pub(crate) last: Content,
}

/// Where the bytes are that say the newest of an id.
struct Place {
    key: MessageKey,
    checkpoint: CheckpointId,
    /// From the highest bit on: whether its delete is confirmed, 23 bits of its segment's number, 40 bits of its offset, which
    /// is 0 where the segment says that the id is forgotten.
    at: u64,
}

const CONFIRMED: u64 = 1 << 63;
const OFFSET_BITS: u32 = 40;
const OFFSET: u64 = (1 << OFFSET_BITS) - 1;
const SEGMENTS: usize = 1 << 23;

impl Place {
    fn new(segment: usize, offset: usize, confirmed: bool, key: MessageKey, checkpoint: CheckpointId) -> Self {
        let at = (segment as u64) << OFFSET_BITS | offset as u64 | if confirmed { CONFIRMED } else { 0 };
        Self { key, checkpoint, at }
    }

    const fn confirmed(&self) -> bool {
        self.at & CONFIRMED != 0
    }

    const fn offset(&self) -> usize {
        (self.at & OFFSET) as usize
    }

    const fn segment(&self) -> usize {
        ((self.at & !CONFIRMED) >> OFFSET_BITS) as usize
    }
}

impl Replayed<'_> {
    /// First the ids whose delete is confirmed, in the order of checkpoints and keys, then the others in the order of keys.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Result<Stored, SegmentError>> {
        self.places.iter().map(|place| self.segments[place.segment()].entry(place.offset()))
    }
}

/// # Errors
/// When the segments are not the whole of one chain: each follows the one before it, and the first is the one that the newest names (or,
/// up to version 3, there is a base of every part).
pub(crate) fn replay(segments: &[Segment]) -> Result<Replayed<'_>, SegmentError> {
    let (bases, last, lines) = chain(segments)?;
    // What stands before the last base of a part counts no more.
    let first: Vec<usize> =
        (0..Parts::COUNT).map(|part| bases.iter().rposition(|base| base.has_part(part)).unwrap_or(0)).collect();
    let counts = |key: MessageKey, segment: usize| segment >= first[Parts::part(key)];
    let mut places = Vec::new();
    places.try_reserve_exact(lines).map_err(|_| SegmentError::Damaged("more ids than there is memory for"))?;
    for (number, segment) in segments.iter().enumerate() {
        let (head, entries) = segment.read()?;
        let forgotten = head.forgotten.into_iter().filter(|key| counts(*key, number));
        places.extend(forgotten.map(|key| Place::new(number, 0, false, key, head.checkpoint)));
        for entry in entries {
            let (at, stored) = entry?;
            if counts(stored.key, number) {
                places.push(Place::new(number, at, stored.confirmed, stored.key, stored.checkpoint));
            }
        }
    }
    // Of each id the newest, which takes the place of the one before it.
    places.sort_unstable_by_key(|place| (place.key, place.at & !CONFIRMED));
    places.dedup_by(|newer, kept| {
        let same = newer.key == kept.key;
        if same {
            std::mem::swap(newer, kept);
        }
        same
    });
    places.retain(|place| place.offset() > 0);
    places.sort_unstable_by_key(|place| {
        let checkpoint = place.confirmed().then_some(place.checkpoint);
        (!place.confirmed(), checkpoint, place.key)
    });
    Ok(Replayed { segments, places, last })
}

/// Checks that the segments follow each other: of which parts each is a base, the newest without its ids, and how many ids they
/// name together.
fn chain(segments: &[Segment]) -> Result<(Vec<Parts>, Content, usize), SegmentError> {
    let mut bases: Vec<Parts> = Vec::with_capacity(segments.len());
    let mut last: Option<(Content, u128)> = None;
    let mut lines = 0;
    if segments.len() > SEGMENTS || segments.iter().any(|segment| segment.bytes().len() as u64 > OFFSET) {
        return Err(SegmentError::BrokenChain("it is longer than any that was ever written"));
    }
    for segment in segments {
        let (content, entries) = segment.read()?;
        let alone = matches!(content.scope, Scope::Base(Parts::ALL)) || content.scope == Scope::From(content.sequence);
        match &last {
            None if content.scope == Scope::Base(Parts::NONE) => {
                return Err(SegmentError::BrokenChain("the first is not a base"));
            }
            Some(_) if alone => return Err(SegmentError::BrokenChain("a base in the middle")),
            Some((_, hash)) if content.previous != *hash => return Err(SegmentError::BrokenChain("one is missing")),
            Some((before, _)) if content.sequence <= before.sequence => {
                return Err(SegmentError::BrokenChain("they are not in their order"));
            }
            _ => {}
        }
        lines += content.forgotten.len() + entries.left();
        bases.push(match content.scope {
            Scope::Base(parts) => parts,
            Scope::From(_) => Parts::NONE,
        });
        last = Some((content, segment.hash()));
    }
    let (last, _) = last.ok_or(SegmentError::BrokenChain("there is none"))?;
    let missing = bases.iter().fold(Parts::ALL, |missing, base| missing.without(*base));
    match last.scope {
        Scope::From(first) if first != segments[0].sequence() => {
            Err(SegmentError::BrokenChain("it does not begin where its end says"))
        }
        Scope::Base(_) if missing != Parts::NONE => Err(SegmentError::BrokenChain("the base of some ids is missing")),
        _ => Ok((bases, last, lines)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_takes_32_bytes_and_keeps_what_it_is_made_of() {
        assert_eq!(size_of::<Place>(), 32);
        for (segment, offset, confirmed) in [(0, 1, true), (SEGMENTS - 1, OFFSET as usize, false), (5, 80, true)] {
            let place = Place::new(segment, offset, confirmed, MessageKey(1), CheckpointId(2));
            assert_eq!((place.segment(), place.offset(), place.confirmed()), (segment, offset, confirmed));
        }
    }
}
