//! The checkpoint store on a simulated disk and on a real one: what it keeps, and what it refuses.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::executor::block_on;
use headwater_core::{
    CheckpointId, CheckpointStore, Committable, EarlierRun, JobState, SourceState, StatePart, StoreError,
    StoreErrorKind, StoredPart,
};
use headwater_job::fs::{Fault, FileSystem, LocalFs, Loss, MemoryFs};
use headwater_job::{KEPT_CHECKPOINTS, Lineage, LocalStore, RESERVED_IDS, StoreOptions};

const STATE: &str = "/jobs/state";

fn options() -> StoreOptions {
    StoreOptions::new(Lineage(0xa))
}

fn open(fs: &MemoryFs) -> Result<LocalStore, StoreError> {
    LocalStore::open(Arc::new(fs.clone()), STATE, &options())
}

fn part(name: &str) -> StatePart {
    StatePart { name: name.into(), bytes: format!("content of {name}").into_bytes().into() }
}

/// Checkpoint `id` of a source that writes a base and then deltas, with a base again every fourth time.
fn state(id: u64) -> JobState {
    let base = id - id % 4;
    let parts = (base..=id).map(|at| part(&format!("{at:04}"))).collect();
    let committable = Committable { checkpoint: CheckpointId(id), bytes: format!("files of {id}").into_bytes().into() };
    JobState {
        checkpoint: CheckpointId(id),
        sources: vec![SourceState::new("mns:1/orders".into(), parts)],
        pending: vec![("out".into(), committable)],
    }
}

fn save(store: &mut LocalStore, id: u64) -> Result<(), StoreError> {
    block_on(store.save(&state(id)))
}

fn newest(store: &mut LocalStore) -> Option<u64> {
    let found = block_on(store.newest()).unwrap()?;
    assert_eq!(found, state(found.checkpoint.0), "a checkpoint comes back as it was saved");
    Some(found.checkpoint.0)
}

fn saved(ids: std::ops::RangeInclusive<u64>) -> MemoryFs {
    let fs = MemoryFs::new();
    let mut store = open(&fs).unwrap();
    ids.for_each(|id| save(&mut store, id).unwrap());
    fs
}

fn refusal(fs: &MemoryFs) -> String {
    let error = open(fs).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    assert!(error.to_string().contains(STATE), "the path is named: {error}");
    error.to_string()
}

fn file(fs: &MemoryFs, prefix: &str) -> PathBuf {
    let names: Vec<_> = fs.files().into_keys().filter(|path| name(path).starts_with(prefix)).collect();
    names.last().unwrap_or_else(|| panic!("no file begins with {prefix}")).clone()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_restart_finds_the_newest_checkpoint_and_counts_itself() {
    let fs = MemoryFs::new();
    let mut store = open(&fs).unwrap();
    assert_eq!((newest(&mut store), store.epoch(), store.next_id()), (None, 1, CheckpointId(1)));
    for id in 1..=6 {
        save(&mut store, id).unwrap();
        assert_eq!(newest(&mut store), Some(id));
    }
    drop(store);
    fs.restart(Loss::Unsynced);
    let mut store = open(&fs).unwrap();
    assert_eq!((newest(&mut store), store.epoch(), store.next_id()), (Some(6), 2, CheckpointId(7 + RESERVED_IDS)));
    assert_eq!(store.lineage(), Lineage(0xa));
    assert_eq!(store.notices(), [""; 0]);
}

#[test]
fn an_id_is_given_out_once() {
    let fs = MemoryFs::new();
    let mut store = open(&fs).unwrap();
    assert_eq!((store.next_id(), store.next_id()), (CheckpointId(1), CheckpointId(2)));
    save(&mut store, 10).unwrap();
    assert_eq!(store.next_id(), CheckpointId(11));
}

#[test]
fn parts_are_written_once_and_unneeded_files_go() {
    let fs = saved(1..=3);
    let written = |fs: &MemoryFs| fs.files().into_keys().map(|path| name(&path).to_owned()).collect::<Vec<_>>();
    let mut store = open(&fs).unwrap();
    let before = fs.operations();
    save(&mut store, 7).unwrap(); // a base and three deltas, none of them known
    let all_new = fs.operations() - before;
    let before = fs.operations();
    let mut again = state(7);
    again.checkpoint = CheckpointId(8);
    block_on(store.save(&again)).unwrap(); // the same parts under another checkpoint
    assert!(fs.operations() - before < all_new / 2, "parts were written again");
    for id in 9..20 {
        save(&mut store, id).unwrap();
    }
    let names = written(&fs);
    assert_eq!(names.iter().filter(|name| name.starts_with("checkpoint-")).count(), KEPT_CHECKPOINTS);
    let segments: Vec<_> = names.iter().filter_map(|name| name.strip_prefix("segment-")).collect();
    assert_eq!(segments, ["0016", "0017", "0018", "0019"]);
    assert!(!names.iter().any(|name| name.starts_with("tmp-")), "{names:?}");
}

/// As a source that lets go of what is committed: all but the newest part is only named.
fn named(id: u64) -> JobState {
    let mut state = state(id);
    let source = &mut state.sources[0];
    let newest = source.parts.pop().unwrap();
    let names = |part: StatePart| StoredPart::new(part.name, part.bytes.len() as u64);
    source.stored = std::mem::replace(&mut source.parts, vec![newest]).into_iter().map(names).collect();
    state
}

#[test]
fn a_part_that_was_saved_may_be_named_and_comes_back_whole() {
    let fs = MemoryFs::new();
    let mut store = open(&fs).unwrap();
    assert!(store.keeps_parts());
    for id in 4..=11 {
        block_on(store.save(&named(id))).unwrap();
        assert_eq!(newest(&mut store), Some(id));
        if id % 3 == 0 {
            // Another process knows them too.
            drop(store);
            fs.restart(Loss::Unsynced);
            store = open(&fs).unwrap();
        }
    }
}

#[test]
fn a_state_with_a_hole_is_refused_and_changes_nothing() {
    let fs = MemoryFs::new();
    let mut store = open(&fs).unwrap();
    let refused = |store: &mut LocalStore, state: &JobState| {
        let error = block_on(store.save(state)).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
        error.to_string()
    };
    // The base was never given to it.
    assert!(refused(&mut store, &named(1)).contains("names the part `0000` of 15 bytes"));
    save(&mut store, 1).unwrap();
    // It has another length; it is gone since a later base.
    let mut longer = named(2);
    longer.sources[0].stored[0].len += 1;
    refused(&mut store, &longer);
    (2..=4 + KEPT_CHECKPOINTS as u64).for_each(|id| save(&mut store, id).unwrap());
    let mut gone = named(11);
    gone.sources[0].stored[0] = StoredPart::new("0000".into(), 15);
    refused(&mut store, &gone);
    drop(store);
    assert_eq!(newest(&mut open(&fs).unwrap()), Some(4 + KEPT_CHECKPOINTS as u64));
}

/// What saving 1 to 5 had reached when the power failed: the last save that said so, and the one that ran.
fn save_until_crash(fs: &MemoryFs) -> (u64, u64) {
    let Ok(mut store) = open(fs) else { return (0, 0) };
    for id in 1..=5 {
        if save(&mut store, id).is_err() {
            return (id - 1, id);
        }
    }
    (5, 5)
}

#[test]
fn a_crash_at_any_operation_leaves_the_newest_durable_checkpoint() {
    let operations = {
        let fs = MemoryFs::new();
        save_until_crash(&fs);
        fs.operations()
    };
    assert!(operations > 50, "{operations} operations are no test");
    let losses = [Loss::Nothing, Loss::Unsynced].into_iter().chain((0..20).map(Loss::Seeded));
    for loss in losses {
        for at in 0..operations {
            let fs = MemoryFs::new();
            fs.crash_before(at);
            let (durable, running) = save_until_crash(&fs);
            fs.restart(loss);
            let mut store = open(&fs).unwrap_or_else(|error| panic!("{loss:?}, crash at {at}: {error}"));
            let found = newest(&mut store).unwrap_or(0);
            assert!(found == durable || found == running, "{loss:?}, crash at {at}: {durable} {running} {found}");
            // A second crash right after the start, which loses all it can, does not take back what the start decided.
            let used = store.next_id().0;
            assert!(used > running, "{loss:?}, crash at {at}: id {used} was used before");
            drop(store);
            fs.restart(Loss::Unsynced);
            let mut store = open(&fs).unwrap();
            assert_eq!(newest(&mut store).unwrap_or(0), found, "{loss:?}, crash at {at}");
            assert!(store.next_id().0 >= used);
            let id = store.next_id().0;
            save(&mut store, id).unwrap();
        }
    }
}

#[test]
fn a_crash_during_start_changes_nothing() {
    let operations = {
        let fs = saved(1..=5);
        let before = fs.operations();
        open(&fs).unwrap();
        fs.operations() - before
    };
    for loss in [Loss::Nothing, Loss::Unsynced, Loss::Seeded(1), Loss::Seeded(2), Loss::Seeded(3)] {
        for at in 0..operations {
            let fs = saved(1..=5);
            fs.crash_before(fs.operations() + at);
            assert!(open(&fs).is_err(), "crash at {at}");
            fs.restart(loss);
            assert_eq!(newest(&mut open(&fs).unwrap()), Some(5), "{loss:?}, crash at {at}");
        }
    }
}

#[test]
fn a_clean_end_is_known_to_the_next_start_alone() {
    let fs = saved(1..=2);
    assert_eq!(open(&MemoryFs::new()).unwrap().earlier_run(), EarlierRun::Clean, "there was none");
    let mut store = open(&fs).unwrap();
    assert_eq!(store.earlier_run(), EarlierRun::Unclean, "it did not say that it ended");
    block_on(store.note_clean_end()).unwrap();
    drop(store);
    fs.restart(Loss::Unsynced);
    let store = open(&fs).unwrap();
    assert_eq!(store.earlier_run(), EarlierRun::Clean);
    drop(store);
    fs.restart(Loss::Nothing);
    assert_eq!(open(&fs).unwrap().earlier_run(), EarlierRun::Unclean, "the note was of the run before the last");
}

#[test]
fn no_crash_makes_an_end_clean_that_was_not() {
    for loss in [Loss::Nothing, Loss::Unsynced].into_iter().chain((0..20).map(Loss::Seeded)) {
        for at in 0.. {
            let fs = saved(1..=2);
            let mut store = open(&fs).unwrap();
            fs.crash_before(fs.operations() + at);
            let noted = block_on(store.note_clean_end()).is_ok();
            drop(store);
            fs.restart(loss);
            // The next run may be cut off while it starts, and is cut off while it receives.
            fs.crash_before(fs.operations() + at);
            let started = open(&fs).is_ok();
            fs.restart(loss);
            let second = open(&fs).unwrap();
            let clean = second.earlier_run() == EarlierRun::Clean;
            assert!(!(started && clean), "{loss:?}, crash at {at}: the run before was killed");
            drop(second);
            fs.restart(loss);
            assert_eq!(open(&fs).unwrap().earlier_run(), EarlierRun::Unclean, "{loss:?}, crash at {at}");
            if noted && started {
                break;
            }
        }
    }
}

#[test]
fn a_damaged_note_is_void() {
    let fs = saved(1..=2);
    block_on(open(&fs).unwrap().note_clean_end()).unwrap();
    let note = file(&fs, "ended");
    let mut bytes = fs.files()[&note].clone();
    bytes[30] ^= 1;
    fs.put(&note, &bytes);
    assert_eq!(open(&fs).unwrap().earlier_run(), EarlierRun::Unclean);
}

#[test]
fn a_failed_operation_fails_the_save_and_the_next_one_repairs_it() {
    for fault in [Fault::Create, Fault::Sync, Fault::Rename, Fault::SyncDir] {
        for nth in 0.. {
            let fs = saved(1..=4);
            let mut store = open(&fs).unwrap();
            fs.fail(fault, nth, ErrorKind::Other);
            let Err(error) = save(&mut store, 5) else { break };
            assert_eq!(error.kind, StoreErrorKind::Io);
            assert!(std::error::Error::source(&error).is_some());
            // A crash now: the failed checkpoint or the one before it, as the disk decided.
            let crashed = fs.clone();
            save(&mut store, 6).unwrap_or_else(|error| panic!("{fault:?} {nth}: {error}"));
            assert_eq!(newest(&mut store), Some(6));
            drop(store);
            crashed.restart(Loss::Unsynced);
            assert_eq!(newest(&mut open(&fs).unwrap()), Some(6), "{fault:?} {nth}");
        }
    }
}

#[test]
fn what_cannot_go_better_by_itself_is_told_from_what_can() {
    use ErrorKind as Kind;
    let lasting = [Kind::PermissionDenied, Kind::ReadOnlyFilesystem, Kind::NotADirectory, Kind::Unsupported];
    let passing = [Kind::StorageFull, Kind::QuotaExceeded, Kind::Interrupted, Kind::Other];
    for (kind, expected) in lasting
        .map(|kind| (kind, StoreErrorKind::Unusable))
        .into_iter()
        .chain(passing.map(|kind| (kind, StoreErrorKind::Io)))
    {
        for fault in [Fault::Create, Fault::Sync, Fault::Rename, Fault::SyncDir] {
            let fs = saved(1..=4);
            let mut store = open(&fs).unwrap();
            fs.fail(fault, 0, kind);
            let error = save(&mut store, 5).unwrap_err();
            assert_eq!(error.kind, expected, "{kind:?}, {fault:?}: {error}");
            let cause = std::error::Error::source(&error).expect("the cause").to_string();
            assert!(error.to_string().contains(STATE) && !cause.is_empty(), "{error}");
            save(&mut store, 6).unwrap();
        }
    }
}

#[test]
fn after_a_failed_save_and_a_crash_either_checkpoint_is_there() {
    for fault in [Fault::Create, Fault::Sync, Fault::Rename, Fault::SyncDir] {
        for (nth, seed) in (0..6).flat_map(|nth| (0..10).map(move |seed| (nth, seed))) {
            let fs = saved(1..=4);
            let mut store = open(&fs).unwrap();
            fs.fail(fault, nth, ErrorKind::Other);
            if save(&mut store, 5).is_ok() {
                continue;
            }
            drop(store);
            fs.restart(Loss::Seeded(seed));
            let mut store = open(&fs).unwrap();
            let found = newest(&mut store);
            assert!(matches!(found, Some(4 | 5)), "{fault:?} {nth} {seed}: {found:?}");
            assert!(store.next_id() > CheckpointId(found.unwrap()));
        }
    }
}

#[test]
fn a_failed_removal_is_made_good_later() {
    let fs = saved(1..=4);
    let mut store = open(&fs).unwrap();
    fs.fail(Fault::Remove, 0, ErrorKind::Other);
    save(&mut store, 5).unwrap();
    save(&mut store, 6).unwrap();
    let checkpoints = fs.files().into_keys().filter(|path| name(path).starts_with("checkpoint-")).count();
    assert_eq!(checkpoints, KEPT_CHECKPOINTS);
}

#[test]
fn a_full_disk_says_so_and_costs_nothing_once_there_is_room() {
    for room in 0..400 {
        let fs = saved(1..=4);
        let mut store = open(&fs).unwrap();
        fs.set_capacity(Some(fs.used() + room));
        if let Err(error) = save(&mut store, 5) {
            assert_eq!(error.kind, StoreErrorKind::Io);
            let text = error.to_string();
            assert!(text.contains(STATE) && text.contains("no room left"), "{text}");
            fs.set_capacity(None);
            save(&mut store, 6).unwrap();
        }
        drop(store);
        fs.restart(Loss::Unsynced);
        assert!(matches!(newest(&mut open(&fs).unwrap()), Some(5 | 6)));
    }
}

#[test]
fn a_second_owner_is_turned_away_by_name() {
    let fs = MemoryFs::new();
    let first = LocalStore::open(Arc::new(fs.clone()), STATE, &{
        let mut options = options();
        options.owner = "4711".into();
        options
    })
    .unwrap();
    let error = open(&fs).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Owned);
    assert!(error.to_string().contains("process 4711"), "{error}");
    drop(first);
    open(&fs).unwrap();
}

#[test]
fn an_owner_whose_lock_did_not_hold_is_fenced() {
    let fs = saved(1..=2);
    let mut first = open(&fs).unwrap();
    // The lock is lost without the process noticing, as on a network disk.
    let manifest = file(&fs, "manifest");
    fs.remove(Path::new("/jobs/state/lock")).unwrap();
    fs.restart(Loss::Nothing);
    let mut second = open(&fs).unwrap();
    save(&mut second, 3).unwrap();
    let error = save(&mut first, 4).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Owned);
    fs.remove(&manifest).unwrap();
    assert_eq!(save(&mut second, 5).unwrap_err().kind, StoreErrorKind::Refused);
}

#[test]
fn a_copy_is_refused_and_adopted_only_when_asked() {
    let original = saved(1..=5);
    let copy = MemoryFs::new();
    copy.put(Path::new("/elsewhere/first"), b""); // so that the directory is another one
    for (path, bytes) in original.files() {
        copy.put(&path, &bytes);
    }
    let text = refusal(&copy);
    assert!(text.contains("it is a copy") && text.contains("--accept-loss"), "{text}");
    let mut accepting = StoreOptions::new(Lineage(0xb));
    accepting.accept_loss = true;
    let mut store = LocalStore::open(Arc::new(copy.clone()), STATE, &accepting).unwrap();
    assert_eq!((newest(&mut store), store.lineage()), (Some(5), Lineage(0xb)));
    assert_eq!(store.notices().len(), 1);
    save(&mut store, 6).unwrap();
    drop(store);
    // From now on it is an original.
    let mut store = open(&copy).unwrap();
    assert_eq!((newest(&mut store), store.lineage()), (Some(6), Lineage(0xb)));
}

#[test]
fn acceptance_changes_nothing_where_nothing_is_wrong() {
    let fs = saved(1..=2);
    let mut accepting = StoreOptions::new(Lineage(0xb));
    accepting.accept_loss = true;
    let store = LocalStore::open(Arc::new(fs), STATE, &accepting).unwrap();
    assert_eq!((store.lineage(), store.notices().len()), (Lineage(0xa), 0));
}

#[test]
fn damage_is_refused_and_never_answered_with_an_older_checkpoint() {
    for prefix in ["checkpoint-", "segment-", "manifest"] {
        let fs = saved(1..=5);
        let path = file(&fs, prefix);
        let bytes = fs.files()[&path].clone();
        for damaged in [bytes[..bytes.len() / 2].to_vec(), [&bytes[..], b"x"].concat(), Vec::new()] {
            fs.put(&path, &damaged);
            let text = refusal(&fs);
            assert!(text.contains(name(&path)) && text.contains("damaged"), "{text}");
        }
        fs.remove(&path).unwrap();
        let text = refusal(&fs);
        assert!(text.contains("missing") || text.contains("no manifest"), "{text}");
        fs.put(&path, &bytes);
        assert_eq!(newest(&mut open(&fs).unwrap()), Some(5), "put back, it works again");
    }
}

fn accepting(fs: &MemoryFs) -> Result<LocalStore, StoreError> {
    let mut options = StoreOptions::new(Lineage(0xb));
    options.accept_loss = true;
    LocalStore::open(Arc::new(fs.clone()), STATE, &options)
}

/// What is damaged, and which checkpoint of 3, 4 (a new base) and 5 is left then.
const DAMAGE: [(&str, Option<u64>); 6] = [
    ("checkpoint-0000000000000005", Some(4)),
    ("segment-0005", Some(4)),
    ("segment-0004", Some(3)),
    ("segment-", None),
    ("checkpoint-", None),
    ("manifest", Some(5)),
];

#[test]
fn of_a_damaged_state_the_newest_whole_checkpoint_is_used_and_only_when_asked() {
    for (prefix, left) in DAMAGE {
        for remove in [true, false] {
            let fs = saved(1..=5);
            for path in fs.files().into_keys().filter(|path| name(path).starts_with(prefix)) {
                if remove { fs.remove(&path).unwrap() } else { fs.put(&path, b"nonsense") }
            }
            let text = refusal(&fs);
            let offered = left.map_or("from nothing".into(), |id| format!("from checkpoint {id}"));
            assert!(text.contains("--accept-loss") && text.contains(&offered), "{prefix}: {text}");
            let mut store = accepting(&fs).unwrap();
            assert_eq!((newest(&mut store), store.lineage()), (left, Lineage(0xb)), "{prefix}");
            assert_eq!((store.earlier_run(), store.notices().len()), (EarlierRun::Unclean, 1), "{prefix}");
            assert!(store.next_id() > CheckpointId(left.unwrap_or(0)));
            let id = store.next_id().0;
            save(&mut store, id).unwrap();
            drop(store);
            assert_eq!(newest(&mut open(&fs).unwrap()), Some(id), "{prefix}: from now on it is whole");
        }
    }
}

#[test]
fn a_crash_while_a_loss_is_accepted_leaves_what_can_be_accepted_again() {
    for (prefix, left) in DAMAGE {
        for loss in [Loss::Nothing, Loss::Unsynced, Loss::Seeded(1), Loss::Seeded(2), Loss::Seeded(3)] {
            for at in 0.. {
                let fs = saved(1..=5);
                fs.sync_dir(Path::new(STATE)).unwrap(); // what was removed stays so
                for path in fs.files().into_keys().filter(|path| name(path).starts_with(prefix)) {
                    fs.put(&path, b"nonsense");
                }
                fs.crash_before(fs.operations() + at);
                let whole = accepting(&fs).is_ok() && !fs.crashed();
                fs.restart(loss);
                assert_eq!(newest(&mut accepting(&fs).unwrap()), left, "{prefix}, {loss:?}, crash at {at}");
                if whole {
                    break;
                }
            }
        }
    }
}

#[test]
fn accepting_helps_neither_against_an_owner_nor_with_a_later_release() {
    let fs = saved(1..=5);
    let owner = open(&fs).unwrap();
    assert_eq!(accepting(&fs).unwrap_err().kind, StoreErrorKind::Owned);
    drop(owner);
    let path = file(&fs, "manifest");
    fs.put(&path, b"headwater-state 2\nwho knows\n");
    assert_eq!(accepting(&fs).unwrap_err().kind, StoreErrorKind::Refused);
    assert_eq!(fs.files()[&path], b"headwater-state 2\nwho knows\n", "it is left as it was");
}

#[test]
fn after_a_clean_end_nothing_is_left_to_commit() {
    let fs = saved(1..=5);
    let pending = |store: &mut LocalStore| block_on(store.newest()).unwrap().unwrap().pending.len();
    assert_eq!(pending(&mut open(&fs).unwrap()), 1, "it did not say that it ended");
    block_on(open(&fs).unwrap().note_clean_end()).unwrap();
    let mut store = open(&fs).unwrap();
    assert_eq!((pending(&mut store), pending(&mut store)), (0, 0));
    save(&mut store, 6).unwrap();
    assert_eq!(pending(&mut store), 1, "of this run");
    drop(store);
    assert_eq!(pending(&mut open(&fs).unwrap()), 1);
}

#[test]
fn damage_to_what_is_not_needed_does_not_matter() {
    let fs = saved(1..=5);
    let oldest = fs.files().into_keys().find(|path| name(path).starts_with("checkpoint-")).unwrap();
    fs.put(&oldest, b"nonsense");
    let mut store = open(&fs).unwrap();
    assert_eq!(newest(&mut store), Some(5));
    save(&mut store, 6).unwrap();
    assert!(!fs.files().contains_key(&oldest));
}

#[test]
fn a_part_removed_by_a_stranger_is_written_again_or_no_checkpoint_lists_it() {
    for held in [true, false] {
        let fs = saved(1..=5);
        let mut store = open(&fs).unwrap();
        let removed = file(&fs, "segment-0004");
        let bytes = fs.files()[&removed].clone();
        fs.remove(&removed).unwrap();
        if held {
            save(&mut store, 6).unwrap(); // with the bytes of all its parts
            drop(store);
            fs.restart(Loss::Unsynced);
            assert_eq!(newest(&mut open(&fs).unwrap()), Some(6), "a checkpoint is whole when its save has returned");
            continue;
        }
        let mut named = state(6);
        let parts = &mut named.sources[0].parts;
        let part = parts.remove(0);
        named.sources[0].stored = vec![StoredPart::new(part.name, part.bytes.len() as u64)];
        let error = block_on(store.save(&named)).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused);
        assert!(error.to_string().contains("`segment-0004` was removed while the job ran"), "{error}");
        drop(store);
        fs.restart(Loss::Unsynced);
        fs.put(&removed, &bytes);
        assert_eq!(newest(&mut open(&fs).unwrap()), Some(5), "put back, it is what it was");
    }
}

#[test]
fn files_of_others_are_left_alone() {
    let fs = saved(1..=5);
    let path = Path::new("/jobs/state/README");
    fs.put(path, b"mine");
    let mut store = open(&fs).unwrap();
    save(&mut store, 6).unwrap();
    assert!(fs.files().contains_key(path));
}

#[test]
fn a_later_release_is_named_as_the_way_out() {
    let fs = saved(1..=1);
    fs.put(Path::new("/jobs/state/manifest"), b"headwater-state 2\nwho knows\n");
    let text = refusal(&fs);
    assert!(text.contains("version 2") && text.contains("later release"), "{text}");
}

#[test]
fn a_checkpoint_that_is_not_later_is_refused_and_a_repeated_one_is_not() {
    let fs = MemoryFs::new();
    let mut store = open(&fs).unwrap();
    save(&mut store, 2).unwrap();
    save(&mut store, 2).unwrap();
    assert_eq!(save(&mut store, 1).unwrap_err().kind, StoreErrorKind::Refused);
    let mut other = state(2);
    other.pending.clear();
    assert_eq!(block_on(store.save(&other)).unwrap_err().kind, StoreErrorKind::Refused);
    assert_eq!(newest(&mut store), Some(2));
}

#[test]
fn an_id_whose_save_failed_may_be_saved_again_with_other_content() {
    // As an embedder may: the manifest may already name the first try when the second is torn.
    let total = {
        let fs = saved(1..=1);
        let before = fs.operations();
        save(&mut open(&fs).unwrap(), 2).unwrap();
        fs.operations() - before
    };
    for at in 0..total {
        let fs = saved(1..=1);
        let mut store = open(&fs).unwrap();
        let mut first = state(2);
        first.pending.clear();
        fs.fail(Fault::SyncDir, 1, ErrorKind::Other); // after the manifest was renamed
        block_on(store.save(&first)).unwrap_err();
        fs.crash_before(fs.operations() + at);
        let second = save(&mut store, 2);
        drop(store);
        fs.restart(Loss::Seeded(at));
        let found = block_on(open(&fs).unwrap().newest()).unwrap().unwrap();
        assert!(found == state(1) || found == first || found == state(2), "{second:?} {found:?}");
    }
}

/// The sync of a directory fails, and the next one says that all is well: what was lost by then must not be built upon.
#[test]
fn a_directory_whose_name_may_be_lost_is_made_anew() {
    for nth in 0..4 {
        let fs = MemoryFs::new();
        fs.fail(Fault::SyncDir, nth, ErrorKind::Other);
        let first = open(&fs);
        let second = first.or_else(|_| open(&fs)).expect("the disk failed once");
        let mut store = second;
        let saved = save(&mut store, 1).or_else(|_| save(&mut store, 2));
        saved.expect("the disk failed once");
        let newest_saved = newest(&mut store);
        drop(store);
        fs.restart(Loss::Unsynced);
        assert_eq!(newest(&mut open(&fs).unwrap()), newest_saved, "sync {nth} of a directory failed");
    }
}

#[tokio::test]
async fn a_real_disk_keeps_it_private_and_locked() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("jobs/state");
    let open = || LocalStore::open(Arc::new(LocalFs::private()), &path, &options());
    let mut store = open().unwrap();
    for id in 1..=5 {
        store.save(&state(id)).await.unwrap();
    }
    let error = open().unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Owned);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&scratch.path().join("jobs"))), (0o700, 0o700));
        for entry in std::fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        }
    }
    // Moving it keeps it what it was; copying does not.
    let moved = scratch.path().join("moved");
    std::fs::rename(&path, &moved).unwrap();
    let mut store = LocalStore::open(Arc::new(LocalFs::private()), &moved, &options()).unwrap();
    assert_eq!(store.newest().await.unwrap(), Some(state(5)));
    drop(store);
    std::fs::create_dir(&path).unwrap();
    for entry in std::fs::read_dir(&moved).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
    }
    let error = open().unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused);
    assert!(error.to_string().contains("copy"), "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file");
    std::fs::write(&path, "").unwrap();
    let error = LocalStore::open(Arc::new(LocalFs::private()), path.join("state"), &options()).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unusable);
    assert!(error.to_string().contains("file"), "{error}");
}
