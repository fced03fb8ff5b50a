//! The seats of pollers: who waits for one, and what a poller on one holds. The number of seats is the pace's.

use std::sync::Arc;
use std::time::Duration;

use headwater_ledger::{Grant, Ticket};

use crate::pace::{Outcome, Pause, PollNumber};
use crate::state::{Shared, State};

/// What a poller gives back however it ends: the permits of its receive, its seat, its place among the pollers.
pub(crate) struct Seated {
    shared: Arc<Shared>,
    ticket: Option<Ticket>,
    poll: Option<PollNumber>,
    seat: bool,
}

impl Seated {
    /// A poller without a seat.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), ticket: None, poll: None, seat: false }
    }

    /// Waits for a seat unless there is one; false when the source stops.
    pub(crate) async fn sit(&mut self) -> bool {
        while !self.seat {
            let woken = self.shared.seats.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            {
                let mut state = self.shared.lock();
                if state.stopping {
                    return false;
                }
                self.seat = state.pace.enter();
                if self.seat {
                    self.shared.meter.active_pollers.set(f64::from(state.pace.taken()));
                    return true;
                }
            }
            woken.await;
        }
        true
    }

    /// Leaves the seat to nobody: there are more pollers than are wanted.
    pub(crate) fn stand_up(&mut self) {
        if std::mem::take(&mut self.seat) {
            let mut state = self.shared.lock();
            state.pace.leave();
            self.shared.meter.active_pollers.set(f64::from(state.pace.taken()));
            drop(state);
            // The permit that woke this one is another one's.
            self.shared.pollers.notify_one();
        }
    }

    /// A receive begins.
    pub(crate) fn begin(&mut self, grant: Grant, state: &mut State) {
        self.ticket = Some(grant.ticket);
        self.poll = Some(state.pace.begin());
    }

    /// A receive has ended, its ticket too. What follows from it for the pollers, and the pause of this one.
    pub(crate) fn ended(&mut self, outcome: Outcome, state: &mut State) -> Option<Pause> {
        self.ticket = None;
        let poll = self.poll.take()?;
        let pause = state.pace.ended(poll, outcome);
        if state.pace.has_free() {
            self.shared.seats.notify_one();
        }
        pause
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(ticket) = self.ticket {
            // Cut in the middle of a receive: the queue may lease messages to an answer that nobody reads.
            state.ledger.abandon(ticket);
            state.maybe_leased(self.shared.clock.now());
        }
        if self.poll.is_some() {
            state.pace.cut();
        }
        if self.seat {
            state.pace.leave();
        }
        state.polling -= 1;
        drop(state);
        if std::thread::panicking() {
            self.shared.panicked("a poller");
        }
        self.shared.consumer.notify_one();
        self.shared.pollers.notify_one();
        self.shared.seats.notify_one();
    }
}

/// Lets a pause go by; a stop cuts it short.
pub(crate) async fn pause(shared: &Shared, Pause { time, blind }: Pause) {
    let blind = blind.then(|| Blind::begin(shared));
    rest(shared, time).await;
    drop(blind);
}

/// While this lives, a seat looks away: nobody can say that the queue is empty.
struct Blind<'a>(&'a Shared);

impl<'a> Blind<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.lock().pausing += 1;
        Self(shared)
    }
}

impl Drop for Blind<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.pausing -= 1;
        state.last_activity = self.0.clock.now();
    }
}

async fn rest(shared: &Shared, time: Duration) {
    let until = shared.clock.now() + time;
    let stopped = shared.stopped.notified();
    tokio::pin!(stopped);
    stopped.as_mut().enable();
    if shared.lock().stopping {
        return;
    }
    tokio::select! { biased; () = shared.clock.sleep_until(until) => {}, () = stopped => {} }
}
