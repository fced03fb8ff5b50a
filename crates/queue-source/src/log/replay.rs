//! Reading back: what a start has to know of the log, and what it hands out again.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_core::SourceError;
use headwater_ledger::{Delivery, MessageKey};

use super::dir::{LogDir, damaged};
use super::format::{Frame, HEADER, Logged, Record, mark, record};
use super::{Place, Position};
use crate::state::Inbound;

/// What one segment says about ids, and whether positions lie where records begin or frames end.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// In the order of the log.
    pub(super) notes: Vec<Note>,
    /// Messages from `next` on.
    pub(super) pending: u64,
    /// Which of the two positions were found to be places where a record can begin.
    pub(super) next_found: bool,
    pub(super) known_found: bool,
}

#[derive(Debug)]
pub(super) enum Note {
    Message(Delivery),
    Deleted(Vec<MessageKey>),
}

/// Reads one segment at a start: the ids from `known` on, the number of messages from `next` on.
pub(super) fn recall(
    dir: &LogDir,
    log: u128,
    segment: u64,
    next: Position,
    known: Position,
) -> Result<Recalled, SourceError> {
    let bytes = dir.read_segment(segment)?;
    let mut recalled = Recalled::default();
    let stand = |recalled: &mut Recalled, offset: usize| {
        let here = Position { segment, offset: offset as u64 };
        recalled.next_found |= here == next;
        recalled.known_found |= here == known;
    };
    stand(&mut recalled, HEADER);
    walk(dir, &bytes, log, segment, |found, place| {
        stand(&mut recalled, offset(place.start));
        stand(&mut recalled, offset(place.end));
        match found {
            Record::Message(message) => {
                recalled.pending += u64::from(place.start >= next);
                if place.start >= known {
                    recalled.notes.push(Note::Message(delivery(&message)));
                }
            }
            Record::Deleted(keys) if place.start >= known => recalled.notes.push(Note::Deleted(keys)),
            Record::Deleted(_) => {}
        }
    })?;
    Ok(recalled)
}

/// Every file is read whole, so places in it fit.
fn offset(position: Position) -> usize {
    usize::try_from(position.offset).unwrap_or(usize::MAX)
}

fn delivery(message: &Logged<'_>) -> Delivery {
    Delivery {
        key: MessageKey::of(message.id),
        handle: headwater_core::Handle::new(message.handle),
        dequeue_count: message.dequeue_count,
        next_visible: message.next_visible.unwrap_or_default(),
        enqueued: message.enqueued.unwrap_or_default(),
        lease_end: None,
        bytes: 0,
    }
}

/// Shows every record of a segment, and where it lies.
fn walk(
    dir: &LogDir,
    bytes: &[u8],
    log: u128,
    segment: u64,
    mut show: impl FnMut(Record<'_>, Place),
) -> Result<(), SourceError> {
    let broken = |damage: super::format::Damage| {
        damaged(&dir.segment(segment), &format!("at byte {} {}", damage.offset, damage.what))
    };
    let mark = mark(log);
    let mut at = HEADER;
    while let Some(frame) = Frame::at(bytes, at, mark).map_err(broken)? {
        let mut start = frame.start;
        for _ in 0..frame.records {
            let (found, end) = record(bytes, start, frame.end).map_err(broken)?;
            let place = |offset: usize| Position { segment, offset: offset as u64 };
            show(found, Place { start: place(start), end: place(end) });
            start = end;
        }
        at = frame.end;
    }
    Ok(())
}

/// Records that an earlier process logged, to be handed out again: read a segment at a time.
#[derive(Debug)]
pub(super) struct Replay {
    segments: VecDeque<u64>,
    from: Position,
    loaded: Loaded,
    /// Messages that are left.
    pub(super) left: u64,
}

/// A segment in memory, and the messages in it that are left.
#[derive(Debug, Default)]
struct Loaded {
    bytes: Arc<[u8]>,
    places: VecDeque<Place>,
}

impl Replay {
    /// The records from `from` on, which are `left` messages in these segments.
    pub(super) fn new(segments: VecDeque<u64>, from: Position, left: u64) -> Self {
        Self { segments, from, loaded: Loaded::default(), left }
    }

    /// Segments before this one are removed. Nothing in them was left to read: they are behind what was handed out.
    pub(super) fn begin_at(&mut self, first: u64) {
        self.segments.retain(|segment| *segment >= first);
    }

    /// The next messages, about as many bytes; none at the end. May be dropped and called again: nothing is taken before it
    /// returns.
    pub(super) async fn next(
        &mut self,
        dir: &Arc<LogDir>,
        log: u128,
        queue: &Arc<str>,
        bytes_max: u64,
    ) -> Result<Vec<Inbound>, SourceError> {
        while self.left > 0
            && self.loaded.places.is_empty()
            && let Some(&segment) = self.segments.front()
        {
            let from = self.from;
            self.loaded = dir.run(move |dir| load(dir, log, segment, from)).await?;
            self.segments.pop_front();
        }
        let mut out = Vec::new();
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(place) = self.loaded.places.pop_front()
        {
            bytes += place.end.offset - place.start.offset;
            let (start, end) = (offset(place.start), offset(place.end));
            if let Ok((Record::Message(logged), _)) = record(&self.loaded.bytes, start, end) {
                let message = logged.message();
                let key = MessageKey::of(&message.id);
                let (_, meta, body) = message.into_parts(key, queue, logged.received);
                out.push(Inbound { meta, body, place: Some(place) });
            }
        }
        self.left = self.left.saturating_sub(out.len() as u64);
        if self.loaded.places.is_empty() {
            self.loaded = Loaded::default();
        }
        Ok(out)
    }
}

fn load(dir: &LogDir, log: u128, segment: u64, from: Position) -> Result<Loaded, SourceError> {
    let bytes = dir.read_segment(segment)?;
    let mut places = VecDeque::new();
    walk(dir, &bytes, log, segment, |found, place| {
        if matches!(found, Record::Message(_)) && place.start >= from {
            places.push_back(place);
        }
    })?;
    Ok(Loaded { bytes: bytes.into(), places })
}
