//! What becomes of the bodies of a queue before the format reads them: every mode, told and named, whole and damaged.

use std::sync::Arc;

use headwater::formats::{BodyBuffers, BodyForm, BodyLayer, DecoderFactory, Format, MessageEncoding};
use headwater::mns::EnvelopeMode;

/// base64 of `{"id": 7}`, and its MD5.
const ENCODED: &str = "eyJpZCI6IDd9";
const ENCODED_MD5: &str = "6CAFB97584505B170DFBC0E13A0FA4E9";
const POINTER: &str = "#MNS_EXTENDED_OSS_MESSAGE_BODY#bucket-1:large-message-body-7f0c";

fn json(message: &str, md5: &str) -> String {
    format!(
        r#"{{"TopicOwner":"1","TopicName":"t1","Subscriber":"1","SubscriptionName":"s1","MessageId":"T7","Message":"{message}","MessageMD5":"{md5}","MessageTag":"new","PublishTime":"1642865171557"}}"#
    )
}

fn xml(message: &str, md5: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<Notification xmlns="http://mns.aliyuncs.com/doc/v1/"><TopicOwner>1</TopicOwner><TopicName>t1</TopicName><Subscriber>1</Subscriber><SubscriptionName>s1</SubscriptionName><MessageId>T7</MessageId><Message>{message}</Message><MessageMD5>{md5}</MessageMD5><MessageTag>new</MessageTag><PublishTime>1642865171557</PublishTime></Notification>"#
    )
}

fn event() -> String {
    r#"{"specversion": "1.0", "id": "e1", "type": "oss:ObjectCreated:PutObject", "source": "acs.oss", "data": {"id": 7}}"#
        .into()
}

struct Table {
    layer: BodyLayer,
    factory: Arc<dyn DecoderFactory>,
}

impl Table {
    fn new(encoding: &str, envelope: &str, columns: &str, format: &str) -> Self {
        let encoding = MessageEncoding::named(encoding).expect("an encoding");
        let columns = columns.parse().expect("columns");
        let opener = EnvelopeMode::named(envelope).expect("a mode").opener(encoding, &columns);
        let factory = Format::named(format).factory(&columns).expect("a format");
        Self { layer: BodyLayer::new(encoding, opener), factory }
    }

    /// The body for the format with what was undone, or the error.
    fn open(&self, body: &str) -> Result<String, String> {
        let mut buffers = BodyBuffers::default();
        let opened = self.layer.open(body.as_bytes(), &*self.factory, &mut buffers).map_err(|e| e.to_string())?;
        let mut shown = String::from_utf8_lossy(opened.body.unwrap_or(b"nothing")).into_owned();
        if opened.form == BodyForm::Base64 {
            shown.push_str(" | base64");
        }
        if let Some(kind) = opened.envelope() {
            shown = format!("{shown} | {}", kind.name());
        }
        Ok(shown)
    }
}

#[test]
fn every_mode_opens_what_it_names() {
    let hello = "5EB63BBBE01EEED093CB22BB8F5ACDC3";
    let (json_hello, xml_hello) = (json("hello world", hello), xml("hello world", hello));
    let (json_encoded, xml_encoded) = (json(ENCODED, ENCODED_MD5), xml(ENCODED, ENCODED_MD5));
    let event = event();
    let row = r#"{"id": 7}"#;
    for (encoding, envelope, body, expected) in [
        ("auto", "auto", row, Ok(row)),
        ("auto", "auto", ENCODED, Ok("{\"id\": 7} | base64")),
        ("auto", "auto", &json_hello, Ok("hello world | topic-json")),
        ("auto", "auto", &xml_hello, Ok("hello world | topic-xml")),
        ("auto", "auto", &json_encoded, Ok("{\"id\": 7} | base64 | topic-json")),
        ("auto", "auto", &xml_encoded, Ok("{\"id\": 7} | base64 | topic-xml")),
        ("raw", "auto", &xml_encoded, Ok("eyJpZCI6IDd9 | topic-xml")),
        ("base64", "auto", &json_encoded, Ok("{\"id\": 7} | base64 | topic-json")),
        ("base64", "auto", &json_hello, Err("the body is not base64")),
        ("auto", "auto", &event, Ok(&*event)),
        ("auto", "cloudevents", &event, Ok("{\"id\": 7} | cloudevents")),
        ("auto", "cloudevents", row, Err("it has no `specversion`")),
        ("auto", "cloudevents", "x", Err("the body is not a CloudEvent in JSON")),
        ("auto", "topic-json", &json_encoded, Ok("{\"id\": 7} | base64 | topic-json")),
        ("auto", "topic-json", &xml_hello, Err("the body is not a topic's envelope in JSON; set 'envelope' to")),
        ("auto", "topic-json", row, Err("has a Message and texts for fields")),
        ("auto", "topic-xml", &xml_hello, Ok("hello world | topic-xml")),
        ("auto", "topic-xml", &json_hello, Err("the body is not a topic's envelope in XML")),
        ("auto", "topic-xml", "<a/>", Err("has a Message and texts for fields")),
        ("auto", "none", &json_encoded, Ok(&*json_encoded)),
        ("auto", "none", ENCODED, Ok("{\"id\": 7} | base64")),
        ("raw", "none", &xml_hello, Ok(&*xml_hello)),
    ] {
        let found = Table::new(encoding, envelope, "id BIGINT", "json").open(body);
        let fits = match (&found, expected) {
            (Ok(found), Ok(expected)) => found == expected,
            (Err(found), Err(part)) => found.contains(part),
            _ => false,
        };
        assert!(fits, "{encoding} {envelope}\n{body}\n{found:?}\n{expected:?}");
    }
}

#[test]
fn fields_come_along() {
    let table = Table::new("auto", "auto", "id BIGINT", "json");
    let mut buffers = BodyBuffers::default();
    for body in [json(ENCODED, ENCODED_MD5), xml(ENCODED, ENCODED_MD5)] {
        let opened = table.layer.open(body.as_bytes(), &*table.factory, &mut buffers).expect("an envelope");
        let fields = opened.fields.expect("fields");
        assert_eq!(fields.topic.as_deref(), Some("t1"));
        assert_eq!((fields.topic_message_id.as_deref(), fields.tag.as_deref()), (Some("T7"), Some("new")));
        assert_eq!((fields.publish_time, fields.event_id), (Some(1_642_865_171_557), None));
    }
}

#[test]
fn rows_that_look_a_little_like_envelopes_stay_rows() {
    let table = Table::new("auto", "auto", "id STRING", "json");
    for body in [
        r#"{"TopicName":"t","Message":"m"}"#,
        r#"{"TopicName":"t","MessageMD5":"m","Message":"m"}"#,
        r#"{"envelope":{"TopicOwner":"1","TopicName":"t1","SubscriptionName":"s","MessageId":"i","Message":"m","MessageMD5":"x","PublishTime":"1"}}"#,
        r#"{"TopicOwner":"1","TopicName":"t1","SubscriptionName":"s","MessageId":"i","Message":{"a":1},"MessageMD5":"x","PublishTime":"1"}"#,
        r#"{"TopicName":"t","MessageMD5":"#,
        "<Notification><text>TopicName</text></Notification>",
        "<Notice><TopicName>t</TopicName></Notice>",
    ] {
        assert_eq!(table.open(body), Ok(body.to_owned()));
    }
}

#[test]
fn a_table_that_reads_the_envelope_itself_is_left_to_it() {
    let body = json("hello world", "5EB63BBBE01EEED093CB22BB8F5ACDC3");
    for (columns, opens) in [
        ("TopicName STRING, Message STRING", false),
        ("MessageMD5 STRING", false),
        ("Message STRING, MessageId STRING", true),
    ] {
        let found = Table::new("auto", "auto", columns, "json").open(&body).expect("a body");
        assert_eq!(found.ends_with("topic-json"), opens, "{columns}");
    }
    let named = Table::new("auto", "topic-json", "TopicName STRING", "json").open(&body).expect("a body");
    assert!(named.ends_with("topic-json"));
    let pointer = Table::new("auto", "auto", "TopicName STRING", "json").open(POINTER);
    assert!(pointer.expect_err("a pointer").contains("pointer"));
}

#[test]
fn a_damaged_envelope_is_never_passed_on_as_text() {
    let hello = "5EB63BBBE01EEED093CB22BB8F5ACDC3";
    let (json, xml) = (json("hello world", hello), xml("hello world", hello));
    let unclosed = xml.replace("</PublishTime>", "</MessagePublishTime>");
    let (changed_json, changed_xml) = (json.replace("hello", "HELLO"), xml.replace("hello", "HELLO"));
    let bare = xml.replace("<Message>hello world</Message>", "");
    for (body, says) in [
        (&*unclosed, "the topic's envelope is not well-formed XML from here on; set 'envelope' to none"),
        (&xml[..xml.len() - 30], "not well-formed XML"),
        (&json[..json.len() - 3], "the topic's envelope is not JSON from here on"),
        (&*changed_json, "its MessageMD5 does not fit its Message"),
        (&*changed_xml, "its MessageMD5 does not fit its Message"),
        (&*bare, "which has a Message"),
    ] {
        let named = if body.starts_with('<') { "topic-xml" } else { "topic-json" };
        for envelope in ["auto", named] {
            let error = Table::new("auto", envelope, "text STRING", "raw").open(body).expect_err(body);
            assert!(error.contains(says), "{envelope} {body}: {error}");
            assert!(!error.contains("hello"), "no content: {error}");
        }
        let kept = Table::new("auto", "none", "text STRING", "raw").open(body);
        assert_eq!(kept.as_deref(), Ok(body), "the way out works");
    }
}

#[test]
fn pointers_are_reported_unless_bodies_are_left_alone_altogether() {
    for (encoding, envelope) in [
        ("auto", "auto"),
        ("base64", "auto"),
        ("raw", "auto"),
        ("auto", "none"),
        ("raw", "topic-json"),
        ("auto", "cloudevents"),
    ] {
        let table = Table::new(encoding, envelope, "text STRING", "raw");
        for body in [POINTER, "#MNS_EXTENDED_OSS_MESSAGE_BODY#no-colon"] {
            let error = table.open(body).expect_err("a pointer");
            assert!(error.contains("pointer to an oversized message"), "{encoding} {envelope}: {error}");
            assert!(!error.contains("bucket-1"), "no content: {error}");
        }
    }
    let inside = json(POINTER, "");
    let inside = inside.replace(r#""MessageMD5":"","#, "");
    let error = Table::new("auto", "topic-json", "text STRING", "raw").open(&inside).expect_err("a pointer");
    assert!(error.contains("pointer"), "{error}");
    assert_eq!(Table::new("raw", "none", "text STRING", "raw").open(POINTER).as_deref(), Ok(POINTER));
    for body in ["#MNS_EXTENDED_OSS_MESSAGE_BODY", " #MNS_EXTENDED_OSS_MESSAGE_BODY#b:k", "text"] {
        assert_eq!(Table::new("auto", "auto", "text STRING", "raw").open(body).as_deref(), Ok(body));
    }
}

/// Every cut and every changed byte of every kind of body, in every mode: an answer, never a panic, and never a changed
/// message out of an envelope that carries its MD5.
#[test]
fn any_damage_is_answered() {
    let hello = "5EB63BBBE01EEED093CB22BB8F5ACDC3";
    let bodies = [json("hello world", hello), xml("hello world", hello), event(), POINTER.into(), ENCODED.into()];
    let tables: Vec<Table> = ["auto", "none", "topic-xml", "topic-json", "cloudevents"]
        .iter()
        .flat_map(|envelope| ["auto", "base64", "raw"].map(|e| Table::new(e, envelope, "text BYTES", "raw")))
        .collect();
    let mut buffers = BodyBuffers::default();
    for body in bodies.iter().map(String::as_bytes) {
        for at in 0..body.len() {
            let mut damaged = vec![body[..at].to_vec()];
            for byte in [0, b'"', b'<', b'>', b'&', b'\\', b'}', b'=', 0xC3, 0xFF] {
                let mut body = body.to_vec();
                body[at] = byte;
                damaged.push(body);
            }
            for (body, table) in damaged.iter().flat_map(|body| tables.iter().map(move |table| (body, table))) {
                if let Ok(opened) = table.layer.open(body, &*table.factory, &mut buffers)
                    && let Some(kind) = opened.envelope()
                    && kind.name() != "cloudevents"
                    && String::from_utf8_lossy(body).contains(hello)
                    && String::from_utf8_lossy(body).contains("MessageMD5")
                {
                    assert!(opened.body == Some(b"hello world"), "{}", body.escape_ascii());
                }
            }
        }
    }
}
