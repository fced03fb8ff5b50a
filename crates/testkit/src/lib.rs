//! For authors of queues and sources: prove an implementation right.
//!
//! # What this is
//! * [`queue_conformance`] and [`source_conformance`]: the promises of [`Queue`](headwater_core::Queue) and
//!   [`Source`](headwater_core::Source), each tried by itself on a fresh subject.
//! * [`MemoryQueue`], a strict queue in memory on a manual clock; [`Faulty`], a wrapper that makes any queue fail by a seed;
//!   [`pass`], which lets time pass on a manual clock in the order in which things fall due.
//!
//! # What it deliberately does not know
//! Any real queue, any engine, any runtime. Time is a [`Clock`](headwater_core::Clock) or the harness's own, randomness a seed.
//!
//! # Example: a new queue
//! Say how to make one, how to feed it and how its time passes; the suite does the rest. (This harness tries the memory
//! queue; one for a service makes a queue there, and its `pass` sleeps.)
//! ```
//! use std::{sync::Arc, time::Duration};
//! use headwater_core::{ManualClock, Queue, WallMs};
//! use headwater_testkit::queue_conformance::{self, QueueHarness, QueueSettings, TestQueue};
//! use headwater_testkit::{HarnessError, MemoryQueue, MemoryQueueOptions};
//!
//! struct Mine;
//! struct MyQueue(MemoryQueue, ManualClock);
//!
//! #[async_trait::async_trait]
//! impl QueueHarness for Mine {
//!     fn name(&self) -> String { "my queue".into() }
//!     fn settings(&self) -> QueueSettings { QueueSettings::manual(Duration::from_secs(30)) }
//!     async fn fresh(&self) -> Result<Box<dyn TestQueue>, HarnessError> {
//!         let clock = ManualClock::new(WallMs(1_700_000_000_000));
//!         Ok(Box::new(MyQueue(MemoryQueue::new(&clock, MemoryQueueOptions::default()), clock)))
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl TestQueue for MyQueue {
//!     fn queue(&self) -> Arc<dyn Queue> { Arc::new(self.0.clone()) }
//!     async fn send(&self, body: &str) -> Result<String, HarnessError> { Ok(self.0.send(body.to_owned()).to_string()) }
//!     async fn pass(&self, time: Duration) { headwater_testkit::pass(&self.1, time).await }
//! }
//!
//! futures::executor::block_on(queue_conformance::run_all(&Mine)).assert_passed();
//! ```
//! What a harness cannot do (look behind the queue, name a missing one) has a default, and the trials that need it are
//! printed as skipped. Run the suite once more on `Faulty::new(queue, …, FaultRates::even(50))` with `settings().faults` set.
//!
//! A source on any queue is tried likewise; [`source_conformance::MemorySourceHarness`] needs two closures: how to open it, and
//! how a body carries rows.
//!
//! The suites are tried themselves: `tests/broken_queues.rs` and `tests/broken_sources.rs` hold implementations with one
//! flaw each, and every trial must reject at least one of them.
//!
//! # Reading order
//! [`queue_conformance::QueueHarness`], then a file of trials (`delete.rs`), [`MemoryQueue`], [`Faulty`];
//! [`source_conformance::SourceHarness`], then `job.rs`: the books that every batch and every delete is held against.

mod faulty;
mod memory_queue;
pub mod queue_conformance;
mod random;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod source_conformance;
mod time;
mod trial;

pub use faulty::{FaultCounts, FaultRates, Faulty};
pub use memory_queue::{Entry, MemoryQueue, MemoryQueueOptions, Operation, Outgoing, QueueEvent};
pub use random::Random;
pub use time::{pass, settle};
pub use trial::{HarnessError, Outcome, Report, Trial};
