//! The server over real TCP: polls that wait and what wakes them, lost answers, limits, the end.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{Clock, ManualClock, WallMs};
use headwater_mns_proto::{
    AccessKey, ErrorCode, Failure, NewMessage, Operation, QueueSettings, Request, Signer, answer, numbers,
};
use headwater_mns_server::{Dose, Faults, PerOperation, Server, ServerBuilder, ServerHandle, Span};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Fri, 20 Nov 2026 08:00:00 GMT, in seconds.
const START: u64 = 1_795_161_600;
const SECOND: Duration = Duration::from_secs(1);

fn clock() -> ManualClock {
    ManualClock::new(WallMs(START as i64 * 1_000))
}

fn server(clock: &ManualClock) -> ServerBuilder {
    let settings = QueueSettings { visibility_timeout: Some(5), ..QueueSettings::default() };
    Server::builder().manual_clock(clock.clone()).queue_with("q", settings)
}

/// One connection of a client that signs like an SDK.
struct Client {
    sender: SendRequest<Full<Bytes>>,
    signer: Signer,
    /// Drives the connection; dropped with the client, which closes it.
    _driver: JoinSet<()>,
}

#[derive(Debug)]
struct Reply {
    status: u16,
    body: Bytes,
    closes: bool,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _ = connection.await;
        });
        Self { sender, signer: Signer::new(AccessKey::new("testid", "testsecret")), _driver: driver }
    }

    async fn call(&mut self, request: &Request) -> Result<Reply, hyper::Error> {
        let wire = request.write().unwrap();
        let mut http = hyper::Request::builder().method(wire.method.as_str()).uri(&wire.target);
        http = http.header("host", "localhost");
        for (name, value) in self.signer.headers(&wire, START) {
            http = http.header(name, value);
        }
        self.send(http.body(Full::from(wire.body.unwrap_or_default())).unwrap()).await
    }

    async fn send(&mut self, request: hyper::Request<Full<Bytes>>) -> Result<Reply, hyper::Error> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let closes = response.headers().get("connection").is_some_and(|value| value == "close");
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Reply { status, body, closes })
    }

    async fn receive(&mut self, wait: Option<u32>) -> Vec<(String, String)> {
        received(&self.call(&receive(wait)).await.unwrap()).unwrap()
    }
}

fn receive(wait: Option<u32>) -> Request {
    Request::ReceiveMessage { queue: "q".into(), batch: Some(16), wait_seconds: wait }
}

fn send(body: &str) -> Request {
    Request::SendMessage { queue: "q".into(), message: NewMessage::new(body) }
}

/// Bodies and handles; an empty queue is no error.
fn received(reply: &Reply) -> Result<Vec<(String, String)>, Failure> {
    let messages = answer::received(reply.status, &reply.body)?;
    let body = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    Ok(messages.iter().map(|one| (body(&one.message.body), one.receipt_handle.to_string())).collect())
}

/// Polls in the background, each parked before the next begins.
#[derive(Default)]
struct Pollers {
    tasks: JoinSet<(usize, Vec<String>)>,
}

impl Pollers {
    async fn park(&mut self, server: &ServerHandle, name: usize, wait: Option<u32>) {
        let mut client = Client::connect(server.address()).await;
        let before = server.parked("q");
        self.tasks.spawn(async move {
            let got = client.receive(wait).await;
            (name, got.into_iter().map(|(body, _)| body).collect())
        });
        server.until(|server| server.parked("q") == before + 1).await;
    }

    /// The next poll to end, and what it got.
    async fn next(&mut self) -> (usize, Vec<String>) {
        // Nothing here takes long: the limit turns a poll that is never woken into a failure.
        let ended = tokio::time::timeout(Duration::from_secs(20), self.tasks.join_next());
        ended.await.expect("a poll was not woken").unwrap().unwrap()
    }
}

fn put(server: &ServerHandle, body: &str) {
    server.put("q", vec![NewMessage::new(body)]).unwrap();
}

/// Ready once somebody sleeps on the clock.
async fn asleep(clock: &ManualClock) {
    while clock.next_deadline().is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn signed_requests_are_answered_on_one_connection() {
    let clock = clock();
    let server = server(&clock).start().await.unwrap();
    let mut client = Client::connect(server.address()).await;
    assert_eq!(client.call(&send("hello")).await.unwrap().status, 201);
    let got = client.receive(None).await;
    assert_eq!(got[0].0, "hello");
    let delete = Request::DeleteMessage { queue: "q".into(), receipt_handle: got[0].1.clone() };
    let reply = client.call(&delete).await.unwrap();
    assert_eq!((reply.status, reply.body.len(), reply.closes), (204, 0, false));
    assert_eq!(client.receive(None).await, []);
    assert_eq!(server.requests(Operation::BatchReceiveMessage), 2);
    assert_eq!((server.journal().messages(Operation::DeleteMessage), server.deleted("q").len()), (1, 1));

    client.signer = Signer::new(AccessKey::new("testid", "wrong"));
    assert_eq!(client.call(&send("x")).await.unwrap().status, 403);
    clock.advance(16 * 60 * SECOND);
    client.signer = Signer::new(AccessKey::new("testid", "testsecret"));
    assert_eq!(client.call(&send("x")).await.unwrap().status, 408);
    server.shutdown().await;
}

#[tokio::test]
async fn a_poll_wakes_on_a_send_over_the_wire() {
    let server = server(&clock()).start().await.unwrap();
    let mut pollers = Pollers::default();
    pollers.park(&server, 0, Some(30)).await;
    let mut client = Client::connect(server.address()).await;
    assert_eq!(client.call(&send("hello")).await.unwrap().status, 201);
    assert_eq!(pollers.next().await, (0, vec!["hello".to_owned()]));
}

#[tokio::test]
async fn a_poll_wakes_when_a_lease_or_a_delay_ends() {
    let clock = clock();
    let server = server(&clock).start().await.unwrap();
    put(&server, "leased");
    let mut delayed = NewMessage::new("delayed");
    delayed.delay_seconds = Some(8);
    server.put("q", vec![delayed]).unwrap();
    assert_eq!(Client::connect(server.address()).await.receive(None).await.len(), 1);

    let mut pollers = Pollers::default();
    pollers.park(&server, 0, Some(30)).await;
    clock.advance(5 * SECOND);
    assert_eq!(pollers.next().await, (0, vec!["leased".to_owned()]));
    pollers.park(&server, 1, Some(30)).await;
    clock.advance(3 * SECOND);
    assert_eq!(pollers.next().await, (1, vec!["delayed".to_owned()]));
}

#[tokio::test]
async fn a_poll_wakes_when_a_lease_is_cut_short() {
    let clock = clock();
    let server = server(&clock).start().await.unwrap();
    put(&server, "m");
    let mut client = Client::connect(server.address()).await;
    let handle = client.receive(None).await.remove(0).1;
    let mut pollers = Pollers::default();
    pollers.park(&server, 0, Some(30)).await;
    let change = Request::ChangeMessageVisibility { queue: "q".into(), receipt_handle: handle, visibility_timeout: 1 };
    assert_eq!(client.call(&change).await.unwrap().status, 200);
    clock.advance(SECOND);
    assert_eq!(pollers.next().await, (0, vec!["m".to_owned()]));
}

#[tokio::test]
async fn an_empty_poll_ends_when_its_wait_is_over_and_the_request_decides_how_long_that_is() {
    let clock = clock();
    let server = server(&clock).start().await.unwrap();
    let settings = QueueSettings { polling_wait_seconds: Some(10), ..QueueSettings::default() };
    let mut client = Client::connect(server.address()).await;
    let set = Request::SetQueueAttributes { queue: "q".into(), settings };
    assert_eq!(client.call(&set).await.unwrap().status, 204);
    assert_eq!(client.receive(Some(0)).await, [], "a short poll, whatever the queue says");

    let mut pollers = Pollers::default();
    pollers.park(&server, 0, None).await;
    pollers.park(&server, 1, Some(20)).await;
    clock.advance(10 * SECOND);
    assert_eq!(pollers.next().await, (0, vec![]));
    assert_eq!(server.parked("q"), 1);
    clock.advance(10 * SECOND);
    assert_eq!(pollers.next().await, (1, vec![]));
}

#[tokio::test]
async fn polls_are_served_in_the_order_they_came() {
    let server = server(&clock()).start().await.unwrap();
    let mut pollers = Pollers::default();
    for name in 0..4 {
        pollers.park(&server, name, Some(30)).await;
    }
    for name in 0..4 {
        put(&server, "m");
        assert_eq!(pollers.next().await, (name, vec!["m".to_owned()]));
    }
}

#[tokio::test]
async fn what_the_head_leaves_goes_to_the_next() {
    let server = server(&clock()).start().await.unwrap();
    let mut pollers = Pollers::default();
    for name in 0..3 {
        pollers.park(&server, name, Some(30)).await;
    }
    server.put("q", (0..20).map(|number| NewMessage::new(number.to_string()))).unwrap();
    let mut served = [pollers.next().await, pollers.next().await];
    served.sort();
    let counts: Vec<(usize, usize)> = served.iter().map(|(name, got)| (*name, got.len())).collect();
    assert_eq!(counts, [(0, 16), (1, 4)]);
    assert_eq!(server.parked("q"), 1);
}

#[tokio::test]
async fn a_client_that_went_away_is_leased_nothing() {
    let server = server(&clock()).start().await.unwrap();
    let mut gone = JoinSet::new();
    let address = server.address();
    gone.spawn(async move {
        Client::connect(address).await.receive(Some(30)).await;
    });
    server.until(|server| server.parked("q") == 1).await;
    let mut pollers = Pollers::default();
    pollers.park(&server, 1, Some(30)).await;
    gone.shutdown().await;
    server.until(|server| server.parked("q") == 1).await;
    put(&server, "m");
    assert_eq!(pollers.next().await, (1, vec!["m".to_owned()]));
    assert_eq!(server.counts("q").unwrap().leased, 1);
}

#[tokio::test]
async fn deleting_the_queue_ends_its_polls() {
    let server = server(&clock()).start().await.unwrap();
    let mut polls = JoinSet::new();
    for parked in 1..=2 {
        let mut client = Client::connect(server.address()).await;
        polls.spawn(async move { client.call(&receive(Some(30))).await.unwrap() });
        server.until(|server| server.parked("q") == parked).await;
    }
    let mut client = Client::connect(server.address()).await;
    assert_eq!(client.call(&Request::DeleteQueue { queue: "q".into() }).await.unwrap().status, 204);
    let limit = Duration::from_secs(20);
    while let Some(reply) = tokio::time::timeout(limit, polls.join_next()).await.expect("a poll was not woken") {
        let failure = received(&reply.unwrap()).unwrap_err();
        assert_eq!(failure.service().unwrap().code, ErrorCode::QueueNotExist);
    }
}

#[tokio::test]
async fn one_poll_too_many_is_answered_at_once() {
    let faults = Faults { max_parked_polls: Some(1), ..Faults::default() };
    let server = server(&clock()).faults(faults).start().await.unwrap();
    let mut pollers = Pollers::default();
    pollers.park(&server, 0, Some(30)).await;
    assert_eq!(Client::connect(server.address()).await.receive(Some(30)).await, []);
}

#[tokio::test]
async fn a_lost_answer_had_its_effect_and_a_dropped_request_had_none() {
    let on_send = |dose| PerOperation::default().on(Operation::SendMessage, dose);
    let faults = Faults { lose_answer: on_send(Dose::Count(1)), ..Faults::default() };
    let server = server(&clock()).faults(faults).start().await.unwrap();
    let lost = Client::connect(server.address()).await.call(&send("m")).await;
    assert!(lost.unwrap_err().is_incomplete_message());
    assert_eq!(server.counts("q").unwrap().visible, 1);

    server.set_faults(Faults { drop_request: on_send(Dose::Count(1)), ..Faults::default() });
    let dropped = Client::connect(server.address()).await.call(&send("m")).await;
    assert!(dropped.unwrap_err().is_incomplete_message());
    assert_eq!(server.counts("q").unwrap().visible, 1);
    assert_eq!(Client::connect(server.address()).await.call(&send("m")).await.unwrap().status, 201);
}

#[tokio::test]
async fn an_error_can_close_its_connection() {
    let faults = Faults { close_on_error: Dose::Count(1), ..Faults::default() };
    let server = server(&clock()).faults(faults).start().await.unwrap();
    let mut client = Client::connect(server.address()).await;
    assert!(client.call(&receive(None)).await.unwrap().closes, "an empty queue is an error to the service");
    assert!(client.call(&receive(None)).await.is_err());
    let mut client = Client::connect(server.address()).await;
    assert!(!client.call(&receive(None)).await.unwrap().closes);
}

#[tokio::test]
async fn a_jump_of_the_time_of_day_does_not_prolong_a_poll() {
    let clock = clock();
    let server = server(&clock).start().await.unwrap();
    let mut pollers = Pollers::default();
    pollers.park(&server, 0, Some(10)).await;
    clock.set_wall(WallMs((START as i64 - 3_600) * 1_000));
    clock.advance(10 * SECOND);
    assert_eq!(pollers.next().await, (0, vec![]));
}

#[tokio::test]
async fn latency_and_holds_pass_on_the_server_s_clock() {
    let clock = clock();
    let faults = Faults {
        latency_millis: Span::exactly(200),
        answer_latency_millis: Span::exactly(300),
        too_many_requests: PerOperation::default().on(Operation::GetQueueAttributes, Dose::ALWAYS),
        ..Faults::default()
    };
    let server = server(&clock).faults(faults).start().await.unwrap();
    let mut client = Client::connect(server.address()).await;
    let mut calls = JoinSet::new();
    calls.spawn(async move { (client.call(&send("m")).await.unwrap().status, client) });
    asleep(&clock).await;
    assert_eq!(server.counts("q").unwrap().visible, 0);
    clock.advance(Duration::from_millis(200));
    server.until(|server| server.counts("q").unwrap().visible == 1).await;
    asleep(&clock).await;
    assert!(calls.try_join_next().is_none());
    clock.advance(Duration::from_millis(300));
    let (status, mut client) = calls.join_next().await.unwrap().unwrap();
    assert_eq!(status, 201);

    let started = clock.now();
    calls.spawn(async move {
        let get = Request::GetQueueAttributes { queue: "q".into() };
        (client.call(&get).await.unwrap().status, client)
    });
    for _ in 0..2 {
        asleep(&clock).await;
        let deadline = clock.next_deadline().unwrap();
        clock.advance(deadline.since(clock.now()));
    }
    assert_eq!(calls.join_next().await.unwrap().unwrap().0, 429);
    assert_eq!(clock.now().since(started), Duration::from_millis(200 + 300 + 500));
}

#[tokio::test]
async fn a_body_beyond_any_valid_request_is_refused() {
    let server = server(&clock()).no_auth().start().await.unwrap();
    let mut client = Client::connect(server.address()).await;
    let body = vec![b'x'; numbers::MAX_REQUEST_BODY + 1];
    let request = hyper::Request::post("/queues/q/messages").header("host", "localhost").body(Full::from(body));
    let reply = client.send(request.unwrap()).await;
    // The answer may be cut off by the close, since the server does not read the rest.
    if let Ok(reply) = reply {
        assert!(reply.status == 400 && reply.closes, "{reply:?}");
    }
    assert_eq!(server.journal().entries().last().unwrap().code, Some(ErrorCode::InvalidArgument));
}

#[tokio::test]
async fn targets_come_through_as_sent() {
    let server = server(&clock()).no_auth().start().await.unwrap();
    put(&server, "m");
    let mut client = Client::connect(server.address()).await;
    for (target, status) in [
        ("//queues//q//messages?peekonly=true", 200),
        ("/%71ueues/%71/messages?PEEKONLY=TRUE", 200),
        ("/queues/q/messages?receiptHandle=8-a+b/c==&visibilityTimeout=5", 400),
    ] {
        let request = hyper::Request::get(target).header("host", "localhost").body(Full::default()).unwrap();
        let request = match status {
            200 => request,
            _ => hyper::Request::put(target).header("host", "localhost").body(Full::default()).unwrap(),
        };
        assert_eq!(client.send(request).await.unwrap().status, status, "{target}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_in_the_backlog() {
    let server = server(&clock()).max_connections(1).start().await.unwrap();
    let mut first = Client::connect(server.address()).await;
    assert_eq!(first.receive(None).await, []);
    let mut second = Client::connect(server.address()).await;
    let mut calls = JoinSet::new();
    calls.spawn(async move { second.receive(None).await });
    assert_eq!(first.receive(None).await, []);
    assert!(calls.try_join_next().is_none());
    drop(first);
    assert_eq!(calls.join_next().await.unwrap().unwrap(), []);
}

#[tokio::test]
async fn shutdown_answers_parked_polls_and_frees_the_port() {
    let server = server(&clock()).start().await.unwrap();
    let address = server.address();
    let mut pollers = Pollers::default();
    pollers.park(&server, 0, Some(30)).await;
    let idle = Client::connect(address).await;
    server.shutdown().await;
    assert_eq!(pollers.next().await, (0, vec![]));
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err());
    let again = Server::builder().listen(address).start().await.unwrap();
    assert_eq!(again.endpoint(), format!("http://{address}"));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let taken = Server::builder().start().await.unwrap();
    let error = Server::builder().listen(taken.address()).start().await.unwrap_err();
    assert!(error.to_string().contains("Port 0"), "{error}");
    let error = Server::builder().queue("no_such_name").start().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot create queue \"no_such_name\"");
    assert!(taken.advance(SECOND).is_err());
}
