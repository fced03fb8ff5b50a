//! What topics put into queues: the recorded bodies, envelopes written otherwise, and broken ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use headwater_mns_proto::{Notification, NotificationError, message_body_md5};
use proptest::prelude::*;
use support::{records, text};

#[test]
fn recorded_bodies_are_read() {
    let mut seen = 0;
    for record in records("topic_to_queue_bodies") {
        let body = text(&record, "queue_body");
        let (xml, json) = (Notification::resembles_xml(body), Notification::resembles_json(body.as_bytes()));
        let notification = match text(&record, "format") {
            "XML" => Notification::from_xml(body),
            "JSON" => Notification::from_json(body),
            _ => {
                assert!(!xml && !json, "a simplified body is no envelope: {body}");
                continue;
            }
        }
        .unwrap();
        seen += 1;
        assert_eq!((xml, json), (text(&record, "format") == "XML", text(&record, "format") == "JSON"));
        assert!(notification.is_complete() && notification.check_md5().is_ok(), "{notification:?}");
        // "…, publisher encodes base64": the note of the record, not its text.
        let plain = text(&record, "published") == "hello world";
        assert_eq!(&*notification.message, if plain { "hello world" } else { "aGVsbG8gd29ybGQ=" });
        assert_eq!(notification.message_tag.as_deref(), plain.then_some("tagA"));
        assert_eq!(notification.topic_name.as_deref(), Some("t1"));
        assert_eq!(notification.message_id.as_deref(), Some("772F147D01E504307FCF712CF461D5D2"));
        assert_eq!(notification.publish_time, Some(1_642_865_171_557));
    }
    assert_eq!(seen, 3);
}

#[test]
fn xml_is_told_by_names_alone() {
    let body = "\u{feff}<!-- by hand --><m:Notification xmlns:m='urn:other'>\n <m:PublishTime> 7 </m:PublishTime>\
                <Message><![CDATA[{\"a\": \"<b>\"}]]>&#x41;&amp;\r\n</Message><New><Message>no</Message></New>\
                <TopicName></TopicName></m:Notification>\n";
    assert!(Notification::resembles_xml(body));
    let notification = Notification::from_xml(body).unwrap();
    assert_eq!(&*notification.message, "{\"a\": \"<b>\"}A&\r\n");
    assert_eq!((notification.publish_time, notification.topic_name.as_deref()), (Some(7), Some("")));
    assert_eq!(notification.message_md5, None);
    assert!(!notification.is_complete());
}

#[test]
fn xml_that_is_broken_or_something_else_is_told_apart() {
    // The documentation's own example closes an element by another name.
    let broken = "<Notification xlmns=\"http://mns.aliyuncs.com/doc/v1/\"><TopicName>t</TopicName><Message>m</Message>\
                  <PublishTime>1449556920975</MessagePublishTime></Notification>";
    assert!(Notification::resembles_xml(broken));
    let Err(NotificationError::Xml { at }) = Notification::from_xml(broken) else { panic!("it is broken") };
    assert!(broken[at as usize..].starts_with("</MessagePublishTime>"), "{at}");
    for (body, resembles, error) in [
        ("<Notification><TopicName>t</TopicName></Notification>", true, "not a topic's notification"),
        ("<Notification><TopicName>t</TopicName><Message><a/></Message></Notification>", true, "not a topic's"),
        ("<Notification><TopicName>t</TopicName><Message>m", true, "not well-formed"),
        ("<Notification><Message>m</Message></Notification><TopicName></TopicName>", true, "not well-formed"),
        ("<Order><TopicName>Notification</TopicName></Order>", false, "not a topic's notification"),
        ("<Notification><text>TopicName</text></Notification>", false, "not a topic's notification"),
        ("<!DOCTYPE x><Notification><TopicName>t</TopicName></Notification>", false, "not well-formed"),
        ("TopicName <Notification>", false, "not well-formed"),
        ("", false, "not a topic's notification"),
    ] {
        assert_eq!(Notification::resembles_xml(body), resembles, "{body}");
        let text = Notification::from_xml(body).unwrap_err().to_string();
        assert!(text.contains(error), "{body}: {text}");
    }
}

#[test]
fn json_is_told_by_its_fields() {
    let full = "{\"TopicOwner\":\"1\",\"TopicName\":\"t\",\"Subscriber\":\"1\",\"SubscriptionName\":\"s\",\"MessageId\":\"i\",\
                \"Message\":\"a\\n\\u00e9\",\"MessageMD5\":\"x\",\"MessageTag\":null,\"PublishTime\":7,\"New\":[{}]}";
    assert!(Notification::resembles_json(full.as_bytes()));
    let notification = Notification::from_json(full).unwrap();
    assert_eq!((&*notification.message, notification.publish_time), ("a\n\u{e9}", Some(7)));
    assert!(notification.is_complete());
    assert_eq!(notification.check_md5(), Err(NotificationError::Md5));
    let cut = &full[..full.len() - 10];
    assert_eq!(Notification::from_json(cut), Err(NotificationError::Json { at: cut.len() - 1 }));
    assert!(Notification::names_all_fields(cut.as_bytes()));
    for (body, resembles, error) in [
        ("{\"TopicName\":\"t\",\"MessageMD5\":\"x\"}", true, NotificationError::Other),
        ("{\"Message\":{},\"TopicName\":\"t\",\"MessageMD5\":\"x\"}", true, NotificationError::Other),
        ("{\"in\":{\"TopicName\":\"t\",\"Message\":\"m\",\"MessageMD5\":\"x\"}}", true, NotificationError::Other),
        ("[{\"TopicName\":\"t\",\"MessageMD5\":\"x\"}]", false, NotificationError::Other),
        ("{\"topicName\":\"t\"}", false, NotificationError::Other),
        ("{\n\"a\":1,\n!", false, NotificationError::Json { at: 9 }),
    ] {
        assert_eq!(Notification::resembles_json(body.as_bytes()), resembles, "{body}");
        assert_eq!(Notification::from_json(body), Err(error), "{body}");
    }
}

/// Wherever the text stands among the fields, and however long it is.
#[test]
fn the_fields_are_found_around_a_text_of_any_length() {
    let fields = [r#""TopicName":"t""#, r#""MessageMD5":"x""#, r#""PublishTime":7"#];
    for length in [0, 3_000, 4_096, 8_150, 8_210, 60_000] {
        let text = format!(r#""Message":"{}""#, "a".repeat(length));
        for place in 0..=fields.len() {
            let mut all = fields.to_vec();
            all.insert(place, &text);
            let body = format!("{{{}}}", all.join(","));
            assert!(Notification::resembles_json(body.as_bytes()), "{length} at {place}");
        }
        let own = format!(r#"{{"a":"{0}","TopicName":"t","MessageMD5":"x","b":"{0}"}}"#, "a".repeat(length));
        assert_eq!(Notification::resembles_json(own.as_bytes()), length < 4_096, "{length}");
    }
}

#[test]
fn debug_shows_no_text() {
    let shown = format!("{:?}", Notification::from_json("{\"Message\":\"secret\",\"TopicName\":\"t\"}").unwrap());
    assert!(shown.contains("\"t\"") && !shown.contains("secret"), "{shown}");
}

proptest! {
    /// Whatever is cut off or overwritten, both readers answer, and a damaged text is noticed.
    #[test]
    fn damaged_envelopes_are_answered(which in 0_usize..3, at in 0_usize..600, byte in any::<u8>(), cut in any::<bool>()) {
        let records = records("topic_to_queue_bodies");
        let mut body = text(&records[which], "queue_body").as_bytes().to_vec();
        let at = at % body.len();
        if cut { body.truncate(at) } else { body[at] = byte }
        let body = String::from_utf8_lossy(&body);
        Notification::resembles_xml(&body);
        Notification::resembles_json(body.as_bytes());
        for read in [Notification::from_xml(&body), Notification::from_json(&body)].into_iter().flatten() {
            let fits = read.message_md5.as_deref().is_none_or(|md5| md5.trim().eq_ignore_ascii_case(&message_body_md5(&*read.message)));
            prop_assert_eq!(read.check_md5().is_ok(), fits);
        }
    }
}
