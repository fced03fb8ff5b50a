//! Bases and deltas laid over each other: what a state says.

use std::collections::BTreeMap;

use crate::ids::MessageKey;
use crate::parts::Parts;
use crate::segment::{Content, Segment, SegmentError, Stored};

/// What a state says, in the order of keys; of which parts each segment is a base; and the newest segment without its ids.
pub(crate) struct Replayed {
    pub(crate) ids: Vec<Stored>,
    pub(crate) bases: Vec<Parts>,
    pub(crate) last: Content,
}

/// # Errors
/// When the segments are not the whole of one chain: each follows the one before it, and there is a base of every part.
pub(crate) fn replay(segments: &[Segment]) -> Result<Replayed, SegmentError> {
    let mut parts: Vec<BTreeMap<MessageKey, Stored>> = vec![BTreeMap::new(); Parts::COUNT];
    let mut bases: Vec<Parts> = Vec::with_capacity(segments.len());
    let mut last: Option<(Content, u128)> = None;
    for segment in segments {
        let mut content = segment.content()?;
        match &last {
            None if content.base == Parts::NONE => return Err(SegmentError::BrokenChain("the first is not a base")),
            Some(_) if content.base == Parts::ALL => return Err(SegmentError::BrokenChain("a base in the middle")),
            Some((_, hash)) if content.previous != *hash => return Err(SegmentError::BrokenChain("one is missing")),
            _ => {}
        }
        parts.iter_mut().enumerate().filter(|(part, _)| content.base.has_part(*part)).for_each(|(_, ids)| ids.clear());
        for key in &content.forgotten {
            parts[Parts::part(*key)].remove(key);
        }
        for stored in std::mem::take(&mut content.entries) {
            parts[Parts::part(stored.key)].insert(stored.key, stored);
        }
        bases.push(content.base);
        last = Some((content, segment.hash()));
    }
    let (last, _) = last.ok_or(SegmentError::BrokenChain("there is none"))?;
    if bases.iter().fold(Parts::ALL, |missing, base| missing.without(*base)) != Parts::NONE {
        return Err(SegmentError::BrokenChain("the base of some ids is missing"));
    }
    let mut ids: Vec<Stored> = parts.into_iter().flat_map(BTreeMap::into_values).collect();
    ids.sort_unstable_by_key(|stored| stored.key);
    Ok(Replayed { ids, bases, last })
}
