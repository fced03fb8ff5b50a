//! A message queue as a pure model: leases end, handles are single-use, a deleted message is gone.
//!
//! The end of a lease is no step of its own: it is noticed only by the next delivery or by a refused delete, so it happens
//! there. That leaves the same histories and far fewer states.

/// One message.
#[derive(Clone, Copy, Default)]
pub(crate) struct Message {
    pub(crate) deleted: bool,
    pub(crate) deliveries: u8,
    /// The lease of the newest delivery was seen to have ended: its handle is dead for good.
    pub(crate) lapsed: bool,
}

/// A receipt handle: the message and the number of the delivery it belongs to.
pub(crate) type Handle = (u8, u8);

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
        state.lapsed = false;
        (message, state.deliveries)
    }

    /// Whether a delete with this handle would work now. A handle dies at the end of its lease and at the next delivery.
    pub(crate) fn good(&self, (message, delivery): Handle) -> bool {
        let state = &self.messages[usize::from(message)];
        !state.deleted && !state.lapsed && state.deliveries == delivery
    }

    /// The lease ends before the delete with this handle arrives.
    pub(crate) fn lapse(&mut self, (message, _): Handle) {
        self.messages[usize::from(message)].lapsed = true;
    }

    /// True if the handle was good: the message is gone now.
    pub(crate) fn delete(&mut self, handle: Handle) -> bool {
        let good = self.good(handle);
        self.messages[usize::from(handle.0)].deleted |= good;
        good
    }
}
