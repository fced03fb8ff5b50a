//! The end of a run: polls run out, deletes are finished, everything else is made visible again.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use headwater_ledger::Mono;

use crate::state::{Inbound, Shared};

/// Releases running side by side. 8: a queue of 4,000 messages is released in seconds, and the service's budget for single
/// calls is not spent at once.
const RELEASES_AT_ONCE: usize = 8;

/// How long polls may run out before they are cut: three quarters of what there is until the deadline. Releasing needs the
/// rest: what a cut poll may have leased is a guess, what we hold is certain.
pub(crate) fn polls_until(now: Mono, deadline: Duration) -> Mono {
    now + deadline - deadline / 4
}

/// Waits until every poller has ended or the deadline has come. Pollers end after their running receive.
pub(crate) async fn pollers_end(shared: &Shared, deadline: Mono) {
    loop {
        let woken = shared.consumer.notified();
        if shared.lock().polling == 0 || shared.clock.now() >= deadline {
            return;
        }
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(deadline) => return }
    }
}

/// Waits until nothing is left to delete, or nobody to do it, or the deadline has come.
pub(crate) async fn deletes_end(shared: &Shared, deadline: Mono) {
    loop {
        let woken = shared.consumer.notified();
        {
            let state = shared.lock();
            if state.deleting == 0 || !state.ledger.deletes_pending() || shared.clock.now() >= deadline {
                return;
            }
        }
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(deadline) => return }
    }
}

/// Makes visible again what is not committed, as far as the deadline allows. Polling has ended. May be dropped and called
/// again: what was not answered stays listed. `taken` is what the consumer took from the inbox and has not handed out.
pub(crate) async fn release(shared: &Shared, taken: &mut VecDeque<Inbound>, deadline: Mono) {
    let waiting: Vec<_> = {
        let mut state = shared.lock();
        // What waits is about to be somebody else's: all of it in one step, or a drain that was dropped would leave a gap in what is
        // handed out after it, which a position in a log says nothing of.
        taken.clear();
        state.inbox.clear();
        state.ahead.clear();
        let new = state.ledger.release_all();
        state.releasing.extend(new.into_iter().map(|release| (release.key, release.handle)));
        state.releasing.iter().map(|(key, handle)| (*key, handle.clone())).collect()
    };
    if !shared.queue.capabilities().can_extend {
        return;
    }
    let shortest = shared.queue.capabilities().lease_range.0;
    let calls = futures::stream::iter(waiting).map(|(key, handle)| async move {
        shared.meter.calls_extend.increment(1);
        let released = shared.queue.extend(&handle, shortest).await.is_ok();
        let mut state = shared.lock();
        state.ledger.release_done(key);
        if released {
            state.releasing.remove(&key);
            state.released += 1;
        }
    });
    let mut calls = std::pin::pin!(calls.buffer_unordered(RELEASES_AT_ONCE));
    let mut over = shared.clock.sleep_until(deadline);
    loop {
        tokio::select! {
            biased;
            done = calls.next() => if done.is_none() { return },
            () = &mut over => return,
        }
    }
}

/// Ends what was not released: it is visible again at the end of its lease. Says how many were released and how many not.
pub(crate) fn give_up_releases(shared: &Shared) -> (u64, u64) {
    let mut state = shared.lock();
    let left = std::mem::take(&mut state.releasing);
    for key in left.keys() {
        state.ledger.release_done(*key);
    }
    shared.meter.gauges(&mut state, shared.clock.now());
    (state.released, left.len() as u64)
}
