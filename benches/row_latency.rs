//! From SendMessage to the row handed out, over loopback, idle, one message at a time, one poll parked.
//! `cargo bench -p headwater-benches --bench row_latency`.
//!
//! The clock starts before the request is made and stops when `next` has returned the batch, in one process; the server has
//! threads of its own. What it shows includes the sender's request and the server's part, as whoever waits for a row sees it.

use std::error::Error;

use headwater::{
    CheckpointId, Clock as _, Credentials, Event, Format, MnsSource, Mono, QueueSource, Source, SystemClock,
};
use headwater_mns_client::proto::NewMessage;
use headwater_mns_client::{Endpoint, MnsClient};
use headwater_mns_server::{Server, ServerHandle};

const QUEUE: &str = "q";
const WARM_UP: usize = 200;
const MESSAGES: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = servers.block_on(Server::builder().queue(QUEUE).start())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut micros = runtime.block_on(measure(&server))?;
    micros.sort_unstable();
    println!(
        "SendMessage to the row, {MESSAGES} messages: median {} µs, p90 {} µs, p99 {} µs, longest {} µs",
        micros[MESSAGES / 2],
        micros[MESSAGES * 9 / 10],
        micros[MESSAGES * 99 / 100],
        micros[MESSAGES - 1]
    );
    servers.block_on(server.shutdown());
    Ok(())
}

async fn measure(server: &ServerHandle) -> Result<Vec<u128>, Box<dyn Error>> {
    let key = Credentials::key("testid", "testsecret");
    let builder = MnsSource::builder().endpoint(server.endpoint()).queue(QUEUE).credentials(key.clone());
    let mut source = builder.schema("n BIGINT".parse()?).format(Format::json()).build().await?;
    let client = MnsClient::builder(Endpoint::parse(&server.endpoint())?, key).build()?;
    let clock = SystemClock::new();
    let mut micros = Vec::with_capacity(MESSAGES);
    for n in 0..WARM_UP + MESSAGES {
        // A poll parks once the one before has ended: only then does a message meet it.
        let parked = async {
            server.until(|server| server.parked(QUEUE) > 0).await;
            let begun = clock.now();
            client.send(QUEUE, NewMessage::new(format!("{{\"n\": {n}}}"))).await.map(|_| begun)
        };
        let (row, begun) = futures::future::join(row(&mut source, &clock), parked).await;
        if n >= WARM_UP {
            micros.push(row?.since(begun?).as_micros());
        }
    }
    Ok(micros)
}

/// When the next row is there. Checkpoints that are due meanwhile are made and committed, as a job would.
async fn row(source: &mut QueueSource, clock: &SystemClock) -> Result<Mono, Box<dyn Error>> {
    loop {
        match source.next().await?.ok_or("the source has ended")? {
            Event::Batch(_) => return Ok(clock.now()),
            Event::CheckpointDue(_) => {
                let id = CheckpointId(clock.now().0.as_micros().try_into()?);
                source.checkpoint(id).await?;
                source.commit(id).await?;
            }
            _ => {}
        }
    }
}
