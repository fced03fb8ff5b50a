//! SIGTERM and SIGINT on the real binary: what is written is checkpointed and deleted, the rest is made visible again and
//! reported, every stage within its time; a second signal ends it at once in any stage, and nothing is lost or repeated.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use headwater_mns_proto::{NewMessage, Operation};
use headwater_mns_server::{Faults, ServerHandle};
use support::{Finished, Process, headwater, job, write};
use tempfile::TempDir;

/// No call is answered before everybody has given up on it.
fn hanging() -> Faults {
    serde_json::from_str(r#"{"latencyMillis": 600000}"#).expect("faults")
}

/// A job on a server, with messages whose lease outlasts every test: what is visible again was released.
struct World {
    dir: TempDir,
    server: ServerHandle,
    script: String,
}

impl World {
    async fn new(lease: u32, wait: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(lease, Faults::default()).await;
        let script = job::to_files(dir.path(), &server.endpoint(), "");
        let text = fs::read_to_string(&script).expect("the script");
        write(
            dir.path(),
            "job.sql",
            &text.replace("'pollingWaitTime' = '1s'", &format!("'pollingWaitTime' = '{wait}'")),
        );
        Self { dir, server, script }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = headwater(["run", &self.script, "--state"]);
        command.arg(self.state()).args(more).current_dir(self.dir.path());
        command
    }

    /// Starts the job with a checkpoint far away, and with so much time for its end.
    fn start(&self, time: &str) -> Process {
        let mut process =
            Process::start(&mut self.command(&["--checkpoint-interval", "5 min", "--drain-timeout", time]));
        process.log("the job starts");
        process
    }

    /// Waits until all messages were received.
    async fn received(&self) {
        self.server.until(|server| server.counts(job::QUEUE).is_ok_and(|counts| counts.visible == 0)).await;
    }

    fn rows(&self) -> Vec<u64> {
        job::ids_in_files(self.dir.path()).0
    }

    /// Lets another run finish: afterwards every message's row is there once, and the queue is empty.
    async fn finish(&self, messages: u64) {
        self.server.set_faults(Faults::default());
        let mut process = Process::start(&mut self.command(&["--checkpoint-interval", "1s"]));
        process.log("the job starts");
        self.server.until(|server| job::left(server) == 0).await;
        process.signal("TERM");
        process.finish().code(0);
        assert_eq!(self.rows(), (0..messages).collect::<Vec<_>>());
    }
}

/// The numbers of the line that reports a drain.
fn drained(finished: &Finished, field: &str) -> u64 {
    let line = finished.stderr.iter().find(|line| line.contains("drained: ")).expect("the drain is reported");
    let value = line.split([' ', ',']).find_map(|word| word.strip_prefix(&format!("{field}=")));
    value.unwrap_or_else(|| panic!("{field} is not in {line}")).parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_job_ends_when_its_polls_have_run_out() {
    for signal in ["TERM", "INT"] {
        let world = World::new(600, "1s").await;
        let process = world.start("25s");
        world.server.until(|server| server.parked(job::QUEUE) > 0).await;
        process.signal(signal);
        let finished = process.finish().code(0).says([signal, "finishing", "within=25s", "done"]);
        let report = ["deleted", "released", "left", "unconfirmed"].map(|field| drained(&finished, field));
        assert_eq!(report, [0; 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_job_ends_with_all_it_holds_deleted_or_visible() {
    let world = World::new(600, "1s").await;
    job::put(&world.server, 0..3_000);
    let process = world.start("25s");
    world.server.until(|server| server.requests(Operation::BatchReceiveMessage) > 20).await;
    process.signal("TERM");
    let finished = process.finish().code(0);
    let (written, left) = (world.rows().len(), job::left(&world.server));
    assert!(written > 0, "it was busy");
    assert_eq!(written + left, 3_000, "written and deleted, or still there: {:#?}", finished.stderr);
    assert_eq!(drained(&finished, "left"), 0);
    assert!(drained(&finished, "deleted") > 0);
    // The lease is ten minutes: what is not hidden was never received, or was released.
    world.server.until(|server| server.counts(job::QUEUE).is_ok_and(|counts| counts.leased == 0)).await;
    world.finish(3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_poll_holds_up_neither_the_checkpoint_nor_the_deletes() {
    let world = World::new(600, "30s").await;
    job::put(&world.server, 0..5);
    let mut process = world.start("10 min");
    world.received().await;
    world.server.until(|server| server.parked(job::QUEUE) > 0).await;
    process.signal("TERM");
    // While the poll is still parked.
    world.server.until(|server| job::left(server) == 0).await;
    assert!(world.server.parked(job::QUEUE) > 0, "the poll was cut at once");
    assert_eq!(world.rows(), [0, 1, 2, 3, 4]);
    // What the poll brings now is not lost in a lease.
    process.log("checkpoint committed");
    job::put(&world.server, 5..9);
    world.received().await;
    process.signal("TERM");
    process.finish().code(130);
    world.server.until(|server| server.parked(job::QUEUE) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_parked_poll_brings_after_the_signal_is_written_or_released() {
    let world = World::new(600, "30s").await;
    let text = fs::read_to_string(&world.script).expect("the script");
    // One, so that a parked one is all of them.
    write(world.dir.path(), "job.sql", &text.replace("'batchSize'", "'pollers' = '1', 'batchSize'"));
    let mut process = world.start("20s");
    world.server.until(|server| server.parked(job::QUEUE) > 0).await;
    process.signal("TERM");
    process.log("finishing");
    let messages = 3;
    job::put(&world.server, 0..messages);
    let finished = process.finish().code(0);
    assert_eq!(drained(&finished, "left"), 0);
    assert!(!finished.stderr.iter().any(|line| line.contains("outlasted")), "{:#?}", finished.stderr);
    world.server.until(|server| server.counts(job::QUEUE).is_ok_and(|counts| counts.leased == 0)).await;
    assert_eq!(world.rows().len() + job::left(&world.server), messages);
    world.finish(messages as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_outlasts_the_deadline_is_cut_and_that_is_said() {
    let world = World::new(600, "30s").await;
    job::put(&world.server, 0..5);
    let process = world.start("2s");
    world.received().await;
    world.server.until(|server| server.parked(job::QUEUE) > 0).await;
    process.signal("TERM");
    let finished = process.finish().code(0).says(["polls outlasted the deadline", "--drain-timeout", "polls_cut="]);
    assert_eq!((drained(&finished, "deleted"), drained(&finished, "unconfirmed")), (5, 0));
    assert_eq!((world.rows(), job::left(&world.server)), (vec![0, 1, 2, 3, 4], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_waited_for_until_the_deadline() {
    let world = World::new(600, "1s").await;
    job::put(&world.server, 0..20);
    let process = world.start("3s");
    world.received().await;
    world.server.set_faults(hanging());
    process.signal("TERM");
    let finished = process.finish().code(0).says(["deletes are not confirmed", "polls outlasted the deadline"]);
    assert_eq!((drained(&finished, "deleted"), drained(&finished, "unconfirmed")), (0, 20));
    assert_eq!((world.rows().len(), job::left(&world.server)), (20, 20), "written, and not deleted yet");
    world.finish(20).await;
}

/// The disk of the state is gone: a file stands where the directory was. What gives it back.
fn lose_the_disk(world: &World) -> impl FnOnce() + use<> {
    let (state, aside) = (world.state(), world.dir.path().join("aside"));
    fs::rename(&state, &aside).expect("it is ours");
    fs::write(&state, "").expect("it is ours");
    move || {
        fs::remove_file(&state).expect("it is ours");
        fs::rename(&aside, &state).expect("it is ours");
    }
}

/// The disk of the state does not answer: whoever reads the manifest waits for ever. What gives it back.
fn hang_the_disk(world: &World) -> impl FnOnce() + use<> {
    let (manifest, aside) = (world.state().join("manifest"), world.dir.path().join("aside"));
    fs::rename(&manifest, &aside).expect("it is ours");
    assert!(Command::new("mkfifo").arg(&manifest).status().expect("mkfifo is there").success());
    move || fs::rename(&aside, &manifest).expect("it is ours")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_costs_nothing_and_what_is_held_is_released() {
    let world = World::new(600, "1s").await;
    job::put(&world.server, 0..20);
    let process = world.start("25s");
    world.received().await;
    let mend = lose_the_disk(&world);
    process.signal("TERM");
    let finished = process.finish().code(1).says(["state", "a file stands where a directory should", "because: "]);
    assert_eq!((drained(&finished, "deleted"), drained(&finished, "left")), (0, 0));
    assert_eq!(drained(&finished, "released"), 20);
    assert_eq!((world.rows().len(), job::left(&world.server)), (0, 20));
    mend();
    world.finish(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_is_given_up_in_time_and_what_is_held_is_released() {
    let world = World::new(600, "1s").await;
    job::put(&world.server, 0..20);
    let process = world.start("4s");
    world.received().await;
    let mend = hang_the_disk(&world);
    process.signal("TERM");
    let finished = process.finish().code(1).says(["was not taken within 4s", "does not answer", "Nothing is lost"]);
    assert_eq!((drained(&finished, "deleted"), drained(&finished, "released")), (0, 20));
    assert_eq!((world.rows().len(), job::left(&world.server)), (0, 20));
    mend();
    world.finish(20).await;
}

/// Where a second signal comes.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Polls,
    Checkpoint,
    Deletes,
    Releases,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_in_every_stage_and_loses_and_repeats_nothing() {
    for stage in [Stage::Polls, Stage::Checkpoint, Stage::Deletes, Stage::Releases] {
        // So short that the next run gets back what this one does not release.
        let lease = 6;
        let world = World::new(lease, if matches!(stage, Stage::Polls) { "5s" } else { "1s" }).await;
        job::put(&world.server, 0..20);
        let mut command = world.command(&["--checkpoint-interval", "3s", "--drain-timeout", "10 min"]);
        let mut process = Process::start(&mut command);
        process.log("the job starts");
        world.received().await;
        let mut mend: Box<dyn FnOnce()> = Box::new(|| {});
        match stage {
            Stage::Polls => world.server.until(|server| server.parked(job::QUEUE) > 0).await,
            Stage::Checkpoint => mend = Box::new(hang_the_disk(&world)),
            Stage::Deletes => world.server.set_faults(hanging()),
            Stage::Releases => {
                mend = Box::new(lose_the_disk(&world));
                world.server.set_faults(hanging());
            }
        }
        process.signal("TERM");
        process.log("finishing");
        match stage {
            Stage::Polls | Stage::Checkpoint => {}
            Stage::Deletes => drop(process.log("checkpoint committed")),
            Stage::Releases => drop(process.log("a checkpoint was not saved")),
        }
        process.signal("INT");
        process.finish().code(130).says(["ending at once"]);
        let deleted = 20 - job::left(&world.server);
        let written = world.rows();
        assert!(written.len() >= deleted, "{stage:?}: {deleted} deleted, {} written", written.len());
        mend();
        world.finish(20).await;
        println!("second signal during {stage:?}: {} written and {deleted} deleted at that moment", written.len());
    }
}

/// Nobody reads the rows: the job is stuck in the middle of printing, and sees no signal. Where it has a single core, nothing that shares
/// a thread with it sees one either.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_holds_up_no_end() {
    let one_core = Command::new("taskset").args(["-c", "0", "true"]).status().is_ok_and(|status| status.success());
    if !one_core {
        println!("skipped on a single core: there is no `taskset`, or no core 0");
    }
    for (one_core, time, signals, code) in
        [(false, "1s", 1, 1), (false, "10 min", 2, 130), (one_core, "1s", 1, 1), (one_core, "10 min", 2, 130)]
    {
        let world = World::new(600, "1s").await;
        let text = "x".repeat(4_000);
        let bodies = (0..64).map(|id| NewMessage::new(format!("{{\"id\": {id}, \"text\": \"{text}\"}}")));
        world.server.put(job::QUEUE, bodies).expect("the queue is there");
        let script = job::source(&world.server.endpoint(), "").replace("`id` BIGINT", "`id` BIGINT, `text` STRING")
            + "CREATE TABLE shown (`id` BIGINT, `text` STRING) WITH ('connector' = 'print');
               INSERT INTO shown SELECT id, text FROM src;";
        write(world.dir.path(), "job.sql", &script);
        let mut command = world.command(&["--drain-timeout", time]);
        if one_core {
            let mut pinned = Command::new("taskset");
            pinned.args(["-c", "0"]).arg(command.get_program()).args(command.get_args()).current_dir(world.dir.path());
            command = pinned;
        }
        let mut process = Process::start_unread(&mut command);
        process.log("the job starts");
        world.received().await;
        for signal in 0..signals {
            process.signal(["TERM", "INT"][signal]);
        }
        let finished = process.finish().code(code);
        // A second signal is seen by whatever does not share a thread with the job, or by the watchdog.
        if signals == 1 || !finished.stderr.iter().any(|line| line.contains("ending at once")) {
            finished.says(["did not end within", "does not read"]);
        }
        assert_eq!(job::left(&world.server), 64, "nothing was committed");
    }
}

/// A supervisor that ends its job waits no longer than it was told.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_for_the_end_is_the_users() {
    let world = World::new(600, "1s").await;
    let finished = Process::start(&mut world.command(&["--drain-timeout", "0s"])).finish().code(2);
    finished.says(["longer than 0"]);
    let help = support::run(["run", "--help"]).code(0).stdout.join("\n");
    assert!(help.contains("--drain-timeout") && help.contains("[default: 25s]"), "{help}");
}
