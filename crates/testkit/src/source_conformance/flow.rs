//! Flow: bounded, never stuck, and going on through what passes.

use headwater_core::{Event, SourceErrorKind};

use super::bench::Bench;
use super::harness::{Disturbance, SourceHarness};
use crate::Operation;
use crate::trial::{Halt, ensure, trials};

trials!(dyn SourceHarness, Bench: [
    a_slow_consumer_stops_receives,
    a_consumer_that_never_commits_is_bounded_too,
    receives_that_fail_for_a_while_end_nothing,
    a_denied_receive_ends_the_source_for_good,
    a_denied_delete_ends_the_source,
    what_was_handed_out_may_be_committed_after_a_failure,
] even under faults [
    a_backlog_larger_than_every_bound_gets_through,
]);

async fn a_slow_consumer_stops_receives(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(bench.cap() * 3).await?;
    job.take(1).await?;
    // Nobody calls the source now; less than a lease passes, so that what it holds is under lease.
    for _ in 0..10 {
        bench.pass(bench.settings.quiet / 10).await;
        bench.check_bound().await?;
    }
    job.finish().await
}

async fn a_consumer_that_never_commits_is_bounded_too(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(bench.cap() * 3).await?;
    for _ in 0..10 {
        job.watch(bench.settings.quiet / 10).await?;
        bench.check_bound().await?;
    }
    ensure!(!job.due.is_empty(), "the source is full and announces no checkpoint");
    job.finish().await
}

async fn a_backlog_larger_than_every_bound_gets_through(bench: &Bench) -> Result<(), Halt> {
    bench.send_many(bench.cap() * 6).await?;
    let mut job = bench.start().await?;
    job.finish().await
}

async fn receives_that_fail_for_a_while_end_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(2).await?;
    job.take(2).await?;
    bench.disturb(Disturbance::ReceivesFail)?;
    job.run(bench.settings.eventually / 4).await?;
    bench.mend();
    bench.send_many(2).await?;
    job.finish().await
}

async fn a_denied_receive_ends_the_source_for_good(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(1).await?;
    job.take(1).await?;
    bench.disturb(Disturbance::Denied(Operation::Receive))?;
    bench.expect_denied(&mut job).await?;
    // Its user may ask again and must hear the same, also when the right is back: only a restart may go on.
    bench.mend();
    bench.expect_denied(&mut job).await
}

async fn a_denied_delete_ends_the_source(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send_many(2).await?;
    job.take(2).await?;
    bench.disturb(Disturbance::Denied(Operation::Delete))?;
    // To go on would be to receive for ever what can never be deleted.
    job.checkpoint().await?;
    bench.expect_denied(&mut job).await
}

async fn what_was_handed_out_may_be_committed_after_a_failure(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    let ids = bench.send_many(2).await?;
    job.take(2).await?;
    bench.disturb(Disturbance::Denied(Operation::Receive))?;
    bench.expect_denied(&mut job).await?;
    job.checkpoint().await?;
    bench.expect_deleted(&ids).await
}

impl Bench {
    fn cap(&self) -> usize {
        self.settings.undeleted_max as usize
    }

    async fn check_bound(&self) -> Result<(), Halt> {
        let (leased, most) = (self.test.leased().await?, u64::from(self.settings.undeleted_max));
        ensure!(leased <= most, "{leased} messages are leased; the source may hold {most}");
        Ok(())
    }

    /// Waits until `next` fails, whatever comes before.
    async fn expect_denied(&self, job: &mut super::job::Job<'_>) -> Result<(), Halt> {
        for _ in 0..100 {
            let answer = self.ended("next, on a queue that denies access,", job.source()?.next()).await?;
            match answer {
                Err(error) if error.kind == SourceErrorKind::Denied => return Ok(()),
                Err(error) => return Err(Halt::failed(format!("the kind is {:?}, not Denied: {error}", error.kind))),
                Ok(Some(Event::CheckpointDue(_) | Event::Batch(_))) => {}
                Ok(_) => return Err(Halt::failed("the stream ended without an error")),
            }
        }
        Err(Halt::failed("100 events, and no error although access is denied"))
    }
}
