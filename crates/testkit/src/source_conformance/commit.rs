//! Checkpoints: nothing is deleted before one is committed, and what it covers is deleted after.

use headwater_core::{CheckpointId, Event};

use super::bench::Bench;
use super::harness::SourceHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn SourceHarness, Bench: [
    handing_out_deletes_nothing,
    a_checkpoint_alone_deletes_nothing,
    an_abort_deletes_nothing,
    a_commit_deletes_without_further_calls,
    a_commit_deletes_only_what_came_before_its_checkpoint,
    a_checkpoint_may_be_cut_inside_a_batch,
    a_commit_implies_every_earlier_one,
    a_commit_may_be_repeated,
    an_unknown_commit_is_refused,
    a_checkpoint_repeated_gives_the_same_state,
    checkpoint_ids_must_grow,
    a_checkpoint_of_nothing_is_one,
    an_aborted_checkpoint_is_announced_and_covered_again,
    nothing_is_announced_while_a_checkpoint_is_undecided,
    nothing_is_announced_when_nothing_has_changed,
] even under faults [
    one_message_and_then_silence_is_checkpointed_and_deleted,
    epoch_after_epoch_is_deleted,
]);

async fn handing_out_deletes_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(5).await?;
    bench.send(0).await?;
    job.take(5).await?;
    job.watch(bench.settings.quiet).await?;
    job.check_deletes().await
}

async fn a_checkpoint_alone_deletes_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(5).await?;
    job.take(5).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    bench.quiet().await;
    job.check_deletes().await
}

async fn an_abort_deletes_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(5).await?;
    job.take(5).await?;
    let cut = job.cut().await?;
    job.abort(cut.id).await?;
    job.watch(bench.settings.quiet).await?;
    job.check_deletes().await
}

async fn a_commit_deletes_without_further_calls(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(20).await?;
    job.take(20).await?;
    job.checkpoint().await?;
    bench.expect_deleted(&ids).await
}

async fn a_commit_deletes_only_what_came_before_its_checkpoint(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let first = bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    // Handed out after the barrier and before its commit: of the next epoch.
    let second = bench.send_many(3).await?;
    job.take(3).await?;
    job.commit(cut.id).await?;
    bench.expect_deleted(&first).await?;
    bench.quiet().await;
    job.check_deletes().await?;
    job.checkpoint().await?;
    bench.expect_deleted(&second).await
}

async fn a_checkpoint_may_be_cut_inside_a_batch(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(6).await?;
    job.take(6).await?;
    let (used, later) = ids.split_at(2);
    let cut = job.cut_before(&later.iter().cloned().collect()).await?;
    let cut = cut.ok_or_else(|| Halt::skipped("the source takes checkpoints between batches only"))?;
    job.save(&cut);
    job.commit(cut.id).await?;
    bench.expect_deleted(used).await?;
    bench.quiet().await;
    job.check_deletes().await?;
    // What was cut off is in no durable state: it comes again.
    job.restart().await?;
    job.finish().await
}

async fn a_commit_implies_every_earlier_one(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(6).await?;
    job.take(3).await?;
    let first = job.cut().await?;
    job.save(&first);
    job.take(6 - job.durable().len()).await?;
    let second = job.cut().await?;
    job.save(&second);
    job.commit(second.id).await?;
    bench.expect_deleted(&ids).await?;
    job.commit(first.id).await
}

async fn a_commit_may_be_repeated(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    job.commit(cut.id).await?;
    job.commit(cut.id).await?;
    bench.expect_deleted(&ids).await?;
    job.commit(cut.id).await
}

async fn an_unknown_commit_is_refused(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    let unknown = CheckpointId(7);
    let answer = bench.ended("commit", job.source()?.commit(unknown)).await?;
    ensure!(answer.is_err(), "a commit of checkpoint 7 was accepted, and none was taken");
    bench.quiet().await;
    job.check_deletes().await
}

async fn a_checkpoint_repeated_gives_the_same_state(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    // A message of the next epoch must not slip into the state that was asked for again.
    bench.send_many(1).await?;
    job.take(4).await?;
    let again = bench.ended("checkpoint", job.source()?.checkpoint(cut.id)).await??;
    ensure!(again == cut.state, "checkpoint {} has two states", cut.id);
    Ok(())
}

async fn checkpoint_ids_must_grow(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    job.checkpoint().await?;
    job.checkpoint().await?;
    let answer = bench.ended("checkpoint", job.source()?.checkpoint(CheckpointId(1))).await?;
    ensure!(answer.is_err(), "checkpoint 1 was taken after checkpoint 2");
    Ok(())
}

async fn a_checkpoint_of_nothing_is_one(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    job.checkpoint().await?;
    job.restart().await?;
    bench.send_many(3).await?;
    job.finish().await
}

async fn an_aborted_checkpoint_is_announced_and_covered_again(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(3).await?;
    job.take(3).await?;
    job.until_due().await?;
    let cut = job.cut().await?;
    job.abort(cut.id).await?;
    job.abort(cut.id).await?;
    // No message comes any more: the announcement must come by itself.
    job.until_due().await?;
    job.checkpoint().await?;
    bench.expect_deleted(&ids).await
}

async fn nothing_is_announced_while_a_checkpoint_is_undecided(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    job.until_due().await?;
    let cut = job.cut().await?;
    let announced = job.due.len();
    bench.send_many(3).await?;
    job.watch(bench.settings.eventually / 4).await?;
    ensure!(job.due.len() == announced, "checkpoint {} is not decided, and another was announced", cut.id);
    ensure!(job.pending().len() >= 6, "the next epoch's rows do not flow while a checkpoint is undecided");
    Ok(())
}

async fn nothing_is_announced_when_nothing_has_changed(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let events = job.watch(bench.settings.eventually / 4).await?;
    ensure!(events.is_empty(), "nothing was sent, and {} events came: {:?}", events.len(), events.first());
    Ok(())
}

async fn one_message_and_then_silence_is_checkpointed_and_deleted(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let id = bench.send(1).await?;
    job.take(1).await?;
    // The consumer does nothing but wait in `next`.
    let announced = job.due.len();
    while job.due.len() == announced {
        let event = job.next().await?;
        ensure!(matches!(event, Some(Event::CheckpointDue(_))), "something else than an announcement came");
    }
    job.checkpoint().await?;
    bench.expect_deleted(&[id]).await
}

async fn epoch_after_epoch_is_deleted(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    for _ in 0..5 {
        bench.send_many(3).await?;
        bench.send(0).await?;
        job.finish().await?;
    }
    Ok(())
}
