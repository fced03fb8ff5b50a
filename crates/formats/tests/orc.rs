//! What the `orc` decoder promises: files of the library's writer come back, types widen without loss, and whatever a
//! file says of itself, it gives rows or an error.

#[allow(dead_code, reason = "not every test needs all of it")]
mod files;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    ArrayRef, BinaryArray, Date32Array, Float32Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use headwater_formats::{DecodeErrorKind, Decoder, Format, Limits, OnBadRow, RowType};
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;
use proptest::prelude::*;

fn decoder_of(format: &Format, columns: &str) -> Box<dyn Decoder> {
    let columns: RowType = columns.parse().expect("columns");
    format.factory(&columns).expect("a good format").decoder()
}

fn decoder(columns: &str) -> Box<dyn Decoder> {
    decoder_of(&Format::named("orc"), columns)
}

fn file_with(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut builder = ArrowWriterBuilder::new(&mut file, batches[0].schema());
    if let Some(compression) = compression {
        builder = builder.with_compression(compression);
    }
    let mut writer = builder.try_build().expect("a writer");
    for batch in batches {
        writer.write(batch).expect("written");
        writer.flush_stripe().expect("a stripe");
    }
    writer.close().expect("a file");
    file
}

/// The file, unless the library's writer cannot write it: with some timestamps that are far apart it subtracts more than there is
/// (orc-rust 0.9.0, `patched_base.rs`).
fn file_if_written(batch: &RecordBatch) -> Option<Vec<u8>> {
    catch_unwind(AssertUnwindSafe(|| file_with(std::slice::from_ref(batch), None))).ok()
}

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    file_with(&[RecordBatch::try_from_iter(columns).expect("a batch")], None)
}

fn decode(columns: &str, file: &[u8]) -> Result<RecordBatch, String> {
    let mut decoder = decoder(columns);
    decoder.decode(file, OnBadRow::Fail).map_err(|error| error.to_string())?;
    Ok(decoder.flush())
}

#[test]
fn columns_go_by_name_and_widen() {
    let file = file(vec![
        ("ID", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        ("unused", Arc::new(StringArray::from(vec!["x", "y", "z"]))),
        ("f", Arc::new(Float32Array::from(vec![0.5, 1.5, -2.0]))),
        ("b", Arc::new(BinaryArray::from(vec![&b"ab"[..], b"", b"\xff"]))),
        ("day", Arc::new(Date32Array::from(vec![0, -1, 20_000]))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_500_999), None, Some(-5_000_001)]))),
        ("name", Arc::new(StringArray::from(vec![Some("a"), None, Some("ß")]))),
    ]);
    let table = "name STRING, id BIGINT, f DOUBLE, b BYTES, `DAY` DATE, t TIMESTAMP(3), missing ARRAY<INT>";
    let batch = decode(table, &file).expect("a good file");
    assert_eq!(batch.schema(), table.parse::<RowType>().expect("columns").to_arrow());
    assert_eq!(batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("ß")]);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), None, Some(3)]));
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().values(), &[0.5, 1.5, -2.0]);
    assert_eq!(batch.column(3).as_binary::<i32>(), &BinaryArray::from(vec![&b"ab"[..], b"", b"\xff"]));
    assert_eq!(batch.column(4).as_ref(), &Date32Array::from(vec![0, -1, 20_000]));
    let at = batch.column(5).as_primitive::<TimestampMillisecondType>();
    assert_eq!(at, &TimestampMillisecondArray::from(vec![Some(1_500), None, Some(-5_001)]));
    assert_eq!(batch.column(6).null_count(), 3);
}

#[test]
fn a_mismatch_is_an_error_of_the_file() {
    let file = file(vec![("a", Arc::new(Int64Array::from(vec![1]))), ("b", Arc::new(StringArray::from(vec!["x"])))]);
    assert_eq!(decode("a INT", &file).expect_err("narrowing"), "column `a`: the file has BIGINT, expected INT");
    assert_eq!(decode("b INT", &file).expect_err("text"), "column `b`: the file has STRING, expected INT");
    let errors = Format::named("orc").factory(&"r ROW<t ARRAY<TIME(3)>>".parse().expect("columns")).expect_err("TIME");
    assert!(errors.to_string().contains("column `r.t[]` of type TIME(3): ORC has no times of day"), "{errors}");
}

#[test]
fn every_codec_is_read() {
    let rows = 3_000;
    let batch = RecordBatch::try_from_iter([
        ("i", Arc::new(Int32Array::from_iter((0..rows).map(|i| (i % 7 > 0).then_some(i / 3)))) as ArrayRef),
        ("s", Arc::new(StringArray::from_iter((0..rows).map(|i| (i % 5 > 0).then(|| format!("text {}", i / 4)))))),
    ]);
    let batch = batch.expect("a batch");
    for compression in [
        None,
        Some(CompressionType::Zlib),
        Some(CompressionType::Snappy),
        Some(CompressionType::Lz4),
        Some(CompressionType::Zstd),
    ] {
        let file = file_with(&[batch.slice(0, 1_000), batch.slice(1_000, 2_000)], compression);
        let got = decode("i INT, s STRING", &file).unwrap_or_else(|e| panic!("{compression:?}: {e}"));
        assert_eq!(got.columns(), batch.columns(), "{compression:?}");
    }
}

#[test]
fn limits_are_kept_before_anything_is_read() {
    let batch = RecordBatch::try_from_iter([("i", Arc::new(Int8Array::from(vec![1; 5_000])) as ArrayRef)]);
    let file = file_with(&[batch.expect("a batch")], None);
    for (limits, name) in [
        (Limits::default().with_rows(4_999), "rows"),
        (Limits::default().with_decoded_bytes(4_999), "decoded_bytes"),
        (Limits::default().with_body_bytes(file.len() - 1), "body_bytes"),
    ] {
        for on_bad in [OnBadRow::Fail, OnBadRow::Salvage] {
            let mut decoder = decoder_of(&Format::named("orc").limits(limits), "i TINYINT");
            let error = match decoder.decode(&file, on_bad) {
                Err(error) => error,
                Ok(decoded) => decoded.bad[0].clone(),
            };
            assert!(matches!(error.kind(), DecodeErrorKind::Limit { name: n, .. } if *n == name), "{error}");
            assert_eq!(decoder.flush().num_rows(), 0);
        }
    }
    let long = "x".repeat(1 << 20);
    let batch = RecordBatch::try_from_iter([("s", Arc::new(StringArray::from(vec![long.as_str(); 100])) as ArrayRef)]);
    let file = file_with(&[batch.expect("a batch")], Some(CompressionType::Zstd));
    assert!(file.len() < 20_000, "{}", file.len());
    let error = decode("s STRING", &file).expect_err("a bomb");
    assert!(error.contains("decoded_bytes"), "{error}");
}

#[test]
fn what_is_no_orc_file_is_said() {
    let whole = file(vec![("a", Arc::new(Int32Array::from(vec![1, 2, 3])))]);
    for (body, part) in [
        (&br#"{"a": 1}"#[..], "'format' = 'json'"),
        (b"PAR1....PAR1", "'format' = 'parquet'"),
        (&whole[..whole.len() - 1], "cut"),
        (&whole[..10], "cut"),
        (&whole[1..], "no ORC file"),
    ] {
        let error = decode("a INT", body).expect_err("no ORC");
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(decode("a INT", b"").expect("no rows").num_rows(), 0);
    assert_eq!(decode("b INT", &whole).expect("three rows").num_rows(), 3);
}

#[test]
fn the_break_in_a_file_comes_after_its_good_stripes() {
    let batch = |from: i64| {
        let values = Int64Array::from_iter_values((from..from + 100).map(|i| i * i % 1_000_003));
        RecordBatch::try_from_iter([("i", Arc::new(values) as ArrayRef)]).expect("a batch")
    };
    let mut file = file_with(&[batch(0), batch(100), batch(200)], Some(CompressionType::Snappy));
    let whole = decode("i BIGINT", &file).expect("a good file");
    assert_eq!(whole.num_rows(), 300);
    // Where the second stripe begins, a file of the first stripe alone goes on with its footer.
    let first = file_with(&[batch(0)], Some(CompressionType::Snappy));
    let second = first.iter().zip(&file).take_while(|(a, b)| a == b).count();
    file[second..second + 16].fill(0xff);
    let mut decoder = decoder("i BIGINT");
    decoder.decode(&file, OnBadRow::Fail).expect_err("corrupt");
    assert_eq!(decoder.rows(), 0);
    let decoded = decoder.decode(&file, OnBadRow::Salvage).expect("salvage never fails");
    assert_eq!((decoded.rows, decoded.bad.len()), (100, 1));
    assert_eq!(decoded.bad[0].row(), Some(100), "{}", decoded.bad[0]);
    assert_eq!(decoder.flush().columns(), whole.slice(0, 100).columns());
}

#[test]
fn int32_of_a_date_is_no_number() {
    let file = file(vec![("d", Arc::new(Date32Array::from(vec![1])))]);
    assert_eq!(decode("d INT", &file).expect_err("a date"), "column `d`: the file has DATE, expected INT");
    let ints = file_with(
        &[RecordBatch::try_from_iter([("d", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]).expect("a batch")],
        None,
    );
    assert_eq!(decode("d INT", &ints).expect("an int").column(0).as_primitive::<Int32Type>().value(0), 1);
}

#[test]
fn files_of_another_writer_have_the_rows_that_they_should() {
    let mut json = decoder_of(&Format::json(), files::COLUMNS);
    json.decode(files::ROWS, OnBadRow::Fail).expect("good rows");
    let expected = json.flush();
    assert_eq!(expected.num_rows(), 40);
    for (name, file) in files::ORC {
        let got = decode(files::COLUMNS, file).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (i, column) in expected.columns().iter().enumerate() {
            assert_eq!(got.column(i), column, "{name}: {}", expected.schema().field(i));
        }
    }
}

/// Found by chance among random tables. Where this fails the library has been mended: [`file_if_written`] can go.
#[test]
fn the_librarys_writer_still_cannot_write_some_timestamps() {
    let rows = [
        "1980-01-20 10:00:00",
        "1980-01-20 10:00:00",
        "2089-03-21 11:27:45.3714571",
        "2016-09-21 11:48:10.014876922",
        "2022-01-21 17:12:31.511063358",
        "1982-03-27 17:36:38.303513475",
        "2067-03-27 12:42:06.873168587",
        "2040-08-20 18:07:22.014821193",
        "2087-02-21 19:31:26.48382935",
        "2090-09-24 12:04:30.346518775",
    ];
    let rows: Vec<_> = rows.iter().map(|row| serde_json::json!({ "t": row })).collect();
    let columns: RowType = "t TIMESTAMP(9)".parse().expect("columns");
    let mut json = Format::json().factory(&columns).expect("a good format").decoder();
    json.decode(serde_json::Value::from(rows).to_string().as_bytes(), OnBadRow::Fail).expect("good rows");
    let batch = json.flush();
    assert!(file_if_written(&batch.slice(0, 2)).is_some());
    assert!(file_if_written(&batch).is_none());
}

/// What the library can write: no decimals, no zones and nothing nested. Those are in the files of another writer.
const LEAVES: &[&str] = &[
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "STRING",
    "BYTES",
    "DATE",
    "TIMESTAMP(3)",
    "TIMESTAMP(9)",
];

proptest! {
    // What the writer cannot write is rare, and must stay so.
    #![proptest_config(ProptestConfig { cases: 64, max_global_rejects: 16, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read((columns, rows) in files::tables::tables(false, LEAVES)) {
        let mut json = Format::json().factory(&columns).expect("a good format").decoder();
        json.decode(rows.to_string().as_bytes(), OnBadRow::Fail).expect("good rows");
        let batch = json.flush();
        let Some(file) = file_if_written(&batch) else {
            return Err(TestCaseError::reject("the library's writer cannot write it"));
        };
        let mut decoder = Format::named("orc").factory(&columns).expect("a good format").decoder();
        // Two messages with one flush are one batch.
        for _ in 0..2 {
            let decoded = decoder.decode(&file, OnBadRow::Fail);
            prop_assert_eq!(decoded.map(|d| d.rows), Ok(batch.num_rows()));
        }
        let got = decoder.flush();
        prop_assert_eq!(got.schema(), batch.schema());
        prop_assert_eq!(got.slice(0, batch.num_rows()), batch.clone());
        prop_assert_eq!(got.slice(batch.num_rows(), batch.num_rows()), batch);
    }

    #[test]
    fn whatever_the_bytes_it_gives_rows_or_an_error(
        file in 0usize..2,
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8),
    ) {
        let file = files::changed(files::ORC[file].1, &changes);
        let mut decoder = decoder(files::COLUMNS);
        match decoder.decode(&file, OnBadRow::Fail) {
            Ok(decoded) => prop_assert_eq!(decoder.flush().num_rows(), decoded.rows),
            Err(_) => prop_assert_eq!(decoder.flush().num_rows(), 0),
        }
        let decoded = decoder.decode(&file, OnBadRow::Salvage).expect("salvage never fails");
        prop_assert_eq!(decoder.flush().num_rows(), decoded.rows);
    }
}
