//! From SendMessage to the row on `print`, over loopback, idle, one message at a time.
//! `cargo bench -p headwater-benches --profile dev --bench print_latency` (or without `--profile dev`, after a release build).

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use headwater::job::fs::MemoryFs;
use headwater::job::sinks::print::PrintFactory;
use headwater::job::{BadRows, Input, Lineage, LocalStore, RunOptions, Runner, StoreOptions};
use headwater::{
    Clock, Credentials, Format, JobContext, MnsSource, Mono, Options, PassThrough, SinkFactory, SinkRequest, Source,
    SystemClock,
};
use headwater_mns_client::proto::NewMessage;
use headwater_mns_client::{Endpoint, MnsClient};
use headwater_mns_server::Server;

const MESSAGES: usize = 500;

/// Tells when something was written.
struct Stamp(Arc<dyn Clock>, Sender<Mono>);

impl Write for Stamp {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // The other end is gone only when the measurement is over.
        let _ = self.1.send(self.0.now());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = SystemClock::shared();
    let server = Server::builder().queue("q").start().await?;
    let key = Credentials::key("testid", "testsecret");
    let columns: headwater::RowType = "n BIGINT".parse()?;
    let source = MnsSource::builder()
        .endpoint(server.endpoint())
        .queue("q")
        .credentials(key.clone())
        .schema(columns.clone())
        .format(Format::json())
        .build()
        .await?;
    let (sender, written): (_, Receiver<Mono>) = channel();
    let print = PrintFactory::new(Stamp(Arc::clone(&clock), sender), std::io::sink());
    let request = SinkRequest {
        table: "print".into(),
        columns,
        partitioned_by: Vec::new(),
        options: Options::default(),
        context: JobContext::new("latency", Duration::from_secs(10)),
        lineage: String::new(),
    };
    let sink = print.create(&request).await?;
    let store = LocalStore::open(Arc::new(MemoryFs::new()), "/state", &StoreOptions::new(Lineage(1)))?;
    let plan = Box::new(PassThrough::new("print", source.schema()));
    let inputs = vec![Input { table: "q".into(), source: Box::new(source), bad_rows: BadRows::Fail }];
    let sinks = vec![("print".to_owned(), sink)];
    let runner = Runner::new(inputs, plan, sinks, Box::new(store), Arc::clone(&clock), RunOptions::default())?;
    let stopper = runner.stopper();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(runner.run());

    let client = MnsClient::builder(Endpoint::parse(&server.endpoint())?, key).build()?;
    let mut micros = Vec::with_capacity(MESSAGES);
    for n in 0..MESSAGES {
        server.until(|server| server.parked("q") > 0).await;
        let begun = clock.now();
        client.send("q", NewMessage::new(format!("{{\"n\": {n}}}"))).await?;
        let at = tokio::task::block_in_place(|| written.recv_timeout(Duration::from_secs(30)))?;
        micros.push(at.since(begun).as_micros());
        while written.try_recv().is_ok() {}
    }
    micros.sort_unstable();
    println!(
        "SendMessage to print, {MESSAGES} messages: median {} µs, p90 {} µs, p99 {} µs",
        micros[MESSAGES / 2],
        micros[MESSAGES * 9 / 10],
        micros[MESSAGES * 99 / 100]
    );
    stopper.stop();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
