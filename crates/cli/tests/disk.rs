//! Disks that do not work, under the real binary: the job ends with path, cause and way out, nothing is deleted for what is
//! not durable, and once it is mended the next run delivers every row once. (A full disk: `run.rs`. A disk that hangs:
//! `drain.rs`. Failed syncs need a simulated disk: `crates/job/tests`.)

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_mns_proto::Operation;
use headwater_mns_server::{Faults, ServerHandle};
use support::{Finished, Process, headwater, job};
use tempfile::TempDir;

const MESSAGES: u64 = 20;
/// Somebody without rights: whom root becomes here, since permissions do not hold for root.
const NOBODY: u32 = 65_534;

/// A job that has delivered some messages and received the others: no row of those is committed.
struct World {
    dir: TempDir,
    server: ServerHandle,
    script: String,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(6, Faults::default()).await;
        let script = job::to_files(dir.path(), &server.endpoint(), "");
        let world = Self { dir, server, script };
        if world.is_root() {
            chown(world.dir.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        job::put(&world.server, 0..10);
        world.finish(&["--until-idle", "500ms"]).code(0);
        world
    }

    fn is_root(&self) -> bool {
        std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("a process")) == 0
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = headwater(["run", &self.script, "--state"]);
        command.arg(self.path("state")).args(more).current_dir(self.dir.path());
        if self.is_root() {
            command.uid(NOBODY);
        }
        command
    }

    fn finish(&self, more: &[&str]) -> Finished {
        Process::start(self.command(&["--checkpoint-interval", "500ms"]).args(more)).finish()
    }

    /// Starts the job, and waits until it has received and written the other messages; its checkpoint is some time away.
    async fn start(&self) -> Process {
        let mut process = Process::start(&mut self.command(&["--checkpoint-interval", "3s"]));
        process.log("the job starts");
        job::put(&self.server, 10..MESSAGES as usize);
        self.server.until(|server| server.counts(job::QUEUE).is_ok_and(|counts| counts.visible == 0)).await;
        process
    }

    fn one(&self, dir: &str, prefix: &str) -> PathBuf {
        let entries = fs::read_dir(self.path(dir)).expect("a directory").map(|entry| entry.expect("an entry").path());
        let named = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().starts_with(prefix);
        entries.filter(named).max().unwrap_or_else(|| panic!("no file {prefix}… in {dir}"))
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// What happens to the disk, what the job says, and how it is mended.
struct Case {
    name: &'static str,
    harm: fn(&World),
    code: i32,
    says: &'static [&'static str],
    mend: fn(&World),
}

const CASES: &[Case] = &[
    Case {
        name: "the state may not be written any more",
        harm: |world| mode(&world.path("state"), 0o500),
        code: 1,
        says: &["/state/", "this user may not: change the permissions", "because: Permission denied"],
        mend: |world| mode(&world.path("state"), 0o700),
    },
    Case {
        name: "the output may not be completed any more",
        harm: |world| mode(&world.path("out"), 0o500),
        code: 1,
        says: &["/out/", "this user may not: change the permissions", "because: Permission denied"],
        mend: |world| mode(&world.path("out"), 0o700),
    },
    Case {
        name: "the state directory is moved away",
        harm: |world| fs::rename(world.path("state"), world.path("aside")).expect("it is ours"),
        code: 3,
        says: &["/state` was removed or replaced while the job ran", "Put it back"],
        mend: |world| fs::rename(world.path("aside"), world.path("state")).expect("it is ours"),
    },
    Case {
        name: "the manifest is removed",
        harm: |world| fs::rename(world.path("state/manifest"), world.path("aside")).expect("it is ours"),
        code: 3,
        says: &["/state` was removed or replaced while the job ran", "Put it back"],
        mend: |world| fs::rename(world.path("aside"), world.path("state/manifest")).expect("it is ours"),
    },
    Case {
        name: "the output directory is removed",
        harm: |world| {
            // Kept aside, for the rows of the first run are in it.
            fs::rename(world.path("out"), world.path("aside")).expect("it is ours");
        },
        code: 1,
        says: &["/out", "it is not there: was it removed while the job ran?", "because: No such file"],
        mend: |world| fs::rename(world.path("aside"), world.path("out")).expect("it is ours"),
    },
    Case {
        name: "an unfinished file is removed",
        harm: |world| fs::remove_file(world.one("out", ".part-")).expect("it is ours"),
        code: 1,
        says: &["/out/.part-", "was removed or changed while it was written", "nothing is lost"],
        mend: |_| {},
    },
];

async fn fails_and_is_mended(case: &Case) {
    let Case { name, harm, code, says, mend } = case;
    let world = World::new().await;
    let process = world.start().await;
    // The file is made with the first row: it is there before the checkpoint, and soon.
    while fs::read_dir(world.path("out"))
        .expect("output")
        .all(|entry| !entry.expect("an entry").file_name().to_string_lossy().starts_with(".part-"))
    {
        std::thread::yield_now();
    }
    harm(&world);
    let failures = |finished: &Finished| finished.stderr.iter().filter(|line| line.contains("not saved")).count();
    let finished = process.finish();
    assert_eq!(finished.code, Some(*code), "{name}: {:#?}", finished.stderr);
    assert!(failures(&finished) <= 1, "{name}: it went on trying: {:#?}", finished.stderr);
    finished.says(says.iter().copied());
    assert_eq!(job::left(&world.server), 10, "{name}: deleted although nothing is durable");
    mend(&world);
    let mended = world.finish(&["--until-idle", "500ms"]);
    assert_eq!(mended.code, Some(0), "{name}: {:#?}", mended.stderr);
    let (rows, unfinished) = job::ids_in_files(world.dir.path());
    assert_eq!(rows, (0..MESSAGES).collect::<Vec<_>>(), "{name}");
    assert!(unfinished.iter().all(|name| name.starts_with(".commit-")), "{name}: {unfinished:?}");
    assert_eq!(job::left(&world.server), 0, "{name}");
}

#[test]
fn a_disk_that_fails_ends_the_job_with_its_cause_and_loses_nothing() {
    std::thread::scope(|threads| {
        let on_its_own = |case| {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(1).enable_all().build().expect("threads").block_on(fails_and_is_mended(case));
        };
        let running: Vec<_> = CASES.iter().map(|case| threads.spawn(move || on_its_own(case))).collect();
        for (case, thread) in CASES.iter().zip(running) {
            assert!(thread.join().is_ok(), "failed: {}", case.name);
        }
    });
}

/// Whether the next checkpoint can write it again or not: no checkpoint lists what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_state_that_is_removed_leaves_no_hole() {
    let world = World::new().await;
    let process = world.start().await;
    let removed = world.one("state", "segment-");
    fs::rename(&removed, world.path("aside")).expect("it is ours");
    process.signal("TERM");
    let finished = process.finish();
    if finished.code == Some(3) {
        finished.says(["was removed while the job ran", "Put the file back"]);
        assert_eq!(job::left(&world.server), 10, "deleted although nothing is durable");
        world.finish(&["--until-idle", "500ms"]).code(3).says(["is missing", "--accept-loss"]);
        fs::rename(world.path("aside"), &removed).expect("it is ours");
    } else {
        assert_eq!(finished.code, Some(0), "{:#?}", finished.stderr);
    }
    world.finish(&["--until-idle", "500ms"]).code(0);
    assert_eq!(job::ids_in_files(world.dir.path()).0, (0..MESSAGES).collect::<Vec<_>>());
    assert_eq!(job::left(&world.server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_used_is_said_before_anything_is_received() {
    let world = World::new().await;
    let receives = world.server.requests(Operation::BatchReceiveMessage);
    mode(&world.path("state"), 0o500);
    world.finish(&[]).code(1).says(["/state/", "this user may not", "because: Permission denied"]);
    mode(&world.path("state"), 0o000);
    world.finish(&[]).code(1).says(["/state", "this user may not", "because: Permission denied"]);
    mode(&world.path("state"), 0o700);
    fs::rename(world.path("out"), world.path("aside")).expect("it is ours");
    fs::write(world.path("out"), "").expect("it is ours");
    world.finish(&[]).code(1).says(["/out`", "a file stands where a directory should"]);
    assert_eq!(world.server.requests(Operation::BatchReceiveMessage), receives);
}
