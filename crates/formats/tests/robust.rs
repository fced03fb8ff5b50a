//! Broken bodies do no harm, in any format: the corpus bodies cut at every length and with bytes changed, between good
//! messages whose rows must come out as if nothing had happened.

#[allow(dead_code, unused_imports, reason = "answers are compared with Flink's elsewhere")]
mod corpus_support;
#[cfg(any(feature = "parquet", feature = "orc"))]
#[allow(dead_code, reason = "not every test needs all of it")]
mod files;

use std::sync::Arc;

use arrow_array::RecordBatch;
use corpus_support::{factory, load};
use headwater_formats::{DecoderFactory, Format, OnBadRow};

/// Bodies to break, for a table that reads them.
struct Sample {
    name: String,
    factory: Arc<dyn DecoderFactory>,
    body: Vec<u8>,
    /// A body of the same table that gives rows.
    good: Option<Vec<u8>>,
}

/// Broken bodies between two flushes: few enough to compare often, many enough to be quick.
const RUN: usize = 64;
/// Up to this length a body is changed at every position, and a longer one at so many, evenly spread: a whole file takes
/// milliseconds to read. All are cut at every length.
const SHORT: usize = 200;
const POSITIONS: usize = 50;
/// What is put in place of a byte, besides its neighbours in value and its high bit flipped: what the formats give a
/// meaning to.
const BYTES: &[u8] = b"\0\n \"',;0-eEnt[]{}:\\\x7f\x80\xC3\xFF";

#[test]
fn every_format_survives_broken_bodies() {
    for format in Format::all() {
        let mut samples = samples(format.name);
        samples.extend(file_samples(format.name));
        assert!(!samples.is_empty(), "there are no bodies of the format '{}' here: add some", format.name);
        assert!(samples.iter().any(|s| s.good.is_some()), "no body of the format '{}' gives rows", format.name);
        let mut broken = 0;
        for sample in &samples {
            let mutants = mutants(&sample.body);
            broken += mutants.len();
            mutants.chunks(RUN).for_each(|run| survives(sample, run, sample.good.as_deref()));
            // The lengths that were left out, without a whole good file after each.
            let cuts: Vec<Vec<u8>> = (0..sample.body.len()).map(|end| sample.body[..end].to_vec()).collect();
            if sample.body.len() > SHORT {
                cuts.chunks(RUN).for_each(|run| survives(sample, run, None));
                broken += cuts.len();
            }
        }
        println!("{}: {broken} broken bodies", format.name);
    }
}

/// One sample for each body of the corpus whose table there is.
fn samples(format: &str) -> Vec<Sample> {
    let (cases, expected) = load();
    let cases: Vec<_> = cases.iter().filter(|case| case.format == format).collect();
    let mut samples = Vec::new();
    for case in &cases {
        let (Ok(factory), Some(body)) = (factory(case, expected[&case.id].types.as_deref()), &case.body) else {
            continue;
        };
        let same_table = cases.iter().filter(|other| other.columns == case.columns && other.options == case.options);
        let mut bodies = [body].into_iter().chain(same_table.filter_map(|other| other.body.as_ref()));
        let good = bodies.find(|body| factory.decoder().decode(body, OnBadRow::Fail).is_ok_and(|d| d.rows > 0));
        samples.push(Sample { name: case.id.clone(), body: body.clone(), good: good.cloned(), factory });
    }
    samples
}

/// Files that are a body each; the corpus has none.
#[cfg(any(feature = "parquet", feature = "orc"))]
fn file_samples(format: &str) -> Vec<Sample> {
    let files = match format {
        "parquet" => files::PARQUET,
        "orc" => files::ORC,
        _ => return Vec::new(),
    };
    let columns: headwater_formats::RowType = files::COLUMNS.parse().expect("columns");
    let factory = Format::named(format).factory(&columns).expect("a good format");
    let sample = |(name, body): (&str, &[u8])| Sample {
        name: name.to_owned(),
        factory: factory.clone(),
        body: body.to_vec(),
        good: Some(body.to_vec()),
    };
    files.into_iter().map(sample).collect()
}

#[cfg(not(any(feature = "parquet", feature = "orc")))]
fn file_samples(_: &str) -> Vec<Sample> {
    Vec::new()
}

/// The body cut short, with bytes changed, left out and doubled.
fn mutants(body: &[u8]) -> Vec<Vec<u8>> {
    let step = if body.len() <= SHORT { 1 } else { body.len() / POSITIONS };
    let mut mutants = Vec::new();
    for at in (0..body.len()).step_by(step) {
        mutants.push(body[..at].to_vec());
        mutants.push([&body[..at], &body[at + 1..]].concat());
        mutants.push([&body[..=at], &body[at..]].concat());
        let old = body[at];
        // Three of the bytes at each place, others at the next.
        let some = BYTES.iter().cycle().skip(at * 3).take(3).copied();
        for new in some.chain([old ^ 1, old ^ 0x80, old.wrapping_add(1)]) {
            let mut mutant = body.to_vec();
            mutant[at] = new;
            mutants.push(mutant);
        }
    }
    mutants
}

/// Feeds broken bodies and the good one by turns, in both modes, and looks at what came out.
fn survives(sample: &Sample, broken: &[Vec<u8>], good: Option<&[u8]>) {
    let name = &sample.name;
    let neighbour = good.map(|body| {
        let mut alone = sample.factory.decoder();
        alone.decode(body, OnBadRow::Fail).expect("it was good before");
        (body, alone.flush())
    });
    let mut decoder = sample.factory.decoder();
    for on_bad in [OnBadRow::Fail, OnBadRow::Salvage] {
        let mut neighbours = Vec::new();
        let mut total = 0;
        for body in broken {
            let shown = || format!("{name}, {on_bad:?}: {}", body.escape_ascii());
            match (decoder.decode(body, on_bad), on_bad) {
                (Ok(decoded), _) => {
                    assert!(on_bad == OnBadRow::Salvage || decoded.bad.is_empty(), "{}", shown());
                    total += decoded.rows;
                }
                (Err(_), OnBadRow::Fail) => {}
                (Err(error), OnBadRow::Salvage) => panic!("{}: {error}", shown()),
            }
            assert_eq!(decoder.rows(), total, "{}", shown());
            if let Some((good, rows)) = &neighbour {
                let decoded = decoder.decode(good, on_bad).unwrap_or_else(|e| panic!("after {}: {e}", shown()));
                assert_eq!(decoded.rows, rows.num_rows(), "after {}", shown());
                neighbours.push((total, body));
                total += decoded.rows;
            }
        }
        let batch: RecordBatch = decoder.flush();
        assert_eq!(batch.num_rows(), total, "{name}");
        for (from, before) in neighbours {
            let (_, rows) = neighbour.as_ref().expect("there are neighbours");
            assert_eq!(&batch.slice(from, rows.num_rows()), rows, "{name}, after {}", before.escape_ascii());
        }
        assert_eq!((decoder.rows(), decoder.flush().num_rows()), (0, 0), "{name}");
    }
}
