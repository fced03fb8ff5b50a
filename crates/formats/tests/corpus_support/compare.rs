//! Whether an answer is what Flink did, forgiving what the corpus forgives: the text of floats, trailing zeros of
//! fractions, the order of map entries, timestamps cut where Flink's binary rows cut them, and the null rows that
//! Flink's decoder emits where a job then fails or drops them.

use serde_json::Value;

use super::{Answer, Expected};

/// `strict_mode` is true without `ignore-parse-errors`.
pub(crate) fn accepts(expected: &Expected, answer: &Answer, strict_mode: bool) -> bool {
    let rows = match answer {
        Answer::Error(_) => return expected.outcome == "error" || expected.null_rows.is_some() && strict_mode,
        Answer::Rows(_) if expected.outcome == "error" => return false,
        Answer::Rows(rows) => rows,
    };
    let before_null = expected.null_rows.map(|_| &expected.rows[..expected.first_null_at]);
    let alternatives = [Some(&expected.rows[..]), expected.binary_rows.as_deref(), before_null];
    let types = expected.types.as_deref().unwrap_or_default();
    alternatives.into_iter().flatten().any(|expected| rows_same(expected, rows, types))
}

fn rows_same(expected: &[Value], rows: &[Value], types: &[(String, String)]) -> bool {
    let row_same = |expected: &Value, row: &Value| match (expected, row) {
        (Value::Object(expected), Value::Object(row)) => {
            expected.len() == row.len()
                && expected.iter().all(|(name, value)| {
                    let t = types.iter().find(|(n, _)| n == name).map_or("", |(_, t)| t.as_str());
                    row.get(name).is_some_and(|ours| same(value, ours, t))
                })
        }
        _ => false,
    };
    expected.len() == rows.len() && expected.iter().zip(rows).all(|(e, r)| row_same(e, r))
}

fn same(expected: &Value, ours: &Value, t: &str) -> bool {
    match (expected, ours) {
        (Value::Object(expected), Value::Object(ours)) => {
            expected.len() == ours.len()
                && expected.iter().all(|(name, value)| ours.get(name).is_some_and(|ours| same(value, ours, t)))
        }
        (Value::Array(expected), Value::Array(ours)) if t.starts_with("MAP") || t.starts_with("MULTISET") => {
            let sorted = |items: &[Value]| {
                let mut items = items.to_vec();
                items.sort_by_key(ToString::to_string);
                items
            };
            expected.len() == ours.len() && sorted(expected).iter().zip(&sorted(ours)).all(|(e, o)| same(e, o, t))
        }
        (Value::Array(expected), Value::Array(ours)) => {
            expected.len() == ours.len() && expected.iter().zip(ours).all(|(e, o)| same(e, o, t))
        }
        (Value::String(expected), Value::String(ours)) => {
            expected == ours || times_same(expected, ours) || floats_same(expected, ours, t)
        }
        _ => expected == ours,
    }
}

/// Times that differ in trailing zeros of their fraction alone.
fn times_same(expected: &str, ours: &str) -> bool {
    let cut = |text: &str| {
        let (text, zone) = text.strip_suffix('Z').map_or((text, ""), |text| (text, "Z"));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_time = whole.len() >= 8 && whole[whole.len() - 8..].chars().filter(|c| *c == ':').count() == 2;
        is_time.then(|| format!("{whole}.{}{zone}", fraction.trim_end_matches('0')))
    };
    cut(expected).is_some_and(|e| Some(e) == cut(ours))
}

fn floats_same(expected: &str, ours: &str, t: &str) -> bool {
    if !t.contains("FLOAT") && !t.contains("DOUBLE") {
        return false;
    }
    let (Ok(e), Ok(o)) = (expected.parse::<f64>(), ours.parse::<f64>()) else { return false };
    if e.is_nan() || o.is_nan() {
        return e.is_nan() && o.is_nan();
    }
    e.is_sign_negative() == o.is_sign_negative() && (e == o || t.contains("FLOAT") && e as f32 == o as f32)
}
