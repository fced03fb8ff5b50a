//! What one message may cost: every buffer that a body can grow has a limit here.

/// Limits on one message and on what a decoder buffers. A body that would exceed one is a bad record, with an error
/// that names the limit; it is never decoded in part.
///
/// The defaults are far above what a queue with bodies of 64 KB can carry, and far below what could hurt a process:
/// they exist because a small body can describe a large result (`[{},{},…]` into a table of a thousand columns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one body, after the body layer. Default 16 MiB: 256 times the 64 KB of an SMQ message, room for other
    /// queues and for whole files in a body.
    pub body_bytes: usize,
    /// Bytes one message may add to the builders, NULLs and offsets included. Default 64 MiB. Values above
    /// [`Limits::MAX_DECODED_BYTES`] count as that: Arrow's offsets are 32 bits wide.
    pub decoded_bytes: usize,
    /// Rows of one message, good and bad together. Default 100,000: a body of 64 KB has at most 22,000 rows of `{},`.
    pub rows: usize,
    /// How deep a JSON body may nest, the outermost value counted. Default 1,000, the limit of the JSON library in
    /// Flink 2.3.
    pub nesting: usize,
    /// Columns of a schema, nested ones counted, ours or one that a body brings along. Default 10,000, above the
    /// widest tables in use; it bounds what a NULL row costs.
    pub columns: usize,
}

impl Limits {
    /// The most that [`Limits::decoded_bytes`] can be, and what a decoder may hold when it takes another message:
    /// 512 MiB. Both together are half of what 32-bit offsets reach, since bytes are counted by what the body has of
    /// them and a printed number can be twice as long.
    pub const MAX_DECODED_BYTES: usize = 1 << 29;

    /// The same limits with this one for [`Limits::body_bytes`].
    #[must_use]
    pub fn with_body_bytes(self, body_bytes: usize) -> Self {
        Self { body_bytes, ..self }
    }

    /// The same limits with this one for [`Limits::decoded_bytes`].
    #[must_use]
    pub fn with_decoded_bytes(self, decoded_bytes: usize) -> Self {
        Self { decoded_bytes: decoded_bytes.min(Self::MAX_DECODED_BYTES), ..self }
    }

    /// The same limits with this one for [`Limits::rows`].
    #[must_use]
    pub fn with_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    /// The same limits with this one for [`Limits::nesting`].
    #[must_use]
    pub fn with_nesting(self, nesting: usize) -> Self {
        Self { nesting, ..self }
    }

    /// The same limits with this one for [`Limits::columns`].
    #[must_use]
    pub fn with_columns(self, columns: usize) -> Self {
        Self { columns, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 16 << 20, decoded_bytes: 64 << 20, rows: 100_000, nesting: 1_000, columns: 10_000 }
    }
}
