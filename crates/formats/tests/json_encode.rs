//! What the `json` format writes: one text a row, as Flink's serializer prints it.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryViewArray, Decimal256Array, DictionaryArray, Float32Array, Float64Array, Int32Array, NullArray,
    RecordBatch, StringViewArray, Time64NanosecondArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_buffer::i256;
use headwater_formats::json::{EncodeError, JsonEncoder, JsonOptions};
use headwater_formats::{Format, OnBadRow, RowType};

fn options(given: &[(&str, &str)]) -> JsonOptions {
    let given = given.iter().map(|(k, v)| (format!("json.{k}"), (*v).to_owned())).collect();
    JsonOptions::read(&given).expect("good options")
}

fn lines(batch: &RecordBatch, given: &[(&str, &str)]) -> String {
    let encoder = JsonEncoder::new(batch.schema_ref(), options(given)).expect("types that JSON has");
    let mut out = b"before ".to_vec();
    encoder.encode_lines(batch, &mut out).expect("the schema of the encoder");
    String::from_utf8(out).expect("UTF-8").strip_prefix("before ").expect("what was there stays").to_owned()
}

/// Decodes a body and writes it again.
fn again(columns: &str, body: &str, given: &[(&str, &str)]) -> String {
    let columns: RowType = columns.parse().expect("columns");
    let reads = |key: &str| !key.starts_with("encode") && !key.starts_with("map");
    let format = given.iter().filter(|(k, _)| reads(k)).fold(Format::json(), |f, (k, v)| f.option(k, *v));
    let mut decoder = format.factory(&columns).expect("a good format").decoder();
    decoder.decode(body.as_bytes(), OnBadRow::Fail).unwrap_or_else(|e| panic!("{body}: {e}"));
    lines(&decoder.flush(), given).trim_end().to_owned()
}

#[test]
fn every_type() {
    for (columns, body) in [
        (
            "a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT",
            r#"{"a":true,"b":-128,"c":32767,"d":0,"e":-9223372036854775808}"#,
        ),
        ("a FLOAT, b DOUBLE, c DOUBLE", r#"{"a":0.1,"b":1.0E-10,"c":-0.0}"#),
        ("a DOUBLE, b FLOAT", r#"{"a":"NaN","b":"-Infinity"}"#),
        ("a DECIMAL(10, 2), b DECIMAL(38, 18)", r#"{"a":100.00,"b":1.000000000000000001}"#),
        ("a STRING, b CHAR(2)", r#"{"a":"é\"\\\n\u001F🎉/","b":null}"#),
        ("a BYTES, b BYTES", r#"{"a":"aGVsbG8=","b":""}"#),
        ("a DATE, b TIME(3)", r#"{"a":"+10000-01-01","b":"12:34:56.7"}"#),
        ("a TIMESTAMP(3), b TIMESTAMP_LTZ(9)", r#"{"a":"2024-03-10 12:34:00","b":"2024-03-10 12:34:56.123456789Z"}"#),
        ("a ARRAY<INT>, b ARRAY<ROW<x INT, y STRING>>", r#"{"a":[],"b":[{"x":1,"y":null},null]}"#),
        ("a MAP<STRING, ARRAY<INT>>, b MULTISET<STRING>", r#"{"a":{"k":[1,2],"l":null},"b":{"x":2}}"#),
        ("`a\"b` ROW<x ROW<y INT>>", r#"{"a\"b":{"x":{"y":1}}}"#),
    ] {
        assert_eq!(again(columns, body, &[]), body, "{columns}");
    }
}

#[test]
fn timestamps_in_every_standard() {
    for (standard, body) in [
        ("SQL", r#"{"t":"2024-03-10 12:34:56.5","l":"2024-03-10 12:34:56.5Z"}"#),
        ("ISO-8601", r#"{"t":"2024-03-10T12:34:56.5","l":"2024-03-10T12:34:56.5Z"}"#),
        ("ISO-8601-WITH-OFFSET", r#"{"t":"2024-03-10T12:34:56.5Z","l":"2024-03-10T12:34:56.5Z"}"#),
    ] {
        let given = [("timestamp-format.standard", standard)];
        assert_eq!(again("t TIMESTAMP(3), l TIMESTAMP_LTZ(3)", body, &given), body);
    }
    let given = [("timestamp-format.pattern", "yyyy/MM/dd HH:mm:ss.SSS")];
    let body = r#"{"t":"2024/03/10 12:34:56.500"}"#;
    assert_eq!(again("t TIMESTAMP(3)", body, &given), body);
}

#[test]
fn options_of_writing() {
    let tiny = r#"{"d":0.0000001}"#;
    assert_eq!(again("d DECIMAL(20, 10)", tiny, &[]), r#"{"d":1.000E-7}"#);
    assert_eq!(
        again("d DECIMAL(20, 10)", tiny, &[("encode.decimal-as-plain-number", "true")]),
        r#"{"d":0.0000001000}"#
    );
    let body = r#"{"a":null,"b":1,"r":{"x":null,"y":2},"m":{"k":null},"l":[null]}"#;
    let columns = "a INT, b INT, r ROW<x INT, y INT>, m MAP<STRING, INT>, l ARRAY<INT>";
    assert_eq!(again(columns, body, &[]), body);
    let without = r#"{"b":1,"r":{"y":2},"m":{"k":null},"l":[null]}"#;
    assert_eq!(again(columns, body, &[("encode.ignore-null-fields", "true")]), without);
    assert_eq!(again("a INT", "{}", &[("encode.ignore-null-fields", "true")]), "{}");
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).expect("a batch")
}

#[test]
fn arrow_types_that_decoders_do_not_give() {
    let batch = batch(vec![
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("s", Arc::new(StringViewArray::from(vec!["a view longer than twelve bytes", "x"]))),
        ("b", Arc::new(BinaryViewArray::from(vec![&b"\xff"[..], b""]))),
        (
            "d",
            Arc::new(
                Decimal256Array::from(vec![i256::from_i128(-5); 2]).with_precision_and_scale(50, 1).expect("fits"),
            ),
        ),
        ("t", Arc::new(TimestampMicrosecondArray::from(vec![-1, 0]).with_timezone("Asia/Shanghai"))),
        ("c", Arc::new(Time64NanosecondArray::from(vec![1, 0]))),
        ("f", Arc::new(Float32Array::from(vec![f32::INFINITY, 16_777_216.0]))),
        ("g", Arc::new(Float64Array::from(vec![1e21, 123.456]))),
        ("n", Arc::new(NullArray::new(2))),
    ]);
    let expected = concat!(
        r#"{"u":18446744073709551615,"s":"a view longer than twelve bytes","b":"/w==","d":-0.5,"#,
        r#""t":"1969-12-31 23:59:59.999999Z","c":"00:00:00.000000001","f":"Infinity","g":1.0E21,"n":null}"#,
        "\n",
        r#"{"u":0,"s":"x","b":"","d":-0.5,"t":"1970-01-01 00:00:00Z","c":"00:00:00","f":1.6777216E7,"g":123.456,"n":null}"#,
        "\n"
    );
    assert_eq!(lines(&batch, &[]), expected);
    // A slice of a batch is written as what it is.
    assert_eq!(lines(&batch.slice(1, 1), &[]), expected.split_once('\n').expect("two lines").1);
}

#[test]
fn what_cannot_be_written_is_refused_at_once() {
    let dictionary: DictionaryArray<Int32Type> = vec!["a"].into_iter().collect();
    let batch = batch(vec![("x", Arc::new(dictionary)), ("i", Arc::new(Int32Array::from(vec![1])))]);
    let errors = JsonEncoder::new(batch.schema_ref(), JsonOptions::default()).expect_err("a dictionary");
    assert!(errors.to_string().contains("column `x`"), "{errors}");
    let other = JsonEncoder::new(&RowType::default().to_arrow(), JsonOptions::default()).expect("no columns");
    assert_eq!(other.rows(&batch).err(), Some(EncodeError::OtherSchema { expected: 0 }));
}
