//! What can happen next in a world.

use crate::broken::Broken;
use crate::world::{Fault, Phase, World, key};

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
    ExtendArrives {
        extend: u8,
        lapsed: bool,
    },
    StrayExtendArrives(u8),
    // The driver.
    Receive,
    EndEmpty(u8),
    Read(u8),
    SendDelete,
    ReportDelete(u8),
    SendExtends,
    ReportExtend(u8),
    ReadLate,
    // The checkpoint. What is handed out matters to the barrier alone, so it is handed out there.
    Barrier {
        hand_out: u8,
    },
    Save,
    Name,
    CommitSink,
    CommitSource,
    /// The consumer takes a message and gives it back: it is in no epoch, and visible again after the next commit.
    GiveBack(u8),
    SendRelease(u8),
    /// The call has ended, with or without effect.
    EndRelease {
        release: u8,
        visible: bool,
    },
    /// A minute passes, and nothing else.
    Minute,
    // Faults; the number says where.
    Fails(Fault, u8),
}

impl Action {
    /// Whether nothing comes of it but waiting, or trouble.
    pub(crate) const fn waits(&self) -> bool {
        matches!(
            self,
            Self::Serve { .. } | Self::Poll { .. } | Self::Receive | Self::EndEmpty(_) | Self::Minute | Self::Fails(..)
        )
    }
}

pub(crate) fn places<T>(list: &[T], wanted: impl Fn(&T) -> bool) -> impl Iterator<Item = u8> {
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
        for extend in places(&self.extends, |e| e.outcome.is_none()) {
            out.push(Action::ExtendArrives { extend, lapsed: false });
            if self.queue.good(self.extends[usize::from(extend)].handle) {
                out.push(Action::ExtendArrives { extend, lapsed: true });
            }
        }
        out.extend(places(&self.stray_extends, |handle| self.queue.good(*handle)).map(Action::StrayExtendArrives));
    }

    /// What a receive may be answered, as bits.
    fn answers(&self, room: usize) -> impl Iterator<Item = u8> {
        let messages = self.rules.messages;
        let deliverable = (0..messages).filter(|m| self.queue.deliverable(*m)).fold(0, |bits, m| bits | 1 << m);
        // Messages are alike until they are delivered: the first delivered is message 0.
        let alike = self.queue.messages[0].deliveries == 0 && self.rules.shards == 1;
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
        if self.ledger.next_extend().is_some_and(|at| at <= self.now) {
            out.push(Action::SendExtends);
        }
        out.extend(places(&self.extends, |e| e.outcome.is_some()).map(Action::ReportExtend));
        let messages = || 0..self.rules.messages;
        if self.returns_left > 0 {
            out.extend(messages().filter(|m| self.buffered & 1 << m != 0).map(Action::GiveBack));
        }
        let free = |m: &u8| self.returned[2] & 1 << m != 0 && !self.ledger.is_extending(key(*m));
        out.extend(messages().filter(free).map(Action::SendRelease));
        for release in places(&self.releases, |_| true) {
            out.extend([true, false].map(|visible| Action::EndRelease { release, visible }));
        }
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
        add(Fault::ExtendAnswerLost, self.extends.len());
        add(Fault::ExtendRefused, self.extends.iter().filter(|e| e.outcome.is_none()).count());
    }
}
