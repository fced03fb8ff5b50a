//! The quick way through the usual answer to a receive.
//!
//! The service writes one shape: a declaration, `<Messages>` with its namespace, and messages whose elements hold
//! nothing but text. Here that shape alone is read, by looking for the next `<` (several times quicker than going
//! through events); on anything else at all the answer is `None`, and the caller takes the long way, which also finds
//! the words for what is wrong. Both ways must give the same messages: the tests below hold one against the other.
//!
//! A message is first taken to have the elements that every message has, in the service's order, with plain text: what is
//! expected is compared, nothing is looked up. One that has others, or in another order, or with escapes, is read again element
//! by element.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

use crate::message::{Message, Received, check_read, check_room};
use crate::numbers::BATCH;

/// The messages of an answer of the usual shape.
pub(super) fn received(text: &str) -> Option<Vec<Received<'_>>> {
    let mut scan = Scan { rest: text };
    scan.declaration()?;
    let batch = match scan.root()? {
        "Messages" => true,
        "Message" => false,
        _ => return None,
    };
    let mut messages = Vec::with_capacity(if batch { *BATCH.end() as usize } else { 1 });
    if batch {
        while let Some(name) = scan.open()? {
            if name != "Message" {
                return None;
            }
            check_room(messages.len()).ok()?;
            scan.message(&mut messages)?;
        }
        scan.close("Messages")?;
    } else {
        scan.message(&mut messages)?;
    }
    scan.rest.trim_ascii().is_empty().then_some(messages)
}

struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    /// Skips `<?xml … ?>` if it is there.
    fn declaration(&mut self) -> Option<()> {
        if let Some(declaration) = self.rest.strip_prefix("<?xml ") {
            let end = memmem::find(declaration.as_bytes(), b"?>")?;
            self.rest = &declaration[end + 2..];
        }
        Some(())
    }

    /// Opens the root element, which may have one attribute: a default namespace.
    fn root(&mut self) -> Option<&'a str> {
        let tag = self.open()??;
        let Some((name, namespace)) = tag.split_once(" xmlns=\"") else { return Some(tag) };
        let namespace = namespace.strip_suffix('"')?;
        (!namespace.contains(['"', '<', '&', '>'])).then_some(name)
    }

    /// What stands between `<` and `>` of the next opening tag, blanks before it skipped. `Some(None)` before a closing
    /// tag.
    fn open(&mut self) -> Option<Option<&'a str>> {
        let tag = self.rest.trim_ascii_start().strip_prefix('<')?;
        if tag.starts_with('/') {
            return Some(None);
        }
        let end = memchr(b'>', tag.as_bytes())?;
        self.rest = &tag[end + 1..];
        Some(Some(&tag[..end]))
    }

    /// Closes an element, blanks before it skipped.
    fn close(&mut self, name: &str) -> Option<()> {
        let tag = self.rest.trim_ascii_start().strip_prefix("</")?;
        self.rest = tag.strip_prefix(name)?.strip_prefix('>')?;
        Some(())
    }

    /// The text of an element, unescaped, up to and with its closing tag.
    fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let end = memchr(b'<', self.rest.as_bytes())?;
        let text = &self.rest[..end];
        self.rest = self.rest[end..].strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?;
        if memchr(b'&', text.as_bytes()).is_none() {
            return Some(Cow::Borrowed(text));
        }
        quick_xml::escape::unescape(text).ok()
    }

    fn number<N: std::str::FromStr>(&mut self, name: &str) -> Option<N> {
        self.text(name)?.trim().parse().ok()
    }

    /// The elements of a message, up to and with its closing tag.
    fn message(&mut self, out: &mut Vec<Received<'a>>) -> Option<()> {
        let begin = self.rest;
        if self.usual_message(out).is_some() {
            return Some(());
        }
        self.rest = begin;
        out.push(self.any_message()?);
        Some(())
    }

    /// A message of the nine elements that every message has, in their usual order, none of them escaped. It is written where it
    /// stays: it takes some 200 bytes, which would be copied with every return.
    fn usual_message(&mut self, out: &mut Vec<Received<'a>>) -> Option<()> {
        let id = self.plain("<MessageId>", "</MessageId>").filter(|id| !id.is_empty())?;
        let handle = self.plain("<ReceiptHandle>", "</ReceiptHandle>").filter(|handle| !handle.is_empty())?;
        let body_md5 = self.plain("<MessageBodyMD5>", "</MessageBodyMD5>")?;
        let body = self.plain("<MessageBody>", "</MessageBody>")?;
        let enqueue_time = self.digits("<EnqueueTime>", "</EnqueueTime>")?;
        let next_visible_time = self.digits("<NextVisibleTime>", "</NextVisibleTime>")?;
        let first_dequeue_time = self.digits("<FirstDequeueTime>", "</FirstDequeueTime>")?;
        let dequeue_count = self.digits("<DequeueCount>", "</DequeueCount>")?.try_into().ok()?;
        let priority = self.digits("<Priority>", "</Priority>")?.try_into().ok()?;
        self.close("Message")?;
        let message = Message {
            id: Cow::Borrowed(id),
            body_md5: Cow::Borrowed(body_md5),
            body: Cow::Borrowed(body),
            enqueue_time,
            first_dequeue_time,
            dequeue_count,
            priority,
            message_group_id: None,
            user_properties: Vec::new(),
            system_properties: Vec::new(),
        };
        check_read(&message, Some(handle)).ok()?;
        out.push(Received { receipt_handle: Cow::Borrowed(handle), next_visible_time, message });
        Some(())
    }

    /// The text of the element that begins and ends with these tags, which must come next, and hold nothing to unescape.
    ///
    /// Always inlined, so that each tag is compared as the few words that it is, and not by a call: there are eighteen in a message.
    #[inline(always)]
    fn plain(&mut self, open: &str, close: &str) -> Option<&'a str> {
        let text = self.rest.trim_ascii_start().strip_prefix(open)?;
        let end = memchr2(b'<', b'&', text.as_bytes())?;
        self.rest = text[end..].strip_prefix(close)?;
        Some(&text[..end])
    }

    /// As [`plain`](Self::plain), of an element that holds a number of at most 19 digits, which cannot be too large.
    #[inline(always)]
    fn digits(&mut self, open: &str, close: &str) -> Option<u64> {
        let text = self.rest.trim_ascii_start().strip_prefix(open)?;
        let (number, count) = leading_number(text.as_bytes())?;
        self.rest = text[count..].strip_prefix(close)?;
        Some(number)
    }

    /// A message of known elements in any order, each at most once.
    fn any_message(&mut self) -> Option<Received<'a>> {
        let (mut id, mut handle, mut body_md5, mut body, mut group) = (None, None, None, None, None);
        let (mut enqueued, mut visible, mut first, mut count, mut priority) = (None, None, None, None, None);
        while let Some(name) = self.open()? {
            match name {
                "MessageId" => once(&mut id, self.text(name)?)?,
                "ReceiptHandle" => once(&mut handle, self.text(name)?)?,
                "MessageBodyMD5" => once(&mut body_md5, self.text(name)?)?,
                "MessageBody" => once(&mut body, self.text(name)?)?,
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

/// The number at the beginning of some bytes, and how many digits it has: 1 to 19, which cannot be too large. Times have 13 digits, and a
/// message has three of them: eight digits are read at once.
fn leading_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let (mut number, mut count) = (0, 0);
    while let Some(eight) = bytes[count..].first_chunk().and_then(|eight| eight_digits(*eight)) {
        if count == 16 {
            return None;
        }
        number = number * 100_000_000 + eight;
        count += 8;
    }
    while let Some(digit) = bytes.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        if count == 19 {
            return None;
        }
        number = number * 10 + u64::from(digit);
        count += 1;
    }
    (count > 0).then_some((number, count))
}

/// The number that eight digits are, if they are: each byte a digit, then pairs, fours and all of them added up side by side in one word.
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    const UPPER: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const DIGIT: u64 = 0x3030_3030_3030_3030;
    let word = u64::from_le_bytes(bytes);
    // Of 0 to 9 the upper half stays what it is, of the six characters behind them it does not.
    if word & UPPER != DIGIT || word.wrapping_add(0x0606_0606_0606_0606) & UPPER != DIGIT {
        return None;
    }
    let digits = word - DIGIT;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
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
                    body,
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
        if let Some(quick) = received(text) {
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
            prop_assert_eq!(received(&body), Some(messages.clone()));
            for one in messages {
                let body = Answer::Received(one.clone()).write().body.unwrap();
                prop_assert_eq!(received(&body), Some(vec![one]));
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
    fn a_number_is_read_as_the_standard_library_reads_it() {
        for number in [0, 7, 42, 99_999_999, 100_000_000, 1_795_255_200_123, 9_999_999_999_999_999, 10_u64.pow(19) - 1]
        {
            for behind in ["", "<", "a1234567890", "\u{fffd}", "/", ":"] {
                let text = format!("{number}{behind}");
                assert_eq!(leading_number(text.as_bytes()), Some((number, number.to_string().len())), "{text}");
            }
            let padded = format!("{number:019}");
            assert_eq!(leading_number(padded.as_bytes()), Some((number, 19)), "{padded}");
        }
        for none in [
            "",
            "<",
            "x1",
            "-1",
            "+1",
            " 1",
            "18446744073709551615",
            "00000000000000000000",
            "123456781234567812345678",
        ] {
            assert_eq!(leading_number(none.as_bytes()), None, "{none}");
        }
        // Every byte at every place among digits.
        for (place, byte) in (0..8).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
            let mut bytes = *b"97531024";
            bytes[place] = byte;
            let expected = std::str::from_utf8(&bytes).ok().filter(|_| byte != b'+').and_then(|text| text.parse().ok());
            assert_eq!(eight_digits(bytes), expected, "{bytes:?}");
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
            let quick = received(&text).unwrap_or_else(|| panic!("not read: {text}"));
            assert_eq!(quick[0].message.body, "a&b");
            assert_eq!(received_by_events(200, text.as_bytes()), Ok(quick));
        }
    }

    #[test]
    fn a_message_of_the_service_is_read_at_the_first_look_and_any_other_at_the_second() {
        let tag = |name: &str, text: &str| format!("\n  <{name}>{text}</{name}>");
        let texts = [
            ("MessageId", "m"),
            ("ReceiptHandle", "h"),
            ("MessageBodyMD5", "x"),
            ("MessageBody", "b\u{e9}"),
            ("EnqueueTime", "9999999999999999999"),
            ("NextVisibleTime", "02"),
            ("FirstDequeueTime", "0"),
            ("DequeueCount", "4294967295"),
            ("Priority", "8"),
        ];
        let written = |texts: &[(&str, &str)]| {
            texts.iter().map(|(name, text)| tag(name, text)).collect::<String>() + "\n</Message>rest"
        };
        let changed = |name: &str, text: &'static str| {
            written(&texts.map(|(have, old)| (have, if have == name { text } else { old })))
        };
        let mut scan = Scan { rest: &written(&texts) };
        let mut read = Vec::new();
        scan.usual_message(&mut read).unwrap();
        let usual = read.remove(0);
        assert_eq!((scan.rest, usual.message.enqueue_time), ("rest", 9_999_999_999_999_999_999));
        let mut turned = texts;
        turned.swap(0, 8);
        let longer = texts.iter().copied().chain([("MessageGroupId", "g")]).collect::<Vec<_>>();
        for text in [
            written(&turned),
            written(&longer),
            changed("MessageBody", "a&lt;b"),
            changed("EnqueueTime", "18446744073709551615"),
            changed("NextVisibleTime", " 2 "),
            changed("Priority", "+8"),
        ] {
            assert_eq!(Scan { rest: &text }.usual_message(&mut Vec::new()), None, "{text}");
            assert!(Scan { rest: &text }.message(&mut Vec::new()).is_some(), "{text}");
        }
        for text in [
            changed("MessageId", ""),
            changed("ReceiptHandle", ""),
            changed("MessageId", "\u{1}"),
            changed("EnqueueTime", "18446744073709551616"),
            changed("DequeueCount", "4294967296"),
            changed("Priority", ""),
        ] {
            assert_eq!(Scan { rest: &text }.message(&mut Vec::new()), None, "{text}");
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
            assert_eq!(received(text), None, "{text}");
        }
        assert_eq!(received("<Messages></Messages>"), Some(Vec::new()));
    }
}
