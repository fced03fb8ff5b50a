//! One life of the process: the real store, source, sinks and runner, from start to end or death.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use headwater_core::{Clock, Delivery, JobContext, Sink, SinkFactory, SinkRequest, Source};
use headwater_formats::{MessageEncoding, RowType};
use headwater_job::fs::Loss;
use headwater_job::sinks::filesystem::FilesystemFactory;
use headwater_job::{
    BadRows, Guarantee, Input, JobError, JobErrorKind, JobReport, Lineage, LocalStore, Part, RunOptions, Runner,
    StoreOptions,
};
use headwater_queue_source::{
    BadRecords, DeadLetterTarget, LogConfig, QueueSource, SourceConfig, Watch, dead_letter_columns,
};

use super::client::{Disk, LifeClock, SimQueue};
use super::consumer::Consumer;
use super::data::Policy;
use super::faults::Fault;
use super::invariants;
use super::letters::LetterQueue;
use super::others::Backup;
use super::parts::{SimSink, SimStore, look, place, staged};
use super::plan::{Life, Plan};
use super::rows::{Everywhere, Lines, columns};
use super::world::{NowLife, Sim, note};

/// Virtual time that a life may take after it was told to end; the quiet one, from its beginning. Two hours: longer than every
/// stall, and than the patience of a full ledger.
const PATIENCE: Duration = Duration::from_secs(2 * 3_600);

/// How a life ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Done(Box<JobReport>),
    Failed(JobError),
    Died,
}

/// Runs one life. Time passes whenever nothing else can happen.
pub(crate) fn live(sim: &Arc<Sim>, number: u32, life: &Life, quiet: bool) -> Ended {
    sim.lock().begin_life(number, life, quiet);
    let clock = Arc::clone(sim);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || pass_time(&clock))
        .build()
        .expect("a runtime without a driver");
    let limit = sim.clock.now() + if quiet { Duration::ZERO } else { life.length } + PATIENCE;
    sim.lock().now.limit = limit;
    let ended = runtime.block_on(Mortal { sim, flag: Arc::default(), inner: pin!(process(sim, life)) });
    // What is in flight is dropped with the process.
    drop(runtime);
    ended
}

/// Called when no task can go on: the judge looks, and the clock moves to whatever comes next.
fn pass_time(sim: &Sim) {
    let now = sim.clock.now();
    let next = {
        let mut world = sim.lock();
        if world.now.dead {
            return;
        }
        world.judge_inside();
        let next = [sim.clock.next_deadline(), world.next_event()].into_iter().flatten().min();
        world.violate(invariants::enabled(next.map(|next| next.since(now))));
        let over = invariants::ends(now.since(world.now.limit), Duration::ZERO, "a life that was told to end");
        world.violate(over);
        let stop_by = world.now.stop_by.unwrap_or(now);
        world.violate(invariants::ends(now.since(stop_by), Duration::ZERO, "a stop with a deadline"));
        next
    };
    let Some(next) = next else { return };
    sim.clock.advance(next.since(now));
    let mut world = sim.lock();
    world.run_due();
    // Without this the thread would go to sleep for good if nothing was woken.
    if let Some(main) = world.now.main.take() {
        main.wake();
    }
}

/// The process: dropped where it stands when it dies.
struct Mortal<'a, F> {
    sim: &'a Arc<Sim>,
    flag: Arc<Flag>,
    inner: Pin<&'a mut F>,
}

/// Whether the process itself was woken, and not only the one that lets time pass.
#[derive(Default)]
struct Flag {
    woken: AtomicBool,
    main: std::sync::Mutex<Option<Waker>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        if let Some(main) = &*self.main.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            main.wake_by_ref();
        }
    }
}

impl<F: Future<Output = Result<JobReport, JobError>>> Future for Mortal<'_, F> {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let this = &mut *self;
        let first = {
            let mut main = this.flag.main.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            main.replace(cx.waker().clone()).is_none()
        };
        this.sim.lock().now.main = Some(cx.waker().clone());
        if this.sim.lock().now.dead || this.sim.disk.crashed() && this.sim.step() {
            return Poll::Ready(Ended::Died);
        }
        if this.flag.woken.swap(false, Ordering::Relaxed) || first {
            let waker = Waker::from(Arc::clone(&this.flag));
            if this.sim.step() {
                return Poll::Ready(Ended::Died);
            }
            let done = this.inner.as_mut().poll(&mut Context::from_waker(&waker));
            // Whatever it says after its death is not heard.
            if this.sim.step() {
                return Poll::Ready(Ended::Died);
            }
            if let Poll::Ready(done) = done {
                return Poll::Ready(done.map_or_else(Ended::Failed, |report| Ended::Done(Box::new(report))));
            }
        }
        Poll::Pending
    }
}

async fn process(sim: &Arc<Sim>, life: &Life) -> Result<JobReport, JobError> {
    let plan = Arc::clone(&sim.lock().plan);
    let number = sim.lock().now.number;
    let clock: Arc<dyn Clock> = Arc::new(LifeClock::new(sim));
    let disk = Arc::new(Disk::new(sim));
    let mut options = StoreOptions::new(Lineage(u128::from(plan.seed) << 64 | u128::from(number)));
    options.owner = format!("life {number}");
    let places = sim.lock().places.clone();
    options.accept_loss = places.copied;
    let store = LocalStore::open(disk.clone(), &places.state, &options)?;
    sim.lock().has_state();
    let lineage = store.lineage().to_string();
    let mut sinks: Vec<(String, Box<dyn Sink>)> = Vec::new();
    for sink in 0..plan.sinks {
        let (name, options) =
            (format!("t{sink}"), [("format", "csv"), ("sink.rolling-policy.file-size", life.job.file_size)]);
        let request = request(&name, sink, columns(), &options, &lineage, life);
        sinks.push((name, directory(sim, &disk, &clock, sink, &request).await?));
    }
    let letters = letters(sim, &disk, &clock, &lineage, life).await?;
    let queue = Arc::new(SimQueue { sim: Arc::clone(sim), margin: life.job.receive_margin });
    let mut config = config(sim, life, &store);
    if let Some(log) = &plan.log {
        let mut own = LogConfig::new(disk.clone(), &places.log, u128::from(plan.seed) << 64 | u128::from(number));
        (own.bytes_max, own.segment_bytes, own.group_bytes) = (log.bytes_max, log.segment_bytes, log.group_bytes);
        own.owner = format!("life {number}");
        config = config.commit_log(own);
    }
    config.accept_loss = places.copied;
    config.start_time = sim.lock().start_time();
    #[cfg(feature = "traps")]
    {
        config.limits.trap = sim.lock().trap;
    }
    sim.lock().widen(&config);
    let source = QueueSource::open_with(queue, Arc::clone(&clock), config, letters).await?;
    sim.lock().now.has_log = plan.log.is_some();
    judge_promise(sim, &source, &sinks);
    let runner = assemble(sim, life, source, sinks, store, clock, places.copied)?;
    runner.run().await
}

/// What a table of a `filesystem` sink asks for.
fn request(
    table: &str,
    sink: usize,
    columns: RowType,
    options: &[(&str, &str)],
    lineage: &str,
    life: &Life,
) -> SinkRequest {
    let place = place(sink);
    let path = [("path", place.to_str().unwrap_or_default())];
    SinkRequest {
        table: table.to_owned(),
        columns,
        partitioned_by: Vec::new(),
        options: path.iter().chain(options).copied().collect(),
        context: JobContext::new("simulated", life.job.limits.checkpoint_interval),
        lineage: lineage.to_owned(),
    }
}

async fn directory(
    sim: &Arc<Sim>,
    disk: &Arc<Disk>,
    clock: &Arc<dyn Clock>,
    number: usize,
    request: &SinkRequest,
) -> Result<Box<dyn Sink>, JobError> {
    let inner = FilesystemFactory::new(disk.clone()).create(request).await?;
    let (sim, name, clock) = (Arc::clone(sim), request.table.clone(), Arc::clone(clock));
    Ok(Box::new(SimSink { sim, number, name, inner, clock, writes: 0 }))
}

/// Where dead letters go, if they go anywhere.
async fn letters(
    sim: &Arc<Sim>,
    disk: &Arc<Disk>,
    clock: &Arc<dyn Clock>,
    lineage: &str,
    life: &Life,
) -> Result<Option<DeadLetterTarget>, JobError> {
    let plan = Arc::clone(&sim.lock().plan);
    let (sink, place): (Box<dyn Sink>, _) = match plan.data.as_ref().map(|data| data.policy) {
        None | Some(Policy::Skip) => return Ok(None),
        Some(Policy::Queue) => (Box::new(LetterQueue { sim: Arc::clone(sim), clock: Arc::clone(clock) }), "queue dead"),
        Some(Policy::Directory) => {
            let options = [("format", "json"), ("json.encode.ignore-null-fields", "true")];
            let request = request("letters", plan.sinks, dead_letter_columns(), &options, lineage, life);
            (directory(sim, disk, clock, plan.sinks, &request).await?, "a directory")
        }
    };
    Ok(Some(DeadLetterTarget::new(sink, place)))
}

fn config(sim: &Sim, life: &Life, store: &LocalStore) -> SourceConfig {
    let mut config = SourceConfig::new("simulated", Arc::new(Lines::new()));
    let job = &life.job;
    config.encoding = MessageEncoding::Raw;
    config.limits = job.limits.clone();
    config.pollers = job.pollers;
    config.delete_workers = job.delete_workers;
    config.objective = job.objective;
    config.lease_policy = job.lease_policy;
    config.extends_per_second = job.extends_per_second;
    config.wait = job.wait;
    config.batch_rows = job.batch_rows;
    config.batch_bytes = job.batch_bytes;
    config.backoff_max = job.backoff_max;
    config.seed = job.seed;
    // Decoded by the consumer, and up to one or two batches by pollers.
    config.decode_ahead = Some((job.seed % 3) as usize);
    config.earlier_run = store.earlier_run();
    let world = sim.lock();
    if let Some(data) = &world.plan.data {
        config.bad_records = match (world.now.strict.fails, data.policy) {
            (true, _) => BadRecords::Fail,
            (false, Policy::Skip) => BadRecords::Skip,
            (false, _) => BadRecords::DeadLetter,
        };
        config.max_dequeue_count = data.max_dequeue_count;
        config.bad_records_max_count = world.now.strict.budget;
    }
    config
}

/// What the runner does with rows on which the plan fails: as the source does with bad ones.
fn bad_rows(sim: &Sim) -> BadRows {
    let world = sim.lock();
    match &world.plan.data {
        Some(data) if !world.now.strict.fails => {
            if data.policy == Policy::Skip {
                BadRows::Skip
            } else {
                BadRows::DeadLetter
            }
        }
        _ => BadRows::Fail,
    }
}

/// The job's promise is the least of its parts'.
fn judge_promise(sim: &Sim, source: &QueueSource, sinks: &[(String, Box<dyn Sink>)]) {
    let part = |name: &str, delivery| Part { name: name.to_owned(), delivery, sentence: String::new() };
    let sources = [part("simulated", source.delivery())];
    let sinks: Vec<Part> = sinks.iter().map(|(name, sink)| part(name, sink.delivery())).collect();
    let claimed = Guarantee::of(&sources, &sinks).delivery;
    let parts: Vec<Delivery> = sources.iter().chain(&sinks).map(|part| part.delivery).collect();
    let found = invariants::honest(claimed, &parts);
    sim.lock().violate(found);
}

fn assemble(
    sim: &Arc<Sim>,
    life: &Life,
    source: QueueSource,
    sinks: Vec<(String, Box<dyn Sink>)>,
    store: LocalStore,
    clock: Arc<dyn Clock>,
    accept_loss: bool,
) -> Result<Runner, JobError> {
    let watch = source.watch();
    let plan = Everywhere::new(sinks.iter().map(|(name, _)| name.clone()));
    let wishes = sim.lock().plan.data.is_some();
    let source: Box<dyn Source> = Box::new(source);
    let source = if wishes { Box::new(Consumer::new(sim, source)) } else { source };
    let input = Input { table: "simulated".into(), source, bad_rows: bad_rows(sim) };
    let store = SimStore { sim: Arc::clone(sim), inner: store, clock: Arc::clone(&clock) };
    let mut options = RunOptions::default();
    options.job = "simulated".into();
    options.accept_loss = accept_loss;
    options.until_idle = life.until_idle;
    options.drain_deadline = life.job.drain_deadline;
    let runner = Runner::new(vec![input], Box::new(plan), sinks, Box::new(store), clock, options)?;
    let mut world = sim.lock();
    world.now.watch = Some(watch);
    world.now.stopper = Some(runner.stopper());
    if world.now.stop_wanted {
        world.stop(&runner.stopper());
    }
    Ok(runner)
}

/// Runs one life on a copy of the disk on which an old state was put back in place: it must be refused, and take nothing.
pub(crate) fn be_refused(sim: &Arc<Sim>, number: u32, life: &Life, backup: &Backup) {
    let calls = sim.lock().set_back(backup);
    let ended = live(sim, number, life, true);
    let mut world = sim.lock();
    let refused = match &ended {
        Ended::Failed(error) => Err((error.kind() == JobErrorKind::State, error.to_string())),
        Ended::Done(_) | Ended::Died => Ok(()),
    };
    world.judge_set_back(refused, calls);
}

/// What a life leaves behind, and whether it may have ended so.
pub(crate) fn bury(sim: &Arc<Sim>, life: &Life, ended: &Ended) {
    let mut world = sim.lock();
    match ended {
        Ended::Done(report) => {
            world.figures.drains += 1;
            note!(
                world,
                "process",
                "has ended: {} rows, {} checkpoints",
                report.rows.values().sum::<u64>(),
                report.checkpoints
            );
        }
        Ended::Failed(error) => {
            let text = error.to_string();
            note!(world, "process", "has failed: {text}");
            world.figures.failures += 1;
            let given = is_given(&world.now, error, &text, life, &world.plan);
            world.violate(invariants::failed_for_a_reason(&text, given));
        }
        Ended::Died => {}
    }
    world.figures.suppressed += world.now.watch.as_ref().map_or(0, Watch::duplicates);
    // What was kept of the process goes with it, and so do its troubles to come.
    let gone = std::mem::take(&mut world.now);
    drop(world);
    // The power may also fail after the process has ended by itself.
    sim.disk.restart(life.loss);
    let mut world = sim.lock();
    if life.loss != Loss::Nothing {
        world.figures.hit(Fault::PowerLoss);
        note!(world, "disk", "{:?}", life.loss);
    }
    if life.loss != Loss::Nothing || gone.disk_failed {
        // What is shown may be another thing now: a file whose name could not be made durable is taken back.
        world.books.blink();
    }
    drop(world);
    let sinks = sim.lock().plan.places();
    (0..sinks).for_each(|sink| look(sim, sink));
    let staged: Vec<_> = (0..sinks).filter(|_| gone.disk_failed).map(|sink| staged(sim, sink)).collect();
    sim.lock().judge_deleted(&staged);
}

/// Whether something was done to this life that explains how it failed.
fn is_given(now: &NowLife, error: &JobError, text: &str, life: &Life, plan: &Plan) -> bool {
    // What is written by the source itself fails it.
    let writes = plan.log.is_some() || plan.places() > plan.sinks;
    match (error, error.kind()) {
        (_, JobErrorKind::Denied) => now.was_denied,
        (_, JobErrorKind::BadData) => now.was_unreadable || now.strict.fails || now.strict.budget.is_some(),
        (_, JobErrorKind::Configuration) => false,
        (JobError::Store(_), JobErrorKind::State) => now.takeover_tried,
        // A stop has its deadline, whatever the disk does.
        _ if text.contains("was not taken within") => {
            now.disk_failed || now.was_stalled || life.job.drain_deadline <= Duration::from_secs(1)
        }
        (JobError::Sink(_) | JobError::Saves { .. } | JobError::Store(_), _) => {
            now.disk_failed && error.kind() == JobErrorKind::Failed
        }
        (JobError::Source(_), JobErrorKind::Failed) if now.letters_refused || writes && now.disk_failed => true,
        _ => text.contains("ledgerMaxIds") && life.job.limits.ledger_max_ids < 10_000,
    }
}
