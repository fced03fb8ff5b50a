//! Random histories, by a seed: sends, hand-outs, checkpoints, failed saves, crashes and redeliveries in any order.

use super::bench::Bench;
use super::harness::SourceHarness;
use super::job::{Cut, Job};
use crate::Random;
use crate::trial::{Halt, trials};

trials!(dyn SourceHarness, Bench: [] even under faults [
    random_histories_are_exactly_once,
]);

/// Every message sent is, in the end, in exactly one durable epoch, and deleted. The job checks each batch and each delete
/// on the way; a failure names the seed and the step.
async fn random_histories_are_exactly_once(bench: &Bench) -> Result<(), Halt> {
    let seed = bench.settings.seed;
    let mut history = History { random: Random::new(seed), undecided: None, given_up: None };
    let mut job = bench.start().await?;
    for step in 0..bench.settings.history_steps {
        history.step(&mut job).await.map_err(|halt| at(halt, seed, step))?;
        job.check_deletes().await.map_err(|halt| at(halt, seed, step))?;
    }
    history.decide(&mut job).await?;
    job.finish().await.map_err(|halt| at(halt, seed, bench.settings.history_steps))
}

fn at(halt: Halt, seed: u64, step: u32) -> Halt {
    match halt {
        Halt::Failed(why) => Halt::Failed(format!("seed {seed}, step {step}: {why}")),
        skipped @ Halt::Skipped(_) => skipped,
    }
}

struct History {
    random: Random,
    /// A checkpoint that was cut and neither saved nor given up.
    undecided: Option<Cut>,
    /// The newest checkpoint whose save has failed as far as anybody knows, with none saved after it.
    given_up: Option<Cut>,
}

impl History {
    async fn step(&mut self, job: &mut Job<'_>) -> Result<(), Halt> {
        let bench = job.bench;
        // A second of a lease of thirty; shorter where time is real.
        let second = std::time::Duration::from_secs(1).min(bench.settings.lease / 30);
        match self.random.below(100) {
            0..30 => {
                for _ in 0..self.random.below(6) {
                    let rows = usize::try_from(self.random.below(4)).unwrap_or(0);
                    bench.send(rows).await?;
                }
            }
            30..55 => _ = job.watch(second * u32::try_from(self.random.below(4)).unwrap_or(0)).await?,
            55..60 => bench.pass(second * u32::try_from(self.random.below(20)).unwrap_or(0)).await,
            60..75 if self.undecided.is_none() => self.undecided = self.cut(job).await?,
            75..90 => self.decide(job).await?,
            90..95 => self.redeliver_one(bench).await?,
            95..98 => self.crash(job).await?,
            _ => {}
        }
        Ok(())
    }

    /// Mostly behind everything handed out; now and then inside of it.
    async fn cut(&mut self, job: &mut Job<'_>) -> Result<Option<Cut>, Halt> {
        if self.random.chance(700) {
            return job.cut().await.map(Some);
        }
        let pending: Vec<_> = job.pending().iter().cloned().collect();
        let later = pending.into_iter().filter(|_| self.random.chance(500)).collect();
        job.cut_before(&later).await
    }

    /// The store answers: it has saved the checkpoint, and it is committed; or it has failed, as far as anybody knows.
    async fn decide(&mut self, job: &mut Job<'_>) -> Result<(), Halt> {
        let Some(cut) = self.undecided.take() else { return Ok(()) };
        if self.random.chance(800) {
            self.given_up = None;
            job.save(&cut);
            job.commit(cut.id).await
        } else {
            let id = cut.id;
            self.given_up = Some(cut);
            job.abort(id).await
        }
    }

    /// The process dies; a checkpoint that was not known to be saved turns out to be durable, or not.
    async fn crash(&mut self, job: &mut Job<'_>) -> Result<(), Halt> {
        job.crash();
        let unknown = self.undecided.take().or(self.given_up.take());
        if let Some(cut) = unknown
            && self.random.chance(500)
        {
            job.save(&cut);
        }
        self.given_up = None;
        let newest = job.saved().map(|(id, _)| *id);
        job.reopen().await?;
        match newest {
            Some(id) => job.commit(id).await,
            None => Ok(()),
        }
    }

    async fn redeliver_one(&mut self, bench: &Bench) -> Result<(), Halt> {
        let left = bench.test.left().await?;
        let at = usize::try_from(self.random.below(left.len() as u64)).unwrap_or(0);
        if let Some(id) = left.get(at) {
            // A harness that cannot do this has histories without it.
            bench.test.redeliver(id).await?;
        }
        Ok(())
    }
}
