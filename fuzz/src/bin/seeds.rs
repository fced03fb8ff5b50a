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
    for (target, seeds) in [("xml", answers()?), ("signing", requests()?), ("state", states()?), ("ddl", scripts()?)] {
        let dir = Path::new(&dir).join(target);
        fs::create_dir_all(&dir)?;
        for (i, seed) in seeds.iter().enumerate() {
            fs::write(dir.join(format!("seed-{i:04}")), seed)?;
        }
    }
    Ok(())
}

/// The repository's files of this folder, its subfolders included, in order.
fn files_of(folder: &str) -> Result<Vec<Vec<u8>>> {
    let mut paths: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::result::Result<_, _>>()?;
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            let inner =
                path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?.to_string_lossy().into_owned();
            all.extend(files_of(&inner)?);
        } else {
            all.push(fs::read(path)?);
        }
    }
    Ok(all)
}

/// The recorded requests and answers that are members of these records.
fn records(text: &str) -> Result<Vec<serde_json::Value>> {
    let whole: serde_json::Value = serde_json::from_str(text)?;
    Ok(whole["records"].as_array().cloned().unwrap_or_default())
}

fn answers() -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for file in ["responses", "topic_to_queue_bodies"] {
        let path = format!("{}/../crates/mns-proto/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
        for record in records(&fs::read_to_string(path)?)? {
            let Some(body) = record["body"].as_str() else { continue };
            let status =
                [200, 201, 204, 400, 404, 503].iter().position(|known| record["status"].as_u64() == Some(*known));
            let status = u8::try_from(status.unwrap_or(0))?;
            all.push([&[status], body.as_bytes()].concat());
        }
    }
    Ok(all)
}

fn requests() -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for file in ["sign_v2_python", "sign_v2_node_alicloud", "sign_v2_node_ali_mns"] {
        let path = format!("{}/../crates/mns-proto/tests/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
        for record in records(&fs::read_to_string(path)?)? {
            let (Some(method), Some(target)) = (record["method"].as_str(), record["request_target"].as_str()) else {
                continue;
            };
            let mut text = format!("{method} {target}\n");
            for (name, value) in record["headers"].as_object().into_iter().flatten() {
                text += &format!("{name}: {}\n", value.as_str().unwrap_or_default());
            }
            text += &format!("\n{}", record["body"].as_str().unwrap_or_default());
            all.push(text.into_bytes());
        }
    }
    Ok(all)
}

/// Golden files, once for every kind of thing that the target reads.
fn states() -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for bytes in files_of("crates/ledger/tests/golden")?.into_iter().chain(files_of("crates/job/tests/golden")?) {
        let end = if bytes.starts_with(b"HWLG") { bytes.len().saturating_sub(4) } else { bytes.len() };
        all.extend((0..7).map(|what| [&[what], &bytes[..end]].concat()));
    }
    let bases: Vec<_> =
        files_of("crates/ledger/tests/golden")?.into_iter().map(|file| file[..file.len() - 4].to_vec()).collect();
    for pair in bases.chunks(2) {
        all.push([&[0], &pair.join(&0xfa)[..]].concat());
    }
    all.push(b"\x03HWDL\x01\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x03\0\0\0abc".to_vec());
    all.push(b"\x04headwater-marker-1 7 000000000000000000000000000000ff 1/q".to_vec());
    for line in ["lineage 5", "epoch 18446744073709551615", "checkpoint none", "last-id 18446744073709551615"] {
        all.push([&[1], line.as_bytes()].concat());
    }
    all.extend(logs());
    Ok(all)
}

/// Logs of one to three segments, whose checksums the target makes: with messages that have every field or none, with deletes,
/// with a torn tail, with a state that goes on after the first message, with the note of a commit.
fn logs() -> Vec<Vec<u8>> {
    let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let record = |kind: u8, rest: Vec<u8>| [&[kind][..], &(rest.len() as u32).to_le_bytes(), &rest].concat();
    let whole = |id: &str| {
        let numbers = [&[31][..], &2_u32.to_le_bytes(), &[1; 8], &[2; 8], &[3; 8], &[4; 8], &[8]].concat();
        let property = [&1_u32.to_le_bytes()[..], &text("name"), &text("value")].concat();
        record(1, [numbers, text(id), text("handle"), text("group"), property, b"body".to_vec()].concat())
    };
    let bare = |id: &str| {
        let numbers = [&[0][..], &1_u32.to_le_bytes(), &[1; 8]].concat();
        record(1, [numbers, text(id), text("h"), 0_u32.to_le_bytes().to_vec()].concat())
    };
    let frame = |number: u64, records: &[Vec<u8>]| {
        let (all, many) = (records.concat(), records.len() as u32);
        [&[0; 24][..], &number.to_le_bytes(), &(all.len() as u32).to_le_bytes(), &many.to_le_bytes(), &all].concat()
    };
    let header = |segment: u64, first: u64| {
        [b"HWSL\x01\0\0\0", &[7; 16][..], &segment.to_le_bytes(), &first.to_le_bytes(), &[0; 4]].concat()
    };
    let deletes = record(2, vec![9; 32]);
    let first = [header(1, 0), frame(0, &[whole("a"), bare("b")]), frame(1, &[deletes.clone(), bare("c")])].concat();
    let second = [header(2, 2), frame(2, &[whole("d")])].concat();
    let third = [header(3, 3), frame(3, &[deletes, bare("a")]), b"torn".to_vec()].concat();
    let position = |segment: u64, offset: u64| [segment.to_le_bytes(), offset.to_le_bytes()].concat();
    let after_one = [position(1, 44), position(1, 44 + 40 + whole("a").len() as u64)].concat();
    let three = [first.clone(), second.clone(), third].join(&0xfa);
    vec![
        [&[6, 0][..], &first].concat(),
        [&[6, 0][..], &[first.clone(), second.clone()].join(&0xfa)].concat(),
        [&[6, 0][..], &three].concat(),
        [&[6, 1][..], &[first.clone(), first].join(&0xfa)].concat(),
        [&[6, 6][..], &after_one, &three].concat(),
        [&[6, 3][..], &after_one, &second].concat(),
    ]
}

fn scripts() -> Result<Vec<Vec<u8>>> {
    files_of("examples/sql")
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
