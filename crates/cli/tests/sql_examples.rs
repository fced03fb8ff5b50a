//! The two SQL examples of the SMQ connector's documentation run as they stand (`examples/sql`), but for endpoint and key:
//! messages sent by the official Python SDK, rows printed once, the queue empty at the end.

mod support;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headwater_mns_server::{Server, ServerHandle};
use serde_json::{Value, json};
use support::Finished;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python() -> Option<PathBuf> {
    let python = root().join("target/python-venv/bin/python");
    if python.exists() {
        return Some(python);
    }
    let reason = "there is no target/python-venv with the official Python SDK; .ci/python-env makes it";
    assert!(std::env::var_os("HEADWATER_REQUIRE_PYTHON").is_none_or(|value| value != "1"), "{reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: sql_examples: {reason}");
    None
}

/// Sends with the official SDK.
fn send(python: &Path, server: &ServerHandle, queue: &str, bodies: &[String]) {
    let mut script = Command::new(python);
    script.arg(root().join("tests/python/send.py")).args([&server.endpoint(), "testid", "testsecret", queue]);
    let mut child = script.stdin(Stdio::piped()).spawn().expect("python starts");
    let mut stdin = child.stdin.take().expect("piped");
    for body in bodies {
        writeln!(stdin, "{body}").expect("python reads");
    }
    drop(stdin);
    assert!(child.wait().expect("python ends").success());
}

/// The documented script with its placeholders filled in, and nothing else changed.
fn script(name: &str, replace: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(root().join("examples/sql").join(name)).expect("the script");
    for (placeholder, value) in replace {
        assert!(text.contains(placeholder), "{name} has no {placeholder}");
        text = text.replace(placeholder, value);
    }
    text
}

fn run(dir: &Path, script: &str, more: &[&str]) -> Finished {
    let job = dir.join("job.sql");
    std::fs::write(&job, script).expect("a script");
    let state = dir.join("state");
    let mut args = vec!["run", job.to_str().expect("utf-8"), "--state", state.to_str().expect("utf-8")];
    args.extend(["--until-idle", "1s", "--checkpoint-interval", "1s"]);
    args.extend(more);
    support::run(args).code(0)
}

fn rows(finished: &Finished) -> Vec<Value> {
    let mut rows: Vec<Value> = finished.stdout.iter().map(|l| serde_json::from_str(l).expect("a JSON row")).collect();
    rows.sort_by_key(ToString::to_string);
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_example_prints_every_message_once() {
    let Some(python) = python() else { return };
    let server = Server::builder().queue("my-events-queue").start().await.expect("a server");
    let bodies: Vec<String> = (0..40)
        .map(|i| {
            json!({"userId": i, "action": "login", "timestamp": "2026-11-20 08:00:00.250", "payload": {"n": i}, "more": 1})
                .to_string()
        })
        .collect();
    send(&python, &server, "my-events-queue", &bodies);
    let dir = tempfile::tempdir().expect("a directory");
    let endpoint = server.endpoint();
    let script = script(
        "raw.sql",
        &[
            ("http://your-account-id.mns.cn-hangzhou.aliyuncs.com", &endpoint),
            ("your-ak", "testid"),
            ("your-sk", "testsecret"),
        ],
    );
    let path = dir.path().to_owned();
    let finished = tokio::task::spawn_blocking(move || run(&path, &script, &[])).await.expect("it runs");
    let mut expected: Vec<Value> = (0..40)
        .map(|i| {
            json!({"userId": i, "action": "login", "timestamp": "2026-11-20 08:00:00.25",
                "payload": format!("{{\"n\":{i}}}")})
        })
        .collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(rows(&finished), expected);
    assert_eq!(server.counts("my-events-queue").expect("the queue").undeleted, 0, "the queue is empty");
    assert!(
        finished.stderr.iter().any(|l| l.contains("at-least-once")),
        "the guarantee is said: {:?}",
        finished.stderr
    );
}

fn event(name: &str, key: &str, size: u64) -> String {
    json!({"events": [{"eventName": name, "eventSource": "acs:oss", "eventTime": "2026-11-20T08:00:00.000Z",
        "eventVersion": "1.0", "region": "cn-hangzhou",
        "oss": {"bucket": {"arn": "acs:oss:cn-hangzhou:1234567890123456:photos", "name": "photos",
            "ownerIdentity": "1234567890123456", "virtualBucket": ""},
            "object": {"deltaSize": size, "eTag": "5B3C1A2E053D763E1B002CC607C5A0FE", "key": key, "size": size},
            "ossSchemaVersion": "1.0", "ruleId": "uploads"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"requestId": "65A1F0E2B4C3D2A190871234"},
        "userIdentity": {"principalId": "1234567890123456"}}]})
    .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_example_prints_uploads_and_deletes_everything() {
    let Some(python) = python() else { return };
    let server = Server::builder().queue("oss-events-queue").start().await.expect("a server");
    let bodies = [
        event("ObjectCreated:PutObject", "a+b %2F ü.jpg", 10),
        event("ObjectRemoved:DeleteObject", "gone.jpg", 0),
        event("ObjectCreated:CompleteMultipartUpload", "big.bin", 5_000_000_000),
    ];
    send(&python, &server, "oss-events-queue", &bodies);
    let dir = tempfile::tempdir().expect("a directory");
    let secrets = dir.path().join("secrets");
    std::fs::write(&secrets, "ak_id=testid\nak_secret=testsecret\n").expect("a file");
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    let endpoint = server.endpoint();
    let script = script("oss.sql", &[("http://123456789.mns.cn-hangzhou.aliyuncs.com", &endpoint)]);
    let path = dir.path().to_owned();
    let secrets = secrets.display().to_string();
    let finished =
        tokio::task::spawn_blocking(move || run(&path, &script, &["--secrets", &secrets])).await.expect("it runs");
    let row = |name: &str, key: &str, size: u64| {
        json!({"eventName": name, "ossBucketName": "photos", "ossObjectKey": key, "ossObjectSize": size,
            "eventTime": "2026-11-20 08:00:00"})
    };
    let mut expected = vec![
        row("ObjectCreated:PutObject", "a+b %2F ü.jpg", 10),
        row("ObjectCreated:CompleteMultipartUpload", "big.bin", 5_000_000_000),
    ];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(rows(&finished), expected);
    assert_eq!(server.counts("oss-events-queue").expect("the queue").undeleted, 0, "filtered messages are deleted too");
    let said = [finished.stdout, finished.stderr].concat().join("\n");
    assert!(!said.contains("testsecret"), "a secret was shown");
}

#[test]
fn the_demo_shows_the_example_for_uploads() {
    let shown = include_str!("../src/demo/job.sql");
    let demo = shown.replace("${endpoint}", "http://123456789.mns.cn-hangzhou.aliyuncs.com");
    assert_eq!(demo, include_str!("../../../examples/sql/oss.sql"), "all but the endpoint is the same");
}
