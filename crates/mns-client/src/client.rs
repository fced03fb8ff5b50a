//! The client: signs, sends, reads, repeats.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use headwater_core::{Clock, QueueErrorKind, ServerMs, SystemClock};
use headwater_mns_proto::numbers::MAX_SHORT_RESPONSE;
use headwater_mns_proto::{DeleteFailure, Failure, Operation, Request, Signer, WireRequest, WriteError, answer};

use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::{Cause, MnsError, may_have_happened};
use crate::hide::Secrets;
use crate::net::{Connector, NetError, Pool, Proxies, ProxyError, Reply, TlsError, TlsRoots};
use crate::retry::{Repeat, Retries};
use crate::settings::ClientSettings;
use crate::skew::{ClockOffset, ServerClock};
use crate::wire::{self, RequestWriter};

/// A client of the service at one endpoint. Cheap to clone; clones share connections and learnt state.
#[derive(Clone)]
pub struct MnsClient {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: Endpoint,
    credentials: Credentials,
    signer: Mutex<Option<Arc<Signer>>>,
    settings: ClientSettings,
    clock: Arc<dyn Clock>,
    connector: Arc<Connector>,
    writer: RequestWriter,
    receives: Pool,
    calls: Pool,
    retries: Retries,
    server_clock: ServerClock,
}

/// What a client is made of. Everything but endpoint and credentials has a default.
#[derive(Debug)]
#[must_use]
pub struct MnsClientBuilder {
    endpoint: Endpoint,
    credentials: Credentials,
    settings: ClientSettings,
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
    proxies: Option<Proxies>,
    roots: TlsRoots,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A proxy setting of the environment cannot be followed.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The endpoint's host is not one a certificate can be for.
    #[error("{endpoint} cannot be verified by a certificate; use its name")]
    Host {
        /// The endpoint.
        endpoint: String,
    },
}

impl MnsClientBuilder {
    /// Time-outs, limits and retries.
    pub fn settings(mut self, settings: ClientSettings) -> Self {
        self.settings = settings;
        self
    }

    /// The clock for time-outs, pauses and the dates of requests; the machine's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The seed of the jitter in pauses; drawn by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Proxies; by default those of the environment.
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Certificate authorities; by default the system's.
    pub fn tls_roots(mut self, roots: TlsRoots) -> Self {
        self.roots = roots;
        self
    }

    /// Makes the client. Connects to nothing.
    ///
    /// # Errors
    /// [`BuildError`] if a proxy setting or TLS cannot be used.
    pub fn build(self) -> Result<MnsClient, BuildError> {
        let Self { endpoint, credentials, settings, .. } = self;
        let clock = self.clock.unwrap_or_else(SystemClock::shared);
        let seed = self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        let proxy = self.proxies.unwrap_or_else(Proxies::from_env).for_endpoint(&endpoint)?;
        let tls = if endpoint.is_tls() { Some(self.roots.client_config()?) } else { None };
        let connector = Connector::new(endpoint.clone(), tls, proxy, clock.clone(), settings.connect_timeout);
        let connector = Arc::new(connector.map_err(|_| BuildError::Host { endpoint: endpoint.to_string() })?);
        let pool = |most| Pool::new(connector.clone(), clock.clone(), most, settings.idle_timeout);
        Ok(MnsClient {
            shared: Arc::new(Shared {
                receives: pool(settings.max_connections),
                calls: pool(settings.max_call_connections),
                writer: RequestWriter::new(&endpoint, &connector),
                connector,
                retries: Retries::new(&settings, seed),
                signer: Mutex::default(),
                server_clock: ServerClock::default(),
                endpoint,
                credentials,
                settings,
                clock,
            }),
        })
    }
}

/// One call, however often it is tried, or made again: a receive is the same for as long as somebody polls, and deletes differ in
/// nothing but their bodies.
pub(crate) struct Call {
    wire: WireRequest,
    operation: Operation,
    queue: Option<String>,
    /// The longest answer that is read.
    limit: usize,
    /// How long one attempt may take.
    time: Duration,
    /// Whether it is a receive: parked calls have connections of their own.
    parks: bool,
    /// Whether it may be made again when a kept connection turns out to be closed.
    repeatable: bool,
    signed: Mutex<Option<Signed>>,
}

/// The bytes of a request.
enum RequestBytes {
    /// Shared with the calls before and after it.
    Kept(Bytes),
    /// With a body, of this call alone.
    Own(Vec<u8>),
}

impl std::ops::Deref for RequestBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// A request as it is sent, but for a body. Dates have whole seconds, so within one the same signer signs the same bytes.
struct Signed {
    signer: Arc<Signer>,
    second: u64,
    head: Vec<u8>,
    /// The whole of it, without a body.
    bodiless: Bytes,
}

impl MnsClient {
    /// A client for an endpoint, to be completed.
    pub fn builder(endpoint: Endpoint, credentials: Credentials) -> MnsClientBuilder {
        MnsClientBuilder {
            endpoint,
            credentials,
            settings: ClientSettings::default(),
            clock: None,
            seed: None,
            proxies: None,
            roots: TlsRoots::default(),
        }
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// How far the service's clock is from this machine's; `None` before the first answer to anything but a receive.
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.shared.server_clock.offset()
    }

    pub(crate) fn settings(&self) -> &ClientSettings {
        &self.shared.settings
    }

    /// Prepares a call; `time` is how long one attempt may take.
    pub(crate) fn call(
        &self,
        request: &Request,
        limit: usize,
        time: Duration,
        repeat: Repeat,
    ) -> Result<Call, MnsError> {
        self.prepare(request.operation(), request.queue(), request.write(), limit, time, repeat)
    }

    fn prepare(
        &self,
        operation: Operation,
        queue: Option<&str>,
        wire: Result<WireRequest, WriteError>,
        limit: usize,
        time: Duration,
        repeat: Repeat,
    ) -> Result<Call, MnsError> {
        let queue = queue.map(str::to_owned);
        let parks = matches!(operation, Operation::ReceiveMessage | Operation::BatchReceiveMessage);
        let repeatable = repeat == Repeat::Always || operation == Operation::ChangeMessageVisibility;
        match wire {
            Ok(wire) => Ok(Call { wire, operation, queue, limit, time, parks, repeatable, signed: Mutex::default() }),
            Err(error) => Err(self.error(operation, queue, Cause::Write(error))),
        }
    }

    /// What all deletes from a queue have in common.
    pub(crate) fn delete_call(&self, queue: &str) -> Result<Call, MnsError> {
        let wire = WireRequest::batch_delete(queue, std::iter::empty());
        let wire = wire.map(|all| WireRequest { body: None, ..all });
        let (operation, time) = (Operation::BatchDeleteMessage, self.shared.settings.call_timeout);
        self.prepare(operation, Some(queue), wire, MAX_SHORT_RESPONSE, time, Repeat::Always)
    }

    /// Deletes messages of a queue by their handles.
    pub(crate) async fn batch_delete(
        &self,
        call: &Call,
        handles: impl Iterator<Item = &str> + Clone,
    ) -> Result<Vec<DeleteFailure>, MnsError> {
        let body = WireRequest::batch_delete_body(handles);
        let body = body.map_err(|error| self.call_error(call, Cause::Write(error)))?;
        let read = |reply: &Reply| answer::batch_deleted(reply.head.status, &reply.body.bytes);
        self.repeat(call, Some(&body), Repeat::Always, read).await
    }

    /// Makes a call that does not wait for messages, as often as it takes and is allowed.
    pub(crate) async fn run<T>(
        &self,
        request: &Request,
        limit: usize,
        repeat: Repeat,
        read: impl Fn(&Reply) -> Result<T, Failure>,
    ) -> Result<T, MnsError> {
        let call = self.call(request, limit, self.shared.settings.call_timeout, repeat)?;
        self.repeat(&call, call.wire.body.as_deref(), repeat, read).await
    }

    async fn repeat<T>(
        &self,
        call: &Call,
        body: Option<&str>,
        repeat: Repeat,
        read: impl Fn(&Reply) -> Result<T, Failure>,
    ) -> Result<T, MnsError> {
        let mut attempts = 0;
        let mut may_have_happened = false;
        loop {
            attempts += 1;
            let mut error = match self.attempt(call, body, &read).await {
                Ok(value) => {
                    self.shared.retries.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };
            let passing = matches!(
                error.kind(),
                QueueErrorKind::Transient | QueueErrorKind::Throttled | QueueErrorKind::Unreadable
            );
            let allowed = repeat == Repeat::Always || !error.may_have_happened;
            may_have_happened |= error.may_have_happened;
            error.may_have_happened = may_have_happened;
            if !passing || !allowed {
                return Err(error);
            }
            let Some(pause) = self.shared.retries.next_pause(attempts) else { return Err(error) };
            tracing::debug!(%error, ?pause, attempts, "a call failed and is repeated");
            self.shared.clock.sleep(pause).await;
        }
    }

    /// Makes one attempt, or a second one with a new key if the service does not know the first.
    pub(crate) async fn attempt<T>(
        &self,
        call: &Call,
        body: Option<&str>,
        read: &impl Fn(&Reply) -> Result<T, Failure>,
    ) -> Result<T, MnsError> {
        let signer = self.signer(call).await?;
        match self.attempt_with(&signer, call, body, read).await {
            Err(error) if error.is_unknown_key() => {
                let refreshed = self.shared.credentials.inner().refresh(signer.key()).await;
                let key = refreshed.map_err(|error| self.call_error(call, Cause::Credentials(Arc::new(error))))?;
                if key == *signer.key() {
                    return Err(error);
                }
                tracing::info!(access_key_id = key.id(), "the access key was renewed");
                let signer = self.keep_signer(Signer::new(key));
                self.attempt_with(&signer, call, body, read).await
            }
            outcome => outcome,
        }
    }

    async fn attempt_with<T>(
        &self,
        signer: &Arc<Signer>,
        call: &Call,
        body: Option<&str>,
        read: &impl Fn(&Reply) -> Result<T, Failure>,
    ) -> Result<T, MnsError> {
        let shared = &*self.shared;
        let sent = shared.clock.wall();
        let second = u64::try_from(sent.0 / 1_000).unwrap_or_default();
        let request = call.signed(body, signer, second, &shared.writer);
        let request = request.map_err(|error| self.call_error(call, Cause::Net(error)))?;
        let pool = if call.parks { &shared.receives } else { &shared.calls };
        let start = shared.clock.now();
        let reply = pool.call(&request, call.limit, start, start + call.time, call.repeatable).await;
        let reply = reply.map_err(|error| self.call_error(call, Cause::Net(error)))?;
        let answered = shared.clock.wall();
        let offset = server_time(&reply).map(|date| ClockOffset::measure(date, sent, answered));
        // A receive is answered whenever a message comes, so its duration says nothing about when the date was.
        if let (Some(offset), false) = (offset, call.parks) {
            shared.server_clock.learn(offset, answered);
        }
        read(&reply).map_err(|failure| {
            let offset_ms = offset.map(|offset| offset.offset_ms);
            let secrets = Secrets::of(signer.key(), shared.connector.proxy_authorization());
            let shown = |text: &Option<_>| text.as_ref().map(|text| secrets.hide(ToString::to_string(text)));
            let (location, request_id) = (shown(&reply.head.location), shown(&reply.head.request_id));
            let cause = Cause::Answer { failure: secrets.hide_in(failure), location, request_id, offset_ms };
            self.call_error(call, cause)
        })
    }

    /// The signer of the current key, kept as long as the key is the same.
    async fn signer(&self, call: &Call) -> Result<Arc<Signer>, MnsError> {
        if self.shared.credentials.are_fixed()
            && let Some(signer) = &*self.lock_signer()
        {
            return Ok(signer.clone());
        }
        let key = self.shared.credentials.inner().key().await;
        let key = key.map_err(|error| self.call_error(call, Cause::Credentials(Arc::new(error))))?;
        let kept = self.lock_signer().clone();
        match kept {
            Some(signer) if *signer.key() == key => Ok(signer),
            _ => Ok(self.keep_signer(Signer::new(key))),
        }
    }

    fn keep_signer(&self, signer: Signer) -> Arc<Signer> {
        let signer = Arc::new(signer);
        *self.lock_signer() = Some(signer.clone());
        signer
    }

    fn lock_signer(&self) -> std::sync::MutexGuard<'_, Option<Arc<Signer>>> {
        self.shared.signer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_error(&self, call: &Call, cause: Cause) -> MnsError {
        self.error(call.operation, call.queue.clone(), cause)
    }

    fn error(&self, operation: Operation, queue: Option<String>, cause: Cause) -> MnsError {
        let may_have_happened = may_have_happened(&cause, operation);
        MnsError {
            operation,
            queue,
            endpoint: self.shared.endpoint.to_string(),
            cause: Box::new(cause),
            may_have_happened,
        }
    }
}

impl Call {
    /// The bytes of the request with this body, signed in this second.
    fn signed(
        &self,
        body: Option<&str>,
        signer: &Arc<Signer>,
        second: u64,
        writer: &RequestWriter,
    ) -> Result<RequestBytes, NetError> {
        let mut kept = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.as_ref().filter(|known| known.second == second && Arc::ptr_eq(&known.signer, signer));
        let signed = match known {
            Some(known) => known,
            None => {
                // What was signed in another second is of no use even if this fails.
                *kept = None;
                let head = writer.head(signer, &self.wire, second)?;
                let bodiless = wire::request(&head, self.wire.method, None).into();
                kept.insert(Signed { signer: signer.clone(), second, head, bodiless })
            }
        };
        Ok(match body {
            None => RequestBytes::Kept(signed.bodiless.clone()),
            Some(body) => RequestBytes::Own(wire::request(&signed.head, self.wire.method, Some(body))),
        })
    }
}

/// The service's clock when it answered.
pub(crate) fn server_time(reply: &Reply) -> Option<ServerMs> {
    reply.head.date.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000)).map(ServerMs)
}

impl fmt::Debug for MnsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MnsClient")
            .field("endpoint", &self.shared.endpoint)
            .field("credentials", &self.shared.credentials)
            .finish_non_exhaustive()
    }
}
