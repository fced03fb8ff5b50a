//! The one code path that deletes: takes what the ledger releases (G1), calls the queue, brings the answers back.

use std::sync::Arc;

use headwater_core::{Alarm, DeleteOutcome, SourceError};
use headwater_ledger::{DeleteBatch, DeleteToken, Mono};

use crate::state::{Shared, State};

/// Runs for the life of the source. Never waits for the consumer.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut deleter = Deleter { shared, running: None };
    let shared = Arc::clone(&deleter.shared);
    let mut alarm = Alarm::new(Arc::clone(&shared.clock));
    let mut next = None;
    loop {
        let batch = match next.take() {
            Some(batch) => batch,
            None => ready(&shared, &mut alarm).await,
        };
        deleter.running = Some(batch.token);
        // As pollers do: who is ready to send sends together.
        tokio::task::yield_now().await;
        shared.meter.calls_delete.increment(1);
        let outcomes = match shared.queue.delete(&batch.handles).await {
            Ok(outcomes) => outcomes,
            Err(error) if error.kind.is_fatal() => {
                // A denied delete would fill the queue for ever with what is done: the job must not go on.
                let text = format!("deleting from queue {} was refused: {error}", shared.queue_name);
                let error = SourceError::new(crate::poller::fatal_kind(error.kind), text).with_source(error);
                shared.lock().delete_refused.get_or_insert_with(|| error.clone());
                shared.fail(error);
                // Nothing else can be deleted either; what is committed comes back and is deleted by a later run.
                return;
            }
            Err(error) => {
                tracing::warn!(queue = %shared.queue_name, %error, "delete failed, trying again");
                vec![DeleteOutcome::Failed; batch.keys.len()]
            }
        };
        deleter.running = None;
        next = settle(&shared, &batch, &outcomes, true);
    }
}

/// What a deleter gives back however it ends.
struct Deleter {
    shared: Arc<Shared>,
    running: Option<DeleteToken>,
}

impl Drop for Deleter {
    fn drop(&mut self) {
        if let Some(token) = self.running {
            // No outcome: it may have happened.
            let batch = DeleteBatch { token, handles: Default::default(), keys: Default::default() };
            settle(&self.shared, &batch, &[], false);
        }
        self.shared.lock().deleting -= 1;
        if std::thread::panicking() {
            self.shared.panicked("a deleter");
        }
        self.shared.consumer.notify_one();
    }
}

/// Waits until there is something to delete.
async fn ready(shared: &Shared, alarm: &mut Alarm) -> DeleteBatch {
    loop {
        let woken = shared.deleters.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let deadline = {
            let mut state = shared.lock();
            if let Some(batch) = begin(shared, &mut state, shared.clock.now()) {
                return batch;
            }
            state.ledger.next_retry()
        };
        match deadline {
            Some(at) => tokio::select! { biased; () = woken => {}, () = alarm.until(at) => {} },
            None => woken.await,
        }
    }
}

/// Takes what is ready, if something is.
fn begin(shared: &Shared, state: &mut State, now: Mono) -> Option<DeleteBatch> {
    #[cfg(feature = "traps")]
    if shared.config.limits.has_trap(headwater_ledger::Trap::DeletesAfterRows) && state.has_waiting() {
        return None;
    }
    let batch = state.ledger.next_deletes(now)?;
    state.delete_calls += 1;
    // One is woken at a time, and wakes the next if there is more, or a time to be waited for.
    if batch.keys.len() >= state.ledger.limits().delete_max as usize || state.ledger.next_retry().is_some() {
        shared.deleters.notify_one();
    }
    Some(batch)
}

/// Lets the source's own log say, with the next thing it says, which of its messages need no further delete.
fn note_confirmed(state: &mut State, batch: &DeleteBatch, outcomes: &[DeleteOutcome]) {
    if state.ledger.limits().log.is_none() {
        return;
    }
    let deleted = batch.keys.iter().zip(outcomes).filter(|(_, outcome)| **outcome == DeleteOutcome::Deleted);
    let confirmed: Vec<_> = deleted.map(|(key, _)| *key).filter(|key| state.ledger.is_deleted(*key)).collect();
    state.log.confirmed.extend(confirmed);
}

/// Ends a call; its deleter may go on with what is ready by now.
fn settle(shared: &Shared, batch: &DeleteBatch, outcomes: &[DeleteOutcome], goes_on: bool) -> Option<DeleteBatch> {
    let now = shared.clock.now();
    let mut guard = shared.lock();
    let state = &mut *guard;
    let report = state.ledger.delete_done(batch.token, outcomes, now);
    state.delete_calls = state.delete_calls.saturating_sub(1);
    state.totals.deleted += u64::from(report.confirmed);
    if report.confirmed > 0 {
        state.last_activity = now;
    }
    note_confirmed(state, batch, outcomes);
    // Here, or the consumer would be woken for it: once for every delete where more is remembered than may be.
    state.tick(now);
    let next = if goes_on { begin(shared, state, now) } else { None };
    if state.delete_calls > 0 {
        shared.meter.gauges_soon(state, now);
    } else {
        shared.meter.gauges(state, now);
    }
    let concerns_consumer = state.concerns_consumer();
    drop(guard);
    shared.meter.deleted.increment(u64::from(report.confirmed));
    shared.meter.failed_deletes.increment(u64::from(report.stale + report.given_up));
    if concerns_consumer {
        shared.consumer.notify_one();
    }
    shared.pollers.notify_one();
    if !goes_on {
        shared.deleters.notify_one();
    }
    next
}
