//! The world outside the process, which outlives it: the service and the calls on their way to it, the disk, the books.
//!
//! Everything happens in [`World::run_due`], one event after the other, in the order of time; what falls on one moment is
//! ordered by the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use headwater_core::{Clock, Handle, ManualClock, MessageKey, Mono, ServerMs, WallMs};
use headwater_job::Stopper;
use headwater_job::fs::MemoryFs;
use headwater_ledger::Violation;
use headwater_queue_source::{Footprint, Watch};

use super::books::Books;
use super::calls::{Asked, Calls};
use super::data::{DataPlan, Policy, Strictness};
use super::faults::Fault;
use super::figures::Figures;
use super::invariants;
use super::options::{Options, Sabotage};
use super::others::Places;
use super::plan::{Call, End, JobPlan, Life, Plan, Trouble, fork};
use super::service::{NewService, Service};
use super::trace::Trace;
use crate::random::Random;

/// The service's clock at the beginning of a world.
const BEGIN: i64 = 1_700_000_000_000;

/// Steps without any time passing that are called a busy loop: far above what 800 messages at one moment need.
const STEPS_MAX: u64 = 300_000;

/// What a stop may take beyond its deadline: steps aside at every await, and the checkpoint store's last note.
const STOP_SLACK: Duration = Duration::from_secs(1);

/// Handles remembered that troubles may hit.
const HANDLES_MAX: usize = 64;

/// What the process and the world share.
pub(crate) struct Sim {
    pub(crate) clock: ManualClock,
    pub(crate) disk: MemoryFs,
    world: Mutex<World>,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Arc<Plan>,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) skip_before: Option<Duration>,
    #[cfg(feature = "traps")]
    pub(crate) trap: Option<headwater_ledger::Trap>,
    pub(super) clock: ManualClock,
    pub(super) disk: MemoryFs,
    pub(crate) service: Box<dyn Service>,
    events: BTreeMap<(Mono, u64, u64), Happening>,
    next_event: u64,
    pub(crate) calls: Calls,
    ties: Random,
    /// What complaints and letters draw.
    pub(super) data_luck: Random,
    pub(super) luck: Random,
    pub(super) server_skew: i64,
    /// The latest that the service's clock has shown before a jump.
    pub(super) server_latest: ServerMs,
    pub(super) wall_skew: i64,
    pub(super) denied: BTreeMap<Call, Mono>,
    pub(crate) sink_stalls: Mono,
    pub(crate) store_stalls: Mono,
    pub(super) handles: Vec<Handle>,
    /// Messages that were found in the durable part of the source's own log.
    pub(super) logged: BTreeSet<MessageKey>,
    pub(super) disk_full: bool,
    pub(super) disk_ever_failed: bool,
    pub(crate) places: Places,
    /// Another disk than the world's, which the process is on.
    pub(super) elsewhere: Option<MemoryFs>,
    /// The widest bounds of any life so far: what is restored may be more than the bounds of now.
    pub(super) bounds: Option<(Footprint, u32)>,
    pub(crate) books: Books,
    /// The parts of saved states, by name.
    pub(crate) parts: BTreeMap<String, Arc<[u8]>>,
    pub(crate) trace: Trace,
    pub(crate) figures: Figures,
    pub(crate) now: NowLife,
    pub(crate) violation: Option<Violation>,
}

/// The life that is running.
#[derive(Default)]
pub(crate) struct NowLife {
    pub(crate) number: u32,
    /// Nothing that the process does has an effect any more.
    pub(crate) dead: bool,
    pub(crate) quiet: bool,
    pub(crate) steps_left: Option<u64>,
    pub(crate) steps_now: (Mono, u64),
    pub(crate) watch: Option<Watch>,
    pub(crate) stopper: Option<Stopper>,
    pub(crate) stop_wanted: bool,
    pub(crate) main: Option<Waker>,
    /// What was done to it that may make it fail.
    pub(crate) was_denied: bool,
    pub(crate) disk_failed: bool,
    pub(crate) was_unreadable: bool,
    pub(crate) was_stalled: bool,
    pub(crate) letters_refused: bool,
    /// It has its state open, and its log.
    pub(crate) has_state: bool,
    pub(crate) has_log: bool,
    /// Somebody without a lock has tried to take its state over, and has done it.
    pub(crate) takeover_tried: bool,
    pub(crate) taken_over: bool,
    pub(crate) strict: Strictness,
    /// When it has to have ended.
    pub(crate) limit: Mono,
    /// How long its end may take, and until when it has to be over once it was told to stop.
    pub(crate) stop_time: Duration,
    pub(crate) stop_by: Option<Mono>,
    /// Messages that the queue had deleted when it began.
    pub(super) deleted_before: u64,
}

/// Something on its way.
#[derive(Debug)]
pub(crate) enum Happening {
    Send(u32),
    Arrive(u64),
    Answer(u64),
    PollEnds(u64),
    Trouble(u32, Trouble),
    Room,
    Return(u32, Handle),
    EndOfLife(u32, End),
}

impl Sim {
    pub(crate) fn new(plan: Plan, options: &Options, service: &NewService) -> Arc<Self> {
        let clock = ManualClock::new(WallMs(BEGIN));
        let disk = MemoryFs::new();
        let seed = plan.seed;
        let plan = Arc::new(plan);
        let mut world = World {
            sabotage: options.sabotage,
            skip_before: options.skip_before,
            #[cfg(feature = "traps")]
            trap: options.trap,
            service: service(fork(seed, 4).draw(), ServerMs(BEGIN), plan.lease),
            events: BTreeMap::new(),
            next_event: 0,
            calls: Calls::default(),
            ties: fork(seed, 5),
            data_luck: fork(seed, 9),
            luck: fork(seed, 6),
            server_skew: 0,
            server_latest: ServerMs(BEGIN),
            wall_skew: 0,
            denied: BTreeMap::new(),
            sink_stalls: Mono::default(),
            store_stalls: Mono::default(),
            handles: Vec::new(),
            disk_full: false,
            disk_ever_failed: false,
            places: Places::new(),
            elsewhere: None,
            logged: BTreeSet::new(),
            bounds: None,
            books: books(&plan),
            parts: BTreeMap::new(),
            trace: Trace::new(options.trace),
            figures: Figures::default(),
            now: NowLife::default(),
            violation: None,
            clock: clock.clone(),
            disk: disk.clone(),
            plan: Arc::clone(&plan),
        };
        for (at, count) in &plan.sends {
            world.schedule(Mono(*at), Happening::Send(*count));
        }
        Arc::new(Self { clock, disk, world: Mutex::new(world) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // After a panic the world is only asked for its trace.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step of some part of the process. `true`: it has died, and this step does not happen.
    pub(crate) fn step(&self) -> bool {
        self.lock().step()
    }
}

macro_rules! note {
    ($world:expr, $actor:expr, $($what:tt)*) => {{
        let now = $world.mono();
        $world.trace.note(now, $actor, format_args!($($what)*));
    }};
}
pub(crate) use note;

impl World {
    pub(crate) fn mono(&self) -> Mono {
        self.clock.now()
    }

    /// The service's clock.
    pub(crate) fn server_now(&self) -> ServerMs {
        let passed = i64::try_from(self.mono().0.as_millis()).unwrap_or(i64::MAX);
        ServerMs(BEGIN + passed + self.server_skew)
    }

    /// Messages sent before this time are skipped.
    pub(crate) fn start_time(&self) -> Option<i64> {
        self.skip_before.map(|skip| BEGIN + i64::try_from(skip.as_millis()).unwrap_or(i64::MAX))
    }

    /// The process's wall clock.
    pub(crate) fn wall(&self) -> WallMs {
        WallMs(self.clock.wall().0 + self.wall_skew)
    }

    pub(crate) fn schedule(&mut self, at: Mono, what: Happening) {
        self.next_event += 1;
        self.events.insert((at, self.ties.draw(), self.next_event), what);
    }

    pub(crate) fn violate(&mut self, found: Result<(), Violation>) {
        if let Err(violation) = found {
            note!(self, "judge", "VIOLATION {violation}");
            self.violation.get_or_insert(violation);
            self.die();
        }
    }

    /// From now on nothing that the process does has an effect.
    pub(crate) fn die(&mut self) {
        self.now.dead = true;
        self.disk.crash_before(self.disk.operations());
        if let Some(main) = &self.now.main {
            main.wake_by_ref();
        }
    }

    fn step(&mut self) -> bool {
        let now = self.mono();
        let (at, steps) = self.now.steps_now;
        self.now.steps_now = if at == now { (at, steps + 1) } else { (now, 1) };
        if !self.now.dead {
            self.violate(invariants::no_busy_loop(self.now.steps_now.1, STEPS_MAX));
        }
        if let Some(left) = &mut self.now.steps_left
            && !self.now.dead
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.figures.hit(Fault::Crash);
                note!(self, "process", "dies");
                self.die();
            }
        }
        if !self.now.dead && self.disk.crashed() {
            note!(self, "process", "loses its power");
            self.die();
        }
        self.now.dead
    }

    /// How often a part that could go on steps aside first, so that others that can go on too come before it.
    pub(crate) fn steps_aside(&mut self) -> u8 {
        let draw = self.luck.below(16);
        if draw < 10 { 0 } else { u8::try_from(draw - 9).unwrap_or(0) }
    }

    /// Which of the parked polls is answered next.
    pub(crate) fn draw_parked(&mut self) -> usize {
        usize::try_from(self.luck.below(self.calls.parked.len() as u64)).unwrap_or(0)
    }

    /// When the next thing happens without the process.
    pub(crate) fn next_event(&mut self) -> Option<Mono> {
        let first = self.events.keys().next().map(|(at, ..)| *at);
        let wakeup = if self.calls.parked.is_empty() { None } else { self.service.wakeup() };
        let wakeup = wakeup.map(|ServerMs(at)| {
            let passed = at - BEGIN - self.server_skew;
            Mono::from_millis(u64::try_from(passed).unwrap_or(0)).max(self.mono() + Duration::from_millis(1))
        });
        first.into_iter().chain(wakeup).min()
    }

    /// Everything that is due.
    pub(crate) fn run_due(&mut self) {
        let now = self.mono();
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let what = entry.remove();
            self.happen(what);
        }
        self.serve_parked();
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Send(count) => self.send(count),
            Happening::Arrive(call) => self.arrive(call),
            Happening::Answer(call) => self.answer(call),
            Happening::PollEnds(call) => self.poll_ends(call),
            Happening::Trouble(life, trouble) if life == self.now.number => self.trouble(trouble),
            Happening::EndOfLife(life, end) if life == self.now.number => self.begin_end(end),
            Happening::Room => self.make_room(),
            Happening::Return(life, handle) if life == self.now.number => self.lapse(&handle),
            Happening::Trouble(..) | Happening::EndOfLife(..) | Happening::Return(..) => {}
        }
    }

    /// Begins a life: its troubles and its end are on their way.
    pub(crate) fn begin_life(&mut self, number: u32, life: &Life, quiet: bool) {
        let now = self.mono();
        let deleted_before = self.figures.deleted;
        // Deletes and releases have a quarter of the deadline even if everything before took all of it.
        let stop_time = life.job.drain_deadline * 5 / 4 + STOP_SLACK;
        self.now =
            NowLife { number, quiet, disk_failed: self.disk_full, deleted_before, stop_time, ..NowLife::default() };
        if self.plan.data.is_some() && !quiet {
            self.now.strict = DataPlan::strictness(self.plan.seed, u64::from(number));
        }
        self.figures.lives += 1;
        if number > 1 && self.plan.restarts_differ {
            self.figures.hit(Fault::Restart);
        }
        note!(self, "process", "life {number} begins: {}", describe(&life.job));
        for (at, trouble) in &life.troubles {
            self.schedule(now + *at, Happening::Trouble(number, *trouble));
        }
        if life.end != End::None {
            self.schedule(now + life.length, Happening::EndOfLife(number, life.end));
        }
    }

    fn begin_end(&mut self, end: End) {
        note!(self, "world", "{end:?}");
        match end {
            End::Crash(steps) => self.now.steps_left = Some(steps + 1),
            End::PowerLoss(operations) => {
                self.disk.crash_before(self.disk.operations() + operations);
                // A job that has nothing to write would live on.
                let (at, life) = (self.mono() + Duration::from_secs(60), self.now.number);
                self.schedule(at, Happening::EndOfLife(life, End::Crash(0)));
            }
            End::Stop => {
                self.figures.hit(Fault::Stop);
                self.now.stop_wanted = true;
                if let Some(stopper) = self.now.stopper.clone() {
                    self.stop(&stopper);
                }
            }
            End::None => {}
        }
    }

    /// Tells the job to stop; from now on its deadline runs.
    pub(crate) fn stop(&mut self, stopper: &Stopper) {
        stopper.stop();
        self.now.stop_by = Some(self.mono() + self.now.stop_time);
    }

    /// The queue has deleted the message of this handle.
    pub(crate) fn deleted(&mut self, handle: &Handle) {
        let Some(key) = self.calls.key_of(handle) else { return };
        self.figures.deleted += 1;
        self.books.deleted_now(key);
        self.judge_delete(key);
    }

    /// Whether a call is denied now.
    pub(crate) fn is_denied(&mut self, asked: &Asked) -> bool {
        let now = self.mono();
        let here = self.elsewhere.is_none();
        let denied = here && self.denied.get(&asked.kind()).is_some_and(|until| *until > now);
        if denied {
            self.figures.hit(Fault::Denied);
            self.now.was_denied = true;
        }
        denied
    }

    /// Notes a delivery: its handle is one that troubles may hit.
    pub(crate) fn delivered(&mut self, handle: &Handle, key: MessageKey) {
        if self.handles.len() == HANDLES_MAX {
            self.handles.remove(0);
        }
        self.handles.push(handle.clone());
        if self.sabotage == Some(Sabotage::DeleteEarly) && self.luck.chance(20) && !self.books.is_committed(key) {
            let at = self.mono() + Duration::from_millis(self.luck.below(200));
            let life = self.now.number;
            self.schedule(at, Happening::Return(life, handle.clone()));
        }
    }
}

/// The books of a world: dead letters are one sink more.
fn books(plan: &Plan) -> Books {
    let books = Books::new(plan.sinks);
    match plan.data.as_ref().map(|data| data.policy) {
        Some(policy @ (Policy::Directory | Policy::Queue)) => books.with_letters(policy == Policy::Directory),
        _ => books,
    }
}

fn describe(job: &JobPlan) -> String {
    let limits = &job.limits;
    format!(
        "{} pollers, batch {}, wait {:?}, leases {:?}, undeleted {}, checkpoint {:?} or {} messages, ledger {}, grace {:?}/{}",
        job.pollers,
        limits.batch_max,
        job.wait,
        job.lease_policy,
        limits.undeleted_max,
        limits.checkpoint_interval,
        limits.checkpoint_max_messages,
        limits.ledger_max_ids,
        limits.grace,
        limits.grace_max_ids
    )
}
