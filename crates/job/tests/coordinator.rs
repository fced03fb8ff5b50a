//! Sources, plan, filesystem sink, store and runner together: every row once, whatever dies when.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_core::{
    Batch, CheckpointId, CheckpointStore, Committable, EarlierRun, JobContext, JobState, PassThrough, Plan, PlanError,
    PlanOutput, Processed, Sink, SinkFactory, SinkRequest, SourceErrorKind, StoreError, StoreErrorKind, WallMs,
};
use headwater_job::fs::{Fault, FileSystem, Loss, MemoryFs};
use headwater_job::sinks::filesystem::FilesystemFactory;
use headwater_job::{
    BadRows, Input, JobError, JobErrorKind, JobReport, Lineage, LocalStore, Progress, RunOptions, Runner, StoreOptions,
};
use support::{LEASE, LedgerSource, Script, TestQueue, columns, drive};

const STATE: &str = "/jobs/state";
const OUT: &str = "/data/out";

fn store(fs: &MemoryFs) -> Result<LocalStore, StoreError> {
    LocalStore::open(Arc::new(fs.clone()), STATE, &StoreOptions::new(Lineage(0xa)))
}

async fn sink(fs: &MemoryFs, table: &str, lineage: Lineage) -> Result<Box<dyn Sink>, JobError> {
    let request = SinkRequest {
        table: table.into(),
        columns: columns(),
        partitioned_by: Vec::new(),
        options: [("path", OUT), ("format", "csv"), ("sink.rolling-policy.file-size", "20b")].into_iter().collect(),
        context: JobContext::new("job", Duration::from_secs(2)),
        lineage: lineage.to_string(),
    };
    Ok(FilesystemFactory::new(Arc::new(fs.clone())).create(&request).await?)
}

/// Longer than a lease: what a dead process held has come back by then.
fn until_idle() -> RunOptions {
    let mut options = RunOptions::default();
    options.until_idle = Some(LEASE + Duration::from_secs(5));
    options
}

/// Every row of every input goes to every output.
#[derive(Debug)]
struct Everywhere(Vec<PlanOutput>);

impl Plan for Everywhere {
    fn outputs(&self) -> &[PlanOutput] {
        &self.0
    }

    fn process(&mut self, _input: usize, batch: &Batch, _now: WallMs) -> Result<Processed, PlanError> {
        Ok(Processed { rows: (0..self.0.len()).map(|out| (out, batch.records().clone())).collect(), bad: Vec::new() })
    }
}

fn everywhere(tables: &[&str]) -> Everywhere {
    let output = |table: &&str| PlanOutput { sink: (*table).into(), schema: columns().to_arrow() };
    Everywhere(tables.iter().map(output).collect())
}

fn input(queue: &TestQueue, script: Script) -> Input {
    Input { table: queue.name.into(), source: Box::new(LedgerSource::new(queue, script)), bad_rows: BadRows::Fail }
}

/// One process: from opening the state to the end of the run.
async fn job(
    fs: &MemoryFs,
    queues: &[&TestQueue],
    tables: &[&str],
    options: RunOptions,
) -> Result<JobReport, JobError> {
    let store = store(fs)?;
    let mut sinks = Vec::new();
    for table in tables {
        sinks.push(((*table).to_owned(), sink(fs, table, store.lineage()).await?));
    }
    let inputs = queues.iter().map(|queue| input(queue, Script::default())).collect();
    let clock = Arc::new(queues[0].clock.clone());
    Runner::new(inputs, Box::new(everywhere(tables)), sinks, Box::new(store), clock, options)?.run().await
}

/// The rows a reader sees, sorted.
fn rows(fs: &MemoryFs) -> Vec<i64> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let shown = fs.files().into_iter().filter(|(path, _)| path.starts_with("/data") && !name(path).starts_with('.'));
    let text: String = shown.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect();
    let mut rows: Vec<i64> = text.lines().map(|line| line.parse().unwrap()).collect();
    rows.sort_unstable();
    rows
}

/// 12 messages of two rows, one without rows, one with many.
fn fill(queue: &TestQueue, from: i64) -> Vec<i64> {
    let mut messages: Vec<Vec<i64>> = (0..12).map(|n| vec![from + 2 * n, from + 2 * n + 1]).collect();
    messages.insert(5, Vec::new());
    messages.push((from + 24..from + 30).collect());
    queue.put(messages);
    (from..from + 30).collect()
}

fn two_queues(fs: &MemoryFs, lost_answers: u64) -> (TestQueue, TestQueue, Vec<i64>) {
    let a = TestQueue::new("a", fs, lost_answers);
    let mut b = TestQueue::new("b", fs, 0);
    b.clock = a.clock.clone();
    let mut expected = fill(&a, 0);
    expected.extend(fill(&b, 100));
    (a, b, expected)
}

#[test]
fn a_job_moves_everything_and_ends_when_idle() {
    let fs = MemoryFs::new();
    let (a, b, expected) = two_queues(&fs, 0);
    let report = drive(&a.clock, &fs, job(&fs, &[&a, &b], &["out"], until_idle())).unwrap().unwrap();
    assert_eq!(rows(&fs), expected);
    assert_eq!((a.len(), b.len()), (0, 0), "everything is deleted");
    assert_eq!(report.rows["out"], expected.len() as u64);
    assert!(report.checkpoints >= 4, "{report:?}");
    let deleted: u64 = report.sources.iter().map(|(_, status, _)| status.deleted).sum();
    assert_eq!(deleted, 28);
    assert_eq!((report.deleted(), report.duplicates()), (28, 0));
    fs.restart(Loss::Unsynced);
    assert_eq!(store(&fs).unwrap().earlier_run(), EarlierRun::Clean, "the next run need not wait for leases");
}

/// Runs processes, one after the other, until one comes to its end; each is killed at the next of these operations.
fn with_crashes(crashes: &[u64], loss: Loss, lost_answers: u64, tables: &[&str]) -> (u64, String) {
    let fs = MemoryFs::new();
    let (a, b, expected) = two_queues(&fs, lost_answers);
    let say = format!("crashes at {crashes:?}, {loss:?}");
    for at in crashes {
        fs.crash_before(fs.operations() + at);
        let Some(outcome) = drive(&a.clock, &fs, job(&fs, &[&a, &b], tables, until_idle())) else {
            let loss = if let Loss::Seeded(seed) = loss { Loss::Seeded(seed + fs.operations()) } else { loss };
            fs.restart(loss);
            continue;
        };
        outcome.unwrap_or_else(|error| panic!("{say}: {error}"));
        break;
    }
    fs.restart(Loss::Nothing);
    let outcome = drive(&a.clock, &fs, job(&fs, &[&a, &b], tables, until_idle())).unwrap();
    outcome.unwrap_or_else(|error| panic!("{say}: {error}"));
    // What is durable is what counts.
    fs.restart(Loss::Unsynced);
    let mut everywhere: Vec<i64> = tables.iter().flat_map(|_| expected.clone()).collect();
    everywhere.sort_unstable();
    assert_eq!(rows(&fs), everywhere, "{say}");
    assert_eq!((a.len(), b.len()), (0, 0), "{say}: not everything is deleted");
    let staged: Vec<_> = fs.files().into_keys().filter(|path| path.to_string_lossy().contains("/.part-")).collect();
    assert!(staged.is_empty(), "{say}: left over {staged:?}");
    (fs.operations(), say)
}

fn operations(tables: &[&str]) -> u64 {
    let fs = MemoryFs::new();
    let (a, b, _) = two_queues(&fs, 0);
    drive(&a.clock, &fs, job(&fs, &[&a, &b], tables, until_idle())).unwrap().unwrap();
    fs.operations()
}

#[test]
fn a_crash_at_any_operation_loses_and_repeats_nothing() {
    let operations = operations(&["out"]);
    assert!(operations > 100, "{operations} operations are no test");
    for loss in [Loss::Nothing, Loss::Unsynced, Loss::Seeded(1), Loss::Seeded(1_000), Loss::Seeded(1_000_000)] {
        for at in 0..operations {
            with_crashes(&[at], loss, 0, &["out"]);
        }
    }
}

#[test]
fn neither_do_several_crashes_lost_answers_and_two_sinks() {
    let tables = &["out", "second"];
    let operations = operations(tables);
    for seed in 0..300_u64 {
        // Spread over the run, in no step with each other.
        let crashes: Vec<u64> = (1..5).map(|n| (seed * 7919 + n * 104_729 + seed * seed * n) % operations).collect();
        with_crashes(&crashes, Loss::Seeded(seed), 3, tables);
    }
}

/// A store that fails as told, and records what it was given.
struct Unsteady {
    inner: LocalStore,
    /// What becomes of each save in turn; after the last, all is well.
    plan: Arc<Mutex<Vec<Save>>>,
    saved: Arc<Mutex<Vec<JobState>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Save {
    Fine,
    /// Nothing was written.
    Failed,
    /// It is durable, and the caller is not told.
    Indeterminate,
    /// Nothing was written, and nothing will be.
    Unusable,
    Refused,
    /// The disk does not answer.
    Hangs,
}

#[async_trait::async_trait]
impl CheckpointStore for Unsteady {
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError> {
        self.inner.newest().await
    }

    fn next_id(&self) -> CheckpointId {
        self.inner.next_id()
    }

    async fn save(&mut self, state: &JobState) -> Result<(), StoreError> {
        self.saved.lock().unwrap().push(state.clone());
        let next = {
            let mut plan = self.plan.lock().unwrap();
            if plan.is_empty() { Save::Fine } else { plan.remove(0) }
        };
        let failed = |kind| Err(StoreError::new(kind, "the disk said no"));
        match next {
            Save::Fine => self.inner.save(state).await,
            Save::Failed => failed(StoreErrorKind::Io),
            Save::Indeterminate => {
                self.inner.save(state).await?;
                failed(StoreErrorKind::Io)
            }
            Save::Unusable => failed(StoreErrorKind::Unusable),
            Save::Refused => failed(StoreErrorKind::Refused),
            Save::Hangs => std::future::pending().await,
        }
    }
}

struct Unsteadied {
    runner: Runner,
    saved: Arc<Mutex<Vec<JobState>>>,
    calls: Arc<Mutex<Vec<String>>>,
    progress: Arc<Mutex<Vec<Progress>>>,
}

/// A runner over a store that fails as `plan` says.
fn unsteady(fs: &MemoryFs, queue: &TestQueue, plan: &[Save], options: RunOptions) -> Unsteadied {
    let script = Script::default();
    let calls = Arc::clone(&script.calls);
    let saved = Arc::new(Mutex::new(Vec::new()));
    let progress = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&progress);
    let inner = store(fs).unwrap();
    let lineage = inner.lineage();
    let store = Unsteady { inner, plan: Arc::new(Mutex::new(plan.to_vec())), saved: Arc::clone(&saved) };
    let sinks = vec![("out".to_owned(), futures::executor::block_on(sink(fs, "out", lineage)).unwrap())];
    let clock = Arc::new(queue.clock.clone());
    let plan = Box::new(PassThrough::new("out", columns().to_arrow()));
    let runner = Runner::new(vec![input(queue, script)], plan, sinks, Box::new(store), clock, options).unwrap();
    let runner = runner.observed(move |event| seen.lock().unwrap().push(event.clone()));
    Unsteadied { runner, saved, calls, progress }
}

#[test]
fn an_indeterminate_save_stages_on_and_repeats_nothing() {
    use Save::{Failed, Fine, Indeterminate};
    for plan in [&[Failed][..], &[Indeterminate], &[Fine, Indeterminate, Failed, Indeterminate], &[Failed; 9]] {
        let fs = MemoryFs::new();
        let queue = TestQueue::new("a", &fs, 0);
        let expected = fill(&queue, 0);
        let job = unsteady(&fs, &queue, plan, until_idle());
        let (saved, calls) = (job.saved, job.calls);
        drive(&queue.clock, &fs, job.runner.run()).unwrap().unwrap();
        assert_eq!(rows(&fs), expected, "{plan:?}");
        assert_eq!(queue.len(), 0);
        // What was staged under a checkpoint whose fate is unknown stays on the list until one is saved for certain.
        let listed: Vec<Vec<u64>> = saved
            .lock()
            .unwrap()
            .iter()
            .map(|state| state.pending.iter().map(|(_, c)| c.checkpoint.0).collect())
            .collect();
        for (n, fate) in plan.iter().enumerate().filter(|(_, fate)| **fate != Fine) {
            assert!(listed[n].iter().all(|id| listed[n + 1].contains(id)), "after {fate:?}: {listed:?}");
        }
        let aborts = calls.lock().unwrap().iter().filter(|call| call.starts_with("abort")).count();
        assert_eq!(aborts, plan.iter().filter(|fate| **fate != Fine).count());
    }
}

#[test]
fn a_crash_after_an_indeterminate_save_repeats_nothing() {
    for plan in [[Save::Failed, Save::Fine], [Save::Indeterminate, Save::Fine], [Save::Fine, Save::Indeterminate]] {
        let total = {
            let fs = MemoryFs::new();
            let queue = TestQueue::new("a", &fs, 0);
            fill(&queue, 0);
            drive(&queue.clock, &fs, unsteady(&fs, &queue, &plan, until_idle()).runner.run()).unwrap().unwrap();
            fs.operations()
        };
        for at in 20..total {
            let fs = MemoryFs::new();
            let queue = TestQueue::new("a", &fs, 0);
            let expected = fill(&queue, 0);
            let runner = unsteady(&fs, &queue, &plan, until_idle()).runner;
            fs.crash_before(at);
            if drive(&queue.clock, &fs, runner.run()).is_none() {
                fs.restart(Loss::Seeded(at));
            }
            fs.restart(Loss::Nothing);
            drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
            assert_eq!(rows(&fs), expected, "{plan:?}, crash at {at}");
            assert_eq!(queue.len(), 0, "{plan:?}, crash at {at}");
        }
    }
}

#[test]
fn too_many_failed_saves_end_the_job_and_the_next_run_loses_nothing() {
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    let expected = fill(&queue, 0);
    let job_under_test = unsteady(&fs, &queue, &[Save::Failed; 100], until_idle());
    let saved = Arc::clone(&job_under_test.saved);
    let error = drive(&queue.clock, &fs, job_under_test.runner.run()).unwrap().unwrap_err();
    assert_eq!(error.kind(), JobErrorKind::Failed);
    assert!(error.to_string().contains("10"), "how many failed is said: {error}");
    assert_eq!(saved.lock().unwrap().len(), 10);
    assert_eq!(rows(&fs), [0; 0]);
    fs.restart(Loss::Nothing);
    drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
    assert_eq!(rows(&fs), expected);
}

#[test]
fn a_store_that_refuses_or_cannot_be_used_ends_the_job_at_once() {
    for (fate, kind) in [(Save::Refused, JobErrorKind::State), (Save::Unusable, JobErrorKind::Failed)] {
        let fs = MemoryFs::new();
        let queue = TestQueue::new("a", &fs, 0);
        let expected = fill(&queue, 0);
        let refused = unsteady(&fs, &queue, &[fate], until_idle());
        let (saved, calls) = (refused.saved, refused.calls);
        let error = drive(&queue.clock, &fs, refused.runner.run()).unwrap().unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(saved.lock().unwrap().len(), 1, "it was tried again");
        let calls = calls.lock().unwrap();
        assert!(!calls.iter().any(|call| call.starts_with("commit")), "{calls:?}");
        assert!(calls.last().unwrap().starts_with("drain"), "what was taken is given back: {calls:?}");
        fs.restart(Loss::Nothing);
        drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
        assert_eq!(rows(&fs), expected);
    }
}

#[test]
fn a_stop_takes_a_last_checkpoint_and_drains() {
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    let expected = fill(&queue, 0);
    let job = unsteady(&fs, &queue, &[], RunOptions::default());
    let (stopper, progress, calls) = (job.runner.stopper(), job.progress, job.calls);
    let stop = {
        let clock = queue.clock.clone();
        async move {
            headwater_core::Clock::sleep(&clock, Duration::from_millis(600)).await;
            stopper.stop();
        }
    };
    let (report, ()) = drive(&queue.clock, &fs, async { futures::join!(job.runner.run(), stop) }).unwrap();
    let report = report.unwrap();
    assert_eq!(rows(&fs), expected);
    assert_eq!(queue.len(), 0);
    assert_eq!(report.sources[0].2.unconfirmed, 0);
    let calls = calls.lock().unwrap();
    let tail: Vec<_> = calls.iter().rev().take(3).map(|call| call.split(' ').next().unwrap()).collect();
    assert_eq!(tail, ["drain", "commit", "checkpoint"], "{calls:?}");
    assert!(progress.lock().unwrap().iter().any(|event| matches!(event, Progress::Stopping { reason: "stopped", .. })));
}

/// Stops with the first rows: the rest of an answer is handed out while the checkpoint of the stop is saved, so that the last one lists
/// output.
fn stopped_with_output(fs: &MemoryFs, plan: &[Save]) -> Result<JobReport, JobError> {
    let queue = TestQueue::new("a", fs, 0);
    fill(&queue, 0);
    let job = unsteady(fs, &queue, plan, RunOptions::default());
    let stopper = job.runner.stopper();
    let runner = job.runner.observed(move |event| {
        if matches!(event, Progress::Rows { .. }) {
            stopper.stop();
        }
    });
    let outcome = drive(&queue.clock, fs, runner.run()).unwrap();
    let saved = job.saved.lock().unwrap();
    assert!(saved.len() == 3 && !saved[1].pending.is_empty(), "{} checkpoints", saved.len());
    outcome
}

/// A process that starts after a clean end and dies at once leaves an unclean one, to which nothing is known to be committed: by then a
/// reader may have taken the output away, with its directory.
#[test]
fn the_state_of_a_clean_end_has_nothing_to_commit_again() {
    let fs = MemoryFs::new();
    stopped_with_output(&fs, &[]).unwrap();
    assert!(!rows(&fs).is_empty());
    let newest = futures::executor::block_on(store(&fs).unwrap().newest()).unwrap().unwrap();
    assert_eq!(newest.pending, Vec::new());
}

#[test]
fn a_disk_that_hangs_after_everything_is_saved_fails_nobody() {
    let fs = MemoryFs::new();
    let report = stopped_with_output(&fs, &[Save::Fine, Save::Fine, Save::Hangs]).unwrap();
    assert_eq!((report.sources[0].1.uncommitted, report.sources[0].2.unconfirmed), (0, 0));
    assert!(!rows(&fs).is_empty());
}

#[test]
fn a_removed_sink_with_something_to_commit_is_refused_and_works_when_put_back() {
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    let expected = fill(&queue, 0);
    // A crash between a save and its commits: the checkpoint lists what is staged.
    let staged = {
        let operations = operations_of_one(queue.name);
        (0..operations).find(|at| {
            let fs = MemoryFs::new();
            let queue = TestQueue::new("a", &fs, 0);
            fill(&queue, 0);
            fs.crash_before(*at);
            drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).is_none() && {
                fs.restart(Loss::Nothing);
                let found = futures::executor::block_on(store(&fs).unwrap().newest()).unwrap();
                found.is_some_and(|state| !state.pending.is_empty()) && rows(&fs).is_empty()
            }
        })
    };
    fs.crash_before(staged.unwrap());
    assert!(drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).is_none());
    fs.restart(Loss::Nothing);
    let before = fs.files();
    let error = drive(&queue.clock, &fs, job(&fs, &[&queue], &["renamed"], until_idle())).unwrap().unwrap_err();
    assert_eq!(error.kind(), JobErrorKind::State);
    assert!(error.to_string().contains("`out`"), "{error}");
    let staged = |files: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        files.keys().filter(|path| path.starts_with("/data")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(staged(&fs.files()), staged(&before), "a refusal touches nothing");
    fs.restart(Loss::Nothing);
    drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
    assert_eq!(rows(&fs), expected);
}

fn operations_of_one(name: &'static str) -> u64 {
    let fs = MemoryFs::new();
    let queue = TestQueue::new(name, &fs, 0);
    fill(&queue, 0);
    drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
    fs.operations()
}

#[test]
fn a_removed_queue_is_refused_and_a_new_one_is_not() {
    let fs = MemoryFs::new();
    let (a, b, mut expected) = two_queues(&fs, 0);
    drive(&a.clock, &fs, job(&fs, &[&a], &["out"], until_idle())).unwrap().unwrap();
    fs.restart(Loss::Nothing);
    let error = drive(&a.clock, &fs, job(&fs, &[&b], &["out"], until_idle())).unwrap().unwrap_err();
    assert_eq!(error.kind(), JobErrorKind::State);
    assert!(error.to_string().contains("test:a"), "{error}");
    fs.restart(Loss::Nothing);
    // In another order, too: state goes by identity.
    drive(&a.clock, &fs, job(&fs, &[&b, &a], &["out"], until_idle())).unwrap().unwrap();
    expected.sort_unstable();
    assert_eq!(rows(&fs), expected);
}

#[test]
fn a_full_disk_delays_and_does_not_lose() {
    for room in (0..3_000).step_by(37) {
        let fs = MemoryFs::new();
        let queue = TestQueue::new("a", &fs, 0);
        let expected = fill(&queue, 0);
        fs.set_capacity(Some(room));
        let outcome = drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap();
        if let Err(error) = outcome {
            assert_eq!(error.kind(), JobErrorKind::Failed, "{error}");
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(format!("{error} {cause}").contains("no room left"), "{room}: {error}");
        }
        fs.set_capacity(None);
        fs.restart(Loss::Unsynced);
        drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
        assert_eq!(rows(&fs), expected, "{room} bytes of room");
        assert_eq!(queue.len(), 0);
    }
}

#[test]
fn any_single_failed_operation_loses_nothing() {
    for fault in [Fault::Create, Fault::Sync, Fault::Rename, Fault::SyncDir, Fault::Remove] {
        for nth in 0..60 {
            let fs = MemoryFs::new();
            let queue = TestQueue::new("a", &fs, 0);
            let expected = fill(&queue, 0);
            fs.fail(fault, nth, ErrorKind::Other);
            let _ = drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap();
            fs.restart(Loss::Unsynced);
            drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
            assert_eq!(rows(&fs), expected, "{fault:?} {nth}");
            assert_eq!(queue.len(), 0, "{fault:?} {nth}");
        }
    }
}

#[test]
fn a_failed_source_keeps_what_is_durable_and_says_what_it_means() {
    for (kind, expected_kind) in [
        (SourceErrorKind::Denied, JobErrorKind::Denied),
        (SourceErrorKind::BadData, JobErrorKind::BadData),
        (SourceErrorKind::Failed, JobErrorKind::Failed),
    ] {
        let fs = MemoryFs::new();
        let queue = TestQueue::new("a", &fs, 0);
        let expected = fill(&queue, 0);
        let store_now = store(&fs).unwrap();
        let lineage = store_now.lineage();
        let script = Script { fail_after: Some((3, kind)), ..Script::default() };
        let sinks = vec![("out".to_owned(), futures::executor::block_on(sink(&fs, "out", lineage)).unwrap())];
        let plan = Box::new(PassThrough::new("out", columns().to_arrow()));
        let clock = Arc::new(queue.clock.clone());
        let runner =
            Runner::new(vec![input(&queue, script)], plan, sinks, Box::new(store_now), clock, until_idle()).unwrap();
        let error = drive(&queue.clock, &fs, runner.run()).unwrap().unwrap_err();
        assert_eq!(error.kind(), expected_kind);
        fs.restart(Loss::Unsynced);
        drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
        assert_eq!(rows(&fs), expected);
    }
}

/// Fails on one value.
#[derive(Debug)]
struct Allergic(PassThrough, i64);

impl Plan for Allergic {
    fn outputs(&self) -> &[PlanOutput] {
        self.0.outputs()
    }

    fn process(&mut self, input: usize, batch: &Batch, now: WallMs) -> Result<Processed, PlanError> {
        use arrow_array::cast::AsArray;
        use arrow_array::types::Int64Type;
        let ids = batch.records().column(0).as_primitive::<Int64Type>();
        let Some(row) = ids.values().iter().position(|id| *id == self.1) else {
            return self.0.process(input, batch, now);
        };
        let rest: arrow_array::Int64Array = ids.values().iter().copied().filter(|id| *id != self.1).collect();
        let records = arrow_array::RecordBatch::try_new(batch.records().schema(), vec![Arc::new(rest)]).unwrap();
        let bad =
            headwater_core::BadRow { row, output: 0, expression: "1 / 0".into(), cause: "divided by zero".into() };
        Ok(Processed { rows: vec![(0, records)], bad: vec![bad] })
    }
}

#[test]
fn a_bad_row_fails_with_its_coordinates_or_is_skipped() {
    for policy in [BadRows::Fail, BadRows::Skip] {
        let fs = MemoryFs::new();
        let queue = TestQueue::new("a", &fs, 0);
        let expected = fill(&queue, 0);
        let store_now = store(&fs).unwrap();
        let sinks =
            vec![("out".to_owned(), futures::executor::block_on(sink(&fs, "out", store_now.lineage())).unwrap())];
        let plan = Box::new(Allergic(PassThrough::new("out", columns().to_arrow()), 15));
        let mut reading = input(&queue, Script::default());
        reading.bad_rows = policy;
        let clock = Arc::new(queue.clock.clone());
        let runner = Runner::new(vec![reading], plan, sinks, Box::new(store_now), clock, until_idle()).unwrap();
        let outcome = drive(&queue.clock, &fs, runner.run()).unwrap();
        fs.restart(Loss::Unsynced);
        if policy == BadRows::Skip {
            assert_eq!(outcome.unwrap().bad_rows, 1);
            assert_eq!(rows(&fs), expected.into_iter().filter(|id| *id != 15).collect::<Vec<_>>());
            continue;
        }
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), JobErrorKind::BadData);
        let text = error.to_string();
        // 15 is the second row of the eighth message with rows; the one without rows came before it.
        for part in ["`a`", "a-00008", "delivered 1 times", "row 1 of it", "`1 / 0`", "divided by zero"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        // Nothing of the batch was taken over: a job that can do it gets all of it.
        drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
        assert_eq!(rows(&fs), expected);
    }
}

#[test]
fn what_cannot_run_is_refused_before_anything_is_touched() {
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    let refuse = |inputs: Vec<Input>, tables: &[&str], options: RunOptions| {
        let store_now = store(&fs).unwrap();
        let lineage = store_now.lineage();
        let sinks: Vec<_> = tables
            .iter()
            .map(|table| ((*table).to_owned(), futures::executor::block_on(sink(&fs, table, lineage)).unwrap()))
            .collect();
        let plan = Box::new(PassThrough::new("out", columns().to_arrow()));
        let clock = Arc::new(queue.clock.clone());
        let error = Runner::new(inputs, plan, sinks, Box::new(store_now), clock, options).unwrap_err();
        assert_eq!(error.kind(), JobErrorKind::Configuration);
        error.to_string()
    };
    let one = || input(&queue, Script::default());
    assert!(refuse(vec![one()], &["other"], RunOptions::default()).contains("`out`"));
    assert!(refuse(vec![one(), one()], &["out"], RunOptions::default()).contains("test:a"));
    assert!(refuse(vec![one()], &["out", "out"], RunOptions::default()).contains("`out`"));
    assert!(refuse(vec![], &["out"], RunOptions::default()).contains("reads nothing"));
    let mut options = RunOptions::default();
    options.failed_saves_max = 1_000;
    assert!(refuse(vec![one()], &["out"], options).contains("failed_saves_max"));
}

#[test]
fn a_committed_epoch_is_committed_once_and_in_order() {
    /// Remembers what was asked of it.
    #[derive(Debug)]
    struct Witness(Arc<Mutex<Vec<String>>>);
    #[async_trait::async_trait]
    impl Sink for Witness {
        fn delivery(&self) -> headwater_core::Delivery {
            headwater_core::Delivery::ExactlyOnce
        }
        async fn recover(&mut self, pending: &[Committable]) -> Result<(), headwater_core::SinkError> {
            self.0.lock().unwrap().push(format!("recover {}", pending.len()));
            Ok(())
        }
        async fn write(&mut self, _: &arrow_array::RecordBatch) -> Result<(), headwater_core::SinkError> {
            self.0.lock().unwrap().push("write".into());
            Ok(())
        }
        async fn pre_commit(&mut self, id: CheckpointId) -> Result<Option<Committable>, headwater_core::SinkError> {
            self.0.lock().unwrap().push(format!("stage {id}"));
            Ok(Some(Committable { checkpoint: id, bytes: b""[..].into() }))
        }
        async fn commit(&mut self, committable: &Committable) -> Result<(), headwater_core::SinkError> {
            self.0.lock().unwrap().push(format!("commit {}", committable.checkpoint));
            Ok(())
        }
        async fn close(&mut self) -> Result<(), headwater_core::SinkError> {
            self.0.lock().unwrap().push("close".into());
            Ok(())
        }
    }
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    fill(&queue, 0);
    let (seen, script) = (Arc::new(Mutex::new(Vec::new())), Script::default());
    let sinks: Vec<(String, Box<dyn Sink>)> = vec![("out".into(), Box::new(Witness(Arc::clone(&seen))))];
    let plan = Box::new(PassThrough::new("out", columns().to_arrow()));
    let clock = Arc::new(queue.clock.clone());
    let calls = Arc::clone(&script.calls);
    let runner =
        Runner::new(vec![input(&queue, script)], plan, sinks, Box::new(store(&fs).unwrap()), clock, until_idle())
            .unwrap();
    let report = drive(&queue.clock, &fs, runner.run()).unwrap().unwrap();
    let seen = seen.lock().unwrap();
    let epochs: Vec<_> = seen.iter().filter(|call| call.as_str() != "write").cloned().collect();
    let last = report.last_checkpoint.unwrap().0;
    let mut expected = vec!["recover 0".to_owned()];
    expected.extend((1..=last).flat_map(|id| [format!("stage {id}"), format!("commit {id}")]));
    expected.push("close".into());
    assert_eq!(epochs, expected);
    let calls = calls.lock().unwrap();
    let sources: Vec<_> = calls.iter().filter(|call| call.starts_with('c')).cloned().collect();
    let expected: Vec<_> = (1..=last).flat_map(|id| [format!("checkpoint {id}"), format!("commit {id}")]).collect();
    assert_eq!(sources, expected);
}

/// Sleeps in its save, so that the loop has time to go on.
struct Slow(LocalStore, headwater_core::ManualClock);

#[async_trait::async_trait]
impl CheckpointStore for Slow {
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError> {
        self.0.newest().await
    }

    fn next_id(&self) -> CheckpointId {
        self.0.next_id()
    }

    async fn save(&mut self, state: &JobState) -> Result<(), StoreError> {
        headwater_core::Clock::sleep(&self.1, Duration::from_secs(3)).await;
        self.0.save(state).await
    }
}

#[test]
fn rows_flow_while_a_checkpoint_is_saved() {
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    let expected = fill(&queue, 0);
    let inner = store(&fs).unwrap();
    let sinks = vec![("out".to_owned(), futures::executor::block_on(sink(&fs, "out", inner.lineage())).unwrap())];
    let plan = Box::new(PassThrough::new("out", columns().to_arrow()));
    let clock = queue.clock.clone();
    let progress = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&progress);
    let store = Box::new(Slow(inner, clock.clone()));
    let runner = Runner::new(vec![input(&queue, Script::default())], plan, sinks, store, Arc::new(clock), until_idle());
    let runner = runner.unwrap().observed(move |event| seen.lock().unwrap().push(event.clone()));
    drive(&queue.clock, &fs, runner.run()).unwrap().unwrap();
    assert_eq!(rows(&fs), expected);
    let (mut saving, mut beside, mut most) = (0, 0, 0);
    for event in progress.lock().unwrap().iter() {
        match event {
            Progress::CheckpointBegun { .. } => saving += 1,
            Progress::CheckpointCommitted { .. } => saving -= 1,
            Progress::Rows { rows, .. } if saving > 0 => beside += rows,
            _ => {}
        }
        most = most.max(saving);
    }
    assert_eq!(most, 1, "at most one checkpoint is in flight");
    assert!(beside > 0, "no row flowed during a save");
}

/// Takes its time over a start, and does not come back from a save.
struct Hanging(LocalStore, headwater_core::ManualClock);

#[async_trait::async_trait]
impl CheckpointStore for Hanging {
    async fn newest(&mut self) -> Result<Option<JobState>, StoreError> {
        headwater_core::Clock::sleep(&self.1, Duration::from_secs(15)).await;
        self.0.newest().await
    }

    fn next_id(&self) -> CheckpointId {
        self.0.next_id()
    }

    async fn save(&mut self, _: &JobState) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

/// Of 25 s the last checkpoint may take three quarters, and the start has spent most of them: they do not begin anew with it.
#[test]
fn a_stop_during_a_start_that_hangs_counts_from_then() {
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    fill(&queue, 0);
    let script = Script::default();
    let calls = Arc::clone(&script.calls);
    let inner = store(&fs).unwrap();
    let sinks = vec![("out".to_owned(), futures::executor::block_on(sink(&fs, "out", inner.lineage())).unwrap())];
    let plan = Box::new(PassThrough::new("out", columns().to_arrow()));
    let (clock, begun) = (queue.clock.clone(), headwater_core::Clock::now(&queue.clock));
    let store = Box::new(Hanging(inner, clock.clone()));
    let runner =
        Runner::new(vec![input(&queue, script)], plan, sinks, store, Arc::new(clock), RunOptions::default()).unwrap();
    runner.stopper().stop();
    let error = drive(&queue.clock, &fs, runner.run()).unwrap().unwrap_err();
    assert!(error.to_string().contains("not taken within 25s of the stop"), "{error}");
    assert_eq!(headwater_core::Clock::now(&queue.clock).since(begun), Duration::from_millis(18_750));
    let calls = calls.lock().unwrap();
    assert_eq!(calls.last().map(String::as_str), Some("drain 6.25s"), "what is left of 25 s: {calls:?}");
}

#[test]
fn a_second_process_and_a_copied_state_are_turned_away_with_exit_code_3() {
    let fs = MemoryFs::new();
    let queue = TestQueue::new("a", &fs, 0);
    let first = store(&fs).unwrap();
    let error = drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap_err();
    assert_eq!(error.kind().exit_code(), 3, "{error}");
    drop(first);
    drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap();
    let copy = MemoryFs::new();
    copy.put(Path::new("/elsewhere"), b"");
    fs.files().into_iter().for_each(|(path, bytes)| copy.put(&path, &bytes));
    let error = drive(&queue.clock, &copy, job(&copy, &[&queue], &["out"], until_idle())).unwrap().unwrap_err();
    assert_eq!(error.kind().exit_code(), 3, "{error}");
    // A damaged newest checkpoint is no reason to go back to an older one.
    let newest = fs.files().into_keys().rfind(|path| path.to_str().unwrap().contains("checkpoint-"));
    fs.remove(&newest.unwrap()).unwrap();
    let error = drive(&queue.clock, &fs, job(&fs, &[&queue], &["out"], until_idle())).unwrap().unwrap_err();
    assert_eq!(error.kind().exit_code(), 3, "{error}");
}
