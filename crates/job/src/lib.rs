//! Epochs without SQL: where checkpoints are kept, where rows go, and what joins them to sources.
//!
//! # What this is
//! [`LocalStore`] keeps a job's checkpoints in a directory, durably and for one owner at a time. All its file work goes
//! through [`fs::FileSystem`], whose simulated form [`fs::MemoryFs`] loses, tears and fails what tests tell it to.
//! [`sinks`] write rows in two phases, so that a row is shown with its checkpoint. [`Runner`] drives sources, a plan and sinks
//! from checkpoint to checkpoint.
//!
//! # What it deliberately does not know
//! SQL, any queue, any engine, any clock but the one it is given.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use headwater_core::{CheckpointStore, JobState};
//! use headwater_job::fs::MemoryFs;
//! use headwater_job::{Lineage, LocalStore, StoreOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # futures::executor::block_on(async {
//! // On a real disk: `Arc::new(LocalFs::private())`, and a random number.
//! let fs = Arc::new(MemoryFs::new());
//! let mut store = LocalStore::open(fs, "/state", &StoreOptions::new(Lineage(0x5eed)))?;
//! assert_eq!(store.newest().await?, None);
//! let checkpoint = store.next_id();
//! store.save(&JobState { checkpoint, sources: vec![], pending: vec![] }).await?;
//! assert_eq!(store.newest().await?.map(|state| state.checkpoint), Some(checkpoint));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Reading order
//! [`coordinator`], [`store`] (its page has the layout and the order of writes), [`sinks`], [`fs`].

mod codec;
pub mod coordinator;
pub mod fs;
pub mod sinks;
pub mod store;

pub use coordinator::{
    BadRows, Guarantee, Input, JobError, JobErrorKind, JobReport, Part, Progress, RunOptions, Runner, Stopper,
};
pub use store::{KEPT_CHECKPOINTS, Lineage, LocalStore, RESERVED_IDS, StoreOptions};
