//! What the outside world knows: what was sent, what is deleted, what is durable, what is shown.

use std::collections::{BTreeMap, BTreeSet};

use headwater_core::{CheckpointId, MessageKey};

/// The books of one queue and the sinks it feeds. Rows of message number `n` read `m<n>-0`, `m<n>-1` and so on.
#[derive(Debug)]
pub struct Books {
    messages: Vec<Sent>,
    numbers: BTreeMap<MessageKey, usize>,
    committed: BTreeSet<MessageKey>,
    /// The newest durable checkpoint: its ids, and what its sinks have not committed yet.
    durable: Option<(CheckpointId, BTreeSet<MessageKey>)>,
    owed: BTreeSet<(String, CheckpointId)>,
    shown: Vec<Shown>,
}

#[derive(Debug)]
struct Sent {
    id: String,
    rows: u32,
    deleted: bool,
}

/// One sink: rows by the file they are in, and the first row seen twice.
#[derive(Debug, Default)]
struct Shown {
    files: BTreeSet<String>,
    rows: BTreeMap<String, String>,
    twice: Option<(String, String)>,
}

/// The text of one row.
pub(crate) fn row(message: usize, row: u32) -> String {
    format!("m{message}-{row}")
}

impl Books {
    /// Empty books for so many sinks.
    #[must_use]
    pub fn new(sinks: usize) -> Self {
        Self {
            messages: Vec::new(),
            numbers: BTreeMap::new(),
            committed: BTreeSet::new(),
            durable: None,
            owed: BTreeSet::new(),
            shown: (0..sinks).map(|_| Shown::default()).collect(),
        }
    }

    /// The number that the next message gets.
    #[must_use]
    pub fn next_number(&self) -> usize {
        self.messages.len()
    }

    /// A message was sent, with so many rows.
    pub fn sent(&mut self, id: &str, rows: u32) {
        self.numbers.insert(MessageKey::of(id), self.messages.len());
        self.messages.push(Sent { id: id.to_owned(), rows, deleted: false });
    }

    /// The queue deleted a message; its number, if it is known.
    pub fn deleted_now(&mut self, key: MessageKey) -> Option<usize> {
        let number = *self.numbers.get(&key)?;
        self.messages[number].deleted = true;
        Some(number)
    }

    /// A checkpoint is durable: its ids, and which sinks have staged output of which checkpoints under it.
    pub fn durable(
        &mut self,
        id: CheckpointId,
        keys: BTreeSet<MessageKey>,
        owed: impl IntoIterator<Item = (String, CheckpointId)>,
    ) {
        self.durable = Some((id, keys));
        self.owed = owed.into_iter().collect();
        self.settle();
    }

    /// A sink has committed its output of a checkpoint.
    pub fn sink_committed(&mut self, sink: &str, id: CheckpointId) {
        self.owed.remove(&(sink.to_owned(), id));
        self.settle();
    }

    fn settle(&mut self) {
        if self.owed.is_empty()
            && let Some((_, keys)) = &mut self.durable
        {
            self.committed.append(keys);
        }
    }

    /// Sink number `sink` shows a file. A file that is known already is not read again.
    pub fn file(&mut self, sink: usize, name: &str, rows: impl FnOnce() -> Vec<String>) {
        let shown = &mut self.shown[sink];
        if !shown.files.insert(name.to_owned()) {
            return;
        }
        for row in rows() {
            let text = row.clone();
            if let Some(other) = shown.rows.insert(row, name.to_owned()) {
                shown
                    .twice
                    .get_or_insert_with(|| (format!("row {text} of sink {sink}"), format!("{other} and {name}")));
            }
        }
    }

    /// A file of sink number `sink` that was shown and is not in `now`.
    #[must_use]
    pub fn gone(&self, sink: usize, now: &BTreeSet<String>) -> Option<&str> {
        self.shown[sink].files.iter().find(|file| !now.contains(*file)).map(String::as_str)
    }

    /// Forgets what is shown: after a loss of power it is looked up anew.
    pub fn blink(&mut self) {
        self.shown.iter_mut().for_each(|shown| *shown = Shown::default());
    }

    /// Whether a message's checkpoint is durable and committed.
    #[must_use]
    pub fn is_committed(&self, key: MessageKey) -> bool {
        self.committed.contains(&key)
    }

    /// The numbers of all messages.
    pub fn messages(&self) -> impl Iterator<Item = usize> + '_ {
        0..self.messages.len()
    }

    /// The numbers of the deleted messages.
    pub fn deleted(&self) -> impl Iterator<Item = usize> + '_ {
        self.messages().filter(|number| self.messages[*number].deleted)
    }

    /// A row of the message that is not shown by every sink.
    #[must_use]
    pub fn missing_row(&self, message: usize) -> Option<String> {
        let sent = &self.messages[message];
        (0..sent.rows).map(|n| row(message, n)).find_map(|row| {
            let sink = self.shown.iter().position(|shown| !shown.rows.contains_key(&row))?;
            Some(format!("row {row} (message {}) of sink {sink}", sent.id))
        })
    }

    /// The first row that is shown more than once, and where.
    #[must_use]
    pub fn shown_twice(&self) -> Option<(String, String)> {
        self.shown.iter().find_map(|shown| shown.twice.clone())
    }

    /// A row that is shown and was never sent.
    #[must_use]
    pub fn strange_row(&self) -> Option<String> {
        let known = |text: &str| {
            let parts = text.strip_prefix('m').and_then(|rest| rest.split_once('-'));
            let numbers = parts.and_then(|(m, r)| Some((m.parse::<usize>().ok()?, r.parse::<u32>().ok()?)));
            numbers.is_some_and(|(m, r)| self.messages.get(m).is_some_and(|sent| r < sent.rows))
        };
        self.shown.iter().flat_map(|shown| shown.rows.keys()).find(|row| !known(row)).cloned()
    }

    /// The number of a message.
    #[must_use]
    pub fn number(&self, key: MessageKey) -> Option<usize> {
        self.numbers.get(&key).copied()
    }

    /// The id of a message.
    #[must_use]
    pub fn id(&self, key: MessageKey) -> Option<&str> {
        self.number(key).map(|number| self.messages[number].id.as_str())
    }

    /// The deleted messages of which a row is not shown, nor staged at the sink that does not show it.
    #[must_use]
    pub fn deleted_and_missing(&self, staged: &[BTreeSet<String>]) -> Vec<MessageKey> {
        let is_safe = |row: &String| {
            let sinks = self.shown.iter().enumerate();
            let mut missing = sinks.filter(|(_, shown)| !shown.rows.contains_key(row));
            missing.all(|(sink, _)| staged.get(sink).is_some_and(|staged| staged.contains(row)))
        };
        let missing =
            self.deleted().filter(|number| !(0..self.messages[*number].rows).all(|n| is_safe(&row(*number, n))));
        missing.map(|number| MessageKey::of(&self.messages[number].id)).collect()
    }

    /// How a message is called in a report: its number and its id.
    #[must_use]
    pub fn name(&self, key: MessageKey) -> String {
        match self.numbers.get(&key) {
            Some(number) => format!("m{number} ({})", self.messages[*number].id),
            None => format!("an unknown message ({key:?})"),
        }
    }
}
