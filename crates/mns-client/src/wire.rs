//! A request as the bytes that are sent.

use std::io::Write as _;

use headwater_mns_proto::{Method, Signer, WireRequest};

use crate::endpoint::Endpoint;
use crate::net::{Connector, NetError};

const USER_AGENT: &str = concat!("headwater/", env!("CARGO_PKG_VERSION"));

/// The longest request target: what HTTP libraries of servers read at most.
const MAX_TARGET: usize = 65_534;

/// What all requests of a client begin with, apart from the operation.
#[derive(Clone)]
pub(crate) struct RequestWriter {
    /// What goes before the path: nothing, or the origin for a proxy that forwards plain HTTP.
    origin: String,
    /// The lines that are the same for every request.
    common: Result<Vec<u8>, NetError>,
}

impl RequestWriter {
    pub(crate) fn new(endpoint: &Endpoint, connector: &Connector) -> Self {
        let common = || {
            let mut lines = Vec::new();
            line(&mut lines, "host", &endpoint.authority())?;
            line(&mut lines, "user-agent", USER_AGENT)?;
            if let Some(authorization) = connector.proxy_authorization() {
                line(&mut lines, "proxy-authorization", authorization)?;
            }
            Ok(lines)
        };
        Self { origin: connector.target_prefix(), common: common() }
    }

    /// What comes before the body and its length, signed at `now`, in seconds since 1970. No signature covers a body: requests that
    /// differ in nothing else have the same head.
    ///
    /// # Errors
    /// [`NetError::Target`], [`NetError::Header`].
    pub(crate) fn head(&self, signer: &Signer, wire: &WireRequest, now: u64) -> Result<Vec<u8>, NetError> {
        let common = self.common.as_ref().map_err(Clone::clone)?;
        if self.origin.len() + wire.target.len() > MAX_TARGET
            || !wire.target.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(NetError::Target);
        }
        let mut out = Vec::with_capacity(common.len() + wire.target.len() + 512);
        for part in [wire.method.as_str(), " ", &self.origin, &wire.target, " HTTP/1.1\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(common);
        let mut headers = Ok(());
        signer.each_header(wire, now, |name, value| {
            if headers.is_ok() {
                headers = line(&mut out, name, value);
            }
        });
        headers?;
        Ok(out)
    }
}

/// A request of this method with this head.
pub(crate) fn request(head: &[u8], method: Method, body: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + body.map_or(0, str::len) + 40);
    out.extend_from_slice(head);
    // Methods that are expected to have a body say that there is none.
    if body.is_some() || matches!(method, Method::Put | Method::Post) {
        let length = body.map_or(0, str::len);
        write!(out, "content-length: {length}\r\n").expect("writing to a Vec does not fail");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body.unwrap_or_default().as_bytes());
    out
}

/// Writes a header line. Nothing in a value may end it, or begin another: keys come from files and services.
fn line(out: &mut Vec<u8>, name: &'static str, value: &str) -> Result<(), NetError> {
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte) || byte == b'\t') {
        return Err(NetError::Header { name });
    }
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use headwater_core::SystemClock;
    use headwater_mns_proto::{AccessKey, Request};

    use super::*;
    use crate::settings::ClientSettings;

    fn written(key: AccessKey, request: &Request) -> Result<String, NetError> {
        let endpoint = Endpoint::parse("http://h.example:81").unwrap();
        let timeout = ClientSettings::default().connect_timeout;
        let connector = Connector::new(endpoint.clone(), None, None, SystemClock::shared(), timeout).unwrap();
        let writer = RequestWriter::new(&endpoint, &connector);
        let wire = request.write().unwrap();
        let head = writer.head(&Signer::new(key), &wire, 1_795_161_600)?;
        let bytes = super::request(&head, wire.method, wire.body.as_deref());
        Ok(String::from_utf8(bytes).unwrap())
    }

    fn key() -> AccessKey {
        AccessKey::new("testid", "testsecret")
    }

    #[test]
    fn a_request_is_its_lines_and_its_body() {
        let receive = Request::ReceiveMessage { queue: "q".into(), batch: Some(16), wait_seconds: Some(10) };
        let version = env!("CARGO_PKG_VERSION");
        let text = written(key(), &receive).unwrap();
        let authorization = text.split("authorization: ").nth(1).unwrap().split("\r\n").next().unwrap();
        assert_eq!(
            text,
            format!(
                "GET /queues/q/messages?numOfMessages=16&waitseconds=10 HTTP/1.1\r\nhost: h.example:81\r\nuser-agent: \
                 headwater/{version}\r\ndate: Fri, 20 Nov 2026 08:00:00 GMT\r\nx-mns-version: 2015-06-06\r\n\
                 authorization: {authorization}\r\n\r\n"
            )
        );
        let delete = Request::BatchDeleteMessage { queue: "q".into(), receipt_handles: vec!["a&b".into()] };
        let text = written(key(), &delete).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(body.contains("<ReceiptHandle>a&amp;b</ReceiptHandle>"), "{body}");
        assert!(head.ends_with(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        let change =
            Request::ChangeMessageVisibility { queue: "q".into(), receipt_handle: "h".into(), visibility_timeout: 1 };
        assert!(written(key(), &change).unwrap().ends_with("\r\ncontent-length: 0\r\n\r\n"));
    }

    #[test]
    fn what_would_begin_another_line_is_not_written() {
        let request = Request::GetQueueAttributes { queue: "q".into() };
        for (key, refused) in [
            (AccessKey::new("a\r\nx: y", "s"), "authorization"),
            (AccessKey::new("a\n", "s"), "authorization"),
            (AccessKey::with_token("a", "s", "t\r\n\r\n"), "security-token"),
            (AccessKey::with_token("a", "s", "t\0"), "security-token"),
            (AccessKey::with_token("a", "s", "\u{e9}"), "security-token"),
        ] {
            match written(key, &request) {
                Err(NetError::Header { name }) => assert_eq!(name, refused),
                other => panic!("{refused}: {other:?}"),
            }
        }
        let long = Request::GetQueueAttributes { queue: "q".repeat(70_000) };
        assert!(matches!(written(key(), &long), Err(NetError::Target)));
        let odd = Request::GetQueueAttributes { queue: "a b\r\n\u{e9}".into() };
        assert!(written(key(), &odd).unwrap().starts_with("GET /queues/a%20b%0D%0A%C3%A9 HTTP/1.1\r\n"));
    }
}
