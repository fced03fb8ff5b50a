//! Functions on dates and times. `zone` and `moment` are the ground, `pattern` knows Java's date patterns, `parse` the
//! texts that need none; `text` and `fields` hold the functions.

pub(crate) mod fields;
pub(crate) mod interval;
pub(crate) mod moment;
pub(crate) mod parse;
pub(crate) mod pattern;
mod pattern_parse;
pub(crate) mod text;
pub(crate) mod zone;

use datafusion_common::Column;
use datafusion_expr::Expr;
use headwater_formats::LogicalType;

use super::call::{Binding, Call, Function};
use super::cast;
use crate::bound::Bound;

/// The column that holds the time of the batch, an instant in milliseconds. No column of a script has this name: those
/// are numbered.
pub(crate) const NOW: &str = "now";

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "CURRENT_TIMESTAMP", usage: "CURRENT_TIMESTAMP", arity: 0..=0, bind: now },
    Function { name: "NOW", usage: "NOW()", arity: 0..=0, bind: now },
    Function { name: "PROCTIME", usage: "PROCTIME()", arity: 0..=0, bind: now },
    Function { name: "CURRENT_ROW_TIMESTAMP", usage: "CURRENT_ROW_TIMESTAMP()", arity: 0..=0, bind: now },
    Function {
        name: "LOCALTIMESTAMP",
        usage: "LOCALTIMESTAMP",
        arity: 0..=0,
        bind: |c| now_as(c, LogicalType::Timestamp(3)),
    },
    Function { name: "CURRENT_DATE", usage: "CURRENT_DATE", arity: 0..=0, bind: |c| now_as(c, LogicalType::Date) },
    Function { name: "CURRENT_TIME", usage: "CURRENT_TIME", arity: 0..=0, bind: |c| now_as(c, LogicalType::Time(0)) },
    Function { name: "LOCALTIME", usage: "LOCALTIME", arity: 0..=0, bind: |c| now_as(c, LogicalType::Time(0)) },
];

/// The time handed in with the batch: the same for all its rows and functions.
pub(super) fn now(call: Call) -> Binding {
    let logical = Some(LogicalType::TimestampLtz(3));
    let expr = Expr::Column(Column::new_unqualified(NOW));
    Ok(Bound { expr, logical, fallible: false, position: call.position })
}

fn now_as(call: Call, logical: LogicalType) -> Binding {
    let (env, position) = (call.env, call.position);
    cast::explicit(now(call)?, &logical, false, env, position)
}
