//! Fresh messages that wait for the consumer to decode them, and what their bodies take.

use std::collections::VecDeque;

use crate::config::SourceConfig;
use crate::state::Inbound;

/// Batches' worth of bodies with which nothing more is received. 2: one is being decoded, and the next one is there. What waits
/// in the queue has no lease that runs, and takes no memory.
const BATCHES: usize = 2;

/// What waits, oldest first.
#[derive(Debug)]
pub(crate) struct Inbox {
    messages: VecDeque<Inbound>,
    bytes: usize,
    /// With so many bytes it is full.
    enough: usize,
}

impl Inbox {
    /// With a log it is never full: what is received is on its way to the disk, whatever the consumer does.
    pub(crate) fn new(config: &SourceConfig) -> Self {
        let enough = match config.log {
            Some(_) => usize::MAX,
            None => config.batch_bytes.max(1).saturating_mul(BATCHES),
        };
        Self { messages: VecDeque::new(), bytes: 0, enough }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether it has so much that pollers should wait. Answers that are on their way find room all the same.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.enough
    }

    /// Moves all of these behind what is there.
    pub(crate) fn append(&mut self, messages: &mut VecDeque<Inbound>) {
        self.bytes += messages.iter().map(|inbound| inbound.body.len()).sum::<usize>();
        self.messages.append(messages);
    }

    /// Moves everything to `room`, which is empty. Says whether it was [full](Self::is_full).
    pub(crate) fn take(&mut self, room: &mut VecDeque<Inbound>) -> bool {
        let was_full = self.is_full();
        std::mem::swap(&mut self.messages, room);
        self.bytes = 0;
        was_full
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}
