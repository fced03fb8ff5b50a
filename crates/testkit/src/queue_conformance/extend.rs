//! Extending: a new lease from the call on, a handle that works, an old one that does not.

use std::time::Duration;

use headwater_core::{DeleteOutcome, QueueErrorKind};

use super::bench::Bench;
use super::harness::QueueHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn QueueHarness, Bench: [
    an_extended_lease_is_measured_from_the_call,
    an_extended_message_comes_back_in_the_end,
    the_handle_an_extend_returns_deletes,
    the_handle_an_extend_returns_extends_again,
    a_handle_dies_when_it_is_extended,
    the_shortest_extend_makes_a_message_visible_soon,
    an_extend_does_not_count_as_a_delivery,
    extending_after_the_lease_is_gone,
    extending_what_was_deleted_is_gone,
    extending_with_an_old_handle_is_gone,
    a_lease_out_of_range_is_clamped_or_refused,
]);

async fn an_extended_lease_is_measured_from_the_call(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let lease = bench.settings.lease;
    let message = bench.lease_one("a").await?;
    bench.pass(lease / 2).await;
    let extended = bench.extend(&message.handle, lease).await?;
    ensure!(
        message.next_visible.is_none()
            || extended.next_visible.is_none()
            || message.next_visible < extended.next_visible,
        "the lease ended at {:?}, extended at {:?}",
        message.next_visible,
        extended.next_visible
    );
    // 1.25 leases after the receive the first lease is over, the new one is not.
    bench.pass(lease * 3 / 4).await;
    bench.expect_nothing("the lease was extended").await
}

async fn an_extended_message_comes_back_in_the_end(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    bench.extend(&message.handle, bench.settings.lease).await?;
    bench.outlast_lease().await;
    let again = bench.receive_one().await?;
    ensure!(again.id == message.id, "{} came, not {}", again.id, message.id);
    Ok(())
}

async fn the_handle_an_extend_returns_deletes(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    let extended = bench.extend(&message.handle, bench.settings.lease).await?;
    bench.delete_expecting(&extended.handle, DeleteOutcome::Deleted, "the handle of an extend").await?;
    bench.expect_left(0).await
}

async fn the_handle_an_extend_returns_extends_again(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let lease = bench.settings.lease;
    let mut handle = bench.lease_one("a").await?.handle;
    for _ in 0..4 {
        bench.pass(lease / 2).await;
        handle = bench.extend(&handle, lease).await?.handle;
    }
    bench.expect_nothing("the lease was extended four times").await?;
    bench.delete_expecting(&handle, DeleteOutcome::Deleted, "the handle of the fourth extend").await
}

async fn a_handle_dies_when_it_is_extended(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    bench.need_stale_errors()?;
    if !bench.queue.capabilities().handle_changes_on_extend {
        return Err(Halt::skipped("an extend keeps the handle"));
    }
    let message = bench.lease_one("a").await?;
    let extended = bench.extend(&message.handle, bench.settings.lease).await?;
    ensure!(extended.handle != message.handle, "the handle did not change");
    bench.delete_expecting(&message.handle, DeleteOutcome::Stale, "the handle before an extend").await?;
    bench.expect_left(1).await
}

async fn the_shortest_extend_makes_a_message_visible_soon(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let shortest = bench.queue.capabilities().lease_range.0.max(Duration::from_secs(1));
    let message = bench.lease_one("a").await?;
    bench.extend(&message.handle, shortest).await?;
    let again = bench.within(shortest + bench.settings.slack, bench.receive_one()).await;
    let again = again.ok_or_else(|| Halt::failed(format!("released for {shortest:?}, it is still hidden")))??;
    ensure!(again.id == message.id, "{} came, not {}", again.id, message.id);
    Ok(())
}

async fn an_extend_does_not_count_as_a_delivery(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    bench.extend(&message.handle, bench.settings.lease).await?;
    bench.outlast_lease().await;
    let again = bench.receive_one().await?;
    let counts = (message.dequeue_count, again.dequeue_count);
    ensure!(counts == (1, 2) || counts == (0, 0), "two deliveries and an extend: {counts:?}");
    Ok(())
}

async fn extending_after_the_lease_is_gone(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    bench.outlast_lease().await;
    bench.expect_gone(&message.handle, "its lease is over").await
}

async fn extending_what_was_deleted_is_gone(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    bench.delete_expecting(&message.handle, DeleteOutcome::Deleted, "a live handle").await?;
    bench.expect_gone(&message.handle, "its message is deleted").await
}

async fn extending_with_an_old_handle_is_gone(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let message = bench.lease_one("a").await?;
    bench.outlast_lease().await;
    let again = bench.receive_one().await?;
    bench.expect_gone(&message.handle, "its message was received again").await?;
    // The refused call has not touched the lease that runs.
    bench.delete_expecting(&again.handle, DeleteOutcome::Deleted, "the newest handle").await
}

async fn a_lease_out_of_range_is_clamped_or_refused(bench: &Bench) -> Result<(), Halt> {
    bench.need_extend()?;
    let (shortest, longest) = bench.queue.capabilities().lease_range;
    let mut handle = bench.lease_one("a").await?.handle;
    let second = Duration::from_secs(1);
    for lease in [longest.checked_add(second), shortest.checked_sub(second)].into_iter().flatten() {
        match bench.promptly("an extend", bench.queue.extend(&handle, lease)).await? {
            Ok(extended) => handle = extended.handle,
            Err(error) => ensure!(
                error.kind == QueueErrorKind::Refused,
                "a lease of {lease:?}: {:?}, neither clamped nor Refused",
                error.kind
            ),
        }
    }
    bench.delete_expecting(&handle, DeleteOutcome::Deleted, "the handle after it").await
}

impl Bench {
    async fn expect_gone(&self, handle: &headwater_core::Handle, why: &str) -> Result<(), Halt> {
        let answer = self.promptly("an extend", self.queue.extend(handle, self.settings.lease)).await?;
        let kind = answer.map_err(|error| error.kind);
        ensure!(matches!(kind, Err(QueueErrorKind::Gone)), "{why}, and extending says {kind:?}, not Gone");
        Ok(())
    }
}
