//! Bases a shard at a time: what one checkpoint writes is bounded by a shard, and the state stays short and small.

#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::time::Duration;

use headwater_ledger::{
    CheckpointId, DeleteOutcome, Delivery, Handle, Ledger, Limits, MessageKey, Mono, Segment, ServerMs,
};

const START: Mono = Mono(Duration::ZERO);
const SHARDS: u32 = 8;
const DELTAS: u32 = 4;

fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.shards, limits.deltas_max) = (SHARDS, DELTAS);
    limits
}

/// So many new ids, every second one deleted, the others without a live handle; then a barrier.
fn epoch(ledger: &mut Ledger, ids: u64) -> Vec<Segment> {
    let id = CheckpointId(ledger.last_checkpoint().map_or(1, |last| last.0 + 1));
    let mut left = ids;
    while left > 0 {
        let grant = ledger.begin_receive(START).unwrap();
        let count = left.min(grant.max_messages.into());
        let deliveries: Vec<_> = (left - count..left).map(|n| delivery(id.0 * 100_000 + n)).collect();
        left -= count;
        let keys: Vec<_> = deliveries.iter().map(|delivery| delivery.key).collect();
        ledger.screen(grant.ticket, deliveries);
        ledger.hand_out(&keys);
    }
    let segments = ledger.barrier(id, START).unwrap().segments;
    ledger.commit(id).unwrap();
    while let Some(batch) = ledger.next_deletes(START) {
        let all = [DeleteOutcome::Deleted, DeleteOutcome::Stale].into_iter().cycle();
        ledger.delete_done(batch.token, &all.take(batch.keys.len()).collect::<Vec<_>>(), START);
    }
    segments
}

fn delivery(n: u64) -> Delivery {
    Delivery {
        key: MessageKey::of(&n.to_string()),
        handle: Handle::new("1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA=="),
        dequeue_count: 1,
        next_visible: ServerMs(1_642_865_202_119),
        enqueued: ServerMs(1_642_865_171_557),
        lease_end: None,
        bytes: 300,
    }
}

fn restored(segments: &[Segment], shards: u32) -> Ledger {
    let mut limits = limits();
    limits.shards = shards;
    let mut ledger = Ledger::new(limits, START).unwrap();
    let last = segments.last().unwrap();
    let id = (1..).map(CheckpointId).find(|id| ledger.restore(*id, segments, START).is_ok());
    assert_eq!(id, ledger.last_checkpoint(), "{last:?}");
    ledger
}

fn total(segments: &[Segment]) -> usize {
    segments.iter().map(|segment| segment.bytes().len()).sum()
}

#[test]
fn a_checkpoint_writes_no_more_than_a_shard_and_what_changed() {
    let mut ledger = Ledger::new(limits(), START).unwrap();
    (0..10).for_each(|_| drop(epoch(&mut ledger, 2_000)));
    let whole = total(&restored_base(&epoch(&mut ledger, 20)));
    let delta = 20 * 200;
    // The first round still carries the base of all there was.
    let rounds: Vec<Vec<Segment>> = (0..100).map(|_| epoch(&mut ledger, 20)).collect();
    for (round, segments) in rounds.iter().enumerate().skip(20) {
        let newest = segments.last().unwrap().bytes().len();
        assert!(newest <= whole / SHARDS as usize * 3 / 2 + delta, "{round}: {newest} bytes of {whole}");
        assert!(segments.len() <= (DELTAS + 2 * SHARDS) as usize, "{round}: {} segments", segments.len());
        assert!(total(segments) <= 3 * whole, "{round}: {} bytes of {whole}", total(segments));
        // And it goes on writing bases: the front of the chain is not for ever.
        assert_ne!(segments[0], rounds[round - 20][0], "{round}");
    }
}

/// With many segments allowed, their bytes are bounded: by a multiple of what each id takes once, and in sum by twice what has changed.
#[test]
fn a_state_has_at_most_five_times_the_bytes_of_its_ids() {
    for remembered in [1_000, 200_000] {
        let mut limits = limits();
        (limits.deltas_max, limits.delta_bytes_min, limits.grace_max_ids) = (100_000, 0, remembered);
        let mut ledger = Ledger::new(limits.clone(), START).unwrap();
        // Says nothing again.
        limits.delta_bytes_min = u64::MAX;
        let mut twin = Ledger::new(limits, START).unwrap();
        let (mut written, mut changed, mut most) = (0, 0, 0.0_f64);
        for round in 0..200 {
            let ids = if round < 5 { 2_000 } else { 200 };
            let segments = epoch(&mut ledger, ids);
            written += segments.last().unwrap().bytes().len();
            changed += epoch(&mut twin, ids).last().unwrap().bytes().len();
            ledger.tick(START, None);
            twin.tick(START, None);
            // Once what it was at first has been said again.
            if round > 20 && round % 3 == 0 {
                let again = restored_at(&nothing_new(&mut ledger), &Limits::default());
                assert!(said(&again) == said(&ledger), "{round}: a restart brings something else back");
                nothing_new(&mut twin);
                let whole = total(&restored_base(&segments));
                most = most.max(total(&segments) as f64 / whole as f64);
                assert!(written <= 2 * changed + whole / SHARDS as usize, "{round}: {written}, {changed} changed");
            }
        }
        println!(
            "{remembered} remembered: {written} bytes for {changed} that changed, at most {most:.2} times the ids"
        );
        assert!(most <= 5.0, "{remembered}: {most:.2} times as many bytes as its ids take");
        assert!(written > changed, "nothing was ever said again");
    }
}

/// A checkpoint of what the deletes have changed.
fn nothing_new(ledger: &mut Ledger) -> Vec<Segment> {
    let id = CheckpointId(ledger.last_checkpoint().unwrap().0 + 1);
    let segments = ledger.barrier(id, START).unwrap().segments;
    ledger.commit(id).unwrap();
    segments
}

/// Every id, and what is so of it.
fn said(ledger: &Ledger) -> Vec<(MessageKey, &'static str, Option<CheckpointId>)> {
    ledger.ids().into_iter().map(|id| (id.key, id.stage, id.checkpoint)).collect()
}

fn restored_at(segments: &[Segment], limits: &Limits) -> Ledger {
    let mut ledger = Ledger::new(limits.clone(), START).unwrap();
    // Where every segment has its checkpoint.
    let id = u64::from_le_bytes(segments.last().unwrap().bytes()[16..24].try_into().unwrap());
    ledger.restore(CheckpointId(id), segments, START).unwrap();
    ledger
}

/// The same state as one base.
fn restored_base(segments: &[Segment]) -> Vec<Segment> {
    let mut limits = limits();
    (limits.shards, limits.deltas_max) = (1, 0);
    let mut ledger = restored_at(segments, &limits);
    let id = ledger.last_checkpoint().unwrap();
    ledger.barrier(CheckpointId(id.0 + 1), START).unwrap().segments
}

/// From any number to any number: the state says the same, goes on, and says the same again.
#[test]
fn a_restart_may_have_another_number_of_shards() {
    let mut ledger = Ledger::new(limits(), START).unwrap();
    let mut segments = (0..30).map(|_| epoch(&mut ledger, 50)).last().unwrap();
    for shards in [8, 1, 64, 2, 16, 4, 32, 1] {
        let mut next = restored(&segments, shards);
        next.commit(next.last_checkpoint().unwrap()).unwrap();
        // Forgotten here, and so in no later state.
        assert!(next.tick(START + Duration::from_secs(61), None) > 0, "{shards}");
        let ids = next.ids();
        for _ in 0..10 {
            let id = CheckpointId(next.last_checkpoint().unwrap().0 + 1);
            segments = next.barrier(id, START).unwrap().segments;
            let again = restored(&segments, 4);
            let key = |ledger: &Ledger| ledger.ids().iter().map(|id| (id.key, id.stage)).collect::<Vec<_>>();
            assert_eq!(key(&again), ids.iter().map(|id| (id.key, id.stage)).collect::<Vec<_>>(), "{shards}");
        }
        // Something to forget for the next.
        while let Some(batch) = next.next_deletes(START) {
            next.delete_done(batch.token, &vec![DeleteOutcome::Deleted; batch.keys.len()], START);
        }
        (0..3).for_each(|_| segments = epoch(&mut next, 40));
    }
}
