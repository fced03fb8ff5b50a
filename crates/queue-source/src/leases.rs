//! Which leases are extended: the policy, what stands against it, and what is said of it.

use std::fmt;
use std::time::Duration;

use headwater_core::{OptionError, QueueError, SourceError};

use crate::config::SourceConfig;
use crate::poller;
use crate::state::{Shared, State};

/// What is done about leases that end before their messages are committed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum LeasePolicy {
    /// As `Extend`, where the queue and the consumer's rights allow it; else as `Absorb`.
    #[default]
    Auto,
    /// Leases are extended by their half, one call for each message. A consumer that may not do that fails.
    Extend,
    /// Leases end, and what comes back is suppressed: it costs a delivery for each lease, and deletes wait for one.
    Absorb,
}

impl LeasePolicy {
    /// The policy of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Auto, Self::Extend, Self::Absorb].into_iter().find(|policy| policy.as_str() == name)
    }

    /// Its name, as in the option `leasePolicy`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Extend => "extend",
            Self::Absorb => "absorb",
        }
    }
}

/// What is done in fact, and why not what was wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leases {
    Extended,
    /// To be extended, once a delivery has told how long a lease is.
    Unknown,
    /// Left to end: because that was asked for, or for a reason.
    Absorbed(Option<String>),
}

impl Leases {
    /// Decides at the start; what stands against every way is an error.
    pub(crate) fn decide(
        config: &SourceConfig,
        can_extend: bool,
        lease: Option<Duration>,
        errors: &mut Vec<OptionError>,
    ) -> Self {
        let absorbed = match (config.lease_policy, can_extend) {
            (LeasePolicy::Absorb, _) => None,
            (LeasePolicy::Extend, false) => {
                let text = "is extend, and this queue cannot extend a lease: use auto or absorb";
                errors.push(OptionError::new("leasePolicy", text));
                return Self::Absorbed(None);
            }
            (LeasePolicy::Auto, false) => Some("this queue cannot extend a lease".to_owned()),
            (_, true) => {
                let Some(lease) = lease else { return Self::Unknown };
                let Some(problem) = over_budget(config, lease) else { return Self::Extended };
                if config.lease_policy == LeasePolicy::Extend || !lasts(config, lease) {
                    errors.push(OptionError::new("leasePolicy", problem.refusal()));
                    return Self::Extended;
                }
                Some(problem.to_string())
            }
        };
        if let Some(lease) = lease.filter(|lease| !lasts(config, *lease)) {
            errors.push(OptionError::new("execution.checkpointing.interval", short_lease(config, lease)));
        }
        Self::Absorbed(absorbed)
    }

    /// What the guarantee says of them.
    pub(crate) fn sentence(&self, config: &SourceConfig) -> String {
        let policy = config.lease_policy.as_str();
        match self {
            Self::Extended => {
                format!("leases are extended for up to {} min (leasePolicy {policy})", minutes(config.limits.hold_max))
            }
            Self::Unknown => {
                format!(
                    "leases are extended as soon as a first delivery tells how long they are (leasePolicy {policy})"
                )
            }
            Self::Absorbed(None) => {
                format!("what is held for longer than its lease comes back and is suppressed (leasePolicy {policy})")
            }
            Self::Absorbed(Some(why)) => format!(
                "what is held for longer than its lease comes back and is suppressed (leasePolicy {policy}; {why})"
            ),
        }
    }
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

/// Whether what is held is as a rule still leased when it is committed: the lease spans two intervals, or what is held is in a log and
/// deleted long before.
fn lasts(config: &SourceConfig, lease: Duration) -> bool {
    config.log.is_some() || lease >= config.limits.checkpoint_interval * 2
}

fn short_lease(config: &SourceConfig, lease: Duration) -> String {
    let interval = config.limits.checkpoint_interval;
    format!(
        "is {interval:?}, and the queue's VisibilityTimeout is {lease:?}: every message would come back before its delete. \
         Use at most {:?} between checkpoints, raise the queue's VisibilityTimeout to at least {:?}, or let leases be extended \
         (leasePolicy = auto, with the right to mns:ChangeMessageVisibility)",
        lease / 2,
        interval * 2
    )
}

/// More extensions than there are calls for.
struct OverBudget {
    undeleted: u32,
    lease: Duration,
    budget: u32,
    lasts: bool,
    interval: Duration,
}

/// Every message held is extended once in half a lease.
fn over_budget(config: &SourceConfig, lease: Duration) -> Option<OverBudget> {
    let (undeleted, budget) = (config.limits.undeleted_max, config.extends_per_second);
    let over = f64::from(undeleted) > f64::from(budget) * lease.as_secs_f64() / 2.0;
    let lasts = lasts(config, lease);
    // What is in a log is deleted at once, and not extended.
    (over && config.log.is_none()).then_some(OverBudget {
        undeleted,
        lease,
        budget,
        lasts,
        interval: config.limits.checkpoint_interval,
    })
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed = f64::from(self.undeleted) / (self.lease.as_secs_f64() / 2.0);
        write!(
            f,
            "{} messages (undeletedMax) with a lease of {:?} (the queue's VisibilityTimeout) need {} extensions a second, and at \
             most {} are made",
            self.undeleted,
            self.lease,
            needed.ceil(),
            self.budget
        )
    }
}

impl OverBudget {
    fn refusal(&self) -> String {
        let fits = (f64::from(self.budget) * self.lease.as_secs_f64() / 2.0).floor();
        let seconds = (2.0 * f64::from(self.undeleted) / f64::from(self.budget)).ceil();
        let absorb = if self.lasts {
            "use leasePolicy = absorb".to_owned()
        } else {
            format!(
                "use leasePolicy = absorb with at most {:?} between checkpoints (now {:?})",
                self.lease / 2,
                self.interval
            )
        };
        format!(
            "does not fit: {self}. Lower undeletedMax to at most {fits}, raise the queue's VisibilityTimeout to at least {seconds} s, \
             or {absorb}"
        )
    }
}

/// What extensions set a lease to, if they are to be made.
pub(crate) fn extend_lease(leases: &Leases, lease: Option<Duration>, longest: Duration) -> Option<Duration> {
    lease.filter(|_| *leases == Leases::Extended).map(|lease| lease.min(longest))
}

/// A first delivery has told how long a lease is. Too late to refuse anything: what does not fit is said, and slows down receiving.
pub(crate) fn learnt(shared: &Shared, state: &mut State, lease: Duration) {
    let (config, queue) = (&shared.config, &shared.queue_name);
    tracing::info!(%queue, ?lease, "the queue's lease, learnt from a first delivery");
    if state.leases == Leases::Unknown {
        let problem = over_budget(config, lease);
        state.leases = match problem {
            Some(problem) if config.lease_policy == LeasePolicy::Auto && problem.lasts => {
                tracing::warn!(%queue, "leases are not extended: {problem}");
                Leases::Absorbed(Some(problem.to_string()))
            }
            problem => {
                if let Some(problem) = problem {
                    tracing::warn!(%queue, "leasePolicy {}; until then fewer messages are received", problem.refusal());
                }
                Leases::Extended
            }
        };
        let longest = shared.queue.capabilities().lease_range.1;
        state.ledger.set_extend_lease(extend_lease(&state.leases, Some(lease), longest));
    }
    if state.leases != Leases::Extended && !lasts(config, lease) {
        tracing::warn!(%queue, "execution.checkpointing.interval {}", short_lease(config, lease));
    }
}

/// The queue does not let this consumer extend, and the ledger has stopped: said once; the error if nothing else was wished.
pub(crate) fn denied(shared: &Shared, state: &mut State, error: Option<QueueError>) -> Option<SourceError> {
    if matches!(state.leases, Leases::Absorbed(_)) {
        return None;
    }
    let (config, queue) = (&shared.config, &shared.queue_name);
    state.leases = Leases::Absorbed(Some("extending is denied".to_owned()));
    let error = error?;
    if config.lease_policy == LeasePolicy::Extend {
        let text = format!(
            "extending leases of queue {queue} was refused: {error}. Grant mns:ChangeMessageVisibility, or use leasePolicy = auto \
             or absorb"
        );
        return Some(SourceError::new(poller::fatal_kind(error.kind), text).with_source(error));
    }
    tracing::warn!(
        %queue, %error,
        "leases may not be extended (mns:ChangeMessageVisibility): what is held for longer than its lease comes back and is suppressed"
    );
    if let Some(lease) = state.lease.filter(|lease| !lasts(config, *lease)) {
        tracing::warn!(%queue, "execution.checkpointing.interval {}", short_lease(config, lease));
    }
    None
}

/// The queue itself refuses: neither a right nor a lease can help.
pub(crate) fn fatal(shared: &Shared, error: QueueError) -> SourceError {
    let text = format!("extending a lease of queue {} failed for good: {error}", shared.queue_name);
    SourceError::new(poller::fatal_kind(error.kind), text).with_source(error)
}
