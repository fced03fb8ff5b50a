//! The connector through its public surface: receive, decode to Arrow, deduplicate, checkpoint, delete.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use headwater::job::fs::LocalFs;
use headwater::job::{Lineage, LocalStore, StoreOptions};
use headwater::{CheckpointId, CheckpointStore as _, Credentials, Event, JobState, MnsSource, Source, SourceState};
use tempfile::TempDir;

use crate::bodies::Kind;
use crate::sample::{Sample, Window};

/// Where checkpoints are kept.
pub(crate) enum Checkpoints {
    /// The newest, as a store of the consumer's own would keep it.
    InMemory(Option<SourceState>),
    /// In a directory that is removed in the end, as `headwater run` keeps them.
    InDirectory { store: LocalStore, _dir: TempDir },
}

impl Checkpoints {
    pub(crate) const fn in_memory() -> Self {
        Self::InMemory(None)
    }

    pub(crate) fn in_directory() -> Result<Self, Box<dyn Error>> {
        let dir = TempDir::new()?;
        let options = StoreOptions::new(Lineage(1));
        let store = LocalStore::open(Arc::new(LocalFs::private()), dir.path(), &options)?;
        Ok(Self::InDirectory { store, _dir: dir })
    }

    async fn keep(&mut self, checkpoint: CheckpointId, state: SourceState) -> Result<(), Box<dyn Error>> {
        match self {
            Self::InMemory(newest) => *newest = Some(state),
            Self::InDirectory { store, .. } => {
                store.save(&JobState { checkpoint, sources: vec![state], pending: Vec::new() }).await?;
            }
        }
        Ok(())
    }
}

/// Reads until the window is over. A checkpoint is taken whenever one is due.
pub(crate) async fn run(
    address: &str,
    kind: &Kind,
    messages: u64,
    pollers: usize,
    checkpoints: Checkpoints,
) -> Result<Sample, Box<dyn Error>> {
    let window = Window::new(messages);
    read(address, kind, pollers, checkpoints, |rows| window.reached(rows)).await?;
    window.sample().ok_or_else(|| "too few messages".into())
}

/// Reads for as long as `wants` says, which is told after every batch how many rows there have been.
pub(crate) async fn read(
    address: &str,
    kind: &Kind,
    pollers: usize,
    mut checkpoints: Checkpoints,
    wants: impl Fn(u64) -> bool,
) -> Result<(), Box<dyn Error>> {
    let mut builder = MnsSource::builder()
        .endpoint(format!("http://{address}"))
        .queue("q")
        .credentials(Credentials::key("testid", "testsecret"))
        .schema(kind.columns.parse()?)
        .option("format", kind.format)
        .option("messageEncoding", "base64")
        .option("pollers", pollers.to_string());
    if kind.oss {
        builder = builder.option("messageType", "OSS");
    }
    let mut source = builder.build().await?;
    let (mut rows, mut checkpoint) = (0, 0);
    if let Checkpoints::InDirectory { .. } = checkpoints {
        source.rely_on_stored_parts();
    }
    while let Some(event) = source.next().await? {
        match event {
            Event::Batch(batch) => {
                rows += batch.records().num_rows() as u64;
                if !wants(rows) {
                    break;
                }
            }
            Event::CheckpointDue(_) => {
                checkpoint += 1;
                let id = CheckpointId(checkpoint);
                checkpoints.keep(id, source.checkpoint(id).await?).await?;
                source.commit(id).await?;
            }
            _ => {}
        }
    }
    let status = source.status();
    // What was received and deleted must keep step, or the deletes would be left out of the figure.
    if status.deleted + 16_000 < rows {
        return Err(format!("only {} of {rows} messages were deleted", status.deleted).into());
    }
    let _ = source.drain(Duration::from_millis(200)).await;
    Ok(())
}
