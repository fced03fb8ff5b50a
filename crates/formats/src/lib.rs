//! Message bodies to rows in Arrow builders, with Flink's options and coercions.
//!
//! A *format* takes the bytes of one message and a [`RowType`] (Flink's logical types) and appends rows to Arrow
//! builders. Arrow is the output only: what a column accepts, and how, is decided by its Flink type.
//!
//! This crate deliberately does not know queues, files, sockets, clocks or time zones, and nothing in it is `async`:
//! bytes go in, a `RecordBatch` comes out, and the same bytes give the same rows on every machine.
//!
//! Reading order: [`types`] (what a column is).
//!
//! ```
//! use headwater_formats::RowType;
//!
//! let rows: RowType = "id BIGINT, name STRING, at TIMESTAMP(3), tags ARRAY<STRING>".parse()?;
//! assert_eq!(rows.fields().len(), 4);
//! assert_eq!(rows.to_arrow().field(2).data_type().to_string(), "Timestamp(ms)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod types;

pub use types::{DataType, Field, LogicalType, RowType, TypeError};
