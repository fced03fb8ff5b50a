//! The `orc` format: the body is a whole ORC file; columns by name.
//!
//! A table column is read from the file's column of that name, or the only one whose name differs in letter case
//! alone; a column that the file lacks is NULL. A type of the file that widens to the table's without loss is widened,
//! any other is an error. Only the columns of the table are read, and ORC has no type for `TIME`.
//!
//! Where it differs from Flink: Flink reads ORC from files only and takes columns by exact name and type.
//!
//! The ORC library trusts what a file says of itself: it decompresses without a bound, allocates what counts and
//! lengths claim, and panics where streams end early. So it is given one stripe at a time, as a small file made here:
//! the needed streams alone, decompressed within [`Limits`], their lengths checked.

mod numbers;
mod proto;
mod read;
mod stripe;
mod tail;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use read::OrcFormat;

use crate::columnar::FileFactory;
use crate::options::{OptionKind, OptionReader, OptionSpec};
use crate::{DecoderFactory, FormatError, FormatErrors, Limits, LogicalType, RowType};

/// Every option of `orc`. Flink has none of its own and hands each key with this prefix to the ORC library; those of
/// the library that are about writing are listed so that a table definition can be taken over as it is.
pub static OPTIONS: &[OptionSpec] = &[
    library("block.padding"),
    library("block.padding.tolerance"),
    library("block.size"),
    library("bloom.filter.columns"),
    library("bloom.filter.fpp"),
    library("buffer.size.enforce"),
    library("column.encoding.direct"),
    library("compress"),
    library("compress.size"),
    library("compression.strategy"),
    library("compression.zstd.level"),
    library("create.index"),
    library("dictionary.key.threshold"),
    library("encoding.strategy"),
    library("memory.pool"),
    library("overwrite.output.file"),
    library("row.batch.size"),
    library("row.index.stride"),
    library("stripe.row.count"),
    library("stripe.size"),
    library("write.format"),
];

const fn library(key: &'static str) -> OptionSpec {
    OptionSpec::new(key, OptionKind::Text, None, "Of the ORC library; accepted, has no effect on reading.")
}

/// All columns of a file.
#[cfg(feature = "infer")]
pub(crate) fn fields_of_file(body: &[u8]) -> Result<arrow_schema::Fields, crate::DecodeError> {
    let tail = tail::Tail::read(body, &Limits::default())?;
    Ok(types::arrow_fields(&tail.types, 0, types::Timestamps::Named))
}

pub(crate) fn create(
    row_type: &RowType,
    given: &BTreeMap<String, String>,
    limits: Limits,
) -> Result<Arc<dyn DecoderFactory>, FormatErrors> {
    let mut errors = OptionReader::new("orc", OPTIONS, given).errors;
    for field in row_type.fields() {
        times(&field.data_type.logical, &field.name, &mut errors);
    }
    if errors.is_empty() { Ok(FileFactory::new(row_type, limits, OrcFormat)) } else { Err(FormatErrors(errors)) }
}

/// The columns whose type no ORC file has.
fn times(t: &LogicalType, path: &str, errors: &mut Vec<FormatError>) {
    match t {
        LogicalType::Time(_) => errors.push(FormatError::UnsupportedType {
            format: "orc",
            column: path.to_owned(),
            data_type: t.to_string(),
            reason: "ORC has no times of day; declare what the file has, such as INT, STRING or TIMESTAMP".to_owned(),
        }),
        LogicalType::Array(item) | LogicalType::Multiset(item) => times(&item.logical, &format!("{path}[]"), errors),
        LogicalType::Map(key, value) => {
            times(&key.logical, &format!("{path}{{key}}"), errors);
            times(&value.logical, &format!("{path}{{}}"), errors);
        }
        LogicalType::Row(row) => {
            for field in row.fields() {
                times(&field.data_type.logical, &format!("{path}.{}", field.name), errors);
            }
        }
        _ => {}
    }
}
