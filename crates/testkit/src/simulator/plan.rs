//! What one seed draws: the service, the job, the faults and when they happen.
//!
//! Each part draws from a generator of its own, so that turning one kind of fault off leaves the others where they were.

use std::time::Duration;

use headwater_job::fs::Loss;
use headwater_ledger::Limits;
use headwater_queue_source::{LeasePolicy, Objective};

use super::data::{DataPlan, Policy};
use super::faults::{FAULTS, FIRST_FAULTS, Fault, FaultSet};
use super::options::Options;
use super::others;
use crate::random::Random;

const SECOND: Duration = Duration::from_secs(1);

/// How often others come, in seeds that have them: about once in half a minute.
const OTHERS_RATE: u16 = 300;

/// Everything that a seed draws before anything happens.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) lease: Duration,
    pub(crate) sinks: usize,
    pub(crate) restarts_differ: bool,
    /// With `commit = log`.
    pub(crate) log: Option<LogPlan>,
    /// With messages that cannot be processed, or are not wanted.
    pub(crate) data: Option<DataPlan>,
    /// Which others there are, on the state and on copies of it.
    pub(crate) others: FaultSet,
    rates: [u16; FAULTS.len()],
    pub(crate) slow_max: Duration,
    pub(crate) parked_max: Option<usize>,
    pub(crate) consumption: Option<Consumption>,
    /// When messages are sent, from the beginning of the world, and how many.
    pub(crate) sends: Vec<(Duration, u32)>,
    pub(crate) lives: Vec<Life>,
    pub(crate) quiet: Life,
}

/// The sizes of the source's own log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogPlan {
    pub(crate) bytes_max: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) group_bytes: u64,
}

/// The service's throttle of who receives and does not delete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consumption {
    pub(crate) undeleted: u64,
    pub(crate) held: Duration,
}

/// One life of the process.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// When its end begins.
    pub(crate) length: Duration,
    pub(crate) end: End,
    /// What its end does to the disk.
    pub(crate) loss: Loss,
    /// How long nothing runs after it.
    pub(crate) down: Duration,
    pub(crate) until_idle: Option<Duration>,
    pub(crate) job: JobPlan,
    pub(crate) troubles: Vec<(Duration, Trouble)>,
}

/// How a life ends, if it does not fail before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// After so many further steps of any part.
    Crash(u64),
    /// Before so many further file operations.
    PowerLoss(u64),
    Stop,
    /// By itself.
    None,
}

/// The options of the job.
#[derive(Clone, Debug)]
pub(crate) struct JobPlan {
    pub(crate) limits: Limits,
    pub(crate) pollers: usize,
    pub(crate) delete_workers: usize,
    pub(crate) objective: Objective,
    pub(crate) lease_policy: LeasePolicy,
    pub(crate) extends_per_second: u32,
    pub(crate) wait: Duration,
    pub(crate) batch_rows: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) backoff_max: Duration,
    pub(crate) drain_deadline: Duration,
    pub(crate) receive_margin: Duration,
    pub(crate) file_size: &'static str,
    pub(crate) seed: u64,
}

/// Something that happens at a time and not to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    DeadHandle,
    EarlyReturn,
    Deny(Call, Duration),
    ServerClock(i64),
    WallClock(i64),
    DiskFull(u64, Duration),
    SecondStart,
    TakeOver,
    BackUp,
    CopyStart { old: bool },
    File(headwater_job::fs::Fault, u64),
    SlowSink(Duration),
    SlowStore(Duration),
}

/// The kinds of calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Call {
    Describe,
    Receive,
    Delete,
    Extend,
}

pub(crate) fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[usize::try_from(random.below(choices.len() as u64)).unwrap_or(0)]
}

pub(crate) fn between(random: &mut Random, low: Duration, high: Duration) -> Duration {
    let span = u64::try_from(high.saturating_sub(low).as_millis()).unwrap_or(0);
    low + Duration::from_millis(random.below(span + 1))
}

/// A generator of its own for `label`.
pub(crate) fn fork(seed: u64, label: u64) -> Random {
    let mut random = Random::new(seed ^ label.wrapping_mul(0xd134_2543_de82_ef95));
    Random::new(random.draw())
}

impl Plan {
    pub(crate) fn draw(seed: u64, options: &Options) -> Self {
        let mut random = fork(seed, 1);
        let lease = SECOND * one_of(&mut random, &[4, 10, 30, 30, 120]);
        let mut rates = draw_rates(&mut random, options);
        let others = others::draw(seed, options);
        others.iter().for_each(|fault| rates[fault as usize] = OTHERS_RATE);
        let has = |fault: Fault| options.faults.has(fault) && random_bit(seed, fault);
        let parked_max = has(Fault::ParkedPolls).then(|| 1 + usize::try_from(random.below(3)).unwrap_or(0));
        let held = SECOND * one_of(&mut random, &[20, 120, 1_800]);
        let consumption = Consumption { undeleted: 1 + random.below(40), held };
        let consumption = has(Fault::Consumption).then_some(consumption);
        let mut jobs = fork(seed, 2);
        let mut common = JobPlan::draw(&mut jobs, lease);
        let log = draw_log(seed, &mut common);
        let count = 1 + random.below(6);
        let slow_max = SECOND * one_of(&mut random, &[1, 5, 60]);
        let sinks = one_of(&mut random, &[1, 1, 2]);
        let mut lives: Vec<Life> =
            (0..count).map(|number| Life::draw(seed, number, lease, &common, options, &rates)).collect();
        let span: Duration = lives.iter().map(|life| life.length + life.down).sum();
        let sends = draw_sends(seed, span, options);
        lives.truncate(options.lives.map_or(usize::MAX, |lives| lives as usize));
        if let Some(cut) = options.cut {
            cut_lives(&mut lives, cut);
        }
        let quiet = Life::quiet(&common, lease);
        let restarts_differ = options.faults.has(Fault::Restart);
        let data = DataPlan::draw(seed, lease, options);
        Self {
            seed,
            lease,
            sinks,
            restarts_differ,
            log,
            data,
            others,
            rates,
            slow_max,
            parked_max,
            consumption,
            sends,
            lives,
            quiet,
        }
    }

    /// Directories that something is shown in: one for each sink, and one for dead letters, if they have one.
    pub(crate) fn places(&self) -> usize {
        self.sinks + usize::from(self.data.as_ref().is_some_and(|data| data.policy == Policy::Directory))
    }

    /// How often a fault hits, in calls out of a thousand.
    pub(crate) fn rate(&self, fault: Fault) -> u16 {
        self.rates[fault as usize]
    }
}

/// Whether a seed has this kind at all: half of them, so that every pair meets with and without the others.
pub(crate) fn random_bit(seed: u64, fault: Fault) -> bool {
    fork(seed, 100 + fault as u64).chance(500)
}

fn draw_rates(random: &mut Random, options: &Options) -> [u16; FAULTS.len()] {
    let mut rates = [0; FAULTS.len()];
    let strength: u16 = one_of(random, &[0, 5, 20, 20, 60, 150]);
    for (fault, ..) in &FAULTS[..FIRST_FAULTS] {
        let fault = *fault;
        let own = strength * one_of(random, &[0, 0, 1, 1, 2]);
        // Calls that hang hold everything up: a few are enough.
        let own = if fault == Fault::Stuck { own / 4 } else { own };
        // A ghost needs a delete a short time before: most calls have none to offer.
        let own = if fault == Fault::Ghost { own * 6 } else { own };
        let scaled = u32::from(own) * u32::from(options.rates) / 100;
        rates[fault as usize] = if options.faults.has(fault) { u16::try_from(scaled).unwrap_or(u16::MAX) } else { 0 };
    }
    rates
}

/// One seed in three writes a log first.
fn draw_log(seed: u64, job: &mut JobPlan) -> Option<LogPlan> {
    let mut random = fork(seed, 7);
    let log = LogPlan {
        bytes_max: (100 << 10) * one_of(&mut random, &[1, 3, 20]),
        segment_bytes: one_of(&mut random, &[1, 300, 2_000, 1 << 20]),
        group_bytes: one_of(&mut random, &[1, 300, 1 << 20]),
    };
    if !random.chance(330) {
        return None;
    }
    if random.chance(500) {
        job.limits.checkpoint_max_messages = job.limits.undeleted_max;
    }
    Some(log)
}

fn draw_sends(seed: u64, span: Duration, options: &Options) -> Vec<(Duration, u32)> {
    let mut random = fork(seed, 3);
    let mut left = match random.below(20) {
        0 => 1 + u32::try_from(random.below(3)).unwrap_or(0),
        1 => 400 + u32::try_from(random.below(400)).unwrap_or(0),
        _ => 30 + u32::try_from(random.below(170)).unwrap_or(0),
    };
    left = left.min(options.messages.unwrap_or(u32::MAX));
    let span = between(&mut random, Duration::ZERO, span);
    let largest = one_of(&mut random, &[1, 8, 50]);
    let mut sends = Vec::new();
    while left > 0 {
        let count = left.min(1 + u32::try_from(random.below(largest)).unwrap_or(0));
        sends.push((between(&mut random, Duration::ZERO, span), count));
        left -= count;
    }
    sends.sort_unstable();
    sends
}

/// Ends the trouble at `cut`: lives after it are left out, and the one it falls into crashes there.
fn cut_lives(lives: &mut Vec<Life>, cut: Duration) {
    let mut begun = Duration::ZERO;
    lives.retain_mut(|life| {
        let begins = begun;
        begun += life.length + life.down;
        if begins + life.length > cut && begins <= cut {
            life.length = cut - begins;
            life.troubles.retain(|(at, _)| *at <= life.length);
        }
        begins <= cut
    });
}

impl JobPlan {
    fn draw(random: &mut Random, lease: Duration) -> Self {
        let mut limits = Limits::default();
        limits.undeleted_max = one_of(random, &[1, 5, 20, 64, 200, 4_000]);
        limits.bytes_max = (64 << 10) * one_of(random, &[1, 4, 32]);
        limits.checkpoint_max_messages = 1 + u32::try_from(random.below(u64::from(limits.undeleted_max))).unwrap_or(0);
        limits.checkpoint_max_bytes = one_of(random, &[8, 1_000, 64 << 10]);
        limits.checkpoint_interval = lease * one_of(random, &[1, 4, 4, 8, 24]) / 8;
        limits.ledger_max_ids = one_of(random, &[3, 20, 1_000, 1_000_000, 1_000_000]);
        limits.full_patience = SECOND * one_of(random, &[30, 600]);
        limits.grace = SECOND * one_of(random, &[0, 5, 60, 60]);
        limits.grace_max_ids = one_of(random, &[1, 20, 1_000, 200_000, 200_000]);
        limits.delete_max_retries = one_of(random, &[0, 1, 3]);
        limits.deltas_max = one_of(random, &[1, 2, 64]);
        let mut plan = Self {
            limits,
            pollers: 1,
            delete_workers: 1,
            objective: Objective::default(),
            lease_policy: one_of(random, &[LeasePolicy::Auto, LeasePolicy::Extend, LeasePolicy::Absorb]),
            extends_per_second: one_of(random, &[5, 400]),
            wait: SECOND * one_of(random, &[0, 1, 5, 10, 30]),
            batch_rows: 8_192,
            batch_bytes: 1 << 20,
            backoff_max: SECOND * one_of(random, &[1, 10]),
            drain_deadline: SECOND * one_of(random, &[1, 10, 60, 60]),
            receive_margin: SECOND * one_of(random, &[2, 10]),
            file_size: one_of(random, &["20b", "300b", "1MB"]),
            seed: 0,
        };
        plan.vary(random, lease);
        plan
    }

    /// Makes of it what a source does not refuse at its start.
    fn agree(&mut self, lease: Duration) {
        let limits = &mut self.limits;
        limits.checkpoint_max_messages = limits.checkpoint_max_messages.min(limits.undeleted_max);
        let budget = f64::from(self.extends_per_second) * lease.as_secs_f64() / 2.0;
        if f64::from(limits.undeleted_max) > budget {
            self.lease_policy = LeasePolicy::Absorb;
        }
        // Only what is extended may be held for longer than half a lease.
        if self.lease_policy == LeasePolicy::Absorb {
            limits.checkpoint_interval = limits.checkpoint_interval.min(lease / 2);
        }
    }

    /// What a restart may change.
    fn vary(&mut self, random: &mut Random, lease: Duration) {
        self.limits.batch_max = one_of(random, &[1, 3, 16, 16]);
        self.limits.delete_max = one_of(random, &[1, 3, 16, 16]);
        self.pollers = one_of(random, &[1, 1, 2, 4, 12]);
        self.delete_workers = one_of(random, &[0, 0, 1, 2, 4]);
        self.objective = one_of(random, &[Objective::Latency, Objective::Throughput, Objective::Cost]);
        self.batch_rows = one_of(random, &[1, 4, 8_192]);
        self.batch_bytes = one_of(random, &[1, 30, 1 << 20]);
        self.seed = random.draw();
        if random.chance(200) {
            self.limits.undeleted_max = one_of(random, &[3, 30, 300]);
        }
        self.agree(lease);
    }
}

impl Life {
    fn draw(
        seed: u64,
        number: u64,
        lease: Duration,
        common: &JobPlan,
        options: &Options,
        rates: &[u16; FAULTS.len()],
    ) -> Self {
        let mut random = fork(seed, 1_000 + number);
        let mut job = common.clone();
        let mut varied = fork(seed, 2_000 + number);
        if options.faults.has(Fault::Restart) {
            job.vary(&mut varied, lease);
        }
        let longest = one_of(&mut random, &[2, 20, 120, 120, 600]);
        let length = between(&mut random, Duration::ZERO, SECOND * longest);
        let choice = random.below(10);
        let (steps, operations) = (random.below(300), random.below(60));
        let end = match choice {
            0..4 if options.faults.has(Fault::Crash) => End::Crash(steps),
            4..8 if options.faults.has(Fault::PowerLoss) => End::PowerLoss(operations),
            8..10 if options.faults.has(Fault::Stop) => End::Stop,
            _ => End::Crash(0),
        };
        let lost = random.draw();
        let loss = match (end, lost % 4) {
            (End::PowerLoss(_), 0) => Loss::Unsynced,
            (End::PowerLoss(_), _) => Loss::Seeded(lost),
            _ => Loss::Nothing,
        };
        let longest = SECOND * one_of(&mut random, &[0, 2, 30, 200]);
        let down = between(&mut random, Duration::ZERO, longest);
        let idle = random.chance(150).then(|| between(&mut random, SECOND, lease * 2));
        let troubles = draw_troubles(seed, number, length, options, rates);
        Self { length, end, loss, down, until_idle: idle, job, troubles }
    }

    /// The last life: nothing goes wrong any more, and it ends by itself.
    fn quiet(common: &JobPlan, lease: Duration) -> Self {
        let mut job = common.clone();
        // The way out of a full ledger is to raise its limit.
        job.limits.ledger_max_ids = job.limits.ledger_max_ids.max(100_000);
        job.drain_deadline = SECOND * 120;
        Self {
            length: Duration::MAX,
            end: End::None,
            loss: Loss::Nothing,
            down: Duration::ZERO,
            until_idle: Some(lease + SECOND * 5),
            job,
            troubles: Vec::new(),
        }
    }
}

fn draw_troubles(
    seed: u64,
    number: u64,
    length: Duration,
    options: &Options,
    rates: &[u16; FAULTS.len()],
) -> Vec<(Duration, Trouble)> {
    let mut all = Vec::new();
    for (fault, ..) in FAULTS {
        let mut random = fork(seed, 10_000 + number * 100 + fault as u64);
        let rate = u64::from(rates[fault as usize]);
        if !options.faults.has(fault) || rate == 0 || trouble(fault, &mut random).is_none() {
            continue;
        }
        // At a rate of 60 in a thousand: one in about 17 seconds, and of what hurts more one in about 3 minutes.
        let rare = if matches!(fault, Fault::DeadHandle | Fault::EarlyReturn) { 1 } else { 10 };
        let expected = length.as_millis() as u64 * rate / (1_000_000 * rare);
        let count = random.below(2 * expected + 2).min(50);
        for _ in 0..count {
            let at = between(&mut random, Duration::ZERO, length);
            all.extend(trouble(fault, &mut random).map(|trouble| (at, trouble)));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

/// The trouble of a kind that happens at a time; `None` for what happens to calls and lives.
fn trouble(fault: Fault, random: &mut Random) -> Option<Trouble> {
    use headwater_job::fs::Fault as File;
    let jump = |random: &mut Random| {
        let longest = one_of(random, &[2_000, 60_000, 600_000]);
        i64::try_from(random.below(2 * longest)).unwrap_or(0) - i64::try_from(longest).unwrap_or(0)
    };
    Some(match fault {
        Fault::DeadHandle => Trouble::DeadHandle,
        Fault::EarlyReturn => Trouble::EarlyReturn,
        Fault::Denied => {
            let call = one_of(random, &[Call::Receive, Call::Delete, Call::Describe, Call::Extend]);
            Trouble::Deny(call, between(random, SECOND, SECOND * 60))
        }
        Fault::ServerClock => Trouble::ServerClock(jump(random)),
        Fault::WallClock => Trouble::WallClock(jump(random)),
        Fault::DiskFull => Trouble::DiskFull(random.below(3_000), between(random, SECOND, SECOND * 30)),
        Fault::SyncError => Trouble::File(one_of(random, &[File::Sync, File::SyncDir]), random.below(12)),
        Fault::FileError => {
            Trouble::File(one_of(random, &[File::Create, File::Rename, File::Remove]), random.below(12))
        }
        Fault::SlowSink => Trouble::SlowSink(between(random, SECOND, SECOND * 300)),
        Fault::SlowStore => Trouble::SlowStore(between(random, SECOND, SECOND * 300)),
        Fault::SecondStart if random.chance(200) => Trouble::TakeOver,
        Fault::SecondStart => Trouble::SecondStart,
        Fault::CopiedState => Trouble::CopyStart { old: random.chance(500) },
        Fault::SetBack => Trouble::BackUp,
        _ => return None,
    })
}
