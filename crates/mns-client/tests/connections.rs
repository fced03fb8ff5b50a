//! The life of connections: kept, lost, slow, endless.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Clock as _, DeleteOutcome, Handle, ManualClock, Queue, QueueErrorKind, ReceiveRequest, WallMs};
use headwater_mns_client::{Credentials, Endpoint, MnsClient, Proxies};
use headwater_mns_proto::numbers::{MAX_RECEIVE_RESPONSE, MAX_SHORT_RESPONSE};
use headwater_mns_proto::{ErrorCode, NewMessage};
use support::{Server, Step, attributes, error, key, raw, received, settings};
use tokio::sync::Notify;

const RECEIVE: ReceiveRequest = ReceiveRequest { max: 16, wait: Duration::from_secs(2) };

#[tokio::test]
async fn a_connection_is_kept_for_the_next_call() {
    let server = Server::start(vec![(0..3).map(|_| Step::Say(attributes())).collect()]).await;
    let client = server.client();
    for _ in 0..3 {
        client.queue_attributes("q").await.unwrap();
    }
    assert_eq!(server.connections(), [0, 0, 0]);
}

#[tokio::test]
async fn a_connection_that_announces_its_end_is_not_kept() {
    let last = raw(404, "connection: close\r\n", "<Error><Code>QueueNotExist</Code></Error>");
    let server = Server::start(vec![vec![Step::SayAndClose(last)], vec![Step::Say(attributes())]]).await;
    let client = server.client();
    assert_eq!(client.queue_attributes("q").await.unwrap_err().kind(), QueueErrorKind::NoSuchQueue);
    client.send("q", NewMessage::new("b")).await.unwrap_err();
    assert_eq!(server.connections(), [0, 1]);
}

#[tokio::test]
async fn a_kept_connection_found_closed_is_replaced_where_that_is_safe() {
    // Closed when the second request has come: from here this looks like one closed before.
    let server =
        Server::start(vec![vec![Step::Say(received(&["a"])), Step::Close], vec![Step::Say(received(&["b"]))]]).await;
    let queue = server.client().queue("q");
    queue.receive(RECEIVE).await.unwrap();
    let second = queue.receive(RECEIVE).await.unwrap();
    assert_eq!(second.messages[0].body.as_ref(), b"b");
    assert_eq!(server.connections(), [0, 0, 1]);

    let server =
        Server::start(vec![vec![Step::Say(raw(204, "", "")), Step::Close], vec![Step::Say(raw(204, "", ""))]]).await;
    let queue = server.client().queue("q");
    for _ in 0..2 {
        assert_eq!(queue.delete(&[Handle::new("h")]).await.unwrap(), [DeleteOutcome::Deleted]);
    }
    assert_eq!(server.connections(), [0, 0, 1]);
}

#[tokio::test]
async fn a_second_lost_connection_is_an_error() {
    let server = Server::start(vec![vec![Step::Say(received(&[])), Step::Close], vec![Step::Close]]).await;
    let queue = server.client().queue("q");
    queue.receive(RECEIVE).await.unwrap();
    let failed = queue.receive(RECEIVE).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient);
    assert!(std::error::Error::source(&failed).is_some());
    assert_eq!(server.connections(), [0, 0, 1]);
}

#[tokio::test]
async fn a_send_is_never_made_twice_on_a_doubt() {
    let sent = "<Message><MessageId>m</MessageId><MessageBodyMD5>x</MessageBodyMD5></Message>";
    let taken = || Step::Say(raw(201, "", sent));
    let server = Server::start(vec![vec![Step::Say(attributes()), Step::Close], vec![taken()]]).await;
    let client = server.client();
    client.queue_attributes("q").await.unwrap();
    let failed = client.send("q", NewMessage::new("b")).await.unwrap_err();
    assert!(failed.may_have_happened(), "{failed}");
    assert_eq!(server.connections(), [0, 0]);
    // Turned away for rate, it certainly was not taken.
    let busy = || Step::Say(error(ErrorCode::TooManyRequests));
    let server = Server::start(vec![vec![busy(), busy(), taken()]]).await;
    assert_eq!(server.client().send("q", NewMessage::new("b")).await.unwrap().id, "m");
    assert_eq!(server.all_asked().len(), 3);
}

#[tokio::test]
async fn an_answer_cut_short_is_passing_trouble_and_its_connection_is_not_kept() {
    let cut = b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n<Messages>".to_vec();
    let server = Server::start(vec![vec![Step::SayAndClose(cut)], vec![Step::Say(received(&["a"]))]]).await;
    let queue = server.client().queue("q");
    let failed = queue.receive(RECEIVE).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient, "{failed}");
    assert_eq!(queue.receive(RECEIVE).await.unwrap().messages.len(), 1);
    assert_eq!(server.connections(), [0, 1]);
}

#[tokio::test]
async fn a_parked_receive_does_not_delay_a_delete() {
    let told = Arc::new(Notify::new());
    let hold = Step::Hold(told.clone(), received(&["late"]));
    let mut server = Server::start(vec![vec![hold], vec![Step::Say(raw(204, "", ""))]]).await;
    // One connection for each kind: the delete cannot even borrow one.
    let mut one = settings();
    (one.max_connections, one.max_call_connections) = (1, 1);
    let queue = server.builder().settings(one).build().unwrap().queue("q");
    let parked = queue.receive(RECEIVE);
    let delete = async {
        server.next_asked().await;
        let outcome = queue.delete(&[Handle::new("h")]).await;
        told.notify_one();
        outcome
    };
    let (received, deleted) = tokio::join!(parked, delete);
    assert_eq!(deleted.unwrap(), [DeleteOutcome::Deleted]);
    assert_eq!(received.unwrap().messages[0].body.as_ref(), b"late");
}

/// As many pollers as a source can have, all parked; as many deleters, all waiting for an answer: an extension still goes out.
#[tokio::test]
async fn the_connections_suffice_for_the_largest_source() {
    let told = Arc::new(Notify::new());
    let mut steps: Vec<Vec<Step>> = (0..64).map(|_| vec![Step::Hold(told.clone(), received(&["late"]))]).collect();
    steps.extend((0..64).map(|_| vec![Step::Hang]));
    let changed =
        "<ChangeVisibility><ReceiptHandle>new</ReceiptHandle><NextVisibleTime>1</NextVisibleTime></ChangeVisibility>";
    steps.push(vec![Step::Say(raw(200, "", changed))]);
    let mut server = Server::start(steps).await;
    let queue = server.builder().build().unwrap().queue("q");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let queue = queue.clone();
        tasks.spawn(async move { queue.receive(RECEIVE).await.map(|received| received.messages.len()) });
    }
    for _ in 0..64 {
        server.next_asked().await;
    }
    let mut deletes = tokio::task::JoinSet::new();
    for n in 0..64 {
        let queue = queue.clone();
        deletes.spawn(async move { queue.delete(&[Handle::new(&format!("h{n}"))]).await });
    }
    for _ in 0..64 {
        server.next_asked().await;
    }
    let extended = queue.extend(&Handle::new("h"), Duration::from_secs(30)).await.unwrap();
    assert_eq!(extended.handle, Handle::new("new"));
    told.notify_waiters();
    while let Some(received) = tasks.join_next().await {
        assert_eq!(received.unwrap().unwrap(), 1);
    }
}

#[tokio::test]
async fn calls_beyond_the_limit_of_connections_wait_their_turn() {
    let server = Server::start(vec![(0..5).map(|_| Step::Say(attributes())).collect()]).await;
    let mut one = settings();
    one.max_call_connections = 1;
    let client = server.builder().settings(one).build().unwrap();
    let calls = (0..5).map(|_| client.queue_attributes("q"));
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(server.connections(), [0; 5]);
}

/// Advances the clock to each deadline in turn until the future is done.
async fn let_time_pass<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            output = &mut future => return output,
            () = tokio::task::yield_now() => {}
        }
        if let Some(deadline) = clock.next_deadline() {
            clock.advance(deadline.since(clock.now()));
        }
    }
}

#[tokio::test]
async fn a_receive_ends_a_margin_after_its_wait_and_a_call_after_its_own_time() {
    let clock = ManualClock::new(WallMs(1_795_161_600_000));
    let mut server = Server::start(vec![vec![Step::Hang], vec![Step::Hang]]).await;
    let mut once = settings();
    once.max_attempts = 1;
    let client = server.builder().settings(once).clock(Arc::new(clock.clone())).build().unwrap();
    let queue = client.queue("q");

    let mut parked = std::pin::pin!(queue.receive(RECEIVE));
    tokio::select! { biased; _ = &mut parked => panic!("answered by nobody"), _ = server.next_asked() => {} }
    clock.advance(Duration::from_millis(6_999));
    assert!(futures::poll!(&mut parked).is_pending());
    clock.advance(Duration::from_millis(1));
    let failed = parked.await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient);
    assert!(failed.to_string().contains("7s"), "{failed}");

    let mut call = std::pin::pin!(client.queue_attributes("q"));
    tokio::select! { biased; _ = &mut call => panic!("answered by nobody"), _ = server.next_asked() => {} }
    clock.advance(Duration::from_millis(9_999));
    assert!(futures::poll!(&mut call).is_pending());
    clock.advance(Duration::from_millis(1));
    assert!(call.await.unwrap_err().may_have_happened());
}

#[tokio::test]
async fn pauses_between_attempts_are_those_of_the_seed() {
    let pauses = |seed| async move {
        let clock = ManualClock::new(WallMs(0));
        let server = Server::start(vec![(0..4).map(|_| Step::Say(raw(500, "", ""))).collect()]).await;
        let builder = server.builder().settings(Default::default()).clock(Arc::new(clock.clone())).seed(seed);
        let client = builder.build().unwrap();
        // Only pauses let time pass: answers come at once.
        let call = client.queue_attributes("q");
        let failed = let_time_pass_for_pauses(&clock, call).await.unwrap_err();
        assert_eq!(failed.kind(), QueueErrorKind::Transient);
        clock.now()
    };
    let (first, again, other) = (pauses(1).await, pauses(1).await, pauses(2).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    let total = first.since(headwater_core::Mono::default());
    assert!(total >= Duration::from_millis(700) && total <= Duration::from_millis(1_400), "{total:?}");
}

/// As [`let_time_pass`], but leaves time-outs of calls alone, which are 5 s and longer.
async fn let_time_pass_for_pauses<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            output = &mut future => return output,
            () = tokio::task::yield_now() => {}
        }
        if let Some(deadline) = clock.next_deadline()
            && deadline.since(clock.now()) < Duration::from_secs(4)
        {
            clock.advance(deadline.since(clock.now()));
        }
    }
}

#[tokio::test]
async fn an_unused_connection_is_given_up_after_a_while() {
    let clock = ManualClock::new(WallMs(1_795_161_600_000));
    let script = || vec![Step::Say(attributes()), Step::Say(attributes())];
    let server = Server::start(vec![script(), script()]).await;
    let client = server.builder().clock(Arc::new(clock.clone())).build().unwrap();
    client.queue_attributes("q").await.unwrap();
    clock.advance(Duration::from_millis(29_999));
    client.queue_attributes("q").await.unwrap();
    clock.advance(Duration::from_secs(30));
    client.queue_attributes("q").await.unwrap();
    assert_eq!(server.connections(), [0, 0, 1]);
}

#[tokio::test]
async fn an_answer_too_long_is_not_read() {
    let announced = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", MAX_RECEIVE_RESPONSE + 1).into_bytes();
    let chunked = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n".to_vec();
    let until_closed = b"HTTP/1.1 200 X\r\n\r\n".to_vec();
    for head in [announced, chunked, until_closed] {
        let server = Server::start(vec![vec![Step::Flood(head)]]).await;
        let failed = server.client().queue("q").receive(RECEIVE).await.unwrap_err();
        assert_eq!(failed.kind, QueueErrorKind::Unreadable, "{failed}");
        assert!(failed.to_string().contains(&MAX_RECEIVE_RESPONSE.to_string()), "{failed}");
    }
    let mut once = settings();
    once.max_attempts = 1;
    let server = Server::start(vec![vec![Step::Flood(b"HTTP/1.1 200 X\r\n\r\n".to_vec())]]).await;
    let failed = server.builder().settings(once).build().unwrap().queue_attributes("q").await.unwrap_err();
    assert!(failed.to_string().contains(&MAX_SHORT_RESPONSE.to_string()), "{failed}");
}

#[tokio::test]
async fn a_head_too_long_is_not_read() {
    let endless = [&b"HTTP/1.1 200 X\r\nx: "[..], &b"a".repeat(100_000)].concat();
    let server = Server::start(vec![vec![Step::Flood(endless)]]).await;
    let failed = server.client().queue("q").receive(RECEIVE).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient, "{failed}");
}

#[tokio::test]
async fn a_dropped_receive_closes_its_connection() {
    let mut server = Server::start(vec![vec![Step::Hang], vec![Step::Say(received(&["a"]))]]).await;
    let queue = server.client().queue("q");
    {
        let mut parked = std::pin::pin!(queue.receive(RECEIVE));
        tokio::select! { biased; _ = &mut parked => panic!("answered by nobody"), _ = server.next_asked() => {} }
    }
    assert_eq!(queue.receive(RECEIVE).await.unwrap().messages.len(), 1);
    assert_eq!(server.connections(), [0, 1]);
}

#[tokio::test]
async fn nobody_there_is_passing_trouble_in_which_nothing_happened() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let builder = MnsClient::builder(endpoint, Credentials::fixed(key())).settings(settings()).proxies(Proxies::none());
    let client = builder.build().unwrap();
    let failed = client.send("q", NewMessage::new("b")).await.unwrap_err();
    assert_eq!(failed.kind(), QueueErrorKind::Transient);
    assert!(!failed.may_have_happened() && failed.to_string().contains("check the endpoint"), "{failed}");
    let failed = client.queue("q").delete(&[Handle::new("h")]).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient);
}

#[tokio::test]
async fn connecting_has_a_time_limit_of_its_own() {
    // An address of TEST-NET-1, where nobody answers; if this machine says so at once, that is an error as well.
    let clock = ManualClock::new(WallMs(0));
    let endpoint = Endpoint::parse("http://192.0.2.1:9").unwrap();
    let mut once = settings();
    once.max_attempts = 1;
    let builder = MnsClient::builder(endpoint, Credentials::fixed(key())).settings(once).proxies(Proxies::none());
    let client = builder.clock(Arc::new(clock.clone())).build().unwrap();
    let failed = let_time_pass(&clock, client.queue_attributes("q")).await.unwrap_err();
    assert_eq!(failed.kind(), QueueErrorKind::Transient);
    assert!(!failed.may_have_happened(), "{failed}");
    assert!(clock.now().since(headwater_core::Mono::default()) <= Duration::from_secs(5));
}
