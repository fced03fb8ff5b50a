//! The options about bad data, checked against each other, and the places that dead letters go to.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{Clock, JobContext, SourceError, SourceErrorKind};
use headwater_mns_client::MnsClient;
use headwater_queue_source::{BadRecords, DeadLetterTarget, SourceConfig};

use super::config::Reader;
use super::letter_queue::LetterQueue;

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A directory of this machine.
    Path(String),
    /// A queue of the same account.
    Queue(String),
}

/// What the options say about bad data.
#[derive(Clone, Debug, Default)]
pub(super) struct BadData {
    policy: BadRecords,
    excerpt: bool,
    max_count: Option<u64>,
    max_ratio: Option<f64>,
    window: Option<Duration>,
    max_dequeue_count: Option<u32>,
    pub(super) place: Option<Place>,
}

impl BadData {
    /// Reads them; everything wrong goes to the reader.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let policy = match reader.word("badRecords") {
            "skip" => BadRecords::Skip,
            "dead-letter" => BadRecords::DeadLetter,
            _ => BadRecords::Fail,
        };
        let bad = Self {
            policy,
            excerpt: reader.word("badRecordsExcerpt") == "true",
            max_count: reader.integer("badRecordsMaxCount").and_then(|n| u64::try_from(n).ok()),
            max_ratio: reader.ratio("badRecordsMaxRatio"),
            window: reader.duration("badRecordsWindow"),
            max_dequeue_count: reader.number("maxDequeueCount"),
            place: place(reader),
        };
        bad.check(reader);
        bad
    }

    fn check(&self, reader: &mut Reader<'_>) {
        let dead = self.policy == BadRecords::DeadLetter;
        let both =
            "say where dead letters go: give `deadLetterPath` (exactly once) or `deadLetterQueue` (at least once)";
        match &self.place {
            None if dead => reader.wrong("badRecords", format!("is `dead-letter`, but nothing says where to; {both}")),
            Some(place) if !dead && reader.given("maxDequeueCount").is_none() => {
                let (name, policy) = (place.option(), reader.word("badRecords"));
                let text = format!(
                    "has nothing to take: `badRecords` is `{policy}`; set it to `dead-letter`, or give `maxDequeueCount`"
                );
                reader.wrong(name, text);
            }
            _ => {}
        }
        if self.place.is_none() && !dead && reader.given("maxDequeueCount").is_some() {
            reader.wrong(
                "maxDequeueCount",
                format!("sends messages to the dead letters, but nothing says where; {both}"),
            );
        }
        if self.policy == BadRecords::Fail {
            for name in ["badRecordsMaxCount", "badRecordsMaxRatio"] {
                if reader.given(name).is_some() {
                    let text = "is a budget, and with `badRecords` = `fail` the first bad record ends the job: leave it out, or \
                                set `badRecords` to `skip` or `dead-letter`";
                    reader.wrong(name, text);
                }
            }
        }
        if reader.given("badRecordsWindow").is_some() && reader.given("badRecordsMaxRatio").is_none() {
            reader.notice("`badRecordsWindow` has no effect without `badRecordsMaxRatio`".into());
        }
    }

    /// Puts them into a source's configuration.
    pub(super) fn apply(&self, config: &mut SourceConfig) {
        config.bad_records = self.policy;
        config.bad_records_excerpt = self.excerpt;
        config.bad_records_max_count = self.max_count;
        config.bad_records_max_ratio = self.max_ratio;
        config.bad_records_window = self.window.unwrap_or(config.bad_records_window);
        config.max_dequeue_count = self.max_dequeue_count;
    }
}

fn place(reader: &mut Reader<'_>) -> Option<Place> {
    let path = reader.given("deadLetterPath").map(str::to_owned);
    let queue = reader.given("deadLetterQueue").map(str::to_owned);
    if let Some(path) = &path {
        directory::check(path, reader);
    }
    if queue.as_deref() == Some("") {
        reader.wrong("deadLetterQueue", "is empty: it names a queue");
    } else if let Some(queue) = &queue
        && reader.queue_name("deadLetterQueue", queue).is_some()
        && reader.given("queueName") == Some(queue)
    {
        reader.wrong("deadLetterQueue", "is the queue itself: its dead letters would come back as messages for ever");
    }
    match (path, queue) {
        (Some(path), Some(_)) => {
            reader.wrong("deadLetterPath", "and `deadLetterQueue` exclude each other: a dead letter has one place");
            Some(Place::Path(path))
        }
        (Some(path), None) => Some(Place::Path(path)),
        (None, queue) => queue.map(Place::Queue),
    }
}

impl Place {
    const fn option(&self) -> &'static str {
        match self {
            Self::Path(_) => "deadLetterPath",
            Self::Queue(_) => "deadLetterQueue",
        }
    }

    /// The place and its promise, for whoever only checks.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Path(path) => format!("dead letters go to directory {path}, each exactly once"),
            Self::Queue(queue) => format!("dead letters go to queue {queue}, each at least once"),
        }
    }

    /// Opens the place. `owner` is whose letters they are, in words.
    pub(super) async fn open(
        &self,
        client: &MnsClient,
        clock: &Arc<dyn Clock>,
        owner: &str,
        context: &JobContext,
    ) -> Result<DeadLetterTarget, SourceError> {
        match self {
            Self::Path(path) => {
                let sink = directory::open(path, owner, context).await?;
                Ok(DeadLetterTarget::new(sink, format!("directory {path}")))
            }
            Self::Queue(queue) => {
                let sink = LetterQueue::open(client.clone(), Arc::clone(clock), queue).await?;
                Ok(DeadLetterTarget::new(Box::new(sink), format!("queue {queue}")))
            }
        }
    }
}

#[cfg(feature = "job")]
mod directory {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use headwater_core::{Options, Sink, SinkFactory, SinkRequest};
    use headwater_job::fs::LocalFs;
    use headwater_job::sinks::filesystem::FilesystemFactory;
    use headwater_ledger::MessageKey;
    use headwater_queue_source::dead_letter_columns;

    use super::{JobContext, Reader, SourceError, SourceErrorKind};

    /// The sink of `filesystem`, whose files only their owner may read.
    fn request(path: &str, owner: &str, context: &JobContext) -> (FilesystemFactory, SinkRequest) {
        let request = SinkRequest {
            table: format!("dead letters of {owner}"),
            columns: dead_letter_columns(),
            partitioned_by: Vec::new(),
            options: sink_options(path),
            context: context.clone(),
            lineage: lineage(context, owner),
        };
        (FilesystemFactory::new(Arc::new(LocalFs::private())), request)
    }

    pub(super) fn check(path: &str, reader: &mut Reader<'_>) {
        let context = JobContext::new("", std::time::Duration::ZERO);
        let (factory, request) = request(path, "", &context);
        if let Err(errors) = factory.check(&request) {
            errors.0.into_iter().for_each(|error| reader.wrong("deadLetterPath", error.problem));
        }
    }

    pub(super) async fn open(path: &str, owner: &str, context: &JobContext) -> Result<Box<dyn Sink>, SourceError> {
        let (factory, request) = request(path, owner, context);
        factory.create(&request).await.map_err(|error| {
            let text = format!("`deadLetterPath` cannot be used: {error}");
            SourceError::new(SourceErrorKind::Configuration, text).with_source(error)
        })
    }

    /// The part of file names that keeps this job's letters apart from those of others: the job's lineage, or for want of one
    /// a hash of what it is called.
    fn lineage(context: &JobContext, owner: &str) -> String {
        let given = &context.lineage;
        let fits =
            !given.is_empty() && given.len() <= 64 && given.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits {
            return given.clone();
        }
        let mut named = String::new();
        // Writing to a String cannot fail.
        let _ = write!(named, "{given}\n{}\n{owner}", context.job);
        format!("{:032x}", MessageKey::of(&named).0)
    }

    /// The options of the sink that writes them.
    fn sink_options(path: &str) -> Options {
        [("path", path), ("format", "json"), ("json.encode.ignore-null-fields", "true")].into_iter().collect()
    }
}

#[cfg(not(feature = "job"))]
mod directory {
    use headwater_core::Sink;

    use super::{JobContext, Reader, SourceError, SourceErrorKind};

    const MISSING: &str = "needs the feature `job` of the crate `headwater`";

    pub(super) fn check(_path: &str, reader: &mut Reader<'_>) {
        reader.wrong("deadLetterPath", MISSING);
    }

    #[expect(clippy::unused_async, reason = "as it is with the feature")]
    pub(super) async fn open(_: &str, _: &str, _: &JobContext) -> Result<Box<dyn Sink>, SourceError> {
        Err(SourceError::new(SourceErrorKind::Configuration, format!("`deadLetterPath` {MISSING}")))
    }
}
