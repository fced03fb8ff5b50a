//! What holds of a queue as such: identity, capabilities, attributes, another client, a queue that is not there.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{DeleteOutcome, Handle, QueueError, QueueErrorKind, ReceiveRequest};

use super::bench::Bench;
use super::harness::QueueHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn QueueHarness, Bench: [
    describe_changes_nothing,
    denied_describe_is_not_fatal,
    another_client_may_delete_what_this_one_received,
    receive_from_a_missing_queue_is_fatal,
    delete_from_a_missing_queue_is_fatal,
    extend_at_a_missing_queue_is_fatal,
] even under faults [
    identity_is_constant,
    capabilities_are_constant_and_make_sense,
]);

async fn identity_is_constant(bench: &Bench) -> Result<(), Halt> {
    let first = bench.queue.identity();
    ensure!(!first.name.is_empty(), "the queue has no name; its state is keyed by it");
    bench.lease_calls().await;
    ensure!(bench.queue.identity() == first, "it was {first}, now it is {}", bench.queue.identity());
    if let Some(second) = bench.test.second_client() {
        ensure!(second.identity() == first, "one client says {first}, another {}", second.identity());
    }
    Ok(())
}

async fn capabilities_are_constant_and_make_sense(bench: &Bench) -> Result<(), Halt> {
    let first = bench.queue.capabilities();
    ensure!(first.max_receive >= 1 && first.max_delete >= 1, "batches of none: {first:?}");
    ensure!(first.lease_range.0 <= first.lease_range.1, "an empty range of leases: {:?}", first.lease_range);
    ensure!(first.max_wait >= bench.settings.wait, "the harness waits longer than {:?}", first.max_wait);
    ensure!(first.max_message_bytes > 0, "a largest body of nothing");
    ensure!(!first.max_retention.is_zero(), "a retention of nothing");
    bench.lease_calls().await;
    ensure!(bench.queue.capabilities() == first, "they changed from {first:?} to {:?}", bench.queue.capabilities());
    Ok(())
}

async fn describe_changes_nothing(bench: &Bench) -> Result<(), Halt> {
    let ids = bench.send_many(3).await?;
    match bench.promptly("a describe", bench.queue.describe()).await? {
        Ok(description) => {
            let lease = description.lease.unwrap_or(bench.settings.lease);
            ensure!(lease == bench.settings.lease, "it says a lease of {lease:?}; it is {:?}", bench.settings.lease);
        }
        Err(error) if error.kind == QueueErrorKind::Denied => return Err(Halt::skipped("attributes are denied")),
        Err(error) => return Err(error.into()),
    }
    let messages = bench.receive(ids.len()).await?;
    let first = messages.iter().all(|message| message.dequeue_count <= 1);
    ensure!(first, "reading the attributes counted as a delivery");
    bench.expect_left(3).await
}

async fn denied_describe_is_not_fatal(bench: &Bench) -> Result<(), Halt> {
    let Some(client) = bench.test.client_without_describe() else {
        return Err(Halt::skipped("the harness has no client without that right"));
    };
    let kind = bench.promptly("a describe", client.describe()).await?.map_err(|error| error.kind);
    ensure!(kind.as_ref().err() == Some(&QueueErrorKind::Denied), "a denied describe says {kind:?}, not Denied");
    bench.send("a").await?;
    let request = ReceiveRequest { max: 1, wait: bench.settings.wait };
    let received = bench.promptly("a receive", client.receive(request)).await??;
    let handles: Vec<Handle> = received.messages.into_iter().map(|message| message.handle).collect();
    ensure!(handles.len() == 1, "after a denied describe nothing can be received");
    let outcomes = bench.promptly("a delete", client.delete(&handles)).await??;
    ensure!(outcomes == [DeleteOutcome::Deleted], "after a denied describe a delete says {outcomes:?}");
    Ok(())
}

async fn another_client_may_delete_what_this_one_received(bench: &Bench) -> Result<(), Halt> {
    if !bench.queue.capabilities().handle_outlives_connection {
        return Err(Halt::skipped("a handle belongs to its connection"));
    }
    let Some(second) = bench.test.second_client() else {
        return Err(Halt::skipped("the harness has no second client"));
    };
    let message = bench.lease_one("a").await?;
    let outcomes = bench.promptly("a delete", second.delete(&[message.handle])).await??;
    ensure!(outcomes == [DeleteOutcome::Deleted], "{outcomes:?}");
    bench.expect_left(0).await
}

async fn receive_from_a_missing_queue_is_fatal(bench: &Bench) -> Result<(), Halt> {
    let missing = bench.missing()?;
    for wait in [Duration::ZERO, bench.settings.wait] {
        let call = missing.receive(ReceiveRequest { max: 1, wait });
        let answer = bench.promptly("a receive from a missing queue", call).await?;
        expect_missing("receive", answer.map(|received| format!("{} messages", received.messages.len())))?;
    }
    Ok(())
}

async fn delete_from_a_missing_queue_is_fatal(bench: &Bench) -> Result<(), Halt> {
    let message = bench.lease_one("a").await?;
    let missing = bench.missing()?;
    let answer = bench.promptly("a delete at a missing queue", missing.delete(&[message.handle])).await?;
    expect_missing("delete", answer.map(|outcomes| format!("{outcomes:?}")))?;
    bench.expect_left(1).await
}

async fn extend_at_a_missing_queue_is_fatal(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    let missing = bench.missing()?;
    let call = missing.extend(&message.handle, bench.settings.lease);
    let answer = bench.promptly("an extend at a missing queue", call).await?;
    expect_missing("extend", answer.map(|_| "a new handle".to_owned()))
}

fn expect_missing(operation: &str, answer: Result<String, QueueError>) -> Result<(), Halt> {
    match answer {
        Err(error) if error.kind == QueueErrorKind::NoSuchQueue => Ok(()),
        Err(error) => Err(Halt::failed(format!("{operation}: the kind is {:?}, not NoSuchQueue: {error}", error.kind))),
        Ok(answer) => Err(Halt::failed(format!("{operation}: answered with {answer}"))),
    }
}

impl Bench {
    fn missing(&self) -> Result<Arc<dyn headwater_core::Queue>, Halt> {
        self.test.missing().ok_or_else(|| Halt::skipped("the harness cannot name a missing queue"))
    }

    /// A call of each kind, whatever it answers.
    async fn lease_calls(&self) {
        let limit = self.settings.slack;
        let handle = Handle::new("no-such-handle");
        _ = self.within(limit, self.queue.describe()).await;
        _ = self.within(limit, self.queue.receive(ReceiveRequest { max: 1, wait: Duration::ZERO })).await;
        _ = self.within(limit, self.queue.delete(std::slice::from_ref(&handle))).await;
        _ = self.within(limit, self.queue.extend(&handle, self.settings.lease)).await;
    }
}
