//! `headwater infer`: from sample bodies to a `CREATE TABLE` statement.

use std::fmt::Write as _;
use std::path::PathBuf;

use headwater_formats::MessageEncoding;
use headwater_formats::infer::{Hints, InferError, Inferred, infer};

use crate::args::InferArgs;
use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::{self, Stop};

/// The largest body read: what the formats take at most.
const BODY_MAX: u64 = 16 << 20;

/// All samples together: they are held at once, and more tell little that is new.
const SAMPLES_MAX: usize = 256 << 20;

/// A body, and where it came from.
pub(crate) struct Sample {
    pub(crate) input: String,
    pub(crate) body: Vec<u8>,
}

/// Prints the statement; what was decided goes to the log.
pub(crate) async fn run(args: InferArgs) -> Result<Exit, Stop> {
    let samples = samples(&args.files).await?;
    let mut hints = Hints::default();
    if let Some(format) = &args.format {
        hints = hints.with_format(format);
    }
    if args.header {
        hints = hints.with_header();
    }
    let table = table(&samples, hints)?;
    for note in &table.notes {
        tracing::info!("{note}");
    }
    output::line(&statement(&args.name, &table))?;
    Ok(Exit::Done)
}

/// The bodies of files, or the lines of standard input where there are none.
pub(crate) async fn samples(files: &[PathBuf]) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    let mut bytes = 0;
    let mut add = |input: String, body: Vec<u8>| {
        bytes += body.len();
        if bytes > SAMPLES_MAX {
            let text = format!("the samples are over {} MiB together: give fewer of them", SAMPLES_MAX >> 20);
            return Err(Failure::new(Exit::Usage, text));
        }
        samples.push(Sample { input, body });
        Ok(())
    };
    for path in files {
        add(path.display().to_string(), input::read_bytes(path, BODY_MAX)?)?;
    }
    if files.is_empty() {
        let mut lines = input::lines_of_stdin(BODY_MAX);
        while let Some(line) = lines.recv().await {
            let line = line?;
            add(format!("line {}", line.number), line.bytes)?;
        }
    }
    Ok(samples)
}

/// The table that samples suggest.
pub(crate) fn table(samples: &[Sample], hints: Hints<'_>) -> Result<Inferred, Failure> {
    let bodies: Vec<&[u8]> = samples.iter().map(|sample| &*sample.body).collect();
    infer(&bodies, hints).map_err(|error| match &error {
        InferError::Sample { number, reason } => {
            let input = samples.get(number - 1).map_or("a sample", |sample| &sample.input);
            Failure::new(Exit::BadData, format!("{input}: {reason}"))
        }
        InferError::NoSample | InferError::NoSchema(_) => Failure::of(Exit::BadData, &error),
        _ => Failure::of(Exit::Usage, &error),
    })
}

/// The statement that makes a table of this name. Where the queue lies is left to be filled in.
pub(crate) fn statement(name: &str, table: &Inferred) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut text = format!("CREATE TABLE `{}` (", name.replace('`', "``"));
    for (i, field) in table.columns.fields().iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}\n    `{}` {}", field.name.replace('`', "``"), field.data_type);
    }
    text.push_str("\n) WITH (\n    'connector' = 'mns',\n    'endpoint' = 'http://ACCOUNT.mns.REGION.aliyuncs.com',");
    let _ = write!(text, "\n    'queueName' = {},\n    'format' = {}", quoted(name), quoted(table.format));
    if table.encoding != MessageEncoding::default() {
        let _ = write!(text, ",\n    'messageEncoding' = {}", quoted(table.encoding.name()));
    }
    for (key, value) in &table.options {
        let _ = write!(text, ",\n    {} = {}", quoted(key), quoted(value));
    }
    text.push_str("\n);");
    text
}
