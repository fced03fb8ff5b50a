//! `--metrics ADDRESS`: metrics as Prometheus text on `/metrics`, and how the job is on `/health`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use headwater_core::{Clock, SystemClock};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::exit::{Exit, Failure};

/// Connections served at once: a few scrapers and a prober.
const MAX_CONNECTIONS: usize = 16;
/// How long a client may take over the head of a request before its connection is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head: a scraper's has a few hundred.
const MAX_HEAD: usize = 16 * 1_024;
/// How often observations are folded into their buckets, so that they do not pile up while nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long accepting rests after it failed, which is when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Upper bounds of histograms, in seconds: from a checkpoint on a fast disk to one that is in trouble.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// How a job is, for whoever asks `/health`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health(Arc<Mutex<State>>);

#[derive(Clone, Debug, Serialize)]
struct State {
    job: String,
    status: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Where a job is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Not known to receive yet.
    Starting,
    /// Receiving.
    Running,
    /// Ending in order.
    Stopping,
}

impl Default for State {
    fn default() -> Self {
        Self { job: String::new(), status: Phase::Starting, checkpoint: None, problem: None }
    }
}

impl Health {
    /// Names the job.
    pub(crate) fn of(job: &str) -> Self {
        Self(Arc::new(Mutex::new(State { job: job.to_owned(), ..State::default() })))
    }

    /// Notes where the job is.
    pub(crate) fn enter(&self, phase: Phase) {
        self.lock().status = phase;
    }

    /// Notes that the job runs, if it has only just begun.
    pub(crate) fn alive(&self) {
        let mut state = self.lock();
        if state.status == Phase::Starting {
            state.status = Phase::Running;
        }
    }

    /// Notes a durable checkpoint: what was wrong before is over.
    pub(crate) fn checkpoint(&self, id: u64) {
        let mut state = self.lock();
        state.checkpoint = Some(id);
        state.problem = None;
    }

    /// Notes that a checkpoint could not be saved for certain.
    pub(crate) fn problem(&self, text: String) {
        self.lock().problem = Some(text);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Every change is a few assignments.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self) -> (StatusCode, String) {
        let state = self.lock().clone();
        let well = state.problem.is_none();
        let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // Text and numbers always have a JSON form.
        (status, serde_json::to_string(&state).unwrap_or_default())
    }
}

/// Serves until dropped.
#[derive(Debug)]
pub(crate) struct MetricsServer {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl MetricsServer {
    /// Records all metrics of the process from here on and serves them.
    pub(crate) async fn start(address: SocketAddr, health: Health) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Failure::because(Exit::Usage, format!("--metrics: cannot listen on {address}"), &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| Failure::because(Exit::Failed, "--metrics: the socket has no address", &error))?;
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::because(Exit::Failed, "--metrics: the recorder cannot be set up", error)
        };
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(|error| failed(&error))?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| failed(&error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(upkeep(handle.clone()));
        tasks.spawn(accept(listener, handle, health));
        Ok(Self { address, _tasks: tasks })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn upkeep(handle: PrometheusHandle) {
    let clock = SystemClock::new();
    loop {
        clock.sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

async fn accept(listener: TcpListener, handle: PrometheusHandle, health: Health) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, handle.clone(), health.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection to the metrics was accepted");
                    SystemClock::new().sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, handle: PrometheusHandle, health: Health) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &handle, &health);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the metrics ended");
    }
}

fn answer(method: &Method, path: &str, handle: &PrometheusHandle, health: &Health) -> Response<Full<Bytes>> {
    let (status, kind, text) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            handle.run_upkeep();
            (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", handle.render())
        }
        (&Method::GET | &Method::HEAD, "/health") => {
            let (status, text) = health.answer();
            (status, "application/json", text)
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "here are /metrics and /health\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_turns_with_the_checkpoints() {
        let health = Health::of("orders");
        assert_eq!(health.answer(), (StatusCode::OK, r#"{"job":"orders","status":"starting"}"#.into()));
        health.alive();
        health.problem("the disk is full".into());
        let ill = r#"{"job":"orders","status":"running","problem":"the disk is full"}"#;
        assert_eq!(health.answer(), (StatusCode::SERVICE_UNAVAILABLE, ill.into()));
        health.checkpoint(7);
        health.enter(Phase::Stopping);
        assert_eq!(health.answer(), (StatusCode::OK, r#"{"job":"orders","status":"stopping","checkpoint":7}"#.into()));
    }
}
