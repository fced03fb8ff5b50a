//! What samples suggest, and that the samples decode with it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn found(samples: &[&str], hints: Hints<'_>) -> Result<Inferred, String> {
    let samples: Vec<&[u8]> = samples.iter().map(|sample| sample.as_bytes()).collect();
    infer(&samples, hints).map_err(|error| error.to_string())
}

/// The format, columns and options, in one line.
fn line(table: &Inferred) -> String {
    let options: Vec<String> = table.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let encoding = if table.encoding == MessageEncoding::Base64 { ", base64" } else { "" };
    format!("{}: {} [{}]{encoding}", table.format, table.columns, options.join(" "))
}

#[test]
fn json_columns_hold_every_sample() {
    let cases: &[(&[&str], &str)] = &[
        (
            &[r#"{"id": 1, "b": true, "x": 1, "n": null, "s": "a"}"#, r#"{"id": 2, "x": 1.5, "late": "b"}"#],
            "json: `id` BIGINT, `b` BOOLEAN, `x` DOUBLE, `n` STRING, `s` STRING, `late` STRING []",
        ),
        (&[r#"[{"a": 1}, {"a": "x"}]"#, "[]", ""], "json: `a` STRING []"),
        (&[r#"{"big": 18446744073709551615}"#, r#"{"big": -1}"#], "json: `big` DECIMAL(20, 0) []"),
        (&[r#"{"huge": 123456789012345678901234567890}"#], "json: `huge` DOUBLE []"),
        (
            &[r#"{"o": {"a": 1, "l": [{"x": null}, {"x": 2.5}]}, "e": [], "m": {}}"#],
            "json: `o` ROW<`a` BIGINT, `l` ARRAY<ROW<`x` DOUBLE>>>, `e` ARRAY<STRING>, `m` MAP<STRING, STRING> []",
        ),
        (&[r#"{"m": {"1": 5, "2": 6}, "r": {"a": 5}}"#], "json: `m` MAP<STRING, BIGINT>, `r` ROW<`a` BIGINT> []"),
        (
            &[r#"{"d": "2024-02-29", "t": "2024-02-29 12:34:56.7", "z": "2024-02-29 12:34:56Z"}"#],
            "json: `d` DATE, `t` TIMESTAMP(3), `z` TIMESTAMP_LTZ(3) []",
        ),
        (
            &[r#"{"t": "2024-02-29T12:34:56.123456", "z": "2024-02-29T12:34:56Z", "s": "2024-02-29 12:34:56"}"#],
            "json: `t` TIMESTAMP(9), `z` TIMESTAMP_LTZ(3), `s` STRING [json.timestamp-format.standard=ISO-8601]",
        ),
        // What looks like a date and is none, a time past what nanoseconds reach, a mixture, an offset.
        (
            &[
                r#"{"d": "2023-02-29", "t": "9999-01-01 00:00:00.1234", "m": "2024-02-29", "o": "2024-02-29T12:34:56+08:00"}"#,
                r#"{"m": "soon"}"#,
            ],
            "json: `d` STRING, `t` STRING, `m` STRING, `o` STRING []",
        ),
        (
            &[r#"{"a": {"b": "1600-00-00 00:00:00"}, "a.b": "2026-11-20 08:00:00"}"#],
            "json: `a` ROW<`b` STRING>, `a.b` STRING []",
        ),
        (
            &[r#"{"user`s": 1, "sp ace": 2, "a.b": "2023-02-29", "": 3}"#],
            "json: `user``s` BIGINT, `sp ace` BIGINT, `a.b` STRING []",
        ),
    ];
    for (samples, expected) in cases {
        let table = found(samples, Hints::default()).unwrap();
        assert_eq!(line(&table), *expected, "{samples:?}");
        assert_eq!(table.columns.to_string().parse::<RowType>().unwrap(), table.columns, "{samples:?}");
    }
    let encoded = STANDARD.encode(r#"{"id": 1}"#);
    assert_eq!(line(&found(&[&encoded], Hints::default()).unwrap()), "json: `id` BIGINT [], base64");
    assert_eq!(line(&found(&[&encoded, r#"{"id": 1}"#], Hints::default()).unwrap()), "json: `id` BIGINT []");
}

#[test]
fn what_is_decided_is_said() {
    let table = found(&[r#"{"n": null, "d": "2023-02-29", "x": [1, "a"]}"#], Hints::default()).unwrap();
    assert_eq!(
        table.notes,
        [
            "column `n` is STRING: the samples have only null there, or nothing in the list",
            "column `x[]` is STRING: the samples have values of several kinds there",
            "column `d` is STRING: not every sample is DATE",
        ]
    );
}

#[test]
fn what_cannot_be_inferred_is_refused_with_a_reason() {
    let avro = b"\xC3\x01\x00\x01\x02\x03\x04\x05\x06\x07\x00";
    assert!(infer(&[avro], Hints::default()).unwrap_err().to_string().contains("avro.schema"));
    for (samples, format, part) in [
        (&[""][..], None, "no sample"),
        (&[], None, "no sample"),
        (&["{}"], None, "no sample"),
        (&["{\"a\": 1}", "{\"a\": 1"], None, "sample 2: line 1 column 7"),
        (&["[{\"a\": 1}, 2]"], None, "sample 1: JSON that is neither"),
        (&["5"], Some("json"), "sample 1: JSON that is neither"),
        (&["x"], Some("jsom"), "did you mean 'json'"),
    ] {
        let hints = Hints { format, header: false };
        let error = found(samples, hints).unwrap_err();
        assert!(error.contains(part), "{samples:?}: {error}");
    }
}

#[test]
fn other_bodies_are_one_value() {
    assert_eq!(line(&found(&["hello"], Hints::default()).unwrap()), "raw: `body` STRING []");
    assert_eq!(line(&infer(&[&b"\xff\xfe"[..]], Hints::default()).unwrap()), "raw: `body` BYTES []");
    let registry = infer(&[&b"\x00\x00\x00\x00\x07\x02\x04"[..]], Hints::default()).unwrap();
    assert!(registry.notes.iter().any(|note| note.contains("confluent")), "{registry:?}");
    assert_eq!(line(&found(&["{\"a\": 1}"], Hints::default().with_format("raw")).unwrap()), "raw: `body` STRING []");
}

#[cfg(feature = "csv")]
#[test]
fn csv_has_a_delimiter_names_and_types() {
    let plain = Hints::default();
    for (samples, hints, expected) in [
        (
            &["1,1.5,true,2024-02-29,x", "2,2,false,2024-03-01,\"a,b\""][..],
            plain,
            "csv: `f0` BIGINT, `f1` DOUBLE, `f2` BOOLEAN, `f3` DATE, `f4` STRING []",
        ),
        (&["1;a", "2;b"], plain, "csv: `f0` BIGINT, `f1` STRING [csv.field-delimiter=;]"),
        (&["1\ta\n2\tb\n"], plain, "csv: `f0` BIGINT, `f1` STRING [csv.field-delimiter=\\t csv.framing=lines]"),
        (
            &["id,at,\n1,2024-02-29 12:34:56,007\n,2024-02-29 12:34:57,008"],
            plain.with_header(),
            "csv: `id` BIGINT, `at` TIMESTAMP(3), `f2` STRING [csv.framing=lines csv.null-literal=]",
        ),
        (&["id,id", "1,2"], plain.with_header(), "csv: `id` BIGINT, `f1` BIGINT []"),
        (&["7", "8"], plain.with_format("csv"), "csv: `f0` BIGINT []"),
    ] {
        assert_eq!(line(&found(samples, hints).unwrap()), expected, "{samples:?}");
    }
    assert!(found(&["a,b"], plain.with_header()).unwrap_err().contains("no sample"));
}

#[cfg(feature = "avro")]
#[test]
fn a_container_file_says_what_it_holds() {
    let schema = r#"{"type": "record", "name": "r", "fields": [
        {"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "micros", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "either", "type": ["int", "string"]},
        {"name": "in", "type": {"type": "record", "name": "s", "fields": [{"name": "x", "type": "float"}]}},
        {"name": "counts", "type": {"type": "map", "values": "int"}}]}"#;
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let mut writer = apache_avro::Writer::new(&schema, Vec::new()).unwrap();
    let mut record = apache_avro::types::Record::new(&schema).unwrap();
    use apache_avro::types::Value as V;
    record.put("id", 7_i64);
    record.put("name", V::Union(1, Box::new(V::String("n".into()))));
    record.put("at", V::TimestampMillis(1));
    record.put("micros", V::Union(0, Box::new(V::Null)));
    record.put("day", V::Date(1));
    record.put("price", V::Decimal(apache_avro::Decimal::from(vec![5_u8])));
    record.put("tags", V::Array(vec![V::String("t".into())]));
    record.put("either", V::Union(0, Box::new(V::Int(1))));
    record.put("in", V::Record(vec![("x".into(), V::Float(1.0))]));
    record.put("counts", V::Map([("k".to_owned(), V::Int(1))].into_iter().collect()));
    writer.append_value(record).unwrap();
    let file = writer.into_inner().unwrap();
    let table = infer(&[&file], Hints::default()).unwrap();
    assert_eq!(
        line(&table),
        "avro: `id` BIGINT NOT NULL, `name` STRING, `at` TIMESTAMP(3) NOT NULL, `micros` TIMESTAMP(6), \
         `day` DATE NOT NULL, `price` DECIMAL(38, 2) NOT NULL, `tags` ARRAY<STRING NOT NULL> NOT NULL, \
         `in` ROW<`x` FLOAT NOT NULL> NOT NULL, `counts` MAP<STRING NOT NULL, INT NOT NULL> NOT NULL \
         [avro.timestamp_mapping.legacy=false]"
    );
    assert_eq!(table.notes, ["the field `either` has no column: it is a union of several types"]);
    assert_eq!(
        line(&infer(&[STANDARD.encode(&file).as_bytes()], Hints::default()).unwrap()),
        line(&table) + ", base64"
    );
}

#[cfg(all(feature = "parquet", feature = "orc"))]
#[test]
fn files_of_columns_say_what_they_hold() {
    let parquet = {
        use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array};
        let id: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![7]));
        let name: ArrayRef = std::sync::Arc::new(StringArray::from(vec![Some("n")]));
        let count: ArrayRef = std::sync::Arc::new(UInt32Array::from(vec![4_000_000_000]));
        let columns = [("id", id, false), ("name", name, true), ("count", count, true)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    let table = infer(&[&parquet], Hints::default()).unwrap();
    assert_eq!(line(&table), "parquet: `id` BIGINT NOT NULL, `name` STRING, `count` BIGINT []");
    let cut = infer(&[&parquet[..20]], Hints::default()).unwrap_err().to_string();
    assert!(cut.starts_with("sample 1: "), "{cut}");
    // Every file of the tests of the formats that can be read at all.
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files");
    let mut seen = 0;
    for file in std::fs::read_dir(files).unwrap().map(|file| file.unwrap().path()) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        if let Ok(table) = infer(&[&bytes], Hints::default())
            && matches!(table.format, "orc" | "parquet")
        {
            assert!(!table.columns.fields().is_empty(), "{}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "{files} holds no file that can be inferred");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
        "(19|20|99)[0-9]{2}-[01][0-9]-[0-3][0-9]".prop_map(Value::from),
        "(16|20|99)[0-9]{2}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?Z?"
            .prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::from),
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop_oneof!["[a-d]", "[0-9]{1,2}", "[aA][.\\[\\]{}` ]?[b]?", ".{0,3}"];
    prop::collection::vec((name, value), 0..6)
        .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into())
}

proptest! {
    /// The table can be written and read back, and every sample decodes with it.
    #[test]
    fn json_samples_decode_with_the_table(rows in prop::collection::vec(object(value()), 1..5), list in any::<bool>()) {
        let bodies: Vec<String> = if list { vec![json!(rows).to_string()] } else { rows.iter().map(Value::to_string).collect() };
        let samples: Vec<&[u8]> = bodies.iter().map(|body| body.as_bytes()).collect();
        let empty = rows.iter().all(|row| row.as_object().is_none_or(|row| row.keys().all(String::is_empty)));
        match infer(&samples, Hints::default()) {
            Err(error) => prop_assert!(empty, "{error} for {bodies:?}"),
            Ok(table) => {
                let columns: RowType = table.columns.to_string().parse().unwrap();
                let factory = Format::named(table.format).options(table.options.clone()).factory(&columns).unwrap();
                let mut decoder = factory.decoder();
                for sample in &samples {
                    decoder.decode(sample, OnBadRow::Fail).unwrap();
                }
                prop_assert_eq!(decoder.rows(), rows.len());
                let names: BTreeSet<_> = columns.fields().iter().map(|field| field.name.as_str()).collect();
                for row in rows.iter().filter_map(Value::as_object) {
                    prop_assert!(row.keys().all(|key| key.is_empty() || names.contains(key.as_str())));
                }
            }
        }
    }

    /// No bytes make it panic, and what it finds decodes.
    #[test]
    fn any_bytes_are_a_table_or_an_error(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4)) {
        let samples: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let _ = infer(&samples, Hints::default());
    }

    #[test]
    fn lines_of_text_are_a_table_or_an_error(bodies in prop::collection::vec("[a-c0-9,;\"\n.-]{0,12}", 1..4), header in any::<bool>()) {
        let samples: Vec<&[u8]> = bodies.iter().map(|body| body.as_bytes()).collect();
        let _ = infer(&samples, Hints { format: None, header });
    }
}
