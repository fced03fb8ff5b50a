//! From sample bodies to a table: format, columns and options under which every sample decodes.
//!
//! What is guessed is tried: the samples are decoded with the table, and a column that a sample does not fit becomes
//! `STRING` (a note says so) until all of them do. What comes out is a start, not a contract: the next message may hold
//! what no sample held.
//!
//! Reading order: [`infer`], `detect` (which format), `shape` (what JSON values have in common), `json`, `csv`, `files`.

#[cfg(feature = "csv")]
mod csv;
mod detect;
#[cfg(any(feature = "parquet", feature = "orc"))]
mod files;
mod json;
mod shape;

use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::encoding::strict;
use crate::{
    DataType, DecodeError, DecodeErrorKind, Format, FormatErrors, LogicalType, MessageEncoding, OnBadRow, RowType,
};

/// The table that samples suggest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inferred {
    /// The name of the format.
    pub format: &'static str,
    /// The columns.
    pub columns: RowType,
    /// The format's options, with its name in front of each key.
    pub options: BTreeMap<String, String>,
    /// How the samples were encoded: base64 if all were, `auto` otherwise.
    pub encoding: MessageEncoding,
    /// What the samples leave open, and what was decided; sentences for people.
    pub notes: Vec<String>,
}

/// What is known beforehand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hints<'a> {
    /// The format, instead of a guess.
    pub format: Option<&'a str>,
    /// The first line of the first body names the columns (csv).
    pub header: bool,
}

impl<'a> Hints<'a> {
    /// With this format instead of a guess.
    #[must_use]
    pub fn with_format(mut self, format: &'a str) -> Self {
        self.format = Some(format);
        self
    }

    /// With the names of columns in the first line of the first body.
    #[must_use]
    pub fn with_header(mut self) -> Self {
        self.header = true;
        self
    }
}

/// Why no table was found. It says nothing of what the bodies hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InferError {
    /// There is nothing to learn from.
    #[error("there is no sample with anything in it")]
    NoSample,
    /// The bytes do not say what they hold.
    #[error("{0}")]
    NoSchema(&'static str),
    /// One sample does not fit what the others, or its first bytes, suggest.
    #[error("sample {number}: {reason}")]
    Sample {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The columns cannot make a table.
    #[error(transparent)]
    Table(#[from] FormatErrors),
}

/// Finds a table for samples.
///
/// ```
/// use headwater_formats::infer::{Hints, infer};
///
/// let bodies: [&[u8]; 2] = [br#"{"id": 7, "at": "2026-11-20 08:00:00"}"#, br#"{"id": 8, "tags": ["new"]}"#];
/// let table = infer(&bodies, Hints::default())?;
/// assert_eq!(table.format, "json");
/// assert_eq!(table.columns.to_string(), "`id` BIGINT, `at` TIMESTAMP(3), `tags` ARRAY<STRING>");
/// # Ok::<(), headwater_formats::infer::InferError>(())
/// ```
///
/// # Errors
/// When there is no sample, the samples are of no one format, or their format does not say what it holds.
pub fn infer(samples: &[&[u8]], hints: Hints<'_>) -> Result<Inferred, InferError> {
    if let Some(format) = hints.format {
        Format::spec(format).map_err(|error| InferError::Table(error.into()))?;
    }
    let (bodies, encoding) = plain(samples);
    let bodies: Vec<&[u8]> = bodies.iter().map(AsRef::as_ref).collect();
    if bodies.iter().all(|body| body.trim_ascii().is_empty()) {
        return Err(InferError::NoSample);
    }
    let mut table = match hints.format.map_or_else(|| detect::format(&bodies, hints.header), Ok)? {
        "json" => json::table(&bodies)?,
        #[cfg(feature = "csv")]
        "csv" => {
            return finish(csv::table(&bodies, hints.header)?, encoding, csv::rows(&bodies, hints.header).as_slice());
        }
        #[cfg(feature = "avro")]
        "avro" => detect::avro(&bodies)?,
        #[cfg(feature = "parquet")]
        "parquet" => files::table("parquet", bodies[0], crate::parquet::fields_of_file)?,
        #[cfg(feature = "orc")]
        "orc" => files::table("orc", bodies[0], crate::orc::fields_of_file)?,
        _ => detect::raw(&bodies),
    };
    table.notes.dedup();
    finish(table, encoding, &bodies)
}

fn finish(mut table: Inferred, encoding: MessageEncoding, bodies: &[&[u8]]) -> Result<Inferred, InferError> {
    table.encoding = encoding;
    settle(&mut table, bodies)?;
    Ok(table)
}

impl Inferred {
    fn new(format: &'static str, columns: RowType) -> Self {
        let (options, notes) = (BTreeMap::new(), Vec::new());
        Self { format, columns, options, encoding: MessageEncoding::Auto, notes }
    }

    fn set(&mut self, key: &str, value: &str) {
        self.options.insert(format!("{}.{key}", self.format), value.to_owned());
    }
}

/// Undoes base64 where a body is that of something that looks like a message.
fn plain<'a>(samples: &[&'a [u8]]) -> (Vec<Cow<'a, [u8]>>, MessageEncoding) {
    let mut encoded = 0;
    let mut bodies = Vec::with_capacity(samples.len());
    for sample in samples {
        let mut buffer = Vec::new();
        match strict(sample.trim_ascii(), &mut buffer) {
            Ok(bytes) if detect::is_message(bytes) => {
                encoded += 1;
                bodies.push(Cow::Owned(bytes.to_vec()));
            }
            _ => bodies.push(Cow::Borrowed(*sample)),
        }
    }
    let all = encoded > 0 && encoded == samples.len();
    (bodies, if all { MessageEncoding::Base64 } else { MessageEncoding::Auto })
}

/// Tries the table on the samples, and makes a column `STRING` that one does not fit, until all do.
fn settle(table: &mut Inferred, bodies: &[&[u8]]) -> Result<(), InferError> {
    'table: loop {
        let factory = Format::named(table.format).options(table.options.clone()).factory(&table.columns)?;
        let mut decoder = factory.decoder();
        for (at, body) in bodies.iter().enumerate() {
            let decoded = decoder.decode(body, OnBadRow::Fail);
            decoder.flush();
            let Err(error) = decoded else { continue };
            // Each round makes a type a STRING, so the rounds end.
            if let Some(was) = widened(&mut table.columns, &error) {
                table.notes.push(format!("column `{}` is STRING: not every sample is {was}", error.path()));
                continue 'table;
            }
            return Err(InferError::Sample { number: at + 1, reason: error.to_string() });
        }
        return Ok(());
    }
}

/// Makes the type that an error is about a `STRING`, and returns what it was; `None` if that would not help.
fn widened(columns: &mut RowType, error: &DecodeError) -> Option<LogicalType> {
    if !matches!(error.kind(), DecodeErrorKind::Value(_)) || error.path().is_empty() {
        return None;
    }
    let mut fields: Vec<_> = columns.fields().to_vec();
    let was = widen_field(&mut fields, error.path())?;
    *columns = RowType::new(fields);
    Some(was)
}

fn widen_field(fields: &mut [crate::Field], path: &str) -> Option<LogicalType> {
    let rest = |name: &str| path.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']));
    // A name may hold a dot, so several can be meant: the longest that is not a STRING already.
    let mut fitting: Vec<_> = fields.iter_mut().filter(|field| rest(&field.name).is_some()).collect();
    fitting.sort_by_key(|field| std::cmp::Reverse(field.name.len()));
    fitting.into_iter().find_map(|field| widen(&mut field.data_type, rest(&field.name)?))
}

fn widen(t: &mut DataType, path: &str) -> Option<LogicalType> {
    let deeper = match &mut t.logical {
        LogicalType::Row(row) => path.strip_prefix('.').and_then(|path| {
            let mut fields = row.fields().to_vec();
            let was = widen_field(&mut fields, path)?;
            *row = RowType::new(fields);
            Some(was)
        }),
        LogicalType::Array(t) => inside(path, '[', ']').and_then(|path| widen(t, path)),
        LogicalType::Map(_, t) => inside(path, '{', '}').and_then(|path| widen(t, path)),
        _ => None,
    };
    deeper.or_else(|| {
        let was = std::mem::replace(&mut t.logical, LogicalType::String);
        (was != LogicalType::String).then_some(was)
    })
}

fn inside(path: &str, open: char, close: char) -> Option<&str> {
    path.strip_prefix(open)?.split_once(close).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests;
