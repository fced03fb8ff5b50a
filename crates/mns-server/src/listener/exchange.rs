//! One request, from its bytes to its answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{Clock as _, Mono, SystemClock};
use headwater_mns_proto::numbers::MAX_REQUEST_BODY;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use thiserror::Error;

use super::Shared;
use super::line::Place;
use crate::router::{Accepted, Outcome, Poll, RawRequest, Response, Then, Work};
use crate::state::Millis;

/// Bodies up to this size, 16 KiB, are read before it is known who sends them: deletes and most sends are smaller.
const SMALL_BODY: u64 = 16 * 1_024;

/// Why a connection ends without an answer.
#[derive(Debug, Error)]
pub(super) enum Dropped {
    #[error("closed on purpose, by a fault")]
    OnPurpose,
    #[error("the request did not arrive whole")]
    Incomplete,
    #[error("the answer could not be put together")]
    Answer(#[from] hyper::http::Error),
}

impl From<Infallible> for Dropped {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Answers one request, after whatever wait and fault it is due.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let headers: Vec<(&str, &[u8])> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let raw = RawRequest {
        method: head.method.as_str(),
        // As it came: the signature is over these bytes.
        target: head.uri.path_and_query().map_or("/", |target| target.as_str()),
        headers: &headers,
        body: &[],
    };
    // A large body is kept in memory for those only who may send one; no signature covers it, so it can be read later.
    let large = body.size_hint().exact().is_none_or(|length| length > SMALL_BODY);
    let refused = if large { shared.lock().router.refuse_early(shared.now(), &raw) } else { None };
    if let Some(response) = refused {
        return send(&shared, response).await;
    }
    let body = match read(&shared, body).await {
        Ok(body) => body,
        Err(Unread::TooLong) => {
            let response = shared.lock().router.too_long(shared.now());
            return send(&shared, response).await;
        }
        Err(Unread::Incomplete) => return Err(Dropped::Incomplete),
    };
    let Accepted { before, then } = shared.lock().router.accept(shared.now(), &RawRequest { body: &body, ..raw });
    pause(&shared, before).await;
    let response = match then {
        Then::Answer(response) => response,
        Then::Perform(work) => perform(&shared, work).await,
        Then::Drop => {
            shared.changed.send_replace(());
            return Err(Dropped::OnPurpose);
        }
    };
    send(&shared, response).await
}

/// Why a request's body was not read.
enum Unread {
    TooLong,
    Incomplete,
}

/// Reads a request's body to its end, within its time.
async fn read(shared: &Shared, body: Incoming) -> Result<Bytes, Unread> {
    // A small body came with its head, and then no timer is set.
    let too_long = async { SystemClock::new().sleep(shared.limits.patience).await };
    tokio::select! {
        biased;
        read = Limited::new(body, MAX_REQUEST_BODY).collect() => match read {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLong),
            Err(_) => Err(Unread::Incomplete),
        },
        () = too_long => Err(Unread::Incomplete),
    }
}

async fn perform(shared: &Arc<Shared>, work: Work) -> Response {
    let parked = {
        let mut inner = shared.lock();
        let inner = &mut *inner;
        let now = shared.now();
        let queue = work.queue().map(ToOwned::to_owned);
        let waiting = queue.as_deref().map_or(0, |queue| inner.lines.waiting(queue));
        let outcome = inner.router.perform(now, work, waiting);
        if let Some(queue) = &queue {
            inner.lines.stir(queue, &mut inner.router.account, now);
        }
        match outcome {
            Outcome::Answer(response) => Err(response),
            Outcome::Park(poll) if inner.lines.all_waiting() >= shared.limits.parked() => {
                Err(inner.router.give_up(now, poll))
            }
            Outcome::Park(poll) => Ok((Place::join(shared, &mut inner.lines, &poll.queue), poll)),
        }
    };
    shared.changed.send_replace(());
    match parked {
        Err(response) => response,
        Ok((place, poll)) => wait(shared, place, poll).await,
    }
}

/// Holds a poll until there is something, its time is over, or the server stops.
async fn wait(shared: &Arc<Shared>, place: Place, poll: Poll) -> Response {
    // On the monotonic clock: a jump of the time of day must not make a client wait longer than it asked.
    let deadline = shared.clock.now() + Duration::from_millis(poll.wait);
    loop {
        let look_again = match look(shared, &place, &poll, deadline) {
            Look::Answer(response) => return response,
            Look::Over => break,
            Look::Later(at) => at,
        };
        tokio::select! {
            biased;
            () = place.woken() => {}
            () = shared.clock.sleep_until(look_again) => {}
            () = shared.closed() => {}
        }
    }
    shared.lock().router.give_up(shared.now(), poll)
}

enum Look {
    Answer(Response),
    Over,
    Later(Mono),
}

fn look(shared: &Shared, place: &Place, poll: &Poll, deadline: Mono) -> Look {
    let mut inner = shared.lock();
    let inner = &mut *inner;
    let now = shared.now();
    let mut later = deadline;
    if place.is_head(&inner.lines) {
        if let Some(response) = inner.router.poll(now, poll) {
            return Look::Answer(response);
        }
        let next = inner.router.account.queue(&poll.queue).ok().and_then(|queue| queue.next_wakeup());
        place.arm(&mut inner.lines, next);
        if let Some(next) = next {
            later = later.min(shared.clock.now() + Duration::from_millis(next.saturating_sub(now)));
        }
    }
    if shared.clock.now() >= deadline || shared.is_closing() { Look::Over } else { Look::Later(later) }
}

/// Waits, but not into the end of the server.
async fn pause(shared: &Shared, millis: Millis) {
    if millis == 0 {
        return;
    }
    tokio::select! {
        biased;
        () = shared.closed() => {}
        () = shared.clock.sleep(Duration::from_millis(millis)) => {}
    }
}

async fn send(shared: &Shared, response: Response) -> Result<hyper::Response<Full<Bytes>>, Dropped> {
    shared.changed.send_replace(());
    pause(shared, response.after).await;
    if response.lost {
        return Err(Dropped::OnPurpose);
    }
    let mut built = hyper::Response::builder().status(response.status);
    for (name, value) in response.headers {
        built = built.header(name, value);
    }
    if response.close {
        built = built.header(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(built.body(Full::from(response.body.unwrap_or_default()))?)
}
