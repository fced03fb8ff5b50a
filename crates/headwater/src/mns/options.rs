//! The options of the `mns` connector: one table that feeds SQL, the builder and the option reference.

use std::time::Duration;

use super::envelope::ENVELOPE_MODES;

/// One option: its name, what it takes, its default, what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MnsOption {
    /// The name, as in `WITH`.
    pub name: &'static str,
    /// What it takes.
    pub kind: OptionKind,
    /// The default as it would be written; `None` where leaving it out means something no value says.
    pub default: Option<&'static str>,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionKind {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A whole number within these bounds, both included.
    Integer(i64, i64),
    /// A duration within these bounds, both included, as Flink writes it (`10s`).
    Duration(Duration, Duration),
    /// A number from 0 to 1.
    Ratio,
    /// One of these, in any letter case.
    OneOf(&'static [&'static str]),
}

impl OptionKind {
    /// What it takes, in words.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Text | Self::Secret => "text".into(),
            Self::Integer(min, i64::MAX) => format!("a whole number, {min} or more"),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Duration(min, max) => format!("a duration from {} s to {} s", min.as_secs(), max.as_secs()),
            Self::Ratio => "a number from 0 to 1".into(),
            Self::OneOf(values) => format!("one of {}", values.join(", ")),
        }
    }
}

const fn option(name: &'static str, kind: OptionKind, default: Option<&'static str>, doc: &'static str) -> MnsOption {
    MnsOption { name, kind, default, doc }
}

use OptionKind::{Duration as Period, Integer, OneOf, Ratio, Secret, Text};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Every option of the connector besides those of its format. The first eleven are the SMQ connector's own, spelt the same.
pub const MNS_OPTIONS: &[MnsOption] = &[
    option(
        "endpoint",
        Text,
        None,
        "URL of the account's endpoint, as in `http://123456789.mns.cn-hangzhou.aliyuncs.com`. Required.",
    ),
    option(
        "region",
        Text,
        None,
        "The region; only checked against the endpoint, since requests are signed without it.",
    ),
    option("queueName", Text, None, "The queue. Required."),
    option(
        "accessKeyId",
        Text,
        None,
        "The access key's id. Without it, the environment's ALIBABA_CLOUD_ACCESS_KEY_ID.",
    ),
    option(
        "accessKeySecret",
        Secret,
        None,
        "The access key's secret. Without it, the environment's ALIBABA_CLOUD_ACCESS_KEY_SECRET.",
    ),
    option("format", Text, None, "The format of bodies: `json`, `csv`, `avro`, `parquet`, `orc` or `raw`. Required."),
    option(
        "batchSize",
        Integer(1, 16),
        Some("1"),
        "Messages in one receive. 16 costs a sixteenth of the calls; the builder's default is 16.",
    ),
    option("pollingWaitTime", Period(secs(0), secs(30)), Some("10s"), "How long a receive waits for a message."),
    option(
        "messageType",
        OneOf(&["RAW", "OSS"]),
        Some("RAW"),
        "`OSS` reads OSS upload events into the documented columns.",
    ),
    option(
        "deleteMaxRetries",
        Integer(0, 100),
        Some("3"),
        "Retries of a failed delete with the same handle; after that the message is deleted when it comes back.",
    ),
    option(
        "startTimeMs",
        Integer(0, i64::MAX),
        None,
        "Messages that the queue took before this time (Unix milliseconds) are skipped.",
    ),
    option(
        "startTimeSkipped",
        OneOf(&["delete", "leave"]),
        Some("delete"),
        "What is done with messages skipped by startTimeMs: deleted with the next committed checkpoint, or left in the queue.",
    ),
    option("securityToken", Secret, None, "The token of temporary (STS) credentials."),
    option(
        "messageEncoding",
        OneOf(&["auto", "base64", "raw"]),
        Some("auto"),
        "How what producers send is encoded: SDKs differ in whether they use base64. `auto` tells it from each body and never touches what begins like JSON or XML; `base64` takes off exactly one layer, around the body or around the message in a topic's envelope. See docs/bodies.md.",
    ),
    option(
        "envelope",
        OneOf(ENVELOPE_MODES),
        Some("auto"),
        "What messages come in. `auto` opens a topic's envelopes (XML or JSON) and takes every other body as it is; it opens none if the table has a column that only an envelope has (TopicName, TopicOwner, SubscriptionName, MessageMD5). CloudEvents are opened only if named. See docs/bodies.md.",
    ),
    option(
        "ossEvents",
        OneOf(&["first", "all"]),
        Some("first"),
        "With messageType OSS: the first event of a message, as the SMQ connector, or one row for each.",
    ),
    option(
        "pollers",
        Integer(1, 64),
        Some("4"),
        "Receives that run side by side at most, and deletes likewise; how many do follows the load. Each has room for batchSize messages within undeletedMax, or a start-up line says so. See docs/performance.md.",
    ),
    option(
        "objective",
        OneOf(&["latency", "throughput", "cost"]),
        Some("throughput"),
        "What the number of receives strives for. `throughput`: one is parked while the queue is empty, well-filled answers bring more, up to pollers. `latency`: two are parked, and more come sooner. `cost`: as few receives as possible; messages gather for up to 5 s (7.5 s where a backlog begins) so that answers come full.",
    ),
    option(
        "leasePolicy",
        OneOf(&["auto", "extend", "absorb"]),
        Some("auto"),
        "What is done about messages that are held for longer than their lease. `extend` extends it at its half (one billed call for each message), for up to 25 minutes; `absorb` lets it end and suppresses what comes back; `auto` is `extend` where the queue and the rights allow it, else `absorb`. See docs/leases.md.",
    ),
    option(
        "visibilityTimeout",
        Period(secs(1), secs(43_200)),
        None,
        "The queue's VisibilityTimeout, for consumers that may not read its attributes. Without it, the first delivery tells it.",
    ),
    option(
        "commit",
        OneOf(&["checkpoint", "log"]),
        Some("checkpoint"),
        "When messages are deleted from the queue: once a checkpoint that holds them is committed (`checkpoint`); or at once, after they were written durably to the source's own log in the state directory, out of which they come again after a crash (`log`), for checkpoints that are far apart. Until their checkpoint they live on this disk only then. See docs/commit-log.md.",
    ),
    option(
        "logMaxBytes",
        Integer(1 << 20, i64::MAX),
        Some("1073741824"),
        "With commit = log: bytes of the log at most. A checkpoint is due when half of it is handed out; when it is full, nothing new is received.",
    ),
    option(
        "checkpointMaxMessages",
        Integer(1, 4_000_000),
        None,
        "Uncommitted messages at which a checkpoint is due. Default: half of undeletedMax; none with commit = log.",
    ),
    option(
        "checkpointMaxBytes",
        Integer(1, i64::MAX),
        Some("33554432"),
        "Uncommitted bytes at which a checkpoint is due; twice as many may be received and not committed. With commit = log it is what is in memory and not handed out that is limited so, and half of logMaxBytes is when a checkpoint is due.",
    ),
    option(
        "undeletedMax",
        Integer(1, 4_000_000),
        Some("4000"),
        "Messages received and not deleted at most. The service throttles a consumer at 5,000.",
    ),
    option(
        "ledgerMaxIds",
        Integer(1, 1_000_000_000),
        Some("1000000"),
        "Ids whose delete is unconfirmed at which nothing new is received. What was received by then may still join them: ledgerMaxIds + undeletedMax - 1 are remembered at most.",
    ),
    option(
        "badRecords",
        OneOf(&["fail", "skip", "dead-letter"]),
        Some("fail"),
        "What a body or row that cannot be decoded, or on which an expression fails, does: end the job with an error that names it (`fail`); be left out and counted (`skip`); or that, and its whole message goes to deadLetterPath or deadLetterQueue (`dead-letter`). Good rows of the same message are kept by the latter two.",
    ),
    option(
        "deadLetterPath",
        Text,
        None,
        "A local directory for messages that cannot be processed, each exactly once, as JSON lines in files that only their owner may read. Visible with the checkpoint under which the messages are deleted.",
    ),
    option(
        "deadLetterQueue",
        Text,
        None,
        "A queue of the same account for messages that cannot be processed, each at least once, with the original id in the JSON and as the property `originMessageId`. Sent before the messages may be deleted.",
    ),
    option(
        "maxDequeueCount",
        Integer(1, 1_000_000),
        None,
        "A message that has been delivered more often than this, and was never part of a checkpoint of this job, goes to the dead letters unread: it keeps failing the job. Every restart counts for all messages that were on their way, so leave room for those.",
    ),
    option(
        "badRecordsMaxCount",
        Integer(0, i64::MAX),
        None,
        "Bad messages since the start of the run after which the job fails (exit code 5).",
    ),
    option(
        "badRecordsMaxRatio",
        Ratio,
        None,
        "The share of bad messages over which the job fails (exit code 5), within badRecordsWindow and of at least 100 messages: with 0.1, the 11th bad one within the window at the earliest.",
    ),
    option(
        "badRecordsWindow",
        Period(secs(1), secs(86_400)),
        Some("1 min"),
        "The time over which badRecordsMaxRatio is taken.",
    ),
    option(
        "verifyBodyMd5",
        OneOf(&["true", "false"]),
        Some("false"),
        "Whether each body is compared with the MessageBodyMD5 that comes with it. What does not fit is neither read nor deleted, logged, counted and left to come again; the fifth time in a row for one message ends the job (exit code 5). Off, because from some KB on it costs more than anything else here, and TCP and TLS check the way already. See docs/bad-data.md.",
    ),
    option(
        "badRecordsExcerpt",
        OneOf(&["true", "false"]),
        Some("false"),
        "Whether the error of `badRecords` = `fail` shows some bytes of the body around the mistake; without effect under the other policies, whose logs never show any. Bodies may hold personal data.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        for (i, option) in MNS_OPTIONS.iter().enumerate() {
            assert!(!MNS_OPTIONS[..i].iter().any(|o| o.name.eq_ignore_ascii_case(option.name)), "{}", option.name);
            assert!(option.doc.ends_with('.'), "{}: {}", option.name, option.doc);
        }
    }
}
