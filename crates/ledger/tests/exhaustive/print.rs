//! What makes two worlds one state: a fingerprint of all that can show later, under names that histories do not leave a mark
//! on, and beside it the budget that the rest of the history may still spend.
//!
//! * Messages are alike (in one shard): of the two ways to number them the one with the smaller fingerprint counts.
//! * Of the deliveries of a message only their order matters, and which of them is still known to anybody.
//! * Receives that may carry the same deleted ids are alike, and so are delete calls.
//! * A file that is committed and listed nowhere any more is only the messages in it.
//! * A state with a smaller budget can do nothing that the same state with a larger one cannot: see [`Budget::covers`].

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hasher};

use headwater_ledger::{CheckpointId, MessageKey, Names};

use crate::queue::{Handle, number};
use crate::store::{Content, File};
use crate::world::{World, message, parse};

/// What may still be spent: deliveries of each message, faults (one bit each), checkpoints, minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Budget {
    deliveries: [u8; 2],
    faults: u16,
    fault_count: u8,
    barriers: u8,
    minutes: u8,
    returns: u8,
}

impl Budget {
    /// Whether everything that can happen with `other` can happen with this one.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.deliveries[0] >= other.deliveries[0]
            && self.deliveries[1] >= other.deliveries[1]
            && self.faults & other.faults == other.faults
            && self.fault_count >= other.fault_count
            && self.barriers >= other.barriers
            && self.minutes >= other.minutes
            && self.returns >= other.returns
    }
}

/// The names of one numbering.
struct Naming {
    /// The name of each message.
    messages: [u8; 2],
    /// The handles of each message that somebody knows of, as bits.
    known: [u32; 2],
}

impl Naming {
    fn number(&self, (message, handle): Handle) -> u8 {
        (self.known[usize::from(message)] & ((2 << handle) - 1)).count_ones() as u8
    }

    fn pair(&self, handle: Handle) -> [u8; 2] {
        [self.messages[usize::from(handle.0)], self.number(handle)]
    }

    fn bits(&self, bits: u8) -> u8 {
        self.messages.iter().enumerate().filter(|(m, _)| bits & 1 << m != 0).fold(0, |all, (_, name)| all | 1 << name)
    }

    fn pairs(&self, out: &mut Vec<u8>, handles: &[Handle]) {
        let mut pairs: Vec<_> = handles.iter().map(|handle| self.pair(*handle)).collect();
        pairs.sort_unstable();
        out.extend(pairs.concat());
    }
}

impl Names for Naming {
    fn key(&self, key: MessageKey) -> u8 {
        self.messages[usize::from(message(key))]
    }

    fn handle(&self, _: MessageKey, handle: &headwater_ledger::Handle) -> u8 {
        self.number(parse(handle.as_str()))
    }

    fn count(&self, key: MessageKey, dequeue_count: u32) -> u8 {
        self.number((message(key), number(dequeue_count as u8, false)))
    }
}

fn id(checkpoint: Option<CheckpointId>) -> u8 {
    checkpoint.map_or(0, |c| c.0 as u8 + 1)
}

impl World {
    /// A number by which a state is recognised, whatever history led to it, and what that history has left to spend.
    pub(crate) fn print(&self) -> (u128, Budget) {
        let known = self.known();
        let under = |messages: [u8; 2]| {
            let naming = Naming { messages, known };
            let mut out = Vec::with_capacity(512);
            self.write(&naming, &mut out);
            (hash(&out), self.budget(messages))
        };
        // Messages of two shards are not alike: one of them is in the shard whose base is written first.
        if self.rules.messages < 2 || self.rules.shards > 1 {
            return under([0, 1]);
        }
        // What tells the messages apart at a glance saves the second fingerprint.
        match self.glance(0, &known).cmp(&self.glance(1, &known)) {
            Ordering::Less => under([0, 1]),
            Ordering::Greater => under([1, 0]),
            Ordering::Equal => {
                let (one, other) = (under([0, 1]), under([1, 0]));
                if (one.0, one.1.deliveries) <= (other.0, other.1.deliveries) { one } else { other }
            }
        }
    }

    /// Something of a message that does not depend on what it is called.
    fn glance(&self, message: u8, known: &[u32; 2]) -> (bool, u32, bool, bool, usize, Option<u8>) {
        let state = &self.queue.messages[usize::from(message)];
        let good = state.good().is_some_and(|good| known[usize::from(message)] & 1 << good != 0);
        let known = known[usize::from(message)].count_ones() << 1 | u32::from(good);
        let bit = |bits: u8| bits & 1 << message != 0;
        let rows = self.chain.iter().flat_map(|saved| &saved.content.rows);
        let row = rows.filter(|row| row.message == message).map(|row| row.stage).next();
        (state.deleted, known, bit(self.buffered), bit(self.open_rows), self.sink.times(message), row)
    }

    fn budget(&self, messages: [u8; 2]) -> Budget {
        let mut deliveries = [0; 2];
        for (state, name) in self.queue.messages.iter().zip(messages) {
            let left = self.queue.deliveries_max.saturating_sub(state.deliveries);
            deliveries[usize::from(name)] = if state.deleted { 0 } else { left };
        }
        let (barriers, minutes) = (self.barriers_left, self.minutes_left);
        let faults = self.faults_left();
        let fault_count = (self.rules.faults - self.faults_seen.count_ones()).min(faults.count_ones()) as u8;
        Budget { deliveries, faults, fault_count, barriers, minutes, returns: self.returns_left }
    }

    /// The handles of each message that somebody knows of.
    fn known(&self) -> [u32; 2] {
        let mut known = [0_u32; 2];
        let mut see = |(message, handle): Handle| known[usize::from(message)] |= 1 << handle & !1;
        self.ledger.see_handles(&mut |key, count, handle| {
            see((message(key), number(count as u8, false)));
            handle.map(|handle| parse(handle.as_str())).into_iter().for_each(&mut see);
        });
        self.receives.iter().flat_map(|r| r.answer.iter().flatten()).copied().for_each(&mut see);
        self.deletes
            .iter()
            .flat_map(|d| &d.entries)
            .chain(&self.strays)
            .chain(&self.late_answers)
            .copied()
            .for_each(&mut see);
        (0..).zip(&self.newest).map(|(m, newest)| (m, *newest)).for_each(&mut see);
        self.extends.iter().flat_map(|e| e.outcome.flatten().into_iter().chain([e.handle])).for_each(&mut see);
        self.stray_extends.iter().chain(&self.releases).copied().for_each(&mut see);
        self.contents().flat_map(|c| &c.rows).for_each(|row| see((row.message, row.handle)));
        known
    }

    fn contents(&self) -> impl Iterator<Item = &Content> {
        self.chain.iter().chain(&self.taken).chain(self.store.saved.values()).map(|saved| &saved.content)
    }

    fn write(&self, names: &Naming, out: &mut Vec<u8>) {
        let mut messages = [[0; 3]; 2];
        for (m, state) in (0..).zip(&self.queue.messages) {
            let good = state.good().filter(|good| names.known[usize::from(m)] & 1 << *good != 0);
            // Whether it can still be extended is in its number; a dead one that nobody knows of is nothing.
            let newest = good.map_or(0, |good| 2 * names.number((m, good)) + good % 2);
            let told = names.number((m, self.newest[usize::from(m)]));
            messages[usize::from(names.messages[usize::from(m)])] = [u8::from(state.deleted), newest, told];
        }
        out.extend(messages.concat());
        self.write_wire(names, out);
        let place = [self.phase as u8, id(self.checkpoint), self.life, id(self.store.manifest)];
        out.extend([253, names.bits(self.buffered), names.bits(self.open_rows)]);
        out.extend(self.returned.map(|bits| names.bits(bits)));
        out.extend(place);
        self.write_files(names, out);
        self.chain.iter().for_each(|saved| write_content(&saved.content, names, out));
        for saved in self.taken.iter().chain(self.store.saved.values()) {
            out.push(255);
            write_content(&saved.content, names, out);
            write_list(&saved.files, names, out);
        }
        self.ledger.fingerprint(names, out);
    }

    fn write_wire(&self, names: &Naming, out: &mut Vec<u8>) {
        let mut calls: Vec<Vec<u8>> = Vec::with_capacity(4);
        for receive in &self.receives {
            let carries = receive.ticket.map_or(0, |ticket| self.ledger.may_carry(ticket) as u8 + 1);
            let mut call = vec![250, carries, receive.room as u8, u8::from(receive.answer.is_some())];
            names.pairs(&mut call, receive.answer.as_deref().unwrap_or_default());
            calls.push(call);
        }
        for delete in &self.deletes {
            let outcome = |i: usize| delete.outcomes.as_ref().map_or(99, |outcomes| outcomes[i] as u8 + 100);
            let mut entries: Vec<_> = (0..).zip(&delete.entries).map(|(i, h)| (names.pair(*h), outcome(i))).collect();
            entries.sort_unstable();
            calls.push(std::iter::once(251).chain(entries.into_iter().flat_map(|([m, d], o)| [m, d, o])).collect());
        }
        for extend in &self.extends {
            let [m, handle] = names.pair(extend.handle);
            let outcome = extend.outcome.map_or(0, |new| new.map_or(1, |new| 2 + names.number(new)));
            calls.push(vec![247, m, handle, extend.handle.1 % 2, outcome]);
        }
        calls.sort_unstable();
        out.extend(calls.concat());
        for list in [&self.strays, &self.stray_extends, &self.releases, &self.late_answers] {
            out.push(252);
            names.pairs(out, list);
        }
    }

    fn write_files(&self, names: &Naming, out: &mut Vec<u8>) {
        write_list(&self.files, names, out);
        write_list(&self.sink.staged, names, out);
        let saved = self.taken.iter().chain(self.store.saved.values());
        let listed: Vec<&[File]> =
            std::iter::once(&self.files[..]).chain(saved.map(|saved| &saved.files[..])).collect();
        let mut committed = Vec::with_capacity(4);
        for file in &self.sink.committed {
            let durable = u8::from(Some(file.checkpoint) <= self.store.manifest);
            let name = if listed.iter().any(|list| list.contains(file)) {
                [file.life + 1, file.checkpoint.0 as u8]
            } else {
                [0, 0]
            };
            committed.push([name[0], name[1], names.bits(file.messages), durable]);
        }
        committed.sort_unstable();
        out.push(249);
        out.extend(committed.concat());
    }
}

fn write_list(files: &[File], names: &Naming, out: &mut Vec<u8>) {
    out.push(254);
    out.extend(files.iter().flat_map(|f| [f.life, f.checkpoint.0 as u8, names.bits(f.messages)]));
}

fn write_content(content: &Content, names: &Naming, out: &mut Vec<u8>) {
    let row = |row: &crate::store::Row| {
        let [message, handle] = names.pair((row.message, row.handle));
        [message, row.stage, id(row.checkpoint), u8::from(row.live), handle]
    };
    let mut rows: Vec<_> = content.rows.iter().map(row).collect();
    rows.sort_unstable();
    out.extend([248, id(content.committed)]);
    out.extend(rows.concat());
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
