//! What the server does worse than its best, on purpose and by seed.
//!
//! Everything is off by default. Each knob says what a client sees; a consumer that is right must survive all of them
//! together. `dose` is how often, `plan` draws, `consumption` is the service's throttle of consumers that receive
//! without deleting.

mod consumption;
mod dose;
mod plan;

use std::collections::BTreeSet;

use headwater_mns_proto::Operation;
use headwater_mns_proto::numbers::{ABNORMAL_HOLDING_SECONDS, ABNORMAL_RECEIVES_PER_SECOND, ABNORMAL_UNDELETED};
use serde::{Deserialize, Deserializer};

pub use dose::{Dose, PerOperation};
pub(crate) use plan::{FaultPlan, Refusal, Transport};

/// All fault knobs; the default switches everything off.
///
/// In JSON the names are in camel case, and what is left out is off:
///
/// ```
/// use headwater_mns_server::Faults;
///
/// let faults: Faults = serde_json::from_str(
///     r#"{
///         "seed": 7,
///         "loseAnswer": {"DeleteMessage": 0.1, "BatchDeleteMessage": 0.1},
///         "internalError": {"count": 2},
///         "shortLease": {"dose": 0.05, "millis": 500},
///         "abnormalConsumption": {"maxUndeleted": 50}
///     }"#,
/// )?;
/// assert_eq!(faults.seed, 7);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Faults {
    /// Decides every draw below. Each knob draws from a sequence of its own, so that turning one does not move the
    /// others.
    pub seed: u64,
    /// How long a request travels before it has its effect.
    pub latency_millis: Span,
    /// How long an answer travels after the effect: long enough, and a lease ends on the way.
    pub answer_latency_millis: Span,
    /// The connection closes before the request has its effect: nothing happened, and the client cannot know.
    pub drop_request: PerOperation,
    /// The connection closes after the effect: it happened, and the client cannot know.
    pub lose_answer: PerOperation,
    /// 429 `TooManyRequests`, after the hold the service puts in front of it; no effect.
    pub too_many_requests: PerOperation,
    /// The hold in front of a 429, in milliseconds; the service's 500 when absent.
    pub hold_millis: Option<u64>,
    /// 500 `InternalError`; no effect.
    pub internal_error: PerOperation,
    /// 503 with a gateway's HTML page in place of XML; no effect.
    pub unavailable: PerOperation,
    /// Error answers come with `Connection: close`, and the connection is closed.
    pub close_on_error: Dose,
    /// Drawn per receive: it is given, besides what is visible, a message that is leased to somebody else.
    pub duplicate: Dose,
    /// Drawn per handle of a batch delete: this entry fails though its handle is live.
    pub fail_delete_entry: Dose,
    /// Drawn per message of a batch send: this entry is not stored, the others are.
    pub fail_send_entry: Dose,
    /// Some leases end early.
    pub short_lease: ShortLease,
    /// Drawn per receive: it is answered empty at once, whatever the queue holds and however long it would wait.
    pub empty_receive: Dose,
    /// Drawn per batch receive: it returns fewer messages than it could.
    pub fewer_messages: Dose,
    /// Drawn per received message: one character of its body is changed on the way, and its MessageBodyMD5 is not. Other
    /// deliveries of it are whole.
    pub damage_body: Dose,
    /// So many polls may be parked on a queue; one more is answered empty at once, as the service does.
    pub max_parked_polls: Option<usize>,
    /// The service's throttle of consumers that receive without deleting.
    pub abnormal_consumption: Option<AbnormalConsumption>,
    /// How a handle that has died is refused: documents and logs contradict each other.
    pub dead_handle: DeadHandle,
    /// 403 `AccessDenied` for these, by the name of the operation or of the access-policy action that covers it
    /// (denying `DeleteMessage` denies `BatchDeleteMessage` too).
    #[serde(deserialize_with = "operations")]
    pub deny: BTreeSet<Operation>,
}

impl Faults {
    /// Whether the access policy denies `operation`.
    #[must_use]
    pub fn denies(&self, operation: Operation) -> bool {
        self.deny.iter().any(|denied| {
            let is_action = denied.ram_action().ends_with(&format!(":{}", denied.name()));
            *denied == operation || (is_action && denied.ram_action() == operation.ram_action())
        })
    }
}

/// A time span to draw from, in milliseconds. In JSON a number or `{"min": 10, "max": 200}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "SpanForm")]
pub struct Span {
    /// The shortest.
    pub min: u64,
    /// The longest; not below `min`.
    pub max: u64,
}

impl Span {
    /// Always the same.
    #[must_use]
    pub fn exactly(millis: u64) -> Self {
        Self { min: millis, max: millis }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SpanForm {
    Exactly(u64),
    Between { min: u64, max: u64 },
}

impl From<SpanForm> for Span {
    fn from(form: SpanForm) -> Self {
        match form {
            SpanForm::Exactly(millis) => Self::exactly(millis),
            SpanForm::Between { min, max } => Self { min, max: max.max(min) },
        }
    }
}

/// Leases that end early.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ShortLease {
    /// Drawn per receive; it holds for all messages of the answer.
    pub dose: Dose,
    /// How long the lease really is, in milliseconds.
    pub millis: u64,
    /// Whether NextVisibleTime tells the truth about it. If not, it promises the whole VisibilityTimeout.
    pub told: bool,
}

/// The throttle of consumers that receive without deleting, measured per queue: once any of the three limits is
/// passed, receives beyond `admitted_per_second` are answered 429. The defaults are the service's ("Throttling policy"
/// page); how far it cuts the rate is not documented, 10 receives a second are assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AbnormalConsumption {
    /// Messages received and not deleted.
    pub max_undeleted: u64,
    /// Seconds of receiving without a single delete.
    pub max_seconds: u64,
    /// Messages received in a second beyond those deleted in it.
    pub max_per_second: u64,
    /// Receives a second that are still let through.
    pub admitted_per_second: u64,
}

impl Default for AbnormalConsumption {
    fn default() -> Self {
        Self {
            max_undeleted: ABNORMAL_UNDELETED,
            max_seconds: ABNORMAL_HOLDING_SECONDS,
            max_per_second: ABNORMAL_RECEIVES_PER_SECOND,
            admitted_per_second: 10,
        }
    }
}

/// How a handle is refused that was good once: expired, superseded, or its message deleted. What never was a handle
/// is always a 400 `ReceiptHandleError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[non_exhaustive]
pub enum DeadHandle {
    /// 400 `ReceiptHandleError` (pages of the delete operations, a log of 2018).
    #[default]
    ReceiptHandleError,
    /// 404 `MessageNotExist` (QueueMessage page, FAQ).
    MessageNotExist,
    /// Now one, now the other.
    Either,
}

fn operations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Operation>, D::Error> {
    let names: Vec<String> = Deserialize::deserialize(deserializer)?;
    names.iter().map(|name| dose::operation(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Faults, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_is_nothing_done() {
        assert_eq!(read("{}"), Ok(Faults::default()));
        assert!(read(r#"{"latency": 5}"#).unwrap_err().contains("unknown field `latency`, expected"));
    }

    #[test]
    fn spans_and_thresholds_read_in_both_forms() {
        let faults = read(
            r#"{"latencyMillis": 20, "answerLatencyMillis": {"min": 5, "max": 9},
                "abnormalConsumption": {"maxUndeleted": 50}, "deadHandle": "Either"}"#,
        )
        .unwrap();
        assert_eq!(faults.latency_millis, Span::exactly(20));
        assert_eq!(faults.answer_latency_millis, Span { min: 5, max: 9 });
        let throttle = faults.abnormal_consumption.unwrap();
        assert_eq!((throttle.max_undeleted, throttle.max_seconds, throttle.max_per_second), (50, 1_800, 1_000));
        assert_eq!(faults.dead_handle, DeadHandle::Either);
    }

    #[test]
    fn a_denied_action_covers_its_batch_form_but_not_the_reverse() {
        let faults = read(r#"{"deny": ["DeleteMessage", "BatchReceiveMessage"]}"#).unwrap();
        assert!(faults.denies(Operation::DeleteMessage) && faults.denies(Operation::BatchDeleteMessage));
        assert!(faults.denies(Operation::BatchReceiveMessage) && !faults.denies(Operation::ReceiveMessage));
        assert!(!faults.denies(Operation::GetQueueAttributes));
        assert!(read(r#"{"deny": ["GetQueueAttribute"]}"#).unwrap_err().contains("GetQueueAttributes"));
    }
}
