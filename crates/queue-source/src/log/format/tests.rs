//! The bytes of the log: what is written is read, every cut is a torn tail, every other change is noticed.

use super::*;

const LOG: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;

fn message(n: u64) -> Message {
    let mut message = Message::new(format!("id-{n}"), Handle::new(&format!("handle-{n}=")), Bytes::from(vec![b'x'; 9]));
    message.dequeue_count = 2;
    message.enqueued = Some(ServerMs(1_700_000_000_000));
    message
}

fn full() -> Message {
    let mut message = message(7);
    message.first_dequeued = Some(ServerMs(-5));
    message.next_visible = Some(ServerMs(i64::MAX));
    message.priority = Some(8);
    message.group = Some("group".into());
    message.properties =
        vec![Property { name: "name".into(), value: "".into() }, Property { name: "größe".into(), value: "12".into() }];
    message
}

fn frame(number: u64, messages: &[Message]) -> Vec<u8> {
    let mut builder = FrameBuilder::new();
    for message in messages {
        builder.message(message, WallMs(1_700_000_000_123));
    }
    builder.deleted(&[MessageKey(1), MessageKey(u128::MAX)]);
    builder.finish(mark(LOG), number)
}

fn segment() -> (Header, Vec<u8>) {
    let header = Header { log: LOG, segment: 3, first_frame: 10 };
    let mut bytes = header.encode();
    bytes.extend(frame(10, &[message(1), full()]));
    bytes.extend(frame(11, &[message(2)]));
    (header, bytes)
}

/// The messages of a segment, as far as it is whole.
fn messages(bytes: &[u8], header: Header) -> Vec<Message> {
    let mut out = Vec::new();
    let mut at = HEADER;
    while let Ok(Some(frame)) = Frame::at(bytes, at, mark(header.log)) {
        let mut start = frame.start;
        for _ in 0..frame.records {
            let (found, end) = record(bytes, start, frame.end).expect("a record");
            if let Record::Message(logged) = found {
                assert_eq!(logged.received, WallMs(1_700_000_000_123));
                out.push(logged.message());
            }
            start = end;
        }
        at = frame.end;
    }
    out
}

#[test]
fn what_is_written_is_read() {
    let (header, bytes) = segment();
    assert_eq!(Header::decode(&bytes), Ok(header));
    let scanned = scan(&bytes, header, false).expect("a whole segment");
    assert_eq!((scanned.next_frame, scanned.end), (12, bytes.len()));
    assert_eq!(messages(&bytes, header), [message(1), full(), message(2)]);
    let first = Frame::at(&bytes, HEADER, mark(LOG)).expect("a frame").expect("one");
    let (_, second) = record(&bytes, first.start, first.end).expect("a record");
    let (_, third) = record(&bytes, second, first.end).expect("a record");
    let (deleted, end) = record(&bytes, third, first.end).expect("a record");
    assert_eq!((deleted, end), (Record::Deleted(vec![MessageKey(1), MessageKey(u128::MAX)]), first.end));
}

#[test]
fn a_torn_tail_is_cut_in_the_newest_segment_and_damage_in_any_other() {
    let (header, bytes) = segment();
    let first = Frame::at(&bytes, HEADER, mark(LOG)).expect("a frame").expect("one").end;
    for len in HEADER..bytes.len() {
        let whole = if len < first { HEADER } else { first };
        let mut torn = bytes[..len].to_vec();
        assert_eq!(scan(&torn, header, true).map(|scanned| scanned.end), Ok(whole), "cut at {len}");
        if len != whole {
            let damage = scan(&torn, header, false).expect_err("it is not the newest");
            assert_eq!(damage.offset, whole, "cut at {len}");
        }
        // The length was written, the pages were not.
        torn.resize(bytes.len() + 100, 0);
        assert_eq!(scan(&torn, header, true).map(|scanned| scanned.end), Ok(whole), "zeros from {len} on");
    }
}

#[test]
fn a_changed_byte_before_a_whole_frame_is_damage_with_its_place() {
    let (header, bytes) = segment();
    let first = Frame::at(&bytes, HEADER, mark(LOG)).expect("a frame").expect("one").end;
    for at in HEADER..first {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let damage = scan(&changed, header, true).expect_err("what was synced before is gone");
        assert_eq!(damage.offset, HEADER, "byte {at}");
    }
    for at in first..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(scan(&changed, header, true).map(|scanned| scanned.end), Ok(first), "byte {at}");
    }
    let mut without_first = header.encode();
    without_first.extend_from_slice(&bytes[first..]);
    let damage = scan(&without_first, header, true).expect_err("a frame is missing");
    assert_eq!((damage.offset, damage.what), (HEADER, "a frame is missing before it"));
}

#[test]
fn a_header_is_whole_of_this_version_or_refused() {
    let (_, bytes) = segment();
    for len in 0..HEADER {
        assert!(matches!(Header::decode(&bytes[..len]), Err(BadHeader::Damaged(_))), "cut at {len}");
    }
    for at in 0..HEADER {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Header::decode(&changed).is_err(), "byte {at}");
    }
    let mut later = bytes;
    later[4..6].copy_from_slice(&2u16.to_le_bytes());
    assert_eq!(Header::decode(&later), Err(BadHeader::Newer(2)));
}

#[test]
fn a_body_that_looks_like_a_frame_of_another_log_is_a_body() {
    let header = Header { log: LOG, segment: 1, first_frame: 0 };
    let mut forged = FrameBuilder::new();
    forged.message(&message(5), WallMs(0));
    let mut liar = message(1);
    liar.body = Bytes::from(forged.finish(mark(LOG + 1), 1));
    let mut bytes = header.encode();
    bytes.extend(frame(0, &[liar]));
    let end = bytes.len();
    // Torn in its last byte, the body would still be whole.
    let scanned = scan(&bytes[..end - 1], header, true).expect("a torn tail, not damage");
    assert_eq!(scanned.end, HEADER);
}

/// The first version, byte for byte: every later release has to read it.
#[test]
fn version_1_stays_as_it_is() {
    let (header, bytes) = segment();
    let golden = include_bytes!("v1.segment");
    assert_eq!(bytes, golden, "the format has changed: make a new version, and go on reading this one");
    let header_found = Header::decode(golden).expect("version 1");
    assert_eq!(header_found, header);
    assert_eq!(messages(golden, header_found), [message(1), full(), message(2)]);
}
