//! What can happen next in a world.

use crate::world::{Fault, Phase, Record, World};

/// One thing that happens. Numbers are places in the world's lists, `bits` stand for messages, or entries of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// A receive begins and is answered at once.
    Poll {
        bits: u8,
    },
    Read(u8),
    DeleteArrives {
        delete: u8,
        lapsed: u8,
    },
    StrayDeleteArrives(u8),
    SendDelete,
    ReportDelete(u8),
    /// So many of those that wait are written to the log, or the confirmed deletes if it is none.
    Write(u8),
    /// The sync of the log has returned.
    Synced,
    /// So many messages are handed out (which matters to the barrier alone), and it is cut.
    Barrier {
        hand_out: u8,
    },
    Save,
    Commit,
    Fails(Fault, u8),
    /// The process dies, and so many of the records that are not synced stay.
    Dies(u8),
}

impl Action {
    /// Whether nothing comes of it but waiting, or trouble.
    pub(crate) const fn waits(&self) -> bool {
        matches!(self, Self::Poll { .. } | Self::Fails(..) | Self::Dies(_))
    }
}

fn places<T>(list: &[T], wanted: impl Fn(&T) -> bool) -> impl Iterator<Item = u8> {
    (0..).zip(list).filter(move |(_, item)| wanted(item)).map(|(place, _)| place)
}

impl World {
    /// Every action that can happen in this state.
    pub(crate) fn enabled(&self) -> Vec<Action> {
        let mut out = Vec::with_capacity(16);
        self.queue_actions(&mut out);
        self.log_actions(&mut out);
        match self.phase {
            Phase::Idle if self.barriers_left > 0 => {
                let waiting = self.ledger.log_counts().waiting as u8;
                let dirty = self.ledger.dirty();
                let many = (0..=waiting).filter(|many| *many > 0 || dirty);
                out.extend(many.map(|hand_out| Action::Barrier { hand_out }));
            }
            Phase::Cut => out.push(Action::Save),
            Phase::Durable => out.push(Action::Commit),
            Phase::Idle => {}
        }
        self.faults(&mut out);
        out
    }

    fn queue_actions(&self, out: &mut Vec<Action>) {
        let messages = self.rules.messages;
        let deliverable = (0..messages).filter(|m| self.queue.deliverable(*m)).fold(0, |bits, m| bits | 1 << m);
        // Messages are alike until they are delivered: the first delivered is message 0.
        let alike = self.queue.messages[0].deliveries == 0;
        if self.receives.len() < self.rules.receives && self.ledger.can_receive().is_ok() {
            let answers = (1..1 << messages).filter(|bits| bits & !deliverable == 0 && (!alike || bits & 1 != 0));
            out.extend(answers.map(|bits| Action::Poll { bits }));
        }
        out.extend(places(&self.receives, |_| true).map(Action::Read));
        for delete in places(&self.deletes, |d| d.outcomes.is_none()) {
            let entries = &self.deletes[usize::from(delete)].entries;
            let good = places(entries, |handle| self.queue.good(*handle)).fold(0, |bits, i| bits | 1 << i);
            let lapses = (0..1u8 << entries.len()).filter(|bits| bits & !good == 0);
            out.extend(lapses.map(|lapsed| Action::DeleteArrives { delete, lapsed }));
        }
        out.extend(places(&self.strays, |handle| self.queue.good(*handle)).map(Action::StrayDeleteArrives));
        if self.ledger.ids().iter().any(|id| matches!(id.doing, "ready" | "retry")) {
            out.push(Action::SendDelete);
        }
        out.extend(places(&self.deletes, |d| d.outcomes.is_some()).map(Action::ReportDelete));
    }

    fn log_actions(&self, out: &mut Vec<Action>) {
        if self.log.len() > self.synced {
            out.push(Action::Synced);
        } else {
            out.extend((1..=self.buffered.len() as u8).map(Action::Write));
            if self.confirmed != 0 {
                out.push(Action::Write(0));
            }
        }
    }

    fn faults(&self, out: &mut Vec<Action>) {
        let mut add = |fault, places: usize| {
            if self.may_fail(fault) {
                out.extend((0..places as u8).map(|place| Action::Fails(fault, place)));
            }
        };
        add(Fault::SaveLost, usize::from(self.phase == Phase::Cut));
        add(Fault::SaveLate, usize::from(self.phase == Phase::Cut));
        add(Fault::DeleteAnswerLost, self.deletes.len());
        add(Fault::DeleteRefused, self.deletes.iter().filter(|d| d.outcomes.is_none()).map(|d| d.entries.len()).sum());
        add(Fault::ReceiveLost, self.receives.len());
        if self.may_fail(Fault::Crash) || self.may_fail(Fault::SecondCrash) {
            out.extend((0..=(self.log.len() - self.synced) as u8).map(Action::Dies));
        }
    }

    /// The next message of the log to hand out, by its place.
    pub(crate) fn next_message(&self) -> Option<(usize, u8)> {
        let next = self.log.iter().enumerate().skip(self.next);
        next.filter_map(|(at, record)| match record {
            Record::Message((message, _)) => Some((at, *message)),
            Record::Deleted(_) => None,
        })
        .next()
    }
}
