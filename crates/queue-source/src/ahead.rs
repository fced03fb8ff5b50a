//! Decoding where a body was just read: pollers decode what they bring, as long as there is a decoder for them.
//!
//! A body that the core has in its caches is decoded in a fraction of the time that it takes to have it brought from another
//! core's; and with several pollers, several cores decode. A decoder is lent to one poller at a time and keeps its rows until the
//! consumer takes them, so that a batch grows answer by answer. Where the consumer does not keep up, all decoders have their
//! batches full: then messages wait in the inbox as they came, under their permits, and the consumer decodes them itself.
//!
//! With one poller, rows are in the order of its answers: what is decoded here is older than all that is in the inbox, since
//! nothing is lent while something is in there.

use std::collections::VecDeque;

use headwater_ledger::Mono;

use crate::answer::{Answer, Screened};
use crate::config::SourceConfig;
use crate::decode::{Decoded, Decoding, Keep};
use crate::gather::Tell;
use crate::state::{Shared, State};

/// Batches on their way to the consumer, and the decoders that nobody uses at the moment.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Full batches, oldest first.
    full: VecDeque<Decoded>,
    /// Decoders with some rows, oldest first.
    begun: VecDeque<Decoding>,
    /// The last one is used next: what it works with may still be in a cache.
    idle: Vec<Decoding>,
    /// Those of pollers that are decoding.
    lent: usize,
    max: usize,
    keep: Keep,
}

/// What the consumer takes.
pub(crate) enum Taken {
    Full(Decoded),
    /// To be finished, and brought back as [idle](Ahead::rest).
    Begun(Decoding),
}

impl Ahead {
    /// No decoder is made before it is needed: where pollers never run at the same time, one or two are.
    pub(crate) fn new(config: &SourceConfig, keep: Keep) -> Self {
        let max = config.ahead();
        Self { full: VecDeque::new(), begun: VecDeque::new(), idle: Vec::new(), lent: 0, max, keep }
    }

    /// A decoder for messages that were just read, to be [brought back](Self::bring_back).
    pub(crate) fn lend(&mut self, config: &SourceConfig) -> Option<Decoding> {
        let waiting = self.full.len() + self.begun.len() + self.lent;
        let decoding = match self.begun.pop_back() {
            Some(decoding) => decoding,
            None if waiting >= self.max => return None,
            None => self.idle.pop().or_else(|| Decoding::new(config, self.keep).ok())?,
        };
        self.lent += 1;
        Some(decoding)
    }

    /// Takes back what was lent, with the batch that it has made full.
    pub(crate) fn bring_back(&mut self, decoding: Decoding, full: Option<Decoded>) {
        self.lent -= 1;
        match full {
            Some(full) => {
                self.full.push_back(full);
                self.idle.push(decoding);
            }
            None => self.begun.push_back(decoding),
        }
    }

    /// Takes back a decoder without rows.
    pub(crate) fn rest(&mut self, decoding: Decoding) {
        self.idle.push(decoding);
    }

    pub(crate) fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Whether [`take`](Self::take) would give something.
    pub(crate) fn has_some(&self) -> bool {
        self.has_full() || !self.begun.is_empty()
    }

    /// The oldest there is.
    pub(crate) fn take(&mut self) -> Option<Taken> {
        let full = self.full.pop_front().map(Taken::Full);
        full.or_else(|| self.begun.pop_front().map(Taken::Begun))
    }

    /// Drops what is decoded and not handed out.
    pub(crate) fn clear(&mut self) {
        self.full.clear();
        self.begun.clear();
    }
}

/// Decides who decodes what is fresh of an answer: its poller, with this decoder, or the consumer, who may be to be told.
pub(crate) fn place(
    shared: &Shared,
    state: &mut State,
    answer: &mut Answer,
    screened: &Screened,
) -> (Option<Decoding>, Tell) {
    match lend(shared, state, answer) {
        None => (None, pass_on(shared, state, answer, screened)),
        lent => (lent, Tell::Nobody),
    }
}

/// A decoder for what is fresh of an answer, if there is one and nothing older waits for the consumer.
fn lend(shared: &Shared, state: &mut State, answer: &Answer) -> Option<Decoding> {
    if answer.inbound.is_empty() || !state.inbox.is_empty() {
        return None;
    }
    state.ahead.lend(&shared.config)
}

/// Decodes an answer while it is at hand. For what there is no decoder is left for the consumer.
pub(crate) fn decode(shared: &Shared, answer: &mut Answer, decoding: Decoding, screened: &Screened, read: Mono) {
    let mut next = Some(decoding);
    while let Some(mut decoding) = next {
        let blame = Blame(shared);
        decoding.take(&shared.config, &shared.meter, &mut answer.inbound);
        let full = if decoding.has_room(&shared.config) { None } else { Some(decoding.finish()) };
        drop(blame);
        let full = match full.transpose() {
            Ok(full) => full,
            Err(error) => {
                // Verdicts of another answer do not belong to what is left of this one.
                answer.inbound.clear();
                return shared.fail(error);
            }
        };
        let is_full = full.is_some();
        let mut guard = shared.lock();
        let state = &mut *guard;
        state.ahead.bring_back(decoding, full);
        next = lend(shared, state, answer);
        let tell = if next.is_none() { pass_on(shared, state, answer, screened) } else { Tell::Nobody };
        if next.is_none() && !state.holds_back() {
            shared.meter.gauges(state, read);
        }
        drop(guard);
        if tell == Tell::Gatherer {
            shared.gatherer.notify_one();
        }
        if tell == Tell::Consumer || is_full {
            shared.consumer.notify_one();
        }
    }
}

/// Has the consumer decode what is left of an answer, when it is told to.
fn pass_on(shared: &Shared, state: &mut State, answer: &mut Answer, screened: &Screened) -> Tell {
    state.inbox.append(&mut answer.inbound);
    state.gather(&shared.config, screened.inbound, screened.inbound_bytes)
}

/// Says that it was a decoder that panicked: it is not ours.
pub(crate) struct Blame<'a>(pub(crate) &'a Shared);

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The message it panicked at is still held by the ledger: a drain releases it.
            self.0.panicked("the decoder");
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_formats::{Format, RowType};

    use super::*;

    /// Pollers in several threads decode at the same time.
    #[test]
    fn what_is_lent_counts_among_the_batches() {
        let columns: RowType = "a STRING".parse().expect("a row type");
        let mut config = SourceConfig::new("t", Format::json().factory(&columns).expect("a decoder"));
        config.decode_ahead = Some(2);
        let mut ahead = Ahead::new(&config, Keep { bodies: false, places: false });
        let [Some(one), Some(mut other)] = [ahead.lend(&config), ahead.lend(&config)] else { panic!("two of two") };
        assert!(ahead.lend(&config).is_none(), "both are lent");
        ahead.bring_back(one, None);
        let one = ahead.lend(&config).expect("it has room");
        let full = other.finish().expect("a batch");
        ahead.bring_back(other, Some(full));
        assert!(ahead.lend(&config).is_none(), "one is lent, one is full");
        ahead.bring_back(one, None);
        assert!(matches!(ahead.take(), Some(Taken::Full(_))) && matches!(ahead.take(), Some(Taken::Begun(_))));
        assert!(!ahead.has_some());
        assert!(ahead.lend(&config).is_some());
    }
}
