//! `headwater send` and `headwater peek` against the real server.

mod support;

use std::process::Stdio;

use serde_json::Value;
use support::{headwater, run, run_with_input, server, write};

/// A server that knows the key below, and the arguments that reach its queue `orders`.
fn queue() -> (support::Process, Vec<String>) {
    let (process, endpoint) = server(["--access-key-id", "me", "--access-key-secret", "hush", "--queue", "orders"]);
    let args = ["--endpoint", &endpoint, "--queue", "orders", "--access-key-id", "me", "--access-key-secret", "hush"];
    (process, args.map(str::to_owned).to_vec())
}

fn with<'a>(command: &'a str, queue: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![command];
    args.extend(queue.iter().map(String::as_str));
    args.extend(more);
    args
}

fn json(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn what_is_sent_can_be_seen_and_stays() {
    let (_server, queue) = queue();
    let sent = json(&run(with("send", &queue, &["{\"a\": 1}", "größer", "--priority", "3"])).code(0).stdout);
    for _ in 0..2 {
        let seen = json(&run(with("peek", &queue, &[])).code(0).stdout);
        let ids = |values: &[Value]| values.iter().map(|v| v["messageId"].to_string()).collect::<Vec<_>>();
        assert_eq!(ids(&seen), ids(&sent));
        assert_eq!((&seen[0]["body"], &seen[1]["body"]), (&Value::from("{\"a\": 1}"), &Value::from("größer")));
        assert_eq!((&seen[0]["priority"], &seen[0]["dequeueCount"]), (&Value::from(3), &Value::from(0)));
        assert_eq!(seen[0]["bodyMd5"], sent[0]["bodyMd5"]);
    }
    assert_eq!(run(with("peek", &queue, &["--max", "1"])).code(0).stdout.len(), 1);
}

#[test]
fn standard_input_is_sent_line_by_line_in_batches() {
    let (_server, queue) = queue();
    let input: String = (0..100).map(|i| format!("{{\"i\": {i}}}\n\n")).collect();
    let sent = json(&run_with_input(with("send", &queue, &[]), input.as_bytes()).code(0).stdout);
    let mut ids: Vec<_> = sent.iter().map(|v| v["messageId"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 100, "100 lines, 100 ids");
}

#[test]
fn what_stands_before_a_bad_line_is_sent() {
    let (_server, queue) = queue();
    let finished = run_with_input(with("send", &queue, &[]), b"one\ntwo\n\xff\nfour\n").code(5);
    assert_eq!(finished.stdout.len(), 2);
    finished.says(["line 3 of standard input is not UTF-8", "--base64"]);
}

#[test]
fn files_and_base64_carry_any_bytes() {
    let (_server, queue) = queue();
    let dir = tempfile::tempdir().expect("a directory");
    let text = write(dir.path(), "text", "a body\nof two lines");
    run(with("send", &queue, &["--file", &text, "--base64", "--repeat", "3"])).code(0);
    let raw = json(&run(with("peek", &queue, &[])).code(0).stdout);
    assert_eq!(raw.len(), 3);
    assert_eq!(raw[2]["body"], "YSBib2R5Cm9mIHR3byBsaW5lcw==");
    let decoded = json(&run(with("peek", &queue, &["--base64"])).code(0).stdout);
    assert_eq!(decoded[0]["body"], "a body\nof two lines");
}

#[test]
fn a_full_batch_of_large_bodies_is_split() {
    let (_server, queue) = queue();
    let body = "x".repeat(30_000);
    assert_eq!(run(with("send", &queue, &["--repeat", "5", &body])).code(0).stdout.len(), 5);
}

#[test]
fn delayed_messages_are_not_seen() {
    let (_server, queue) = queue();
    run(with("send", &queue, &["later", "--delay", "1 h"])).code(0);
    assert!(run(with("peek", &queue, &[])).code(0).says(["no message is visible"]).stdout.is_empty());
    run(with("send", &queue, &["later", "--delay", "1500ms"])).code(2).says(["whole seconds"]);
}

#[test]
fn a_missing_queue_can_be_made() {
    let (_server, endpoint) = server(["--no-auth"]);
    let base =
        ["send", "--endpoint", &endpoint, "--queue", "new", "--access-key-id", "a", "--access-key-secret", "b", "x"];
    run(base).code(2).says(["QueueNotExist", "check the queue's name"]);
    run(base.iter().chain(&["--create"])).code(0);
}

#[test]
fn refusals_have_their_exit_codes_and_hide_secrets() {
    let (_server, queue) = queue();
    let endpoint = &queue[1];
    let wrong = |id, secret| {
        ["peek", "--endpoint", endpoint, "--queue", "orders", "--access-key-id", id, "--access-key-secret", secret]
    };
    let finished = run(wrong("me", "mistaken-secret")).code(4).says(["SignatureDoesNotMatch"]);
    assert!(!finished.stderr.join("\n").contains("mistaken-secret"));
    run(wrong("you", "hush")).code(4).says(["InvalidAccessKeyId"]);
    run(["peek", "--endpoint", endpoint, "--queue", "orders"]).code(4).says(["ALIBABA_CLOUD_ACCESS_KEY_ID"]);
    for (args, says) in [
        (vec!["--endpoint", "ftp://x", "--queue", "q"], "http://"),
        (vec!["--endpoint", endpoint, "--queue", "a b"], "at character 2"),
        (vec!["--endpoint", endpoint], "--queue"),
        (vec!["--endpoint", endpoint, "--queue", "q", "--access-key-id", "me"], "--access-key-secret"),
    ] {
        run(["peek"].into_iter().chain(args)).code(2).says([says]);
    }
}

#[test]
fn keys_come_from_the_environment_too() {
    let (_server, queue) = queue();
    let mut command = headwater(["peek", "--endpoint", &queue[1], "--queue", "orders"]);
    command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "me").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "hush");
    support::Process::start(&mut command).finish().code(0);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let (_server, queue) = queue();
    let mut command = headwater(with("send", &queue, &["--repeat", "64", "x"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn logs_are_json_when_asked_for() {
    let (_server, queue) = queue();
    let finished = run(with("peek", &queue, &["--log-format", "json"])).code(0);
    let lines = json(&finished.stderr);
    assert_eq!((&lines[0]["level"], &lines[0]["queue"]), (&Value::from("INFO"), &Value::from("orders")));
    let wrong = ["--access-key-id", "me", "--access-key-secret", "no", "--log-format", "json"];
    let finished = run(["peek", "--endpoint", &queue[1], "--queue", "orders"].into_iter().chain(wrong)).code(4);
    let lines = json(&finished.stderr);
    assert_eq!((&lines[0]["level"], &lines[0]["exit"]), (&Value::from("ERROR"), &Value::from(4)));
}
