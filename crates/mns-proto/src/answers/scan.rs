//! The quick way through the usual answer to a receive.
//!
//! The service writes one shape: a declaration, `<Messages>` with its namespace, and messages whose elements hold
//! nothing but text. Here that shape alone is read, by looking for the next `<` (several times quicker than going
//! through events); on anything else at all the answer is `None`, and the caller takes the long way, which also finds
//! the words for what is wrong. Both ways must give the same messages: the tests below hold one against the other.
//!
//! A message of a batch is first taken to be as the service [usually](super::usual) writes it. One that is not is read here, element
//! by element.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use simdutf8::basic::from_utf8;

use crate::answers::usual::{self, Lengths};
use crate::message::{Message, Received, bytes, check_read, check_room};
use crate::numbers::BATCH;

/// The messages of an answer of the usual shape.
pub(super) fn received(answer: &[u8]) -> Option<Vec<Received<'_>>> {
    let mut scan = Scan { rest: answer };
    scan.declaration()?;
    let batch = scan.root()?;
    let mut messages = Vec::with_capacity(if batch { *BATCH.end() as usize } else { 1 });
    if batch {
        scan.messages(&mut messages)?;
    } else {
        messages.push(scan.any_message()?);
    }
    scan.rest.trim_ascii().is_empty().then_some(messages)
}

pub(super) struct Scan<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// Skips `<?xml … ?>` if it is there.
    fn declaration(&mut self) -> Option<()> {
        if let Some(declaration) = self.rest.strip_prefix(b"<?xml ") {
            // Its end is nearly always the first `>`.
            let first = memchr(b'>', declaration)?;
            let end = match declaration[..first].ends_with(b"?") {
                true => first,
                false => memmem::find(declaration, b"?>")? + 1,
            };
            from_utf8(&declaration[..end]).ok()?;
            self.rest = &declaration[end + 1..];
        }
        Some(())
    }

    /// Opens the root element, which may have one attribute: a default namespace. Says whether it is that of a batch.
    fn root(&mut self) -> Option<bool> {
        let tag = self.open()??.strip_prefix("Message")?;
        let (batch, attribute) = tag.strip_prefix('s').map_or((false, tag), |attribute| (true, attribute));
        if !attribute.is_empty() {
            let namespace = attribute.strip_prefix(" xmlns=\"")?.strip_suffix('"')?;
            if namespace.bytes().any(|byte| matches!(byte, b'"' | b'<' | b'&' | b'>')) {
                return None;
            }
        }
        Some(batch)
    }

    /// The messages of a batch, up to and with its closing tag.
    fn messages(&mut self, out: &mut Vec<Received<'a>>) -> Option<()> {
        let mut last = Lengths::default();
        loop {
            if let Some(rest) = usual::message(self.rest, &mut last, out) {
                self.rest = rest;
            } else {
                match self.open()? {
                    None => return self.close("Messages"),
                    Some("Message") => out.push(self.any_message()?),
                    Some(_) => return None,
                }
            }
            check_room(out.len() - 1).ok()?;
        }
    }

    /// What stands between `<` and `>` of the next opening tag, blanks before it skipped. `Some(None)` before a closing
    /// tag.
    pub(super) fn open(&mut self) -> Option<Option<&'a str>> {
        let tag = self.rest.trim_ascii_start().strip_prefix(b"<")?;
        if tag.starts_with(b"/") {
            return Some(None);
        }
        let end = memchr(b'>', tag)?;
        self.rest = &tag[end + 1..];
        Some(Some(from_utf8(&tag[..end]).ok()?))
    }

    /// Closes an element, blanks before it skipped.
    fn close(&mut self, name: &str) -> Option<()> {
        self.rest = behind_closing(self.rest.trim_ascii_start(), name)?;
        Some(())
    }

    /// The text of an element, unescaped, up to and with its closing tag.
    fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let text = from_utf8(self.content(name)?).ok()?;
        if memchr(b'&', text.as_bytes()).is_none() {
            return Some(Cow::Borrowed(text));
        }
        quick_xml::escape::unescape(text).ok()
    }

    /// As [`text`](Self::text), but UTF-8 only where something is escaped.
    fn bytes(&mut self, name: &str) -> Option<Cow<'a, [u8]>> {
        let content = self.content(name)?;
        if memchr(b'&', content).is_none() {
            return Some(Cow::Borrowed(content));
        }
        quick_xml::escape::unescape(from_utf8(content).ok()?).ok().map(bytes)
    }

    /// What stands before the closing tag of an element that holds no other.
    fn content(&mut self, name: &str) -> Option<&'a [u8]> {
        let (content, rest) = self.rest.split_at(memchr(b'<', self.rest)?);
        self.rest = behind_closing(rest, name)?;
        Some(content)
    }

    fn number<N: std::str::FromStr>(&mut self, name: &str) -> Option<N> {
        self.text(name)?.trim().parse().ok()
    }

    /// A message of known elements in any order, each at most once, up to and with its closing tag.
    #[cold]
    pub(super) fn any_message(&mut self) -> Option<Received<'a>> {
        let (mut id, mut handle, mut body_md5, mut body, mut group) = (None, None, None, None, None);
        let (mut enqueued, mut visible, mut first, mut count, mut priority) = (None, None, None, None, None);
        while let Some(name) = self.open()? {
            match name {
                "MessageId" => once(&mut id, self.text(name)?)?,
                "ReceiptHandle" => once(&mut handle, self.text(name)?)?,
                "MessageBodyMD5" => once(&mut body_md5, self.text(name)?)?,
                "MessageBody" => once(&mut body, self.bytes(name)?)?,
                "EnqueueTime" => once(&mut enqueued, self.number(name)?)?,
                "NextVisibleTime" => once(&mut visible, self.number(name)?)?,
                "FirstDequeueTime" => once(&mut first, self.number(name)?)?,
                "DequeueCount" => once(&mut count, self.number(name)?)?,
                "Priority" => once(&mut priority, self.number(name)?)?,
                "MessageGroupId" => once(&mut group, self.text(name)?)?,
                _ => return None,
            }
        }
        self.close("Message")?;
        let received = Received {
            receipt_handle: handle.filter(|handle| !handle.is_empty())?,
            next_visible_time: visible?,
            message: Message {
                id: id.filter(|id| !id.is_empty())?,
                body_md5: body_md5?,
                body: body?,
                enqueue_time: enqueued?,
                first_dequeue_time: first?,
                dequeue_count: count?,
                priority: priority?,
                message_group_id: group.filter(|group| !group.is_empty()),
                user_properties: Vec::new(),
                system_properties: Vec::new(),
            },
        };
        check_read(&received.message, Some(&received.receipt_handle)).ok()?;
        Some(received)
    }
}

/// What follows an element's closing tag, if that is there.
fn behind_closing<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    text.strip_prefix(b"</")?.strip_prefix(name.as_bytes())?.strip_prefix(b">")
}

fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::answers::Answer;
    use crate::answers::read::received_by_events;

    fn message() -> impl Strategy<Value = Received<'static>> {
        let text = || "[\\t\\n\\r -~\u{80}-\u{d7ff}\u{10000}-\u{10ffff}]{1,30}".prop_map(Cow::<str>::Owned);
        let name = || "[ -~\u{a0}-\u{d7ff}\u{10000}-\u{10ffff}]{1,30}".prop_map(Cow::<str>::Owned);
        let texts = (name(), name(), text(), text(), proptest::option::of(text()));
        (texts, any::<[u64; 3]>(), any::<[u32; 2]>()).prop_map(|((id, handle, md5, body, group), long, short)| {
            Received {
                receipt_handle: handle,
                next_visible_time: long[0],
                message: Message {
                    id,
                    body_md5: md5,
                    body: bytes(body),
                    enqueue_time: long[1],
                    first_dequeue_time: long[2],
                    dequeue_count: short[0],
                    priority: short[1],
                    message_group_id: group,
                    user_properties: Vec::new(),
                    system_properties: Vec::new(),
                },
            }
        })
    }

    /// The quick way never says anything that the long way does not say.
    fn agrees(text: &str) {
        if let Some(quick) = received(text.as_bytes()) {
            assert_eq!(received_by_events(200, text.as_bytes()), Ok(quick), "{text}");
        }
    }

    const PIECES: &[&str] = &[
        "<?xml version=\"1.0\"?>",
        "<?xml ",
        "?>",
        "<Messages>",
        "<Messages xmlns=\"urn:x\">",
        "<Messages x=\"'\">",
        "</Messages>",
        "<Message>",
        "<Message >",
        "<Message xmlns=\"a\">",
        "</Message>",
        "</Message >",
        "<Message/>",
        "<MessageBody>",
        "</MessageBody>",
        "<MessageBody/>",
        "<!-- c -->",
        "<![CDATA[a]]>",
        "&amp;",
        "&#65;",
        "&#0;",
        "&nbsp;",
        "&",
        "<",
        ">",
        "]]>",
        "\"",
        "a",
        " ",
        "\n",
        "</",
        "<MessageId>m</MessageId>",
        "<!DOCTYPE m>",
        "<ReceiptHandle>h</ReceiptHandle>",
        "<MessageBodyMD5>x</MessageBodyMD5>",
        "<MessageBody>b</MessageBody>",
        "<EnqueueTime>1</EnqueueTime>",
        "<NextVisibleTime> 2 </NextVisibleTime>",
        "<Priority>8</Priority>",
        "<FirstDequeueTime>3</FirstDequeueTime>",
        "<DequeueCount>4</DequeueCount>",
        "<Priority>-8</Priority>",
        "<MessageGroupId></MessageGroupId>",
        "<New>1</New>",
        "<UserProperties></UserProperties>",
        "\u{feff}",
    ];

    proptest! {
        #[test]
        fn what_we_write_is_read_the_quick_way(messages in vec(message(), 0..4)) {
            let body = Answer::BatchReceived(messages.clone()).write().body.unwrap();
            prop_assert_eq!(received(body.as_bytes()), Some(messages.clone()));
            for one in messages {
                let body = Answer::Received(one.clone()).write().body.unwrap();
                prop_assert_eq!(received(body.as_bytes()), Some(vec![one]));
            }
        }

        #[test]
        fn damaged_answers_are_read_alike(
            messages in vec(message(), 1..3),
            at in any::<Index>(),
            cut in 0..9_usize,
            piece in select(PIECES),
        ) {
            let body = Answer::BatchReceived(messages).write().body.unwrap();
            let mut at = at.index(body.len());
            while !body.is_char_boundary(at) {
                at -= 1;
            }
            let mut end = (at + cut).min(body.len());
            while !body.is_char_boundary(end) {
                end += 1;
            }
            agrees(&format!("{}{piece}{}", &body[..at], &body[end..]));
        }

        #[test]
        fn pieces_in_any_order_are_read_alike(pieces in vec(select(PIECES), 0..40)) {
            agrees(&pieces.concat());
            agrees(&format!("<Messages><Message>{}</Message></Messages>", pieces.concat()));
        }
    }

    #[test]
    fn the_shapes_of_the_service_are_read_the_quick_way() {
        let elements = "<MessageId>m</MessageId><ReceiptHandle>h</ReceiptHandle><MessageBodyMD5>x</MessageBodyMD5>\
            <MessageBody>a&amp;b</MessageBody><EnqueueTime>1</EnqueueTime><NextVisibleTime>2</NextVisibleTime>\
            <FirstDequeueTime>3</FirstDequeueTime><DequeueCount>4</DequeueCount><Priority>5</Priority>";
        for (before, after) in [
            (
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Messages xmlns=\"http://mns.aliyuncs.com/doc/v1/\"><Message>",
                "</Message></Messages>",
            ),
            ("<?xml version=\"1.0\"?>\r\n<Messages>\r\n  <Message>", "</Message>\r\n</Messages>\r\n"),
            ("<Message xmlns=\"http://mns.aliyuncs.com/doc/v1\">", "</Message>"),
        ] {
            let text = format!("{before}{elements}{after}");
            let quick = received(text.as_bytes()).unwrap_or_else(|| panic!("not read: {text}"));
            assert_eq!(*quick[0].message.body, *b"a&b");
            assert_eq!(received_by_events(200, text.as_bytes()), Ok(quick));
        }
    }

    #[test]
    fn anything_unusual_is_left_to_the_long_way() {
        for text in [
            "",
            "<Messages>",
            "<Queue/>",
            "<Messages a=\"b\"></Messages>",
            "<Messages></Messages>x",
            "<Messages><Messages></Messages>",
        ] {
            assert_eq!(received(text.as_bytes()), None, "{text}");
        }
        assert_eq!(received(b"<Messages></Messages>"), Some(Vec::new()));
    }
}
