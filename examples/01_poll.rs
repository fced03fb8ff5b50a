//! Poll: read messages from a queue and delete what a checkpoint covers. Runs against the embedded MNS server, so it
//! needs no account: `cargo run --example 01_poll`.

#[path = "shared/local.rs"]
mod local;

use std::error::Error;

use headwater::{CheckpointId, Event, Format, MnsSource, Source};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, credentials) = local::server_with("orders", &["hello", "from", "a", "queue"]).await?;

    let mut source = MnsSource::builder()
        .endpoint(server.endpoint())
        .queue("orders")
        .credentials(credentials)
        .schema("body STRING".parse()?)
        .format(Format::raw())
        .option("pollingWaitTime", "1s")
        .option("checkpointMaxMessages", "4")
        .build()
        .await?;
    println!("{}", source.guarantee());

    let mut checkpoint = 0;
    while let Some(event) = source.next().await? {
        match event {
            Event::Batch(batch) => {
                for message in batch.messages() {
                    println!("message {}: {} row(s)", message.meta.id, message.rows.len());
                }
            }
            Event::CheckpointDue(reason) => {
                // Here a real consumer makes its results and this state durable; then, and only then, it commits.
                checkpoint += 1;
                let id = CheckpointId(checkpoint);
                let _state = source.checkpoint(id).await?;
                source.commit(id).await?;
                println!("checkpoint {checkpoint} committed ({})", reason.as_str());
                source.stop().await;
            }
            _ => {}
        }
    }
    source.drain(std::time::Duration::from_secs(20)).await?;
    println!("deleted {} messages", source.status().deleted);
    Ok(())
}
