//! The bytes of the log. Pure: no file is touched here.
//!
//! A segment is a file: a header, then frames. A frame is what one write made durable, a group of records. Little-endian:
//!
//! | what | bytes |
//! |---|---|
//! | header | magic `HWSL`, version u16, reserved u16 = 0, log id u128, segment number u64, number of its first frame u64, CRC-32 of the 40 bytes before |
//! | frame | XXH3-128 of everything after it, mark u64, frame number u64, length of the records u32, number of records u32, the records |
//! | record | kind u8, length of the rest u32, the rest |
//! | 1, a message | flags u8, dequeue count u32, received i64; as the flags say enqueued i64, first dequeued i64, next visible i64, priority u8; id, handle and, as the flags say, group, each with its length u32; number of properties u32, their names and values likewise; the body |
//! | 2, deletes that the queue confirmed | the 128-bit hashes of the ids |
//!
//! The mark comes from the log's random id, so no body can hold something that looks like a frame. Frame numbers go on over
//! segments, so a missing file or frame is noticed.

use bytes::Bytes;
use headwater_core::{Handle, Message, Property, ServerMs, WallMs};
use headwater_ledger::MessageKey;
use twox_hash::XxHash3_128;

const MAGIC: [u8; 4] = *b"HWSL";
/// The version written. Readers take every version up to this one.
pub(super) const VERSION: u16 = 1;
/// Bytes of a segment's header.
pub(super) const HEADER: usize = 44;
/// Bytes of a frame before its records.
pub(super) const FRAME: usize = 40;
const CHECKSUM: usize = 16;
/// Bytes of a record before its content.
const RECORD: usize = 5;

const MESSAGE: u8 = 1;
const DELETED: u8 = 2;

const ENQUEUED: u8 = 1;
const FIRST_DEQUEUED: u8 = 2;
const NEXT_VISIBLE: u8 = 4;
const PRIORITY: u8 = 8;
const GROUP: u8 = 16;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log: u128,
    pub(super) segment: u64,
    pub(super) first_frame: u64,
}

/// Why bytes are not what they should be: where, and what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) offset: usize,
    pub(super) what: &'static str,
}

/// Why a header is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Newer(u16),
    Damaged(&'static str),
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend([0; 2]);
        out.extend(self.log.to_le_bytes());
        out.extend(self.segment.to_le_bytes());
        out.extend(self.first_frame.to_le_bytes());
        out.extend(short_sum(&out).to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let mut at = bytes;
        let short = BadHeader::Damaged("it is shorter than a header");
        if take::<4>(&mut at).ok_or(short)? != MAGIC {
            return Err(BadHeader::Damaged("it is no segment of a log"));
        }
        let version = u16::from_le_bytes(take(&mut at).ok_or(short)?);
        if version > VERSION {
            return Err(BadHeader::Newer(version));
        }
        let reserved: [u8; 2] = take(&mut at).ok_or(short)?;
        let log = u128::from_le_bytes(take(&mut at).ok_or(short)?);
        let segment = u64::from_le_bytes(take(&mut at).ok_or(short)?);
        let first_frame = u64::from_le_bytes(take(&mut at).ok_or(short)?);
        let sum = u32::from_le_bytes(take(&mut at).ok_or(short)?);
        if version == 0 || reserved != [0; 2] || sum != short_sum(&bytes[..HEADER - 4]) {
            return Err(BadHeader::Damaged("the checksum of its header does not match"));
        }
        // Half of all numbers are left to count on from here.
        if segment > u64::MAX / 2 || first_frame > u64::MAX / 2 {
            return Err(BadHeader::Damaged("its numbers are larger than any that were ever written"));
        }
        Ok(Self { log, segment, first_frame })
    }
}

/// 32 bits are plenty for 40 bytes.
pub(super) fn short_sum(bytes: &[u8]) -> u32 {
    XxHash3_128::oneshot(bytes) as u32
}

/// What every frame of a log carries.
pub(super) fn mark(log: u128) -> u64 {
    XxHash3_128::oneshot(&log.to_le_bytes()) as u64
}

/// A frame being filled.
#[derive(Debug)]
pub(super) struct FrameBuilder {
    bytes: Vec<u8>,
    records: u32,
}

impl FrameBuilder {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; FRAME], records: 0 }
    }

    /// Adds a message; where its record begins and ends, counted from the beginning of the frame.
    pub(super) fn message(&mut self, message: &Message, received: WallMs) -> (usize, usize) {
        self.record(MESSAGE, |out| {
            let times = [
                (ENQUEUED, message.enqueued),
                (FIRST_DEQUEUED, message.first_dequeued),
                (NEXT_VISIBLE, message.next_visible),
            ];
            let mut flags = times.iter().filter(|(_, time)| time.is_some()).fold(0, |flags, (flag, _)| flags | flag);
            flags |= if message.priority.is_some() { PRIORITY } else { 0 };
            flags |= if message.group.is_some() { GROUP } else { 0 };
            out.push(flags);
            out.extend(message.dequeue_count.to_le_bytes());
            out.extend(received.0.to_le_bytes());
            for (_, time) in times {
                out.extend(time.into_iter().flat_map(|time| time.0.to_le_bytes()));
            }
            out.extend(message.priority);
            text(out, &message.id);
            text(out, message.handle.as_str());
            if let Some(group) = &message.group {
                text(out, group);
            }
            out.extend(length(message.properties.len()));
            for property in &message.properties {
                text(out, &property.name);
                text(out, &property.value);
            }
            out.extend_from_slice(&message.body);
        })
    }

    /// Adds a note that the queue confirmed the deletes of these.
    pub(super) fn deleted(&mut self, keys: &[MessageKey]) {
        self.record(DELETED, |out| keys.iter().for_each(|key| out.extend(key.0.to_le_bytes())));
    }

    fn record(&mut self, kind: u8, content: impl FnOnce(&mut Vec<u8>)) -> (usize, usize) {
        let start = self.bytes.len();
        self.bytes.push(kind);
        self.bytes.extend([0; 4]);
        content(&mut self.bytes);
        let content = length(self.bytes.len() - start - RECORD);
        self.bytes[start + 1..start + RECORD].copy_from_slice(&content);
        self.records += 1;
        (start, self.bytes.len())
    }

    /// The whole frame.
    pub(super) fn finish(mut self, mark: u64, number: u64) -> Vec<u8> {
        let mut head = Vec::with_capacity(FRAME - CHECKSUM);
        head.extend(mark.to_le_bytes());
        head.extend(number.to_le_bytes());
        head.extend(length(self.bytes.len() - FRAME));
        head.extend(self.records.to_le_bytes());
        self.bytes[CHECKSUM..FRAME].copy_from_slice(&head);
        let sum = XxHash3_128::oneshot(&self.bytes[CHECKSUM..]);
        self.bytes[..CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        self.bytes
    }
}

/// Nothing here comes near 4 GiB: bodies and groups are limited to far less.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(length(text.len()));
    out.extend_from_slice(text.as_bytes());
}

/// A frame as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) number: u64,
    pub(super) records: u32,
    /// Where its records begin and end in the file.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Frame {
    /// The frame at `at`; `None` exactly at the end of the bytes.
    pub(super) fn at(bytes: &[u8], at: usize, mark: u64) -> Result<Option<Self>, Damage> {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let damage = |what| Damage { offset: at, what };
        let mut head = rest;
        let cut = damage("it is cut off");
        let sum = u128::from_le_bytes(take(&mut head).ok_or(cut)?);
        let found = u64::from_le_bytes(take(&mut head).ok_or(cut)?);
        let number = u64::from_le_bytes(take(&mut head).ok_or(cut)?);
        let length = u32::from_le_bytes(take(&mut head).ok_or(cut)?) as usize;
        let records = u32::from_le_bytes(take(&mut head).ok_or(cut)?);
        if found != mark {
            return Err(damage("no frame of this log begins here"));
        }
        let whole = rest.get(CHECKSUM..FRAME + length).ok_or(cut)?;
        if XxHash3_128::oneshot(whole) != sum {
            return Err(damage("the checksum does not match"));
        }
        Ok(Some(Self { number, records, start: at + FRAME, end: at + FRAME + length }))
    }

    /// Whether a whole frame begins anywhere from `from` on. What was written after something was synced after it.
    pub(super) fn any_from(bytes: &[u8], from: usize, mark: u64) -> bool {
        let pattern = mark.to_le_bytes();
        let tail = bytes.get(from..).unwrap_or_default();
        let marks = tail.windows(pattern.len()).enumerate().filter(|(_, window)| *window == pattern);
        let mut starts = marks.filter_map(|(found, _)| (from + found).checked_sub(CHECKSUM));
        starts.any(|at| at >= from && matches!(Self::at(bytes, at, mark), Ok(Some(_))))
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Message(Logged<'a>),
    Deleted(Vec<MessageKey>),
}

/// A message as the log holds it; its parts are made when they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Logged<'a> {
    pub(super) dequeue_count: u32,
    pub(super) received: WallMs,
    pub(super) enqueued: Option<ServerMs>,
    pub(super) first_dequeued: Option<ServerMs>,
    pub(super) next_visible: Option<ServerMs>,
    pub(super) priority: Option<u8>,
    pub(super) id: &'a str,
    pub(super) handle: &'a str,
    group: Option<&'a str>,
    properties: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl Logged<'_> {
    /// The message as it was received.
    pub(super) fn message(&self) -> Message {
        let mut message = Message::new(self.id, Handle::new(self.handle), Bytes::copy_from_slice(self.body));
        message.dequeue_count = self.dequeue_count;
        message.enqueued = self.enqueued;
        message.first_dequeued = self.first_dequeued;
        message.next_visible = self.next_visible;
        message.priority = self.priority;
        message.group = self.group.map(Into::into);
        let properties = self.properties.iter();
        message.properties =
            properties.map(|(name, value)| Property { name: (*name).into(), value: (*value).into() }).collect();
        message
    }
}

/// The record at `at`, and where the next one begins.
pub(super) fn record(bytes: &[u8], at: usize, end: usize) -> Result<(Record<'_>, usize), Damage> {
    let damage = Damage { offset: at, what: "a record in a whole frame cannot be read" };
    let mut rest = bytes.get(at..end).ok_or(damage)?;
    let [kind] = take(&mut rest).ok_or(damage)?;
    let length = u32::from_le_bytes(take(&mut rest).ok_or(damage)?) as usize;
    let content = rest.get(..length).ok_or(damage)?;
    let record = match kind {
        MESSAGE => message(content).map(Record::Message),
        DELETED => deleted(content).map(Record::Deleted),
        _ => None,
    };
    Ok((record.ok_or(damage)?, at + RECORD + length))
}

fn message(mut rest: &[u8]) -> Option<Logged<'_>> {
    let rest = &mut rest;
    let [flags] = take(rest)?;
    let dequeue_count = u32::from_le_bytes(take(rest)?);
    let received = WallMs(i64::from_le_bytes(take(rest)?));
    let [enqueued, first_dequeued, next_visible] = [ENQUEUED, FIRST_DEQUEUED, NEXT_VISIBLE].map(|flag| {
        if flags & flag == 0 { Some(None) } else { take(rest).map(|time| Some(ServerMs(i64::from_le_bytes(time)))) }
    });
    let priority = if flags & PRIORITY == 0 { None } else { Some(take::<1>(rest)?[0]) };
    let (id, handle) = (string(rest)?, string(rest)?);
    let group = if flags & GROUP == 0 { None } else { Some(string(rest)?) };
    let many = u32::from_le_bytes(take(rest)?);
    let properties = (0..many).map(|_| Some((string(rest)?, string(rest)?))).collect::<Option<Vec<_>>>()?;
    Some(Logged {
        dequeue_count,
        received,
        enqueued: enqueued?,
        first_dequeued: first_dequeued?,
        next_visible: next_visible?,
        priority,
        id,
        handle,
        group,
        properties,
        body: rest,
    })
}

fn deleted(content: &[u8]) -> Option<Vec<MessageKey>> {
    let (keys, rest) = content.as_chunks::<16>();
    rest.is_empty().then(|| keys.iter().map(|key| MessageKey(u128::from_le_bytes(*key))).collect())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

/// What a whole segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) header: Header,
    /// The number that the next frame has.
    pub(super) next_frame: u64,
    /// Where the last whole frame ends; bytes after it are a torn tail.
    pub(super) end: usize,
}

/// Reads a segment from end to end. In the newest one a torn tail is no damage: what was never synced may be cut off, or be
/// garbage, at the end of the file. Damage before something that was synced later is one.
pub(super) fn scan(bytes: &[u8], header: Header, newest: bool) -> Result<Scan, Damage> {
    let mark = mark(header.log);
    let (mut at, mut next_frame) = (HEADER, header.first_frame);
    loop {
        match Frame::at(bytes, at, mark) {
            Ok(None) => break,
            Ok(Some(frame)) => {
                if frame.number != next_frame {
                    return Err(Damage { offset: at, what: "a frame is missing before it" });
                }
                let mut record_at = frame.start;
                for _ in 0..frame.records {
                    record_at = record(bytes, record_at, frame.end)?.1;
                }
                if record_at != frame.end {
                    return Err(Damage { offset: record_at, what: "bytes after the last record of a frame" });
                }
                at = frame.end;
                next_frame += 1;
            }
            Err(damage) if !newest || Frame::any_from(bytes, at + 1, mark) => return Err(damage),
            Err(_) => break,
        }
    }
    Ok(Scan { header, next_frame, end: at })
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
