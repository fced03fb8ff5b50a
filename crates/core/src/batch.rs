//! What a source hands out: rows, and which message each row came from.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use headwater_formats::EnvelopeFields;
use headwater_ledger::{Handle, MessageKey, ServerMs, SharedStr};

use crate::clock::WallMs;
use crate::queue::{Message, Property};

/// Rows of one or more whole messages. All rows of a message are in one batch, in their order.
#[derive(Clone, Debug)]
pub struct Batch {
    records: RecordBatch,
    messages: Arc<Vec<MessageRows>>,
}

/// One message of a batch and the rows that came from it (possibly none).
#[derive(Clone, Debug)]
pub struct MessageRows {
    /// The message. To keep it beyond the batch without a copy: [`Batch::message`].
    pub meta: MessageMeta,
    /// Its rows in the batch.
    pub rows: Range<usize>,
}

/// What is known of one message of a batch, shared with the batch: cheap to clone, and reads as a [`MessageMeta`].
///
/// It keeps what is known of the batch's other messages too (some 200 bytes each), but none of the rows. What is to be kept for
/// long after the batch should be a clone of the [`MessageMeta`] itself.
#[derive(Clone)]
pub struct MessageRef {
    messages: Arc<Vec<MessageRows>>,
    at: usize,
}

impl Deref for MessageRef {
    type Target = MessageMeta;
    fn deref(&self) -> &MessageMeta {
        &self.messages[self.at].meta
    }
}

impl PartialEq for MessageRef {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for MessageRef {}

impl fmt::Debug for MessageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// What is known of a message besides its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageMeta {
    /// The id it keeps over redeliveries.
    pub id: SharedStr,
    /// The hash of the id that the ledger knows it by.
    pub key: MessageKey,
    /// The name of its queue.
    pub queue: Arc<str>,
    /// How often it had been delivered when its rows were made.
    pub dequeue_count: u32,
    /// When the queue took it.
    pub enqueued: Option<ServerMs>,
    /// When it was first delivered.
    pub first_dequeued: Option<ServerMs>,
    /// When this process received it, by its own clock.
    pub received: WallMs,
    /// The queue's priority.
    pub priority: Option<u8>,
    /// The message group of an ordered queue.
    pub group: Option<Arc<str>>,
    /// The sender's properties.
    pub properties: Vec<Property>,
    /// What the envelope around the message said, if it came in one.
    pub envelope: Option<Box<EnvelopeFields>>,
}

impl MessageMeta {
    /// Takes over what a delivery says.
    #[must_use]
    pub fn of(message: &Message, queue: &Arc<str>, received: WallMs) -> Self {
        message.clone().into_parts(MessageKey::of(&message.id), queue, received).1
    }

    /// The same, to be kept after its batch is gone: without what it shares with other messages.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { id: self.id.detached(), ..self.clone() }
    }
}

impl Message {
    /// Takes a delivery apart without copying: what deletes it, what is known of the message, and its body. `key` is the hash of
    /// its id, which whoever asks for this has computed already.
    #[inline]
    #[must_use]
    pub fn into_parts(self, key: MessageKey, queue: &Arc<str>, received: WallMs) -> (Handle, MessageMeta, Bytes) {
        let meta = MessageMeta {
            id: self.id,
            key,
            queue: Arc::clone(queue),
            dequeue_count: self.dequeue_count,
            enqueued: self.enqueued,
            first_dequeued: self.first_dequeued,
            received,
            priority: self.priority,
            group: self.group,
            properties: self.properties,
            envelope: None,
        };
        (self.handle, meta, self.body)
    }
}

impl Batch {
    /// A batch of rows and the messages they came from.
    ///
    /// # Panics
    /// In debug builds, when the messages' rows are not exactly the batch's rows, in order.
    #[must_use]
    pub fn new(records: RecordBatch, messages: Vec<MessageRows>) -> Self {
        debug_assert!(
            messages.iter().try_fold(0, |at, m| (m.rows.start == at).then_some(m.rows.end)) == Some(records.num_rows()),
            "the rows of the messages do not cover the batch"
        );
        Self { records, messages: Arc::new(messages) }
    }

    /// The rows.
    #[must_use]
    pub const fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// The rows, by value.
    #[must_use]
    pub fn into_records(self) -> RecordBatch {
        self.records
    }

    /// The messages, in the order of their rows.
    #[must_use]
    pub fn messages(&self) -> &[MessageRows] {
        &self.messages
    }

    /// A message by its place in [`messages`](Self::messages), shared with the batch; `None` past the last.
    #[must_use]
    pub fn message(&self, at: usize) -> Option<MessageRef> {
        (at < self.messages.len()).then(|| MessageRef { messages: Arc::clone(&self.messages), at })
    }

    /// The message a row came from; `None` past the last row.
    #[must_use]
    pub fn message_of(&self, row: usize) -> Option<&MessageMeta> {
        let at = self.messages.partition_point(|message| message.rows.end <= row);
        self.messages.get(at).map(|message| &message.meta)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int32Array};

    use super::*;
    use crate::queue::Handle;

    #[test]
    fn a_row_finds_its_message_past_messages_without_rows() {
        let meta = |id: &str| {
            let message = Message::new(id, Handle::new("h"), Bytes::new());
            MessageMeta::of(&message, &Arc::from("q"), WallMs(0))
        };
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let records = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let rows = [("m1", 0..2), ("none", 2..2), ("m2", 2..3)];
        let rows = rows.into_iter().map(|(id, rows)| MessageRows { meta: meta(id), rows }).collect();
        let batch = Batch::new(records, rows);
        let ids: Vec<_> = (0..4).map(|row| batch.message_of(row).map(|m| m.id.to_string())).collect();
        assert_eq!(ids, [Some("m1".into()), Some("m1".into()), Some("m2".into()), None]);
        let none = batch.message(1).unwrap();
        assert_eq!((&*none.id, &*none.detached().id, batch.message(3)), ("none", "none", None));
    }
}
