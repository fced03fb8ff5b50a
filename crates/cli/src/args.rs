//! The command line: what can be said, and the help that says it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use headwater_core::parse_duration;

use crate::connect::{ConnectArgs, Hidden};
use crate::connectors::options_help;
use crate::exit;
use crate::logs::LogFormat;
use crate::secrets::Definition;
use crate::server::{QueueSpec, queue_spec};

const ABOUT: &str = "Where a stream begins: a cloud message queue as exactly-once rows";

const LOGS: &str = "\
Logs go to standard error; RUST_LOG chooses what (default: info), for example RUST_LOG=headwater=debug.
Rows and machine-readable answers go to standard output.";

/// `headwater`
#[derive(Parser, Debug)]
#[command(name = "headwater", version, about = ABOUT, after_help = format!("{}\n\n{LOGS}", exit::HELP))]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 120)]
pub(crate) struct Cli {
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Run(RunArgs),
    Demo(DemoArgs),
    Server(ServerArgs),
    Decode(DecodeArgs),
    Infer(InferArgs),
    Send(SendArgs),
    Peek(PeekArgs),
    Doctor(DoctorArgs),
}

const RUN_EXAMPLES: &str = "\
Examples:
  headwater run uploads.sql --secrets keys.txt
  headwater run uploads.sql -D queue=uploads-test --until-idle 5s
  headwater run uploads.sql --dry-run

A job is a script of CREATE TABLE, CREATE VIEW, SET and INSERT INTO … SELECT statements as Flink has them:
  CREATE TABLE events (`userId` BIGINT, `action` STRING) WITH (
      'connector' = 'mns', 'endpoint' = '…', 'queueName' = '${queue}', 'format' = 'json',
      'accessKeyId' = '${secret_values.ak_id}', 'accessKeySecret' = '${secret_values.ak_secret}');
  CREATE TABLE out (`userId` BIGINT) WITH ('connector' = 'filesystem', 'path' = '/data/out', 'format' = 'json');
  INSERT INTO out SELECT userId FROM events WHERE action = 'buy';

${name} in an option is replaced by -D, else by the environment; ${secret_values.name} by the line name=value of the
secrets file, else by the environment. The settings pipeline.name, execution.checkpointing.interval,
table.local-time-zone and delivery have an effect; the command line wins.

SIGINT or SIGTERM ends the job in order: what was received is written, checkpointed and deleted, the rest is made visible
again, within --drain-timeout. A second one ends it at once; nothing is lost, and rows that were not committed come again.";

/// Run an SQL script as a job: exactly once from queue to sink
///
/// --help lists the options of all connectors and formats.
#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES, after_long_help = run_long_help())]
pub(crate) struct RunArgs {
    /// The script
    #[arg(value_name = "JOB.sql")]
    pub(crate) job: PathBuf,

    /// Where checkpoints are kept; by default .headwater/<job name>, the name being pipeline.name or the script's
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// The time between checkpoints; by default the script's, or 10s
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub(crate) checkpoint_interval: Option<Duration>,

    /// End once nothing has come for so long and nothing is left to do
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub(crate) until_idle: Option<Duration>,

    /// How long the end may take after a first signal
    ///
    /// Polls may run out for half of it, the last checkpoint may take until three quarters of it are over, the rest is for
    /// deletes and for making visible again what is not committed. The default fits the 30 s that Kubernetes gives a pod.
    /// With a pollingWaitTime above half of it polls may be cut: what the queue gives them then comes back a lease later.
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = some_time)]
    pub(crate) drain_timeout: Duration,

    /// The value of ${NAME} in the script; repeatable
    // Checked later: an error of the argument parser would show the value, which may be a secret in the wrong place.
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    pub(crate) define: Vec<Definition>,

    /// Lines of name=value for ${secret_values.name}; refused when others can read it
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,

    /// Serve Prometheus metrics on /metrics and the job's health on /health
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Parse, plan, check and say the guarantee; receive nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Go on from a state that is refused, although rows may then be lost or repeated
    ///
    /// For one start, after reading why it was refused. A copied directory: the copy is used. A missing or damaged file: the
    /// newest checkpoint that is whole is used, or none; rows delivered after it are repeated if their messages are still in
    /// the queue. A sink that is gone: what is staged for it is given up. Another queue: what is known of it is forgotten.
    /// It never helps while another process uses the state, nor with a state that a later release wrote.
    #[arg(long)]
    pub(crate) accept_loss: bool,
}

fn run_long_help() -> String {
    format!("{RUN_EXAMPLES}\n\n{}\n{}", options_help(), exit::HELP)
}

fn some_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("longer than 0 is needed".into()),
        duration => Ok(duration),
    }
}

/// Watch the main job on a local server: OSS upload events become rows, exactly once
///
/// Starts the embedded server, publishes invented events, runs the SQL job of the SMQ connector's documentation on them,
/// and checks what came out. Needs no account and no network, writes only to a temporary directory, ends by itself; exit
/// code 1 if what it promises did not hold.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {}

const SERVER_EXAMPLES: &str = "\
Examples:
  headwater server --queue orders
  headwater server --listen 127.0.0.1:8080 --queue orders,VisibilityTimeout=5,PollingWaitSeconds=10
  headwater server --queue orders --latency 20ms --faults faults.json

Settings of a queue: DelaySeconds, MaximumMessageSize, MessageRetentionPeriod, VisibilityTimeout,
PollingWaitSeconds, LoggingEnabled. Queues can also be made through the API.

A faults file is JSON; what it leaves out does not happen. Some of its knobs:
  {\"seed\": 7,
   \"loseAnswer\": {\"BatchDeleteMessage\": 0.1},
   \"internalError\": {\"count\": 2},
   \"duplicate\": 0.01,
   \"shortLease\": {\"dose\": 0.05, \"millis\": 500},
   \"deny\": [\"GetQueueAttributes\"]}";

/// Run a local MNS-compatible server that forgets everything when it ends
///
/// Official Alibaba Cloud SDKs work against it unmodified. The first line on standard output is its base URL, printed
/// once it accepts connections. SIGINT or SIGTERM end it.
#[derive(Args, Debug)]
#[command(after_help = SERVER_EXAMPLES)]
pub(crate) struct ServerArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// A queue to start with, and how it is set; repeatable
    #[arg(long = "queue", value_name = "NAME[,SETTING=VALUE…]", value_parser = queue_spec)]
    pub(crate) queues: Vec<QueueSpec>,

    /// The access key's id that is accepted
    #[arg(long, value_name = "ID", default_value = "testid")]
    pub(crate) access_key_id: String,

    /// Its secret
    #[arg(long, value_name = "SECRET", default_value = "testsecret")]
    pub(crate) access_key_secret: Hidden,

    /// Accept everybody, signed or not
    #[arg(long, conflicts_with_all = ["access_key_id", "access_key_secret"])]
    pub(crate) no_auth: bool,

    /// How long each request travels before it has its effect
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) latency: Option<Duration>,

    /// What is to go wrong, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
}

const DECODE_EXAMPLES: &str = "\
Examples:
  echo '{\"id\": \"7\", \"at\": \"2024-03-10 12:34:56\"}' |
    headwater decode --table \"CREATE TABLE t (id BIGINT, at TIMESTAMP(3)) WITH ('format' = 'json')\"
  headwater decode --table @schema.sql body1.json body2.json

Rows are written as the connector `print` writes them. An error names the row, the byte and the column, and shows what
stands there; `suggestions` are changes of the table with which the body decodes. Exit code 5 if there was any error.";

/// Try a table definition on message bodies, without a queue
///
/// Prints one JSON line for each body: its rows, and what is wrong with it. Of the table's options, `format`, the
/// format's own, `messageEncoding`, `envelope`, `messageType` and `ossEvents` are used.
#[derive(Args, Debug)]
#[command(after_help = DECODE_EXAMPLES)]
pub(crate) struct DecodeArgs {
    /// The statement, or @FILE that holds it
    #[arg(long, value_name = "CREATE TABLE …", required_unless_present_any = ["cases", "infer"])]
    pub(crate) table: Option<String>,

    /// Files that are one body each; without any, each line of standard input is one
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Answer every case of a cases.json with one JSON object, id to rows, error or unsupported
    #[arg(long, value_name = "FILE", conflicts_with_all = ["table", "files", "infer"])]
    pub(crate) cases: Option<PathBuf>,

    /// Decode with the table that the bodies themselves suggest, as `headwater infer` finds it
    #[arg(long, conflicts_with = "table")]
    pub(crate) infer: bool,
}

const INFER_EXAMPLES: &str = "\
Examples:
  headwater peek --endpoint $URL --queue orders --base64 | jq -r .body | headwater infer --name orders
  headwater infer upload.avro
  headwater infer --format csv --header people.csv

Knows JSON, CSV, Avro container files, Parquet and ORC, in base64 or not. What no sample holds the table cannot know: read the statement
before you use it.";

/// Find a table for sample bodies, and print its CREATE TABLE
///
/// Every sample decodes with it. What the samples leave open, and what was decided, is said on standard error.
#[derive(Args, Debug)]
#[command(after_help = INFER_EXAMPLES)]
pub(crate) struct InferArgs {
    /// Files that are one body each; without any, each line of standard input is one
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// The format, instead of a guess
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// The first line of the first body names the columns (csv)
    #[arg(long)]
    pub(crate) header: bool,

    /// The name of the table, and of the queue until you write another
    #[arg(long, value_name = "NAME", default_value = "messages")]
    pub(crate) name: String,
}

const SEND_EXAMPLES: &str = "\
Examples:
  headwater send --endpoint $URL --queue orders '{\"userId\": 1}' '{\"userId\": 2}'
  headwater send --endpoint $URL --queue orders --file upload.avro --base64
  jq -c .[] orders.json | headwater send --endpoint $URL --queue orders

A request that got no answer may have been carried out all the same; the error says so, and it is not repeated.";

/// Put messages into a queue
///
/// Prints one JSON line for each message, in order: its id, or why the service refused it.
#[derive(Args, Debug)]
#[command(after_help = SEND_EXAMPLES)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// The bodies; without any, and without --file, each line of standard input is one
    #[arg(value_name = "BODY")]
    pub(crate) bodies: Vec<String>,

    /// A file that is one body; repeatable
    #[arg(long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Encode bodies with base64, as most SDKs do
    #[arg(long)]
    pub(crate) base64: bool,

    /// How long messages stay invisible, in whole seconds
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) delay: Option<Duration>,

    /// 1 (first) to 16
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) priority: Option<u32>,

    /// Send each body so many times
    #[arg(long, value_name = "TIMES", default_value = "1", value_parser = times)]
    pub(crate) repeat: usize,

    /// Make the queue first, if it is not there
    #[arg(long)]
    pub(crate) create: bool,
}

fn times(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number from 1 on".to_owned())
}

/// Look at messages without leasing them
///
/// Prints one JSON line for each visible message, at most 16: MNS shows no more, and always the next ones.
#[derive(Args, Debug)]
pub(crate) struct PeekArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value = "16", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) max: u32,

    /// Show bodies that are base64 of text as that text
    #[arg(long)]
    pub(crate) base64: bool,
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  headwater doctor --endpoint $URL --queue orders
  headwater doctor --endpoint $URL --queue orders --checkpoint-interval 1min | jq .checks

Outcomes of a check: ok; warning, a job runs with less than it could; failed, a job does not run; unknown. The exit code is
that of the first failed check: 1 no answer, 2 wrong queue or lease, 4 denied.";

/// Check a queue, the rights on it, clock and lease, and say what a job would promise
///
/// Takes no message and changes none: rights are tried with a handle that is none. Prints one JSON object.
#[derive(Args, Debug)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,

    /// The time between checkpoints that the job will have
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = some_time)]
    pub(crate) checkpoint_interval: Duration,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
