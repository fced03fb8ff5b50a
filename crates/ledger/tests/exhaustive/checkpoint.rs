//! The checkpoint of a world, step by step; what fails; a crash, and the start after it.

use std::sync::Arc;

use headwater_ledger::{CheckpointId, DeleteOutcome, ExtendOutcome};

use crate::action::Action;
use crate::broken::Broken;
use crate::store::{Content, File, Saved};
use crate::world::{Fault, Phase, World, key};

impl World {
    pub(crate) fn go_on_with_the_checkpoint(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Barrier { hand_out } => {
                self.hand_out(hand_out);
                self.barrier();
            }
            Action::Save => {
                self.save();
                self.phase = if self.store.manifest == self.checkpoint { Phase::Named } else { Phase::Saved };
            }
            Action::Name => {
                self.name();
                self.phase = if self.phase == Phase::Saved { Phase::Named } else { self.phase };
            }
            Action::CommitSink => {
                let file = self.files.remove(0);
                self.sink.commit(file)?;
                self.phase = if self.phase == Phase::Restored { Phase::Named } else { self.phase };
            }
            Action::CommitSource => {
                self.commit_source();
                if matches!(self.phase, Phase::Named | Phase::Restored) {
                    self.phase = Phase::Idle;
                    self.taken = None;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn barrier(&mut self) {
        let id = CheckpointId(self.ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
        self.returned[1] |= std::mem::take(&mut self.returned[0]);
        let snapshot = self.ledger.barrier(id, self.now).unwrap();
        let file = File { life: self.life, checkpoint: id, messages: std::mem::take(&mut self.open_rows) };
        self.sink.stage(file);
        if file.messages != 0 {
            self.files.push(file);
        }
        let mut files = self.files.clone();
        if self.rules.is(Broken::EarlierFilesUnlisted) {
            files.retain(|listed| *listed == file);
        }
        let mut restored = self.rules.ledger();
        restored.restore(id, &snapshot.segments, self.now).unwrap();
        self.taken = Some(Arc::new(Saved { snapshot, files, content: Content::of(&restored) }));
        self.chain.clone_from(&self.taken);
        self.checkpoint = Some(id);
        self.phase = Phase::Cut;
        self.barriers_left = self.barriers_left.saturating_sub(1);
        if self.rules.is(Broken::CommitAtBarrier) {
            self.commit_source();
        }
    }

    fn save(&mut self) {
        if let (Some(id), Some(taken)) = (self.checkpoint, &self.taken) {
            self.store.saved.insert(id, taken.clone());
        }
    }

    fn name(&mut self) {
        self.store.manifest = self.checkpoint;
        if !self.rules.is(Broken::OlderRestored) {
            // What no restart can reach any more says nothing about the future.
            self.store.saved.retain(|id, _| Some(*id) >= self.checkpoint);
        }
    }

    fn commit_source(&mut self) {
        if let Some(id) = self.checkpoint {
            self.ledger.commit(id).unwrap();
            self.returned[2] |= std::mem::take(&mut self.returned[1]);
        }
    }

    pub(crate) fn fail(&mut self, fault: Fault, place: u8) -> Result<(), String> {
        match fault {
            Fault::Crash | Fault::SecondCrash => return self.restart(),
            Fault::SaveLost => self.abort(),
            Fault::SaveLate => {
                self.save();
                self.abort();
            }
            Fault::ManifestLost => self.abort(),
            Fault::ManifestLate => {
                self.name();
                self.abort();
            }
            Fault::DeleteAnswerLost => {
                let delete = self.deletes.remove(usize::from(place));
                let known = if self.rules.is(Broken::UnknownIsDeleted) {
                    DeleteOutcome::Deleted
                } else {
                    DeleteOutcome::Unknown
                };
                self.ledger.delete_done(delete.token, &vec![known; delete.entries.len()], self.now);
                if delete.outcomes.is_none() {
                    self.strays.extend(delete.entries);
                    self.strays.sort_unstable();
                }
            }
            Fault::DeleteRefused => {
                let waiting = (0..).zip(&self.deletes).filter(|(_, d)| d.outcomes.is_none());
                let mut places = waiting.flat_map(|(j, d)| (0..d.entries.len()).map(move |i| (j, i)));
                if let Some((j, i)) = places.nth(usize::from(place)) {
                    self.execute(j, Some(i));
                }
            }
            Fault::ExtendAnswerLost => {
                let extend = self.extends.remove(usize::from(place));
                self.ledger.extend_done(key(extend.handle.0), ExtendOutcome::Unknown, self.now);
                if extend.outcome.is_none() {
                    self.stray_extends.push(extend.handle);
                }
            }
            Fault::ExtendRefused => {
                let i = self.extends.iter().enumerate().filter(|(_, e)| e.outcome.is_none()).nth(usize::from(place));
                if let Some(i) = i.map(|(i, _)| i) {
                    let extend = self.extends.remove(i);
                    self.report_extend(&extend);
                }
            }
            Fault::ReceiveLost => {
                let receive = self.receives.remove(usize::from(place));
                receive.ticket.into_iter().for_each(|ticket| self.ledger.abandon(ticket));
                if self.rules.is(Broken::LateAnswerRead) {
                    self.late_answers.extend(receive.answer.into_iter().flatten());
                }
            }
        }
        Ok(())
    }

    /// The running checkpoint is given up. What it staged is kept: it may be durable.
    fn abort(&mut self) {
        if let Some(id) = self.checkpoint {
            if self.rules.is(Broken::CommitAfterFailedSave) {
                self.commit_source();
            }
            self.ledger.abort(id, self.now);
            if self.rules.is(Broken::StagedDiscarded) {
                self.files.retain(|file| file.checkpoint != id);
                self.sink.staged.retain(|file| file.checkpoint != id);
            }
        }
        self.phase = Phase::Idle;
        self.taken = None;
        if !self.rules.is(Broken::OlderRestored) {
            // A save that was given up will never be named.
            let manifest = self.store.manifest;
            self.store.saved.retain(|id, _| Some(*id) == manifest);
        }
    }

    /// A crash at this moment, and the start after it: the manifest's checkpoint is restored, staged files it does not
    /// list are removed.
    fn restart(&mut self) -> Result<(), String> {
        self.strays.extend(self.deletes.drain(..).filter(|d| d.outcomes.is_none()).flat_map(|d| d.entries));
        self.strays.sort_unstable();
        self.stray_extends.extend(self.extends.drain(..).filter(|e| e.outcome.is_none()).map(|e| e.handle));
        self.receives.clear();
        self.late_answers.clear();
        self.buffered = 0;
        self.open_rows = 0;
        self.returned = [0; 3];
        self.releases.clear();
        self.taken = None;
        self.life += 1;
        self.ledger = self.rules.ledger();
        self.chain = None;
        self.newest.fill(0);
        let mut id = self.store.manifest;
        if self.rules.is(Broken::OlderRestored) {
            id = self.store.saved.keys().copied().filter(|saved| Some(*saved) < id).max().or(id);
        }
        self.checkpoint = id;
        self.files.clear();
        self.phase = Phase::Idle;
        if let Some(id) = id {
            let Some(saved) = self.store.saved.get(&id) else {
                return Err(format!("S1: the manifest names checkpoint {id}, which is not saved"));
            };
            self.ledger.restore(id, &saved.snapshot.segments, self.now).map_err(|e| format!("S2: {e}"))?;
            self.files.clone_from(&saved.files);
            self.chain = Some(Arc::clone(saved));
            for row in &saved.content.rows {
                self.newest[usize::from(row.message)] = row.handle;
            }
            self.phase = Phase::Restored;
        }
        if self.rules.is(Broken::RestartSkipsSinks) {
            self.files.clear();
        }
        self.sink.staged.retain(|file| self.files.contains(file));
        Ok(())
    }
}
