//! SQL: a script becomes a job of sources, a plan and sinks, run exactly once into files. `cargo run --example 05_sql`.
//! (`headwater run job.sql` does the same from the command line.)

#[path = "shared/local.rs"]
mod local;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use headwater::job::fs::LocalFs;
use headwater::job::sinks;
use headwater::job::{BadRows, Input, Lineage, LocalStore, RunOptions, Runner, StoreOptions};
use headwater::{Connectors, JobContext, MnsSourceFactory, SystemClock};
use headwater_sql::{Job, MapVariables, Script};

const SCRIPT: &str = "
CREATE TEMPORARY TABLE orders (
    `userId` BIGINT,
    `action` STRING,
    `at` TIMESTAMP(3),
    `id` STRING METADATA FROM 'message-id'
) WITH (
    'connector' = 'mns', 'endpoint' = '${endpoint}', 'queueName' = 'orders', 'batchSize' = '16',
    'accessKeyId' = 'testid', 'accessKeySecret' = 'testsecret', 'format' = 'json'
);
CREATE TEMPORARY TABLE logins (`user` BIGINT, `day` STRING, `message` STRING) WITH (
    'connector' = 'filesystem', 'path' = '${out}', 'format' = 'json'
);
INSERT INTO logins SELECT userId, DATE_FORMAT(`at`, 'yyyy-MM-dd'), id FROM orders WHERE action = 'login';
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bodies = [
        r#"{"userId": 1, "action": "login", "at": "2026-11-20 08:00:00"}"#,
        r#"{"userId": 1, "action": "logout", "at": "2026-11-20 09:00:00"}"#,
        r#"{"userId": 2, "action": "login", "at": "2026-11-21 10:00:00"}"#,
    ];
    let (server, _) = local::server_with("orders", &bodies).await?;
    let dir = std::env::temp_dir().join(format!("headwater-example-sql-{}", std::process::id()));
    let out = dir.join("out").display().to_string();

    let variables: MapVariables = [("endpoint", server.endpoint()), ("out", out)].into_iter().collect();
    let script = Script::parse(SCRIPT, &variables)?;
    let connectors = Connectors { sources: vec![Arc::new(MnsSourceFactory::new())], sinks: sinks::factories() };
    let mut context = JobContext::new("example", Duration::from_secs(1));
    context.max_poll_wait = Some(Duration::from_secs(1));
    let planned = Job::plan(&script, &connectors, &context)?;

    // A real job takes a random lineage once; it is part of the names of its files.
    let lineage = Lineage(0x1234);
    let store = LocalStore::open(Arc::new(LocalFs::private()), dir.join("state"), &StoreOptions::new(lineage))?;
    let mut inputs = Vec::new();
    for source in &planned.sources {
        let made = source.factory.create(&source.request).await?;
        inputs.push(Input { table: source.request.table.clone(), source: made, bad_rows: BadRows::Fail });
    }
    let mut outputs = Vec::new();
    for sink in &planned.sinks {
        let mut request = sink.request.clone();
        request.lineage = lineage.to_string();
        outputs.push((request.table.clone(), sink.factory.create(&request).await?));
    }
    let mut options = RunOptions::default();
    options.until_idle = Some(Duration::from_secs(1));
    let plan = Box::new(planned.plan);
    let runner = Runner::new(inputs, plan, outputs, Box::new(store), SystemClock::shared(), options)?;
    let report = runner.run().await?;
    println!("rows: {:?}, checkpoints: {}", report.rows, report.checkpoints);

    let mut lines = Vec::new();
    for file in std::fs::read_dir(dir.join("out"))? {
        lines.extend(std::fs::read_to_string(file?.path())?.lines().map(str::to_owned));
    }
    for line in &lines {
        println!("{line}");
    }
    std::fs::remove_dir_all(&dir)?;
    if lines.len() == 2 { Ok(()) } else { Err(format!("{} rows, expected 2", lines.len()).into()) }
}
