//! `kill -9` of the real binary at random moments, against the real server in a process of its own (this one), under faults:
//! nothing lost, nothing repeated, nothing deleted early, nothing left over.
//!
//! A smaller number of kills runs by default. The full one, of whose figures the documentation speaks:
//!
//! ```text
//! cargo test -p headwater-cli --test kill -- --ignored --nocapture
//! ```
//!
//! `SEED=…` repeats a run's faults and moments (not the operating system's schedule).

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};

use headwater_mns_proto::{NewMessage, Operation};
use headwater_mns_server::random::Random;
use headwater_mns_server::{Faults, ServerHandle};
use support::{Process, headwater, job};

/// Seconds: long enough for a checkpoint to be due twice in it, short enough to wait for at the end.
const LEASE: u32 = 3;

/// What is deleted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    /// When its rows are in the sink, under a durable checkpoint.
    Checkpoint,
    /// When it is durable in the source's own log.
    Log,
}

impl Commit {
    /// The options of the table.
    fn options(self) -> &'static str {
        match self {
            Self::Checkpoint => "",
            Self::Log => ", 'commit' = 'log'",
        }
    }

    /// With a log, checkpoints are far apart: most of what is deleted is in the log only.
    fn interval(self) -> &'static str {
        match self {
            Self::Checkpoint => "300ms",
            Self::Log => "2s",
        }
    }

    /// The ids that must not be lost any more, so that their messages may be deleted.
    fn held(self, dir: &Path) -> BTreeSet<u64> {
        match self {
            // Only committed files have their final names: the manifest named their checkpoint before.
            Self::Checkpoint => job::ids_in_files(dir).0.into_iter().collect(),
            // What is committed may be gone from the log, and then it is in such a file.
            Self::Log => job::ids_in_files(dir).0.into_iter().chain(job::ids_in_log(dir)).collect(),
        }
    }
}

/// Everything that goes wrong between a client and the service, at once.
fn faults(seed: u64) -> Faults {
    let json = format!(
        r#"{{
            "seed": {seed},
            "latencyMillis": {{"min": 0, "max": 3}},
            "dropRequest": {{"BatchReceiveMessage": 0.01, "BatchDeleteMessage": 0.03}},
            "loseAnswer": {{"BatchReceiveMessage": 0.02, "BatchDeleteMessage": 0.05, "ChangeMessageVisibility": 0.05}},
            "tooManyRequests": {{"BatchReceiveMessage": 0.01, "BatchDeleteMessage": 0.01}},
            "holdMillis": 5,
            "internalError": {{"BatchReceiveMessage": 0.02, "BatchDeleteMessage": 0.02}},
            "unavailable": {{"BatchReceiveMessage": 0.01, "BatchDeleteMessage": 0.01}},
            "closeOnError": 0.3,
            "duplicate": 0.03,
            "failDeleteEntry": 0.02,
            "shortLease": {{"dose": 0.05, "millis": 300}},
            "emptyReceive": 0.02,
            "fewerMessages": 0.1,
            "deadHandle": "Either"
        }}"#
    );
    serde_json::from_str(&json).expect("faults")
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_repeat_and_delete_nothing_early() {
    Trial::new(Commit::Checkpoint, 3_000).await.run(6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_repeat_and_delete_nothing_early_with_a_log() {
    Trial::new(Commit::Log, 3_000).await.run(6).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the figures of the documentation: half a minute"]
async fn twenty_kills_of_twenty_thousand_messages() {
    for commit in [Commit::Checkpoint, Commit::Log] {
        Trial::new(commit, 20_000).await.run(20).await;
    }
}

/// A job on its queue, and what is known of its messages.
struct Trial {
    commit: Commit,
    seed: u64,
    random: Random,
    dir: tempfile::TempDir,
    server: ServerHandle,
    script: String,
    /// The id in each message's body, by the message's own id.
    bodies: BTreeMap<String, u64>,
}

impl Trial {
    async fn new(commit: Commit, messages: u64) -> Self {
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(LEASE, faults(seed)).await;
        let texts = (0..messages).map(|id| NewMessage::new(format!("{{\"id\": {id}}}")));
        let sent = server.put(job::QUEUE, texts).expect("the queue is there");
        let bodies = sent.iter().map(|sent| sent.id.to_string()).zip(0..).collect();
        let script = job::to_files(dir.path(), &server.endpoint(), commit.options());
        Self { commit, seed, random: Random::seeded(seed), dir, server, script, bodies }
    }

    fn command(&self) -> Command {
        let arguments = [
            "run",
            &self.script,
            "--checkpoint-interval",
            self.commit.interval(),
            "--until-idle",
            "2s",
            "--state",
            "state",
        ];
        let mut command = headwater(arguments);
        command.current_dir(self.dir.path());
        command
    }

    async fn run(mut self, kills: usize) {
        let (seed, mode, messages) = (self.seed, self.commit, self.bodies.len());
        println!("SEED={seed}, commit = {mode:?}");
        let mut busy = 0;
        for kill in 0..kills {
            let left = job::left(&self.server);
            let moment = Moment::draw(&mut self.random, &self.server, kills - kill);
            let mut child = self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
            self.server.until(|server| moment.has_come(server) || job::left(server) == 0).await;
            child.kill().expect("it runs until it is killed");
            child.wait().expect("it ends");
            let deleted = self.check_deletes();
            let after = job::left(&self.server);
            busy += usize::from(after > 0);
            println!("kill {kill} at {moment:?}: {left} messages before, {after} after, {deleted} deleted, none early");
        }
        let finished = Process::start(&mut self.command()).finish().code(0);
        self.check_deletes();
        let (ids, unfinished) = job::ids_in_files(self.dir.path());
        let expected: Vec<u64> = (0..messages as u64).collect();
        let lost: Vec<_> = expected.iter().filter(|id| ids.binary_search(id).is_err()).collect();
        let twice: Vec<_> = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        let log = finished.stderr;
        assert!(lost.is_empty() && twice.is_empty(), "SEED={seed}: lost {lost:?}, twice {twice:?}\n{log:#?}");
        assert_eq!(ids, expected, "SEED={seed}");
        // The mark of the newest commit stays until the next one; nothing else does.
        let staged: Vec<_> = unfinished.iter().filter(|name| !name.starts_with(".commit-")).collect();
        assert!(staged.is_empty() && unfinished.len() <= 1, "SEED={seed}: left over {unfinished:?}");
        assert_eq!(job::left(&self.server), 0, "SEED={seed}: left in the queue");
        println!(
            "commit = {mode:?}: {messages} messages, {kills} kills ({busy} with messages in the queue), lease {LEASE} s, under \
             faults: 0 lost, 0 repeated, 0 deleted early, queue empty; {} receives and {} deletes answered",
            self.server.requests(Operation::BatchReceiveMessage),
            self.server.requests(Operation::BatchDeleteMessage)
        );
    }

    /// The process is dead, so what it had made durable stands still: every message deleted by now must be part of it.
    fn check_deletes(&self) -> usize {
        let deleted = self.server.deleted(job::QUEUE);
        let held = self.commit.held(self.dir.path());
        let early: Vec<_> = deleted.iter().map(|id| self.bodies[id]).filter(|id| !held.contains(id)).collect();
        assert!(early.is_empty(), "SEED={}: deleted before its rows were durable: {early:?}", self.seed);
        deleted.len()
    }
}

/// When to kill, by what the server sees.
#[derive(Debug)]
enum Moment {
    /// So many receives were answered: early ones hit the start, later ones anything.
    Receives(u64),
    /// So many deletes were answered: the first are those that a restart repeats.
    Deletes(u64),
    /// The queue has become so short: some checkpoints were committed.
    Left(usize),
}

impl Moment {
    /// A moment that leaves something to do for the kills that follow.
    fn draw(random: &mut Random, server: &ServerHandle, kills_left: usize) -> Self {
        let share = job::left(server) / kills_left;
        match random.below(4) {
            0 => Self::Receives(server.requests(Operation::BatchReceiveMessage) + random.below(40) as u64),
            1 => Self::Deletes(server.requests(Operation::BatchDeleteMessage) + random.below(40) as u64),
            _ => Self::Left(job::left(server).saturating_sub(1 + random.below(share.max(1)))),
        }
    }

    fn has_come(&self, server: &ServerHandle) -> bool {
        match self {
            Self::Receives(number) => server.requests(Operation::BatchReceiveMessage) > *number,
            Self::Deletes(number) => server.requests(Operation::BatchDeleteMessage) > *number,
            Self::Left(number) => job::left(server) <= *number,
        }
    }
}
