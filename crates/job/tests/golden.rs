//! State as files: what it looks like, and that it is read, with the ledger's segments of each version.
//! `HEADWATER_WRITE_GOLDEN=1` writes it anew; once released, a version never changes, and a new one gets a directory of
//! its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::executor::block_on;
use headwater_core::{CheckpointId, CheckpointStore, Committable, JobState, SourceState, StatePart};
use headwater_job::fs::MemoryFs;
use headwater_job::{Lineage, LocalStore, RESERVED_IDS, StoreOptions};
use headwater_ledger::{Delivery, Handle, Ledger, Limits, MessageKey, Mono, Segment, ServerMs, Snapshot, Verdict};

const STATE: &str = "/state";

/// The state directory as version 1 of the store writes it, with the ledger's segments of version 4.
const NOW: &str = "state-v1-segments-v4";
/// The same with segments of versions 1 to 3, which are read and no longer written.
const BEFORE: [&str; 3] = ["state-v1", "state-v1-segments-v2", "state-v1-segments-v3"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn limits() -> Limits {
    Limits::default()
}

/// Three messages under two checkpoints, the first one committed.
fn snapshots() -> [Snapshot; 2] {
    let now = Mono::from_millis(0);
    let mut ledger = Ledger::new(limits(), now).unwrap();
    let mut take = |ids: &[&str]| {
        let grant = ledger.begin_receive(now).unwrap();
        let deliveries: Vec<_> = ids
            .iter()
            .map(|id| Delivery {
                key: MessageKey::of(id),
                handle: Handle::new(&format!("handle-of-{id}")),
                dequeue_count: 1,
                next_visible: ServerMs(1_642_865_202_119),
                enqueued: ServerMs(1_642_865_171_557),
                lease_end: None,
                bytes: 10,
            })
            .collect();
        assert_eq!(ledger.screen(grant.ticket, deliveries), vec![Verdict::Fresh; ids.len()]);
        ledger.hand_out(&ids.iter().map(|id| MessageKey::of(id)).collect::<Vec<_>>());
        let id = CheckpointId(ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
        let snapshot = ledger.barrier(id, now).unwrap();
        if id == CheckpointId(1) {
            ledger.commit(id).unwrap();
        }
        snapshot
    };
    [take(&["message-1", "message-2"]), take(&["message-3"])]
}

fn state(snapshot: &Snapshot) -> JobState {
    let parts = snapshot.segments.iter().map(|s| StatePart { name: s.name(), bytes: Arc::clone(s.bytes()) }).collect();
    let id = snapshot.checkpoint;
    let committable = Committable { checkpoint: id, bytes: format!("staged by {id}").into_bytes().into() };
    JobState {
        checkpoint: id,
        sources: vec![SourceState::new("mns:123456789/orders".into(), parts)],
        pending: vec![("out".into(), committable)],
    }
}

fn options() -> StoreOptions {
    StoreOptions::new(Lineage(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef))
}

fn written() -> BTreeMap<String, Vec<u8>> {
    let fs = MemoryFs::new();
    let mut store = LocalStore::open(Arc::new(fs.clone()), STATE, &options()).unwrap();
    for snapshot in &snapshots() {
        block_on(store.save(&state(snapshot))).unwrap();
    }
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    fs.files().into_iter().map(|(path, bytes)| (name(path), bytes)).filter(|(name, _)| name != "lock").collect()
}

fn committed(name: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(golden(name)).expect("the golden files are there").map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn it_is_written_as_it_always_was() {
    if std::env::var_os("HEADWATER_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden(NOW)).unwrap();
        for (name, bytes) in written() {
            std::fs::write(golden(NOW).join(name), bytes).unwrap();
        }
    }
    let (written, committed) = (written(), committed(NOW));
    assert_eq!(written.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());
    for (name, bytes) in written {
        assert_eq!(bytes, committed[&name], "{name}");
    }
}

/// The newest state of a golden directory, after a ledger has taken it.
fn read(name: &str) -> JobState {
    let fs = MemoryFs::new();
    for (name, bytes) in committed(name) {
        fs.put(&Path::new(STATE).join(name), &bytes);
    }
    let mut store = LocalStore::open(Arc::new(fs), STATE, &options()).unwrap();
    let found = block_on(store.newest()).unwrap().unwrap();
    assert_eq!(store.next_id(), CheckpointId(2 + RESERVED_IDS + 1));
    let segments: Vec<_> =
        found.sources[0].parts.iter().map(|part| Segment::from_bytes(&part.bytes).unwrap()).collect();
    let mut ledger = Ledger::new(limits(), Mono::from_millis(0)).unwrap();
    ledger.restore(found.checkpoint, &segments, Mono::from_millis(0)).unwrap();
    assert_eq!((ledger.counts().deletable, ledger.counts().uncommitted), (2, 1));
    let mut ids: Vec<MessageKey> = ledger.ids().into_iter().map(|id| id.key).collect();
    ids.sort_unstable();
    let mut expected = ["message-1", "message-2", "message-3"].map(MessageKey::of);
    expected.sort_unstable();
    assert_eq!(ids, expected);
    found
}

#[test]
fn it_is_read_down_to_the_ledger() {
    assert_eq!(read(NOW), state(&snapshots()[1]));
}

#[test]
fn what_was_written_with_older_segments_is_read() {
    for before in BEFORE {
        let found = read(before);
        let now = state(&snapshots()[1]);
        assert_eq!((found.checkpoint, &found.pending), (now.checkpoint, &now.pending));
        assert_ne!(found, now, "then it holds no older segments");
    }
}
