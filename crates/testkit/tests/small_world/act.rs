//! What an action does.

use std::sync::Arc;

use headwater_core::{CheckpointId, JobState, SourceState, StatePart, StoredPart};
use headwater_ledger::{DeleteOutcome, Delivery, Ledger, Segment, ServerMs, Verdict};

use crate::action::{Action, Step, places};
use crate::broken::Broken;
use crate::disk::{Image, Ran};
use crate::print::Printer;
use crate::process::{Answer, Op, TABLE, bits_of};
use crate::queue::Handle;
use crate::world::{Delete, Fault, Machine, NOW, Phase, Receive, World, key, parse, text};

impl World {
    /// Lets something happen, and checks what must hold after it.
    pub(crate) fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Does(Step::Start) => self.start()?,
            Action::Does(step) => {
                let (Machine::Up(disk), Some(op)) = (&self.machine, self.op(step)) else { return Ok(()) };
                let ran = self.disks.run(disk, &op);
                match &ran.answer {
                    Answer::Done | Answer::Staged(..) => {}
                    Answer::NotSaved => return Err("S2: a save fails, and nothing was wrong".into()),
                    Answer::Ended(why) => return Err(format!("S2: {step:?} fails, and nothing was wrong: {why}")),
                }
                self.did(step, &ran)?;
            }
            Action::CommitSource => {
                self.commit_source();
                self.phase = Phase::Idle;
                self.save = None;
            }
            Action::Fails(fault, place) => {
                self.faults_seen |= 1 << fault as u8;
                self.fail(fault, place);
            }
            Action::Dies { during, operation, kept } => {
                let deaths = self.deaths(during);
                let death = deaths.iter().find(|death| (death.operation, death.kept) == (operation, kept));
                let fault = if self.may_fail(Fault::Death) { Fault::Death } else { Fault::SecondDeath };
                self.faults_seen |= 1 << fault as u8;
                self.end(Arc::clone(&death.ok_or("no such death")?.image));
            }
            Action::FileFails { during, what, nth } => {
                let failures = self.failures(during);
                let failure = failures.iter().find(|failure| (failure.what, failure.nth) == (what, nth));
                self.faults_seen |= 1 << Fault::DiskFails as u8;
                self.did(during, &failure.ok_or("no such failure")?.ran)?;
            }
            _ => self.at_queue_and_driver(action)?,
        }
        self.ledger.tick(NOW, None);
        let queue = &self.queue;
        // The others change nothing when they arrive.
        self.strays.retain(|handle| queue.good(*handle));
        self.check()
    }

    fn at_queue_and_driver(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Poll { bits } => {
                if let Ok(grant) = self.ledger.begin_receive(NOW) {
                    let chosen = bits_of(bits).take(grant.max_messages as usize);
                    let answer = chosen.map(|m| self.queue.deliver(m)).collect();
                    self.receives.push(Receive { ticket: grant.ticket, answer });
                }
            }
            Action::Read(i) => {
                let receive = self.receives.remove(usize::from(i));
                self.screen(&receive);
            }
            Action::DeleteArrives { delete, lapsed } => {
                let entries = self.deletes[usize::from(delete)].entries.clone();
                bits_of(lapsed).for_each(|i| self.queue.lapse(entries[usize::from(i)]));
                self.execute(delete, None);
            }
            Action::StrayDeleteArrives(i) => {
                self.queue.delete(self.strays[usize::from(i)]);
            }
            Action::SendDelete => self.send_delete()?,
            Action::ReportDelete(i) => {
                let delete = self.deletes.remove(usize::from(i));
                self.ledger.delete_done(delete.token, &delete.outcomes.unwrap_or_default(), NOW);
            }
            _ => {}
        }
        Ok(())
    }

    fn screen(&mut self, receive: &Receive) {
        let delivery = |handle: &Handle| Delivery {
            key: key(handle.0),
            handle: text(*handle),
            dequeue_count: u32::from(handle.1 / 2),
            next_visible: ServerMs(0),
            enqueued: ServerMs(1),
            lease_end: None,
            bytes: 1,
        };
        let deliveries: Vec<_> = receive.answer.iter().map(delivery).collect();
        let verdicts = self.ledger.screen(receive.ticket, deliveries);
        for (verdict, (message, _)) in verdicts.into_iter().zip(&receive.answer) {
            if verdict == Verdict::Fresh {
                self.buffered |= 1 << message;
            }
        }
    }

    fn send_delete(&mut self) -> Result<(), String> {
        let Some(batch) = self.ledger.next_deletes(NOW) else { return Ok(()) };
        let entries: Vec<_> = batch.handles.iter().map(|handle| parse(handle.as_str())).collect();
        entries.iter().try_for_each(|(message, _)| self.may_delete(*message))?;
        self.deletes.push(Delete { token: batch.token, entries, outcomes: None });
        Ok(())
    }

    /// The queue carries out a delete call, and refuses one entry if told to.
    fn execute(&mut self, delete: u8, refused: Option<usize>) {
        let entries = self.deletes[usize::from(delete)].entries.clone();
        let outcomes = entries.into_iter().enumerate().map(|(i, handle)| {
            if refused == Some(i) {
                DeleteOutcome::Failed
            } else if self.queue.delete(handle) {
                DeleteOutcome::Deleted
            } else {
                DeleteOutcome::Stale
            }
        });
        self.deletes[usize::from(delete)].outcomes = Some(outcomes.collect());
    }

    fn fail(&mut self, fault: Fault, place: u8) {
        match fault {
            Fault::DeleteAnswerLost => {
                let delete = self.deletes.remove(usize::from(place));
                let unknown = if self.rules.is(Broken::UnknownIsDeleted) {
                    DeleteOutcome::Deleted
                } else {
                    DeleteOutcome::Unknown
                };
                self.ledger.delete_done(delete.token, &vec![unknown; delete.entries.len()], NOW);
                if delete.outcomes.is_none() {
                    self.strays.extend(delete.entries);
                    self.strays.sort_unstable();
                }
            }
            Fault::DeleteRefused => {
                let waiting = places(&self.deletes, |d| d.outcomes.is_none());
                let entries = |j: u8| self.deletes[usize::from(j)].entries.len();
                let mut places = waiting.flat_map(|j| (0..entries(j)).map(move |i| (j, i))).skip(usize::from(place));
                let chosen = places.next();
                drop(places);
                if let Some((j, i)) = chosen {
                    self.execute(j, Some(i));
                }
            }
            Fault::ReceiveLost => self.ledger.abandon(self.receives.remove(usize::from(place)).ticket),
            Fault::Death | Fault::SecondDeath | Fault::DiskFails => {}
        }
    }

    /// What the driver makes of a step's outcome.
    fn did(&mut self, step: Step, ran: &Ran) -> Result<(), String> {
        self.machine = Machine::Up(Arc::clone(&ran.disk));
        match (step, &ran.answer) {
            (Step::Barrier { hand_out }, Answer::Staged(id, staged)) => {
                self.pending.extend(staged.clone());
                self.barrier(hand_out, *id)?;
            }
            (Step::Save, Answer::Done) => {
                self.phase = Phase::Saved;
                self.save = None;
            }
            (Step::Save, Answer::NotSaved) => self.abort(),
            (Step::CommitSink, Answer::Done) => {
                self.pending.remove(0);
                if self.phase == Phase::Restored {
                    self.phase = Phase::Saved;
                }
            }
            // The job ends; it may be started again.
            _ => self.end(self.disks.exit(&ran.disk)),
        }
        Ok(())
    }

    fn barrier(&mut self, hand_out: u8, id: CheckpointId) -> Result<(), String> {
        let keys: Vec<_> = bits_of(hand_out).map(key).collect();
        let late = self.rules.is(Broken::RowsBeforeHandOut);
        if !late {
            self.ledger.hand_out(&keys);
        }
        let snapshot = self.ledger.barrier(id, NOW).map_err(|e| format!("S2: {e}"))?;
        if late {
            self.ledger.hand_out(&keys);
        }
        self.buffered &= !hand_out;
        let parts = snapshot.segments.iter().map(|s| StatePart { name: s.name(), bytes: Arc::clone(s.bytes()) });
        let stored = snapshot.stored.into_iter().map(|s| StoredPart::new(s.name, s.len)).collect();
        let source = SourceState::new("queue".into(), parts.collect()).with_stored(stored);
        self.chain = chain(&source);
        let listed = |staged: &&headwater_core::Committable| {
            !self.rules.is(Broken::EarlierFilesUnlisted) || staged.checkpoint == id
        };
        let pending = self.pending.iter().filter(listed).map(|staged| (TABLE.to_owned(), staged.clone())).collect();
        self.save = Some(Arc::new(Op::Save(Arc::new(JobState { checkpoint: id, sources: vec![source], pending }))));
        self.checkpoint = Some(id);
        self.phase = Phase::Cut;
        self.barriers_left = self.barriers_left.saturating_sub(1);
        if self.rules.is(Broken::CommitAtBarrier) {
            self.commit_source();
        }
        Ok(())
    }

    fn commit_source(&mut self) {
        if let Some(id) = self.checkpoint {
            self.ledger.commit(id).expect("a checkpoint that was taken or restored");
            self.ledger.release_stored();
        }
    }

    /// The running checkpoint is given up. What it staged is kept: it may be durable.
    fn abort(&mut self) {
        if self.rules.is(Broken::CommitAfterFailedSave) {
            self.commit_source();
        }
        if let Some(id) = self.checkpoint {
            self.ledger.abort(id, NOW);
            if self.rules.is(Broken::StagedForgotten) {
                self.pending.retain(|staged| staged.checkpoint != id);
            }
        }
        self.phase = Phase::Idle;
        self.save = None;
    }

    /// The process is gone. What it had sent may still arrive.
    fn end(&mut self, image: Arc<Image>) {
        self.strays.extend(self.deletes.drain(..).filter(|d| d.outcomes.is_none()).flat_map(|d| d.entries));
        self.strays.sort_unstable();
        self.receives.clear();
        self.buffered = 0;
        self.machine = Machine::Down(image);
        self.ledger = self.rules.ledger();
        (self.chain, self.checkpoint, self.save) = (0, None, None);
        self.pending.clear();
        self.phase = Phase::Idle;
        self.life += 1;
    }

    fn start(&mut self) -> Result<(), String> {
        let Machine::Down(image) = &self.machine else { return Ok(()) };
        let started = self.disks.start(image).map_err(|refused| format!("S1: a start is refused: {refused}"))?;
        self.machine = Machine::Up(Arc::clone(&started.disk));
        let Some(state) = &started.state else { return Ok(()) };
        self.ledger = self.restored(Some(state))?;
        self.chain = state.sources.iter().map(chain).next().unwrap_or_default();
        self.checkpoint = Some(state.checkpoint);
        if !self.rules.is(Broken::RestartSkipsSinks) {
            self.pending = state.pending.iter().map(|(_, staged)| staged.clone()).collect();
        }
        self.phase = Phase::Restored;
        Ok(())
    }

    /// The ledger that a state makes.
    pub(crate) fn restored(&self, state: Option<&JobState>) -> Result<Ledger, String> {
        let mut ledger = self.rules.ledger();
        if let Some(state) = state {
            let parts = state.sources.iter().flat_map(|source| &source.parts);
            let segments: Result<Vec<_>, _> = parts.map(|part| Segment::from_bytes(&part.bytes)).collect();
            let segments = segments.map_err(|e| format!("S2: {e}"))?;
            ledger.restore(state.checkpoint, &segments, NOW).map_err(|e| format!("S2: {e}"))?;
        }
        Ok(ledger)
    }
}

/// Recognises the segments of a state: their names hold a hash of what is in them.
fn chain(source: &SourceState) -> u128 {
    let mut out = Printer::default();
    source.stored.iter().for_each(|part| out.bytes(part.name.as_bytes()));
    out.number(u64::MAX);
    source.parts.iter().for_each(|part| out.bytes(part.name.as_bytes()));
    out.finish()
}
