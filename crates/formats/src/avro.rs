//! The `avro` format, as Flink 2.3 reads it.
//!
//! Reading order: `options` (what can be set), `schema` and `derive` (what the bytes hold), `plan` (what becomes of it),
//! `source`, `binary` and `text` (the two encodings), `read` (values into columns), `container` and `codec` (files),
//! `decode` (a message into rows).
//!
//! # The schema
//!
//! Avro's bytes do not say what they hold. As in Flink, the schema is *derived* from the table's columns: a record
//! `org.apache.flink.avro.generated.record` whose fields are the columns, in order, under their names; a column that may
//! be NULL is a union of null and its type. A nested `ROW` is a record named after what it is in and its column:
//! `…record_address`. So the writer must have used just such a schema.
//!
//! Beyond Flink, the schema of the writer can be *given* with `avro.schema`, or comes along in a container file. Its
//! fields become columns by name or alias; fields without a column are passed over, columns without a field are NULL
//! (an error for `NOT NULL`). What a column takes:
//!
//! | column | Avro |
//! |---|---|
//! | `BOOLEAN` | boolean |
//! | `TINYINT SMALLINT INT` | int (too large for the first two: it wraps around, as in Flink) |
//! | `BIGINT` | long, int |
//! | `FLOAT` | float, long, int |
//! | `DOUBLE` | double, float, long, int |
//! | `DECIMAL` | bytes or fixed with logical type decimal, rounded to the scale; too many digits are NULL |
//! | `CHAR VARCHAR STRING` | string, bytes, enum, uuid (string or fixed) |
//! | `BINARY VARBINARY BYTES` | bytes, string, fixed |
//! | `DATE` | date, int |
//! | `TIME` | time-millis, time-micros (cut to milliseconds), int |
//! | `TIMESTAMP TIMESTAMP_LTZ` | timestamp-* and local-timestamp-*, in millis, micros or nanos; a bare long counts in millis up to precision 3, micros up to 6, then nanos |
//! | `ARRAY` | array |
//! | `MAP MULTISET` | map |
//! | `ROW` | record |
//!
//! A union gives whatever its branches give; a branch that the column does not take is an error when it comes.
//!
//! # Where it differs from Flink, on purpose
//!
//! - **Messages are independent.** Flink's decoder takes the bytes behind a record, or the rest of one that is cut off,
//!   for the beginning of the next message. Here they are ignored, and an error of that message.
//! - **Timestamps of precision 4 to 6** with `timestamp_mapping.legacy` = `false` are microseconds, as the schema says.
//!   Flink takes them for milliseconds, which puts this year into the year 56000.
//! - **Timestamps of precision 4 and more** hold the years 1677 to 2262; see [`RowType::to_arrow`](crate::RowType::to_arrow).
//! - **Lengths and counts** that a body cannot have are errors at once, and [`Limits`](crate::Limits) hold; Java
//!   allocates what the body asks for.

mod binary;
mod codec;
#[cfg(feature = "infer")]
mod columns;
mod container;
mod convert;
mod decode;
mod derive;
mod fingerprint;
mod options;
mod plan;
mod read;
mod schema;
mod source;
mod text;
mod tokens;

#[cfg(feature = "infer")]
pub(crate) use columns::columns_of_file;
pub(crate) use decode::AvroFactory;
pub use options::OPTIONS;
