//! Request targets: path and query, written and read.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::code::ErrorCode;
use crate::failure::ServiceError;

/// Everything but RFC 3986's unreserved characters is encoded: a receipt handle is opaque and may hold `+`, `/`, `=`
/// or `&`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as one path segment or query value.
pub(crate) fn encode(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// A request target taken apart.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The path's segments, decoded; empty ones (`//`) are dropped.
    pub(crate) segments: Vec<Cow<'a, str>>,
    query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Target<'a> {
    pub(crate) fn parse(target: &'a str) -> Result<Self, ServiceError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !path.starts_with('/') {
            return Err(ServiceError::new(ErrorCode::InvalidRequestURL));
        }
        let segments = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| decode(segment, ErrorCode::InvalidRequestURL))
            .collect::<Result<_, _>>()?;
        let query = query
            .split('&')
            .filter(|item| !item.is_empty())
            .map(|item| {
                let (name, value) = item.split_once('=').unwrap_or((item, ""));
                Ok((decode(name, ErrorCode::InvalidQueryString)?, decode(value, ErrorCode::InvalidQueryString)?))
            })
            .collect::<Result<_, ServiceError>>()?;
        Ok(Self { segments, query })
    }

    /// The value of a query parameter. Names are matched in any case: clients spell them in two ways, and both work.
    pub(crate) fn query(&self, wanted: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_ref())
    }

    pub(crate) fn flag(&self, wanted: &str) -> bool {
        self.query(wanted).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Percent-decodes; `+` stays a plus, since clients send handles with a literal one.
fn decode(text: &str, code: ErrorCode) -> Result<Cow<'_, str>, ServiceError> {
    percent_decode_str(text).decode_utf8().map_err(|_| ServiceError::new(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_a_plus_and_names_have_no_case() {
        let target = Target::parse("//queues/a%2Db/messages?receipthandle=a+b%2Bc/d%3D=&x&peekOnly=TRUE").unwrap();
        assert_eq!(target.segments, ["queues", "a-b", "messages"]);
        assert_eq!(target.query("ReceiptHandle"), Some("a+b+c/d=="));
        assert_eq!(target.query("x"), Some(""));
        assert!(target.flag("peekonly"));
        assert_eq!(target.query("absent"), None);
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let handle = "1-a+b/c==&d%?你";
        let target = format!("/q?h={}", encode(handle));
        assert!(target.is_ascii() && !target[5..].contains(['+', '/', '&', '?']));
        assert_eq!(Target::parse(&target).unwrap().query("h"), Some(handle));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(Target::parse("/q?h=%FF").unwrap_err().code, ErrorCode::InvalidQueryString);
        assert_eq!(Target::parse("/%FF").unwrap_err().code, ErrorCode::InvalidRequestURL);
        assert_eq!(Target::parse("queues").unwrap_err().code, ErrorCode::InvalidRequestURL);
    }
}
