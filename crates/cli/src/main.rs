//! The command `headwater`: arguments, configuration, logs and exit codes around the library. Wiring, no logic.
//!
//! Reading order: `args` (what can be said), one file per command, then `exit`, `logs`, `output`.

mod args;
mod connect;
mod decode;
mod exit;
mod input;
mod logs;
mod output;
mod peek;
mod send;
mod server;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::logs::Logs;
use crate::output::Stop;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let logs = Logs::start(cli.log_format);
    let exit = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(command(cli.command));
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

async fn command(command: Command) -> Result<Exit, Stop> {
    match command {
        Command::Server(args) => server::run(args).await,
        Command::Decode(args) => decode::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Peek(args) => peek::run(args).await,
    }
}

/// Prints help, the version, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> Exit {
    // A closed pipe is no reason to complain: there is nobody to complain to.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
