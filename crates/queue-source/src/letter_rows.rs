//! Dead letters as rows: the columns, and filling them.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, ListArray, MapArray, RecordBatch, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, FieldRef, Fields, SchemaRef};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_core::{BadRecord, SinkError};
use headwater_formats::{Place, RowType};

use crate::letters::DeadLetter;

const COLUMNS: &str = "queue STRING, messageId STRING, dequeueCount BIGINT, enqueueTime BIGINT, firstDequeueTime BIGINT, \
    receiveTime BIGINT, priority INT, messageGroupId STRING, userProperties MAP<STRING, STRING>, job STRING, `table` STRING, \
    reason STRING, goodRows BIGINT, badRows BIGINT, errors ARRAY<ROW<`row` BIGINT, `byte` BIGINT, `line` BIGINT, \
    lineColumn BIGINT, `column` STRING, expected STRING, cause STRING>>, bodyEncoding STRING, body STRING";

/// The columns of a dead letter, as a sink of [`DeadLetterTarget`](crate::DeadLetterTarget) gets them. One row is one message.
///
/// Times are Unix milliseconds. `reason` is `undecodable`, `dequeue-count` or `rejected`; `badRows` counts what is wrong
/// with the message, `errors` says the first 16 of it, with indices from 0 and lines from 1; `goodRows` are rows that went
/// on all the same. `body` is what the queue gave, before any decoding: as it is where `bodyEncoding` is `text`, else in `base64`.
///
/// # Panics
/// Never: the columns are a constant.
#[must_use]
pub fn dead_letter_columns() -> RowType {
    COLUMNS.parse().expect("a constant that a test parses")
}

/// Makes rows of letters.
#[derive(Clone, Debug)]
pub(crate) struct LetterRows {
    schema: SchemaRef,
    job: Arc<str>,
    table: Arc<str>,
}

impl LetterRows {
    pub(crate) fn new(job: &str, table: &str) -> Self {
        Self { schema: dead_letter_columns().to_arrow(), job: Arc::from(job), table: Arc::from(table) }
    }

    /// One row for each.
    pub(crate) fn batch(&self, letters: &[DeadLetter]) -> Result<RecordBatch, SinkError> {
        let text = |of: &dyn Fn(&DeadLetter) -> Option<String>| -> ArrayRef {
            let mut builder = StringBuilder::new();
            letters.iter().for_each(|letter| builder.append_option(of(letter)));
            Arc::new(builder.finish())
        };
        let number = |of: &dyn Fn(&DeadLetter) -> Option<i64>| -> ArrayRef {
            let mut builder = Int64Builder::new();
            letters.iter().for_each(|letter| builder.append_option(of(letter)));
            Arc::new(builder.finish())
        };
        let mut priorities = Int32Builder::new();
        letters.iter().for_each(|letter| priorities.append_option(letter.meta.priority.map(i32::from)));
        let columns: Vec<ArrayRef> = vec![
            text(&|l| Some(l.meta.queue.to_string())),
            text(&|l| Some(l.meta.id.to_string())),
            number(&|l| (l.meta.dequeue_count > 0).then_some(i64::from(l.meta.dequeue_count))),
            number(&|l| l.meta.enqueued.map(|at| at.0)),
            number(&|l| l.meta.first_dequeued.map(|at| at.0)),
            number(&|l| Some(l.meta.received.0)),
            Arc::new(priorities.finish()),
            text(&|l| l.meta.group.as_ref().map(ToString::to_string)),
            self.properties(letters)?,
            text(&|_| Some(self.job.to_string()).filter(|job| !job.is_empty())),
            text(&|_| Some(self.table.to_string())),
            text(&|l| Some(l.reason.as_str().to_owned())),
            number(&|l| count(l.rows)),
            number(&|l| count(l.wrong)),
            self.errors(letters)?,
            text(&|l| Some(if std::str::from_utf8(&l.body).is_ok() { "text" } else { "base64" }.to_owned())),
            text(&|l| Some(std::str::from_utf8(&l.body).map_or_else(|_| STANDARD.encode(&l.body), str::to_owned))),
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(unfit)
    }

    fn properties(&self, letters: &[DeadLetter]) -> Result<ArrayRef, SinkError> {
        let field = self.schema.field_with_name("userProperties").map_err(unfit)?;
        let DataType::Map(entries, sorted) = field.data_type() else { return Err(other_type()) };
        let DataType::Struct(fields) = entries.data_type() else { return Err(other_type()) };
        let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
        for property in letters.iter().flat_map(|letter| &letter.meta.properties) {
            keys.append_value(&property.name);
            values.append_value(&property.value);
        }
        let pairs =
            StructArray::try_new(fields.clone(), vec![Arc::new(keys.finish()), Arc::new(values.finish())], None);
        let offsets = OffsetBuffer::from_lengths(letters.iter().map(|letter| letter.meta.properties.len()));
        let map = MapArray::try_new(Arc::clone(entries), offsets, pairs.map_err(unfit)?, None, *sorted);
        Ok(Arc::new(map.map_err(unfit)?))
    }

    fn errors(&self, letters: &[DeadLetter]) -> Result<ArrayRef, SinkError> {
        let field = self.schema.field_with_name("errors").map_err(unfit)?;
        let DataType::List(item) = field.data_type() else { return Err(other_type()) };
        let DataType::Struct(fields) = item.data_type() else { return Err(other_type()) };
        let all: Vec<&BadRecord> = letters.iter().flat_map(|letter| &letter.errors).collect();
        let offsets = OffsetBuffer::from_lengths(letters.iter().map(|letter| letter.errors.len()));
        let rows = error_rows(fields, &all)?;
        let item: &FieldRef = item;
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(rows), None).map_err(unfit)?))
    }
}

fn error_rows(fields: &Fields, all: &[&BadRecord]) -> Result<StructArray, SinkError> {
    let number = |of: &dyn Fn(&BadRecord) -> Option<usize>| -> ArrayRef {
        let mut builder = Int64Builder::new();
        all.iter().for_each(|bad| builder.append_option(of(bad).and_then(count)));
        Arc::new(builder.finish())
    };
    let text = |of: &dyn Fn(&BadRecord) -> Option<String>| -> ArrayRef {
        let mut builder = StringBuilder::new();
        all.iter().for_each(|bad| builder.append_option(of(bad)));
        Arc::new(builder.finish())
    };
    let line = |bad: &BadRecord| match bad.place {
        Some(Place::Line(line, column)) => Some((line, column)),
        _ => None,
    };
    let byte = |bad: &BadRecord| match bad.place {
        Some(Place::Byte(at)) => Some(at),
        _ => None,
    };
    let columns = vec![
        number(&|bad| bad.row),
        number(&byte),
        number(&|bad| line(bad).map(|at| at.0)),
        number(&|bad| line(bad).map(|at| at.1)),
        text(&|bad| Some(bad.column.clone()).filter(|column| !column.is_empty())),
        text(&|bad| bad.expected.clone()),
        text(&|bad| Some(bad.cause.clone())),
    ];
    StructArray::try_new(fields.clone(), columns, None).map_err(unfit)
}

fn count(n: usize) -> Option<i64> {
    i64::try_from(n).ok()
}

fn unfit(error: impl std::error::Error + Send + Sync + 'static) -> SinkError {
    SinkError::new("dead letters do not fit their own columns, which is a bug").with_source(error)
}

fn other_type() -> SinkError {
    SinkError::new("the columns of dead letters have other types than they are filled with, which is a bug")
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use bytes::Bytes;
    use headwater_core::{Handle, Message, MessageMeta, Property, ServerMs, WallMs};

    use super::*;
    use crate::letters::Reason;

    fn letter(body: &'static [u8], errors: Vec<BadRecord>) -> DeadLetter {
        let mut message = Message::new("m1", Handle::new("h"), Bytes::from_static(body));
        message.dequeue_count = 3;
        message.enqueued = Some(ServerMs(17));
        message.properties = vec![Property { name: "k".into(), value: "v".into() }];
        let meta = MessageMeta::of(&message, &Arc::from("q"), WallMs(18));
        DeadLetter { meta, body: message.body, reason: Reason::Rejected, wrong: errors.len(), errors, rows: 2 }
    }

    #[test]
    fn a_letter_is_a_row_with_everything_that_is_known() {
        let mut placed = BadRecord::new("is bad").at_row(4).in_column("a");
        placed.place = Some(Place::Line(2, 7));
        let letters = [letter(b"text", vec![placed, BadRecord::new("is worse")]), letter(b"\xff\0", Vec::new())];
        let batch = LetterRows::new("job", "t").batch(&letters).unwrap();
        assert_eq!(batch.num_rows(), 2);
        let text = |name: &str, row: usize| batch[name].as_string::<i32>().value(row).to_owned();
        assert_eq!(
            (text("messageId", 0), text("queue", 0), text("reason", 0)),
            ("m1".into(), "q".into(), "rejected".into())
        );
        assert_eq!((text("bodyEncoding", 0), text("body", 0)), ("text".into(), "text".into()));
        assert_eq!((text("bodyEncoding", 1), text("body", 1)), ("base64".into(), "/wA=".into()));
        assert_eq!(batch["enqueueTime"].as_primitive::<Int64Type>().value(0), 17);
        assert!(batch["firstDequeueTime"].is_null(0) && batch["messageGroupId"].is_null(0));
        let errors = batch["errors"].as_list::<i32>().value(0);
        let errors = errors.as_struct();
        assert_eq!((errors.len(), batch["errors"].as_list::<i32>().value(1).len()), (2, 0));
        assert_eq!(errors["line"].as_primitive::<Int64Type>().value(0), 2);
        assert_eq!(errors["row"].as_primitive::<Int64Type>().value(0), 4);
        assert!(errors["row"].is_null(1) && errors["byte"].is_null(0));
        assert_eq!(batch["userProperties"].as_map().value(1).len(), 1);
    }
}
