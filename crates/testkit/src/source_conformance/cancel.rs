//! Cancellation: a dropped future loses nothing and doubles nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use headwater_core::CheckpointId;

use super::bench::Bench;
use super::harness::SourceHarness;
use crate::trial::{Halt, ensure, trials};

trials!(dyn SourceHarness, Bench: [
    a_dropped_next_loses_nothing,
    a_dropped_checkpoint_may_be_repeated,
    a_dropped_commit_may_be_repeated,
    a_dropped_drain_may_be_repeated,
]);

/// Polls before a future is dropped: from none at all to well past its first awaits.
const POLLS: [usize; 5] = [0, 1, 2, 3, 7];

/// Polls a future so often, then drops it; its answer, should it have come.
fn dropped<T>(mut future: Pin<Box<dyn Future<Output = T> + Send + '_>>, polls: usize) -> Option<T> {
    for _ in 0..polls {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(answer);
        }
    }
    None
}

async fn a_dropped_next_loses_nothing(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    bench.send(1).await?;
    job.take(1).await?;
    for round in 0..20 {
        bench.send(1 + round % 3).await?;
        // At different moments between the send and the hand-out.
        bench.pass(bench.settings.quiet / 16 * u32::try_from(round % 4).unwrap_or(0)).await;
        let polls = POLLS[round % POLLS.len()];
        if let Some(event) = dropped(job.source()?.next(), polls) {
            job.note_answer(event)?;
        }
    }
    job.finish().await
}

async fn a_dropped_checkpoint_may_be_repeated(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    for polls in POLLS {
        bench.send_many(2).await?;
        job.take(2).await?;
        let id = CheckpointId(job.last() + 1);
        _ = dropped(job.source()?.checkpoint(id), polls);
        // Rows that follow belong behind the barrier that the repeated call cuts or has cut; they are not taken here.
        let cut = job.cut().await?;
        job.save(&cut);
        job.commit(cut.id).await?;
        job.run(bench.settings.quiet / 4).await?;
    }
    job.restart().await?;
    job.finish().await
}

async fn a_dropped_commit_may_be_repeated(bench: &Bench) -> Result<(), Halt> {
    let mut job = bench.start().await?;
    for polls in POLLS {
        let ids = bench.send_many(2).await?;
        job.take(2).await?;
        let cut = job.cut().await?;
        job.save(&cut);
        job.allow_deletes();
        _ = dropped(job.source()?.commit(cut.id), polls);
        job.commit(cut.id).await?;
        bench.expect_deleted(&ids).await?;
    }
    Ok(())
}

async fn a_dropped_drain_may_be_repeated(bench: &Bench) -> Result<(), Halt> {
    for polls in POLLS {
        let mut job = bench.start().await?;
        let committed = bench.send_many(2).await?;
        job.take(2).await?;
        job.checkpoint().await?;
        let uncommitted = bench.send(1).await?;
        job.take(1).await?;
        job.stop().await?;
        _ = dropped(job.source()?.drain(bench.settings.eventually / 2), polls);
        job.drain().await?;
        bench.expect_deleted(&committed).await?;
        ensure!(!bench.undeleted(&[uncommitted]).await?.is_empty(), "a drain deleted what was not committed");
        job.crash();
        // The uncommitted one is taken along, so that the next round starts with an empty queue.
        let mut next = bench.start().await?;
        next.take(1).await?;
        next.checkpoint().await?;
        let left = bench.test.left().await?;
        bench.expect_deleted(&left).await?;
    }
    Ok(())
}
