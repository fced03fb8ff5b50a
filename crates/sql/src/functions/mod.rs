//! The functions that may be called, each with Flink's meaning.
//!
//! Every function is ours: what DataFusion calls by the same name differs in small ways that no one would notice until
//! the data is wrong. `call` is how a function is planned, `kernel` how it runs.

pub(crate) mod access;
pub(crate) mod arith;
pub(crate) mod call;
pub(crate) mod cast;
pub(crate) mod compare;
pub(crate) mod conditional;
mod digits;
mod encode;
mod java_regex;
pub(crate) mod json;
pub(crate) mod kernel;
pub(crate) mod number;
mod regex;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod time;

use self::call::Function;
use headwater_core::nearest;

/// Functions that look like ordinary ones, but whose grammar the binder knows; and how they are written.
const SPECIAL: [(&str, &str); 7] = [
    ("CAST", "CAST(value AS type)"),
    ("TRY_CAST", "TRY_CAST(value AS type)"),
    ("EXTRACT", "EXTRACT(unit FROM time)"),
    ("JSON_VALUE", "JSON_VALUE(text, path [RETURNING type] [NULL | ERROR | DEFAULT value ON EMPTY] [… ON ERROR])"),
    ("JSON_EXISTS", "JSON_EXISTS(text, path [TRUE | FALSE | UNKNOWN | ERROR ON ERROR])"),
    ("TIMESTAMPADD", "TIMESTAMPADD(unit, number, time)"),
    ("TIMESTAMPDIFF", "TIMESTAMPDIFF(unit, from, to)"),
];

/// Functions over many rows, and the windows of streams: no single row, and no single epoch, has their answer.
const OVER_ROWS: [&str; 40] = [
    "APPROX_COUNT_DISTINCT",
    "ARRAY_AGG",
    "AVG",
    "COLLECT",
    "COUNT",
    "CUME_DIST",
    "CUMULATE",
    "DENSE_RANK",
    "FIRST_VALUE",
    "GROUPING",
    "GROUPING_ID",
    "HOP",
    "HOP_END",
    "HOP_PROCTIME",
    "HOP_ROWTIME",
    "HOP_START",
    "JSON_ARRAYAGG",
    "JSON_OBJECTAGG",
    "LAG",
    "LAST_VALUE",
    "LEAD",
    "LISTAGG",
    "MAX",
    "MIN",
    "NTH_VALUE",
    "NTILE",
    "PERCENT_RANK",
    "RANK",
    "ROW_NUMBER",
    "SESSION",
    "SESSION_END",
    "SESSION_START",
    "STDDEV_POP",
    "STDDEV_SAMP",
    "SUM",
    "TUMBLE",
    "TUMBLE_END",
    "TUMBLE_START",
    "VAR_POP",
    "VAR_SAMP",
];

/// Functions whose answer differs each time.
const RANDOM: [&str; 3] = ["RAND", "RAND_INTEGER", "UUID"];

fn all() -> impl Iterator<Item = &'static Function> {
    [
        text::FUNCTIONS,
        regex::FUNCTIONS,
        number::FUNCTIONS,
        conditional::FUNCTIONS,
        access::FUNCTIONS,
        encode::FUNCTIONS,
        time::FUNCTIONS,
        time::text::FUNCTIONS,
        time::fields::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The function of that name, in any letter case.
pub(crate) fn lookup(name: &str) -> Option<&'static Function> {
    all().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// How each function is written, in alphabetical order; what a reference prints.
pub fn usages() -> Vec<&'static str> {
    let mut usages: Vec<_> = all().map(|f| f.usage).chain(SPECIAL.map(|(_, usage)| usage)).collect();
    usages.sort_unstable();
    usages.dedup();
    usages
}

/// Why there is no function of that name, and what there is instead.
pub(crate) fn refusal(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if OVER_ROWS.contains(&upper.as_str()) {
        return format!(
            "{upper} needs more than one row: every row is handled by itself here, and an epoch has no meaning in SQL; \
             aggregate downstream"
        );
    }
    if RANDOM.contains(&upper.as_str()) {
        return format!(
            "{upper} gives another answer each time, so rows made again after a crash would differ; use the metadata key \
             'message-id'"
        );
    }
    let mut names: Vec<&str> = all().map(|f| f.name).chain(SPECIAL.map(|(name, _)| name)).collect();
    names.sort_unstable();
    let near = nearest(&upper, names.iter().copied()).map(|n| format!(" Did you mean {n}?")).unwrap_or_default();
    format!("there is no function {upper}.{near} The functions are {}", names.join(", "))
}
