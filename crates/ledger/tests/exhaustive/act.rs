//! What can happen next in a world, and what it does.

use std::sync::Arc;

use headwater_ledger::{CheckpointId, DeleteOutcome, Delivery, ServerMs, Ticket, Verdict};

use crate::broken::Broken;
use crate::queue::Handle;
use crate::store::{Content, File, Saved};
use crate::world::{Delete, Fault, MINUTE, Phase, Receive, World, key, message, parse};

/// One thing that happens. Numbers are places in the world's lists, `bits` stand for messages, or entries of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    // The queue and the wire.
    Serve {
        receive: u8,
        bits: u8,
    },
    /// A receive begins and is answered at once.
    Poll {
        bits: u8,
    },
    DeleteArrives {
        delete: u8,
        lapsed: u8,
    },
    StrayDeleteArrives(u8),
    // The driver.
    Receive,
    EndEmpty(u8),
    Read(u8),
    SendDelete,
    ReportDelete(u8),
    ReadLate,
    // The checkpoint. What is handed out matters to the barrier alone, so it is handed out there.
    Barrier {
        hand_out: u8,
    },
    Save,
    Name,
    CommitSink,
    CommitSource,
    /// A minute passes, and nothing else.
    Minute,
    // Faults; the number says where.
    Fails(Fault, u8),
}

fn places<T>(list: &[T], wanted: impl Fn(&T) -> bool) -> impl Iterator<Item = u8> {
    (0..).zip(list).filter(move |(_, item)| wanted(item)).map(|(place, _)| place)
}

impl World {
    /// Every action that can happen in this state.
    pub(crate) fn enabled(&self) -> Vec<Action> {
        let mut out = Vec::with_capacity(16);
        self.checkpoint_actions(&mut out);
        // Saving, naming and committing touch neither queue nor ledger, so they may be put off until what needs them: once
        // begun they run to their end, with nothing but faults in between. (Not where one of them is broken.)
        if self.rules.broken.is_some() || !matches!(self.phase, Phase::Saved | Phase::Named) {
            self.queue_actions(&mut out);
            self.driver_actions(&mut out);
        }
        self.faults(&mut out);
        if self.minutes_left > 0 {
            out.push(Action::Minute);
        }
        out
    }

    fn queue_actions(&self, out: &mut Vec<Action>) {
        for receive in places(&self.receives, |r| r.answer.is_none()) {
            let room = self.receives[usize::from(receive)].room;
            out.extend(self.answers(room).map(|bits| Action::Serve { receive, bits }));
        }
        for delete in places(&self.deletes, |d| d.outcomes.is_none()) {
            let entries = &self.deletes[usize::from(delete)].entries;
            let good = places(entries, |handle| self.queue.good(*handle)).fold(0, |bits, i| bits | 1 << i);
            let lapses = (0..1u8 << entries.len()).filter(|bits| bits & !good == 0);
            out.extend(lapses.map(|lapsed| Action::DeleteArrives { delete, lapsed }));
        }
        out.extend(places(&self.strays, |handle| self.queue.good(*handle)).map(Action::StrayDeleteArrives));
    }

    /// What a receive may be answered, as bits.
    fn answers(&self, room: usize) -> impl Iterator<Item = u8> {
        let messages = self.rules.messages;
        let deliverable = (0..messages).filter(|m| self.queue.deliverable(*m)).fold(0, |bits, m| bits | 1 << m);
        // Messages are alike until they are delivered: the first delivered is message 0.
        let alike = self.queue.messages[0].deliveries == 0;
        let fits = move |bits: &u8| bits & !deliverable == 0 && bits.count_ones() as usize <= room;
        (1..1 << messages).filter(fits).filter(move |bits| !alike || bits & 1 != 0)
    }

    fn driver_actions(&self, out: &mut Vec<Action>) {
        if self.receives.len() < self.rules.receives && self.ledger.can_receive().is_ok() && !self.done() {
            if self.rules.parked {
                out.push(Action::Receive);
            } else {
                out.extend(self.answers(2).map(|bits| Action::Poll { bits }));
            }
        }
        out.extend(places(&self.receives, |r| r.answer.is_none()).map(Action::EndEmpty));
        out.extend(places(&self.receives, |r| r.answer.is_some()).map(Action::Read));
        if self.ledger.ids().iter().any(|id| matches!(id.doing, "ready" | "retry")) {
            out.push(Action::SendDelete);
        }
        out.extend(places(&self.deletes, |d| d.outcomes.is_some()).map(Action::ReportDelete));
        if !self.late_answers.is_empty() {
            out.push(Action::ReadLate);
        }
    }

    fn checkpoint_actions(&self, out: &mut Vec<Action>) {
        let rules = &self.rules;
        match self.phase {
            Phase::Idle if self.barriers_left > 0 => {
                let dirty = self.ledger.dirty();
                let chosen =
                    (0..1 << rules.messages).filter(|bits| bits & !self.buffered == 0 && (*bits != 0 || dirty));
                out.extend(chosen.map(|hand_out| Action::Barrier { hand_out }));
            }
            Phase::Cut => out.push(Action::Save),
            Phase::Saved => out.push(Action::Name),
            Phase::Idle | Phase::Named | Phase::Restored => {}
        }
        if rules.is(Broken::ManifestBeforeSave) && self.phase == Phase::Cut && self.store.manifest != self.checkpoint {
            out.push(Action::Name);
        }
        let durable = matches!(self.phase, Phase::Named | Phase::Restored);
        let early = rules.is(Broken::SinksBeforeManifest) && self.phase == Phase::Saved;
        if (durable || early) && !self.files.is_empty() {
            out.push(Action::CommitSink);
        }
        let early = rules.is(Broken::CommitAtSave) && self.phase == Phase::Saved;
        let committed = self.files.is_empty() || rules.is(Broken::CommitBeforeSinks);
        if durable && committed || early && self.ledger.committed_through() != self.checkpoint {
            out.push(Action::CommitSource);
        }
    }

    fn faults(&self, out: &mut Vec<Action>) {
        let mut add = |fault, places: usize| {
            if self.may_fail(fault) {
                out.extend((0..places as u8).map(|place| Action::Fails(fault, place)));
            }
        };
        add(Fault::Crash, usize::from(self.rules.crashes > 0));
        add(Fault::SecondCrash, usize::from(self.rules.crashes > 1 && self.life > 0));
        add(Fault::SaveLost, usize::from(self.phase == Phase::Cut));
        add(Fault::SaveLate, usize::from(self.phase == Phase::Cut));
        add(Fault::ManifestLost, usize::from(self.phase == Phase::Saved));
        add(Fault::ManifestLate, usize::from(self.phase == Phase::Saved));
        add(Fault::DeleteAnswerLost, self.deletes.len());
        add(Fault::DeleteRefused, self.deletes.iter().filter(|d| d.outcomes.is_none()).map(|d| d.entries.len()).sum());
        add(Fault::ReceiveLost, self.receives.len());
    }

    /// Lets something happen, and checks what must hold after it.
    pub(crate) fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Serve { receive, bits } => self.serve(receive, bits),
            Action::Poll { bits } => {
                self.receive();
                self.serve(self.receives.len() as u8 - 1, bits);
            }
            Action::DeleteArrives { delete, lapsed } => {
                let entries = self.deletes[usize::from(delete)].entries.clone();
                let lapsing = places(&entries, |_| true).filter(|i| lapsed & (1 << i) != 0);
                lapsing.for_each(|i| self.queue.lapse(entries[usize::from(i)]));
                self.execute(delete, None);
            }
            Action::StrayDeleteArrives(i) => {
                self.queue.delete(self.strays[usize::from(i)]);
            }
            Action::Receive => self.receive(),
            Action::EndEmpty(i) | Action::Read(i) => self.read(i),
            Action::SendDelete => self.send_delete()?,
            Action::ReportDelete(i) => {
                let delete = self.deletes.remove(usize::from(i));
                self.report(delete)?;
            }
            Action::Minute => {
                self.now = self.now + MINUTE;
                self.minutes_left -= 1;
            }
            Action::ReadLate => {
                if let Ok(grant) = self.ledger.begin_receive(self.now) {
                    let answer = std::mem::take(&mut self.late_answers);
                    self.screen(grant.ticket, &answer);
                }
            }
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
            Action::Fails(fault, place) => {
                self.faults_seen |= 1 << fault as u8;
                self.fail(fault, place)?;
            }
        }
        self.ledger.tick(self.now, None);
        let mut known = 0_u32;
        self.ledger.see_handles(&mut |key, _, _| known |= 1 << message(key));
        (0..).zip(&mut self.newest).filter(|(m, _)| known & 1 << m == 0).for_each(|(_, newest)| *newest = 0);
        let queue = &self.queue;
        self.strays.retain(|handle| queue.good(*handle)); // The others change nothing when they arrive.
        self.check()
    }

    fn hand_out(&mut self, bits: u8) {
        self.buffered &= !bits;
        if !self.rules.is(Broken::RowsBeforeHandOut) && !self.rules.is(Broken::RowsDropped) {
            self.open_rows |= bits;
        }
        let keys: Vec<_> = (0..self.rules.messages).filter(|m| bits & (1 << m) != 0).map(key).collect();
        self.ledger.hand_out(&keys);
    }

    fn receive(&mut self) {
        if self.rules.is(Broken::TicketAtAnswer) {
            self.receives.push(Receive { ticket: None, room: 2, answer: None });
        } else if let Ok(grant) = self.ledger.begin_receive(self.now) {
            self.receives.push(Receive { ticket: Some(grant.ticket), room: grant.max_messages as usize, answer: None });
        }
    }

    /// A queue that gives more than was asked for is left to the scripts: here it gives what fits.
    fn serve(&mut self, receive: u8, bits: u8) {
        let receive = &mut self.receives[usize::from(receive)];
        let chosen = (0..self.rules.messages).filter(|m| bits & (1 << m) != 0).take(receive.room);
        receive.answer = Some(chosen.map(|m| self.queue.deliver(m)).collect());
    }

    fn read(&mut self, i: u8) {
        let receive = self.receives.remove(usize::from(i));
        let mut answer = receive.answer.unwrap_or_default();
        if self.rules.is(Broken::DuplicatesIgnored) {
            let known: Vec<_> = self.ledger.ids().iter().map(|id| id.key).collect();
            answer.retain(|(message, _)| !known.contains(&key(*message)));
        }
        let ticket = receive.ticket.or_else(|| self.ledger.begin_receive(self.now).ok().map(|grant| grant.ticket));
        if let Some(ticket) = ticket {
            self.screen(ticket, &answer);
        }
    }

    fn screen(&mut self, ticket: Ticket, answer: &[Handle]) {
        for (message, delivery) in answer {
            let newest = &mut self.newest[usize::from(*message)];
            *newest = (*newest).max(*delivery);
        }
        let deliveries: Vec<Delivery> = answer
            .iter()
            .map(|(message, delivery)| Delivery {
                key: key(*message),
                handle: headwater_ledger::Handle::new(&format!("{message}.{delivery}")),
                dequeue_count: u32::from(*delivery),
                next_visible: ServerMs(0),
                enqueued: ServerMs(1),
                lease_end: None,
                bytes: 1,
            })
            .collect();
        for (verdict, (message, _)) in self.ledger.screen(ticket, &deliveries).into_iter().zip(answer) {
            if verdict == Verdict::Fresh {
                self.buffered |= 1 << message;
                if self.rules.is(Broken::RowsBeforeHandOut) {
                    self.open_rows |= 1 << message;
                }
            }
        }
    }

    fn send_delete(&mut self) -> Result<(), String> {
        let Some(batch) = self.ledger.next_deletes(self.now) else { return Ok(()) };
        let mut entries = Vec::new();
        for (_, handle) in &batch.entries {
            let (message, delivery) = parse(handle.as_str());
            if !self.may_delete(message) {
                return Err(format!("G1: a delete is sent for message {message}, which no committed checkpoint holds"));
            }
            let newest = self.newest[usize::from(message)];
            if delivery < newest {
                return Err(format!("L8: message {message} is deleted with handle {delivery}, and {newest} was read"));
            }
            entries.push((message, if self.rules.is(Broken::OldestHandle) { 1 } else { delivery }));
        }
        self.deletes.push(Delete { token: batch.token, entries, outcomes: None });
        Ok(())
    }

    /// The answer to a delete call is read.
    fn report(&mut self, delete: Delete) -> Result<(), String> {
        let outcomes = delete.outcomes.unwrap_or_default();
        self.ledger.delete_done(delete.token, &outcomes, self.now);
        let confirmed = delete.entries.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == DeleteOutcome::Deleted);
        for ((message, _), _) in confirmed {
            let held = self.ledger.ids().into_iter().find(|id| id.key == key(*message) && id.stage != "deleted");
            if let Some(held) = held {
                return Err(format!("L9: the delete of message {message} is confirmed, and it is {}", held.stage));
            }
        }
        Ok(())
    }

    /// The queue carries out a delete call, and refuses one entry if told to.
    fn execute(&mut self, delete: u8, refused: Option<usize>) {
        let entries = self.deletes[usize::from(delete)].entries.clone();
        let outcomes = entries.into_iter().enumerate().map(|(i, handle)| {
            if refused == Some(i) {
                DeleteOutcome::Failed
            } else if self.queue.delete(handle) || self.rules.is(Broken::StaleIsDeleted) {
                DeleteOutcome::Deleted
            } else {
                DeleteOutcome::Stale
            }
        });
        self.deletes[usize::from(delete)].outcomes = Some(outcomes.collect());
    }

    fn barrier(&mut self) {
        let id = CheckpointId(self.ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
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
        }
    }

    fn fail(&mut self, fault: Fault, place: u8) -> Result<(), String> {
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
        self.receives.clear();
        self.late_answers.clear();
        self.buffered = 0;
        self.open_rows = 0;
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
                self.newest[usize::from(row.message)] = row.delivery;
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
