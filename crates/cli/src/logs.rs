//! Log lines on standard error: one line an event, as text for people or as JSON for machines, each with the job, queue
//! and checkpoint it belongs to. Message bodies never get here.

mod hidden;
mod line;

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use headwater::job::sinks::print::PrintFactory;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use self::hidden::Hidden;
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
    hidden: Hidden,
}

impl Logs {
    /// Starts logging to standard error: what RUST_LOG admits, or else everything from `level` on.
    pub(crate) fn start(format: LogFormat, level: Level) -> Self {
        let logs = Self { format, shared: Arc::default() };
        let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
        // Fails only where a subscriber is set already, and this is called once.
        let _ = tracing_subscriber::registry().with(filter).with(logs.clone()).try_init();
        logs
    }

    /// Every line from here on belongs to this job, and to this queue where the job reads only one.
    pub(crate) fn belong_to(&self, job: &str, queue: Option<&str>) {
        let mut shared = self.lock();
        shared.job = Some(job.to_owned());
        shared.queue = queue.map(str::to_owned);
    }

    /// No line from here on shows this text, whatever it quotes.
    pub(crate) fn hide(&self, secret: &str) {
        self.lock().hidden.add(secret);
    }

    /// Reports panics as lines, so that they too show no secret. The thread's own end is not changed.
    pub(crate) fn report_panics(&self) {
        let logs = self.clone();
        std::panic::set_hook(Box::new(move |panic| logs.put(&format!("{panic}\n"))));
    }

    /// Lines from here on carry this checkpoint, unless they name another.
    pub(crate) fn checkpoint(&self, id: u64) {
        self.lock().checkpoint = Some(id);
    }

    /// Whether lines are for people.
    pub(crate) fn is_text(&self) -> bool {
        self.format == LogFormat::Text
    }

    /// Shows `text` at the bottom of the terminal, in place of what stood there; empty removes it.
    pub(crate) fn live(&self, text: &str) {
        let mut shared = self.lock();
        let mut err = io::stderr().lock();
        // Nobody can be told that standard error is closed.
        let _ = write!(err, "{}{text}", shared.erase()).and_then(|()| err.flush());
        text.clone_into(&mut shared.live);
    }

    /// The `print` connector on standard output, clear of the live line.
    pub(crate) fn print_factory(&self) -> PrintFactory {
        PrintFactory::new(Rows(self.clone()), io::stderr())
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
        let mut err = io::stderr().lock();
        let _ = write!(err, "{}{}{}", shared.erase(), shared.hidden.hide(lines), shared.live);
    }
}

impl Shared {
    /// What removes the live line: back to the first column, erase to the end.
    fn erase(&self) -> &'static str {
        if self.live.is_empty() { "" } else { "\r\x1b[K" }
    }
}

/// Standard output for rows. Where it and the live line share a terminal, rows go above the line.
struct Rows(Logs);

impl Write for Rows {
    fn write(&mut self, rows: &[u8]) -> io::Result<usize> {
        if io::stdout().is_terminal() {
            let shared = self.0.lock();
            let mut err = io::stderr().lock();
            let _ = write!(err, "{}", shared.erase()).and_then(|()| err.flush());
            let written = io::stdout().write(rows).and_then(|n| io::stdout().flush().map(|()| n));
            let _ = write!(err, "{}", shared.live).and_then(|()| err.flush());
            return written;
        }
        // Not under the lock: a reader that is slow must not hold up log lines.
        io::stdout().write(rows)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
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
