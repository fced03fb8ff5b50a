//! A memory queue whose calls can be made to hang, fail, panic or lie; and a clock that notices a busy loop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{
    Capabilities, Clock, DeleteOutcome, Description, Extended, Handle, ManualClock, Mono, Queue, QueueError,
    QueueErrorKind, QueueIdentity, ReceiveRequest, Received, Sleep, WallMs,
};
use headwater_testkit::{MemoryQueue, Operation};

/// Readings of the clock at one moment before it is called a busy loop: far above what any test here does in one.
const READINGS_MAX: u64 = 200_000;

/// A manual clock that panics when it is read without end while no time passes: a livelock would hang the test instead.
#[derive(Clone, Debug)]
pub(crate) struct SpinClock {
    inner: ManualClock,
    seen: Arc<(Mutex<Mono>, AtomicU64)>,
    all: Arc<AtomicU64>,
}

impl SpinClock {
    pub(crate) fn new(inner: &ManualClock) -> Self {
        Self { inner: inner.clone(), seen: Arc::default(), all: Arc::default() }
    }

    /// How often it was read so far.
    pub(crate) fn readings(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    fn read(&self) -> Mono {
        self.all.fetch_add(1, Ordering::Relaxed);
        let now = self.inner.now();
        let mut last = self.seen.0.lock().expect("a clock");
        if *last != now {
            *last = now;
            self.seen.1.store(0, Ordering::Relaxed);
        }
        let readings = self.seen.1.fetch_add(1, Ordering::Relaxed);
        assert!(readings < READINGS_MAX, "a busy loop: the clock was read {readings} times at {now:?}");
        now
    }
}

impl Clock for SpinClock {
    fn now(&self) -> Mono {
        self.read()
    }

    fn wall(&self) -> WallMs {
        self.inner.wall()
    }

    fn sleep_until(&self, deadline: Mono) -> Sleep {
        self.read();
        self.inner.sleep_until(deadline)
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Never answered.
    Hang,
    Panic,
    Fail(QueueErrorKind),
    /// Fails when the wait of the receive is over.
    FailLate(QueueErrorKind),
    /// A receive is answered empty at once.
    Empty,
    /// Works, but not at once: when the task gets its next turn, as if the answer was there already.
    Soon,
    /// Works after this time.
    Late(Duration),
    /// It happens, and nobody hears of it.
    AnswerLost,
    /// The next call works at once, and its answer comes after this time; the ones after it are as usual.
    AnswerLate(Duration),
}

type Edit = Box<dyn FnMut(&mut Received) + Send>;

/// See the module.
pub(crate) struct Hooked {
    inner: MemoryQueue,
    clock: ManualClock,
    acts: Mutex<BTreeMap<Operation, Act>>,
    calls: Mutex<BTreeMap<Operation, u64>>,
    running: Mutex<BTreeMap<Operation, (u64, u64)>>,
    edit: Mutex<Option<Edit>>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hooked({:?})", self.inner)
    }
}

impl Hooked {
    pub(crate) fn new(inner: MemoryQueue, clock: &ManualClock) -> Self {
        let (acts, calls, running, edit) = Default::default();
        Self { inner, clock: clock.clone(), acts, calls, running, edit }
    }

    /// From now on calls of this operation do that.
    pub(crate) fn make(&self, operation: Operation, act: Act) {
        self.acts.lock().expect("acts").insert(operation, act);
    }

    /// The operation works again.
    pub(crate) fn mend(&self, operation: Operation) {
        self.acts.lock().expect("acts").remove(&operation);
    }

    /// Changes every answer to a receive.
    pub(crate) fn edit(&self, edit: impl FnMut(&mut Received) + Send + 'static) {
        *self.edit.lock().expect("an edit") = Some(Box::new(edit));
    }

    /// Calls of this operation so far.
    pub(crate) fn calls(&self, operation: Operation) -> u64 {
        self.calls.lock().expect("calls").get(&operation).copied().unwrap_or(0)
    }

    /// Calls of this operation that run now.
    pub(crate) fn running(&self, operation: Operation) -> u64 {
        self.running.lock().expect("calls").get(&operation).map_or(0, |(now, _)| *now)
    }

    /// The most that ran side by side since the last time this was asked.
    pub(crate) fn side_by_side(&self, operation: Operation) -> u64 {
        let mut running = self.running.lock().expect("calls");
        running.get_mut(&operation).map_or(0, |(now, most)| std::mem::replace(most, *now))
    }

    fn run(&self, operation: Operation) -> Running<'_> {
        let mut running = self.running.lock().expect("calls");
        let (now, most) = running.entry(operation).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Running(self, operation)
    }

    /// How long an answer takes, if this is the call that is to be answered late.
    fn answer_late(&self, operation: Operation) -> Option<Duration> {
        let mut acts = self.acts.lock().expect("acts");
        let Some(Act::AnswerLate(pause)) = acts.get(&operation).copied() else { return None };
        acts.remove(&operation);
        Some(pause)
    }

    /// Whether calls of this operation happen and nobody hears of it.
    fn answer_lost(&self, operation: Operation) -> bool {
        matches!(self.acts.lock().expect("acts").get(&operation), Some(Act::AnswerLost))
    }

    async fn meet(&self, operation: Operation, wait: Duration) -> Result<bool, QueueError> {
        *self.calls.lock().expect("calls").entry(operation).or_default() += 1;
        let act = self.acts.lock().expect("acts").get(&operation).copied();
        let fail = |kind| QueueError::new(kind, format!("{operation:?} fails as the test wants it"));
        match act {
            None | Some(Act::AnswerLate(_) | Act::AnswerLost) => Ok(false),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Panic) => panic!("{operation:?} panics as the test wants it"),
            Some(Act::Fail(kind)) => Err(fail(kind)),
            Some(Act::FailLate(kind)) => {
                self.clock.sleep(wait).await;
                Err(fail(kind))
            }
            Some(Act::Empty) => Ok(true),
            Some(Act::Soon) => {
                let mut asked = false;
                std::future::poll_fn(|context| {
                    if std::mem::replace(&mut asked, true) {
                        return Poll::Ready(());
                    }
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
                Ok(false)
            }
            Some(Act::Late(pause)) => {
                self.clock.sleep(pause).await;
                Ok(false)
            }
        }
    }
}

/// A call that has begun and not ended.
struct Running<'a>(&'a Hooked, Operation);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some((now, _)) = self.0.running.lock().expect("calls").get_mut(&self.1) {
            *now -= 1;
        }
    }
}

#[async_trait]
impl Queue for Hooked {
    fn identity(&self) -> QueueIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        self.meet(Operation::Describe, Duration::ZERO).await?;
        self.inner.describe().await
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let _running = self.run(Operation::Receive);
        if self.meet(Operation::Receive, request.wait).await? {
            return Ok(Received::default());
        }
        let late = self.answer_late(Operation::Receive);
        let mut received = self.inner.receive(request).await?;
        if let Some(pause) = late {
            self.clock.sleep(pause).await;
        }
        if let Some(edit) = &mut *self.edit.lock().expect("an edit") {
            edit(&mut received);
        }
        Ok(received)
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        let _running = self.run(Operation::Delete);
        self.meet(Operation::Delete, Duration::ZERO).await?;
        let outcomes = self.inner.delete(handles).await?;
        Ok(if self.answer_lost(Operation::Delete) { vec![DeleteOutcome::Unknown; handles.len()] } else { outcomes })
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        let _running = self.run(Operation::Extend);
        self.meet(Operation::Extend, Duration::ZERO).await?;
        let late = self.answer_late(Operation::Extend);
        let lost = self.answer_lost(Operation::Extend);
        let extended = self.inner.extend(handle, lease).await;
        if let Some(pause) = late {
            self.clock.sleep(pause).await;
        }
        if lost { Err(QueueError::new(QueueErrorKind::Transient, "the answer is lost")) } else { extended }
    }
}
