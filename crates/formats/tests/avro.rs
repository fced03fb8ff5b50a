//! The `avro` format beyond the corpus: given schemas, framings, container files, limits, and what errors say.

#![cfg(feature = "avro")]

mod avro_support;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use avro_support::{block, datum, decoder, header, int, limited, rows, salvaged, text};
use headwater_formats::{DecodeErrorKind, Format, Limits, OnBadRow};
use serde_json::{Value, json};

/// A schema with one field `f` of that type.
fn of(field_type: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field_type}}}]}}"#)
}

/// The first column of the first row.
fn value(column: &str, field_type: &str, body: &[u8]) -> Result<Value, String> {
    rows(&format!("f {column}"), &[("schema", &of(field_type))], body).map(|rows| rows[0]["f"].clone())
}

#[test]
fn a_given_schema_is_resolved_to_the_columns() {
    let logical = |t: &str, logical: &str| format!(r#"{{"type":"{t}","logicalType":"{logical}"}}"#);
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":3}"#.to_owned();
    let fixed = r#"{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4,"scale":1}"#.to_owned();
    let uuid = r#"{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}"#.to_owned();
    let symbols = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#.to_owned();
    let plain = |t: &str| format!("\"{t}\"");
    for (column, field, body, expected) in [
        ("BOOLEAN", plain("boolean"), vec![1], json!(true)),
        ("TINYINT", plain("int"), int(200), json!(-56)),
        ("SMALLINT", plain("int"), int(70_000), json!(4_464)),
        ("INT", plain("int"), int(-7), json!(-7)),
        ("INT", logical("int", "date"), int(19_782), json!(19_782)),
        ("BIGINT", plain("int"), int(-7), json!(-7)),
        ("BIGINT", plain("long"), int(i64::MIN), json!(i64::MIN)),
        ("BIGINT", logical("long", "timestamp-micros"), int(5), json!(5)),
        ("FLOAT", plain("int"), int(3), json!(3.0)),
        ("FLOAT", plain("long"), int(3), json!(3.0)),
        ("FLOAT", plain("float"), 1.5f32.to_le_bytes().to_vec(), json!(1.5)),
        ("DOUBLE", plain("int"), int(3), json!(3.0)),
        ("DOUBLE", plain("long"), int(3), json!(3.0)),
        ("DOUBLE", plain("float"), 1.5f32.to_le_bytes().to_vec(), json!(1.5)),
        ("DOUBLE", plain("double"), (-2.25f64).to_le_bytes().to_vec(), json!(-2.25)),
        ("STRING", plain("string"), text("é"), json!("é")),
        ("CHAR(1)", plain("string"), text("longer"), json!("longer")),
        ("STRING", plain("bytes"), text(b"a\xffb"), json!("a\u{FFFD}b")),
        ("STRING", symbols, int(1), json!("B")),
        ("STRING", logical("string", "uuid"), text("any text"), json!("any text")),
        ("STRING", uuid.clone(), (0..16).collect(), json!("00010203-0405-0607-0809-0a0b0c0d0e0f")),
        ("BYTES", plain("bytes"), text([0, 255]), json!("00ff")),
        ("BYTES", plain("string"), text("ab"), json!("6162")),
        ("BYTES", uuid, vec![7; 16], json!("07070707070707070707070707070707")),
        ("BYTES", decimal.clone(), text([1, 2]), json!("0102")),
        ("DECIMAL(10,3)", decimal.clone(), text([0x04, 0xD2]), json!(1.234)),
        ("DECIMAL(10,2)", decimal.clone(), text([0x04, 0xD3]), json!(1.24)),
        ("DECIMAL(10,5)", decimal.clone(), text([0xFF]), json!(-0.001)),
        ("DECIMAL(3,3)", decimal, text([0x04, 0xD2]), Value::Null),
        ("DECIMAL(4,1)", fixed, vec![0xFF, 0xF6], json!(-1.0)),
        ("DATE", logical("int", "date"), int(19_782), json!("2024-02-29")),
        ("DATE", plain("int"), int(-1), json!("1969-12-31")),
        ("TIME", logical("int", "time-millis"), int(45_296_789), json!("12:34:56.789")),
        ("TIME(6)", logical("long", "time-micros"), int(45_296_789_999), json!("12:34:56.789")),
        ("TIME", plain("int"), int(1), json!("00:00:00.001")),
        ("TIMESTAMP(3)", logical("long", "timestamp-millis"), int(-1), json!("1969-12-31T23:59:59.999")),
        ("TIMESTAMP(3)", logical("long", "timestamp-micros"), int(1_999), json!("1970-01-01T00:00:00.001")),
        ("TIMESTAMP(0)", logical("long", "timestamp-nanos"), int(-1), json!("1969-12-31T23:59:59.999")),
        ("TIMESTAMP(6)", logical("long", "local-timestamp-micros"), int(1), json!("1970-01-01T00:00:00.000001")),
        ("TIMESTAMP(9)", logical("long", "local-timestamp-nanos"), int(1), json!("1970-01-01T00:00:00.000000001")),
        ("TIMESTAMP(9)", logical("long", "local-timestamp-millis"), int(1), json!("1970-01-01T00:00:00.001")),
        ("TIMESTAMP_LTZ(6)", logical("long", "timestamp-micros"), int(1), json!("1970-01-01T00:00:00.000001Z")),
        ("TIMESTAMP(3)", plain("long"), int(1), json!("1970-01-01T00:00:00.001")),
        ("TIMESTAMP(6)", plain("long"), int(1), json!("1970-01-01T00:00:00.000001")),
        ("TIMESTAMP(9)", plain("long"), int(1), json!("1970-01-01T00:00:00.000000001")),
        ("INT", plain("null"), vec![], Value::Null),
        ("INT", r#"["int","null"]"#.to_owned(), [int(0), int(5)].concat(), json!(5)),
        ("INT", r#"["int","null"]"#.to_owned(), int(1), Value::Null),
        ("DOUBLE", r#"["int","float","null"]"#.to_owned(), [int(0), int(5)].concat(), json!(5.0)),
        ("STRING", r#"["int","string"]"#.to_owned(), [int(1), text("s")].concat(), json!("s")),
        (
            "ARRAY<INT>",
            r#"{"type":"array","items":"int"}"#.to_owned(),
            [int(2), int(7), int(8), int(0)].concat(),
            json!([7, 8]),
        ),
        (
            "ARRAY<BIGINT>",
            r#"{"type":"array","items":"int"}"#.to_owned(),
            [int(-1), int(1), int(7), int(1), int(8), int(0)].concat(),
            json!([7, 8]),
        ),
        (
            "MULTISET<STRING>",
            r#"{"type":"map","values":"int"}"#.to_owned(),
            [int(3), text("a"), int(1), text("b"), int(2), text("a"), int(3), int(0)].concat(),
            json!({"b": 2, "a": 3}),
        ),
    ] {
        assert_eq!(value(column, &field, &body).as_ref(), Ok(&expected), "{column} from {field}");
    }
}

#[test]
fn what_a_column_cannot_be_is_said_when_the_table_is_made() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"number","type":"long"},{"name":"list","type":{"type":"array","items":["null","string"]}},
        {"name":"raw","type":"bytes"},{"name":"inner","type":{"type":"record","name":"I","fields":[{"name":"x","type":"int"}]}}]}"#;
    let columns =
        "number INT, list ARRAY<BOOLEAN>, raw DECIMAL(10, 2), inner ROW<x STRING>, numbr INT NOT NULL, more INT";
    assert_eq!(
        decoder(columns, &[("schema", schema)]).err().unwrap_or_default(),
        [
            "the format 'avro' cannot give column `numbr` of type INT: the schema has no such field, and the column is NOT \
             NULL: did you mean 'number'?",
            "the format 'avro' cannot give column `number` of type INT: the schema has an Avro long there",
            "the format 'avro' cannot give column `list[]` of type BOOLEAN: the schema has an Avro string there",
            "the format 'avro' cannot give column `raw` of type DECIMAL(10, 2): the schema has Avro bytes there",
            "the format 'avro' cannot give column `inner.x` of type STRING: the schema has an Avro int there",
        ]
    );
    assert!(
        decoder("m MAP<INT, INT>", &[("schema", &of(r#"{"type":"map","values":"int"}"#))]).is_ok(),
        "not there: NULL"
    );
    let errors = decoder("f MAP<INT, INT>", &[("schema", &of(r#"{"type":"map","values":"int"}"#))]).err();
    assert!(errors.is_some_and(|e| e[0].ends_with("the schema has an Avro map (whose keys are strings) there")));
}

#[test]
fn what_flink_cannot_derive_a_schema_for_is_refused() {
    for (columns, options, says) in [
        ("f TIMESTAMP(6)", &[][..], "set 'avro.timestamp_mapping.legacy' to false"),
        ("f TIMESTAMP_LTZ(3)", &[], "set 'avro.timestamp_mapping.legacy' to false"),
        ("f TIMESTAMP(9)", &[], "precision of 6 at most"),
        ("f ROW<t TIMESTAMP(6)>", &[], "set 'avro.timestamp_mapping.legacy' to false"),
        ("f ARRAY<TIMESTAMP(6)>", &[], "within other types use TIMESTAMP(3)"),
        ("f TIMESTAMP(7)", &[("timestamp_mapping.legacy", "false")], "precision of 6 at most"),
        ("f TIMESTAMP_LTZ(9)", &[("timestamp_mapping.legacy", "false")], "precision of 6 at most"),
        ("f ROW<t TIMESTAMP_LTZ(3)>", &[("timestamp_mapping.legacy", "false")], "within other types"),
        ("f ARRAY<TIMESTAMP(6)>", &[("timestamp_mapping.legacy", "false")], "within other types"),
        ("f MAP<STRING, TIMESTAMP_LTZ(3)>", &[("timestamp_mapping.legacy", "false")], "within other types"),
        ("f ARRAY<ROW<t TIMESTAMP(6)>>", &[("timestamp_mapping.legacy", "false")], "within other types"),
        ("f MAP<INT, INT>", &[], "the keys of Avro maps are strings"),
        ("f MULTISET<INT>", &[], "the keys of Avro maps are strings"),
        ("`a b` INT", &[], "`a b` is no name in Avro"),
        ("`1a` INT", &[], "`1a` is no name in Avro"),
        ("f ROW<`x-y` INT>", &[], "`f.x-y` is no name in Avro"),
        ("a_b ROW<x INT>, a ROW<b ROW<y INT>>", &[], "record_a_b"),
    ] {
        let errors = decoder(columns, options).err().unwrap_or_default();
        assert!(errors.len() == 1 && errors[0].contains(says), "{columns} {options:?}: {errors:?}");
    }
    for (columns, options) in [
        ("f TIMESTAMP(3), g ARRAY<TIMESTAMP(3)>, h TIME(9), `é_1` INT", &[][..]),
        ("f TIMESTAMP_LTZ(6), g ROW<t TIMESTAMP(6)>", &[("timestamp_mapping.legacy", "false")]),
        ("a_b ROW<x INT>, a ROW<b ROW<x INT>>", &[]),
        ("f TIMESTAMP_LTZ(9), `a b` INT", &[("schema", &*of(r#"{"type":"long","logicalType":"timestamp-nanos"}"#))]),
    ] {
        assert!(decoder(columns, options).is_ok(), "{columns}");
    }
}

#[test]
fn options_are_checked_together() {
    let of = |options: &[(&str, &str)]| decoder("f INT", options).err().unwrap_or_default();
    assert_eq!(
        of(&[("framing", "kafka"), ("encoding", "text"), ("codec", "snappy"), ("ignore-parse-errors", "true")]),
        [
            "there is no option 'avro.codec': did you mean 'avro.encoding'?",
            "there is no option 'avro.ignore-parse-errors'",
            "the option 'avro.encoding' cannot be 'text': it takes one of binary, json",
            "the option 'avro.framing' cannot be 'kafka': it takes one of none, single-object, confluent",
        ]
    );
    assert!(of(&[("encoding", "json"), ("framing", "confluent")])[0].contains("framed messages are binary"));
    assert!(of(&[("schema-id", "5")])[0].contains("only messages with the framing 'confluent' have a schema id"));
    assert!(of(&[("schema-id", "-5"), ("framing", "confluent")])[0].contains("a number from 0 to 4294967295"));
    let broken =
        of(&[("schema", "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"f\",\"type\":\"intt\"}]}")]);
    assert!(
        broken[0]
            .starts_with("the option 'avro.schema' cannot be '{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"…': ")
    );
    assert!(of(&[("schema", "\"int\"")])[0].contains("must be a record"));
}

#[test]
fn fields_are_found_by_name_or_alias_and_others_are_passed_over() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"skip","type":{"type":"record","name":"S","fields":[
            {"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"x","type":{"type":"fixed","name":"F","size":2}},
            {"name":"m","type":{"type":"map","values":["null","long"]}},{"name":"n","type":{"type":"array","items":"null"}},
            {"name":"b","type":"boolean"},{"name":"d","type":"double"},{"name":"self","type":["null","S"]}]}},
        {"name":"new_name","aliases":["old_name"],"type":"string"},
        {"name":"number","type":"int"}]}"#;
    let inner = |tail: Vec<u8>| {
        let map = [int(1), text("k"), int(1), int(9), int(0)].concat();
        [int(0), vec![1, 2], map, int(1_000_000_000_000), int(0), vec![1], 1f64.to_le_bytes().to_vec(), tail].concat()
    };
    let body = [inner([int(1), inner(int(0))].concat()), text("t"), int(5)].concat();
    let columns = "number BIGINT, old_name STRING, absent STRING";
    let expected = json!([{"number": 5, "old_name": "t", "absent": null}]);
    assert_eq!(rows(columns, &[("schema", schema)], &body), Ok(expected));
    let deep = [inner(int(1)).repeat(100_000), inner(int(0)), text("t"), int(5)].concat();
    let error = rows(columns, &[("schema", schema)], &deep).expect_err("too deep");
    assert!(error.contains("nesting = 1000"), "{error}");
}

#[test]
fn a_branch_that_the_column_does_not_take_is_an_error_when_it_comes() {
    let union = r#"["null","int","string"]"#;
    assert_eq!(value("INT", union, &[int(1), int(5)].concat()), Ok(json!(5)));
    let error = value("INT", union, &[int(2), text("x")].concat()).expect_err("a string");
    assert_eq!(error, "row 0, byte 0, column `f`: an Avro string, expected INT");
}

#[test]
fn single_object_messages_must_have_the_fingerprint_of_the_schema() {
    let schema = of(r#"["null","string"]"#);
    let parsed = Schema::parse_str(&schema).expect("a schema");
    let mut body = Vec::new();
    let value = Avro::Record(vec![("f".into(), Avro::Union(1, Box::new(Avro::String("x".into()))))]);
    let mut writer = apache_avro::GenericSingleObjectWriter::new_with_capacity(&parsed, 64).expect("a writer");
    writer.write_value(value, &mut body).expect("a message");
    let options = [("schema", &*schema), ("framing", "single-object")];
    assert_eq!(rows("f STRING", &options, &body), Ok(json!([{"f": "x"}])));
    let derived = [("framing", "single-object")];
    let error = rows("f STRING", &derived, &body).expect_err("the derived schema has another name");
    assert!(
        error.starts_with("row 0, byte 2: the message was written with another schema than the table's; set"),
        "{error}"
    );
    let error = rows("f STRING", &options, &body[..5]).expect_err("cut off");
    assert_eq!(error, "row 0, byte 5: the body ends within the fingerprint of the schema");
    let error = rows("f STRING", &options, &body[10..]).expect_err("no header");
    assert!(error.contains("begins with the bytes C3 01; set 'avro.framing'"), "{error}");
    // The schema that is derived has a fingerprint as well.
    let schema = r#"{"type":"record","name":"record","namespace":"org.apache.flink.avro.generated","fields":[
        {"name":"f","type":["null","string"]},{"name":"r","type":["null",{"type":"record","name":"record_r","fields":
        [{"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}}]}]}]}"#;
    let parsed = Schema::parse_str(schema).expect("a schema");
    let print = parsed.fingerprint::<apache_avro::rabin::Rabin>().bytes;
    let body = [vec![0xC3, 1], print, int(1), text("x"), int(0)].concat();
    let given = [("schema", schema), ("framing", "single-object")];
    assert_eq!(rows("f STRING", &given, &body), Ok(json!([{"f": "x"}])));
    let columns = "f STRING, r ROW<t BIGINT NOT NULL>";
    let plain = schema.replace(r#"{"type":"long","logicalType":"timestamp-millis"}"#, r#""long""#);
    let print = Schema::parse_str(&plain).expect("a schema").fingerprint::<apache_avro::rabin::Rabin>().bytes;
    let body = [vec![0xC3, 1], print, int(1), text("x"), int(0)].concat();
    assert_eq!(rows(columns, &derived, &body), Ok(json!([{"f": "x", "r": null}])));
}

#[test]
fn confluent_messages_are_read_with_the_tables_schema() {
    let body = [vec![0, 0, 0, 1, 5], int(1), int(7)].concat();
    assert_eq!(rows("f INT", &[("framing", "confluent")], &body), Ok(json!([{"f": 7}])));
    assert_eq!(rows("f INT", &[("framing", "Confluent"), ("schema-id", "261")], &body), Ok(json!([{"f": 7}])));
    let error = rows("f INT", &[("framing", "confluent"), ("schema-id", "5")], &body).expect_err("another id");
    assert_eq!(
        error,
        "row 0, byte 0: another schema id than 'avro.schema-id' says; the message names the schema id 261: set \
         'avro.schema' to that schema"
    );
    let error = rows("f INT", &[("framing", "confluent")], &body[..6]).expect_err("cut off");
    assert!(error.starts_with("row 0, byte 6, column `f`: the body ends within the value, expected INT; "), "{error}");
    assert!(error.contains("schema id 261"), "{error}");
    for body in [&b""[..], b"\x01\0\0\0\0\x02\x02", b"\0\0\0"] {
        assert!(rows("f INT", &[("framing", "confluent")], body).is_err());
    }
}

#[test]
fn errors_say_where_what_and_what_it_may_be_instead() {
    let of = |body: &[u8]| rows("a INT, b ROW<c ARRAY<STRING>, d DECIMAL(4,2) NOT NULL>", &[], body).expect_err("bad");
    assert_eq!(of(b""), "row 0, byte 0, column `a`: the body ends within the value, expected INT");
    assert_eq!(of(b"\x04"), "row 0, byte 1, column `a`: a branch that the union does not have, expected INT");
    assert_eq!(
        of(b"\x02\x02\x02\x02\x02\x02\x06"),
        "row 0, byte 6, column `b.c[0]`: the body ends within the value, expected STRING"
    );
    assert_eq!(
        of(b"\x02\x02\x02\x00\x00"),
        "row 0, byte 4, column `b.d`: a decimal without bytes, expected DECIMAL(4, 2)"
    );
    assert!(of(b"{\"a\":1}").ends_with("it looks like JSON: set 'avro.encoding' to 'json', or use the format 'json'"));
    let confluent = rows("a DECIMAL(4, 2) NOT NULL", &[], b"\0\0\0\0\x05\x02\x02").expect_err("no bytes");
    assert!(confluent.ends_with("set 'avro.framing' to 'confluent' if it is one"), "{confluent}");
    assert!(of(b"\xC3\x01\0\0\0\0\0\0\0\0\x02").ends_with("set 'avro.framing' to 'single-object' if it is one"));
    let json = |body: &[u8]| rows("a INT, b STRING", &[("encoding", "json")], body).expect_err("bad");
    let plain = json(b"{\"a\": 1, \"b\": null}");
    assert!(
        plain.starts_with(
            "row 0, byte 6, column `a`: no null and no object that names a branch of the union, expected INT; "
        ),
        "{plain}"
    );
    assert!(json(b"{\"a\": {\"int\": 1}}").starts_with("row 0, byte 16, column `b`: "));
}

#[test]
fn the_bytes_behind_a_value_are_not_looked_at_and_not_kept() {
    let mut decoder = decoder("a INT, b STRING", &[]).expect("a table");
    let good = [int(1), int(1), int(1), text("x")].concat();
    let longer = [&good[..], b"\xff\xff"].concat();
    for (body, fine) in [(&good, true), (&longer, true), (&good, true), (&good[..3].to_vec(), false), (&good, true)] {
        assert_eq!(decoder.decode(body, OnBadRow::Fail).is_ok(), fine);
    }
    let batch = decoder.flush();
    assert_eq!(avro_support::json(&batch), json!(vec![json!({"a": 1, "b": "x"}); 4]));
    assert_eq!(decoder.decode_absent().rows, 0);
}

#[test]
fn micros_are_micros() {
    let options = [("timestamp_mapping.legacy", "false")];
    let body = [int(1), int(1_710_074_096_123_456), int(1), int(-1)].concat();
    let expected = json!([{"t": "2024-03-10T12:34:56.123456", "l": "1969-12-31T23:59:59.999999Z"}]);
    assert_eq!(rows("t TIMESTAMP(6), l TIMESTAMP_LTZ(4)", &options, &body), Ok(expected));
    let far = [int(1), int(i64::MAX), int(0)].concat();
    let error = rows("t TIMESTAMP(6), l TIMESTAMP_LTZ(4)", &options, &far).expect_err("beyond 64 bits of nanoseconds");
    assert!(error.starts_with("row 0, byte 1, column `t`: a timestamp before 1677 or after 2262"), "{error}");
}

#[test]
fn what_a_body_asks_for_is_bounded() {
    let huge = int(i64::MAX / 2);
    for (columns, body, limit) in [
        ("f ARRAY<INT NOT NULL> NOT NULL", huge.clone(), None),
        ("f STRING NOT NULL", huge.clone(), None),
        ("f BYTES NOT NULL", [huge.clone(), vec![0; 100]].concat(), None),
        ("f ARRAY<ROW<> NOT NULL> NOT NULL", huge.clone(), Some("decoded_bytes")),
        ("f MAP<STRING, ROW<> NOT NULL> NOT NULL", huge.clone(), None),
        ("f ARRAY<INT> NOT NULL", int(i64::MIN), None),
    ] {
        let mut decoder = limited(columns, &[], Limits::default().with_decoded_bytes(1 << 20)).expect("a table");
        let error = decoder.decode(&body, OnBadRow::Fail).expect_err(columns);
        let found = match error.kind() {
            DecodeErrorKind::Limit { name, .. } => Some(*name),
            _ => None,
        };
        assert_eq!(found, limit, "{columns}: {error}");
        assert_eq!((decoder.rows(), decoder.bytes(), decoder.flush().num_rows()), (0, 0, 0));
    }
    let mut decoder = limited("f STRING", &[], Limits::default().with_body_bytes(8)).expect("a table");
    assert!(decoder.decode(&[0; 9], OnBadRow::Fail).is_err());
    let wide = format!(
        r#"{{"type":"record","name":"R","fields":[{}]}}"#,
        (0..20).map(|i| format!(r#"{{"name":"f{i}","type":"int"}}"#)).collect::<Vec<_>>().join(",")
    );
    let errors = limited("f0 INT", &[("schema", &wide)], Limits::default().with_columns(10)).err().unwrap_or_default();
    assert!(errors[0].contains("more than 10 types"), "{errors:?}");
}

const FILE: &str = r#"{"type":"record","name":"R","fields":[{"name":"extra","type":"long"},{"name":"id","type":"int"},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}}]}"#;

fn file_row(id: i64) -> Vec<u8> {
    [int(99), int(id), text([0x04, 0xD2])].concat()
}

fn file_rows(ids: &[i64]) -> Vec<u8> {
    ids.iter().flat_map(|id| file_row(*id)).collect()
}

fn compressed(codec: &str, data: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    match codec {
        "deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(data).and_then(|()| encoder.finish()).expect("in memory")
        }
        "snappy" => {
            let packed = snap::raw::Encoder::new().compress_vec(data).expect("in memory");
            [packed, crc32fast::hash(data).to_be_bytes().to_vec()].concat()
        }
        "zstandard" => zstd::stream::encode_all(data, 3).expect("in memory"),
        _ => data.to_vec(),
    }
}

#[test]
fn container_files_bring_their_schema() {
    for codec in ["null", "deflate", "snappy", "zstandard"] {
        let blocks =
            [block(2, &compressed(codec, &file_rows(&[1, 2]))), block(1, &compressed(codec, &file_rows(&[3])))];
        let body = [header(FILE, codec), blocks.concat()].concat();
        let expected = json!([{"id": 1, "price": 12.34}, {"id": 2, "price": 12.34}, {"id": 3, "price": 12.34}]);
        assert_eq!(rows("id BIGINT, price DECIMAL(8, 3)", &[], &body), Ok(expected), "{codec}");
        let cut = rows("id BIGINT, price DECIMAL(8, 3)", &[], &body[..body.len() - 1]).expect_err("cut off");
        assert!(cut.contains("a block that is cut off"), "{cut}");
    }
    assert_eq!(rows("id INT", &[], &header(FILE, "null")), Ok(json!([])));
}

#[test]
fn container_files_that_cannot_be_read_say_why() {
    for (body, says) in [
        (header(FILE, "bzip2"), "with the codec bzip2, which is not supported"),
        (header(FILE, "xz"), "with the codec xz, which is not supported"),
        (header(FILE, "lz9"), "with a codec that Avro does not have"),
        (header("\"int\"", "null"), "whose schema is no record that can be read"),
        (header("{", "null"), "whose schema is no record that can be read"),
        (
            header(&of("\"int\"").replace("\"f\"", "\"id\"").replace("\"int\"", "\"string\""), "null"),
            "column `id`: an Avro string, expected INT; the schema of the container file does not suit the columns",
        ),
        (b"Obj\x01\0".to_vec(), "a container file without a schema"),
        (b"Obj\x01\x02".to_vec(), "the body ends within the value"),
        ([header(FILE, "null"), int(-1)].concat(), "a block with a negative number of rows"),
        ([header(FILE, "null"), int(1), text(file_row(1)), vec![0; 16]].concat(), "without the file's sync marker"),
        ([header(FILE, "null"), block(1, &file_rows(&[1, 2]))].concat(), "a block with more bytes than its rows have"),
        ([header(FILE, "null"), block(2, &file_row(1))].concat(), "the body ends within the value"),
        ([header(FILE, "deflate"), block(1, b"\xff\xff")].concat(), "a block that deflate cannot read"),
        ([header(FILE, "zstandard"), block(1, b"\xff\xff")].concat(), "a block that zstandard cannot read"),
        ([header(FILE, "snappy"), block(1, b"\x01")].concat(), "a block that snappy cannot read"),
        ([header(FILE, "snappy"), block(1, b"\x01\x00a\0\0\0\0")].concat(), "a block whose checksum is wrong"),
    ] {
        let error = rows("id INT", &[], &body).expect_err(says);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn good_blocks_and_rows_are_salvaged() {
    let bad_row = [int(99), int(2), text("")].concat();
    let mixed = [file_row(1), bad_row, file_row(3)].concat();
    let broken = [file_row(4), vec![0xFF; 12]].concat();
    for codec in ["null", "deflate"] {
        let blocks = [
            block(3, &compressed(codec, &mixed)),
            block(3, &compressed(codec, &broken)),
            block(1, &compressed(codec, &file_row(7))),
            vec![2, 2],
        ];
        let body = [header(FILE, codec), blocks.concat()].concat();
        let (rows, bad) = salvaged("id INT, price DECIMAL(6, 2)", &[], &body);
        let ids: Vec<_> = rows.as_array().expect("rows").iter().map(|row| row["id"].as_i64()).collect();
        assert_eq!(ids, [Some(1), Some(3), Some(4), Some(7)], "{codec}");
        assert_eq!(bad.len(), 3, "{bad:?}");
        assert!(bad[0].starts_with("row 1, ") && bad[0].contains("column `price`: a decimal without bytes"), "{bad:?}");
        assert!(
            bad[1].starts_with("row 4, ") && bad[1].contains("column `extra`: an integer of more than 10"),
            "{bad:?}"
        );
        assert!(bad[2].starts_with("row 6, "), "{bad:?}");
        let failed = avro_support::rows("id INT, price DECIMAL(6, 2)", &[], &body).expect_err("bad rows");
        assert_eq!(failed, bad[0]);
    }
}

#[test]
fn files_that_unpack_to_too_much_are_refused() {
    let limits = Limits::default().with_decoded_bytes(1 << 20).with_rows(1_000);
    let zeros = vec![0; 16 << 20];
    let empty = r#"{"type":"record","name":"R","fields":[]}"#;
    let nothing = r#"{"type":"record","name":"R","fields":[{"name":"l","type":{"type":"array","items":"null"}}]}"#;
    let bombs = ["deflate", "snappy", "zstandard"]
        .map(|codec| ([header(FILE, codec), block(1, &compressed(codec, &zeros))].concat(), "decoded_bytes"));
    let others = [
        ([header(empty, "null"), block(i64::MAX, b"")].concat(), "rows"),
        ([header(nothing, "null"), block(1, &[int(i64::MAX / 2), int(0)].concat())].concat(), "decoded_bytes"),
        // A frame of zstandard that wants a window of 1 GiB.
        ([header(FILE, "zstandard"), block(1, b"\x28\xB5\x2F\xFD\x00\xA0\x01\0\0")].concat(), ""),
    ];
    for (body, name) in bombs.into_iter().chain(others) {
        let mut decoder = limited("id INT, l ARRAY<INT>", &[], limits).expect("a table");
        let error = decoder.decode(&body, OnBadRow::Fail).expect_err("too much");
        match error.kind() {
            DecodeErrorKind::Limit { name: limit, .. } => assert_eq!(*limit, name),
            _ => assert_eq!(name, "", "{error}"),
        }
        let salvaged = decoder.decode(&body, OnBadRow::Salvage).expect("salvage never fails");
        assert_eq!((salvaged.rows, salvaged.bad, decoder.flush().num_rows()), (0, vec![error], 0));
    }
}

#[test]
fn the_json_encoding_is_read_as_far_as_java_does() {
    let options = [("encoding", "json")];
    let of = |columns: &str, body: &str| rows(columns, &options, body.as_bytes());
    let two = "a INT, b STRING";
    let expected = Ok(json!([{"a": 1, "b": "x"}]));
    for body in [
        r#"{"a":{"int":1},"b":{"string":"x"}}"#,
        r#" { "b" : {"string":"x"} , "a" : {"int":1} }"#,
        r#"{"a":{"int":1.9},"b":{"string":"\u0078"}}"#,
        // What is behind the last value is not read, but for one token.
        r#"{"a":{"int":1},"b":{"string":"x"}"#,
        r#"{"a":{"int":1},"b":{"string":"x"}} and more"#,
        r#"{"a":{"int":1},"b":{"string":"x","c":"unfinished"#,
        // What stands before the end of a union or record is dropped with it.
        r#"{"a":{"int":1,"more":2},"b":{"string":"x"}}"#,
        r#"{"a":{"int":1},"a":{"int":2},"b":{"string":"x"}}"#,
        r#"{"c":{"d":[1]},"a":{"int":1},"b":{"string":"x"}}"#,
    ] {
        assert_eq!(of(two, body), expected, "{body}");
    }
    for body in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"a":1,"b":"x"}"#,
        r#"{"a":{"int":1}}"#,
        r#"{"a":{"long":1},"b":null}"#,
        r#"{"a":{"int":"1"},"b":null}"#,
        r#"{"a":{"int":2147483648},"b":null}"#,
        r#"{"a":{},"b":null}"#,
        r#"{"a":null,"b":null"#,
        r#"{"a":null,"b":{"string":"x","c":wrong}}"#,
        r#"{"a":{"int":1,"more":{"c":1}},"b":{"string":"x"}}"#,
        "{\"a\":null,\"b\":{\"string\":\"tab\there\"}}",
        r#"{"a":null,"b":{"string":"bad \q"}}"#,
        r#"{"a":NaN,"b":null}"#,
        r#"{'a':null,'b':null}"#,
    ] {
        assert!(of(two, body).is_err(), "{body}");
    }
    assert_eq!(of(two, r#"{"a":null,"b":{"null":null}}"#), Ok(json!([{"a": null, "b": null}])));
}

#[test]
fn nested_values_in_the_json_encoding() {
    let options = [("encoding", "json")];
    let columns = "r ROW<x INT NOT NULL, y BYTES>, m MAP<STRING, DOUBLE NOT NULL>, l ARRAY<ROW<s STRING NOT NULL>>, b BOOLEAN NOT NULL";
    let body = r#"{"m":{"map":{"k":1,"j":2.5,"k":3}},
        "l":{"array":[null,{"org.apache.flink.avro.generated.record_l":{"s":"\ud83c\udf89"}}]},
        "r":{"org.apache.flink.avro.generated.record_r":{"y":{"bytes":"\u00ff\u0000\u0100"},"x":7}},"b":true}"#;
    let expected =
        json!([{"r": {"x": 7, "y": "ff003f"}, "m": {"j": 2.5, "k": 3.0}, "l": [null, {"s": "🎉"}], "b": true}]);
    assert_eq!(rows(columns, &options, body.as_bytes()), Ok(expected.clone()));
    let wide: Vec<u8> = std::iter::once(0xFEFF).chain(body.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    assert_eq!(rows(columns, &options, &wide), Ok(expected));
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"skip","type":["null",{"type":"record","name":"a.S","fields":[
        {"name":"q","type":{"type":"array","items":"int"}}]}]},{"name":"e","type":{"type":"enum","name":"E","symbols":["P","Q"]}},
        {"name":"f","type":{"type":"fixed","name":"F","size":2}}]}"#;
    let given = [("encoding", "json"), ("schema", schema)];
    let body = br#"{"skip":{"a.S":{"q":[1,2]}},"f":"\u0001\u0002","e":"Q"}"#;
    assert_eq!(rows("e STRING, f BYTES", &given, body), Ok(json!([{"e": "Q", "f": "0102"}])));
    for body in [&br#"{"skip":null,"f":"\u0001","e":"Q"}"#[..], br#"{"skip":null,"f":"\u0001\u0002","e":"R"}"#] {
        assert!(rows("e STRING, f BYTES", &given, body).is_err());
    }
}

#[test]
fn an_empty_body_is_an_error_and_no_body_is_no_row() {
    let mut decoder = Format::named("avro").factory(&"f INT".parse().expect("a column")).expect("a table").decoder();
    assert!(decoder.decode(b"", OnBadRow::Fail).is_err());
    assert_eq!(decoder.decode_absent().rows, 0);
    let schema = Schema::parse_str(&of("\"int\"")).expect("a schema");
    assert_eq!(datum(&schema, &Avro::Record(vec![("f".into(), Avro::Int(3))])), int(3));
}

#[test]
fn broken_files_do_no_harm() {
    let mut decoder = decoder("id INT, price DECIMAL(6, 2)", &[]).expect("a table");
    let good = [header(FILE, "null"), block(2, &file_rows(&[1, 2]))].concat();
    for codec in ["null", "deflate", "snappy", "zstandard"] {
        let file = [header(FILE, codec), block(2, &compressed(codec, &file_rows(&[1, 2])))].concat();
        for at in 4..file.len() {
            let mut bodies = vec![file[..at].to_vec(), [&file[..at], &file[at + 1..]].concat()];
            for byte in [0, b'"', b'{', b'\\', 0x7F, 0xFF, file[at] ^ 1, file[at].wrapping_add(1)] {
                bodies.push([&file[..at], &[byte], &file[at + 1..]].concat());
            }
            for body in bodies {
                let salvaged = decoder.decode(&body, OnBadRow::Salvage).expect("salvage never fails").rows;
                let failed = decoder.decode(&body, OnBadRow::Fail).map_or(0, |decoded| decoded.rows);
                assert!(failed == 0 || failed == salvaged, "{codec}, byte {at}");
                assert_eq!(decoder.decode(&good, OnBadRow::Fail).expect("a good file").rows, 2);
                assert_eq!(decoder.flush().num_rows(), salvaged + failed + 2, "{codec}, byte {at}");
            }
        }
    }
}
