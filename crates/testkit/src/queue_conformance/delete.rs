//! Deleting: for good, each handle by itself, told outcome by outcome.

use headwater_core::{DeleteOutcome, Handle, QueueErrorKind};

use super::bench::Bench;
use super::harness::QueueHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn QueueHarness, Bench: [
    a_deleted_message_never_comes_back,
    a_full_batch_can_be_deleted,
    outcomes_are_in_the_order_of_the_handles,
    a_partial_failure_leaves_the_others_deleted,
    a_batch_of_dead_handles_is_an_answer_not_an_error,
    a_second_delete_is_stale,
    a_handle_that_never_was_is_not_deleted,
    a_delete_of_nothing_does_nothing,
    deleting_one_message_keeps_the_others,
]);

async fn a_deleted_message_never_comes_back(bench: &Bench) -> Result<(), Halt> {
    let message = bench.lease_one("a").await?;
    bench.delete_expecting(&message.handle, DeleteOutcome::Deleted, "a live handle").await?;
    bench.expect_left(0).await?;
    bench.outlast_lease().await;
    bench.expect_nothing("it was deleted").await
}

async fn a_full_batch_can_be_deleted(bench: &Bench) -> Result<(), Halt> {
    let count = bench.queue.capabilities().max_delete as usize;
    let handles = bench.lease_many(count).await?;
    let outcomes = bench.delete(&handles).await?;
    ensure!(outcomes.iter().all(|outcome| *outcome == DeleteOutcome::Deleted), "{outcomes:?}");
    bench.expect_left(0).await
}

async fn outcomes_are_in_the_order_of_the_handles(bench: &Bench) -> Result<(), Halt> {
    bench.need_batch(3)?;
    bench.need_stale_errors()?;
    let handles = bench.lease_many(4).await?;
    bench.delete_expecting(&handles[0], DeleteOutcome::Deleted, "a live handle").await?;
    let outcomes = bench.delete(&[handles[1].clone(), handles[2].clone(), handles[0].clone()]).await?;
    let expected = [DeleteOutcome::Deleted, DeleteOutcome::Deleted, DeleteOutcome::Stale];
    ensure!(outcomes == expected, "live, live, dead: {outcomes:?}");
    let outcomes = bench.delete(&[handles[1].clone(), handles[3].clone(), handles[2].clone()]).await?;
    let expected = [DeleteOutcome::Stale, DeleteOutcome::Deleted, DeleteOutcome::Stale];
    ensure!(outcomes == expected, "dead, live, dead: {outcomes:?}");
    Ok(())
}

async fn a_partial_failure_leaves_the_others_deleted(bench: &Bench) -> Result<(), Halt> {
    bench.need_batch(3)?;
    let handles = bench.lease_many(3).await?;
    bench.delete_expecting(&handles[1], DeleteOutcome::Deleted, "a live handle").await?;
    bench.expect_left(2).await?;
    bench.delete(&handles).await?;
    bench.expect_left(0).await?;
    bench.outlast_lease().await;
    bench.expect_nothing("all were deleted, one of them before").await
}

async fn a_batch_of_dead_handles_is_an_answer_not_an_error(bench: &Bench) -> Result<(), Halt> {
    bench.need_stale_errors()?;
    let handles = bench.lease_many(bench.queue.capabilities().max_delete.min(2) as usize).await?;
    bench.delete(&handles).await?;
    let outcomes = bench.delete(&handles).await?;
    ensure!(outcomes.iter().all(|outcome| *outcome == DeleteOutcome::Stale), "{outcomes:?}, all were deleted before");
    Ok(())
}

async fn a_second_delete_is_stale(bench: &Bench) -> Result<(), Halt> {
    bench.need_stale_errors()?;
    let message = bench.lease_one("a").await?;
    bench.delete_expecting(&message.handle, DeleteOutcome::Deleted, "a live handle").await?;
    bench.delete_expecting(&message.handle, DeleteOutcome::Stale, "a used handle").await
}

async fn a_handle_that_never_was_is_not_deleted(bench: &Bench) -> Result<(), Halt> {
    bench.need_stale_errors()?;
    let message = bench.lease_one("a").await?;
    let text = message.handle.as_str();
    // The middle of a handle differs from any that was issued, and its shape is right.
    let middle = text.chars().count() / 2;
    let invented: String = text
        .chars()
        .enumerate()
        .map(|(at, c)| if at == middle { if c == 'a' { 'b' } else { 'a' } } else { c })
        .collect();
    let outcomes = bench.delete(&[Handle::new(&invented)]).await?;
    ensure!(outcomes == [DeleteOutcome::Stale], "deleting with an invented handle: {outcomes:?}");
    bench.expect_left(1).await
}

async fn a_delete_of_nothing_does_nothing(bench: &Bench) -> Result<(), Halt> {
    bench.lease_one("a").await?;
    match bench.promptly("a delete of nothing", bench.queue.delete(&[])).await? {
        Ok(outcomes) => ensure!(outcomes.is_empty(), "no handles, and outcomes: {outcomes:?}"),
        Err(error) => ensure!(error.kind == QueueErrorKind::Refused, "the kind is {:?}, not Refused", error.kind),
    }
    bench.expect_left(1).await
}

async fn deleting_one_message_keeps_the_others(bench: &Bench) -> Result<(), Halt> {
    let handles = bench.lease_many(3).await?;
    bench.delete_expecting(&handles[1], DeleteOutcome::Deleted, "a live handle").await?;
    bench.expect_left(2).await?;
    bench.outlast_lease().await;
    let back = bench.receive(2).await?;
    ensure!(back.iter().all(|message| message.body != "message 1"), "the deleted one came back");
    bench.expect_nothing("there were two others").await
}

impl Bench {
    /// Sends messages and receives them; their handles in the order of the sends.
    async fn lease_many(&self, count: usize) -> Result<Vec<Handle>, Halt> {
        let ids = self.send_many(count).await?;
        let mut messages = super::bench::by_id(self.receive(count).await?)?;
        let handle = |id: &String| messages.remove(id.as_str()).map(|message| message.handle);
        let handles: Vec<Handle> = ids.iter().filter_map(handle).collect();
        ensure!(handles.len() == count, "{count} messages were sent, {} of them came", handles.len());
        Ok(handles)
    }

    fn need_batch(&self, count: u32) -> Result<(), Halt> {
        let enough = self.queue.capabilities().max_delete >= count;
        enough.then_some(()).ok_or_else(|| Halt::skipped(format!("the queue does not delete {count} at a time")))
    }
}
