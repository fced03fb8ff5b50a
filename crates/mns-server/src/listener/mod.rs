//! The network side: connections over TCP, requests through the router, polls that wait.
//!
//! `exchange` is one request from its bytes to its answer; `line` is who waits for messages, and in which order; `patience` is
//! how long a client is waited for.

mod exchange;
mod line;
mod patience;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use headwater_core::{Clock, SystemClock};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::router::Router;
use crate::state::Millis;
use line::Lines;
use patience::{Alarms, Patient};

/// How long a shutdown waits for answers under way. Polls are cut short, so only a client that stopped reading or
/// writing in the middle of a message takes longer; its connection is then closed.
const GRACE: Duration = Duration::from_secs(2);

/// How long accepting rests after it failed, which is when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a request head; a signed request needs about 1 KB.
const MAX_HEAD: usize = 64 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    /// Changes whenever something happened that a test may wait for.
    pub(crate) changed: watch::Sender<()>,
    closing: watch::Sender<bool>,
    limits: Limits,
}

/// What clients may take of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections served at once.
    pub(crate) connections: usize,
    /// How long a client may take for the head of a request, for its body, and to read a part of an answer.
    pub(crate) patience: Duration,
}

impl Limits {
    /// Polls that may wait at once. A tenth of the connections is left for those who send and delete: the service, too,
    /// answers polls early when an account parks too many.
    fn parked(self) -> usize {
        self.connections - self.connections / 10
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) router: Router,
    pub(crate) lines: Lines,
}

impl Shared {
    pub(crate) fn new(clock: Arc<dyn Clock>, router: Router, limits: Limits) -> Self {
        let inner = Mutex::new(Inner { router, lines: Lines::default() });
        Self { clock, inner, changed: watch::Sender::new(()), closing: watch::Sender::new(false), limits }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every operation on the state is complete or refused before anything in it could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's time of day.
    pub(crate) fn now(&self) -> Millis {
        Millis::try_from(self.clock.wall().0).unwrap_or(0)
    }

    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Ready once the server is to stop.
    async fn closed(&self) {
        // The sender lives as long as `self`, so the only way out is the value.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

/// Accepts connections until [`Shared::close`], then lets answers under way finish.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shared.closed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < shared.limits.connections => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(Arc::clone(&shared), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection was accepted");
                    SystemClock::new().sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        biased;
        () = finish => {}
        // The machine's clock on purpose: a test's clock may never move again.
        () = SystemClock::new().sleep(GRACE) => connections.shutdown().await,
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be delayed");
    }
    let patience = shared.limits.patience;
    let service = service_fn(|request| exchange::answer(Arc::clone(&shared), request));
    let connection = http1::Builder::new()
        .auto_date_header(false)
        .max_buf_size(MAX_HEAD)
        .timer(Alarms::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(Patient::new(stream, patience)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = shared.closed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Dropping an answer on purpose ends here too.
        tracing::debug!(%error, "connection ended");
    }
}
