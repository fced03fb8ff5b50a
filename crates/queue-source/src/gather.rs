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

impl State {
    /// An answer brought fresh messages, which are in the inbox.
    pub(crate) fn gather(&mut self, config: &SourceConfig, messages: usize, bytes: usize) -> Tell {
        // Rows that are left over from a full batch are about to be taken; and nothing comes behind the only poll there is.
        let alone = !self.gathering.held && (self.inbox.len() > messages || self.pace.polling() == 0);
        if messages == 0 {
            return Tell::Nobody;
        } else if alone {
            return Tell::Consumer;
        }
        let gathering = &mut self.gathering;
        let begins = !std::mem::replace(&mut gathering.held, true);
        if begins {
            (gathering.messages, gathering.bytes) = (0, 0);
        }
        gathering.messages += messages;
        gathering.bytes += bytes;
        if gathering.messages >= config.batch_rows || gathering.bytes >= config.batch_bytes {
            gathering.held = false;
            return Tell::Consumer;
        }
        if begins { Tell::Gatherer } else { Tell::Nobody }
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
            // The runtime looks for I/O before it comes back, and runs whatever that wakes.
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
