//! What was asked and what came of it, for tests to look at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headwater_mns_proto::{ErrorCode, Operation};

use crate::state::{MessageId, Millis};

/// Entries kept; the oldest go first. Enough for any test to look back over, a few MB at most.
const MAX_ENTRIES: usize = 10_000;
/// Ids of deleted messages kept, over all queues; the oldest go first. 32 MB, and more than the largest test deletes.
const MAX_DELETED: usize = 1_000_000;

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When it was answered.
    pub at: Millis,
    /// What was asked; absent where that could not be read, or the caller could not be known.
    pub operation: Option<Operation>,
    /// The queue it was about.
    pub queue: Option<String>,
    /// The status of the answer; 0 where the request was dropped before its effect.
    pub status: u16,
    /// The code of an error answer.
    pub code: Option<ErrorCode>,
    /// How many messages were sent, delivered, shown or deleted by it.
    pub messages: usize,
    /// Whether the answer was lost on purpose.
    pub lost: bool,
}

/// What was asked of the server, and what came of it.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    requests: BTreeMap<Operation, u64>,
    messages: BTreeMap<Operation, u64>,
    entries: VecDeque<Entry>,
    deleted: VecDeque<(Arc<str>, MessageId)>,
}

impl Journal {
    /// How many requests for `operation` were answered (or dropped) so far. A poll counts when it ends.
    #[must_use]
    pub fn requests(&self, operation: Operation) -> u64 {
        self.requests.get(&operation).copied().unwrap_or(0)
    }

    /// How many messages requests for `operation` sent, delivered, showed or deleted so far.
    #[must_use]
    pub fn messages(&self, operation: Operation) -> u64 {
        self.messages.get(&operation).copied().unwrap_or(0)
    }

    /// The latest 10,000 requests, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The ids deleted from `queue` by request, in order, as far as they are among the latest million of all queues.
    #[must_use]
    pub fn deleted(&self, queue: &str) -> Vec<String> {
        self.deleted.iter().filter(|(from, _)| **from == *queue).map(|(_, id)| id.to_string()).collect()
    }

    pub(crate) fn record(&mut self, entry: Entry) {
        if let Some(operation) = entry.operation {
            *self.requests.entry(operation).or_default() += 1;
            *self.messages.entry(operation).or_default() += entry.messages as u64;
        }
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn record_delete(&mut self, queue: &str, id: MessageId) {
        if self.deleted.len() == MAX_DELETED {
            self.deleted.pop_front();
        }
        // Deletes of one queue mostly follow each other and can share its name.
        let name = match self.deleted.back() {
            Some((last, _)) if **last == *queue => Arc::clone(last),
            _ => Arc::from(queue),
        };
        self.deleted.push_back((name, id));
    }
}
