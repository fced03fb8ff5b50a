//! What an action does at the queue, on the wire and in the driver.

use headwater_ledger::{DeleteOutcome, Delivery, ExtendOutcome, ServerMs, Ticket, Verdict};

use crate::action::{Action, places};
use crate::broken::Broken;
use crate::queue::{Handle, number};
use crate::world::{Delete, Extend, MINUTE, Receive, World, key, message, parse, text};

impl World {
    /// Lets something happen, and checks what must hold after it.
    pub(crate) fn act(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Minute => {
                self.now = self.now + MINUTE;
                self.minutes_left -= 1;
            }
            Action::Fails(fault, place) => {
                self.faults_seen |= 1 << fault as u8;
                self.fail(fault, place)?;
            }
            Action::Barrier { .. } | Action::Save | Action::Name | Action::CommitSink | Action::CommitSource => {
                self.go_on_with_the_checkpoint(action)?;
            }
            _ => {
                self.at_the_queue(action);
                self.at_the_driver(action)?;
            }
        }
        self.ledger.tick(self.now, None);
        let mut known = 0_u32;
        self.ledger.see_handles(&mut |key, _, _| known |= 1 << message(key));
        (0..).zip(&mut self.newest).filter(|(m, _)| known & 1 << m == 0).for_each(|(_, newest)| *newest = 0);
        let queue = &self.queue;
        // The others change nothing when they arrive.
        self.strays.retain(|handle| queue.good(*handle));
        self.stray_extends.retain(|handle| queue.good(*handle));
        self.check()
    }

    fn at_the_queue(&mut self, action: Action) {
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
            Action::ExtendArrives { extend, lapsed } => {
                let extend = &mut self.extends[usize::from(extend)];
                if lapsed {
                    self.queue.lapse(extend.handle);
                }
                extend.outcome = Some(self.queue.extend(extend.handle));
            }
            Action::StrayExtendArrives(i) => {
                self.queue.extend(self.stray_extends[usize::from(i)]);
            }
            _ => {}
        }
    }

    fn at_the_driver(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Receive => self.receive(),
            Action::EndEmpty(i) | Action::Read(i) => self.read(i),
            Action::SendDelete => self.send_delete()?,
            Action::ReportDelete(i) => {
                let delete = self.deletes.remove(usize::from(i));
                self.report(delete)?;
            }
            Action::ReadLate => {
                if let Ok(grant) = self.ledger.begin_receive(self.now) {
                    let answer = std::mem::take(&mut self.late_answers);
                    self.screen(grant.ticket, &answer);
                }
            }
            Action::SendExtends => {
                let now = self.now;
                for extension in self.ledger.next_extends(now, usize::MAX) {
                    let handle = parse(extension.handle.as_str());
                    self.is_newest(handle, "extended")?;
                    self.extends.push(Extend { handle, outcome: None });
                }
            }
            Action::ReportExtend(i) => {
                let extend = self.extends.remove(usize::from(i));
                self.report_extend(&extend);
            }
            Action::GiveBack(m) => {
                self.returns_left -= 1;
                self.buffered &= !(1 << m);
                self.returned[0] |= 1 << m;
                self.ledger.hand_out(&[key(m)]);
                assert!(self.ledger.retract(key(m)), "L11: {m} is in the open epoch and cannot be taken out of it");
            }
            Action::SendRelease(m) => {
                self.returned[2] &= !(1 << m);
                if let Some(release) = self.ledger.release(key(m)) {
                    let handle = parse(release.handle.as_str());
                    self.is_newest(handle, "released")?;
                    self.releases.push(handle);
                }
            }
            Action::EndRelease { release, visible } => {
                let handle = self.releases.remove(usize::from(release));
                if visible && self.queue.good(handle) {
                    self.queue.lapse(handle);
                }
                self.ledger.release_done(key(handle.0));
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn hand_out(&mut self, bits: u8) {
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
        answer.iter().for_each(|handle| self.told(*handle));
        let deliveries: Vec<Delivery> = answer
            .iter()
            .map(|handle| Delivery {
                key: key(handle.0),
                handle: text(*handle),
                dequeue_count: u32::from(handle.1 / 2),
                next_visible: ServerMs(0),
                enqueued: ServerMs(1),
                lease_end: self.rules.extends.then_some(self.now),
                bytes: 1,
            })
            .collect();
        for (verdict, (message, _)) in self.ledger.screen(ticket, deliveries).into_iter().zip(answer) {
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
        for handle in batch.handles.iter() {
            let (message, handle) = parse(handle.as_str());
            if !self.may_delete(message) {
                return Err(format!("G1: a delete is sent for message {message}, which no committed checkpoint holds"));
            }
            self.is_newest((message, handle), "deleted")?;
            let oldest = self.rules.is(Broken::OldestHandle);
            entries.push((message, if oldest { number(1, false) } else { handle }));
        }
        self.deletes.push(Delete { token: batch.token, entries, outcomes: None });
        Ok(())
    }

    /// The ledger is told of a handle.
    fn told(&mut self, (message, handle): Handle) {
        let newest = &mut self.newest[usize::from(message)];
        *newest = (*newest).max(handle);
    }

    /// L9: a call uses the newest handle that was read.
    fn is_newest(&self, (message, handle): Handle, what: &str) -> Result<(), String> {
        let newest = self.newest[usize::from(message)];
        if handle < newest {
            return Err(format!("L9: message {message} is {what} with handle {handle}, and {newest} was read"));
        }
        Ok(())
    }

    /// The answer to an extend call is read.
    pub(crate) fn report_extend(&mut self, extend: &Extend) {
        let outcome = match extend.outcome {
            Some(Some(handle)) => {
                self.told(handle);
                ExtendOutcome::Extended { handle: text(handle), next_visible: ServerMs(0), lease_end: Some(self.now) }
            }
            Some(None) => ExtendOutcome::Gone,
            None => ExtendOutcome::Failed,
        };
        self.ledger.extend_done(key(extend.handle.0), outcome, self.now);
    }

    /// The answer to a delete call is read.
    fn report(&mut self, delete: Delete) -> Result<(), String> {
        let outcomes = delete.outcomes.unwrap_or_default();
        self.ledger.delete_done(delete.token, &outcomes, self.now);
        let confirmed = delete.entries.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == DeleteOutcome::Deleted);
        for ((message, _), _) in confirmed {
            let held = self.ledger.ids().into_iter().find(|id| id.key == key(*message) && id.stage != "deleted");
            if let Some(held) = held {
                return Err(format!("L10: the delete of message {message} is confirmed, and it is {}", held.stage));
            }
        }
        Ok(())
    }

    /// The queue carries out a delete call, and refuses one entry if told to.
    pub(crate) fn execute(&mut self, delete: u8, refused: Option<usize>) {
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
}
