//! `filesystem`: rows into files, each row in exactly one.
//!
//! Rows go into hidden files (`.part-…inprogress`) in the directory where they will be read. With a checkpoint the files
//! are finished and made durable, and their list becomes part of it; once the checkpoint is durable they are renamed to
//! `part-LINEAGE-TABLE-CHECKPOINT-NUMBER.FORMAT`. Readers that leave out names beginning with a dot, as Hive, Spark and
//! Flink do, never see a row that can come back. `commit` has the details of what a crash can leave.

mod commit;
mod factory;
mod names;
mod part;
mod partitions;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use headwater_core::{CheckpointId, Committable, Delivery, Sink, SinkError};
use headwater_formats::RowType;

use crate::fs::{FileSystem, create_dirs, run, way_out};
use commit::{Epoch, Markers};
pub use factory::{FilesystemFactory, OPTIONS, PARQUET_OPTIONS};
use names::Names;
use part::{FileFormat, Part, Staged};
use partitions::Partitions;

/// Files open at a time. 100: far below the usual limit of 1,024 open files, and more partitions than rows of one moment
/// usually fall into. One more, and the largest is finished.
pub const OPEN_FILES_MAX: usize = 100;

/// Bytes of Parquet rows in memory, over all open files. 64 MiB: half a default file.
pub const BUFFERED_BYTES_MAX: u64 = 64 << 20;

/// The sink.
#[derive(Debug)]
struct Filesystem {
    fs: Arc<dyn FileSystem>,
    table: String,
    columns: RowType,
    schema: SchemaRef,
    base: PathBuf,
    names: Names,
    format: FileFormat,
    partitions: Option<Partitions>,
    // A file is finished when it has this many bytes.
    file_size: u64,
    open: BTreeMap<String, Part>,
    finished: Vec<Staged>,
    next_number: u64,
    markers: Markers,
    buffer: Vec<u8>,
}

#[async_trait]
impl Sink for Filesystem {
    fn delivery(&self) -> Delivery {
        Delivery::ExactlyOnce
    }

    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError> {
        let pending = pending.iter().map(Epoch::decode).collect::<Result<Vec<_>, _>>()?;
        // Also of files that have been completed and may be gone: a name that a checkpoint lists stands for one content.
        let listed =
            pending.iter().flat_map(|epoch| &epoch.files).filter_map(|(staged, _)| self.names.number(&staged.name));
        self.next_number = listed.map(|number| number.saturating_add(1)).max().unwrap_or(0).max(self.next_number);
        let (base, names) = (self.base.clone(), self.names.clone());
        run(&self.fs, move |fs| commit::recover(fs, &base, &names, &pending)).await
    }

    async fn newest_shown(&mut self) -> Result<Option<CheckpointId>, SinkError> {
        let (base, names) = (self.base.clone(), self.names.clone());
        run(&self.fs, move |fs| commit::newest_shown(fs, &base, &names)).await
    }

    async fn write(&mut self, records: &RecordBatch) -> Result<(), SinkError> {
        if records.num_rows() == 0 {
            return Ok(());
        }
        super::check_not_null(&self.table, &self.columns, records)?;
        let records = self.conform(records)?;
        match &self.partitions {
            None => self.write_to(String::new(), &records).await,
            Some(partitions) => {
                for (dir, records) in partitions.split(&records)? {
                    self.write_to(dir, &records).await?;
                }
                Ok(())
            }
        }
    }

    async fn pre_commit(&mut self, id: CheckpointId) -> Result<Option<Committable>, SinkError> {
        self.markers.staged(id);
        let open = std::mem::take(&mut self.open);
        self.finish(open.into_values().collect()).await?;
        let files = std::mem::take(&mut self.finished);
        if files.is_empty() {
            return Ok(None);
        }
        let base = self.base.clone();
        let files = run(&self.fs, move |fs| settle(fs, &base, &files).map(|()| files)).await?;
        let files = files.into_iter().enumerate().map(|(n, staged)| (staged, self.names.done(id, n))).collect();
        let epoch = Epoch { checkpoint: id, base: self.base.clone(), marker: self.names.marker(id), files };
        epoch.encode().map(Some)
    }

    async fn commit(&mut self, committable: &Committable) -> Result<(), SinkError> {
        let epoch = Epoch::decode(committable)?;
        let useless = self.markers.useless(epoch.checkpoint);
        let epoch = run(&self.fs, move |fs| {
            commit::commit(fs, &epoch)?;
            // One that stays does no harm: the next start removes it.
            useless.iter().for_each(|marker| drop(fs.remove(marker)));
            Ok::<_, SinkError>(epoch)
        })
        .await?;
        self.markers.committed(&epoch);
        Ok(())
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        // What is not staged is in no checkpoint: the next start removes it, and its messages come again.
        self.open.clear();
        self.finished.clear();
        Ok(())
    }
}

impl Filesystem {
    /// The same rows under the table's own schema, so that all files of a table agree.
    fn conform(&self, records: &RecordBatch) -> Result<RecordBatch, SinkError> {
        RecordBatch::try_new(Arc::clone(&self.schema), records.columns().to_vec()).map_err(|error| {
            SinkError::new(format!("rows for table `{}` do not have its columns", self.table)).with_source(error)
        })
    }

    async fn write_to(&mut self, dir: String, records: &RecordBatch) -> Result<(), SinkError> {
        // Writing goes to the page cache and is done in place; what waits for the disk is done elsewhere.
        let mut part = match self.open.remove(&dir) {
            Some(part) => part,
            None => self.start(dir.clone(), records).await?,
        };
        part.write(&self.format, records, &mut self.buffer)?;
        if part.len() >= self.file_size {
            self.finish(vec![part]).await?;
        } else {
            self.open.insert(dir, part);
        }
        self.unload()
    }

    async fn start(&mut self, dir: String, records: &RecordBatch) -> Result<Part, SinkError> {
        if self.open.len() >= OPEN_FILES_MAX {
            let largest = self.open.iter().max_by_key(|(_, part)| part.len()).map(|(dir, _)| dir.clone());
            if let Some(part) = largest.and_then(|dir| self.open.remove(&dir)) {
                self.finish(vec![part]).await?;
            }
        }
        let (directory, names, first) = (self.base.join(&dir), self.names.clone(), self.next_number);
        let (file, name, next) = run(&self.fs, move |fs| create(fs, &directory, &names, first)).await?;
        self.next_number = next;
        let path = self.base.join(&dir).join(&name);
        Part::new((dir, name, path), file, &self.format, records.schema_ref())
    }

    async fn finish(&mut self, parts: Vec<Part>) -> Result<(), SinkError> {
        let finish = move |_: &dyn FileSystem| parts.into_iter().map(Part::finish).collect::<Result<Vec<_>, _>>();
        self.finished.extend(run(&self.fs, finish).await?);
        Ok(())
    }

    fn unload(&mut self) -> Result<(), SinkError> {
        if self.open.values().map(Part::buffered).sum::<u64>() > BUFFERED_BYTES_MAX
            && let Some(largest) = self.open.values_mut().max_by_key(|part| part.buffered())
        {
            largest.unload()?;
        }
        Ok(())
    }
}

/// Makes the next hidden file, and its directory if need be.
fn create(
    fs: &dyn FileSystem,
    dir: &Path,
    names: &Names,
    mut number: u64,
) -> Result<(Box<dyn crate::fs::NewFile>, String, u64), SinkError> {
    create_dirs(fs, dir).map_err(|error| failed("make the directory", dir, error))?;
    loop {
        let name = names.staged(number);
        number += 1;
        match fs.create(&dir.join(&name)) {
            Ok(file) => return Ok((file, name, number)),
            // Staged by an earlier process, and not committed yet.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("make", &dir.join(&name), error)),
        }
    }
}

/// Makes the names of finished files durable, and makes sure that they are there: a checkpoint that lists a file which
/// somebody has removed could never be committed.
fn settle(fs: &dyn FileSystem, base: &Path, files: &[Staged]) -> Result<(), SinkError> {
    let dirs: BTreeSet<PathBuf> = files.iter().map(|staged| base.join(&staged.dir)).collect();
    dirs.iter().try_for_each(|dir| fs.sync_dir(dir).map_err(|error| failed("sync", dir, error)))?;
    for staged in files {
        let path = base.join(&staged.dir).join(&staged.name);
        match fs.metadata(&path) {
            Ok(found) if found.len == staged.len => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("examine", &path, error)),
            _ => {
                return Err(SinkError::new(format!(
                    "`{}` was removed or changed while it was written: nothing is lost, its rows are in no checkpoint and \
                     their messages come again. Find out who tidies up there (files that begin with a dot are unfinished), \
                     and start again",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

fn failed(verb: &str, path: &Path, error: io::Error) -> SinkError {
    SinkError::new(format!("cannot {verb} `{}`: {}", path.display(), way_out(&error))).with_source(error)
}
