//! Flink-style SQL scripts to planned, stateless jobs.
//!
//! ```
//! use headwater_sql::{MapVariables, Script};
//!
//! let variables: MapVariables = [("queue", "orders")].into_iter().collect();
//! let script = Script::parse(
//!     "SET 'pipeline.name' = 'orders';
//!      CREATE TABLE orders (id BIGINT, at TIMESTAMP(3)) WITH ('connector' = 'mns', 'queueName' = '${queue}');",
//!     &variables,
//! )?;
//! assert_eq!(script.tables().count(), 1);
//! # Ok::<(), headwater_sql::ScriptErrors>(())
//! ```

mod bound;
mod error;
mod functions;
mod parse;
mod plan;
mod settings;
mod types;
mod variables;

pub use error::{Notice, Position, ScriptError, ScriptErrorKind, ScriptErrors};
pub use parse::{ColumnDef, ColumnKind, OptionDef, Script, TableDef};
pub use plan::{Job, PlannedJob, PlannedSink, PlannedSource, StatelessPlan};
pub use settings::Settings;
pub use variables::{MapVariables, NoVariables, OptionValue, Variables};
