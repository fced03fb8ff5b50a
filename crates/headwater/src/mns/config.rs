//! From options to a checked configuration: everything wrong at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_core::{JobContext, OptionError, OptionErrors, Options, QueueIdentity, SourceRequest, parse_duration};
use headwater_formats::{DecoderFactory, Format, FormatError, MessageEncoding, RowType};
use headwater_ledger::Limits;
use headwater_mns_client::{Credentials, Endpoint};
use headwater_queue_source::{LeasePolicy, Objective, SkippedByTime, SourceConfig};

use super::commit_log::CommitLog;
use super::dead::{BadData, Place};
use super::documents::read_documents;
use super::envelope::EnvelopeMode;
use super::options::{MNS_OPTIONS, MnsOption, OptionKind};

/// A checked configuration of one `mns` table.
#[derive(Clone, Debug)]
pub(crate) struct MnsConfig {
    pub(crate) endpoint: Endpoint,
    pub(crate) queue: String,
    /// Credentials given as options; the environment's otherwise.
    pub(crate) credentials: Option<Credentials>,
    pub(crate) source: SourceConfig,
    /// Whether bodies are compared with their MessageBodyMD5.
    pub(crate) verifies: bool,
    /// Where dead letters go.
    pub(super) dead_letters: Option<Place>,
    /// The log that messages are written to first.
    pub(crate) commit_log: Option<CommitLog>,
    pub(crate) context: JobContext,
    pub(crate) notices: Vec<String>,
}

impl MnsConfig {
    pub(crate) fn identity(&self) -> QueueIdentity {
        QueueIdentity { account: self.endpoint.account().unwrap_or_default().to_owned(), name: self.queue.clone() }
    }

    /// Checks the options of a request.
    pub(crate) fn of(request: &SourceRequest) -> Result<Self, OptionErrors> {
        let mut reader = Reader::new(&request.options);
        let endpoint = reader.required("endpoint").and_then(|url| reader.endpoint(&url));
        let queue = reader.required("queueName").and_then(|name| reader.queue_name("queueName", &name));
        reader.region(endpoint.as_ref());
        let credentials = reader.credentials();
        let decoder = reader.decoder(&request.columns);
        let mut settings = Settings::default();
        reader.settings(request, &mut settings);
        match (endpoint, queue, decoder) {
            (Some(endpoint), Some(queue), Some(decoder)) if reader.errors.is_empty() => {
                let dead_letters = settings.bad_data.place.take();
                reader.notices.extend(dead_letters.as_ref().map(Place::sentence));
                let (commit_log, verifies) = (settings.commit_log, settings.verifies);
                let source = settings.config(request, decoder);
                let (context, notices) = (request.context.clone(), reader.notices);
                Ok(Self { endpoint, queue, credentials, source, verifies, dead_letters, commit_log, context, notices })
            }
            _ => Err(OptionErrors(reader.errors)),
        }
    }
}

pub(super) struct Reader<'a> {
    options: &'a Options,
    format_options: BTreeMap<String, String>,
    errors: Vec<OptionError>,
    notices: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(options: &'a Options) -> Self {
        let mut reader = Self { options, format_options: BTreeMap::new(), errors: Vec::new(), notices: Vec::new() };
        for (name, value) in options.iter() {
            if Format::owns(name) {
                reader.format_options.insert(name.to_owned(), value.to_owned());
            } else if !MNS_OPTIONS.iter().any(|o| o.name == name) {
                reader.errors.push(OptionError::unknown(name, MNS_OPTIONS.iter().map(|o| o.name)));
            }
        }
        let unread = read_documents(&mut reader.format_options);
        reader.errors.extend(unread);
        reader
    }

    /// Notes a mistake.
    pub(super) fn wrong(&mut self, name: &str, problem: impl Into<String>) {
        self.errors.push(OptionError::new(name, problem));
    }

    fn spec(name: &str) -> Option<&'static MnsOption> {
        MNS_OPTIONS.iter().find(|o| o.name == name)
    }

    /// Notes something that the user should know.
    pub(super) fn notice(&mut self, notice: String) {
        self.notices.push(notice);
    }

    /// What was given, without the default.
    pub(super) fn given(&self, name: &str) -> Option<&'a str> {
        self.options.get(name)
    }

    /// What was given, or the default.
    fn text(&self, name: &str) -> Option<String> {
        self.options.get(name).map(str::to_owned).or_else(|| Self::spec(name)?.default.map(str::to_owned))
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let value = self.text(name).filter(|value| !value.trim().is_empty());
        if value.is_none() {
            self.wrong(name, "is required");
        }
        value
    }

    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        let Some(MnsOption { kind: kind @ OptionKind::Integer(min, max), .. }) = Self::spec(name) else { return None };
        match text.trim().parse::<i64>() {
            Ok(value) if (*min..=*max).contains(&value) => Some(value),
            _ => {
                self.wrong(name, format!("is `{text}`: it takes {}", kind.describe()));
                None
            }
        }
    }

    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        let Some(MnsOption { kind: kind @ OptionKind::Duration(min, max), .. }) = Self::spec(name) else { return None };
        match parse_duration(&text) {
            Ok(value) if (*min..=*max).contains(&value) => return Some(value),
            Ok(_) => self.wrong(name, format!("is `{text}`: it takes {}", kind.describe())),
            Err(problem) => self.wrong(name, format!("is `{text}`: {problem}")),
        }
        None
    }

    /// A share, from 0 to 1.
    pub(super) fn ratio(&mut self, name: &str) -> Option<f64> {
        let text = self.text(name)?;
        match text.trim().parse::<f64>() {
            Ok(value) if (0.0..=1.0).contains(&value) => Some(value),
            _ => {
                self.wrong(name, format!("is `{text}`: it takes {}", OptionKind::Ratio.describe()));
                None
            }
        }
    }

    /// One of a few words, as the table spells it.
    pub(super) fn word(&mut self, name: &str) -> &'static str {
        let Some(MnsOption { kind: OptionKind::OneOf(values), default, .. }) = Self::spec(name) else { return "" };
        let text = self.text(name).unwrap_or_default();
        if let Some(value) = values.iter().find(|value| value.eq_ignore_ascii_case(&text)) {
            return value;
        }
        self.wrong(name, format!("is `{text}`: it takes one of {}", values.join(", ")));
        default.unwrap_or_default()
    }

    fn endpoint(&mut self, url: &str) -> Option<Endpoint> {
        Endpoint::parse(url).map_err(|error| self.wrong("endpoint", error.to_string())).ok()
    }

    pub(super) fn queue_name(&mut self, option: &str, name: &str) -> Option<String> {
        // CreateQueue page: 1 to 120 characters, letters, digits and hyphens; older pages say 256.
        let fits = name.len() <= 256 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits {
            return Some(name.to_owned());
        }
        self.wrong(option, format!("is `{name}`: a queue's name has letters, digits and hyphens only"));
        None
    }

    fn region(&mut self, endpoint: Option<&Endpoint>) {
        let (Some(region), Some(endpoint)) = (self.options.get("region"), endpoint) else { return };
        if let Some(own) = endpoint.region().filter(|own| *own != region) {
            let notice = format!("`region` is {region}, but the endpoint is in {own}: the endpoint decides");
            self.notices.push(notice);
        }
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let given = |name| self.options.get(name).filter(|value| !value.is_empty());
        match (given("accessKeyId"), given("accessKeySecret"), given("securityToken")) {
            (Some(id), Some(secret), None) => Some(Credentials::key(id, secret)),
            (Some(id), Some(secret), Some(token)) => Some(Credentials::sts(id, secret, token)),
            (None, None, None) => None,
            (None, _, _) => {
                self.wrong(
                    "accessKeyId",
                    "is missing beside `accessKeySecret` or `securityToken`: give both, or neither",
                );
                None
            }
            (_, None, _) => {
                self.wrong("accessKeySecret", "is missing beside `accessKeyId`: give both, or neither");
                None
            }
        }
    }

    fn decoder(&mut self, columns: &RowType) -> Option<Arc<dyn DecoderFactory>> {
        let message_type = self.word("messageType");
        let oss_events = self.word("ossEvents");
        if message_type != "OSS" && self.options.get("ossEvents").is_some() {
            self.notices.push("`ossEvents` has no effect without `messageType` = `OSS`".into());
        }
        let format = self.required("format")?;
        if message_type == "OSS" {
            return self.oss_decoder(&format, oss_events, columns);
        }
        match Format::named(&*format).options(self.format_options.clone()).factory(columns) {
            Ok(decoder) => Some(decoder),
            Err(errors) => {
                self.errors.extend(errors.into_iter().map(|e| of_format(&e)));
                None
            }
        }
    }

    #[cfg(feature = "oss")]
    fn oss_decoder(&mut self, format: &str, events: &str, columns: &RowType) -> Option<Arc<dyn DecoderFactory>> {
        if format != "json" {
            self.wrong("format", format!("is `{format}`: OSS events are JSON, so `messageType` = `OSS` needs `json`"));
            return None;
        }
        let events = headwater_oss::OssEvents::named(events).unwrap_or_default();
        match headwater_oss::OssFactory::create(columns, &self.format_options, events) {
            Ok(decoder) => Some(decoder),
            Err(errors) => {
                self.errors.extend(errors.into_iter().map(|e| of_format(&e)));
                None
            }
        }
    }

    #[cfg(not(feature = "oss"))]
    fn oss_decoder(&mut self, _format: &str, _events: &str, _columns: &RowType) -> Option<Arc<dyn DecoderFactory>> {
        self.wrong("messageType", "`OSS` needs the feature `oss` of the crate `headwater`");
        None
    }

    /// Everything that does not depend on the format, so that its mistakes show even when the format has some.
    fn settings(&mut self, request: &SourceRequest, settings: &mut Settings) {
        settings.encoding = MessageEncoding::named(self.word("messageEncoding")).unwrap_or_default();
        settings.envelope = EnvelopeMode::named(self.word("envelope")).unwrap_or_default();
        self.envelope_notice(request, settings.envelope);
        settings.bad_data = BadData::read(self);
        if self.word("startTimeSkipped") == "leave" {
            settings.skipped_by_time = SkippedByTime::Leave;
        }
        settings.lease_policy = LeasePolicy::named(self.word("leasePolicy")).unwrap_or_default();
        settings.declared_lease = self.duration("visibilityTimeout");
        settings.start_time = self.integer("startTimeMs");
        settings.wait = self.duration("pollingWaitTime");
        settings.pollers = self.number("pollers");
        settings.objective = Objective::named(self.word("objective")).unwrap_or_default();
        settings.commit_log = CommitLog::read(self);
        settings.verifies = self.word("verifyBodyMd5") == "true";
        self.limits(request, settings);
    }

    fn envelope_notice(&mut self, request: &SourceRequest, mode: EnvelopeMode) {
        if mode != EnvelopeMode::Auto {
            return;
        }
        if let Some(column) = EnvelopeMode::envelope_column(&request.columns) {
            let notice = format!(
                "the column `{column}` is a field of a topic's envelope, so envelopes are left as they are: set `envelope` \
                 to none to say so, or to topic-xml or topic-json to read the messages in them"
            );
            self.notices.push(notice);
        } else if request.columns.index_of("Message").is_some() {
            let notice = "the column `Message` is read from the message in a topic's envelope, not from the envelope: if it is \
                          the envelope's own field, set `envelope` to none";
            self.notices.push(notice.into());
        }
    }

    pub(super) fn number(&mut self, name: &str) -> Option<u32> {
        self.integer(name).and_then(|n| u32::try_from(n).ok())
    }

    fn limits(&mut self, request: &SourceRequest, settings: &mut Settings) {
        let limits = &mut settings.limits;
        limits.checkpoint_interval = request.context.checkpoint_interval;
        limits.batch_max = self.number("batchSize").unwrap_or(limits.batch_max);
        limits.delete_max_retries = self.number("deleteMaxRetries").unwrap_or(limits.delete_max_retries);
        limits.undeleted_max = self.number("undeletedMax").unwrap_or(limits.undeleted_max);
        limits.ledger_max_ids = self.number("ledgerMaxIds").unwrap_or(limits.ledger_max_ids);
        let checkpoint_max = self.number("checkpointMaxMessages");
        limits.checkpoint_max_messages = checkpoint_max.unwrap_or_else(|| limits.undeleted_max.div_ceil(2));
        if let Some(log) = settings.commit_log {
            log.limit(limits, checkpoint_max);
        }
        let bytes = self.integer("checkpointMaxBytes").and_then(|n| u64::try_from(n).ok());
        limits.checkpoint_max_bytes = bytes.unwrap_or(limits.checkpoint_max_bytes);
        limits.bytes_max = limits.checkpoint_max_bytes.saturating_mul(2).max(1 << 20);
        if let Err(errors) = limits.check() {
            self.errors.extend(errors.into_iter().map(|e| OptionError::new(e.option, e.problem)));
        }
        if limits.batch_max == 1 {
            let notice = "`batchSize` is 1, the SMQ connector's default: 16 would save 15 of 16 billed receive calls";
            self.notices.push(notice.into());
        }
        self.notices.extend(settings.pollers.and_then(|pollers| crowded(pollers, limits)));
    }
}

/// What to say of pollers that would wait for each other: a receive begins under permits for all that it may bring.
fn crowded(pollers: u32, limits: &Limits) -> Option<String> {
    let (batch, most) = (limits.batch_max, limits.undeleted_max);
    let all = u64::from(pollers) * u64::from(batch);
    (all > u64::from(most)).then(|| {
        format!(
            "`pollers` × `batchSize` is {pollers} × {batch} = {all}, and `undeletedMax` is {most}: receives on their way would take each \
             other's permits, so that fewer run, or ask for less. Use {} or fewer `pollers`, or an `undeletedMax` of more than {all}",
            (most / batch).max(1)
        )
    })
}

/// A format's mistake under the option it is about, so that whoever knows the option's place can point at it.
fn of_format(error: &FormatError) -> OptionError {
    let option = match error {
        FormatError::UnknownOption { option, .. }
        | FormatError::OtherFormat { option, .. }
        | FormatError::BadValue { option, .. }
        | FormatError::Conflict { first: option, .. } => option,
        _ => "format",
    };
    OptionError::new(option, format!("is refused: {error}"))
}

/// The options of the source itself.
#[derive(Default)]
struct Settings {
    encoding: MessageEncoding,
    envelope: EnvelopeMode,
    bad_data: BadData,
    skipped_by_time: SkippedByTime,
    lease_policy: LeasePolicy,
    declared_lease: Option<Duration>,
    start_time: Option<i64>,
    wait: Option<Duration>,
    pollers: Option<u32>,
    objective: Objective,
    commit_log: Option<CommitLog>,
    verifies: bool,
    limits: Limits,
}

impl Settings {
    fn config(self, request: &SourceRequest, decoder: Arc<dyn DecoderFactory>) -> SourceConfig {
        let mut config = SourceConfig::new(&request.table, decoder);
        config.job.clone_from(&request.context.job);
        config.metadata.clone_from(&request.metadata);
        config.earlier_run = request.context.earlier_run;
        config.accept_loss = request.context.accept_loss;
        config.encoding = self.encoding;
        config.envelope = self.envelope.opener(self.encoding, &request.columns);
        self.bad_data.apply(&mut config);
        config.skipped_by_time = self.skipped_by_time;
        config.lease_policy = self.lease_policy;
        config.declared_lease = self.declared_lease;
        config.start_time = self.start_time;
        let wait = self.wait.unwrap_or(config.wait);
        config.wait = request.context.max_poll_wait.map_or(wait, |max| wait.min(max));
        config.pollers = self.pollers.map_or(config.pollers, |n| n as usize);
        config.objective = self.objective;
        config.limits = self.limits;
        config
    }
}
