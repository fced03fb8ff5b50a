//! How throughput grows with `pollers`: the local server with 20 ms of latency, receives of 16, deletes on, an exactly-once loop with durable
//! checkpoints, one process. Every run ends with each message handed out once and the queue empty, or the bench fails.
//! `cargo bench -p headwater-benches --bench pollers`.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use headwater::job::fs::LocalFs;
use headwater::job::{Lineage, LocalStore, StoreOptions};
use headwater::{CheckpointStore, Credentials, Event, Format, JobState, MnsSource, QueueSource, Source, SystemClock};
use headwater_mns_client::proto::{NewMessage, Operation};
use headwater_mns_server::{Faults, Server, ServerHandle, Span};

const LATENCY: u64 = 20;
const QUEUE: &str = "q";
/// What the issue of this project asks for, in messages a second.
const GOAL: f64 = 10_000.0;

struct Run {
    seconds: f64,
    messages: usize,
    receives: u64,
    deletes: u64,
    checkpoints: u64,
}

/// A server on threads of its own, with `messages` of 300 bytes in its queue.
async fn server(messages: usize) -> Result<ServerHandle, Box<dyn Error>> {
    let faults = Faults { latency_millis: Span::exactly(LATENCY), ..Faults::default() };
    let server = Server::builder().queue(QUEUE).faults(faults).start().await?;
    let text = "x".repeat(260);
    server.put(QUEUE, (0..messages).map(|n| NewMessage::new(format!("{{\"n\": {n}, \"text\": \"{text}\"}}"))))?;
    Ok(server)
}

async fn source(server: &ServerHandle, pollers: usize) -> Result<QueueSource, Box<dyn Error>> {
    let source = MnsSource::builder()
        .endpoint(server.endpoint())
        .queue(QUEUE)
        .credentials(Credentials::key("testid", "testsecret"))
        .schema("n BIGINT, text STRING".parse()?)
        .format(Format::json())
        .option("pollers", pollers.to_string())
        .build();
    Ok(source.await?)
}

async fn run(server: &ServerHandle, pollers: usize, messages: usize) -> Result<Run, Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("headwater-bench-{}-{pollers}", std::process::id()));
    let mut store = LocalStore::open(Arc::new(LocalFs::private()), &dir, &StoreOptions::new(Lineage(1)))?;
    let mut source = source(server, pollers).await?;
    let clock = SystemClock::shared();
    let (mut seen, mut checkpoints) = (HashSet::with_capacity(messages), 0);
    let began = clock.now();
    while seen.len() < messages {
        let due = match source.next().await?.ok_or("the source has ended")? {
            Event::Batch(batch) => {
                for message in batch.messages() {
                    if !seen.insert(message.meta.id.detached()) {
                        return Err(format!("message {} was handed out twice", message.meta.id).into());
                    }
                }
                seen.len() >= messages
            }
            Event::CheckpointDue(_) => true,
            _ => false,
        };
        if due {
            let checkpoint = store.next_id();
            let state = source.checkpoint(checkpoint).await?;
            store.save(&JobState { checkpoint, sources: vec![state], pending: vec![] }).await?;
            source.commit(checkpoint).await?;
            checkpoints += 1;
        }
    }
    server.until(|server| server.counts(QUEUE).is_ok_and(|counts| counts.undeleted == 0 && counts.visible == 0)).await;
    let seconds = clock.now().since(began).as_secs_f64();
    let (receives, deletes) =
        (server.requests(Operation::BatchReceiveMessage), server.requests(Operation::BatchDeleteMessage));
    let ids: HashSet<String> = seen.iter().map(ToString::to_string).collect();
    let deleted = server.deleted(QUEUE);
    if deleted.len() != messages || deleted.iter().any(|id| !ids.contains(id)) {
        return Err(format!("{} deletes of {messages} messages", deleted.len()).into());
    }
    source.drain(Duration::ZERO).await?;
    drop(store);
    std::fs::remove_dir_all(&dir)?;
    Ok(Run { seconds, messages, receives, deletes, checkpoints })
}

fn main() -> Result<(), Box<dyn Error>> {
    // The server's threads are not the source's, as its machine would not be.
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let sources = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{LATENCY} ms before every effect, receives and deletes of 16, messages of 300 bytes");
    println!("| pollers | messages/s | times | receives | deletes | messages | checkpoints | s |");
    println!("|---|---|---|---|---|---|---|---|");
    let (mut alone, mut best) = (0.0, 0.0f64);
    for pollers in [1, 2, 4, 8, 16, 32, 64] {
        let messages = (3_000 * pollers).min(120_000);
        let server = servers.block_on(server(messages))?;
        let run = sources.block_on(run(&server, pollers, messages))?;
        servers.block_on(server.shutdown());
        let rate = run.messages as f64 / run.seconds;
        if pollers == 1 {
            alone = rate;
        }
        best = best.max(rate);
        println!(
            "| {pollers} | {rate:.0} | {:.1} | {} | {} | {} | {} | {:.1} |",
            rate / alone,
            run.receives,
            run.deletes,
            run.messages,
            run.checkpoints,
            run.seconds
        );
    }
    println!("each message was handed out once and deleted once, the queue was empty after every run");
    if best < GOAL { Err(format!("{best:.0} messages a second, {GOAL} were to be reached").into()) } else { Ok(()) }
}
