//! `kill -9` of the real binary at random moments against the real server: every row once, nothing left over.

mod support;

use std::hash::{BuildHasher, RandomState};
use std::process::Stdio;

use headwater_mns_proto::Operation;
use headwater_mns_server::random::Random;
use headwater_mns_server::{Faults, ServerHandle};
use support::{Process, headwater, job};

const MESSAGES: usize = 5_000;
const KILLS: usize = 10;
/// Seconds: long enough for a checkpoint to be due twice in it, short enough to wait for at the end.
const LEASE: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_lose_and_repeat_nothing() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("SEED={seed}");
    let mut random = Random::seeded(seed);
    let dir = tempfile::tempdir().expect("a directory");
    let server = job::server(LEASE, Faults::default()).await;
    job::put(&server, 0..MESSAGES);
    let script = job::to_files(dir.path(), &server.endpoint(), "");
    let state = dir.path().join("state");
    let start = || {
        let mut command =
            headwater(["run", &script, "--checkpoint-interval", "300ms", "--until-idle", "2s", "--state"]);
        command.arg(&state).current_dir(dir.path());
        command
    };
    for kill in 0..KILLS {
        let left = job::left(&server);
        let moment = Moment::draw(&mut random, &server);
        let mut child = start().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        server.until(|server| moment.has_come(server) || job::left(server) == 0).await;
        child.kill().expect("it runs until it is killed");
        let status = child.wait().expect("it ends");
        println!("kill {kill} at {moment:?}: {status}, {left} messages before, {} after", job::left(&server));
    }
    let finished = Process::start(&mut start()).finish().code(0);
    let (ids, unfinished) = job::ids_in_files(dir.path());
    let expected: Vec<u64> = (0..MESSAGES as u64).collect();
    let lost: Vec<_> = expected.iter().filter(|id| ids.binary_search(id).is_err()).collect();
    let twice: Vec<_> = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(lost.is_empty() && twice.is_empty(), "SEED={seed}: lost {lost:?}, twice {twice:?}\n{:#?}", finished.stderr);
    assert_eq!(ids, expected, "SEED={seed}");
    // The mark of the newest commit stays until the next one; nothing else does.
    let staged: Vec<_> = unfinished.iter().filter(|name| !name.starts_with(".commit-")).collect();
    assert!(staged.is_empty() && unfinished.len() <= 1, "SEED={seed}: left over {unfinished:?}");
    assert_eq!(job::left(&server), 0, "SEED={seed}: left in the queue");
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
    fn draw(random: &mut Random, server: &ServerHandle) -> Self {
        match random.below(4) {
            0 => Self::Receives(server.requests(Operation::BatchReceiveMessage) + random.below(40) as u64),
            1 => Self::Deletes(server.requests(Operation::BatchDeleteMessage) + random.below(40) as u64),
            _ => Self::Left(job::left(server).saturating_sub(1 + random.below(600))),
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
