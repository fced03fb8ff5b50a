//! For authors of queues and sources: prove an implementation right.
//!
//! # What this is
//! [`MemoryQueue`], a strict queue in memory on a manual clock; [`Faulty`], a wrapper that makes any queue fail by a seed;
//! [`pass`], which lets time pass on a manual clock in the order in which things fall due.
//!
//! # What it deliberately does not know
//! Any real queue, any engine, any runtime. Time is a [`Clock`](headwater_core::Clock), randomness a seed.

mod faulty;
mod memory_queue;
mod random;
mod time;

pub use faulty::{FaultCounts, FaultRates, Faulty};
pub use memory_queue::{Entry, MemoryQueue, MemoryQueueOptions, Operation, Outgoing, QueueEvent};
pub use random::Random;
pub use time::{pass, settle};
