//! UTF-16 as Java decodes it.

/// Appends the text as UTF-8. What is no character becomes U+FFFD: a second half of a pair alone, a first half
/// *together with* the unit, or the odd byte, that follows it, an odd byte at the end.
pub(crate) fn decode(text: &[u8], little_endian: bool, out: &mut Vec<u8>) {
    let (pairs, odd) = text.as_chunks::<2>();
    let unit = |pair: &[u8; 2]| if little_endian { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) };
    let mut units = pairs.iter().map(unit);
    let mut odd = !odd.is_empty();
    while let Some(first) = units.next() {
        let code = match first {
            0xD800..0xDC00 => match units.next() {
                Some(second @ 0xDC00..0xE000) => {
                    0x1_0000 + (u32::from(first - 0xD800) << 10) + u32::from(second - 0xDC00)
                }
                second => {
                    odd &= second.is_some();
                    u32::from(char::REPLACEMENT_CHARACTER)
                }
            },
            other => u32::from(other),
        };
        push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), out);
    }
    if odd {
        push(char::REPLACEMENT_CHARACTER, out);
    }
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_broken_pairs() {
        for (units, text) in [
            (&[0x68, 0xE9, 0x65E5][..], "hé日"),
            (&[0xD83C, 0xDF89], "🎉"),
            (&[0xD83C, 0x41, 0x42], "\u{fffd}B"),
            (&[0xD83C, 0xD83C, 0xDF89], "\u{fffd}\u{fffd}"),
            (&[0xDF89, 0x41], "\u{fffd}A"),
            (&[0x41, 0xD83C], "A\u{fffd}"),
        ] {
            for little in [false, true] {
                let bytes = units.iter().flat_map(|u: &u16| if little { u.to_le_bytes() } else { u.to_be_bytes() });
                let mut out = Vec::new();
                decode(&bytes.collect::<Vec<u8>>(), little, &mut out);
                assert_eq!(String::from_utf8(out).expect("UTF-8"), text);
            }
        }
        let mut out = Vec::new();
        decode(b"\0A\0", false, &mut out);
        assert_eq!(out, "A\u{fffd}".as_bytes());
        out.clear();
        decode(b"\0A\xd8\x3c\xdf", false, &mut out);
        assert_eq!(out, "A\u{fffd}".as_bytes());
    }
}
