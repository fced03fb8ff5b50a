//! Files of a state that are larger than any that was ever written: refused with the file, its size and the limit, unread.
//!
//! On a real disk they are a terabyte of nothing, which nobody could read before the test is given up.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use headwater_core::fs::{ReadError, read};
use headwater_core::{
    CheckpointId, CheckpointStore, Committable, EarlierRun, JobState, SourceState, StatePart, StoreError,
    StoreErrorKind,
};
use headwater_job::fs::{FileLimits, FileSystem, LocalFs, MemoryFs};
use headwater_job::{Lineage, LocalStore, StoreOptions};

const TERABYTE: u64 = 1 << 40;
const PART: &[u8] = b"the content of a part";

fn options() -> StoreOptions {
    StoreOptions::new(Lineage(1))
}

fn state(id: u64) -> JobState {
    let part = StatePart { name: "0-a".into(), bytes: PART.into() };
    let pending = vec![("out".into(), Committable { checkpoint: CheckpointId(id), bytes: b"files"[..].into() })];
    JobState { checkpoint: CheckpointId(id), sources: vec![SourceState::new("1/q".into(), vec![part])], pending }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A directory with checkpoints 1 and 2, ended cleanly.
fn saved(fs: &Arc<dyn FileSystem>, dir: &Path) {
    let mut store = LocalStore::open(Arc::clone(fs), dir, &options()).unwrap();
    for id in [1, 2] {
        block_on(store.save(&state(id))).unwrap();
    }
    block_on(store.note_clean_end()).unwrap();
}

/// The newest file whose name begins so.
fn newest(fs: &dyn FileSystem, dir: &Path, prefix: &str) -> String {
    let names = fs.list(dir).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.starts_with(prefix)).max().unwrap()
}

fn refusal(opened: Result<LocalStore, StoreError>) -> String {
    let error = opened.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    error.to_string()
}

/// What is refused: the file, its limit (none: as long as it was), and whether a checkpoint is left to go on from.
fn cases() -> [(&'static str, Option<u64>, bool); 3] {
    [("manifest", Some(FileLimits::default().note), true), ("checkpoint-", None, true), ("segment-", None, false)]
}

#[test]
fn a_terabyte_in_place_of_a_file_is_refused_unread() {
    for (prefix, max, left) in cases() {
        let dir = tempfile::tempdir().unwrap();
        let fs: Arc<dyn FileSystem> = Arc::new(LocalFs::private());
        let path = dir.path().join("state");
        saved(&fs, &path);
        let name = newest(&*fs, &path, prefix);
        let max = max.unwrap_or(fs.metadata(&path.join(&name)).unwrap().len);
        File::options().write(true).open(path.join(&name)).unwrap().set_len(TERABYTE).unwrap();
        let text = refusal(LocalStore::open(Arc::clone(&fs), &path, &options()));
        for word in [name.as_str(), &TERABYTE.to_string(), &max.to_string(), "--accept-loss"] {
            assert!(text.contains(word), "`{word}` is missing in {text}");
        }
        assert_eq!(text.contains("goes on from checkpoint "), left, "{text}");
        let mut accepting = options();
        accepting.accept_loss = true;
        let mut store = LocalStore::open(Arc::clone(&fs), &path, &accepting).unwrap();
        assert_eq!(block_on(store.newest()).unwrap().is_some(), left, "{name}");
    }
}

#[test]
fn one_byte_more_is_refused_on_a_simulated_disk_too() {
    for (prefix, max, _) in cases() {
        let memory = MemoryFs::new();
        let fs: Arc<dyn FileSystem> = Arc::new(memory.clone());
        let dir = Path::new("/state");
        saved(&fs, dir);
        let path = dir.join(newest(&*fs, dir, prefix));
        let mut bytes = memory.files().remove(&path).unwrap();
        let max = max.unwrap_or(bytes.len() as u64);
        bytes.resize(usize::try_from(max).unwrap() + 1, 0);
        memory.put(&path, &bytes);
        let text = refusal(LocalStore::open(fs, dir, &options()));
        let said = format!("it has {} bytes, and no more than {max} are read", max + 1);
        assert!(text.contains(&said), "`{said}` is missing in {text}");
    }
}

#[test]
fn a_note_of_a_terabyte_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(LocalFs::private());
    for harm in [false, true] {
        let path = dir.path().join(harm.to_string());
        saved(&fs, &path);
        if harm {
            File::options().write(true).open(path.join("ended")).unwrap().set_len(TERABYTE).unwrap();
        }
        let store = LocalStore::open(Arc::clone(&fs), &path, &options()).unwrap();
        assert_eq!(store.earlier_run(), if harm { EarlierRun::Unclean } else { EarlierRun::Clean });
    }
}

#[test]
fn what_would_not_be_read_is_not_written() {
    let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::new());
    let dir = Path::new("/state");
    saved(&fs, dir);
    let listed = fs.metadata(&dir.join(newest(&*fs, dir, "checkpoint-"))).unwrap().len;
    type Lower = fn(&mut FileLimits, u64);
    let lower: [(&str, Lower, u64); 2] = [
        ("its list would have", |limits, max| limits.checkpoint = max, listed),
        ("its parts would have", |limits, max| limits.parts = max, PART.len() as u64),
    ];
    for (said, lower, size) in lower {
        let with = |max| {
            let mut options = options();
            lower(&mut options.limits, max);
            options
        };
        let text = refusal(LocalStore::open(Arc::clone(&fs), dir, &with(size - 1)));
        assert!(text.contains(&format!("{size} bytes, and no more than {} are read", size - 1)), "{text}");
        let fresh: Arc<dyn FileSystem> = Arc::new(MemoryFs::new());
        let mut store = LocalStore::open(Arc::clone(&fresh), dir, &with(size - 1)).unwrap();
        let error = block_on(store.save(&state(1))).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused);
        assert!(error.to_string().contains(said), "{error}");
        drop(store);
        // Exactly as much is written, and read.
        let mut store = LocalStore::open(Arc::clone(&fresh), dir, &with(size)).unwrap();
        block_on(store.save(&state(1))).unwrap();
        drop(store);
        let mut store = LocalStore::open(fresh, dir, &with(size)).unwrap();
        assert_eq!(block_on(store.newest()).unwrap(), Some(state(1)));
    }
}

#[test]
fn a_list_that_names_a_terabyte_is_refused_before_any_part_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let fs: Arc<dyn FileSystem> = Arc::new(LocalFs::private());
    let path = dir.path().join("state");
    saved(&fs, &path);
    // The part's length in the list, with every checksum above it made right.
    let old = newest(&*fs, &path, "checkpoint-");
    let mut list = fs::read(path.join(&old)).unwrap();
    let len = (PART.len() as u64).to_le_bytes();
    let at = list.windows(8).position(|window| window == len).unwrap();
    list[at..at + 8].copy_from_slice(&TERABYTE.to_le_bytes());
    let hash = |bytes: &[u8]| format!("{:032x}", twox_hash::XxHash3_128::oneshot(bytes));
    fs::write(path.join(format!("checkpoint-{:016}-{}", 2, hash(&list))), &list).unwrap();
    let manifest = fs::read_to_string(path.join("manifest")).unwrap();
    let manifest = manifest.replace(&old[old.len() - 32..], &hash(&list));
    let body = manifest.rsplit_once("hash ").unwrap().0;
    fs::write(path.join("manifest"), format!("{body}hash {}\n", hash(body.as_bytes()))).unwrap();
    File::options().write(true).open(path.join("segment-0-a")).unwrap().set_len(TERABYTE).unwrap();
    let text = refusal(LocalStore::open(fs, &path, &options()));
    let said = format!("its parts have {TERABYTE} bytes, and no more than {} are read", FileLimits::default().parts);
    assert!(text.contains(&said), "{text}");
}

/// A device says that it has no bytes, and never ends.
#[cfg(unix)]
#[test]
fn what_does_not_end_is_read_up_to_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("endless");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    match read(&LocalFs::private(), &path, 1_000) {
        Err(ReadError::TooLarge { len: 1_001, max: 1_000 }) => {}
        other => panic!("{other:?}"),
    }
}
