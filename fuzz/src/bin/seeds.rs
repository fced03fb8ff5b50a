//! Writes the inputs that the fuzzers start from: `seeds DIR` makes `DIR/TARGET/*`.

use std::error::Error;
use std::fs;
use std::path::Path;

use apache_avro::types::Value;
use apache_avro::{Codec, DeflateSettings, Schema, Writer};
use arrow_array::RecordBatch;
use headwater_formats::{Format, OnBadRow};
use headwater_fuzz::{COLUMNS, Seed, tables};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let dir = std::env::args().nth(1).ok_or("usage: seeds DIR")?;
    for format in Format::all() {
        let (_, mut seeds) = tables(format.name);
        // The first table is the one of COLUMNS.
        seeds.extend(files(format.name)?.into_iter().map(|body| Seed { table: 0, body }));
        let dir = Path::new(&dir).join(format.name);
        fs::create_dir_all(&dir)?;
        for (i, seed) in seeds.iter().enumerate() {
            let mut input = seed.table.to_le_bytes().to_vec();
            input.extend_from_slice(&seed.body);
            fs::write(dir.join(format!("seed-{i:04}")), input)?;
        }
    }
    Ok(())
}

fn rows() -> Result<RecordBatch> {
    let factory = Format::json().factory(&COLUMNS.parse()?)?;
    let mut decoder = factory.decoder();
    for i in 0..20 {
        let body = format!(
            r#"[{{"id": {i}, "name": "name {i}", "price": {i}.25, "at": "2024-03-10 12:34:{i:02}", "tags": ["a", "{i}"],
                "m": {{"k": {i}}}, "r": {{"a": {i}, "b": 0.5}}, "ok": true, "d": "2024-02-29", "bytes": "aGk="}}, {{}}]"#
        );
        decoder.decode(body.as_bytes(), OnBadRow::Fail)?;
    }
    Ok(decoder.flush())
}

fn files(format: &str) -> Result<Vec<Vec<u8>>> {
    Ok(match format {
        "parquet" => {
            let compressions = [Compression::UNCOMPRESSED, Compression::SNAPPY];
            compressions.into_iter().map(parquet_file).collect::<Result<_>>()?
        }
        "orc" => {
            let mut out = Vec::new();
            // The writer has no nested types and no decimals yet.
            let rows = rows()?.project(&[0, 1, 3, 7, 8, 9])?;
            let mut writer = orc_rust::ArrowWriterBuilder::new(&mut out, rows.schema()).try_build()?;
            writer.write(&rows)?;
            writer.close()?;
            vec![out]
        }
        "avro" => {
            let codecs = [Codec::Null, Codec::Deflate(DeflateSettings::default()), Codec::Snappy];
            codecs.into_iter().map(avro_file).collect::<Result<_>>()?
        }
        _ => Vec::new(),
    })
}

fn parquet_file(compression: Compression) -> Result<Vec<u8>> {
    let rows = rows()?;
    let mut out = Vec::new();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), Some(properties))?;
    writer.write(&rows)?;
    writer.close()?;
    Ok(out)
}

fn avro_file(codec: Codec) -> Result<Vec<u8>> {
    let schema = Schema::parse_str(
        r#"{"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": ["null", "string"]},
            {"name": "tags", "type": {"type": "array", "items": "string"}}, {"name": "m", "type": {"type": "map", "values": "int"}}]}"#,
    )?;
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec)?;
    for i in 0..20_i64 {
        let name = Value::Union(1, Box::new(Value::String(format!("name {i}"))));
        let tags = Value::Array(vec![Value::String("a".into())]);
        let m = Value::Map([("k".to_owned(), Value::Int(7))].into());
        let fields = [("id", Value::Long(i)), ("name", name), ("tags", tags), ("m", m)];
        writer.append_value(Value::Record(fields.map(|(k, v)| (k.to_owned(), v)).into()))?;
    }
    Ok(writer.into_inner()?)
}
