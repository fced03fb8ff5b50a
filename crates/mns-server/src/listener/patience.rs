//! How long a client is waited for: an alarm for hyper, and a stream whose writes do not wait for ever.
//!
//! All of it runs on the machine's clock on purpose: a test that moves the server's clock by an hour has not kept anybody
//! waiting for one.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use headwater_core::{Alarm, Clock, Mono, Sleep, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Alarms for hyper that need no particular runtime. One connection waits for one thing at a time, so its alarms share a timer: a
/// wait for the next request, of which there may be thousands a second, sets none.
#[derive(Clone)]
pub(super) struct Alarms(Arc<Mutex<Alarm>>);

impl Alarms {
    /// The alarms of one connection.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Alarm::new(SystemClock::shared()))))
    }

    fn after(&self, duration: Duration) -> Wait {
        let alarm = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = alarm.clock().now() + duration;
        drop(alarm);
        Wait { alarm: Arc::clone(&self.0), deadline }
    }
}

impl hyper::rt::Timer for Alarms {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(self.after(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }
}

/// The lock is never contended: a connection is one task.
struct Wait {
    alarm: Arc<Mutex<Alarm>>,
    deadline: Mono,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner).poll_until(context, self.deadline)
    }
}

impl hyper::rt::Sleep for Wait {}

/// A stream on which a write that makes no progress for too long fails: a client that does not read must not hold its
/// answer, which may be megabytes, and its connection for ever.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Sleep>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }

    fn unless_too_long<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| SystemClock::new().sleep(self.patience));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_too_long(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.unless_too_long(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.unless_too_long(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
