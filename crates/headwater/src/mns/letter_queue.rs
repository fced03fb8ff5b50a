//! Dead letters into another queue: at least once, since sending has no commit.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use headwater_core::{
    CheckpointId, Clock, Committable, Delivery, Mono, QueueErrorKind, Sink, SinkError, SourceError, SourceErrorKind,
};
use headwater_formats::json::{JsonEncoder, JsonOptions};
use headwater_mns_client::proto::numbers::{BATCH, MAX_BATCH_SEND_BYTES};
use headwater_mns_client::proto::{ErrorClass, NewMessage, Property};
use headwater_mns_client::{MnsClient, MnsError};
use headwater_queue_source::dead_letter_columns;

/// How long a letter is tried again where that may help. 2 min: longer than a failover of the service takes; past that the
/// job fails, and nothing is lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// The first pause, doubled up to the longest. 5 s, so that a recovered service is noticed soon.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Characters of a cause in a property: an eighth of the service's 4,096, for bytes may be counted.
const CAUSE_MAX: usize = 512;
/// The largest body where the queue does not tell (CreateQueue page: the default MaximumMessageSize).
const BODY_MAX: u64 = 65_536;

/// Sends one message per dead letter.
#[derive(Debug)]
pub(super) struct LetterQueue {
    client: MnsClient,
    clock: Arc<dyn Clock>,
    queue: String,
    body_max: usize,
    encoder: JsonEncoder,
}

impl LetterQueue {
    /// Asks the queue for its largest message. A denied answer is fine: the right to send is enough.
    pub(super) async fn open(client: MnsClient, clock: Arc<dyn Clock>, queue: &str) -> Result<Self, SourceError> {
        let body_max = match client.queue_attributes(queue).await {
            Ok(attributes) => u64::from(attributes.maximum_message_size),
            Err(error) if error.kind() == QueueErrorKind::NoSuchQueue => {
                let text = format!("`deadLetterQueue`: there is no queue {queue}; create it first");
                return Err(SourceError::new(SourceErrorKind::Configuration, text).with_source(error));
            }
            Err(error) => {
                tracing::info!(%queue, %error, "the attributes of the queue of dead letters are not known: its largest message is taken as 64 KiB");
                BODY_MAX
            }
        };
        let mut options = JsonOptions::default();
        options.ignore_null_fields = true;
        let encoder = JsonEncoder::new(&dead_letter_columns().to_arrow(), options).map_err(|errors| {
            SourceError::new(SourceErrorKind::Failed, "dead letters cannot be written as JSON, which is a bug")
                .with_source(errors)
        })?;
        let body_max = usize::try_from(body_max).unwrap_or(usize::MAX);
        Ok(Self { client, clock, queue: queue.to_owned(), body_max, encoder })
    }

    /// The letter as JSON; or where that is too large, the body alone, with the provenance beside it.
    fn message(&self, letters: &RecordBatch, row: usize, json: String) -> NewMessage {
        let text = |name: &str| letters.column_by_name(name).map(|c| c.as_string::<i32>().value(row).to_owned());
        let text = |name: &str| text(name).unwrap_or_default();
        let mut properties = vec![
            Property::string("originMessageId", text("messageId")),
            Property::string("originQueue", text("queue")),
            Property::string("deadLetterReason", text("reason")),
        ];
        let mut message = NewMessage::new(json);
        if message.body.len() > self.body_max {
            properties.push(Property::string("deadLetterForm", "body"));
            properties.push(Property::string("bodyEncoding", text("bodyEncoding")));
            for name in ["dequeueCount", "enqueueTime"] {
                let column = letters.column_by_name(name).map(|c| c.as_primitive::<Int64Type>());
                if let Some(column) = column.filter(|column| column.is_valid(row)) {
                    properties.push(Property::string(name, column.value(row).to_string()));
                }
            }
            properties.extend(first_cause(letters, row).map(|cause| Property::string("cause", cause)));
            message.body = text("body");
        } else {
            properties.push(Property::string("deadLetterForm", "json"));
        }
        message.user_properties = properties;
        message
    }

    /// Sends one batch until every message in it is there.
    async fn send(&self, mut batch: Vec<NewMessage>) -> Result<(), SinkError> {
        let began = self.clock.now();
        let mut pause = PAUSE_MIN;
        loop {
            let trouble = match self.client.batch_send(&self.queue, batch.clone()).await {
                Ok(outcomes) => {
                    let refused = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
                    let (sent, taken) = (batch.len(), outcomes.len());
                    // No outcome is none to rely on: it is sent again.
                    let mut outcomes = outcomes.iter();
                    batch.retain(|_| !matches!(outcomes.next(), Some(Ok(_))));
                    match refused {
                        _ if batch.is_empty() => return Ok(()),
                        Some(first) => {
                            let text = format!("{}: {}", first.code.as_str(), first.message);
                            Trouble { text, again: first.class() == ErrorClass::Retry, cause: None }
                        }
                        None => {
                            let text = format!("the answer to {sent} messages speaks of {taken}");
                            Trouble { text, again: true, cause: None }
                        }
                    }
                }
                Err(error) => {
                    let again = !error.kind().is_fatal();
                    Trouble { text: error.to_string(), again, cause: Some(error) }
                }
            };
            self.wait_or_fail(trouble, began, pause).await?;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn wait_or_fail(&self, trouble: Trouble, began: Mono, pause: Duration) -> Result<(), SinkError> {
        let Trouble { text, again, cause } = trouble;
        if again && self.clock.now().since(began) < PATIENCE {
            tracing::warn!(queue = %self.queue, error = %text, ?pause, "dead letters were not taken, trying again");
            self.clock.sleep(pause).await;
            return Ok(());
        }
        let error = SinkError::new(format!("queue {} does not take them: {text}", self.queue));
        Err(match cause {
            Some(cause) if cause.kind() == QueueErrorKind::Denied => error.denied().with_source(cause),
            Some(cause) => error.with_source(cause),
            None => error,
        })
    }
}

/// Why a batch was not taken, or not whole.
struct Trouble {
    text: String,
    again: bool,
    cause: Option<MnsError>,
}

fn first_cause(letters: &RecordBatch, row: usize) -> Option<String> {
    let errors = letters.column_by_name("errors")?.as_list_opt::<i32>()?.value(row);
    let causes = errors.as_struct_opt()?.column_by_name("cause")?.as_string_opt::<i32>()?;
    (!causes.is_empty()).then(|| causes.value(0).chars().take(CAUSE_MAX).collect())
}

#[async_trait]
impl Sink for LetterQueue {
    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError> {
        pending.first().map_or(Ok(()), |committable| self.commit_nothing(committable))
    }

    async fn write(&mut self, letters: &RecordBatch) -> Result<(), SinkError> {
        let failed = |error| SinkError::new("dead letters cannot be written as JSON").with_source(error);
        let rows = self.encoder.rows(letters).map_err(failed)?;
        let mut messages = Vec::with_capacity(letters.num_rows());
        for row in 0..letters.num_rows() {
            let mut json = Vec::new();
            rows.encode(row, &mut json);
            // The encoder writes UTF-8: JSON knows nothing else.
            messages.push(self.message(letters, row, String::from_utf8_lossy(&json).into_owned()));
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for message in messages {
            if batch.len() == *BATCH.end() as usize
                || (!batch.is_empty() && bytes + message.body.len() > MAX_BATCH_SEND_BYTES)
            {
                self.send(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += message.body.len();
            batch.push(message);
        }
        if batch.is_empty() { Ok(()) } else { self.send(batch).await }
    }

    async fn pre_commit(&mut self, _id: CheckpointId) -> Result<Option<Committable>, SinkError> {
        Ok(None)
    }

    async fn commit(&mut self, committable: &Committable) -> Result<(), SinkError> {
        self.commit_nothing(committable)
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl LetterQueue {
    fn commit_nothing(&self, committable: &Committable) -> Result<(), SinkError> {
        let text = format!(
            "dead letters of checkpoint {} wait in files: start the job once more with the `deadLetterPath` it had, until a \
             checkpoint is committed",
            committable.checkpoint
        );
        Err(SinkError::new(text))
    }
}
