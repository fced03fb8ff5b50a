//! Open connections of one kind of call, kept for the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{Clock, Mono};
use http::Request;
use http_body_util::Full;
use tokio::sync::Semaphore;

use crate::net::connection::{Connection, within};
use crate::net::{Connector, NetError, Reply};

/// A pool. Receives and all other calls have one each, so that neither waits for the other's connections.
///
/// Nobody watches a connection that is not in use: that it was closed, or is too old, is found when the next call is
/// made. Until then it costs a descriptor, and there are never more than may be open.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Arc<Connector>,
    clock: Arc<dyn Clock>,
    idle: Mutex<Vec<(Connection, Mono)>>,
    idle_timeout: Duration,
    open: Semaphore,
}

impl Pool {
    /// A pool of at most `most` connections (and at least one), each kept for `idle_timeout` after its last call.
    pub(crate) fn new(connector: Arc<Connector>, clock: Arc<dyn Clock>, most: u32, idle_timeout: Duration) -> Self {
        Self { connector, clock, idle: Mutex::default(), idle_timeout, open: Semaphore::new(most.max(1) as usize) }
    }

    /// Makes a call, to end by `deadline`.
    ///
    /// A kept connection may have been closed by the other side without our knowing. So when it fails before any byte
    /// of an answer, and `repeatable`, the call is made once more on a new connection. The service may have carried
    /// out the first one: that is harmless for a receive (its messages come back), a delete and a visibility change
    /// (the second finds the handle dead, which is an outcome their callers must handle anyway), but not for a send.
    ///
    /// A connection is kept only after a complete answer. Dropping the future closes it.
    pub(crate) async fn call(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
        deadline: Mono,
        repeatable: bool,
    ) -> Result<Reply, NetError> {
        let start = self.clock.now();
        let late = || NetError::Timeout { after: deadline.since(start) };
        let _permit = match self.open.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match within(&*self.clock, deadline, self.open.acquire()).await {
                Some(permit) => permit.map_err(NetError::broken)?,
                None => return Err(late()),
            },
        };
        if let Some(connection) = self.take_idle() {
            let again = repeatable.then(|| request.clone());
            match self.call_on(connection, request, limit, deadline, late).await {
                Err((NetError::Broken { .. }, false)) if again.is_some() => {
                    tracing::debug!("a kept connection was closed; calling again on a new one");
                    let Some(request) = again else { return Err(late()) };
                    return self.call_on_new(request, limit, deadline, late).await;
                }
                outcome => return outcome.map_err(|(error, _)| error),
            }
        }
        self.call_on_new(request, limit, deadline, late).await
    }

    async fn call_on_new(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
        deadline: Mono,
        late: impl Fn() -> NetError,
    ) -> Result<Reply, NetError> {
        let connection = self.connector.connect(deadline).await?;
        self.call_on(connection, request, limit, deadline, late).await.map_err(|(error, _)| error)
    }

    /// With an error goes whether a part of the answer had arrived.
    async fn call_on(
        &self,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
        limit: usize,
        deadline: Mono,
        late: impl Fn() -> NetError,
    ) -> Result<Reply, (NetError, bool)> {
        match within(&*self.clock, deadline, connection.call(request, limit)).await {
            None => Err((late(), connection.is_answering())),
            Some(Err(error)) => Err((error, connection.is_answering())),
            Some(Ok(reply)) => {
                self.keep(connection);
                Ok(reply)
            }
        }
    }

    /// The connection used last, if it is still good: the longer unused, the likelier closed.
    fn take_idle(&self) -> Option<Connection> {
        let now = self.clock.now();
        let mut idle = self.lock();
        idle.retain(|(_, since)| now.since(*since) < self.idle_timeout);
        while let Some((mut connection, _)) = idle.pop() {
            if connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }

    /// At most as many are kept as may be open, since each was open under a permit.
    fn keep(&self, mut connection: Connection) {
        if connection.is_alive() {
            let now = self.clock.now();
            self.lock().push((connection, now));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Connection, Mono)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
