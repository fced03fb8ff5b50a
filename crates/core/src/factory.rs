//! How an engine gets sources and sinks by connector name and options, without knowing any of them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use headwater_formats::{DataType, RowType};

use crate::delivery::Delivery;
use crate::options::{OptionErrors, Options};
use crate::sink::Sink;
use crate::source::{Source, SourceError};

/// Makes the sources of one connector.
#[async_trait]
pub trait SourceFactory: Send + Sync + fmt::Debug {
    /// The connector's name, as in `'connector' = 'mns'`.
    fn connector(&self) -> &'static str;

    /// Checks a request without any I/O.
    ///
    /// # Errors
    /// Everything wrong with it, at once.
    fn check(&self, request: &SourceRequest) -> Result<SourceCheck, OptionErrors>;

    /// Makes the source. May talk to the queue to learn its attributes.
    ///
    /// # Errors
    /// What the check would say, or why the queue cannot be used.
    async fn create(&self, request: &SourceRequest) -> Result<Box<dyn Source>, SourceError>;
}

/// A table to read from. The source's schema is the physical columns followed by the metadata columns, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRequest {
    /// The table's name, for messages and metrics.
    pub table: String,
    /// The columns that come from message bodies.
    pub columns: RowType,
    /// The columns that come from the messages around them.
    pub metadata: Vec<MetadataColumn>,
    /// The options, without `connector`.
    pub options: Options,
    /// Job-wide settings that a source needs to know.
    pub context: JobContext,
}

/// What a source or sink needs to know of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobContext {
    /// The job's name, a label of its metrics.
    pub job: String,
    /// The time between checkpoints.
    pub checkpoint_interval: std::time::Duration,
    /// The longest a poll may wait, so that idleness is noticed in time; `None` for the option's own value.
    pub max_poll_wait: Option<std::time::Duration>,
    /// How the run before ended, which tells whether its leases may still be running.
    pub earlier_run: EarlierRun,
    /// The job's lineage, part of the names of what a source makes itself (files of dead letters); letters, digits and
    /// hyphens. Empty when only checking, or where there is no store: then the names are made of the job's name.
    pub lineage: String,
    /// The directory that the job keeps its state in: a source that keeps files of its own has them there. `None` when only
    /// checking, or where there is no such directory.
    pub state_dir: Option<std::path::PathBuf>,
    /// Go on where what a source keeps itself does not go with the saved state, as far as that is possible.
    pub accept_loss: bool,
}

/// How the run before on the same state ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlierRun {
    /// Nobody noted it. If a state is restored, messages may still be leased to whoever saved it.
    #[default]
    Unknown,
    /// It ended with nothing received and not deleted, or there was none.
    Clean,
    /// It may have held messages: they come back at the end of their leases.
    Unclean,
}

impl JobContext {
    /// A context with a name and an interval.
    #[must_use]
    pub fn new(job: impl Into<String>, checkpoint_interval: std::time::Duration) -> Self {
        Self {
            job: job.into(),
            checkpoint_interval,
            max_poll_wait: None,
            earlier_run: EarlierRun::Unknown,
            lineage: String::new(),
            state_dir: None,
            accept_loss: false,
        }
    }
}

/// A column filled from a message's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataColumn {
    /// The column's name.
    pub name: String,
    /// The metadata key (`message-id` …).
    pub key: String,
    /// The declared type.
    pub data_type: DataType,
}

/// What a checked request amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCheck {
    /// Whose state it will be: two tables of one job must not share it.
    pub identity: String,
    /// What it can promise.
    pub delivery: Delivery,
    /// What the user should know, each in a sentence: options without effect, calls that could be saved.
    pub notices: Vec<String>,
}

/// Makes the sinks of one connector.
#[async_trait]
pub trait SinkFactory: Send + Sync + fmt::Debug {
    /// The connector's name, as in `'connector' = 'print'`.
    fn connector(&self) -> &'static str;

    /// Checks a request without any I/O.
    ///
    /// # Errors
    /// Everything wrong with it, at once.
    fn check(&self, request: &SinkRequest) -> Result<SinkCheck, OptionErrors>;

    /// Makes the sink.
    ///
    /// # Errors
    /// Why its destination cannot be used.
    async fn create(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, crate::sink::SinkError>;
}

/// A table to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkRequest {
    /// The table's name, by which the list of pending commits knows it; a sink may name what it makes by it too.
    pub table: String,
    /// Its columns.
    pub columns: RowType,
    /// The columns it is partitioned by, as declared.
    pub partitioned_by: Vec<String>,
    /// The options, without `connector`.
    pub options: Options,
    /// Job-wide settings.
    pub context: JobContext,
    /// The job's lineage, part of the names of what the sink makes; empty when only checking.
    pub lineage: String,
}

/// What a checked request amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkCheck {
    /// What it promises across a crash.
    pub delivery: Delivery,
    /// One sentence on it.
    pub guarantee: String,
    /// What the user should know.
    pub notices: Vec<String>,
}

/// The connectors an engine may use.
#[derive(Clone, Debug, Default)]
pub struct Connectors {
    /// For tables that are read.
    pub sources: Vec<Arc<dyn SourceFactory>>,
    /// For tables that are written.
    pub sinks: Vec<Arc<dyn SinkFactory>>,
}

impl Connectors {
    /// The source connector of that name.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Arc<dyn SourceFactory>> {
        self.sources.iter().find(|factory| factory.connector() == name)
    }

    /// The sink connector of that name.
    #[must_use]
    pub fn sink(&self, name: &str) -> Option<&Arc<dyn SinkFactory>> {
        self.sinks.iter().find(|factory| factory.connector() == name)
    }
}
