//! A start: restore what the store names, finish what sinks had begun, only then let sources delete.

use headwater_core::{Committable, JobState};

use super::{JobError, JobErrorKind, Progress, Runner};

impl Runner {
    pub(super) async fn restore(&mut self) -> Result<(), JobError> {
        let Some(store) = &mut self.store else {
            return Err(JobError::new(JobErrorKind::Failed, "a job runs once"));
        };
        let newest = store.newest().await?;
        if let Some(state) = &newest {
            self.refuse_missing_parts(state)?;
            for saved in &state.sources {
                if let Some(input) = self.inputs.iter_mut().find(|input| input.source.identity() == saved.identity) {
                    input.source.restore(state.checkpoint, saved.clone()).await?;
                }
            }
            self.pending.clone_from(&state.pending);
        }
        for (name, sink) in &mut self.sinks {
            let own: Vec<Committable> =
                self.pending.iter().filter(|(sink, _)| sink == name).map(|(_, c)| c.clone()).collect();
            sink.recover(&own).await?;
        }
        let recommitted = self.pending.len();
        self.commit_sinks().await?;
        if let Some(state) = newest {
            for input in &mut self.inputs {
                let known = state.sources.iter().any(|saved| saved.identity == input.source.identity());
                if known {
                    input.source.commit(state.checkpoint).await?;
                }
            }
            self.report.last_checkpoint = Some(state.checkpoint);
            tracing::info!(checkpoint = state.checkpoint.0, recommitted, "restored");
            (self.observer)(&Progress::Restored { checkpoint: state.checkpoint, recommitted });
        }
        Ok(())
    }

    /// What the state speaks of must be there: dropping it silently would lose or repeat rows.
    fn refuse_missing_parts(&self, state: &JobState) -> Result<(), JobError> {
        let refuse = |text: String| Err(JobError::new(JobErrorKind::State, text));
        for (sink, committable) in &state.pending {
            if !self.sinks.iter().any(|(name, _)| name == sink) {
                return refuse(format!(
                    "the sink `{sink}` is not part of this job any more, but output of checkpoint {} is staged for it: run the \
                     job once more with that sink until it has ended, or start with another --state",
                    committable.checkpoint
                ));
            }
        }
        for saved in &state.sources {
            if !self.inputs.iter().any(|input| input.source.identity() == saved.identity) {
                return refuse(format!(
                    "the state holds messages of queue {}, which this job does not read: read it again until it has ended, or \
                     start with another --state",
                    saved.identity
                ));
            }
        }
        Ok(())
    }
}
