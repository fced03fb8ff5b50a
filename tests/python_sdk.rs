//! The official Python SDK, unmodified, against our server: `tests/python/sdk_lifecycle.py` says what is checked.
//!
//! `.ci/python-env` makes the environment it needs. Without it the test skips itself and says so;
//! `HEADWATER_REQUIRE_PYTHON=1` turns that into a failure.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use headwater_mns_proto::Operation;
use headwater_mns_server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_python_sdk_finds_nothing_amiss() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python-venv/bin/python");
    if !python.exists() {
        return skip("there is no target/python-venv with the official Python SDK; .ci/python-env makes it");
    }
    let server = Server::builder().start().await.expect("the server starts");
    let mut script = Command::new(python);
    script.arg(root.join("tests/python/sdk_lifecycle.py")).args([&server.endpoint(), "testid", "testsecret"]);
    // The SDK is noisy about its own deprecated counters.
    script.env("PYTHONWARNINGS", "ignore");
    let ended = tokio::task::spawn_blocking(move || script.output()).await.expect("the script's thread ends");
    let Output { status, stdout, stderr } = ended.expect("python runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");

    // The script saying so is one thing; that it asked everything is another.
    let journal = server.journal();
    let never_asked: Vec<&Operation> =
        Operation::ALL.iter().filter(|operation| journal.requests(**operation) == 0).collect();
    assert!(never_asked.is_empty(), "never asked: {never_asked:?}");
    server.shutdown().await;
}

/// Says why, past the capture of the test harness.
fn skip(reason: &str) {
    assert!(std::env::var_os("HEADWATER_REQUIRE_PYTHON").is_none_or(|value| value != "1"), "{reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: python_sdk: {reason}");
}
