//! The task that writes: takes what was screened, makes it durable, and only then lets it be deleted and handed out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headwater_core::{Message, WallMs};
use headwater_ledger::{MessageKey, Mono};

use super::format::FrameBuilder;
use super::writer::{Writer, Written};
use super::{Place, Position};
use crate::state::{Inbound, Shared};

/// A fresh message on its way into the log: the ledger holds it as buffered.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) key: MessageKey,
    pub(crate) message: Message,
    pub(crate) received: WallMs,
}

/// What the tasks of a source share about its log.
#[derive(Debug, Default)]
pub(crate) struct LogState {
    /// Screened, in the order of receipt. Bounded by permits.
    pub(crate) incoming: VecDeque<Incoming>,
    /// Deletes that the queue confirmed and the log does not say yet: after a crash these ids need no second delete. They go
    /// with the next group; none is written for their sake.
    pub(crate) confirmed: Vec<MessageKey>,
    /// A group is being written.
    pub(crate) writing: bool,
    /// The end of what is durable and in the ledger.
    pub(crate) end: Position,
    /// Bytes of each segment.
    pub(crate) segments: BTreeMap<u64, u64>,
}

impl LogState {
    /// Bytes of the log.
    pub(crate) fn used(&self) -> u64 {
        self.segments.values().sum()
    }

    /// Whether nothing is on its way into the log.
    pub(crate) fn idle(&self) -> bool {
        self.incoming.is_empty() && !self.writing
    }
}

/// Runs for the life of the source. Never waits for the consumer.
pub(crate) async fn run(shared: Arc<Shared>, mut writer: Writer) {
    let task = Task { shared };
    let fs = Arc::clone(writer.fs());
    loop {
        let Group { frame, messages } = task.next().await;
        let (back, result) = super::dir::run(&fs, move || {
            let result = writer.write(frame);
            (writer, result)
        })
        .await;
        writer = back;
        match result {
            Ok(written) => task.durable(messages, written),
            Err(error) => return task.shared.fail(error),
        }
    }
}

/// Some messages that are written as one frame: each with where its record lies in it.
struct Group {
    frame: FrameBuilder,
    messages: Vec<(Incoming, (usize, usize))>,
}

struct Task {
    shared: Arc<Shared>,
}

impl Drop for Task {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.panicked("the writer of the log");
        }
        self.shared.consumer.notify_one();
    }
}

impl Task {
    async fn next(&self) -> Group {
        loop {
            let woken = self.shared.logger.notified();
            if let Some(group) = self.take() {
                return group;
            }
            woken.await;
        }
    }

    /// What is waiting, up to the size of a group.
    fn take(&self) -> Option<Group> {
        let group_max = self.shared.config.log.as_ref()?.group_max();
        let (waiting, confirmed) = {
            let mut state = self.shared.lock();
            let mut bytes = 0;
            let mut fits = |incoming: &Incoming| {
                let before = bytes;
                bytes += incoming.message.body.len() as u64;
                before < group_max
            };
            let many = state.log.incoming.iter().take_while(|incoming| fits(incoming)).count();
            if many == 0 {
                return None;
            }
            state.log.writing = true;
            let waiting: Vec<_> = state.log.incoming.drain(..many).collect();
            (waiting, std::mem::take(&mut state.log.confirmed))
        };
        let mut frame = FrameBuilder::new();
        let messages = waiting.into_iter().map(|incoming| {
            let place = frame.message(&incoming.message, incoming.received);
            (incoming, place)
        });
        let messages = messages.collect();
        if !confirmed.is_empty() {
            frame.deleted(&confirmed);
        }
        Some(Group { frame, messages })
    }

    /// A group is durable: from here on its messages may be deleted, and are handed out.
    fn durable(&self, messages: Vec<(Incoming, (usize, usize))>, written: Written) {
        let shared = &self.shared;
        let at =
            |offset: usize| Position { segment: written.start.segment, offset: written.start.offset + offset as u64 };
        let inbound = messages.into_iter().map(|(Incoming { key, message, received }, (start, end))| {
            let (_, meta, body) = message.into_parts(key, &shared.queue_name, received);
            Inbound { meta, body, place: Some(Place { start: at(start), end: at(end) }) }
        });
        let mut inbound: VecDeque<_> = inbound.collect();
        let weighed: Vec<(MessageKey, u64)> =
            inbound.iter().map(|inbound| (inbound.meta.key, inbound.log_bytes())).collect();
        let now = shared.clock.now();
        let mut state = shared.lock();
        state.log.writing = false;
        state.log.end = written.end;
        state.log.segments.insert(written.end.segment, written.end.offset);
        let used = state.log.used();
        state.ledger.log_durable(&weighed, used);
        state.inbox.append(&mut inbound);
        state.last_activity = now;
        shared.meter.gauges(&mut state, now);
        drop(state);
        shared.meter.log_syncs.increment(written.syncs);
        shared.consumer.notify_one();
        shared.deleters.notify_one();
        shared.pollers.notify_one();
    }
}

/// Waits until everything that was received is in the log, or the source has failed, or the deadline has come.
pub(crate) async fn written(shared: &Shared, deadline: Mono) {
    loop {
        let woken = shared.consumer.notified();
        {
            let state = shared.lock();
            if state.log.idle() || state.failure.is_some() || shared.clock.now() >= deadline {
                return;
            }
        }
        tokio::select! { biased; () = woken => {}, () = shared.clock.sleep_until(deadline) => return }
    }
}
