//! Bodies to batches: encoding and envelope, format, metadata columns, the policy for bad data.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use bytes::Bytes;
use headwater_core::{BadRecord, Batch, MessageRows, OptionError, SourceError, SourceErrorKind};
use headwater_formats::{BodyBuffers, BodyLayer, DecodeError, DecodeErrorKind, Decoder, OnBadRow};
use headwater_ledger::MessageKey;

use crate::bad;
use crate::bodies::Outcome;
use crate::config::{BadRecords, SkippedByTime, SourceConfig};
use crate::letters::Reason;
use crate::log::Place;
use crate::metadata::{MetadataField, resolve};
use crate::meter::Meter;
use crate::state::Inbound;

/// Bytes shown to each side of what is wrong, where bodies may be shown.
const EXCERPT_RADIUS: usize = 40;

/// Turns messages into batches, one after the other.
pub(crate) struct Decoding {
    decoder: Box<dyn Decoder>,
    metadata: Vec<MetadataField>,
    schema: SchemaRef,
    layer: BodyLayer,
    buffers: BodyBuffers,
    keep: Keep,
    batch: Begun,
    /// Messages of the batch before: as many are likely to come.
    last: usize,
}

/// What goes with the rows that the decoder has.
#[derive(Default)]
struct Begun {
    messages: Vec<MessageRows>,
    bodies: Vec<Bytes>,
    bad: Vec<(usize, Reason, Vec<BadRecord>)>,
    places: Vec<Option<Place>>,
    left: Vec<MessageKey>,
    bytes: usize,
    /// Rows of those messages.
    rows: usize,
    failure: Option<SourceError>,
    /// The next message does not fit.
    full: bool,
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
    /// The bodies of those messages, in the same order, if they are kept.
    pub(crate) bodies: Vec<Bytes>,
    /// The bad ones among them, by their place, with what is wrong.
    pub(crate) bad: Vec<(usize, Reason, Vec<BadRecord>)>,
    /// Where the records of those messages lie in the source's own log, in the same order, if there is one.
    pub(crate) places: Vec<Option<Place>>,
    /// Messages to be left in the queue.
    pub(crate) left: Vec<MessageKey>,
    /// Bytes of the bodies of the messages that are handed out.
    pub(crate) bytes: usize,
    /// The message that ends the source, under [`BadRecords::Fail`].
    pub(crate) failure: Option<SourceError>,
}

/// What is wanted of the messages besides their rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub(crate) bodies: bool,
    pub(crate) places: bool,
}

/// What is wrong with a body, and a piece of it, where that may be shown.
struct Found {
    wrong: Vec<BadRecord>,
    excerpt: String,
}

/// The decoder holds as much as it can.
struct Full;

/// Twice the bytes of a batch with the default options.
const KEPT: usize = 2 << 20;

/// Has what one batch frees stay with the process for the next one.
///
/// glibc gives memory back to the kernel as soon as 128 KiB at the end of its heap are free, and takes it again for the next
/// answer, page by page: a fault for every seven messages of 1 KiB, some tenths of a microsecond each message. Both its limits, for that and
/// for what has pages of its own, follow the largest block with pages of its own that was ever freed; one that nobody touches
/// costs two system calls. To other allocators it means nothing.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT)));
}

impl Decoding {
    pub(crate) fn new(config: &SourceConfig, keep: Keep) -> Result<Self, Vec<OptionError>> {
        let metadata = resolve(&config.metadata)?;
        keep_freed_memory();
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
            keep,
            batch: Begun::default(),
            last: 0,
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the batch can take another message. Bytes are counted before and after decoding: a body of a few bytes can
    /// describe many rows.
    pub(crate) fn has_room(&self, config: &SourceConfig) -> bool {
        let (rows_max, bytes_max) = (config.batch_rows.max(1), config.batch_bytes.max(1));
        let Begun { bytes, full, ref failure, .. } = self.batch;
        !full
            && failure.is_none()
            && self.decoder.rows() < rows_max
            && bytes < bytes_max
            && self.decoder.bytes() < bytes_max
    }

    /// Decodes messages in order until the batch is full or they run out; takes what it used from `waiting`.
    pub(crate) fn take(&mut self, config: &SourceConfig, meter: &Meter, waiting: &mut VecDeque<Inbound>) {
        if self.batch.messages.capacity() == 0 {
            self.batch.messages.reserve(waiting.len().max(self.last));
        }
        while self.has_room(config)
            && let Some(inbound) = waiting.front_mut()
        {
            let early = config.start_time.is_some_and(|start| inbound.meta.enqueued.is_some_and(|t| t.0 < start));
            let nth = self.batch.messages.len();
            if early {
                meter.skipped_by_time.increment(1);
                // What is in a log is not in the queue any more.
                if config.skipped_by_time == SkippedByTime::Leave && inbound.place.is_none() {
                    self.batch.left.extend(waiting.pop_front().map(|inbound| inbound.meta.key));
                    continue;
                }
            } else if config.max_dequeue_count.is_some_and(|max| inbound.meta.dequeue_count > max) {
                self.batch.bad.push((nth, Reason::DequeueCount, vec![bad::too_often(config, &inbound.meta)]));
            } else {
                match self.body(config, meter, inbound) {
                    Ok(None) => {}
                    Ok(Some(Found { wrong, excerpt })) if config.bad_records == BadRecords::Fail => {
                        self.batch.failure = Some(bad::failure(config, &inbound.meta, &wrong, &excerpt));
                        // It is not handed out, and nobody asks for it any more.
                        waiting.pop_front();
                        break;
                    }
                    Ok(Some(Found { wrong, .. })) => self.batch.bad.push((nth, Reason::Undecodable, wrong)),
                    Err(Full) => {
                        self.batch.full = true;
                        break;
                    }
                }
            }
            let rows = self.batch.rows..self.decoder.rows();
            // Only now, so that it is moved but once: it is large.
            let Some(Inbound { meta, body, place }) = waiting.pop_front() else { break };
            self.batch.rows = rows.end;
            self.batch.bytes += body.len();
            if self.keep.bodies {
                self.batch.bodies.push(body);
            }
            if self.keep.places {
                self.batch.places.push(place);
            }
            self.batch.messages.push(MessageRows { meta, rows });
        }
    }

    /// The batch, as far as it has come; the next one begins empty.
    pub(crate) fn finish(&mut self) -> Result<Decoded, SourceError> {
        let Begun { messages, bodies, bad, places, left, bytes, failure, .. } = std::mem::take(&mut self.batch);
        self.last = messages.len();
        let batch = self.rows(messages)?;
        Ok(Decoded { batch, bodies, bad, places, left, bytes, failure })
    }

    /// Decodes a body. `None` says that nothing is wrong with it.
    fn body(&mut self, config: &SourceConfig, meter: &Meter, inbound: &mut Inbound) -> Result<Option<Found>, Full> {
        let mode = match config.bad_records {
            BadRecords::Fail => OnBadRow::Fail,
            BadRecords::Skip | BadRecords::DeadLetter => OnBadRow::Salvage,
        };
        let opened = self.layer.open(&inbound.body, &*config.decoder, &mut self.buffers);
        let outcome = Outcome::of(&opened);
        let mut read: &[u8] = &inbound.body;
        let result = opened.and_then(|opened| {
            let decoded = match opened.body {
                Some(body) => {
                    read = body;
                    self.decoder.decode(body, mode)
                }
                None => Ok(self.decoder.decode_absent()),
            };
            if opened.fields.is_some() {
                inbound.meta.envelope = opened.fields;
            }
            decoded
        });
        let bad = match result {
            Err(error) if *error.kind() == DecodeErrorKind::BufferFull && self.decoder.rows() > 0 => return Err(Full),
            Ok(decoded) => decoded.bad,
            Err(error) => vec![error],
        };
        meter.bodies.count(outcome);
        if bad.is_empty() {
            return Ok(None);
        }
        Ok(Some(found(config, meter, &bad, read)))
    }

    fn rows(&mut self, messages: Vec<MessageRows>) -> Result<Batch, SourceError> {
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

/// Counts and describes what is wrong with a body of which that was read.
#[cold]
fn found(config: &SourceConfig, meter: &Meter, bad: &[DecodeError], read: &[u8]) -> Found {
    meter.deserialization_errors.increment(1);
    meter.bad_rows.increment(bad.len() as u64);
    let excerpt = bad.first().filter(|_| config.bad_records_excerpt);
    let excerpt = excerpt.map_or(String::new(), |e| format!(" (near `{}`)", e.excerpt(read, EXCERPT_RADIUS)));
    Found { wrong: bad.iter().map(BadRecord::from).collect(), excerpt }
}
