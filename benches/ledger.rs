//! What the ledger costs per message, in CPU time: the whole life of a message at steady state, its parts, and screening beside
//! millions of remembered ids. `cargo bench -p headwater-benches --bench ledger`, or `… -- phase` for some of it.
//!
//! An iteration is one message, so the times are per message. A life: an answer of 16 is screened, batches of 64 are handed out, a
//! checkpoint is cut and committed after 2,000 (as the defaults ask for), deletes go in calls of 16, deleted ids are remembered for a
//! minute, of which there are 192,000 at the pace simulated here.

mod cpu_time;
#[path = "ledger/life.rs"]
mod life;

use std::time::Duration;

use criterion::{Bencher, BenchmarkId, Criterion};

use cpu_time::{CpuTime, now};
use life::{Answers, EPOCH, Ids, Life, PHASES};

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    cycle(&mut criterion);
    phases(&mut criterion);
    in_flight(&mut criterion);
    history(&mut criterion);
    dedup(&mut criterion);
    criterion.final_summary();
}

/// Runs whole epochs and gives back the time of as many messages as were asked for.
fn epochs(bencher: &mut Bencher<'_, CpuTime>, mut epoch: impl FnMut() -> Duration) {
    bencher.iter_custom(|messages| {
        let epochs = messages.div_ceil(EPOCH);
        let spent: Duration = (0..epochs).map(|_| epoch()).sum();
        Duration::from_secs_f64(spent.as_secs_f64() * messages as f64 / (epochs * EPOCH) as f64)
    });
}

fn steady(ids: Ids, extend: bool) -> Life {
    let mut life = Life::new(ids, extend, 4);
    life.pass(300_000);
    life
}

fn cycle(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("cycle");
    for (name, ids, extend) in
        [("keys", Ids::Keys, false), ("ids hashed", Ids::Text, false), ("leases extended", Ids::Keys, true)]
    {
        let mut life = None;
        group.bench_function(name, |b| {
            let life = life.get_or_insert_with(|| steady(ids, extend));
            epochs(b, || life.epoch());
        });
    }
    group.finish();
}

/// The same life one phase after the other, for each its share.
fn phases(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("phase");
    for (at, name) in PHASES.iter().enumerate() {
        let mut life = None;
        group.bench_function(*name, |b| {
            let life = life.get_or_insert_with(|| steady(Ids::Keys, false));
            epochs(b, || life.epoch_by_phases()[at]);
        });
    }
    group.finish();
}

fn in_flight(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("receives in flight");
    for receives in [1, 16, 64] {
        let mut life = None;
        group.bench_function(BenchmarkId::from_parameter(receives), |b| {
            let life = life.get_or_insert_with(|| {
                let mut life = Life::new(Ids::Keys, false, receives);
                life.pass(300_000);
                life
            });
            epochs(b, || life.epoch());
        });
    }
    group.finish();
}

/// After so many messages. Up to 200,000 the table of deleted ids still grows.
fn history(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("messages before");
    for messages in [0, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        let mut life = None;
        group.bench_function(BenchmarkId::from_parameter(messages), |b| {
            let life: &mut Life = life.get_or_insert_with(|| {
                let mut life = Life::new(Ids::Keys, false, 4);
                life.pass(messages);
                life
            });
            // A table that grows is not measured at the size it grows to.
            let small = messages < 200_000;
            epochs(b, || if small { life.clone().epoch() } else { life.epoch() });
        });
    }
    group.finish();
}

/// Screening an answer beside so many remembered ids: of new messages (which are then left), and of remembered ones.
fn dedup(criterion: &mut Criterion<CpuTime>) {
    for (name, stale) in [("deleted", false), ("unconfirmed", true)] {
        let mut group = criterion.benchmark_group(format!("dedup, {name}"));
        for remembered in [100_000, 1_000_000, 10_000_000] {
            let mut life: Option<Life> = None;
            for (what, known) in [("new", false), ("known", true)] {
                group.bench_function(BenchmarkId::new(what, remembered), |b| {
                    let life = life.get_or_insert_with(|| Life::remembering(remembered, stale));
                    let mut answers = Answers::default();
                    epochs(b, || {
                        life.answers_for_screening(&mut answers, known);
                        let began = now();
                        life.screen_only(std::mem::take(&mut answers));
                        now() - began
                    });
                });
            }
        }
        group.finish();
    }
}
