//! The lower waist: what a message queue must do to become an exactly-once source.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
pub use headwater_ledger::{DeleteOutcome, Handle, ServerMs, SharedStr};

/// A message queue with leases: receive, delete, extend, and a word on what it can do.
///
/// # Contract
/// * A received message is leased to the receiver and comes back unless it is deleted: at-least-once delivery.
/// * [`receive`](Self::receive) returns at most `max` messages, at once when there are any, else after at most `wait`.
///   An empty answer is `Ok` with no messages, never an error. It must end by itself: implementations put a deadline of
///   `wait` plus a margin on the call. A message that is known to have come damaged is not among `messages`, but in
///   [`Received::damaged`].
/// * [`delete`](Self::delete) takes at most [`Capabilities::max_delete`] handles, none twice, never an empty list, and returns one
///   outcome each, in order. `Deleted` may only be said on the queue's own word. No answer is `Unknown`, not `Failed`.
/// * [`extend`](Self::extend) sets the lease anew, measured from the call, and returns the handle to use from then on.
///
/// # Cancellation
/// Dropping a future abandons the call; it may still have its effect at the queue. A dropped receive may lease messages
/// that nobody sees until their lease ends, so callers let receives run out where they can.
///
/// # Ordering
/// None between calls. Calls may run side by side; a parked receive must not delay a delete (separate connections).
///
/// # Errors
/// [`QueueError::kind`] says what the caller can do. Retrying what is safe to retry within one call is the
/// implementation's business; pacing repeated calls is the caller's.
///
/// # Wrappers
/// A wrapper forwards every method, `describe` included. `headwater-testkit` has the conformance suite that every
/// implementation and every wrapper runs.
#[async_trait]
pub trait Queue: Send + Sync + fmt::Debug + 'static {
    /// Which queue this is: state is keyed by it, so it must not depend on the URL or the credentials used.
    fn identity(&self) -> QueueIdentity;

    /// What the queue can do. Constant for the life of the value.
    fn capabilities(&self) -> Capabilities;

    /// Reads what the queue says of itself. Never changes anything.
    ///
    /// # Errors
    /// [`QueueErrorKind::Denied`] is common (a consumer may only be allowed to receive and delete) and not fatal here.
    async fn describe(&self) -> Result<Description, QueueError>;

    /// Leases up to `request.max` messages to the caller.
    ///
    /// # Errors
    /// See the trait. [`QueueErrorKind::Unreadable`] asks to be tried again with `max` 1.
    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError>;

    /// Deletes messages by the handles of their newest delivery.
    ///
    /// # Errors
    /// When the call as a whole was refused and nothing was deleted. If that is not certain, return `Ok` with `Unknown`.
    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError>;

    /// Sets one message's lease to `lease` from now. One second is the shortest: "make it visible again".
    ///
    /// # Errors
    /// [`QueueErrorKind::Gone`] when the handle is dead or the message does not exist.
    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError>;
}

/// A queue's name in the world: the account that owns it, and its name there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueIdentity {
    /// The owning account; empty if the endpoint does not tell.
    pub account: String,
    /// The queue's name.
    pub name: String,
}

impl fmt::Display for QueueIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.name)
    }
}

/// What a queue can do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Messages in one receive at most (MNS: 16).
    pub max_receive: u32,
    /// Handles in one delete at most (MNS: 16).
    pub max_delete: u32,
    /// The longest wait of a receive (MNS: 30 s); zero if it cannot wait.
    pub max_wait: Duration,
    /// Whether [`Queue::extend`] works (RocketMQ over HTTP: no).
    pub can_extend: bool,
    /// The shortest and the longest lease that `extend` takes (MNS: 1 s to 43,200 s).
    pub lease_range: (Duration, Duration),
    /// Whether `extend` replaces the handle (MNS: yes; SQS: no).
    pub handle_changes_on_extend: bool,
    /// Whether deleting with an outdated handle is an error (MNS: yes). If it may be accepted and do nothing (SQS), a
    /// confirmation for an outdated handle proves nothing.
    pub stale_delete_is_error: bool,
    /// Whether a message keeps its id over redeliveries. Without it there is no exactly-once.
    pub stable_ids: bool,
    /// Whether a handle outlives the connection it came over (MNS: yes; RabbitMQ: no).
    pub handle_outlives_connection: bool,
    /// The longest time the queue keeps a message, if attributes cannot be read (MNS: 1,296,000 s on the oldest pages).
    pub max_retention: Duration,
    /// The largest body (MNS: 65,536 bytes).
    pub max_message_bytes: u64,
}

impl Capabilities {
    /// The values of MNS; change what differs.
    #[must_use]
    pub const fn mns() -> Self {
        Self {
            max_receive: 16,
            max_delete: 16,
            max_wait: Duration::from_secs(30),
            can_extend: true,
            lease_range: (Duration::from_secs(1), Duration::from_secs(43_200)),
            handle_changes_on_extend: true,
            stale_delete_is_error: true,
            stable_ids: true,
            handle_outlives_connection: true,
            max_retention: Duration::from_secs(1_296_000),
            max_message_bytes: 65_536,
        }
    }
}

/// What a queue says of itself; `None` where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The lease of a received message.
    pub lease: Option<Duration>,
    /// How long a message is kept from its send.
    pub retention: Option<Duration>,
    /// The largest body.
    pub max_message_bytes: Option<u64>,
}

impl Description {
    /// A description from its parts.
    #[must_use]
    pub const fn new(lease: Option<Duration>, retention: Option<Duration>, max_message_bytes: Option<u64>) -> Self {
        Self { lease, retention, max_message_bytes }
    }
}

/// One receive call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveRequest {
    /// At most this many messages, 1 or more.
    pub max: u32,
    /// How long to wait for the first one.
    pub wait: Duration,
}

/// The answer to a receive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The messages, in the order of the answer; none is normal.
    pub messages: Vec<Message>,
    /// The queue's clock when it answered, if it said so.
    pub server_time: Option<ServerMs>,
    /// What came with them and is not as the queue has it.
    pub damaged: Vec<Damaged>,
}

impl Received {
    /// An answer from its parts.
    #[must_use]
    pub const fn new(messages: Vec<Message>, server_time: Option<ServerMs>) -> Self {
        Self { messages, server_time, damaged: Vec::new() }
    }

    /// The same answer, in which these came damaged.
    #[must_use]
    pub fn with_damaged(mut self, damaged: Vec<Damaged>) -> Self {
        self.damaged = damaged;
        self
    }
}

/// A message whose body is not what the queue says it is, by the queue's own checksum: damaged on its way, or in the queue. It is leased
/// like those beside it, and comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damaged {
    /// Its id, as it came.
    pub id: SharedStr,
    /// How often it was delivered, this time included; 0 if the queue does not say.
    pub dequeue_count: u32,
    /// The checksum that the queue gives.
    pub told: String,
    /// The checksum of the body that came.
    pub found: String,
}

impl Damaged {
    /// A damaged message from its parts.
    #[must_use]
    pub fn new(id: impl Into<SharedStr>, dequeue_count: u32, told: String, found: String) -> Self {
        Self { id: id.into(), dequeue_count, told, found }
    }
}

/// One delivery of one message. `Debug` shows the body's size, never the body: it holds other people's data.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The id it keeps over redeliveries.
    pub id: SharedStr,
    /// What deletes or extends this delivery.
    pub handle: Handle,
    /// The body as the queue gave it, before any decoding.
    pub body: Bytes,
    /// How often it was delivered, this time included; 0 if the queue does not say.
    pub dequeue_count: u32,
    /// When the queue took it.
    pub enqueued: Option<ServerMs>,
    /// When it was first delivered.
    pub first_dequeued: Option<ServerMs>,
    /// When this lease ends, by the queue's clock.
    pub next_visible: Option<ServerMs>,
    /// The queue's priority (MNS: 1 highest to 16).
    pub priority: Option<u8>,
    /// The message group of an ordered queue.
    pub group: Option<Arc<str>>,
    /// The sender's properties.
    pub properties: Vec<Property>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("handle", &self.handle)
            .field("body_bytes", &self.body.len())
            .field("dequeue_count", &self.dequeue_count)
            .field("enqueued", &self.enqueued)
            .field("next_visible", &self.next_visible)
            .finish_non_exhaustive()
    }
}

impl Message {
    /// A message with nothing but its id, handle and body.
    #[must_use]
    pub fn new(id: impl Into<SharedStr>, handle: Handle, body: Bytes) -> Self {
        Self {
            id: id.into(),
            handle,
            body,
            dequeue_count: 0,
            enqueued: None,
            first_dequeued: None,
            next_visible: None,
            priority: None,
            group: None,
            properties: Vec::new(),
        }
    }
}

/// A property that the sender attached; its value as text, whatever its declared type. `Debug` shows the value's size, as
/// that of a message does of its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: Arc<str>,
    /// Its value as text.
    pub value: Arc<str>,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Property").field("name", &self.name).field("value_bytes", &self.value.len()).finish()
    }
}

/// The answer to an extend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// The handle to use from now on; the old one is dead where [`Capabilities::handle_changes_on_extend`].
    pub handle: Handle,
    /// When the new lease ends, by the queue's clock.
    pub next_visible: Option<ServerMs>,
}

/// What the caller can do about a failed call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum QueueErrorKind {
    /// Try again after a pause: network, time-out, 5xx.
    Transient,
    /// Try again after a longer pause: the service asks for fewer calls.
    Throttled,
    /// The answer could not be read; fewer messages may help.
    Unreadable,
    /// This handle or message is no more.
    Gone,
    /// The caller may not do this. Fatal for receive and delete.
    Denied,
    /// The credentials or the signature are refused. Fatal.
    Credentials,
    /// The clocks are too far apart for a signature to be accepted. Fatal until the clock is set.
    ClockSkew,
    /// There is no such queue. Fatal.
    NoSuchQueue,
    /// The service refuses the request as such: a wrong endpoint, a wrong argument. Fatal.
    Refused,
}

impl QueueErrorKind {
    /// Whether repeating the call unchanged cannot help.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        matches!(self, Self::Denied | Self::Credentials | Self::ClockSkew | Self::NoSuchQueue | Self::Refused)
    }
}

/// A failed queue call. `Display` names endpoint, queue, operation, code and the way out; never a secret or a body.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct QueueError {
    /// What the caller can do.
    pub kind: QueueErrorKind,
    message: String,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl QueueError {
    /// An error with its whole text.
    #[must_use]
    pub fn new(kind: QueueErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the cause, which `Display` does not repeat.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}
