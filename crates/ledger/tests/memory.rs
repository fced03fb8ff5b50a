//! What remembering costs: a limit on ids is a limit on memory only if an id has a size.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::time::Duration;

use headwater_ledger::{CheckpointId, DeleteOutcome, Delivery, Handle, Ledger, Limits, MessageKey, Mono, ServerMs};

const START: Mono = Mono(Duration::ZERO);
const EPOCH: u64 = 2_000;

/// A ledger through which so many messages went, each of them deleted with this outcome.
fn after(messages: u64, outcome: DeleteOutcome) -> Ledger {
    let mut limits = Limits::default();
    limits.grace_max_ids = 1_000_000;
    let mut ledger = Ledger::new(limits, START).unwrap();
    for epoch in 0..messages / EPOCH {
        let mut left = EPOCH;
        while left > 0 {
            let grant = ledger.begin_receive(START).unwrap();
            let count = left.min(grant.max_messages.into());
            let deliveries: Vec<_> = (left - count..left).map(|n| delivery(epoch * EPOCH + n)).collect();
            left -= count;
            ledger.screen(grant.ticket, &deliveries);
            ledger.hand_out(&deliveries.iter().map(|delivery| delivery.key).collect::<Vec<_>>());
        }
        ledger.barrier(CheckpointId(epoch + 1), START).unwrap();
        ledger.commit(CheckpointId(epoch + 1)).unwrap();
        while let Some(batch) = ledger.next_deletes(START) {
            ledger.delete_done(batch.token, &vec![outcome; batch.entries.len()], START);
        }
    }
    ledger
}

fn delivery(n: u64) -> Delivery {
    Delivery {
        key: MessageKey::of(&n.to_string()),
        handle: Handle::new(&format!("1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA=={n:016}")),
        dequeue_count: 1,
        next_visible: ServerMs(1_642_865_202_119),
        enqueued: ServerMs(1_642_865_171_557),
        lease_end: None,
        bytes: 300,
    }
}

/// The tables alone, without the segments of the last snapshot.
fn tables(ledger: &mut Ledger) -> u64 {
    let id = CheckpointId(ledger.last_checkpoint().unwrap().0 + 1);
    let snapshot = ledger.barrier(id, START).unwrap();
    let segments: usize = snapshot.segments.iter().map(|segment| segment.bytes().len()).sum();
    ledger.memory_bytes() - segments as u64
}

#[test]
fn a_deleted_id_costs_45_bytes_and_30_more_in_a_snapshot() {
    let messages = 200_000;
    let mut ledger = after(messages, DeleteOutcome::Deleted);
    assert_eq!(ledger.counts().deleted, messages);
    println!(
        "a deleted id: {} bytes, with snapshots {}",
        tables(&mut ledger) / messages,
        ledger.memory_bytes() / messages
    );
    // The table of the ids in work has its size from 2,000 of them.
    assert!(tables(&mut ledger) - 1_000_000 < 45 * messages);

    let id = CheckpointId(ledger.last_checkpoint().unwrap().0 + 1);
    let segments = ledger.barrier(id, START).unwrap().segments;
    let mut limits = Limits::default();
    limits.deltas_max = 0;
    let mut again = Ledger::new(limits, START).unwrap();
    again.restore(id, &segments, START).unwrap();
    let base = again.barrier(CheckpointId(id.0 + 1), START).unwrap().segments[0].bytes().len() as u64;
    println!("in a base: {} bytes", base / messages);
    assert!(base < 30 * messages);
}

#[test]
fn an_unconfirmed_id_costs_at_most_256_bytes() {
    let messages = 200_000;
    let mut ledger = after(messages, DeleteOutcome::Stale);
    assert_eq!(ledger.counts().unconfirmed, messages);
    println!(
        "an unconfirmed id: {} bytes, with snapshots {}",
        tables(&mut ledger) / messages,
        ledger.memory_bytes() / messages
    );
    assert!(tables(&mut ledger) < 256 * messages);
}
