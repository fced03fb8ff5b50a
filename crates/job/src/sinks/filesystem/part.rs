//! One file being written: rows in, a staged file with its size and checksum out.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use headwater_core::SinkError;
use headwater_formats::json::JsonEncoder;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use twox_hash::xxhash3_128::Hasher;

use super::failed;
use crate::fs::NewFile;
use crate::sinks::csv::CsvEncoder;
use crate::sinks::json;

/// How rows become bytes.
#[derive(Debug)]
pub(super) enum FileFormat {
    Csv(CsvEncoder),
    Json(JsonEncoder),
    Parquet(Box<WriterProperties>),
}

/// A file being written.
#[derive(Debug)]
pub(super) struct Part {
    /// Where it lies, under the sink's directory; empty without partitions.
    pub(super) dir: String,
    /// Its hidden name.
    pub(super) name: String,
    path: PathBuf,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(Box<Hashed>),
    Parquet(Box<ArrowWriter<Hashed>>),
}

/// A finished, durable file under its hidden name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Staged {
    pub(super) dir: String,
    pub(super) name: String,
    pub(super) len: u64,
    pub(super) hash: u128,
}

/// Counts and hashes what goes into a file, so that a commit can tell it from any other without reading it again.
struct Hashed {
    file: Box<dyn NewFile>,
    hasher: Hasher,
    len: u64,
}

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hashed({} bytes)", self.len)
    }
}

impl Write for Hashed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buf)?;
        self.hasher.write(&buf[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Part {
    pub(super) fn new(
        (dir, name, path): (String, String, PathBuf),
        file: Box<dyn NewFile>,
        format: &FileFormat,
        schema: &SchemaRef,
    ) -> Result<Self, SinkError> {
        let out = Hashed { file, hasher: Hasher::new(), len: 0 };
        let body = match format {
            FileFormat::Csv(_) | FileFormat::Json(_) => Body::Text(Box::new(out)),
            FileFormat::Parquet(properties) => {
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some((**properties).clone()));
                Body::Parquet(Box::new(writer.map_err(|error| unwritable(&path, error))?))
            }
        };
        Ok(Self { dir, name, path, body })
    }

    /// Adds rows. `buffer` is scratch space.
    pub(super) fn write(
        &mut self,
        format: &FileFormat,
        records: &RecordBatch,
        buffer: &mut Vec<u8>,
    ) -> Result<(), SinkError> {
        let out = match &mut self.body {
            Body::Parquet(writer) => return writer.write(records).map_err(|error| unwritable(&self.path, error)),
            Body::Text(out) => out,
        };
        buffer.clear();
        match format {
            FileFormat::Csv(encoder) => encoder.encode(records, buffer)?,
            FileFormat::Json(encoder) => json::encode(encoder, records, buffer)?,
            FileFormat::Parquet(_) => return Err(SinkError::new("a text file cannot take Parquet rows")),
        }
        out.write_all(buffer).map_err(|error| failed("write", &self.path, error))
    }

    /// Bytes so far, those still in memory included.
    pub(super) fn len(&self) -> u64 {
        match &self.body {
            Body::Text(out) => out.len,
            Body::Parquet(writer) => writer.bytes_written() as u64 + writer.in_progress_size() as u64,
        }
    }

    /// Bytes of rows that are still in memory.
    pub(super) fn buffered(&self) -> u64 {
        match &self.body {
            Body::Text(_) => 0,
            Body::Parquet(writer) => writer.memory_size() as u64,
        }
    }

    /// Writes out what is in memory.
    pub(super) fn unload(&mut self) -> Result<(), SinkError> {
        match &mut self.body {
            Body::Text(_) => Ok(()),
            Body::Parquet(writer) => writer.flush().map_err(|error| unwritable(&self.path, error)),
        }
    }

    /// Ends the file and makes its content durable. Its name is, after its directory is synced.
    pub(super) fn finish(self) -> Result<Staged, SinkError> {
        let mut out = match self.body {
            Body::Text(out) => *out,
            Body::Parquet(writer) => writer.into_inner().map_err(|error| unwritable(&self.path, error))?,
        };
        // The failure ends the job, so that a file whose sync failed is never synced again.
        out.flush().and_then(|()| out.file.sync()).map_err(|error| failed("write", &self.path, error))?;
        Ok(Staged { dir: self.dir, name: self.name, len: out.len, hash: out.hasher.finish_128() })
    }
}

fn unwritable(path: &std::path::Path, error: ParquetError) -> SinkError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => failed("write", path, *cause),
            Err(cause) => SinkError::new(format!("cannot write `{}` as Parquet: {cause}", path.display())),
        },
        other => SinkError::new(format!("cannot write `{}` as Parquet", path.display())).with_source(other),
    }
}
