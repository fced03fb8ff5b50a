//! Plain text: printable ASCII that XML carries as it is, as ids, handles and base64 are.

/// Whether a text is of printable ASCII and has none of `&`, `<`, `>` and `"`.
///
/// Sixteen bytes are judged side by side, without a branch, which compilers make a few vector instructions of.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let is_plain = |chunk: &[u8]| chunk.iter().fold(0, |other, byte| other | other_than_plain(*byte)) == 0;
    let (chunks, rest) = text.as_chunks::<16>();
    chunks.iter().all(|chunk| is_plain(chunk))
        // The last sixteen, of which some were seen already.
        && (rest.is_empty() || text.last_chunk::<16>().map_or_else(|| is_plain(rest), |last| is_plain(last)))
}

/// 0 for a plain byte. Of the others two pairs differ in one bit each: `<` and `>`, `"` and `&`. Said without comparisons, which would be
/// made bits of other vectors.
#[inline]
fn other_than_plain(byte: u8) -> u8 {
    let is_zero = |byte| 1_u8.saturating_sub(byte);
    let control = byte.wrapping_sub(b' ').saturating_sub(b'~' - b' ');
    control | is_zero((byte | 0x02) ^ b'>') | is_zero((byte | 0x04) ^ b'&')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_judged_alike() {
        for (length, byte) in (0..50).flat_map(|length| (0..=255).map(move |byte| (length, byte))) {
            let mut bytes = vec![b'a'; length];
            assert!(is_plain(&bytes));
            let plain = (byte == b' ' || byte.is_ascii_graphic()) && !b"&<>\"".contains(&byte);
            for place in 0..length {
                bytes[place] = byte;
                assert_eq!(is_plain(&bytes), plain, "{bytes:?}");
                bytes[place] = b'a';
            }
        }
    }
}
