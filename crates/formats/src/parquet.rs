//! The `parquet` format: the body is a whole Parquet file; columns by name.
//!
//! A table column is read from the file's column of that name, or the only one whose name differs in letter case
//! alone; a column that the file lacks is NULL. A type of the file that widens to the table's without loss is widened,
//! any other is an error. Only the columns of the table are read.
//!
//! Where it differs from Flink: Flink reads Parquet from files only and takes columns by exact name and type. INT96
//! timestamps are always UTC, since a machine's time zone would make rows depend on where they are decoded. The schema
//! that Arrow's writers embed is ignored: the types are those that every Parquet reader sees.
//!
//! Lengths and counts in the file are checked against [`Limits`] before anything is made of that size, and pages are
//! decompressed here, never beyond the size they were checked with.

mod delta;
mod footer;
mod page;
mod pages;
mod read;
mod schema;
mod thrift;

use std::collections::BTreeMap;
use std::sync::Arc;

use read::ParquetFormat;

use crate::columnar::FileFactory;
use crate::options::{OptionKind, OptionReader, OptionSpec};
use crate::{DecoderFactory, FormatErrors, Limits, RowType};

/// Rows are read in batches of at most this many: limits are checked between batches, and beyond some thousand rows
/// nothing gets faster.
const MAX_BATCH_ROWS: usize = 65_536;

/// Rows in a batch unless told otherwise, Flink's number.
const BATCH_ROWS: usize = 2_048;

/// Every option of `parquet`. Flink hands each key with this prefix to Hadoop's Parquet library; the library's keys are
/// listed so that a table definition can be taken over as it is.
pub static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "utc-timezone",
        OptionKind::Boolean,
        Some("true"),
        "INT96 timestamps are UTC. Only true can be given, for Flink's default, the time zone of the machine, would \
         make rows depend on the machine.",
    ),
    OptionSpec::new("batch-size", OptionKind::Text, Some("2048"), "Rows that are read at a time, 1 to 65536."),
    OptionSpec::new(
        "timestamp.time.unit",
        OptionKind::OneOf(&["nanos", "micros", "millis"]),
        Some("micros"),
        "For writing; has no effect on reading, where the file says it.",
    ),
    OptionSpec::new(
        "write.int64.timestamp",
        OptionKind::Boolean,
        Some("false"),
        "For writing; has no effect on reading.",
    ),
    hadoop("block.size"),
    hadoop("bloom.filter.enabled"),
    hadoop("bloom.filter.expected.ndv"),
    hadoop("bloom.filter.max.bytes"),
    hadoop("columnindex.truncate.length"),
    hadoop("compression"),
    hadoop("compression.codec.zstd.level"),
    hadoop("compression.codec.zstd.workers"),
    hadoop("dictionary.page.size"),
    hadoop("enable.dictionary"),
    hadoop("memory.min.chunk.size"),
    hadoop("memory.pool.ratio"),
    hadoop("page.row.count.limit"),
    hadoop("page.size"),
    hadoop("page.size.check.estimate"),
    hadoop("page.size.row.check.max"),
    hadoop("page.size.row.check.min"),
    hadoop("page.verify-checksum.enabled"),
    hadoop("page.write-checksum.enabled"),
    hadoop("statistics.truncate.length"),
    hadoop("validation"),
    hadoop("writer.max-padding"),
    hadoop("writer.version"),
];

const fn hadoop(key: &'static str) -> OptionSpec {
    OptionSpec::new(key, OptionKind::Text, None, "Of Hadoop's Parquet library; accepted, has no effect on reading.")
}

/// All columns of a file.
#[cfg(feature = "infer")]
pub(crate) fn fields_of_file(body: &[u8]) -> Result<arrow_schema::Fields, crate::DecodeError> {
    let metadata = footer::read(body, &Limits::default())?;
    let file = metadata.file_metadata().schema_descr();
    let names: Vec<String> = file.root_schema().get_fields().iter().map(|field| field.name().to_lowercase()).collect();
    let read = || schema::candidates(file, &names).map_err(|error| footer::unreadable(&error));
    Ok(crate::columnar::guarded(read)?.1)
}

pub(crate) fn create(
    row_type: &RowType,
    given: &BTreeMap<String, String>,
    limits: Limits,
) -> Result<Arc<dyn DecoderFactory>, FormatErrors> {
    let mut reader = OptionReader::new("parquet", OPTIONS, given);
    for spec in OPTIONS {
        reader.text(spec.key);
    }
    if reader.given("utc-timezone").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        let why = "timestamps are read as UTC, whatever zone the machine is in; leave the option out";
        reader.bad_value("utc-timezone", why);
    }
    let batch_rows = match reader.given("batch-size").map(|value| value.trim().parse()) {
        None => BATCH_ROWS,
        Some(Ok(rows)) if (1..=MAX_BATCH_ROWS).contains(&rows) => rows,
        Some(_) => {
            reader.bad_value("batch-size", format!("it takes a number of rows from 1 to {MAX_BATCH_ROWS}"));
            BATCH_ROWS
        }
    };
    if !reader.errors.is_empty() {
        return Err(FormatErrors(reader.errors));
    }
    Ok(FileFactory::new(row_type, limits, ParquetFormat { batch_rows }))
}
