//! A state directory whose checksums are right and whose numbers are not: refused or used, never a panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;
use headwater_core::{CheckpointId, CheckpointStore, Committable, JobState, SourceState, StatePart};
use headwater_job::fs::{FileSystem, MemoryFs};
use headwater_job::{Lineage, LocalStore, StoreOptions};
use twox_hash::XxHash3_128;

const DIR: &str = "/state";

fn open(fs: &Arc<MemoryFs>) -> Option<LocalStore> {
    let fs: Arc<dyn FileSystem> = fs.clone();
    let opened = LocalStore::open(fs, DIR, &StoreOptions::new(Lineage(1)));
    opened.map_err(|error| assert!(!error.to_string().is_empty())).ok()
}

/// A directory with one checkpoint, and the lines of its manifest.
fn directory() -> (Arc<MemoryFs>, String) {
    let fs = Arc::new(MemoryFs::new());
    let mut store = open(&fs).unwrap();
    let part = StatePart { name: "0-a".into(), bytes: b"part"[..].into() };
    let pending = vec![("out".into(), Committable { checkpoint: CheckpointId(1), bytes: b"files"[..].into() })];
    let sources = vec![SourceState::new("1/q".into(), vec![part])];
    block_on(store.save(&JobState { checkpoint: store.next_id(), sources, pending })).unwrap();
    drop(store);
    let manifest = String::from_utf8(fs.files().remove(&Path::new(DIR).join("manifest")).unwrap()).unwrap();
    (fs, manifest.rsplit_once("hash ").unwrap().0.to_owned())
}

fn put_manifest(fs: &MemoryFs, text: &str) {
    let hash = XxHash3_128::oneshot(text.as_bytes());
    fs.put(&Path::new(DIR).join("manifest"), format!("{text}hash {hash:032x}\n").as_bytes());
}

/// What can be opened can be saved to, opened again, and is then what was saved.
fn check(fs: &Arc<MemoryFs>) {
    let Some(mut store) = open(fs) else { return };
    let Ok(Some(state)) = block_on(store.newest()) else { return };
    let state = JobState { checkpoint: store.next_id(), ..state };
    if block_on(store.save(&state)).is_ok() {
        drop(store);
        assert_eq!(block_on(open(fs).unwrap().newest()).unwrap(), Some(state));
    }
}

#[test]
fn every_number_of_a_manifest_may_be_the_largest_or_the_least() {
    let (_, lines) = directory();
    for line in lines.lines().skip(1) {
        let name = line.split(' ').next().unwrap();
        for value in ["0", "1", "18446744073709551615", "18446744073709551616", "-1", "none", "", "x", &"f".repeat(32)]
        {
            let (fs, lines) = directory();
            put_manifest(&fs, &lines.replace(line, &format!("{name} {value}")));
            check(&fs);
        }
    }
}

#[test]
fn every_byte_of_a_checkpoint_may_be_another() {
    let (fs, _) = directory();
    let is_checkpoint = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("checkpoint-");
    let (_, whole) = fs.files().into_iter().find(|(path, _)| is_checkpoint(path)).unwrap();
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let (fs, lines) = directory();
            let mut bytes = whole.clone();
            bytes[at] = value;
            let hash = XxHash3_128::oneshot(&bytes);
            let id = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
            fs.put(&Path::new(DIR).join(format!("checkpoint-{id:016}-{hash:032x}")), &bytes);
            let line = |line: &str| match line.split(' ').next() {
                Some("checkpoint") => format!("checkpoint {id}\n"),
                Some("checkpoint-hash") => format!("checkpoint-hash {hash:032x}\n"),
                Some("last-id") => format!("last-id {id}\n"),
                _ => format!("{line}\n"),
            };
            put_manifest(&fs, &lines.lines().map(line).collect::<String>());
            check(&fs);
        }
    }
}
