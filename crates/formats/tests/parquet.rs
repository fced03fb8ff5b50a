//! What the `parquet` decoder promises: files of Arrow's writer come back, types widen without loss, and whatever a
//! file says of itself, it gives rows or an error.

#[allow(dead_code, reason = "not every test needs all of it")]
mod files;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Decimal128Array, Float32Array, Int8Array, Int32Array, Int64Array, LargeStringArray,
    ListArray, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt32Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use headwater_formats::{DecodeErrorKind, Decoder, Format, Limits, OnBadRow, RowType};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;

fn decoder_of(format: &Format, columns: &str) -> Box<dyn Decoder> {
    let columns: RowType = columns.parse().expect("columns");
    format.factory(&columns).expect("a good format").decoder()
}

fn decoder(columns: &str) -> Box<dyn Decoder> {
    decoder_of(&Format::named("parquet"), columns)
}

fn file_with(batches: &[RecordBatch], properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).expect("a writer");
    for batch in batches {
        writer.write(batch).expect("written");
    }
    writer.into_inner().expect("a file")
}

fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    file_with(&[RecordBatch::try_from_iter(columns).expect("a batch")], WriterProperties::new())
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
        ("unused", Arc::new(LargeStringArray::from(vec!["x", "y", "z"]))),
        ("f", Arc::new(Float32Array::from(vec![0.5, 1.5, -2.0]))),
        ("u", Arc::new(UInt32Array::from(vec![u32::MAX, 0, 7]))),
        ("d", Arc::new(Decimal128Array::from(vec![125, -5, 0]).with_precision_and_scale(5, 2).expect("a decimal"))),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![1_500_999, -1, 0]))),
        ("name", Arc::new(StringArray::from(vec![Some("a"), None, Some("ß")]))),
    ]);
    let table = "name STRING, id BIGINT, f DOUBLE, u BIGINT, d DECIMAL(20, 4), t TIMESTAMP(3), missing ARRAY<INT>";
    let batch = decode(table, &file).expect("a good file");
    assert_eq!(batch.schema(), table.parse::<RowType>().expect("columns").to_arrow());
    assert_eq!(batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("ß")]);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(1), None, Some(3)]));
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().values(), &[0.5, 1.5, -2.0]);
    assert_eq!(batch.column(3).as_primitive::<Int64Type>().values(), &[i64::from(u32::MAX), 0, 7]);
    assert_eq!(batch.column(4).as_primitive::<Decimal128Type>().values(), &[12_500, -500, 0]);
    assert_eq!(batch.column(5).as_primitive::<TimestampMillisecondType>().values(), &[1_500, -1, 0]);
    assert_eq!(batch.column(6).null_count(), 3);
}

#[test]
fn a_mismatch_is_an_error_of_the_file() {
    let file = file(vec![("a", Arc::new(Int64Array::from(vec![1]))), ("b", Arc::new(StringArray::from(vec!["x"])))]);
    assert_eq!(decode("a INT", &file).expect_err("narrowing"), "column `a`: the file has BIGINT, expected INT");
    assert_eq!(decode("b INT", &file).expect_err("text"), "column `b`: the file has STRING, expected INT");
    let mut decoder = decoder("a INT");
    let decoded = decoder.decode(&file, OnBadRow::Salvage).expect("salvage never fails");
    assert_eq!((decoded.rows, decoded.bad.len(), decoded.bad[0].row()), (0, 1, None));
}

#[test]
fn bad_values_are_errors_of_their_rows() {
    let batch = RecordBatch::try_from_iter([
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX, 1, i64::MIN])) as ArrayRef),
        ("b", Arc::new(BinaryArray::from(vec![&b"ok"[..], b"\xff", b"\xff", b"fine"]))),
    ]);
    let file = file_with(&[batch.expect("a batch")], WriterProperties::new());
    let mut decoder = decoder("b STRING, t TIMESTAMP(9)");
    let error = decoder.decode(&file, OnBadRow::Fail).expect_err("bad rows");
    assert_eq!(error.to_string(), "row 1, column `b`: bytes that are not UTF-8, expected STRING");
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
    let decoded = decoder.decode(&file, OnBadRow::Salvage).expect("salvage never fails");
    let bad: Vec<String> = decoded.bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        bad,
        [
            "row 1, column `b`: bytes that are not UTF-8, expected STRING",
            "row 2, column `b`: bytes that are not UTF-8, expected STRING",
            "row 3, column `t`: a timestamp out of the range of 64 bits, expected TIMESTAMP(9)",
        ]
    );
    assert_eq!(decoder.flush().column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("ok")]);
}

#[test]
fn every_codec_and_encoding_is_read() {
    let rows = 3_000;
    let batch = RecordBatch::try_from_iter([
        ("i", Arc::new(Int32Array::from_iter((0..rows).map(|i| (i % 7 > 0).then_some(i / 3)))) as ArrayRef),
        ("s", Arc::new(StringArray::from_iter((0..rows).map(|i| (i % 5 > 0).then(|| format!("text {}", i / 4)))))),
    ]);
    let batch = batch.expect("a batch");
    let expected = {
        let plain = file_with(std::slice::from_ref(&batch), WriterProperties::new());
        decode("i INT, s STRING", &plain).expect("a good file")
    };
    assert_eq!(expected.columns(), batch.columns());
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4,
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
    ] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for dictionary in [true, false] {
                for encoding in [None, Some(Encoding::DELTA_BYTE_ARRAY), Some(Encoding::DELTA_LENGTH_BYTE_ARRAY)] {
                    let properties = WriterProperties::builder()
                        .set_compression(compression)
                        .set_writer_version(version)
                        .set_dictionary_enabled(dictionary)
                        .set_max_row_group_row_count(Some(1_000))
                        .set_data_page_row_count_limit(300);
                    let properties = match encoding {
                        Some(encoding) => properties.set_column_encoding("s".into(), encoding),
                        None => properties,
                    };
                    let file = file_with(std::slice::from_ref(&batch), properties.build());
                    let what = format!("{compression:?} {version:?} {dictionary} {encoding:?}");
                    let got = decode("i INT, s STRING", &file).unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert_eq!(got, expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn limits_are_kept_before_anything_is_read() {
    let batch = RecordBatch::try_from_iter([("i", Arc::new(Int8Array::from(vec![1; 5_000])) as ArrayRef)]);
    let file = file_with(&[batch.expect("a batch")], WriterProperties::new());
    for (limits, name) in [
        (Limits::default().with_rows(4_999), "rows"),
        (Limits::default().with_decoded_bytes(4_999), "decoded_bytes"),
        (Limits::default().with_body_bytes(file.len() - 1), "body_bytes"),
    ] {
        for on_bad in [OnBadRow::Fail, OnBadRow::Salvage] {
            let mut decoder = decoder_of(&Format::named("parquet").limits(limits), "i TINYINT");
            let error = match decoder.decode(&file, on_bad) {
                Err(error) => error,
                Ok(decoded) => decoded.bad[0].clone(),
            };
            assert!(matches!(error.kind(), DecodeErrorKind::Limit { name: n, .. } if *n == name), "{error}");
            assert_eq!(decoder.flush().num_rows(), 0);
        }
    }
    // One entry of a megabyte in the dictionary, ten thousand rows that refer to it: 10 GB of text in a small file.
    let long = "x".repeat(1 << 20);
    let batch = RecordBatch::try_from_iter([("s", Arc::new(StringArray::from(vec![long.as_str(); 100])) as ArrayRef)]);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_dictionary_page_size_limit(4 << 20);
    let file = file_with(&[batch.expect("a batch")], properties.build());
    assert!(file.len() < 10_000, "{}", file.len());
    let error = decode("s STRING", &file).expect_err("a dictionary bomb");
    assert!(error.contains("decoded_bytes"), "{error}");
}

#[test]
fn a_list_of_a_million_nulls_in_a_few_bytes_is_a_limit() {
    let item = Arc::new(Field::new_list_field(DataType::Int32, true));
    let nulls = Arc::new(Int32Array::new_null(1_000_000));
    let list = ListArray::new(item, OffsetBuffer::from_lengths([1_000_000]), nulls, None);
    let file = file(vec![("l", Arc::new(list))]);
    assert!(file.len() < 2_000, "{}", file.len());
    assert_eq!(decode("l ARRAY<INT>", &file).expect("within the default").num_rows(), 1);
    let format = Format::named("parquet").limits(Limits::default().with_decoded_bytes(1 << 20));
    let error = decoder_of(&format, "l ARRAY<INT>").decode(&file, OnBadRow::Fail).expect_err("too many");
    assert!(matches!(error.kind(), DecodeErrorKind::Limit { name: "decoded_bytes", .. }), "{error}");
}

#[test]
fn maps_are_multisets_and_their_parts_widen() {
    let mut json = decoder_of(&Format::json(), "m MAP<STRING, INT>");
    json.decode(br#"[{"m": {"a": 1, "b": 2}}, {"m": null}, {"m": {}}]"#, OnBadRow::Fail).expect("good rows");
    let maps = json.flush();
    let file = file_with(std::slice::from_ref(&maps), WriterProperties::new());
    assert_eq!(decode("m MULTISET<STRING>", &file).expect("counts").columns(), maps.columns());
    let wide = decode("M MAP<BYTES, DECIMAL(12, 2)>", &file).expect("wider");
    let counts = wide.column(0).as_map().entries().column(1).as_primitive::<Decimal128Type>();
    assert_eq!(counts.values(), &[100, 200]);
    assert_eq!(
        decode("m MAP<STRING, SMALLINT>", &file).expect_err("narrower"),
        "column `m{}`: the file has INT, expected SMALLINT"
    );
}

#[test]
fn what_is_no_parquet_file_is_said() {
    let whole = file(vec![("a", Arc::new(Int32Array::from(vec![1, 2, 3])))]);
    for (body, part) in [
        (&br#"{"a": 1}"#[..], "'format' = 'json'"),
        (b"a,b\n1,2", "'format' = 'csv'"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (&whole[..whole.len() - 1], "cut"),
        (&whole[..10], "cut"),
        (&whole[1..], "no Parquet file"),
        (b"PAR1\x00\x00\x00\x00\x00\x00\x00\x00PARE", "encrypted"),
    ] {
        let error = decode("a INT", body).expect_err("no Parquet");
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(decode("a INT", b"").expect("no rows").num_rows(), 0);
    assert_eq!(decode("b INT", &whole).expect("three rows").num_rows(), 3);
}

#[test]
fn the_break_in_a_file_comes_after_its_good_row_groups() {
    let batch = |from: i32| {
        RecordBatch::try_from_iter([("i", Arc::new(Int32Array::from_iter_values(from..from + 100)) as ArrayRef)])
            .expect("a batch")
    };
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_max_row_group_row_count(Some(100));
    let mut file = file_with(&[batch(0), batch(100), batch(200)], properties.build());
    // The first byte of the second row group is in the header of its page.
    let second = file.windows(4).position(|w| w == 100i32.to_le_bytes()).expect("the value 100");
    let header = (0..second).rev().find(|at| file[*at] == 0x15 && file[at + 1] == 0).expect("a page header");
    file[header] = 0xff;
    let mut decoder = decoder("i INT");
    decoder.decode(&file, OnBadRow::Fail).expect_err("corrupt");
    assert_eq!(decoder.rows(), 0);
    let decoded = decoder.decode(&file, OnBadRow::Salvage).expect("salvage never fails");
    assert_eq!((decoded.rows, decoded.bad.len()), (100, 1));
    assert_eq!(decoded.bad[0].row(), Some(100));
    assert_eq!(decoder.flush().column(0).as_primitive::<Int32Type>().value(99), 99);
}

#[test]
fn timestamps_keep_what_the_column_holds() {
    let file = file(vec![("t", Arc::new(TimestampNanosecondArray::from(vec![Some(1_234_567_891), Some(-1), None])))]);
    let batch = decode("t TIMESTAMP(3)", &file).expect("cut");
    let cut = batch.column(0).as_primitive::<TimestampMillisecondType>();
    assert_eq!(cut.iter().collect::<Vec<_>>(), [Some(1_234), Some(-1), None]);
    let whole = decode("t TIMESTAMP_LTZ(9)", &file).expect("whole");
    assert_eq!(format!("{:?}", whole.column(0).data_type()), "Timestamp(Nanosecond, Some(\"+00:00\"))");
}

#[test]
fn files_of_another_writer_have_the_rows_that_they_should() {
    let mut json = decoder_of(&Format::json(), files::COLUMNS);
    json.decode(files::ROWS, OnBadRow::Fail).expect("good rows");
    let expected = json.flush();
    assert_eq!(expected.num_rows(), 40);
    for (name, file) in files::PARQUET {
        let got = decode(files::COLUMNS, file).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (i, column) in expected.columns().iter().enumerate() {
            assert_eq!(got.column(i), column, "{name}: {}", expected.schema().field(i));
        }
    }
}

/// Types of columns without parts.
const LEAVES: &[&str] = &[
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(5, 2)",
    "DECIMAL(18, 18)",
    "DECIMAL(38, 10)",
    "STRING",
    "BYTES",
    "DATE",
    "TIME(3)",
    "TIMESTAMP(0)",
    "TIMESTAMP(3)",
    "TIMESTAMP(9)",
    "TIMESTAMP_LTZ(3)",
    "TIMESTAMP_LTZ(6)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read((columns, rows) in files::tables::tables(true, LEAVES)) {
        let mut json = Format::json().factory(&columns).expect("a good format").decoder();
        json.decode(rows.to_string().as_bytes(), OnBadRow::Fail).expect("good rows");
        let batch = json.flush();
        let file = file_with(std::slice::from_ref(&batch), WriterProperties::new());
        let mut decoder = Format::named("parquet").factory(&columns).expect("a good format").decoder();
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
        let file = files::changed(files::PARQUET[file].1, &changes);
        let mut decoder = decoder(files::COLUMNS);
        match decoder.decode(&file, OnBadRow::Fail) {
            Ok(decoded) => prop_assert_eq!(decoder.flush().num_rows(), decoded.rows),
            Err(_) => prop_assert_eq!(decoder.flush().num_rows(), 0),
        }
        let decoded = decoder.decode(&file, OnBadRow::Salvage).expect("salvage never fails");
        prop_assert_eq!(decoder.flush().num_rows(), decoded.rows);
    }
}
