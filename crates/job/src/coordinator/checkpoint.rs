//! One checkpoint: barrier, pre-commit, save; then commits, or an indeterminate failure.

use headwater_core::{CheckpointId, JobState, StoreError, StoreErrorKind};

use super::{JobError, JobErrorKind, Progress, Runner, Saving, Taken};

impl Runner {
    /// Cuts all barriers, stages the sinks' output, and starts saving. The save runs beside the loop.
    pub(super) async fn begin(&mut self, reason: &'static str) -> Result<Saving, JobError> {
        let Some(mut store) = self.store.take() else {
            return Err(JobError::new(JobErrorKind::Failed, "the checkpoint store was lost in an earlier failure"));
        };
        let id = store.next_id().max(self.first_id);
        self.first_id = CheckpointId(id.0.saturating_add(1));
        let begun = self.clock.now();
        (self.observer)(&Progress::CheckpointBegun { checkpoint: id, reason });
        metrics::counter!("headwater_checkpoints_total", "job" => self.options.job.clone(), "reason" => reason)
            .increment(1);
        let state = match self.barrier(id).await {
            Ok(state) => state,
            Err(error) => {
                self.store = Some(store);
                return Err(error);
            }
        };
        let done = Box::pin(async move {
            let result = store.save(&state).await;
            (store, result)
        });
        Ok(Saving { taken: Taken { id, begun, reason }, done })
    }

    async fn barrier(&mut self, id: CheckpointId) -> Result<JobState, JobError> {
        let mut sources = Vec::with_capacity(self.inputs.len());
        for input in &mut self.inputs {
            sources.push(input.source.checkpoint(id).await?);
        }
        for (name, sink) in &mut self.sinks {
            if let Some(committable) = sink.pre_commit(id).await? {
                self.pending.push((name.clone(), committable));
            }
        }
        Ok(JobState { checkpoint: id, sources, pending: self.pending.clone() })
    }

    /// Takes the outcome of a save.
    pub(super) async fn saved(&mut self, taken: Taken, result: Result<(), StoreError>) -> Result<(), JobError> {
        match result {
            Ok(()) => self.committed(taken).await,
            Err(error) => self.save_failed(taken.id, error).await,
        }
    }

    async fn committed(&mut self, Taken { id, begun, reason }: Taken) -> Result<(), JobError> {
        self.failed_saves = 0;
        self.commit_sinks().await?;
        for input in &mut self.inputs {
            input.source.commit(id).await?;
        }
        self.report.checkpoints += 1;
        self.report.last_checkpoint = Some(id);
        let took = self.clock.now().since(begun);
        let job = self.options.job.clone();
        metrics::histogram!("headwater_checkpoint_duration_seconds", "job" => job, "reason" => reason)
            .record(took.as_secs_f64());
        tracing::debug!(checkpoint = id.0, ?took, "checkpoint committed");
        (self.observer)(&Progress::CheckpointCommitted { checkpoint: id, took });
        Ok(())
    }

    /// Commits everything staged, oldest first. What has been committed leaves the list at once, so that a failure in
    /// the middle leaves exactly the rest.
    pub(super) async fn commit_sinks(&mut self) -> Result<(), JobError> {
        while let Some((name, committable)) = self.pending.first() {
            if let Some((_, sink)) = self.sinks.iter_mut().find(|(sink, _)| sink == name) {
                sink.commit(committable).await?;
            }
            self.pending.remove(0);
        }
        Ok(())
    }

    async fn save_failed(&mut self, id: CheckpointId, error: StoreError) -> Result<(), JobError> {
        self.failed_saves += 1;
        metrics::counter!("headwater_failed_checkpoints_total", "job" => self.options.job.clone()).increment(1);
        tracing::warn!(checkpoint = id.0, %error, in_a_row = self.failed_saves, "a checkpoint was not saved for certain; the next one covers it");
        (self.observer)(&Progress::CheckpointFailed { checkpoint: id, error: error.to_string() });
        // Only what failed may go better the next time; a store that refuses, or has another owner by now, stays so.
        if error.kind != StoreErrorKind::Io {
            return Err(error.into());
        }
        if self.failed_saves >= self.options.failed_saves_max {
            return Err(JobError::Saves { failures: self.failed_saves, error });
        }
        for input in &mut self.inputs {
            input.source.abort(id).await?;
        }
        Ok(())
    }
}
