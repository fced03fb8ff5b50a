//! The connector through its public surface: receive, decode to Arrow, deduplicate, checkpoint, delete.

use std::error::Error;
use std::time::Duration;

use headwater::{CheckpointId, Credentials, Event, MnsSource, Source};

use crate::bodies::Kind;
use crate::sample::{CONNECTIONS, Sample, Window};

/// Reads until the window is over. A checkpoint is taken whenever one is due, and kept in memory as a store would keep it.
pub(crate) async fn run(address: &str, kind: &Kind, messages: u64) -> Result<Sample, Box<dyn Error>> {
    let mut builder = MnsSource::builder()
        .endpoint(format!("http://{address}"))
        .queue("q")
        .credentials(Credentials::key("testid", "testsecret"))
        .schema(kind.columns.parse()?)
        .option("format", kind.format)
        .option("messageEncoding", "base64")
        .option("pollers", CONNECTIONS.to_string());
    if kind.oss {
        builder = builder.option("messageType", "OSS");
    }
    let mut source = builder.build().await?;
    let window = Window::new(messages);
    let (mut rows, mut checkpoint) = (0, 0);
    let mut stored = None;
    while let Some(event) = source.next().await? {
        match event {
            Event::Batch(batch) => {
                rows += batch.records().num_rows() as u64;
                if !window.reached(rows) {
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
    let (status, sample) = (source.status(), window.sample());
    drop(stored);
    // What was received and deleted must keep step, or the deletes would be left out of the figure.
    if status.deleted + 16_000 < rows {
        return Err(format!("only {} of {rows} messages were deleted", status.deleted).into());
    }
    let _ = source.drain(Duration::from_millis(200)).await;
    sample.ok_or_else(|| "too few messages".into())
}
