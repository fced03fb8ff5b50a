//! Any value of any schema, written by other libraries, is what it was: as a single value, in a container file and as a
//! single object.

#![cfg(feature = "avro")]

#[allow(dead_code, reason = "other tests make files by hand")]
mod avro_support;

use std::fmt::Write as _;

use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Codec, GenericSingleObjectWriter, Schema, Writer};
use arrow_array::RecordBatch;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::writer::WriterBuilder;
use arrow_avro::writer::format::{AvroOcfFormat, AvroSoeFormat};
use arrow_schema::Schema as ArrowSchema;
use avro_support::rows;
use headwater_formats::{Format, OnBadRow, RowType};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A type that both a schema and a column can have.
#[derive(Debug, Clone)]
enum Type {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    Fixed,
    Symbol,
    Nullable(Box<Self>),
    Array(Box<Self>),
    Map(Box<Self>),
    Record(Vec<Self>),
}

fn any_type() -> impl Strategy<Value = Type> {
    let leaf = proptest::sample::select(vec![
        Type::Boolean,
        Type::Int,
        Type::Long,
        Type::Float,
        Type::Double,
        Type::Text,
        Type::Bytes,
        Type::Fixed,
        Type::Symbol,
    ]);
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| match t {
                Type::Nullable(_) => t,
                t => Type::Nullable(Box::new(t)),
            }),
            inner.clone().prop_map(|t| Type::Array(Box::new(t))),
            inner.clone().prop_map(|t| Type::Map(Box::new(t))),
            proptest::collection::vec(inner, 1..4).prop_map(Type::Record),
        ]
    })
}

/// The schema; named types are numbered, since no two may have a name.
fn schema(t: &Type, names: &mut usize) -> String {
    *names += 1;
    let name = *names;
    match t {
        Type::Boolean => "\"boolean\"".into(),
        Type::Int => "\"int\"".into(),
        Type::Long => "\"long\"".into(),
        Type::Float => "\"float\"".into(),
        Type::Double => "\"double\"".into(),
        Type::Text => "\"string\"".into(),
        Type::Bytes => "\"bytes\"".into(),
        Type::Fixed => format!(r#"{{"type":"fixed","name":"F{name}","size":3}}"#),
        Type::Symbol => format!(r#"{{"type":"enum","name":"E{name}","symbols":["A","B"]}}"#),
        Type::Nullable(t) => format!(r#"["null",{}]"#, schema(t, names)),
        Type::Array(t) => format!(r#"{{"type":"array","items":{}}}"#, schema(t, names)),
        Type::Map(t) => format!(r#"{{"type":"map","values":{}}}"#, schema(t, names)),
        Type::Record(fields) => {
            let mut out = String::new();
            for (i, field) in fields.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                write!(out, r#"{comma}{{"name":"f{i}","type":{}}}"#, schema(field, names)).expect("a string");
            }
            format!(r#"{{"type":"record","name":"R{name}","fields":[{out}]}}"#)
        }
    }
}

fn column(t: &Type) -> String {
    match t {
        Type::Boolean => "BOOLEAN".into(),
        Type::Int => "INT".into(),
        Type::Long => "BIGINT".into(),
        Type::Float => "FLOAT".into(),
        Type::Double => "DOUBLE".into(),
        Type::Text | Type::Symbol => "STRING".into(),
        Type::Bytes | Type::Fixed => "BYTES".into(),
        Type::Nullable(t) => column(t),
        Type::Array(t) => format!("ARRAY<{}>", column(t)),
        Type::Map(t) => format!("MAP<STRING, {}>", column(t)),
        Type::Record(fields) => format!("ROW<{}>", columns(fields)),
    }
}

fn columns(fields: &[Type]) -> String {
    let fields = fields.iter().enumerate().map(|(i, field)| format!("f{i} {}", column(field)));
    fields.collect::<Vec<_>>().join(", ")
}

/// Numbers from a seed, as many as a value takes.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ mixed >> 27
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A value, and what its row shows.
fn value(t: &Type, numbers: &mut Numbers) -> (Avro, Value) {
    let n = numbers.next();
    // Small numbers and large ones alike.
    let whole = (n as i64) >> numbers.below(64);
    match t {
        Type::Boolean => (Avro::Boolean(n & 1 == 1), json!(n & 1 == 1)),
        Type::Int => (Avro::Int(whole as i32), json!(whole as i32)),
        Type::Long => (Avro::Long(whole), json!(whole)),
        Type::Float => (Avro::Float(n as i16 as f32 / 4.0), json!(n as i16 as f64 / 4.0)),
        Type::Double => (Avro::Double(n as i32 as f64 / 4.0), json!(n as i32 as f64 / 4.0)),
        Type::Text => {
            let text: String =
                (0..numbers.below(12)).map(|_| ['a', 'é', '世', '🎉'][numbers.below(4) as usize]).collect();
            (Avro::String(text.clone()), json!(text))
        }
        Type::Bytes => {
            let bytes: Vec<u8> = (0..numbers.below(5)).map(|_| numbers.next() as u8).collect();
            (Avro::Bytes(bytes.clone()), hex(&bytes))
        }
        Type::Fixed => {
            let bytes = n.to_be_bytes()[..3].to_vec();
            (Avro::Fixed(3, bytes.clone()), hex(&bytes))
        }
        Type::Symbol => {
            let symbol = ["A", "B"][(n & 1) as usize];
            (Avro::Enum((n & 1) as u32, symbol.into()), json!(symbol))
        }
        Type::Nullable(_) if n.is_multiple_of(3) => (Avro::Union(0, Box::new(Avro::Null)), Value::Null),
        Type::Nullable(t) => {
            let (avro, json) = value(t, numbers);
            (Avro::Union(1, Box::new(avro)), json)
        }
        Type::Array(t) => {
            let (avro, json): (Vec<_>, Vec<_>) = (0..n % 4).map(|_| value(t, numbers)).unzip();
            (Avro::Array(avro), Value::Array(json))
        }
        Type::Map(t) => {
            let entries: Vec<_> = (0..n % 4).map(|i| (format!("k{i}"), value(t, numbers))).collect();
            let avro = entries.iter().map(|(key, (avro, _))| (key.clone(), avro.clone())).collect();
            (Avro::Map(avro), entries.into_iter().map(|(key, (_, json))| (key, json)).collect())
        }
        Type::Record(fields) => {
            let fields: Vec<_> = fields.iter().map(|t| value(t, numbers)).collect();
            let name = |i: usize| format!("f{i}");
            let avro = fields.iter().enumerate().map(|(i, (avro, _))| (name(i), avro.clone())).collect();
            (Avro::Record(avro), fields.into_iter().enumerate().map(|(i, (_, json))| (name(i), json)).collect())
        }
    }
}

fn hex(bytes: &[u8]) -> Value {
    bytes.iter().fold(String::new(), |out, byte| out + &format!("{byte:02x}")).into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn values_by_apache_avro(fields in proptest::collection::vec(any_type(), 1..5), seed: u64, one_block: bool) {
        let root = Type::Record(fields.clone());
        let text = schema(&root, &mut 0);
        let parsed = Schema::parse_str(&text).expect("a schema");
        let (avro, expected) = value(&root, &mut Numbers(seed));
        let (columns, given) = (columns(&fields), [("schema", &*text)]);
        let size = if one_block { None } else { Some(1) };
        let writer = GenericDatumWriter::builder(&parsed).maybe_target_block_size(size).build().expect("a writer");
        let datum = writer.write_value_to_vec(avro.clone()).expect("a value");
        prop_assert_eq!(rows(&columns, &given, &datum), Ok(json!([expected])));
        for end in 0..datum.len() {
            prop_assert!(rows(&columns, &given, &datum[..end]).is_err(), "cut at {} of {}", end, datum.len());
        }

        let mut single = Vec::new();
        let mut writer = GenericSingleObjectWriter::new_with_capacity(&parsed, 64).expect("a writer");
        writer.write_value(avro.clone(), &mut single).expect("a value");
        let framed = [("schema", &*text), ("framing", "single-object")];
        prop_assert_eq!(rows(&columns, &framed, &single), Ok(json!([expected])));

        for codec in [Codec::Null, Codec::Deflate(apache_avro::DeflateSettings::default()), Codec::Snappy] {
            let mut writer = Writer::with_codec(&parsed, Vec::new(), codec).expect("a writer");
            for _ in 0..3 {
                writer.append_value(avro.clone()).expect("a value");
                writer.flush().expect("a block");
            }
            let file = writer.into_inner().expect("a file");
            prop_assert_eq!(rows(&columns, &[], &file), Ok(json!([expected, expected, expected])));
        }
    }
}

const COLUMNS: &str = "a BOOLEAN, b INT, c BIGINT, d FLOAT, e DOUBLE, f STRING, g BYTES, h DATE, i TIMESTAMP(3), \
    j DECIMAL(10, 2), k ARRAY<INT>, l MAP<STRING, BIGINT>, m ROW<x INT, y STRING>, n TIME(3), o TIMESTAMP_LTZ(3)";

/// Rows of every type, and one of NULLs.
fn batch() -> RecordBatch {
    let columns: RowType = COLUMNS.parse().expect("columns");
    let mut decoder = Format::json().factory(&columns).expect("a table").decoder();
    for body in [
        r#"{"a":true,"b":-1,"c":9223372036854775807,"d":1.5,"e":-2.25,"f":"é","g":"AAEC","h":"2024-02-29",
            "i":"2024-03-10 12:34:56.789","j":"-12.34","k":[1,null,3],"l":{"k":1,"j":null},"m":{"x":1,"y":null},
            "n":"12:34:56","o":"1969-12-31 23:59:59.999Z"}"#,
        "{}",
        r#"{"f":"","g":"","k":[],"l":{},"m":{},"j":"99999999.99"}"#,
    ] {
        decoder.decode(body.as_bytes(), OnBadRow::Fail).expect("a row");
    }
    decoder.flush()
}

/// The batch from messages, by a table of the same columns.
fn back(messages: &[&[u8]], options: &[(&str, &str)]) -> RecordBatch {
    let options = options.iter().map(|(k, v)| (format!("avro.{k}"), (*v).to_owned()));
    let columns: RowType = COLUMNS.parse().expect("columns");
    let mut decoder = Format::named("avro").options(options).factory(&columns).expect("a table").decoder();
    for message in messages {
        decoder.decode(message, OnBadRow::Fail).expect("a message");
    }
    decoder.flush()
}

#[test]
fn batches_by_arrow_avro() {
    let batch = batch();
    let schema = || ArrowSchema::clone(&batch.schema());
    for codec in
        [None, Some(CompressionCodec::Deflate), Some(CompressionCodec::Snappy), Some(CompressionCodec::ZStandard)]
    {
        let writer = WriterBuilder::new(schema()).with_compression(codec);
        let mut writer = writer.build::<_, AvroOcfFormat>(Vec::new()).expect("a writer");
        writer.write(&batch).expect("rows");
        writer.finish().expect("the end");
        let legacy = [("timestamp_mapping.legacy", "false")];
        assert_eq!(back(&[&writer.into_inner()], &legacy), batch, "{codec:?}");
    }
    let text = arrow_avro::schema::AvroSchema::try_from(&schema()).expect("a schema").json_string;
    let mut messages = Vec::new();
    for row in 0..batch.num_rows() {
        let mut writer = WriterBuilder::new(schema()).build::<_, AvroSoeFormat>(Vec::new()).expect("a writer");
        writer.write(&batch.slice(row, 1)).expect("a row");
        messages.push(writer.into_inner());
    }
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    assert_eq!(back(&messages, &[("schema", &text), ("framing", "single-object")]), batch);
}
