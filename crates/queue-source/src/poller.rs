//! One poller: ask for leave, receive, screen, pass fresh messages on. Thin: the ledger decides.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{
    Message, MessageMeta, QueueError, QueueErrorKind, ReceiveRequest, Received, SourceError, SourceErrorKind, WallMs,
};
use headwater_ledger::{Delivery, Grant, MessageKey, Mono, ServerMs, Verdict};

use crate::backoff::Backoff;
use crate::state::{Inbound, Shared};

/// Runs until the source stops or fails. Between calls it waits for permits; a receive is never cut short by a stop,
/// because a message leased to a call that nobody reads is hidden for a whole lease.
pub(crate) async fn run(shared: Arc<Shared>, number: u64) {
    let config = &shared.config;
    let mut backoff = Backoff::new(config.backoff_min, config.backoff_max, config.seed.wrapping_add(number + 1));
    let mut careful = Careful::default();
    while let Some(grant) = admitted(&shared).await {
        let request = ReceiveRequest { max: careful.max(grant.max_messages), wait: config.wait };
        let sent = shared.clock.now();
        shared.meter.calls_receive.increment(1);
        let pause = match shared.queue.receive(request).await {
            Ok(received) => {
                careful.readable();
                take(&shared, grant, sent, received).map(|()| backoff.next())
            }
            Err(error) => {
                let mut state = shared.lock();
                state.ledger.abandon(grant.ticket);
                state.last_activity = shared.clock.now();
                drop(state);
                shared.pollers.notify_waiters();
                match careful.after(error, config.unreadable_max, &request) {
                    Ok(error) => {
                        let pause = backoff.next();
                        tracing::warn!(queue = %shared.queue_name, %error, ?pause, "receive failed, trying again");
                        Some(pause)
                    }
                    Err(fatal) => {
                        shared.fail(fatal);
                        break;
                    }
                }
            }
        };
        match pause {
            Some(pause) => rest(&shared, pause).await,
            None => backoff.reset(),
        }
    }
    shared.lock().polling -= 1;
    shared.consumer.notify_one();
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

async fn rest(shared: &Shared, pause: Duration) {
    let woken = shared.pollers.notified();
    tokio::pin!(woken);
    let until = shared.clock.now() + pause;
    loop {
        tokio::select! { biased; () = shared.clock.sleep_until(until) => return, () = woken.as_mut() => {} }
        if shared.lock().stopping {
            return;
        }
        woken.set(shared.pollers.notified());
    }
}

/// Screens an answer. `Some(())` asks for a pause: the answer came back empty much too early.
fn take(shared: &Shared, grant: Grant, sent: Mono, received: Received) -> Option<()> {
    let read = shared.clock.now();
    let wall = shared.clock.wall();
    let empty = received.messages.is_empty();
    let early = empty && shared.config.wait >= Duration::from_secs(1) && read.since(sent) < shared.config.wait / 2;
    let mut state = shared.lock();
    state.server_now = state.server_now.max(received.server_time);
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
        state.lease = received.messages.iter().find_map(learnt_lease);
    }
    let mut duplicates = 0;
    for (message, verdict) in received.messages.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Fresh => state.inbox.push_back(inbound(shared, message, wall)),
            Verdict::Duplicate => duplicates += 1,
            _ => shared.meter.left_to_lapse.increment(1),
        }
    }
    state.totals.duplicates += duplicates;
    let server_now = state.server_now;
    state.ledger.tick(read, server_now);
    shared.meter.gauges(&state.ledger.counts());
    drop(state);

    shared.meter.received.increment(deliveries.len() as u64);
    shared.meter.duplicates.increment(duplicates);
    shared.consumer.notify_one();
    shared.pollers.notify_waiters();
    if duplicates > 0 {
        shared.deleters.notify_waiters();
    }
    if empty {
        shared.meter.empty_polls.increment(1);
    }
    if early {
        shared.meter.early_empty_polls.increment(1);
    }
    early.then_some(())
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
        (Some(end), Some(now)) => read + Duration::from_millis(u64::try_from(end.0 - now.0).unwrap_or(0)),
        _ => sent + lease?,
    };
    Some(end - shared.config.lease_margin)
}

/// The lease as the first delivery of a message tells it, for consumers that may not read attributes.
fn learnt_lease(message: &Message) -> Option<Duration> {
    let (end, first) = (message.next_visible?, message.first_dequeued?);
    (message.dequeue_count == 1).then(|| Duration::from_millis(u64::try_from(end.0 - first.0).unwrap_or(0)))
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
    let kind = match error.kind {
        QueueErrorKind::Denied | QueueErrorKind::Credentials => SourceErrorKind::Denied,
        QueueErrorKind::NoSuchQueue | QueueErrorKind::Refused => SourceErrorKind::Configuration,
        _ => SourceErrorKind::Failed,
    };
    SourceError::new(kind, error.to_string()).with_source(error)
}
