//! What pollers, deleters and the consumer share: the ledger, the messages waiting to be decoded, and who wakes whom.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{Clock, MessageMeta, Queue, SourceError};
use headwater_ledger::{Ledger, Mono, ServerMs};
use tokio::sync::Notify;

use crate::config::SourceConfig;
use crate::meter::Meter;

/// A fresh message on its way from a receive to the decoder: the ledger holds it as buffered.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) meta: Arc<MessageMeta>,
    pub(crate) body: Bytes,
}

/// Shared by all tasks of one source.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: SourceConfig,
    pub(crate) queue_name: Arc<str>,
    pub(crate) meter: Meter,
    state: Mutex<State>,
    /// For the consumer: rows, a failure, the end of polling, progress of a drain.
    pub(crate) consumer: Notify,
    /// For pollers: a permit may be free, or polling ends.
    pub(crate) pollers: Notify,
    /// For deleters: something may be ready.
    pub(crate) deleters: Notify,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) inbox: VecDeque<Inbound>,
    pub(crate) failure: Option<SourceError>,
    pub(crate) stopping: bool,
    /// Pollers that have not ended.
    pub(crate) polling: usize,
    /// The newest time read from the queue's answers.
    pub(crate) server_now: Option<ServerMs>,
    /// The lease of a received message, as far as it is known.
    pub(crate) lease: Option<Duration>,
    /// The last time anything but an empty full-length poll happened.
    pub(crate) last_activity: Mono,
    pub(crate) totals: Totals,
}

/// Sums since the start, and the latest lag.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
    pub(crate) rows: u64,
    pub(crate) deleted: u64,
    /// How old the newest message was when it was last handed out.
    pub(crate) lag: Option<Duration>,
}

impl Shared {
    pub(crate) fn new(
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
        config: SourceConfig,
        ledger: Ledger,
        lease: Option<Duration>,
    ) -> Self {
        let queue_name: Arc<str> = Arc::from(queue.identity().name);
        let meter = Meter::new(&config.job, &config.table, &queue_name);
        let state = State {
            ledger,
            inbox: VecDeque::new(),
            failure: None,
            stopping: false,
            polling: 0,
            server_now: None,
            lease,
            last_activity: clock.now(),
            totals: Totals::default(),
        };
        Self {
            queue,
            clock,
            config,
            queue_name,
            meter,
            state: Mutex::new(state),
            consumer: Notify::new(),
            pollers: Notify::new(),
            deleters: Notify::new(),
        }
    }

    /// Locks the state. Never held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while locked would have been a bug in the ledger; its counters are still consistent per call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the source with its first failure.
    pub(crate) fn fail(&self, error: SourceError) {
        let mut state = self.lock();
        if state.failure.is_none() {
            tracing::error!(table = %self.config.table, queue = %self.queue_name, error = %error, "the source has failed");
            state.failure = Some(error);
        }
        state.stopping = true;
        drop(state);
        self.wake_all();
    }

    pub(crate) fn wake_all(&self) {
        self.consumer.notify_one();
        self.pollers.notify_waiters();
        self.deleters.notify_waiters();
    }
}
