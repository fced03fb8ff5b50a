//! Bad data in `headwater run`: dead letters through `kill -9`, into a directory and into a queue; budgets; poison.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use headwater_core::{Message, Queue, ReceiveRequest};
use headwater_mns_client::{Credentials, Endpoint, MnsClient};
use headwater_mns_proto::{NewMessage, QueueSettings};
use headwater_mns_server::random::Random;
use headwater_mns_server::{Faults, Server, ServerHandle};
use serde_json::Value;
use support::{Finished, Process, headwater, job};

/// Runs a job in `dir` until it is idle.
fn until_idle(dir: &Path, script: &str) -> Finished {
    let mut command = headwater(["run", script, "--until-idle", "1s", "--checkpoint-interval", "500ms"]);
    Process::start(command.current_dir(dir)).finish()
}

fn put(server: &ServerHandle, bodies: impl IntoIterator<Item = String>) -> Vec<String> {
    let sent = server.put(job::QUEUE, bodies.into_iter().map(NewMessage::new)).expect("the queue is there");
    sent.into_iter().map(|sent| sent.id.to_string()).collect()
}

/// Options that send bad data to `dead` of `dir`.
fn to_directory(dir: &Path) -> String {
    format!(", 'badRecords' = 'dead-letter', 'deadLetterPath' = '{}'", dir.join("dead").display())
}

/// The letters of `dead` that a reader sees, by their message's id, and how often; every file is its owner's alone.
fn letters(dir: &Path) -> BTreeMap<String, (usize, Value)> {
    let mut letters = BTreeMap::new();
    for entry in fs::read_dir(dir.join("dead")).expect("the directory") {
        let path = entry.expect("an entry").path();
        let mode = fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        for line in fs::read_to_string(&path).expect("text").lines() {
            let letter: Value = serde_json::from_str(line).expect("a JSON line");
            let id = letter["messageId"].as_str().expect("an id").to_owned();
            letters.entry(id).or_insert((0, letter)).0 += 1;
        }
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_and_repeat_no_row_and_no_letter() {
    const MESSAGES: usize = 2_500;
    const KILLS: usize = 8;
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("SEED={seed}");
    let mut random = Random::seeded(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(3, Faults::default()).await;
    // Every fifth message is bad; every tenth has a good row and a bad one.
    let body = |id: usize| match id % 10 {
        5 => format!("{{\"id\": \"bad {id}\"}}"),
        0 => format!("[{{\"id\": {id}}}, {{\"id\": \"bad {id}\"}}]"),
        _ => format!("{{\"id\": {id}}}"),
    };
    let sent = put(&server, (0..MESSAGES).map(body));
    let script = job::to_files(dir.path(), &server.endpoint(), &to_directory(dir.path()));
    let state = dir.path().join("state");
    let start = || {
        let mut command =
            headwater(["run", &script, "--checkpoint-interval", "300ms", "--until-idle", "2s", "--state"]);
        command.arg(&state).current_dir(dir.path());
        command
    };
    for kill in 0..KILLS {
        let left = job::left(&server);
        let until = left.saturating_sub(1 + random.below(400));
        let mut child = start().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        server.until(|server| job::left(server) <= until).await;
        child.kill().expect("it runs until it is killed");
        child.wait().expect("it ends");
        println!("kill {kill}: {left} messages before, {} after", job::left(&server));
    }
    Process::start(&mut start()).finish().code(0).says(["dead letters to directory", "exactly-once", "dead_letters="]);
    let expected: Vec<u64> = (0..MESSAGES as u64).filter(|id| id % 10 != 5).collect();
    assert_eq!(job::ids_in_files(dir.path()).0, expected, "SEED={seed}: rows");
    let letters = letters(dir.path());
    for (id, number) in sent.iter().zip(0..) {
        let letter = letters.get(id);
        assert_eq!(
            letter.map_or(0, |letter| letter.0),
            usize::from(number % 5 == 0),
            "SEED={seed}: letters of {number}"
        );
        if let Some((_, letter)) = letter {
            assert_eq!((&letter["body"], &letter["queue"]), (&body(number).into(), &job::QUEUE.into()));
            assert_eq!(letter["errors"][0]["column"], "id", "{letter}");
        }
    }
    assert_eq!(letters.len(), MESSAGES / 5, "SEED={seed}");
    let staged = |name: &str| name.starts_with(".part-");
    let names = fs::read_dir(dir.path().join("dead")).expect("the directory").flatten().map(|e| e.file_name());
    let staged: Vec<_> = names.filter(|name| staged(&name.to_string_lossy())).collect();
    assert!(staged.is_empty(), "SEED={seed}: left over {staged:?}");
    assert_eq!(job::left(&server), 0, "SEED={seed}: left in the queue");
}

async fn two_queues(dead: QueueSettings) -> ServerHandle {
    let settings = QueueSettings { visibility_timeout: Some(3), ..QueueSettings::default() };
    Server::builder().queue_with(job::QUEUE, settings).queue_with("dead", dead).start().await.expect("a free port")
}

async fn received(server: &ServerHandle, queue: &str) -> Vec<Message> {
    let (id, secret) = job::KEY;
    let endpoint = Endpoint::parse(&server.endpoint()).expect("an endpoint");
    let client = MnsClient::builder(endpoint, Credentials::key(id, secret)).build().expect("a client");
    let queue = client.queue(queue);
    let mut all = Vec::new();
    loop {
        let request = ReceiveRequest { max: 16, wait: Duration::ZERO };
        let messages = queue.receive(request).await.expect("an answer").messages;
        if messages.is_empty() {
            return all;
        }
        all.extend(messages);
    }
}

fn property<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.properties.iter().find(|property| &*property.name == name).map(|property| &*property.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_go_to_a_queue_with_the_original_id() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = two_queues(QueueSettings { maximum_message_size: Some(4_096), ..QueueSettings::default() }).await;
    let mut bodies: Vec<String> = (0..40).map(|n| format!("[{{\"id\": {n}}}, {{\"id\": \"x{n}\"}}]")).collect();
    // With its provenance around it, this one is larger than the queue takes.
    bodies.push(format!("{{\"id\": \"{}\"}}", "x".repeat(4_000)));
    let sent = put(&server, bodies.clone());
    let more = ", 'badRecords' = 'dead-letter', 'deadLetterQueue' = 'dead'";
    let script = job::to_files(dir.path(), &server.endpoint(), more);
    until_idle(dir.path(), &script).code(0).says(["dead letters to queue dead: at-least-once"]);
    assert_eq!(job::ids_in_files(dir.path()).0, (0..40).collect::<Vec<u64>>());
    assert_eq!(job::left(&server), 0);
    let dead = received(&server, "dead").await;
    let by_id: BTreeMap<_, _> =
        dead.iter().map(|message| (property(message, "originMessageId").expect("the id"), message)).collect();
    assert_eq!((dead.len(), by_id.len()), (41, 41));
    for (id, body) in sent.iter().zip(&bodies).take(40) {
        let message = by_id[id.as_str()];
        let letter: Value = serde_json::from_slice(&message.body).expect("JSON");
        assert_eq!((letter["messageId"].as_str(), letter["body"].as_str()), (Some(id.as_str()), Some(body.as_str())));
        assert_eq!((&letter["errors"][0]["row"], &letter["errors"][0]["expected"]), (&1.into(), &"BIGINT".into()));
        assert_eq!(
            (property(message, "originQueue"), property(message, "deadLetterForm")),
            (Some("orders"), Some("json"))
        );
    }
    let large = by_id[sent[40].as_str()];
    assert_eq!((property(large, "deadLetterForm"), large.body.as_ref()), (Some("body"), bodies[40].as_bytes()));
    assert_eq!(property(large, "dequeueCount"), Some("1"));
    assert!(property(large, "cause").is_some_and(|cause| cause.contains("BIGINT")), "{:?}", large.properties);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_dead_letters_that_is_not_there_is_a_mistake() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(2, Faults::default()).await;
    put(&server, ["no json".to_owned()]);
    let more = ", 'badRecords' = 'dead-letter', 'deadLetterQueue' = 'daed'";
    let script = job::to_print(dir.path(), &server.endpoint(), more);
    until_idle(dir.path(), &script).code(2).says(["deadLetterQueue", "daed"]);
    assert_eq!(job::left(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_does_not_take_a_letter_keeps_the_message() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = two_queues(QueueSettings { maximum_message_size: Some(1_024), ..QueueSettings::default() }).await;
    put(&server, [format!("{{\"id\": \"{}\"}}", "x".repeat(2_000))]);
    let more = ", 'badRecords' = 'dead-letter', 'deadLetterQueue' = 'dead'";
    let script = job::to_print(dir.path(), &server.endpoint(), more);
    until_idle(dir.path(), &script).code(1).says(["queue dead", "Nothing is lost"]);
    assert_eq!((job::left(&server), received(&server, "dead").await.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_denies_letters_exits_with_4() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = two_queues(QueueSettings::default()).await;
    server.set_faults(serde_json::from_str(r#"{"deny": ["SendMessage"]}"#).expect("faults"));
    put(&server, ["no json".to_owned()]);
    let more = ", 'badRecords' = 'dead-letter', 'deadLetterQueue' = 'dead'";
    let script = job::to_print(dir.path(), &server.endpoint(), more);
    until_idle(dir.path(), &script).code(4).says(["queue dead", "AccessDenied", "Nothing is lost"]);
    assert_eq!(job::left(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_ends_the_job_with_a_report_and_code_5() {
    for (budget, said) in [
        ("'badRecordsMaxCount' = '3'", "4 messages since the start, more than badRecordsMaxCount = 3"),
        ("'badRecordsMaxRatio' = '0.03', 'badRecordsWindow' = '1 h'", "more than badRecordsMaxRatio = 0.03"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(2, Faults::default()).await;
        let sent = put(&server, (0..4).map(|n| format!("{{\"id\": \"x{n}\"}}")));
        let more = format!("{}, {budget}", to_directory(dir.path()));
        let script = job::to_print(dir.path(), &server.endpoint(), &more);
        let finished = until_idle(dir.path(), &script).code(5);
        finished.says([said, "queue orders", &sent[0], "row 0", "column `id`", "BIGINT", "Dead letters of committed"]);
        assert_eq!(job::left(&server) + letters(dir.path()).len(), 4, "nothing is lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_keeps_failing_the_job_goes_to_the_dead_letters() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(1, Faults::default()).await;
    let sent = put(&server, ["{\"id\": \"x\"}".to_owned()]);
    let more = format!(", 'maxDequeueCount' = '2', 'deadLetterPath' = '{}'", dir.path().join("dead").display());
    let script = job::to_files(dir.path(), &server.endpoint(), &more);
    let mut fails = 0;
    // How often it is delivered before it is seen to be bad depends on the leases; never more often than it failed.
    loop {
        let finished = until_idle(dir.path(), &script);
        match finished.code {
            Some(5) => {
                finished.says([&*sent[0], "badRecords"]);
                fails += 1;
                assert!(fails <= 2, "it is delivered at least once each time");
                if fails == 1 {
                    // What has not been delivered so often is read, although it came along with a failure.
                    put(&server, ["{\"id\": 1}".to_owned()]);
                }
            }
            _ => {
                finished.code(0);
                break;
            }
        }
    }
    assert!(fails > 0, "the first delivery is read");
    let letters = letters(dir.path());
    assert_eq!(letters.keys().collect::<Vec<_>>(), [&sent[0]]);
    assert_eq!(letters[&sent[0]].1["reason"], "dequeue-count");
    assert_eq!(job::ids_in_files(dir.path()).0, [1]);
    assert_eq!(job::left(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_on_which_an_expression_fails_follow_the_same_policy() {
    for (policy, code, rows) in [("fail", 5, vec![]), ("skip", 0, vec![1, 3]), ("dead-letter", 0, vec![1, 3])] {
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(2, Faults::default()).await;
        let sent = put(&server, ["[{\"id\": 1}, {\"id\": 0}, {\"id\": 3}]".to_owned()]);
        let dead = policy == "dead-letter";
        let more = if dead { to_directory(dir.path()) } else { format!(", 'badRecords' = '{policy}'") };
        let script = job::to_files(dir.path(), &server.endpoint(), &more);
        let text =
            fs::read_to_string(&script).expect("the script").replace("SELECT id FROM", "SELECT id + 0 / id FROM");
        let script = support::write(dir.path(), "job.sql", &text);
        let finished = until_idle(dir.path(), &script).code(code);
        assert_eq!(job::ids_in_files(dir.path()).0, rows, "{policy}");
        assert_eq!(job::left(&server), usize::from(policy == "fail"), "{policy}");
        if dead {
            let letters = letters(dir.path());
            let (times, letter) = &letters[&sent[0]];
            assert_eq!((letters.len(), *times, &letter["reason"]), (1, 1, &"rejected".into()), "{letter}");
            assert_eq!((&letter["errors"][0]["row"], &letter["goodRows"]), (&1.into(), &3.into()), "{letter}");
            assert!(letter["errors"][0]["cause"].as_str().is_some_and(|cause| cause.contains("zero")), "{letter}");
        } else if policy == "fail" {
            finished.says([&*sent[0], "row 1"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_a_bomb_is_a_dead_letter() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(3, Faults::default()).await;
    // Nested deeper than any format goes; and rows by the thousand, all bad.
    let deep = format!("{{\"id\": 1, \"x\": {}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    let many = format!("[{}{{\"id\": 7}}]", "{\"id\":\"\"},".repeat(6_000));
    let sent = put(&server, [deep, many, "{\"id\": 8}".to_owned()]);
    let script = job::to_files(dir.path(), &server.endpoint(), &to_directory(dir.path()));
    until_idle(dir.path(), &script).code(0);
    let letters = letters(dir.path());
    assert_eq!(letters.len(), 2, "{:?}", letters.keys());
    let many = &letters[&sent[1]].1;
    assert_eq!((&many["badRows"], many["errors"].as_array().map(Vec::len)), (&6_000.into(), Some(16)));
    assert_eq!((job::ids_in_files(dir.path()).0, job::left(&server)), (vec![7, 8], 0));
}
