//! Messages that a consumer gives back: kept until the commit after which that may show, then made visible again.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::CheckpointId;
use headwater_ledger::{MessageKey, Mono, Release};

use crate::state::{Shared, State};

/// Messages taken out of their epoch, by the checkpoint whose commit they wait for.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    open: Vec<(MessageKey, Duration)>,
    sealed: Vec<(CheckpointId, MessageKey, Duration)>,
}

/// A message on its way back.
#[derive(Clone, Debug)]
pub(crate) struct Return {
    pub(crate) release: Release,
    pub(crate) delay: Duration,
}

impl Returns {
    pub(crate) fn add(&mut self, key: MessageKey, delay: Duration) {
        self.open.push((key, delay));
    }

    /// The barrier of a new checkpoint was cut.
    pub(crate) fn seal(&mut self, id: CheckpointId) {
        self.sealed.extend(self.open.drain(..).map(|(key, delay)| (id, key, delay)));
    }

    /// Sends on what may be made visible again once checkpoint `id` is committed.
    ///
    /// What is being extended waits for the answer, which brings the handle to give it back with.
    pub(crate) fn due(&mut self, id: CheckpointId, state: &mut State) {
        for (_, key, delay) in self.sealed.extract_if(.., |(sealed, _, _)| *sealed <= id) {
            if state.ledger.is_extending(key) {
                state.extends.returns.insert(key, delay);
            } else if let Some(release) = state.ledger.release(key) {
                state.returning.push_back(Return { release, delay });
            }
        }
    }
}

/// Makes messages visible again, one after the other, for as long as the source lives. One is enough: the service budgets
/// single calls, and whoever gives back many messages has no use for them soon.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let woken = shared.returner.notified();
        let next = shared.lock().returning.front().cloned();
        match next {
            Some(message) => give_back(&shared, &message).await,
            None => woken.await,
        }
    }
}

async fn give_back(shared: &Shared, Return { release, delay }: &Return) {
    let capabilities = shared.queue.capabilities();
    let (shortest, longest) = capabilities.lease_range;
    let delay = (*delay).clamp(shortest, longest);
    let mut hidden = None;
    if capabilities.can_extend {
        shared.meter.calls_extend.increment(1);
        match shared.queue.extend(&release.handle, delay).await {
            Ok(_) => hidden = Some(delay),
            // It is visible again at the end of its lease.
            Err(error) => {
                tracing::debug!(queue = %shared.queue_name, %error, "a message could not be given back early")
            }
        }
    }
    let mut state = shared.lock();
    // The front is this one: only this task takes from there.
    state.returning.pop_front();
    state.ledger.release_done(release.key);
    let now = shared.clock.now();
    match hidden {
        Some(delay) => state.idle_floor = state.idle_floor.max(now + delay),
        None => state.maybe_leased(now),
    }
    drop(state);
    shared.pollers.notify_one();
    shared.consumer.notify_one();
}

/// Waits until everything that was to be given back is, or the deadline has come.
pub(crate) async fn end(shared: &Shared, deadline: Mono) {
    loop {
        let woken = shared.consumer.notified();
        if shared.lock().returning.is_empty() || shared.clock.now() >= deadline {
            return;
        }
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(deadline) => return }
    }
}

/// Hands what is left to the releases at the end of a run. The task has ended.
pub(crate) fn give_up(shared: &Shared) {
    let mut state = shared.lock();
    let left = std::mem::take(&mut state.returning);
    state.releasing.extend(left.into_iter().map(|message| (message.release.key, message.release.handle)));
}
