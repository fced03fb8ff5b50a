//! One answer of HTTP/1.1, read from bytes as they arrive. No socket in here: what is fed in may come from anywhere.
//!
//! Nothing is set aside for a length that is merely claimed. What has arrived may double the room, and the size of the answer
//! before this one is a first guess.

mod chunks;
mod head;
mod known;
mod rooms;
mod shown;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};

use chunks::Chunks;
use head::{Framing, Parsed};
use known::KnownHead;

pub(crate) use head::Head;
pub(crate) use rooms::Rooms;

/// The longest head of an answer, interim answers before it included: the service's are under 500 bytes, gateways add cookies
/// and traces.
const MAX_HEAD: usize = 64 * 1_024;

/// The room an answer is begun with, and all that a connection keeps between calls: an answer of sixteen messages of 300 bytes
/// fits, and a hundred idle connections hold 1.6 MB.
pub(super) const SMALL: usize = 16 * 1_024;

/// The most that is set aside because the answer before took as much: sixteen bodies of 64 KiB with their elements.
const MAX_GUESS: usize = 1_152 * 1_024;

/// Shorter bodies (errors, attributes) are copied, so that the room stays with the connection.
const COPIED: usize = 2 * 1_024;

/// The least room that is read into.
const LEAST: usize = 4 * 1_024;

/// Why bytes are no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("the connection was closed before any answer")]
    Nothing,
    #[error("the connection was closed in the middle of the answer")]
    Cut,
    #[error("the answer does not begin as one of HTTP/1.1")]
    Head(#[source] httparse::Error),
    #[error("the head of the answer is longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    #[error("the answer's status is not one")]
    Status,
    #[error("the answer's Content-Length is not a number, or two different ones")]
    Length,
    #[error("the answer has both a Content-Length and a Transfer-Encoding")]
    TwoLengths,
    #[error("an answer of HTTP/1.0 has a Transfer-Encoding")]
    Encoding,
    /// Some readers skip such a value, and so see another end than others.
    #[error("the answer's Transfer-Encoding is not of printable characters")]
    EncodingText,
    #[error("a chunk of the answer is malformed")]
    Chunk,
    #[error("the answer's chunks have too many extensions or trailers")]
    Skipped,
    /// Longer than any valid one.
    #[error("the answer is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("the connection failed")]
    Io(#[source] std::io::Error),
}

/// Reads one answer after the other.
#[derive(Debug, Default)]
pub(crate) struct AnswerReader {
    /// What has arrived of the current answer: heads, then the body, put together.
    bytes: BytesMut,
    limit: usize,
    state: State,
    head: Option<Head>,
    /// The head of the last answer.
    known: KnownHead,
    /// Where in `bytes` that begins which is not understood yet: the head, behind it the body.
    start: usize,
    /// How much of `bytes` was looked at for a head.
    looked: usize,
    /// The room the next answer probably takes.
    guess: usize,
    rooms: Arc<Rooms>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// The body ends at this place in `bytes`.
    Until(usize),
    /// The chunks' data ends at this place in `bytes`, so far.
    Chunks(Chunks, usize),
    UntilClosed,
    /// The answer is complete, and its body ends at this place in `bytes`.
    Done(usize),
}

impl AnswerReader {
    /// A reader that takes large rooms from these.
    pub(crate) fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms, ..Self::default() }
    }

    /// Forgets the last answer. Of the next, a body of at most `limit` bytes is read.
    pub(crate) fn begin(&mut self, limit: usize) {
        self.bytes.clear();
        (self.limit, self.state, self.head, self.start, self.looked) = (limit, State::Head, None, 0, 0);
    }

    /// Where to put what arrives next. There is room for a byte more than the answer takes where its end is known: that
    /// something follows it must be seen. `large` takes the guess at once.
    pub(crate) fn room(&mut self, large: bool) -> &mut BytesMut {
        let (have, capacity) = (self.bytes.len(), self.bytes.capacity());
        match self.state {
            _ if have == 0 => {
                let wanted = if large { self.guess.max(SMALL) } else { SMALL };
                if capacity < wanted && !self.bytes.try_reclaim(wanted) {
                    self.bytes = self.rooms.take(wanted);
                }
            }
            State::Until(end) if capacity <= end => self.bytes.reserve((end + 1 - have).min(have.max(SMALL))),
            State::Until(_) => {}
            _ if capacity - have < LEAST => self.bytes.reserve(have.max(LEAST)),
            _ => {}
        }
        &mut self.bytes
    }

    /// Gives back room that nothing has arrived in: a call that is parked holds none.
    pub(crate) fn rest(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > SMALL {
            let room = std::mem::take(&mut self.bytes);
            let capacity = room.capacity();
            self.rooms.remember(room, capacity);
        }
    }

    /// Whether any of the answer has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Looks at what was put into [`room`](Self::room). True when the answer is complete.
    pub(crate) fn arrived(&mut self) -> Result<bool, AnswerError> {
        if matches!(self.state, State::Head) {
            self.read_heads()?;
        }
        match &mut self.state {
            State::Head | State::Done(_) => {}
            State::Until(end) => {
                if self.bytes.len() >= *end {
                    self.state = State::Done(*end);
                }
            }
            State::UntilClosed => self.check_length(self.bytes.len())?,
            State::Chunks(chunks, end) => {
                let (now, read) = chunks.read(&mut self.bytes, *end, *end)?;
                *end = now;
                if chunks.is_done() {
                    self.state = State::Done(now);
                }
                // All of it, unless something follows the answer.
                if read == self.bytes.len() {
                    self.bytes.truncate(now);
                }
                self.check_length(now)?;
            }
        }
        Ok(matches!(self.state, State::Done(_)))
    }

    /// Says that nothing more will arrive: the end of an answer that has no other, and of any other a failure.
    pub(crate) fn closed(&mut self) -> Result<(), AnswerError> {
        match self.state {
            State::UntilClosed => self.state = State::Done(self.bytes.len()),
            State::Done(_) => {}
            _ if self.bytes.is_empty() => return Err(AnswerError::Nothing),
            _ => return Err(AnswerError::Cut),
        }
        Ok(())
    }

    /// Hands out the answer once it is complete, and says whether nothing has arrived behind it.
    pub(crate) fn take(&mut self) -> Option<(Head, Body, bool)> {
        let State::Done(end) = self.state else { return None };
        let head = self.head.take()?;
        let alone = self.bytes.len() == end;
        // Slowly less: an empty answer between full ones does not make the next full one grow from nothing.
        self.guess = self.bytes.len().max(self.guess - self.guess / 8).min(MAX_GUESS);
        let length = end - self.start;
        let body = if length <= COPIED {
            Body { bytes: Bytes::copy_from_slice(&self.bytes[self.start..end]), holds: length }
        } else {
            let holds = self.bytes.capacity();
            let mut whole = self.bytes.split_to(end);
            whole.advance(self.start);
            // A small room stays, by what is left of it: it serves again once nobody holds a part of it.
            if holds > SMALL {
                self.rooms.remember(std::mem::take(&mut self.bytes), holds);
            }
            Body { bytes: whole.freeze(), holds }
        };
        self.begin(self.limit);
        Some((head, body, alone))
    }

    /// Reads the head, and skips interim answers before it.
    fn read_heads(&mut self) -> Result<(), AnswerError> {
        // A head grows by whole lines: with one that comes byte by byte, there is nothing new before the end of one.
        let looked = std::mem::replace(&mut self.looked, self.bytes.len());
        if looked > 0 && memchr::memchr(b'\n', &self.bytes[looked..]).is_none() {
            return self.check_head(self.bytes.len());
        }
        while self.start < self.bytes.len() {
            match head::read(&self.bytes[self.start..], &mut self.known)? {
                Parsed::Part => break,
                Parsed::Interim(length) => self.start += length,
                Parsed::Head(length, head, framing) => {
                    self.start += length;
                    self.head = Some(head);
                    self.state = self.framed(framing)?;
                    return self.check_head(self.start);
                }
            }
        }
        self.check_head(self.bytes.len())
    }

    fn framed(&self, framing: Framing) -> Result<State, AnswerError> {
        Ok(match framing {
            Framing::Nothing => State::Done(self.start),
            Framing::Chunked => State::Chunks(Chunks::default(), self.start),
            Framing::UntilClosed => State::UntilClosed,
            Framing::Length(length) => {
                let length = usize::try_from(length).ok().filter(|length| *length <= self.limit);
                State::Until(self.start + length.ok_or(AnswerError::TooLong { limit: self.limit })?)
            }
        })
    }

    fn check_head(&self, end: usize) -> Result<(), AnswerError> {
        if end > MAX_HEAD { Err(AnswerError::HeadTooLong) } else { Ok(()) }
    }

    fn check_length(&self, end: usize) -> Result<(), AnswerError> {
        if end - self.start > self.limit { Err(AnswerError::TooLong { limit: self.limit }) } else { Ok(()) }
    }
}

/// A body, and what it costs to keep a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// The memory that is held as long as any part of `bytes` is.
    pub(crate) holds: usize,
}
