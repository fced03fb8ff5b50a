//! The head of the answer before this one, which the next one's differs from in two values at most.
//!
//! Between two answers on one connection a service changes the body's length and the request's id, and once a second the date. So the
//! bytes around these two values are compared, and only what they do not fit is parsed: equal bytes mean the same, and so
//! do digits in place of digits, and characters without a meaning of their own in place of such.

use std::ops::Range;

use crate::net::answer::head::{Framing, Head};
use crate::net::answer::shown::Shown;

/// The longest head that is kept, with each connection: the service's are under 500 bytes.
const LONGEST: usize = 1_024;

/// The most digits of a length that is read here: more than any body that is accepted has.
const DIGITS: usize = 9;

/// A head and what it means.
#[derive(Debug, Default)]
pub(super) struct KnownHead {
    bytes: Vec<u8>,
    meaning: Option<(Head, Framing)>,
    /// The values that may be others, in their order.
    values: [Option<(Range<usize>, Value)>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Length,
    RequestId,
}

impl KnownHead {
    /// Keeps a head that was parsed to mean this, in which these are the values, if they were there once each.
    pub(super) fn learn(
        &mut self,
        bytes: &[u8],
        head: &Head,
        framing: Framing,
        length: Option<&[u8]>,
        request_id: Option<&[u8]>,
    ) {
        self.meaning = None;
        if bytes.len() > LONGEST || head.location.is_some() {
            return;
        }
        let place = |value: &[u8]| {
            let from = (value.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
            Some(from..from + value.len()).filter(|place| bytes.get(place.clone()) == Some(value))
        };
        let request_id = request_id.filter(|value| !value.is_empty() && is_word(value));
        self.values = [(length, Value::Length), (request_id, Value::RequestId)]
            .map(|(value, kind)| value.and_then(place).map(|place| (place, kind)));
        self.values.sort_unstable_by_key(|value| value.as_ref().map(|(place, _)| place.start));
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        let same_id = head.request_id.clone().filter(|_| request_id.is_none());
        self.meaning = Some((Head { request_id: same_id, ..head.clone() }, framing));
    }

    /// The head at the beginning of some bytes, and how long it is, if it is this one with other values.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<(usize, Head, Framing)> {
        let (head, framing) = self.meaning.as_ref()?;
        let (mut head, mut framing) = (head.clone(), *framing);
        let (mut rest, mut known) = (bytes, 0);
        for (place, value) in self.values.iter().flatten() {
            rest = rest.strip_prefix(&self.bytes[known..place.start])?;
            known = place.end;
            let length = match value {
                Value::Length => {
                    let (length, digits) = number(rest)?;
                    if let Framing::Length(known) = &mut framing {
                        *known = length;
                    }
                    digits
                }
                Value::RequestId => {
                    let id = rest.get(..place.len()).filter(|id| is_word(id))?;
                    head.request_id = Some(Shown::new(id)?);
                    id.len()
                }
            };
            rest = &rest[length..];
        }
        rest = rest.strip_prefix(&self.bytes[known..])?;
        Some((bytes.len() - rest.len(), head, framing))
    }
}

/// The number at the beginning of some bytes, and how many digits it has.
fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let (mut number, mut digits) = (0, 0);
    while let Some(byte @ b'0'..=b'9') = bytes.get(digits) {
        if digits == DIGITS {
            return None;
        }
        number = number * 10 + u64::from(byte - b'0');
        digits += 1;
    }
    (digits > 0).then_some((number, digits))
}

/// Whether there is nothing but visible ASCII: no blank, which may be cut off, and no end of a line.
fn is_word(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |word, byte| word & byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::net::answer::head::{self, Parsed};

    /// What came of reading a head, or why nothing did.
    fn outcome(read: Result<Parsed, crate::net::answer::AnswerError>) -> Result<Parsed, String> {
        read.map_err(|error| format!("{error:?}"))
    }

    /// A reader that has read this head.
    fn after(head: &[u8]) -> KnownHead {
        let mut known = KnownHead::default();
        let _ = head::read(head, &mut known);
        known
    }

    /// Reads a head behind another: as if there had been none, and then the same once more.
    fn agrees(known: &mut KnownHead, head: &[u8]) {
        let expected = outcome(head::parse(head, &mut KnownHead::default()));
        assert_eq!(outcome(head::read(head, known)), expected, "{:?}", String::from_utf8_lossy(head));
        assert_eq!(outcome(head::read(head, known)), expected, "{:?}", String::from_utf8_lossy(head));
    }

    const SERVICE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/xml;charset=utf-8\r\nContent-Length: 15012\r\nConnection: keep-alive\r\n\
        Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nServer: AliyunMNS\r\nx-mns-request-id: 5F290C926D472878A1B2C3D4\r\n\
        x-mns-version: 2015-06-06\r\n\r\n";
    const DELETED: &str =
        "HTTP/1.1 204 No Content\r\nServer: AliyunMNS\r\nx-mns-request-id: 5F290C926D472878A1B2C3D4\r\n\r\n";

    #[test]
    fn only_the_length_and_the_id_may_be_others() {
        for (first, from, to) in [
            (SERVICE, "15012", "7"),
            (SERVICE, "15012", "999999999"),
            (SERVICE, "A1B2C3D4", "00000000"),
            (SERVICE, "A1B2C3D4", "::::,,,,"),
            (DELETED, "A1B2C3D4", "00000000"),
        ] {
            let (known, next) = (after(first.as_bytes()), first.replace(from, to) + "<Messages>");
            let read = known.read(next.as_bytes()).unwrap_or_else(|| panic!("not known: {next}"));
            let (length, head, framing) = read;
            assert_eq!(
                outcome(head::parse(next.as_bytes(), &mut KnownHead::default())),
                Ok(Parsed::Head(length, head, framing))
            );
        }
        for (from, to) in [
            ("15012", ""),
            ("15012", "+1"),
            ("15012", "1,1"),
            ("15012", "1 1"),
            ("15012", "9999999999"),
            ("15012", "1\r\nContent-Length: 1"),
            ("A1B2C3D4", "A1B2C3D"),
            ("A1B2C3D4", "A1B2C3D45"),
            ("A1B2C3D4", "A1B2 3D4"),
            ("A1B2C3D4", "A1B2\r\n:4"),
            ("A1B2C3D4", "A1B2C3D\u{7f}"),
            ("200 OK", "200 OL"),
            ("10:00:00", "10:00:01"),
        ] {
            let (mut known, next) = (after(SERVICE.as_bytes()), SERVICE.replace(from, to));
            assert_eq!(known.read(next.as_bytes()), None, "{next}");
            agrees(&mut known, next.as_bytes());
        }
    }

    #[test]
    fn of_two_lengths_none_may_be_another() {
        for lengths in ["content-length: 3\r\ncontent-length: 3\r\n", "content-length: 3, 3\r\n"] {
            let head = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n");
            let at = head.rfind('3').unwrap();
            let next = format!("{}4{}", &head[..at], &head[at + 1..]);
            let refused = outcome(head::read(next.as_bytes(), &mut after(head.as_bytes())));
            assert_eq!(refused, Err("Length".to_owned()), "{next}");
        }
    }

    #[test]
    fn no_beginning_of_a_head_is_one() {
        let known = after(SERVICE.as_bytes());
        for end in 0..SERVICE.len() {
            assert_eq!(known.read(&SERVICE.as_bytes()[..end]), None, "{end}");
        }
        assert!(known.read(SERVICE.as_bytes()).is_some());
    }

    #[test]
    fn what_would_be_long_to_keep_or_redirects_is_parsed_each_time() {
        let long = SERVICE.replace("AliyunMNS", &"x".repeat(LONGEST));
        let elsewhere = SERVICE.replace("Server", "Location");
        for head in [long, elsewhere] {
            let known = after(head.as_bytes());
            assert!(known.read(head.as_bytes()).is_none() && known.bytes.len() <= LONGEST, "{head}");
        }
    }

    const LINES: &[&str] = &[
        "content-length: 3\r\n",
        "content-length: 12 \r\n",
        "Content-Length:0\n",
        "content-length: 3, 3\r\n",
        "content-length:\r\n",
        "content-length: 18446744073709551616\r\n",
        "transfer-encoding: chunked\r\n",
        "connection: close\r\n",
        "x-mns-request-id: ABC\r\n",
        "x-mns-request-id:DEF \r\n",
        "X-Mns-Request-Id: a b\r\n",
        "x-mns-request-id:\r\n",
        "x-mns-request-id: \u{e9}\r\n",
        "date: Fri, 20 Nov 2026 08:00:00 GMT\r\n",
        "location: x\r\n",
        "a: b\r\n",
    ];

    fn head() -> impl Strategy<Value = Vec<u8>> {
        let status =
            select(&["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 \r\n", "HTTP/1.1 204 X\r\n", "HTTP/1.1 100 X\r\n"][..]);
        (status, vec(select(LINES), 0..5))
            .prop_map(|(status, lines)| format!("{status}{}\r\n", lines.concat()).into_bytes())
    }

    proptest! {
        #[test]
        fn a_head_behind_another_is_read_as_if_it_were_the_first(heads in vec(head(), 1..4)) {
            let mut known = KnownHead::default();
            heads.iter().for_each(|head| agrees(&mut known, head));
        }

        #[test]
        fn a_head_like_the_one_before_it_is_read_as_if_it_were_the_first(
            first in prop_oneof![head(), Just(SERVICE.as_bytes().to_vec()), Just(DELETED.as_bytes().to_vec())],
            changes in vec((any::<Index>(), 0..3_usize, vec(select(&b"0a:;, \t\r\n\x00\x7f\xe9"[..]), 0..3)), 1..3),
        ) {
            let mut next = first.clone();
            for (at, cut, put) in changes {
                let at = at.index(next.len());
                let end = (at + cut).min(next.len());
                next.splice(at..end, put);
                if next.is_empty() {
                    break;
                }
            }
            agrees(&mut after(&first), &next);
        }

        #[test]
        fn any_one_byte_may_be_another(at in any::<Index>(), byte in any::<u8>()) {
            let mut next = SERVICE.as_bytes().to_vec();
            let at = at.index(next.len());
            next[at] = byte;
            agrees(&mut after(SERVICE.as_bytes()), &next);
        }
    }
}
