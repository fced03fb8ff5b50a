//! Runs the stories in `tests/scripts/*.txt` on the state machine.
//!
//! A story is prose (`#` lines) between cases; a case is a command, a line `----`, the expected output and an empty
//! line. Times are milliseconds from the start of the story; `m1`, `h1` … name messages and handles in the order in
//! which they first appear. `REWRITE=1 cargo test -p headwater-mns-server --test state_scripts` writes the outputs
//! anew, to be read in the diff.

#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use headwater_mns_proto::{NewMessage, QueueSettings};
use headwater_mns_server::random::Random;
use headwater_mns_server::state::{Account, Delivery, Millis, Peeked, Quirks, Sent};

/// When every story starts: 2026-11-20 08:00:00 UTC.
const START: Millis = 1_795_161_600_000;

#[test]
fn every_story_comes_out_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = String::new();
    for file in files {
        let written = std::fs::read_to_string(&file).unwrap();
        let actual = replay(&written);
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&file, &actual).unwrap();
        } else if let Some((number, (expected, got))) =
            written.lines().zip(actual.lines()).enumerate().find(|(_, (expected, got))| expected != got)
        {
            writeln!(wrong, "{}:{}\n  expected: {expected}\n  got:      {got}", file.display(), number + 1).unwrap();
        } else {
            assert_eq!(written.lines().count(), actual.lines().count(), "{}", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The story with the outputs it really has.
fn replay(written: &str) -> String {
    let mut story = Story::new();
    let mut actual = String::new();
    let mut lines = written.lines();
    while let Some(line) = lines.next() {
        writeln!(actual, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        assert_eq!(lines.next(), Some("----"), "after {line:?}");
        for _ in lines.by_ref().take_while(|line| !line.is_empty()) {}
        writeln!(actual, "----\n{}", story.run(line)).unwrap();
    }
    actual
}

struct Story {
    account: Account,
    now: Millis,
    /// What a name stands for, and the name of what was seen.
    names: HashMap<String, String>,
    meanings: HashMap<String, String>,
}

impl Story {
    fn new() -> Self {
        Self { account: Account::new(Random::seeded(1)), now: START, names: HashMap::new(), meanings: HashMap::new() }
    }

    fn run(&mut self, line: &str) -> String {
        let (words, options) = split(line);
        let option = |name: &str| options.get(name).map(|value| value.parse::<u64>().unwrap());
        let now = self.now;
        let mut out = String::new();
        match words[0] {
            "at" => {
                self.now = START + words[1].parse::<u64>().unwrap();
                writeln!(out, "ok").unwrap();
            }
            "create" => {
                let created = self.account.create_queue(now, words[1], &settings(&options));
                writeln!(out, "{}", show(created)).unwrap();
            }
            "set" => {
                let set = self.account.set_attributes(now, words[1], &settings(&options));
                writeln!(out, "{}", show(set)).unwrap();
            }
            "attributes" => {
                let queue = self.account.queue(words[1]).unwrap();
                let (created, modified) = (queue.created() - START, queue.modified() - START);
                writeln!(out, "{:?}\ncreated={created} modified={modified}", queue.attributes()).unwrap();
            }
            "delete-queue" => writeln!(out, "{}", show(self.account.delete_queue(now, words[1]))).unwrap(),
            "remember-deleted" => {
                self.account.refuse_recently_deleted(Some(words[1].parse().unwrap()));
                writeln!(out, "ok").unwrap();
            }
            "list" => {
                let text = |name: &str| options.get(name).copied().unwrap_or_default();
                let page = self.account.list(text("prefix"), text("marker"), option("max").unwrap_or(1000) as usize);
                writeln!(out, "{} next={:?}", page.queues.join(" "), page.next).unwrap();
            }
            _ => self.run_on_queue(words[0], words[1], &words[2..], &options, line, &mut out),
        }
        out
    }

    fn run_on_queue(
        &mut self,
        command: &str,
        queue: &str,
        words: &[&str],
        options: &HashMap<&str, &str>,
        line: &str,
        out: &mut String,
    ) {
        let now = self.now;
        let handle = words.first().and_then(|name| self.meanings.get(*name)).cloned();
        let handle = handle.unwrap_or_else(|| words.first().copied().unwrap_or_default().to_owned());
        let number = |word: Option<&&str>| word.map_or(16, |word| word.parse::<u32>().unwrap());
        let Ok(queue) = self.account.queue(queue) else {
            writeln!(out, "no such queue").unwrap();
            return;
        };
        match command {
            "send" => {
                let entries = line.splitn(3, ' ').nth(2).unwrap();
                match queue.send(now, entries.split(" | ").map(message).collect()) {
                    Ok(sent) => sent.iter().for_each(|sent| self.show_sent(sent, out)),
                    Err(error) => writeln!(out, "error: {error}").unwrap(),
                }
            }
            "receive" => {
                let quirks = Quirks {
                    duplicates: options.get("duplicates").map_or(0, |value| value.parse().unwrap()),
                    lease: options.get("lease").map(|value| value.parse().unwrap()),
                    lease_told: options.contains_key("told"),
                };
                let deliveries = queue.receive(now, number(words.first()) as usize, quirks);
                deliveries.iter().for_each(|delivery| self.show_delivery(delivery, out));
                if deliveries.is_empty() {
                    writeln!(out, "nothing").unwrap();
                }
            }
            "peek" => {
                let seen = queue.peek(now, number(words.first()) as usize);
                for message in &seen {
                    let shown = self.show_message(message);
                    writeln!(out, "{shown}").unwrap();
                }
                if seen.is_empty() {
                    writeln!(out, "nothing").unwrap();
                }
            }
            "delete" => match queue.delete(now, &handle) {
                Ok(id) => writeln!(out, "deleted {}", self.name('m', &id.to_string())).unwrap(),
                Err(error) => writeln!(out, "error: {error:?}: {error}").unwrap(),
            },
            "change" => match queue.change_visibility(now, &handle, number(words.get(1))) {
                Ok((handle, until)) => {
                    writeln!(out, "next={} handle={}", until - START, self.name('h', &handle)).unwrap();
                }
                Err(error) => writeln!(out, "error: {error:?}: {error}").unwrap(),
            },
            "counts" => {
                let counts = queue.counts(now);
                let wakeup = queue.next_wakeup().map(|at| at - START);
                writeln!(
                    out,
                    "visible={} leased={} delayed={} undeleted={} wakeup={wakeup:?}",
                    counts.visible, counts.leased, counts.delayed, counts.undeleted
                )
                .unwrap();
            }
            other => panic!("no command {other:?}"),
        }
    }

    fn show_sent(&mut self, sent: &Sent, out: &mut String) {
        let name = self.name('m', &sent.id.to_string());
        let handle = sent.handle.as_ref().map(|handle| format!(" handle={}", self.name('h', handle)));
        writeln!(out, "{name}{}", handle.unwrap_or_default()).unwrap();
    }

    fn show_delivery(&mut self, delivery: &Delivery, out: &mut String) {
        let message = self.show_message(&delivery.message);
        let next = delivery.next_visible - START;
        writeln!(out, "{message} next={next} handle={}", self.name('h', &delivery.handle)).unwrap();
    }

    fn show_message(&mut self, message: &Peeked) -> String {
        let name = self.name('m', &message.id.to_string());
        let first = message.first_dequeued.checked_sub(START).map_or("never".to_owned(), |at| at.to_string());
        let Peeked { content, priority, enqueued, dequeue_count, .. } = message;
        let (body, enqueued) = (&content.body, enqueued - START);
        format!("{name} {body} priority={priority} enqueued={enqueued} first={first} count={dequeue_count}")
    }

    fn name(&mut self, letter: char, meaning: &str) -> String {
        if let Some(name) = self.names.get(meaning) {
            return name.clone();
        }
        let number = self.names.values().filter(|name| name.starts_with(letter)).count() + 1;
        let name = format!("{letter}{number}");
        self.names.insert(meaning.to_owned(), name.clone());
        self.meanings.insert(name.clone(), meaning.to_owned());
        name
    }
}

fn show<T: std::fmt::Debug, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| format!("error: {error}"), |value| format!("{value:?}"))
}

fn split(line: &str) -> (Vec<&str>, HashMap<&str, &str>) {
    let (options, words): (Vec<&str>, Vec<&str>) = line.split(' ').partition(|word| word.contains('='));
    (words, options.into_iter().map(|word| word.split_once('=').unwrap()).collect())
}

fn message(text: &str) -> NewMessage {
    let (words, options) = split(text);
    let body = match options.get("bytes") {
        Some(bytes) => "x".repeat(bytes.parse().unwrap()),
        None => words.join(" "),
    };
    let mut message = NewMessage::new(body);
    message.delay_seconds = options.get("delay").map(|value| value.parse().unwrap());
    message.priority = options.get("priority").map(|value| value.parse().unwrap());
    message
}

fn settings(options: &HashMap<&str, &str>) -> QueueSettings {
    let number = |name: &str| options.get(name).map(|value| value.parse().unwrap());
    QueueSettings {
        visibility_timeout: number("VisibilityTimeout"),
        maximum_message_size: number("MaximumMessageSize"),
        message_retention_period: number("MessageRetentionPeriod"),
        delay_seconds: number("DelaySeconds"),
        polling_wait_seconds: number("PollingWaitSeconds"),
        logging_enabled: options.get("LoggingEnabled").map(|value| *value == "True"),
    }
}
