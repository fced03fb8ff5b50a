//! Clients that are none: whatever they send, or do not, the server answers or hangs up in time, and serves everybody else.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use headwater_mns_proto::{AccessKey, NewMessage, Operation, Request, Signer};
use headwater_mns_server::{Server, ServerBuilder, ServerHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long these servers wait for a client: short, since here somebody does wait for it to pass.
const PATIENCE: Duration = Duration::from_millis(300);
/// Nothing here takes nearly as long: it turns what hangs into a failure.
const FOR_EVER: Duration = Duration::from_secs(30);

fn builder() -> ServerBuilder {
    Server::builder().queue("q").check_date(false).patience(PATIENCE)
}

/// Sends bytes, and reads until the server hangs up.
async fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may hang up in the middle.
    let _ = stream.write_all(bytes).await;
    hear(&mut stream).await
}

async fn hear(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let read = tokio::time::timeout(FOR_EVER, stream.read_to_end(&mut heard)).await;
    let _ = read.expect("the server does not hang up");
    String::from_utf8_lossy(&heard).into_owned()
}

/// A request as an SDK sends it, as bytes; the connection ends with it.
fn signed(request: &Request, secret: &str) -> Vec<u8> {
    let wire = request.write().unwrap();
    let body = wire.body.clone().unwrap_or_default();
    let headers = Signer::new(AccessKey::new("testid", secret)).headers(&wire, 1_795_161_600);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}",
        wire.method.as_str(),
        wire.target
    )
    .into_bytes()
}

fn send() -> Vec<u8> {
    signed(&Request::SendMessage { queue: "q".into(), message: NewMessage::new("m") }, "testsecret")
}

fn receive(wait: u32) -> Vec<u8> {
    let request = Request::ReceiveMessage { queue: "q".into(), batch: Some(16), wait_seconds: Some(wait) };
    signed(&request, "testsecret")
}

/// An ordinary client is served.
async fn assert_serves(server: &ServerHandle, name: &str) {
    let heard = say(server.address(), &send()).await;
    assert!(heard.starts_with("HTTP/1.1 201"), "{name}: {heard}");
}

#[tokio::test]
async fn what_is_not_http_is_hung_up_on() {
    let server = builder().start().await.unwrap();
    let many = "a: b\r\n".repeat(200);
    for (name, bytes) in [
        ("TLS", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("zero bytes", &[0; 100_000]),
        ("a line without end", &[b'A'; 1_000_000]),
        ("a target without end", &[&b"GET /"[..], &[b'a'; 1_000_000]].concat()),
        ("a header without end", &[&b"GET / HTTP/1.1\r\na: "[..], &[b'a'; 1_000_000]].concat()),
        ("headers without end", &[&b"GET / HTTP/1.1\r\n"[..], &b"a: b\r\n".repeat(100_000)].concat()),
        ("200 headers", format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()),
        ("a length of 2^64", b"POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n"),
        ("a length of -1", b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"),
        ("two lengths", b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
        ("a chunk of 2^68", b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"),
        ("not UTF-8", b"GET /\xff\xfe HTTP/1.1\r\nhost: \xff\r\n\r\n"),
        ("nothing", b""),
    ] {
        let heard = say(server.address(), bytes).await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "{name}: {heard}");
        assert_serves(&server, name).await;
    }
}

#[tokio::test]
async fn slow_clients_are_hung_up_on_wherever_they_stop() {
    let server = builder().start().await.unwrap();
    let whole = send();
    let mut stopped = JoinSet::new();
    for cut in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        let (address, part) = (server.address(), whole[..cut].to_vec());
        stopped.spawn(async move { (cut, say(address, &part).await) });
    }
    // A client that only ever sends the next byte in time is no quicker for it.
    let address = server.address();
    stopped.spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        while stream.write_all(b"a").await.is_ok() {
            tokio::task::yield_now().await;
        }
        (usize::MAX, hear(&mut stream).await)
    });
    while let Some(ended) = stopped.join_next().await {
        let (cut, heard) = ended.unwrap();
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "cut at {cut}: {heard}");
    }
    assert_serves(&server, "slow clients").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_hung_up_on() {
    let server = builder().no_auth().max_connections(1).start().await.unwrap();
    let body = "b".repeat(65_000);
    server.put("q", (0..16).map(|_| NewMessage::new(body.clone()))).unwrap();
    let peek = b"GET /queues/q/messages?peekonly=true&numOfMessages=16 HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut deaf = TcpStream::connect(server.address()).await.unwrap();
    // Many megabytes of answers, and nobody who takes them.
    for _ in 0..40 {
        if deaf.write_all(peek).await.is_err() {
            break;
        }
    }
    // The only connection is free again.
    assert_serves(&server, "deaf client").await;
    drop(deaf);
}

#[tokio::test]
async fn large_bodies_of_strangers_are_not_read() {
    let server = builder().start().await.unwrap();
    for secret in ["wrong", "testsecret"] {
        let mut request = signed(&Request::SendMessage { queue: "q".into(), message: NewMessage::new("m") }, secret);
        let head = String::from_utf8(request.split_off(0)).unwrap();
        let head = head.split_once("\r\n\r\n").unwrap().0.replace("content-length: ", "content-length: 600000\r\nx: ");
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
        let heard = hear(&mut stream).await;
        match secret {
            "wrong" => assert!(heard.starts_with("HTTP/1.1 403"), "answered without the body: {heard}"),
            _ => assert!(heard.is_empty(), "waited for the body in vain: {heard}"),
        }
    }
    for length in ["700000", "9223372036854775808"] {
        let head = format!("POST /queues/q/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        let heard = say(server.address(), head.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 400"), "{length}: {heard}");
    }
    let open = builder().no_auth().start().await.unwrap();
    let chunks = b"10000\r\n".iter().copied().chain([b'x'; 0x10000]).chain(*b"\r\n").collect::<Vec<_>>().repeat(12);
    let endless =
        [&b"POST /queues/q/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"[..], &chunks].concat();
    let heard = say(open.address(), &endless).await;
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400"), "{heard}");
    assert_serves(&open, "endless body").await;
}

#[tokio::test]
async fn hostile_documents_and_names_are_answered_with_an_error() {
    let server = builder().no_auth().start().await.unwrap();
    let deep = format!("<Message>{}</Message>", "<a>".repeat(100_000));
    let post = |body: &[u8]| {
        let head = format!(
            "POST /queues/q/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into_bytes();
    for (name, bytes) in [
        ("laughs", post(b"<!DOCTYPE m [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><Message><MessageBody>&b;</MessageBody></Message>")),
        ("a file", post(b"<!DOCTYPE m [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Message><MessageBody>&x;</MessageBody></Message>")),
        ("depth", post(deep.as_bytes())),
        ("not UTF-8", post(b"<Message><MessageBody>\xff\xfe</MessageBody></Message>")),
        ("zero bytes", post(&[0; 10_000])),
        ("17 messages", post(format!("<Messages>{}</Messages>", "<Message><MessageBody>b</MessageBody></Message>".repeat(17)).as_bytes())),
        ("a priority of NaN", post(b"<Message><MessageBody>b</MessageBody><Priority>NaN</Priority></Message>")),
        ("a delay of 2^64", post(b"<Message><MessageBody>b</MessageBody><DelaySeconds>18446744073709551616</DelaySeconds></Message>")),
        ("a path out of here", get("/queues/../../../../etc/passwd/messages")),
        ("an encoded path out of here", get("/queues/%2e%2e%2f%2e%2e%2fetc%2fpasswd/messages?waitseconds=0")),
        ("a name with zero bytes", get("/queues/q%00/messages?waitseconds=0")),
        ("a name of 60 KB", get(&format!("/queues/{}/messages?waitseconds=0", "q".repeat(60_000)))),
        ("a name that is not UTF-8", get("/queues/%ff/messages")),
        ("a wait of ages", get("/queues/q/messages?waitseconds=4294967295")),
        ("a negative count", get("/queues/q/messages?numOfMessages=-1")),
        ("another method", b"BREW /queues/q HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec()),
        ("another host", b"GET http://127.0.0.1:1/queues/none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec()),
        ("CONNECT", b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec()),
    ] {
        let heard = say(server.address(), &bytes).await;
        assert!(heard.starts_with("HTTP/1.1 4"), "{name}: {heard}");
        assert!(!heard.contains("root:"), "{name}: {heard}");
        assert_serves(&server, name).await;
    }
    let longest = server.journal().entries().filter_map(|entry| entry.queue.as_ref().map(String::len)).max();
    assert!(longest.unwrap() <= 120, "the journal keeps what a client makes up: {longest:?}");
}

#[tokio::test]
async fn a_request_behind_a_request_is_one_of_its_own() {
    let server = builder().start().await.unwrap();
    // Signed as a receive with a body; the body is a request that nobody signed.
    let smuggled = "DELETE /queues/q HTTP/1.1\r\nhost: x\r\n\r\n";
    let poll = String::from_utf8(receive(0)).unwrap();
    let poll = poll.replace("content-length: 0", &format!("content-length: {}", smuggled.len()));
    say(server.address(), format!("{poll}{smuggled}").as_bytes()).await;
    // Lengths that contradict each other are no way to hide one either.
    let both = poll.replace("content-length", "transfer-encoding: chunked\r\ncontent-length");
    say(server.address(), format!("{both}0\r\n\r\n{smuggled}").as_bytes()).await;
    assert!(server.counts("q").is_ok(), "the queue was deleted without a signature");
    assert_eq!(server.requests(Operation::DeleteQueue), 0);
}

#[tokio::test]
async fn parked_polls_leave_room_for_everybody_else() {
    let server = builder().max_connections(40).patience(FOR_EVER).start().await.unwrap();
    let mut polls = JoinSet::new();
    for _ in 0..36 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(&receive(30)).await.unwrap();
        polls.spawn(async move { hear(&mut stream).await });
    }
    server.until(|server| server.parked("q") == 36).await;
    // One more than may park is answered at once; others are served beside them.
    assert!(say(server.address(), &receive(30)).await.contains("MessageNotExist"));
    assert_serves(&server, "beside parked polls").await;
    let woken = tokio::time::timeout(FOR_EVER, polls.join_next()).await.unwrap().unwrap().unwrap();
    assert!(woken.starts_with("HTTP/1.1 200"), "a parked poll gets it: {woken}");
}

#[tokio::test]
async fn clients_that_leave_in_the_middle_leave_nothing_behind() {
    let server = builder().patience(FOR_EVER).start().await.unwrap();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(&receive(30)).await.unwrap();
        server.until(|server| server.parked("q") == 1).await;
        // Half of the connection is closed, as a client does that only wanted to send.
        stream.shutdown().await.unwrap();
        server.until(|server| server.parked("q") == 0).await;
    }
    assert_serves(&server, "half-closed").await;
    assert_eq!(server.counts("q").unwrap().leased, 0);
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

#[tokio::test]
async fn a_thousand_connections_cost_little_and_end() {
    let server = builder().patience(Duration::from_millis(500)).max_connections(200).start().await.unwrap();
    let before = std::path::Path::new("/proc/self/status").exists().then(resident);
    let mut crowd = JoinSet::new();
    for number in 0..1_000 {
        let address = server.address();
        crowd.spawn(async move {
            let Ok(mut stream) = TcpStream::connect(address).await else { return };
            let head = "POST /queues/q/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 600000\r\n";
            // At least a byte: a full backlog forgets a connection on which nothing is sent, and its client never hears of it.
            let _ = stream.write_all(&head.as_bytes()[..=number % (head.len() - 1)]).await;
            hear(&mut stream).await;
        });
    }
    // While they are there, others wait their turn and get it.
    assert_serves(&server, "in a crowd").await;
    while let Some(ended) = crowd.join_next().await {
        ended.unwrap();
    }
    if let Some(before) = before {
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 * 1_024 * 1_024, "{grown} bytes, 200 connections at a time");
    }
    assert_serves(&server, "after the crowd").await;
}
