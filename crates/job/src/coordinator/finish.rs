//! The end of a run: the save on its way, a last checkpoint, deletes and releases, sinks closed.

use futures::future::join_all;

use super::{JobError, JobReport, Runner, Saving};

impl Runner {
    /// Ends a run that came to its end or failed. After a failure everything that is still possible is done, since it
    /// spares the next run work, but the failure is what counts.
    pub(super) async fn finish(
        mut self,
        saving: Option<Saving>,
        outcome: Result<(), JobError>,
    ) -> Result<JobReport, JobError> {
        let outcome = match (outcome, self.settle(saving).await) {
            (Ok(()), settled) => settled,
            (failed, Ok(())) => failed,
            (failed, Err(also)) => {
                tracing::warn!(error = %also, "after the failure");
                failed
            }
        };
        let last = match &outcome {
            Ok(()) => self.last_checkpoint().await,
            Err(_) => Ok(()),
        };
        let drained = self.drain().await;
        let mut closed = Ok(());
        for (_, sink) in &mut self.sinks {
            let result = sink.close().await.map_err(JobError::from);
            closed = closed.and(result);
        }
        outcome.and(last).and(drained).and(closed)?;
        self.note_end().await;
        Ok(self.report)
    }

    /// Waits for a save on its way and takes its outcome.
    async fn settle(&mut self, saving: Option<Saving>) -> Result<(), JobError> {
        let Some(Saving { taken, done }) = saving else { return Ok(()) };
        let (store, result) = done.await;
        self.store = Some(store);
        self.saved(taken, result).await
    }

    /// Takes checkpoints until one is saved. A failed one is repeated after a pause, as often as during the run.
    async fn last_checkpoint(&mut self) -> Result<(), JobError> {
        loop {
            let Saving { taken, done } = self.begin("stop").await?;
            let (store, result) = done.await;
            self.store = Some(store);
            let failed = result.is_err();
            self.saved(taken, result).await?;
            if !failed {
                return Ok(());
            }
            self.clock.sleep(RETRY).await;
        }
    }

    async fn drain(&mut self) -> Result<(), JobError> {
        let mut outcome = Ok(());
        // Together, so that the deadline is one for all of them.
        let deadline = self.options.drain_deadline;
        let drained = join_all(self.inputs.iter_mut().map(|input| input.source.drain(deadline))).await;
        for (input, drained) in self.inputs.iter().zip(drained) {
            match drained {
                Ok(report) => self.report.sources.push((input.source.identity(), input.source.status(), report)),
                Err(error) => outcome = outcome.and(Err(JobError::from(error))),
            }
        }
        outcome
    }

    /// Tells the next run that it need not wait for leases of this one, if that is so.
    async fn note_end(&mut self) {
        let now = self.clock.now();
        let clean = self.report.sources.iter().all(|(_, status, drain)| {
            // An unconfirmed id holds nobody up: its handle is dead, and if its message comes back, that is when its lease ends.
            let none_held = status.deletable == 0 && drain.released == 0 && drain.left == 0;
            none_held && status.busy_until.is_none_or(|until| until <= now)
        });
        if let (true, true, Some(store)) = (clean, self.pending.is_empty(), &mut self.store)
            && let Err(error) = store.note_clean_end().await
        {
            tracing::warn!(%error, "the clean end could not be noted: the next run waits for one lease before it is idle");
        }
    }
}

/// The pause before the last checkpoint is tried again. 1 s, as for those of the run.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);
