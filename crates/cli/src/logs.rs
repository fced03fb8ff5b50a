//! Log lines on standard error: one line an event, as text for people or as JSON for machines, each with the job, queue
//! and checkpoint it belongs to. Message bodies never get here.

mod line;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use serde_json::Value;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use self::line::Line;
use crate::exit::Failure;

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// The log of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    format: LogFormat,
    shared: Arc<Mutex<Shared>>,
}

/// What every line carries, and what stands at the bottom of a terminal.
#[derive(Debug, Default)]
struct Shared {
    job: Option<String>,
    queue: Option<String>,
    checkpoint: Option<u64>,
    live: String,
}

impl Logs {
    /// Starts logging to standard error: what RUST_LOG admits, or else everything from `info` on.
    pub(crate) fn start(format: LogFormat) -> Self {
        let logs = Self { format, shared: Arc::default() };
        let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
        // Fails only where a subscriber is set already, and this is called once.
        let _ = tracing_subscriber::registry().with(filter).with(logs.clone()).try_init();
        logs
    }

    /// Says why the process ends.
    pub(crate) fn failure(&self, failure: &Failure) {
        match self.format {
            LogFormat::Text => self.put(&format!("error: {}\n", failure.text())),
            LogFormat::Json => {
                let mut line = Line::new("ERROR", env!("CARGO_BIN_NAME"));
                line.set("message", Value::from(failure.text()));
                line.set("exit", Value::from(failure.exit as u8));
                self.put_line(line);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        // Every change is a single assignment.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_line(&self, mut line: Line) {
        {
            let shared = self.lock();
            let label = |text: &Option<String>| text.as_deref().map(Value::from);
            line.set_missing("job", label(&shared.job));
            line.set_missing("queue", label(&shared.queue));
            line.set_missing("checkpoint", shared.checkpoint.map(Value::from));
        }
        let text = match self.format {
            LogFormat::Text => line.text(),
            LogFormat::Json => line.json(),
        };
        self.put(&text);
    }

    /// Writes whole lines above the live one.
    fn put(&self, lines: &str) {
        let shared = self.lock();
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{}{lines}{}", shared.erase(), shared.live);
    }
}

impl Shared {
    /// What removes the live line: back to the first column, erase to the end.
    fn erase(&self) -> &'static str {
        if self.live.is_empty() { "" } else { "\r\x1b[K" }
    }
}

/// The fields of a span, kept with it.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl<S> Layer<S> for Logs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line::new(metadata.level().as_str(), metadata.target());
        let mut own = Fields::default();
        event.record(&mut own);
        for (name, value) in own.0 {
            line.set(name, value);
        }
        // Nearest span first: what is said closer to the event holds.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                for (name, value) in fields.0.iter().rev() {
                    line.set_missing(name, Some(value.clone()));
                }
            }
        }
        self.put_line(line);
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.into()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut next = value.source();
        while let Some(cause) = next {
            text.push_str("; because: ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        self.0.push((field.name(), text.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}").into()));
    }
}
