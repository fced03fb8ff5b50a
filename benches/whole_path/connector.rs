//! The connector through its public surface: receive, decode to Arrow, deduplicate, checkpoint, delete.

use std::error::Error;
use std::time::Duration;

use headwater::{CheckpointId, Credentials, Event, MnsSource, Source};

use crate::bodies::Kind;
use crate::sample::{Sample, Window};

/// Reads until the window is over. A checkpoint is taken whenever one is due, and kept in memory as a store would keep it.
pub(crate) async fn run(address: &str, kind: &Kind, messages: u64, pollers: usize) -> Result<Sample, Box<dyn Error>> {
    let window = Window::new(messages);
    read(address, kind, pollers, |rows| window.reached(rows)).await?;
    window.sample().ok_or_else(|| "too few messages".into())
}

/// Reads for as long as `wants` says, which is told after every batch how many rows there have been.
pub(crate) async fn read(
    address: &str,
    kind: &Kind,
    pollers: usize,
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
    let mut stored = None;
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
                stored = Some(source.checkpoint(id).await?);
                source.commit(id).await?;
            }
            _ => {}
        }
    }
    let status = source.status();
    drop(stored);
    // What was received and deleted must keep step, or the deletes would be left out of the figure.
    if status.deleted + 16_000 < rows {
        return Err(format!("only {} of {rows} messages were deleted", status.deleted).into());
    }
    let _ = source.drain(Duration::from_millis(200)).await;
    Ok(())
}
