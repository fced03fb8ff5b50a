//! MD5: of message bodies, and of a request (`Content-MD5`, in the two forms that are in use).

mod lanes;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// The MD5 of a message body as transmitted: after XML unescaping, before any base64 decoding. `Display` gives the form of
/// `MessageBodyMD5`: upper-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BodyMd5([u8; 16]);

impl BodyMd5 {
    /// Of one body.
    pub fn of(body: impl AsRef<[u8]>) -> Self {
        Self(Md5::digest(body).into())
    }

    /// Of several bodies, in their order. Those of a full answer cost about a third of what they cost one by one: MD5 is a chain of
    /// steps that wait for each other, and processors can do each for many bodies at once.
    pub fn of_all(bodies: &[&[u8]]) -> Vec<Self> {
        lanes::digests(bodies).into_iter().map(Self).collect()
    }

    /// Whether `told`, as a `MessageBodyMD5`, is this. Letter case and blanks around it do not count.
    pub fn is(self, told: &str) -> bool {
        told.trim().as_bytes().eq_ignore_ascii_case(&self.digits())
    }

    fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (two, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            let nibbles = [byte >> 4, byte & 0xF];
            two.copy_from_slice(&nibbles.map(|nibble| b"0123456789ABCDEF"[usize::from(nibble)]));
        }
        digits
    }
}

impl fmt::Display for BodyMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digits().iter().try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

impl fmt::Debug for BodyMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyMd5({self})")
    }
}

/// The `MessageBodyMD5` of a body: see [`BodyMd5`].
pub fn message_body_md5(body: impl AsRef<[u8]>) -> String {
    BodyMd5::of(body).to_string()
}

/// The `Content-MD5` of a request body in its standard form (RFC 1864): base64 of the digest.
pub fn content_md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

/// The `Content-MD5` form of the Go, Python, Rust and official Node clients: base64 of the digest's lower-case
/// hexadecimal text.
pub fn content_md5_of_hex(body: &[u8]) -> String {
    STANDARD.encode(BodyMd5(Md5::digest(body).into()).digits().map(|digit| digit.to_ascii_lowercase()))
}

/// Whether a `Content-MD5` header fits the body, in either form. If not, the answer is `InvalidDigest`.
pub fn content_md5_matches(header: &[u8], body: &[u8]) -> bool {
    let raw = header.ct_eq(content_md5(body).as_bytes());
    let hex = header.ct_eq(content_md5_of_hex(body).as_bytes());
    bool::from(raw | hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_compared_by_its_value_alone() {
        let md5 = BodyMd5::of("message digest");
        assert_eq!(md5.to_string(), "F96B697D7CB7938D525A2F31AAF161D0", "RFC 1321, A.5");
        assert!(md5.is("F96B697D7CB7938D525A2F31AAF161D0") && md5.is("\n f96b697d7cb7938d525a2f31aaf161d0 "));
        for other in ["", "F96B697D7CB7938D525A2F31AAF161D1", "F96B697D7CB7938D525A2F31AAF161D", "F96B 697D", "é"] {
            assert!(!md5.is(other), "{other:?}");
        }
        assert!(!md5.is(&format!("{md5}0")));
    }
}
