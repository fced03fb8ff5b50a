//! The MNS client against the MNS server, over HTTP: what each says the other understands.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{
    DeleteOutcome, Handle, ManualClock, Message, Queue, QueueErrorKind, ReceiveRequest, ServerMs, WallMs,
};
use headwater_mns_client::{ClientSettings, Credentials, Endpoint, MnsClient, MnsQueue};
use headwater_mns_proto::{ErrorCode, ListQueues, NewMessage, Operation, Property, QueueCreation, QueueSettings};
use headwater_mns_server::{DeadHandle, Dose, Faults, PerOperation, Server, ServerHandle};

const START: WallMs = WallMs(1_795_161_600_000);

/// A server with one queue, and a client, on one clock that stands still.
async fn both(faults: Faults) -> (ServerHandle, MnsQueue, ManualClock) {
    let clock = ManualClock::new(START);
    let server = Server::builder().manual_clock(clock.clone()).faults(faults).queue("q").start().await.unwrap();
    let client = client(&server, &clock, "testsecret");
    (server, client.queue("q"), clock)
}

fn client(server: &ServerHandle, clock: &ManualClock, secret: &str) -> MnsClient {
    let mut settings = ClientSettings::default();
    settings.first_backoff = Duration::ZERO;
    let endpoint = Endpoint::parse(&server.endpoint()).unwrap();
    let builder = MnsClient::builder(endpoint, Credentials::key("testid", secret));
    builder.settings(settings).clock(Arc::new(clock.clone())).build().unwrap()
}

async fn receive(queue: &MnsQueue) -> Vec<Message> {
    queue.receive(ReceiveRequest { max: 16, wait: Duration::ZERO }).await.unwrap().messages
}

fn handles(messages: &[Message]) -> Vec<Handle> {
    messages.iter().map(|message| message.handle.clone()).collect()
}

#[tokio::test]
async fn a_message_lives_its_life() {
    let (server, queue, clock) = both(Faults::default()).await;
    let mut new = NewMessage::new(" <a&b>\r\n你好\u{1F600} ");
    new.priority = Some(3);
    new.user_properties = vec![Property::string("n", "v & w")];
    let sent = queue.client().send("q", new).await.unwrap();

    let peeked = queue.client().peek("q", 16).await.unwrap();
    assert_eq!((peeked[0].id.as_ref(), peeked[0].dequeue_count), (sent.id.as_str(), 0));

    let got = receive(&queue).await.remove(0);
    assert_eq!((got.id.as_ref(), got.dequeue_count, got.priority), (sent.id.as_str(), 1, Some(3)));
    assert_eq!(got.body.as_ref(), " <a&b>\r\n你好\u{1F600} ".as_bytes());
    assert_eq!(got.properties[0].value.as_ref(), "v & w");
    assert_eq!(got.next_visible, Some(ServerMs(START.0 + 30_000)));
    assert!(receive(&queue).await.is_empty());

    let extended = queue.extend(&got.handle, Duration::from_secs(60)).await.unwrap();
    assert_eq!(extended.next_visible, Some(ServerMs(START.0 + 60_000)));
    assert_ne!(extended.handle, got.handle);
    assert_eq!(queue.delete(&handles(&[got])).await.unwrap(), [DeleteOutcome::Stale]);

    // The lease lapses: another delivery of the same message, and the handle of the first is dead.
    clock.advance(Duration::from_secs(60));
    assert_eq!(queue.delete(&[extended.handle]).await.unwrap(), [DeleteOutcome::Stale]);
    let again = receive(&queue).await.remove(0);
    assert_eq!((again.id.as_ref(), again.dequeue_count), (sent.id.as_str(), 2));
    assert_eq!(queue.delete(&handles(&[again])).await.unwrap(), [DeleteOutcome::Deleted]);
    assert_eq!(server.counts("q").unwrap().undeleted, 0);
}

#[tokio::test]
async fn a_batch_delete_says_which_entries_failed() {
    for dead_handle in [DeadHandle::ReceiptHandleError, DeadHandle::MessageNotExist] {
        let faults = Faults { dead_handle, ..Faults::default() };
        let (server, queue, _) = both(faults).await;
        server.put("q", (0..3).map(|n| NewMessage::new(n.to_string()))).unwrap();
        let handles = handles(&receive(&queue).await);
        assert_eq!(queue.delete(&handles[1..2]).await.unwrap(), [DeleteOutcome::Deleted]);
        let outcomes = queue.delete(&handles).await.unwrap();
        assert_eq!(outcomes, [DeleteOutcome::Deleted, DeleteOutcome::Stale, DeleteOutcome::Deleted]);
        assert_eq!(server.counts("q").unwrap().undeleted, 0);
    }
    let faults = Faults { fail_delete_entry: Dose::Count(1), ..Faults::default() };
    let (server, queue, _) = both(faults).await;
    server.put("q", [NewMessage::new("a"), NewMessage::new("b")]).unwrap();
    let handles = handles(&receive(&queue).await);
    let outcomes = queue.delete(&handles).await.unwrap();
    assert_eq!(outcomes, [DeleteOutcome::Failed, DeleteOutcome::Deleted]);
    assert_eq!(queue.delete(&handles[..1]).await.unwrap(), [DeleteOutcome::Deleted]);
}

#[tokio::test]
async fn a_parked_receive_wakes_and_does_not_stand_in_the_way() {
    let (server, queue, _) = both(Faults::default()).await;
    server.put("q", [NewMessage::new("first")]).unwrap();
    let first = handles(&receive(&queue).await);
    let parked = queue.receive(ReceiveRequest { max: 16, wait: Duration::from_secs(30) });
    let meanwhile = async {
        server.until(|server| server.parked("q") == 1).await;
        assert_eq!(queue.delete(&first).await.unwrap(), [DeleteOutcome::Deleted]);
        assert_eq!(server.parked("q"), 1);
        server.put("q", [NewMessage::new("second")]).unwrap();
    };
    let (received, ()) = tokio::join!(parked, meanwhile);
    assert_eq!(received.unwrap().messages[0].body.as_ref(), b"second");
}

#[tokio::test]
async fn a_lost_answer_leaves_a_delete_in_doubt_and_a_send_once() {
    let lose = |operation| PerOperation::default().on(operation, Dose::Count(1));
    let faults = Faults { lose_answer: lose(Operation::BatchDeleteMessage), ..Faults::default() };
    let (server, queue, _) = both(faults).await;
    server.put("q", [NewMessage::new("a")]).unwrap();
    let handles = handles(&receive(&queue).await);
    // Carried out the first time, unknown to the second: never "deleted" on our own word.
    assert_eq!(queue.delete(&handles).await.unwrap(), [DeleteOutcome::Stale]);
    assert_eq!(server.counts("q").unwrap().undeleted, 0);
    assert_eq!(server.journal().requests(Operation::BatchDeleteMessage), 2);

    let faults = Faults { lose_answer: lose(Operation::SendMessage), ..Faults::default() };
    let (server, queue, _) = both(faults).await;
    let failed = queue.client().send("q", NewMessage::new("a")).await.unwrap_err();
    assert!(failed.may_have_happened(), "{failed}");
    assert_eq!(server.counts("q").unwrap().visible, 1);
}

#[tokio::test]
async fn passing_trouble_passes() {
    let faults = Faults {
        too_many_requests: PerOperation::default().on(Operation::SendMessage, Dose::Count(2)),
        hold_millis: Some(0),
        unavailable: PerOperation::default().on(Operation::GetQueueAttributes, Dose::Count(2)),
        internal_error: PerOperation::default().on(Operation::BatchReceiveMessage, Dose::Count(1)),
        close_on_error: Dose::ALWAYS,
        ..Faults::default()
    };
    let (server, queue, _) = both(faults).await;
    queue.client().send("q", NewMessage::new("a")).await.unwrap();
    assert_eq!(server.counts("q").unwrap().visible, 1);
    assert_eq!(queue.describe().await.unwrap().lease, Some(Duration::from_secs(30)));
    let failed = queue.receive(ReceiveRequest { max: 16, wait: Duration::ZERO }).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient);
    assert_eq!(receive(&queue).await.len(), 1);
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let faults = Faults { deny: [Operation::BatchDeleteMessage].into(), ..Faults::default() };
    let (server, queue, clock) = both(faults).await;
    let denied = queue.delete(&[Handle::new("h")]).await.unwrap_err();
    assert_eq!(denied.kind, QueueErrorKind::Denied);
    assert!(denied.to_string().contains("mns:DeleteMessage"), "{denied}");

    let failed = client(&server, &clock, "wrong").queue_attributes("q").await.unwrap_err();
    assert_eq!((failed.kind(), failed.code()), (QueueErrorKind::Credentials, Some(&ErrorCode::SignatureDoesNotMatch)));
    let failed = queue.client().queue_attributes("no-such").await.unwrap_err();
    assert_eq!(failed.kind(), QueueErrorKind::NoSuchQueue);

    let behind = ManualClock::new(WallMs(START.0 - 3_600_000));
    let failed = client(&server, &behind, "testsecret").queue_attributes("q").await.unwrap_err();
    assert_eq!(failed.kind(), QueueErrorKind::ClockSkew);
    assert!(failed.to_string().contains("1 h 0 min behind"), "{failed}");
}

#[tokio::test]
async fn queues_are_made_listed_changed_and_removed() {
    let (_server, queue, _) = both(Faults::default()).await;
    let client = queue.client();
    let settings = QueueSettings { visibility_timeout: Some(60), ..QueueSettings::default() };
    for name in ["a-1", "a-2", "a-3"] {
        assert_eq!(client.create_queue(name, settings).await.unwrap(), QueueCreation::Created);
    }
    assert_eq!(client.create_queue("a-1", settings).await.unwrap(), QueueCreation::Existed);
    let other = client.create_queue("a-1", QueueSettings::default()).await.unwrap_err();
    assert_eq!(other.code(), Some(&ErrorCode::QueueAlreadyExist));

    let mut names = Vec::new();
    let mut list = ListQueues { prefix: Some("a-".into()), limit: Some(2), with_attributes: true, marker: None };
    loop {
        let page = client.list_queues(list.clone()).await.unwrap();
        assert!(page.queues.iter().all(|q| q.attributes.as_ref().is_some_and(|a| a.visibility_timeout == 60)));
        names.extend(page.queues.iter().map(|queue| queue.name().to_owned()));
        list.marker = page.next_marker;
        if list.marker.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a-1", "a-2", "a-3"]);

    let change = QueueSettings { visibility_timeout: Some(90), ..QueueSettings::default() };
    client.set_queue_attributes("a-2", change).await.unwrap();
    assert_eq!(client.queue_attributes("a-2").await.unwrap().visibility_timeout, 90);
    client.delete_queue("a-2").await.unwrap();
    assert_eq!(client.queue_attributes("a-2").await.unwrap_err().kind(), QueueErrorKind::NoSuchQueue);
}

#[tokio::test]
async fn a_batch_send_has_an_outcome_for_each() {
    let faults = Faults { fail_send_entry: Dose::Count(1), ..Faults::default() };
    let (server, queue, _) = both(faults).await;
    let new = vec![NewMessage::new("a"), NewMessage::new("b")];
    let outcomes = queue.client().batch_send("q", new).await.unwrap();
    assert!(outcomes[0].is_err() && outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!(server.counts("q").unwrap().visible, 1);
}
