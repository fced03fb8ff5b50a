//! `headwater run` as a process: what it does, what it refuses, and what it ends with.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use headwater_mns_proto::{NewMessage, Operation};
use headwater_mns_server::Faults;
use serde_json::Value;
use support::{Finished, Process, headwater, job, write};

fn faults(json: &str) -> Faults {
    serde_json::from_str(json).expect("faults")
}

/// Runs a job in `dir` until it is idle.
fn until_idle(dir: &Path, script: &str, more: &[&str]) -> Finished {
    let mut command = headwater(["run", script, "--until-idle", "1s", "--checkpoint-interval", "500ms"]);
    Process::start(command.args(more).current_dir(dir)).finish()
}

/// Starts a job in `dir` that goes on until it is stopped.
fn start(dir: &Path, script: &str, more: &[&str]) -> Process {
    let mut command = headwater(["run", script, "--checkpoint-interval", "500ms"]);
    Process::start(command.args(more).current_dir(dir))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_to_standard_output_and_the_queue_is_empty_then() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    job::put(&server, 0..50);
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let finished = until_idle(dir.path(), &script, &[]).code(0);
    let mut ids: Vec<u64> = finished.stdout.iter().map(|line| job::id_of(line)).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..50).collect::<Vec<u64>>());
    assert_eq!(job::left(&server), 0);
    assert!(dir.path().join(".headwater/job").is_dir(), "the state is named after the script");
    finished.says(["sink `shown`: at-least-once", "exactly-once", "job=job", "queue=orders", "checkpoint="]);
}

/// A lease of 30 s: whoever waited for one would take that long, and says so first.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_a_clean_end_does_not_wait_for_leases() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(30, Faults::default()).await;
    let script = job::to_files(dir.path(), &server.endpoint(), "");
    for run in 0..3 {
        job::put(&server, run * 10..run * 10 + 10);
        let finished = until_idle(dir.path(), &script, &[]).code(0);
        let waits = finished.stderr.iter().any(|line| line.contains("an earlier run may hold messages"));
        assert!(!waits, "run {run}: {:?}", finished.stderr);
    }
    assert_eq!(job::ids_in_files(dir.path()).0, (0..30).collect::<Vec<_>>());
}

/// `command` where no file may grow beyond 4 blocks (2 KiB, or 4 where a block is 1 KiB): writes fail as on a full disk.
fn with_small_files(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    // Without the trap the system ends a process that writes too much, instead of refusing the write.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""]);
    limited.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

/// The output of one long row is too large, and the state of many short ones.
#[tokio::test(flavor = "multi_thread")]
async fn no_room_for_output_or_state_exits_with_1_and_the_next_run_writes_every_row_once() {
    for (messages, pad, path) in [(5, 6_000, "out/"), (60, 1, ".headwater/job/")] {
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(3, Faults::default()).await;
        let pad = "x".repeat(pad);
        let bodies = (0..messages).map(|id| NewMessage::new(format!("{{\"id\": {id}, \"pad\": \"{pad}\"}}")));
        server.put(job::QUEUE, bodies).expect("the queue is there");
        let script = job::to_files(dir.path(), &server.endpoint(), "");
        let text = fs::read_to_string(&script).expect("the script");
        let text = text.replace("(`id` BIGINT)", "(`id` BIGINT, `pad` STRING)").replace("SELECT id", "SELECT id, pad");
        let script = write(dir.path(), "job.sql", &text);

        let command = headwater(["run", &script, "--until-idle", "1s", "--checkpoint-interval", "1s"]);
        let finished = Process::start(with_small_files(&command).current_dir(dir.path())).finish().code(1);
        finished.says([path, "File too large", "may not grow so large"]);
        assert_eq!(job::left(&server), messages, "nothing was deleted for what could not be written");
        assert_eq!(job::ids_in_files(dir.path()).0, [0; 0]);

        until_idle(dir.path(), &script, &[]).code(0);
        let (ids, unfinished) = job::ids_in_files(dir.path());
        assert_eq!(ids, (0..messages as u64).collect::<Vec<_>>());
        // The note of the newest commit stays; of what could not be finished nothing does.
        assert!(unfinished.iter().all(|name| name.starts_with(".commit-")), "{unfinished:?}");
        assert_eq!(job::left(&server), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_json_log_line_names_job_and_queue() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    job::put(&server, 0..3);
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let finished = until_idle(dir.path(), &script, &["--log-format", "json"]).code(0);
    assert!(finished.stderr.len() > 3);
    for line in &finished.stderr {
        let read: Value = serde_json::from_str(line).expect("a JSON line");
        assert_eq!((&read["job"], read["queue"].is_string()), (&Value::from("job"), true), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_exits_with_4_and_what_is_wrong_with_2() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    job::put(&server, 0..3);
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let text = fs::read_to_string(&script).expect("the script");
    let wrong_key = write(dir.path(), "key.sql", &text.replace("'testsecret'", "'a-wrong-secret'"));
    let finished = until_idle(dir.path(), &wrong_key, &[]).code(4);
    assert!(!finished.stderr.join("\n").contains("a-wrong-secret"));
    let wrong_queue = write(dir.path(), "queue.sql", &text.replace("'queueName' = 'orders'", "'queueName' = 'odrers'"));
    until_idle(dir.path(), &wrong_queue, &[]).code(2).says(["odrers", "QueueNotExist"]);
    for (denied, name) in [("ReceiveMessage", "receive"), ("DeleteMessage", "delete")] {
        server.set_faults(faults(&format!(r#"{{"deny": ["{denied}"]}}"#)));
        let state = format!("state-{name}");
        until_idle(dir.path(), &script, &["--state", &state]).code(4).says(["AccessDenied", denied]);
    }
    server.set_faults(Faults::default());
    assert_eq!(job::left(&server), 3, "nothing was lost on the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_may_only_receive_and_delete_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, faults(r#"{"deny": ["GetQueueAttributes", "ChangeMessageVisibility"]}"#)).await;
    job::put(&server, 0..20);
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    assert_eq!(until_idle(dir.path(), &script, &[]).code(0).stdout.len(), 20);
    assert_eq!(job::left(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_extended_and_what_does_not_fit_or_is_denied_names_its_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    job::put(&server, 0..5);
    let run = |more: &str, end: &[&str]| {
        let options = format!(", 'leasePolicy' = 'extend'{more}");
        let script = job::to_print(dir.path(), &server.endpoint(), &options);
        let mut command = headwater(["run", &script, "--checkpoint-interval", "5s"]);
        Process::start(command.args(end).current_dir(dir.path())).finish()
    };
    let idle = ["--until-idle", "1s"];
    run("", &idle).code(2).says(["leasePolicy", "undeletedMax to at most 400"]);
    // An interval of two leases and a half.
    let few = ", 'undeletedMax' = '100'";
    assert_eq!(run(few, &idle).code(0).says(["leases are extended for up to 25 min"]).stdout.len(), 5);
    let receives = [Operation::ReceiveMessage, Operation::BatchReceiveMessage];
    let delivered: u64 = receives.iter().map(|operation| server.journal().messages(*operation)).sum();
    assert_eq!((delivered, job::left(&server)), (5, 0), "each came once");
    job::put(&server, 5..6);
    server.set_faults(faults(r#"{"deny": ["ChangeMessageVisibility"]}"#));
    // Without an idle end, whose checkpoint comes as soon as the first extension.
    run(few, &[]).code(4).says(["mns:ChangeMessageVisibility", "leasePolicy = auto"]);
}

#[test]
fn every_mistake_is_said_at_once_with_its_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = ",\n 'batchSiz' = '1',\n 'pollers' = '0',\n 'json.zzz' = 'x',\n 'region' = '${nowhere_set}'";
    let script = job::to_print(dir.path(), "ftp://nowhere", options);
    let finished = until_idle(dir.path(), &script, &[]).code(2);
    assert!(finished.stdout.is_empty() && !dir.path().join(".headwater").exists());
    finished.says(["nowhere_set", "-D nowhere_set=", "line 13"]);
    let script = job::to_print(dir.path(), "ftp://nowhere", &options.replace("${nowhere_set}", "cn"));
    let says = ["did you mean `batchSize`?", "`pollers`", "json.zzz", "http", "line 3,", "line 10,", "line 11,"];
    until_idle(dir.path(), &script, &[]).code(2).says(says);
    let script = write(dir.path(), "b.sql", "INSERT INTO nowhere SELECT a FROM nothing; SELEC 1;");
    until_idle(dir.path(), &script, &[]).code(2).says(["b.sql"]);
    until_idle(dir.path(), "/no/such/script.sql", &[]).code(2).says(["/no/such/script.sql"]);
}

#[test]
fn less_than_what_is_demanded_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = job::to_print(dir.path(), "http://127.0.0.1:9", "");
    let text = format!("SET 'delivery' = 'exactly-once';\n{}", fs::read_to_string(&script).expect("the script"));
    let script = write(dir.path(), "job.sql", &text);
    until_idle(dir.path(), &script, &["--dry-run"]).code(2).says(["`shown` is at-least-once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_asks_the_queue_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    job::put(&server, 0..3);
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let finished = until_idle(dir.path(), &script, &["--dry-run"]).code(0);
    assert!(finished.stdout.is_empty());
    assert_eq!(server.journal().entries().count(), 0);
    assert!(!dir.path().join(".headwater").exists());
    finished.says(["sink `shown`: at-least-once", "nothing was received"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_body_ends_the_job_with_5_and_stays_in_the_queue() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    server.put(job::QUEUE, [NewMessage::new("{\"id\": \"a private word\"}")]).expect("the queue is there");
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let finished = until_idle(dir.path(), &script, &[]).code(5).says(["column `id`", "badRecords"]);
    assert!(!finished.stderr.join("\n").contains("private"), "bodies are not for logs");
    assert_eq!(job::left(&server), 1);
    let script = job::to_print(dir.path(), &server.endpoint(), ", 'badRecords' = 'skip'");
    until_idle(dir.path(), &script, &[]).code(0);
    assert_eq!(job::left(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_state_has_one_owner_and_damage_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let mut first = start(dir.path(), &script, &["--state", "state"]);
    first.log("the job starts");
    until_idle(dir.path(), &script, &["--state", "state"]).code(3).says(["is using the state in"]);
    first.signal("TERM");
    first.finish().code(0);
    fs::write(dir.path().join("state/manifest"), "nonsense").expect("it is ours");
    until_idle(dir.path(), &script, &["--state", "state"]).code(3).says(["manifest"]);
    let file = write(dir.path(), "a-file", "");
    until_idle(dir.path(), &script, &["--state", &file]).code(1).says(["a-file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_drains() {
    let dir = tempfile::tempdir().expect("a directory");
    // A checkpoint is far away, so only the drain can have taken it.
    let server = job::server(600, Faults::default()).await;
    job::put(&server, 0..40);
    let script = job::to_files(dir.path(), &server.endpoint(), "");
    let mut command = headwater(["run", &script, "--checkpoint-interval", "5 min"]);
    let mut process = Process::start(command.current_dir(dir.path()));
    process.log("the job starts");
    server.until(|server| server.counts(job::QUEUE).is_ok_and(|counts| counts.visible == 0)).await;
    assert_eq!(job::ids_in_files(dir.path()).0.len(), 0, "no row is shown before its checkpoint");
    process.signal("INT");
    process.finish().code(0).says(["SIGINT", "done"]);
    // What was received but not handed out is released, so all that is missing is still there.
    let written = job::ids_in_files(dir.path()).0.len();
    assert_eq!(written + job::left(&server), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    // A receive that does not come back holds up the drain.
    let server = job::server(25, Faults::default()).await;
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let text = fs::read_to_string(&script).expect("the script").replace("'1s'", "'30s'");
    let script = write(dir.path(), "job.sql", &text);
    let mut process = start(dir.path(), &script, &[]);
    process.log("pollingWaitTime is 30s, and the queue's VisibilityTimeout is 25s");
    server.until(|server| server.parked(job::QUEUE) > 0).await;
    process.signal("TERM");
    process.log("stopping");
    process.signal("TERM");
    process.finish().code(130);
}

#[test]
fn a_service_that_does_not_answer_is_asked_again_until_a_signal() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = job::to_print(dir.path(), "http://127.0.0.1:9", "");
    let mut process = start(dir.path(), &script, &["--until-idle", "1s"]);
    process.log("trying again");
    process.log("trying again");
    process.signal("TERM");
    process.finish().code(0).says(["before anything was received"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_read_from_a_private_file_and_never_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    job::put(&server, 0..3);
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let text = fs::read_to_string(&script).expect("the script");
    let text = text.replace("'testsecret'", "'${secret_values.ak_secret}'").replace("'orders'", "'${queue}'");
    let script = write(dir.path(), "job.sql", &text);
    let secrets = write(dir.path(), "secrets", "ak_secret=testsecret\n");
    let arguments = ["--secrets", &secrets, "-D", "queue=orders", "--state", "state"];
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o640)).expect("it is ours");
    until_idle(dir.path(), &script, &arguments).code(2).says(["chmod 600"]);
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let mut command = headwater(["run", &script, "--until-idle", "1s", "--checkpoint-interval", "500ms"]);
    command.args(arguments).current_dir(dir.path()).env("RUST_LOG", "trace");
    let finished = Process::start(&mut command).finish().code(0);
    assert_eq!(finished.stdout.len(), 3);
    for line in finished.stdout.iter().chain(&finished.stderr) {
        assert!(!line.contains("testsecret"), "{line}");
    }
    for entry in fs::read_dir(dir.path().join("state")).expect("the state") {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
        assert!(!bytes.windows(10).any(|part| part == b"testsecret"));
    }
    until_idle(dir.path(), &script, &["-D", "secret_values.ak_secret=x"]).code(2).says(["--secrets"]);
    until_idle(dir.path(), &script, &["-D", "queue=orders"]).code(2).says(["secret_values.ak_secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_are_served() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(30, Faults::default()).await;
    job::put(&server, 0..5);
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let mut process = start(dir.path(), &script, &["--metrics", "127.0.0.1:0"]);
    let line = process.log("metrics are on");
    let address = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address").to_owned();
    process.log("checkpoint committed");
    server.until(|server| job::left(server) == 0).await;
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    let metrics = get("/metrics");
    for name in [
        "headwater_duplicate_messages_total",
        "headwater_deleted_messages_total",
        "headwater_failed_deletes_total",
        "headwater_deserialization_errors_total",
        "headwater_checkpoint_duration_seconds_bucket",
        r#"job="job""#,
        r#"queue="orders""#,
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
    let health = get("/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains(r#""job":"job""#), "{health}");
    assert!(get("/").starts_with("HTTP/1.1 404"));
    process.signal("TERM");
    process.finish().code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_period_is_a_lease_at_least_and_that_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(3, Faults::default()).await;
    job::put(&server, 0..100);
    let script = job::to_files(dir.path(), &server.endpoint(), "");
    let process = start(dir.path(), &script, &[]);
    server.until(|server| server.requests(Operation::BatchReceiveMessage) > 2).await;
    process.signal("KILL");
    process.finish();
    until_idle(dir.path(), &script, &[]).code(0).says(["shorter than the queue's VisibilityTimeout"]);
    assert_eq!(job::ids_in_files(dir.path()).0, (0..100).collect::<Vec<u64>>());
    assert_eq!(job::left(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_it_quietly() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    let script = job::to_print(dir.path(), &server.endpoint(), "");
    let mut command = headwater(["run", &script, "--checkpoint-interval", "500ms"]);
    command.current_dir(dir.path()).env("RUST_LOG", "off").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    drop(child.stdout.take());
    job::put(&server, 0..3);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
