//! To Arrow: JSON bodies become typed columns, with metadata columns beside them. `cargo run --example 02_to_arrow`.

#[path = "shared/local.rs"]
mod local;

use std::error::Error;

use headwater::arrow::array::AsArray;
use headwater::arrow::datatypes::Int64Type;
use headwater::{Event, Format, MetadataColumn, MnsSource, RowType, Source};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bodies = [
        r#"{"userId": 1, "action": "login", "timestamp": "2026-11-20 08:00:00.250", "payload": {"ip": "10.0.0.1"}}"#,
        // base64 of {"userId": 2, "action": "logout"}: some SDKs encode, some do not; both may share a queue.
        "eyJ1c2VySWQiOiAyLCAiYWN0aW9uIjogImxvZ291dCJ9",
    ];
    let (server, credentials) = local::server_with("events", &bodies).await?;

    let columns: RowType = "userId BIGINT, action STRING, `timestamp` TIMESTAMP(3), payload STRING".parse()?;
    let id: RowType = "message_id STRING".parse()?;
    let mut source = MnsSource::builder()
        .endpoint(server.endpoint())
        .queue("events")
        .credentials(credentials)
        .schema(columns)
        .metadata(MetadataColumn {
            name: "message_id".into(),
            key: "message-id".into(),
            data_type: id.fields()[0].data_type.clone(),
        })
        .format(Format::json().option("ignore-parse-errors", "true"))
        .build()
        .await?;

    let mut rows = 0;
    while rows < bodies.len() {
        let Some(Event::Batch(batch)) = source.next().await? else { continue };
        let records = batch.records();
        rows += records.num_rows();
        let users = records.column(0).as_primitive::<Int64Type>();
        let actions = records.column(1).as_string::<i32>();
        for row in 0..records.num_rows() {
            println!("user {} did {}", users.value(row), actions.value(row));
        }
        println!("{} columns: {}", records.num_columns(), records.schema());
    }
    // Dropping the source stops it and loses nothing: nothing was committed, so nothing was deleted.
    Ok(())
}
