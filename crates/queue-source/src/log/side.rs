//! The consumer's side of the log: where the next record to hand out lies, what a snapshot says of it, what may be removed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use headwater_core::{CheckpointId, SourceError, SourceErrorKind, StatePart};
use headwater_ledger::{Ledger, MessageKey, Mono};

use super::config::LogConfig;
use super::dir::LogDir;
use super::format::{HEADER, Scan};
use super::open::Found;
use super::part::LogPart;
use super::recent::{Cut, HandedOut, Recent};
use super::replay::{self, Note, Replay};
use super::task::LogState;
use super::writer::Writer;
use super::{Place, Position};
use crate::decode::Decoded;
use crate::state::Inbound;

/// See the module.
#[derive(Debug)]
pub(crate) struct LogSide {
    dir: Arc<LogDir>,
    path: PathBuf,
    id: u128,
    fresh: bool,
    segments: Vec<Scan>,
    /// The newest checkpoint that is noted as committed.
    committed: Option<CheckpointId>,
    /// The newest one that this process has noted. What an earlier one has is noted again: its sync may have failed, and the
    /// next sync of the directory would say that all is well.
    noted: Option<CheckpointId>,
    accept_loss: bool,
    /// Until the writing task has it.
    writer: Option<Writer>,
    active: bool,
    /// The next record to hand out.
    next: Position,
    replay: Replay,
    recent: Recent,
    /// Positions of checkpoints that are not committed.
    sealed: BTreeMap<CheckpointId, Position>,
    /// What the newest checkpoint says, should it be asked for again.
    newest: Option<(CheckpointId, LogPart)>,
}

impl LogSide {
    pub(super) fn new(found: Found, config: &LogConfig, accept_loss: bool) -> Self {
        let Found { dir, id, fresh, segments, committed, writer } = found;
        Self {
            dir,
            path: config.dir.clone(),
            id,
            fresh,
            segments,
            committed,
            noted: None,
            accept_loss,
            writer: Some(writer),
            active: false,
            next: Position::default(),
            replay: Replay::new([].into(), Position::default(), 0),
            recent: Recent::new(0),
            sealed: BTreeMap::new(),
            newest: None,
        }
    }

    /// Reads what the log holds behind a restored state, or everything where none is restored, into the ledger. Called once,
    /// before anything is received; a dropped call may be repeated with a ledger of the same state.
    pub(crate) async fn activate(
        &mut self,
        ledger: &mut Ledger,
        restored: Option<CheckpointId>,
        part: Option<LogPart>,
        now: Mono,
    ) -> Result<LogState, SourceError> {
        let start = self.segments.first().map_or(Position::default(), begin);
        let (mut next, mut known) = match self.positions(restored, part, start) {
            Err(refused) if self.accept_loss => self.accepted(&refused, restored, part, start),
            positions => positions?,
        };
        let run = match self.run_from(next.min(known).segment) {
            Err(refused) if self.accept_loss => {
                tracing::warn!("going on with what follows, as asked: {refused}");
                let run = self.newest_run();
                let first = Position { segment: run.first().copied().unwrap_or_default(), offset: HEADER as u64 };
                (next, known) = (first, first);
                run
            }
            run => run?,
        };
        if self.accept_loss {
            let end = self.writer.as_ref().map_or(next, Writer::end);
            (next, known) = (next.min(end), known.min(end));
        }
        let (mut next_found, mut known_found, mut pending) = (false, false, 0);
        for &segment in &run {
            let id = self.id;
            let recalled = self.dir.run(move |dir| replay::recall(dir, id, segment, next, known)).await?;
            next_found |= recalled.next_found;
            known_found |= recalled.known_found;
            pending += recalled.pending;
            for note in recalled.notes {
                match note {
                    Note::Message(delivery) => ledger.recall(&delivery, now),
                    Note::Deleted(keys) => keys.iter().for_each(|key| ledger.recall_deleted(*key, now)),
                }
            }
        }
        if !next_found || !known_found || (next > known && !self.accept_loss) {
            let beyond = if next_found { known } else { next };
            return Err(self.mismatch(&format!("the state names {beyond}, which is no place in this log")));
        }
        ledger.recall_done();
        let state = LogState {
            segments: self.segments.iter().map(|scan| (scan.header.segment, scan.end as u64)).collect(),
            end: self.writer.as_ref().map_or(next, Writer::end),
            ..LogState::default()
        };
        ledger.note_log_used(state.used());
        if pending > 0 {
            tracing::info!(log = %self.path.display(), messages = pending, "messages of the log are handed out again, before anything is received");
        }
        if let Some(id) = restored {
            self.newest = Some((id, part.unwrap_or(LogPart { log: self.id, next, known })));
            // Of a state that says nothing of the log nothing is noted or removed.
            self.sealed.extend(part.map(|_| (id, next)));
        }
        self.next = next;
        self.replay = Replay::new(run.into(), next, pending);
        // An eighth of what may be held at all: what is kept is a courtesy to whoever rejects late.
        self.recent = Recent::new(ledger.limits().bytes_max / 8);
        self.active = true;
        Ok(state)
    }

    pub(crate) const fn is_active(&self) -> bool {
        self.active
    }

    /// Where to go on although log and state do not go together, as asked.
    fn accepted(
        &self,
        refused: &SourceError,
        restored: Option<CheckpointId>,
        part: Option<LogPart>,
        start: Position,
    ) -> (Position, Position) {
        tracing::warn!("going on all the same, as asked: {refused}");
        let there = |position: Position| self.segments.iter().any(|scan| scan.header.segment == position.segment);
        match part.filter(|part| part.log == self.id) {
            Some(part) if there(part.next) => (part.next, part.known),
            // All that is left of it.
            Some(_) => (start, start),
            // A state that says nothing of this log has gone on without it.
            None if restored.is_some() => {
                let end = self.writer.as_ref().map_or(start, Writer::end);
                (end, start)
            }
            None => (start, start),
        }
    }

    /// From where on records are to be handed out, and from where on ids are unknown to the restored state.
    fn positions(
        &self,
        restored: Option<CheckpointId>,
        part: Option<LogPart>,
        start: Position,
    ) -> Result<(Position, Position), SourceError> {
        match (part, self.committed) {
            (Some(part), _) if part.log != self.id => Err(self.mismatch(if self.fresh {
                "the state speaks of messages in a log, and there was none here"
            } else {
                "the state speaks of another log"
            })),
            (Some(_), Some(committed)) if restored.is_some_and(|restored| restored < committed) => {
                Err(self.mismatch(&format!("checkpoint {committed} was committed with it, and the state is older")))
            }
            (Some(part), _) => Ok((part.next, part.known)),
            (None, Some(committed)) => {
                let state = if restored.is_some() { "the state does not speak of it" } else { "there is no state" };
                Err(self.mismatch(&format!("checkpoint {committed} was committed with it, and {state}")))
            }
            // Nothing was ever committed with this log: all of it is in no durable epoch.
            (None, None) => Ok((start, start)),
        }
    }

    /// The segments from `first` on, none missing.
    fn run_from(&self, first: u64) -> Result<Vec<u64>, SourceError> {
        let run: Vec<&Scan> = self.segments.iter().filter(|scan| scan.header.segment >= first).collect();
        let missing = |number: u64| Err(self.mismatch(&format!("segment {number} is not there")));
        if run.first().is_none_or(|scan| scan.header.segment != first) {
            return missing(first);
        }
        if self.committed.is_none() && self.segments.first().is_some_and(|scan| scan.header.first_frame > 0) {
            return missing(self.segments[0].header.segment - 1);
        }
        for pair in run.windows(2) {
            if pair[0].header.segment + 1 != pair[1].header.segment {
                return missing(pair[0].header.segment + 1);
            }
            if pair[0].next_frame != pair[1].header.first_frame {
                let number = pair[0].header.segment;
                return Err(self.mismatch(&format!("segment {number} is shorter than it was")));
            }
        }
        Ok(run.iter().map(|scan| scan.header.segment).collect())
    }

    /// The newest segments, as far back as none is missing.
    fn newest_run(&self) -> Vec<u64> {
        let mut run: Vec<&Scan> = Vec::new();
        for scan in self.segments.iter().rev() {
            let follows = |newer: &&Scan| {
                scan.header.segment + 1 == newer.header.segment && scan.next_frame == newer.header.first_frame
            };
            if !run.last().is_none_or(follows) {
                break;
            }
            run.push(scan);
        }
        run.iter().rev().map(|scan| scan.header.segment).collect()
    }

    fn mismatch(&self, why: &str) -> SourceError {
        let text = format!(
            "the source's log in `{}` does not go with the saved state: {why}. Messages in the log are deleted from the queue and \
             may be in no output yet, so it is not passed over. Put back the state and the log that belong together; or start once with \
             --accept-loss, which goes on with what is there of both: what only the missing part held is lost, and what the state \
             does not know to be committed is delivered again",
            self.path.display()
        );
        SourceError::new(SourceErrorKind::State, text)
    }

    /// What writes, for the task that does; once.
    pub(crate) fn take_writer(&mut self) -> Option<Writer> {
        self.writer.take()
    }

    /// Messages that an earlier process logged and that are not read back yet.
    pub(crate) const fn left_to_replay(&self) -> u64 {
        self.replay.left
    }

    /// The next messages to hand out again.
    pub(crate) async fn replay(&mut self, queue: &Arc<str>, bytes_max: u64) -> Result<Vec<Inbound>, SourceError> {
        self.replay.next(&self.dir, self.id, queue, bytes_max).await
    }

    /// Messages were handed out, in the order of the log. The ones that cannot be rejected any more.
    pub(crate) fn handed_out(&mut self, decoded: &Decoded) -> Vec<MessageKey> {
        let all = decoded.batch.messages().iter().zip(&decoded.places);
        let messages = all.filter_map(|(message, place)| {
            Some(HandedOut { key: message.meta.key, start: (*place)?.start, has_rows: !message.rows.is_empty() })
        });
        let messages: Vec<_> = messages.collect();
        if let Some(Place { end, .. }) = decoded.places.last().copied().flatten() {
            self.next = end;
        }
        if messages.is_empty() { Vec::new() } else { self.recent.handed_out(messages, decoded.bytes as u64) }
    }

    /// Whether a message was handed out a short while ago, with no barrier since.
    pub(crate) fn is_recent(&self, key: MessageKey) -> bool {
        self.recent.contains(key)
    }

    /// Where a barrier has to be cut so that the messages `later` are handed out again after a crash.
    pub(crate) fn cut(&self, id: CheckpointId, later: &[MessageKey]) -> Result<Option<Cut>, SourceError> {
        if self.newest.is_some_and(|(newest, _)| newest == id) {
            return Ok(None);
        }
        self.recent.cut(later).map_err(|_| {
            let text = "with `commit` = `log` a barrier can be cut before the messages that were handed out last, in their order, \
                        and not before others: use every row of the earlier ones first";
            SourceError::new(SourceErrorKind::Unsupported, text)
        })
    }

    /// A barrier was cut, before the record at `cut` if that is given. `state` is the log at that moment. What the snapshot has to
    /// hold.
    pub(crate) fn seal(&mut self, id: CheckpointId, cut: Option<Position>, state: &LogState) -> StatePart {
        if let Some((newest, part)) = &self.newest
            && *newest == id
        {
            return part.encode();
        }
        // Also for the next barrier: by then the segment that ends here may be gone.
        self.next = passed_on(self.next, state);
        let next = cut.unwrap_or(self.next);
        let part = LogPart { log: self.id, next, known: passed_on(state.end, state) };
        self.recent.seal(cut);
        self.sealed.insert(id, next);
        self.newest = Some((id, part));
        part.encode()
    }

    /// Notes durably that a checkpoint is committed, before anything is removed for its sake.
    pub(crate) async fn note_committed(&mut self, id: CheckpointId) -> Result<(), SourceError> {
        // A state from before there was a log says nothing of it.
        if self.committed > Some(id) || self.noted >= Some(id) || self.sealed.range(..=id).next().is_none() {
            return Ok(());
        }
        let log = self.id;
        self.dir.run(move |dir| dir.note_committed(log, id)).await?;
        self.committed = Some(id);
        self.noted = Some(id);
        Ok(())
    }

    /// Removes the segments that are behind the position of a committed checkpoint. The ones that are gone.
    pub(crate) async fn release(&mut self, id: CheckpointId, segments: Vec<u64>) -> Vec<u64> {
        let Some((_, position)) = self.sealed.range(..=id).next_back() else { return Vec::new() };
        let first = position.segment;
        self.replay.begin_at(first);
        let behind: Vec<u64> = segments.into_iter().filter(|segment| *segment < first).collect();
        let gone = if behind.is_empty() { behind } else { self.dir.run(move |dir| dir.remove_segments(&behind)).await };
        // The newest committed one stays, so that what could not be removed is tried again.
        let keep = self.sealed.range(..=id).next_back().map(|(kept, _)| *kept);
        self.sealed.retain(|sealed, _| *sealed > id || Some(*sealed) == keep);
        gone
    }
}

fn begin(first: &Scan) -> Position {
    Position { segment: first.header.segment, offset: HEADER as u64 }
}

/// The end of a segment is the beginning of the next one, if there is one: then the first can go.
fn passed_on(mut position: Position, state: &LogState) -> Position {
    while state.segments.get(&position.segment) == Some(&position.offset)
        && state.segments.contains_key(&(position.segment + 1))
    {
        position = Position { segment: position.segment + 1, offset: HEADER as u64 };
    }
    position
}
