//! What is the same in every text of an outline so far: the fixed text, and the values that have never changed.
//!
//! An event has a dozen values that are the same in each of a queue: service, version, region, bucket, owner. Compared together
//! with what stands around them, in one go, they cost next to nothing. Which ones they are shows by itself: all are taken for
//! steady until they are not. A value that changed once is not taken for steady again, so that there is an end to learning.

use std::fmt;

use super::fit::Fit;
use super::outline::{Piece, Then, value};
use super::plain::is_plain_of_len;
use crate::prefix::Prefix;

/// The longest value that may be steady. Longer ones are bodies and descriptions, and would be kept for nothing.
const MAX_VALUE: usize = 64;

/// An outline's texts but for the values that change.
#[derive(Clone)]
pub(super) struct Steady {
    /// The stretches, end to end.
    text: Box<[u8]>,
    stretches: Vec<Stretch>,
    /// Where each piece begins, in bytes behind where its stretch begins.
    offsets: Vec<usize>,
    /// Whether what comes behind each piece changes.
    changes: Vec<bool>,
}

/// Pieces with steady values between them.
#[derive(Clone)]
pub(super) struct Stretch {
    /// It, unless it is very long.
    lead: Prefix,
    /// Where it begins and ends in all of the text.
    from: usize,
    end: usize,
    /// How many pieces there are up to its end.
    pieces: usize,
    /// What comes behind it, which changes.
    then: Then,
    /// How long that was the last time.
    len: usize,
}

/// Values of messages, which are nobody's business, are not shown.
impl fmt::Debug for Steady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steady").field("stretches", &self.stretches.len()).finish_non_exhaustive()
    }
}

impl Stretch {
    /// The length of the value behind the stretch, which begins there.
    #[inline(always)]
    fn value(&mut self, text: &[u8], at: usize, fit: &mut Fit) -> Option<usize> {
        if self.then == Then::String && is_plain_of_len(&text[at..], self.len) {
            return Some(self.len);
        }
        self.len = value(self.then, text, at, self.pieces - 1, fit)?;
        Some(self.len)
    }
}

/// Where a stretch ends that is too long for a [`Prefix`], or too near the end of a text. `all` are all stretches.
#[cold]
fn any_end_in(all: &[u8], stretch: &Stretch, text: &[u8], at: usize) -> Option<usize> {
    let stretch = &all[stretch.from..stretch.end];
    text[at..].starts_with(stretch).then_some(at + stretch.len())
}

impl Steady {
    /// For an outline with these pieces, which begin there in a text; `other` are those before strings that are not plain.
    pub(super) fn of(text: &[u8], pieces: &[Piece], starts: &[usize], other: &[usize]) -> Self {
        let changes = (0..pieces.len()).map(|i| {
            let Some(next) = pieces.get(i + 1) else { return true };
            let value = starts[i + 1] - starts[i] - pieces[i].len();
            // A number that nothing follows ends where no digit does.
            value > MAX_VALUE || next.len() == 0 || other.contains(&i)
        });
        let changes = changes.collect();
        Self::stretched(text, pieces, starts, changes)
    }

    fn stretched(text: &[u8], pieces: &[Piece], starts: &[usize], changes: Vec<bool>) -> Self {
        let (mut all, mut stretches, mut offsets) = (Vec::new(), Vec::new(), Vec::with_capacity(pieces.len()));
        let mut first = 0;
        for last in (0..pieces.len()).filter(|i| changes[*i]) {
            let begin = starts[first];
            let stretch = &text[begin..starts[last] + pieces[last].len()];
            let from = all.len();
            all.extend_from_slice(stretch);
            offsets.extend(starts[first..=last].iter().map(|start| start - begin));
            let lead = Prefix::new(stretch).unwrap_or_else(Prefix::never);
            stretches.push(Stretch { lead, from, end: all.len(), pieces: last + 1, then: pieces[last].then, len: 0 });
            first = last + 1;
        }
        Self { text: all.into(), stretches, offsets, changes }
    }

    /// Whether the stretches fit a text from the one on that the piece behind so many is in. `Err` where one does not that may
    /// differ only in a value that was steady so far: its first piece, and where that begins.
    #[inline(always)]
    pub(super) fn fits(&mut self, pieces: usize, text: &[u8], fit: &mut Fit) -> Result<bool, (usize, usize)> {
        let (before, mut first) = self.before(pieces);
        let mut at = fit.cut(first, self.offsets.len());
        for stretch in &mut self.stretches[before..] {
            let end = stretch.lead.end_in(text, at).or_else(|| any_end_in(&self.text, stretch, text, at));
            let Some(end) = end else { return Err((first, at)) };
            fit.note(first, at, &self.offsets[first..stretch.pieces]);
            first = stretch.pieces;
            let Some(len) = stretch.value(text, end, fit) else { return Ok(false) };
            at = end + len;
        }
        Ok(true)
    }

    /// How many stretches end with or before so many pieces, and how many pieces they have.
    #[inline(always)]
    fn before(&self, pieces: usize) -> (usize, usize) {
        if pieces == 0 {
            return (0, 0);
        }
        let stretches = self.stretches.partition_point(|stretch| stretch.pieces <= pieces);
        (stretches, stretches.checked_sub(1).map_or(0, |last| self.stretches[last].pieces))
    }

    /// Learns which values have changed from a text that the pieces fit, though a stretch did not.
    pub(super) fn learn(&mut self, text: &[u8], pieces: &[Piece], fit: &Fit) {
        let (mut first, starts) = (0, fit.starts());
        for stretch in &self.stretches {
            for i in first..stretch.pieces - 1 {
                let len = pieces[i].len();
                let kept = &self.text[stretch.from + self.offsets[i] + len..stretch.from + self.offsets[i + 1]];
                self.changes[i] = *kept != text[starts[i] + len..starts[i + 1]];
            }
            first = stretch.pieces;
        }
        *self = Self::stretched(text, pieces, starts, std::mem::take(&mut self.changes));
    }

    /// The stretches.
    #[cfg(test)]
    pub(super) fn stretches(&self) -> Vec<&str> {
        let text = |stretch: &Stretch| std::str::from_utf8(&self.text[stretch.from..stretch.end]).expect("ASCII");
        self.stretches.iter().map(text).collect()
    }
}
