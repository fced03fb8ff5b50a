//! `headwater doctor` against the real server: it finds what a job would find, and takes and changes nothing.

mod support;

use headwater_mns_proto::Operation;
use headwater_mns_server::{Faults, ServerHandle};
use serde_json::Value;
use support::{Finished, job, run};

fn faults(json: &str) -> Faults {
    serde_json::from_str(json).expect("faults")
}

fn doctor(server: &ServerHandle, more: &[&str]) -> Finished {
    let endpoint = server.endpoint();
    let (id, secret) = job::KEY;
    let mut args = vec!["doctor", "--endpoint", &endpoint, "--access-key-id", id, "--access-key-secret", secret];
    if !more.contains(&"--queue") {
        args.extend(["--queue", job::QUEUE]);
    }
    args.extend(more);
    run(args)
}

fn answer(finished: &Finished) -> Value {
    assert_eq!(finished.stdout.len(), 1, "{finished:#?}");
    serde_json::from_str(&finished.stdout[0]).expect("a JSON object")
}

fn outcome<'a>(answer: &'a Value, check: &str) -> &'a str {
    let checks = answer["checks"].as_array().expect("checks");
    checks.iter().find(|found| found["check"] == check).and_then(|found| found["outcome"].as_str()).unwrap_or("absent")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_well_is_said_to_be_and_is_left_as_it_is() {
    let server = job::server(30, Faults::default()).await;
    job::put(&server, 0..3);
    let finished = doctor(&server, &[]).code(0);
    let answer = answer(&finished);
    assert_eq!((&answer["ok"], &answer["queue"]), (&Value::from(true), &Value::from("orders")));
    for check in ["attributes", "delete", "extend", "lease", "clock"] {
        assert_eq!(outcome(&answer, check), "ok", "{check}: {answer:#}");
    }
    assert_eq!(outcome(&answer, "receive"), "unknown");
    assert!(answer["guarantee"].as_str().is_some_and(|text| text.contains("exactly-once")), "{answer:#}");
    let counts = server.counts(job::QUEUE).expect("the queue is there");
    assert_eq!((counts.visible, counts.leased), (3, 0), "nothing was taken");
    assert_eq!(server.requests(Operation::BatchReceiveMessage) + server.requests(Operation::ReceiveMessage), 0);
    assert!(server.deleted(job::QUEUE).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_job_would_meet_is_found_with_its_exit_code() {
    let server = job::server(30, Faults::default()).await;
    // (what is denied, arguments, exit code, check, outcome)
    for (denied, more, code, check, expected) in [
        ("", &["--checkpoint-interval", "20s"][..], 0, "lease", "warning"),
        (r#""ChangeMessageVisibility""#, &["--checkpoint-interval", "20s"], 2, "lease", "failed"),
        (r#""ChangeMessageVisibility""#, &["--checkpoint-interval", "10s"], 0, "extend", "warning"),
        (r#""GetQueueAttributes""#, &[], 0, "attributes", "warning"),
        (r#""DeleteMessage""#, &[], 4, "delete", "failed"),
        ("", &["--queue", "odrers"], 2, "attributes", "failed"),
    ] {
        server.set_faults(faults(&format!(r#"{{"deny": [{denied}]}}"#)));
        let finished = doctor(&server, more).code(code);
        let answer = answer(&finished);
        assert_eq!(outcome(&answer, check), expected, "{denied} {more:?}: {answer:#}");
        assert_eq!(answer["ok"], Value::from(code == 0), "{answer:#}");
    }
}

/// A lease for which `run` refuses to start: 4,000 messages would need more extensions than are made.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_would_be_refused_is_not_said_to_run() {
    let server = job::server(10, Faults::default()).await;
    let finished = doctor(&server, &[]).code(2);
    let answer = answer(&finished);
    assert_eq!((outcome(&answer, "lease"), &answer["ok"]), ("failed", &Value::from(false)), "{answer:#}");
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let script = job::to_files(dir.path(), &server.endpoint(), "");
    let refused = run(["run", &script, "--state", state.to_str().expect("UTF-8")]).code(2).says(["undeletedMax"]);
    let said = refused.stderr.iter().find(|line| line.contains("undeletedMax")).expect("it says it");
    let ways_out = said.split("need").nth(1).expect("a reason");
    assert!(answer.to_string().contains(ways_out), "the same words: {said} / {answer:#}");
}

#[test]
fn a_service_that_is_not_there_and_a_wrong_key_have_their_exit_codes() {
    let args = ["doctor", "--queue", "orders", "--access-key-id", "a", "--access-key-secret", "hush"];
    let nowhere = run(args.iter().copied().chain(["--endpoint", "http://127.0.0.1:9"])).code(1);
    assert_eq!(answer(&nowhere)["ok"], Value::from(false));
    let (_server, endpoint) = support::server(["--queue", "orders"]);
    let denied = run(args.iter().copied().chain(["--endpoint", &endpoint])).code(4);
    assert!(!format!("{denied:?}").contains("hush"), "secrets are not shown");
}
