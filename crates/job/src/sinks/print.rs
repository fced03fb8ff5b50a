//! `print`: a line per row, at once.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use headwater_core::{
    CheckpointId, Committable, Delivery, OptionErrors, Sink, SinkCheck, SinkError, SinkFactory, SinkRequest,
};
use headwater_formats::RowType;
use headwater_formats::json::JsonEncoder;

use super::options::Reading;
use super::{SinkOption, check_not_null, json};

/// The options of the connector.
pub const OPTIONS: &[SinkOption] = &[
    SinkOption::new(
        "print-identifier",
        "text",
        None,
        "Stands before each line, followed by `> `. Lines are no JSON then.",
    ),
    SinkOption::new("standard-error", "true or false", Some("false"), "Prints to standard error."),
];

/// Where lines go. Several sinks may share one: each call writes whole lines.
pub type Output = Arc<Mutex<Box<dyn Write + Send>>>;

/// Makes `print` sinks.
#[derive(Clone)]
pub struct PrintFactory {
    output: Output,
    error: Output,
}

impl fmt::Debug for PrintFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrintFactory")
    }
}

impl Default for PrintFactory {
    fn default() -> Self {
        Self::new(io::stdout(), io::stderr())
    }
}

impl PrintFactory {
    /// A factory whose sinks print to these in place of the standard ones.
    #[must_use]
    pub fn new(output: impl Write + Send + 'static, error: impl Write + Send + 'static) -> Self {
        Self { output: Arc::new(Mutex::new(Box::new(output))), error: Arc::new(Mutex::new(Box::new(error))) }
    }
}

#[async_trait]
impl SinkFactory for PrintFactory {
    fn connector(&self) -> &'static str {
        "print"
    }

    fn check(&self, request: &SinkRequest) -> Result<SinkCheck, OptionErrors> {
        read(request)?;
        let guarantee = format!(
            "`{}` is at-least-once: a row is shown at once, and after a crash those of the last {:?} may be shown again",
            request.table, request.context.checkpoint_interval
        );
        Ok(SinkCheck { delivery: Delivery::AtLeastOnce, guarantee, notices: Vec::new() })
    }

    async fn create(&self, request: &SinkRequest) -> Result<Box<dyn Sink>, SinkError> {
        let config = read(request).map_err(|errors| SinkError::new(errors.to_string()))?;
        let output = if config.to_stderr { &self.error } else { &self.output };
        Ok(Box::new(Print {
            table: request.table.clone(),
            columns: request.columns.clone(),
            encoder: config.encoder,
            prefix: config.prefix,
            output: Arc::clone(output),
        }))
    }
}

struct Config {
    encoder: JsonEncoder,
    prefix: Vec<u8>,
    to_stderr: bool,
}

fn read(request: &SinkRequest) -> Result<Config, OptionErrors> {
    let mut reading = Reading::new(&request.options);
    reading.known(&[OPTIONS]);
    super::refuse_partitions(&mut reading, request);
    let to_stderr = reading.boolean("standard-error", false);
    let prefix = reading.get("print-identifier").filter(|text| !text.is_empty()).map(|text| format!("{text}> "));
    match json::plain(&request.columns) {
        Ok(encoder) => {
            reading.finish()?;
            Ok(Config { encoder, prefix: prefix.unwrap_or_default().into_bytes(), to_stderr })
        }
        Err(errors) => {
            for error in errors {
                reading.wrong("columns", format!("cannot all be printed: {error}"));
            }
            Err(reading.into_errors())
        }
    }
}

struct Print {
    table: String,
    columns: RowType,
    encoder: JsonEncoder,
    prefix: Vec<u8>,
    output: Output,
}

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Print").field("table", &self.table).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for Print {
    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    async fn recover(&mut self, pending: &[Committable]) -> Result<(), SinkError> {
        super::refuse_pending(&self.table, "print", pending)
    }

    /// Writes in place, so a reader that does not read holds up the job, as it should. Sources work on in their own tasks
    /// as long as the runtime has another thread.
    async fn write(&mut self, records: &RecordBatch) -> Result<(), SinkError> {
        check_not_null(&self.table, &self.columns, records)?;
        let mut lines = Vec::new();
        if self.prefix.is_empty() {
            json::encode(&self.encoder, records, &mut lines)?;
        } else {
            let broken = |error| SinkError::new("rows cannot be written as JSON").with_source(error);
            let rows = self.encoder.rows(records).map_err(broken)?;
            for row in 0..rows.len() {
                lines.extend_from_slice(&self.prefix);
                rows.encode(row, &mut lines);
                lines.push(b'\n');
            }
        }
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(&lines).and_then(|()| output.flush()).map_err(|error| {
            let text = if error.kind() == io::ErrorKind::BrokenPipe {
                "nobody reads what is printed any more: its reader has ended"
            } else {
                "rows cannot be printed: check where the output goes"
            };
            SinkError::new(format!("table `{}`: {text}", self.table)).with_source(error)
        })
    }

    async fn pre_commit(&mut self, _id: CheckpointId) -> Result<Option<Committable>, SinkError> {
        Ok(None)
    }

    async fn commit(&mut self, committable: &Committable) -> Result<(), SinkError> {
        super::refuse_pending(&self.table, "print", std::slice::from_ref(committable))
    }

    async fn close(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
