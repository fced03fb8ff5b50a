//! Signature version 2, the side that signs.
//!
//! The signature covers method, four headers' values and the request target **byte for byte as it goes on the request
//! line**: nothing is decoded, sorted or re-encoded. `Host`, `User-Agent`, `Content-Length` and `security-token` are
//! not covered.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::date::format_date;
use crate::key::AccessKey;
use crate::numbers::VERSION;
use crate::request::WireRequest;

/// The header that carries the token of a temporary key. It is not signed.
pub const SECURITY_TOKEN_HEADER: &str = "security-token";

/// What takes part in a signature, picked out of a request's headers.
#[derive(Debug, Default, Clone)]
pub(crate) struct SignedHeaders<'a> {
    pub(crate) content_md5: &'a [u8],
    pub(crate) content_type: &'a [u8],
    pub(crate) date: Option<&'a [u8]>,
    /// Lower-case name and value, sorted by name.
    pub(crate) x_mns: Vec<(Cow<'a, str>, &'a [u8])>,
}

impl<'a> SignedHeaders<'a> {
    pub(crate) fn collect(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut picked = Self::default();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("content-md5") {
                picked.content_md5 = value;
            } else if name.eq_ignore_ascii_case("content-type") {
                picked.content_type = value;
            } else if name.eq_ignore_ascii_case("date") {
                picked.date = Some(value);
            } else if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-mns-")) {
                let lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
                let name = if lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) };
                picked.x_mns.push((name, value));
            }
        }
        picked.x_mns.sort_by(|a, b| a.0.cmp(&b.0));
        picked
    }

    pub(crate) fn x_mns(&self, name: &str) -> Option<&'a [u8]> {
        self.x_mns.iter().find(|(have, _)| have == name).map(|(_, value)| *value)
    }

    pub(crate) fn string_to_sign(&self, method: &str, target: &str, date: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(256);
        for line in [method.as_bytes(), self.content_md5, self.content_type, date] {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        for (name, value) in &self.x_mns {
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        text.extend_from_slice(target.as_bytes());
        text
    }
}

/// The text a request's signature is computed over, for example to compare it when a signature is refused.
///
/// `headers` are all headers of the request, in any order and case; the ones that take part are picked. `target` is
/// the request target as sent: path and query.
pub fn string_to_sign<'a>(
    method: &str,
    target: &str,
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Vec<u8> {
    let headers = SignedHeaders::collect(headers);
    headers.string_to_sign(method, target, headers.date.unwrap_or_default())
}

/// Signs requests with one access key.
///
/// Keeps the key's HMAC state prepared, so it is worth keeping as long as the key.
#[derive(Clone)]
pub struct Signer {
    key: AccessKey,
    hmac: Hmac<Sha1>,
}

impl Signer {
    /// A signer for a key.
    pub fn new(key: AccessKey) -> Self {
        let hmac = Hmac::new_from_slice(key.secret().as_bytes()).expect("HMAC takes a key of any length");
        Self { key, hmac }
    }

    /// The key it signs with.
    pub fn key(&self) -> &AccessKey {
        &self.key
    }

    /// All headers a request must be sent with beyond what HTTP itself adds: date, version, signature and, for a
    /// temporary key, its token; the request's own headers included.
    ///
    /// `now` is in seconds since 1970.
    pub fn headers(&self, request: &WireRequest, now: u64) -> Vec<(&'static str, String)> {
        let mut headers = Vec::with_capacity(request.headers.len() + 4);
        self.each_header(request, now, |name, value| headers.push((name, value.to_owned())));
        headers
    }

    /// As [`headers`](Self::headers), handed to `each` one by one: for a caller that writes them out.
    pub fn each_header(&self, request: &WireRequest, now: u64, mut each: impl FnMut(&'static str, &str)) {
        let date = format_date(now);
        let own = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers = own.chain([("date", date.as_str()), ("x-mns-version", VERSION)]);
        headers.clone().for_each(|(name, value)| each(name, value));
        let signed = headers.map(|(name, value)| (name, value.as_bytes()));
        each("authorization", &self.authorization(request.method.as_str(), &request.target, signed));
        if let Some(token) = self.key.token() {
            each(SECURITY_TOKEN_HEADER, token);
        }
    }

    /// The value of the `Authorization` header for a request with these headers.
    pub fn authorization<'a>(
        &self,
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> String {
        format!("MNS {}:{}", self.key.id(), self.signature(&string_to_sign(method, target, headers)))
    }

    pub(crate) fn signature(&self, string_to_sign: &[u8]) -> String {
        let mut hmac = self.hmac.clone();
        hmac.update(string_to_sign);
        STANDARD.encode(hmac.finalize().into_bytes())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key", &self.key).finish_non_exhaustive()
    }
}
