//! One poller: ask for leave, receive, screen, pass fresh messages on. Thin: the ledger decides.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{
    Message, MessageMeta, QueueError, QueueErrorKind, ReceiveRequest, Received, SourceError, SourceErrorKind, WallMs,
};
use headwater_ledger::{Delivery, Grant, MessageKey, Mono, ServerMs, Ticket, Verdict};

use crate::backoff::Backoff;
use crate::config::SourceConfig;
use crate::state::{Inbound, Shared};

/// A queue that answers empty sooner than this has not waited at all, whatever it was asked: services count in seconds, and
/// some cannot wait. Such polls are spaced, by at most a second, so that a message is still found soon.
const NO_WAIT: Duration = Duration::from_millis(500);
const SHORT_POLL_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Runs until the source stops or fails. Between calls it waits for permits; a receive is never cut short by a stop,
/// because a message leased to a call that nobody reads is hidden for a whole lease.
pub(crate) async fn run(shared: Arc<Shared>, number: u64) {
    let mut poller = Poller { shared, ticket: None };
    let shared = Arc::clone(&poller.shared);
    let mut pace = Pace::new(&shared.config, number);
    let mut careful = Careful::default();
    while let Some(grant) = admitted(&shared).await {
        poller.ticket = Some(grant.ticket);
        let request = ReceiveRequest { max: careful.max(grant.max_messages), wait: shared.config.wait };
        let sent = shared.clock.now();
        shared.meter.calls_receive.increment(1);
        let answer = match shared.queue.receive(request).await {
            Ok(received) => {
                careful.readable();
                take(&shared, grant, sent, received)
            }
            Err(error) => {
                abandon(&shared, grant, error.kind);
                match careful.after(error, shared.config.unreadable_max, &request) {
                    Ok(error) => Answer::Failed(error),
                    Err(fatal) => {
                        poller.ticket = None;
                        shared.fail(fatal);
                        return;
                    }
                }
            }
        };
        poller.ticket = None;
        pace.after(&shared, answer).await;
    }
}

/// What a poller gives back however it ends: the permits of its receive, its place among the pollers.
struct Poller {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
}

impl Drop for Poller {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(ticket) = self.ticket {
            // Cut in the middle of a receive: the queue may lease messages to an answer that nobody reads.
            state.ledger.abandon(ticket);
            state.maybe_leased(self.shared.clock.now());
        }
        state.polling -= 1;
        drop(state);
        if std::thread::panicking() {
            self.shared.panicked("a poller");
        }
        self.shared.wake_all();
    }
}

/// How a receive ended, as far as the pause after it depends on it.
#[derive(Debug)]
enum Answer {
    /// With messages, or empty after its full wait.
    Full,
    /// Empty much too early, as when too many polls of an account are parked.
    EmptyEarly,
    /// Empty at once, because the queue does not wait or was not asked to.
    EmptyAtOnce,
    Failed(QueueError),
}

/// The pauses of one poller.
#[derive(Debug)]
struct Pace {
    trouble: Backoff,
    short: Backoff,
}

impl Pace {
    fn new(config: &SourceConfig, number: u64) -> Self {
        let seed = config.seed.wrapping_add(number + 1);
        Self {
            trouble: Backoff::new(config.backoff_min, config.backoff_max, seed),
            short: Backoff::new(config.backoff_min, config.backoff_max.min(SHORT_POLL_PAUSE_MAX), seed),
        }
    }

    async fn after(&mut self, shared: &Shared, answer: Answer) {
        let pause = match answer {
            Answer::Full => {
                self.trouble.reset();
                self.short.reset();
                return;
            }
            Answer::EmptyAtOnce => {
                self.trouble.reset();
                return rest(shared, self.short.next()).await;
            }
            Answer::EmptyEarly => self.trouble.next(),
            Answer::Failed(error) => {
                let pause = self.trouble.next();
                tracing::warn!(queue = %shared.queue_name, %error, ?pause, "receive failed, trying again");
                pause
            }
        };
        let pausing = Pausing::begin(shared);
        rest(shared, pause).await;
        drop(pausing);
    }
}

/// While this lives, a poller pauses because something went wrong: nobody can say that the queue is empty.
struct Pausing<'a>(&'a Shared);

impl<'a> Pausing<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.lock().pausing += 1;
        Self(shared)
    }
}

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.pausing -= 1;
        state.last_activity = self.0.clock.now();
    }
}

/// Ends a receive without an answer. It may have leased messages all the same.
fn abandon(shared: &Shared, grant: Grant, kind: QueueErrorKind) {
    let now = shared.clock.now();
    let mut state = shared.lock();
    state.ledger.abandon(grant.ticket);
    state.last_activity = now;
    if kind != QueueErrorKind::Throttled {
        state.maybe_leased(now);
    }
    drop(state);
    shared.pollers.notify_waiters();
}

/// Waits for leave to receive; `None` when the source stops.
async fn admitted(shared: &Shared) -> Option<Grant> {
    loop {
        let woken = shared.pollers.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let (until, full) = {
            let mut state = shared.lock();
            if state.stopping {
                return None;
            }
            let now = shared.clock.now();
            let server_now = state.server_now;
            state.ledger.tick(now, server_now);
            let full = state.ledger.full_for(now).is_some_and(|t| t >= state.ledger.limits().full_patience);
            match state.ledger.begin_receive(now) {
                Ok(grant) if !full => return Some(grant),
                Ok(grant) => state.ledger.abandon(grant.ticket),
                Err(_) => {}
            }
            (now + Duration::from_secs(1), full)
        };
        if full {
            shared.fail(full_ledger(shared));
            return None;
        }
        // The timer is a safety net for what only time changes (grace, patience); permits come with a wake-up.
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(until) => {} }
    }
}

fn full_ledger(shared: &Shared) -> SourceError {
    let limits = &shared.config.limits;
    SourceError::new(
        SourceErrorKind::Failed,
        format!(
            "queue {}: {} deletes are unconfirmed and none was settled for {} s. Raise `ledgerMaxIds`, or find out why deletes \
             are not confirmed (leases shorter than the checkpoint interval, a second consumer, a failing service)",
            shared.queue_name,
            limits.ledger_max_ids,
            limits.full_patience.as_secs()
        ),
    )
}

/// Lets `pause` go by; a stop cuts it short.
async fn rest(shared: &Shared, pause: Duration) {
    let until = shared.clock.now() + pause;
    loop {
        let woken = shared.pollers.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if shared.lock().stopping {
            return;
        }
        tokio::select! { biased; () = shared.clock.sleep_until(until) => return, () = woken => {} }
    }
}

/// Screens an answer, passes fresh messages on, wakes whom it concerns.
fn take(shared: &Shared, grant: Grant, sent: Mono, received: Received) -> Answer {
    let read = shared.clock.now();
    let wall = shared.clock.wall();
    let answer = judge(shared.config.wait, read.since(sent), received.messages.is_empty());
    let (empty, early) = (received.messages.is_empty(), matches!(answer, Answer::EmptyEarly));
    let mut state = shared.lock();
    if received.server_time > state.server_now {
        (state.server_now, state.server_read) = (received.server_time, read);
    }
    let deliveries: Vec<Delivery> = received
        .messages
        .iter()
        .map(|m| delivery(m, lease_end(shared, m, received.server_time, sent, read, state.lease), received.server_time))
        .collect();
    let verdicts = state.ledger.screen(grant.ticket, &deliveries);
    state.totals.received += deliveries.len() as u64;
    if !empty || early {
        state.last_activity = read;
    }
    if state.lease.is_none() {
        state.lease = received.messages.iter().find_map(learnt_lease).inspect(|lease| say_lease(shared, *lease));
    }
    let (mut duplicates, mut lapsed) = (0, 0);
    for (message, verdict) in received.messages.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Fresh => state.inbox.push_back(inbound(shared, message, wall)),
            Verdict::Duplicate => duplicates += 1,
            _ => lapsed += 1,
        }
    }
    state.totals.duplicates += duplicates;
    if lapsed > 0 {
        state.maybe_leased(read);
    }
    let server_now = state.server_now;
    state.ledger.tick(read, server_now);
    shared.meter.gauges(&state, shared.clock.now());
    let caught_up = empty && !early && state.inbox.is_empty();
    drop(state);

    let meter = &shared.meter;
    meter.received.increment(deliveries.len() as u64);
    meter.duplicates.increment(duplicates);
    meter.left_to_lapse.increment(lapsed);
    meter.empty_polls.increment(u64::from(empty));
    meter.early_empty_polls.increment(u64::from(early));
    if caught_up {
        meter.lag.set(0.0);
    }
    shared.consumer.notify_one();
    shared.pollers.notify_waiters();
    if duplicates > 0 {
        shared.deleters.notify_waiters();
    }
    answer
}

fn judge(wait: Duration, waited: Duration, empty: bool) -> Answer {
    if !empty {
        Answer::Full
    } else if wait >= Duration::from_secs(1) && waited < wait / 2 {
        Answer::EmptyEarly
    } else if waited < NO_WAIT {
        Answer::EmptyAtOnce
    } else {
        Answer::Full
    }
}

fn say_lease(shared: &Shared, lease: Duration) {
    let interval = shared.config.limits.checkpoint_interval;
    let queue = &shared.queue_name;
    tracing::info!(%queue, ?lease, "the queue's lease, learnt from a first delivery");
    if lease < interval * 2 {
        let problem = crate::open::short_lease(lease, interval);
        tracing::warn!(%queue, "execution.checkpointing.interval {problem}");
    }
}

fn inbound(shared: &Shared, message: Message, wall: WallMs) -> Inbound {
    Inbound { meta: Arc::new(MessageMeta::of(&message, &shared.queue_name, wall)), body: message.body }
}

fn delivery(message: &Message, lease_end: Option<Mono>, server_time: Option<ServerMs>) -> Delivery {
    Delivery {
        key: MessageKey::of(&message.id),
        handle: message.handle.clone(),
        dequeue_count: message.dequeue_count,
        next_visible: message.next_visible.unwrap_or_default(),
        // Without a send time the time of receipt bounds it from above, which only keeps the id longer.
        enqueued: message.enqueued.or(server_time).unwrap_or_default(),
        lease_end,
        bytes: message.body.len() as u64,
    }
}

/// The end of a lease on our monotonic clock: by the queue's own two clocks where it tells them, else from the sending of
/// the call. A hint; nothing safe depends on it.
fn lease_end(
    shared: &Shared,
    message: &Message,
    server_time: Option<ServerMs>,
    sent: Mono,
    read: Mono,
    lease: Option<Duration>,
) -> Option<Mono> {
    let end = match (message.next_visible, server_time) {
        (Some(end), Some(now)) => read + between(now, end),
        _ => sent + lease?,
    };
    Some(end - shared.config.lease_margin)
}

/// The lease as the first delivery of a message tells it, for consumers that may not read attributes.
fn learnt_lease(message: &Message) -> Option<Duration> {
    let (end, first) = (message.next_visible?, message.first_dequeued?);
    (message.dequeue_count == 1).then(|| between(first, end)).filter(|lease| !lease.is_zero())
}

/// The time from one point on the queue's clock to another; zero if it is the other way round.
fn between(from: ServerMs, to: ServerMs) -> Duration {
    Duration::from_millis(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

/// After an answer that could not be read, one message at a time is asked for: the bad one is found, the others pass.
#[derive(Debug, Default)]
struct Careful {
    single: u32,
    unreadable: u32,
}

impl Careful {
    /// One-message receives after an unreadable answer: as many as that answer can have held.
    const SINGLES: u32 = 16;

    fn max(&self, granted: u32) -> u32 {
        if self.single > 0 { 1 } else { granted }
    }

    fn readable(&mut self) {
        self.single = self.single.saturating_sub(1);
        self.unreadable = 0;
    }

    fn after(
        &mut self,
        error: QueueError,
        unreadable_max: u32,
        request: &ReceiveRequest,
    ) -> Result<QueueError, SourceError> {
        let kind = error.kind;
        if kind == QueueErrorKind::Unreadable {
            self.single = Self::SINGLES;
            self.unreadable += u32::from(request.max == 1);
            if self.unreadable >= unreadable_max {
                let text = format!("{unreadable_max} answers of one message each could not be read: {error}");
                return Err(SourceError::new(SourceErrorKind::BadData, text).with_source(error));
            }
        }
        if kind.is_fatal() { Err(fatal(error)) } else { Ok(error) }
    }
}

/// What a fatal queue error means for the source.
pub(crate) fn fatal(error: QueueError) -> SourceError {
    SourceError::new(fatal_kind(error.kind), error.to_string()).with_source(error)
}

pub(crate) const fn fatal_kind(kind: QueueErrorKind) -> SourceErrorKind {
    match kind {
        QueueErrorKind::Denied | QueueErrorKind::Credentials => SourceErrorKind::Denied,
        QueueErrorKind::NoSuchQueue | QueueErrorKind::Refused => SourceErrorKind::Configuration,
        _ => SourceErrorKind::Failed,
    }
}
