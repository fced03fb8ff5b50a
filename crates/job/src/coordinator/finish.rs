//! The end of a run: the save on its way, a last checkpoint, deletes and releases, sinks closed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use headwater_core::Mono;

use super::{JobError, JobErrorKind, JobReport, Progress, Runner, Saving};

impl Runner {
    /// The moment from which the end is counted.
    pub(super) fn note_stop(&mut self) {
        self.note_stop_at(self.clock.now());
    }

    fn note_stop_at(&mut self, at: Mono) {
        if self.stopping.is_none() {
            let deleted = self.inputs.iter().map(|input| input.source.status().deleted);
            self.stopping = Some((at, deleted.collect()));
        }
    }

    /// The time after a stop is over, and whoever hangs may not have noticed the stop yet: the end is counted from it all the
    /// same.
    pub(super) fn overdue(&mut self) -> JobError {
        let at = self.clock.now() - self.work_time();
        self.note_stop_at(at);
        // It may have been noticed late, after a start that hung.
        if let Some((stopped, _)) = &mut self.stopping {
            *stopped = (*stopped).min(at);
        }
        self.stuck()
    }

    /// What everything up to the last checkpoint may take after a stop.
    fn work_time(&self) -> Duration {
        self.options.drain_deadline - self.options.drain_deadline / 4
    }

    /// Until when polls may run out.
    pub(super) fn polls_end(&self, stopped: Mono) -> Mono {
        stopped + self.options.drain_deadline / 2
    }

    /// Ready when the job was stopped from outside, and everything up to its last checkpoint has had its time.
    pub(super) fn time_after_stop(&self) -> impl Future<Output = ()> + use<> {
        let (mut stop, clock) = (self.stop.clone(), Arc::clone(&self.clock));
        let time = self.work_time();
        async move {
            // The sender lives as long as the runner.
            let _ = stop.wait_for(|stop| *stop).await;
            clock.sleep(time).await;
        }
    }

    fn stuck(&self) -> JobError {
        let text = format!(
            "the last checkpoint was not taken within {:?} of the stop: the disk of the state or of a sink does not answer. \
             Nothing is lost: what is not committed comes again, and the next run finds out what is",
            self.options.drain_deadline
        );
        JobError::new(JobErrorKind::Failed, text)
    }

    /// The save on its way and, unless the run has failed, a last checkpoint.
    pub(super) async fn complete(
        &mut self,
        saving: Option<Saving>,
        outcome: Result<(), JobError>,
    ) -> Result<(), JobError> {
        let outcome = match (outcome, self.settle(saving).await) {
            (Ok(()), settled) => settled,
            (failed, Ok(())) => failed,
            (failed, Err(also)) => {
                tracing::warn!(error = %also, "after the failure");
                failed
            }
        };
        outcome?;
        self.last_checkpoint().await
    }

    /// Ends a run that came to its end or failed. After a failure everything that is still possible is done, since it
    /// spares the next run work, but the failure is what counts.
    pub(super) async fn finish(mut self, outcome: Result<(), JobError>) -> Result<JobReport, JobError> {
        self.note_stop();
        let drained = self.drain().await;
        let mut closed = Ok(());
        for (_, sink) in &mut self.sinks {
            let result = sink.close().await.map_err(JobError::from);
            closed = closed.and(result);
        }
        outcome.and(drained).and(closed)?;
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

    /// Takes checkpoints until one is saved, and then one more if that lists output: the state of a clean end has nothing to be committed
    /// again, for by then readers may have taken all of it away. A failed one is repeated after a pause, as often as during the run.
    async fn last_checkpoint(&mut self) -> Result<(), JobError> {
        loop {
            let Saving { taken, done } = self.begin("stop").await?;
            let lists_output = !self.pending.is_empty();
            let (store, result) = done.await;
            self.store = Some(store);
            let failed = result.is_err();
            self.saved(taken, result).await?;
            if failed {
                self.clock.sleep(RETRY).await;
            } else if std::mem::replace(&mut self.saved_all, true) || !lists_output {
                return Ok(());
            }
        }
    }

    async fn drain(&mut self) -> Result<(), JobError> {
        let mut outcome = Ok(());
        let whole = self.options.drain_deadline;
        let (stopped, before) = self.stopping.clone().unwrap_or_else(|| (self.clock.now(), Vec::new()));
        let left = (stopped + whole).since(self.clock.now()).max(whole / 4);
        // Together, so that the deadline is one for all of them.
        let drained = join_all(self.inputs.iter_mut().map(|input| input.source.drain(left))).await;
        for (n, (input, drained)) in self.inputs.iter().zip(drained).enumerate() {
            match drained {
                Ok(report) => {
                    let (source, status) = (input.source.identity(), input.source.status());
                    let deleted = status.deleted - before.get(n).copied().unwrap_or(0).min(status.deleted);
                    (self.observer)(&Progress::Drained { source: source.clone(), deleted, report });
                    self.report.sources.push((source, status, report));
                }
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
            let none_held = status.deletable == 0 && drain.released == 0 && drain.left == 0 && drain.polls_cut == 0;
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
const RETRY: Duration = Duration::from_secs(1);
