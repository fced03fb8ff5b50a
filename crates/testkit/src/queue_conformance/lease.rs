//! Leases: hidden while they run, back when they end, under the same id and a new handle; and what a delivery says of itself.

use std::collections::BTreeSet;

use headwater_core::{DeleteOutcome, Message, ServerMs};

use super::bench::Bench;
use super::harness::QueueHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn QueueHarness, Bench: [
    a_leased_message_is_hidden,
    a_message_comes_back_when_its_lease_ends,
    a_parked_receive_gets_what_comes_back,
    the_id_is_the_one_told_to_the_sender_and_stays,
    the_dequeue_count_grows_with_every_delivery,
    the_body_is_the_same_in_every_delivery,
    every_delivery_has_its_own_handle,
    a_handle_dies_when_its_lease_ends,
    a_handle_dies_when_its_message_is_received_again,
    the_newest_handle_deletes,
    the_times_of_a_delivery_make_sense,
    the_first_times_stay_in_a_redelivery,
    the_server_time_moves_with_time,
]);

async fn a_leased_message_is_hidden(bench: &Bench) -> Result<(), Halt> {
    bench.lease_one("a").await?;
    bench.expect_nothing("the lease has just begun").await?;
    bench.pass(bench.settings.lease / 2).await;
    bench.expect_nothing("half of the lease is left").await
}

async fn a_message_comes_back_when_its_lease_ends(bench: &Bench) -> Result<(), Halt> {
    let messages = bench.send_many(3).await?;
    bench.receive(messages.len()).await?;
    bench.outlast_lease().await;
    let again: BTreeSet<String> = bench.receive(3).await?.iter().map(|message| message.id.to_string()).collect();
    ensure!(again == messages.into_iter().collect(), "others came back: {again:?}");
    bench.expect_left(3).await
}

async fn a_parked_receive_gets_what_comes_back(bench: &Bench) -> Result<(), Halt> {
    let first = bench.lease_one("a").await?;
    // Poll from before the end of the lease until after it, as a consumer would.
    bench.pass(bench.settings.lease.saturating_sub(bench.settings.wait / 2)).await;
    let again = bench.receive_one().await?;
    ensure!(again.id == first.id, "{} came, not {}", again.id, first.id);
    Ok(())
}

async fn the_id_is_the_one_told_to_the_sender_and_stays(bench: &Bench) -> Result<(), Halt> {
    bench.need_stable_ids()?;
    let id = bench.send("a").await?;
    for delivery in 1..=3 {
        let message = bench.receive_one().await?;
        ensure!(*message.id == *id, "sent as {id}, delivery {delivery} calls it {}", message.id);
        bench.outlast_lease().await;
    }
    Ok(())
}

async fn the_dequeue_count_grows_with_every_delivery(bench: &Bench) -> Result<(), Halt> {
    let counts = bench.deliveries(3).await?.iter().map(|message| message.dequeue_count).collect::<Vec<_>>();
    ensure!(counts == [1, 2, 3] || counts == [0, 0, 0], "{counts:?}, neither growing from 1 nor always unknown (0)");
    Ok(())
}

async fn the_body_is_the_same_in_every_delivery(bench: &Bench) -> Result<(), Halt> {
    let deliveries = bench.deliveries(2).await?;
    ensure!(deliveries.iter().all(|message| message.body == "a"), "a redelivery has another body");
    Ok(())
}

async fn every_delivery_has_its_own_handle(bench: &Bench) -> Result<(), Halt> {
    let deliveries = bench.deliveries(3).await?;
    let handles: BTreeSet<_> = deliveries.iter().map(|message| &message.handle).collect();
    ensure!(handles.len() == 3, "three deliveries, {} handles", handles.len());
    Ok(())
}

async fn a_handle_dies_when_its_lease_ends(bench: &Bench) -> Result<(), Halt> {
    bench.need_stale_errors()?;
    let message = bench.lease_one("a").await?;
    bench.outlast_lease().await;
    // Nobody has received it again, and the handle is dead nevertheless.
    bench.delete_expecting(&message.handle, DeleteOutcome::Stale, "a handle past its lease").await?;
    bench.expect_left(1).await?;
    let again = bench.receive_one().await?;
    ensure!(again.id == message.id, "{} came, not {}", again.id, message.id);
    Ok(())
}

async fn a_handle_dies_when_its_message_is_received_again(bench: &Bench) -> Result<(), Halt> {
    bench.need_stale_errors()?;
    let deliveries = bench.deliveries(2).await?;
    bench.delete_expecting(&deliveries[0].handle, DeleteOutcome::Stale, "the handle of an earlier delivery").await?;
    bench.expect_left(1).await
}

async fn the_newest_handle_deletes(bench: &Bench) -> Result<(), Halt> {
    let deliveries = bench.deliveries(3).await?;
    bench.delete_expecting(&deliveries[2].handle, DeleteOutcome::Deleted, "the newest handle").await?;
    bench.expect_left(0).await?;
    bench.outlast_lease().await;
    bench.expect_nothing("it was deleted").await
}

async fn the_times_of_a_delivery_make_sense(bench: &Bench) -> Result<(), Halt> {
    bench.send("a").await?;
    bench.pass(bench.settings.slack).await;
    let received = bench.ask(1, bench.settings.wait).await??;
    let message = received.messages.first().ok_or_else(|| Halt::failed("nothing came"))?;
    let Message { enqueued, first_dequeued, next_visible, .. } = message;
    let ordered = |a: &Option<ServerMs>, b: &Option<ServerMs>| a.is_none() || b.is_none() || a <= b;
    ensure!(ordered(enqueued, first_dequeued), "received {first_dequeued:?} before it was sent {enqueued:?}");
    ensure!(ordered(first_dequeued, next_visible), "the lease ended at {next_visible:?} before {first_dequeued:?}");
    if let (Some(first), Some(next)) = (first_dequeued, next_visible) {
        bench.expect_span("the first lease", *first, *next, 0)?;
    }
    if let (Some(now), Some(next)) = (received.server_time, next_visible) {
        // A clock read from an HTTP header is cut to the second.
        bench.expect_span("the rest of the lease on the server's clock", now, *next, 1_000)?;
    }
    Ok(())
}

async fn the_first_times_stay_in_a_redelivery(bench: &Bench) -> Result<(), Halt> {
    let deliveries = bench.deliveries(2).await?;
    let times = |message: &Message| (message.enqueued, message.first_dequeued);
    let (first, second) = (times(&deliveries[0]), times(&deliveries[1]));
    ensure!(first == second, "sent and first received at {first:?}, later at {second:?}");
    let (first, second) = (deliveries[0].next_visible, deliveries[1].next_visible);
    ensure!(first.is_none() || first < second, "the second lease ends at {second:?}, the first at {first:?}");
    Ok(())
}

async fn the_server_time_moves_with_time(bench: &Bench) -> Result<(), Halt> {
    let first = bench.ask(1, std::time::Duration::ZERO).await??.server_time;
    bench.pass(bench.settings.lease).await;
    let second = bench.ask(1, std::time::Duration::ZERO).await??.server_time;
    match (first, second) {
        (Some(first), Some(second)) => bench.expect_span("server time over a lease", first, second, 1_000),
        (None, None) => Err(Halt::skipped("the queue does not tell its time")),
        other => Err(Halt::failed(format!("the queue tells its time only at times: {other:?}"))),
    }
}

impl Bench {
    /// Receives one message again and again, each time when its lease is over.
    async fn deliveries(&self, count: usize) -> Result<Vec<Message>, Halt> {
        let mut deliveries = vec![self.lease_one("a").await?];
        while deliveries.len() < count {
            self.outlast_lease().await;
            deliveries.push(self.receive_one().await?);
        }
        Ok(deliveries)
    }

    /// Ends the trial unless about a lease lies between two times; `coarse` more or less, besides the slack.
    fn expect_span(&self, what: &str, from: ServerMs, to: ServerMs, coarse: i64) -> Result<(), Halt> {
        let ms = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let (span, lease, slack) = (to.0 - from.0, ms(self.settings.lease), ms(self.settings.slack) + coarse);
        ensure!((lease - slack..=lease + slack).contains(&span), "{what}: {span} ms, and the lease is {lease} ms");
        Ok(())
    }
}
