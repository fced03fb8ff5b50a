//! Open connections of one kind of call, kept for the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headwater_core::{Alarm, Clock, Mono};
use tokio::sync::Semaphore;

use crate::net::connection::Connection;
use crate::net::{Connector, NetError, Reply};

/// A pool. Receives and all other calls have one each, so that neither waits for the other's connections.
///
/// Nobody watches a connection that is not in use: that it was closed, or is too old, is found when the next call is
/// made. Until then it costs a descriptor, and there are never more than may be open.
#[derive(Debug)]
pub(crate) struct Pool {
    connector: Arc<Connector>,
    clock: Arc<dyn Clock>,
    idle: Mutex<Vec<(Box<Connection>, Mono)>>,
    idle_timeout: Duration,
    open: Semaphore,
}

impl Pool {
    /// A pool of at most `most` connections (and at least one), each kept for `idle_timeout` after its last call.
    pub(crate) fn new(connector: Arc<Connector>, clock: Arc<dyn Clock>, most: u32, idle_timeout: Duration) -> Self {
        Self { connector, clock, idle: Mutex::default(), idle_timeout, open: Semaphore::new(most.max(1) as usize) }
    }

    /// Makes a call that starts now, at `start`, to end by `deadline`.
    ///
    /// A kept connection may have been closed by the other side without our knowing. So when it fails before any byte
    /// of an answer, and `repeatable`, the call is made once more on a new connection. The service may have carried
    /// out the first one: that is harmless for a receive (its messages come back), a delete and a visibility change
    /// (the second finds the handle dead, which is an outcome their callers must handle anyway), but not for a send.
    ///
    /// A connection is kept only after a complete answer. Dropping the future closes it.
    pub(crate) async fn call(
        &self,
        request: &[u8],
        limit: usize,
        start: Mono,
        deadline: Mono,
        repeatable: bool,
    ) -> Result<Reply, NetError> {
        let late = || NetError::Timeout { after: deadline.since(start) };
        let mut now = start;
        let _permit = match self.open.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let permit = Alarm::new(self.clock.clone()).within(deadline, self.open.acquire()).await;
                now = self.clock.now();
                permit.ok_or_else(late)?.map_err(NetError::broken)?
            }
        };
        if let Some(connection) = self.take_idle(now) {
            match self.call_on(connection, request, limit, deadline).await {
                Ok(answered) => return answered.ok_or_else(late),
                Err((NetError::Broken { .. }, false)) if repeatable => {
                    tracing::debug!("a kept connection was closed; calling again on a new one");
                }
                Err((error, _)) => return Err(error),
            }
        }
        let connection = Box::new(self.connector.connect(deadline).await?);
        let answered = self.call_on(connection, request, limit, deadline).await;
        answered.map_err(|(error, _)| error)?.ok_or_else(late)
    }

    /// `None` if there is no answer by the deadline. With an error goes whether a part of the answer had arrived.
    async fn call_on(
        &self,
        mut connection: Box<Connection>,
        request: &[u8],
        limit: usize,
        deadline: Mono,
    ) -> Result<Option<Reply>, (NetError, bool)> {
        match connection.call(request, limit, deadline).await {
            None => Ok(None),
            Some(Err(error)) => Err((error, connection.is_answering())),
            Some(Ok(reply)) => {
                self.keep(connection);
                Ok(Some(reply))
            }
        }
    }

    /// The connection used last, if it is still good: the longer unused, the likelier closed.
    fn take_idle(&self, now: Mono) -> Option<Box<Connection>> {
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
    fn keep(&self, connection: Box<Connection>) {
        if connection.is_reusable() {
            let now = self.clock.now();
            self.lock().push((connection, now));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Box<Connection>, Mono)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
