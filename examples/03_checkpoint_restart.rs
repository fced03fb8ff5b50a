//! Checkpoint and restart: a consumer dies after its checkpoint was saved and before anything was deleted; the next one
//! restores, and no row is lost or repeated. A marker, kept apart from the state, would tell if the state were set back.
//! `cargo run --example 03_checkpoint_restart`.

#[path = "shared/local.rs"]
mod local;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater::arrow::array::AsArray;
use headwater::job::fs::LocalFs;
use headwater::job::{Lineage, LocalStore, StoreOptions};
use headwater::{CheckpointStore, Credentials, Event, Format, JobState, LineageMarker, MnsSource, QueueSource, Source};

async fn source(
    endpoint: &str,
    credentials: &Credentials,
    marker: Option<LineageMarker>,
) -> Result<QueueSource, Box<dyn Error>> {
    let source = MnsSource::builder()
        .endpoint(endpoint)
        .queue("orders")
        .credentials(credentials.clone())
        .schema("body STRING".parse()?)
        .format(Format::raw())
        .option("pollingWaitTime", "1s")
        .option("checkpointMaxMessages", "3")
        .lineage_marker(marker)
        .build()
        .await?;
    Ok(source)
}

fn store(dir: &Path) -> Result<LocalStore, Box<dyn Error>> {
    // A real job takes a random lineage; it tells one chain of checkpoints from another.
    Ok(LocalStore::open(Arc::new(LocalFs::private()), dir, &StoreOptions::new(Lineage(0x1234)))?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, credentials) = local::server_with("orders", &["one", "two", "three"]).await?;
    let dir = std::env::temp_dir().join(format!("headwater-example-{}", std::process::id()));
    // For real on another disk than the state, or in a database: what sets one back must not set back the other.
    let kept_apart = dir.with_extension("marker");
    let mut rows = Vec::new();

    {
        let (mut first, mut store) = (source(&server.endpoint(), &credentials, None).await?, store(&dir)?);
        while let Some(event) = first.next().await? {
            match event {
                Event::Batch(batch) => {
                    rows.extend(batch.records().column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
                }
                Event::CheckpointDue(_) => {
                    let checkpoint = store.next_id();
                    let state = first.checkpoint(checkpoint).await?;
                    let marker = LineageMarker::of(checkpoint, &state);
                    store.save(&JobState { checkpoint, sources: vec![state], pending: vec![] }).await?;
                    std::fs::write(&kept_apart, marker.to_string())?;
                    break; // It dies here: saved, but neither committed nor deleted.
                }
                _ => {}
            }
        }
        println!("first consumer: {rows:?}, {} messages still in the queue", server.counts("orders")?.undeleted);
    }

    let marker = std::fs::read_to_string(&kept_apart)?.parse()?;
    let (mut second, mut store) = (source(&server.endpoint(), &credentials, Some(marker)).await?, store(&dir)?);
    let saved = store.newest().await?.ok_or("a checkpoint was saved")?;
    second.restore(saved.checkpoint, saved.sources[0].clone()).await?;
    // Sinks with something staged would commit it here; then the source may delete.
    second.commit(saved.checkpoint).await?;
    second.stop().await;
    while let Some(event) = second.next().await? {
        if let Event::Batch(batch) = event {
            rows.extend(batch.records().column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        }
    }
    second.drain(Duration::from_secs(20)).await?;
    println!("second consumer: {rows:?}, {} messages left", server.counts("orders")?.undeleted);

    std::fs::remove_dir_all(&dir)?;
    std::fs::remove_file(&kept_apart)?;
    rows.sort();
    if rows != ["one", "three", "two"] || server.counts("orders")?.undeleted != 0 {
        return Err("a row was lost or repeated".into());
    }
    Ok(())
}
