//! The MNS client against the local MNS server, over HTTP on 127.0.0.1 and on the machine's clock.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{Clock, Queue, Source, SystemClock};
use headwater_mns_client::{Credentials, Endpoint, MnsClient, MnsQueue};
use headwater_mns_proto::{NewMessage, Operation, QueueSettings as Attributes};
use headwater_mns_server::{Dose, Faults, PerOperation, Server, ServerHandle};
use headwater_queue_source::LeasePolicy;
use headwater_testkit::HarnessError;
use headwater_testkit::queue_conformance::{QueueHarness, QueueSettings, TestQueue};
use headwater_testkit::source_conformance::{Disturbance, SourceHarness, SourceSettings, TestSource};

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
        self.server.create_queue(&name, &attributes())?;
        let server = Arc::clone(&self.server);
        let queue = client(&server, &name)?;
        Ok(Box::new(MnsTestQueue { server, name, queue, clock: SystemClock::new() }))
    }
}

fn attributes() -> Attributes {
    Attributes { visibility_timeout: u32::try_from(LEASE.as_secs()).ok(), ..Attributes::default() }
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

/// The queue source on MNS; every trial has a server of its own, since faults are the server's.
pub(crate) struct MnsSourceHarness;

/// Messages a source may hold: two full answers and a bit.
const UNDELETED_MAX: u32 = 40;

#[async_trait]
impl SourceHarness for MnsSourceHarness {
    fn name(&self) -> String {
        "queue source on MNS over HTTP".into()
    }

    fn settings(&self) -> SourceSettings {
        SourceSettings::wall(LEASE, UNDELETED_MAX)
    }

    async fn fresh(&self) -> Result<Box<dyn TestSource>, HarnessError> {
        let builder = Server::builder().queue_with("numbers", attributes()).queue_with("others", attributes());
        let server = builder.start().await?;
        Ok(Box::new(MnsTestSource { server, sent: Mutex::default(), clock: SystemClock::new() }))
    }
}

struct MnsTestSource {
    server: ServerHandle,
    sent: Mutex<Vec<String>>,
    clock: SystemClock,
}

impl MnsTestSource {
    async fn open_on(&self, queue: &str) -> Result<Box<dyn Source>, HarnessError> {
        let queue = Arc::new(client(&self.server, queue)?);
        super::open_queue_source(queue, Arc::new(self.clock.clone()), UNDELETED_MAX, LEASE / 4, LeasePolicy::Auto).await
    }

    fn sent(&self) -> MutexGuard<'_, Vec<String>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TestSource for MnsTestSource {
    async fn open(&self) -> Result<Box<dyn Source>, HarnessError> {
        self.open_on("numbers").await
    }

    async fn send(&self, rows: &[i64]) -> Result<String, HarnessError> {
        let body = String::from_utf8(super::encode(rows).to_vec())?;
        let sent = self.server.put("numbers", [NewMessage::new(body)])?;
        let id = sent.first().ok_or("nothing was stored")?.id.to_string();
        self.sent().push(id.clone());
        Ok(id)
    }

    async fn pass(&self, time: Duration) {
        self.clock.sleep(time).await;
    }

    async fn left(&self) -> Result<Vec<String>, HarnessError> {
        let deleted = self.server.deleted("numbers");
        Ok(self.sent().iter().filter(|id| !deleted.contains(id)).cloned().collect())
    }

    async fn leased(&self) -> Result<u64, HarnessError> {
        Ok(self.server.counts("numbers")?.leased as u64)
    }

    fn disturb(&self, disturbance: Option<Disturbance>) -> bool {
        let always = |operations: &[Operation]| {
            operations.iter().fold(PerOperation::default(), |all, operation| all.on(*operation, Dose::ALWAYS))
        };
        let deletes = always(&[Operation::DeleteMessage, Operation::BatchDeleteMessage]);
        let receives = always(&[Operation::ReceiveMessage, Operation::BatchReceiveMessage]);
        let none = Faults::default();
        self.server.set_faults(match disturbance {
            None => none,
            Some(Disturbance::DeletesLost) => Faults { drop_request: deletes, ..none },
            Some(Disturbance::DeleteAnswersLost) => Faults { lose_answer: deletes, ..none },
            Some(Disturbance::ReceivesFail) => Faults { internal_error: receives, ..none },
            Some(_) => return false,
        });
        true
    }

    async fn open_other(&self) -> Result<Option<Box<dyn Source>>, HarnessError> {
        self.open_on("others").await.map(Some)
    }
}
