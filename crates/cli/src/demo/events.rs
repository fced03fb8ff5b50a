//! Invented OSS events in the shape that real ones have in a queue.

use headwater_mns_proto::NewMessage;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Name, key and size of each event. Two are no uploads.
const EVENTS: [(&str, &str, u64); 12] = [
    ("ObjectCreated:PutObject", "photos/2026/11/dawn.jpg", 482_113),
    ("ObjectCreated:PostObject", "photos/2026/11/harbour.jpg", 1_204_882),
    ("ObjectCreated:PutObject", "报表/十一月.csv", 18_204),
    ("ObjectCreated:CompleteMultipartUpload", "video/launch.mp4", 734_003_200),
    ("ObjectRemoved:DeleteObject", "photos/2026/10/blurred.jpg", 0),
    ("ObjectCreated:CopyObject", "archive/dawn.jpg", 482_113),
    ("ObjectCreated:AppendObject", "logs/app.log", 65_536),
    ("ObjectCreated:PutObject", "a+b %2F c.txt", 12),
    ("ObjectDownloaded:GetObject", "photos/2026/11/dawn.jpg", 482_113),
    ("ObjectCreated:PutSymlink", "latest", 0),
    ("ObjectCreated:PutObject", "models/weights-0001.bin", 2_147_483_648),
    ("ObjectCreated:PutObject", "models/weights-0002.bin", 2_147_483_648),
];

/// The bucket of all events.
const BUCKET: &str = "headwater-demo";

/// How many of the events are uploads.
pub(super) fn uploads() -> usize {
    EVENTS.iter().filter(|(name, ..)| name.starts_with("ObjectCreated:")).count()
}

/// The messages, every other one encoded as the service itself does, the rest plain as some senders do.
pub(super) fn messages() -> Vec<NewMessage> {
    let bodies = EVENTS.iter().enumerate().map(|(i, event)| {
        let body = body(i, event);
        NewMessage::new(if i % 2 == 0 { STANDARD.encode(body) } else { body })
    });
    bodies.collect()
}

fn body(number: usize, (name, key, size): &(&str, &str, u64)) -> String {
    let event = serde_json::json!({ "events": [{
        "eventName": name,
        "eventSource": "acs:oss",
        "eventTime": format!("2026-11-20T08:{:02}:{:02}.000Z", 10 + number, 5 * number),
        "eventVersion": "1.0",
        "region": "cn-hangzhou",
        "oss": {
            "bucket": {
                "arn": format!("acs:oss:cn-hangzhou:123456789:{BUCKET}"),
                "name": BUCKET,
                "ownerIdentity": "123456789",
                "virtualBucket": "",
            },
            "object": {
                "deltaSize": size,
                "eTag": format!("{:032X}", 0x1b2_3c4d_u64 * (number as u64 + 1)),
                "key": key,
                "size": size,
            },
            "ossSchemaVersion": "1.0",
            "ruleId": "uploads",
        },
        "requestParameters": { "sourceIPAddress": "192.0.2.10" },
        "responseElements": { "requestId": format!("65{:022X}", number + 1) },
        "userIdentity": { "principalId": "123456789" },
    }]});
    event.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_bodies_are_plain_json() {
        let messages = messages();
        let plain = messages.iter().filter(|m| m.body.starts_with('{')).count();
        assert_eq!((messages.len(), plain, uploads()), (12, 6, 10));
        for message in &messages {
            let body = message.body.clone().into_bytes();
            let text = if body[0] == b'{' { body } else { STANDARD.decode(body).unwrap() };
            let event: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(event["events"][0]["oss"]["bucket"]["name"], BUCKET);
        }
    }
}
