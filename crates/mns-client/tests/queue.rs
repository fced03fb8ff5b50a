//! What the calls of the `Queue` trait make of the service's answers, the odd ones included.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use headwater_core::{DeleteOutcome, Handle, Queue, QueueErrorKind, QueueIdentity, ReceiveRequest, ServerMs};
use headwater_mns_client::{Credentials, Endpoint, MnsClient};
use headwater_mns_proto::{Answer, ChangedVisibility, DeleteFailure, ErrorCode, Request};
use support::{Server, Step, answer, attributes, error, key, raw, received};

fn handles(names: &[&str]) -> Vec<Handle> {
    names.iter().map(|name| Handle::new(name)).collect()
}

fn request(max: u32, seconds: u64) -> ReceiveRequest {
    ReceiveRequest { max, wait: Duration::from_secs(seconds) }
}

#[tokio::test]
async fn a_receive_is_signed_asked_as_a_batch_and_read_whole() {
    let date = "date: Fri, 20 Nov 2026 08:00:00 GMT\r\n";
    let mut bytes = received(&["a<&>\r\n", ""]);
    let at = bytes.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
    bytes.splice(at..at, date.bytes());
    let mut server = Server::start(vec![vec![Step::Say(bytes)]]).await;

    let got = server.client().queue("q").receive(request(99, 99)).await.unwrap();
    let asked = server.next_asked().await;
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/queues/q/messages?numOfMessages=16&waitseconds=30")
    );
    asked.verify(&key());

    assert_eq!(got.server_time, Some(ServerMs(1_795_161_600_000)));
    let [first, second] = got.messages.as_slice() else { panic!("{got:?}") };
    assert_eq!((first.id.as_ref(), first.handle.as_str(), first.body.as_ref()), ("m0", "h0+/=", &b"a<&>\r\n"[..]));
    assert_eq!((first.dequeue_count, first.priority, first.group.as_deref()), (1, Some(8), Some("g")));
    let times = (first.enqueued, first.first_dequeued, first.next_visible);
    assert_eq!(times, (Some(ServerMs(1_000)), Some(ServerMs(1_500)), Some(ServerMs(2_000))));
    assert_eq!((first.properties[0].name.as_ref(), first.properties[0].value.as_ref()), ("n", "v"));
    assert!(second.body.is_empty());
}

#[tokio::test]
async fn the_three_404s_of_a_receive_and_a_delete_are_told_apart() {
    let failures = Answer::DeleteFailures(vec![DeleteFailure {
        receipt_handle: "b".into(),
        code: ErrorCode::ReceiptHandleError,
        message: "no".into(),
    }]);
    let script = vec![
        Step::Say(error(ErrorCode::MessageNotExist)),
        Step::Say(error(ErrorCode::QueueNotExist)),
        Step::Say(error(ErrorCode::QueueNotExist)),
        Step::Say(answer(&failures)),
    ];
    let (receives, calls): (Vec<_>, Vec<_>) = script.into_iter().enumerate().partition(|(at, _)| *at < 2);
    let steps = |part: Vec<(usize, Step)>| part.into_iter().map(|(_, step)| step).collect();
    let server = Server::start(vec![steps(receives), steps(calls)]).await;
    let queue = server.client().queue("q");

    assert!(queue.receive(request(1, 0)).await.unwrap().messages.is_empty());
    let missing = queue.receive(request(1, 0)).await.unwrap_err();
    assert_eq!(missing.kind, QueueErrorKind::NoSuchQueue);
    for part in
        ["BatchReceiveMessage", "\"q\"", "http://127.0.0.1", "QueueNotExist", "6732A1B04DB7BBA3B5E9A001", "create it"]
    {
        assert!(missing.to_string().contains(part), "{part}: {missing}");
    }
    assert_eq!(queue.delete(&handles(&["a"])).await.unwrap_err().kind, QueueErrorKind::NoSuchQueue);
    let outcomes = queue.delete(&handles(&["a", "b"])).await.unwrap();
    assert_eq!(outcomes, [DeleteOutcome::Deleted, DeleteOutcome::Stale]);
}

#[tokio::test]
async fn a_delete_lists_every_handle_once_and_escapes_it() {
    let mut server = Server::start(vec![vec![Step::Say(raw(204, "", ""))]]).await;
    let outcomes = server.client().queue("q").delete(&handles(&["a&b<", "1-x=="])).await.unwrap();
    assert_eq!(outcomes, [DeleteOutcome::Deleted; 2]);
    let asked = server.next_asked().await;
    asked.verify(&key());
    let read = Request::read(&asked.method, &asked.target, asked.header_bytes(), &asked.body).unwrap();
    let receipt_handles = vec!["a&b<".to_owned(), "1-x==".to_owned()];
    assert_eq!(read, Request::BatchDeleteMessage { queue: "q".into(), receipt_handles });
}

#[tokio::test]
async fn nothing_to_delete_asks_nothing() {
    let server = Server::start(vec![]).await;
    assert!(server.client().queue("q").delete(&[]).await.unwrap().is_empty());
    assert!(server.all_asked().is_empty());
}

#[tokio::test]
async fn a_delete_without_a_clear_answer_is_unknown() {
    for step in [
        || Step::Say(raw(500, "", "<html>")),
        || Step::Say(error(ErrorCode::InternalError)),
        || Step::SayAndClose(b"HTTP/1.1 404 X\r\ncontent-length: 90\r\n\r\n<Errors>".to_vec()),
        || Step::Say(raw(404, "", "<Errors><Error>")),
        || Step::Say(raw(200, "", "<Errors>")),
        || Step::Say(raw(404, "", "<Errors></Errors>")),
        || Step::Say(raw(500, "", "<Errors/>")),
        || Step::Close,
    ] {
        // Tried four times, over one connection or four.
        let script = || (0..4).map(|_| step()).collect();
        let server = Server::start(vec![script(), script(), script(), script(), script()]).await;
        let outcomes = server.client().queue("q").delete(&handles(&["a", "b"])).await.unwrap();
        assert_eq!(outcomes, [DeleteOutcome::Unknown; 2]);
        assert_eq!(server.all_asked().len(), 4);
    }
}

#[tokio::test]
async fn a_delete_refused_as_a_whole_is_an_error_and_deleted_nothing() {
    for (code, kind, attempts) in [
        (ErrorCode::AccessDenied, QueueErrorKind::Denied, 1),
        (ErrorCode::SignatureDoesNotMatch, QueueErrorKind::Credentials, 1),
        (ErrorCode::TooManyRequests, QueueErrorKind::Throttled, 4),
        (ErrorCode::InvalidArgument, QueueErrorKind::Refused, 1),
    ] {
        let script = (0..4).map(|_| Step::Say(error(code.clone()))).collect();
        let server = Server::start(vec![script]).await;
        let refused = server.client().queue("q").delete(&handles(&["a"])).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{refused}");
        assert_eq!(server.all_asked().len(), attempts, "{code}");
    }
    // Throttled in the end, but the first try may have deleted.
    let script = vec![
        Step::Say(error(ErrorCode::InternalError)),
        Step::Say(error(ErrorCode::TooManyRequests)),
        Step::Say(error(ErrorCode::TooManyRequests)),
        Step::Say(error(ErrorCode::TooManyRequests)),
    ];
    let server = Server::start(vec![script]).await;
    assert_eq!(server.client().queue("q").delete(&handles(&["a"])).await.unwrap(), [DeleteOutcome::Unknown]);
}

#[tokio::test]
async fn a_single_dead_handle_may_be_refused_as_a_whole() {
    let dead = || Step::Say(error(ErrorCode::ReceiptHandleError));
    let server = Server::start(vec![vec![dead(), dead()]]).await;
    let queue = server.client().queue("q");
    assert_eq!(queue.delete(&handles(&["a"])).await.unwrap(), [DeleteOutcome::Stale]);
    assert_eq!(queue.delete(&handles(&["a", "b"])).await.unwrap(), [DeleteOutcome::Unknown; 2]);
}

#[tokio::test]
async fn an_extension_gives_the_new_handle() {
    let changed = ChangedVisibility { receipt_handle: "new".into(), next_visible_time: 5_000 };
    let script = vec![
        Step::Say(error(ErrorCode::TooManyRequests)),
        Step::Say(answer(&Answer::VisibilityChanged(changed))),
        Step::Say(error(ErrorCode::MessageNotExist)),
        Step::Say(error(ErrorCode::InternalError)),
    ];
    let mut server = Server::start(vec![script]).await;
    let queue = server.client().queue("q");
    let extended = queue.extend(&Handle::new("a+b"), Duration::from_millis(1_500)).await.unwrap();
    assert_eq!((extended.handle.as_str(), extended.next_visible), ("new", Some(ServerMs(5_000))));
    let target = server.next_asked().await.target;
    assert_eq!(target, "/queues/q/messages?ReceiptHandle=a%2Bb&VisibilityTimeout=2");
    assert_eq!(queue.extend(&Handle::new("a"), Duration::ZERO).await.unwrap_err().kind, QueueErrorKind::Gone);
    // An answer that may have changed the handle is not tried again: the handle would be dead.
    let failed = queue.extend(&Handle::new("a"), Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient);
    assert_eq!(server.all_asked().len(), 4);
}

#[tokio::test]
async fn answers_that_cannot_be_read_ask_for_less() {
    for bytes in [
        raw(200, "", "<Messages><Message><MessageId>m</MessageId>"),
        raw(200, "", "hello"),
        raw(200, "", ""),
        raw(404, "", "<html>no such page</html>"),
    ] {
        let server = Server::start(vec![vec![Step::Say(bytes)]]).await;
        let failed = server.client().queue("q").receive(request(16, 0)).await.unwrap_err();
        assert_eq!(failed.kind, QueueErrorKind::Unreadable, "{failed}");
        assert_eq!(server.all_asked().len(), 1, "a receive is not repeated");
    }
}

#[tokio::test]
async fn a_gateway_in_trouble_is_passing() {
    let html = raw(503, "", "<html><body>503 Service Temporarily Unavailable</body></html>");
    let server =
        Server::start(vec![vec![Step::Say(html.clone())], vec![Step::Say(html), Step::Say(attributes())]]).await;
    let queue = server.client().queue("q");
    let failed = queue.receive(request(16, 0)).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Transient);
    assert!(failed.to_string().contains("Temporarily"), "{failed}");
    let described = queue.describe().await.unwrap();
    assert_eq!((described.lease, described.max_message_bytes), (Some(Duration::from_secs(30)), Some(65_536)));
}

#[tokio::test]
async fn a_redirect_is_an_error_that_names_where_it_points() {
    let redirect = raw(302, "location: http://elsewhere.example/\r\n", "");
    let server = Server::start(vec![vec![Step::Say(redirect)]]).await;
    let failed = server.client().queue("q").receive(request(16, 0)).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::Refused);
    assert!(failed.to_string().contains("http://elsewhere.example/"), "{failed}");
    assert_eq!(server.all_asked().len(), 1);
}

#[tokio::test]
async fn denied_says_which_right_is_missing() {
    let server = Server::start(vec![vec![Step::Say(error(ErrorCode::AccessDenied))]]).await;
    let denied = server.client().queue("q").receive(request(16, 0)).await.unwrap_err();
    assert_eq!(denied.kind, QueueErrorKind::Denied);
    assert!(denied.to_string().contains("mns:ReceiveMessage on acs:mns:*:*:/queues/q/messages"), "{denied}");
}

#[test]
fn identity_is_account_and_name_whatever_the_address() {
    for (endpoint, account) in [
        ("http://123.mns.cn-hangzhou.aliyuncs.com", "123"),
        ("https://123.mns.cn-hangzhou-internal.aliyuncs.com", "123"),
        ("http://127.0.0.1:8080", ""),
    ] {
        let credentials = Credentials::key("id", "hush");
        let client = MnsClient::builder(Endpoint::parse(endpoint).unwrap(), credentials).build().unwrap();
        let queue = client.queue("q");
        assert_eq!(queue.identity(), QueueIdentity { account: account.into(), name: "q".into() });
        assert!(!format!("{queue:?}").contains("hush"));
    }
}
