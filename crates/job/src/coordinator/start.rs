//! A start: restore what the store names, finish what sinks had begun, only then let sources delete.

use headwater_core::{CheckpointId, Committable, JobState};

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
        self.check_output(newest.as_ref().map(|state| state.checkpoint)).await?;
        // Sinks first: a source may begin to delete what was committed earlier as soon as it is restored, and a state that
        // a sink refuses must not have had any effect.
        for (name, sink) in &mut self.sinks {
            let own: Vec<Committable> =
                self.pending.iter().filter(|(sink, _)| sink == name).map(|(_, c)| c.clone()).collect();
            sink.recover(&own).await?;
        }
        if let Some(state) = &newest {
            // Plain loops: with closures over `state` the future of a run is not `Send`, and nobody can spawn it.
            for saved in &state.sources {
                if let Some(input) = self.inputs.iter_mut().find(|input| input.source.identity() == saved.identity) {
                    input.source.restore(state.checkpoint, saved.clone()).await?;
                }
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

    /// Output is shown after its checkpoint is durable: output of a later one than the newest says that the state was set back.
    async fn check_output(&mut self, newest: Option<CheckpointId>) -> Result<(), JobError> {
        for (name, sink) in &mut self.sinks {
            let Some(shown) = sink.newest_shown().await?.filter(|shown| newest.is_none_or(|newest| *shown > newest))
            else {
                continue;
            };
            let known = newest.map_or("no checkpoint at all".into(), |id| format!("none after {id}"));
            let what =
                format!("the output of `{name}` holds checkpoint {shown} of this job, and the state knows of {known}");
            if self.options.accept_loss {
                tracing::warn!("{what}; as asked, the job goes on from there");
                self.first_id = self.first_id.max(CheckpointId(shown.0.saturating_add(1)));
                continue;
            }
            let text = format!(
                "{what}: the state was set back, as by a backup that was put in its place. Put the newest one back; or start \
                 once with --accept-loss: rows delivered since then are repeated if their messages are still in the queue"
            );
            return Err(JobError::new(JobErrorKind::State, text));
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
