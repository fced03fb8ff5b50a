//! Numbers as Thrift, Protocol Buffers and both file formats write them: seven bits to the byte, the lowest first.

/// A number of up to 64 bits from the front of `rest`; `None` when it does not end there or is longer.
pub(crate) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}
