//! The recorded answers, read as two official clients read them, and odd ones that they do not understand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use headwater_mns_proto::{
    ErrorClass, ErrorCode, Failure, Message, Operation, OversizedPointer, Property, QueueAttributes, QueueCreation,
    Received, answer, content_md5, content_md5_of_hex, message_body_md5,
};
use serde_json::{Value, json};
use support::{records, text, vectors};

/// What was read, in the form of the official Node client, which gives every element as text.
fn read(op: &str, status: u16, body: &[u8]) -> Result<Value, Failure> {
    Ok(match op {
        "receive" | "receive_raw" => json!(answer::received(status, body)?.first().map(received)),
        "batch_receive" => json!(answer::received(status, body)?.iter().map(received).collect::<Vec<_>>()),
        "peek" => json!(answer::peeked(status, body)?.first().map(message)),
        "batch_peek" => json!(answer::peeked(status, body)?.iter().map(message).collect::<Vec<_>>()),
        "send" => sent(&answer::sent(status, body)?),
        "batch_send" => answer::batch_sent(status, body)?
            .iter()
            .map(|outcome| match outcome {
                Ok(one) => sent(one),
                Err(failure) => json!({"ErrorCode": failure.code.as_str(), "ErrorMessage": failure.message}),
            })
            .collect(),
        "delete" => json!(answer::done(status, body).map(|()| Value::Null)?),
        "batch_delete" => answer::batch_deleted(status, body)?
            .iter()
            .map(|failure| {
                json!({"ErrorCode": failure.code.as_str(), "ErrorMessage": failure.message,
                       "ReceiptHandle": failure.receipt_handle})
            })
            .collect(),
        "change_visibility" => {
            let changed = answer::visibility_changed(status, body)?;
            let time = changed.next_visible_time.to_string();
            json!({"ReceiptHandle": changed.receipt_handle, "NextVisibleTime": time})
        }
        "get_queue" => attributes(&answer::queue_attributes(status, body)?),
        "list_queue" => {
            let list = answer::queue_list(status, body)?;
            list.queues.iter().map(|queue| json!({"QueueURL": queue.url})).collect()
        }
        "create_queue" => match answer::queue_created(status, body)? {
            QueueCreation::Created => json!("created"),
            _ => json!("existed"),
        },
        other => panic!("unknown operation {other}"),
    })
}

fn received(received: &Received<'_>) -> Value {
    let mut value = message(&received.message);
    value["ReceiptHandle"] = json!(received.receipt_handle);
    value["NextVisibleTime"] = json!(received.next_visible_time.to_string());
    value
}

fn message(message: &Message<'_>) -> Value {
    let mut value = json!({
        "MessageId": message.id, "MessageBodyMD5": message.body_md5, "MessageBody": body_text(message),
        "EnqueueTime": message.enqueue_time.to_string(), "FirstDequeueTime": message.first_dequeue_time.to_string(),
        "DequeueCount": message.dequeue_count.to_string(), "Priority": message.priority.to_string(),
    });
    let property = |p: &Property| json!({"Name": p.name, "Value": p.value, "Type": p.kind.as_str()});
    let list = |item: &str, list: &[Property]| json!([{item: list.iter().map(property).collect::<Vec<_>>()}]);
    if !message.user_properties.is_empty() {
        value["UserProperties"] = list("PropertyValue", &message.user_properties);
    }
    if !message.system_properties.is_empty() {
        value["SystemProperties"] = list("SystemPropertyValue", &message.system_properties);
    }
    if let Some(group) = &message.message_group_id {
        value["MessageGroupId"] = json!(group);
    }
    value
}

fn sent(sent: &headwater_mns_proto::SentMessage) -> Value {
    let mut value = json!({"MessageId": sent.id, "MessageBodyMD5": sent.body_md5});
    if let Some(handle) = &sent.receipt_handle {
        value["ReceiptHandle"] = json!(handle);
    }
    value
}

fn attributes(queue: &QueueAttributes) -> Value {
    json!({
        "QueueName": queue.queue_name, "CreateTime": queue.create_time.to_string(),
        "LastModifyTime": queue.last_modify_time.to_string(), "DelaySeconds": queue.delay_seconds.to_string(),
        "MaximumMessageSize": queue.maximum_message_size.to_string(),
        "MessageRetentionPeriod": queue.message_retention_period.to_string(),
        "VisibilityTimeout": queue.visibility_timeout.to_string(),
        "PollingWaitSeconds": queue.polling_wait_seconds.to_string(),
        "ActiveMessages": queue.active_messages.to_string(), "InactiveMessages": queue.inactive_messages.to_string(),
        "DelayMessages": queue.delay_messages.to_string(),
        "LoggingEnabled": if queue.logging_enabled { "True" } else { "False" },
    })
}

fn operation(op: &str) -> Operation {
    match op {
        "receive" | "receive_raw" => Operation::ReceiveMessage,
        "batch_receive" => Operation::BatchReceiveMessage,
        "peek" => Operation::PeekMessage,
        "batch_peek" => Operation::BatchPeekMessage,
        "delete" => Operation::DeleteMessage,
        "change_visibility" => Operation::ChangeMessageVisibility,
        "create_queue" => Operation::CreateQueue,
        _ => Operation::BatchDeleteMessage,
    }
}

#[test]
fn every_recorded_answer_means_what_the_official_clients_make_of_it() {
    let all = records("responses");
    assert_eq!(all.len(), 44);
    for record in &all {
        let (op, name) = (text(record, "op"), text(record, "name"));
        let status = u16::try_from(record["status"].as_u64().unwrap()).unwrap();
        let answer = read(op, status, text(record, "body").as_bytes());
        let (python, node) = (&record["official_python_1_3_0"], &record["official_node_1_2_0"]);
        match (op, answer) {
            ("create_queue", Ok(outcome)) => {
                assert_eq!(outcome, if status == 201 { "created" } else { "existed" }, "{name}");
            }
            ("receive" | "receive_raw" | "batch_receive" | "peek" | "batch_peek", Ok(Value::Null)) => {
                assert_eq!(text(python, "type"), "MessageNotExist", "{op} {name}");
            }
            ("batch_receive" | "batch_peek", Ok(Value::Array(list))) if list.is_empty() => {
                assert_eq!(text(python, "type"), "MessageNotExist", "{op} {name}");
            }
            (_, Ok(value)) => {
                // Node leaves out the body of an empty answer; an unknown element is not for us.
                let mut expected = node["returned"]["body"].clone();
                if let Some(object) = expected.as_object_mut() {
                    object.remove("SomethingNew");
                }
                let value = if value == json!([]) { Value::Null } else { value };
                assert_eq!(value, expected, "{op} {name}");
            }
            (_, Err(Failure::Service(error))) => {
                assert_eq!(error.code.as_str(), text(python, "type"), "{op} {name}");
                assert_eq!(error.message, text(python, "message"), "{op} {name}");
                assert_eq!(error.request_id.as_deref(), python["req_id"].as_str(), "{op} {name}");
                assert_eq!(error.host_id.as_deref(), python["host_id"].as_str(), "{op} {name}");
                assert_eq!(error.status, status);
            }
            (_, Err(failure)) => {
                assert_eq!(text(python, "type"), "RespDataDamaged", "{op} {name}: {failure}");
                assert_eq!(failure.class(operation(op)), ErrorClass::Retry, "{op} {name}: {failure}");
            }
        }
    }
}

#[test]
fn recorded_failures_have_their_class() {
    for (name, class) in [
        ("missing queue", ErrorClass::Fatal),
        ("bad handle", ErrorClass::Gone),
        ("expired handle, 404 form", ErrorClass::Gone),
        ("message gone or handle expired", ErrorClass::Gone),
        ("whole request refused", ErrorClass::Fatal),
        ("signature mismatch", ErrorClass::Fatal),
        ("unknown access key", ErrorClass::Fatal),
        ("denied", ErrorClass::Fatal),
        ("clock skew", ErrorClass::Fatal),
        ("throttled", ErrorClass::Retry),
        ("internal", ErrorClass::Retry),
        ("gateway HTML instead of XML", ErrorClass::Retry),
        ("error with slashless namespace", ErrorClass::Fatal),
    ] {
        let record = records("responses").into_iter().find(|record| text(record, "name") == name).unwrap();
        let (op, status) = (text(&record, "op"), u16::try_from(record["status"].as_u64().unwrap()).unwrap());
        let failure = read(op, status, text(&record, "body").as_bytes()).unwrap_err();
        assert_eq!(failure.class(operation(op)), class, "{name}: {failure}");
    }
}

#[test]
fn recorded_bodies_fit_their_digests() {
    let mut checked = 0;
    for record in records("responses").iter().filter(|record| text(record, "op").contains("receive")) {
        let status = u16::try_from(record["status"].as_u64().unwrap()).unwrap();
        for received in answer::received(status, text(record, "body").as_bytes()).unwrap_or_default() {
            assert_eq!(message_body_md5(&received.message.body), received.message.body_md5, "{}", text(record, "name"));
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn a_page_of_queues_keeps_its_marker_and_names() {
    let find = |name: &str| records("responses").into_iter().find(|record| text(record, "name") == name).unwrap();
    let page = find("page with NextMarker");
    let list = answer::queue_list(200, text(&page, "body").as_bytes()).unwrap();
    assert_eq!(list.next_marker.as_deref(), page["official_python_1_3_0"]["returned"][1].as_str());
    assert_eq!(list.queues[0].name(), "q1");
    let last = find("last page, empty");
    assert_eq!(answer::queue_list(200, text(&last, "body").as_bytes()).unwrap().next_marker, None);
}

const MESSAGE: &str = "<MessageId>m</MessageId><ReceiptHandle>h</ReceiptHandle><MessageBodyMD5>x</MessageBodyMD5>\
    <MessageBody>b</MessageBody><EnqueueTime>1</EnqueueTime><NextVisibleTime>2</NextVisibleTime>\
    <FirstDequeueTime>3</FirstDequeueTime><DequeueCount>4</DequeueCount><Priority>5</Priority>";

fn body_text(message: &Message<'_>) -> String {
    String::from_utf8(message.body.to_vec()).expect("text")
}

fn body_of(xml: &str) -> Result<String, Failure> {
    answer::received(200, xml.as_bytes()).map(|list| body_text(&list[0].message))
}

#[test]
fn prefixes_order_entities_and_mixed_text_are_read() {
    assert_eq!(body_of(&format!("<Message>{MESSAGE}</Message>")).unwrap(), "b");
    assert_eq!(
        body_of(&format!("\u{feff}<?xml version='1.0'?><!-- c --><Message>{MESSAGE}</Message>\n")).unwrap(),
        "b"
    );
    let prefixed = MESSAGE.replace("</", "</m:").replace('<', "<m:").replace("<m:/m:", "</m:");
    assert_eq!(body_of(&format!("<m:Message xmlns:m='urn:x'>{prefixed}</m:Message>")).unwrap(), "b");
    for (escaped, meant) in [
        ("a&amp;&lt;&gt;&quot;&apos;&#65;&#x42;z", "a&<>\"'ABz"),
        ("a<![CDATA[<b>&amp;]]>c", "a<b>&amp;c"),
        ("<!-- no -->a<!-- no -->b", "ab"),
        (" \r\n\t", " \r\n\t"),
        ("", ""),
    ] {
        let xml = format!("<Message>{}</Message>", MESSAGE.replace(">b<", &format!(">{escaped}<")));
        assert_eq!(body_of(&xml).unwrap(), meant, "{escaped:?}");
    }
    let xml = format!("<Message>{}</Message>", MESSAGE.replace("<MessageBody>b</MessageBody>", "<MessageBody/>"));
    assert_eq!(body_of(&xml).unwrap(), "");
}

#[test]
fn a_plain_body_is_borrowed_from_the_answer() {
    let xml = format!("<Message>{MESSAGE}</Message>");
    let list = answer::received(200, xml.as_bytes()).unwrap();
    assert!(matches!(list[0].message.body, std::borrow::Cow::Borrowed(b"b")));
}

#[test]
fn damage_is_unreadable_and_never_a_shorter_list() {
    let whole = format!("<Messages><Message>{MESSAGE}</Message><Message>{MESSAGE}</Message></Messages>");
    assert_eq!(answer::received(200, whole.as_bytes()).unwrap().len(), 2);
    for end in 0..whole.len() {
        let failure = answer::received(200, &whole.as_bytes()[..end]).unwrap_err();
        assert!(matches!(failure, Failure::Unreadable { .. }), "cut at {end}: {failure}");
        assert_eq!(failure.class(Operation::BatchReceiveMessage), ErrorClass::Unreadable);
    }
    for (from, to) in [
        ("<MessageId>m</MessageId>", ""),
        ("<MessageId>m</MessageId>", "<MessageId/>"),
        ("<MessageId>m</MessageId>", "<MessageId>m</MessageId><MessageId>n</MessageId>"),
        ("<ReceiptHandle>h</ReceiptHandle>", ""),
        ("<MessageBody>b</MessageBody>", ""),
        ("<MessageBody>b</MessageBody>", "<MessageBody><b/></MessageBody>"),
        ("<MessageBody>b</MessageBody>", "<MessageBody>&nbsp;</MessageBody>"),
        ("<MessageBody>b</MessageBody>", "<MessageBody>b</messageBody>"),
        ("<NextVisibleTime>2</NextVisibleTime>", ""),
        ("<EnqueueTime>1</EnqueueTime>", "<EnqueueTime>-1</EnqueueTime>"),
        ("<DequeueCount>4</DequeueCount>", "<DequeueCount>99999999999</DequeueCount>"),
    ] {
        let damaged = whole.replacen(from, to, 1);
        let failure = answer::received(200, damaged.as_bytes()).unwrap_err();
        assert!(matches!(failure, Failure::Unreadable { .. }), "{from} -> {to}: {failure}");
    }
    let mut not_utf8 = whole.clone().into_bytes();
    not_utf8[60] = 0xFF;
    assert!(matches!(answer::received(200, &not_utf8), Err(Failure::Unreadable { .. })));
    assert!(answer::received(200, format!("{whole}<x/>").as_bytes()).is_err());
}

#[test]
fn unreadable_answers_never_quote_messages() {
    let secret = "top-secret-body";
    let xml = format!("<Message><MessageBody>{secret}</MessageBody><EnqueueTime>{secret}</EnqueueTime></Message>");
    let failure = answer::received(200, xml.as_bytes()).unwrap_err();
    assert!(!format!("{failure} {failure:?}").contains(secret), "{failure:?}");
    let good = format!("<Message>{}</Message>", MESSAGE.replace(">b<", &format!(">{secret}<")));
    assert!(!format!("{:?}", answer::received(200, good.as_bytes())).contains(secret));
}

#[test]
fn foreign_answers_are_judged_by_their_status() {
    let html = b"<html><body>no</body></html>";
    for (status, class) in [
        (500, ErrorClass::Retry),
        (502, ErrorClass::Retry),
        (429, ErrorClass::Retry),
        (408, ErrorClass::Retry),
        (301, ErrorClass::Fatal),
        (403, ErrorClass::Fatal),
        (407, ErrorClass::Fatal),
        (404, ErrorClass::Unreadable),
        (418, ErrorClass::Unreadable),
        (200, ErrorClass::Unreadable),
    ] {
        for body in [&html[..], b"", b"\xFF\x00", b"<Error></Error>", b"<Messages>"] {
            let failure = answer::received(status, body).unwrap_err();
            assert_eq!(failure.class(Operation::ReceiveMessage), class, "{status} {body:?}: {failure}");
        }
    }
}

#[test]
fn root_and_code_decide_whatever_the_status() {
    let error = "<Error><Code>QueueNotExist</Code></Error>";
    for status in [200, 204, 400, 404, 500] {
        for op in ["receive", "peek", "send", "batch_send", "delete", "batch_delete", "get_queue", "create_queue"] {
            match read(op, status, error.as_bytes()) {
                Err(Failure::Service(error)) => assert_eq!(error.code, ErrorCode::QueueNotExist),
                other => panic!("{op} {status}: {other:?}"),
            }
        }
        let entry = "<Errors><Error><ErrorCode>ReceiptHandleError</ErrorCode><ErrorMessage>m</ErrorMessage>\
            <ReceiptHandle>h</ReceiptHandle></Error></Errors>";
        let failures = answer::batch_deleted(status, entry.as_bytes()).unwrap();
        assert_eq!(failures[0].receipt_handle, "h");
        assert_eq!(failures[0].class(), ErrorClass::Gone);
        for none in ["<Errors/>", "<Errors></Errors>", "<Errors><Other/></Errors>"] {
            // Something failed, and nothing says what.
            let failure = answer::batch_deleted(status, none.as_bytes()).unwrap_err();
            assert_eq!(failure.class(Operation::BatchDeleteMessage), ErrorClass::Unreadable, "{status} {none}");
        }
    }
    assert!(answer::batch_deleted(200, b"<Errors><Error><ErrorCode>X</ErrorCode></Error></Errors>").is_err());
    assert!(answer::done(404, b"").is_err());
    assert!(answer::done(200, b" \n").is_ok());
}

#[test]
fn answers_longer_than_the_limit_are_not_read() {
    let long = vec![b' '; headwater_mns_proto::numbers::MAX_RECEIVE_RESPONSE + 1];
    let failure = answer::received(200, &long).unwrap_err();
    assert!(failure.to_string().contains("6554624"), "{failure}");
    assert!(answer::queue_attributes(200, &long[..headwater_mns_proto::numbers::MAX_SHORT_RESPONSE + 1]).is_err());
}

#[test]
fn deep_nesting_is_an_error_and_not_a_stack() {
    let deep = format!("<Message>{MESSAGE}<New>{}", "<a>".repeat(100_000));
    let failure = answer::received(200, deep.as_bytes()).unwrap_err();
    assert!(failure.to_string().contains("deep"), "{failure}");
}

#[test]
fn digests_are_those_of_the_vectors() {
    for record in records("md5") {
        let body = text(&record, "text");
        assert_eq!(content_md5(body.as_bytes()), text(&record, "content_md5_base64_of_raw"));
        assert_eq!(content_md5_of_hex(body.as_bytes()), text(&record, "content_md5_base64_of_hex"));
        assert_eq!(message_body_md5(body), text(&record, "message_body_md5"));
    }
}

#[test]
fn identifiers_travel_unchanged() {
    let identifiers = vectors("identifiers");
    let ids = identifiers["message_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
    let handles = identifiers["receipt_handles"].as_array().unwrap().iter().map(|handle| text(handle, "value"));
    for (id, handle) in ids.cycle().zip(handles) {
        let xml = MESSAGE.replace(">m<", &format!(">{id}<")).replace(">h<", &format!(">{handle}<"));
        let xml = format!("<Message>{xml}</Message>");
        let list = answer::received(200, xml.as_bytes()).unwrap();
        assert_eq!((list[0].message.id.as_ref(), list[0].receipt_handle.as_ref()), (id, handle));
    }
}

#[test]
fn oversized_pointers_are_recognised() {
    assert_eq!(text(&vectors("oversized_pointer"), "prefix"), headwater_mns_proto::OVERSIZED_PREFIX);
    for record in records("oversized_pointer") {
        let expected = record["bucket"].as_str().zip(record["object_key"].as_str());
        let pointer = OversizedPointer::parse(text(&record, "queue_body"));
        assert_eq!(pointer.map(|pointer| (pointer.bucket, pointer.object_key)), expected);
    }
}

#[test]
fn a_peek_shows_what_is_no_text_and_a_receive_hands_it_on() {
    let elements = "<MessageId>m</MessageId><ReceiptHandle>h</ReceiptHandle><MessageBodyMD5>x</MessageBodyMD5><MessageBody>a?b</MessageBody>\
        <EnqueueTime>1</EnqueueTime><NextVisibleTime>2</NextVisibleTime><FirstDequeueTime>3</FirstDequeueTime><DequeueCount>4</DequeueCount>\
        <Priority>5</Priority>";
    let text = format!("<Messages><Message>{elements}</Message></Messages>");
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    let body = |read: Result<Vec<Message<'_>>, Failure>| read.unwrap()[0].body.to_vec();
    assert_eq!(body(answer::peeked(200, text.as_bytes())), b"a?b");
    assert_eq!(body(answer::peeked(200, &bytes)), "a\u{fffd}b".as_bytes());
    assert_eq!(answer::received(200, &bytes).unwrap()[0].message.body.to_vec(), b"a\xffb");
}
