//! From a request as it came over the wire to the answer that goes back: no sockets, and `now` is an argument.
//!
//! A request takes three steps, because a listener may have to wait between them: [`Router::accept`] checks and reads
//! it and draws its faults, [`Router::perform`] has its effect, and a receive that found nothing is tried again by
//! [`Router::poll`] until [`Router::give_up`].

mod messages;
mod queues;

use std::collections::BTreeMap;

use headwater_mns_proto::{
    Answer, ErrorCode, Operation, Request, ServiceError, Signer, WireAnswer, content_md5_matches, format_date, numbers,
    verify,
};

use crate::faults::{FaultPlan, Faults, Refusal, Transport};
use crate::journal::{Entry, Journal};
use crate::random::Random;
use crate::state::{Account, Millis, Quirks};

/// What a gateway in front of the service says when nothing behind it answers.
const GATEWAY_PAGE: &str = "<html>\n<head><title>503 Service Temporarily Unavailable</title></head>\n<body>\n\
    <center><h1>503 Service Temporarily Unavailable</h1></center>\n</body>\n</html>\n";

/// A request as it came over the wire.
#[derive(Clone, Copy)]
pub(crate) struct RawRequest<'a> {
    pub(crate) method: &'a str,
    /// The request target, undecoded: the signature is over these bytes.
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    pub(crate) body: &'a [u8],
}

/// A request that may have its effect once its latency is over.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) before: Millis,
    pub(crate) then: Then,
}

#[derive(Debug)]
pub(crate) enum Then {
    /// There is no effect.
    Answer(Response),
    Perform(Work),
    /// Close the connection.
    Drop,
}

/// A request that was let in.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    request: Request,
    context: Context,
}

impl Work {
    /// The queue it is about.
    pub(crate) fn queue(&self) -> Option<&str> {
        self.request.queue()
    }
}

/// What an answer needs to know of its request.
#[derive(Debug, Clone)]
struct Context {
    operation: Option<Operation>,
    queue: Option<String>,
    request_id: String,
    /// `http://` and the host the client asked for.
    base: String,
    transport: Transport,
}

/// A receive that found nothing and may wait.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    pub(crate) queue: String,
    /// How long it may wait.
    pub(crate) wait: Millis,
    max: usize,
    batch: bool,
    quirks: Quirks,
    context: Context,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Response),
    Park(Poll),
}

/// An answer, and how it travels.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<String>,
    /// Waited before it goes out.
    pub(crate) after: Millis,
    /// Closed instead of sent.
    pub(crate) lost: bool,
    /// Closed once sent.
    pub(crate) close: bool,
}

/// Who may ask.
#[derive(Debug)]
pub(crate) enum Access {
    /// Anybody, without a signature.
    Open,
    /// Holders of these keys, by id; requests are refused if their date is too far off, where that is on.
    Keys { signers: BTreeMap<String, Signer>, check_date: bool },
}

/// The service without its network.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) account: Account,
    pub(crate) journal: Journal,
    plan: FaultPlan,
    access: Access,
    /// The host to name where a request names none.
    authority: String,
    request_ids: Random,
}

/// What an operation comes to before it is written: the answer, and how many messages it is about.
struct Done<'a> {
    answer: Answer<'a>,
    messages: usize,
}

impl<'a> Done<'a> {
    fn with(messages: usize, answer: Answer<'a>) -> Self {
        Self { answer, messages }
    }
}

impl<'a> From<Answer<'a>> for Done<'a> {
    fn from(answer: Answer<'a>) -> Self {
        Self { answer, messages: 0 }
    }
}

impl Router {
    pub(crate) fn new(account: Account, access: Access, faults: Faults, authority: String, random: Random) -> Self {
        Self {
            account,
            journal: Journal::default(),
            plan: FaultPlan::new(faults),
            access,
            authority,
            request_ids: random,
        }
    }

    /// Starts the fault plan anew.
    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.plan = FaultPlan::new(faults);
    }

    /// The knobs as they stand: counts show what is left of them.
    pub(crate) fn faults(&self) -> &Faults {
        self.plan.faults()
    }

    /// Checks who asks, reads what is asked, and draws what will go wrong.
    pub(crate) fn accept(&mut self, now: Millis, raw: &RawRequest<'_>) -> Accepted {
        let host = raw.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = host.and_then(|(_, value)| std::str::from_utf8(value).ok()).filter(|host| !host.is_empty());
        let mut context = self.context(now, host);
        let request = match self.check(now, raw) {
            Ok(request) => request,
            Err(error) => {
                let response = self.finish(now, context, Answer::Error(error).into());
                return Accepted { before: 0, then: Then::Answer(response) };
            }
        };
        let operation = request.operation();
        context.operation = Some(operation);
        // No queue has a longer name, and the journal keeps what is here.
        let nameable = |name: &&str| name.len() <= *numbers::QUEUE_NAME_LENGTH.end();
        context.queue = request.queue().filter(nameable).map(ToOwned::to_owned);
        if self.plan.faults().denies(operation) {
            let response = self.finish(now, context, error(ErrorCode::AccessDenied));
            return Accepted { before: 0, then: Then::Answer(response) };
        }
        context.transport = self.plan.transport(operation);
        let before = context.transport.before;
        let then = if context.transport.drop_request {
            self.record(now, &context, 0, None, 0);
            Then::Drop
        } else if let Some(refusal) = context.transport.refusal {
            Then::Answer(self.refuse(now, context, refusal))
        } else {
            Then::Perform(Work { request, context })
        };
        Accepted { before, then }
    }

    /// The answer to a request that is refused for who sends it, whatever its body; the connection ends with it.
    pub(crate) fn refuse_early(&mut self, now: Millis, raw: &RawRequest<'_>) -> Option<Response> {
        let error = self.check_access(now, raw).err()?;
        let context = self.context(now, None);
        Some(Response { close: true, ..self.finish(now, context, Answer::Error(error).into()) })
    }

    /// Has the effect of a request. `parked` is how many polls wait on its queue: a poll goes behind them.
    pub(crate) fn perform(&mut self, now: Millis, work: Work, parked: usize) -> Outcome {
        let Work { request, context } = work;
        let done = match request {
            Request::ReceiveMessage { queue, batch, wait_seconds } => {
                return self.begin_receive(now, context, queue, batch, wait_seconds, parked);
            }
            Request::PeekMessage { queue, batch } => return Outcome::Answer(self.peek(now, context, &queue, batch)),
            Request::SendMessage { queue, message } => self.send(now, &queue, message),
            Request::BatchSendMessage { queue, messages } => self.batch_send(now, &queue, messages),
            Request::DeleteMessage { queue, receipt_handle } => self.delete(now, &queue, &receipt_handle),
            Request::BatchDeleteMessage { queue, receipt_handles } => self.batch_delete(now, &queue, receipt_handles),
            Request::ChangeMessageVisibility { queue, receipt_handle, visibility_timeout } => {
                self.change_visibility(now, &queue, &receipt_handle, visibility_timeout)
            }
            other => self.about_queues(now, &context.base, other),
        };
        Outcome::Answer(self.finish(now, context, done))
    }

    /// Tries a parked receive again: `None` while there is nothing.
    pub(crate) fn poll(&mut self, now: Millis, poll: &Poll) -> Option<Response> {
        self.try_receive(now, poll)
    }

    /// Answers a receive that must not wait longer.
    pub(crate) fn give_up(&mut self, now: Millis, poll: Poll) -> Response {
        self.finish(now, poll.context, error(ErrorCode::MessageNotExist))
    }

    /// Answers a request whose body is too long to be read.
    pub(crate) fn too_long(&mut self, now: Millis) -> Response {
        let text = format!("The request body should not exceed {} bytes.", numbers::MAX_REQUEST_BODY);
        let context = self.context(now, None);
        let refused = Answer::Error(ServiceError::with_message(ErrorCode::InvalidArgument, text));
        Response { close: true, ..self.finish(now, context, refused.into()) }
    }

    fn context(&mut self, now: Millis, host: Option<&str>) -> Context {
        Context {
            operation: None,
            queue: None,
            // 24 digits, the first 8 the Unix time: as the service's.
            request_id: format!("{:08X}{:016X}", (now / 1_000) as u32, self.request_ids.bits()),
            base: format!("http://{}", host.unwrap_or(&self.authority)),
            transport: Transport::default(),
        }
    }

    fn check(&self, now: Millis, raw: &RawRequest<'_>) -> Result<Request, ServiceError> {
        self.check_access(now, raw)?;
        let digest = raw.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-md5"));
        if digest.is_some_and(|(_, digest)| !digest.is_empty() && !content_md5_matches(digest, raw.body)) {
            return Err(ServiceError::new(ErrorCode::InvalidDigest));
        }
        Request::read(raw.method, raw.target, raw.headers.iter().copied(), raw.body)
    }

    fn check_access(&self, now: Millis, raw: &RawRequest<'_>) -> Result<(), ServiceError> {
        if let Access::Keys { signers, check_date } = &self.access {
            let date = check_date.then_some(now / 1_000);
            verify(raw.method, raw.target, raw.headers.iter().copied(), |id| signers.get(id), date)?;
        }
        Ok(())
    }

    fn refuse(&mut self, now: Millis, context: Context, refusal: Refusal) -> Response {
        match refusal {
            Refusal::TooManyRequests => self.throttled(now, context),
            Refusal::InternalError => self.finish(now, context, error(ErrorCode::InternalError)),
            Refusal::Unavailable => {
                self.record(now, &context, 503, None, 0);
                Response {
                    status: 503,
                    headers: vec![("content-type", "text/html".to_owned()), ("date", format_date(now / 1_000))],
                    body: Some(GATEWAY_PAGE.to_owned()),
                    after: context.transport.after,
                    lost: false,
                    close: self.plan.closes(),
                }
            }
        }
    }

    /// The answer to a call that is too much, after the hold the service puts in front of it.
    fn throttled(&mut self, now: Millis, context: Context) -> Response {
        let hold = self.plan.hold();
        let response = self.finish(now, context, error(ErrorCode::TooManyRequests));
        Response { after: response.after + hold, ..response }
    }

    fn finish(&mut self, now: Millis, context: Context, done: Done<'_>) -> Response {
        let Done { answer, messages } = done;
        let (answer, code) = match answer {
            Answer::Error(mut error) => {
                error.request_id = Some(context.request_id.clone());
                error.host_id = Some(context.base.clone());
                let code = error.code.clone();
                (Answer::Error(error), Some(code))
            }
            other => (other, None),
        };
        let WireAnswer { status, mut headers, body } = answer.write();
        headers.push(("x-mns-request-id", context.request_id.clone()));
        headers.push(("x-mns-version", numbers::VERSION.to_owned()));
        headers.push(("date", format_date(now / 1_000)));
        headers.push(("server", "headwater-mns-server".to_owned()));
        self.record(now, &context, status, code, messages);
        let Transport { after, lose_answer, .. } = context.transport;
        Response { status, headers, body, after, lost: lose_answer, close: status >= 400 && self.plan.closes() }
    }

    fn record(&mut self, now: Millis, context: &Context, status: u16, code: Option<ErrorCode>, messages: usize) {
        self.journal.record(Entry {
            at: now,
            operation: context.operation,
            queue: context.queue.clone(),
            status,
            code,
            messages,
            lost: context.transport.lose_answer,
        });
    }
}

fn error(code: ErrorCode) -> Done<'static> {
    Answer::Error(ServiceError::new(code)).into()
}

fn argument(text: String) -> Done<'static> {
    Answer::Error(ServiceError::with_message(ErrorCode::InvalidArgument, text)).into()
}

#[cfg(test)]
mod tests;
