//! What the fuzz targets of the formats share: tables to decode into, and what must hold for any body.
//!
//! `fuzz/run TARGET SECONDS` runs a target. The first two bytes of an input choose a table, the rest is the body.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_formats::{DecodeErrorKind, DecoderFactory, Format, OnBadRow, RowType};
use serde::Deserialize;

/// A table to decode into, and a body that it takes.
pub struct Table {
    factory: Arc<dyn DecoderFactory>,
    neighbour: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Case {
    format: String,
    columns: String,
    options: BTreeMap<String, String>,
    body_base64: Option<String>,
}

/// An input that a fuzzer starts from: a table's number and a body.
pub struct Seed {
    /// The table, as [`check`] counts them.
    pub table: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Columns of every kind, for the formats of whole files.
pub const COLUMNS: &str = "id BIGINT, name STRING, price DECIMAL(10, 2), at TIMESTAMP(3), tags ARRAY<STRING>, \
     m MAP<STRING, INT>, r ROW<a INT, b DOUBLE>, ok BOOLEAN, d DATE, bytes BYTES";

type Own = (&'static str, &'static [(&'static str, &'static str)]);

/// Tables that the corpus has not; the first is the one of [`COLUMNS`].
fn own(format: &str) -> &'static [Own] {
    match format {
        "avro" | "orc" | "parquet" => &[(COLUMNS, &[]), ("id INT, name BYTES", &[]), ("r ROW<b DOUBLE>, x INT", &[])],
        "csv" => &[("a INT, b STRING, c ARRAY<INT>", &[("csv.framing", "lines")])],
        _ => &[],
    }
}

/// The tables of a format: own ones and those of the Flink corpus, with the bodies that came with the latter.
pub fn tables(format: &str) -> (Vec<Table>, Vec<Seed>) {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../crates/formats/tests/corpus/cases.json")).expect("cases.json");
    let mut index = BTreeMap::new();
    let (mut tables, mut seeds) = (Vec::new(), Vec::new());
    let own = own(format).iter().map(|(columns, options)| Case {
        format: format.to_owned(),
        columns: (*columns).to_owned(),
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        body_base64: None,
    });
    for case in own.chain(cases.into_iter().filter(|case| case.format == format)) {
        let key = (case.columns.clone(), case.options.clone());
        let table = *index.entry(key).or_insert_with(|| {
            let columns = case.columns.parse::<RowType>().ok()?;
            let factory = Format::create(format, &columns, &case.options).ok()?;
            tables.push(Table { factory, neighbour: None });
            u16::try_from(tables.len() - 1).ok()
        });
        let (Some(table), Some(body)) = (table, case.body_base64) else { continue };
        let body = STANDARD.decode(body).expect("base64");
        let entry = &mut tables[usize::from(table)];
        if entry.neighbour.is_none() && rows_alone(&*entry.factory, &body).is_some() {
            entry.neighbour = Some(body.clone());
        }
        seeds.push(Seed { table, body });
    }
    assert!(!tables.is_empty(), "no table of the format {format}");
    (tables, seeds)
}

/// One execution: no panic, no row of a refused body, and the messages before and after keep their rows.
pub fn check(tables: &'static OnceLock<Vec<Table>>, init: fn() -> Vec<Table>, data: &[u8]) {
    let tables = tables.get_or_init(init);
    let [a, b, body @ ..] = data else { return };
    let table = &tables[usize::from(u16::from_le_bytes([*a, *b])) % tables.len()];
    let factory = &*table.factory;
    let neighbour = table.neighbour.as_deref();
    let alone = neighbour.and_then(|body| rows_alone(factory, body));

    let mut decoder = factory.decoder();
    let mut counted = 0;
    for (body, good) in [(neighbour, true), (Some(body), false), (neighbour, true)] {
        let Some(body) = body else { continue };
        let before = decoder.rows();
        match decoder.decode(body, OnBadRow::Fail) {
            Ok(decoded) => {
                assert!(decoded.bad.is_empty(), "bad rows are for Salvage");
                counted += decoded.rows;
            }
            Err(error) if *error.kind() == DecodeErrorKind::BufferFull => {}
            Err(error) => {
                assert!(!good, "a good body is refused beside another: {error}");
                let _ = error.excerpt(body, 20);
            }
        }
        assert_eq!(decoder.rows(), counted, "rows of a refused body stayed ({before} before it)");
    }
    let batch = decoder.flush();
    assert_eq!(batch.num_rows(), counted);
    if let Some(alone) = alone {
        let n = alone.num_rows();
        assert_eq!(batch.slice(0, n), alone, "the message before was changed");
        assert_eq!(batch.slice(counted - n, n), alone, "the message after was changed");
    }

    match decoder.decode(body, OnBadRow::Salvage) {
        Ok(decoded) => assert_eq!(decoder.flush().num_rows(), decoded.rows),
        Err(error) => assert_eq!(*error.kind(), DecodeErrorKind::BufferFull, "salvaging refuses nothing: {error}"),
    }
}

fn rows_alone(factory: &dyn DecoderFactory, body: &[u8]) -> Option<RecordBatch> {
    let mut decoder = factory.decoder();
    decoder.decode(body, OnBadRow::Fail).ok()?;
    Some(decoder.flush())
}

/// A fuzz target for a format: `format_target!("json")`.
#[macro_export]
macro_rules! format_target {
    ($format:literal) => {
        fn init() -> Vec<$crate::Table> {
            $crate::tables($format).0
        }
        static TABLES: std::sync::OnceLock<Vec<$crate::Table>> = std::sync::OnceLock::new();
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::check(&TABLES, init, data));
    };
}
