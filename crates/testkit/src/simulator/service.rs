//! The service behind the queue, as a pure machine: implement [`Service`] to simulate a queue of your own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use headwater_core::{
    Capabilities, DeleteOutcome, Description, Extended, Handle, Message, QueueError, QueueIdentity, ReceiveRequest,
    Received, ServerMs,
};
use headwater_mns_proto::{NewMessage, QueueSettings};
use headwater_mns_server::random::Random;
use headwater_mns_server::state::{Account, Queue, Quirks};

/// A queue service without network, clock or randomness of its own: `now` is an argument, and it never waits. The
/// simulator makes a failing, slow, asynchronous [`Queue`](headwater_core::Queue) of it.
///
/// # Contract
/// * The same calls give the same answers.
/// * `now` is the service's own clock. It may be earlier than before: a service must cope with that.
/// * A message keeps its id over redeliveries; [`Message::id`] is what [`send`](Self::send) returned.
pub trait Service: Send + fmt::Debug {
    /// See [`Queue::identity`](headwater_core::Queue::identity).
    fn identity(&self) -> QueueIdentity;

    /// See [`Queue::capabilities`](headwater_core::Queue::capabilities).
    fn capabilities(&self) -> Capabilities;

    /// See [`Queue::describe`](headwater_core::Queue::describe).
    fn describe(&mut self) -> Description;

    /// Takes a message and says its id.
    fn send(&mut self, now: ServerMs, body: &str) -> String;

    /// Leases up to `max` visible messages.
    fn receive(&mut self, now: ServerMs, max: u32, quirk: Quirk) -> Vec<Message>;

    /// Deletes the message whose live handle this is; `false` if the handle is dead.
    fn delete(&mut self, now: ServerMs, handle: &Handle) -> bool;

    /// Sets a lease anew; `None` if the handle is dead.
    fn extend(&mut self, now: ServerMs, handle: &Handle, lease: Duration) -> Option<Extended>;

    /// Whether a receive would bring something.
    fn has_visible(&mut self, now: ServerMs) -> bool;

    /// When a message becomes visible by the clock alone, if one does.
    fn wakeup(&mut self) -> Option<ServerMs>;

    /// Messages that are neither deleted nor expired.
    fn remaining(&mut self, now: ServerMs) -> u64;
}

/// How one receive departs from the ordinary. A service that cannot do one of these ignores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirk {
    /// So many messages come from those leased to somebody else.
    pub duplicates: u32,
    /// The lease ends after this.
    pub lease: Option<Duration>,
    /// With a changed lease: whether the answer tells the truth about it.
    pub lease_told: bool,
}

/// MNS, by the state of `headwater-mns-server`.
#[derive(Debug)]
pub struct MnsService {
    account: Account,
}

const NAME: &str = "simulated";

impl MnsService {
    /// An empty queue with this lease; ids and handles follow from `seed`.
    ///
    /// # Panics
    /// When the lease is none that MNS takes: whole seconds, 1 to 43,200.
    #[must_use]
    pub fn new(seed: u64, now: ServerMs, lease: Duration) -> Self {
        let mut account = Account::new(Random::seeded(seed));
        let visibility_timeout = u32::try_from(lease.as_secs()).ok();
        let settings = QueueSettings { visibility_timeout, ..QueueSettings::default() };
        account.create_queue(millis(now), NAME, &settings).expect("a lease that MNS takes");
        Self { account }
    }

    fn queue(&mut self) -> &mut Queue {
        self.account.queue(NAME).expect("made in `new`, and never deleted")
    }
}

fn millis(now: ServerMs) -> u64 {
    u64::try_from(now.0).unwrap_or(0)
}

fn server(ms: u64) -> Option<ServerMs> {
    i64::try_from(ms).ok().filter(|ms| *ms > 0).map(ServerMs)
}

impl Service for MnsService {
    fn identity(&self) -> QueueIdentity {
        QueueIdentity { account: "1".into(), name: NAME.into() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::mns()
    }

    fn describe(&mut self) -> Description {
        let a = self.queue().attributes();
        let seconds = |s: u32| Some(Duration::from_secs(u64::from(s)));
        let (lease, retention) = (seconds(a.visibility_timeout), seconds(a.message_retention_period));
        Description::new(lease, retention, Some(u64::from(a.maximum_message_size)))
    }

    fn send(&mut self, now: ServerMs, body: &str) -> String {
        let sent = self.queue().send(millis(now), vec![NewMessage::new(body)]);
        sent.expect("a short body")[0].id.to_string()
    }

    fn receive(&mut self, now: ServerMs, max: u32, quirk: Quirk) -> Vec<Message> {
        let quirks = Quirks {
            duplicates: quirk.duplicates as usize,
            lease: quirk.lease.map(|lease| u64::try_from(lease.as_millis()).unwrap_or(0)),
            lease_told: quirk.lease_told,
        };
        let deliveries = self.queue().receive(millis(now), max as usize, quirks);
        let message = |delivery: headwater_mns_server::state::Delivery| {
            let from = delivery.message;
            let body = Bytes::copy_from_slice(from.content.body.as_bytes());
            let mut message = Message::new(from.id.to_string(), Handle::new(&delivery.handle), body);
            message.dequeue_count = from.dequeue_count;
            message.enqueued = server(from.enqueued);
            message.first_dequeued = server(from.first_dequeued);
            message.next_visible = server(delivery.next_visible);
            message
        };
        deliveries.into_iter().map(message).collect()
    }

    fn delete(&mut self, now: ServerMs, handle: &Handle) -> bool {
        self.queue().delete(millis(now), handle.as_str()).is_ok()
    }

    fn extend(&mut self, now: ServerMs, handle: &Handle, lease: Duration) -> Option<Extended> {
        let seconds = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX);
        let (handle, until) = self.queue().change_visibility(millis(now), handle.as_str(), seconds).ok()?;
        Some(Extended { handle: Handle::new(&handle), next_visible: server(until) })
    }

    fn has_visible(&mut self, now: ServerMs) -> bool {
        self.queue().has_visible(millis(now))
    }

    fn wakeup(&mut self) -> Option<ServerMs> {
        self.queue().next_wakeup().and_then(server)
    }

    fn remaining(&mut self, now: ServerMs) -> u64 {
        let counts = self.queue().counts(millis(now));
        (counts.visible + counts.leased + counts.delayed) as u64
    }
}

/// A queue that is asked for its attributes and for nothing else.
#[derive(Debug)]
pub(crate) struct Still;

#[async_trait]
impl headwater_core::Queue for Still {
    fn identity(&self) -> QueueIdentity {
        QueueIdentity { account: "1".into(), name: NAME.into() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::mns()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        Ok(Description::default())
    }

    async fn receive(&self, _: ReceiveRequest) -> Result<Received, QueueError> {
        std::future::pending().await
    }

    async fn delete(&self, _: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        std::future::pending().await
    }

    async fn extend(&self, _: &Handle, _: Duration) -> Result<Extended, QueueError> {
        std::future::pending().await
    }
}

/// What makes the service of a seed: the seed, the service's clock at its beginning, and the lease that was drawn.
pub type NewService = Arc<dyn Fn(u64, ServerMs, Duration) -> Box<dyn Service> + Send + Sync>;
