//! Whatever one side writes the other reads back, and no bytes at all make a reader panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::borrow::Cow;

use headwater_mns_proto::{
    AccountAttributes, Answer, ChangedVisibility, DeleteFailure, ErrorCode, ListQueues, ListedQueue, Message,
    NewMessage, Property, PropertyType, QueueAttributes, QueueList, QueueSettings, Received, Request, SendFailure,
    SentMessage, ServiceError, WireAnswer, answer,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Any text that XML 1.0 can carry.
fn any_text() -> impl Strategy<Value = String> {
    "[\\t\\n\\r -~\u{7f}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]{0,40}"
}

fn some_text() -> impl Strategy<Value = String> {
    any_text().prop_filter("not empty", |text| !text.is_empty())
}

/// A message id or handle: the service's own, without control characters.
fn name() -> impl Strategy<Value = String> {
    "[ -~\u{a0}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]{1,40}"
}

fn queue_name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9-]{0,20}"
}

/// Opaque, but a client may trim it.
fn handle() -> impl Strategy<Value = String> {
    "[!-~]{1,40}"
}

fn property() -> impl Strategy<Value = Property> {
    let kind = prop_oneof![
        Just(PropertyType::String),
        Just(PropertyType::Number),
        Just(PropertyType::Boolean),
        Just(PropertyType::Binary)
    ];
    ("[A-Za-z0-9_.-]{1,20}", any_text(), kind).prop_map(|(name, value, kind)| Property { name, value, kind })
}

fn new_message() -> impl Strategy<Value = NewMessage> {
    let numbers = (option::of(0..=604_800_u32), option::of(1..=16_u32));
    let lists = (vec(property(), 0..3), vec(property(), 0..3));
    (any_text(), numbers, option::of(any_text()), lists).prop_map(|(body, numbers, group, lists)| {
        let mut message = NewMessage::new(body);
        (message.delay_seconds, message.priority) = numbers;
        message.message_group_id = group;
        (message.user_properties, message.system_properties) = lists;
        message
    })
}

fn settings() -> impl Strategy<Value = QueueSettings> {
    let some = (
        option::of(0..=604_800_u32),
        option::of(1_024..=65_536_u32),
        option::of(60..=604_800_u32),
        option::of(1..=43_200_u32),
        option::of(0..=30_u32),
        option::of(any::<bool>()),
    );
    some.prop_map(|(delay, size, retention, visibility, wait, logging)| QueueSettings {
        delay_seconds: delay,
        maximum_message_size: size,
        message_retention_period: retention,
        visibility_timeout: visibility,
        polling_wait_seconds: wait,
        logging_enabled: logging,
    })
}

fn list_queues() -> impl Strategy<Value = ListQueues> {
    let text = || option::of("[!-~]{1,10}");
    (text(), option::of(1..=1_000_u32), text(), any::<bool>())
        .prop_map(|(prefix, limit, marker, with_attributes)| ListQueues { prefix, limit, marker, with_attributes })
}

fn request() -> impl Strategy<Value = Request> {
    let q = queue_name;
    let batch = || option::of(1..=16_u32);
    prop_oneof![
        (q(), settings()).prop_map(|(queue, settings)| Request::CreateQueue { queue, settings }),
        (q(), settings()).prop_map(|(queue, settings)| Request::SetQueueAttributes { queue, settings }),
        q().prop_map(|queue| Request::GetQueueAttributes { queue }),
        q().prop_map(|queue| Request::DeleteQueue { queue }),
        list_queues().prop_map(Request::ListQueues),
        (q(), new_message()).prop_map(|(queue, message)| Request::SendMessage { queue, message }),
        (q(), vec(new_message(), 1..=16)).prop_map(|(queue, messages)| Request::BatchSendMessage { queue, messages }),
        (q(), batch(), option::of(0..=30_u32)).prop_map(|(queue, batch, wait_seconds)| Request::ReceiveMessage {
            queue,
            batch,
            wait_seconds
        }),
        (q(), batch()).prop_map(|(queue, batch)| Request::PeekMessage { queue, batch }),
        (q(), some_text()).prop_map(|(queue, receipt_handle)| Request::DeleteMessage { queue, receipt_handle }),
        (q(), vec(handle(), 1..=16))
            .prop_map(|(queue, receipt_handles)| Request::BatchDeleteMessage { queue, receipt_handles }),
        (q(), some_text(), 1..=43_200_u32).prop_map(|(queue, receipt_handle, visibility_timeout)| {
            Request::ChangeMessageVisibility { queue, receipt_handle, visibility_timeout }
        }),
        Just(Request::GetAccountAttributes),
        any_text().prop_map(|logging_bucket| Request::SetAccountAttributes(AccountAttributes { logging_bucket })),
    ]
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let texts = (name(), any_text(), any_text(), option::of(some_text()));
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    let lists = (vec(property(), 0..3), vec(property(), 0..3));
    (texts, numbers, lists).prop_map(|((id, body_md5, body, group), numbers, (user_properties, system_properties))| {
        let (enqueue_time, first_dequeue_time, dequeue_count, priority) = numbers;
        Message {
            id: Cow::Owned(id),
            body_md5: Cow::Owned(body_md5),
            body: Cow::Owned(body.into_bytes()),
            enqueue_time,
            first_dequeue_time,
            dequeue_count,
            priority,
            message_group_id: group.map(Cow::Owned),
            user_properties,
            system_properties,
        }
    })
}

fn received() -> impl Strategy<Value = Received<'static>> {
    (name(), any::<u64>(), message()).prop_map(|(handle, next_visible_time, message)| Received {
        receipt_handle: Cow::Owned(handle),
        next_visible_time,
        message,
    })
}

fn sent() -> impl Strategy<Value = SentMessage> {
    (any_text(), any_text(), option::of(any_text())).prop_map(|(id, body_md5, receipt_handle)| SentMessage {
        id,
        body_md5,
        receipt_handle,
    })
}

fn code() -> impl Strategy<Value = ErrorCode> {
    prop_oneof![proptest::sample::select(ErrorCode::ALL), "[A-Z][a-z]{3,9}X".prop_map(ErrorCode::Other)]
}

fn attributes() -> impl Strategy<Value = QueueAttributes> {
    (any_text(), any::<[u32; 5]>(), any::<[u64; 5]>(), any::<bool>()).prop_map(|(queue_name, n, long, logging)| {
        QueueAttributes {
            queue_name,
            delay_seconds: n[0],
            maximum_message_size: n[1],
            message_retention_period: n[2],
            visibility_timeout: n[3],
            polling_wait_seconds: n[4],
            create_time: long[0],
            last_modify_time: long[1],
            active_messages: long[2],
            inactive_messages: long[3],
            delay_messages: long[4],
            logging_enabled: logging,
        }
    })
}

fn body(wire: &WireAnswer) -> &[u8] {
    wire.body.as_deref().unwrap_or_default().as_bytes()
}

proptest! {
    #[test]
    fn requests_go_both_ways(request in request()) {
        let wire = request.write().unwrap();
        let headers = wire.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let body = wire.body.as_deref().unwrap_or_default();
        let read = Request::read(wire.method.as_str(), &wire.target, headers, body.as_bytes());
        prop_assert_eq!(read, Ok(request));
        prop_assert!(wire.target.bytes().all(|byte| byte.is_ascii_graphic()), "{}", wire.target);
    }

    #[test]
    fn received_messages_go_both_ways(received in vec(received(), 0..4)) {
        let wire = Answer::BatchReceived(received.clone()).write();
        prop_assert_eq!(answer::received(wire.status, body(&wire)), Ok(received.clone()));
        if let Some(one) = received.into_iter().next() {
            let wire = Answer::Received(one.clone()).write();
            let read = answer::received(wire.status, body(&wire)).unwrap();
            prop_assert_eq!(read.into_iter().map(Received::into_owned).collect::<Vec<_>>(), vec![one]);
        }
    }

    #[test]
    fn peeked_messages_go_both_ways(messages in vec(message(), 0..4)) {
        let wire = Answer::BatchPeeked(messages.clone()).write();
        prop_assert_eq!(answer::peeked(wire.status, body(&wire)), Ok(messages));
    }

    #[test]
    fn sends_go_both_ways(outcomes in vec(
        prop_oneof![
            sent().prop_map(Ok),
            (code(), any_text()).prop_map(|(code, message)| Err(SendFailure { code, message })),
        ],
        0..4,
    )) {
        let wire = Answer::BatchSent(outcomes.clone()).write();
        prop_assert_eq!(wire.status == 201, outcomes.iter().all(Result::is_ok));
        prop_assert_eq!(answer::batch_sent(wire.status, body(&wire)), Ok(outcomes.clone()));
        if let Some(Ok(sent)) = outcomes.into_iter().next() {
            let wire = Answer::Sent(sent.clone()).write();
            prop_assert_eq!(answer::sent(wire.status, body(&wire)), Ok(sent));
        }
    }

    #[test]
    fn delete_failures_go_both_ways(failures in vec((any_text(), code(), any_text()), 1..4)) {
        let failures: Vec<_> = failures
            .into_iter()
            .map(|(receipt_handle, code, message)| DeleteFailure { receipt_handle, code, message })
            .collect();
        let wire = Answer::DeleteFailures(failures.clone()).write();
        prop_assert_eq!(answer::batch_deleted(wire.status, body(&wire)), Ok(failures));
    }

    #[test]
    fn the_other_answers_go_both_ways(
        (handle, time) in (name(), any::<u64>()),
        one in attributes(),
        queues in vec((any_text(), option::of(attributes())), 0..4),
        marker in option::of(some_text()),
        logging_bucket in any_text(),
    ) {
        let changed = ChangedVisibility { receipt_handle: handle, next_visible_time: time };
        let wire = Answer::VisibilityChanged(changed.clone()).write();
        prop_assert_eq!(answer::visibility_changed(wire.status, body(&wire)), Ok(changed));

        let wire = Answer::QueueAttributes(one.clone()).write();
        prop_assert_eq!(answer::queue_attributes(wire.status, body(&wire)), Ok(one));

        let queues = queues.into_iter().map(|(url, attributes)| ListedQueue { url, attributes }).collect();
        let list = QueueList { queues, next_marker: marker };
        let wire = Answer::QueueList(list.clone()).write();
        prop_assert_eq!(answer::queue_list(wire.status, body(&wire)), Ok(list));

        let account = AccountAttributes { logging_bucket };
        let wire = Answer::AccountAttributes(account.clone()).write();
        prop_assert_eq!(answer::account_attributes(wire.status, body(&wire)), Ok(account));
    }

    #[test]
    fn errors_go_both_ways(code in code(), message in any_text(), ids in (any_text(), any_text())) {
        let mut error = ServiceError::with_message(code, message);
        (error.request_id, error.host_id) = (Some(ids.0), Some(ids.1));
        let wire = Answer::Error(error.clone()).write();
        let failure = answer::done(wire.status, body(&wire)).unwrap_err();
        prop_assert_eq!(failure.service(), Some(&error));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(status in 0..700_u16, bytes in vec(any::<u8>(), 0..300)) {
        read_everything(status, &bytes);
    }

    /// Bytes that are nearly right reach further than random ones.
    #[test]
    fn no_damage_makes_a_reader_panic(
        received in vec(received(), 1..3),
        at in any::<prop::sample::Index>(),
        damage in vec(any::<u8>(), 0..4),
    ) {
        let wire = Answer::BatchReceived(received).write();
        let mut bytes = body(&wire).to_vec();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + damage.len()).min(bytes.len()), damage);
        read_everything(200, &bytes);
    }

    #[test]
    fn no_pieces_of_xml_make_a_reader_panic(
        status in prop_oneof![Just(200_u16), Just(404)],
        pieces in vec(proptest::sample::select(PIECES), 0..20),
    ) {
        read_everything(status, pieces.concat().as_bytes());
    }

    #[test]
    fn no_target_makes_a_reader_panic(method in "[A-Z]{3}|GET|PUT|POST|DELETE", target in "\\PC*", body in "\\PC*") {
        let _ = Request::read(&method, &target, [("x-mns-ret-number", body.as_bytes())], body.as_bytes());
        let _ = Request::read(&method, &format!("/queues/{target}"), [], body.as_bytes());
    }
}

const PIECES: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "&",
    ";",
    "&#",
    "&#x41;",
    "&amp;",
    "<Messages>",
    "</Messages>",
    "<Message>",
    "</Message>",
    "<MessageBody>",
    "</MessageBody>",
    "<MessageId>",
    "</MessageId>",
    "<Error>",
    "</Error>",
    "<Code>",
    "</Code>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml",
    "?>",
    "<!DOCTYPE",
    "<UserProperties>",
    "<PropertyValue>",
    "<Name>",
    "a",
    "0",
    " ",
    "'",
    "\"",
    "=",
    "xmlns",
    ":",
    "\u{feff}",
    "你",
];

fn read_everything(status: u16, bytes: &[u8]) {
    let _ = answer::received(status, bytes);
    let _ = answer::peeked(status, bytes);
    let _ = answer::sent(status, bytes);
    let _ = answer::batch_sent(status, bytes);
    let _ = answer::done(status, bytes);
    let _ = answer::queue_created(status, bytes);
    let _ = answer::batch_deleted(status, bytes);
    let _ = answer::visibility_changed(status, bytes);
    let _ = answer::queue_attributes(status, bytes);
    let _ = answer::queue_list(status, bytes);
    let _ = answer::account_attributes(status, bytes);
    for (method, target) in [("POST", "/queues/q/messages"), ("DELETE", "/queues/q/messages"), ("PUT", "/queues/q")] {
        let _ = Request::read(method, target, [], bytes);
    }
}
