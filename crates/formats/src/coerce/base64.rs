//! Base64 as Jackson reads it into BYTES: padded, standard alphabet, tolerant between the groups of four.

use super::Reason;

const BAD: Reason = "a string that is no padded base64 of the standard alphabet";

/// Six bits per character of the standard alphabet, 255 for the others.
const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [255; 256];
    let mut i = 0;
    while i < alphabet.len() {
        values[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Appends the bytes that the text stands for. Blanks and control characters are skipped between groups of four
/// characters, not inside of them. Each group may be padded, so concatenated pieces are read one after the other;
/// the bits that padding leaves over are not looked at. After an error `out` may hold a part.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    out.reserve(text.len() / 4 * 3);
    let mut rest = text;
    loop {
        while let Some((&[a, b, c, d], after)) = rest.split_first_chunk::<4>() {
            let (a, b, c, d) = (value(a), value(b), value(c), value(d));
            if (a | b | c | d) >= 1 << 6 {
                break;
            }
            let bits = a << 18 | b << 12 | c << 6 | d;
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            rest = after;
        }
        match rest {
            [] => return Ok(()),
            [blank, after @ ..] if *blank <= b' ' => rest = after,
            [a, b, b'=', b'=', after @ ..] if value(*a) < 64 && value(*b) < 64 => {
                out.push((value(*a) << 2 | value(*b) >> 4) as u8);
                rest = after;
            }
            [a, b, c, b'=', after @ ..] if value(*a) < 64 && value(*b) < 64 && value(*c) < 64 => {
                let bits = value(*a) << 10 | value(*b) << 4 | value(*c) >> 2;
                out.extend_from_slice(&bits.to_be_bytes()[2..]);
                rest = after;
            }
            _ => return Err(BAD),
        }
    }
}

fn value(character: u8) -> u32 {
    u32::from(VALUES[usize::from(character)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, Reason> {
        let mut out = Vec::new();
        decode(text.as_bytes(), &mut out).map(|()| out)
    }

    #[test]
    fn what_jackson_reads() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("  \n", b""),
            ("aGVsbG8=", b"hello"),
            ("aGVs bG8=", b"hello"),
            ("aGVs\r\nbG8= ", b"hello"),
            ("aA==aA==", b"hh"),
            ("aB==", b"h"),
            ("null", b"\x9e\xe9\x65"),
        ] {
            assert_eq!(decoded(text).as_deref(), Ok(bytes), "{text:?}");
        }
        for text in ["a", "aG", "aGV", "aGVsbG8", "aG==V", "aGV==", "a===", "====", "aG Vs", "-_-_", "1.5=", "aGVé"] {
            assert_eq!(decoded(text), Err(BAD), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_the_library_writes_is_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            use ::base64::Engine as _;
            let text = ::base64::engine::general_purpose::STANDARD.encode(&bytes);
            prop_assert_eq!(decoded(&text), Ok(bytes));
        }
    }
}
