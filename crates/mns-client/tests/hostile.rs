//! A server that is not one: whatever it answers, a call ends in time with an error that says what to do, memory stays within
//! the caps, and the next call on the same client works.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Clock as _, DeleteOutcome, Handle, ManualClock, Queue, QueueError, QueueErrorKind, WallMs};
use headwater_core::{ReceiveRequest, Received, ServerMs};
use headwater_mns_client::{Credentials, MnsQueue, Proxies};
use headwater_mns_proto::AccessKey;
use headwater_mns_proto::numbers::MAX_RECEIVE_RESPONSE;
use support::{Server, Step, raw, received, settings};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use QueueErrorKind::{Refused, Transient, Unreadable};

const RECEIVE: ReceiveRequest = ReceiveRequest { max: 16, wait: Duration::from_secs(2) };

/// What a receive comes to that is answered with `bytes`, behind which the connection ends. Whatever that is, the next receive
/// on the same client must work.
async fn outcome(name: &str, bytes: Vec<u8>) -> Result<Received, QueueError> {
    let server = Server::start(vec![vec![Step::SayAndClose(bytes)], vec![Step::Say(received(&["good"]))]]).await;
    let queue = server.client().queue("q");
    let first = tokio::time::timeout(Duration::from_secs(9), queue.receive(RECEIVE)).await;
    let first = first.unwrap_or_else(|_| panic!("{name}: hangs"));
    assert_next_works(name, &queue).await;
    first
}

async fn assert_next_works(name: &str, queue: &MnsQueue) {
    let next = queue.receive(RECEIVE).await.unwrap_or_else(|error| panic!("{name}: the next call fails: {error}"));
    assert_eq!(next.messages[0].body.as_ref(), b"good", "{name}: the next call is answered with something else");
}

/// As [`outcome`], which must be an error of this kind, of one readable line.
async fn fails(name: &str, bytes: impl Into<Vec<u8>>, kind: QueueErrorKind) {
    match outcome(name, bytes.into()).await {
        Ok(received) => panic!("{name}: is taken for {received:?}"),
        Err(error) => {
            assert_eq!(error.kind, kind, "{name}: {error}");
            let shown = error.to_string();
            assert!(shown.len() < 2_000 && !shown.contains(|c: char| c.is_control()), "{name}: {shown:?}");
        }
    }
}

fn with_head(head: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}")
}

fn chunked(body: &str) -> String {
    with_head("transfer-encoding: chunked\r\n", body)
}

/// One message as the service writes it, with these elements instead of its own.
fn message(changes: &[(&str, &str)]) -> String {
    let elements = [
        ("MessageId", "m"),
        ("ReceiptHandle", "h"),
        ("MessageBodyMD5", "x"),
        ("MessageBody", "b"),
        ("EnqueueTime", "1"),
        ("NextVisibleTime", "2"),
        ("FirstDequeueTime", "3"),
        ("DequeueCount", "4"),
        ("Priority", "5"),
    ];
    let text = |name: &str, plain: &str| {
        let changed = changes.iter().find(|(changed, _)| *changed == name).map(|(_, text)| (*text).to_owned());
        format!("<{name}>{}</{name}>", changed.unwrap_or_else(|| plain.to_owned()))
    };
    format!("<Message>{}</Message>", elements.map(|(name, plain)| text(name, plain)).concat())
}

fn messages(messages: &str) -> Vec<u8> {
    raw(200, "", &format!("<Messages>{messages}</Messages>"))
}

#[tokio::test]
async fn heads_that_are_not_http() {
    let many = "a: b\r\n".repeat(101);
    for (name, bytes) in [
        ("nothing", String::new()),
        ("a TLS alert", "\u{15}\u{3}\u{3}\0\u{2}\u{2}F".to_owned()),
        ("another protocol", "220 mail.example ESMTP\r\n".to_owned()),
        ("a status of five digits", "HTTP/1.1 99999 X\r\n\r\n".to_owned()),
        ("a negative status", "HTTP/1.1 -200 X\r\n\r\n".to_owned()),
        ("a status of zero", "HTTP/1.1 000 X\r\ncontent-length: 0\r\n\r\n".to_owned()),
        ("another version", "HTTP/9.9 200 OK\r\n\r\n".to_owned()),
        ("only a line", "HTTP/1.1 200 OK\r\n".to_owned()),
        ("a header without a name", with_head(": x\r\n", "")),
        ("a zero byte in a header", with_head("a: \0\r\n", "")),
        ("a header without an end", with_head("a\r\n", "")),
        ("101 headers", with_head(&many, "")),
        ("100 KB of headers", with_head(&format!("a: {}\r\n", "x".repeat(100_000)), "")),
    ] {
        fails(name, bytes, Transient).await;
    }
}

#[tokio::test]
async fn lengths_that_cannot_be() {
    let long = "0".repeat(70_000);
    for (name, head, kind) in [
        ("2^63", "content-length: 9223372036854775808\r\n", Unreadable),
        ("one more than the cap", "content-length: 6554625\r\n", Unreadable),
        ("2^64", "content-length: 18446744073709551616\r\n", Transient),
        ("negative", "content-length: -1\r\n", Transient),
        ("a float", "content-length: 1e3\r\n", Transient),
        ("hexadecimal", "content-length: 0x10\r\n", Transient),
        ("a list", "content-length: 5, 6\r\n", Transient),
        ("two that differ", "content-length: 5\r\ncontent-length: 6\r\n", Transient),
        ("more than comes", "content-length: 5\r\n", Transient),
        ("an unknown encoding", "transfer-encoding: gzip\r\n", Unreadable),
    ] {
        fails(name, with_head(head, "<a/>"), kind).await;
    }
    for (name, body) in [
        ("a chunk of 2^68", "FFFFFFFFFFFFFFFFF\r\n"),
        ("a chunk of 2^64", "10000000000000000\r\n"),
        ("a chunk of -1", "-1\r\n"),
        ("a chunk without a length", "\r\n"),
        ("a chunk of zz", "zz\r\n"),
        ("a chunk that is longer than it says", "1\r\nabc\r\n0\r\n\r\n"),
        ("no last chunk", "1\r\na\r\n"),
        ("extensions without end", &format!("1;{long}")),
        ("trailers without end", &format!("1\r\na\r\n0\r\na: {long}")),
        ("1,000 trailers", &format!("1\r\na\r\n0\r\n{}\r\n", "a: b\r\n".repeat(1_000))),
    ] {
        fails(name, chunked(body), Transient).await;
    }
    fails("a chunk of 2^60", chunked("1000000000000000\r\nabc"), Transient).await;
}

#[tokio::test]
async fn lengths_said_twice_alike_are_one_and_a_length_beside_chunks_is_refused() {
    let body = String::from_utf8(received(&["good"])).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned();
    let twice = format!("content-length: {0}\r\ncontent-length: {0}\r\n", body.len());
    assert_eq!(outcome("twice", with_head(&twice, &body).into()).await.unwrap().messages.len(), 1);
    // A proxy on the way may have believed the other one, and taken the rest for the next answer.
    let both = format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", body.len());
    let both = with_head(&both, &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    fails("both", both, Transient).await;
}

#[tokio::test]
async fn bodies_that_are_no_answer() {
    let bomb = "<!DOCTYPE m [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;\">]>";
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3][..], &[0xed; 4_096]].concat();
    let many = message(&[]).repeat(20_000);
    for (name, bytes) in [
        ("empty", raw(200, "", "")),
        ("nothing, with success", raw(204, "", "")),
        ("not UTF-8", [&b"HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\n"[..], b"<a\xff>"].concat()),
        ("zero bytes", raw(200, "", &"\0".repeat(10_000))),
        ("HTML", raw(200, "", "<html><body>Welcome to the hotel's network</body></html>")),
        ("JSON", raw(200, "", "{}")),
        ("laughs", raw(200, "", &format!("{bomb}<Messages>{}</Messages>", message(&[("MessageBody", "&b;")])))),
        ("a file", raw(200, "", "<!DOCTYPE m [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Messages>&x;</Messages>")),
        ("depth", messages(&"<a>".repeat(1_000_000))),
        ("attributes", messages(&format!("<Message {}/>", "a=\"b\" ".repeat(500_000)))),
        ("references", messages(&message(&[("MessageBody", &"&x;".repeat(1_000_000))]))),
        ("17 messages", messages(&message(&[]).repeat(17))),
        ("20,000 messages", messages(&many)),
        ("a handle of 1 MB", messages(&message(&[("ReceiptHandle", &"h".repeat(1_000_000))]))),
        ("an id of 1 MB", messages(&message(&[("MessageId", &"m".repeat(1_000_000))]))),
        ("a handle with a line end", messages(&message(&[("ReceiptHandle", "h\r\nx: y")]))),
        ("a handle with an escape", messages(&message(&[("ReceiptHandle", "&#27;[31m")]))),
        ("an empty handle", messages(&message(&[("ReceiptHandle", "")]))),
        ("an empty id", messages(&message(&[("MessageId", "")]))),
        ("a time beyond 64 bits", messages(&message(&[("EnqueueTime", "18446744073709551616")]))),
        ("a time before 1970", messages(&message(&[("NextVisibleTime", "-1")]))),
        ("a count beyond 32 bits", messages(&message(&[("DequeueCount", "4294967296")]))),
        ("a priority of NaN", messages(&message(&[("Priority", "NaN")]))),
    ] {
        fails(name, bytes, Unreadable).await;
    }
    let compressed =
        [b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: 4106\r\n\r\n".to_vec(), gzip].concat();
    fails("gzip, which was not asked for", compressed, Unreadable).await;
}

#[tokio::test]
async fn statuses_that_are_no_answer() {
    for (status, kind) in [
        (101, Unreadable),
        (199, Transient),
        (206, Unreadable),
        (304, Refused),
        (400, Unreadable),
        (407, QueueErrorKind::Credentials),
        (418, Unreadable),
        (500, Transient),
        (599, Transient),
        (999, Transient),
    ] {
        fails(&status.to_string(), raw(status, "", "<html>x</html>"), kind).await;
    }
}

#[tokio::test]
async fn odd_but_readable_answers_are_read() {
    for (name, changes, enqueued) in [
        (
            "the largest time",
            [("EnqueueTime", "18446744073709551615"), ("NextVisibleTime", "18446744073709551615")],
            None,
        ),
        (
            "the end of i64",
            [("EnqueueTime", "9223372036854775807"), ("NextVisibleTime", "0")],
            Some(ServerMs(i64::MAX)),
        ),
        ("no time", [("EnqueueTime", "0"), ("FirstDequeueTime", "18446744073709551615")], None),
    ] {
        let read = outcome(name, messages(&message(&changes))).await.unwrap();
        assert_eq!(read.messages[0].enqueued, enqueued, "{name}");
    }
    let twice = outcome("an id twice", messages(&message(&[]).repeat(2))).await.unwrap();
    assert_eq!(twice.messages.len(), 2, "which of them counts is the ledger's business");
    let body = String::from_utf8(received(&["good"])).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned();
    for (date, time) in [
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799_000)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Thu, 32 Jan 2026 00:00:00 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("9223372036854775807", None),
        ("", None),
    ] {
        let read = outcome(date, raw(200, &format!("date: {date}\r\n"), &body)).await.unwrap();
        assert_eq!(read.server_time, time.map(ServerMs), "{date}");
    }
}

#[tokio::test]
async fn what_follows_an_answer_is_not_taken_for_the_next() {
    let evil = received(&["evil"]);
    for (name, answer) in [
        ("a second answer", [received(&["first"]), evil.clone()].concat()),
        ("a second answer to nothing", [raw(204, "", ""), evil.clone()].concat()),
        ("one byte", [received(&["first"]), b"\n".to_vec()].concat()),
        ("half a head", [received(&["first"]), b"HTTP/1.1 200 OK\r\n".to_vec()].concat()),
    ] {
        let good = || vec![Step::Say(received(&["good"])), Step::Say(received(&["good"]))];
        let server = Server::start(vec![vec![Step::Say(answer), Step::Say(evil.clone())], good()]).await;
        let queue = server.client().queue("q");
        if let Ok(first) = queue.receive(RECEIVE).await {
            assert_eq!(first.messages[0].body.as_ref(), b"first", "{name}");
        }
        assert_next_works(name, &queue).await;
        assert_eq!(server.connections(), [0, 1], "{name}: the connection is not used again");
    }
}

#[tokio::test]
async fn a_connection_closed_at_any_byte_gives_no_part_of_an_answer() {
    let body = "<Messages xmlns=\"http://mns.aliyuncs.com/doc/v1/\"></Messages>"
        .replace("></", &format!(">{}</", message(&[])));
    let whole = [
        raw(200, "x-mns-version: 2015-06-06\r\n", &body),
        chunked(&format!("20\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", &body[..32], body.len() - 32, &body[32..]))
            .into_bytes(),
        with_head("", &body).into_bytes(),
    ];
    for (form, whole) in whole.into_iter().enumerate() {
        for cut in 0..whole.len() {
            let name = format!("form {form} cut at {cut} of {}", whole.len());
            let error = outcome(&name, whole[..cut].to_vec()).await.map(|received| received.messages);
            let error = error.expect_err(&name);
            assert!(matches!(error.kind, Transient | Unreadable), "{name}: {error}");
        }
        assert_eq!(outcome("whole", whole).await.unwrap().messages.len(), 1);
    }
}

/// SplitMix64: one seed, one sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap()
    }
}

const PIECES: &[&[u8]] = &[
    b"\r\n\r\n",
    b"\0",
    b"\xff",
    b"<",
    b">",
    b"&",
    b"]]>",
    b"<![CDATA[",
    b"<!DOCTYPE a>",
    b"</Message>",
    b"<Message>",
    b"content-length: 0\r\n",
    b"transfer-encoding: chunked\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"connection: close\r\n",
    b"99999999999999999999",
    b"-",
    b"&#0;",
    b"<Error><Code>MessageNotExist</Code></Error>",
];

#[tokio::test]
async fn damaged_answers_end_in_an_error_or_in_messages_and_never_otherwise() {
    let whole = [
        received(&["one", "two & <three>"]),
        chunked(&format!("{:x}\r\n{1}\r\n0\r\n\r\n", message(&[]).len(), message(&[]))).into_bytes(),
        raw(404, "", "<Error><Code>MessageNotExist</Code><Message>m</Message><RequestId>1</RequestId></Error>"),
    ];
    for seed in 0..600 {
        let mut random = Random(seed);
        let mut bytes = whole[random.below(whole.len())].clone();
        for _ in 0..=random.below(4) {
            let (at, piece) = (random.below(bytes.len()), PIECES[random.below(PIECES.len())]);
            let end = (at + random.below(12)).min(bytes.len());
            match random.below(4) {
                0 => drop(bytes.splice(at..at, piece.iter().copied())),
                1 => drop(bytes.splice(at..end, piece.iter().copied())),
                2 => drop(bytes.splice(at..end, [])),
                _ => bytes[at] ^= 1 << random.below(8),
            }
        }
        let name = format!("seed {seed}");
        match outcome(&name, bytes).await {
            Ok(received) => assert!(received.messages.len() <= 16, "{name}"),
            Err(error) => assert!(error.to_string().len() < 2_000, "{name}: {error}"),
        }
    }
}

/// Calls, and after so many polls of the call moves the clock on by half a second and tells the server to go on; says how
/// long the call took.
async fn against_the_clock(server: Server, clock: &ManualClock, told: &Notify, polls: usize) -> (QueueError, Duration) {
    let queue = server.builder().clock(Arc::new(clock.clone())).build().unwrap().queue("q");
    let start = clock.now();
    let mut call = std::pin::pin!(queue.receive(RECEIVE));
    loop {
        for _ in 0..polls {
            tokio::select! {
                biased;
                ended = &mut call => {
                    let took = clock.now().since(start);
                    let good = queue.receive(RECEIVE).await.unwrap();
                    assert_eq!(good.messages[0].body.as_ref(), b"good");
                    return (ended.unwrap_err(), took);
                }
                () = tokio::task::yield_now() => {}
            }
        }
        told.notify_one();
        clock.advance(Duration::from_millis(500));
    }
}

#[tokio::test]
async fn a_slow_answer_ends_with_the_whole_call_and_not_with_a_byte() {
    let body = format!("<Messages>{}</Messages>", message(&[]));
    for (name, answer) in [
        ("a slow head", raw(200, "", &body)),
        ("a slow body", chunked(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())).into_bytes()),
        ("slow interim answers", b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100)),
    ] {
        let (clock, told) = (ManualClock::new(WallMs(0)), Arc::new(Notify::new()));
        let drip = Step::Drip(told.clone(), answer);
        let server = Server::start(vec![vec![drip], vec![Step::Say(received(&["good"]))]]).await;
        let (error, took) = against_the_clock(server, &clock, &told, 50).await;
        assert_eq!(error.kind, Transient, "{name}: {error}");
        // The wait of 2 s and the margin of 5 s, whatever arrived meanwhile.
        assert_eq!(took, Duration::from_secs(7), "{name}");
    }
}

#[tokio::test]
async fn an_answer_without_end_ends_with_the_call() {
    for (name, head, forever) in [
        ("interim answers", "", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("early hints", "", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
        ("zeros of a chunk's length", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "00000000000000000000"),
        ("blank lines", "", "\r\n"),
    ] {
        let (clock, told) = (ManualClock::new(WallMs(0)), Notify::new());
        let flood = Step::FloodWith(head.into(), forever.as_bytes().repeat(20));
        let server = Server::start(vec![vec![flood], vec![Step::Say(received(&["good"]))]]).await;
        let (error, took) = against_the_clock(server, &clock, &told, 2).await;
        assert_eq!(error.kind, Transient, "{name}: {error}");
        assert!(took <= Duration::from_secs(7), "{name}: {took:?}");
    }
}

#[tokio::test]
async fn redirects_send_nothing_anywhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for location in [format!("http://127.0.0.1:{port}/queues/q/messages"), format!("//127.0.0.1:{port}/")] {
            let server =
                Server::start(vec![vec![Step::Say(raw(status, &format!("location: {location}\r\n"), ""))]]).await;
            let error = server.client().queue("q").receive(RECEIVE).await.unwrap_err();
            assert_eq!(error.kind, Refused, "{status}: {error}");
            assert!(error.to_string().contains(&location), "{status}: {error}");
            assert_eq!(server.all_asked().len(), 1);
        }
    }
    let nobody = tokio::select! { biased; _ = elsewhere.accept() => false, () = tokio::task::yield_now() => true };
    assert!(nobody, "a redirect was followed");
}

#[tokio::test]
async fn what_an_answer_repeats_of_the_request_is_not_repeated() {
    let key = AccessKey::with_token("the-id", "the-secret-key", "the-security-token");
    let echo = "you sent security-token: the-security-token, key the-secret-key, proxy dXNlcjpodXNoLWh1c2g=";
    let page = format!("<html>{}the-security-token</html>", "x".repeat(184));
    let proxy = Proxies::from_variables(|_| Some("http://user:hush-hush@127.0.0.1:1".to_owned()));
    for answer in [
        raw(
            403,
            "",
            &format!("<Error><Code>AccessDenied</Code><Message>{echo}</Message><HostId>{echo}</HostId></Error>"),
        ),
        raw(400, "", &format!("<Error><Code>{echo}</Code><RequestId>{echo}</RequestId></Error>")),
        raw(502, &format!("x-mns-request-id: {echo}\r\n"), &format!("<html>{echo}</html>")),
        raw(502, "", &page),
        raw(302, "location: http://x/?t=the-security-token&k=the-secret-key\r\n", echo),
    ] {
        let server = Server::start(vec![vec![Step::Say(answer)]]).await;
        let mut once = settings();
        once.max_attempts = 1;
        // Of the proxy only its header is used: the endpoint is this machine, which is reached without one.
        let builder = headwater_mns_client::MnsClient::builder(server.endpoint(), Credentials::fixed(key.clone()));
        let client = builder.settings(once).proxies(proxy.clone()).build().unwrap();
        let error = client.queue_attributes("q").await.unwrap_err();
        let queue_error = QueueError::from(error.clone());
        let shown = format!("{error} {queue_error} {queue_error:?}");
        for secret in ["the-secu", "the-secret", "-token"] {
            let leaked = shown.contains(secret) && !(secret == "-token" && shown.contains("security-token:"));
            assert!(!leaked, "{secret}: {shown}");
        }
    }
}

#[tokio::test]
async fn hostile_outcomes_of_deletes_are_not_taken_for_deleted() {
    let entry = |handle: &str| {
        format!(
            "<Error><ErrorCode>ReceiptHandleError</ErrorCode><ErrorMessage>m</ErrorMessage><ReceiptHandle>{handle}</ReceiptHandle></Error>"
        )
    };
    let all_but = |answer: Vec<u8>| async move {
        let good = vec![Step::Say(raw(204, "", ""))];
        let once = || vec![Step::SayAndClose(answer.clone())];
        let server = Server::start(vec![once(), once(), once(), once(), good]).await;
        let queue = server.client().queue("q");
        let outcomes = queue.delete(&[Handle::new("a"), Handle::new("b")]).await.unwrap();
        (outcomes, server)
    };
    for (name, answer) in [
        ("garbage", b"\0\0\0".to_vec()),
        ("cut", b"HTTP/1.1 204 No".to_vec()),
        ("another list", raw(200, "", "<Messages></Messages>")),
        ("html", raw(200, "", "<html></html>")),
        ("17,000 failures of others", raw(404, "", &format!("<Errors>{}</Errors>", entry("x").repeat(5_000)))),
        ("too long", raw(404, "", &format!("<Errors>{}</Errors>", entry("x").repeat(17_000)))),
    ] {
        let (outcomes, _server) = all_but(answer).await;
        assert_eq!(outcomes, [DeleteOutcome::Unknown; 2], "{name}");
    }
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

/// Alone in its process it measures itself; beside the other tests, those too. The bound is for all of them.
#[tokio::test]
async fn floods_cost_no_more_than_the_caps() {
    if !std::path::Path::new("/proc/self/status").exists() {
        return;
    }
    let before = resident();
    let heads = [
        with_head("", "<Messages>"),
        chunked("fffffff\r\n"),
        with_head("content-length: 6554624\r\n", ""),
        with_head("content-length: 18446744073709551615\r\n", ""),
        "HTTP/1.1 200 OK\r\na: ".to_owned(),
    ];
    for round in 0..20 {
        let head = heads[round % heads.len()].clone().into_bytes();
        let server = Server::start(vec![vec![Step::Flood(head)], vec![Step::Say(received(&["good"]))]]).await;
        let queue = server.client().queue("q");
        queue.receive(RECEIVE).await.unwrap_err();
        assert_next_works("flood", &queue).await;
    }
    // Two copies of the longest answer (its parts, and it in one piece), and room for the other tests of this file, whose
    // largest answers are 6 MB: what is excluded is growth with what a server sends, which was gigabytes.
    let grown = resident() - before;
    assert!(grown < 10 * MAX_RECEIVE_RESPONSE, "{grown} bytes");
}
