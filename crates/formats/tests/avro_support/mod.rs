//! Avro by hand: bytes, container files, and rows as JSON to compare with.

use std::collections::BTreeMap;

use apache_avro::writer::datum::GenericDatumWriter;
use arrow_array::RecordBatch;
use arrow_json::WriterBuilder;
use arrow_json::writer::JsonArray;
use headwater_formats::{DecodeError, Decoded, Decoder, Format, Limits, OnBadRow};
use serde_json::Value;

/// An integer as Avro writes it.
pub(crate) fn int(value: i64) -> Vec<u8> {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out
}

/// Bytes or text with the length in front.
pub(crate) fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [int(bytes.as_ref().len() as i64), bytes.as_ref().to_vec()].concat()
}

pub(crate) const SYNC: [u8; 16] = *b"0123456789abcdef";

/// The header of a container file.
pub(crate) fn header(schema: &str, codec: &str) -> Vec<u8> {
    let entries = [text("avro.schema"), text(schema), text("avro.codec"), text(codec)].concat();
    [b"Obj\x01".to_vec(), int(2), entries, int(0), SYNC.to_vec()].concat()
}

/// A block of a container file, compressed already.
pub(crate) fn block(rows: i64, data: &[u8]) -> Vec<u8> {
    [int(rows), text(data), SYNC.to_vec()].concat()
}

/// A value of a schema, by apache-avro.
pub(crate) fn datum(schema: &apache_avro::Schema, value: &apache_avro::types::Value) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().expect("a writer");
    writer.write_value_to_vec(value.clone()).expect("a value of the schema")
}

/// A decoder, or what is wrong with the table.
pub(crate) fn decoder(columns: &str, options: &[(&str, &str)]) -> Result<Box<dyn Decoder>, Vec<String>> {
    limited(columns, options, Limits::default())
}

pub(crate) fn limited(
    columns: &str,
    options: &[(&str, &str)],
    limits: Limits,
) -> Result<Box<dyn Decoder>, Vec<String>> {
    let given: BTreeMap<String, String> = options.iter().map(|(k, v)| (format!("avro.{k}"), (*v).to_owned())).collect();
    let factory = Format::named("avro").options(given).limits(limits).factory(&columns.parse().expect("columns"));
    match factory {
        Ok(factory) => Ok(factory.decoder()),
        Err(errors) => Err(errors.into_iter().map(|error| error.to_string()).collect()),
    }
}

/// The rows of one body, or why there are none.
pub(crate) fn rows(columns: &str, options: &[(&str, &str)], body: &[u8]) -> Result<Value, String> {
    let mut decoder = decoder(columns, options).unwrap_or_else(|errors| panic!("{columns}: {errors:?}"));
    decoder.decode(body, OnBadRow::Fail).map_err(|error| error.to_string())?;
    Ok(json(&decoder.flush()))
}

/// What salvaging a body gives: rows, and errors.
pub(crate) fn salvaged(columns: &str, options: &[(&str, &str)], body: &[u8]) -> (Value, Vec<String>) {
    let mut decoder = decoder(columns, options).unwrap_or_else(|errors| panic!("{columns}: {errors:?}"));
    let Decoded { bad, .. } = decoder.decode(body, OnBadRow::Salvage).expect("salvage never fails");
    (json(&decoder.flush()), bad.iter().map(DecodeError::to_string).collect())
}

/// A batch as a list of objects, NULLs included.
pub(crate) fn json(batch: &RecordBatch) -> Value {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(Vec::new());
    writer.write(batch).expect("a batch that JSON can hold");
    writer.finish().expect("the end");
    let text = writer.into_inner();
    if text.is_empty() { Value::Array(Vec::new()) } else { serde_json::from_slice(&text).expect("JSON") }
}
