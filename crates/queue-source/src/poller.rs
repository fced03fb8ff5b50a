//! One poller: ask for leave, receive, screen, decode what is fresh or pass it on. Thin: the ledger decides, and how many poll, the pace.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Alarm, QueueError, QueueErrorKind, ReceiveRequest, Received, SourceError, SourceErrorKind};
use headwater_ledger::{Grant, Mono};

use crate::ahead;
use crate::answer::{Answer, Screened};
use crate::damaged;
use crate::gather::Tell;
use crate::leases;
use crate::meter::Meter;
use crate::pace::{Outcome, Pause};
use crate::seats::{self, Seated};
use crate::state::{Shared, State, known_lease};

/// A queue that answers empty sooner than this has not waited at all, whatever it was asked: services count in seconds, and
/// some cannot wait.
const NO_WAIT: Duration = Duration::from_millis(500);

/// Runs until the source stops or fails. Between calls it waits for a seat and for permits; a receive is never cut short by a
/// stop, because a message leased to a call that nobody reads is hidden for a whole lease.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut seated = Seated::new(&shared);
    let mut careful = Careful::default();
    let mut answer = Answer::new(&shared.queue_name);
    let mut alarm = Alarm::new(Arc::clone(&shared.clock));
    let (mut next, mut blocked) = (None, false);
    loop {
        let Some((grant, sent)) = (match next.take() {
            Some(granted) => Some(granted),
            None => admitted(&shared, &mut seated, &mut alarm, blocked).await,
        }) else {
            return;
        };
        // Answers that are there are read first, and then their pollers ask together: the other side is woken once for all of them.
        tokio::task::yield_now().await;
        let request = ReceiveRequest { max: careful.max(grant.max_messages), wait: shared.config.wait };
        shared.meter.calls_receive.increment(1);
        let turn = match shared.queue.receive(request).await {
            Ok(received) => {
                careful.readable(received.messages.is_empty());
                damaged::note(&shared, &received.damaged);
                take(&shared, &mut seated, &mut answer, grant, (&request, sent), received)
            }
            Err(error) => {
                let turn = abandon(&shared, &mut seated, grant, error.kind);
                let lease = known_lease(shared.lock().lease);
                match careful.after(error, shared.config.unreadable_max, &request, (shared.clock.now(), lease)) {
                    Ok(error) => {
                        let pause = turn.pause.map(|pause| pause.time).unwrap_or_default();
                        tracing::warn!(queue = %shared.queue_name, %error, ?pause, "receive failed, trying again");
                    }
                    Err(fatal) => {
                        shared.fail(fatal);
                        return;
                    }
                }
                turn
            }
        };
        (next, blocked) = (turn.next, turn.blocked);
        if let Some(pause) = turn.pause {
            // Permits that this one leaves are for another.
            shared.pollers.notify_one();
            seats::pause(&shared, pause).await;
        }
    }
}

/// What follows from the end of a receive for its poller: a pause, or the next receive at once. Neither: it asks for leave.
struct Turn {
    pause: Option<Pause>,
    next: Option<(Grant, Mono)>,
    /// There was no leave just now.
    blocked: bool,
}

/// Ends a receive without an answer. It may have leased messages all the same.
fn abandon(shared: &Shared, seated: &mut Seated, grant: Grant, kind: QueueErrorKind) -> Turn {
    let now = shared.clock.now();
    let mut state = shared.lock();
    state.ledger.abandon(grant.ticket);
    let pause = seated.ended(Outcome::Failed, &mut state);
    state.last_activity = now;
    if kind != QueueErrorKind::Throttled {
        state.maybe_leased(now);
    }
    let concerns_consumer = state.concerns_consumer();
    drop(state);
    if concerns_consumer {
        shared.consumer.notify_one();
    }
    Turn { pause, next: None, blocked: false }
}

/// What a seated poller is told when it asks for leave to receive.
enum Leave {
    Granted(Grant),
    Blocked,
    Crowded,
    Full,
    Stopping,
}

/// Asks for leave to receive; `state` is locked, and nothing is forgotten that was due at `now`.
fn ask(shared: &Shared, state: &mut State, seated: &mut Seated, now: Mono) -> Leave {
    if state.stopping {
        return Leave::Stopping;
    }
    if state.pace.is_crowded() {
        return Leave::Crowded;
    }
    if state.ledger.full_for(now).is_some_and(|t| t >= state.ledger.limits().full_patience) {
        return Leave::Full;
    }
    // What is held comes before what may be: no new message while leases wait for their extension.
    if state.extends_overdue(now) {
        return Leave::Blocked;
    }
    if state.inbox.is_full() {
        return Leave::Blocked;
    }
    let Ok(grant) = state.ledger.begin_receive(now) else { return Leave::Blocked };
    seated.begin(grant, state);
    // One is woken at a time, and wakes the next if there is leave for more.
    if state.ledger.can_receive().is_ok() {
        shared.pollers.notify_one();
    }
    Leave::Granted(grant)
}

/// Waits for a seat, and on it for leave to receive; `None` when the source stops. With when that was. `blocked`: there was none just now.
async fn admitted(shared: &Shared, seated: &mut Seated, alarm: &mut Alarm, mut blocked: bool) -> Option<(Grant, Mono)> {
    while seated.sit().await {
        let woken = shared.pollers.notified();
        tokio::pin!(woken);
        // Whoever has to wait asks a second time, with its ear to the door; nearly always there is leave at once.
        let mut listens = std::mem::take(&mut blocked);
        if listens {
            woken.as_mut().enable();
        }
        let until = loop {
            let now = shared.clock.now();
            let mut state = shared.lock();
            state.tick(now);
            let leave = ask(shared, &mut state, seated, now);
            match leave {
                Leave::Granted(grant) => return Some((grant, now)),
                Leave::Stopping => return None,
                Leave::Full => {
                    drop(state);
                    shared.fail(full_ledger(shared));
                    return None;
                }
                Leave::Crowded => break None,
                Leave::Blocked if listens => {
                    shared.meter.gauges_if_stale(&mut state, &*shared.clock);
                    break Some(now + Duration::from_secs(1));
                }
                Leave::Blocked => {}
            }
            drop(state);
            listens = true;
            woken.as_mut().enable();
        };
        match until {
            // The timer is a safety net for what only time changes (grace, patience); permits come with a wake-up.
            Some(until) => tokio::select! { biased; () = woken => {}, () = alarm.until(until) => {} },
            None => seated.stand_up(),
        }
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

/// Screens an answer, passes fresh messages on, wakes whom it concerns; and asks for leave for the next receive.
fn take(
    shared: &Shared,
    seated: &mut Seated,
    answer: &mut Answer,
    grant: Grant,
    (request, sent): (&ReceiveRequest, Mono),
    received: Received,
) -> Turn {
    let read = shared.clock.now();
    let got = u32::try_from(received.messages.len() + received.damaged.len()).unwrap_or(u32::MAX);
    answer.take_apart(shared, received, sent, read);
    let mut outcome = judge(request, read.since(sent), got);
    let (empty, early) = (got == 0, outcome == Outcome::EmptyEarly);
    let mut guard = shared.lock();
    let state = &mut *guard;
    state.totals.received += u64::from(got);
    if !empty || early {
        state.last_activity = read;
    }
    let first_lease = answer.first_lease.filter(|_| state.lease.is_none());
    let screened = answer.screen(shared, state, grant);
    if let Some(lease) = first_lease {
        learn_lease(shared, state, lease);
    }
    state.totals.duplicates += screened.duplicates;
    if screened.lapsed > 0 {
        state.maybe_leased(read);
    }
    if grant.screening && !empty {
        outcome = Outcome::Screened { known: screened.duplicates > 0 };
    }
    let pause = seated.ended(outcome, state);
    state.tick(read);
    let (decoding, tell) = ahead::place(shared, state, answer, &screened);
    let caught_up = empty && !early && state.has_caught_up();
    let extend_sooner = state.extends_sooner();
    let leave = if pause.is_some() { Leave::Blocked } else { ask(shared, state, seated, read) };
    let tell_consumer = tell == Tell::Consumer || state.concerns_consumer();
    if state.holds_back() || decoding.is_some() {
        // Whoever ends that sees to the gauges.
        shared.meter.gauges_soon(state, read);
    } else {
        shared.meter.gauges(state, read);
    }
    drop(guard);

    count(&shared.meter, got, early, &screened);
    if caught_up {
        shared.meter.lag.set(0.0);
    }
    let concerned = [
        (screened.duplicates > 0, &shared.deleters),
        (tell_consumer, &shared.consumer),
        (tell == Tell::Gatherer, &shared.gatherer),
        (screened.to_log, &shared.logger),
        (extend_sooner, &shared.extender),
    ];
    concerned.iter().filter(|(concerns, _)| *concerns).for_each(|(_, whom)| whom.notify_one());
    if let Some(decoding) = decoding {
        ahead::decode(shared, answer, decoding, &screened, read);
    }
    let blocked = matches!(leave, Leave::Blocked);
    let next = match leave {
        Leave::Granted(grant) => Some((grant, read)),
        // Asked again, the same is said to somebody who can wait or end for it.
        _ => None,
    };
    Turn { pause, next, blocked }
}

fn count(meter: &Meter, got: u32, early: bool, screened: &Screened) {
    meter.received.increment(u64::from(got));
    meter.duplicates.increment(screened.duplicates);
    meter.left_to_lapse.increment(screened.lapsed);
    if got == 0 {
        meter.empty_polls.increment(1);
        meter.early_empty_polls.increment(u64::from(early));
    }
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

fn learn_lease(shared: &Shared, state: &mut State, lease: Duration) {
    state.lease = Some(lease).filter(|lease| *lease <= shared.queue.capabilities().lease_range.1);
    if let Some(lease) = state.lease {
        leases::learnt(shared, state, lease);
    }
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
            if self.last.is_some_and(|last| now.since(last) > lease.saturating_mul(damaged::LEASES)) {
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
