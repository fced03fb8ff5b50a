//! Formats by name: what there is, and making a decoder factory from a name, a schema and options.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::json::{self, JsonFactory, JsonOptions};
use crate::options::{OptionSpec, nearest};
use crate::raw::{self, RawFactory};
use crate::{DecoderFactory, FormatError, FormatErrors, Limits, LogicalType, RowType};

/// A format there is, for documentation and for choosing by name.
#[derive(Debug)]
#[non_exhaustive]
pub struct FormatSpec {
    /// The name as it is given in `'format' = '…'`, matched exactly.
    pub name: &'static str,
    /// What it reads, in a sentence.
    pub doc: &'static str,
    /// Its options; each is given with the name and a dot in front.
    pub options: &'static [OptionSpec],
    create: Create,
}

type Create = fn(&RowType, &BTreeMap<String, String>, Limits) -> Result<Arc<dyn DecoderFactory>, FormatErrors>;

static FORMATS: &[FormatSpec] = &[
    #[cfg(feature = "avro")]
    FormatSpec {
        name: "avro",
        doc: "One Avro value a row, or a container file with many; the schema is derived from the columns or given.",
        options: crate::avro::OPTIONS,
        create: |row_type, given, limits| Ok(crate::avro::AvroFactory::create(row_type, given, limits)?),
    },
    FormatSpec {
        name: "json",
        doc: "One JSON object a row, or a list of objects; columns by name.",
        options: json::OPTIONS,
        create: |row_type, given, limits| match JsonOptions::read(given) {
            Ok(options) => Ok(JsonFactory::create(row_type, options, limits)?),
            // The schema's mistakes belong to the same answer.
            Err(errors) => Err(both(errors, JsonFactory::create(row_type, JsonOptions::default(), limits).err())),
        },
    },
    #[cfg(feature = "csv")]
    FormatSpec {
        name: "csv",
        doc: "One line a row, columns by place; a body is one row, or with `csv.framing` = `lines` many.",
        options: crate::csv::OPTIONS,
        create: |row_type, given, limits| Ok(crate::csv::CsvFactory::create(row_type, given, limits)?),
    },
    FormatSpec {
        name: "raw",
        doc: "The whole body is the value of the one column.",
        options: raw::OPTIONS,
        create: |row_type, given, limits| Ok(RawFactory::create(row_type, given, limits)?),
    },
    #[cfg(feature = "parquet")]
    FormatSpec {
        name: "parquet",
        doc: "A whole Parquet file; columns by name.",
        options: crate::parquet::OPTIONS,
        create: crate::parquet::create,
    },
    #[cfg(feature = "orc")]
    FormatSpec {
        name: "orc",
        doc: "A whole ORC file; columns by name.",
        options: crate::orc::OPTIONS,
        create: crate::orc::create,
    },
];

fn both(mut errors: FormatErrors, more: Option<FormatErrors>) -> FormatErrors {
    errors.0.extend(more.into_iter().flatten());
    errors
}

/// A format with its options, not yet bound to a schema.
///
/// ```
/// use headwater_formats::{Format, OnBadRow, RowType};
///
/// let columns: RowType = "id BIGINT, name STRING".parse()?;
/// let factory = Format::json().option("ignore-parse-errors", "true").factory(&columns)?;
/// let mut decoder = factory.decoder();
/// decoder.decode(br#"{"id": 7, "name": "seven"}"#, OnBadRow::Fail)?;
/// decoder.decode(br#"[{"id": "8"}, {"id": true}]"#, OnBadRow::Fail)?;
/// assert_eq!(decoder.flush().num_rows(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Format {
    name: String,
    options: BTreeMap<String, String>,
    limits: Limits,
}

impl Format {
    /// Flink's `json` format with its defaults.
    pub fn json() -> Self {
        Self::named("json")
    }

    /// Flink's `csv` format with its defaults.
    #[cfg(feature = "csv")]
    pub fn csv() -> Self {
        Self::named("csv")
    }

    /// Flink's `raw` format with its defaults.
    pub fn raw() -> Self {
        Self::named("raw")
    }

    /// The format of that name; whether there is one shows in [`Format::factory`].
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), options: BTreeMap::new(), limits: Limits::default() }
    }

    /// Sets an option by its key without the format's name: `ignore-parse-errors`.
    #[must_use]
    pub fn option(mut self, key: &str, value: impl Into<String>) -> Self {
        self.options.insert(format!("{}.{key}", self.name), value.into());
        self
    }

    /// Sets options as they stand in `WITH`, with the format's name in front of each key.
    #[must_use]
    pub fn options(mut self, options: impl IntoIterator<Item = (String, String)>) -> Self {
        self.options.extend(options);
        self
    }

    /// Sets the limits on one message.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The format's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options set so far, with the format's name in front of each key.
    pub fn given(&self) -> &BTreeMap<String, String> {
        &self.options
    }

    /// Checks everything and binds the format to a schema.
    ///
    /// # Errors
    /// Everything that is wrong: an unknown format, unknown or bad options, options that exclude each other, types the
    /// format cannot give.
    pub fn factory(&self, row_type: &RowType) -> Result<Arc<dyn DecoderFactory>, FormatErrors> {
        let spec = Self::spec(&self.name)?;
        let mut errors: Vec<FormatError> = row_type.check().into_iter().map(FormatError::Type).collect();
        let columns = leaves(row_type);
        if columns > self.limits.columns {
            let reason = format!("they are {columns} with the nested ones, the limit is {}", self.limits.columns);
            errors.push(FormatError::UnsupportedColumns { format: spec.name, reason });
        }
        // A schema that is wrong in itself would only be reported a second time.
        let checked = if errors.is_empty() { row_type.clone() } else { RowType::default() };
        match (spec.create)(&checked, &self.options, self.limits) {
            Ok(factory) if errors.is_empty() => Ok(factory),
            Ok(_) => Err(FormatErrors(errors)),
            Err(more) => {
                let wrong_schema = !errors.is_empty();
                let more =
                    more.into_iter().filter(|e| !wrong_schema || !matches!(e, FormatError::UnsupportedColumns { .. }));
                errors.extend(more);
                Err(FormatErrors(errors))
            }
        }
    }

    /// [`Format::factory`] for a name and options as they stand in `WITH`: every key must belong to the format.
    ///
    /// # Errors
    /// As [`Format::factory`].
    pub fn create(
        name: &str,
        row_type: &RowType,
        options: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn DecoderFactory>, FormatErrors> {
        Self::named(name).options(options.clone()).factory(row_type)
    }

    /// Every format there is, with its options.
    pub fn all() -> &'static [FormatSpec] {
        FORMATS
    }

    /// The format of exactly that name.
    ///
    /// # Errors
    /// When there is none; the error names the nearest.
    pub fn spec(name: &str) -> Result<&'static FormatSpec, FormatError> {
        FORMATS.iter().find(|spec| spec.name == name).ok_or_else(|| {
            let nearest = nearest(name, FORMATS.iter().map(|spec| spec.name)).map(str::to_owned);
            FormatError::UnknownFormat { name: name.to_owned(), nearest }
        })
    }

    /// Whether an option key has the form of a format's option, right or wrong: anything with a format's name in
    /// front, in any letter case. A connector passes these on and answers for the others itself.
    pub fn owns(key: &str) -> bool {
        key.split_once('.').is_some_and(|(prefix, _)| {
            crate::options::FLINK_FORMATS.iter().any(|name| name.eq_ignore_ascii_case(prefix))
        })
    }
}

/// Columns with the nested ones: what a NULL row writes to.
fn leaves(row: &RowType) -> usize {
    fn of(t: &LogicalType) -> usize {
        match t {
            LogicalType::Array(t) | LogicalType::Multiset(t) => 1 + of(&t.logical),
            LogicalType::Map(k, v) => 1 + of(&k.logical) + of(&v.logical),
            LogicalType::Row(row) => 1 + leaves(row),
            _ => 1,
        }
    }
    row.fields().iter().map(|f| of(&f.data_type.logical)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(name: &str, columns: &str, options: &[(&str, &str)]) -> Vec<String> {
        let fields = columns.parse::<RowType>().expect("columns");
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        match Format::create(name, &fields, &options) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|e| e.to_string()).collect(),
        }
    }

    #[test]
    fn a_format_is_found_by_its_exact_name() {
        assert!(errors("json", "a INT", &[]).is_empty());
        assert_eq!(errors("JSON", "a INT", &[]), ["there is no format 'JSON': did you mean 'json'?"]);
        assert_eq!(errors("row", "a INT", &[]), ["there is no format 'row': did you mean 'raw'?"]);
    }

    #[test]
    fn schema_and_options_are_reported_together() {
        let options = [("json.ignore-parse-errors", "yes"), ("raw.charset", "UTF-8")];
        let found = errors("json", "m MAP<INT, STRING>, r ROW<s MULTISET<DATE>>", &options);
        assert_eq!(
            found,
            [
                "the option 'raw.charset' belongs to the format 'raw', but the format of this table is 'json'",
                "the option 'json.ignore-parse-errors' cannot be 'yes': it takes true or false",
                "the format 'json' cannot give column `m` of type MAP<INT, STRING>: the keys of JSON objects are text, \
                 use STRING for them",
                "the format 'json' cannot give column `r.s` of type MULTISET<DATE>: the keys of JSON objects are text, \
                 use STRING for them",
            ]
        );
        let twice = RowType::new([crate::Field::new("a", LogicalType::Int), crate::Field::new("a", LogicalType::Int)]);
        let found = Format::raw().option("charset", "no-such").factory(&twice).expect_err("two mistakes");
        assert_eq!(found.0.len(), 2, "{found}");
        let narrow = Format::json().limits(Limits::default().with_columns(2));
        assert!(narrow.factory(&"a INT, b INT".parse().expect("columns")).is_ok());
        assert!(narrow.factory(&"a INT, b ROW<c INT>".parse().expect("columns")).is_err());
    }

    #[test]
    fn option_keys_are_told_from_those_of_a_connector() {
        for (key, owned) in
            [("json.ignore-parse-errors", true), ("JSON.x", true), ("csv.x", true), ("endpoint", false), ("x.y", false)]
        {
            assert_eq!(Format::owns(key), owned, "{key}");
        }
        for spec in Format::all() {
            assert!(spec.options.iter().all(|o| !o.doc.is_empty() && !o.key.contains('\n')), "{}", spec.name);
        }
    }
}
