//! A real process on a real directory that dies at its n-th file operation, for every n; then another one that runs to the
//! end: each row is in the sink's files once, and nothing staged is left.
//!
//! The process is this test, started again. What SIGKILL cannot test, that what was not synced may be lost, is tested on a
//! simulated disk (`coordinator.rs`).

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_core::{JobContext, PassThrough, SinkFactory, SinkRequest};
use headwater_job::fs::{FileSystem, Listed, LocalFs, Lock, LockError, MemoryFs, Metadata, NewFile};
use headwater_job::sinks::filesystem::FilesystemFactory;
use headwater_job::{BadRows, Input, Lineage, LocalStore, RunOptions, Runner, StoreOptions};
use support::{LEASE, LedgerSource, Script, TestQueue, columns, drive};

const MESSAGES: i64 = 12;
/// Where the process works, at which operation it dies, and whether a write then leaves its first half.
const DIR: &str = "HEADWATER_KILL_POINTS_DIR";
const AT: &str = "HEADWATER_KILL_POINTS_AT";
const TORN: &str = "HEADWATER_KILL_POINTS_TORN";

/// The machine's file system, and the end of the process before one of its operations.
#[derive(Clone, Debug)]
struct Deadly {
    inner: LocalFs,
    done: Arc<AtomicU64>,
    at: Option<u64>,
    torn: bool,
}

impl Deadly {
    /// Counts an operation that changes something; does not return from the one that is the last.
    fn step(&self) {
        if Some(self.done.fetch_add(1, Ordering::SeqCst)) == self.at {
            std::process::abort();
        }
    }
}

impl FileSystem for Deadly {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.step();
        self.inner.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        self.step();
        Ok(Box::new(DeadlyFile { inner: self.inner.create(path)?, fs: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.inner.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step();
        self.inner.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.step();
        self.inner.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step();
        self.inner.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Listed>> {
        self.inner.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        self.step();
        self.inner.lock(path, owner)
    }

    fn blocks(&self) -> bool {
        false // in place: one thread, one order of operations
    }
}

#[derive(Debug)]
struct DeadlyFile {
    inner: Box<dyn NewFile>,
    fs: Deadly,
}

impl Write for DeadlyFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.fs.torn && Some(self.fs.done.load(Ordering::SeqCst)) == self.fs.at {
            self.inner.write_all(&buf[..buf.len() / 2])?;
        }
        self.fs.step();
        self.inner.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl NewFile for DeadlyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.fs.step();
        self.inner.sync()
    }
}

fn dir() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

/// The queue outlives its readers as a directory of one file per message: how often it was delivered.
fn queue(dir: &Path) -> TestQueue {
    let mut queue = TestQueue::new("a", &MemoryFs::new(), 0);
    queue.deleted = Some(|id| fs::remove_file(dir_of_queue(id)).unwrap());
    for entry in fs::read_dir(dir.join("queue")).unwrap() {
        let path = entry.unwrap().path();
        let id = path.file_name().unwrap().to_str().unwrap().to_owned();
        let deliveries: u32 = fs::read_to_string(&path).unwrap().parse().unwrap();
        // Whoever died had it delivered at most so often.
        fs::write(&path, (deliveries + 100).to_string()).unwrap();
        let row = id.parse::<i64>().unwrap();
        queue.put_again(&id, vec![2 * row, 2 * row + 1], deliveries);
    }
    queue
}

fn dir_of_queue(id: &str) -> PathBuf {
    dir().unwrap().join("queue").join(id)
}

/// One process, if this is one: from opening the state to the end of the run.
#[test]
fn one_process() {
    let Some(dir) = dir() else { return };
    let at = std::env::var(AT).ok().map(|at| at.parse().unwrap());
    let torn = std::env::var_os(TORN).is_some();
    let fs = Deadly { inner: LocalFs::private(), done: Arc::default(), at, torn };
    let queue = queue(&dir);
    let clock = queue.clock.clone();
    drive(&clock, &MemoryFs::new(), async {
        let store =
            LocalStore::open(Arc::new(fs.clone()), dir.join("state"), &StoreOptions::new(Lineage(0xa))).unwrap();
        let out = dir.join("out").to_str().unwrap().to_owned();
        let request = SinkRequest {
            table: "out".into(),
            columns: columns(),
            partitioned_by: Vec::new(),
            options: [("path", out.as_str()), ("format", "csv"), ("sink.rolling-policy.file-size", "20b")]
                .into_iter()
                .collect(),
            context: JobContext::new("job", Duration::from_secs(2)),
            lineage: store.lineage().to_string(),
        };
        let sink = FilesystemFactory::new(Arc::new(fs.clone())).create(&request).await.unwrap();
        let source = Box::new(LedgerSource::new(&queue, Script::default()));
        let input = Input { table: "a".into(), source, bad_rows: BadRows::Fail };
        let plan = Box::new(PassThrough::new("out", columns().to_arrow()));
        let mut options = RunOptions::default();
        options.until_idle = Some(LEASE + Duration::from_secs(5));
        let sinks = vec![("out".to_owned(), sink)];
        let runner = Runner::new(vec![input], plan, sinks, Box::new(store), Arc::new(clock.clone()), options).unwrap();
        runner.run().await.unwrap();
    })
    .unwrap();
}

/// A directory of jobs and their queue, and how many processes have worked in it.
struct World {
    dir: tempfile::TempDir,
    executions: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("queue")).unwrap();
        for id in 0..MESSAGES {
            fs::write(dir.path().join("queue").join(format!("{id:03}")), "0").unwrap();
        }
        Self { dir, executions: 0 }
    }

    fn process(&mut self, at: Option<u64>, torn: bool) -> ExitStatus {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "one_process", "--test-threads=1"]).env(DIR, self.dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(at) = at {
            command.env(AT, at.to_string());
        }
        if torn {
            command.env(TORN, "1");
        }
        self.executions += 1;
        command.status().unwrap()
    }

    /// Runs to the end what others have left, and looks at everything.
    fn finish(&mut self, say: &str) {
        let status = self.process(None, false);
        assert!(status.success(), "{say}: the next process: {status}");
        let names = |dir: &str| -> Vec<String> {
            let entries = fs::read_dir(self.dir.path().join(dir)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let (hidden, shown): (Vec<_>, Vec<_>) = names("out").into_iter().partition(|name| name.starts_with('.'));
        let text: String =
            shown.iter().map(|name| fs::read_to_string(self.dir.path().join("out").join(name)).unwrap()).collect();
        let mut rows: Vec<i64> = text.lines().map(|line| line.parse().unwrap()).collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..2 * MESSAGES).collect::<Vec<_>>(), "{say}");
        assert!(hidden.iter().all(|name| name.starts_with(".commit-")) && hidden.len() <= 1, "{say}: {hidden:?}");
        assert_eq!(names("queue"), [""; 0], "{say}: not everything is deleted");
        let left: Vec<_> = names("state").into_iter().filter(|name| name.starts_with("tmp-")).collect();
        assert!(left.is_empty(), "{say}: {left:?}");
    }
}

/// Kills a process at every operation, until one comes to its end. Says how many operations and processes there were.
fn at_every_operation(torn: bool) -> (u64, u64) {
    let (next, operations, executions) = (AtomicU64::new(0), AtomicU64::new(u64::MAX), AtomicU64::new(0));
    let work = || loop {
        let at = next.fetch_add(1, Ordering::SeqCst);
        if at >= operations.load(Ordering::SeqCst) {
            return;
        }
        let mut world = World::new();
        let status = world.process(Some(at), torn);
        if status.success() {
            operations.fetch_min(at, Ordering::SeqCst);
        } else {
            assert!(status.signal().is_some(), "killed at {at}: {status}");
            world.finish(&format!("killed at operation {at}, torn: {torn}"));
        }
        executions.fetch_add(world.executions, Ordering::SeqCst);
    };
    // Side by side: most of the time goes into starting processes and waiting for disks.
    std::thread::scope(|threads| (0..4).for_each(|_| drop(threads.spawn(work))));
    (operations.into_inner(), executions.into_inner())
}

#[test]
fn a_process_killed_at_any_file_operation_leaves_what_the_next_one_completes() {
    let (operations, executions) = at_every_operation(false);
    assert!(operations > 100, "{operations} operations are no test");
    let (_, torn) = at_every_operation(true);
    println!(
        "{operations} file operations, killed before each, and in the middle of each write: {} processes",
        executions + torn
    );
}

#[test]
fn neither_do_several_kills_in_a_row() {
    let mut executions = 0;
    for seed in 0..40_u64 {
        let mut world = World::new();
        // Spread over the run, in no step with each other; starts are cut more often than ends.
        let kills = [0, 1, 2, 3].map(|n| (seed * 7919 + n * 104_729 + seed * seed * n) % (20 + 60 * (n % 3)));
        for at in kills {
            world.process(Some(at), seed % 2 == 0);
        }
        world.finish(&format!("killed at {kills:?}"));
        executions += world.executions;
    }
    println!("4 kills in a row, 40 times: {executions} processes");
}
