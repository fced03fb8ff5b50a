//! What differs from one history to the next: limits small enough that every one of them is met.

use std::sync::Arc;
use std::time::Duration;

use headwater::job::fs::MemoryFs;
use headwater_core::EarlierRun;
use headwater_formats::MessageEncoding;
use headwater_queue_source::{BadRecords, LeasePolicy, LogConfig, Objective, SourceConfig};
use headwater_testkit::{FaultRates, MemoryQueueOptions, Random};

use crate::lines::Lines;
use crate::world::SECOND;

pub(super) fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    let at = usize::try_from(random.below(choices.len() as u64)).unwrap_or(0);
    choices[at]
}

pub(super) fn rates(random: &mut Random) -> FaultRates {
    let mut rates = FaultRates::even(one_of(random, &[0, 10, 30, 80]));
    rates.duplicate = one_of(random, &[0, 50, 300]);
    rates.response_lost = one_of(random, &[0, 30, 150]);
    rates.delayed = one_of(random, &[0, 50, 300]);
    rates.delay_max = SECOND * one_of(random, &[1, 3, 40]);
    rates
}

pub(super) fn queue(random: &mut Random) -> MemoryQueueOptions {
    let mut options = MemoryQueueOptions::default();
    options.lease = SECOND * one_of(random, &[4, 10, 30]);
    options
}

/// What stays the same over the restarts of one history.
#[derive(Clone)]
pub(super) struct Options {
    config: SourceConfig,
}

impl Options {
    pub(super) fn new(random: &mut Random, lease: Duration) -> Self {
        let mut config = SourceConfig::new("t", Lines::factory());
        config.encoding = MessageEncoding::Raw;
        config.bad_records = one_of(random, &[BadRecords::Skip, BadRecords::DeadLetter, BadRecords::DeadLetter]);
        // Answers that cannot be read are drawn here, and a few in a row are not one bad message.
        config.unreadable_max = 100;
        config.wait = SECOND * one_of(random, &[0, 1, 5, 10]);
        config.backoff_max = SECOND * one_of(random, &[1, 10]);
        config.lease_policy = one_of(random, &[LeasePolicy::Auto, LeasePolicy::Extend, LeasePolicy::Absorb]);
        // Enough for all that may be held, with the shortest lease.
        config.extends_per_second = one_of(random, &[32, 400]);
        let limits = &mut config.limits;
        limits.batch_max = one_of(random, &[1, 3, 16]);
        limits.delete_max = one_of(random, &[1, 3, 16]);
        limits.undeleted_max = one_of(random, &[1, 5, 20, 64]);
        limits.bytes_max = (64 << 10) * one_of(random, &[1, 4, 32]);
        limits.checkpoint_max_messages = 1 + u32::try_from(random.below(u64::from(limits.undeleted_max))).unwrap_or(0);
        limits.checkpoint_max_bytes = one_of(random, &[8, 1_000, 64 << 10]);
        limits.checkpoint_interval = lease / one_of(random, &[2, 3, 8]);
        if config.lease_policy != LeasePolicy::Absorb && random.chance(300) {
            limits.checkpoint_interval = lease * 3;
        }
        limits.hold_max = one_of(random, &[SECOND * 20, SECOND * 1_500]);
        limits.ledger_max_ids = one_of(random, &[1, 3, 1_000]);
        limits.full_patience = SECOND * one_of(random, &[30, 600]);
        limits.grace = SECOND * one_of(random, &[0, 5, 60]);
        limits.grace_max_ids = one_of(random, &[1, 20, 1_000]);
        limits.delete_max_retries = one_of(random, &[0, 1, 3]);
        limits.deltas_max = one_of(random, &[1, 2, 64]);
        Self { config }
    }

    pub(super) fn dead_letters(&self) -> bool {
        self.config.bad_records == BadRecords::DeadLetter
    }

    /// Writes a log first, of one size or another; the number that a checkpoint is due at still counts, now and then.
    pub(super) fn commit_log(&mut self, random: &mut Random, fs: &MemoryFs) {
        let mut log = LogConfig::new(Arc::new(fs.clone()), "/log", u128::from(random.draw()));
        log.bytes_max = (100 << 10) * one_of(random, &[1, 3, 20]);
        log.segment_bytes = one_of(random, &[1, 300, 2_000, 1 << 20]);
        log.group_bytes = one_of(random, &[1, 300, 1 << 20]);
        let max = self.config.limits.checkpoint_max_messages;
        self.config = self.config.clone().commit_log(log);
        self.config.limits.checkpoint_max_messages = one_of(random, &[max, u32::MAX]);
    }

    pub(super) fn has_log(&self) -> bool {
        self.config.log.is_some()
    }

    /// The configuration of one run: pollers, workers and batches may change with every restart.
    pub(super) fn of_a_run(&self, random: &mut Random) -> SourceConfig {
        let mut config = self.config.clone();
        config.pollers = one_of(random, &[1, 2, 5, 64]);
        config.objective = one_of(random, &[Objective::Latency, Objective::Throughput, Objective::Cost]);
        config.delete_workers = one_of(random, &[0, 1, 2]);
        config.extends_at_once = one_of(random, &[1, 3, 16]);
        config.batch_rows = one_of(random, &[1, 4, 8_192]);
        config.batch_bytes = one_of(random, &[1, 30, 1 << 20]);
        config.seed = random.draw();
        config.decode_ahead = Some((config.seed % 3) as usize);
        config.earlier_run = one_of(random, &[EarlierRun::Unknown, EarlierRun::Unclean]);
        config
    }

    /// At the end of a history: the way out of a full ledger is to raise its limit.
    pub(super) fn raise_the_limit(&mut self) {
        self.config.limits.ledger_max_ids = 100_000;
        self.config.limits.undeleted_max = self.config.limits.undeleted_max.max(16);
    }
}
