//! `headwater run`: an SQL script as a job.

mod drive;
mod live;
mod prepare;
mod watch;
mod watchdog;

use std::path::Path;
use std::sync::Arc;

use headwater_core::{Clock, SystemClock};

pub(crate) use self::drive::{Drive, Ending};
pub(crate) use self::prepare::{JobText, prepare};
use self::watch::Watch;
use crate::args::RunArgs;
use crate::connectors::connectors;
use crate::exit::{Exit, Failure};
use crate::input;
use crate::logs::Logs;
use crate::metrics::{Health, MetricsServer};
use crate::output::Stop;
use crate::secrets::ScriptVariables;
use crate::signals::Signals;

/// The largest script: generated ones with thousands of columns are far below.
const SCRIPT_MAX: u64 = 16 << 20;

/// Runs a job to its end.
pub(crate) async fn run(args: RunArgs, logs: &Logs) -> Result<Exit, Stop> {
    let mut signals = Signals::listen().map_err(|e| Failure::because(Exit::Failed, "cannot listen for signals", &e))?;
    let script = input::read_text(&args.job, SCRIPT_MAX)?;
    let clock: Arc<dyn Clock> = SystemClock::shared();
    let text = JobText {
        script: &script,
        shown: args.job.display().to_string(),
        fallback_name: stem(&args.job),
        checkpoint_interval: args.checkpoint_interval,
        until_idle: args.until_idle,
        variables: ScriptVariables::read(&args.define, args.secrets.as_deref(), logs)?,
    };
    let prepared = prepare(&text, &connectors(&clock, logs.print_factory()))?;
    logs.belong_to(&prepared.context.job, prepared.only_queue());
    prepared.say(&text.shown);
    if args.dry_run {
        prepared.say_guarantee();
        tracing::info!(
            "a dry run: nothing was received and no queue was asked; its lease and rights are checked at the start"
        );
        return Ok(Exit::Done);
    }
    let health = Health::of(&prepared.context.job);
    let metrics = match args.metrics {
        Some(address) => Some(MetricsServer::start(address, health.clone()).await?),
        None => None,
    };
    if let Some(metrics) = &metrics {
        tracing::info!(address = %metrics.address(), "metrics are on /metrics, health on /health");
    }
    let state = args.state.unwrap_or_else(|| prepare::default_state_dir(&prepared.context.job));
    let watch = Watch::new(logs.clone(), health, clock.now());
    let drive = Drive {
        state,
        accept_loss: args.accept_loss,
        drain_deadline: args.drain_timeout,
        until_idle: args.until_idle,
        clock: Arc::clone(&clock),
    };
    let observer = {
        let watch = watch.clone();
        move |progress: &_| watch.take(progress, clock.now())
    };
    let ending = drive.run(prepared, &mut signals, observer).await;
    watch.ended();
    Ok(match ending? {
        Ending::Interrupted => Exit::Interrupted,
        Ending::Done(_) | Ending::Stopped | Ending::NotBegun => Exit::Done,
    })
}

/// The script's name without folder and extension.
fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "job".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
