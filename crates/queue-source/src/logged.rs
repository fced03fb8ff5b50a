//! What `commit = log` adds to a source: its log is read before anything is received, what it holds is handed out first, and
//! every snapshot says how far that has come.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{CheckpointId, MessageMeta, SourceError, SourceErrorKind, StatePart};
use headwater_ledger::{Ledger, MessageKey, Mono};

use crate::decode::Decoded;
use crate::log::{self, LogPart, LogState};
use crate::source::QueueSource;
use crate::state::State;

impl QueueSource {
    /// Reads the log into the ledger of a start without a state, unless it has been read.
    pub(crate) async fn begin_log(&mut self) -> Result<(), SourceError> {
        if self.log.as_ref().is_none_or(log::LogSide::is_active) {
            return Ok(());
        }
        let mut ledger = self.shared.lock().ledger.clone();
        let found =
            self.read_log(&mut ledger, None, None).await.inspect_err(|error| self.shared.fail(error.clone()))?;
        let mut state = self.shared.lock();
        state.ledger = ledger;
        self.shared.found_log(&mut state, found);
        Ok(())
    }

    /// Reads what the log holds behind a restored state, or all of it, into a copy of the ledger.
    pub(crate) async fn read_log(
        &mut self,
        ledger: &mut Ledger,
        restored: Option<CheckpointId>,
        part: Option<LogPart>,
    ) -> Result<Option<LogState>, SourceError> {
        let now = self.shared.clock.now();
        match (&mut self.log, part) {
            (Some(log), part) => log.activate(ledger, restored, part, now).await.map(Some),
            (None, None) => Ok(None),
            (None, Some(_)) if self.shared.config.accept_loss => {
                tracing::warn!("the saved state goes with a log of the source, which is given up, as asked");
                Ok(None)
            }
            (None, Some(_)) => {
                let text = "the saved state goes with a log of the source: messages that are deleted from the queue may be in that \
                            log only. Set `commit` to `log` again, with the same log; or, once a run with it has ended with nothing \
                            left in the log (or if what is left may be lost), start once with --accept-loss";
                Err(SourceError::new(SourceErrorKind::State, text))
            }
        }
    }

    /// Reads on in what is to be handed out again; starts polling once nothing is left of it.
    pub(crate) async fn replay_or_poll(&mut self) -> Result<(), SourceError> {
        let Some(log) = self.log.as_mut().filter(|log| log.left_to_replay() > 0) else {
            self.start_polling();
            return Ok(());
        };
        {
            let state = self.shared.lock();
            if state.stopping || state.has_waiting() || !self.inbox.is_empty() {
                return Ok(());
            }
        }
        let chunk = self.shared.config.batch_bytes.max(1) as u64;
        let found = log.replay(&self.shared.queue_name, chunk).await.and_then(|found| {
            let text =
                "the source's log is shorter than it was at the start: were its files changed under us? Start again";
            if found.is_empty() { Err(SourceError::new(SourceErrorKind::Failed, text)) } else { Ok(found) }
        });
        let found = found.inspect_err(|error| self.shared.fail(error.clone()))?;
        let last = log.left_to_replay() == 0;
        let weighed: Vec<_> = found.iter().map(|inbound| (inbound.meta.key, inbound.log_bytes())).collect();
        let mut state = self.shared.lock();
        state.ledger.log_replayed(&weighed);
        state.inbox.append(&mut found.into());
        drop(state);
        if last {
            // What is received from here on comes behind it.
            self.start_polling();
        } else {
            self.start_deleting();
        }
        Ok(())
    }

    /// Messages are handed out in this step; `state` is locked for it.
    pub(crate) fn hand_out_keys(logged: bool, state: &mut State, keys: &[MessageKey]) {
        if logged { state.ledger.hand_out_logged(keys) } else { state.ledger.hand_out(keys) }
    }

    /// Lets go of what can no longer be rejected, since an epoch of a log may be hours long.
    pub(crate) fn note_handed_out(&mut self, decoded: &Decoded) {
        let Some(log) = &mut self.log else { return };
        // What was handed out makes room in memory, and its permit is not held until a commit.
        self.shared.pollers.notify_one();
        for key in log.handed_out(decoded) {
            self.bad.let_go(key);
            if let Some(letters) = &mut self.letters {
                letters.let_go(key);
            }
        }
        self.note_kept();
    }

    /// Counts the bodies that are kept for dead letters among what is held: no permit of theirs does.
    pub(crate) fn note_kept(&self) {
        if let (Some(_), Some(letters)) = (&self.log, &self.letters) {
            self.shared.lock().ledger.note_kept(letters.body_bytes());
        }
    }

    /// Whether a message may still be rejected or given back, and how to do it in time.
    pub(crate) fn open_for_complaints(&self, key: MessageKey) -> (bool, &'static str) {
        match &self.log {
            Some(log) => (log.is_recent(key), "within a few batches and before the next checkpoint is taken"),
            None => (self.shared.lock().ledger.is_open(key), "before the next checkpoint is taken"),
        }
    }

    /// With a log there is no message in the queue to give back.
    pub(crate) fn refuse_to_give_back(&self, message: &MessageMeta, delay: Duration) -> Result<(), SourceError> {
        if self.log.is_none() {
            return Ok(());
        }
        let text = format!(
            "message {} cannot be given back for {delay:?}: with `commit` = `log` it is deleted from the queue already. Reject it, \
             or keep it and try again yourself",
            message.id
        );
        Err(SourceError::new(SourceErrorKind::Unsupported, text))
    }

    /// Notes in the log that a checkpoint is committed: from here on only a state that knows of it goes with the log.
    pub(crate) async fn note_committed(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        match &mut self.log {
            Some(log) => log.note_committed(id).await.inspect_err(|error| self.shared.fail(error.clone())),
            None => Ok(()),
        }
    }

    /// Removes what a committed checkpoint covers from the log.
    pub(crate) async fn release_log(&mut self, id: CheckpointId) {
        let Some(log) = &mut self.log else { return };
        let segments: Vec<u64> = self.shared.lock().log.segments.keys().copied().collect();
        let gone = log.release(id, segments).await;
        if gone.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        state.log.segments.retain(|segment, _| !gone.contains(segment));
        let used = state.log.used();
        state.ledger.note_log_used(used);
        self.shared.meter.gauges(&mut state, self.shared.clock.now());
    }

    /// The part of a snapshot about the log, cut together with the ledger's barrier; `state` is locked for both.
    pub(crate) fn log_part(
        log: Option<&mut log::LogSide>,
        id: CheckpointId,
        cut: Option<log::Position>,
        state: &State,
    ) -> Option<StatePart> {
        log.map(|log| log.seal(id, cut, &state.log))
    }

    /// Messages in the log that have not been handed out.
    pub(crate) fn left_in_log(&self, state: &State) -> u64 {
        self.log.as_ref().map_or(0, |log| log.left_to_replay() + state.ledger.log_counts().waiting)
    }

    /// Ends writing: what was received is in the log, or the deadline has come.
    pub(crate) async fn end_log(&mut self, deadline: Mono) {
        if self.log.is_some() {
            log::written(&self.shared, deadline).await;
            self.logger.shutdown().await;
        }
    }

    /// Starts the task that writes; once.
    pub(crate) fn start_logging(&mut self) {
        if let Some(writer) = self.log.as_mut().and_then(log::LogSide::take_writer) {
            self.logger.spawn(log::run(Arc::clone(&self.shared), writer));
        }
    }
}
