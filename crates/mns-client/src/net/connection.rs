//! One HTTP/1.1 connection, driven by whoever has a call on it: there is no task behind it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use headwater_core::{Clock, Mono};
use headwater_mns_proto::numbers::MAX_SHOWN;
use headwater_mns_proto::parse_date;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::NetError;
use crate::net::connect::Stream;

/// The longest head of an answer: the service's are under 500 bytes, gateways add cookies and traces.
const MAX_HEAD: usize = 64 * 1_024;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The `Date` header in seconds since 1970.
    pub(crate) date: Option<u64>,
    pub(crate) request_id: Option<String>,
    /// The `Location` header: of a created queue, or of a redirect.
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

/// A connection on which one call at a time is made.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Watched>, Full<Bytes>>,
    answering: Arc<AtomicBool>,
    /// Whether a call was already made on it.
    pub(crate) used: bool,
    closed: bool,
}

impl Connection {
    pub(crate) async fn open(stream: Box<dyn Stream>) -> Result<Self, NetError> {
        let answering = Arc::new(AtomicBool::new(false));
        let stream = TokioIo::new(Watched { stream, seen: answering.clone() });
        let mut builder = http1::Builder::new();
        builder.max_header_size(MAX_HEAD);
        let (sender, driver) = builder.handshake(stream).await.map_err(NetError::broken)?;
        Ok(Self { sender, driver, answering, used: false, closed: false })
    }

    /// Whether it can take another call, as far as is known here and now: an end that has arrived is noticed.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.drive(&mut context);
        !self.closed && !self.sender.is_closed()
    }

    /// Whether a part of the answer to the current call has arrived.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }

    /// Makes one call. `limit` is the longest body that is read.
    pub(crate) async fn call(&mut self, request: Request<Full<Bytes>>, limit: usize) -> Result<Reply, NetError> {
        self.used = true;
        self.answering.store(false, Ordering::Relaxed);
        let Self { sender, driver, closed, .. } = self;
        let mut exchange = pin!(async {
            sender.ready().await.map_err(NetError::broken)?;
            let response = sender.send_request(request).await.map_err(NetError::broken)?;
            read(response, limit).await
        });
        std::future::poll_fn(|context| {
            if let Poll::Ready(reply) = exchange.as_mut().poll(context) {
                return Poll::Ready(reply);
            }
            if !*closed {
                *closed = Pin::new(&mut *driver).poll(context).is_ready();
            }
            // What the driver read or wrote is news for the exchange; an end of the connection is, too.
            exchange.as_mut().poll(context)
        })
        .await
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.closed {
            self.closed = Pin::new(&mut self.driver).poll(context).is_ready();
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("used", &self.used).field("closed", &self.closed).finish_non_exhaustive()
    }
}

async fn read(response: Response<Incoming>, limit: usize) -> Result<Reply, NetError> {
    let (head, mut body) = response.into_parts();
    if body.size_hint().lower() > limit as u64 {
        return Err(NetError::TooLong { limit });
    }
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(NetError::broken)?.into_data() else { continue };
        if first.len() + more.len() + data.len() > limit {
            return Err(NetError::TooLong { limit });
        }
        if first.is_empty() {
            first = data;
        } else {
            more.extend_from_slice(&data);
        }
    }
    // Most answers come in one piece, which then is not copied.
    let body = if more.is_empty() { first } else { [first, more.freeze()].concat().into() };
    let text = |name: &str| text(&head.headers, name);
    Ok(Reply {
        status: head.status.as_u16(),
        date: text(header::DATE.as_str()).and_then(|date| parse_date(&date)),
        request_id: text("x-mns-request-id"),
        location: text(header::LOCATION.as_str()),
        body,
    })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    // ASCII, so that any byte is a character.
    headers.get(name)?.to_str().ok().map(|text| text[..text.len().min(MAX_SHOWN)].to_owned())
}

/// A future's output, or `None` once the clock has reached `deadline`. What is ready is not lost to a late look.
pub(crate) async fn within<T>(clock: &dyn Clock, deadline: Mono, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = clock.sleep_until(deadline) => None,
    }
}

/// A stream that notes when something was read from it.
struct Watched {
    stream: Box<dyn Stream>,
    seen: Arc<AtomicBool>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buf))?;
        if buf.filled().len() > before {
            self.seen.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
