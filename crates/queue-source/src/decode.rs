//! Bodies to batches: encoding and envelope, format, metadata columns, the policy for bad data.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use headwater_core::{Batch, MessageRows, OptionError, SourceError, SourceErrorKind};
use headwater_formats::{BodyBuffers, BodyLayer, DecodeError, DecodeErrorKind, Decoder, OnBadRow};
use headwater_ledger::MessageKey;

use crate::bodies::Outcome;
use crate::config::{BadRecords, SkippedByTime, SourceConfig};
use crate::metadata::{MetadataField, resolve};
use crate::meter::Meter;
use crate::state::Inbound;

/// Bad messages logged one by one before only counting goes on: enough to find the cause, too few to flood a log.
const BAD_LOGGED: u64 = 20;

/// Turns waiting messages into one batch.
pub(crate) struct Decoding {
    decoder: Box<dyn Decoder>,
    metadata: Vec<MetadataField>,
    schema: SchemaRef,
    layer: BodyLayer,
    buffers: BodyBuffers,
    bad_seen: u64,
}

impl std::fmt::Debug for Decoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoding")
    }
}

/// What became of some waiting messages.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The rows, and every message that is now handed out, with or without rows.
    pub(crate) batch: Batch,
    /// Messages to be left in the queue.
    pub(crate) left: Vec<MessageKey>,
    /// Bytes of the bodies of the messages that are handed out.
    pub(crate) bytes: usize,
    /// The message that ends the source, under [`BadRecords::Fail`].
    pub(crate) failure: Option<SourceError>,
}

enum Bad {
    Full,
    Message(SourceError),
}

impl Decoding {
    pub(crate) fn new(config: &SourceConfig) -> Result<Self, Vec<OptionError>> {
        let metadata = resolve(&config.metadata)?;
        let mut fields: Vec<_> = config.decoder.row_type().to_arrow_fields().iter().cloned().collect();
        for column in &config.metadata {
            fields.push(Arc::new(Field::new(&column.name, column.data_type.logical.to_arrow(), true)));
        }
        Ok(Self {
            decoder: config.decoder.decoder(),
            metadata,
            schema: Arc::new(Schema::new(fields)),
            layer: BodyLayer::new(config.encoding, config.envelope.clone()),
            buffers: BodyBuffers::default(),
            bad_seen: 0,
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes messages in order until the batch is full or they run out; takes what it used from `waiting`.
    ///
    /// Bytes are counted before and after decoding: a body of a few bytes can describe many rows.
    pub(crate) fn run(
        &mut self,
        config: &SourceConfig,
        meter: &Meter,
        waiting: &mut VecDeque<Inbound>,
    ) -> Result<Decoded, SourceError> {
        let mut messages = Vec::with_capacity(waiting.len());
        let (mut left, mut failure, mut bytes, mut at) = (Vec::new(), None, 0, 0);
        let (rows_max, bytes_max) = (config.batch_rows.max(1), config.batch_bytes.max(1));
        while self.decoder.rows() < rows_max
            && bytes < bytes_max
            && self.decoder.bytes() < bytes_max
            && let Some(mut inbound) = waiting.pop_front()
        {
            let early = config.start_time.is_some_and(|start| inbound.meta.enqueued.is_some_and(|t| t.0 < start));
            if early {
                meter.skipped_by_time.increment(1);
                if config.skipped_by_time == SkippedByTime::Leave {
                    left.push(inbound.meta.key);
                    continue;
                }
            } else {
                match self.body(config, meter, &mut inbound) {
                    Ok(()) => {}
                    Err(Bad::Full) => {
                        waiting.push_front(inbound);
                        break;
                    }
                    Err(Bad::Message(error)) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
            bytes += inbound.body.len();
            let end = self.decoder.rows();
            messages.push(MessageRows { meta: inbound.meta, rows: at..end });
            at = end;
        }
        let batch = self.finish(messages)?;
        Ok(Decoded { batch, left, bytes, failure })
    }

    fn body(&mut self, config: &SourceConfig, meter: &Meter, inbound: &mut Inbound) -> Result<(), Bad> {
        let mode = match config.bad_records {
            BadRecords::Fail => OnBadRow::Fail,
            BadRecords::Skip => OnBadRow::Salvage,
        };
        let opened = self.layer.open(&inbound.body, &*config.decoder, &mut self.buffers);
        let outcome = Outcome::of(&opened);
        let result = opened.and_then(|opened| {
            let decoded = match opened.body {
                Some(body) => self.decoder.decode(body, mode),
                None => Ok(self.decoder.decode_absent()),
            };
            if let Some(fields) = opened.fields {
                Arc::make_mut(&mut inbound.meta).envelope = Some(Box::new(fields));
            }
            decoded
        });
        if let Err(error) = &result
            && *error.kind() == DecodeErrorKind::BufferFull
            && self.decoder.rows() > 0
        {
            return Err(Bad::Full);
        }
        meter.bodies.count(outcome);
        let bad = match result {
            Ok(decoded) if decoded.bad.is_empty() => return Ok(()),
            Ok(decoded) => decoded.bad,
            Err(error) => vec![error],
        };
        meter.deserialization_errors.increment(1);
        meter.bad_rows.increment(bad.len() as u64);
        match config.bad_records {
            BadRecords::Fail => Err(Bad::Message(bad_message(config, inbound, bad))),
            BadRecords::Skip => {
                self.bad_seen += 1;
                if self.bad_seen <= BAD_LOGGED {
                    for error in bad.iter().take(3) {
                        tracing::warn!(queue = %inbound.meta.queue, message_id = %inbound.meta.id, %error, "bad row skipped");
                    }
                }
                Ok(())
            }
        }
    }

    fn finish(&mut self, messages: Vec<MessageRows>) -> Result<Batch, SourceError> {
        let records = self.decoder.flush();
        let records = if self.metadata.is_empty() {
            records
        } else {
            let mut columns = records.columns().to_vec();
            columns.extend(self.metadata.iter().map(|field| field.array(&messages)));
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| {
                SourceError::new(SourceErrorKind::Failed, "the decoder's columns do not fit the table's schema")
                    .with_source(error)
            })?
        };
        Ok(Batch::new(records, messages))
    }
}

fn bad_message(config: &SourceConfig, inbound: &Inbound, bad: Vec<DecodeError>) -> SourceError {
    let meta = &inbound.meta;
    let more = if bad.len() > 1 { format!(" (and {} more bad rows in it)", bad.len() - 1) } else { String::new() };
    let mut bad = bad.into_iter();
    let first = bad.next();
    let shown = first.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = format!(
        "table {}: message {} of queue {} (delivered {} times) cannot be decoded: {shown}{more}. Nothing is lost: it stays in \
         the queue. Mend the schema, or set `badRecords` to `skip`",
        config.table, meta.id, meta.queue, meta.dequeue_count
    );
    let error = SourceError::new(SourceErrorKind::BadData, text);
    match first {
        Some(first) => error.with_source(first),
        None => error,
    }
}
