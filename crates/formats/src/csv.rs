//! The `csv` format, as Flink 2.3 reads it, and bodies of many lines.
//!
//! Flink takes one row from a message, its first line, and looks at nothing behind it. [`Framing::Lines`], the option
//! `csv.framing` = `lines`, is an addition of ours: every line is a row, line ends within quotes belong to the text,
//! and empty lines are passed over. Nothing else differs between the two.
//!
//! Reading order: [`CsvOptions`] (what can be set), `text` (the encoding), `scan` (fields), `quick`
//! (shortcuts), `field` and `leaf` (values
//! into columns), `decode` (messages into rows), `hint` (what to do about an error).
//!
//! # Where it differs from Flink's decoder, on purpose
//!
//! - **Timestamps of precision 4 and more** hold the years 1677 to 2262; see [`RowType::to_arrow`](crate::RowType::to_arrow).
//! - **A character cut off at the place where Jackson fetches its next 4,000** is read as what it is. Jackson takes a
//!   last character that is not ASCII for a broken one when it happens to begin there, and so does a body that is a
//!   byte order mark and one such character.

mod decode;
mod field;
mod hint;
mod leaf;
mod options;
mod quick;
mod scan;
mod text;

pub(crate) use decode::CsvFactory;
pub use options::{CsvOptions, Framing, OPTIONS};
