//! The one code path that deletes: takes what the ledger releases (G1), calls the queue, brings the answers back.

use std::sync::Arc;

use headwater_core::{DeleteOutcome, Handle, SourceError};
use headwater_ledger::{DeleteBatch, DeleteToken, MessageKey};

use crate::state::{Shared, State};

/// Runs for the life of the source. Never waits for the consumer.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut deleter = Deleter { shared, running: None };
    let shared = Arc::clone(&deleter.shared);
    loop {
        let batch = ready(&shared).await;
        deleter.running = Some(batch.token);
        let handles: Vec<Handle> = batch.entries.iter().map(|(_, handle)| handle.clone()).collect();
        shared.meter.calls_delete.increment(1);
        let outcomes = match shared.queue.delete(&handles).await {
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
                vec![DeleteOutcome::Failed; batch.entries.len()]
            }
        };
        deleter.running = None;
        let keys: Vec<_> = batch.entries.iter().map(|(key, _)| *key).collect();
        settle(&shared, batch.token, &keys, &outcomes);
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
            settle(&self.shared, token, &[], &[]);
        }
        self.shared.lock().deleting -= 1;
        if std::thread::panicking() {
            self.shared.panicked("a deleter");
        }
        self.shared.consumer.notify_one();
    }
}

async fn ready(shared: &Shared) -> DeleteBatch {
    loop {
        let woken = shared.deleters.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        #[cfg(feature = "traps")]
        if shared.config.limits.has_trap(headwater_ledger::Trap::DeletesAfterRows) && !shared.lock().inbox.is_empty() {
            woken.await;
            continue;
        }
        let deadline = {
            let mut state = shared.lock();
            let batch = state.ledger.next_deletes(shared.clock.now());
            let retry = state.ledger.next_retry();
            if let Some(batch) = batch {
                // One is woken at a time, and wakes the next if there is more, or a time to be waited for.
                if batch.entries.len() >= state.ledger.limits().delete_max as usize || retry.is_some() {
                    shared.deleters.notify_one();
                }
                return batch;
            }
            retry
        };
        match deadline {
            Some(at) => tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(at) => {} },
            None => woken.await,
        }
    }
}

/// Lets the source's own log say, with the next thing it says, which of its messages need no further delete.
fn note_confirmed(state: &mut State, keys: &[MessageKey], outcomes: &[DeleteOutcome]) {
    if state.ledger.limits().log.is_none() {
        return;
    }
    let deleted = keys.iter().zip(outcomes).filter(|(_, outcome)| **outcome == DeleteOutcome::Deleted);
    let confirmed: Vec<_> = deleted.map(|(key, _)| *key).filter(|key| state.ledger.is_deleted(*key)).collect();
    state.log.confirmed.extend(confirmed);
}

fn settle(shared: &Shared, token: DeleteToken, keys: &[MessageKey], outcomes: &[DeleteOutcome]) {
    let now = shared.clock.now();
    let mut state = shared.lock();
    let report = state.ledger.delete_done(token, outcomes, now);
    state.totals.deleted += u64::from(report.confirmed);
    if report.confirmed > 0 {
        state.last_activity = now;
    }
    note_confirmed(&mut state, keys, outcomes);
    shared.meter.gauges(&state, shared.clock.now());
    drop(state);
    shared.meter.deleted.increment(u64::from(report.confirmed));
    shared.meter.failed_deletes.increment(u64::from(report.stale + report.given_up));
    shared.consumer.notify_one();
    shared.pollers.notify_one();
    shared.deleters.notify_one();
}
