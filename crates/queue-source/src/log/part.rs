//! What a saved state holds of the log: which log it is, from where on its records are to be handed out again, and up to
//! where the ledger's snapshot knows its ids.
//!
//! Little-endian: magic `HWSP`, version u16, log id u128, segment u64 and byte u64 of the next record to hand out, segment u64
//! and byte u64 of the end of the log at the barrier. The part's name tells it from the ledger's.

use headwater_core::{SourceError, SourceErrorKind, StatePart};
use twox_hash::XxHash3_128;

use super::Position;

const MAGIC: [u8; 4] = *b"HWSP";
/// The version written. Readers take every version up to this one.
const VERSION: u16 = 1;
const NAME: &str = "log-";
const LENGTH: usize = 54;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogPart {
    pub(super) log: u128,
    /// The next record to hand out.
    pub(super) next: Position,
    /// The end of what the ledger's snapshot knows.
    pub(super) known: Position,
}

/// Whether a part of a state is one of these.
pub(crate) fn is_log(part: &StatePart) -> bool {
    part.name.starts_with(NAME)
}

impl LogPart {
    pub(super) fn encode(&self) -> StatePart {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.log.to_le_bytes());
        for number in [self.next.segment, self.next.offset, self.known.segment, self.known.offset] {
            bytes.extend(number.to_le_bytes());
        }
        let name = format!("{NAME}{:032x}", XxHash3_128::oneshot(&bytes));
        StatePart { name, bytes: bytes.into() }
    }

    pub(crate) fn decode(part: &StatePart) -> Result<Self, SourceError> {
        let refuse = |what: &str| {
            let text = format!("part {} of the state, about the source's log, cannot be read: {what}", part.name);
            SourceError::new(SourceErrorKind::State, text)
        };
        let bytes: &[u8] = &part.bytes;
        let version = bytes.get(4..6).and_then(|version| version.try_into().ok()).map(u16::from_le_bytes);
        match version {
            Some(1..=VERSION) if bytes[..4] == MAGIC && bytes.len() == LENGTH => {}
            Some(version) if bytes[..4] == MAGIC && version > VERSION => {
                return Err(refuse("a later release wrote it: use that one, or a later one"));
            }
            _ => return Err(refuse("it is not what its name says")),
        }
        let number = |at: usize| bytes.get(at..at + 8).and_then(|n| n.try_into().ok()).map_or(0, u64::from_le_bytes);
        let log = bytes.get(6..22).and_then(|log| log.try_into().ok()).map_or(0, u128::from_le_bytes);
        Ok(Self {
            log,
            next: Position { segment: number(22), offset: number(30) },
            known: Position { segment: number(38), offset: number(46) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let next = Position { segment: 3, offset: 44 };
        let part = LogPart { log: 7 << 100, next, known: Position { segment: 4, offset: 1 << 40 } };
        let stored = part.encode();
        assert!(is_log(&stored) && stored.bytes.len() == LENGTH, "{}", stored.name);
        assert_eq!(LogPart::decode(&stored).expect("a part"), part);
        let changed = |change: fn(&mut Vec<u8>)| {
            let mut bytes = stored.bytes.to_vec();
            change(&mut bytes);
            LogPart::decode(&StatePart { name: stored.name.clone(), bytes: bytes.into() })
                .expect_err("no part")
                .to_string()
        };
        assert!(changed(|bytes| bytes[4] = 2).contains("a later release"));
        assert!(changed(|bytes| bytes[0] = 0).contains("not what its name says"));
        assert!(changed(|bytes| bytes.truncate(53)).contains("not what its name says"));
        assert!(changed(Vec::clear).contains("not what its name says"));
    }
}
