//! Your own queue: implement one trait, run one conformance suite, and get an exactly-once source. The queue here lives in
//! a `Vec`; a real one would make its calls over the network. `cargo run --example 06_own_queue`.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use headwater::{
    Capabilities, CheckpointId, Clock, DeleteOutcome, Description, Event, Extended, Format, Handle, ManualClock,
    Message, Mono, Queue, QueueError, QueueErrorKind, QueueIdentity, QueueSource, ReceiveRequest, Received, Source,
    SourceConfig, SystemClock, WallMs,
};
use headwater_testkit::queue_conformance::{self, QueueHarness, QueueSettings, TestQueue};
use headwater_testkit::{HarnessError, pass};

const LEASE: Duration = Duration::from_secs(30);

// ---- the queue: what an author writes ---------------------------------------------------------------------------------

/// Messages in a vector, leased by the clock.
#[derive(Debug, Clone)]
struct VecQueue {
    clock: Arc<dyn Clock>,
    slots: Arc<Mutex<Vec<Slot>>>,
}

#[derive(Debug)]
struct Slot {
    id: String,
    body: String,
    deliveries: u32,
    leased_until: Mono,
    /// The one handle that works; every delivery and every extend makes a new one.
    handle: String,
}

impl VecQueue {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, slots: Arc::default() }
    }

    fn send(&self, body: &str) -> String {
        let mut slots = self.lock();
        let id = format!("message-{}", slots.len());
        let (body, handle) = (body.to_owned(), String::new());
        slots.push(Slot { id: id.clone(), body, deliveries: 0, leased_until: Mono::default(), handle });
        id
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, max: usize) -> Vec<Message> {
        let now = self.clock.now();
        let mut slots = self.lock();
        let visible = slots.iter_mut().filter(|slot| slot.leased_until <= now && !slot.id.is_empty()).take(max);
        let lease = |slot: &mut Slot| {
            slot.deliveries += 1;
            slot.leased_until = now + LEASE;
            slot.handle = format!("{}/{}", slot.id, slot.deliveries);
            let mut message = Message::new(slot.id.as_str(), Handle::new(&slot.handle), slot.body.clone().into());
            message.dequeue_count = slot.deliveries;
            message
        };
        visible.map(lease).collect()
    }
}

#[async_trait]
impl Queue for VecQueue {
    fn identity(&self) -> QueueIdentity {
        QueueIdentity { account: "example".into(), name: "vec".into() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::mns()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        Ok(Description::new(Some(LEASE), None, None))
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let end = self.clock.now() + request.wait;
        loop {
            let messages = self.take(request.max.min(self.capabilities().max_receive) as usize);
            if !messages.is_empty() || self.clock.now() >= end {
                return Ok(Received::new(messages, None));
            }
            self.clock.sleep_until((self.clock.now() + Duration::from_millis(100)).min(end)).await;
        }
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        let now = self.clock.now();
        let mut slots = self.lock();
        let delete = |handle: &Handle| match slots.iter_mut().find(|slot| slot.handle == handle.as_str()) {
            Some(slot) if slot.leased_until > now => {
                (slot.id, slot.handle) = Default::default();
                DeleteOutcome::Deleted
            }
            _ => DeleteOutcome::Stale,
        };
        Ok(handles.iter().map(delete).collect())
    }

    async fn extend(&self, handle: &Handle, lease: Duration) -> Result<Extended, QueueError> {
        let now = self.clock.now();
        let mut slots = self.lock();
        let slot = slots.iter_mut().find(|slot| slot.handle == handle.as_str() && slot.leased_until > now);
        let slot = slot.ok_or_else(|| QueueError::new(QueueErrorKind::Gone, "the handle is dead"))?;
        let (shortest, longest) = self.capabilities().lease_range;
        slot.leased_until = now + lease.clamp(shortest, longest);
        slot.handle.push('+');
        Ok(Extended { handle: Handle::new(&slot.handle), next_visible: None })
    }
}

// ---- the proof: what the conformance suite needs to know --------------------------------------------------------------

struct VecHarness;

struct VecOnTrial {
    clock: ManualClock,
    queue: VecQueue,
}

#[async_trait]
impl QueueHarness for VecHarness {
    fn name(&self) -> String {
        "vec queue".into()
    }

    fn settings(&self) -> QueueSettings {
        QueueSettings::manual(LEASE)
    }

    async fn fresh(&self) -> Result<Box<dyn TestQueue>, HarnessError> {
        let clock = ManualClock::new(WallMs(1_700_000_000_000));
        Ok(Box::new(VecOnTrial { queue: VecQueue::new(Arc::new(clock.clone())), clock }))
    }
}

#[async_trait]
impl TestQueue for VecOnTrial {
    fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(self.queue.clone())
    }

    async fn send(&self, body: &str) -> Result<String, HarnessError> {
        Ok(self.queue.send(body))
    }

    async fn pass(&self, time: Duration) {
        pass(&self.clock, time).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    queue_conformance::run_all(&VecHarness).await.assert_passed();

    // And this is all it takes to be an exactly-once source.
    let queue = VecQueue::new(SystemClock::shared());
    queue.send("mine");
    let decoder = Format::raw().factory(&"body STRING".parse()?)?;
    let mut source =
        QueueSource::open(Arc::new(queue), SystemClock::shared(), SourceConfig::new("mine", decoder)).await?;
    while let Some(event) = source.next().await? {
        if let Event::Batch(batch) = event {
            println!("{} row(s) from message {}", batch.records().num_rows(), batch.messages()[0].meta.id);
            source.checkpoint(CheckpointId(1)).await?;
            source.commit(CheckpointId(1)).await?;
            break;
        }
    }
    println!("{}", source.guarantee());
    Ok(())
}
