//! An account may park so many polls: what is beyond them is answered empty at once.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{CheckpointId, Clock, Event, ManualClock, Source};
use headwater_formats::MessageEncoding;
use headwater_mns_client::{Credentials, Endpoint, MnsClient};
use headwater_mns_proto::{NewMessage, Operation};
use headwater_mns_server::{Faults, Server, ServerHandle};
use headwater_queue_source::{Objective, QueueSource, SourceConfig};

use super::lines::Lines;
use super::{QUEUE, SECOND, START, pass, within};

struct Account {
    clock: ManualClock,
    server: ServerHandle,
}

impl Account {
    /// With 16 pollers that wait for 5 s.
    async fn with(max_parked_polls: usize, objective: Objective) -> (Self, QueueSource) {
        let clock = ManualClock::new(START);
        let faults = Faults { max_parked_polls: Some(max_parked_polls), ..Faults::default() };
        let server = Server::builder().manual_clock(clock.clone()).queue(QUEUE).faults(faults).start();
        let server = server.await.expect("a server");
        let endpoint = Endpoint::parse(&server.endpoint()).expect("an endpoint");
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let client = MnsClient::builder(endpoint, Credentials::key("testid", "testsecret")).clock(Arc::clone(&time));
        let queue = client.build().expect("a client").queue(QUEUE);
        let mut config = SourceConfig::new("t", Lines::factory());
        (config.encoding, config.wait) = (MessageEncoding::Raw, SECOND * 5);
        (config.pollers, config.objective) = (16, objective);
        let source = QueueSource::open(Arc::new(queue), time, config).await.expect("a source");
        (Self { clock, server }, source)
    }

    /// So many rows, each within `patience`.
    async fn rows(&self, source: &mut QueueSource, rows: usize, patience: Duration) {
        let mut seen = 0;
        while seen < rows {
            match within(&self.clock, &self.server, patience, source.next()).await {
                Some(Ok(Some(Event::CheckpointDue(_)))) => {}
                Some(Ok(Some(Event::Batch(batch)))) => seen += batch.records().num_rows(),
                other => panic!("{seen} of {rows} rows, then {other:?}"),
            }
        }
    }

    fn receives(&self) -> u64 {
        self.server.requests(Operation::BatchReceiveMessage)
    }
}

#[tokio::test]
async fn as_many_polls_stay_parked_as_may_be() {
    let (account, mut source) = Account::with(3, Objective::Throughput).await;
    // A backlog brings all pollers; then the queue is empty, and they all want to be parked.
    account.server.put(QUEUE, (0..1_500).map(|n| NewMessage::new(format!("{n}")))).expect("messages");
    account.rows(&mut source, 1_500, SECOND).await;
    source.checkpoint(CheckpointId(1)).await.expect("a checkpoint");
    source.commit(CheckpointId(1)).await.expect("a commit");
    pass(&account.clock, &account.server, SECOND).await;
    assert_eq!(account.server.counts(QUEUE).expect("a queue").undeleted, 0);
    assert!((1..=3).contains(&account.server.parked(QUEUE)), "{} are parked", account.server.parked(QUEUE));
    let before = account.receives();
    pass(&account.clock, &account.server, SECOND * 60).await;
    let calls = account.receives() - before;
    assert!((10..=16).contains(&calls), "{calls} receives in a minute of nothing");
    account.server.put(QUEUE, [NewMessage::new("late")]).expect("a message");
    account.rows(&mut source, 1, Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_poll_that_may_not_park_at_all_backs_off_and_still_finds_a_message_soon() {
    for (objective, calls, soon) in [(Objective::Throughput, 10..=35, 5), (Objective::Latency, 50..=110, 1)] {
        let (account, mut source) = Account::with(0, objective).await;
        assert!(within(&account.clock, &account.server, SECOND * 60, source.next()).await.is_none());
        let made = account.receives();
        assert!(calls.contains(&made), "{objective:?}: {made} receives in a minute");
        assert_eq!(source.status().idle_since, None, "no poll has lasted");
        account.server.put(QUEUE, [NewMessage::new("late")]).expect("a message");
        account.rows(&mut source, 1, SECOND * soon).await;
        // The others let go of their places: it is parked again, and idle.
        account.server.set_faults(Faults::default());
        pass(&account.clock, &account.server, SECOND * 20).await;
        assert!(account.server.parked(QUEUE) >= 1);
    }
}
