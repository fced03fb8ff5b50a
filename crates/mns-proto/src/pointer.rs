//! Oversized messages: a body that points to an object in OSS.
//!
//! A convention of the Java SDK's samples and the page "Transmit oversized messages", not a feature of the wire: the
//! body is a prefix, a bucket, a colon and an object key. The pointer is never base64; what the object holds may be.

/// How such a body begins.
pub const OVERSIZED_PREFIX: &str = "#MNS_EXTENDED_OSS_MESSAGE_BODY#";

/// Where the text of an oversized message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OversizedPointer<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key of the object.
    pub object_key: &'a str,
}

impl<'a> OversizedPointer<'a> {
    /// Reads a pointer from the body as received, before any base64 decoding. `None` if the body is not one, or has
    /// the prefix but names no bucket or no object.
    pub fn parse(body: &'a str) -> Option<Self> {
        let (bucket, object_key) = body.strip_prefix(OVERSIZED_PREFIX)?.split_once(':')?;
        (!bucket.is_empty() && !object_key.is_empty()).then_some(Self { bucket, object_key })
    }
}
