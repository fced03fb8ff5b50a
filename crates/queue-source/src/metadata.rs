//! Columns that come from the message around the body.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::types::{TimestampMillisecondType, TimestampNanosecondType};
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_schema::{DataType as ArrowType, TimeUnit};
use headwater_core::{MessageMeta, MessageRows, MetadataColumn, OptionError};
use headwater_formats::{DataType, EnvelopeFields, LogicalType};

/// A metadata key: its name, the types it can be read as, and what it is. The order of the documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MetadataKey {
    /// The id the message keeps over redeliveries.
    MessageId,
    /// How often it had been delivered.
    DequeueCount,
    /// When the queue took it.
    EnqueueTime,
    /// When it was first delivered.
    FirstDequeueTime,
    /// When this process received it.
    ReceiveTime,
    /// The queue's priority.
    Priority,
    /// The queue's name.
    Queue,
    /// The message group of an ordered queue.
    MessageGroupId,
    /// The sender's properties.
    UserProperties,
    /// The topic that the message came through; this and what follows is NULL for a message without such an envelope.
    TopicName,
    /// The id that the topic gave it.
    TopicMessageId,
    /// The tag that it was published with.
    MessageTag,
    /// When it was published to the topic.
    PublishTime,
    /// A CloudEvent's `id`.
    CeId,
    /// A CloudEvent's `type`.
    CeType,
    /// A CloudEvent's `source`.
    CeSource,
    /// A CloudEvent's `subject`.
    CeSubject,
    /// A CloudEvent's `time`, as it is written.
    CeTime,
}

impl MetadataKey {
    /// Every key.
    pub const ALL: [Self; 18] = [
        Self::MessageId,
        Self::DequeueCount,
        Self::EnqueueTime,
        Self::FirstDequeueTime,
        Self::ReceiveTime,
        Self::Priority,
        Self::Queue,
        Self::MessageGroupId,
        Self::UserProperties,
        Self::TopicName,
        Self::TopicMessageId,
        Self::MessageTag,
        Self::PublishTime,
        Self::CeId,
        Self::CeType,
        Self::CeSource,
        Self::CeSubject,
        Self::CeTime,
    ];

    /// The name in `METADATA FROM '…'`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MessageId => "message-id",
            Self::DequeueCount => "dequeue-count",
            Self::EnqueueTime => "enqueue-time",
            Self::FirstDequeueTime => "first-dequeue-time",
            Self::ReceiveTime => "receive-time",
            Self::Priority => "priority",
            Self::Queue => "queue",
            Self::MessageGroupId => "message-group-id",
            Self::UserProperties => "user-properties",
            Self::TopicName => "topic-name",
            Self::TopicMessageId => "topic-message-id",
            Self::MessageTag => "message-tag",
            Self::PublishTime => "publish-time",
            Self::CeId => "ce-id",
            Self::CeType => "ce-type",
            Self::CeSource => "ce-source",
            Self::CeSubject => "ce-subject",
            Self::CeTime => "ce-time",
        }
    }

    /// The types a column of this key may have, in words.
    #[must_use]
    pub const fn types(self) -> &'static str {
        match self.shape() {
            Shape::Text => "STRING",
            Shape::Number => "INT or BIGINT",
            Shape::Time => "TIMESTAMP_LTZ(p), TIMESTAMP(p) in UTC, or BIGINT in milliseconds",
            Shape::Texts => "MAP<STRING, STRING>",
        }
    }

    const fn shape(self) -> Shape {
        match self {
            Self::DequeueCount | Self::Priority => Shape::Number,
            Self::EnqueueTime | Self::FirstDequeueTime | Self::ReceiveTime | Self::PublishTime => Shape::Time,
            Self::UserProperties => Shape::Texts,
            _ => Shape::Text,
        }
    }

    fn accepts(self, data_type: &DataType) -> bool {
        let text = |t: &LogicalType| matches!(t, LogicalType::String | LogicalType::VarChar(_) | LogicalType::Char(_));
        match (self.shape(), &data_type.logical) {
            (Shape::Text, t) => text(t),
            (Shape::Number, t) => matches!(t, LogicalType::Int | LogicalType::BigInt),
            (Shape::Time, t) => {
                matches!(t, LogicalType::TimestampLtz(_) | LogicalType::Timestamp(_) | LogicalType::BigInt)
            }
            (Shape::Texts, LogicalType::Map(key, value)) => text(&key.logical) && text(&value.logical),
            (Shape::Texts, _) => false,
        }
    }
}

/// What a key's values are.
enum Shape {
    Text,
    Number,
    Time,
    Texts,
}

/// A metadata column, resolved.
#[derive(Clone, Debug)]
pub(crate) struct MetadataField {
    key: MetadataKey,
    arrow: ArrowType,
}

/// Resolves declared metadata columns.
pub(crate) fn resolve(columns: &[MetadataColumn]) -> Result<Vec<MetadataField>, Vec<OptionError>> {
    let mut errors = Vec::new();
    let mut fields = Vec::new();
    for column in columns {
        let Some(key) = MetadataKey::ALL.into_iter().find(|key| key.name() == column.key) else {
            let mut error = OptionError::unknown(&column.key, MetadataKey::ALL.map(MetadataKey::name));
            let known = MetadataKey::ALL.map(MetadataKey::name).join(", ");
            error.problem = format!("(metadata of column `{}`) {}; the keys are {known}", column.name, error.problem);
            errors.push(error);
            continue;
        };
        if key.accepts(&column.data_type) {
            fields.push(MetadataField { key, arrow: column.data_type.logical.to_arrow() });
        } else {
            let (name, types) = (&column.name, key.types());
            let problem = format!("(metadata of column `{name}`) cannot be {}: declare {types}", column.data_type);
            errors.push(OptionError::new(&column.key, problem));
        }
    }
    if errors.is_empty() { Ok(fields) } else { Err(errors) }
}

impl MetadataField {
    /// The column for these messages, one value per row.
    pub(crate) fn array(&self, messages: &[MessageRows]) -> ArrayRef {
        match self.key {
            MetadataKey::MessageId => text(messages, |m| Some(&m.id)),
            MetadataKey::Queue => text(messages, |m| Some(&m.queue)),
            MetadataKey::MessageGroupId => text(messages, |m| m.group.as_deref()),
            MetadataKey::DequeueCount => self.number(messages, |m| Some(i64::from(m.dequeue_count)).filter(|n| *n > 0)),
            MetadataKey::Priority => self.number(messages, |m| m.priority.map(i64::from)),
            MetadataKey::EnqueueTime => self.time(messages, |m| m.enqueued.map(|t| t.0)),
            MetadataKey::FirstDequeueTime => self.time(messages, |m| m.first_dequeued.map(|t| t.0)),
            MetadataKey::ReceiveTime => self.time(messages, |m| Some(m.received.0)),
            MetadataKey::UserProperties => properties(messages),
            MetadataKey::PublishTime => self.time(messages, |m| m.envelope.as_ref()?.publish_time),
            MetadataKey::TopicName => enveloped(messages, |e| &e.topic),
            MetadataKey::TopicMessageId => enveloped(messages, |e| &e.topic_message_id),
            MetadataKey::MessageTag => enveloped(messages, |e| &e.tag),
            MetadataKey::CeId => enveloped(messages, |e| &e.event_id),
            MetadataKey::CeType => enveloped(messages, |e| &e.event_type),
            MetadataKey::CeSource => enveloped(messages, |e| &e.event_source),
            MetadataKey::CeSubject => enveloped(messages, |e| &e.event_subject),
            MetadataKey::CeTime => enveloped(messages, |e| &e.event_time),
        }
    }

    fn number(&self, messages: &[MessageRows], value: impl Fn(&MessageMeta) -> Option<i64>) -> ArrayRef {
        if self.arrow == ArrowType::Int64 {
            let mut builder = Int64Builder::new();
            each_row(messages, |m| builder.append_option(value(m)));
            Arc::new(builder.finish())
        } else {
            let mut builder = Int32Builder::new();
            each_row(messages, |m| builder.append_option(value(m).and_then(|n| i32::try_from(n).ok())));
            Arc::new(builder.finish())
        }
    }

    fn time(&self, messages: &[MessageRows], value: impl Fn(&MessageMeta) -> Option<i64>) -> ArrayRef {
        let ArrowType::Timestamp(unit, zone) = &self.arrow else { return self.number(messages, value) };
        let mut values = Vec::new();
        // Nanoseconds reach the year 2262: a time beyond it is no time a queue can have set, and becomes NULL.
        let scale = if *unit == TimeUnit::Nanosecond { 1_000_000 } else { 1 };
        each_row(messages, |m| values.push(value(m).and_then(|ms| ms.checked_mul(scale))));
        if *unit == TimeUnit::Nanosecond {
            Arc::new(PrimitiveArray::<TimestampNanosecondType>::from(values).with_timezone_opt(zone.clone()))
        } else {
            Arc::new(PrimitiveArray::<TimestampMillisecondType>::from(values).with_timezone_opt(zone.clone()))
        }
    }
}

fn each_row(messages: &[MessageRows], mut append: impl FnMut(&MessageMeta)) {
    for message in messages {
        for _ in message.rows.clone() {
            append(&message.meta);
        }
    }
}

fn text<'a>(messages: &'a [MessageRows], value: impl Fn(&'a MessageMeta) -> Option<&'a str>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    for message in messages {
        let value = value(&message.meta);
        for _ in message.rows.clone() {
            builder.append_option(value);
        }
    }
    Arc::new(builder.finish())
}

fn enveloped(messages: &[MessageRows], value: impl Fn(&EnvelopeFields) -> &Option<String>) -> ArrayRef {
    text(messages, |m| value(m.envelope.as_deref()?).as_deref())
}

fn properties(messages: &[MessageRows]) -> ArrayRef {
    let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    each_row(messages, |m| {
        for property in &m.properties {
            builder.keys().append_value(&property.name);
            builder.values().append_value(&property.value);
        }
        // Keys and values are appended in pairs, which is all that `append` checks.
        builder.append(true).expect("as many values as keys");
    });
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use headwater_formats::RowType;

    use super::*;

    fn column(key: &str, data_type: &str) -> MetadataColumn {
        let row: RowType = format!("c {data_type}").parse().unwrap();
        MetadataColumn { name: "c".into(), key: key.into(), data_type: row.fields()[0].data_type.clone() }
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_named_together() {
        let columns = [column("message_id", "STRING"), column("priority", "STRING"), column("queue", "STRING")];
        let errors: Vec<String> = resolve(&columns).unwrap_err().iter().map(ToString::to_string).collect();
        assert!(errors[0].contains("did you mean `message-id`?"), "{errors:?}");
        assert!(errors[1].contains("cannot be STRING: declare INT or BIGINT"), "{errors:?}");
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn every_key_gives_the_declared_arrow_type() {
        let types = [
            "STRING",
            "BIGINT",
            "TIMESTAMP_LTZ(3)",
            "TIMESTAMP(6)",
            "BIGINT",
            "INT",
            "STRING",
            "STRING",
            "MAP<STRING, STRING>",
            "STRING",
            "STRING",
            "STRING",
            "TIMESTAMP_LTZ(3)",
            "STRING",
            "STRING",
            "STRING",
            "STRING",
            "VARCHAR(40)",
        ];
        let columns: Vec<_> = MetadataKey::ALL.iter().zip(types).map(|(key, t)| column(key.name(), t)).collect();
        let mut message = headwater_core::Message::new("id", headwater_core::Handle::new("h"), bytes::Bytes::new());
        message.dequeue_count = 2;
        message.enqueued = Some(headwater_core::ServerMs(1_642_865_171_557));
        message.properties = vec![headwater_core::Property { name: "k".into(), value: "v".into() }];
        let meta = MessageMeta::of(&message, &Arc::from("q"), headwater_core::WallMs(7));
        let rows = [MessageRows { meta, rows: 0..2 }];
        for (field, column) in resolve(&columns).unwrap().iter().zip(&columns) {
            let array = field.array(&rows);
            assert_eq!((array.len(), array.data_type()), (2, &column.data_type.logical.to_arrow()), "{}", column.key);
        }
    }
}
