//! The end: stop, drain, drop; and what the status says meanwhile.

use std::time::Duration;

use super::bench::Bench;
use super::harness::SourceHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn SourceHarness, Bench: [
    a_stopped_source_hands_out_what_it_holds_and_ends,
    a_stopped_source_receives_nothing,
    a_source_may_be_stopped_before_it_begins,
    a_drain_deletes_what_is_committed,
    a_drain_makes_the_rest_visible_again,
    a_drain_commits_nothing,
    a_drain_may_be_repeated,
    a_dropped_source_stops,
    the_status_adds_up,
    a_source_with_nothing_to_do_is_idle,
]);

async fn a_stopped_source_hands_out_what_it_holds_and_ends(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send(1).await?;
    job.take(1).await?;
    bench.send_many(10).await?;
    bench.quiet().await;
    let held = job.source()?.status().buffered;
    let taken = job.pending().len() as u64;
    job.stop().await?;
    job.take_rest().await?;
    let handed = job.pending().len() as u64 - taken;
    ensure!(handed >= held, "{held} messages were buffered when it was stopped, {handed} were handed out");
    ensure!(job.next().await?.is_none(), "something came after the end of the stream");
    job.checkpoint().await?;
    job.drain().await?;
    job.check_deletes().await?;
    job.restart().await?;
    job.finish().await
}

async fn a_stopped_source_receives_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send(1).await?;
    job.take(1).await?;
    job.checkpoint().await?;
    job.stop().await?;
    job.take_rest().await?;
    bench.expect_leased_at_most(0, bench.settings.eventually, "everything is committed").await?;
    bench.send_many(5).await?;
    bench.quiet().await;
    let leased = bench.test.leased().await?;
    ensure!(leased == 0, "{leased} messages were received after the end of the stream");
    Ok(())
}

async fn a_source_may_be_stopped_before_it_begins(bench: &Bench) -> Result<(), Halt> {
    bench.send_many(3).await?;
    let mut job = bench.start().await?;
    job.stop().await?;
    job.take_rest().await?;
    job.checkpoint().await?;
    job.drain().await?;
    job.restart().await?;
    job.finish().await
}

async fn a_drain_deletes_what_is_committed(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(20).await?;
    job.take(20).await?;
    job.stop().await?;
    job.take_rest().await?;
    job.checkpoint().await?;
    let report = job.drain().await?;
    let left = bench.undeleted(&ids).await?;
    ensure!(left.is_empty(), "committed and not deleted when the drain had ended: {left:?}");
    ensure!((report.unconfirmed, report.left) == (0, 0), "everything is deleted, and it reports {report:?}");
    Ok(())
}

async fn a_drain_makes_the_rest_visible_again(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(10).await?;
    job.take(5).await?;
    bench.quiet().await;
    job.stop().await?;
    let report = job.drain().await?;
    ensure!(report.left == 0, "nothing kept it from releasing, and it reports {report:?}");
    // The shortest lease is a second: far less than what was left of the first one.
    let soon = (bench.settings.lease / 4).max(Duration::from_secs(2));
    bench.expect_leased_at_most(0, soon, "the drain has ended").await?;
    let left = bench.test.left().await?.len();
    ensure!(left == 10, "nothing was committed, and {left} of 10 messages are left");
    job.restart().await?;
    job.finish().await
}

async fn a_drain_commits_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    let cut = job.cut().await?;
    job.save(&cut);
    // Saved, and not committed: the sinks may not have committed either.
    job.stop().await?;
    job.take_rest().await?;
    job.drain().await?;
    job.check_deletes().await?;
    job.restart().await?;
    job.finish().await
}

async fn a_drain_may_be_repeated(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(3).await?;
    job.take(3).await?;
    job.checkpoint().await?;
    job.stop().await?;
    job.take_rest().await?;
    job.drain().await?;
    job.drain().await?;
    Ok(())
}

async fn a_dropped_source_stops(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send(1).await?;
    job.take(1).await?;
    job.crash();
    // A receive that was on its way may still lease; after a lease everything is visible.
    bench.pass(bench.settings.lease * 2).await;
    bench.expect_leased_at_most(0, bench.settings.lease * 2, "the source was dropped").await?;
    bench.send_many(5).await?;
    bench.pass(bench.settings.quiet).await;
    let leased = bench.test.leased().await?;
    ensure!(leased == 0, "{leased} messages were received by a source that was dropped");
    job.restart().await?;
    job.finish().await
}

async fn the_status_adds_up(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(4).await?;
    bench.send(0).await?;
    job.take(4).await?;
    job.watch(bench.settings.quiet / 4).await?;
    let status = job.source()?.status();
    ensure!((status.received, status.rows) == (5, 4), "5 messages with 4 rows were received: {status:?}");
    ensure!((status.uncommitted, status.buffered) == (5, 0), "5 messages are uncommitted: {status:?}");
    ensure!(status.idle_since.is_none(), "5 messages are uncommitted, and it is idle: {status:?}");
    job.checkpoint().await?;
    let ids: Vec<String> = bench.sent().keys().cloned().collect();
    bench.expect_deleted(&ids).await?;
    bench.pass(bench.settings.quiet / 4).await;
    let status = job.source()?.status();
    let open = (status.uncommitted, status.deletable, status.unconfirmed);
    ensure!(open == (0, 0, 0) && status.deleted == 5, "5 messages are deleted: {status:?}");
    Ok(())
}

async fn a_source_with_nothing_to_do_is_idle(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(2).await?;
    job.finish().await?;
    job.run(bench.settings.lease * 3).await?;
    let first = job.source()?.status().idle_since;
    ensure!(first.is_some(), "everything is deleted for three leases, and it is not idle");
    job.run(bench.settings.lease).await?;
    let later = job.source()?.status().idle_since;
    ensure!(later >= first, "idle since {first:?}, then, nothing having happened, since {later:?}");
    bench.send_many(1).await?;
    job.finish().await?;
    job.run(bench.settings.lease * 3).await?;
    let after = job.source()?.status().idle_since;
    ensure!(after > first, "a message came meanwhile, and it is idle since {after:?}, as before");
    Ok(())
}
