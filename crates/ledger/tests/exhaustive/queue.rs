//! A message queue as a pure model: leases end, handles are single-use, a deleted message is gone.
//!
//! The end of a lease is no step of its own: it is noticed only by the next delivery or by a refused call, so it happens
//! there. That leaves the same histories and far fewer states.

/// One message.
#[derive(Clone, Copy, Default)]
pub(crate) struct Message {
    pub(crate) deleted: bool,
    pub(crate) deliveries: u8,
    /// The lease of the newest delivery was extended: its first handle is dead.
    pub(crate) extended: bool,
    /// The lease of the newest delivery was seen to have ended: its handle is dead for good.
    pub(crate) lapsed: bool,
}

impl Message {
    /// The handle that works, if one does, by its number.
    pub(crate) fn good(&self) -> Option<u8> {
        (!self.deleted && !self.lapsed && self.deliveries > 0).then(|| number(self.deliveries, self.extended))
    }
}

/// A receipt handle: the message, and a number that grows with every handle there is of it: two for each delivery, the
/// second one for after it was extended.
pub(crate) type Handle = (u8, u8);

/// The number of a handle, by the delivery it belongs to.
pub(crate) const fn number(delivery: u8, extended: bool) -> u8 {
    2 * delivery + extended as u8
}

#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) messages: Vec<Message>,
    /// How often one message is delivered at most; keeps the world finite.
    pub(crate) deliveries_max: u8,
}

impl Queue {
    pub(crate) fn new(messages: u8, deliveries_max: u8) -> Self {
        Self { messages: vec![Message::default(); usize::from(messages)], deliveries_max }
    }

    /// Whether a receive may be given this message now; the lease of an earlier delivery may just have ended.
    pub(crate) fn deliverable(&self, message: u8) -> bool {
        let state = &self.messages[usize::from(message)];
        !state.deleted && state.deliveries < self.deliveries_max
    }

    pub(crate) fn deliver(&mut self, message: u8) -> Handle {
        let state = &mut self.messages[usize::from(message)];
        state.deliveries += 1;
        (state.extended, state.lapsed) = (false, false);
        (message, number(state.deliveries, false))
    }

    /// Whether a call with this handle would work now. A handle dies at the end of its lease, at the next delivery, and when it
    /// is extended.
    pub(crate) fn good(&self, (message, handle): Handle) -> bool {
        self.messages[usize::from(message)].good() == Some(handle)
    }

    /// The lease ends before the call with this handle arrives.
    pub(crate) fn lapse(&mut self, (message, _): Handle) {
        self.messages[usize::from(message)].lapsed = true;
    }

    /// True if the handle was good: the message is gone now.
    pub(crate) fn delete(&mut self, handle: Handle) -> bool {
        let good = self.good(handle);
        self.messages[usize::from(handle.0)].deleted |= good;
        good
    }

    /// The new handle, if the old one was good. A lease is extended once: the clock stands still.
    pub(crate) fn extend(&mut self, handle: Handle) -> Option<Handle> {
        let good = self.good(handle) && handle.1.is_multiple_of(2);
        self.messages[usize::from(handle.0)].extended |= good;
        good.then_some((handle.0, handle.1 + 1))
    }
}
