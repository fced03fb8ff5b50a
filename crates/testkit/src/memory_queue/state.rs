//! The queue as a pure machine: messages, leases, handles. Time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{DeleteOutcome, Extended, Handle, Message, Mono, Property, ServerMs, SharedStr};

use crate::random::Random;

/// What a sender says of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Its body.
    pub body: Bytes,
    /// How long it stays hidden at first.
    pub delay: Duration,
    /// Its priority: 1 highest, 16 lowest. Shown to the receiver; the order of receipt does not depend on it.
    pub priority: Option<u8>,
    /// Its message group, shown to the receiver.
    pub group: Option<Arc<str>>,
    /// Its properties.
    pub properties: Vec<Property>,
}

/// The present, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) mono: Mono,
    pub(super) server: ServerMs,
}

impl Now {
    fn server_after(self, span: Duration) -> ServerMs {
        ServerMs(self.server.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// One message that was neither deleted nor dropped by retention.
#[derive(Debug)]
struct Stored {
    id: SharedStr,
    sent: Outgoing,
    enqueued: ServerMs,
    expires: Mono,
    first_dequeued: Option<ServerMs>,
    dequeue_count: u32,
    /// Hidden until then: delayed, or leased if there is a handle.
    hidden_until: Option<Mono>,
    /// The one handle that works, as long as the lease runs.
    handle: Option<Handle>,
}

/// Messages are numbered in the order of their sends; every index iterates in that order or by time, so one history
/// gives one trace. Handles and deleted ids are kept for ever: a test wants to know them.
#[derive(Debug)]
pub(super) struct State {
    lease: Duration,
    retention: Duration,
    names: Random,
    next: u64,
    messages: BTreeMap<u64, Stored>,
    visible: BTreeSet<u64>,
    hidden: BTreeSet<(Mono, u64)>,
    expiring: BTreeSet<(Mono, u64)>,
    issued: BTreeMap<Handle, (u64, SharedStr)>,
    deleted: Vec<SharedStr>,
    expired: Vec<SharedStr>,
    leased: usize,
    most_leased: usize,
}

impl State {
    pub(super) const fn new(lease: Duration, retention: Duration) -> Self {
        Self {
            lease,
            retention,
            names: Random::new(0),
            next: 0,
            messages: BTreeMap::new(),
            visible: BTreeSet::new(),
            hidden: BTreeSet::new(),
            expiring: BTreeSet::new(),
            issued: BTreeMap::new(),
            deleted: Vec::new(),
            expired: Vec::new(),
            leased: 0,
            most_leased: 0,
        }
    }

    /// Lets time pass: leases end, messages outlive their retention.
    pub(super) fn catch_up(&mut self, now: Now) {
        while let Some(&(at, number)) = self.hidden.first()
            && at <= now.mono
        {
            self.surface(number);
        }
        while let Some(&(at, number)) = self.expiring.first()
            && at <= now.mono
        {
            if let Some(stored) = self.remove(number) {
                self.expired.push(stored.id);
            }
        }
    }

    /// When something changes by itself next.
    pub(super) fn next_change(&self) -> Option<Mono> {
        self.hidden.first().map(|(at, _)| *at)
    }

    pub(super) fn send(&mut self, outgoing: Outgoing, now: Now) -> SharedStr {
        let number = self.next;
        self.next += 1;
        let id: SharedStr = format!("{:016X}{number:016X}", self.names.draw()).into();
        let expires = now.mono + self.retention;
        self.expiring.insert((expires, number));
        let hidden_until = (!outgoing.delay.is_zero()).then(|| now.mono + outgoing.delay);
        match hidden_until {
            Some(until) => _ = self.hidden.insert((until, number)),
            None => _ = self.visible.insert(number),
        }
        let stored = Stored {
            id: id.clone(),
            sent: outgoing,
            enqueued: now.server,
            expires,
            first_dequeued: None,
            dequeue_count: 0,
            hidden_until,
            handle: None,
        };
        self.messages.insert(number, stored);
        id
    }

    /// Leases up to `max` visible messages, oldest send first.
    pub(super) fn lease(&mut self, max: u32, now: Now) -> Vec<Message> {
        let numbers: Vec<u64> = self.visible.iter().take(max as usize).copied().collect();
        let messages = numbers.into_iter().filter_map(|number| self.lease_one(number, now)).collect();
        self.most_leased = self.most_leased.max(self.leased);
        messages
    }

    fn lease_one(&mut self, number: u64, now: Now) -> Option<Message> {
        let lease = self.lease;
        let handle = self.set_lease(number, lease, now)?;
        let stored = self.messages.get_mut(&number)?;
        stored.dequeue_count += 1;
        let mut message = Message::new(stored.id.clone(), handle, stored.sent.body.clone());
        message.dequeue_count = stored.dequeue_count;
        message.enqueued = Some(stored.enqueued);
        message.first_dequeued = Some(*stored.first_dequeued.get_or_insert(now.server));
        message.next_visible = Some(now.server_after(lease));
        message.priority = stored.sent.priority;
        message.group.clone_from(&stored.sent.group);
        message.properties.clone_from(&stored.sent.properties);
        Some(message)
    }

    /// Hides a message for `lease` from now under a new handle; the one before it is dead from here on.
    fn set_lease(&mut self, number: u64, lease: Duration, now: Now) -> Option<Handle> {
        // The characters that must be escaped in a URL and in XML belong to a real handle's alphabet.
        let handle = Handle::new(&format!("1-{:016x}+/{number:x}==", self.names.draw()));
        let stored = self.messages.get_mut(&number)?;
        if let Some(until) = stored.hidden_until {
            self.hidden.remove(&(until, number));
        }
        self.visible.remove(&number);
        let until = now.mono + lease;
        stored.hidden_until = Some(until);
        if stored.handle.replace(handle.clone()).is_none() {
            self.leased += 1;
        }
        self.hidden.insert((until, number));
        self.issued.insert(handle.clone(), (number, stored.id.clone()));
        Some(handle)
    }

    pub(super) fn delete(&mut self, handle: &Handle) -> DeleteOutcome {
        let Some(number) = self.live(handle) else { return DeleteOutcome::Stale };
        if let Some(stored) = self.remove(number) {
            self.deleted.push(stored.id);
        }
        DeleteOutcome::Deleted
    }

    /// `None` if the handle is dead.
    pub(super) fn extend(&mut self, handle: &Handle, lease: Duration, now: Now) -> Option<Extended> {
        let number = self.live(handle)?;
        let handle = self.set_lease(number, lease, now)?;
        Some(Extended { handle, next_visible: Some(now.server_after(lease)) })
    }

    /// The message a handle works for.
    fn live(&self, handle: &Handle) -> Option<u64> {
        let (number, _) = self.issued.get(handle)?;
        self.messages.get(number).filter(|stored| stored.handle.as_ref() == Some(handle)).map(|_| *number)
    }

    /// The message a handle was issued for, dead or alive.
    pub(super) fn issued_for(&self, handle: &Handle) -> Option<SharedStr> {
        self.issued.get(handle).map(|(_, id)| id.clone())
    }

    /// Ends a lease or a delay at once.
    pub(super) fn reveal(&mut self, id: &str) -> bool {
        let Some(number) = self.number_of(id) else { return false };
        if self.visible.contains(&number) {
            return false;
        }
        self.surface(number);
        true
    }

    /// Drops a message as an operator would.
    pub(super) fn discard(&mut self, id: &str) -> bool {
        self.number_of(id).and_then(|number| self.remove(number)).is_some()
    }

    fn number_of(&self, id: &str) -> Option<u64> {
        self.messages.iter().find(|(_, stored)| &*stored.id == id).map(|(number, _)| *number)
    }

    fn surface(&mut self, number: u64) {
        if let Some(stored) = self.messages.get_mut(&number) {
            if let Some(until) = stored.hidden_until.take() {
                self.hidden.remove(&(until, number));
            }
            if stored.handle.take().is_some() {
                self.leased -= 1;
            }
            self.visible.insert(number);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Stored> {
        let stored = self.messages.remove(&number)?;
        if let Some(until) = stored.hidden_until {
            self.hidden.remove(&(until, number));
        }
        if stored.handle.is_some() {
            self.leased -= 1;
        }
        self.visible.remove(&number);
        self.expiring.remove(&(stored.expires, number));
        Some(stored)
    }

    pub(super) fn visible(&self) -> Vec<SharedStr> {
        self.visible.iter().filter_map(|number| self.messages.get(number)).map(|m| m.id.clone()).collect()
    }

    pub(super) fn leased(&self) -> Vec<SharedStr> {
        self.messages.values().filter(|stored| stored.handle.is_some()).map(|m| m.id.clone()).collect()
    }

    pub(super) fn remaining(&self) -> Vec<SharedStr> {
        self.messages.values().map(|stored| stored.id.clone()).collect()
    }

    pub(super) fn deleted(&self) -> Vec<SharedStr> {
        self.deleted.clone()
    }

    pub(super) fn expired(&self) -> Vec<SharedStr> {
        self.expired.clone()
    }

    pub(super) const fn most_leased(&self) -> usize {
        self.most_leased
    }
}
