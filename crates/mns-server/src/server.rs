//! Starting the server, and what a test holds of it afterwards.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Clock, ManualClock, SystemClock};
use headwater_mns_proto::{AccessKey, NewMessage, Operation, QueueSettings, Signer};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::faults::Faults;
use crate::journal::Journal;
use crate::listener::{self, Inner, Limits, Shared};
use crate::random::Random;
use crate::router::{Access, Router};
use crate::state::{Account, Counts, CreateQueueError, QueueNotExist, SendError, Sent};

/// Connections served at once; more wait in the backlog. A connection holds one poll, so this limits those too; it is
/// well above the pollers of any test and below the 1,024 file descriptors a process usually has.
const MAX_CONNECTIONS: usize = 900;
/// How long a client is waited for in the middle of something. The usual idle limit of servers, and longer than clients keep
/// a connection that they do not use (ours: 30 s).
const PATIENCE: Duration = Duration::from_secs(60);
/// The key pair every example uses, and the default here.
const DEFAULT_KEY: (&str, &str) = ("testid", "testsecret");

/// The way in: [`Server::builder`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Server;

impl Server {
    /// A server on a free port of 127.0.0.1, on the machine's clock, for `testid`/`testsecret`, without faults or
    /// queues, unless told otherwise.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

/// How a server is to be; [`start`](Self::start) makes it so.
#[derive(Debug)]
pub struct ServerBuilder {
    listen: SocketAddr,
    keys: Vec<AccessKey>,
    open: bool,
    check_date: bool,
    clock: Arc<dyn Clock>,
    manual: Option<ManualClock>,
    seed: u64,
    faults: Faults,
    queues: Vec<(String, QueueSettings)>,
    deleted_recently: Option<Duration>,
    max_connections: usize,
    patience: Duration,
}

/// Why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound.
    #[error("cannot listen on {address}; is another program there? Port 0 takes a free one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A queue that was to exist from the start could not be created.
    #[error("cannot create queue {name:?}")]
    Queue {
        /// Its name.
        name: String,
        /// Why.
        source: CreateQueueError,
    },
}

/// The server runs on the machine's clock, which cannot be moved; give it a manual one with
/// [`ServerBuilder::manual_clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the server runs on the machine's clock, which cannot be moved; start it with a manual clock")]
pub struct ClockNotManual;

/// Why messages could not be put into a queue from inside.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PutError {
    /// There is no such queue.
    #[error(transparent)]
    Queue(#[from] QueueNotExist),
    /// The queue refuses a message.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            keys: Vec::new(),
            open: false,
            check_date: true,
            clock: SystemClock::shared(),
            manual: None,
            seed: 0,
            faults: Faults::default(),
            queues: Vec::new(),
            deleted_recently: None,
            max_connections: MAX_CONNECTIONS,
            patience: PATIENCE,
        }
    }
}

impl ServerBuilder {
    /// Listens here instead of on a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Accepts this key pair too. Without any, `testid`/`testsecret` is accepted.
    #[must_use]
    pub fn key(mut self, key: AccessKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Accepts anybody, signed or not: neither signature, date nor version is looked at.
    #[must_use]
    pub fn no_auth(mut self) -> Self {
        self.open = true;
        self
    }

    /// Whether a request dated more than 15 minutes off the server's clock is refused, which is the default. Switch it
    /// off where client and server run on different clocks.
    #[must_use]
    pub fn check_date(mut self, check: bool) -> Self {
        self.check_date = check;
        self
    }

    /// Runs on `clock`.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self.manual = None;
        self
    }

    /// Runs on a clock that moves when told to ([`ServerHandle::advance`], or through another clone of it).
    #[must_use]
    pub fn manual_clock(mut self, clock: ManualClock) -> Self {
        self.clock = Arc::new(clock.clone());
        self.manual = Some(clock);
        self
    }

    /// Decides message ids, handles and request ids. (Faults have a seed of their own.)
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts with these faults.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Starts with this queue.
    #[must_use]
    pub fn queue(self, name: impl Into<String>) -> Self {
        self.queue_with(name, QueueSettings::default())
    }

    /// Starts with this queue, so set.
    #[must_use]
    pub fn queue_with(mut self, name: impl Into<String>, settings: QueueSettings) -> Self {
        self.queues.push((name.into(), settings));
        self
    }

    /// Refuses to create a queue so soon after the deletion of its namesake (`QueueDeletedRecently`), as the service
    /// does. Off by default: tests create and delete all the time.
    #[must_use]
    pub fn refuse_recently_deleted(mut self, period: Duration) -> Self {
        self.deleted_recently = Some(period);
        self
    }

    /// Connections served at once (900); more wait in the backlog.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// How long a client may take for the head of a request (and between two requests), for its body, and to read a part of
    /// an answer before its connection is closed (60 s). On the machine's clock, whatever clock the server has.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Binds the address, creates the queues and serves, on the runtime this is called on.
    ///
    /// # Errors
    /// The address cannot be bound, or a queue cannot be created.
    pub async fn start(self) -> Result<ServerHandle, StartError> {
        let failed = |source| StartError::Listen { address: self.listen, source };
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let random = Random::seeded(self.seed);
        let mut account = Account::new(random.fork(1));
        account.refuse_recently_deleted(self.deleted_recently.map(|period| period.as_millis() as u64));
        let access = if self.open {
            Access::Open
        } else {
            let default = self.keys.is_empty().then(|| AccessKey::new(DEFAULT_KEY.0, DEFAULT_KEY.1));
            let keys = self.keys.into_iter().chain(default);
            let signers: BTreeMap<_, _> = keys.map(|key| (key.id().to_owned(), Signer::new(key))).collect();
            Access::Keys { signers, check_date: self.check_date }
        };
        let router = Router::new(account, access, self.faults, address.to_string(), random.fork(2));
        let limits = Limits { connections: self.max_connections, patience: self.patience };
        let shared = Arc::new(Shared::new(self.clock, router, limits));
        let handle = ServerHandle { shared: Arc::clone(&shared), address, manual: self.manual, tasks: JoinSet::new() };
        for (name, settings) in self.queues {
            handle.create_queue(&name, &settings).map_err(|source| StartError::Queue { name, source })?;
        }
        let mut handle = handle;
        handle.tasks.spawn(listener::run(shared, listener));
        Ok(handle)
    }
}

/// A running server. Dropping it closes every connection at once; [`shutdown`](Self::shutdown) lets answers finish.
#[derive(Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
    address: SocketAddr,
    manual: Option<ManualClock>,
    tasks: JoinSet<()>,
}

impl ServerHandle {
    /// The base URL, `http://127.0.0.1:PORT`: what an SDK takes as its endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, answers parked polls as empty, lets other answers finish for up to two seconds, and ends.
    pub async fn shutdown(mut self) {
        self.shared.close();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Creates a queue without a request; finding it with the same settings is fine.
    ///
    /// # Errors
    /// As a `CreateQueue` request.
    pub fn create_queue(&self, name: &str, settings: &QueueSettings) -> Result<(), CreateQueueError> {
        self.shared.lock().router.account.create_queue(self.shared.now(), name, settings).map(|_| ())
    }

    /// Puts any number of messages into a queue without a request, in order.
    ///
    /// # Errors
    /// There is no such queue, or it refuses a message; those before it are stored.
    pub fn put(&self, queue: &str, messages: impl IntoIterator<Item = NewMessage>) -> Result<Vec<Sent>, PutError> {
        let mut inner = self.shared.lock();
        let Inner { router, lines } = &mut *inner;
        let now = self.shared.now();
        let target = router.account.queue(queue)?;
        let mut sent = Vec::new();
        let put = messages.into_iter().try_for_each(|message| {
            sent.extend(target.send(now, vec![message])?);
            Ok(())
        });
        lines.stir(queue, &mut router.account, now);
        drop(inner);
        self.shared.changed.send_replace(());
        put.map(|()| sent)
    }

    /// How many messages of `queue` are where.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn counts(&self, queue: &str) -> Result<Counts, QueueNotExist> {
        let now = self.shared.now();
        self.shared.lock().router.account.queue(queue).map(|queue| queue.counts(now))
    }

    /// How many polls wait on `queue`.
    #[must_use]
    pub fn parked(&self, queue: &str) -> usize {
        self.shared.lock().lines.waiting(queue)
    }

    /// How many requests for `operation` were answered (or dropped) so far. A poll counts when it ends.
    #[must_use]
    pub fn requests(&self, operation: Operation) -> u64 {
        self.shared.lock().router.journal.requests(operation)
    }

    /// The ids of the messages deleted from `queue` so far, in order (at most the latest million).
    #[must_use]
    pub fn deleted(&self, queue: &str) -> Vec<String> {
        self.shared.lock().router.journal.deleted(queue)
    }

    /// A copy of the whole journal: what was asked so far and what came of it.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.shared.lock().router.journal.clone()
    }

    /// Ready once `condition` holds. It is asked now and again whenever a request ends, a poll parks or leaves, or the
    /// clock is advanced through this handle, so a test waits for what it needs instead of for a time.
    pub async fn until(&self, mut condition: impl FnMut(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        while !condition(self) {
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    /// Replaces all faults from here on; counts and draws start anew.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.lock().router.set_faults(faults);
    }

    /// The faults as they stand: counts show what is left of them.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.shared.lock().router.faults().clone()
    }

    /// Moves the server's clock: leases and delays end, parked polls wake.
    ///
    /// # Errors
    /// The server does not run on a manual clock.
    pub fn advance(&self, by: Duration) -> Result<(), ClockNotManual> {
        self.manual.as_ref().ok_or(ClockNotManual)?.advance(by);
        self.shared.changed.send_replace(());
        Ok(())
    }
}
