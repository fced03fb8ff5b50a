//! Golden files: what any version wrote is read for ever.
//!
//! `golden/vN-base.seg` and `golden/vN-delta.seg` are the state of the story below. They are never written anew: a later
//! version of the segment gets files of its own, and these go on being read.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use headwater_ledger::{
    CheckpointId, DeleteOutcome, Delivery, Handle, Ledger, Limits, MessageKey, Mono, SEGMENT_VERSION, Segment, ServerMs,
};

/// Base and delta as version N wrote them, at N - 1.
const WRITTEN: [[&[u8]; 2]; SEGMENT_VERSION as usize] = [
    [include_bytes!("golden/v1-base.seg"), include_bytes!("golden/v1-delta.seg")],
    [include_bytes!("golden/v2-base.seg"), include_bytes!("golden/v2-delta.seg")],
    [include_bytes!("golden/v3-base.seg"), include_bytes!("golden/v3-delta.seg")],
    [include_bytes!("golden/v4-base.seg"), include_bytes!("golden/v4-delta.seg")],
];

const START: Mono = Mono(std::time::Duration::ZERO);

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.grace = std::time::Duration::ZERO;
    limits
}

fn receive(ledger: &mut Ledger, ids: &[(&str, &str, u32)]) {
    let grant = ledger.begin_receive(START).unwrap();
    let deliveries: Vec<Delivery> = ids
        .iter()
        .map(|(id, handle, dequeue_count)| Delivery {
            key: MessageKey::of(id),
            handle: Handle::new(handle),
            dequeue_count: *dequeue_count,
            next_visible: ServerMs(1_642_865_202_119),
            enqueued: ServerMs(1_642_865_171_557),
            lease_end: None,
            bytes: 300,
        })
        .collect();
    ledger.screen(grant.ticket, deliveries);
}

/// Four messages: one deleted and forgotten, one deleted, one whose handle died, one handed out last.
fn story() -> Vec<Segment> {
    let mut ledger = Ledger::new(limits(), START).unwrap();
    ledger.note_retention(std::time::Duration::from_secs(1_814_400));
    receive(&mut ledger, &[("gone", "1-Z29uZQ==", 1), ("deleted", "1-ZGVsZXRlZA==", 1), ("unconfirmed", "8-+/=é", 3)]);
    let keys = ["gone", "deleted", "unconfirmed"].map(MessageKey::of);
    ledger.hand_out(&keys);
    ledger.barrier(CheckpointId(1), START).unwrap();
    ledger.commit(CheckpointId(1)).unwrap();
    let batch = ledger.next_deletes(START).unwrap();
    ledger.delete_done(batch.token, &[DeleteOutcome::Deleted, DeleteOutcome::Unknown, DeleteOutcome::Stale], START);
    ledger.tick(START, None);
    let batch = ledger.next_deletes(START + limits().delete_retry_pause).unwrap();
    ledger.delete_done(batch.token, &[DeleteOutcome::Deleted], START);
    receive(&mut ledger, &[("last", "1-bGFzdA==", 2)]);
    ledger.hand_out(&[MessageKey::of("last")]);
    ledger.barrier(CheckpointId(2), START).unwrap().segments
}

#[test]
fn a_state_of_every_version_is_read() {
    for written in WRITTEN {
        is_read(written);
    }
}

fn is_read(written: [&[u8]; 2]) {
    let segments = written.map(|bytes| Segment::from_bytes(bytes).unwrap());
    let mut ledger = Ledger::new(limits(), START).unwrap();
    ledger.restore(CheckpointId(2), &segments, START).unwrap();
    assert_eq!(ledger.committed_through(), Some(CheckpointId(1)));
    assert_eq!(ledger.limits().retention.as_secs(), 1_814_400);
    let mut rows: Vec<_> = ledger
        .ids()
        .into_iter()
        .map(|id| (id.key, id.stage, id.checkpoint, id.handle.map(|h| h.as_str().to_owned()), id.rank, id.enqueued))
        .collect();
    rows.sort();
    let visible = ServerMs(1_642_865_202_119);
    let sent = ServerMs(1_642_865_171_557);
    let [one, two] = [1, 2].map(|id| Some(CheckpointId(id)));
    let mut expected = vec![
        (MessageKey::of("deleted"), "deleted", one, None, (1, 0, visible), ServerMs(0)),
        (MessageKey::of("unconfirmed"), "committed", one, None, (3, 0, visible), sent),
        (MessageKey::of("last"), "uncommitted", two, Some("1-bGFzdA==".to_owned()), (2, 0, visible), sent),
    ];
    expected.sort();
    assert_eq!(rows, expected);
}

/// The same story gives the same bytes for as long as they are of one version.
#[test]
fn the_story_still_writes_the_bytes_of_the_newest_version() {
    let bytes: Vec<_> = story().iter().map(|segment| segment.bytes().to_vec()).collect();
    assert_eq!(Some(&bytes[..]), WRITTEN.last().map(|written| written.map(<[u8]>::to_vec)).as_ref().map(|w| &w[..]));
}

/// The same messages, said again a shard of two at a time: in version 3 as bases.
const SHARDS: [[&[u8]; 2]; 2] = [
    [include_bytes!("golden/v3-shard-0.seg"), include_bytes!("golden/v3-shard-1.seg")],
    [include_bytes!("golden/v4-shard-0.seg"), include_bytes!("golden/v4-shard-1.seg")],
];

fn sharded_story() -> Vec<Segment> {
    let mut limits = limits();
    (limits.shards, limits.deltas_max) = (2, 0);
    let mut ledger = Ledger::new(limits, START).unwrap();
    for (checkpoint, id) in [(1, "first"), (2, "second"), (3, "third"), (4, "last")] {
        receive(&mut ledger, &[(id, "1-aGFuZGxl", 1)]);
        ledger.hand_out(&[MessageKey::of(id)]);
        ledger.barrier(CheckpointId(checkpoint), START).unwrap();
        ledger.commit(CheckpointId(checkpoint)).unwrap();
        let batch = ledger.next_deletes(START).unwrap();
        ledger.delete_done(batch.token, &[DeleteOutcome::Stale], START);
    }
    ledger.barrier(CheckpointId(5), START).unwrap().segments
}

fn with_shards(shards: u32, segments: &[Segment]) -> Ledger {
    let mut limits = limits();
    (limits.shards, limits.deltas_max) = (shards, 1);
    let mut ledger = Ledger::new(limits, START).unwrap();
    ledger.restore(CheckpointId(5), segments, START).unwrap();
    ledger
}

fn keys(ledger: &Ledger) -> Vec<(MessageKey, &'static str, Option<CheckpointId>)> {
    ledger.ids().into_iter().map(|id| (id.key, id.stage, id.checkpoint)).collect()
}

#[test]
fn a_state_of_two_shards_is_read_with_any_number() {
    for written in SHARDS {
        let segments = written.map(|bytes| Segment::from_bytes(bytes).unwrap());
        for shards in [1, 2, 16, 64] {
            let mut expected = [("first", 1), ("second", 2), ("third", 3), ("last", 4)]
                .map(|(id, checkpoint)| (MessageKey::of(id), "committed", Some(CheckpointId(checkpoint))));
            expected.sort();
            assert_eq!(keys(&with_shards(shards, &segments)), expected);
        }
    }
}

#[test]
fn the_story_of_two_shards_still_writes_its_bytes() {
    let bytes: Vec<_> = sharded_story().iter().map(|segment| segment.bytes().to_vec()).collect();
    assert_eq!(bytes, SHARDS[1]);
}

/// What this version writes behind segments of an older one says the same, with some of them and when the last of them has gone.
#[test]
fn a_chain_of_an_older_version_goes_on_in_this_one() {
    let segments = SHARDS[0].map(|bytes| Segment::from_bytes(bytes).unwrap());
    for shards in [1, 2, 16] {
        let mut ledger = with_shards(shards, &segments);
        let before = keys(&ledger);
        let mut old = Vec::new();
        for id in 6..50 {
            let snapshot = ledger.barrier(CheckpointId(id), START).unwrap();
            let mut again = Ledger::new(limits(), START).unwrap();
            again.restore(CheckpointId(id), &snapshot.segments, START).unwrap();
            assert_eq!(keys(&again), before, "{shards} shards, checkpoint {id}");
            old.push(snapshot.segments.iter().filter(|segment| segments.contains(segment)).count());
        }
        assert!(old.is_sorted_by(|a, b| a >= b) && old.last() == Some(&0), "{shards} shards: {old:?}");
    }
}

/// A state without its first segment is refused, also where the rest is one chain.
#[test]
fn a_state_without_its_first_segment_is_refused() {
    for (written, cause) in
        SHARDS.iter().zip(["the base of some ids is missing", "it does not begin where its end says"])
    {
        let segments = written.map(|bytes| Segment::from_bytes(bytes).unwrap());
        let restore =
            |segments: &[Segment]| Ledger::new(limits(), START).unwrap().restore(CheckpointId(5), segments, START);
        assert_eq!(restore(&segments), Ok(()));
        let error = restore(&segments[1..]).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, format!("the segments do not form one chain: {cause}"));
        assert!(restore(&segments[..1]).is_err());
    }
}

/// A base alone is the state of checkpoint 1; a delta alone, the wrong order or a foreign delta is refused.
#[test]
fn a_chain_is_whole_or_refused() {
    let [base, delta] = WRITTEN[0].map(|bytes| Segment::from_bytes(bytes).unwrap());
    let restore =
        |id, segments: &[Segment]| Ledger::new(limits(), START).unwrap().restore(CheckpointId(id), segments, START);
    assert!(restore(1, std::slice::from_ref(&base)).is_ok());
    assert!(restore(2, &[]).is_err());
    assert!(restore(2, std::slice::from_ref(&delta)).is_err());
    assert!(restore(2, &[delta.clone(), base.clone()]).is_err());
    assert!(restore(2, &[base.clone(), base.clone(), delta.clone()]).is_err());
    let mut other = Ledger::new(limits(), START).unwrap();
    let other = other.barrier(CheckpointId(1), START).unwrap().segments[0].clone();
    let error = restore(2, &[other, delta]).unwrap_err();
    assert!(matches!(error, headwater_ledger::CheckpointError::Segment(_)), "{error}");
}
