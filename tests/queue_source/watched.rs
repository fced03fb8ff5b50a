//! A decoder of [`Lines`] with somebody told of all it does: what decodes when, and on how many threads at once.

use std::sync::Arc;

use arrow_array::RecordBatch;
use headwater_formats::{DecodeError, Decoded, Decoder, DecoderFactory, OnBadRow, RowType};

use crate::lines::Lines;

/// What [`Watched`] is about to do, or has just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Make,
    Decode,
    Decoded,
    Flush,
}

/// [`Lines`], with somebody told of everything that its decoders do.
pub(crate) struct Watched<F>(Arc<Watch<F>>);

struct Watch<F> {
    lines: Arc<dyn DecoderFactory>,
    tell: F,
}

impl<F: Fn(Work) + Send + Sync + 'static> Watched<F> {
    pub(crate) fn factory(tell: F) -> Arc<dyn DecoderFactory> {
        Arc::new(Self(Arc::new(Watch { lines: Lines::factory(), tell })))
    }
}

impl<F> std::fmt::Debug for Watched<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl<F: Fn(Work) + Send + Sync + 'static> DecoderFactory for Watched<F> {
    fn row_type(&self) -> &RowType {
        self.0.lines.row_type()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        (self.0.tell)(Work::Make);
        Box::new(WatchedDecoder { lines: self.0.lines.decoder(), watch: Arc::clone(&self.0) })
    }
}

struct WatchedDecoder<F> {
    lines: Box<dyn Decoder>,
    watch: Arc<Watch<F>>,
}

impl<F: Fn(Work) + Send + Sync> Decoder for WatchedDecoder<F> {
    fn decode(&mut self, body: &[u8], on_bad: OnBadRow) -> Result<Decoded, DecodeError> {
        (self.watch.tell)(Work::Decode);
        let decoded = self.lines.decode(body, on_bad);
        (self.watch.tell)(Work::Decoded);
        decoded
    }

    fn rows(&self) -> usize {
        self.lines.rows()
    }

    fn bytes(&self) -> usize {
        self.lines.bytes()
    }

    fn flush(&mut self) -> RecordBatch {
        (self.watch.tell)(Work::Flush);
        self.lines.flush()
    }
}
