//! What a source hands out: rows, and which message each row came from.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use headwater_formats::EnvelopeFields;
use headwater_ledger::{MessageKey, ServerMs};

use crate::clock::WallMs;
use crate::queue::Property;

/// Rows of one or more whole messages. All rows of a message are in one batch, in their order.
#[derive(Clone, Debug)]
pub struct Batch {
    records: RecordBatch,
    messages: Arc<[MessageRows]>,
}

/// One message of a batch and the rows that came from it (possibly none).
#[derive(Clone, Debug)]
pub struct MessageRows {
    /// The message.
    pub meta: Arc<MessageMeta>,
    /// Its rows in the batch.
    pub rows: Range<usize>,
}

/// What is known of a message besides its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageMeta {
    /// The id it keeps over redeliveries.
    pub id: Arc<str>,
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
    pub fn of(message: &crate::queue::Message, queue: &Arc<str>, received: WallMs) -> Self {
        Self {
            id: Arc::clone(&message.id),
            key: MessageKey::of(&message.id),
            queue: Arc::clone(queue),
            dequeue_count: message.dequeue_count,
            enqueued: message.enqueued,
            first_dequeued: message.first_dequeued,
            received,
            priority: message.priority,
            group: message.group.clone(),
            properties: message.properties.clone(),
            envelope: None,
        }
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
        Self { records, messages: messages.into() }
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

    /// The message a row came from; `None` past the last row.
    #[must_use]
    pub fn message_of(&self, row: usize) -> Option<&MessageMeta> {
        let at = self.messages.partition_point(|message| message.rows.end <= row);
        self.messages.get(at).map(|message| &*message.meta)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int32Array};

    use super::*;
    use crate::queue::{Handle, Message};

    #[test]
    fn a_row_finds_its_message_past_messages_without_rows() {
        let meta = |id: &str| {
            let message = Message::new(id, Handle::new("h"), bytes::Bytes::new());
            Arc::new(MessageMeta::of(&message, &Arc::from("q"), WallMs(0)))
        };
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let records = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let rows = [("m1", 0..2), ("none", 2..2), ("m2", 2..3)];
        let rows = rows.into_iter().map(|(id, rows)| MessageRows { meta: meta(id), rows }).collect();
        let batch = Batch::new(records, rows);
        let ids: Vec<_> = (0..4).map(|row| batch.message_of(row).map(|m| m.id.to_string())).collect();
        assert_eq!(ids, [Some("m1".into()), Some("m1".into()), Some("m2".into()), None]);
    }
}
