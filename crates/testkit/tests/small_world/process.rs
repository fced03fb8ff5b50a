//! The real store and the real sink on one disk, called as the runner calls them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use futures::executor::block_on;
use headwater_core::fs::{FileSystem, read};
use headwater_core::{
    CheckpointId, CheckpointStore, Committable, JobContext, JobState, Sink, SinkFactory, SinkRequest, StoreErrorKind,
};
use headwater_formats::RowType;
use headwater_job::sinks::filesystem::FilesystemFactory;
use headwater_job::{Lineage, LocalStore, StoreOptions};

use crate::broken::Broken;
use crate::print::Printer;
use crate::watched::Watched;

const STATE: &str = "/state";
const OUT: &str = "/out";
pub(crate) const TABLE: &str = "out";

/// Paths and contents.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What is asked of store and sink in one go.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// The next checkpoint: these messages (as bits) are written, one batch each, and staged.
    Stage(u8),
    Save(Arc<JobState>),
    /// The sink shows what was staged.
    Commit(Committable),
}

impl Op {
    /// Recognises it.
    pub(crate) fn print(&self) -> u128 {
        let mut out = Printer::default();
        match self {
            Self::Stage(bits) => out.bytes(&[0, *bits]),
            Self::Save(state) => {
                out.bytes(&[1]);
                out.number(state.checkpoint.0);
                for source in &state.sources {
                    // Names hold a hash of what is in a part.
                    source.stored.iter().for_each(|part| out.bytes(part.name.as_bytes()));
                    out.bytes(&[0]);
                    source.parts.iter().for_each(|part| out.bytes(part.name.as_bytes()));
                }
                state.pending.iter().for_each(|(_, committable)| out.bytes(&committable.bytes));
            }
            Self::Commit(committable) => {
                out.bytes(&[2]);
                out.number(committable.checkpoint.0);
                out.bytes(&committable.bytes);
            }
        }
        out.finish()
    }
}

/// What came of it.
pub(crate) enum Answer {
    Done,
    Staged(CheckpointId, Option<Committable>),
    /// The save is not certain: the job goes on.
    NotSaved,
    /// Anything else that fails ends the process.
    Ended(String),
}

/// One process, alive.
pub(crate) struct Process {
    pub(crate) disk: Watched,
    store: LocalStore,
    sink: Box<dyn Sink>,
    broken: Option<Broken>,
}

impl Process {
    /// As the runner starts: the store is opened, the sink's output is held against it, and what no checkpoint lists is
    /// removed. Gives what the store holds.
    pub(crate) fn start(disk: Watched, broken: Option<Broken>) -> Result<(Self, Option<JobState>), String> {
        let mut options = StoreOptions::new(Lineage(1));
        options.owner = "this".into();
        let fs: Arc<dyn FileSystem> = Arc::new(disk.clone());
        let mut store = LocalStore::open(Arc::clone(&fs), STATE, &options).map_err(|e| e.to_string())?;
        let columns: RowType = "m BIGINT NOT NULL".parse().map_err(|e| format!("{e}"))?;
        let request = SinkRequest {
            table: TABLE.into(),
            columns,
            partitioned_by: Vec::new(),
            options: [("path", OUT), ("format", "csv")].into_iter().collect(),
            context: JobContext::new("small world", Duration::from_secs(1)),
            lineage: store.lineage().to_string(),
        };
        let mut sink = block_on(FilesystemFactory::new(fs).create(&request)).map_err(|e| e.to_string())?;
        let newest = block_on(store.newest()).map_err(|e| e.to_string())?;
        let known = newest.as_ref().map(|state| state.checkpoint);
        let shown = block_on(sink.newest_shown()).map_err(|e| e.to_string())?;
        if shown > known {
            return Err(format!("the output holds checkpoint {shown:?}, and the state knows of {known:?}"));
        }
        let mut pending: Vec<_> = newest.iter().flat_map(|state| &state.pending).map(|(_, c)| c.clone()).collect();
        if broken == Some(Broken::StagedRemoved) {
            pending.clear();
        }
        block_on(sink.recover(&pending)).map_err(|e| e.to_string())?;
        Ok((Self { disk, store, sink, broken }, newest))
    }

    pub(crate) fn run(&mut self, op: &Op) -> Answer {
        match op {
            Op::Stage(bits) => {
                let id = self.store.next_id();
                let sink = &mut self.sink;
                let wrote = bits_of(*bits).try_for_each(|m| block_on(sink.write(&row(m))));
                match wrote.and_then(|()| block_on(self.sink.pre_commit(id))) {
                    Ok(staged) => Answer::Staged(id, staged),
                    Err(error) => Answer::Ended(error.to_string()),
                }
            }
            Op::Save(state) => match block_on(self.store.save(state)) {
                Ok(()) => Answer::Done,
                Err(error) if error.kind == StoreErrorKind::Io => Answer::NotSaved,
                Err(error) => Answer::Ended(error.to_string()),
            },
            Op::Commit(committable) => {
                let before = shown(&self.disk.fs.files()).len();
                if let Err(error) = block_on(self.sink.commit(committable)) {
                    return Answer::Ended(error.to_string());
                }
                if self.broken == Some(Broken::ShownAgain) && shown(&self.disk.fs.files()).len() == before {
                    self.show_again(committable.checkpoint);
                }
                Answer::Done
            }
        }
    }

    /// What a sink would do whose commit is not idempotent: repeated, it shows the rows in a second file.
    fn show_again(&self, checkpoint: CheckpointId) {
        let number = format!("-{:08}-", checkpoint.0);
        for (path, _) in shown(&self.disk.fs.files()).into_iter().filter(|(path, _)| path.contains(&number)) {
            let again = path.replace("part-", "part-again-");
            if let (Ok(bytes), Ok(mut file)) =
                (read(&self.disk, path.as_ref(), u64::MAX), self.disk.create(again.as_ref()))
            {
                _ = file.write_all(&bytes).and_then(|()| file.sync());
                _ = self.disk.sync_dir(OUT.as_ref());
            }
        }
    }

    /// All that it remembers, apart from what it has read from the disk and not changed since.
    pub(crate) fn print(&self, out: &mut Printer) {
        out.bytes(format!("{:?}{:?}", self.store, self.sink).as_bytes());
    }
}

fn row(message: u8) -> RecordBatch {
    let column = Int64Array::from(vec![i64::from(message)]);
    RecordBatch::try_from_iter([("m", Arc::new(column) as _)]).expect("one column of one row")
}

/// The files that a reader of the output sees: those whose name does not begin with a dot.
fn shown(files: &Files) -> Vec<(String, Vec<u8>)> {
    let visible = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        let path = path.to_str()?;
        let name = path.strip_prefix(OUT)?.strip_prefix('/')?;
        (!name.starts_with('.')).then(|| (path.to_owned(), bytes.clone()))
    };
    files.iter().filter_map(visible).collect()
}

/// How often a reader sees each message.
pub(crate) fn times(files: &Files) -> [u8; 2] {
    let mut times = [0; 2];
    for (_, bytes) in shown(files) {
        for line in String::from_utf8_lossy(&bytes).lines() {
            if let Some(times) = line.parse::<usize>().ok().and_then(|m| times.get_mut(m)) {
                *times += 1;
            }
        }
    }
    times
}

/// The messages that bits stand for.
pub(crate) fn bits_of(bits: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |m| bits & 1 << m != 0)
}
