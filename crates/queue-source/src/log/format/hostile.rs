//! Segments whose checksums are right and whose content is not: refused, or read to their end, never a panic.

use super::*;

const LOG: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;

/// A segment of one frame with two messages, all of whose optional fields are there, and deletes.
fn segment() -> Vec<u8> {
    let mut message = Message::new("id", Handle::new("handle"), Bytes::from_static(b"body"));
    (message.enqueued, message.first_dequeued) = (Some(ServerMs(1)), Some(ServerMs(2)));
    (message.next_visible, message.priority, message.group) = (Some(ServerMs(3)), Some(8), Some("group".into()));
    message.properties = vec![Property { name: "name".into(), value: "value".into() }; 2];
    let mut builder = FrameBuilder::new();
    builder.message(&message, WallMs(4));
    builder.message(&Message::new("other", Handle::new("h"), Bytes::new()), WallMs(5));
    builder.deleted(&[MessageKey(1), MessageKey(u128::MAX)]);
    let mut bytes = Header { log: LOG, segment: 1, first_frame: 1 }.encode();
    bytes.extend(builder.finish(mark(LOG), 1));
    bytes
}

/// Makes the checksums right, and reads.
fn check(mut bytes: Vec<u8>) -> bool {
    let sum = short_sum(&bytes[..HEADER - 4]).to_le_bytes();
    bytes[HEADER - 4..HEADER].copy_from_slice(&sum);
    let sum = XxHash3_128::oneshot(&bytes[HEADER + CHECKSUM..]).to_le_bytes();
    bytes[HEADER..HEADER + CHECKSUM].copy_from_slice(&sum);
    let Ok(header) = Header::decode(&bytes) else { return false };
    let [old, newest] = [false, true].map(|newest| scan(&bytes, header, newest));
    let Ok(found) = newest else { return false };
    assert!(found.end <= bytes.len());
    let Ok(Some(frame)) = Frame::at(&bytes, HEADER, mark(header.log)) else { return false };
    let mut at = frame.start;
    for _ in 0..frame.records {
        let Ok((found, next)) = record(&bytes, at, frame.end) else { return false };
        if let Record::Message(logged) = found {
            let message = logged.message();
            assert!(message.body.len() + message.id.len() < bytes.len());
        }
        at = next;
    }
    old.is_ok()
}

#[test]
fn every_byte_of_a_segment_may_be_another() {
    assert!(check(segment()), "as it is, it is read");
    for at in 0..segment().len() {
        for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
            let mut bytes = segment();
            bytes[at] = value;
            check(bytes);
        }
    }
}

#[test]
fn every_number_may_be_the_largest() {
    for at in (0..segment().len() - 8).step_by(4) {
        for number in [u64::MAX, u64::MAX - 1, 1 << 63, u64::from(u32::MAX)] {
            let mut bytes = segment();
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            check(bytes);
        }
    }
    // The first frame's number is that of the header, both the last there is.
    let mut bytes = segment();
    bytes[32..40].fill(0xff);
    bytes[HEADER + 24..HEADER + 32].fill(0xff);
    assert!(!check(bytes));
}
