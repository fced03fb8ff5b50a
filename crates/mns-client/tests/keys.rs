//! Keys, signatures and clocks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use headwater_core::{Handle, ManualClock, Queue, QueueErrorKind, ReceiveRequest, WallMs};
use headwater_mns_client::{Credentials, CredentialsError, CredentialsProvider};
use headwater_mns_proto::{AccessKey, Answer, ErrorCode, ListQueues, NewMessage, QueueSettings, Request};
use support::{Server, Step, answer, attributes, error, key, raw, received};

#[tokio::test]
async fn every_operation_is_signed_and_understood() {
    let message = "<Message><MessageId>m</MessageId><MessageBodyMD5>x</MessageBodyMD5></Message>";
    let script = vec![
        Step::Say(raw(201, "location: http://h/queues/q\r\n", "")),
        Step::Say(attributes()),
        Step::Say(raw(204, "", "")),
        Step::Say(raw(200, "", "<Queues><NextMarker>n</NextMarker></Queues>")),
        Step::Say(raw(201, "", message)),
        Step::Say(raw(201, "", &format!("<Messages>{message}{message}</Messages>"))),
        Step::Say(error(ErrorCode::MessageNotExist)),
        Step::Say(raw(200, "", "<Account><LoggingBucket>b</LoggingBucket></Account>")),
        Step::Say(raw(204, "", "")),
    ];
    let count = script.len();
    let server = Server::start(vec![script]).await;
    let client = server.client();
    let settings = QueueSettings { visibility_timeout: Some(60), ..QueueSettings::default() };
    client.create_queue("q", settings).await.unwrap();
    assert_eq!(client.queue_attributes("q").await.unwrap().visibility_timeout, 30);
    client.set_queue_attributes("q", settings).await.unwrap();
    let list = ListQueues { prefix: Some("q".into()), limit: Some(5), ..ListQueues::default() };
    assert_eq!(client.list_queues(list.clone()).await.unwrap().next_marker.as_deref(), Some("n"));
    assert_eq!(client.send("q", NewMessage::new("a & b")).await.unwrap().id, "m");
    assert_eq!(client.batch_send("q", vec![NewMessage::new("a"), NewMessage::new("b")]).await.unwrap().len(), 2);
    assert!(client.peek("q", 3).await.unwrap().is_empty());
    assert_eq!(client.account_attributes().await.unwrap().logging_bucket, "b");
    client.delete_queue("q").await.unwrap();

    let all = server.all_asked();
    assert_eq!(all.len(), count);
    for asked in &all {
        asked.verify(&key());
        assert!(asked.header("user-agent").unwrap().starts_with("headwater/"));
        Request::read(&asked.method, &asked.target, asked.header_bytes(), &asked.body).unwrap();
    }
    let listed = Request::read(&all[3].method, &all[3].target, all[3].header_bytes(), b"").unwrap();
    assert_eq!(listed, Request::ListQueues(list));
}

#[tokio::test]
async fn a_temporary_key_sends_its_token() {
    let mut server = Server::start(vec![vec![Step::Say(attributes())]]).await;
    let key = AccessKey::with_token("STS.id", "secret", "the token");
    let endpoint = server.endpoint();
    let builder = headwater_mns_client::MnsClient::builder(endpoint, Credentials::fixed(key.clone()));
    builder.build().unwrap().queue_attributes("q").await.unwrap();
    let asked = server.next_asked().await;
    assert_eq!(asked.header("security-token"), Some("the token"));
    asked.verify(&key);
}

/// Gives out numbered keys; a refresh turns to the next, up to the last.
#[derive(Debug)]
struct Renewing {
    current: Arc<AtomicUsize>,
    last: usize,
}

#[async_trait]
impl CredentialsProvider for Renewing {
    async fn key(&self) -> Result<AccessKey, CredentialsError> {
        Ok(AccessKey::new(format!("id{}", self.current.load(Ordering::Relaxed)), "secret"))
    }

    async fn refresh(&self, refused: &AccessKey) -> Result<AccessKey, CredentialsError> {
        assert_eq!(refused.id(), format!("id{}", self.current.load(Ordering::Relaxed)));
        if self.current.load(Ordering::Relaxed) < self.last {
            self.current.fetch_add(1, Ordering::Relaxed);
        }
        self.key().await
    }
}

fn ids(server: &Server) -> Vec<String> {
    let id = |asked: support::Asked| {
        let value = asked.header("authorization").unwrap().to_owned();
        value["MNS ".len()..].split(':').next().unwrap().to_owned()
    };
    server.all_asked().into_iter().map(id).collect()
}

fn renewing(server: &Server, last: usize) -> headwater_mns_client::MnsClient {
    let credentials = Credentials::provider(Renewing { current: Arc::default(), last });
    headwater_mns_client::MnsClient::builder(server.endpoint(), credentials).build().unwrap()
}

#[tokio::test]
async fn an_unknown_key_is_renewed_once() {
    let unknown = || Step::Say(error(ErrorCode::InvalidAccessKeyId));
    let expired = || Step::Say(error(ErrorCode::Other("InvalidSecurityToken.Expired".into())));
    let server = Server::start(vec![
        vec![unknown(), Step::Say(received(&["a"])), Step::Say(received(&["b"]))],
        vec![expired(), Step::Say(attributes())],
    ])
    .await;
    let client = renewing(&server, 9);
    let queue = client.queue("q");
    let request = ReceiveRequest { max: 1, wait: Duration::ZERO };
    assert_eq!(queue.receive(request).await.unwrap().messages.len(), 1);
    assert_eq!(queue.receive(request).await.unwrap().messages.len(), 1);
    client.queue_attributes("q").await.unwrap();
    assert_eq!(ids(&server), ["id0", "id1", "id1", "id1", "id2"]);
}

/// What is kept of a receive and of a delete is good for a second, for a key, and for everything but the handles.
#[tokio::test]
async fn a_request_made_again_is_dated_with_every_second_and_says_its_own_handles() {
    let (receives, done) = (|| Step::Say(received(&["a"])), || Step::Say(answer(&Answer::Done)));
    let server =
        Server::start(vec![vec![receives(), receives(), receives()], vec![done(), done(), done(), done()]]).await;
    let clock = ManualClock::new(WallMs(1_795_161_600_000));
    let queue = server.builder().clock(Arc::new(clock.clone())).build().unwrap().queue("q");
    let receive = || queue.receive(ReceiveRequest { max: 1, wait: Duration::ZERO });
    let delete = |handle| [Handle::new(handle)];
    receive().await.unwrap();
    receive().await.unwrap();
    clock.advance(Duration::from_secs(1));
    receive().await.unwrap();
    queue.delete(&delete("first")).await.unwrap();
    queue.delete(&delete("second")).await.unwrap();
    clock.advance(Duration::from_secs(1));
    queue.delete(&delete("third")).await.unwrap();
    queue.delete(&delete("first")).await.unwrap();

    let asked = server.all_asked();
    asked.iter().for_each(|asked| asked.verify(&key()));
    let seconds: Vec<_> = asked.iter().map(|asked| asked.header("date").unwrap()[20..25].to_owned()).collect();
    assert_eq!(seconds, ["00:00", "00:00", "00:01", "00:01", "00:01", "00:02", "00:02"]);
    for (asked, handle) in asked[3..].iter().zip(["first", "second", "third", "first"]) {
        let body = String::from_utf8_lossy(&asked.body);
        assert_eq!(body.matches("<ReceiptHandle>").count(), 1, "{body}");
        assert!(body.contains(&format!("<ReceiptHandle>{handle}</ReceiptHandle>")), "{body}");
        assert_eq!(asked.header("content-length"), Some(body.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn a_delete_is_signed_anew_with_a_renewed_key() {
    let unknown = || Step::Say(error(ErrorCode::InvalidAccessKeyId));
    let done = || Step::Say(answer(&Answer::Done));
    let server = Server::start(vec![vec![done(), unknown(), done(), done()]]).await;
    let queue = renewing(&server, 9).queue("q");
    for handle in ["a", "b", "c"] {
        queue.delete(&[Handle::new(handle)]).await.unwrap();
    }
    assert_eq!(ids(&server), ["id0", "id0", "id1", "id1"]);
}

#[tokio::test]
async fn a_key_that_stays_unknown_is_an_error() {
    let unknown = || Step::Say(error(ErrorCode::InvalidAccessKeyId));
    // The provider has nothing else, so that there is no second call.
    let server = Server::start(vec![vec![unknown(), unknown()]]).await;
    let failed = renewing(&server, 0).queue_attributes("q").await.unwrap_err();
    assert_eq!((failed.kind(), failed.code()), (QueueErrorKind::Credentials, Some(&ErrorCode::InvalidAccessKeyId)));
    assert_eq!(ids(&server), ["id0"]);
    // It has, and that is refused, too.
    let server = Server::start(vec![vec![unknown(), unknown()]]).await;
    let failed = renewing(&server, 9).queue_attributes("q").await.unwrap_err();
    assert_eq!(failed.kind(), QueueErrorKind::Credentials);
    assert_eq!(ids(&server), ["id0", "id1"]);
}

#[tokio::test]
async fn no_key_is_said_before_anything_is_sent() {
    let server = Server::start(vec![]).await;
    let credentials = Credentials::from_variables(|_| None);
    let client = headwater_mns_client::MnsClient::builder(server.endpoint(), credentials).build().unwrap();
    let failed = client.queue_attributes("q").await.unwrap_err();
    assert_eq!(failed.kind(), QueueErrorKind::Credentials);
    assert!(failed.to_string().contains("ALIBABA_CLOUD_ACCESS_KEY_ID"), "{failed}");
    assert!(server.all_asked().is_empty());
}

#[tokio::test]
async fn a_skewed_clock_is_measured_and_said() {
    // The service's clock stands at 08:00:00; this machine's 20 minutes and 3 seconds before.
    let clock = ManualClock::new(WallMs((1_795_161_600 - 1_203) * 1_000));
    let body = "<Error><Code>TimeExpired</Code><Message>The http request you sent is expired.</Message></Error>";
    let expired = raw(408, "date: Fri, 20 Nov 2026 08:00:00 GMT\r\n", body);
    let server = Server::start(vec![vec![Step::Say(expired.clone())], vec![Step::Say(expired)]]).await;
    let client = server.builder().clock(Arc::new(clock)).build().unwrap();
    assert_eq!(client.clock_offset(), None);
    let failed = client.queue("q").receive(ReceiveRequest { max: 1, wait: Duration::ZERO }).await.unwrap_err();
    assert_eq!(failed.kind, QueueErrorKind::ClockSkew);
    assert!(failed.to_string().contains("20 min 3 s behind"), "{failed}");
    assert_eq!(client.clock_offset(), None, "receives do not measure");
    client.queue_attributes("q").await.unwrap_err();
    assert_eq!(client.clock_offset().map(|offset| offset.offset_ms), Some(1_203_500));
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let mut codes: Vec<_> = ErrorCode::ALL.to_vec();
    codes.retain(|code| !matches!(code.status(), 429 | 500));
    let script = codes.iter().map(|code| Step::Say(error(code.clone()))).collect();
    let server = Server::start(vec![script]).await;
    let mut settings = support::settings();
    settings.max_attempts = 1;
    let client = server.builder().settings(settings).build().unwrap();
    for code in codes {
        let failed = client.queue_attributes("q").await.unwrap_err();
        assert_eq!(failed.code(), Some(&code));
        assert!(!format!("{failed} {failed:?} {client:?}").contains("testsecret"), "{failed:?}");
    }
}
