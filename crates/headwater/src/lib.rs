//! Where a stream begins: a cloud message queue as exactly-once Arrow batches.
//!
//! # What this is
//! The paved path: what `cargo add headwater` gives. [`MnsSource`] reads Alibaba Cloud Simple Message Queue (MNS); the traits
//! and types around it are re-exported from the crates that own them.
//!
//! # What it deliberately does not know
//! SQL, and any engine. Give it a tokio runtime; it needs nothing else.
//!
//! # Example
//! ```no_run
//! use headwater::{CheckpointId, Credentials, Event, Format, MnsSource, Source};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut source = MnsSource::builder()
//!     .endpoint("http://123456789.mns.cn-hangzhou.aliyuncs.com")
//!     .queue("orders")
//!     .credentials(Credentials::from_env())
//!     .schema("userId BIGINT, action STRING, `timestamp` TIMESTAMP(3)".parse()?)
//!     .format(Format::json())
//!     .build()
//!     .await?;
//! let mut checkpoint = 0;
//! while let Some(event) = source.next().await? {
//!     match event {
//!         Event::Batch(batch) => println!("{:?}", batch.records()),
//!         Event::CheckpointDue(_) => {
//!             checkpoint += 1;
//!             let _state = source.checkpoint(CheckpointId(checkpoint)).await?; // store this durably …
//!             source.commit(CheckpointId(checkpoint)).await?; // … before this: from here on messages are deleted
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # Features
//! `mns` (default): the source for MNS. `oss`: OSS upload events as rows. `job`: checkpoint store, sinks and the job runner.
//! `serde`: rows as values of any type that serde reads, one by one (`source.records::<Order>()`). No feature changes what another does.
//!
//! # Reading order
//! [`Source`] (the contract), [`MnsSource`], [`Batch`], then the examples of the repository.

#[cfg(feature = "mns")]
pub mod mns;

#[cfg(feature = "mns")]
pub use headwater_mns_client::Credentials;
#[cfg(feature = "mns")]
pub use headwater_queue_source::{
    BadRecords, DeadLetterTarget, LeasePolicy, QueueSource, Rewind, SkippedByTime, SourceConfig, dead_letter_columns,
};
#[cfg(feature = "mns")]
pub use mns::{MnsSource, MnsSourceBuilder, MnsSourceFactory};

#[cfg(feature = "job")]
pub use headwater_job as job;

pub use arrow;
pub use headwater_core::*;
pub use headwater_formats as formats;
pub use headwater_formats::{Format, RowType};
