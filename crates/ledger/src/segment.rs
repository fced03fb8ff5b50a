//! The durable form: a chain of segments, each an immutable, checksummed, versioned block of bytes. Of each id the newest that is said
//! counts; what the last segment does not name as part of the chain does not.
//!
//! Layout, little-endian: magic `HWLG`, version u16, kind u8 (3), reserved u8, sequence u64, checkpoint u64, committed-through u64 + 1
//! (0 = none), retention seconds u64, hash of the previous segment u128 (0 where none counts), sequence of the first segment that counts
//! u64, number of forgotten keys u32, the keys; number of entries u32, the entries, in no order; CRC-32 of everything before it.
//! An entry is: key u128, flags u8 (1 delete confirmed, 2 has a handle), then as LEB128 numbers how many checkpoints before
//! this one it belongs to, dequeue count and own changes; next visible i64; enqueued i64 unless its delete is confirmed; and
//! with a handle its length as LEB128 and its bytes. Checkpoint 0 is also that of messages which the source's own log made
//! deletable before anything was committed.
//!
//! Version 3, which is still read, has other kinds: 0 a base, 1 a delta, both without the sequence of the first; 2 a base of some ids and
//! delta of the others, with the parts that it is a base of in its place, a bit for each of 64 (an id is in the part that the exclusive or
//! of its halves is modulo 64). What stands before a base of an id says nothing of it. Version 2: as that, without kind 2. Version 1 has
//! entries of another form: key u128, checkpoint u64, flags u8, dequeue count u32, own changes u32, next visible i64, enqueued i64, and
//! with a handle its length u16 and its bytes.

use std::sync::Arc;

use crate::entry::HandleRank;
use crate::ids::{CheckpointId, Handle, MessageKey, ServerMs};
use crate::log::BEFORE_THE_FIRST;
use crate::parts::Parts;

pub(crate) const MAGIC: [u8; 4] = *b"HWLG";
/// The version written. Readers take every version up to this one.
pub const SEGMENT_VERSION: u16 = 4;
/// Where its checkpoint stands, in every version.
const CHECKPOINT_AT: usize = 16;
pub(crate) const CONFIRMED: u8 = 1;
pub(crate) const HAS_HANDLE: u8 = 2;

/// One immutable block of a ledger's durable state. Its name is unique to its content, so a store writes each once.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    sequence: u64,
    hash: u128,
    bytes: Arc<[u8]>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({}, {} bytes)", self.name(), self.bytes.len())
    }
}

impl Segment {
    /// Takes bytes that were stored earlier.
    ///
    /// # Errors
    /// When they are not a whole segment of a version this build reads.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SegmentError> {
        Self::from_shared(Arc::from(bytes))
    }

    /// As [`from_bytes`](Self::from_bytes), without a copy of them.
    ///
    /// # Errors
    /// As `from_bytes`.
    pub fn from_shared(bytes: Arc<[u8]>) -> Result<Self, SegmentError> {
        let (head, mut entries) = read(&bytes)?;
        entries.try_for_each(|entry| entry.map(drop))?;
        Ok(Self { sequence: head.sequence, hash: hash(&bytes), bytes })
    }

    /// A name unique to this content: the sequence number and a 128-bit hash. Safe as a file name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{:016}-{:032x}", self.sequence, self.hash)
    }

    /// The bytes to store.
    #[must_use]
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    pub(crate) const fn hash(&self) -> u128 {
        self.hash
    }

    pub(crate) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Wraps what a [`Writer`](crate::writer::Writer) wrote.
    pub(crate) fn written(sequence: u64, bytes: &[u8]) -> Self {
        Self { sequence, hash: hash(bytes), bytes: Arc::from(bytes) }
    }

    /// All but its entries, and those one by one.
    pub(crate) fn read(&self) -> Result<(Content, Entries<'_>), SegmentError> {
        read(&self.bytes)
    }

    /// The entry that [`Entries`] found at this place.
    pub(crate) fn entry(&self, at: usize) -> Result<Stored, SegmentError> {
        let mut head = Reader { bytes: &self.bytes, at: 4 };
        let version = u16::from_le_bytes(head.take()?);
        head.at = CHECKPOINT_AT;
        let checkpoint = CheckpointId(head.u64()?);
        Stored::read(&mut Reader { bytes: &self.bytes, at }, version, checkpoint)
    }
}

/// Why bytes are not a readable state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// Not written by a ledger.
    #[error("not a ledger segment (wrong magic number)")]
    NotASegment,
    /// Written by a later release.
    #[error(
        "written in version {found}, this release reads up to {SEGMENT_VERSION}: use the release that wrote it, or a later one"
    )]
    NewerVersion {
        /// The version found.
        found: u16,
    },
    /// Cut off or changed.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// The segments do not follow each other.
    #[error("the segments do not form one chain: {0}")]
    BrokenChain(&'static str),
}

/// What of the segments before it counts beside a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those from this sequence number on, which may be its own.
    From(u64),
    /// Up to version 3: of these parts nothing, of the others everything.
    Base(Parts),
}

/// A segment's content, decoded. Read by [`Segment::read`] it is without entries: of millions of ids at a time, one is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) scope: Scope,
    pub(crate) sequence: u64,
    pub(crate) checkpoint: CheckpointId,
    pub(crate) committed_through: Option<CheckpointId>,
    pub(crate) retention_secs: u64,
    pub(crate) previous: u128,
    pub(crate) forgotten: Vec<MessageKey>,
    pub(crate) entries: Vec<Stored>,
}

/// One id as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: MessageKey,
    pub(crate) checkpoint: CheckpointId,
    pub(crate) confirmed: bool,
    pub(crate) handle: Option<Handle>,
    pub(crate) rank: HandleRank,
    pub(crate) enqueued: ServerMs,
}

/// One id as it is to be stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) key: MessageKey,
    pub(crate) checkpoint: CheckpointId,
    pub(crate) rank: HandleRank,
    /// When the queue took it, and its handle, as long as its delete is not confirmed.
    pub(crate) undeleted: Option<(ServerMs, Option<&'a Handle>)>,
}

fn hash(bytes: &[u8]) -> u128 {
    twox_hash::XxHash3_128::oneshot(bytes)
}

impl Content {
    #[cfg(test)]
    pub(crate) fn encode(&self) -> Segment {
        let mut writer = crate::writer::Writer::new(self, Vec::new());
        for stored in &self.entries {
            let Stored { key, checkpoint, rank, .. } = *stored;
            let undeleted = (!stored.confirmed).then_some((stored.enqueued, stored.handle.as_ref()));
            writer.push(&Line { key, checkpoint, rank, undeleted });
        }
        writer.finish().0
    }
}

/// Checks everything but the entries, which are checked as they are read.
fn read(bytes: &[u8]) -> Result<(Content, Entries<'_>), SegmentError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(SegmentError::NotASegment);
    }
    let mut reader = Reader { bytes, at: 4 };
    let version = u16::from_le_bytes(reader.take()?);
    if version > SEGMENT_VERSION {
        return Err(SegmentError::NewerVersion { found: version });
    }
    if version == 0 {
        return Err(SegmentError::Damaged("there is no version 0"));
    }
    let (body, crc) =
        bytes.split_at_checked(bytes.len().saturating_sub(4)).ok_or(SegmentError::Damaged("too short"))?;
    if crc32fast::hash(body).to_le_bytes() != crc {
        return Err(SegmentError::Damaged("the checksum does not match"));
    }
    reader.bytes = body;
    let kind = match reader.take()? {
        [kind @ 0..=1, 0] if version <= 3 => kind,
        [2, 0] if version == 3 => 2,
        [3, 0] if version >= 4 => 3,
        _ => return Err(SegmentError::Damaged("there is no such kind of segment")),
    };
    let sequence = reader.u64()?;
    let checkpoint = CheckpointId(reader.u64()?);
    let committed_through = reader.u64()?.checked_sub(1).map(CheckpointId);
    let retention_secs = reader.u64()?;
    let previous = u128::from_le_bytes(reader.take()?);
    let scope = match kind {
        0 => Scope::Base(Parts::ALL),
        1 => Scope::Base(Parts::NONE),
        2 => Scope::Base(Parts(reader.u64()?)),
        _ => Scope::From(reader.u64()?),
    };
    if kind == 2 && matches!(scope, Scope::Base(Parts::ALL | Parts::NONE)) {
        return Err(SegmentError::Damaged("it is a base of no part, or of all"));
    }
    if matches!(scope, Scope::From(first) if first > sequence) {
        return Err(SegmentError::Damaged("what counts begins after it"));
    }
    let forgotten = (0..reader.u32()?).map(|_| reader.key()).collect::<Result<_, _>>()?;
    let left = reader.u32()?;
    // A checkpoint commits only what lies before it, and an id in a later one would never be committed.
    if committed_through.is_some_and(|done| done >= checkpoint) {
        return Err(LATER);
    }
    let entries = Entries { reader, version, checkpoint, committed_through, left };
    let none = Vec::new();
    Ok((
        Content { scope, sequence, checkpoint, committed_through, retention_secs, previous, forgotten, entries: none },
        entries,
    ))
}

const LATER: SegmentError = SegmentError::Damaged("it holds a later checkpoint than its own");

/// The entries of a segment, each with its place in the bytes. Whoever reads them to the end has seen that nothing follows.
#[derive(Debug)]
pub(crate) struct Entries<'a> {
    reader: Reader<'a>,
    version: u16,
    checkpoint: CheckpointId,
    committed_through: Option<CheckpointId>,
    left: u32,
}

impl Entries<'_> {
    /// How many are left, if its bytes are not damaged.
    pub(crate) const fn left(&self) -> usize {
        self.left as usize
    }

    fn entry(&mut self) -> Result<(usize, Stored), SegmentError> {
        let at = self.reader.at;
        let entry = Stored::read(&mut self.reader, self.version, self.checkpoint)?;
        let committed = |id| self.committed_through.is_some_and(|done| id <= done) || id == BEFORE_THE_FIRST;
        if entry.checkpoint > self.checkpoint {
            Err(LATER)
        } else if entry.confirmed && !committed(entry.checkpoint) {
            Err(SegmentError::Damaged("it holds a delete of something that is not committed"))
        } else {
            Ok((at, entry))
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(usize, Stored), SegmentError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left > 0 {
            let entry = self.entry();
            self.left = if entry.is_ok() { self.left - 1 } else { 0 };
            return Some(entry);
        }
        let rest = self.reader.bytes.len() > self.reader.at;
        self.reader.at = self.reader.bytes.len();
        rest.then_some(Err(SegmentError::Damaged("bytes after the last entry")))
    }
}

impl Stored {
    fn read(reader: &mut Reader<'_>, version: u16, newest: CheckpointId) -> Result<Self, SegmentError> {
        if version == 1 { Self::decode_v1(reader) } else { Self::decode(reader, newest) }
    }

    fn decode(reader: &mut Reader<'_>, newest: CheckpointId) -> Result<Self, SegmentError> {
        let key = reader.key()?;
        let [flags] = reader.take()?;
        let confirmed = flags & CONFIRMED != 0;
        let before =
            newest.0.checked_sub(reader.number()?).ok_or(SegmentError::Damaged("a checkpoint before the first"))?;
        let count = |number: u64| u32::try_from(number).map_err(|_| SegmentError::Damaged("a count is too large"));
        let rank = HandleRank {
            dequeue_count: count(reader.number()?)?,
            own_changes: count(reader.number()?)?,
            next_visible: ServerMs(i64::from_le_bytes(reader.take()?)),
        };
        let enqueued = ServerMs(if confirmed { 0 } else { i64::from_le_bytes(reader.take()?) });
        let handle = if flags & HAS_HANDLE == 0 {
            None
        } else {
            let len = u16::try_from(reader.number()?).map_err(|_| SegmentError::Damaged("a handle is too long"))?;
            Some(reader.handle(len.into())?)
        };
        Ok(Self { key, checkpoint: CheckpointId(before), confirmed, handle, rank, enqueued })
    }

    fn decode_v1(reader: &mut Reader<'_>) -> Result<Self, SegmentError> {
        let key = reader.key()?;
        let checkpoint = CheckpointId(reader.u64()?);
        let [flags] = reader.take()?;
        let rank = HandleRank {
            dequeue_count: reader.u32()?,
            own_changes: reader.u32()?,
            next_visible: ServerMs(i64::from_le_bytes(reader.take()?)),
        };
        let enqueued = ServerMs(i64::from_le_bytes(reader.take()?));
        let handle = if flags & HAS_HANDLE == 0 {
            None
        } else {
            let len = usize::from(u16::from_le_bytes(reader.take()?));
            Some(reader.handle(len)?)
        };
        Ok(Self { key, checkpoint, confirmed: flags & CONFIRMED != 0, handle, rank, enqueued })
    }
}

#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], SegmentError> {
        let rest = self.bytes.get(self.at..).and_then(|rest| rest.get(..len));
        self.at += len;
        rest.ok_or(SegmentError::Damaged("cut off"))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SegmentError> {
        self.slice(N)?.try_into().map_err(|_| SegmentError::Damaged("cut off"))
    }

    fn handle(&mut self, len: usize) -> Result<Handle, SegmentError> {
        let text = std::str::from_utf8(self.slice(len)?).map_err(|_| SegmentError::Damaged("a handle is not text"))?;
        Ok(Handle::new(text))
    }

    /// A number in LEB128: seven bits a byte, the lowest first, the eighth says that more follow.
    fn number(&mut self) -> Result<u64, SegmentError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(SegmentError::Damaged("a number is too large"))
    }

    fn u32(&mut self) -> Result<u32, SegmentError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, SegmentError> {
        self.take().map(u64::from_le_bytes)
    }

    fn key(&mut self) -> Result<MessageKey, SegmentError> {
        self.take().map(|b| MessageKey(u128::from_le_bytes(b)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Content {
        Content {
            scope: Scope::From(7),
            sequence: 7,
            checkpoint: CheckpointId(3),
            committed_through: Some(CheckpointId(2)),
            retention_secs: 345_600,
            previous: 0,
            forgotten: vec![MessageKey(5)],
            entries: vec![
                Stored {
                    key: MessageKey(1),
                    checkpoint: CheckpointId(3),
                    confirmed: false,
                    handle: Some(Handle::new("1-abc")),
                    rank: HandleRank { dequeue_count: 2, own_changes: 1, next_visible: ServerMs(1_642_865_202_119) },
                    enqueued: ServerMs(1_642_865_171_557),
                },
                Stored {
                    key: MessageKey(2),
                    checkpoint: CheckpointId(1),
                    confirmed: true,
                    handle: None,
                    rank: HandleRank::default(),
                    enqueued: ServerMs(0),
                },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let segment = sample().encode();
        let (mut content, entries) = segment.read().unwrap();
        let entries: Vec<_> = entries.map(|entry| entry.unwrap()).collect();
        for (at, entry) in &entries {
            assert_eq!(segment.entry(*at).as_ref(), Ok(entry));
        }
        content.entries = entries.into_iter().map(|(_, entry)| entry).collect();
        assert_eq!(content, sample());
        assert_eq!(Segment::from_bytes(segment.bytes()), Ok(segment));
    }

    /// Lines are written in one of two ways, by whether each of their numbers takes one byte.
    #[test]
    fn a_line_is_read_back_whatever_the_size_of_its_numbers() {
        let sizes = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0xffff];
        let mut content = sample();
        content.checkpoint = CheckpointId(1 << 40);
        content.committed_through = Some(CheckpointId((1 << 40) - 1));
        content.entries.clear();
        for at in 0..5 * sizes.len() {
            // One number of another size, the others of one byte; at last all of them.
            let (which, size) = (at / sizes.len(), sizes[at % sizes.len()]);
            let number = |number| if which == number || which == 4 { size } else { 3 };
            for confirmed in [false, true] {
                let undeleted = |value: usize| if confirmed { 0 } else { value };
                content.entries.push(Stored {
                    key: MessageKey(content.entries.len() as u128),
                    checkpoint: CheckpointId((1 << 40) - 1 - number(0) as u64),
                    confirmed,
                    handle: (!confirmed).then(|| Handle::new(&"h".repeat(number(3)))),
                    rank: HandleRank {
                        dequeue_count: number(1) as u32,
                        own_changes: number(2) as u32,
                        next_visible: ServerMs(-7),
                    },
                    enqueued: ServerMs(undeleted(at) as i64),
                });
            }
        }
        let segment = content.encode();
        let (_, entries) = segment.read().unwrap();
        let entries: Vec<_> = entries.map(|entry| entry.unwrap().1).collect();
        assert_eq!(entries, content.entries);
    }

    #[test]
    fn numbers_of_any_size_are_read_and_larger_ones_refused() {
        for number in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            crate::writer::push_number(&mut bytes, number);
            let mut reader = Reader { bytes: &bytes, at: 0 };
            assert_eq!((reader.number(), reader.at), (Ok(number), bytes.len()));
        }
        let mut large = [0xff; 10];
        large[9] = 2;
        assert!(Reader { bytes: &large, at: 0 }.number().is_err());
        assert!(Reader { bytes: &[0x80; 11], at: 0 }.number().is_err(), "endless");
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_an_error() {
        let segment = sample().encode();
        for len in 0..segment.bytes().len() {
            assert!(Segment::from_bytes(&segment.bytes()[..len]).is_err(), "cut at {len}");
        }
        for at in 0..segment.bytes().len() {
            let mut bytes = segment.bytes().to_vec();
            bytes[at] ^= 0x10;
            assert!(Segment::from_bytes(&bytes).is_err(), "bit flipped in byte {at}");
        }
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes = sample().encode().bytes().to_vec();
        bytes[4] = 5;
        assert_eq!(Segment::from_bytes(&bytes), Err(SegmentError::NewerVersion { found: 5 }));
    }

    #[test]
    fn whole_bytes_that_contradict_themselves_are_damaged() {
        let damaged = |change: fn(&mut Content)| {
            let mut content = sample();
            change(&mut content);
            matches!(Segment::from_bytes(content.encode().bytes()), Err(SegmentError::Damaged(_)))
        };
        assert!(!damaged(|_| ()));
        assert!(damaged(|c| c.committed_through = Some(CheckpointId(3))), "commits itself");
        assert!(damaged(|c| c.entries[0].confirmed = true), "deleted before it was committed");

        let with_checksum = |at: usize, byte: u8| {
            let mut bytes = sample().encode().bytes().to_vec();
            bytes[at] = byte;
            let end = bytes.len() - 4;
            let crc = crc32fast::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(&crc.to_le_bytes());
            Segment::from_bytes(&bytes).is_err()
        };
        assert!(with_checksum(4, 0), "version 0");
        assert!(with_checksum(6, 2), "a kind of another version");
        assert!(with_checksum(7, 1), "the reserved byte");
    }

    #[test]
    fn extreme_numbers_in_a_state_do_not_overflow() {
        use crate::{Ledger, Limits, Mono};
        let mut content = sample();
        content.forgotten.clear();
        content.retention_secs = u64::MAX;
        content.entries[0].rank =
            HandleRank { dequeue_count: u32::MAX, own_changes: u32::MAX, next_visible: ServerMs(i64::MIN) };
        content.entries[0].enqueued = ServerMs(i64::MAX);
        let mut ledger = Ledger::new(Limits::default(), Mono::default()).unwrap();
        ledger.restore(CheckpointId(3), &[content.encode()], Mono::default()).unwrap();
        ledger.commit(CheckpointId(3)).unwrap();
        assert_eq!(ledger.tick(Mono(std::time::Duration::MAX), Some(ServerMs(i64::MAX))), 1, "the deleted one");

        // The sequence number after the last there is.
        content.sequence = u64::MAX;
        let mut ledger = Ledger::new(Limits::default(), Mono::default()).unwrap();
        assert!(ledger.restore(CheckpointId(3), &[content.encode()], Mono::default()).is_err());
        assert_eq!(ledger.counts().ids(), 0, "a refused restore leaves nothing behind");
    }
}
