//! `headwater doctor`: what a job would find at its queue, without taking a message or changing one.
//!
//! Rights are tried with a handle that is none: a service that knows the caller refuses the handle, one that does not refuses
//! the caller. A receive cannot be tried so, for it would take messages.

use std::time::Duration;

use headwater::{Format, MnsSource};
use headwater_core::{
    Clock as _, Handle, Queue as _, QueueError, QueueErrorKind, SourceError, SourceErrorKind, SystemClock,
};
use headwater_mns_client::{ClockOffset, MnsClient};
use headwater_mns_proto::QueueAttributes;
use serde::Serialize;

use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Stop};

/// No handle of the service looks like it.
const NO_HANDLE: &str = "headwater-doctor-asks-whether-it-may";

/// Beyond this the service's clock and this machine's differ enough to be worth mending. 30 s: the service refuses requests
/// from 15 min on.
const SKEW_MAX_MS: u64 = 30_000;

/// A job asks for as long as the service does not answer. It has answered before this is asked, so 10 s are plenty.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a check found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Ok,
    /// A job runs, with less than it could.
    Warning,
    /// A job does not run.
    Failed,
    /// It cannot be known from here.
    Unknown,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    outcome: Outcome,
    says: String,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    endpoint: String,
    queue: &'a str,
    ok: bool,
    checks: &'a [Check],
    guarantee: String,
}

/// Looks at everything, and prints it as one JSON object.
pub(crate) async fn run(args: DoctorArgs) -> Result<Exit, Stop> {
    let client = args.connect.client()?;
    let name = &args.connect.queue;
    let interval = args.checkpoint_interval;
    let mut checks = Vec::new();
    let attributes = attributes(&client, name, &mut checks).await;
    let reached = checks.iter().all(|check| check.outcome != Outcome::Failed);
    if reached {
        let queue = client.queue(name.as_str());
        let handle = Handle::new(NO_HANDLE);
        let delete = queue.delete(std::slice::from_ref(&handle)).await.map(|_| ());
        checks.push(right(&DELETE, delete));
        let extend = queue.extend(&handle, Duration::from_secs(1)).await.map(|_| ());
        checks.push(right(&EXTEND, extend));
        checks.push(found("receive", Outcome::Unknown, "mns:ReceiveMessage is not tried, since that would take messages: a job without it ends at its first poll with exit code 4"));
        let extends = checks.iter().any(|check| check.check == EXTEND.check && check.outcome == Outcome::Ok);
        let refused = tokio::select! {
            biased;
            opened = job(&args) => opened.err().filter(|error| error.kind == SourceErrorKind::Configuration),
            () = SystemClock::new().sleep(PATIENCE) => None,
        };
        checks.push(match refused {
            Some(error) => failed("lease", QueueErrorKind::Refused, error.to_string()),
            None => lease(attributes.as_ref(), interval, extends),
        });
    }
    if let Some(offset) = client.clock_offset() {
        checks.push(clock(offset));
    }
    for check in &checks {
        match check.outcome {
            Outcome::Failed => tracing::error!("{}: {}", check.check, check.says),
            Outcome::Warning => tracing::warn!("{}: {}", check.check, check.says),
            Outcome::Ok | Outcome::Unknown => tracing::info!("{}: {}", check.check, check.says),
        }
    }
    // The cause that stands in the way of everything after it comes first.
    let failed = checks.iter().find(|check| check.outcome == Outcome::Failed);
    let answer = Answer {
        endpoint: args.connect.endpoint.to_string(),
        queue: name,
        ok: failed.is_none(),
        checks: &checks,
        guarantee: guarantee(name, failed, attributes.as_ref(), interval),
    };
    let text = serde_json::to_string(&answer)
        .map_err(|error| Failure::because(Exit::Failed, "the answer cannot be written as JSON", &error))?;
    output::line(&text)?;
    Ok(failed.map_or(Exit::Done, |check| check.exit))
}

fn found(check: &'static str, outcome: Outcome, says: impl Into<String>) -> Check {
    Check { check, outcome, says: says.into(), exit: Exit::Done }
}

fn failed(check: &'static str, kind: QueueErrorKind, says: impl Into<String>) -> Check {
    let exit = match kind {
        QueueErrorKind::Denied | QueueErrorKind::Credentials => Exit::Denied,
        QueueErrorKind::NoSuchQueue | QueueErrorKind::Refused => Exit::Usage,
        _ => Exit::Failed,
    };
    Check { check, outcome: Outcome::Failed, says: says.into(), exit }
}

/// Whether the service is there and the queue is; what the queue says of itself.
async fn attributes(client: &MnsClient, queue: &str, checks: &mut Vec<Check>) -> Option<QueueAttributes> {
    match client.queue_attributes(queue).await {
        Ok(attributes) => {
            let (visible, leased) = (attributes.active_messages, attributes.inactive_messages);
            let says = format!(
                "VisibilityTimeout {} s, MessageRetentionPeriod {} s, MaximumMessageSize {} bytes; about {visible} visible and \
                 {leased} leased messages",
                attributes.visibility_timeout, attributes.message_retention_period, attributes.maximum_message_size,
            );
            checks.push(found("attributes", Outcome::Ok, says));
            Some(attributes)
        }
        Err(error) if error.kind() == QueueErrorKind::Denied => {
            let says = format!(
                "a job runs without mns:GetQueueAttributes, and learns the lease from its first message unless \
                 `visibilityTimeout` gives it: {error}"
            );
            checks.push(found("attributes", Outcome::Warning, says));
            None
        }
        Err(error) => {
            checks.push(failed("attributes", error.kind(), error.to_string()));
            None
        }
    }
}

/// A right, and what a job does without it.
struct Right {
    check: &'static str,
    action: &'static str,
    without: Option<&'static str>,
}

const DELETE: Right = Right { check: "delete", action: "mns:DeleteMessage", without: None };
const EXTEND: Right = Right {
    check: "extend",
    action: "mns:ChangeMessageVisibility",
    without: Some("leases are not extended, and what a stop does not finish is visible again at the end of its lease"),
};

fn right(right: &Right, answer: Result<(), QueueError>) -> Check {
    let Right { check, action, without } = *right;
    match (answer, without) {
        // The handle is refused, so the caller is not.
        (Ok(()), _) => found(check, Outcome::Ok, format!("{action} is granted")),
        (Err(error), _) if matches!(error.kind, QueueErrorKind::Gone | QueueErrorKind::Refused) => {
            found(check, Outcome::Ok, format!("{action} is granted"))
        }
        (Err(error), Some(without)) if error.kind == QueueErrorKind::Denied => {
            found(check, Outcome::Warning, format!("without {action} {without}: {error}"))
        }
        (Err(error), _) if error.kind.is_fatal() => failed(check, error.kind, error.to_string()),
        (Err(error), _) => found(check, Outcome::Unknown, format!("no answer to {action}: {error}")),
    }
}

/// What a job of default options does at its start, up to its first receive.
async fn job(args: &DoctorArgs) -> Result<(), SourceError> {
    let source = MnsSource::builder()
        .endpoint(args.connect.endpoint.to_string())
        .queue(&args.connect.queue)
        .credentials(args.connect.credentials())
        .schema("body STRING".parse().expect("a constant that doctor's tests parse"))
        .format(Format::raw())
        .checkpoint_interval(args.checkpoint_interval);
    source.build().await.map(drop)
}

fn lease(attributes: Option<&QueueAttributes>, interval: Duration, extends: bool) -> Check {
    let Some(attributes) = attributes else {
        let says = format!(
            "not known: without extensions it should be at least {:?}, twice the checkpoint interval",
            interval * 2
        );
        return found("lease", Outcome::Unknown, says);
    };
    let lease = Duration::from_secs(u64::from(attributes.visibility_timeout));
    let short = format!("the queue's VisibilityTimeout is {lease:?}, and a checkpoint is due every {interval:?}");
    match (lease >= interval * 2, extends) {
        (true, _) => {
            found("lease", Outcome::Ok, format!("{lease:?}, at least twice the {interval:?} between checkpoints"))
        }
        (false, true) => found(
            "lease",
            Outcome::Warning,
            format!("{short}: each message costs an extension, one call, before it is deleted"),
        ),
        (false, false) => {
            let says = format!(
                "{short}: every message would come back before its delete. Use at most {:?} between checkpoints, raise the \
                 queue's VisibilityTimeout to at least {:?}, or grant {}",
                lease / 2,
                interval * 2,
                EXTEND.action
            );
            failed("lease", QueueErrorKind::Refused, says)
        }
    }
}

fn clock(ClockOffset { offset_ms, uncertainty_ms }: ClockOffset) -> Check {
    let says =
        format!("the service's clock is {offset_ms} ms ahead of this machine's, give or take {uncertainty_ms} ms");
    if offset_ms.unsigned_abs() > SKEW_MAX_MS {
        let says = format!("{says}: set this machine's clock; requests are refused from 15 min on");
        return found("clock", Outcome::Warning, says);
    }
    found("clock", Outcome::Ok, says)
}

fn guarantee(queue: &str, failed: Option<&Check>, attributes: Option<&QueueAttributes>, interval: Duration) -> String {
    if let Some(check) = failed {
        return format!("a job on queue {queue} would not run: see `{}`", check.check);
    }
    let retention = attributes.map_or_else(
        || "for as long as the queue keeps it".to_owned(),
        |attributes| format!("for {} s", attributes.message_retention_period),
    );
    format!(
        "queue {queue}: exactly-once by message id into sinks that commit with checkpoints (every {interval:?}), at-least-once \
         into others; a message is deleted only after its checkpoint, and one that no job takes {retention} is dropped by the \
         service"
    )
}
