//! One HTTP/1.1 connection, driven by whoever has a call on it: there is no task behind it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use headwater_core::{Alarm, Clock, Mono};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};

use crate::net::NetError;
use crate::net::answer::{AnswerError, AnswerReader, Body, Head, Rooms};
use crate::net::connect::Stream;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

/// A connection on which one call at a time is made.
pub(crate) struct Connection {
    exchange: Exchange,
    alarm: Alarm,
    /// Whether another call may be made: the last answer was complete, and nothing followed it.
    reusable: bool,
}

struct Exchange {
    stream: Box<dyn Stream>,
    reader: AnswerReader,
    written: usize,
    flushed: bool,
    /// Why the request cannot be written any further. It may have been answered all the same.
    broken: Option<std::io::Error>,
    /// Whether the answer was waited for already.
    waited: bool,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Stream>, clock: Arc<dyn Clock>, rooms: Arc<Rooms>) -> Self {
        let reader = AnswerReader::new(rooms);
        let exchange = Exchange { stream, reader, written: 0, flushed: false, broken: None, waited: false };
        Self { exchange, alarm: Alarm::new(clock), reusable: true }
    }

    /// Whether another call may be made, as far as its last answer says.
    pub(crate) fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Whether it is still open and silent between two calls, as far as is known here and now.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0];
        // An end, an error, or something that nobody asked for.
        self.reusable && pin!(self.exchange.stream.read(&mut byte)).as_mut().poll(&mut context).is_pending()
    }

    /// Whether a part of the answer to the current call has arrived.
    pub(crate) fn is_answering(&self) -> bool {
        self.exchange.reader.has_begun()
    }

    /// Makes one call; `None` if it is not over by `deadline`. `limit` is the longest body that is read. What comes of a
    /// connection on which a call failed, or was given up, is nothing: it must be dropped.
    pub(crate) async fn call(
        &mut self,
        request: &[u8],
        limit: usize,
        deadline: Mono,
    ) -> Option<Result<Reply, NetError>> {
        self.reusable = false;
        let Self { exchange, alarm, .. } = self;
        exchange.begin(limit);
        let done = alarm.within(deadline, std::future::poll_fn(|context| exchange.poll(context, request))).await?;
        Some(done.map_err(NetError::from).and_then(|()| {
            let (head, body, alone) = self.exchange.reader.take().ok_or(AnswerError::Cut)?;
            self.reusable = alone && head.keeps && self.exchange.flushed;
            Ok(Reply { head, body })
        }))
    }
}

impl Exchange {
    fn begin(&mut self, limit: usize) {
        self.reader.begin(limit);
        (self.written, self.flushed, self.broken, self.waited) = (0, false, None, false);
    }

    /// Writes the request and reads the answer, as far as both go now. The answer may come before the whole request was
    /// written: a server that refuses a large one does not read it.
    fn poll(&mut self, context: &mut Context<'_>, request: &[u8]) -> Poll<Result<(), AnswerError>> {
        if !self.flushed && self.broken.is_none() {
            self.broken = self.write(context, request).err();
        }
        loop {
            // The first look comes before the answer: a small room suffices for it.
            let room = self.reader.room(self.waited);
            match pin!(self.stream.read_buf(room)).poll(context) {
                Poll::Ready(Ok(0)) => return Poll::Ready(self.reader.closed()),
                Poll::Ready(Ok(_)) => {
                    if self.reader.arrived()? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(AnswerError::Io(error))),
                Poll::Pending => {
                    self.waited = true;
                    self.reader.rest();
                    return match self.broken.take() {
                        Some(error) => Poll::Ready(Err(AnswerError::Io(error))),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }

    /// Writes on. What cannot be written yet is no error: the task is woken when it can.
    fn write(&mut self, context: &mut Context<'_>, request: &[u8]) -> std::io::Result<()> {
        while self.written < request.len() {
            match Pin::new(&mut self.stream).poll_write(context, &request[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(flushed) => {
                self.flushed = flushed.is_ok();
                flushed
            }
            Poll::Pending => Ok(()),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("reusable", &self.reusable).finish_non_exhaustive()
    }
}
