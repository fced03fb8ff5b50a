//! The messages handed out last: what may still be rejected, and where a barrier may be cut inside of a batch.
//!
//! Without a log that is the whole open epoch, whose permits bound it. With one an epoch may be hours long, so it is the last
//! few batches of it.

use std::collections::{HashSet, VecDeque};

use headwater_ledger::MessageKey;

use super::Position;

/// Batches that are remembered at most. 16: more than a consumer has in its hands between taking one and knowing of it.
const BATCHES: usize = 16;

/// A message that was handed out: where its record begins, and whether a row came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandedOut {
    pub(super) key: MessageKey,
    pub(super) start: Position,
    pub(super) has_rows: bool,
}

#[derive(Debug)]
struct Handed {
    messages: Vec<HandedOut>,
    bytes: u64,
}

/// Where a barrier is cut: before this record, and so before these messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) position: Position,
    pub(crate) later: Vec<MessageKey>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Recent {
    batches: VecDeque<Handed>,
    bytes: u64,
    bytes_max: u64,
    /// Nothing of the open epoch has been let go.
    whole: bool,
}

/// Why a barrier cannot be cut before some messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotTheLast;

impl Recent {
    /// Remembers batches whose bodies are at most so many bytes, and always the last one.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, bytes_max, whole: true }
    }

    /// A batch is handed out; the messages that are let go for it.
    pub(super) fn handed_out(&mut self, messages: Vec<HandedOut>, bytes: u64) -> Vec<MessageKey> {
        self.batches.push_back(Handed { messages, bytes });
        self.bytes += bytes;
        let mut gone = Vec::new();
        while self.batches.len() > BATCHES || (self.batches.len() > 1 && self.bytes > self.bytes_max) {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.bytes -= oldest.bytes;
            self.whole = false;
            gone.extend(oldest.messages.into_iter().map(|message| message.key));
        }
        gone
    }

    pub(super) fn contains(&self, key: MessageKey) -> bool {
        self.batches.iter().any(|batch| batch.messages.iter().any(|message| message.key == key))
    }

    /// Where a barrier has to be cut so that the messages `later` come after it; `None` if none of them is of the open epoch.
    ///
    /// Messages without rows are handed out between batches, unseen: the ones after the cut are later too.
    pub(super) fn cut(&self, later: &[MessageKey]) -> Result<Option<Cut>, NotTheLast> {
        let mut wanted: HashSet<MessageKey> = later.iter().copied().collect();
        let newest_first = self.batches.iter().rev().flat_map(|batch| batch.messages.iter().rev());
        let (mut cut, mut passed, mut ended) = (None, Vec::new(), false);
        for message in newest_first {
            passed.push(message.key);
            if !wanted.remove(&message.key) {
                ended |= message.has_rows;
            } else if ended {
                return Err(NotTheLast);
            } else {
                cut = Some((message.start, passed.len()));
            }
        }
        // What is not here is of an earlier epoch, or of a batch that was let go: then nobody can tell.
        if !wanted.is_empty() && !self.whole {
            return Err(NotTheLast);
        }
        Ok(cut.map(|(position, many)| Cut { position, later: passed.drain(..many).collect() }))
    }

    /// A barrier was cut before the messages from `cut` on.
    pub(super) fn seal(&mut self, cut: Option<Position>) {
        let kept = |position: &Position| cut.is_some_and(|cut| *position >= cut);
        for batch in &mut self.batches {
            batch.messages.retain(|message| kept(&message.start));
        }
        self.batches.retain(|batch| !batch.messages.is_empty());
        self.bytes = self.batches.iter().map(|batch| batch.bytes).sum();
        self.whole = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> MessageKey {
        MessageKey(u128::from(n))
    }

    fn batch(numbers: std::ops::Range<u64>) -> Vec<HandedOut> {
        numbers.map(|n| HandedOut { key: key(n), start: at(n), has_rows: true }).collect()
    }

    fn rowless(n: u64) -> Vec<HandedOut> {
        vec![HandedOut { key: key(n), start: at(n), has_rows: false }]
    }

    fn at(n: u64) -> Position {
        Position { segment: 1, offset: n }
    }

    /// The messages that a barrier before `later` leaves in the open epoch, newest first.
    fn cut<const N: usize>(recent: &Recent, later: [u64; N]) -> Result<Option<(u64, Vec<u64>)>, NotTheLast> {
        let cut = recent.cut(&later.map(key))?;
        Ok(cut.map(|cut| (cut.position.offset, cut.later.iter().map(|key| key.0 as u64).collect())))
    }

    #[test]
    fn a_barrier_is_cut_before_the_last_messages_only() {
        let mut recent = Recent::new(1_000);
        assert_eq!(recent.handed_out(batch(0..3), 10), []);
        recent.handed_out(batch(3..5), 10);
        assert_eq!(cut(&recent, []), Ok(None));
        assert_eq!(cut(&recent, [4]), Ok(Some((4, vec![4]))));
        assert_eq!(cut(&recent, [2, 4, 3]), Ok(Some((2, vec![4, 3, 2]))), "in any order");
        assert_eq!(cut(&recent, [3]), Err(NotTheLast), "4 comes after it");
        assert_eq!(cut(&recent, [9, 4]), Ok(Some((4, vec![4]))), "9 is of an earlier epoch");
        recent.seal(Some(at(4)));
        assert!(recent.contains(key(4)) && !recent.contains(key(3)));
        recent.seal(None);
        assert!(!recent.contains(key(4)));
    }

    #[test]
    fn messages_without_rows_go_with_those_before_them() {
        let mut recent = Recent::new(1_000);
        recent.handed_out(batch(0..2), 10);
        recent.handed_out(rowless(2), 10);
        recent.handed_out(rowless(3), 10);
        assert_eq!(cut(&recent, [1]), Ok(Some((1, vec![3, 2, 1]))));
        assert_eq!(cut(&recent, [0]), Err(NotTheLast), "1 has rows");
        assert_eq!(cut(&recent, []), Ok(None), "nobody asked for them to be later");
    }

    #[test]
    fn what_was_let_go_cannot_be_told_from_an_earlier_epoch() {
        let mut recent = Recent::new(25);
        recent.handed_out(batch(0..2), 10);
        recent.handed_out(batch(2..4), 10);
        assert_eq!(recent.handed_out(batch(4..5), 10), [key(0), key(1)], "by bytes");
        assert!(!recent.contains(key(1)) && recent.contains(key(2)));
        assert_eq!(cut(&recent, [1]), Err(NotTheLast));
        assert_eq!(cut(&recent, [4, 7]), Err(NotTheLast));
        assert_eq!(cut(&recent, [4]), Ok(Some((4, vec![4]))));
        assert_eq!(recent.handed_out(batch(5..6), 100), [2, 3, 4].map(key), "the last one always stays");
        recent.seal(None);
        assert_eq!(cut(&recent, [7]), Ok(None));
        let gone: Vec<_> = (10..30).flat_map(|n| recent.handed_out(batch(n..n + 1), 0)).collect();
        assert_eq!(gone, [10, 11, 12, 13].map(key), "by number");
    }
}
