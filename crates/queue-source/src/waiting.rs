//! Messages on their way through the decoder.

use std::collections::VecDeque;

use crate::state::{Inbound, Shared, State};

/// Messages taken out of the inbox to be decoded. What is not used goes back in front of what pollers brought meanwhile,
/// whatever became of the decoding.
pub(crate) struct Waiting<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) messages: VecDeque<Inbound>,
}

impl Waiting<'_> {
    /// Puts back what was not used; what is left here is room.
    pub(crate) fn give_back(&mut self, state: &mut State) {
        if !self.messages.is_empty() {
            self.messages.append(&mut state.inbox);
            std::mem::swap(&mut state.inbox, &mut self.messages);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.messages.is_empty() {
            self.give_back(&mut self.shared.lock());
        }
        if std::thread::panicking() {
            // The message it panicked at is still held by the ledger: a drain releases it.
            self.shared.panicked("the decoder");
        }
    }
}
