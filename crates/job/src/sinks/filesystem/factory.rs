//! From options to a filesystem sink.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use headwater_core::{Delivery, OptionErrors, Sink, SinkCheck, SinkError, SinkFactory, SinkRequest};
use headwater_formats::RowType;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::names::Names;
use super::part::FileFormat;
use super::partitions::{self, Partitions};
use super::{Filesystem, failed};
use crate::fs::{FileSystem, LocalFs, create_dirs, run};
use crate::sinks::SinkOption;
use crate::sinks::csv::{self, CsvEncoder};
use crate::sinks::json;
use crate::sinks::options::{Reading, memory_size};

/// The options of the connector itself; those of the format come on top ([`csv::OPTIONS`], [`PARQUET_OPTIONS`],
/// [`headwater_formats::json::OPTIONS`]).
pub const OPTIONS: &[SinkOption] = &[
    SinkOption::new(
        "path",
        "a directory, also as file:// URL",
        None,
        "Where the files go. It is made if it is missing.",
    ),
    SinkOption::new("format", "json, csv or parquet", None, "What the files hold."),
    SinkOption::new(
        "sink.rolling-policy.file-size",
        "a size such as 128MB",
        Some("128MB"),
        "A file that has grown to this size is finished, and the next one begun. Every checkpoint finishes files too. A file \
         grows by whole batches, so it may become larger by one.",
    ),
    SinkOption::new(
        "partition.default-name",
        "text",
        Some("__DEFAULT_PARTITION__"),
        "The directory of rows whose partition column is NULL or empty.",
    ),
];

/// The options of `format = parquet`.
pub const PARQUET_OPTIONS: &[SinkOption] =
    &[SinkOption::new("parquet.compression", "SNAPPY or UNCOMPRESSED", Some("SNAPPY"), "How pages are compressed.")];

/// Flink's other options of this connector, and why each is not needed or not there.
const REFUSED: &[(&str, &str)] = &[
    ("sink.rolling-policy.rollover-interval", "is not needed: every checkpoint finishes the open files"),
    ("sink.rolling-policy.inactivity-interval", "is not needed: every checkpoint finishes the open files"),
    ("sink.rolling-policy.check-interval", "is not needed: every checkpoint finishes the open files"),
    ("auto-compaction", "is not supported: a longer checkpoint interval gives fewer and larger files"),
    ("compaction.file-size", "is not supported: a longer checkpoint interval gives fewer and larger files"),
    ("sink.partition-commit.trigger", "is not supported: files appear in their partition with each checkpoint"),
    ("sink.partition-commit.delay", "is not supported: files appear in their partition with each checkpoint"),
    ("sink.partition-commit.policy.kind", "is not supported: files appear in their partition with each checkpoint"),
    ("sink.parallelism", "is not supported: a sink writes one file at a time per partition"),
];

/// Makes `filesystem` sinks.
#[derive(Clone, Debug)]
pub struct FilesystemFactory {
    fs: Arc<dyn FileSystem>,
}

impl FilesystemFactory {
    /// A factory whose sinks write through `fs`.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>) -> Self {
        Self { fs }
    }
}

impl Default for FilesystemFactory {
    fn default() -> Self {
        Self::new(Arc::new(LocalFs::shared()))
    }
}

/// A request understood.
struct Config {
    base: PathBuf,
    format: FileFormat,
    extension: &'static str,
    file_size: u64,
    partitions: Option<Partitions>,
    notices: Vec<String>,
}

#[async_trait]
impl SinkFactory for FilesystemFactory {
    fn connector(&self) -> &'static str {
        "filesystem"
    }

    fn check(&self, request: &SinkRequest) -> Result<SinkCheck, OptionErrors> {
        let config = read(request)?;
        let guarantee = format!(
            "`{}` is exactly-once: each row is in exactly one file under `{}`, visible with its checkpoint, at the latest {:?} \
             after it arrived and once that checkpoint is stored",
            request.table,
            config.base.display(),
            request.context.checkpoint_interval
        );
        Ok(SinkCheck { delivery: Delivery::ExactlyOnce, guarantee, notices: config.notices })
    }

    async fn create(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, SinkError> {
        let config = read(request).map_err(|errors| SinkError::new(errors.to_string()))?;
        let base = config.base.clone();
        run(&self.fs, move |fs| create_dirs(fs, &base).map_err(|error| failed("make the directory", &base, error)))
            .await?;
        Ok(Box::new(Filesystem {
            fs: Arc::clone(&self.fs),
            table: request.table.clone(),
            schema: request.columns.to_arrow(),
            columns: request.columns.clone(),
            names: Names::new(&request.lineage, &request.table, config.extension),
            base: config.base,
            format: config.format,
            partitions: config.partitions,
            file_size: config.file_size,
            open: Default::default(),
            finished: Vec::new(),
            next_number: 0,
            markers: Default::default(),
            buffer: Vec::new(),
        }))
    }
}

fn read(request: &SinkRequest) -> Result<Config, OptionErrors> {
    let mut reading = Reading::new(&request.options);
    let base = reading.required("path", "/data/orders").and_then(|path| directory(path, &mut reading));
    let default_name = reading.get("partition.default-name").unwrap_or("__DEFAULT_PARTITION__");
    let partitions = partitions(request, default_name, &mut reading);
    let written = partitions.as_ref().map_or_else(|| request.columns.clone(), |p| p.written(&request.columns));
    let file_size = match reading.get("sink.rolling-policy.file-size").map(memory_size) {
        None => 128 << 20,
        Some(Some(size)) if size > 0 => size,
        Some(_) => {
            reading.wrong("sink.rolling-policy.file-size", "is a size of at least one byte, such as 128MB");
            0
        }
    };
    let format = reading.required("format", "json");
    let (format, extension) = format.map_or((None, ""), |name| file_format(name, &written, request, &mut reading));
    let notices = reading.notices();
    reading.finish()?;
    // Whatever is missing here was reported above.
    match (base, format) {
        (Some(base), Some(format)) => Ok(Config { base, format, extension, file_size, partitions, notices }),
        _ => Err(OptionErrors(Vec::new())),
    }
}

fn file_format(
    name: &str,
    written: &RowType,
    request: &SinkRequest,
    reading: &mut Reading<'_>,
) -> (Option<FileFormat>, &'static str) {
    // What belongs to json is known to the format itself.
    let (tables, prefix): (&[&[SinkOption]], _) = match name {
        "csv" => (&[OPTIONS, csv::OPTIONS], None),
        "json" => (&[OPTIONS], Some(json::PREFIX)),
        "parquet" => (&[OPTIONS, PARQUET_OPTIONS], None),
        _ => {
            reading.wrong("format", format!("`{name}` cannot be written to files: use json, csv or parquet"));
            return (None, "");
        }
    };
    reading.explain(REFUSED);
    reading.known_but(tables, prefix);
    match name {
        "csv" => (CsvEncoder::read(written, reading).map(FileFormat::Csv), "csv"),
        "json" => (json::read(written, reading).map(FileFormat::Json), "json"),
        _ => {
            (parquet(written, request, reading).map(|properties| FileFormat::Parquet(Box::new(properties))), "parquet")
        }
    }
}

fn parquet(written: &RowType, request: &SinkRequest, reading: &mut Reading<'_>) -> Option<WriterProperties> {
    if written.fields().is_empty() {
        reading.wrong("format", "parquet needs at least one column that is not in PARTITIONED BY");
    }
    let compression = match request.options.get("parquet.compression").map(str::to_ascii_uppercase).as_deref() {
        None | Some("SNAPPY") => Compression::SNAPPY,
        Some("UNCOMPRESSED") => Compression::UNCOMPRESSED,
        Some(_) => {
            reading.wrong("parquet.compression", "is SNAPPY or UNCOMPRESSED");
            return None;
        }
    };
    Some(WriterProperties::builder().set_compression(compression).set_created_by("headwater".into()).build())
}

/// A local directory, absolute, so that a restart from elsewhere means the same one.
fn directory(path: &str, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let local = match path.split_once(':') {
        Some(("file", rest)) => match rest.strip_prefix("//") {
            None => Some(rest),
            Some(rest) if rest.starts_with('/') => Some(rest),
            Some(rest) => rest.strip_prefix("localhost").filter(|rest| rest.starts_with('/')),
        },
        Some((scheme, rest)) if rest.starts_with("//") && !scheme.contains('/') => {
            reading.wrong(
                "path",
                format!("`{scheme}://` is not supported: files go to a local directory, as /dir or file:///dir"),
            );
            return None;
        }
        _ => Some(path),
    };
    let absolute = local.filter(|local| !local.is_empty()).and_then(|local| std::path::absolute(local).ok());
    if absolute.is_none() {
        reading.wrong("path", format!("`{path}` is no local directory: write /dir or file:///dir"));
    }
    absolute
}

fn partitions(request: &SinkRequest, default_name: &str, reading: &mut Reading<'_>) -> Option<Partitions> {
    let by = &request.partitioned_by;
    for name in by {
        match request.columns.index_of(name).map(|at| &request.columns.fields()[at].data_type.logical) {
            Some(logical) if partitions::usable(logical) => {}
            Some(logical) => reading.wrong(
                "PARTITIONED BY",
                format!("`{name}` is {logical}: a directory can be named by BOOLEAN, integer, STRING and DATE columns"),
            ),
            None => reading.wrong("PARTITIONED BY", format!("`{name}` is no column of the table")),
        }
    }
    if !by.is_empty() && by.len() == request.columns.fields().len() {
        reading.wrong("PARTITIONED BY", "names every column: nothing would be left to write");
    }
    (!by.is_empty()).then(|| Partitions::new(&request.columns, by, default_name))
}
