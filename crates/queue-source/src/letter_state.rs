//! What a saved state holds of dead letters: those that are durable and not in their place yet.
//!
//! Little-endian: magic `HWDL`, version u16, number of entries u32; per entry its checkpoint u64, its number of letters u64,
//! and the sink's own words with their length as u32 in front. The part's name tells it from the ledger's.

use std::sync::Arc;

use headwater_core::{CheckpointId, Committable, SourceError, SourceErrorKind, StatePart};
use twox_hash::XxHash3_128;

const MAGIC: [u8; 4] = *b"HWDL";
/// The version written. Readers take every version up to this one.
const VERSION: u16 = 1;
const NAME: &str = "letters-";

/// The letters of one checkpoint: durable, and what the sink needs to put them in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Staged {
    pub(crate) checkpoint: CheckpointId,
    pub(crate) letters: u64,
    /// `None` when they are there already.
    pub(crate) committable: Option<Committable>,
}

/// Whether a part of a state is one of these.
pub(crate) fn is_letters(part: &StatePart) -> bool {
    part.name.starts_with(NAME)
}

/// The part for everything that a restart would have to finish; `None` if that is nothing.
pub(crate) fn part(staged: &[Staged]) -> Option<StatePart> {
    let pending: Vec<_> = staged.iter().filter_map(|s| Some((s, s.committable.as_ref()?))).collect();
    if pending.is_empty() {
        return None;
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(length(pending.len()));
    for (staged, committable) in pending {
        bytes.extend(staged.checkpoint.0.to_le_bytes());
        bytes.extend(staged.letters.to_le_bytes());
        bytes.extend(length(committable.bytes.len()));
        bytes.extend_from_slice(&committable.bytes);
    }
    let name = format!("{NAME}{:032x}", XxHash3_128::oneshot(&bytes));
    Some(StatePart { name, bytes: bytes.into() })
}

/// A checkpoint has few files of few hundred bytes each: far below 2^32.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// Reads a part.
pub(crate) fn read(part: &StatePart) -> Result<Vec<Staged>, SourceError> {
    let refuse = |what: &str| {
        let text = format!("part {} of the state, about dead letters, cannot be read: {what}", part.name);
        SourceError::new(SourceErrorKind::State, text)
    };
    let mut rest: &[u8] = &part.bytes;
    let (magic, version) = (take::<4>(&mut rest), take::<2>(&mut rest).map(u16::from_le_bytes));
    match (magic, version) {
        (Some(MAGIC), Some(1..=VERSION)) => {}
        (Some(MAGIC), Some(version)) if version > VERSION => {
            return Err(refuse("a later release wrote it: use that one, or a later one"));
        }
        _ => return Err(refuse("it is not what its name says")),
    }
    let entries = || -> Option<Vec<Staged>> {
        let many = u32::from_le_bytes(take(&mut rest)?);
        let mut staged = Vec::new();
        for _ in 0..many {
            let checkpoint = CheckpointId(u64::from_le_bytes(take(&mut rest)?));
            let letters = u64::from_le_bytes(take(&mut rest)?);
            let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
            let (own, after) = rest.split_at_checked(length)?;
            rest = after;
            let committable = Some(Committable { checkpoint, bytes: Arc::from(own) });
            staged.push(Staged { checkpoint, letters, committable });
        }
        rest.is_empty().then_some(staged)
    };
    let mut entries = entries;
    entries().ok_or_else(|| refuse("it is damaged"))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(checkpoint: u64, bytes: Option<&[u8]>) -> Staged {
        let checkpoint = CheckpointId(checkpoint);
        let committable = bytes.map(|bytes| Committable { checkpoint, bytes: Arc::from(bytes) });
        Staged { checkpoint, letters: 7, committable }
    }

    #[test]
    fn what_is_written_is_read_and_every_cut_is_refused() {
        let all = [staged(3, Some(b"abc")), staged(4, None), staged(5, Some(b""))];
        let part = part(&all).unwrap();
        assert!(is_letters(&part));
        assert_eq!(read(&part).unwrap(), [all[0].clone(), all[2].clone()], "what is in its place needs nothing");
        for len in 0..part.bytes.len() {
            let cut = StatePart { name: part.name.clone(), bytes: part.bytes[..len].into() };
            assert_eq!(read(&cut).unwrap_err().kind, SourceErrorKind::State, "cut at {len}");
        }
        let mut later = part.bytes.to_vec();
        later[4] = 2;
        let error = read(&StatePart { name: part.name.clone(), bytes: later.into() }).unwrap_err();
        assert!(error.to_string().contains("later release"), "{error}");
    }

    #[test]
    fn nothing_pending_is_no_part() {
        assert_eq!(part(&[staged(1, None)]), None);
    }
}
