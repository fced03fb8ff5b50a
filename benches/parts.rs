//! What the parts of the path cost by themselves: XML, base64, each format, signing, MD5. What the ledger costs is measured by
//! its own bench, and all of it together by `whole_path`.
//!
//! `cargo bench -p headwater-benches --bench parts`, or `… -- xml` for some of it. An iteration is one message, so times are per message and
//! in CPU time; bytes a second are those that the part reads. Bodies are those of `whole_path`, sixteen different ones in turn, as many
//! as an answer holds. What a part gives is checked before it is measured.

#[path = "whole_path/bodies.rs"]
#[expect(dead_code, reason = "a part of it is about whole programs")]
mod bodies;
#[path = "cpu_time.rs"]
mod cpu_time;
#[path = "parts/decoding.rs"]
mod decoding;
#[path = "parts/wire.rs"]
mod wire;

use std::time::Duration;

use criterion::measurement::Measurement;
use criterion::{Bencher, Criterion};

use cpu_time::{CpuTime, now};

/// Messages of an answer.
const BATCH: u64 = bodies::BATCH as u64;

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    wire::xml(&mut criterion);
    wire::base64(&mut criterion);
    decoding::formats(&mut criterion);
    wire::sign(&mut criterion);
    wire::md5(&mut criterion);
    criterion.final_summary();
}

/// Runs a step of so many messages often enough, and gives back the time of as many messages as were asked for.
fn per_message<M: Measurement<Value = Duration>>(bencher: &mut Bencher<'_, M>, of: u64, mut step: impl FnMut()) {
    bencher.iter_custom(|messages| {
        let steps = messages.div_ceil(of);
        let started = now();
        (0..steps).for_each(|_| step());
        (now() - started).mul_f64(messages as f64 / (steps * of) as f64)
    });
}
