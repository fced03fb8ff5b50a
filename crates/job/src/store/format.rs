//! The bytes of a checkpoint file.
//!
//! A durable form of `codec`, magic `HWCP`: checkpoint u64; number of sources u32, each: identity, number of
//! parts u32, each part: name, length u64, hash u128; number of pending commits u32, each: sink, checkpoint u64, bytes.
//! The manifest holds the checksum of the whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_core::{CheckpointId, Committable, JobState};

use super::files::Sum;
use crate::codec::{Reader, Unusable, Writer};

const MAGIC: [u8; 4] = *b"HWCP";
/// The version written. Readers take every version up to this one.
pub(super) const VERSION: u16 = 1;
/// The longest name of a part: with its prefix it fits every file system's limit of 255 bytes.
const PART_NAME_MAX: usize = 200;

/// A checkpoint file read: everything but the parts' bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) checkpoint: CheckpointId,
    /// Identity and parts of each source.
    pub(super) sources: Vec<(String, Vec<(String, Sum)>)>,
    pub(super) pending: Vec<(String, Committable)>,
}

/// The parts of all sources' states, by name.
pub(super) type Parts = BTreeMap<String, Arc<[u8]>>;

/// The bytes of a checkpoint's file, its parts, and the names of those it lists without having their bytes.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) parts: Parts,
    pub(super) stored: Vec<String>,
}

/// A part that a state only names must be among those that are `durable`: else a restart would find a hole.
pub(super) fn encode(state: &JobState, durable: &BTreeMap<String, Sum>) -> Result<Encoded, String> {
    let mut out = Writer::new(MAGIC, VERSION);
    let (mut parts, mut stored) = (Parts::new(), Vec::new());
    out.u64(state.checkpoint.0);
    out.count(state.sources.len())?;
    for source in &state.sources {
        out.bytes(source.identity.as_bytes())?;
        out.count(source.stored.len() + source.parts.len())?;
        for part in &source.stored {
            let sum = durable.get(&part.name).filter(|sum| sum.len == part.len).ok_or_else(|| {
                format!(
                    "the state of {} names the part `{}` of {} bytes, which this store does not have: save a state with all \
                     of its bytes first",
                    source.identity, part.name, part.len
                )
            })?;
            out.bytes(part.name.as_bytes())?;
            out.u64(sum.len);
            out.u128(sum.hash);
            stored.push(part.name.clone());
        }
        for part in &source.parts {
            check_name(&part.name)?;
            let sum = Sum::of(&part.bytes);
            out.bytes(part.name.as_bytes())?;
            out.u64(sum.len);
            out.u128(sum.hash);
            if parts.insert(part.name.clone(), Arc::clone(&part.bytes)).is_some_and(|other| other != part.bytes) {
                return Err(format!("two different parts of a source's state are both named `{}`", part.name));
            }
        }
    }
    out.count(state.pending.len())?;
    for (sink, committable) in &state.pending {
        out.bytes(sink.as_bytes())?;
        out.u64(committable.checkpoint.0);
        out.bytes(&committable.bytes)?;
    }
    Ok(Encoded { bytes: out.into_bytes(), parts, stored })
}

fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > PART_NAME_MAX || !name.chars().all(fine) {
        return Err(format!(
            "`{name}` cannot name a part of a source's state: use up to {PART_NAME_MAX} of the characters a-z, 0-9 and -"
        ));
    }
    Ok(())
}

/// Reads a checkpoint file.
pub(super) fn decode(bytes: &[u8]) -> Result<Listing, Unusable> {
    let mut input = Reader::new(bytes, MAGIC, VERSION)?;
    let checkpoint = CheckpointId(input.u64()?);
    let mut sources = Vec::new();
    for _ in 0..input.u32()? {
        let identity = input.text()?;
        let mut parts = Vec::new();
        for _ in 0..input.u32()? {
            let name = input.text()?;
            check_name(&name).map_err(|_| Unusable::Damaged("it names an impossible part"))?;
            let len = input.u64()?;
            parts.push((name, Sum { len, hash: input.u128()? }));
        }
        sources.push((identity, parts));
    }
    let mut pending = Vec::new();
    for _ in 0..input.u32()? {
        let sink = input.text()?;
        let checkpoint = CheckpointId(input.u64()?);
        pending.push((sink, Committable { checkpoint, bytes: input.bytes()?.into() }));
    }
    input.end()?;
    Ok(Listing { checkpoint, sources, pending })
}

#[cfg(test)]
mod tests {
    use headwater_core::{SourceState, StatePart};

    use super::*;

    fn state() -> JobState {
        let part = |name: &str, bytes: &[u8]| StatePart { name: name.into(), bytes: bytes.into() };
        JobState {
            checkpoint: CheckpointId(9),
            sources: vec![
                SourceState::new("mns:1/orders".into(), vec![part("0-a", b"base"), part("1-b", b"")]),
                SourceState::new("mns:1/empty".into(), vec![]),
            ],
            pending: vec![("out".into(), Committable { checkpoint: CheckpointId(8), bytes: b"files"[..].into() })],
        }
    }

    #[test]
    fn it_reads_what_it_writes_and_notices_every_cut() {
        let Encoded { bytes, parts, .. } = encode(&state(), &BTreeMap::new()).unwrap();
        assert_eq!(parts.keys().collect::<Vec<_>>(), ["0-a", "1-b"]);
        let listing = decode(&bytes).unwrap();
        assert_eq!(listing.checkpoint, CheckpointId(9));
        assert_eq!(listing.pending, state().pending);
        assert_eq!(listing.sources[0].1[0], ("0-a".into(), Sum::of(b"base")));
        assert_eq!(listing.sources[1], ("mns:1/empty".into(), vec![]));
        for cut in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..cut]), Err(Unusable::Damaged(_))), "cut at {cut}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(decode(&longer), Err(Unusable::Damaged("it goes on after its end")));
    }

    #[test]
    fn a_newer_version_is_recognised() {
        let mut bytes = encode(&state(), &BTreeMap::new()).unwrap().bytes;
        bytes[4] = 2;
        assert_eq!(decode(&bytes), Err(Unusable::Newer(2)));
    }

    #[test]
    fn a_name_that_could_leave_the_directory_is_refused() {
        for name in ["../x", "A", "", "a/b"] {
            let mut state = state();
            state.sources[0].parts[0].name = name.into();
            assert!(encode(&state, &BTreeMap::new()).is_err(), "{name}");
        }
    }

    #[test]
    fn two_parts_of_one_name_are_refused() {
        let mut state = state();
        state.sources[1].parts.push(StatePart { name: "0-a".into(), bytes: b"other"[..].into() });
        assert!(encode(&state, &BTreeMap::new()).unwrap_err().contains("`0-a`"));
    }
}
