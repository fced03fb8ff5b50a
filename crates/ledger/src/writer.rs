//! Writing a segment.

use crate::ids::CheckpointId;
use crate::segment::{CONFIRMED, Content, HAS_HANDLE, Line, MAGIC, SEGMENT_VERSION, Scope, Segment};

/// Writes a segment entry by entry: a base of millions of ids is never there in any other form than its bytes.
pub(crate) struct Writer {
    out: Vec<u8>,
    sequence: u64,
    checkpoint: CheckpointId,
    count_at: usize,
    entries: usize,
}

impl Writer {
    /// Begins with all but the entries of `head`, in the memory of `out`.
    pub(crate) fn new(head: &Content, mut out: Vec<u8>) -> Self {
        out.clear();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
        out.extend_from_slice(&[3, 0]);
        out.extend_from_slice(&head.sequence.to_le_bytes());
        out.extend_from_slice(&head.checkpoint.0.to_le_bytes());
        out.extend_from_slice(&head.committed_through.map_or(0, |c| c.0.saturating_add(1)).to_le_bytes());
        out.extend_from_slice(&head.retention_secs.to_le_bytes());
        out.extend_from_slice(&head.previous.to_le_bytes());
        let first = match head.scope {
            Scope::From(first) => first,
            // Of versions that are not written any more.
            Scope::Base(_) => head.sequence,
        };
        out.extend_from_slice(&first.to_le_bytes());
        push_len(&mut out, head.forgotten.len());
        for key in &head.forgotten {
            out.extend_from_slice(&key.0.to_le_bytes());
        }
        let count_at = out.len();
        push_len(&mut out, 0);
        Self { out, sequence: head.sequence, checkpoint: head.checkpoint, count_at, entries: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, line: &Line<'_>) {
        let handle = line.undeleted.and_then(|(_, handle)| handle).map(|handle| handle.as_str().as_bytes());
        // A length is read as 16 bits; a longer handle is left to its redelivery.
        let handle = handle.filter(|handle| handle.len() <= usize::from(u16::MAX));
        let flags =
            if line.undeleted.is_none() { CONFIRMED } else { 0 } | if handle.is_some() { HAS_HANDLE } else { 0 };
        let before = self.checkpoint.0.saturating_sub(line.checkpoint.0);
        let len = handle.map_or(0, <[u8]>::len);
        self.entries += 1;
        let (count, own) = (u64::from(line.rank.dequeue_count), u64::from(line.rank.own_changes));
        if before | count | own | len as u64 >= 0x80 {
            return self.push_long(line, flags, [before, count, own], handle);
        }
        // As nearly all are: each number in one byte, and everything in its place at once.
        let at = self.out.len();
        self.out.extend_from_slice(&[0; SHORT_MOST]);
        let Some(out) = self.out[at..].first_chunk_mut::<SHORT_MOST>() else { return };
        out[..16].copy_from_slice(&line.key.0.to_le_bytes());
        let numbers = u32::from(flags) | (before as u32) << 8 | (count as u32) << 16 | (own as u32) << 24;
        out[16..20].copy_from_slice(&numbers.to_le_bytes());
        out[20..28].copy_from_slice(&line.rank.next_visible.0.to_le_bytes());
        let enqueued = line.undeleted.map_or(0, |(enqueued, _)| enqueued.0);
        out[28..36].copy_from_slice(&enqueued.to_le_bytes());
        out[36] = len as u8;
        let taken = if line.undeleted.is_none() { 28 } else { 36 } + usize::from(handle.is_some());
        self.out.truncate(at + taken);
        if let Some(handle) = handle {
            self.out.extend_from_slice(handle);
        }
    }

    #[cold]
    fn push_long(&mut self, line: &Line<'_>, flags: u8, numbers: [u64; 3], handle: Option<&[u8]>) {
        self.out.extend_from_slice(&line.key.0.to_le_bytes());
        self.out.push(flags);
        numbers.into_iter().for_each(|number| push_number(&mut self.out, number));
        self.out.extend_from_slice(&line.rank.next_visible.0.to_le_bytes());
        if let Some((enqueued, _)) = line.undeleted {
            self.out.extend_from_slice(&enqueued.0.to_le_bytes());
        }
        if let Some(handle) = handle {
            push_number(&mut self.out, handle.len() as u64);
            self.out.extend_from_slice(handle);
        }
    }

    /// Bytes so far.
    pub(crate) const fn len(&self) -> usize {
        self.out.len()
    }

    /// The segment, and the memory in which it was written.
    pub(crate) fn finish(mut self) -> (Segment, Vec<u8>) {
        let mut count = Vec::with_capacity(4);
        push_len(&mut count, self.entries);
        self.out[self.count_at..self.count_at + 4].copy_from_slice(&count);
        let crc = crc32fast::hash(&self.out);
        self.out.extend_from_slice(&crc.to_le_bytes());
        (Segment::written(self.sequence, &self.out), self.out)
    }
}

/// The bytes of an id before its handle, where every number takes one: a key, flags, three numbers, two times, a length.
const SHORT_MOST: usize = 16 + 1 + 3 + 8 + 8 + 1;

/// In LEB128: seven bits a byte, the lowest first, the eighth says that more follow.
pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn push_len(out: &mut Vec<u8>, len: usize) {
    // Limits keep every list far below 2^32 entries.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}
