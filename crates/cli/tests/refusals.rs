//! Every state that `headwater run` refuses: exit code 3, a sentence with the way out, nothing received or deleted before it;
//! and what exactly `--accept-loss` gives up.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::executor::block_on;
use headwater::job::fs::LocalFs;
use headwater::job::{Lineage, LocalStore, StoreOptions};
use headwater_core::{CheckpointId, CheckpointStore, Committable, JobState};
use headwater_mns_proto::{NewMessage, Operation, QueueSettings};
use headwater_mns_server::{Faults, ServerHandle};
use support::{Finished, Process, headwater, job, write};
use tempfile::TempDir;

/// Seconds. What was held by a killed process comes back after so long.
const LEASE: u32 = 2;

/// The last message's row is in a durable checkpoint and in the output, and the message is still in the queue; those before
/// it are deleted.
const LAST: u64 = 3;

/// A job that was killed when it had delivered the messages 0 to [`LAST`], each under a checkpoint of its own.
struct World {
    dir: TempDir,
    server: ServerHandle,
    script: String,
}

impl World {
    async fn killed() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let server = job::server(LEASE, Faults::default()).await;
        let script = job::to_files(dir.path(), &server.endpoint(), "");
        let world = Self { dir, server, script };
        let mut process = Process::start(&mut world.command(&["--checkpoint-interval", "300ms"]));
        for id in 0..=LAST {
            if id == LAST {
                let faults = r#"{"dropRequest": {"BatchDeleteMessage": 1.0, "DeleteMessage": 1.0}}"#;
                world.server.set_faults(serde_json::from_str(faults).expect("faults"));
            }
            job::put(&world.server, id as usize..id as usize + 1);
            while !world.rows().contains(&id) {
                process.log("checkpoint committed");
            }
            if id < LAST {
                world.server.until(|server| job::left(server) == 0).await;
            }
        }
        process.signal("KILL");
        process.finish();
        world.server.set_faults(Faults::default());
        assert_eq!((world.rows(), job::left(&world.server)), ((0..=LAST).collect(), 1));
        world
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn command(&self, more: &[&str]) -> std::process::Command {
        let mut command = headwater(["run", &self.script, "--state"]);
        command.arg(self.state()).args(more).current_dir(self.dir.path());
        command
    }

    fn until_idle(&self, more: &[&str]) -> Finished {
        let mut command = self.command(&["--until-idle", "500ms", "--checkpoint-interval", "500ms"]);
        Process::start(command.args(more)).finish()
    }

    fn rows(&self) -> Vec<u64> {
        job::ids_in_files(self.dir.path()).0
    }

    /// What was asked of the queue so far that takes or removes messages, or changes their leases.
    fn touched(&self) -> u64 {
        use Operation as O;
        let all = [
            O::ReceiveMessage,
            O::BatchReceiveMessage,
            O::DeleteMessage,
            O::BatchDeleteMessage,
            O::ChangeMessageVisibility,
        ];
        all.iter().map(|operation| self.server.requests(*operation)).sum()
    }

    /// The names of the state's files that begin so, oldest first.
    fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state()).expect("the state").map(|entry| entry.expect("an entry").path());
        let named = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().starts_with(prefix);
        let mut files: Vec<_> = entries.filter(named).collect();
        files.sort();
        files
    }

    fn newest(&self, prefix: &str) -> PathBuf {
        self.files(prefix).pop().unwrap_or_else(|| panic!("no file {prefix}…"))
    }

    /// Saves one more checkpoint, which differs from the newest one as told.
    fn save(&self, change: impl FnOnce(&mut JobState)) {
        let mut store = self.store();
        let mut state = block_on(store.newest()).expect("a whole state").expect("a checkpoint");
        change(&mut state);
        state.checkpoint = store.next_id();
        block_on(store.save(&state)).expect("a save");
    }

    fn store(&self) -> LocalStore {
        let options = StoreOptions::new(Lineage(0));
        LocalStore::open(Arc::new(LocalFs::private()), self.state(), &options).expect("nobody else has it open")
    }

    fn first_part(&self) -> PathBuf {
        let state = block_on(self.store().newest()).expect("a whole state").expect("a checkpoint");
        self.state().join(format!("segment-{}", state.sources[0].parts[0].name))
    }
}

/// A state that is refused.
struct Case {
    name: &'static str,
    harm: fn(&World),
    says: &'static [&'static str],
    accepted: Accepted,
}

/// What `--accept-loss` does with it.
enum Accepted {
    /// The job goes on: these rows are delivered once more, and that is said.
    Repeats(&'static [u64], &'static str),
    /// It is refused all the same.
    No,
}

use Accepted::{No, Repeats};

const CASES: &[Case] = &[
    Case {
        name: "an older state than the manifest names",
        harm: |world| fs::remove_file(world.newest("checkpoint-")).expect("it is there"),
        says: &["checkpoint-", "is missing", "never used unasked", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[LAST], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the newest checkpoint cut off",
        harm: |world| cut(&world.newest("checkpoint-")),
        says: &["checkpoint-", "its checksum is wrong", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[LAST], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the newest checkpoint changed",
        harm: |world| change(&world.newest("checkpoint-")),
        says: &["checkpoint-", "its checksum is wrong", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[LAST], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the newest part missing",
        harm: |world| fs::remove_file(world.newest("segment-")).expect("it is there"),
        says: &["segment-", "is missing", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[LAST], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the newest part cut off",
        harm: |world| cut(&world.newest("segment-")),
        says: &["segment-", "its checksum is wrong", "--accept-loss"],
        accepted: Repeats(&[LAST], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the oldest part of the newest checkpoint changed",
        harm: |world| change(&world.first_part()),
        says: &["segment-", "its checksum is wrong", "--accept-loss"],
        accepted: Repeats(&[LAST], "as asked, the job "),
    },
    Case {
        name: "no checkpoint whole",
        harm: |world| world.files("segment-").iter().for_each(|part| change(part)),
        says: &["segment-", "its checksum is wrong", "--accept-loss", "no checkpoint is whole"],
        accepted: Repeats(&[LAST], "as asked, the job begins anew"),
    },
    Case {
        name: "a terabyte in place of the newest checkpoint",
        harm: |world| terabyte(&world.newest("checkpoint-")),
        says: &["checkpoint-", "it has 1099511627776 bytes", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[LAST], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "a terabyte in place of the newest part",
        harm: |world| terabyte(&world.newest("segment-")),
        says: &["segment-", "it has 1099511627776 bytes", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[LAST], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "a terabyte in place of the manifest",
        harm: |world| terabyte(&world.newest("manifest")),
        says: &["`manifest` is damaged", "it has 1099511627776 bytes", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the manifest changed",
        harm: |world| change(&world.newest("manifest")),
        says: &["`manifest` is damaged", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the manifest cut off",
        harm: |world| cut(&world.newest("manifest")),
        says: &["`manifest` is damaged", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "the manifest missing",
        harm: |world| fs::remove_file(world.newest("manifest")).expect("it is there"),
        says: &["no manifest", "--accept-loss", "goes on from checkpoint "],
        accepted: Repeats(&[], "as asked, the job goes on from checkpoint "),
    },
    Case {
        name: "a copied directory",
        harm: |world| {
            let original = world.dir.path().join("original");
            fs::rename(world.state(), &original).expect("a rename");
            fs::create_dir(world.state()).expect("a directory");
            for entry in fs::read_dir(&original).expect("the state") {
                let entry = entry.expect("an entry");
                fs::copy(entry.path(), world.state().join(entry.file_name())).expect("a copy");
            }
        },
        says: &["it is a copy", "use that one", "--accept-loss"],
        accepted: Repeats(&[], "the state is a copy, and was adopted as asked"),
    },
    Case {
        name: "a manifest of a later release",
        harm: |world| fs::write(world.newest("manifest"), "headwater-state 99\nwho knows\n").expect("it is ours"),
        says: &["`manifest` was written in version 99 by a later release", "use the release that wrote it"],
        accepted: No,
    },
    Case {
        name: "a part of a later release",
        harm: |world| {
            world.save(|state| {
                let part = &mut state.sources[0].parts[0];
                let mut bytes = part.bytes.to_vec();
                bytes[4] = 99;
                *part = headwater_core::StatePart { name: "later".into(), bytes: bytes.into() };
            });
        },
        says: &["part later of the state cannot be read", "99", "release"],
        accepted: No,
    },
    Case {
        name: "output staged by a later release",
        harm: |world| {
            world.save(|state| {
                let bytes = b"HWFC\x63\x00\x00\x00";
                let committable = Committable { checkpoint: CheckpointId(1), bytes: bytes[..].into() };
                state.pending = vec![("files".into(), committable)];
            });
        },
        says: &["what checkpoint 1 left to commit is of version 99, written by a later release"],
        accepted: No,
    },
];

fn cut(path: &Path) {
    let bytes = fs::read(path).expect("it is there");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("it is ours");
}

/// A sparse file: the disk has room for it, and nobody has the time to read it.
fn terabyte(path: &Path) {
    fs::File::options().write(true).open(path).and_then(|file| file.set_len(1 << 40)).expect("it is ours");
}

fn change(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("it is ours");
}

/// Runs one case on a runtime of its own, whose threads serve the queue while the process is waited for.
fn on_its_own(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads").block_on(test);
}

async fn refused_and_accepted(case: &Case) {
    let Case { name, harm, says, accepted } = case;
    let world = World::killed().await;
    harm(&world);
    let before = world.touched();
    let refused = world.until_idle(&[]);
    assert_eq!(refused.code, Some(3), "{name}: {:#?}", refused.stderr);
    let refused = refused.says(says.iter().copied());
    assert_eq!(world.touched(), before, "{name}: the queue was used before the refusal: {:#?}", refused.stderr);
    assert_eq!(world.rows(), (0..=LAST).collect::<Vec<_>>(), "{name}");
    let went_on = world.until_idle(&["--accept-loss"]);
    let Repeats(repeated, notice) = accepted else {
        assert_eq!(went_on.code, Some(3), "{name}: {:#?}", went_on.stderr);
        assert_eq!(world.touched(), before, "{name}: the queue was used");
        return;
    };
    assert_eq!(went_on.code, Some(0), "{name}: {:#?}", went_on.stderr);
    went_on.says([*notice]);
    let mut expected: Vec<u64> = (0..=LAST).chain(repeated.iter().copied()).collect();
    expected.sort_unstable();
    assert_eq!(world.rows(), expected, "{name}: what is given up is what was said");
    assert_eq!(job::left(&world.server), 0, "{name}");
    job::put(&world.server, 10..11);
    let again = world.until_idle(&[]);
    assert_eq!(again.code, Some(0), "{name}: it was for one start: {:#?}", again.stderr);
    assert_eq!(world.rows().len(), expected.len() + 1, "{name}");
}

#[test]
fn a_state_that_is_not_whole_is_refused_and_what_accepting_costs_is_what_is_said() {
    std::thread::scope(|threads| {
        let running: Vec<_> =
            CASES.iter().map(|case| threads.spawn(move || on_its_own(refused_and_accepted(case)))).collect();
        println!("{} states", running.len());
        for (case, thread) in CASES.iter().zip(running) {
            assert!(thread.join().is_ok(), "failed: {}", case.name);
        }
    });
}

/// What the cases above are compared with.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_whole_repeats_nothing_and_is_deleted_by_its_own_handles() {
    let world = World::killed().await;
    let before = world.server.journal().entries().count();
    world.until_idle(&[]).code(0);
    assert_eq!(world.rows(), (0..=LAST).collect::<Vec<_>>());
    assert_eq!(job::left(&world.server), 0);
    let journal = world.server.journal();
    let messages = |operation| -> Vec<usize> {
        let after = journal.entries().skip(before).filter(|entry| entry.operation == Some(operation));
        after.map(|entry| entry.messages).filter(|messages| *messages > 0).collect()
    };
    assert_eq!(messages(Operation::BatchDeleteMessage), [1], "deleted by the handle in the state");
    assert_eq!(messages(Operation::BatchReceiveMessage), [0; 0], "before it came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_in_use_is_refused_whatever_is_accepted() {
    let world = World::killed().await;
    let mut first = Process::start(&mut world.command(&["--checkpoint-interval", "500ms"]));
    first.log("the job starts");
    let owner = format!("process {} is using the state in", first.id());
    for more in [&[][..], &["--accept-loss"]] {
        world.until_idle(more).code(3).says([owner.as_str(), "stop it first", "a state directory of its own"]);
    }
    first.signal("TERM");
    first.finish().code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_another_queue_is_refused() {
    let world = World::killed().await;
    let settings = QueueSettings { visibility_timeout: Some(LEASE), ..QueueSettings::default() };
    world.server.create_queue("others", &settings).expect("a queue");
    world.server.put("others", [NewMessage::new("{\"id\": 100}")]).expect("the queue is there");
    let text = fs::read_to_string(&world.script).expect("the script");
    let other = text.replace("'queueName' = 'orders'", "'queueName' = 'others'");
    write(world.dir.path(), "job.sql", &other);
    let before = world.touched();
    let says = ["the state belongs to queue", "orders, which this job does not read", "--state", "--accept-loss"];
    world.until_idle(&[]).code(3).says(says);
    assert_eq!(world.touched(), before, "the queue was used before the refusal");
    world.until_idle(&["--accept-loss"]).code(0).says(["what is known of a queue that is not read is forgotten"]);
    assert_eq!(world.rows(), [0, 1, 2, 3, 100]);
    // As was said: the other queue's message was delivered and not deleted, and is delivered again now.
    write(world.dir.path(), "job.sql", &text);
    world.until_idle(&[]).code(3);
    world.until_idle(&["--accept-loss"]).code(0);
    assert_eq!(world.rows(), [0, 1, 2, 3, 3, 100]);
}

/// Makes the next commit of the job fail, after its checkpoint is durable: a directory stands where its file shall be.
fn occupy_next_output(world: &World) -> PathBuf {
    let manifest = fs::read_to_string(world.newest("manifest")).expect("the manifest");
    let field = |name: &str| manifest.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned();
    let last: u64 = field("last-id ").parse().expect("a number");
    let out = world.dir.path().join("out");
    let names = fs::read_dir(&out).expect("output").map(|entry| entry.expect("an entry").file_name());
    let part = names.map(|name| name.to_string_lossy().into_owned()).find(|name| name.starts_with("part-"));
    // part-LINEAGE-TABLE-CHECKPOINT-NUMBER.json
    let owner = part.expect("a finished file").splitn(4, '-').take(3).collect::<Vec<_>>().join("-");
    let occupied = out.join(format!("{owner}-{:08}-000.json", last + 1));
    fs::create_dir(&occupied).expect("a directory");
    occupied
}

/// The script with another name for its sink.
fn named(script: &str, sink: &str) -> String {
    script.replace("TABLE files", &format!("TABLE {sink}")).replace("INTO files", &format!("INTO {sink}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_sink_with_a_pending_commit_is_refused() {
    for accept in [false, true] {
        let world = World::killed().await;
        world.until_idle(&[]).code(0);
        let occupied = occupy_next_output(&world);
        job::put(&world.server, 10..11);
        world.until_idle(&[]).code(1).says(["part-"]);
        assert_eq!(job::left(&world.server), 1, "its row is nowhere to be seen, so it is not deleted");
        let text = fs::read_to_string(&world.script).expect("the script");
        write(world.dir.path(), "job.sql", &named(&text, "renamed"));
        let before = world.touched();
        let says = ["the sink `files` is not part of this job any more", "once more with that sink", "--accept-loss"];
        world.until_idle(&[]).code(3).says(says);
        assert_eq!(world.touched(), before, "the queue was used before the refusal");
        fs::remove_dir(&occupied).expect("it is ours");
        if accept {
            world.until_idle(&["--accept-loss"]).code(0).says(["is given up, as asked"]);
            assert_eq!(world.rows(), [0, 1, 2, 3], "as was said: row 10 is lost to the sink that is gone");
        } else {
            write(world.dir.path(), "job.sql", &text);
            world.until_idle(&[]).code(0);
            assert_eq!(world.rows(), [0, 1, 2, 3, 10]);
        }
        assert_eq!(job::left(&world.server), 0);
        // After a clean end nothing is pending, and the sink may go.
        write(world.dir.path(), "job.sql", &named(&text, "another"));
        world.until_idle(&[]).code(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_put_back_from_a_backup_is_refused_while_later_output_is_there() {
    let world = World::killed().await;
    world.until_idle(&[]).code(0);
    let backup: Vec<_> = world.files("").into_iter().map(|path| (fs::read(&path).expect("a file"), path)).collect();
    job::put(&world.server, 10..12);
    world.until_idle(&[]).code(0);
    world.files("").iter().for_each(|path| fs::remove_file(path).expect("it is ours"));
    backup.iter().for_each(|(bytes, path)| fs::write(path, bytes).expect("it is ours"));
    let before = world.touched();
    let says = ["the output of `files` holds checkpoint", "the state was set back", "--accept-loss"];
    world.until_idle(&[]).code(3).says(says);
    assert_eq!(world.touched(), before, "the queue was used before the refusal");
    job::put(&world.server, 12..13);
    world.until_idle(&["--accept-loss"]).code(0).says(["as asked, the job goes on from there"]);
    assert_eq!(world.rows(), [0, 1, 2, 3, 10, 11, 12]);
    world.until_idle(&[]).code(0);
}
