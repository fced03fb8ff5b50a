//! [`MnsSource::builder`]: the same options as in SQL, as methods.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{
    Clock, JobContext, LineageMarker, MetadataColumn, OptionError, OptionErrors, Options, SourceError, SourceErrorKind,
    SourceRequest, SystemClock,
};
use headwater_formats::{Format, RowType};
use headwater_mns_client::Credentials;
use headwater_queue_source::{QueueSource, Rewind};

use super::config::MnsConfig;
use super::factory::MnsSourceFactory;

/// A source that reads Simple Message Queue (MNS): see [`builder`](Self::builder).
#[derive(Debug)]
pub struct MnsSource;

impl MnsSource {
    /// Starts a configuration. The result is a [`QueueSource`].
    ///
    /// ```no_run
    /// use headwater::{Credentials, Format, MnsSource, Source};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut source = MnsSource::builder()
    ///     .endpoint("http://123456789.mns.cn-hangzhou.aliyuncs.com")
    ///     .queue("orders")
    ///     .credentials(Credentials::from_env())
    ///     .schema("userId BIGINT, action STRING".parse()?)
    ///     .format(Format::json())
    ///     .build()
    ///     .await?;
    /// let event = source.next().await?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> MnsSourceBuilder {
        let mut options = Options::default();
        // Embedders want throughput, not parity with the SMQ connector's default of 1.
        options.insert("batchSize", "16");
        MnsSourceBuilder {
            options,
            schema: None,
            metadata: Vec::new(),
            credentials: None,
            clock: SystemClock::shared(),
            context: JobContext::new("embedded", Duration::from_secs(10)),
            rewind: Rewind::Undetected,
        }
    }
}

/// The configuration of an [`MnsSource`]. Nothing is checked before [`build`](Self::build).
#[derive(Debug)]
#[must_use]
pub struct MnsSourceBuilder {
    options: Options,
    schema: Option<RowType>,
    metadata: Vec<MetadataColumn>,
    credentials: Option<Credentials>,
    clock: Arc<dyn Clock>,
    context: JobContext,
    rewind: Rewind,
}

impl MnsSourceBuilder {
    /// The URL of the account's endpoint.
    pub fn endpoint(self, url: impl Into<String>) -> Self {
        self.option("endpoint", url)
    }

    /// The queue's name.
    pub fn queue(self, name: impl Into<String>) -> Self {
        self.option("queueName", name)
    }

    /// Whose requests they are. Without it, the environment's key.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The columns that come from bodies. [`RowType`] parses from DDL text and converts from an Arrow schema.
    pub fn schema(mut self, columns: RowType) -> Self {
        self.schema = Some(columns);
        self
    }

    /// A column that comes from the message around the body, after the body's columns.
    pub fn metadata(mut self, column: MetadataColumn) -> Self {
        self.metadata.push(column);
        self
    }

    /// The format of bodies, with its options.
    pub fn format(mut self, format: Format) -> Self {
        for (name, value) in format.given() {
            self.options.insert(name, value);
        }
        self.option("format", format.name())
    }

    /// Any option by the name it has in SQL ([`MNS_OPTIONS`](super::MNS_OPTIONS) and those of the format).
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name, value);
        self
    }

    /// The time between checkpoints while anything changes. 10 s by default.
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.context.checkpoint_interval = interval;
        self
    }

    /// A name for the source in metrics and logs.
    pub fn name(mut self, job: impl Into<String>) -> Self {
        self.context.job = job.into();
        self
    }

    /// A name for this chain of checkpoints, the same at every start, letters, digits and hyphens: it tells files of dead
    /// letters from those of others. Without it, the source's name and queue do.
    pub fn lineage(mut self, lineage: impl Into<String>) -> Self {
        self.context.lineage = lineage.into();
        self
    }

    /// A directory of this source's own, the same at every start. `commit` = `log` keeps its log there: until their checkpoint,
    /// messages live in it only, so it belongs to the state that is saved.
    pub fn state_directory(mut self, dir: impl Into<std::path::PathBuf>) -> Self {
        self.context.state_dir = Some(dir.into());
        self
    }

    /// Refuses a saved state that was set back: `kept` is the [`LineageMarker`] that was saved last, apart from the state, or
    /// `None` at the first start. Without this call a rewind is not detected, as [`Source::guarantee`](crate::Source::guarantee)
    /// says.
    pub fn lineage_marker(mut self, kept: Option<LineageMarker>) -> Self {
        self.rewind = Rewind::Marked(kept);
        self
    }

    /// Another clock, for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks everything and opens the queue. Nothing is received before the first `next`.
    ///
    /// # Errors
    /// [`SourceErrorKind::Configuration`] with all mistakes at once, each with its option's name; others when the queue
    /// cannot be used.
    pub async fn build(self) -> Result<QueueSource, SourceError> {
        let wrong = |errors: OptionErrors| SourceError::new(SourceErrorKind::Configuration, errors.to_string());
        let table = self.options.get("queueName").unwrap_or_default().to_owned();
        let missing_schema = self.schema.is_none();
        let request = SourceRequest {
            table,
            columns: self.schema.unwrap_or_default(),
            metadata: self.metadata,
            options: self.options,
            context: self.context,
        };
        let config = MnsConfig::of(&request);
        let mut config = match config {
            Ok(config) if !missing_schema => config,
            other => {
                let mut errors = other.err().map(|errors| errors.0).unwrap_or_default();
                if missing_schema {
                    errors.insert(0, OptionError::new("schema", "is required: the columns that come from bodies"));
                }
                return Err(wrong(OptionErrors(errors)));
            }
        };
        if self.credentials.is_some() {
            config.credentials = self.credentials;
        }
        config.source.rewind = self.rewind;
        MnsSourceFactory::with_clock(self.clock).open(config).await
    }
}
