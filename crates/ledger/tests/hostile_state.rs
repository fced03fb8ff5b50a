//! Segments whose checksums are right and whose numbers are not: refused, or restored and written again with the same meaning.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use headwater_ledger::{CheckpointId, Ledger, Limits, Mono, Segment};

const START: Mono = Mono(std::time::Duration::ZERO);

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// Restores a base that says this, and what it says later is the same.
fn check(mut bytes: Vec<u8>) {
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    let Ok(segment) = Segment::from_bytes(&bytes) else { return };
    let id = CheckpointId(u64::from_le_bytes(bytes[16..24].try_into().unwrap()));
    let mut ledger = Ledger::new(Limits::default(), START).unwrap();
    if ledger.restore(id, &[segment], START).is_err() {
        return;
    }
    assert!(ledger.ids().len() <= bytes.len() / 16, "more ids than there are bytes for");
    let Some(next) = id.0.checked_add(1).map(CheckpointId) else { return };
    let Ok(snapshot) = ledger.barrier(next, START) else { return };
    let mut again = Ledger::new(Limits::default(), START).unwrap();
    again.restore(next, &snapshot.segments, START).unwrap();
    let meaning = |ledger: &Ledger| {
        let ids = ledger.ids().into_iter();
        ids.map(|id| (id.key, id.stage, id.checkpoint, id.handle, id.rank, id.enqueued)).collect::<Vec<_>>()
    };
    assert_eq!(meaning(&again), meaning(&ledger));
}

#[test]
fn every_byte_of_a_segment_may_be_another() {
    for name in ["v1-base.seg", "v2-base.seg", "v3-base.seg", "v4-base.seg"] {
        let whole = golden(name);
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                check(bytes);
            }
        }
    }
}

#[test]
fn every_number_of_a_head_may_be_the_largest() {
    for name in ["v1-base.seg", "v2-base.seg", "v3-base.seg", "v4-base.seg"] {
        for at in [8, 16, 24, 32, 40, 48, 56] {
            for number in [0, 1, u64::MAX - 1, u64::MAX] {
                let mut bytes = golden(name);
                bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
                check(bytes);
            }
        }
    }
}
