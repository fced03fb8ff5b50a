//! What the messages hold: one record in four sizes and four formats, and an OSS event; and the answer they come in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_mns_client::proto::message_body_md5;

/// Messages in an answer.
pub(crate) const BATCH: usize = 16;
/// Where an id or handle is to be written.
pub(crate) const BLANK: &str = "00000000000000000000000000000000";

/// The columns of the record, for `json`, `csv` and `avro`.
const RECORD: &str = "orderId STRING, userId BIGINT, region STRING, action STRING, amount BIGINT, quantity BIGINT, \
                      createdAt TIMESTAMP(3), client ROW<ip STRING, agent STRING>, note STRING";
/// As above without nesting, which `csv` does not have.
const FLAT: &str = "orderId STRING, userId BIGINT, region STRING, action STRING, amount BIGINT, quantity BIGINT, \
                    createdAt TIMESTAMP(3), ip STRING, agent STRING, note STRING";
const EVENT: &str = "eventName STRING, eventTime TIMESTAMP(3), region STRING, ossBucketName STRING, ossObjectKey STRING, \
                     ossObjectSize BIGINT, ossObjectETag STRING, responseElementsRequestId STRING, \
                     requestParametersSourceIPAddress STRING, userIdentityPrincipalId STRING";

/// One kind of message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) format: &'static str,
    pub(crate) columns: &'static str,
    pub(crate) oss: bool,
    /// Length of the free text that makes up the size.
    note: usize,
    /// Messages of a sample, so that one takes about half a second.
    pub(crate) messages: u64,
}

const fn kind(name: &'static str, format: &'static str, columns: &'static str, note: usize, messages: u64) -> Kind {
    Kind { name, format, columns, oss: false, note, messages }
}

/// Every kind, in the order of the table.
pub(crate) const KINDS: &[Kind] = &[
    kind("json 300 B", "json", RECORD, 16, 160_000),
    Kind { oss: true, ..kind("OSS event 1.2 KB", "json", EVENT, 0, 160_000) },
    kind("json 4 KB", "json", RECORD, 3_780, 80_000),
    kind("json 48 KB", "json", RECORD, 47_700, 16_000),
    kind("csv 300 B", "csv", FLAT, 120, 160_000),
    kind("csv 4 KB", "csv", FLAT, 3_920, 80_000),
    kind("avro 300 B", "avro", RECORD, 150, 160_000),
    kind("avro 4 KB", "avro", RECORD, 3_940, 80_000),
    kind("raw 300 B", "raw", "body STRING", 265, 160_000),
    kind("raw 4 KB", "raw", "body STRING", 4_060, 80_000),
];

impl Kind {
    pub(crate) fn find(name: &str) -> Option<Self> {
        KINDS.iter().find(|kind| kind.name == name).copied()
    }

    /// Whether it is the one that other clients are measured with, too.
    pub(crate) fn is_first(&self) -> bool {
        self.name == KINDS[0].name
    }

    /// The name of its first column, which is text.
    pub(crate) fn first_column(&self) -> &'static str {
        self.columns.split(' ').next().unwrap_or_default()
    }

    /// The body of a message as it is on the wire: base64, as the service's SDKs send.
    pub(crate) fn body(&self, number: u64) -> String {
        STANDARD.encode(self.plain(number))
    }

    /// The answer to a receive in the service's shape, with blanks for ids and handles.
    pub(crate) fn answer(&self) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Messages xmlns=\"http://mns.aliyuncs.com/doc/v1/\">\n",
        );
        for number in 0..BATCH as u64 {
            let body = self.body(number);
            let md5 = message_body_md5(&body);
            xml.push_str(&format!(
                "  <Message>\n    <MessageId>{BLANK}</MessageId>\n    <ReceiptHandle>8-{BLANK}</ReceiptHandle>\n    \
                 <MessageBodyMD5>{md5}</MessageBodyMD5>\n    <MessageBody>{body}</MessageBody>\n    \
                 <EnqueueTime>1795255200000</EnqueueTime>\n    <NextVisibleTime>1795298400000</NextVisibleTime>\n    \
                 <FirstDequeueTime>1795255200123</FirstDequeueTime>\n    <DequeueCount>1</DequeueCount>\n    \
                 <Priority>8</Priority>\n  </Message>\n"
            ));
        }
        xml.push_str("</Messages>");
        xml
    }

    /// The body before it is base64.
    pub(crate) fn plain(&self, number: u64) -> Vec<u8> {
        let note = text(number, self.note);
        let (user, amount, quantity, ms) =
            (1_000_000 + number * 7_919, number * 31 % 100_000, number % 9 + 1, number % 1_000);
        let order = format!("order-{:08}", number * 104_729 % 100_000_000);
        let (agent, ip) = ("sdk/2.1 linux", format!("192.0.2.{}", number % 250));
        let region = "cn-hangzhou";
        match self.format {
            _ if self.oss => event(number).into_bytes(),
            "json" => format!(
                r#"{{"orderId":"{order}","userId":{user},"region":"{region}","action":"created","amount":{amount},"quantity":{quantity},"createdAt":"2026-11-21 10:00:00.{ms:03}","client":{{"ip":"{ip}","agent":"{agent}"}},"note":"{note}"}}"#
            )
            .into_bytes(),
            "csv" => format!(
                "{order},{user},{region},created,{amount},{quantity},2026-11-21 10:00:00.{ms:03},{ip},{agent},{note}"
            )
            .into_bytes(),
            "avro" => {
                let mut out = Vec::new();
                avro_text(&mut out, &order);
                avro_long(&mut out, user);
                avro_text(&mut out, region);
                avro_text(&mut out, "created");
                avro_long(&mut out, amount);
                avro_long(&mut out, quantity);
                avro_long(&mut out, 1_795_255_200_000 + ms);
                varint(&mut out, 2);
                avro_text(&mut out, &ip);
                avro_text(&mut out, agent);
                avro_text(&mut out, &note);
                out
            }
            _ => note.into_bytes(),
        }
    }
}

/// Text of a length, another for each number.
fn text(number: u64, length: usize) -> String {
    const WORDS: [&str; 8] = ["amber ", "basin ", "cinder ", "delta ", "ember ", "fjord ", "glacier ", "harbour "];
    let mut out = String::with_capacity(length + 8);
    let mut at = number;
    while out.len() < length {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.push_str(WORDS[(at >> 61) as usize]);
    }
    out.truncate(length);
    out
}

/// A value of a nullable Avro column: the second branch of its union.
fn avro_long(out: &mut Vec<u8>, value: u64) {
    varint(out, 2);
    varint(out, value << 1);
}

fn avro_text(out: &mut Vec<u8>, value: &str) {
    varint(out, 2);
    varint(out, (value.len() as u64) << 1);
    out.extend_from_slice(value.as_bytes());
}

/// An unsigned variable-length number, as Avro writes zigzag ones.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An upload, in the shape that OSS gives its events.
fn event(number: u64) -> String {
    let size = 1_000 + number % 1_000_000;
    serde_json::json!({ "events": [{
        "eventName": "ObjectCreated:PutObject",
        "eventSource": "acs:oss",
        "eventTime": format!("2026-11-21T10:00:{:02}.000Z", number % 60),
        "eventVersion": "1.0",
        "region": "cn-hangzhou",
        "oss": {
            "bucket": {
                "arn": "acs:oss:cn-hangzhou:1234567890123456:headwater-uploads",
                "name": "headwater-uploads",
                "ownerIdentity": "1234567890123456",
                "virtualBucket": "",
            },
            "object": {
                "deltaSize": size,
                "eTag": format!("{:032X}", 0x1b2_3c4d_u64 * (number + 1)),
                "key": format!("year=2026/month=11/day=21/sensor-{:04}/measurements-{:08}.parquet", number % 10_000, number),
                "size": size,
                "objectMeta": { "contentType": "application/octet-stream", "userMeta": { "x-oss-meta-origin": "gateway-7" } },
            },
            "ossSchemaVersion": "1.0",
            "ruleId": "uploads-to-processing",
        },
        "requestParameters": { "sourceIPAddress": "192.0.2.10" },
        "responseElements": { "requestId": format!("65{:022X}", number + 1) },
        "userIdentity": { "principalId": "1234567890123456" },
        "xVars": { "x:trace": format!("{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) },
    }]})
    .to_string()
}
