//! Decoding speed of the formats: bodies to Arrow arrays, beside what everybody can measure, Python's `json.loads`.
//! `cargo bench -p headwater-benches --bench decode`, or `cargo bench -p headwater-benches --bench decode -- json_flat` for some of the inputs.
//!
//! Everything is counted in CPU time, and the yardstick runs between the samples, so that a busy machine hurts both
//! alike. A row costs what decoding its body and building its part of the arrays costs, in batches as the queue source
//! makes them.

#[path = "decode/avro.rs"]
mod avro;
mod cpu_time;
#[path = "decode/inputs.rs"]
mod inputs;
#[path = "decode/measure.rs"]
mod measure;
#[path = "decode/report.rs"]
mod report;

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use headwater_formats::{Decoder, Format, FormatErrors, OnBadRow, RowType};

use cpu_time::CpuTime;
use inputs::{INPUTS, Input};
use measure::Yardstick;
use report::{Line, Report};

/// When a batch is full: the defaults of the queue source, whichever comes first.
const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 1 << 20;
/// Rows of an iteration.
const ITERATION: usize = 8_192;

/// What the four generated files must be, as the generator prints it; another text would be another benchmark.
const GENERATED: [&str; 4] = [
    "6474a5d85b1127dbd3935e947ebcf4fe87ba09e32516046ef8bd2c7eb9e4beca",
    "513d150fc0a47688d6fcf102121e35f0f75c570c97a329fc0b654d709ff4869e",
    "8fdad5c39b17ac87b7cf83e0d0db68ea6ae8ae0efa65ae41f27055ceaf6c2dd9",
    "0a305f18ccc5d208e7769471ac58cc9e3f6cedb91a736b8696943ac2a45204a5",
];

fn main() -> Result<(), Box<dyn Error>> {
    let dir = generate()?;
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(6))
        .without_plots()
        .configure_from_args();
    let mut report = Report::default();
    for input in INPUTS {
        match decoder(input) {
            Ok(decoder) => run(&mut criterion, input, decoder, &dir, &mut report)?,
            Err(errors) => println!("{}: left out: {errors}", input.name),
        }
    }
    criterion.final_summary();
    report.print();
    Ok(())
}

/// Writes the input files with the generator, and checks that they are what they always were.
fn generate() -> Result<PathBuf, Box<dyn Error>> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("decode");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/decode/gen_perf.py");
    let out = Command::new("python3").arg(script).arg(&dir).output().map_err(|e| format!("python3: {e}"))?;
    let said = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() || !GENERATED.iter().all(|sum| said.contains(sum)) {
        return Err(format!("{script} wrote other files: {said}{}", String::from_utf8_lossy(&out.stderr)).into());
    }
    Ok(dir)
}

fn decoder(input: &Input) -> Result<Box<dyn Decoder>, FormatErrors> {
    let columns: RowType = input.columns.parse().expect("the columns of an input are good");
    Ok(Format::named(input.format).factory(&columns)?.decoder())
}

fn run(
    criterion: &mut Criterion<CpuTime>,
    input: &Input,
    mut decoder: Box<dyn Decoder>,
    dir: &Path,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let bodies = (input.bodies)(dir)?;
    let clean = input.clean.map(|clean| clean(dir)).transpose()?;
    let mut beside = input.beside.map(|beside| beside(dir)).transpose()?;
    for body in clean.as_ref().unwrap_or(&bodies) {
        decoder.decode(body, OnBadRow::Fail).map_err(|e| format!("{}: {e}", input.name))?;
    }
    decoder.flush();
    let mut yardstick = Yardstick::start(&dir.join(input.yardstick))?;
    let mut line = Line::new(input, bodies.iter().map(Vec::len).sum::<usize>() / bodies.len());
    let mut group = criterion.benchmark_group("decode");
    // As many iterations in each sample, since the samples' ratios count alike.
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(ITERATION as u64));
    group.bench_function(input.name, |bencher| {
        bencher.iter_custom(|iterations| {
            let wanted = iterations as usize * ITERATION;
            line.yardstick.push(yardstick.rows_a_second());
            let (rows, took) = decode(&mut *decoder, &bodies, input.on_bad, wanted);
            line.ours.push(rows as f64 / took.as_secs_f64());
            if let Some(clean) = &clean {
                let (rows, took) = decode(&mut *decoder, clean, input.on_bad, wanted);
                line.clean.push(rows as f64 / took.as_secs_f64());
            }
            if let Some(beside) = &mut beside {
                let (rows, took) = beside(wanted);
                line.beside.push(rows as f64 / took.as_secs_f64());
            }
            // The last list may be a few rows more than wanted.
            took.mul_f64(wanted as f64 / rows as f64)
        });
    });
    group.finish();
    report.push(line);
    Ok(())
}

/// Decodes the bodies over and over until there are so many rows: how many there are, and the time they took.
fn decode(decoder: &mut dyn Decoder, bodies: &[Vec<u8>], on_bad: OnBadRow, wanted: usize) -> (usize, Duration) {
    let (mut next, mut rows) = (bodies.iter().cycle(), 0);
    let started = cpu_time::now();
    while rows < wanted {
        let body = next.next().expect("there are bodies");
        // A refused message is its caller's to report; here it is what it costs.
        let _ = black_box(decoder.decode(black_box(body), on_bad));
        let full = decoder.rows() >= BATCH_ROWS || decoder.bytes() >= BATCH_BYTES;
        if full || rows + decoder.rows() >= wanted {
            rows += black_box(decoder.flush()).num_rows();
        }
    }
    (rows, cpu_time::now() - started)
}
