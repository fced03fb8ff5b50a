//! A strict queue in memory whose leases really end, by a clock that a test moves.

mod journal;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{poll_fn, select};
use headwater_core::{
    Capabilities, Clock, DeleteOutcome, Description, Extended, Handle, Queue, QueueError, QueueErrorKind,
    QueueIdentity, ReceiveRequest, Received, ServerMs, SharedStr,
};

pub use self::journal::{Entry, Operation, QueueEvent};
pub use self::state::Outgoing;

use self::journal::Journal;
use self::state::{Now, State};

/// How a [`MemoryQueue`] is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryQueueOptions {
    /// Account and name.
    pub identity: QueueIdentity,
    /// The lease of a received message. 30 s, the default of MNS.
    pub lease: Duration,
    /// How long a message is kept from its send. 345,600 s, the default of MNS.
    pub retention: Duration,
    /// What the queue says it can do, and enforces: batch sizes, waits, leases, body size. Those of MNS.
    pub capabilities: Capabilities,
}

impl Default for MemoryQueueOptions {
    fn default() -> Self {
        Self {
            identity: QueueIdentity { account: "123456789".into(), name: "orders".into() },
            lease: Duration::from_secs(30),
            retention: Duration::from_secs(345_600),
            capabilities: Capabilities::mns(),
        }
    }
}

/// A queue in memory, stricter than a real one so that what passes here passes there.
///
/// * A lease ends when the clock says so; the message is then visible again and its handle dead. There is no task behind
///   this that could stop: every call first lets time pass, and a parked receive sleeps until the next lease ends.
/// * A handle works for one delivery: a redelivery, an extend and a delete kill it.
/// * Calls outside the limits, an empty delete and a handle listed twice are refused.
/// * Messages are received in the order in which they were sent, ids and handles are the same in every run: one history
///   gives one trace.
///
/// Clones are the same queue. What was sent, handles and ids are kept for inspection, so memory grows with the messages sent.
///
/// ```
/// # use std::time::Duration;
/// use futures::executor::block_on;
/// use headwater_core::{ManualClock, Queue, ReceiveRequest, WallMs};
/// use headwater_testkit::{MemoryQueue, MemoryQueueOptions};
///
/// let clock = ManualClock::new(WallMs(1_700_000_000_000));
/// let queue = MemoryQueue::new(&clock, MemoryQueueOptions::default());
/// let id = queue.send("hello");
/// let request = ReceiveRequest { max: 16, wait: Duration::ZERO };
/// assert_eq!(block_on(queue.receive(request)).unwrap().messages[0].id, id);
/// assert!(queue.visible().is_empty());
/// clock.advance(Duration::from_secs(30));
/// assert_eq!(queue.visible(), [id]);
/// ```
#[derive(Clone)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    options: MemoryQueueOptions,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    journal: Journal,
    denied: BTreeSet<Operation>,
    missing: bool,
    /// Changes whenever a parked receive should look again.
    generation: u64,
    next_waiter: u64,
    waiters: BTreeMap<u64, Waker>,
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryQueue({})", self.shared.options.identity)
    }
}

impl MemoryQueue {
    /// An empty queue on `clock`.
    #[must_use]
    pub fn new(clock: &(impl Clock + Clone), options: MemoryQueueOptions) -> Self {
        let inner = Inner {
            state: State::new(options.lease, options.retention),
            journal: Journal::default(),
            denied: BTreeSet::new(),
            missing: false,
            generation: 0,
            next_waiter: 0,
            waiters: BTreeMap::new(),
        };
        Self { shared: Arc::new(Shared { clock: Arc::new(clock.clone()), options, inner: Mutex::new(inner) }) }
    }

    /// Sends a message and returns its id.
    ///
    /// # Panics
    /// When the body is larger than the queue takes: the test is wrong.
    pub fn send(&self, body: impl Into<Bytes>) -> SharedStr {
        self.send_message(Outgoing { body: body.into(), ..Outgoing::default() })
    }

    /// Sends a message with all that a sender can say.
    ///
    /// # Panics
    /// When the body is larger than the queue takes: the test is wrong.
    pub fn send_message(&self, outgoing: Outgoing) -> SharedStr {
        let max = self.shared.options.capabilities.max_message_bytes;
        assert!(outgoing.body.len() as u64 <= max, "a body of {} bytes; the limit is {max}", outgoing.body.len());
        let now = self.shared.now();
        self.shared.change(now, |inner| {
            let id = inner.state.send(outgoing, now);
            inner.journal.note(now.mono, QueueEvent::Sent(id.clone()));
            id
        })
    }

    /// Ends a message's lease or delay now, as if its time were over. False if there is no such message or it is visible.
    pub fn reveal(&self, id: &str) -> bool {
        self.shared.change(self.shared.now(), |inner| inner.state.reveal(id))
    }

    /// Removes a message without a trace, as an operator or a dead-letter policy would. False if there is no such message.
    pub fn discard(&self, id: &str) -> bool {
        self.shared.change(self.shared.now(), |inner| inner.state.discard(id))
    }

    /// From now on the caller may not do this: [`QueueErrorKind::Denied`].
    pub fn deny(&self, operation: Operation) {
        self.shared.change(self.shared.now(), |inner| _ = inner.denied.insert(operation));
    }

    /// The caller may do this again.
    pub fn allow(&self, operation: Operation) {
        self.shared.change(self.shared.now(), |inner| _ = inner.denied.remove(&operation));
    }

    /// From now on there is no such queue: [`QueueErrorKind::NoSuchQueue`].
    pub fn remove_queue(&self) {
        self.shared.change(self.shared.now(), |inner| inner.missing = true);
    }

    /// Messages that a receive would get now, oldest send first.
    #[must_use]
    pub fn visible(&self) -> Vec<SharedStr> {
        self.look(State::visible)
    }

    /// Messages under a running lease, oldest send first.
    #[must_use]
    pub fn leased(&self) -> Vec<SharedStr> {
        self.look(State::leased)
    }

    /// Messages neither deleted nor expired, oldest send first.
    #[must_use]
    pub fn remaining(&self) -> Vec<SharedStr> {
        self.look(State::remaining)
    }

    /// Messages deleted by their handles, in the order of their deletes.
    #[must_use]
    pub fn deleted(&self) -> Vec<SharedStr> {
        self.look(State::deleted)
    }

    /// Messages dropped because their retention was over.
    #[must_use]
    pub fn expired(&self) -> Vec<SharedStr> {
        self.look(State::expired)
    }

    /// The most messages that were ever under lease at once.
    #[must_use]
    pub fn most_leased(&self) -> usize {
        self.look(State::most_leased)
    }

    /// Everything that was asked and answered, oldest first (the last 100,000 events).
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.lock().journal.entries()
    }

    fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.shared.caught_up(self.shared.now()).state)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now { mono: self.clock.now(), server: ServerMs(self.clock.wall().0) }
    }

    fn caught_up(&self, now: Now) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        inner.state.catch_up(now);
        inner
    }

    /// Changes the queue in a way that parked receives must look at.
    fn change<T>(&self, now: Now, change: impl FnOnce(&mut Inner) -> T) -> T {
        let (out, waiters) = {
            let mut inner = self.caught_up(now);
            let out = change(&mut inner);
            inner.generation += 1;
            (out, std::mem::take(&mut inner.waiters))
        };
        // Outside of the lock: a waker may run the receive at once.
        for waker in waiters.into_values() {
            waker.wake();
        }
        out
    }

    /// Refuses what a real queue would refuse.
    fn admit(&self, operation: Operation, problem: Option<String>) -> Result<Now, QueueError> {
        let now = self.now();
        let mut inner = self.caught_up(now);
        let (kind, why) = if inner.missing {
            (QueueErrorKind::NoSuchQueue, "there is no such queue; create it or correct the name".into())
        } else if inner.denied.contains(&operation) {
            (QueueErrorKind::Denied, "access denied; grant the right to it".into())
        } else if let Some(problem) = problem {
            (QueueErrorKind::Refused, problem)
        } else {
            return Ok(now);
        };
        inner.journal.note(now.mono, QueueEvent::Refused { operation, why: why.clone() });
        Err(QueueError::new(kind, format!("{}: {}: {why}", self.options.identity, operation.as_str())))
    }

    fn receive_problem(&self, request: ReceiveRequest) -> Option<String> {
        let limits = &self.options.capabilities;
        if request.max == 0 || request.max > limits.max_receive {
            Some(format!("max is {}; it must lie between 1 and {}", request.max, limits.max_receive))
        } else if request.wait > limits.max_wait {
            Some(format!("wait is {:?}; the longest is {:?}", request.wait, limits.max_wait))
        } else {
            None
        }
    }

    fn delete_problem(&self, handles: &[Handle]) -> Option<String> {
        let max = self.options.capabilities.max_delete as usize;
        if handles.is_empty() || handles.len() > max {
            return Some(format!("{} handles; there must be 1 to {max}", handles.len()));
        }
        let distinct: BTreeSet<&Handle> = handles.iter().collect();
        (distinct.len() < handles.len()).then(|| "a handle is listed twice".into())
    }

    fn extend_problem(&self, lease: Duration) -> Option<String> {
        let limits = &self.options.capabilities;
        let (shortest, longest) = limits.lease_range;
        if !limits.can_extend {
            Some("this queue cannot extend a lease".into())
        } else if lease < shortest || lease > longest {
            Some(format!("a lease of {lease:?}; it must lie between {shortest:?} and {longest:?}"))
        } else {
            None
        }
    }
}

/// A receive that has begun: notes in the journal if it is dropped, and gives up its place among the waiters.
struct Parked<'a> {
    shared: &'a Shared,
    number: u64,
    answered: bool,
}

impl<'a> Parked<'a> {
    fn begin(shared: &'a Shared, request: ReceiveRequest) -> Self {
        let mut inner = shared.lock();
        let number = inner.next_waiter;
        inner.next_waiter += 1;
        let event = QueueEvent::ReceiveBegan { max: request.max, wait: request.wait };
        inner.journal.note(shared.clock.now(), event);
        drop(inner);
        Self { shared, number, answered: false }
    }

    /// Ready once the queue's generation is past `seen`.
    fn changed(&self, seen: u64) -> impl Future<Output = ()> + '_ {
        poll_fn(move |cx| {
            let mut inner = self.shared.lock();
            if inner.generation != seen {
                return Poll::Ready(());
            }
            inner.waiters.insert(self.number, cx.waker().clone());
            Poll::Pending
        })
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        let at = self.shared.clock.now();
        let mut inner = self.shared.lock();
        inner.waiters.remove(&self.number);
        if !self.answered {
            inner.journal.note(at, QueueEvent::ReceiveDropped);
        }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn identity(&self) -> QueueIdentity {
        self.shared.options.identity.clone()
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.options.capabilities.clone()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        let now = self.shared.admit(Operation::Describe, None)?;
        self.shared.lock().journal.note(now.mono, QueueEvent::Described);
        let options = &self.shared.options;
        let max_bytes = options.capabilities.max_message_bytes;
        Ok(Description::new(Some(options.lease), Some(options.retention), Some(max_bytes)))
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let shared = &*self.shared;
        let began = shared.admit(Operation::Receive, shared.receive_problem(request))?;
        let deadline = began.mono + request.wait;
        let mut parked = Parked::begin(shared, request);
        loop {
            let now = shared.now();
            let (seen, next) = {
                let mut inner = shared.caught_up(now);
                let messages = inner.state.lease(request.max, now);
                if !messages.is_empty() || now.mono >= deadline {
                    let ids = messages.iter().map(|message| message.id.clone()).collect();
                    inner.journal.note(now.mono, QueueEvent::Received(ids));
                    parked.answered = true;
                    return Ok(Received::new(messages, Some(now.server)));
                }
                (inner.generation, inner.state.next_change().map_or(deadline, |next| next.min(deadline)))
            };
            select(pin!(parked.changed(seen)), shared.clock.sleep_until(next)).await;
            // The queue may have been removed or denied meanwhile.
            shared.admit(Operation::Receive, None)?;
        }
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        let now = self.shared.admit(Operation::Delete, self.shared.delete_problem(handles))?;
        let mut inner = self.shared.caught_up(now);
        let outcomes: Vec<_> = handles.iter().map(|handle| inner.state.delete(handle)).collect();
        let named = handles.iter().map(|handle| inner.state.issued_for(handle)).zip(outcomes.iter().copied()).collect();
        inner.journal.note(now.mono, QueueEvent::Deleted(named));
        Ok(outcomes)
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        let now = self.shared.admit(Operation::Extend, self.shared.extend_problem(lease))?;
        let extended = self.shared.change(now, |inner| {
            let id = inner.state.issued_for(handle);
            let extended = inner.state.extend(handle, lease, now);
            let event = match (&extended, id) {
                (Some(_), Some(id)) => QueueEvent::Extended { id, lease },
                (_, id) => QueueEvent::ExtendRefused(id),
            };
            inner.journal.note(now.mono, event);
            extended
        });
        extended.ok_or_else(|| {
            let identity = &self.shared.options.identity;
            QueueError::new(QueueErrorKind::Gone, format!("{identity}: extend: the handle is dead; await a redelivery"))
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::{FutureExt, join};
    use headwater_core::{ManualClock, Message, WallMs};

    use super::*;
    use crate::time::pass;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue() -> (ManualClock, MemoryQueue) {
        let clock = ManualClock::new(WallMs(1_700_000_000_000));
        (clock.clone(), MemoryQueue::new(&clock, MemoryQueueOptions::default()))
    }

    fn receive(queue: &MemoryQueue) -> Vec<Message> {
        block_on(queue.receive(ReceiveRequest { max: 16, wait: Duration::ZERO })).unwrap().messages
    }

    #[test]
    fn times_and_counts_are_those_of_the_service() {
        let (clock, queue) = queue();
        queue.send("a");
        clock.advance(SECOND);
        receive(&queue);
        clock.advance(SECOND * 30);
        let again = &receive(&queue)[0];
        let times =
            [again.enqueued, again.first_dequeued, again.next_visible].map(|time| time.unwrap().0 - 1_700_000_000_000);
        assert_eq!((again.dequeue_count, times), (2, [0, 1_000, 61_000]));
    }

    #[test]
    fn a_parked_receive_wakes_for_a_lease_that_ends_and_for_one_that_is_cut_short() {
        let (clock, queue) = queue();
        queue.send("a");
        let held = receive(&queue).remove(0);
        let long = ReceiveRequest { max: 1, wait: SECOND * 30 };
        let mut parked = queue.receive(long);
        assert!((&mut parked).now_or_never().is_none());
        block_on(queue.extend(&held.handle, SECOND)).unwrap();
        let (answer, ()) = block_on(join(parked, pass(&clock, SECOND)));
        assert_eq!(answer.unwrap().messages[0].dequeue_count, 2);
        let (answer, ()) = block_on(join(queue.receive(long), pass(&clock, SECOND * 30)));
        assert_eq!(answer.unwrap().messages[0].dequeue_count, 3);
    }

    #[test]
    fn what_a_service_refuses_is_refused() {
        let (_, queue) = queue();
        queue.send("a");
        let handle = receive(&queue)[0].handle.clone();
        let ask = |max, wait| block_on(queue.receive(ReceiveRequest { max, wait })).map(|_| ());
        let delete = |handles: &[Handle]| block_on(queue.delete(handles)).map(|_| ());
        let extend = |lease| block_on(queue.extend(&handle, lease)).map(|_| ());
        let refused = [
            ask(0, SECOND),
            ask(17, SECOND),
            ask(1, SECOND * 31),
            delete(&[]),
            delete(&[handle.clone(), handle.clone()]),
            delete(&vec![handle.clone(); 17]),
            extend(Duration::ZERO),
            extend(SECOND * 43_201),
        ];
        for answer in refused {
            assert_eq!(answer.unwrap_err().kind, QueueErrorKind::Refused);
        }
        assert_eq!(queue.deleted(), Vec::<SharedStr>::new());
        queue.deny(Operation::Delete);
        assert_eq!(delete(std::slice::from_ref(&handle)).unwrap_err().kind, QueueErrorKind::Denied);
        queue.allow(Operation::Delete);
        delete(&[handle]).unwrap();
    }

    #[test]
    fn a_parked_receive_learns_that_its_queue_was_removed() {
        let (_, queue) = queue();
        let mut parked = queue.receive(ReceiveRequest { max: 1, wait: SECOND });
        assert!((&mut parked).now_or_never().is_none());
        queue.remove_queue();
        assert_eq!(block_on(parked).unwrap_err().kind, QueueErrorKind::NoSuchQueue);
    }

    #[test]
    fn retention_and_delay_are_kept() {
        let (clock, queue) = queue();
        let late = queue.send_message(Outgoing { body: "b".into(), delay: SECOND, ..Outgoing::default() });
        assert_eq!((queue.visible().len(), queue.leased().len()), (0, 0));
        clock.advance(SECOND);
        assert_eq!(queue.visible(), std::slice::from_ref(&late));
        clock.advance(MemoryQueueOptions::default().retention);
        assert_eq!((queue.remaining().len(), queue.expired()), (0, vec![late]));
    }

    #[test]
    fn the_journal_tells_the_story() {
        let (_, queue) = queue();
        let id = queue.send("a");
        let handle = receive(&queue)[0].handle.clone();
        drop(queue.receive(ReceiveRequest { max: 1, wait: SECOND }).now_or_never());
        block_on(queue.delete(&[handle])).unwrap();
        let events: Vec<_> = queue.journal().into_iter().map(|entry| entry.event).collect();
        let expected = [
            QueueEvent::Sent(id.clone()),
            QueueEvent::ReceiveBegan { max: 16, wait: Duration::ZERO },
            QueueEvent::Received(vec![id.clone()]),
            QueueEvent::ReceiveBegan { max: 1, wait: SECOND },
            QueueEvent::ReceiveDropped,
            QueueEvent::Deleted(vec![(Some(id.clone()), DeleteOutcome::Deleted)]),
        ];
        assert_eq!((events, queue.most_leased()), (expected.to_vec(), 1));
    }
}
