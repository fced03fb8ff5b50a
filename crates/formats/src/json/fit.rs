//! Where everything is in a text that has a known outline.

use std::ops::Range;

/// What an outline found in a text: where its pieces begin, and which of the strings are more than they look.
///
/// One that is used again spares the next text its allocations. After an outline that did not fit it holds how far that one came.
#[derive(Debug, Clone, Default)]
pub struct Fit {
    /// Where each piece begins, as far as they are known; what is behind is left over.
    starts: Vec<usize>,
    known: usize,
    /// The pieces before strings that have escapes or are not ASCII, in order.
    pub(super) other: Vec<usize>,
}

/// A place within an outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub(super) piece: usize,
    /// Bytes behind where the piece begins.
    pub(super) behind: usize,
    /// Whether the quote is there that a string begins with.
    pub(super) quoted: bool,
}

/// Where the inside of a string is that is ASCII without escapes, so that it is the value as it stands. Only a [`Fit`] says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    pub(super) at: usize,
    pub(super) len: usize,
}

impl Plain {
    /// The offsets of the inside, without its quotes.
    pub fn range(self) -> Range<usize> {
        self.at..self.at + self.len
    }
}

impl Fit {
    /// The offset of a spot of the outline in the text that it fits.
    #[inline]
    pub fn offset(&self, spot: Spot) -> usize {
        self.starts[spot.piece] + spot.behind
    }

    /// The inside of the string that begins at a spot, if one does and it is plain.
    #[inline]
    pub fn plain(&self, spot: Spot) -> Option<Plain> {
        if !spot.quoted || self.other.binary_search(&spot.piece).is_ok() {
            return None;
        }
        let at = self.offset(spot) + 1;
        // A string ends where the next piece begins; there is one, if only for the quote.
        Some(Plain { at, len: self.starts[spot.piece + 1] - at })
    }

    /// Forgets the text before.
    pub fn clear(&mut self) {
        self.known = 0;
        self.other.clear();
    }

    /// Where the pieces begin that were compared; the last one of an attempt is where it failed.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts[..self.known]
    }

    /// Forgets all but so many pieces and says where the one behind them begins, to go on with an outline of `all` pieces.
    #[inline]
    pub(super) fn cut(&mut self, pieces: usize, all: usize) -> usize {
        let at = self.starts().get(pieces).copied().unwrap_or_default();
        self.known = pieces;
        if self.starts.len() < all {
            self.starts.resize(all, 0);
        }
        while self.other.pop_if(|piece| *piece >= pieces).is_some() {}
        at
    }

    /// Notes where the next pieces begin: so many bytes behind `at` each.
    #[inline(always)]
    pub(super) fn note(&mut self, first: usize, at: usize, offsets: &[usize]) {
        self.known = first + offsets.len();
        for (start, offset) in self.starts[first..self.known].iter_mut().zip(offsets) {
            *start = at + offset;
        }
    }
}
