//! The `json` format, reading and writing, as Flink 2.3 does it.
//!
//! Reading order: [`JsonOptions`] (what can be set), `scan` (the parser), `read` and `leaf` (values into columns),
//! `quick` (the same for what nearly every body looks like), [`RowBuilder`] (a message into rows), [`Outline`] (texts that are
//! made alike, for decoders that look for values in them), [`JsonEncoder`] (rows into JSON).
//!
//! # Where we do not copy Flink
//!
//! Flink's default decoder, that is. Each point has its test in `tests/json_deviations.rs`, and each case of the Flink
//! corpus that it concerns stands in `tests/corpus/deliberate.txt`.
//!
//! - **Keys that come twice:** the last value counts. Flink counts matched keys and stops reading when it has as many
//!   as there are columns, so which value wins depends on the order of the others, and a missing column can go unseen.
//! - **A value of the wrong shape** (an object for an `INT`) is passed over as a whole. Flink's decoder goes on *inside*
//!   of it, takes inner fields for outer ones, and loses later ones. With `ignore-parse-errors` the column is NULL and
//!   the other columns are right; so they are for an object as a `BOOLEAN`, which is false without any option.
//! - **A body cut short, or an element that is no object,** is an error, or is passed over with
//!   `ignore-parse-errors`. Flink's decoder emits a null row there, on which a job fails, or which swallows the rest of
//!   the list.
//! - **A bad element in a list** makes the whole message bad unless rows are salvaged; Flink has emitted the rows before
//!   it by then, so that a message is there in part.
//! - **Timestamps of precision 4 and more** hold the years 1677 to 2262; see
//!   [`RowType::to_arrow`](crate::RowType::to_arrow). Beyond it is an error, never another time.
//! - **A DATE beyond 32 bits of days** (the year 5,881,580) is an error. Flink lets it wrap around.
//! - **Numbers printed again** (a number within an object that is read into a `STRING`) have the shortest digits that
//!   read back; Java before 19 prints another digit here and there.
//! - **[`Limits`](crate::Limits)** bound what one message may cost; beyond them it is a bad record in every mode.
//!
//! Two options are more than Flink has: `timestamp-format.pattern`, and `ISO-8601-WITH-OFFSET` for
//! `timestamp-format.standard`.
//!
//! `decode.json-parser.enabled` = `false` selects the corner cases of Flink's older decoder; the points above hold for
//! both.
//!
//! # Speed
//!
//! Nearly every body looks alike: keys in the order they had the last time, ASCII without escapes, numbers of a usual
//! length, dates of four-digit years. `quick` reads just that, eight bytes at a time, straight into the buffers of the
//! columns, and hands everything else to `read` and `leaf`, which decide. So no rule is written twice, and a shortcut
//! that never applied would change nothing but the speed; `tests/json_differential.rs` and `tests/json_habits.rs` hold it
//! to that.

mod decode;
mod encode;
mod fit;
mod leaf;
mod options;
mod outline;
mod pattern;
mod plain;
mod quick;
mod read;
mod reprint;
mod rows;
mod scan;
mod steady;
mod text;

pub(crate) use decode::JsonFactory;
pub use encode::{EncodeError, JsonEncoder, JsonRows};
pub use fit::{Fit, Plain, Spot};
pub use options::{JsonOptions, OPTIONS, TimestampFormat};
pub use outline::Outline;
pub use pattern::TimestampPattern;
pub use read::Stop;
#[cfg(feature = "avro")]
pub(crate) use read::overridden_keys;
pub use rows::RowBuilder;
pub use scan::{Kind, Number, ScanError, Scanner, Text};

pub use crate::coerce::time::TimestampStandard;
