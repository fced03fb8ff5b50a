//! Reading the corpus, answering a case, and comparing an answer with what Flink did.

mod compare;
pub(crate) mod render;

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_formats::{DataType, DecoderFactory, Field, Format, OnBadRow, RowType, TypeError};
use serde::Deserialize;
use serde_json::Value;

pub(crate) use compare::accepts;

/// One case of `cases.json`.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) format: String,
    pub(crate) columns: String,
    pub(crate) options: BTreeMap<String, String>,
    body_base64: Option<String>,
    #[serde(skip)]
    pub(crate) body: Option<Vec<u8>>,
}

impl Case {
    pub(crate) fn is_strict(&self) -> bool {
        let ignore = self.options.get(&format!("{}.ignore-parse-errors", self.format));
        !ignore.is_some_and(|v| v.eq_ignore_ascii_case("true"))
    }
}

/// One outcome of `expected.json`.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) outcome: String,
    #[serde(default)]
    pub(crate) types: Option<Vec<(String, String)>>,
    #[serde(default)]
    pub(crate) rows: Vec<Value>,
    #[serde(default)]
    pub(crate) binary_rows: Option<Vec<Value>>,
    #[serde(default)]
    pub(crate) null_rows: Option<usize>,
    #[serde(default)]
    pub(crate) first_null_at: usize,
    #[serde(default)]
    pub(crate) variants: BTreeMap<String, Self>,
}

impl Display for Expected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.outcome == "error" {
            f.write_str("error")
        } else {
            f.write_str(&Value::from(self.rows.clone()).to_string())
        }
    }
}

/// What we do with a case, in the terms of the corpus.
pub(crate) enum Answer {
    Rows(Vec<Value>),
    Error(String),
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => f.write_str(&Value::from(rows.clone()).to_string()),
            Self::Error(error) => write!(f, "error: {error}"),
        }
    }
}

pub(crate) fn load() -> (Vec<Case>, BTreeMap<String, Expected>) {
    let mut cases: Vec<Case> = serde_json::from_str(include_str!("../corpus/cases.json")).expect("cases.json");
    for case in &mut cases {
        case.body = case.body_base64.as_ref().map(|b| STANDARD.decode(b).expect("base64"));
    }
    let expected = serde_json::from_str(include_str!("../corpus/expected.json")).expect("expected.json");
    (cases, expected)
}

/// Runs a case: creation, one body, its rows.
pub(crate) fn answer(case: &Case, expected: &Expected) -> Answer {
    match rows(case, expected.types.as_deref()) {
        Ok(rows) => Answer::Rows(rows),
        Err(error) => Answer::Error(error),
    }
}

fn rows(case: &Case, types: Option<&[(String, String)]>) -> Result<Vec<Value>, String> {
    let factory = factory(case, types)?;
    let mut decoder = factory.decoder();
    match &case.body {
        Some(body) => decoder.decode(body, OnBadRow::Fail).map_err(|e| e.to_string())?,
        None => decoder.decode_absent(),
    };
    Ok(render::rows(&decoder.flush(), factory.row_type()))
}

/// The table of a case, with its physical columns as Flink resolved them where it did.
pub(crate) fn factory(case: &Case, types: Option<&[(String, String)]>) -> Result<Arc<dyn DecoderFactory>, String> {
    let row_type = match types {
        // Computed columns are none of the decoder's business.
        Some(types) => {
            let fields = types.iter().map(|(name, t)| Ok(Field::new(name, t.parse::<DataType>()?)));
            RowType::new(fields.collect::<Result<Vec<_>, TypeError>>().map_err(|e| e.to_string())?)
        }
        None => case.columns.parse().map_err(|e: TypeError| e.to_string())?,
    };
    Format::create(&case.format, &row_type, &case.options).map_err(|e| e.to_string())
}
