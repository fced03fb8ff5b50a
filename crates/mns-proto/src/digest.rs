//! MD5: of a message body, and of a request (`Content-MD5`, in the two forms that are in use).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// The `MessageBodyMD5` of a body: upper-case hexadecimal, over the text as transmitted (after XML unescaping,
/// before any base64 decoding).
pub fn message_body_md5(body: &str) -> String {
    hex(&Md5::digest(body), b"0123456789ABCDEF")
}

/// The `Content-MD5` of a request body in its standard form (RFC 1864): base64 of the digest.
pub fn content_md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

/// The `Content-MD5` form of the Go, Python, Rust and official Node clients: base64 of the digest's lower-case
/// hexadecimal text.
pub fn content_md5_of_hex(body: &[u8]) -> String {
    STANDARD.encode(hex(&Md5::digest(body), b"0123456789abcdef"))
}

/// Whether a `Content-MD5` header fits the body, in either form. If not, the answer is `InvalidDigest`.
pub fn content_md5_matches(header: &[u8], body: &[u8]) -> bool {
    let raw = header.ct_eq(content_md5(body).as_bytes());
    let hex = header.ct_eq(content_md5_of_hex(body).as_bytes());
    bool::from(raw | hex)
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> String {
    let digit = |nibble: u8| char::from(digits[usize::from(nibble & 0xF)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
