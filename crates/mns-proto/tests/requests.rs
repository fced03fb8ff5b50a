//! The recorded requests of three clients, read as a server reads them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use headwater_mns_proto::{
    ErrorCode, ListQueues, NewMessage, Operation, PropertyType, QueueSettings, Request, ServiceError,
    content_md5_matches,
};
use support::{pairs, records, text};

const FILES: [&str; 3] = ["sign_v2_python", "sign_v2_node_alicloud", "sign_v2_node_ali_mns"];

fn read_record(record: &serde_json::Value) -> Result<Request, ServiceError> {
    let headers = pairs(&record["headers"]);
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Request::read(text(record, "method"), text(record, "request_target"), headers, text(record, "body").as_bytes())
}

/// The first word of a record's name is the operation, for the queue API.
fn operation_of(record: &serde_json::Value) -> Option<Operation> {
    let word = text(record, "operation").split_whitespace().next().unwrap();
    Operation::ALL.iter().copied().find(|operation| operation.name() == word)
}

#[test]
fn every_recorded_request_is_understood() {
    let (mut queue_api, mut topics) = (0, 0);
    for record in FILES.iter().flat_map(|file| records(file)) {
        let name = text(&record, "operation");
        match operation_of(&record) {
            Some(operation) => {
                let request = read_record(&record).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(request.operation(), operation, "{name}");
                queue_api += 1;
            }
            None => {
                assert_eq!(read_record(&record).unwrap_err().code, ErrorCode::InvalidRequestURL, "{name}");
                topics += 1;
            }
        }
    }
    assert_eq!((queue_api, topics), (59, 7));
}

#[test]
fn what_is_read_is_written_to_be_read_again() {
    for record in FILES.iter().flat_map(|file| records(file)).filter(|record| operation_of(record).is_some()) {
        let request = read_record(&record).unwrap();
        let wire = request.write().unwrap();
        let headers = wire.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let body = wire.body.as_deref().unwrap_or_default();
        let again = Request::read(wire.method.as_str(), &wire.target, headers, body.as_bytes());
        assert_eq!(again, Ok(request), "{}", text(&record, "operation"));
    }
}

#[test]
fn recorded_digests_fit_their_bodies_in_both_forms() {
    let mut forms = std::collections::BTreeMap::<String, usize>::new();
    for record in FILES.iter().flat_map(|file| records(file)) {
        *forms.entry(text(&record, "content_md5_form").to_owned()).or_default() += 1;
        let headers = pairs(&record["headers"]);
        let Some((_, digest)) = headers.iter().find(|(name, _)| name == "content-md5") else { continue };
        let body = text(&record, "body").as_bytes();
        assert!(content_md5_matches(digest.as_bytes(), body), "{}", text(&record, "operation"));
        assert!(!content_md5_matches(digest.as_bytes(), b"another body"));
    }
    assert!(forms["base64_of_hex_lower"] > 0 && forms["base64_of_raw_digest"] > 0, "{forms:?}");
}

#[test]
fn the_python_client_means_what_it_says() {
    let by_name = |name: &str| {
        let record = records("sign_v2_python").into_iter().find(|record| text(record, "operation") == name);
        read_record(&record.unwrap_or_else(|| panic!("no record {name}"))).unwrap()
    };
    let queue = || "q1".to_owned();
    let settings = QueueSettings {
        visibility_timeout: Some(60),
        maximum_message_size: Some(10_240),
        message_retention_period: Some(259_200),
        delay_seconds: Some(5),
        polling_wait_seconds: Some(10),
        logging_enabled: Some(true),
    };
    assert_eq!(by_name("CreateQueue (all attributes)"), Request::CreateQueue { queue: queue(), settings });
    assert_eq!(by_name("SetQueueAttributes"), Request::SetQueueAttributes { queue: queue(), settings });
    assert_eq!(
        by_name("CreateQueue (SDK default QueueMeta)"),
        Request::CreateQueue { queue: queue(), settings: QueueSettings::default() }
    );
    let batch = |batch, wait_seconds| Request::ReceiveMessage { queue: queue(), batch, wait_seconds };
    assert_eq!(by_name("ReceiveMessage (no wait)"), batch(None, None));
    assert_eq!(by_name("ReceiveMessage (waitseconds=0)"), batch(None, Some(0)));
    assert_eq!(by_name("BatchReceiveMessage (16, wait 30)"), batch(Some(16), Some(30)));
    assert_eq!(by_name("BatchPeekMessage (16)"), Request::PeekMessage { queue: queue(), batch: Some(16) });
    let receipt_handle = "MbZj6wDWli+QEauMZc8ZRv37sIW2iJKq3M9Mx/KSbkJ0".to_owned();
    assert_eq!(
        by_name("DeleteMessage (handle with + and /)"),
        Request::DeleteMessage { queue: queue(), receipt_handle }
    );
    let mut message = NewMessage::new("你好 <a&b> \"q\"");
    assert_eq!(
        by_name("SendMessage (raw, non-ASCII, XML specials)"),
        Request::SendMessage { queue: queue(), message: message.clone() }
    );
    message.body = "aGVsbG8gd29ybGQ=".into();
    message.delay_seconds = Some(10);
    message.priority = Some(1);
    assert_eq!(by_name("SendMessage (delay+priority)"), Request::SendMessage { queue: queue(), message });
    let Request::ListQueues(ListQueues { prefix, limit, marker, .. }) =
        by_name("ListQueue (prefix, ret number, marker)")
    else {
        panic!("not a listing")
    };
    assert!(prefix.is_some() && limit.is_some() && marker.is_some());
    let Request::SendMessage { message, .. } = by_name("SendMessage (user + system properties, MessageGroupId)") else {
        panic!("not a send")
    };
    assert_eq!(message.message_group_id.as_deref(), Some("g1"));
    let kinds: Vec<_> = message.user_properties.iter().map(|property| property.kind.clone()).collect();
    assert_eq!(kinds, [PropertyType::String, PropertyType::Number, PropertyType::Boolean, PropertyType::Binary]);
    assert_eq!(message.system_properties[0].name, "traceparent");
}

fn read(method: &str, target: &str, body: &str) -> Result<Request, (ErrorCode, String)> {
    Request::read(method, target, [], body.as_bytes()).map_err(|error| (error.code, error.message))
}

#[test]
fn percent_encoded_handles_are_decoded_and_names_have_no_case() {
    let delete = |target: &str| match read("DELETE", target, "") {
        Ok(Request::DeleteMessage { receipt_handle, .. }) => receipt_handle,
        other => panic!("{other:?}"),
    };
    assert_eq!(delete("/queues/q/messages?ReceiptHandle=1-a%3D%3D"), "1-a==");
    assert_eq!(delete("/queues/q/messages?receipthandle=a+b/c%2B"), "a+b/c+");
    assert_eq!(
        read("PUT", "//queues/q/messages?receiptHandle=h&visibilityTimeout=60", "").unwrap(),
        Request::ChangeMessageVisibility { queue: "q".into(), receipt_handle: "h".into(), visibility_timeout: 60 }
    );
}

#[test]
fn handles_are_sent_encoded_and_parameters_spelt_as_known() {
    let queue = || "q".to_owned();
    let receipt_handle = "a+/= &b".to_owned();
    let target = |request: Request| request.write().unwrap().target;
    assert_eq!(
        target(Request::DeleteMessage { queue: queue(), receipt_handle: receipt_handle.clone() }),
        "/queues/q/messages?ReceiptHandle=a%2B%2F%3D%20%26b"
    );
    assert_eq!(
        target(Request::ChangeMessageVisibility { queue: queue(), receipt_handle, visibility_timeout: 9 }),
        "/queues/q/messages?ReceiptHandle=a%2B%2F%3D%20%26b&VisibilityTimeout=9"
    );
    assert_eq!(
        target(Request::PeekMessage { queue: queue(), batch: Some(3) }),
        "/queues/q/messages?peekonly=true&numOfMessages=3"
    );
}

#[test]
fn a_body_xml_cannot_carry_is_refused_by_the_writer_and_the_reader() {
    let message = NewMessage::new("ab\u{1}");
    let refused = Request::SendMessage { queue: "q".into(), message }.write().unwrap_err();
    assert!(refused.to_string().contains("position 3"), "{refused}");
    let (code, _) =
        read("POST", "/queues/q/messages", "<Message><MessageBody>a&#1;</MessageBody></Message>").unwrap_err();
    assert_eq!(code, ErrorCode::MalformedXML);
}

#[test]
fn bad_requests_get_the_error_of_the_documents() {
    use ErrorCode::*;
    let messages = "/queues/q/messages";
    let cases: &[(&str, &str, &str, ErrorCode)] = &[
        ("GET", "/queues/q/messages?numOfMessages=0", "", InvalidArgument),
        ("GET", "/queues/q/messages?numOfMessages=17", "", InvalidArgument),
        ("GET", "/queues/q/messages?numOfMessages=many", "", InvalidArgument),
        ("GET", "/queues/q/messages?waitseconds=31", "", InvalidArgument),
        ("GET", "/queues/q/messages?waitseconds=-1", "", InvalidArgument),
        ("GET", "/queues/q/messages?peekonly=true&numOfMessages=17", "", InvalidArgument),
        ("DELETE", messages, "", MissingReceiptHandle),
        ("DELETE", "/queues/q/messages?ReceiptHandle=", "", MissingReceiptHandle),
        ("DELETE", messages, "<ReceiptHandles/>", InvalidArgument),
        ("DELETE", messages, "<Handles><ReceiptHandle>a</ReceiptHandle></Handles>", InvalidArgument),
        ("DELETE", messages, "<ReceiptHandles><ReceiptHandle>a</ReceiptHandles>", MalformedXML),
        ("PUT", "/queues/q/messages?VisibilityTimeout=1", "", MissingReceiptHandle),
        ("PUT", "/queues/q/messages?ReceiptHandle=h", "", MissingVisibilityTimeout),
        ("PUT", "/queues/q/messages?ReceiptHandle=h&VisibilityTimeout=0", "", InvalidArgument),
        ("PUT", "/queues/q/messages?ReceiptHandle=h&VisibilityTimeout=43201", "", InvalidArgument),
        ("POST", messages, "", MalformedXML),
        ("POST", messages, "<Message>", MalformedXML),
        ("POST", messages, "<Message><MessageBody>a</MessageBody></Message><x/>", MalformedXML),
        ("POST", messages, "<!DOCTYPE m><Message><MessageBody>a</MessageBody></Message>", MalformedXML),
        ("POST", messages, "<Message><MessageBody>&nbsp;</MessageBody></Message>", MalformedXML),
        ("POST", messages, "<Message/>", InvalidArgument),
        ("POST", messages, "<Messages/>", InvalidArgument),
        ("POST", messages, "<Message><MessageBody><a/></MessageBody></Message>", InvalidArgument),
        ("POST", messages, "<Message><MessageBody>a</MessageBody><Priority>17</Priority></Message>", InvalidArgument),
        ("POST", messages, "<Message><MessageBody>a</MessageBody><Priority>x</Priority></Message>", InvalidArgument),
        ("PUT", "/queues/q", "<Queue><VisibilityTimeout>0</VisibilityTimeout></Queue>", InvalidArgument),
        ("PUT", "/queues/q", "<Queue><MaximumMessageSize>1023</MaximumMessageSize></Queue>", InvalidArgument),
        ("PUT", "/queues/-q", "", InvalidQueueName),
        ("PUT", "/queues/a_b", "", InvalidQueueName),
        ("PATCH", "/queues/q", "", InvalidRequestURL),
        ("GET", "/", "", InvalidRequestURL),
        ("GET", "/queues/q/messages/m", "", InvalidRequestURL),
        ("GET", "/queues/q/messages?ReceiptHandle=%FF", "", InvalidQueryString),
    ];
    for (method, target, body, code) in cases {
        match read(method, target, body) {
            Err((have, _)) => assert_eq!(&have, code, "{method} {target} {body}"),
            Ok(request) => panic!("{method} {target} {body} was read as {request:?}"),
        }
    }
    let long = format!("/queues/{}", "a".repeat(121));
    assert_eq!(read("PUT", &long, "").unwrap_err().0, QueueNameLengthError);
    let (_, text) = read("GET", "/queues/q/messages?numOfMessages=17", "").unwrap_err();
    assert_eq!(text, "The value of numOfMessages should between 1 and 16.");
}

#[test]
fn batches_have_their_limits() {
    let batch = |count: usize, body: &str| {
        let messages = format!("<Message><MessageBody>{body}</MessageBody></Message>").repeat(count);
        read("POST", "/queues/q/messages", &format!("<Messages>{messages}</Messages>"))
    };
    assert!(batch(16, &"a".repeat(4_096)).is_ok());
    assert_eq!(batch(16, &"a".repeat(4_097)).unwrap_err().0, ErrorCode::InvalidArgument);
    assert_eq!(batch(17, "a").unwrap_err().0, ErrorCode::InvalidArgument);
    let handles = "<ReceiptHandle>h</ReceiptHandle>".repeat(17);
    let deletes = format!("<ReceiptHandles>{handles}</ReceiptHandles>");
    assert_eq!(read("DELETE", "/queues/q/messages", &deletes).unwrap_err().0, ErrorCode::InvalidArgument);
}

#[test]
fn a_request_too_long_or_too_deep_is_refused() {
    let long = "x".repeat(headwater_mns_proto::numbers::MAX_REQUEST_BODY + 1);
    assert_eq!(read("POST", "/queues/q/messages", &long).unwrap_err().0, ErrorCode::InvalidArgument);
    let deep = format!("<Message>{}{}</Message>", "<a>".repeat(1_000), "</a>".repeat(1_000));
    assert_eq!(read("POST", "/queues/q/messages", &deep).unwrap_err().0, ErrorCode::MalformedXML);
}
