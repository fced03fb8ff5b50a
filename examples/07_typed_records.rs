//! Typed records: rows of a queue as values of your own type, as a stream that takes its checkpoints itself.
//! `cargo run --example 07_typed_records`.

#[path = "shared/local.rs"]
mod local;

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use headwater::job::fs::LocalFs;
use headwater::job::{Lineage, LocalStore, StoreOptions};
use headwater::{Format, MnsSource, SourceRecords, StreamError, row_type_of};

#[derive(Debug, serde::Deserialize)]
struct Order {
    id: u32,
    customer: Option<String>,
    items: Vec<Item>,
}

#[derive(Debug, serde::Deserialize)]
struct Item {
    sku: String,
    price: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bodies = [
        r#"[{"id": 1, "customer": "ann", "items": [{"sku": "a-7", "price": 12.5}]}, {"id": 2, "items": []}]"#,
        r#"{"id": -3, "items": []}"#, // No u32: an error of its own, and the stream goes on.
        r#"{"id": 4, "items": [{"sku": "b-1", "price": 1}, {"sku": "b-2", "price": 2}]}"#,
    ];
    let (server, credentials) = local::server_with("orders", &bodies).await?;
    let dir = std::env::temp_dir().join(format!("headwater-records-{}", std::process::id()));
    let mut store = LocalStore::open(Arc::new(LocalFs::private()), &dir, &StoreOptions::new(Lineage(0x1234)))?;

    let source = MnsSource::builder()
        .endpoint(server.endpoint())
        .queue("orders")
        .credentials(credentials)
        .schema(row_type_of::<Order>()?)
        .format(Format::json())
        .option("pollingWaitTime", "1s")
        .option("checkpointMaxMessages", "3")
        .build()
        .await?;
    let mut records = source.records::<Order>();
    records.resume(&mut store).await?;

    let mut orders = Vec::new();
    let mut stream = pin!(records.stream(&mut store));
    // A checkpoint covers what was returned before it; the values up to here are done with when the next is asked for.
    while orders.len() < bodies.len() {
        match stream.next().await {
            Some(Ok(order)) => orders.push(order),
            Some(Err(StreamError::Record(error))) => println!("left out: {error}"),
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
    }
    for Order { id, customer, items } in &orders {
        let total = items.iter().fold(0.0, |sum, item| sum + item.price);
        let skus: Vec<&str> = items.iter().map(|item| item.sku.as_str()).collect();
        println!("order {id} of {}: {} for {total}", customer.as_deref().unwrap_or("nobody"), skus.join(", "));
    }
    Ok(())
}
