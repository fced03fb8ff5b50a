//! `--cases`: a file of format cases to one JSON object of answers.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_formats::OnBadRow;
use serde::Deserialize;

use super::table::{Table, Unusable};
use super::value;
use crate::exit::{Exit, Failure};
use crate::input;

/// A case file holds thousands of small bodies; more than this is some other file.
const FILE_MAX: u64 = 1 << 30;

/// A table and a body, as `cases.json` has them. What else is there is for people.
#[derive(Deserialize)]
struct Case {
    id: String,
    format: String,
    columns: String,
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// Absent for a message without a body.
    body_base64: Option<String>,
}

/// The answers to every case of a file: one JSON object.
pub(super) fn answers(path: &Path) -> Result<String, Failure> {
    let text = input::read_text(path, FILE_MAX)?;
    let cases: Vec<Case> = serde_json::from_str(&text)
        .map_err(|error| Failure::because(Exit::Usage, format!("{} is no list of cases", path.display()), &error))?;
    let mut out = String::from("{");
    for case in &cases {
        if out.len() > 1 {
            out.push_str(",\n");
        }
        value::push_text(&mut out, &case.id);
        out.push(':');
        push_answer(&mut out, case);
    }
    out.push('}');
    Ok(out)
}

fn push_answer(out: &mut String, case: &Case) {
    let (key, text) = match rows(case) {
        Ok(rows) => {
            out.push_str("{\"rows\":");
            out.push_str(&rows);
            out.push('}');
            return;
        }
        Err(Unusable::Unsupported(why)) => ("unsupported", why),
        Err(Unusable::Wrong(why)) => ("error", why),
    };
    out.push('{');
    value::push_text(out, key);
    out.push(':');
    value::push_text(out, &text);
    out.push('}');
}

fn rows(case: &Case) -> Result<String, Unusable> {
    let table = Table::read(&statement(case))?;
    let mut decoder = table.factory.decoder();
    match &case.body_base64 {
        None => {
            decoder.decode_absent();
        }
        Some(body) => {
            let body = STANDARD.decode(body).map_err(|e| Unusable::Wrong(format!("body_base64 is not base64: {e}")))?;
            decoder.decode(&body, OnBadRow::Fail).map_err(|error| Unusable::Wrong(error.to_string()))?;
        }
    }
    let mut out = String::new();
    value::push_rows(&mut out, table.factory.row_type(), &decoder.flush());
    Ok(out)
}

fn statement(case: &Case) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut with = format!("'format' = {}", quote(&case.format));
    for (key, value) in &case.options {
        with.push_str(&format!(", {} = {}", quote(key), quote(value)));
    }
    format!("CREATE TABLE t ({}) WITH ({with})", case.columns)
}
