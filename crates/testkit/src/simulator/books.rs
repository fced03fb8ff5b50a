//! What the outside world knows: what was sent, what is deleted, what is durable, what is shown.

use std::collections::{BTreeMap, BTreeSet};

use headwater_core::{CheckpointId, MessageKey};

use super::data::{Content, Wish};
use super::letters::Letter;

/// The books of one queue and the sinks it feeds. Rows of message number `n` read `m<n>-0`, `m<n>-1` and so on.
///
/// Dead letters are rows too: those of one more sink.
#[derive(Debug)]
pub struct Books {
    messages: Vec<Sent>,
    /// Where dead letters are, and what is known of them.
    letters: Option<Letters>,
    numbers: BTreeMap<MessageKey, usize>,
    committed: BTreeSet<MessageKey>,
    /// The newest durable checkpoint: its ids, and what its sinks have not committed yet.
    durable: Option<(CheckpointId, BTreeSet<MessageKey>)>,
    owed: BTreeSet<(String, CheckpointId)>,
    /// The newest checkpoint of which a sink shows output.
    newest_shown: Option<CheckpointId>,
    shown: Vec<Shown>,
}

#[derive(Debug)]
struct Sent {
    id: String,
    content: Content,
    deleted: bool,
    /// How often the consumer has given it back.
    returned: u8,
}

/// What is known of dead letters.
#[derive(Debug)]
struct Letters {
    /// The number of the sink that they are.
    sink: usize,
    /// In files, each once; else in a queue, each at least once.
    once: bool,
    /// Messages that went there unread.
    unread: BTreeSet<usize>,
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

/// What stands for a message's dead letter.
fn letter(message: usize) -> String {
    format!("letter of m{message}")
}

impl Books {
    /// Empty books for so many sinks.
    #[must_use]
    pub fn new(sinks: usize) -> Self {
        Self {
            messages: Vec::new(),
            letters: None,
            numbers: BTreeMap::new(),
            committed: BTreeSet::new(),
            durable: None,
            owed: BTreeSet::new(),
            newest_shown: None,
            shown: (0..sinks).map(|_| Shown::default()).collect(),
        }
    }

    /// The same, with a place for dead letters: in files (`once`), or in a queue.
    #[must_use]
    pub fn with_letters(mut self, once: bool) -> Self {
        self.letters = Some(Letters { sink: self.shown.len(), once, unread: BTreeSet::new() });
        self.shown.push(Shown::default());
        self
    }

    /// The number that the next message gets.
    #[must_use]
    pub fn next_number(&self) -> usize {
        self.messages.len()
    }

    /// A message was sent, with so many rows.
    pub fn sent(&mut self, id: &str, rows: u32) {
        self.sent_with(id, Content::rows(self.messages.len(), rows));
    }

    /// A message was sent that may be bad, or unwanted.
    pub(crate) fn sent_with(&mut self, id: &str, content: Content) {
        self.numbers.insert(MessageKey::of(id), self.messages.len());
        self.messages.push(Sent { id: id.to_owned(), content, deleted: false, returned: 0 });
    }

    pub(crate) fn content(&self, number: usize) -> &Content {
        &self.messages[number].content
    }

    /// What the consumer does with a message that is handed out to it now.
    pub(crate) fn wish(&mut self, key: MessageKey) -> Wish {
        let Some(sent) = self.numbers.get(&key).and_then(|number| self.messages.get_mut(*number)) else {
            return Wish::Keep;
        };
        match sent.content.wish {
            Wish::GiveBack { times, .. } if sent.returned == times => Wish::Keep,
            wish => {
                sent.returned += u8::from(matches!(wish, Wish::GiveBack { .. }));
                wish
            }
        }
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

    /// The newest durable checkpoint.
    #[must_use]
    pub fn newest_durable(&self) -> Option<CheckpointId> {
        self.durable.as_ref().map(|(id, _)| *id)
    }

    /// The newest checkpoint of which a sink has committed output.
    #[must_use]
    pub const fn newest_shown(&self) -> Option<CheckpointId> {
        self.newest_shown
    }

    /// A sink has committed its output of a checkpoint.
    pub fn sink_committed(&mut self, sink: &str, id: CheckpointId) {
        self.owed.remove(&(sink.to_owned(), id));
        self.newest_shown = self.newest_shown.max(Some(id));
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

    /// Whether sink number `sink` is that of the dead letters.
    #[must_use]
    pub fn is_letters(&self, sink: usize) -> bool {
        self.letters.as_ref().is_some_and(|letters| letters.sink == sink)
    }

    /// Whether sink number `sink` shows a file of this name.
    pub(crate) fn shows(&self, sink: usize, name: &str) -> bool {
        self.shown[sink].files.contains(name)
    }

    /// What stands for a letter.
    pub(crate) fn letter_of(&self, found: &Letter) -> String {
        letter(self.number(found.key()).unwrap_or(usize::MAX))
    }

    /// What stands for a letter that is shown, or has arrived.
    pub(crate) fn letter(&mut self, shown: &Letter) -> String {
        let number = self.number(shown.key());
        if let (Some(letters), Some(number), true) = (&mut self.letters, number, shown.is_unread()) {
            letters.unread.insert(number);
        }
        self.letter_of(shown)
    }

    /// A letter has arrived in its queue, perhaps not for the first time.
    pub(crate) fn letter_arrived(&mut self, arrived: &Letter) {
        let text = self.letter(arrived);
        if let Some(letters) = &self.letters {
            self.shown[letters.sink].rows.insert(text, "the queue".into());
        }
    }

    /// A message that went to the dead letters unread, and of which a row is shown all the same.
    #[must_use]
    pub fn read_and_unread(&self) -> Option<String> {
        let letters = self.letters.as_ref()?;
        let rows = letters.unread.iter().flat_map(|number| {
            let content = self.messages.get(*number).map_or(0, |sent| sent.content.rows);
            (0..content).map(|n| row(*number, n))
        });
        let mut rows = rows.filter(|row| self.shown[..letters.sink].iter().any(|shown| shown.rows.contains_key(row)));
        rows.next()
    }

    /// Whether a message's dead letter is missing. One that is unread, or to be so, has one or its rows.
    #[must_use]
    pub fn lacks_letter(&self, key: MessageKey) -> bool {
        let (Some(letters), Some(number)) = (&self.letters, self.number(key)) else { return false };
        let is_there = || self.shown[letters.sink].rows.contains_key(&letter(number));
        (self.messages[number].content.has_letter() || letters.unread.contains(&number)) && !is_there()
    }

    /// Forgets what is shown: after a loss of power it is looked up anew.
    pub fn blink(&mut self) {
        let files =
            self.letters.as_ref().filter(|letters| !letters.once).map_or(self.shown.len(), |letters| letters.sink);
        self.shown[..files].iter_mut().for_each(|shown| *shown = Shown::default());
        if let Some(letters) = self.letters.as_mut().filter(|letters| letters.once) {
            letters.unread.clear();
        }
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
        let wanted = self.wanted(message);
        let (sink, row) = wanted.into_iter().find(|(sink, row)| !self.shown[*sink].rows.contains_key(row))?;
        Some(format!("row {row} (message {}) of sink {sink}", self.messages[message].id))
    }

    /// What is to be shown of a message, by sink.
    fn wanted(&self, message: usize) -> Vec<(usize, String)> {
        let content = &self.messages[message].content;
        let letters = self.letters.as_ref();
        let is_unread = letters.is_some_and(|letters| letters.unread.contains(&message));
        let sinks = letters.map_or(self.shown.len(), |letters| letters.sink);
        let rows = if is_unread { 0 } else { content.rows };
        let rows = (0..rows).flat_map(|n| (0..sinks).map(move |sink| (sink, row(message, n))));
        let letter = letters.filter(|_| is_unread || content.has_letter()).map(|l| (l.sink, letter(message)));
        rows.chain(letter).collect()
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
            numbers.is_some_and(|(m, r)| self.messages.get(m).is_some_and(|sent| r < sent.content.rows))
        };
        // Letters are looked at one by one when they are shown.
        let sinks = self.letters.as_ref().map_or(self.shown.len(), |letters| letters.sink);
        self.shown[..sinks].iter().flat_map(|shown| shown.rows.keys()).find(|row| !known(row)).cloned()
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
        let is_staged = |sink: usize, row: &String| staged.get(sink).is_some_and(|staged| staged.contains(row));
        let is_safe = |(sink, row): &(usize, String)| self.shown[*sink].rows.contains_key(row) || is_staged(*sink, row);
        // What went to the dead letters unread has nothing but its letter.
        let has_letter = |number| self.letters.as_ref().is_some_and(|letters| is_staged(letters.sink, &letter(number)));
        let missing = self.deleted().filter(|number| !self.wanted(*number).iter().all(is_safe) && !has_letter(*number));
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
