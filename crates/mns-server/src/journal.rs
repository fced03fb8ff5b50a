//! What was asked and what came of it, for tests to look at.

use std::collections::{BTreeMap, VecDeque};

use headwater_mns_proto::{ErrorCode, Operation};

use crate::state::{MessageId, Millis};

/// Entries kept; the oldest go first. Enough for any test to look back over, a few MB at most.
const MAX_ENTRIES: usize = 10_000;
/// Ids of deleted messages kept per queue: 16 MB, and more than the largest test sends.
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
    deleted: BTreeMap<String, VecDeque<MessageId>>,
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

    /// The ids deleted from `queue` by request, in order: at most the latest million.
    #[must_use]
    pub fn deleted(&self, queue: &str) -> Vec<String> {
        self.deleted.get(queue).into_iter().flatten().map(ToString::to_string).collect()
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
        if !self.deleted.contains_key(queue) {
            self.deleted.insert(queue.to_owned(), VecDeque::new());
        }
        if let Some(ids) = self.deleted.get_mut(queue) {
            if ids.len() == MAX_DELETED {
                ids.pop_front();
            }
            ids.push_back(id);
        }
    }
}
