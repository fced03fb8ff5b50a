//! The vocabulary of Headwater: what a queue, a source, a plan, a sink and a checkpoint store promise each other.
//!
//! # What this is
//! Traits with their contracts, and the few types that cross them. Two traits are the narrow waist, both object-safe:
//! [`Queue`] below (implement it and get an exactly-once source), [`Source`] above (consume it from any engine).
//!
//! # What it deliberately does not know
//! Any runtime, HTTP, any queue, any engine. Time comes from a [`Clock`].
//!
//! # Example
//! The loop every engine runs:
//! ```
//! use headwater_core::{CheckpointStore, Event, JobState, Source};
//!
//! async fn run(source: &mut dyn Source, store: &mut dyn CheckpointStore) -> Result<(), Box<dyn std::error::Error>> {
//!     if let Some(state) = store.newest().await? {
//!         let id = state.checkpoint;
//!         source.restore(id, state.sources[0].clone()).await?;
//!         source.commit(id).await?;
//!     }
//!     while let Some(event) = source.next().await? {
//!         match event {
//!             Event::Batch(batch) => println!("{} rows", batch.records().num_rows()),
//!             Event::CheckpointDue(_) => {
//!                 let checkpoint = store.next_id();
//!                 let state = source.checkpoint(checkpoint).await?;
//!                 store.save(&JobState { checkpoint, sources: vec![state], pending: vec![] }).await?;
//!                 source.commit(checkpoint).await?;
//!             }
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Reading order
//! [`Source`], [`Queue`], [`Batch`], then [`Sink`], [`Plan`], [`CheckpointStore`], [`SourceFactory`], [`Clock`],
//! [`Alarm`], [`fs`].

mod alarm;
mod bad;
mod batch;
mod clock;
mod delivery;
mod duration;
mod factory;
pub mod fs;
mod marker;
mod options;
mod plan;
mod queue;
#[cfg(feature = "serde")]
mod records;
mod sink;
mod source;
mod store;

pub use alarm::{Alarm, Until};
pub use bad::BadRecord;
pub use batch::{Batch, MessageMeta, MessageRef, MessageRows};
pub use clock::{Clock, ManualClock, Sleep, SystemClock, WallMs};
pub use delivery::Delivery;
pub use duration::parse_duration;
pub use factory::{
    Connectors, EarlierRun, JobContext, MetadataColumn, SinkCheck, SinkFactory, SinkRequest, SourceCheck,
    SourceFactory, SourceRequest,
};
pub use headwater_ledger::{MessageKey, Mono};
pub use marker::{LineageMarker, MarkerError};
pub use options::{OptionError, OptionErrors, Options, nearest};
pub use plan::{BadRow, PassThrough, Plan, PlanError, PlanOutput, Processed};
pub use queue::{
    Capabilities, Damaged, DeleteOutcome, Description, Extended, Handle, Message, Property, Queue, QueueError,
    QueueErrorKind, QueueIdentity, ReceiveRequest, Received, ServerMs, SharedStr,
};
#[cfg(feature = "serde")]
pub use records::{
    CutError, Record, RecordError, RecordEvent, Records, SchemaError, SourceRecords, StreamError, row_type_of,
};
pub use sink::{Committable, Sink, SinkError};
pub use source::{
    CheckpointId, DrainReport, DueReason, Event, Source, SourceError, SourceErrorKind, SourceState, SourceStatus,
    StatePart, StoredPart,
};
pub use store::{CheckpointStore, JobState, StoreError, StoreErrorKind};
