//! A queue whose answers lie about the time: an id whose delete nobody confirmed is remembered all the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use headwater_core::{
    Capabilities, CheckpointId, Clock, DeleteOutcome, Description, Event, Extended, Handle, ManualClock, Message,
    Queue, QueueError, QueueErrorKind, QueueIdentity, ReceiveRequest, Received, ServerMs, Source, WallMs,
};
use headwater_formats::Format;
use headwater_queue_source::{QueueSource, SourceConfig};

const START: i64 = 1_795_161_600_000;
const DAY: i64 = 86_400_000;
const STEP: Duration = Duration::from_secs(5);
/// The service's shortest retention: ids are forgotten 61 minutes after the send, if the clock is right.
const RETENTION: Duration = Duration::from_secs(60);

/// An answer, and how far the time it gives is from the truth, in milliseconds.
#[derive(Debug, Clone, Default)]
struct Answer {
    messages: Vec<Message>,
    date_error: i64,
}

/// A queue that gives the planned answers and then waits in vain; nobody learns what became of a delete.
#[derive(Debug)]
struct Liar {
    clock: ManualClock,
    plan: Mutex<VecDeque<Answer>>,
    deletes: Mutex<Vec<String>>,
}

#[async_trait]
impl Queue for Liar {
    fn identity(&self) -> QueueIdentity {
        QueueIdentity { account: "1".into(), name: "q".into() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::mns()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        Ok(Description::new(None, Some(RETENTION), None))
    }

    async fn receive(&self, request: ReceiveRequest) -> Result<Received, QueueError> {
        let planned = self.plan.lock().expect("a plan").pop_front();
        let answer = match planned {
            Some(answer) => answer,
            None => {
                self.clock.sleep(request.wait).await;
                Answer::default()
            }
        };
        let date = self.clock.wall().0.saturating_add(answer.date_error);
        Ok(Received::new(answer.messages, Some(ServerMs(date))))
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        self.deletes.lock().expect("a list").extend(handles.iter().map(|handle| handle.as_str().to_owned()));
        Ok(vec![DeleteOutcome::Unknown; handles.len()])
    }

    async fn extend(&self, _: &Handle, _: Duration) -> Result<Extended, QueueError> {
        Err(QueueError::new(QueueErrorKind::Gone, "gone"))
    }
}

struct World {
    clock: ManualClock,
    queue: Arc<Liar>,
    source: QueueSource,
}

fn message(delivery: u32, enqueued: Option<i64>) -> Message {
    let mut message = Message::new("m", Handle::new(&format!("h{delivery}")), Bytes::from_static(b"{\"a\":1}"));
    message.dequeue_count = delivery;
    message.enqueued = enqueued.map(ServerMs);
    message
}

impl World {
    /// A source that got this answer, and whose checkpoint with it is committed; the delete has no outcome.
    async fn committed(first: Answer) -> Self {
        let clock = ManualClock::new(WallMs(START));
        let plan = Mutex::new(VecDeque::from([first]));
        let queue = Arc::new(Liar { clock: clock.clone(), plan, deletes: Mutex::default() });
        let decoder = Format::json().factory(&"a INT".parse().expect("a row type")).expect("a decoder");
        let mut config = SourceConfig::new("t", decoder);
        config.pollers = 1;
        let mut source = QueueSource::open(queue.clone(), Arc::new(clock.clone()), config).await.expect("a source");
        let event = source.next().await.expect("an event");
        assert!(matches!(event, Some(Event::Batch(_))), "{event:?}");
        source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
        source.commit(CheckpointId(1)).await.expect("a commit");
        let mut world = Self { clock, queue, source };
        assert_eq!(world.rows_within(STEP).await, 0);
        assert_eq!(*world.queue.deletes.lock().expect("a list"), ["h1"]);
        world
    }

    /// Lets time pass in steps; counts the batches that come.
    async fn rows_within(&mut self, time: Duration) -> usize {
        let (mut batches, end) = (0, self.clock.now() + time);
        while self.clock.now() < end {
            self.clock.advance(STEP);
            for _ in 0..20 {
                tokio::select! {
                    biased;
                    event = self.source.next() => batches += usize::from(matches!(event, Ok(Some(Event::Batch(_))))),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        batches
    }

    /// Delivers the message again; says whether it came out a second time.
    async fn comes_twice(&mut self) -> bool {
        let answer = Answer { messages: vec![message(2, Some(START))], date_error: 0 };
        self.queue.plan.lock().expect("a plan").push_back(answer);
        let again = self.rows_within(Duration::from_secs(60)).await > 0;
        let deleted = self.queue.deletes.lock().expect("a list").contains(&"h2".to_owned());
        assert_ne!(again, deleted, "a duplicate is deleted at once, a fresh message is not");
        again
    }
}

#[tokio::test]
async fn without_lies_an_id_goes_when_the_queue_must_have_dropped_its_message() {
    let first = Answer { messages: vec![message(1, Some(START))], date_error: 0 };
    let mut world = World::committed(first.clone()).await;
    assert_eq!(world.rows_within(Duration::from_secs(50 * 60)).await, 0);
    assert!(!world.comes_twice().await, "within the retention and its margin");
    let mut world = World::committed(first).await;
    assert_eq!(world.rows_within(Duration::from_secs(80 * 60)).await, 0);
    assert!(world.comes_twice().await, "this test sees an id that was forgotten");
}

#[tokio::test]
async fn a_date_in_the_far_future_forgets_nothing() {
    for date_error in [DAY, 400 * DAY, i64::MAX] {
        // With the first answer, before any other is known, and in the middle.
        for at in [0, 1, 5] {
            let error = |number| if number == at { date_error } else { 0 };
            let first = Answer { messages: vec![message(1, Some(START))], date_error: error(0) };
            let mut world = World::committed(first).await;
            let later = (1..10).map(|number| Answer { messages: Vec::new(), date_error: error(number) });
            world.queue.plan.lock().expect("a plan").extend(later);
            assert_eq!(world.rows_within(Duration::from_secs(30 * 60)).await, 0);
            assert!(!world.comes_twice().await, "forgotten by a date {date_error} ms off in answer {at}");
        }
    }
}

#[tokio::test]
async fn a_send_time_in_the_far_past_or_none_forgets_nothing() {
    for enqueued in [Some(1), Some(START - 30 * DAY), Some(i64::MIN), Some(i64::MAX), None] {
        let mut world = World::committed(Answer { messages: vec![message(1, enqueued)], date_error: 0 }).await;
        assert_eq!(world.rows_within(Duration::from_secs(30 * 60)).await, 0);
        assert!(!world.comes_twice().await, "forgotten by the send time {enqueued:?}");
    }
}

#[tokio::test]
async fn lease_ends_at_the_ends_of_the_range_hold_nothing_up() {
    for (first, end) in [(i64::MIN, i64::MAX), (0, i64::MAX), (i64::MAX, i64::MIN), (START, START - 1)] {
        let mut odd = message(1, Some(START));
        (odd.first_dequeued, odd.next_visible) = (Some(ServerMs(first)), Some(ServerMs(end)));
        let mut world = World::committed(Answer { messages: vec![odd], date_error: 0 }).await;
        assert_eq!(world.rows_within(Duration::from_secs(60)).await, 0);
        assert!(!world.comes_twice().await);
    }
}
