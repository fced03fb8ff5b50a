//! Any queue as an exactly-once source.
//!
//! # What this is
//! [`QueueSource`] drives a [`Queue`](headwater_core::Queue), a [`Ledger`](headwater_ledger::Ledger) and a decoder, and
//! implements [`Source`](headwater_core::Source):
//!
//! ```text
//!  poller ×N ── begin_receive ► queue.receive ► screen ─┬─ fresh ► decode ── next(): hand_out ► Batch
//!     ▲ permits                                          └─ known ► newer handle        │ barrier / commit
//!     └────────────── delete_done ◄ queue.delete ◄ next_deletes ◄─ deleter ×M ◄─────────┘
//!                     extend_done ◄ queue.extend ◄ next_extends ◄─ extender
//! ```
//! It is thin: every decision is the ledger's. Bodies are decoded by the pollers that brought them, or inside
//! [`next`](headwater_core::Source::next); the hand-out is a step of `next` with no await in it, so a dropped future loses nothing, and
//! batches grow by themselves when the consumer is slower than the queue.
//!
//! # What it deliberately does not know
//! MNS, or any other queue beyond the trait; SQL; where checkpoints are stored.
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//! use headwater_core::{Event, Queue, Source, SystemClock};
//! use headwater_formats::Format;
//! use headwater_queue_source::{QueueSource, SourceConfig};
//!
//! async fn rows(queue: Arc<dyn Queue>) -> Result<(), Box<dyn std::error::Error>> {
//!     let schema = "userId BIGINT, action STRING".parse()?;
//!     let decoder = Format::json().factory(&schema)?;
//!     let config = SourceConfig::new("orders", decoder);
//!     let mut source = QueueSource::open(queue, SystemClock::shared(), config).await?;
//!     while let Some(event) = source.next().await? {
//!         if let Event::Batch(batch) = event {
//!             println!("{} rows of {} messages", batch.records().num_rows(), batch.messages().len());
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Reading order
//! source.rs (the `Source` implementation), poller.rs, answer.rs (from an answer to the decoder), ahead.rs (who decodes), inbox.rs, pace.rs (how many poll), seats.rs, deleter.rs, extender.rs (and leases.rs: whether leases are extended), state.rs (who wakes whom), gather.rs (how batches grow),
//! server_clock.rs (how far a `Date` is believed), drain.rs, decode.rs, open.rs, metadata.rs; logged.rs and log/mod.rs (`commit = log`);
//! then what happens to bad data: bad.rs (what is counted, the budget), letters.rs (dead letters), refuse.rs, returns.rs.

mod ages;
mod ahead;
mod answer;
mod backoff;
mod bad;
mod bodies;
mod bound;
mod config;
mod damaged;
mod decode;
mod deleter;
mod drain;
mod durable;
mod epochs;
mod extender;
mod gather;
mod guarantee;
mod inbox;
mod leases;
mod letter_rows;
mod letter_state;
mod letters;
mod log;
mod logged;
mod metadata;
mod meter;
mod open;
mod pace;
mod poller;
mod refuse;
mod returns;
mod seats;
mod server_clock;
mod source;
mod state;
#[cfg(feature = "traps")]
mod traps;
mod watch;

pub use bound::Footprint;
pub use config::{BadRecords, Objective, Rewind, SkippedByTime, SourceConfig};
pub use leases::LeasePolicy;
pub use letter_rows::dead_letter_columns;
pub use letters::DeadLetterTarget;
pub use log::LogConfig;
pub use metadata::MetadataKey;
pub use source::QueueSource;
#[doc(hidden)]
pub use watch::Watch;
