//! The queue source over real HTTP: seeded histories against a local MNS server that drops requests, loses answers after the
//! effect, throttles, fails batch entries, shortens leases, damages bodies and delivers twice, with crashes and restarts in between. In the
//! end every row is in exactly one committed epoch, the queue is empty, and nothing was deleted before its commit.
//!
//! Client, server and source share one virtual clock, so nothing waits. `SEED=7 cargo test --test queue_source_http` repeats
//! one history; its choices are the seed's, but sockets are the machine's, so the order within a moment may differ.

#[path = "queue_source_http/damage.rs"]
mod damage;
#[path = "queue_source/lines.rs"]
mod lines;
#[path = "queue_source/outside.rs"]
mod outside;
#[path = "queue_source_http/parked.rs"]
mod parked;
#[path = "queue_source_http/stall.rs"]
mod stall;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use headwater_core::{Clock, Event, ManualClock, Source, SourceError, WallMs};
use headwater_formats::MessageEncoding;
use headwater_mns_client::{Credentials, Endpoint, MnsClient, MnsQueue};
use headwater_mns_proto::{NewMessage, Operation, QueueSettings};
use headwater_mns_server::{
    AbnormalConsumption, DeadHandle, Dose, Faults, PerOperation, Server, ServerHandle, ShortLease, Span,
};
use headwater_queue_source::{LeasePolicy, Objective, QueueSource, SourceConfig};
use headwater_testkit::Random;

use self::damage::Damaged;
use self::lines::Lines;
use self::outside::Outside;

const START: WallMs = WallMs(1_795_161_600_000);
const SECOND: Duration = Duration::from_secs(1);
const QUEUE: &str = "orders";
const POLLERS: usize = 4;
/// Turns of the executor, each with a look at the sockets, in which no request ended: then nothing more happens at this
/// moment. A round trip takes about ten.
const QUIET_TURNS: u32 = 64;
/// Virtual time the quiet end of a history may take: a hundred of the longest leases.
const END_MAX: Duration = Duration::from_secs(3_000);

/// What happened, summed over histories.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    rows: u64,
    crashes: u64,
    restores: u64,
    drains: u64,
    failed_saves: u64,
    duplicates: u64,
    dropped_requests: u64,
    lost_answers: u64,
    refusals: [u64; 3],
}

struct World {
    random: Random,
    clock: ManualClock,
    server: ServerHandle,
    lease: Duration,
    outside: Outside,
    /// The rows of every message sent, by its id.
    sent: BTreeMap<String, Vec<String>>,
    deleted_seen: usize,
    tally: Tally,
}

/// One life of the source, and the rows handed out since its last barrier: what a crash takes with it.
struct Life {
    source: QueueSource,
    open: Vec<String>,
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[usize::try_from(random.below(choices.len() as u64)).expect("an index")]
}

fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=SEEDS).collect(),
    }
}

/// Histories: ten to fifteen seconds' worth in a debug build.
const SEEDS: u64 = 18;

#[test]
fn every_row_exactly_once_over_http() {
    let seeds = seeds();
    let (mut sum, damaged) = (Tally::default(), Damaged::default());
    for &seed in &seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        match metrics::with_local_recorder(&damaged, || runtime.block_on(history(seed))) {
            Ok(tally) => sum.add(&tally),
            Err(why) => panic!("SEED={seed}: {why}"),
        }
    }
    println!("{sum:?}, {} bodies damaged", damaged.count());
    // Histories in which nothing happens prove nothing.
    if seeds.len() as u64 == SEEDS {
        assert!(sum.rows > 40 * SEEDS && sum.crashes > SEEDS && sum.restores > SEEDS && sum.drains > 2, "{sum:?}");
        assert!(sum.failed_saves > SEEDS / 2 && sum.duplicates > SEEDS, "{sum:?}");
        assert!(sum.dropped_requests > SEEDS && sum.lost_answers > SEEDS, "{sum:?}");
        assert!(damaged.count() > SEEDS / 2, "{} bodies damaged", damaged.count());
        assert!(sum.refusals.iter().all(|refused| *refused > SEEDS), "429, 500, 503: {sum:?}");
    }
}

async fn history(seed: u64) -> Result<Tally, String> {
    let mut random = Random::new(seed);
    let clock = ManualClock::new(START);
    let lease = SECOND * one_of(&mut random, &[6, 12, 30]);
    let settings =
        QueueSettings { visibility_timeout: u32::try_from(lease.as_secs()).ok(), ..QueueSettings::default() };
    let server = Server::builder().manual_clock(clock.clone()).seed(seed).queue_with(QUEUE, settings).start().await;
    let mut world = World {
        random,
        clock,
        server: server.map_err(|error| error.to_string())?,
        lease,
        outside: Outside::default(),
        sent: BTreeMap::new(),
        deleted_seen: 0,
        tally: Tally::default(),
    };
    for _ in 0..2 + world.random.below(4) {
        Box::pin(world.live()).await.map_err(|why| format!("{why}; at {:?}", world.clock.now()))?;
    }
    Box::pin(world.finish()).await?;
    Ok(world.tally)
}

impl World {
    /// From start to crash or clean end.
    async fn live(&mut self) -> Result<(), String> {
        self.trouble();
        let mut life = self.start().await?;
        for _ in 0..10 + self.random.below(50) {
            if !self.act(&mut life).await? {
                // The process dies: its connections close in the middle of whatever they carry.
                self.tally.crashes += 1;
                return Ok(());
            }
            self.judge(&life)?;
        }
        if self.random.chance(500) {
            self.tally.crashes += 1;
            return Ok(());
        }
        self.end(life).await
    }

    /// Other faults from here on.
    fn trouble(&mut self) {
        let random = &mut self.random;
        let all = |rate| PerOperation::all(Dose::Rate(rate));
        let deletes = |rate| {
            let dose = Dose::Rate(rate);
            PerOperation::default().on(Operation::BatchDeleteMessage, dose).on(Operation::DeleteMessage, dose)
        };
        let told = random.chance(500);
        let lossy = one_of(random, &[0.0, 0.05, 0.2]);
        self.server.set_faults(Faults {
            seed: random.draw(),
            latency_millis: Span { min: 0, max: one_of(random, &[0, 20, 300]) },
            answer_latency_millis: Span { min: 0, max: one_of(random, &[0, 20, 300, 4_000]) },
            drop_request: if random.chance(300) { deletes(0.7) } else { all(one_of(random, &[0.0, 0.05, 0.1])) },
            lose_answer: if random.chance(500) { deletes(0.5) } else { all(lossy) },
            too_many_requests: all(one_of(random, &[0.0, 0.05, 0.1])),
            internal_error: all(one_of(random, &[0.0, 0.05, 0.1])),
            unavailable: all(one_of(random, &[0.0, 0.05, 0.1])),
            close_on_error: Dose::Rate(0.5),
            duplicate: Dose::Rate(one_of(random, &[0.0, 0.1, 0.5])),
            fail_delete_entry: Dose::Rate(one_of(random, &[0.0, 0.1, 0.4])),
            short_lease: ShortLease { dose: Dose::Rate(one_of(random, &[0.0, 0.1, 0.3])), millis: 700, told },
            empty_receive: Dose::Rate(one_of(random, &[0.0, 0.1])),
            fewer_messages: Dose::Rate(one_of(random, &[0.0, 0.3])),
            damage_body: Dose::Rate(one_of(random, &[0.0, 0.03])),
            max_parked_polls: one_of(random, &[None, Some(2)]),
            abnormal_consumption: random
                .chance(300)
                .then(|| AbnormalConsumption { max_undeleted: 20, ..AbnormalConsumption::default() }),
            dead_handle: DeadHandle::Either,
            ..Faults::default()
        });
    }

    /// One step of the consumer, or of the world around it; false for a crash.
    async fn act(&mut self, life: &mut Life) -> Result<bool, String> {
        match self.random.below(100) {
            0..20 => self.send()?,
            20..70 => {
                let patience = Duration::from_millis(self.random.below(4_000));
                if let Some(event) = within(&self.clock, &self.server, patience, life.source.next()).await
                    && take(life, event)?
                    && self.random.chance(800)
                {
                    return self.checkpoint(life).await;
                }
            }
            70..80 => {
                let longest = one_of(&mut self.random, &[500, 5_000, 40_000]);
                pass(&self.clock, &self.server, Duration::from_millis(self.random.below(longest))).await;
            }
            80..92 => return self.checkpoint(life).await,
            92..97 => self.trouble(),
            _ => return Ok(!self.random.chance(300)),
        }
        Ok(true)
    }

    fn send(&mut self) -> Result<(), String> {
        for _ in 0..1 + self.random.below(8) {
            let number = self.sent.len();
            let rows: Vec<String> = (0..self.random.below(4)).map(|row| format!("m{number}-{row}")).collect();
            let body = if rows.is_empty() { "\n".to_owned() } else { rows.join("\n") };
            let sent = self.server.put(QUEUE, [NewMessage::new(body)]).map_err(|error| error.to_string())?;
            self.sent.insert(sent[0].id.to_string(), rows);
        }
        Ok(())
    }

    /// A checkpoint with a save that may fail and a death at any point; false if it died.
    async fn checkpoint(&mut self, life: &mut Life) -> Result<bool, String> {
        let id = self.outside.next_id();
        let state = life.source.checkpoint(id).await.map_err(|e| text("checkpoint", &e))?;
        self.outside.stage(id, std::mem::take(&mut life.open));
        let luck = self.random.below(100);
        if luck < 15 {
            // A failed save is indeterminate: it may be durable all the same.
            self.tally.failed_saves += 1;
            if luck < 7 {
                self.outside.save(id, state);
            }
            life.source.abort(id).await.map_err(|e| text("abort", &e))?;
            return Ok(true);
        }
        if self.random.chance(30) {
            return Ok(false);
        }
        self.outside.save(id, state);
        if self.random.chance(30) {
            return Ok(false);
        }
        self.outside.commit(id)?;
        if self.random.chance(30) {
            return Ok(false);
        }
        life.source.commit(id).await.map_err(|e| text("commit", &e))?;
        Ok(true)
    }

    /// A new process: a client of its own, a source, restored as an embedder does.
    async fn start(&mut self) -> Result<Life, String> {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let queue = client(&self.server, &self.clock);
        let opening = Box::pin(QueueSource::open(Arc::new(queue), clock, self.config()));
        let opened = within(&self.clock, &self.server, END_MAX, opening).await;
        let mut source = opened.ok_or("it never opened")?.map_err(|e| text("open", &e))?;
        let saved = self.outside.recover();
        let id = saved.as_ref().map(|saved| saved.id);
        if let Some(saved) = saved {
            self.tally.restores += 1;
            source.restore(saved.id, saved.state).await.map_err(|e| text("restore", &e))?;
        }
        let mut life = Life { source, open: Vec::new() };
        if let Some(id) = id {
            // The sinks take their time: until they are done, nothing of this checkpoint may be deleted.
            pass(&self.clock, &self.server, SECOND).await;
            self.judge(&life)?;
            self.outside.commit(id)?;
            life.source.commit(id).await.map_err(|e| text("commit after restore", &e))?;
        }
        Ok(life)
    }

    fn config(&mut self) -> SourceConfig {
        let random = &mut self.random;
        let mut config = SourceConfig::new("t", Lines::factory());
        config.encoding = MessageEncoding::Raw;
        config.pollers = one_of(random, &[1, POLLERS, 64]);
        config.objective = one_of(random, &[Objective::Latency, Objective::Throughput, Objective::Cost]);
        config.delete_workers = one_of(random, &[0, 1, 2]);
        config.wait = SECOND * one_of(random, &[0, 1, 5]);
        config.backoff_max = SECOND;
        config.seed = random.draw();
        config.limits.batch_max = one_of(random, &[1, 4, 16]);
        config.limits.undeleted_max = one_of(random, &[10, 64]);
        config.limits.checkpoint_max_messages = 5;
        config.limits.checkpoint_interval = self.lease / 3;
        config.lease_policy = one_of(random, &[LeasePolicy::Auto, LeasePolicy::Extend, LeasePolicy::Absorb]);
        config.limits.grace = SECOND * one_of(random, &[0, 5, 30]);
        config
    }

    /// A clean end: stop, hand out the rest, the last checkpoint, drain.
    async fn end(&mut self, mut life: Life) -> Result<(), String> {
        self.tally.drains += 1;
        life.source.stop().await;
        while let Some(event) = within(&self.clock, &self.server, END_MAX, life.source.next()).await {
            if matches!(event, Ok(None)) {
                break;
            }
            take(&mut life, event)?;
        }
        if !self.checkpoint(&mut life).await? {
            return Ok(());
        }
        let deadline = SECOND * one_of(&mut self.random, &[0, 2, 30]);
        let drained = within(&self.clock, &self.server, deadline + SECOND, life.source.drain(deadline)).await;
        drained.ok_or("the drain has not kept its deadline")?.map_err(|e| text("drain", &e))?;
        self.judge(&life)
    }

    /// What must hold at any time.
    fn judge(&mut self, life: &Life) -> Result<(), String> {
        life.source.check().map_err(|violation| violation.to_string())?;
        let deleted = self.server.deleted(QUEUE);
        for id in &deleted[self.deleted_seen..] {
            if let Some(row) = self.sent[id].iter().find(|row| !self.outside.has(row)) {
                return Err(format!("G1: message {id} is deleted, and its row {row} is not committed"));
            }
        }
        self.deleted_seen = deleted.len();
        Ok(())
    }

    /// No more trouble: what is in the queue must come out, once, and the queue must become empty.
    async fn finish(&mut self) -> Result<(), String> {
        self.server.set_faults(Faults::default());
        let mut life = self.start().await?;
        let end = self.clock.now() + END_MAX;
        while self.server.deleted(QUEUE).len() < self.sent.len() {
            if self.clock.now() >= end {
                let (left, status) = (self.server.counts(QUEUE), life.source.status());
                return Err(format!(
                    "G3: after {END_MAX:?} without faults the queue is not empty: {left:?}, {status:?}"
                ));
            }
            let event = within(&self.clock, &self.server, SECOND * 5, life.source.next()).await;
            if let Some(event) = event
                && take(&mut life, event)?
            {
                let id = self.outside.next_id();
                let state = life.source.checkpoint(id).await.map_err(|e| text("checkpoint", &e))?;
                self.outside.stage(id, std::mem::take(&mut life.open));
                self.outside.save(id, state);
                self.outside.commit(id)?;
                life.source.commit(id).await.map_err(|e| text("commit", &e))?;
            }
            self.judge(&life)?;
        }
        let counts = self.server.counts(QUEUE).map_err(|error| error.to_string())?;
        if counts.visible + counts.leased + counts.undeleted > 0 {
            return Err(format!("everything is deleted, and the queue holds {counts:?}"));
        }
        let rows = self.sent.values().flatten();
        let missing: Vec<_> = rows.clone().filter(|row| !self.outside.has(row)).collect();
        if !missing.is_empty() || rows.count() != self.outside.rows() {
            return Err(format!("G3: {} rows are committed, missing {missing:?}", self.outside.rows()));
        }
        self.tally.count(&self.server, self.outside.rows());
        Ok(())
    }
}

impl Tally {
    /// Adds what the server's journal tells.
    fn count(&mut self, server: &ServerHandle, rows: usize) {
        let journal = server.journal();
        let entries = |judge: &dyn Fn(&headwater_mns_server::Entry) -> bool| {
            journal.entries().filter(|entry| judge(entry)).count() as u64
        };
        self.rows = rows as u64;
        self.dropped_requests = entries(&|entry| entry.status == 0);
        self.lost_answers = entries(&|entry| entry.lost);
        self.refusals = [429, 500, 503].map(|status| entries(&|entry| entry.status == status));
        let delivered = journal.messages(Operation::BatchReceiveMessage) + journal.messages(Operation::ReceiveMessage);
        self.duplicates = delivered.saturating_sub(server.deleted(QUEUE).len() as u64);
    }

    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.crashes += other.crashes;
        self.restores += other.restores;
        self.drains += other.drains;
        self.failed_saves += other.failed_saves;
        self.duplicates += other.duplicates;
        self.dropped_requests += other.dropped_requests;
        self.lost_answers += other.lost_answers;
        for (sum, more) in self.refusals.iter_mut().zip(other.refusals) {
            *sum += more;
        }
    }
}

/// Keeps the rows of an event; true if a checkpoint is due.
fn take(life: &mut Life, event: Result<Option<Event>, SourceError>) -> Result<bool, String> {
    match event {
        Ok(Some(Event::Batch(batch))) => {
            let rows = batch.records().column(0).as_string::<i32>();
            life.open.extend(rows.iter().flatten().filter(|row| !row.is_empty()).map(str::to_owned));
            Ok(false)
        }
        Ok(Some(Event::CheckpointDue(_))) => Ok(true),
        Ok(other) => Err(format!("unexpected: {other:?}")),
        Err(error) => Err(text("the source failed by itself", &error)),
    }
}

fn text(what: &str, error: &SourceError) -> String {
    format!("{what}: {error}: {:?}", std::error::Error::source(error).map(ToString::to_string))
}

/// A client of its own, as of a new process.
fn client(server: &ServerHandle, clock: &ManualClock) -> MnsQueue {
    let endpoint = Endpoint::parse(&server.endpoint()).expect("an endpoint");
    let client = MnsClient::builder(endpoint, Credentials::key("testid", "testsecret")).clock(Arc::new(clock.clone()));
    client.build().expect("a client").queue(QUEUE).verify_bodies(true)
}

/// What `future` gives, or `None` when it has not by `patience` of virtual time.
async fn within<T>(
    clock: &ManualClock,
    server: &ServerHandle,
    patience: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! { biased; value = future => Some(value), () = pass(clock, server, patience) => None }
}

/// Moves the clock by `by`, from deadline to deadline, each time after everything is done that can be done at that moment.
/// (If the machine is so slow that an answer is still on its way then, it is a slow answer: also right.)
async fn pass(clock: &ManualClock, server: &ServerHandle, by: Duration) {
    let end = clock.now() + by;
    loop {
        let mut quiet = 0;
        let mut seen = answered(server);
        while quiet < QUIET_TURNS {
            tokio::task::yield_now().await;
            let now = answered(server);
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
        }
        let now = clock.now();
        if now >= end {
            return;
        }
        let next = clock.next_deadline().filter(|deadline| *deadline > now);
        clock.advance(next.map_or(end, |deadline| deadline.min(end)).since(now));
    }
}

fn answered(server: &ServerHandle) -> u64 {
    Operation::ALL.iter().map(|operation| server.requests(*operation)).sum()
}
