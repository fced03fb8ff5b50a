//! A start: restore what the store names, finish what sinks had begun, only then let sources delete.

use headwater_core::{Committable, JobState};

use super::{JobError, JobErrorKind, Progress, Runner};

impl Runner {
    pub(super) async fn restore(&mut self) -> Result<(), JobError> {
        let Some(store) = &mut self.store else {
            return Err(JobError::new(JobErrorKind::Failed, "a job runs once"));
        };
        if store.keeps_parts() {
            self.inputs.iter_mut().for_each(|input| input.source.rely_on_stored_parts());
        }
        let mut newest = store.newest().await?;
        if let Some(state) = &mut newest {
            self.check_parts(state)?;
            self.pending.clone_from(&state.pending);
        }
        // Sinks first: a source may begin to delete what was committed earlier as soon as it is restored, and a state that
        // a sink refuses must not have had any effect.
        for (name, sink) in &mut self.sinks {
            let own: Vec<Committable> =
                self.pending.iter().filter(|(sink, _)| sink == name).map(|(_, c)| c.clone()).collect();
            sink.recover(&own).await?;
        }
        let sources = newest.iter().flat_map(|state| state.sources.iter().map(|saved| (state.checkpoint, saved)));
        for (checkpoint, saved) in sources {
            if let Some(input) = self.inputs.iter_mut().find(|input| input.source.identity() == saved.identity) {
                input.source.restore(checkpoint, saved.clone()).await?;
            }
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

    /// What the state speaks of must be there: dropping it unasked would lose or repeat rows.
    fn check_parts(&self, state: &mut JobState) -> Result<(), JobError> {
        let has_sink = |name: &String| self.sinks.iter().any(|(sink, _)| sink == name);
        let has_queue = |identity: &String| self.inputs.iter().any(|input| input.source.identity() == *identity);
        if self.options.accept_loss {
            state.pending.retain(|(sink, committable)| {
                let kept = has_sink(sink);
                if !kept {
                    let checkpoint = committable.checkpoint.0;
                    tracing::warn!(%sink, checkpoint, "output staged for a sink that is gone is given up, as asked");
                }
                kept
            });
            state.sources.retain(|saved| {
                let kept = has_queue(&saved.identity);
                if !kept {
                    tracing::warn!(queue = %saved.identity, "what is known of a queue that is not read is forgotten, as asked");
                }
                kept
            });
            return Ok(());
        }
        let mut wrong: Vec<String> = Vec::new();
        for (sink, committable) in state.pending.iter().filter(|(sink, _)| !has_sink(sink)) {
            wrong.push(format!(
                "the sink `{sink}` is not part of this job any more, but output of checkpoint {} is staged for it: run the job \
                 once more with that sink, which completes it; or start once with --accept-loss, which gives it up: those rows \
                 are then lost to `{sink}`, for their messages are deleted",
                committable.checkpoint
            ));
        }
        for saved in state.sources.iter().filter(|saved| !has_queue(&saved.identity)) {
            wrong.push(format!(
                "the state belongs to queue {}, which this job does not read: give this job a state of its own (--state DIR); \
                 or start once with --accept-loss, which forgets that queue: messages of it that were delivered and are not \
                 deleted yet are delivered again if a job reads it later",
                saved.identity
            ));
        }
        if wrong.is_empty() { Ok(()) } else { Err(JobError::new(JobErrorKind::State, wrong.join("\n"))) }
    }
}
