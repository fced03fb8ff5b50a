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

    pub(crate) fn push(&mut self, line: &Line<'_>) {
        let handle = line.undeleted.and_then(|(_, handle)| handle).map(|handle| handle.as_str().as_bytes());
        // A length is read as 16 bits; a longer handle is left to its redelivery.
        let handle = handle.filter(|handle| handle.len() <= usize::from(u16::MAX));
        let mut fields = Fields::default();
        fields.put(line.key.0.to_le_bytes());
        fields.put([
            if line.undeleted.is_none() { CONFIRMED } else { 0 } | if handle.is_some() { HAS_HANDLE } else { 0 }
        ]);
        fields.number(self.checkpoint.0.saturating_sub(line.checkpoint.0));
        fields.number(line.rank.dequeue_count.into());
        fields.number(line.rank.own_changes.into());
        fields.put(line.rank.next_visible.0.to_le_bytes());
        if let Some((enqueued, _)) = line.undeleted {
            fields.put(enqueued.0.to_le_bytes());
        }
        if let Some(handle) = handle {
            fields.number(handle.len() as u64);
        }
        // Of a fixed length, and then cut, so that it takes a few moves and no call.
        let end = self.out.len() + fields.len;
        self.out.extend_from_slice(&fields.bytes);
        self.out.truncate(end);
        if let Some(handle) = handle {
            self.out.extend_from_slice(handle);
        }
        self.entries += 1;
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

/// The fields of an id before its handle, collected so that they are appended at once.
pub(crate) struct Fields {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl Default for Fields {
    fn default() -> Self {
        Self { bytes: [0; Self::MOST], len: 0 }
    }
}

impl Fields {
    /// A key, flags, four numbers (of a checkpoint, of two counts and of a length), two times.
    const MOST: usize = 16 + 1 + 10 + 5 + 5 + 3 + 8 + 8;

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    /// In LEB128: seven bits a byte, the lowest first, the eighth says that more follow.
    #[inline]
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put([number as u8 | 0x80]);
            number >>= 7;
        }
        self.put([number as u8]);
    }
}

fn push_len(out: &mut Vec<u8>, len: usize) {
    // Limits keep every list far below 2^32 entries.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}
