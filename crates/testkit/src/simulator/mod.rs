//! A whole job in a world that fails, on a virtual clock: one seed, one history.
//!
//! # What it is
//! The real source, ledger, runner, checkpoint store and file sink run in one thread. Around them, a world made of a seed: a
//! [`Service`] (MNS, by the state of `headwater-mns-server`), a network that loses and delays, a disk that forgets what was
//! not synced, clocks that jump, and a process that dies at any await point and is started again with other options. After
//! every step the [`invariants`] are checked, those of the ledger included. At the end comes a quiet life in which nothing goes
//! wrong: everything must come out, once, and the queue must become empty.
//!
//! Time passes only when nothing else can happen. Which of several things that can happen comes first is drawn: calls take a
//! drawn time, and whatever is ready steps aside now and then to let others go before it.
//!
//! ```
//! use headwater_testkit::simulator::{Options, simulate};
//!
//! let mut options = Options::default();
//! options.messages = Some(10);
//! options.lives = Some(1);
//! let outcome = simulate(42, &options);
//! assert_eq!(outcome.violation, None);
//! assert_eq!(outcome.trace_hash, simulate(42, &options).trace_hash); // one seed, one trace
//! ```
//! From the command line: `cargo run -p headwater-testkit --release --bin simulate -- --help`.
//!
//! # A queue of your own
//! Write its service as a pure machine ([`Service`]) and hand [`simulate_on`] a function that makes one. Everything that
//! can go wrong around it is the simulator's business: what it asks of a service is only what a service does.
//! ```
//! use std::{collections::BTreeMap, sync::Arc, time::Duration};
//! use headwater_core::{Capabilities, Description, Extended, Handle, Message, QueueIdentity, ServerMs};
//! use headwater_testkit::simulator::{NewService, Options, Quirk, Service, simulate_on};
//!
//! /// A queue whose handles are `message/delivery`.
//! #[derive(Debug)]
//! struct Mine { lease: Duration, sent: u32, messages: BTreeMap<u32, (String, u32, i64)> } // body, deliveries, hidden until
//!
//! impl Mine {
//!     fn live(&mut self, now: ServerMs, handle: &Handle) -> Option<u32> {
//!         let (id, delivery) = handle.as_str().split_once('/')?;
//!         let (id, delivery): (u32, u32) = (id.parse().ok()?, delivery.parse().ok()?);
//!         self.messages.get(&id).filter(|(_, n, until)| *n == delivery && *until > now.0).map(|_| id)
//!     }
//! }
//!
//! impl Service for Mine {
//!     fn identity(&self) -> QueueIdentity { QueueIdentity { account: String::new(), name: "mine".into() } }
//!     fn capabilities(&self) -> Capabilities {
//!         let mut mine = Capabilities::mns();
//!         mine.handle_changes_on_extend = false;
//!         mine
//!     }
//!     fn describe(&mut self) -> Description { Description::new(Some(self.lease), None, None) }
//!     fn send(&mut self, _now: ServerMs, body: &str) -> String {
//!         self.sent += 1;
//!         self.messages.insert(self.sent, (body.to_owned(), 0, 0));
//!         self.sent.to_string()
//!     }
//!     fn receive(&mut self, now: ServerMs, max: u32, quirk: Quirk) -> Vec<Message> {
//!         let lease = quirk.lease.unwrap_or(self.lease).as_millis() as i64;
//!         let visible = self.messages.iter_mut().filter(|(_, (.., until))| *until <= now.0);
//!         visible.take(max as usize).map(|(id, (body, deliveries, until))| {
//!             (*deliveries, *until) = (*deliveries + 1, now.0 + lease);
//!             let handle = Handle::new(&format!("{id}/{deliveries}"));
//!             let mut message = Message::new(id.to_string(), handle, body.clone().into());
//!             message.dequeue_count = *deliveries;
//!             message
//!         }).collect()
//!     }
//!     fn delete(&mut self, now: ServerMs, handle: &Handle) -> bool {
//!         self.live(now, handle).is_some_and(|id| self.messages.remove(&id).is_some())
//!     }
//!     fn extend(&mut self, now: ServerMs, handle: &Handle, lease: Duration) -> Option<Extended> {
//!         let id = self.live(now, handle)?;
//!         let until = now.0 + lease.as_millis() as i64;
//!         self.messages.get_mut(&id)?.2 = until;
//!         Some(Extended { handle: handle.clone(), next_visible: Some(ServerMs(until)) })
//!     }
//!     fn has_visible(&mut self, now: ServerMs) -> bool { self.messages.values().any(|m| m.2 <= now.0) }
//!     fn wakeup(&mut self) -> Option<ServerMs> { self.messages.values().map(|m| ServerMs(m.2)).min() }
//!     fn remaining(&mut self, _now: ServerMs) -> u64 { self.messages.len() as u64 }
//! }
//!
//! let mine: NewService = Arc::new(|_seed, _now, lease| Box::new(Mine { lease, sent: 0, messages: BTreeMap::new() }));
//! for seed in 0..5 {
//!     assert_eq!(simulate_on(seed, &Options::default(), &mine).violation, None, "seed {seed}");
//! }
//! ```
//!
//! # Reading order
//! [`Fault`] lists what can go wrong, [`invariants`] what must hold. Then `plan` (what a seed draws), `world`, `calls` and `fate`
//! (what happens outside), `judge` (when it is looked at), `client` (what the process sees of it), `life` (the process), `data`,
//! `consumer` and `letters` (messages that are bad or unwanted), `shrink`.

pub mod books;
mod calls;
mod client;
mod consumer;
mod data;
mod fate;
mod faults;
mod figures;
pub mod invariants;
mod judge;
mod letters;
mod life;
mod options;
mod others;
mod outside;
mod parts;
mod plan;
mod rows;
mod service;
mod shrink;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use headwater_core::Clock;

pub use faults::{FAULTS, Fault, FaultSet};
pub use figures::Figures;
pub use headwater_ledger::Violation;
pub use options::{Options, Sabotage};
pub use service::{MnsService, NewService, Quirk, Service};
pub use shrink::{Shrunk, shrink};

use life::Ended;
use plan::{Life, Plan};
use world::Sim;

/// Virtual time between the last trouble and the quiet life: every call that was on its way has arrived by then.
const SETTLING: Duration = Duration::from_secs(240);

/// The numbers of lives that are somebody else's begin here.
const OTHERS: u32 = 1_000_000;

/// What became of one seed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What happened, in numbers.
    pub figures: Figures,
    /// A hash over every line of the trace.
    pub trace_hash: u64,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// The trace, one line per event (virtual seconds, who, what), if it was asked for.
    pub trace: Vec<String>,
}

/// Simulates one seed on MNS. The same seed and options give the same outcome, on every machine.
#[must_use]
pub fn simulate(seed: u64, options: &Options) -> Outcome {
    let mns: NewService = Arc::new(|seed, now, lease| Box::new(MnsService::new(seed, now, lease)));
    simulate_on(seed, options, &mns)
}

/// Simulates one seed on another service.
#[must_use]
pub fn simulate_on(seed: u64, options: &Options, service: &NewService) -> Outcome {
    let plan = Plan::draw(seed, options);
    let sim = Sim::new(plan.clone(), options, service);
    let ran = catch_unwind(AssertUnwindSafe(|| run(&sim, &plan)));
    let now = sim.clock.now();
    let mut world = sim.lock();
    if let Err(panic) = ran {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.violation.get_or_insert(Violation { id: "panic", seen: text.unwrap_or_default() });
        // What a panic left half done is not dropped in order.
        world.now = world::NowLife::default();
    }
    let mut figures = world.figures;
    figures.seeds = 1;
    figures.events = world.trace.events();
    figures.virtual_seconds = now.0.as_secs();
    let (trace_hash, violation, trace) = (world.trace.hash(), world.violation.clone(), world.trace.take_lines());
    Outcome { seed, figures, trace_hash, violation, trace }
}

fn run(sim: &Arc<Sim>, plan: &Plan) {
    for (number, life) in (1..).zip(&plan.lives) {
        live(sim, number, life, false);
        meet_others(sim, number, plan);
        if sim.lock().violation.is_some() {
            return;
        }
        rest(sim, life.down);
    }
    let last_send = plan.sends.last().map_or(Duration::ZERO, |(at, _)| *at);
    let to_come = last_send.saturating_sub(sim.clock.now().0);
    let behind = sim.lock().calm();
    rest(sim, to_come.max(SETTLING) + behind);
    let ended = live(sim, u32::MAX, &plan.quiet, true);
    let mut world = sim.lock();
    if world.violation.is_some() {
        return;
    }
    if let Ended::Failed(error) = &ended {
        let found = invariants::failed_for_a_reason(&error.to_string(), false);
        return world.violate(found);
    }
    let now = world.server_now();
    let left = world.service.remaining(now);
    let found = invariants::nothing_lost(&world.books, left);
    world.violate(found);
}

fn live(sim: &Arc<Sim>, number: u32, life: &Life, quiet: bool) -> Ended {
    let ended = life::live(sim, number, life, quiet);
    life::bury(sim, life, &ended);
    ended
}

/// What somebody else does with the state while nothing runs.
fn meet_others(sim: &Arc<Sim>, number: u32, plan: &Plan) {
    if sim.lock().violation.is_some() {
        return;
    }
    let old = sim.lock().old_state();
    if let Some(backup) = old {
        life::be_refused(sim, OTHERS + number, &plan.quiet, &backup);
    }
    let mut random = plan::fork(plan.seed, 4_000 + u64::from(number));
    if plan.others.has(Fault::CopiedState) && random.chance(200) {
        sim.lock().move_state();
    }
}

/// Lets time pass while no process runs.
fn rest(sim: &Arc<Sim>, time: Duration) {
    let end = sim.clock.now() + time;
    loop {
        let next = sim.lock().next_event().filter(|next| *next <= end);
        let now = sim.clock.now();
        sim.clock.advance(next.unwrap_or(end).since(now));
        sim.lock().run_due();
        if next.is_none() {
            return;
        }
    }
}
