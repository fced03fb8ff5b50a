//! The MNS client against the local MNS server, over HTTP on 127.0.0.1 and on the machine's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{Clock, Queue, SystemClock};
use headwater_mns_client::{Credentials, Endpoint, MnsClient, MnsQueue};
use headwater_mns_proto::{NewMessage, QueueSettings as Attributes};
use headwater_mns_server::{Server, ServerHandle};
use headwater_testkit::HarnessError;
use headwater_testkit::queue_conformance::{QueueHarness, QueueSettings, TestQueue};

/// Leases are whole seconds; four leave room for a machine that is busy with all trials at once.
const LEASE: Duration = Duration::from_secs(4);

/// One server; every trial has a queue of its own on it.
pub(crate) struct MnsHarness {
    server: Arc<ServerHandle>,
    queues: AtomicU32,
}

impl MnsHarness {
    pub(crate) async fn start() -> Self {
        let server = Server::builder().start().await.expect("a free port on 127.0.0.1");
        Self { server: Arc::new(server), queues: AtomicU32::new(0) }
    }
}

#[async_trait]
impl QueueHarness for MnsHarness {
    fn name(&self) -> String {
        "MNS over HTTP".into()
    }

    fn settings(&self) -> QueueSettings {
        QueueSettings::wall(LEASE)
    }

    async fn fresh(&self) -> Result<Box<dyn TestQueue>, HarnessError> {
        let name = format!("trial-{}", self.queues.fetch_add(1, Ordering::Relaxed));
        let lease = u32::try_from(LEASE.as_secs()).ok();
        let attributes = Attributes { visibility_timeout: lease, ..Attributes::default() };
        self.server.create_queue(&name, &attributes)?;
        let server = Arc::clone(&self.server);
        let queue = client(&server, &name)?;
        Ok(Box::new(MnsTestQueue { server, name, queue, clock: SystemClock::new() }))
    }
}

fn client(server: &ServerHandle, queue: &str) -> Result<MnsQueue, HarnessError> {
    let endpoint = Endpoint::parse(&server.endpoint())?;
    Ok(MnsClient::builder(endpoint, Credentials::key("testid", "testsecret")).build()?.queue(queue))
}

struct MnsTestQueue {
    server: Arc<ServerHandle>,
    name: String,
    queue: MnsQueue,
    clock: SystemClock,
}

#[async_trait]
impl TestQueue for MnsTestQueue {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.queue.clone())
    }

    async fn send(&self, body: &str) -> Result<String, HarnessError> {
        Ok(self.queue.client().send(&self.name, NewMessage::new(body)).await?.id)
    }

    async fn pass(&self, time: Duration) {
        self.clock.sleep(time).await;
    }

    async fn left(&self) -> Result<Option<u64>, HarnessError> {
        let counts = self.server.counts(&self.name)?;
        Ok(Some((counts.visible + counts.leased + counts.delayed) as u64))
    }

    fn second_client(&self) -> Option<Arc<dyn Queue>> {
        client(&self.server, &self.name).ok().map(|queue| Arc::new(queue) as Arc<dyn Queue>)
    }

    fn missing(&self) -> Option<Arc<dyn Queue>> {
        Some(Arc::new(self.queue.client().queue(format!("{}-missing", self.name))))
    }
}
