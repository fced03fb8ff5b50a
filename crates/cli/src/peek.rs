//! `headwater peek`: looks at messages without leasing them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_mns_proto::{ErrorCode, Message};
use serde::Serialize;

use crate::args::PeekArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Stop};

/// What is printed of a message. Times are milliseconds since 1970 on the service's clock.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    message_id: &'a str,
    enqueue_time: u64,
    /// 0 for never.
    first_dequeue_time: u64,
    dequeue_count: u32,
    priority: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    user_properties: BTreeMap<&'a str, &'a str>,
    body_md5: &'a str,
    body: &'a str,
}

/// Prints what is visible, one JSON line a message.
pub(crate) async fn run(args: PeekArgs) -> Result<Exit, Stop> {
    let client = args.connect.client()?;
    let queue = &args.connect.queue;
    let messages = match client.peek(queue, args.max).await {
        Ok(messages) => messages,
        Err(error) if error.code() == Some(&ErrorCode::MessageNotExist) => Vec::new(),
        Err(error) => return Err(Failure::from(error).into()),
    };
    if messages.is_empty() {
        tracing::info!(queue, "no message is visible; leased and delayed ones cannot be seen");
    }
    for message in &messages {
        output::line(&shown(message, args.base64)?)?;
    }
    Ok(Exit::Done)
}

fn shown(message: &Message<'_>, base64: bool) -> Result<String, Failure> {
    // A body that is not what --base64 expects is shown as it is: looking must not fail.
    let decoded = base64.then(|| STANDARD.decode(message.body.trim_ascii()).ok()).flatten();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let body = String::from_utf8_lossy(&message.body);
    let properties = message.user_properties.iter().map(|p| (p.name.as_str(), p.value.as_str()));
    let shown = Shown {
        message_id: &message.id,
        enqueue_time: message.enqueue_time,
        first_dequeue_time: message.first_dequeue_time,
        dequeue_count: message.dequeue_count,
        priority: message.priority,
        message_group_id: message.message_group_id.as_deref(),
        user_properties: properties.collect(),
        body_md5: &message.body_md5,
        body: decoded.as_deref().unwrap_or(&body),
    };
    serde_json::to_string(&shown)
        .map_err(|error| Failure::because(Exit::Failed, "a message cannot be written as JSON", &error))
}
