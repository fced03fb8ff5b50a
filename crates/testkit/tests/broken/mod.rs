//! A queue with one flaw: the memory queue behind a wrapper that breaks a single rule.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::lock::Mutex as AsyncMutex;
use headwater_core::{
    Capabilities, Clock, DeleteOutcome, Description, Extended, Handle, ManualClock, Message, Queue, QueueError,
    QueueErrorKind, QueueIdentity, ReceiveRequest, Received, ServerMs, SharedStr,
};
use headwater_testkit::{MemoryQueue, settle};

/// The rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    Ascii,
    BodyOnlyOnce,
    BringsTooMany,
    CapabilitiesChange,
    ChangesIds,
    CountStands,
    DecodesBase64,
    DeleteDoesNothing,
    DeletesAll,
    DeletesOne,
    DeniedIsForEver,
    DeniedIsForgotten,
    DescribeReceives,
    DescribeTellsAnotherLease,
    DropsEmptyBodies,
    DropsMarkup,
    EmptyDeleteIsDeleted,
    EmptyIsAnError,
    ExtendCounts,
    ExtendDoesNothing,
    ExtendIsNeverShort,
    ExtendReturnsTheOldHandle,
    FillsUp,
    FirstTimesMove,
    ForgetsPartialFailures,
    GoneIsTransient,
    HandlesBelongToTheClient,
    IdIsTheBody,
    IdentityChanges,
    LeaseEndsInThePast,
    LimitIsTransient,
    LosesWhenCancelled,
    LosesWhenCancelledParked,
    MissingQueueIsEmpty,
    MissingQueueIsTransient,
    NeverEmpty,
    NeverRedelivers,
    NormalisesLineEnds,
    OldHandlesLive,
    OneConnection,
    OutcomesAreShort,
    OutcomesReversed,
    PartialFailureIsAnError,
    PartialFailureStops,
    QuotesBodies,
    Reappears,
    SecondHandOut,
    ServerTimeStands,
    SharesLeases,
    SleepsThroughSends,
    Trims,
    Truncates,
    UnescapesTwice,
}

#[derive(Debug)]
pub(crate) struct Broken {
    inner: MemoryQueue,
    clock: ManualClock,
    flaw: Flaw,
    calls: AtomicU32,
    abandoned: AtomicBool,
    connection: AsyncMutex<()>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    denied: bool,
    /// The newest and the first handle of each message, and the message of each handle.
    newest: BTreeMap<SharedStr, Handle>,
    first: BTreeMap<SharedStr, Handle>,
    owner: BTreeMap<Handle, SharedStr>,
    extends: BTreeMap<SharedStr, u32>,
    last: Option<Message>,
}

/// Does something when it is dropped, unless disarmed.
struct OnDrop<F: FnMut()>(Option<F>);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(mut act) = self.0.take() {
            act();
        }
    }
}

fn error(kind: QueueErrorKind) -> QueueError {
    QueueError::new(kind, "broken on purpose")
}

impl Broken {
    pub(crate) fn new(inner: MemoryQueue, clock: ManualClock, flaw: Flaw) -> Self {
        let (calls, abandoned) = (AtomicU32::new(0), AtomicBool::new(false));
        Self { inner, clock, flaw, calls, abandoned, connection: AsyncMutex::new(()), memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error as the flaw would have it.
    fn twist(&self, cause: QueueError) -> QueueError {
        match (self.flaw, cause.kind) {
            (Flaw::MissingQueueIsTransient, QueueErrorKind::NoSuchQueue)
            | (Flaw::LimitIsTransient, QueueErrorKind::Refused)
            | (Flaw::GoneIsTransient, QueueErrorKind::Gone) => error(QueueErrorKind::Transient),
            _ => cause,
        }
    }

    fn missing_is_empty(&self, cause: &QueueError) -> bool {
        self.flaw == Flaw::MissingQueueIsEmpty && cause.kind == QueueErrorKind::NoSuchQueue
    }

    fn body(&self, message: &Message) -> Bytes {
        let text = String::from_utf8_lossy(&message.body).into_owned();
        Bytes::from(match self.flaw {
            Flaw::Ascii => text.chars().filter(char::is_ascii).collect(),
            Flaw::BodyOnlyOnce if message.dequeue_count > 1 => String::new(),
            Flaw::DecodesBase64 if text == "dGVzdA==" => "test".into(),
            Flaw::DropsMarkup => text.split('<').next().unwrap_or_default().into(),
            Flaw::NormalisesLineEnds => text.replace("\r\n", "\n").replace('\r', "\n"),
            Flaw::QuotesBodies => format!("{text:?}"),
            Flaw::Trims => text.trim().into(),
            Flaw::Truncates => text.chars().take(60_000).collect(),
            Flaw::UnescapesTwice => text.replace("&lt;", "<").replace("&amp;", "&"),
            _ => text,
        })
    }

    fn note(&self, message: &Message) {
        let mut memory = self.memory();
        memory.newest.insert(message.id.clone(), message.handle.clone());
        memory.first.entry(message.id.clone()).or_insert_with(|| message.handle.clone());
        memory.owner.insert(message.handle.clone(), message.id.clone());
    }

    /// A message as the flaw shows it; `None` if the flaw hides it.
    fn show(&self, mut message: Message) -> Option<Message> {
        self.note(&message);
        let hidden = match self.flaw {
            Flaw::NeverRedelivers => message.dequeue_count > 1,
            Flaw::DropsEmptyBodies => message.body.is_empty(),
            _ => false,
        };
        message.body = self.body(&message);
        match self.flaw {
            Flaw::ChangesIds if message.dequeue_count > 1 => message.id = format!("{}-again", message.id).into(),
            Flaw::IdIsTheBody => message.id = String::from_utf8_lossy(&message.body).into_owned().into(),
            Flaw::CountStands => message.dequeue_count = 1,
            Flaw::ExtendCounts => {
                message.dequeue_count += self.memory().extends.get(&message.id).copied().unwrap_or(0);
            }
            Flaw::OldHandlesLive => message.handle = self.memory().first[&message.id].clone(),
            Flaw::LeaseEndsInThePast => message.next_visible = message.enqueued,
            Flaw::FirstTimesMove => message.first_dequeued = Some(ServerMs(self.clock.wall().0)),
            _ => {}
        }
        (!hidden).then_some(message)
    }

    /// What the flaw does to a whole answer.
    fn mix(&self, mut messages: Vec<Message>, max: u32) -> Vec<Message> {
        if self.flaw == Flaw::LosesWhenCancelledParked && !messages.is_empty() && self.abandoned.load(Ordering::SeqCst)
        {
            self.inner.discard(&messages.remove(0).id);
        }
        if self.flaw == Flaw::SecondHandOut && !messages.is_empty() {
            let again = messages[0].clone();
            messages.truncate(max as usize - 1);
            messages.push(again);
        }
        let last = self.memory().last.take();
        if let (Flaw::SharesLeases, Some(last), true) = (self.flaw, last, !messages.is_empty()) {
            messages.pop();
            messages.push(last);
        }
        self.memory().last = messages.last().cloned();
        messages
    }

    async fn receive_from_inner(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let now = ReceiveRequest { wait: Duration::ZERO, ..request };
        match self.flaw {
            Flaw::SleepsThroughSends => {
                let received = self.inner.receive(now).await?;
                if !received.messages.is_empty() {
                    return Ok(received);
                }
                self.clock.sleep(request.wait).await;
                self.inner.receive(now).await
            }
            Flaw::FillsUp => {
                let mut received = self.inner.receive(now).await?;
                if received.messages.len() < request.max as usize {
                    self.clock.sleep(request.wait).await;
                    let rest = request.max - received.messages.len() as u32;
                    received.messages.extend(self.inner.receive(ReceiveRequest { max: rest, ..now }).await?.messages);
                }
                Ok(received)
            }
            Flaw::NeverEmpty => {
                let longest = self.inner.capabilities().max_wait;
                self.inner.receive(ReceiveRequest { wait: longest, ..request }).await
            }
            Flaw::BringsTooMany => self.inner.receive(ReceiveRequest { max: 16, ..request }).await,
            Flaw::Reappears => {
                self.inner.leased().iter().for_each(|id| _ = self.inner.reveal(id));
                self.inner.receive(request).await
            }
            Flaw::LosesWhenCancelledParked => {
                let mut guard = OnDrop(Some(|| self.abandoned.store(true, Ordering::SeqCst)));
                let received = self.inner.receive(request).await;
                guard.0 = None;
                received
            }
            Flaw::LosesWhenCancelled => {
                let received = self.inner.receive(request).await?;
                let lose = || received.messages.iter().for_each(|message| _ = self.inner.discard(&message.id));
                let mut guard = OnDrop(Some(lose));
                settle().await;
                guard.0 = None;
                drop(guard);
                Ok(received)
            }
            _ => self.inner.receive(request).await,
        }
    }

    async fn delete_from_inner(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        use DeleteOutcome::{Deleted, Failed, Stale};
        match self.flaw {
            Flaw::EmptyDeleteIsDeleted if handles.is_empty() => return Ok(vec![Deleted]),
            Flaw::DeleteDoesNothing => return Ok(vec![Deleted; handles.len()]),
            _ if handles.is_empty() => return self.inner.delete(handles).await,
            Flaw::DeletesAll => self.inner.remaining().iter().for_each(|id| _ = self.inner.discard(id)),
            Flaw::OldHandlesLive => {
                let memory = self.memory();
                let delete = |handle| memory.owner.get(handle).is_some_and(|id| self.inner.discard(id));
                return Ok(handles.iter().map(|handle| if delete(handle) { Deleted } else { Stale }).collect());
            }
            Flaw::HandlesBelongToTheClient => {
                let memory = self.memory();
                if !handles.iter().all(|handle| memory.owner.contains_key(handle)) {
                    return Ok(vec![Stale; handles.len()]);
                }
            }
            _ => {}
        }
        let mut outcomes = Vec::new();
        for handle in handles {
            let stop = self.flaw == Flaw::DeletesOne && !outcomes.is_empty()
                || self.flaw == Flaw::PartialFailureStops && outcomes.contains(&Stale);
            outcomes.push(if stop { Failed } else { self.inner.delete(std::slice::from_ref(handle)).await?[0] });
        }
        match self.flaw {
            Flaw::DeletesAll | Flaw::ForgetsPartialFailures => outcomes.fill(Deleted),
            Flaw::OutcomesAreShort => _ = outcomes.pop(),
            Flaw::OutcomesReversed => outcomes.reverse(),
            Flaw::PartialFailureIsAnError if outcomes.contains(&Stale) => return Err(error(QueueErrorKind::Transient)),
            _ => {}
        }
        Ok(outcomes)
    }

    fn call(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Queue for Broken {
    fn identity(&self) -> QueueIdentity {
        let mut identity = self.inner.identity();
        if self.flaw == Flaw::IdentityChanges {
            identity.name += &self.calls.load(Ordering::SeqCst).to_string();
        }
        identity
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if self.flaw == Flaw::CapabilitiesChange && self.calls.load(Ordering::SeqCst) > 0 {
            capabilities.max_receive = 1;
        }
        capabilities
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        self.call();
        if self.flaw == Flaw::DescribeReceives {
            self.inner.receive(ReceiveRequest { max: 1, wait: Duration::ZERO }).await?;
        }
        match self.inner.describe().await {
            Ok(_) if self.flaw == Flaw::DescribeTellsAnotherLease => {
                Ok(Description::new(Some(Duration::from_secs(60)), None, None))
            }
            Err(cause) if cause.kind == QueueErrorKind::Denied && self.flaw == Flaw::DeniedIsForgotten => {
                Ok(Description::default())
            }
            Err(cause) => {
                self.memory().denied = true;
                Err(self.twist(cause))
            }
            ok => ok,
        }
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        self.call();
        if self.flaw == Flaw::DeniedIsForEver && self.memory().denied {
            return Err(error(QueueErrorKind::Denied));
        }
        let _connection = if self.flaw == Flaw::OneConnection { Some(self.connection.lock().await) } else { None };
        let mut received = match self.receive_from_inner(request).await {
            Ok(received) => received,
            Err(cause) if self.missing_is_empty(&cause) => Received::default(),
            Err(cause) => return Err(self.twist(cause)),
        };
        if received.messages.is_empty() && self.flaw == Flaw::EmptyIsAnError {
            // The service answers both with status 404.
            return Err(error(QueueErrorKind::NoSuchQueue));
        }
        let messages = received.messages.into_iter().filter_map(|message| self.show(message)).collect();
        received.messages = self.mix(messages, request.max);
        if self.flaw == Flaw::ServerTimeStands {
            received.server_time = Some(ServerMs(1_700_000_000_000));
        }
        Ok(received)
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        self.call();
        let _connection = if self.flaw == Flaw::OneConnection { Some(self.connection.lock().await) } else { None };
        match self.delete_from_inner(handles).await {
            Err(cause) if self.missing_is_empty(&cause) => Ok(vec![DeleteOutcome::Stale; handles.len()]),
            answer => answer.map_err(|cause| self.twist(cause)),
        }
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        self.call();
        let _connection = if self.flaw == Flaw::OneConnection { Some(self.connection.lock().await) } else { None };
        if self.flaw == Flaw::ExtendDoesNothing {
            return Ok(Extended { handle: handle.clone(), next_visible: None });
        }
        let owner = self.memory().owner.get(handle).cloned();
        let newest = owner.as_ref().and_then(|id| self.memory().newest.get(id).cloned());
        let used = if self.flaw == Flaw::OldHandlesLive { newest.as_ref().unwrap_or(handle) } else { handle };
        let lease = match self.flaw {
            Flaw::ExtendIsNeverShort => lease.max(Duration::from_secs(30)),
            _ => lease,
        };
        let mut extended = match self.inner.extend(used, lease).await {
            Ok(extended) => extended,
            Err(cause) if self.missing_is_empty(&cause) => return Err(error(QueueErrorKind::Gone)),
            Err(cause) => return Err(self.twist(cause)),
        };
        if let Some(id) = owner {
            let mut memory = self.memory();
            *memory.extends.entry(id.clone()).or_default() += 1;
            memory.owner.insert(extended.handle.clone(), id.clone());
            memory.newest.insert(id, extended.handle.clone());
        }
        if matches!(self.flaw, Flaw::ExtendReturnsTheOldHandle | Flaw::OldHandlesLive) {
            extended.handle = handle.clone();
        }
        Ok(extended)
    }
}
