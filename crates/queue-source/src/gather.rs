//! Lets a batch gather: while answers come one close behind the other, they are decoded as one.
//!
//! A batch costs some microseconds whatever is in it: waking the consumer, an allocation or two for each column. With several
//! polls on their way, one answer seldom comes alone when there is much to do. So what an answer brought is held back while the
//! runtime looks, once, for what else is there already; and again as long as that brings more. Nobody waits for a clock: if
//! nothing else is there, the consumer is woken after one look, which takes a microsecond or two. On a machine that has nothing
//! better to do batches stay as small as answers, under load they grow.

use std::sync::Arc;

use crate::config::SourceConfig;
use crate::state::{Shared, State};

/// How often the runtime is asked for more before what is there is handed on. 32: with full answers of MNS at least 512
/// messages, so that what a batch costs is a hundredth of a microsecond a message, and at most about a millisecond.
const LOOKS: usize = 32;

/// What is held back.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    held: bool,
    messages: usize,
    bytes: usize,
}

/// Who is to be told that there are fresh messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    Nobody,
    Gatherer,
    Consumer,
}

impl Gathering {
    /// Takes in what an answer brought, up to so many messages and bytes. `alone`: nothing can come close behind it.
    fn brought(
        &mut self,
        (messages, bytes): (usize, usize),
        alone: bool,
        (rows_max, bytes_max): (usize, usize),
    ) -> Tell {
        if messages == 0 {
            return Tell::Nobody;
        } else if alone && !self.held {
            return Tell::Consumer;
        }
        let begins = !std::mem::replace(&mut self.held, true);
        if begins {
            (self.messages, self.bytes) = (0, 0);
        }
        self.messages += messages;
        self.bytes += bytes;
        if self.messages >= rows_max || self.bytes >= bytes_max {
            self.held = false;
            return Tell::Consumer;
        }
        if begins { Tell::Gatherer } else { Tell::Nobody }
    }
}

impl State {
    /// An answer brought fresh messages, which are in the inbox.
    pub(crate) fn gather(&mut self, config: &SourceConfig, messages: usize, bytes: usize) -> Tell {
        // Rows that are left over from a full batch are about to be taken; and nothing comes behind the only poll there is.
        let alone = self.inbox.len() > messages || self.pace.polling() == 0;
        self.gathering.brought((messages, bytes), alone, (config.batch_rows, config.batch_bytes))
    }

    /// Whether what is in the inbox is still gathering. Nothing is held back from a source that ends.
    pub(crate) fn holds_back(&self) -> bool {
        self.gathering.held && !self.stopping
    }
}

/// Runs for the life of the source.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        shared.gatherer.notified().await;
        let mut seen = shared.lock().gathering.messages;
        for _ in 0..LOOKS {
            // The runtime looks for I/O before it comes back, and runs whatever that wakes: twice, for a poller that has read an answer lets
            // the others read theirs before it asks again.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            let gathering = &shared.lock().gathering;
            if !gathering.held || gathering.messages == seen {
                break;
            }
            seen = gathering.messages;
        }
        let mut state = shared.lock();
        if std::mem::take(&mut state.gathering.held) {
            shared.meter.gauges_if_stale(&mut state, &*shared.clock);
            drop(state);
            shared.consumer.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tell::{Consumer, Gatherer, Nobody};
    use super::*;

    /// What an answer brings (messages, bytes, whether nothing can follow), who is told, and whether something is held back then.
    type Answer = (usize, usize, bool, Tell, bool);

    #[test]
    fn answers_are_held_back_until_a_batch_is_full_unless_nothing_can_follow() {
        let table: &[(&str, &[Answer])] = &[
            ("nothing fresh", &[(0, 0, false, Nobody, false), (0, 0, true, Nobody, false)]),
            ("the only poll", &[(16, 16, true, Consumer, false), (16, 16, true, Consumer, false)]),
            ("one of several polls", &[(16, 16, false, Gatherer, true), (16, 16, false, Nobody, true)]),
            ("the last of several joins", &[(16, 16, false, Gatherer, true), (16, 16, true, Nobody, true)]),
            ("full by rows", &[(60, 1, false, Gatherer, true), (40, 1, false, Consumer, false)]),
            ("full by bytes", &[(1, 600, false, Gatherer, true), (1, 400, false, Consumer, false)]),
            ("full at once", &[(100, 1, false, Consumer, false)]),
            ("counted anew after a full one", &[(100, 1, false, Consumer, false), (60, 1, false, Gatherer, true)]),
        ];
        for (name, answers) in table {
            let mut gathering = Gathering::default();
            for (at, (messages, bytes, alone, told, held)) in answers.iter().enumerate() {
                let tell = gathering.brought((*messages, *bytes), *alone, (100, 1_000));
                assert_eq!((tell, gathering.held), (*told, *held), "{name}, answer {at}");
            }
        }
    }
}
