//! What makes two worlds one state: a print of all that can show later, and beside it the budget that the rest of the history
//! may still spend. Names are taken as they are, for the real store and sink write them down.

use std::hash::{DefaultHasher, Hasher};

use headwater_ledger::{Handle, MessageKey, Names};

use crate::world::{Machine, World, message, parse};

/// Collects bytes, and makes 128 bits of them, so that among millions of states two never look alike by chance.
#[derive(Default)]
pub(crate) struct Printer(Vec<u8>);

impl Printer {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(crate) fn print(&mut self, print: u128) {
        self.0.extend(print.to_le_bytes());
    }

    pub(crate) fn finish(self) -> u128 {
        let [high, low] = [1u8, 2].map(|half| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(half);
            hasher.write(&self.0);
            u128::from(hasher.finish())
        });
        high << 64 | low
    }
}

/// What may still be spent: deliveries of each message, faults (one bit each), checkpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Budget {
    deliveries: [u8; 2],
    faults: u8,
    fault_count: u8,
    barriers: u8,
}

impl Budget {
    /// Whether everything that can happen with `other` can happen with this one.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.deliveries[0] >= other.deliveries[0]
            && self.deliveries[1] >= other.deliveries[1]
            && self.faults & other.faults == other.faults
            && self.fault_count >= other.fault_count
            && self.barriers >= other.barriers
    }
}

/// The names that messages and handles have anyway.
struct Plain;

impl Names for Plain {
    fn key(&self, key: MessageKey) -> u8 {
        message(key)
    }

    fn handle(&self, _: MessageKey, handle: &Handle) -> u8 {
        parse(handle.as_str()).1
    }

    fn count(&self, _: MessageKey, dequeue_count: u32) -> u8 {
        dequeue_count as u8
    }
}

impl World {
    /// A number by which a state is recognised, whatever history led to it, and what that history has left to spend.
    pub(crate) fn print(&self) -> (u128, Budget) {
        let mut out = Printer::default();
        let mut small = vec![self.phase as u8, self.buffered];
        let mut deliveries = [0; 2];
        for (state, left) in self.queue.messages.iter().zip(&mut deliveries) {
            small.extend([u8::from(state.deleted), state.good().unwrap_or(0)]);
            *left = if state.deleted { 0 } else { self.queue.deliveries_max.saturating_sub(state.deliveries) };
        }
        self.write_wire(&mut small);
        self.ledger.fingerprint(&Plain, &mut small);
        out.bytes(&small);
        out.print(self.chain);
        out.number(self.checkpoint.map_or(0, |id| id.0));
        out.print(self.save.as_ref().map_or(0, |op| op.print()));
        self.pending.iter().for_each(|committable| out.bytes(&committable.bytes));
        match &self.machine {
            Machine::Up(disk) => out.print(disk.print),
            Machine::Down(image) => {
                out.number(0);
                out.print(image.print);
            }
        }
        let faults = self.faults_left();
        let fault_count = (self.rules.faults - self.faults_seen.count_ones()).min(faults.count_ones()) as u8;
        (out.finish(), Budget { deliveries, faults, fault_count, barriers: self.barriers_left })
    }

    fn write_wire(&self, out: &mut Vec<u8>) {
        let mut calls: Vec<Vec<u8>> = Vec::with_capacity(4);
        for receive in &self.receives {
            let carries = self.ledger.may_carry(receive.ticket) as u8;
            let answer = receive.answer.iter().flat_map(|(m, handle)| [*m, *handle]);
            calls.push([250, carries].into_iter().chain(answer).collect());
        }
        for delete in &self.deletes {
            let outcome = |i: usize| delete.outcomes.as_ref().map_or(99, |outcomes| outcomes[i] as u8 + 100);
            let entries = (0..).zip(&delete.entries).flat_map(|(i, (m, handle))| [*m, *handle, outcome(i)]);
            calls.push([251].into_iter().chain(entries).collect());
        }
        calls.sort_unstable();
        out.extend(calls.concat());
        out.push(252);
        out.extend(self.strays.iter().flat_map(|(m, handle)| [*m, *handle]));
    }
}
