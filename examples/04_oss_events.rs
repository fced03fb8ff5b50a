//! OSS events: upload notifications as flat rows, plain or base64, nested or not. `cargo run --example 04_oss_events`.

#[path = "shared/local.rs"]
mod local;

use std::error::Error;

use headwater::arrow::array::{Array, AsArray};
use headwater::arrow::datatypes::Int64Type;
use headwater::{Event, Format, MnsSource, Source};

const UPLOAD: &str = r#"{"events":[{"eventName":"ObjectCreated:PutObject","eventSource":"acs:oss",
 "eventTime":"2026-11-20T08:00:00.000Z","eventVersion":"1.0","region":"cn-hangzhou",
 "oss":{"bucket":{"arn":"acs:oss:cn-hangzhou:1234567890123456:photos","name":"photos","ownerIdentity":"1234567890123456",
 "virtualBucket":""},"object":{"deltaSize":2048,"eTag":"5B3C1A2E053D763E1B002CC607C5A0FE","key":"2026/a+b %2F c.jpg",
 "size":2048},"ossSchemaVersion":"1.0","ruleId":"uploads"},"requestParameters":{"sourceIPAddress":"203.0.113.7"},
 "responseElements":{"requestId":"65A1F0E2B4C3D2A190871234"},"userIdentity":{"principalId":"1234567890123456"}}]}"#;

// The same event for another object, as base64 text: what the OSS guide says arrives in a queue.
const REMOVAL_BASE64: &str = "eyJldmVudHMiOlt7ImV2ZW50TmFtZSI6Ik9iamVjdFJlbW92ZWQ6RGVsZXRlT2JqZWN0IiwiZXZlbnRUaW1lIjoiMjAyNi0xMS0yMFQwODowMDowMVoiLCJvc3MiOnsiYnVja2V0Ijp7Im5hbWUiOiJwaG90b3MifSwib2JqZWN0Ijp7ImtleSI6Im9sZC5qcGciLCJzaXplIjoiNyJ9fX1dfQ==";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, credentials) = local::server_with("oss-events", &[UPLOAD, REMOVAL_BASE64]).await?;
    let mut source = MnsSource::builder()
        .endpoint(server.endpoint())
        .queue("oss-events")
        .credentials(credentials)
        .schema("eventName STRING, ossObjectKey STRING, ossObjectSize BIGINT, eventTime TIMESTAMP(3)".parse()?)
        .format(Format::json())
        .option("messageType", "OSS")
        .build()
        .await?;

    let mut rows = 0;
    while rows < 2 {
        let Some(Event::Batch(batch)) = source.next().await? else { continue };
        let records = batch.records();
        let (names, keys) = (records.column(0).as_string::<i32>(), records.column(1).as_string::<i32>());
        let sizes = records.column(2).as_primitive::<Int64Type>();
        for row in 0..names.len() {
            // The key is the object's own text: it is never URL-decoded.
            println!("{} {:?} ({} bytes)", names.value(row), keys.value(row), sizes.value(row));
        }
        rows += records.num_rows();
    }
    Ok(())
}
