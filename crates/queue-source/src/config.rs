//! Everything that can be set on a source, with its bounds.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{EarlierRun, LineageMarker, MetadataColumn};
use headwater_formats::{DecoderFactory, Envelope, MessageEncoding};
use headwater_ledger::Limits;
use tokio::runtime::Handle;

use crate::leases::LeasePolicy;
use crate::log::LogConfig;

/// What to do with a body, or a row of it, that cannot be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum BadRecords {
    /// End the source with an error that names the message. Nothing is lost: the message is not deleted.
    #[default]
    Fail,
    /// Leave the bad rows out, count and log them; keep the good rows of the same message.
    Skip,
    /// As `Skip`, and the whole message goes to the [`DeadLetterTarget`](crate::DeadLetterTarget) with what is wrong with it.
    DeadLetter,
}

/// What polling strives for, where latency, throughput and billed calls are not to be had together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Objective {
    /// Two polls stay parked while the queue is empty, so that one is while the other is on its way; an answer of several
    /// messages is reason enough for one more. Costs twice the calls of an idle source, and more of a busy one.
    Latency,
    /// One poll is parked while the queue is empty. Answers at least half full bring more polls, up to all of them within
    /// some round trips; answers less than a quarter full and empty ones send them away. The default: the first message is found as soon
    /// as with any number of polls, an idle source costs one call per `wait`, and a busy one as few as its rate allows.
    #[default]
    Throughput,
    /// As few receives as possible: after an answer that was not full, messages gather before the next receive, for up to
    /// 5 s (and 2.5 s more where a backlog begins); more polls only for a backlog.
    Cost,
}

impl Objective {
    /// By its name as an option: `latency`, `throughput` or `cost`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "latency" => Some(Self::Latency),
            "throughput" => Some(Self::Throughput),
            "cost" => Some(Self::Cost),
            _ => None,
        }
    }
}

/// What to do with messages older than the start time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum SkippedByTime {
    /// Delete them with the next committed checkpoint, like messages without rows.
    #[default]
    Delete,
    /// Leave them in the queue; they come back at the end of every lease.
    Leave,
}

/// The configuration of a [`QueueSource`](crate::QueueSource).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceConfig {
    /// The table's name, for messages and metrics.
    pub table: String,
    /// The job's name, for metrics.
    pub job: String,
    /// What makes rows of bodies.
    pub decoder: Arc<dyn DecoderFactory>,
    /// How what a producer sends is encoded for transport.
    pub encoding: MessageEncoding,
    /// The envelopes that messages come in, if any; see [`BodyLayer`](headwater_formats::BodyLayer) for what is undone first.
    pub envelope: Option<Arc<dyn Envelope>>,
    /// Columns filled from metadata, after the decoder's columns.
    pub metadata: Vec<MetadataColumn>,
    /// What to do with bad data.
    pub bad_records: BadRecords,
    /// Whether an error that ends the source shows a piece of the body. Not by default: bodies hold personal data.
    pub bad_records_excerpt: bool,
    /// Bad messages since the start after which the source fails. `None`: any number.
    pub bad_records_max_count: Option<u64>,
    /// The share of bad messages, 0 to 1, over which the source fails; taken over `bad_records_window`, and of at least 100
    /// messages, so that the first one alone is not all there is. `None`: any share.
    pub bad_records_max_ratio: Option<f64>,
    /// The time over which the share is taken. 1 min: some checkpoints' worth.
    pub bad_records_window: Duration,
    /// A message that comes for the first time in this lineage, yet has been delivered more often than this, goes to the dead
    /// letters unread: it keeps failing whoever takes it. `None`: it may go on trying.
    pub max_dequeue_count: Option<u32>,
    /// Messages enqueued before this time (Unix milliseconds) are skipped.
    pub start_time: Option<i64>,
    /// How they are skipped.
    pub skipped_by_time: SkippedByTime,
    /// The ledger's bounds. `message_bytes_max` and `retention` are set from the queue's attributes, `extend_lease` from those and
    /// the lease policy, and `lease_margin` is at most a quarter of the lease.
    pub limits: Limits,
    /// Receives that run side by side at most, 1 to 64; how many do follows the load, by `objective`. 4: they hide a round
    /// trip of 5 ms up to about 10,000 messages a second.
    pub pollers: usize,
    /// What the number of polls strives for.
    pub objective: Objective,
    /// How long a receive waits for a message. 10 s, the default of the SMQ connector. Polls of a queue that does not wait are
    /// spaced by `backoff_min` up to 1 s.
    pub wait: Duration,
    /// Delete calls that run side by side at most, up to 64; as many do as there are full calls to make. 0, the default:
    /// as many as there are `pollers`, since a delete carries as many messages and takes as long as a receive, and at least 2,
    /// so that a call that hangs does not stop all of them.
    pub delete_workers: usize,
    /// Whether leases are extended while their messages are not committed.
    pub lease_policy: LeasePolicy,
    /// Extend calls begun in a second at most. 400: `undeleted_max` messages with the service's default lease of 30 s need 267,
    /// and what is left repeats those that fail. A fiftieth of the service's 20,000 calls a second for an account.
    pub extends_per_second: u32,
    /// Extend calls that run side by side. 16: 400 a second at a round trip of 40 ms.
    pub extends_at_once: usize,
    /// Rows at which a batch is handed out although more messages are waiting. 8,192, what columnar engines work with.
    pub batch_rows: usize,
    /// Bytes of bodies, or of the rows made of them, at which a batch is handed out. 1 MiB: larger ones fall out of the processor's cache.
    pub batch_bytes: usize,
    /// Batches that pollers decode for the consumer at most: a message is decoded where it was just read, and by several cores.
    /// `None`: twice as many as the runtime has worker threads, at most 8, so that each can fill one while another waits; with a
    /// single thread, where nothing is gained, none. 0: the consumer decodes everything.
    pub decode_ahead: Option<usize>,
    /// The first pause after a failed or too-early-empty receive, doubled up to `backoff_max`. 100 ms.
    pub backoff_min: Duration,
    /// The longest such pause. 10 s, so that a recovered service is noticed soon.
    pub backoff_max: Duration,
    /// Unreadable answers to a receive of one message, with no readable message between them, before the source fails; and
    /// deliveries of one message that came damaged, with no whole one between them. 5.
    pub unreadable_max: u32,
    /// Taken off every lease end: the service's clock and ours drift. 1 s, or an eighth of a lease that is known to be short.
    pub lease_margin: Duration,
    /// The queue's lease, for consumers that may not read its attributes. `None`: the first delivery tells it.
    pub declared_lease: Option<Duration>,
    /// The seed of the jitter in pauses.
    pub seed: u64,
    /// How the run before ended: unless it ended cleanly, messages may still be leased to it, and the source is not called
    /// idle before one lease has passed.
    pub earlier_run: EarlierRun,
    /// Whether the embedder keeps a marker apart from the state, and what it said at this start.
    pub rewind: Rewind,
    /// A durable log of the source's own, for `commit = log`: see [`commit_log`](Self::commit_log). None: messages are deleted
    /// after their checkpoint.
    pub log: Option<LogConfig>,
    /// Go on where the log and the restored state do not go together, instead of refusing them: with what is there of both. What
    /// only the missing part of the log held is lost; what the state does not know to be committed comes again.
    pub accept_loss: bool,
}

/// Whether a state that was set back is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rewind {
    /// It is not: nothing is kept that could tell.
    #[default]
    Undetected,
    /// It is, by the marker that the embedder keeps; `None` at the first start.
    Marked(Option<LineageMarker>),
}

impl SourceConfig {
    /// A configuration with all defaults.
    #[must_use]
    pub fn new(table: impl Into<String>, decoder: Arc<dyn DecoderFactory>) -> Self {
        Self {
            table: table.into(),
            job: String::new(),
            decoder,
            encoding: MessageEncoding::Auto,
            envelope: None,
            metadata: Vec::new(),
            bad_records: BadRecords::Fail,
            bad_records_excerpt: false,
            bad_records_max_count: None,
            bad_records_max_ratio: None,
            bad_records_window: Duration::from_secs(60),
            max_dequeue_count: None,
            start_time: None,
            skipped_by_time: SkippedByTime::Delete,
            limits: Limits::default(),
            pollers: 4,
            objective: Objective::Throughput,
            wait: Duration::from_secs(10),
            delete_workers: 0,
            lease_policy: LeasePolicy::Auto,
            extends_per_second: 400,
            extends_at_once: 16,
            batch_rows: 8_192,
            batch_bytes: 1 << 20,
            decode_ahead: None,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            unreadable_max: 5,
            lease_margin: Duration::from_secs(1),
            declared_lease: None,
            seed: 0,
            earlier_run: EarlierRun::Unknown,
            rewind: Rewind::Undetected,
            log: None,
            accept_loss: false,
        }
    }

    /// Delete calls that run side by side at most.
    pub(crate) fn deleters(&self) -> usize {
        if self.delete_workers > 0 { self.delete_workers } else { self.pollers.max(2) }
    }

    /// Batches that pollers decode at most. What goes to a log first is decoded when it has been written.
    pub(crate) fn ahead(&self) -> usize {
        let workers = || Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        match self.decode_ahead {
            _ if self.log.is_some() => 0,
            Some(batches) => batches,
            None => Some(workers()).filter(|workers| *workers > 1).map_or(0, |workers| (2 * workers).min(8)),
        }
    }

    /// Writes messages durably to a log first, and deletes them at once (`commit = log`). Until their checkpoint is committed
    /// they live in that log only. Uncommitted messages are not limited in number then: the size of the log limits them.
    #[must_use]
    pub fn commit_log(mut self, log: LogConfig) -> Self {
        self.log = Some(log);
        self.limits.checkpoint_max_messages = u32::MAX;
        self
    }
}
