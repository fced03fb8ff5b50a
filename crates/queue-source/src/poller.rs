//! One poller: ask for leave, receive, screen, pass fresh messages on. Thin: the ledger decides, and how many poll, the pace.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Message, QueueError, QueueErrorKind, ReceiveRequest, Received, SourceError, SourceErrorKind};
use headwater_ledger::{Delivery, Grant, MessageKey, Mono, ServerMs, Verdict};

use crate::config::SkippedByTime;
use crate::leases;
use crate::log::Incoming;
use crate::pace::Outcome;
use crate::seats::{self, Seated};
use crate::server_clock::sent_at;
use crate::state::{Inbound, Shared, State, known_lease};

/// A queue that answers empty sooner than this has not waited at all, whatever it was asked: services count in seconds, and
/// some cannot wait.
const NO_WAIT: Duration = Duration::from_millis(500);

/// Runs until the source stops or fails. Between calls it waits for a seat and for permits; a receive is never cut short by a
/// stop, because a message leased to a call that nobody reads is hidden for a whole lease.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut seated = Seated::new(&shared);
    let mut careful = Careful::default();
    while let Some(grant) = admitted(&shared, &mut seated).await {
        seated.begin(grant);
        let request = ReceiveRequest { max: careful.max(grant.max_messages), wait: shared.config.wait };
        let sent = shared.clock.now();
        shared.meter.calls_receive.increment(1);
        let answer = match shared.queue.receive(request).await {
            Ok(received) => {
                careful.readable(received.messages.is_empty());
                Ok(take(&shared, grant, &request, sent, received))
            }
            Err(error) => {
                abandon(&shared, grant, error.kind);
                let lease = known_lease(shared.lock().lease);
                match careful.after(error, shared.config.unreadable_max, &request, (shared.clock.now(), lease)) {
                    Ok(error) => Err(error),
                    Err(fatal) => {
                        seated.ended(Outcome::Failed);
                        shared.fail(fatal);
                        return;
                    }
                }
            }
        };
        let pause = seated.ended(*answer.as_ref().unwrap_or(&Outcome::Failed));
        if let Err(error) = answer {
            let pause = pause.map(|pause| pause.time).unwrap_or_default();
            tracing::warn!(queue = %shared.queue_name, %error, ?pause, "receive failed, trying again");
        }
        if let Some(pause) = pause {
            seats::pause(&shared, pause).await;
        }
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
    shared.pollers.notify_one();
}

/// Waits for a seat, and on it for leave to receive; `None` when the source stops.
async fn admitted(shared: &Shared, seated: &mut Seated) -> Option<Grant> {
    while seated.sit().await {
        let woken = shared.pollers.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let (until, full) = {
            let mut state = shared.lock();
            if state.stopping {
                return None;
            }
            if state.pace.is_crowded() {
                drop(state);
                seated.stand_up();
                continue;
            }
            let now = shared.clock.now();
            state.tick(now);
            let full = state.ledger.full_for(now).is_some_and(|t| t >= state.ledger.limits().full_patience);
            // What is held comes before what may be: no new message while leases wait for their extension.
            if !state.extends_overdue(now) {
                match state.ledger.begin_receive(now) {
                    Ok(grant) if !full => {
                        // One is woken at a time, and wakes the next if there is leave for more.
                        if state.ledger.can_receive().is_ok() {
                            shared.pollers.notify_one();
                        }
                        return Some(grant);
                    }
                    Ok(grant) => state.ledger.abandon(grant.ticket),
                    Err(_) => {}
                }
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
    None
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

/// Screens an answer, passes fresh messages on, wakes whom it concerns.
fn take(shared: &Shared, grant: Grant, request: &ReceiveRequest, sent: Mono, received: Received) -> Outcome {
    let read = shared.clock.now();
    let wall = shared.clock.wall();
    let got = u32::try_from(received.messages.len()).unwrap_or(u32::MAX);
    let mut outcome = judge(request, read.since(sent), got);
    let (empty, early) = (got == 0, outcome == Outcome::EmptyEarly);
    let mut state = shared.lock();
    if let Some(said) = received.server_time {
        state.server_clock.learn(read, said);
    }
    let retention = state.ledger.limits().retention;
    let server_now = received.server_time.max(state.server_clock.likely(read));
    let deliver = |m: &Message| {
        let lease_end = lease_end(shared, m, received.server_time, sent, read, state.lease);
        delivery(m, lease_end, sent_at(m.enqueued, server_now, retention))
    };
    let deliveries: Vec<Delivery> = received.messages.iter().map(deliver).collect();
    let verdicts = state.ledger.screen(grant.ticket, &deliveries);
    state.totals.received += deliveries.len() as u64;
    if !empty || early {
        state.last_activity = read;
    }
    if state.lease.is_none() {
        learn_lease(shared, &mut state, &received.messages);
    }
    let (mut duplicates, mut lapsed, mut fresh) = (0, 0, 0);
    for ((message, delivery), verdict) in received.messages.into_iter().zip(&deliveries).zip(verdicts) {
        let key = delivery.key;
        match verdict {
            Verdict::Fresh if shared.config.log.is_some() => {
                fresh += u64::from(to_log(shared, &mut state, Incoming { key, message, received: wall }))
            }
            Verdict::Fresh => {
                let (_, meta, body) = message.into_parts(key, &shared.queue_name, wall);
                state.inbox.push_back(Inbound { meta, body, place: None });
            }
            Verdict::Duplicate => duplicates += 1,
            _ => lapsed += 1,
        }
    }
    state.totals.duplicates += duplicates;
    if lapsed > 0 {
        state.maybe_leased(read);
    }
    state.tick(read);
    shared.meter.gauges(&state, shared.clock.now());
    let caught_up = empty && !early && state.inbox.is_empty();
    let extend_sooner = state.extends_sooner();
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
    shared.pollers.notify_one();
    let concerned =
        [(fresh > 0, &shared.logger), (extend_sooner, &shared.extender), (duplicates > 0, &shared.deleters)];
    concerned.iter().filter(|(concerns, _)| *concerns).for_each(|(_, whom)| whom.notify_one());
    if grant.screening && !empty {
        outcome = Outcome::Screened { known: duplicates > 0 };
    }
    outcome
}

fn judge(request: &ReceiveRequest, waited: Duration, got: u32) -> Outcome {
    let ReceiveRequest { max, wait } = *request;
    if got > 0 {
        Outcome::Messages { got, asked: max }
    } else if wait >= Duration::from_secs(1) && waited < wait / 2 {
        Outcome::EmptyEarly
    } else if waited < NO_WAIT {
        Outcome::EmptyAtOnce
    } else {
        Outcome::Empty
    }
}

/// Passes a fresh message on to the source's own log, and says so; or leaves it in the queue, if it is to be skipped that way:
/// what is logged is deleted.
fn to_log(shared: &Shared, state: &mut State, incoming: Incoming) -> bool {
    let config = &shared.config;
    let enqueued = incoming.message.enqueued;
    let early = config.start_time.is_some_and(|start| enqueued.is_some_and(|enqueued| enqueued.0 < start));
    if early && config.skipped_by_time == SkippedByTime::Leave {
        shared.meter.skipped_by_time.increment(1);
        state.ledger.leave(incoming.key);
        return false;
    }
    state.log.incoming.push_back(incoming);
    true
}

fn delivery(message: &Message, lease_end: Option<Mono>, enqueued: ServerMs) -> Delivery {
    Delivery {
        key: MessageKey::of(&message.id),
        handle: message.handle.clone(),
        dequeue_count: message.dequeue_count,
        next_visible: message.next_visible.unwrap_or_default(),
        enqueued,
        lease_end,
        // Its properties are kept with it, and a sender may make them larger than the body.
        bytes: (message.body.len() + message.properties.iter().map(|p| p.name.len() + p.value.len()).sum::<usize>())
            as u64,
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
        // No lease is longer, whatever an answer says.
        (Some(end), Some(now)) => read + between(now, end).min(shared.queue.capabilities().lease_range.1),
        _ => sent + lease?,
    };
    Some(end - shared.config.lease_margin)
}

/// Takes the lease of the queue from a first delivery, if there is one.
fn learn_lease(shared: &Shared, state: &mut State, messages: &[Message]) {
    let longest = shared.queue.capabilities().lease_range.1;
    state.lease = messages.iter().find_map(learnt_lease).filter(|lease| *lease <= longest);
    if let Some(lease) = state.lease {
        leases::learnt(shared, state, lease);
    }
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
    /// When the last answer of one message could not be read.
    last: Option<Mono>,
}

impl Careful {
    /// One-message receives after an unreadable answer: as many as that answer can have held.
    const SINGLES: u32 = 16;

    /// Leases within which the next unreadable answer is taken for the same message come back: it does so after one, and there may
    /// be others to receive first. 10.
    const LEASES: u32 = 10;

    fn max(&self, granted: u32) -> u32 {
        if self.single > 0 { 1 } else { granted }
    }

    /// An empty answer says nothing of the bad message: it is still leased.
    fn readable(&mut self, empty: bool) {
        self.single = self.single.saturating_sub(1);
        if !empty {
            self.unreadable = 0;
        }
    }

    fn after(
        &mut self,
        error: QueueError,
        unreadable_max: u32,
        request: &ReceiveRequest,
        (now, lease): (Mono, Duration),
    ) -> Result<QueueError, SourceError> {
        let kind = error.kind;
        if kind == QueueErrorKind::Unreadable {
            self.single = Self::SINGLES;
            if self.last.is_some_and(|last| now.since(last) > lease.saturating_mul(Self::LEASES)) {
                self.unreadable = 0;
            }
            if request.max == 1 {
                self.unreadable += 1;
                self.last = Some(now);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks as a source with leases of 30 s does; `answers` are what comes: `x` unreadable, `-` empty, `m` a message.
    fn ends(answers: &str, pause: Duration) -> Option<usize> {
        let (mut careful, mut now, lease) = (Careful::default(), Mono::default(), Duration::from_secs(30));
        answers.chars().position(|answer| {
            now = now + pause;
            let request = ReceiveRequest { max: careful.max(16), wait: Duration::ZERO };
            let error = QueueError::new(QueueErrorKind::Unreadable, "the answer cannot be read");
            match answer {
                'x' => careful.after(error, 5, &request, (now, lease)).is_err(),
                answer => {
                    careful.readable(answer == '-');
                    false
                }
            }
        })
    }

    #[test]
    fn a_message_that_cannot_be_read_ends_the_source_although_it_is_hidden_in_between() {
        let second = Duration::from_secs(1);
        assert_eq!(ends("xxxxxx", second), Some(5), "the first answer was of 16");
        assert_eq!(ends("x--x---x--x--x--x", second), Some(16));
        assert_eq!(ends("xx-x-x-m-x-x-x-x-", second), None, "others that can be read come in between");
        assert_eq!(ends("x-x-x-x-x-x-x-x-x", Duration::from_secs(301)), None, "too seldom to be one message");
    }
}
