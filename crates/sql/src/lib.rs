//! Flink-style SQL scripts to planned, stateless jobs.
//!
//! # What this is
//! A script goes in (`CREATE TABLE … WITH ('connector' = …)`, views, `SET`, `INSERT INTO … SELECT`), a [`PlannedJob`] comes
//! out: which tables are read, which are written, and a [`StatelessPlan`] between them, which is a
//! [`headwater_core::Plan`]. All INSERTs of a script are one job; a source table is read once.
//!
//! Every row is handled by itself. What would need other rows (aggregates, joins, DISTINCT, ORDER BY, windows) is
//! refused with line, column and reason, never run per batch. Functions are an allow-list with Flink's meaning; types
//! convert as in Flink: by themselves where nothing is lost, on `CAST` otherwise.
//!
//! # What it deliberately does not know
//! Any queue, any format's options, any file, any clock: connectors are asked through
//! [`SourceFactory`](headwater_core::SourceFactory) and [`SinkFactory`](headwater_core::SinkFactory), the time comes with
//! each batch, values of `${name}` come from [`Variables`].
//!
//! # Who does what
//! `sqlparser` reads tokens, expressions and queries; the grammar of DDL, `SET` and statement sets is ours. Names, types
//! and Flink's rules are ours too, since they decide what a row becomes. DataFusion plans the bound expressions and
//! evaluates them on Arrow batches.
//!
//! # Example
//! ```
//! use headwater_core::{Connectors, JobContext};
//! use headwater_sql::{Job, MapVariables, Script};
//!
//! let variables: MapVariables = [("queue", "orders")].into_iter().collect();
//! let script = Script::parse(
//!     "SET 'pipeline.name' = 'orders';
//!      CREATE TABLE orders (id BIGINT, at TIMESTAMP(3)) WITH ('connector' = 'mns', 'queueName' = '${queue}');
//!      CREATE TABLE shown (id BIGINT) WITH ('connector' = 'print');
//!      INSERT INTO shown SELECT id FROM orders WHERE at > TIMESTAMP '2024-01-01 00:00:00';",
//!     &variables,
//! )?;
//! assert_eq!(script.settings().pipeline_name.as_deref(), Some("orders"));
//!
//! // Without connectors there is nothing to read from, and planning says so with line and column.
//! let context = JobContext::new("orders", std::time::Duration::from_secs(10));
//! let errors = Job::plan(&script, &Connectors::default(), &context).expect_err("no connector is given");
//! assert!(errors.to_string().contains("there is no connector 'mns'"));
//! # Ok::<(), headwater_sql::ScriptErrors>(())
//! ```
//!
//! # Reading order
//! [`Script::parse`] (module `parse`), [`Job::plan`] (module `plan`), then `types` (what converts to what), `functions`,
//! and last `plan/stage.rs` and `plan/run.rs`, which are all that is left when rows come.

mod bound;
mod error;
mod functions;
mod hidden;
mod parse;
mod plan;
mod settings;
mod stack;
mod types;
mod variables;

pub use error::{Notice, Position, ScriptError, ScriptErrorKind, ScriptErrors};
pub use functions::usages as function_usages;
pub use parse::{ColumnDef, ColumnKind, OptionDef, Script, TableDef};
pub use plan::{Job, PlannedJob, PlannedSink, PlannedSource, StatelessPlan};
pub use settings::Settings;
pub use variables::{MapVariables, NoVariables, OptionValue, Variables};
