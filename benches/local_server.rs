//! What the local server sustains: batched receives and deletes of 300-byte messages over loopback, eight connections, client and
//! server on the same machine as in a user's tests. `cargo bench -p headwater-benches --bench local_server`.

#[path = "process.rs"]
mod process;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater::{Clock as _, Credentials, DeleteOutcome, Queue as _, ReceiveRequest, SystemClock};
use headwater_mns_client::proto::NewMessage;
use headwater_mns_client::{Endpoint, MnsClient};
use headwater_mns_server::Server;
use tokio::task::JoinSet;

const QUEUE: &str = "q";
const MESSAGES: u64 = 320_000;
const CONNECTIONS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if std::env::args().any(|argument| argument == "--serve") {
        return runtime.block_on(serve());
    }
    let server = process::Background::start(&["--serve"])?;
    let cpu = process::cpu(server.id())?;
    let clock = SystemClock::new();
    let began = clock.now();
    runtime.block_on(consume(server.address()))?;
    let seconds = clock.now().since(began).as_secs_f64();
    let cpu = (process::cpu(server.id())? - cpu) / MESSAGES as f64;
    println!(
        "the local server: {:.0} messages a second received and deleted, {cpu:.2} CPU microseconds a message in the server",
        MESSAGES as f64 / seconds
    );
    Ok(())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let server = Server::builder().queue(QUEUE).start().await?;
    let text = "x".repeat(260);
    server.put(QUEUE, (0..MESSAGES).map(|n| NewMessage::new(format!("{{\"n\": {n}, \"text\": \"{text}\"}}"))))?;
    println!("{}", server.endpoint());
    std::future::pending().await
}

/// Receives and deletes until everything is deleted; an outcome that is not "deleted" ends the measurement.
async fn consume(endpoint: &str) -> Result<(), Box<dyn Error>> {
    let client = MnsClient::builder(Endpoint::parse(endpoint)?, Credentials::key("testid", "testsecret")).build()?;
    let deleted = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (queue, deleted) = (client.queue(QUEUE), Arc::clone(&deleted));
        tasks.spawn(async move {
            while deleted.load(Ordering::Relaxed) < MESSAGES {
                let received = queue.receive(ReceiveRequest { max: 16, wait: Duration::ZERO }).await?;
                let handles: Vec<_> = received.messages.into_iter().map(|message| message.handle).collect();
                let outcomes = queue.delete(&handles).await?;
                let done = outcomes.iter().filter(|outcome| **outcome == DeleteOutcome::Deleted).count();
                assert_eq!(done, handles.len(), "every delete of a live handle succeeds");
                deleted.fetch_add(done as u64, Ordering::Relaxed);
            }
            Ok::<_, headwater::QueueError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
