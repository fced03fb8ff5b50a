//! A message as the service writes it: nine elements in one order, nothing escaped.
//!
//! What stands between two texts, tags and blanks, is compared as a whole, and nothing is looked up. A message that has other
//! elements, or has them in another order, or with escapes, is none of these; the caller reads it element by element.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use simdutf8::basic::from_utf8;

use crate::message::{Message, Received};
use crate::numbers::{MAX_MESSAGE_ID, MAX_RECEIPT_HANDLE};
use crate::xml::plain::is_plain;

/// The two tags before a message's first text, between two, or behind the last.
struct Tags {
    /// With the blanks that the service's documents print, where a message stands two from the margin, and its elements four.
    indented: &'static str,
    /// Without blanks.
    dense: &'static str,
    each: [&'static str; 2],
}

macro_rules! tags {
    ($before:literal $first:literal $between:literal $second:literal) => {
        Tags {
            indented: concat!($before, $first, $between, $second),
            dense: concat!($first, $second),
            each: [$first, $second],
        }
    };
}

const TAGS: [Tags; 10] = [
    tags!("\n  " "<Message>" "\n    " "<MessageId>"),
    tags!("" "</MessageId>" "\n    " "<ReceiptHandle>"),
    tags!("" "</ReceiptHandle>" "\n    " "<MessageBodyMD5>"),
    tags!("" "</MessageBodyMD5>" "\n    " "<MessageBody>"),
    tags!("" "</MessageBody>" "\n    " "<EnqueueTime>"),
    tags!("" "</EnqueueTime>" "\n    " "<NextVisibleTime>"),
    tags!("" "</NextVisibleTime>" "\n    " "<FirstDequeueTime>"),
    tags!("" "</FirstDequeueTime>" "\n    " "<DequeueCount>"),
    tags!("" "</DequeueCount>" "\n    " "<Priority>"),
    tags!("" "</Priority>" "\n  " "</Message>"),
];

/// How long the id, the handle and the digest of the last message were: all of an answer are of one length each, nearly always.
#[derive(Default)]
pub(super) struct Lengths {
    id: usize,
    handle: usize,
    body_md5: usize,
}

/// Reads a message from its opening tag to its closing one, blanks before it skipped. Says what is left of the text.
///
/// It is written where it stays: it takes some 200 bytes, which would be copied with every return.
pub(super) fn message<'a>(text: &'a [u8], last: &mut Lengths, out: &mut Vec<Received<'a>>) -> Option<&'a [u8]> {
    let mut at = Place { rest: text };
    at.pass(&TAGS[0])?;
    let names = at.rest;
    let id = at.plain(&mut last.id).filter(|id| (1..=MAX_MESSAGE_ID).contains(&id.len()))?;
    at.pass(&TAGS[1])?;
    let handle_at = names.len() - at.rest.len();
    let handle = at.plain(&mut last.handle).filter(|handle| (1..=MAX_RECEIPT_HANDLE).contains(&handle.len()))?;
    at.pass(&TAGS[2])?;
    let digest_at = names.len() - at.rest.len();
    let digest = at.plain(&mut last.body_md5)?;
    // All three are ASCII, and what stands between them is: one look tells what they are as text.
    let names = from_utf8(&names[..digest_at + digest.len()]).ok()?;
    at.pass(&TAGS[3])?;
    let body = at.unescaped()?;
    at.pass(&TAGS[4])?;
    let enqueue_time = at.time()?;
    at.pass(&TAGS[5])?;
    let next_visible_time = at.time()?;
    at.pass(&TAGS[6])?;
    let first_dequeue_time = at.time()?;
    at.pass(&TAGS[7])?;
    let dequeue_count = at.count()?;
    at.pass(&TAGS[8])?;
    let priority = at.count()?;
    at.pass(&TAGS[9])?;
    out.push(Received {
        receipt_handle: Cow::Borrowed(names.get(handle_at..handle_at + handle.len())?),
        next_visible_time,
        message: Message {
            id: Cow::Borrowed(names.get(..id.len())?),
            body_md5: Cow::Borrowed(names.get(digest_at..)?),
            body: Cow::Borrowed(body),
            enqueue_time,
            first_dequeue_time,
            dequeue_count,
            priority,
            message_group_id: None,
            user_properties: Vec::new(),
            system_properties: Vec::new(),
        },
    });
    Some(at.rest)
}

/// A place in a message. What is compared are bytes, which can be cut anywhere.
///
/// Its functions are always inlined: what they compare are constants, some words each.
struct Place<'a> {
    /// What is left of the answer.
    rest: &'a [u8],
}

impl<'a> Place<'a> {
    /// Passes two tags, indented as in the documents, or without blanks, or else otherwise.
    #[inline(always)]
    fn pass(&mut self, tags: &Tags) -> Option<()> {
        let usual = self.rest.strip_prefix(tags.indented.as_bytes());
        let usual = usual.or_else(|| self.rest.strip_prefix(tags.dense.as_bytes()));
        self.rest = match usual {
            Some(rest) => rest,
            None => tags.with_other_blanks(self.rest)?,
        };
        Some(())
    }

    /// A plain text up to the tag behind it, which is looked for first where the last one was.
    #[inline(always)]
    fn plain(&mut self, last: &mut usize) -> Option<&'a [u8]> {
        let length = if self.rest.get(*last) == Some(&b'<') { *last } else { memchr(b'<', self.rest)? };
        let (text, behind) = self.rest.split_at(length);
        // Then it holds no `<`, and this one is the first.
        if !is_plain(text) {
            return None;
        }
        (*last, self.rest) = (length, behind);
        Some(text)
    }

    /// A text up to the tag behind it, or to an escape, which no tag is.
    #[inline(always)]
    fn unescaped(&mut self) -> Option<&'a [u8]> {
        let (text, behind) = self.rest.split_at(memchr2(b'<', b'&', self.rest)?);
        self.rest = behind;
        Some(text)
    }

    /// A time: any number of at most 19 digits, but most quickly one of 13, as milliseconds are until the year 2286.
    #[inline(always)]
    fn time(&mut self) -> Option<u64> {
        let (number, digits) = match self.rest.first_chunk().and_then(|bytes| thirteen_digits(*bytes)) {
            Some(number) => (number, 13),
            None => leading_number(self.rest)?,
        };
        self.rest = self.rest.get(digits..)?;
        Some(number)
    }

    /// A count: any number that fits, but most quickly one of one digit.
    #[inline(always)]
    fn count(&mut self) -> Option<u32> {
        let (number, digits) = match self.rest.first_chunk()? {
            [digit @ b'0'..=b'9', b'<'] => (u32::from(digit - b'0'), 1),
            _ => leading_number(self.rest).and_then(|(number, digits)| Some((number.try_into().ok()?, digits)))?,
        };
        self.rest = self.rest.get(digits..)?;
        Some(number)
    }
}

impl Tags {
    /// What follows the tags, if they are there.
    #[inline(never)]
    fn with_other_blanks<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        // Before a closing tag there are none, unless behind a number: a text reaches to the tag.
        let [first, second] = self.each.map(str::as_bytes);
        text.trim_ascii_start().strip_prefix(first)?.trim_ascii_start().strip_prefix(second)
    }
}

/// The number at the beginning of some bytes, and how many digits it has: 1 to 19, which cannot be too large.
#[cold]
fn leading_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let count = bytes.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    let digits = bytes[..count].iter().map(|byte| u64::from(byte - b'0'));
    let number = digits.fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(digit));
    (1..20).contains(&count).then_some((number, count))
}

/// The number of thirteen digits with a `<` behind them that these bytes begin with, if they do.
#[inline]
fn thirteen_digits(bytes: [u8; 16]) -> Option<u64> {
    const ZEROS: u128 = u128::from_le_bytes([b'0'; 16]);
    const LARGEST: u128 = u128::from_le_bytes([0x7f - 9; 16]);
    const DIGITS: u128 = u128::MAX >> 24;
    let digits = (u128::from_le_bytes(bytes) ^ ZEROS) & DIGITS;
    // What is larger than 9 has its upper bit set, or gets it.
    let other = (digits | digits.wrapping_add(LARGEST)) & u128::from_le_bytes([0x80; 16]);
    // Three zeros before the last five.
    let (first, last) = (digits as u64, (digits >> 64 << 24) as u64);
    (other == 0 && bytes[13] == b'<').then(|| eight_digits(first) * 100_000 + eight_digits(last))
}

/// The number that eight digits are, the first in the lowest byte: pairs, fours and all of them are added up side by side.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::answers::read::received_by_events;
    use crate::answers::scan::{Scan, received};

    /// Longer than any id or handle.
    const LONG: &str = match std::str::from_utf8(&[b'x'; 1_025]) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    };

    /// A message that is read as a usual one, and what is left behind it.
    fn usual(text: &str) -> Option<(Received<'_>, String)> {
        let mut out = Vec::new();
        let rest = message(text.as_bytes(), &mut Lengths::default(), &mut out)?;
        Some((out.pop()?, text[text.len() - rest.len()..].to_owned()))
    }

    /// The same by the general way.
    fn generally(text: &str) -> Option<(Received<'_>, String)> {
        let mut scan = Scan { rest: text.as_bytes() };
        scan.open()?.filter(|tag| *tag == "Message")?;
        Some((scan.any_message()?, text[text.len() - scan.rest.len()..].to_owned()))
    }

    /// The elements of a message, as in an answer of the service.
    fn elements(number: u64) -> [(&'static str, String); 9] {
        [
            ("MessageId", format!("5F290C926D472878-2-14D9529A8FA-20000000{number}")),
            ("ReceiptHandle", format!("1-ODU4OTkzNDU5My0xNDM1MTk3NjAwLTItNg=={number}")),
            ("MessageBodyMD5", format!("FAFB00F5732AB283681E124BF8747ED{}", number % 10)),
            ("MessageBody", format!("eyJhIjoi{}\u{4f60}", "YWJj".repeat(number as usize % 40))),
            ("EnqueueTime", format!("{}", 1_795_255_200_123 + number)),
            ("NextVisibleTime", format!("{}", 1_795_298_400_000 + number)),
            ("FirstDequeueTime", format!("{}", 1_795_255_200_456 + number)),
            ("DequeueCount", format!("{}", 1 + number % 12)),
            ("Priority", "8".to_owned()),
        ]
    }

    /// Blanks before the tags of a message, and before those in it.
    const LAYOUTS: &[(&str, &str)] = &[
        ("", ""),
        ("\n  ", "\n    "),
        ("\r\n", "\r\n\t"),
        ("\n", "\n      "),
        ("\n", "\n       "),
        ("\n    ", "\n            "),
        (" ", "\u{c}"),
    ];

    /// Elements where the service has them, or not.
    fn written(messages: &[Vec<(&str, String)>], (outer, inner): (&str, &str)) -> String {
        let mut text = "<?xml version=\"1.0\"?>\n<Messages xmlns=\"http://mns.aliyuncs.com/doc/v1/\">".to_owned();
        for elements in messages {
            text += &format!("{outer}<Message>");
            for (name, content) in elements {
                text += &format!("{inner}<{name}>{content}</{name}>");
            }
            text += &format!("{outer}</Message>");
        }
        text + "\n</Messages>"
    }

    fn usual_messages(count: u64) -> Vec<Vec<(&'static str, String)>> {
        (0..count).map(|number| elements(number * 7).to_vec()).collect()
    }

    /// What begins with the opening tag of each message.
    fn messages(text: &str) -> impl Iterator<Item = &str> {
        text.match_indices("<Message>").map(|(at, _)| &text[at..])
    }

    /// What the quick ways say, the long way says too.
    fn agrees(text: &str) {
        if let Some(quick) = received(text.as_bytes()) {
            assert_eq!(received_by_events(200, text.as_bytes()), Ok(quick), "{text}");
        }
        for message in messages(text) {
            if let Some(read) = usual(message) {
                assert_eq!(generally(message), Some(read), "{message}");
            }
        }
    }

    /// Contents that an element may turn out to have.
    const CONTENTS: &[&str] = &[
        "",
        " ",
        "a",
        "\n1\n",
        "0",
        "-1",
        "+1",
        "007",
        "4294967295",
        "4294967296",
        "999999999999",
        "9999999999999",
        "99999999999999",
        "1795255200123 ",
        "179525520012/",
        "179525520012:",
        "18446744073709551615",
        "18446744073709551616",
        "&lt;",
        "&#65;",
        "&",
        "&x;",
        "<![CDATA[1]]>",
        "<!-- 1 -->1",
        "<a/>",
        "<a>1</a>",
        "]]>",
        "\u{e9}",
        "\u{1}",
        "\u{7f}",
        "\u{fffe}",
        "\"'",
        ">",
        "</",
        LONG,
    ];

    /// Pieces that may stand between elements.
    const PIECES: &[&str] = &[
        " ",
        "\t",
        "x",
        "&amp;",
        "<!-- c -->",
        "<?p i?>",
        "<![CDATA[ ]]>",
        "<New>1</New>",
        "<New/>",
        "<MessageGroupId>g</MessageGroupId>",
        "<UserProperties><PropertyValue><Name>n</Name><Value>v</Value></PropertyValue></UserProperties>",
        "<Message>",
        "</Message>",
        "\u{a0}",
    ];

    /// Tags that are not quite those of the service.
    const TAGS: &[(&str, &str)] = &[
        ("<MessageId>", "<MessageId >"),
        ("</MessageId>", "</MessageId >"),
        ("<ReceiptHandle>", "<n:ReceiptHandle>"),
        ("</ReceiptHandle>", "</n:ReceiptHandle>"),
        ("<MessageBody>", "<MessageBody a=\"b\">"),
        ("<MessageBody>", "<MessageBody/><a>"),
        ("</MessageBody>", "</messageBody>"),
        ("<EnqueueTime>", "< EnqueueTime>"),
        ("<Priority>8</Priority>", "<Priority/>"),
        ("</Message>", "</Message >"),
        ("<Message>", "<Message xmlns=\"x\">"),
        ("</Message>", "</Messages>"),
        ("<Messages", "<Message"),
    ];

    proptest! {
        #[test]
        fn usual_answers_are_read_at_the_first_look(count in 0_u64..17, layout in select(LAYOUTS)) {
            let text = written(&usual_messages(count), layout);
            let read = received(text.as_bytes());
            prop_assert_eq!(read.as_ref().map(Vec::len), Some(count as usize));
            prop_assert_eq!(received_by_events(200, text.as_bytes()).ok(), read);
            prop_assert!(messages(&text).all(|message| usual(message).is_some()), "{}", text);
        }

        #[test]
        fn answers_that_are_not_quite_usual_are_read_as_by_events(
            layout in select(LAYOUTS),
            moves in vec((0..3_usize, any::<Index>(), any::<Index>(), 0..3_u8), 0..3),
            content in proptest::option::of((0..3_usize, any::<Index>(), select(CONTENTS))),
            piece in proptest::option::of((any::<Index>(), select(PIECES))),
            tag in proptest::option::of((any::<Index>(), select(TAGS))),
        ) {
            let mut messages = usual_messages(3);
            if let Some((message, element, content)) = content {
                let element = element.index(messages[message].len());
                messages[message][element].1 = content.to_owned();
            }
            for (message, from, to, kind) in moves {
                let elements = &mut messages[message];
                let (from, to) = (from.index(elements.len()), to.index(elements.len()));
                match kind {
                    0 => elements.swap(from, to),
                    1 => elements.insert(to, elements[from].clone()),
                    _ => drop(elements.remove(from)),
                }
            }
            let mut text = written(&messages, layout);
            if let Some((at, piece)) = piece {
                let edge = |(at, mark): (usize, &str)| at + usize::from(mark == ">");
                let edges: Vec<usize> = text.match_indices(['<', '>']).map(edge).collect();
                text.insert_str(*at.get(&edges), piece);
            }
            if let Some((at, (from, to))) = tag {
                let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
                if !places.is_empty() {
                    let at = *at.get(&places);
                    text.replace_range(at..at + from.len(), to);
                }
            }
            agrees(&text);
        }

        #[test]
        fn answers_with_any_damage_are_read_as_by_events(
            layout in select(LAYOUTS),
            at in any::<Index>(),
            cut in 0..12_usize,
            put in vec(any::<u8>(), 0..3),
        ) {
            let mut bytes = written(&usual_messages(2), layout).into_bytes();
            let at = at.index(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, put);
            agrees(&String::from_utf8_lossy(&bytes));
        }
    }

    /// A body is handed on as it is; everything else is text, and no answer that has other bytes there is taken for a usual one.
    #[test]
    fn only_a_body_may_be_of_any_bytes() {
        for layout in &LAYOUTS[..3] {
            let text = written(&usual_messages(2), *layout);
            let bodies: Vec<_> = text.match_indices("<MessageBody>").map(|(at, tag)| at + tag.len()).collect();
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = 0xff;
                let body = bodies.iter().position(|body| *body == at);
                let in_a_body =
                    bodies.iter().any(|body| (*body..*body + text[*body..].find('<').unwrap()).contains(&at));
                let read = received(&bytes);
                assert_eq!(read.is_some(), in_a_body, "{}", String::from_utf8_lossy(&bytes));
                if let Some(number) = body {
                    assert_eq!(read.unwrap()[number].message.body[0], 0xff);
                }
            }
        }
    }

    /// The same in a message that is read element by element; but what is escaped has to be text.
    #[test]
    fn an_unusual_message_may_have_a_body_of_any_bytes_unless_it_is_escaped() {
        for (body, good) in [(&b"\xff\xfe"[..], true), (b"\xff&lt;", false)] {
            let mut elements: Vec<_> = elements(1).map(|(name, text)| (name, text.into_bytes())).into();
            elements[3].1 = body.to_vec();
            elements.swap(0, 8);
            let mut bytes = b"<Messages><Message>".to_vec();
            for (name, content) in &elements {
                bytes.extend([b"<", name.as_bytes(), b">", content, b"</", name.as_bytes(), b">"].concat());
            }
            bytes.extend(b"</Message></Messages>");
            assert_eq!(received(&bytes).map(|read| read[0].message.body.to_vec()), good.then(|| body.to_vec()));
        }
    }

    /// What is not known yet is not taken for known.
    #[test]
    fn nothing_stands_for_tags_but_tags() {
        let text = written(&usual_messages(1), ("", ""));
        let message = messages(&text).next().unwrap();
        for tags in super::TAGS.map(|tags| tags.dense.to_owned()) {
            assert!(message.contains(&tags), "{tags}");
            for character in ('\0'..='\u{ff}').chain(['\u{ffff}', char::MAX]) {
                let filler = character.to_string().repeat(100);
                for put in [filler.clone(), filler + &tags[1..]] {
                    let damaged = message.replacen(&tags, &put, 1);
                    assert_eq!(usual(&damaged), None, "{damaged}");
                }
            }
        }
    }

    #[test]
    fn no_beginning_of_an_answer_is_an_answer() {
        for layout in LAYOUTS {
            let text = written(&usual_messages(2), *layout);
            for (at, _) in text.char_indices() {
                assert_eq!(received(&text.as_bytes()[..at]), None, "{}", &text[..at]);
            }
            let message = messages(&text).next().unwrap();
            let end = message.find("</Message>").unwrap() + "</Message>".len();
            for (at, _) in message[..end].char_indices() {
                assert_eq!(usual(&message[..at]), None, "{}", &message[..at]);
            }
        }
    }

    #[test]
    fn no_bit_is_passed_over() {
        for layout in &LAYOUTS[..3] {
            let text = written(&usual_messages(2), *layout).into_bytes();
            for (at, bit) in (0..text.len()).flat_map(|at| (0..7).map(move |bit| (at, bit))) {
                let mut damaged = text.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(damaged) = String::from_utf8(damaged) {
                    agrees(&damaged);
                }
            }
        }
    }

    #[test]
    fn blanks_of_another_kind_before_each_tag_are_found() {
        let blanks = ["", " ", "\n", "\n  ", "\t\t\t\t\t\t\t", "        ", "\n                  "];
        let elements = elements(1);
        for first in 0..blanks.len() {
            let mut text = "<Message>".to_owned();
            for (place, (name, content)) in elements.iter().enumerate() {
                text += &format!("{}<{name}>{content}</{name}>", blanks[(first + place * 3) % blanks.len()]);
            }
            text += "\n\n</Message>rest";
            assert_eq!(usual(&text), generally(&text), "{text}");
            assert_eq!(usual(&text).unwrap().1, "rest");
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
        // Every byte at every place among thirteen digits and what stands behind them.
        for (place, byte) in (0..16).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
            let mut bytes = *b"9753102468013</N";
            bytes[place] = byte;
            let expected = leading_number(&bytes).filter(|(_, digits)| *digits == 13 && bytes[13] == b'<');
            assert_eq!(thirteen_digits(bytes), expected.map(|(number, _)| number), "{bytes:?}");
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
            "\n<Message>".to_owned()
                + &texts.iter().map(|(name, text)| tag(name, text)).collect::<String>()
                + "\n</Message>rest"
        };
        let changed = |name: &str, text: &'static str| {
            written(&texts.map(|(have, old)| (have, if have == name { text } else { old })))
        };
        let text = written(&texts);
        let (read, rest) = usual(&text).unwrap();
        assert_eq!((&*rest, read.message.enqueue_time), ("rest", 9_999_999_999_999_999_999));
        let mut turned = texts;
        turned.swap(0, 8);
        let longer = texts.iter().copied().chain([("MessageGroupId", "g")]).collect::<Vec<_>>();
        for text in [
            written(&turned),
            written(&longer),
            changed("MessageBody", "a&lt;b"),
            changed("MessageId", "\u{e9}"),
            changed("MessageBodyMD5", "\t"),
            changed("EnqueueTime", "18446744073709551615"),
            changed("NextVisibleTime", " 2 "),
            changed("Priority", "+8"),
        ] {
            assert_eq!(usual(&text), None, "{text}");
            assert!(generally(&text).is_some(), "{text}");
        }
        for text in [
            changed("MessageId", ""),
            changed("MessageId", LONG),
            changed("ReceiptHandle", LONG),
            changed("ReceiptHandle", ""),
            changed("MessageId", "\u{1}"),
            changed("EnqueueTime", "18446744073709551616"),
            changed("DequeueCount", "4294967296"),
            changed("Priority", ""),
        ] {
            assert_eq!((usual(&text), generally(&text)), (None, None), "{text}");
        }
    }
}
