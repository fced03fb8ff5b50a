//! What pollers, deleters and the consumer share: the ledger, the messages waiting to be decoded, and who wakes whom.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{Clock, Handle, MessageKey, MessageMeta, Queue, SourceError, SourceErrorKind};
use headwater_ledger::{Ledger, Mono};
use tokio::sync::Notify;

use crate::ages::Ages;
use crate::ahead::Ahead;
use crate::config::SourceConfig;
use crate::damaged::Waited;
use crate::decode::Keep;
use crate::extender::Extends;
use crate::gather::Gathering;
use crate::inbox::Inbox;
use crate::leases::Leases;
use crate::log::{LogState, Place};
use crate::meter::Meter;
use crate::pace::Pace;
use crate::returns::Return;
use crate::server_clock::ServerClock;

/// How often whoever finds the state locked looks again before the kernel has it wait. Screening an answer or settling a delete of
/// sixteen messages takes one or two microseconds, and a wait in the kernel more than that on both sides; this is some four, or seven
/// with processors that pause for longer.
const LOOKS: usize = 32;

/// The pauses between two looks.
const PAUSES: usize = 5;

/// A fresh message on its way from a receive to the decoder: the ledger holds it as buffered.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) meta: MessageMeta,
    pub(crate) body: Bytes,
    /// Where its record lies in the source's own log, if there is one.
    pub(crate) place: Option<Place>,
}

impl Inbound {
    /// Bytes of its record in the log.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.place.map_or(0, |place| place.end.offset - place.start.offset)
    }
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
    /// For seated pollers: a permit may be free, or polling ends. One is woken, and wakes the next if there is leave for more:
    /// 64 need not look at what one can take.
    pub(crate) pollers: Notify,
    /// For the task that lets batches gather: there is something to hold back.
    pub(crate) gatherer: Notify,
    /// For pollers without a seat: there may be one, or polling ends. One is woken for each seat that there is more.
    pub(crate) seats: Notify,
    /// For pauses: polling ends.
    pub(crate) stopped: Notify,
    /// For deleters: something may be ready. One is woken, as above.
    pub(crate) deleters: Notify,
    /// For the extender: a lease is to be extended sooner than it thought, or it is to end.
    pub(crate) extender: Notify,
    /// For the task that gives messages back: there are some.
    pub(crate) returner: Notify,
    /// For the task that writes the log: there is something to write.
    pub(crate) logger: Notify,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    /// Committed parts of the ledger's state need not be held.
    pub(crate) store_keeps_parts: bool,
    pub(crate) pace: Pace,
    /// What is to be decoded by the consumer; newer than what is decoded.
    pub(crate) inbox: Inbox,
    /// Decoders for pollers, and the rows they have.
    pub(crate) ahead: Ahead,
    pub(crate) gathering: Gathering,
    /// When the consumer looks again by itself; the end of time if it waits to be woken.
    pub(crate) consumer_looks: Mono,
    /// When the gauges were set, and whether something has changed since.
    pub(crate) gauges_set: Mono,
    pub(crate) gauges_stale: bool,
    pub(crate) failure: Option<SourceError>,
    /// Why the queue refused a delete for good: what is committed stays in it.
    pub(crate) delete_refused: Option<SourceError>,
    pub(crate) stopping: bool,
    /// Pollers that have not ended, and how many of them pause so that nobody can say whether the queue is empty.
    pub(crate) polling: usize,
    pub(crate) pausing: usize,
    /// Deleters that have not ended, and how many of them are at a call.
    pub(crate) deleting: usize,
    pub(crate) delete_calls: usize,
    pub(crate) server_clock: ServerClock,
    /// The lease of a received message, as far as it is known.
    pub(crate) lease: Option<Duration>,
    /// The last time anything but an empty full-length poll happened.
    pub(crate) last_activity: Mono,
    /// Until then messages may be leased to somebody who does not tell: a run before, an answer that was lost.
    pub(crate) idle_floor: Mono,
    /// What a drain is to make visible again, and how much of it is done: kept here, so that a dropped drain can go on.
    pub(crate) releasing: BTreeMap<MessageKey, Handle>,
    pub(crate) released: u64,
    /// Messages given back by the consumer, on their way to being visible again. Bounded by their permits.
    pub(crate) returning: VecDeque<Return>,
    /// What is done about leases, and how far.
    pub(crate) leases: Leases,
    pub(crate) extends: Extends,
    pub(crate) totals: Totals,
    pub(crate) ages: Ages,
    /// What came damaged and has not come whole since.
    pub(crate) waited: Waited,
    /// The source's own log, where it keeps one.
    pub(crate) log: LogState,
}

impl State {
    /// Notes that messages may have been leased without our knowing: the source is not idle before they are back.
    pub(crate) fn maybe_leased(&mut self, now: Mono) {
        self.idle_floor = self.idle_floor.max(now + known_lease(self.lease));
    }

    /// Whether there is something for the consumer.
    pub(crate) fn has_waiting(&self) -> bool {
        self.ahead.has_some() || !self.inbox.is_empty()
    }

    /// Whether everything that was received is handed out: nothing waits, is being decoded, or is on its way into a log or out of it.
    pub(crate) fn has_caught_up(&self) -> bool {
        self.ledger.counts().buffered == 0 && self.ledger.log_counts().waiting == 0
    }

    /// Forgets what cannot come back any more; says how many ids that were.
    pub(crate) fn tick(&mut self, now: Mono) -> u64 {
        self.ledger.tick(now, self.server_clock.certain(now))
    }

    /// Whether the consumer has to look sooner than it will by itself. To be asked after every change that is not its own.
    pub(crate) fn concerns_consumer(&self) -> bool {
        self.stopping || self.ledger.next_deadline_besides_deletes().is_some_and(|at| at < self.consumer_looks)
    }
}

/// The lease, or a guess at it.
pub(crate) fn known_lease(lease: Option<Duration>) -> Duration {
    // 30 s is the service's default VisibilityTimeout (CreateQueue page).
    lease.unwrap_or(Duration::from_secs(30))
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
        leases: Leases,
        keep: Keep,
    ) -> Self {
        let queue_name: Arc<str> = Arc::from(queue.identity().name);
        let meter = Meter::new(&config.job, &config.table, &queue_name);
        meter.bound(config.bound());
        let state = State {
            ledger,
            store_keeps_parts: false,
            pace: Pace::new(&config),
            inbox: Inbox::new(&config),
            ahead: Ahead::new(&config, keep),
            gathering: Gathering::default(),
            consumer_looks: Mono::default(),
            gauges_set: clock.now(),
            gauges_stale: false,
            failure: None,
            delete_refused: None,
            stopping: false,
            polling: 0,
            pausing: 0,
            deleting: 0,
            delete_calls: 0,
            server_clock: ServerClock::default(),
            lease,
            last_activity: clock.now(),
            idle_floor: clock.now(),
            releasing: BTreeMap::new(),
            released: 0,
            returning: VecDeque::new(),
            leases,
            extends: Extends::new(&config),
            totals: Totals::default(),
            ages: Ages::default(),
            waited: Waited::default(),
            log: LogState::default(),
        };
        Self {
            queue,
            clock,
            config,
            queue_name,
            meter,
            state: Mutex::new(state),
            consumer: Notify::new(),
            gatherer: Notify::new(),
            pollers: Notify::new(),
            seats: Notify::new(),
            stopped: Notify::new(),
            deleters: Notify::new(),
            extender: Notify::new(),
            returner: Notify::new(),
            logger: Notify::new(),
        }
    }

    /// Locks the state. Never held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while locked would have been a bug in the ledger; its counters are still consistent per call.
        for _ in 0..LOOKS {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => (0..PAUSES).for_each(|_| std::hint::spin_loop()),
            }
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a log that was read; what it holds may still be leased to the process that wrote it.
    pub(crate) fn found_log(&self, state: &mut State, log: Option<LogState>) {
        let Some(log) = log else { return };
        state.log = log;
        if state.ledger.counts().deletable > 0 {
            state.maybe_leased(self.clock.now());
        }
        self.meter.gauges(state, self.clock.now());
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

    /// Ends the source because a part of it panicked; the panic itself has been reported where it happened.
    pub(crate) fn panicked(&self, part: &str) {
        let text = format!(
            "table {}: {part} of the source on queue {} panicked, which is a bug: nothing is lost, restart from the last \
             checkpoint",
            self.config.table, self.queue_name
        );
        self.fail(SourceError::new(SourceErrorKind::Failed, text));
    }

    pub(crate) fn wake_all(&self) {
        self.consumer.notify_one();
        self.pollers.notify_waiters();
        self.seats.notify_waiters();
        self.stopped.notify_waiters();
        self.deleters.notify_waiters();
    }
}
