//! The messages of an answer, as they are handed out: what they share, and what is copied.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use headwater_core::{Handle, Message, Property, ServerMs, SharedStr};
use headwater_mns_proto as proto;

use crate::net::Body;

/// The messages of an answer.
///
/// Their ids and handles are slices of one text, their bodies of one block of bytes. That block is the answer itself, where at
/// least half of what it takes is bodies, so that whoever keeps them keeps at most twice their size. With smaller bodies the
/// elements around them would be the larger part: those bodies are copied, all into one block of their own size.
pub(crate) fn messages(mut received: Vec<proto::Received<'_>>, answer: &Body) -> Vec<Message> {
    let (mut names, mut bodies) = (0, 0);
    for received in &received {
        names += received.message.id.len() + received.receipt_handle.len();
        bodies += received.message.body.len();
    }
    let mut text = String::with_capacity(names);
    for received in &received {
        text.push_str(&received.message.id);
        text.push_str(&received.receipt_handle);
    }
    let mut text = SharedStr::from(text);
    let mut bodies = Bodies::of(&received, bodies, answer);
    let mut messages = Vec::with_capacity(received.len());
    // Both are written where they stay: a message takes some 200 bytes, which would be copied for each step on their way.
    for proto::Received { receipt_handle, next_visible_time, message } in &mut received {
        let (id, handle) = (text.split_to(message.id.len()), text.split_to(receipt_handle.len()));
        messages.push(Message::new(id, Handle(handle), bodies.next(&mut message.body)));
        let Some(out) = messages.last_mut() else { continue };
        out.dequeue_count = message.dequeue_count;
        out.enqueued = server_ms(message.enqueue_time);
        out.first_dequeued = server_ms(message.first_dequeue_time);
        out.next_visible = server_ms(*next_visible_time);
        out.priority = u8::try_from(message.priority).ok();
        if let Some(group) = &message.message_group_id {
            out.group = Some(Arc::from(group.as_ref()));
        }
        if !message.user_properties.is_empty() {
            out.properties = message.user_properties.iter().map(property).collect();
        }
    }
    messages
}

fn property(property: &proto::Property) -> Property {
    Property { name: property.name.as_str().into(), value: property.value.as_str().into() }
}

/// `None` for 0, which stands for "never".
pub(crate) fn server_ms(ms: u64) -> Option<ServerMs> {
    i64::try_from(ms).ok().filter(|ms| *ms > 0).map(ServerMs)
}

/// Where the bodies of an answer lie.
enum Bodies<'a> {
    /// In the answer.
    There(&'a Bytes),
    /// One after the other in a block of their own, up to this place handed out already.
    Copied(Bytes, usize),
}

impl<'a> Bodies<'a> {
    /// The bodies of these messages, which take `length` bytes.
    fn of(received: &[proto::Received<'_>], length: usize, answer: &'a Body) -> Self {
        if answer.holds <= 2 * length {
            return Self::There(&answer.bytes);
        }
        let mut bytes = Vec::with_capacity(length);
        received.iter().for_each(|received| bytes.extend_from_slice(&received.message.body));
        Self::Copied(bytes.into(), 0)
    }

    /// The next body.
    fn next(&mut self, body: &mut Cow<'_, [u8]>) -> Bytes {
        match (self, body) {
            (Self::Copied(all, from), body) => {
                let begin = *from;
                *from += body.len();
                all.slice(begin..*from)
            }
            (Self::There(answer), Cow::Borrowed(body)) => slice(answer, body),
            // Unescaped, and so in an allocation of its own.
            (Self::There(_), Cow::Owned(body)) => std::mem::take(body).into(),
        }
    }
}

/// A part of some bytes, by its place.
fn slice(whole: &Bytes, part: &[u8]) -> Bytes {
    let from = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match from.checked_add(part.len()) {
        Some(end) if end <= whole.len() => whole.slice(from..end),
        _ => Bytes::copy_from_slice(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received<'a>(id: &'a str, handle: &'a str, body: Cow<'a, [u8]>) -> proto::Received<'a> {
        proto::Received {
            receipt_handle: handle.into(),
            next_visible_time: 0,
            message: proto::Message {
                id: id.into(),
                body_md5: "".into(),
                body,
                enqueue_time: 1,
                first_dequeue_time: u64::MAX,
                dequeue_count: 2,
                priority: 3,
                message_group_id: None,
                user_properties: Vec::new(),
                system_properties: Vec::new(),
            },
        }
    }

    fn shares(whole: &Bytes, part: &Bytes) -> bool {
        whole.as_ptr_range().contains(&part.as_ptr())
    }

    #[test]
    fn bodies_stay_where_they_are_unless_that_holds_twice_their_size() {
        let answer = Bytes::from_static(b"<a>first</a><b>second</b><c></c>");
        for (holds, expected) in [(2 * 16, true), (2 * 16 + 1, false)] {
            let parts = [
                received("m1", "handle-1", Cow::Borrowed(&answer[3..8])),
                received("", "h", Cow::Borrowed(&answer[15..21])),
                received("m\u{e9}3", "", Cow::Owned(b"escap".to_vec())),
                received("m4", "h4", Cow::Borrowed(b"")),
            ];
            let body = Body { bytes: answer.clone(), holds };
            let messages = messages(parts.into(), &body);
            let seen: Vec<_> = messages.iter().map(|m| (&*m.id, m.handle.as_str(), m.body.as_ref())).collect();
            let wanted: [(&str, &str, &[u8]); 4] =
                [("m1", "handle-1", b"first"), ("", "h", b"second"), ("m\u{e9}3", "", b"escap"), ("m4", "h4", b"")];
            assert_eq!(seen, wanted);
            assert_eq!(shares(&answer, &messages[0].body), expected);
            assert_eq!(shares(&answer, &messages[1].body), expected);
            assert!(!shares(&answer, &messages[2].body));
            let first = &messages[0];
            assert_eq!((first.enqueued, first.first_dequeued, first.next_visible), (Some(ServerMs(1)), None, None));
            assert_eq!((first.dequeue_count, first.priority), (2, Some(3)));
        }
        assert!(messages(Vec::new(), &Body { bytes: answer, holds: 1 }).is_empty());
    }
}
