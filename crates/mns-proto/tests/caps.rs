//! What is larger, deeper or stranger than any valid answer is refused, with words that quote none of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use headwater_mns_proto::numbers::{
    MAX_MESSAGE_GROUP_ID, MAX_MESSAGE_ID, MAX_PROPERTIES_BYTES, MAX_PROPERTIES_READ, MAX_RECEIPT_HANDLE, MAX_SHOWN,
    MAX_XML_DEPTH,
};
use headwater_mns_proto::{ErrorCode, Failure, NewMessage, Property, Request, ServiceError, answer};

/// A message with one element replaced.
fn message(element: &str, text: &str) -> String {
    let elements = [
        ("MessageId", "m"),
        ("ReceiptHandle", "h"),
        ("MessageBodyMD5", "x"),
        ("MessageBody", "b"),
        ("EnqueueTime", "1"),
        ("NextVisibleTime", "2"),
        ("FirstDequeueTime", "3"),
        ("DequeueCount", "4"),
        ("Priority", "5"),
        ("MessageGroupId", "g"),
        ("UserProperties", ""),
    ];
    let written = |(name, plain): (&str, &str)| {
        let text = if name == element { text } else { plain };
        format!("<{name}>{text}</{name}>")
    };
    format!("<Message>{}</Message>", elements.map(written).concat())
}

fn refused(body: &str) -> String {
    match answer::received(200, body.as_bytes()) {
        Err(Failure::Unreadable { cause, .. }) => cause,
        other => panic!("{other:?}: {}", &body[..body.len().min(200)]),
    }
}

#[test]
fn ids_handles_and_groups_have_a_longest() {
    for (element, longest) in
        [("MessageId", MAX_MESSAGE_ID), ("ReceiptHandle", MAX_RECEIPT_HANDLE), ("MessageGroupId", MAX_MESSAGE_GROUP_ID)]
    {
        // With a reference in it, the quick way and the long way are both taken.
        for unescaped in ["x", "&lt;"] {
            let fits = message(element, &format!("{unescaped}{}", "x".repeat(longest - 1)));
            assert_eq!(answer::received(200, fits.as_bytes()).unwrap().len(), 1, "{element}");
            let cause = refused(&message(element, &format!("{unescaped}{}", "x".repeat(longest))));
            assert!(cause.contains(element) && cause.contains(&longest.to_string()), "{cause}");
        }
    }
    let handle = "x".repeat(MAX_RECEIPT_HANDLE + 1);
    let changed = format!(
        "<ChangeVisibility><ReceiptHandle>{handle}</ReceiptHandle><NextVisibleTime>1</NextVisibleTime></ChangeVisibility>"
    );
    assert!(matches!(answer::visibility_changed(200, changed.as_bytes()), Err(Failure::Unreadable { .. })));
}

#[test]
fn ids_and_handles_with_control_characters_are_refused() {
    for element in ["MessageId", "ReceiptHandle"] {
        for control in ["\u{1}", "\n", "\u{7f}", "\u{9b}", "&#10;", "&#27;", "\u{fffe}"] {
            let cause = refused(&message(element, &format!("a{control}b")));
            assert!(cause.contains(element) && cause.contains("control"), "{control:?}: {cause}");
        }
    }
    // What senders make up may hold anything, or one of them could stop every consumer.
    assert_eq!(answer::received(200, message("MessageGroupId", "a\u{7f}b").as_bytes()).unwrap().len(), 1);
}

#[test]
fn no_answer_has_more_messages_than_can_be_asked_for() {
    let of = |count| format!("<Messages>{}</Messages>", message("", "").repeat(count));
    assert_eq!(answer::received(200, of(16).as_bytes()).unwrap().len(), 16);
    for body in [of(17), of(17).replacen("<Messages>", "<Messages><!-- the long way -->", 1)] {
        assert!(refused(&body).contains("more than 16 messages"));
        assert!(answer::peeked(200, body.as_bytes()).is_err());
    }
}

#[test]
fn properties_are_limited_in_number_and_in_size() {
    let properties = |count: usize, value: &str| {
        let one = format!("<PropertyValue><Name>n</Name><Value>{value}</Value></PropertyValue>");
        message("UserProperties", &one.repeat(count))
    };
    assert_eq!(answer::received(200, properties(MAX_PROPERTIES_READ, "").as_bytes()).unwrap().len(), 1);
    assert!(refused(&properties(MAX_PROPERTIES_READ + 1, "")).contains(&MAX_PROPERTIES_READ.to_string()));
    let largest = "x".repeat(MAX_PROPERTIES_BYTES / 50 - 1);
    assert_eq!(answer::received(200, properties(50, &largest).as_bytes()).unwrap().len(), 1);
    assert!(refused(&properties(50, &format!("{largest}x"))).contains(&MAX_PROPERTIES_BYTES.to_string()));
}

#[test]
fn whatever_may_be_sent_can_be_read() {
    let property = Property::string("n".repeat(256), "\u{10ffff}".repeat(4_096));
    let mut new = NewMessage::new("b".repeat(65_536));
    new.user_properties = vec![property; 50];
    new.message_group_id = Some("g".into());
    let wire = Request::SendMessage { queue: "q".into(), message: new }.write().unwrap();
    let body = wire.body.unwrap();
    let inner = body.split_once("<UserProperties>").unwrap().1.split_once("</UserProperties>").unwrap().0;
    let received = message("UserProperties", inner);
    let read = answer::received(200, received.as_bytes()).unwrap();
    assert_eq!(read[0].message.user_properties.len(), 50);
}

#[test]
fn nothing_is_expanded_and_no_declaration_is_accepted() {
    let laughs =
        "<!DOCTYPE m [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]>";
    let external = "<!DOCTYPE m [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    let remote = "<!DOCTYPE m SYSTEM \"http://127.0.0.1:1/evil.dtd\">";
    let parameter = "<!DOCTYPE m [<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;]>";
    for declaration in [laughs, external, remote, parameter, "<!DOCTYPE m>", "<!DOCTYPE"] {
        for body in [
            format!("{declaration}{}", message("MessageBody", "&c;")),
            format!("<?xml version=\"1.0\"?>{declaration}<Messages>{}</Messages>", message("MessageBody", "&x;")),
            format!("<Messages>{declaration}{}</Messages>", message("", "")),
            format!("{}{declaration}", message("", "")),
        ] {
            let cause = refused(&body);
            assert!(cause.contains("document type") || cause.contains("not"), "{cause}");
        }
    }
    for reference in ["&c;", "&x;", "&nbsp;", "&#0;", "&#xD800;", "&#x110000;", "&#99999999999999999999;", "&;", "&"] {
        refused(&message("MessageBody", reference));
    }
    assert!(refused(&format!("<Messages>{}", "<a>".repeat(MAX_XML_DEPTH))).contains("nested"));
}

#[test]
fn a_refusal_quotes_nothing_that_may_be_a_message() {
    for body in [
        message("MessageBody", "<hunter2"),
        message("MessageBody", "<hunter2>"),
        message("MessageBody", "</hunter2>"),
        message("MessageBody", "<a></hunter2>"),
        message("MessageBody", "<a></a hunter2>"),
        message("MessageBody", "<hunter2></hunter2>"),
        message("MessageBody", "&hunter2;"),
        message("MessageBody", "&#hunter2;"),
        message("MessageBody", "<![CDATA[hunter2"),
        message("MessageBody", "<!-- hunter2"),
        message("MessageBody", "<?hunter2"),
        message("EnqueueTime", "hunter2"),
        message("UserProperties", "<hunter2/>"),
        "<hunter2/>".to_owned(),
        "hunter2".to_owned(),
    ] {
        let cause = refused(&body);
        assert!(!cause.contains("hunter"), "{body}: {cause}");
        assert!(cause.len() < 120, "{cause}");
    }
}

#[test]
fn an_errors_own_words_stay_on_one_short_line() {
    let long = "x".repeat(300_000);
    let error = format!(
        "<Error><Code>{long}</Code><Message>a\n\u{1b}[31m{long}</Message><RequestId>{long}</RequestId></Error>"
    );
    let shown = answer::done(500, error.as_bytes()).unwrap_err().to_string();
    assert!(shown.len() < MAX_SHOWN + 500, "{} bytes", shown.len());
    assert!(!shown.contains(|c: char| c.is_control()) && shown.contains('…'), "{shown}");
    // What the service really says is shown as it is.
    let plain = ServiceError::new(ErrorCode::SignatureDoesNotMatch).to_string();
    assert!(plain.ends_with("Check your key and signing method."), "{plain}");
}
