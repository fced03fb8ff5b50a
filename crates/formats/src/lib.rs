//! Message bodies to rows in Arrow builders, with Flink's options and coercions.
//!
//! A *format* takes the bytes of one message and a [`RowType`] (Flink's logical types) and appends rows to Arrow
//! builders. Arrow is the output only: what a column accepts, and how, is decided by its Flink type.
//!
//! This crate deliberately does not know queues, files, sockets, clocks or time zones, and nothing in it is `async`:
//! bytes go in, a `RecordBatch` comes out, and the same bytes give the same rows on every machine.
//!
//! ```
//! use headwater_formats::{Format, OnBadRow, RowType};
//!
//! let columns: RowType = "id BIGINT, at TIMESTAMP(3), tags ARRAY<STRING>".parse()?;
//! let factory = Format::json().factory(&columns)?; // every mistake in schema and options, all at once
//! let mut decoder = factory.decoder();
//!
//! decoder.decode(br#"{"id": 1, "at": "2024-03-10 12:34:56", "tags": ["a", "b"]}"#, OnBadRow::Fail)?;
//! let error = decoder.decode(br#"{"id": 2, "tags": "c"}"#, OnBadRow::Fail).unwrap_err();
//! assert_eq!(error.to_string(), "row 0, byte 18, column `tags`: a JSON string, expected ARRAY<STRING>");
//!
//! let batch = decoder.flush();
//! assert_eq!(batch.num_rows(), 1); // the bad message left no trace
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: [`types`] (what a column is), [`BodyLayer`] (encoding and envelopes, before the format), [`Format`]
//! (formats by name), [`Decoder`] (what a format does), [`json`] and [`raw`] (the formats), [`DecodeError`] and
//! [`FormatError`] (what can be wrong).

#[cfg(feature = "avro")]
pub mod avro;
mod body;
mod cloud_event;
mod coerce;
mod column;
#[cfg(any(feature = "parquet", feature = "orc"))]
mod columnar;
#[cfg(feature = "csv")]
pub mod csv;
mod decoder;
mod encoding;
mod envelope;
mod error;
mod format;
#[cfg(feature = "infer")]
pub mod infer;
pub mod json;
mod limits;
mod names;
mod options;
#[cfg(feature = "orc")]
pub mod orc;
#[cfg(feature = "parquet")]
pub mod parquet;
mod prefix;
pub mod raw;
pub mod types;
mod unicode;
mod utf16;

pub use body::{BodyBuffers, BodyLayer, OpenedBody};
pub use cloud_event::CloudEvents;
pub use column::BufferPool;
pub use decoder::{Decoded, Decoder, DecoderFactory, OnBadRow};
pub use encoding::{BodyForm, MESSAGE_ENCODINGS, MessageEncoding, looks_like_json};
pub use envelope::{Envelope, EnvelopeFields, EnvelopeKind, Unwrapped};
pub use error::{DecodeError, DecodeErrorKind, Place};
pub use format::{Format, FormatSpec};
pub use limits::Limits;
pub use options::{FormatError, FormatErrors, OptionKind, OptionSpec, nearest};
pub use types::{DataType, Field, LogicalType, RowType, TypeError};
