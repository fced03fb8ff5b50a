#![no_main]
//! Everything durable that is read back: the ledger's segments, a job's manifest and checkpoint, dead letters on their way,
//! a lineage's marker, the source's own log. The checksums are made right first, or nothing else would ever be read. Whatever the bytes say, they
//! are refused or mean something; what they mean is written again and read as the same.
//!
//! The first byte of an input chooses what it is.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::executor::block_on;
use headwater_core::{
    Capabilities, CheckpointId, CheckpointStore, Clock as _, Committable, DeleteOutcome, Description, Event, Extended,
    Handle, JobState, LineageMarker, ManualClock, Queue, QueueError, QueueErrorKind, QueueIdentity, ReceiveRequest,
    Received, Source, SourceState, StatePart, WallMs,
};
use headwater_formats::Format;
use headwater_job::fs::{FileSystem, MemoryFs};
use headwater_job::{Lineage, LocalStore, StoreOptions};
use headwater_ledger::{Ledger, Limits, Mono, Segment};
use headwater_queue_source::{LogConfig, QueueSource, SourceConfig};
use twox_hash::XxHash3_128;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [what, data @ ..] = data else { return };
    match what % 7 {
        0 => segments(data),
        1 => manifest(data),
        2 => checkpoint(data),
        3 => letters(data),
        4 => marker(data),
        5 => raw(data),
        _ => log(data),
    }
});

/// One to three segments, cut at the byte 0xFA, each with a right checksum and chained to the one before.
fn segments(data: &[u8]) {
    let mut all: Vec<Segment> = Vec::new();
    for piece in data.splitn(3, |byte| *byte == 0xfa) {
        let mut bytes = piece.to_vec();
        if let (Some(previous), Some(place)) = (all.last(), bytes.get_mut(40..56)) {
            place.copy_from_slice(&XxHash3_128::oneshot(previous.bytes()).to_le_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        match Segment::from_bytes(&bytes) {
            Ok(segment) => all.push(segment),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    restore(&all);
}

fn restore(segments: &[Segment]) {
    let Some(last) = segments.last() else { return };
    let start = Mono::default();
    let id = CheckpointId(u64::from_le_bytes(last.bytes()[16..24].try_into().expect("eight bytes")));
    let mut ledger = Ledger::new(Limits::default(), start).expect("limits");
    if ledger.restore(id, segments, start).is_err() {
        return;
    }
    let before = ledger.ids();
    assert!(
        before.len() <= segments.iter().map(|segment| segment.bytes().len() / 16).sum(),
        "more ids than bytes for them"
    );
    let Some(next) = id.0.checked_add(1).map(CheckpointId) else { return };
    let Ok(snapshot) = ledger.barrier(next, start) else { return };
    let mut again = Ledger::new(Limits::default(), start).expect("limits");
    let stored: Vec<_> =
        snapshot.segments.iter().map(|segment| Segment::from_bytes(segment.bytes()).expect("our own")).collect();
    again.restore(next, &stored, start).expect("our own state");
    let meaning = |ledger: &Ledger| {
        let ids = ledger.ids().into_iter();
        ids.map(|id| (id.key, id.stage, id.checkpoint, id.handle, id.rank, id.enqueued)).collect::<Vec<_>>()
    };
    assert_eq!(meaning(&again), meaning(&ledger), "another meaning after it was written again");
    again.commit(next).expect("a checkpoint that was restored");
    while let Some(batch) = again.next_deletes(start) {
        again.delete_done(batch.token, &vec![DeleteOutcome::Deleted; batch.entries.len()], start);
    }
}

const DIR: &str = "/state";

fn open(fs: &Arc<MemoryFs>) -> Option<LocalStore> {
    let fs: Arc<dyn FileSystem> = fs.clone();
    LocalStore::open(fs, DIR, &StoreOptions::new(Lineage(1)))
        .map_err(|error| assert!(!error.to_string().is_empty()))
        .ok()
}

/// A directory with one checkpoint, its manifest among the files.
fn directory() -> (Arc<MemoryFs>, String) {
    let fs = Arc::new(MemoryFs::new());
    let mut store = open(&fs).expect("a new directory");
    let part = StatePart { name: "0-a".into(), bytes: b"part"[..].into() };
    let pending = vec![("out".into(), Committable { checkpoint: CheckpointId(1), bytes: b"files"[..].into() })];
    let sources = vec![SourceState::new("1/q".into(), vec![part])];
    let state = JobState { checkpoint: store.next_id(), sources, pending };
    block_on(store.save(&state)).expect("a save");
    drop(store);
    let manifest = fs.files().remove(&Path::new(DIR).join("manifest")).expect("a manifest");
    (fs, String::from_utf8(manifest).expect("text"))
}

fn put_manifest(fs: &MemoryFs, text: &[u8]) {
    let hash = format!("hash {:032x}\n", XxHash3_128::oneshot(text));
    fs.put(&Path::new(DIR).join("manifest"), &[text, hash.as_bytes()].concat());
}

/// What is read can be saved and read again, and opening it twice says the same.
fn check(fs: &Arc<MemoryFs>) {
    let Some(mut store) = open(fs) else { return };
    let Ok(newest) = block_on(store.newest()) else { return };
    let id = store.next_id();
    let Some(state) = newest else { return };
    let state = JobState { checkpoint: id, ..state };
    if block_on(store.save(&state)).is_err() {
        return;
    }
    drop(store);
    let mut store = open(fs).expect("what was just written");
    assert_eq!(block_on(store.newest()).expect("a state"), Some(state));
}

/// A manifest of these lines, beside the checkpoint of another. The input replaces the line it begins with, or all of it.
fn manifest(data: &[u8]) {
    let (fs, original) = directory();
    let lines = original.rsplit_once("hash ").expect("a hash").0;
    let text = String::from_utf8_lossy(data);
    let name = text.split(' ').next().unwrap_or_default();
    let replaced: String = lines
        .lines()
        .map(|line| if !name.is_empty() && line.split(' ').next() == Some(name) { &text } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    put_manifest(&fs, if replaced == lines { data } else { replaced.as_bytes() });
    check(&fs);
}

/// A checkpoint file of these bytes, named by the manifest.
fn checkpoint(data: &[u8]) {
    let (fs, original) = directory();
    let hash = XxHash3_128::oneshot(data);
    let id = data.get(8..16).map_or(1, |id| u64::from_le_bytes(id.try_into().expect("eight bytes")));
    let lines = original.rsplit_once("hash ").expect("a hash").0;
    let text: String = lines
        .lines()
        .map(|line| match line.split(' ').next() {
            Some("checkpoint") => format!("checkpoint {id}\n"),
            Some("checkpoint-bytes") => format!("checkpoint-bytes {}\n", data.len()),
            Some("checkpoint-hash") => format!("checkpoint-hash {hash:032x}\n"),
            Some("last-id") => format!("last-id {id}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    fs.put(&Path::new(DIR).join(format!("checkpoint-{id:016}-{hash:032x}")), data);
    put_manifest(&fs, text.as_bytes());
    check(&fs);
}

/// A queue that has nothing.
#[derive(Debug)]
struct Empty;

#[async_trait]
impl Queue for Empty {
    fn identity(&self) -> QueueIdentity {
        QueueIdentity { account: "1".into(), name: "q".into() }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::mns()
    }

    async fn describe(&self) -> Result<Description, QueueError> {
        Ok(Description::default())
    }

    async fn receive(&self, _: ReceiveRequest) -> Result<Received, QueueError> {
        std::future::pending().await
    }

    async fn delete(&self, handles: &[Handle]) -> Result<Vec<DeleteOutcome>, QueueError> {
        Ok(vec![DeleteOutcome::Unknown; handles.len()])
    }

    async fn extend(&self, _: &Handle, _: std::time::Duration) -> Result<Extended, QueueError> {
        Err(QueueError::new(QueueErrorKind::Gone, "gone"))
    }
}

/// A part of a source's state that says it is about dead letters, beside an empty ledger.
fn letters(data: &[u8]) {
    let clock = ManualClock::new(WallMs(0));
    let mut ledger = Ledger::new(Limits::default(), clock.now()).expect("limits");
    let id = CheckpointId(1);
    let base = ledger.barrier(id, clock.now()).expect("a barrier").segments.remove(0);
    let decoder = Format::json().factory(&"a INT".parse().expect("a row type")).expect("a decoder");
    let open = QueueSource::open(Arc::new(Empty), Arc::new(clock), SourceConfig::new("t", decoder));
    let mut source = open.now_or_never().expect("nothing to wait for").expect("a source");
    let parts = vec![
        StatePart { name: base.name(), bytes: base.bytes().clone() },
        StatePart { name: "letters-0".into(), bytes: data.into() },
    ];
    let restored =
        source.restore(id, SourceState::new("1/q".into(), parts)).now_or_never().expect("nothing to wait for");
    if let Err(error) = restored {
        assert!(!error.to_string().is_empty());
    }
}

fn marker(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(marker) = text.parse::<LineageMarker>() {
        assert_eq!(marker.to_string().parse(), Ok(marker));
    }
}

/// The bytes as they are, without a right checksum.
fn raw(data: &[u8]) {
    let _ = Segment::from_bytes(data);
    let (fs, _) = directory();
    let [file, data @ ..] = data else { return };
    let files: Vec<_> = fs.files().into_keys().collect();
    fs.put(&files[usize::from(*file) % files.len()], data);
    check(&fs);
}

const LOG: &str = "/log";
const HEADER: usize = 44;
const FRAME: usize = 40;

/// A log of one to three segments, cut at the byte 0xFA, and where to go on in it. The first byte says what there is besides:
/// 1 accepts a loss, 2 a state that names two positions (the 32 bytes after it), 4 the note of a commit.
fn log(data: &[u8]) {
    let [flags, data @ ..] = data else { return };
    let (positions, data) = match data.split_at_checked(32) {
        Some(split) if flags & 2 != 0 => split,
        _ => (&[][..], data),
    };
    let fs = MemoryFs::new();
    let mut id = None;
    for (number, piece) in data.splitn(3, |byte| *byte == 0xfa).enumerate() {
        let bytes = with_checksums(piece, &mut id);
        fs.put(&Path::new(LOG).join(format!("segment-{:016}", number + 1)), &bytes);
    }
    let id = id.unwrap_or_default();
    if flags & 4 != 0 {
        let mut note = [b"HWSC\x01\0", &id.to_le_bytes()[..], &1_u64.to_le_bytes()].concat();
        note.extend(short_sum(&note).to_le_bytes());
        fs.put(&Path::new(LOG).join("committed"), &note);
    }
    let part = [b"HWSP\x01\0", &id.to_le_bytes()[..], positions].concat();
    let part = (flags & 2 != 0).then(|| StatePart { name: "log-0".into(), bytes: part.into() });
    let Some(shown) = replay(&fs, flags & 1 != 0, part.as_ref()) else { return };
    // A start cuts a torn tail, and removes and adds nothing that is read.
    assert_eq!(replay(&fs, flags & 1 != 0, part.as_ref()), Some(shown), "a second start reads something else");
}

/// The segment with its checksums made right, and with the log's id and mark, or nothing else of it would ever be read.
fn with_checksums(piece: &[u8], log: &mut Option<u128>) -> Vec<u8> {
    let mut bytes = piece.to_vec();
    if bytes.len() < HEADER {
        return bytes;
    }
    let own = u128::from_le_bytes(bytes[8..24].try_into().expect("16 bytes"));
    let id = *log.get_or_insert(own);
    bytes[8..24].copy_from_slice(&id.to_le_bytes());
    let sum = short_sum(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&sum.to_le_bytes());
    let mark = (XxHash3_128::oneshot(&id.to_le_bytes()) as u64).to_le_bytes();
    let mut rest = &mut bytes[HEADER..];
    while rest.len() >= FRAME {
        let length = u32::from_le_bytes(rest[32..36].try_into().expect("four bytes")) as usize;
        let Some((frame, after)) = rest.split_at_mut_checked(FRAME + length) else { break };
        frame[16..24].copy_from_slice(&mark);
        let sum = XxHash3_128::oneshot(&frame[16..]);
        frame[..16].copy_from_slice(&sum.to_le_bytes());
        rest = after;
    }
    bytes
}

fn short_sum(bytes: &[u8]) -> u32 {
    XxHash3_128::oneshot(bytes) as u32
}

/// What a source with this log hands out before anything is received: ids, and how often they were delivered. `None` where it
/// refuses the log, or what the log and the state say together.
fn replay(fs: &MemoryFs, accept_loss: bool, part: Option<&StatePart>) -> Option<Vec<(String, u32)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _inside = runtime.enter();
    let clock = ManualClock::new(WallMs(0));
    let decoder = Format::raw().factory(&"body BYTES".parse().expect("a row type")).expect("a decoder");
    let mut config = SourceConfig::new("t", decoder).commit_log(LogConfig::new(Arc::new(fs.clone()), LOG, 7));
    config.accept_loss = accept_loss;
    let base = || {
        let mut ledger = Ledger::new(Limits::default(), clock.now()).expect("limits");
        ledger.barrier(CheckpointId(1), clock.now()).expect("a barrier").segments.remove(0)
    };
    let state = part.map(|part| {
        let base = base();
        let base = StatePart { name: base.name(), bytes: base.bytes().clone() };
        SourceState::new("1/q".into(), vec![base, part.clone()])
    });
    let refused = |error: headwater_core::SourceError| assert!(!error.to_string().is_empty());
    let opened = QueueSource::open(Arc::new(Empty), Arc::new(clock.clone()), config).now_or_never();
    let mut source = opened.expect("nothing to wait for").map_err(refused).ok()?;
    if let Some(state) = state {
        let restored = source.restore(CheckpointId(1), state).now_or_never();
        restored.expect("nothing to wait for").map_err(refused).ok()?;
    }
    let mut shown = Vec::new();
    while let Some(event) = source.next().now_or_never() {
        let Event::Batch(batch) = event.map_err(refused).ok()?? else { continue };
        shown.extend(batch.messages().iter().map(|message| (message.meta.id.to_string(), message.meta.dequeue_count)));
        source.check().expect("the ledger's invariants");
    }
    assert!(shown.len() <= fs.used() as usize / 30, "more messages than bytes for them");
    Some(shown)
}
