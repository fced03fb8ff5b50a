//! The flat input in Avro, and what arrow-avro by itself makes of it.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use headwater_formats::{Format, OnBadRow, RowType};

use super::inputs::{Bodies, FLAT};
use super::{BATCH_ROWS, cpu_time};

/// The schema that is derived from the columns.
const SCHEMA: &str = r#"{"type":"record","name":"record","fields":[
    {"name":"order_id","type":["null","string"]},{"name":"user_id","type":["null","long"]},
    {"name":"sku","type":["null","string"]},{"name":"quantity","type":["null","int"]},
    {"name":"price","type":["null","double"]},
    {"name":"discount","type":["null",{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}]},
    {"name":"paid","type":["null","boolean"]},
    {"name":"created_at","type":["null",{"type":"long","logicalType":"local-timestamp-millis"}]},
    {"name":"ship_date","type":["null",{"type":"int","logicalType":"date"}]},
    {"name":"note","type":["null","string"]}]}"#;

/// A decoder beside ours: decodes so many rows, in whole batches, and says how many those were and how long it took.
pub(crate) type Beside = Box<dyn FnMut(usize) -> (usize, Duration)>;

/// Each line of the JSON file as an Avro value.
pub(crate) fn bodies(dir: &Path) -> Bodies {
    let columns: RowType = FLAT.parse()?;
    let mut decoder = Format::json().factory(&columns)?.decoder();
    for line in std::fs::read(dir.join("json_flat.txt"))?.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        decoder.decode(line, OnBadRow::Fail)?;
    }
    let batch = decoder.flush();
    Ok((0..batch.num_rows()).map(|row| datum(&batch, row)).collect())
}

fn datum(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, column) in batch.columns().iter().enumerate() {
        assert!(column.is_valid(row), "the input has no NULLs");
        integer(1, &mut out);
        match i {
            0 | 2 | 9 => delimited(column.as_string::<i32>().value(row).as_bytes(), &mut out),
            1 => integer(column.as_primitive::<Int64Type>().value(row), &mut out),
            3 => integer(column.as_primitive::<Int32Type>().value(row).into(), &mut out),
            4 => out.extend(column.as_primitive::<Float64Type>().value(row).to_le_bytes()),
            5 => {
                let bytes = column.as_primitive::<Decimal128Type>().value(row).to_be_bytes();
                // Amounts below a hundred, in cents: two bytes.
                delimited(&bytes[14..], &mut out);
            }
            6 => out.push(column.as_boolean().value(row).into()),
            7 => integer(column.as_primitive::<TimestampMillisecondType>().value(row), &mut out),
            _ => integer(column.as_primitive::<Date32Type>().value(row).into(), &mut out),
        }
    }
    out
}

fn integer(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn delimited(bytes: &[u8], out: &mut Vec<u8>) {
    integer(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// arrow-avro's own decoder on the same values. It reads framed ones only, so they have a frame around them already.
pub(crate) fn arrow_avro(dir: &Path) -> Result<Beside, Box<dyn Error>> {
    let framed: Vec<Vec<u8>> = bodies(dir)?.iter().map(|body| [&[0, 0, 0, 0, 1], &body[..]].concat()).collect();
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(1), AvroSchema::new(SCHEMA.to_owned()))?;
    let builder = ReaderBuilder::new().with_writer_schema_store(store).with_batch_size(BATCH_ROWS);
    let mut decoder = builder.build_decoder()?;
    let mut next = 0;
    Ok(Box::new(move |wanted| {
        let mut rows = 0;
        let started = cpu_time::now();
        while rows < wanted {
            for _ in 0..BATCH_ROWS {
                let body = &framed[next % framed.len()];
                next += 1;
                assert_eq!(decoder.decode(black_box(body)).expect("a value"), body.len());
            }
            rows += black_box(decoder.flush().expect("a batch").expect("rows")).num_rows();
        }
        (rows, cpu_time::now() - started)
    }))
}
