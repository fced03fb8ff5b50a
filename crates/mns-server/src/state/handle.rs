//! Receipt handles: the text a delivery is deleted with, and how it is read back without a table of handles.
//!
//! A handle carries the message's sequence number and the nonce of one delivery, blurred, with a check value over both.
//! The message remembers the nonce of its newest delivery only, so every older handle is dead by comparison, and a
//! handle costs no memory here. Clients must treat it as opaque; the blur only keeps them from reading it by accident.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::random::scramble;

/// What a well-formed handle of this queue names: one delivery of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The message's place in the order of sends.
    pub(super) sequence: u64,
    /// Drawn anew for each receive and each visibility change.
    pub(super) nonce: u64,
}

/// Sequence numbers are written in 48 bits: at 100,000 sends a second that lasts 89 years.
const SEQUENCE_BYTES: usize = 6;
const NONCE_BYTES: usize = 8;
const CHECK_BYTES: usize = 8;
const CORE_BYTES: usize = SEQUENCE_BYTES + NONCE_BYTES + CHECK_BYTES;
/// Zero to two bytes follow, so that the 32 characters sometimes end in `=` or `==`, as real handles do.
const LONGEST: usize = CORE_BYTES + 2;
const TEXT_CHARS: usize = 32;

const _: () = assert!(LONGEST.div_ceil(3) * 4 == TEXT_CHARS && CORE_BYTES.div_ceil(3) * 4 == TEXT_CHARS);

/// Writes `ticket` as `<priority>-` and 32 characters of standard base64.
pub(super) fn encode(key: u64, priority: u32, ticket: Ticket) -> String {
    let mut raw = [0u8; LONGEST];
    let blurred = ticket.sequence ^ scramble(key ^ ticket.nonce);
    raw[..SEQUENCE_BYTES].copy_from_slice(&blurred.to_be_bytes()[8 - SEQUENCE_BYTES..]);
    raw[SEQUENCE_BYTES..][..NONCE_BYTES].copy_from_slice(&ticket.nonce.to_be_bytes());
    raw[SEQUENCE_BYTES + NONCE_BYTES..][..CHECK_BYTES].copy_from_slice(&check(key, priority, ticket).to_be_bytes());
    let length = length_for(ticket.nonce);
    raw[CORE_BYTES..].fill(filler(ticket.nonce));
    let mut text = String::with_capacity(3 + TEXT_CHARS);
    text.push_str(&priority.to_string());
    text.push('-');
    STANDARD.encode_string(&raw[..length], &mut text);
    text
}

/// Reads a handle back, or says `None` for anything this queue did not write.
pub(super) fn decode(key: u64, text: &str) -> Option<Ticket> {
    let (priority, opaque) = text.split_once('-')?;
    if opaque.len() != TEXT_CHARS || priority.starts_with('+') {
        return None;
    }
    let priority: u32 = priority.parse().ok()?;
    let raw = STANDARD.decode(opaque).ok()?;
    if raw.len() < CORE_BYTES {
        return None;
    }
    let (sequence, rest) = raw.split_at(SEQUENCE_BYTES);
    let (nonce, rest) = rest.split_at(NONCE_BYTES);
    let nonce = u64::from_be_bytes(nonce.try_into().ok()?);
    let mut wide = [0u8; 8];
    wide[8 - SEQUENCE_BYTES..].copy_from_slice(sequence);
    let mask = u64::MAX >> (8 * (8 - SEQUENCE_BYTES));
    let sequence = (u64::from_be_bytes(wide) ^ scramble(key ^ nonce)) & mask;
    let ticket = Ticket { sequence, nonce };
    // Writing it again and comparing checks everything at once: check value, length, filler, spelling of the priority.
    (rest[..CHECK_BYTES] == check(key, priority, ticket).to_be_bytes() && encode(key, priority, ticket) == text)
        .then_some(ticket)
}

fn check(key: u64, priority: u32, ticket: Ticket) -> u64 {
    scramble(key ^ scramble(ticket.sequence ^ scramble(ticket.nonce ^ u64::from(priority))))
}

fn length_for(nonce: u64) -> usize {
    CORE_BYTES + (scramble(nonce) % 3) as usize
}

fn filler(nonce: u64) -> u8 {
    scramble(nonce.rotate_left(17)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn every_handle_reads_back_and_looks_like_a_real_one() {
        let mut random = Random::seeded(1);
        let mut seen = String::new();
        for sequence in 0..500 {
            let ticket = Ticket { sequence, nonce: random.bits() };
            let text = encode(42, 8, ticket);
            assert_eq!(decode(42, &text), Some(ticket), "{text}");
            assert!(text.starts_with("8-") && text.len() == 34, "{text}");
            seen.push_str(&text);
        }
        for special in ['+', '/', '='] {
            assert!(seen.contains(special), "no handle held {special:?}");
        }
    }

    #[test]
    fn nothing_else_reads_as_a_handle() {
        let text = encode(42, 8, Ticket { sequence: 3, nonce: 77 });
        assert_eq!(decode(43, &text), None, "another queue's handle");
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(decode(42, &changed), None, "{changed}");
        }
        for text in ["", "8", "8-", "-", "nonsense", "1-ODU4OTkzNDU5My0xNDM1MTk3NjAwLTItNg==", "+8-AAAA", "８-x"] {
            assert_eq!(decode(42, text), None, "{text}");
        }
        assert_eq!(decode(42, &format!("08{}", &text[1..])), None, "another spelling of the same handle");
    }
}
