//! From a script and the command line to a planned job: everything wrong at once, and nothing opened yet.

use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater::job::{Guarantee, Part};
use headwater_core::{Connectors, JobContext};
use headwater_sql::{Job, PlannedJob, Script, ScriptErrors, Variables};

use crate::exit::{Exit, Failure};
use crate::secrets::ScriptVariables;

/// The time between checkpoints where neither the command line nor the script says one. 10 s: a third of the queue's
/// default lease, so that a message is committed and deleted well before it would come back.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// A script and what the command line adds to it.
#[derive(Debug)]
pub(crate) struct JobText<'a> {
    /// The SQL.
    pub(crate) script: &'a str,
    /// What errors call it.
    pub(crate) shown: String,
    /// The job's name unless the script sets `pipeline.name`.
    pub(crate) fallback_name: String,
    /// Wins over the script's `execution.checkpointing.interval`.
    pub(crate) checkpoint_interval: Option<Duration>,
    /// Ends the job once it has been idle for so long.
    pub(crate) until_idle: Option<Duration>,
    pub(crate) variables: ScriptVariables,
}

/// A job that can be opened.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) planned: PlannedJob,
    pub(crate) context: JobContext,
}

/// Reads, plans and checks a script.
pub(crate) fn prepare(text: &JobText<'_>, connectors: &Connectors) -> Result<Prepared, Failure> {
    let wrong = |errors: ScriptErrors| mistakes(&text.shown, &errors);
    let script = Script::parse(text.script, &text.variables).map_err(wrong)?;
    let settings = script.settings();
    let name = settings.pipeline_name.clone().unwrap_or_else(|| text.fallback_name.clone());
    let interval = text.checkpoint_interval.or(settings.checkpoint_interval).unwrap_or(DEFAULT_INTERVAL);
    let mut context = JobContext::new(name, interval);
    context.max_poll_wait = text.until_idle.map(longest_poll);
    let planned = Job::plan(&script, connectors, &context).map_err(wrong)?;
    Ok(Prepared { planned, context })
}

impl Prepared {
    /// The queue's name, where the job reads only one.
    pub(crate) fn only_queue(&self) -> Option<&str> {
        match self.planned.sources.as_slice() {
            [source] => source.check.identity.rsplit('/').next(),
            _ => None,
        }
    }

    /// Says what the user should know of the script.
    pub(crate) fn say(&self, shown: &str) {
        for notice in &self.planned.notices {
            tracing::info!("{shown}: {notice}");
        }
    }

    /// Says what the job would promise, as far as that can be known without its queues.
    pub(crate) fn say_guarantee(&self) {
        let parts = |table: &str, delivery, sentence: &str| Part {
            name: table.to_owned(),
            delivery,
            sentence: sentence.to_owned(),
        };
        let interval = self.context.checkpoint_interval;
        let sources = self.planned.sources.iter().map(|source| {
            let sentence = format!(
                "queue {}: {}, with a checkpoint every {interval:?}",
                source.check.identity, source.check.delivery
            );
            parts(&source.request.table, source.check.delivery, &sentence)
        });
        let sinks = self
            .planned
            .sinks
            .iter()
            .map(|sink| parts(&sink.request.table, sink.check.delivery, &sink.check.guarantee));
        let guarantee = Guarantee::of(&sources.collect::<Vec<_>>(), &sinks.collect::<Vec<_>>());
        for sentence in &guarantee.sentences {
            tracing::info!("{sentence}");
        }
    }
}

/// Where a job keeps its state unless told otherwise.
pub(crate) fn default_state_dir(job: &str) -> PathBuf {
    Path::new(".headwater").join(directory_name(job))
}

/// A poll that is parked when idleness is noticed holds up the end, so it is kept to half the period; a poll's wait is a
/// whole number of seconds.
fn longest_poll(until_idle: Duration) -> Duration {
    Duration::from_secs((until_idle.as_secs() / 2).max(1))
}

/// The job's name where that is a plain file name; else the same with other characters as `%XX`, so that two names never
/// share a directory.
fn directory_name(job: &str) -> String {
    let mut name = String::with_capacity(job.len());
    for (at, byte) in job.bytes().enumerate() {
        match byte {
            b'.' if at == 0 => name.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

fn mistakes(shown: &str, errors: &ScriptErrors) -> Failure {
    let count = errors.errors().len();
    let mut text = format!("{shown}: {count} mistake{}", if count == 1 { "" } else { "s" });
    for error in errors.errors() {
        text.push_str(&format!("\n  {error}"));
    }
    Failure::new(Exit::Usage, text)
}

impl Variables for ScriptVariables {
    fn value(&self, name: &str) -> Option<String> {
        self.lookup(name, |variable| std::env::var(variable).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_a_directory_of_its_own() {
        for (job, directory) in [
            ("orders", "orders"),
            ("insert-into_v1.2", "insert-into_v1.2"),
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            ("../etc", "%2E.%2Fetc"),
            ("größe", "gr%C3%B6%C3%9Fe"),
        ] {
            assert_eq!(default_state_dir(job), Path::new(".headwater").join(directory));
        }
    }

    #[test]
    fn polls_fit_the_idle_period() {
        for (idle, poll) in [(10_000, 5), (5_000, 2), (1_000, 1), (100, 1)] {
            assert_eq!(longest_poll(Duration::from_millis(idle)), Duration::from_secs(poll));
        }
    }
}
