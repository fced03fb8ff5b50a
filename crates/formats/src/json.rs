//! The `json` format, reading and writing, as Flink 2.3 does it.
//!
//! Reading order: [`JsonOptions`] (what can be set), `scan` (the parser), `read` and `leaf` (values into columns),
//! [`RowBuilder`] (a message into rows), [`JsonEncoder`] (rows into JSON).
//!
//! # Where it differs from Flink's default decoder, on purpose
//!
//! - **Keys that come twice:** the last value counts. Flink counts matched keys and stops reading when it has as many
//!   as there are columns, so which value wins depends on the order of the others.
//! - **A value of the wrong shape** (an object for an `INT`) is passed over as a whole. Flink's decoder goes on *inside*
//!   of it, takes inner fields for outer ones, and loses later ones. With `ignore-parse-errors` the column is NULL and
//!   the other columns are right.
//! - **A body cut short, or an element that is no object,** is an error, or is passed over with
//!   `ignore-parse-errors`. Flink's decoder emits a null row there, on which a job fails.
//! - **A bad element in a list** makes the whole message bad unless rows are salvaged; Flink has emitted the rows before
//!   it by then.
//! - **Timestamps of precision 4 and more** hold the years 1677 to 2262; see [`RowType::to_arrow`](crate::RowType::to_arrow).
//! - **Numbers printed again** (a number within an object that is read into a `STRING`) have the shortest digits that
//!   read back; Java before 19 prints another digit here and there.
//!
//! `decode.json-parser.enabled` = `false` selects the corner cases of Flink's older decoder; the points above hold for
//! both.

mod decode;
mod encode;
mod leaf;
mod options;
mod pattern;
mod quick;
mod read;
mod reprint;
mod rows;
mod scan;
mod text;

pub(crate) use decode::JsonFactory;
pub use encode::{EncodeError, JsonEncoder, JsonRows};
pub use options::{JsonOptions, OPTIONS, TimestampFormat};
pub use pattern::TimestampPattern;
pub use read::Stop;
#[cfg(feature = "avro")]
pub(crate) use read::overridden_keys;
pub use rows::RowBuilder;
pub use scan::{Kind, Number, ScanError, Scanner, Text};

pub use crate::coerce::time::TimestampStandard;
