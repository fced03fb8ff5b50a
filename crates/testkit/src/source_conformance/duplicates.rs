//! Redeliveries: never handed out twice, and never left to circulate.

use super::bench::Bench;
use super::harness::{Disturbance, SourceHarness};
use crate::trial::{Halt, ensure, trials};

trials!(dyn SourceHarness, Bench: [
    a_redelivery_before_its_checkpoint_is_suppressed,
    a_redelivery_between_checkpoint_and_commit_is_suppressed,
    a_redelivery_of_what_waits_for_the_consumer_is_suppressed,
    a_message_redelivered_many_times_is_deleted_in_the_end,
    a_delete_that_is_lost_is_made_up_for_by_the_redelivery,
    a_delete_whose_answer_is_lost_does_not_stop_the_stream,
    a_consumer_that_stalls_for_leases_neither_loses_nor_repeats,
]);

async fn a_redelivery_before_its_checkpoint_is_suppressed(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(3).await?;
    job.take(3).await?;
    for id in &ids {
        bench.redeliver(id).await?;
    }
    // The job fails on a second hand-out.
    job.watch(bench.settings.quiet).await?;
    // The first handles are dead: only those of the redelivery delete.
    job.checkpoint().await?;
    bench.expect_deleted(&ids).await
}

async fn a_redelivery_between_checkpoint_and_commit_is_suppressed(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    for id in &ids {
        bench.redeliver(id).await?;
    }
    job.watch(bench.settings.quiet).await?;
    job.check_deletes().await?;
    job.commit(cut.id).await?;
    bench.expect_deleted(&ids).await
}

async fn a_redelivery_of_what_waits_for_the_consumer_is_suppressed(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    // Wake the source, then leave it alone while it goes on receiving.
    bench.send(1).await?;
    job.take(1).await?;
    let ids = bench.send_many(5).await?;
    bench.quiet().await;
    for id in &ids {
        bench.redeliver(id).await?;
    }
    bench.quiet().await;
    job.finish().await
}

async fn a_message_redelivered_many_times_is_deleted_in_the_end(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let id = bench.send(1).await?;
    job.take(1).await?;
    for _ in 0..5 {
        bench.redeliver(&id).await?;
        job.watch(bench.settings.quiet / 4).await?;
    }
    job.checkpoint().await?;
    bench.expect_deleted(&[id]).await
}

async fn a_delete_that_is_lost_is_made_up_for_by_the_redelivery(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(3).await?;
    job.take(3).await?;
    bench.disturb(Disturbance::DeletesLost)?;
    job.checkpoint().await?;
    // Longer than any retry of a delete, and than the lease: the messages come back.
    job.run(bench.settings.lease * 2).await?;
    bench.mend();
    job.finish().await?;
    ensure!(bench.undeleted(&ids).await?.is_empty(), "the messages of the lost deletes are still there");
    Ok(())
}

async fn a_delete_whose_answer_is_lost_does_not_stop_the_stream(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let first = bench.send_many(3).await?;
    job.take(3).await?;
    bench.disturb(Disturbance::DeleteAnswersLost)?;
    job.checkpoint().await?;
    bench.expect_deleted(&first).await?;
    job.run(bench.settings.lease).await?;
    bench.mend();
    bench.send_many(3).await?;
    job.finish().await
}

/// Whether the source keeps its leases alive or lets them end is its own business.
async fn a_consumer_that_stalls_for_leases_neither_loses_nor_repeats(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(5).await?;
    job.take(2).await?;
    bench.pass(bench.settings.lease * 3).await;
    job.finish().await
}
