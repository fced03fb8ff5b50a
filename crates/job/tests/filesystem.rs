//! The filesystem sink on a simulated disk: what is visible when, and what a crash, a reader or a stranger can do to it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use futures::executor::block_on;
use headwater_core::{CheckpointId, Committable, JobContext, Sink, SinkFactory, SinkRequest};
use headwater_formats::RowType;
use headwater_job::fs::{Fault, FileSystem, Loss, MemoryFs};
use headwater_job::sinks::filesystem::{FilesystemFactory, OPEN_FILES_MAX};

const OUT: &str = "/data/out";

fn columns() -> RowType {
    "id BIGINT, name STRING".parse().unwrap()
}

fn request(options: &[(&str, &str)]) -> SinkRequest {
    let mut all = vec![("path", OUT), ("format", "csv")];
    all.retain(|(name, _)| !options.iter().any(|(given, _)| given == name));
    all.extend(options);
    SinkRequest {
        table: "out".into(),
        columns: columns(),
        partitioned_by: Vec::new(),
        options: all.into_iter().collect(),
        context: JobContext::new("job", Duration::from_secs(10)),
        lineage: "00aa".into(),
    }
}

fn sink_of(fs: &MemoryFs, request: &SinkRequest) -> Box<dyn Sink> {
    block_on(FilesystemFactory::new(Arc::new(fs.clone())).create(request)).unwrap()
}

fn sink(fs: &MemoryFs) -> Box<dyn Sink> {
    sink_of(fs, &request(&[]))
}

fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let names: StringArray = ids.clone().map(|id| Some(format!("name {}", id % 3))).collect();
    RecordBatch::try_new(columns().to_arrow(), vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(names)])
        .unwrap()
}

fn write(sink: &mut dyn Sink, ids: std::ops::Range<i64>) {
    block_on(sink.write(&rows(ids))).unwrap();
}

fn stage(sink: &mut dyn Sink, checkpoint: u64) -> Option<Committable> {
    block_on(sink.pre_commit(CheckpointId(checkpoint))).unwrap()
}

fn commit(sink: &mut dyn Sink, committable: &Committable) -> Result<(), String> {
    block_on(sink.commit(committable)).map_err(|error| error.to_string())
}

/// What a reader sees: files whose names do not begin with a dot.
fn visible(fs: &MemoryFs) -> BTreeMap<PathBuf, String> {
    let shown = |path: &PathBuf| path.starts_with("/data") && !name(path).starts_with('.');
    let files = fs.files().into_iter().filter(|(path, _)| shown(path));
    files.map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect()
}

fn hidden(fs: &MemoryFs, part: &str) -> Vec<PathBuf> {
    let files = fs.files().into_keys();
    files.filter(|path| name(path).starts_with('.') && name(path).contains(part)).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The ids in all visible files, sorted.
fn ids(fs: &MemoryFs) -> Vec<i64> {
    let texts = visible(fs).into_values().collect::<String>();
    let mut ids: Vec<i64> = texts.lines().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn rows_are_visible_with_their_commit_and_not_before() {
    let fs = MemoryFs::new();
    let mut sink = sink(&fs);
    block_on(sink.recover(&[])).unwrap();
    assert_eq!(stage(&mut *sink, 1), None, "nothing was written, nothing is staged");
    write(&mut *sink, 0..3);
    let first = stage(&mut *sink, 2).unwrap();
    write(&mut *sink, 3..5); // rows of the next epoch
    assert_eq!(ids(&fs), [0; 0]);
    commit(&mut *sink, &first).unwrap();
    assert_eq!(ids(&fs), [0, 1, 2]);
    let second = stage(&mut *sink, 3).unwrap();
    commit(&mut *sink, &second).unwrap();
    commit(&mut *sink, &second).unwrap();
    assert_eq!(ids(&fs), [0, 1, 2, 3, 4]);
    let names: Vec<_> = visible(&fs).into_keys().map(|path| name(&path).to_owned()).collect();
    assert!(names[0].starts_with("part-00aa-") && names[0].ends_with("-00000002-000.csv"), "{names:?}");
    assert!(hidden(&fs, ".inprogress").is_empty());
}

/// A reader takes the finished file away, and the next process dies with rows in a file of its own before a checkpoint lists that: the
/// one after it must not take this file for the first one, whose rows have the same length.
#[test]
fn a_file_of_an_epoch_that_died_is_never_taken_for_one_that_a_reader_took_away() {
    let fs = MemoryFs::new();
    let mut first = sink(&fs);
    write(&mut *first, 0..3);
    let staged = stage(&mut *first, 1).unwrap();
    commit(&mut *first, &staged).unwrap();
    let own = std::slice::from_ref(&staged);
    let mut second = sink(&fs);
    block_on(second.recover(own)).unwrap();
    commit(&mut *second, &staged).unwrap();
    visible(&fs).keys().for_each(|taken| fs.remove(taken).unwrap());
    write(&mut *second, 3..6);
    let _ = stage(&mut *second, 2).unwrap(); // its checkpoint is never saved
    let mut third = sink(&fs);
    block_on(third.recover(own)).unwrap();
    commit(&mut *third, &staged).unwrap();
    assert_eq!(ids(&fs), [0; 0], "rows of no durable epoch are shown");
    assert!(hidden(&fs, ".inprogress").is_empty(), "what the second left is in no checkpoint");
}

/// Writes and commits epochs until the power fails; what a store would hold then: the newest checkpoint whose save
/// returned, with what it lists, and the one that was being saved.
fn run_until_crash(fs: &MemoryFs, request: &SinkRequest) -> (u64, Option<Committable>) {
    let mut durable = (0, None);
    let factory = FilesystemFactory::new(Arc::new(fs.clone()));
    let Ok(mut sink) = block_on(factory.create(request)) else { return durable };
    if block_on(sink.recover(&[])).is_err() {
        return durable;
    }
    for epoch in 1..=3 {
        let from = (epoch as i64 - 1) * 10;
        if block_on(sink.write(&rows(from..from + 10))).is_err() {
            return durable;
        }
        let Ok(committable) = block_on(sink.pre_commit(CheckpointId(epoch))) else { return durable };
        durable = (epoch, committable.clone()); // the checkpoint is saved
        if block_on(sink.commit(&committable.unwrap())).is_err() {
            return durable;
        }
    }
    durable
}

#[test]
fn a_crash_anywhere_leaves_each_durable_row_once() {
    let partitioned = |mut request: SinkRequest| {
        request.partitioned_by = vec!["name".into()];
        request
    };
    for request in [request(&[]), request(&[("sink.rolling-policy.file-size", "40b")]), partitioned(request(&[]))] {
        let operations = {
            let fs = MemoryFs::new();
            run_until_crash(&fs, &request);
            fs.operations()
        };
        for loss in [Loss::Nothing, Loss::Unsynced].into_iter().chain((0..15).map(Loss::Seeded)) {
            for at in 0..operations {
                let fs = MemoryFs::new();
                fs.crash_before(at);
                let (newest, pending) = run_until_crash(&fs, &request);
                fs.restart(loss);
                let mut sink = sink_of(&fs, &request);
                let pending: Vec<_> = pending.into_iter().collect();
                block_on(sink.recover(&pending)).unwrap();
                for committable in &pending {
                    commit(&mut *sink, committable).unwrap_or_else(|error| panic!("{loss:?} {at}: {error}"));
                }
                // The start is not taken back by another crash.
                fs.restart(Loss::Unsynced);
                let found =
                    visible(&fs).into_values().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
                let mut found: Vec<String> = found.map(|line| line.split(',').next().unwrap().to_owned()).collect();
                found.sort_by_key(|id| id.parse::<i64>().unwrap());
                let expected: Vec<String> = (0..newest as i64 * 10).map(|id| id.to_string()).collect();
                assert_eq!(found, expected, "{loss:?}, crash at {at} of {operations}");
                assert!(hidden(&fs, ".inprogress").is_empty(), "{loss:?}, crash at {at}: left over");
            }
        }
    }
}

#[test]
fn a_reader_may_take_files_away_at_once() {
    let fs = MemoryFs::new();
    let mut first = sink(&fs);
    write(&mut *first, 0..3);
    let staged = stage(&mut *first, 1).unwrap();
    commit(&mut *first, &staged).unwrap();
    visible(&fs).into_keys().for_each(|path| fs.remove(&path).unwrap());
    // The process dies now: its checkpoint still lists what was committed.
    fs.restart(Loss::Nothing);
    let mut second = sink(&fs);
    block_on(second.recover(std::slice::from_ref(&staged))).unwrap();
    commit(&mut *second, &staged).unwrap();
    assert_eq!(ids(&fs), [0; 0]);
    // The marker goes once no checkpoint can list the epoch.
    write(&mut *second, 3..4);
    let next = stage(&mut *second, 2).unwrap();
    commit(&mut *second, &next).unwrap();
    assert_eq!(hidden(&fs, ".commit-").len(), 1);
    let mut third = sink(&fs);
    block_on(third.recover(&[])).unwrap();
    assert_eq!(hidden(&fs, ".commit-").len(), 0);
}

#[test]
fn a_reader_may_take_files_away_of_all_epochs_that_one_checkpoint_lists() {
    let fs = MemoryFs::new();
    let mut first = sink(&fs);
    // The save of checkpoint 1 fails, so checkpoint 2 lists both epochs, and both are committed under it.
    write(&mut *first, 0..3);
    let one = stage(&mut *first, 1).unwrap();
    write(&mut *first, 3..6);
    let two = stage(&mut *first, 2).unwrap();
    commit(&mut *first, &one).unwrap();
    commit(&mut *first, &two).unwrap();
    visible(&fs).into_keys().for_each(|path| fs.remove(&path).unwrap());
    fs.restart(Loss::Nothing);
    let mut second = sink(&fs);
    block_on(second.recover(&[one.clone(), two.clone()])).unwrap();
    commit(&mut *second, &one).unwrap();
    commit(&mut *second, &two).unwrap();
    assert_eq!(ids(&fs), [0; 0]);
    // Checkpoint 3 lists neither: its first commit removes both markers.
    write(&mut *second, 6..7);
    let three = stage(&mut *second, 3).unwrap();
    assert_eq!(hidden(&fs, ".commit-").len(), 2, "checkpoint 2 may still be the newest");
    commit(&mut *second, &three).unwrap();
    assert_eq!(hidden(&fs, ".commit-").len(), 1);
}

#[test]
fn a_reader_may_take_files_away_between_a_crash_and_the_restart() {
    let mut request = request(&[]);
    request.partitioned_by = vec!["name".into()];
    let operations = {
        let fs = MemoryFs::new();
        run_until_crash(&fs, &request);
        fs.operations()
    };
    for (at, seed) in (0..operations).flat_map(|at| (0..25).map(move |seed| (at, seed))) {
        let fs = MemoryFs::new();
        fs.crash_before(at);
        let (newest, pending) = run_until_crash(&fs, &request);
        fs.restart(Loss::Seeded(seed));
        let take = || {
            let taken = visible(&fs);
            for path in taken.keys() {
                fs.remove(path).unwrap();
                fs.sync_dir(path.parent().unwrap()).unwrap();
            }
            taken.into_values().map(|text| text.lines().count() as u64).sum::<u64>()
        };
        let before = take();
        let mut sink = sink_of(&fs, &request);
        let pending: Vec<_> = pending.into_iter().collect();
        block_on(sink.recover(&pending)).unwrap();
        for committable in &pending {
            commit(&mut *sink, committable).unwrap_or_else(|error| panic!("crash at {at}, seed {seed}: {error}"));
        }
        assert_eq!(before + take(), newest * 10, "crash at {at}, seed {seed}");
    }
}

#[test]
fn a_staged_file_removed_by_a_stranger_is_an_error_with_a_way_out() {
    let fs = MemoryFs::new();
    let mut sink = sink(&fs);
    write(&mut *sink, 0..3);
    let staged = stage(&mut *sink, 1).unwrap();
    hidden(&fs, ".inprogress").into_iter().for_each(|path| fs.remove(&path).unwrap());
    let text = commit(&mut *sink, &staged).unwrap_err();
    assert!(text.contains(".inprogress") && text.contains("Put it back"), "{text}");
    let marker = text.split('`').rev().nth(1).unwrap();
    fs.put(Path::new(marker), b"");
    commit(&mut *sink, &staged).unwrap();
}

#[test]
fn a_file_removed_or_cut_while_it_is_written_is_an_error_before_any_checkpoint_lists_it() {
    for remove in [true, false] {
        let fs = MemoryFs::new();
        let mut sink = sink(&fs);
        write(&mut *sink, 0..5);
        let part = hidden(&fs, ".part-").pop().unwrap();
        if remove {
            fs.remove(&part).unwrap()
        } else {
            fs.put(&part, b"1\n")
        }
        let error = block_on(sink.pre_commit(CheckpointId(1))).unwrap_err().to_string();
        assert!(error.contains(name(&part)) && error.contains("their messages come again"), "{error}");
    }
}

#[test]
fn another_file_is_never_replaced() {
    for content in ["other", "0,name 0\n1,name 1\n2,name X\n"] {
        let fs = MemoryFs::new();
        let mut sink = sink(&fs);
        write(&mut *sink, 0..3);
        let staged = stage(&mut *sink, 1).unwrap();
        let expected = MemoryFs::new();
        let mut other = sink_of(&expected, &request(&[]));
        write(&mut *other, 0..3);
        let twin = stage(&mut *other, 1).unwrap();
        commit(&mut *other, &twin).unwrap();
        let path = visible(&expected).into_keys().next().unwrap();
        fs.put(&path, content.as_bytes());
        let text = commit(&mut *sink, &staged).unwrap_err();
        assert!(text.contains("not replaced"), "{text}");
        assert_eq!(visible(&fs)[&path], content);
        assert_eq!(hidden(&fs, ".inprogress").len(), 1, "the staged rows are still there");
        // The same file is not another one.
        fs.put(&path, visible(&expected)[&path].as_bytes());
        commit(&mut *sink, &staged).unwrap();
        assert_eq!(hidden(&fs, ".inprogress").len(), 0);
    }
}

#[test]
fn a_start_removes_its_own_leavings_and_nobody_elses() {
    let fs = MemoryFs::new();
    let mut mine = sink(&fs);
    write(&mut *mine, 0..1);
    let listed = stage(&mut *mine, 1).unwrap();
    write(&mut *mine, 1..2);
    stage(&mut *mine, 2).unwrap();
    let mut lineage = request(&[]);
    lineage.lineage = "00bb".into();
    let mut table = request(&[]);
    table.table = "other".into();
    for request in [lineage, table] {
        write(&mut *sink_of(&fs, &request), 5..6);
    }
    fs.put(Path::new("/data/out/.part-notes"), b"mine");
    fs.put(
        Path::new("/data/out/elsewhere/.part-00aa-00000000-1.inprogress"),
        b"below a directory that is no partition",
    );
    assert_eq!(hidden(&fs, ".part-").len(), 6);
    let mut again = sink(&fs);
    block_on(again.recover(std::slice::from_ref(&listed))).unwrap();
    assert_eq!(hidden(&fs, ".part-").len(), 5);
    commit(&mut *again, &listed).unwrap();
    assert_eq!(ids(&fs), [0]);
    // New files step aside for what is there.
    write(&mut *again, 7..8);
    let staged = stage(&mut *again, 3).unwrap();
    commit(&mut *again, &staged).unwrap();
    assert_eq!(ids(&fs), [0, 7]);
}

#[test]
fn a_changed_path_still_completes_what_was_staged_under_the_old_one() {
    let fs = MemoryFs::new();
    let mut old = sink(&fs);
    write(&mut *old, 0..2);
    let staged = stage(&mut *old, 1).unwrap();
    let mut new = sink_of(&fs, &request(&[("path", "/data/new")]));
    block_on(new.recover(std::slice::from_ref(&staged))).unwrap();
    commit(&mut *new, &staged).unwrap();
    assert_eq!(ids(&fs), [0, 1]);
    assert!(visible(&fs).into_keys().all(|path| path.starts_with(OUT)));
}

#[test]
fn two_tables_share_a_directory() {
    let fs = MemoryFs::new();
    let mut table = request(&[]);
    table.table = "second".into();
    let mut sinks = [sink(&fs), sink_of(&fs, &table)];
    let mut staged = Vec::new();
    for (n, sink) in sinks.iter_mut().enumerate() {
        let n = n as i64;
        write(&mut **sink, n..n + 1);
        staged.push(stage(&mut **sink, 1).unwrap());
    }
    for (sink, staged) in sinks.iter_mut().zip(&staged) {
        block_on(sink.recover(std::slice::from_ref(staged))).unwrap();
        commit(&mut **sink, staged).unwrap();
    }
    assert_eq!(ids(&fs), [0, 1]);
}

#[test]
fn files_are_rolled_by_size_and_partitions_by_number() {
    let fs = MemoryFs::new();
    let mut small = sink_of(&fs, &request(&[("sink.rolling-policy.file-size", "50 b")]));
    (0..10).for_each(|id| write(&mut *small, id..id + 1)); // 9 bytes a row
    let staged = stage(&mut *small, 1).unwrap();
    commit(&mut *small, &staged).unwrap();
    assert_eq!(visible(&fs).len(), 2);
    assert_eq!(ids(&fs), (0..10).collect::<Vec<_>>());

    let fs = MemoryFs::new();
    let mut by_id = request(&[]);
    by_id.partitioned_by = vec!["id".into()];
    let many = OPEN_FILES_MAX as i64 + 20;
    let mut sink = sink_of(&fs, &by_id);
    write(&mut *sink, 0..many);
    write(&mut *sink, 0..many);
    let staged = stage(&mut *sink, 1).unwrap();
    commit(&mut *sink, &staged).unwrap();
    let files = visible(&fs);
    let dirs: std::collections::BTreeSet<_> = files.keys().map(|path| path.parent().unwrap()).collect();
    assert_eq!(dirs.len() as i64, many);
    assert_eq!(files.values().map(|text| text.lines().count() as i64).sum::<i64>(), 2 * many);
    assert_eq!(files.values().next().unwrap(), "name 0\nname 0\n", "the partition column is in the path only");
}

#[test]
fn json_files_hold_a_row_per_line() {
    let fs = MemoryFs::new();
    let options = [("format", "json"), ("json.encode.ignore-null-fields", "true")];
    let mut sink = sink_of(&fs, &request(&options));
    write(&mut *sink, 0..1);
    let staged = stage(&mut *sink, 1).unwrap();
    commit(&mut *sink, &staged).unwrap();
    let files: Vec<_> = visible(&fs).into_iter().collect();
    assert!(name(&files[0].0).ends_with(".json"));
    assert_eq!(files[0].1, "{\"id\":0,\"name\":\"name 0\"}\n");
    let check = |options: &[(&str, &str)]| FilesystemFactory::default().check(&request(options));
    let text = check(&[
        ("format", "json"),
        ("json.encode.ignore-null-field", "x"),
        ("json.map-null-key.mode", "x"),
        ("csv.null-literal", ""),
    ]);
    let text = text.unwrap_err().to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("did you mean `json.encode.ignore-null-fields`"), "{text}");
    assert_eq!(check(&[("format", "json"), ("json.ignore-parse-errors", "true")]).unwrap().notices.len(), 1);
}

#[test]
fn parquet_files_can_be_read_back() {
    for compression in ["snappy", "UNCOMPRESSED"] {
        let fs = MemoryFs::new();
        let mut sink = sink_of(&fs, &request(&[("format", "parquet"), ("parquet.compression", compression)]));
        write(&mut *sink, 0..5);
        write(&mut *sink, 5..7);
        let staged = stage(&mut *sink, 1).unwrap();
        commit(&mut *sink, &staged).unwrap();
        let (path, bytes) = fs.files().into_iter().find(|(path, _)| name(path).ends_with(".parquet")).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let copy = scratch.path().join(name(&path));
        std::fs::write(&copy, bytes).unwrap();
        let file = std::fs::File::open(copy).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(batches, [rows(0..7)]);
    }
}

/// The sync of a directory fails, the next one says that all is well, and then the power fails: rows of a commit that
/// returned are there, and what an earlier run had shown was there all the time.
#[test]
fn names_that_may_be_lost_are_made_anew_and_nothing_shown_is_hidden() {
    for shown_before in [false, true] {
        for nth in 0.. {
            let fs = MemoryFs::new();
            let mut first = sink(&fs);
            write(&mut *first, 0..3);
            let staged = stage(&mut *first, 1).unwrap();
            if shown_before {
                commit(&mut *first, &staged).unwrap();
            }
            drop(first);
            let mut second = sink(&fs);
            fs.fail(Fault::SyncDir, nth, ErrorKind::Other);
            if commit(&mut *second, &staged).is_ok() {
                assert!(nth > 0, "a directory is synced");
                break;
            }
            assert!(!shown_before || ids(&fs) == [0, 1, 2], "what was shown is hidden");
            drop(second);
            commit(&mut *sink(&fs), &staged).unwrap();
            fs.restart(Loss::Unsynced);
            assert_eq!(ids(&fs), [0, 1, 2], "sync {nth} of a directory failed, shown before: {shown_before}");
        }
    }
}

/// Commits in a process that dies before its operation number `dies`, counted from here. Whether it came to its end before. In the
/// first one the sync of the directory fails after the file got its name.
fn commit_and_die(fs: &MemoryFs, staged: &Committable, first: bool, dies: u64) -> bool {
    let mut sink = sink(fs);
    if first {
        // The sync before it is of the marker's name.
        fs.fail(Fault::SyncDir, 1, ErrorKind::Other);
    }
    fs.crash_before(fs.operations() + dies);
    let ended = block_on(sink.recover(std::slice::from_ref(staged))).is_ok() && commit(&mut *sink, staged).is_ok();
    let ended = ended || !fs.crashed();
    drop(sink);
    fs.restart(Loss::Nothing);
    ended
}

/// The same sync fails in a process, which dies at each of its operations in turn, at once after that sync too. The next one
/// makes the name anew, and dies at each of its operations; the one after it finds what was left, whole or not, and begins again.
#[test]
fn making_a_name_anew_is_begun_again_whenever_the_process_died() {
    let mut left_behind = 0;
    for first_dies in 0.. {
        let mut first_ended = false;
        for second_dies in 0.. {
            let fs = MemoryFs::new();
            let mut first = sink(&fs);
            write(&mut *first, 0..3);
            let staged = stage(&mut *first, 1).unwrap();
            drop(first);
            first_ended = commit_and_die(&fs, &staged, true, first_dies);
            let second_ended = commit_and_die(&fs, &staged, false, second_dies);
            left_behind += hidden(&fs, "-again").len();
            let what = format!("before operation {first_dies}, and then before operation {second_dies}");
            let mut third = sink(&fs);
            block_on(third.recover(std::slice::from_ref(&staged))).unwrap();
            commit(&mut *third, &staged).unwrap();
            let left = [hidden(&fs, ".inprogress"), hidden(&fs, "-trying")].concat();
            assert!(left.is_empty(), "{what}: {left:?}");
            fs.restart(Loss::Unsynced);
            assert_eq!(ids(&fs), [0, 1, 2], "{what}");
            if second_ended {
                break;
            }
        }
        if first_ended {
            break;
        }
    }
    assert!(left_behind > 5, "copies that were not whole, or had not taken the name over: {left_behind}");
}

#[test]
fn failures_name_the_path_and_the_way_out() {
    let fs = MemoryFs::new();
    let mut sink = sink(&fs);
    fs.set_capacity(Some(20));
    let text = block_on(sink.write(&rows(0..10))).unwrap_err().to_string();
    assert!(text.contains(OUT) && text.contains("no room left"), "{text}");

    for fault in [Fault::Sync, Fault::SyncDir, Fault::Create, Fault::Rename] {
        let fs = MemoryFs::new();
        let mut sink = sink_of(&fs, &request(&[]));
        fs.fail(fault, 0, ErrorKind::PermissionDenied);
        let run = async {
            sink.write(&rows(0..2)).await?;
            let staged = sink.pre_commit(CheckpointId(1)).await?;
            sink.commit(&staged.unwrap()).await
        };
        // One directory sync is of the parent, which need not be readable.
        let Err(error) = block_on(run) else { continue };
        assert!(error.to_string().contains(OUT), "{error}");
        assert!(error.to_string().contains("permissions"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[test]
fn rows_that_break_the_table_are_refused() {
    let fs = MemoryFs::new();
    let mut strict = request(&[]);
    strict.columns = "id BIGINT NOT NULL, name STRING".parse().unwrap();
    let mut sink = sink_of(&fs, &strict);
    write(&mut *sink, 0..1);
    let null = RecordBatch::try_new(
        columns().to_arrow(),
        vec![Arc::new(Int64Array::from(vec![None])), Arc::new(StringArray::from(vec!["x"]))],
    )
    .unwrap();
    let text = block_on(sink.write(&null)).unwrap_err().to_string();
    assert!(text.contains("`id`") && text.contains("NOT NULL"), "{text}");
}

#[test]
fn every_mistake_in_the_options_is_named_at_once() {
    let factory = FilesystemFactory::default();
    let refuse = |request: &SinkRequest| factory.check(request).unwrap_err().to_string();
    let mut wrong = request(&[
        ("path", "oss://bucket/dir"),
        ("sink.rolling-policy.filesize", "1"),
        ("sink.rolling-policy.file-size", "many"),
        ("auto-compaction", "true"),
        ("csv.quote-character", "''"),
    ]);
    wrong.partitioned_by = vec!["nope".into()];
    let text = refuse(&wrong);
    for part in
        ["`oss://`", "did you mean `sink.rolling-policy.file-size`", "128MB", "auto-compaction", "quote", "`nope`"]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(refuse(&request(&[("format", "orc")])).contains("`orc`"));
    let mut empty = request(&[]);
    empty.options = Default::default();
    let text = refuse(&empty);
    assert!(text.contains("`path`") && text.contains("`format`"), "{text}");
}

#[test]
fn a_path_may_be_a_file_url() {
    for path in ["file:///data/out", "file:/data/out", "file://localhost/data/out", OUT] {
        let fs = MemoryFs::new();
        let mut sink = sink_of(&fs, &request(&[("path", path)]));
        write(&mut *sink, 0..1);
        assert_eq!(hidden(&fs, ".part-").len(), 1, "{path}");
        assert!(hidden(&fs, ".part-")[0].starts_with(OUT), "{path}");
    }
    let text = FilesystemFactory::default().check(&request(&[("path", "file://host/data")])).unwrap_err().to_string();
    assert!(text.contains("file://host/data"), "{text}");
}

#[test]
fn what_is_promised_is_said_in_numbers() {
    let check = FilesystemFactory::default().check(&request(&[("csv.trim-spaces", "true")])).unwrap();
    assert!(check.guarantee.contains("exactly-once") && check.guarantee.contains("10s"), "{}", check.guarantee);
    assert_eq!(check.notices, ["`csv.trim-spaces` has no effect on a table that is written"]);
}

#[tokio::test]
async fn a_real_disk_shows_rows_with_their_commit_too() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("a/b");
    let mut request = request(&[("path", out.to_str().unwrap())]);
    request.partitioned_by = vec!["name".into()];
    let factory = FilesystemFactory::default();
    let mut first = factory.create(&request).await.unwrap();
    first.recover(&[]).await.unwrap();
    first.write(&rows(0..3)).await.unwrap();
    let staged = first.pre_commit(CheckpointId(1)).await.unwrap().unwrap();
    first.write(&rows(3..6)).await.unwrap();
    first.pre_commit(CheckpointId(2)).await.unwrap().unwrap();
    drop(first);
    let files = |dot: bool| {
        let mut found = Vec::new();
        for partition in std::fs::read_dir(&out).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
            let names = std::fs::read_dir(partition.path()).unwrap().flatten().map(|entry| entry.path());
            found.extend(names.filter(|path| name(path).starts_with('.') == dot));
        }
        found
    };
    assert_eq!((files(true).len(), files(false).len()), (6, 0));
    let mut second = factory.create(&request).await.unwrap();
    second.recover(std::slice::from_ref(&staged)).await.unwrap();
    second.commit(&staged).await.unwrap();
    second.commit(&staged).await.unwrap();
    assert_eq!((files(true).len(), files(false).len()), (0, 3));
    let text: String = files(false).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0", "1", "2"]);
}
