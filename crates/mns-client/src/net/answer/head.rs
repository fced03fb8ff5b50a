//! The head of an answer: its status, how its body ends, and the few headers that are of interest.

use std::mem::MaybeUninit;
use std::str::from_utf8;

use headwater_mns_proto::parse_date;
use httparse::{Header, ParserConfig, Status};

use crate::net::answer::AnswerError;
use crate::net::answer::known::KnownHead;
use crate::net::answer::shown::{Shown, is_printable};

/// The most headers that are read: the service sends seven.
pub(super) const MAX_HEADERS: usize = 100;

/// What the head of an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The `Date` header in seconds since 1970.
    pub(crate) date: Option<u64>,
    pub(crate) request_id: Option<Shown>,
    /// The `Location` header: of a created queue, or of a redirect.
    pub(crate) location: Option<Shown>,
    /// Whether the connection is to be used again.
    pub(crate) keeps: bool,
}

/// How a body ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Nothing,
    /// After so many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    UntilClosed,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq)]
pub(super) enum Parsed {
    /// Not a whole head yet.
    Part,
    /// An interim answer of this length, to be skipped.
    Interim(usize),
    /// The head of the answer, of this length.
    Head(usize, Head, Framing),
}

/// Reads the head at the beginning of `bytes`, where `known` is the one before it, and this one is kept.
pub(super) fn read(bytes: &[u8], known: &mut KnownHead) -> Result<Parsed, AnswerError> {
    match known.read(bytes) {
        Some((length, head, framing)) => Ok(Parsed::Head(length, head, framing)),
        None => parse(bytes, known),
    }
}

/// As [`read`], of a head of which nothing is known.
pub(super) fn parse(bytes: &[u8], known: &mut KnownHead) -> Result<Parsed, AnswerError> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(Parsed::Part),
        Err(error) => return Err(AnswerError::Head(error)),
    };
    let status = response.code.unwrap_or_default();
    match status {
        ..100 => Err(AnswerError::Status),
        // 101 ends HTTP on this connection: it is the answer, and not one that was asked for.
        100 | 102..200 => Ok(Parsed::Interim(length)),
        _ => {
            let fields = Fields::collect(response.headers)?;
            let (framing, keeps) = fields.framing(status, response.version == Some(1))?;
            let date = fields.date.and_then(printable).and_then(parse_date);
            let (request_id, location) = (fields.request_id.and_then(Shown::new), fields.location.and_then(Shown::new));
            let head = Head { status, date, request_id, location, keeps };
            known.learn(&bytes[..length], &head, framing, fields.only_length, fields.request_id);
            Ok(Parsed::Head(length, head, framing))
        }
    }
}

/// The headers of interest. Of a repeated one the first counts, unless its repetition is an error.
#[derive(Default)]
struct Fields<'a> {
    date: Option<&'a [u8]>,
    request_id: Option<&'a [u8]>,
    location: Option<&'a [u8]>,
    length: Option<u64>,
    /// The text of the length, if there is one and no more.
    only_length: Option<&'a [u8]>,
    /// The last one, whose last word decides.
    encoding: Option<&'a [u8]>,
    closes: bool,
    keeps_alive: bool,
}

impl<'a> Fields<'a> {
    fn collect(headers: &[Header<'a>]) -> Result<Self, AnswerError> {
        let mut fields = Self::default();
        for Header { name, value } in headers {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            match name.len() {
                4 if is("date") => fields.date = fields.date.or(Some(value)),
                8 if is("location") => fields.location = fields.location.or(Some(value)),
                10 if is("connection") => {
                    fields.closes |= words(value).any(|word| word.eq_ignore_ascii_case(b"close"));
                    fields.keeps_alive |= words(value).any(|word| word.eq_ignore_ascii_case(b"keep-alive"));
                }
                14 if is("content-length") => {
                    fields.only_length = if fields.length.is_none() { Some(value) } else { None };
                    fields.length = Some(body_length(value, fields.length)?);
                }
                16 if is("x-mns-request-id") => fields.request_id = fields.request_id.or(Some(value)),
                17 if is("transfer-encoding") => fields.encoding = Some(value),
                _ => {}
            }
        }
        Ok(fields)
    }

    /// How the body ends, and whether the connection can be used after it.
    fn framing(&self, status: u16, version_1_1: bool) -> Result<(Framing, bool), AnswerError> {
        let keeps = !self.closes && (version_1_1 || self.keeps_alive);
        match (status, self.encoding, self.length) {
            (101, _, _) => Ok((Framing::Nothing, false)),
            (204 | 304, _, _) => Ok((Framing::Nothing, keeps)),
            // Two ends, of which a proxy on the way may have believed the other.
            (_, Some(_), Some(_)) => Err(AnswerError::TwoLengths),
            (_, Some(_), None) if !version_1_1 => Err(AnswerError::Encoding),
            (_, Some(encoding), None) if printable(encoding).is_none() => Err(AnswerError::EncodingText),
            (_, Some(encoding), None) => match words(encoding).last() {
                Some(last) if last.eq_ignore_ascii_case(b"chunked") => Ok((Framing::Chunked, keeps)),
                _ => Ok((Framing::UntilClosed, false)),
            },
            (_, None, Some(length)) => Ok((Framing::Length(length), keeps)),
            (_, None, None) => Ok((Framing::UntilClosed, false)),
        }
    }
}

/// The words of a list, which commas and blanks divide.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The length that a header gives, which must be that of an earlier one, `have`; so must all of a list (RFC 9110, 8.6).
fn body_length(value: &[u8], have: Option<u64>) -> Result<u64, AnswerError> {
    let number = |word: &[u8]| {
        let digits = !word.is_empty() && word.iter().all(u8::is_ascii_digit);
        from_utf8(word).ok().filter(|_| digits)?.parse().ok()
    };
    let mut length = have;
    for word in words(value) {
        let one: u64 = number(word).ok_or(AnswerError::Length)?;
        if length.is_some_and(|length| length != one) {
            return Err(AnswerError::Length);
        }
        length = Some(one);
    }
    length.ok_or(AnswerError::Length)
}

/// A header's text if it is ASCII of the printable kind, so that any byte is a character.
fn printable(value: &[u8]) -> Option<&str> {
    from_utf8(value).ok().filter(|_| value.iter().all(|byte| is_printable(*byte)))
}
