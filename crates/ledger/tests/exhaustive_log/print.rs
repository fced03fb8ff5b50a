//! What makes two worlds one state, and what the rest of the history may still spend. Names are taken as they are.

use std::hash::{DefaultHasher, Hasher};

use headwater_ledger::{Handle, MessageKey, Names, Snapshot};

use crate::world::{FAULTS, Record, Taken, World, message, parse};

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

fn snapshot(snapshot: &Snapshot, out: &mut Vec<u8>) {
    // Names hold a hash of what is in a segment.
    snapshot.segments.iter().for_each(|segment| out.extend(segment.name().into_bytes()));
    out.push(255);
}

fn checkpoint(taken: Option<&Taken>, out: &mut Vec<u8>) {
    out.push(254);
    if let Some(taken) = taken {
        out.extend([taken.handed_out as u8, taken.known as u8, taken.messages]);
        snapshot(&taken.snapshot, out);
    }
}

impl World {
    /// A number by which a state is recognised, whatever history led to it, and what that history has left to spend.
    pub(crate) fn print(&self) -> (u128, Budget) {
        let mut out = Vec::with_capacity(512);
        let mut deliveries = [0; 2];
        for (state, left) in self.queue.messages.iter().zip(&mut deliveries) {
            out.extend([u8::from(state.deleted), state.good().unwrap_or(0)]);
            *left = if state.deleted { 0 } else { self.queue.deliveries_max.saturating_sub(state.deliveries) };
        }
        self.write_wire(&mut out);
        out.push(249);
        out.extend(self.buffered.iter().flat_map(|(m, handle)| [*m, *handle]));
        out.extend([248, self.confirmed, self.next as u8, self.handed_out, self.phase as u8, self.synced as u8]);
        out.push(u8::from(self.replayed));
        for record in &self.log {
            match record {
                Record::Message((m, handle)) => out.extend([1, *m, *handle]),
                Record::Deleted(bits) => out.extend([2, *bits, 0]),
            }
        }
        checkpoint(self.taken.as_ref(), &mut out);
        checkpoint(self.saved.as_ref(), &mut out);
        self.chain.iter().for_each(|chain| snapshot(chain, &mut out));
        self.ledger.fingerprint(&Plain, &mut out);
        let fault_count = (self.rules.faults - self.faults_seen.count_ones()) as u8;
        let faults = !self.faults_seen & ((1 << FAULTS) - 1);
        (hash(&out), Budget { deliveries, faults, fault_count, barriers: self.barriers_left })
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

/// 128 bits, so that among millions of states two never look alike by chance.
fn hash(bytes: &[u8]) -> u128 {
    let [high, low] = [1u8, 2].map(|half| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(half);
        hasher.write(bytes);
        u128::from(hasher.finish())
    });
    high << 64 | low
}
