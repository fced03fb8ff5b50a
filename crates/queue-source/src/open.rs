//! Making a source: what the queue says of itself, and whether the configuration can work with it.

use std::sync::Arc;
use std::time::Duration;

use headwater_core::{
    Clock, Description, EarlierRun, OptionError, OptionErrors, Queue, QueueErrorKind, SourceError, SourceErrorKind,
};
use headwater_ledger::{Ledger, LogLimits};

use crate::backoff::Backoff;
use crate::bad;
use crate::config::SourceConfig;
use crate::decode::{Decoding, Keep};
use crate::leases::{self, Leases};
use crate::poller;
use crate::state::Shared;

/// Reads the queue's attributes and checks everything against everything.
pub(crate) async fn open(
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    mut config: SourceConfig,
    target: bool,
) -> Result<(Shared, Decoding), SourceError> {
    let keep = Keep { bodies: target, places: config.log.is_some() };
    let description = describe(&*queue, &*clock, &config).await?;
    let capabilities = queue.capabilities();
    let limits = &mut config.limits;
    limits.message_bytes_max = description.max_message_bytes.unwrap_or(capabilities.max_message_bytes).max(1);
    limits.retention = description.retention.unwrap_or(capabilities.max_retention);
    limits.stale_delete_is_error = capabilities.stale_delete_is_error;
    limits.batch_max = limits.batch_max.min(capabilities.max_receive);
    limits.delete_max = limits.delete_max.min(capabilities.max_delete);
    limits.log = config.log.as_ref().map(|log| LogLimits::new(log.bytes_max));
    config.wait = config.wait.min(capabilities.max_wait);

    let mut errors = bad::check(&config, target);
    let lease = description.lease.map(|lease| lease.min(capabilities.lease_range.1)).or(config.declared_lease);
    if let Some(lease) = lease {
        if config.wait > lease {
            tracing::warn!(queue = %queue.identity(), "{}", long_wait(config.wait, lease));
        }
        // Margins longer than the lease would call for a checkpoint of every batch.
        config.limits.lease_margin = config.limits.lease_margin.min(lease / 4);
        config.lease_margin = config.lease_margin.min(lease / 8);
    }
    let leases = Leases::decide(&config, capabilities.can_extend, lease, &mut errors);
    config.limits.extend_lease = leases::extend_lease(&leases, lease, capabilities.lease_range.1);
    if config.extends_per_second == 0 || config.extends_at_once == 0 {
        errors
            .push(OptionError::new("leasePolicy", "needs a budget of calls: at least one a second, and one at a time"));
    }
    if config.pollers == 0 || config.pollers > 64 {
        errors.push(OptionError::new("pollers", format!("is {}: use 1 to 64", config.pollers)));
    }
    if config.delete_workers > 64 {
        errors.push(OptionError::new("deleteWorkers", format!("is {}: use 1 to 64, or 0", config.delete_workers)));
    }
    let decoding = Decoding::new(&config, keep).map_err(|found| errors.extend(found)).ok();
    let ledger = Ledger::new(config.limits.clone(), clock.now())
        .map_err(|found| errors.extend(found.into_iter().map(|e| OptionError::new(e.option, e.problem))))
        .ok();
    let (Some(decoding), Some(ledger), true) = (decoding, ledger, errors.is_empty()) else {
        let errors = OptionErrors(errors);
        return Err(SourceError::new(SourceErrorKind::Configuration, errors.to_string()));
    };
    if let Leases::Absorbed(Some(why)) = &leases {
        // What `auto` is there to decide; where absorbing does not do either, the start is refused.
        tracing::info!(queue = %queue.identity(), "leases are not extended: {why}");
    }
    let shared = Shared::new(queue, clock, config, ledger, lease, leases, keep);
    if shared.config.earlier_run == EarlierRun::Unclean {
        let now = shared.clock.now();
        shared.lock().maybe_leased(now);
    }
    Ok((shared, decoding))
}

fn long_wait(wait: Duration, lease: Duration) -> String {
    format!(
        "pollingWaitTime is {wait:?}, and the queue's VisibilityTimeout is {lease:?}: at a stop, polls on their way are waited \
         for, and messages held by then come back meanwhile. Use at most {lease:?}"
    )
}

/// Asks the queue for its attributes; transient failures are retried for as long as it takes.
async fn describe(queue: &dyn Queue, clock: &dyn Clock, config: &SourceConfig) -> Result<Description, SourceError> {
    let mut backoff = Backoff::new(config.backoff_min, config.backoff_max, config.seed);
    loop {
        match queue.describe().await {
            Ok(description) => return Ok(description),
            Err(error) if error.kind == QueueErrorKind::Denied => {
                tracing::info!(
                    queue = %queue.identity(),
                    "the queue's attributes may not be read (mns:GetQueueAttributes): its lease is learnt from the first message, \
                     its largest message and retention are taken as the service's maximum"
                );
                return Ok(Description::default());
            }
            Err(error) if error.kind.is_fatal() => return Err(poller::fatal(error)),
            Err(error) => {
                let pause = backoff.next();
                tracing::warn!(queue = %queue.identity(), %error, ?pause, "the queue does not answer, trying again");
                clock.sleep(pause).await;
            }
        }
    }
}
