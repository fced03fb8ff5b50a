//! `headwater server` as a process: its first line, its options, its end.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{run, server, write};

/// One request over a plain socket; the answer as text.
fn get(endpoint: &str, target: &str) -> String {
    let address = endpoint.strip_prefix("http://").expect("an http URL");
    let mut stream = TcpStream::connect(address).expect("it accepts once its line is out");
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nx-mns-version: 2015-06-06\r\nConnection: close\r\n\r\n"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn it_accepts_once_its_first_line_is_out_and_ends_on_either_signal() {
    for signal in ["INT", "TERM"] {
        let (process, endpoint) = server(["--no-auth", "--queue", "orders,VisibilityTimeout=5"]);
        let answer = get(&endpoint, "/queues/orders");
        assert!(answer.contains("<VisibilityTimeout>5</VisibilityTimeout>"), "{answer}");
        process.signal(signal);
        let finished = process.finish().code(0);
        assert_eq!(finished.stdout, [endpoint], "nothing but the URL");
    }
}

#[test]
fn keys_are_checked_unless_told_otherwise() {
    let (_process, endpoint) = server(["--queue", "orders"]);
    let answer = get(&endpoint, "/queues/orders");
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[test]
fn faults_come_from_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let faults = write(dir.path(), "faults.json", r#"{"deny": ["GetQueueAttributes"]}"#);
    let (_process, endpoint) = server(["--no-auth", "--queue", "orders", "--latency", "1ms", "--faults", &faults]);
    assert!(get(&endpoint, "/queues/orders").contains("AccessDenied"));
}

#[test]
fn wrong_usage_is_said_and_exits_with_2() {
    let dir = tempfile::tempdir().expect("a directory");
    let faults = write(dir.path(), "faults.json", r#"{"looseAnswer": 1}"#);
    let missing = dir.path().join("missing.json");
    let missing = missing.to_str().expect("UTF-8");
    for (args, says) in [
        (vec!["--queue", "a,VisibilityTimout=5"], "did you mean `VisibilityTimeout`?"),
        (vec!["--listen", "here"], "invalid socket address"),
        (vec!["--latency", "soon"], "a duration is a whole number and a unit"),
        (vec!["--no-auth", "--access-key-id", "x"], "cannot be used with"),
        (vec!["--faults", &faults], "unknown field `looseAnswer`"),
        (vec!["--faults", missing], "missing.json"),
    ] {
        run(["server"].into_iter().chain(args)).code(2).says([says]);
    }
}

#[test]
fn a_taken_port_is_named() {
    let (_process, endpoint) = server(["--no-auth"]);
    let address = endpoint.strip_prefix("http://").expect("an http URL");
    run(["server", "--listen", address]).code(1).says([address, "Port 0 takes a free one"]);
}
