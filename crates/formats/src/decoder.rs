//! The two traits every format implements: a factory that is made once per table, and decoders made from it.

use std::fmt::Debug;

use arrow_array::RecordBatch;

use crate::encoding::is_text;
use crate::{DecodeError, RowType};

/// A format with its options and schema, checked once and shared; it makes the decoders.
///
/// # Obligations
/// - Everything that can be wrong with options or schema was found before: `decoder` cannot fail.
/// - Decoders of one factory share nothing that decides what comes out, so each poller may own one. (They may share a
///   [`BufferPool`](crate::BufferPool).)
pub trait DecoderFactory: Send + Sync + Debug {
    /// The columns of the batches.
    fn row_type(&self) -> &RowType;

    /// Whether bodies are bytes rather than text.
    fn is_binary(&self) -> bool {
        false
    }

    /// Whether these bytes, which came out of base64, can be a body of this format: asked only to tell base64 from a
    /// plain body that happens to look like it ([`MessageEncoding::Auto`](crate::MessageEncoding::Auto)), so a glance at
    /// the first bytes is enough. By default anything for a binary format, and UTF-8 without control characters for
    /// another.
    fn plausible(&self, body: &[u8]) -> bool {
        self.is_binary() || is_text(body)
    }

    /// A decoder with empty builders.
    fn decoder(&self) -> Box<dyn Decoder>;
}

/// Turns bodies into rows and keeps the rows until [`Decoder::flush`].
///
/// # Obligations
/// - Bodies are independent: whatever came before, good or bad, a body gives the same rows.
/// - Rows keep their order.
/// - No body makes it panic, loop without end, or buffer more than [`Limits`](crate::Limits) allows.
/// - `rows`, `bytes` and `flush` never fail: what cannot be decoded was refused by `decode`.
pub trait Decoder: Send {
    /// Appends the rows of one body.
    ///
    /// # Errors
    /// With [`OnBadRow::Fail`], the first bad row, and then nothing of this body was appended. With
    /// [`OnBadRow::Salvage`] never: bad rows, or a body that breaks off, are listed in [`Decoded::bad`], and the good
    /// rows around them are appended. [`DecodeErrorKind::BufferFull`](crate::DecodeErrorKind::BufferFull) is returned
    /// in both modes, with nothing appended: it is the caller that must flush.
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError>;

    /// Appends what a message *without* a body stands for, which is not the same as an empty body: nothing, or with
    /// the raw format one row of NULL.
    fn decode_absent(&mut self) -> Decoded {
        Decoded::default()
    }

    /// Rows appended since the last flush.
    fn rows(&self) -> usize;

    /// Bytes the rows since the last flush take, approximately; what a caller compares with its batch target.
    fn bytes(&self) -> usize;

    /// Hands out the rows since the last flush, of which there may be none, and starts again. The schema is
    /// [`RowType::to_arrow`] of the factory's row type.
    fn flush(&mut self) -> RecordBatch;
}

/// What a bad row does to the other rows of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnBadRow {
    /// The message is refused as a whole.
    Fail,
    /// The good rows are appended, the bad ones reported.
    Salvage,
}

/// What [`Decoder::decode`] did with a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Decoded {
    /// Rows appended. None is normal: an empty body or an empty list has none.
    pub rows: usize,
    /// The bad rows, in order; only with [`OnBadRow::Salvage`]. A row's index counts good and bad rows alike.
    pub bad: Vec<DecodeError>,
    /// Rows or bodies that were passed over because the format's options say so (`ignore-parse-errors`).
    pub ignored: usize,
}

impl Decoded {
    /// So many rows and nothing else.
    pub fn rows(rows: usize) -> Self {
        Self { rows, ..Self::default() }
    }
}
