//! What an action does.

use std::sync::Arc;

use headwater_ledger::{CheckpointId, DeleteOutcome, Delivery, ServerMs, Verdict};

use crate::action::Action;
use crate::queue::Handle;
use crate::world::{
    Broken, Delete, Fault, NOW, Phase, RECORD, Receive, Record, Taken, World, bits_of, key, parse, text,
};

fn delivery(handle: Handle) -> Delivery {
    Delivery {
        key: key(handle.0),
        handle: text(handle),
        dequeue_count: u32::from(handle.1 / 2),
        next_visible: ServerMs(0),
        enqueued: ServerMs(1),
        lease_end: None,
        bytes: RECORD,
    }
}

impl World {
    /// Lets something happen, and checks what must hold after it.
    pub(crate) fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Write(many) => self.write(usize::from(many)),
            Action::Synced => self.was_synced(),
            Action::Barrier { hand_out } => self.barrier(hand_out)?,
            Action::Save => {
                self.saved = self.taken.take();
                self.phase = Phase::Durable;
            }
            Action::Commit => {
                let saved = self.saved.as_ref().map(|saved| saved.snapshot.checkpoint);
                saved.into_iter().try_for_each(|id| self.ledger.commit(id)).map_err(|e| format!("S2: {e}"))?;
                self.phase = Phase::Idle;
            }
            Action::Fails(fault, place) => {
                self.faults_seen |= 1 << fault as u8;
                self.fail(fault, place);
            }
            Action::Dies(kept) => {
                let first = self.may_fail(Fault::Crash);
                self.faults_seen |= 1 << if first { Fault::Crash } else { Fault::SecondCrash } as u8;
                self.restart(usize::from(kept))?;
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
                let Receive { ticket, answer } = self.receives.remove(usize::from(i));
                let deliveries: Vec<_> = answer.iter().copied().map(delivery).collect();
                let verdicts = self.ledger.screen(ticket, deliveries).into_iter().zip(answer);
                self.buffered.extend(verdicts.filter(|(v, _)| *v == Verdict::Fresh).map(|(_, handle)| handle));
            }
            Action::DeleteArrives { delete, lapsed } => {
                let entries = self.deletes[usize::from(delete)].entries.clone();
                bits_of(lapsed).for_each(|i| self.queue.lapse(entries[usize::from(i)]));
                self.execute(usize::from(delete), None);
            }
            Action::StrayDeleteArrives(i) => {
                self.queue.delete(self.strays[usize::from(i)]);
            }
            Action::SendDelete => {
                let Some(batch) = self.ledger.next_deletes(NOW) else { return Ok(()) };
                let entries: Vec<_> = batch.handles.iter().map(|handle| parse(handle.as_str())).collect();
                if let Some((message, _)) = entries.iter().find(|(message, _)| !self.may_delete(*message)) {
                    return Err(format!("G1: a delete is sent for message {message}, which is not durable in the log"));
                }
                self.deletes.push(Delete { token: batch.token, entries, outcomes: None });
            }
            Action::ReportDelete(i) => {
                let delete = self.deletes.remove(usize::from(i));
                let outcomes = delete.outcomes.clone().unwrap_or_default();
                self.report(&delete, &outcomes);
            }
            _ => {}
        }
        Ok(())
    }

    fn report(&mut self, delete: &Delete, outcomes: &[DeleteOutcome]) {
        self.ledger.delete_done(delete.token, outcomes, NOW);
        for (message, _) in &delete.entries {
            if self.ledger.is_deleted(key(*message)) {
                self.confirmed |= 1 << message;
            }
        }
    }

    /// The queue carries out a delete call, and refuses one entry if told to.
    fn execute(&mut self, delete: usize, refused: Option<usize>) {
        let entries = self.deletes[delete].entries.clone();
        let outcomes = entries.into_iter().enumerate().map(|(i, handle)| {
            if refused == Some(i) {
                DeleteOutcome::Failed
            } else if self.queue.delete(handle) {
                DeleteOutcome::Deleted
            } else {
                DeleteOutcome::Stale
            }
        });
        self.deletes[delete].outcomes = Some(outcomes.collect());
    }

    fn fail(&mut self, fault: Fault, place: u8) {
        match fault {
            Fault::SaveLost | Fault::SaveLate => {
                let taken = self.taken.take();
                if let Some(taken) = &taken {
                    self.ledger.abort(taken.snapshot.checkpoint, NOW);
                }
                if fault == Fault::SaveLate {
                    self.saved = taken;
                }
                self.phase = Phase::Idle;
            }
            Fault::DeleteAnswerLost => {
                let delete = self.deletes.remove(usize::from(place));
                let deleted = self.rules.is(Broken::UnknownIsDeleted);
                let outcome = if deleted { DeleteOutcome::Deleted } else { DeleteOutcome::Unknown };
                self.report(&delete, &vec![outcome; delete.entries.len()]);
                if delete.outcomes.is_none() {
                    self.strays.extend(delete.entries);
                    self.strays.sort_unstable();
                }
            }
            Fault::DeleteRefused => {
                let waiting = self.deletes.iter().enumerate().filter(|(_, d)| d.outcomes.is_none());
                let entries = waiting.flat_map(|(j, d)| (0..d.entries.len()).map(move |i| (j, i)));
                let chosen = entries.skip(usize::from(place)).collect::<Vec<_>>();
                if let Some((j, i)) = chosen.first() {
                    self.execute(*j, Some(*i));
                }
            }
            Fault::ReceiveLost => self.ledger.abandon(self.receives.remove(usize::from(place)).ticket),
            Fault::Crash | Fault::SecondCrash => {}
        }
    }

    /// A group is written: messages, or what is confirmed since the last time.
    fn write(&mut self, many: usize) {
        if many == 0 {
            self.log.push(Record::Deleted(std::mem::take(&mut self.confirmed)));
        }
        self.log.extend(self.buffered.drain(..many).map(Record::Message));
        if self.rules.is(Broken::DurableAtWrite) {
            self.tell_durable();
        }
    }

    fn was_synced(&mut self) {
        if !self.rules.is(Broken::DurableAtWrite) {
            self.tell_durable();
        }
        self.synced = self.log.len();
    }

    fn tell_durable(&mut self) {
        let weighed: Vec<_> = messages(&self.log[self.synced..]).map(|(m, _)| (key(m), RECORD)).collect();
        self.ledger.log_durable(&weighed, self.log.len() as u64);
    }

    fn barrier(&mut self, hand_out: u8) -> Result<(), String> {
        for _ in 0..hand_out {
            let Some((at, message)) = self.next_message() else { return Err("G3: the log is at its end".into()) };
            if self.handed_out & 1 << message != 0 {
                return Err(format!("G2: message {message} is handed out twice, and no crash came between"));
            }
            self.handed_out |= 1 << message;
            self.ledger.hand_out_logged(&[key(message)]);
            self.next = at + 1;
        }
        let id = CheckpointId(self.ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
        let snapshot = Arc::new(self.ledger.barrier(id, NOW).map_err(|e| format!("S2: {e}"))?);
        let handed_out = if self.rules.is(Broken::PositionAtTheEnd) { self.log.len() } else { self.next };
        // What is not synced is in no snapshot, so a start reads on before it.
        let messages = self.handed_out;
        self.taken = Some(Taken { snapshot: Arc::clone(&snapshot), handed_out, known: self.synced, messages });
        self.chain = Some(snapshot);
        self.phase = Phase::Cut;
        self.barriers_left = self.barriers_left.saturating_sub(1);
        Ok(())
    }

    /// A crash, and the start after it: the newest checkpoint is restored, and what is in the log behind it is read.
    fn restart(&mut self, kept: usize) -> Result<(), String> {
        self.strays.extend(self.deletes.drain(..).filter(|d| d.outcomes.is_none()).flat_map(|d| d.entries));
        self.strays.sort_unstable();
        self.receives.clear();
        self.buffered.clear();
        self.confirmed = 0;
        self.log.truncate(self.synced + kept);
        // What a start finds it makes durable before it counts on it.
        self.synced = self.log.len();
        self.taken = None;
        self.ledger = self.rules.ledger();
        let (mut known, mut handed_out) = (0, 0);
        self.handed_out = 0;
        (self.chain, self.phase) = (None, Phase::Idle);
        if let Some(saved) = &self.saved {
            let Taken { snapshot, .. } = saved;
            self.ledger.restore(snapshot.checkpoint, &snapshot.segments, NOW).map_err(|e| format!("S2: {e}"))?;
            (known, handed_out) = (saved.known, saved.handed_out);
            self.handed_out = saved.messages;
            (self.chain, self.phase) = (Some(Arc::clone(snapshot)), Phase::Durable);
        }
        if !self.rules.is(Broken::NotRecalled) {
            for record in &self.log[known..] {
                match record {
                    Record::Message(handle) => self.ledger.recall(&delivery(*handle), NOW),
                    Record::Deleted(bits) => bits_of(*bits).for_each(|m| self.ledger.recall_deleted(key(m), NOW)),
                }
            }
        }
        self.ledger.recall_done();
        self.next = if self.rules.is(Broken::HandedOutFromTheStart) { 0 } else { handed_out };
        let again: Vec<_> = messages(&self.log[self.next..]).map(|(m, _)| (key(m), RECORD)).collect();
        self.replayed = !again.is_empty();
        self.ledger.log_replayed(&again);
        self.ledger.note_log_used(self.log.len() as u64);
        Ok(())
    }
}

fn messages(records: &[Record]) -> impl Iterator<Item = Handle> {
    records.iter().filter_map(|record| match record {
        Record::Message(handle) => Some(*handle),
        Record::Deleted(_) => None,
    })
}
