//! `commit = log` under the real binary: deleted at once, out of the log after a `kill -9`, and refused with exit code 3 where
//! log and state do not go together.

mod support;

use std::fs;
use std::path::PathBuf;

use headwater_mns_proto::Operation;
use headwater_mns_server::{Faults, ServerHandle};
use support::{Finished, Process, headwater, job};
use tempfile::TempDir;

/// Seconds, far less than the time between checkpoints.
const LEASE: u32 = 2;
const MESSAGES: u64 = 300;

/// A job with a checkpoint an hour, killed when all its messages were deleted from the queue and none was in the output.
struct World {
    dir: TempDir,
    server: ServerHandle,
    script: String,
}

impl World {
    async fn killed() -> Self {
        let world = Self::new().await;
        let mut process = Process::start(&mut world.command(&["--checkpoint-interval", "1h"]));
        process.log("written to the log in");
        job::put(&world.server, 0..MESSAGES as usize);
        world.server.until(|server| job::left(server) == 0).await;
        process.signal("KILL");
        process.finish();
        assert_eq!(world.rows().len(), 0, "no checkpoint was due");
        let mut logged = job::ids_in_log(world.dir.path());
        logged.sort_unstable();
        assert_eq!(logged, (0..MESSAGES).collect::<Vec<_>>());
        world
    }

    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(LEASE, Faults::default()).await;
        let script = job::to_files(dir.path(), &server.endpoint(), ", 'commit' = 'log', 'logMaxBytes' = '2000000'");
        Self { dir, server, script }
    }

    fn command(&self, more: &[&str]) -> std::process::Command {
        let mut command = headwater(["run", &self.script, "--state", "state"]);
        command.args(more).current_dir(self.dir.path());
        command
    }

    fn until_idle(&self) -> Finished {
        Process::start(&mut self.command(&["--until-idle", "500ms", "--checkpoint-interval", "1h"])).finish()
    }

    fn rows(&self) -> Vec<u64> {
        job::ids_in_files(self.dir.path()).0
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("state").join(format!("log-{}", job::QUEUE))
    }

    fn newest_segment(&self) -> PathBuf {
        let names = fs::read_dir(self.log()).expect("a log").map(|entry| entry.expect("an entry").path());
        let segments = names.filter(|path| path.to_string_lossy().contains("segment-"));
        segments.max().expect("a segment")
    }

    fn refused(&self, words: &[&str]) {
        let receives = self.server.requests(Operation::BatchReceiveMessage);
        let finished = self.until_idle().code(3);
        let text = finished.stderr.join("\n");
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in:\n{text}");
        }
        assert_eq!(self.server.requests(Operation::BatchReceiveMessage), receives, "nothing was received");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_at_once_comes_out_of_the_log_after_a_kill() {
    let world = World::killed().await;
    let finished = world.until_idle().code(0);
    assert_eq!(world.rows(), (0..MESSAGES).collect::<Vec<_>>());
    let text = finished.stderr.join("\n");
    assert!(text.contains("live on this disk only"), "{text}");
    assert!(text.contains(&format!("messages={MESSAGES}")), "what is handed out again is counted: {text}");
    // And not a second time.
    world.until_idle().code(0);
    assert_eq!(world.rows().len(), MESSAGES as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_state_and_a_state_without_its_log_are_refused() {
    let world = World::killed().await;
    world.until_idle().code(0);
    let state = world.dir.path().join("state");
    let kept = world.dir.path().join("kept");
    fs::rename(world.log(), &kept).expect("the log moves");
    world.refused(&["there was none here", "Put back the state and the log"]);
    fs::remove_dir_all(world.log()).expect("the log that was begun goes");
    fs::rename(&kept, world.log()).expect("the log moves back");
    world.until_idle().code(0);
    // A new state beside the old log.
    fs::rename(world.log(), &kept).expect("the log moves");
    fs::remove_dir_all(&state).expect("the state goes");
    fs::create_dir(&state).expect("a state directory");
    fs::rename(&kept, world.log()).expect("the log moves back");
    world.refused(&["there is no state", "--accept-loss"]);
    assert_eq!(world.rows(), (0..MESSAGES).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_cut_and_damage_before_it_refused() {
    let world = World::killed().await;
    let segment = world.newest_segment();
    let whole = fs::read(&segment).expect("a segment");
    let mut torn = whole.clone();
    torn.extend_from_slice(&whole[44..60]);
    fs::write(&segment, &torn).expect("a torn tail");
    let mut damaged = torn.clone();
    damaged[100] ^= 1;
    fs::write(&segment, &damaged).expect("damage");
    world.refused(&["segment-", "at byte 44", "is damaged", "--accept-loss"]);
    let file = fs::File::options().write(true).open(&segment).expect("a segment");
    file.set_len(1 << 40).expect("a sparse file");
    world.refused(&["segment-", "it has 1099511627776 bytes, and no more than 1073741824 are read", "--accept-loss"]);
    fs::write(&segment, &torn).expect("a torn tail");
    let finished = world.until_idle().code(0);
    let text = finished.stderr.join("\n");
    assert!(text.contains("torn tail"), "{text}");
    assert_eq!(world.rows(), (0..MESSAGES).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_with_a_log_is_not_run_without_it() {
    let world = World::killed().await;
    world.until_idle().code(0);
    let script = fs::read_to_string(world.dir.path().join(&world.script)).expect("a script");
    let without = script.replace("'commit' = 'log', 'logMaxBytes' = '2000000'", "'commit' = 'checkpoint'");
    assert_ne!(script, without);
    fs::write(world.dir.path().join(&world.script), without).expect("another script");
    // The lease would be too short for a checkpoint an hour.
    let run = ["--until-idle", "500ms", "--checkpoint-interval", "500ms"];
    let finished = Process::start(&mut world.command(&run)).finish().code(3);
    let text = finished.stderr.join("\n");
    assert!(text.contains("Set `commit` to `log` again"), "{text}");
    // The run before had ended with nothing left in the log, so nothing is lost.
    job::put(&world.server, MESSAGES as usize..MESSAGES as usize + 5);
    Process::start(world.command(&run).arg("--accept-loss")).finish().code(0);
    Process::start(&mut world.command(&run)).finish().code(0);
    assert_eq!(world.rows(), (0..MESSAGES + 5).collect::<Vec<_>>());
}
