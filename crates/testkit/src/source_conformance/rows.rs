//! Rows: each message's once, whole and in order; what the source says of itself.

use headwater_core::Delivery;

use super::bench::Bench;
use super::harness::SourceHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn SourceHarness, Bench: [
    identity_schema_and_delivery_are_constant,
    the_guarantee_is_put_into_words,
    without_stable_ids_it_promises_less,
] even under faults [
    rows_come_once_in_order_and_whole,
    messages_without_rows_are_deleted_like_others,
    a_stream_of_messages_without_rows_is_checkpointed,
]);

async fn rows_come_once_in_order_and_whole(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    // One message may fill a batch by itself, and its neighbours have one row or none.
    for rows in [1, 3, 0, 2, 2_000, 1, 0, 0, 17, 1] {
        bench.send(rows).await?;
    }
    // The job holds every batch against what was sent.
    job.finish().await?;
    bench.quiet().await;
    job.run(bench.settings.quiet).await
}

async fn messages_without_rows_are_deleted_like_others(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    for rows in [0, 1, 0] {
        bench.send(rows).await?;
    }
    job.finish().await
}

async fn a_stream_of_messages_without_rows_is_checkpointed(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    // More than fit at once, so that they block the source until they are committed.
    for _ in 0..bench.settings.undeleted_max + 5 {
        bench.send(0).await?;
    }
    job.finish().await?;
    ensure!(!job.due.is_empty(), "everything was deleted, and no checkpoint was ever announced");
    Ok(())
}

async fn identity_schema_and_delivery_are_constant(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let before = (job.source()?.identity(), job.source()?.schema(), job.source()?.delivery());
    ensure!(!before.0.is_empty(), "the source has no identity; its state is keyed by it");
    bench.send_many(3).await?;
    job.finish().await?;
    let after = (job.source()?.identity(), job.source()?.schema(), job.source()?.delivery());
    ensure!(before == after, "before {before:?}, later {after:?}");
    job.crash();
    let reopened = bench.open().await?;
    ensure!(reopened.identity() == before.0, "it was {}, after a restart it is {}", before.0, reopened.identity());
    Ok(())
}

async fn the_guarantee_is_put_into_words(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let (text, level) = (job.source()?.guarantee(), job.source()?.delivery());
    ensure!(text.contains(&level.to_string()), "it promises {level} and says: {text}");
    ensure!(!text.contains('\n'), "more than a sentence: {text}");
    Ok(())
}

async fn without_stable_ids_it_promises_less(bench: &Bench) -> Result<(), Halt> {
    let source = bench.test.open_without_stable_ids().await?;
    let source = source.ok_or_else(|| Halt::skipped("the harness has no queue without stable ids"))?;
    let (level, text) = (source.delivery(), source.guarantee());
    ensure!(level == Delivery::AtLeastOnce, "ids change with every delivery, and it promises {level}");
    ensure!(text.contains(&level.to_string()), "it promises {level} and says: {text}");
    Ok(())
}
