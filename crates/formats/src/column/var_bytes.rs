//! Byte strings of any length, end to end, and how much room the next batch of them is given.

use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use super::BufferPool;

/// The most that a buffer is made large in advance, in items.
pub(super) const MAX_PRESIZE: usize = 1 << 22;

/// How long a value is at most that is copied with a fixed length.
pub(crate) const SHORT: usize = 32;

/// Byte strings of any length, end to end.
#[derive(Debug)]
pub(crate) struct VarBytes {
    pub(super) offsets: Vec<i32>,
    pub(crate) bytes: Vec<u8>,
    /// The room that was asked for: there may be more.
    room: usize,
    pub(super) pool: BufferPool,
}

impl VarBytes {
    pub(super) fn new(pool: &BufferPool) -> Self {
        Self::with_capacity(0, 0, pool)
    }

    pub(super) fn with_capacity(values: usize, bytes: usize, pool: &BufferPool) -> Self {
        let mut offsets = Vec::with_capacity(values + 1);
        offsets.push(0);
        Self { offsets, bytes: pool.bytes(bytes), room: bytes, pool: pool.clone() }
    }

    /// An empty one with room for as much.
    pub(super) fn successor(&self) -> Self {
        Self::with_capacity(room(&self.offsets), bytes_after(self.bytes.len(), self.room), &self.pool)
    }

    /// Ends the value that was written to `bytes`.
    #[inline]
    pub(crate) fn close(&mut self) {
        self.offsets.push(offset(self.bytes.len()));
    }

    /// Appends the value of that length that stands at an offset of a text.
    #[inline(always)]
    pub(crate) fn push_part(&mut self, text: &[u8], at: usize, len: usize) {
        match text.get(at..).and_then(|rest| rest.first_chunk::<SHORT>()) {
            Some(chunk) if len <= SHORT => self.push_short(chunk, len),
            _ => {
                self.bytes.extend_from_slice(&text[at..at + len]);
                self.close();
            }
        }
    }

    /// Appends as many bytes of a chunk.
    #[inline(always)]
    pub(crate) fn push_short(&mut self, chunk: &[u8; SHORT], len: usize) {
        // More than the value, and the rest cut off again: a copy of fixed length needs no call.
        let end = self.bytes.len() + len;
        self.bytes.extend_from_slice(chunk);
        self.bytes.truncate(end);
        self.close();
    }

    /// Appends a whole value.
    pub(crate) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.close();
    }

    /// The closed value with this index.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        // Offsets are never negative.
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(cut(&mut self.offsets, len));
    }

    pub(super) fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let fresh = self.successor();
        std::mem::replace(self, fresh).into_parts()
    }

    pub(super) fn into_parts(self) -> (OffsetBuffer<i32>, Buffer) {
        let bytes = Buffer::from_vec(self.bytes);
        self.pool.remember_bytes(&bytes);
        (OffsetBuffer::new(ScalarBuffer::from(self.offsets)), bytes)
    }
}

/// Shortens offsets to `len` values and returns where the last one ends.
pub(super) fn cut(offsets: &mut Vec<i32>, len: usize) -> usize {
    offsets.truncate(len + 1);
    // There is always a first offset, and none is negative.
    offsets.last().map_or(0, |end| *end as usize)
}

#[inline]
pub(super) fn offset(len: usize) -> i32 {
    i32::try_from(len).expect("Limits::MAX_DECODED_BYTES keeps every buffer within 32 bits")
}

/// How large the buffer that comes after this one is made in advance: what this one has, or nearly what it had room for, so
/// that a large batch is remembered for some smaller ones. Growing a buffer copies it.
pub(super) fn room<T>(full: &Vec<T>) -> usize {
    room_after(full.len(), full.capacity())
}

fn room_after(len: usize, capacity: usize) -> usize {
    len.max(capacity - capacity / 8).min(MAX_PRESIZE)
}

/// The same for bytes, by the room that was asked for. Large buffers have sizes that many share: what one leaves, another one fits
/// into, and a batch that is a little larger than the one before does not double it.
pub(super) fn bytes_after(len: usize, capacity: usize) -> usize {
    const STEP: usize = 64 << 10;
    if len.max(capacity) < STEP {
        return room_after(len, capacity);
    }
    let less = capacity.saturating_sub((capacity / 8).next_multiple_of(STEP));
    let len = if len < STEP { len } else { len.next_multiple_of(STEP) };
    len.max(less).min(MAX_PRESIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of 800,000 bytes, a few more or less, after an empty column; then small ones.
    #[test]
    fn large_buffers_have_sizes_that_stay_and_shrink_slowly() {
        let step = 64 << 10;
        assert_eq!(bytes_after(100, 800), 700, "small ones are as they were");
        let mut capacity = bytes_after(800_000, 1_048_576);
        for len in [800_000, 800_500, 799_000, 801_000] {
            assert!(len <= capacity, "{len} bytes in {capacity}");
            capacity = bytes_after(len, capacity);
            assert_eq!(capacity % step, 0);
        }
        let mut batches = 0;
        while capacity >= step {
            let less = bytes_after(1_000, capacity);
            assert!(less < capacity, "{capacity} after a small batch");
            capacity = less;
            batches += 1;
        }
        assert!((8..20).contains(&batches), "{batches} small batches");
        assert_eq!(bytes_after(usize::MAX / 2, step), MAX_PRESIZE);
    }
}
