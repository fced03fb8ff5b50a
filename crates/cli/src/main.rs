//! The command `headwater`: arguments, configuration, logs and exit codes around the library. Wiring, no logic.
//!
//! Reading order: `args` (what can be said), one file per command, then `exit`, `logs`, `output`.

mod args;
mod connect;
mod connectors;
mod decode;
mod demo;
mod doctor;
mod exit;
mod infer;
mod input;
mod logs;
mod metrics;
mod output;
mod peek;
mod run;
mod secrets;
mod send;
mod server;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use tracing::Level;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::logs::Logs;
use crate::output::Stop;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(error).into(),
    };
    // The demo tells its own story.
    let level = if matches!(cli.command, Command::Demo(_)) { Level::WARN } else { Level::INFO };
    let logs = Logs::start(cli.log_format, level);
    logs.report_panics();
    for variable in ["ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"] {
        std::env::var(variable).iter().for_each(|secret| logs.hide(secret.trim()));
    }
    let exit = match threads().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(command(cli.command, &logs));
            // A blocked read of standard input must not hold up the end.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::because(Exit::Failed, "cannot start threads", &error).into()),
    };
    match exit {
        Ok(exit) => exit,
        Err(Stop::Unread) => Exit::Done,
        Err(Stop::Failure(failure)) => {
            logs.failure(&failure);
            failure.exit
        }
    }
    .into()
}

/// A thread for each core; with a single core this thread alone, since others would only take turns with it.
fn threads() -> tokio::runtime::Builder {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() == 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    }
}

async fn command(command: Command, logs: &Logs) -> Result<Exit, Stop> {
    match command {
        Command::Run(args) => run::run(args, logs).await,
        Command::Demo(_) => demo::run(logs).await,
        Command::Server(args) => server::run(args).await,
        Command::Decode(args) => decode::run(args).await,
        Command::Infer(args) => infer::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Peek(args) => peek::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
    }
}

/// Prints help, the version, or what is wrong with the arguments.
fn usage(mut error: clap::Error) -> Exit {
    // A URL that is refused for the password in it is not shown with it.
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && value.contains('@')
    {
        error.insert(ContextKind::InvalidValue, ContextValue::String("***".to_owned()));
    }
    // A closed pipe is no reason to complain: there is nobody to complain to.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
