//! The upper waist: what an engine sees of a source.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use headwater_ledger::MessageKey;
pub use headwater_ledger::{CheckpointId, DueReason};

use crate::bad::BadRecord;
use crate::batch::{Batch, MessageMeta};
use crate::delivery::Delivery;

/// A stream of rows with checkpoints.
///
/// # Contract
/// One consumer calls, one call at a time:
/// ```text
/// [restore(N), commit(N)]  ( next → Batch* | CheckpointDue → checkpoint(M) → save → commit(M) or abort(M) )*  stop → next… None → checkpoint, commit → drain
/// ```
/// * **Hand-out.** A batch is handed out when the future returned by [`next`](Self::next) completes with it. A checkpoint
///   covers exactly what was handed out before [`checkpoint`](Self::checkpoint) was called.
/// * **Order of durability.** Sinks pre-commit → the state is saved durably → sinks commit → [`commit`](Self::commit). Only
///   then is anything deleted from the queue. On restart: [`restore`](Self::restore) → sinks commit what the state lists → `commit`.
/// * **A failed save is indeterminate.** Call [`abort`](Self::abort) and go on: the next checkpoint covers everything again.
///   If nothing is called, no further checkpoint is announced.
/// * Ids grow. `checkpoint`, `commit`, `abort` and `drain` may be repeated with the same id.
///
/// # Cancellation
/// Every future may be dropped at any await: a dropped `next` leaves its batch in place, a dropped `checkpoint` is repeated
/// with the same id.
///
/// # Ordering
/// Rows of one message keep their order and share a batch. Between messages there is none.
///
/// # Progress
/// A source works by itself between calls (screening, renewing handles, deleting) and wakes its consumer for a checkpoint
/// even when no row comes. A slow consumer stops receives, nothing else. Dropping a source stops its tasks and loses nothing.
///
/// # Errors
/// [`SourceError::kind`] says what a restart can do. After an error the source stays failed and repeats it; what was
/// handed out may still be checkpointed and committed.
#[async_trait]
pub trait Source: Send + fmt::Debug + 'static {
    /// The schema of every batch.
    fn schema(&self) -> SchemaRef;

    /// What it promises, given that checkpoints are saved durably.
    fn delivery(&self) -> Delivery;

    /// One sentence on the guarantee and the numbers behind it.
    fn guarantee(&self) -> String;

    /// Whose state this is. A saved state of another identity is refused by [`restore`](Self::restore).
    fn identity(&self) -> String;

    /// Continues from a saved checkpoint. The first call, if it is made.
    ///
    /// # Errors
    /// [`SourceErrorKind::State`] when the state is not this source's, not whole, or of a later release.
    async fn restore(&mut self, id: CheckpointId, state: SourceState) -> Result<(), SourceError>;

    /// The next event; `None` after [`stop`](Self::stop) when everything buffered was handed out.
    ///
    /// # Errors
    /// Fatal ones only: transient failures are retried inside.
    async fn next(&mut self) -> Result<Option<Event>, SourceError>;

    /// Refuses a message that was handed out: it goes to the dead letters, with this reason among what is wrong with it,
    /// and is deleted like any other once the checkpoint that covers it is committed. Where the policy is to skip, it is
    /// only counted. What became of its rows is the caller's business. May be repeated for other rows of the message.
    ///
    /// # Errors
    /// [`SourceErrorKind::Unsupported`] when a barrier has been cut since the message was handed out, which seals its fate, or
    /// from a source that cannot do this; [`SourceErrorKind::Configuration`] when there is nowhere for it to go. The source has
    /// not failed by these. [`SourceErrorKind::BadData`] when there are too many bad messages by now: then it has.
    fn reject(&mut self, message: &MessageMeta, reason: BadRecord) -> Result<(), SourceError> {
        let text = format!("message {} cannot be rejected ({reason}): this source keeps no dead letters", message.id);
        Err(SourceError::new(SourceErrorKind::Unsupported, text))
    }

    /// Gives a message that was handed out back to the queue: with the next committed checkpoint it is made visible again
    /// after `delay`, as far as the queue can, and is then received and handed out anew. The caller has to drop its rows.
    ///
    /// # Errors
    /// [`SourceErrorKind::Unsupported`] when a barrier has been cut since the message was handed out, or from a source that
    /// cannot do this.
    fn retry_later(&mut self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        let text = format!("message {} cannot be given back for {delay:?}: this source cannot do that", message.id);
        Err(SourceError::new(SourceErrorKind::Unsupported, text))
    }

    /// Cuts the barrier of checkpoint `id` and returns the state to save under it. Dead letters of what it covers are
    /// durable by then.
    ///
    /// # Errors
    /// When `id` is not later than an earlier one, or a dead letter cannot be written.
    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError>;

    /// As [`checkpoint`](Self::checkpoint), with the barrier inside of what was handed out: the messages `later` belong to
    /// the next epoch. For a caller that uses a batch message by message. It must have used no row of them: after a crash
    /// they are handed out again. Ids of an earlier epoch are passed over; a repeated `id` gives the first state again.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint); [`SourceErrorKind::Unsupported`] from a source that cannot do it, which then goes
    /// on as if it had not been asked.
    async fn checkpoint_before(&mut self, id: CheckpointId, later: &[MessageKey]) -> Result<SourceState, SourceError> {
        if later.is_empty() {
            return self.checkpoint(id).await;
        }
        let text = "this source takes checkpoints between batches only: use every row of the last batch first";
        Err(SourceError::new(SourceErrorKind::Unsupported, text))
    }

    /// Says that checkpoint `id` is durable and its sinks have committed. Returns once its dead letters, if there are any,
    /// are where they belong; deletes run in the background.
    ///
    /// # Errors
    /// When no such checkpoint was taken or restored, or a dead letter cannot be put in its place.
    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError>;

    /// Says that the store [keeps parts](crate::CheckpointStore::keeps_parts): once a checkpoint is committed, later states may name its
    /// parts without their bytes, which the source then need not hold. Never said of a store that has to be given the whole
    /// state each time. A source that holds them anyway does nothing.
    fn rely_on_stored_parts(&mut self) {}

    /// Says that checkpoint `id` was not saved for certain; its rows belong to the next one.
    ///
    /// # Errors
    /// None at present; reserved.
    async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError>;

    /// Ends receiving. What is buffered is still handed out by [`next`](Self::next), then `None`.
    async fn stop(&mut self);

    /// Finishes the deletes of what is committed, makes everything else visible again, and says how it went. Commits nothing.
    ///
    /// # Errors
    /// When a delete is denied: the report would hide that the queue keeps what was processed.
    async fn drain(&mut self, deadline: Duration) -> Result<DrainReport, SourceError>;

    /// Where the source stands, for showing and for deciding that it is idle.
    fn status(&self) -> SourceStatus;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: Source + ?Sized> Source for Box<S> {
    fn schema(&self) -> SchemaRef {
        (**self).schema()
    }

    fn delivery(&self) -> Delivery {
        (**self).delivery()
    }

    fn guarantee(&self) -> String {
        (**self).guarantee()
    }

    fn identity(&self) -> String {
        (**self).identity()
    }

    async fn restore(&mut self, id: CheckpointId, state: SourceState) -> Result<(), SourceError> {
        (**self).restore(id, state).await
    }

    async fn next(&mut self) -> Result<Option<Event>, SourceError> {
        (**self).next().await
    }

    fn reject(&mut self, message: &MessageMeta, reason: BadRecord) -> Result<(), SourceError> {
        (**self).reject(message, reason)
    }

    fn retry_later(&mut self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        (**self).retry_later(message, delay)
    }

    async fn checkpoint(&mut self, id: CheckpointId) -> Result<SourceState, SourceError> {
        (**self).checkpoint(id).await
    }

    async fn checkpoint_before(&mut self, id: CheckpointId, later: &[MessageKey]) -> Result<SourceState, SourceError> {
        (**self).checkpoint_before(id, later).await
    }

    async fn commit(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        (**self).commit(id).await
    }

    fn rely_on_stored_parts(&mut self) {
        (**self).rely_on_stored_parts();
    }

    async fn abort(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        (**self).abort(id).await
    }

    async fn stop(&mut self) {
        (**self).stop().await;
    }

    async fn drain(&mut self, deadline: Duration) -> Result<DrainReport, SourceError> {
        (**self).drain(deadline).await
    }

    fn status(&self) -> SourceStatus {
        (**self).status()
    }
}

/// What [`Source::next`] yields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Rows, now handed out.
    Batch(Batch),
    /// A checkpoint should be taken now.
    CheckpointDue(DueReason),
}

/// A source's durable state: immutable parts, each with a name unique to its content, so that a store writes a part once
/// however many checkpoints list it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceState {
    /// Whose state it is ([`Source::identity`]).
    pub identity: String,
    /// What comes before `parts` and is only named: a committed checkpoint listed it, so the store has it. Empty unless the store
    /// [keeps parts](crate::CheckpointStore::keeps_parts), and in every state that is read back.
    pub stored: Vec<StoredPart>,
    /// The parts, in order.
    pub parts: Vec<StatePart>,
}

/// A part of a state that its store has, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StoredPart {
    /// As [`StatePart::name`].
    pub name: String,
    /// The number of its bytes.
    pub len: u64,
}

impl StoredPart {
    /// A part from its name and length.
    #[must_use]
    pub const fn new(name: String, len: u64) -> Self {
        Self { name, len }
    }
}

/// One immutable part of a state.
#[derive(Clone, PartialEq, Eq)]
pub struct StatePart {
    /// Unique to the content; `[0-9a-z-]` only, so safe as a file name.
    pub name: String,
    /// The content.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceState({}, {} parts)", self.identity, self.stored.len() + self.parts.len())
    }
}

impl fmt::Debug for StatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatePart({}, {} bytes)", self.name, self.bytes.len())
    }
}

impl SourceState {
    /// A state from its parts.
    #[must_use]
    pub const fn new(identity: String, parts: Vec<StatePart>) -> Self {
        Self { identity, stored: Vec::new(), parts }
    }

    /// With the parts that come before and that the store has.
    #[must_use]
    pub fn with_stored(mut self, stored: Vec<StoredPart>) -> Self {
        self.stored = stored;
        self
    }
}

/// How a source ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Deletes confirmed by the queue during the drain.
    pub deleted: u64,
    /// Committed messages whose delete is not confirmed: they come back and are deleted by the next run.
    pub unconfirmed: u64,
    /// Uncommitted messages made visible again.
    pub released: u64,
    /// Uncommitted messages that could not be: visible again at the end of their lease.
    pub left: u64,
    /// Polls that were cut because they outlasted the deadline: what the queue gave them meanwhile, if anything, is visible
    /// again at the end of its lease.
    pub polls_cut: u64,
    /// Messages that are in the source's own log and were not handed out: the next start does so first.
    pub in_log: u64,
}

impl DrainReport {
    /// A report from its numbers.
    #[must_use]
    pub const fn new(deleted: u64, unconfirmed: u64, released: u64, left: u64) -> Self {
        Self { deleted, unconfirmed, released, left, polls_cut: 0, in_log: 0 }
    }

    /// The same with so many polls that were cut.
    #[must_use]
    pub const fn with_polls_cut(mut self, polls: u64) -> Self {
        self.polls_cut = polls;
        self
    }

    /// The same, with messages that stay in the source's own log.
    #[must_use]
    pub const fn with_in_log(mut self, in_log: u64) -> Self {
        self.in_log = in_log;
        self
    }
}

/// Where a source stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceStatus {
    /// Messages received, first deliveries and redeliveries.
    pub received: u64,
    /// Redeliveries dropped.
    pub duplicates: u64,
    /// Rows handed out.
    pub rows: u64,
    /// Deletes confirmed.
    pub deleted: u64,
    /// Messages in which something was wrong, whatever became of them.
    pub bad: u64,
    /// Messages that went to the dead letters, under committed checkpoints.
    pub dead_letters: u64,
    /// Messages received and not handed out.
    pub buffered: u64,
    /// Messages handed out and not committed.
    pub uncommitted: u64,
    /// Committed messages with a live handle, about to be deleted.
    pub deletable: u64,
    /// Committed messages whose delete is unconfirmed.
    pub unconfirmed: u64,
    /// How old the newest message was when it was handed out, by the queue's clock; `None` before the first.
    pub lag: Option<Duration>,
    /// Since when, on the source's monotonic clock, every poll has ended empty or is parked and nothing is buffered,
    /// uncommitted, about to be deleted or leased; `None` while that is not so.
    pub idle_since: Option<headwater_ledger::Mono>,
    /// Before this, on the source's monotonic clock, it is not idle whatever happens: messages may still be leased to it or
    /// to an earlier run.
    pub busy_until: Option<headwater_ledger::Mono>,
}

/// What a failed source means for its user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SourceErrorKind {
    /// A restart may help.
    Failed,
    /// The configuration is wrong.
    Configuration,
    /// The saved state is refused.
    State,
    /// The queue denies access.
    Denied,
    /// A message cannot be decoded and the policy is to fail, or there are too many of them.
    BadData,
    /// The source cannot do what was asked, and has not failed by it.
    Unsupported,
}

/// A failed source. `Display` says what happened and the way out, `source()` the cause.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What it means for the user.
    pub kind: SourceErrorKind,
    message: String,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// An error with its whole text.
    #[must_use]
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the cause, which `Display` does not repeat.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}
