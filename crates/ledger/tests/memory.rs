//! What remembering costs: a limit on ids is a limit on memory only if an id has a size. Counted by the allocator, so that
//! nothing is left out but the allocator's own rounding.
//!
//! Ten million ids each way, ten minutes on a busy machine:
//! `cargo test --release -p headwater-ledger --test memory -- --ignored --nocapture`

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headwater_ledger::{
    CheckpointId, DeleteOutcome, Delivery, Handle, Ledger, Limits, MessageKey, Mono, Segment, ServerMs,
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// One test at a time, or they count each other.
static ALONE: Mutex<()> = Mutex::new(());

const START: Mono = Mono(Duration::ZERO);
const EPOCH: u64 = 2_000;
const SENT: i64 = 1_642_865_171_557;

fn limits(messages: u64) -> Limits {
    let mut limits = Limits::default();
    limits.ledger_max_ids = u32::try_from(messages).unwrap() + 1;
    limits.grace_max_ids = limits.ledger_max_ids;
    limits.grace = Duration::from_secs(1_000_000);
    // A new base by bytes alone, or most of the time here is spent on writing bases.
    limits.deltas_max = u32::MAX;
    limits
}

/// One epoch of a job on a store that keeps parts: received, saved, committed, and each delete ended so. A call of 16 every 10 ms.
fn epoch(ledger: &mut Ledger, epoch: u64, outcome: DeleteOutcome) {
    let at = |n: u64| Mono::from_millis((epoch * EPOCH + n) / 16 * 10);
    let mut left = EPOCH;
    while left > 0 {
        let grant = ledger.begin_receive(START).unwrap();
        let count = left.min(grant.max_messages.into());
        let deliveries: Vec<_> = (left - count..left).map(|n| delivery(epoch * EPOCH + n)).collect();
        left -= count;
        let keys: Vec<_> = deliveries.iter().map(|delivery| delivery.key).collect();
        ledger.screen(grant.ticket, deliveries);
        ledger.hand_out(&keys);
    }
    ledger.barrier(CheckpointId(epoch + 1), at(0)).unwrap();
    ledger.commit(CheckpointId(epoch + 1)).unwrap();
    ledger.release_stored();
    let mut ended = 0;
    while let Some(batch) = ledger.next_deletes(at(ended)) {
        ledger.delete_done(batch.token, &vec![outcome; batch.keys.len()], at(ended));
        ended += batch.keys.len() as u64;
    }
}

fn delivery(n: u64) -> Delivery {
    // Sent within a week, received within a day, now and then more than once.
    let enqueued = SENT + (n as i64).wrapping_mul(7_919) % 604_800_000;
    Delivery {
        key: MessageKey::of(&n.to_string()),
        handle: Handle::new(&format!("1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA=={n:016}")),
        dequeue_count: 1 + n as u32 % 3,
        next_visible: ServerMs(enqueued + 30_000 + n as i64 % 86_400_000),
        enqueued: ServerMs(enqueued),
        lease_end: None,
        bytes: 300,
    }
}

/// The most an id came to at any size from 100,000 on, and what it comes to at the end, as the allocator counts.
fn cost(messages: u64, outcome: DeleteOutcome) -> (f64, f64) {
    let before = ALLOCATED.current_usage();
    let mut ledger = Ledger::new(limits(messages), START).unwrap();
    let (mut most, mut last) = (0.0_f64, 0.0);
    for number in 0..messages / EPOCH {
        epoch(&mut ledger, number, outcome);
        let ids = (number + 1) * EPOCH;
        // The tables and lists of the ids at work, whose size is from 4,000 of them, whatever is remembered beside; and what one segment
        // leaves to the next, at most 1.5 MiB.
        let at_work = 2_000_000.0;
        let counted = (ALLOCATED.current_usage() - before) as f64;
        let said = ledger.memory_bytes() as f64;
        assert!((counted - said).abs() < 750_000.0 + said / 100.0, "{ids} ids: counted {counted}, said {said}");
        last = (counted - at_work) / ids as f64;
        most = if ids >= 100_000 { most.max(last) } else { most };
    }
    let counts = ledger.counts();
    assert_eq!((counts.unconfirmed + counts.deleted, counts.ids()), (messages, messages));
    (most, last)
}

fn check(messages: u64) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (what, outcome) in [("without a live handle", DeleteOutcome::Stale), ("deleted", DeleteOutcome::Deleted)] {
        let (most, last) = cost(messages, outcome);
        println!("{messages} ids {what}: {last:.1} bytes each, at most {most:.1} on the way there");
        assert!(most <= 32.0, "{what}: {most}");
    }
}

#[test]
fn an_id_without_a_live_handle_costs_at_most_32_bytes() {
    check(1_000_000);
}

#[test]
#[ignore = "takes ten minutes in a release build on a busy machine: see the head of this file"]
fn ten_million_ids_without_a_live_handle_cost_at_most_32_bytes_each() {
    check(10_000_000);
}

/// The state of so many epochs, as a restart would read it.
fn base(outcome: DeleteOutcome, epochs: u64) -> Vec<Segment> {
    let mut limits = limits(epochs * EPOCH);
    (limits.deltas_max, limits.shards) = (0, 1);
    let mut ledger = Ledger::new(limits, START).unwrap();
    (0..epochs).for_each(|number| epoch(&mut ledger, number, outcome));
    ledger.barrier(CheckpointId(epochs + 1), START).unwrap().segments
}

#[test]
fn a_base_holds_an_id_in_36_bytes_and_a_deleted_one_in_28() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let epochs = 50;
    for (outcome, most) in [(DeleteOutcome::Stale, 36), (DeleteOutcome::Deleted, 28)] {
        let segments = base(outcome, epochs);
        let each = segments[0].bytes().len() as u64 / (epochs * EPOCH);
        println!("{outcome:?}: {each} bytes of a base");
        assert!(segments.len() == 1 && each <= most, "{outcome:?}: {each}");
    }
}

#[test]
fn what_is_restored_costs_as_little() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let epochs = 50;
    for outcome in [DeleteOutcome::Stale, DeleteOutcome::Deleted] {
        let segments = base(outcome, epochs);
        let before = ALLOCATED.current_usage();
        let mut ledger = Ledger::new(limits(epochs * EPOCH), START).unwrap();
        ledger.restore(CheckpointId(epochs + 1), &segments, START).unwrap();
        ledger.commit(CheckpointId(epochs + 1)).unwrap();
        let each = (ALLOCATED.current_usage() - before) as u64 / (epochs * EPOCH);
        println!("{outcome:?}: {each} bytes restored");
        assert!(each <= 32, "{outcome:?}: {each}");
    }
}

/// What a restart sets aside beside the bytes of the state, at the most, for each id.
fn restored(outcome: DeleteOutcome, epochs: u64) -> u64 {
    let parts: Vec<Arc<[u8]>> = base(outcome, epochs).iter().map(|segment| Arc::clone(segment.bytes())).collect();
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let segments: Vec<_> = parts.iter().map(|bytes| Segment::from_shared(Arc::clone(bytes)).unwrap()).collect();
    let mut ledger = Ledger::new(limits(epochs * EPOCH), START).unwrap();
    ledger.restore(CheckpointId(epochs + 1), &segments, START).unwrap();
    (ALLOCATED.peak_usage() - before) as u64 / (epochs * EPOCH)
}

fn check_restore(epochs: u64) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for outcome in [DeleteOutcome::Stale, DeleteOutcome::Deleted] {
        let each = restored(outcome, epochs);
        println!("{} ids {outcome:?}: a restart sets aside {each} bytes each beside its state", epochs * EPOCH);
        assert!(each <= 72, "{outcome:?}: {each}");
    }
}

#[test]
fn a_restart_sets_aside_at_most_72_bytes_an_id_beside_its_state() {
    check_restore(100);
}

#[test]
#[ignore = "takes minutes, also in a release build: see the head of this file"]
fn a_restart_with_ten_million_ids_sets_aside_at_most_72_bytes_each_beside_its_state() {
    check_restore(5_000);
}
