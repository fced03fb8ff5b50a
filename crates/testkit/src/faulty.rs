//! A queue that fails by a seed: wraps any [`Queue`] and loses, delays, refuses and repeats.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{
    Capabilities, Clock, DeleteOutcome, Description, Extended, Handle, Message, Queue, QueueError, QueueErrorKind,
    QueueIdentity, ReceiveRequest, Received, SharedStr,
};

use crate::random::Random;

/// Deliveries remembered as candidates for a duplicate. 256: sixteen full answers.
const RECENT_MAX: usize = 256;

/// How long a throttled call is held before it is refused, as MNS documents.
const THROTTLE_HOLD: Duration = Duration::from_millis(500);

/// The lease of a duplicate where the queue does not tell its own: the default of MNS.
const DUPLICATE_LEASE: Duration = Duration::from_secs(30);

/// How often each fault happens, in calls out of a thousand (0 never, 1,000 always), and how bad it is.
///
/// The two halves of a lost call are told apart: the request may be lost before its effect, or the answer after it. The
/// caller sees the same either way, and must be right either way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultRates {
    /// The request never arrives: no effect. A delete says `Unknown`, everything else fails as transient.
    pub request_lost: u16,
    /// The call takes effect and its answer is lost. A delete says `Unknown`, everything else fails as transient.
    pub response_lost: u16,
    /// The service answers with a transient error: no effect.
    pub transient: u16,
    /// The service answers that there are too many calls: no effect, after the hold of 500 ms that MNS documents.
    pub throttled: u16,
    /// The call takes effect and its answer cannot be read. A delete says `Unknown`.
    pub unreadable: u16,
    /// A receive is answered with nothing at once, whatever is there: too many parked polls.
    pub empty_too_soon: u16,
    /// A receive also brings a message that is under a running lease of the caller, under a new handle; the old handle is
    /// dead. Needs a queue that can extend.
    pub duplicate: u16,
    /// One entry of a delete is not tried and reported as `Failed`.
    pub delete_entry_failed: u16,
    /// The call is held up before or after its effect.
    pub delayed: u16,
    /// The longest such delay.
    pub delay_max: Duration,
}

impl FaultRates {
    /// No faults.
    #[must_use]
    pub const fn none() -> Self {
        Self::even(0)
    }

    /// Every fault at the same rate, with delays of up to 3 s.
    #[must_use]
    pub const fn even(permille: u16) -> Self {
        Self {
            request_lost: permille,
            response_lost: permille,
            transient: permille,
            throttled: permille,
            unreadable: permille,
            empty_too_soon: permille,
            duplicate: permille,
            delete_entry_failed: permille,
            delayed: permille,
            delay_max: Duration::from_secs(3),
        }
    }
}

/// How often each fault did happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultCounts {
    /// Calls made.
    pub calls: u64,
    /// Requests lost.
    pub request_lost: u64,
    /// Answers lost.
    pub response_lost: u64,
    /// Transient errors.
    pub transient: u64,
    /// Calls throttled.
    pub throttled: u64,
    /// Answers unreadable.
    pub unreadable: u64,
    /// Receives answered empty at once.
    pub empty_too_soon: u64,
    /// Messages delivered again under their lease.
    pub duplicates: u64,
    /// Entries of deletes reported as failed.
    pub delete_entries_failed: u64,
    /// Calls delayed.
    pub delayed: u64,
}

/// Wraps a queue and injects faults, by a seed: the same calls in the same order meet the same faults.
///
/// With all rates zero it is the wrapped queue, method by method; the conformance suite is run on it so.
///
/// ```
/// use headwater_core::{ManualClock, Queue, WallMs};
/// use headwater_testkit::{FaultRates, Faulty, MemoryQueue, MemoryQueueOptions};
///
/// let clock = ManualClock::new(WallMs(0));
/// let queue = MemoryQueue::new(&clock, MemoryQueueOptions::default());
/// let mut rates = FaultRates::none();
/// rates.response_lost = 1_000;
/// let faulty = Faulty::new(queue, &clock, 42, rates);
/// assert!(futures::executor::block_on(faulty.describe()).is_err());
/// assert_eq!(faulty.counts().response_lost, 1);
/// ```
pub struct Faulty<Q> {
    inner: Q,
    clock: Arc<dyn Clock>,
    seed: u64,
    state: Mutex<State>,
}

struct State {
    random: Random,
    rates: FaultRates,
    counts: FaultCounts,
    /// Newest deliveries, oldest first, with the newest handle known.
    recent: VecDeque<Message>,
    /// Deliveries that the wrapped queue does not know of and does not count.
    extra: BTreeMap<SharedStr, u32>,
}

/// What becomes of one call; drawn before it begins.
struct Fate {
    /// The call's own generator, so that what one call draws does not shift the luck of the next.
    random: Random,
    before: Option<Duration>,
    after: Option<Duration>,
    refusal: Option<Refusal>,
    answer: Option<Spoilt>,
}

enum Refusal {
    Lost,
    Transient,
    Throttled,
}

#[derive(Clone, Copy)]
enum Spoilt {
    Lost,
    Unreadable,
}

impl<Q: fmt::Debug> fmt::Debug for Faulty<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({:?}, seed {})", self.inner, self.seed)
    }
}

impl<Q: Queue> Faulty<Q> {
    /// Wraps `inner`; delays are slept on `clock`.
    #[must_use]
    pub fn new(inner: Q, clock: &(impl Clock + Clone), seed: u64, rates: FaultRates) -> Self {
        let state = State {
            random: Random::new(seed),
            rates,
            counts: FaultCounts::default(),
            recent: VecDeque::new(),
            extra: BTreeMap::new(),
        };
        Self { inner, clock: Arc::new(clock.clone()), seed, state: Mutex::new(state) }
    }

    /// Changes the rates from the next call on.
    pub fn set_rates(&self, rates: FaultRates) {
        self.lock().rates = rates;
    }

    /// What was injected so far: a test that injects nothing proves nothing.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.lock().counts
    }

    /// The wrapped queue.
    #[must_use]
    pub const fn inner(&self) -> &Q {
        &self.inner
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws a call's fate, waits out what comes before its effect, and refuses it if that is its fate.
    async fn meet(&self) -> Result<Fate, Refusal> {
        let mut fate = self.lock().draw();
        if let Some(pause) = fate.before {
            self.clock.sleep(pause).await;
        }
        match fate.refusal.take() {
            Some(refusal) => Err(refusal),
            None => Ok(fate),
        }
    }

    /// Waits out what comes after the effect; says whether the answer is spoilt.
    async fn part(&self, fate: Fate) -> Option<Spoilt> {
        if let Some(pause) = fate.after {
            self.clock.sleep(pause).await;
        }
        fate.answer
    }

    fn refused(&self, refusal: &Refusal) -> QueueError {
        match refusal {
            Refusal::Lost => self.error(QueueErrorKind::Transient, "the request was lost"),
            Refusal::Transient => self.error(QueueErrorKind::Transient, "the service failed"),
            Refusal::Throttled => self.error(QueueErrorKind::Throttled, "too many calls"),
        }
    }

    fn spoilt(&self, spoilt: Spoilt) -> QueueError {
        match spoilt {
            Spoilt::Lost => self.error(QueueErrorKind::Transient, "the answer was lost"),
            Spoilt::Unreadable => self.error(QueueErrorKind::Unreadable, "the answer cannot be read"),
        }
    }

    fn error(&self, kind: QueueErrorKind, what: &str) -> QueueError {
        QueueError::new(kind, format!("{}: injected by seed {}: {what}; try again", self.inner.identity(), self.seed))
    }

    /// Takes one entry out of a delete, if that is its fate; says which.
    fn skip_one(&self, random: &mut Random, handles: &mut Vec<Handle>) -> Option<usize> {
        let mut state = self.lock();
        let at = usize::try_from(random.below(handles.len() as u64)).ok()?;
        if !random.chance(state.rates.delete_entry_failed) || handles.is_empty() {
            return None;
        }
        state.counts.delete_entries_failed += 1;
        handles.remove(at);
        Some(at)
    }

    /// Makes the service deliver a leased message once more: a new handle, the old one dead, one delivery more.
    async fn duplicate(&self, random: &mut Random, received: &mut Received) {
        let carried: Vec<SharedStr> = received.messages.iter().map(|message| message.id.clone()).collect();
        let Some(mut message) = self.lock().pick_recent(random, &carried) else { return };
        let lease = self.inner.describe().await.ok().and_then(|description| description.lease);
        // A dead handle means that there is no lease to violate.
        let Ok(extended) = self.inner.extend(&message.handle, lease.unwrap_or(DUPLICATE_LEASE)).await else { return };
        message.handle = extended.handle;
        message.next_visible = extended.next_visible;
        message.dequeue_count += u32::from(message.dequeue_count > 0);
        let mut state = self.lock();
        *state.extra.entry(message.id.clone()).or_default() += 1;
        state.counts.duplicates += 1;
        state.remember(&message);
        received.messages.push(message);
    }
}

impl State {
    fn draw(&mut self) -> Fate {
        let mut random = Random::new(self.random.draw());
        let (rates, counts) = (&self.rates, &mut self.counts);
        counts.calls += 1;
        let pause = Duration::from_millis(1 + random.below(u64::try_from(rates.delay_max.as_millis()).unwrap_or(0)));
        let (mut before, after) = match (random.chance(rates.delayed), random.chance(500)) {
            (false, _) => (None, None),
            (true, true) => (Some(pause), None),
            (true, false) => (None, Some(pause)),
        };
        counts.delayed += u64::from(before.is_some() || after.is_some());
        let mut hit = |rate: u16, count: &mut u64| {
            let hit = random.chance(rate);
            *count += u64::from(hit);
            hit
        };
        let (mut refusal, mut answer) = (None, None);
        if hit(rates.request_lost, &mut counts.request_lost) {
            refusal = Some(Refusal::Lost);
        } else if hit(rates.transient, &mut counts.transient) {
            refusal = Some(Refusal::Transient);
        } else if hit(rates.throttled, &mut counts.throttled) {
            refusal = Some(Refusal::Throttled);
            before = Some(before.unwrap_or_default() + THROTTLE_HOLD);
        } else if hit(rates.response_lost, &mut counts.response_lost) {
            answer = Some(Spoilt::Lost);
        } else if hit(rates.unreadable, &mut counts.unreadable) {
            answer = Some(Spoilt::Unreadable);
        }
        Fate { random, before, after, refusal, answer }
    }

    fn pick_recent(&self, random: &mut Random, except: &[SharedStr]) -> Option<Message> {
        let at = usize::try_from(random.below(self.recent.len() as u64)).ok()?;
        self.recent.get(at).filter(|message| !except.contains(&message.id)).cloned()
    }

    /// Moves a message to the newest place among the recent ones.
    fn remember(&mut self, message: &Message) {
        self.recent.retain(|other| other.id != message.id);
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(message.clone());
    }

    /// Counts the deliveries the wrapped queue does not know of, and notes what was delivered.
    fn deliver(&mut self, messages: &mut [Message]) {
        for message in messages {
            if message.dequeue_count > 0 {
                message.dequeue_count += self.extra.get(&message.id).copied().unwrap_or(0);
            }
            self.remember(message);
        }
    }

    fn renew_recent(&mut self, old: &Handle, new: &Handle) {
        for message in &mut self.recent {
            if message.handle == *old {
                message.handle = new.clone();
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<Q: Queue> Queue for Faulty<Q> {
    fn identity(&self) -> QueueIdentity {
        self.inner.identity()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        let fate = self.meet().await.map_err(|refusal| self.refused(&refusal))?;
        let answer = self.inner.describe().await?;
        self.part(fate).await.map_or(Ok(answer), |spoilt| Err(self.spoilt(spoilt)))
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let mut fate = self.meet().await.map_err(|refusal| self.refused(&refusal))?;
        let (empty, again) = {
            let mut state = self.lock();
            let empty = fate.random.chance(state.rates.empty_too_soon);
            state.counts.empty_too_soon += u64::from(empty);
            (empty, fate.random.chance(state.rates.duplicate))
        };
        if empty {
            return Ok(Received::default());
        }
        let mut received = self.inner.receive(request).await?;
        self.lock().deliver(&mut received.messages);
        if again && received.messages.len() < request.max as usize {
            self.duplicate(&mut fate.random, &mut received).await;
        }
        self.part(fate).await.map_or(Ok(received), |spoilt| Err(self.spoilt(spoilt)))
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        let mut fate = match self.meet().await {
            Ok(fate) => fate,
            Err(Refusal::Lost) => return Ok(vec![DeleteOutcome::Unknown; handles.len()]),
            Err(refusal) => return Err(self.refused(&refusal)),
        };
        let mut asked = handles.to_vec();
        let skipped = self.skip_one(&mut fate.random, &mut asked);
        // Nothing left to ask for is nothing to send; an empty list from the caller is forwarded as it came.
        let mut outcomes =
            if skipped.is_some() && asked.is_empty() { Vec::new() } else { self.inner.delete(&asked).await? };
        if let Some(at) = skipped {
            outcomes.insert(at.min(outcomes.len()), DeleteOutcome::Failed);
        }
        Ok(self.part(fate).await.map_or(outcomes, |_| vec![DeleteOutcome::Unknown; handles.len()]))
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        let fate = self.meet().await.map_err(|refusal| self.refused(&refusal))?;
        let extended = self.inner.extend(handle, lease).await?;
        self.lock().renew_recent(handle, &extended.handle);
        self.part(fate).await.map_or(Ok(extended), |spoilt| Err(self.spoilt(spoilt)))
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::join;
    use headwater_core::{ManualClock, WallMs};

    use super::*;
    use crate::time::pass;
    use crate::{MemoryQueue, MemoryQueueOptions};

    const SECOND: Duration = Duration::from_secs(1);
    const NOW: ReceiveRequest = ReceiveRequest { max: 16, wait: Duration::ZERO };

    fn faulty(change: impl FnOnce(&mut FaultRates)) -> (ManualClock, Faulty<MemoryQueue>) {
        let clock = ManualClock::new(WallMs(1_700_000_000_000));
        let queue = MemoryQueue::new(&clock, MemoryQueueOptions::default());
        let mut rates = FaultRates::none();
        change(&mut rates);
        (clock.clone(), Faulty::new(queue, &clock, 1, rates))
    }

    #[test]
    fn a_lost_request_has_no_effect_and_a_lost_answer_has() {
        for (lost_request, left) in [(true, 1), (false, 0)] {
            let (_, queue) = faulty(|_| {});
            queue.inner().send("a");
            let handle = block_on(queue.receive(NOW)).unwrap().messages[0].handle.clone();
            let mut rates = FaultRates::none();
            *(if lost_request { &mut rates.request_lost } else { &mut rates.response_lost }) = 1_000;
            queue.set_rates(rates);
            assert_eq!(block_on(queue.delete(&[handle])).unwrap(), [DeleteOutcome::Unknown]);
            assert_eq!(queue.inner().remaining().len(), left);
        }
    }

    #[test]
    fn a_receive_whose_answer_is_lost_has_leased() {
        let (_, queue) = faulty(|rates| rates.unreadable = 1_000);
        queue.inner().send("a");
        assert_eq!(block_on(queue.receive(NOW)).unwrap_err().kind, QueueErrorKind::Unreadable);
        assert_eq!(queue.inner().leased().len(), 1);
    }

    #[test]
    fn a_duplicate_supersedes_the_first_delivery_and_the_count_goes_on() {
        let (clock, queue) = faulty(|rates| rates.duplicate = 1_000);
        queue.inner().send("a");
        let first = block_on(queue.receive(NOW)).unwrap().messages.remove(0);
        let second = block_on(queue.receive(NOW)).unwrap().messages.remove(0);
        assert_eq!((&first.id, first.dequeue_count, second.dequeue_count), (&second.id, 1, 2));
        assert_ne!(first.handle, second.handle);
        assert_eq!(block_on(queue.delete(&[first.handle])).unwrap(), [DeleteOutcome::Stale]);
        clock.advance(SECOND * 30);
        queue.set_rates(FaultRates::none());
        let third = block_on(queue.receive(NOW)).unwrap().messages.remove(0);
        assert_eq!(third.dequeue_count, 3);
        assert_eq!(block_on(queue.delete(&[third.handle])).unwrap(), [DeleteOutcome::Deleted]);
    }

    #[test]
    fn a_failed_entry_leaves_the_others_deleted() {
        let (_, queue) = faulty(|rates| rates.delete_entry_failed = 1_000);
        (0..3).for_each(|_| _ = queue.inner().send("a"));
        let handles: Vec<_> = block_on(queue.receive(NOW)).unwrap().messages.into_iter().map(|m| m.handle).collect();
        let outcomes = block_on(queue.delete(&handles)).unwrap();
        let failed: Vec<_> = (0..3).filter(|at| outcomes[*at] == DeleteOutcome::Failed).collect();
        assert_eq!((failed.len(), queue.inner().remaining().len()), (1, 1));
        assert_eq!(block_on(queue.delete(&handles[failed[0]..=failed[0]])).unwrap(), [DeleteOutcome::Failed]);
    }

    #[test]
    fn one_seed_gives_one_trace() {
        let trace = |seed: u64| {
            let clock = ManualClock::new(WallMs(0));
            let queue = MemoryQueue::new(&clock, MemoryQueueOptions::default());
            let queue = Faulty::new(queue, &clock, seed, FaultRates::even(100));
            let mut answers = Vec::new();
            for number in 0..200 {
                queue.inner().send(format!("{number}"));
                let (answer, ()) = block_on(join(queue.receive(NOW), pass(&clock, SECOND * 5)));
                answers.push(format!("{answer:?}"));
            }
            (answers, queue.inner().journal(), queue.counts())
        };
        assert_eq!(trace(3), trace(3));
        assert_ne!(trace(3).0, trace(4).0);
        let counts = trace(3).2;
        assert!(counts.duplicates > 0 && counts.delayed > 0 && counts.throttled > 0 && counts.empty_too_soon > 0);
    }
}
