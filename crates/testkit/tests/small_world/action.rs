//! What can happen next in a world.

use std::sync::Arc;

use headwater_job::fs;

use crate::broken::Broken;
use crate::disk::{Death, Failure};
use crate::process::Op;
use crate::world::{Fault, Machine, Phase, World};

/// One thing that happens. Numbers are places in the world's lists, `bits` stand for messages, or entries of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    // The queue and the wire.
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
    Read(u8),
    SendDelete,
    ReportDelete(u8),
    // The process and its checkpoint, each an operation on the disk.
    Does(Step),
    CommitSource,
    // Faults; the number says where.
    Fails(Fault, u8),
    /// The process dies before a file operation of this step (or with none under way), and the power leaves these of the unsynced
    /// names and contents; `None` if it stays on.
    Dies {
        during: Option<Step>,
        operation: u8,
        kept: Option<u16>,
    },
    /// The `nth` file operation of a kind fails during this step.
    FileFails {
        during: Step,
        what: fs::Fault,
        nth: u8,
    },
}

/// A piece of work on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Start,
    /// Some of what is buffered is handed out, written and staged, and the barrier is cut. (Handing out matters to the
    /// barrier alone.)
    Barrier {
        hand_out: u8,
    },
    Save,
    CommitSink,
}

impl Action {
    /// Whether nothing comes of it but waiting, or trouble.
    pub(crate) fn waits(&self) -> bool {
        matches!(self, Self::Poll { .. } | Self::Fails(..) | Self::Dies { .. } | Self::FileFails { .. })
    }
}

pub(crate) fn places<T>(list: &[T], wanted: impl Fn(&T) -> bool) -> impl Iterator<Item = u8> {
    (0..).zip(list).filter(move |(_, item)| wanted(item)).map(|(place, _)| place)
}

impl World {
    /// Every action that can happen in this state.
    pub(crate) fn enabled(&self) -> Vec<Action> {
        let mut out = Vec::with_capacity(16);
        let steps = self.steps();
        out.extend(steps.iter().copied().map(Action::Does));
        if self.may_commit_the_source() {
            out.push(Action::CommitSource);
        }
        // What goes on on the disk touches neither queue nor ledger, so once a checkpoint is being saved it runs to its end, with
        // nothing but faults in between: what happens at the queue meanwhile could as well happen before. (Not where this is
        // what is broken.)
        let up = matches!(self.machine, Machine::Up(_));
        if up && (self.rules.broken.is_some() || self.phase != Phase::Saved) {
            self.at_the_queue(&mut out);
        }
        if up {
            self.faults(&mut out);
        }
        self.faults_of_the_disk(&steps, &mut out);
        out
    }

    fn at_the_queue(&self, out: &mut Vec<Action>) {
        for delete in places(&self.deletes, |d| d.outcomes.is_none()) {
            let entries = &self.deletes[usize::from(delete)].entries;
            let good = places(entries, |handle| self.queue.good(*handle)).fold(0, |bits, i| bits | 1 << i);
            let lapses = (0..1u8 << entries.len()).filter(|bits| bits & !good == 0);
            out.extend(lapses.map(|lapsed| Action::DeleteArrives { delete, lapsed }));
        }
        out.extend(places(&self.strays, |handle| self.queue.good(*handle)).map(Action::StrayDeleteArrives));
        if self.receives.len() < self.rules.receives && self.ledger.can_receive().is_ok() && !self.done() {
            out.extend(self.answers().map(|bits| Action::Poll { bits }));
        }
        out.extend(places(&self.receives, |_| true).map(Action::Read));
        if self.ledger.ids().iter().any(|id| matches!(id.doing, "ready" | "retry")) {
            out.push(Action::SendDelete);
        }
        out.extend(places(&self.deletes, |d| d.outcomes.is_some()).map(Action::ReportDelete));
    }

    /// What a receive may be answered, as bits. None is left out: an empty answer that is on its way is an older ticket.
    fn answers(&self) -> impl Iterator<Item = u8> {
        let messages = self.rules.messages;
        let deliverable = (0..messages).filter(|m| self.queue.deliverable(*m)).fold(0, |bits, m| bits | 1 << m);
        // Messages are alike until they are delivered: the first delivered is message 0.
        let alike = self.queue.messages[0].deliveries == 0;
        let fits = move |bits: &u8| bits & !deliverable == 0 && (!alike || bits & 1 != 0);
        (1..1 << messages).filter(fits)
    }

    /// The work on the disk that may come next.
    fn steps(&self) -> Vec<Step> {
        if matches!(self.machine, Machine::Down(_)) {
            return vec![Step::Start];
        }
        let early = self.rules.is(Broken::SinksBeforeSave) && self.phase == Phase::Cut;
        let commit = (early || matches!(self.phase, Phase::Saved | Phase::Restored)) && !self.pending.is_empty();
        let mut steps = Vec::new();
        if commit {
            steps.push(Step::CommitSink);
        }
        match self.phase {
            Phase::Idle if self.barriers_left > 0 => {
                let dirty = self.ledger.dirty();
                let chosen =
                    (0..1 << self.rules.messages).filter(|bits| bits & !self.buffered == 0 && (*bits != 0 || dirty));
                steps.extend(chosen.map(|hand_out| Step::Barrier { hand_out }));
            }
            Phase::Cut => steps.push(Step::Save),
            _ => {}
        }
        steps
    }

    fn may_commit_the_source(&self) -> bool {
        let durable = matches!(self.phase, Phase::Saved | Phase::Restored);
        durable && (self.pending.is_empty() || self.rules.is(Broken::CommitBeforeSinks))
    }

    fn faults(&self, out: &mut Vec<Action>) {
        let mut add = |fault, places: usize| {
            if self.may_fail(fault) {
                out.extend((0..places as u8).map(|place| Action::Fails(fault, place)));
            }
        };
        add(Fault::DeleteAnswerLost, self.deletes.len());
        add(Fault::DeleteRefused, self.deletes.iter().filter(|d| d.outcomes.is_none()).map(|d| d.entries.len()).sum());
        add(Fault::ReceiveLost, self.receives.len());
    }

    fn faults_of_the_disk(&self, steps: &[Step], out: &mut Vec<Action>) {
        // With nothing under way it dies as before the first file operation of the next step.
        let idle = steps.is_empty() && matches!(self.machine, Machine::Up(_));
        for during in steps.iter().copied().map(Some).chain(idle.then_some(None)) {
            let dies = |death: &Death| Action::Dies { during, operation: death.operation, kept: death.kept };
            out.extend(self.deaths(during).iter().map(dies));
            if let Some(during) = during {
                let fails = |failure: &Failure| Action::FileFails { during, what: failure.what, nth: failure.nth };
                out.extend(self.failures(during).iter().map(fails));
            }
        }
    }

    /// What is asked of store and sink in a step.
    pub(crate) fn op(&self, step: Step) -> Option<Op> {
        match step {
            Step::Start => None,
            Step::Barrier { hand_out } => Some(Op::Stage(hand_out)),
            Step::Save => self.save.as_deref().cloned(),
            Step::CommitSink => self.pending.first().cloned().map(Op::Commit),
        }
    }

    /// The deaths that may come during a step.
    pub(crate) fn deaths(&self, during: Option<Step>) -> Arc<Vec<Death>> {
        let again = self.may_fail(Fault::SecondDeath);
        if !again && !self.may_fail(Fault::Death) {
            return Arc::default();
        }
        let last = again || self.rules.deaths < 2;
        match &self.machine {
            Machine::Up(disk) => self.disks.deaths(disk, during.and_then(|step| self.op(step)).as_ref(), last),
            Machine::Down(image) => self.disks.deaths_of_a_start(image, last),
        }
    }

    /// The failures of single file operations that may come during a step.
    pub(crate) fn failures(&self, during: Step) -> Arc<Vec<Failure>> {
        match (&self.machine, self.op(during)) {
            (Machine::Up(disk), Some(op)) if self.may_fail(Fault::DiskFails) => self.disks.failures(disk, &op),
            _ => Arc::default(),
        }
    }
}
