//! Keeps leases alive: takes what the ledger says is to be extended, calls the queue within a budget, brings the answers back.
//!
//! One task, many calls side by side. It never waits for the consumer, and it goes before receives: while an extension is due
//! and has not begun, no receive begins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use headwater_core::{Extended, QueueError, QueueErrorKind};
use headwater_ledger::{ExtendOutcome, Extension, MessageKey, Mono};

use crate::config::SourceConfig;
use crate::leases;
use crate::returns::Return;
use crate::state::{Shared, State};

/// The longest an answer is waited for, or a quarter of a lease where that is shorter: another quarter is left for another try.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the extender shares with those who wait for it.
#[derive(Debug)]
pub(crate) struct Extends {
    /// When the next call may begin, by the budget; and what one call takes of it.
    next_call: Mono,
    call: Duration,
    /// Calls that may begin at once after a pause.
    burst: u32,
    /// When the extender looks again by itself; `None` if it waits to be told.
    looks_at: Option<Mono>,
    /// A receive waits for extensions.
    pollers_wait: bool,
    /// No new call begins, and the task ends with the last one.
    ending: bool,
    running: bool,
    /// Messages given back in the middle of their extension, and the delay they are to get.
    pub(crate) returns: BTreeMap<MessageKey, Duration>,
}

impl Extends {
    pub(crate) fn new(config: &SourceConfig) -> Self {
        Self {
            next_call: Mono::default(),
            call: Duration::from_secs(1) / config.extends_per_second.max(1),
            burst: u32::try_from(config.extends_at_once).unwrap_or(u32::MAX),
            looks_at: None,
            pollers_wait: false,
            ending: false,
            running: false,
            returns: BTreeMap::new(),
        }
    }

    fn begin_call(&mut self, now: Mono) {
        let saved = self.call.saturating_mul(self.burst.saturating_sub(1));
        self.next_call = self.next_call.max(now - saved) + self.call;
    }
}

impl State {
    /// Whether an extension is due and has not begun: then no receive may begin. Whoever asks is told when that is over.
    pub(crate) fn extends_overdue(&mut self, now: Mono) -> bool {
        let overdue =
            self.extends.running && !self.extends.ending && self.ledger.next_extend().is_some_and(|at| at <= now);
        self.extends.pollers_wait |= overdue;
        overdue
    }

    /// Whether the extender is to be told that something is due before it would look.
    pub(crate) fn extends_sooner(&self) -> bool {
        let looks_at = self.extends.looks_at;
        self.ledger.next_extend().is_some_and(|next| looks_at.is_none_or(|at| next < at))
    }
}

/// Notes that the task is about to run.
pub(crate) fn begin(state: &mut State) {
    state.extends.running = true;
}

/// Runs until it is told to end.
pub(crate) async fn run(shared: Arc<Shared>) {
    let extender = Extender(shared);
    let shared = &*extender.0;
    let mut calls = FuturesUnordered::new();
    loop {
        let woken = shared.extender.notified();
        let until = match next(shared, calls.len()) {
            Next::Call(extension) => {
                calls.push(extend(shared, extension));
                continue;
            }
            Next::Wait(until) => until,
            Next::End => return,
        };
        let timer = async {
            match until {
                Some(until) => shared.clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { biased; Some(()) = calls.next() => {}, () = woken => {}, () = timer => {} }
    }
}

/// What the task gives back however it ends.
struct Extender(Arc<Shared>);

impl Drop for Extender {
    fn drop(&mut self) {
        self.0.lock().extends.running = false;
        if std::thread::panicking() {
            self.0.panicked("the extender");
        }
        self.0.pollers.notify_one();
        self.0.consumer.notify_one();
    }
}

enum Next {
    Call(Extension),
    Wait(Option<Mono>),
    End,
}

/// What to do now, with so many calls running.
fn next(shared: &Shared, running: usize) -> Next {
    let mut state = shared.lock();
    let state = &mut *state;
    let now = shared.clock.now();
    if state.extends.ending {
        return if running == 0 { Next::End } else { Next::Wait(None) };
    }
    loop {
        let due = state.ledger.next_extend();
        if state.extends.pollers_wait && due.is_none_or(|due| due > now) {
            state.extends.pollers_wait = false;
            shared.pollers.notify_one();
        }
        let at = due.map(|due| due.max(state.extends.next_call));
        if running >= shared.config.extends_at_once {
            // The end of a call comes first.
            state.extends.looks_at = Some(now);
            return Next::Wait(None);
        }
        if at.is_none_or(|at| at > now) {
            state.extends.looks_at = at;
            return Next::Wait(at);
        }
        if let Some(extension) = state.ledger.next_extends(now, 1).pop() {
            state.extends.begin_call(now);
            return Next::Call(extension);
        }
    }
}

/// One call. However it ends, its outcome is told.
async fn extend(shared: &Shared, extension: Extension) {
    let Extension { key, handle, lease } = extension;
    let mut running = Running { shared, key, told: false };
    let sent = shared.clock.now();
    shared.meter.calls_extend.increment(1);
    let patience = shared.clock.sleep_until(sent + PATIENCE.min(lease / 4));
    let answer = tokio::select! {
        biased;
        answer = shared.queue.extend(&handle, lease) => Some(answer),
        () = patience => None,
    };
    let (outcome, error) = match answer {
        Some(Ok(extended)) => (taken(shared, sent, lease, extended), None),
        Some(Err(error)) => (failed(&error), Some(error)),
        None => (ExtendOutcome::Unknown, None),
    };
    running.told = true;
    settle(shared, key, outcome, error);
}

/// A call that is cut: nobody knows whether it happened.
struct Running<'a> {
    shared: &'a Shared,
    key: MessageKey,
    told: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.told {
            settle(self.shared, self.key, ExtendOutcome::Unknown, None);
        }
    }
}

/// The lease lasts from the sending of the call at the latest, and not longer than the queue says.
fn taken(shared: &Shared, sent: Mono, lease: Duration, extended: Extended) -> ExtendOutcome {
    let read = shared.clock.now();
    let told = extended
        .next_visible
        .zip(shared.lock().server_clock.likely(read))
        .map(|(end, now)| read + Duration::from_millis(u64::try_from(end.0.saturating_sub(now.0)).unwrap_or(0)));
    let end = told.map_or(sent + lease, |told| told.min(sent + lease));
    ExtendOutcome::Extended {
        handle: extended.handle,
        next_visible: extended.next_visible.unwrap_or_default(),
        lease_end: Some(end - shared.config.lease_margin),
    }
}

fn failed(error: &QueueError) -> ExtendOutcome {
    match error.kind {
        QueueErrorKind::Gone => ExtendOutcome::Gone,
        QueueErrorKind::Throttled => ExtendOutcome::Failed,
        QueueErrorKind::Denied | QueueErrorKind::Refused => ExtendOutcome::Denied,
        kind if kind.is_fatal() => ExtendOutcome::Failed,
        _ => ExtendOutcome::Unknown,
    }
}

fn settle(shared: &Shared, key: MessageKey, outcome: ExtendOutcome, error: Option<QueueError>) {
    let now = shared.clock.now();
    let mut guard = shared.lock();
    let state = &mut *guard;
    shared.meter.extension(&outcome);
    if outcome == ExtendOutcome::Unknown {
        // It may be hidden for a whole lease more.
        state.maybe_leased(now);
    }
    let denied = outcome == ExtendOutcome::Denied;
    if let Some(error) = error.as_ref().filter(|error| !denied && error.kind != QueueErrorKind::Gone) {
        tracing::debug!(queue = %shared.queue_name, %error, "a lease was not extended, trying again");
    }
    state.ledger.extend_done(key, outcome, now);
    if let Some(delay) = state.extends.returns.remove(&key)
        && let Some(release) = state.ledger.release(key)
    {
        state.returning.push_back(Return { release, delay });
        shared.returner.notify_one();
    }
    let fatal = match error {
        error if denied => leases::denied(shared, state, error),
        Some(error) if error.kind.is_fatal() => Some(leases::fatal(shared, error)),
        _ => None,
    };
    drop(guard);
    if let Some(fatal) = fatal {
        shared.fail(fatal);
    }
    // A delete may have waited for this.
    shared.deleters.notify_one();
}

/// Lets the calls on their way run out, for a quarter of the time until `deadline`: releases need the rest. No other begins.
pub(crate) async fn end(shared: &Shared, deadline: Mono) {
    let now = shared.clock.now();
    let deadline = now + deadline.since(now) / 4;
    shared.lock().extends.ending = true;
    shared.extender.notify_one();
    shared.pollers.notify_one();
    loop {
        let woken = shared.consumer.notified();
        if !shared.lock().extends.running || shared.clock.now() >= deadline {
            return;
        }
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(deadline) => return }
    }
}
